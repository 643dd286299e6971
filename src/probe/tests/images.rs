//! Images with long headers, or with EXIF in unusual places: each kind is built here.

use super::*;
use crate::model::Orientation;

/// The maximum cost of a kind of file, and its expected result.
struct Kind {
    name: &'static str,
    file: Vec<u8>,
    orientation: Orientation,
    requests: u32,
}

const ABSENT: Orientation = Orientation::Absent;
const TURNED: Orientation = Orientation::Value(6);

fn counted(name: &str, file: &[u8]) -> (Facts, u32) {
    let mut requests = 0;
    let facts = probed(name, file, |len| {
        requests += 1;
        len
    });
    (facts, requests)
}

/// Returns bytes without a pattern, the same each time.
fn noise(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(len as u64);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

/// Creates an EXIF block with this orientation, followed by a thumbnail of `len` bytes.
fn exif(orientation: u8, len: usize) -> Vec<u8> {
    let head = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
    [&head[..], &[orientation, 0, 0, 0, 0, 0, 0], &noise(len)].concat()
}

/// Creates an EXIF block with a width and no orientation.
fn exif_without_orientation() -> Vec<u8> {
    b"MM\0\x2a\0\0\0\x08\0\x01\x01\0\0\x03\0\0\0\x01\0\x09\0\0\0\0\0\0".to_vec()
}

pub(super) fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let checked = [kind, body].concat();
    let checksum = crc32fast::hash(&checked).to_be_bytes();
    [&(body.len() as u32).to_be_bytes()[..], &checked, &checksum].concat()
}

fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = chunk(b"IHDR", b"\0\0\0\x28\0\0\0\x1e\x08\x02\0\0\0");
    [b"\x89PNG\r\n\x1a\n".to_vec(), header, chunks.concat(), chunk(b"IEND", b"")].concat()
}

fn image_data(lengths: impl IntoIterator<Item = usize>) -> Vec<u8> {
    lengths.into_iter().flat_map(|len| chunk(b"IDAT", &noise(len))).collect()
}

/// Creates a PNG like a macOS screenshot: two runs of image data in chunks of 16,384 bytes, each ending with a
/// shorter one, and an `iDOT` that gives the start of the second run.
fn screenshot(before: &[Vec<u8>]) -> Vec<u8> {
    let first = image_data([16_384; 20].into_iter().chain([9_000]));
    let second = image_data([16_384; 17].into_iter().chain([8_405]));
    let distance = (40 + first.len() as u32).to_be_bytes();
    let offsets = chunk(b"iDOT", &[&[0; 24][..], &distance].concat());
    png(&[before.concat(), offsets, first, second])
}

/// Creates an animation with this many frames besides the first picture.
fn animation(frames: u32, behind: &[u8]) -> Vec<u8> {
    animation_with(frames, b"", behind)
}

/// Creates an animation with chunks between its frames, and behind them.
fn animation_with(frames: u32, between: &[u8], behind: &[u8]) -> Vec<u8> {
    let control = |number: u32| chunk(b"fcTL", &[&number.to_be_bytes()[..], &[0; 22]].concat());
    let frame = |number: u32| {
        [control(number), chunk(b"fdAT", &noise(9_000 + number as usize * 97 % 7_000))].concat()
    };
    let (first, rest) = (1..=frames / 2, frames / 2 + 1..=frames);
    let frames: [Vec<_>; 2] = [first.flat_map(frame).collect(), rest.flat_map(frame).collect()];
    let frames = frames.join(between);
    png(&[chunk(b"acTL", &[0; 8]), control(0), image_data([18_338]), frames, behind.to_vec()])
}

fn uneven() -> Vec<u8> {
    image_data((0..120).map(|index| 3_000 + index * 7_919 % 40_000))
}

pub(super) fn riff_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let padding = &[0][..body.len() & 1];
    [&kind[..], &(body.len() as u32).to_le_bytes(), body, padding].concat()
}

