//! Patterns for names, in the syntax of `.gitignore`.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The most characters of a pattern: as many as a blob name has.
const MAX_CHARACTERS: usize = 1024;
/// The most patterns that the braces of one may stand for.
const MAX_ALTERNATIVES: usize = 100;

/// A pattern for names such as `*.jpg`, `cam1/` or `**/2026-*/*.{jpg,png}`.
///
/// * Compared with whole names, case-sensitively and without normalizing anything.
/// * Without a `/`, except at the end, it matches a file or folder at any depth. Otherwise, it matches from the start of
///   the name; a leading `/` only says that.
/// * `*` is any number of characters and `?` is one, but never a `/`. `**` in place of a folder is any number of folders,
///   and at the end everything in a folder. `[a-z]` and `[!a-z]` are one character. `\` takes the next one literally.
/// * `{a,b}` is either of both. In a line of a file it stands for itself, as in `.gitignore`.
/// * With a `/` at the end, it matches only folders.
/// * Comparing takes at most as many steps as the name's length times the pattern's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob {
    text: String,
    alternatives: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    segments: Vec<Segment>,
    folders_only: bool,
}

/// What matches the parts of a name between its slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of parts.
    Any,
    /// One part.
    One(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Any,
    /// `[…]`: whether it is negated, and the ranges.
    Class(bool, Vec<(char, char)>),
}

/// The parts of a name between its slashes.
pub(crate) type Parts<'a> = SmallVec<[&'a str; 8]>;

/// The parts of a name between its slashes. `trail/` has two, of which the second is empty.
pub(crate) fn parts(name: &str) -> Parts<'_> {
    name.split('/').collect()
}

impl Glob {
    /// Parses a pattern.
    ///
    /// # Errors
    /// Returns what is wrong with it and how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('!') {
            return Err(r"it starts with '!': use --exclude, or write '\!' for the character".to_owned());
        }
        let is_partial = |part: &&str| part.contains("**") && *part != "**";
        if text.split('/').any(|part| is_partial(&part)) {
            return Err(
                "'**' stands for whole folders: write '*' within a name, and '**/*.jpg' for any depth"
                    .to_owned(),
            );
        }
        Self::new(text, expand(text)?)
    }

    /// Parses a pattern of a file such as `.gitignore`.
    ///
    /// # Errors
    /// Returns what is wrong with it.
    pub fn parse_line(text: &str) -> Result<Self, String> {
        Self::new(text, vec![text.to_owned()])
    }

    fn new(text: &str, alternatives: Vec<String>) -> Result<Self, String> {
        if alternatives.iter().any(|text| text.chars().count() > MAX_CHARACTERS) {
            return Err(format!("it has more than {MAX_CHARACTERS} characters"));
        }
        let alternatives = alternatives.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), alternatives })
    }

    /// Whether it matches the name or a folder that the name is in. `is_folder` is whether the name is that of a folder
    /// although it does not end in `/`.
    pub(crate) fn covers(&self, name: &[&str], is_folder: bool) -> bool {
        self.alternatives.iter().any(|pattern| pattern.matches(name, is_folder, true))
    }

    /// Whether it matches exactly this file or folder.
    pub(crate) fn matches(&self, name: &[&str], is_folder: bool) -> bool {
        self.alternatives.iter().any(|pattern| pattern.matches(name, is_folder, false))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.text
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let (rest, folders_only) = match text.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (rest, is_anchored) = match rest.strip_prefix('/') {
            Some(rest) => (rest, true),
            None => (rest, rest.contains('/')),
        };
        if rest.is_empty() {
            return Err("it is empty".to_owned());
        }
        let mut segments = Vec::new();
        if !is_anchored {
            segments.push(Segment::Any);
        }
        for part in rest.split('/') {
            segments.push(if part == "**" { Segment::Any } else { Segment::One(tokens(part)?) });
        }
        // At the end, `**` is everything in a folder, but not the folder.
        if segments.last() == Some(&Segment::Any) {
            segments.push(Segment::One(vec![Token::Any]));
        }
        Ok(Self { segments, folders_only })
    }

    /// Whether the parts of a name match; with `within`, also if only a folder that the name is in does.
    ///
    /// Each `**` is tried with no part first and then with one more each time. An earlier one need not be tried again:
    /// whatever it could take, the last one can take instead.
    fn matches(&self, name: &[&str], is_folder: bool, within: bool) -> bool {
        let (mut at, mut part) = (0, 0);
        let mut retry = None;
        while part < name.len() {
            match self.segments.get(at) {
                None if within => return true,
                Some(Segment::Any) => {
                    at += 1;
                    retry = Some((at, part));
                    continue;
                }
                Some(Segment::One(tokens)) if one_matches(tokens, name[part]) => {
                    (at, part) = (at + 1, part + 1);
                    continue;
                }
                _ => {}
            }
            match &mut retry {
                Some((after, taken)) => {
                    *taken += 1;
                    (at, part) = (*after, *taken);
                }
                None => return false,
            }
        }
        let is_done = self.segments[at..].iter().all(|segment| *segment == Segment::Any);
        is_done && (is_folder || !self.folders_only)
    }
}

