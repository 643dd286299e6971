//! The steps that a run depends on: the first page of the listing, and a range of a blob.

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use super::{DEADLINE, retried};
use crate::model::{Access, Blob, ByteRange, Check, Format, Kind, Outcome, ReadError};
use crate::source::azure::auth::Authorization;
use crate::source::azure::failure::Failure;
use crate::source::azure::list_page::{MAX_BLOBS, Page};
use crate::source::azure::{AzureSource, Cursor};

/// Pages to list until one has a blob: the service may send empty ones.
const MAX_PAGES: usize = 8;

/// Bytes to read: as many as a run reads first of most formats.
const RANGE_BYTES: u64 = 4096;

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
    /// The first one with content that can be read.
    pub readable: Option<Blob>,
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
    let mut blobs = page.blobs.into_iter();
    let sample = Sample {
        video: blobs.as_slice().iter().find(|blob| is_video(blob)).cloned(),
        readable: blobs.find(is_readable),
    };
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

/// Reads the beginning of a blob, in the version that was listed. Also returns whether a role is missing.
pub(super) async fn read(source: &AzureSource, blob: &Blob) -> (Check, bool) {
    let begun = Instant::now();
    let range = ByteRange::new(0, RANGE_BYTES).within(blob.size);
    let received = AtomicU64::new(0);
    let read = retried(source, || source.try_read(blob, range, &received)).await;
    let (name, size) = (blob.name.as_str(), blob.size);
    let (check, lacks_role) = match read {
        Ok((bytes, _)) => {
            let detail = format!("{} of {size} bytes of '{name}'", bytes.len());
            (Check::new("read", Outcome::Ok, detail), false)
        }
        Err(failed) => {
            let unknown = |why: &str| Check::new("read", Outcome::Unknown, format!("'{name}' {why}"));
            let check = match source.read_error(&failed) {
                ReadError::Fatal(error) => Check::failed("read", error.message(), error.hint()),
                ReadError::Changed => unknown("changed since it was listed"),
                ReadError::Gone => unknown("was deleted since it was listed"),
                ReadError::Archived => unknown("was archived since it was listed"),
                ReadError::Unreadable(why) | ReadError::Refused(why) => {
                    Check::new("read", Outcome::Failed, format!("'{name}' cannot be read: {why}"))
                        .cure("try again later; if other blobs can be read, check this one in the portal")
                }
            };
            (check, lacks_role(source, &failed.failure))
        }
    };
    (check.took(begun.elapsed()), lacks_role)
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
