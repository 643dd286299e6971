//! Compares a plan with the current settings and a new listing of its source.

use serde_json::Value;
use smallvec::SmallVec;

use super::{ObstacleKind, Obstacles};
use crate::ledger::KindShortage;
use crate::model::{Asset, Blob, Code, Cost, Period, Severity, Skip, Verdict};
use crate::plan_file::Plan;
use crate::rules::{self, Content, Profile};

/// Compares a plan, and collects what blocks a commit.
///
/// * Blobs that the rules skip without reading are ignored if the plan skipped them too or did not have them: they have
///   no verdict or cost that could have changed.
/// * Assets that the plan could not judge only count as unknown.
#[derive(Debug)]
pub struct Comparison {
    profile: Profile,
    allow_unknown: bool,
    obstacles: Obstacles,
}

impl Comparison {
    /// Compares the header of a plan with the current `period`, the current `profile`, and the oldest version of the
    /// `probe` whose facts are still trusted. Only the rules of the profile are compared, not its name.
    pub fn new(plan: &Plan, profile: Profile, probe: u32, period: Period, allow_unknown: bool) -> Self {
        let mut obstacles = Obstacles::default();
        let header = &plan.header;
        if let Some(why) = &plan.summary.incomplete {
            obstacles.add(ObstacleKind::Incomplete, "", || why.clone());
        }
        let planned = header.profile.quota.period.at(header.begun);
        if planned != period {
            let (planned, now) = (planned.to_string(), period.to_string());
            obstacles
                .add(ObstacleKind::Month, "", || format!("the plan is for {planned}, but it is {now} now"));
        }
        if header.probe_version < probe {
            let version = header.probe_version;
            obstacles.add(ObstacleKind::Probe, "", || {
                format!("the plan's facts have version {version}, but only {probe} and later are trusted")
            });
        }
        for (field, then, now) in other_rules(&header.profile, &profile) {
            obstacles.add(ObstacleKind::Profile, &field, || change(&then, &now));
        }
        Self { profile, allow_unknown, obstacles }
    }

    /// Adds shortages of the quota.
    pub(crate) fn add_shortages(&mut self, shortages: &[KindShortage]) {
        for KindShortage { kind, needed, left } in shortages {
            self.obstacles.add(ObstacleKind::Quota, kind.unit(), || format!("{needed} needed, {left} left"));
        }
    }

    /// Compares the next blob of the listing with the asset of the same name in the plan.
    pub fn listed(&mut self, blob: &Blob, planned: Option<Asset>) {
        let name = blob.name.as_str();
        let Some(planned) = planned.filter(|planned| planned.skipped != Some(Skip::Gone)) else {
            if !matches!(rules::without_reading(blob), Some(Content::Skipped(_))) {
                self.obstacles.add(ObstacleKind::Added, name, || format!("{} bytes", blob.size));
            }
            return;
        };
        if planned.verdict == Verdict::Unknown {
            if !self.allow_unknown {
                let why =
                    || planned.findings.last().map_or_else(String::new, |finding| finding.message.clone());
                self.obstacles.add(ObstacleKind::Unknown, name, why);
            }
            return;
        }
        let (then, version) = (Judgement::of(&planned), planned.blob.clone());
        // Its size and tier alone decided the verdict, and an inventory may not have more than that.
        let needs_no_version =
            planned.reads.requests == 0 && version.etag.is_none() && version.size == blob.size;
        match rules::from_earlier(blob, planned, &self.profile) {
            now if then.verdict == Verdict::Skip && is_skipped(now.as_ref()) => {}
            Some(now) if needs_no_version || is_same_version(blob, &version) => {
                let now = Judgement::of(&now);
                if then != now {
                    self.obstacles.add(ObstacleKind::JudgedOtherwise, name, || then.to(&now));
                }
            }
            _ => self.obstacles.add(ObstacleKind::Changed, name, || difference(&version, blob)),
        }
    }

    /// Adds an asset of the plan that is no longer listed.
    pub fn removed(&mut self, planned: &Asset) {
        if planned.verdict != Verdict::Skip {
            let verdict = planned.verdict.as_str();
            self.obstacles.add(ObstacleKind::Removed, planned.blob.name.as_str(), || {
                format!("the plan says {verdict}")
            });
        }
    }

    /// The obstacles so far.
    pub fn obstacles(&self) -> &Obstacles {
        &self.obstacles
    }

