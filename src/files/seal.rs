//! The seal of a Parquet file that presync wrote: a digest of all its bytes, under a key of its footer. So nothing in it can
//! be changed, by accident or by another program, and still be believed. It is no signature: presync has no key, and who
//! knows its format can seal a file again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use parquet::file::metadata::KeyValue;
use sha2::{Digest, Sha256};

use super::parquet_file::footer;

const KEY: &str = "presync.digest";
/// The digits of a digest, and their length as Thrift's compact protocol writes it behind the key, with the field's type.
const DIGITS: usize = 64;
const LENGTH: [u8; 2] = [0x18, DIGITS as u8];
/// What stands in for the digest while it is computed.
const BLANK: [u8; DIGITS] = [b'0'; DIGITS];
/// Bytes that are read at a time.
const BLOCK: usize = 64 << 10;

/// What the seal of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The file is as it was written.
    Whole,
    /// It was changed since.
    Broken,
    /// It has none.
    None,
}

/// The key, with room for the digest.
pub(crate) fn blank() -> KeyValue {
    KeyValue::new(KEY.to_owned(), String::from_utf8_lossy(&BLANK).into_owned())
}

/// Seals a complete file whose footer has the [`blank`] key.
///
/// # Errors
/// Returns an error if the file cannot be read or written, or has no such key.
pub(crate) fn seal(file: &mut File) -> io::Result<()> {
    let Some((at, _, digest)) = digest(file)? else {
        return Err(io::Error::other("it has no place for a digest"));
    };
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&digest)
}

/// Checks the seal of a file whose ends are those of a Parquet file.
///
/// # Errors
/// Returns an error if the file cannot be read.
pub(crate) fn check(file: &mut File) -> io::Result<Seal> {
    Ok(match digest(file)? {
        None => Seal::None,
        Some((_, stated, digest)) if stated == digest => Seal::Whole,
        Some(_) => Seal::Broken,
    })
}

/// Where the digest is in the file, the one that is there, and the right one. Of several keys, the last one counts: the
/// others are part of what is digested.
fn digest(file: &mut File) -> io::Result<Option<(u64, [u8; DIGITS], [u8; DIGITS])>> {
    let (start, mut footer) = footer(file)?;
    let key = [KEY.as_bytes(), &LENGTH].concat();
    let Some(found) = footer.windows(key.len()).rposition(|bytes| bytes == key) else { return Ok(None) };
    let at = found + key.len();
    let Some(place) = footer.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<DIGITS>()) else {
        return Ok(None);
    };
    let stated = std::mem::replace(place, BLANK);
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    file.rewind()?;
    let mut body = file.take(start);
    loop {
        match body.read(&mut block)? {
            0 => break,
            read => hash.update(&block[..read]),
        }
    }
    hash.update(&footer);
    let mut digest = BLANK;
    for (digits, byte) in digest.chunks_exact_mut(2).zip(hash.finalize()) {
        digits.copy_from_slice(format!("{byte:02x}").as_bytes());
    }
    Ok(Some((start + at as u64, stated, digest)))
}
