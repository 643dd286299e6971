//! What a Parquet file may unfold to. The library trusts what pages state of themselves: a few bytes can stand for
//! gigabytes of text, millions of list elements or billions of rows. So every page's header is read here first, and what
//! a page holds is looked at before it is decoded.
//!
//! Headers are in Thrift's compact protocol ("Thrift compact protocol encoding"; Parquet, `parquet.thrift`).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::parquet_file::Fault;

/// The most bytes of a page before compression: 32 MiB. Most writers end a page at 1 MiB, and DuckDB after 122,880 rows.
const MAX_PAGE: u64 = 32 << 20;
/// The most bytes of a dictionary before compression, 4 MiB, and its entries: writers end it at 1 MiB.
const MAX_DICTIONARY: (u64, u64) = (4 << 20, 1 << 20);
/// The most bytes that the largest pages of all columns of a row group have together, since these are in memory at a time:
/// 128 MiB, a page and a dictionary of 1 MiB each for every column of a plan.
const MAX_TOGETHER: u64 = 128 << 20;
/// How many times as long as the file its pages may be before compression, plus 64 MiB. Names and ETags, which differ from
/// row to row, rarely shrink to a tenth.
const MAX_RATIO: (u64, u64) = (1_000, 64 << 20);
/// The most rows for each byte of the file, plus 100,000. Names that count up still take a tenth of a byte each.
const MAX_ROWS: (u64, u64) = (100, 100_000);
/// The most elements of a list: enough for a video with as many tracks as presync reads.
const MAX_LIST: u64 = 128;
/// The most bytes of a page's header, which may hold the least and the greatest value: 1 MiB, the longest row of a CSV
/// report.
const MAX_HEADER: u64 = 1 << 20;
/// Bytes that a batch of rows may take where each text may repeat the one before it: 32 MiB.
const MAX_BATCH: u64 = 32 << 20;
/// How deep structures may be nested in a page's header: the deepest known one is two deep.
const MAX_DEPTH: u8 = 8;

/// What is left of the limits for a whole file.
#[derive(Debug)]
pub(crate) struct Limits {
    file: Arc<File>,
    /// Bytes before compression.
    bytes: u64,
    /// The same for a file of which nothing was read.
    most: u64,
}

impl Limits {
    /// The limits of a file with this number of rows, as its footer states.
    ///
    /// # Errors
    /// Returns an error if the file is too short for so many rows, or cannot be read.
    pub(crate) fn of(file: File, rows: i64) -> std::result::Result<Self, Fault> {
        let len = file.metadata().map_err(|error| error.to_string())?.len();
        let limit = |(each, more): (u64, u64)| len.saturating_mul(each).saturating_add(more);
        if u64::try_from(rows).is_ok_and(|rows| rows > limit(MAX_ROWS)) {
            return Err(format!("it has {rows} rows in only {len} bytes"));
        }
        let most = limit(MAX_RATIO);
        Ok(Self { file: Arc::new(file), bytes: most, most })
    }

    /// The same limits for reading the file once more.
    pub(crate) fn again(&self) -> Self {
        Self { file: Arc::clone(&self.file), bytes: self.most, most: self.most }
    }

    /// Checks the headers of all pages of these columns of a row group. Returns how many rows may be decoded at a time, at
    /// most `rows`.
    ///
    /// # Errors
    /// Returns an error if a page is damaged or too large, or unfolds to too much.
    pub(crate) fn check(
        &mut self,
        group: &RowGroupMetaData,
        leaves: impl IntoIterator<Item = usize>,
        rows: usize,
    ) -> Result<usize> {
        let (mut together, mut longest) = (0, 0);
        for leaf in leaves {
            let column = group.columns().get(leaf).ok_or_else(|| general("it has fewer columns"))?;
            let sizes = self.check_column(column)?;
            together += sizes.page + sizes.dictionary;
            longest = sizes.repeating.max(longest);
            if together > MAX_TOGETHER {
                return Err(general("the pages of a row group are larger than any report or plan has"));
            }
        }
        let fit = MAX_BATCH.checked_div(longest).unwrap_or(u64::MAX).max(1);
        Ok(usize::try_from(fit).unwrap_or(usize::MAX).min(rows))
    }

