//! What the system reports about the machine and this process. Only on Linux; elsewhere, nothing is reported.

use std::fs;

/// The CPU time of all cores at one moment, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Busy {
    idle: u64,
    total: u64,
}

impl Busy {
    /// The current state (`/proc/stat`, proc(5)).
    pub(super) fn now() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// user, nice, system, idle, iowait, irq, softirq, steal; the fields after that are part of the first two.
    fn of(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|tick| tick.parse().ok()).collect();
        let idle = ticks.get(3..5)?.iter().sum();
        Some(Self { idle, total: ticks.iter().sum() })
    }

    /// The share of the time since then that the cores were busy, 0 to 1.
    pub(super) fn since(self) -> Option<f64> {
        let now = Self::now()?;
        let total = now.total.checked_sub(self.total).filter(|total| *total > 0)?;
        let idle = now.idle.saturating_sub(self.idle);
        Some(1.0 - (idle as f64 / total as f64).min(1.0))
    }
}

/// The peak memory of this process, in bytes (`VmHWM`, proc(5)).
pub(super) fn peak_rss() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cores_share_a_clock() {
        let busy = Busy::of("cpu  10 0 20 60 10 0 0 0 5 5\ncpu0 1 2 3 4\n").expect("a line");
        assert_eq!((busy.idle, busy.total), (70, 100));
        assert!(Busy::of("cpu0 1 2\n").is_none() && Busy::of("cpu  1\n").is_none());
    }
}
