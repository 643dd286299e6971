//! Opens the files that are compared with a plan.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::files::regular;
use crate::model::error::reason;
use crate::model::shown;

/// The most bytes of a line of text, or of a row of CSV: a name has up to 1,024 characters, and an annotation with polygons
/// a few MiB.
pub(super) const MAX_LINE: usize = 16 << 20;
/// Bytes of a file that are read at a time.
const AT_ONCE: usize = 64 << 10;

/// Why a file could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line, counted from 1.
    pub line: Option<u64>,
    /// What is wrong, without a final period.
    pub why: String,
    /// Whether it is another kind of file altogether.
    pub is_foreign: bool,
}

impl Fault {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { line: None, why: why.into(), is_foreign: false }
    }

    pub(super) fn at(line: u64, why: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::new(why) }
    }

    /// The file is of another kind.
    pub(super) fn foreign(why: impl Into<String>) -> Self {
        Self { is_foreign: true, ..Self::new(why) }
    }

    pub(super) fn io(error: &io::Error) -> Self {
        Self::new(reason(error))
    }

    /// Such as `line 3: a row has no name`.
    pub(super) fn text(&self) -> String {
        match self.line {
            Some(line) => format!("line {line}: {}", shown(&self.why)),
            None => shown(&self.why),
        }
    }
}

/// A file from its first character on, without a byte order mark.
pub(super) type Input = BufReader<Box<dyn Read>>;

/// Opens a file, or stdin for `-`.
pub(super) fn open(path: &Path) -> Result<Input, Fault> {
    let file: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(regular(path)?),
    };
    start(file)
}

fn regular(path: &Path) -> Result<File, Fault> {
    Ok(regular::open(path).map_err(|error| Fault::io(&error))?.0)
}

/// Skips the byte order mark.
pub(super) fn start(file: Box<dyn Read>) -> Result<Input, Fault> {
    let mut file = BufReader::with_capacity(AT_ONCE, file);
    let begin = file.fill_buf().map_err(|error| Fault::io(&error))?;
    match begin {
        [0xef, 0xbb, 0xbf, ..] => file.consume(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            return Err(Fault::new("it is UTF-16; save it as UTF-8"));
        }
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] => {
            return Err(Fault::new("it is compressed; unpack it first"));
        }
        _ => {}
    }
    Ok(file)
}

/// The first byte that is not white space, among those that are read at first.
pub(super) fn first(file: &mut Input) -> Result<Option<u8>, Fault> {
    let begin = file.fill_buf().map_err(|error| Fault::io(&error))?;
    Ok(begin.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
}
