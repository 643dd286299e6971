//! The progress bar, on stderr and only on a terminal.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar as Bar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::layout::bytes;
use crate::run::Progress;

/// Time between two looks at the counters.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// What a bar is made of, from full to empty.
pub(super) const BLOCKS: &str = "█▉▊▋▌▍▎▏ ";

/// While the total is not known.
const LISTING: &str = "{spinner} {human_pos} judged · {rate} · {wide_msg}";
/// While nothing but listing goes on.
const LISTED: &str = "{spinner} {human_pos} listed · {rate}";
/// Once it is.
const COUNTED: &str = "{spinner} [{bar:24}] {human_pos} of {human_len} · {rate} · {eta} left · {wide_msg}";

/// A bar that follows a run's counters from a thread of its own, and goes away when it is dropped.
#[derive(Debug)]
pub struct ProgressBar {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressBar {
    /// Shows on stderr how far a listing is that nothing else follows.
    pub fn show_listing(progress: Arc<Progress>) -> Self {
        Self::draw(move |stopped| {
            let bar = Bar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style(LISTED));
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(progress.snapshot().listed);
                bar.tick();
            }
            bar.finish_and_clear();
        })
    }

    /// Shows a bar on stderr.
    pub fn show(progress: Arc<Progress>) -> Self {
        Self::draw(move |stopped| {
            let bar = Bar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style(LISTING));
            let mut total_known = false;
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let now = progress.snapshot();
                if now.all_listed && !total_known {
                    total_known = true;
                    bar.set_length(now.listed);
                    bar.set_style(style(COUNTED).progress_chars(BLOCKS));
                }
                bar.set_position(now.judged);
                let found = format!(
                    "{} rejected, {} unknown, {} read",
                    now.rejected,
                    now.unknown,
                    bytes(now.bytes_read)
                );
                bar.set_message(match total_known {
                    true => found,
                    false => format!("{} listed so far · {found}", now.listed),
                });
                bar.tick();
            }
            bar.finish_and_clear();
        })
    }

    /// Draws on a thread of its own until it is stopped.
    fn draw(draw: impl FnOnce(Receiver<()>) + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel();
        // Without a thread there is no bar; the run goes on.
        let thread =
            std::thread::Builder::new().name("progress".to_owned()).spawn(move || draw(stopped)).ok();
        Self { stop: Some(stop), thread }
    }
}

pub(super) fn style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        // A run goes on without its bar.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate)
}

impl Drop for ProgressBar {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A run goes on without its bar.
            let _ = thread.join();
        }
    }
}
