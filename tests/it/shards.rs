//! `dry-run --shard`, and folders of parts that are put together to one plan.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use presync::loopback::{Config, Content, Handle, Kind, Server, Shape};
use presync::model::Asset;
use presync::plan_file::{Plan, PlanReader};
use tempfile::TempDir;

use crate::support::presync::{Presync, Ran, demo, root};
use crate::support::python::python;

const BLOBS: u64 = 3_000;
const QUOTA: [&str; 4] = ["--image-quota", "1500", "--frame-quota", "9000"];

fn serve() -> Handle {
    let shape = Shape { blobs: BLOBS, ..Shape::default() };
    Server::start(Config::of("cam", Content::Shape(shape))).expect("it starts")
}

fn dry_run(source: &str) -> Presync {
    Presync::dry_run(source).args(["--auth", "anonymous"])
}

fn shard(source: &str, shard: &str, out: &Path, args: &[&str]) -> Ran {
    dry_run(source).args(args).args(["--shard", shard, "--out"]).args([out]).run()
}

fn shards(source: &str, of: u32, out: &Path, args: &[&str]) {
    for index in 0..of {
        let ran = shard(source, &format!("{index}/{of}"), out, args);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    }
}

fn report(path: &Path, args: &[&str]) -> Ran {
    Presync::new(["report".as_ref(), path.as_os_str()]).args(args).run()
}

/// A plan without its times and its credential.
fn read(path: &Path) -> (Plan, Vec<Asset>) {
    let reader = PlanReader::open(path).expect("a plan");
    let mut plan = reader.plan().clone();
    plan.header.begun = jiff::Timestamp::UNIX_EPOCH;
    plan.ended = jiff::Timestamp::UNIX_EPOCH;
    (plan, reader.map(|asset| asset.expect("it is read")).collect())
}

/// The plan of the parts in a folder.
fn merged(folder: &TempDir, parts: &Path, args: &[&str]) -> (Plan, Vec<Asset>) {
    let path = folder.path().join("merged.parquet");
    let output = ["--format", "parquet", "--output", path.to_str().expect("UTF-8")];
    let ran = report(parts, &[&output, args].concat());
    assert!(ran.code < 2, "{}", ran.stderr);
    read(&path)
}

#[test]
fn shards_make_the_plan_of_one_run() {
    let (server, folder) = (serve(), tempfile::tempdir().expect("a folder"));
    let source = format!("{}/cam", server.url());
    let (whole, parts) = (folder.path().join("whole.parquet"), folder.path().join("parts"));
    let ran = dry_run(&source).args(QUOTA).args(["--plan".as_ref(), whole.as_os_str()]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let gets = server.stats().of(Kind::Read);
    server.reset();

    shards(&source, 4, &parts, &QUOTA);
    assert_eq!(server.stats().of(Kind::Read), gets, "each blob is read by one shard");
    assert_eq!(merged(&folder, &parts, &[]), read(&whole));
    // The report is that of the plan.
    assert_eq!(report(&parts, &[]).stdout, report(&whole, &[]).stdout);

    // Weighed in another way, without reading anything again.
    server.reset();
    for admit in ["most-assets", "newest"] {
        let args = ["--image-quota", "100", "--frame-quota", "700", "--admit", admit];
        let again = folder.path().join("again.parquet");
        let ran = dry_run(&source).args(args).args(["--plan".as_ref(), again.as_os_str()]).run();
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        assert_eq!(merged(&folder, &parts, &args), read(&again), "{admit}");
    }
}

#[test]
fn a_folder_has_shards_too_and_equal_basenames_are_found_across_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, parts) = (folder.path().join("whole.parquet"), folder.path().join("parts"));
    let source = demo();
    let source = source.to_str().expect("UTF-8");
    let ran = dry_run(source).args(["--plan".as_ref(), whole.as_os_str()]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("NAM001"), "{}", ran.stdout);
    shards(source, 7, &parts, &[]);
    assert_eq!(merged(&folder, &parts, &[]), read(&whole));
}

