//! `presync fix`: fixes what keeps assets from syncing. The only command that writes to a source, and only with
//! `--apply`.
//!
//! An asset is fetched in the version that was judged, fixed, judged again and compared with the original. Only then
//! the result is put in place, in one step. So a run can be killed at any moment and repeated: every asset is either as
//! it was or fixed, and those that are fixed are accepted and not touched again.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::commit;
use super::examine::{JudgedNow, Provenance};
use super::exit::Exit;
use super::interrupt::interrupted;
use super::ledger;
use super::output::Output;
use super::parts::{self, Weigh};
use super::target::{Resolved, Target};
use crate::model::error::{Cause, Error, Result};
use crate::model::{Asset, Blob, Quota};
use crate::plan::RunHeader;
use crate::probe::Want;
use crate::report::fix::{Done, FixFormat, Outcome, Way};
use crate::report::{self, ProgressBar, TextOrJson};
use crate::rules::fix::Fix;
use crate::rules::{Choice, Limits, Profile, from_earlier};
use crate::run::Progress;
use crate::source::any::AnySource;
use crate::source::azure::{AzureSource, Session};
use crate::source::location::{Environment, Location};

pub(super) mod args;
mod container;
mod place;
mod script;
mod survey;
mod tools;
mod work;

pub(super) use args::FixArgs;
use container::{ContainerPlace, Renamed};
use place::{FolderPlace, Originals, WorkFolder};
use survey::{Choose, Survey, choose};
use work::{Fixer, Place};

/// How many blobs are patched at a time: each waits for the service most of the time.
const PATCHES_AT_ONCE: usize = 16;

/// Shows what can be fixed, or fixes it.
///
/// # Errors
/// Returns an error if the source or the plan cannot be read, if a program is missing, or if nothing can be written.
pub(super) fn run(args: &FixArgs) -> Result<Exit> {
    let environment = Environment::of_process();
    super::runtime()?.block_on(async {
        let session = Session::new(args.limits.limits());
        let judged = Judged::open(args, &session, &environment).await?;
        if judged.is_stopped {
            return Err(Error::new("stopped: nothing was fixed").because(Cause::Interrupted));
        }
        let elsewhere = Elsewhere::of(args, &judged, &session, &environment)?;
        let to = elsewhere.as_ref().map(|elsewhere| elsewhere.names.clone());
        let mut survey = Survey::new(args, judged.is_container(), to, judged.quota);
        for asset in judged.assets()? {
            survey.add(judged.rejudged(asset?), &judged.header.profile);
        }
        let format = match args.format {
            FixFormat::Text => TextOrJson::Text,
            FixFormat::Json | FixFormat::Jsonl => TextOrJson::Json,
        };
        let output = Output::open(None, format, args.display.color.choice())?;
        let mut out = output.writer();
        if let Some(shell) = args.script {
            script::write(args, shell, &judged, elsewhere, &mut out).await?;
            return Ok(Exit::Clean);
        }
        let header = judged.header.clone();
        let way = Way {
            next: next_command(args, &header),
            jobs: args.jobs(),
            requests: PATCHES_AT_ONCE,
            to: elsewhere.as_ref().map(|elsewhere| elsewhere.container.origin().location),
        };
        let mut incomplete = false;
        if args.apply {
            tools::check_installed(&survey.programs)?;
            let progress = Arc::new(Progress::default());
            progress.add_listed(survey.summary.fixable());
            progress.finish_listing();
            let bar = args.display.progress();
            let bar = bar.map(|style| ProgressBar::show_fixes(style, Arc::clone(&progress)));
            let example = survey.example.as_ref();
            let done = apply(args, judged, elsewhere, example, &progress, &mut out).await?;
            drop(bar);
            incomplete = done.stopped || done.unreachable > 0;
            survey.summary.done = Some(done);
        }
        let summary = &survey.summary;
        report::fix::write(args.format, &header, summary, &way, &mut out, output.width)
            .map_err(|error| report::output(&error))?;
        let left = match &summary.done {
            Some(done) => done.failed,
            None => summary.fixable(),
        };
        Ok(match incomplete {
            true => Exit::Incomplete,
            false if left + summary.unfixable() + summary.left_out > 0 => Exit::Findings,
            false => Exit::Clean,
        })
    })
}

