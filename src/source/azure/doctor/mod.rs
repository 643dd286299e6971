//! A container's connection tested step by step: `presync doctor`.

use std::future::Future;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::retry::Attempts;
use super::{AzureSource, transport};
use crate::model::{Check, Outcome};

mod access;
mod clock;
mod cors;
mod scope;
mod token;

pub use scope::role_condition;

/// How long one attempt at one step may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What an examination found.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Its steps, in their order.
    pub checks: Vec<Check>,
    /// Whether it failed as it does while a new role assignment is on its way: asked again later, it may succeed.
    pub propagating: bool,
}

impl AzureSource {
    /// Tests the connection from the credential to a read, then what surrounds it: rights, CORS for each of the
    /// `origins` (such as `https://example.org`), clock, latency. Changes nothing; never fails as a whole.
    pub async fn examine(&self, origins: &[String]) -> Examination {
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
        let (read, lacks_role) = match (&sample.readable, listed) {
            (Some(blob), _) => access::read(self, blob).await,
            (None, true) => {
                (Check::skipped("read", "no blob on the first page has content that can be read"), false)
            }
            (None, false) => (Check::skipped("read", "nothing was listed"), false),
        };
        let readable = sample.readable.as_ref().filter(|_| read.outcome == Outcome::Ok);
        checks.push(read);

        checks.push(match listed {
            true => timed(scope::check(self)).await,
            false => Check::skipped("least-privilege", "nothing was listed"),
        });
        match transport::client() {
            Ok(client) => {
                match (&sample.video, listed) {
                    (Some(video), _) => {
                        for origin in origins {
                            checks.push(timed(cors::check(&client, &self.url, video, origin)).await);
                        }
                    }
                    (None, true) => {
                        checks.push(Check::skipped("cors", "there is no video on the first page"))
                    }
                    (None, false) => checks.push(Check::skipped("cors", "nothing was listed")),
                }
                checks.push(timed(clock::check(&client, &self.url)).await);
            }
            Err(error) => checks.push(Check::new("clock", Outcome::Unknown, error.message())),
        }
        checks.push(match readable {
            Some(blob) => timed(access::latency(self, blob)).await,
            None => Check::skipped("latency", "nothing was read"),
        });
        Examination { checks, propagating: propagating || lacks_role }
    }
}

async fn timed(check: impl Future<Output = Check>) -> Check {
    let begun = Instant::now();
    let check = check.await;
    check.took(begun.elapsed())
}

/// Repeats a request as a run does; a failure comes with the attempts made.
async fn retried<T>(
    source: &AzureSource,
    mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<T, (Failure, Attempts)> {
    let mut attempts = Attempts::new(source.options.retry);
    loop {
        let failure = match tokio::time::timeout(DEADLINE, attempt()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Broken("no whole answer in time".into()),
        };
        if !attempts.again(&failure).await {
            return Err((failure, attempts));
        }
    }
}
