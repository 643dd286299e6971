//! Logs of CI runners, which take commands from what a program prints.
//!
//! A runner searches each line of a step's output for commands, and a blob's name may be one:
//!
//! * Azure Pipelines takes `##vso[…]` anywhere in a line (microsoft/azure-pipelines-agent, `Command.TryParse`), and its log
//!   shows `##[…]` as headings and groups;
//! * GitHub takes `::name …::` after any white space at the beginning of a line, and otherwise `##[name …]` anywhere in it
//!   (actions/runner, `ActionCommand.TryParseV2` and `TryParse`);
//! * TeamCity takes `##teamcity[…]` anywhere in a line ("Service Messages").
//!
//! A line ends at a line feed or a carriage return. So in these logs no `#` follows a `#`, and no line begins with two
//! colons. What is written in their place can be undone, see [`Syntax`].

use std::io::{self, Write};

/// The variables that runners set for each step: Azure Pipelines, GitHub (also Gitea and Forgejo), TeamCity.
const RUNNERS: [&str; 3] = ["TF_BUILD", "GITHUB_ACTIONS", "TEAMCITY_VERSION"];

/// How the second character of a pair is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// With a backslash before it; a pair with backslashes between gets one more. Removing one backslash between any two
    /// such characters gives the text back.
    Text,
    /// `\u0023`, in JSON, where the characters are only in strings.
    Json,
    /// `&#35;` and `&#58;`, in XML.
    Xml,
    /// `&#35;`, in an HTML page, whose styles may have two colons.
    Html,
    /// As text, but the two colons of presync's own commands stay: what is in them is not read as a command.
    Commands,
}

/// Whether a runner reads what this process prints.
pub fn is_seen() -> bool {
    RUNNERS.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// A writer that breaks what a runner would take for a command.
#[derive(Debug)]
pub struct Broken<W> {
    out: W,
    syntax: Syntax,
    /// Whether the line has only white space so far.
    at_start: bool,
    /// The first character of what may become a pair.
    mark: Option<u8>,
}

impl<W: Write> Broken<W> {
    /// Breaks what is written to `out`, at the beginning of a line.
    pub fn new(out: W, syntax: Syntax) -> Self {
        Self { out, syntax, at_start: true, mark: None }
    }

    /// Adds the next byte to `text`.
    fn add(&mut self, byte: u8, text: &mut Vec<u8>) {
        let is_pair = self.mark == Some(byte);
        match (is_pair, self.syntax, byte) {
            (false, ..) => text.push(byte),
            (_, Syntax::Text | Syntax::Commands, _) => text.extend([b'\\', byte]),
            (_, Syntax::Json, _) => text.extend(b"\\u0023"),
            (_, Syntax::Xml | Syntax::Html, b'#') => text.extend(b"&#35;"),
            (_, Syntax::Xml | Syntax::Html, _) => text.extend(b"&#58;"),
        }
        let has_colons = matches!(self.syntax, Syntax::Text | Syntax::Xml);
        self.mark = match byte {
            b'#' => Some(b'#'),
            b':' if self.at_start && has_colons => Some(b':'),
            b'\\' if matches!(self.syntax, Syntax::Text | Syntax::Commands) => self.mark,
            _ => None,
        };
        // What is not ASCII may be white space, too, or be ignored; then a pair is broken without need.
        self.at_start = match byte {
            b'\n' | b'\r' => true,
            byte => self.at_start && (byte <= b' ' || byte >= 0x7F),
        };
    }
}

impl<W: Write> Write for Broken<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = Vec::with_capacity(bytes.len());
        bytes.iter().for_each(|byte| self.add(*byte, &mut text));
        self.out.write_all(&text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes a text in pieces of this length.
    fn broken(text: &str, syntax: Syntax, piece: usize) -> String {
        let mut out = Broken::new(Vec::new(), syntax);
        text.as_bytes().chunks(piece).for_each(|piece| out.write_all(piece).expect("memory"));
        String::from_utf8(out.out).expect("UTF-8")
    }

    /// Removes one backslash between two of a pair, as the guide says.
    fn mended(text: &str) -> String {
        let mut mended = String::new();
        for line in text.split_inclusive(['\n', '\r']) {
            let mut at_start = true;
            let mut rest = line;
            while let Some(mark) = rest.chars().next() {
                mended.push(mark);
                rest = &rest[mark.len_utf8()..];
                let slashes = rest.len() - rest.trim_start_matches('\\').len();
                let is_mark = mark == '#' || (mark == ':' && at_start);
                if is_mark && slashes > 0 && rest[slashes..].starts_with(mark) {
                    rest = &rest[1..];
                }
                at_start &= mark.is_control() || mark == ' ' || !mark.is_ascii();
            }
        }
        mended
    }

    #[test]
    fn pairs_are_broken_as_the_format_allows() {
        let cases = [
            ("a ##vso[x]", Syntax::Text, r"a #\#vso[x]"),
            ("###[", Syntax::Text, r"#\#\#["),
            (r"#\#", Syntax::Text, r"#\\#"),
            ("::error::x", Syntax::Text, r":\:error::x"),
            ("a\r \t::error::x", Syntax::Text, "a\r \t:\\:error::x"),
            ("a::b", Syntax::Text, "a::b"),
            ("\u{a0}::b", Syntax::Text, "\u{a0}:\\:b"),
            ("{\"a\":\"###\"}", Syntax::Json, "{\"a\":\"#\\u0023\\u0023\"}"),
            ("::x ##[", Syntax::Xml, ":&#58;x #&#35;["),
            ("::x ##[", Syntax::Html, "::x #&#35;["),
            ("::error::##[", Syntax::Commands, r"::error::#\#["),
        ];
        for (text, syntax, expected) in cases {
            for piece in [1, 2, 100] {
                assert_eq!(broken(text, syntax, piece), expected, "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_log_can_be_mended(text in r"[#:\\a \n\ré\[]{0,40}", piece in 1usize..8) {
            let log = broken(&text, Syntax::Text, piece);
            prop_assert_eq!(mended(&log), text);
            prop_assert!(!log.contains("##"));
            for line in log.split(['\n', '\r']) {
                prop_assert!(!line.trim_start().starts_with("::"), "{}", line);
            }
        }
    }
}
