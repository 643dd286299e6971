//! What the platform needs, as Azure CLI commands for a shell. Everything else is a comment.

use std::io::{self, Write};

use super::{APP_ID, Plan};
use crate::report::shown;
use crate::report::style::{BOLD, DIM};
use crate::source::azure::commands::{self, Az, Shell};

/// A command, and why to run it.
struct Step {
    title: &'static str,
    why: Vec<String>,
    az: Az,
}

/// Prints the commands.
///
/// # Errors
/// Returns an error if `out` cannot be written.
pub(super) fn print(out: &mut impl Write, plan: &Plan<'_>, shell: Shell) -> io::Result<()> {
    let name = if shell == Shell::Bash { "bash" } else { "PowerShell" };
    print_head(out, plan, "#")?;
    writeln!(out, "# {DIM}For {name}. First run az login, as a user who may assign roles.{DIM:#}")?;
    for (number, step) in (1..).zip(steps(plan)) {
        writeln!(out, "\n# {BOLD}{number}. {}{BOLD:#}", step.title)?;
        for line in &step.why {
            writeln!(out, "#    {DIM}{line}{DIM:#}")?;
        }
        writeln!(out, "{}", step.az.lines(shell))?;
    }
    writeln!(out)?;
    print_portal(out, plan, "#")?;
    writeln!(
        out,
        "# {DIM}The role can take 5 minutes to take effect. External buckets need a paid plan.{DIM:#}"
    )
}

/// Says that there is nothing to run.
///
/// # Errors
/// Returns an error if `out` cannot be written.
pub(super) fn print_none(out: &mut impl Write, plan: &Plan<'_>) -> io::Result<()> {
    print_head(out, plan, "#")?;
    writeln!(out, "# {DIM}An emulator has no directory and no roles: there is nothing to run.{DIM:#}")
}

fn steps(plan: &Plan<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(az) = commands::select_cloud(plan.url.endpoint()) {
        let why = vec!["selects the national cloud of the account; run it before az login".to_owned()];
        steps.push(Step { title: "Cloud", why, az });
    }

    let mut why = vec!["gives the platform's application an identity in your directory".to_owned()];
    if plan.app_id.is_none() {
        why.push(format!("replace {APP_ID} with the application's ID, or pass --app-id"));
    }
    let az = commands::create_principal(plan.app_id());
    steps.push(Step { title: "Service principal", why, az });

    let why = [
        "lets it list and read; the condition limits it to this container",
        "on the account, because listing fails with a role on the container alone",
        "if az does not find the principal yet, run this again after a minute",
    ];
    let az = plan.account.assign_role(plan.app_id(), plan.url.container());
    steps.push(Step { title: "Role", why: why.map(str::to_owned).to_vec(), az });

    let mut why = vec!["lets a browser on the platform's site play videos from the account".to_owned()];
    if plan.is_origin_assumed {
        let site = plan.origins.join(" ");
        why.push(format!("assumes that the site is {site}; pass --origin for another one"));
    }
    steps.push(Step { title: "CORS", why, az: plan.account.add_cors_rule(plan.origins) });
    steps
}

/// What is connected, as comments that begin with `mark`.
pub(super) fn print_head(out: &mut impl Write, plan: &Plan<'_>, mark: &str) -> io::Result<()> {
    let (url, version) = (plan.url, env!("CARGO_PKG_VERSION"));
    writeln!(out, "{mark} {BOLD}presync connect{BOLD:#} {DIM}{version}{DIM:#}\n{mark}")?;
    let rows = [
        ("source", Some(url.to_string())),
        ("account", Some(plan.account.name.to_owned())),
        ("container", Some(url.container().to_owned())),
        ("prefix", Some(url.prefix().to_owned()).filter(|prefix| !prefix.is_empty())),
    ];
    for (label, value) in rows {
        if let Some(value) = value {
            writeln!(out, "{mark}   {DIM}{label:<10}{DIM:#}  {}", shown(&value))?;
        }
    }
    writeln!(out, "{mark}")
}

/// The condition as the portal takes it, without any quotes of a shell.
pub(super) fn print_portal(out: &mut impl Write, plan: &Plan<'_>, mark: &str) -> io::Result<()> {
    writeln!(
        out,
        "{mark} {DIM}In the portal: account, Access control (IAM), Add role assignment, Conditions, Code:{DIM:#}"
    )?;
    writeln!(out, "{mark}   {}", commands::role_condition(plan.url.container()))
}
