//! What to audit: sources, all connections, or all containers of an account.

use std::collections::BTreeMap;
use std::path;
use std::sync::Arc;

use super::args::AuditArgs;
use super::place::{Place, account};
use crate::command::examine::Provenance;
use crate::command::target::{self, Resolved};
use crate::model::error::{Cause, Error, Result};
use crate::model::{Filter, Glob, Origin, Quota, Scope};
use crate::rules::{Choice, GivenBy, Limits, Profile};
use crate::source::Depth;
use crate::source::azure::{self, AuthMode, Session};
use crate::source::location::{ContainerUrl, Environment, Location};

/// A container with every setting resolved.
pub(super) struct Target {
    pub name: String,
    pub location: Location,
    pub auth: AuthMode,
    /// The profile's name as given.
    pub profile_name: String,
    /// The profile, or the error from loading it.
    pub profile: Result<Arc<Profile>>,
    pub quota: Quota,
    pub provenance: Provenance,
    pub project: Option<String>,
    pub place: Place,
    pub scope: Scope,
    /// The index of a target that lists all of its blobs too.
    pub within: Option<usize>,
    /// What to say about it.
    pub notes: Vec<String>,
}

/// What to audit, sorted by account, container and prefix, without duplicates; and the names of containers that are
/// left out.
pub(super) struct Targets {
    pub targets: Vec<Target>,
    pub left_out: Vec<String>,
}

/// Resolves what to audit. If that is an account, lists its containers.
pub(super) async fn resolve(
    args: &AuditArgs,
    environment: &Environment,
    session: &Session,
) -> Result<Targets> {
    let profile = args.check.profile.as_deref();
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    for source in &args.sources {
        let target = target::Target { source, azure: &args.azure, profile };
        let resolved = Resolved::source(target, environment)?;
        let name = source.to_str().filter(|source| source.starts_with('@')).map(str::to_owned);
        found.push((name, resolved));
    }
    if args.all {
        let connections = target::connections(args.azure.config.as_deref())?;
        for name in connections.names() {
            let connection = connections.get(name)?;
            let (connections, prefix) = (&connections, &connection.prefix);
            let resolved =
                Resolved::of_connection(connection, connections, prefix, &args.azure, profile, environment)?;
            found.push((Some(format!("@{name}")), resolved));
        }
        if found.is_empty() {
            return Err(Error::new("there are no connections to audit")
                .with_hint("presync connect SOURCE --write NAME adds one to presync.toml"));
        }
    } else if let (Some(account), []) = (&args.azure.account, args.sources.as_slice()) {
        (found, left_out) = of_account(account, args, environment, session).await?;
    }
    if found.is_empty() {
        return Err(Error::new("no sources given").with_hint(
            "give SOURCEs, --account NAME for every container of an account, or --all for every connection of \
             presync.toml",
        ).because(Cause::Usage));
    }
    let mut profiles = Profiles::default();
    let filter = args.names.filter()?;
    let targets =
        found.into_iter().map(|(name, resolved)| target(name, resolved, args, &filter, &mut profiles));
    let containers = ContainerFilter::new(args)?;
    let (targets, filtered): (Vec<_>, Vec<_>) =
        targets.collect::<Result<Vec<_>>>()?.into_iter().partition(|target| containers.keeps(target));
    if targets.is_empty() {
        return Err(Error::new("no container matches --include-container and --exclude-container")
            .with_hint(format!("{} left out, such as '{}'", filtered.len(), filtered[0].name)));
    }
    left_out.extend(filtered.into_iter().map(|target| target.name));
    Ok(Targets { targets: once(targets)?, left_out })
}

/// Every container of an account, and the names of those that are left out.
async fn of_account(
    account: &str,
    args: &AuditArgs,
    environment: &Environment,
    session: &Session,
) -> Result<(Vec<(Option<String>, Resolved)>, Vec<String>)> {
    // The root container stands for the account.
    let url = ContainerUrl::in_account(Some(account), "$root", "", environment)?;
    let auth = args.azure.auth.unwrap_or_default();
    let options = azure::Options { limits: args.performance.limits(), ..args.azure.options() };
    let (containers, left_out) = azure::containers(&url, auth, environment, options, session).await?;
    if containers.is_empty() {
        return Err(Error::new(format!("the account '{account}' has no containers to audit"))
            .with_hint("check the account's name; system containers such as $logs are left out"));
    }
    let profile = args.check.profile.clone().unwrap_or_else(target::default_profile);
    let resolved = |url| Resolved {
        location: Location::Container(url),
        name: None,
        auth,
        profile: profile.clone(),
        rules: None,
        connection: None,
    };
    Ok((containers.into_iter().map(|url| (None, resolved(url))).collect(), left_out))
}

