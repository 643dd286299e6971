//! What presync prints about itself: help, its version, completions and manual pages, as bash and man take them.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::presync::Presync;

fn output(args: &[&str]) -> String {
    let ran = Presync::new(args).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
    ran.stdout
}

/// What a command prints of this input. It must succeed and complain of nothing.
fn pipe(command: &mut Command, input: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn bash_completes_commands_and_options() {
    let script = output(&["completions", "bash"]);
    let complete = |words: &str, index: u32| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}) COMP_CWORD={index}\n\
             _presync presync \"${{COMP_WORDS[{index}]}}\" \"${{COMP_WORDS[{index} - 1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        pipe(Command::new("bash").args(["--norc", "-s"]), &ask)
    };
    assert_eq!(complete("presync dry", 1), "dry-run\n");
    assert_eq!(complete("presync dry-run --sev", 2), "--severity\n");
    assert!(complete("presync report plan --format ''", 4).contains("junit\n"));
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        assert!(output(&["completions", shell]).contains("dry-run"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let page = output(&["man"]);
    for name in ["dry-run", "report", "explain", "completions"] {
        assert!(page.contains(&format!("presync\\-{}(1)", name.replace('-', "\\-"))), "{name}: {page}");
        let of_command = output(&["man", name]);
        assert!(of_command.contains(&format!(".TH presync-{name} 1 ")), "{name}: {of_command}");
        // man-db and groff, where they are installed, say what is wrong with it.
        if let Ok(true) = Command::new("groff").arg("--version").output().map(|ran| ran.status.success()) {
            let text = pipe(Command::new("groff").args(["-man", "-Tutf8", "-ww"]), &of_command);
            assert!(text.contains("presync"), "{text}");
        }
    }
    assert!(!page.contains("loopback"));
    let ran = Presync::new(["man", "dryrun"]).run();
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("there is no command 'dryrun'"), "{}", ran.stderr);
}

#[test]
fn the_version_has_the_build_on_demand() {
    let version = concat!("presync ", env!("CARGO_PKG_VERSION"), "\n");
    for args in [["--version"].as_slice(), &["-V"], &["-V", "rule"]] {
        assert_eq!(output(args), version, "{args:?}");
    }
    for args in [["--version", "--verbose"].as_slice(), &["-vV"], &["-Vv"]] {
        let text = output(args);
        let build = text.strip_prefix(version).expect("the version comes first");
        let keys: Vec<_> = build.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
        let commit = option_env!("PRESYNC_COMMIT").filter(|commit| !commit.is_empty());
        let known = [commit.map(|_| "commit"), Some("target"), Some("features")];
        assert_eq!(keys, known.into_iter().flatten().collect::<Vec<_>>(), "{text}");
        assert!(build.contains(&format!("target: {}-", std::env::consts::ARCH)), "{text}");
    }
    assert_eq!(Presync::new(["-v", "rule"]).run().code, 2, "it goes with --version alone");
}

#[test]
fn help_is_written_for_users() {
    let commands = output(&["help"]);
    let commands = commands.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(commands.contains(&"dry-run") && !commands.contains(&"loopback"), "{commands:?}");
    for command in commands {
        let mut pages = vec![output(&["help", command])];
        if command != "help" {
            pages.extend([output(&[command, "-h"]), output(&[command, "--help"]), output(&["man", command])]);
        }
        for page in pages {
            // Links and paths are for rustdoc.
            for mark in ["`", "::", "[["] {
                assert!(!page.contains(mark), "{command}: {page}");
            }
        }
    }
}
