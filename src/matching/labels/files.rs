//! The label files: those that are given, and those in folders.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::reference::Taker;
use super::{json_labels, table, voc, yolo};
use crate::matching::input::{self, Fault};

/// The most folders inside one another.
const MAX_DEPTH: usize = 254;

/// A kind of label file, by its extension.
#[derive(Clone, Copy)]
enum Kind {
    Json,
    Xml,
    Csv,
    Tsv,
    Text,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match &*extension {
            "json" | "jsonl" | "ndjson" => Self::Json,
            "xml" => Self::Xml,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "txt" => Self::Text,
            _ => return None,
        })
    }
}

/// A file, or what could not be listed.
pub(super) struct LabelFile {
    pub path: PathBuf,
    /// Whether it was found in a folder: then files of other kinds are expected beside it.
    pub is_found: bool,
    pub fault: Option<Fault>,
}

/// The files that are given, and those in given folders by their extensions, in the order of their names. Links to files
/// are followed, and those to folders only if they are given.
pub(super) fn list(given: &[PathBuf]) -> impl Iterator<Item = LabelFile> {
    given.iter().flat_map(|path| {
        let is_found = path.is_dir();
        let walk = WalkDir::new(path).max_depth(MAX_DEPTH).sort_by_file_name();
        walk.into_iter().filter_map(move |entry| match entry {
            Ok(entry) if !is_found => Some(LabelFile { path: entry.into_path(), is_found, fault: None }),
            Ok(entry) => {
                let is_label = !entry.file_type().is_dir() && Kind::of(entry.path()).is_some();
                is_label.then(|| LabelFile { path: entry.into_path(), is_found, fault: None })
            }
            Err(error) => {
                let path = error.path().unwrap_or(path).to_owned();
                let fault = error.io_error().map_or_else(|| Fault::new("it is a link to itself"), Fault::io);
                Some(LabelFile { path, is_found, fault: Some(fault) })
            }
        })
    })
}

/// Reads the references of a file. `column` is the column of a CSV file with the names.
pub(super) fn read(path: &Path, column: Option<&str>, take: Taker<'_>) -> Result<(), Fault> {
    let file = input::open(path)?;
    let kind = Kind::of(path).ok_or_else(|| {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        Fault::foreign(match extension == "yaml" || extension == "yml" {
            true => "it names only folders of images; give the folder with the label files",
            false => "its extension is none of .json, .jsonl, .xml, .csv, .tsv and .txt",
        })
    })?;
    match kind {
        Kind::Json => json_labels::read(file, take),
        Kind::Xml => voc::read(file, take),
        Kind::Csv => table::read(file, column, false, take),
        Kind::Tsv => table::read(file, column, true, take),
        Kind::Text => yolo::read(path, file, take),
    }
}
