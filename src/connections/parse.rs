//! Parses the TOML. Every error names its line and column, and shows the line unless it may hold a secret.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file_text::{FileText, looks_secret};
use super::rules::RulesTable;
use super::{Connection, NAME_RULE, Rules, is_name};
use crate::model::error::{Error, Result};
use crate::rules::Limits;
use crate::source::azure::AuthMode;
use crate::source::location::{ContainerUrl, Environment, Sas, check_account, check_container};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    connections: BTreeMap<Spanned<String>, ConnectionTable>,
    #[serde(default)]
    rules: RulesTable,
    #[serde(default)]
    quota: SharedQuotaTable,
}

/// The contents of a file.
pub(super) struct Contents {
    pub by_name: BTreeMap<String, Connection>,
    pub rules: Rules,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionTable {
    account: Option<Spanned<String>>,
    container: Spanned<String>,
    #[serde(default)]
    prefix: String,
    endpoint: Option<Spanned<String>>,
    profile: Option<String>,
    auth: Option<AuthMode>,
    workspace: Option<Spanned<String>>,
    #[serde(default)]
    quota: QuotaTable,
    project: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaTable {
    images: Option<u64>,
    frames: Option<u64>,
    data_rows: Option<u64>,
    /// Whether images and frames share one quota.
    #[serde(default)]
    shared: bool,
}

/// What holds for every connection, and for sources without one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SharedQuotaTable {
    #[serde(default)]
    shared: bool,
}

/// Reads the text of the file at `path`.
pub(super) fn parse(text: &str, path: &Path) -> Result<Contents> {
    let file_text = FileText { text, path };
    let wrong = |error: toml::de::Error| file_text.fault(error.span(), error.message());
    let tree = DeTable::parse(text).map_err(wrong)?;
    // Before any other check: their errors could show the secret.
    file_text.refuse_secrets(tree.get_ref())?;
    let file = File::deserialize(toml::Deserializer::from(tree)).map_err(wrong)?;
    let connections = file.connections.into_iter().map(|(name, table)| {
        if !is_name(name.get_ref()) {
            return Err(file_text
                .fault(Some(name.span()), "this is not a valid connection name")
                .with_hint(NAME_RULE));
        }
        Ok((name.into_inner(), file_text.connection(table)?))
    });
    let by_name = connections.collect::<Result<_>>()?;
    let rules = Rules { shares_quota: file.quota.shared, ..file.rules.resolve(&file_text)? };
    Ok(Contents { by_name, rules })
}

impl FileText<'_> {
    /// Checks the values of a connection.
    fn connection(&self, table: ConnectionTable) -> Result<Connection> {
        let ConnectionTable {
            account,
            container,
            prefix,
            endpoint,
            profile,
            auth,
            workspace,
            quota,
            project,
        } = table;
        if let Some(account) = &account {
            check_account(account.get_ref()).map_err(|error| self.at(account, error))?;
        }
        check_container(container.get_ref()).map_err(|error| self.at(&container, error))?;
        if let Some(endpoint) = &endpoint {
            let none = Environment::of([("", ""); 0]);
            let url = ContainerUrl::at_endpoint(endpoint.get_ref(), None, container.get_ref(), "", &none)
                .map_err(|error| self.at(endpoint, error))?;
            if let (Some(account), Some(of_endpoint)) = (&account, url.account())
                && account.get_ref() != of_endpoint
            {
                let message =
                    format!("the account is '{}', the endpoint's is '{of_endpoint}'", account.get_ref());
                return Err(self.at(endpoint, Error::new(message).with_hint("leave out the account")));
            }
        }
        if let Some(name) = &workspace
            && (name.get_ref().is_empty() || name.get_ref().contains(char::is_control))
        {
            return Err(self.fault(Some(name.span()), "the workspace is empty or has a control character"));
        }
        Ok(Connection {
            account: account.map(Spanned::into_inner),
            container: container.into_inner(),
            prefix,
            endpoint: endpoint.map(Spanned::into_inner),
            profile,
            auth,
            workspace: workspace.map(Spanned::into_inner),
            quota: Limits { images: quota.images, frames: quota.frames, data_rows: quota.data_rows },
            shares_quota: quota.shared,
            project,
        })
    }

