//! What is on the platform, against a model of it: what is charged, what is there, and what processes leave behind.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use presync::ledger::{Amounts, Claim, Counting, Ledger, Pending, Release, Reserve};
use presync::model::{BlobName, Cost, ETag, OnPlatform, Period, QuotaKind, Scope};
use presync::plan_file::synced::{Merge, SyncedFile, SyncedRow, apply};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Place, WORKSPACE, month};

/// The prefixes of the sources; one of them is within another one, which is within a third.
const PREFIXES: [&str; 4] = ["", "cam1", "cam1/", "cam2/"];
const NAMES: [&str; 7] = ["a", "cam1/a", "cam1/b", "cam1/b/c", "cam10/a", "cam2/a", "cam2/b"];
const SOURCES: [&str; 2] = ["media/one", "media/two"];

/// A blob: its version, and whether the rules accept it.
type Blob = (u32, bool);
/// The blobs of a container.
type Blobs = BTreeMap<&'static str, Blob>;

/// How a platform counts.
#[derive(Clone, Copy, Debug)]
struct Rules {
    recounts: bool,
    is_stock: bool,
}

/// What one version of a blob costs.
fn cost(name: &str, version: u32) -> u64 {
    name.len() as u64 + u64::from(version * 7 % 5)
}

/// A platform, as simple as it can be.
#[derive(Clone, Debug, Default, PartialEq)]
struct Platform {
    used: i64,
    /// By container and name, the version.
    assets: BTreeMap<(&'static str, &'static str), u32>,
}

impl Platform {
    fn sync(&mut self, plan: &Planned, rules: Rules) {
        let scope = scope(plan.container, plan.prefix);
        let mut used = 0;
        self.assets.retain(|(container, name), version| {
            let is_gone = *container == plan.container && scope.has(name) && !plan.blobs.contains_key(name);
            if is_gone && rules.is_stock {
                used -= cost(name, *version) as i64;
            }
            !is_gone
        });
        for (name, (version, is_accepted)) in plan.blobs.iter().filter(|(name, _)| scope.has(name)) {
            if !is_accepted {
                continue;
            }
            let now = cost(name, *version) as i64;
            match self.assets.insert((plan.container, name), *version) {
                None => used += now,
                Some(before) if before == *version => {}
                Some(_) if rules.recounts => used += now,
                Some(before) => {
                    let more = now - cost(name, before) as i64;
                    used += if rules.is_stock { more } else { more.max(0) };
                }
            }
        }
        self.used += used;
    }
}

/// A plan that is reserved.
#[derive(Clone, Debug)]
struct Planned {
    id: String,
    container: &'static str,
    prefix: &'static str,
    blobs: Blobs,
}

impl Planned {
    fn rows(&self) -> Vec<SyncedRow> {
        let scope = scope(self.container, self.prefix);
        let listed = self.blobs.iter().filter(|(name, _)| scope.has(name));
        let mut rows: Vec<_> = listed
            .map(|(name, (version, is_own))| SyncedRow {
                asset: OnPlatform {
                    name: BlobName::new(*name),
                    etag: Some(ETag::new(&version.to_string())),
                    cost: Cost { images: cost(name, *version), frames: 0 },
                },
                is_own: *is_own,
            })
            .collect();
        // Nothing may depend on the order of a listing.
        fastrand::Rng::with_seed(self.id.len() as u64).shuffle(&mut rows);
        rows
    }
}

fn scope(container: &str, prefix: &str) -> Scope {
    Scope {
        container: container.to_owned(),
        prefix: prefix.to_owned(),
        recursive: true,
        filter: Default::default(),
    }
}

