//! What can go wrong, and for which requests.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::model::error::{Error, Result};

/// What goes wrong, as a whole. The same seed and the same requests have the same faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// What everything random is drawn from.
    pub seed: u64,
    /// How long every answer takes.
    pub latency: Latency,
    /// How many requests a second are served at most.
    pub limit: Option<Limit>,
    /// Which requests fail, and how: the first rule that hits a request counts.
    pub rules: Vec<Rule>,
}

/// How long the server waits before it answers, in milliseconds. Its timer ticks once a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Latency {
    /// Not at all.
    #[default]
    None,
    /// Always as long.
    Fixed {
        /// The wait.
        ms: f64,
    },
    /// Anything between two bounds, equally likely.
    Uniform {
        /// The shortest wait.
        min_ms: f64,
        /// The longest.
        max_ms: f64,
    },
    /// Log-normal, as latencies of services tend to be: most answers come soon, a few very late.
    Lognormal {
        /// What half of the waits stay below.
        p50_ms: f64,
        /// What 99 of 100 waits stay below.
        p99_ms: f64,
    },
}

/// A token bucket. What is above it is answered with 503 `ServerBusy`, at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Requests a second that are served.
    pub per_second: f64,
    /// Requests that may come at once after a pause; what 100 ms allow when `None`.
    #[serde(default)]
    pub burst: Option<f64>,
    /// The `Retry-After` of a refusal, in seconds; no such header when `None`.
    #[serde(default)]
    pub retry_after: Option<u32>,
}

/// A fault, and the requests that it hits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// To which kind of request. A fault of ranges never hits a listing, nor one of pages a read.
    #[serde(default)]
    pub on: On,
    /// The share of targets that are hit, 0 to 1. A target is a blob and the first byte of a range, or a page.
    /// Of rules with rates below 1 no target is hit by two, as long as the rates add up to at most 1.
    #[serde(default = "one")]
    pub rate: f64,
    /// How many attempts at a target are hit.
    #[serde(default)]
    pub attempts: Attempts,
    /// Only requests to this container; to any when it is empty.
    #[serde(default)]
    pub container: String,
    /// Only blobs whose name, or listings whose prefix, begins like this.
    #[serde(default)]
    pub prefix: String,
    /// Passes over this many requests of that kind and prefix first.
    #[serde(default)]
    pub after: u64,
}

/// The kinds of request that a rule is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// GET of a blob.
    #[default]
    Reads,
    /// A page of blobs.
    Lists,
    /// Every request of the service.
    All,
}

/// How many attempts at one target fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempts {
    /// The first one, or the first two: the seed decides. A client that tries three times loses nothing.
    #[default]
    OneOrTwo,
    /// The first ones.
    First(u32),
    /// All of them.
    Always,
}

/// One way to fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An error of the service, with its code in `x-ms-error-code` and in a body of XML.
    Refuse {
        /// The status, 400 to 599.
        status: u16,
        /// The service's own code, such as `ServerBusy`.
        code: Cow<'static, str>,
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// The connection is reset (TCP RST) instead of an answer.
    Reset,
    /// Bytes that are no HTTP instead of an answer, then the end of the connection.
    Garbage,
    /// Half of the body that `Content-Length` promises, then the end of the connection.
    Cut,
    /// Half of the body, then nothing until the client hangs up.
    Stall,
    /// A range that ends halfway, with headers that say so.
    Short,
    /// 200 and the whole blob instead of the range.
    Whole,
    /// A `Content-Range` that lies one byte further on.
    WrongRange,
    /// The blob is replaced just before the read: same content, new ETag, here and in listings from now on.
    Replaced,
    /// A page that is not well-formed.
    MalformedPage,
    /// A page that ends halfway, with the `Content-Length` of that half.
    TruncatedPage,
}

impl Fault {
    /// 503 `ServerBusy`.
    pub const fn busy(retry_after: Option<u32>) -> Self {
        Self::Refuse { status: 503, code: Cow::Borrowed("ServerBusy"), retry_after }
    }

    /// 429 `TooManyRequests`.
    pub const fn too_many_requests(retry_after: Option<u32>) -> Self {
        Self::Refuse { status: 429, code: Cow::Borrowed("TooManyRequests"), retry_after }
    }

    /// 500 `OperationTimedOut`.
    pub const fn timed_out() -> Self {
        Self::refuse(500, "OperationTimedOut")
    }

    /// 404 `BlobNotFound`.
    pub const fn gone() -> Self {
        Self::refuse(404, "BlobNotFound")
    }

    /// 403 `AuthorizationPermissionMismatch`.
    pub const fn no_permission() -> Self {
        Self::refuse(403, "AuthorizationPermissionMismatch")
    }

    const fn refuse(status: u16, code: &'static str) -> Self {
        Self::Refuse { status, code: Cow::Borrowed(code), retry_after: None }
    }

