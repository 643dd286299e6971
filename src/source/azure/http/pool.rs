//! Idle connections, which wait for their next request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};

use super::connection::Connection;

/// Connections to keep for each runtime: as many as requests are ever in flight, so that none needs to be reopened.
const MAX_IDLE: usize = 1024;

/// How long a connection may be idle and still be used without a check. Servers keep one for at least seconds.
const FRESH: Duration = Duration::from_secs(1);

/// The idle connections of an endpoint. A connection is driven by the runtime that opened it, so each has its own.
#[derive(Default)]
pub(super) struct Pool(Mutex<HashMap<Id, Vec<(Connection, Instant)>>>);

impl Pool {
    /// Takes the most recently used connection that the server has not closed.
    pub(super) async fn take(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.lock().get_mut(&Handle::current().id())?.pop()?;
            if since.elapsed() < FRESH || connection.is_open().await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.lock();
        let idle = idle.entry(Handle::current().id()).or_default();
        if idle.len() < MAX_IDLE {
            idle.push((connection, Instant::now()));
        }
    }

    /// Closes a connection of any runtime, if there is one.
    pub(super) fn close_one(&self) -> bool {
        self.lock().values_mut().any(|idle| idle.pop().is_some())
    }

    /// A panic elsewhere leaves the connections usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Vec<(Connection, Instant)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
