//! Shared parts of text reports: the heading, numbers, and escaping of untrusted text.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::Style;
use jiff::Timestamp;
use unicode_width::UnicodeWidthChar;

use super::style::{BOLD, DIM, ERROR, GOOD, UNKNOWN};
pub use crate::model::shown;
use crate::model::{Admit, Code};
pub(crate) use crate::model::{counted, number};
use crate::plan::{MAX_BASENAMES, RunHeader, Summary};

/// The width of text that doesn't go to a terminal, so that nothing is broken or cut: no line has a million columns.
pub const MAX_WIDTH: usize = 1 << 20;
/// The maximum width of prose: longer lines are hard to read.
const PROSE: usize = 100;
/// The most columns of a column of names. A longer name is whole, too, but what follows it is not below the others.
pub(super) const NAMES: usize = 60;
/// The minimum width that the layout supports.
pub(super) const MIN_WIDTH: usize = 40;

/// What a reader should know about the listing.
pub(super) fn notes(summary: &Summary) -> impl Iterator<Item = String> {
    let compared = (!summary.basenames_compared)
        .then(|| format!("Only the first {} basenames were compared.", number(MAX_BASENAMES as u64)));
    let order = summary.out_of_order.as_ref().map(|[before, after]| {
        let (before, after) = (shown(before.as_str()), shown(after.as_str()));
        format!(
            "The listing is out of order ('{after}' comes after '{before}'), so names may be repeated: each entry counts."
        )
    });
    compared.into_iter().chain(order)
}

/// Writes the heading: the command, the source and the rules.
pub(super) fn heading(out: &mut impl Write, command: &str, header: &RunHeader) -> io::Result<()> {
    let origin = &header.origin;
    let provider = match &*origin.provider {
        "azure" => "Azure Blob Storage",
        other => other,
    };
    let profile = format!("{} ({})", header.profile.name, header.profile.title);
    let rules = header.profile.overrides.to_string();
    let filter = header.filter.to_string();
    let connection = header.connection.as_ref().map(|name| format!("@{name}"));
    let rows = [
        ("provider", Some(provider)),
        ("connection", connection.as_deref()),
        ("source", Some(origin.location.as_str())),
        ("account", origin.account.as_deref()),
        ("container", origin.container.as_deref()),
        ("prefix", Some(origin.prefix.as_str()).filter(|prefix| !prefix.is_empty())),
        ("names", Some(filter.as_str()).filter(|filter| !filter.is_empty())),
        ("credential", origin.credential.as_deref()),
        ("profile", Some(profile.as_str())),
        ("admit", Some(header.admit.as_str()).filter(|_| header.admit != Admit::Listing)),
        ("rules", Some(rules.as_str()).filter(|rules| !rules.is_empty())),
    ];
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "{BOLD}presync {command}{BOLD:#} {DIM}{version}{DIM:#}\n")?;
    for (label, value) in rows {
        if let Some(value) = value {
            // A terminal breaks what is too long, and what is copied from it is whole.
            writeln!(out, "  {DIM}{label:<10}{DIM:#}  {}", shown(value))?;
        }
    }
    let assumed = header.profile.assumptions.len() as u64;
    if assumed > 0 {
        let things = counted(assumed, "thing", "things");
        let profile = quoted(&header.profile_from);
        let text = format!("{things} that the platform does not document: presync rule --profile {profile}");
        // Not broken, because users copy the command.
        writeln!(out, "  {DIM}{:<10}{DIM:#}  {}", "assumed", shown(&text))?;
    }
    writeln!(out)
}

/// What left names out of the listing.
pub(super) fn left_out_by(header: &RunHeader) -> String {
    let by = match (header.filter.is_empty(), header.root.is_some() || header.origin.provider == "folder") {
        (false, false) => "--include and --exclude",
        (true, true) => ".presyncignore",
        _ => "--include, --exclude or .presyncignore",
    };
    format!("names left out by {by}")
}

/// A word, quoted for a shell.
pub(super) fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

/// Writes a label and a text in lines of at most `width` columns. Words are never cut, because users copy commands.
pub(super) fn wrapped(out: &mut impl Write, label: &str, text: &str, width: usize) -> io::Result<()> {
    let mut label = label;
    for line in broken(&shown(text), width.min(PROSE).saturating_sub(14), false) {
        writeln!(out, "  {label:<10}  {line}")?;
        label = "";
    }
    Ok(())
}

