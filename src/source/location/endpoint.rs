//! Hosts of blob endpoints: which account they name, and which of them are not blob endpoints at all.

use percent_encoding::percent_decode_str;
use url::{Host, ParseError, Url};

use crate::model::error::{Error, Result};

/// The domains of blob endpoints in the public and the national clouds ("Storage account overview", endpoints; "Azure
/// Government" and "Azure operated by 21Vianet", endpoint mappings).
pub(super) const AZURE_DOMAINS: [&str; 4] = [
    ".blob.core.windows.net",
    ".blob.storage.azure.net",
    ".blob.core.usgovcloudapi.net",
    ".blob.core.chinacloudapi.cn",
];

/// What may follow an account's name in its host, in any combination ("Use geo-redundancy", "Network routing
/// preference", "Dual-stack endpoints").
const SUFFIXES: [&str; 5] = ["secondary", "internetrouting", "microsoftrouting", "ipv6", "dualstack"];

/// The URL of a host without a path, and whether its paths begin with the account.
pub(super) fn base_url(scheme: &str, authority: &str) -> Result<(Url, bool)> {
    if authority.contains('@') {
        return Err(Error::new("the URL contains a user name")
            .with_hint("remove everything before the '@': credentials come from the environment"));
    }
    let hint = "write https://ACCOUNT.blob.core.windows.net/CONTAINER";
    let wrong = || Error::new(format!("'{authority}' is not a host")).with_hint(hint);
    if authority.is_empty() {
        return Err(Error::new("the URL names no host").with_hint(hint));
    }
    if !authority.contains(['[', '.']) && authority.matches(':').count() > 1 {
        return Err(
            wrong().with_hint("put an IPv6 address in brackets: http://[::1]:10000/ACCOUNT/CONTAINER")
        );
    }
    let url = Url::parse(&format!("{scheme}://{authority}/")).map_err(|cause| match cause {
        ParseError::EmptyHost => Error::new("the URL names no host").with_hint(hint),
        ParseError::InvalidPort => {
            let after_address = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
            let port = after_address.split_once(':').map_or("", |(_, port)| port);
            Error::new(format!("'{port}' in the URL is not a port"))
                .with_hint("a port is a number up to 65535")
        }
        _ => wrong(),
    })?;
    if url.path() != "/" {
        return Err(wrong());
    }
    let path_style = match url.host() {
        Some(Host::Domain(domain)) => !domain.trim_end_matches('.').contains('.'),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => return Err(wrong()),
    };
    Ok((url, path_style))
}

/// Scheme, host and port, as the URL standard writes them.
pub(super) fn origin(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// The blob endpoint that belongs to a Data Lake endpoint; any other endpoint is returned unchanged.
pub(super) fn blob_endpoint(url: &Url) -> String {
    origin(url).replacen(".dfs.", ".blob.", 1)
}

/// `media` of `media.blob.core.windows.net`; `None` for a host that does not name its account.
pub(super) fn account_of_host(host: &str) -> Option<String> {
    let (account, domain) = host.split_once('.')?;
    let known = domain.split('.').any(|label| label == "blob" || label == "dfs");
    known.then(|| primary(account).to_owned())
}

/// An account's name without the suffixes of its endpoint: it signs requests to its read-only secondary, too.
pub(super) fn primary(account: &str) -> &str {
    match account.split_once('-') {
        Some((name, rest)) if rest.split('-').all(|suffix| SUFFIXES.contains(&suffix)) => name,
        _ => account,
    }
}

/// Whether a credential may be sent there even if the user did not type the URL: the host is one of Azure's or this
/// machine.
pub(super) fn is_trusted(url: &Url) -> bool {
    let of_azure = |name: &str| AZURE_DOMAINS.iter().any(|domain| name.ends_with(domain));
    is_this_machine(url) || url.domain().is_some_and(of_azure)
}

pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The sites of the platform.
const PLATFORM: [&str; 2] = ["datature.io", "datature.com"];

/// Where else files are, none of which has a blob endpoint at a domain of its own.
const ELSEWHERE: [&str; 12] = [
    "amazonaws.com",
    "googleapis.com",
    "google.com",
    "dropbox.com",
    "sharepoint.com",
    "onedrive.live.com",
    "1drv.ms",
    "github.com",
    "box.com",
    "r2.cloudflarestorage.com",
    "digitaloceanspaces.com",
    "backblazeb2.com",
];

/// Refuses a host that is known not to be a blob endpoint, with the URL to write instead. `rest` is what
/// follows the scheme.
///
/// # Errors
/// Returns an error for the portal, OneLake, the account's other services, the platform and other clouds.
pub(super) fn check_service(rest: &str) -> Result<()> {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let host = host.rsplit('@').next().unwrap_or_default();
    let labels: Vec<_> = host.split('.').collect();
    if labels.contains(&"portal") && labels.contains(&"azure") {
        return Err(of_portal(rest));
    }
    let is_of = |domains: &[&str]| {
        domains.iter().any(|domain| {
            host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    };
    if is_of(&PLATFORM) {
        return Err(Error::new(format!(
            "'{host}' is the annotation platform, not the container that it reads"
        ))
        .with_hint("give that container: https://ACCOUNT.blob.core.windows.net/CONTAINER"));
    }
    if is_of(&ELSEWHERE) {
        return Err(Error::new(format!("'{host}' is not Azure Blob Storage, which presync reads"))
            .with_hint("copy the files to a folder, and give that"));
    }
    if host.ends_with(".fabric.microsoft.com") {
        return Err(Error::new("OneLake is not a storage account, so presync does not read it").with_hint(
            "give the container that its shortcut leads to, or the folder of the OneLake file explorer",
        ));
    }
    let service = ["file", "queue", "table", "web"]
        .into_iter()
        .find(|name| labels.get(1..).is_some_and(|rest| rest.contains(name)));
    match service.filter(|_| labels.contains(&"core") || labels.contains(&"storage")) {
        None => Ok(()),
        Some(service) => {
            let account = primary(labels[0]);
            let hint = match service {
                "web" => format!("write https://{account}.blob.core.windows.net/$web"),
                _ => format!("write https://{account}.blob.core.windows.net/CONTAINER"),
            };
            Err(Error::new(format!("'{host}' is the account's {service} endpoint, not its blob endpoint"))
                .with_hint(hint))
        }
    }
}

/// The error for a page of the Azure portal, with the URL of the container that it shows.
fn of_portal(rest: &str) -> Error {
    let text = percent_decode_str(rest).decode_utf8_lossy();
    let after = |mark: &str| {
        let (_, name) = text.split_once(mark)?;
        let name: String =
            name.chars().take_while(|c| c.is_ascii_alphanumeric() || "-$".contains(*c)).collect();
        Some(name).filter(|name| !name.is_empty())
    };
    let account = after("/storageAccounts/");
    let container = after("/path/").or_else(|| after("/containers/")).unwrap_or("CONTAINER".to_owned());
    let account = account.unwrap_or("ACCOUNT".to_owned());
    Error::new("this is a page of the Azure portal, not a container")
        .with_hint(format!("write https://{account}.blob.core.windows.net/{container}"))
}
