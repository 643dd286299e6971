//! The containers of a storage account.

use azure_core::http::Url;
use azure_storage_blob::models::BlobServiceClientListContainersOptions;
use azure_storage_blob::{BlobServiceClient, BlobServiceClientOptions};
use futures::StreamExt;
use jiff::Timestamp;

use super::auth::{AuthMode, Authorization, Credential};
use super::explain;
use super::failure::Failure;
use super::requests::VERSIONS;
use super::retry::{Deadline, Failed, with_retries};
use super::{Options, PAGE_DEADLINE, Session};
use crate::model::error::{Error, Result};
use crate::source::location::{ContainerUrl, Environment};

/// The most containers to list in an account: their names alone take 6 MB, and an audit of more would never end.
pub const MAX_CONTAINERS: usize = 100_000;
/// The most characters to keep of a name that is left out: as many as a container's name may have.
const MAX_NAME: usize = 63;

/// Lists the containers of `account` in the order of their names, as URLs without a prefix or a credential. Also
/// returns the names that are left out: the service's own, such as `$logs`, and names that no container can have.
///
/// # Errors
///
/// Returns an error if the credential is missing or does not allow listing containers, if the account cannot be
/// reached, or if there are more than [`MAX_CONTAINERS`].
pub async fn containers(
    account: &ContainerUrl,
    mode: AuthMode,
    env: &Environment,
    options: Options,
    session: &Session,
) -> Result<(Vec<ContainerUrl>, Vec<String>)> {
    let credential = session.credential(mode, account, env)?;
    let limiter = session.limiter(account.endpoint());
    let (mut containers, mut left_out) = (Vec::new(), Vec::new());
    let (mut listed, mut marker) = (0, None);
    loop {
        let attempt = |_| page(account, &credential.authorization, session, options, marker.clone());
        let page = with_retries(&limiter, options.retry, 0, Deadline::Fixed(PAGE_DEADLINE), attempt).await;
        let page = page.map_err(|failed| unlisted(&failed, account, &credential))?;
        // An empty page counts as one, or a service that sends only empty pages would be listed forever.
        listed += page.names.len().max(1);
        for name in page.names {
            match account.beside(&name).ok().filter(|_| !name.starts_with('$')) {
                Some(container) => containers.push(container),
                None => left_out.push(name.chars().take(MAX_NAME).collect()),
            }
        }
        if listed > MAX_CONTAINERS {
            return Err(Error::new(format!("the account has more than {MAX_CONTAINERS} containers"))
                .with_hint("give the containers one by one, or as connections in presync.toml with --all"));
        }
        if page.next.is_some() && page.next == marker {
            return Err(Error::new("the service sent the same page of containers twice")
                .with_hint("check what responds at this URL"));
        }
        match page.next {
            Some(next) => marker = Some(next),
            None => return Ok((containers, left_out)),
        }
    }
}

/// Why the containers cannot be listed.
fn unlisted(failed: &Failed, account: &ContainerUrl, credential: &Credential) -> Error {
    match &failed.failure {
        Failure::Status { status: 401 | 403 | 404 | 409, said, .. } => {
            let (endpoint, label) = (account.endpoint(), credential.label());
            let says = match said.to_string() {
                says if says.is_empty() => says,
                says => format!("; {says}"),
            };
            Error::new(format!("cannot list the containers of {endpoint} with {label}: {failed}{says}")).with_hint(
                "listing them requires the role 'Storage Blob Data Reader' on the storage account, its key, \
                 or an account SAS (ss=b, srt=sco, sp=rl); without these, give the containers one by one",
            ).because(explain::cause(&failed.failure))
        }
        _ => explain::explain(failed, account, credential, Timestamp::now()),
    }
}

/// A page of a listing of containers.
pub(super) struct ContainersPage {
    pub names: Vec<String>,
    /// The marker of the next page.
    pub next: Option<String>,
}

/// One attempt at a page ("List Containers"), in the newest version of the API that the service knows.
pub(super) async fn page(
    account: &ContainerUrl,
    authorization: &Authorization,
    session: &Session,
    options: Options,
    marker: Option<String>,
) -> std::result::Result<ContainersPage, Failure> {
    let chosen = options.api_version.map(|version| version.to_string());
    let versions = match &chosen {
        Some(version) => &[version.as_str()][..],
        None => &VERSIONS,
    };
    let mut last = Failure::unsendable();
    for version in versions {
        let marker = marker.clone();
        match page_in_version(account, authorization, session, options.page_size, marker, version).await {
            Err(failure) if failure.said().is_version() => last = failure,
            page => return page,
        }
    }
    Err(last)
}

async fn page_in_version(
    account: &ContainerUrl,
    authorization: &Authorization,
    session: &Session,
    max: u16,
    marker: Option<String>,
    version: &str,
) -> std::result::Result<ContainersPage, Failure> {
    let mut url = Url::parse(account.endpoint()).map_err(|error| Failure::Other(error.to_string()))?;
    let (client_options, token) = session.client_options(authorization, &mut url);
    let options = BlobServiceClientOptions { client_options, version: version.to_owned() };
    let service = BlobServiceClient::new(url, token, Some(options))?;
    let options =
        BlobServiceClientListContainersOptions { maxresults: Some(max.into()), marker, ..Default::default() };
    let page = match service.list_containers(Some(options))?.into_pages().next().await {
        Some(page) => page?.into_model()?,
        None => return Err(Failure::Other("a page without a body".into())),
    };
    let names = page.container_items.into_iter().filter_map(|item| item.name).collect();
    Ok(ContainersPage { names, next: page.next_marker.filter(|next| !next.is_empty()) })
}