    fn check_column(&mut self, column: &ColumnChunkMetaData) -> Result<Sizes> {
        let (start, len) = column.byte_range();
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = BufReader::new(file).take(len);
        let mut sizes = Sizes::default();
        while chunk.limit() > 0 {
            let page = Header::read(&mut (&mut chunk).take(MAX_HEADER))?;
            self.bytes = self
                .bytes
                .checked_sub(page.bytes)
                .ok_or_else(|| general("its pages unfold to a thousand times its length and more"))?;
            let limit = if page.is_dictionary { MAX_DICTIONARY.0 } else { MAX_PAGE };
            if page.bytes > limit {
                return Err(general(&format!(
                    "a page of it unfolds to {} bytes, more than {limit}",
                    page.bytes
                )));
            }
            match page.is_dictionary {
                true if page.values > MAX_DICTIONARY.1.min(page.bytes) => {
                    return Err(general("a dictionary of it has more values than a plan or report may have"));
                }
                true => sizes.dictionary = page.bytes.max(sizes.dictionary),
                false => sizes.page = page.bytes.max(sizes.page),
            }
            if page.encoding == Encoding::DELTA_BYTE_ARRAY as i64 {
                sizes.repeating = page.bytes.max(sizes.repeating);
            }
            let skipped = io::copy(&mut (&mut chunk).take(page.stored), &mut io::sink())?;
            if skipped < page.stored {
                return Err(general("it has a page that is cut short"));
            }
        }
        Ok(sizes)
    }
}

/// Bytes of a column's largest pages.
#[derive(Default)]
struct Sizes {
    page: u64,
    dictionary: u64,
    /// Of pages in which each text may repeat the one before it.
    repeating: u64,
}

/// The header of a page.
#[derive(Debug, Default)]
struct Header {
    is_dictionary: bool,
    /// Its length before compression.
    bytes: u64,
    /// Its length in the file.
    stored: u64,
    values: u64,
    encoding: i64,
}

impl Header {
    fn read(bytes: &mut impl Read) -> Result<Self> {
        let mut header = Self::default();
        let size =
            |number: i64| u64::try_from(number).map_err(|_| general("it has a page of a negative length"));
        fields(bytes, &mut |field, kind, bytes| {
            match (field, kind) {
                (1, INT) => header.is_dictionary = integer(bytes)? == DICTIONARY,
                (2, INT) => header.bytes = size(integer(bytes)?)?,
                (3, INT) => header.stored = size(integer(bytes)?)?,
                // The second field of a data page is its encoding, of one of the second version it is the fourth.
                (5 | 7 | 8, STRUCT) => fields(bytes, &mut |inner, kind, bytes| {
                    match (inner, kind) {
                        (1, INT) => header.values = size(integer(bytes)?)?,
                        (2, INT) if field != 8 => header.encoding = integer(bytes)?,
                        (4, INT) if field == 8 => header.encoding = integer(bytes)?,
                        _ => skip(bytes, kind, 0)?,
                    }
                    Ok(())
                })?,
                _ => skip(bytes, kind, 0)?,
            }
            Ok(())
        })?;
        Ok(header)
    }
}

/// The kind of a page that is a dictionary.
const DICTIONARY: i64 = 2;
/// The types of fields that are read.
const INT: u8 = 5;
const STRUCT: u8 = 12;

/// Calls `take` with the number and the type of each field of a structure, which it must read or skip.
fn fields<R: Read>(bytes: &mut R, take: &mut dyn FnMut(i64, u8, &mut R) -> Result<()>) -> Result<()> {
    let mut field = 0i64;
    loop {
        let head = byte(bytes)?;
        if head == 0 {
            return Ok(());
        }
        field = match head >> 4 {
            0 => integer(bytes)?,
            more => field.saturating_add(i64::from(more)),
        };
        take(field, head & 0xF, bytes)?;
    }
}

/// Skips a value of this type.
fn skip<R: Read>(bytes: &mut R, kind: u8, depth: u8) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(general("a page's header is nested too deeply"));
    }
    let len = match kind {
        // The type is the value of a flag.
        1 | 2 => 0,
        3 => 1,
        4..=6 => return unsigned(bytes).map(drop),
        7 => 8,
        8 => unsigned(bytes)?,
        9 | 10 => {
            let head = byte(bytes)?;
            let len = if head >> 4 == 0xF { unsigned(bytes)? } else { u64::from(head >> 4) };
            return (0..len.min(MAX_HEADER)).try_for_each(|_| match head & 0xF {
                // In a list, a flag takes a byte.
                1 | 2 => byte(bytes).map(drop),
                kind => skip(bytes, kind, depth + 1),
            });
        }
        STRUCT => return fields(bytes, &mut |_, kind, bytes| skip(bytes, kind, depth + 1)),
        _ => return Err(general("a page's header cannot be read")),
    };
    if io::copy(&mut bytes.take(len), &mut io::sink())? < len {
        return Err(general("a page's header is cut short"));
    }
    Ok(())
}

fn byte(bytes: &mut impl Read) -> Result<u8> {
    let mut byte = [0];
    bytes.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// A number in groups of seven bits, the lowest first.
fn unsigned(bytes: &mut impl Read) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let next = byte(bytes)?;
        number |= u64::from(next & 0x7F) << shift;
        if next & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(general("it has a number of more than 64 bits"))
}

