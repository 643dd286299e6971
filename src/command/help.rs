//! What `--help` adds to the options of each command: examples, environment variables and exit codes. And what to type
//! instead of a command or an option that does not exist.

use std::fmt::Write;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use crate::rules::nearest;

/// The exit codes of commands that judge assets.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  everything fits: every asset is accepted, within the quota
  1  findings: something is rejected or over the quota
  2  the run could not start or could not continue
  3  incomplete: some assets could not be judged";

/// The exit codes of commands that only print.
const PRINTING: &str = "\
Exit codes:
  0  it was printed
  2  there is no such thing, or it could not be printed";

const LISTING: &str = "\
Exit codes:
  0  the source was listed
  2  the source could not be listed
  3  incomplete: some entries cannot be reached";

/// The variables of everything that reads from Azure.
const SIGN_IN: [(&str, &str); 10] = [
    ("AZURE_STORAGE_ACCOUNT", "account of an az:// source"),
    ("AZURE_STORAGE_CONNECTION_STRING", "account, endpoint and credential"),
    ("AZURE_STORAGE_KEY", "account key"),
    ("AZURE_STORAGE_SAS_TOKEN", "shared access signature"),
    ("AZURE_STORAGE_AUTH_MODE", "key or login: narrows --auth auto"),
    ("AZURE_STORAGE_SERVICE_ENDPOINT", "blob endpoint of the account"),
    ("AZURE_TENANT_ID, AZURE_CLIENT_ID", "service principal or identity, with"),
    ("", "AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH"),
    ("", "or AZURE_FEDERATED_TOKEN_FILE"),
    ("HTTPS_PROXY, NO_PROXY", "proxy, and hosts without one"),
];
const LEDGER: [(&str, &str); 1] = [("PRESYNC_LEDGER", "path to the ledger")];
const DISPLAY: [(&str, &str); 2] =
    [("NO_COLOR", "no colors, if it is set"), ("TMPDIR", "folder for temporary files")];

/// A command's examples and what else its help has.
struct Page {
    command: &'static str,
    /// Each with what it does.
    examples: &'static [(&'static str, &'static str)],
    signs_in: bool,
    uses_ledger: bool,
    /// Unless the command has its own.
    exit_codes: &'static str,
}

