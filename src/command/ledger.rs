//! Which ledger a command uses.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::TempDir;

use crate::files::{own, temporary};
use crate::ledger::{self, Amounts, Balance, Counting, Known, Ledger};
use crate::model::error::{Cause, Error, Result, reason};
use crate::model::{Kind, Period, PeriodKind, Quota, QuotaKind, Scope};
use crate::plan::{RunHeader, Summary};
use crate::plan_file::{self, PlanReader};
use crate::report::shown;
use crate::rules::Profile;
use crate::run::Synced;
use crate::source::location::{Environment, Location};

/// How often a file of what is synced is looked for again, if another process replaces it meanwhile.
const ATTEMPTS: usize = 5;

/// Where the ledger is: `--ledger`, else `PRESYNC_LEDGER`, else the user's data folder.
pub(super) fn path(option: Option<&Path>, environment: &Environment) -> Result<PathBuf> {
    let named = || environment.var_os("PRESYNC_LEDGER").map(PathBuf::from);
    let path = match option.map(Path::to_owned).or_else(named) {
        Some(path) => path,
        None => ledger::default_path()?,
    };
    own::check_links(&path)?;
    Ok(path)
}

/// Opens the ledger, which is created if needed; at the default path, so is its folder.
pub(super) fn open(path: &Path) -> Result<Ledger> {
    if let Some(folder) = path.parent()
        && ledger::default_path().is_ok_and(|default| default == path)
    {
        fs::create_dir_all(folder).map_err(|error| {
            Error::new(format!("cannot create the folder '{}': {}", folder.display(), reason(&error)))
                .with_hint("use another path for the ledger, with --ledger FILE or PRESYNC_LEDGER")
        })?;
    }
    Ledger::open(path)
}

/// What a workspace has left in a period, for the kinds that the profile counts.
pub(super) fn quota(path: &Path, workspace: &str, period: Period, profile: &Profile) -> Result<Quota> {
    let (images, frames) = kinds(profile)?;
    let balances = balances(path, workspace, period, profile)?;
    let gauge = |kind| balances.get(&kind).copied().unwrap_or_default().gauge();
    Ok(match images == frames {
        true => Quota::shared(gauge(images)),
        false => Quota::of(gauge(images), gauge(frames)),
    })
}

/// What the accepted assets of a run use beyond what they give back, by kind; a kind of which they use nothing is
/// absent.
pub(super) fn costs(profile: &Profile, summary: &Summary) -> Result<Amounts> {
    let (images, frames) = kinds(profile)?;
    let (quota, mut costs) = (&summary.quota, Amounts::new());
    for (kind, cost) in [(images, quota.images.cost), (frames, quota.frames.cost)] {
        let sum = costs.entry(kind).or_default();
        *sum = cost.saturating_add(*sum);
    }
    if let Some(synced) = &summary.synced {
        for (kind, back) in [(images, synced.returned.images), (frames, synced.returned.frames)] {
            costs.entry(kind).and_modify(|sum| *sum = sum.saturating_sub(back));
        }
    }
    costs.retain(|_, cost| *cost > 0);
    Ok(costs)
}

/// How the profile counts.
pub(super) fn counting(profile: &Profile) -> Result<Counting> {
    let (images, frames) = kinds(profile)?;
    let is_stock = profile.quota.period == PeriodKind::Stock;
    Ok(Counting { images, frames, recounts: profile.quota.recounts_changed, is_stock })
}

/// What a run compares with.
pub(super) struct OnPlatform {
    pub synced: Option<Synced>,
    /// What a plan shows to be synced, in a temporary file; it is read during the run.
    pub _folder: Option<TempDir>,
}

/// What is on the platform in the `scope` of a run: what the ledger at `path` knows in the workspace, and what `plan`
/// accepts, each if given.
pub(super) fn on_platform(
    workspace: Option<(&Path, &str)>,
    plan: Option<&Path>,
    scope: &Scope,
) -> Result<OnPlatform> {
    if workspace.is_none() && plan.is_none() {
        return Ok(OnPlatform { synced: None, _folder: None });
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        let known = match workspace {
            Some((path, workspace)) => match Ledger::open_existing(path)? {
                Some(ledger) => ledger.known(workspace, scope)?,
                None => Known::default(),
            },
            None => Known::default(),
        };
        let file = known.file.clone();
        let compared = match plan {
            None => Synced::new(file.as_deref(), scope.clone(), known.sources)
                .map(|synced| OnPlatform { synced: Some(synced), _folder: None }),
            Some(plan) => with_plan(plan, scope, known),
        };
        // Another process may have replaced the file since the ledger named it.
        let is_replaced = attempt < ATTEMPTS && file.is_some_and(|file| !file.exists());
        if compared.is_ok() || !is_replaced {
            return compared;
        }
    }
}

