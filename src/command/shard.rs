//! `presync dry-run --shard`: a share of a run, for schedulers that only run commands.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::dry_run::args::DryRunArgs;
use super::examine::{Provenance, plan_header};
use super::exit::Exit;
use super::interrupt::interrupted;
use super::{is_live, say, say_rate, say_tally};
use crate::error::{Error, Result, reason};
use crate::model::{Asset, Quota};
use crate::plan_file::{PartHeader, PartWriter, ShardOf};
use crate::progress::Progress;
use crate::report::{Header, ProgressBar};
use crate::run::{self, End, Judged, Sink, Task};
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
    args: &DryRunArgs,
) -> Result<Exit> {
    let begun = Instant::now();
    std::fs::create_dir_all(out).map_err(|error| {
        Error::new(format!("cannot make the folder '{}': {}", out.display(), reason(&error)))
    })?;
    let ShardOf { index, of } = shard;
    let path = out.join(format!("shard-{index:05}-of-{of:05}.parquet"));
    let profile = Arc::clone(&header.profile);
    let of_plan = plan_header(&header, provenance, args.depth(), args.dimensions);
    let part = PartHeader { shard: Some(shard), ..PartHeader::new(&of_plan, quota) };
    let sink = Part(PartWriter::create(&path, part)?);
    let pipeline = args.pipeline(&source);
    let source = Arc::new(Shard::new(source, index, of));
    let progress = Arc::new(Progress::default());
    let bar = is_live(args.display.progress()).then(|| ProgressBar::show(Arc::clone(&progress)));
    let task = Task { progress, ..Task::new(Arc::clone(&source), profile, Quota::new(None, None), pipeline) };
    let ended = run::run(task, sink, interrupted()).await;
    drop(bar);
    let run::Ended { summary, sink: Part(writer), end } = ended?;
    if let AnySource::Inventory(inventory) = source.inner() {
        say_tally(&inventory.tally(), args.display.verbose);
    }
    match end {
        End::Broken(error) => Err(error),
        End::Stopped => {
            say(&format!("stopped: '{}' was not written", path.display()));
            Ok(Exit::Incomplete)
        }
        End::Complete => {
            writer.finish(Timestamp::now())?;
            if args.display.verbose {
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

/// Takes what the rules say, before anything else is weighed.
struct Part(PartWriter);

impl Sink for Part {
    fn judged(&mut self, judged: &Judged) -> Result<()> {
        self.0.asset(&judged.asset)
    }

    fn asset(&mut self, _: &Asset) -> Result<()> {
        Ok(())
    }
}
