//! `presync fix`: fixes what keeps assets from syncing. The only command that writes to a source, and only with
//! `--apply`.
//!
//! An asset is fetched in the version that was judged, fixed, judged again and compared with the original. Only then
//! the result is put in place, in one step. So a run can be killed at any moment and repeated: every asset is either as
//! it was or fixed, and those that are fixed are accepted and not touched again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::commit;
use super::dry_run::args::FILES_AT_ONCE;
use super::examine::Provenance;
use super::exit::Exit;
use super::host;
use super::interrupt::interrupted;
use super::output::Output;
use super::parts::{self, Opened, Weigh};
use super::target::{Resolved, Target};
use crate::model::error::{Cause, Error, Result, reason};
use crate::model::{Asset, Blob, Code, Quota, Severity, Verdict};
use crate::plan::RunHeader;
use crate::plan_file::PlanWriter;
use crate::report::fix::{Done, FixFormat, Summary};
use crate::report::{self, ProgressBar, TextOrJson};
use crate::rules::fix::{Effort, Fix, fix};
use crate::rules::{Choice, Profile, from_earlier};
use crate::run::{self, End, Progress, Settings, Task};
use crate::source::any::AnySource;
use crate::source::azure;
use crate::source::location::Environment;

pub(super) mod args;
mod container;
mod place;
mod tools;
mod work;

pub(super) use args::FixArgs;
use container::ContainerPlace;
use place::{FolderPlace, Originals, WorkFolder};
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
        let judged = Judged::open(args, &environment).await?;
        if judged.is_stopped {
            return Err(Error::new("stopped: nothing was fixed").because(Cause::Interrupted));
        }
        let mut survey = Survey::new(args);
        for asset in judged.assets()? {
            survey.add(&judged.rejudged(asset?), &judged.header.profile);
        }
        let format = match args.format {
            FixFormat::Text => TextOrJson::Text,
            FixFormat::Json | FixFormat::Jsonl => TextOrJson::Json,
        };
        let output = Output::open(None, format, args.display.color.choice())?;
        let mut out = output.writer();
        let header = judged.header.clone();
        let mut incomplete = false;
        if args.apply {
            tools::check_installed(&survey.programs)?;
            let done = apply(args, judged, survey.example.as_ref(), &mut out).await?;
            incomplete = done.stopped || done.unreachable > 0;
            survey.summary.done = Some(done);
        }
        let summary = &survey.summary;
        report::fix::write(
            args.format,
            &header,
            summary,
            &next_command(args, &header),
            &mut out,
            output.width,
        )
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
    let place = match (&args.out, args.in_place, &header.origin.container) {
        (None, false, None) => " --out DIR (or --in-place)",
        _ => "",
    };
    format!("run the same command with{place} --apply")
}

/// A source whose assets have been judged.
struct Judged {
    source: AnySource,
    header: RunHeader,
    plan: Plan,
    is_stopped: bool,
}

/// Where the verdicts are.
enum Plan {
    /// The user's plan.
    Given(PathBuf),
    /// A plan of this run, removed at its end.
    Temporary(TempDir),
}

impl Judged {
    /// Opens a plan and its source, or judges a source now.
    async fn open(args: &FixArgs, environment: &Environment) -> Result<Self> {
        let path = Path::new(&args.source);
        match path.is_file() {
            true => Self::of_plan(args, path, environment),
            false => Self::of_source(args, &args.source, environment).await,
        }
    }

    fn of_plan(args: &FixArgs, path: &Path, environment: &Environment) -> Result<Self> {
        let header = parts::open(path, Weigh::default())?.plan().header.clone();
        let resolved = commit::resolve(None, &args.azure, &header, environment)?;
        let overrides = header.profile.overrides.clone();
        let profile = match &args.profile {
            Some(name) => Profile { overrides, ..Profile::load(name)? },
            None => (*header.profile).clone(),
        };
        let source =
            AnySource::open(resolved.location, resolved.auth, azure::Options::default(), environment)?;
        let header = RunHeader { profile: Arc::new(profile), ..header };
        Ok(Self { source, header, plan: Plan::Given(path.to_owned()), is_stopped: false })
    }