fn with_plan(plan: &Path, scope: &Scope, known: Known) -> Result<OnPlatform> {
    let header = PlanReader::open(plan)?.plan().header.clone();
    let of_plan = scope_of(&header)?;
    if !of_plan.overlaps(scope) {
        let location = shown(&header.origin.location);
        return Err(Error::new(format!(
            "the plan '{}' is for {location}, which has no blob of this source",
            plan.display()
        ))
        .with_hint("give --synced a plan of the same container"));
    }
    let folder = temporary::folder()?;
    let file = folder.path().join("synced.parquet");
    plan_file::synced::of_plan(plan, &of_plan, known.file.as_deref(), &file)?;
    let mut sources = known.sources;
    if !sources.contains(&header.origin.location) {
        sources.push(header.origin.location);
    }
    let synced = Synced::new(Some(&file), scope.clone(), sources)?;
    Ok(OnPlatform { synced: Some(synced), _folder: Some(folder) })
}

/// What a plan lists.
pub(super) fn scope_of(header: &RunHeader) -> Result<Scope> {
    let location = match &header.root {
        Some(root) => Location::Folder(root.into()),
        None => {
            let origin = &header.origin;
            let nothing = Environment::of([("", ""); 0]);
            Location::parse(origin.location.as_ref(), origin.account.as_deref(), &nothing)?
        }
    };
    Ok(location.scope(header.recursive, &header.filter))
}

/// The balances of a workspace in a period, with at least one of the kinds that the profile counts.
pub(super) fn balances(
    path: &Path,
    workspace: &str,
    period: Period,
    profile: &Profile,
) -> Result<BTreeMap<QuotaKind, Balance>> {
    let (images, frames) = kinds(profile)?;
    let balances = match Ledger::open_existing(path)? {
        Some(ledger) => ledger.balances(workspace, period)?,
        None => BTreeMap::new(),
    };
    if !balances.contains_key(&images) && !balances.contains_key(&frames) {
        // Without this check, a typo in the name or the start of a month would mean no limit: everything would fit.
        let (ledger, name, images) = (path.display(), workspace.escape_debug(), images.as_str());
        let (when, option) = match period {
            Period::Month(month) => (format!(" in {month}"), ""),
            Period::Stock if profile.images.unit == QuotaKind::DataRows.unit() => (String::new(), ""),
            Period::Stock => (" as a stock".to_owned(), " --stock"),
        };
        return Err(Error::new(format!("the ledger '{ledger}' has no quota for '{name}'{when}"))
            .because(Cause::Configuration)
            .with_hint(format!("presync quota set --workspace NAME --{images} N{option} sets it")));
    }
    Ok(balances)
}

/// The ledger's kinds for what the profile counts of images and of videos.
fn kinds(profile: &Profile) -> Result<(QuotaKind, QuotaKind)> {
    Ok((kind(profile, Kind::Image)?, kind(profile, Kind::Video)?))
}

fn kind(profile: &Profile, kind: Kind) -> Result<QuotaKind> {
    profile.quota_kind(kind).ok_or_else(|| {
        let (name, unit) = (profile.name.escape_debug(), profile.quota_unit(kind));
        let unit = unit.escape_debug();
        Error::new(format!("the profile '{name}' counts '{unit}', which a ledger does not")).with_hint(
            "a ledger counts images, frames and data rows; without --workspace, give --image-quota and --frame-quota",
        )
    })
}

/// The profile, in which images and frames share a quota if the workspace has a limit for both together.
pub(super) fn sharing(path: &Path, workspace: &str, mut profile: Profile, now: Timestamp) -> Result<Profile> {
    if !profile.is_shared()
        && let Some(ledger) = Ledger::open_existing(path)?
    {
        let balances = ledger.balances(workspace, profile.quota.period.at(now))?;
        profile.quota.shared = balances.get(&QuotaKind::Shared).is_some_and(|shared| shared.limit.is_some());
    }
    Ok(profile)
}