    /// The name under which it is counted.
    pub fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Refuse { status, code, .. } => return Cow::Owned(format!("{status} {code}")),
            Self::Reset => "reset",
            Self::Garbage => "garbage",
            Self::Cut => "cut",
            Self::Stall => "stall",
            Self::Short => "short",
            Self::Whole => "whole",
            Self::WrongRange => "wrong_range",
            Self::Replaced => "replaced",
            Self::MalformedPage => "malformed_page",
            Self::TruncatedPage => "truncated_page",
        })
    }

    /// Whether it can happen to a request of this kind.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Refuse { .. } | Self::Reset | Self::Garbage => true,
            Self::Cut | Self::Stall => matches!(kind, Kind::Read | Kind::List),
            Self::Short | Self::Whole | Self::WrongRange | Self::Replaced => kind == Kind::Read,
            Self::MalformedPage | Self::TruncatedPage => kind == Kind::List,
        }
    }
}

impl Rule {
    /// A rule that hits the first attempt, or the first two, at a share of all ranges.
    pub fn on_reads(fault: Fault, rate: f64) -> Self {
        let (on, attempts) = (On::Reads, Attempts::OneOrTwo);
        Self { fault, on, rate, attempts, container: String::new(), prefix: String::new(), after: 0 }
    }

    /// A rule that hits the first attempt, or the first two, at a share of all pages.
    pub fn on_lists(fault: Fault, rate: f64) -> Self {
        Self { on: On::Lists, ..Self::on_reads(fault, rate) }
    }

    /// The same rule for so many attempts.
    pub fn attempts(self, attempts: Attempts) -> Self {
        Self { attempts, ..self }
    }
}

impl Faults {
    /// Sets what is given: the share of ranges and pages that fail in a way that passes, how long every answer takes,
    /// and requests a second that are served.
    pub fn set(&mut self, fail: Option<f64>, latency: Option<Duration>, per_second: Option<f64>) {
        if let Some(rate) = fail {
            self.rules = Self::passing(rate, 0).rules;
        }
        if let Some(latency) = latency {
            self.latency = Latency::Fixed { ms: latency.as_secs_f64() * 1e3 };
        }
        if let Some(per_second) = per_second {
            self.limit = Some(Limit { per_second, burst: None, retry_after: None });
        }
    }

    /// Every fault that passes when the request is repeated, at `rate` of all ranges and of all pages.
    ///
    /// Left out are those that change a verdict (replaced, gone, no permission), and [`Fault::Stall`], which costs
    /// whatever time limit the client has.
    pub fn passing(rate: f64, seed: u64) -> Self {
        let of_both = [
            Fault::busy(None),
            Fault::busy(Some(1)),
            Fault::too_many_requests(None),
            Fault::timed_out(),
            Fault::Reset,
            Fault::Garbage,
            Fault::Cut,
        ];
        let of_reads = [Fault::Short, Fault::Whole, Fault::WrongRange];
        let of_lists = [Fault::MalformedPage, Fault::TruncatedPage];
        let each = |faults: usize| rate / (of_both.len() + faults) as f64;
        let (read, list) = (each(of_reads.len()), each(of_lists.len()));
        let reads = of_both.iter().chain(&of_reads).map(|fault| Rule::on_reads(fault.clone(), read));
        let lists = of_both.iter().chain(&of_lists).map(|fault| Rule::on_lists(fault.clone(), list));
        Self { seed, rules: reads.chain(lists).collect(), ..Self::default() }
    }

    /// # Errors
    ///
    /// A number is out of its range, or a code is none.
    pub(super) fn check(&self) -> Result<()> {
        let sound = match self.latency {
            Latency::None => true,
            Latency::Fixed { ms } => is_wait(ms),
            Latency::Uniform { min_ms, max_ms } => is_wait(min_ms) && is_wait(max_ms) && min_ms <= max_ms,
            Latency::Lognormal { p50_ms, p99_ms } => is_wait(p99_ms) && 0.0 < p50_ms && p50_ms <= p99_ms,
        };
        if !sound {
            return Err(Error::new(format!("a latency is at most {} s and ascends", MAX_WAIT.as_secs())));
        }
        if self.limit.is_some_and(|limit| !(limit.per_second > 0.0 && limit.capacity() >= 1.0)) {
            return Err(Error::new("a limit lets something through: a rate above 0, a burst of 1 or more"));
        }
        if self.rules.iter().any(|rule| !(0.0..=1.0).contains(&rule.rate)) {
            return Err(Error::new("the rate of a fault is between 0 and 1"));
        }
        let is_answer = |rule: &Rule| match &rule.fault {
            Fault::Refuse { status, code, .. } => {
                (400..600).contains(status) && code.bytes().all(|b| b.is_ascii_alphanumeric())
            }
            _ => true,
        };
        match self.rules.iter().all(is_answer) {
            true => Ok(()),
            false => {
                Err(Error::new("a refusal has a status of 400 to 599, and letters and digits as its code"))
            }
        }
    }
}

impl Limit {
    /// What the bucket holds when it is full, in requests.
    pub(super) fn capacity(&self) -> f64 {
        self.burst.unwrap_or_else(|| (self.per_second / 10.0).max(1.0))
    }
}

/// The longest wait of a [`Latency`].
pub(super) const MAX_WAIT: Duration = Duration::from_secs(600);

fn is_wait(ms: f64) -> bool {
    (0.0..=MAX_WAIT.as_secs_f64() * 1e3).contains(&ms)
}

fn one() -> f64 {
    1.0
}
