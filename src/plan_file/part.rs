//! Parts of a plan, as written by the shards of a run or the tasks of a cluster.
//!
//! A part has the rows of a plan, as judged by the rules alone: the quota and equal basenames, which depend on other
//! assets, are checked when the parts are merged. The part of a shard also has the position of each row in the listing.
//! A part's header is in the file's key-value metadata, or in that of its column `name` if Spark wrote it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::assets::Assets;
use super::columns::Extra;
use super::write::RowWriter;
use super::{FORMAT_VERSION, TOOL, other_version};
use crate::files::parquet_file::Fault;
use crate::files::seal::Seal;
use crate::files::whole::WholeFile;
use crate::model::error::{Error, Result};
use crate::model::{Asset, Origin, Quota};
use crate::plan::{RunHeader, Sink, Summary};

/// The endpoint of an account in Azure's public cloud.
const AZURE_ENDPOINT: &str = "https://{account}.blob.core.windows.net";
/// The key of a part's header.
pub const PART_KEY: &str = "presync.part";
/// Where Spark keeps the metadata of columns, as JSON.
const SPARK_KEY: &str = "org.apache.spark.sql.parquet.row.metadata";
/// The most rows in a row group of a part: more than Spark writes into 128 MiB, its default.
const MAX_GROUP_ROWS: usize = 64 << 20;

/// One of several runs that share a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardOf {
    /// Which shard this is: less than `of`.
    pub index: u32,
    /// How many shards there are.
    pub of: u32,
}

/// Everything in a part besides its assets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartHeader {
    /// The version of the format, as in a plan.
    pub format_version: String,
    /// Which presync wrote it.
    pub tool: String,
    /// The run. If the part's folders name the container, `account=media/container=cameras`, the origin has no
    /// container, and its location is the URL of the account's endpoint with `{account}` in place of the name.
    #[serde(flatten)]
    pub run: RunHeader,
    /// The quota for all parts together.
    pub quota: Quota,
    /// Names that the filter or an ignore file left out of the whole listing.
    #[serde(default)]
    pub excluded: u64,
    /// When its run ended; `None` if its writer could not know.
    pub ended: Option<Timestamp>,
    /// Which shard of the listing it has; `None` for a range of names.
    pub shard: Option<ShardOf>,
}

impl PartHeader {
    /// The header of a part of this run.
    pub fn new(run: RunHeader, quota: Quota) -> Self {
        let (format_version, tool) = (FORMAT_VERSION.to_owned(), TOOL.to_owned());
        Self { format_version, tool, run, quota, excluded: 0, ended: None, shard: None }
    }

    /// The origin of parts whose folders name the container. `endpoint` is that of all accounts, with `{account}` in
    /// it; `None` for Azure's own.
    #[cfg(feature = "python")]
    pub(crate) fn origin_by_folder(endpoint: Option<&str>, prefix: &str) -> Origin {
        Origin {
            provider: "azure".into(),
            location: endpoint.unwrap_or(AZURE_ENDPOINT).to_owned(),
            account: None,
            container: None,
            prefix: prefix.to_owned(),
            credential: None,
        }
    }

    /// The endpoint with `{account}` in it, if the part's folders name the container.
    pub fn endpoint(&self) -> Option<&str> {
        let Origin { provider, location, container, .. } = &self.run.origin;
        (provider == "azure" && container.is_none()).then_some(location)
    }

    /// The first field that differs from that of another part, although parts of one run must have the same.
    pub fn differs(&self, other: &Self) -> Option<&'static str> {
        let source = |header: &Self| Origin { credential: None, ..header.run.origin.clone() };
        let checks: [(bool, &'static str); 9] = [
            (source(self) == source(other), "source"),
            (self.run.profile == other.run.profile, "profile"),
            (self.run.probe_version == other.run.probe_version, "version of the probe"),
            (self.run.recursive == other.run.recursive, "depth"),
            (self.run.filter == other.run.filter, "choice of --include and --exclude"),
            (self.run.dimensions == other.run.dimensions, "choice of --dimensions"),
            (self.run.admit == other.run.admit, "choice of --admit"),
            (self.quota == other.quota, "quota"),
            (self.shard.map(|shard| shard.of) == other.shard.map(|shard| shard.of), "number of shards"),
        ];
        checks.into_iter().find_map(|(is_same, field)| (!is_same).then_some(field))
    }
}

/// The part of a shard that is being written, in listing order. Its file does not appear before it is finished.
pub struct PartWriter {
    header: PartHeader,
    rows: RowWriter,
    positions: Receiver<u64>,
}

impl PartWriter {
    /// Begins the part that will be at `path`. `positions` has the position of each asset in the whole listing before
    /// the asset is added.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created.
    pub fn create(path: &Path, header: PartHeader, positions: Receiver<u64>) -> Result<Self> {
        Ok(Self { header, rows: RowWriter::new(WholeFile::create(path)?, path, Extra::Position)?, positions })
    }
}

