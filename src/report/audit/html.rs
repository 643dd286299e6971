//! The page of an audit: an overview, and a section for each container. It needs no script to be read; a small one
//! filters the table.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::model::error::Result;
use crate::model::{Gauge, Kind, Severity, Totals};
use crate::plan::audit::{Audit, Container, ContainerOutcome, Together};
use crate::plan::{FolderSum, RunHeader, Summary};
use crate::report::containers;
use crate::report::groups::{FindingGroup, Groups};
use crate::report::html::{escaped, hash};
use crate::report::layout::{bytes, number, shown};
use crate::report::{Out, changes, next, written};
use crate::rules;

/// The most assets named for each rule in a section.
const EXAMPLES: usize = 5;
/// The most bytes of all sections, 8 MiB: browsers open such a page in a second. Containers beyond it are in the table.
const MAX_SECTIONS: usize = 8 << 20;

const STYLE: &str = concat!(include_str!("../html/style/base.css"), include_str!("audit.css"));
const SCRIPT: &str = include_str!("audit.js");

pub(super) fn write(audit: &Audit, mut out: Out) -> Result<()> {
    let mut sections = String::new();
    let mut has_section = Vec::new();
    for (number, container) in audit.containers.iter().enumerate() {
        has_section.push(sections.len() < MAX_SECTIONS);
        if sections.len() >= MAX_SECTIONS {
            continue;
        }
        let mut groups = Groups::new(EXAMPLES);
        for asset in containers::assets(audit, container)? {
            groups.add(&asset?);
        }
        sections += &section(audit, number, container, &groups);
    }
    let page = Page { audit, totals: audit.totals(), has_section };
    written(|| {
        let (style, script) = (hash(STYLE), hash(SCRIPT));
        let verdict = escaped(&containers::verdict(audit));
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{style}'; \
             script-src '{script}'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<title>{verdict} presync audit</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the report</a>\n\
             <main id=\"main\" tabindex=\"-1\">\n{}{}{sections}</main>\n\
             <footer><p class=\"muted\">presync {}</p></footer>\n\
             <script type=\"module\">{SCRIPT}</script>\n</body>\n</html>\n",
            page.overview(&verdict),
            page.findings(),
            env!("CARGO_PKG_VERSION"),
        )?;
        out.flush()
    })
}

struct Page<'a> {
    audit: &'a Audit,
    totals: Totals,
    /// By container, whether it has a section.
    has_section: Vec<bool>,
}

