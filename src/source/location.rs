//! The SOURCE argument: a folder, or a container and a prefix.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Url, form_urlencoded};

use crate::model::Origin;
use crate::model::error::{Error, Result};

mod connection;
mod endpoint;
mod environment;
mod misplaced;
mod names;
mod scope;
pub use connection::{ConnectionString, Sas};
use endpoint::{account_of_host, base_url, blob_endpoint, check_service, is_this_machine, origin, primary};
pub use environment::Environment;
pub(crate) use misplaced::misplaced;
use misplaced::{names_host, unquoted};
pub use names::{check_account, check_container};

/// What must be escaped in a printed prefix so that it reads back as the same prefix.
const PREFIX_SET: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// What must be escaped in a blob name that is one segment of a URL: all but RFC 3986's unreserved characters.
pub(crate) const SEGMENT_SET: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where to look for blobs. Printed without any SAS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A container of Azure Blob Storage, or of an emulator.
    Container(ContainerUrl),
}

/// A container and a prefix.
///
/// * `endpoint` has no trailing slash; if it is path-style, it contains the account.
/// * `prefix` is decoded, is not normalised, and may be empty.
/// * Printed without the SAS, as a URL that reads back as the same container and prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUrl {
    endpoint: String,
    account: Option<String>,
    container: String,
    prefix: String,
    sas: Option<Sas>,
}

impl Location {
    /// Parses a SOURCE argument. `account` is the `--account` option.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL names no container, breaks a naming rule, carries credentials other than a SAS, or
    /// has an unknown scheme, or if the account of an `az://` URL is not known.
    pub fn parse(source: &OsStr, account: Option<&str>, env: &Environment) -> Result<Self> {
        if source.is_empty() {
            return Err(
                Error::new("the source is empty").with_hint("give a folder or the URL of a container")
            );
        }
        // Only in front of a URL: a folder may be called so, and a prefix may end so.
        let text = source.to_str().map(|text| match unquoted(text) {
            inside if split_scheme(text).is_none() && split_scheme(inside).is_some() => inside,
            _ => text,
        });
        if let Some(error) = text.and_then(misplaced).filter(|_| !Path::new(source).exists()) {
            return Err(error);
        }
        let Some((scheme, rest)) = text.and_then(split_scheme) else {
            return Self::folder(source);
        };
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" => ContainerUrl::from_http(&scheme, rest, account, env).map(Self::Container),
            "az" | "azure" | "abfs" | "abfss" | "wasb" | "wasbs" => {
                ContainerUrl::from_az(&scheme, rest, account, env).map(Self::Container)
            }
            "file" => folder_of(rest).map(Self::Folder),
            "adl" => Err(Error::new("adl:// is Data Lake Storage Gen1, which no longer exists").with_hint(
                "write abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX for the account that replaced it",
            )),
            _ => Err(Error::new(format!("presync does not read {scheme}:// sources")).with_hint(
                "give a folder, https://ACCOUNT.blob.core.windows.net/CONTAINER, az://CONTAINER or \
                 abfss://CONTAINER@ACCOUNT.dfs.core.windows.net",
            )),
        }
    }

    /// A folder, unless it looks like a URL with its beginning missing.
    fn folder(source: &OsStr) -> Result<Self> {
        let path = PathBuf::from(source);
        let text = source.to_string_lossy();
        let lower = text.to_ascii_lowercase();
        let one_slash = lower.starts_with("https:/") || lower.starts_with("http:/");
        match one_slash || names_host(&text) {
            true if !path.exists() => {
                let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic() && one_slash);
                Err(Error::new(format!("'{text}' is not a URL, and there is no such folder"))
                    .with_hint(format!("write https://{}", rest.trim_start_matches([':', '/']))))
            }
            _ => Ok(Self::Folder(path)),
        }
    }
}

