//! Responds to requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, HeaderMap, HeaderValue, IF_MATCH, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};

use super::answer::{self, Refusal};
use super::body::Body;
use super::config::{Config, Order, Tier};
use super::faults::{Fault, Faults};
use super::inject::Injector;
use super::page::Query;
use super::request::{Asked, Range};
use super::stats::{Counters, Stats};
use super::store::Store;
use super::{CONTROL, page};
use crate::model::error::{Error, Result};

/// The maximum size of a request body, which only sets faults.
const MAX_FAULTS_BYTES: usize = 1024 * 1024;

const NO_CONTAINER: Refusal<'static> = Refusal::new(404, "ContainerNotFound");

type Answer = std::result::Result<Response<Body>, Refusal<'static>>;

/// A connection that ends without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HangUp {
    #[error("reset")]
    Reset,
    #[error("garbage")]
    Garbage,
}

/// The service, shared by all connections.
pub(super) struct Service {
    /// The URL of the account.
    endpoint: String,
    account: String,
    containers: BTreeMap<String, Store>,
    page_size: u64,
    order: Mutex<Order>,
    allowed_origins: Vec<String>,
    bearer_tokens: Vec<String>,
    injector: Mutex<Injector>,
    counters: Mutex<Counters>,
}

/// A request in progress. It is dropped early if the client disconnects.
struct InHand<'s>(&'s Service);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        lock(&self.0.counters).end();
    }
}

