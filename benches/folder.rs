//! A folder on a warm cache: a whole run beside a bare loop of open, fstat, pread and close over the same files.
//!
//! `cargo bench --bench folder`; the two take turns, and the best round of each counts, because other work on the
//! machine can only slow a round down.

#![expect(clippy::expect_used, reason = "a bench that cannot go on says what it expected")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[expect(dead_code, reason = "the other benches use the rest")]
mod support;

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use presync::model::Quota;
use presync::rules::Profile;
use presync::run::{self, Settings, Task};
use presync::source::local::LocalSource;

/// Files in the folder.
const FILES: usize = 50_000;
/// Files in each of its folders.
const FOLDER: usize = 1_000;
/// Rounds of which the best one counts.
const ROUNDS: usize = 7;
/// Bytes that the bare loop reads of each file: what presync reads first of most formats.
const FIRST_READ: usize = 4 << 10;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let paths = fill(folder.path()).expect("files can be written");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (mut bare, mut whole) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        bare = bare.min(time(|| {
            for path in &paths {
                black_box(touch(path).expect("the file is there"));
            }
        }));
        whole = whole.min(time(|| runtime.block_on(examine(folder.path()))));
    }
    let pace = |time: Duration| FILES as f64 / time.as_secs_f64();
    println!("| {FILES} files, warm cache | files/s | µs/file |");
    println!("|---|--:|--:|");
    for (name, time) in [("open, fstat, pread, close, one thread", bare), ("presync, the whole run", whole)] {
        println!("| {name} | {:.0} | {:.2} |", pace(time), time.as_secs_f64() * 1e6 / FILES as f64);
    }
    println!("\npresync runs at {:.2} of the bare loop", pace(whole) / pace(bare));
}

/// Writes the corpus's files again and again until there are enough, and gives back their paths.
fn fill(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let files: Vec<_> = support::corpus().into_iter().flat_map(|group| group.files).collect();
    let mut paths = Vec::new();
    for (index, file) in files.iter().cycle().take(FILES).enumerate() {
        let inside = folder.join(format!("camera{:03}", index / FOLDER));
        if index % FOLDER == 0 {
            std::fs::create_dir(&inside)?;
        }
        let extension = file.name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let path = inside.join(format!("IMG_{index:06}.{extension}"));
        std::fs::write(&path, &file.bytes)?;
        paths.push(path);
    }
    Ok(paths)
}

fn touch(path: &Path) -> io::Result<usize> {
    let mut buffer = [0; FIRST_READ];
    let mut file = File::open(path)?;
    file.metadata()?;
    file.read(&mut buffer)
}

async fn examine(folder: &Path) {
    let folder = LocalSource::open(folder).expect("the folder is there").with_names_only();
    let profile = Arc::new(Profile::load("nexus").expect("a built-in profile"));
    let settings = Settings::with_concurrency(64);
    let quota = Quota::new(None, None);
    let task = Task::new(folder.list(), Arc::new(folder), profile, quota, settings);
    let done = run::run(task, (), std::future::pending()).await;
    let ended = done.expect("the run ends well");
    assert_eq!((ended.end, ended.summary.totals.listed), (run::End::Complete, FILES as u64));
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}
