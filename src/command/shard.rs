//! `presync dry-run --shard`: one shard of a run, for schedulers that only run commands.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::dry_run::args::DryRunArgs;
use super::examine::Input;
use super::exit::Exit;
use super::interrupt::interrupted;
use super::{say, say_rate, say_tally};
use crate::files::own;
use crate::model::Quota;
use crate::model::error::{Error, Result, reason};
use crate::plan::{RunHeader, Sink};
use crate::plan_file::{PartHeader, PartWriter, ShardOf};
use crate::report::{ProgressBar, counted, number};
use crate::run::{self, End, Progress, Synced, Task};
use crate::source::listing;

/// Examines the blobs of one shard and writes them as a part of the plan into `out`.
///
/// The quota is recorded but not applied: that happens when the parts are merged. Findings do not fail a shard, because
/// a scheduler would then run it again; only an error that stops the run does.
pub(super) async fn run(
    input: Input,
    header: RunHeader,
    quota: Quota,
    synced: Option<Synced>,
    (shard, out): (ShardOf, &Path),
    args: &DryRunArgs,
) -> Result<Exit> {
    let begun = Instant::now();
    own::check_links(out)?;
    std::fs::create_dir_all(out).map_err(|error| {
        Error::new(format!("cannot create the folder '{}': {}", out.display(), reason(&error)))
    })?;
    let ShardOf { index, of } = shard;
    let path = out.join(format!("shard-{index:05}-of-{of:05}.parquet"));
    let profile = Arc::clone(&header.profile);
    let part = PartHeader { shard: Some(shard), ..PartHeader::new(header, quota) };
    let Input { source, listing, excluded, tally } = input;
    let pipeline = args.pipeline(&source);
    let (listing, positions) = listing::shard(listing, index, of);
    let writer = PartWriter::create(&path, part, positions)?;
    let progress = Arc::new(Progress::default());
    let bar = args.display.progress().map(|style| ProgressBar::show(style, Arc::clone(&progress)));
    let quota = Quota::new(None, None);
    let task = Task {
        excluded,
        synced,
        progress: Arc::clone(&progress),
        ..Task::new(listing, Arc::new(source), profile, quota, pipeline)
    };
    let ended = run::run(task, writer, interrupted()).await;
    drop(bar);
    let run::Ended { summary, sink: writer, end } = ended?;
    if let Some(tally) = tally {
        say_tally(&tally, &progress.snapshot(), args.display.verbose);
    }
    match end {
        End::Broken(error) => Err(error),
        End::Stopped => {
            say(&format!("stopped: '{}' was not written", path.display()));
            Ok(Exit::Incomplete)
        }
        End::Complete => {
            Box::new(writer).finish(&summary, begun.elapsed())?;
            if args.display.verbose {
                let totals = &summary.totals;
                let (listed, unknown) = (counted(totals.listed, "blob", "blobs"), number(totals.unknown));
                say(&format!(
                    "shard {index}/{of}: {listed}, {unknown} of them not judged, in '{}'",
                    path.display()
                ));
                say_rate(totals.listed, begun.elapsed());
            }
            Ok(Exit::Clean)
        }
    }
}
