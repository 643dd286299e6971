//! What there is to fix, and what that costs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::args::FixArgs;
use super::container::Renamed;
use super::space;
use super::tools;
use super::work::Chosen;
use crate::model::{Asset, Blob, BlobName, Code, Kind, Quota, Verdict};
use crate::report::fix::{Estimate, Summary};
use crate::rules::Profile;
use crate::rules::fix::{Effort, Fix, fix};

/// How long the programs take for an image, on a core of 2024: most of it is starting them.
const IMAGE: Duration = Duration::from_millis(350);
/// Pixels of an image that are turned or encoded per second.
const IMAGE_PIXELS: f64 = 20e6;
/// How long ffmpeg takes to start.
const VIDEO: Duration = Duration::from_millis(200);
/// Pixels of a video that are encoded per second, by libx264 at its default preset.
const VIDEO_PIXELS: f64 = 25e6;
/// Bytes of a video that are copied per second.
const COPIED: f64 = 200e6;
/// Pixels of an asset whose dimensions were not read: full HD.
const PIXELS: f64 = 1920.0 * 1080.0;
/// Bytes of the pieces in which blobs are fetched and uploaded.
const PIECE: u64 = 8 << 20;
/// Bytes of the blocks that the service copies.
const COPIED_BLOCK: u64 = 256 << 20;
/// Bytes that are read of a blob whose brand is set, and a few that are written.
const HEAD: u64 = 4096;

/// What to do about an asset.
pub(super) enum Choose {
    /// Nothing: it is accepted, isn't an asset, or has no finding to fix.
    Nothing,
    /// A fix.
    Fix(Box<Chosen>),
    /// It would have to be encoded again, which the user does not want.
    LeftOut,
    /// No command can fix it because of this finding.
    Unfixable(Code),
}

/// Decides what to do about an asset.
pub(super) fn choose(args: &FixArgs, asset: Asset, profile: &Profile) -> Choose {
    let codes = args.wanted(&asset);
    // An asset that could not be judged is not fixed: what is wrong with it is not known.
    if matches!(asset.verdict, Verdict::Skip | Verdict::Unknown) {
        return Choose::Nothing;
    }
    if codes.is_empty() {
        // Rejected for a name, which is changed only on request.
        let is_name = args.only.is_none() && asset.verdict == Verdict::Reject;
        return if is_name { Choose::Unfixable(Code::ExtensionMismatch) } else { Choose::Nothing };
    }
    match fix(&asset, profile, args.edges(), |code| codes.contains(&code)) {
        Ok(fix) if args.lossless_only && fix.effort() == Effort::Encode => Choose::LeftOut,
        Ok(fix) => Choose::Fix(Box::new(Chosen { asset, fix, codes })),
        Err(code) => Choose::Unfixable(code),
    }
}

