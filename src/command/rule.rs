//! `presync rule`: what each rule means.

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use super::args::ColorArgs;
use super::exit::Exit;
use super::output::{stdout, syntax};
use super::values::{code, profile};
use crate::model::error::{Cause, Error, Result};
use crate::model::{Code, Severity};
use crate::report::style::{self, BOLD, DIM};
use crate::report::{self, TextOrJson};
use crate::rules::{self, Profile};

#[derive(Debug, Args)]
pub(super) struct RuleArgs {
    /// A code such as VID002, or a name such as pixel-format
    #[arg(value_name = "CODE", value_parser = code(), hide_possible_values = true)]
    pub code: Option<String>,

    /// Print a profile instead, as TOML: nexus, vi, or a file
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true, conflicts_with = "code")]
    pub profile: Option<String>,

    /// Format of the output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: TextOrJson,

    #[command(flatten)]
    pub color: ColorArgs,
}

/// A rule, for programs.
#[derive(Serialize)]
struct RuleRecord {
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    summary: &'static str,
    why: &'static str,
    fix: &'static str,
    source: &'static str,
}

impl RuleRecord {
    fn new(code: Code) -> Self {
        let text = rules::text(code);
        let (name, severity) = (code.name(), code.severity().as_str());
        let (summary, why, fix, source) = (text.summary, text.why, text.fix, text.source);
        Self { code: code.as_str(), name, severity, summary, why, fix, source }
    }
}

#[derive(Serialize)]
struct RulesDocument {
    format_version: &'static str,
    rules: Vec<RuleRecord>,
}

/// Prints a line for every rule, one rule in full, or the TOML of a profile.
///
/// # Errors
/// Returns an error if there is no such rule, or if the profile does not exist or isn't valid.
pub(super) fn run(args: &RuleArgs) -> Result<Exit> {
    let mut out = stdout(syntax(args.format), args.color.choice());
    let written = match (&args.profile, &args.code) {
        (Some(profile), _) if args.format == TextOrJson::Json => {
            report::document(&Profile::load(profile)?, &mut out)
        }
        (None, code) if args.format == TextOrJson::Json => {
            let codes = match code {
                Some(wanted) => vec![find(wanted)?],
                None => Code::ALL.to_vec(),
            };
            let rules = codes.into_iter().map(RuleRecord::new).collect();
            report::document(&RulesDocument { format_version: "1.0", rules }, &mut out)
        }
        (Some(profile), _) => out.write_all(Profile::text(profile)?.as_bytes()),
        (None, Some(wanted)) => one(&mut out, find(wanted)?),
        (None, None) => list(&mut out),
    };
    written.and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}

/// A rule by its code or its name, in any case.
fn find(wanted: &str) -> Result<Code> {
    let is_it =
        |code: &&Code| code.as_str().eq_ignore_ascii_case(wanted) || code.name().eq_ignore_ascii_case(wanted);
    Code::ALL.iter().find(is_it).copied().ok_or_else(|| {
        let hint = match rules::nearest(wanted) {
            Some(known) => format!("did you mean {known}? presync rule lists them all"),
            None => "presync rule lists them all".to_owned(),
        };
        Error::new(format!("there is no rule '{}'", wanted.escape_debug()))
            .with_hint(hint)
            .because(Cause::Usage)
    })
}

fn effect(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "rejects",
        Severity::Unknown => "unknown",
        Severity::Warning => "warns",
    }
}

fn list(out: &mut impl Write) -> io::Result<()> {
    for code in Code::ALL {
        let style = style::of(code.severity());
        let effect = effect(code.severity());
        writeln!(
            out,
            "{style}{code}{style:#}  {BOLD}{:<21}{BOLD:#}  {effect:<7}  {DIM}{}{DIM:#}",
            code.name(),
            rules::summary(*code)
        )?;
    }
    Ok(())
}

fn one(out: &mut impl Write, code: Code) -> io::Result<()> {
    let (text, style) = (rules::text(code), style::of(code.severity()));
    writeln!(out, "{style}{code}{style:#} {BOLD}{}{BOLD:#} ({})\n", code.name(), effect(code.severity()))?;
    for (label, words) in
        [("what", text.summary), ("why", text.why), ("fix", text.fix), ("source", text.source)]
    {
        let mut label = label;
        for line in wrapped(words, WIDTH - 8) {
            writeln!(out, "{DIM}{label:<6}{DIM:#}  {line}")?;
            label = "";
        }
    }
    Ok(())
}

/// Columns of a rule's text.
const WIDTH: usize = 100;

/// The text in lines of at most `room` columns; a longer word has a line of its own.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