const PAGES: [Page; 16] = [
    Page {
        command: "preview",
        examples: &[
            ("presync preview az://cameras --account media", "a container, by its listing alone"),
            ("presync preview photos --include '*.jpg'", "some files of a folder"),
        ],
        signs_in: true,
        uses_ledger: false,
        exit_codes: LISTING,
    },
    Page {
        command: "dry-run",
        examples: &[
            ("presync dry-run photos", "a folder"),
            ("presync dry-run @cams --plan plan.parquet", "a connection, with the plan to commit"),
            (
                "presync dry-run az://cameras/2026/ --account media --image-quota 5000",
                "a prefix, with a quota",
            ),
            ("presync dry-run photos --format html -o report.html", "a report to open in a browser"),
        ],
        signs_in: true,
        uses_ledger: true,
        exit_codes: EXIT_CODES,
    },
    Page {
        command: "audit",
        examples: &[
            ("presync audit --account media --out audit", "every container of an account"),
            ("presync audit @cams @phones --out audit", "two connections"),
        ],
        signs_in: true,
        uses_ledger: true,
        exit_codes: EXIT_CODES,
    },
    Page {
        command: "report",
        examples: &[
            ("presync report plan.parquet", "a plan, as text"),
            ("presync report plan.parquet --format csv -o assets.csv", "a plan, as a table"),
        ],
        signs_in: false,
        uses_ledger: false,
        exit_codes: EXIT_CODES,
    },
    Page {
        command: "commit",
        examples: &[("presync commit plan.parquet --workspace team-a", "reserves quota, writes manifests")],
        signs_in: true,
        uses_ledger: true,
        exit_codes: EXIT_CODES,
    },
    Page { command: "fix", examples: &[], signs_in: true, uses_ledger: false, exit_codes: EXIT_CODES },
    Page {
        command: "reconcile",
        examples: &[("presync reconcile plan.parquet assets.csv", "after the sync")],
        signs_in: false,
        uses_ledger: true,
        exit_codes: EXIT_CODES,
    },
    Page {
        command: "labels",
        examples: &[("presync labels plan.parquet annotations.json", "before an upload of labels")],
        signs_in: true,
        uses_ledger: false,
        exit_codes: EXIT_CODES,
    },
    Page {
        command: "explain",
        examples: &[
            ("presync explain photos/0001.jpg", "a file"),
            ("presync explain @cams/2026/clip.mp4 --format json", "a blob, for a script"),
        ],
        signs_in: true,
        uses_ledger: false,
        exit_codes: "\
Exit codes:
  0  the asset is accepted, or is not an asset
  1  it is rejected
  2  there is no such asset, or it could not be read
  3  it could not be judged",
    },
    Page {
        command: "connections",
        examples: &[
            ("presync connections", "those of the nearest presync.toml"),
            ("presync connections --format json", "the same for a script"),
        ],
        signs_in: false,
        uses_ledger: false,
        exit_codes: PRINTING,
    },
    Page {
        command: "connect",
        examples: &[
            ("presync connect az://cameras --account media", "the commands to run"),
            ("presync connect az://cameras --account media --write cams", "the same, and @cams for later"),
        ],
        signs_in: true,
        uses_ledger: false,
        exit_codes: PRINTING,
    },
    Page {
        command: "doctor",
        examples: &[
            ("presync doctor @cams", "each step of a connection"),
            ("presync doctor @cams --wait", "right after a role was assigned"),
        ],
        signs_in: true,
        uses_ledger: false,
        exit_codes: EXIT_CODES,
    },
    Page {
        command: "quota",
        examples: &[
            ("presync quota set --workspace team-a --images 5000 --frames 100000", "this month's limits"),
            ("presync quota show --workspace team-a", "what is used, reserved and left"),
        ],
        signs_in: false,
        uses_ledger: true,
        exit_codes: "\
Exit codes:
  0  done
  2  the ledger could not be read or changed",
    },
    Page {
        command: "rule",
        examples: &[
            ("presync rule VID002", "one rule"),
            ("presync rule --profile nexus", "a profile to start your own from"),
            ("presync rule --format json", "every rule, for a script"),
        ],
        signs_in: false,
        uses_ledger: false,
        exit_codes: PRINTING,
    },
    Page {
        command: "bench",
        examples: &[
            ("presync bench", "this machine, against its own server"),
            ("presync bench @cams --sample 2000", "a container, from here"),
        ],
        signs_in: true,
        uses_ledger: false,
        exit_codes: "\
Exit codes:
  0  it was measured
  2  the measurement could not start or could not continue",
    },
    Page {
        command: "completions",
        examples: &[
            ("presync completions bash > ~/.local/share/bash-completion/completions/presync", ""),
            ("presync completions fish > ~/.config/fish/completions/presync.fish", ""),
        ],
        signs_in: false,
        uses_ledger: false,
        exit_codes: PRINTING,
    },
];

/// Adds examples, variables and exit codes to the help of each command.
pub(super) fn complete(mut presync: Command) -> Command {
    for page in &PAGES {
        if presync.find_subcommand(page.command).is_some() {
            presync = presync.mut_subcommand(page.command, |command| {
                let own = command.get_after_help().map(ToString::to_string);
                let text = page.text(own.as_deref());
                command.after_long_help(text)
            });
        }
    }
    presync
}

impl Page {
    fn text(&self, own: Option<&str>) -> String {
        let mut text = String::new();
        if !self.examples.is_empty() {
            text += "Examples:\n";
        }
        let longest = self.examples.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
        for (command, what) in self.examples {
            // Beside the command if there is room for all of them.
            let _ = match longest <= 50 && !what.is_empty() {
                true => writeln!(text, "  {command:<longest$}  # {what}"),
                false if what.is_empty() => writeln!(text, "  {command}"),
                false => writeln!(text, "  # {what}\n  {command}"),
            };
        }
        let variables = [
            (self.signs_in, SIGN_IN.as_slice()),
            (self.uses_ledger, LEDGER.as_slice()),
            (true, DISPLAY.as_slice()),
        ];
        text +=
            if self.examples.is_empty() { "Environment variables:\n" } else { "\nEnvironment variables:\n" };
        for (name, what) in variables.into_iter().filter(|(is_used, _)| *is_used).flat_map(|(_, list)| list) {
            let _ = writeln!(text, "  {name:<32}  {what}");
        }
        format!("{text}\n{}", own.unwrap_or(self.exit_codes))
    }
}

