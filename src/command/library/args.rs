//! The arguments of each command, from its options.

use super::{Options, listed};
use crate::command::args::{
    AzureArgs, CONCURRENCY, CheckArgs, ChoiceArgs, ColorArgs, DisplayArgs, FilterArgs, LimitArgs,
    PerformanceArgs, QUEUE, WORKERS,
};
use crate::command::audit::AuditArgs;
use crate::command::commit::CommitArgs;
use crate::command::dry_run::args::DryRunArgs;
use crate::command::explain::ExplainArgs;
use crate::command::fix::args::{FixArgs, JOBS};
use crate::command::gate::GateArgs;
use crate::command::labels::{LabelsArgs, LabelsFailOn};
use crate::command::parts::Weigh;
use crate::command::preview::PreviewArgs;
use crate::command::quota::args::{
    ConfirmArgs, ForgetArgs, LedgerArgs, PlansArgs, QuotaArgs, QuotaCommand, ReleaseArgs, SetArgs, ShowArgs,
    SyncedArgs, amount, limit, month,
};
use crate::command::report::ReportArgs;
use crate::command::rule::RuleArgs;
use crate::command::values::{
    api_version, bandwidth, changeable, duration, one_line, selector, severity, whole_number,
};
use crate::model::error::{Error, Result};
use crate::model::{Admit, Glob};
use crate::report::comparison::ComparisonFormat;
use crate::report::fix::FixFormat;
use crate::report::{Format, TextOrJson};
use crate::rules::fix::Edges;

impl Options {
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

    pub(super) fn rules(&mut self) -> Result<ChoiceArgs> {
        Ok(ChoiceArgs {
            select: self.parse_all("select", selector)?,
            ignore: self.parse_all("ignore", changeable)?,
            severity: self.parse_all("severity", severity)?,
        })
    }

    fn names(&mut self) -> Result<FilterArgs> {
        let (include, exclude) =
            (self.parse_each("include", Glob::parse)?, self.parse_each("exclude", Glob::parse)?);
        Ok(FilterArgs { include, exclude })
    }

    fn limits(&mut self) -> Result<LimitArgs> {
        Ok(LimitArgs {
            concurrency: self.number("concurrency", CONCURRENCY)?,
            max_requests_per_second: self.number("max_requests_per_second", 1..=u32::MAX.into())?,
            max_bandwidth: self.parse("max_bandwidth", bandwidth)?,
        })
    }

    fn performance(&mut self) -> Result<PerformanceArgs> {
        Ok(PerformanceArgs {
            limits: self.limits()?,
            checkpoint_every: self.parse("checkpoint_every", duration)?,
            workers: self.number("workers", WORKERS)?,
            queue: self.number("queue", QUEUE)?,
        })
    }

    fn admit(&mut self) -> Result<Option<Admit>> {
        let names = || listed(Admit::ALL.iter().map(|order| order.as_str()));
        self.parse("admit", |text| Admit::parse(text).ok_or_else(names))
    }

    fn checks(&mut self) -> Result<CheckArgs> {
        Ok(CheckArgs {
            no_recurse: self.flag("no_recurse"),
            allow_empty: self.flag("allow_empty"),
            admit: self.admit()?.unwrap_or_default(),
            profile: self.utf_8("profile")?,
            dimensions: self.flag("dimensions"),
            check_end: self.flag("check_end"),
            max_reads: self.number("max_reads", 0..=u32::MAX.into())?,
        })
    }

    pub(super) fn preview(&mut self) -> Result<PreviewArgs> {
        Ok(PreviewArgs {
            source: self.needed("source")?,
            no_recurse: self.flag("no_recurse"),
            allow_empty: self.flag("allow_empty"),
            profile: self.utf_8("profile")?,
            format: TextOrJson::Json,
            output: None,
            names: self.names()?,
            azure: self.azure()?,
            display: Self::display(),
        })
    }

    pub(super) fn dry_run(&mut self) -> Result<DryRunArgs> {
        let resume = self.flag("resume");
        Ok(DryRunArgs {
            source: self.needed("source")?,
            inventory: self.paths("inventory"),
            image_quota: self.parse("image_quota", whole_number)?,
            frame_quota: self.parse("frame_quota", whole_number)?,
            data_row_quota: self.parse("data_row_quota", whole_number)?,
            reserve: self.parse("reserve", whole_number)?,
            workspace: self.parse("workspace", one_line)?,
            ledger: self.path("ledger")?,
            check: self.checks()?,
            format: Format::Parquet,
            output: Some(self.needed("plan")?.into()),
            resume,
            baseline: self.path("baseline")?,
            synced: self.path("synced")?,
            names: self.names()?,
            rules: self.rules()?,
            azure: self.azure()?,
            display: Self::display(),
            performance: self.performance()?,
            ..DryRunArgs::default()
        })
    }

    pub(super) fn audit(&mut self) -> Result<AuditArgs> {
        Ok(AuditArgs {
            sources: self.list("sources").unwrap_or_default(),
            all: self.flag("all"),
            include_container: self.parse_each("include_container", Glob::parse)?,
            exclude_container: self.parse_each("exclude_container", Glob::parse)?,
            out: self.needed("out")?.into(),
            one_project: self.flag("one_project"),
            workspace: self.parse("workspace", one_line)?,
            ledger: self.path("ledger")?,
            baseline: self.path("baseline")?,
            check: self.checks()?,
            format: Format::Json,
            output: None,
            gate: GateArgs::default(),
            names: self.names()?,
            rules: self.rules()?,
            azure: self.azure()?,
            display: Self::display(),
            performance: self.performance()?,
        })
    }

    pub(super) fn report(&mut self) -> Result<ReportArgs> {
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
            gate: GateArgs::default(),
            color: Self::color(),
        })
    }

    pub(super) fn commit(&mut self) -> Result<CommitArgs> {
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

    pub(super) fn fix(&mut self) -> Result<FixArgs> {
        let edges = || listed(Edges::ALL.iter().map(|edges| edges.as_str()));
        Ok(FixArgs {
            source: self.needed("source")?,
            apply: self.flag("apply"),
            script: None,
            out: self.path("out")?,
            to: self.text("to")?,
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
            allow_empty: self.flag("allow_empty"),
            names: self.names()?,
            rules: self.rules()?,
            azure: self.azure()?,
            display: Self::display(),
            limits: self.limits()?,
        })
    }

    pub(super) fn labels(&mut self) -> Result<LabelsArgs> {
        let labels = self.paths("labels");
        if labels.is_empty() {
            return Err(Error::new("labels is missing"));
        }
        Ok(LabelsArgs {
            source: self.needed("source")?,
            labels,
            column: self.utf_8("column")?,
            profile: self.utf_8("profile")?,
            format: ComparisonFormat::Json,
            output: None,
            exit_zero: false,
            fail_on: LabelsFailOn::default(),
            names: self.names()?,
            rules: self.rules()?,
            azure: self.azure()?,
            display: Self::display(),
        })
    }

    pub(super) fn explain(&mut self) -> Result<ExplainArgs> {
        Ok(ExplainArgs {
            asset: self.needed("asset")?,
            profile: self.utf_8("profile")?,
            format: TextOrJson::Json,
            color: Self::color(),
            rules: self.rules()?,
            azure: self.azure()?,
        })
    }

    pub(super) fn rule(&mut self) -> Result<RuleArgs> {
        Ok(RuleArgs {
            code: self.utf_8("code")?,
            profile: self.utf_8("profile")?,
            format: TextOrJson::Json,
            color: Self::color(),
        })
    }

    pub(super) fn quota(&mut self, action: &str) -> Result<QuotaArgs> {
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