    async fn of_source(args: &FixArgs, source: &OsStr, environment: &Environment) -> Result<Self> {
        let target = Target { source, azure: &args.azure, profile: args.profile.as_deref() };
        let resolved = Resolved::source(target, environment)?;
        let profile = Arc::new(resolved.profile(&Choice::from(&args.rules))?);
        let provenance = Provenance::of(&resolved, None);
        let source =
            AnySource::open(resolved.location, resolved.auth, azure::Options::default(), environment)?;
        if let (true, AnySource::Folder(folder)) = (args.apply, &source) {
            // Otherwise, the listing would have the files that a run which died was working on.
            place::remove_abandoned(folder.root());
        }
        let header = provenance.header(source.origin(), Arc::clone(&profile));
        let folder = tempfile::tempdir()
            .map_err(|error| Error::new(format!("cannot create a temporary folder: {}", reason(&error))))?;
        let writer = PlanWriter::create(&folder.path().join(PLAN), header.clone())?;
        let at_once = match &source {
            AnySource::Folder(_) => FILES_AT_ONCE,
            AnySource::Container(_) => azure::MAX_CONCURRENCY,
        };
        let settings = Settings::with_concurrency(at_once);
        let progress = Arc::new(Progress::default());
        host::watch(&progress);
        let bar = super::is_live(args.display.progress()).then(|| ProgressBar::show(Arc::clone(&progress)));
        let task = Task {
            progress,
            ..Task::new(source.list(), Arc::new(source.clone()), profile, Quota::new(None, None), settings)
        };
        let ended = run::run(task, writer, interrupted()).await?;
        drop(bar);
        if let End::Broken(error) = ended.end {
            return Err(error);
        }
        let is_stopped = ended.end == End::Stopped;
        crate::plan::Sink::finish(Box::new(ended.sink), &ended.summary, std::time::Duration::ZERO)?;
        Ok(Self { source, header, plan: Plan::Temporary(folder), is_stopped })
    }

    /// The assets, in listing order.
    fn assets(&self) -> Result<Opened> {
        match &self.plan {
            Plan::Given(path) => parts::open(path, Weigh::default()),
            Plan::Temporary(folder) => parts::open(&folder.path().join(PLAN), Weigh::default()),
        }
    }

    /// The asset as these rules judge it: what a plan says about it decides nothing.
    fn rejudged(&self, asset: Asset) -> Asset {
        let blob = asset.blob.clone();
        from_earlier(&blob, asset.clone(), &self.header.profile).unwrap_or(asset)
    }
}

/// The name of the temporary plan.
const PLAN: &str = "plan.parquet";

/// What there is to fix.
struct Survey<'a> {
    args: &'a FixArgs,
    summary: Summary,
    /// The programs that are needed.
    programs: BTreeSet<String>,
    /// The first blob to fix.
    example: Option<Blob>,
}

impl<'a> Survey<'a> {
    fn new(args: &'a FixArgs) -> Self {
        Self { args, summary: Summary::default(), programs: BTreeSet::new(), example: None }
    }

    fn add(&mut self, asset: &Asset, profile: &Profile) {
        let summary = &mut self.summary;
        let counts = match choose(self.args, asset, profile) {
            Choose::Nothing => asset.verdict == Verdict::Accept,
            Choose::Unfixable(code) => {
                *summary.unfixable.entry(code).or_default() += 1;
                false
            }
            Choose::LeftOut => {
                summary.left_out += 1;
                false
            }
            Choose::Fix(fix, codes) => {
                let group = summary.groups.entry(fix.effort()).or_default();
                group.assets += 1;
                group.bytes = group.bytes.saturating_add(asset.blob.size);
                for code in codes {
                    *summary.codes.entry(code).or_default() += 1;
                }
                let name = work::new_name(&asset.blob.name, &fix);
                if name != asset.blob.name {
                    summary.add_rename(&asset.blob.name, &name);
                }
                if let Fix::Run(recipe) = &fix {
                    self.programs.extend(tools::programs(recipe).map(str::to_owned));
                }
                self.example.get_or_insert_with(|| asset.blob.clone());
                true
            }
        };
        if counts {
            summary.images = summary.images.saturating_add(asset.cost.images);
            summary.frames = summary.frames.saturating_add(asset.cost.frames);
        }
    }
}

/// What to do about an asset.
enum Choose {
    /// Nothing: it is accepted, isn't an asset, or has no finding to fix.
    Nothing,
    /// These findings, by this fix.
    Fix(Fix, Vec<Code>),
    /// It would have to be encoded again, which the user does not want.
    LeftOut,
    /// No command can fix it because of this finding.
    Unfixable(Code),
}

