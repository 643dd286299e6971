//! `presync rule`.

use std::fs;

use presync::model::Code;

use crate::support::presync::{Presync, root};

#[test]
fn every_rule_has_a_line() {
    let ran = Presync::new(["rule"]).run();
    let codes: Vec<_> = ran.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(codes, Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
    assert_eq!(ran.code, 0);
}

#[test]
fn a_rule_is_found_by_its_code_and_by_its_name() {
    let by_code = Presync::new(["rule", "vid002"]).run();
    insta::assert_snapshot!(by_code.stdout);
    assert_eq!(Presync::new(["rule", "pixel-format"]).run().stdout, by_code.stdout);
}

#[test]
fn a_rule_that_is_none_is_named() {
    let ran = Presync::new(["rule", "VID999"]).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert_eq!(ran.stderr, "error: there is no rule 'VID999'\nhelp: presync rule lists them all\n");
}

#[test]
fn rules_are_printed_for_programs() {
    let all = Presync::new(["rule", "--format", "json"]).run().json();
    let codes =
        all["rules"].as_array().expect("a list").iter().map(|rule| rule["code"].as_str().expect("a code"));
    assert_eq!(codes.collect::<Vec<_>>(), Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
    let one = Presync::new(["rule", "VID002", "--format", "json"]).run().json();
    let rule = &one["rules"][0];
    assert_eq!((rule["name"].as_str(), rule["severity"].as_str()), (Some("pixel-format"), Some("error")));
    for field in ["summary", "why", "fix", "source"] {
        assert!(rule[field].as_str().is_some_and(|text| text.len() > 10), "{rule}");
    }
    let profile = Presync::new(["rule", "--profile", "vi", "--format", "json"]).run().json();
    assert_eq!(profile["name"], "vi");
}

#[test]
fn a_profile_is_printed_as_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["nexus", "vi"] {
        let written = fs::read_to_string(root().join(format!("src/rules/{name}.toml"))).expect("it is there");
        let printed = Presync::new(["rule", "--profile", name]).run();
        assert_eq!((printed.code, printed.stdout.as_str()), (0, written.as_str()));

        // What is printed is a profile to start from.
        let copy = folder.path().join(name);
        fs::write(&copy, &written).expect("it is written");
        let copy = copy.to_str().expect("UTF-8");
        assert_eq!(Presync::new(["rule", "--profile", copy]).run().stdout, written);
    }
    let broken = folder.path().join("broken.toml");
    fs::write(&broken, "name = 1").expect("it is written");
    let ran = Presync::new(["rule".as_ref(), "--profile".as_ref(), broken.as_os_str()]).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("run 'presync rule --profile nexus'"), "{}", ran.stderr);
}
