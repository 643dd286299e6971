//! Reads a plan, a row group at a time.

use std::path::Path;

use super::assets::Assets;
use super::columns::Use;
use super::digest::Digest;
use super::metadata;
use super::{Lookup, PART_KEY, Plan, other_version};
use crate::files::parquet_file::{Fault, Refused};
use crate::files::seal::Seal;
use crate::model::error::{Cause, Error, Result, reason};
use crate::model::{Asset, BlobName};

/// The most rows of a row group. Plans of earlier versions have this many.
const MAX_GROUP_ROWS: usize = 16 << 10;

/// A plan that is being read: its assets in listing order.
///
/// * Nothing follows after an error.
/// * Its digest covers every byte, and is checked before anything is read from it.
/// * The end is an error if whole assets do not match the plan's ID.
/// * A batch of rows is held at a time, within limits that the file cannot change.
pub struct PlanReader {
    shown: String,
    assets: Assets,
    plan: Plan,
    /// `None` if only facts are read, or if the file is part of a run and has no ID.
    digest: Option<Digest>,
    ended: bool,
}

impl PlanReader {
    /// Opens the plan at `path` and reads everything except the assets.
    ///
    /// # Errors
    /// Returns an error if there is no plan, if it is damaged or was changed, or if it has another format version.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        if path.is_dir() {
            return Err(Error::new(format!("'{shown}' is a folder, not a plan")));
        }
        let assets = Assets::open(path, MAX_GROUP_ROWS).map_err(|refused| match refused {
            Refused::Unreadable(error) => {
                Error::new(format!("cannot read the plan '{shown}': {}", reason(&error)))
                    .because(Cause::of_io(&error))
            }
            Refused::Foreign => not_a_plan(&shown, &refused.why()),
            Refused::Damaged(fault) => damaged(&shown, &fault),
        })?;
        let is_part = assets.pairs().iter().any(|pair| pair.key == PART_KEY);
        let plan = metadata::plan(assets.pairs()).map_err(|refused| match refused {
            metadata::Refused::Foreign if is_part => Error::new(format!("'{shown}' is a part of a plan"))
                .with_hint("give the folder that its parts are in"),
            metadata::Refused::Foreign => not_a_plan(&shown, "it is a Parquet file of another kind"),
            metadata::Refused::Version(version) => other_version(&shown, &version),
            metadata::Refused::Key(key) => damaged(&shown, &format!("its {key} cannot be read")),
        })?;
        match assets.seal() {
            Seal::Whole => {}
            Seal::Broken => {
                return Err(damaged(&shown, "it is not as presync wrote it: its digest does not match"));
            }
            Seal::None => {
                return Err(Error::new(format!("the plan '{shown}' has no digest, so it cannot be trusted"))
                    .with_hint(
                        "an older presync or another program wrote it; make it again: presync dry-run SOURCE --plan FILE",
                    ));
            }
        }
        let digest = (!plan.id.is_empty()).then(|| Digest::new(&plan.header.origin));
        Ok(Self { shown, assets, plan, digest, ended: false })
    }

    /// Everything besides the assets.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Reads only what a comparison with a new listing needs, which is much faster: the version of each blob, its facts, and
    /// the codes of its findings. The rest of each asset is blank.
    pub fn only_facts(self) -> Self {
        self.only(Use::Facts)
    }

    /// Reads only the columns with this use, which do not show whether the assets match the ID.
    pub(super) fn only(self, used: Use) -> Self {
        Self { assets: self.assets.only(used), digest: None, ..self }
    }

    /// The names of all assets, in the same order.
    pub fn names(&self) -> impl Iterator<Item = Result<BlobName>> + Send + use<> {
        let shown = self.shown.clone();
        self.assets.names().map(move |name| name.map_err(|fault| damaged(&shown, &fault)))
    }

    /// Finds the assets by name.
    pub fn lookup(self) -> Lookup<Asset> {
        let names = self.names();
        Lookup::new(self, names)
    }

    fn next_asset(&mut self) -> std::result::Result<Option<Asset>, Fault> {
        match self.assets.next()? {
            Some((_, asset)) => {
                if let Some(digest) = &mut self.digest {
                    digest.add(&asset);
                }
                Ok(Some(asset))
            }
            None => self.check_end().map(|()| None),
        }
    }

    fn check_end(&self) -> std::result::Result<(), Fault> {
        let (listed, read) = (self.plan.summary.totals.listed, self.assets.read());
        if read != listed {
            return Err(format!("it has {read} assets instead of {listed}"));
        }
        match self.digest.clone().is_none_or(|digest| digest.finish() == self.plan.id) {
            true => Ok(()),
            false => Err("its assets do not match its ID".to_owned()),
        }
    }
}

impl Iterator for PlanReader {
    type Item = Result<Asset>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_asset().map_err(|fault| damaged(&self.shown, &fault)).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn damaged(path: &str, fault: &str) -> Error {
    Error::new(format!("the plan '{path}' is damaged: {fault}"))
        .with_hint("write it again: presync dry-run SOURCE --plan FILE")
}

fn not_a_plan(path: &str, why: &str) -> Error {
    Error::new(format!("'{path}' isn't a plan: {why}"))
        .because(Cause::Usage)
        .with_hint("presync dry-run SOURCE --plan FILE writes one")
}
