//! From an endpoint to a connection.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::client::conn::http1;
use hyper::http::uri::Scheme;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use super::connection::Connection;
use crate::error::{Error, Result};
use crate::source::azure::failure::Failure;
use crate::source::azure::transport::CONNECT_TIMEOUT;

/// Bytes that one read of a connection takes at the most: an answer with 16 KiB of content and its head, so that the
/// content comes as one piece and need not be put together.
const READ_BUFFER: usize = 18 << 10;

/// What opens connections: with TLS as the machine's certificates have it, to the first address that answers.
pub(super) struct Connector(HttpsConnector<HttpConnector>);

impl Connector {
    /// # Errors
    /// `origin` is reached over TLS, and the machine's certificates cannot be read.
    pub(super) fn new(origin: &Uri) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.enforce_http(false);
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|tls| match origin.scheme() == Some(&Scheme::HTTPS) {
                true => tls.with_platform_verifier(),
                // Reading the machine's certificates takes milliseconds, and nothing here needs them.
                false => Ok(tls.with_root_certificates(RootCertStore::empty())),
            })
            .map_err(|error| {
                Error::new(format!("the HTTP client cannot start: {error}"))
                    .hint("check the machine's certificates (SSL_CERT_FILE)")
            })?
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        Ok(Self(connector.wrap_connector(tcp)))
    }

    /// Opens a connection, which may take as long as [`CONNECT_TIMEOUT`].
    pub(super) async fn connect(&self, origin: &Uri) -> std::result::Result<Connection, Failure> {
        let late = |_| Failure::connect_timed_out();
        let connecting = async {
            let stream = self.0.clone().call(origin.clone()).await;
            let stream = stream.map_err(|error| Failure::of_connect(error.as_ref()))?;
            let mut http = http1::Builder::new();
            http.read_buf_exact_size(Some(READ_BUFFER)).writev(false);
            let (sender, driver) =
                http.handshake(stream).await.map_err(|error| Failure::of_connection(&error))?;
            Ok(Connection::new(sender, driver))
        };
        tokio::time::timeout(CONNECT_TIMEOUT.saturating_add(Duration::from_millis(1)), connecting)
            .await
            .map_err(late)?
    }
}
