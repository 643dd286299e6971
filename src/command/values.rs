//! Parsers for the values of options, with their error messages.

use std::ffi::OsStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Arg, Command};
use jiff::SignedDuration;
use url::Url;

use crate::model::error::Error;
use crate::model::{Admit, Code};
use crate::plan_file::ShardOf;
use crate::rules::fix::Edges;
use crate::rules::{Level, Profile, Selector};
use crate::source::azure::ApiVersion;

/// The most shards: as many as a folder may have parts.
const MAX_SHARDS: u32 = 100_000;

pub(super) fn whole_number(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "it is not a whole number")
}

/// An order of admission by its name. The help texts are here because the model knows nothing about a command line.
pub(super) fn admit() -> impl TypedValueParser<Value = Admit> {
    let value = |order: &Admit| {
        PossibleValue::new(order.as_str()).help(match order {
            Admit::Listing => "In listing order, as the platform does",
            Admit::MostAssets => "Cheapest first, so that as many as possible fit",
            Admit::Newest => "Last modified first",
        })
    };
    PossibleValuesParser::new(Admit::ALL.iter().map(value))
        .try_map(|name| Admit::parse(&name).ok_or("it is not an order of admission"))
}

/// What to do about the edges of a JPEG, by its name.
pub(super) fn edges() -> impl TypedValueParser<Value = Edges> {
    let value = |edges: &Edges| {
        PossibleValue::new(edges.as_str()).help(match edges {
            Edges::Reencode => "Encode the picture again: its size stays, so existing labels fit",
            Edges::Trim => "Cut off less than a block: the rest is lossless, but existing labels shift",
            Edges::Leave => "Leave the file as it is",
        })
    };
    PossibleValuesParser::new(Edges::ALL.iter().map(value)).try_map(|name| {
        Edges::ALL.into_iter().find(|edges| edges.as_str() == name).ok_or("it is no such choice")
    })
}

/// A shard such as `3/16`, counted from 0.
pub(super) fn shard(text: &str) -> Result<ShardOf, &'static str> {
    let number = |text: &str| text.parse::<u32>().ok();
    let shard = text.split_once('/').and_then(|(index, of)| Some((number(index)?, number(of)?)));
    match shard {
        Some((_, of)) if of > MAX_SHARDS => Err("there can be at most 100000 shards"),
        Some((index, of)) if index < of => Ok(ShardOf { index, of }),
        Some(_) => Err("shards are counted from 0: the last one of 16 is 15/16"),
        None => Err("it is not a shard such as 3/16"),
    }
}

/// A text that can be part of a printed command.
pub(super) fn one_line(text: &str) -> Result<String, &'static str> {
    match text.is_empty() || text.contains(char::is_control) {
        true => Err("it is empty or has a control character"),
        false => Ok(text.to_owned()),
    }
}

/// An origin as a browser sends it (RFC 6454, 6.1), or `*` for all.
pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    let is_origin = |url: Url| url.origin().ascii_serialization() == text;
    match text == "*" || Url::parse(text).is_ok_and(is_origin) {
        true => Ok(text.to_owned()),
        false => {
            Err("it is not an origin, such as https://nexus.datature.io, without a path or a trailing '/'")
        }
    }
}

/// A number of bytes such as `16KiB`, above zero.
pub(super) fn bytes(text: &str) -> Result<u64, &'static str> {
    match text.parse::<ByteSize>() {
        Ok(ByteSize(bytes)) if bytes > 0 => Ok(bytes),
        _ => Err("it is not a number of bytes such as 4096 or 16KiB"),
    }
}

/// Two numbers of bytes, the smaller one first, such as `20KB-8MB`.
pub(super) fn byte_range(text: &str) -> Result<(u64, u64), &'static str> {
    let range = text.split_once('-').and_then(|(least, most)| Some((bytes(least).ok()?, bytes(most).ok()?)));
    range.filter(|(least, most)| least <= most).ok_or("it is not a range of bytes such as 20KB-8MB")
}

/// A share such as `0.05`.
pub(super) fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or("it is not a number between 0 and 1")
}

/// A version of the REST API, such as `2019-07-07`.
pub(super) fn api_version(text: &str) -> Result<ApiVersion, &'static str> {
    ApiVersion::parse(text).ok_or("it is not a version of the service's API, such as 2019-07-07")
}

/// The least bytes per second: with less, not even one read would end.
const LEAST_BANDWIDTH: u64 = 1_000;

pub(super) fn bandwidth(text: &str) -> Result<u64, &'static str> {
    match text.parse::<ByteSize>() {
        Ok(ByteSize(0)) => Err("it must be above zero"),
        Ok(ByteSize(bytes)) if bytes < LEAST_BANDWIDTH => {
            Err("it is in bytes per second, and less than 1 KB; write the unit, such as 20MB or 20MiB")
        }
        Ok(ByteSize(bytes)) => Ok(bytes),
        Err(_) => Err("it is not a number of bytes such as 500KB or 20MiB"),
    }
}

/// Another parser, and values that shells complete although it takes more than these.
#[derive(Clone)]
struct Completed<P> {
    parser: P,
    known: fn() -> Vec<&'static str>,
}

impl<P: TypedValueParser> TypedValueParser for Completed<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        self.parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.known)().into_iter().map(PossibleValue::new)))
    }
}

/// A built-in profile's name, or a file.
pub(super) fn profile() -> impl TypedValueParser<Value = String> {
    Completed { parser: StringValueParser::new(), known: || Profile::BUILT_IN.to_vec() }
}

/// The code or name of a rule, which need not exist.
pub(super) fn code() -> impl TypedValueParser<Value = String> {
    Completed { parser: StringValueParser::new(), known: codes }
}

/// Rules by code or name, or by the beginning of codes.
pub(super) fn selectors() -> impl TypedValueParser<Value = Selector> {
    Completed { parser: StringValueParser::new().try_map(|text| selector(&text)), known: codes }
}

/// Like [`selectors`], but only rules that can be changed.
pub(super) fn changeables() -> impl TypedValueParser<Value = Selector> {
    Completed { parser: StringValueParser::new().try_map(|text| changeable(&text)), known: codes }
}

fn codes() -> Vec<&'static str> {
    Code::ALL.iter().map(|code| code.as_str()).collect()
}

/// A rule's code or name, or the beginning of codes.
pub(super) fn selector(text: &str) -> Result<Selector, String> {
    Selector::parse(text).map_err(|error| with_hint(&error))
}

/// Like [`selector`], but only for rules that can be changed.
pub(super) fn changeable(text: &str) -> Result<Selector, String> {
    Selector::parse_changeable(text).map_err(|error| with_hint(&error))
}

/// `VID102=error`.
pub(super) fn severity(text: &str) -> Result<(Selector, Level), String> {
    let none = || "it is not a rule with a level, such as VID102=error or IMG=warning".to_owned();
    let (rule, level) = text.split_once('=').ok_or_else(none)?;
    let level = match level {
        "warning" => Level::Warning,
        "error" => Level::Error,
        _ => return Err(none()),
    };
    Ok((changeable(rule)?, level))
}

fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// A duration such as `90s`, `5m` or `1m30s`.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = text.parse::<SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
    duration.ok_or("it is not a duration such as 90s, 5m or 20ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_no_sign() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for text in ["", "90", "-5m", "az://cam"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
