//! Credentials where none belongs: every command and option gets them in every odd form, and nothing that is printed or
//! written shows one.

use std::fs;
use std::path::Path;
use std::thread;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::support::presync::{Presync, demo};

const SIGNATURE: &str = "c2lnbmF0dXJlLW9mLXRoZS10ZXN0cw";
const KEY: &str =
    "a2V5LW9mLXRoZS10ZXN0cy13aGljaC1oYXMtNjQtYnl0ZXMtYXMtdGhlLWtleXMtb2YtYWNjb3VudHMtZG8tMTIzNA==";
const SECRET: &str = "abc8Q~secret-of-the-tests-which-is-34-long-xx";
const PASSWORD: &str = "passw0rd-of-tests";
/// Nothing listens on this port.
const URL: &str = "http://127.0.0.1:1/media/cam";
const CLOUD: &str = "https://media.blob.core.windows.net/cam";

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Credentials as people paste them.
fn forms() -> Vec<String> {
    let sas = format!("sv=2022-11-02&sr=c&sp=rl&se=2099-01-01T00%3A00%3A00Z&sig={SIGNATURE}%3D");
    let jwt = format!("eyJhbGciOiJub25lIn0.{SIGNATURE}.{SIGNATURE}");
    let connection = format!(
        "DefaultEndpointsProtocol=https;AccountName=media;AccountKey={KEY};EndpointSuffix=core.windows.net"
    );
    let mut forms = vec![
        format!("{URL}?{sas}"),
        format!("{URL}#{sas}"),
        format!("{URL}?{sas}\""),
        format!("{URL}?{}", encoded(&sas)),
        format!("{CLOUD}&{sas}"),
        format!("{CLOUD}%3F{sas}"),
        format!("{CLOUD}/%3F{sas}"),
        format!("{CLOUD}_?{sas}"),
        format!("https://{SIGNATURE}:{PASSWORD}@media.blob.core.windows.net/cam"),
        encoded(&format!("{CLOUD}?{sas}")),
        encoded(&encoded(&format!("{CLOUD}?{sas}"))),
        format!("'{sas}'"),
        format!("?{sas}"),
        format!("sig={SIGNATURE}%3D"),
        format!("x/y?{sas}"),
        format!("@cams?{sas}"),
        format!("@cams/x?{sas}"),
        format!("  {KEY}  "),
        format!("'{KEY}'"),
        encoded(KEY),
        format!("\"{connection}\""),
        connection,
        format!("Bearer {jwt}"),
        jwt,
        SECRET.to_owned(),
        sas.clone(),
    ];
    for start in [
        "media.blob.core.windows.net/cam",
        "https:/media.blob.core.windows.net/cam",
        "//media.blob.core.windows.net/cam",
    ] {
        forms.push(format!("{start}?{sas}"));
    }
    for scheme in [
        "az://cam",
        "azure://cam/x",
        "abfss://cam@media.dfs.core.windows.net/x",
        "wasbs://cam@media/x",
        "file:///x",
        "s3://cam",
    ] {
        forms.push(format!("{scheme}?{sas}"));
    }
    forms
}

/// Where they are pasted.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let mut commands = vec![
        vec![text],
        vec!["dry-run", text],
        vec!["dry-run", ".", text],
        vec!["preview", text],
        vec!["explain", text],
        vec!["connect", text],
        vec!["doctor", text],
        vec!["audit", text, "--out", "audited"],
        vec!["audit", "--account", text],
        vec!["audit", ".", "--out", text],
        vec!["report", text],
        vec!["commit", text],
        vec!["commit", "p.parquet", "--source", text],
        vec!["quota", "set", "--workspace", text, "--images", "1"],
        vec!["quota", "release", text],
        vec!["rule", text],
        vec!["man", text],
        vec!["completions", text],
    ];
    for option in [
        "--baseline",
        "--profile",
        "--output",
        "--plan",
        "--config",
        "--account",
        "--auth",
        "--format",
        "--ledger",
        "--inventory",
        "--image-quota",
        "--workspace",
        "--select",
        "--api-version",
    ] {
        commands.push(vec!["dry-run", ".", option, text]);
    }
    commands
}

