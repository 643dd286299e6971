//! Which role assignments let an identity list and read a container.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::Outcome;
use crate::source::azure::commands::role_condition;

/// The data actions of a blob: listing and reading share one ("Azure permissions for Storage").
const BLOBS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";

/// The attribute that a condition compares with a container's name.
const NAME: &str = "containers:name]";

/// A role of an identity, and where it has it.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    role: String,
    scope: String,
    condition: Option<String>,
    reads: bool,
    writes: bool,
}

/// Where an assignment is, seen from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Account,
    /// A resource group, subscription or management group.
    Above,
    /// A container.
    Below,
}

impl Assignment {
    /// Reads an assignment; `definitions` are the definitions of roles by their ID.
    pub(super) fn parse(assignment: &Value, definitions: &BTreeMap<String, Value>) -> Option<Self> {
        let properties = &assignment["properties"];
        let role = &definitions.get(properties["roleDefinitionId"].as_str()?)?["properties"];
        let may = |action: &str| {
            let action = format!("{BLOBS}/{action}");
            let has = |permission: &Value, field: &str| {
                let patterns = permission[field].as_array().into_iter().flatten();
                patterns.filter_map(Value::as_str).any(|pattern| is_like(pattern, &action))
            };
            let permissions = role["permissions"].as_array();
            permissions
                .into_iter()
                .flatten()
                .any(|one| has(one, "dataActions") && !has(one, "notDataActions"))
        };
        Some(Self {
            role: role["roleName"].as_str().unwrap_or("without a name").to_owned(),
            scope: properties["scope"].as_str()?.to_owned(),
            condition: properties["condition"].as_str().map(str::to_owned),
            reads: may("read"),
            writes: may("write") || may("delete"),
        })
    }

    fn place(&self, account: &str) -> Place {
        let (scope, account) = (self.scope.to_ascii_lowercase(), account.to_ascii_lowercase());
        match account == scope {
            true => Place::Account,
            false if scope.starts_with(&format!("{account}/")) => Place::Below,
            // A management group is not part of the account's ID.
            false => Place::Above,
        }
    }

    /// Whether its condition lets it read a container; `None` if that cannot be said.
    fn allows(&self, container: &str) -> Option<bool> {
        self.condition.as_ref().map_or(Some(true), |condition| allows(condition, container))
    }
}

/// Judges whether one of the assignments lets an identity list and read a container of an account, by the account's
/// resource ID.
pub(super) fn judge(assignments: &[Assignment], account: &str, container: &str) -> (Outcome, String) {
    let readers: Vec<_> = assignments.iter().filter(|assignment| assignment.reads).collect();
    let at_account = || readers.iter().filter(|reader| reader.place(account) != Place::Below);
    if let Some(reader) = at_account().find(|reader| reader.allows(container) == Some(true)) {
        let role = &reader.role;
        let place = match reader.place(account) {
            Place::Above => format!("inherited from {}", reader.scope),
            _ => "on the account".to_owned(),
        };
        return match (&reader.condition, reader.writes) {
            (_, true) => (Outcome::Warning, format!("'{role}', {place}: it can also write and delete")),
            (None, _) => (
                Outcome::Warning,
                format!("'{role}', {place}, has no condition: it can read every container"),
            ),
            (Some(_), _) => {
                (Outcome::Ok, format!("'{role}', {place}, with a condition that names '{container}'"))
            }
        };
    }
    if let Some(reader) = at_account().find(|reader| reader.allows(container).is_none()) {
        let condition = reader.condition.as_deref().unwrap_or_default();
        return (
            Outcome::Unknown,
            format!("'{}' has a condition that is not about a container's name: {condition}", reader.role),
        );
    }
    if let Some(reader) = at_account().next() {
        let condition = reader.condition.as_deref().unwrap_or_default();
        return (
            Outcome::Failed,
            format!(
                "the condition of '{}' does not allow the container '{container}': {condition}",
                reader.role
            ),
        );
    }
    if let Some(reader) = readers.first() {
        let below = reader.scope.rsplit('/').next().unwrap_or_default();
        return (
            Outcome::Failed,
            format!(
                "'{}' is assigned on the container '{below}': listing needs it on the account",
                reader.role
            ),
        );
    }
    match assignments.first() {
        Some(other) => (
            Outcome::Failed,
            format!(
                "'{}' does not read blobs: it is for managing the account, or for other data",
                other.role
            ),
        ),
        None => (Outcome::Failed, "it has no role on the account".to_owned()),
    }
}

/// Whether a condition allows a container, judged by what it compares the container's name with ("Azure role assignment
/// condition format and syntax"). `None` if it compares nothing with it.
fn allows(condition: &str, container: &str) -> Option<bool> {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    if squeezed(condition) == squeezed(&role_condition(container)) {
        return Some(true);
    }
    let mut verdict = None;
    for part in condition.split(NAME).skip(1) {
        let (operator, values) = part.trim_start().split_once(char::is_whitespace)?;
        let operator = operator.rsplit(':').next().unwrap_or_default();
        // One value, or several in braces; anything after them is not a value.
        let list =
            values.trim_start().strip_prefix('{').map(|list| list.split('}').next().unwrap_or_default());
        let count = if list.is_some() { usize::MAX } else { 1 };
        let values = list.unwrap_or(values).split('\'').skip(1).step_by(2).take(count);
        let lower = container.to_lowercase();
        let (mut values, is_negative) = (values, operator.contains("Not"));
        let matches = match operator.replace("Not", "").as_str() {
            "StringEquals" => values.any(|value| value == container),
            "StringEqualsIgnoreCase" => values.any(|value| value.to_lowercase() == lower),
            "StringLike" | "StringLikeIgnoreCase" => values.any(|value| is_like(value, container)),
            "StringStartsWith" | "StringStartsWithIgnoreCase" => {
                values.any(|value| lower.starts_with(&value.to_lowercase()))
            }
            _ => return None,
        };
        verdict = Some(verdict.unwrap_or(false) || matches != is_negative);
    }
    verdict
}

