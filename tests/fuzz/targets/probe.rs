//! Any bytes, as any blob: the probe ends, keeps to its promises, and answers the same however the bytes are cut.
//!
//! The input is the blob, then 22 bytes of control, so that a file with zeros behind it is a seed.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use presync_fuzz::{Blob, probed};

const EXTENSIONS: [Option<&str>; 8] =
    [None, Some("jpg"), Some("png"), Some("webp"), Some("heic"), Some("tif"), Some("mp4"), Some("dat")];
/// Pieces that a run's reads are cut into, about: bytes where few are read, longer ones where more are, so that a long
/// input takes no more time.
const MAX_PIECES: u64 = 256;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((bytes, control)) = input.split_last_chunk::<22>() else { return Corpus::Reject };
    let number = |at: usize, len: usize| {
        control[at..at + len].iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let extension = EXTENSIONS[control[0] as usize % EXTENSIONS.len()];
    let sizes = [number(1, 2), number(3, 2), number(5, 2), number(7, 2)];
    let hole_start = number(9, 3) % (bytes.len() as u64 + 1);
    let hole = hole_start..hole_start + number(12, 5);
    let blob = Blob { bytes, hole, fill: control[17], lost: number(18, 4) };

    let (facts, read) = probed(&blob, extension, |asked| asked);
    let least = read / MAX_PIECES + 1;
    let (in_bytes, _) = probed(&blob, extension, |_| least);
    assert_eq!(in_bytes, facts, "in pieces of {least}");
    let mut next = sizes.iter().cycle();
    let (in_pieces, _) = probed(&blob, extension, |_| next.next().map_or(1, |size| (*size).max(least)));
    assert_eq!(in_pieces, facts, "in pieces of {sizes:?}");
    Corpus::Keep
});
