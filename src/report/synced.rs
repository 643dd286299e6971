//! What is on the platform, compared with the accepted assets, as text.

use std::io::{self, Write};

use super::layout::{counted, cut, number, shown};
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
    let SyncTotals { sources, new, changed, unchanged, kept, gone, charge, returned } = synced;
    if sources.is_empty() {
        return Ok(());
    }
    let from = cut(&format!("as synced from {}", shown(&sources.join(", "))), width.saturating_sub(18));
    writeln!(out, "{BOLD}On the platform{BOLD:#} {DIM}{from}{DIM:#}")?;
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
    let rows = [
        ("new", *new, GOOD, String::new()),
        ("changed", *changed, UNKNOWN, again.to_owned()),
        ("unchanged", *unchanged, DIM, "cost nothing again".to_owned()),
        ("kept", *kept, DIM, "an accepted version is there, but this one is left out".to_owned()),
        ("gone", gone.count, ERROR, format!("{}{more}{back}", names.join(", "))),
    ];
    let digits = rows.iter().map(|row| number(row.1).len()).max().unwrap_or(0).max(6);
    for (label, count, style, note) in rows {
        let (style, note) = if count == 0 { (DIM, "") } else { (style, note.as_str()) };
        let note = cut(note, width.saturating_sub(16 + digits));
        let count = format!("{:>digits$}", number(count));
        match note.is_empty() {
            true => writeln!(out, "  {label:<10}  {style}{count}{style:#}")?,
            false => writeln!(out, "  {label:<10}  {style}{count}{style:#}  {DIM}{note}{DIM:#}")?,
        }
    }
    writeln!(out, "  {DIM}a sync uses {}{DIM:#}\n", amount(*charge, profile))
}

/// `20 images, 494 frames`.
pub(super) fn amount(Cost { images, frames }: Cost, profile: &Profile) -> String {
    let (of_images, of_videos) = (&profile.images.unit, &profile.videos.unit);
    match of_images == of_videos {
        true => format!("{} {of_images}", number(images.saturating_add(frames))),
        false => format!("{} {of_images}, {} {of_videos}", number(images), number(frames)),
    }
}
