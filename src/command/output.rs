//! Where a report goes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};

use crate::files::whole::WholeFile;
use crate::model::error::{Error, Result};
use crate::report::runner::{self, Broken, Syntax};
use crate::report::{Format, TextOrJson, Visible};

/// The width of a report that doesn't go to a terminal, in columns.
const PLAIN_WIDTH: usize = 100;

/// Where a report goes: stdout, or a file that is put in place only when it is complete.
pub(super) struct Output {
    file: Option<Arc<Mutex<WholeFile>>>,
    /// How a runner's commands are broken on stdout.
    syntax: Syntax,
    color: ColorChoice,
    /// Whether it is shown as it is, on a terminal or in a log, although a program may read it.
    raw: bool,
    /// The columns that text may use.
    pub width: usize,
}

impl Output {
    /// Opens the output for a report as text or JSON.
    pub(super) fn open(path: Option<&Path>, format: TextOrJson, color: ColorChoice) -> Result<Self> {
        Self::with(path, syntax(format), color)
    }

    fn with(path: Option<&Path>, syntax: Syntax, color: ColorChoice) -> Result<Self> {
        let Some(path) = path else {
            let color = match color {
                ColorChoice::Auto => AutoStream::choice(&io::stdout()),
                color => color,
            };
            let width = terminal_size::terminal_size_of(io::stdout());
            let width = width.map_or(PLAIN_WIDTH, |(width, _)| width.0.into());
            return Ok(Self { file: None, syntax, color, raw: false, width });
        };
        let file = WholeFile::create(path)?;
        let color = if color == ColorChoice::Always { color } else { ColorChoice::Never };
        Ok(Self { file: Some(Arc::new(Mutex::new(file))), syntax, color, raw: false, width: PLAIN_WIDTH })
    }

    /// Opens the output for a report in this format. Formats that programs read are written byte for byte.
    pub(super) fn of_report(path: Option<&Path>, format: Format, color: ColorChoice) -> Result<Self> {
        let syntax = match format {
            Format::Text => return Self::with(path, Syntax::Text, color),
            // The plan's own writer creates the file.
            Format::Parquet => return Self::with(None, Syntax::Text, ColorChoice::Never),
            Format::Csv | Format::Markdown => Syntax::Text,
            Format::Json | Format::Jsonl | Format::Sarif => Syntax::Json,
            Format::Junit => Syntax::Xml,
            Format::Html => Syntax::Html,
            Format::Github => Syntax::Commands,
        };
        // In a file, names stay exact.
        let raw = format == Format::Csv && path.is_none();
        Ok(Self { raw, ..Self::with(path, syntax, ColorChoice::Always)? })
    }

    pub(super) fn writer(&self) -> Box<dyn Write + Send> {
        match &self.file {
            Some(file) => Box::new(AutoStream::new(
                Box::new(Shared(Arc::clone(file))) as Box<dyn Write + Send>,
                self.color,
            )),
            None if self.raw => Box::new(Visible::plain(stdout(self.syntax, self.color))),
            None => Box::new(stdout(self.syntax, self.color)),
        }
    }

    /// Puts a finished file in place.
    pub(super) fn keep(self) -> Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        let file = Arc::into_inner(file).and_then(|file| file.into_inner().ok());
        file.ok_or_else(|| Error::new("the report is still being written"))?.commit()
    }
}

/// Stdout or stderr, with or without styles.
pub(super) type Stream = AutoStream<Box<dyn Write + Send>>;

/// Stdout. If it is the log of a CI runner, nothing on it is a command, except presync's own.
pub(super) fn stdout(syntax: Syntax, color: ColorChoice) -> Stream {
    stream(io::stdout(), syntax, color)
}

/// Stderr, likewise.
pub(super) fn stderr() -> Stream {
    stream(io::stderr(), Syntax::Text, ColorChoice::Auto)
}

fn stream(out: impl RawStream + Send + 'static, syntax: Syntax, color: ColorChoice) -> Stream {
    let color = if color == ColorChoice::Auto { AutoStream::choice(&out) } else { color };
    let out: Box<dyn Write + Send> =
        if runner::is_seen() { Box::new(Broken::new(out, syntax)) } else { Box::new(out) };
    AutoStream::new(out, color)
}

/// How commands are broken in a report.
pub(super) fn syntax(format: TextOrJson) -> Syntax {
    match format {
        TextOrJson::Text => Syntax::Text,
        TextOrJson::Json => Syntax::Json,
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
