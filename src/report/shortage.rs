//! The limits of the quota, and what to do about one that is too low.

use std::io::{self, Write};

use super::layout::{broken, columns, counted, number, shown};
use super::style::DIM;
use crate::model::{Code, Gauge, Kind};
use crate::plan::{Costly, LeaveOut, Shortage, Summary};
use crate::rules::Profile;

/// The indentation of each line, in columns.
const INDENT: usize = 14;
/// The most assets named.
const EXAMPLES: usize = 3;

/// A limit of the quota, with what it counts and what it refuses.
pub(super) struct Limit<'a> {
    /// `images` or `frames`, or the unit that both share.
    pub label: String,
    pub unit: String,
    pub gauge: &'a Gauge,
    /// Assets that do not fit, and what they are.
    pub refused: u64,
    pub noun: &'static str,
    pub shortage: Option<&'a Shortage>,
}

/// The limits of the quota: one for images and one for frames, or one for both.
pub(super) fn limits<'a>(profile: &Profile, summary: &'a Summary) -> Vec<Limit<'a>> {
    let (quota, units) = (&summary.quota, [Kind::Image, Kind::Video].map(|kind| profile.quota_unit(kind)));
    let refused =
        |code| summary.findings.iter().find(|(found, _)| *found == code).map_or(0, |(_, count)| *count);
    let (images, videos) = (refused(Code::ImageQuota), refused(Code::FrameQuota));
    let (of_images, of_frames) = (summary.image_shortage.as_ref(), summary.frame_shortage.as_ref());
    let [image_unit, frame_unit] = units;
    let limit = |label: &str, unit, gauge, refused, noun, shortage| {
        let label = label.to_owned();
        Limit { label, unit, gauge, refused, noun, shortage }
    };
    if quota.is_shared() {
        let label = if image_unit.len() <= 10 { image_unit.clone() } else { "quota".to_owned() };
        return vec![limit(
            &label,
            image_unit,
            &quota.images,
            images + videos,
            "asset",
            of_images.or(of_frames),
        )];
    }
    vec![
        limit("images", image_unit, &quota.images, images, "image", of_images),
        limit("frames", frame_unit, &quota.frames, videos, "video", of_frames),
    ]
}

/// What would fit if the limit were raised, and what to leave out instead.
pub(super) fn advice(shortage: &Shortage, limit: u64, noun: &str) -> Vec<String> {
    let raise = |(by, effect): (u64, String)| {
        let limit = number(limit.saturating_add(by));
        format!("raise the limit by {} (to {limit}){effect}", number(by))
    };
    let leave_out = match &shortage.leave_out {
        LeaveOut::Any { count } => format!("or leave out any {}", several(*count, noun)),
        LeaveOut::These { assets } => format!("or leave out {}:", several(assets.len() as u64, noun)),
        LeaveOut::Costliest { count } => {
            format!("or leave out the {} that cost the most", several(*count, noun))
        }
        LeaveOut::MoreThan { count } => {
            format!("or leave out more than {}, those that cost the most", several(*count, noun))
        }
    };
    raises(shortage, noun).into_iter().map(raise).chain([leave_out]).collect()
}

/// The first assets to leave out by name, and the number of the others.
pub(super) fn costliest(shortage: &Shortage) -> (&[Costly], usize) {
    let LeaveOut::These { assets } = &shortage.leave_out else { return (&[], 0) };
    let named = &assets[..assets.len().min(EXAMPLES)];
    (named, assets.len() - named.len())
}

/// Writes which asset a limit refused first, and the advice.
pub(super) fn shortage(out: &mut impl Write, limit: &Limit<'_>, width: usize) -> io::Result<()> {
    let (Some(shortage), Some(most)) = (limit.shortage, limit.gauge.limit) else { return Ok(()) };
    let room = width - INDENT;
    let first = &shortage.first_refused;
    let place = format!("first refused: entry {}, {}", number(first.position), shown(first.name.as_str()));
    for text in [place].into_iter().chain(advice(shortage, most, limit.noun)) {
        for line in broken(&text, room, true) {
            writeln!(out, "{:INDENT$}{line}", "")?;
        }
    }
    costly(out, shortage, &limit.unit, room)
}

/// Raises of the limit, and their effects.
fn raises(shortage: &Shortage, noun: &str) -> Vec<(u64, String)> {
    // If all assets cost the same, the steps in between add no information.
    let is_even = matches!(shortage.leave_out, LeaveOut::Any { .. });
    let steps = shortage.if_raised.iter().filter(|_| !is_even);
    let steps = steps.map(|raise| (raise.by, format!(": {}", do_not_fit(raise.refused, noun))));
    steps.chain([(shortage.shortfall, " to fit all".to_owned())]).collect()
}

