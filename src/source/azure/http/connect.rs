//! Opens connections to an endpoint.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::Scheme;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::rustls::client::WantsClientCert;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use tower_service::Service;

use super::connection::{Connection, Stream};
use super::descriptors::Descriptor;
use crate::model::error::{Error, Result};
use crate::source::azure::failure::Failure;

/// How long it may take to open a connection, including proxy and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// TCP to the first address that responds, and TLS if the URL is https.
type Tcp = HttpsConnector<HttpConnector>;

/// Opens the connections of an endpoint.
pub(super) enum Connector {
    /// To the URL itself.
    Direct { to: Uri, tcp: Tcp },
    /// To a proxy, which gets whole URLs.
    Forward { to: Uri, tcp: Tcp },
    /// To the origin, through a CONNECT tunnel of a proxy: TLS is with the origin.
    Tunnel { to: Uri, proxy: Uri, tunnel: Box<HttpsConnector<Tunnel<Tcp>>> },
}

impl Connector {
    /// Connects to the origin, or to its proxy if requests need no tunnel.
    pub(super) fn new(origin: Uri, proxy: Option<&Intercept>, tls: Arc<ClientConfig>) -> Self {
        let tcp = https(Arc::clone(&tls));
        match proxy {
            None => Self::Direct { to: origin, tcp },
            Some(proxy) if origin.scheme() == Some(&Scheme::HTTPS) => {
                let tunnel = Tunnel::new(proxy.uri().clone(), tcp);
                let tunnel = match proxy.basic_auth() {
                    Some(authorization) => tunnel.with_auth(authorization.clone()),
                    None => tunnel,
                };
                let tunnel = Box::new(HttpsConnector::from((tunnel, tls)));
                Self::Tunnel { to: origin, proxy: proxy.uri().clone(), tunnel }
            }
            Some(proxy) => Self::Forward { to: proxy.uri().clone(), tcp },
        }
    }

    fn proxy(&self) -> Option<&Uri> {
        match self {
            Self::Direct { .. } => None,
            Self::Forward { to: proxy, .. } | Self::Tunnel { proxy, .. } => Some(proxy),
        }
    }

    /// Opens a connection within [`CONNECT_TIMEOUT`].
    pub(super) async fn connect(&self, descriptor: Descriptor) -> std::result::Result<Connection, Failure> {
        let connecting = async {
            let stream: std::result::Result<Box<dyn Stream>, _> = match self {
                Self::Direct { to, tcp } | Self::Forward { to, tcp } => {
                    tcp.clone().call(to.clone()).await.map(|s| Box::new(TokioIo::new(s)) as _)
                }
                Self::Tunnel { to, tunnel, .. } => {
                    tunnel.clone().call(to.clone()).await.map(|s| Box::new(TokioIo::new(s)) as _)
                }
            };
            let stream = stream.map_err(|error| Failure::of_connect(error.as_ref(), self.proxy()))?;
            Ok(Connection::new(stream, descriptor))
        };
        let late = |_| Failure::connect_timed_out(self.proxy());
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)?
    }
}

/// A connector like the client's own, for the bare client of the benchmarks.
///
/// # Errors
/// Returns an error if `origin` uses TLS and the machine's certificates cannot be read.
pub fn connector(origin: &Uri) -> Result<HttpsConnector<HttpConnector>> {
    Ok(https(match origin.scheme() == Some(&Scheme::HTTPS) {
        true => tls()?,
        false => tls_without_roots()?,
    }))
}

fn https(tls: Arc<ClientConfig>) -> Tcp {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.enforce_http(false);
    HttpsConnector::from((tcp, tls))
}

/// TLS that trusts what the machine trusts.
///
/// # Errors
/// Returns an error if the machine's certificates cannot be read.
pub(super) fn tls() -> Result<Arc<ClientConfig>> {
    config(BuilderVerifierExt::with_platform_verifier)
}

/// TLS that trusts nothing, for endpoints that do not use it.
///
/// # Errors
/// Never returns an error in practice.
pub(super) fn tls_without_roots() -> Result<Arc<ClientConfig>> {
    config(|tls| Ok(tls.with_root_certificates(RootCertStore::empty())))
}

type Verified = ConfigBuilder<ClientConfig, WantsClientCert>;

fn config(
    verify: impl FnOnce(
        ConfigBuilder<ClientConfig, WantsVerifier>,
    ) -> std::result::Result<Verified, rustls::Error>,
) -> Result<Arc<ClientConfig>> {
    // The provider is passed on, not installed for the whole process: a program that embeds the library may have its
    // own.
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions().and_then(verify).map_err(|error| {
        Error::new(format!("the HTTP client cannot start: {error}"))
            .with_hint("check the machine's certificates (SSL_CERT_FILE)")
    })?;
    Ok(Arc::new(tls.with_no_client_auth()))
}