#[test]
fn parts_are_committed_like_a_plan() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = folder.path().join("parts");
    let ledger = folder.path().join("ledger.sqlite3");
    let presync = |args: &[&str]| Presync::new(args).env("PRESYNC_LEDGER", &ledger).run();
    assert_eq!(presync(&["quota", "set", "--workspace", "w", "--images", "999", "--frames", "9999"]).code, 0);
    let source = demo();
    let source = source.to_str().expect("UTF-8");
    let weighed = ["--workspace", "w", "--ledger", ledger.to_str().expect("UTF-8")];
    shards(source, 3, &parts, &weighed);
    let path = parts.to_str().expect("UTF-8");
    let committed = presync(&["commit", path, "--allow-unknown", "--format", "json"]);
    assert_eq!(committed.code, 0, "{}{}", committed.stdout, committed.stderr);
    let (plan, _) = merged(&folder, &parts, &[]);
    assert_eq!(committed.json()["plan"]["id"], plan.id);
    assert!(folder.path().join("parts-commit/accepted.jsonl").is_file());
    let again = presync(&["commit", path, "--allow-unknown"]);
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
}

#[test]
fn a_plan_is_incomplete_while_a_shard_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = folder.path().join("parts");
    let source = demo();
    let source = source.to_str().expect("UTF-8");
    shards(source, 3, &parts, &[]);
    fs::remove_file(parts.join("shard-00001-of-00003.parquet")).expect("it is there");
    let ran = report(&parts, &["--format", "json"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(ran.json()["incomplete"], "of 3 shards, these are missing: 1");
    // A shard that is run again takes the place of its part.
    assert_eq!(shard(source, "1/3", &parts, &[]).code, 0);
    assert_eq!(shard(source, "1/3", &parts, &[]).code, 0);
    assert_eq!(report(&parts, &[]).code, 1);
}

#[test]
fn what_makes_no_plan_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let parts = folder.path().join("parts");
    let source = demo();
    let source = source.to_str().expect("UTF-8");
    shards(source, 2, &parts, &[]);
    let first = parts.join("shard-00000-of-00002.parquet");
    let mut shown = String::new();
    let mut show = |what: &str, ran: Ran| {
        assert_eq!(ran.code, 2, "{what}: {}", ran.stdout);
        let text = ran.stderr.replace(folder.path().to_str().expect("UTF-8"), "DIR");
        writeln!(shown, "-- {what}\n{text}").expect("a string");
    };
    show("a shard alone", report(&first, &[]));
    for wrong in ["2/2", "1", "0/0", "a/b", "1/1000000"] {
        show(wrong, shard(source, wrong, &parts, &[]));
    }
    show("no folder for it", Presync::dry_run(source).args(["--shard", "0/2"]).run());
    let plan = folder.path().join("plan.parquet");
    let plan_name = plan.to_str().expect("UTF-8");
    show("a plan of a shard", shard(source, "0/2", &parts, &["--plan", plan_name]));
    assert_eq!(dry_run(source).args(["--plan", plan_name]).run().code, 1);
    show("a quota for a plan", report(&plan, &["--image-quota", "3"]));

    fs::copy(&plan, parts.join("plan.parquet")).expect("it is copied");
    show("a plan among parts", report(&parts, &[]));
    fs::remove_file(parts.join("plan.parquet")).expect("it is there");
    fs::copy(&first, parts.join("copy.parquet")).expect("it is copied");
    show("a shard twice", report(&parts, &[]));
    fs::remove_file(parts.join("copy.parquet")).expect("it is there");
    assert_eq!(shard(source, "1/2", &parts, &["--image-quota", "5"]).code, 0);
    show("another quota", report(&parts, &[]));
    let other = folder.path().join("other");
    shards(source, 3, &other, &[]);
    fs::copy(other.join("shard-00001-of-00003.parquet"), parts.join("shard-00001-of-00002.parquet"))
        .expect("it is copied");
    show("another number of shards", report(&parts, &[]));
    fs::write(parts.join("shard-00001-of-00002.parquet"), b"PAR1").expect("it is written");
    show("a part that is cut", report(&parts, &[]));

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    show("an empty folder", report(&empty, &[]));
    insta::assert_snapshot!(shown);
}

