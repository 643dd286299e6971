//! Everything about the run as a whole, as the file's key-value metadata.

use std::collections::BTreeMap;
use std::sync::Arc;

use parquet::file::metadata::KeyValue;
use serde::de::value::{self, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

use super::{FORMAT_VERSION, Plan};
use crate::model::{BlobName, Code, Quota};
use crate::plan::{RunHeader, Shortage, Summary};

/// The key that makes a Parquet file a plan.
pub(super) const FORMAT_KEY: &str = "presync.format_version";

/// Optional keys.
const ROOT: &str = "presync.root";
const WORKSPACE: &str = "presync.workspace";
const CONNECTION: &str = "presync.connection";
const FILTER: &str = "presync.filter";
const IF_FIXED: &str = "presync.if_fixed";
const WARNINGS: &str = "presync.warnings";
const SYNCED: &str = "presync.synced";
const OUT_OF_ORDER: &str = "presync.out_of_order";

/// Why the metadata isn't that of a readable plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The file isn't a plan.
    Foreign,
    /// A plan of this format version, which has another major number.
    Version(String),
    /// This key is missing or damaged.
    Key(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Spent {
    #[serde(flatten)]
    quota: Quota,
    first_refused: Option<BlobName>,
    image_shortage: Option<Shortage>,
    frame_shortage: Option<Shortage>,
}

/// The pairs, always in the same order.
pub(super) fn pairs(plan: &Plan) -> serde_json::Result<Vec<KeyValue>> {
    let Plan { tool, header, summary, ended, id } = plan;
    let spent = Spent {
        quota: summary.quota,
        first_refused: summary.first_refused.clone(),
        image_shortage: summary.image_shortage.clone(),
        frame_shortage: summary.frame_shortage.clone(),
    };
    let findings: BTreeMap<_, _> =
        summary.findings.iter().map(|(code, count)| (code.as_str(), count)).collect();
    let mut pairs = vec![
        (FORMAT_KEY, FORMAT_VERSION.to_owned()),
        ("presync.tool", tool.clone()),
        ("presync.id", id.clone()),
        ("presync.complete", summary.incomplete.is_none().to_string()),
        ("presync.source", serde_json::to_string(&header.origin)?),
        ("presync.recursive", header.recursive.to_string()),
        ("presync.dimensions", header.dimensions.to_string()),
        ("presync.admit", header.admit.as_str().to_owned()),
        ("presync.profile", serde_json::to_string(header.profile.as_ref())?),
        ("presync.profile_from", header.profile_from.clone()),
        ("presync.probe_version", header.probe_version.to_string()),
        ("presync.quota", serde_json::to_string(&spent)?),
        ("presync.totals", serde_json::to_string(&summary.totals)?),
        ("presync.findings_by_code", serde_json::to_string(&findings)?),
        ("presync.basenames_compared", summary.basenames_compared.to_string()),
        ("presync.begun", header.begun.to_string()),
        ("presync.ended", ended.to_string()),
    ];
    if !header.filter.is_empty() {
        pairs.push((FILTER, serde_json::to_string(&header.filter)?));
    }
    if let Some(changes) = &summary.changes {
        pairs.push(("presync.changes", serde_json::to_string(changes)?));
    }
    pairs.push((WARNINGS, summary.warnings.to_string()));
    pairs.push((IF_FIXED, serde_json::to_string(&summary.if_fixed)?));
    if let Some(names) = &summary.out_of_order {
        pairs.push((OUT_OF_ORDER, serde_json::to_string(names)?));
    }
    if let Some(synced) = &summary.synced {
        pairs.push((SYNCED, serde_json::to_string(synced)?));
    }
    let optional = [
        (ROOT, &header.root),
        (CONNECTION, &header.connection),
        (WORKSPACE, &header.workspace),
        ("presync.incomplete", &summary.incomplete),
    ];
    pairs.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))));
    Ok(pairs.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect())
}