    /// Secrets come from the environment, because this file is shared.
    fn refuse_secrets(&self, table: &DeTable<'_>) -> Result<()> {
        for (key, value) in table {
            let is_secret = match value.get_ref() {
                DeValue::Table(_) => false,
                DeValue::String(text) => looks_secret(key.get_ref()) || has_sas(text),
                _ => looks_secret(key.get_ref()),
            };
            if is_secret {
                let (line, column) = self.place(key.span().start);
                let path = self.path.display();
                return Err(Error::new(format!(
                    "'{path}' holds a secret at line {line}, column {column}: '{}'",
                    key.get_ref().escape_debug()
                ))
                .with_hint(
                    "remove it, because this file is shared: credentials come from the environment, such as \
                     AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN",
                ));
            }
            let items = match value.get_ref() {
                DeValue::Array(items) => items.iter().map(Spanned::get_ref).collect(),
                value => vec![value],
            };
            for table in items.into_iter().filter_map(DeValue::as_table) {
                self.refuse_secrets(table)?;
            }
        }
        Ok(())
    }
}

/// Whether a URL or a prefix carries a SAS, which would be printed along with it.
fn has_sas(text: &str) -> bool {
    text.split_once('?').is_some_and(|(_, query)| Sas::parse(query).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Error {
        parse(text, Path::new("presync.toml")).map(|contents| contents.rules).expect_err(text)
    }

    #[test]
    fn everything_that_can_be_said_is_read() {
        let text = "[connections.cams]\naccount = 'media'\ncontainer = 'cam'\nprefix = '2026/'\n\
                    endpoint = 'https://media.blob.core.windows.net'\nprofile = 'vi'\nauth = 'managed-identity'\n\
                    workspace = 'team a'\nquota = { images = 5_000, frames = 7 }\nproject = 'pets'\n[connections.b]\ncontainer = '$web'\n";
        let connections = parse(text, Path::new("presync.toml")).expect("it is valid").by_name;
        let expected = Connection {
            account: Some("media".into()),
            container: "cam".into(),
            prefix: "2026/".into(),
            endpoint: Some("https://media.blob.core.windows.net".into()),
            profile: Some("vi".into()),
            auth: Some(AuthMode::ManagedIdentity),
            workspace: Some("team a".into()),
            quota: Limits { images: Some(5_000), frames: Some(7), data_rows: None },
            shares_quota: false,
            project: Some("pets".into()),
        };
        assert_eq!(connections["cams"], expected);
        assert_eq!(connections["b"], Connection { container: "$web".into(), ..Default::default() });
        assert!(parse("", Path::new("presync.toml")).expect("an empty file is valid").by_name.is_empty());
    }

    #[test]
    fn a_fault_has_its_place_and_its_line() {
        let error = error("# é\n[connections.cams]\naccount = \"My_Media\"\ncontainer = 'cam'\n");
        assert_eq!(
            error.to_string(),
            "'presync.toml' is not valid at line 3, column 11: 'My_Media' is not a valid storage account name\n  |\n\
             3 | account = \"My_Media\"\n  |           ^^^^^^^^^^"
        );
        assert_eq!(error.hint(), Some("an account name has 3 to 24 characters, each a-z or 0-9"));
    }

    #[test]
    fn every_fault_is_found_where_it_is() {
        for (line, place, says) in [
            ("containers = 'cam'", "line 2, column 1", "unknown field `containers`"),
            ("container = 7", "line 2, column 13", "invalid type: integer `7`"),
            ("container = 'Cam'", "line 2, column 13", "'Cam' is not a valid container name"),
            ("container = 'cam'\nauth = 'password'", "line 3, column 8", "unknown variant `password`"),
            ("container = 'cam'\nworkspace = ''", "line 3, column 13", "the workspace is empty"),
            ("container = 'cam'\nquota = { images = -1 }", "line 3, column 20", "invalid value"),
            ("container = 'cam'\n[quota]\nimages = 1", "line 4, column 1", "unknown field `images`"),
            ("container = 'cam'\nquota = { image = 1 }", "line 3, column 11", "unknown field `image`"),
            ("container = 'cam'\nendpoint = 'media'", "line 3, column 12", "not the URL of a blob endpoint"),
            (
                "container = 'cam'\nendpoint = 'http://127.0.0.1:10000'",
                "line 3",
                "not the URL of a blob endpoint",
            ),
            (
                "container = 'cam'\nendpoint = 'https://a.example/x'",
                "line 3",
                "not the URL of a blob endpoint",
            ),
            (
                "container = 'cam'\naccount = 'other'\nendpoint = 'https://media.blob.core.windows.net'",
                "line 4, column 12",
                "the account is 'other', the endpoint's is 'media'",
            ),
            ("container = 'cam'\ncontainer = 'cam'", "line 3, column 1", "duplicate key"),
            ("container = cam", "line 2, column 13", ""),
            ("account = 'media'", "line 1, column 1", "missing field `container`"),
            (
                "container = 'cam'\n[rules]\nselect = ['IMG', 'IMG01']",
                "line 4, column 18",
                "there is no rule 'IMG01'",
            ),
            (
                "container = 'cam'\n[rules]\nignore = ['NET']",
                "line 4, column 11",
                "'NET' can neither be ignored",
            ),
            (
                "container = 'cam'\n[rules.severity]\nNAM = 'fatal'",
                "line 4, column 7",
                "unknown variant `fatal`",
            ),
            ("container = 'cam'\n[rules.severity]\nQTA = 'error'", "line 4, column 1", "'QTA' can neither"),
            ("container = 'cam'\n[[rules.prefix]]\nignore = []", "line 3", "missing field `prefix`"),
            (
                "container = 'cam'\n[[rules.prefix]]\nprefix = 'raw/'\nselect = []",
                "line 5, column 1",
                "unknown field `select`",
            ),
            ("\"a\\u001b[31m\" = 1", "line 2, column 1", "unknown field `a [31m`"),
        ] {
            let error = error(&format!("[connections.cams]\n{line}\n"));
            assert!(error.message().contains(&format!("at {place}")), "{line}: {error}");
            assert!(error.message().contains(says), "{line}: {error}");
        }
        assert!(error("[connections.'a/b']\ncontainer = 'cam'").message().contains("line 1, column 14"));
        assert!(error("[connection.a]\n").message().contains("unknown field `connection`"));
    }

    #[test]
    fn no_secret_is_taken_or_shown() {
        let with = |line: &str| error(&format!("[connections.cams]\ncontainer = 'cam'\n{line}\n"));
        for line in [
            "sas = 'c2VjcmV0'",
            "key = 'c2VjcmV0'",
            "account_key = 'c2VjcmV0'",
            "connection-string = 'AccountKey=c2VjcmV0'",
            "quota = { token = 'c2VjcmV0' }",
            "prefix = '2026/?sp=rl&sig=c2VjcmV0'",
            "endpoint = 'https://media.blob.core.windows.net?sp=rl&sig=c2VjcmV0'",
            "rules.prefix = [{ prefix = '?sp=rl&sig=c2VjcmV0' }]",
        ] {
            let error = with(line);
            assert!(error.message().contains("holds a secret at line 3"), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("environment")), "{error:?}");
            assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
        }
        for line in [
            "sas = sp=rl&sig=c2VjcmV0",
            "key: c2VjcmV0",
            "auth = 'sp=rl&sig=c2VjcmV0'",
            "account = 'AccountName=media;AccountKey=c2VjcmV0'",
            "endpoint = 'https://user:c2VjcmV0@media.blob.core.windows.net'",
            "quota = { images = 1 'key' = \"c2VjcmV0\" }",
        ] {
            let error = with(line);
            assert!(error.message().contains("line 3") && error.message().contains("not shown"), "{error}");
            assert!(!format!("{error:?}").contains("c2VjcmV0"), "{error:?}");
        }
    }
}
