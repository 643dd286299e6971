//! HEIF and AVIF: the EXIF item, and what the primary image's properties say (ISO/IEC 14496-12, 8.11; 23008-12).

use super::bmff::{Bmff, Boxes};
use super::tiff;
use super::view::{Parse, Stop, View, malformed};
use crate::model::{Facts, Mirror, Orientation};

/// Items that are looked at. A panorama in tiles has some hundreds.
const MAX_ITEMS: u64 = 16_384;
/// Properties that are looked at, and associations of one item.
const MAX_PROPERTIES: u64 = 4_096;

/// Finds the EXIF item by its type and its bytes by its location; dimensions, rotation and mirroring are properties of
/// the primary item.
pub(super) fn read(view: View<'_>, facts: &mut Facts) -> Parse<()> {
    let mut boxes = Boxes::new(view, 0, view.size());
    let Some(meta) = boxes.find(b"meta")? else {
        return Err(malformed("file", 0, "has no item header (meta)"));
    };
    let items = Items::read(view, meta)?;
    if let Some(properties) = items.properties {
        read_properties(view, properties, items.primary, facts)?;
    }
    facts.orientation = match items.exif {
        None => Orientation::Absent,
        Some(item) => match items.locate(view, item)? {
            None => Orientation::Absent,
            Some((start, end)) => read_exif(view, start, end)?,
        },
    };
    // The file may be cut behind its header, and without the picture that this describes.
    match items.locate(view, items.primary).and_then(|_| boxes.next()) {
        Ok(_) | Err(Stop::Need { .. }) => Ok(()),
        Err(stop) => Err(stop),
    }
}

/// An EXIF item begins with the distance from its fifth byte to the TIFF header (23008-12, A.2.1).
fn read_exif(view: View<'_>, start: u64, end: u64) -> Parse<Orientation> {
    if end - start < 4 {
        return Ok(Orientation::Absent);
    }
    let skip = u64::from(u32::from_be_bytes(view.array(start, "EXIF item")?));
    match start.checked_add(4).and_then(|start| start.checked_add(skip)) {
        Some(header) if header < end => tiff::exif_orientation(view, header, end),
        _ => Ok(Orientation::Absent),
    }
}

/// What a meta box says of its items.
struct Items {
    /// The primary item (14496-12, 8.11.4).
    primary: u32,
    /// The EXIF item of the primary item, else the first one.
    exif: Option<u32>,
    locations: Option<Bmff>,
    properties: Option<Bmff>,
    /// Data inside of the meta box (8.11.11).
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

    /// Where the first extent of an item lies in the blob (8.11.3): start and end. `None` for an item without one.
    fn locate(&self, view: View<'_>, wanted: u32) -> Parse<Option<(u64, u64)>> {
        let Some(iloc) = self.locations else { return Ok(None) };
        let (version, body) = iloc.full(view, "item locations")?;
        let [sizes, more] = iloc.field(view, body, "item locations")?;
        let (offset_size, length_size) = (u64::from(sizes >> 4), u64::from(sizes & 15));
        let (base_size, index_size) =
            (u64::from(more >> 4), if version == 0 { 0 } else { u64::from(more & 15) });
        if [offset_size, length_size, base_size, index_size].iter().any(|size| !matches!(size, 0 | 4 | 8)) {
            return Err(malformed("item locations", iloc.at, "have fields of a size that is not allowed"));
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
            if extents == 0 {
                return Ok(None);
            }
            reader.at += index_size;
            let (offset, length) = (reader.number(offset_size)?, reader.number(length_size)?);
            let origin = match (method, self.data) {
                (0, _) => 0,
                (1, Some(data)) => data.body,
                _ => return Ok(None),
            };
            let limit = if method == 1 { self.data.map_or(0, |data| data.end) } else { view.size() };
            let start = origin.checked_add(base).and_then(|start| start.checked_add(offset));
            // A length of zero means the rest (8.11.3.3).
            let end =
                start.and_then(|start| if length == 0 { Some(limit) } else { start.checked_add(length) });
            return match (start, end) {
                (Some(start), Some(end)) if start <= end && end <= limit => Ok(Some((start, end))),
                _ => Err(malformed("item", iloc.at, "runs past the end of the file")),
            };
        }
        Ok(None)
    }
}

fn primary_item(view: View<'_>, pitm: Bmff) -> Parse<u32> {
    let (version, body) = pitm.full(view, "primary item")?;
    Ok(match version {
        0 => u32::from(u16::from_be_bytes(pitm.field(view, body, "primary item")?)),
        _ => u32::from_be_bytes(pitm.field(view, body, "primary item")?),
    })
}

/// The EXIF item that describes the primary item, else the first one (14496-12, 8.11.6).
fn exif_item(view: View<'_>, iinf: Bmff, references: Option<Bmff>, primary: u32) -> Parse<Option<u32>> {
    let (version, body) = iinf.full(view, "item information")?;
    let skip = if version == 0 { 2 } else { 4 };
    let mut entries = Boxes::new(view, body + skip, iinf.end);
    let mut first = None;
    while let Some(entry) = entries.next()? {
        let (version, body) = entry.full(view, "item information")?;
        let (id, kind_at) = match version {
            2 => (u32::from(u16::from_be_bytes(entry.field(view, body, "item information")?)), body + 4),
            3 => (u32::from_be_bytes(entry.field(view, body, "item information")?), body + 6),
            _ => continue,
        };
        if &entry.field::<4>(view, kind_at, "item information")? != b"Exif" {
            continue;
        }
        first = first.or(Some(id));
        match references {
            Some(references) if !describes(view, references, id, primary)? => {}
            _ => return Ok(Some(id)),
        }
    }
    Ok(first)
}

/// Whether the content of item `from` describes item `to` (14496-12, 8.11.12).
fn describes(view: View<'_>, iref: Bmff, from: u32, to: u32) -> Parse<bool> {
    let (version, body) = iref.full(view, "item references")?;
    let id_size = if version == 0 { 2 } else { 4 };
    let mut boxes = Boxes::new(view, body, iref.end);
    while let Some(found) = boxes.next()? {
        if !found.is(b"cdsc") {
            continue;
        }
        let mut reader = Reader { view, at: found.body, end: found.end, part: "item reference" };
        if reader.number(id_size)? != u64::from(from) {
            continue;
        }
        for _ in 0..reader.number(2)?.min(MAX_ITEMS) {
            if reader.number(id_size)? == u64::from(to) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The properties that belong to the primary item: dimensions, rotation and mirroring (23008-12, 6.5).
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
        for _ in 0..count {
            // The first bit says that the property is essential.
            let index = reader.number(index_size)? & if index_size == 2 { 0x7FFF } else { 0x7F };
            if let Some(property) = property(view, container, index)? {
                read_property(view, property, facts)?;
            }
        }
        break;
    }
    Ok(())
}

/// The property with this index, which counts from 1 (14496-12, 8.11.14).
fn property(view: View<'_>, container: Bmff, index: u64) -> Parse<Option<Bmff>> {
    let mut boxes = Boxes::inside(view, container);
    for _ in 1..index.min(MAX_PROPERTIES) {
        if boxes.next()?.is_none() {
            return Ok(None);
        }
    }
    if index == 0 { Ok(None) } else { boxes.next() }
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

/// Reads one number after the other inside a box.
struct Reader<'a> {
    view: View<'a>,
    at: u64,
    end: u64,
    part: &'static str,
}

impl Reader<'_> {
    /// The next number of 0 to 8 bytes; 0 bytes give 0.
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
