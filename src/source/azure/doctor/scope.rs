//! Least privilege: does the credential reach further than the container?

use super::retried;
use crate::model::error::Error;
use crate::model::{Check, Outcome};
use crate::source::azure::auth::Authorization;
use crate::source::azure::failure::Failure;
use crate::source::azure::list_page::MAX_BLOBS;
use crate::source::azure::retry::Failed;
use crate::source::azure::{AzureSource, Cursor, Options, Session, account};
use crate::source::location::Sas;

const NAME: &str = "least-privilege";

/// Containers of the account that are asked for, this one among them.
const MAX_CONTAINERS: u16 = 20;

/// Other containers that are tried.
const MAX_OTHERS: usize = 3;

/// Says whether the credential reaches further than it needs to.
pub(super) async fn check(source: &AzureSource) -> Check {
    match &source.credential.authorization {
        Authorization::Anonymous => {
            Check::skipped(NAME, "the container is public: anyone may list and read it")
        }
        Authorization::Key(_) => Check::new(
            NAME,
            Outcome::Warning,
            "an account key may read, write and delete everything in the account",
        )
        .cure("use a SAS of the container with sp=rl, or Entra ID with the role 'Storage Blob Data Reader'"),
        Authorization::Sas(sas) => of_sas(sas),
        Authorization::Token(_) => match of_role(source).await {
            Ok(check) => check,
            Err(failure) => Check::new(NAME, Outcome::Unknown, failure.to_string()),
        },
    }
}

/// What a SAS says of itself ("Create a service SAS", "Create an account SAS").
fn of_sas(sas: &Sas) -> Check {
    let excess: String = sas.field("sp").unwrap_or_default().chars().filter(|c| !"rl".contains(*c)).collect();
    let problem = if sas.field("srt").is_some() {
        "an account SAS reaches every container".to_owned()
    } else if !excess.is_empty() {
        format!("the SAS allows more than to read and list: '{excess}'")
    } else if sas.field("sp").is_none() {
        return Check::new(NAME, Outcome::Unknown, "a stored access policy says what the SAS allows").cure(
            "check that the policy allows no more than read and list: az storage container policy list",
        );
    } else {
        return Check::new(NAME, Outcome::Ok, "the SAS allows no more than to read and list this container");
    };
    Check::new(NAME, Outcome::Warning, problem).cure("make a SAS of the container (sr=c) with sp=rl")
}

/// Tries other containers. That their names can be listed says nothing: the role allows it in the whole account, and
/// a condition on blobs does not change that ("Storage Blob Data Reader": `containers/read` is one of its actions).
async fn of_role(source: &AzureSource) -> Result<Check, Failure> {
    let ok = |detail: String| Ok(Check::new(NAME, Outcome::Ok, detail));
    let names = match retried(source, || containers(source)).await {
        Ok(names) => names,
        Err(Failed { failure: Failure::Status { status: 401 | 403, .. }, .. }) => {
            return ok("it may not list the account's containers".into());
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
                return Ok(Check::new(NAME, Outcome::Warning, format!("it may read container '{name}' too"))
                    .cure(format!(
                        "give the role assignment the condition (version 2.0) {}",
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
        false => ok(format!("it may not read {}", refused.join(", "))),
    }
}

/// The condition that restricts the role to one container ("Example Azure role assignment conditions for Blob Storage").
pub fn role_condition(container: &str) -> String {
    let blobs = "Microsoft.Storage/storageAccounts/blobServices/containers";
    format!(
        "((!(ActionMatches{{'{blobs}/blobs/read'}})) OR (@Resource[{blobs}:name] StringEquals '{container}'))"
    )
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
    let page =
        account::page(&source.url, &source.credential.authorization, &session, MAX_CONTAINERS, None).await?;
    Ok(page.names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sas_that_allows_more_is_told() {
        let outcome = |query: &str| {
            let check = of_sas(&Sas::parse(&format!("{query}&sig=x")).unwrap());
            (check.outcome, check.detail)
        };
        assert_eq!(outcome("sp=rl&sr=c").0, Outcome::Ok);
        assert_eq!(outcome("si=policy&sr=c").0, Outcome::Unknown);
        assert!(outcome("sp=racwdl&sr=c").1.ends_with("'acwd'"));
        assert!(outcome("sp=rl&ss=b&srt=co").1.contains("every container"));
    }

    #[test]
    fn the_condition_names_the_container() {
        assert_eq!(
            role_condition("cam"),
            "((!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'})) OR \
             (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringEquals 'cam'))"
        );
    }
}
