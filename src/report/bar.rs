//! The progress of a run on stderr: a bar on a terminal, and lines elsewhere.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar as Bar, ProgressDrawTarget, ProgressStyle as Template};

use super::meter::{Meter, ProgressStyle, line, of_fixes, of_listing, of_run};
use crate::run::{Progress, Snapshot};

/// The time between two updates of a bar.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// The time between two lines.
pub(super) const PAUSE: Duration = Duration::from_secs(10);
/// The most columns of a line, which may be cut in a log.
pub(super) const LINE: usize = 120;

/// The characters of a bar, from full to empty.
pub(super) const BLOCKS: &str = "█▉▊▋▌▍▎▏ ";
/// The least columns of a bar; with fewer it shows nothing.
const LEAST: usize = 10;

/// The template while the total is not known.
const OPEN: &str = "{spinner} {msg}";
/// The template once the total is known.
const COUNTED: &str = "{spinner} [{wide_bar}] {msg}";
/// The columns of the latter besides the bar and the message.
const FRAME: usize = 5;

/// Shows a run's counters from a separate thread. A bar disappears when this is dropped.
#[derive(Debug)]
pub struct ProgressBar {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is counted, and the parts of a line about it.
#[derive(Clone, Copy)]
struct Shown {
    position: fn(&Snapshot) -> u64,
    parts: fn(&Meter, &Snapshot) -> Vec<String>,
    /// Whether there is a total once everything is listed.
    has_total: bool,
}

const RUN: Shown = Shown { position: |now| now.judged, parts: of_run, has_total: true };
const FIXES: Shown = Shown { position: |now| now.judged, parts: of_fixes, has_total: true };
const LISTING: Shown = Shown { position: |now| now.listed, parts: of_listing, has_total: false };

impl ProgressBar {
    /// Shows the progress of a listing, without reads.
    pub(crate) fn show_listing(style: ProgressStyle, progress: Arc<Progress>) -> Self {
        Self::start(style, progress, LISTING)
    }

    /// Shows the progress of a run.
    pub fn show(style: ProgressStyle, progress: Arc<Progress>) -> Self {
        Self::start(style, progress, RUN)
    }

    /// Shows the progress of fixes.
    pub(crate) fn show_fixes(style: ProgressStyle, progress: Arc<Progress>) -> Self {
        Self::start(style, progress, FIXES)
    }

    fn start(style: ProgressStyle, progress: Arc<Progress>, shown: Shown) -> Self {
        let (stop, stopped) = mpsc::channel();
        let show = move || match style {
            ProgressStyle::Bar => draw(&progress, shown, &stopped),
            ProgressStyle::Lines => print(&progress, shown, &stopped, PAUSE, &mut io::stderr()),
        };
        // If the thread cannot be started, the run continues without a bar.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        Self { stop: Some(stop), thread }
    }
}

/// Draws a bar until stopped.
fn draw(progress: &Progress, shown: Shown, stopped: &Receiver<()>) {
    let bar = Bar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(template(OPEN));
    let mut meter = Meter::new(Instant::now());
    while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let now = progress.snapshot();
        let position = (shown.position)(&now);
        meter.update(position, Instant::now());
        if shown.has_total && now.all_listed && bar.length().is_none() {
            bar.set_length(now.listed);
            bar.set_style(template(COUNTED));
        }
        let used = if bar.length().is_some() { FRAME + LEAST } else { FRAME };
        bar.set_position(position);
        bar.set_message(line(&(shown.parts)(&meter, &now), width().saturating_sub(used)));
        bar.tick();
    }
    bar.finish_and_clear();
}

/// Prints a line at intervals of `pause` until stopped.
fn print(progress: &Progress, shown: Shown, stopped: &Receiver<()>, pause: Duration, out: &mut impl Write) {
    let mut meter = Meter::new(Instant::now());
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let now = progress.snapshot();
        meter.update((shown.position)(&now), Instant::now());
        say(out, &line(&(shown.parts)(&meter, &now), LINE));
    }
}

/// Prints a line of progress. It has no names, so nothing in it is a command for a terminal or a CI runner.
pub(super) fn say(out: &mut impl Write, line: &str) {
    // A failure of the progress must not affect the run.
    let _ = writeln!(out, "progress: {line}");
}

pub(super) fn template(template: &str) -> Template {
    Template::with_template(template).unwrap_or_else(|_| Template::default_bar()).progress_chars(BLOCKS)
}

/// The columns of the terminal.
pub(super) fn width() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0.into())
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A failure of the bar must not affect the run.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_printed_until_the_end() {
        let (progress, (stop, stopped)) = (Progress::default(), mpsc::channel());
        progress.add_listed(1_234);
        let mut out = Vec::new();
        std::thread::scope(|scope| {
            let stop = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                drop(stop);
            });
            print(&progress, RUN, &stopped, Duration::from_millis(5), &mut out);
            stop.join().expect("it ends");
        });
        let text = String::from_utf8(out).expect("text");
        assert!(text.lines().count() > 0);
        for line in text.lines() {
            assert_eq!(line, "progress: 0 judged · 1,234 listed so far · 0.0/s · 0 B read");
        }
    }
}
