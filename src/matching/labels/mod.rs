//! Which label files will find their asset.

mod checks;
mod files;
mod json_labels;
mod reference;
mod references;
mod result;
mod table;
mod voc;
mod yolo;

use std::path::PathBuf;

use super::assets::{Assets, Found};
use super::placed::{END, Placed};
use super::spelling::{basename, path_of, split};
use super::summary::{Comparison, Record};
use crate::model::error::{Cause, Error, Result};
use crate::model::{Asset, Verdict};
use crate::plan::RunHeader;
use crate::rules::MatchBy;
use references::{Keeper, Kept};
use result::{Fate, Tally};

/// The most files that could not be read whose names are kept.
const MAX_UNREAD: usize = 1_000;

/// The label files to read.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    /// Files and folders.
    pub files: &'a [PathBuf],
    /// The column of CSV files with the names; `None` for the usual ones.
    pub column: Option<&'a str>,
    /// What of an asset's name a label must have.
    pub match_by: MatchBy,
}

/// What was read.
#[derive(Debug, Default)]
struct Read {
    files: u64,
    /// Files of other kinds in folders.
    ignored: u64,
    /// The first of them, with the reason.
    first_ignored: Option<(String, String)>,
    unread: u64,
    /// The first of the files that could not be read, with the reason.
    faults: Vec<(String, String)>,
}

/// Compares label files with a plan. `open` opens the plan, which is read twice; `record` gets each reference in the order
/// of the assets, and each asset without a label.
///
/// # Errors
/// Returns an error if the plan or none of the label files can be read, or if a temporary file cannot be written.
pub fn compare<A: Iterator<Item = Result<Asset>>>(
    header: &RunHeader,
    mut open: impl FnMut() -> Result<A>,
    labels: &Labels<'_>,
    record: &mut dyn FnMut(&Record) -> Result<()>,
) -> Result<Comparison> {
    let mut assets = Assets::new(header, references::CREATE)?;
    assets.read(open()?)?;
    let read = read(&assets, labels)?;
    let claimed = settle(&assets, labels.match_by)?;
    let mut tally = Tally::new(labels, &read);
    let mut plan = Placed::new(open()?);
    references::each_settled(&assets, |settled| {
        let asset = match settled.asset {
            END => None,
            place => plan.go_to(place, |place, asset| tally.pass(asset, claimed.has(place), record))?,
        };
        tally.reference(&settled, asset, record)
    })?;
    plan.go_to(END, |place, asset| tally.pass(asset, claimed.has(place), record))?;
    Ok(tally.finish())
}

/// Reads a label file, for the fuzz target. Returns how many references it has.
///
/// # Errors
/// Returns why it cannot be read.
#[cfg(feature = "fuzz")]
pub fn read_names(path: &std::path::Path) -> std::result::Result<u64, String> {
    let mut names = 0;
    files::read(path, None, &mut |_| names += 1).map_err(|fault| fault.text())?;
    Ok(names)
}

/// Reads all label files.
fn read(assets: &Assets, labels: &Labels<'_>) -> Result<Read> {
    let (mut read, mut place) = (Read::default(), 0);
    for file in files::list(labels.files) {
        let shown = file.path.display().to_string();
        let mut keeper = Keeper::of_file(assets, &shown)?;
        let mut kept = Ok(());
        let fault = match file.fault {
            Some(fault) => Err(fault),
            None => files::read(&file.path, labels.column, &mut |found| {
                place += 1;
                if kept.is_ok() {
                    kept = keeper.add(place, &found);
                }
            }),
        };
        kept.and_then(|()| keeper.keep())?;
        match fault {
            Ok(()) => read.files += 1,
            Err(fault) if file.is_found && fault.is_foreign => {
                read.ignored += 1;
                read.first_ignored.get_or_insert_with(|| (shown, fault.text()));
            }
            Err(fault) => {
                read.unread += 1;
                if read.faults.len() < MAX_UNREAD {
                    read.faults.push((shown, fault.text()));
                }
            }
        }
    }
    match (read.files, read.faults.first().or(read.first_ignored.as_ref())) {
        (0, Some((path, why))) => Err(Error::new(format!("cannot read the labels in '{path}': {why}"))
            .because(Cause::Usage)
            .with_hint(FORMATS)),
        (0, None) => Err(Error::new("there are no label files in what is given").with_hint(
            "label files end in .json, .jsonl, .xml, .csv, .tsv or .txt; see presync labels --help",
        )),
        _ => Ok(read),
    }
}

