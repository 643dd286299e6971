//! What the platform lists: names as text, CSV, JSON or JSON lines, and its own error codes where they are there.
//!
//! In JSON, names are texts in a list, or a field of objects, which may be inside `items`, `assets` and the like, as in
//! pages of `vi-sdk` (`Asset`). Its ingestion events map names to error codes (`AssetIngestionEventError`, `files`).

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::files::bounded::next_line;
use crate::matching::csv_table::{Table, is_media};
use crate::matching::input::{self, Fault, Input, MAX_LINE};
use crate::matching::json;
use crate::matching::loose::{Loose, whole};

/// Columns and fields that have the name, the most specific ones first.
const NAMES: [&str; 10] =
    ["filename", "file_name", "name", "path", "key", "blob", "asset", "file", "uri", "url"];
/// Columns and fields that have an error. In `code` and `status` it is one only if it looks like one.
const ERRORS: [&str; 5] = ["error", "error_code", "errorcode", "code", "status"];
/// Fields whose objects and lists have further entries.
const INSIDE: [&str; 9] =
    ["items", "assets", "data", "results", "files", "events", "status", "pages", "asset"];
/// The most bytes of an error code that are kept.
const MAX_CODE: usize = 64;

/// A name on the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub name: &'a str,
    /// Why the platform refused it; `None` if it is there.
    pub error: Option<&'a str>,
    /// The frames that the platform counts.
    pub frames: Option<u64>,
}

/// Takes the entries of a list.
pub(super) type Taker<'t> = &'t mut dyn FnMut(Entry<'_>);

/// Reads a list; `-` is stdin. `column` is the column or field with the names.
pub(super) fn read(path: &Path, column: Option<&str>, take: Taker<'_>) -> Result<(), Fault> {
    let mut file = input::open(path)?;
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("csv") => csv(file, column, false, take),
        Some("tsv") => csv(file, column, true, take),
        Some("json" | "jsonl" | "ndjson") => json(file, column, take),
        _ if matches!(input::first(&mut file)?, Some(b'[' | b'{')) => json(file, column, take),
        _ if column.is_some() => csv(file, column, false, take),
        _ => text(file, take),
    }
}

fn text(mut file: Input, take: Taker<'_>) -> Result<(), Fault> {
    let (mut bytes, mut line) = (Vec::new(), 0);
    while next_line(&mut file, &mut bytes, MAX_LINE).map_err(|error| Fault::io(&error))? {
        line += 1;
        let name = std::str::from_utf8(&bytes).map_err(|_| Fault::at(line, "it is not UTF-8"))?;
        if !name.trim().is_empty() {
            take(Entry { name, ..Entry::default() });
        }
    }
    Ok(())
}

fn csv(file: Input, column: Option<&str>, tabs: bool, take: Taker<'_>) -> Result<(), Fault> {
    let mut table = Table::open(file, column, &NAMES, tabs)?;
    while let Some(line) = table.next()? {
        if table.name().is_empty() {
            return Err(Fault::at(line, "a row has no name"));
        }
        let found = ERRORS.iter().find_map(|column| error(column, table.get(&[column])?));
        let frames = table.get(&["frames"]).and_then(whole);
        take(Entry { name: table.name(), error: found, frames });
    }
    Ok(())
}

/// The error in a column, if there is one.
fn error<'t>(column: &str, text: &'t str) -> Option<&'t str> {
    let is_code = (4..=16).contains(&text.len())
        && text.starts_with('E')
        && text.bytes().all(|b| b.is_ascii_uppercase());
    let may_be_other = ["code", "status"].contains(&column);
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_CODE).last()?;
    let text = if text.len() > MAX_CODE { &text[..end] } else { text };
    (is_code || !may_be_other).then_some(text)
}

fn json(file: Input, column: Option<&str>, take: Taker<'_>) -> Result<(), Fault> {
    let mut entries = Entries { take, column: column.map(str::to_ascii_lowercase), found: 0 };
    json::each(file, &mut entries)?;
    match entries.found {
        0 => {
            let named = column.map_or_else(|| NAMES.join(", "), |column| column.escape_debug().to_string());
            Err(Fault::new(format!("it has no names: looked for {named}")))
        }
        _ => Ok(()),
    }
}

struct Entries<'t> {
    take: Taker<'t>,
    column: Option<String>,
    found: u64,
}

impl json::Take for Entries<'_> {
    fn take<'de, D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
        Value { entries: self, place: Place::List }.deserialize(value)
    }
}

impl Entries<'_> {
    fn add(&mut self, entry: Entry<'_>) {
        self.found += 1;
        (self.take)(entry);
    }
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a list, whose texts are names, or at the top.
    List,
    /// In a field that has more entries.
    Inside,
    /// In `files`, whose keys are names.
    Files,
}

