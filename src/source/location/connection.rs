//! Connection strings and shared access signatures, as the Azure tools write them.

use std::fmt;

use azure_core::credentials::Secret;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;
use url::form_urlencoded;

use super::endpoint::{account_of_host, base_url, origin, primary};
use super::misplaced::unquoted;
use super::{ContainerUrl, Environment};
use crate::model::error::{Error, Result};

/// The variable that holds a connection string.
const VARIABLE: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// The variable that holds an endpoint for blobs.
const SERVICE_ENDPOINT: &str = "AZURE_STORAGE_SERVICE_ENDPOINT";

/// The emulator's account, endpoint and key, which are public ("Use the Azurite emulator", "Well-known account").
const EMULATOR: &str = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;\
    AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;\
    BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1";

/// What cannot be in a query and must be escaped (RFC 3986, 3.4).
const QUERY_SET: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A shared access signature: the query of a URL that carries its own permission.
///
/// * Has a non-empty `sig` field and no leading `?`.
/// * `Debug` does not show it; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Sas(Secret);

impl Sas {
    /// Parses a query with or without the leading `?` and the parameters of a listing; `None` if it has no signature.
    ///
    /// A signature is base64, so its `+` and `%` are never meant as a space and as a part of the value: what a tool has
    /// decoded or encoded once too often is put right.
    pub fn parse(query: &str) -> Option<Self> {
        let query = unquoted(query).trim_matches(['"', '\'']).trim_start_matches('?');
        let mut signed = false;
        let fields = query.split('&').filter(|field| !is_of_listing(name_of(field))).map(|field| {
            let signature = field.strip_prefix("sig=").filter(|signature| !signature.is_empty());
            signed |= signature.is_some();
            match signature {
                Some(signature) => {
                    format!("sig={}", utf8_percent_encode(&whole(signature), NON_ALPHANUMERIC))
                }
                None => utf8_percent_encode(field, QUERY_SET).to_string(),
            }
        });
        let query = fields.collect::<Vec<_>>().join("&");
        signed.then(|| Self(Secret::new(query)))
    }

    /// The query. A secret.
    pub(crate) fn query(&self) -> &str {
        self.0.secret()
    }

    /// A field that isn't secret, decoded: `sp` for the permissions, `sr` for the resource, `se` for the expiry.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(self.query().as_bytes());
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// When it expires (`se`); `None` if a stored policy decides that.
    pub(crate) fn expires(&self) -> Option<Timestamp> {
        time(&self.field("se")?)
    }

    /// When the user delegation key that signed it expires (`ske`).
    pub(crate) fn key_expires(&self) -> Option<Timestamp> {
        time(&self.field("ske")?)
    }

    /// When it becomes valid (`st`).
    pub(crate) fn starts(&self) -> Option<Timestamp> {
        time(&self.field("st")?)
    }
}

/// A signature as base64, however often it was percent-encoded.
fn whole(signature: &str) -> String {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut text = decode(signature);
    // A URL in a URL in a URL is encoded three times.
    for _ in 0..2 {
        text = decode(&text);
    }
    text.replace(' ', "+")
}

fn name_of(field: &str) -> &str {
    field.split('=').next().unwrap_or_default()
}

/// Whether a parameter of a URL belongs to a listing ("List Blobs"), which presync sends itself.
pub(super) fn is_of_listing(name: &str) -> bool {
    ["restype", "comp", "prefix", "delimiter", "marker", "maxresults", "include", "timeout"].contains(&name)
}

/// Parses a time in a SAS: with seconds, without, or only a date ("Create a service SAS", "Formatting dates").
fn time(text: &str) -> Option<Timestamp> {
    let zoneless = || text.strip_suffix('Z')?.parse().ok();
    let midnight = || Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0));
    text.parse().ok().or_else(|| {
        let time = zoneless().or_else(midnight)?;
        Some(TimeZone::UTC.to_zoned(time).ok()?.timestamp())
    })
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl ContainerUrl {
    /// A container at the endpoint in `AZURE_STORAGE_SERVICE_ENDPOINT`, which the Azure CLI uses.
    pub(super) fn of_service(container: &str, prefix: &str, env: &Environment) -> Result<Option<Self>> {
        let endpoint = env.var(SERVICE_ENDPOINT);
        let url =
            endpoint.map(|endpoint| Self::at_endpoint(&endpoint, None, container, prefix, env)).transpose();
        url.map_err(|error| {
            Error::new(format!("{SERVICE_ENDPOINT}: {error}"))
                .with_hint(error.hint().unwrap_or("unset it").to_owned())
        })
    }
}

