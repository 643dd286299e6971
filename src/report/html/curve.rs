//! Quota use over the course of the listing.

use serde::Serialize;

use super::{MAX_POINTS, is_refused};
use crate::model::{Asset, Code, Verdict};
use crate::report::shown;

/// What is spent up to a position in the listing, and what would be spent without limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Point {
    position: u64,
    images: u64,
    images_asked: u64,
    frames: u64,
    frames_asked: u64,
}

/// The first asset refused by the quota of its kind.
#[derive(Debug, Serialize)]
pub(super) struct FirstRefused {
    name: String,
    at: Point,
}

/// Points at equal intervals. The interval doubles whenever there are too many points, so every point is exact for a
/// listing of any length.
#[derive(Debug)]
pub(super) struct QuotaCurve {
    now: Point,
    every: u64,
    points: Vec<Point>,
    image_refused: Option<FirstRefused>,
    frame_refused: Option<FirstRefused>,
}

impl Default for QuotaCurve {
    fn default() -> Self {
        Self {
            now: Point::default(),
            every: 1,
            points: vec![Point::default()],
            image_refused: None,
            frame_refused: None,
        }
    }
}

impl QuotaCurve {
    pub(super) fn add(&mut self, asset: &Asset) {
        let now = &mut self.now;
        now.position += 1;
        let (is_accepted, is_refused) = (asset.verdict == Verdict::Accept, is_refused(asset));
        if is_accepted || is_refused {
            now.images_asked = now.images_asked.saturating_add(asset.cost.images);
            now.frames_asked = now.frames_asked.saturating_add(asset.cost.frames);
        }
        if is_accepted {
            now.images = now.images.saturating_add(asset.cost.images);
            now.frames = now.frames.saturating_add(asset.cost.frames);
        }
        if is_refused {
            let at = *now;
            let by_images = asset.findings.iter().any(|finding| finding.code == Code::ImageQuota);
            let refused = if by_images { &mut self.image_refused } else { &mut self.frame_refused };
            refused.get_or_insert_with(|| FirstRefused { name: shown(asset.blob.name.as_str()), at });
        }
        if self.now.position.is_multiple_of(self.every) {
            self.points.push(self.now);
            if self.points.len() > MAX_POINTS {
                self.every *= 2;
                let every = self.every;
                self.points.retain(|point| point.position.is_multiple_of(every));
            }
        }
    }

    /// The points, including the last entry and the first refused assets.
    pub(super) fn points(&self) -> Vec<Point> {
        let mut points = self.points.clone();
        points.push(self.now);
        points.extend(
            [&self.image_refused, &self.frame_refused].into_iter().flatten().map(|refused| refused.at),
        );
        points.sort_by_key(|point| point.position);
        points.dedup();
        points
    }

    pub(super) fn image_refused(&self) -> Option<&FirstRefused> {
        self.image_refused.as_ref()
    }

    pub(super) fn frame_refused(&self) -> Option<&FirstRefused> {
        self.frame_refused.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, Blob, BlobName, Cost, Facts, Finding, Format, Kind, Reads};

    fn image(position: u64, fits: bool) -> Asset {
        let blob = Blob {
            name: BlobName::new(format!("{position:06}.jpg")),
            size: 10,
            etag: None,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        };
        Asset {
            blob,
            kind: Kind::Image,
            facts: Facts::of(Format::Jpeg),
            verdict: if fits { Verdict::Accept } else { Verdict::Reject },
            cost: Cost { images: 1, frames: 0 },
            synced: None,
            earlier: None,
            findings: if fits { Vec::new() } else { vec![Finding::new(Code::ImageQuota, "none is left")] },
            skipped: None,
            reads: Reads::default(),
        }
    }

    #[test]
    fn every_point_is_exact_and_there_are_never_too_many() {
        const LIMIT: u64 = 7_777;
        let mut curve = QuotaCurve::default();
        for position in 1..=100_000 {
            curve.add(&image(position, position <= LIMIT));
            assert!(curve.points.len() <= MAX_POINTS);
        }
        let points = curve.points();
        assert!(points.len() > MAX_POINTS / 4, "{}", points.len());
        for point in &points {
            assert_eq!((point.images, point.images_asked), (point.position.min(LIMIT), point.position));
        }
        assert_eq!(points.last().map(|point| point.position), Some(100_000));
        let refused = curve.image_refused().expect("some are");
        assert_eq!((refused.at.position, refused.name.as_str()), (LIMIT + 1, "007778.jpg"));
        assert!(points.contains(&refused.at) && curve.frame_refused().is_none());
    }
}
