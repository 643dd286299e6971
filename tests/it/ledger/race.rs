//! Processes that want the same budget at the same time.

use std::io::{self, BufRead, BufReader, Read, Write};

use jiff::Timestamp;
use presync::ledger::Reserve;

use super::{Place, claim, images, limit_images, of_parent, spawn};

const PROCESSES: u64 = 4;
const LIMIT: u64 = 150;
/// Plans that every process wants to commit.
const SHARED_PLANS: u64 = 50;

/// Waits for the parent's signal; then claims plans that others claim too, and plans of its own until nothing is left.
#[test]
#[ignore = "the parent test runs it in processes of its own"]
fn child() {
    let mut ledger = of_parent();
    let mut stdout = io::stdout();
    writeln!(stdout, "\nready").expect("the parent listens");
    io::stdin().read_exact(&mut [0]).expect("the parent gives the signal");
    let mut count = [0; 3];
    let mut reserve = |plan: &str| {
        let outcome = ledger.reserve(&claim(plan, 1), Timestamp::now()).expect("it can be asked");
        let index = match outcome {
            Reserve::Reserved(_) => 0,
            Reserve::AlreadyReserved(_) => 1,
            Reserve::Refused(shortages) => {
                assert_eq!((shortages.len(), shortages[0].left), (1, 0), "{shortages:?}");
                2
            }
        };
        count[index] += 1;
        index
    };
    for shared in 0..SHARED_PLANS {
        reserve(&format!("shared-{shared}"));
    }
    for own in 0.. {
        if reserve(&format!("{}-{own}", std::process::id())) == 2 {
            break;
        }
    }
    let [reserved, before, refused] = count;
    writeln!(stdout, "\ncounts {reserved} {before} {refused}").expect("the parent listens");
}

#[test]
fn processes_that_race_never_spend_more_than_there_is() {
    let place = Place::new();
    let mut ledger = place.open();
    limit_images(&mut ledger, LIMIT);
    let mut children: Vec<_> = (0..PROCESSES).map(|_| spawn("race::child", &place.path())).collect();
    let mut outputs: Vec<_> = children
        .iter_mut()
        .map(|child| BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok))
        .collect();
    for output in &mut outputs {
        assert!(output.any(|line| line == "ready"), "the child gets ready");
    }
    for child in &mut children {
        child.stdin.as_mut().expect("a pipe").write_all(b"!").expect("the child listens");
    }
    let mut totals = [0; 3];
    for (mut child, mut output) in children.into_iter().zip(outputs) {
        let counts = output.find_map(|line| line.strip_prefix("counts ").map(str::to_owned));
        let counts = counts.expect("the child counts");
        for (total, count) in totals.iter_mut().zip(counts.split(' ')) {
            *total += count.parse::<u64>().expect("a number");
        }
        assert!(output.count() > 0 && child.wait().expect("it ends").success());
    }
    // Every plan that all claim is admitted once, and what is left is spent to the last.
    assert_eq!(totals, [LIMIT, (PROCESSES - 1) * SHARED_PLANS, PROCESSES]);
    let balance = images(&ledger);
    assert_eq!((balance.reserved, balance.left()), (LIMIT, Some(0)));
    let history = ledger.history(None, None).expect("it can be read");
    let reserved: Vec<_> = history.iter().skip(1).map(|change| change.after.expect("a number")).collect();
    assert_eq!(reserved, (1..=LIMIT).collect::<Vec<_>>(), "each is recorded, and none twice");
}
