//! Signing in with Entra ID through stand-ins for it: each way right and wrong, tokens that end during a run, and no
//! secret in anything that is written.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use jiff::{Timestamp, ToSpan};
use tempfile::TempDir;

use crate::support::azurite::{Azurite, fake_az, unsigned_jwt, unsigned_jwt_until};
use crate::support::presync::{Presync, Ran, demo};
use crate::support::stand_in::{Answer, Request, StandIn};

const CONTAINER: &str = "credentials";
const AUDIENCE: &str = "https://storage.azure.com";
const CLIENT_SECRET: &str = "s3cret~of~the~client";
const FEDERATED: &str = "federated-t0ken";
const IDENTITY_HEADER: &str = "1dentity-header";

/// Azurite over TLS with one image in a private container.
static AZURITE: LazyLock<&Azurite> = LazyLock::new(|| {
    let azurite = Azurite::https();
    azurite.create_container(CONTAINER, false);
    azurite.put(CONTAINER, "0001.jpg", fs::read(demo().join("cam1/0001.jpg")).expect("it can be read"));
    azurite
});

/// A place to sign in at that gives `token`.
fn authority(token: String) -> StandIn {
    StandIn::https(move |_| {
        Answer::ok(
            "application/json",
            format!(r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"{token}"}}"#),
        )
    })
}

/// One that refuses everybody as Entra ID does.
fn refusing(code: u32, why: &'static str) -> StandIn {
    StandIn::https(move |_| {
        let body = format!(
            r#"{{"error":"invalid_client","error_description":"AADSTS{code}: {why}\r\nTrace ID: 0","error_codes":[{code}]}}"#
        );
        Answer("401 Unauthorized", vec!["content-type: application/json".into()], body.into_bytes())
    })
}

/// A run over the container, signed in with `mode` and these variables of a service principal.
fn principal(mode: &str, authority: &str) -> Presync {
    dry_run(mode)
        .env("AZURE_AUTHORITY_HOST", authority)
        .env("AZURE_TENANT_ID", "contoso.onmicrosoft.com")
        .env("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555")
}

fn dry_run(mode: &str) -> Presync {
    let presync = Presync::dry_run(AZURITE.container_url(CONTAINER)).args(["--auth", mode]);
    presync.env("SSL_CERT_FILE", AZURITE.ca())
}

fn client_secret(authority: &str) -> Presync {
    principal("client-secret", authority).env("AZURE_CLIENT_SECRET", CLIENT_SECRET)
}

fn workload_identity(authority: &str, folder: &Path) -> Presync {
    let file = folder.join("federated");
    fs::write(&file, FEDERATED).expect("it can be written");
    principal("workload-identity", authority).env("AZURE_FEDERATED_TOKEN_FILE", file)
}

fn managed_identity(endpoint: &str) -> Presync {
    let presync = dry_run("managed-identity").env("IDENTITY_ENDPOINT", endpoint);
    presync.env("IDENTITY_HEADER", IDENTITY_HEADER)
}

/// An App Service's endpoint, which gives tokens that hold for an hour.
fn identity() -> StandIn {
    StandIn::http(|_| msi_token(&unsigned_jwt(AUDIENCE), Timestamp::now() + 1.hour()))
}

fn msi_token(token: &str, end: Timestamp) -> Answer {
    let end = end.as_second();
    let body = format!(
        r#"{{"access_token":"{token}","expires_on":"{end}","resource":"{AUDIENCE}","token_type":"Bearer"}}"#
    );
    Answer::ok("application/json", body)
}

