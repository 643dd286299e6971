//! `presync fix` on containers: where fixed blobs go, with which credential, and what is left when it is killed; and the
//! scripts that do the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use crate::fix::{KILLS, copy_of, differing, files, fix, own_profile, rounds, share};
use crate::support::azurite::{Azurite, fake_az, unsigned_jwt};
use crate::support::presync::{Presync, Ran, demo, root};
use crate::support::stand_in::{Answer, StandIn};

const BRAND: &str = "videos/from-ffmpeg.mp4";
const PHOTO: &str = "cam1/0004.jpg";
const MOV: &str = "videos/iphone.mov";

/// A container with these files of the demo, and their content.
fn container(azurite: &Azurite, name: &str, blobs: &[&str]) -> BTreeMap<String, Vec<u8>> {
    azurite.create_container(name, false);
    let content =
        blobs.iter().map(|blob| ((*blob).to_owned(), fs::read(demo().join(blob)).expect("it is there")));
    let content: BTreeMap<_, _> = content.collect();
    azurite.put_many(name, content.clone().into_iter());
    content
}

fn with_key(azurite: &Azurite, container: &str, args: &[&str]) -> Ran {
    let connection = azurite.connection_string();
    fix(azurite.container_url(container)).env("AZURE_STORAGE_CONNECTION_STRING", connection).args(args).run()
}

