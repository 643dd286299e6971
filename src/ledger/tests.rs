//! Unit tests of the ledger: what it admits, what it remembers, and how it refuses what isn't a ledger.

use std::fs;

use jiff::{Timestamp, ToSpan};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::model::QuotaKind::{DataRows, Frames, Images};
use crate::model::{Month, Period};

const WORKSPACE: &str = "default";

/// A ledger in a folder of its own.
struct Fixture {
    folder: TempDir,
    ledger: Ledger,
    now: Timestamp,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(&folder.path().join("ledger.sqlite3")).expect("a ledger");
        Self { folder, ledger, now: "2026-11-22T10:00:00Z".parse().expect("a time") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.sqlite3")
    }

    /// A second later each time.
    fn now(&mut self) -> Timestamp {
        self.now += 1.second();
        self.now
    }

    fn limit(&mut self, kind: QuotaKind, limit: u64) -> Vec<Change> {
        let now = self.now();
        self.ledger.set(WORKSPACE, month(), &[(kind, Some(limit))], &[], now).expect("it can be set")
    }

    fn used(&mut self, kind: QuotaKind, used: u64) -> Vec<Change> {
        let now = self.now();
        self.ledger.set(WORKSPACE, month(), &[], &[(kind, used)], now).expect("it can be set")
    }

    fn reserve(&mut self, plan: &str, costs: &[(QuotaKind, u64)]) -> Reserve {
        let now = self.now();
        self.ledger.reserve(&claim(plan, costs), now).expect("it can be asked")
    }

    fn release(&mut self, plan: &str) -> Release {
        let now = self.now();
        self.ledger.release(plan, now).expect("it can be asked")
    }

    fn balance(&self, kind: QuotaKind) -> Balance {
        let balances = self.ledger.balances(WORKSPACE, month()).expect("it can be read");
        balances.get(&kind).copied().unwrap_or_default()
    }
}

fn month() -> Period {
    Period::Month(Month::parse("2026-11").expect("a month"))
}

fn claim<'a>(plan: &'a str, costs: &[(QuotaKind, u64)]) -> Claim<'a> {
    let costs = costs.iter().copied().collect();
    let (period, source, returned) = (month(), "fixtures/demo", Amounts::new());
    Claim { plan, workspace: WORKSPACE, period, source, costs, returned, pending: None }
}

#[test]
fn a_plan_takes_all_or_nothing() {
    let mut fixture = Fixture::new();
    fixture.limit(Images, 100);
    fixture.limit(Frames, 1000);
    fixture.used(Frames, 700);
    assert!(matches!(fixture.reserve("a", &[(Images, 60), (Frames, 300)]), Reserve::Reserved(_)));
    let refused = fixture.reserve("b", &[(Images, 41), (Frames, 1)]);
    let shortages = vec![
        KindShortage { kind: Images, needed: 41, left: 40 },
        KindShortage { kind: Frames, needed: 1, left: 0 },
    ];
    assert_eq!(refused, Reserve::Refused(shortages));
    assert!(matches!(fixture.reserve("c", &[(Images, 40), (Frames, 1)]), Reserve::Refused(_)));
    assert_eq!(fixture.balance(Images), Balance { limit: Some(100), used: 0, reserved: 60 });
    assert!(matches!(fixture.reserve("d", &[(Images, 40), (Frames, 0)]), Reserve::Reserved(_)));
    assert_eq!((fixture.balance(Images).left(), fixture.balance(Frames).left()), (Some(0), Some(0)));
    assert_eq!(fixture.balance(Frames).gauge(), Gauge::new(Some(1000), 1000));
}

#[test]
fn without_a_limit_nothing_runs_out() {
    let mut fixture = Fixture::new();
    assert!(matches!(fixture.reserve("a", &[(DataRows, i64::MAX as u64)]), Reserve::Reserved(_)));
    let balance = fixture.balance(DataRows);
    assert_eq!((balance.left(), balance.reserved), (None, i64::MAX as u64));
    let now = fixture.now();
    let error =
        fixture.ledger.reserve(&claim("b", &[(Images, 1), (DataRows, 1)]), now).expect_err("too much");
    assert!(error.message().starts_with("a sum is larger than the ledger"), "{error}");
    assert_eq!(fixture.balance(Images), Balance::default(), "nothing of it is kept");
}

