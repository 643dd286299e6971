//! The documentation holds: its examples, tables, commands, options, links and paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use presync::model::{Code, Severity};
use serde_json::Value;

use crate::support::presync::{Presync, demo, root};

const README: &str = "README.md";
const GUIDE: &str = ".github/GUIDE.md";
const CONTRIBUTING: &str = ".github/CONTRIBUTING.md";
const BENCHMARKS: &str = "benches/README.md";
const DOCUMENTS: [&str; 4] = [README, GUIDE, CONTRIBUTING, BENCHMARKS];

/// The README is for newcomers, who should reach its end.
const MAX_README_LINES: usize = 250;

/// Stands for lines of output that an example leaves out.
const ELISION: &str = "…";

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// From a heading to the next one of its level.
fn section(path: &str, heading: &str) -> String {
    let text = read(path);
    let rest = text.split(&format!("\n## {heading}\n")).nth(1).expect("a section");
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The text of the first block in this language.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let block = text.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap_or_else(|| panic!("there is no block of {language}"))
}

/// A document taken apart.
struct Document {
    path: &'static str,
    /// Fenced blocks: the language and the text.
    blocks: Vec<(String, String)>,
    /// All that is between them.
    prose: String,
}

impl Document {
    fn read(path: &'static str) -> Self {
        let (mut blocks, mut prose) = (Vec::new(), String::new());
        for (number, part) in read(path).split("```").enumerate() {
            match (number % 2, part.split_once('\n')) {
                (1, Some((language, text))) => blocks.push((language.to_owned(), text.to_owned())),
                _ => prose.push_str(part),
            }
        }
        assert_eq!(prose.matches('`').count() % 2, 0, "{path}: a code span is not closed");
        Self { path, blocks, prose }
    }

    fn all() -> impl Iterator<Item = Self> {
        DOCUMENTS.into_iter().map(Self::read)
    }

    /// What is written `like this`.
    fn spans(&self) -> impl Iterator<Item = String> {
        let spans = self.prose.split('`').skip(1).step_by(2);
        spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// What a reader may type: code spans, and the lines of shell blocks.
    fn command_lines(&self) -> impl Iterator<Item = String> {
        let lines = self.blocks.iter().flat_map(|(language, text)| {
            let prompt = if language == "console" { "$ " } else { "" };
            let lines = text.lines().filter(move |_| language == "console" || language == "sh");
            lines.filter_map(move |line| line.strip_prefix(prompt)).map(str::to_owned)
        });
        lines.chain(self.spans())
    }
}

/// The arguments of presync in a command line, up to a comment, a pipe or a redirection.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let words = line.split_whitespace();
    let words: Vec<_> =
        words.take_while(|word| !word.starts_with('#') && !["|", ">", "&&"].contains(word)).collect();
    let presync = words.iter().rposition(|word| *word == "presync" || word.ends_with("/presync"));
    let is_cargo_run = words.starts_with(&["cargo", "run"]);
    let before = if is_cargo_run { words.iter().position(|word| *word == "--") } else { presync };
    Some(words[before? + 1..].to_vec()).filter(|arguments| !arguments.is_empty())
}

/// An option without its value, and without the dots of one that may be repeated.
fn option(word: &str) -> Option<&str> {
    word.split(['=', '.']).next().filter(|name| name.starts_with("--") && name.len() > 2)
}

fn help(command: &str) -> String {
    Presync::new(["help"].into_iter().chain(command.split_whitespace())).run().stdout
}

/// The options of every command, as `presync help` lists them; those of presync itself are under an empty name.
pub fn commands() -> BTreeMap<String, BTreeSet<String>> {
    let (mut commands, mut unread) = (BTreeMap::new(), vec![String::new()]);
    while let Some(command) = unread.pop() {
        let help = help(&command);
        let listed = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        // A line that is indented further continues a description.
        let names = listed.into_iter().flat_map(str::lines).filter_map(|line| line.strip_prefix("  "));
        let names = names.filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty());
        unread.extend(
            names.filter(|name| *name != "help").map(|name| format!("{command} {name}").trim().to_owned()),
        );
        // Descriptions are indented further.
        let lines = help.lines().filter(|line| !line.starts_with("       ")).map(str::trim);
        let lines = lines.filter(|line| line.starts_with('-'));
        // A short name may come first, as in `-o, --output`.
        let options = lines.flat_map(|line| line.split_whitespace().take(2)).filter_map(option);
        commands.insert(command, options.map(str::to_owned).collect());
    }
    commands
}

/// The name under which these arguments' options are listed.
fn command_of(arguments: &[&str], commands: &BTreeMap<String, BTreeSet<String>>) -> String {
    match arguments {
        [first, ..] if first.starts_with('-') || *first == "help" => String::new(),
        [first, second, ..] if commands.contains_key(&format!("{first} {second}")) => {
            format!("{first} {second}")
        }
        [first, ..] => (*first).to_owned(),
        [] => String::new(),
    }
}