#[test]
fn parts_of_several_containers_add_up_to_an_audit() {
    let folder = tempfile::tempdir().expect("a folder");
    let (parts, all) = (folder.path().join("parts"), folder.path().join("all"));
    let source = demo();
    let source = source.to_str().expect("UTF-8");
    shards(source, 2, &parts, &QUOTA);
    for container in ["a", "b"] {
        let place = all.join(format!("account=media/container={container}"));
        fs::create_dir_all(&place).expect("a folder");
        for index in 0..2 {
            let name = format!("shard-0000{index}-of-00002.parquet");
            fs::copy(parts.join(&name), place.join(&name)).expect("it is copied");
        }
    }
    let one = report(&parts, &["--format", "json"]).json();
    let ran = report(&all, &["--format", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let audit = ran.json();
    let names: Vec<_> =
        audit["containers"].as_array().expect("containers").iter().map(|c| &c["name"]).collect();
    assert_eq!(names, ["media/a", "media/b"]);
    for (sum, one) in
        [("listed", 2), ("accepted", 2), ("rejected", 2), ("images", 2), ("frames", 2)].map(|(key, times)| {
            (audit["totals"][key].as_u64(), one["totals"][key].as_u64().map(|one| one * times))
        })
    {
        assert_eq!(sum, one);
    }
    let text = report(&all, &[]).stdout;
    assert!(text.contains("media/a") && text.contains("media/b"), "{text}");

    fs::remove_file(all.join("account=media/container=b/shard-00001-of-00002.parquet")).expect("it is there");
    let ran = report(&all, &[]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert!(ran.stdout.contains("of 2 shards, these are missing: 1"), "{}", ran.stdout);
    let ran = report(&all, &["--format", "csv"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stdout.lines().any(|row| row.starts_with("media/a,") && row.contains(",accept,")),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.lines().any(|row| row.starts_with("media/b,,") && row.contains(",incomplete,")),
        "{}",
        ran.stdout
    );
    // Each of them is a plan by itself.
    let one = all.join("account=media/container=a");
    assert_eq!(report(&one, &["--format", "csv"]).code, 1);
}

/// The manifest of the guide, with each pod's command run as the cluster would run it.
#[test]
fn the_job_in_the_guide_makes_the_plan_of_one_run() {
    let guide = fs::read_to_string(root().join(".github/GUIDE.md")).expect("there is a guide");
    let manifest =
        guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("job.yaml");
    fs::write(&file, manifest).expect("it is written");
    // Refused by the schemas of Kubernetes, it ends here.
    let script = "
import json, sys, kubernetes_validate, yaml
job = yaml.safe_load(open(sys.argv[1]))
kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
print(json.dumps(job))";
    let job = python(script, &file);
    assert_eq!(job["spec"]["completionMode"], "Indexed");
    let pod = &job["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let texts = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    let mount = container["volumeMounts"][0]["mountPath"].as_str().expect("a path");
    let command = texts(&container["command"]);
    assert_eq!(command[0], "presync");
    let (server, plans) = (serve(), folder.path().join("plans"));
    let source = format!("{}/cam", server.url());
    for index in 0..job["spec"]["completions"].as_u64().expect("a number") {
        let args = texts(&container["args"]).into_iter().map(|arg| {
            let arg = arg.replace("$(JOB_COMPLETION_INDEX)", &index.to_string());
            let arg = arg.replace(mount, plans.to_str().expect("UTF-8"));
            // There is neither such an account here nor an identity.
            arg.replace("--auth=workload-identity", "--auth=anonymous")
        });
        let (command, args) = (command[1..].iter().map(|arg| arg.replace("az://cameras", &source)), args);
        let ran = Presync::new(command.chain(args.filter(|arg| arg != "--account=media"))).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{index}");
    }
    let parts = plans.join("cameras");
    let whole = folder.path().join("whole.parquet");
    let plan = ["--image-quota", "1000000", "--plan", whole.to_str().expect("UTF-8")];
    assert_eq!(dry_run(&source).args(plan).run().code, 1);
    assert_eq!(merged(&folder, &parts, &[]), read(&whole));
}
