//! Errors that end a run. A bad blob is data and never one of these.

use std::fmt;

/// Why a run could not start or could not go on: what happened, and the way out.
///
/// * Neither text ever holds a key, a token or a SAS.
/// * Printed as `message` and, on a line of its own, `hint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    hint: Option<String>,
    closed_output: bool,
}

/// The result of something that can end a run.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that says what happened, in one sentence without a full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, closed_output: false }
    }

    /// The same error with the way out.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Whoever read the output has closed it, as `head` does: nothing need be said.
    pub fn closed_output() -> Self {
        Self { closed_output: true, ..Self::new("the output was closed") }
    }

    /// Whether the run ended because nobody reads its output any more.
    pub fn is_closed_output(&self) -> bool {
        self.closed_output
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The way out.
    pub fn way_out(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
