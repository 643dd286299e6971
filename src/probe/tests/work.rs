//! Files made to take much work: it is linear in the bytes that were read, and ends.

use super::images::{bmff, chunk, full, heif, riff_chunk, segment};
use super::*;
use crate::model::Gap;

/// Runs a probe over a blob and returns the facts, the steps and the bytes that were read.
fn worked(name: &str, blob: &[u8]) -> (Facts, u32, u64) {
    let want = Want { containers: true, ..Want::default() };
    let (mut probe, mut step) = Probe::wanting(want, blob.len() as u64, BlobName::new(name).extension());
    let mut read = 0;
    loop {
        match step {
            Step::Done(facts) => return (facts, probe.work(), read),
            Step::Need(range) => {
                read += range.len();
                let bytes = &blob[range.start() as usize..range.end() as usize];
                step = probe.step(Bytes::copy_from_slice(bytes));
            }
        }
    }
}

/// Returns the movie header of a demo video, without its size and type.
fn movie() -> Vec<u8> {
    let (_, file) = DEMO.iter().find(|(name, _)| name.ends_with("from-ffmpeg.mp4")).expect("it is there");
    let at = file.windows(4).position(|kind| kind == b"moov").expect("it has a header") - 4;
    let len = u32::from_be_bytes(file[at..at + 4].try_into().expect("a size")) as usize;
    file[at + 8..at + len].to_vec()
}

fn mp4(parts: &[Vec<u8>]) -> Vec<u8> {
    [bmff(b"ftyp", b"mp42\0\0\0\0mp42isom"), parts.concat()].concat()
}

fn fragmented(fragments: Vec<u8>) -> Vec<u8> {
    mp4(&[bmff(b"moov", &[movie(), bmff(b"mvex", b"")].concat()), fragments])
}

/// Returns a fragment whose header has this many boxes of `len` bytes.
fn fragment(boxes: usize, len: usize, samples: usize) -> Vec<u8> {
    let traf = bmff(b"traf", &bmff(b"free", &vec![0; len]).repeat(boxes));
    [bmff(b"moof", &traf), bmff(b"mdat", &vec![0; samples])].concat()
}