/// Reserves a plan, as `presync commit` does.
fn commit(ledger: &mut Ledger, plan: &Planned, rules: Rules, period: Period) {
    let scope = scope(plan.container, plan.prefix);
    let _lock = ledger.lock_files().expect("it is free");
    let known = ledger.known(WORKSPACE, &scope).expect("it can be read");
    let (file, out) = ledger.new_file();
    let merge = Merge { scope: &scope, recounts: rules.recounts, out: Some(&out) };
    let rows = plan.rows().into_iter().map(Ok);
    let applied = apply(rows, known.file.as_deref(), &merge).expect("it can be applied");
    let (recounts, is_stock) = (rules.recounts, rules.is_stock);
    let counting = Counting { images: QuotaKind::Images, frames: QuotaKind::Frames, recounts, is_stock };
    let (costs, returned) = counting.amounts(&applied);
    let pending = Some(Pending { scope, file, counting, assets: applied.assets, cost: applied.cost });
    let claim = Claim {
        plan: &plan.id,
        workspace: WORKSPACE,
        period,
        source: plan.container,
        costs,
        returned,
        pending,
    };
    let reserved = ledger.reserve(&claim, Timestamp::now()).expect("it can be reserved");
    assert!(matches!(reserved, Reserve::Reserved(_)), "{reserved:?}");
}

/// What the ledger takes for the state of a container after its reserved plans.
fn known(ledger: &Ledger, container: &str) -> BTreeMap<String, String> {
    let known = ledger.known(WORKSPACE, &scope(container, "")).expect("it can be read");
    let Some(file) = known.file else { return BTreeMap::new() };
    let rows = SyncedFile::open(&file).expect("the file is there").rows();
    let row = |row: presync::model::error::Result<SyncedRow>| {
        let OnPlatform { name, etag, .. } = row.expect("it can be read").asset;
        (name.as_str().to_owned(), etag.expect("it has one").as_str().to_owned())
    };
    rows.map(row).collect()
}

fn of_model(platform: &Platform, container: &str) -> BTreeMap<String, String> {
    let of_container = platform.assets.iter().filter(|((of, _), _)| *of == container);
    of_container.map(|((_, name), version)| ((*name).to_owned(), version.to_string())).collect()
}

/// The files in the ledger's folder.
fn files(ledger: &Ledger) -> usize {
    let entries = std::fs::read_dir(ledger.folder()).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name() != "lock").count()
}

#[derive(Clone, Debug)]
enum Op {
    /// A blob gets another version, or is accepted or not.
    Put(&'static str, &'static str, Blob),
    Remove(&'static str, &'static str),
    Commit(&'static str, &'static str),
    Confirm(Index),
    Release(Index),
}

fn op() -> impl Strategy<Value = Op> {
    let (source, name) = (select(&SOURCES[..]), select(&NAMES[..]));
    prop_oneof![
        6 => (source.clone(), name.clone(), 0..4_u32, prop::bool::weighted(0.8))
            .prop_map(|(source, name, version, accepted)| Op::Put(source, name, (version, accepted))),
        2 => (source.clone(), name).prop_map(|(source, name)| Op::Remove(source, name)),
        4 => (source, select(&PREFIXES[..])).prop_map(|(source, prefix)| Op::Commit(source, prefix)),
        3 => any::<Index>().prop_map(Op::Confirm),
        2 => any::<Index>().prop_map(Op::Release),
    ]
}

/// The platform and the plans that are reserved, beside the ledger.
struct Beside {
    platform: Platform,
    pending: Vec<Planned>,
    rules: Rules,
}

impl Beside {
    /// What is on the platform once everything that is reserved has been synced, in the order of the commits.
    fn after_all(&self) -> Platform {
        let mut platform = self.platform.clone();
        self.pending.iter().for_each(|plan| platform.sync(plan, self.rules));
        platform
    }

