//! Detects the format from the first bytes.

use super::view::{Parse, View};
use super::{h264, h265, mp4, sample};
use crate::model::Format;

/// Bytes that contain every signature below, after what some recorders write first.
const HEAD: u64 = 1024;
/// Maximum boxes skipped before `ftyp`.
const MAX_LEADING_BOXES: u32 = 8;
/// Length of an MPEG transport stream packet (ISO/IEC 13818-1, 2.4.3.2); M2TS puts 4 bytes before each.
const TS_PACKET: usize = 188;

/// Detects the format from the start of a blob; [`Format::Unknown`] if no known signature matches.
pub(super) fn format(view: View<'_>) -> Parse<Format> {
    let head = view.head(HEAD)?;
    Ok(match head {
        [0xFF, 0xD8, 0xFF, ..] => Format::Jpeg,
        [0xFF, 0x4F, 0xFF, 0x51, ..] => Format::Jp2,
        [0xFF, 0x0A, ..] => Format::Jxl,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Format::Png,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::Webp,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Format::Avi,
        _ if is_raw(head) => Format::Raw,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
        [b'B', b'M', ..] if is_bmp(head) => Format::Bmp,
        [b'8', b'B', b'P', b'S', 0, 1 | 2, ..] => Format::Psd,
        [0x1A, 0x45, 0xDF, 0xA3, ..] if is_webm(head) => Format::Webm,
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Format::Matroska,
        [b'F', b'L', b'V', 1, ..] => Format::Flv,
        [0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, ..] => Format::Asf,
        [b'O', b'g', b'g', b'S', ..] => Format::Ogg,
        [0, 0, 1, 0xBA | 0xB3, ..] => Format::MpegPs,
        [b'D', b'H', b'A', b'V', ..] | [b'D', b'A', b'H', b'U', b'A', ..] => Format::Dhav,
        [b'.', b'R', b'M', b'F' | 0, ..] | [b'.', b'r', b'a', 0xFD, ..] => Format::Rm,
        [0x06, 0x0E, 0x2B, 0x34, 0x02, 0x05, 0x01, 0x01, 0x0D, 0x01, 0x02, ..] => Format::Mxf,
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] => match head.get(16..24) {
            Some(b"ftypmjp2" | b"ftypmj2s") => Format::Mj2,
            _ => Format::Jp2,
        },
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Format::Jxl,
        [_, _, _, _, b'f', b't', b'y', b'p', rest @ ..] => of_brands(head, rest),
        _ if is_transport_stream(head) => Format::MpegTs,
        _ => match elementary_stream(head)
            .map_or_else(|| behind_other_boxes(view), |format| Ok(Some(format)))?
        {
            Some(format) => format,
            None if holds_program_stream(head) => Format::MpegPs,
            None => Format::Unknown,
        },
    })
}

/// Detects the family of an ISO base media file whose `ftyp` comes after other boxes or is missing; `None` for other
/// files. Every box must be within the file and have a plausible type.
fn behind_other_boxes(view: View<'_>) -> Parse<Option<Format>> {
    let (mut at, mut without_brand) = (0, None);
    for _ in 0..MAX_LEADING_BOXES {
        let left = view.size() - at;
        if left < 8 {
            break;
        }
        let [s0, s1, s2, s3, kind @ ..] = view.array::<8>(at, "file")?;
        let size = u64::from(u32::from_be_bytes([s0, s1, s2, s3]));
        if kind == *b"moov" || (at == 0 && is_quicktime_box(&kind)) {
            without_brand = Some(Format::Mov);
        }
        match &kind {
            b"ftyp" if size >= 8 => {
                let head = view.bytes(at, size.min(left).min(HEAD), "file")?;
                return Ok(head.get(8..).map(|brands| of_brands(head, brands)));
            }
            // Sample data is long, and no image starts with it.
            b"moov" | b"mdat" => break,
            _ => {}
        }
        if size < 8 || size > left || !kind.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            break;
        }
        at += size;
    }
    Ok(without_brand)
}

/// Returns whether the `DocType` of an EBML header (RFC 8794, 11.2.4) is WebM's.
fn is_webm(head: &[u8]) -> bool {
    const DOC_TYPE: [u8; 2] = [0x42, 0x82];
    let Some(at) = head.windows(2).position(|id| id == DOC_TYPE) else { return false };
    matches!(head.get(at + 2..), Some([0x84, b'w', b'e', b'b', b'm', ..]))
}

/// Detects raw H.264 or HEVC by a complete parameter set after a start code, preceded only by units that may come
/// before it.
fn elementary_stream(head: &[u8]) -> Option<Format> {
    let ([0, 0, 1, first, ..] | [0, 0, 0, 1, first, ..]) = head else { return None };
    // The first bit of a unit is always 0.
    if first & 0x80 != 0 {
        return None;
    }
    if sample::unit_behind_start_code(head, h264::classify).is_some_and(|set| h264::planes(set).is_some()) {
        return Some(Format::H264);
    }
    let set = sample::unit_behind_start_code(head, h265::classify)?;
    h265::planes(set).is_some().then_some(Format::Hevc)
}