    /// Returns the obstacles.
    pub(crate) fn into_obstacles(self) -> Obstacles {
        self.obstacles
    }
}

fn is_skipped(asset: Option<&Asset>) -> bool {
    asset.is_some_and(|asset| asset.verdict == Verdict::Skip)
}

/// Whether a listed blob is the same version. Without an ETag this is unknown.
fn is_same_version(now: &Blob, then: &Blob) -> bool {
    now.etag.is_some() && now.etag == then.etag && now.size == then.size
}

/// Describes how a blob differs from the one that was judged.
fn difference(then: &Blob, now: &Blob) -> String {
    let etag = |blob: &Blob| blob.etag.as_ref().map_or("none", |etag| etag.as_str()).to_owned();
    if then.size != now.size {
        format!("{} → {} bytes", then.size, now.size)
    } else if is_same_version(now, then) {
        "it could not be read then, but can be now".to_owned()
    } else {
        format!("ETag {} → {}", etag(then), etag(now))
    }
}

/// What the rules alone say about an asset, regardless of the budget and other assets.
#[derive(Debug, PartialEq)]
struct Judgement {
    verdict: Verdict,
    cost: Cost,
    codes: SmallVec<[Code; 4]>,
}

impl Judgement {
    fn of(asset: &Asset) -> Self {
        let depends_on_others =
            |code| matches!(code, Code::ImageQuota | Code::FrameQuota | Code::DuplicateBasename);
        let (others, own): (Vec<_>, Vec<_>) =
            asset.findings.iter().partition(|finding| depends_on_others(finding.code));
        // Only assets that the rules alone accept can be rejected because of other assets.
        let is_rejected_for_others = others.iter().any(|finding| finding.severity == Severity::Error);
        let verdict = if is_rejected_for_others { Verdict::Accept } else { asset.verdict };
        let codes = own.iter().map(|finding| finding.code).collect();
        Self { verdict, cost: asset.cost, codes }
    }

    /// `accept → reject (IMG001)`, with the costs if they differ.
    fn to(&self, now: &Self) -> String {
        let text = |judgement: &Self| {
            let codes: Vec<_> = judgement.codes.iter().map(|code| code.as_str()).collect();
            match codes.is_empty() {
                true => judgement.verdict.as_str().to_owned(),
                false => format!("{} ({})", judgement.verdict.as_str(), codes.join(", ")),
            }
        };
        let cost = |judgement: &Self| judgement.cost.images.saturating_add(judgement.cost.frames);
        let mut changes = Vec::new();
        if (self.verdict, &self.codes) != (now.verdict, &now.codes) {
            changes.push(format!("{} → {}", text(self), text(now)));
        }
        if self.cost != now.cost {
            changes.push(format!("cost {} → {}", cost(self), cost(now)));
        }
        changes.join("; ")
    }
}

/// The rules that differ between two profiles, such as `images.orientations`, with both values as JSON.
fn other_rules(then: &Profile, now: &Profile) -> Vec<(String, Value, Value)> {
    let parts = [
        ("images", serde_json::to_value(&then.images), serde_json::to_value(&now.images)),
        ("videos", serde_json::to_value(&then.videos), serde_json::to_value(&now.videos)),
        ("quota", serde_json::to_value(then.quota), serde_json::to_value(now.quota)),
    ];
    let mut fields = Vec::new();
    for (part, then, now) in parts {
        // Both have the same fields in the same order, because they have the same type.
        let (Ok(Value::Object(then)), Ok(Value::Object(now))) = (then, now) else { continue };
        let both = then.into_iter().zip(now.into_iter().map(|(_, now)| now));
        let other = both.filter(|((_, then), now)| then != now);
        fields.extend(other.map(|((field, then), now)| (format!("{part}.{field}"), then, now)));
    }
    fields
}

