//! The records in machine-readable reports. Scripts rely on their names and order.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::model::{
    Admit, Asset, BlobName, Code, Cost, Finding, Gauge, Kind, Mirror, Orientation, Origin, PeriodKind, Quota,
    Skip, SyncTotals, Totals,
};
use crate::plan::{IfFixed, Shortage, Summary};
use crate::rules::Profile;

/// The version of the formats. The major version changes when a field is removed or changes its meaning.
pub(super) const FORMAT_VERSION: &str = "1.0";

#[derive(Serialize)]
pub(super) struct AssetRecord<'a> {
    pub(super) name: &'a str,
    pub(super) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<&'a str>,
    pub(super) kind: &'static str,
    pub(super) format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) height: Option<u32>,
    /// `null` if there is no tag; absent if that is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) orientation: Option<Option<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rotation: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mirror: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) major_brand: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compatible_brands: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) codec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pixel_format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frames: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frames_presented: Option<u64>,
    /// Only if `frames` is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frames_at_most: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frame_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variable_frame_rate: Option<bool>,
    /// Absent where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encrypted: Option<bool>,
    /// Where the data would end, behind the file's own end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truncated: Option<u64>,
    pub(super) verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) skipped: Option<&'static str>,
    pub(super) cost: CostRecord,
    /// `new`, `changed` or `unchanged`; absent if it is not known what is on the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) synced: Option<&'static str>,
    /// What a sync uses of the quota; absent where `synced` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) charge: Option<CostRecord>,
    pub(super) findings: Vec<FindingRecord<'a>>,
    /// Rules whose findings the baseline has and this asset no longer has; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fixed: Vec<&'static str>,
    pub(super) reads: ReadsRecord,
}

#[derive(Serialize)]
pub(super) struct CostRecord {
    pub(super) images: u64,
    pub(super) frames: u64,
}

impl CostRecord {
    fn new(Cost { images, frames }: Cost) -> Self {
        Self { images, frames }
    }
}

/// What is on the platform, compared with the accepted assets.
#[derive(Serialize)]
pub(super) struct SyncedRecord<'a> {
    sources: &'a [String],
    new: u64,
    changed: u64,
    unchanged: u64,
    kept: u64,
    gone: GoneRecord<'a>,
    charge: CostRecord,
    returned: CostRecord,
}

#[derive(Serialize)]
struct GoneRecord<'a> {
    count: u64,
    /// The first few.
    names: &'a [BlobName],
    cost: CostRecord,
}

impl<'a> SyncedRecord<'a> {
    pub(super) fn new(synced: &'a SyncTotals) -> Self {
        let SyncTotals { sources, new, changed, unchanged, kept, gone, charge, returned } = synced;
        let gone = GoneRecord { count: gone.count, names: &gone.names, cost: CostRecord::new(gone.cost) };
        Self {
            sources,
            new: *new,
            changed: *changed,
            unchanged: *unchanged,
            kept: *kept,
            gone,
            charge: CostRecord::new(*charge),
            returned: CostRecord::new(*returned),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ReadsRecord {
    pub(super) requests: u32,
    /// Absent if there were none.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) retries: u32,
    pub(super) bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Serialize)]
pub(super) struct FindingRecord<'a> {
    pub(super) code: &'static str,
    pub(super) severity: &'static str,
    pub(super) message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<&'a str>,
    /// `new` or `unchanged`; absent without a baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) baseline: Option<&'static str>,
}

/// What a finding is compared with the baseline.
pub(super) fn since_baseline(is_new: bool) -> &'static str {
    if is_new { "new" } else { "unchanged" }
}

