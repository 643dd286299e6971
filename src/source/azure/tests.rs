//! Against a server that answers what the test tells it, one answer a connection.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use futures::StreamExt;

use super::*;
use crate::model::{BlobName, ETag};
use crate::source::location::Location;

const CONTENT: &[u8] = b"0123456789abcdefghij";

/// A server, and the heads of the requests that it got.
struct Server {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Gives these answers in their order, then no more.
    fn of(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
                seen.lock().unwrap().push(head);
                let _ = stream.write_all(&answer);
            }
        });
        Self { port, heads }
    }

    fn source_with(&self, mode: AuthMode, query: &str, variables: &[(&str, &str)]) -> AzureSource {
        let env = Environment::of(variables.iter().copied());
        let url = format!("http://127.0.0.1:{}/devstoreaccount1/cam/p%20q/{query}", self.port);
        let Location::Container(url) = Location::parse(OsStr::new(&url), None, &env).unwrap() else {
            panic!()
        };
        let retry = Retry { attempts: 3, first_wait: Duration::from_millis(1) };
        AzureSource::new(url, mode, &env, Options { page_size: 2, retry, ..Options::default() }).unwrap()
    }

    fn source(&self) -> AzureSource {
        self.source_with(AuthMode::Anonymous, "", &[])
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\n").into_bytes();
    for header in headers {
        answer.extend_from_slice(header.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(body);
    answer
}

fn part(start: usize, end: usize) -> Vec<u8> {
    let headers = [
        format!("content-range: bytes {start}-{}/20", end - 1),
        format!("content-length: {}", end - start),
        "etag: \"0x8D\"".to_owned(),
    ];
    answer("206 Partial Content", &headers.each_ref().map(String::as_str), &CONTENT[start..end])
}

fn refusal(status: &str, code: &str) -> Vec<u8> {
    let code = format!("x-ms-error-code: {code}");
    answer(status, &[&code, "content-length: 8"], b"<Error/>")
}

fn blob(name: &str) -> Blob {
    Blob {
        name: BlobName::new(name),
        size: 20,
        etag: Some(ETag::new("0x8D")),
        last_modified: None,
        access: Access::Online,
    }
}

async fn read(server: &Server, range: ByteRange) -> (std::result::Result<Bytes, ReadError>, Reads) {
    let mut reads = Reads::default();
    let bytes = server.source().read(&mut blob("a/b.jpg"), range, &mut reads).await;
    (bytes, reads)
}

async fn read_after(answers: Vec<Vec<u8>>) -> (std::result::Result<Bytes, ReadError>, Reads) {
    read(&Server::of(answers), ByteRange::new(4, 6)).await
}

fn page(names: &[&str], next: &str) -> Vec<u8> {
    let blobs: String = names
        .iter()
        .map(|name| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>"
            )
        })
        .collect();
    let body = format!(
        "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
    );
    answer("200 OK", &[&format!("content-length: {}", body.len())], body.as_bytes())
}

/// The listed names, and the error at the end if there was one.
async fn list(source: AzureSource) -> (Vec<String>, Option<Error>) {
    let mut names = Vec::new();
    let mut pages = Arc::new(source).list();
    while let Some(page) = pages.next().await {
        match page {
            Ok(blobs) => names.extend(blobs.into_iter().map(|blob| blob.name.to_string())),
            Err(error) => {
                assert!(pages.next().await.is_none(), "nothing follows an error");
                return (names, Some(error));
            }
        }
    }
    (names, None)
}

#[tokio::test]
async fn a_range_is_asked_for_with_its_version() {
    let server = Server::of(vec![part(4, 10)]);
    let (bytes, reads) = read(&server, ByteRange::new(4, 6)).await;
    assert_eq!(bytes.unwrap(), &CONTENT[4..10]);
    assert_eq!(reads, Reads { requests: 1, retries: 0, bytes: 6 });
    let head = server.heads().remove(0);
    assert!(head.starts_with("GET /devstoreaccount1/cam/a%2Fb.jpg HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("\r\nrange: bytes=4-9\r\n") && head.contains("\r\nif-match: \"0x8D\"\r\n"),
        "{head}"
    );
    assert!(!head.contains("accept-encoding"), "{head}");
}