/// The command that does what the report shows.
fn next_command(args: &FixArgs, header: &RunHeader) -> String {
    let place = match (&args.out, args.in_place || args.to.is_some(), &header.origin.container) {
        (None, false, None) => " --out DIR (or --in-place)",
        _ => "",
    };
    format!("run the same command with{place} --apply")
}

/// The place of `--to`.
struct Elsewhere {
    container: Arc<AzureSource>,
    names: Renamed,
}

impl Elsewhere {
    /// Resolves `--to`; `None` without it.
    ///
    /// # Errors
    /// Returns an error if blobs cannot be written there, or if it is the source itself.
    fn of(
        args: &FixArgs,
        judged: &Judged,
        session: &Session,
        environment: &Environment,
    ) -> Result<Option<Self>> {
        let Some(to) = &args.to else { return Ok(None) };
        let origin = &judged.header.origin;
        let is_place = to.to_str().is_some_and(|to| to.starts_with('@') || to.contains("://"));
        let (container, prefix) = match (is_place, &judged.source) {
            (false, AnySource::Container(source)) => {
                let prefix = to.to_str().ok_or_else(|| Error::new("--to is not UTF-8"))?;
                (Arc::clone(source), prefix.to_owned())
            }
            (false, AnySource::Folder(_)) => {
                return Err(Error::new("--to is a prefix, but the source is a folder")
                    .with_hint("give --to a container, or use --out DIR"));
            }
            (true, _) => {
                let target = Target { source: to, azure: &args.azure, profile: None };
                let resolved = Resolved::source(target, environment)?;
                let Location::Container(url) = &resolved.location else {
                    return Err(Error::new(format!("--to is the folder '{}'", resolved.location))
                        .with_hint("use --out DIR"));
                };
                let prefix = url.prefix().to_owned();
                let options = args.azure.options();
                match AnySource::open_in(session, resolved.location, resolved.auth, options, environment)? {
                    AnySource::Container(container) => (container, prefix),
                    AnySource::Folder(_) => return Err(Error::new("--to isn't a container")),
                }
            }
        };
        let names = Renamed::new(&origin.prefix, &prefix);
        let place = container.origin();
        let is_same = place.account == origin.account && place.container == origin.container;
        if names.is_identity() && is_same {
            return Err(Error::new("--to is where the originals are")
                .with_hint("give it another prefix, such as fixed/, or leave it out to replace the blobs"));
        }
        Ok(Some(Self { container, names }))
    }
}

/// A source whose assets have been judged.
struct Judged {
    source: AnySource,
    header: RunHeader,
    plan: Plan,
    quota: Quota,
    is_stopped: bool,
}

/// Where the verdicts are.
enum Plan {
    /// The user's plan.
    Given(PathBuf),
    /// A plan of this run, removed at its end.
    Temporary(JudgedNow),
}

impl Judged {
    /// Opens a plan and its source, or judges a source now.
    async fn open(args: &FixArgs, session: &Session, environment: &Environment) -> Result<Self> {
        let path = Path::new(&args.source);
        match path.is_file() {
            true => Self::of_plan(args, path, session, environment),
            false => Self::of_source(args, &args.source, session, environment).await,
        }
    }

    fn of_plan(args: &FixArgs, path: &Path, session: &Session, environment: &Environment) -> Result<Self> {
        let opened = parts::open(path, Weigh::default())?;
        let (header, quota) = (opened.plan().header.clone(), opened.plan().summary.quota);
        let resolved = commit::resolve(None, &args.azure, &header, environment)?;
        let overrides = header.profile.overrides.clone();
        let profile = match &args.profile {
            Some(name) => Profile { overrides, ..Profile::load(name)? },
            None => (*header.profile).clone(),
        };
        let options = args.azure.options();
        let source = AnySource::open_in(session, resolved.location, resolved.auth, options, environment)?;
        let filter = args.names.filter()?;
        let filter = if filter.is_empty() { header.filter.clone() } else { filter };
        let header = RunHeader { profile: Arc::new(profile), filter, ..header };
        Ok(Self { source, header, plan: Plan::Given(path.to_owned()), quota, is_stopped: false })
    }

