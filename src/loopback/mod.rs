//! A blob server on 127.0.0.1 for tests and benchmarks. It is fast enough to measure a client, and can inject faults to
//! test one.
//!
//! It supports the part of the Azure Blob Storage REST API that a reader needs, with the account as the first segment
//! of every path, like emulators: List Blobs, List Containers, Get Blob, Get Blob Properties and the CORS preflight. It
//! runs on one thread, so that its cost is easy to separate from the client's.
//!
//! [`Server::start`] runs it in this process, and `presync loopback` in a separate one, which is controlled over HTTP:
//! `GET /_loopback/stats` returns [`Stats`], `POST /_loopback/faults` takes [`Faults`], and `POST /_loopback/reset`
//! resets the counters.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::oneshot;

mod answer;
mod body;
mod certificate;
mod config;
mod connection;
mod faults;
mod inject;
mod page;
mod request;
mod service;
mod shape;
mod stats;
mod store;

pub use certificate::{Certified, certify};
pub use config::{
    Blob, Config, Content, Fleet, MAX_FLEET, MAX_PAGE, MAX_SHAPE_BLOBS, Mix, Order, Shape, Tier, Tls,
};
pub use faults::{Attempts, Fault, Faults, Latency, Limit, On, Rule};
pub use stats::{BUCKET_MS, Kind, Stats};

use service::Service;

use crate::model::error::{Error, Result, reason};

/// The prefix of the paths that control the server itself.
const CONTROL: &str = "/_loopback/";

/// The server, not yet running.
#[derive(Debug)]
pub struct Server;

/// A running server. Dropping this stops the server and closes all connections.
pub struct Handle {
    service: Arc<Service>,
    /// Dropped to end the server.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server on a separate thread. It is listening when this returns.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid, the certificate cannot be used, or the port is in use.
    pub fn start(config: Config) -> Result<Handle> {
        config.check()?;
        let tls = config.tls.as_ref().map(connection::acceptor).transpose()?;
        let failed = |error| Error::new(format!("cannot start the loopback server: {}", reason(&error)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{address}/{}", config.account);
        let service = Arc::new(Service::new(config, endpoint));

        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(failed)?
        };
        let (stop, stopped) = oneshot::channel();
        let accept = connection::accept(listener, tls, Arc::clone(&service));
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name("loopback".into()).spawn(serve).map_err(failed)?;
        Ok(Handle { service, stop: Some(stop), thread: Some(thread) })
    }
}

impl Handle {
    /// The account's URL, such as `http://127.0.0.1:40123/loopback`.
    pub fn url(&self) -> &str {
        self.service.endpoint()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        self.service.stats()
    }

    /// Resets the counters.
    pub fn reset(&self) {
        self.service.reset();
    }

    /// Replaces the faults from the next request on, and resets the counts of attempts.
    ///
    /// # Errors
    ///
    /// Returns an error, and changes nothing, if a value is out of range.
    pub fn set_faults(&self, faults: Faults) -> Result<()> {
        self.service.set_faults(faults)
    }

    /// Changes the order of names in listings.
    pub fn set_order(&self, order: Order) {
        self.service.set_order(order);
    }

    /// Writes a blob, replacing any existing one.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such container, or its blobs are generated.
    pub fn put(&self, container: &str, blob: Blob) -> Result<()> {
        self.service.store(container)?.put(blob)
    }

    /// Deletes the blob with this name, if there is one.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such container, or its blobs are generated.
    pub fn delete(&self, container: &str, name: &str) -> Result<()> {
        self.service.store(container)?.delete(name)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has already reported a panic itself.
            let _ = thread.join();
        }
    }
}
