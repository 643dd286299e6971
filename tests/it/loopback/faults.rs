//! Each fault, as a plain client sees it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use presync::loopback::{Attempts, Content, Fault, Faults, Handle, Kind, Latency, Limit, On, Rule};
use quick_xml::events::Event;
use serde_json::Value;

use super::{
    CONTENT, always, blob, get, get_range, header, list, refusal, rules, serve, serve_one, shape, texts, walk,
};
use crate::support::http::text;
use crate::support::presync::Presync;

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
    assert_eq!((answer.len(), end.expect_err("it is reset").kind()), (0, ErrorKind::ConnectionReset));
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
    assert!(end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) && half(&answer));
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
        (status, range, answer.into_body().to_vec())
    };
    assert_eq!(answer(Fault::Short), (206, "bytes 4-6/20".into(), CONTENT[4..7].to_vec()));
    assert_eq!(answer(Fault::Whole), (200, String::new(), CONTENT.to_vec()));
    assert_eq!(answer(Fault::WrongRange), (206, "bytes 5-10/20".into(), CONTENT[4..10].to_vec()));
}

#[test]
fn a_replaced_blob_has_a_new_etag_from_then_on() {
    for content in [Content::Blobs(vec![blob("a.bin", CONTENT)]), shape(1)] {
        let once = Rule::on_reads(Fault::Replaced, 1.0).attempts(Attempts::First(1));
        let server = serve(content, rules([once]));
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
        let page = || get(&server, "/media?restype=container&comp=list", &[]).map(text);
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