    async fn of_source(
        args: &FixArgs,
        source: &OsStr,
        session: &Session,
        environment: &Environment,
    ) -> Result<Self> {
        let target = Target { source, azure: &args.azure, profile: args.profile.as_deref() };
        let resolved = Resolved::source(target, environment)?;
        let mut profile = resolved.profile(&Choice::from(&args.rules))?;
        let mut quota = Quota::new(None, None);
        let filter = args.names.filter()?;
        let scope = resolved.location.scope(true, &filter);
        let mut known = None;
        if let Some(workspace) = resolved.workspace(None) {
            let path = ledger::path(None, environment)?;
            profile = ledger::sharing(&path, workspace, profile, Timestamp::now())?;
            quota = ledger::quota(&path, workspace, profile.quota.period.at(Timestamp::now()), &profile)?;
            known = Some((path, workspace));
        }
        let quota = resolved.quota(&profile, Limits::default(), quota)?;
        let known = known.as_ref().map(|(path, workspace)| (path.as_path(), *workspace));
        let on_platform = ledger::on_platform(known, None, &scope)?;
        let profile = Arc::new(profile);
        let provenance = Provenance::of(&resolved, resolved.workspace(None));
        let options = args.azure.options();
        let source = AnySource::open_in(session, resolved.location, resolved.auth, options, environment)?;
        let header = RunHeader { filter, ..provenance.header(source.origin(), profile) };
        let budget = (quota, on_platform.synced);
        let how = (args.limits.concurrency, Want::default());
        let judged = JudgedNow::of(&source, &header, budget, how, &args.display).await?;
        let is_stopped = judged.is_stopped;
        Ok(Self { source, header, plan: Plan::Temporary(judged), quota, is_stopped })
    }

    fn is_container(&self) -> bool {
        matches!(self.source, AnySource::Container(_))
    }

    /// The assets, in listing order. A plan may have more than the user wants to fix.
    fn assets(&self) -> Result<impl Iterator<Item = Result<Asset>>> {
        let plan = match &self.plan {
            Plan::Given(path) => path.clone(),
            Plan::Temporary(judged) => judged.path(),
        };
        let filter = self.header.filter.clone();
        let is_wanted =
            move |asset: &Result<Asset>| asset.as_ref().map_or(true, |asset| filter.keeps_blob(&asset.blob));
        Ok(parts::open(&plan, Weigh::default())?.filter(is_wanted))
    }

    /// The asset as these rules judge it: what a plan says about it decides nothing but what it costs.
    fn rejudged(&self, asset: Asset) -> Asset {
        let (blob, synced, reads) = (asset.blob.clone(), asset.synced, asset.reads);
        match from_earlier(&blob, asset.clone(), &self.header.profile) {
            Some(judged) => Asset { synced, reads, ..judged },
            None => asset,
        }
    }
}

