//! The result of a comparison: counts, and groups of names with the first few of each.

use serde::Serialize;

/// The most examples of a group that are kept. A page for browsers shows that many; text shows fewer.
const MAX_EXAMPLES: usize = 1_000;
/// The most bytes of a group's examples, so that long names do not make a page large.
const MAX_EXAMPLE_BYTES: usize = 256 << 10;

/// What a count or a group means for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Something will be missing, or is.
    Bad,
    /// Worth a look.
    Warning,
    /// Not known.
    Unknown,
    /// A fact.
    Plain,
}

/// A number of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Its name in JSON.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// The number.
    pub count: u64,
    /// What it means.
    pub tone: Tone,
    /// What it counts.
    pub note: &'static str,
}

/// A name, and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The name of an asset, or as a file has it.
    pub name: String,
    /// One sentence without a final period.
    pub message: String,
}

/// Names with the same outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The outcome, as in records.
    pub key: &'static str,
    /// The outcome for people.
    pub title: &'static str,
    /// What it means.
    pub tone: Tone,
    /// The number of names.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Example>,
    bytes: usize,
}

impl Group {
    /// A group without any names.
    pub(super) fn new(key: &'static str, title: &'static str, tone: Tone) -> Self {
        Self { key, title, tone, count: 0, examples: Vec::new(), bytes: 0 }
    }

    /// Counts a name, and keeps it if it is one of the first.
    pub(super) fn add(&mut self, name: &str, message: &str) {
        self.count += 1;
        let bytes = name.len() + message.len();
        if self.examples.len() < MAX_EXAMPLES && self.bytes + bytes <= MAX_EXAMPLE_BYTES {
            self.bytes += bytes;
            self.examples.push(Example { name: name.to_owned(), message: message.to_owned() });
        }
    }
}

/// What many names have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pattern {
    /// The number of names.
    pub count: u64,
    /// The rule or assumption that it contradicts, such as `VID001`.
    pub contradicts: String,
    /// What is so, and what seems to follow.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// A value in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Not known, or not applicable.
    Empty,
    /// Text.
    Text(String),
    /// A number.
    Number(u64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text.to_owned()) }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }
}

impl<T: Into<u64>> From<Option<T>> for Cell {
    fn from(number: Option<T>) -> Self {
        number.map_or(Self::Empty, |number| Self::Number(number.into()))
    }
}

/// One name of the comparison: names of fields and their values, always the same ones in the same order.
pub type Record = Vec<(&'static str, Cell)>;

/// What is counted, its count, and what that means.
pub(super) type TableRow = (String, u64, String);

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// `reconcile` or `labels`.
    pub command: &'static str,
    /// The files that were compared with the plan.
    pub files: Vec<String>,
    /// The numbers, the most general one first.
    pub counts: Vec<Count>,
    /// The groups that a person should look at, the worst first. Some may be empty.
    pub groups: Vec<Group>,
    /// What the differences have in common.
    pub patterns: Vec<Pattern>,
    /// Counts by rule or by the platform's code, under a title and with what each line means.
    pub tables: Vec<(&'static str, Vec<TableRow>)>,
    /// What limits the result.
    pub notes: Vec<String>,
    /// The result in one sentence.
    pub verdict: (Tone, String),
    /// What to do next: labels and texts.
    pub next: Vec<(&'static str, String)>,
    /// Whether something does not match.
    pub differs: bool,
    /// Whether something is worth a look.
    pub warns: bool,
    /// Whether everything was read and judged.
    pub is_complete: bool,
}