/// Breaks a text into lines of at most `room` columns, between words. A longer word has a line of its own, or several if
/// words may be broken, too. Nothing is left out.
pub(super) fn broken(text: &str, room: usize, words_too: bool) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map_or(0, |line| columns(line));
        let fits = line + usize::from(line > 0) + columns(word) <= room;
        match lines.last_mut() {
            Some(last) if fits || line == 0 => {
                last.push_str(if line > 0 { " " } else { "" });
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
        while words_too && lines.last().is_some_and(|last| columns(last) > room.max(2)) {
            let last = lines.pop().unwrap_or_default();
            let mut used = 0;
            let end = last.char_indices().find(|(_, letter)| {
                used += letter.width().unwrap_or(0);
                used > room.max(2)
            });
            let (head, tail) = last.split_at(end.map_or(last.len(), |(at, _)| at));
            lines.extend([head.to_owned(), tail.to_owned()]);
        }
    }
    lines
}

/// Writes a text behind `indent` columns that are already written, in lines of at most `width` columns. Nothing is cut.
pub(super) fn hanging(
    out: &mut impl Write,
    indent: usize,
    style: Style,
    text: &str,
    width: usize,
) -> io::Result<()> {
    hung(out, indent, style, &broken(text, width.saturating_sub(indent), true))
}

/// The same for a text with commands or paths: as users copy them, no word is broken.
pub(super) fn hanging_words(
    out: &mut impl Write,
    indent: usize,
    style: Style,
    text: &str,
    width: usize,
) -> io::Result<()> {
    hung(out, indent, style, &broken(text, width.saturating_sub(indent), false))
}

fn hung(out: &mut impl Write, indent: usize, style: Style, lines: &[String]) -> io::Result<()> {
    for (place, line) in lines.iter().enumerate() {
        let indent = if place == 0 { 0 } else { indent };
        writeln!(out, "{:indent$}{style}{line}{style:#}", "")?;
    }
    Ok(())
}

/// Writes a row with a gauge, what is used, and a verdict.
pub(super) fn gauge_row(
    out: &mut impl Write,
    label: &str,
    gauge: &str,
    used: &str,
    (style, verdict): (Style, &str),
    width: usize,
) -> io::Result<()> {
    let indent = 16 + GAUGE as usize;
    write!(out, "  {label:<10}  {gauge}  ")?;
    match indent + columns(used) + 1 + columns(verdict) <= width {
        true => writeln!(out, "{used} {style}{verdict}{style:#}"),
        false => hanging(out, indent, Style::new(), &format!("{used} {verdict}"), width),
    }
}

/// Writes a note behind a row of `used` columns if it fits, and otherwise in lines of its own, `indent` columns from the
/// left.
pub(super) fn noted(
    out: &mut impl Write,
    used: usize,
    note: &str,
    indent: usize,
    width: usize,
) -> io::Result<()> {
    if note.is_empty() {
        return writeln!(out);
    }
    if used + 2 + columns(note) <= width {
        return writeln!(out, "  {DIM}{note}{DIM:#}");
    }
    write!(out, "\n{:indent$}", "")?;
    hanging(out, indent, DIM, note, width)
}

/// Writes names and a message for each, `indent` columns from the left. A name that is too long for its column has lines
/// of its own, and the message follows below. Nothing is cut.
pub(super) fn named(
    out: &mut impl Write,
    indent: usize,
    rows: &[(String, String)],
    width: usize,
) -> io::Result<()> {
    let room = width.saturating_sub(indent);
    let longest = rows.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    let column = longest.min(NAMES.min(room * 2 / 5));
    for (name, message) in rows {
        let fits = message.is_empty() || columns(name) <= column || width == MAX_WIDTH;
        write!(out, "{:indent$}", "")?;
        if message.is_empty() {
            hanging(out, indent, Style::new(), name, width)?;
            continue;
        }
        if !fits {
            hanging(out, indent, Style::new(), name, width)?;
            write!(out, "{:indent$}", "")?;
        }
        let name = if fits { name } else { "" };
        let gap = if column == 0 { 0 } else { column.saturating_sub(columns(name)) + 2 };
        write!(out, "{name}{:gap$}", "")?;
        let used = if column == 0 { 0 } else { column + 2 };
        hanging(out, indent + used, DIM, message, width)?;
    }
    Ok(())
}

/// Writes a row of counts: a label, the count in `digits` columns, and a note.
pub(super) fn counted_row(
    out: &mut impl Write,
    (label, count, style, note): (&str, u64, Style, &str),
    digits: usize,
    width: usize,
) -> io::Result<()> {
    let style = if count == 0 { DIM } else { style };
    write!(out, "  {label:<10}  {style}{:>digits$}{style:#}", number(count))?;
    match note {
        "" => writeln!(out),
        note => {
            out.write_all(b"  ")?;
            hanging(out, 16 + digits, DIM, note, width)
        }
    }
}