impl Page<'_> {
    fn overview(&self, verdict: &str) -> String {
        let mut notes = String::new();
        for text in containers::sums(self.audit) {
            let _ = writeln!(notes, "<p class=\"note\">{}</p>", escaped(&text));
        }
        for Together { kind, cost, left } in &self.audit.together {
            let (unit, cost) = (kind.unit(), number(*cost));
            let left = left
                .map_or("no limit set".to_owned(), |left| format!("{} left in the workspace", number(left)));
            let _ = writeln!(notes, "<p class=\"note\">All containers need {cost} {unit}; {left}.</p>");
        }
        if !self.audit.left_out.is_empty() {
            let names: Vec<_> = self.audit.left_out.iter().map(|name| escaped(&shown(name))).collect();
            let _ = writeln!(notes, "<p class=\"muted\">Left out: {}</p>", names.join(", "));
        }
        let steps = next::after_audit(self.audit);
        if !steps.is_empty() {
            let step = |(label, text): &(&str, String)| {
                format!("<dt>{label}</dt><dd>{}</dd>", escaped(&shown(text)))
            };
            let _ =
                writeln!(notes, "<dl class=\"steps\">{}</dl>", steps.iter().map(step).collect::<String>());
        }
        let rows: String = (0..self.audit.containers.len()).map(|number| self.row(number)).collect();
        format!(
            "<section aria-labelledby=\"verdict\">\n<p class=\"location\">presync audit</p>\n\
             <h1 id=\"verdict\">{verdict}</h1>\n{notes}\
             <div class=\"controls\"><label>Containers <input type=\"search\" id=\"filter\" placeholder=\"any\" \
             spellcheck=\"false\" autocomplete=\"off\"></label><p id=\"found\" role=\"status\"></p></div>\n\
             <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Containers\">\
             <table id=\"containers\"><caption class=\"hidden\">Containers</caption>\n<thead><tr>{}</tr></thead>\n\
             <tbody>\n{rows}</tbody>\n<tfoot><tr><th scope=\"row\">total</th><td></td>{}</tr></tfoot></table></div>\n\
             </section>\n",
            HEADINGS.map(heading).concat(),
            cells(&self.totals)
        )
    }

    fn row(&self, number: usize) -> String {
        let container = &self.audit.containers[number];
        let name = format!("<bdi>{}</bdi>", escaped(&shown(&container.name)));
        let name = match self.has_section[number] {
            true => format!("<a href=\"#c{number}\">{name}</a>"),
            false => name,
        };
        let empty = "<td></td>".repeat(HEADINGS.len() - 2);
        let cells = container.outcome.summary().map_or(empty, |summary| cells(&summary.totals));
        format!("<tr><th scope=\"row\">{name}</th><td>{}</td>{cells}</tr>\n", state(self.audit, container))
    }

    fn findings(&self) -> String {
        let found = self.audit.findings();
        let row = |(code, count): &(crate::model::Code, u64)| {
            let (name, summary) = (code.name(), escaped(rules::summary(*code)));
            format!(
                "<tr><th scope=\"row\"><span class=\"code\">{code}</span> {name}</th><td>{summary}</td>\
                 <td class=\"count\">{}</td></tr>\n",
                number(*count)
            )
        };
        let rows: String = found.iter().map(row).collect();
        let worst = self.audit.worst.top().iter().map(|folder| {
            let name = self.audit.containers.get(folder.container).map_or("", |container| &container.name);
            let prefix = if folder.name.is_empty() { "(no folder)" } else { &folder.name };
            format!(
                "<tr><th scope=\"row\"><bdi>{}</bdi></th><td><bdi>{}</bdi></td><td class=\"count\">{} of {}</td></tr>\n",
                escaped(&shown(prefix)),
                escaped(&shown(name)),
                number(folder.sum.weight()),
                number(folder.sum.listed)
            )
        });
        let mut text = String::new();
        if !found.is_empty() {
            text += &table("Findings by rule", "findings", &["Rule", "", "Assets"], &rows);
        }
        let worst: String = worst.collect();
        if !worst.is_empty() {
            text += &table("Worst prefixes", "worst", &["Prefix", "Container", "Left out"], &worst);
        }
        text
    }
}

const HEADINGS: [&str; 8] =
    ["Container", "State", "Listed", "Accepted", "Rejected", "Unknown", "Images", "Frames"];

fn heading(title: &str) -> String {
    let class =
        if matches!(title, "Container" | "State" | "Rule" | "" | "Prefix") { "" } else { " class=\"count\"" };
    match title {
        "" => "<td></td>".to_owned(),
        title => format!("<th scope=\"col\"{class}>{title}</th>"),
    }
}

fn table(title: &str, id: &str, headings: &[&str], rows: &str) -> String {
    let headings: String = headings.iter().map(|title| heading(title)).collect();
    format!(
        "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n<table><thead><tr>{headings}</tr></thead>\n\
         <tbody>\n{rows}</tbody></table>\n</section>\n"
    )
}

fn cells(totals: &Totals) -> String {
    let Totals { listed, accepted, rejected, unknown, images, frames, .. } = *totals;
    let cell = |(count, class): (u64, &str)| {
        let class = if count == 0 { "" } else { class };
        format!("<td class=\"count {class}\">{}</td>", number(count))
    };
    [(listed, ""), (accepted, "good"), (rejected, "bad"), (unknown, "bad"), (images, ""), (frames, "")]
        .map(cell)
        .concat()
}

fn state(audit: &Audit, container: &Container) -> String {
    let state = container.outcome.as_str().replace('-', " ");
    match &container.outcome {
        ContainerOutcome::Complete(_) if !audit.counts(container) => "in another".to_owned(),
        ContainerOutcome::Complete(summary) if summary.totals.listed == 0 => {
            "<span class=\"bad\">empty</span>".to_owned()
        }
        ContainerOutcome::Complete(_) => state,
        _ => format!("<span class=\"bad\">{state}</span>"),
    }
}