fn with_az(folder: &Path, token: &str) -> Presync {
    fs::create_dir_all(folder).expect("a folder");
    fake_az(folder, token);
    dry_run("cli").env("PATH", folder)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Checks that the container was read, and with what.
fn check(ran: &Ran, credential: &str) {
    assert_eq!(ran.code, 0, "{credential}: {}", ran.stderr);
    assert!(ran.stdout.contains(&format!("credential  {credential}\n")), "{}", ran.stdout);
    assert!(ran.stderr.contains(&format!("credential: {credential}\n")), "{}", ran.stderr);
}

fn only(stand_in: &StandIn) -> Request {
    let mut seen = stand_in.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

#[test]
fn a_service_principal_signs_in() {
    let authority = authority(unsigned_jwt(AUDIENCE));
    check(&client_secret(&authority.url).args(["-v"]).run(), "service principal (AZURE_CLIENT_SECRET)");
    let request = only(&authority);
    assert_eq!(request.line, "POST /contoso.onmicrosoft.com/oauth2/v2.0/token");
    assert!(request.body.contains("scope=https%3A%2F%2Fstorage.azure.com%2F.default"), "{}", request.body);
}

#[test]
fn an_audit_signs_in_once() {
    let names = ["credentials-a", "credentials-b", "credentials-c"];
    for name in names {
        AZURITE.create_container(name, false);
        AZURITE.put(name, "0001.jpg", fs::read(demo().join("cam1/0001.jpg")).expect("it can be read"));
    }
    let (authority, folder) = (authority(unsigned_jwt(AUDIENCE)), folder());
    let sources = names.map(|name| AZURITE.container_url(name));
    let ran = Presync::new(["audit", "--auth", "client-secret", "--out"])
        .args([folder.path()])
        .args(sources)
        .env("SSL_CERT_FILE", AZURITE.ca())
        .env("AZURE_AUTHORITY_HOST", &authority.url)
        .env("AZURE_TENANT_ID", "contoso.onmicrosoft.com")
        .env("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555")
        .env("AZURE_CLIENT_SECRET", CLIENT_SECRET)
        .run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    only(&authority);
}

#[test]
fn a_workload_signs_in() {
    let (authority, folder) = (authority(unsigned_jwt(AUDIENCE)), folder());
    let ran = workload_identity(&authority.url, folder.path()).args(["-v"]).run();
    check(&ran, "workload identity (AZURE_FEDERATED_TOKEN_FILE)");
    assert!(only(&authority).body.contains(&format!("client_assertion={FEDERATED}")));
}

#[test]
fn a_managed_identity_signs_in() {
    let identity = identity();
    check(&managed_identity(&identity.url).args(["-v"]).run(), "managed identity");
    let request = only(&identity);
    assert!(request.line.contains("resource=https%3A%2F%2Fstorage.azure.com"), "{}", request.line);
    assert!(request.headers.contains(&format!("x-identity-header: {IDENTITY_HEADER}")), "{request:?}");
}

#[test]
fn the_azure_cli_signs_in() {
    let folder = folder();
    check(&with_az(folder.path(), &unsigned_jwt(AUDIENCE)).args(["-v"]).run(), "Azure CLI");
}

#[test]
fn every_sign_in_that_fails_has_its_own_message() {
    let folder = folder();
    let hour_ago = Timestamp::now() - 1.hour();
    let not_assigned = StandIn::http(|_| Answer("400 Bad Request", Vec::new(), "{}".into()));
    let no_token = StandIn::http(|_| Answer::ok("text/html", "<html>"));
    let refused = |code, why| client_secret(&refusing(code, why).url);
    let mut messages = Vec::new();
    for (what, presync) in [
        ("the wrong client secret", refused(7_000_215, "Invalid client secret provided.")),
        ("a client secret that has expired", {
            refused(7_000_222, "The provided client secret keys for app are expired.")
        }),
        ("an application of another tenant", {
            refused(700_016, "Application with identifier was not found in the directory.")
        }),
        ("no such tenant", refused(90_002, "Tenant 'contoso' not found.")),
        ("something else", refused(53_003, "Blocked by Conditional Access.")),
        ("a federated token of another subject", {
            let authority = refusing(700_213, "No matching federated identity record found.");
            workload_identity(&authority.url, folder.path())
        }),
        ("no identity on the machine", managed_identity(&not_assigned.url)),
        ("an identity endpoint that is none", managed_identity(&no_token.url)),
        ("a place to sign in without TLS", client_secret("http://127.0.0.1:1")),
        ("a token that has expired", {
            with_az(&folder.path().join("expired"), &unsigned_jwt_until(AUDIENCE, hour_ago))
        }),
        ("a token for something else", {
            with_az(&folder.path().join("other"), &unsigned_jwt("https://management.azure.com"))
        }),
        ("a token that is none", with_az(&folder.path().join("none"), "opaque")),
    ] {
        let ran = presync.run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{what}: {}", ran.stderr);
        messages.push(format!("# {what}\n{}", ran.stderr));
    }
    let messages = messages.join("\n").replace(AZURITE.endpoint(), "ENDPOINT");
    assert_snapshot!(messages);
}

#[test]
fn the_doctor_says_what_is_wrong_with_a_token() {
    let folder = folder();
    let end: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let doctor = |presync: Presync| presync.args(["--format", "json"]).run().json()["checks"][2].clone();
    let with_token = |token: &str| {
        fake_az(folder.path(), token);
        let presync = Presync::new(["doctor", &AZURITE.container_url(CONTAINER), "--auth", "cli"]);
        doctor(presync.env("PATH", folder.path()).env("SSL_CERT_FILE", AZURITE.ca()))
    };
    let expired = with_token(&unsigned_jwt_until(AUDIENCE, end));
    assert_eq!(
        (&expired["outcome"], &expired["detail"]),
        (&"failed".into(), &"it expired at 2026-01-01T00:00:00Z".into())
    );
    let other = with_token(&unsigned_jwt("https://management.azure.com"));
    assert_eq!(
        other["detail"],
        "it is for 'https://management.azure.com', not for https://storage.azure.com"
    );

    let authority = refusing(7_000_215, "Invalid client secret provided.");
    let presync = Presync::new(["doctor", &AZURITE.container_url(CONTAINER)])
        .env("SSL_CERT_FILE", AZURITE.ca())
        .env("AZURE_AUTHORITY_HOST", &authority.url)
        .env("AZURE_TENANT_ID", "contoso.onmicrosoft.com")
        .env("AZURE_CLIENT_ID", "id")
        .env("AZURE_CLIENT_SECRET", CLIENT_SECRET);
    let refused = doctor(presync);
    assert_eq!(refused["detail"], "no token: AADSTS7000215: Invalid client secret provided.");
}

/// The client library gets a new token 5 minutes before the old one ends: here every token has 302 seconds left, so
/// it is due after two.
#[test]
fn a_run_that_outlives_its_token_gets_another() {
    const LIFE: Duration = Duration::from_secs(2);
    let given = AtomicUsize::new(0);
    let identity = StandIn::http(move |_| {
        let number = given.fetch_add(1, Ordering::Relaxed);
        msi_token(&format!("token-{number}"), Timestamp::now() + 302.seconds())
    });
    let blobs = StandIn::https(|request| {
        if request.line.contains("comp=list") {
            let blob = |number| {
                format!(
                    "<Blob><Name>{number}.jpg</Name><Properties><Content-Length>4</Content-Length></Properties></Blob>"
                )
            };
            let blobs: String = (0..4).map(blob).collect();
            let page = format!("<EnumerationResults><Blobs>{blobs}</Blobs></EnumerationResults>");
            return Answer::ok("application/xml", page);
        }
        thread::sleep(Duration::from_secs(1));
        Answer("206 Partial Content", vec!["content-range: bytes 0-3/4".into()], "none".into())
    });
    let begun = Instant::now();
    let ran = Presync::dry_run(format!("{}/media/cam", blobs.url))
        .args(["--auth", "managed-identity", "--concurrency", "1"])
        .env("SSL_CERT_FILE", AZURITE.ca())
        .env("IDENTITY_ENDPOINT", &identity.url)
        .env("IDENTITY_HEADER", IDENTITY_HEADER)
        .run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(begun.elapsed() > 2 * LIFE);

    let token = |request: &Request| {
        let token = request.headers.iter().find_map(|line| line.strip_prefix("authorization: Bearer "));
        token.expect("every request has one").to_owned()
    };
    let used: Vec<_> = blobs.seen().iter().map(token).collect();
    assert_eq!(used.len(), 5, "a page and four reads: {used:?}");
    assert!(used.is_sorted() && used[0] == "token-0" && used[4] != "token-0", "{used:?}");
    // Two on a machine that is not busy with anything else.
    assert!(identity.seen().len() < used.len(), "a token is kept for as long as it holds: {used:?}");
}
