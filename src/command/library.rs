//! Commands that a program calls: the same options and the same entry as on the command line, without a command line.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{CommandFactory, ValueEnum};

use super::args::{
    AzureArgs, CONCURRENCY, ChoiceArgs, ColorArgs, DisplayArgs, PerformanceArgs, QUEUE, WORKERS,
};
use super::audit::AuditArgs;
use super::cli::{self, Cli, Command};
use super::commit::CommitArgs;
use super::dry_run::args::DryRunArgs;
use super::explain::ExplainArgs;
use super::fix::args::{FixArgs, JOBS};
use super::host::Host;
use super::parts::Weigh;
use super::preview::PreviewArgs;
use super::quota::args::{
    ConfirmArgs, ForgetArgs, LedgerArgs, PlansArgs, QuotaArgs, QuotaCommand, ReleaseArgs, SetArgs, ShowArgs,
    SyncedArgs, amount, limit, month,
};
use super::report::ReportArgs;
use super::rule::RuleArgs;
use super::values::{
    api_version, bandwidth, changeable, duration, one_line, selector, severity, whole_number,
};
use super::{Exit, secrets, target};
use crate::model::Admit;
use crate::model::error::{Cause, Error, Result};
use crate::report::fix::FixFormat;
use crate::report::{Format, TextOrJson};
use crate::rules::fix::Edges;
use crate::rules::{Choice, Profile};

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

    fn color() -> ColorArgs {
        ColorArgs::default()
    }

    fn display() -> DisplayArgs {
        DisplayArgs { quiet: true, ..DisplayArgs::default() }
    }

    fn azure(&mut self) -> Result<AzureArgs> {
        Ok(AzureArgs {
            account: self.utf_8("account")?,
            auth: self.one_of("auth")?,
            api_version: self.parse("api_version", api_version)?,
            config: self.path("config")?,
        })
    }

    fn rules(&mut self) -> Result<ChoiceArgs> {
        Ok(ChoiceArgs {
            select: self.parse_all("select", selector)?,
            ignore: self.parse_all("ignore", changeable)?,
            severity: self.parse_all("severity", severity)?,
        })
    }

    fn performance(&mut self) -> Result<PerformanceArgs> {
        Ok(PerformanceArgs {
            concurrency: self.number("concurrency", CONCURRENCY)?,
            max_requests_per_second: self.number("max_requests_per_second", 1..=u32::MAX.into())?,
            max_bandwidth: self.parse("max_bandwidth", bandwidth)?,
            checkpoint_every: self.parse("checkpoint_every", duration)?,
            workers: self.number("workers", WORKERS)?,
            queue: self.number("queue", QUEUE)?,
        })
    }

    fn admit(&mut self) -> Result<Option<Admit>> {
        let names = || listed(Admit::ALL.iter().map(|order| order.as_str()));
        self.parse("admit", |text| Admit::parse(text).ok_or_else(names))
    }

    fn preview(&mut self) -> Result<PreviewArgs> {
        Ok(PreviewArgs {
            source: self.needed("source")?,
            no_recurse: self.flag("no_recurse"),
            profile: self.utf_8("profile")?,
            format: TextOrJson::Json,
            output: None,
            azure: self.azure()?,
            display: Self::display(),
        })
    }

    fn dry_run(&mut self) -> Result<DryRunArgs> {
        let resume = self.flag("resume");
        Ok(DryRunArgs {
            source: self.needed("source")?,
            no_recurse: self.flag("no_recurse"),
            inventory: self.paths("inventory"),
            image_quota: self.parse("image_quota", whole_number)?,
            frame_quota: self.parse("frame_quota", whole_number)?,
            data_row_quota: self.parse("data_row_quota", whole_number)?,
            reserve: self.parse("reserve", whole_number)?,
            workspace: self.parse("workspace", one_line)?,
            ledger: self.path("ledger")?,
            admit: self.admit()?.unwrap_or_default(),
            profile: self.utf_8("profile")?,
            dimensions: self.flag("dimensions"),
            check_end: self.flag("check_end"),
            max_reads: self.number("max_reads", 0..=u32::MAX.into())?,
            format: Format::Parquet,
            output: Some(self.needed("plan")?.into()),
            resume,
            baseline: self.path("baseline")?,
            synced: self.path("synced")?,
            rules: self.rules()?,
            azure: self.azure()?,
            display: Self::display(),
            performance: self.performance()?,
            ..DryRunArgs::default()
        })
    }

    fn audit(&mut self) -> Result<AuditArgs> {
        Ok(AuditArgs {
            sources: self.list("sources").unwrap_or_default(),
            all: self.flag("all"),
            out: self.needed("out")?.into(),
            one_project: self.flag("one_project"),
            workspace: self.parse("workspace", one_line)?,
            ledger: self.path("ledger")?,
            profile: self.utf_8("profile")?,
            format: TextOrJson::Json,
            output: None,
            exit_zero: false,
            azure: self.azure()?,
            display: Self::display(),
            performance: self.performance()?,
        })
    }

    fn report(&mut self) -> Result<ReportArgs> {
        Ok(ReportArgs {
            plan: self.needed("plan")?.into(),
            weigh: Weigh {
                images: self.parse("image_quota", whole_number)?,
                frames: self.parse("frame_quota", whole_number)?,
                data_rows: self.parse("data_row_quota", whole_number)?,
                reserve: self.parse("reserve", whole_number)?,
                admit: self.admit()?,
            },
            format: self.one_of("format")?.unwrap_or(Format::Json),
            output: self.path("output")?,
            exit_zero: false,
            color: Self::color(),
        })
    }

    fn commit(&mut self) -> Result<CommitArgs> {
        Ok(CommitArgs {
            plan: self.needed("plan")?.into(),
            source: self.text("source")?,
            workspace: self.parse("workspace", one_line)?,
            ledger: self.path("ledger")?,
            profile: self.utf_8("profile")?,
            out: self.path("out")?,
            dry_run: self.flag("dry_run"),
            allow_unknown: self.flag("allow_unknown"),
            format: TextOrJson::Json,
            azure: self.azure()?,
            display: Self::display(),
        })
    }

    fn fix(&mut self) -> Result<FixArgs> {
        let edges = || listed(Edges::ALL.iter().map(|edges| edges.as_str()));
        Ok(FixArgs {
            source: self.needed("source")?,
            apply: self.flag("apply"),
            out: self.path("out")?,
            in_place: self.flag("in_place"),
            backup: self.path("backup")?,
            only: self.parse_all("only", selector)?,
            lossless_only: self.flag("lossless_only"),
            edges: self
                .parse("edges", |text| {
                    Edges::ALL.into_iter().find(|edges| edges.as_str() == text).ok_or_else(edges)
                })?
                .unwrap_or_default(),
            jobs: self.number("jobs", JOBS)?,
            profile: self.utf_8("profile")?,
            format: FixFormat::Json,
            rules: self.rules()?,
            azure: self.azure()?,
            display: Self::display(),
        })
    }

    fn explain(&mut self) -> Result<ExplainArgs> {
        Ok(ExplainArgs {
            asset: self.needed("asset")?,
            profile: self.utf_8("profile")?,
            format: TextOrJson::Json,
            color: Self::color(),
            rules: self.rules()?,
            azure: self.azure()?,
        })
    }

    fn rule(&mut self) -> Result<RuleArgs> {
        Ok(RuleArgs {
            code: self.utf_8("code")?,
            profile: self.utf_8("profile")?,
            format: TextOrJson::Json,
            color: Self::color(),
        })
    }

    fn quota(&mut self, action: &str) -> Result<QuotaArgs> {
        let command = match action {
            "show" => QuotaCommand::Show(self.quota_show()?),
            "set" => QuotaCommand::Set(self.quota_set()?),
            "confirm" => QuotaCommand::Confirm(ConfirmArgs {
                plans: self.plans()?,
                already_used: self.flag("already_used"),
                ledger: self.ledger()?,
            }),
            "release" => QuotaCommand::Release(ReleaseArgs { plans: self.plans()?, ledger: self.ledger()? }),
            "synced" => QuotaCommand::Synced(SyncedArgs {
                plan: self.needed("plan")?.into(),
                workspace: self.parse("workspace", one_line)?,
                ledger: self.ledger()?,
            }),
            "forget" => QuotaCommand::Forget(ForgetArgs {
                source: self.needed("source")?,
                workspace: self.parse("workspace", one_line)?,
                ledger: self.ledger()?,
                azure: self.azure()?,
            }),
            _ => return Err(Error::new(format!("there is no command 'quota {action}'"))),
        };
        Ok(QuotaArgs { command: Some(command), show: Self::default().quota_show()? })
    }

    fn ledger(&mut self) -> Result<LedgerArgs> {
        Ok(LedgerArgs { ledger: self.path("ledger")? })
    }

    fn quota_show(&mut self) -> Result<ShowArgs> {
        Ok(ShowArgs {
            workspace: self.parse("workspace", one_line)?,
            month: self.parse("month", month)?,
            history: self.flag("history"),
            format: TextOrJson::Json,
            ledger: self.ledger()?,
            color: Self::color(),
        })
    }

    fn quota_set(&mut self) -> Result<SetArgs> {
        let args = SetArgs {
            workspace: self.parse("workspace", one_line)?.unwrap_or_else(|| "default".to_owned()),
            month: self.parse("month", month)?,
            stock: self.flag("stock"),
            images: self.parse("images", limit)?,
            frames: self.parse("frames", limit)?,
            data_rows: self.parse("data_rows", limit)?,
            shared: self.parse("shared", limit)?,
            used_images: self.parse("used_images", amount)?,
            used_frames: self.parse("used_frames", amount)?,
            used_data_rows: self.parse("used_data_rows", amount)?,
            used_shared: self.parse("used_shared", amount)?,
            ledger: self.ledger()?,
        };
        match args.limits().is_empty() && args.used().is_empty() {
            true => Err(Error::new("there is nothing to set").with_hint("give a limit, or what is used")),
            false => Ok(args),
        }
    }

    fn plans(&mut self) -> Result<PlansArgs> {
        let list = self.list("plans").unwrap_or_default();
        let args = PlansArgs {
            plans: list.iter().map(|plan| plan.to_string_lossy().into_owned()).collect(),
            all: self.flag("all"),
            workspace: self.parse("workspace", one_line)?,
        };
        match (args.plans.is_empty(), args.all, &args.workspace) {
            (true, false, _) => Err(Error::new("no plans given").with_hint("give IDs of plans, or all")),
            (false, _, Some(_)) => Err(Error::new("workspace can only be used with all")),
            _ => Ok(args),
        }
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