    /// Syncs a plan, and those before it whose sources are within its own.
    fn sync(&mut self, index: usize) {
        let last = &self.pending[index];
        let mut outer = vec![(last.container, last.prefix, index)];
        for (earlier, plan) in self.pending.iter().enumerate().take(index).rev() {
            let is_within = |(container, prefix, _): &(&str, &str, usize)| {
                plan.container == *container && plan.prefix.starts_with(prefix)
            };
            if outer.iter().any(is_within) {
                outer.push((plan.container, plan.prefix, earlier));
            }
        }
        let mut synced: Vec<_> = outer.into_iter().map(|(_, _, index)| index).collect();
        synced.sort_unstable();
        for index in &synced {
            self.platform.sync(&self.pending[*index], self.rules);
        }
        for index in synced.into_iter().rev() {
            self.pending.remove(index);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Whatever is synced, changed and removed, and whatever is confirmed or released in whatever order: what is
    /// charged is what the platform charges, and what is known to be there is what is there.
    #[test]
    fn what_is_charged_is_what_the_platform_charges(
        ops in vec(op(), 1..30),
        recounts: bool,
        is_stock: bool,
    ) {
        let place = Place::new();
        let mut ledger = place.open();
        let period = if is_stock { Period::Stock } else { month() };
        let rules = Rules { recounts, is_stock };
        let mut beside = Beside { platform: Platform::default(), pending: Vec::new(), rules };
        let mut containers: BTreeMap<&str, Blobs> = BTreeMap::new();
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Put(container, name, blob) => _ = containers.entry(container).or_default().insert(name, blob),
                Op::Remove(container, name) => _ = containers.entry(container).or_default().remove(name),
                Op::Commit(container, prefix) => {
                    let blobs = containers.get(container).cloned().unwrap_or_default();
                    let plan = Planned { id: format!("plan{number}"), container, prefix, blobs };
                    commit(&mut ledger, &plan, rules, period);
                    beside.pending.push(plan);
                }
                Op::Confirm(index) if !beside.pending.is_empty() => {
                    let index = index.index(beside.pending.len());
                    let plan = beside.pending[index].id.clone();
                    // An earlier plan that overlaps without being within it must be confirmed with it or be released.
                    if ledger.confirm(&[plan], false, Timestamp::now()).is_ok() {
                        beside.sync(index);
                    }
                }
                Op::Release(index) if !beside.pending.is_empty() => {
                    let plan = beside.pending.remove(index.index(beside.pending.len()));
                    let released = ledger.release(&plan.id, Timestamp::now()).expect("it can be released");
                    prop_assert!(matches!(released, Release::Released(_)));
                }
                Op::Confirm(_) | Op::Release(_) => {}
            }
            let balances = ledger.balances(WORKSPACE, period).expect("it can be read");
            let balance = balances.get(&QuotaKind::Images).copied().unwrap_or_default();
            prop_assert_eq!(balance.used as i64, beside.platform.used);
            let after = beside.after_all();
            let returned = |held: &presync::ledger::Reservation| held.returned.values().sum::<u64>();
            let returned: u64 = ledger.active(None).expect("it can be read").iter().map(returned).sum();
            prop_assert_eq!(balance.used as i64 + balance.reserved as i64 - returned as i64, after.used);
            for container in SOURCES {
                prop_assert_eq!(known(&ledger, container), of_model(&after, container));
            }
        }
        let active = ledger.active(None).expect("it can be read").len();
        prop_assert_eq!(active, beside.pending.len());
        // Everything that is left is confirmed at once.
        let all: Vec<_> = beside.pending.iter().map(|plan| plan.id.clone()).collect();
        ledger.confirm(&all, false, Timestamp::now()).expect("nothing is left out");
        let balances = ledger.balances(WORKSPACE, period).expect("it can be read");
        let used = balances.get(&QuotaKind::Images).map_or(0, |balance| balance.used as i64);
        prop_assert_eq!(used, beside.after_all().used);
        prop_assert!(files(&ledger) <= SOURCES.len(), "one file a container");
    }
}

