//! Rules at hand: `--select`, `--ignore`, `--severity` and `[rules]` of presync.toml.

use std::collections::BTreeMap;
use std::fs;

use presync::plan_file::PlanReader;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::presync::{Presync, demo};

/// A folder with a presync.toml, below which a run finds it.
fn folder(rules: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("deep")).expect("a folder");
    fs::write(folder.path().join("presync.toml"), rules).expect("it can be written");
    folder
}

/// The report on the demo, by what is chosen on the command line alone.
fn chosen(args: &[&str]) -> Value {
    Presync::dry_run(demo()).args(["--format", "json"]).args(args).run().json()
}

/// Verdict, and codes with their severity, of each asset.
fn judged(document: &Value) -> BTreeMap<String, (String, Vec<(String, String)>)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let judged = |asset: &Value| {
        let findings = asset["findings"].as_array().expect("a list").iter();
        let findings = findings.map(|finding| (text(&finding["code"]), text(&finding["severity"])));
        (text(&asset["name"]), (text(&asset["verdict"]), findings.collect()))
    };
    document["assets"].as_array().expect("a list").iter().map(judged).collect()
}

#[test]
fn a_rule_that_is_left_out_rejects_nothing() {
    let (all, without) =
        (chosen(&[]), chosen(&["--ignore", "IMG001,vid00", "--ignore", "unsupported-format"]));
    let left_out = ["IMG001", "VID001", "VID002", "VID003", "VID004", "FMT001"];
    let (all, without) = (judged(&all), judged(&without));
    for (name, (verdict, findings)) in &all {
        let kept: Vec<_> =
            findings.iter().filter(|(code, _)| !left_out.contains(&code.as_str())).cloned().collect();
        let is_rejected = kept.iter().any(|(_, severity)| severity == "error");
        let expected = match verdict.as_str() {
            "reject" if !is_rejected => "accept",
            verdict => verdict,
        };
        // What is accepted now may share its basename with another.
        let found: Vec<_> = without[name].1.iter().filter(|(code, _)| code != "NAM001").cloned().collect();
        let kept: Vec<_> = kept.into_iter().filter(|(code, _)| code != "NAM001").collect();
        assert_eq!((&without[name].0, found), (&expected.to_owned(), kept), "{name}");
    }
    let some: Vec<_> = all.values().filter(|(verdict, _)| verdict == "accept").collect();
    assert!(some.len() < without.values().filter(|(verdict, _)| verdict == "accept").count());

    let images = chosen(&["--select", "IMG"]);
    let codes: Vec<_> = images["findings_by_code"].as_object().expect("counts").keys().cloned().collect();
    assert_eq!(codes, ["IMG001"]);
    assert_eq!(images["overrides"]["everywhere"]["VID001"], "ignore");
    assert_eq!(images["overrides"]["everywhere"]["NET001"], Value::Null);
}

#[test]
fn a_severity_decides_before_the_budget_does() {
    let args = ["--severity", "IMG=warning,NAM001=error", "--severity", "VID102=error"];
    let judged = judged(&chosen(&args));
    let found = |code: &str, severity: &str| (code.to_owned(), severity.to_owned());
    assert_eq!(judged["cam1/0004.jpg"], ("accept".to_owned(), vec![found("IMG001", "warning")]));
    assert_eq!(judged["cam2/0001.jpg"], ("reject".to_owned(), vec![found("NAM001", "error")]));
    let (verdict, findings) = &judged["videos/mpeg4-part2.mp4"];
    assert!(verdict == "reject" && findings.contains(&found("VID102", "error")), "{findings:?}");

    let cost = |args: &[&str]| chosen(args)["totals"]["images"].as_u64().expect("a number");
    assert_eq!(cost(&["--severity", "NAM001=error"]), cost(&[]) - 1, "a rejected duplicate costs nothing");
    let left = |args: &[&str]| chosen(args)["quota"]["images"]["left"].clone();
    assert_eq!(
        left(&["--image-quota", "100", "--ignore", "IMG001"]),
        json!(100 - cost(&["--ignore", "IMG001"]))
    );
}

#[test]
fn the_text_shows_findings_under_the_severity_that_they_have() {
    let ran = Presync::dry_run(demo()).args(["--severity", "IMG001=warning", "--ignore", "VID"]).run();
    assert!(ran.stdout.contains("\n  rules       IMG001 warning, VID001 ignored, "), "{}", ran.stdout);
    let (rejected, warnings) = ran.stdout.split_once("\nWarnings\n").expect("two parts");
    assert!(
        !rejected.contains("exif-orientation") && warnings.contains("IMG001  exif-orientation           8")
    );
    assert!(!ran.stdout.contains("major-brand"), "{}", ran.stdout);
}

