//! What blocks a commit.

use std::collections::BTreeMap;

/// Names that are kept of each kind of obstacle: enough to see what happened, and no more memory than that.
const EXAMPLES: usize = 5;

/// A kind of obstacle, in the order in which reports have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObstacleKind {
    /// The plan's run did not finish.
    Incomplete,
    /// The plan was weighed against the budget of another month.
    Month,
    /// The plan's facts are from a probe that is no longer trusted.
    Probe,
    /// The rules are not those of the plan.
    Profile,
    /// Assets that the plan has no verdict on.
    Unknown,
    /// Blobs that the plan does not know.
    Added,
    /// Blobs of the plan that are not listed any more.
    Removed,
    /// Blobs of another version than the one that was judged.
    Changed,
    /// Assets on which today's rules give a different result.
    JudgedOtherwise,
    /// More is needed than what is left of the quota.
    Quota,
}

impl ObstacleKind {
    /// The short name that scripts use, such as `judged-otherwise`.
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

    /// What it means, in a line.
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
            Self::JudgedOtherwise => "today's rules give a different result",
            Self::Quota => "the plan needs more than what is left",
        }
    }
}

/// One case of an obstacle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObstacleExample {
    /// The blob's name, the profile's field or the kind of quota; empty where the plan itself is meant.
    pub subject: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Everything of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obstacle {
    /// How many there are.
    pub count: u64,
    /// The first few of them.
    pub examples: Vec<ObstacleExample>,
}

/// Everything that blocks a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obstacles(BTreeMap<ObstacleKind, Obstacle>);

impl Obstacles {
    /// Adds one more of a kind; `detail` is asked for only while examples are kept.
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

    /// Each kind that there is.
    pub fn iter(&self) -> impl Iterator<Item = (ObstacleKind, &Obstacle)> {
        self.0.iter().map(|(kind, obstacle)| (*kind, obstacle))
    }
}
