//! CORS: whether a browser that shows the platform's pages may read videos from this account.

use hyper::Method;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use hyper::http::request::Builder;

use super::head;
use crate::model::{Blob, Check, Outcome};
use crate::source::azure::commands::{Account, Shell};
use crate::source::azure::http::Endpoint;
use crate::source::location::ContainerUrl;

/// A name for the request if there is no video: the blob need not exist ("Preflight Blob Request").
const ANY: &str = "presync-cors.mp4";

/// Sends the request that a browser sends before it reads ("Preflight Blob Request"). It carries no credential; the
/// status is 200 if a rule of the account matches and 403 if none does. Without a video, a missing rule is a warning.
pub(super) async fn check(
    endpoint: &Endpoint,
    url: &ContainerUrl,
    video: Option<&Blob>,
    origin: &str,
) -> Check {
    let unknown = |why: String| Check::new("cors", Outcome::Unknown, format!("{origin}: {why}"));
    let name = video.map_or(ANY, |video| video.name.as_str());
    let Ok(blob) = url.blob_url(name) else { return unknown("the video has no URL".into()) };
    let fields =
        |request: Builder| request.header(ORIGIN, origin).header(ACCESS_CONTROL_REQUEST_METHOD, "GET");
    let (status, headers) = match head(endpoint, Method::OPTIONS, &blob, fields).await {
        Ok(answer) => answer,
        Err(failure) => return unknown(failure.to_string()),
    };
    let allowed = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.as_bytes());
    match (status.as_u16(), allowed) {
        (200, Some(allowed)) if allowed == b"*" || allowed == origin.as_bytes() => {
            Check::new("cors", Outcome::Ok, format!("{origin} may read videos"))
        }
        (403, _) => {
            let (outcome, why) = match video {
                Some(_) => (Outcome::Failed, ""),
                None => (Outcome::Warning, "; no video was found, and only videos need one"),
            };
            Check::new("cors", outcome, format!("no rule allows {origin} to read videos{why}"))
                .cure(Account::named(url.account()).add_cors_rule(&[origin]).line(Shell::Bash))
        }
        (status, _) => unknown(format!("the preflight request returned {status} without a rule")),
    }
}
