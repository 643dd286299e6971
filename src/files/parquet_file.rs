//! Parquet files that may be damaged or hostile.
//!
//! The library that decodes them may panic on damaged bytes, and trusts the lengths that they state.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::model::error::reason;

/// The most bytes of a footer, which is held in memory as a whole: 64 MiB, twice what a plan of 100 million assets has.
const MAX_FOOTER: u64 = 64 << 20;

/// The bytes that a Parquet file begins and ends with.
const MAGIC: [u8; 4] = *b"PAR1";
/// Its last bytes: the footer's length and the magic.
const TAIL: u64 = 8;

/// What is wrong with a file, as a sentence that begins with "it" or "its".
pub(crate) type Fault = String;

/// Why a file cannot be read as Parquet.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// The file isn't Parquet.
    Foreign,
    /// The file is Parquet, but damaged in this way.
    Damaged(Fault),
}

impl Refused {
    /// What is wrong, as a sentence whose subject is the file.
    pub(crate) fn why(&self) -> Fault {
        match self {
            Self::Unreadable(error) => format!("it cannot be read: {}", reason(error)),
            Self::Foreign => "it isn't a Parquet file".to_owned(),
            Self::Damaged(fault) => fault.clone(),
        }
    }
}

/// Opens a file and parses its footer.
///
/// # Errors
/// Returns an error if the file isn't Parquet or is damaged, or if its footer is longer than 64 MiB.
pub(crate) fn open(mut file: File) -> Result<SerializedFileReader<File>, Refused> {
    check_ends(&mut file).map_err(Refused::Unreadable)??;
    guarded(|| SerializedFileReader::new(file)).map_err(Refused::Damaged)
}

/// Where the footer of a file begins, and its bytes up to the file's end.
///
/// # Errors
/// Returns an error if the file cannot be read or is cut short.
pub(super) fn footer(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let tail = file.metadata()?.len().checked_sub(TAIL).ok_or_else(cut)?;
    let mut len = [0; 4];
    file.seek(SeekFrom::Start(tail))?;
    file.read_exact(&mut len)?;
    let start = tail.checked_sub(u64::from(u32::from_le_bytes(len)).min(MAX_FOOTER)).ok_or_else(cut)?;
    let mut footer = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(MAX_FOOTER + TAIL).read_to_end(&mut footer)?;
    Ok((start, footer))
}

/// The key-value metadata of a file.
pub(crate) fn pairs(file: &SerializedFileReader<File>) -> &[KeyValue] {
    file.metadata().file_metadata().key_value_metadata().map_or(&[], Vec::as_slice)
}

/// Checks the first and the last bytes, and the footer's length.
fn check_ends(file: &mut File) -> io::Result<Result<(), Refused>> {
    let cut = || Ok(Err(Refused::Damaged("it is cut short".to_owned())));
    let len = file.metadata()?.len();
    let mut magic = [0; 4];
    if len < MAGIC.len() as u64 {
        return if len == 0 { cut() } else { Ok(Err(Refused::Foreign)) };
    }
    file.rewind()?;
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Ok(Err(Refused::Foreign));
    }
    let Some(tail) = len.checked_sub(TAIL) else { return cut() };
    let mut footer = [0; 4];
    file.seek(SeekFrom::Start(tail))?;
    file.read_exact(&mut footer)?;
    file.read_exact(&mut magic)?;
    let footer = u64::from(u32::from_le_bytes(footer));
    if magic != MAGIC || footer > MAX_FOOTER.min(tail) { cut() } else { Ok(Ok(())) }
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is decoding a file. A panic is then caught and becomes an error, so it need not be printed.
pub(crate) fn is_decoding() -> bool {
    DECODING.get()
}

/// Calls the decoder, which may panic on damaged bytes.
///
/// # Errors
/// Returns an error if the decoder fails or panics.
pub(crate) fn guarded<T, E: std::fmt::Display>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, Fault> {
    DECODING.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    match decoded {
        Ok(decoded) => decoded.map_err(|error| error.to_string()),
        Err(_) => Err("it cannot be decoded".to_owned()),
    }
}
