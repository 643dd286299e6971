//! Any bytes, in two pieces, as the response to a request: what is read is what hyper reads.

#![no_main]

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use presync::source::azure::read_response;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Builder;

/// Room for the request, in bytes.
const REQUEST: usize = 64;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, response) = input;
    let (first, rest) = response.split_at(usize::from(cut).min(response.len()));
    let Some(read) = read_response(&[first, rest]) else { return };
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let hypers = runtime.block_on(hypers(response));
    assert_eq!(Some(read), hypers);
});

/// The status and the body as hyper reads them; `None` if it does not.
async fn hypers(response: &[u8]) -> Option<(u16, Vec<u8>)> {
    // The request must have been sent as a whole when the server is gone.
    let (client, mut server) = duplex(response.len() + REQUEST);
    let (mut sender, driver) = http1::handshake(TokioIo::new(client)).await.ok()?;
    let driver = tokio::spawn(driver);
    let request = Request::get("/a").body(Empty::<Bytes>::new()).expect("a request");
    let serve = async {
        let mut request = [0; REQUEST];
        let _ = server.read(&mut request).await;
        let _ = server.write_all(response).await;
        drop(server);
    };
    let read = async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.into_body().collect().await.ok()?.to_bytes().to_vec()))
    };
    let ((), read) = tokio::join!(serve, read);
    driver.abort();
    read
}
