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
    /// The command, and a command of it, such as quota set [default: presync itself]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
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
pub(super) fn completions(args: &CompletionsArgs, presync: Command) -> Result<Exit> {
    let mut script = Vec::new();
    // A command that help does not list is not completed either.
    let visible = presync.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut presync = Command::new(env!("CARGO_PKG_NAME"))
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .args(presync.get_arguments().filter(|arg| !arg.is_hide_set()).cloned().collect::<Vec<_>>())
        .subcommands(visible.collect::<Vec<_>>());
    clap_complete::generate(args.shell, &mut presync, env!("CARGO_PKG_NAME"), &mut script);
    script.extend(
        match args.shell {
            Shell::Bash => BASH_NAMES,
            Shell::Fish => FISH_NAMES,
            Shell::Zsh => ZSH_NAMES,
            _ => "",
        }
        .bytes(),
    );
    print(&script)
}

/// Completes `@NAME` from presync.toml; a name that a shell would split or expand is quoted.
const BASH_NAMES: &str = r#"
_presync_names() {
    if [[ "$2" == @* ]]; then
        local name
        COMPREPLY=()
        while IFS= read -r name; do
            [[ "$name" == "$2"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
        done < <(presync connections --names 2>/dev/null)
    else
        _presync "$@"
    fi
}
complete -F _presync_names -o bashdefault -o default presync
"#;
const FISH_NAMES: &str = r#"
complete -c presync -n 'string match -q "@*" -- (commandline -ct)' -f -a '(presync connections --names 2>/dev/null)'
"#;
const ZSH_NAMES: &str = r#"
_presync_names() {
    if [[ "$PREFIX" == @* ]]; then
        compadd -- ${(f)"$(presync connections --names 2>/dev/null)"}
    else
        _presync "$@"
    fi
}
[[ "$funcstack[1]" == _presync ]] || compdef _presync_names presync
"#;

/// Prints a manual page as roff.
///
/// # Errors
/// Returns an error if there is no such command, or if stdout cannot be written.
pub(super) fn man(args: &ManArgs, presync: Command) -> Result<Exit> {
    let mut presync = presync.disable_help_subcommand(true);
    // Gives each command the name of its page, such as presync-dry-run.
    presync.build();
    let mut command = &presync;
    for name in &args.command {
        command =
            command.find_subcommand(name).filter(|command| !command.is_hide_set()).ok_or_else(|| {
                let error = Error::new(format!("there is no command '{}'", name.escape_debug()));
                match nearest(command, name) {
                    Some(known) => error.with_hint(format!("did you mean {known}?")),
                    None => error.with_hint("presync help lists them all"),
                }
            })?;
    }
    let mut page = Vec::new();
    // Writing to memory does not fail.
    let _ = Man::new(command.clone()).source(PRESYNC).render(&mut page);
    // What follows the options is laid out already: examples, variables and exit codes.
    let page = String::from_utf8_lossy(&page).replacen(".SH EXTRA\n", ".SH NOTES\n.nf\n", 1);
    print(page.as_bytes())
}

/// The subcommand whose name is most like this one, if one is.
fn nearest<'a>(command: &'a Command, name: &str) -> Option<&'a str> {
    /// The least similarity, from 0 to 1 (Jaro–Winkler).
    const ALIKE: f64 = 0.8;
    let known = command.get_subcommands().filter(|command| !command.is_hide_set()).map(Command::get_name);
    let alike = known.map(|known| (strsim::jaro_winkler(known, name), known));
    alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

fn print(text: &[u8]) -> Result<Exit> {
    let mut out = io::stdout();
    out.write_all(text).and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}