/// Returns whether these bytes contain the pack header of a program stream (ISO/IEC 13818-1, 2.5.3.3; MPEG-1:
/// 11172-1, 2.4.3.2), after what a recorder may write first, followed by another start code.
fn holds_program_stream(head: &[u8]) -> bool {
    let is_pack = |at: usize| {
        let behind = match head.get(at + 4..) {
            Some([first, ..]) if first & 0xC4 == 0x44 => match head.get(at + 13) {
                Some(stuffing) => at + 14 + usize::from(stuffing & 7),
                None => return false,
            },
            Some([first, ..]) if first & 0xF1 == 0x21 => at + 12,
            _ => return false,
        };
        matches!(head.get(behind..), Some([0, 0, 1, 0xB9..=0xFF, ..]))
    };
    head.windows(4).enumerate().any(|(at, code)| code == [0, 0, 1, 0xBA] && is_pack(at))
}

/// Detects the family of an ISO base media file from the brands of its `ftyp` box (ISO/IEC 14496-12, 4.3).
fn of_brands(head: &[u8], brands: &[u8]) -> Format {
    let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    // With a 64-bit size, the brands start eight bytes later.
    let brands = if size == 1 { brands.get(8..).unwrap_or(&[]) } else { brands };
    let Some(major) = brands.first_chunk::<4>() else { return Format::Mp4 };
    let body = (size as usize).saturating_sub(8).min(brands.len());
    // A file with a minimized header has a brand instead of the minor version (ISO/IEC 23008-12, third edition).
    let others = if major == b"mif3" { brands.get(4..body) } else { brands.get(8..body) };
    let mut others = others.unwrap_or(&[]).chunks_exact(4);
    match major {
        b"crx " => Format::Cr3,
        b"jp2 " | b"jpx " | b"jpm " => Format::Jp2,
        _ if is_video_brand(major) => mp4::family(*major),
        _ if is_heif_brand(major) || others.clone().any(is_heif_brand) => {
            let is_avif = is_avif_brand(major) || (!is_hevc_brand(major) && others.any(is_avif_brand));
            if is_avif { Format::Avif } else { Format::Heif }
        }
        _ => mp4::family(*major),
    }
}

/// Brands of movies. Such a file may also have image brands if it contains a still picture.
fn is_video_brand(brand: &[u8]) -> bool {
    matches!(
        brand,
        b"isom"
            | b"iso2"
            | b"iso3"
            | b"iso4"
            | b"iso5"
            | b"iso6"
            | b"iso7"
            | b"iso8"
            | b"iso9"
            | b"isoa"
            | b"isob"
            | b"isoc"
            | b"mp41"
            | b"mp42"
            | b"mp71"
            | b"avc1"
            | b"dash"
            | b"msdh"
            | b"cmfc"
            | b"mjp2"
            | b"mj2s"
            | b"XAVC"
            | b"MSNV"
            | b"qt  "
            | [b'3', b'g', ..]
            | [b'M', b'4', b'A' | b'B' | b'P' | b'V', _]
            | [b'F', b'4', ..]
    )
}

/// Brands of HEIF and its codecs, including AVIF (ISO/IEC 23008-12, annexes B, E, F, G, J, L and M; ISO/IEC 23000-22;
/// ISO/IEC 23001-17; AVIF 1.1, 8 and 9).
fn is_heif_brand(brand: &[u8]) -> bool {
    is_avif_brand(brand)
        || is_hevc_brand(brand)
        || matches!(
            brand,
            b"mif1"
                | b"mif2"
                | b"mif3"
                | b"msf1"
                | b"1pic"
                | b"avci"
                | b"avcs"
                | b"vvic"
                | b"vvis"
                | b"evbi"
                | b"evmi"
                | b"evbs"
                | b"evms"
                | b"jpeg"
                | b"jpgs"
                | b"j2ki"
                | b"j2is"
                | b"unif"
                | b"miaf"
                | [b'M', b'i', b'H' | b'P' | b'A' | b'B' | b'C', _]
        )
}

