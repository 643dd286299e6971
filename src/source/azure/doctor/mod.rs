//! Tests a container's connection step by step: `presync doctor`.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::http::request::Builder;
use hyper::{Method, StatusCode};
use url::{Position, Url};

use super::AzureSource;
use super::failure::Failure;
use super::http::{Endpoint, Length, MAX_ERROR_BYTES, Outgoing};
use super::retry::{Deadline, Failed, with_retries};
use crate::model::{Check, Outcome};

mod access;
mod arm;
mod clock;
mod cors;
mod platform;
mod roles;
mod scope;
mod token;

pub use platform::platform;

/// How long one attempt at one step may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the doctor found.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The steps, in order.
    pub checks: Vec<Check>,
    /// Whether it failed the way it does while a new role assignment propagates: it may succeed later.
    pub propagating: bool,
}

impl AzureSource {
    /// Tests the connection from the credential to a read, then least privilege, CORS for each of the `origins` (such
    /// as `https://example.org`), the clock and the latency. If `writes`, also writes a small blob and deletes
    /// it; otherwise changes nothing. Never fails as a whole.
    pub async fn examine(&self, origins: &[String], writes: bool) -> Diagnosis {
        let mut checks = vec![token::credential(&self.credential)];
        let (token, signed_in) = token::check(&self.credential).await;
        checks.push(token);

        let listed = match signed_in {
            true => access::list(self).await,
            false => access::Listed::without("there is no token"),
        };
        let access::Listed { check, sample, propagating } = listed;
        let listed = check.outcome != Outcome::Failed && signed_in;
        checks.push(check);
        let read = match (sample.readable.is_empty(), listed) {
            (false, _) => access::read(self, sample.readable).await,
            (true, true) => access::Read::without("no blob on the first page has readable content"),
            (true, false) => access::Read::without("nothing was listed"),
        };
        let access::Read { check: read, readable, lacks_role } = read;
        checks.push(read);

        checks.push(match listed {
            true => timed(scope::check(self)).await,
            false => Check::skipped("least-privilege", "nothing was listed"),
        });
        for origin in origins {
            checks.push(timed(cors::check(&self.endpoint, &self.url, sample.video.as_ref(), origin)).await);
        }
        checks.push(timed(clock::check(&self.endpoint, &self.url)).await);
        checks.push(match readable {
            Some(blob) => timed(access::latency(self, &blob)).await,
            None => Check::skipped("latency", "nothing was read"),
        });
        if writes {
            checks.push(match listed {
                true => self.check_writing().await,
                false => Check::skipped("write", "nothing was listed"),
            });
        }
        Diagnosis { checks, propagating: propagating || lacks_role }
    }
}

async fn timed(check: impl Future<Output = Check>) -> Check {
    let begun = Instant::now();
    let check = check.await;
    check.took(begun.elapsed())
}

/// Sends a request with the same retries as a run.
async fn retried<T, F: Future<Output = Result<T, Failure>>>(
    source: &AzureSource,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Failed> {
    let attempt = |_| attempt();
    with_retries(&source.limiter, source.options.retry, 0, Deadline::Fixed(DEADLINE), attempt).await
}

/// Sends a request once, without a credential, and returns the status and headers of any response.
async fn head(
    endpoint: &Endpoint,
    method: Method,
    url: &Url,
    fields: impl FnOnce(Builder) -> Builder,
) -> Result<(StatusCode, HeaderMap), Failure> {
    let request = endpoint.request(method, &url[Position::BeforePath..Position::AfterQuery]);
    let request = fields(request).body(Bytes::new()).map_err(|_| Failure::unsendable())?;
    let answer = async {
        let response = endpoint.send(&Outgoing::of(request)?).await?;
        let head = (response.status(), response.fields().to_map());
        // Read to the end, so that the next steps can reuse the connection.
        response.body(Length::First(MAX_ERROR_BYTES)).await?;
        Ok(head)
    };
    tokio::time::timeout(DEADLINE, answer).await.map_err(|_| Failure::silent())?
}