fn costly(out: &mut impl Write, shortage: &Shortage, unit: &str, room: usize) -> io::Result<()> {
    let (named, more) = costliest(shortage);
    let costs: Vec<_> = named.iter().map(|costly| format!("{} {unit}", number(costly.cost))).collect();
    let most = costs.iter().map(|cost| columns(cost)).max().unwrap_or(0);
    for (costly, cost) in named.iter().zip(costs) {
        let name = shown(costly.name.as_str());
        let mut cost = cost.as_str();
        for line in broken(&name, room.saturating_sub(most + 4), true) {
            writeln!(out, "{:INDENT$}  {DIM}{cost:>most$}{DIM:#}  {line}", "")?;
            cost = "";
        }
    }
    match more {
        0 => Ok(()),
        more => writeln!(out, "{:INDENT$}  {DIM}and {} more{DIM:#}", "", number(more as u64)),
    }
}

fn several(count: u64, noun: &str) -> String {
    counted(count, noun, &format!("{noun}s"))
}

/// `1 video does not fit`, `2 videos do not fit`.
pub(super) fn do_not_fit(count: u64, noun: &str) -> String {
    let verb = if count == 1 { "does" } else { "do" };
    format!("{} {verb} not fit", several(count, noun))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BlobName;
    use crate::plan::{ListedEntry, Raise};

    fn shown_in(width: usize, name: &str, leave_out: LeaveOut) -> Vec<String> {
        let first_refused = ListedEntry { name: BlobName::new(name), position: 1204 };
        let if_raised = vec![Raise { by: 10, limit: 110, refused: 1 }];
        let lacking =
            Shortage { refused: 2, first_refused, demand: 1150, shortfall: 1050, if_raised, leave_out };
        let mut out = Vec::new();
        let gauge = Gauge::new(Some(100), 0);
        let (label, unit) = ("frames".to_owned(), "frames".to_owned());
        let limit = Limit { label, unit, gauge: &gauge, refused: 2, noun: "video", shortage: Some(&lacking) };
        shortage(&mut out, &limit, width).expect("it is written");
        let text = anstream::adapter::strip_str(&String::from_utf8(out).expect("UTF-8")).to_string();
        text.lines()
            .map(|line| line.strip_prefix("              ").expect("it is indented").to_owned())
            .collect()
    }

    fn named(count: usize) -> LeaveOut {
        let costly =
            |index: usize| Costly { name: BlobName::new(format!("v{index}.mp4")), cost: 1000 >> index };
        LeaveOut::These { assets: (0..count).map(costly).collect() }
    }

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let lines = shown_in(100, "v.mp4", named(5));
        assert_eq!(
            lines,
            [
                "first refused: entry 1,204, v.mp4",
                "raise the limit by 10 (to 110): 1 video does not fit",
                "raise the limit by 1,050 (to 1,150) to fit all",
                "or leave out 5 videos:",
                "  1,000 frames  v0.mp4",
                "    500 frames  v1.mp4",
                "    250 frames  v2.mp4",
                "  and 2 more",
            ]
        );
    }

    #[test]
    fn what_cannot_be_named_is_counted() {
        let last = |leave_out| shown_in(100, "v.mp4", leave_out).pop();
        let says = |text: &str| Some(text.to_owned());
        assert_eq!(last(LeaveOut::Any { count: 1 }), says("or leave out any 1 video"));
        assert_eq!(
            last(LeaveOut::Costliest { count: 1240 }),
            says("or leave out the 1,240 videos that cost the most")
        );
        assert_eq!(
            last(LeaveOut::MoreThan { count: 100 }),
            says("or leave out more than 100 videos, those that cost the most")
        );
    }

    #[test]
    fn raises_that_say_nothing_new_are_not_shown() {
        let lines = shown_in(100, "v.mp4", LeaveOut::Any { count: 9 });
        assert_eq!(lines[1], "raise the limit by 1,050 (to 1,150) to fit all");
    }

    #[test]
    fn no_line_is_wider_than_the_report() {
        let long = "cam/".repeat(200);
        for width in [40, 80, 100] {
            let asset = Costly { name: BlobName::new(long.clone()), cost: 1_000_000_000 };
            let lines = shown_in(width, &long, LeaveOut::These { assets: vec![asset] });
            let letters: String =
                lines.iter().flat_map(|line| line.chars()).filter(|c| "cam/".contains(*c)).collect();
            assert_eq!(letters.matches("cam/").count(), 2 * 200, "nothing is cut: {lines:?}");
            assert!(lines.iter().all(|line| columns(line) <= width - INDENT), "{lines:?}");
        }
    }
}