impl<'a> AssetRecord<'a> {
    pub(super) fn new(asset: &'a Asset) -> Self {
        let (blob, facts) = (&asset.blob, &asset.facts);
        let video = facts.video.as_deref();
        let track = video.and_then(|video| video.tracks.first());
        Self {
            name: blob.name.as_str(),
            size: blob.size,
            etag: blob.etag.as_ref().map(|etag| etag.as_str()),
            last_modified: blob.last_modified.map(|time| time.to_string()),
            content_type: blob.declared.content_type.as_deref(),
            content_encoding: blob.declared.content_encoding.as_deref(),
            kind: asset.kind.as_str(),
            format: facts.format.as_str(),
            width: facts.width,
            height: facts.height,
            orientation: match (asset.kind, facts.orientation) {
                (Kind::Image, Orientation::Value(value)) => Some(Some(value)),
                (Kind::Image, Orientation::Absent) => Some(None),
                _ => None,
            },
            rotation: facts.rotation,
            mirror: facts.mirror.map(Mirror::as_str),
            major_brand: video.and_then(|video| video.major_brand).map(|brand| brand.to_string()),
            compatible_brands: video
                .filter(|video| video.major_brand.is_some())
                .map(|video| video.compatible_brands.iter().map(ToString::to_string).collect()),
            codec: track.and_then(|track| track.codec.as_deref()),
            pixel_format: track.and_then(|track| track.pixel_format.as_deref()),
            frames: track.and_then(|track| track.frames),
            frames_presented: track.and_then(|track| track.frames_presented),
            frames_at_most: track.and_then(|track| track.frames_at_most),
            frame_rate: track.and_then(|track| track.frame_rate),
            duration_s: track.and_then(|track| track.duration_s),
            variable_frame_rate: track.and_then(|track| track.variable_frame_rate),
            encrypted: track.map(|track| track.encrypted).filter(|encrypted| *encrypted),
            truncated: facts.truncated,
            verdict: asset.verdict.as_str(),
            skipped: asset.skipped.map(Skip::as_str),
            cost: CostRecord::new(asset.cost),
            synced: asset.synced.map(|standing| standing.state.as_str()),
            charge: asset.synced.map(|standing| CostRecord::new(standing.charge)),
            findings: asset.findings.iter().map(|finding| FindingRecord::new(finding, asset)).collect(),
            fixed: asset.fixed().iter().map(Code::as_str).collect(),
            reads: ReadsRecord {
                requests: asset.reads.requests,
                retries: asset.reads.retries,
                bytes: asset.reads.bytes,
            },
        }
    }
}

