//! CSV files with one name per row, written by many tools.

use csv::{ReaderBuilder, StringRecord, Trim};
use std::io::{self, BufRead};

use super::input::{Fault, Input, MAX_LINE};
use super::spelling::basename;
use crate::files::bounded::Bounded;
use crate::model::error::reason;
use crate::model::{BlobName, Format};

/// The rows of a CSV file.
pub(super) struct Table {
    reader: csv::Reader<Bounded<Input>>,
    /// The names of the columns, [`squeezed`]; empty without a header.
    header: Vec<String>,
    /// The column with the names.
    name: usize,
    record: StringRecord,
    /// Whether `record` is the first row, of a file without a header.
    is_pending: bool,
}

impl Table {
    /// Opens a file. The names are in the column `wanted`, or else in the first one of `usual` that there is, or else, in a
    /// file without a header, in the first column whose value ends like a media file.
    pub(super) fn open(
        mut file: Input,
        wanted: Option<&str>,
        usual: &[&str],
        tabs: bool,
    ) -> Result<Self, Fault> {
        let delimiter = if tabs { b'\t' } else { delimiter(&mut file)? };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .delimiter(delimiter)
            .from_reader(Bounded::new(file, MAX_LINE));
        let mut record = StringRecord::new();
        if !reader.read_record(&mut record).map_err(|error| fault(&error))? {
            return Err(Fault::foreign("it is empty"));
        }
        let header: Vec<String> = record.iter().map(squeezed).collect();
        let place = |name: &str| {
            let exact = record.iter().position(|column| column == name);
            exact.or_else(|| header.iter().position(|column| *column == squeezed(name)))
        };
        if let Some(wanted) = wanted {
            let name = place(wanted).ok_or_else(|| Fault::new(no_column(wanted, &record)))?;
            return Ok(Self { reader, header, name, record, is_pending: false });
        }
        if let Some(name) = usual.iter().find_map(|usual| place(usual)) {
            return Ok(Self { reader, header, name, record, is_pending: false });
        }
        if let Some(name) = record.iter().position(is_media) {
            return Ok(Self { reader, header: Vec::new(), name, record, is_pending: true });
        }
        Err(Fault::foreign(format!("{}; name it with --column", no_column(usual[0], &record))))
    }

    /// Goes to the next row. Returns its line, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<u64>, Fault> {
        if !std::mem::take(&mut self.is_pending) {
            self.reader.get_mut().begin();
            if !self.reader.read_record(&mut self.record).map_err(|error| fault(&error))? {
                return Ok(None);
            }
        }
        Ok(Some(self.record.position().map_or(1, csv::Position::line)))
    }

    /// The name in the row.
    pub(super) fn name(&self) -> &str {
        self.record.get(self.name).unwrap_or_default()
    }

    /// Whether the names are in a column of this name, [`squeezed`].
    pub(super) fn is_named_by(&self, column: &str) -> bool {
        self.header.get(self.name).is_some_and(|name| name == column)
    }

    /// Whether there is a column with one of these names, [`squeezed`].
    pub(super) fn has(&self, columns: &[&str]) -> bool {
        columns.iter().any(|column| self.place(column).is_some())
    }

    /// The value in the first one of these columns that there is. Their names are [`squeezed`].
    pub(super) fn get(&self, columns: &[&str]) -> Option<&str> {
        let place = columns.iter().find_map(|column| self.place(column))?;
        self.record.get(place).filter(|value| !value.is_empty())
    }

    fn place(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name == column)
    }
}

/// The name of a column without what tools write differently: `Image Name`, `image_name` and `#imageName` are the same.
fn squeezed(column: &str) -> String {
    column
        .chars()
        .filter(|letter| !" _-#".contains(*letter))
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// What separates columns: a comma, or where the first line has none, a tab, semicolon or bar outside of quotes.
fn delimiter(file: &mut Input) -> Result<u8, Fault> {
    let begin = file.fill_buf().map_err(|error| Fault::io(&error))?;
    let mut is_quoted = false;
    let line = begin.iter().take_while(|byte| **byte != b'\n').filter(|byte| {
        is_quoted ^= **byte == b'"';
        !is_quoted
    });
    let line: Vec<u8> = line.copied().collect();
    Ok([b',', b'\t', b';', b'|'].into_iter().find(|delimiter| line.contains(delimiter)).unwrap_or(b','))
}

fn no_column(name: &str, header: &StringRecord) -> String {
    const MOST: usize = 20;
    let columns: Vec<_> =
        header.iter().take(MOST).map(|column| format!("'{}'", column.escape_debug())).collect();
    format!("it has no column '{}', but {}", name.escape_debug(), columns.join(", "))
}

/// Whether a text ends like the name of an image or a video.
pub(super) fn is_media(text: &str) -> bool {
    let name = basename(text);
    !name.is_empty() && BlobName::new(name).extension().and_then(Format::of_extension).is_some()
}

fn fault(error: &csv::Error) -> Fault {
    let line = error.position().map(csv::Position::line);
    let why = match error.kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => error.to_string(),
        csv::ErrorKind::Io(error) => reason(error),
        csv::ErrorKind::Utf8 { .. } => "a row is not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    Fault { line, ..Fault::new(why) }
}