impl ContainerUrl {
    /// A container of an account, at the endpoint that `AZURE_STORAGE_CONNECTION_STRING` or else
    /// `AZURE_STORAGE_SERVICE_ENDPOINT` gives for this account, or else in the public cloud. `account` defaults to
    /// `AZURE_STORAGE_ACCOUNT`, then to the account of the connection string, then to that of the endpoint.
    ///
    /// # Errors
    ///
    /// Returns an error if no account is named, or if a name breaks a naming rule.
    pub fn in_account(
        account: Option<&str>,
        container: &str,
        prefix: &str,
        env: &Environment,
    ) -> Result<Self> {
        check_container(container)?;
        let connection = ConnectionString::from_env(env)?;
        let service = Self::of_service(container, prefix, env)?;
        let account = account
            .map(str::to_owned)
            .or_else(|| env.account())
            .or_else(|| connection.as_ref().and_then(|c| c.account().map(str::to_owned)))
            .or_else(|| service.as_ref()?.account.clone());
        let Some(account) = account else {
            let error = Error::new(format!("the storage account of container '{container}' is not known"));
            // Other tools write the account first.
            let second = prefix.split('/').next().unwrap_or_default();
            return Err(match check_account(container).and_then(|()| check_container(second)) {
                Ok(()) => error.with_hint(format!(
                    "add --account NAME; if '{container}' is the account, write \
                     https://{container}.blob.core.windows.net/{prefix}"
                )),
                Err(_) => error.with_hint(
                    "add --account NAME, set AZURE_STORAGE_ACCOUNT or AZURE_STORAGE_CONNECTION_STRING, or write \
                     https://ACCOUNT.blob.core.windows.net/CONTAINER",
                ),
            });
        };
        check_account(&account)?;
        let endpoint = match connection {
            Some(connection) if connection.account() == Some(&account) => connection.endpoint().to_owned(),
            _ => match service.filter(|service| service.account.as_ref().is_none_or(|one| *one == account)) {
                Some(service) => service.endpoint,
                None => format!("https://{account}.blob.core.windows.net"),
            },
        };
        let (container, prefix) = (container.to_owned(), prefix.to_owned());
        Ok(Self { endpoint, account: Some(account), container, prefix, sas: None })
    }

    /// A container at an endpoint such as `https://media.blob.core.windows.net` or, with the account in the path,
    /// `http://127.0.0.1:10000/devstoreaccount1`. `account` is for a custom domain, which does not contain it.
    ///
    /// # Errors
    ///
    /// Returns an error if `endpoint` is not a blob endpoint or names another account, or if a name breaks a naming
    /// rule.
    pub(crate) fn at_endpoint(
        endpoint: &str,
        account: Option<&str>,
        container: &str,
        prefix: &str,
        env: &Environment,
    ) -> Result<Self> {
        check_container(container)?;
        let wrong = || {
            Error::new("this is not the URL of a blob endpoint").with_hint(
                "write https://ACCOUNT.blob.core.windows.net, or http://127.0.0.1:10000/ACCOUNT for an emulator",
            )
        };
        let (scheme, rest) = split_scheme(endpoint.trim_end_matches('/'))
            .filter(|(scheme, rest)| matches!(*scheme, "http" | "https") && !rest.contains(['?', '#']))
            .ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (_, path_style) = base_url(scheme, authority)?;
        if path.is_empty() == path_style || path.contains('/') {
            return Err(wrong());
        }
        let url = Self::from_http(scheme, &format!("{rest}/{container}"), account, env)?;
        Ok(Self { prefix: prefix.to_owned(), ..url })
    }

