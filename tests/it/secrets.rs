//! No secret in anything that is written: every command and format, with every credential, right and wrong.

use std::fs;
use std::path::Path;
use std::thread;

use jiff::{Timestamp, ToSpan};

use crate::support::azurite::{Azurite, KEY, fake_az, unsigned_jwt};
use crate::support::presync::{Presync, demo};
use crate::support::stand_in::{Answer, StandIn};

const CONTAINER: &str = "secrets";
const OTHER_KEY: &str = "b3RoZXIga2V5IG9mIHRoZSB0ZXN0cw==";
const BROKEN_KEY: &str = "br0ken key of the tests";
const CLIENT_SECRET: &str = "s3cret~of~the~client";
const FEDERATED: &str = "federated-t0ken-of-the-tests";
const IDENTITY_HEADER: &str = "1dentity-header-of-the-tests";

/// A credential: the source, the variables, and what nobody may see of it.
struct Case {
    what: &'static str,
    source: String,
    variables: Vec<(&'static str, String)>,
    secrets: Vec<String>,
}

impl Case {
    fn new(
        what: &'static str,
        source: impl Into<String>,
        variables: &[(&'static str, &str)],
        secrets: &[&str],
    ) -> Self {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self {
            what,
            source: source.into(),
            variables,
            secrets: secrets.iter().map(|s| (*s).to_owned()).collect(),
        }
    }
}

/// The signature of a SAS, as it is written and decoded.
fn signatures(sas: &str) -> [String; 2] {
    let (_, signature) = sas.split_once("sig=").expect("a SAS has a signature");
    let decoded = percent_encoding::percent_decode_str(signature).decode_utf8().expect("base64");
    [signature.to_owned(), decoded.into_owned()]
}

fn of_key_and_sas(azurite: &Azurite) -> Vec<Case> {
    let url = azurite.container_url(CONTAINER);
    let connection = azurite.connection_string();
    let wrong = connection.replace(KEY, OTHER_KEY);
    let az = format!("az://{CONTAINER}");
    let string = "AZURE_STORAGE_CONNECTION_STRING";
    let mut cases = vec![
        Case::new("a key", &url, &[("AZURE_STORAGE_KEY", KEY)], &[KEY]),
        Case::new("another key", &url, &[("AZURE_STORAGE_KEY", OTHER_KEY)], &[OTHER_KEY]),
        Case::new("a broken key", &url, &[("AZURE_STORAGE_KEY", BROKEN_KEY)], &[BROKEN_KEY]),
        Case::new("a connection string", &az, &[(string, &connection)], &[KEY]),
        Case::new("a wrong connection string", &az, &[(string, &wrong)], &[OTHER_KEY]),
        Case::new("a broken connection string", &az, &[(string, BROKEN_KEY)], &[BROKEN_KEY]),
    ];
    let now = Timestamp::now();
    for (what, rights, end) in [
        ("a SAS", "rl", now + 1.hour()),
        ("a SAS that cannot list", "r", now + 1.hour()),
        ("a SAS that cannot read", "l", now + 1.hour()),
        ("a SAS that has expired", "rl", now - 1.hour()),
    ] {
        let sas = azurite.sas(CONTAINER, rights, end);
        let [encoded, decoded] = signatures(&sas);
        let secrets = [encoded.as_str(), decoded.as_str()];
        cases.push(Case::new(what, format!("{url}?{sas}"), &[], &secrets));
        cases.push(Case::new(what, &url, &[("AZURE_STORAGE_SAS_TOKEN", &sas)], &secrets));
    }
    let sas = azurite.sas(CONTAINER, "rl", now + 1.hour());
    let [encoded, decoded] = signatures(&sas);
    for (what, source) in [
        ("a SAS in an az URL", format!("{az}?{sas}")),
        ("a SAS after a '#'", format!("{url}/#?{sas}")),
        ("a SAS and a bad name", format!("{url}_/x?{sas}")),
    ] {
        cases.push(Case::new(what, source, &[], &[&encoded, &decoded]));
    }
    cases
}

fn of_identities(azurite: &Azurite, folder: &Path) -> Vec<Case> {
    let url = azurite.container_url(CONTAINER);
    let tokens = ["https://storage.azure.com", "https://management.azure.com"].map(unsigned_jwt);
    let file = folder.join("federated");
    fs::write(&file, FEDERATED).expect("it can be written");
    let file = file.to_str().expect("UTF-8");
    let refusing = StandIn::https(|_| Answer("401 Unauthorized", Vec::new(), "no".into()));
    let unassigned = StandIn::http(|_| Answer("400 Bad Request", Vec::new(), "no".into()));
    let mut cases = Vec::new();
    for (number, token) in tokens.iter().enumerate() {
        let bin = folder.join(number.to_string());
        fs::create_dir(&bin).expect("a folder");
        fake_az(&bin, token);
        let answer = format!(r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"{token}"}}"#);
        let authority = StandIn::https(move |_| Answer::ok("application/json", answer.clone()));
        cases.push(Case::new("the Azure CLI", &url, &[("PATH", bin.to_str().expect("UTF-8"))], &[token]));
        for authority in [&authority.url, &refusing.url] {
            let place = [("AZURE_AUTHORITY_HOST", authority.as_str()), ("AZURE_TENANT_ID", "t")];
            let secret = [("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", CLIENT_SECRET)];
            let federated = [("AZURE_CLIENT_ID", "c"), ("AZURE_FEDERATED_TOKEN_FILE", file)];
            let hidden = [token, CLIENT_SECRET, FEDERATED];
            cases.push(Case::new("a client secret", &url, &[place, secret].concat(), &hidden));
            cases.push(Case::new("a workload identity", &url, &[place, federated].concat(), &hidden));
        }
        let endpoint = [("IDENTITY_ENDPOINT", unassigned.url.as_str()), ("IDENTITY_HEADER", IDENTITY_HEADER)];
        cases.push(Case::new("a managed identity", &url, &endpoint, &[IDENTITY_HEADER]));
    }
    let swapped =
        [("AZURE_TENANT_ID", CLIENT_SECRET), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "t")];
    cases.push(Case::new("a secret in the place of a tenant", &url, &swapped, &[CLIENT_SECRET]));
    cases
}

/// Runs every command over the source, and gives all that they wrote.
fn written(case: &Case, ca: &Path) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report");
    let report = file.to_str().expect("UTF-8");
    let plans = folder.path().to_str().expect("UTF-8");
    let mut all = String::new();
    for args in [
        &["dry-run", "-vvv"][..],
        &["dry-run", "-vvv", "--format", "json", "--output", report],
        &["dry-run", "-vvv", "--format", "jsonl", "--output", report],
        &["audit", "-v", "--out", plans],
        &["audit", "--format", "json", "--out", plans, "--output", report],
        &["doctor"],
        &["doctor", "--format", "json"],
        &["explain"],
    ] {
        let mut presync = Presync::new(args.iter().copied()).args([&case.source]);
        for (name, value) in &case.variables {
            presync = presync.env(name, value);
        }
        let ran = presync.env("SSL_CERT_FILE", ca).env("RUST_BACKTRACE", "1").env("RUST_LOG", "trace").run();
        all += &ran.stdout;
        all += &ran.stderr;
        // A run that could not start leaves no file.
        all += &fs::read_to_string(&file).unwrap_or_default();
    }
    all
}

#[test]
fn no_secret_is_ever_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let [plain, encrypted] = [Azurite::http(), Azurite::https()];
    for azurite in [plain, encrypted] {
        azurite.create_container(CONTAINER, false);
        azurite.put(CONTAINER, "0001.jpg", fs::read(demo().join("cam1/0001.jpg")).expect("it can be read"));
    }
    let mut cases = of_key_and_sas(plain);
    cases.extend(of_identities(encrypted, folder.path()));
    let check = |case: &Case| {
        let all = written(case, encrypted.ca());
        assert!(all.contains("error: ") || all.contains("credential"), "{}: it says nothing", case.what);
        for secret in &case.secrets {
            assert!(!all.contains(secret), "{}: {all}", case.what);
        }
        assert!(!all.contains("Bearer ") && !all.contains("SharedKey "), "{}: {all}", case.what);
    };
    // Some wait before they try again.
    thread::scope(|scope| {
        for cases in cases.chunks(cases.len().div_ceil(4)) {
            scope.spawn(|| cases.iter().for_each(check));
        }
    });
}