struct Value<'e, 't> {
    entries: &'e mut Entries<'t>,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names, or objects with a name each")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        if self.place == Place::List && !name.is_empty() {
            self.entries.add(Entry { name, ..Entry::default() });
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Value { entries: &mut *self.entries, place: Place::List })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { entries, place } = self;
        let (mut name, mut found_error, mut frames) = (None::<(usize, String)>, None::<String>, None);
        while let Some(key) = map.next_key::<String>()? {
            let lower = key.to_ascii_lowercase();
            let rank = match &entries.column {
                Some(column) => (*column == lower).then_some(0),
                None => NAMES.iter().position(|name| *name == lower),
            };
            if place == Place::Files || rank.is_none() && is_media(&key) {
                if let Some(code) = map.next_value::<Loose>()?.text() {
                    entries.add(Entry { name: &key, error: error("error", code), frames: None });
                }
            } else if INSIDE.contains(&&*lower) && lower != "asset" {
                let place = if lower == "files" { Place::Files } else { Place::Inside };
                map.next_value_seed(Value { entries: &mut *entries, place })?;
            } else if lower == "metadata" {
                frames = frames.or(map.next_value_seed(Frames)?);
            } else {
                let value = match rank.is_some() || lower == "frames" || ERRORS.contains(&&*lower) {
                    true => map.next_value::<Loose>()?,
                    false => {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                };
                if let (Some(rank), Some(text)) = (rank, value.text())
                    && name.as_ref().is_none_or(|(best, _)| rank < *best)
                {
                    name = Some((rank, text.to_owned()));
                } else if lower == "frames" {
                    frames = value.number().or(frames);
                } else if let Some(text) = value.text().filter(|_| ERRORS.contains(&&*lower)) {
                    found_error = error(&lower, text).map(str::to_owned).or(found_error);
                }
            }
        }
        if let Some((_, name)) = name.filter(|(_, name)| !name.is_empty()) {
            entries.add(Entry { name: &name, error: found_error.as_deref(), frames });
        }
        Ok(())
    }
}

/// The number of frames in an asset's metadata.
struct Frames;

impl<'de> DeserializeSeed<'de> for Frames {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u64>, D::Error> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Metadata {
            frames: Loose,
        }
        let metadata = <Option<Metadata> as serde::Deserialize>::deserialize(deserializer)?;
        Ok(metadata.and_then(|metadata| metadata.frames.number()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name, the error and the frames.
    type Found = (String, Option<String>, Option<u64>);

    fn read_text(name: &str, text: &str, column: Option<&str>) -> Result<Vec<Found>, Fault> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        let mut taken = Vec::new();
        read(&path, column, &mut |Entry { name, error, frames }| {
            taken.push((name.to_owned(), error.map(str::to_owned), frames));
        })?;
        Ok(taken)
    }

    fn names(name: &str, text: &str, column: Option<&str>) -> Vec<String> {
        read_text(name, text, column).expect(text).into_iter().map(|entry| entry.0).collect()
    }

    #[test]
    fn names_are_found_in_every_format() {
        for (file, text, column) in [
            ("a.txt", "\u{feff}a/1.jpg\r\n\n2.jpg\n", None),
            ("a", "a/1.jpg\n2.jpg", None),
            ("a.csv", "id,FileName,frames\n1,a/1.jpg,\n2,2.jpg,0\n", None),
            ("a.csv", "id,filename,photo\n1,x,a/1.jpg\n2,y,2.jpg\n", Some("photo")),
            ("a.csv", "a/1.jpg\n2.jpg\n", None),
            ("a.tsv", "name\tx\na/1.jpg\t1\n2.jpg\t2\n", None),
            ("a.json", "[\"a/1.jpg\", \"2.jpg\"]", None),
            ("a", " [{\"filename\": \"a/1.jpg\", \"id\": 1}, {\"filename\": \"2.jpg\"}]", None),
            (
                "a.json",
                "{\"nextPage\": null, \"items\": [{\"name\": \"n\", \"filename\": \"a/1.jpg\", \
              \"metadata\": {\"name\": \"x\"}}, {\"filename\": \"2.jpg\", \"contents\": {\"asset\": {\"url\": \"u\"}}}]}",
                None,
            ),
            ("a.jsonl", "{\"x\": \"a/1.jpg\"}\n{\"x\": \"2.jpg\", \"name\": \"n\"}\n", Some("X")),
        ] {
            assert_eq!(names(file, text, column), ["a/1.jpg", "2.jpg"], "{text}");
        }
    }

    #[test]
    fn error_codes_and_frames_are_read() {
        let events = r#"{"status": {"events": [{"kind": "Error", "files": {"a.jpg": "EBADMIME", "b": "ENOQUOTA"},
            "corrections": {}, "time": 1}, {"kind": "Progress", "tasks": {"x": {"y": 1}}}]}}"#;
        let code = |name: &str, code: &str| (name.to_owned(), Some(code.to_owned()), None);
        assert_eq!(
            read_text("a.json", events, None).expect("events"),
            [code("a.jpg", "EBADMIME"), code("b", "ENOQUOTA")]
        );
        assert_eq!(
            read_text("a.json", r#"{"a.jpg": "ECORRUPT"}"#, None).expect("a map"),
            [code("a.jpg", "ECORRUPT")]
        );
        let rows = "filename,status,error\na.jpg,ready,\nb.jpg,EBADSIZE,\nc.jpg,,it is broken\n";
        let rows = read_text("a.csv", rows, None).expect("CSV");
        assert_eq!(rows[0].1, None);
        assert_eq!(rows[1..], [code("b.jpg", "EBADSIZE"), code("c.jpg", "it is broken")]);
        let video = r#"[{"filename": "v.mp4", "metadata": {"frames": 60, "status": "ready"}}]"#;
        assert_eq!(read_text("a.json", video, None).expect("JSON"), [("v.mp4".to_owned(), None, Some(60))]);
    }

    #[test]
    fn what_has_no_names_is_an_error_with_its_line() {
        assert!(read_text("a.json", "{\"x\": 1}", None).is_err_and(|fault| fault.why.contains("no names")));
        assert!(read_text("a.json", "[\n\"a\",\n]", None).is_err_and(|fault| fault.line == Some(3)));
        assert!(read_text("a.csv", "id,x\n1,2\n", None).is_err_and(|fault| fault.why.contains("--column")));
        assert!(read_text("a.csv", "name,x\n,2\n", None).is_err_and(|fault| fault.line == Some(2)));
    }
}
