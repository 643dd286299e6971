//! The steps that a run depends on: the first page of the listing, and a range of a blob.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::{DEADLINE, retried};
use crate::model::{Access, Blob, ByteRange, Check, Format, Kind, Outcome, ReadError};
use crate::source::azure::auth::Authorization;
use crate::source::azure::failure::Failure;
use crate::source::azure::list_page::{MAX_BLOBS, Page};
use crate::source::azure::retry::Failed;
use crate::source::azure::{AzureSource, Cursor};

/// Pages to list until one has a blob: the service may send empty ones.
const MAX_PAGES: usize = 8;

/// Bytes to read: as many as a run reads first of most formats.
const RANGE_BYTES: u64 = 4096;

/// Blobs to read, spread over the page: a few of many may be refused, by their tags or their own rules.
const SAMPLE: usize = 5;

/// Reads over which the latency is measured.
const READS: usize = 5;

/// The result of the listing step, and what later steps need of it.
pub(super) struct Listed {
    pub check: Check,
    pub sample: Sample,
    /// Whether it failed because a role is missing.
    pub propagating: bool,
}

/// Blobs of the first page.
#[derive(Default)]
pub(super) struct Sample {
    /// Up to [`SAMPLE`] that have content, from the first to the last.
    pub readable: Vec<Blob>,
    /// The first one with the extension of a video.
    pub video: Option<Blob>,
}

impl Listed {
    /// A skipped step, with the reason.
    pub(super) fn without(why: &str) -> Self {
        Self { check: Check::skipped("list", why), sample: Sample::default(), propagating: false }
    }
}

/// Lists the first page.
pub(super) async fn list(source: &AzureSource) -> Listed {
    let begun = Instant::now();
    let mut cursor = Cursor::new(source.url.prefix(), MAX_BLOBS);
    let mut page = Page::default();
    for _ in 0..MAX_PAGES {
        page = match retried(source, || source.try_page(&cursor)).await {
            Ok(page) => page,
            Err(failed) => {
                let error = source.explain(&failed);
                let check = Check::failed("list", error.message(), error.hint()).took(begun.elapsed());
                return Listed {
                    check,
                    sample: Sample::default(),
                    propagating: lacks_role(source, &failed.failure),
                };
            }
        };
        cursor.marker.clone_from(&page.next);
        if !page.blobs.is_empty() || cursor.marker.is_none() {
            break;
        }
    }
    let check = found(source, &page).took(begun.elapsed());
    let is_readable = |blob: &Blob| blob.access == Access::Online && blob.size > 0;
    let video = page.blobs.iter().find(|blob| is_video(blob)).cloned();
    let readable: Vec<_> = page.blobs.into_iter().filter(is_readable).collect();
    let step = readable.len().div_ceil(SAMPLE).max(1);
    let sample = Sample { video, readable: readable.into_iter().step_by(step).collect() };
    Listed { check, sample, propagating: false }
}

/// Describes the page: how many blobs and videos it has.
fn found(source: &AzureSource, page: &Page) -> Check {
    let (count, prefix) = (page.blobs.len(), source.url.prefix());
    if count == 0 {
        let check = |detail: String| Check::new("list", Outcome::Warning, detail);
        return match (&page.next, prefix) {
            (Some(_), _) => check(format!("the first {MAX_PAGES} pages are empty, and more follow")),
            (None, "") => check("the container is empty".into()),
            (None, prefix) => check(format!("no blob name starts with '{prefix}'"))
                .cure("check the prefix: it is a plain string without a leading slash, and case matters"),
        };
    }
    let videos = page.blobs.iter().filter(|blob| is_video(blob)).count();
    let more = if page.next.is_some() { ", and more follow" } else { "" };
    let noun = if count == 1 { "blob" } else { "blobs" };
    Check::new("list", Outcome::Ok, format!("{count} {noun} (videos: {videos}){more}"))
}

/// The result of the reading step.
pub(super) struct Read {
    pub check: Check,
    /// A blob that could be read.
    pub readable: Option<Blob>,
    /// Whether it failed because a role is missing.
    pub lacks_role: bool,
}

