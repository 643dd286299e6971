//! Values of JSON written by many tools: numbers as text, text where a number is expected, lists where nothing is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value of which only text and whole numbers matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Loose {
    Text(String),
    Number(u64),
    /// Anything else, or nothing.
    #[default]
    Other,
}

impl Loose {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Other => None,
        }
    }

    /// The number, also as text.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Text(text) => whole(text),
            Self::Number(number) => Some(*number),
            Self::Other => None,
        }
    }

    /// Text or number as text, for what identifies something.
    pub(super) fn id(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Other => None,
        }
    }
}

/// A whole number as tools write it, such as `640` or `640.0`.
pub(super) fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse().ok().and_then(whole_of))
}

/// A number that fits the integers that a float represents exactly.
fn whole_of(number: f64) -> Option<u64> {
    const MOST: f64 = (1_u64 << 53) as f64;
    (number.fract() == 0.0 && (0.0..=MOST).contains(&number)).then_some(number as u64)
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Loose, E> {
        Ok(Loose::Number(number))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Loose, E> {
        Ok(whole_of(number).map_or(Loose::Other, Loose::Number))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Loose, E> {
        Ok(Loose::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Loose, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_and_whole_numbers_matter() {
        let values = r#"["a", 640, "640", 640.0, "640.0", -1, 0.5, null, [1, [2]], {"a": {}}, 1e300, true]"#;
        let values: Vec<Loose> = serde_json::from_str(values).expect("JSON");
        let numbers: Vec<_> = values.iter().map(Loose::number).collect();
        let n = Some(640);
        assert_eq!(numbers, [None, n, n, n, n, None, None, None, None, None, None, None]);
        assert_eq!(values[0].text(), Some("a"));
        assert_eq!(values[1].id().as_deref(), Some("640"));
    }
}
