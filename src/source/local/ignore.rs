//! `.presyncignore`: names in a folder that are not listed, in the syntax of `.gitignore`.

use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::files::regular;
use crate::model::error::{Error, Result, reason};
use crate::model::{Glob, parts};
use crate::source::listing::Excluded;

/// The name of the file.
const FILE_NAME: &str = ".presyncignore";
/// The most bytes of one: thousands of patterns, each of which is compared with every name in its folder.
const MAX_BYTES: u64 = 1 << 20;
/// The most patterns of one, for the same reason.
const MAX_PATTERNS: usize = 10_000;

/// The ignore files that apply where a walk is. The walk must enter each folder before it lists what is in it.
pub(super) struct Ignore {
    excluded: Excluded,
    /// From the root to the folder that was entered last.
    folders: Vec<Folder>,
}

struct Folder {
    /// What names in it begin with: empty, or ending in `/`.
    prefix: String,
    rules: Vec<Rule>,
    /// Whether everything in it is left out, whatever its own rules say.
    is_left_out: bool,
}

struct Rule {
    glob: Glob,
    /// Whether it lists a name again that an earlier rule leaves out.
    is_negated: bool,
}

impl Ignore {
    pub(super) fn new(excluded: Excluded) -> Self {
        Self { excluded, folders: Vec::new() }
    }

    /// Enters a folder. `name` is its name in the listing, without a `/` at the end; empty for the root.
    ///
    /// # Errors
    /// Returns an error if its ignore file cannot be read or has a line that is not a pattern.
    pub(super) fn enter(&mut self, path: &Path, name: &str) -> Result<()> {
        self.leave_folders(name);
        let is_left_out = !name.is_empty() && self.decides(name, true);
        let rules = if is_left_out { Vec::new() } else { read(&path.join(FILE_NAME))? };
        let prefix = if name.is_empty() { String::new() } else { format!("{name}/") };
        self.folders.push(Folder { prefix, rules, is_left_out });
        Ok(())
    }

    /// Whether a listed name is left out. If so, it is counted.
    pub(super) fn leaves_out(&mut self, name: &str) -> bool {
        self.leave_folders(name);
        let (name, is_folder) = name.strip_suffix('/').map_or((name, false), |name| (name, true));
        let is_left_out = self.decides(name, is_folder);
        if is_left_out {
            self.excluded.fetch_add(1, Ordering::Relaxed);
        }
        is_left_out
    }

    /// Leaves the folders that a name is not in.
    fn leave_folders(&mut self, name: &str) {
        while self.folders.last().is_some_and(|folder| !name.starts_with(&folder.prefix)) {
            self.folders.pop();
        }
    }

    /// The last rule that matches decides, and those of a deeper file come after those above it.
    fn decides(&self, name: &str, is_folder: bool) -> bool {
        if self.folders.last().is_some_and(|folder| folder.is_left_out) {
            return true;
        }
        let matching = |folder: &Folder| {
            let rest = parts(&name[folder.prefix.len()..]);
            folder
                .rules
                .iter()
                .rev()
                .find(|rule| rule.glob.matches(&rest, is_folder))
                .map(|rule| !rule.is_negated)
        };
        self.folders
            .iter()
            .rev()
            .filter(|folder| !folder.rules.is_empty())
            .find_map(matching)
            .unwrap_or(false)
    }
}

fn read(path: &Path) -> Result<Vec<Rule>> {
    let cannot_use = |why: &str| Error::new(format!("cannot use '{}': {why}", path.display()));
    let mut text = String::new();
    let read = regular::open(path).and_then(|(file, _)| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MAX_BYTES => {
            return Err(
                cannot_use(&format!("it has more than {MAX_BYTES} bytes")).with_hint("make it shorter")
            );
        }
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => {
            return Err(cannot_use(&reason(&error)).with_hint("make it a readable text file, or remove it"));
        }
    }
    let mut rules = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let Some(line) = pattern(line) else { continue };
        let (is_negated, line) = line.strip_prefix('!').map_or((false, line), |line| (true, line));
        let glob = Glob::parse_line(line).map_err(|why| {
            cannot_use(&format!("line {} is not a pattern: {why}", number + 1))
                .with_hint("write it as in a .gitignore file")
        })?;
        rules.push(Rule { glob, is_negated });
        if rules.len() > MAX_PATTERNS {
            return Err(cannot_use(&format!("it has more than {MAX_PATTERNS} patterns"))
                .with_hint("make it shorter, with fewer and wider patterns"));
        }
    }
    Ok(rules)
}

/// The pattern in a line; `None` for a comment and an empty line. Spaces at its end count only if they are escaped.
fn pattern(line: &str) -> Option<&str> {
    let mut pattern = line;
    while let Some(shorter) = pattern.strip_suffix(' ') {
        if shorter.ends_with('\\') {
            break;
        }
        pattern = shorter;
    }
    (!pattern.is_empty() && !pattern.starts_with('#')).then_some(pattern)
}
