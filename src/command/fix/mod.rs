//! `presync fix`: fixes what keeps assets from syncing. The only command that writes to a source, and only with
//! `--apply`.
//!
//! An asset is fetched in the version that was judged, fixed, judged again and compared with the original. Only then
//! the result is put in place, in one step. So a run can be killed at any moment and repeated: every asset is either as
//! it was or fixed, and those that are fixed are accepted and not touched again.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::exit::Exit;
use super::interrupt::interrupted;
use super::output::Output;
use super::target::{Resolved, Target};
use crate::model::Blob;
use crate::model::error::{Cause, Error, Result};
use crate::plan::RunHeader;
use crate::report::fix::{Done, FixFormat, Outcome, Way};
use crate::report::{self, ProgressBar, TextOrJson};
use crate::rules::fix::Fix;
use crate::run::Progress;
use crate::source::any::AnySource;
use crate::source::azure::{AzureSource, Session};
use crate::source::location::{Environment, Location};

pub(super) mod args;
mod container;
mod judged;
mod place;
mod script;
mod space;
mod survey;
mod tools;
mod work;

pub(super) use args::FixArgs;
use container::{ContainerPlace, Renamed};
use judged::Judged;
use place::{FolderPlace, Originals, WorkFolder, check_outside};
use space::Space;
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
        let session = Arc::new(Session::new(args.limits.limits()));
        let judged = Judged::open(args, &session, &environment).await?;
        if judged.is_stopped {
            return Err(Error::new("stopped: nothing was fixed").because(Cause::Interrupted));
        }
        let format = match args.format {
            FixFormat::Text => TextOrJson::Text,
            FixFormat::Json | FixFormat::Jsonl => TextOrJson::Json,
        };
        let output = Output::open(None, format, args.display.color.choice())?;
        let mut out = output.writer();
        let elsewhere = Elsewhere::of(args, &judged, &session, &environment)?;
        let to = elsewhere.as_ref().map(|elsewhere| elsewhere.names.clone());
        let is_listed = args.format == FixFormat::Jsonl && !args.apply;
        let mut survey = Survey::new(args, judged.is_container(), to, judged.quota);
        for asset in judged.assets()? {
            let found = survey.add(judged.rejudged(asset?), &judged.header.profile);
            if let Some((name, new_name, effort)) = found.filter(|_| is_listed) {
                report::fix::fixable(&name, &new_name, effort, &mut out)
                    .map_err(|error| report::output(&error))?;
            }
        }
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
            let done = apply(args, judged, elsewhere, &survey, &progress, &mut out).await?;
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

/// Fixes everything that can be fixed.
async fn apply(
    args: &FixArgs,
    judged: Judged,
    elsewhere: Option<Elsewhere>,
    survey: &Survey<'_>,
    progress: &Progress,
    out: &mut impl Write,
) -> Result<Done> {
    let mut done = Done::default();
    let Some(example) = &survey.example else { return Ok(done) };
    let (place, parent, hint) = place(args, &judged, elsewhere, example).await?;
    let work = WorkFolder::create(&parent)?;
    let space = Space::of(&parent, hint);
    if let Some((name, bytes)) = &survey.largest {
        space.check(name, *bytes)?;
    }
    let assets = judged.assets()?;
    let fixer = Fixer {
        source: judged.source.clone(),
        profile: (*judged.header.profile).clone(),
        edges: args.edges(),
        work: work.path().to_owned(),
        space,
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
    let tools = Semaphore::new(jobs);
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

/// Where the fixed assets go, the folder for temporary files, and what to do if that has no space left.
async fn place(
    args: &FixArgs,
    judged: &Judged,
    elsewhere: Option<Elsewhere>,
    example: &Blob,
) -> Result<(Place, PathBuf, &'static str)> {
    let temporary = || (std::env::temp_dir(), "set TMPDIR to a folder with more space");
    let source = match &judged.source {
        AnySource::Container(container) => Some(Arc::clone(container)),
        AnySource::Folder(_) => None,
    };
    if let Some(Elsewhere { container, names }) = elsewhere {
        let place = ContainerPlace { container, source, to: Some(names), backup: None };
        let (parent, hint) = temporary();
        return Ok((Place::Container(Box::new(place)), parent, hint));
    }
    match (&judged.source, &args.out) {
        (source, Some(out)) => {
            if let AnySource::Folder(folder) = source {
                check_outside(out, folder.root(), "--out")?;
            }
            let place = FolderPlace::open(out, Originals::Untouched)?;
            Ok((Place::Folder(place), out.clone(), "give --out a folder with more space"))
        }
        (AnySource::Folder(folder), None) if args.in_place || args.backup.is_some() => {
            let root = folder.root().to_owned();
            if let Some(backup) = &args.backup {
                check_outside(backup, &root, "--backup")?;
            }
            let originals = args.backup.clone().map_or(Originals::Beside, Originals::Folder);
            let place = FolderPlace::open(&root, originals)?;
            Ok((Place::Folder(place), root, "free some space there, or use --out with a folder elsewhere"))
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
            let in_backup = |folder: &PathBuf| (folder.clone(), "give --backup a folder with more space");
            let (parent, hint) = args.backup.as_ref().map_or_else(temporary, in_backup);
            let place = ContainerPlace { container: Arc::clone(container), source, to: None, backup };
            place.check_protection(example).await?;
            Ok((Place::Container(Box::new(place)), parent, hint))
        }
    }
}
