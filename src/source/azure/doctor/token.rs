//! Checks the credential and its token.

use std::time::Instant;

use azure_core::base64::decode_url_safe;
use azure_core::credentials::{AccessToken, TokenCredential};
use jiff::{Timestamp, Unit};
use serde_json::Value;

use super::DEADLINE;
use crate::model::{Check, Outcome};
use crate::source::azure::auth::{Authorization, Credential, SCOPE};
use crate::source::azure::explain::cure_of_sign_in;
use crate::source::azure::failure::Failure;
use crate::source::location::Sas;

/// Audiences of the blob service: its resource ID, and the application ID of Azure Storage.
const AUDIENCES: [&str; 2] = ["https://storage.azure.com", "e406a681-f3d4-42a8-90b6-c2b029497af1"];

/// The most bytes of a token whose claims are read; one with many groups has about 10 KiB.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// The most characters to show of a claim: an ID has 36, an audience is a URL.
const MAX_CLAIM: usize = 80;

/// Reports which credential is used and, for a SAS, what it allows.
pub(super) fn credential(credential: &Credential) -> Check {
    let detail = match &credential.authorization {
        Authorization::Sas(sas) => format!("{}: {}", credential.label(), described(sas)),
        _ => credential.label(),
    };
    Check::new("credential", Outcome::Ok, detail)
}

fn described(sas: &Sas) -> String {
    let field = |name, text: &str| Some(format!("{text} '{}'", sas.field(name)?));
    let end = match sas.expires() {
        Some(end) => Some(format!("expires {end}")),
        None => Some("expiry set by its policy".to_owned()),
    };
    let parts = [field("sp", "permissions"), field("sr", "resource"), field("si", "policy"), end];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Gets a token, and reports whose it is and how long it is valid. Also returns whether the next steps can run.
pub(super) async fn check(credential: &Credential) -> (Check, bool) {
    let begun = Instant::now();
    let Authorization::Token(source) = &credential.authorization else {
        return (Check::skipped("token", "only Entra ID uses tokens"), true);
    };
    let answer = tokio::time::timeout(DEADLINE, source.get_token(&[SCOPE], None)).await;
    let (check, is_there) = match answer.map(|answer| answer.map_err(Failure::from)) {
        Ok(Ok(token)) => (judged(&token), true),
        Ok(Err(failure)) => (refused(&failure, credential), false),
        Err(_) => (refused(&Failure::Broken("no response in time".into()), credential), false),
    };
    (check.took(begun.elapsed()), is_there)
}

fn refused(failure: &Failure, credential: &Credential) -> Check {
    let code = match failure {
        Failure::Credential { code, .. } => code.as_deref(),
        _ => None,
    };
    let cure = cure_of_sign_in(code, credential.mode());
    Check::failed("token", &format!("no token: {failure}"), Some(cure))
}

fn judged(token: &AccessToken) -> Check {
    let expires = Timestamp::from_second(token.expires_on.unix_timestamp()).unwrap_or(Timestamp::MAX);
    judge(expires, &claims(token.token.secret()), Timestamp::now())
}

/// Judges a token by its claims. Whether the service accepts it is left to the next step.
fn judge(expires: Timestamp, claims: &Value, now: Timestamp) -> Check {
    let claim =
        |name: &str| claims[name].as_str().map(|text| text.chars().take(MAX_CLAIM).collect::<String>());
    let end = claims["exp"].as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let end = end.unwrap_or(expires).min(expires);
    if end <= now {
        return Check::new("token", Outcome::Failed, format!("it expired at {end}"))
            .cure("sign in again, and check this machine's clock");
    }
    let minutes = (end - now).total(Unit::Minute).unwrap_or_default();
    let mut detail = format!("valid for {minutes:.0} min");
    for (name, text) in
        [("tid", "tenant"), ("appid", "application"), ("azp", "application"), ("oid", "object")]
    {
        if let Some(id) = claim(name) {
            detail += &format!(", {text} {id}");
        }
    }
    match claim("aud") {
        Some(audience) if !is_of_storage(&audience) => {
            Check::new("token", Outcome::Warning, format!("it is for '{audience}', not for {}", AUDIENCES[0]))
                .cure("check where the sign-in gets its token: the service rejects other audiences")
        }
        _ => Check::new("token", Outcome::Ok, detail),
    }
}

/// Whether the blob service accepts a token for this audience; the account's own endpoint is also one.
fn is_of_storage(audience: &str) -> bool {
    let audience = audience.trim_end_matches('/');
    AUDIENCES.contains(&audience) || audience.split('/').nth(2).is_some_and(|host| host.contains(".blob."))
}

/// The claims of a JSON Web Token (RFC 7519, 3); `null` for any other token.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).filter(|_| token.len() <= MAX_TOKEN_BYTES);
    let json = payload.and_then(|payload| decode_url_safe(payload).ok());
    json.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use azure_core::base64::encode_url_safe;
    use jiff::ToSpan;

    use super::*;

    fn judged_at_ten(claims: &str, expires: Timestamp) -> Check {
        let token = format!("{}.{}.secret", encode_url_safe("{}"), encode_url_safe(claims));
        judge(expires, &super::claims(&token), "2026-11-01T10:00:00Z".parse().unwrap())
    }

    #[test]
    fn its_claims_are_told() {
        let end: Timestamp = "2026-11-01T11:00:00Z".parse().unwrap();
        let check =
            judged_at_ten(r#"{"aud":"https://storage.azure.com/","tid":"t","appid":"a","oid":"o"}"#, end);
        assert_eq!(check.outcome, Outcome::Ok);
        assert_eq!(check.detail, "valid for 60 min, tenant t, application a, object o");
        // A token need not be one that can be read.
        assert_eq!(judge(end, &claims("opaque"), end - 5.minutes()).detail, "valid for 5 min");
        assert_eq!(claims(&format!("a.{}.c", encode_url_safe("7").repeat(MAX_TOKEN_BYTES))), Value::Null);
    }

    #[test]
    fn one_that_has_expired_or_is_for_something_else_is_told() {
        let end: Timestamp = "2026-11-01T11:00:00Z".parse().unwrap();
        let old = judged_at_ten(r#"{"exp":1700000000}"#, end);
        assert_eq!(
            (old.outcome, old.detail.as_str()),
            (Outcome::Failed, "it expired at 2023-11-14T22:13:20Z")
        );
        let other = judged_at_ten(r#"{"aud":"https://management.azure.com"}"#, end);
        assert!(other.detail.contains("not for https://storage.azure.com"), "{}", other.detail);
        for audience in ["https://media.blob.core.windows.net", "e406a681-f3d4-42a8-90b6-c2b029497af1"] {
            assert!(is_of_storage(audience));
        }
    }
}
