//! What is on the platform, compared with the accepted assets, as text and rows.

use std::io::{self, Write};

use super::layout::{counted, counted_row, number, shown};
use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::model::{Cost, PeriodKind, SyncTotals};
use crate::rules::Profile;

/// Writes the comparison, `width` columns wide. Nothing, if nothing is on the platform as far as is known.
pub(super) fn text(
    out: &mut impl Write,
    synced: &SyncTotals,
    profile: &Profile,
    width: usize,
) -> io::Result<()> {
    let rows = rows(synced, profile);
    if rows.is_empty() {
        return Ok(());
    }
    let sources = shown(&synced.sources.join(", "));
    writeln!(out, "{BOLD}On the platform{BOLD:#} {DIM}as synced from {sources}{DIM:#}")?;
    let digits = rows.iter().map(|row| number(row.1).len()).max().unwrap_or(0).max(6);
    for ((label, count, note), style) in rows.iter().zip([GOOD, UNKNOWN, DIM, DIM, ERROR]) {
        counted_row(out, (label, *count, style, note), digits, width)?;
    }
    writeln!(out, "  {DIM}a sync uses {}{DIM:#}\n", amount(synced.charge, profile))
}

/// The comparison as labels, counts and notes. Nothing, if nothing is on the platform as far as is known.
pub(super) fn rows(synced: &SyncTotals, profile: &Profile) -> Vec<(&'static str, u64, String)> {
    let SyncTotals { sources, new, changed, unchanged, kept, gone, returned, .. } = synced;
    if sources.is_empty() {
        return Vec::new();
    }
    let again = match profile.quota.recounts_changed {
        true => "counted as a whole again (assumed)",
        false => "counted for what they cost more (assumed)",
    };
    let back = match profile.quota.period {
        PeriodKind::Month => ", which gives nothing back".to_owned(),
        PeriodKind::Stock => format!(", which gives back {}", amount(*returned, profile)),
    };
    let names: Vec<_> = gone.names.iter().map(|name| shown(name.as_str())).collect();
    let more = gone.count - names.len() as u64;
    let more = if more == 0 { String::new() } else { format!(" and {}", counted(more, "other", "others")) };
    let note = |count: u64, note: &str| if count == 0 { String::new() } else { note.to_owned() };
    vec![
        ("new", *new, String::new()),
        ("changed", *changed, note(*changed, again)),
        ("unchanged", *unchanged, note(*unchanged, "cost nothing again")),
        ("kept", *kept, note(*kept, "an accepted version is there, but this one is left out")),
        ("gone", gone.count, note(gone.count, &format!("{}{more}{back}", names.join(", ")))),
    ]
}

/// `20 images, 494 frames`.
pub(super) fn amount(Cost { images, frames }: Cost, profile: &Profile) -> String {
    let (of_images, of_videos) = (&profile.images.unit, &profile.videos.unit);
    match of_images == of_videos {
        true => format!("{} {of_images}", number(images.saturating_add(frames))),
        false => format!("{} {of_images}, {} {of_videos}", number(images), number(frames)),
    }
}