#[test]
fn every_command_and_option_exists_and_every_command_is_shown() {
    let commands = commands();
    let mut shown = BTreeSet::new();
    for document in Document::all() {
        let path = document.path;
        for line in document.command_lines() {
            let Some(arguments) = arguments(&line) else { continue };
            let command = command_of(&arguments, &commands);
            let options = commands.get(&command);
            let options = options.unwrap_or_else(|| panic!("{path}: there is no such command: {line}"));
            for option in arguments.iter().filter_map(|word| option(word)) {
                assert!(options.contains(option), "{path}: {command} has no {option}: {line}");
            }
            shown.insert(command);
        }
        for span in document.spans() {
            let Some(option) = span.split(' ').next().and_then(option) else { continue };
            let exists = commands.values().any(|options| options.contains(option));
            assert!(exists, "{path}: no command has {option}");
        }
    }
    for command in commands.keys().filter(|command| !command.contains(' ')) {
        assert!(shown.contains(command), "no document shows presync {command}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in Document::all() {
        let here = root().join(document.path);
        let folder = here.parent().unwrap_or(root());
        let links = document.prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { here.clone() } else { folder.join(file) };
            assert!(target.exists(), "{}: {link} does not exist", document.path);
            assert!(
                anchor.is_empty() || anchors(&target).contains(anchor),
                "{}: {link} is no heading",
                document.path
            );
        }
    }
}

/// The fragments that GitHub gives the headings of a file.
fn anchors(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).expect("a text");
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let kept = heading.trim_start_matches('#').trim().chars();
        let kept = kept.filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_path_exists() {
    let folders = ["src/", "tests/", "fixtures/", "benches/", ".github/"];
    for document in Document::all() {
        let paths = document.spans().filter(|span| folders.iter().any(|folder| span.starts_with(folder)));
        // Some are patterns for what is to be added.
        for path in paths.filter(|path| !path.contains(' ') && !path.contains("NAME")) {
            assert!(root().join(&path).exists(), "{}: {path} does not exist", document.path);
        }
    }
}

#[test]
fn every_test_module_is_listed_and_those_listed_exist() {
    let main = read("tests/it/main.rs");
    let modules = main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let modules: BTreeSet<_> = modules.filter(|module| *module != "support").collect();
    let document = Document::read(CONTRIBUTING);
    let spans: BTreeSet<_> = document.spans().collect();
    for module in &modules {
        assert!(spans.contains(*module), "{CONTRIBUTING} does not list the tests '{module}'");
    }
    for line in document.command_lines() {
        let filters = line.split_once("--test it -- ").map(|(_, filters)| filters).unwrap_or_default();
        for module in filters.split(' ').filter_map(|filter| filter.strip_suffix("::")) {
            assert!(modules.contains(module), "there are no tests '{module}': {line}");
        }
    }
}

#[test]
fn the_readme_is_short_and_names_the_test_command() {
    let readme = read(README);
    let lines = readme.lines().count();
    assert!(lines <= MAX_README_LINES, "{lines} lines");
    assert!(readme.contains("```sh\ntests/run\n```"));
}

/// Checks that the lines of an excerpt are those of the output, from the first to the last, with nothing left out but at an
/// elision.
fn check_excerpt(excerpt: &str, output: &str) -> Result<(), String> {
    let mut rest = output.lines();
    let mut is_elided = false;
    for line in excerpt.lines() {
        let is_elision = line.trim() == ELISION;
        let is_there =
            is_elision || if is_elided { rest.any(|real| real == line) } else { rest.next() == Some(line) };
        if !is_there {
            return Err(format!("this line is not in its place: {line}"));
        }
        is_elided = is_elision;
    }
    match is_elided || rest.next().is_none() {
        true => Ok(()),
        false => Err("the output goes on".to_owned()),
    }
}

#[test]
fn an_excerpt_leaves_out_only_what_it_says() {
    for excerpt in ["a\nb\nc\n", "a\n…\nc\n", "…\nc\n", "a\nb\n…\n", "a\n…\nb\nc\n"] {
        assert_eq!(check_excerpt(excerpt, "a\nb\nc\n"), Ok(()), "{excerpt}");
    }
    for excerpt in ["a\nc\n", "a\nb\n", "b\nc\n", "c\n…\na\n", "a\n…\nd\n", "…\nb\n"] {
        assert!(check_excerpt(excerpt, "a\nb\nc\n").is_err(), "{excerpt}");
    }
}

#[test]
fn the_demo_prints_what_the_readme_shows() {
    let readme = read(README);
    let (command, excerpt) = block(&readme, "console").split_once('\n').expect("a command with its output");
    let command = command.strip_prefix("$ presync ").expect("a command of presync");
    let ran = Presync::new(command.split(' ')).run();
    check_excerpt(excerpt, &ran.stdout)
        .unwrap_or_else(|error| panic!("{error}\nof the output\n{}", ran.stdout));
    let same = format!("```sh\ncargo run --release -- {command}\n```");
    assert!(readme.contains(&same), "the command to try is that of the example");
}