fn section(audit: &Audit, number: usize, container: &Container, groups: &Groups) -> String {
    let mut text = String::new();
    let name = escaped(&shown(&container.name));
    let _ = writeln!(
        text,
        "<section aria-labelledby=\"c{number}\">\n<h2 id=\"c{number}\"><bdi>{name}</bdi></h2>"
    );
    let _ = writeln!(
        text,
        "<p class=\"location\"><bdi>{}</bdi></p>\n<p>{}</p>",
        escaped(&shown(&container.origin.location)),
        state(audit, container)
    );
    let cause = container.outcome.cause();
    let notes = cause.iter().flat_map(|error| [Some(error.message()), error.hint()]).flatten();
    for note in notes.chain(container.notes.iter().map(String::as_str)) {
        let _ = writeln!(text, "<p class=\"note\">{}</p>", escaped(&shown(note)));
    }
    if let (Some(header), Some(summary)) = (&container.header, container.outcome.summary()) {
        about(&mut text, header, summary);
    }
    for severity in [Severity::Error, Severity::Unknown, Severity::Warning] {
        groups.of(severity).for_each(|(code, group)| rule(&mut text, severity, code, group));
    }
    if let Some(plan) = container.rows.as_deref().filter(|_| container.outcome.summary().is_some()) {
        let plan =
            shlex::try_quote(&plan.to_string_lossy()).map(|plan| escaped(&shown(&plan))).unwrap_or_default();
        let _ = writeln!(
            text,
            "<p class=\"muted\">All of it: <code>presync report {plan} --format html --output container.html</code></p>"
        );
    }
    text += "<p><a href=\"#verdict\">All containers</a></p>\n</section>\n";
    text
}

/// Totals, quota and changes of a container.
fn about(text: &mut String, header: &RunHeader, summary: &Summary) {
    let (totals, profile) = (&summary.totals, &header.profile);
    let gauge = |gauge: &Gauge, kind| {
        let unit = profile.quota_unit(kind);
        let fits = if gauge.fits { "" } else { "; not everything fits" };
        let used = number(gauge.used());
        let limit = gauge.limit.map_or("no limit set".to_owned(), |limit| format!("limit {}", number(limit)));
        escaped(&shown(&format!("{used} {unit}, {limit}{fits}")))
    };
    let mut quota = gauge(&summary.quota.images, Kind::Image);
    if !summary.quota.is_shared() {
        quota = format!("{quota}; {}", gauge(&summary.quota.frames, Kind::Video));
    }
    let verdicts = format!(
        "{} listed, {} accepted, {} rejected, {} skipped, {} unknown",
        number(totals.listed),
        number(totals.accepted),
        number(totals.rejected),
        number(totals.skipped),
        number(totals.unknown)
    );
    let read = format!("{} of {}", bytes(totals.bytes_read), bytes(totals.bytes_listed));
    let since = changes::lines(summary).iter().map(|line| escaped(line)).collect::<Vec<_>>().join("<br>");
    let rows = [
        ("Assets", verdicts),
        ("Quota", quota),
        ("Rules", escaped(&shown(&profile.name))),
        ("Read", read),
        ("Changes", since),
    ];
    let rows = rows.iter().filter(|(_, value)| !value.is_empty());
    let rows: String = rows.map(|(label, value)| format!("<dt>{label}</dt><dd>{value}</dd>")).collect();
    let _ = writeln!(text, "<dl class=\"steps\">{rows}</dl>");
}

fn rule(text: &mut String, severity: Severity, code: crate::model::Code, group: &FindingGroup) {
    let _ = write!(
        text,
        "<details><summary><span class=\"code\">{code}</span> {} <span class=\"tag {}\">{}</span> {}</summary>\n<p>{}</p>\n<ul>\n",
        code.name(),
        severity.as_str(),
        severity.as_str(),
        group.counted(),
        escaped(rules::summary(code))
    );
    for example in &group.examples {
        let new = if example.is_new == Some(true) { "<span class=\"tag\">new</span> " } else { "" };
        let fix = example.fix.as_deref().map(|fix| format!("<br><code>{}</code>", escaped(&shown(fix))));
        let _ = writeln!(
            text,
            "<li>{new}<bdi class=\"mono\">{}</bdi><br>{}{}</li>",
            escaped(&shown(&example.name)),
            escaped(&shown(&example.message)),
            fix.unwrap_or_default()
        );
    }
    if group.more() > 0 {
        let _ = writeln!(text, "<li>and {} more</li>", number(group.more()));
    }
    *text += "</ul></details>\n";
}
