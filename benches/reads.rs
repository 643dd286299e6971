//! What reading costs: requests and bytes for one file, and allocations while it is examined, as Markdown tables.
//!
//! `cargo bench --bench reads`, with `PRESYNC_CORPUS` for a corpus of one's own.

#![expect(clippy::expect_used, reason = "a bench that cannot go on says what it expected")]
#![expect(clippy::print_stdout, reason = "the tables are what it is for")]

mod support;

use std::alloc::System;
use std::hint::black_box;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use support::{File, corpus, fragmented_movie, movie};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let mut groups: Vec<_> = corpus().into_iter().map(|group| (group.format, group.files)).collect();
    groups.push(("mp4, 1,000,000 samples", vec![File::new("large.mp4", movie(1_000_000, false))]));
    groups.push(("… and an edit list", vec![File::new("edited.mp4", movie(1_000_000, true))]));
    groups.push(("mp4, 100 fragments", vec![File::new("fragments.mp4", fragmented_movie(100))]));
    groups.retain(|(_, files)| !files.is_empty());

    println!(
        "| format | files | requests: mean | p50 | p90 | p99 | max | KiB: mean | p50 | p90 | p99 | max |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (format, files) in &groups {
        let reads: Vec<_> = files.iter().map(reads).collect();
        let requests = distribution(reads.iter().map(|(requests, _)| *requests as f64).collect(), 0);
        let kib = distribution(reads.iter().map(|(_, bytes)| *bytes as f64 / 1024.0).collect(), 1);
        println!("| {format} | {} | {requests} | {kib} |", files.len());
    }

    println!();
    println!("| format | files | allocations: mean | p50 | p90 | p99 | max |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (format, files) in &groups {
        let counts = files.iter().map(|file| allocations(file) as f64).collect();
        println!("| {format} | {} | {} |", files.len(), distribution(counts, 0));
    }
}

/// Requests and bytes.
fn reads(file: &File) -> (u64, u64) {
    let (mut requests, mut len) = (0, 0);
    file.probe(|bytes| {
        requests += 1;
        len += bytes.len() as u64;
    });
    (requests, len)
}

/// Allocations from the probe's making to its answer, answers of reads not included.
fn allocations(file: &File) -> usize {
    let region = Region::new(ALLOCATOR);
    black_box(file.probe(|_| {}));
    let change = region.change();
    change.allocations + change.reallocations
}

/// Mean, p50, p90, p99 (nearest rank) and maximum, as table cells with so many decimals but for the mean.
fn distribution(mut values: Vec<f64>, decimals: usize) -> String {
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let rank = |percent: usize| values[(values.len() * percent).div_ceil(100) - 1];
    let ranks = [50, 90, 99, 100].map(|percent| format!("{:.decimals$}", rank(percent)));
    format!("{mean:.2} | {}", ranks.join(" | "))
}