fn target(
    name: Option<String>,
    mut resolved: Resolved,
    args: &AuditArgs,
    filter: &Filter,
    profiles: &mut Profiles,
) -> Result<Target> {
    if let Location::Folder(path) = &mut resolved.location
        && let Ok(absolute) = path::absolute(&*path)
    {
        // So that the next audit finds the plan from any working directory; `components` drops a trailing '/'.
        *path = absolute.components().collect();
    }
    let mut profile = profiles.load(&resolved, &Choice::from(&args.rules));
    let mut quota = Quota::new(None, None);
    if let Ok(loaded) = &profile {
        let of_connection = match args.workspace {
            Some(_) => Limits::default().instead_of(quota, loaded, GivenBy::Options),
            None => resolved.quota(loaded, Limits::default(), quota),
        };
        match of_connection {
            Ok(of_connection) => quota = of_connection,
            Err(error) => profile = Err(error),
        }
    }
    let workspace = resolved.workspace(args.workspace.as_deref()).map(str::to_owned);
    let provenance = Provenance::of(&resolved, workspace.as_deref());
    if args.check.profile.is_some() {
        profile.clone()?;
    }
    let project = resolved.connection.and_then(|connection| connection.project);
    Ok(Target {
        name: name.unwrap_or_else(|| shown(&resolved.location)),
        place: Place::of(&resolved.location),
        scope: resolved.location.scope(args.check.depth() == Depth::All, filter),
        within: None,
        notes: Vec::new(),
        location: resolved.location,
        auth: resolved.auth,
        profile_name: resolved.profile,
        profile,
        quota,
        provenance,
        project,
    })
}

/// Which containers are audited. A pattern is compared with a container's name in reports, and with its account and name.
struct ContainerFilter {
    include: Filter,
    exclude: Filter,
}

impl ContainerFilter {
    fn new(args: &AuditArgs) -> Result<Self> {
        let matching = |globs: &[Glob]| Filter::new(globs.to_vec(), Vec::new()).map_err(Error::new);
        Ok(Self { include: matching(&args.include_container)?, exclude: matching(&args.exclude_container)? })
    }

    fn keeps(&self, target: &Target) -> bool {
        let names = [target.name.clone(), shown(&target.location)];
        let any = |filter: &Filter| names.iter().any(|name| filter.keeps(name));
        any(&self.include) && (self.exclude.is_empty() || !any(&self.exclude))
    }
}

/// Sorts targets and removes duplicates.
fn once(mut targets: Vec<Target>) -> Result<Vec<Target>> {
    targets.sort_by(|left, right| (&left.place, &left.name).cmp(&(&right.place, &right.name)));
    let mut unique: Vec<Target> = Vec::new();
    for target in targets {
        match unique.last_mut().filter(|last| last.place == target.place) {
            None => unique.push(target),
            Some(last) if last.is_like(&target) => {
                if last.name != target.name {
                    last.notes.push(format!("'{}' is the same source", target.name));
                }
            }
            Some(last) => {
                let (one, other, path) = (&last.name, &target.name, target.place.path());
                return Err(Error::new(format!(
                    "'{one}' and '{other}' have the same plan '{}', but different settings",
                    path.display()
                ))
                .with_hint("give only one of them, or audit each with an --out folder of its own"));
            }
        }
    }
    note_overlaps(&mut unique);
    Ok(unique)
}

/// Finds the targets whose blobs another one lists too: the one that lists most.
fn note_overlaps(targets: &mut [Target]) {
    let mut of_container: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, target) in targets.iter().enumerate() {
        of_container.entry(target.scope.container.clone()).or_default().push(index);
    }
    for index in 0..targets.len() {
        let own = &targets[index].scope;
        let siblings = of_container.get(&own.container).into_iter().flatten();
        let others = siblings.map(|other| (*other, &targets[*other])).filter(|(other, target)| {
            let is_same = target.scope.is_within(own);
            *other != index && own.is_within(&target.scope) && (!is_same || *other < index)
        });
        let within = others.min_by_key(|(other, target)| (target.scope.prefix.len(), *other));
        let Some((within, name)) = within.map(|(within, target)| (within, target.name.clone())) else {
            continue;
        };
        targets[index].within = Some(within);
        targets[index].notes.push(format!("its blobs are also in '{name}', and count once, there"));
    }
}

impl Target {
    fn is_like(&self, other: &Self) -> bool {
        let of = |target: &Self| {
            let Self { scope, auth, profile_name, quota, project, .. } = target;
            (scope.clone(), *auth, profile_name.clone(), *quota, project.clone())
        };
        of(self) == of(other)
    }

    /// Where its blobs come from, as far as that is known before it is opened.
    pub(super) fn origin(&self) -> Origin {
        match &self.location {
            Location::Folder(_) => Origin {
                provider: "folder".into(),
                location: self.location.to_string(),
                account: None,
                container: None,
                prefix: String::new(),
                credential: None,
            },
            Location::Container(url) => url.origin(),
        }
    }
}

/// `media/cameras/2026/`, or a folder's path.
fn shown(location: &Location) -> String {
    match location {
        Location::Folder(path) => path.display().to_string(),
        Location::Container(url) => {
            let name = format!("{}/{}", account(url), url.container());
            if url.prefix().is_empty() { name } else { format!("{name}/{}", url.prefix()) }
        }
    }
}

/// Profiles by their name as given and whether the connection shares its quota, each loaded only once.
#[derive(Default)]
struct Profiles(BTreeMap<(String, bool), Result<Arc<Profile>>>);

impl Profiles {
    fn load(&mut self, resolved: &Resolved, choice: &Choice) -> Result<Arc<Profile>> {
        let load = || resolved.profile(choice).map(Arc::new);
        let shares_quota = resolved.connection.as_ref().is_some_and(|connection| connection.shares_quota);
        self.0.entry((resolved.profile.clone(), shares_quota)).or_insert_with(load).clone()
    }
}
