//! Output in which nothing can act on a terminal, or hide or reorder text.

use std::io::{self, Write};

use crate::model::is_unseen;

/// Escapes what [`is_unseen`] finds in text that passes through, except line breaks and tabs: as `\u009b` in JSON, where
/// it is the same text, and as `\u{9b}` elsewhere.
pub struct Visible<W> {
    out: W,
    json: bool,
    /// The beginning of a character that the last write cut off; at most 3 bytes.
    cut: Vec<u8>,
}

impl<W: Write> Visible<W> {
    /// For JSON.
    pub(super) fn json(out: W) -> Self {
        Self { out, json: true, cut: Vec::new() }
    }

    /// For any other text.
    pub fn plain(out: W) -> Self {
        Self { out, json: false, cut: Vec::new() }
    }

    fn escape(&mut self, text: &str) -> io::Result<()> {
        let (mut written, mut at) = (0, 0);
        while let Some(plain) = text[at..].bytes().position(|byte| !is_plain(byte)) {
            at += plain;
            let Some(c) = text[at..].chars().next() else { break };
            let next = at + c.len_utf8();
            if is_unseen(c) {
                self.out.write_all(&text.as_bytes()[written..at])?;
                match self.json {
                    true => write!(self.out, "\\u{:04x}", u32::from(c))?,
                    false => write!(self.out, "{}", c.escape_unicode())?,
                }
                written = next;
            }
            at = next;
        }
        self.out.write_all(&text.as_bytes()[written..])
    }
}

/// Whether a byte is visible ASCII, a line break or a tab.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')
}

/// Looks at many bytes together, which is faster than stopping at the first one.
fn all_plain(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(true, |plain, byte| plain & is_plain(*byte)))
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nearly everything that is written is plain.
        if self.cut.is_empty() && all_plain(bytes) {
            self.out.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let mut all = std::mem::take(&mut self.cut);
        let mut rest = bytes;
        if !all.is_empty() {
            all.extend_from_slice(bytes);
            rest = &all;
        }
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.escape(text)?;
                    break;
                }
                Err(fault) => {
                    let (valid, after) = rest.split_at(fault.valid_up_to());
                    self.escape(std::str::from_utf8(valid).unwrap_or_default())?;
                    let Some(wrong) = fault.error_len() else {
                        self.cut = after.to_owned();
                        break;
                    };
                    let (wrong, after) = after.split_at(wrong);
                    self.out.write_all(wrong)?;
                    rest = after;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\u{1b}[31m\u{9b}é\u{202e}😀\u{7f}\r\n\tb";

    fn written(make: impl FnOnce(&mut Vec<u8>, &mut dyn FnMut(&mut dyn Write))) -> String {
        let mut out = Vec::new();
        // One byte at a time, so that every character is cut.
        make(&mut out, &mut |visible| {
            TEXT.bytes().for_each(|byte| visible.write_all(&[byte]).expect("memory"))
        });
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn nothing_unseen_passes_wherever_it_is_cut() {
        let plain = written(|out, write| write(&mut Visible::plain(out)));
        assert_eq!(plain, "a\\u{1b}[31m\\u{9b}é\\u{202e}😀\\u{7f}\r\n\tb");
        let json = written(|out, write| write(&mut Visible::json(out)));
        assert_eq!(json, "a\\u001b[31m\\u009bé\\u202e😀\\u007f\r\n\tb");
    }

    #[test]
    fn json_reads_back_as_the_same_text() {
        let mut out = Vec::new();
        serde_json::to_writer(Visible::json(&mut out), TEXT).expect("memory");
        assert_eq!(serde_json::from_slice::<String>(&out).expect("JSON"), TEXT);
        assert!(!String::from_utf8(out).expect("UTF-8").contains(is_unseen));
    }
}