    /// `CONTAINER/PREFIX`, `CONTAINER@HOST/PREFIX` as Spark writes it, or `HOST/CONTAINER/PREFIX` as others do. The
    /// prefix is taken literally.
    fn from_az(scheme: &str, rest: &str, account: Option<&str>, env: &Environment) -> Result<Self> {
        let (container, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some((container, host)) = container.split_once('@') {
            return Self::at_host(container, host, prefix, account, env);
        }
        if names_host(container) {
            let (host, (container, prefix)) = (container, prefix.split_once('/').unwrap_or((prefix, "")));
            return Self::at_host(container, host, prefix, account, env);
        }
        if container.is_empty() {
            return Err(Error::new(format!("{scheme}:// names no container"))
                .with_hint(format!("write {scheme}://CONTAINER or {scheme}://CONTAINER/PREFIX")));
        }
        Self::in_account(account, container, prefix, env)
    }

    /// A container of the account that a host names, or of an account that is given in place of its host.
    fn at_host(
        container: &str,
        host: &str,
        prefix: &str,
        wanted: Option<&str>,
        env: &Environment,
    ) -> Result<Self> {
        check_service(host)?;
        check_container(container)?;
        let (url, is_name) = base_url("https", host)?;
        let name = url.host_str().unwrap_or_default();
        if is_name && check_account(name).is_ok() {
            check_wanted(name, wanted)?;
            return Self::in_account(Some(name), container, prefix, env);
        }
        let Some(account) = account_of_host(name) else {
            return Err(Error::new(format!("'{name}' is not the host of a storage account"))
                .with_hint("write abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX"));
        };
        check_account(&account)?;
        check_wanted(&account, wanted)?;
        Ok(Self {
            endpoint: blob_endpoint(&url),
            account: Some(account),
            container: container.to_owned(),
            prefix: prefix.to_owned(),
            sas: None,
        })
    }

    fn from_http(scheme: &str, rest: &str, wanted: Option<&str>, env: &Environment) -> Result<Self> {
        check_service(rest)?;
        if rest.contains('#') {
            return Err(Error::new("the URL contains a '#', which starts a fragment")
                .with_hint("write %23 for a '#' in a prefix"));
        }
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (url, path_style) = base_url(scheme, authority)?;
        let connection = ConnectionString::from_env(env)?;
        let of_connection = connection.as_ref().and_then(|c| Some((c, c.rest_of(&url, path)?)));

        let (endpoint, account, path) = if let Some((connection, path)) = of_connection {
            (connection.endpoint().to_owned(), connection.account().map(str::to_owned), path)
        } else if path_style {
            let (account, path) = path.split_once('/').unwrap_or((path, ""));
            let account = decode(account, "account")?;
            check_account(primary(&account))?;
            (format!("{}/{account}", origin(&url)), Some(primary(&account).to_owned()), path)
        } else if let Some(account) = url.host_str().and_then(account_of_host) {
            check_account(&account)?;
            (blob_endpoint(&url), Some(account), path)
        } else {
            // A custom domain does not contain the account.
            let account = wanted.map(str::to_owned).or_else(|| env.account());
            (origin(&url), account, path)
        };
        if let Some(account) = &account {
            check_wanted(account, wanted)?;
        }

        let (container, prefix) = path.split_once('/').unwrap_or((path, ""));
        let (container, prefix) = (decode(container, "container")?, decode(prefix, "prefix")?);
        if container.is_empty() {
            return Err(no_container(&endpoint, account.as_deref().filter(|_| !path_style)));
        }
        check_container(&container)?;
        let (sas, listed) = read_query(query.unwrap_or_default())?;
        let prefix = listed.filter(|_| prefix.is_empty()).unwrap_or(prefix);
        Ok(Self { endpoint, account, container, prefix, sas })
    }

    /// The blob endpoint, such as `https://media.blob.core.windows.net`, without a trailing slash.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The storage account; `None` for a custom domain whose account is not given otherwise.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The container's name.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// The prefix, decoded; every listed name begins with it.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The SAS of the URL.
    pub fn sas(&self) -> Option<&Sas> {
        self.sas.as_ref()
    }

    /// Whether the endpoint is reached over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.endpoint.starts_with("https://")
    }

    /// Whether others can read what is sent there: it is neither encrypted nor to this machine.
    pub(crate) fn is_exposed(&self) -> bool {
        !self.is_https() && !Url::parse(&self.endpoint).is_ok_and(|url| is_this_machine(&url))
    }

    /// Whether this looks like an emulator: the account is in the path, or the host is this machine.
    pub(crate) fn is_emulator(&self) -> bool {
        Url::parse(&self.endpoint).is_ok_and(|url| is_this_machine(&url) || url.path() != "/")
    }

    /// Whether a credential may be sent there even if the user did not type the URL: the host is one of Azure's or
    /// this machine.
    pub(crate) fn is_trusted(&self) -> bool {
        Url::parse(&self.endpoint).is_ok_and(|url| endpoint::is_trusted(&url))
    }

    /// Another container of the same account, without a prefix or a credential of its own.
    pub(crate) fn beside(&self, container: &str) -> Result<Self> {
        check_container(container)?;
        let (container, prefix) = (container.to_owned(), String::new());
        Ok(Self { container, prefix, sas: None, ..self.clone() })
    }

