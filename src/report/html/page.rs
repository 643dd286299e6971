//! The HTML file: markup, style, script and data in one, with a policy that keeps the browser from loading anything
//! else.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::Serializer;
use sha2::{Digest, Sha256};

use super::document::PageData;
use super::script_json::ScriptSafe;

pub(super) const STYLE: &str = concat!(include_str!("style/base.css"), include_str!("style/parts.css"));
const BODY: &str = include_str!("body.html");
const SCRIPT: &str = concat!(
    include_str!("script/base.js"),
    include_str!("script/quota.js"),
    include_str!("script/charts.js"),
    include_str!("script/folders.js"),
    include_str!("script/export.js"),
    include_str!("script/findings.js"),
);

pub(super) fn write(out: &mut impl Write, data: &PageData<'_>) -> io::Result<()> {
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let (location, verdict) = (escaped(&data.location), escaped(&data.verdict));
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
    data.serialize(&mut Serializer::with_formatter(&mut *out, ScriptSafe))?;
    write!(out, "</script>\n<script type=\"module\">{SCRIPT}</script>\n</body>\n</html>\n")
}

/// A hash source for the Content Security Policy (CSP Level 3, 2.3.1).
pub(in crate::report) fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(text)))
}

/// Escapes text between tags.
pub(in crate::report) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_page_is_loaded_from_elsewhere() {
        for text in [STYLE, BODY, SCRIPT] {
            // The name of the SVG namespace is not an address.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for word in ["http:", "https:", "url(", "@import", "src=", "innerHTML", "eval("] {
                assert!(!text.contains(word), "{word}");
            }
        }
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}
