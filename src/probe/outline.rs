//! The structure of a blob as far as its bytes were read: segments, chunks, directories and boxes with their offsets.

use super::bmff::{Bmff, Boxes};
use super::view::{Parse, Stop, View};
use super::{jpeg, sniff, tiff};
use crate::model::Format;

/// Maximum nodes of an outline; further ones are left out.
const MAX_NODES: usize = 1000;
/// Maximum nesting of boxes. The deepest that matters, a box in a sample entry, is on the eighth level.
const MAX_DEPTH: u8 = 10;

/// One part of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its depth in the outline, from 0.
    pub depth: u8,
    /// Offset of its first byte.
    pub at: u64,
    /// Its length in bytes, with its header.
    pub len: u64,
    /// Its name, such as `APP1` or `moov`.
    pub name: String,
    /// A short note on its content, if known.
    pub note: String,
}

/// Returns the outline of the known bytes of a blob. If the outline ends where the bytes that were read end, its last
/// node says so.
pub(super) fn outline(view: View<'_>) -> Vec<Node> {
    let mut nodes = Nodes(Vec::new());
    let walked = sniff::format(view).and_then(|format| match format {
        Format::Jpeg => jpeg_segments(view, &mut nodes),
        Format::Png => png_chunks(view, &mut nodes),
        Format::Webp => webp_chunks(view, &mut nodes),
        Format::Tiff => tiff_directory(view, 0, view.size(), 0, &mut nodes),
        Format::Mp4
        | Format::Mov
        | Format::ThreeGp
        | Format::Mj2
        | Format::Heif
        | Format::Avif
        | Format::Cr3 => boxes(view, Boxes::new(view, 0, view.size()), 0, &mut nodes),
        _ => Ok(()),
    });
    match walked {
        Err(Stop::Need { at, .. } | Stop::Hop { at, .. } | Stop::Wish { at, .. }) => {
            nodes.add(0, at, 0, "…", "not read")
        }
        Err(Stop::Malformed(damage)) => nodes.add(0, damage.offset, 0, damage.part, damage.fault),
        Err(Stop::Gap(_)) | Ok(()) => {}
    }
    nodes.0
}

struct Nodes(Vec<Node>);

impl Nodes {
    fn add(&mut self, depth: u8, at: u64, len: u64, name: impl Into<String>, note: impl Into<String>) {
        if self.0.len() < MAX_NODES {
            self.0.push(Node { depth, at, len, name: name.into(), note: note.into() });
        }
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MAX_NODES
    }
}

fn jpeg_segments(view: View<'_>, nodes: &mut Nodes) -> Parse<()> {
    nodes.add(0, 0, 2, "SOI", "");
    let mut at = 2;
    while !nodes.is_full() {
        let (marker, start) = jpeg::marker(view, at)?;
        let name = segment_name(marker);
        if matches!(marker, 0x01 | 0xD0..=0xD9) {
            nodes.add(0, start, 2, name, "");
            if marker == 0xD9 {
                return Ok(());
            }
            at = start + 2;
            continue;
        }
        let len = u64::from(u16::from_be_bytes(view.array(start + 2, "JPEG segment")?));
        let signature =
            view.bytes(start + 4, len.saturating_sub(2).min(28), "JPEG segment").unwrap_or_default();
        let is_application = (0xE0..=0xEF).contains(&marker);
        let note: String = match signature.split(|byte| *byte == 0).next() {
            Some(text) if is_application => text.escape_ascii().to_string(),
            _ => String::new(),
        };
        nodes.add(0, start, len + 2, name, note);
        if marker == 0xE1
            && let Some(prefix) = jpeg::exif_identifier(signature)
        {
            tiff_directory(view, start + 4 + prefix, start + 2 + len, 1, nodes)?;
        }
        if marker == 0xDA {
            return Ok(());
        }
        at = start + 2 + len;
    }
    Ok(())
}

/// Returns the marker's name (ITU-T T.81, table B.1).
fn segment_name(marker: u8) -> String {
    match marker {
        0xC4 => "DHT".into(),
        0xC8 => "JPG".into(),
        0xCC => "DAC".into(),
        0xC0..=0xCF => format!("SOF{}", marker - 0xC0),
        0xD0..=0xD7 => format!("RST{}", marker - 0xD0),
        0xD8 => "SOI".into(),
        0xD9 => "EOI".into(),
        0xDA => "SOS".into(),
        0xDB => "DQT".into(),
        0xDD => "DRI".into(),
        0xE0..=0xEF => format!("APP{}", marker - 0xE0),
        0xFE => "COM".into(),
        _ => format!("marker {marker:02X}"),
    }
}

