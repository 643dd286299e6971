//! What the platform's own identity may do, as Azure Resource Manager and Microsoft Graph know it.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use hyper::Method;
use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};

use super::arm::{Arm, Refused};
use super::roles::{Assignment, judge};
use crate::model::error::Error;
use crate::model::{Check, Outcome};
use crate::source::azure::commands::{Account, Shell, create_principal, show_principal};
use crate::source::azure::{AuthMode, Options, Session};
use crate::source::location::{ContainerUrl, Environment, SEGMENT_SET};

const APP: &str = "platform-app";
const ROLE: &str = "platform-role";
const NETWORK: &str = "platform-network";

/// The most role definitions to look up.
const MAX_ROLES: usize = 20;

/// The most addresses of a network rule to show.
const MAX_ADDRESSES: usize = 5;

/// Checks what the application `app_id`, the platform's, may do with a container: its identity in the directory, its
/// roles on the account, and the account's network rules. Reads with the caller's own Entra ID sign-in, and changes
/// nothing.
pub async fn platform(
    url: &ContainerUrl,
    mode: AuthMode,
    env: &Environment,
    app_id: &str,
    account: Account<'_>,
) -> Vec<Check> {
    if url.is_emulator() && env.var("AZURE_RESOURCE_MANAGER_ENDPOINT").is_none() {
        return vec![Check::skipped(APP, "an emulator has no directory and no roles")];
    }
    let session = Session::new(Options::default().limits);
    let failed = |error: Error| vec![Check::failed(APP, error.message(), error.hint())];
    let credential = match session.entra(mode, url, env) {
        Ok(credential) => credential,
        Err(error) => return failed(error),
    };
    let arm = match Arm::new(&session, &credential, url, env) {
        Ok(arm) => arm,
        Err(error) => return failed(error),
    };
    let begun = Instant::now();
    let (principal, check) = find_principal(&arm, app_id).await;
    let mut checks = vec![check.took(begun.elapsed())];
    let begun = Instant::now();
    let id = match find_account(&arm, account).await {
        Ok(id) => id,
        Err(check) => {
            checks.push(check.took(begun.elapsed()));
            return checks;
        }
    };
    checks.push(match principal {
        Some(principal) => roles(&arm, &id, &principal, app_id, account, url).await.took(begun.elapsed()),
        None => Check::skipped(ROLE, "the identity was not found"),
    });
    let begun = Instant::now();
    checks.push(network(&arm, &id).await.took(begun.elapsed()));
    checks
}

/// The object ID of the application in the directory ("Get servicePrincipal").
async fn find_principal(arm: &Arm<'_>, app_id: &str) -> (Option<String>, Check) {
    let id = utf8_percent_encode(app_id, SEGMENT_SET);
    let target = format!("/v1.0/servicePrincipals(appId='{id}')?$select=id,displayName,accountEnabled");
    match arm.get(&arm.graph, &target).await {
        Ok(found) => {
            let name = found["displayName"].as_str().unwrap_or("without a name");
            let id = found["id"].as_str().map(str::to_owned);
            let check = match (&id, &found["accountEnabled"]) {
                (None, _) => Check::new(APP, Outcome::Unknown, "Microsoft Graph names no object ID"),
                (Some(_), Value::Bool(false)) => {
                    Check::new(APP, Outcome::Failed, format!("'{name}' is disabled in your directory"))
                        .cure("enable it under Enterprise applications, Properties")
                }
                (Some(id), _) => {
                    Check::new(APP, Outcome::Ok, format!("'{name}' in your directory, object {id}"))
                }
            };
            (id, check)
        }
        Err(Refused::Status(404, _)) => {
            let why = format!("the application {app_id} has no identity in your directory");
            (None, Check::new(APP, Outcome::Failed, why).cure(create_principal(app_id).line(Shell::Bash)))
        }
        Err(refused) if refused.is_denied() => {
            let why = format!("you may not read the directory: {refused}");
            let cure = format!(
                "ask an administrator for its object ID: {}",
                show_principal(app_id).line(Shell::Bash)
            );
            (None, Check::new(APP, Outcome::Unknown, why).cure(cure))
        }
        Err(refused) => (None, unanswered(APP, &refused)),
    }
}

/// The account's resource ID: given, or found by its name, which is unique in a cloud ("Resource Graph, resources").
async fn find_account(arm: &Arm<'_>, account: Account<'_>) -> Result<String, Check> {
    if let Some(id) = account.known_id() {
        return Ok(id);
    }
    let query = format!(
        "resources | where type =~ 'microsoft.storage/storageaccounts' and name =~ '{}' | project id",
        account.name
    );
    let mut body = json!({ "query": query });
    if let Some(subscription) = account.subscription {
        body["subscriptions"] = json!([subscription]);
    }
    let target = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01";
    match arm.send(&arm.manager, Method::POST, target, Bytes::from(body.to_string())).await {
        Ok(found) => found["data"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| {
            let why = format!("you cannot see the account '{}' in Azure Resource Manager", account.name);
            Check::new(ROLE, Outcome::Unknown, why).cure(
                "sign in as someone with the role Reader on the account, or pass --subscription and --resource-group",
            )
        }),
        Err(refused) => Err(unanswered(ROLE, &refused)),
    }
}

