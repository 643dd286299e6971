//! A plain HTTP client: one request per connection, without proxies, redirects or retries.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

/// A complete response, or the error.
pub type Answer = Result<Response<Bytes>, Box<dyn Error + Send + Sync>>;

/// Longer than any response takes.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Client(HttpsConnector<HttpConnector>);

impl Client {
    /// A client that only trusts this CA, in PEM.
    pub fn new(ca: Option<&Path>) -> Self {
        let mut roots = RootCertStore::empty();
        if let Some(ca) = ca {
            let ca = CertificateDer::from_pem_file(ca).expect("a certificate");
            roots.add(ca).expect("a CA");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.expect("TLS").with_root_certificates(roots).with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        Self(HttpsConnector::from((tcp, tls)))
    }

    pub fn get(&self, url: &str) -> Answer {
        self.send(Method::GET, url, &[], "")
    }

    pub fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let url: Uri = url.parse()?;
        let target = url.path_and_query().expect("a path").as_str();
        let host = url.authority().expect("a host").as_str();
        let body = body.into();
        let request = Request::builder().method(method).uri(target).header(HOST, host);
        // hyper omits it if there is no body, and Azurite rejects a blob without it.
        let request = request.header(CONTENT_LENGTH, body.len());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::new(body))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let exchange = async {
                let stream = self.0.clone().call(url).await?;
                let (mut sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(connection);
                let (head, body) = sender.send_request(request).await?.into_parts();
                Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
            };
            tokio::time::timeout(TIMEOUT, exchange).await?
        })
    }
}

/// The body of a response as text.
pub fn text(answer: Response<Bytes>) -> String {
    String::from_utf8(answer.into_body().into()).expect("UTF-8")
}
