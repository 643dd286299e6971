//! What the reports for people share: the heading, numbers, and text from outside made harmless.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthChar;

use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN};
use crate::model::Admit;
use crate::plan::{RunHeader, Summary};

/// The widest that a line gets: longer ones are hard to read.
pub(super) const MAX_WIDTH: usize = 120;
/// The narrowest that the layout is made for.
pub(super) const MIN_WIDTH: usize = 40;

/// What was run, on which source, by which rules.
pub(super) fn heading(
    out: &mut impl Write,
    command: &str,
    header: &RunHeader,
    width: usize,
) -> io::Result<()> {
    let origin = &header.origin;
    let provider = match &*origin.provider {
        "azure" => "Azure Blob Storage",
        other => other,
    };
    let profile = format!("{} ({})", header.profile.name, header.profile.title);
    let rules = header.profile.overrides.to_string();
    let rows = [
        ("provider", Some(provider)),
        ("source", Some(origin.location.as_str())),
        ("account", origin.account.as_deref()),
        ("container", origin.container.as_deref()),
        ("prefix", Some(origin.prefix.as_str()).filter(|prefix| !prefix.is_empty())),
        ("credential", origin.credential.as_deref()),
        ("profile", Some(profile.as_str())),
        ("admit", Some(header.admit.as_str()).filter(|_| header.admit != Admit::Listing)),
        ("rules", Some(rules.as_str()).filter(|rules| !rules.is_empty())),
    ];
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "{BOLD}presync {command}{BOLD:#} {DIM}{version}{DIM:#}\n")?;
    for (label, value) in rows {
        if let Some(value) = value {
            let value = cut(&shown(value), width - 14);
            writeln!(out, "  {DIM}{label:<10}{DIM:#}  {value}")?;
        }
    }
    for assumption in &header.profile.assumptions {
        let text = cut(&shown(assumption), width - 14);
        writeln!(out, "  {DIM}{:<10}{DIM:#}  {text}", "assumed")?;
    }
    writeln!(out)
}

/// What the run comes to, in one sentence.
pub(super) fn verdict(summary: &Summary) -> (Style, String) {
    let totals = &summary.totals;
    let left_out = number(totals.rejected);
    let unknown = number(totals.unknown);
    let count = totals.listed - totals.skipped;
    let assets = counted(count, "asset", "assets");
    match (totals.unknown, totals.rejected, count) {
        _ if summary.incomplete.is_some() => (ERROR, "Incomplete: run it again.".to_owned()),
        (0, 0, 0) => (DIM, "There is nothing to sync.".to_owned()),
        (0, 0, _) => (GOOD, format!("All {assets} will sync.")),
        (0, ..) => (ERROR, format!("{left_out} of {assets} will be left out.")),
        (_, 0, _) => (UNKNOWN, format!("Incomplete: {unknown} of {assets} could not be judged.")),
        _ => (ERROR, format!("{left_out} of {assets} will be left out, {unknown} could not be judged.")),
    }
}

/// `1,234,567`.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 asset`, `2 assets`.
pub(super) fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

/// Width of a gauge, in columns.
const GAUGE: u64 = 20;

/// `████░░░░`: a full one is a spent limit, an empty one an untouched limit.
pub(super) fn gauge(used: u64, limit: u64, style: Style) -> String {
    let filled = match limit {
        0 => GAUGE,
        _ => (u128::from(used) * u128::from(GAUGE) / u128::from(limit)).min(u128::from(GAUGE)) as u64,
    };
    let filled = filled.max(u64::from(used > 0));
    let full = "█".repeat(filled as usize);
    let free = "░".repeat((GAUGE - filled) as usize);
    format!("{style}{full}{style:#}{DIM}{free}{DIM:#}")
}

/// `17 B`, `4.0 KiB`, `1.2 GiB`.
pub(super) fn bytes(value: u64) -> String {
    let mut amount = value as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{value} B") } else { format!("{amount:.1} {unit}") }
}

/// Text from outside with everything escaped that could move the cursor, hide or reorder what is shown.
pub fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if character.is_control() || hides_or_reorders(character) => {
                safe.extend(character.escape_unicode())
            }
            _ => safe.push(character),
        }
    }
    safe
}

/// Whether a character other than a control character turns text around, breaks a line, or has no width. Those that
/// join letters and emoji are not among them.
fn hides_or_reorders(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Columns that a text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The text in at most `room` columns: the middle gives way, because names differ at their ends.
pub(super) fn cut(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let room = room.saturating_sub(1);
    let take = |characters: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        let fits = |character: &char| {
            used += character.width().unwrap_or(0);
            used <= room
        };
        characters.take_while(fits).collect::<Vec<_>>()
    };
    let head: String = take(&mut text.chars(), room / 2).into_iter().collect();
    let tail: String = take(&mut text.chars().rev(), room - room / 2).into_iter().rev().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_bytes_scaled() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([17, 4096, 1_288_490_189].map(bytes), ["17 B", "4.0 KiB", "1.2 GiB"]);
    }

    #[test]
    fn a_long_text_gives_way_in_the_middle() {
        assert_eq!(cut("cam1/2026/0001.jpg", 11), "cam1/…1.jpg");
        assert_eq!(columns(&cut("東京駅東京駅東京駅", 8)), 7, "a wide character is not halved");
        assert_eq!(cut("short", 5), "short");
    }

    #[test]
    fn names_cannot_move_the_cursor_or_turn_text_around() {
        assert_eq!(shown("a\n\u{1b}[31mb\u{202e}gpj"), "a\\n\\u{1b}[31mb\\u{202e}gpj");
        assert_eq!(shown("a\u{200b}b\u{2029}\u{61c}"), "a\\u{200b}b\\u{2029}\\u{61c}");
        assert_eq!(shown("👩‍🔬 می‌خواهم"), "👩‍🔬 می‌خواهم", "joiners belong to the text");
    }
}