#[test]
fn presync_toml_says_it_for_every_run_below_it() {
    let folder = folder(
        "[rules]\nignore = ['FMT']\nseverity = { VID102 = 'error' }\n\
         [[rules.prefix]]\nprefix = 'cam'\nseverity = { IMG001 = 'warning' }\n\
         [[rules.prefix]]\nprefix = 'cam2/'\nignore = ['IMG']\n",
    );
    let run = |args: &[&str]| {
        let presync = Presync::dry_run(demo()).args(["--format", "json"]).args(args);
        presync.inside(folder.path().join("deep")).run().json()
    };
    let document = run(&[]);
    let assets = judged(&document);
    let warning = vec![("IMG001".to_owned(), "warning".to_owned())];
    assert_eq!(assets["cam1/0004.jpg"], ("accept".to_owned(), warning));
    assert_eq!(assets["cam2/0102.jpg"], ("accept".to_owned(), vec![]));
    assert_eq!(assets["phones/IMG_1002.jpg"].0, "reject");
    assert_eq!(document["findings_by_code"]["FMT003"], Value::Null);
    assert_eq!(
        document["overrides"]["prefixes"][1],
        json!({"prefix": "cam2/", "effects": {"IMG001": "ignore"}})
    );

    let document = run(&["--ignore", "VID"]);
    assert!(document["findings_by_code"]["FMT003"].is_u64(), "an option wins over its key in the file");
    assert_eq!(document["overrides"]["everywhere"]["VID102"], "ignore");
    assert_eq!(judged(&document)["cam2/0102.jpg"].0, "accept", "prefixes stay");

    let elsewhere = tempfile::tempdir().expect("a folder");
    let (config, source) = (folder.path().join("presync.toml"), demo());
    let args = ["--format".as_ref(), "json".as_ref(), "--config".as_ref(), config.as_os_str()];
    let named = Presync::dry_run(&source).args(args).inside(elsewhere.path()).run().json();
    assert_eq!(judged(&named), assets);

    let explained = Presync::new(["explain".into(), source.join("cam1/0004.jpg")]);
    let ran = explained.inside(folder.path()).run();
    assert_eq!(ran.code, 1, "the name of a single file has no folder: {}", ran.stdout);
    let ran = Presync::new(["explain".into(), source.join("cam1/0004.jpg")]).args(["--ignore", "IMG"]).run();
    assert!(ran.code == 0 && ran.stdout.contains("\nVerdict\n  will sync\n"), "{}", ran.stdout);
}

#[test]
fn a_plan_keeps_what_was_chosen() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = |name: &str, args: &[&str]| {
        let path = folder.path().join(name);
        Presync::dry_run(demo()).args(args).args(["--plan".as_ref(), path.as_os_str()]).run();
        PlanReader::open(&path).expect("a plan").plan().clone()
    };
    let (all, chosen) = (plan("all", &[]), plan("chosen", &["--ignore", "VID102"]));
    assert_ne!(all.header.profile, chosen.header.profile, "also where no verdict differs");
    assert_eq!(chosen.header.profile.overrides.to_string(), "VID102 ignored");
    let path = folder.path().join("chosen");
    let ran = Presync::new(["report".as_ref(), path.as_os_str()]).run();
    assert!(ran.stdout.contains("  rules       VID102 ignored\n"), "{}", ran.stdout);
}

#[test]
fn a_choice_that_means_nothing_is_an_error() {
    for (args, says) in [
        (["--select", "IMG01"], "there is no rule 'IMG01'; did you mean IMG001?"),
        (["--ignore", "VID102,pixel-fromat"], "there is no rule 'pixel-fromat'; did you mean pixel-format?"),
        (["--ignore", "NET001"], "'NET001' can neither be ignored nor be given another severity"),
        (["--severity", "QTA=warning"], "'QTA' can neither be ignored nor be given another severity"),
        (["--severity", "IMG001"], "it is not a rule with a level"),
        (["--severity", "IMG001=off"], "it is not a rule with a level"),
    ] {
        let ran = Presync::dry_run(demo()).args(args).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    let folder = folder("[rules]\nignore = ['IMG01']\n");
    let ran = Presync::dry_run(demo()).inside(folder.path()).run();
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("at line 2, column 11: there is no rule 'IMG01'"), "{}", ran.stderr);
}
