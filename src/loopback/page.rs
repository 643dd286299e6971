//! Listing pages, in the XML of "List Blobs" and "List Containers".

use std::collections::BTreeSet;
use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::config::{MAX_PAGE, Order};
use super::store::{Entry, Next, Store};

/// Every XML body starts with a byte order mark, as in the real service.
const HEAD: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>";

/// Capacity for a page, in bytes per blob: the size of a generated blob in the XML.
const BYTES_PER_BLOB: usize = 720;

/// The prefix of markers. It is followed by the name of the next blob in hexadecimal.
const MARKER: &str = "2!";

/// The query for a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub prefix: String,
    pub delimiter: String,
    /// The decoded marker: the name to start with.
    pub from: Option<String>,
    /// The most items requested.
    pub max: Option<u64>,
    /// Whether metadata is requested.
    pub metadata: bool,
}

impl Query {
    /// Parses the query of a URL.
    ///
    /// # Errors
    ///
    /// Returns the service's error code if a parameter is invalid.
    pub(super) fn of<'q>(
        parameters: impl Iterator<Item = (&'q str, std::borrow::Cow<'q, str>)>,
    ) -> Result<Self, &'static str> {
        let mut query = Self::default();
        for (name, value) in parameters {
            match name {
                "prefix" => query.prefix = value.into_owned(),
                "delimiter" => query.delimiter = value.into_owned(),
                "include" => query.metadata = value.split(',').any(|part| part == "metadata"),
                "marker" if !value.is_empty() => {
                    query.from = Some(name_of(&value).ok_or("InvalidQueryParameterValue")?);
                }
                "maxresults" => match value.parse() {
                    Ok(0) => return Err("OutOfRangeQueryParameterValue"),
                    Ok(max) => query.max = Some(max),
                    Err(_) => return Err("InvalidQueryParameterValue"),
                },
                _ => {}
            }
        }
        Ok(query)
    }

    /// The most items on the page if the server sends at most `most`.
    fn max(&self, most: u64) -> u64 {
        self.max.unwrap_or(MAX_PAGE).min(most)
    }

    /// Writes the parameters that the service repeats in its response.
    fn echo(&self, xml: &mut String) {
        element(xml, "Prefix", &self.prefix);
        element(xml, "Marker", &self.from.as_deref().map(marker).unwrap_or_default());
        if let Some(max) = self.max {
            put(xml, format_args!("<MaxResults>{max}</MaxResults>"));
        }
        element(xml, "Delimiter", &self.delimiter);
    }
}

/// A page with at most `most` blobs of a container.
pub(super) fn blobs(
    endpoint: &str,
    container: &str,
    store: &Store,
    query: &Query,
    order: Order,
    most: u64,
) -> String {
    let most = query.max(most);
    let room = usize::try_from(most).unwrap_or(0) * BYTES_PER_BLOB;
    let mut xml = String::with_capacity(room);
    put(
        &mut xml,
        format_args!(
            "{HEAD}<EnumerationResults ServiceEndpoint=\"{endpoint}/\" ContainerName=\"{container}\">"
        ),
    );
    query.echo(&mut xml);
    xml.push_str("<Blobs>");
    let next = match order {
        Order::Bytes => write_sorted(&mut xml, store, query, most),
        order => write_in_order(&mut xml, store, query, order, most),
    };
    xml.push_str("</Blobs>");
    element(&mut xml, "NextMarker", &next.as_deref().map(marker).unwrap_or_default());
    xml.push_str("</EnumerationResults>");
    xml
}

/// Writes the items of a page in the order of their bytes. Returns the name that the next page begins with.
fn write_sorted(xml: &mut String, store: &Store, query: &Query, most: u64) -> Option<String> {
    let mut items = 0;
    let mut next = None;
    let from = query.from.as_deref().filter(|from| *from > query.prefix.as_str()).unwrap_or(&query.prefix);
    store.visit(from, |entry| {
        let Some(rest) = entry.name.strip_prefix(&query.prefix) else { return Next::Stop };
        if items == most {
            next = Some(entry.name.to_owned());
            return Next::Stop;
        }
        items += 1;
        match rest.find(&query.delimiter).filter(|_| !query.delimiter.is_empty()) {
            Some(at) => {
                let group = &entry.name[..query.prefix.len() + at + query.delimiter.len()];
                write_group(xml, group);
                successor(group).map_or(Next::Stop, Next::From)
            }
            None => {
                write_blob(xml, entry, query.metadata);
                Next::On
            }
        }
    });
    next
}

