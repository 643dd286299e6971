//! Every kind of sign-in against a stand-in for its provider, and what happens to tokens during a run.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use azure_core::base64::decode_url_safe;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::azurite::{Azurite, unsigned_jwt};
use crate::support::presync::{Presync, Ran};
use crate::support::stand_in::{Answer, Request, StandIn};

const AUDIENCE: &str = "https://storage.azure.com";
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const BLOBS: usize = 40;

/// A container of [`BLOBS`] files, none of which is an image, for whom `is_welcome` accepts.
fn container(is_welcome: impl Fn(&Request) -> bool + Send + Sync + 'static) -> StandIn {
    StandIn::https(move |request| {
        if !is_welcome(request) {
            return Answer::refused("401 Unauthorized", "InvalidAuthenticationInfo");
        }
        if request.line.contains("comp=list") {
            let blob = |number| {
                format!(
                    "<Blob><Name>{number:02}.jpg</Name><Properties><Content-Length>4</Content-Length></Properties></Blob>"
                )
            };
            let blobs: String = (0..BLOBS).map(blob).collect();
            let page = format!("<EnumerationResults><Blobs>{blobs}</Blobs></EnumerationResults>");
            return Answer::ok("application/xml", page);
        }
        Answer("206 Partial Content", vec!["content-range: bytes 0-3/4".into()], "none".into())
    })
}

fn has_token(request: &Request) -> bool {
    request.headers.iter().any(|line| line.starts_with("authorization: Bearer "))
}

fn dry_run(container: &StandIn, mode: &str) -> Presync {
    let presync = Presync::dry_run(format!("{}/media/cam", container.url)).args(["--auth", mode, "-v"]);
    presync.env("SSL_CERT_FILE", Azurite::https().ca())
}

fn principal(presync: Presync, authority: &StandIn) -> Presync {
    presync
        .env("AZURE_AUTHORITY_HOST", &authority.url)
        .env("AZURE_TENANT_ID", "contoso.onmicrosoft.com")
        .env("AZURE_CLIENT_ID", CLIENT)
}

/// Entra ID, which gives everyone a token.
fn authority() -> StandIn {
    StandIn::https(|_| {
        let token = unsigned_jwt(AUDIENCE);
        let body = format!(r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"{token}"}}"#);
        Answer::ok("application/json", body)
    })
}

