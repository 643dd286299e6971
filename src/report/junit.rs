//! JUnit XML, for the test reports of CI systems: one test case for each rule, and one that the run is complete.
//!
//! A test case for each asset would overwhelm such a system: a container can have millions. There is no standard; this
//! follows Jenkins' schema (xunit-plugin, `junit-10.xsd`).

use std::fmt::Write as _;
use std::io::{self, BufWriter, Seek, Write};
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::changes::{self, findings_of};
use super::containers;
use super::groups::{FindingGroup, Groups};
use super::layout::{number, shown};
use super::{Out, written};
use crate::files::temporary;
use crate::model::error::Result;
use crate::model::{Asset, Code, Severity};
use crate::plan::audit::{Audit, Container};
use crate::plan::{FindingChanges, FindingCounts, RunHeader, Sink, Summary};
use crate::rules;

/// The most assets named for each rule. Each takes at most about 20 KiB, usually 100 bytes.
const EXAMPLES: usize = 100;

/// The case that fails when the run is incomplete.
const COMPLETE: &str = "the whole listing was examined";

pub(super) struct Junit {
    header: RunHeader,
    out: Out,
    groups: Groups,
}

impl Junit {
    pub(super) fn new(header: RunHeader, out: Out) -> Self {
        Self { header, out, groups: Groups::new(EXAMPLES) }
    }
}

impl Sink for Junit {
    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.groups.add(asset);
        Ok(())
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let Self { header, out, groups } = *self;
        let suite = Suite { header: &header, groups: &groups, summary };
        let counts = suite.counts(elapsed);
        written(|| {
            let mut xml = Writer::new_with_indent(out, b' ', 1);
            xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
            xml.create_element("testsuites")
                .with_attributes(counts.iter().map(|(name, value)| (*name, value.as_str())))
                .write_inner_content(|xml| suite.write(xml, &counts))?;
            let mut out = xml.into_inner();
            out.write_all(b"\n")?;
            out.flush()
        })
    }
}

/// Writes the test report of an audit: a suite for each container.
pub(super) fn audit(audit: &Audit, mut out: Out) -> Result<()> {
    // The sums come first, and are known last.
    let mut suites = BufWriter::new(tempfile::tempfile().map_err(|error| temporary::failed(&error))?);
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for container in &audit.containers {
        let mut groups = Groups::new(EXAMPLES);
        for asset in containers::assets(audit, container)? {
            groups.add(&asset?);
        }
        let suite = match (&container.header, container.outcome.summary()) {
            (Some(header), Some(summary)) => Some(Suite { header, groups: &groups, summary }),
            _ => None,
        };
        let mut xml = Writer::new_with_indent(&mut suites, b' ', 1);
        let counts = match &suite {
            Some(suite) => suite.counts(container.elapsed),
            None => not_audited(container),
        };
        let named = format!("presync {}", xml_text(&container.name));
        let attributes = counts
            .iter()
            .map(|(name, value)| (*name, if *name == "name" { named.as_str() } else { value.as_str() }));
        let element = xml.create_element("testsuite").with_attributes(attributes);
        let written = match &suite {
            Some(suite) => element.write_inner_content(|xml| suite.cases(xml)),
            None => element.write_inner_content(|xml| {
                case(xml, "presync", COMPLETE, |xml| {
                    result(
                        xml,
                        "error",
                        "INCOMPLETE",
                        &format!("INCOMPLETE: {}", xml_text(&containers::why(container))),
                        "",
                    )
                })
            }),
        };
        written.map(drop).map_err(|error| temporary::failed(&error))?;
        let count = |at: usize| counts[at].1.parse::<u64>().unwrap_or(0);
        (tests, failures, errors) = (tests + count(1), failures + count(2), errors + count(3));
    }
    let suites = suites.into_inner().map_err(io::IntoInnerError::into_error);
    let mut suites = suites.map_err(|error| temporary::failed(&error))?;
    written(|| {
        let elapsed = audit.elapsed.as_secs_f64();
        write!(
            out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"presync audit\" tests=\"{tests}\" \
             failures=\"{failures}\" errors=\"{errors}\" time=\"{elapsed:.3}\">\n"
        )?;
        suites.rewind()?;
        io::copy(&mut suites, &mut out)?;
        out.write_all(b"\n</testsuites>\n")?;
        out.flush()
    })
}

/// The attributes of the suite of a container of which nothing was judged.
fn not_audited(container: &Container) -> [(&'static str, String); 5] {
    let time = format!("{:.3}", container.elapsed.as_secs_f64());
    let [tests, failures, errors] = [1, 0, 1].map(|count: u32| count.to_string());
    [("name", String::new()), ("tests", tests), ("failures", failures), ("errors", errors), ("time", time)]
}

struct Suite<'a> {
    header: &'a RunHeader,
    groups: &'a Groups,
    summary: &'a Summary,
}

