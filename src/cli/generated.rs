//! What is made from the command line's own definition: completions and manual pages.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::Cli;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The command whose page it is [default: presync itself]
    #[arg(value_name = "COMMAND", value_parser = page)]
    command: Option<String>,
}

impl CompletionsArgs {
    /// The script that the shell reads.
    pub(super) fn text(self) -> Vec<u8> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut text);
        text
    }
}

impl ManArgs {
    /// The page, as roff.
    pub(super) fn text(self) -> Vec<u8> {
        let mut command = Cli::command().disable_help_subcommand(true);
        // Gives each command the name of its page, such as presync-dry-run.
        command.build();
        let of_command = self.command.and_then(|name| command.find_subcommand(name).cloned());
        let page = Man::new(of_command.unwrap_or(command));
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = page.source(concat!("presync ", env!("CARGO_PKG_VERSION"))).render(&mut text);
        text
    }
}

/// A command that has a page.
fn page(name: &str) -> Result<String, &'static str> {
    match Cli::command().find_subcommand(name).is_some_and(|command| !command.is_hide_set()) {
        true => Ok(name.to_owned()),
        false => Err("there is no such command; presync help lists them all"),
    }
}