/// Writes the items of a page in another order, which needs all names. Returns the item that the next page begins with.
fn write_in_order(xml: &mut String, store: &Store, query: &Query, order: Order, most: u64) -> Option<String> {
    let mut names = Vec::new();
    store.visit(&query.prefix, |entry| {
        names.push(entry.name.to_owned());
        Next::On
    });
    names.retain(|name| name.starts_with(&query.prefix));
    names.sort_by(|left, right| order.compare(left, right));
    let group = |name: &str| {
        let at = name[query.prefix.len()..].find(&query.delimiter).filter(|_| !query.delimiter.is_empty())?;
        Some(query.prefix.len() + at + query.delimiter.len())
    };
    let mut groups = BTreeSet::new();
    names.retain_mut(|name| match group(name) {
        Some(len) => {
            name.truncate(len);
            groups.insert(name.clone())
        }
        None => true,
    });
    let mut items = names.into_iter().skip_while(|name| query.from.as_ref().is_some_and(|from| name != from));
    for name in items.by_ref().take(usize::try_from(most).unwrap_or(usize::MAX)) {
        if groups.contains(&name) {
            write_group(xml, &name);
            continue;
        }
        store.visit(&name, |entry| {
            write_blob(xml, entry, query.metadata);
            Next::Stop
        });
    }
    items.next()
}

/// A page with at most `most` containers of an account; `names` must be sorted.
pub(super) fn containers<'n>(
    endpoint: &str,
    names: impl Iterator<Item = &'n str>,
    query: &Query,
    most: u64,
) -> String {
    let mut xml = format!("{HEAD}<EnumerationResults ServiceEndpoint=\"{endpoint}/\">");
    query.echo(&mut xml);
    xml.push_str("<Containers>");
    let from = query.from.as_deref().unwrap_or_default();
    let mut names = names.filter(|name| name.starts_with(&query.prefix) && *name >= from);
    for name in names.by_ref().take(usize::try_from(query.max(most)).unwrap_or(usize::MAX)) {
        put(&mut xml, format_args!("<Container><Name>{name}</Name><Properties>"));
        xml.push_str(
            "<Last-Modified>Sun, 01 Nov 2026 10:00:00 GMT</Last-Modified><Etag>\"0x8D0000000000001\"</Etag>\
             <LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>\
             </Properties></Container>",
        );
    }
    xml.push_str("</Containers>");
    element(&mut xml, "NextMarker", &names.next().map(marker).unwrap_or_default());
    xml.push_str("</EnumerationResults>");
    xml
}

/// The body of an error response ("Status and error codes").
pub(super) fn error(code: &str) -> String {
    format!("{HEAD}<Error><Code>{code}</Code><Message>The loopback server says {code}.</Message></Error>")
}

/// Cuts a page in half.
pub(super) fn truncated(mut page: String) -> String {
    page.truncate(middle(&page));
    page
}

/// Adds closing tags without opening tags in the middle of a page.
pub(super) fn malformed(mut page: String) -> String {
    page.insert_str(middle(&page), "</Page></Error>");
    page
}

/// Where the last tag of the first half starts.
fn middle(page: &str) -> usize {
    page.as_bytes()[..page.len() / 2].iter().rposition(|byte| *byte == b'<').unwrap_or(0)
}

