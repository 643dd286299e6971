//! Adds a connection to the file, and leaves every existing line and comment as it is.

use std::io::{self, Write};
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, value};

use super::{Connection, NAME_RULE, is_name, parse};
use crate::files::regular;
use crate::files::whole::WholeFile;
use crate::model::error::{Error, Result, reason};
use crate::rules::Limits;

/// The result of adding a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It was written.
    New,
    /// The same one was already there.
    Before,
}

/// Adds a connection to the file at `path`, which is created if needed. The file is replaced as a whole.
///
/// # Errors
///
/// Returns an error if `name` is not valid or belongs to another connection, or if the file is not valid or cannot be
/// written.
pub(crate) fn add(path: &Path, name: &str, connection: &Connection) -> Result<Added> {
    if !is_name(name) {
        return Err(
            Error::new(format!("'{}' is not a connection's name", name.escape_debug())).with_hint(NAME_RULE)
        );
    }
    let shown = path.display();
    let failed = |error: io::Error| Error::new(format!("cannot write '{shown}': {}", reason(&error)));
    let text = match regular::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::new(format!("cannot read '{shown}': {}", reason(&error)))),
    };
    match parse::parse(&text, path)?.by_name.get(name) {
        Some(there) if there == connection => return Ok(Added::Before),
        Some(_) => {
            return Err(Error::new(format!("'{shown}' already has a different connection '@{name}'"))
                .with_hint("choose another name, or edit the file"));
        }
        None => {}
    }
    let text = with(&text, name, connection).ok_or_else(|| {
        Error::new(format!("cannot add a connection to '{shown}': 'connections' is not a table"))
    })?;
    let mut file = WholeFile::create(path)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.commit()?;
    Ok(Added::New)
}

/// The text with the connection at its end; `None` when it isn't TOML.
fn with(text: &str, name: &str, connection: &Connection) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let mut connections = Table::new();
    connections.set_implicit(true);
    let connections = document.entry("connections").or_insert(Item::Table(connections));
    connections.as_table_like_mut()?.insert(name, Item::Table(table(connection)));
    Some(document.to_string())
}

fn table(connection: &Connection) -> Table {
    let Connection {
        account,
        container,
        prefix,
        endpoint,
        profile,
        auth,
        workspace,
        quota: limits,
        shares_quota,
        project,
    } = connection;
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    let mut table = Table::new();
    let mut set = |key: &str, text: Option<&str>| {
        if let Some(text) = text {
            table.insert(key, value(text));
        }
    };
    set("account", account.as_deref());
    set("container", Some(container));
    set("prefix", prefix.map(String::as_str));
    set("endpoint", endpoint.as_deref());
    set("profile", profile.as_deref());
    set("auth", auth.map(|auth| auth.to_string()).as_deref());
    set("workspace", workspace.as_deref());
    set("project", project.as_deref());
    let mut quota = toml_edit::InlineTable::new();
    let Limits { images, frames, data_rows } = *limits;
    for (key, limit) in [("images", images), ("frames", frames), ("data_rows", data_rows)] {
        // TOML's integers are i64; a larger limit never runs out.
        if let Some(limit) = limit.and_then(|limit| i64::try_from(limit).ok()) {
            quota.insert(key, limit.into());
        }
    }
    if *shares_quota {
        quota.insert("shared", true.into());
    }
    if !quota.is_empty() {
        table.insert("quota", value(quota));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::source::azure::AuthMode;

    fn cams() -> Connection {
        Connection {
            account: Some("media".into()),
            container: "cam".into(),
            prefix: "it's \"a\"/".into(),
            auth: Some(AuthMode::ManagedIdentity),
            quota: Limits { images: Some(5), ..Limits::default() },
            project: Some("pets".into()),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        for before in [
            "# ours\n\n[connections.phones] # old\ncontainer='phones'   # and odd\n",
            "[connections]\nphones.container = 'phones'\n# the end",
            "connections = { phones = { container = 'phones' } }",
        ] {
            let after = with(before, "cams", &cams()).expect("it is TOML");
            let read = parse::parse(&after, Path::new("presync.toml")).expect("it is valid").by_name;
            assert_eq!((&read["cams"], read["phones"].container.as_str()), (&cams(), "phones"), "{after}");
        }
        let before = "# ours\n\n[connections.phones] # old\ncontainer='phones'   # and odd\n";
        assert!(with(before, "cams", &cams()).expect("it is TOML").starts_with(before));
    }

    #[test]
    fn a_connection_is_written_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("presync.toml");
        assert_eq!(add(&path, "cams", &cams()), Ok(Added::New));
        let text = fs::read_to_string(&path).expect("it is there");
        assert_eq!(add(&path, "cams", &cams()), Ok(Added::Before));
        let other = Connection { prefix: String::new(), ..cams() };
        assert!(
            add(&path, "cams", &other).is_err_and(|error| error.message().contains("a different connection"))
        );
        assert!(add(&path, "my/cams", &cams()).is_err());
        assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no temporary file stays");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_keeps_its_rights_and_a_link_stays_a_link() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("real.toml"), folder.path().join("presync.toml"));
        fs::write(&path, "").expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
        std::os::unix::fs::symlink("real.toml", &link).expect("a link");
        assert_eq!(add(&link, "cams", &cams()), Ok(Added::New));
        assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o640);
    }
}
