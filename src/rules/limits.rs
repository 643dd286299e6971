//! The limits of the quota that a run is given, checked against what its profile counts.

use super::Profile;
use crate::model::error::{Cause, Error, Result};
use crate::model::{Gauge, Kind, Quota, QuotaKind};

/// What the platform's quota has left, from options or from a connection. Which of them apply depends on the profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of images; also of images and frames together, if they share a quota.
    pub images: Option<u64>,
    /// Of frames of video.
    pub frames: Option<u64>,
    /// Of data rows.
    pub data_rows: Option<u64>,
}

/// Where limits come from, which decides what errors call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBy {
    /// The command line.
    Options,
    /// A connection of `presync.toml`.
    Connection,
}

impl Limits {
    /// The names of the limits, in the order of the fields.
    fn names(given_by: GivenBy) -> [&'static str; 3] {
        match given_by {
            GivenBy::Options => ["--image-quota", "--frame-quota", "--data-row-quota"],
            GivenBy::Connection => ["quota.images", "quota.frames", "quota.data_rows"],
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The limits for images and for frames.
    ///
    /// # Errors
    /// Returns an error that names the right limit if one is of something that the profile does not count.
    pub fn of_profile(self, profile: &Profile, given_by: GivenBy) -> Result<(Option<u64>, Option<u64>)> {
        let limits = [self.images, self.frames, self.data_rows];
        let place = |kind| match (profile.quota_kind(kind), kind) {
            (Some(QuotaKind::DataRows), _) => 2,
            (_, Kind::Video) if !profile.is_shared() => 1,
            _ => 0,
        };
        let (images, frames) = (place(Kind::Image), place(Kind::Video));
        let names = Self::names(given_by);
        let is_wrong = |place: &usize| limits[*place].is_some() && *place != images && *place != frames;
        if let Some(wrong) = (0..limits.len()).find(is_wrong) {
            let (wrong, name) = (names[wrong], profile.name.escape_debug());
            let (image, frame) = (profile.quota_unit(Kind::Image), profile.quota_unit(Kind::Video));
            let (counts, right) = match images == frames {
                true => (format!("{image}, in one quota"), format!("use {} N", names[images])),
                false => {
                    let right = format!("use {} N and {} N", names[images], names[frames]);
                    (format!("{image} and {frame}"), right)
                }
            };
            let counts = counts.escape_debug();
            let cause = match given_by {
                GivenBy::Options => Cause::Usage,
                _ => Cause::Configuration,
            };
            return Err(Error::new(format!("{wrong} does not apply: the profile '{name}' counts {counts}"))
                .because(cause)
                .with_hint(right.replace(" N", if given_by == GivenBy::Options { " N" } else { " = N" })));
        }
        Ok((limits[images], limits[frames]))
    }

    /// The budget `quota` with these limits in place of its own.
    ///
    /// # Errors
    /// The same as for [`of_profile`](Self::of_profile).
    pub fn instead_of(self, quota: Quota, profile: &Profile, given_by: GivenBy) -> Result<Quota> {
        let (images, frames) = self.of_profile(profile, given_by)?;
        let gauge = |left: Option<u64>, own: Gauge| left.map_or(own, |left| Gauge::new(Some(left), 0));
        let (images, frames) = (gauge(images, quota.images), gauge(frames, quota.frames));
        Ok(if profile.is_shared() { Quota::shared(images) } else { Quota::of(images, frames) })
    }
}

/// The budget with this much kept free.
///
/// # Errors
/// Returns an error if there is not one quota for everything, because it would be unclear which one is meant.
pub fn keeping(quota: Quota, reserve: Option<u64>, profile: &Profile) -> Result<Quota> {
    match reserve {
        None => Ok(quota),
        Some(reserve) if profile.is_shared() => Ok(quota.keeping(reserve)),
        Some(_) => {
            let name = profile.name.escape_debug();
            Err(Error::new(format!("--reserve does not apply: the profile '{name}' has two quotas"))
                .because(Cause::Usage)
                .with_hint("keep quota free by giving a lower --image-quota or --frame-quota"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str, shared: bool) -> Profile {
        let mut profile = Profile::load(name).expect("it is built in");
        profile.quota.shared |= shared;
        profile
    }

    #[test]
    fn every_profile_has_its_own_limits() {
        let all = Limits { images: Some(1), frames: Some(2), data_rows: Some(3) };
        let of = |limits: Limits, profile: &Profile| limits.of_profile(profile, GivenBy::Options);
        let (nexus, one, vi) = (profile("nexus", false), profile("nexus", true), profile("vi", false));
        assert_eq!(of(Limits { data_rows: None, ..all }, &nexus), Ok((Some(1), Some(2))));
        assert_eq!(of(Limits { images: Some(1), ..Limits::default() }, &one), Ok((Some(1), Some(1))));
        assert_eq!(of(Limits { data_rows: Some(3), ..Limits::default() }, &vi), Ok((Some(3), Some(3))));
        for (limits, profile, message, hint) in [
            (all, &nexus, "--data-row-quota does not apply", "use --image-quota N and --frame-quota N"),
            (Limits { data_rows: None, ..all }, &one, "--frame-quota does not apply", "use --image-quota N"),
            (
                all,
                &vi,
                "--image-quota does not apply: the profile 'vi' counts data rows",
                "use --data-row-quota N",
            ),
        ] {
            let error = of(limits, profile).expect_err(message);
            assert!(error.message().starts_with(message), "{error}");
            assert_eq!(error.hint(), Some(hint));
        }
        let error = all.of_profile(&vi, GivenBy::Connection).expect_err("images");
        assert_eq!(error.hint(), Some("use quota.data_rows = N"));
    }

    #[test]
    fn only_one_quota_can_be_kept_free() {
        let none = Quota::new(None, None);
        assert!(keeping(none, Some(5), &profile("nexus", false)).is_err());
        let quota = keeping(none, Some(5), &profile("vi", false)).expect("it counts data rows");
        assert_eq!(quota.images.reserve, 5);
    }
}