/// Which roles the identity has at, above and below the account ("Role Assignments - List For Scope").
async fn roles(
    arm: &Arm<'_>,
    id: &str,
    principal: &str,
    app_id: &str,
    account: Account<'_>,
    url: &ContainerUrl,
) -> Check {
    let list = async |filter: &str| {
        let filter = utf8_percent_encode(filter, SEGMENT_SET);
        let path = "providers/Microsoft.Authorization/roleAssignments";
        arm.list(&format!("{id}/{path}?api-version=2022-04-01&$filter={filter}")).await
    };
    let mut assignments = match list(&format!("principalId eq '{principal}'")).await {
        Ok(assignments) => assignments,
        Err(refused) => return unanswered(ROLE, &refused),
    };
    // Those of its groups, too. Some services do not know this filter.
    let of_groups = list(&format!("atScope() and assignedTo('{principal}')")).await.unwrap_or_default();
    for assignment in of_groups {
        if assignments.iter().all(|known| known["id"] != assignment["id"]) {
            assignments.push(assignment);
        }
    }
    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    for role in
        assignments.iter().filter_map(|assignment| assignment["properties"]["roleDefinitionId"].as_str())
    {
        if definitions.contains_key(role) || definitions.len() == MAX_ROLES || !role.starts_with('/') {
            continue;
        }
        match arm.get(&arm.manager, &format!("{role}?api-version=2022-04-01")).await {
            Ok(definition) => _ = definitions.insert(role.to_owned(), definition),
            Err(refused) => return unanswered(ROLE, &refused),
        }
    }
    let assignments: Vec<_> =
        assignments.iter().filter_map(|assignment| Assignment::parse(assignment, &definitions)).collect();
    let (outcome, detail) = judge(&assignments, id, url.container());
    let check = Check::new(ROLE, outcome, detail);
    match outcome {
        Outcome::Ok => check,
        _ => check.cure(account.assign_role(app_id, url.container()).line(Shell::Bash)),
    }
}

/// Whether the platform can reach the account ("Storage Accounts - Get Properties").
async fn network(arm: &Arm<'_>, id: &str) -> Check {
    match arm.get(&arm.manager, &format!("{id}?api-version=2023-05-01")).await {
        Ok(account) => judge_network(&account["properties"]),
        Err(refused) => unanswered(NETWORK, &refused),
    }
}

fn judge_network(account: &Value) -> Check {
    if account["publicNetworkAccess"].as_str().is_some_and(|access| access != "Enabled") {
        return Check::new(NETWORK, Outcome::Failed, "the account's public network access is disabled").cure(
            "enable it for selected networks (Networking), and add the addresses that the platform reads from",
        );
    }
    let rules = &account["networkAcls"];
    if rules["defaultAction"].as_str() != Some("Deny") {
        return Check::new(NETWORK, Outcome::Ok, "the account can be reached from every network");
    }
    let addresses: Vec<_> =
        rules["ipRules"].as_array().into_iter().flatten().filter_map(|rule| rule["value"].as_str()).collect();
    let cure = "ask the platform for its addresses, and add them to the account's Networking settings";
    match addresses.len() {
        0 => Check::new(
            NETWORK,
            Outcome::Failed,
            "network rules block everything but the account's own networks",
        )
        .cure(cure),
        count => {
            let shown = addresses.iter().take(MAX_ADDRESSES).copied().collect::<Vec<_>>().join(", ");
            let more = if count > MAX_ADDRESSES { " and more" } else { "" };
            let detail = format!(
                "network rules allow only {shown}{more}: the platform's addresses must be among them"
            );
            Check::new(NETWORK, Outcome::Unknown, detail).cure(cure)
        }
    }
}

fn unanswered(name: &'static str, refused: &Refused) -> Check {
    let check = Check::new(name, Outcome::Unknown, refused.to_string());
    match refused {
        Refused::Status(401 | 403, _) => check.cure(
            "sign in as someone with the role Reader on the account, which may see its role assignments",
        ),
        Refused::Status(..) => check,
        Refused::Failed(_) => check.cure("sign in with az login, or choose another --auth"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_rules_are_judged() {
        let judged = |account: Value| {
            let check = judge_network(&account);
            (check.outcome, check.detail)
        };
        assert_eq!(judged(json!({})).0, Outcome::Ok);
        assert_eq!(judged(json!({ "publicNetworkAccess": "Disabled" })).0, Outcome::Failed);
        assert_eq!(judged(json!({ "publicNetworkAccess": "SecuredByPerimeter" })).0, Outcome::Failed);
        let rules = |addresses: &[&str]| {
            let rules: Vec<_> =
                addresses.iter().map(|value| json!({ "value": value, "action": "Allow" })).collect();
            json!({ "publicNetworkAccess": "Enabled", "networkAcls": { "defaultAction": "Deny", "ipRules": rules } })
        };
        assert_eq!(judged(rules(&[])).0, Outcome::Failed);
        let (outcome, detail) = judged(rules(&["20.1.2.3", "40.0.0.0/16"]));
        assert_eq!(outcome, Outcome::Unknown);
        assert!(detail.contains("only 20.1.2.3, 40.0.0.0/16:"), "{detail}");
    }
}