/// Whether a text shows a part of a credential that is worth something.
fn shows(text: &[u8]) -> bool {
    [SIGNATURE, &KEY[..20], &SECRET[6..], PASSWORD]
        .iter()
        .any(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

/// Checks all that a run printed, and the names and the content of all files in its folder.
fn check(what: &str, presync: Presync, folder: &Path) {
    let ran = presync
        .env("PRESYNC_LEDGER", folder.join("ledger.db"))
        .env("RUST_BACKTRACE", "1")
        .inside(folder)
        .run();
    let (out, err) = (&ran.stdout, &ran.stderr);
    assert!((0..=3).contains(&ran.code) && !err.contains("panicked"), "{what}: {err}");
    assert!(!shows(out.as_bytes()) && !shows(err.as_bytes()), "{what}: {out}{err}");
    assert!(!out.contains("Bearer ey"), "{what}: {out}");
}

fn check_files(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("an entry")) {
        let name = entry.path().to_string_lossy().into_owned();
        assert!(!shows(name.as_bytes()), "{name}");
        if entry.file_type().is_file() {
            assert!(!shows(&fs::read(entry.path()).expect("a file")), "{name}");
        }
    }
}

/// Runs a check for every form, several at a time: some wait before they try again.
fn for_each_form(check: impl Fn(&str) + Sync) {
    let forms = forms();
    thread::scope(|scope| {
        for forms in forms.chunks(4) {
            let check = &check;
            scope.spawn(move || forms.iter().for_each(|form| check(form)));
        }
    });
}

#[test]
fn no_argument_is_echoed_with_its_secret() {
    for_each_form(|form| {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(
            folder.path().join("presync.toml"),
            "[connections.cams]\naccount = 'media'\ncontainer = 'cam'\n",
        )
        .expect("it is written");
        for args in commands(form) {
            check(&args.join(" "), Presync::new(&args), folder.path());
        }
        check_files(folder.path());
    });
}

#[test]
fn no_variable_and_no_file_is_echoed_with_its_secret() {
    for_each_form(|form| {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "AZURE_STORAGE_ACCOUNT",
            "AZURE_STORAGE_CONNECTION_STRING",
            "AZURE_STORAGE_KEY",
            "AZURE_STORAGE_SAS_TOKEN",
            "AZURE_TENANT_ID",
            "AZURE_CLIENT_SECRET",
            "AZURE_AUTHORITY_HOST",
            "AZURE_FEDERATED_TOKEN_FILE",
            "HTTPS_PROXY",
        ] {
            for source in ["az://cam", URL] {
                let presync = Presync::new(["connect", source, "--account", "media"]);
                check(name, presync.env("AZURE_CLIENT_ID", "c").env(name, form), folder.path());
            }
            let presync = Presync::new(["dry-run", "https://media.invalid/cam", "--auth", "client-secret"]);
            check(
                name,
                presync.env("AZURE_CLIENT_ID", "c").env("AZURE_TENANT_ID", "t").env(name, form),
                folder.path(),
            );
        }
        for key in ["account", "container", "prefix", "endpoint", "profile", "workspace", "auth"] {
            let text = form.replace('\\', "\\\\").replace('"', "\\\"");
            let rest = if key == "container" { "" } else { "container = 'cam'\n" };
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("presync.toml");
            fs::write(file, format!("[connections.cams]\n{rest}{key} = \"{text}\"\n"))
                .expect("it is written");
            for args in [&["connect", "@cams"][..], &["audit", "--all", "--out", "audited"]] {
                check(key, Presync::new(args), folder.path());
            }
        }
        check_files(folder.path());
    });
}

#[test]
fn the_way_out_is_named() {
    let sas = format!("sv=2022-11-02&sr=c&sp=rl&sig={SIGNATURE}%3D");
    for (arg, hint) in [
        (format!("media.blob.core.windows.net/cam?{sas}"), "write https:// in front"),
        (format!("https:/media.blob.core.windows.net/cam?{sas}"), "two slashes"),
        (sas.clone(), "in quotes"),
        (format!("{CLOUD}?sv=2022-11-02"), "quote the URL"),
        (format!("az://cam?{sas}"), "AZURE_STORAGE_SAS_TOKEN"),
        (format!("AccountName=media;AccountKey={KEY}"), "export it as AZURE_STORAGE_CONNECTION_STRING"),
        (KEY.to_owned(), "export it as AZURE_STORAGE_KEY"),
        (SECRET.to_owned(), "export it as AZURE_CLIENT_SECRET"),
    ] {
        let ran = Presync::dry_run(&arg).run();
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(hint), "{}", ran.stderr);
    }
    let forgotten = Presync::new([format!("{CLOUD}?{sas}")]).run();
    assert!(forgotten.stderr.contains("presync dry-run SOURCE"), "{}", forgotten.stderr);
    let known =
        Presync::dry_run("no~where~to~be~seen").env("AZURE_CLIENT_SECRET", "no~where~to~be~seen").run();
    assert!(known.stderr.contains("'***'"), "{}", known.stderr);
}

#[test]
fn a_name_that_only_looks_like_a_secret_stays_exact_in_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = "a?sv=2022-11-02&sig=bm9uZSBvZiB0aGlzIHJ1bg&AccountKey=eA==.jpg";
    fs::copy(demo().join("cam1/0001.jpg"), folder.path().join(name)).expect("a copy");
    for format in ["json", "jsonl", "csv"] {
        let ran = Presync::dry_run(folder.path()).args(["--format", format]).run();
        assert!(ran.stdout.contains(name), "{format}: {}", ran.stdout);
    }
}

#[test]
fn a_newcomers_source_gets_the_advice_that_fits() {
    let sas = "https://media.blob.core.windows.net/cams?sp=rl";
    for (args, hint) in [
        (&[sas][..], "quote the URL"),
        (&["https://portal.azure.com/#view/x"], "this is a page of the Azure portal"),
        (&["az://media/cams/2026"], "https://media.blob.core.windows.net/cams/2026"),
        (&["wasbs://media/cams"], "https://media.blob.core.windows.net/cams"),
        (&["https://media.file.core.windows.net/cams"], "https://media.blob.core.windows.net/CONTAINER"),
        (&["https://nexus.datature.io/project/x"], "is the annotation platform"),
        (&["https://bucket.s3.amazonaws.com/cams"], "is not Azure Blob Storage"),
        (&["https://drive.google.com/drive/folders/abc"], "is not Azure Blob Storage"),
        (&["s3://bucket/cams"], "presync does not read s3://"),
        (&["~/photos"], "write $HOME/photos"),
        (&["fixtures/demo/*.jpg"], "'fixtures/demo' --include '*.jpg'"),
        (&["*.jpg"], "'.' --include '*.jpg'"),
        (&["cams", "--account", "media"], "write az://cams"),
        (&["fixtures/demo", "--max-bandwidth", "20"], "20MB or 20MiB"),
    ] {
        let ran = Presync::dry_run(args[0]).args(&args[1..]).run();
        assert!(ran.code == 2 && ran.stderr.contains(hint), "{args:?}: {}", ran.stderr);
    }
    let ran = Presync::dry_run("fixtures/demo/labels").args(["--max-bandwidth", "20MB"]).run();
    assert!(ran.stderr.contains("limit requests to an account, not a folder"), "{}", ran.stderr);
}
