//! Which requests go through a proxy.

use std::net::IpAddr;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::model::error::{Error, Result};

/// The proxy for an origin, if there is one.
///
/// # Errors
/// Returns an error if the proxy does not speak HTTP.
pub(super) fn of(proxies: &Matcher, origin: &Uri) -> Result<Option<Intercept>> {
    // A proxy would take loopback and link-local addresses for its own, and the token that the instance metadata
    // service (169.254.169.254) issues must not pass through another machine.
    if origin.host().is_some_and(is_this_machine) {
        return Ok(None);
    }
    let proxy = proxies.intercept(origin);
    match proxy.as_ref().and_then(|proxy| proxy.uri().scheme_str()) {
        None | Some("http" | "https") => Ok(proxy),
        Some(scheme) => Err(Error::new(format!("{scheme}:// proxies are not supported"))
            .with_hint("set HTTPS_PROXY and HTTP_PROXY to an http:// proxy, or list the host in NO_PROXY")),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address.map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_for_other_machines_that_no_proxy_does_not_list() {
        let proxies = Matcher::builder().all("http://user:secret@proxy:3128").no("inside.test,10.0.0.0/8");
        let proxies = proxies.build();
        let is_proxied = |url: &str| of(&proxies, &url.parse().unwrap()).unwrap().is_some();
        for url in [
            "https://media.blob.core.windows.net/",
            "http://127.example/",
            "http://[2001:db8::1]/",
            "http://11.0.0.1/",
        ] {
            assert!(is_proxied(url), "{url}");
        }
        for url in [
            "http://169.254.169.254/metadata/identity",
            "http://169.254.0.1/",
            "http://127.0.0.1:10000/",
            "http://127.9.9.9/",
            "https://localhost:8443/",
            "http://blobs.localhost/",
            "http://[::1]:10000/",
            "http://[::ffff:127.0.0.1]/",
            "https://media.inside.test/",
            "http://10.1.2.3/",
        ] {
            assert!(!is_proxied(url), "{url}");
        }
    }

    #[test]
    fn a_proxy_that_does_not_speak_http_is_refused() {
        let proxies = Matcher::builder().all("socks5://user:secret@proxy:1080").build();
        let error = of(&proxies, &"https://media.test/".parse().unwrap()).unwrap_err();
        assert_eq!(error.message(), "socks5:// proxies are not supported");
    }
}
