//! Examines one blob, from the listing to its verdict, without any I/O: the counterpart of [`Probe`], one level up.
//!
//! An [`Examination`] says what it needs next, takes the answer, and either needs something else or can be judged. The
//! driver does the reading, waiting and counting, in a loop with three arms. The shortest driver is the one for
//! folders, in `run/folder.rs`.
//!
//! The only bytes that an examination holds are those in its probe; [`held`](Examination::held) counts them, and
//! [`release`](Examination::release) drops them. The cap on the bytes held by all examinations of a run is in the
//! driver, `run/memory.rs`, which admits each [`Next::Read`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::model::error::Result;
use crate::model::{Asset, Blob, ByteRange, Kind, ReadError, Reads, Skip, Verdict};
use crate::probe::{Probe, Step, Want};
use crate::rules::{self, Content, Profile};

/// What an examination needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// This range of the blob, which is inside the blob and never empty. Pass the answer to [`Examination::bytes`].
    Read(ByteRange),
    /// The blob as it is listed now, because it has changed. Pass the answer to [`Examination::found`].
    Find,
    /// Nothing more. Pass the content to [`Examination::judge`].
    Judge(Content),
}

impl From<Step> for Next {
    fn from(step: Step) -> Self {
        match step {
            Step::Need(range) => Self::Read(range),
            Step::Done(facts) => Self::Judge(Content::Facts(facts)),
        }
    }
}

/// Takes one blob from the listing to its verdict.
///
/// * A blob is not read if its listing entry is enough to judge it.
/// * A blob that has changed since it was listed is looked up and read again, once.
/// * A problem with a single blob becomes a verdict, even if a parser panics. An error ends the run.
/// * The verdict depends only on the content, not on how the answers split it.
#[derive(Debug)]
pub struct Examination {
    blob: Blob,
    reads: Reads,
    probe: Probe,
    want: Want,
    first_read: Option<u64>,
    is_listed_again: bool,
}

impl Examination {
    /// Starts with a blob of the listing. `first_read` is the length of the first read in bytes, at most 1 MiB; `None`
    /// picks a length by file extension.
    pub fn begin(blob: Blob, want: Want, first_read: Option<u64>) -> (Self, Next) {
        let (probe, step) = match first_read {
            Some(first) => Probe::beginning(first, want, blob.size),
            None => Probe::wanting(want, blob.size, blob.name.extension()),
        };
        let next = rules::without_reading(&blob).map_or_else(|| step.into(), Next::Judge);
        let reads = Reads::default();
        (Self { blob, reads, probe, want, first_read, is_listed_again: false }, next)
    }

    /// Takes the answer to [`Next::Read`]: bytes that start where the range starts. If there are fewer than requested,
    /// the rest is read next; if there are none, the blob ends there.
    ///
    /// # Errors
    /// Returns an error if no blob of the source can be read.
    pub fn bytes(&mut self, answer: std::result::Result<Bytes, ReadError>) -> Result<Next> {
        match answer {
            Ok(bytes) => Ok(guarded(|| self.probe.step(bytes))),
            Err(ReadError::Changed) if !self.is_listed_again => Ok(Next::Find),
            Err(error) => unread(error),
        }
    }

    /// Takes the answer to [`Next::Find`]: the blob, or `None` if it was deleted.
    ///
    /// # Errors
    /// Returns an error if the source cannot be listed.
    pub fn found(&mut self, answer: std::result::Result<Option<Blob>, ReadError>) -> Result<Next> {
        match answer {
            Ok(Some(blob)) => {
                (self.blob, self.is_listed_again) = (blob, true);
                Ok(self.release())
            }
            Ok(None) => unread(ReadError::Gone),
            Err(error) => unread(error),
        }
    }

    /// Judges the content of [`Next::Judge`] by the rules, before the quota is applied.
    pub fn judge(self, content: Content, profile: &Profile) -> Asset {
        let mut asset = rules::judge(self.blob, content, self.reads, profile);
        if self.want.thumbnails && asset.kind == Kind::Image && asset.verdict == Verdict::Reject {
            asset.facts.thumbnail = self.probe.thumbnail();
        }
        asset
    }

    /// The blob, as it was last listed.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The blob and the count of its reads, both of which a reader updates.
    pub fn blob_and_reads(&mut self) -> (&mut Blob, &mut Reads) {
        (&mut self.blob, &mut self.reads)
    }

    /// The probe, with the bytes read so far. Its state is only reliable after [`Content::Facts`].
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// The number of bytes held.
    pub fn held(&self) -> u64 {
        self.probe.held()
    }

    /// Drops all bytes held and starts over with the first read, whose answer replaces that of a [`Next::Read`] which
    /// is still open. Walks that may take thousands of reads hold so little that this does not pay off for them.
    pub fn release(&mut self) -> Next {
        let (again, next) = Self::begin(self.blob.clone(), self.want, self.first_read);
        *self = Self { reads: self.reads, is_listed_again: self.is_listed_again, ..again };
        next
    }
}

/// The facts in `want`, and those that the rules of the profile need besides the ones that are always read.
pub fn wanted(want: Want, profile: &Profile) -> Want {
    Want {
        dimensions: want.dimensions || profile.needs_dimensions(),
        containers: want.containers || profile.needs_containers(),
        ..want
    }
}

/// Runs one step of a probe. If a parser panics, only this blob is affected.
fn guarded(step: impl FnOnce() -> Step) -> Next {
    // A panic may leave the probe in an invalid state, but it is not used again.
    catch_unwind(AssertUnwindSafe(step)).map_or_else(
        |_| {
            let why = "the probe failed on it; this is a bug in presync, please report it";
            Next::Judge(Content::Unreadable(why.to_owned()))
        },
        Next::from,
    )
}

/// Turns a failed read into content that can be judged, or into an error that ends the run.
fn unread(error: ReadError) -> Result<Next> {
    let content = match error {
        ReadError::Changed => Content::Changed,
        ReadError::Gone => Content::Skipped(Skip::Gone),
        ReadError::Archived => Content::Archived,
        ReadError::Unreadable(why) => Content::Unreadable(why),
        ReadError::Refused(why) => Content::Unreachable(why.into()),
        ReadError::Fatal(error) => return Err(error),
    };
    Ok(Next::Judge(content))
}

#[cfg(test)]
mod tests;