impl<'a> FindingRecord<'a> {
    fn new(finding: &'a Finding, asset: &Asset) -> Self {
        Self {
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            message: &finding.message,
            fix: finding.fix.as_deref(),
            baseline: asset.is_new(finding.code).map(since_baseline),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ToolRecord {
    name: &'static str,
    version: &'static str,
}

impl ToolRecord {
    pub(super) fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") }
    }
}

#[derive(Serialize)]
pub(super) struct SourceRecord<'a> {
    provider: &'a str,
    location: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
}

impl<'a> SourceRecord<'a> {
    pub(super) fn new(origin: &'a Origin) -> Self {
        Self {
            provider: &origin.provider,
            location: &origin.location,
            account: origin.account.as_deref(),
            container: origin.container.as_deref(),
            prefix: &origin.prefix,
            credential: origin.credential.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct GaugeRecord<'a> {
    /// What it counts; absent if the rules are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    limit: Option<u64>,
    used_before: u64,
    /// What is kept free; absent if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserve: Option<u64>,
    /// What of it a sync gives back; absent if nothing, as it always is unless the quota is a stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<u64>,
    cost: u64,
    /// Absent unless images and frames share a limit and the other kind uses some of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_of_other_kind: Option<u64>,
    left: Option<u64>,
    fits: bool,
    /// Absent if everything fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortage: Option<&'a Shortage>,
}

impl<'a> GaugeRecord<'a> {
    fn new(unit: Option<String>, gauge: &Gauge, shortage: Option<&'a Shortage>) -> Self {
        Self {
            unit,
            limit: gauge.limit,
            used_before: gauge.used_before,
            reserve: Some(gauge.reserve).filter(|reserve| *reserve > 0),
            returned: Some(gauge.returned).filter(|returned| *returned > 0),
            cost: gauge.cost,
            cost_of_other_kind: Some(gauge.cost_of_other_kind).filter(|cost| *cost > 0),
            left: gauge.left(),
            fits: gauge.fits,
            shortage,
        }
    }
}

#[derive(Serialize)]
pub(super) struct QuotaRecord<'a> {
    admit: &'static str,
    /// Whether images and frames use one quota, which both gauges then show.
    shared: bool,
    /// Whether the quota is that of a month or a stock; absent if the rules are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<PeriodKind>,
    images: GaugeRecord<'a>,
    frames: GaugeRecord<'a>,
    first_refused: Option<&'a str>,
    if_fixed: IfFixedRecord,
}

impl<'a> QuotaRecord<'a> {
    pub(super) fn new(admit: Admit, profile: Option<&Profile>, summary: &'a Summary) -> Self {
        let quota = &summary.quota;
        let unit = |kind| profile.map(|profile| profile.quota_unit(kind));
        let (of_images, of_frames) = (summary.image_shortage.as_ref(), summary.frame_shortage.as_ref());
        Self {
            admit: admit.as_str(),
            shared: quota.is_shared(),
            period: profile.map(|profile| profile.quota.period),
            images: GaugeRecord::new(unit(Kind::Image), &quota.images, of_images),
            frames: GaugeRecord::new(unit(Kind::Video), &quota.frames, of_frames),
            first_refused: summary.first_refused.as_ref().map(|name| name.as_str()),
            if_fixed: IfFixedRecord::new(&summary.if_fixed, quota),
        }
    }
}

/// What would be needed if everything that can be fixed were fixed.
#[derive(Serialize)]
struct IfFixedRecord {
    /// Rejected assets that can be fixed.
    fixable: u64,
    /// Of these, videos whose frames are not known, and so not included.
    uncounted: u64,
    images: NeedRecord,
    frames: NeedRecord,
}

#[derive(Serialize)]
struct NeedRecord {
    /// How many there would be.
    count: u64,
    /// What they would use of the quota.
    cost: u64,
    /// Whether that fits. If images and frames use one quota, whether both fit together.
    fits: bool,
}

impl IfFixedRecord {
    fn new(if_fixed: &IfFixed, quota: &Quota) -> Self {
        let IfFixed { fixable, uncounted, images, frames, image_cost, frame_cost } = *if_fixed;
        let both = image_cost.saturating_add(frame_cost);
        let fits = |gauge: &Gauge, own| gauge.has_room_for(if quota.is_shared() { both } else { own });
        Self {
            fixable,
            uncounted,
            images: NeedRecord { count: images, cost: image_cost, fits: fits(&quota.images, image_cost) },
            frames: NeedRecord { count: frames, cost: frame_cost, fits: fits(&quota.frames, frame_cost) },
        }
    }
}

#[derive(Serialize)]
pub(super) struct TotalsRecord {
    listed: u64,
    accepted: u64,
    rejected: u64,
    skipped: u64,
    unknown: u64,
    excluded: u64,
    images: u64,
    frames: u64,
    bytes_listed: u64,
    bytes_read: u64,
    requests: u64,
    retries: u64,
    elapsed_s: f64,
}

impl TotalsRecord {
    pub(super) fn new(totals: &Totals, elapsed_s: f64) -> Self {
        Self {
            listed: totals.listed,
            accepted: totals.accepted,
            rejected: totals.rejected,
            skipped: totals.skipped,
            unknown: totals.unknown,
            excluded: totals.excluded,
            images: totals.images,
            frames: totals.frames,
            bytes_listed: totals.bytes_listed,
            bytes_read: totals.bytes_read,
            requests: totals.requests,
            retries: totals.retries,
            elapsed_s,
        }
    }
}

/// SHA-256 of all rules of a profile, with the user's changes, in hexadecimal digits: runs with the same one judge alike.
pub(super) fn profile_hash(profile: &Profile) -> String {
    // Data without maps of other keys than text has its JSON.
    let rules = serde_json::to_vec(profile).unwrap_or_default();
    Sha256::digest(rules).iter().map(|byte| format!("{byte:02x}")).collect()
}
