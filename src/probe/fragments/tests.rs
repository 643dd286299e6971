use super::*;
use crate::model::{Facts, Gap};
use crate::probe::{MAX_READS, Probe, Step, Want};
use bytes::Bytes;

/// Number of frames in the movie header's own sample table.
const OWN: u64 = 30;

/// Returns the start of a fragmented file: `ftyp`, and a `moov` that announces fragments.
fn head() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo/videos/from-ffmpeg.mp4");
    let file = std::fs::read(path).expect("the demo container is there");
    let at = file.windows(4).position(|kind| kind == b"moov").expect("it has a header") - 4;
    let len = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    let moov = [&file[at + 8..at + len], &boxed(b"mvex", b"")].concat();
    [boxed(b"ftyp", b"mp42\0\0\0\0mp42isom"), boxed(b"moov", &moov)].concat()
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

/// Returns a fragment with this many samples, whose `moof` has `padding` extra bytes.
fn fragment(samples: u32, padding: usize, mdat: usize) -> Vec<u8> {
    let tfhd = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
    let trun = boxed(b"trun", &[&[0; 4][..], &samples.to_be_bytes()].concat());
    let traf = boxed(b"traf", &[tfhd, trun, boxed(b"free", &vec![0; padding])].concat());
    [boxed(b"moof", &traf), boxed(b"mdat", &vec![0; mdat])].concat()
}

fn sidx(lengths: impl ExactSizeIterator<Item = u32>) -> Vec<u8> {
    let mut body = vec![0; 22];
    body.extend((lengths.len() as u16).to_be_bytes());
    lengths.for_each(|len| body.extend([&len.to_be_bytes()[..], &[0; 8]].concat()));
    boxed(b"sidx", &body)
}

/// Returns an index of version 1 with one-byte numbers.
fn mfra(offsets: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    body.extend((offsets.len() as u32).to_be_bytes());
    offsets.for_each(|at| body.extend([&[0; 8], &at.to_be_bytes()[..], &[1; 3]].concat()));
    let tfra = boxed(b"tfra", &body);
    let len = tfra.len() as u32 + 24;
    boxed(b"mfra", &[tfra, boxed(b"mfro", &[[0; 4], len.to_be_bytes()].concat())].concat())
}

/// Returns the facts, and the length of each read.
fn probed(file: &[u8]) -> (Facts, Vec<u64>) {
    probed_within(MAX_READS, file)
}

fn probed_within(max_reads: u32, file: &[u8]) -> (Facts, Vec<u64>) {
    probed_from(max_reads, file.len() as u64, |from, to| file[from as usize..to as usize].to_vec())
}

fn probed_from(max_reads: u32, size: u64, read: impl Fn(u64, u64) -> Vec<u8>) -> (Facts, Vec<u64>) {
    let want = Want { max_reads, ..Want::default() };
    let (mut probe, mut step) = Probe::wanting(want, size, Some("mp4"));
    let mut reads = Vec::new();
    loop {
        assert!(probe.held() < 1 << 20, "{} bytes are held", probe.held());
        match step {
            Step::Done(facts) => return (facts, reads),
            Step::Need(range) => {
                reads.push(range.len());
                step = probe.step(Bytes::from(read(range.start(), range.end())));
            }
        }
    }
}

fn frames(facts: &Facts) -> Option<u64> {
    facts.video.as_ref().and_then(|video| video.tracks.first()?.frames)
}

#[test]
fn a_fragment_takes_one_read_and_none_of_its_samples() {
    for padding in [0, 9000] {
        let file = [head(), fragment(7, padding, 200_000).repeat(20)].concat();
        let (facts, reads) = probed(&file);
        assert_eq!(frames(&facts), Some(OWN + 140));
        // The first read contains the first fragment's header, or shows where it starts.
        assert!(reads.len() <= 21, "{reads:?}");
        assert!(reads.iter().all(|len| *len <= MAX_HEADERS), "{reads:?}");
    }
}

#[test]
fn short_fragments_are_read_together() {
    let file = [head(), fragment(1, 0, 60).repeat(10_000)].concat();
    let (facts, reads) = probed(&file);
    assert_eq!(frames(&facts), Some(OWN + 10_000));
    assert!(reads.len() < 12, "{reads:?}");
}

/// More than two hours from a recorder that writes one fragment per second at 1 Mbit/s: `fragments` identical
/// ones, with only the first bytes not zero.
fn recording(fragments: u64) -> (u64, impl Fn(u64, u64) -> Vec<u8>) {
    let (head, one) = (head(), fragment(30, 0, 125_000));
    let size = head.len() as u64 + one.len() as u64 * fragments;
    let read = move |from: u64, to: u64| {
        let byte = |at: u64| match at.checked_sub(head.len() as u64) {
            None => head[at as usize],
            Some(at) => one[at as usize % one.len()],
        };
        (from..to).map(byte).collect()
    };
    (size, read)
}

