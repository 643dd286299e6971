//! Least privilege: whether the credential grants more than reading this container.

use super::retried;
use crate::model::error::Error;
use crate::model::{Check, Outcome};
use crate::source::azure::auth::Authorization;
use crate::source::azure::commands::{Account, Shell, role_condition};
use crate::source::azure::failure::Failure;
use crate::source::azure::list_page::MAX_BLOBS;
use crate::source::azure::retry::Failed;
use crate::source::azure::{AzureSource, Cursor, Options, Session, account};
use crate::source::location::{ContainerUrl, Sas};

const NAME: &str = "least-privilege";

/// Containers of the account to list, including this one.
const MAX_CONTAINERS: u16 = 20;

/// Other containers to try.
const MAX_OTHERS: usize = 3;

/// Checks whether the credential grants more than it needs to.
pub(super) async fn check(source: &AzureSource) -> Check {
    match &source.credential.authorization {
        Authorization::Anonymous => {
            Check::skipped(NAME, "the container is public: anyone can list and read it")
        }
        Authorization::Key(_) => Check::new(
            NAME,
            Outcome::Warning,
            "an account key can read, write and delete everything in the account",
        )
        .cure("use a SAS for the container with sp=rl, or Entra ID with the role 'Storage Blob Data Reader'"),
        Authorization::Sas(sas) => of_sas(sas, &source.url),
        Authorization::Token(_) => match of_role(source).await {
            Ok(check) => check,
            Err(failure) => Check::new(NAME, Outcome::Unknown, failure.to_string()),
        },
    }
}

/// Judges a SAS by its fields ("Create a service SAS", "Create an account SAS").
fn of_sas(sas: &Sas, url: &ContainerUrl) -> Check {
    let excess: String = sas.field("sp").unwrap_or_default().chars().filter(|c| !"rl".contains(*c)).collect();
    let problem = if sas.field("srt").is_some() {
        "an account SAS covers every container".to_owned()
    } else if !excess.is_empty() {
        format!("the SAS allows more than reading and listing: '{excess}'")
    } else if sas.field("sp").is_none() {
        return Check::new(NAME, Outcome::Unknown, "a stored access policy decides what the SAS allows")
            .cure(format!(
                "check that the policy allows no more than read and list: {}",
                Account::named(url.account()).list_policies(url.container()).line(Shell::Bash)
            ));
    } else {
        return Check::new(NAME, Outcome::Ok, "the SAS only allows reading and listing this container");
    };
    Check::new(NAME, Outcome::Warning, problem).cure("create a SAS for the container (sr=c) with sp=rl")
}

/// Tries to list the blobs of other containers. Listing the containers proves nothing: the role allows it in the whole
/// account, and a condition on blobs does not change that ("Storage Blob Data Reader": `containers/read` is one of its
/// actions).
async fn of_role(source: &AzureSource) -> Result<Check, Failure> {
    let ok = |detail: String| Ok(Check::new(NAME, Outcome::Ok, detail));
    let names = match retried(source, || containers(source)).await {
        Ok(names) => names,
        Err(Failed { failure: Failure::Status { status: 401 | 403, .. }, .. }) => {
            return ok("the identity cannot list the account's containers".into());
        }
        Err(failed) => return Err(failed.failure),
    };
    let this = source.url.container();
    let others: Vec<_> = names.into_iter().filter(|name| name != this && !name.starts_with('$')).collect();
    let mut refused = Vec::new();
    for name in others.into_iter().take(MAX_OTHERS) {
        let Ok(other) = beside(source, &name) else { continue };
        let cursor = Cursor::new("", MAX_BLOBS);
        match retried(&other, || other.try_page(&cursor)).await {
            Ok(_) => {
                return Ok(Check::new(
                    NAME,
                    Outcome::Warning,
                    format!("the identity can also read container '{name}'"),
                )
                .cure(format!(
                    "add this condition (version 2.0) to the role assignment: {}",
                    role_condition(this)
                )));
            }
            Err(Failed { failure: Failure::Status { status: 401 | 403, .. }, .. }) => {
                refused.push(format!("'{name}'"))
            }
            Err(failed) => return Err(failed.failure),
        }
    }
    match refused.is_empty() {
        true => Ok(Check::new(NAME, Outcome::Unknown, "the account has no other container to try")),
        false => ok(format!("the identity cannot read {}", refused.join(", "))),
    }
}

/// Another container of the account, with the same credential.
fn beside(source: &AzureSource, container: &str) -> Result<AzureSource, Error> {
    let options = Options { page_size: 1, ..source.options };
    let session = Session::new(options.limits);
    AzureSource::with(source.url.beside(container)?, source.credential.clone(), options, &session)
}

/// Names of containers of the account.
async fn containers(source: &AzureSource) -> Result<Vec<String>, Failure> {
    let session = Session::new(source.options.limits);
    let options = Options { page_size: MAX_CONTAINERS, ..source.options };
    let page = account::page(&source.url, &source.credential.authorization, &session, options, None).await?;
    Ok(page.names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::location::Environment;

    #[test]
    fn a_sas_that_allows_more_is_told() {
        let url =
            ContainerUrl::in_account(Some("media"), "cam", "", &Environment::of([("", ""); 0])).unwrap();
        let outcome = |query: &str| {
            let check = of_sas(&Sas::parse(&format!("{query}&sig=x")).unwrap(), &url);
            (check.outcome, check.detail)
        };
        assert_eq!(outcome("sp=rl&sr=c").0, Outcome::Ok);
        assert_eq!(outcome("si=policy&sr=c").0, Outcome::Unknown);
        assert!(outcome("sp=racwdl&sr=c").1.ends_with("'acwd'"));
        assert!(outcome("sp=rl&ss=b&srt=co").1.contains("every container"));
    }
}