/// The result of the run, in one sentence.
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
        (0, ..) => (ERROR, format!("{left_out} of {assets} will be left out: {}.", reasons(summary))),
        (_, 0, _) => (UNKNOWN, format!("Incomplete: {unknown} of {assets} could not be judged.")),
        _ => (
            ERROR,
            format!(
                "{left_out} of {assets} will be left out: {}. {unknown} could not be judged.",
                reasons(summary)
            ),
        ),
    }
}

/// Assets that the quota refuses.
pub(super) fn refused(summary: &Summary) -> u64 {
    let is_quota = |(code, _): &&(Code, u64)| matches!(code, Code::ImageQuota | Code::FrameQuota);
    summary.findings.iter().filter(is_quota).map(|(_, count)| count).sum()
}

/// `23 break a rule, 11 do not fit the quota`.
fn reasons(summary: &Summary) -> String {
    let refused = refused(summary);
    let by_rules = summary.totals.rejected.saturating_sub(refused);
    let reason = |count: u64, one: &str, many: &str| (count > 0).then(|| counted(count, one, many));
    let reasons = [
        reason(by_rules, "breaks a rule", "break a rule"),
        reason(refused, "does not fit the quota", "do not fit the quota"),
    ];
    reasons.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// When the run ended. A run in which the clock was turned so far that this is no time ended when it began.
pub(super) fn ended(header: &RunHeader, elapsed: Duration) -> Timestamp {
    header.begun.checked_add(elapsed).unwrap_or(header.begun)
}

/// The width of a gauge, in columns.
const GAUGE: u64 = 20;

/// `████░░░░`: full if the limit is spent, and empty if nothing is used.
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
pub(crate) fn bytes(value: u64) -> String {
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

/// The width of a text on a terminal, in columns.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// Cuts a text to at most `room` columns. The middle is removed, because names usually differ at their ends.
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
    fn nothing_is_lost_where_lines_are_broken() {
        assert_eq!(broken("the value is 6", 9, true), ["the value", "is 6"]);
        assert_eq!(broken("a cam1/2026/0001.jpg b", 8, true), ["a", "cam1/202", "6/0001.j", "pg b"]);
        assert_eq!(broken("a cam1/2026/0001.jpg b", 8, false), ["a", "cam1/2026/0001.jpg", "b"]);
        assert_eq!(broken("東京駅", 3, true), ["東", "京", "駅"]);
        assert_eq!([broken("", 5, true), broken("a  b", 1 << 20, true)], [[""], ["a  b"]]);
    }

    #[test]
    fn rows_on_a_narrow_terminal_are_broken_and_whole() {
        let plain = |write: &dyn Fn(&mut Vec<u8>) -> io::Result<()>| {
            let mut out = Vec::new();
            write(&mut out).expect("it can be written");
            anstream::adapter::strip_str(&String::from_utf8(out).expect("UTF-8")).to_string()
        };
        let rows = [("a.jpg", "is wrong in a way"), ("folder/of/long/names.jpg", "is, too"), ("b.jpg", "")]
            .map(|(name, message)| (name.to_owned(), message.to_owned()));
        assert_eq!(
            plain(&|out| named(out, 2, &rows, 22)),
            "  a.jpg     is wrong\n            in a way\n  folder/of/long/names\n  .jpg\n            is, too\n  b.jpg\n"
        );
        assert_eq!(
            plain(&|out| named(out, 2, &rows, MAX_WIDTH)),
            "  a.jpg                     is wrong in a way\n  folder/of/long/names.jpg  is, too\n  b.jpg\n"
        );
        assert_eq!(plain(&|out| noted(out, 10, "short", 4, 17)), "  short\n");
        assert_eq!(plain(&|out| noted(out, 10, "not so short", 4, 17)), "\n    not so short\n");
        assert_eq!(plain(&|out| noted(out, 10, "", 4, 17)), "\n");
    }

    #[test]
    fn a_long_text_gives_way_in_the_middle() {
        assert_eq!(cut("cam1/2026/0001.jpg", 11), "cam1/…1.jpg");
        assert_eq!(columns(&cut("東京駅東京駅東京駅", 8)), 7, "a wide character is not halved");
        assert_eq!(cut("short", 5), "short");
    }
}