#[tokio::test]
async fn a_range_is_cut_to_the_blob() {
    let (bytes, _) = read(&Server::of(vec![part(12, 20)]), ByteRange::new(12, 1000)).await;
    assert_eq!(bytes.unwrap(), &CONTENT[12..]);
    for range in [ByteRange::new(20, 5), ByteRange::new(3, 0), ByteRange::new(u64::MAX, 1)] {
        let (bytes, reads) = read(&Server::of(vec![]), range).await;
        assert_eq!((bytes.unwrap().len(), reads), (0, Reads::default()));
    }
}

#[tokio::test]
async fn the_whole_blob_may_come_as_one() {
    let whole = || answer("200 OK", &["content-length: 20"], CONTENT);
    let (bytes, _) = read(&Server::of(vec![whole()]), ByteRange::new(0, 20)).await;
    assert_eq!(bytes.unwrap(), CONTENT);
    let (bytes, reads) = read_after(vec![whole(), part(4, 10)]).await;
    assert_eq!((&bytes.unwrap()[..], reads.requests), (&CONTENT[4..10], 2));
}

#[tokio::test]
async fn a_body_that_is_cut_short_long_or_another_one_is_not_believed() {
    let range = "content-range: bytes 4-9/20";
    for wrong in [
        answer("206 Partial Content", &[range, "content-length: 6"], b"456"),
        answer("206 Partial Content", &[range], b"456"),
        answer("206 Partial Content", &[range], b"456789abc"),
        answer("206 Partial Content", &[range, "content-length: 3"], b"456"),
        answer("206 Partial Content", &["content-range: bytes 0-5/20", "content-length: 6"], b"012345"),
        answer("206 Partial Content", &["content-length: 6"], b"456789"),
        Vec::new(),
    ] {
        let (bytes, reads) = read_after(vec![wrong.clone(), part(4, 10)]).await;
        assert_eq!((&bytes.unwrap()[..], reads.requests), (&CONTENT[4..10], 2));
        let (bytes, reads) = read_after(vec![wrong.clone(), wrong.clone(), wrong]).await;
        assert_eq!(reads.requests, 3);
        assert!(matches!(bytes, Err(ReadError::Unreadable(text)) if text.ends_with("after 3 attempts")));
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_remains_is_told_with_its_code() {
    let busy = || refusal("503 Service Unavailable", "ServerBusy");
    let (bytes, reads) = read_after(vec![busy(), busy(), part(4, 10)]).await;
    assert_eq!((&bytes.unwrap()[..], reads), (&CONTENT[4..10], Reads { requests: 3, retries: 2, bytes: 6 }));
    let failing = || refusal("500 Internal Server Error", "OperationTimedOut");
    let (bytes, reads) = read_after(vec![busy(), failing(), failing(), failing()]).await;
    assert_eq!(bytes, Err(ReadError::Unreadable("500 OperationTimedOut after 4 attempts".into())));
    assert_eq!(reads.requests, 4);
}

#[tokio::test]
async fn every_code_has_its_meaning() {
    for (status, code, meaning) in [
        ("412 Precondition Failed", "ConditionNotMet", ReadError::Changed),
        ("416 Range Not Satisfiable", "InvalidRange", ReadError::Changed),
        ("404 Not Found", "BlobNotFound", ReadError::Gone),
        ("409 Conflict", "BlobArchived", ReadError::Archived),
        ("409 Conflict", "LeaseLost", ReadError::Refused("409 LeaseLost".into())),
        ("400 Bad Request", "InvalidHeaderValue", ReadError::Refused("400 InvalidHeaderValue".into())),
    ] {
        let (bytes, reads) = read_after(vec![refusal(status, code)]).await;
        assert_eq!((bytes, reads.requests), (Err(meaning), 1), "{code}");
    }
    for (status, code) in
        [("404 Not Found", "ContainerNotFound"), ("409 Conflict", "PublicAccessNotPermitted")]
    {
        let (bytes, _) = read_after(vec![refusal(status, code)]).await;
        assert!(matches!(bytes, Err(ReadError::Fatal(_))), "{code}");
    }
}

#[tokio::test]
async fn a_refused_blob_ends_a_run_only_if_no_other_one_can_be_read() {
    let byte = answer("206 Partial Content", &["content-range: bytes 0-0/1", "content-length: 1"], b"0");
    let others = || page(&["p q/b", "p q/c"], "");
    for (status, code, says) in [
        ("403 Forbidden", "AuthorizationPermissionMismatch", "403 AuthorizationPermissionMismatch"),
        ("401 Unauthorized", "NoAuthenticationInformation", "401 NoAuthenticationInformation"),
    ] {
        let refused = || refusal(status, code);
        let (bytes, reads) = read_after(vec![refused(), others(), byte.clone(), refused()]).await;
        assert_eq!((bytes, reads.requests), (Err(ReadError::Unreadable(says.into())), 1));
        match read_after(vec![refused(), others(), refused(), refused()]).await.0 {
            Err(ReadError::Fatal(error)) => {
                let message = error.message();
                assert!(message.contains(says), "{message}");
                assert!(message.ends_with("; nothing can be read, from 'a/b.jpg' on"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    let refused = || refusal("403 Forbidden", "AuthenticationFailed");
    let (bytes, _) = read_after(vec![refused(), refused()]).await;
    assert!(matches!(bytes, Err(ReadError::Unreadable(_))), "a SAS may allow reading, but not listing");

    let server = Server::of(vec![refused()]);
    let source = server.source_with(AuthMode::Auto, "?se=2020-01-01&sp=r&sig=x", &[]);
    let read = source.read(&mut blob("a"), ByteRange::new(0, 1), &mut Reads::default()).await;
    assert!(matches!(read, Err(ReadError::Fatal(_))), "the SAS itself says that it has expired");
}

#[tokio::test]
async fn a_changed_blob_that_cannot_be_listed_again_is_that_blobs_problem() {
    let server = Server::of(vec![refusal("403 Forbidden", "AuthorizationPermissionMismatch")]);
    let found = server.source().find(&BlobName::new("p q/a")).await;
    let why = "it changed, and listing it again failed: 403 AuthorizationPermissionMismatch";
    assert_eq!(found, Err(ReadError::Unreadable(why.into())));
    let server = Server::of(vec![refusal("404 Not Found", "ContainerNotFound")]);
    assert!(matches!(server.source().find(&BlobName::new("p q/a")).await, Err(ReadError::Fatal(_))));
}

#[tokio::test]
async fn a_listing_without_an_end_is_ended() {
    let circle = ["a", "b", "c", "d", "b", "c", "d", "b", "c", "d"];
    let pages = circle.iter().enumerate().map(|(at, next)| page(&[&format!("p q/{at}")], next));
    let (names, error) = list(Server::of(pages.collect()).source()).await;
    assert!(error.expect("it goes in a circle").message().contains("same page twice"));
    assert!(names.len() < 9, "{names:?}");

    let empty = (0..cursor::MAX_EMPTY_PAGES).map(|at| page(&[], &at.to_string()));
    let (_, error) = list(Server::of(empty.collect()).source()).await;
    assert_eq!(
        error.expect("it never ends").message(),
        "the service sent 5000 pages without a blob in a row"
    );
}

#[tokio::test]
async fn an_encoded_answer_is_not_believed() {
    let encoded = |status: &str, headers: &[&str]| {
        let headers = [&["content-encoding: gzip", "content-length: 8"], headers].concat();
        answer(status, &headers, b"\x1f\x8b\x08\0\0\0\0\0")
    };
    let range = || encoded("206 Partial Content", &["content-range: bytes 4-9/20"]);
    let (bytes, reads) = read_after(vec![range(), range(), part(4, 10)]).await;
    assert_eq!((&bytes.expect("a range")[..], reads.requests), (&CONTENT[4..10], 3));
    let server = Server::of(vec![encoded("200 OK", &[]), page(&["p q/a"], "")]);
    assert_eq!(list(server.source()).await, (vec!["p q/a".into()], None));
}

#[tokio::test]
async fn another_version_in_the_answer_is_a_change() {
    let other = answer(
        "206 Partial Content",
        &["content-range: bytes 4-9/20", "etag: \"0x8E\"", "content-length: 6"],
        b"456789",
    );
    assert_eq!(read_after(vec![other]).await.0, Err(ReadError::Changed));
}

#[tokio::test]
async fn odd_names_are_sent_byte_for_byte() {
    for (name, path) in [
        ("a//b.jpg", "a%2F%2Fb.jpg"),
        ("/lead", "%2Flead"),
        ("a/../b", "a%2F..%2Fb"),
        ("100%.jpg", "100%25.jpg"),
        ("q?h#", "q%3Fh%23"),
        ("nl\n\r\t.jpg", "nl%0A%0D%09.jpg"),
        ("😀", "%F0%9F%98%80"),
    ] {
        let server = Server::of(vec![part(4, 10)]);
        let source = server.source_with(AuthMode::Auto, "?sp=rl&sig=x%2By", &[]);
        source.read(&mut blob(name), ByteRange::new(4, 6), &mut Reads::default()).await.unwrap();
        let head = server.heads().remove(0);
        let wanted = format!("GET /devstoreaccount1/cam/{path}?sp=rl&sig=x%2By HTTP/1.1");
        assert_eq!(head.lines().next(), Some(wanted.as_str()));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_not_asked_for() {
    let source = Server::of(vec![]).source();
    for (access, meaning) in [
        (Access::Archived, Err(ReadError::Archived)),
        (Access::Directory, Ok(Bytes::new())),
        (Access::Unreachable("why".into()), Err(ReadError::Unreadable("why".into()))),
    ] {
        let mut blob = Blob { access, ..blob("x") };
        let mut reads = Reads::default();
        assert_eq!(source.read(&mut blob, ByteRange::new(0, 9), &mut reads).await, meaning);
        assert_eq!(reads, Reads::default());
    }
}

#[tokio::test]
async fn a_listing_follows_its_markers_over_empty_and_failed_pages() {
    let server = Server::of(vec![
        page(&["p q/a", "p q/b"], "m 1"),
        refusal("500 Internal Server Error", "OperationTimedOut"),
        page(&[], "m+2"),
        answer("200 OK", &["content-length: 900"], b"<EnumerationResults><Blobs>"),
        page(&["p q/c"], ""),
    ]);
    let (names, error) = list(server.source()).await;
    assert_eq!((names, error), (vec!["p q/a".into(), "p q/b".into(), "p q/c".into()], None));
    let heads = server.heads();
    let query = |at: usize| heads[at].lines().next().unwrap().to_owned();
    for part in ["comp=list", "restype=container", "include=metadata", "maxresults=2", "prefix=p%20q%2F"] {
        assert!(query(0).contains(part), "{part}: {}", query(0));
    }
    assert!(!query(0).contains("marker"));
    assert!(query(1).contains("marker=m%201") && query(2).contains("marker=m%201"));
    assert!(query(4).contains("marker=m%2B2"), "{}", query(4));
}

#[tokio::test]
async fn a_listing_that_breaks_off_says_how_far_it_came() {
    let bad = || answer("200 OK", &["content-length: 6"], b"<html>");
    let server = Server::of(vec![page(&["p q/a", "p q/b\n"], "m"), bad(), bad(), bad()]);
    let (names, error) = list(server.source()).await;
    let message = error.unwrap().message().to_owned();
    assert_eq!(names.len(), 2);
    assert!(message.starts_with("the listing failed after 2 blobs ('p q/b\\n'): "), "{message}");
    assert!(message.contains("not a listing, at byte 6"), "{message}");

    let server = Server::of(vec![page(&["p q/a"], "m"), page(&["p q/b"], "m")]);
    let (_, error) = list(server.source()).await;
    assert!(error.unwrap().message().contains("same page twice"));
}

#[tokio::test]
async fn a_refused_listing_says_why_and_what_to_do() {
    let key = [("AZURE_STORAGE_KEY", "eA==")];
    let old = "?se=2020-01-01&sp=rl&sig=c2VjcmV0";
    let all = "?sp=rl&sig=c2VjcmV0";
    for (status, code, mode, query, says, cure) in [
        ("404 Not Found", "ContainerNotFound", AuthMode::Key, "", "no container 'cam'", "spelling"),
        ("404 Not Found", "ResourceNotFound", AuthMode::Anonymous, "", "no public container", "sign in"),
        ("409 Conflict", "PublicAccessNotPermitted", AuthMode::Anonymous, "", "anonymous", "sign in"),
        ("403 Forbidden", "AuthorizationPermissionMismatch", AuthMode::Key, "", "permission", "Data Reader"),
        ("403 Forbidden", "AuthorizationPermissionMismatch", AuthMode::Sas, all, "SAS", "sp=rl"),
        ("403 Forbidden", "AuthorizationFailure", AuthMode::Sas, old, "expired at 2020", "new one"),
        ("403 Forbidden", "AuthorizationFailure", AuthMode::Key, "", "the key is wrong, or", "then"),
        ("403 Forbidden", "AuthorizationFailure", AuthMode::Sas, all, "the SAS is not accepted, or", "then"),
        ("400 Bad Request", "AccountRequiresHttps", AuthMode::Key, "", "https only", "https://"),
        ("400 Bad Request", "", AuthMode::Key, "", "blob endpoint", "https://"),
        ("403 Forbidden", "AuthenticationFailed", AuthMode::Key, "", "the key is wrong", "clock"),
        ("403 Forbidden", "AuthenticationFailed", AuthMode::Sas, "?sp=r&sig=x", "only 'r'", "sp=rl"),
        ("403 Forbidden", "KeyBasedAuthenticationNotPermitted", AuthMode::Key, "", "keys", "az login"),
        ("301 Moved Permanently", "X", AuthMode::Anonymous, "", "redirects", "blob endpoint"),
    ] {
        let server = Server::of(vec![refusal(status, code)]);
        let (_, error) = list(server.source_with(mode, query, &key)).await;
        let error = error.unwrap();
        assert!(error.message().contains(says), "{code}: {error}");
        assert!(error.hint().unwrap().contains(cure), "{code}: {error:?}");
        assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
    }
}

#[tokio::test]
async fn in_the_cloud_the_network_rules_come_first_and_the_account_is_named() {
    let env = Environment::of([("AZURE_STORAGE_KEY", "eA==")]);
    let url = OsStr::new("https://media.blob.core.windows.net/cam");
    let Location::Container(url) = Location::parse(url, None, &env).unwrap() else { panic!() };
    let source = AzureSource::new(url, AuthMode::Key, &env, Options::default()).unwrap();
    let explain = |status, code: &str| {
        let failure =
            Failure::Status { status, code: Some(code.into()), retry_after: None, said: Box::default() };
        source.explain(&Failed { failure, attempts: 1 })
    };
    let refused = explain(403, "AuthorizationFailure");
    assert!(refused.message().contains(": the account's network rules block this machine, or "), "{refused}");
    assert!(refused.hint().unwrap().starts_with("add this machine's address"), "{refused:?}");
    let missing = explain(404, "ContainerNotFound");
    assert!(missing.hint().unwrap().ends_with("--account-name media"), "{missing:?}");
}

#[tokio::test]
async fn who_hangs_up_on_tls_may_speak_plain_http() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/devstoreaccount1/cam", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().read(&mut [0; 16 * 1024]);
        }
    });
    let env = Environment::of([("", ""); 0]);
    let Location::Container(url) = Location::parse(OsStr::new(&url), None, &env).unwrap() else { panic!() };
    let retry = Retry { attempts: 2, first_wait: Duration::from_millis(1) };
    let options = Options { retry, ..Options::default() };
    let source = AzureSource::new(url, AuthMode::Anonymous, &env, options).unwrap();
    let (_, error) = list(source).await;
    let error = error.unwrap();
    assert!(error.message().ends_with("after 2 attempts"), "{error}");
    assert!(error.hint().unwrap().contains("http://"), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_named() {
    let server = Server { port: 1, heads: Arc::default() };
    let (_, error) = list(server.source_with(AuthMode::Auto, "?sp=rl&sig=c2VjcmV0", &[])).await;
    let error = error.unwrap();
    assert!(error.message().starts_with("cannot reach http://127.0.0.1:1/devstoreaccount1: "), "{error}");
    assert!(error.message().ends_with("after 3 attempts"), "{error}");
    assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
}

fn refusal_with(status: &str, code: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let body = format!("<Error><Code>{code}</Code>{body}</Error>");
    let (code, length) = (format!("x-ms-error-code: {code}"), format!("content-length: {}", body.len()));
    answer(status, &[&[&*code, &*length], headers].concat(), body.as_bytes())
}

#[tokio::test]
async fn the_hint_follows_what_the_service_says() {
    let key = [("AZURE_STORAGE_KEY", "eA==")];
    let sas = "?sp=rl&sig=c2VjcmV0";
    let detail = |text: &str| {
        format!("<Message>No.</Message><AuthenticationErrorDetail>{text}</AuthenticationErrorDetail>")
    };
    for (code, body, mode, query, says, cure) in [
        (
            "AuthenticationFailed",
            detail("Signed Directory Depth Invalid"),
            AuthMode::Sas,
            sas,
            "for a folder",
            "prefix",
        ),
        (
            "AuthenticationFailed",
            detail("Signature not valid in the specified key time frame: Key start [1]"),
            AuthMode::Sas,
            sas,
            "user delegation key",
            "7 days",
        ),
        (
            "AuthenticationFailed",
            detail("Signature fields not well formed."),
            AuthMode::Sas,
            sas,
            "damaged",
            "%2B",
        ),
        (
            "AuthenticationFailed",
            detail("Access policy does not exist: p"),
            AuthMode::Sas,
            sas,
            "policy",
            "az storage",
        ),
        (
            "AuthenticationFailed",
            detail("Signature did not match."),
            AuthMode::Sas,
            sas,
            "does not fit",
            "rotated",
        ),
        (
            "AuthenticationFailed",
            detail("Request date header too old"),
            AuthMode::Key,
            "",
            "clock",
            "timedatectl",
        ),
        (
            "AuthenticationFailed",
            detail("The MAC signature is wrong"),
            AuthMode::Key,
            "",
            "key is wrong",
            "rotated",
        ),
        (
            "KeyVaultEncryptionKeyNotFound",
            String::new(),
            AuthMode::Key,
            "",
            "encrypts the account",
            "recover",
        ),
        (
            "KeyVaultVaultNotFound",
            String::new(),
            AuthMode::Sas,
            "?sp=r&sig=x",
            "vault",
            "az keyvault recover",
        ),
        ("KeyVaultAccessTokenCannotBeAcquired", String::new(), AuthMode::Key, "", "cannot sign in", "Crypto"),
        ("AccountIsDisabled", String::new(), AuthMode::Sas, "?sp=r&sig=x", "disabled", "portal"),
        (
            "AuthorizationSourceIPMismatch",
            "<Message>not with source IP 203.0.113.7.</Message>".to_owned(),
            AuthMode::Sas,
            sas,
            "203.0.113.7",
            "for 203.0.113.7 (sip)",
        ),
    ] {
        let server =
            Server::of(vec![refusal_with("403 Forbidden", code, &["x-ms-request-id: ab-12"], &body)]);
        let (_, error) = list(server.source_with(mode, query, &key)).await;
        let error = error.unwrap();
        assert!(
            error.message().contains(says) && error.message().contains("request ID ab-12"),
            "{code}: {error}"
        );
        assert!(error.hint().unwrap().contains(cure), "{code}: {error:?}");
        assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
    }
}

#[tokio::test]
async fn an_older_version_of_the_api_is_tried_until_one_is_known() {
    let unknown = || {
        let body = "<HeaderName>x-ms-version</HeaderName><HeaderValue>1</HeaderValue>";
        refusal_with("400 Bad Request", "InvalidHeaderValue", &[], body)
    };
    let server = Server::of(vec![unknown(), unknown(), page(&["a"], "m"), page(&["b"], "")]);
    let (names, error) = list(server.source()).await;
    assert_eq!((names.len(), error), (2, None));
    let versions: Vec<_> = server
        .heads()
        .iter()
        .map(|head| head.lines().find_map(|line| line.strip_prefix("x-ms-version: ")).unwrap().to_owned())
        .collect();
    assert_eq!(versions, ["2026-04-06", "2023-11-03", "2019-07-07", "2019-07-07"]);

    let server = Server::of((0..4).map(|_| unknown()).collect());
    let (_, error) = list(server.source()).await;
    assert!(error.unwrap().hint().unwrap().contains("--api-version"));
}
