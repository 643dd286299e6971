//! `presync dry-run` on a container: the same report as on a folder, by every way to name it and to sign in.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::azurite::{ACCOUNT, Azurite, KEY, fake_az, unsigned_jwt};
use crate::support::presync::{Presync, Ran, demo, without_summary};

const PRIVATE: &str = "dry-run";
const PUBLIC: &str = "dry-run-public";
/// Where the demo lies in a container.
const PREFIX: &str = "team a/";
const QUOTA: [&str; 4] = ["--image-quota", "20", "--frame-quota", "500"];
const FORMATS: [&str; 3] = ["text", "json", "jsonl"];

/// What the folder gives, asset by asset.
static OF_THE_FOLDER: LazyLock<Ran> =
    LazyLock::new(|| Presync::dry_run(demo()).args(QUOTA).args(["--format", "jsonl"]).run());

/// Azurite with the demo in a private and in a public container.
static HTTP: LazyLock<&Azurite> = LazyLock::new(|| {
    upload(Azurite::http(), PRIVATE, false);
    upload(Azurite::http(), PUBLIC, true);
    Azurite::http()
});

/// Azurite over TLS with the demo in a private container.
static HTTPS: LazyLock<&Azurite> = LazyLock::new(|| {
    upload(Azurite::https(), PRIVATE, false);
    Azurite::https()
});

/// A way to the demo.
struct Way {
    source: String,
    args: Vec<&'static str>,
    env: Vec<(&'static str, OsString)>,
    /// What a report says about it.
    url: String,
    container: &'static str,
    credential: &'static str,
    /// What nobody may ever see.
    secrets: Vec<String>,
}

impl Way {
    fn new(
        azurite: &Azurite,
        container: &'static str,
        source: impl Into<String>,
        credential: &'static str,
    ) -> Self {
        Self {
            source: source.into(),
            args: Vec::new(),
            env: Vec::new(),
            url: format!("{}/team%20a/", azurite.container_url(container)),
            container,
            credential,
            secrets: vec![KEY.to_owned()],
        }
    }

