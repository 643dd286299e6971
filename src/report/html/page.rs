//! The file: markup, style, script and data in one, and a policy by which the browser loads nothing else.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use sha2::{Digest, Sha256};

use super::document::Document;

const STYLE: &str = concat!(include_str!("style/base.css"), include_str!("style/parts.css"));
const BODY: &str = include_str!("body.html");
const SCRIPT: &str = concat!(
    include_str!("script/base.js"),
    include_str!("script/quota.js"),
    include_str!("script/charts.js"),
    include_str!("script/folders.js"),
    include_str!("script/findings.js"),
);

pub(super) fn write(out: &mut impl Write, document: &Document<'_>) -> io::Result<()> {
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let (location, verdict) = (escaped(&document.location), escaped(&document.verdict));
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{style}'; \
         script-src '{script}'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{verdict} {location}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n\
         <noscript><p>{location}: {verdict} The rest of this report needs JavaScript.</p></noscript>\n\
         {BODY}<script id=\"data\" type=\"application/json\">"
    )?;
    document.serialize(&mut Serializer::with_formatter(&mut *out, ScriptSafe))?;
    write!(out, "</script>\n<script type=\"module\">{SCRIPT}</script>\n</body>\n</html>\n")
}

/// What Content Security Policy calls a hash-source (CSP Level 3, 2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(text)))
}

/// Text between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// JSON in which nothing can end or open an element (HTML, 4.12.1.3) or a line of script.
struct ScriptSafe;

impl Formatter for ScriptSafe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unsafe) {
            let (before, from) = rest.split_at(at);
            out.write_all(before.as_bytes())?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                write!(out, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        out.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, out: &mut W, escape: CharEscape) -> io::Result<()> {
        serde_json::ser::CompactFormatter.write_char_escape(out, escape)
    }
}

fn is_unsafe(character: char) -> bool {
    matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

/// Bytes that a text without control characters takes in this JSON, with its quotes.
pub(super) fn json_length(text: &str) -> usize {
    let length = |character: char| match character {
        '"' | '\\' => 2,
        _ if is_unsafe(character) => 6,
        _ => character.len_utf8(),
    };
    2 + text.chars().map(length).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        text.serialize(&mut Serializer::with_formatter(&mut out, ScriptSafe)).expect("it is written");
        String::from_utf8(out).expect("it is UTF-8")
    }

    #[test]
    fn no_text_ends_the_script() {
        for text in ["</script><script>alert(1)//", "<!--", "a&b\u{2028}\u{2029}", "\"\\", "Größe 🖼", ""]
        {
            let json = json(text);
            assert!(!json.contains(is_unsafe), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), text);
            assert_eq!(json_length(text), json.len(), "{json}");
        }
    }

    #[test]
    fn nothing_in_the_page_is_loaded_from_elsewhere() {
        for text in [STYLE, BODY, SCRIPT] {
            // The name of SVG is no address.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for word in ["http:", "https:", "url(", "@import", "src=", "innerHTML", "eval("] {
                assert!(!text.contains(word), "{word}");
            }
        }
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}
