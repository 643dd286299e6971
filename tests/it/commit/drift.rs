//! What stands in the way of a commit, and what does not.

use std::fs;

use insta::assert_snapshot;
use jiff::ToSpan;
use presync::loopback::{Blob, Handle, Tier};
use presync::model::{Code, Finding, QuotaKind, Verdict};
use serde_json::json;

use super::{Place, blob, image, rotated, serve, source};
use crate::support::presync::{Ran, root};

/// A container with its plan: two images and a video are accepted, an image is rejected, two files are skipped.
struct Planned {
    server: Handle,
    place: Place,
}

impl Planned {
    fn new() -> Self {
        let server = serve(vec![
            image("a.jpg"),
            image("b.jpg"),
            blob("labels/a.json", "labels/0001.json", "0x1"),
            blob("labels/b.json", "labels/0001.json", "0x1"),
            rotated("r.jpg"),
            blob("v.mp4", "videos/crossing-a.mp4", "0x1"),
        ]);
        let place = Place::with_quota(100, 1_000);
        let nexus = fs::read_to_string(root().join("src/rules/nexus.toml")).expect("it is there");
        fs::write(place.path("mine.toml"), nexus).expect("it is written");
        place.dry_run(&source(&server), &["--profile", place.path("mine.toml").to_str().expect("UTF-8")]);
        Self { server, place }
    }

    fn put(&self, blob: Blob) {
        self.server.put("media", blob).expect("it is put");
    }

    fn delete(&self, name: &str) {
        self.server.delete("media", name).expect("it is deleted");
    }

