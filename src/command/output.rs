//! Where a report goes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anstream::{AutoStream, ColorChoice};

use crate::files::whole::WholeFile;
use crate::model::error::{Error, Result};
use crate::report::{Format, Visible};

/// The width of a report that doesn't go to a terminal, in columns.
const PLAIN_WIDTH: usize = 100;

/// Where a report goes: stdout, or a file that is put in place only when it is complete.
pub(super) struct Output {
    file: Option<Arc<Mutex<WholeFile>>>,
    color: ColorChoice,
    /// Whether it is shown as it is, on a terminal or in a log, although a program may read it.
    raw: bool,
    /// The columns that text may use.
    pub width: usize,
}

impl Output {
    pub(super) fn open(path: Option<&Path>, color: ColorChoice) -> Result<Self> {
        let Some(path) = path else {
            let color = match color {
                ColorChoice::Auto => AutoStream::choice(&io::stdout()),
                color => color,
            };
            let width = terminal_size::terminal_size_of(io::stdout());
            return Ok(Self {
                file: None,
                color,
                raw: false,
                width: width.map_or(PLAIN_WIDTH, |(width, _)| width.0.into()),
            });
        };
        let file = WholeFile::create(path)?;
        let color = if color == ColorChoice::Always { color } else { ColorChoice::Never };
        Ok(Self { file: Some(Arc::new(Mutex::new(file))), color, raw: false, width: PLAIN_WIDTH })
    }

    /// Opens the output for a report in this format. Formats that programs read are written byte for byte.
    pub(super) fn of_report(path: Option<&Path>, format: Format, color: ColorChoice) -> Result<Self> {
        match format {
            Format::Text => Self::open(path, color),
            // The plan's own writer creates the file.
            Format::Parquet => Self::open(None, ColorChoice::Never),
            // In a file, names stay exact.
            Format::Csv if path.is_none() => Ok(Self { raw: true, ..Self::open(path, ColorChoice::Always)? }),
            _ => Self::open(path, ColorChoice::Always),
        }
    }

    pub(super) fn writer(&self) -> Box<dyn Write + Send> {
        match &self.file {
            Some(file) => Box::new(AutoStream::new(
                Box::new(Shared(Arc::clone(file))) as Box<dyn Write + Send>,
                self.color,
            )),
            None if self.raw => Box::new(Visible::plain(io::stdout())),
            None => Box::new(AutoStream::new(Box::new(io::stdout()) as Box<dyn Write + Send>, self.color)),
        }
    }

    /// Puts a finished file in place.
    pub(super) fn keep(self) -> Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        let file = Arc::into_inner(file).and_then(|file| file.into_inner().ok());
        file.ok_or_else(|| Error::new("the report is still being written"))?.commit()
    }
}

struct Shared(Arc<Mutex<WholeFile>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock()?.flush()
    }
}

impl Shared {
    fn lock(&mut self) -> io::Result<std::sync::MutexGuard<'_, WholeFile>> {
        self.0.lock().map_err(|_| io::Error::other("the file's writer has failed"))
    }
}