/// Whether a part of a name matches. As above: only the last `*` is tried again.
fn one_matches(tokens: &[Token], part: &str) -> bool {
    let (mut at, mut rest) = (0, part);
    let mut retry = None;
    loop {
        let mut letters = rest.chars();
        match (tokens.get(at), letters.next()) {
            (None, None) => return true,
            (Some(Token::Any), _) => {
                at += 1;
                retry = Some((at, rest));
                continue;
            }
            (Some(token), Some(letter)) if token.is(letter) => {
                (at, rest) = (at + 1, letters.as_str());
                continue;
            }
            // With more for the `*`, even less would be left.
            (Some(_), None) => return false,
            _ => {}
        }
        let Some((after, from)) = &mut retry else { return false };
        let mut longer = from.chars();
        if longer.next().is_none() {
            return false;
        }
        *from = longer.as_str();
        (at, rest) = (*after, *from);
    }
}

impl Token {
    fn is(&self, character: char) -> bool {
        match self {
            Self::Literal(own) => *own == character,
            Self::One => true,
            Self::Any => false,
            Self::Class(is_negated, ranges) => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&character)) != *is_negated
            }
        }
    }
}

/// The tokens of a part without slashes.
fn tokens(part: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = part.chars();
    while let Some(character) = rest.next() {
        tokens.push(match character {
            '\\' => Token::Literal(rest.next().ok_or("it has a '\\' without a character after it")?),
            '?' => Token::One,
            '*' if tokens.last() == Some(&Token::Any) => continue,
            '*' => Token::Any,
            '[' => class(&mut rest)?,
            character => Token::Literal(character),
        });
    }
    Ok(tokens)
}

/// The rest of a class, after its `[`.
fn class(rest: &mut std::str::Chars<'_>) -> Result<Token, String> {
    let open = "it has a '[' without a ']' in the same part of the name; write '\\[' for the character";
    let is_negated = rest.as_str().starts_with(['!', '^']);
    if is_negated {
        rest.next();
    }
    let mut ranges = Vec::new();
    loop {
        let character = |rest: &mut std::str::Chars<'_>| match rest.next() {
            Some('\\') => rest.next().ok_or(open),
            other => other.ok_or(open),
        };
        let is_first = ranges.is_empty();
        let is_named = rest.as_str().starts_with("[:");
        let is_end = rest.as_str().starts_with(']') && !is_first;
        let from = character(rest)?;
        match () {
            () if is_end => return Ok(Token::Class(is_negated, ranges)),
            () if is_named => {
                return Err("classes such as [:alpha:] are not supported; write [a-z]".to_owned());
            }
            () if rest.as_str().starts_with('-') && !rest.as_str().starts_with("-]") => {
                rest.next();
                ranges.push((from, character(rest)?));
            }
            () => ranges.push((from, from)),
        }
    }
}

/// The patterns that braces stand for.
fn expand(text: &str) -> Result<Vec<String>, String> {
    let (mut done, mut waiting) = (Vec::new(), vec![text.to_owned()]);
    while let Some(text) = waiting.pop() {
        match braces(&text)? {
            None => done.push(text),
            Some((before, choices, after)) => {
                let choices = choices.into_iter().rev();
                waiting.extend(choices.map(|choice| format!("{before}{choice}{after}")));
            }
        }
        if done.len() + waiting.len() > MAX_ALTERNATIVES {
            return Err(format!("its braces stand for more than {MAX_ALTERNATIVES} patterns"));
        }
    }
    Ok(done)
}

/// The text before braces, what they have between their commas, and the text after them.
type Braces<'a> = (&'a str, Vec<&'a str>, &'a str);

