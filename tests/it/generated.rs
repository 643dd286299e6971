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
    assert_eq!(complete("presync dry-run --ignore VID00", 3).lines().next(), Some("VID001"));
    assert_eq!(complete("presync dry-run --profile ne", 3), "nexus\n");
    assert!(complete("presync ''", 1).lines().all(|command| !["loopback", "bench-job"].contains(&command)));
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
    assert!(output(&["man", "quota", "set"]).contains(".TH presync-quota-set 1 "));
    for (words, hint) in
        [(&["dryrun"][..], "did you mean dry-run?"), (&["quota", "sett"], "did you mean set?")]
    {
        let ran = Presync::new([&["man"], words].concat()).run();
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("there is no command '") && ran.stderr.contains(hint), "{}", ran.stderr);
    }
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
fn bash_completes_names_of_connections() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = "[connections.cams]\ncontainer = 'cam'\n[connections.'my cams']\ncontainer = 'cam'\n";
    std::fs::write(folder.path().join("presync.toml"), file).expect("it is written");
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_presync")).parent().expect("a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").expect("it is set"));
    let ask = format!(
        "{}\n_presync_names presync @ dry-run\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        output(&["completions", "bash"])
    );
    let mut bash = Command::new("bash");
    let bash = bash.args(["--norc", "-s"]).current_dir(&folder).env("PATH", path);
    assert_eq!(pipe(bash, &ask), "@cams\n@my\\ cams\n");
}

#[test]
fn a_near_miss_gets_a_suggestion() {
    for (words, tip) in [
        (&["check", "photos"][..], "did you mean 'presync dry-run'?"),
        (&["scan"], "did you mean 'presync dry-run'?"),
        (&["ls"], "did you mean 'presync preview'?"),
        (&["audti"], "'audit'"),
        (&["VID2"], "did you mean 'presync rule VID002'?"),
        (&["@cams"], "presync dry-run SOURCE"),
        (&["fixtures/demo"], "presync dry-run SOURCE"),
        (&["rule", "VID2"], "did you mean VID002?"),
        (&["rule", "pix-format"], "did you mean pixel-format?"),
        (&["dry-run", "x", "--ignore", "IMG1"], "did you mean IMG001?"),
        (&["dry-run", "x", "--quota", "5"], "--image-quota"),
        (&["dry-run", "x", "--json"], "--format json"),
        (&["dry-run", "x", "--jobs=4"], "--concurrency"),
        (&["dry-run", "x", "--formt", "json"], "'--format'"),
        (&["preview", "x", "--filter", "*.jpg"], "--include"),
        (&["dry-run", "a/1.jpg", "a/2.jpg"], "--include 'GLOB'"),
    ] {
        let ran = Presync::new(words).run();
        assert!(ran.code == 2 && ran.stderr.contains(tip), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn help_has_examples_variables_and_exit_codes() {
    for command in
        ["preview", "dry-run", "audit", "commit", "fix", "explain", "connections", "doctor", "bench"]
    {
        let help = output(&[command, "--help"]);
        for part in ["Examples:\n  ", "Environment variables:\n  ", "Exit codes:\n  0"] {
            assert!(help.contains(part), "{command}: {help}");
        }
        let is_wide = |line: &&str| line.chars().count() > 100;
        assert_eq!(help.lines().find(is_wide), None, "{command}");
    }
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