impl Suite<'_> {
    /// The attributes of the suite, which are also those of the root element.
    fn counts(&self, elapsed: Duration) -> [(&'static str, String); 5] {
        let with = |severity| self.groups.of(severity).count();
        let errors = with(Severity::Unknown) + usize::from(self.summary.incomplete.is_some());
        [
            ("name", format!("presync {}", xml_text(&self.header.origin.location))),
            ("tests", (Code::ALL.len() + 1).to_string()),
            ("failures", with(Severity::Error).to_string()),
            ("errors", errors.to_string()),
            ("time", format!("{:.3}", elapsed.as_secs_f64())),
        ]
    }

    fn write<W: Write>(&self, xml: &mut Writer<W>, counts: &[(&'static str, String)]) -> io::Result<()> {
        xml.create_element("testsuite")
            .with_attributes(counts.iter().map(|(name, value)| (*name, value.as_str())))
            .write_inner_content(|xml| self.cases(xml))?;
        Ok(())
    }

    fn cases<W: Write>(&self, xml: &mut Writer<W>) -> io::Result<()> {
        self.properties(xml)?;
        self.complete(xml)?;
        Code::ALL.iter().try_for_each(|code| self.rule(xml, *code))
    }

    fn properties<W: Write>(&self, xml: &mut Writer<W>) -> io::Result<()> {
        let (totals, profile) = (&self.summary.totals, &self.header.profile);
        let properties = [
            ("profile", xml_text(&profile.name)),
            ("overrides", xml_text(&profile.overrides.to_string())),
            ("listed", totals.listed.to_string()),
            ("accepted", totals.accepted.to_string()),
            ("rejected", totals.rejected.to_string()),
            ("skipped", totals.skipped.to_string()),
            ("unknown", totals.unknown.to_string()),
            ("images", totals.images.to_string()),
            ("frames", totals.frames.to_string()),
        ];
        let counts = findings_of(self.summary).map(FindingChanges::counts);
        let changed = counts.map(|FindingCounts { new, unchanged, fixed }| {
            [("new", new), ("unchanged", unchanged), ("fixed", fixed)]
                .map(|(name, count)| (name, count.to_string()))
        });
        let properties: Vec<_> = properties.into_iter().chain(changed.into_iter().flatten()).collect();
        xml.create_element("properties").write_inner_content(|xml| {
            properties.iter().try_for_each(|(name, value)| {
                let property = xml.create_element("property");
                property.with_attributes([("name", *name), ("value", value.as_str())]).write_empty().map(drop)
            })
        })?;
        Ok(())
    }

    fn complete<W: Write>(&self, xml: &mut Writer<W>) -> io::Result<()> {
        self.case(xml, COMPLETE, |xml| match &self.summary.incomplete {
            None => Ok(()),
            Some(why) => result(xml, "error", "INCOMPLETE", &format!("INCOMPLETE: {}", xml_text(why)), ""),
        })
    }

    /// A rule fails if it rejects assets, is in error if assets could not be judged, and passes if it only warns.
    fn rule<W: Write>(&self, xml: &mut Writer<W>, code: Code) -> io::Result<()> {
        self.case(xml, &format!("{code} {}", code.name()), |xml| {
            let of = |severity| self.groups.get(code, severity);
            for (group, element) in [(of(Severity::Unknown), "error"), (of(Severity::Error), "failure")] {
                if let Some(group) = group {
                    result(xml, element, code.as_str(), &headline(code, group), &listing(group))?;
                }
            }
            let warning = of(Severity::Warning)
                .map(|group| format!("warning: {}\n{}", headline(code, group), listing(group)));
            let fixed =
                findings_of(self.summary).and_then(|changes| changes::fixed(changes, Some(code), EXAMPLES));
            let text: String =
                warning.into_iter().chain(fixed.map(|fixed| xml_text(&fixed) + "\n")).collect();
            if !text.is_empty() {
                xml.create_element("system-out").write_text_content(BytesText::new(&text))?;
            }
            Ok(())
        })
    }

    fn case<W: Write>(
        &self,
        xml: &mut Writer<W>,
        name: &str,
        content: impl FnOnce(&mut Writer<W>) -> io::Result<()>,
    ) -> io::Result<()> {
        case(xml, &format!("presync.{}", xml_text(&self.header.profile.name)), name, content)
    }
}

fn case<W: Write>(
    xml: &mut Writer<W>,
    class: &str,
    name: &str,
    content: impl FnOnce(&mut Writer<W>) -> io::Result<()>,
) -> io::Result<()> {
    let case = xml.create_element("testcase");
    case.with_attributes([("classname", class), ("name", name)]).write_inner_content(content)?;
    Ok(())
}

fn result<W: Write>(
    xml: &mut Writer<W>,
    element: &str,
    kind: &str,
    message: &str,
    text: &str,
) -> io::Result<()> {
    let element = xml.create_element(element).with_attributes([("message", message), ("type", kind)]);
    element.write_text_content(BytesText::new(text)).map(drop)
}

fn headline(code: Code, group: &FindingGroup) -> String {
    format!("{}: {}", group.counted(), rules::summary(code))
}

/// One line per asset, and the first fix.
fn listing(group: &FindingGroup) -> String {
    let mut text = String::new();
    for example in &group.examples {
        // Writing to a string cannot fail.
        let (mark, name) = (example.mark(), xml_text(&example.name));
        let _ = writeln!(text, "{mark}{name}: {}", xml_text(&example.message));
    }
    if group.more() > 0 {
        let _ = writeln!(text, "and {} more", number(group.more()));
    }
    if let Some((name, fix)) = group.fix() {
        let _ = writeln!(text, "fix for {}: {}", xml_text(name), xml_text(fix));
    }
    text
}

/// Untrusted text for XML: in addition to what [`shown`] escapes, XML 1.0 excludes two characters (2.2).
fn xml_text(text: &str) -> String {
    shown(text).replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}
