//! The loopback blob server: what it serves, how it fails, and how it is controlled.

use std::path::Path;

use bytes::Bytes;
use hyper::{Method, Response};
use presync::loopback::{
    Attempts, Blob, Config, Content, Fault, Faults, Handle, Kind, On, Rule, Server, Shape, Tier, Tls,
};

use crate::support::http::{Answer, Client, text};
use crate::support::presync::Presync;
use crate::support::tls;

mod faults;
mod process;

/// The content of the blob `a.bin`.
const CONTENT: &[u8] = b"0123456789abcdefghij";
const ETAG: &str = "0x8DA";

fn blob(name: &str, bytes: &[u8]) -> Blob {
    Blob { name: name.into(), bytes: bytes.into(), etag: Some(ETAG.into()), ..Blob::default() }
}

fn serve(content: Content, faults: Faults) -> Handle {
    Server::start(Config { faults, ..Config::of("media", content) }).expect("it starts")
}

/// A server with one blob.
fn serve_one(faults: Faults) -> Handle {
    serve(Content::Blobs(vec![blob("a.bin", CONTENT)]), faults)
}

fn shape(blobs: u64) -> Content {
    Content::Shape(Shape { blobs, ..Shape::default() })
}

fn rules(rules: impl Into<Vec<Rule>>) -> Faults {
    Faults { rules: rules.into(), ..Faults::default() }
}

/// Every request of this kind fails like this.
fn always(on: On, fault: Fault) -> Faults {
    rules([Rule { on, ..Rule::on_reads(fault, 1.0).attempts(Attempts::Always) }])
}

fn get(server: &Handle, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(server, Method::GET, path, headers)
}

fn send(server: &Handle, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    Client::new(None).send(method, &format!("{}{path}", server.url()), headers, "")
}

/// Reads bytes 4 to 9 of the one blob.
fn get_range(server: &Handle) -> Answer {
    get(server, "/media/a.bin", &[("range", "bytes=4-9"), ("if-match", ETAG)])
}

fn header<'r>(response: &'r Response<Bytes>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// Status and code of a refusal, whose body must say the same.
fn refusal(response: Answer) -> (u16, String) {
    let response = response.expect("an answer");
    let (status, code) = (response.status().as_u16(), header(&response, "x-ms-error-code").to_owned());
    let body = text(response);
    assert!(body.is_empty() || body.contains(&format!("<Code>{code}</Code>")), "{body}");
    (status, code)
}

fn list(server: &Handle, query: &str) -> String {
    let path = format!("/media?restype=container&comp=list{query}");
    get(server, &path, &[]).map(text).expect("a page")
}

/// The texts of all elements of this name.
fn texts<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).map(|rest| rest.split(&close).next().expect("it is closed")).collect()
}

/// The names on all pages that follow each other, and how many pages there are.
fn walk(server: &Handle, query: &str) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut marker) = (Vec::new(), 0, String::new());
    loop {
        let page = list(server, &format!("{query}&marker={marker}"));
        names.extend(texts(&page, "Name").into_iter().map(str::to_owned));
        pages += 1;
        match texts(&page, "NextMarker")[..] {
            [] => return (names, pages),
            [next] => marker = next.to_owned(),
            _ => panic!("{page}"),
        }
    }
}

