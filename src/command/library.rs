//! Commands that a program calls: the same options and the same entry as on the command line, without a command line.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{CommandFactory, ValueEnum};

use super::cli::{self, Cli, Command};
use super::host::Host;
use super::{Exit, secrets, target};
use crate::model::error::{Cause, Error, Result};
use crate::rules::{Choice, Profile};

mod args;
mod hints;

pub use hints::in_python;

/// The value of an option.
#[derive(Clone, Debug)]
pub enum Value {
    /// Whether a flag is given.
    Flag(bool),
    /// A text, a number or a path.
    Text(OsString),
    /// The values of an option that can be repeated or takes a list.
    List(Vec<OsString>),
}

/// The options of a command by their names on the command line, with `_` in place of `-`. Arguments without a name, such
/// as SOURCE, have theirs in lower case.
#[derive(Clone, Debug, Default)]
pub struct Options(BTreeMap<String, Value>);

/// Runs a command, such as `dry_run` or `quota set`, on the calling thread. It prints JSON where it can, to `host`. The
/// report of `dry_run` is the plan.
///
/// # Errors
/// Returns an error if there is no such command or option, or if the command cannot start or cannot continue.
pub fn call(command: &str, options: Options, host: &Arc<Host>) -> Result<Exit> {
    secrets::remember_environment();
    let command = options.command(command).map_err(|error| error.because(Cause::Usage))?;
    cli::call(command, host)
}

/// Loads a profile, nexus by default, with the rules that the options `select`, `ignore` and `severity` choose and with
/// those of `presync.toml`: of the file `config`, or else of the nearest one. Also returns its name or path.
///
/// # Errors
/// Returns an error if an option is wrong, or if a file cannot be read.
pub fn profile(mut options: Options) -> Result<(String, Profile)> {
    let mut parse = || Ok((options.utf_8("profile")?, options.path("config")?, options.rules()?));
    let (name, config, rules) = parse().map_err(|error: Error| error.because(Cause::Usage))?;
    let name = name.unwrap_or_else(target::default_profile);
    let rules_of_file = config.map(|file| target::connections(Some(&file))).transpose()?;
    let rules_of_file = rules_of_file.map(|connections| connections.rules().clone());
    let profile = target::profile(&name, rules_of_file.as_ref(), &Choice::from(&rules))?;
    Ok((name, profile))
}

impl FromIterator<(String, Value)> for Options {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Options {
    fn command(mut self, command: &str) -> Result<Command> {
        self.check(command)?;
        let parsed = match command {
            "preview" => Command::Preview(self.preview()?),
            "dry_run" => Command::DryRun(Box::new(self.dry_run()?)),
            "audit" => Command::Audit(Box::new(self.audit()?)),
            "report" => Command::Report(self.report()?),
            "commit" => Command::Commit(self.commit()?),
            "fix" => Command::Fix(Box::new(self.fix()?)),
            "labels" => Command::Labels(Box::new(self.labels()?)),
            "explain" => Command::Explain(self.explain()?),
            "rule" => Command::Rule(self.rule()?),
            _ => match command.strip_prefix("quota ") {
                Some(action) => Command::Quota(self.quota(action)?),
                None => return Err(Error::new(format!("there is no command '{command}'"))),
            },
        };
        match self.0.pop_first() {
            None => Ok(parsed),
            Some((name, _)) => Err(Error::new(format!("{name} is only for the command line"))),
        }
    }

    /// Checks what does not depend on the values: that the options exist, go together and hold no secrets.
    fn check(&self, path: &str) -> Result<()> {
        let mut command = &Cli::command();
        for name in path.split(' ').map(|name| name.replace('_', "-")) {
            let found = command.find_subcommand(&name);
            command = found.ok_or_else(|| Error::new(format!("there is no command '{path}'")))?;
        }
        for (name, value) in &self.0 {
            let arg = command.get_arguments().find(|arg| name_of(arg) == *name);
            let arg = arg.ok_or_else(|| Error::new(format!("{path} has no option '{name}'")))?;
            let mut conflicts = command.get_arg_conflicts_with(arg).into_iter().map(name_of);
            let conflict = conflicts.find(|other| self.is_given(other) && self.is_given(name));
            if let Some(other) = conflict {
                return Err(Error::new(format!("{name} and {other} cannot be used together")));
            }
            let values = match value {
                Value::Flag(_) => &[],
                Value::Text(text) => std::slice::from_ref(text),
                Value::List(list) => list.as_slice(),
            };
            for value in values {
                secrets::check_argument(&value.to_string_lossy())?;
                secrets::check_value(name, value)?;
            }
        }
        Ok(())
    }

    fn is_given(&self, name: &str) -> bool {
        match self.0.get(name) {
            None | Some(Value::Flag(false)) => false,
            Some(Value::List(list)) => !list.is_empty(),
            Some(_) => true,
        }
    }

    fn flag(&mut self, name: &str) -> bool {
        matches!(self.0.remove(name), Some(Value::Flag(true)))
    }

