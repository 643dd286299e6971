//! Where a report goes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use anstream::{AutoStream, ColorChoice};
use tempfile::NamedTempFile;

use crate::config::Color;
use crate::error::{Error, Result, reason};

/// The width of a report that goes to no terminal, in columns.
const PLAIN_WIDTH: usize = 100;

/// Where a report goes: stdout, or a file that takes its name only when it is whole.
pub(super) struct Output<'a> {
    file: Option<(Arc<Mutex<NamedTempFile>>, &'a Path)>,
    color: ColorChoice,
    /// The columns that text may use.
    pub width: usize,
}

impl<'a> Output<'a> {
    pub(super) fn open(path: Option<&'a Path>, color: Color) -> Result<Self> {
        let choice = color.into();
        let Some(path) = path else {
            let color = match choice {
                ColorChoice::Auto => AutoStream::choice(&io::stdout()),
                choice => choice,
            };
            let width = terminal_size::terminal_size_of(io::stdout());
            return Ok(Self {
                file: None,
                color,
                width: width.map_or(PLAIN_WIDTH, |(width, _)| width.0.into()),
            });
        };
        if path.is_dir() {
            return Err(Error::new(format!("'{}' is a folder, not a file", path.display()))
                .hint("give --output the name of a file in it"));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).map_err(|error| {
            Error::new(format!("cannot write to the folder '{}': {}", folder.display(), reason(&error)))
                .hint("check that it exists and that you may write to it")
        })?;
        let color = if choice == ColorChoice::Always { choice } else { ColorChoice::Never };
        Ok(Self { file: Some((Arc::new(Mutex::new(file)), path)), color, width: PLAIN_WIDTH })
    }

    pub(super) fn writer(&self) -> Box<dyn Write + Send> {
        match &self.file {
            Some((file, _)) => Box::new(AutoStream::new(
                Box::new(Shared(Arc::clone(file))) as Box<dyn Write + Send>,
                self.color,
            )),
            None => Box::new(AutoStream::new(Box::new(io::stdout()) as Box<dyn Write + Send>, self.color)),
        }
    }

    /// Gives a finished file its name.
    pub(super) fn keep(self) -> Result<()> {
        let Some((file, path)) = self.file else { return Ok(()) };
        let failed =
            |error: io::Error| Error::new(format!("cannot write '{}': {}", path.display(), reason(&error)));
        let file = Arc::into_inner(file).and_then(|file| file.into_inner().ok());
        let file = file.ok_or_else(|| failed(io::Error::other("the report is still being written")))?;
        file.persist(path).map(drop).map_err(|error| failed(error.error))
    }
}

struct Shared(Arc<Mutex<NamedTempFile>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock()?.flush()
    }
}

impl Shared {
    fn lock(&mut self) -> io::Result<std::sync::MutexGuard<'_, NamedTempFile>> {
        self.0.lock().map_err(|_| io::Error::other("the file's writer has failed"))
    }
}
