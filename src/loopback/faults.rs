//! Faults, and the requests that they affect.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::model::error::{Error, Result};

/// All faults of a server. The same seed and the same requests give the same faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The seed for everything random.
    pub seed: u64,
    /// The latency of every response.
    pub latency: Latency,
    /// The most requests per second.
    pub limit: Option<Limit>,
    /// Which requests fail, and how. The first rule that matches a request applies.
    pub rules: Vec<Rule>,
}

/// How long the server waits before it responds, in milliseconds. The resolution of its timer is one millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Latency {
    /// No wait.
    #[default]
    None,
    /// Always the same.
    Fixed {
        /// The wait.
        ms: f64,
    },
    /// Uniformly distributed between two bounds.
    Uniform {
        /// The shortest wait.
        min_ms: f64,
        /// The longest wait.
        max_ms: f64,
    },
    /// Log-normally distributed, as latencies of services tend to be: most responses are fast, a few are very slow.
    Lognormal {
        /// The median.
        p50_ms: f64,
        /// The 99th percentile.
        p99_ms: f64,
    },
}

/// A token bucket. Requests beyond it immediately get 503 `ServerBusy`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Requests served per second.
    pub per_second: f64,
    /// Requests allowed at once after a pause; `None` allows as many as fit in 100 ms.
    #[serde(default)]
    pub burst: Option<f64>,
    /// `Retry-After` of a throttled request, in seconds; `None` omits the header.
    #[serde(default)]
    pub retry_after: Option<u32>,
}

/// A fault, and the requests it affects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// The kind of request. Faults of ranges never affect listings, and faults of pages never affect reads.
    #[serde(default)]
    pub on: On,
    /// The share of targets that are affected, 0 to 1. A target is a blob plus the first byte of a range, or a page.
    /// As long as the rates add up to at most 1, no target is affected by two rules.
    #[serde(default = "one")]
    pub rate: f64,
    /// How many attempts at a target fail.
    #[serde(default)]
    pub attempts: Attempts,
    /// Only requests to this container; empty for all.
    #[serde(default)]
    pub container: String,
    /// Only blobs whose name, or listings whose prefix, starts with this.
    #[serde(default)]
    pub prefix: String,
    /// Ignores this many matching requests first.
    #[serde(default)]
    pub after: u64,
}

/// The kinds of request that a rule applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// GET of a blob.
    #[default]
    Reads,
    /// A page of blobs.
    Lists,
    /// Every request to the service.
    All,
}

/// How many attempts at one target fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempts {
    /// The first one or two, depending on the seed. A client that tries three times always succeeds.
    #[default]
    OneOrTwo,
    /// This many of the first attempts.
    First(u32),
    /// All of them.
    Always,
}

/// A way to fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An error response, with its code in `x-ms-error-code` and in an XML body.
    Refuse {
        /// The status, 400 to 599.
        status: u16,
        /// The service's own code, such as `ServerBusy`.
        code: Cow<'static, str>,
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// The connection is reset (TCP RST) instead of a response.
    Reset,
    /// Bytes that aren't HTTP instead of a response, then the connection is closed.
    Garbage,
    /// Half of the body that `Content-Length` promises, then the connection is closed.
    Cut,
    /// Half of the body, then nothing until the client closes the connection.
    Stall,
    /// Only the first half of the range, with matching headers.
    Short,
    /// Status 200 and the whole blob instead of the range.
    Whole,
    /// A `Content-Range` that is off by one byte.
    WrongRange,
    /// The blob is replaced just before the read: it keeps its content but has a new ETag, also in later listings.
    Replaced,
    /// A page that is not well-formed.
    MalformedPage,
    /// Only the first half of a page, with a matching `Content-Length`.
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

    /// The name under which the fault is counted.
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

    /// Whether the fault can affect requests of this kind.
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
    /// Creates a rule that affects the first one or two attempts at a share of all ranges.
    pub fn on_reads(fault: Fault, rate: f64) -> Self {
        let (on, attempts) = (On::Reads, Attempts::OneOrTwo);
        Self { fault, on, rate, attempts, container: String::new(), prefix: String::new(), after: 0 }
    }

    /// Creates a rule that affects the first one or two attempts at a share of all pages.
    pub fn on_lists(fault: Fault, rate: f64) -> Self {
        Self { on: On::Lists, ..Self::on_reads(fault, rate) }
    }

    /// Sets how many attempts fail.
    pub fn attempts(self, attempts: Attempts) -> Self {
        Self { attempts, ..self }
    }
}

impl Faults {
    /// Sets the given values: the share of ranges and pages with transient faults, the latency of every response, and
    /// the limit of requests per second.
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

    /// Every transient fault, which a retry gets past, at `rate` of all ranges and of all pages.
    ///
    /// This excludes faults that change a verdict (replaced, gone, no permission), and [`Fault::Stall`], which takes as
    /// long as the timeout of the client.
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
    /// Returns an error if a number is out of range or an error code is invalid.
    pub(super) fn check(&self) -> Result<()> {
        let sound = match self.latency {
            Latency::None => true,
            Latency::Fixed { ms } => is_wait(ms),
            Latency::Uniform { min_ms, max_ms } => is_wait(min_ms) && is_wait(max_ms) && min_ms <= max_ms,
            Latency::Lognormal { p50_ms, p99_ms } => is_wait(p99_ms) && 0.0 < p50_ms && p50_ms <= p99_ms,
        };
        if !sound {
            return Err(Error::new(format!("latencies must ascend, up to {} s", MAX_WAIT.as_secs())));
        }
        if self.limit.is_some_and(|limit| !(limit.per_second > 0.0 && limit.capacity() >= 1.0)) {
            return Err(Error::new("a limit must have a rate above 0 and a burst of at least 1"));
        }
        if self.rules.iter().any(|rule| !(0.0..=1.0).contains(&rule.rate)) {
            return Err(Error::new("the rate of a fault must be between 0 and 1"));
        }
        let is_answer = |rule: &Rule| match &rule.fault {
            Fault::Refuse { status, code, .. } => {
                (400..600).contains(status) && code.bytes().all(|b| b.is_ascii_alphanumeric())
            }
            _ => true,
        };
        match self.rules.iter().all(is_answer) {
            true => Ok(()),
            false => Err(Error::new("a refusal must have a status from 400 to 599 and an alphanumeric code")),
        }
    }
}

impl Limit {
    /// The capacity of the bucket, in requests.
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