    fn text(&mut self, name: &str) -> Result<Option<OsString>> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Error::new(format!("{name} takes one value"))),
        }
    }

    fn needed(&mut self, name: &str) -> Result<OsString> {
        self.text(name)?.ok_or_else(|| Error::new(format!("{name} is missing")))
    }

    fn path(&mut self, name: &str) -> Result<Option<PathBuf>> {
        Ok(self.text(name)?.map(PathBuf::from))
    }

    fn utf_8(&mut self, name: &str) -> Result<Option<String>> {
        self.parse(name, |text| Ok::<_, &str>(text.to_owned()))
    }

    fn list(&mut self, name: &str) -> Option<Vec<OsString>> {
        match self.0.remove(name)? {
            Value::Flag(_) => None,
            Value::Text(text) => Some(vec![text]),
            Value::List(list) => Some(list),
        }
    }

    fn paths(&mut self, name: &str) -> Vec<PathBuf> {
        self.list(name).unwrap_or_default().into_iter().map(PathBuf::from).collect()
    }

    fn parse<T, E: Display>(
        &mut self,
        name: &str,
        parser: impl Fn(&str) -> std::result::Result<T, E>,
    ) -> Result<Option<T>> {
        self.text(name)?.map(|text| parsed(name, &text, parser)).transpose()
    }

    /// The values of a list.
    fn parse_each<T, E: Display>(
        &mut self,
        name: &str,
        parser: impl Fn(&str) -> std::result::Result<T, E>,
    ) -> Result<Vec<T>> {
        let list = self.list(name).unwrap_or_default();
        list.iter().map(|text| parsed(name, text, &parser)).collect()
    }

    /// The values of a list, each of which may be several, separated by commas.
    fn parse_all<T, E: Display>(
        &mut self,
        name: &str,
        parser: impl Fn(&str) -> std::result::Result<T, E>,
    ) -> Result<Option<Vec<T>>> {
        let Some(list) = self.list(name) else { return Ok(None) };
        let values = list.iter().map(|text| text.to_string_lossy().into_owned()).collect::<Vec<_>>();
        let values = values.iter().flat_map(|text| text.split(','));
        values.map(|text| parsed(name, text.as_ref(), &parser)).collect::<Result<_>>().map(Some)
    }

    fn number<N: TryFrom<i64>>(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<N>> {
        let (least, most) = (range.start(), range.end());
        self.parse(name, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            let number = number.and_then(|number| number.try_into().ok());
            number.ok_or_else(|| format!("it must be between {least} and {most}"))
        })
    }

    fn one_of<T: ValueEnum>(&mut self, name: &str) -> Result<Option<T>> {
        self.parse(name, |text| T::from_str(text, false).map_err(|_| names::<T>()))
    }
}

/// The name of an option or argument.
fn name_of(arg: &clap::Arg) -> String {
    arg.get_long().unwrap_or(arg.get_id().as_str()).replace('-', "_")
}

fn parsed<T, E: Display>(
    name: &str,
    text: &OsStr,
    parser: impl Fn(&str) -> std::result::Result<T, E>,
) -> Result<T> {
    let shown = text.to_string_lossy();
    let wrong = |why: &dyn Display| Error::new(format!("{name} cannot be '{}': {why}", shown.escape_debug()));
    match text.to_str() {
        Some(text) => parser(text).map_err(|why| wrong(&why)),
        None => Err(wrong(&"it is not UTF-8")),
    }
}

/// `it must be one of auto, cli, …`.
fn names<T: ValueEnum>() -> String {
    let values: Vec<_> = T::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
    listed(values.iter().map(|value| value.get_name()))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("it must be one of {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options<const N: usize>(values: [(&str, &str); N]) -> Options {
        values.into_iter().map(|(name, text)| (name.to_owned(), Value::Text(text.into()))).collect()
    }

    fn demo() -> String {
        format!("{}/fixtures/demo", env!("CARGO_MANIFEST_DIR"))
    }

    fn refused(command: &str, options: Options) -> String {
        let error = call(command, options, &Arc::default()).expect_err("it is refused");
        assert_eq!(error.cause(), Cause::Usage, "{error}");
        error.to_string()
    }

    #[test]
    fn a_command_prints_to_its_host() {
        let host = Arc::<Host>::default();
        assert_eq!(call("preview", options([("source", &demo())]), &host), Ok(Exit::Clean));
        let printed: serde_json::Value = serde_json::from_slice(&host.take_printed()).expect("JSON");
        assert_eq!(printed["totals"]["files"], host.progress().listed);
        assert!(host.take_printed().is_empty());
    }

    #[test]
    fn a_stopped_command_ends_with_what_it_has() {
        let (host, folder) = (Arc::<Host>::default(), tempfile::tempdir().expect("a folder"));
        host.stop();
        let plan = folder.path().join("plan.parquet");
        let options = options([("source", &demo()), ("plan", plan.to_str().expect("UTF-8"))]);
        let exit = call("dry_run", options, &host).expect("it is no error");
        assert!(host.is_stopped() && exit == Exit::Incomplete && plan.exists());
        assert!(host.take_said().iter().any(|line| line.contains("is incomplete")));
    }

    #[test]
    fn options_are_checked_as_on_the_command_line() {
        let source = ("source", "media");
        for (command, given, why) in [
            ("preview", vec![], "source is missing"),
            ("previews", vec![source], "no command 'previews'"),
            ("quota sets", vec![], "no command"),
            ("preview", vec![source, ("colour", "red")], "no option 'colour'"),
            ("preview", vec![source, ("format", "text")], "only for the command line"),
            ("preview", vec![source, ("auth", "none")], "one of auto, cli"),
            ("dry_run", vec![source, ("plan", "p"), ("workers", "513")], "between 1 and 512"),
            (
                "dry_run",
                vec![source, ("plan", "p"), ("inventory", "a.csv"), ("no_recurse", "yes")],
                "together",
            ),
            ("fix", vec![source, ("out", "a"), ("backup", "b")], "cannot be used together"),
            (
                "dry_run",
                vec![source, ("plan", "https://a.blob.core.windows.net/c?sig=c2VjcmV0&sp=r")],
                "holds a secret",
            ),
        ] {
            let given = given.into_iter().map(|(name, text)| (name.to_owned(), Value::Text(text.into())));
            let said = refused(command, given.collect());
            assert!(said.contains(why), "{said}");
        }
    }
}