fn is_hevc_brand(brand: &[u8]) -> bool {
    matches!(brand, b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs")
}

fn is_avif_brand(brand: &[u8]) -> bool {
    matches!(brand, b"avif" | b"avis" | b"avio" | b"MA1A" | b"MA1B")
}

/// Boxes that a QuickTime file without `ftyp` may start with (QuickTime File Format, "Movie files").
fn is_quicktime_box(kind: &[u8; 4]) -> bool {
    matches!(kind, b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" | b"uuid" | b"styp")
}

/// Signatures of camera raw files: Canon, Phase One, Olympus, Panasonic and Leica, Fujifilm, Minolta, Sigma. Other
/// raw files look like TIFF and are recognized by their directory.
fn is_raw(head: &[u8]) -> bool {
    match head {
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => {
            head.get(8..10) == Some(b"CR") || matches!(head.get(8..12), Some(b"IIII" | b"MMMM"))
        }
        [b'I', b'I', 0x1A, 0, ..] => head.get(6..14) == Some(b"HEAPCCDR"),
        [b'I', b'I', b'R', b'O' | b'S', ..] | [b'M', b'M', b'O', b'R', ..] | [b'I', b'I', b'U', 0, ..] => {
            true
        }
        _ => [&b"FUJIFILMCCD-RAW"[..], b"\0MRM", b"FOVb"].iter().any(|mark| head.starts_with(mark)),
    }
}

/// Many texts start with `BM`, so the size of the second header must be a defined one as well.
fn is_bmp(head: &[u8]) -> bool {
    matches!(head.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// Returns whether two consecutive packets have a sync byte.
fn is_transport_stream(head: &[u8]) -> bool {
    let sync = |at: usize| head.get(at) == Some(&0x47);
    (sync(0) && sync(TS_PACKET)) || (sync(4) && sync(4 + TS_PACKET + 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::view::Store;
    use bytes::Bytes;

    fn sniffed(head: &[u8]) -> Format {
        let mut store = Store::new(head.len() as u64);
        store.insert(0, Bytes::copy_from_slice(head));
        format(store.view()).expect("the whole blob is known")
    }

    #[test]
    fn brands_tell_images_from_videos() {
        let ftyp = |major: &[u8], compatible: &[u8]| {
            let size = (16 + compatible.len()) as u32;
            [&size.to_be_bytes()[..], b"ftyp", major, &[0; 4], compatible].concat()
        };
        assert_eq!(sniffed(&ftyp(b"mp42", b"mp42isom")), Format::Mp4);
        assert_eq!(sniffed(&ftyp(b"qt  ", b"qt  ")), Format::Mov);
        assert_eq!(sniffed(&ftyp(b"3gp4", b"")), Format::ThreeGp);
        assert_eq!(sniffed(&ftyp(b"mif1", b"heicmif1")), Format::Heif);
        assert_eq!(sniffed(&ftyp(b"mif1", b"mif1avif")), Format::Avif);
        for major in [b"avci", b"miaf", b"avio", b"MA1B", b"????"] {
            assert_eq!(sniffed(&ftyp(major, b"avifmif1miaf")), Format::Avif, "{}", major.escape_ascii());
        }
        for major in [b"avci", b"j2ki", b"jpeg", b"vvic", b"unif", b"1pic", b"miaf", b"????"] {
            assert_eq!(sniffed(&ftyp(major, b"mif1")), Format::Heif, "{}", major.escape_ascii());
        }
        assert_eq!(sniffed(b"\0\0\0\x10ftypmif3avif"), Format::Avif);
        assert_eq!(sniffed(&ftyp(b"heic", b"heicmif1avif")), Format::Heif);
        assert_eq!(sniffed(&ftyp(b"mp42", b"mp42mif1")), Format::Mp4, "a movie with a still picture");
        assert_eq!(sniffed(&ftyp(b"????", b"iso8")), Format::Mp4);
        assert_eq!(sniffed(b"\0\0\0\x08ftyp"), Format::Mp4);
        let wide = [&1u32.to_be_bytes()[..], b"ftyp", &24u64.to_be_bytes(), b"avif", &[0; 4]].concat();
        assert_eq!(sniffed(&wide), Format::Avif);
    }

    #[test]
    fn raw_files_are_known_by_their_makers_marks() {
        for head in [
            &b"II\x2a\0\x10\0\0\0CR\x02\0"[..],
            b"II\x2a\0\x08\0\0\0IIII",
            b"II\x1a\0\0\0HEAPCCDR",
            b"IIRO\x08\0\0\0",
            b"MMOR\0\0\0\x08",
            b"IIU\0\x18\0\0\0",
            b"FUJIFILMCCD-RAW 0201",
            b"\0MRM\0\0",
            b"FOVb\0\0\x02\0",
        ] {
            assert_eq!(sniffed(head), Format::Raw, "{}", head.escape_ascii());
        }
        assert_eq!(sniffed(b"II\x2a\0\x08\0\0\0\x0f\0"), Format::Tiff);
    }

    #[test]
    fn text_is_no_media() {
        for text in ["BMW is a car", "", "F", "{\"a\": 1}", "GIF", "MM", "%PDF-1.7"] {
            assert_eq!(sniffed(text.as_bytes()), Format::Unknown, "{text}");
        }
    }

    #[test]
    fn a_transport_stream_needs_two_sync_bytes() {
        let mut packets = vec![0u8; 400];
        packets[0] = 0x47;
        assert_eq!(sniffed(&packets), Format::Unknown);
        packets[188] = 0x47;
        assert_eq!(sniffed(&packets), Format::MpegTs);
    }
}
