//! The progress bar, on stderr and only if it is a terminal.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar as Bar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::layout::bytes;
use crate::run::Progress;

/// The time between two updates.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// The characters of a bar, from full to empty.
pub(super) const BLOCKS: &str = "█▉▊▋▌▍▎▏ ";

/// The template while the total is not known.
const LISTING: &str = "{spinner} {human_pos} judged · {rate} · {wide_msg}";
/// The template if there is nothing to do but list.
const LISTED: &str = "{spinner} {human_pos} listed · {rate}";
/// The template once the total is known.
const COUNTED: &str = "{spinner} [{bar:24}] {human_pos} of {human_len} · {rate} · {eta} left · {wide_msg}";

/// A bar that shows a run's counters from a separate thread, and disappears when dropped.
#[derive(Debug)]
pub struct ProgressBar {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressBar {
    /// Shows the progress of a listing on stderr, without reads.
    pub(crate) fn show_listing(progress: Arc<Progress>) -> Self {
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

    /// Shows the progress of a run on stderr.
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

    /// Draws on a separate thread until stopped.
    fn draw(draw: impl FnOnce(Receiver<()>) + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel();
        // If the thread cannot be started, the run continues without a bar.
        let thread =
            std::thread::Builder::new().name("progress".to_owned()).spawn(move || draw(stopped)).ok();
        Self { stop: Some(stop), thread }
    }
}

pub(super) fn style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, out: &mut dyn Write| {
        // A failure of the bar must not affect the run.
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
            // A failure of the bar must not affect the run.
            let _ = thread.join();
        }
    }
}