fn plan(id: &str, container: &'static str, prefix: &'static str, names: &[&'static str]) -> Planned {
    let blobs = names.iter().map(|name| (*name, (1, true))).collect();
    Planned { id: id.to_owned(), container, prefix, blobs }
}

const MONTHLY: Rules = Rules { recounts: true, is_stock: false };

#[test]
fn a_plan_that_overlaps_an_earlier_one_without_including_it_is_not_confirmed_alone() {
    let place = Place::new();
    let mut ledger = place.open();
    commit(&mut ledger, &plan("all", SOURCES[0], "", &NAMES), MONTHLY, month());
    commit(&mut ledger, &plan("cam1", SOURCES[0], "cam1/", &NAMES), MONTHLY, month());
    let error = ledger.confirm(&["cam1".to_owned()], false, Timestamp::now()).expect_err("it overlaps");
    assert!(error.message().contains("the plan cam1 overlaps all"), "{error}");
    let error = ledger.forget(WORKSPACE, &scope(SOURCES[0], "")).expect_err("it is reserved");
    assert!(error.message().contains("is reserved"), "{error}");
    ledger.confirm(&["all".to_owned()], true, Timestamp::now()).expect("it came first");
    let balances = ledger.balances(WORKSPACE, month()).expect("it can be read");
    assert!(balances.is_empty(), "what was used already is not added, and cam1 needs nothing: {balances:?}");
    ledger.confirm(&["cam1".to_owned()], false, Timestamp::now()).expect("nothing is in its way");
    let synced = ledger.synced(WORKSPACE).expect("it can be read");
    assert_eq!(synced.iter().map(|synced| synced.assets).collect::<Vec<_>>(), [7, 3]);
    let forgotten = ledger.forget(WORKSPACE, &scope(SOURCES[0], "cam1/")).expect("it can be forgotten");
    assert_eq!((forgotten.len(), known(&ledger, SOURCES[0]).len()), (1, 4));
    ledger.forget(WORKSPACE, &scope(SOURCES[0], "")).expect("it can be forgotten");
    assert_eq!((known(&ledger, SOURCES[0]).len(), files(&ledger)), (0, 0));
}

/// Processes and threads alike have a connection of their own.
#[test]
fn commits_of_one_container_at_the_same_time_are_all_there() {
    let place = Place::new();
    drop(place.open());
    let plans: Vec<_> = (0..12)
        .map(|number| {
            let name: &'static str = Box::leak(format!("p{number}/a").into_boxed_str());
            plan(&format!("plan{number}"), SOURCES[0], &name[..name.len() - 1], &[name])
        })
        .collect();
    std::thread::scope(|scope| {
        for plan in &plans {
            let place = &place;
            scope.spawn(move || {
                let mut ledger = place.open();
                commit(&mut ledger, plan, MONTHLY, month());
                if plan.id.len() == 5 {
                    ledger
                        .confirm(std::slice::from_ref(&plan.id), false, Timestamp::now())
                        .expect("it can be confirmed");
                }
            });
        }
    });
    let mut ledger = place.open();
    assert_eq!(known(&ledger, SOURCES[0]).len(), plans.len());
    let rest = ledger.active(None).expect("it can be read").into_iter().map(|held| held.plan);
    let rest: Vec<_> = rest.collect();
    assert_eq!(rest.len(), 2);
    ledger.confirm(&rest, false, Timestamp::now()).expect("they can be confirmed");
    assert_eq!((known(&ledger, SOURCES[0]).len(), files(&ledger)), (plans.len(), 1));
    let used: u64 = plans.iter().flat_map(Planned::rows).map(|row| row.asset.cost.images).sum();
    let balances = ledger.balances(WORKSPACE, month()).expect("it can be read");
    assert_eq!(balances[&QuotaKind::Images].used, used);
}

/// Commits, confirms and releases without end.
#[test]
#[ignore = "the parent test runs it in a process of its own, and kills it"]
fn child() {
    let mut ledger = super::of_parent();
    std::io::Write::write_all(&mut std::io::stdout(), b"\nready\n").expect("the parent reads it");
    let mut random = fastrand::Rng::with_seed(std::process::id().into());
    for number in 0.. {
        let names: Vec<_> = NAMES.into_iter().filter(|_| random.bool()).collect();
        let id = format!("{}-{number}", std::process::id());
        commit(&mut ledger, &plan(&id, SOURCES[0], "", &names), MONTHLY, month());
        let held = ledger.active(None).expect("it can be read");
        let victim = held[random.usize(..held.len())].plan.clone();
        match random.u8(0..3) {
            0 => _ = ledger.release(&victim, Timestamp::now()).expect("it can be released"),
            1 => _ = ledger.confirm(&[victim], false, Timestamp::now()).expect("it can be confirmed"),
            _ => {}
        }
    }
}

#[test]
fn a_killed_process_leaves_the_old_state_or_the_new_one() {
    use std::io::{BufRead, BufReader};
    let place = Place::new();
    drop(place.open());
    let mut random = fastrand::Rng::with_seed(9);
    let mut left_over = 0;
    for _ in 0..30 {
        let mut child = super::spawn("platform::child", &place.path());
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        assert!(output.lines().map_while(Result::ok).any(|line| line == "ready"), "it gets ready");
        std::thread::sleep(std::time::Duration::from_micros(random.u64(0..60_000)));
        child.kill().expect("it is alive");
        child.wait().expect("it ends");
        let ledger = place.open();
        left_over += check_files(&ledger, &ledger.folder());
    }
    eprintln!("{left_over} files that nothing named");
    let mut ledger = place.open();
    // The last child may have left no reservation, and a confirmation of nothing writes nothing.
    commit(&mut ledger, &plan("last", SOURCES[0], "", &NAMES), MONTHLY, month());
    let all: Vec<_> =
        ledger.active(None).expect("it can be read").into_iter().map(|held| held.plan).collect();
    ledger.confirm(&all, false, Timestamp::now()).expect("it can be confirmed");
    check_files(&ledger, &ledger.folder());
    assert_eq!(files(&ledger), 1, "whoever writes next removes what nothing names");
}

/// Checks that each reserved plan has the file of its state; gives back how many files nothing names.
fn check_files(ledger: &Ledger, folder: &Path) -> usize {
    let held = ledger.active(None).expect("it can be read");
    for held in &held {
        let pending = held.pending.as_ref().expect("it has a file");
        let rows = SyncedFile::open(&folder.join(&pending.file)).expect("it is there").rows();
        let rows: Vec<_> = rows.collect::<Result<_, _>>().expect("it can be read");
        assert_eq!(rows.len() as u64, pending.assets);
        let costs: u64 = held.costs.values().sum();
        let all: u64 = rows.iter().map(|row| row.asset.cost.images).sum();
        assert!(costs <= all, "{costs} of {all}");
    }
    known(ledger, SOURCES[0]);
    files(ledger).saturating_sub(held.len() + 1)
}

#[test]
fn amounts_are_what_is_left_after_what_is_given_back() {
    let counting = Counting {
        images: QuotaKind::DataRows,
        frames: QuotaKind::DataRows,
        recounts: false,
        is_stock: true,
    };
    let cost = |images, frames| Cost { images, frames };
    let applied =
        |charge, returned| presync::plan_file::synced::Applied { charge, returned, ..Default::default() };
    let rows = |amount: u64| Amounts::from([(QuotaKind::DataRows, amount)]);
    assert_eq!(counting.amounts(&applied(cost(5, 60), cost(20, 0))), (rows(45), Amounts::new()));
    assert_eq!(counting.amounts(&applied(cost(5, 0), cost(5, 60))), (Amounts::new(), rows(60)));
    assert_eq!(counting.amounts(&applied(cost(5, 0), cost(5, 0))), (Amounts::new(), Amounts::new()));
    let monthly = Counting { is_stock: false, ..counting };
    assert_eq!(monthly.amounts(&applied(cost(5, 0), cost(50, 0))), (rows(5), Amounts::new()));
}
