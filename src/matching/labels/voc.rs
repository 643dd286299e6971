//! Pascal VOC: an XML file per image ("The PASCAL Visual Object Classes Challenge 2012 Development Kit", annotations).

use std::io::{BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::Event;

use super::reference::{Reference, Taker};
use crate::matching::input::{Fault, Input};
use crate::matching::loose::whole;
use crate::matching::spelling::basename;

/// The most bytes of a file: an object takes some 300 bytes, and no picture has 50,000 of them.
const MAX_BYTES: u64 = 16 << 20;
/// The most letters of another root element's name that are shown.
const MAX_ROOT: usize = 40;
/// The most elements inside one another; the format has 4.
const MAX_DEPTH: usize = 32;

/// Reads the reference of a file.
pub(super) fn read(file: Input, take: Taker<'_>) -> Result<(), Fault> {
    let mut reader = Reader::from_reader(BufReader::new(file.take(MAX_BYTES)));
    let (mut buffer, mut path, mut objects) = (Vec::new(), Vec::<Vec<u8>>::new(), 0);
    let mut texts: [Option<String>; FIELDS.len()] = Default::default();
    let mut is_known = false;
    loop {
        let (at, is_foreign) = (reader.buffer_position(), !is_known);
        buffer.clear();
        let wrong = |why: String| Fault { is_foreign, ..Fault::new(format!("at byte {at}: {why}")) };
        match reader.read_event_into(&mut buffer).map_err(|error| wrong(error.to_string()))? {
            Event::Start(element) => {
                if path.is_empty() && element.name().as_ref() != b"annotation" {
                    let name = element.name();
                    let root = String::from_utf8_lossy(name.as_ref());
                    let root: String = root.escape_debug().take(MAX_ROOT).collect();
                    let why = format!("its root is <{root}>, and that of Pascal VOC is <annotation>");
                    return Err(Fault::foreign(why));
                }
                is_known = true;
                if path.len() == MAX_DEPTH {
                    return Err(wrong(format!("it is nested more than {MAX_DEPTH} levels deep")));
                }
                path.push(element.name().as_ref().to_owned());
                objects += u64::from(path.len() == 2 && element.name().as_ref() == b"object");
            }
            Event::End(_) => _ = path.pop(),
            Event::Text(text) => {
                if let Some(field) = field(&path) {
                    let text = text.decode().map_err(|error| wrong(error.to_string()))?;
                    texts[field].get_or_insert_default().push_str(&text);
                }
            }
            Event::CData(text) => {
                if let Some(field) = field(&path) {
                    let text = text.decode().map_err(|error| wrong(error.to_string()))?;
                    texts[field].get_or_insert_default().push_str(&text);
                }
            }
            // An entity or a character reference, such as `&amp;`.
            Event::GeneralRef(name) => {
                if let Some(field) = field(&path) {
                    let letter = match name.resolve_char_ref().map_err(|error| wrong(error.to_string()))? {
                        Some(letter) => Some(letter.to_string()),
                        None => {
                            let name = name.decode().map_err(|error| wrong(error.to_string()))?;
                            quick_xml::escape::resolve_xml_entity(&name).map(str::to_owned)
                        }
                    };
                    let letter = letter.ok_or_else(|| wrong("it has an unknown entity".to_owned()))?;
                    texts[field].get_or_insert_default().push_str(&letter);
                }
            }
            Event::Eof if !is_known => return Err(Fault::foreign("it is no XML document")),
            Event::Eof if path.is_empty() => break,
            Event::Eof => return Err(wrong("it ends inside an element, or has more than 16 MiB".to_owned())),
            _ => {}
        }
    }
    let [name, whole_path, width, height] = texts;
    let given = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let name = given(&name).or_else(|| given(&whole_path).map(|path| basename(&path).to_owned()));
    let name = name.ok_or_else(|| Fault::new("it has no filename"))?;
    let size = |text: Option<String>| text.as_deref().and_then(whole);
    take(Reference { count: objects.max(1), ..Reference::to(&name).sized(size(width), size(height)) });
    Ok(())
}

/// Where what is read is, inside of `annotation`.
const FIELDS: [&[&[u8]]; 4] = [&[b"filename"], &[b"path"], &[b"size", b"width"], &[b"size", b"height"]];

fn field(path: &[Vec<u8>]) -> Option<usize> {
    let inside = path.get(1..)?;
    FIELDS.iter().position(|field| field.iter().copied().eq(inside.iter().map(Vec::as_slice)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::input;

    fn read_text(text: &str) -> Result<(String, Option<u64>, Option<u64>, u64), Fault> {
        let mut taken = None;
        let text = text.to_owned().into_bytes();
        read(input::start(Box::new(std::io::Cursor::new(text)))?, &mut |found| {
            taken = Some((found.name.to_owned(), found.width, found.height, found.count));
        })?;
        Ok(taken.expect("a file has one"))
    }

    #[test]
    fn a_file_names_its_image_and_the_size() {
        let text = "<?xml version=\"1.0\"?>\n<annotation><folder>VOC</folder><filename>a &amp; b&#233;.jpg</filename>\
            <size><width>500</width><height>375</height><depth>3</depth></size>\
            <object><name>dog</name><part><name>x</name></part></object><object/></annotation>";
        assert_eq!(read_text(text).expect("VOC"), ("a & bé.jpg".to_owned(), Some(500), Some(375), 1));
        let text = "<annotation><path>C:\\data\\b.png</path><size><width>0</width><height>0</height></size></annotation>";
        assert_eq!(read_text(text).expect("VOC"), ("b.png".to_owned(), None, None, 1));
    }

    #[test]
    fn other_files_are_foreign_and_broken_ones_are_not() {
        for text in ["<html></html>", "{}", "", "<annotations/>"] {
            assert!(read_text(text).is_err_and(|fault| fault.is_foreign), "{text}");
        }
        let deep = format!("<annotation>{}", "<a>".repeat(1 << 16));
        for text in [
            "<annotation><filename>",
            "<annotation></annotation>",
            "<annotation><filename>&x;</filename></annotation>",
            &deep,
            "<annotation></b>",
        ] {
            assert!(read_text(text).is_err_and(|fault| !fault.is_foreign), "{text:.60}");
        }
    }
}
