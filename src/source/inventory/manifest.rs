//! The manifest of a report, which names its files.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::row::Scope;
use super::{broken, md5};
use crate::files::regular;
use crate::model::error::{Result, reason};

/// The most bytes of a manifest: it takes about 200 for each file, which has at least a million rows.
const MAX_MANIFEST: u64 = 16 << 20;
/// The most bytes of a checksum's file.
const MAX_SUM: u64 = 1 << 10;
/// The most files that a manifest may name.
const MAX_FILES: usize = 100_000;

/// A manifest ("Azure Storage blob inventory", inventory completed event and manifest).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    files: Vec<Listed>,
    #[serde(default)]
    status: String,
    rule_definition: Option<Rule>,
    #[serde(default)]
    summary: Totals,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    /// How many rows the files have together.
    object_count: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    blob: String,
    size: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    object_type: String,
}

/// The manifest at `path`; `None` if the file isn't one.
pub(super) fn read(path: &Path) -> Result<Option<Manifest>> {
    let unreadable = |error: io::Error| broken(path, &reason(&error));
    let mut bytes = Vec::new();
    let (mut file, _) = regular::open(path).map_err(unreadable)?;
    let mut first = [0];
    if file.read(&mut first).map_err(unreadable)? == 0 || first != *b"{" {
        return Ok(None);
    }
    bytes.push(b'{');
    file.take(MAX_MANIFEST).read_to_end(&mut bytes).map_err(unreadable)?;
    check_sum(path, &bytes)?;
    let manifest = serde_json::from_slice(&bytes);
    manifest.map(Some).map_err(|error| broken(path, &format!("it is not a valid manifest: {error}")))
}

/// Compares a manifest with the file `RULE-manifest.checksum` beside it, if that was copied, too. It has the MD5 of the
/// manifest, in hexadecimal or in Base64.
fn check_sum(path: &Path, manifest: &[u8]) -> Result<()> {
    let sum = path.with_extension("checksum");
    if !sum.is_file() {
        return Ok(());
    }
    let mut text = String::new();
    let read = regular::open(&sum).and_then(|(file, _)| file.take(MAX_SUM).read_to_string(&mut text));
    read.map_err(|error| broken(&sum, &reason(&error)))?;
    let md5 = md5::digest(manifest);
    let hexadecimal: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
    let stated = text.trim_start_matches('\u{feff}').trim().trim_matches('"');
    if stated.eq_ignore_ascii_case(&hexadecimal) || stated == BASE64_STANDARD.encode(md5) {
        return Ok(());
    }
    Err(broken(path, &format!("its content does not match the checksum in '{}'", sum.display()))
        .with_hint("copy all files of the report again"))
}

impl Manifest {
    /// How many rows its files have together, if it says so.
    pub(super) fn object_count(&self) -> Option<u64> {
        self.summary.object_count
    }

    /// The files that it names, in the same folder.
    pub(super) fn files(&self, path: &Path, scope: &Scope) -> Result<Vec<PathBuf>> {
        let wrong = |why: String| Err(broken(path, &why));
        if !self.status.eq_ignore_ascii_case("Succeeded") {
            return wrong(format!(
                "its run ended with status '{}', not 'Succeeded'",
                self.status.escape_debug()
            ));
        }
        if let Some(rule) = &self.rule_definition
            && !rule.object_type.eq_ignore_ascii_case("blob")
        {
            return wrong(format!("it lists objects of type '{}', not blobs", rule.object_type));
        }
        if let (Some(account), Some(theirs)) = (&scope.account, self.account())
            && account != theirs
        {
            return wrong(format!("it is for account '{theirs}', but the source is in '{account}'"));
        }
        if self.files.len() > MAX_FILES {
            return wrong(format!("it names more than {MAX_FILES} files"));
        }
        self.files.iter().map(|file| file.find(path)).collect()
    }

    /// The account that the endpoint names.
    fn account(&self) -> Option<&str> {
        let host = self.endpoint.split_once("://")?.1;
        let (account, domain) = host.split_once('.')?;
        domain.starts_with("blob.").then_some(account)
    }
}

impl Listed {
    /// The file next to the manifest. Folders in its name are ignored: a copy may not have kept them.
    fn find(&self, manifest: &Path) -> Result<PathBuf> {
        let folder = manifest.parent().unwrap_or(Path::new(""));
        let name = self.blob.rsplit('/').next().unwrap_or(&self.blob);
        if matches!(name, "" | "." | "..") {
            return Err(broken(
                manifest,
                &format!("it names an invalid file '{}'", self.blob.escape_debug()),
            ));
        }
        let path = folder.join(name);
        let length = std::fs::metadata(&path).map(|metadata| metadata.len());
        match (length, self.size) {
            (Err(error), _) => {
                Err(broken(&path, &reason(&error))
                    .with_hint("the manifest names it: copy it to the same folder"))
            }
            (Ok(length), Some(size)) if length != size => {
                Err(broken(&path, &format!("it has {length} bytes, but the manifest says {size}"))
                    .with_hint("copy all files of the report again"))
            }
            (Ok(_), _) => Ok(path),
        }
    }
}