/// The way out for files of other formats.
const FORMATS: &str = "presync labels reads COCO's and Vi's JSON, Pascal VOC XML, YOLO text files and lists, and CSV; annotation \
     tools export at least one of them";

/// Finds the asset of each reference. Returns which assets have a label.
fn settle(assets: &Assets, match_by: MatchBy) -> Result<Claimed> {
    let mut claimed = Claimed::default();
    // Frames in many folders have the same few basenames, which are looked up once.
    let mut last: Option<(String, bool, Match)> = None;
    references::each(assets, |kept| {
        let path = path_of(&kept.name);
        let asked = if match_by == MatchBy::Path { &path } else { basename(&path) };
        let (fate, asset, alike) = match &last {
            Some((name, is_stem, found)) if name == asked && *is_stem == kept.is_stem => *found,
            _ => {
                let found = find(assets, &kept, match_by, &mut claimed)?;
                last = Some((asked.to_owned(), kept.is_stem, found));
                found
            }
        };
        references::settle(assets, &kept, asset, fate as i64, alike)
    })?;
    Ok(claimed)
}

/// What becomes of a reference, the asset that it is about, and how many assets it may mean.
type Match = (Fate, i64, usize);

fn find(assets: &Assets, kept: &Kept, match_by: MatchBy, claimed: &mut Claimed) -> Result<Match> {
    let path = path_of(&kept.name);
    let base = basename(&path);
    let mut found = match match_by {
        _ if kept.is_stem => assets.with_stem(base)?,
        MatchBy::Basename => assets.with_basename(base)?,
        MatchBy::Stem => assets.with_stem(split(base).0)?,
        MatchBy::Path => assets.with_path(&kept.name)?,
    };
    let is_asset = |found: &Found| found.verdict != Verdict::Skip;
    // The label file itself, or another sidecar, may have the same stem.
    if found.iter().any(is_asset) || kept.is_stem {
        found.retain(is_asset);
    }
    let of = |verdict: Verdict| found.iter().filter(move |found| found.verdict == verdict);
    let accepted: Vec<i64> = of(Verdict::Accept).map(|found| found.id).collect();
    if let Some(first) = accepted.first() {
        accepted.iter().for_each(|id| claimed.set(*id));
        let fate = if accepted.len() == 1 { Fate::Syncs } else { Fate::Ambiguous };
        return Ok((fate, *first, accepted.len()));
    }
    if let Some(unknown) = of(Verdict::Unknown).next() {
        return Ok((Fate::Unknown, unknown.id, found.len()));
    }
    if let Some(first) = found.first() {
        return Ok((Fate::LeftOut, first.id, found.len()));
    }
    let mut near = assets.near(base)?;
    near.retain(is_asset);
    let best = near.iter().find(|near| near.verdict == Verdict::Accept).or(near.first());
    Ok(match best {
        Some(best) => (Fate::Near, best.id, near.len()),
        None => (Fate::Missing, END, 0),
    })
}

/// Assets with a label, by their places in the listing.
#[derive(Debug, Default)]
struct Claimed(Vec<u64>);

impl Claimed {
    fn set(&mut self, id: i64) {
        let Ok(id) = usize::try_from(id) else { return };
        if self.0.len() <= id / 64 {
            self.0.resize(id / 64 + 1, 0);
        }
        self.0[id / 64] |= 1 << (id % 64);
    }

    fn has(&self, id: i64) -> bool {
        let word = usize::try_from(id).ok().and_then(|id| Some((self.0.get(id / 64)?, id % 64)));
        word.is_some_and(|(word, bit)| word & (1 << bit) != 0)
    }
}
