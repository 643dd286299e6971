//! One page of a listing: the XML body of "List Blobs", read event by event.

use std::borrow::Cow;

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::model::error::{Error, Result};
use crate::model::{Access, Blob, BlobName, Declared, ETag};

mod plain;

/// The most blobs that the service puts on one page ("List Blobs", `maxresults`).
pub(super) const MAX_BLOBS: u16 = 5_000;

/// The most bytes of one field. A name has up to 1,024 characters: 4 bytes each, three times that when escaped.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// How deep skipped elements may be nested; the service's own are 3 deep.
const MAX_SKIPPED_DEPTH: u32 = 64;

/// The content of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its blobs, in the order of the page. May be empty even if more pages follow.
    pub blobs: Vec<Blob>,
    /// The marker of the next page; `None` on the last one.
    pub next: Option<String>,
}

/// Parses the body of a page. Snapshots and deleted blobs are left out; a `<BlobPrefix>` stands for a folder that was
/// not entered ("List Blobs", `delimiter`).
///
/// # Errors
///
/// Returns an error if the body is not well-formed, ends early, is not a listing, has a blob without a name or a
/// length, or exceeds a limit. The error names the byte; nothing of such a page is used.
pub fn parse(body: &[u8]) -> Result<Page> {
    parse_with(body, Parser::plain_blobs)
}

/// Parses a page. `plain_blobs` is given what follows the start tag of a blob, and returns how much of it the parser has
/// taken in without the XML reader, and what is wrong at its end.
fn parse_with<'p>(
    body: &'p [u8],
    plain_blobs: impl Fn(&mut Parser<'p>, &'p str) -> (usize, Step),
) -> Result<Page> {
    let mut reader = Reader::from_reader(body);
    // Checked once for all plain blobs; where it is not text, the reader says so.
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut parser = Parser::default();
    // The bytes that the reader has not seen.
    let mut passed = 0;
    loop {
        let event = reader.read_event().map_err(|fault| wrong(passed + reader.error_position(), &fault))?;
        let mut at = passed + reader.buffer_position();
        let step = match event {
            Event::Start(tag) => {
                let before = parser.place;
                let mut step = parser.start(&tag);
                if (before, parser.place) == (Place::Blobs, Place::Blob) {
                    let rest = *reader.get_ref();
                    let text = text.get(body.len() - rest.len()..).unwrap_or_default();
                    let plain;
                    (plain, step) = plain_blobs(&mut parser, text);
                    *reader.get_mut() = &rest[plain..];
                    passed += plain as u64;
                    at += plain as u64;
                }
                step
            }
            Event::Empty(tag) => parser.start(&tag).and_then(|()| parser.close()),
            Event::End(_) => parser.close(),
            Event::Text(text) => match parser.field.is_some() {
                true => text.xml10_content().map_err(|fault| fault.to_string()).and_then(|t| parser.text(t)),
                false => Ok(()),
            },
            Event::CData(text) => match parser.field.is_some() {
                true => text.xml10_content().map_err(|fault| fault.to_string()).and_then(|t| parser.push(&t)),
                false => Ok(()),
            },
            Event::GeneralRef(reference) => match parser.field.is_some() {
                true => resolve(&reference).and_then(|c| parser.push(c.encode_utf8(&mut [0; 4]))),
                false => Ok(()),
            },
            Event::DocType(_) => Err("it has a document type".to_owned()),
            Event::Eof => return parser.finish().map_err(|fault| wrong(at, &fault)),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => Ok(()),
        };
        step.map_err(|fault| wrong(at, &fault))?;
    }
}

fn wrong(at: u64, fault: &dyn std::fmt::Display) -> Error {
    Error::new(format!("a page of the listing cannot be read: {fault}, at byte {at}"))
        .with_hint("check that the URL is that of a blob endpoint, and that no proxy changes its responses")
}

/// Where the parser is. Elements that it does not know are skipped as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Root,
    Blobs,
    Blob,
    Properties,
    Metadata,
}

