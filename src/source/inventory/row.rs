//! One row of a report.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use crate::model::error::Error;
use crate::model::{Access, Blob, BlobName, ETag, Origin};

/// The most containers that an error names.
const MAX_NAMED: usize = 5;
/// The most characters of a name that an error shows.
const MAX_SHOWN: usize = 100;
/// The longest name of a container, in characters ("Naming and referencing containers, blobs, and metadata").
const MAX_CONTAINER: usize = 63;

/// A column that is read ("Azure Storage blob inventory", custom schema fields).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Length,
    ETag,
    LastModified,
    Tier,
    ArchiveStatus,
    Folder,
    Snapshot,
    IsCurrentVersion,
    Deleted,
}

impl Column {
    pub(super) const ALL: [Self; 10] = [
        Self::Name,
        Self::Length,
        Self::ETag,
        Self::LastModified,
        Self::Tier,
        Self::ArchiveStatus,
        Self::Folder,
        Self::Snapshot,
        Self::IsCurrentVersion,
        Self::Deleted,
    ];
    /// The columns that every report must have.
    pub(super) const NEEDED: [Self; 2] = [Self::Name, Self::Length];

    /// Its name in a report.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Length => "Content-Length",
            Self::ETag => "Etag",
            Self::LastModified => "Last-Modified",
            Self::Tier => "AccessTier",
            Self::ArchiveStatus => "ArchiveStatus",
            Self::Folder => "hdi_isfolder",
            Self::Snapshot => "Snapshot",
            Self::IsCurrentVersion => "IsCurrentVersion",
            Self::Deleted => "Deleted",
        }
    }
}

/// The container and prefix whose rows are listed.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) account: Option<String>,
    container: String,
    prefix: String,
    /// Whether any row so far is of this container, with or without the prefix.
    was_met: Cell<bool>,
    /// Some of the other containers that rows are of.
    others: RefCell<BTreeSet<String>>,
    /// The first row of another container, or of none: its number and its name.
    example: RefCell<Option<(u64, String)>>,
}

impl Scope {
    pub(super) fn new(origin: &Origin) -> Self {
        Self {
            account: origin.account.clone(),
            container: origin.container.clone().unwrap_or_default(),
            prefix: origin.prefix.clone(),
            was_met: Cell::new(false),
            others: RefCell::default(),
            example: RefCell::default(),
        }
    }

    /// The blob name in the name of the row at `place`, if the row is of this container and has the prefix.
    fn within<'a>(&self, name: &'a str, place: u64) -> Result<&'a str, LeftOut> {
        let split = name.split_once('/');
        if let Some((container, rest)) = split
            && container == self.container
        {
            self.was_met.set(true);
            return if rest.starts_with(&self.prefix) { Ok(rest) } else { Err(LeftOut::Elsewhere) };
        }
        self.example.borrow_mut().get_or_insert_with(|| (place, name.chars().take(MAX_SHOWN).collect()));
        let Some((container, _)) = split else { return Err(LeftOut::Nameless) };
        let mut others = self.others.borrow_mut();
        if others.len() < MAX_NAMED && container.len() <= MAX_CONTAINER && !others.contains(container) {
            others.insert(container.to_owned());
        }
        Err(LeftOut::Elsewhere)
    }

    /// Whether all rows so far are of other containers, or of none.
    pub(super) fn is_elsewhere(&self) -> bool {
        !self.was_met.get() && self.example.borrow().is_some()
    }

    /// The error for reports whose rows are all of other containers.
    pub(super) fn not_met(&self) -> Error {
        let others: Vec<_> =
            self.others.borrow().iter().map(|other| format!("'{}'", other.escape_debug())).collect();
        let only = if others.is_empty() { String::new() } else { format!(", only of {}", others.join(", ")) };
        let example = self.example.borrow();
        let (place, name) = example.as_ref().map_or((0, ""), |(place, name)| (*place, name));
        let (container, name) = (&self.container, name.escape_debug());
        Error::new(format!(
            "the inventory has no blobs of container '{container}'{only}: the name in row {place} is '{name}', and \
             would begin with '{container}/'"
        ))
        .with_hint("check which containers the inventory rule covers, and that this is the right report")
    }
}

/// Why a row is left out of the listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LeftOut {
    /// It is in another container, or its name lacks the prefix.
    Elsewhere,
    /// Its name does not say which container it is in.
    Nameless,
    /// The service would not list it: a snapshot, an old version, or deleted.
    Hidden,
    /// It cannot be read.
    Broken(String),
}

/// A row's fields as text, in the order of [`Column::ALL`]. An empty field counts as missing.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    pub(super) fields: [Option<&'a str>; Column::ALL.len()],
    /// The number of the line or row, for errors.
    pub(super) place: u64,
}