impl Sink for PartWriter {
    /// Writes the asset as judged by the rules alone: the quota is applied to all parts together.
    fn judged(&mut self, asset: &Asset, _is_kept: bool) -> Result<()> {
        let position = self.positions.try_recv().map_err(|_| {
            Error::new("an asset has no position in the listing; this is a bug in presync, please report it")
        })?;
        self.rows.asset(asset, position)
    }

    fn settled(&mut self, _asset: &Asset) -> Result<()> {
        Ok(())
    }

    /// Finishes the part and puts it in place. On an error, an older file is still there.
    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let ended = self.header.run.begun.checked_add(elapsed).unwrap_or(Timestamp::MAX);
        let excluded = summary.totals.excluded;
        let header = PartHeader { excluded, ended: Some(ended), ..self.header };
        let json = serde_json::to_string(&header)
            .map_err(|error| Error::new(format!("the part's header cannot be written: {error}")))?;
        let pair = parquet::file::metadata::KeyValue::new(PART_KEY.to_owned(), json);
        self.rows.finish(vec![pair]).map(drop)
    }
}

/// A part that is being read.
pub struct PartReader {
    path: PathBuf,
    assets: Assets,
}

impl PartReader {
    /// Opens the part at `path`.
    ///
    /// # Errors
    /// Returns an error if the file isn't Parquet, is damaged or was changed.
    pub fn open(path: &Path) -> Result<Self> {
        let assets = Assets::open(path, MAX_GROUP_ROWS).map_err(|refused| wrong(path, &refused.why()))?;
        // Spark writes no digest.
        if assets.seal() == Seal::Broken {
            return Err(wrong(path, "it is not as presync wrote it: its digest does not match"));
        }
        Ok(Self { path: path.to_owned(), assets })
    }

    /// The part's header; `None` if it has none.
    ///
    /// # Errors
    /// Returns an error if the file is a whole plan, or if it has another format version.
    pub fn header(&self) -> Result<Option<PartHeader>> {
        let value = |key: &str| {
            let pair = self.assets.pairs().iter().find(|pair| pair.key == key);
            pair.and_then(|pair| pair.value.as_deref())
        };
        if value(super::metadata::FORMAT_KEY).is_some() {
            return Err(wrong(&self.path, "it is a whole plan, not a part of one"));
        }
        let of_spark = || {
            let schema: SparkSchema = serde_json::from_str(value(SPARK_KEY)?).ok()?;
            schema.fields.into_iter().find_map(|field| field.metadata.part)
        };
        let Some(json) = value(PART_KEY).map(str::to_owned).or_else(of_spark) else { return Ok(None) };
        let version: Version =
            serde_json::from_str(&json).map_err(|_| wrong(&self.path, "its header cannot be read"))?;
        if version.format_version.split('.').next() != FORMAT_VERSION.split('.').next() {
            return Err(other_version(&self.path.display().to_string(), &version.format_version));
        }
        let header =
            serde_json::from_str(&json).map_err(|_| wrong(&self.path, "its header cannot be read"))?;
        Ok(Some(header))
    }

    /// A lower bound for the part's names, if its file has one.
    pub(crate) fn least_name(&self) -> Option<Vec<u8>> {
        self.assets.least_name()
    }

    /// Whether each row has its position in the listing.
    pub(super) fn has_positions(&self) -> bool {
        self.assets.has_positions()
    }

    /// Whether the names are in the order of their bytes.
    ///
    /// # Errors
    /// Returns an error if they cannot be read.
    pub(super) fn names_are_sorted(&self) -> Result<bool> {
        let mut last = None;
        for name in self.assets.names() {
            let name = Some(name.map_err(|fault| wrong(&self.path, &fault))?);
            if name < last {
                return Ok(false);
            }
            last = name;
        }
        Ok(true)
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.assets.len() == 0
    }
}

/// The assets, each with its position in the listing, 0 if the part does not have them.
impl Iterator for PartReader {
    type Item = Result<(u64, Asset)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.assets.next().map_err(|fault: Fault| wrong(&self.path, &fault)).transpose()
    }
}

/// Spark's metadata of columns.
#[derive(Deserialize)]
struct SparkSchema {
    fields: Vec<SparkField>,
}

#[derive(Deserialize)]
struct SparkField {
    #[serde(default)]
    metadata: SparkMetadata,
}

#[derive(Default, Deserialize)]
struct SparkMetadata {
    #[serde(rename = "presync.part")]
    part: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    format_version: String,
}

/// The URL of a container. `endpoint` has `{account}` in it; `None` is Azure's own.
pub fn container_url(endpoint: Option<&str>, account: &str, container: &str) -> String {
    let endpoint = endpoint.unwrap_or(AZURE_ENDPOINT);
    format!("{}/{container}", endpoint.trim_end_matches('/').replace("{account}", account))
}

fn wrong(path: &Path, why: &str) -> Error {
    Error::new(format!("'{}' cannot be used as a part of a plan: {why}", path.display()))
}
