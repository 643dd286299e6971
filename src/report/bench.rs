//! The report of `presync bench`.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::TextOrJson;
use super::figures::{Benchmark, Bound, Estimate, Floor, Measured, Stages, Work, fastest};
use super::layout::{bytes, counted, cut, number, shown};
use super::record::{FORMAT_VERSION, ToolRecord};
use super::style::{BOLD, DIM, GOOD, UNKNOWN};

/// The maximum width of the tables.
const WIDTH: usize = 100;
/// The width of the longest bar, in columns.
const BAR: usize = 24;

/// Writes the report to `out`. `width` is the maximum number of columns for text.
///
/// # Errors
/// Returns an error if the report cannot be written.
pub fn write(format: TextOrJson, benchmark: &Benchmark, out: impl Write, width: usize) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match format {
        TextOrJson::Text => text(&mut out, benchmark, width.min(WIDTH))?,
        TextOrJson::Json => {
            let document =
                BenchDocument { format_version: FORMAT_VERSION, tool: ToolRecord::this(), benchmark };
            serde_json::to_writer_pretty(crate::report::Visible::json(&mut out), &document)?;
            writeln!(out)?;
        }
    }
    out.flush()
}

#[derive(Serialize)]
struct BenchDocument<'a> {
    format_version: &'static str,
    tool: ToolRecord,
    #[serde(flatten)]
    benchmark: &'a Benchmark,
}

fn text(out: &mut impl Write, benchmark: &Benchmark, width: usize) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "{BOLD}presync bench{BOLD:#} {DIM}{version}{DIM:#}\n")?;
    let cores = counted(benchmark.cores as u64, "core", "cores");
    let shared = if benchmark.shared_machine { ", which client and server share" } else { "" };
    let blobs = benchmark.by_concurrency.first().map_or(0, |run| run.blobs);
    for (label, value) in [
        ("source", shown(&benchmark.source)),
        ("machine", format!("{cores}{shared}")),
        ("blobs", number(blobs)),
    ] {
        writeln!(out, "  {DIM}{label:<10}{DIM:#}  {}", cut(&value, width.saturating_sub(14)))?;
    }
    writeln!(out)?;

    let best = fastest(&benchmark.by_concurrency);
    let most = benchmark.by_concurrency.iter().chain(&benchmark.by_first_read);
    let most = most.map(Measured::rate).fold(0.0, f64::max);
    let first = if benchmark.recommended_concurrency.is_none() { "run" } else { "in flight" };
    table(out, first, &benchmark.by_concurrency, most, width, |run| match (run.concurrency, run.latency) {
        (Some(concurrency), _) => number(concurrency as u64),
        (None, Some(_)) => "adaptive".to_owned(),
        (None, None) => "whole".to_owned(),
    })?;
    if !benchmark.by_first_read.is_empty() {
        table(out, "first read", &benchmark.by_first_read, most, width, |run| {
            run.first_read.map_or_else(|| "by name".to_owned(), bytes)
        })?;
    }
    if let Some(best) = best {
        stages(out, best)?;
    }
    floors(out, &benchmark.floors)?;
    estimates(out, benchmark)?;

    let advice = match benchmark.recommended_concurrency {
        Some(concurrency) => format!(" --concurrency {concurrency} is enough."),
        None => String::new(),
    };
    writeln!(out, "{GOOD}{}.{GOOD:#}{advice}", bound(benchmark.bound, benchmark.shared_machine))?;
    let unknown: u64 = benchmark.by_concurrency.iter().map(|run| run.unknown).sum();
    match unknown {
        0 => Ok(()),
        unknown => {
            let blobs = counted(unknown, "blob", "blobs");
            writeln!(out, "{UNKNOWN}{blobs} could not be judged, over all runs.{UNKNOWN:#}")
        }
    }
}

/// The columns of a table: headings and widths.
const COLUMNS: [(&str, usize); 7] = [
    ("blobs/s", 9),
    ("CPU/blob", 9),
    ("reads", 6),
    ("read/blob", 9),
    ("p50 / p90 / p99 ms", 22),
    ("peak", 9),
    ("retries", 8),
];
/// The width of the first column.
const NAME: usize = 10;

fn table(
    out: &mut impl Write,
    first: &str,
    runs: &[Measured],
    most: f64,
    width: usize,
    name: impl Fn(&Measured) -> String,
) -> io::Result<()> {
    // Columns that do not fit are dropped from the right. JSON has all of them.
    let mut left = width.saturating_sub(NAME);
    let fitting = COLUMNS.iter().take_while(|(_, wide)| {
        let fits = *wide < left;
        left = left.saturating_sub(wide + 1);
        fits
    });
    let columns: Vec<_> = fitting.collect();
    write!(out, "{BOLD}{first:<NAME$}")?;
    for (heading, wide) in &columns {
        write!(out, " {heading:>wide$}")?;
    }
    writeln!(out, "{BOLD:#}")?;
    for run in runs {
        let latency = run.latency.map_or_else(
            || "-".to_owned(),
            |latency| format!("{:.1} / {:.1} / {:.1}", latency.p50_ms, latency.p90_ms, latency.p99_ms),
        );
        let cells = [
            number(run.rate() as u64),
            format!("{:.1} µs", run.per_blob(run.cpu_s) * 1e6),
            format!("{:.2}", run.per_blob(run.requests as f64)),
            bytes(run.per_blob(run.bytes as f64) as u64),
            latency,
            run.peak_rss.map_or_else(|| "-".to_owned(), bytes),
            number(run.retries),
        ];
        write!(out, "{:<NAME$}", name(run))?;
        for (cell, (_, wide)) in cells.iter().zip(&columns) {
            write!(out, " {cell:>wide$}")?;
        }
        match left > BAR + 1 {
            true => writeln!(out, "  {DIM}{}{DIM:#}", bar(run.rate(), most))?,
            false => writeln!(out)?,
        }
    }
    writeln!(out)
}

