//! A plan, or a folder of parts that are merged into one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tempfile::TempDir;

use super::values::{admit, whole_number};
use crate::files::temporary;
use crate::model::error::{Error, Result};
use crate::model::{Admit, Asset, Origin};
use crate::plan::audit::{self, Audit, Container, ContainerOutcome};
use crate::plan::{Folders, RunHeader, Sink, Summary, TopFolders};
use crate::plan_file::{self, Lookup, PartFolder, PartHeader, Plan, PlanReader, PlanWriter};
use crate::rules::{self, GivenBy, Limits};
use crate::run;
use crate::source::location::{Environment, Location};

/// The quota and the order of admission for parts, in place of those that the parts state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub(super) struct Weigh {
    /// Images left in the platform's quota, for a folder of parts [default: as the parts say]
    #[arg(long = "image-quota", value_name = "N", value_parser = whole_number)]
    pub images: Option<u64>,

    /// Frames of video left in the platform's quota, for a folder of parts [default: as the parts say]
    #[arg(long = "frame-quota", value_name = "N", value_parser = whole_number)]
    pub frames: Option<u64>,

    /// Data rows left in the platform's quota, for a folder of parts [default: as the parts say]
    #[arg(long = "data-row-quota", value_name = "N", value_parser = whole_number)]
    pub data_rows: Option<u64>,

    /// Keep this much of the quota free, for a folder of parts [default: as the parts say]
    #[arg(long, value_name = "N", value_parser = whole_number)]
    pub reserve: Option<u64>,

    /// Which assets get the quota first, for a folder of parts [default: as the parts say]
    #[arg(long, value_name = "ORDER", value_parser = admit())]
    pub admit: Option<Admit>,
}

impl Weigh {
    /// Fails if any of it is given for a plan, whose quota is applied already.
    pub(super) fn refuse(self, path: &Path, what: &str) -> Result<()> {
        match self == Self::default() {
            true => Ok(()),
            false => Err(Error::new(format!("'{}' is {what} with its quota applied", path.display()))
                .with_hint("pass a quota or --admit only with a folder of parts, as written by --shard")),
        }
    }
}

/// A plan that is being read.
pub(super) struct Opened {
    reader: PlanReader,
    /// The temporary folder of a merged plan.
    _folder: Option<TempDir>,
}

impl Opened {
    pub(super) fn plan(&self) -> &Plan {
        self.reader.plan()
    }

    /// Reads only [what a comparison needs](PlanReader::only_facts).
    pub(super) fn only_facts(self) -> Self {
        Self { reader: self.reader.only_facts(), ..self }
    }

    /// Finds its assets by name.
    pub(super) fn lookup(self) -> Lookup<Asset> {
        let names = self.reader.names();
        Lookup::new(self, names)
    }
}

impl Iterator for Opened {
    type Item = Result<Asset>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next()
    }
}

/// Opens the plan at `path`. If that is a folder, its parts are merged into a temporary plan, which is removed when the
/// returned value is dropped.
pub(super) fn open(path: &Path, weigh: Weigh) -> Result<Opened> {
    if !path.is_dir() {
        let reader = PlanReader::open(path)?;
        weigh.refuse(path, "a plan")?;
        return Ok(Opened { reader, _folder: None });
    }
    let parts = PartFolder::open(path)?;
    let folder = temporary::folder()?;
    let plan = folder.path().join("plan.parquet");
    merge(path, &parts, weigh, &plan)?;
    Ok(Opened { reader: PlanReader::open(&plan)?, _folder: Some(folder) })
}

/// Settles the assets of all parts, and writes them as the plan that one run would have written.
fn merge(path: &Path, parts: &PartFolder, weigh: Weigh, plan: &Path) -> Result<()> {
    let header = header(path, parts, weigh)?;
    let writer = PlanWriter::create(plan, header.clone())?;
    let (summary, writer) = settle(parts, &header, weigh, writer)?;
    Box::new(writer).finish(&summary, elapsed(&parts.header))
}

