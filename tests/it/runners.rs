//! Logs of CI runners: no name of a blob is a command, and what was broken can be mended.
//!
//! The models of the runners are written from their published rules: actions/runner, `ActionCommand.TryParseV2` and
//! `TryParse`, and microsoft/azure-pipelines-agent, `Command.TryParse`. Both read lines that end at LF, CR or CR LF.

use std::fs;

use presync::loopback::{Blob, Config, Content, Handle, Server};

use crate::support::presync::{Presync, Ran, demo, root, timeless};

/// Names that are commands, also after a line break, white space, and as halves of one.
const HOSTILE: [&str; 14] = [
    "##vso[task.setvariable variable=A]b.jpg",
    "##VSO[task.complete result=Failed]x.jpg",
    "a ##[error]b.jpg",
    "###[add-mask]jpg.jpg",
    "::add-mask::jpg.jpg",
    "  ::error::b.jpg",
    "\u{2003}::error::b.jpg",
    "a\n::stop-commands::b.jpg",
    "a\r::stop-commands::b.jpg",
    "a\r\n\t::set-output name=a::b.jpg",
    "##teamcity[buildStop]b.jpg",
    "#\\#vso[task.setvariable variable=A]b.jpg",
    ":\\:error::b.jpg",
    "#.jpg",
];

/// GitHub's commands that a step may give.
const COMMANDS: [&str; 14] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
];

/// The command that GitHub takes from a line.
fn github(line: &str) -> Option<String> {
    let registered = |info: &str| {
        let name = info.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        COMMANDS.contains(&name.as_str()).then_some(name)
    };
    let second = || {
        let rest = line.trim_start().strip_prefix("::")?;
        registered(&rest[..rest.find("::")?])
    };
    let first = || {
        let rest = &line[line.find("##[")? + 3..];
        registered(&rest[..rest.find(']')?])
    };
    second().or_else(first)
}

/// The command that Azure Pipelines takes from a line. Its log also shows what begins with `##[` in a way of its own.
fn azure(line: &str) -> Option<String> {
    let lower = line.to_ascii_lowercase();
    let at = lower.find("##vso[").map(|at| at + 6).or_else(|| lower.find("##[").map(|at| at + 3))?;
    Some(lower[at..at + lower[at..].find(']')?].to_owned())
}

/// The command that TeamCity takes from a line.
fn teamcity(line: &str) -> Option<String> {
    line.contains("##teamcity[").then(|| line.to_owned())
}

/// What a runner takes from a line.
type Runner = fn(&str) -> Option<String>;

const RUNNERS: [(&str, &str, Runner); 3] = [
    ("TF_BUILD", "True", azure),
    ("GITHUB_ACTIONS", "true", github),
    ("TEAMCITY_VERSION", "2026.1", teamcity),
];

fn commands(text: &str, runner: Runner) -> Vec<String> {
    text.split(['\n', '\r']).filter_map(runner).collect()
}

/// A text from a log, as the guide says: without one backslash between two `#`, and between two colons that begin a line.
fn mended(log: &str) -> String {
    let mut text = String::new();
    let (mut rest, mut at_start) = (log, true);
    while let Some(mark) = rest.chars().next() {
        text.push(mark);
        rest = &rest[mark.len_utf8()..];
        let after = rest.trim_start_matches('\\');
        if (mark == '#' || mark == ':' && at_start) && after.len() < rest.len() && after.starts_with(mark) {
            rest = &rest[1..];
        }
        at_start = matches!(mark, '\n' | '\r') || at_start && (mark <= ' ' || mark >= '\u{7f}');
    }
    text
}

/// Rotated images with these names, so that each is named in reports.
fn serve() -> Handle {
    let bytes = fs::read(demo().join("cam1/0004.jpg")).expect("the demo container has it");
    let blob = |name: &str| Blob { name: name.into(), bytes: bytes.clone(), ..Blob::default() };
    Server::start(Config::of("media", Content::Blobs(HOSTILE.map(blob).into()))).expect("it starts")
}

fn presync(args: &[&str], variable: Option<(&str, &str)>) -> Ran {
    let run = Presync::new(args);
    match variable {
        Some((name, value)) => run.env(name, value),
        None => run,
    }
    .run()
}

