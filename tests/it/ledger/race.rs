//! Processes that want the same budget at the same moment.

use std::hint;
use std::io::{self, BufRead, BufReader, Write};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use presync::ledger::{Claim, KindShortage, Reserve};
use presync::model::QuotaKind::Images;

use super::{Place, claim, month, of_parent, spawn};

const PROCESSES: usize = 2;
const ROUNDS: usize = 100;
/// From one claim to the next.
const STEP: SignedDuration = SignedDuration::from_millis(20);
/// The budget of a round, of which every process wants all.
const BUDGET: u64 = 10;

fn workspace(round: usize) -> String {
    format!("round-{round}")
}

/// Waits for the moment of a step: asleep until shortly before it, then awake, so that processes are in step to
/// microseconds.
fn wait_for(step: usize, begin: Timestamp) {
    let moment = begin + STEP * i32::try_from(step).expect("a small number");
    let asleep = moment.duration_since(Timestamp::now()) - SignedDuration::from_millis(3);
    thread::sleep(Duration::try_from(asleep).unwrap_or_default());
    while Timestamp::now() < moment {
        hint::spin_loop();
    }
}

/// In each round, at the same moment as the others, claims the last budget for a plan of its own, and then a plan that
/// the others claim too.
#[test]
#[ignore = "the parent test runs it in processes of its own"]
fn child() {
    let mut ledger = of_parent();
    let mut stdout = io::stdout();
    writeln!(stdout, "\nready").expect("the parent listens");
    let begin = io::stdin().lines().next().expect("a line").expect("the parent says when");
    let begin: Timestamp = begin.parse().expect("a moment");
    let (mut admitted, mut first) = (0, 0);
    for round in 0..ROUNDS {
        let (own, shared) = (format!("{}-{round}", std::process::id()), format!("shared-{round}"));
        let last = Claim { workspace: &workspace(round), ..claim(&own, BUDGET) };
        wait_for(2 * round, begin);
        match ledger.reserve(&last, Timestamp::now()).expect("it can be asked") {
            Reserve::Reserved(_) => admitted += 1,
            refused => {
                let shortage = KindShortage { kind: Images, needed: BUDGET, left: 0 };
                assert_eq!(refused, Reserve::Refused(vec![shortage]));
            }
        }
        wait_for(2 * round + 1, begin);
        match ledger.reserve(&claim(&shared, 1), Timestamp::now()).expect("it can be asked") {
            Reserve::Reserved(_) => first += 1,
            other => assert!(matches!(other, Reserve::AlreadyReserved(_)), "{other:?}"),
        }
    }
    writeln!(stdout, "\ncounts {admitted} {first}").expect("the parent listens");
}

#[test]
fn of_processes_that_want_the_last_budget_one_gets_it() {
    let place = Place::new();
    let mut ledger = place.open();
    for round in 0..ROUNDS {
        let limit = [(Images, Some(BUDGET))];
        ledger.set(&workspace(round), month(), &limit, &[], Timestamp::now()).expect("it can be set");
    }
    let mut children: Vec<_> = (0..PROCESSES).map(|_| spawn("race::child", &place.path())).collect();
    let mut outputs: Vec<_> = children
        .iter_mut()
        .map(|child| BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok))
        .collect();
    for output in &mut outputs {
        assert!(output.any(|line| line == "ready"), "the child gets ready");
    }
    let begin = Timestamp::now() + STEP;
    for child in &mut children {
        writeln!(child.stdin.as_mut().expect("a pipe"), "{begin}").expect("the child listens");
    }
    let (mut admitted, mut first) = (0, 0);
    for (mut child, mut output) in children.into_iter().zip(outputs) {
        let counts = output.find_map(|line| line.strip_prefix("counts ").map(str::to_owned));
        let counts = counts.expect("the child counts");
        let (one, other) = counts.split_once(' ').expect("two numbers");
        admitted += one.parse::<usize>().expect("a number");
        first += other.parse::<usize>().expect("a number");
        assert!(output.count() > 0 && child.wait().expect("it ends").success());
    }
    assert_eq!((admitted, first), (ROUNDS, ROUNDS), "one a round");
    for round in 0..ROUNDS {
        let balances = ledger.balances(&workspace(round), month()).expect("it can be read");
        assert_eq!((balances[&Images].reserved, balances[&Images].left()), (BUDGET, Some(0)));
    }
    let history = ledger.history(None, None).expect("it can be read");
    assert_eq!(history.len(), 3 * ROUNDS, "each change is recorded once");
}
