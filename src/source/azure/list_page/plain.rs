//! Blobs as the service writes them, read without the XML reader: elements without attributes, and text without
//! references. Nearly all are so, and each element costs a fraction of what the reader's events cost.
//!
//! Nothing is decided here: elements and text go to the same parser. Whatever is not plain, or not as expected, is left to
//! the reader from the blob's start tag on, and so is every error inside a blob.

use std::borrow::Cow;

use memchr::memchr3;

use super::{Parser, Step};

/// The tags between two blobs.
const BETWEEN: [&str; 2] = ["</Blob>", "<Blob>"];

/// The most elements of a blob whose names are expected again. The service has about twenty.
const MAX_NAMES: usize = 64;

/// How deep plain elements may be nested in a blob: the service's are `<Properties>` and an element in it.
const MAX_DEPTH: usize = 2;

impl<'p> Parser<'p> {
    /// Takes in the content of a blob up to its end tag, and of the blobs that follow it at once. Returns its length, 0 if
    /// nothing is plain, and what is wrong with the blob at its end.
    pub(super) fn plain_blobs(&mut self, rest: &'p str) -> (usize, Step) {
        let prefix = self.item.prefix;
        let (mut left, mut step) = (rest, Ok(()));
        loop {
            let Some(after) = self.plain_content(left) else {
                self.names.clear();
                self.begin(prefix);
                break;
            };
            left = after;
            let Some(end) = left.strip_prefix(BETWEEN[0]).filter(|_| !prefix) else { break };
            let Some(next) = end.strip_prefix(BETWEEN[1]) else { break };
            left = end;
            step = self.close();
            if step.is_ok() {
                left = next;
                step = self.open(b"Blob", || Ok(false));
            }
            if step.is_err() {
                break;
            }
        }
        (rest.len() - left.len(), step)
    }

    /// Returns what follows the content; `None` if it is not plain.
    fn plain_content(&mut self, mut rest: &'p str) -> Option<&'p str> {
        let mut open = [""; MAX_DEPTH];
        let (mut depth, mut opened) = (0_usize, 0_usize);
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
            let (name, end) = self.split_expected(tag, opened).or_else(|| self.split_name(tag, opened))?;
            opened += 1;
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

    /// Splits a tag after the name, if that begins like the name at this place of the blob before. A longer one is found
    /// out by what follows.
    fn split_expected(&self, tag: &'p str, at: usize) -> Option<(&'p str, &'p str)> {
        let expected = self.names.get(at)?;
        tag.starts_with(expected).then(|| tag.split_at_checked(expected.len()))?
    }

    /// Splits a tag after the name, which is expected in the next blob.
    fn split_name(&mut self, tag: &'p str, at: usize) -> Option<(&'p str, &'p str)> {
        let end = tag.bytes().position(|byte| ENDS_NAME[usize::from(byte)])?;
        let (name, end) = tag.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
        if at < MAX_NAMES {
            self.names.truncate(at);
            self.names.push(name);
        }
        Some((name, end))
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
