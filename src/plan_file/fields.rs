//! How the values of a plan's columns are found in an asset, and set.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::files::parquet_file::Fault;
use crate::model::{
    Access, Asset, Blob, BlobName, Code, Cost, Facts, Finding, Format, FourCc, GapCost, Kind, Malformed,
    Orientation, Severity, Standing, SyncState, Verdict, Video, VideoTrack,
};

/// Nanoseconds per microsecond.
const MICROSECOND: i64 = 1_000;
/// Microseconds per second.
const SECOND: i64 = 1_000_000;

/// Whether a value could be set.
pub(super) type Done = Result<(), Fault>;

pub(super) fn blank_finding() -> Finding {
    Finding { code: Code::ALL[0], severity: Severity::Error, message: String::new(), fix: None }
}

/// An asset without any values yet.
pub(super) fn blank() -> Asset {
    Asset {
        blob: Blob {
            name: BlobName::new(""),
            size: 0,
            etag: None,
            last_modified: None,
            access: Access::Online,
            declared: Default::default(),
        },
        kind: Kind::Other,
        facts: Facts::of(Format::Unknown),
        verdict: Verdict::Unknown,
        cost: Cost::default(),
        synced: None,
        earlier: None,
        findings: Vec::new(),
        skipped: None,
        reads: crate::model::Reads::default(),
    }
}

pub(super) fn text(text: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(text))
}

pub(super) fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

pub(super) fn etag(asset: &Asset, _: usize) -> Option<Cow<'_, str>> {
    text(asset.blob.etag.as_ref()?.as_str())
}

pub(super) fn access_reason(asset: &Asset, _: usize) -> Option<Cow<'_, str>> {
    match &asset.blob.access {
        Access::Unreachable(why) => text(why),
        _ => None,
    }
}

/// The whole microseconds, and the remaining nanoseconds.
pub(super) fn modified(asset: &Asset) -> Option<(i64, i64)> {
    let time = asset.blob.last_modified?;
    let rest = i64::from(time.subsec_nanosecond());
    Some((time.as_second() * SECOND + rest.div_euclid(MICROSECOND), rest.rem_euclid(MICROSECOND)))
}

pub(super) fn malformed(asset: &Asset) -> Option<&Malformed> {
    asset.facts.malformed.as_ref()
}

pub(super) fn malformed_mut(asset: &mut Asset) -> &mut Malformed {
    let blank = || Malformed { part: Cow::Borrowed(""), fault: Cow::Borrowed(""), offset: 0 };
    asset.facts.malformed.get_or_insert_with(blank)
}

pub(super) fn gap_cost_mut(asset: &mut Asset) -> &mut GapCost {
    asset.facts.gap_cost.get_or_insert(GapCost { reads: 0, bytes: 0 })
}

pub(super) fn video(asset: &Asset) -> Option<&Video> {
    asset.facts.video.as_deref()
}

pub(super) fn video_mut(asset: &mut Asset) -> &mut Video {
    asset.facts.video.get_or_insert_default()
}

pub(super) fn track(asset: &Asset, at: usize) -> Option<&VideoTrack> {
    video(asset)?.tracks.get(at)
}

pub(super) fn track_mut(asset: &mut Asset, at: usize) -> &mut VideoTrack {
    &mut video_mut(asset).tracks[at]
}

pub(super) fn ignore_text(_: &mut Asset, _: usize, _: &str) -> Done {
    Ok(())
}

pub(super) fn ignore<T>(_: &mut Asset, _: usize, _: T) -> Done {
    Ok(())
}

pub(super) fn set<T>(slot: &mut T, value: T) -> Done {
    *slot = value;
    Ok(())
}

/// Sets a number whose type may be smaller than that of the column.
pub(super) fn fit<N: TryFrom<i64>>(slot: &mut N, value: i64) -> Done {
    *slot = value.try_into().map_err(|_| format!("it has the number {value}, which is out of range"))?;
    Ok(())
}

pub(super) fn some<N: TryFrom<i64> + Default>(slot: &mut Option<N>, value: i64) -> Done {
    fit(slot.insert(N::default()), value)
}

/// Sets the value of `all` that has this name.
pub(super) fn pick<T: Copy>(
    slot: &mut T,
    all: &[T],
    as_str: fn(T) -> &'static str,
    name: &str,
    what: &str,
) -> Done {
    let picked = all.iter().copied().find(|one| as_str(*one) == name).ok_or_else(|| unknown(what, name))?;
    set(slot, picked)
}

pub(super) fn pick_some<T: Copy>(
    slot: &mut Option<T>,
    all: &[T],
    as_str: fn(T) -> &'static str,
    name: &str,
    what: &str,
) -> Done {
    let mut picked = all[0];
    pick(&mut picked, all, as_str, name, what)?;
    set(slot, Some(picked))
}

pub(super) fn set_modified(asset: &mut Asset, _: usize, microseconds: i64) -> Done {
    let time = Timestamp::from_microsecond(microseconds);
    set(&mut asset.blob.last_modified, Some(time.map_err(|_| no_time(microseconds))?))
}

pub(super) fn add_nanoseconds(asset: &mut Asset, _: usize, rest: i64) -> Done {
    let Some(time) = asset.blob.last_modified else { return Ok(()) };
    let time = Timestamp::from_nanosecond(time.as_nanosecond() + i128::from(rest));
    set(&mut asset.blob.last_modified, Some(time.map_err(|_| no_time(rest))?))
}

pub(super) fn no_time(number: i64) -> Fault {
    format!("it has the time {number}, which is out of range")
}

pub(super) fn set_access(asset: &mut Asset, _: usize, name: &str) -> Done {
    set(&mut asset.blob.access, Access::named(name, "").ok_or_else(|| unknown("access", name))?)
}

pub(super) fn set_access_reason(asset: &mut Asset, _: usize, why: &str) -> Done {
    if let Access::Unreachable(reason) = &mut asset.blob.access {
        *reason = why.into();
    }
    Ok(())
}

pub(super) fn set_format(asset: &mut Asset, _: usize, name: &str) -> Done {
    pick(&mut asset.facts.format, Format::ALL, Format::as_str, name, "format")
}

pub(super) fn set_orientation_read(asset: &mut Asset, _: usize, was_read: bool) -> Done {
    if was_read && asset.facts.orientation == Orientation::NotRead {
        asset.facts.orientation = Orientation::Absent;
    }
    Ok(())
}

pub(super) fn set_sync_state(asset: &mut Asset, _: usize, name: &str) -> Done {
    let mut state = SyncState::New;
    pick(&mut state, SyncState::ALL, SyncState::as_str, name, "state of a sync")?;
    asset.synced = Some(Standing { state, charge: Cost::default() });
    Ok(())
}

pub(super) fn set_earlier(asset: &mut Asset, _: usize, codes: &str) -> Done {
    set(&mut asset.earlier, Some(codes.parse().map_err(|_| unknown("codes", codes))?))
}

/// The charge of an asset whose state is set.
pub(super) fn charge_mut(asset: &mut Asset) -> &mut Cost {
    let cost = asset.cost;
    &mut asset.synced.get_or_insert(Standing { state: SyncState::New, charge: cost }).charge
}

pub(super) fn four_cc(text: &str) -> Result<FourCc, Fault> {
    text.parse().map_err(|_| unknown("brand", text))
}

pub(super) fn unknown(what: &str, text: &str) -> Fault {
    format!("this presync does not know the {what} '{}'", text.escape_debug())
}
