//! Assets that wait on the disk.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::{PlanReader, PlanWriter};
use crate::model::error::{Error, Result, reason};
use crate::model::{Admit, Asset, Origin, Quota, Totals};
use crate::plan::{Budget, RunHeader, Sink, Summary};
use crate::rules::Profile;

/// Assets that wait on the disk until all of them are known, in the order in which they came. Memory does not grow with
/// their number; the file goes away with this.
pub struct Spool {
    rows: PlanWriter,
    totals: Totals,
    folder: TempDir,
}

impl Spool {
    /// An empty one, in the system's folder for temporary files.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn new(profile: Arc<Profile>) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|error| {
            Error::new(format!("cannot make a temporary folder: {}", reason(&error)))
                .with_hint("set TMPDIR to a folder that you may write to")
        })?;
        let rows = PlanWriter::create(&folder.path().join("assets"), nobody(profile))?;
        Ok(Self { rows, totals: Totals::default(), folder })
    }

    /// Takes the next asset.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, asset: &Asset) -> Result<()> {
        self.totals.add(asset);
        self.rows.settled(asset)
    }

    /// Gives back all of them.
    ///
    /// # Errors
    /// When they cannot be written or read.
    pub fn read(self) -> Result<impl Iterator<Item = Result<Asset>>> {
        let Self { rows, totals, folder } = self;
        let nothing = Budget::new(Quota::new(None, None)).summary();
        Box::new(rows).finish(&Summary { totals, ..nothing }, Duration::ZERO)?;
        let assets = PlanReader::open(&folder.path().join("assets"))?;
        // The folder is there for as long as the file is read.
        Ok(assets.inspect(move |_| _ = &folder))
    }
}

/// The header of a file that nobody else reads.
fn nobody(profile: Arc<Profile>) -> RunHeader {
    let origin = Origin {
        provider: "spool".into(),
        location: String::new(),
        account: None,
        container: None,
        prefix: String::new(),
        credential: None,
    };
    RunHeader {
        origin,
        root: None,
        profile_from: profile.name.clone(),
        profile,
        workspace: None,
        probe_version: 0,
        recursive: true,
        dimensions: false,
        admit: Admit::Listing,
        begun: Timestamp::UNIX_EPOCH,
    }
}