/// Reads the pairs back. Unknown keys are ignored.
pub(super) fn plan(pairs: &[KeyValue]) -> Result<Plan, Refused> {
    let pairs = Pairs(pairs);
    let version = pairs.get(FORMAT_KEY).map_err(|_| Refused::Foreign)?;
    let major = |version: &str| version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major(version) != major(FORMAT_VERSION) {
        return Err(Refused::Version(version.to_owned()));
    }
    let spent: Spent = pairs.json("presync.quota")?;
    let complete: bool = pairs.json("presync.complete")?;
    let incomplete = match complete {
        true => None,
        false => Some(pairs.get("presync.incomplete")?.to_owned()),
    };
    let header = RunHeader {
        origin: pairs.json("presync.source")?,
        connection: pairs.optional(CONNECTION),
        root: pairs.optional(ROOT),
        profile: Arc::new(pairs.json("presync.profile")?),
        profile_from: pairs.get("presync.profile_from")?.to_owned(),
        workspace: pairs.optional(WORKSPACE),
        probe_version: pairs.json("presync.probe_version")?,
        recursive: pairs.json("presync.recursive")?,
        filter: pairs.maybe_json(FILTER)?.unwrap_or_default(),
        dimensions: pairs.json("presync.dimensions")?,
        admit: pairs.named("presync.admit")?,
        begun: pairs.parsed("presync.begun")?,
    };
    let summary = Summary {
        totals: pairs.json("presync.totals")?,
        quota: spent.quota,
        findings: pairs.findings("presync.findings_by_code")?,
        first_refused: spent.first_refused,
        image_shortage: spent.image_shortage,
        frame_shortage: spent.frame_shortage,
        basenames_compared: pairs.json("presync.basenames_compared")?,
        out_of_order: pairs.maybe_json(OUT_OF_ORDER)?,
        changes: pairs.maybe_json("presync.changes")?,
        if_fixed: pairs.maybe_json(IF_FIXED)?.unwrap_or_default(),
        warnings: pairs.maybe_json(WARNINGS)?.unwrap_or_default(),
        synced: pairs.maybe_json(SYNCED)?,
        incomplete,
    };
    Ok(Plan {
        tool: pairs.get("presync.tool")?.to_owned(),
        header,
        summary,
        ended: pairs.parsed("presync.ended")?,
        id: pairs.get("presync.id")?.to_owned(),
    })
}

struct Pairs<'a>(&'a [KeyValue]);

impl Pairs<'_> {
    fn get(&self, key: &'static str) -> Result<&str, Refused> {
        let pair = self.0.iter().find(|pair| pair.key == key);
        pair.and_then(|pair| pair.value.as_deref()).ok_or(Refused::Key(key))
    }

    fn optional(&self, key: &'static str) -> Option<String> {
        self.get(key).ok().map(str::to_owned)
    }

    fn json<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, Refused> {
        serde_json::from_str(self.get(key)?).map_err(|_| Refused::Key(key))
    }

    /// The JSON of an optional key.
    fn maybe_json<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, Refused> {
        match self.0.iter().any(|pair| pair.key == key) {
            true => self.json(key).map(Some),
            false => Ok(None),
        }
    }

    fn parsed<T: std::str::FromStr>(&self, key: &'static str) -> Result<T, Refused> {
        self.get(key)?.parse().map_err(|_| Refused::Key(key))
    }

    /// A value that is stored as its plain name, without quotes.
    fn named<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, Refused> {
        let name: StrDeserializer<'_, value::Error> = self.get(key)?.into_deserializer();
        T::deserialize(name).map_err(|_| Refused::Key(key))
    }

    /// In the order of [`Code::ALL`], as a summary has them.
    fn findings(&self, key: &'static str) -> Result<Vec<(Code, u64)>, Refused> {
        let counts: BTreeMap<String, u64> = self.json(key)?;
        let known = |code: &Code| counts.get(code.as_str()).map(|count| (*code, *count));
        let findings: Vec<_> = Code::ALL.iter().filter_map(known).collect();
        if findings.len() == counts.len() { Ok(findings) } else { Err(Refused::Key(key)) }
    }
}
