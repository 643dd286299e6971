//! The README promises only what is so.

use presync::model::{Code, Severity};

use crate::support::presync::{Presync, root};

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("there is a README")
}

/// The command of the first console block, and what it is said to print.
fn example(readme: &str) -> (Vec<String>, String) {
    let block = readme.split("```console\n$ ").nth(1).and_then(|rest| rest.split("```").next());
    let (command, output) =
        block.and_then(|block| block.split_once('\n')).expect("a command with its output");
    (command.split(' ').map(str::to_owned).collect(), output.to_owned())
}

#[test]
fn the_report_in_it_is_the_real_one() {
    let readme = readme();
    let (command, output) = example(&readme);
    assert_eq!(command[0], "presync");
    let ran = Presync::new(&command[1..]).run();
    assert_eq!(output, ran.stdout, "the report that belongs into the README:\n{}", ran.stdout);
    let same = format!("cargo run --release -- {}", command[1..].join(" "));
    assert!(readme.contains(&same), "the command to try is the one of the example");
}

#[test]
fn its_table_of_rules_is_complete() {
    let readme = readme();
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

/// The text of the first block in this language.
fn block<'a>(readme: &'a str, language: &str) -> &'a str {
    let block = readme.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a block")
}

#[test]
fn its_connection_is_the_one_that_its_command_writes_and_more() {
    let readme = readme();
    let connections = readme.split("## Connections").nth(1).expect("a section");
    let (example, command) = (block(connections, "toml"), block(connections, "sh").trim_end());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("presync.toml");
    let ran = Presync::new(command.split(' ').skip(1)).inside(folder.path()).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let written = std::fs::read_to_string(&file).expect("it is there");
    assert!(example.starts_with(&written), "{written}");
    std::fs::write(&file, example).expect("it can be written");
    let ran = Presync::new(["connect", "@cams"]).inside(folder.path()).run();
    assert!(ran.code == 0 && ran.stdout.contains("/cameras/2026/\n"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn every_file_that_it_links_is_there() {
    let readme = readme();
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.contains("://")) {
        assert!(root().join(link).exists(), "{link} is not there");
    }
}