/// Whether a text matches a pattern in which `*` stands for any characters, regardless of case.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ACCOUNT: &str =
        "/subscriptions/s/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/media";

    fn assigned(role: &str, scope: &str, condition: Option<&str>) -> Assignment {
        let data = match role {
            "Storage Blob Data Reader" => vec![format!("{BLOBS}/read")],
            "Storage Blob Data Owner" => vec![format!("{BLOBS}/*")],
            "Storage Queue Data Reader" => {
                vec!["Microsoft.Storage/storageAccounts/queueServices/*".to_owned()]
            }
            _ => Vec::new(),
        };
        let definition = json!({ "properties": { "roleName": role, "permissions": [{
            "actions": ["*/read"], "notActions": [], "dataActions": data, "notDataActions": []
        }] } });
        let definitions = BTreeMap::from([("/role".to_owned(), definition)]);
        let assignment = json!({ "properties": {
            "roleDefinitionId": "/role", "scope": scope, "condition": condition
        } });
        Assignment::parse(&assignment, &definitions).unwrap()
    }

    #[test]
    fn each_way_to_assign_a_role_has_its_verdict() {
        let (reader, group) = ("Storage Blob Data Reader", "/subscriptions/s/resourceGroups/r");
        let container = format!("{ACCOUNT}/blobServices/default/containers/cam");
        let (good, other) = (role_condition("cam"), role_condition("other"));
        let judged = |assignments: &[Assignment]| judge(assignments, ACCOUNT, "cam");
        for (assignments, outcome, why) in [
            (vec![assigned(reader, ACCOUNT, Some(&good))], Outcome::Ok, "on the account, with a condition"),
            (vec![assigned(reader, &ACCOUNT.to_uppercase(), Some(&good))], Outcome::Ok, "on the account"),
            (vec![assigned(reader, group, Some(&good))], Outcome::Ok, "inherited from /subscriptions/s"),
            (
                vec![assigned(reader, "/providers/Microsoft.Management/managementGroups/m", None)],
                Outcome::Warning,
                "inherited",
            ),
            (vec![assigned(reader, ACCOUNT, None)], Outcome::Warning, "every container"),
            (
                vec![assigned("Storage Blob Data Owner", ACCOUNT, Some(&good))],
                Outcome::Warning,
                "write and delete",
            ),
            (
                vec![assigned(reader, ACCOUNT, Some(&other))],
                Outcome::Failed,
                "does not allow the container 'cam'",
            ),
            (vec![assigned(reader, &container, None)], Outcome::Failed, "on the container 'cam'"),
            (vec![assigned("Reader", ACCOUNT, None)], Outcome::Failed, "'Reader' does not read blobs"),
            (
                vec![assigned("Storage Queue Data Reader", ACCOUNT, None)],
                Outcome::Failed,
                "does not read blobs",
            ),
            (Vec::new(), Outcome::Failed, "no role"),
            (
                vec![
                    assigned("Reader", ACCOUNT, None),
                    assigned(reader, &container, None),
                    assigned(reader, group, Some(&good)),
                ],
                Outcome::Ok,
                "inherited",
            ),
            (
                vec![assigned(reader, ACCOUNT, Some("(@Resource[x:path] StringLike 'a')"))],
                Outcome::Unknown,
                "is not about",
            ),
        ] {
            let (found, detail) = judged(&assignments);
            assert!(found == outcome && detail.contains(why), "{assignments:?}: {found:?} {detail}");
        }
    }

    #[test]
    fn a_condition_is_judged_by_the_name_it_compares() {
        let name = format!("@Resource[Microsoft.Storage/storageAccounts/blobServices/{NAME}");
        for (condition, expected) in [
            ("StringEquals 'cam'", Some(true)),
            ("StringEquals 'came'", Some(false)),
            ("StringEquals 'Cam'", Some(false)),
            ("StringEqualsIgnoreCase 'CAM'", Some(true)),
            ("StringNotEquals 'other'", Some(true)),
            ("StringNotEquals 'cam'", Some(false)),
            ("StringLike 'c*'", Some(true)),
            ("StringLike '*x*'", Some(false)),
            ("StringStartsWith 'ca'", Some(true)),
            ("ForAnyOfAnyValues:StringEquals {'one', 'cam'}", Some(true)),
            ("ForAnyOfAnyValues:StringEquals {'one', 'two'}) OR (x StringEquals 'cam'", Some(false)),
            ("StringMatches 'cam'", None),
            ("", None),
        ] {
            assert_eq!(allows(&format!("(({name} {condition}))"), "cam"), expected, "{condition}");
        }
        let two = format!("({name} StringEquals 'other') OR ({name} StringEquals 'cam')");
        assert_eq!(allows(&two, "cam"), Some(true));
    }
}
