//! The progress of several containers: one line for each and one for all, on stderr and only if it is a terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use indicatif::{MultiProgress, ProgressBar as Bar, ProgressDrawTarget};

use super::bar::{BLOCKS, TICK, style};
use super::layout::{columns, counted, cut, number, shown};
use crate::model::secret::redact;
use crate::run::{Progress, Snapshot};

/// The width of container names, in columns.
const NAME: usize = 24;

/// The template while the number of blobs is not known.
const LISTING: &str = "{prefix}  {spinner} {human_pos} judged · {rate}{wide_msg}";
/// The template once the number of blobs is known.
const COUNTED: &str = "{prefix}  [{bar:16}] {human_pos} of {human_len} · {rate} · {eta} left{wide_msg}";
/// The template of the line for all containers.
const TOTAL: &str = "{prefix}  [{bar:16}] {human_pos} of {human_len} containers · {elapsed} · {wide_msg}";

/// Lines that show the runs' counters from a separate thread, and disappear when this is dropped.
#[derive(Debug)]
pub struct ProgressBars {
    lines: Arc<Lines>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Lines {
    all: MultiProgress,
    total: Bar,
    running: Mutex<Vec<(Bar, Arc<Progress>)>>,
    /// Blobs judged in containers that are finished.
    judged: AtomicU64,
}

/// The line of a container, which disappears when this is dropped.
#[derive(Debug)]
pub struct ProgressLine {
    lines: Arc<Lines>,
    bar: Bar,
    progress: Arc<Progress>,
}

impl ProgressBars {
    /// Shows the line for all containers.
    pub fn show(containers: usize) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = all.add(Bar::new(containers as u64));
        total.set_style(style(TOTAL).progress_chars(BLOCKS));
        total.set_prefix(padded("all"));
        let lines = Arc::new(Lines { all, total, running: Mutex::default(), judged: AtomicU64::new(0) });
        let (stop, stopped) = mpsc::channel();
        let drawn = Arc::clone(&lines);
        let draw = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                drawn.draw();
            }
        };
        // If the thread cannot be started, the run continues without the lines.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(draw).ok();
        Self { lines, stop: Some(stop), thread }
    }

    /// Adds the line of a container.
    pub fn begin(&self, name: &str, progress: Arc<Progress>) -> ProgressLine {
        let bar = self.lines.all.insert_before(&self.lines.total, Bar::no_length());
        bar.set_style(style(LISTING));
        bar.set_prefix(padded(name));
        self.lines.running().push((bar.clone(), Arc::clone(&progress)));
        ProgressLine { lines: Arc::clone(&self.lines), bar, progress }
    }

    /// Prints a message above all lines.
    pub fn say(&self, line: &str) {
        // A failure of the lines must not affect the run.
        let _ = self.lines.all.println(shown(&redact(line)));
    }
}

impl Lines {
    fn running(&self) -> MutexGuard<'_, Vec<(Bar, Arc<Progress>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) {
        let mut judged = self.judged.load(Ordering::Relaxed);
        for (bar, progress) in self.running().iter() {
            let now = progress.snapshot();
            judged += now.judged;
            if now.all_listed && bar.length().is_none() {
                bar.set_length(now.listed);
                bar.set_style(style(COUNTED).progress_chars(BLOCKS));
            }
            bar.set_position(now.judged);
            bar.set_message(message(&now));
            bar.tick();
        }
        let rate = judged as f64 / self.total.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        self.total.set_message(format!("{} assets · {rate:.0}/s", number(judged)));
        self.total.tick();
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        // Remove it first, so that it is not drawn again.
        self.lines.running().retain(|(_, progress)| !Arc::ptr_eq(progress, &self.progress));
        self.bar.finish_and_clear();
        self.lines.all.remove(&self.bar);
        self.lines.judged.fetch_add(self.progress.snapshot().judged, Ordering::Relaxed);
        self.lines.total.inc(1);
    }
}

impl Drop for ProgressBars {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A failure of the lines must not affect the run.
            let _ = thread.join();
        }
        self.lines.total.finish_and_clear();
    }
}

/// What was found so far; empty if there is nothing to show.
fn message(now: &Snapshot) -> String {
    let mut parts = Vec::new();
    if !now.all_listed {
        parts.push(match now.listed {
            0 => "listing".to_owned(),
            listed => format!("{} listed", number(listed)),
        });
    }
    if now.retries > 0 {
        parts.push(counted(now.retries, "retry", "retries"));
    }
    for (count, what) in [(now.rejected, "rejected"), (now.unknown, "unknown")] {
        if count > 0 {
            parts.push(format!("{} {what}", number(count)));
        }
    }
    if parts.is_empty() { String::new() } else { format!(" · {}", parts.join(", ")) }
}

/// Pads or cuts a name to exactly [`NAME`] columns.
fn padded(name: &str) -> String {
    let name = cut(&shown(name), NAME);
    let pad = NAME - columns(&name);
    format!("{name}{}", " ".repeat(pad))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_columns() {
        for name in ["@cams", "media/cameras/2026/11/01/front-door", "東京駅東京駅東京駅東京駅東京駅"]
        {
            assert_eq!(columns(&padded(name)), NAME, "{name}");
        }
    }

    #[test]
    fn a_message_says_what_there_is() {
        let mut now = Progress::default().snapshot();
        assert_eq!(message(&now), " · listing");
        now.listed = 5_000;
        now.retries = 1;
        assert_eq!(message(&now), " · 5,000 listed, 1 retry");
        (now.all_listed, now.rejected, now.unknown) = (true, 1_234, 2);
        assert_eq!(message(&now), " · 1 retry, 1,234 rejected, 2 unknown");
        (now.retries, now.rejected, now.unknown) = (0, 0, 0);
        assert_eq!(message(&now), "");
    }
}
