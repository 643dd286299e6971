//! Errors and hints in the words of a program: `workspace=NAME` where the command line has `--workspace NAME`.

use clap::{Arg, CommandFactory};

use crate::command::cli::Cli;

/// Programs whose command lines hints show. Their options stay as they are.
const PROGRAMS: [&str; 2] = ["presync ", "az "];

/// The text with the options of the command line as arguments of functions.
pub fn in_python(text: &str) -> String {
    if !text.contains("--") {
        return text.to_owned();
    }
    let command = Cli::command();
    let mut said = String::with_capacity(text.len());
    for clause in text.split_inclusive([',', ';']) {
        let has_program = PROGRAMS
            .iter()
            .any(|program| clause.starts_with(program) || clause.contains(&format!(" {program}")));
        match has_program {
            true => said.push_str(clause),
            false => translate(&command, clause, &mut said),
        }
    }
    said
}

fn translate(command: &clap::Command, mut clause: &str, said: &mut String) {
    while let Some(at) = clause.find("--") {
        let (before, rest) = (&clause[..at], &clause[at + 2..]);
        let end =
            rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '-').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        said.push_str(before);
        let is_word = !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '-');
        match option(command, name).filter(|_| is_word) {
            None => {
                said.push_str("--");
                clause = rest;
            }
            Some(arg) => {
                said.push_str(&name.replace('-', "_"));
                clause = value(&arg, after, said);
            }
        }
    }
    said.push_str(clause);
}

/// Writes the value that follows an option, and returns what is behind it.
fn value<'t>(arg: &Arg, after: &'t str, said: &mut String) -> &'t str {
    if !arg.get_action().takes_values() {
        said.push_str("=True");
        return after;
    }
    let word = after.strip_prefix(' ').unwrap_or_default();
    let end =
        word.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').unwrap_or(word.len());
    let (word, rest) = word.split_at(end);
    let is_placeholder = !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_uppercase());
    if is_placeholder {
        said.push_str(&format!("={word}"));
        return rest;
    }
    match arg.get_possible_values().iter().any(|value| value.matches(word, false)) {
        true => {
            said.push_str(&format!("=\"{word}\""));
            rest
        }
        false => after,
    }
}

/// The option of any command with this name.
fn option(command: &clap::Command, name: &str) -> Option<Arg> {
    let here = command.get_arguments().find(|arg| arg.get_long() == Some(name));
    here.cloned().or_else(|| command.get_subcommands().find_map(|command| option(command, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_arguments_and_command_lines_stay() {
        for (text, expected) in [
            ("add --workspace NAME, or set it", "add workspace=NAME, or set it"),
            ("choose another --auth", "choose another auth"),
            ("try --auth managed-identity", "try auth=\"managed-identity\""),
            (
                "use --profile nexus, --profile vi, or a file",
                "use profile=\"nexus\", profile=\"vi\", or a file",
            ),
            (
                "run the same command with --resume to continue",
                "run the same command with resume=True to continue",
            ),
            ("--allow-empty accepts it", "allow_empty=True accepts it"),
            ("give --baseline a plan", "give baseline a plan"),
            (
                "add --workspace NAME; presync quota set --workspace NAME sets its limits",
                "add workspace=NAME; presync quota set --workspace NAME sets its limits",
            ),
            (
                "sign in with Entra ID: az login --tenant X, then --auth cli",
                "sign in with Entra ID: az login --tenant X, then auth=\"cli\"",
            ),
            ("a--plan --- --no-such-option 'x--'", "a--plan --- --no-such-option 'x--'"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(in_python(text), expected);
        }
    }
}
