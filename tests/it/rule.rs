//! `presync rule`.

use presync::model::Code;

use crate::support::presync::Presync;

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
