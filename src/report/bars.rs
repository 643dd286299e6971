//! The progress of several containers on stderr: on a terminal, a bar for each and one for all; elsewhere, lines for
//! all.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar as Bar, ProgressDrawTarget};

use super::bar::{LINE, PAUSE, TICK, say, template, width};
use super::layout::{columns, cut, number, shown};
use super::meter::{Meter, ProgressStyle, duration, line, of_run};
use crate::model::secret::redact;
use crate::run::Progress;

/// The width of container names, in columns.
const NAME: usize = 20;
/// The width of bars, with their frame and the space after it.
const BAR: usize = 11;

/// The template while the number of blobs is not known.
const OPEN: &str = "{prefix}  {spinner} {msg}";
/// The template once the number of blobs is known, and of the line for all containers.
const COUNTED: &str = "{prefix}  [{bar:8}] {msg}";

/// Shows the runs' counters from a separate thread. Bars disappear when this is dropped.
#[derive(Debug)]
pub struct ProgressBars {
    lines: Arc<Lines>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Lines {
    style: ProgressStyle,
    all: MultiProgress,
    total: Bar,
    /// The containers, and when the first one began.
    containers: u64,
    begun: Instant,
    running: Mutex<Vec<Running>>,
    meter: Mutex<Meter>,
    /// Blobs judged in containers that are finished.
    judged: AtomicU64,
}

#[derive(Debug)]
struct Running {
    bar: Bar,
    progress: Arc<Progress>,
    meter: Meter,
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
    pub fn show(style: ProgressStyle, containers: usize) -> Self {
        let (containers, begun) = (containers as u64, Instant::now());
        let target = match style {
            ProgressStyle::Bar => ProgressDrawTarget::stderr(),
            ProgressStyle::Lines => ProgressDrawTarget::hidden(),
        };
        let all = MultiProgress::with_draw_target(target);
        let total = all.add(Bar::new(containers));
        total.set_style(template(COUNTED));
        total.set_prefix(padded("all"));
        let (running, meter) = (Mutex::default(), Mutex::new(Meter::new(begun)));
        let judged = AtomicU64::new(0);
        let lines = Arc::new(Lines { style, all, total, containers, begun, running, meter, judged });
        let (stop, stopped) = mpsc::channel();
        let shown = Arc::clone(&lines);
        let show = move || {
            let pause = if style == ProgressStyle::Bar { TICK } else { PAUSE };
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                shown.show();
            }
        };
        // If the thread cannot be started, the run continues without the lines.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        Self { lines, stop: Some(stop), thread }
    }

    /// Adds the line of a container.
    pub fn begin(&self, name: &str, progress: Arc<Progress>) -> ProgressLine {
        let bar = self.lines.all.insert_before(&self.lines.total, Bar::no_length());
        bar.set_style(template(OPEN));
        bar.set_prefix(padded(name));
        let (meter, of_line) = (Meter::new(Instant::now()), Arc::clone(&progress));
        lock(&self.lines.running).push(Running { bar: bar.clone(), progress, meter });
        ProgressLine { lines: Arc::clone(&self.lines), bar, progress: of_line }
    }

    /// Whether there are bars, above which a message must be printed.
    pub fn are_drawn(&self) -> bool {
        self.lines.style == ProgressStyle::Bar
    }

    /// Prints a message above all bars.
    pub fn say(&self, line: &str) {
        // A failure of the progress must not affect the run.
        let _ = self.lines.all.println(shown(&redact(line)));
    }
}

impl Lines {
    fn show(&self) {
        let mut judged = self.judged.load(Ordering::Relaxed);
        let room = width().saturating_sub(NAME + 2 + BAR);
        for Running { bar, progress, meter } in lock(&self.running).iter_mut() {
            let now = progress.snapshot();
            judged += now.judged;
            meter.update(now.judged, Instant::now());
            if now.all_listed && bar.length().is_none() {
                bar.set_length(now.listed);
                bar.set_style(template(COUNTED));
            }
            bar.set_position(now.judged);
            bar.set_message(line(&of_run(meter, &now), room));
            bar.tick();
        }
        let parts = self.parts(judged);
        match self.style {
            ProgressStyle::Lines => say(&mut io::stderr(), &line(&parts, LINE)),
            ProgressStyle::Bar => {
                self.total.set_message(line(&parts, room));
                self.total.tick();
            }
        }
    }

    /// The parts about all containers.
    fn parts(&self, judged: u64) -> Vec<String> {
        let mut meter = lock(&self.meter);
        meter.update(judged, Instant::now());
        let (done, elapsed) = (self.total.position(), self.begun.elapsed());
        let mut parts = vec![format!("{} of {} containers", number(done), number(self.containers))];
        // Nobody knows how many blobs the others have: they may be as many.
        if done > 0 && done < self.containers {
            let left = elapsed.mul_f64((self.containers - done) as f64 / done as f64);
            parts.push(format!("about {} left", duration(left)));
        }
        parts.extend([meter.rate_text(), format!("{} assets", number(judged)), duration(elapsed)]);
        parts
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        // Remove it first, so that it is not drawn again.
        lock(&self.lines.running).retain(|running| !Arc::ptr_eq(&running.progress, &self.progress));
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

/// Locks, even after a panic elsewhere: what is shown matters to nobody then.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
}
