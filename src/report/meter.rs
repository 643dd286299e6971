//! What a progress bar or a line of progress says: counts, rates and the time left.

use std::time::{Duration, Instant};

use super::layout::{bytes, columns, counted, number};
use crate::run::Snapshot;

/// How far back a rate looks: long enough to be calm, and short enough to forget what was known without reading.
const MEMORY: Duration = Duration::from_secs(15);

/// What separates the parts of a line.
const BETWEEN: &str = " · ";

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressStyle {
    /// As a bar that is drawn again and again on a terminal.
    Bar,
    /// As a line from time to time.
    Lines,
}

/// The rate of a counter, as a weighted mean in which the past fades.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    at: Instant,
    count: u64,
    sum: f64,
    weight: f64,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now, count: 0, sum: 0.0, weight: 0.0 }
    }

    /// Takes the counter's value at this time.
    pub(super) fn update(&mut self, count: u64, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let kept = (-seconds / MEMORY.as_secs_f64()).exp();
        let rate = count.saturating_sub(self.count) as f64 / seconds;
        self.sum = self.sum * kept + rate * (1.0 - kept);
        self.weight = self.weight * kept + (1.0 - kept);
        (self.at, self.count) = (now, count);
    }

    /// Per second.
    pub(super) fn rate(&self) -> f64 {
        if self.weight > 0.0 { self.sum / self.weight } else { 0.0 }
    }

    /// `1,234/s`.
    pub(super) fn rate_text(&self) -> String {
        rate(self.rate())
    }

    /// `2m 05s left`; `None` as long as that cannot be known.
    pub(super) fn left(&self, total: u64) -> Option<String> {
        let left = total.saturating_sub(self.count) as f64 / self.rate();
        let left = Duration::try_from_secs_f64(left).ok().filter(|_| self.rate() > 0.0)?;
        Some(format!("{} left", duration(left)))
    }
}

/// The parts about a run, the most important one first.
pub(super) fn of_run(meter: &Meter, now: &Snapshot) -> Vec<String> {
    let mut parts = match now.all_listed {
        true => vec![format!("{} of {}", number(now.judged), number(now.listed))],
        false => {
            vec![format!("{} judged", number(now.judged)), format!("{} listed so far", number(now.listed))]
        }
    };
    parts.extend(meter.left(now.listed).filter(|_| now.all_listed && now.judged < now.listed));
    parts.push(meter.rate_text());
    for (count, what) in [(now.rejected, "rejected"), (now.unknown, "unknown")] {
        if count > 0 {
            parts.push(format!("{} {what}", number(count)));
        }
    }
    if now.retries > 0 {
        parts.push(counted(now.retries, "retry", "retries"));
    }
    parts.push(format!("{} read", bytes(now.bytes_read)));
    parts
}

/// The parts about fixes.
pub(super) fn of_fixes(meter: &Meter, now: &Snapshot) -> Vec<String> {
    let mut parts = vec![format!("{} of {}", number(now.judged), number(now.listed))];
    parts.extend(meter.left(now.listed).filter(|_| now.judged < now.listed));
    parts.push(meter.rate_text());
    let left = now.rejected + now.unknown;
    if left > 0 {
        parts.push(format!("{} left as they are", number(left)));
    }
    parts.push(format!("{} written", bytes(now.bytes_read)));
    parts
}

/// The parts about a listing.
pub(super) fn of_listing(meter: &Meter, now: &Snapshot) -> Vec<String> {
    vec![format!("{} listed", number(now.listed)), meter.rate_text()]
}

/// As many of the parts as fit into `room` columns; none of them is cut.
pub(super) fn line(parts: &[String], room: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let between = if line.is_empty() { "" } else { BETWEEN };
        if columns(&line) + columns(between) + columns(part) > room {
            break;
        }
        line += between;
        line += part;
    }
    line
}

/// `1,234/s`, and `0.3/s` below ten.
pub(crate) fn rate(rate: f64) -> String {
    match rate {
        rate if rate < 9.95 => format!("{rate:.1}/s"),
        rate => format!("{}/s", number(rate.round() as u64)),
    }
}

/// `42s`, `2m 05s`, `3h 07m` or `4d 02h`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m {:02}s", seconds % 60),
        3_600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{}d {:02}h", number(days), hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Progress;

    #[test]
    fn a_rate_forgets_what_was_fast() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!((meter.rate_text().as_str(), meter.left(10)), ("0.0/s", None));
        meter.update(5_000_000, after(1));
        assert_eq!(meter.rate_text(), "5,000,000/s");
        for second in 2..200 {
            meter.update(5_000_000 + second * 100, after(second));
        }
        assert!((99.0..110.0).contains(&meter.rate()), "{}", meter.rate());
        assert_eq!(meter.left(5_000_000 + 199 * 100 + 12_000).expect("it is known")[..3], *"1m ");
    }

    #[test]
    fn times_and_rates_have_their_units() {
        let times = [0, 59, 60, 3_599, 3_600, 86_400 * 4 + 7_300].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(times, ["0s", "59s", "1m 00s", "59m 59s", "1h 00m", "4d 02h"]);
        assert_eq!([0.26, 9.96, 12_345.6].map(rate), ["0.3/s", "10/s", "12,346/s"]);
    }

    #[test]
    fn a_line_leaves_out_what_does_not_fit() {
        let mut meter = Meter::new(Instant::now());
        meter.update(1_000, Instant::now() + Duration::from_secs(1));
        let mut now = Progress::default().snapshot();
        (now.listed, now.judged, now.rejected, now.bytes_read) = (61_000, 1_000, 12, 1 << 20);
        let whole = line(&of_run(&meter, &now), 200);
        assert_eq!(whole, "1,000 judged · 61,000 listed so far · 1,000/s · 12 rejected · 1.0 MiB read");
        (now.all_listed, now.retries) = (true, 1);
        let parts = of_run(&meter, &now);
        assert_eq!(
            line(&parts, 200),
            "1,000 of 61,000 · 1m 00s left · 1,000/s · 12 rejected · 1 retry · 1.0 MiB read"
        );
        for room in 0..90 {
            let line = line(&parts, room);
            assert!(
                columns(&line) <= room
                    && line.split(BETWEEN).all(|part| line.is_empty() || parts.contains(&part.into()))
            );
        }
        now.judged = now.listed;
        assert!(!line(&of_run(&meter, &now), 200).contains("left"));
    }
}