/// Fixes everything that can be fixed.
async fn apply(
    args: &FixArgs,
    judged: Judged,
    elsewhere: Option<Elsewhere>,
    example: Option<&Blob>,
    progress: &Progress,
    out: &mut impl Write,
) -> Result<Done> {
    let mut done = Done::default();
    let Some(example) = example else { return Ok(done) };
    let (place, parent) = place(args, &judged, elsewhere, example).await?;
    let work = WorkFolder::create(&parent)?;
    let assets = judged.assets()?;
    let fixer = Fixer {
        source: judged.source.clone(),
        profile: (*judged.header.profile).clone(),
        edges: args.edges(),
        work: work.path().to_owned(),
        place: Some(place),
    };
    let jobs = args.jobs();
    // Patches wait for the service, programs for a core: so the cheap ones are not held back by the others.
    let mut stop = std::pin::pin!(interrupted());
    let fixes = stream::iter(assets.zip(0u64..)).filter_map(|(asset, number)| {
        let chosen = asset.map(|asset| {
            let asset = judged.rejudged(asset);
            match choose(args, asset, &judged.header.profile) {
                Choose::Fix(chosen) => Some((number, chosen)),
                _ => None,
            }
        });
        std::future::ready(chosen.transpose())
    });
    let at_once = match &fixer.place {
        Some(Place::Container(container)) if container.backup.is_none() => jobs.max(PATCHES_AT_ONCE),
        _ => jobs,
    };
    let tools = tokio::sync::Semaphore::new(jobs);
    let (fixer, tools) = (&fixer, &tools);
    let mut results = std::pin::pin!(
        fixes
            .map(async |chosen| {
                let (number, chosen) = chosen?;
                let _permit = match chosen.fix {
                    Fix::Brand(_) | Fix::Rename => None,
                    // It is never closed.
                    Fix::Run(_) => tools.acquire().await.ok(),
                };
                fixer.fix(number, &chosen).await
            })
            .buffer_unordered(at_once)
    );
    loop {
        let fixed = tokio::select! {
            biased;
            () = &mut stop => {
                done.stopped = true;
                break;
            }
            fixed = results.next() => match fixed {
                Some(fixed) => fixed?,
                None => break,
            },
        };
        if args.format == FixFormat::Jsonl {
            report::fix::record(&fixed, out).map_err(|error| report::output(&error))?;
        }
        progress.add_fixed(match fixed.outcome {
            Outcome::Fixed { bytes } => Some(bytes),
            Outcome::Already => Some(0),
            Outcome::Failed(_) | Outcome::Unreachable(_) => None,
        });
        done.add(&fixed);
    }
    Ok(done)
}

/// Where the fixed assets go, and the folder for temporary files.
async fn place(
    args: &FixArgs,
    judged: &Judged,
    elsewhere: Option<Elsewhere>,
    example: &Blob,
) -> Result<(Place, PathBuf)> {
    let source = match &judged.source {
        AnySource::Container(container) => Some(Arc::clone(container)),
        AnySource::Folder(_) => None,
    };
    if let Some(Elsewhere { container, names }) = elsewhere {
        let place = ContainerPlace { container, source, to: Some(names), backup: None };
        return Ok((Place::Container(Box::new(place)), std::env::temp_dir()));
    }
    match (&judged.source, &args.out) {
        (source, Some(out)) => {
            let place = FolderPlace::open(out, Originals::Untouched)?;
            if let AnySource::Folder(folder) = source {
                place.check_outside(folder.root(), "--out")?;
            }
            Ok((Place::Folder(place), out.clone()))
        }
        (AnySource::Folder(folder), None) if args.in_place || args.backup.is_some() => {
            let root = folder.root().to_owned();
            let originals = args.backup.clone().map_or(Originals::Beside, Originals::Folder);
            let place = FolderPlace::open(&root, originals)?;
            if args.backup.is_some() {
                place.check_outside(&root, "--backup")?;
            }
            Ok((Place::Folder(place), root))
        }
        (AnySource::Folder(_), None) => {
            Err(Error::new("--apply needs to know where the fixed files go").because(Cause::Usage).with_hint(
                "add --out DIR for copies, or --in-place to replace the files and keep each as NAME.orig",
            ))
        }
        (AnySource::Container(container), None) => {
            let backup = match &args.backup {
                Some(folder) => Some(FolderPlace::open(folder, Originals::Untouched)?),
                None => None,
            };
            let parent = args.backup.clone().unwrap_or_else(std::env::temp_dir);
            let place = ContainerPlace { container: Arc::clone(container), source, to: None, backup };
            place.check_protection(example).await?;
            Ok((Place::Container(Box::new(place)), parent))
        }
    }
}