/// An element whose text is read.
#[derive(Clone, Copy, Debug)]
enum Field {
    Name { encoded: bool },
    Length,
    ETag,
    LastModified,
    ContentType,
    ContentEncoding,
    Tier,
    ArchiveStatus,
    ResourceType,
    FolderMark,
    Deleted,
    Snapshot,
    NextMarker,
}

/// What is known so far of the blob being parsed.
#[derive(Default)]
struct Item {
    name: Option<BlobName>,
    size: Option<u64>,
    etag: Option<ETag>,
    last_modified: Option<Timestamp>,
    declared: Declared,
    archived: bool,
    rehydrating: bool,
    directory: bool,
    folder_mark: bool,
    hidden: bool,
    /// It is a `<BlobPrefix>`, of which only the name is read.
    prefix: bool,
}

#[derive(Default)]
struct Parser<'p> {
    page: Page,
    place: Place,
    field: Option<Field>,
    skipped: u32,
    seen_root: bool,
    /// The field's text so far. It is nearly always one piece of the page, which is not copied.
    text: Cow<'p, str>,
    item: Item,
    dates: Dates,
    /// The names of a blob's elements so far, in their order: the next blob usually has the same.
    names: Vec<&'p str>,
    /// The last Content-Type. Most blobs of a page have the same, which is then not looked up again.
    last_type: Option<Cow<'static, str>>,
}

type Step = std::result::Result<(), String>;

impl<'p> Parser<'p> {
    fn start(&mut self, tag: &BytesStart<'_>) -> Step {
        self.open(tag.name().as_ref(), || is_encoded(tag))
    }

    /// `is_encoded` is whether the text of a name is percent-encoded.
    fn open(&mut self, name: &[u8], is_encoded: impl FnOnce() -> std::result::Result<bool, String>) -> Step {
        if self.skipped > 0 {
            self.skipped += 1;
            return (self.skipped <= MAX_SKIPPED_DEPTH)
                .then_some(())
                .ok_or_else(|| "its elements are nested too deeply".into());
        }
        if self.field.is_some() {
            return Err("an element is where text was expected".into());
        }
        let mut field = None;
        match (self.place, name) {
            (Place::Outside, b"EnumerationResults") if !self.seen_root => {
                self.seen_root = true;
                self.place = Place::Root;
            }
            (Place::Outside, _) => return Err("it is not a listing".into()),
            (Place::Root, b"Blobs") => {
                self.place = Place::Blobs;
                // Pages are nearly always full, and a list that grows is in memory twice.
                self.page.blobs.reserve_exact(usize::from(MAX_BLOBS) - self.page.blobs.len());
            }
            (Place::Root, b"NextMarker") => field = Some(Field::NextMarker),
            (Place::Blobs, tag @ (b"Blob" | b"BlobPrefix")) => {
                if self.page.blobs.len() == usize::from(MAX_BLOBS) {
                    return Err(format!("it has more than {MAX_BLOBS} blobs"));
                }
                self.begin(tag == b"BlobPrefix");
            }
            (Place::Blob, b"Properties") => self.place = Place::Properties,
            (Place::Blob, b"Metadata") => self.place = Place::Metadata,
            (Place::Blob, b"Name") => field = Some(Field::Name { encoded: is_encoded()? }),
            (Place::Blob, b"Deleted") => field = Some(Field::Deleted),
            (Place::Blob, b"Snapshot") => field = Some(Field::Snapshot),
            (Place::Properties, b"Content-Length") => field = Some(Field::Length),
            (Place::Properties, b"Etag") => field = Some(Field::ETag),
            (Place::Properties, b"Last-Modified") => field = Some(Field::LastModified),
            (Place::Properties, b"Content-Type") => field = Some(Field::ContentType),
            (Place::Properties, b"Content-Encoding") => field = Some(Field::ContentEncoding),
            (Place::Properties, b"AccessTier") => field = Some(Field::Tier),
            (Place::Properties, b"ArchiveStatus") => field = Some(Field::ArchiveStatus),
            (Place::Properties, b"ResourceType") => field = Some(Field::ResourceType),
            (Place::Metadata, name) if name.eq_ignore_ascii_case(b"hdi_isfolder") => {
                field = Some(Field::FolderMark);
            }
            _ => self.skipped = 1,
        }
        self.field = field;
        self.text = Cow::Borrowed("");
        Ok(())
    }

