//! Errors that end a run. A bad blob is data, never an error.

use std::{fmt, io};

use super::secret::redact;

/// Why a run could not start or could not continue: what happened, and how to fix it.
///
/// * No text ever holds a key, a token or a SAS: [`redact`] hides them here, for every error.
/// * `Display` shows the message and the excerpt; the hint is printed on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    excerpt: Option<String>,
    hint: Option<String>,
    closed_output: bool,
    cause: Cause,
}

/// What kind of problem ends a run, for programs that handle some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// Anything else, such as a full disk or a connection that cannot be made.
    #[default]
    Other,
    /// An option or a source that makes no sense.
    Usage,
    /// A file of settings: `presync.toml`, a profile, or the environment's settings of the network.
    Configuration,
    /// No credential, or one that is not accepted.
    Credential,
    /// Something that is not there: a container, a blob, a folder, a file.
    NotFound,
    /// The credential or the user is not allowed to do this.
    Permission,
    /// The service or the network is overloaded: it may work later.
    Throttled,
    /// The caller stopped the run.
    Interrupted,
}

impl Cause {
    /// The cause of a failed operation on a file.
    pub(crate) fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Permission,
            _ => Self::Other,
        }
    }
}

/// The result of an operation whose failure ends a run.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Creates an error that says what happened, in one sentence without a final period.
    pub fn new(message: impl Into<String>) -> Self {
        let message = redact(&message.into()).into_owned();
        Self { message, excerpt: None, hint: None, closed_output: false, cause: Cause::Other }
    }

    /// Adds lines of a file, which are printed below the message. Only these may contain line breaks.
    pub(crate) fn with_excerpt(self, lines: &str) -> Self {
        Self { excerpt: Some(redact(lines).into_owned()), ..self }
    }

    /// Adds a hint that says how to fix it.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(redact(&hint.into()).into_owned()), ..self }
    }

    /// Sets the cause, unless something closer to it has.
    pub(crate) fn because(self, cause: Cause) -> Self {
        if self.cause == Cause::Other { Self { cause, ..self } } else { self }
    }

    /// The same error in other words.
    pub(crate) fn reworded(self, message: impl Into<String>) -> Self {
        Self { message: redact(&message.into()).into_owned(), excerpt: None, ..self }
    }

    /// The reader of the output has closed it, as `head` does. This is not reported.
    pub(crate) fn closed_output() -> Self {
        Self { closed_output: true, ..Self::new("the output was closed") }
    }

    /// Whether the run ended because its output was closed.
    pub(crate) fn is_closed_output(&self) -> bool {
        self.closed_output
    }

    /// What kind of problem it is.
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The lines of a file where it happened.
    pub(crate) fn excerpt(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    /// How to fix it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.excerpt.iter().try_for_each(|lines| write!(f, "\n{lines}"))
    }
}

impl std::error::Error for Error {}

/// Describes what went wrong in an I/O operation, in the system's words and without its error number. Anything that a
/// library adds after the number is dropped too, because the caller names the file itself.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let mut letters = text.split(" (os error").next().unwrap_or_default().chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_no_number_and_no_path() {
        let missing = std::fs::File::open("/no/such/file").expect_err("there is none");
        assert_eq!(reason(&missing), "no such file or directory");
        let wrapped = tempfile::NamedTempFile::new_in("/no/such/folder").expect_err("there is none");
        assert_eq!(reason(&wrapped), "no such file or directory");
        assert_eq!(reason(&io::Error::other("it is full")), "it is full");
    }
}
