//! From a listed blob to its verdict, without any I/O: what a [`Probe`] is to the bytes of a blob, one floor up.
//!
//! An [`Examination`] says what it needs next, is given the answer, and either needs something else or can be judged.
//! The driver does the reading, the waiting and the counting, in a loop of three arms; the shortest one is that of a
//! folder, in `run/folder.rs`.
//!
//! All that an examination holds of its blob is in its probe, [`held`](Examination::held) bytes. A cap on what all
//! examinations of a run hold together is the driver's, where it admits a [`Next::Read`]: it knows the range and what is
//! held. A parser that goes on where it stopped would keep its place in the probe; nothing here would change.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::model::error::Result;
use crate::model::{Asset, Blob, ByteRange, ReadError, Reads, Skip};
use crate::probe::{Probe, Step, Want};
use crate::rules::{self, Content, Profile};

/// What an examination needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// These bytes of the blob: inside it, never empty. The answer goes to [`Examination::bytes`].
    Read(ByteRange),
    /// The blob as it is listed now, because it changed. The answer goes to [`Examination::found`].
    Find,
    /// Nothing: this is known of the content, to be given to [`Examination::judge`].
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

/// The way of one blob from the listing to its verdict.
///
/// * A blob that the listing says enough about is not read.
/// * One that changed since it was listed is looked up and read again, once.
/// * Whatever happens to a single blob ends in a verdict, also a parser that panics. An error ends the run.
/// * The verdict depends on the answers alone, not on how the bytes were cut.
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
    /// Begins with a blob of the listing. `first_read` is the length of the first read in bytes, at most 1 MiB; `None` for
    /// what the extension makes likely to be enough.
    pub fn begin(blob: Blob, want: Want, first_read: Option<u64>) -> (Self, Next) {
        let (probe, step) = match first_read {
            Some(first) => Probe::beginning(first, want, blob.size),
            None => Probe::wanting(want, blob.size, blob.name.extension()),
        };
        let next = rules::without_reading(&blob).map_or_else(|| step.into(), Next::Judge);
        let reads = Reads::default();
        (Self { blob, reads, probe, want, first_read, is_listed_again: false }, next)
    }

    /// Takes the answer to [`Next::Read`]: the bytes that begin where the range begins. Fewer than asked for lead to a read
    /// of the rest; none at all mean that the blob ends there.
    ///
    /// # Errors
    /// When no blob of the source can be read.
    pub fn bytes(&mut self, answer: std::result::Result<Bytes, ReadError>) -> Result<Next> {
        match answer {
            Ok(bytes) => Ok(guarded(|| self.probe.step(bytes))),
            Err(ReadError::Changed) if !self.is_listed_again => Ok(Next::Find),
            Err(error) => unread(error),
        }
    }

    /// Takes the answer to [`Next::Find`]; `None` when the blob is gone.
    ///
    /// # Errors
    /// When no blob of the source can be listed.
    pub fn found(&mut self, answer: std::result::Result<Option<Blob>, ReadError>) -> Result<Next> {
        match answer {
            Ok(Some(blob)) => {
                let (again, next) = Self::begin(blob, self.want, self.first_read);
                *self = Self { reads: self.reads, is_listed_again: true, ..again };
                Ok(next)
            }
            Ok(None) => unread(ReadError::Gone),
            Err(error) => unread(error),
        }
    }

    /// The verdict of the rules, before the quota is weighed, by what [`Next::Judge`] says.
    pub fn judge(self, content: Content, profile: &Profile) -> Asset {
        rules::judge(self.blob, content, self.reads, profile)
    }

    /// The blob, as it was listed last.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The blob and the account of its reads, for a reader, which adds to both.
    pub fn blob_and_reads(&mut self) -> (&mut Blob, &mut Reads) {
        (&mut self.blob, &mut self.reads)
    }

    /// What was read of the blob. After anything but [`Content::Facts`], it may be in pieces.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Bytes of the blob that are held.
    pub fn held(&self) -> u64 {
        self.probe.held()
    }
}

/// Takes a step of a probe. A parser that panics must cost no more than this one verdict.
fn guarded(step: impl FnOnce() -> Step) -> Next {
    // The probe may be left in pieces: nothing is asked of it any more.
    catch_unwind(AssertUnwindSafe(step)).map_or_else(
        |_| {
            let why = "the probe failed on it; this is a defect of presync, please report it";
            Next::Judge(Content::Unreadable(why.to_owned()))
        },
        Next::from,
    )
}

/// What an answer without bytes says of the content.
fn unread(error: ReadError) -> Result<Next> {
    let content = match error {
        ReadError::Changed => Content::Changed,
        ReadError::Gone => Content::Skipped(Skip::Gone),
        ReadError::Archived => Content::Archived,
        ReadError::Unreadable(why) => Content::Unreadable(why),
        ReadError::Fatal(error) => return Err(error),
    };
    Ok(Next::Judge(content))
}

#[cfg(test)]
mod tests;