fn webp(flags: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let canvas = riff_chunk(b"VP8X", &[flags, 0, 0, 0, 39, 0, 0, 29, 0, 0]);
    let body = [b"WEBP".to_vec(), canvas, chunks.concat()].concat();
    [&b"RIFF"[..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

fn webp_frames(count: usize) -> Vec<u8> {
    (0..count).flat_map(|index| riff_chunk(b"ANMF", &noise(1_000 + index * 331 % 9_000))).collect()
}

pub(super) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    [&[0xFF, marker][..], &(body.len() as u16 + 2).to_be_bytes(), body].concat()
}

fn app1(block: &[u8]) -> Vec<u8> {
    segment(0xE1, &[b"Exif\0\0", block].concat())
}

/// Creates a JPEG with these segments before its picture.
fn jpeg(segments: &[Vec<u8>]) -> Vec<u8> {
    let frame = segment(0xC0, b"\x08\0\x1e\0\x28\x01\x01\x11\0");
    let picture = [segment(0xDA, b"\x01\x01\0\0\x3f\0"), vec![7; 3_000], b"\xff\xd9".to_vec()].concat();
    [b"\xff\xd8".to_vec(), segments.concat(), frame, picture].concat()
}

/// Creates this many full-length segments that start with these bytes.
fn long_segments(marker: u8, identifier: &[u8], count: usize) -> Vec<u8> {
    let body = [identifier, &noise(65_533 - identifier.len())].concat();
    segment(marker, &body).repeat(count)
}

fn long_headers() -> Vec<Kind> {
    let kind = |name, orientation, requests, file| Kind { name, file, orientation, requests };
    let png_exif = |orientation| chunk(b"eXIf", &exif(orientation, 0));
    let private: Vec<_> =
        (0..900).flat_map(|index| chunk(b"mkBT", &noise(60 + index * 977 % 9_000))).collect();
    let equal = || image_data([8_192; 90].into_iter().chain([17]));
    let text = chunk(b"tEXt", b"date:modify\x002026-11-28");
    let frames = webp_frames(300);
    let webp_exif = |len| riff_chunk(b"EXIF", &exif(6, len));
    let xmp = riff_chunk(b"XMP ", &[b' '; 5_001]);
    let flir = long_segments(0xE1, b"FLIR\0\x01\0\x28", 40);
    let c2pa = long_segments(0xEB, b"JP\0\x01", 60);
    let profile = long_segments(0xE2, b"ICC_PROFILE\0\x01\x09", 9);
    let short: Vec<_> = (0..2_000).flat_map(|index| segment(0xE3, &noise(100 + index % 400))).collect();
    vec![
        kind("screenshot.png", ABSENT, 4, screenshot(&[])),
        kind("screenshot-edited.png", ABSENT, 1, screenshot(&[chunk(b"eXIf", &exif_without_orientation())])),
        kind("equal.png", ABSENT, 4, png(&[equal()])),
        kind("equal-exif-behind.png", TURNED, 5, png(&[equal(), text.clone(), png_exif(6)])),
        kind("uneven.png", ABSENT, 6, png(&[uneven()])),
        kind("uneven-exif-behind.png", TURNED, 6, png(&[uneven(), png_exif(6), text.clone()])),
        kind("uneven-large-exif.png", TURNED, 7, png(&[uneven(), chunk(b"eXIf", &exif(6, 90_000)), text])),
        kind("uneven-and-more.png", ABSENT, 130, [png(&[uneven()]), b"more".to_vec()].concat()),
        kind("animation.png", ABSENT, 8, animation(150, b"")),
        kind("animation-exif-behind.png", TURNED, 8, animation(150, &png_exif(6))),
        kind("short-animation.png", ABSENT, 4, animation(70, b"")),
        kind("animation-exif-between.png", TURNED, 4, animation_with(70, &png_exif(6), b"")),
        kind("drawing.png", TURNED, 200, png(&[private.clone(), png_exif(6), uneven()])),
        kind("drawing-behind.png", ABSENT, 200, png(&[equal(), private])),
        kind("animation.webp", ABSENT, 2, webp(0x02, std::slice::from_ref(&frames))),
        kind("animation-exif.webp", TURNED, 2, webp(0x0A, &[frames.clone(), webp_exif(0)])),
        kind("animation-not-announced.webp", TURNED, 2, webp(0x02, &[frames.clone(), webp_exif(0)])),
        kind("animation-large-exif.webp", TURNED, 6, webp(0x0A, &[frames.clone(), webp_exif(70_001), xmp])),
        kind("animation-none-after-all.webp", ABSENT, 250, webp(0x0A, std::slice::from_ref(&frames))),
        kind("animation-exif-first.webp", TURNED, 1, webp(0x0A, &[webp_exif(0), frames.clone()])),
        kind("animation-and-more.webp", ABSENT, 250, [webp(0x02, &[frames]), vec![1; 99]].concat()),
        kind("thermal.jpg", TURNED, 41, jpeg(&[flir.clone(), app1(&exif(6, 999))])),
        kind("thermal-without.jpg", ABSENT, 42, jpeg(&[flir])),
        kind("credentials.jpg", ABSENT, 62, jpeg(&[app1(&exif_without_orientation()), c2pa.clone()])),
        kind("credentials-and-profile.jpg", TURNED, 71, jpeg(&[c2pa, profile, app1(&exif(6, 40_000))])),
        kind("many-short.jpg", TURNED, 16, jpeg(&[short, app1(&exif(6, 0))])),
    ]
}

#[test]
fn long_headers_are_followed_to_their_end() {
    for Kind { name, file, orientation, requests } in long_headers() {
        let (facts, asked) = counted(name, &file);
        assert_eq!((facts.orientation, facts.gap, &facts.malformed), (orientation, None, &None), "{name}");
        assert!(asked <= requests, "{name}: {asked} requests, at most {requests}");
        assert_eq!(probed(name, &file, |len| len / 2 + 1), facts, "{name}, by halves");
    }
}

#[test]
fn a_long_header_that_is_cut_is_never_accepted() {
    // What the first read settles does not depend on what follows.
    let kinds = long_headers().into_iter().filter(|kind| kind.orientation == ABSENT && kind.requests > 1);
    for Kind { name, file, .. } in kinds {
        let head = name.ends_with(".jpg");
        // Appended data may be cut off, and so may the picture after a JPEG's header.
        let whole = if head { file.len() - 3_011 } else { file.len() - 110 };
        for part in 1..24 {
            let len = if part < 20 { whole * part / 20 } else { whole - (part - 20) };
            assert_ne!(verdict(name, &file[..len]), Verdict::Accept, "{name} cut to {len} bytes");
        }
        assert_eq!(verdict(name, &file), Verdict::Accept, "{name}");
    }
}

#[test]
fn a_chain_that_does_not_hold_is_not_believed() {
    // The checksum of a chunk after the image data is wrong, so the walk goes through all of it.
    let mut file = png(&[uneven(), chunk(b"tEXt", b"a\0b"), chunk(b"eXIf", &exif(6, 0))]);
    let at = file.len() - 12 - 38 - 1;
    file[at] ^= 1;
    let (facts, requests) = counted("a.png", &file);
    assert_eq!(facts.orientation, TURNED);
    assert!(requests > 8, "{requests} requests");
    // A number that isn't a distance to image data, and one that points past the end of the file.
    for distance in [3u32, 500, 100_000, u32::MAX] {
        let offsets = chunk(b"iDOT", &[&[0; 24][..], &distance.to_be_bytes()].concat());
        let file = png(&[offsets, uneven(), chunk(b"eXIf", &exif(6, 0))]);
        assert_eq!(whole("a.png", &file).orientation, TURNED, "{distance}");
    }
}

#[test]
fn passed_parts_are_not_held() {
    let short: Vec<_> = (0..20_000).flat_map(|index| segment(0xE3, &noise(100 + index % 400))).collect();
    let file = jpeg(&[short]);
    let (mut probe, mut step) = Probe::new(file.len() as u64, Some("jpg"));
    while let Step::Need(range) = step {
        let bytes = &file[range.start() as usize..range.end() as usize];
        step = probe.step(Bytes::copy_from_slice(bytes));
        assert!(probe.store.held() <= MAX_PASSED + (256 << 10), "{} bytes are held", probe.store.held());
    }
    assert!(file.len() as u64 > MAX_HELD);
    assert!(matches!(step, Step::Done(Facts { orientation: ABSENT, gap: None, .. })), "{step:?}");
}

#[test]
fn a_header_without_an_end_is_unknown() {
    let endless = [b"\xff\xd8".to_vec(), segment(0xE3, &[0; 300]).repeat(60_000)].concat();
    assert_eq!(whole("a.jpg", &endless).gap, Some(Gap::TooManyBytes));
}

pub(super) fn bmff(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

pub(super) fn full(kind: &[u8; 4], version: u8, body: &[u8]) -> Vec<u8> {
    bmff(kind, &[&[version, 0, 0, 0], body].concat())
}

/// One entry of `iloc`: the item, its construction method, and its extents.
pub(super) type Location = (u16, u16, Vec<(u32, u32)>);

/// Creates a HEIF file with primary item 1, EXIF items, and data in `idat` and `mdat`. Offsets of method 0 are
/// relative to the data in `mdat`.
pub(super) fn heif(exif: &[u16], locations: &[Location], references: &[u8], data: &[u8]) -> Vec<u8> {
    let entry =
        |id: u16, kind: &[u8; 4]| full(b"infe", 2, &[&id.to_be_bytes()[..], &[0; 2], kind, &[0]].concat());
    let entries: Vec<_> = exif.iter().flat_map(|id| entry(*id, b"Exif")).collect();
    let count = (exif.len() as u16 + 1).to_be_bytes();
    let build = |origin: u32| {
        let mut iloc = vec![0x44, 0];
        iloc.extend((locations.len() as u16).to_be_bytes());
        for (id, method, extents) in locations {
            iloc.extend([*id, *method, 0, extents.len() as u16].map(u16::to_be_bytes).concat());
            for (offset, len) in extents {
                let offset = if *method == 0 { origin + offset } else { *offset };
                iloc.extend([offset.to_be_bytes(), len.to_be_bytes()].concat());
            }
        }
        let meta = [
            full(b"pitm", 0, &[0, 1]),
            full(b"iinf", 0, &[&count[..], &entry(1, b"hvc1"), &entries].concat()),
            full(b"iloc", 1, &iloc),
            full(b"iref", 0, references),
            bmff(b"idat", data),
        ];
        let ftyp = bmff(b"ftyp", b"heic\0\0\0\0mif1heic");
        [ftyp, full(b"meta", 0, &meta.concat()), bmff(b"mdat", data)].concat()
    };
    let origin = build(0).len() - data.len();
    build(origin as u32)
}

#[test]
fn exif_of_heif_is_read_wherever_it_lies_or_is_unknown() {
    let block = exif(6, 0);
    let len = block.len() as u32;
    let picture = (1, 0, vec![(0, 4)]);
    let with_offset = [&6u32.to_be_bytes()[..], b"Exif\0\0", &block].concat();
    let prefixed = [b"Exif\0\0", &block[..]].concat();
    for data in [&block, &with_offset, &prefixed] {
        let all = data.len() as u32;
        for pieces in
            [vec![(0, all)], vec![(0, 13), (13, all - 13)], vec![(0, 3), (3, 1), (4, 9), (13, all - 13)]]
        {
            for method in [0, 1] {
                let file = heif(&[2], &[picture.clone(), (2, method, pieces.clone())], b"", data);
                assert_eq!(whole("a.heic", &file).orientation, TURNED, "{pieces:?} by method {method}");
            }
        }
    }
    let made_of_another = heif(&[2], &[picture.clone(), (2, 2, vec![(0, len)])], b"", &block);
    let facts = whole("a.heic", &made_of_another);
    assert_eq!((facts.orientation, facts.gap), (Orientation::NotRead, Some(Gap::ExifStorage)));
    let outside = heif(&[2], &[picture.clone(), (2, 1, vec![(0, 9), (9, len)])], b"", &block);
    assert!(whole("a.heic", &outside).malformed.is_some());
    let endless = heif(&[2], &[picture, (2, 0, vec![(0, 0); 60_000])], b"", &noise(3 << 10));
    assert_eq!(whole("a.heic", &endless).gap, Some(Gap::TooManyBytes));
}

#[test]
fn the_exif_that_describes_the_primary_item_counts() {
    let data = [exif(1, 0), exif(6, 0)].concat();
    let len = data.len() as u32 / 2;
    let locations = [(1, 0, vec![(0, 4)]), (2, 0, vec![(0, len)]), (3, 0, vec![(len, len)])];
    let describes = |from: u8, to: u8| bmff(b"cdsc", &[0, from, 0, 1, 0, to]);
    for (references, orientation) in [
        (vec![], 1),
        ([describes(2, 9), describes(3, 1)].concat(), 6),
        ([describes(3, 9), describes(2, 1)].concat(), 1),
        ([describes(3, 1), describes(2, 1)].concat(), 1),
        ([describes(2, 9), describes(3, 9)].concat(), 1),
    ] {
        let file = heif(&[2, 3], &locations, &references, &data);
        assert_eq!(whole("a.heic", &file).orientation, Orientation::Value(orientation), "{references:?}");
    }
}

#[test]
fn a_minimized_header_says_whether_there_is_exif() {
    let file = |parts: u8, size: [u8; 4]| {
        [bmff(b"ftyp", b"mif3avif"), bmff(b"mini", &[&[0x0C, parts][..], &size, &[0; 40]].concat())].concat()
    };
    let facts = whole("a.avif", &file(0x98, [0x80, 0xFF, 0x01, 0xFE]));
    assert_eq!((facts.format, facts.orientation), (Format::Avif, ABSENT));
    assert_eq!((facts.width, facts.height), (Some(256), Some(256)));
    let facts = whole("a.avif", &file(0x18, [0x27, 0x3A, 0, 0]));
    assert_eq!((facts.width, facts.height), (Some(40), Some(30)));
    let facts = whole("a.avif", &file(0x58, [0x27, 0x3A, 0, 0]));
    assert_eq!((facts.orientation, facts.gap), (Orientation::NotRead, Some(Gap::ExifStorage)));
}

fn findings(name: &str, file: &[u8]) -> Vec<String> {
    let blob = Blob {
        name: BlobName::new(name),
        size: file.len() as u64,
        etag: None,
        last_modified: None,
        access: Access::Online,
    };
    let asset = rules::judge(blob, Content::Facts(whole(name, file)), Reads::default(), &PROFILE);
    asset.findings.iter().map(|finding| format!("{}: {}", finding.code.as_str(), finding.message)).collect()
}

#[test]
fn an_image_sequence_is_not_damaged() {
    for (brand, name) in [(b"msf1", "a.heic"), (b"hevc", "a.heics"), (b"avis", "a.avif")] {
        let ftyp = bmff(b"ftyp", &[&brand[..], b"\0\0\0\0", brand, b"iso8"].concat());
        let file = [ftyp, bmff(b"moov", &bmff(b"mvhd", &[0; 100])), bmff(b"mdat", &noise(99))].concat();
        let found = findings(name, &file);
        assert!(
            matches!(&found[..], [only] if only.starts_with("FMT001: the content is an image sequence")),
            "{found:?}"
        );
    }
}

#[test]
fn raw_files_in_the_clothes_of_tiff_are_raw() {
    let tiff = |entries: &[(u16, u16, u32)]| {
        let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, field_type, value) in entries {
            file.extend([tag.to_le_bytes(), field_type.to_le_bytes()].concat());
            file.extend([1u32.to_le_bytes(), value.to_le_bytes()].concat());
        }
        file.extend([0; 64]);
        file
    };
    let (upright, size) = ((0x0112, 3, 1), [(0x0100, 4, 40), (0x0101, 4, 30)]);
    let plain = tiff(&[size[0], size[1], upright]);
    let dng = tiff(&[size[0], size[1], upright, (0xC612, 1, 0x0401)]);
    let sensor = tiff(&[size[0], size[1], (0x0106, 3, 32_803), upright]);
    let thumbnail = tiff(&[(0x00FE, 4, 1), size[0], size[1], (0x014A, 4, 200), upright]);
    let pyramid = tiff(&[(0x00FE, 4, 0), size[0], size[1], (0x014A, 4, 200), upright]);
    let is_raw = |name: &str, file: &[u8]| {
        findings(name, file).first().is_some_and(|found| {
            found == "FMT001: the content is a camera raw file, which Datature Nexus does not sync"
        })
    };
    for (name, file) in [
        ("a.dng", &dng),
        ("a.tif", &dng),
        ("a.nef", &plain),
        ("a.ARW", &thumbnail),
        ("a.tif", &thumbnail),
        ("a.tif", &sensor),
    ] {
        assert!(is_raw(name, file), "{name}: {:?}", findings(name, file));
    }
    for file in [&plain, &pyramid] {
        assert_eq!(findings("a.tif", file), Vec::<String>::new());
    }
}

#[test]
fn the_end_of_a_jpeg_is_read_on_request() {
    let long = |end: &[u8]| {
        let file = jpeg(&[app1(&exif(1, 0))]);
        [
            &file[..file.len() - 2],
            &noise(40_000).repeat(2).into_iter().filter(|byte| *byte != 0xFF).collect::<Vec<_>>(),
            b"\xff\0",
            end,
        ]
        .concat()
    };
    for (end, truncated) in [(&b"\xff\xd9"[..], false), (b"", true)] {
        let file = long(end);
        let (mut probe, mut step) =
            Probe::wanting(Want { end: true, ..Want::default() }, file.len() as u64, Some("jpg"));
        let mut ranges = Vec::new();
        while let Step::Need(range) = step {
            ranges.push(range);
            step = probe.step(Bytes::copy_from_slice(&file[range.start() as usize..range.end() as usize]));
        }
        assert_eq!(ranges[1..], [ByteRange::new(file.len() as u64 - 4096, 4096)], "one more read");
        let Step::Done(facts) = step else { unreachable!("the probe is done") };
        assert_eq!(facts.truncated.is_some(), truncated);
        let unasked = whole("a.jpg", &file);
        assert_eq!(Facts { truncated: None, ..facts }, unasked, "the rest is as without the request");
    }
}