/// `1 → 2`, or for a list the items added and removed: `+6, -"bmp"`.
fn change(then: &Value, now: &Value) -> String {
    let (Value::Array(then), Value::Array(now)) = (then, now) else { return format!("{then} → {now}") };
    let came = now.iter().filter(|item| !then.contains(item)).map(|item| format!("+{item}"));
    let went = then.iter().filter(|item| !now.contains(item)).map(|item| format!("-{item}"));
    let changes: Vec<_> = came.chain(went).collect();
    if changes.is_empty() { "in a different order".to_owned() } else { changes.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, BlobName, ETag, Facts, Format, Orientation, Reads};

    fn profile() -> Profile {
        Profile::load("nexus").expect("it is built in")
    }

    fn blob(name: &str, etag: &str, access: Access) -> Blob {
        let (name, etag) = (BlobName::new(name), Some(ETag::new(etag)));
        Blob { name, size: 10, etag, last_modified: None, access }
    }

    fn upright(blob: Blob) -> Asset {
        let facts = Facts { orientation: Orientation::Absent, ..Facts::of(Format::Jpeg) };
        rules::judge(blob, Content::Facts(facts), Reads::default(), &profile())
    }

    /// What stands in the way when this is listed where the plan has that.
    fn obstacles(listed: &Blob, planned: Option<Asset>) -> Vec<(ObstacleKind, String)> {
        let obstacles = Obstacles::default();
        let mut comparison = Comparison { profile: profile(), allow_unknown: false, obstacles };
        comparison.listed(listed, planned);
        let found = comparison.obstacles.iter();
        found.map(|(kind, found)| (kind, found.examples[0].detail.clone())).collect()
    }

    #[test]
    fn tiers_count_although_the_version_is_the_same() {
        let online = blob("a.jpg", "1", Access::Online);
        let archived = blob("a.jpg", "1", Access::Archived);
        let planned_archived =
            Some(rules::judge(archived.clone(), Content::Archived, Reads::default(), &profile()));
        assert_eq!(obstacles(&archived, planned_archived.clone()), []);
        let to_archive = obstacles(&archived, Some(upright(online.clone())));
        assert_eq!(to_archive, [(ObstacleKind::JudgedOtherwise, "accept → reject (BLB002)".to_owned())]);
        let back = obstacles(&online, planned_archived);
        assert_eq!(back, [(ObstacleKind::Changed, "it could not be read then, but can be now".to_owned())]);
    }

    #[test]
    fn what_is_skipped_unread_may_come_and_change() {
        let sidecar = |etag| blob("a.json", etag, Access::Online);
        let content = rules::without_reading(&sidecar("1")).expect("its name says enough");
        let planned = Some(rules::judge(sidecar("1"), content, Reads::default(), &profile()));
        assert_eq!(obstacles(&sidecar("2"), planned), []);
        assert_eq!(obstacles(&sidecar("2"), None), []);
        // What was read to be skipped may be an image now.
        let text = |etag| blob("notes", etag, Access::Online);
        let planned = || {
            let facts = Content::Facts(Facts::of(Format::Unknown));
            Some(rules::judge(text("1"), facts, Reads::default(), &profile()))
        };
        assert_eq!(obstacles(&text("1"), planned()), []);
        assert_eq!(obstacles(&text("2"), planned()), [(ObstacleKind::Changed, "ETag 1 → 2".to_owned())]);
        assert_eq!(obstacles(&text("2"), None), [(ObstacleKind::Added, "10 bytes".to_owned())]);
    }

    #[test]
    fn what_is_skipped_now_and_was_accepted_counts() {
        let planned = Some(upright(blob("photo", "1", Access::Online)));
        let empty = Blob { size: 0, ..blob("photo", "2", Access::Online) };
        assert_eq!(obstacles(&empty, planned), [(ObstacleKind::Changed, "10 → 0 bytes".to_owned())]);
    }

    #[test]
    fn what_was_gone_and_is_back_is_new() {
        let listed = blob("a.jpg", "1", Access::Online);
        let gone = rules::judge(listed.clone(), Content::Skipped(Skip::Gone), Reads::default(), &profile());
        assert_eq!(obstacles(&listed, Some(gone)), [(ObstacleKind::Added, "10 bytes".to_owned())]);
    }

    #[test]
    fn the_budget_is_no_judgement() {
        let listed = blob("a.jpg", "1", Access::Online);
        let mut refused = upright(listed.clone());
        refused.verdict = Verdict::Reject;
        refused.findings = vec![crate::model::Finding::new(Code::ImageQuota, "none is left")];
        assert_eq!(obstacles(&listed, Some(refused)), []);
    }

    #[test]
    fn a_profile_is_its_rules() {
        let then = profile();
        let mut now = Profile { title: "Another".to_owned(), assumptions: Vec::new(), ..profile() };
        assert_eq!(other_rules(&then, &now), []);
        now.images.orientations = vec![1, 6];
        now.videos.cost_per_frame = 2;
        let fields: Vec<_> = other_rules(&then, &now).into_iter().map(|(field, ..)| field).collect();
        assert_eq!(fields, ["images.orientations", "videos.cost_per_frame"]);
    }
}