/// A number whose lowest bit is its sign.
fn integer(bytes: &mut impl Read) -> Result<i64> {
    let number = unsigned(bytes)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// The pages of a column, each of which is looked at before its values are decoded.
pub(crate) struct Checked {
    pages: Box<dyn PageReader>,
    has_lists: bool,
    has_gaps: bool,
    /// The length so far of a list that may go on in the next page.
    list: u64,
}

impl Checked {
    /// `has_lists` and `has_gaps` say whether the column has repetition and definition levels.
    pub(crate) fn new(pages: Box<dyn PageReader>, has_lists: bool, has_gaps: bool) -> Self {
        Self { pages, has_lists, has_gaps, list: 0 }
    }

    fn check(&mut self, page: &Page) -> Result<()> {
        if page.is_dictionary_page() {
            return Ok(());
        }
        let count = u64::from(page.num_values());
        let (mut levels, mut values) =
            self.split(page).ok_or_else(|| general("it has a page that is cut short"))?;
        if self.has_lists {
            self.check_lists(&mut levels, count)?;
        }
        match page.encoding() {
            Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                delta_values(&mut values, count)
            }
            // How long each begins like the one before it, and how long the rest is.
            Encoding::DELTA_BYTE_ARRAY => (0..2).try_for_each(|_| delta_values(&mut values, count)),
            _ => Ok(()),
        }
    }

    /// The repetition levels of a data page, and its values. In a page of the first version, each kind of level has its
    /// length before it (Parquet, "Data Pages").
    fn split<'a>(&self, page: &'a Page) -> Option<(&'a [u8], &'a [u8])> {
        match page {
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let (levels, rest) = buf.split_at_checked(*rep_levels_byte_len as usize)?;
                Some((levels, rest.get(*def_levels_byte_len as usize..)?))
            }
            Page::DataPage { buf, def_level_encoding, rep_level_encoding, .. } => {
                let part = |rest: &'a [u8], encoding: Encoding| {
                    let (len, rest) = rest.split_first_chunk()?;
                    // The older encoding of levels states no length, and nobody writes it any more.
                    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
                        .filter(|_| encoding == Encoding::RLE)
                };
                let (mut levels, mut rest): (&[u8], &[u8]) = (&[], buf);
                if self.has_lists {
                    (levels, rest) = part(rest, *rep_level_encoding)?;
                }
                if self.has_gaps {
                    (_, rest) = part(rest, *def_level_encoding)?;
                }
                Some((levels, rest))
            }
            Page::DictionaryPage { .. } => None,
        }
    }

    /// Checks the lengths of the lists in a page from its repetition levels, which are 0 where a list begins: runs of a
    /// level, and bits in groups of eight (Parquet, "Run Length Encoding / Bit-Packing Hybrid").
    fn check_lists(&mut self, levels: &mut &[u8], count: u64) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let head = unsigned(levels)?;
            if head >> 1 == 0 {
                return Err(general("it has a run of no levels"));
            }
            if head & 1 == 0 {
                let run = (head >> 1).min(left);
                self.add_levels(run, byte(levels)?)?;
                left -= run;
                continue;
            }
            for _ in 0..(head >> 1).min(left.div_ceil(8)) {
                let bits = byte(levels)?;
                let used = left.min(8);
                (0..used).try_for_each(|bit| self.add_levels(1, bits >> bit))?;
                left -= used;
            }
        }
        Ok(())
    }

    fn add_levels(&mut self, count: u64, level: u8) -> Result<()> {
        self.list = if level & 1 == 1 { self.list.saturating_add(count) } else { 1 };
        if self.list > MAX_LIST { Err(general("it has more values than a plan may have")) } else { Ok(()) }
    }
}

/// Reads past numbers that are stored as differences. There may be at most `most` (Parquet, "Delta Encoding").
fn delta_values(data: &mut &[u8], most: u64) -> Result<()> {
    let (block, minis, count) = (unsigned(data)?, unsigned(data)?, unsigned(data)?);
    unsigned(data)?;
    let each = block.checked_div(minis).filter(|each| *each > 0);
    let each = each.ok_or_else(|| general("it has blocks of no values"))?;
    if count > most {
        return Err(general("it has more values than its pages say"));
    }
    let mut left = count.saturating_sub(1);
    while left > 0 {
        unsigned(data)?;
        let widths = usize::try_from(minis).ok().and_then(|minis| data.split_at_checked(minis));
        let (widths, mut rest) = widths.ok_or_else(|| general("it has a page that is cut short"))?;
        for width in widths {
            // Blocks that nothing is in are not there.
            if left == 0 {
                break;
            }
            let len = u64::from(*width).saturating_mul(each) / 8;
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
            rest = &rest[len..];
            left = left.saturating_sub(each);
        }
        *data = rest;
    }
    Ok(())
}

impl PageReader for Checked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for Checked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn general(why: &str) -> ParquetError {
    ParquetError::General(why.to_owned())
}