    fn args<const N: usize>(mut self, args: [&'static str; N]) -> Self {
        self.args.extend(args);
        self
    }

    fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    fn presync(&self) -> Presync {
        let presync = Presync::dry_run(&self.source).args(QUOTA).args(&self.args);
        self.env.iter().fold(presync, |presync, (name, value)| presync.env(name, value))
    }

    /// Runs it in a format, and checks that it is quiet about secrets.
    fn run(&self, format: &str) -> Ran {
        let ran = self.presync().args(["--format", format]).run();
        for text in [&ran.stdout, &ran.stderr] {
            let seen = self.secrets.iter().find(|secret| text.contains(secret.as_str()));
            assert_eq!(seen, None, "{format}: {text}");
        }
        ran
    }

    /// Checks that every format says what it says of the folder, and where it comes from.
    fn is_as_good_as_the_folder(&self) {
        let ran = self.run("jsonl");
        assert_eq!((ran.code, ran.stderr.as_str()), (OF_THE_FOLDER.code, ""), "{}", self.source);
        let (assets, expected) = (ran.jsonl(), OF_THE_FOLDER.jsonl());
        assert!(!expected.is_empty());
        assert_eq!(assets.len(), expected.len());
        for (asset, of_the_folder) in assets.iter().zip(&expected) {
            assert_ne!(asset["etag"], of_the_folder["etag"]);
            assert!(asset["etag"].is_string() && asset["last_modified"].is_string(), "{asset}");
            assert_eq!(*asset, in_the_container(asset, of_the_folder), "{}", asset["name"]);
        }

        let document = self.run("json").json();
        let source = json!({
            "provider": "azure", "location": self.url, "account": ACCOUNT, "container": self.container,
            "prefix": PREFIX, "credential": self.credential,
        });
        assert_eq!(document["source"], source);
        assert_eq!(document["assets"], Value::from(assets));

        let text = self.run("text").stdout;
        let shown = |label: &str| {
            let mut lines = text.lines().map(str::trim_start);
            let line = lines.find_map(|line| line.strip_prefix(label)?.strip_prefix("  "));
            line.unwrap_or_else(|| panic!("no {label}: {text}")).trim_start().to_owned()
        };
        assert_eq!(shown("provider"), "Azure Blob Storage");
        assert_eq!(shown("source"), self.url);
        assert_eq!(shown("account"), ACCOUNT);
        assert_eq!(shown("container"), self.container);
        assert_eq!(shown("prefix"), PREFIX);
        assert_eq!(shown("credential"), self.credential);
    }
}

/// The record of a folder's asset as the one of the same blob in the container has to be: with the prefix in its
/// name, and with the container's own version and time.
fn in_the_container(asset: &Value, of_the_folder: &Value) -> Value {
    let mut expected = of_the_folder.clone();
    let name = of_the_folder["name"].as_str().expect("a name");
    expected["name"] = format!("{PREFIX}{name}").into();
    expected["etag"] = asset["etag"].clone();
    expected["last_modified"] = asset["last_modified"].clone();
    // A file has no type.
    expected["content_type"] = asset["content_type"].clone();
    expected
}

fn upload(azurite: &Azurite, container: &str, public: bool) {
    azurite.create_container(container, public);
    let root = demo();
    let blobs = files(&root).into_iter().map(|path| {
        let name = path.strip_prefix(&root).expect("it lies there").to_str().expect("UTF-8");
        (format!("{PREFIX}{name}"), fs::read(&path).expect("it can be read"))
    });
    azurite.put_many(container, blobs);
    // Beside the prefix, and so in no report.
    azurite.put(container, "team b/0001.jpg", "not of this team");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A SAS of the private container, and its signature in the two ways to write it.
fn sas(permissions: &str) -> (String, [String; 2]) {
    let sas = HTTP.sas(PRIVATE, permissions, Timestamp::now() + 1.hour());
    let (_, signature) = sas.split_once("sig=").expect("it is signed");
    let plain = percent_encoding::percent_decode_str(signature).decode_utf8().expect("it is ASCII");
    let signatures = [signature.to_owned(), plain.into_owned()];
    (sas, signatures)
}

fn with_sas(way: Way, signatures: [String; 2]) -> Way {
    signatures.into_iter().fold(way, Way::secret).secret("sig=")
}

fn private_url() -> String {
    format!("{}/team%20a/", HTTP.container_url(PRIVATE))
}

#[test]
fn with_the_accounts_key() {
    let way = Way::new(&HTTP, PRIVATE, private_url(), "shared key (AZURE_STORAGE_KEY)");
    way.env("AZURE_STORAGE_KEY", KEY).env("AZURE_STORAGE_ACCOUNT", ACCOUNT).is_as_good_as_the_folder();
}

#[test]
fn with_a_connection_string_and_the_containers_name() {
    for (source, args) in [
        (format!("az://{PRIVATE}/{PREFIX}"), [].as_slice()),
        (format!("az://{PRIVATE}/{PREFIX}"), &["--account", ACCOUNT]),
        (format!("abfs://{PRIVATE}/{PREFIX}"), &[]),
    ] {
        let credential = "shared key (AZURE_STORAGE_CONNECTION_STRING)";
        let mut way = Way::new(&HTTP, PRIVATE, source, credential);
        way.args.extend(args);
        way.env("AZURE_STORAGE_CONNECTION_STRING", HTTP.connection_string()).is_as_good_as_the_folder();
    }
}

#[test]
fn with_a_sas_in_the_url() {
    let (sas, signatures) = sas("rl");
    // The space of the prefix may also stand there as it is.
    let source = format!("{}/{PREFIX}?{sas}", HTTP.container_url(PRIVATE));
    with_sas(Way::new(&HTTP, PRIVATE, source, "SAS in the URL"), signatures).is_as_good_as_the_folder();
}

#[test]
fn with_a_sas_in_the_environment() {
    for mark in ["", "?"] {
        let (sas, signatures) = sas("rl");
        let way = Way::new(&HTTP, PRIVATE, private_url(), "SAS (AZURE_STORAGE_SAS_TOKEN)");
        let way = way.env("AZURE_STORAGE_SAS_TOKEN", format!("{mark}{sas}"));
        with_sas(way, signatures).is_as_good_as_the_folder();
    }
}

#[test]
fn a_public_container_without_a_credential() {
    let source = format!("{}/team%20a/", HTTP.container_url(PUBLIC));
    Way::new(&HTTP, PUBLIC, &source, "no credential (none was found)").is_as_good_as_the_folder();
    let asked_for = Way::new(&HTTP, PUBLIC, source, "anonymous").args(["--auth", "anonymous"]);
    asked_for.env("AZURE_STORAGE_KEY", "bm90IHRoZSBrZXk=").is_as_good_as_the_folder();
}

#[test]
fn over_tls_with_the_azure_cli() {
    let token = unsigned_jwt("https://storage.azure.com");
    let bin: TempDir = tempfile::tempdir().expect("a folder");
    fake_az(bin.path(), &token);
    for mode in ["cli", "auto"] {
        let source = format!("{}/team%20a/", HTTPS.container_url(PRIVATE));
        let way = Way::new(&HTTPS, PRIVATE, source, "Azure CLI").args(["--auth", mode]).secret(&token);
        way.env("PATH", bin.path()).env("SSL_CERT_FILE", HTTPS.ca()).is_as_good_as_the_folder();
    }
}

#[test]
fn an_abfss_url_is_read_from_the_accounts_blob_endpoint() {
    let source = format!("abfss://{PRIVATE}@nosuchaccount.dfs.core.windows.invalid/{PREFIX}");
    let ran = Presync::dry_run(source).args(["--auth", "anonymous"]).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    let expected = "error: cannot reach https://nosuchaccount.blob.core.windows.invalid: ";
    assert!(ran.stderr.starts_with(expected), "{}", ran.stderr);
}

#[test]
fn no_format_shows_a_sas_when_the_run_fails_either() {
    let (list_only, of_list_only) = sas("l");
    let (read_only, of_read_only) = sas("r");
    let (good, of_good) = sas("rl");
    let forged = good.replace("sp=rl", "sp=rwl");
    let closed = "http://127.0.0.1:1/devstoreaccount1/media/team a/";
    let url = private_url();
    let cases = [
        ("it cannot read", format!("{url}?{list_only}"), of_list_only),
        ("it cannot list", format!("{url}?{read_only}"), of_read_only),
        ("its signature does not fit", format!("{url}?{forged}"), of_good.clone()),
        ("nothing listens there", format!("{closed}?{good}"), of_good.clone()),
        ("the name is none", format!("{}/-/?{good}", HTTP.endpoint()), of_good.clone()),
        ("the scheme takes no SAS", format!("az://{PRIVATE}/?{good}"), of_good),
    ];
    let runs = cases.iter().flat_map(|case| FORMATS.map(|format| (case, format)));
    // Side by side: some wait before they try again.
    thread::scope(|scope| {
        for ((what, source, signatures), format) in runs {
            scope.spawn(move || {
                let way = Way::new(&HTTP, PRIVATE, source, "SAS in the URL");
                let ran = with_sas(way, signatures.clone()).run(format);
                assert_eq!(ran.code, 2, "{what}: {}", ran.stderr);
            });
        }
    });
}

#[test]
fn no_report_in_a_file_holds_a_sas() {
    let (sas, signatures) = sas("rl");
    let folder = tempfile::tempdir().expect("a folder");
    let way =
        with_sas(Way::new(&HTTP, PRIVATE, format!("{}?{sas}", private_url()), "SAS in the URL"), signatures);
    for format in FORMATS {
        let file = folder.path().join(format);
        let ran = way.presync().args(["--format", format, "--output"]).args([&file]).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (OF_THE_FOLDER.code, ""), "{}", ran.stderr);
        let report = fs::read_to_string(&file).expect("it is there");
        assert!(report.contains("0001.jpg"), "{report}");
        let seen = way.secrets.iter().find(|secret| report.contains(secret.as_str()));
        assert_eq!(seen, None, "{report}");
    }
}

#[test]
fn the_order_in_which_blobs_are_read_changes_nothing() {
    let at_once = |count: &str| {
        let presync = Presync::dry_run(private_url()).env("AZURE_STORAGE_KEY", KEY);
        let ran = presync.args(QUOTA).args(["--format", "jsonl", "--concurrency", count]).run();
        without_summary(&ran.stdout).to_owned()
    };
    let one_by_one = at_once("1");
    assert_eq!(one_by_one.lines().count(), without_summary(&OF_THE_FOLDER.stdout).lines().count());
    assert_eq!(one_by_one, at_once("64"));
}
