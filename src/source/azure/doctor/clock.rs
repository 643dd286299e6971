//! Compares the machine's clock with the service's: signatures and tokens carry times.

use hyper::Method;
use hyper::header::DATE;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

use super::head;
use crate::model::{Check, Outcome};
use crate::source::azure::http::Endpoint;
use crate::source::location::ContainerUrl;

/// Beyond this, a token can be refused: validators of Entra ID tokens tolerate this much by default. A signature with a
/// key is refused beyond 15 minutes ("Authorize with Shared Key").
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Beyond this, a clock is not synchronized with the network and will drift further.
const SUSPECT_SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Reads the date of a response. Every response has one, even a refusal, so the request carries no credential.
pub(super) async fn check(endpoint: &Endpoint, url: &ContainerUrl) -> Check {
    let unknown = |why: String| Check::new("clock", Outcome::Unknown, why);
    let Ok(mut container) = url.container_url() else { return unknown("the container has no URL".into()) };
    container.set_query(Some("restype=container"));
    let sent = Timestamp::now();
    let headers = match head(endpoint, Method::HEAD, &container, |request| request).await {
        Ok((_, headers)) => headers,
        Err(failure) => return unknown(format!("the service does not respond: {failure}")),
    };
    let received = Timestamp::now();
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    match date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()) {
        Some(date) => judge(date, sent, received),
        None => unknown("the response has no date".into()),
    }
}

/// Compares the date of a response, which is truncated to the second, with the times between which it was set.
fn judge(date: Timestamp, sent: Timestamp, received: Timestamp) -> Check {
    let ahead = sent.duration_since(date) - SignedDuration::from_secs(1);
    let behind = date.duration_since(received);
    let skew = ahead.max(behind).max(SignedDuration::ZERO);
    let side = if ahead > behind { "ahead of" } else { "behind" };
    let (outcome, detail) = match skew {
        skew if skew > SUSPECT_SKEW => (
            if skew > MAX_SKEW { Outcome::Failed } else { Outcome::Warning },
            format!("this machine's clock is {} s {side} the service's", skew.as_secs()),
        ),
        skew => (Outcome::Ok, format!("within {} s of the service's", skew.as_secs() + 1)),
    };
    let check = Check::new("clock", outcome, detail);
    match outcome {
        Outcome::Ok => check,
        _ => check.cure("synchronize it with the network: timedatectl set-ntp true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told_with_its_side() {
        let sent: Timestamp = "2026-11-01T10:00:00.4Z".parse().unwrap();
        let received: Timestamp = "2026-11-01T10:00:02.9Z".parse().unwrap();
        let judged = |date: &str| {
            let check = judge(date.parse().unwrap(), sent, received);
            (check.outcome, check.detail)
        };
        for date in ["2026-11-01T10:00:00Z", "2026-11-01T10:00:02Z", "2026-11-01T10:00:01Z"] {
            assert_eq!(judged(date), (Outcome::Ok, "within 1 s of the service's".into()), "{date}");
        }
        assert_eq!(judged("2026-11-01T10:00:08Z"), (Outcome::Ok, "within 6 s of the service's".into()));
        let (outcome, detail) = judged("2026-11-01T10:01:04Z");
        assert_eq!(
            (outcome, detail.as_str()),
            (Outcome::Warning, "this machine's clock is 61 s behind the service's")
        );
        let (outcome, detail) = judged("2026-11-01T09:54:00Z");
        assert_eq!(
            (outcome, detail.as_str()),
            (Outcome::Failed, "this machine's clock is 359 s ahead of the service's")
        );
    }
}
