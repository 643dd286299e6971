//! Conversion of model values to and from SQLite.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::model::{Period, QuotaKind};

/// Parses a value from text.
pub(super) fn parsed<T>(value: ValueRef<'_>, parse: impl FnOnce(&str) -> Option<T>) -> FromSqlResult<T> {
    let text = value.as_str()?;
    parse(text).ok_or_else(|| FromSqlError::Other(format!("unexpected value '{text}'").into()))
}

impl ToSql for QuotaKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for QuotaKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        parsed(value, |text| Self::ALL.into_iter().find(|kind| kind.as_str() == text))
    }
}

impl ToSql for Period {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for Period {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        parsed(value, Self::parse)
    }
}
