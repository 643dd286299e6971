//! What presync prints about itself: its version, shell completions and manual pages.

use std::env::consts::{ARCH, OS};
use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::exit::Exit;
use crate::model::error::{Error, Result};
use crate::report;

/// The name and the version.
const PRESYNC: &str = concat!("presync ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command [default: presync itself]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints the version and, if `verbose`, the details of the build that a bug report needs.
///
/// # Errors
/// Returns an error if stdout cannot be written.
pub(super) fn version(verbose: bool) -> Result<Exit> {
    let mut text = format!("{PRESYNC}\n");
    if verbose {
        let commit = option_env!("PRESYNC_COMMIT").filter(|commit| !commit.is_empty());
        let abi = if cfg!(target_env = "musl") { "-musl" } else { "" };
        let features = if cfg!(feature = "python") { "python" } else { "none" };
        text += &commit.map_or(String::new(), |commit| format!("commit: {commit}\n"));
        text += &format!("target: {ARCH}-{OS}{abi}\nfeatures: {features}\n");
    }
    print(text.as_bytes())
}

/// Prints a shell completion script.
///
/// # Errors
/// Returns an error if stdout cannot be written.
pub(super) fn completions(args: &CompletionsArgs, mut presync: Command) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut presync, env!("CARGO_PKG_NAME"), &mut script);
    print(&script)
}

/// Prints a manual page as roff.
///
/// # Errors
/// Returns an error if there is no such command, or if stdout cannot be written.
pub(super) fn man(args: &ManArgs, presync: Command) -> Result<Exit> {
    let mut presync = presync.disable_help_subcommand(true);
    // Gives each command the name of its page, such as presync-dry-run.
    presync.build();
    let command = match &args.command {
        None => presync,
        Some(name) => {
            presync.find_subcommand(name).filter(|command| !command.is_hide_set()).cloned().ok_or_else(
                || {
                    Error::new(format!("there is no command '{}'", name.escape_debug()))
                        .with_hint("presync help lists them all")
                },
            )?
        }
    };
    let mut page = Vec::new();
    // Writing to memory does not fail.
    let _ = Man::new(command).source(PRESYNC).render(&mut page);
    print(&page)
}

fn print(text: &[u8]) -> Result<Exit> {
    let mut out = io::stdout();
    out.write_all(text).and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}
