//! Which names of a source are listed.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::glob::{Glob, parts};
use super::{Access, Blob};

/// The most patterns of a filter, so that a plan of someone else cannot make comparing slow.
const MAX_PATTERNS: usize = 1_000;

/// Which names are listed: those that match a pattern to include, or all if there is none, unless they match a pattern
/// to exclude.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, try_from = "Patterns")]
pub struct Filter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<Glob>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<Glob>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Patterns {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl TryFrom<Patterns> for Filter {
    type Error = String;

    fn try_from(Patterns { include, exclude }: Patterns) -> Result<Self, String> {
        Self::new(include, exclude)
    }
}

impl Filter {
    /// A filter of these patterns.
    ///
    /// # Errors
    /// Returns a message if there are too many.
    pub fn new(include: Vec<Glob>, exclude: Vec<Glob>) -> Result<Self, String> {
        match include.len() + exclude.len() {
            0..=MAX_PATTERNS => Ok(Self { include, exclude }),
            count => Err(format!("{count} patterns are more than {MAX_PATTERNS}")),
        }
    }

    /// Whether every name is listed.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether a name is listed.
    pub fn keeps(&self, name: &str) -> bool {
        self.is_empty() || self.decide(name, false, false)
    }

    /// Whether a blob is listed. A folder that is not entered stays unless it is excluded: what is in it may match a
    /// pattern to include.
    pub fn keeps_blob(&self, blob: &Blob) -> bool {
        let not_entered = blob.access == Access::NotEntered;
        self.is_empty() || self.decide(blob.name.as_str(), blob.access == Access::Directory, not_entered)
    }

    fn decide(&self, name: &str, is_folder: bool, is_included: bool) -> bool {
        let parts = parts(name);
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.covers(&parts, is_folder));
        (is_included || self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

impl fmt::Display for Filter {
    /// `include *.jpg, *.png; exclude thumbs/`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |globs: &[Glob]| globs.iter().map(Glob::to_string).collect::<Vec<_>>().join(", ");
        let lists = [("include", &self.include), ("exclude", &self.exclude)];
        let lists = lists.iter().filter(|(_, globs)| !globs.is_empty());
        let lists: Vec<_> = lists.map(|(word, globs)| format!("{word} {}", list(globs))).collect();
        f.write_str(&lists.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let globs = |texts: &[&str]| texts.iter().map(|text| Glob::parse(text).expect("a pattern")).collect();
        Filter::new(globs(include), globs(exclude)).expect("they are few")
    }

    #[test]
    fn excluding_wins_over_including() {
        let both = filter(&["*.jpg", "cam1/"], &["thumbs/", "cam1/*.tmp"]);
        for (name, is_kept) in [
            ("a.jpg", true),
            ("cam1/a.png", true),
            ("a.png", false),
            ("x/thumbs/a.jpg", false),
            ("cam1/a.tmp", false),
        ] {
            assert_eq!(both.keeps(name), is_kept, "{name}");
        }
        assert!(filter(&[], &["a"]).keeps("b") && !filter(&["a"], &[]).keeps("b"));
        assert_eq!(both.to_string(), "include *.jpg, cam1/; exclude thumbs/, cam1/*.tmp");
    }

    #[test]
    fn a_folder_that_is_not_entered_may_hold_what_is_included() {
        let folder = Blob::not_entered("cam1/");
        assert!(filter(&["*.jpg"], &[]).keeps_blob(&folder) && !filter(&[], &["cam1"]).keeps_blob(&folder));
        let marker = Blob { access: Access::Directory, ..Blob::not_entered("cam1") };
        assert!(!filter(&[], &["cam1/"]).keeps_blob(&marker) && filter(&[], &["cam1/"]).keeps("cam1"));
    }

    #[test]
    fn it_reads_back_as_the_same_filter() {
        let both = filter(&["*.{jpg,png}"], &["thumbs/"]);
        let json = serde_json::to_string(&both).expect("it is JSON");
        assert_eq!(json, r#"{"include":["*.{jpg,png}"],"exclude":["thumbs/"]}"#);
        assert_eq!(serde_json::from_str::<Filter>(&json).expect("it reads back"), both);
        assert_eq!(serde_json::from_str::<Filter>("{}").expect("it is empty"), Filter::default());
        assert!(serde_json::from_str::<Filter>(r#"{"exclude":["["]}"#).is_err());
    }
}
