//! Obstacles: what blocks a commit.

use std::collections::BTreeMap;

/// The most examples kept for each kind of obstacle: enough to see what happened, in bounded memory.
const EXAMPLES: usize = 5;

/// The kinds of obstacle, in the order of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObstacleKind {
    /// The plan's run did not finish.
    Incomplete,
    /// The plan is for another month's budget.
    Month,
    /// The plan's facts are from a probe that is no longer trusted.
    Probe,
    /// The rules differ from those of the plan.
    Profile,
    /// Assets that the plan could not judge.
    Unknown,
    /// Blobs that are not in the plan.
    Added,
    /// Blobs of the plan that are no longer listed.
    Removed,
    /// Blobs whose version differs from the one that was judged.
    Changed,
    /// Assets for which the current rules give a different result.
    JudgedOtherwise,
    /// The plan needs more quota than is left.
    Quota,
}

impl ObstacleKind {
    /// The name used in scripts, such as `judged-otherwise`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Month => "month",
            Self::Probe => "probe",
            Self::Profile => "profile",
            Self::Unknown => "unknown",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::JudgedOtherwise => "judged-otherwise",
            Self::Quota => "quota",
        }
    }

    /// A one-line description.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Incomplete => "the plan has only the first part of the listing",
            Self::Month => "the plan is for another month's quota",
            Self::Probe => "the plan's facts are from an older probe",
            Self::Profile => "the profile's rules differ from the plan's",
            Self::Unknown => "not judged in the plan; --allow-unknown leaves them out",
            Self::Added => "listed, but not in the plan",
            Self::Removed => "in the plan, but no longer listed",
            Self::Changed => "not the version that the plan judged",
            Self::JudgedOtherwise => "the current rules give a different result",
            Self::Quota => "the plan needs more than what is left",
        }
    }
}

/// An example of an obstacle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObstacleExample {
    /// The blob's name, the profile's field or the kind of quota; empty for the plan itself.
    pub subject: String,
    /// What is wrong.
    pub detail: String,
}

/// All obstacles of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obstacle {
    /// The number of obstacles.
    pub count: u64,
    /// The first few of them.
    pub examples: Vec<ObstacleExample>,
}

/// Everything that blocks a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obstacles(BTreeMap<ObstacleKind, Obstacle>);

impl Obstacles {
    /// Adds an obstacle. `detail` is only called if it is kept as an example.
    pub fn add(&mut self, kind: ObstacleKind, subject: &str, detail: impl FnOnce() -> String) {
        let obstacle = self.0.entry(kind).or_default();
        obstacle.count += 1;
        if obstacle.examples.len() < EXAMPLES {
            obstacle.examples.push(ObstacleExample { subject: subject.to_owned(), detail: detail() });
        }
    }

    /// Whether nothing blocks the commit.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The kinds that occur, with their obstacles.
    pub fn iter(&self) -> impl Iterator<Item = (ObstacleKind, &Obstacle)> {
        self.0.iter().map(|(kind, obstacle)| (*kind, obstacle))
    }
}
