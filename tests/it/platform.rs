//! `presync doctor --app-id`: the platform's identity, examined through stand-ins for Azure Resource Manager and
//! Microsoft Graph.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::azurite::{Azurite, fake_az, unsigned_jwt};
use crate::support::presync::{Presync, Ran};
use crate::support::stand_in::{Answer, StandIn};

const APP: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
const ACCOUNT: &str =
    "/subscriptions/s/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/devstoreaccount1";
const READER: &str = "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/reader";
const READ: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";

static AZURITE: LazyLock<&Azurite> = LazyLock::new(|| {
    let azurite = Azurite::https();
    azurite.create_container("platform", false);
    azurite.put("platform", "a.jpg", vec![7; 10]);
    azurite
});

/// The directory and the resources of an organization: documents by path. A path that is not there is a 404, and
/// `null` a 403.
fn azure(documents: &[(&str, Value)]) -> StandIn {
    let documents: BTreeMap<String, Value> =
        documents.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect();
    StandIn::https(move |request| {
        let target = request.line.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let answer = |status, document: Value| {
            Answer(status, vec!["content-type: application/json".into()], document.to_string().into_bytes())
        };
        assert!(request.headers.iter().any(|line| line.starts_with("authorization: Bearer ")), "{request:?}");
        match documents.get(path) {
            Some(Value::Null) => answer(
                "403 Forbidden",
                json!({ "error": { "code": "AuthorizationFailed", "message": "no right to do this" } }),
            ),
            Some(document) => answer("200 OK", document.clone()),
            None => answer(
                "404 Not Found",
                json!({ "error": { "code": "NotFound", "message": "there is none" } }),
            ),
        }
    })
}

fn principal() -> (String, Value) {
    let found = json!({ "id": "object-1", "displayName": "Platform", "accountEnabled": true });
    (format!("/v1.0/servicePrincipals(appId='{APP}')"), found)
}

fn assignment(scope: &str, condition: Option<&str>) -> Value {
    json!({ "id": format!("{scope}/a"), "properties": {
        "roleDefinitionId": READER, "scope": scope, "condition": condition, "principalId": "object-1"
    } })
}

fn condition(container: &str) -> String {
    format!(
        "((!(ActionMatches{{'{READ}'}})) OR (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] \
         StringEquals '{container}'))"
    )
}

/// An organization with these assignments of roles, and this account.
fn organization(assignments: &[Value], account: Value) -> StandIn {
    let (path, found) = principal();
    let roles = format!("{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments");
    azure(&[
        (&path, found),
        ("/providers/Microsoft.ResourceGraph/resources", json!({ "data": [{ "id": ACCOUNT }] })),
        (&roles, json!({ "value": assignments })),
        (
            READER,
            json!({ "properties": { "roleName": "Storage Blob Data Reader", "permissions": [{ "dataActions": [READ] }] } }),
        ),
        (ACCOUNT, json!({ "properties": account })),
    ])
}

fn doctor(azure: &StandIn, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    fake_az(folder.path(), &unsigned_jwt("https://storage.azure.com"));
    Presync::new(["doctor", &AZURITE.container_url("platform"), "--app-id", APP, "--format", "json"])
        .args(more)
        .env("PATH", folder.path())
        .env("SSL_CERT_FILE", AZURITE.ca())
        .env("AZURE_RESOURCE_MANAGER_ENDPOINT", &azure.url)
        .env("AZURE_GRAPH_ENDPOINT", &azure.url)
        .run()
}

/// The outcome of a step, what it says, and its fix.
fn step(ran: &Ran, name: &str) -> [String; 3] {
    let checks = ran.json()["checks"].as_array().expect("a list").clone();
    let check =
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {checks:?}"));
    ["outcome", "detail", "cure"].map(|field| check[field].as_str().unwrap_or_default().to_owned())
}

#[test]
fn an_identity_with_the_role_and_its_condition_is_fine() {
    let azure = organization(&[assignment(ACCOUNT, Some(&condition("platform")))], json!({}));
    let ran = doctor(&azure, &[]);
    assert_eq!(step(&ran, "platform-app"), ["ok", "'Platform' in your directory, object object-1", ""]);
    let role = "'Storage Blob Data Reader', on the account, with a condition that names 'platform'";
    assert_eq!(step(&ran, "platform-role"), ["ok", role, ""]);
    assert_eq!(step(&ran, "platform-network")[0], "ok");
    let lines: Vec<_> = azure.seen().into_iter().map(|request| request.line).collect();
    assert!(lines.iter().all(|line| line.starts_with("GET ") || line.contains("ResourceGraph")), "{lines:?}");

    // Where it is known, the account is not looked up.
    doctor(&azure, &["--subscription", "s", "--resource-group", "r"]);
    let lookups = azure.seen().iter().filter(|request| request.line.contains("ResourceGraph")).count();
    assert_eq!(lookups, 1);
}

#[test]
fn what_the_identity_lacks_is_named_with_the_command_that_adds_it() {
    let container = format!("{ACCOUNT}/blobServices/default/containers/platform");
    for (assignments, outcome, why) in [
        (vec![], "failed", "it has no role on the account"),
        (
            vec![assignment(&container, None)],
            "failed",
            "is assigned on the container 'platform': listing needs it on the account",
        ),
        (
            vec![assignment(ACCOUNT, Some(&condition("other")))],
            "failed",
            "does not allow the container 'platform'",
        ),
        (
            vec![assignment("/subscriptions/s", None)],
            "warning",
            "inherited from /subscriptions/s, has no condition",
        ),
    ] {
        let ran = doctor(&organization(&assignments, json!({})), &[]);
        let [found, detail, cure] = step(&ran, "platform-role");
        assert!(found == outcome && detail.contains(why), "{found}: {detail}");
        assert!(
            cure.starts_with("az role assignment create --assignee ") && cure.contains("StringEquals '"),
            "{cure}"
        );
        assert_eq!(ran.code == 2, outcome == "failed", "{}", ran.stdout);
    }
    let network = json!({ "networkAcls": { "defaultAction": "Deny", "ipRules": [] } });
    assert_eq!(step(&doctor(&organization(&[], network), &[]), "platform-network")[0], "failed");
}

#[test]
fn what_cannot_be_seen_is_unknown() {
    let ran = doctor(&azure(&[]), &[]);
    let [outcome, detail, cure] = step(&ran, "platform-app");
    assert_eq!((outcome.as_str(), cure), ("failed", format!("az ad sp create --id {APP}")));
    assert!(detail.ends_with("has no identity in your directory"), "{detail}");

    let (path, _) = principal();
    let resources = "/providers/Microsoft.ResourceGraph/resources";
    let ran = doctor(&azure(&[(&path, Value::Null), (resources, Value::Null)]), &[]);
    for name in ["platform-app", "platform-role"] {
        let [outcome, detail, cure] = step(&ran, name);
        assert!(
            outcome == "unknown" && detail.contains("no right to do this") && !cure.is_empty(),
            "{name}: {detail}"
        );
    }
    let ran = doctor(&azure(&[(resources, json!({ "data": [] }))]), &[]);
    assert!(step(&ran, "platform-role")[1].contains("you cannot see the account 'devstoreaccount1'"));
}