#[test]
fn the_page_in_the_readme_has_the_numbers_of_the_demo() {
    let readme = read(README);
    let page = block(&readme, "text");
    let quota = ["--image-quota", "20", "--frame-quota", "500"];
    let report = Presync::dry_run("fixtures/demo").args(quota).args(["--format", "json"]).run().json();
    let (totals, by_code) = (&report["totals"], &report["findings_by_code"]);
    for verdict in ["listed", "accepted", "rejected", "unknown", "skipped"] {
        let shown = format!("{verdict} {}", totals[verdict]);
        assert!(page.contains(&shown), "{shown} is not in\n{page}");
    }
    for kind in ["images", "frames"] {
        let gauge = &report["quota"][kind];
        let shown = format!("{} of {} used", gauge["cost"], gauge["limit"]);
        assert!(page.contains(&shown), "{shown} is not in\n{page}");
    }
    let mut real: BTreeMap<_, [u64; 2]> = BTreeMap::new();
    for asset in report["assets"].as_array().expect("assets") {
        let (name, verdict) = (asset["name"].as_str().expect("a name"), &asset["verdict"]);
        if let (Some((folder, _)), true) = (name.split_once('/'), verdict != "skip") {
            let [rejected, assets] = real.entry(folder).or_default();
            *rejected += u64::from(verdict == "reject");
            *assets += 1;
        }
    }
    let (mut shown, mut rules) = (BTreeMap::new(), 0);
    for line in page.lines() {
        let words: Vec<_> = line.trim_matches('│').split_whitespace().collect();
        match words.as_slice() {
            [folder, _, rejected, "of", assets, "rejected"] => {
                let counts = [rejected, assets].map(|count| count.parse::<u64>().expect("a number"));
                shown.insert(*folder, counts);
            }
            [code, .., count] if !by_code[*code].is_null() => {
                assert_eq!(*count, by_code[*code].to_string(), "{line}");
                rules += 1;
            }
            _ => {}
        }
    }
    assert_eq!(shown, real);
    assert!(rules > 0, "no rule is shown");
}

#[test]
fn the_table_of_rules_is_complete() {
    let readme = read(README);
    for code in Code::ALL {
        let effect = match code.severity() {
            Severity::Error => "rejects",
            Severity::Warning => "warns",
            Severity::Unknown => "unknown",
        };
        let row = format!("| {code} | {} | {effect} |", code.name());
        assert!(readme.contains(&row), "no row '{row}'");
    }
}

#[test]
fn the_tables_of_formats_are_complete() {
    let help = help("dry-run");
    let values = help.split("--format <FORMAT>").nth(1).and_then(|rest| rest.split("[default").next());
    let values = values.expect("the formats are listed").lines();
    let formats: Vec<_> =
        values.filter_map(|line| line.trim().strip_prefix("- ")?.split(':').next()).collect();
    assert!(formats.contains(&"json"), "{formats:?}");
    for path in [README, GUIDE] {
        let text = read(path);
        for format in &formats {
            assert!(text.contains(&format!("| `{format}` |")), "{path} has no row for {format}");
        }
    }
}

#[test]
fn the_record_in_the_guide_is_the_real_one() {
    let guide = read(GUIDE);
    let mut shown: Value = serde_json::from_str(block(&guide, "json")).expect("JSON");
    let assets = Presync::dry_run("fixtures/demo").args(["--format", "jsonl"]).run().jsonl();
    let mut real =
        assets.into_iter().find(|asset| asset["name"] == shown["name"]).expect("it is in the demo");
    for record in [&mut shown, &mut real] {
        let fields = record.as_object_mut().expect("an object");
        // Those of a file change with every checkout.
        for field in ["etag", "last_modified"] {
            assert!(fields.remove(field).is_some(), "{field} is missing");
        }
    }
    assert_eq!(shown, real);
}

#[test]
fn the_connection_in_the_guide_is_the_one_that_its_command_writes_and_more() {
    let connections = section(GUIDE, "Connections");
    let (example, command) = (block(&connections, "toml"), block(&connections, "sh").trim_end());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("presync.toml");
    let ran = Presync::new(command.split(' ').skip(1)).inside(folder.path()).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let written = fs::read_to_string(&file).expect("it is there");
    assert!(example.starts_with(&written), "{written}");
    fs::write(&file, example).expect("it can be written");
    let ran = Presync::new(["connect", "@cams"]).inside(folder.path()).run();
    assert!(ran.code == 0 && ran.stdout.contains("/cameras/2026/\n"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_rules_in_the_guide_are_applied() {
    let rules = section(GUIDE, "Rules and severities");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("presync.toml"), block(&rules, "toml")).expect("it can be written");
    let ran = Presync::dry_run(demo()).args(["--format", "json"]).inside(folder.path()).run();
    let report = ran.json();
    let found = report["findings_by_code"].as_object().expect("an object");
    assert!(found.contains_key("IMG001"), "{found:?}");
    for ignored in ["VID101", "VID102", "FMT002"] {
        assert!(!found.contains_key(ignored), "{found:?}");
    }
    let assets = report["assets"].as_array().expect("assets");
    let mut findings = assets.iter().flat_map(|asset| asset["findings"].as_array().expect("findings"));
    assert!(findings.any(|finding| finding["code"] == "NAM001" && finding["severity"] == "error"));
}