/// Returns a file of each kind with so many of the parts that take the work.
fn bombs(count: usize) -> Vec<(&'static str, Vec<u8>)> {
    let describes = bmff(b"cdsc", &[&[0, 2][..], &1000u16.to_be_bytes(), &[0, 9].repeat(1000)].concat());
    let items: Vec<u16> = vec![2; count.min(60_000)];
    let locations = [(1, 0, vec![(0, 4)]), (2, 0, vec![(0, 64)])];
    let pieces = [(1, 0, vec![(0, 4)]), (2, 0, vec![(0, 0); count.min(60_000)])];
    let ipma = [0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 255]
        .iter()
        .copied()
        .chain([0x7F, 0xFF].repeat(255))
        .collect::<Vec<_>>();
    let ipco = bmff(b"ipco", &bmff(b"free", b"").repeat(count));
    let properties =
        [full(b"pitm", 0, &[0, 1]), bmff(b"iprp", &[ipco, bmff(b"ipma", &ipma)].concat())].concat();
    let sound = bmff(b"trak", &bmff(b"mdia", &full(b"hdlr", 0, b"\0\0\0\0soun\0\0\0\0\0\0\0\0\0\0\0\0")));
    let header = chunk(b"IHDR", b"\0\0\0\x28\0\0\0\x1e\x08\x02\0\0\0");
    let png = |parts: &[Vec<u8>]| [b"\x89PNG\r\n\x1a\n".to_vec(), header.clone(), parts.concat()].concat();
    let riff =
        |parts: Vec<u8>| [b"RIFF", &(parts.len() as u32 + 4).to_le_bytes()[..], b"WEBP", &parts].concat();
    let tag = b"\x01\0\0\x03\0\0\0\x01\0\0\0\0";
    let directory = [&b"Exif\0\0MM\0\x2a\0\0\0\x08\x15\x18"[..], &tag.repeat(5400)].concat();
    let list = |kind: &[u8; 4], body: Vec<u8>| riff_chunk(b"LIST", &[&kind[..], &body].concat());
    let avi = list(b"hdrl", riff_chunk(b"JUNK", b"").repeat(count));
    let object = [&[7; 16][..], &24u64.to_le_bytes()].concat().repeat(count);
    let asf = b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\0\xAA\0\x62\xCE\x6C";
    let ebml = b"\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\xFF";
    let packet = [&b"\x47\x41\0\x10\0\0\x01\xE0\0\0\x80\x80\x05\x21\0\x01\0\x01"[..], &[0; 170]].concat();
    vec![
        ("chunks.avi", riff_chunk(b"RIFF", &[&b"AVI "[..], &avi].concat())),
        ("elements.mkv", [&ebml[..], &b"\xEC\x80".repeat(count)].concat()),
        ("entries.mkv", [&ebml[..], b"\x16\x54\xAE\x6B\xFF", &b"\xAE\x80".repeat(count)].concat()),
        ("objects.wmv", [&asf[..], &(object.len() as u64 + 30).to_le_bytes(), &[0; 6], &object].concat()),
        ("chunks.rm", [b".RMF\0\0\0\x0a\0\0".to_vec(), b"CONT\0\0\0\x0a\0\0".repeat(count)].concat()),
        ("packets.ts", packet.repeat(count / 20)),
        (
            "codes.mpg",
            [b"\0\0\x01\xBA\x44\0\x04\0".to_vec(), b"\0\0\x01\xE0\0\x01\x80".repeat(count)].concat(),
        ),
        ("pages.ogv", [b"OggS\0\x02".to_vec(), vec![7; 21], b"OggS\0".repeat(count)].concat()),
        ("tags.flv", [b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec(), vec![0; 11].repeat(count)].concat()),
        ("items.heic", heif(&items, &locations, &bmff(b"free", b"").repeat(count), &[0; 64])),
        ("references.heic", heif(&items, &locations, &describes.repeat(count / 1000), &[0; 64])),
        ("pieces.heic", heif(&[2], &pieces, b"", &[0; 64])),
        ("properties.heic", [bmff(b"ftyp", b"heic\0\0\0\0mif1heic"), full(b"meta", 0, &properties)].concat()),
        ("boxes.mp4", mp4(&[bmff(b"free", b"").repeat(count), bmff(b"moov", &movie())])),
        ("tracks.mp4", mp4(&[bmff(b"moov", &sound.repeat(count / 4))])),
        ("fragments.mp4", fragmented(fragment(30, 0, 8).repeat(count / 30))),
        ("headers.mp4", fragmented(fragment(480, 0, 5_000).repeat(count / 480))),
        ("long-header.mp4", fragmented(fragment(count / 500, 4_000, 0))),
        ("long-headers.mp4", fragmented(fragment(100, 4_000, 0).repeat(count / 5_000))),
        ("chunks.png", png(&[chunk(b"tEXt", b"").repeat(count), chunk(b"IDAT", b"x"), chunk(b"IEND", b"")])),
        ("pictures.png", png(&[[chunk(b"IDAT", b""), chunk(b"junk", &[0; 50])].concat().repeat(count)])),
        ("chunks.webp", riff(riff_chunk(b"JUNK", b"").repeat(count))),
        ("segments.jpg", [b"\xff\xd8".to_vec(), segment(0xE0, b"").repeat(count)].concat()),
        (
            "stray.jpg",
            [&b"\xff\xd8"[..], &[&segment(0xE0, b""), &[0; 4000][..]].concat().repeat(count / 100)].concat(),
        ),
        (
            "fill.jpg",
            [&b"\xff\xd8"[..], &[&segment(0xE0, b""), &[0xFF; 4000][..]].concat().repeat(count / 100)]
                .concat(),
        ),
        ("exif.jpg", [&b"\xff\xd8"[..], &segment(0xE1, &directory).repeat(count / 2_000)].concat()),
        ("boxes.jp2", [&b"\0\0\0\x0cjP  \r\n\x87\n"[..], &bmff(b"free", b"").repeat(count)].concat()),
    ]
}

#[test]
fn twice_the_file_takes_no_more_than_twice_the_work() {
    for ((name, once), (_, twice)) in bombs(10_000).into_iter().zip(bombs(20_000)) {
        let ((_, once, _), (_, twice, _)) = (worked(name, &once), worked(name, &twice));
        // A header is read in pieces that grow, and from its start after each.
        assert!(twice <= 3 * once + 1_000, "{name}: {once} steps, then {twice}");
    }
}

#[test]
fn all_work_ends() {
    for (name, file) in bombs(200_000) {
        let (facts, work, read) = worked(name, &file);
        assert!(work < MAX_WORK || facts.gap == Some(Gap::TooMuchWork), "{name}: {work} steps: {facts:?}");
        assert!(u64::from(work) <= 1_000 + 8 * read, "{name}: {work} steps on {read} bytes");
    }
}

#[test]
fn what_a_probe_has_counted_it_no_longer_holds() {
    let file = fragmented(fragment(100, 4_000, 100_000).repeat(20));
    let (mut probe, mut step) = Probe::new(file.len() as u64, Some("mp4"));
    while let Step::Need(range) = step {
        assert!(probe.held() <= MAX_UNUSED, "{} bytes are held", probe.held());
        let bytes = &file[range.start() as usize..range.end() as usize];
        step = probe.step(Bytes::copy_from_slice(bytes));
    }
    assert!(matches!(step, Step::Done(Facts { gap: None, malformed: None, .. })), "{step:?}");
}