#[test]
fn a_plan_reserves_once_until_it_is_released() {
    let mut fixture = Fixture::new();
    fixture.limit(Images, 100);
    let Reserve::Reserved(first) = fixture.reserve("a", &[(Images, 60)]) else { panic!("there is room") };
    assert_eq!(fixture.reserve("a", &[(Images, 60)]), Reserve::AlreadyReserved(first.clone()));
    assert_eq!(fixture.reserve("a", &[(Images, 1000)]), Reserve::AlreadyReserved(first.clone()));
    assert_eq!(fixture.ledger.reservations(WORKSPACE, month()), Ok(vec![first.clone()]));

    let Release::Released(released) = fixture.release("a") else { panic!("it holds") };
    assert_eq!(released, Reservation { released_at: Some(fixture.now), ..first.clone() });
    assert_eq!(fixture.release("a"), Release::ReleasedBefore(released));
    assert_eq!(fixture.release("b"), Release::Unknown);
    assert_eq!(fixture.balance(Images).reserved, 0);
    assert_eq!(fixture.ledger.reservations(WORKSPACE, month()), Ok(Vec::new()));

    let Reserve::Reserved(second) = fixture.reserve("a", &[(Images, 100)]) else { panic!("there is room") };
    assert_ne!(second.id, first.id);
    assert_eq!(fixture.ledger.reservations(WORKSPACE, month()), Ok(vec![second]));
}

#[test]
fn workspaces_and_months_have_nothing_in_common() {
    let mut fixture = Fixture::new();
    fixture.limit(Images, 10);
    let now = fixture.now();
    let december = Period::Month(Month::parse("2026-12").expect("a month"));
    let set = [(Images, Some(7))];
    fixture.ledger.set("second", month(), &set, &[], now).expect("it can be set");
    fixture.ledger.set(WORKSPACE, december, &set, &[], now).expect("it can be set");
    assert!(matches!(fixture.reserve("a", &[(Images, 10)]), Reserve::Reserved(_)));
    for (workspace, month) in [("second", month()), (WORKSPACE, december)] {
        let balances = fixture.ledger.balances(workspace, month).expect("it can be read");
        assert_eq!(balances[&Images], Balance { limit: Some(7), used: 0, reserved: 0 });
    }
    assert_eq!(fixture.ledger.workspaces(month()), Ok(vec![WORKSPACE.to_owned(), "second".to_owned()]));
    assert_eq!(fixture.ledger.workspaces(december), Ok(vec![WORKSPACE.to_owned()]));
    let history = fixture.ledger.history(Some("second"), None).expect("it can be read");
    assert_eq!(history.iter().map(|change| change.period).collect::<Vec<_>>(), [month()]);
}

#[test]
fn setting_the_same_again_changes_nothing() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.limit(Images, 10).len(), 1);
    assert_eq!(fixture.used(Images, 3).len(), 1);
    assert!(fixture.limit(Images, 10).is_empty() && fixture.used(Images, 3).is_empty());
    assert!(fixture.used(Frames, 0).is_empty(), "nothing was used before");
    let now = fixture.now();
    let removed = fixture.ledger.set(WORKSPACE, month(), &[(Images, None)], &[(Images, 0)], now);
    let removed = removed.expect("it can be set");
    assert_eq!(
        removed.iter().map(|change| (change.before, change.after)).collect::<Vec<_>>(),
        [(Some(10), None), (Some(3), Some(0))]
    );
    assert_eq!(fixture.ledger.balances(WORKSPACE, month()), Ok(BTreeMap::new()));
    assert_eq!(fixture.ledger.history(None, None).expect("it can be read").len(), 4);
}

#[test]
fn every_change_is_kept_and_leads_to_what_is() {
    let mut fixture = Fixture::new();
    fixture.limit(Images, 100);
    fixture.reserve("a", &[(Images, 60), (Frames, 5)]);
    fixture.reserve("b", &[(Images, 60)]);
    fixture.release("a");
    fixture.used(Images, 60);
    let history = fixture.ledger.history(Some(WORKSPACE), Some(month())).expect("it can be read");
    let lines: Vec<_> = history
        .iter()
        .map(|change| {
            let Change { kind, subject, plan, before, after, .. } = change;
            (kind.as_str(), subject.as_str(), plan.as_deref(), *before, *after)
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("images", "limit", None, None, Some(100)),
            ("images", "reserved", Some("a"), Some(0), Some(60)),
            ("frames", "reserved", Some("a"), Some(0), Some(5)),
            ("images", "reserved", Some("a"), Some(60), Some(0)),
            ("frames", "reserved", Some("a"), Some(5), Some(0)),
            ("images", "used", None, Some(0), Some(60)),
        ]
    );
    assert!(history.iter().map(|change| change.time).is_sorted());
    for forge in ["UPDATE change SET after = 1", "DELETE FROM change"] {
        assert!(fixture.ledger.connection.execute(forge, ()).is_err(), "{forge}");
    }
}

