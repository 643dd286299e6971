//! HEIF and AVIF: the EXIF item and the primary image's properties (ISO/IEC 14496-12, 8.11; 23008-12).

use super::bmff::{Bmff, Boxes};
use super::tiff;
use super::view::{Parse, Stop, Store, View, malformed};
use crate::model::{Facts, Format, Gap, Mirror, Orientation};

/// Maximum items read. A tiled panorama has several hundred.
const MAX_ITEMS: u64 = 65_536;
/// Maximum bytes of an EXIF item that is stored in several pieces: 1 MiB, more than one with a thumbnail takes.
const MAX_PIECES: u64 = 1 << 20;

/// Finds the EXIF item by its type and its bytes by its location; dimensions, rotation and mirroring are properties
/// of the primary item.
///
/// The boxes that list items are requested in full before they are read, so each is read only a few times and the
/// work is linear in their length.
pub(super) fn read(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let mut boxes = Boxes::new(view, 0, view.size());
    let mut has_movie = false;
    let meta = loop {
        match boxes.next()? {
            Some(found) if found.is(b"meta") => break found,
            Some(found) if found.is(b"mini") => return read_minimized(view, found, facts),
            Some(found) => has_movie |= found.is(b"moov"),
            None if has_movie => {
                facts.format = Format::HeifSequence;
                return Ok(());
            }
            None => return Err(malformed("file", 0, "has no item header (meta)")),
        }
    };
    let items = Items::read(view, meta)?;
    if let Some(properties) = items.properties {
        read_properties(view, properties, items.primary, facts)?;
    }
    facts.orientation = match items.exif {
        None => Orientation::Absent,
        Some(item) => read_exif(view, &items.locate(view, item)?)?,
    };
    // The file may be cut off after its header, without the picture that the header describes.
    match items.locate(view, items.primary).and_then(|_| boxes.next()) {
        Ok(_) | Err(Stop::Need { .. } | Stop::Gap(_)) => Ok(()),
        Err(stop) => Err(stop),
    }
}

/// Reads a file whose header is packed into one box (23008-12, third edition, `MinimizedImageBox`): six flags after
/// the version, then whether there are ICC, EXIF and XMP, then 15 or 7 bits each of width and height. An EXIF block
/// would be after the picture, at an offset that the remaining bits give.
fn read_minimized(view: View<'_>, mini: Bmff, facts: &mut Facts) -> Parse<()> {
    let [version, parts, size @ ..] = mini.field::<6>(view, mini.body, "minimized header")?;
    if version >> 6 != 0 {
        return Err(malformed("minimized header", mini.at, "has an undefined version"));
    }
    let bits = u32::from_be_bytes(size);
    let (width, height) = match bits >> 31 {
        0 => (bits >> 24 & 0x7F, bits >> 17 & 0x7F),
        _ => (bits >> 16 & 0x7FFF, bits >> 1 & 0x7FFF),
    };
    (facts.width, facts.height) = (Some(width + 1), Some(height + 1));
    if parts & 0x40 != 0 {
        return Err(Stop::Gap(Gap::ExifStorage));
    }
    facts.orientation = Orientation::Absent;
    Ok(())
}

/// Reads the orientation from an EXIF item, wherever its pieces are.
fn read_exif(view: View<'_>, pieces: &[Piece]) -> Parse<Orientation> {
    match pieces {
        [] => Ok(Orientation::Absent),
        [piece] => read_block(view, piece.start, piece.end),
        pieces => {
            let mut whole = Vec::new();
            for piece in pieces {
                if whole.len() as u64 + (piece.end - piece.start) > MAX_PIECES {
                    return Err(Stop::Gap(Gap::TooManyBytes));
                }
                whole.extend_from_slice(view.bytes(piece.start, piece.end - piece.start, "EXIF item")?);
            }
            let len = whole.len() as u64;
            let mut store = Store::new(len);
            store.insert(0, whole.into());
            read_block(store.view(), 0, len)
        }
    }
}

/// Returns where the TIFF header is. An EXIF item starts with the distance from its fifth byte to that header
/// (23008-12, A.2.1); some writers omit it.
fn read_block(view: View<'_>, start: u64, end: u64) -> Parse<Orientation> {
    if end - start < 4 {
        return Ok(Orientation::Absent);
    }
    let first = view.array(start, "EXIF item")?;
    let header = match &first {
        b"MM\0\x2a" | b"II\x2a\0" | b"Exif" => Some(start),
        _ => (start + 4).checked_add(u64::from(u32::from_be_bytes(first))),
    };
    match header {
        Some(header) if header < end => tiff::exif_orientation(view, header, end),
        _ => Ok(Orientation::Absent),
    }
}

/// A range of the blob with a piece of an item's data.
#[derive(Clone, Copy)]
struct Piece {
    start: u64,
    end: u64,
}

/// The items in a meta box.
struct Items {
    /// The primary item (14496-12, 8.11.4).
    primary: u32,
    /// The EXIF item of the primary item, or else the first one.
    exif: Option<u32>,
    locations: Option<Bmff>,
    properties: Option<Bmff>,
    /// Data inside the meta box (8.11.11).
    data: Option<Bmff>,
}

