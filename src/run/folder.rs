//! Examines blobs whose reads block a thread: they are read and probed on the pool, many per job.

use std::sync::Arc;

use futures::{Stream, TryStreamExt};

use super::listing::Work;
use super::pool::Pool;
use super::settle::Delivery;
use super::{Examiner, worker_failed};
use crate::examine::Next;
use crate::model::error::Result;
use crate::model::{Asset, Blob};
use crate::rules;
use crate::source::{BlockingReader, Near};

/// Files read and probed per job. A job by itself costs about as much as a file.
pub(super) const FILES: usize = 64;

/// Reads the files of a folder and examines them.
pub(super) struct Folder {
    pub(super) reader: Arc<dyn BlockingReader>,
    pub(super) examiner: Arc<Examiner>,
    pub(super) pool: Arc<Pool>,
}

impl Folder {
    /// Examines all blobs, which come in groups of at most [`FILES`], with `at_once` files or twice as many jobs as
    /// `workers` in flight, whichever is more.
    pub(super) async fn examine_all(
        &self,
        groups: impl Stream<Item = Result<(u64, Vec<Work>)>>,
        at_once: usize,
        workers: usize,
        delivery: &Delivery,
    ) -> Result<()> {
        // Keep a job waiting for each worker, so that none is idle between two jobs.
        let jobs = at_once.div_ceil(FILES).max(2 * workers);
        groups.try_for_each_concurrent(jobs, |(first, works)| self.examine_some(first, works, delivery)).await
    }

    async fn examine_some(&self, first: u64, works: Vec<Work>, delivery: &Delivery) -> Result<()> {
        let (mut files, mut known) = (Vec::with_capacity(works.len()), Vec::new());
        let mut next = first;
        for work in works {
            let ordinal = next;
            next += work.len() as u64;
            match work {
                Work::Examine(blob) => files.push((ordinal, blob)),
                Work::Known(judged) => known.extend((ordinal..).zip(judged)),
            }
        }
        // Verdicts that are already known must not wait for the files of the same chunk.
        if !known.is_empty() {
            delivery.send(known).await?;
        }
        if files.is_empty() {
            return Ok(());
        }
        let (reader, examiner) = (Arc::clone(&self.reader), Arc::clone(&self.examiner));
        let examine_files = move || {
            let mut near = Near::default();
            let mut judged = Vec::with_capacity(files.len());
            for (ordinal, blob) in files {
                judged.push((ordinal, examine(&*reader, &mut near, &examiner, blob)?.into()));
            }
            Ok(judged)
        };
        let judged = self.pool.run(examine_files).await;
        delivery.send(judged.unwrap_or_else(|| Err(worker_failed()))?).await
    }
}

/// Examines one file on this thread.
fn examine(
    reader: &dyn BlockingReader,
    near: &mut Near,
    examiner: &Examiner,
    mut blob: Blob,
) -> Result<Asset> {
    let is_read = !rules::is_skipped_by_name(&blob.name);
    let opened = reader.open(near, &mut blob, is_read);
    let (mut examination, mut next) = examiner.begin(blob);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => {
            next = examination.bytes(Err(error))?;
            None
        }
    };
    loop {
        next = match next {
            Next::Read(range) => {
                let (blob, reads) = examination.blob_and_reads();
                let answer = reader.read(near, &mut file, blob, range, reads);
                examination.bytes(answer)?
            }
            Next::Find => {
                file = None;
                let found = reader.find(&examination.blob().name);
                examiner.found(&mut examination, found)?
            }
            Next::Judge(content) => return Ok(examination.judge(content, &examiner.profile)),
        };
    }
}
