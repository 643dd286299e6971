//! Pixel formats from the frame headers of formats for recording and editing: DV, DNxHD, CineForm and ProRes.

/// Returns the sampling of a DV frame (SMPTE ST 314 and 370): by system and signal type, the way ffmpeg distinguishes
/// the profiles.
pub(super) fn dv(frame: &[u8]) -> Option<&'static str> {
    // The header block, and the pack that describes the video, in the sixth block of 80 bytes.
    let [0x1F, 7, 0, system, track, ..] = frame else { return None };
    let signal = frame.get(5 * 80 + 48 + 3)? & 0x1F;
    Some(match (system >> 7, signal) {
        // European consumer DV differs from DVCPRO in its application ID.
        (1, 0) if track & 7 == 0 => "yuv420p",
        (_, 0) => "yuv411p",
        (1, 1) => "yuv420p",
        (_, 0x04 | 0x14 | 0x18) => "yuv422p",
        _ => return None,
    })
}

/// Reads depth, subsampling and color space of a DNxHD or DNxHR frame (SMPTE ST 2019-1, 7.3).
pub(super) fn dnxhd(frame: &[u8]) -> Option<&'static str> {
    let [0, 0, 2, 0x80, 1..=3, ..] = frame else { return None };
    let (depth, colour) = (frame.get(0x21)? >> 5, frame.get(0x2C)?);
    Some(match (colour & 0x40 != 0, colour & 1 != 0, depth) {
        (false, _, 1) => "yuv422p",
        (false, _, 2) => "yuv422p10le",
        (false, _, 3) => "yuv422p12le",
        (true, true, 2) => "yuv444p10le",
        (true, true, 3) => "yuv444p12le",
        (true, false, 2) => "gbrp10le",
        (true, false, 3) => "gbrp12le",
        _ => return None,
    })
}

/// Reads the encoded format of a CineForm sample (SMPTE ST 2073-1, annex B), one of its tag-value pairs.
pub(super) fn cineform(sample: &[u8]) -> Option<&'static str> {
    const ENCODED_FORMAT: u16 = 84;
    const LOWPASS: u16 = 26;
    let (pairs, _) = sample.as_chunks::<4>();
    let mut pairs =
        pairs.iter().map(|[t1, t0, v1, v0]| (u16::from_be_bytes([*t1, *t0]), u16::from_be_bytes([*v1, *v0])));
    // The sample marker, then its content.
    if pairs.next()?.0 != 1 {
        return None;
    }
    match pairs.take_while(|(tag, _)| *tag != LOWPASS).find(|(tag, _)| *tag == ENCODED_FORMAT) {
        None | Some((_, 1)) => Some("yuv422p10le"),
        Some((_, 2)) => Some("bayer_rggb16le"),
        Some((_, 3)) => Some("gbrp12le"),
        Some((_, 4)) => Some("gbrap12le"),
        Some(_) => None,
    }
}

/// Reads chroma and alpha of a 12-bit ProRes 4444 frame (SMPTE RDD 36, 5.1.1).
pub(super) fn prores_4444(frame: &[u8]) -> Option<&'static str> {
    let [_, _, _, _, b'i', b'c', b'p', b'f', ..] = frame else { return None };
    let (chroma, alpha) = (frame.get(20)? >> 6, frame.get(25)? & 15);
    Some(match (chroma, alpha) {
        (3, 0) => "yuv444p12le",
        (3, _) => "yuva444p12le",
        (_, 0) => "yuv422p12le",
        (_, _) => "yuva422p12le",
    })
}
