//! `presync dry-run --shard`: a share of a run, for schedulers that only run commands.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::examine::{Provenance, pipeline, plan_header, say_tally};
use super::interrupt::interrupted;
use super::{is_live, say, say_rate};
use crate::config::DryRun;
use crate::error::{Error, Result, reason};
use crate::exit::Exit;
use crate::model::Quota;
use crate::plan::Sink;
use crate::plan_file::{PartHeader, PartWriter, ShardOf};
use crate::progress::Progress;
use crate::report::{Header, ProgressBar};
use crate::run::{self, End, Task};
use crate::source::any::AnySource;
use crate::source::shard::Shard;

/// Examines the blobs of one shard and writes them as a part of the plan into `out`.
///
/// The quota is written down and not weighed: that is for who puts the parts together. Findings are no failure here,
/// because a scheduler would run the shard again; what stops the run is one.
pub(super) async fn run(
    source: AnySource,
    header: Header,
    provenance: Provenance,
    quota: Quota,
    (shard, out): (ShardOf, &Path),
    settings: &DryRun,
) -> Result<Exit> {
    let begun = Instant::now();
    std::fs::create_dir_all(out).map_err(|error| {
        Error::new(format!("cannot make the folder '{}': {}", out.display(), reason(&error)))
    })?;
    let ShardOf { index, of } = shard;
    let path = out.join(format!("shard-{index:05}-of-{of:05}.parquet"));
    let profile = Arc::clone(&header.profile);
    let of_plan = plan_header(&header, provenance, settings.depth, settings.dimensions);
    let part = PartHeader { shard: Some(shard), ..PartHeader::new(&of_plan, quota) };
    let writer = PartWriter::create(&path, part)?;
    let pipeline = pipeline(&source, settings);
    let source = Arc::new(Shard::new(source, index, of));
    let progress = Arc::new(Progress::default());
    let bar = is_live(settings.progress).then(|| ProgressBar::show(Arc::clone(&progress)));
    let task = Task { progress, ..Task::new(Arc::clone(&source), profile, Quota::new(None, None), pipeline) };
    let ended = run::run(task, writer, interrupted()).await;
    drop(bar);
    let run::Ended { summary, sink: writer, end } = ended?;
    if let AnySource::Inventory(inventory) = source.inner() {
        say_tally(&inventory.tally(), settings.verbose);
    }
    match end {
        End::Broken(error) => Err(error),
        End::Stopped => {
            say(&format!("stopped: '{}' was not written", path.display()));
            Ok(Exit::Incomplete)
        }
        End::Complete => {
            Box::new(writer).finish(&summary, begun.elapsed())?;
            if settings.verbose {
                let (listed, unknown) = (summary.totals.listed, summary.totals.unknown);
                say(&format!(
                    "shard {index}/{of}: {listed} blobs, {unknown} of them not judged, in '{}'",
                    path.display()
                ));
                say_rate(listed, begun.elapsed());
            }
            Ok(Exit::Clean)
        }
    }
}
