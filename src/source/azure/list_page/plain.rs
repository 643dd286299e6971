//! Blobs as the service writes them, read without the XML reader: elements without attributes, and text without
//! references. Nearly all are so, and each element costs a fraction of what the reader's events cost.
//!
//! Nothing is decided here: elements and text go to the same parser. Whatever is not plain, or not as expected, is left to
//! the reader from the blob's start tag on, and so is every error.

use std::borrow::Cow;

use memchr::memchr3;

use super::Parser;

/// How deep plain elements may be nested in a blob: the service's are `<Properties>` and an element in it.
const MAX_DEPTH: usize = 2;

impl<'p> Parser<'p> {
    /// Takes in the content of a blob up to its end tag, and returns its length: 0 if it is not plain.
    pub(super) fn plain_blob(&mut self, rest: &'p str) -> usize {
        let prefix = self.item.prefix;
        let left = self.plain_content(rest);
        if left.is_none() {
            self.begin(prefix);
        }
        left.map_or(0, |left| rest.len() - left.len())
    }

    /// Returns what follows the content; `None` if it is not plain.
    fn plain_content(&mut self, mut rest: &'p str) -> Option<&'p str> {
        let mut open = [""; MAX_DEPTH];
        let mut depth = 0_usize;
        loop {
            let (text, tag) = split_text(rest)?;
            if self.field.is_some() && !text.is_empty() {
                self.text(Cow::Borrowed(text)).ok()?;
            }
            if let Some(end) = tag.strip_prefix('/') {
                let Some(above) = depth.checked_sub(1) else { return rest.get(text.len()..) };
                depth = above;
                rest = end.strip_prefix(open[depth])?.strip_prefix('>')?;
                self.close().ok()?;
                continue;
            }
            let (name, end) = split_name(tag)?;
            if name.is_empty() {
                return None;
            }
            self.open(name.as_bytes(), || Ok(false)).ok()?;
            if let Some(content) = end.strip_prefix('>') {
                *open.get_mut(depth)? = name;
                depth += 1;
                rest = content;
            } else {
                rest = end.strip_prefix(" />").or_else(|| end.strip_prefix("/>"))?;
                self.close().ok()?;
            }
        }
    }
}

/// Whether a byte ends the name of an element, or makes it something else: an attribute, a comment, an entity.
static ENDS_NAME: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < ends.len() {
        ends[byte] =
            matches!(byte as u8, 0..=b' ' | b'!' | b'"' | b'&' | b'\'' | b'/' | b'<' | b'=' | b'>' | b'?');
        byte += 1;
    }
    ends
};

/// Splits what follows before the next markup; `None` if the reader must resolve or normalize something first.
fn split_text(rest: &str) -> Option<(&str, &str)> {
    // Between elements there is nothing.
    if let Some(tag) = rest.strip_prefix('<') {
        return Some(("", tag));
    }
    let at = memchr3(b'<', b'&', b'\r', rest.as_bytes())?;
    let (text, markup) = rest.split_at_checked(at)?;
    Some((text, markup.strip_prefix('<')?))
}

/// Splits a tag after the name.
fn split_name(tag: &str) -> Option<(&str, &str)> {
    tag.split_at_checked(tag.bytes().position(|byte| ENDS_NAME[usize::from(byte)])?)
}