/// The header of the merged plan.
fn header(path: &Path, parts: &PartFolder, weigh: Weigh) -> Result<RunHeader> {
    let PartFolder { header, container, .. } = parts;
    let origin = origin(path, header, container.as_ref())?;
    Ok(RunHeader { origin, admit: weigh.admit.unwrap_or(header.run.admit), ..header.run.clone() })
}

/// Applies the quota to the assets of all parts, in listing order.
fn settle<K: Sink>(parts: &PartFolder, header: &RunHeader, weigh: Weigh, sink: K) -> Result<(Summary, K)> {
    let Weigh { images, frames, data_rows, .. } = weigh;
    let (limits, profile) = (Limits { images, frames, data_rows }, &header.profile);
    let reserve = weigh.reserve.or(Some(parts.header.quota.images.reserve).filter(|reserve| *reserve > 0));
    let quota = limits.instead_of(parts.header.quota, profile, GivenBy::Options)?;
    let quota = rules::keeping(quota, reserve, profile)?;
    let (mut summary, sink) =
        run::settle_judged(parts.assets(), &header.origin, header.admit, quota, &header.profile, sink)?;
    summary.totals.excluded = parts.header.excluded;
    summary.incomplete.clone_from(&parts.incomplete);
    Ok((summary, sink))
}

/// The summary of the parts of several containers. The quota is applied to each container separately; their plans go
/// into a folder, if one is given.
pub(super) fn audit(folders: &[PathBuf], weigh: Weigh, into: Option<&Path>) -> Result<Audit> {
    let mut worst = TopFolders::default();
    let mut containers = Vec::new();
    for (number, folder) in folders.iter().enumerate() {
        let parts = PartFolder::open(folder)?;
        let header = header(folder, &parts, weigh)?;
        let folders = Folders::new(number, &header.origin.prefix);
        let plan = into.map(|into| into.join(format!("{number}.parquet")));
        let writer = plan.as_deref().map(|plan| PlanWriter::create(plan, header.clone())).transpose()?;
        let (summary, (folders, writer)) = settle(&parts, &header, weigh, (folders, writer))?;
        Box::new(writer).finish(&summary, elapsed(&parts.header))?;
        worst.merge(audit::worst(folders));
        let (account, container) = parts.container.clone().unwrap_or_default();
        containers.push(Container {
            name: format!("{account}/{container}"),
            origin: header.origin.clone(),
            profile: header.profile.name.clone(),
            header: Some(header.clone()),
            project: None,
            within: None,
            outcome: match &parts.incomplete {
                None => ContainerOutcome::Complete(summary),
                Some(why) => ContainerOutcome::Incomplete(summary, Error::new(why)),
            },
            notes: Vec::new(),
            plan: None,
            rows: plan,
            elapsed: elapsed(&parts.header),
        });
    }
    let elapsed = containers.iter().map(|container| container.elapsed).max().unwrap_or_default();
    let (left_out, duplicates, together) = (Vec::new(), Vec::new(), Vec::new());
    Ok(Audit { containers, left_out, worst, duplicates, together, elapsed })
}

fn elapsed(header: &PartHeader) -> Duration {
    let ended = header.ended.unwrap_or(header.run.begun).max(header.run.begun);
    Timestamp::duration_since(ended, header.run.begun).try_into().unwrap_or_default()
}

/// Where the blobs come from.
fn origin(path: &Path, header: &PartHeader, container: Option<&(String, String)>) -> Result<Origin> {
    let origin = &header.run.origin;
    let Some(endpoint) = header.endpoint() else { return Ok(origin.clone()) };
    let (account, container) = container.ok_or_else(|| {
        Error::new(format!("the path of '{}' does not name the container of its parts", path.display()))
            .with_hint("put parts into folders such as account=media/container=cameras")
    })?;
    let location = plan_file::container_url(Some(endpoint), account, container);
    let location = Location::parse(location.as_ref(), Some(account), &Environment::of([("", ""); 0]))?;
    match location {
        Location::Container(url) => Ok(url.with_prefix(&origin.prefix).origin()),
        Location::Folder(_) => Err(Error::new(format!("'{location}' is not a container"))),
    }
}