fn png_chunks(view: View<'_>, nodes: &mut Nodes) -> Parse<()> {
    let mut at = 8;
    while at < view.size() && !nodes.is_full() {
        let [l0, l1, l2, l3, kind @ ..] = view.array::<8>(at, "PNG chunk")?;
        let len = u64::from(u32::from_be_bytes([l0, l1, l2, l3]));
        nodes.add(0, at, len + 12, kind.escape_ascii().to_string(), "");
        if &kind == b"eXIf" {
            tiff_directory(view, at + 8, at + 8 + len, 1, nodes)?;
        }
        at += len + 12;
    }
    Ok(())
}

fn webp_chunks(view: View<'_>, nodes: &mut Nodes) -> Parse<()> {
    let mut at = 12;
    while at + 8 <= view.size() && !nodes.is_full() {
        let [k0, k1, k2, k3, length @ ..] = view.array::<8>(at, "WebP chunk")?;
        let len = u64::from(u32::from_le_bytes(length));
        nodes.add(0, at, len + 8, [k0, k1, k2, k3].escape_ascii().to_string(), "");
        if &[k0, k1, k2, k3] == b"EXIF" {
            tiff_directory(view, at + 8, at + 8 + len, 1, nodes)?;
        }
        at += 8 + len + (len & 1);
    }
    Ok(())
}

fn tiff_directory(view: View<'_>, start: u64, end: u64, depth: u8, nodes: &mut Nodes) -> Parse<()> {
    for entry in tiff::entries(view, start, end)? {
        if nodes.is_full() {
            break;
        }
        let name = format!("tag 0x{:04X}", entry.tag);
        let value = entry.value.map(|value| value.to_string()).unwrap_or_default();
        let note = match entry.tag {
            tiff::ORIENTATION => format!("Orientation {value}"),
            tiff::IMAGE_WIDTH => format!("ImageWidth {value}"),
            tiff::IMAGE_LENGTH => format!("ImageLength {value}"),
            _ => value,
        };
        nodes.add(depth, entry.at, entry.len, name, note);
    }
    Ok(())
}

fn boxes(view: View<'_>, mut list: Boxes<'_>, depth: u8, nodes: &mut Nodes) -> Parse<()> {
    while let Some(found) = list.next()? {
        if nodes.is_full() {
            return Ok(());
        }
        let note = note(view, found).unwrap_or_default();
        nodes.add(depth, found.at, found.end - found.at, found.kind.to_string(), note);
        if depth >= MAX_DEPTH {
            continue;
        }
        if let Some(body) = children(view, found)? {
            let inside = boxes(view, Boxes::new(view, body, found.end), depth + 1, nodes);
            if let Err(Stop::Need { at, .. }) = inside {
                nodes.add(depth + 1, at, found.end - at, "…", "not read");
            } else {
                inside?;
            }
        }
    }
    Ok(())
}

/// Returns where the boxes inside a box start; `None` for a box that contains none.
fn children(view: View<'_>, found: Bmff) -> Parse<Option<u64>> {
    Ok(match &found.kind.0 {
        b"moov" | b"trak" | b"edts" | b"mdia" | b"minf" | b"stbl" | b"mvex" | b"moof" | b"traf" | b"iprp"
        | b"ipco" | b"tref" | b"sinf" | b"schi" => Some(found.body),
        b"meta" | b"iref" => Some(found.full(view, "box")?.1),
        b"stsd" => Some(found.full(view, "box")?.1 + 4),
        b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"av01" | b"vp08" | b"vp09" | b"mp4v" | b"encv" => {
            Some(found.body + 78)
        }
        _ => None,
    })
}

/// Returns a short note on the content of a box.
fn note(view: View<'_>, found: Bmff) -> Parse<String> {
    let number = |at| Ok(u32::from_be_bytes(found.field(view, at, "box")?));
    Ok(match &found.kind.0 {
        b"ftyp" => format!("major brand '{}'", found.field::<4>(view, found.body, "box")?.escape_ascii()),
        b"hdlr" => format!("'{}'", found.field::<4>(view, found.body + 8, "box")?.escape_ascii()),
        b"stts" | b"ctts" | b"stsc" | b"stco" | b"co64" | b"stss" | b"elst" => {
            format!("{} entries", number(found.body + 4)?)
        }
        b"stsz" | b"stz2" => format!("{} samples", number(found.body + 8)?),
        b"trun" => format!("{} samples", number(found.body + 4)?),
        b"pitm" => "primary item".into(),
        _ => String::new(),
    })
}