/// What people type for a command that has another name here.
const COMMANDS: [(&[&str], &str); 9] = [
    (&["check", "scan", "validate", "verify", "lint", "run", "dryrun", "plan", "analyze", "test"], "dry-run"),
    (&["ls", "list", "count", "du", "stat", "size"], "preview"),
    (&["show", "render", "export", "convert", "view"], "report"),
    (&["apply", "sync", "push", "submit", "reserve"], "commit"),
    (&["repair", "correct", "convert-all", "rotate"], "fix"),
    (&["info", "inspect", "why", "probe", "identify"], "explain"),
    (&["rules", "codes", "profile", "profiles"], "rule"),
    (&["login", "setup", "init", "configure", "add"], "connect"),
    (&["ping", "diagnose", "status", "health"], "doctor"),
];

/// What people type for an option that has another name here.
const OPTIONS: [(&[&str], &str); 12] = [
    (
        &["quota", "limit", "budget", "max-images", "images"],
        "give --image-quota and --frame-quota, or --workspace to use the ledger's quota",
    ),
    (
        &["filter", "glob", "pattern", "match", "include-pattern", "name"],
        "--include and --exclude choose names",
    ),
    (&["exclude-pattern", "skip", "ignore-path"], "--exclude leaves names out; --ignore is for rules"),
    (
        &["json", "csv", "html", "junit", "sarif", "parquet", "markdown"],
        "use --format, such as --format json",
    ),
    (
        &["threads", "jobs", "parallel", "parallelism", "j"],
        "--concurrency sets how many are checked at a time",
    ),
    (&["rate", "rate-limit", "rps", "qps"], "--max-requests-per-second limits requests"),
    (&["bandwidth", "bwlimit", "cap-mbps"], "--max-bandwidth limits bytes, such as 20MiB"),
    (&["prefix", "container", "url", "source", "path"], "it is part of the source: az://CONTAINER/PREFIX"),
    (&["recursive", "recurse", "r"], "folders are entered by default; --no-recurse does not"),
    (&["debug", "trace", "log-level"], "--verbose prints details"),
    (&["silent", "no-bar"], "--quiet prints only errors, and --progress none hides progress"),
    (
        &["key", "account-key", "sas", "sas-token", "connection-string", "token", "password"],
        "credentials come from the environment, such as AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN",
    ),
];

/// Says what to type instead of a command or an option that does not exist, where clap does not know it.
pub(super) fn advise(mut error: Error) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.trim_start_matches('-').to_ascii_lowercase()),
        _ => None,
    };
    let (tip, similar) = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let known = COMMANDS.iter().find(|(words, _)| words.contains(&typed.as_str()));
            let tip = match known {
                Some((_, command)) => Some(format!("did you mean 'presync {command}'?")),
                None if is_source(&typed) => {
                    Some("the command before the source is missing: presync dry-run SOURCE".to_owned())
                }
                None => nearest(&typed).map(|code| format!("did you mean 'presync rule {code}'?")),
            };
            (tip, ContextKind::SuggestedSubcommand)
        }
        ErrorKind::UnknownArgument => {
            let typed = text(ContextKind::InvalidArg).unwrap_or_default();
            let typed = typed.split('=').next().unwrap_or_default();
            let is_option = matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(text)) if text.starts_with('-'));
            if !is_option && is_source(typed) {
                let tip =
                    "there is one source at a time: give a folder and --include 'GLOB', or use presync audit";
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
                return error;
            }
            let known = OPTIONS.iter().find(|(words, _)| words.contains(&typed));
            (known.map(|(_, tip)| (*tip).to_owned()), ContextKind::SuggestedArg)
        }
        _ => return error,
    };
    if let Some(tip) = tip {
        error.remove(similar);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Whether this is a source in place of a command.
fn is_source(text: &str) -> bool {
    text.starts_with('@') || text.contains(['/', '\\', '.']) || std::path::Path::new(text).exists()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::command::Cli;

    #[test]
    fn every_command_has_a_page_and_its_examples_are_accepted() {
        let presync = complete(Cli::command());
        for command in presync.get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(name == "man" || help.contains("Examples:\n"), "{name} has no examples");
        }
        for (example, _) in PAGES.iter().flat_map(|page| page.examples) {
            let words = shlex::split(example.split(" > ").next().expect("a command")).expect("it is quoted");
            if let Err(error) = presync.clone().try_get_matches_from(words) {
                panic!("{example}: {error}");
            }
            assert!(example.len() <= 90, "{example}");
        }
    }

    #[test]
    fn what_stands_for_a_command_or_an_option_is_none_itself() {
        let presync = Cli::command();
        for (words, command) in COMMANDS {
            assert!(presync.find_subcommand(command).is_some(), "{command}");
            assert!(words.iter().all(|word| presync.find_subcommand(word).is_none()), "{command}");
        }
    }
}
