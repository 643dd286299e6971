//! The Python package: by itself, as its users use it, and in the tasks of Spark, Ray Data and Daft.

use std::collections::BTreeSet;
use std::path::Path;

use presync::loopback::{Attempts, Config, Content, Fault, Faults, Handle, Kind, On, Rule, Server, Shape};
use presync::model::Asset;
use presync::plan_file::{Plan, PlanReader};
use serde_json::json;
use tempfile::TempDir;

use crate::inventory::{Reports, without_versions};
use crate::readme::commands;
use crate::support::azurite::Azurite;
use crate::support::presync::{Presync, demo};
use crate::support::wheel::{alone, module, with_engines};

const QUOTA: [&str; 4] = ["--image-quota", "20000", "--frame-quota", "300000"];

fn serve(blobs: u64) -> Handle {
    let shape = Shape { blobs, ..Shape::default() };
    Server::start(Config::of("media", Content::Shape(shape))).expect("it starts")
}

/// The endpoint of any account.
fn endpoint(server: &Handle) -> String {
    server.url().replace("/loopback", "/{account}")
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().expect("UTF-8").to_owned()
}

/// The plan of a container, by one run of the command line.
fn plan(source: &str, plan: &str, env: &[(&str, &str)], args: &[&str]) {
    let ran = Presync::dry_run(source).args(["--plan", plan]).args(args);
    let ran = env.iter().fold(ran, |ran, (name, value)| ran.env(name, value)).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}

/// The plan that the parts below a folder make.
fn merged(out: &str) -> String {
    let merged = format!("{out}-merged.parquet");
    let ran = Presync::new(["report", out, "--format", "parquet", "--output", &merged]).run();
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    merged
}

fn read(path: impl AsRef<Path>) -> (Plan, Vec<Asset>) {
    let reader = PlanReader::open(path.as_ref()).expect("a plan");
    (reader.plan().clone(), reader.map(|asset| asset.expect("it is read")).collect())
}

#[test]
fn the_wheel_works_in_an_environment_of_its_own() {
    let server = serve(300);
    let source = format!("{}/media", server.url());
    let version = alone("alone.py", [demo().as_os_str(), source.as_ref()]);
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}

/// Containers that behave as their names say.
fn misbehaving() -> Handle {
    let shape = |blobs| Content::Shape(Shape { blobs, ..Shape::default() });
    let sizes = [("media", 300), ("forbidden", 5), ("unsigned", 5), ("unreadable", 60)];
    let broken = ["broken-1", "broken-2", "broken-3"];
    let refused = |status, code: &'static str| Fault::Refuse { status, code: code.into(), retry_after: None };
    let denied = refused(403, "AuthorizationPermissionMismatch");
    let rule = |fault, on, container: &str| Rule {
        fault,
        on,
        rate: 1.0,
        attempts: Attempts::Always,
        container: container.to_owned(),
        prefix: String::new(),
        after: 0,
    };
    let unreadable = rule(refused(409, "BlobImmutableDueToPolicy"), On::Reads, "unreadable");
    let mut rules = vec![
        rule(denied.clone(), On::Lists, "forbidden"),
        rule(refused(403, "AuthenticationFailed"), On::Lists, "unsigned"),
        Rule { rate: 0.1, ..unreadable },
    ];
    // The first page is listed.
    rules.extend(broken.map(|name| Rule { after: 1, ..rule(denied.clone(), On::Lists, name) }));
    let containers = sizes.into_iter().chain(broken.map(|name| (name, 300)));
    let containers = containers.map(|(name, blobs)| (name.to_owned(), shape(blobs))).collect();
    let faults = Faults { rules, ..Faults::default() };
    Server::start(Config { containers, page_size: 100, faults, ..Config::default() }).expect("it starts")
}

/// Options that only a command line has, such as those for the exit code, and those of which Python has another form, such
/// as the parts of a plan.
const NOT_IN_PYTHON: &[&str] = &[
    "--color",
    "--exit-zero",
    "--fail-on",
    "--format",
    "--help",
    "--max-rejected",
    "--no-progress",
    "--output",
    "--progress",
    "--quiet",
    "--shard",
    "--verbose",
    // Of dry-run, with --shard.
    "dry-run --out",
    // Texts, not records: a script, and a profile.
    "fix --script",
    "rule --profile",
];

#[test]
fn python_has_the_tables_the_errors_and_the_options_of_the_command_line() {
    let (server, folder) = (misbehaving(), tempfile::tempdir().expect("a folder"));
    let url = server.url();
    let signatures =
        with_engines("api.py", [demo().as_os_str(), url.as_ref(), folder.path().as_os_str()], &[]);
    let signatures = signatures.as_object().expect("an object");
    let commands = commands();
    for (command, options) in signatures {
        let options: BTreeSet<_> =
            options.as_array().expect("a list").iter().filter_map(|name| name.as_str()).collect();
        let is_here = |option: &&str| {
            let excused = NOT_IN_PYTHON.contains(option)
                || NOT_IN_PYTHON.contains(&format!("{command} {option}").as_str());
            !excused
        };
        let wanted = commands[command].iter().map(String::as_str).filter(is_here);
        let wanted: BTreeSet<_> =
            wanted.map(|option| option.trim_start_matches('-').replace('-', "_")).collect();
        let missing: Vec<_> = wanted.iter().filter(|option| !options.contains(option.as_str())).collect();
        assert!(
            missing.is_empty(),
            "the Python function for {command} lacks {missing:?}: see src/command/library/args.rs"
        );
    }
    for command in
        ["preview", "dry-run", "audit", "report", "commit", "fix", "labels", "explain", "rule", "quota set"]
    {
        assert!(signatures.contains_key(command), "{command}");
    }
}

