//! Blobs as the service writes them, read without the XML reader: elements without attributes, and text without
//! references. Nearly all are so, and each element costs a fraction of what the reader's events cost.
//!
//! Nothing is decided here: elements and text go to the same parser. Whatever is not plain, or not as expected, is left to
//! the reader from the blob's start tag on, and so is every error.

use std::borrow::Cow;

use super::Parser;

/// How deep plain elements may be nested in a blob: the service's are `<Properties>` and an element in it.
const MAX_DEPTH: usize = 2;

impl<'p> Parser<'p> {
    /// Takes in the content of a blob up to its end tag, and returns its length: 0 if it is not plain.
    pub(super) fn plain_blob(&mut self, rest: &'p [u8]) -> usize {
        let prefix = self.item.prefix;
        let left = self.plain_content(rest);
        if left.is_none() {
            self.begin(prefix);
        }
        left.map_or(0, |left| rest.len() - left.len())
    }

    /// Returns what follows the content; `None` if it is not plain.
    fn plain_content(&mut self, mut rest: &'p [u8]) -> Option<&'p [u8]> {
        let mut open: [&[u8]; MAX_DEPTH] = Default::default();
        let mut depth = 0_usize;
        loop {
            let (text, markup) =
                rest.split_at(rest.iter().position(|byte| matches!(byte, b'<' | b'&' | b'\r'))?);
            let tag = markup.strip_prefix(b"<")?;
            if self.field.is_some() && !text.is_empty() {
                self.text(Cow::Borrowed(std::str::from_utf8(text).ok()?)).ok()?;
            }
            if let Some(end) = tag.strip_prefix(b"/") {
                let Some(above) = depth.checked_sub(1) else { return Some(markup) };
                depth = above;
                rest = end.strip_prefix(open[depth])?.strip_prefix(b">")?;
                self.close().ok()?;
                continue;
            }
            let (name, end) = tag.split_at(tag.iter().position(ends_name)?);
            if name.is_empty() {
                return None;
            }
            self.open(name, || Ok(false)).ok()?;
            if let Some(content) = end.strip_prefix(b">") {
                *open.get_mut(depth)? = name;
                depth += 1;
                rest = content;
            } else {
                rest = end.strip_prefix(b" />").or_else(|| end.strip_prefix(b"/>"))?;
                self.close().ok()?;
            }
        }
    }
}

/// Whether the byte ends the name of a plain element, or makes it something else: an attribute, a comment, an entity.
fn ends_name(byte: &u8) -> bool {
    matches!(byte, 0..=b' ' | b'!' | b'"' | b'&' | b'\'' | b'/' | b'<' | b'=' | b'>' | b'?')
}