/// What there is to fix.
pub(super) struct Survey<'a> {
    args: &'a FixArgs,
    /// Whether the source is a container.
    is_container: bool,
    /// Names elsewhere.
    to: Option<Renamed>,
    pub summary: Summary,
    /// The programs that are needed.
    pub programs: BTreeSet<String>,
    /// The first blob to fix.
    pub example: Option<Blob>,
    /// The asset whose fix needs the most bytes of temporary files, and how many.
    pub largest: Option<(BlobName, u64)>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(args: &'a FixArgs, is_container: bool, to: Option<Renamed>, quota: Quota) -> Self {
        let (summary, programs) = (Summary::new(quota), BTreeSet::new());
        Self { args, is_container, to, summary, programs, example: None, largest: None }
    }

    /// Counts an asset. Returns its name, its new name and the effort if it can be fixed.
    pub(super) fn add(&mut self, asset: Asset, profile: &Profile) -> Option<(BlobName, BlobName, Effort)> {
        let (charge, kind, verdict) = (asset.charge(), asset.kind, asset.verdict);
        let (images, frames) = asset.counts();
        let summary = &mut self.summary;
        let fixable = match choose(self.args, asset, profile) {
            Choose::Nothing if verdict != Verdict::Accept => return None,
            Choose::Nothing => None,
            Choose::Unfixable(code) => {
                *summary.unfixable.entry(code).or_default() += 1;
                return None;
            }
            Choose::LeftOut => {
                summary.left_out += 1;
                return None;
            }
            Choose::Fix(chosen) => {
                let Chosen { asset, fix, codes } = &*chosen;
                let group = summary.groups.entry(fix.effort()).or_default();
                group.assets += 1;
                group.bytes = group.bytes.saturating_add(asset.blob.size);
                for code in codes {
                    *summary.codes.entry(*code).or_default() += 1;
                }
                let name = chosen.name();
                let name = self.to.as_ref().map_or_else(|| name.clone(), |to| to.name(&name));
                if name != asset.blob.name {
                    summary.add_rename(&asset.blob.name, &name);
                }
                if let Fix::Run(recipe) = fix {
                    self.programs.extend(tools::programs(recipe).map(str::to_owned));
                }
                summary.estimate.add(&estimate(&chosen, self.is_container, self.args));
                self.example.get_or_insert_with(|| asset.blob.clone());
                let needed = match is_copied(fix, self.is_container, self.args) && self.args.backup.is_none()
                {
                    true => 0,
                    false => space::needed(fix, asset.blob.size),
                };
                if needed > self.largest.as_ref().map_or(0, |(_, most)| *most) {
                    self.largest = Some((asset.blob.name.clone(), needed));
                }
                Some((asset.blob.name.clone(), name, fix.effort()))
            }
        };
        let is_fixable = fixable.is_some();
        let needs = &mut summary.if_fixed;
        needs.fixable += u64::from(is_fixable);
        needs.uncounted += u64::from(is_fixable && kind == Kind::Video && frames == 0);
        needs.images = needs.images.saturating_add(images);
        needs.frames = needs.frames.saturating_add(frames);
        match kind {
            Kind::Image => needs.image_cost = needs.image_cost.saturating_add(charge.images),
            Kind::Video => needs.frame_cost = needs.frame_cost.saturating_add(charge.frames),
            Kind::Other => {}
        }
        fixable
    }
}

/// Whether the service copies the content by itself.
fn is_copied(fix: &Fix, is_container: bool, args: &FixArgs) -> bool {
    is_container && args.out.is_none() && !matches!(fix, Fix::Run(_))
}

/// What a fix takes, roughly.
pub(super) fn estimate(Chosen { asset, fix, .. }: &Chosen, is_container: bool, args: &FixArgs) -> Estimate {
    let size = asset.blob.size;
    let facts = &asset.facts;
    let pixels = match (facts.width, facts.height) {
        (Some(width), Some(height)) => f64::from(width) * f64::from(height),
        _ => PIXELS,
    };
    let seconds = |value: f64| Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX);
    let frames = asset.counts().1 as f64;
    let work = match (fix.effort(), asset.kind) {
        (Effort::Rename | Effort::Patch, _) => Duration::ZERO,
        (Effort::Encode, Kind::Video) => VIDEO.saturating_add(seconds(pixels * frames / VIDEO_PIXELS)),
        (Effort::Lossless, Kind::Video) => VIDEO.saturating_add(seconds(size as f64 / COPIED)),
        _ => IMAGE.saturating_add(seconds(pixels / IMAGE_PIXELS)),
    };
    let pieces = size.div_ceil(PIECE).max(1);
    // Properties, and the list of the blocks; where the blob goes elsewhere, whether it is there.
    let others = 2 + u64::from(args.to.is_some());
    let (requests, bytes) = match (is_copied(fix, is_container, args), is_container) {
        (true, _) => {
            // The head is read twice: once to change it, and once to judge it.
            let reads = 1 + u64::from(asset.reads.requests).max(1);
            (
                others + reads + 1 + size.div_ceil(COPIED_BLOCK),
                HEAD.saturating_add(asset.reads.bytes).min(size),
            )
        }
        (false, true) if args.out.is_some() => (pieces, size),
        (false, true) => (others + 2 * pieces, size.saturating_mul(2)),
        (false, false) if args.to.is_some() => (others + pieces, size),
        (false, false) => (0, 0),
    };
    Estimate { requests, bytes, work }
}