fn write_blob(xml: &mut String, entry: &Entry<'_>, metadata: bool) {
    xml.push_str("<Blob>");
    write_name(xml, entry.name);
    xml.push_str("<Properties><Creation-Time>");
    xml.push_str(entry.last_modified);
    xml.push_str("</Creation-Time><Last-Modified>");
    xml.push_str(entry.last_modified);
    xml.push_str("</Last-Modified><Etag>");
    xml.push_str(entry.etag);
    put(xml, format_args!("</Etag><Content-Length>{}</Content-Length><Content-Type>", entry.size));
    escape(xml, entry.content_type);
    xml.push_str("</Content-Type>");
    element(xml, "Content-Encoding", entry.content_encoding);
    xml.push_str(
        "<Content-Language /><Content-CRC64 /><Content-MD5 />\
         <Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>",
    );
    xml.push_str(entry.tier.as_str());
    xml.push_str(
        "</AccessTier><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>\
         <ServerEncrypted>true</ServerEncrypted></Properties>",
    );
    match entry.metadata.filter(|all| metadata && !all.is_empty()) {
        Some(all) => {
            xml.push_str("<Metadata>");
            all.iter().for_each(|(name, value)| element(xml, name, value));
            xml.push_str("</Metadata>");
        }
        None if metadata => xml.push_str("<Metadata />"),
        None => {}
    }
    xml.push_str("<OrMetadata /></Blob>");
}

fn write_group(xml: &mut String, prefix: &str) {
    xml.push_str("<BlobPrefix>");
    write_name(xml, prefix);
    xml.push_str("</BlobPrefix>");
}

/// Writes a name, percent-encoded if XML cannot represent it ("List Blobs", version 2021-02-12).
fn write_name(xml: &mut String, name: &str) {
    if name.chars().any(is_forbidden) {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
        put(xml, format_args!("<Name Encoded=\"true\">{encoded}</Name>"));
    } else {
        xml.push_str("<Name>");
        escape(xml, name);
        xml.push_str("</Name>");
    }
}

/// Whether XML forbids the character (XML 1.0, 2.2).
fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

fn element(xml: &mut String, name: &str, text: &str) {
    if text.is_empty() {
        return put(xml, format_args!("<{name} />"));
    }
    put(xml, format_args!("<{name}>"));
    escape(xml, text);
    put(xml, format_args!("</{name}>"));
}

/// Escapes text between tags (XML 1.0, 2.4). An unescaped carriage return would be read as a line feed (2.11).
fn escape(xml: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '\r']) {
        xml.push_str(&rest[..at]);
        xml.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            _ => "&#xD;",
        });
        rest = &rest[at + 1..];
    }
    xml.push_str(rest);
}

/// The marker of the page that starts with a name.
fn marker(name: &str) -> String {
    name.bytes().fold(MARKER.to_owned(), |mut marker, byte| {
        put(&mut marker, format_args!("{byte:02x}"));
        marker
    })
}

/// The name that the page with this marker starts with.
fn name_of(marker: &str) -> Option<String> {
    let is_hexadecimal = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = marker.strip_prefix(MARKER).filter(is_hexadecimal)?;
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

/// The first string after all strings that start with `prefix`; `None` if there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut successor = prefix.to_owned();
    while let Some(last) = successor.pop() {
        // The character after U+D7FF is U+E000, because strings cannot contain surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            successor.push(next);
            return Some(successor);
        }
    }
    None
}

/// Writes to a string, which cannot fail.
fn put(xml: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = xml.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_the_name_that_it_was_made_of() {
        for name in ["a", "a//é😀\n\0", "😀"] {
            assert_eq!(name_of(&marker(name)).as_deref(), Some(name));
        }
        for wrong in ["", "2", "61", "2!6", "2!6g", "2!+1", "2!é", "2!ff"] {
            assert_eq!(name_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_lies_between_a_prefix_and_its_successor() {
        assert_eq!(successor("a/").as_deref(), Some("a0"));
        assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{10ffff}"), None);
    }

    #[test]
    fn names_are_escaped_or_encoded() {
        let name = |name| {
            let mut xml = String::new();
            write_name(&mut xml, name);
            xml
        };
        assert_eq!(name("a&b<c>\r\n\"'é"), "<Name>a&amp;b&lt;c&gt;&#xD;\n\"'é</Name>");
        assert_eq!(name("é\u{1}.jpg"), "<Name Encoded=\"true\">%C3%A9%01%2Ejpg</Name>");
    }
}