    /// Describes it for reports, without the credential.
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            provider: "azure".into(),
            location: self.to_string(),
            account: self.account.clone(),
            container: Some(self.container.clone()),
            prefix: self.prefix.clone(),
            credential: None,
        }
    }

    /// The same container with another prefix, which is taken literally.
    pub(crate) fn with_prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }

    /// The URL of the container, with no credential.
    pub(crate) fn container_url(&self) -> Result<Url> {
        self.url_of(&format!("{}/{}", self.endpoint, self.container))
    }

    /// The URL of a blob, with no credential. The name is one segment, so that nothing in it can be normalised.
    pub(crate) fn blob_url(&self, name: &str) -> Result<Url> {
        let name = utf8_percent_encode(name, SEGMENT_SET);
        self.url_of(&format!("{}/{}/{name}", self.endpoint, self.container))
    }

    fn url_of(&self, text: &str) -> Result<Url> {
        Url::parse(text).map_err(|cause| Error::new(format!("{self} is not a usable URL: {cause}")))
    }
}

impl fmt::Display for ContainerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint, self.container)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{}", utf8_percent_encode(prefix, PREFIX_SET)),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Container(url) => url.fmt(f),
        }
    }
}

/// Splits a URL into its scheme and what follows `://`. A single letter is a Windows drive, not a scheme.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let valid = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    valid.then_some((scheme, rest))
}

/// Percent-decodes once. Anything that isn't an escape is left unchanged.
fn decode(text: &str, what: &str) -> Result<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Error::new(format!("the {what} in the URL is not UTF-8 after percent-decoding"))
            .with_hint("write each byte of its UTF-8 form as %XX, and a '%' as %25")),
    }
}

/// The error for the URL of an account.
fn no_container(endpoint: &str, account: Option<&str>) -> Error {
    let one = format!("write {endpoint}/CONTAINER or {endpoint}/CONTAINER/PREFIX");
    let hint = match account {
        Some(account) => format!("{one}; presync audit --account {account} checks every container"),
        None => one,
    };
    Error::new(format!("the URL {endpoint} names no container")).with_hint(hint)
}

/// The SAS in the query of a URL, and the prefix in the query of a listing, as browsers and other tools show it.
fn read_query(query: &str) -> Result<(Option<Sas>, Option<String>)> {
    let fields = || form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
    let has = |name: &str| fields().any(|(field, _)| field == name);
    if has("snapshot") || has("versionid") {
        return Err(Error::new("the URL is of an old version of a blob, or of a snapshot").with_hint(
            "remove 'snapshot' and 'versionid' from the URL: presync reads what a sync would read",
        ));
    }
    let prefix = || fields().find(|(name, _)| name == "prefix").map(|(_, value)| value.into_owned());
    if let Some(sas) = Sas::parse(query) {
        return Ok((Some(sas), prefix()));
    }
    let unsigned = |hint: &str| {
        Err(Error::new("the query of the URL is not a SAS: it has no signature (sig=…)").with_hint(hint))
    };
    match fields().find(|(name, _)| !connection::is_of_listing(name)) {
        None => Ok((None, prefix())),
        Some((name, _)) if ["sv", "se", "sp", "sr", "st", "si", "ss", "skoid"].contains(&&*name) => {
            unsigned("quote the URL, because a shell cuts it at each '&', or copy the whole SAS")
        }
        Some(_) => unsigned("write %3F for a '?' in a prefix, or copy the whole SAS"),
    }
}

fn folder_of(rest: &str) -> Result<PathBuf> {
    let hint = "write file:///PATH with %3F for '?' and %23 for '#', or give the path itself";
    let url = Url::parse(&format!("file://{rest}")).ok();
    url.filter(|url| url.query().is_none() && url.fragment().is_none())
        .and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| {
            Error::new(format!("file://{rest} does not name a folder on this machine")).with_hint(hint)
        })
}

fn check_wanted(account: &str, wanted: Option<&str>) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != account => {
            Err(Error::new(format!("the URL names account '{account}', but --account is '{wanted}'"))
                .with_hint("leave out --account"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
