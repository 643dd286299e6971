//! The loopback blob server: what it serves, and each fault as a plain client sees it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use presync::loopback::{
    Attempts, Blob, Config, Content, Fault, Faults, Handle, Kind, Latency, Limit, On, Rule, Server, Shape,
    Stats, Tier, Tls,
};
use quick_xml::events::Event;
use reqwest::blocking::{Client, Response};
use reqwest::{Certificate, Method};
use serde_json::{Value, json};

use crate::support::presync::Presync;
use crate::support::tls;

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

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client")
}

fn get(server: &Handle, path: &str, headers: &[(&'static str, &str)]) -> reqwest::Result<Response> {
    send(server, Method::GET, path, headers)
}

fn send(
    server: &Handle,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
) -> reqwest::Result<Response> {
    let mut request = client().request(method, format!("{}{path}", server.url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send()
}

/// Reads bytes 4 to 9 of the one blob.
fn get_range(server: &Handle) -> reqwest::Result<Response> {
    get(server, "/media/a.bin", &[("range", "bytes=4-9"), ("if-match", ETAG)])
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// Status and code of a refusal, whose body must say the same.
fn refusal(response: reqwest::Result<Response>) -> (u16, String) {
    let response = response.expect("an answer");
    let (status, code) = (response.status().as_u16(), header(&response, "x-ms-error-code").to_owned());
    let body = response.text().expect("a body");
    assert!(body.is_empty() || body.contains(&format!("<Code>{code}</Code>")), "{body}");
    (status, code)
}

fn list(server: &Handle, query: &str) -> String {
    let path = format!("/media?restype=container&comp=list{query}");
    get(server, &path, &[]).and_then(Response::text).expect("a page")
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

/// What comes over the connection until its end, and how it ends.
fn raw(server: &Handle, patience: Duration) -> (Vec<u8>, std::io::Result<usize>) {
    let authority = server.url().split('/').nth(2).expect("a URL");
    let mut stream = TcpStream::connect(authority).expect("it listens");
    stream.set_read_timeout(Some(patience)).expect("a timeout");
    stream.write_all(b"GET /loopback/media/a.bin HTTP/1.1\r\nhost: h\r\n\r\n").expect("it can be sent");
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    (answer, end)
}

#[test]
fn a_blob_and_its_ranges() {
    let server = serve_one(Faults::default());
    let whole = get(&server, "/media/a.bin", &[]).expect("an answer");
    assert_eq!((whole.status().as_u16(), header(&whole, "etag")), (200, "\"0x8DA\""));
    assert!(header(&whole, "last-modified").ends_with(" GMT"));
    assert_eq!(whole.bytes().expect("a body"), CONTENT);
    for (headers, range, content) in [
        ([("range", "bytes=4-9"), ("if-match", ETAG)], "bytes 4-9/20", &CONTENT[4..10]),
        ([("range", "bytes=0-0"), ("x-ms-range", "bytes=18-99")], "bytes 18-19/20", &CONTENT[18..]),
        ([("range", "bytes=19-"), ("if-match", "\"0x8DA\"")], "bytes 19-19/20", &CONTENT[19..]),
    ] {
        let part = get(&server, "/media/a.bin", &headers).expect("an answer");
        assert_eq!((part.status().as_u16(), header(&part, "content-range")), (206, range));
        assert_eq!(part.bytes().expect("a body"), content);
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
    let page = |query: &str| get(&server, &format!("?comp=list{query}"), &[]).and_then(Response::text);
    let first = page("&prefix=a&maxresults=1").expect("a page");
    assert_eq!(texts(&first, "Name"), ["a1"]);
    let next = page(&format!("&prefix=a&marker={}", texts(&first, "NextMarker")[0])).expect("a page");
    assert_eq!((texts(&next, "Name"), texts(&next, "NextMarker")), (vec!["a2"], vec![]));
}

#[test]
fn credentials_count_only_when_they_are_asked_for() {
    let config = Config { bearer_tokens: vec!["good".into()], ..Config::of("media", shape(1)) };
    let server = Server::start(config).expect("it starts");
    let code = |headers: &[(&'static str, &str)]| refusal(get(&server, "?comp=list", headers)).1;
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
fn refusals_have_the_codes_of_the_service() {
    for (fault, expected) in [
        (Fault::busy(None), (503, "ServerBusy", "")),
        (Fault::busy(Some(7)), (503, "ServerBusy", "7")),
        (Fault::too_many_requests(Some(1)), (429, "TooManyRequests", "1")),
        (Fault::timed_out(), (500, "OperationTimedOut", "")),
        (Fault::gone(), (404, "BlobNotFound", "")),
        (Fault::no_permission(), (403, "AuthorizationPermissionMismatch", "")),
    ] {
        let server = serve_one(always(On::All, fault.clone()));
        let answer = get_range(&server).expect("an answer");
        let retry_after = header(&answer, "retry-after").to_owned();
        let (status, code) = refusal(Ok(answer));
        assert_eq!((status, code.as_str(), retry_after.as_str()), expected);
        assert_eq!(refusal(get(&server, "?comp=list", &[])).0, status);
        assert_eq!(server.stats().faults, [(fault.name().into_owned(), 2)].into());
        assert_eq!(server.stats().refused, if matches!(status, 429 | 503) { 2 } else { 0 });
    }
}

#[test]
fn a_reset_is_a_reset() {
    let server = serve_one(always(On::Reads, Fault::Reset));
    let (answer, end) = raw(&server, Duration::from_secs(20));
    assert_eq!(
        (answer.len(), end.expect_err("it is reset").kind()),
        (0, std::io::ErrorKind::ConnectionReset)
    );
}

#[test]
fn garbage_is_no_http() {
    let server = serve_one(always(On::Reads, Fault::Garbage));
    let (answer, end) = raw(&server, Duration::from_secs(20));
    assert!(end.is_ok() && !answer.is_empty() && !answer.starts_with(b"HTTP/"), "{answer:?}");
    assert!(get_range(&server).is_err());
}

#[test]
fn a_cut_body_ends_halfway_and_a_stalled_one_does_not_go_on() {
    let half = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer).into_owned();
        text.contains("content-length: 20\r\n") && text.ends_with("\r\n\r\n0123456789")
    };
    let (answer, end) = raw(&serve_one(always(On::Reads, Fault::Cut)), Duration::from_secs(20));
    assert!(end.is_ok() && half(&answer), "{end:?} {answer:?}");
    let (answer, end) = raw(&serve_one(always(On::Reads, Fault::Stall)), Duration::from_millis(300));
    assert!(end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) && half(&answer));
}

#[test]
fn half_of_a_large_blob_is_sent_before_it_is_cut() {
    let size = 3_000_000;
    let content = Content::Blobs(vec![blob("a.bin", &vec![b'x'; size])]);
    let (answer, end) = raw(&serve(content, always(On::Reads, Fault::Cut)), Duration::from_secs(20));
    let body = answer.iter().rev().take_while(|byte| **byte == b'x').count();
    assert!(end.is_ok() && body == size / 2, "{body} {end:?}");
}

#[test]
fn ranges_can_be_answered_wrongly() {
    let answer = |fault| {
        let answer = get_range(&serve_one(always(On::Reads, fault))).expect("an answer");
        let (status, range) = (answer.status().as_u16(), header(&answer, "content-range").to_owned());
        (status, range, answer.bytes().expect("a body").to_vec())
    };
    assert_eq!(answer(Fault::Short), (206, "bytes 4-6/20".into(), CONTENT[4..7].to_vec()));
    assert_eq!(answer(Fault::Whole), (200, String::new(), CONTENT.to_vec()));
    assert_eq!(answer(Fault::WrongRange), (206, "bytes 5-10/20".into(), CONTENT[4..10].to_vec()));
}

#[test]
fn a_replaced_blob_has_a_new_etag_from_then_on() {
    for content in [Content::Blobs(vec![blob("a.bin", CONTENT)]), shape(1)] {
        let server = serve(content, always(On::Reads, Fault::Replaced));
        let listed = || {
            let page = list(&server, "");
            (texts(&page, "Name")[0].to_owned(), texts(&page, "Etag")[0].to_owned())
        };
        let (name, before) = listed();
        let read = |etag: &str| get(&server, &format!("/media/{name}"), &[("if-match", etag)]);
        assert_eq!(listed().1, before);
        assert_eq!(refusal(read(&before)), (412, "ConditionNotMet".into()));
        let (_, after) = listed();
        assert_ne!(after, before);
        let answer = read(&after).expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "etag")),
            (200, format!("\"{after}\"").as_str())
        );
    }
}

#[test]
fn permission_is_lost_after_some_requests() {
    let lost = Rule::on_reads(Fault::no_permission(), 1.0).attempts(Attempts::Always);
    let server = serve_one(rules([Rule { on: On::All, after: 3, ..lost }]));
    let status = || get_range(&server).expect("an answer").status().as_u16();
    assert_eq!([status(), status(), status(), status(), status()], [206, 206, 206, 403, 403]);
}

#[test]
fn pages_can_be_malformed_and_cut() {
    let answer = |fault| {
        let first = Rule::on_lists(fault, 1.0).attempts(Attempts::First(1));
        let server = serve(shape(100), rules([first]));
        let page = || get(&server, "/media?restype=container&comp=list", &[]).and_then(Response::text);
        let (bad, good) = (page(), page().expect("a page"));
        assert!(is_well_formed(&good));
        (bad, good)
    };
    let (malformed, good) = answer(Fault::MalformedPage);
    let malformed = malformed.expect("an answer");
    assert!(malformed.len() > good.len() && !is_well_formed(&malformed));
    let (truncated, good) = answer(Fault::TruncatedPage);
    let truncated = truncated.expect("an answer");
    assert!(good.starts_with(&truncated) && !is_well_formed(&truncated));
    assert!(answer(Fault::Cut).0.is_err());
}

/// Whether every element is closed, and in its place.
fn is_well_formed(xml: &str) -> bool {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut open = 0;
    loop {
        match reader.read_event() {
            Ok(Event::Start(_)) => open += 1,
            Ok(Event::End(_)) => open -= 1,
            Ok(Event::Eof) => return open == 0,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

#[test]
fn answers_take_their_time() {
    let faults = Faults { latency: Latency::Fixed { ms: 80.0 }, ..Faults::default() };
    let server = serve_one(faults);
    let begun = Instant::now();
    get_range(&server).expect("an answer");
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[test]
fn more_than_the_limit_is_refused() {
    let limit = Limit { per_second: 0.001, burst: Some(2.0), retry_after: Some(9) };
    let server = serve_one(Faults { limit: Some(limit), ..Faults::default() });
    assert_eq!([(); 2].map(|()| get_range(&server).expect("an answer").status().as_u16()), [206; 2]);
    let refused = get_range(&server).expect("an answer");
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (503, "9"));
    let stats = server.stats();
    assert_eq!((stats.refused, &stats.faults), (1, &[("limit".to_owned(), 1)].into()));
    let (served, refused): (Vec<_>, Vec<_>) = stats.buckets.into_iter().unzip();
    assert_eq!((served.iter().sum::<u32>(), refused.iter().sum::<u32>()), (2, 1));
}

#[test]
fn the_client_gets_through_all_faults_that_pass() {
    let server = serve(shape(300), Faults::default());
    let records = || {
        let source = format!("{}/media", server.url());
        let ran = Presync::dry_run(source).args(["--auth", "anonymous", "--format", "jsonl"]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
        let verdict =
            |record: Value| [record["name"].clone(), record["verdict"].clone(), record["etag"].clone()];
        ran.jsonl().into_iter().map(verdict).collect::<Vec<_>>()
    };
    let calm = records();
    let names: Vec<_> = walk(&server, "").0.into_iter().map(Value::from).collect();
    assert_eq!(calm.iter().map(|record| record[0].clone()).collect::<Vec<_>>(), names);
    assert!(calm.iter().all(|record| record[1] != "unknown"));
    let requests = server.stats().of(Kind::Read);

    server.reset();
    server.set_faults(Faults::passing(0.3, 5)).expect("they can be set");
    assert_eq!(records(), calm);
    let stats = server.stats();
    let failed = stats.faults.values().sum::<u64>();
    assert!(stats.faults.len() >= 9 && failed > requests / 4, "{stats:?}");
    assert_eq!(stats.total() - failed, requests + 1, "{stats:?}");
}

/// `presync loopback` in a process of its own.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_presync"))
            .arg("loopback")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(ready["containers"], json!(["media"]));
        Self { child, url: ready["url"].as_str().expect("a URL").to_owned() }
    }

    /// Sends a request about the server itself.
    fn control(&self, client: &Client, method: Method, path: &str, body: String) -> (u16, String) {
        let origin = self.url.strip_suffix("/loopback").expect("the account ends the URL");
        let request = client.request(method, format!("{origin}/_loopback/{path}")).body(body);
        let answer = request.send().expect("an answer");
        (answer.status().as_u16(), answer.text().expect("a body"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("it ends when its stdin does");
        assert!(std::thread::panicking() || status.success(), "{status}");
    }
}

#[test]
fn a_process_of_its_own_is_controlled_over_http() {
    let server = Process::start(&["--blobs", "7", "--latency", "1ms"]);
    let client = client();
    let url = format!("{}/media?restype=container&comp=list", server.url);
    let page = client.get(&url).send().and_then(Response::text).expect("a page");
    assert_eq!(texts(&page, "Name").len(), 7);

    let faults = json!({ "rules": [{ "fault": { "refuse": { "status": 503, "code": "ServerBusy" } }, "on": "lists",
        "attempts": "always" }] });
    assert_eq!(server.control(&client, Method::POST, "faults", faults.to_string()).0, 200);
    assert_eq!(client.get(&url).send().expect("an answer").status(), 503);
    let (status, stats) = server.control(&client, Method::GET, "stats", String::new());
    let stats: Stats = serde_json::from_str(&stats).expect("counters");
    assert_eq!((status, stats.of(Kind::List), stats.refused), (200, 2, 1));
    for wrong in [json!({ "rulez": [] }), json!({ "rules": [{ "fault": "reset", "rate": 1.5 }] })] {
        assert_eq!(server.control(&client, Method::POST, "faults", wrong.to_string()).0, 400);
    }
    assert_eq!(server.control(&client, Method::POST, "reset", String::new()).0, 200);
    let (_, stats) = server.control(&client, Method::GET, "stats", String::new());
    assert_eq!(serde_json::from_str::<Stats>(&stats).expect("counters").total(), 0);
}

#[test]
fn a_file_says_what_is_served_and_options_change_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    let config = Config { account: "loopback".into(), ..Config::of("media", shape(5)) };
    fs::write(&file, serde_json::to_vec(&config).expect("JSON")).expect("it can be written");
    let file = file.to_str().expect("a path");
    let server = Process::start(&["--config", file, "--fail", "1", "--seed", "3"]);
    let source = format!("{}/media", server.url);
    let ran = Presync::dry_run(source).args(["--auth", "anonymous", "--format", "json"]).run();
    assert_eq!(ran.json()["totals"]["listed"], 5);
    let (_, stats) = server.control(&client(), Method::GET, "stats", String::new());
    let stats: Stats = serde_json::from_str(&stats).expect("counters");
    assert!(stats.faults.values().sum::<u64>() >= 6, "every range and the page failed: {stats:?}");
}

#[test]
fn a_configuration_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    fs::write(&file, "{\"prot\":1}").expect("it can be written");
    let file = file.to_str().expect("a path");
    for (args, says) in [
        (["--config", file], "unknown field `prot`"),
        (["--config", "/no/such/file"], "no such file"),
        (["--fail", "1.5"], "between 0 and 1"),
        (["--limit", "0"], "a rate above 0"),
        (["--blobs", "1000000001"], "at most 1000000000 blobs"),
        (["--latency", "soon"], "not a time"),
    ] {
        let ran = Presync::new(["loopback"]).args(args).run();
        assert!(ran.code == 2 && ran.stdout.is_empty() && ran.stderr.contains(says), "{}", ran.stderr);
    }
}

#[test]
fn it_speaks_tls() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loopback-tls");
    tls::certify(&folder).expect("certificates");
    let [ca, cert, key] = ["ca.pem", "leaf.pem", "leaf.key"].map(|name| folder.join(name));
    let tls = Some(Tls { cert, key: key.clone() });
    let server = Server::start(Config { tls, ..Config::of("media", shape(20)) }).expect("it starts");
    let trusted = Certificate::from_pem(&fs::read(&ca).expect("a file")).expect("a certificate");
    let client = Client::builder().no_proxy().tls_certs_only([trusted]).build().expect("a client");
    let url = format!("{}/media?restype=container&comp=list", server.url());
    let page = client.get(&url).send().and_then(Response::text).expect("a page");
    assert_eq!(texts(&page, "Name").len(), 20);
    server.set_faults(always(On::Lists, Fault::Reset)).expect("they can be set");
    assert!(client.get(&url).send().is_err());
    server.set_faults(Faults::default()).expect("they can be set");

    let ran = Presync::dry_run(format!("{}/media", server.url()))
        .args(["--auth", "anonymous", "--format", "json"])
        .env("SSL_CERT_FILE", &ca)
        .run();
    assert_eq!(ran.json()["totals"]["listed"], 20, "{}", ran.stderr);
    let wrong = Some(Tls { cert: key.clone(), key });
    assert!(Server::start(Config { tls: wrong, ..Config::default() }).is_err());
}