impl Read {
    /// A skipped step, with the reason.
    pub(super) fn without(why: &str) -> Self {
        Self { check: Check::skipped("read", why), readable: None, lacks_role: false }
    }
}

/// Reads the beginning of each blob, in the version that was listed. One that can be read is enough for a sync of it, so
/// others that cannot are a warning.
pub(super) async fn read(source: &AzureSource, blobs: Vec<Blob>) -> Read {
    let begun = Instant::now();
    let count = blobs.len();
    let (mut readable, mut refused, mut lacks_role) = (Vec::new(), Vec::new(), false);
    for blob in blobs {
        let range = ByteRange::new(0, RANGE_BYTES).within(blob.size);
        let received = AtomicU64::new(0);
        match retried(source, || source.try_read(&blob, range, &received)).await {
            Ok(_) => readable.push(blob),
            Err(failed) => {
                lacks_role |= self::lacks_role(source, &failed.failure);
                refused.push(unread(source, &blob, &failed));
            }
        }
    }
    let check = match (readable.first(), refused.len()) {
        (Some(blob), 0) if count == 1 => {
            let read = RANGE_BYTES.min(blob.size);
            Check::new("read", Outcome::Ok, format!("{read} of {} bytes of '{}'", blob.size, blob.name))
        }
        (Some(_), 0) => {
            Check::new("read", Outcome::Ok, format!("the first {RANGE_BYTES} bytes of each of {count} blobs"))
        }
        (Some(_), failed) => {
            let first = refused.swap_remove(0);
            let detail = format!("{failed} of {count} blobs cannot be read: {}", first.detail);
            Check { outcome: Outcome::Warning, detail, ..first }
        }
        (None, _) => refused.swap_remove(0),
    };
    let lacks_role = lacks_role && readable.is_empty();
    Read { check: check.took(begun.elapsed()), readable: readable.into_iter().next(), lacks_role }
}

/// Why a blob was not read.
fn unread(source: &AzureSource, blob: &Blob, failed: &Failed) -> Check {
    let name = blob.name.as_str();
    let unknown = |why: &str| Check::new("read", Outcome::Unknown, format!("'{name}' {why}"));
    match source.read_error(failed) {
        ReadError::Fatal(error) => Check::failed("read", error.message(), error.hint()),
        ReadError::Changed => unknown("changed since it was listed"),
        ReadError::Gone => unknown("was deleted since it was listed"),
        ReadError::Archived => unknown("was archived since it was listed"),
        ReadError::Unreadable(why) | ReadError::Refused(why) => {
            Check::new("read", Outcome::Failed, format!("'{name}' cannot be read: {why}"))
                .cure("try again later; if other blobs can be read, check this one in the portal")
        }
    }
}

/// Measures how long a read of one byte takes.
pub(super) async fn latency(source: &AzureSource, blob: &Blob) -> Check {
    let mut times = Vec::with_capacity(READS);
    for _ in 0..READS {
        let begun = Instant::now();
        let received = AtomicU64::new(0);
        let read = source.try_read(blob, ByteRange::new(0, 1), &received);
        match tokio::time::timeout(DEADLINE, read).await {
            Ok(Ok(_)) => times.push(begun.elapsed()),
            Ok(Err(failure)) => return Check::new("latency", Outcome::Unknown, failure.to_string()),
            Err(_) => return Check::new("latency", Outcome::Unknown, "no response in time"),
        }
    }
    times.sort_unstable();
    let [p50, max] = [times[READS / 2], times[READS - 1]].map(|time| time.as_secs_f64() * 1e3);
    let detail = format!("p50 {p50:.1} ms, max {max:.1} ms, over {READS} reads of one byte");
    Check::new("latency", Outcome::Ok, detail)
}

/// Whether a role is missing. The service responds the same way while a role assignment propagates.
fn lacks_role(source: &AzureSource, failure: &Failure) -> bool {
    let is_role = matches!(source.credential.authorization, Authorization::Token(_));
    is_role && failure.code() == Some("AuthorizationPermissionMismatch")
}

fn is_video(blob: &Blob) -> bool {
    let format = blob.name.extension().and_then(Format::of_extension);
    format.is_some_and(|format| format.kind() == Kind::Video)
}