impl Items {
    fn read(view: View<'_>, meta: Bmff) -> Parse<Self> {
        let (_, body) = meta.full(view, "item header")?;
        let mut boxes = Boxes::new(view, body, meta.end);
        let mut items = Self { primary: 0, exif: None, locations: None, properties: None, data: None };
        let (mut information, mut references) = (None, None);
        while let Some(found) = boxes.next()? {
            match &found.kind.0 {
                b"pitm" => items.primary = primary_item(view, found)?,
                b"iinf" => information = Some(found),
                b"iloc" => items.locations = Some(found),
                b"iprp" => items.properties = Some(found),
                b"idat" => items.data = Some(found),
                b"iref" => references = Some(found),
                _ => {}
            }
        }
        if let Some(information) = information {
            items.exif = exif_item(view, information, references, items.primary)?;
        }
        Ok(items)
    }

    /// Returns where the data of an item is in the blob, piece by piece (8.11.3); empty for an item without data.
    fn locate(&self, view: View<'_>, wanted: u32) -> Parse<Vec<Piece>> {
        let Some(iloc) = self.locations else { return Ok(Vec::new()) };
        whole(view, iloc, "item locations")?;
        let (version, body) = iloc.full(view, "item locations")?;
        let [sizes, more] = iloc.field(view, body, "item locations")?;
        let (offset_size, length_size) = (u64::from(sizes >> 4), u64::from(sizes & 15));
        let (base_size, index_size) =
            (u64::from(more >> 4), if version == 0 { 0 } else { u64::from(more & 15) });
        if [offset_size, length_size, base_size, index_size].iter().any(|size| !matches!(size, 0 | 4 | 8)) {
            return Err(malformed("item locations", iloc.at, "have fields of an invalid size"));
        }
        let mut reader = Reader { view, at: body + 2, end: iloc.end, part: "item locations" };
        let id_size = if version == 2 { 4 } else { 2 };
        for _ in 0..reader.number(id_size)?.min(MAX_ITEMS) {
            let item = reader.number(id_size)?;
            let method = if version == 0 { 0 } else { reader.number(2)? & 15 };
            let _data_reference = reader.number(2)?;
            let base = reader.number(base_size)?;
            let extents = reader.number(2)?;
            if item != u64::from(wanted) {
                let step = index_size + offset_size + length_size;
                reader.at = reader.at.saturating_add(extents * step);
                continue;
            }
            let (origin, limit) = match (method, self.data) {
                (0, _) => (0, view.size()),
                (1, Some(data)) => (data.body, data.end),
                (1, None) => return Err(malformed("item", iloc.at, "is in a missing box (idat)")),
                // Derived from another item, or undefined.
                _ => return Err(Stop::Gap(Gap::ExifStorage)),
            };
            let mut pieces = Vec::new();
            for _ in 0..extents {
                reader.number(index_size)?;
                let (offset, length) = (reader.number(offset_size)?, reader.number(length_size)?);
                let start = origin.checked_add(base).and_then(|start| start.checked_add(offset));
                // A length of zero means the rest (8.11.3.3).
                let end = start.and_then(|start| match length {
                    0 => Some(limit),
                    _ => start.checked_add(length),
                });
                match (start, end) {
                    (Some(start), Some(end)) if start <= end && end <= limit => {
                        pieces.push(Piece { start, end })
                    }
                    _ => return Err(malformed("item", iloc.at, "runs past the end of the file")),
                }
            }
            return Ok(pieces);
        }
        Ok(Vec::new())
    }
}

/// Requests all of a box at once.
fn whole(view: View<'_>, found: Bmff, part: &'static str) -> Parse<()> {
    view.bytes(found.at, found.end - found.at, part).map(|_| ())
}

fn primary_item(view: View<'_>, pitm: Bmff) -> Parse<u32> {
    let (version, body) = pitm.full(view, "primary item")?;
    Ok(match version {
        0 => u32::from(u16::from_be_bytes(pitm.field(view, body, "primary item")?)),
        _ => u32::from_be_bytes(pitm.field(view, body, "primary item")?),
    })
}

/// Finds the EXIF item that describes the primary item, or else the first one (14496-12, 8.11.6).
fn exif_item(view: View<'_>, iinf: Bmff, references: Option<Bmff>, primary: u32) -> Parse<Option<u32>> {
    whole(view, iinf, "item information")?;
    let (version, body) = iinf.full(view, "item information")?;
    let skip = if version == 0 { 2 } else { 4 };
    let mut entries = Boxes::new(view, body + skip, iinf.end);
    let mut items = Vec::new();
    while let Some(entry) = entries.next()? {
        let (version, body) = entry.full(view, "item information")?;
        let (id, kind_at) = match version {
            2 => (u32::from(u16::from_be_bytes(entry.field(view, body, "item information")?)), body + 4),
            3 => (u32::from_be_bytes(entry.field(view, body, "item information")?), body + 6),
            _ => continue,
        };
        if &entry.field::<4>(view, kind_at, "item information")? == b"Exif" {
            items.push(id);
        }
    }
    let describing = match references {
        // With a single item there is nothing to choose.
        Some(references) if items.len() > 1 => describing(view, references, primary)?,
        _ => Vec::new(),
    };
    view.spend(describing.len().saturating_add(items.len()) as u32)?;
    let describes = |id: &&u32| describing.binary_search(id).is_ok();
    Ok(items.iter().find(describes).or(items.first()).copied())
}

