//! Bare clients: the same requests, pages, bytes and files without presync around them.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use cpu_time::ProcessTime;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, IF_MATCH, RANGE};
use hyper::{Request, Uri};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use quick_xml::Reader;
use quick_xml::events::Event;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tower_service::Service;

use crate::model::error::{Error, Result, reason};
use crate::source::azure::connector;

/// A request of a bare client.
#[derive(Clone, Debug)]
pub struct Get {
    /// The path of the blob, percent-encoded, with the query if there is one.
    pub target: String,
    /// The value of `Range`.
    pub range: String,
    /// The value of `If-Match`.
    pub etag: Option<String>,
}

/// CPU time and wall time, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// CPU time of the process.
    pub cpu_s: f64,
    /// Wall time.
    pub wall_s: f64,
}

/// Measures the CPU time of the process and the wall time of `work`.
fn measure<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    let done = work()?;
    Ok((done, Cost { cpu_s: cpu.elapsed().as_secs_f64(), wall_s: wall.elapsed().as_secs_f64() }))
}

/// Sends every request, on `connections` connections spread over one thread per core, and returns the bytes received.
///
/// # Errors
/// Returns an error if the server cannot be reached or a request fails.
pub fn gets(
    origin: &Uri,
    requests: Vec<Get>,
    connections: usize,
    token: Option<&str>,
) -> Result<(u64, Cost)> {
    let requests = Arc::new(requests);
    let connector = connector(origin)?;
    let cores = thread::available_parallelism().map_or(2, usize::from).min(connections.max(1));
    measure(|| {
        let threads: Vec<_> = (0..cores)
            .map(|core| {
                let (origin, requests, connector) =
                    (origin.clone(), Arc::clone(&requests), connector.clone());
                let token = token.map(|token| format!("Bearer {token}"));
                let mine: Vec<_> = (core..connections.max(1)).step_by(cores).collect();
                thread::spawn(move || {
                    let runtime = Builder::new_current_thread().enable_all().build().map_err(broken)?;
                    runtime.block_on(async {
                        let tasks: Vec<_> = mine
                            .into_iter()
                            .map(|first| {
                                let (origin, requests, token) =
                                    (origin.clone(), Arc::clone(&requests), token.clone());
                                let mut connector = connector.clone();
                                tokio::spawn(async move {
                                    let stream = connector.call(origin.clone()).await;
                                    let stream = stream.map_err(broken)?;
                                    let share = requests.iter().skip(first).step_by(connections.max(1));
                                    get_all(stream, &origin, share, token.as_deref()).await
                                })
                            })
                            .collect();
                        let mut bytes = 0;
                        for task in tasks {
                            bytes += task.await.map_err(broken)??;
                        }
                        Ok::<u64, Error>(bytes)
                    })
                })
            })
            .collect();
        let mut bytes = 0;
        for thread in threads {
            bytes += thread.join().map_err(|_| Error::new("the bare client failed"))??;
        }
        Ok(bytes)
    })
}

/// Sends requests one after another on one connection.
async fn get_all<'r>(
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    origin: &Uri,
    requests: impl Iterator<Item = &'r Get>,
    token: Option<&str>,
) -> Result<u64> {
    let (mut sender, driver) = http1::handshake(stream).await.map_err(broken)?;
    tokio::spawn(driver);
    let host = origin.authority().map_or("", |authority| authority.as_str());
    let mut bytes = 0;
    for get in requests {
        let mut request = Request::get(&get.target)
            .header(HOST, host)
            .header(RANGE, &get.range)
            .header("x-ms-version", "2026-04-06");
        if let Some(etag) = &get.etag {
            request = request.header(IF_MATCH, etag);
        }
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(broken)?;
        let answer = sender.send_request(request).await.map_err(broken)?;
        if !answer.status().is_success() {
            return Err(Error::new(format!("the bare client received status {}", answer.status())));
        }
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            bytes += frame.map_err(broken)?.data_ref().map_or(0, Bytes::len) as u64;
        }
        sender.ready().await.map_err(broken)?;
    }
    Ok(bytes)
}

/// Reads every XML event of the pages, `times` times, and returns the sum of their lengths.
///
/// # Errors
/// Returns an error if a page is not well-formed.
pub fn events(pages: &[Bytes], times: usize) -> Result<(u64, Cost)> {
    measure(|| {
        let mut count = 0;
        for page in (0..times).flat_map(|_| pages) {
            let mut reader = Reader::from_reader(&page[..]);
            loop {
                match reader.read_event().map_err(broken)? {
                    Event::Eof => break,
                    event => count += std::hint::black_box(&event).len() as u64,
                }
            }
        }
        Ok(count)
    })
}

/// Adds up all bytes of the buffers, `times` times.
///
/// # Errors
/// Never returns an error.
pub fn scan(buffers: &[Bytes], times: usize) -> Result<(u64, Cost)> {
    let sum = |buffer: &Bytes| buffer.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    measure(|| Ok((0..times).map(|_| std::hint::black_box(buffers).iter().map(sum).sum::<u64>()).sum()))
}

/// Opens each file, gets its size and reads its beginning, on one thread per core, and returns the bytes read.
///
/// # Errors
/// Returns an error if a file cannot be read.
pub fn files(files: Vec<(PathBuf, u64)>) -> Result<(u64, Cost)> {
    let files = Arc::new(files);
    let cores = thread::available_parallelism().map_or(2, usize::from);
    measure(|| {
        let threads: Vec<_> = (0..cores)
            .map(|core| {
                let files = Arc::clone(&files);
                thread::spawn(move || {
                    let read = |(path, len): &(PathBuf, u64)| -> io::Result<u64> {
                        let mut file = File::open(path)?;
                        let mut buffer = vec![0; (*len).min(file.metadata()?.len()) as usize];
                        file.read_exact(&mut buffer)?;
                        Ok(std::hint::black_box(buffer).len() as u64)
                    };
                    files.iter().skip(core).step_by(cores).map(read).sum::<io::Result<u64>>()
                })
            })
            .collect();
        let mut bytes = 0;
        for thread in threads {
            let read = thread.join().map_err(|_| Error::new("the bare reader failed"))?;
            bytes +=
                read.map_err(|error| Error::new(format!("the bare reader failed: {}", reason(&error))))?;
        }
        Ok(bytes)
    })
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::new(format!("the bare client failed: {error}"))
}
