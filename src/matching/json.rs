//! JSON files of any size, read without holding them in memory.

use std::io::{self, BufRead, BufReader, Read};

use serde_json::Deserializer;

use super::input::Fault;

/// The most lists and objects inside one another. A label file has 5 (annotations, segmentation, polygons).
const MAX_DEPTH: u32 = 64;
/// The most bytes of one text: names have 1,024 characters, and an encoded mask of a large picture a few MiB.
const MAX_TEXT: u64 = 16 << 20;
/// What Python's `json` writes for numbers that JSON does not have, after the first letter.
const NUMBERS: [(u8, &[u8]); 2] = [(b'N', b"aN"), (b'I', b"nfinity")];

/// Passes on the bytes of JSON, limits how deeply it is nested and how long its texts are, and puts 0 in place of `NaN`
/// and `Infinity`.
struct Guard<R> {
    inner: R,
    depth: u32,
    in_text: bool,
    is_escaped: bool,
    /// The length of the text so far.
    text: u64,
    /// What is left of a number that JSON does not have.
    left: &'static [u8],
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        for byte in &mut bytes[..read] {
            if self.in_text {
                self.text += 1;
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_text = false,
                    _ if self.text > MAX_TEXT => return Err(too_much("a text is longer than 16 MiB")),
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => (self.in_text, self.text) = (true, 0),
                b'[' | b'{' if self.depth == MAX_DEPTH => {
                    return Err(too_much("it is nested more than 64 levels deep"));
                }
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                letter if self.left.first() == Some(letter) => {
                    (*letter, self.left) = (b' ', &self.left[1..]);
                }
                letter => {
                    if let Some((_, rest)) = NUMBERS.iter().find(|(first, _)| first == letter) {
                        (*letter, self.left) = (b'0', rest);
                    }
                }
            }
        }
        Ok(read)
    }
}

fn too_much(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Takes values of JSON as they are read.
pub(super) trait Take {
    /// Takes the next value: a document, or that of a line.
    fn take<'de, D: serde::Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error>;
}

/// Reads one value after the other.
pub(super) fn each(file: impl BufRead, taker: &mut impl Take) -> Result<(), Fault> {
    let guard = Guard { inner: file, depth: 0, in_text: false, is_escaped: false, text: 0, left: &[] };
    let mut parser = Deserializer::from_reader(BufReader::with_capacity(64 << 10, guard));
    loop {
        match parser.end() {
            Ok(()) => return Ok(()),
            // There is another value, or the file cannot be read, which reading the value shows.
            Err(_) => taker.take(&mut parser).map_err(|error| fault(&error))?,
        }
    }
}

/// Says where and why JSON cannot be read. What is beyond a limit, or cannot be read, may still be of the right kind.
fn fault(error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    let why = text.split(" at line ").next().unwrap_or(&text).to_owned();
    Fault { line: Some(error.line() as u64).filter(|line| *line > 0), why, is_foreign: !error.is_io() }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::IgnoredAny;

    use super::*;

    struct Values(usize);

    impl Take for Values {
        fn take<'de, D: serde::Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
            self.0 += 1;
            IgnoredAny::deserialize(value).map(drop)
        }
    }

    fn read(text: &str) -> Result<usize, Fault> {
        let mut values = Values(0);
        each(text.as_bytes(), &mut values)?;
        Ok(values.0)
    }

    #[test]
    fn documents_and_lines_are_read_up_to_limits() {
        assert_eq!(read("{\"a\": [1, \"[[\\\"\"]}\n{}\n\n[]").expect("JSON"), 3);
        assert_eq!(read("").expect("nothing"), 0);
        assert_eq!(read("[NaN, -Infinity, Infinity, \"NaN\"]").expect("Python's JSON"), 1);
        assert!(read("[Nan]").is_err() && read("[1,\n2").is_err_and(|fault| fault.line == Some(2)));
        let deep = "[".repeat(1 << 20);
        assert!(read(&deep).is_err_and(|fault| fault.why.contains("64 levels")));
        let long = format!("[\"{}\"]", "a".repeat(17 << 20));
        assert!(read(&long).is_err_and(|fault| fault.why.contains("16 MiB")));
    }
}