impl Service {
    pub(super) fn new(config: Config, endpoint: String) -> Self {
        let now = Instant::now();
        let containers = config.all_containers().map(|(name, content)| (name, Store::new(content)));
        let containers = containers.collect();
        Self {
            endpoint,
            account: config.account,
            containers,
            page_size: config.page_size,
            order: Mutex::new(config.order),
            allowed_origins: config.allowed_origins,
            bearer_tokens: config.bearer_tokens,
            injector: Mutex::new(Injector::new(config.faults, now)),
            counters: Mutex::new(Counters::new(now)),
        }
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn store(&self, container: &str) -> Result<&Store> {
        let store = self.containers.get(container);
        store.ok_or_else(|| Error::new(format!("the loopback server has no container '{container}'")))
    }

    pub(super) fn stats(&self) -> Stats {
        lock(&self.counters).stats().clone()
    }

    pub(super) fn reset(&self) {
        lock(&self.counters).reset(Instant::now());
    }

    pub(super) fn set_faults(&self, faults: Faults) -> Result<()> {
        faults.check()?;
        *lock(&self.injector) = Injector::new(faults, Instant::now());
        Ok(())
    }

    pub(super) fn set_order(&self, order: Order) {
        *lock(&self.order) = order;
    }

    pub(super) fn connection(&self) {
        lock(&self.counters).connection();
    }

    /// Responds to a request, or returns how to end the connection instead.
    pub(super) async fn call(
        &self,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<Body>, HangUp> {
        if request.uri().path().starts_with(CONTROL) {
            return Ok(self.control(request).await);
        }
        let (request, _) = request.into_parts();
        let asked = Asked::of(&request, &self.account);
        let decision = lock(&self.injector).decide(asked.kind(), asked.target(), Instant::now());
        let (fault, name) = decision.fault.unzip();
        lock(&self.counters).begin(asked.kind(), name.as_deref());
        let _in_hand = InHand(self);
        if !decision.wait.is_zero() {
            tokio::time::sleep(decision.wait).await;
        }
        let answer = match fault {
            Some(Fault::Reset) => Err(HangUp::Reset),
            Some(Fault::Garbage) => Err(HangUp::Garbage),
            Some(Fault::Refuse { status, code, retry_after }) => {
                Ok(Refusal { status, code: &code, retry_after }.answer())
            }
            fault => Ok(self.answer(asked, &request.headers, fault.as_ref())),
        };
        let (status, bytes) = match &answer {
            Ok(answer) if request.method == Method::HEAD => (Some(answer.status()), 0),
            Ok(answer) => (Some(answer.status()), answer.body().len()),
            Err(_) => (None, 0),
        };
        lock(&self.counters).answer(status, bytes, Instant::now());
        answer
    }

    fn answer(&self, asked: Asked<'_>, headers: &HeaderMap, fault: Option<&Fault>) -> Response<Body> {
        let authorized = match asked {
            // Browsers send no credentials with a preflight.
            Asked::Preflight => Ok(()),
            _ => self.authorize(headers),
        };
        let answer = authorized.and_then(|()| match asked {
            Asked::Preflight => self.preflight(headers),
            Asked::Containers(query) => Ok(self.containers_page(&query)),
            Asked::Blobs { container, query } => self.blobs_page(container, &query, fault),
            Asked::Blob { container, name, range, head_only } => {
                let store = self.containers.get(container).ok_or(NO_CONTAINER);
                store.and_then(|store| read(store, &name, range, head_only, headers, fault))
            }
            Asked::Wrong(status, code) => Err(Refusal::new(status, code)),
        });
        let answer = answer.unwrap_or_else(|refusal| refusal.answer());
        match fault {
            Some(Fault::Cut) => answer.map(Body::cut),
            Some(Fault::Stall) => answer.map(Body::stalled),
            _ => answer,
        }
    }

    fn containers_page(&self, query: &Query) -> Response<Body> {
        let names = self.containers.keys().map(String::as_str);
        answer::xml(StatusCode::OK, page::containers(&self.endpoint, names, query, self.page_size))
    }

    fn blobs_page(&self, container: &str, query: &Query, fault: Option<&Fault>) -> Answer {
        let store = self.containers.get(container).ok_or(NO_CONTAINER)?;
        let page = page::blobs(&self.endpoint, container, store, query, *lock(&self.order), self.page_size);
        let page = match fault {
            Some(Fault::MalformedPage) => page::malformed(page),
            Some(Fault::TruncatedPage) => page::truncated(page),
            _ => page,
        };
        Ok(answer::xml(StatusCode::OK, page))
    }

    /// Checks the credentials of a request, before anything else.
    fn authorize(&self, headers: &HeaderMap) -> std::result::Result<(), Refusal<'static>> {
        if self.bearer_tokens.is_empty() {
            return Ok(());
        }
        let authorization =
            headers.get(AUTHORIZATION).ok_or(Refusal::new(401, "NoAuthenticationInformation"))?;
        let token = authorization.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        match token.is_some_and(|token| self.bearer_tokens.iter().any(|known| known == token)) {
            true => Ok(()),
            false => Err(Refusal::new(401, "InvalidAuthenticationInfo")),
        }
    }

    fn preflight(&self, headers: &HeaderMap) -> Answer {
        let (Some(origin), Some(method)) = (headers.get(ORIGIN), headers.get(ACCESS_CONTROL_REQUEST_METHOD))
        else {
            return Err(Refusal::new(400, "MissingRequiredHeader"));
        };
        let is_allowed =
            self.allowed_origins.iter().any(|allowed| allowed == "*" || origin == allowed.as_str());
        match is_allowed && ["GET", "HEAD"].iter().any(|known| method == known) {
            true => Ok(answer::preflight(origin.clone(), method.clone())),
            false => Err(Refusal::new(403, "CorsPreflightFailure")),
        }
    }

    /// Responds to a request that controls the server itself.
    async fn control(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().strip_prefix(CONTROL).unwrap_or_default();
        match (request.method(), path) {
            (&Method::GET, "stats") => match serde_json::to_string(&self.stats()) {
                Ok(stats) => answer::json(StatusCode::OK, stats),
                Err(error) => answer::json(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            },
            (&Method::POST, "reset") => {
                self.reset();
                answer::json(StatusCode::OK, "{}".to_owned())
            }
            (&Method::POST, "faults") => {
                let body = Limited::new(request.into_body(), MAX_FAULTS_BYTES).collect().await;
                let set = body.map_err(|error| error.to_string()).and_then(|body| {
                    let faults =
                        serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())?;
                    self.set_faults(faults).map_err(|error| error.to_string())
                });
                match set {
                    Ok(()) => answer::json(StatusCode::OK, "{}".to_owned()),
                    Err(why) => answer::json(StatusCode::BAD_REQUEST, why),
                }
            }
            _ => answer::json(StatusCode::NOT_FOUND, "GET stats, POST faults, POST reset".to_owned()),
        }
    }
}

/// Reads a blob or its properties. Conditions are checked before ranges (RFC 9110, 13.2.1).
fn read(
    store: &Store,
    name: &str,
    range: Option<Range>,
    head_only: bool,
    headers: &HeaderMap,
    fault: Option<&Fault>,
) -> Answer {
    if fault == Some(&Fault::Replaced) {
        store.replace(name);
    }
    let found = store.find(name).ok_or(Refusal::new(404, "BlobNotFound"))?;
    if headers.get(IF_MATCH).is_some_and(|wanted| !matches(wanted, &found.etag)) {
        return Err(Refusal::new(412, "ConditionNotMet"));
    }
    if head_only {
        return Ok(answer::properties(found));
    }
    if found.tier == Tier::Archive {
        return Err(Refusal::new(409, "BlobArchived"));
    }
    let Some(Range { first, last }) = range.filter(|_| fault != Some(&Fault::Whole)) else {
        return Ok(answer::whole(found));
    };
    if first >= found.size {
        return Ok(answer::no_such_range(found.size));
    }
    let end = last.map_or(found.size, |last| last.saturating_add(1).min(found.size));
    Ok(match fault {
        Some(Fault::Short) => answer::part(found, first, first + (end - first).div_ceil(2), 0),
        Some(Fault::WrongRange) => answer::part(found, first, end, 1),
        _ => answer::part(found, first, end, 0),
    })
}

/// Whether `If-Match` matches an ETag. The service accepts it with and without quotes.
fn matches(wanted: &HeaderValue, etag: &str) -> bool {
    wanted.to_str().is_ok_and(|wanted| wanted == "*" || wanted.trim_matches('"') == etag)
}

/// Locks a mutex, even after a panic: counters and faults are always in a valid state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
