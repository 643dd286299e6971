//! What the platform needs, as a Bicep file or a Terraform configuration.

use std::io::{self, Write};

use super::Plan;
use super::script::{print_head, print_portal};
use crate::source::azure::commands::{self, CORS_MAX_AGE, ROLE, Shell};

/// The ID of the role ("Azure built-in roles for Storage", Storage Blob Data Reader).
const ROLE_ID: &str = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1";

/// Prints a Bicep file for the account's resource group.
///
/// # Errors
/// Returns an error if `out` cannot be written.
pub(super) fn print_bicep(out: &mut impl Write, plan: &Plan<'_>) -> io::Result<()> {
    let account = bicep(plan.account.name);
    let condition = bicep(&commands::role_condition(plan.url.container()));
    let container = bicep(plan.url.container());
    print_head(out, plan, "//")?;
    if let Some(az) = commands::select_cloud(plan.url.endpoint()) {
        writeln!(out, "// {}", az.line(Shell::Bash))?;
    }
    writeln!(out, "// {}", plan.account.deploy("connect.bicep").line(Shell::Bash))?;
    print_notes(out, plan, "//")?;
    writeln!(
        out,
        "\n@description('Object ID of the application in your directory, as az ad sp show prints it')"
    )?;
    writeln!(out, "// {}", commands::create_principal(plan.app_id()).line(Shell::Bash))?;
    writeln!(out, "// {}", commands::show_principal(plan.app_id()).line(Shell::Bash))?;
    writeln!(out, "param principalId string\n")?;
    writeln!(out, "resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {{")?;
    writeln!(out, "  name: {account}\n}}\n")?;
    writeln!(out, "resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {{")?;
    writeln!(out, "  name: guid(account.id, principalId, {container})")?;
    writeln!(out, "  scope: account\n  properties: {{")?;
    writeln!(out, "    principalId: principalId\n    principalType: 'ServicePrincipal'")?;
    writeln!(
        out,
        "    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{ROLE_ID}')"
    )?;
    writeln!(out, "    condition: {condition}\n    conditionVersion: '2.0'\n  }}\n}}\n")?;
    writeln!(out, "resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {{")?;
    writeln!(
        out,
        "  parent: account\n  name: 'default'\n  properties: {{\n    cors: {{\n      corsRules: [\n        {{"
    )?;
    writeln!(out, "          allowedOrigins: [")?;
    for origin in plan.origins {
        writeln!(out, "            {}", bicep(origin))?;
    }
    writeln!(out, "          ]")?;
    for (name, value) in [("allowedMethods", "GET"), ("allowedHeaders", "*"), ("exposedHeaders", "*")] {
        writeln!(out, "          {name}: [\n            '{value}'\n          ]")?;
    }
    writeln!(out, "          maxAgeInSeconds: {CORS_MAX_AGE}")?;
    writeln!(out, "        }}\n      ]\n    }}\n  }}\n}}")
}

/// Prints a Terraform configuration, formatted as `terraform fmt` formats it.
///
/// # Errors
/// Returns an error if `out` cannot be written.
pub(super) fn print_terraform(out: &mut impl Write, plan: &Plan<'_>) -> io::Result<()> {
    let account = terraform(plan.account.name);
    let group = terraform(plan.account.resource_group.unwrap_or("<RESOURCE-GROUP>"));
    let app_id = terraform(plan.app_id());
    let condition = terraform(&commands::role_condition(plan.url.container()));
    let origins: Vec<_> = plan.origins.iter().map(|origin| terraform(origin)).collect();
    print_head(out, plan, "#")?;
    writeln!(out, "# Needs the providers hashicorp/azurerm, hashicorp/azuread and Azure/azapi.")?;
    print_notes(out, plan, "#")?;
    writeln!(out, "\ndata \"azurerm_storage_account\" \"media\" {{")?;
    writeln!(out, "  name                = {account}\n  resource_group_name = {group}\n}}\n")?;
    writeln!(out, "resource \"azuread_service_principal\" \"platform\" {{")?;
    writeln!(out, "  client_id    = {app_id}\n  use_existing = true\n}}\n")?;
    writeln!(out, "resource \"azurerm_role_assignment\" \"platform\" {{")?;
    writeln!(out, "  scope                = data.azurerm_storage_account.media.id")?;
    writeln!(out, "  role_definition_name = \"{ROLE}\"")?;
    writeln!(out, "  principal_id         = azuread_service_principal.platform.object_id")?;
    writeln!(out, "  condition_version    = \"2.0\"\n  condition            = {condition}\n}}\n")?;
    writeln!(out, "resource \"azapi_update_resource\" \"cors\" {{")?;
    writeln!(out, "  type        = \"Microsoft.Storage/storageAccounts/blobServices@2023-05-01\"")?;
    writeln!(out, "  resource_id = \"${{data.azurerm_storage_account.media.id}}/blobServices/default\"")?;
    writeln!(out, "  body = {{\n    properties = {{\n      cors = {{\n        corsRules = [\n          {{")?;
    writeln!(out, "            allowedOrigins  = [{}]", origins.join(", "))?;
    for (name, value) in [("allowedMethods ", "GET"), ("allowedHeaders ", "*"), ("exposedHeaders ", "*")] {
        writeln!(out, "            {name} = [\"{value}\"]")?;
    }
    writeln!(out, "            maxAgeInSeconds = {CORS_MAX_AGE}")?;
    writeln!(out, "          }}\n        ]\n      }}\n    }}\n  }}\n}}")
}

fn print_notes(out: &mut impl Write, plan: &Plan<'_>, mark: &str) -> io::Result<()> {
    writeln!(out, "{mark} This replaces the account's CORS rules: add those that it has already.")?;
    writeln!(out, "{mark} The role can take 5 minutes to take effect. External buckets need a paid plan.")?;
    if plan.is_origin_assumed {
        let site = plan.origins.join(" ");
        writeln!(out, "{mark} Assumes that the platform's site is {site}; pass --origin for another one.")?;
    }
    print_portal(out, plan, mark)
}

/// A string of Bicep ("Data types in Bicep", strings).
fn bicep(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "\\'").replace("${", "\\${");
    format!("'{text}'")
}

/// A string of Terraform ("Strings and templates").
fn terraform(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
    format!("\"{text}\"")
}
