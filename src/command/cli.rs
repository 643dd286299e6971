//! The command line: what a user types.

use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once, PoisonError};

use anstyle::Style;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::about::{CompletionsArgs, ManArgs};
use super::audit::AuditArgs;
use super::bench::BenchArgs;
use super::commit::CommitArgs;
use super::connect::ConnectArgs;
use super::connections::ConnectionsArgs;
use super::doctor::DoctorArgs;
use super::dry_run::args::DryRunArgs;
use super::exit::Exit;
use super::explain::ExplainArgs;
use super::fix::FixArgs;
use super::help::EXIT_CODES;
use super::host::{self, Host};
use super::labels::LabelsArgs;
use super::loopback::LoopbackArgs;
use super::preview::PreviewArgs;
use super::quota::QuotaArgs;
use super::reconcile::ReconcileArgs;
use super::report::ReportArgs;
use super::rule::RuleArgs;
use super::{
    about, audit, bench, commit, connect, connections, doctor, dry_run, explain, fix, help, labels, loopback,
    output, preview, quota, reconcile, report, rule, secrets,
};
use crate::files::parquet_file;
use crate::model::error::{Error, Result};
use crate::model::secret::redact;
use crate::model::shown;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Runs the command with these arguments, the first of which is the program's name, and reports an error on stderr.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    prepare();
    guarded(|| {
        secrets::remember_environment();
        let args: Vec<_> = args.into_iter().collect();
        secrets::check_arguments(&args)?;
        let parsed = help::complete(Cli::command()).try_get_matches_from(args);
        match parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches))) {
            Ok((cli, matches)) => {
                secrets::check_options(&matches)?;
                cli.run()
            }
            Err(error) => {
                let exit = if error.use_stderr() { Exit::Failed } else { Exit::Clean };
                print_usage(&help::advise(error));
                Ok(exit)
            }
        }
    })
}

/// Calls a command from a program, on the calling thread. What it would print goes to `host`.
///
/// # Errors
/// Returns an error if an option is wrong, or if the command cannot start or cannot continue.
pub(super) fn call(command: Command, host: &Arc<Host>) -> Result<Exit> {
    prepare();
    caught(|| host::with(host, || Cli { version: false, verbose: false, command: Some(command) }.run()))
}

/// Prepares this process, once.
fn prepare() {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(|| {
        note_panics();
        raise_open_files();
    });
}

/// Runs a command. If it panics, on whichever thread, it fails.
fn guarded(run: impl FnOnce() -> Result<Exit>) -> Exit {
    caught(run).unwrap_or_else(|error| fail(&error))
}

/// Runs a command. If it panics, on whichever thread, that is an error.
fn caught(run: impl FnOnce() -> Result<Exit>) -> Result<Exit> {
    let ran = catch_unwind(AssertUnwindSafe(run));
    // A panic on another thread may have become an error that says less, or a result that misses something.
    match (PANICKED_AT.lock().unwrap_or_else(PoisonError::into_inner).take(), ran) {
        (Some(place), _) => {
            Err(Error::new(format!("a bug in presync ended the run (at {place}); please report it"))
                .with_hint("set RUST_BACKTRACE=1 to see more"))
        }
        (None, Ok(ran)) => ran,
        (None, Err(_)) => Err(Error::new("a bug in presync ended the run; please report it")),
    }
}

/// Prints what clap says about the arguments, which it repeats, or the help.
fn print_usage(error: &clap::Error) {
    let text = error.render().ansi().to_string();
    let text = redact(&text);
    // If it cannot be written, there is nowhere else to report it.
    let _ = match error.use_stderr() {
        true => write!(output::stderr(), "{text}"),
        false => write!(anstream::stdout(), "{text}"),
    };
}

/// Where the first panic was that nothing catches, until a command reports it.
static PANICKED_AT: Mutex<Option<String>> = Mutex::new(None);

/// Notes a panic instead of printing it: its text may show what a blob contains. A panic on a thread that probes or
/// decodes a plan is caught there and becomes a verdict or an error.
fn note_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let probes = std::thread::current().name().is_some_and(|name| name.starts_with("probe-"));
        if probes || parquet_file::is_decoding() {
            return;
        }
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        PANICKED_AT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(place);
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|wanted| wanted != "0") {
            default(panic);
        }
    }));
}

