//! Where the plan of a container is in the audit's folder.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};

use crate::source::location::{ContainerUrl, Location};

/// The characters that are percent-encoded in a part of a path; DuckDB and Spark decode them.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// The most bytes in a part of a path: file systems allow 255, including `container=`, `.parquet` and `.checkpoint`.
const MAX_PART: usize = 200;
/// How many bytes of a longer part are kept; a hash of the whole part follows.
const KEPT: usize = 150;
/// The account's name for local folders.
const LOCAL: &str = "local";

/// Identifies a container's plan. Places are sorted as in the report.
///
/// The folders are Hive partitions, `account=media/container=cameras/`. A prefix is part of the file's name, because
/// DuckDB reads files together only if all of them have the same partitions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    account: Vec<u8>,
    container: Vec<u8>,
    prefix: Vec<u8>,
}

impl Place {
    pub(super) fn of(location: &Location) -> Self {
        match location {
            Location::Folder(path) => {
                let container = path.as_os_str().as_encoded_bytes().to_owned();
                Self { account: LOCAL.into(), container, prefix: Vec::new() }
            }
            Location::Container(url) => Self {
                account: account(url).into(),
                container: url.container().into(),
                prefix: url.prefix().into(),
            },
        }
    }

    /// The plan's path in the audit's folder.
    pub(super) fn path(&self) -> PathBuf {
        let name = match self.prefix.as_slice() {
            [] => "plan.parquet".to_owned(),
            prefix => format!("prefix-{}.parquet", part(prefix)),
        };
        let (account, container) = (part(&self.account), part(&self.container));
        Path::new(&format!("account={account}")).join(format!("container={container}")).join(name)
    }
}

/// The account's name, or the host of an endpoint that does not show it.
pub(super) fn account(url: &ContainerUrl) -> &str {
    let host = || url.endpoint().split_once("://").map_or(url.endpoint(), |(_, host)| host);
    url.account().unwrap_or_else(host)
}

fn part(bytes: &[u8]) -> String {
    let encoded = percent_encode(bytes, PART).to_string();
    if encoded.len() <= MAX_PART {
        return encoded;
    }
    let hash: String = Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // Percent-encoded text is ASCII, so it can be cut anywhere.
    format!("{}-{hash}", &encoded[..KEPT])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::location::Environment;

    fn path(source: &str) -> String {
        let none = Environment::of([("", ""); 0]);
        let location = Location::parse(source.as_ref(), None, &none).expect("it is a location");
        Place::of(&location).path().to_str().expect("UTF-8").to_owned()
    }

    #[test]
    fn a_place_has_an_account_a_container_and_maybe_a_prefix() {
        let media = "https://media.blob.core.windows.net/cameras";
        assert_eq!(path(media), "account=media/container=cameras/plan.parquet");
        assert_eq!(
            path(&format!("{media}/2026/a%20b")),
            "account=media/container=cameras/prefix-2026%2Fa%20b.parquet"
        );
        assert_eq!(path("http://127.0.0.1:10000/dev/cam"), "account=dev/container=cam/plan.parquet");
        assert_eq!(path("https://cdn.example.com/cam"), "account=cdn.example.com/container=cam/plan.parquet");
        assert_eq!(path("/data/../é"), "account=local/container=%2Fdata%2F..%2F%C3%A9/plan.parquet");
    }

    #[test]
    fn no_part_is_too_long_and_no_two_are_the_same() {
        let long = |end: &str| format!("https://media.blob.core.windows.net/cam/{}{end}", "é".repeat(1000));
        let (one, other) = (path(&long("1")), path(&long("2")));
        assert_ne!(one, other);
        assert!(one.split('/').all(|part| part.len() < 255), "{one}");
    }
}