/// The package itself, a user's code, and the examples for packages that take minutes to install.
#[test]
fn type_checkers_accept_the_package_and_the_examples() {
    let folder = demo();
    with_engines("typed.py", [&folder], &[]);
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/mypy");
    // Without the adapters, whose types are those of their engines.
    let modules = [
        "",
        "._commands",
        "._errors",
        "._probe",
        "._records",
        "._report",
        "._rows",
        "._run",
        ".aio",
        ".quota",
    ];
    let modules = modules.map(|module| format!("presync{module}"));
    let modules = modules.iter().map(String::as_str).chain(["typed", "airflow_dag", "prefect_flow"]);
    let mypy = [
        "mypy",
        "--strict",
        "--ignore-missing-imports",
        "--allow-untyped-decorators",
        "--python-version",
        "3.10",
        "--cache-dir",
        cache,
    ];
    let mypy = mypy.into_iter().chain(modules.flat_map(|module| ["-m", module]));
    module(mypy, &[("MYPYPATH", "tests/it/wheel:.github/examples")]);
    module(["pyright", "--pythonversion", "3.10", "tests/it/wheel/typed.py"], &[]);
}

#[test]
fn the_notebook_runs() {
    let out = tempfile::tempdir().expect("a folder");
    let cells =
        with_engines("notebook.py", [".github/examples/demo.ipynb".as_ref(), out.path().as_os_str()], &[]);
    assert!(cells.as_u64().is_some_and(|cells| cells > 5), "{cells}");
}

/// Two executors, of which one is killed in the middle; the emulator, with its key; and an inventory.
#[test]
fn spark_makes_the_plans_of_one_run() {
    const BLOBS: u64 = 100_000;
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(BLOBS);
    let media = format!("{}/media", server.url());
    plan(&media, &path(&folder, "media.parquet"), &[], &[&QUOTA[..], &["--auth", "anonymous"]].concat());
    server.reset();
    let quota = json!({ "image_quota": 20_000, "frame_quota": 300_000 });
    let with = |options: serde_json::Value| {
        let mut all = quota.clone();
        all.as_object_mut().expect("an object").extend(options.as_object().expect("an object").clone());
        all
    };
    let stats = format!("{}/_loopback/stats", server.url().trim_end_matches("/loopback"));
    let killed = json!({ "plan": path(&folder, "media.parquet"), "account": "loopback", "container": "media",
        "out": path(&folder, "media"), "kill": { "stats": stats, "after": BLOBS / 5 },
        "options": with(json!({ "endpoint": endpoint(&server), "auth": "anonymous", "partitions": 8 })) });

    let azurite = Azurite::http();
    azurite.create_container("spark", false);
    let blobs = crate::inventory::blobs();
    azurite.put_many("spark", blobs.iter().map(|blob| (blob.name.clone(), blob.bytes.clone())));
    let connection = azurite.connection_string();
    let env = [("AZURE_STORAGE_CONNECTION_STRING", connection.as_str())];
    plan(&azurite.container_url("spark"), &path(&folder, "azurite.parquet"), &env, &QUOTA);
    let emulated = json!({ "plan": path(&folder, "azurite.parquet"), "account": "devstoreaccount1",
        "container": "spark", "out": path(&folder, "azurite"),
        "options": with(json!({ "partitions": 2, "endpoint": azurite.endpoint().replace("devstoreaccount1", "{account}") })) });

    let cam = crate::inventory::serve();
    let reports = Reports::of(&blobs);
    let source = format!("{}/cam", cam.url());
    plan(&source, &path(&folder, "cam.parquet"), &[], &[&QUOTA[..], &["--auth", "anonymous"]].concat());
    let inventory = json!({ "inventory": reports.path("rule-manifest.json"), "account": "loopback", "container": "cam",
        "out": path(&folder, "cam"),
        "options": with(json!({ "endpoint": endpoint(&cam), "auth": "anonymous", "max_requests_per_second": 5_000 })) });

    let results = with_engines("with_spark.py", [json!([killed, emulated, inventory]).to_string()], &env);
    assert_eq!(results[0]["rows"], BLOBS);
    assert_eq!(results[0]["killed_after"].as_array().map(Vec::len), Some(1), "an executor was killed");
    assert!(server.stats().of(Kind::Read) > BLOBS, "what the executor had not handed over was read again");
    let (of_spark, of_one) = (read(merged(&path(&folder, "media"))), read(path(&folder, "media.parquet")));
    assert_eq!((&of_spark.0.id, &of_spark.0.summary), (&of_one.0.id, &of_one.0.summary));
    // The rows of an engine have no column for the declared type.
    let without_types = |mut assets: Vec<Asset>| {
        assets.iter_mut().for_each(|asset| asset.blob.declared = Default::default());
        assets
    };
    assert!(without_types(of_spark.1) == without_types(of_one.1), "the assets of 100,000 blobs are the same");

    for name in ["azurite", "cam"] {
        let (of_spark, of_one) =
            (read(merged(&path(&folder, name))), read(path(&folder, &format!("{name}.parquet"))));
        assert_eq!(of_spark.0.summary.quota, of_one.0.summary.quota, "{name}");
        assert_eq!(without_versions(of_spark.1), without_versions(of_one.1), "{name}");
    }
}

#[test]
fn ray_and_daft_give_the_verdicts_of_one_run() {
    const BLOBS: u64 = 3_000;
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(BLOBS);
    let whole = path(&folder, "whole.parquet");
    plan(&format!("{}/media", server.url()), &whole, &[], &["--auth", "anonymous"]);
    let args = [whole.as_str(), &endpoint(&server), "loopback", "media"];
    assert_eq!(with_engines("with_daft.py", args, &[]), BLOBS);
    assert_eq!(with_engines("with_ray.py", args, &[]), BLOBS);
}
