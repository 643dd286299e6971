//! Names that differ only in spelling: case, extension, or how Unicode composes letters.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use percent_encoding::percent_decode_str;

/// A URL without its query, which may hold a secret; anything else as it is.
pub(super) fn without_query(name: &str) -> &str {
    match name.contains("://") {
        true => name.split(['?', '#']).next().unwrap_or(name),
        false => name,
    }
}

/// The path of a URL, decoded and without its host; anything else as it is.
pub(super) fn path_of(name: &str) -> Cow<'_, str> {
    let Some((_, address)) = without_query(name).split_once("://") else { return Cow::Borrowed(name) };
    let path = address.split_once('/').map_or(address, |(_, path)| path);
    percent_decode_str(path).decode_utf8_lossy()
}

/// The part after the last separator. Label files that were made on Windows have backslashes.
pub(super) fn basename(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A basename without its extension, and the extension; a name that begins with its only dot has none.
pub(super) fn split(basename: &str) -> (&str, &str) {
    match basename.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (basename, ""),
    }
}

/// The text with its letters composed (Unicode normalization form C): macOS stores names decomposed.
fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

/// The text without its differences in case and composition.
pub(super) fn folded(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        // Lower case may bring letters that can be composed again.
        false => composed(&composed(text).to_lowercase()),
    }
}

/// In what two basenames of equal folded stems differ, such as `case and extension`.
pub(super) fn difference(one: &str, other: &str) -> String {
    let ((stem, extension), (other_stem, other_extension)) = (split(one), split(other));
    let (composed_stem, composed_other) = (composed(stem), composed(other_stem));
    let same_extension = extension.eq_ignore_ascii_case(other_extension);
    let differs = [
        ("case", composed_stem != composed_other || same_extension && extension != other_extension),
        (
            "Unicode normalization",
            stem != other_stem && folded(stem) == folded(other_stem) && {
                let lower = (stem.to_lowercase(), other_stem.to_lowercase());
                lower.0 != lower.1
            },
        ),
        ("extension", !same_extension),
    ];
    let differs: Vec<_> = differs.into_iter().filter_map(|(what, is_so)| is_so.then_some(what)).collect();
    differs.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named() {
        for (one, other, differs) in [
            ("a.jpg", "A.jpg", "case"),
            ("a.jpg", "a.JPG", "case"),
            ("a.jpg", "a.png", "extension"),
            ("a", "a.png", "extension"),
            ("a.jpg", "A.png", "case and extension"),
            ("caf\u{e9}.jpg", "cafe\u{301}.jpg", "Unicode normalization"),
            ("CAF\u{c9}.jpg", "cafe\u{301}.jpg", "case and Unicode normalization"),
            ("caf\u{e9}.jpg", "cafe\u{301}.png", "Unicode normalization and extension"),
        ] {
            assert_eq!(difference(one, other), differs, "{one} {other}");
            assert_eq!(folded(split(one).0), folded(split(other).0), "{one} {other}");
        }
        assert_ne!(folded("a b"), folded("ab"));
    }

    #[test]
    fn the_path_of_a_url_is_decoded_and_has_no_query() {
        for (name, path) in [
            ("https://media.example/cams/a%20b.jpg?sp=r&sig=x#y", "cams/a b.jpg"),
            ("gs://bucket/a.jpg", "a.jpg"),
            ("what?.jpg", "what?.jpg"),
            ("50%25.jpg", "50%25.jpg"),
        ] {
            assert_eq!(path_of(name), path, "{name}");
        }
        assert_eq!(without_query("https://h/a.jpg?sig=x"), "https://h/a.jpg");
    }

    #[test]
    fn a_path_of_any_system_has_a_basename() {
        for (path, expected) in
            [("a/b.jpg", "b.jpg"), ("C:\\x\\b.jpg", "b.jpg"), ("b.jpg", "b.jpg"), ("a/", "")]
        {
            assert_eq!(basename(path), expected);
        }
        assert_eq!([split("a.b.jpg"), split(".jpg"), split("a")], [("a.b", "jpg"), (".jpg", ""), ("a", "")]);
    }
}
