//! Where a report goes.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use tempfile::TempDir;

use super::host;
use crate::files::temporary;
use crate::files::whole::{self, WholeFile};
use crate::model::error::{Error, Result};
use crate::report::runner::{self, Broken, Syntax};
use crate::report::{self, Format, MAX_WIDTH, TextOrJson, Visible};

/// Paths of stdout and stderr, besides `-`.
const STDOUT: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
const STDERR: [&str; 3] = ["/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"];

/// Where a report goes.
enum Place {
    Stdout,
    Stderr,
    /// A device, a pipe, or another descriptor.
    Stream(Arc<File>),
    /// A file that is put in place only when it is complete.
    File(Arc<Mutex<WholeFile>>),
}

impl Place {
    fn at(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        match Self::stream(path)? {
            Some(place) => Ok(place),
            None => Ok(Self::File(Arc::new(Mutex::new(WholeFile::create(path)?)))),
        }
    }

    /// What is not a file that can be put in place.
    fn stream(path: &Path) -> Result<Option<Self>> {
        let is_one_of = |names: &[&str]| names.iter().any(|name| path == Path::new(name));
        if is_one_of(&["-"]) || is_one_of(&STDOUT) {
            return Ok(Some(Self::Stdout));
        }
        if is_one_of(&STDERR) {
            return Ok(Some(Self::Stderr));
        }
        Ok(whole::stream(path)?.map(|stream| Self::Stream(Arc::new(stream))))
    }

    fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
            Self::Stream(stream) => stream.is_terminal(),
            Self::File(_) => false,
        }
    }

    /// The columns that text may use: those of a terminal.
    fn width(&self) -> usize {
        let width = match self {
            _ if !self.is_terminal() => None,
            Self::Stdout => terminal_size::terminal_size_of(io::stdout()),
            Self::Stderr => terminal_size::terminal_size_of(io::stderr()),
            Self::Stream(stream) => terminal_size::terminal_size_of(stream),
            Self::File(_) => None,
        };
        width.map_or(MAX_WIDTH, |(width, _)| width.0.into())
    }
}

/// Where a report goes, and how it is written.
pub(super) struct Output {
    place: Place,
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
        let place = Place::at(path)?;
        let color = match (&place, color) {
            (Place::Stdout, ColorChoice::Auto) if host::current().is_some() => ColorChoice::Never,
            (Place::Stdout, ColorChoice::Auto) => AutoStream::choice(&io::stdout()),
            (Place::Stderr, ColorChoice::Auto) => AutoStream::choice(&io::stderr()),
            (Place::Stream(stream), ColorChoice::Auto) if stream.is_terminal() => {
                AutoStream::choice(&**stream)
            }
            (Place::Stream(_) | Place::File(_), color) if color != ColorChoice::Always => ColorChoice::Never,
            (_, color) => color,
        };
        Ok(Self { width: place.width(), place, syntax, color, raw: false })
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
        let output = Self::with(path, syntax, ColorChoice::Always)?;
        // In a file, names stay exact.
        let is_shown = matches!(output.place, Place::Stdout | Place::Stderr) || output.place.is_terminal();
        Ok(Self { raw: format == Format::Csv && is_shown, ..output })
    }

    pub(super) fn writer(&self) -> Box<dyn Write + Send> {
        let out: Box<dyn Write + Send> = match &self.place {
            Place::Stdout => Box::new(stdout(self.syntax, self.color)),
            Place::Stderr => Box::new(stream(io::stderr(), self.syntax, self.color)),
            Place::Stream(stream) => Box::new(styled(Arc::clone(stream), self.color)),
            Place::File(file) => Box::new(styled(Shared(Arc::clone(file)), self.color)),
        };
        if self.raw { Box::new(Visible::plain(out)) } else { out }
    }

    /// Puts a finished file in place.
    pub(super) fn keep(self) -> Result<()> {
        let Place::File(file) = self.place else { return Ok(()) };
        let file = Arc::into_inner(file).and_then(|file| file.into_inner().ok());
        file.ok_or_else(|| Error::new("the report is still being written"))?.commit()
    }
}

/// A plan for a stream: a temporary file until it is complete, because its writer has to go back in it.
pub(super) struct Spool {
    folder: TempDir,
    place: Place,
}

impl Spool {
    /// The spool of a report in this format. `None` if that is no plan, or a plan in a file.
    pub(super) fn of(format: Format, path: Option<&Path>) -> Result<Option<Self>> {
        let Some(path) = path.filter(|_| format == Format::Parquet) else { return Ok(None) };
        let place = match Place::stream(path)? {
            None => return Ok(None),
            Some(place) if place.is_terminal() => {
                return Err(Error::new("a plan is not text for a terminal").with_hint("use --output FILE"));
            }
            Some(place) => place,
        };
        Ok(Some(Self { folder: temporary::folder()?, place }))
    }

    /// Where the plan is written first.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("plan.parquet")
    }

    /// Sends the plan on.
    pub(super) fn send(&self) -> Result<()> {
        let mut plan = File::open(self.path()).map_err(|error| temporary::failed(&error))?;
        let sent = match &self.place {
            Place::Stdout => io::copy(&mut plan, &mut io::stdout().lock()),
            Place::Stderr => io::copy(&mut plan, &mut io::stderr().lock()),
            Place::Stream(stream) => io::copy(&mut plan, &mut &**stream),
            Place::File(_) => Ok(0),
        };
        sent.map(drop).map_err(|error| report::output(&error))
    }
}

/// Stdout or stderr, with or without styles.
pub(super) type Stream = AutoStream<Box<dyn Write + Send>>;

/// Stdout. If it is the log of a CI runner, nothing on it is a command, except presync's own.
pub(super) fn stdout(syntax: Syntax, color: ColorChoice) -> Stream {
    if let Some(host) = host::current() {
        let color = if color == ColorChoice::Auto { ColorChoice::Never } else { color };
        return AutoStream::new(Box::new(host::Printed(host)), color);
    }
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

fn styled(out: impl Write + Send + 'static, color: ColorChoice) -> Stream {
    AutoStream::new(Box::new(out), color)
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