/// The first braces of a pattern; `None` if it has none.
fn braces(text: &str) -> Result<Option<Braces<'_>>, String> {
    let (mut depth, mut begin, mut from) = (0, 0, 0);
    let (mut is_escaped, mut in_class) = (false, false);
    let mut choices = Vec::new();
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ']' => in_class = false,
            '[' => in_class = true,
            _ if in_class => {}
            '{' if depth == 0 => (depth, begin, from) = (1, at, at + 1),
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(&text[from..at]);
                from = at + 1;
            }
            '}' if depth == 1 => {
                choices.push(&text[from..at]);
                return Ok(Some((&text[..begin], choices, &text[at + 1..])));
            }
            '}' if depth > 0 => depth -= 1,
            _ => {}
        }
    }
    match depth {
        0 => Ok(None),
        _ => Err("it has a '{' without a '}'; write '\\{' for the character".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern).expect("it is a pattern").covers(&parts(name), false)
    }

    #[test]
    fn a_pattern_without_a_slash_matches_at_any_depth() {
        for (pattern, yes, no) in [
            (
                "*.jpg",
                &["a.jpg", "cam1/2026/a.jpg", "cam1/.jpg", "x.jpg/y.png"][..],
                &["a.JPG", "a.jpgx"][..],
            ),
            ("cam1", &["cam1", "cam1/a.jpg", "x/cam1/y/a.jpg", "cam1/"], &["cam10/a.jpg", "xcam1"]),
            ("cam1/", &["cam1/a.jpg", "x/cam1/y/a.jpg", "cam1/"], &["cam1", "x/cam1"]),
            ("**", &["a", "a/b", "/lead"], &[]),
            ("é?.jpg", &["éü.jpg", "x/é駅.jpg"], &["é.jpg", "é/ü.jpg"]),
        ] {
            assert!(yes.iter().all(|name| covers(pattern, name)), "{pattern}: {yes:?}");
            assert!(!no.iter().any(|name| covers(pattern, name)), "{pattern}: {no:?}");
        }
    }

    #[test]
    fn a_slash_ties_a_pattern_to_the_start() {
        for (pattern, yes, no) in [
            ("/a.jpg", &["a.jpg"][..], &["x/a.jpg", "/a.jpg"][..]),
            ("//a.jpg", &["/a.jpg"], &["a.jpg"]),
            ("cam1/*.jpg", &["cam1/a.jpg"], &["x/cam1/a.jpg", "cam1/b/a.jpg"]),
            ("cam1/**/*.jpg", &["cam1/a.jpg", "cam1/b/c/a.jpg"], &["cam1/a.png", "cam2/a.jpg"]),
            ("**/b/*.jpg", &["b/a.jpg", "x/y/b/a.jpg"], &["xb/a.jpg"]),
            ("cam1/**", &["cam1/a", "cam1/b/a", "cam1/"], &["cam1", "cam2/a"]),
            ("a//b", &["a//b", "a//b/c"], &["a/b"]),
            ("a/**/b/**/c", &["a/b/c", "a/x/b/b/y/c/d"], &["a/c/b"]),
        ] {
            assert!(yes.iter().all(|name| covers(pattern, name)), "{pattern}: {yes:?}");
            assert!(!no.iter().any(|name| covers(pattern, name)), "{pattern}: {no:?}");
        }
    }

    #[test]
    fn braces_classes_and_escapes() {
        for (pattern, yes, no) in [
            ("*.{jpg,p{n,s}g}", &["a.jpg", "a.png", "b/a.psg"][..], &["a.pxg", "a.{jpg"][..]),
            ("{cam1,cam2}/*.jpg", &["cam1/a.jpg", "cam2/a.jpg"], &["cam3/a.jpg"]),
            (r"\{a,b\}[[]\*", &["{a,b}[*"], &["a", "{a,b}[x"]),
            ("[!0-9]*[a-c-]", &["xa", "x-"], &["1a", "xd", "b"]),
            ("[]x]", &["]", "x"], &["[", "a"]),
            ("[a,{]", &["{", ",", "a"], &["b"]),
            ("a*b*c", &["abc", "aXbbYcc", "abcbc"], &["ab", "acb"]),
        ] {
            assert!(yes.iter().all(|name| covers(pattern, name)), "{pattern}: {yes:?}");
            assert!(!no.iter().any(|name| covers(pattern, name)), "{pattern}: {no:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_how_to_write_it() {
        for (text, part) in [
            ("", "empty"),
            ("/", "empty"),
            ("!a", "--exclude"),
            ("a**", "'*' within a name"),
            ("a[b/c]", "'\\['"),
            ("{a,b", "'\\{'"),
            ("a\\", "without a character"),
            ("[[:alpha:]]", "[a-z]"),
            ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "more than 100"),
            (&"a".repeat(1025), "more than 1024"),
        ] {
            let error = Glob::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_hostile_name_takes_no_time() {
        let pattern = format!("{}b", "*a".repeat(500));
        let deep = format!("{}b", "**/a/".repeat(200));
        let begun = std::time::Instant::now();
        assert!(!covers(&pattern, &"a".repeat(1024)));
        assert!(!covers(&deep, &"a/".repeat(512)));
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    }
}