#[test]
fn an_hour_in_fragments_of_a_second_comes_to_its_count() {
    let (size, read) = recording(3600);
    let (facts, reads) = probed_from(MAX_READS, size, read);
    assert_eq!((facts.gap, frames(&facts)), (None, Some(OWN + 3600 * 30)));
    assert!(reads.len() <= 3600 && reads.iter().sum::<u64>() <= 3600 * JUMP, "{} reads", reads.len());
}

#[test]
fn a_recording_that_is_too_long_tells_what_its_count_takes() {
    let (size, read) = recording(3600);
    let (facts, reads) = probed_from(100, size, &read);
    assert_eq!((facts.gap, frames(&facts), reads.len()), (Some(Gap::TooManyFragments), None, 101));
    let cost = facts.gap_cost.expect("the count is known");
    assert!((3500..3700).contains(&cost.reads) && cost.bytes == cost.reads * JUMP, "{cost:?}");
    let (facts, reads) = probed_from(cost.reads as u32, size, read);
    assert_eq!((facts.gap, frames(&facts)), (None, Some(OWN + 3600 * 30)));
    assert!(reads.len() as u64 <= cost.reads + 1);
}

#[test]
fn a_fragment_that_is_cut_off_is_told_and_one_whose_header_is_not_counts() {
    let whole = [head(), fragment(7, 0, 200_000).repeat(3)].concat();
    let one = fragment(7, 0, 200_000).len();
    for (cut, counted) in [(1000, 21), (one - 20, 14), (one - 4, 14)] {
        let (facts, _) = probed(&whole[..whole.len() - cut]);
        assert_eq!((frames(&facts), &facts.malformed), (Some(OWN + counted), &None), "{cut} bytes less");
        assert_eq!(facts.truncated.is_some(), cut < one - 8, "{cut} bytes less");
    }
    assert_eq!(probed(&whole).0.truncated, None);
}

/// Returns the read limit in these tests, and a file with more fragments than that, each at this offset.
const FEW: u32 = 64;
fn many() -> (Vec<u8>, Vec<u64>) {
    let one = fragment(1, 0, DENSE as usize);
    let offsets = (0..=u64::from(FEW)).map(|at| (head().len() + one.len() * at as usize) as u64);
    (one.repeat(FEW as usize + 1), offsets.collect())
}

#[test]
fn a_map_of_too_many_fragments_spares_the_walk() {
    let (many, offsets) = many();
    let lengths: Vec<_> = offsets.iter().map(|_| (many.len() / offsets.len()) as u32).collect();
    let index = sidx(lengths.into_iter());
    let with_map = [head(), many.clone(), mfra(offsets.into_iter())].concat();
    let with_index = [head(), index, many].concat();
    for file in [with_index, with_map] {
        let (facts, reads) = probed_within(FEW, &file);
        assert_eq!((facts.gap, frames(&facts)), (Some(Gap::TooManyFragments), None));
        assert_eq!(facts.gap_cost.map(|cost| cost.reads), Some(u64::from(FEW) + 1));
        assert!(reads.len() <= MAP_AFTER + 4, "{reads:?}");
        assert_eq!(frames(&probed_within(FEW + 4, &file).0), Some(OWN + u64::from(FEW) + 1));
    }
}

#[test]
fn a_map_that_disagrees_is_not_believed() {
    let (many, offsets) = many();
    for lie in [0, 1, DENSE as u32, u32::MAX] {
        let index = sidx(vec![lie; 600].into_iter());
        let map = mfra((0..600).map(|at| u64::from(lie) * at).collect::<Vec<_>>().into_iter());
        let late = mfra(offsets.iter().map(|at| at + 8).collect::<Vec<_>>().into_iter());
        let files = [
            [&head()[..], &index, &many].concat(),
            [&head()[..], &many, &map].concat(),
            [&head()[..], &many, &late].concat(),
        ];
        for file in files {
            let (facts, reads) = probed_within(FEW, &file);
            // It gives up only when no reads are left.
            assert_eq!(facts.gap, Some(Gap::TooManyFragments));
            assert_eq!(reads.len(), FEW as usize + 1);
        }
    }
}

#[test]
fn a_first_sample_in_a_fragment_shows_the_pixel_format() {
    // A 4:2:0 Baseline set, after its length, where the description has none.
    let sample = [&[0, 0, 0, 10][..], &[0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xF6, 0x80, 0x6D]].concat();
    let mut head = head();
    let at = head.windows(4).position(|kind| kind == b"avcC").expect("a configuration");
    head[at + 4 + 5] &= 0xE0;
    // No samples of its own.
    let stco = head.windows(4).position(|kind| kind == b"stco").expect("a table");
    head[stco + 8..stco + 12].fill(0);
    let traf = |offset: u32| {
        let tfhd = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
        let trun = boxed(b"trun", &[&[0, 0, 0, 1, 0, 0, 0, 1][..], &offset.to_be_bytes()].concat());
        boxed(b"moof", &boxed(b"traf", &[tfhd, trun].concat()))
    };
    let moof = traf(traf(0).len() as u32 + 8);
    let file = [head, moof, boxed(b"mdat", &sample)].concat();
    let (facts, _) = probed(&file);
    let video = facts.video.expect("a video");
    assert_eq!(video.tracks[0].pixel_format.as_deref(), Some("yuv420p"));
}
