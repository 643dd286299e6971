//! Properties of the probe: it always ends, requests only new bytes within the blob, respects its limits, gives the
//! same result however the bytes are split, and accepts nothing with a part missing.

mod images;
mod work;

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::model::{Access, Blob, BlobName, Reads, Verdict};
use crate::rules::{self, Content, Profile};

/// Maximum steps of work after a read: what a small header takes, and what each byte held takes. Edits are the dearest:
/// each run of eight bytes in a composition table is compared with up to 512 of them.
const WORK: u64 = 4096;
const WORK_PER_BYTE: u64 = 80;

/// Runs a probe over a blob in memory, checks every request, and splits every answer with `cut`.
fn probed(name: &str, blob: &[u8], mut cut: impl FnMut(usize) -> usize) -> Facts {
    let want = Want { containers: true, ..Want::default() };
    let (mut probe, mut step) = Probe::wanting(want, blob.len() as u64, BlobName::new(name).extension());
    let mut given = vec![false; blob.len()];
    let (mut asks, mut rest_from) = (0, None);
    loop {
        let range = match step {
            Step::Done(facts) => return facts,
            Step::Need(range) => range,
        };
        assert!(!range.is_empty() && range.end() <= blob.len() as u64, "{range} of {} bytes", blob.len());
        let (start, end) = (range.start() as usize, range.end() as usize);
        // A request for the rest of an answer does not count.
        if rest_from != Some(start) {
            asks += 1;
            assert!(!given[start..end].contains(&true), "{range} was given before");
        }
        let len = cut(end - start).clamp(1, end - start);
        given[start..start + len].fill(true);
        rest_from = (len < end - start).then_some(start + len);
        assert!(asks <= MAX_ASKS + MAX_READS, "{asks} asks");
        let (before, held) = (probe.work(), probe.held() + (end - start) as u64);
        step = probe.step(Bytes::copy_from_slice(&blob[start..start + len]));
        let work = u64::from(probe.work() - before);
        assert!(work <= WORK + WORK_PER_BYTE * held, "{name}: {work} steps on {held} bytes");
        assert!(probe.store.held() <= MAX_HELD, "{} bytes are held", probe.store.held());
    }
}

fn whole(name: &str, blob: &[u8]) -> Facts {
    probed(name, blob, |len| len)
}

static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile::load("nexus").expect("it is built in"));

fn verdict(name: &str, blob: &[u8]) -> Verdict {
    let profile = &*PROFILE;
    let listed = Blob {
        name: BlobName::new(name),
        size: blob.len() as u64,
        etag: None,
        last_modified: None,
        access: Access::Online,
        declared: Default::default(),
    };
    let content = rules::without_reading(&listed).unwrap_or_else(|| Content::Facts(whole(name, blob)));
    rules::judge(listed, content, Reads::default(), profile).verdict
}

/// Returns every file of the demo container.
static DEMO: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    fn walk(folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
        let entries =
            std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut entries: Vec<_> = entries.collect();
        entries.sort();
        for path in entries {
            match path.is_dir() {
                true => walk(&path, files),
                false => files.push((path.display().to_string(), std::fs::read(&path).expect("a file"))),
            }
        }
    }
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo"), &mut files);
    assert!(files.len() > 50, "the demo container is there");
    files
});

/// Returns how many bytes of a valid file are required: up to the first scan of a JPEG; everything in formats whose
/// chunks or boxes have lengths, or whose directory is at the end. In the others, the facts show whether a part is
/// missing.
fn least(facts: &Facts, file: &[u8]) -> usize {
    match facts.format {
        Format::Jpeg => {
            let mut at = 2;
            while file[at + 1] != 0xDA {
                at += 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
            }
            at + 2
        }
        // A padding byte at the end may be missing.
        Format::Webp => file.len() - 1,
        Format::Png | Format::Heif | Format::Avif | Format::Jp2 => file.len(),
        _ => 0,
    }
}