    /// Changes the profile's file.
    fn profile(&self, from: &str, to: &str) {
        let path = self.place.path("mine.toml");
        let text = fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replacen(from, to, 1)).expect("it is written");
    }

    /// Makes an asset of the plan one that could not be judged.
    fn unknown(&self, name: &str) {
        self.place.rewrite(|_, summary, assets| {
            let asset =
                assets.iter_mut().find(|asset| asset.blob.name.as_str() == name).expect("it is there");
            asset.verdict = Verdict::Unknown;
            asset.findings = vec![Finding::new(Code::Unreadable, "503 ServerBusy")];
            summary.totals.unknown += 1;
            summary.totals.accepted -= 1;
            summary.totals.images -= 1;
        });
    }

    fn incomplete(&self) {
        self.place.rewrite(|_, summary, assets| {
            assets.pop();
            summary.totals.listed -= 1;
            summary.totals.accepted -= 1;
            summary.incomplete = Some("the run was stopped".to_owned());
        });
    }

    fn of_last_month(&self) {
        let begun = "2025-11-30T23:59:59Z".parse().expect("a time");
        self.place.rewrite(|header, _, _| header.begun = begun);
    }

    fn of_an_older_probe(&self) {
        self.place.rewrite(|header, _, _| header.probe_version = 0);
    }

    fn used_meanwhile(&self) {
        let used = [(QuotaKind::Images, 99), (QuotaKind::Frames, 1_000)];
        let now = jiff::Timestamp::now() + 1.second();
        self.place.ledger().set(super::WORKSPACE, super::month(), &[], &used, now).expect("it can be set");
    }

    /// Commits with the profile's file as it is now.
    fn commit(&self, args: &[&str]) -> Ran {
        let profile = self.place.path("mine.toml");
        self.place.commit(&[&["--profile", profile.to_str().expect("UTF-8")], args].concat())
    }

    /// The report of a commit that is refused and changes nothing.
    fn refused(&self) -> String {
        let ran = self.commit(&[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{}", ran.stdout);
        self.place.assert_untouched(&["mine.toml"]);
        let report = ran.stdout.replace(self.server.url(), "URL");
        self.place.plain(&report)
    }
}

type Change = fn(&Planned);

#[test]
fn whatever_drifted_is_said() {
    let changes: [(&str, Change); 13] = [
        ("added", |planned| planned.put(image("new.jpg"))),
        ("removed", |planned| planned.delete("b.jpg")),
        ("another version", |planned| planned.put(Blob { etag: Some("0x2".into()), ..image("a.jpg") })),
        ("another size", |planned| planned.put(blob("a.jpg", "cam1/0002.jpg", "0x2"))),
        ("archived", |planned| planned.put(Blob { tier: Tier::Archive, ..image("a.jpg") })),
        ("other rules and another verdict", |planned| {
            planned.profile("orientations = [1]", "orientations = [1, 6]");
        }),
        ("other rules and another cost", |planned| {
            planned.profile("cost_per_frame = 1", "cost_per_frame = 2")
        }),
        ("other rules that change nothing", |planned| planned.profile("\"bmp\", ", "")),
        ("unknown", |planned| planned.unknown("a.jpg")),
        ("incomplete", Planned::incomplete),
        ("another month", Planned::of_last_month),
        ("an older probe", Planned::of_an_older_probe),
        ("too little is left", Planned::used_meanwhile),
    ];
    let mut reports = String::new();
    for (what, change) in changes {
        let planned = Planned::new();
        change(&planned);
        let report = planned.refused();
        let (_, obstacles) = report.split_once("Blocked by\n").expect("something is");
        reports += &format!("# {what}\n{obstacles}\n");
    }
    assert_snapshot!(reports);
}

#[test]
fn everything_that_drifted_is_said_at_once() {
    let planned = Planned::new();
    planned.unknown("b.jpg");
    planned.of_an_older_probe();
    planned.profile("orientations = [1]", "orientations = [1, 6]");
    planned.used_meanwhile();
    for number in 0..9 {
        planned.put(image(&format!("new\n{number}.jpg")));
    }
    planned.delete("v.mp4");
    planned.put(Blob { etag: Some("0x2".into()), ..image("a.jpg") });
    assert_snapshot!(planned.refused());
    let document = planned.commit(&["--format", "json"]).json();
    assert_eq!(document["outcome"], "refused");
    let obstacles = document["obstacles"].as_array().expect("a list");
    let kinds: Vec<_> = obstacles.iter().map(|obstacle| (&obstacle["kind"], &obstacle["count"])).collect();
    let expected = json!([
        ["probe", 1],
        ["profile", 1],
        ["unknown", 1],
        ["added", 9],
        ["removed", 1],
        ["changed", 1],
        ["judged-otherwise", 1],
        ["quota", 1]
    ]);
    assert_eq!(json!(kinds), expected);
    assert_eq!(
        (&document["left"], &document["costs"]["images"]),
        (&json!({ "images": 1, "frames": 0 }), &json!(1))
    );
}

#[test]
fn what_is_no_asset_may_come_change_and_go() {
    let planned = Planned::new();
    planned.put(blob("labels/a.json", "labels/0101.json", "0x2"));
    planned.delete("labels/b.json");
    planned.put(blob("labels/new.csv", "labels/classes.csv", "0x1"));
    planned.put(Blob { name: "labels/".into(), etag: Some("0x1".into()), ..Blob::default() });
    // The name of a profile and its comments are no rules.
    planned.profile("title = ", "# It is called so.\ntitle = ");
    let ran = planned.commit(&[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(planned.place.reservations().len(), 1);
}

#[test]
fn what_the_quota_refused_is_left_out_and_the_rest_fits() {
    let server = serve(vec![image("a.jpg"), image("b.jpg"), image("c.jpg")]);
    let place = Place::with_quota(2, 0);
    place.dry_run(&source(&server), &[]);
    let ran = place.commit(&["--format", "json"]);
    assert_eq!((ran.code, &ran.json()["left"]["images"]), (0, &json!(2)), "{}", ran.stderr);
    assert_eq!(place.reservations()[0].costs, [(QuotaKind::Images, 2)].into());
    let rejected = fs::read_to_string(place.path("plan-commit/rejected.csv")).expect("it is there");
    assert!(rejected.contains("\"c.jpg\",\"reject\",\"QTA001\""), "{rejected}");
}

#[test]
fn unknown_assets_are_left_out_on_request() {
    let planned = Planned::new();
    planned.unknown("a.jpg");
    // Whatever becomes of what was never judged.
    planned.put(Blob { etag: Some("0x2".into()), ..image("a.jpg") });
    let ran = planned.place.commit(&["--allow-unknown"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let read =
        |name: &str| fs::read_to_string(planned.place.path("plan-commit").join(name)).expect("it is there");
    assert_eq!(read("accepted.txt"), "b.jpg\nv.mp4\n");
    assert!(read("rejected.csv").contains("\"a.jpg\",\"unknown\",\"NET001\",\"503 ServerBusy\""));
    assert_eq!(planned.place.reservations()[0].costs[&QuotaKind::Images], 1);
}

#[test]
fn a_dry_run_says_what_it_would_do() {
    let planned = Planned::new();
    let ran = planned.place.commit(&["--dry-run"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    planned.place.assert_untouched(&["mine.toml"]);
    assert_snapshot!(planned.place.plain(&ran.stdout.replace(planned.server.url(), "URL")));
    planned.used_meanwhile();
    let ran = planned.place.commit(&["--dry-run"]);
    assert_eq!(ran.code, 1, "{}", ran.stdout);
}
