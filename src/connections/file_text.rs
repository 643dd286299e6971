//! Errors in the file's text: each names its line and column, and shows the line unless it may hold a secret.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use crate::model::error::Error;

/// What the name of a secret contains, in lower case and without `-` and `_`.
const SECRETS: [&str; 8] =
    ["connectionstring", "credential", "key", "password", "sas", "secret", "signature", "token"];

/// The text of a file, for errors that show where they are.
pub(super) struct FileText<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl FileText<'_> {
    /// The error at a value.
    pub(super) fn at(&self, value: &Spanned<String>, error: Error) -> Error {
        let fault = self.fault(Some(value.span()), error.message());
        match error.hint() {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    }

    /// An error at a part of the text, with its line and a mark below it.
    pub(super) fn fault(&self, span: Option<Range<usize>>, message: &str) -> Error {
        let path = self.path.display();
        let Some(span) = span else { return Error::new(format!("'{path}' is not valid: {message}")) };
        let (line, column) = self.place(span.start);
        // A tab would shift the mark, and nothing from a file may move the cursor.
        let plain = |text: &str| text.replace(char::is_control, " ");
        let source = plain(self.text.lines().nth(line - 1).unwrap_or_default());
        let message = plain(message);
        let head = format!("'{path}' is not valid at line {line}, column {column}");
        if may_hold_secret(&source) {
            return Error::new(format!("{head}; the line is not shown, because it may hold a secret"));
        }
        let width =
            self.text.get(span).map_or(0, |part| part.lines().next().unwrap_or_default().chars().count());
        let number = line.to_string();
        let gap = " ".repeat(number.len());
        let mark = format!("{}{}", " ".repeat(column - 1), "^".repeat(width.max(1)));
        Error::new(format!("{head}: {message}"))
            .with_excerpt(&format!("{gap} |\n{number} | {source}\n{gap} | {mark}"))
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}

/// Whether this is the name of a secret.
pub(super) fn looks_secret(key: &str) -> bool {
    let key: String =
        key.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_ascii_lowercase();
    key == "sig" || SECRETS.iter().any(|secret| key.contains(secret))
}

/// Whether the line sets something with the name of a secret, in TOML, in a SAS or in a connection string, or has a URL
/// with a password.
fn may_hold_secret(line: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut parts: Vec<_> = line.split(['=', ':']).collect();
    parts.pop();
    let names = parts.iter().map(|part| part.trim_end_matches([' ', '\t', '"', '\'']));
    let mut names = names.filter_map(|part| part.rsplit(|c| !is_letter(c)).next());
    names.any(looks_secret) || line.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}