#[test]
fn no_file_is_accepted_without_its_whole_header() {
    for (name, file) in DEMO.iter().filter(|(name, file)| verdict(name, file) == Verdict::Accept) {
        let facts = whole(name, file);
        let least = least(&facts, file);
        let tracks = |facts: &Facts| facts.video.as_ref().map(|video| video.tracks.clone());
        for len in (0..file.len()).step_by(file.len() / 2000 + 1) {
            let cut = &file[..len];
            if verdict(name, cut) == Verdict::Accept {
                assert!(len >= least, "{name} cut to {len} bytes");
                // An accepted prefix must have the facts of the whole file: nothing relevant was cut off.
                let of_cut = whole(name, cut);
                assert_eq!(of_cut.format, facts.format, "{name} cut to {len} bytes");
                assert_eq!(of_cut.orientation, facts.orientation, "{name} cut to {len} bytes");
                assert_eq!(
                    (of_cut.width, of_cut.height),
                    (facts.width, facts.height),
                    "{name} cut to {len} bytes"
                );
                assert_eq!(tracks(&of_cut), tracks(&facts), "{name} cut to {len} bytes");
            }
        }
    }
}

#[test]
fn the_answer_does_not_depend_on_the_cuts() {
    for (name, file) in DEMO.iter() {
        let facts = whole(name, file);
        assert_eq!(probed(name, file, |_| 1), facts, "{name}, byte by byte");
        assert_eq!(probed(name, file, |len| len / 2), facts, "{name}, by halves");
    }
}

#[test]
fn a_blob_that_is_shorter_than_listed_ends_in_damage() {
    for (name, file) in DEMO.iter().filter(|(name, _)| name.ends_with("crossing-a.mp4")) {
        let (mut probe, mut step) = Probe::new(file.len() as u64, Some("mp4"));
        let end = 5000;
        let facts = loop {
            match step {
                Step::Done(facts) => break facts,
                Step::Need(range) => {
                    let (start, stop) = ((range.start() as usize).min(end), (range.end() as usize).min(end));
                    step = probe.step(Bytes::copy_from_slice(&file[start..stop]));
                }
            }
        };
        assert!(facts.malformed.is_some(), "{name}: {facts:?}");
    }
}

#[test]
fn a_box_that_is_too_short_for_its_own_fields_is_never_accepted() {
    let ftyp = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let empty_meta = [&ftyp[..], b"\0\0\0\x08meta"].concat();
    assert_eq!(verdict("a.heic", &empty_meta), Verdict::Reject);
    let short_items = [&ftyp[..], b"\0\0\0\x18meta\0\0\0\0\0\0\0\x0ciinf\0\0\0\0"].concat();
    assert_eq!(verdict("a.heic", &short_items), Verdict::Reject);
}

/// Cuts a box of `file` to `len` bytes, and fills the rest with another box.
fn with_short_box(file: &[u8], kind: &[u8; 4], len: usize) -> Vec<u8> {
    let at = file.windows(4).position(|bytes| bytes == kind).expect("it has such a box") - 4;
    let size = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    let rest = [&((size - len) as u32).to_be_bytes()[..], b"free", &file[at + len + 8..]].concat();
    [&file[..at], &(len as u32).to_be_bytes(), &file[at + 4..at + len], &rest].concat()
}

#[test]
fn no_field_is_read_from_the_box_behind_its_own() {
    let heif = [(b"pitm", 13), (b"iinf", 13), (b"iloc", 13), (b"infe", 14), (b"ispe", 18)];
    let movie = [
        (b"mvhd", 16),
        (b"tkhd", 16),
        (b"mdhd", 16),
        (b"hdlr", 16),
        (b"stts", 12),
        (b"stco", 12),
        (b"stsz", 16),
        (b"stsc", 12),
        (b"elst", 12),
    ];
    let heif = heif.map(|(kind, len)| ("IMG_1004.heic", kind, len));
    for (suffix, kind, len) in movie.map(|(kind, len)| ("crossing-a.mp4", kind, len)).into_iter().chain(heif)
    {
        let (name, file) = DEMO.iter().find(|(name, _)| name.ends_with(suffix)).expect("it is there");
        let facts = whole(name, &with_short_box(file, kind, len));
        let kind = kind.escape_ascii();
        assert!(facts.malformed.is_some(), "{name}: {kind} of {len} bytes: {facts:?}");
    }
}

#[test]
fn edits_count_wherever_the_movie_header_lies() {
    let (name, file) = DEMO.iter().find(|(name, _)| name.ends_with("trimmed.mp4")).expect("it is there");
    let moov = file.windows(4).position(|kind| kind == b"moov").expect("a movie") - 4;
    let end = moov + u32::from_be_bytes(file[moov..moov + 4].try_into().expect("a size")) as usize;
    let mvhd_len = u32::from_be_bytes(file[moov + 8..moov + 12].try_into().expect("a size")) as usize;
    assert_eq!(&file[moov + 12..moov + 16], b"mvhd");
    let mut header_last = file.clone();
    header_last[moov + 8..end].rotate_left(mvhd_len);
    let facts = whole(name, &header_last);
    assert_eq!(facts, whole(name, file));
    assert_eq!(facts.video.expect("a video").tracks[0].frames_presented, Some(45));
}