/// A bar whose length is proportional to the value.
fn bar(value: f64, most: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (value / most.max(f64::MIN_POSITIVE) * (BAR * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

fn stages(out: &mut impl Write, run: &Measured) -> io::Result<()> {
    writeln!(out, "{BOLD}CPU of the fastest run, by stage{BOLD:#}")?;
    let Stages { list, fetch, probe, judge, write } = run.stages;
    let stages = match run.latency {
        Some(_) => {
            vec![("list", list), ("fetch", fetch), ("probe", probe), ("judge", judge), ("write", write)]
        }
        // For a folder, reading, probing and judging are not measured separately.
        None => vec![("list", list), ("examine", fetch + probe + judge), ("write", write)],
    };
    for (name, time) in stages {
        let micros = run.per_blob(time) * 1e6;
        writeln!(out, "  {name:<8} {micros:>6.1} µs per blob  {DIM}{}{DIM:#}", bar(time, run.cpu_s))?;
    }
    writeln!(out)
}

fn floors(out: &mut impl Write, floors: &[Floor]) -> io::Result<()> {
    if floors.is_empty() {
        return Ok(());
    }
    writeln!(out, "{BOLD}The lower bound{BOLD:#}")?;
    for floor in floors {
        let (bare, ours) = match floor.work {
            Work::Gets => ("bare hyper, first reads only", "the whole run"),
            Work::Pages => ("bare quick-xml, events of the pages", "parsing pages"),
            Work::Scan => ("adding up the bytes of first reads", "the probe"),
            Work::Files => ("open, fstat, read, close", "the whole run"),
        };
        let micros = |seconds: f64| seconds / floor.count.max(1) as f64 * 1e6;
        let ratio = floor.ratio();
        writeln!(
            out,
            "  {bare:<40} {:>6.2} µs  {ours}: {:.2} µs, {BOLD}{ratio:.2} ×{BOLD:#}",
            micros(floor.cpu_s),
            micros(floor.ours_cpu_s),
        )?;
    }
    writeln!(out)
}

fn estimates(out: &mut impl Write, benchmark: &Benchmark) -> io::Result<()> {
    if benchmark.estimates.is_empty() {
        return Ok(());
    }
    let is_folder = benchmark.recommended_concurrency.is_none();
    write!(out, "{BOLD}{:<21} {:>12}", "Extrapolated", "as measured")?;
    if !is_folder {
        write!(out, " {:>14} {:>15} {:>10} {:>10}", "at the limit", "requests", "bytes", "price")?;
    }
    writeln!(out, "{BOLD:#}")?;
    for Estimate { blobs, requests, bytes: read, hours_measured, hours_at_limit, cost } in
        &benchmark.estimates
    {
        write!(out, "  {:>13} blobs {:>12}", number(*blobs), time(*hours_measured))?;
        if !is_folder {
            let cost = cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.2}"));
            let (limit, requests, read) = (time(*hours_at_limit), number(*requests), bytes(*read));
            write!(out, " {limit:>14} {requests:>15} {read:>10} {cost:>10}")?;
        }
        writeln!(out)?;
    }
    if !is_folder {
        let limit = number(benchmark.assumptions.account_limit as u64);
        writeln!(out, "{DIM}The limit is {limit} requests per second for each storage account.{DIM:#}")?;
    }
    writeln!(out)
}

fn time(hours: f64) -> String {
    match hours * 3600.0 {
        seconds if seconds < 90.0 => format!("{seconds:.0} s"),
        seconds if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{hours:.1} h"),
    }
}

fn bound(bound: Bound, shared: bool) -> &'static str {
    match (bound, shared) {
        (Bound::Cpu, false) => "CPU-bound: the cores are busy",
        (Bound::Cpu, true) => "CPU-bound: client and server keep the cores busy",
        (Bound::ServiceLimit, _) => "Limited by the service, which throttles more requests",
        (Bound::Bandwidth, _) => "Bandwidth-bound: longer reads yield fewer blobs but as many bytes",
        (Bound::Latency, _) => "Latency-bound: more requests in flight would help",
        (Bound::Service, _) => "Limited by the service: more requests in flight do not help",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        assert_eq!(bar(1.0, 1.0), "█".repeat(BAR));
        assert_eq!(bar(0.5, 1.0).chars().count(), BAR / 2);
        assert_eq!((bar(0.0, 1.0), bar(0.0, 0.0)), (String::new(), String::new()));
    }
}
