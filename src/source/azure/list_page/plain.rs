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
            let (text, markup) = split(rest, Byte::ENDS_TEXT)?;
            let tag = markup.strip_prefix('<')?;
            if self.field.is_some() && !text.is_empty() {
                self.text(Cow::Borrowed(text)).ok()?;
            }
            if let Some(end) = tag.strip_prefix('/') {
                let Some(above) = depth.checked_sub(1) else { return Some(markup) };
                depth = above;
                rest = end.strip_prefix(open[depth])?.strip_prefix('>')?;
                self.close().ok()?;
                continue;
            }
            let (name, end) = split(tag, Byte::ENDS_NAME)?;
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

/// What bytes mean to a plain element.
struct Byte;

impl Byte {
    /// Ends a text, or makes it one that the reader must resolve or normalize.
    const ENDS_TEXT: u8 = 1;
    /// Ends the name of an element, or makes it something else: an attribute, a comment, an entity.
    const ENDS_NAME: u8 = 2;

    const ROLES: [u8; 256] = {
        let mut roles = [0; 256];
        let mut byte = 0;
        while byte < roles.len() {
            if matches!(byte as u8, b'<' | b'&' | b'\r') {
                roles[byte] |= Self::ENDS_TEXT;
            }
            if matches!(byte as u8, 0..=b' ' | b'!' | b'"' | b'&' | b'\'' | b'/' | b'<' | b'=' | b'>' | b'?')
            {
                roles[byte] |= Self::ENDS_NAME;
            }
            byte += 1;
        }
        roles
    };
}

/// Splits a text before the first byte that has a role; `None` if there is none.
fn split(text: &str, role: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| Byte::ROLES[usize::from(byte)] & role != 0)?;
    text.split_at_checked(at)
}
