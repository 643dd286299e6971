//! `presync dry-run`: the pre-sync report.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anstream::{AutoStream, ColorChoice};
use tempfile::NamedTempFile;

use super::say;
use super::target::Resolved;
use crate::config::DryRun;
use crate::error::{Error, Result, reason};
use crate::exit::Exit;
use crate::model::Quota;
use crate::progress::Progress;
use crate::report::{self, Header, ProgressBar};
use crate::rules::Profile;
use crate::run::{self, Settings};
use crate::source::any::AnySource;
use crate::source::location::Environment;

/// Blobs that are examined side by side when nothing else is asked for.
const CONCURRENCY: usize = 64;
/// The width of a report that goes to no terminal, in columns.
const PLAIN_WIDTH: usize = 100;

/// Writes the report and says how the run ended.
///
/// # Errors
/// When the run cannot start or cannot go on.
pub fn run(settings: &DryRun) -> Result<Exit> {
    let environment = Environment::of_process();
    let resolved = Resolved::source(&settings.target, &environment)?;
    let profile = Arc::new(Profile::load(&resolved.profile)?);
    let quota = resolved.quota(settings.image_quota, settings.frame_quota);
    super::runtime()?.block_on(async {
        let source = AnySource::open(resolved.location, resolved.auth, &environment)?;
        let origin = source.origin();
        report_on(source, Header { origin, profile }, quota, settings).await
    })
}

async fn report_on(source: AnySource, header: Header, quota: Quota, settings: &DryRun) -> Result<Exit> {
    let begun = Instant::now();
    let profile = Arc::clone(&header.profile);
    let output = Output::open(settings)?;
    let report = report::open(settings.format, header, output.writer(), output.width)?;
    let progress = Arc::new(Progress::default());
    let bar =
        (settings.progress && io::stderr().is_terminal()).then(|| ProgressBar::show(Arc::clone(&progress)));

    let mut pipeline = Settings::with_concurrency(settings.concurrency.unwrap_or(CONCURRENCY));
    pipeline.workers = settings.workers.unwrap_or(pipeline.workers);
    pipeline.queue = settings.queue.unwrap_or(pipeline.queue);
    if settings.verbose {
        say(&format!(
            "{} blobs at a time, {} probe threads, a queue of {}",
            pipeline.concurrency, pipeline.workers, pipeline.queue
        ));
    }
    let ended = run::run(Arc::new(source), profile, quota, pipeline, progress, report).await;
    drop(bar);

    let (summary, report) = ended?;
    let elapsed = begun.elapsed();
    report.finish(&summary, elapsed).map_err(|error| report::output(&error))?;
    output.keep()?;
    // How long it took is no part of the report, which is the same every time.
    if settings.verbose || (settings.progress && io::stderr().is_terminal()) {
        let (listed, seconds) = (summary.totals.listed, elapsed.as_secs_f64());
        let rate = listed as f64 / seconds.max(f64::MIN_POSITIVE);
        say(&format!("{listed} blobs in {seconds:.1} s ({rate:.0}/s)"));
    }
    Ok(Exit::of(&summary, settings.exit_zero))
}

/// Where a report goes: stdout, or a file that takes its name only when it is whole.
struct Output<'a> {
    file: Option<(Arc<Mutex<NamedTempFile>>, &'a Path)>,
    color: ColorChoice,
    width: usize,
}

impl<'a> Output<'a> {
    fn open(settings: &'a DryRun) -> Result<Self> {
        let choice = settings.color.into();
        let Some(path) = settings.output.as_deref() else {
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

    fn writer(&self) -> Box<dyn Write + Send> {
        match &self.file {
            Some((file, _)) => Box::new(AutoStream::new(
                Box::new(Shared(Arc::clone(file))) as Box<dyn Write + Send>,
                self.color,
            )),
            None => Box::new(AutoStream::new(Box::new(io::stdout()) as Box<dyn Write + Send>, self.color)),
        }
    }

    /// Gives a finished file its name.
    fn keep(self) -> Result<()> {
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