/// The error of an attempt to open what is at `path`, which must leave it as it is.
fn refused(path: &Path) -> Error {
    let before = fs::read(path).expect("a file");
    let error = Ledger::open(path).expect_err("it is not usable");
    assert_eq!(fs::read(path).expect("a file"), before, "{error}");
    error
}

#[test]
fn what_is_not_a_ledger_is_refused_and_left_alone() {
    let mut fixture = Fixture::new();
    fixture.limit(Images, 10);
    let path = fixture.path();
    drop(fixture.ledger);
    let whole = fs::read(&path).expect("a file");
    let damaged = format!("the ledger '{}' is damaged", path.display());
    for (what, content, message) in [
        ("text", b"limit = 5\n".repeat(100), format!("'{}' isn't a ledger", path.display())),
        ("nothing", Vec::new(), format!("the ledger '{}' is empty", path.display())),
        ("half", whole[..whole.len() / 2].to_vec(), damaged.clone()),
        ("a page is missing", whole[..whole.len() - 4096].to_vec(), damaged.clone()),
        ("a page is overwritten", [&whole[..4096], &[0xff; 4096], &whole[8192..]].concat(), damaged),
    ] {
        fs::write(&path, content).expect("it can be written");
        assert_eq!(refused(&path).message(), message, "{what}");
    }
}

#[test]
fn another_programs_database_and_a_newer_ledger_are_refused() {
    let fixture = Fixture::new();
    let other = fixture.folder.path().join("other.sqlite3");
    Connection::open(&other).and_then(|other| other.execute("CREATE TABLE t (x)", ())).expect("a database");
    assert!(refused(&other).message().ends_with("is a database, but not a ledger"));
    fixture.ledger.connection.pragma_update(None, "user_version", 4).expect("it can be written");
    let error = refused(&fixture.path());
    assert!(error.message().ends_with("was written by a newer presync (format 4)"), "{error}");
}

/// What writes to a ledger that is in some way in trouble fails with this message, and leaves it as it was.
fn fails(fixture: &mut Fixture, says: &str) {
    let before = fs::read(fixture.path()).expect("a file");
    let long = "x".repeat(1 << 20);
    let now = fixture.now();
    let error = fixture.ledger.reserve(&claim(&long, &[(Images, 1)]), now).expect_err(says);
    assert!(error.message().contains(says), "{error}");
    assert_eq!(fs::read(fixture.path()).expect("a file"), before, "{error}");
    assert_eq!(fs::read_dir(fixture.folder.path()).expect("a folder").count(), 1, "no journal stays");
}

#[test]
fn a_full_disk_changes_nothing() {
    let mut fixture = Fixture::new();
    fixture.limit(Images, 10);
    fixture.ledger.connection.pragma_update(None, "max_page_count", 20).expect("it can be limited");
    fails(&mut fixture, "is full");
    assert!(matches!(fixture.reserve("a", &[(Images, 10)]), Reserve::Reserved(_)), "what fits still works");
}

#[test]
fn a_ledger_that_cannot_be_written_can_be_read() {
    let mut fixture = Fixture::new();
    fixture.limit(Images, 10);
    fixture.ledger.connection.pragma_update(None, "query_only", true).expect("it can be closed to writes");
    fails(&mut fixture, "cannot be written");
    assert_eq!(fixture.balance(Images).limit, Some(10));
}

#[test]
fn a_process_that_waits_too_long_gets_the_reason() {
    let mut fixture = Fixture::new();
    let busy = Connection::open(fixture.path()).expect("a second connection");
    busy.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    fixture.ledger.connection.busy_timeout(std::time::Duration::ZERO).expect("it need not wait");
    let now = fixture.now();
    let error = fixture.ledger.reserve(&claim("a", &[(Images, 1)]), now).expect_err("another one writes");
    assert!(error.message().ends_with("is in use by another process"), "{error}");
    busy.execute_batch("ROLLBACK").expect("it ends");
    assert!(matches!(fixture.reserve("a", &[(Images, 1)]), Reserve::Reserved(_)));
}

