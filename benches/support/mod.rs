//! The files that the benches read, and the probe over them.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use presync::model::Facts;
use presync::probe::{Probe, Step};
use serde_json::Value;

/// The formats that the benches tell apart, in the order of their tables.
pub const FORMATS: [&str; 6] = ["jpeg", "png", "webp", "tiff", "heif/avif", "mp4/mov/3gp"];

/// One file, wholly in memory.
pub struct File {
    pub name: String,
    pub bytes: Bytes,
}

impl File {
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        let bytes = Bytes::from(bytes);
        // A buffer's first clone allocates what its clones share. None of the measured ones shall be the first.
        drop(bytes.clone());
        Self { name: name.to_owned(), bytes }
    }

    /// Examines the file the way a run does: a read for every range that the probe asks for.
    #[inline]
    pub fn probe(&self, mut read: impl FnMut(&Bytes)) -> Facts {
        let extension = self.name.rsplit_once('.').map(|(_, extension)| extension);
        let (mut probe, mut step) = Probe::new(self.bytes.len() as u64, extension);
        loop {
            match step {
                Step::Done(facts) => return facts,
                Step::Need(range) => {
                    let bytes = self.bytes.slice(range.start() as usize..range.end() as usize);
                    read(&bytes);
                    step = probe.step(bytes);
                }
            }
        }
    }
}

/// The files of one format.
pub struct Group {
    pub format: &'static str,
    pub files: Vec<File>,
}

/// The corpus by format: the real files of the folder that `PRESYNC_CORPUS` names, by what its `truth.jsonl` says that
/// they contain, or else the demo container's.
pub fn corpus() -> Vec<Group> {
    let files = match std::env::var_os("PRESYNC_CORPUS").filter(|folder| !folder.is_empty()) {
        Some(folder) => real_files(Path::new(&folder)),
        None => demo_files(),
    };
    let mut groups: Vec<_> = FORMATS.map(|format| Group { format, files: Vec::new() }).into();
    for (path, name, content) in files {
        let format = match content.as_str() {
            "bigtiff" => "tiff",
            "heif" | "heic" | "avif" | "avis" => "heif/avif",
            "mp4" | "mov" | "3gp" => "mp4/mov/3gp",
            other => other,
        };
        if let Some(group) = groups.iter_mut().find(|group| group.format == format) {
            group.files.push(File::new(&name, std::fs::read(path).expect("the file is there")));
        }
    }
    groups
}

/// Path, name and content of each file.
fn real_files(folder: &Path) -> Vec<(PathBuf, String, String)> {
    let truth = std::fs::read_to_string(folder.join("truth.jsonl")).expect("the corpus has a truth.jsonl");
    let files = truth.lines().map(|line| {
        let truth: Value = serde_json::from_str(line).expect("the truth is JSON");
        let name = text(&truth["file"]);
        (folder.join(&name), name, text(&truth["kind"]))
    });
    files.filter(|(_, name, _)| name.starts_with("real/")).collect()
}

fn demo_files() -> Vec<(PathBuf, String, String)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let truth = std::fs::read_to_string(fixtures.join("demo.truth.json")).expect("the truth is there");
    let truth: Vec<Value> = serde_json::from_str(&truth).expect("the truth is JSON");
    let files = truth.iter().map(|truth| {
        let name = text(&truth["name"]);
        (fixtures.join("demo").join(&name), name, text(&truth["format"]))
    });
    files.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An MP4 of one H.264 track of so many samples, its `moov` in front and its `mdat` empty. Every sample has an entry
/// in the tables that list them singly, as a recorder with a variable bit rate writes them. With an edit list, there is
/// a composition offset for every sample too, as an encoder that reorders frames writes them.
pub fn movie(samples: u32, edited: bool) -> Vec<u8> {
    [file_type(), header(samples, edited, &[]), atom(b"mdat", &[])].concat()
}

/// An MP4 of the same kind whose samples lie in fragments of 64 KiB with 60 samples each.
pub fn fragmented_movie(fragments: u32) -> Vec<u8> {
    let sizes: Vec<u32> = [vec![60, 0], vec![1092; 60]].concat();
    let track = [full(b"tfhd", &words(&[1])), full(b"tfdt", &words(&[0])), full(b"trun", &words(&sizes))];
    let moof = [full(b"mfhd", &words(&[1])), atom(b"traf", &track.concat())];
    let fragment = [atom(b"moof", &moof.concat()), atom(b"mdat", &[0; 60 * 1092])].concat();
    let defaults = atom(b"mvex", &full(b"trex", &words(&[1, 1, 512, 0, 0])));
    [file_type(), header(0, false, &defaults), fragment.repeat(fragments as usize)].concat()
}

fn file_type() -> Vec<u8> {
    atom(b"ftyp", b"mp42\0\0\0\0mp42isom")
}

fn header(samples: u32, edited: bool, behind_track: &[u8]) -> Vec<u8> {
    let table = |kind: &[u8; 4], head: &[u32], entry: &[u32]| {
        let mut body = words(head);
        body.extend(words(&[samples]));
        body.extend(words(entry).repeat(samples as usize));
        full(kind, &body)
    };
    let avcc: &[u8] = &[
        1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1, 0, 10, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xF6, 0x80, 0x6D,
        1, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
    ];
    let mut entry = vec![0; 78];
    entry[7] = 1;
    entry[24..28].copy_from_slice(&[0x02, 0x80, 0x01, 0xE0]);
    entry.extend(atom(b"avcC", avcc));
    let mut tables = full(b"stsd", &[words(&[1]), atom(b"avc1", &entry)].concat());
    tables.extend(full(b"stts", &words(&[1, samples, 512])));
    if edited {
        tables.extend(table(b"ctts", &[], &[1, 1024]));
    }
    tables.extend(full(b"stsc", &words(&[1, 1, 1, 1])));
    tables.extend(table(b"stsz", &[0], &[4096]));
    tables.extend(table(b"stco", &[], &[48]));
    let duration = samples.saturating_mul(512);
    let mut header = words(&[0, 0, 15360, duration, 0x0001_0000]);
    header.extend([0; 76]);
    let media = [
        full(b"mdhd", &words(&[0, 0, 15360, duration, 0])),
        full(b"hdlr", &[&[0; 4][..], b"vide", &[0; 13]].concat()),
        atom(
            b"minf",
            &[
                full(b"vmhd", &[0; 8]),
                atom(b"dinf", &full(b"dref", &[words(&[1]), atom(b"url ", &[0, 0, 0, 1])].concat())),
                atom(b"stbl", &tables),
            ]
            .concat(),
        ),
    ];
    let mut track = full(b"tkhd", &[words(&[0, 0, 1, 0, duration]), vec![0; 60]].concat());
    if edited {
        track.extend(atom(b"edts", &full(b"elst", &words(&[1, duration, 1024, 0x0001_0000]))));
    }
    track.extend(atom(b"mdia", &media.concat()));
    atom(b"moov", &[&full(b"mvhd", &header), &atom(b"trak", &track), behind_track].concat())
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn full(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    atom(kind, &[&[0; 4], body].concat())
}