#[test]
fn a_table_that_promises_more_than_the_file_holds_is_damage() {
    let (name, file) = DEMO.iter().find(|(name, _)| name.ends_with("crossing-a.mp4")).expect("it is there");
    for (kind, count_at) in [(b"stts", 12), (b"stsc", 12), (b"stco", 12), (b"stsz", 16)] {
        let at = file.windows(4).position(|bytes| bytes == kind).expect("it has such a table") - 4 + count_at;
        let mut file = file.clone();
        file[at..at + 4].fill(0xFF);
        assert_eq!(verdict(name, &file), Verdict::Reject, "{}", kind.escape_ascii());
    }
}

/// The start of one of the formats, so that random bytes pass format detection.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        &b""[..],
        b"\xFF\xD8\xFF\xE1\0\x20Exif\0\0II\x2a\0\x08\0\0\0\x02\0",
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\0\0\0\0",
        b"RIFF\xFF\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\0\0\0\0\0\0",
        b"II\x2a\0\x08\0\0\0\x03\0",
        b"MM\0\x2b\0\x08\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x03",
        b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\x01\0moov\0\0\0\xe0trak",
        b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\0\0mdat",
        b"\0\0\0\x08udta\0\0\0\x10ftypmp42\0\0\0\0\0\0\x01\0moov\0\0\0\xe0trak",
        b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\0\x10moov\0\0\0\x08mvex\0\0\0\x40moof\0\0\0\x38traf",
        b"\0\0\0\x01\x67\x42\xC0\x1E\xDA\x02",
        b"\0\0\0\x01\x42\x01\x01\x01\x60\0",
        b"\x1A\x45\xDF\xA3\xA3\x42\x82\x88",
        b"\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67\xFF\x16\x54\xAE\x6B\xC0\xAE\xBF\x83\x81\x01",
        b"RIFF\xFF\x07\0\0AVI LIST\0\x02\0\0hdrlLIST\x80\0\0\0strlstrh\x38\0\0\0vids",
        b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12\0\0\x40\0\0\0\0\0\0\0\x02\0\x0aonMetaData\x08\0\0\0\x09",
        b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\0\xAA\0\x62\xCE\x6C\0\x04\0\0\0\0\0\0\x02\0\0\0\x01\x02",
        b"OggS\0\x02\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\x01\x2a\x80theora\x03\x02\x01",
        b".RMF\0\0\0\x12\0\0\0\0\0\0\0\0\0\x03MDPR\0\0\0\x60\0\0",
        b"\0\0\x01\xBA\x44\0\x04\0\x04\x01\0\0\x03\xF8\0\0\x01\xE0\0\x40\x80\x80\x05\x21\0\x01\0\x01\0\0\x01\xB3",
        b"IMKH\x01\x01\0\0\0\0\x01\xBA\x44",
    ])
    .prop_map(<[u8]>::to_vec)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_end_in_an_answer(
        head in heads(),
        tail in prop::collection::vec(any::<u8>(), 0..2000),
        cut in 1usize..64,
        extension in prop::sample::select(vec!["jpg", "png", "mp4", "dat"]),
    ) {
        let blob = [head, tail].concat();
        let name = format!("a.{extension}");
        prop_assert_eq!(probed(&name, &blob, |_| cut), whole(&name, &blob));
    }

    #[test]
    fn a_damaged_file_ends_in_an_answer(
        file in 0usize..1000,
        damage in prop::collection::vec((0.0..1.0f64, any::<u8>()), 1..6),
    ) {
        let (name, bytes) = &DEMO[file % DEMO.len()];
        let mut bytes = bytes.clone();
        // Damage matters in headers.
        let reach = bytes.len().min(3000);
        for (place, byte) in damage {
            if let Some(target) = bytes.get_mut((place * reach as f64) as usize) {
                *target = byte;
            }
        }
        prop_assert_eq!(probed(name, &bytes, |_| 7), whole(name, &bytes));
    }
}