#[test]
fn a_ledger_is_made_once_and_only_when_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite3");
    assert!(Ledger::open_existing(&path).expect("nothing is wrong").is_none());
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Ledger::open(&path).expect("a ledger"));
        }
    });
    let files: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

/// A ledger as the first version wrote it, with these rows.
fn of_the_first_version(path: &Path, rows: &str) {
    let connection = Connection::open(path).expect("a database");
    connection.execute_batch(file::FIRST_SCHEMA).expect("tables");
    connection.execute_batch(rows).expect("rows");
    connection.pragma_update(None, "application_id", file::APPLICATION_ID).expect("it can be written");
    connection.pragma_update(None, "user_version", 1).expect("it can be written");
}

#[test]
fn a_ledger_of_the_first_version_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite3");
    of_the_first_version(
        &path,
        "INSERT INTO quota VALUES ('default', '2026-11', 'images', 100, 7);
         INSERT INTO quota VALUES ('default', '2026-10', 'data-rows', 400, 50);
         INSERT INTO quota VALUES ('default', '2026-11', 'data-rows', 500, 60);
         INSERT INTO reservation VALUES (1, 'aa1', 'default', '2026-11', 'C', '2026-11-01T00:00:00Z', NULL);
         INSERT INTO reservation VALUES (2, 'ab2', 'default', '2026-10', 'C', '2026-10-01T00:00:00Z', NULL);
         INSERT INTO reserved VALUES (1, 'images', 20);
         INSERT INTO reserved VALUES (2, 'data-rows', 30);
         INSERT INTO change VALUES (1, '2026-11-01T00:00:00Z', 'default', '2026-11', 'images', 'limit', NULL, NULL, 100);",
    );
    let mut ledger = Ledger::open(&path).expect("it is taken over");
    let balances = ledger.balances(WORKSPACE, month()).expect("it can be read");
    assert_eq!(balances, [(Images, Balance { limit: Some(100), used: 7, reserved: 20 })].into());
    let stock =
        |ledger: &Ledger| ledger.balances(WORKSPACE, Period::Stock).expect("it can be read")[&DataRows];
    assert_eq!(stock(&ledger), Balance { limit: Some(500), used: 60, reserved: 30 });
    let now: Timestamp = "2026-11-22T10:00:00Z".parse().expect("a time");
    let confirmed = ledger.confirm(&["ab2".to_owned()], false, now).expect("it can be confirmed");
    assert_eq!((confirmed.len(), &confirmed[0].pending), (1, &None));
    assert_eq!(stock(&ledger), Balance { limit: Some(500), used: 90, reserved: 0 });
    drop(ledger);
    let again = Ledger::open(&path).expect("it stays");
    assert_eq!(stock(&again).used, 90);
    assert_eq!(again.plans("a"), Ok(vec!["aa1".to_owned()]), "the other one is over");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn a_plan_is_found_by_the_beginning_of_its_id() {
    let mut fixture = Fixture::new();
    for plan in ["0f3c-1", "0f3c-2", "0f3c", "ab"] {
        fixture.reserve(plan, &[(Images, 1)]);
    }
    let plans = |fixture: &Fixture, begin: &str| fixture.ledger.plans(begin).expect("it can be read");
    assert_eq!(plans(&fixture, "0f3"), ["0f3c", "0f3c-1", "0f3c-2"]);
    assert_eq!(plans(&fixture, "0f3c"), ["0f3c"], "it is one of them");
    assert_eq!(plans(&fixture, "0f3c-1"), ["0f3c-1"]);
    assert_eq!(plans(&fixture, "b"), [""; 0]);
    fixture.release("0f3c-2");
    assert_eq!(plans(&fixture, "0f3c-"), ["0f3c-1"], "one is active");
    fixture.release("0f3c-1");
    assert_eq!(plans(&fixture, "0f3c-"), ["0f3c-1", "0f3c-2"]);
    assert_eq!(plans(&fixture, ""), ["0f3c", "ab"]);
    assert_eq!(plans(&fixture, "%"), [""; 0], "nothing is a pattern");
}