#[test]
fn a_blob_and_its_ranges() {
    let server = serve_one(Faults::default());
    let whole = get(&server, "/media/a.bin", &[]).expect("an answer");
    assert_eq!((whole.status().as_u16(), header(&whole, "etag")), (200, "\"0x8DA\""));
    assert!(header(&whole, "last-modified").ends_with(" GMT"));
    assert_eq!(whole.into_body(), CONTENT);
    for (headers, range, content) in [
        ([("range", "bytes=4-9"), ("if-match", ETAG)], "bytes 4-9/20", &CONTENT[4..10]),
        ([("range", "bytes=0-0"), ("x-ms-range", "bytes=18-99")], "bytes 18-19/20", &CONTENT[18..]),
        ([("range", "bytes=19-"), ("if-match", "\"0x8DA\"")], "bytes 19-19/20", &CONTENT[19..]),
    ] {
        let part = get(&server, "/media/a.bin", &headers).expect("an answer");
        assert_eq!((part.status().as_u16(), header(&part, "content-range")), (206, range));
        assert_eq!(part.into_body(), content);
    }
    let head = send(&server, Method::HEAD, "/media/a.bin", &[("range", "bytes=4-9")]).expect("an answer");
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "20"));
    for (path, headers, expected) in [
        ("/media/a.bin", [("range", "bytes=20-"), ("if-match", ETAG)], (416, "InvalidRange")),
        ("/media/a.bin", [("range", "bytes=20-"), ("if-match", "0x8DB")], (412, "ConditionNotMet")),
        ("/media/b.bin", [("range", "bytes=0-9"), ("if-match", ETAG)], (404, "BlobNotFound")),
        ("/other/a.bin", [("range", "bytes=0-9"), ("if-match", ETAG)], (404, "ContainerNotFound")),
    ] {
        let (status, code) = refusal(get(&server, path, &headers));
        assert_eq!((status, code.as_str()), expected);
    }
    let stats = server.stats();
    assert_eq!((stats.of(Kind::Read), stats.of(Kind::Properties), stats.refused), (8, 1, 0));
}

#[test]
fn a_blob_is_written_archived_and_deleted() {
    let server = serve_one(Faults::default());
    let archived = Blob { tier: Tier::Archive, ..blob("a.bin", CONTENT) };
    server.put("media", archived).expect("it can be written");
    assert_eq!(refusal(get_range(&server)), (409, "BlobArchived".into()));
    assert_eq!(texts(&list(&server, ""), "AccessTier"), ["Archive"]);
    server.put("media", Blob { etag: None, ..blob("a.bin", b"new") }).expect("it can be written");
    assert_eq!(refusal(get_range(&server)), (412, "ConditionNotMet".into()));
    server.delete("media", "a.bin").expect("it can be deleted");
    assert_eq!(refusal(get_range(&server)), (404, "BlobNotFound".into()));
    assert!(server.put("other", blob("a", b"")).is_err());
    assert!(serve(shape(1), Faults::default()).put("media", blob("a", b"")).is_err());
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let server = serve(shape(12_345), Faults::default());
    let (names, pages) = walk(&server, "");
    assert_eq!((names.len(), pages), (12_345, 3));
    assert!(names.is_sorted());
    let (day, pages) = walk(&server, "&prefix=cam0000/2026-11-02/&maxresults=999");
    assert_eq!((&day[..], pages), (&names[5_000..10_000], 6));
    let (some, _) = walk(&server, "&prefix=cam0000/2026-11-03/IMG_0000100");
    assert_eq!(some, names[10_000..10_100]);
    assert_eq!(walk(&server, "&prefix=cam0001"), (vec![], 1));

    let prefixes = |query: &str| walk(&server, query).0;
    assert_eq!(prefixes("&delimiter=/"), ["cam0000/"]);
    let days = ["cam0000/2026-11-01/", "cam0000/2026-11-02/", "cam0000/2026-11-03/"];
    assert_eq!(prefixes("&delimiter=/&prefix=cam0000/"), days);
    assert_eq!(prefixes("&delimiter=/&prefix=cam0000/&maxresults=1"), days);
    assert_eq!(prefixes("&delimiter=/&prefix=cam0000/2026-11-03/"), names[10_000..]);
}