#[test]
fn no_name_is_a_command_in_any_format() {
    let server = serve();
    let source = format!("{}/media", server.url());
    let formats = ["text", "json", "jsonl", "csv", "junit", "sarif", "github", "markdown", "html"];
    let runs = formats.map(|format| vec!["dry-run", &source, "--auth", "anonymous", "--format", format]);
    let previews =
        ["text", "json"].map(|format| vec!["preview", &source, "--auth", "anonymous", "--format", format]);
    for args in runs.into_iter().chain(previews) {
        let format = args[5];
        let plain = presync(&args, None);
        for (variable, value, runner) in RUNNERS {
            let ran = presync(&args, Some((variable, value)));
            assert_eq!(ran.code, plain.code, "{format}: {}", ran.stderr);
            let mut found = commands(&ran.stdout, runner);
            if (format, variable) == ("github", "GITHUB_ACTIONS") {
                assert!(found.iter().any(|command| command == "error"), "its own commands stay: {found:?}");
                found.retain(|command| !["error", "warning", "notice"].contains(&command.as_str()));
            }
            assert_eq!(found, Vec::<String>::new(), "{variable} {format}");
            assert_eq!(commands(&ran.stderr, runner), Vec::<String>::new(), "{variable} {format}");
            match format {
                "json" => assert_eq!(timeless(ran.json()), timeless(plain.json())),
                "sarif" => assert_eq!(ran.json()["runs"][0]["results"], plain.json()["runs"][0]["results"]),
                "jsonl" => assert_eq!(ran.jsonl(), plain.jsonl()),
                "text" | "csv" => assert_eq!(mended(&ran.stdout), plain.stdout),
                _ => {}
            }
        }
    }
}

#[test]
fn no_name_is_a_command_in_an_explanation_or_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let hostile = "##vso[task.setvariable variable=A]";
    fs::copy(demo().join("cam1/0004.jpg"), inside(&format!("{hostile}b.jpg"))).expect("a copy");
    let config = inside("presync.toml");
    fs::write(&config, format!("[connections.a]\ncontainer = \"{hostile}\"\n")).expect("it is written");
    let profile = inside("mine.toml");
    fs::write(&profile, format!("x = '{hostile}'\n")).expect("it is written");
    let asset = inside(&format!("{hostile}b.jpg"));
    let missing = inside(&format!("{hostile}.parquet"));
    let demo = demo().to_str().expect("UTF-8").to_owned();
    let cases: [&[&str]; 8] = [
        &["explain", &asset],
        &["explain", &inside("##[add-mask]jpg")],
        &["report", &missing],
        &["dry-run", "@a", "--config", &config],
        &["dry-run", &demo, "--profile", &profile],
        &["dry-run", &demo, "--profile", "::error::x"],
        &["quota", "release", "##[error]x"],
        &["preview", "a", "##[error]x", "##vso[task.complete]"],
    ];
    for args in cases {
        let plain = presync(args, None);
        let all = plain.stdout + &plain.stderr;
        let says = RUNNERS.iter().any(|(.., runner)| !commands(&all, *runner).is_empty());
        // Only what would be a command shows that it is broken; GitHub's colons must begin a line.
        assert!(says || args.contains(&"::error::x"), "{all}");
        for (variable, value, runner) in RUNNERS {
            let ran = presync(args, Some((variable, value)));
            assert_eq!(ran.code, plain.code);
            assert_eq!(commands(&ran.stdout, runner), Vec::<String>::new(), "{}", ran.stdout);
            assert_eq!(commands(&ran.stderr, runner), Vec::<String>::new(), "{}", ran.stderr);
            assert_eq!(mended(&ran.stdout) + &mended(&ran.stderr), all);
        }
    }
}

#[test]
fn a_file_is_written_as_anywhere() {
    let server = serve();
    let source = format!("{}/media", server.url());
    let folder = tempfile::tempdir().expect("a folder");
    let written = |name: &str, variable| {
        let file = folder.path().join(name);
        let file = file.to_str().expect("UTF-8");
        let args = ["dry-run", &source, "--auth", "anonymous", "--format", "csv", "--output", file];
        assert_eq!(presync(&args, variable).code, 1);
        fs::read_to_string(file).expect("it is there")
    };
    assert_eq!(written("a", Some(("TF_BUILD", "True"))), written("b", None));
    assert!(written("c", None).contains("##vso["));
}

#[test]
fn the_guide_says_how_to_mend_a_log() {
    let guide = fs::read_to_string(root().join(".github/GUIDE.md")).expect("it is there");
    for (variable, ..) in RUNNERS {
        assert!(guide.contains(&format!("`{variable}`")), "{variable}");
    }
}