    /// Begins a blob, or a `<BlobPrefix>`.
    fn begin(&mut self, prefix: bool) {
        self.item = Item { prefix, ..Item::default() };
        (self.place, self.field, self.skipped) = (Place::Blob, None, 0);
    }

    /// Adds text to the field. The first piece is borrowed: it is usually the only one.
    fn text(&mut self, text: Cow<'p, str>) -> Step {
        if !self.text.is_empty() || text.len() > MAX_FIELD_BYTES {
            return self.push(&text);
        }
        self.text = text;
        Ok(())
    }

    fn push(&mut self, text: &str) -> Step {
        if self.text.len() + text.len() > MAX_FIELD_BYTES {
            return Err(format!("a field has more than {MAX_FIELD_BYTES} bytes"));
        }
        self.text.to_mut().push_str(text);
        Ok(())
    }

    fn close(&mut self) -> Step {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        if let Some(field) = self.field.take() {
            return self.set(field);
        }
        self.place = match self.place {
            Place::Outside | Place::Root => Place::Outside,
            Place::Blobs => Place::Root,
            Place::Blob => {
                self.add()?;
                Place::Blobs
            }
            Place::Properties | Place::Metadata => Place::Blob,
        };
        Ok(())
    }

    fn set(&mut self, field: Field) -> Step {
        let text = &*self.text;
        let item = &mut self.item;
        match field {
            Field::Name { .. } if item.name.is_some() => return Err("a blob has two names".into()),
            Field::Name { encoded: false } => item.name = Some(BlobName::new(text)),
            Field::Name { encoded: true } => {
                let name = percent_decode_str(text).decode_utf8();
                item.name = Some(BlobName::new(name.map_err(|_| "an escaped name is not UTF-8")?));
            }
            Field::Length => {
                item.size = Some(text.parse().map_err(|_| "a blob's length is not a number")?);
            }
            Field::ETag => item.etag = (!text.is_empty()).then(|| ETag::new(text)),
            Field::LastModified => {
                item.last_modified = self.dates.parse(text);
            }
            Field::ContentType | Field::ContentEncoding if text.is_empty() => {}
            Field::ContentType => {
                if self.last_type.as_deref() != Some(text) {
                    self.last_type = Some(Declared::media_type(text));
                }
                item.declared.content_type.clone_from(&self.last_type);
            }
            Field::ContentEncoding => item.declared.content_encoding = Declared::encoding(text),
            Field::Tier => item.archived |= text == "Archive",
            // A blob that is being rehydrated cannot be read yet.
            Field::ArchiveStatus => item.rehydrating |= !text.is_empty(),
            Field::ResourceType => item.directory = text == "directory",
            Field::FolderMark => item.folder_mark = text.eq_ignore_ascii_case("true"),
            Field::Deleted => item.hidden |= text == "true",
            Field::Snapshot => item.hidden |= !text.is_empty(),
            Field::NextMarker => self.page.next = (!text.is_empty()).then(|| text.to_owned()),
        }
        Ok(())
    }

    fn add(&mut self) -> Step {
        let item = std::mem::take(&mut self.item);
        if item.hidden {
            return Ok(());
        }
        let name = item.name.filter(|name| !name.as_str().is_empty()).ok_or("a blob has no name")?;
        if item.prefix {
            self.page.blobs.push(Blob::not_entered(name.as_str()));
            return Ok(());
        }
        let size = item.size.ok_or("a blob has no length")?;
        if size > Blob::MAX_SIZE {
            let name = name.as_str().escape_debug();
            return Err(format!("'{name}' has {size} bytes, more than the 190.7 TiB that a blob can have"));
        }
        let access = if item.directory || (item.folder_mark && size == 0) {
            Access::Directory
        } else if matches!(name.as_str(), "." | "..") {
            Access::Unreachable("a URL cannot hold a blob name that is '.' or '..'".into())
        } else if item.rehydrating {
            Access::Rehydrating
        } else if item.archived {
            Access::Archived
        } else {
            Access::Online
        };
        let (etag, last_modified, declared) = (item.etag, item.last_modified, item.declared);
        self.page.blobs.push(Blob { name, size, etag, last_modified, access, declared });
        Ok(())
    }

