//! What an examination of a connection finds.

use std::time::Duration;

/// How a step of an examination came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Ok,
    /// A sync works, and something about it should still be changed.
    Warning,
    /// A sync does not work.
    Failed,
    /// It cannot be told from here.
    Unknown,
    /// It does not apply, or an earlier step failed.
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

/// One step of an examination. No text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which step, such as `list`.
    pub name: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found: for a failure its cause, for a skipped step why.
    pub detail: String,
    /// What to do about it.
    pub cure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Check {
    /// A step with its outcome.
    pub fn new(name: &'static str, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { name, outcome, detail: detail.into(), cure: None, took: Duration::ZERO }
    }

    /// A step that was left out, and why.
    pub fn skipped(name: &'static str, why: &str) -> Self {
        Self::new(name, Outcome::Skipped, why)
    }

    /// A step that failed, with what to do about it where that is known.
    pub fn failed(name: &'static str, cause: &str, cure: Option<&str>) -> Self {
        Self { cure: cure.map(str::to_owned), ..Self::new(name, Outcome::Failed, cause) }
    }

    /// The same with what to do about it.
    pub fn cure(self, cure: impl Into<String>) -> Self {
        Self { cure: Some(cure.into()), ..self }
    }

    /// The same with how long it took.
    pub fn took(self, took: Duration) -> Self {
        Self { took, ..self }
    }
}
