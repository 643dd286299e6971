//! Processes that are killed in the middle of what they do.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use presync::ledger::{Change, Ledger, Release, Reserve, Subject};

use super::{Place, WORKSPACE, claim, images, limit_images, month, of_parent, spawn};

const KILLS: usize = 60;
const LIMIT: u64 = 100;
/// The longest that a process lives, in milliseconds.
const LONGEST_LIFE: u64 = 60;

/// Reserves and releases without end, and says so after each.
#[test]
#[ignore = "the parent test runs it in a process of its own, and kills it"]
fn child() {
    let mut ledger = of_parent();
    let mut stdout = io::stdout();
    let mut say = |line: &str| writeln!(stdout, "{line}").expect("the parent listens");
    say("\nready");
    let mut random = fastrand::Rng::with_seed(std::process::id().into());
    for number in 0.. {
        let plan = format!("{}-{number}", std::process::id());
        let outcome = ledger.reserve(&claim(&plan, random.u64(1..=20)), Timestamp::now());
        if let Reserve::Reserved(_) = outcome.expect("it can be asked") {
            say(&format!("reserved {plan}"));
        }
        let held = ledger.reservations(WORKSPACE, month()).expect("it can be read");
        if let Some(victim) = random.choice(held).filter(|_| random.u8(0..3) > 0) {
            let released = ledger.release(&victim.plan, Timestamp::now()).expect("it can be asked");
            assert!(matches!(released, Release::Released(_)), "{released:?}");
            say(&format!("released {}", victim.plan));
        }
    }
}

/// What the changes of a ledger must have led to: the plans that hold a reservation, and how much each holds.
fn replayed(history: &[Change]) -> BTreeMap<String, u64> {
    let (mut sum, mut held) = (0, BTreeMap::new());
    for change in history.iter().filter(|change| change.subject == Subject::Reserved) {
        let (before, after) = (change.before.expect("a number"), change.after.expect("a number"));
        let plan = change.plan.clone().expect("only a plan reserves");
        assert_eq!(before, sum, "a change is missing before {change:?}");
        assert!(after <= LIMIT, "more was admitted than there is: {change:?}");
        match held.remove(&plan) {
            Some(amount) => assert_eq!(before - after, amount, "{change:?}"),
            None => _ = held.insert(plan, after - before),
        }
        sum = after;
    }
    held
}

/// Checks that what the ledger holds is what its changes led to; gives back these, as the child would say them.
fn check(ledger: &Ledger) -> Vec<String> {
    let history = ledger.history(None, None).expect("it can be read");
    let held = replayed(&history);
    let reservations = ledger.reservations(WORKSPACE, month()).expect("it can be read").into_iter();
    let there: BTreeMap<_, _> = reservations.map(|held| (held.plan, held.costs.values().sum())).collect();
    assert_eq!(there, held);
    let balance = images(ledger);
    assert_eq!(balance.reserved, held.values().sum::<u64>());
    assert!(balance.used + balance.reserved <= LIMIT, "{balance:?}");
    let line = |change: &Change| {
        let verb = if change.after > change.before { "reserved" } else { "released" };
        Some(format!("{verb} {}", change.plan.as_ref()?))
    };
    history.iter().filter_map(line).collect()
}

#[test]
fn whatever_a_killed_process_said_is_there_and_nothing_is_half_done() {
    let place = Place::new();
    limit_images(&mut place.open(), LIMIT);
    let mut random = fastrand::Rng::with_seed(5);
    let (mut said, mut journals, mut unsaid) = (Vec::new(), 0, 0);
    for _ in 0..KILLS {
        let mut child = spawn("crash::child", &place.path());
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        assert!(output.by_ref().lines().map_while(Result::ok).any(|line| line == "ready"), "it gets ready");
        thread::sleep(Duration::from_micros(random.u64(0..LONGEST_LIFE * 1000)));
        child.kill().expect("it is alive");
        child.wait().expect("it ends");
        journals += usize::from(place.0.path().join("ledger.sqlite3-journal").exists());
        let lines = output.lines().map_while(Result::ok);
        said.extend(lines.filter(|line| line.starts_with("re")));

        let there = check(&place.open());
        // A process that is killed between its change and its word has changed one thing more than it said.
        let more = there.len() - said.len();
        assert!(more <= 1, "{more} changes that nobody spoke of");
        unsaid += more;
        assert_eq!(there[..said.len()], said);
        said = there;
    }
    assert!(journals > 0, "no kill hit a transaction");
    eprintln!("{KILLS} kills, {journals} in a transaction, {unsaid} just after; {} changes", said.len());
}