/// A connection string ("Configure Azure Storage connection strings").
///
/// * `endpoint` has no trailing slash.
/// * `Debug` shows neither key nor SAS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionString {
    endpoint: String,
    account: Option<String>,
    key: Option<Secret>,
    sas: Option<Sas>,
}

impl ConnectionString {
    /// The one in `AZURE_STORAGE_CONNECTION_STRING`, if it is set.
    ///
    /// # Errors
    ///
    /// Returns an error if the variable is set but is not a connection string for blobs.
    pub(crate) fn from_env(env: &Environment) -> Result<Option<Self>> {
        env.var(VARIABLE).map(|text| Self::parse(&text)).transpose()
    }

    /// Parses `Name=Value` pairs separated by semicolons. Names are case-insensitive, and unknown ones are ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if a part has no `=`, if the endpoint is not a URL, or if there is neither an account nor an
    /// endpoint. Errors never contain a value.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(format!("{VARIABLE} {what}")).with_hint(
                "copy it from the portal (storage account, Access keys, Connection string); quote it in a shell",
            )
        };
        let mut protocol = "https".to_owned();
        let mut suffix = "core.windows.net".to_owned();
        let (mut endpoint, mut account, mut key, mut sas) = (None, None, None, None);
        for part in unquoted(text).split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| wrong("has a part without an '='"))?;
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                    return Self::parse(EMULATOR);
                }
                "defaultendpointsprotocol" => protocol = value.to_ascii_lowercase(),
                "endpointsuffix" => suffix = value.to_owned(),
                "accountname" if !value.is_empty() => account = Some(value.to_owned()),
                "accountkey" if !value.is_empty() => key = Some(Secret::new(value.to_owned())),
                "sharedaccesssignature" => {
                    sas = Some(Sas::parse(value).ok_or_else(|| wrong("has a SAS without a signature"))?);
                }
                "blobendpoint" if !value.is_empty() => endpoint = Some(value.to_owned()),
                _ => {}
            }
        }
        let endpoint = match (endpoint, &account) {
            (Some(endpoint), _) => endpoint,
            (None, Some(account)) => format!("{protocol}://{account}.blob.{suffix}"),
            (None, None) => {
                return Err(match text.to_ascii_lowercase() {
                    text if text.contains("hostname=") => wrong("is for another service, such as an IoT hub"),
                    text if text.contains("endpoint=") => {
                        wrong("is for another service of the account: it has no BlobEndpoint")
                    }
                    _ => wrong("has neither an AccountName nor a BlobEndpoint"),
                });
            }
        };
        let (endpoint, named) = split_endpoint(&endpoint).ok_or_else(|| {
            wrong("has a BlobEndpoint that is not a URL")
                .with_hint("write it as BlobEndpoint=https://ACCOUNT.blob.core.windows.net")
        })?;
        Ok(Self { endpoint, account: account.or(named), key, sas })
    }

    /// The blob endpoint, without a trailing slash.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The account, from `AccountName` or else from the endpoint.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The account's key. A secret.
    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// The SAS.
    pub fn sas(&self) -> Option<&Sas> {
        self.sas.as_ref()
    }

    /// The rest of `path` below the endpoint, if the URL is below it.
    pub(super) fn rest_of<'p>(&self, base: &Url, path: &'p str) -> Option<&'p str> {
        let below = self.endpoint.strip_prefix(&origin(base))?;
        match below.strip_prefix('/') {
            None if below.is_empty() => Some(path),
            None => None,
            Some(below) => match path.strip_prefix(below)? {
                "" => Some(""),
                rest => rest.strip_prefix('/'),
            },
        }
    }
}

/// Normalizes an endpoint, and finds the account in it.
fn split_endpoint(text: &str) -> Option<(String, Option<String>)> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") || rest.contains(['?', '#']) {
        return None;
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (url, path_style) = base_url(&scheme, authority).ok()?;
    let path = path.trim_end_matches('/');
    let account = match (path_style, path) {
        (true, "") => None,
        (true, path) => path.split('/').next().map(|account| primary(account).to_owned()),
        (false, _) => url.host_str().and_then(account_of_host),
    };
    let endpoint = match path {
        "" => origin(&url),
        path => format!("{}/{path}", origin(&url)),
    };
    Some((endpoint, account))
}