impl Row<'_> {
    fn get(&self, column: Column) -> Option<&str> {
        self.fields[column as usize].filter(|text| !text.is_empty())
    }

    fn is(&self, column: Column, text: &str) -> bool {
        self.get(column).is_some_and(|field| field.eq_ignore_ascii_case(text))
    }

    /// The blob of this row.
    pub(super) fn blob(&self, scope: &Scope) -> Result<Blob, LeftOut> {
        let broken = |why: &str| LeftOut::Broken(format!("row {} of the inventory {why}", self.place));
        let name = self.get(Column::Name).ok_or_else(|| broken("has no name"))?;
        let name = scope.within(name, self.place)?;
        if self.get(Column::Snapshot).is_some()
            || self.is(Column::IsCurrentVersion, "false")
            || self.is(Column::Deleted, "true")
        {
            return Err(LeftOut::Hidden);
        }
        let is_folder = self.is(Column::Folder, "true");
        let size = match self.get(Column::Length) {
            Some(length) => length.parse().map_err(|_| broken("has a length that is not a number"))?,
            None if is_folder => 0,
            None => return Err(broken("has no length")),
        };
        if size > Blob::MAX_SIZE {
            return Err(broken("has a length above the 190.7 TiB that a blob can have"));
        }
        if name.is_empty() {
            // The root of a hierarchical namespace.
            return Err(LeftOut::Hidden);
        }
        let access = if is_folder && size == 0 {
            Access::Directory
        } else if matches!(name, "." | "..") {
            Access::Unreachable("a URL cannot hold a blob name that is '.' or '..'".into())
        } else if self.get(Column::ArchiveStatus).is_some() {
            Access::Rehydrating
        } else if self.is(Column::Tier, "Archive") {
            Access::Archived
        } else {
            Access::Online
        };
        Ok(Blob {
            name: BlobName::new(name),
            size,
            etag: self.get(Column::ETag).map(ETag::new),
            last_modified: self.get(Column::LastModified).and_then(time),
            access,
        })
    }
}

/// Parses a time in a report: ISO 8601 with or without an offset, an HTTP date, or milliseconds since 1970. Without an
/// offset it is in UTC.
fn time(text: &str) -> Option<Timestamp> {
    let milliseconds = || Timestamp::from_millisecond(text.parse().ok()?).ok();
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp());
    let http = || rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    text.parse().ok().or_else(milliseconds).or_else(civil).or_else(http)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope::new(&Origin {
            provider: "azure".into(),
            location: String::new(),
            account: None,
            container: Some("cam".to_owned()),
            prefix: "a/".to_owned(),
            credential: None,
        })
    }

    fn blob(pairs: &[(Column, &'static str)]) -> Result<Blob, LeftOut> {
        let mut row = Row { place: 7, ..Row::default() };
        for (column, text) in pairs {
            row.fields[*column as usize] = Some(text);
        }
        row.blob(&scope())
    }

    #[test]
    fn columns_stand_at_their_places() {
        for (place, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(place, column as usize, "{}", column.as_str());
        }
    }

    #[test]
    fn a_row_becomes_a_blob() {
        use Column::*;
        let base = [(Name, "cam/a/x.jpg"), (Length, "12")];
        let of = |more: &[(Column, &'static str)]| blob(&[&base, more].concat());
        let plain = of(&[]).expect("a blob");
        assert_eq!((plain.name.as_str(), plain.size, plain.etag), ("a/x.jpg", 12, None));
        assert_eq!(of(&[(ETag, "0x8D")]).expect("a blob").etag, Some(super::ETag::new("0x8D")));
        assert_eq!(of(&[(Tier, "Archive")]).expect("a blob").access, Access::Archived);
        assert_eq!(
            of(&[(ArchiveStatus, "rehydrate-pending-to-hot")]).expect("a blob").access,
            Access::Rehydrating
        );
        assert_eq!(of(&[(Folder, "true"), (Length, "")]).expect("a blob").access, Access::Directory);
        assert_eq!(of(&[(Snapshot, "2026-11-01T10:00:00Z")]), Err(LeftOut::Hidden));
        assert_eq!(of(&[(IsCurrentVersion, "false")]), Err(LeftOut::Hidden));
        assert!(of(&[(IsCurrentVersion, "True")]).is_ok());
        assert_eq!(of(&[(Deleted, "TRUE")]), Err(LeftOut::Hidden));
        assert_eq!(of(&[(Name, "cam/b/x.jpg")]), Err(LeftOut::Elsewhere));
        assert_eq!(of(&[(Name, "came/a/x.jpg")]), Err(LeftOut::Elsewhere));
        assert!(matches!(of(&[(Length, "-1")]), Err(LeftOut::Broken(why)) if why.contains("row 7")));
        assert!(matches!(of(&[(Length, "")]), Err(LeftOut::Broken(_))));
    }

    #[test]
    fn a_prefix_without_rows_is_no_other_container() {
        let scope = scope();
        assert_eq!(scope.within("other/a/x.jpg", 1), Err(LeftOut::Elsewhere));
        assert!(scope.is_elsewhere());
        assert_eq!(scope.within("cam/b/x.jpg", 1), Err(LeftOut::Elsewhere));
        assert!(!scope.is_elsewhere());
    }

    #[test]
    fn times_have_several_forms() {
        let expected = "2026-11-01T10:00:00Z".parse().ok();
        for text in [
            "2026-11-01T10:00:00Z",
            "2026-11-01T11:00:00.0000000+01:00",
            "2026-11-01T10:00:00",
            "2026-11-01 10:00:00",
            "Sun, 01 Nov 2026 10:00:00 GMT",
            "1793527200000",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("yesterday"), None);
    }
}
