//! The verdicts that a fix starts from: those of a plan, or of a run that judges the source now.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::args::FixArgs;
use crate::command::commit;
use crate::command::empty::Nearby;
use crate::command::examine::{JudgedNow, Provenance};
use crate::command::ledger;
use crate::command::parts::{self, Weigh};
use crate::command::target::{Resolved, Target};
use crate::model::error::Result;
use crate::model::{Asset, Code, Overrides, Quota};
use crate::plan::RunHeader;
use crate::probe::Want;
use crate::rules::{Choice, Limits, Profile, from_earlier};
use crate::source::any::AnySource;
use crate::source::azure::Session;
use crate::source::location::Environment;

/// A source whose assets have been judged.
pub(super) struct Judged {
    pub source: AnySource,
    pub header: RunHeader,
    plan: Plan,
    pub quota: Quota,
    pub is_stopped: bool,
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
    pub(super) async fn open(
        args: &FixArgs,
        session: &Arc<Session>,
        environment: &Environment,
    ) -> Result<Self> {
        let path = Path::new(&args.source);
        match path.is_file() {
            true => Self::of_plan(args, path, session, environment),
            false => Self::of_source(args, &args.source, session, environment).await,
        }
    }

    fn of_plan(
        args: &FixArgs,
        path: &Path,
        session: &Arc<Session>,
        environment: &Environment,
    ) -> Result<Self> {
        let opened = parts::open(path, Weigh::default())?;
        let (header, quota) = (opened.plan().header.clone(), opened.plan().summary.quota);
        let resolved = commit::resolve(None, &args.azure, &header, environment)?;
        let overrides = changed(header.profile.overrides.clone(), &Choice::from(&args.rules));
        let (profile, profile_from) = match &args.profile {
            Some(name) => (Profile::load(name)?, Profile::whole_name(name)),
            None => ((*header.profile).clone(), header.profile_from.clone()),
        };
        let profile = Arc::new(Profile { overrides, ..profile });
        let options = args.azure.options();
        let source = AnySource::open_in(session, resolved.location, resolved.auth, options, environment)?;
        let filter = args.names.filter()?;
        let filter = if filter.is_empty() { header.filter.clone() } else { filter };
        let header = RunHeader { profile, profile_from, filter, ..header };
        Ok(Self { source, header, plan: Plan::Given(path.to_owned()), quota, is_stopped: false })
    }

    async fn of_source(
        args: &FixArgs,
        source: &OsStr,
        session: &Arc<Session>,
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
        let (location, auth) = (resolved.location, resolved.auth);
        let nearby = Nearby::new(location.clone(), auth, options, environment, Arc::clone(session));
        let source = AnySource::open_in(session, location, auth, options, environment)?;
        let header = RunHeader { filter, ..provenance.header(source.origin(), profile) };
        let budget = (quota, on_platform.synced);
        let how = (args.limits.concurrency, Want::default());
        let judged = JudgedNow::of(&source, &header, budget, how, &args.display).await?;
        let (is_stopped, totals) = (judged.is_stopped, &judged.totals);
        if !is_stopped && totals.listed == 0 && !args.allow_empty {
            return Err(nearby.error(totals.excluded).await);
        }
        Ok(Self { source, header, plan: Plan::Temporary(judged), quota, is_stopped })
    }

    pub(super) fn is_container(&self) -> bool {
        matches!(self.source, AnySource::Container(_))
    }

    /// The assets, in listing order. A plan may have more than the user wants to fix.
    pub(super) fn assets(&self) -> Result<impl Iterator<Item = Result<Asset>>> {
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
    pub(super) fn rejudged(&self, asset: Asset) -> Asset {
        let (blob, synced, reads) = (asset.blob.clone(), asset.synced, asset.reads);
        match from_earlier(&blob, asset.clone(), &self.header.profile) {
            Some(judged) => Asset { synced, reads, ..judged },
            None => asset,
        }
    }
}

/// The rules of a plan, as far as the command line does not change them.
fn changed(mut overrides: Overrides, choice: &Choice) -> Overrides {
    let effects = choice.effects();
    let prefixes = overrides.prefixes.iter_mut().map(|prefix| &mut prefix.effects);
    for rules in prefixes.chain([&mut overrides.everywhere]) {
        for code in Code::ALL.iter().copied() {
            if let Some(effect) = effects.get(code) {
                rules.set(code, effect);
            }
        }
    }
    overrides
}
