//! Secrets in text: what they look like, and the one place that hides them.
//!
//! * [`redact`] is for everything that a person reads: errors, logs, help. It hides what looks like a secret, and every
//!   value that is known to be one. [`Error`](super::error::Error) calls it, so that no error holds a secret.
//! * [`redact_known`] is for data, whose names must stay exact: it hides only long values that are known to be secret.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

mod scan;

pub use scan::{Kind, kind_of};

/// What is shown in place of a secret.
pub const HIDDEN: &str = "***";

/// Values with fewer characters are not looked for: hiding every `t` would garble a text, and reveal the value.
const LEAST: usize = 6;

/// Values with fewer characters are hidden only where they are a whole word, and never in data.
const LEAST_IN_WORDS: usize = 16;

/// The most spellings to remember: each is searched for in everything that is written.
const MAX_KNOWN: usize = 256;

/// Known secrets in each spelling, the longest first, so that a part never hides the rest of a longer one.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Remembers a secret, such as the value of `AZURE_CLIENT_SECRET`, and every secret that it holds, such as the key in a
/// connection string. It is hidden from now on, also where it is percent-encoded or decoded.
pub fn remember(value: &str) {
    let value = value.trim().trim_matches(['"', '\'']);
    let mut found = vec![value.to_owned()];
    found.extend(scan::spans(value).into_iter().filter_map(|span| value.get(span)).map(str::to_owned));
    remember_all(&found);
}

/// Remembers the secrets that a text holds, such as an argument with a SAS, but not the text itself.
pub fn remember_within(text: &str) {
    let found = scan::spans(text).into_iter().filter_map(|span| text.get(span)).map(str::to_owned);
    remember_all(&found.collect::<Vec<_>>());
}

fn remember_all(values: &[String]) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for spelling in values.iter().flat_map(|value| scan::spellings(value)) {
        if is_hideable(&spelling) && known.len() < MAX_KNOWN && !known.contains(&spelling) {
            known.push(spelling);
        }
    }
    known.sort_by_key(|value| std::cmp::Reverse(value.len()));
}

/// Whether hiding a value helps. A short one that is a word of a language would garble the texts that use the word.
fn is_hideable(value: &str) -> bool {
    let is_word = value.len() < LEAST_IN_WORDS && value.chars().skip(1).all(|c| c.is_ascii_lowercase());
    value.len() >= LEAST && !is_word
}

/// Hides every secret in a text for people.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut spans = scan::spans(text);
    for value in KNOWN.read().unwrap_or_else(PoisonError::into_inner).iter() {
        let is_word = |at: usize| {
            let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
            !is_part(before) && !is_part(text.as_bytes().get(at + value.len()))
        };
        let places = text.match_indices(value.as_str()).map(|(at, _)| at);
        let places = places.filter(|at| value.len() >= LEAST_IN_WORDS || is_word(*at));
        spans.extend(places.map(|at| at..at + value.len()));
    }
    without(text, spans)
}

/// Hides the known secrets in data. Text that only looks like a secret is kept.
pub fn redact_known(text: &str) -> Cow<'_, str> {
    let mut spans = Vec::new();
    for value in KNOWN.read().unwrap_or_else(PoisonError::into_inner).iter() {
        if value.len() >= LEAST_IN_WORDS {
            spans.extend(text.match_indices(value.as_str()).map(|(at, _)| at..at + value.len()));
        }
    }
    without(text, spans)
}

/// The text with [`HIDDEN`] in place of each span; spans may overlap.
fn without(text: &str, mut spans: Vec<Range<usize>>) -> Cow<'_, str> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_by_key(|span| span.start);
    let (mut safe, mut end) = (String::with_capacity(text.len()), 0);
    for span in spans {
        if span.start >= end {
            safe += text.get(end..span.start).unwrap_or_default();
            safe += HIDDEN;
        }
        end = end.max(span.end);
    }
    safe += text.get(end..).unwrap_or_default();
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_value_is_hidden_in_every_spelling_and_a_short_one_only_as_a_word() {
        remember("known~value+of/the=tests");
        for text in [
            "known~value+of/the=tests",
            "known~value%2Bof%2Fthe%3Dtests",
            "known~value%252Bof%252Fthe%253Dtests",
        ] {
            assert_eq!(redact(&format!("<{text}>")), "<***>");
            assert_eq!(redact_known(&format!("<{text}>")), "<***>");
        }
        remember("z3bra-x");
        assert_eq!(redact("(z3bra-x) z3bra-xs"), "(***) z3bra-xs");
        assert_eq!(redact_known("z3bra-x"), "z3bra-x");
        for value in ["q9", "tenant", "Tenant"] {
            remember(value);
            assert_eq!(redact(value), value);
        }
    }

    #[test]
    fn a_name_that_only_looks_like_a_secret_stays_in_data() {
        let name = "a?sv=2022-11-02&sig=bm90IG9mIHRoaXMgcnVu.jpg";
        assert_eq!(redact_known(name), name);
        assert_eq!(redact(name), "a?sv=2022-11-02&sig=***");
    }

    #[test]
    fn the_parts_of_a_remembered_value_are_hidden_too() {
        remember("AccountName=media;AccountKey=cGFydCBvZiBhIGNvbm5lY3Rpb24=;EndpointSuffix=core.windows.net");
        assert_eq!(redact_known("x cGFydCBvZiBhIGNvbm5lY3Rpb24= y"), "x *** y");
        assert_eq!(redact("media at core.windows.net"), "media at core.windows.net");
    }
}
