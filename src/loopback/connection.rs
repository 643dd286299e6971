//! Connections: plain or TLS, and how they end when a fault is injected.

use std::error::Error as _;
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::config::Tls;
use super::service::{HangUp, Service};
use crate::model::error::{Error, Result};

/// How long to wait before the next attempt if a connection cannot be accepted, for example with too many open files.
const PAUSE: Duration = Duration::from_millis(10);

/// Bytes that aren't an HTTP response.
const GARBAGE: &[u8] = b"\x15\x03\x01 this is not HTTP\r\n\r\n";

/// The stream of a connection.
trait Socket: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Accepts connections forever.
pub(super) async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, service: Arc<Service>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        service.connection();
        // Otherwise a small response would wait until the one before it is acknowledged.
        let _ = socket.set_nodelay(true);
        let (tls, service) = (tls.clone(), Arc::clone(&service));
        tokio::spawn(async move {
            match tls {
                None => serve(socket, &service).await,
                Some(tls) => {
                    if let Ok(socket) = tls.accept(socket).await {
                        serve(socket, &service).await;
                    }
                }
            }
        });
    }
}

/// Serves a connection to its end.
async fn serve<S: Socket>(socket: S, service: &Service) {
    let mut http = http1::Builder::new();
    // Clients on the same machine may keep an idle connection for as long as they like.
    http.header_read_timeout(None);
    let mut connection =
        http.serve_connection(TokioIo::new(socket), service_fn(|request| Box::pin(service.call(request))));
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let mut socket = connection.into_parts().io.into_inner();
    let hang_up = ended.as_ref().err().and_then(|error| error.source()?.downcast_ref::<HangUp>());
    // Errors from here on can be ignored: the connection ends either way.
    let _ = match hang_up {
        Some(HangUp::Reset) => socket.tcp().set_zero_linger(),
        Some(HangUp::Garbage) => socket.write_all(GARBAGE).await,
        None => Ok(()),
    };
    if hang_up != Some(&HangUp::Reset) {
        let _ = socket.shutdown().await;
    }
}

/// Creates the TLS acceptor for this certificate.
pub(super) fn acceptor(tls: &Tls) -> Result<TlsAcceptor> {
    let unusable = |path: &Path, what: &dyn std::fmt::Display| {
        Error::new(format!("cannot use '{}' for TLS: {what}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(&tls.cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| unusable(&tls.cert, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| unusable(&tls.key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable(&tls.cert, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
