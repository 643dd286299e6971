//! GitHub: workflow commands that create annotations for a step (GitHub Docs, "Workflow commands").

use std::io::{self, Write};
use std::time::Duration;

use super::changes;
use super::containers;
use super::groups::{FindingGroup, Groups};
use super::layout::{counted, cut, number, shown};
use super::{Out, written};
use crate::model::error::Result;
use crate::model::{Asset, Code, Gauge, Kind, Severity, Totals};
use crate::plan::audit::Audit;
use crate::plan::{RunHeader, Sink, Summary};
use crate::rules;

/// The most annotations of each level that GitHub shows for a step. It drops the rest.
const MAX_ANNOTATIONS: usize = 10;
/// The most assets named for each rule.
const EXAMPLES: usize = 3;
/// The most columns of a name or a message, so that an annotation stays well below the limit of 64 KiB.
const MAX_COLUMNS: usize = 300;

/// The report: one annotation for each rule, and one with the totals.
pub(super) struct Github {
    header: RunHeader,
    out: Out,
    groups: Groups,
}

impl Github {
    pub(super) fn new(header: RunHeader, out: Out) -> Self {
        Self { header, out, groups: Groups::new(EXAMPLES) }
    }
}

impl Sink for Github {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.groups.add(asset);
        Ok(())
    }

    fn finish(mut self: Box<Self>, summary: &Summary, _elapsed: Duration) -> Result<()> {
        let mut errors = Vec::new();
        if let Some(why) = &summary.incomplete {
            let what = format!("{}: only the first part of the listing was judged", shown(why));
            errors.push(Annotation { title: "INCOMPLETE".to_owned(), message: what });
        }
        let totals = Annotation { title: "presync".to_owned(), message: totals(&self.header, summary) };
        written(|| write_groups(&mut self.out, &self.groups, errors, &totals))
    }
}

/// Writes the annotations of an audit: one for each container that is not complete and for each rule.
pub(super) fn audit(audit: &Audit, mut out: Out) -> Result<()> {
    let mut groups = Groups::new(EXAMPLES);
    for container in &audit.containers {
        let place = format!("{}: ", container.name);
        for asset in containers::assets(audit, container)? {
            groups.add_in(&place, &asset?);
        }
    }
    let incomplete = audit.containers.iter().filter(|container| !container.outcome.is_complete());
    let errors = incomplete.map(|container| Annotation {
        title: format!("INCOMPLETE {}", shown(&container.name)),
        message: line(&containers::why(container)),
    });
    let count = audit.containers.len() as u64;
    let mut message = format!("{}: {}", counted(count, "container", "containers"), verdicts(&audit.totals()));
    for text in containers::sums(audit) {
        message += &format!("\n{}", line(&text));
    }
    let totals = Annotation { title: "presync audit".to_owned(), message };
    written(|| write_groups(&mut out, &groups, errors.collect(), &totals))
}

fn write_groups(
    out: &mut Out,
    groups: &Groups,
    mut errors: Vec<Annotation>,
    totals: &Annotation,
) -> io::Result<()> {
    let mut warnings = Vec::new();
    for (severity, code, group) in groups.iter() {
        let annotation = Annotation::of(code, group);
        match severity {
            Severity::Error | Severity::Unknown => errors.push(annotation),
            Severity::Warning => warnings.push(annotation),
        }
    }
    write_all(out, "error", errors)?;
    write_all(out, "warning", warnings)?;
    totals.write(out, "notice")?;
    out.flush()
}

struct Annotation {
    title: String,
    message: String,
}

impl Annotation {
    fn of(code: Code, group: &FindingGroup) -> Self {
        let mut lines = vec![format!("{}: {}", group.counted(), rules::summary(code))];
        for example in &group.examples {
            lines.push(format!("{}{}: {}", example.mark(), line(&example.name), line(&example.message)));
        }
        if group.more() > 0 {
            lines.push(format!("and {} more", number(group.more())));
        }
        if let Some((name, fix)) = group.fix() {
            lines.push(format!("fix for {}: {}", line(name), shown(fix)));
        }
        Self { title: format!("{code} {}", code.name()), message: lines.join("\n") }
    }

