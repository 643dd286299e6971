//! Assets that are buffered on disk.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::columns::Use;
use super::{GROUP_ROWS, PlanReader, PlanWriter, Rows};
use crate::files::temporary;
use crate::model::error::Result;
use crate::model::{Asset, Origin, Quota, Totals};
use crate::plan::{Budget, RunHeader, Sink, Summary};
use crate::rules::Profile;

/// Assets that are buffered on disk until all of them are known, in the order in which they were added. Memory does not
/// grow with their number. The file is removed on drop.
pub struct Spool {
    rows: PlanWriter,
    totals: Totals,
    folder: TempDir,
}

impl Spool {
    /// An empty spool, in the system's folder for temporary files.
    ///
    /// # Errors
    /// Returns an error if that folder cannot be written to.
    pub fn new(profile: Arc<Profile>) -> Result<Self> {
        let folder = temporary::folder()?;
        let path = folder.path().join("assets");
        let rows = PlanWriter::part(&path, placeholder(profile), Rows::new(Use::Assets, GROUP_ROWS))?;
        Ok(Self { rows, totals: Totals::default(), folder })
    }

    /// Adds the next asset.
    ///
    /// # Errors
    /// Returns an error if the asset cannot be written.
    pub fn add(&mut self, asset: &Asset) -> Result<()> {
        self.totals.add(asset);
        self.rows.settled(asset)
    }

    /// Reads all assets back.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written or read.
    pub fn read(self) -> Result<impl Iterator<Item = Result<Asset>>> {
        let Self { rows, totals, folder } = self;
        let nothing = Budget::new(Quota::new(None, None)).summary();
        Box::new(rows).finish(&Summary { totals, ..nothing }, Duration::ZERO)?;
        let assets = PlanReader::open(&folder.path().join("assets"))?;
        // The iterator owns the folder, so the file exists for as long as it is read.
        Ok(assets.inspect(move |_| _ = &folder))
    }
}

/// A placeholder for the header: only this process reads the file.
fn placeholder(profile: Arc<Profile>) -> RunHeader {
    let origin = Origin {
        provider: "spool".into(),
        location: String::new(),
        account: None,
        container: None,
        prefix: String::new(),
        credential: None,
    };
    RunHeader::new(origin, profile, Timestamp::UNIX_EPOCH)
}
