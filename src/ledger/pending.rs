//! What a reserved plan will bring to the platform, and how that is counted.

use rusqlite::{Connection, Row};

use super::Amounts;
use crate::model::{Cost, Filter, QuotaKind, Scope};
use crate::plan_file::synced::Applied;

/// What will be on the platform after the sync of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What the plan lists.
    pub scope: Scope,
    /// The file, in the folder beside the ledger.
    pub file: String,
    /// How the plan's cost for images and for frames is counted.
    pub counting: Counting,
    /// Assets in its scope.
    pub assets: u64,
    /// What these cost.
    pub cost: Cost,
}

/// How a profile counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting {
    /// The kind of quota that images use.
    pub images: QuotaKind,
    /// The kind of quota that videos use.
    pub frames: QuotaKind,
    /// Whether a changed asset costs its whole cost again.
    pub recounts: bool,
    /// Whether the quota is a stock, of which what is gone gives something back.
    pub is_stock: bool,
}

impl Counting {
    /// What a sync takes, and what it gives back beyond that.
    pub fn amounts(&self, applied: &Applied) -> (Amounts, Amounts) {
        let (mut costs, mut returned) = (Amounts::new(), Amounts::new());
        for (kind, charge, back) in [
            (self.images, applied.charge.images, applied.returned.images),
            (self.frames, applied.charge.frames, applied.returned.frames),
        ] {
            for (sum, more) in [(&mut costs, charge), (&mut returned, if self.is_stock { back } else { 0 })] {
                let sum = sum.entry(kind).or_default();
                *sum = more.saturating_add(*sum);
            }
        }
        for (kind, cost) in &mut costs {
            let back = returned.entry(*kind).or_default();
            (*cost, *back) = (cost.saturating_sub(*back), back.saturating_sub(*cost));
        }
        costs.retain(|_, cost| *cost > 0);
        returned.retain(|_, back| *back > 0);
        (costs, returned)
    }
}

impl Pending {
    pub(super) fn of_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Self>> {
        let Some(container) = row.get(first)? else { return Ok(None) };
        let counting: String = row.get(first + 4)?;
        Ok(Some(Self {
            scope: Scope {
                container,
                prefix: row.get(first + 1)?,
                recursive: row.get(first + 2)?,
                filter: filter(&row.get::<_, String>(first + 8)?)?,
            },
            file: row.get(first + 3)?,
            counting: Counting::parse(&counting).ok_or(rusqlite::Error::InvalidQuery)?,
            assets: row.get(first + 5)?,
            cost: Cost { images: row.get(first + 6)?, frames: row.get(first + 7)? },
        }))
    }

    pub(super) fn put(&self, connection: &Connection, id: i64) -> rusqlite::Result<()> {
        let Self { scope: Scope { container, prefix, recursive, filter }, file, counting, assets, cost } =
            self;
        let put = "UPDATE reservation SET container = ?2, prefix = ?3, recursive = ?4, file = ?5, counting = ?6, \
                   assets = ?7, images = ?8, frames = ?9, filter = ?10 WHERE id = ?1";
        let counting = counting.text();
        let (images, frames) = (cost.images, cost.frames);
        connection
            .execute(
                put,
                (
                    id,
                    container,
                    prefix,
                    recursive,
                    file,
                    counting,
                    assets,
                    images,
                    frames,
                    filter_text(filter),
                ),
            )
            .map(drop)
    }
}

/// A filter as the ledger has it: JSON, or nothing if it keeps every name.
pub(super) fn filter_text(filter: &Filter) -> String {
    match filter.is_empty() {
        true => String::new(),
        false => serde_json::to_string(filter).unwrap_or_default(),
    }
}

pub(super) fn filter(text: &str) -> rusqlite::Result<Filter> {
    match text {
        "" => Ok(Filter::default()),
        text => serde_json::from_str(text).map_err(|_| rusqlite::Error::InvalidQuery),
    }
}

impl Counting {
    /// `images frames`, and `recounts` and `stock` where that is so.
    fn text(&self) -> String {
        let mut text = format!("{} {}", self.images.as_str(), self.frames.as_str());
        for (name, is_so) in [(" recounts", self.recounts), (" stock", self.is_stock)] {
            text += if is_so { name } else { "" };
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut kind = || {
            let word = words.next()?;
            QuotaKind::ALL.into_iter().find(|kind| kind.as_str() == word)
        };
        let (images, frames) = (kind()?, kind()?);
        let rest: Vec<_> = words.collect();
        Some(Self { images, frames, recounts: rest.contains(&"recounts"), is_stock: rest.contains(&"stock") })
    }
}