/// Checks that everything was read, and with what.
fn check(ran: &Ran, credential: &str) {
    assert_eq!(ran.code, 1, "{credential}: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(&format!("credential: {credential}\n")), "{}", ran.stderr);
}

fn only(stand_in: &StandIn) -> Request {
    let mut seen = stand_in.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

/// The fields of a form.
fn field(body: &str, name: &str) -> String {
    let mut fields = url::form_urlencoded::parse(body.as_bytes());
    fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).expect("the field is there")
}

fn openssl(folder: &Path, args: &[&str]) {
    let output =
        Command::new("openssl").current_dir(folder).args(args).output().expect("there is an openssl");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_certificate_signs_in_with_an_assertion_that_openssl_verifies() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    openssl(
        at,
        &[
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "own.pem",
            "-subj", "/CN=app",
        ],
    );
    let both =
        ["key.pem", "own.pem"].map(|name| fs::read_to_string(at.join(name)).expect("it is there")).concat();
    fs::write(at.join("both.pem"), both).expect("it can be written");
    let (authority, container) = (authority(), container(has_token));
    let run = |mode| {
        let presync = principal(dry_run(&container, mode), &authority);
        presync.env("AZURE_CLIENT_CERTIFICATE_PATH", at.join("both.pem")).run()
    };
    check(&run("client-certificate"), "service principal (AZURE_CLIENT_CERTIFICATE_PATH)");

    let body = only(&authority).body;
    assert_eq!(field(&body, "client_id"), CLIENT);
    let assertion = field(&body, "client_assertion");
    let (text, signature) = assertion.rsplit_once('.').expect("it has three parts");
    fs::write(at.join("text"), text).expect("it can be written");
    fs::write(at.join("signature"), decode_url_safe(signature).expect("base64")).expect("it can be written");
    openssl(at, &["x509", "-in", "own.pem", "-pubkey", "-noout", "-out", "public.pem"]);
    let padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    let verify = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature"];
    openssl(at, &[&verify[..], &padding, &["text"]].concat());
    let part = |number: usize| -> Value {
        let part = assertion.split('.').nth(number).expect("a part");
        serde_json::from_slice(&decode_url_safe(part).expect("base64")).expect("JSON")
    };
    openssl(at, &["x509", "-in", "own.pem", "-outform", "DER", "-out", "own.der"]);
    openssl(at, &["dgst", "-sha256", "-binary", "-out", "thumbprint", "own.der"]);
    let thumbprint = part(0)["x5t#S256"].as_str().expect("a text").to_owned();
    assert_eq!(
        decode_url_safe(thumbprint).expect("base64"),
        fs::read(at.join("thumbprint")).expect("it is there")
    );
    let audience = format!("{}/contoso.onmicrosoft.com/oauth2/v2.0/token", authority.url);
    assert_eq!((&part(1)["aud"], &part(1)["sub"]), (&audience.into(), &CLIENT.into()));

    check(&run("auto"), "service principal (AZURE_CLIENT_CERTIFICATE_PATH)");
}

#[test]
fn a_job_of_github_signs_in() {
    let github = StandIn::https(|_| Answer::ok("application/json", r#"{"count":1,"value":"of-github"}"#));
    let (authority, container) = (authority(), container(has_token));
    let presync = principal(dry_run(&container, "auto"), &authority)
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/idtoken?api-version=2.0", github.url))
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job");
    check(&presync.run(), "workload identity (GitHub Actions)");
    let asked = only(&github);
    assert_eq!(asked.line, "GET /idtoken?api-version=2.0&audience=api%3A%2F%2FAzureADTokenExchange");
    assert!(asked.headers.contains(&"authorization: Bearer of-the-job".to_owned()), "{asked:?}");
    assert_eq!(field(&only(&authority).body, "client_assertion"), "of-github");
}

#[test]
fn a_job_of_azure_pipelines_signs_in() {
    let pipelines = StandIn::https(|_| Answer::ok("application/json", r#"{"oidcToken":"of-pipelines"}"#));
    let (authority, container) = (authority(), container(has_token));
    let presync = dry_run(&container, "workload-identity")
        .env("AZURE_AUTHORITY_HOST", &authority.url)
        .env("AZURESUBSCRIPTION_TENANT_ID", "contoso.onmicrosoft.com")
        .env("AZURESUBSCRIPTION_CLIENT_ID", CLIENT)
        .env("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "connection")
        .env("SYSTEM_ACCESSTOKEN", "of-the-job")
        .env("SYSTEM_OIDCREQUESTURI", format!("{}/oidc", pipelines.url));
    check(&presync.run(), "workload identity (Azure Pipelines)");
    assert!(only(&pipelines).line.ends_with("serviceConnectionId=connection"));
    assert_eq!(field(&only(&authority).body, "client_assertion"), "of-pipelines");
}

#[test]
fn each_provider_of_managed_identities_is_asked_its_way() {
    const RESOURCE: &str = "resource=https%3A%2F%2Fstorage.azure.com";
    let app_service = [("IDENTITY_ENDPOINT", "URL/token"), ("IDENTITY_HEADER", "h")];
    let learning = [("MSI_ENDPOINT", "URL/token"), ("MSI_SECRET", "h")];
    let with =
        |some: &[(&'static str, &'static str)], more: (&'static str, &'static str)| [some, &[more]].concat();
    for (variables, line, header, body) in [
        (
            app_service.to_vec(),
            format!("GET /token?api-version=2019-08-01&{RESOURCE}"),
            "x-identity-header: h",
            "",
        ),
        (
            with(&app_service, ("AZURE_CLIENT_ID", "id")),
            format!("GET /token?api-version=2019-08-01&{RESOURCE}&client_id=id"),
            "x-identity-header: h",
            "",
        ),
        (
            with(&app_service, ("AZURE_OBJECT_ID", "id")),
            format!("GET /token?api-version=2019-08-01&{RESOURCE}&object_id=id"),
            "x-identity-header: h",
            "",
        ),
        (
            with(&app_service, ("AZURE_MSI_RESOURCE_ID", "/s/id")),
            format!("GET /token?api-version=2019-08-01&{RESOURCE}&mi_res_id=%2Fs%2Fid"),
            "x-identity-header: h",
            "",
        ),
        (
            with(&learning, ("DEFAULT_IDENTITY_CLIENT_ID", "id")),
            format!("GET /token?api-version=2017-09-01&{RESOURCE}&clientid=id"),
            "secret: h",
            "",
        ),
        (vec![("MSI_ENDPOINT", "URL/token")], "POST /token".into(), "metadata: true", RESOURCE),
        (
            vec![("IDENTITY_ENDPOINT", "URL/token"), ("IMDS_ENDPOINT", "URL")],
            format!("GET /token?api-version=2020-06-01&{RESOURCE}"),
            "metadata: true",
            "",
        ),
    ] {
        let provider = StandIn::http(|_| {
            let (token, end) = (unsigned_jwt(AUDIENCE), (Timestamp::now() + 1.hour()).as_second());
            let body = format!(
                r#"{{"access_token":"{token}","expires_on":"{end}","resource":"{AUDIENCE}","token_type":"Bearer"}}"#
            );
            Answer::ok("application/json", body)
        });
        let container = container(has_token);
        // A proxy that does not exist: the machine's identity is never asked for through one.
        let presync = dry_run(&container, "auto").env("HTTP_PROXY", "http://127.0.0.1:1");
        let presync = variables
            .iter()
            .fold(presync, |presync, (name, value)| presync.env(name, value.replace("URL", &provider.url)));
        check(&presync.run(), "managed identity");
        let asked = only(&provider);
        assert_eq!((asked.line, asked.body), (line, body.to_owned()), "{variables:?}");
        assert!(asked.headers.contains(&header.to_owned()), "{variables:?}: {:?}", asked.headers);
    }
}

/// An `az` or `azd` that runs this script and writes a line to `calls` each time.
fn tool(folder: &TempDir, name: &str, script: &str) {
    let file = folder.path().join(name);
    let calls = folder.path().join("calls");
    fs::write(&file, format!("#!/bin/sh\necho $$ >>'{}'\n{script}\n", calls.display()))
        .expect("it can be written");
    fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("it can be made executable");
}

fn calls(folder: &TempDir) -> Vec<String> {
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

/// Prints a token that is valid for some seconds.
fn token(word: &str, seconds: i64) -> String {
    let end = Timestamp::now().as_second() + seconds;
    format!(r#"echo '{{"accessToken":"{word}","tokenType":"Bearer","expires_on":{end}}}'"#)
}

fn path(folder: &TempDir) -> String {
    format!("{}:/usr/bin:/bin", folder.path().display())
}

#[test]
fn the_developer_tools_sign_in_and_the_first_that_can_is_used() {
    let (folder, container) = (tempfile::tempdir().expect("a folder"), container(has_token));
    let end = Timestamp::now() + 1.hour();
    let azd = format!(r#"echo '{{"token":"of-azd","expiresOn":"{}"}}'"#, end.strftime("%Y-%m-%dT%H:%M:%SZ"));
    tool(&folder, "azd", &azd);
    check(&dry_run(&container, "azd").env("PATH", path(&folder)).run(), "Azure Developer CLI");
    tool(&folder, "az", "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1");
    let ran = dry_run(&container, "auto").env("PATH", path(&folder)).run();
    check(&ran, "Azure CLI or Azure Developer CLI");

    tool(&folder, "azd", "echo '{\"data\":{\"message\":\"ERROR: not logged in\"}}' >&2; exit 1");
    let ran = dry_run(&container, "auto").env("PATH", path(&folder)).run();
    assert_eq!(ran.code, 2);
    let both = "Azure CLI: Please run 'az login' to setup account; Azure Developer CLI: not logged in";
    assert!(ran.stderr.contains(both), "{}", ran.stderr);
    assert!(ran.stderr.contains("not set up: AZURE_CLIENT_SECRET"), "{}", ran.stderr);
}

#[test]
fn a_tool_is_asked_once_for_many_requests() {
    for (seconds, most) in [(3600, 1), (200, 2)] {
        let (folder, container) = (tempfile::tempdir().expect("a folder"), container(has_token));
        tool(&folder, "az", &format!("sleep 0.3; {}", token("of-az", seconds)));
        let ran = dry_run(&container, "cli").args(["--concurrency", "16"]).env("PATH", path(&folder)).run();
        check(&ran, "Azure CLI");
        assert_eq!(container.seen().len(), BLOBS + 1);
        let calls = calls(&folder).len();
        assert!((1..=most).contains(&calls), "{calls} calls for a token of {seconds} s");
    }
}

#[test]
fn a_tool_that_fails_is_asked_once_for_many_requests() {
    // The first token expires at once, and there is no other.
    let (folder, container) = (tempfile::tempdir().expect("a folder"), container(has_token));
    let script = format!(
        "if [ $(wc -l <\"$(dirname \"$0\")/calls\") = 1 ]; then {}; else sleep 0.2; echo 'ERROR: gone' >&2; exit 1; fi",
        token("of-az", 1)
    );
    tool(&folder, "az", &script);
    let ran = dry_run(&container, "cli").env("PATH", path(&folder)).run();
    assert!(ran.code == 2 || ran.code == 1, "{}", ran.stderr);
    assert!(calls(&folder).len() < 8, "{} calls", calls(&folder).len());
}

#[test]
fn a_token_that_is_rejected_during_a_run_is_replaced_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let answered = AtomicUsize::new(0);
    // After some requests, the service accepts only the second token.
    let container = container(move |request| {
        let token = if answered.fetch_add(1, Ordering::Relaxed) < 10 { "of-az-" } else { "of-az-2" };
        request.headers.iter().any(|line| line.starts_with(&format!("authorization: Bearer {token}")))
    });
    let of = |number: u32| token(&format!("of-az-{number}"), 3600);
    let script = format!(
        "case $(wc -l <\"$(dirname \"$0\")/calls\" | tr -d ' ') in 1) {};; *) {};; esac",
        of(1),
        of(2)
    );
    tool(&folder, "az", &script);
    let ran = dry_run(&container, "cli").args(["--concurrency", "8"]).env("PATH", path(&folder)).run();
    check(&ran, "Azure CLI");
    assert_eq!(calls(&folder).len(), 2, "{}", ran.stderr);
}

#[test]
fn what_a_tool_started_ends_with_presync() {
    for signal in ["INT", "TERM", "KILL"] {
        let (folder, container) = (tempfile::tempdir().expect("a folder"), container(has_token));
        // Like the real one, it starts another program.
        tool(&folder, "az", "sh -c 'echo $$ >>\"$(dirname \"$0\")/calls\"; sleep 600; true' \"$0\"");
        let mut presync = Command::new(env!("CARGO_BIN_EXE_presync"))
            .args(["dry-run", &format!("{}/media/cam", container.url), "--auth", "cli"])
            .env_clear()
            .env("PATH", path(&folder))
            .env("SSL_CERT_FILE", Azurite::https().ca())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let begun = Instant::now();
        let soon = |what: &dyn Fn() -> bool| {
            while !what() && begun.elapsed() < Duration::from_secs(20) {
                thread::sleep(Duration::from_millis(20));
            }
            what()
        };
        assert!(soon(&|| calls(&folder).len() == 2), "az was started");
        let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", presync.id())]).status();
        assert!(kill.expect("there is a shell").success());
        presync.wait().expect("it ends");
        for pid in calls(&folder) {
            let ended = || Command::new("sh").args(["-c", &format!("kill -0 {pid} 2>/dev/null")]).status();
            assert!(soon(&|| ended().is_ok_and(|status| !status.success())), "{signal}: {pid} still runs");
        }
    }
}

#[test]
fn the_steps_of_the_doctor_share_a_token() {
    let (folder, container) = (tempfile::tempdir().expect("a folder"), container(has_token));
    tool(&folder, "az", &token("of-az", 3600));
    let ran = Presync::new([
        "doctor",
        &format!("{}/media/cam", container.url),
        "--auth",
        "cli",
        "--format",
        "json",
    ])
    .env("SSL_CERT_FILE", Azurite::https().ca())
    .env("PATH", path(&folder))
    .run();
    assert!(ran.stdout.contains("valid for 60 min"), "{}", ran.stdout);
    assert!(ran.stdout.contains("of each of 5 blobs"), "{}", ran.stdout);
    assert_eq!(calls(&folder).len(), 1, "{}", ran.stdout);
}
