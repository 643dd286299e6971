//! Calendar months, and the periods for which quotas are counted.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

/// A calendar month in UTC, from 0000-01 to 9999-12.
///
/// * Written as in ISO 8601 (4.1.2.3, reduced precision): `2026-11`.
/// * Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    /// The month of a moment. Moments before the year 0 count as the first month.
    pub fn of(moment: Timestamp) -> Self {
        let date = Offset::UTC.to_datetime(moment).date();
        match u16::try_from(date.year()) {
            Ok(year) => Self { year, month: date.month().unsigned_abs() },
            Err(_) => Self { year: 0, month: 1 },
        }
    }

    /// Parses a month such as `2026-11`; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let is_number = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(year, 4) || !is_number(month, 2) {
            return None;
        }
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12).contains(&month).then_some(Self { year, month })
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// Whether a quota is renewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeriodKind {
    /// Each month has a quota of its own, for what is synced in it. Nothing that is deleted gives any of it back.
    #[default]
    Month,
    /// One quota for all time, for what is on the platform. What is deleted gives back what it used.
    Stock,
}

impl PeriodKind {
    /// The period of a moment.
    pub fn at(self, moment: Timestamp) -> Period {
        match self {
            Self::Month => Period::Month(Month::of(moment)),
            Self::Stock => Period::Stock,
        }
    }
}

/// For when a quota is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// For what is synced in this month.
    Month(Month),
    /// For all time.
    Stock,
}

impl Period {
    /// Parses a month, or `stock`; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "stock" { Some(Self::Stock) } else { Month::parse(text).map(Self::Month) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month(month) => month.fmt(f),
            Self::Stock => f.write_str("stock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(moment: &str) -> String {
        Month::of(moment.parse().expect("a moment")).to_string()
    }

    #[test]
    fn a_month_begins_and_ends_in_utc() {
        assert_eq!(of("2026-11-30T23:59:59.999Z"), "2026-11");
        assert_eq!(of("2026-12-01T00:00:00Z"), "2026-12");
        assert_eq!(of("2026-12-01T00:30:00+01:00"), "2026-11");
        assert_eq!(Month::of(Timestamp::MIN).to_string(), "0000-01");
    }

    #[test]
    fn only_the_written_form_is_a_month() {
        for text in ["0000-01", "2026-11", "9999-12"] {
            assert_eq!(Month::parse(text).map(|month| month.to_string()).as_deref(), Some(text));
        }
        for text in ["", "2026", "2026-00", "2026-13", "2026-1", "26-11", "2026-11-01", "+026-11", "2026/11"]
        {
            assert_eq!(Month::parse(text), None, "{text}");
        }
        assert!(Month::parse("2025-12") < Month::parse("2026-01"));
    }
}
