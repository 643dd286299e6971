//! The page of a comparison: like that of a dry run, but without a script.

use std::io::{self, Write};

use super::page::{STYLE, escaped, hash};
use crate::matching::{Comparison, Group, Tone};
use crate::plan::RunHeader;
use crate::report::layout::number;
use crate::report::shown;

/// Writes the page.
pub(in crate::report) fn write(
    out: &mut impl Write,
    header: &RunHeader,
    comparison: &Comparison,
) -> io::Result<()> {
    let text = |text: &str| escaped(&shown(text));
    let (location, verdict) = (text(&header.origin.location), text(&comparison.verdict.1));
    let (command, version) = (comparison.command, env!("CARGO_PKG_VERSION"));
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; base-uri 'none'; \
         form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{verdict} {location}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the report</a>\n\
         <header class=\"top\"><div class=\"bar\"><p class=\"brand\">presync {command} \
         <span class=\"muted\">{version}</span></p></div></header>\n\
         <main id=\"main\" tabindex=\"-1\">\n<section aria-labelledby=\"verdict\">\n\
         <p class=\"location\"><bdi>{location}</bdi></p>\n<h1 id=\"verdict\">{verdict}</h1>\n<dl class=\"about\">",
        hash(STYLE)
    )?;
    let profile = format!("{} ({})", header.profile.name, header.profile.title);
    let files = comparison.files.iter().map(|file| ("Compared", file.as_str()));
    for (label, value) in files.chain([("Rules", profile.as_str())]) {
        write!(out, "<div><dt>{label}</dt><dd><bdi>{}</bdi></dd></div>", text(value))?;
    }
    write!(
        out,
        "</dl>\n<div class=\"scroll\"><table>\n<thead><tr><th>Count</th><th class=\"count\">Number</th><th>Meaning</th></tr></thead>\n<tbody>\n"
    )?;
    for count in &comparison.counts {
        let (label, amount, note) = (count.label, number(count.count), count.note);
        writeln!(
            out,
            "<tr><td>{label}</td><td class=\"count\">{amount}</td><td class=\"muted\">{note}</td></tr>"
        )?;
    }
    writeln!(out, "</tbody></table></div>")?;
    for note in &comparison.notes {
        writeln!(out, "<p class=\"note\">{}</p>", text(note))?;
    }
    write!(out, "<dl class=\"about\">")?;
    for (label, step) in &comparison.next {
        write!(out, "<div><dt>{label}</dt><dd>{}</dd></div>", text(step))?;
    }
    write!(out, "</dl>\n</section>\n")?;
    if !comparison.patterns.is_empty() {
        writeln!(out, "<section aria-labelledby=\"patterns\">\n<h2 id=\"patterns\">Patterns</h2>")?;
        for pattern in &comparison.patterns {
            let (message, contradicts, fix) =
                (text(&pattern.message), text(&pattern.contradicts), text(&pattern.fix));
            writeln!(
                out,
                "<p>{message}<br><span class=\"muted\">Contradicts {contradicts}.</span><br>{fix}</p>"
            )?;
        }
        writeln!(out, "</section>")?;
    }
    for (title, rows) in &comparison.tables {
        write!(out, "<section>\n<h2>{title}</h2>\n<div class=\"scroll\"><table><tbody>\n")?;
        for (code, count, message) in rows {
            let (code, count, message) = (text(code), number(*count), text(message));
            writeln!(
                out,
                "<tr><td class=\"code\">{code}</td><td class=\"count\">{count}</td><td>{message}</td></tr>"
            )?;
        }
        write!(out, "</tbody></table></div>\n</section>\n")?;
    }
    comparison.groups.iter().filter(|group| group.count > 0).try_for_each(|group| names(out, group))?;
    write!(out, "</main>\n</body>\n</html>\n")
}

/// A group with its first names. Those that need attention are open.
fn names(out: &mut impl Write, group: &Group) -> io::Result<()> {
    let open = if matches!(group.tone, Tone::Bad | Tone::Unknown) { " open" } else { "" };
    let (title, count) = (group.title, number(group.count));
    write!(
        out,
        "<section>\n<details{open}><summary><h2>{title}: {count}</h2></summary>\n\
         <div class=\"scroll\"><table><thead><tr><th>Name</th><th></th></tr></thead>\n<tbody>\n"
    )?;
    for example in &group.examples {
        let (name, message) = (escaped(&shown(&example.name)), escaped(&shown(&example.message)));
        writeln!(out, "<tr><td class=\"mono\"><bdi>{name}</bdi></td><td><bdi>{message}</bdi></td></tr>")?;
    }
    writeln!(out, "</tbody></table></div>")?;
    let more = group.count.saturating_sub(group.examples.len() as u64);
    if more > 0 {
        writeln!(out, "<p class=\"muted\">And {} more, which --format csv and json have.</p>", number(more))?;
    }
    write!(out, "</details>\n</section>\n")
}