    fn finish(mut self) -> std::result::Result<Page, String> {
        match (self.seen_root, self.place) {
            (true, Place::Outside) => {
                merge_folders(&mut self.page.blobs);
                Ok(self.page)
            }
            (true, _) => Err("it ends early".into()),
            (false, _) => Err("it is not a listing".into()),
        }
    }
}

/// An emulator lists the folders before or after the blobs, both sorted by name: merges them. Other pages stay as they
/// are.
fn merge_folders(blobs: &mut [Blob]) {
    let is_folder = |blob: &Blob| blob.access == Access::NotEntered;
    if !blobs.iter().any(is_folder) {
        return;
    }
    let is_by_bytes = |blobs: &[Blob]| blobs.is_sorted_by(|left, right| left.name <= right.name);
    let is_by_folder =
        blobs.is_sorted_by(|left, right| left.name.as_str().split('/').le(right.name.as_str().split('/')));
    let parts: Vec<_> = blobs.chunk_by(|left, right| is_folder(left) == is_folder(right)).take(3).collect();
    if !is_by_folder && parts.len() == 2 && parts.iter().all(|part| is_by_bytes(part)) {
        blobs.sort_by(|left, right| left.name.cmp(&right.name));
    }
}

/// Parses the dates of a page. Blobs that were uploaded together have the same date, or at least the same day.
#[derive(Default)]
struct Dates {
    /// The last date without its time of day, such as `Sun, 01 Nov 2026 `, and its midnight.
    day: Option<([u8; Self::TIME], Timestamp)>,
}

impl Dates {
    /// Where the time of day begins in the service's date format (RFC 9110, 5.6.7).
    const TIME: usize = 17;

    fn parse(&mut self, text: &str) -> Option<Timestamp> {
        let parts = || {
            let (day, time) = text.as_bytes().split_first_chunk::<{ Self::TIME }>()?;
            let [a, b, b':', c, d, b':', e, f, b' ', b'G', b'M', b'T'] = time else { return None };
            let number = |tens: &u8, ones: &u8| {
                (tens.is_ascii_digit() && ones.is_ascii_digit())
                    .then(|| i64::from((tens - b'0') * 10 + (ones - b'0')))
            };
            let (hour, minute, second) = (number(a, b)?, number(c, d)?, number(e, f)?);
            // Anything that isn't a time of day is left to the library, and so is a leap second.
            (hour < 24 && minute < 60 && second < 60).then_some((day, hour * 3600 + minute * 60 + second))
        };
        let parsed = || rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
        let Some((day, seconds)) = parts() else { return parsed() };
        let since = SignedDuration::from_secs(seconds);
        match &self.day {
            Some((known, midnight)) if known == day => midnight.checked_add(since).ok(),
            _ => {
                let timestamp = parsed()?;
                self.day = timestamp.checked_sub(since).ok().map(|midnight| (*day, midnight));
                Some(timestamp)
            }
        }
    }
}

/// Whether the name is percent-encoded because XML cannot carry it ("List Blobs", version 2021-02-12).
fn is_encoded(tag: &BytesStart<'_>) -> std::result::Result<bool, String> {
    let encoded = tag.try_get_attribute("Encoded").map_err(|fault| fault.to_string())?;
    Ok(encoded.is_some_and(|attribute| attribute.value.eq_ignore_ascii_case(b"true")))
}

/// The character that a reference stands for (XML 1.0, 4.1 and 4.6).
fn resolve(reference: &BytesRef<'_>) -> std::result::Result<char, String> {
    if let Some(c) = reference.resolve_char_ref().map_err(|fault| fault.to_string())? {
        return Ok(c);
    }
    match &reference[..] {
        b"amp" => Ok('&'),
        b"lt" => Ok('<'),
        b"gt" => Ok('>'),
        b"quot" => Ok('"'),
        b"apos" => Ok('\''),
        _ => Err("it uses an entity that it does not define".into()),
    }
}

#[cfg(test)]
mod tests;
