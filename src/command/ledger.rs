//! Which ledger a command uses.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::files::own;
use crate::ledger::{self, Amounts, Balance, Ledger};
use crate::model::error::{Error, Result, reason};
use crate::model::{Month, Quota, QuotaKind, Totals};
use crate::rules::Profile;
use crate::source::location::Environment;

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

/// What a workspace has left in a month, for the kinds that the profile counts.
pub(super) fn quota(path: &Path, workspace: &str, month: Month, profile: &Profile) -> Result<Quota> {
    let (images, frames) = kinds(profile)?;
    let balances = balances(path, workspace, month, profile)?;
    let gauge = |kind| balances.get(&kind).copied().unwrap_or_default().gauge();
    Ok(match images == frames {
        true => Quota::shared(gauge(images)),
        false => Quota::of(gauge(images), gauge(frames)),
    })
}

/// What assets with these totals cost, by kind; a kind without costs is absent.
pub(super) fn costs(profile: &Profile, totals: &Totals) -> Result<Amounts> {
    let (images, frames) = kinds(profile)?;
    let mut costs = Amounts::new();
    for (kind, cost) in [(images, totals.images), (frames, totals.frames)] {
        let sum = costs.entry(kind).or_default();
        *sum = cost.saturating_add(*sum);
    }
    costs.retain(|_, cost| *cost > 0);
    Ok(costs)
}

/// The balances of a workspace in a month, with at least one of the kinds that the profile counts.
pub(super) fn balances(
    path: &Path,
    workspace: &str,
    month: Month,
    profile: &Profile,
) -> Result<BTreeMap<QuotaKind, Balance>> {
    let (images, frames) = kinds(profile)?;
    let balances = match Ledger::open_existing(path)? {
        Some(ledger) => ledger.balances(workspace, month)?,
        None => BTreeMap::new(),
    };
    if !balances.contains_key(&images) && !balances.contains_key(&frames) {
        // Without this check, a typo in the name or the start of a month would mean no limit: everything would fit.
        let (ledger, name, images) = (path.display(), workspace.escape_debug(), images.as_str());
        return Err(Error::new(format!("the ledger '{ledger}' has no quota for '{name}' in {month}"))
            .with_hint(format!("presync quota set --workspace NAME --{images} N sets it")));
    }
    Ok(balances)
}

/// The ledger's kinds for the profile's units of images and videos.
fn kinds(profile: &Profile) -> Result<(QuotaKind, QuotaKind)> {
    Ok((kind(profile, &profile.images.unit)?, kind(profile, &profile.videos.unit)?))
}

/// The ledger's kind for a unit of the profile.
fn kind(profile: &Profile, unit: &str) -> Result<QuotaKind> {
    QuotaKind::ALL.into_iter().find(|kind| kind.unit() == unit).ok_or_else(|| {
        let (name, unit) = (profile.name.escape_debug(), unit.escape_debug());
        Error::new(format!("the profile '{name}' counts '{unit}', which a ledger does not")).with_hint(
            "a ledger counts images, frames and data rows; without --workspace, give --image-quota and --frame-quota",
        )
    })
}