/// Returns the items whose content describes item `to` (14496-12, 8.11.12), in order.
fn describing(view: View<'_>, iref: Bmff, to: u32) -> Parse<Vec<u32>> {
    whole(view, iref, "item references")?;
    let (version, body) = iref.full(view, "item references")?;
    let id_size = if version == 0 { 2 } else { 4 };
    let mut boxes = Boxes::new(view, body, iref.end);
    let mut from = Vec::new();
    while let Some(found) = boxes.next()? {
        if !found.is(b"cdsc") {
            continue;
        }
        let mut reader = Reader { view, at: found.body, end: found.end, part: "item reference" };
        let item = reader.number(id_size)? as u32;
        for _ in 0..reader.number(2)? {
            if reader.number(id_size)? == u64::from(to) {
                from.push(item);
                break;
            }
        }
    }
    from.sort_unstable();
    Ok(from)
}

/// Reads the properties of the primary item: dimensions, rotation and mirroring (23008-12, 6.5).
fn read_properties(view: View<'_>, iprp: Bmff, primary: u32, facts: &mut Facts) -> Parse<()> {
    let mut boxes = Boxes::inside(view, iprp);
    let (mut container, mut associations) = (None, None);
    while let Some(found) = boxes.next()? {
        match &found.kind.0 {
            b"ipco" => container = Some(found),
            b"ipma" if associations.is_none() => associations = Some(found),
            _ => {}
        }
    }
    let (Some(container), Some(ipma)) = (container, associations) else { return Ok(()) };
    whole(view, ipma, "property associations")?;
    let (version, body) = ipma.full(view, "property associations")?;
    let [.., flags] = ipma.field::<4>(view, ipma.body, "property associations")?;
    let (id_size, index_size) = (if version == 0 { 2 } else { 4 }, if flags & 1 == 1 { 2 } else { 1 });
    let mut reader = Reader { view, at: body, end: ipma.end, part: "property associations" };
    for _ in 0..reader.number(4)?.min(MAX_ITEMS) {
        let item = reader.number(id_size)?;
        let count = reader.number(1)?;
        if item != u64::from(primary) {
            reader.at = reader.at.saturating_add(count * index_size);
            continue;
        }
        let mut indices = Vec::new();
        for _ in 0..count {
            // The first bit marks the property as essential.
            indices.push(reader.number(index_size)? & if index_size == 2 { 0x7FFF } else { 0x7F });
        }
        return read_associated(view, container, &indices, facts);
    }
    Ok(())
}

/// Returns the properties with these indices, which start at 1 (14496-12, 8.11.14), in the order of the indices.
fn read_associated(view: View<'_>, container: Bmff, indices: &[u64], facts: &mut Facts) -> Parse<()> {
    let last = indices.iter().copied().max().unwrap_or(0);
    let mut properties = Vec::new();
    let mut boxes = Boxes::inside(view, container);
    while (properties.len() as u64) < last {
        let Some(property) = boxes.next()? else { break };
        properties.push(property);
    }
    for index in indices {
        let property = index.checked_sub(1).and_then(|index| properties.get(index as usize));
        property.map_or(Ok(()), |property| read_property(view, *property, facts))?;
    }
    Ok(())
}

fn read_property(view: View<'_>, property: Bmff, facts: &mut Facts) -> Parse<()> {
    match &property.kind.0 {
        b"ispe" => {
            let (_, body) = property.full(view, "image dimensions")?;
            facts.width = Some(u32::from_be_bytes(property.field(view, body, "image dimensions")?));
            facts.height = Some(u32::from_be_bytes(property.field(view, body + 4, "image dimensions")?));
        }
        b"irot" => {
            let [angle] = property.field(view, property.body, "image rotation")?;
            facts.rotation = Some(u16::from(angle & 3) * 90);
        }
        b"imir" => {
            let [axis] = property.field(view, property.body, "image mirror")?;
            facts.mirror = Some(if axis & 1 == 0 { Mirror::Vertical } else { Mirror::Horizontal });
        }
        _ => {}
    }
    Ok(())
}

/// Reads consecutive numbers inside a box.
struct Reader<'a> {
    view: View<'a>,
    at: u64,
    end: u64,
    part: &'static str,
}

impl Reader<'_> {
    /// Reads the next number of 0 to 8 bytes; 0 bytes give 0.
    fn number(&mut self, size: u64) -> Parse<u64> {
        let at = self.at;
        if at.checked_add(size).is_none_or(|end| end > self.end) {
            return Err(malformed(self.part, at, "are cut off"));
        }
        self.at += size;
        let bytes = self.view.bytes(at, size, self.part)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}