    fn write(&self, out: &mut impl Write, level: &str) -> io::Result<()> {
        writeln!(out, "::{level} title={}::{}", property(&self.title), data(&self.message))
    }
}

/// Writes the annotations of a level. The last one that GitHub shows summarizes those it would drop.
fn write_all(out: &mut impl Write, level: &str, mut annotations: Vec<Annotation>) -> io::Result<()> {
    if annotations.len() > MAX_ANNOTATIONS {
        let rest = annotations.split_off(MAX_ANNOTATIONS - 1);
        let first_line = |rest: &Annotation| {
            format!("{}: {}", rest.title, rest.message.lines().next().unwrap_or_default())
        };
        let message = rest.iter().map(first_line).collect::<Vec<_>>().join("\n");
        annotations.push(Annotation { title: format!("{} more", rest.len()), message });
    }
    annotations.iter().try_for_each(|annotation| annotation.write(out, level))
}

fn totals(header: &RunHeader, summary: &Summary) -> String {
    let verdicts = verdicts(&summary.totals);
    let gauge = |gauge: &Gauge, unit: &str| match gauge.limit {
        Some(limit) => format!("{} of {} {}", number(gauge.used()), number(limit), shown(unit)),
        None => format!("{} {}", number(gauge.used()), shown(unit)),
    };
    let (profile, quota) = (&header.profile, &summary.quota);
    let mut gauges = vec![gauge(&quota.images, &profile.quota_unit(Kind::Image))];
    if !quota.is_shared() {
        gauges.push(gauge(&quota.frames, &profile.quota_unit(Kind::Video)));
    }
    let changed = match profile.overrides.is_empty() {
        true => String::new(),
        false => format!("\nrules: {}", line(&profile.overrides.to_string())),
    };
    let since: String =
        changes::lines(summary).into_iter().map(|text| format!("\n{}", line(&text))).collect();
    format!("{}: {verdicts}\n{}{changed}{since}", line(&header.origin.location), gauges.join(", "))
}

/// `65 listed, 25 accepted, …`.
fn verdicts(totals: &Totals) -> String {
    let verdicts = [
        (totals.listed, "listed"),
        (totals.accepted, "accepted"),
        (totals.rejected, "rejected"),
        (totals.skipped, "skipped"),
        (totals.unknown, "unknown"),
    ];
    verdicts.map(|(count, verdict)| format!("{} {verdict}", number(count))).join(", ")
}

/// Untrusted text as part of a line.
fn line(text: &str) -> String {
    cut(&shown(text), MAX_COLUMNS)
}

/// Escapes the text of a command the way a runner decodes it (actions/runner, `ActionCommand`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_command_is_escaped() {
        let annotation = Annotation { title: "a:b,c%\n".to_owned(), message: "::100 %\r\na,b".to_owned() };
        let mut out = Vec::new();
        annotation.write(&mut out, "error").expect("memory");
        assert_eq!(out, b"::error title=a%3Ab%2Cc%25%0A::::100 %25%0D%0Aa,b\n");
    }

    #[test]
    fn the_last_annotation_that_is_shown_stands_for_the_rest() {
        let annotations = |count| {
            let annotation =
                |rule| Annotation { title: format!("R{rule}"), message: "1 asset\nx".to_owned() };
            (0..count).map(annotation).collect()
        };
        let written = |count| {
            let mut out = Vec::new();
            write_all(&mut out, "error", annotations(count)).expect("memory");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(written(10).lines().count(), 10);
        let more = written(12);
        assert_eq!(more.lines().count(), 10);
        let last = "::error title=3 more::R9: 1 asset%0AR10: 1 asset%0AR11: 1 asset";
        assert_eq!(more.lines().last(), Some(last));
    }
}
