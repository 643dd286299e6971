//! What Azure allows as a name.

use super::misplaced::misplaced;
use crate::model::error::{Error, Result};

/// The longest and the shortest name of a container ("Naming and referencing containers").
const CONTAINER_LENGTH: std::ops::RangeInclusive<usize> = 3..=63;

/// The longest and the shortest name of a storage account ("Storage account overview").
const ACCOUNT_LENGTH: std::ops::RangeInclusive<usize> = 3..=24;

/// Containers of the service itself, whose names break the rules for others.
const SYSTEM_CONTAINERS: [&str; 3] = ["$root", "$web", "$logs"];

/// Checks the name of a storage account ("Storage account overview", "Storage account name").
///
/// # Errors
///
/// Returns an error if the name breaks the rule, which is given as the hint.
pub fn check_account(account: &str) -> Result<()> {
    let valid = ACCOUNT_LENGTH.contains(&account.len())
        && account.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    valid.then_some(()).ok_or_else(|| {
        let error = Error::new(format!("'{}' is not a valid storage account name", account.escape_debug()));
        match misplaced(account).as_ref().and_then(Error::hint) {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint("an account name has 3 to 24 characters, each a-z or 0-9"),
        }
    })
}

/// Checks the name of a container ("Naming and referencing containers, blobs, and metadata").
///
/// # Errors
///
/// Returns an error if the name breaks the rule, which is given as the hint.
pub fn check_container(container: &str) -> Result<()> {
    let valid = CONTAINER_LENGTH.contains(&container.len())
        && container.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !container.starts_with('-')
        && !container.ends_with('-')
        && !container.contains("--");
    (valid || SYSTEM_CONTAINERS.contains(&container)).then_some(()).ok_or_else(|| {
        Error::new(format!("'{}' is not a valid container name", container.escape_debug())).with_hint(
            "a container name has 3 to 63 characters, each a-z, 0-9 or '-', starts and ends with a letter or \
             digit, and has no '--'; $root, $web and $logs are also valid",
        )
    })
}
