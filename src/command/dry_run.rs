//! `presync dry-run`: the pre-sync report.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Instant;

use super::output::Output;
use super::target::Resolved;
use super::{say, say_rate};
use crate::config::DryRun;
use crate::error::Result;
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
        let source = AnySource::open(resolved.location, settings.depth, resolved.auth, &environment)?;
        let origin = source.origin();
        report_on(source, Header { origin, profile }, quota, settings).await
    })
}

async fn report_on(source: AnySource, header: Header, quota: Quota, settings: &DryRun) -> Result<Exit> {
    let begun = Instant::now();
    let profile = Arc::clone(&header.profile);
    let output = Output::open(settings.output.as_deref(), settings.color)?;
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
        say_rate(summary.totals.listed, elapsed);
    }
    Ok(Exit::of(&summary, settings.exit_zero))
}