fn choose(args: &FixArgs, asset: &Asset, profile: &Profile) -> Choose {
    let is_wanted = |code: Code| match &args.only {
        Some(selectors) => selectors.iter().any(|selector| selector.selects(code)),
        None => asset.findings.iter().any(|found| found.code == code && found.severity == Severity::Error),
    };
    let codes: Vec<_> =
        asset.findings.iter().map(|finding| finding.code).filter(|code| is_wanted(*code)).collect();
    // An asset that could not be judged is not fixed: what is wrong with it is not known.
    if codes.is_empty() || matches!(asset.verdict, Verdict::Skip | Verdict::Unknown) {
        return Choose::Nothing;
    }
    match fix(asset, profile, args.edges(), is_wanted) {
        Ok(fix) if args.lossless_only && fix.effort() == Effort::Encode => Choose::LeftOut,
        Ok(fix) => Choose::Fix(fix, codes),
        Err(code) => Choose::Unfixable(code),
    }
}

/// Fixes everything that can be fixed.
async fn apply(args: &FixArgs, judged: Judged, example: Option<&Blob>, out: &mut impl Write) -> Result<Done> {
    let mut done = Done::default();
    let Some(example) = example else { return Ok(done) };
    let (place, parent) = place(args, &judged, example).await?;
    let work = WorkFolder::create(&parent)?;
    let assets = judged.assets()?;
    let fixer = Fixer {
        source: judged.source.clone(),
        profile: (*judged.header.profile).clone(),
        edges: args.edges(),
        work: work.path().to_owned(),
        place,
    };
    let jobs = args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
    // Patches wait for the service, programs for a core: so the cheap ones are not held back by the others.
    let mut stop = std::pin::pin!(interrupted());
    let fixes = stream::iter(assets.zip(0u64..)).filter_map(|(asset, number)| {
        let chosen = asset.map(|asset| {
            let asset = judged.rejudged(asset);
            match choose(args, &asset, &judged.header.profile) {
                Choose::Fix(fix, _) => Some((number, asset, fix)),
                _ => None,
            }
        });
        std::future::ready(chosen.transpose())
    });
    let at_once = match &fixer.place {
        Place::Container(container) if container.backup.is_none() => jobs.max(PATCHES_AT_ONCE),
        _ => jobs,
    };
    let tools = tokio::sync::Semaphore::new(jobs);
    let (fixer, tools) = (&fixer, &tools);
    let mut results = std::pin::pin!(
        fixes
            .map(async |chosen| {
                let (number, asset, fix) = chosen?;
                let _permit = match fix {
                    Fix::Brand(_) => None,
                    // It is never closed.
                    Fix::Run(_) => tools.acquire().await.ok(),
                };
                fixer.fix(number, asset, fix).await
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
        done.add(&fixed);
    }
    Ok(done)
}

/// Where the fixed assets go, and the folder for temporary files.
async fn place(args: &FixArgs, judged: &Judged, example: &Blob) -> Result<(Place, PathBuf)> {
    let backup = args.backup.as_ref().map(|folder| Originals::Folder(folder.clone()));
    match (&judged.source, &args.out) {
        (_, Some(out)) => Ok((Place::Folder(FolderPlace::open(out, Originals::Untouched)?), out.clone())),
        (AnySource::Folder(folder), None) if args.in_place || backup.is_some() => {
            let root = folder.root().to_owned();
            let originals = backup.unwrap_or(Originals::Beside);
            Ok((Place::Folder(FolderPlace::open(&root, originals)?), root))
        }
        (AnySource::Folder(_), None) => Err(Error::new("--apply needs to know where the fixed files go")
            .with_hint(
                "add --out DIR for copies, or --in-place to replace the files and keep each as NAME.orig",
            )),
        (AnySource::Container(container), None) => {
            let backup = match &args.backup {
                Some(folder) => Some(FolderPlace::open(folder, Originals::Untouched)?),
                None => None,
            };
            let parent = args.backup.clone().unwrap_or_else(std::env::temp_dir);
            let place = ContainerPlace { container: Arc::clone(container), backup };
            place.check_protection(example).await?;
            Ok((Place::Container(Box::new(place)), parent))
        }
    }
}