/// Lets this process have as many files open as the system allows it: each connection is one, and the usual limits are
/// lower than a run needs (256 on macOS, 1,024 on Linux).
fn raise_open_files() {
    // If it cannot be raised, fewer connections are opened.
    #[cfg(unix)]
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Prints the error and its hint.
fn fail(error: &Error) -> Exit {
    const ERROR: Style = AnsiColor::Red.on_default().bold();
    const HELP: Style = AnsiColor::Cyan.on_default().bold();
    if !error.is_closed_output() {
        let mut stderr = output::stderr();
        // If stderr cannot be written, there is nowhere else to report it.
        let _ = writeln!(stderr, "{ERROR}error:{ERROR:#} {}", shown(error.message()));
        for line in error.excerpt().unwrap_or_default().lines() {
            let _ = writeln!(stderr, "{}", shown(line));
        }
        if let Some(hint) = error.hint() {
            let _ = writeln!(stderr, "{HELP}help:{HELP:#} {}", shown(hint));
        }
    }
    Exit::Failed
}

/// Know what a sync of cloud media into an annotation platform will leave out, before it runs
#[derive(Debug, Parser)]
#[command(name = "presync", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
#[command(override_usage = "presync <COMMAND>", disable_version_flag = true, arg_required_else_help = true)]
pub struct Cli {
    /// Print the version; add --verbose for details of the build
    #[arg(long, short = 'V')]
    version: bool,

    #[arg(long, short, requires = "version", hide = true)]
    verbose: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Count the files of a source by kind and folder, from the listing alone
    Preview(PreviewArgs),
    /// Report which assets will sync, which will not and why, and what they will cost
    DryRun(Box<DryRunArgs>),
    /// Check many containers in one run: a plan for each, and one summary
    Audit(Box<AuditArgs>),
    /// Render a saved plan as a report in any format
    Report(ReportArgs),
    /// Reserve a plan's quota and write its manifests, unless the plan no longer holds
    Commit(CommitArgs),
    /// Compare a plan with the platform's own list of assets, after the sync
    Reconcile(ReconcileArgs),
    /// Check which label files will find their asset
    Labels(Box<LabelsArgs>),
    /// Fix what keeps assets from syncing; writes only with --apply
    Fix(Box<FixArgs>),
    /// Explain one asset: every range read, what was found where, the verdict and the fix
    Explain(ExplainArgs),
    /// List the connections of presync.toml
    Connections(ConnectionsArgs),
    /// Print the Azure CLI commands that let the platform read a container
    Connect(ConnectArgs),
    /// Test a connection end to end, and show the cause and fix of each failure
    Doctor(DoctorArgs),
    /// Show or change the ledger: a month's quota, and how much of it is used, reserved and left
    Quota(QuotaArgs),
    /// Show every rule, or one: what it means, why it exists, how to fix it
    Rule(RuleArgs),
    /// Measure how fast a container can be read from here, and what bounds it
    Bench(Box<BenchArgs>),
    /// Print a shell completion script
    Completions(CompletionsArgs),
    /// Print the manual page of presync or of one of its commands, as roff
    Man(ManArgs),
    /// Serve blobs on 127.0.0.1 for tests and benchmarks, until stdin ends
    #[command(hide = true)]
    Loopback(LoopbackArgs),
    /// Make one measurement of a benchmark, given as JSON on stdin
    #[command(hide = true)]
    BenchJob,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns an error if the command cannot start or cannot continue.
    pub fn run(self) -> Result<Exit> {
        // Without a command, --version is the only argument that clap accepts.
        let Some(command) = self.command.filter(|_| !self.version) else {
            return about::version(self.verbose);
        };
        match command {
            Command::Preview(args) => preview::run(&args),
            Command::DryRun(args) => dry_run::run(&args),
            Command::Audit(args) => audit::run(&args),
            Command::Report(args) => report::run(&args),
            Command::Commit(args) => commit::run(&args),
            Command::Reconcile(args) => reconcile::run(&args),
            Command::Labels(args) => labels::run(&args),
            Command::Fix(args) => fix::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Connections(args) => connections::run(&args),
            Command::Connect(args) => connect::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Quota(args) => quota::run(&args),
            Command::Rule(args) => rule::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Completions(args) => about::completions(&args, help::complete(Self::command())),
            Command::Man(args) => about::man(&args, help::complete(Self::command())),
            Command::Loopback(args) => loopback::run(&args),
            Command::BenchJob => bench::run_job(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure() {
        assert_eq!(guarded(|| Ok(Exit::Clean)), Exit::Clean);
        assert_eq!(guarded(|| panic!("on purpose")), Exit::Failed);
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
