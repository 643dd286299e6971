//! Responses, well-formed and hostile, beside hyper's client as the oracle.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;

use super::connection::Connection;
use super::descriptors::Descriptors;
use super::pool::Pool;
use super::request::Outgoing;
use super::response::{Length, Response};
use crate::source::azure::failure::Failure;

/// The status, the body, and whether another request may follow.
type Read = Result<(u16, Vec<u8>, bool), String>;

/// A server that reads a request and sends these pieces, then closes the connection.
async fn serve(mut stream: DuplexStream, pieces: Vec<Vec<u8>>) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    for piece in pieces {
        if stream.write_all(&piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn ours(method: &Method, pieces: Vec<Vec<u8>>) -> Read {
    let (client, server) = duplex(64 << 10);
    let server = tokio::spawn(serve(server, pieces));
    let mut connection = Connection::new(Box::new(client), Arc::new(Descriptors::of_process()).take());
    let request = Outgoing::new(method.clone(), "/a".into(), b"").expect("a request");
    let pool = Pool::default();
    let read = async {
        let head = connection.send(request.head(None, None), &request).await?;
        let response = Response::new(head, connection, &pool);
        let status = response.status().as_u16();
        let body = response.body(Length::AtMost(usize::MAX)).await?;
        let may_follow = pool.take().await.is_some();
        Ok((status, body.to_vec(), may_follow))
    };
    let read = tokio::time::timeout(Duration::from_secs(10), read).await.expect("every response ends");
    drop(pool);
    server.await.expect("the server ends");
    read.map_err(|failure: Failure| failure.to_string())
}

async fn hypers(method: &Method, pieces: Vec<Vec<u8>>) -> Option<(u16, Vec<u8>)> {
    let (client, server) = duplex(64 << 10);
    let server = tokio::spawn(serve(server, pieces));
    let (mut sender, driver) = http1::handshake(TokioIo::new(client)).await.ok()?;
    let driver = tokio::spawn(driver);
    let request = Request::builder().method(method).uri("/a").body(Empty::<Bytes>::new()).expect("a request");
    let read = async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.into_body().collect().await.ok()?.to_bytes().to_vec()))
    };
    let read = read.await;
    drop(sender);
    driver.abort();
    server.await.expect("the server ends");
    read
}

fn both(method: &Method, response: &[u8], cuts: &[usize]) -> (Read, Option<(u16, Vec<u8>)>) {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (response.len() + 1)).collect();
    cuts.extend([0, response.len()]);
    cuts.sort_unstable();
    let pieces: Vec<_> = cuts.windows(2).map(|cut| response[cut[0]..cut[1]].to_vec()).collect();
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async { (ours(method, pieces.clone()).await, hypers(method, pieces).await) })
}

/// A response, and whether it is well-formed.
fn response() -> impl Strategy<Value = (Vec<u8>, bool)> {
    let status = prop::sample::select(vec![200_u16, 204, 206, 304, 403, 404, 412, 503]);
    let body = prop::collection::vec(any::<u8>(), 0..3000);
    let interim = any::<bool>();
    let odd = prop::sample::select(vec![
        "",
        "Content-Length: 3\r\n",
        "content-length: -1\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Connection: close\r\n",
        "no colon\r\n",
        "Empty:\r\nBlank:  \r\n",
        " folded\r\n",
        "ETag: \"\u{e9}\"\r\n",
    ]);
    let framing = 0..3;
    let garbage = prop::sample::select(vec!["", "", "", "HTTP/1.1 200 OK\r\n\r\n"]);
    (status, body, interim, odd, framing, prop::collection::vec(1_usize..500, 1..8), garbage).prop_map(
        |(status, body, interim, odd, framing, sizes, garbage)| {
            let mut text = Vec::new();
            if interim {
                text.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");
            }
            text.extend_from_slice(
                format!("HTTP/1.1 {status} Reason: text\r\nx-ms-request-id: 1\r\n{odd}").as_bytes(),
            );
            let is_empty = matches!(status, 204 | 304);
            match framing {
                0 => {
                    text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                    if !is_empty {
                        text.extend_from_slice(&body);
                    }
                }
                1 => {
                    text.extend_from_slice(b"TRANSFER-encoding: Chunked\r\n\r\n");
                    let mut rest = &body[..];
                    for size in sizes.iter().cycle() {
                        let (chunk, after) = rest.split_at((*size).min(rest.len()));
                        if chunk.is_empty() || is_empty {
                            break;
                        }
                        text.extend_from_slice(format!("{:X};ext=1\r\n", chunk.len()).as_bytes());
                        text.extend_from_slice(chunk);
                        text.extend_from_slice(b"\r\n");
                        rest = after;
                    }
                    if !is_empty {
                        text.extend_from_slice(b"0\r\ntrailer: 1\r\n\r\n");
                    }
                }
                _ => {
                    text.extend_from_slice(b"\r\n");
                    if !is_empty {
                        text.extend_from_slice(&body);
                    }
                }
            }
            text.extend_from_slice(garbage.as_bytes());
            let is_sound =
                matches!(odd.as_bytes().first(), None | Some(b'E')) || odd == "Connection: close\r\n";
            (text, is_sound && (garbage.is_empty() || framing < 2))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn responses_are_read_as_hyper_reads_them(
        (response, is_sound) in response(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let cuts: Vec<_> = cuts.iter().map(|cut| cut.index(response.len() + 1)).collect();
        let (ours, hypers) = both(&Method::GET, &response, &cuts);
        if let Ok((status, body, _)) = &ours {
            prop_assert_eq!(hypers.as_ref(), Some(&(*status, body.clone())));
        }
        prop_assert!(ours.is_ok() || !is_sound, "{:?}", ours);
    }

    #[test]
    fn a_damaged_response_is_an_error_or_what_hyper_reads(
        (mut response, _) in response(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        len in any::<prop::sample::Index>(),
    ) {
        let at = at.index(response.len());
        response[at] = byte;
        response.truncate(len.index(response.len()) + 1);
        let (ours, hypers) = both(&Method::GET, &response, &[]);
        if let (Ok((status, body, _)), Some(hypers)) = (&ours, hypers) {
            prop_assert_eq!(hypers, (*status, body.clone()));
        }
    }
}

fn read(method: Method, response: &str) -> Read {
    both(&method, response.as_bytes(), &[]).0
}

#[test]
fn another_request_follows_only_a_response_that_ended_where_it_should() {
    let may_follow = |response| read(Method::GET, response).expect("a response").2;
    assert!(may_follow("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"));
    assert!(may_follow("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"));
    assert!(may_follow("HTTP/1.1 204 No Content\r\n\r\n"));
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: x, Close\r\n\r\nab",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ] {
        assert!(!may_follow(response), "{response}");
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 16384\r\n\r\n";
    assert_eq!(read(Method::HEAD, head), Ok((200, Vec::new(), true)), "it has no body, whatever it says");
}

#[test]
fn what_is_no_response_is_an_error() {
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(300));
    for response in [
        "",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nab",
        &long,
        &many,
    ] {
        let read = read(Method::GET, response);
        assert!(read.is_err(), "{}: {read:?}", &response[..response.len().min(80)]);
    }
}
