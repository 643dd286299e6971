//! What the fuzz targets share: presync's parsers and rules, checked runs of both, and writers of sound files.

// The modules are included rather than taken from the crate `presync`: they need about a tenth of its dependencies,
// and the rest (the Azure SDK, TLS with its C code) would be built with sanitizers for nothing.
#[path = "../../../src/examine.rs"]
pub mod examine;
pub mod files;
#[path = "../../../src/model/mod.rs"]
pub mod model;
#[path = "../../../src/probe/mod.rs"]
pub mod probe;
#[path = "../../../src/rules/mod.rs"]
pub mod rules;

pub mod accept;
mod boxes;
pub mod movie;
pub mod photo;
pub mod tiff;

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use model::{ByteRange, Facts};
use probe::{MAX_ASKS, MAX_READS, Probe, Step, Want};

/// Nodes that an outline may have, and letters that one of them may have.
const MAX_NODES: usize = 1000;
const MAX_LETTERS: usize = 200;

/// Steps of work that a probe may take after a read, and more for each byte that it holds: it is linear in them. The
/// outline takes some, too.
const WORK: u64 = 4096;
const WORK_PER_BYTE: u64 = 80;

/// One byte, many times: whoever searches it for a header finds none.
#[derive(Arbitrary, Debug)]
pub struct Fill {
    byte: u8,
    len: Len,
}

#[derive(Arbitrary, Debug)]
enum Len {
    Short(u8),
    Long(u16),
}

impl Fill {
    /// The bytes, at most `max` of them.
    pub fn bytes(&self, max: usize) -> Vec<u8> {
        let len = match self.len {
            Len::Short(len) => usize::from(len),
            Len::Long(len) => usize::from(len),
        };
        vec![self.byte; len.min(max)]
    }
}

/// A blob in which one byte may be repeated very often, so that a small input describes a large blob.
pub struct Blob<'a> {
    /// What is there before and after the repeated byte.
    pub bytes: &'a [u8],
    /// Where the repeated byte lies, and how often.
    pub hole: Range<u64>,
    pub fill: u8,
    /// Bytes that the listing promises and that are not there.
    pub lost: u64,
}

impl<'a> Blob<'a> {
    /// A blob of just these bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, hole: 0..0, fill: 0, lost: 0 }
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64 + (self.hole.end - self.hole.start)
    }

    /// The size that is listed.
    pub fn listed(&self) -> u64 {
        self.len() + self.lost
    }

    /// The bytes from `start` on and before `end`, as far as they exist.
    fn read(&self, start: u64, end: u64) -> Bytes {
        let end = end.min(self.len());
        if start >= end {
            return Bytes::new();
        }
        let hole = self.hole.end - self.hole.start;
        let mut bytes = Vec::new();
        if start < self.hole.start {
            bytes.extend_from_slice(&self.bytes[start as usize..end.min(self.hole.start) as usize]);
        }
        let in_hole = end.min(self.hole.end).saturating_sub(start.max(self.hole.start));
        bytes.resize(bytes.len() + in_hole as usize, self.fill);
        if end > self.hole.end {
            bytes.extend_from_slice(
                &self.bytes[(start.max(self.hole.end) - hole) as usize..(end - hole) as usize],
            );
        }
        bytes.into()
    }
}

/// What was asked of a blob so far.
#[derive(Default)]
pub struct Asks {
    /// The ends of what was given, by their starts.
    given: BTreeMap<u64, u64>,
    asks: u32,
    read: u64,
    /// Where an answer that was cut ended.
    rest_from: Option<u64>,
}

impl Asks {
    /// Answers an ask with at most `len` bytes, and checks everything that [`Probe`] promises about its asks.
    pub fn answer(&mut self, blob: &Blob, range: ByteRange, len: u64) -> Bytes {
        let (start, end) = (range.start(), range.end());
        assert!(start < end && end <= blob.listed(), "{range} of {} bytes", blob.listed());
        let before = self.given.range(..end).next_back();
        assert!(before.is_none_or(|(_, given)| *given <= start), "{range} was given before");
        // An ask for what an answer left out is no ask of its own.
        if self.rest_from != Some(start) {
            self.asks += 1;
            assert!(self.asks <= MAX_ASKS + MAX_READS, "{} asks", self.asks);
        }
        let answer = blob.read(start, start + len.clamp(1, end - start));
        let got = start..start + answer.len() as u64;
        self.read += got.end - got.start;
        self.rest_from = (!got.is_empty() && got.end < end).then_some(got.end);
        if !got.is_empty() {
            self.given.insert(got.start, got.end);
        }
        answer
    }
}

/// Runs a probe over a blob and cuts each answer to the length that `cut` gives for what is still asked for. Gives back the
/// facts and the number of bytes that were read.
pub fn probed(blob: &Blob, extension: Option<&str>, mut cut: impl FnMut(u64) -> u64) -> (Facts, u64) {
    let want = Want { containers: true, outline: true, ..Want::default() };
    let (mut probe, mut step) = Probe::wanting(want, blob.listed(), extension);
    let mut asks = Asks::default();
    loop {
        step = match step {
            Step::Done(facts) => {
                check_outline(&probe);
                return (facts, asks.read);
            }
            Step::Need(range) => {
                if asks.asks.is_power_of_two() {
                    check_outline(&probe);
                }
                let (before, held) = (probe.work(), probe.held() + range.len());
                let step = probe.step(asks.answer(blob, range, cut(range.len())));
                let work = u64::from(probe.work() - before);
                assert!(work <= WORK + WORK_PER_BYTE * held, "{work} steps on {held} bytes");
                step
            }
        };
    }
}

fn check_outline(probe: &Probe) {
    let nodes = probe.outline();
    assert!(nodes.len() <= MAX_NODES, "{} nodes", nodes.len());
    for node in nodes {
        assert!(node.name.len() + node.note.len() <= MAX_LETTERS, "{node:?}");
    }
}
