//! Servers with custom answers, for features that Azurite lacks: sign-in, managed identities, roles.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::azurite::Azurite;

/// A request to a stand-in.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and target, such as `GET /path?query`.
    pub line: String,
    /// The header lines, with names in lower case.
    pub headers: Vec<String>,
    pub body: String,
}

/// An answer of a stand-in: status line, header lines, body.
pub struct Answer(pub &'static str, pub Vec<String>, pub Vec<u8>);

impl Answer {
    /// A document with this content type.
    pub fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self("200 OK", vec![format!("content-type: {content_type}")], body.into())
    }

    /// An error of the blob service.
    pub fn refused(status: &'static str, code: &str) -> Self {
        Self(status, vec![format!("x-ms-error-code: {code}")], Vec::new())
    }
}

/// A server on a separate port, which runs as long as the process.
pub struct StandIn {
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl StandIn {
    /// Starts a server with plain HTTP.
    pub fn http(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start("http", answer, |stream| Box::new(stream))
    }

    /// Starts a server with TLS, with the certificate of the https Azurite.
    pub fn https(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let [certificate, key] = Azurite::https().certificate();
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("they belong together");
        let config = Arc::new(config);
        Self::start("https", answer, move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            Box::new(StreamOwned::new(connection, stream))
        })
    }

    fn start(
        scheme: &str,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> Box<dyn ReadWrite> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Ignore clients that disconnect, for example because of an invalid certificate.
                let _ = serve(wrap(stream), &answer, &requests);
            }
        });
        Self { url, seen }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no request panicked").clone()
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// Answers one request, then closes the connection.
fn serve(
    stream: Box<dyn ReadWrite>,
    answer: &impl Fn(&Request) -> Answer,
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let Some((line, headers)) = lines.split_first() else { return Ok(()) };
    let headers: Vec<_> = headers
        .iter()
        .map(|line| match line.split_once(':') {
            Some((name, value)) => format!("{}:{value}", name.to_lowercase()),
            None => line.clone(),
        })
        .collect();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    let request = Request { line, headers, body: String::from_utf8_lossy(&body).into_owned() };
    let Answer(status, headers, body) = answer(&request);
    seen.lock().expect("no request panicked").push(request);
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let stream = stream.get_mut();
    write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n")?;
    stream.write_all(&body)?;
    stream.flush()
}