#[test]
fn names_come_as_xml_can_carry_them() {
    let metadata = [("hdi_isfolder".to_owned(), "true".to_owned())].into();
    let odd = ["a&b<c>.jpg", "d\u{1}e.jpg", "f/g", "f/h", "f0"].map(|name| blob(name, b""));
    let folder = Blob { metadata, ..blob("g", b"") };
    let server = serve(Content::Blobs([&odd[..], &[folder]].concat()), Faults::default());
    let page = list(&server, "&delimiter=/&include=metadata,tags");
    assert!(page.starts_with("\u{feff}<?xml"));
    assert_eq!(texts(&page, "Name"), ["a&amp;b&lt;c&gt;.jpg", "f/", "f0", "g"]);
    assert_eq!(texts(&page, "BlobPrefix"), ["<Name>f/</Name>"]);
    assert!(page.contains("<Name Encoded=\"true\">d%01e%2Ejpg</Name>"), "{page}");
    assert_eq!(texts(&page, "Metadata"), ["<hdi_isfolder>true</hdi_isfolder>"]);
    for wrong in ["&maxresults=0", "&maxresults=x", "&marker=x"] {
        let path = format!("/media?restype=container&comp=list{wrong}");
        assert_eq!(refusal(get(&server, &path, &[])).0, 400, "{wrong}");
    }
}

#[test]
fn containers_are_listed() {
    let config = Config {
        containers: ["a1", "a2", "b"].map(|name| (name.to_owned(), shape(1))).into(),
        ..Config::default()
    };
    let server = Server::start(config).expect("it starts");
    let page = |query: &str| get(&server, &format!("?comp=list{query}"), &[]).map(text);
    let first = page("&prefix=a&maxresults=1").expect("a page");
    assert_eq!(texts(&first, "Name"), ["a1"]);
    let next = page(&format!("&prefix=a&marker={}", texts(&first, "NextMarker")[0])).expect("a page");
    assert_eq!((texts(&next, "Name"), texts(&next, "NextMarker")), (vec!["a2"], vec![]));
}

#[test]
fn credentials_count_only_when_they_are_asked_for() {
    let config = Config { bearer_tokens: vec!["good".into()], ..Config::of("media", shape(1)) };
    let server = Server::start(config).expect("it starts");
    let code = |headers: &[(&str, &str)]| refusal(get(&server, "?comp=list", headers)).1;
    assert_eq!(code(&[]), "NoAuthenticationInformation");
    assert_eq!(code(&[("authorization", "Bearer bad")]), "InvalidAuthenticationInfo");
    assert_eq!(
        get(&server, "?comp=list", &[("authorization", "Bearer good")]).expect("an answer").status(),
        200
    );
}

#[test]
fn a_preflight_is_granted_to_the_allowed_origins() {
    let config =
        Config { allowed_origins: vec!["https://allowed.example".into()], ..Config::of("media", shape(1)) };
    let server = Server::start(config).expect("it starts");
    let preflight = |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "GET")];
        send(&server, Method::OPTIONS, "/media/any.mp4", &headers)
    };
    let granted = preflight("https://allowed.example").expect("an answer");
    assert_eq!(granted.status(), 200);
    assert_eq!(header(&granted, "access-control-allow-origin"), "https://allowed.example");
    assert_eq!(refusal(preflight("https://other.example")), (403, "CorsPreflightFailure".into()));
}

#[test]
fn it_speaks_tls() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loopback-tls");
    tls::certify(&folder).expect("certificates");
    let [ca, cert, key] = ["ca.pem", "leaf.pem", "leaf.key"].map(|name| folder.join(name));
    let tls = Some(Tls { cert, key: key.clone() });
    let server = Server::start(Config { tls, ..Config::of("media", shape(20)) }).expect("it starts");
    let client = Client::new(Some(&ca));
    let url = format!("{}/media?restype=container&comp=list", server.url());
    let page = client.get(&url).map(text).expect("a page");
    assert_eq!(texts(&page, "Name").len(), 20);
    server.set_faults(always(On::Lists, Fault::Reset)).expect("they can be set");
    assert!(client.get(&url).is_err());
    server.set_faults(Faults::default()).expect("they can be set");

    let ran = Presync::dry_run(format!("{}/media", server.url()))
        .args(["--auth", "anonymous", "--format", "json"])
        .env("SSL_CERT_FILE", &ca)
        .run();
    assert_eq!(ran.json()["totals"]["listed"], 20, "{}", ran.stderr);
    let wrong = Some(Tls { cert: key.clone(), key });
    assert!(Server::start(Config { tls: wrong, ..Config::default() }).is_err());
}
