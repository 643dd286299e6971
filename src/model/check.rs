//! The results of checking a connection.

use std::time::Duration;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as it should be.
    Ok,
    /// A sync works, but something should be changed.
    Warning,
    /// A sync would fail.
    Failed,
    /// The check cannot be decided from here.
    Unknown,
    /// The check does not apply, or an earlier one failed.
    Skipped,
}

impl Outcome {
    /// `ok`, `warning`, `failed`, `unknown` or `skipped`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

/// One check of a connection. Its texts never hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The name of the check, such as `list`.
    pub name: &'static str,
    /// Its outcome.
    pub outcome: Outcome,
    /// What was found: the cause of a failure, or why the check was skipped.
    pub detail: String,
    /// How to fix it.
    pub cure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Check {
    /// Creates a check with its outcome.
    pub fn new(name: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { name, outcome, detail: detail.into(), cure: None, took: Duration::ZERO }
    }

    /// Creates a check that was skipped, with the reason.
    pub fn skipped(name: &'static str, why: &str) -> Self {
        Self::new(name, Outcome::Skipped, why)
    }

    /// Creates a check that failed, with a fix if one is known.
    pub fn failed(name: &'static str, cause: &str, cure: Option<&str>) -> Self {
        Self { cure: cure.map(str::to_owned), ..Self::new(name, Outcome::Failed, cause) }
    }

    /// Adds how to fix it.
    pub(crate) fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }

    /// Adds how long it took.
    pub fn took(self, took: Duration) -> Self {
        Self { took, ..self }
    }
}