fn results(ran: &Ran) -> Vec<String> {
    ran.jsonl().iter().map(|record| record["result"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn fixed_blobs_go_elsewhere_and_overwrite_nothing() {
    let azurite = Azurite::http();
    let before = container(azurite, "fix-to", &[BRAND, PHOTO, MOV]);
    azurite.put_with("fix-to", BRAND, &before[BRAND], &[("x-ms-meta-camera", "seven")]);
    azurite.put("fix-to", &format!("fixed/{PHOTO}"), "someone else's");
    azurite.create_container("fix-to-other", false);
    let jsonl = ["--apply", "--format", "jsonl", "--to"];
    let to = |place: &str| with_key(azurite, "fix-to", &[&jsonl[..], &[place]].concat());
    let ran = to("fixed/");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let mut found = results(&ran);
    found.sort();
    assert_eq!(found, ["fixed", "fixed", "unreachable"], "{}", ran.stdout);
    assert!(ran.stdout.contains("another blob has the name 'fixed/cam1/0004.jpg' already"), "{}", ran.stdout);
    let patched = azurite.get("fix-to", &format!("fixed/{BRAND}"));
    assert_eq!(differing(&before[BRAND], patched.body()), 4, "only the major brand differs");
    assert_eq!(patched.headers()["x-ms-meta-camera"], "seven");
    let renamed = azurite.get("fix-to", "fixed/videos/iphone.mp4");
    assert_eq!(renamed.headers()["content-type"], "video/mp4", "it fits the new format");
    assert_eq!(azurite.get("fix-to", &format!("fixed/{PHOTO}")).body().as_ref(), b"someone else's");
    for (name, bytes) in &before {
        assert_eq!(azurite.get("fix-to", name).body().as_ref(), bytes, "{name} stays as it is");
    }
    azurite.delete("fix-to", &format!("fixed/{PHOTO}"));
    let mut found = results(&to("fixed/"));
    found.sort();
    assert_eq!(found, ["already-fixed", "already-fixed", "fixed"]);

    let ran = to(&format!("{}/new/", azurite.container_url("fix-to-other")));
    assert_eq!(results(&ran), ["fixed", "fixed", "fixed"], "{} {}", ran.stdout, ran.stderr);
    assert_eq!(differing(&before[BRAND], azurite.get("fix-to-other", &format!("new/{BRAND}")).body()), 4);

    for (place, why) in [("", "where the originals are"), ("file:///tmp", "use --out DIR")] {
        let ran = to(place);
        assert!(ran.code == 2 && ran.stderr.contains(why), "{place}: {}", ran.stderr);
    }
}

#[test]
fn blobs_that_cannot_be_replaced_are_left_and_the_rest_is_fixed() {
    let azurite = Azurite::http();
    let names = [BRAND, PHOTO, "leased.mp4", "archived.mp4"];
    let before = container(azurite, "fix-locked", &[BRAND, PHOTO]);
    for name in &names[2..] {
        azurite.put("fix-locked", name, before[BRAND].clone());
    }
    let lease = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "-1")];
    azurite.send(Method::PUT, "/fix-locked/leased.mp4", &[("comp", "lease")], &lease, Vec::new());
    azurite.set_tier_archive("fix-locked", "archived.mp4");
    let append = [("x-ms-blob-type", "AppendBlob")];
    azurite.send(Method::PUT, "/fix-locked/append.mp4", &[], &append, Vec::new());
    let block = [("comp", "appendblock")];
    azurite.send(Method::PUT, "/fix-locked/append.mp4", &block, &[], before[BRAND].clone());
    let backup = tempfile::tempdir().expect("a folder");
    let folder = backup.path().to_str().expect("UTF-8");
    let ran = with_key(azurite, "fix-locked", &["--apply", "--backup", folder, "--format", "jsonl"]);
    let found: BTreeMap<_, _> =
        ran.jsonl().into_iter().map(|record| (record["name"].to_string(), record)).collect();
    let of = |name: &str| (&found[&format!("{name:?}")]["result"], &found[&format!("{name:?}")]["reason"]);
    assert_eq!((of(BRAND).0, of(PHOTO).0), (&Value::from("fixed"), &Value::from("fixed")), "{}", ran.stdout);
    for (name, why) in [("leased.mp4", "it has a lease"), ("append.mp4", "isn't a block blob")] {
        let (result, reason) = of(name);
        assert!(
            result == "failed" && reason.as_str().is_some_and(|said| said.contains(why)),
            "{name}: {reason}"
        );
        assert_eq!(azurite.get("fix-locked", name).body(), &before[BRAND], "{name} stays as it is");
    }
    assert_eq!(found.len(), 4, "what is archived is not judged: {}", ran.stdout);
    assert_eq!(files(backup.path()).len(), 2, "only what is replaced is kept");
}

#[test]
fn an_extension_is_fixed_only_on_request() {
    let azurite = Azurite::http();
    let photo = fs::read(demo().join("cam1/0001.jpg")).expect("it is there");
    azurite.create_container("fix-names", false);
    azurite.put_typed("fix-names", "a/photo.png", photo.clone(), "image/png");
    let ran = with_key(azurite, "fix-names", &["--format", "json", "--only", "FMT"]);
    assert_eq!(ran.json()["fixable"], serde_json::json!({}), "a prefix does not name it");
    let backup = tempfile::tempdir().expect("a folder");
    let folder = backup.path().to_str().expect("UTF-8");
    let only = ["--only", "FMT002", "--apply", "--format", "jsonl", "--backup", folder];
    let ran = with_key(azurite, "fix-names", &only);
    assert_eq!(ran.jsonl()[0]["new_name"], "a/photo.jpg", "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.jsonl()[0]["bytes"], 0, "the service copies it");
    let renamed = azurite.get("fix-names", "a/photo.jpg");
    assert_eq!(
        (renamed.body().as_ref(), &renamed.headers()["content-type"]),
        (&*photo, &"image/jpeg".parse().unwrap())
    );
    assert_eq!(results(&with_key(azurite, "fix-names", &only)), ["already-fixed"]);

    let (folder, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    fs::write(folder.path().join("photo.png"), &photo).expect("it can be written");
    let args = ["--only", "extension-mismatch", "--apply", "--out"];
    assert_eq!(fix(folder.path()).args(args).args([out.path()]).run().code, 0);
    assert_eq!(files(out.path()), BTreeMap::from([("photo.jpg".to_owned(), photo)]));
}

#[test]
fn every_credential_authorizes_the_copy_too() {
    let http = Azurite::http();
    let before = container(http, "fix-sas", &[BRAND]);
    let sas = http.sas("fix-sas", "racwdlt", Timestamp::now() + 1.hour());
    let backup = tempfile::tempdir().expect("a folder");
    let args = ["--apply", "--format", "jsonl", "--backup", backup.path().to_str().expect("UTF-8")];
    let ran = fix(http.container_url("fix-sas")).env("AZURE_STORAGE_SAS_TOKEN", &sas).args(args).run();
    assert_eq!(results(&ran), ["fixed"], "{} {}", ran.stdout, ran.stderr);
    assert_eq!(differing(&before[BRAND], http.get("fix-sas", BRAND).body()), 4);
    let readable = http.sas("fix-sas", "rl", Timestamp::now() + 1.hour());
    http.put("fix-sas", BRAND, before[BRAND].clone());
    let backup = tempfile::tempdir().expect("a folder");
    let args = ["--apply", "--format", "jsonl", "--backup", backup.path().to_str().expect("UTF-8")];
    let ran = fix(http.container_url("fix-sas")).env("AZURE_STORAGE_SAS_TOKEN", readable).args(args).run();
    assert!(
        ran.code == 2 && ran.stderr.contains("Storage Blob Data Contributor"),
        "{} {}",
        ran.stdout,
        ran.stderr
    );

    // Azurite cannot read a source over https, and takes tokens over nothing else.
    let service = service(before[BRAND].clone(), false);
    let bin = tempfile::tempdir().expect("a folder");
    let token = unsigned_jwt("https://storage.azure.com");
    fake_az(bin.path(), &token);
    let ran = fix(format!("{}/media/cam", service.url))
        .env("PATH", bin.path())
        .env("SSL_CERT_FILE", Azurite::https().ca())
        .args(["--auth", "cli", "--apply", "--format", "jsonl"])
        .run();
    assert_eq!(results(&ran), ["fixed"], "{} {}", ran.stdout, ran.stderr);
    let copies = service
        .seen()
        .into_iter()
        .filter(|request| request.headers.iter().any(|line| line.starts_with("x-ms-copy-source:")));
    let copies: Vec<_> = copies.collect();
    let [copy] = &copies[..] else { panic!("{copies:?}") };
    for field in [
        format!("x-ms-copy-source: {}/media/cam/v.mp4", service.url),
        format!("x-ms-copy-source-authorization: Bearer {token}"),
        "x-ms-source-if-match: \"0x1\"".to_owned(),
    ] {
        assert!(copy.headers.contains(&field), "{field} {:?}", copy.headers);
    }
    assert!(!ran.stdout.contains(&token) && !ran.stderr.contains(&token));
}

/// A service with one video, which may be encrypted with a key of the client.
fn service(video: Vec<u8>, is_keyed: bool) -> StandIn {
    let header = |request: &crate::support::stand_in::Request, name: &str| {
        request.headers.iter().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    StandIn::https(move |request| {
        let size = video.len();
        if request.line.contains("comp=list") && !request.line.contains("blocklist") {
            let page = format!(
                "<EnumerationResults><Blobs><Blob><Name>v.mp4</Name><Properties><Content-Length>{size}\
                 </Content-Length><Etag>0x1</Etag></Properties></Blob></Blobs></EnumerationResults>"
            );
            return Answer::ok("application/xml", page);
        }
        if request.line.contains("restype=service") {
            let on = "<DeleteRetentionPolicy><Enabled>true</Enabled></DeleteRetentionPolicy>";
            return Answer::ok("application/xml", on);
        }
        if is_keyed && header(request, "x-ms-encryption-key:").is_none() {
            return Answer::refused("409 Conflict", "BlobUsesCustomerSpecifiedEncryption");
        }
        let etag = "etag: \"0x1\"".to_owned();
        match request.line.split(' ').next() {
            Some("HEAD") => {
                let mut fields = vec![etag, "x-ms-blob-type: BlockBlob".to_owned()];
                fields.extend(is_keyed.then(|| "x-ms-encryption-key-sha256: x".to_owned()));
                Answer("200 OK", fields, Vec::new())
            }
            Some("GET") => {
                let range = header(request, "range: bytes=").expect("a range");
                let (start, end) = range.split_once('-').expect("two ends");
                let (start, end): (usize, usize) =
                    (start.parse().expect("a number"), end.parse().expect("a number"));
                let field = format!("content-range: bytes {start}-{end}/{size}");
                Answer("206 Partial Content", vec![etag, field], video[start..=end].to_vec())
            }
            _ => Answer("201 Created", Vec::new(), Vec::new()),
        }
    })
}

#[test]
fn a_blob_with_a_key_of_the_client_is_moved_and_stays_encrypted() {
    let service = service(fs::read(demo().join(BRAND)).expect("it is there"), true);
    let ran = fix(format!("{}/media/cam", service.url))
        .env("SSL_CERT_FILE", Azurite::https().ca())
        .env("AZURE_STORAGE_ENCRYPTION_KEY", BASE64.encode([7; 32]))
        .args(["--auth", "anonymous", "--apply", "--format", "jsonl"])
        .run();
    assert_eq!(results(&ran), ["fixed"], "{} {}", ran.stdout, ran.stderr);
    let writes: Vec<_> =
        service.seen().into_iter().filter(|request| request.line.starts_with("PUT ")).collect();
    assert_eq!(writes.len(), 2, "a block, and the list of blocks");
    for request in writes {
        let has = |field: &str| request.headers.iter().any(|line| line.starts_with(field));
        assert!(has("x-ms-encryption-key:") && !has("x-ms-copy-source"), "{:?}", request.headers);
        assert!(request.line.contains("comp=block&") || has("if-match: \"0x1\""), "{:?}", request.headers);
    }
}

#[test]
fn the_doctor_writes_reads_and_deletes_a_small_blob() {
    let azurite = Azurite::http();
    container(azurite, "fix-doctor", &[PHOTO]);
    let doctor = |source: &str, name: &str, value: &str| {
        let ran = Presync::new(["doctor", source, "--write", "--format", "json"]).env(name, value).run();
        let checks = ran.json()["checks"].clone();
        let checks = checks.as_array().expect("a list").iter();
        checks.filter(|check| check["name"] == "write").cloned().collect::<Vec<Value>>()
    };
    let url = azurite.container_url("fix-doctor");
    let check = doctor(&url, "AZURE_STORAGE_CONNECTION_STRING", &azurite.connection_string());
    let [check] = &check[..] else { panic!("{check:?}") };
    assert_eq!(check["outcome"], "warning", "{check}");
    assert!(check["detail"].as_str().unwrap_or_default().contains("soft delete is off"), "{check}");
    let sas = azurite.sas("fix-doctor", "rl", Timestamp::now() + 1.hour());
    let check = doctor(&url, "AZURE_STORAGE_SAS_TOKEN", &sas);
    assert_eq!(check[0]["outcome"], "failed", "{check:?}");
    assert!(check[0].to_string().contains("Storage Blob Data Contributor"), "{check:?}");
    let connection = azurite.connection_string();
    let listed = Presync::new(["preview", &url, "--format", "json"])
        .env("AZURE_STORAGE_CONNECTION_STRING", connection)
        .run();
    assert_eq!(listed.json()["totals"]["listed"], 1, "it is deleted: {}", listed.stdout);
    let folder = tempfile::tempdir().expect("a folder");
    let check = doctor(folder.path().to_str().expect("UTF-8"), "PATH", "");
    assert_eq!((&check[0]["outcome"], files(folder.path()).len()), (&Value::from("ok"), 0), "{check:?}");
}

#[test]
fn a_run_over_a_container_that_is_killed_leaves_every_blob_whole() {
    let azurite = Azurite::http();
    let names = ["cam2/0102.jpg", PHOTO, "drone/mosaic-rotated.png", BRAND, "phones/IMG_1007.webp"];
    let before = container(azurite, "fix-kill-clean", &names);
    let args = |folder: &Path| {
        ["--apply", "--quiet", "--backup", folder.to_str().expect("UTF-8")].map(str::to_owned)
    };
    let apply = |container: &str, folder: &Path| {
        let args = args(folder);
        with_key(azurite, container, &args.each_ref().map(String::as_str))
    };
    let clean = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    assert_eq!(apply("fix-kill-clean", clean.path()).code, 0);
    let whole_run = begun.elapsed();
    let get = |container: &str, name| {
        let blob = azurite.get(container, name);
        let etag = blob.headers()["etag"].as_bytes().to_vec();
        (blob.into_body(), etag)
    };
    let after: Vec<_> = names.iter().map(|name| get("fix-kill-clean", name).0).collect();
    for round in 0..rounds() {
        let (cam, backup) = (format!("fix-kill-{round}"), tempfile::tempdir().expect("a folder"));
        container(azurite, &cam, &names);
        let first = names.map(|name| (name, BTreeSet::from([get(&cam, name).1])));
        let mut versions: BTreeMap<&str, BTreeSet<Vec<u8>>> = first.into();
        for kill in 0..KILLS {
            let mut run = Command::new(env!("CARGO_BIN_EXE_presync"));
            run.arg("fix").arg(azurite.container_url(&cam)).args(args(backup.path()));
            run.env("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string()).stdout(Stdio::null());
            let mut child = run.spawn().expect("it starts");
            thread::sleep(whole_run.mul_f64(share()));
            child.kill().and_then(|()| child.wait()).expect("it ends");
            for (name, new) in names.iter().zip(&after) {
                let (bytes, etag) = get(&cam, name);
                let is_old = bytes == before[*name];
                let is_new = bytes.len().abs_diff(new.len()) < 64;
                assert!(is_old || is_new, "{name} is neither the old nor the new one: {round}, {kill}");
                let is_kept = || fs::read(backup.path().join(name)).is_ok_and(|kept| kept == before[*name]);
                assert!(is_old || is_kept(), "{name} is lost: {round}, {kill}");
                versions.entry(name).or_default().insert(etag);
            }
        }
        let ran = apply(&cam, backup.path());
        assert_eq!(ran.code, 0, "it can be continued: {} {}", ran.stdout, ran.stderr);
        for name in names {
            let versions = versions.entry(name).or_default();
            versions.insert(get(&cam, name).1);
            assert_eq!(versions.len(), 2, "{name} was written other than once: {round}");
        }
    }
    let left = with_key(azurite, "fix-kill-0", &["--format", "json"]).json();
    assert_eq!(left["fixable"], serde_json::json!({}), "{left}");
}

/// Runs a script with bash, with this binary on the PATH.
fn bash(script: &str, environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fix.sh");
    fs::write(&file, script).expect("it can be written");
    let mut bash = Command::new("bash");
    bash.arg(&file).env("PRESYNC", env!("CARGO_BIN_EXE_presync")).current_dir(root());
    bash.envs(environment.iter().copied()).stdin(Stdio::null());
    bash.output().expect("there is a bash")
}

fn script(ran: &Ran) -> &str {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    &ran.stdout
}

#[test]
fn a_script_fixes_a_folder_as_the_command_does() {
    let folder = copy_of(&[PHOTO, BRAND, MOV]);
    let names = ["$(touch hacked).jpg", "'; rm -rf x;'.jpg", "a\nb # c.jpg", "-o x.jpg", "é😀 \"q\".jpg"];
    for name in names {
        fs::copy(demo().join(PHOTO), folder.path().join(name)).expect("it is copied");
    }
    let [by_script, by_command] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let to = |out: &Path, more: &[&str]| {
        fix(folder.path()).args(["--out".as_ref(), out.as_os_str()]).args(more).run()
    };
    let ran = to(by_script.path(), &["--script", "bash"]);
    let output = bash(script(&ran), &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said} {}", ran.stdout);
    to(by_command.path(), &["--apply"]);
    let [script_files, command_files] = [&by_script, &by_command].map(|folder| files(folder.path()));
    let keys = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&script_files), keys(&command_files));
    assert_eq!(script_files[BRAND], command_files[BRAND]);
    assert_eq!(script_files[PHOTO], command_files[PHOTO]);
    assert!(!folder.path().join("hacked").exists() && !root().join("hacked").exists());
    let again = bash(script(&ran), &[]);
    assert!(again.status.success());
    assert_eq!(files(by_script.path()), script_files, "nothing is done twice");

    let before = files(folder.path());
    let ran = fix(folder.path()).args(["--script", "bash", "--in-place", "--only", "VID001"]).run();
    assert!(bash(script(&ran), &[]).status.success());
    let after = files(folder.path());
    assert_eq!(differing(&before[BRAND], &after[BRAND]), 4);
    assert_eq!(after[&format!("{BRAND}.orig")], before[BRAND]);
    assert!(bash(script(&ran), &[]).status.success(), "it can be run again");
    assert_eq!(files(folder.path()), after);
}

#[test]
fn a_script_judges_by_the_rules_that_chose_the_work() {
    let folder = copy_of(&[PHOTO, BRAND]);
    let [own, out, backup] = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let profile = own.path().join("own.toml");
    fs::write(&profile, own_profile()).expect("it can be written");
    let options = ["--profile".as_ref(), profile.as_os_str(), "--ignore".as_ref(), "FMT006".as_ref()];
    let ran = fix(folder.path()).args(options).args(["--script", "bash", "--out"]).args([out.path()]).run();
    let output = bash(script(&ran), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(out.path()).len(), 2);

    // Originals go where they are to be kept, and a name changes where that is asked for.
    fs::copy(demo().join("cam1/0001.jpg"), folder.path().join("photo.png")).expect("it is copied");
    let before = files(folder.path());
    let ran = fix(folder.path())
        .args(["--script", "bash", "--only", "VID001,FMT002", "--backup"])
        .args([backup.path()])
        .run();
    for _ in 0..2 {
        let output = bash(script(&ran), &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (kept, after) = (files(backup.path()), files(folder.path()));
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["photo.png", BRAND]);
        assert_eq!((&kept[BRAND], &kept["photo.png"]), (&before[BRAND], &before["photo.png"]));
        assert_eq!(differing(&before[BRAND], &after[BRAND]), 4);
        assert_eq!(after.keys().collect::<Vec<_>>(), [PHOTO, "photo.jpg", BRAND]);
    }
    let upload = fix(folder.path())
        .args(["--script", "bash", "--to", "https://media.blob.core.windows.net/cam"])
        .run();
    assert!(upload.code == 2 && upload.stderr.contains("cannot upload"), "{}", upload.stderr);
    let inside = folder.path().join("kept");
    let inside = fix(folder.path()).args(["--script", "bash", "--backup"]).args([inside]).run();
    assert!(inside.code == 2 && inside.stderr.contains("is in the source"), "{}", inside.stderr);
}

#[test]
fn a_script_fixes_a_container_as_the_command_does() {
    let azurite = Azurite::http();
    let before = container(azurite, "fix-script", &[BRAND, PHOTO, MOV]);
    let properties = [
        ("x-ms-blob-content-type", "video/mp4"),
        ("x-ms-meta-camera", "it's \"7\" $(x)"),
        ("x-ms-tags", "site=a%20b"),
    ];
    azurite.put_with("fix-script", BRAND, &before[BRAND], &properties);
    let ran = with_key(azurite, "fix-script", &["--script", "bash", "--exclude", "*.mov"]);
    let script = script(&ran);
    let sas = azurite.sas("fix-script", "racwdlt", Timestamp::now() + 1.hour());
    let refused = bash(script, &[("AZURE_STORAGE_SAS_TOKEN", &sas)]);
    assert_eq!(refused.status.code(), Some(2), "originals could not be restored");
    for _ in 0..2 {
        let environment = [("AZURE_STORAGE_SAS_TOKEN", &*sas), ("PRESYNC_PROTECTED", "yes")];
        let output = bash(script, &environment);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let after = azurite.get("fix-script", BRAND);
        assert_eq!(differing(&before[BRAND], after.body()), 4, "only the major brand differs");
        let field = |name: &str| after.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(field("x-ms-meta-camera"), Some("it's \"7\" $(x)"));
        assert_eq!((field("x-ms-tag-count"), field("content-type")), (Some("1"), Some("video/mp4")));
        assert_eq!(azurite.get("fix-script", MOV).body(), &before[MOV]);
        assert_eq!(azurite.get("fix-script", PHOTO).headers()["content-type"], "image/jpeg");
    }
    let left = with_key(azurite, "fix-script", &["--format", "json", "--exclude", "*.mov"]).json();
    assert_eq!(left["fixable"], serde_json::json!({}), "{left}");
}

#[test]
fn a_script_for_powershell_has_every_name_only_as_a_quoted_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["$(calc).jpg", "'; calc;'.jpg", "a\nb # c.jpg", "é\u{2019}\"`.jpg"];
    for name in names {
        fs::copy(demo().join(PHOTO), folder.path().join(name)).expect("it is copied");
    }
    let ran = fix(folder.path()).args(["--script", "powershell", "--in-place"]).run();
    let script = script(&ran);
    assert!(script.is_ascii(), "Windows PowerShell reads other characters in its own code page");
    let lines: Vec<_> = script.lines().filter(|line| line.starts_with("In-Folder ")).collect();
    assert_eq!(lines.len(), names.len());
    for line in lines {
        // Outside of quotes, there are only words and the one call that makes other characters.
        let outside: String = line.split('\'').step_by(2).collect();
        let outside = outside.replace("([regex]::Unescape())", "");
        assert!(outside.chars().all(|c| c.is_ascii_alphanumeric() || "$ -./_:".contains(c)), "{line}");
    }
}
