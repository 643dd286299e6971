//! JSON in a script element.

use std::io::{self, Write};

use serde_json::ser::{CharEscape, Formatter};

use crate::model::is_unseen;

/// Formats JSON so that nothing in it is unseen, and it cannot close or open an element (HTML, 4.12.1.3), end a line of script, or be a command in the
/// log of a [runner](crate::report::runner).
pub(super) struct ScriptSafe;

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
    matches!(character, '#' | '<' | '>' | '&') || is_unseen(character)
}

/// The maximum length of a text in this JSON, including quotes, in bytes.
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
    use serde::Serialize;
    use serde_json::Serializer;

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
        let unseen = "\u{1}\u{7f}\u{85}\u{202e}\n\u{feff}";
        assert!(json(unseen).is_ascii() && json_length(unseen) >= json(unseen).len());
        assert_eq!(serde_json::from_str::<String>(&json(unseen)).expect("it is JSON"), unseen);
    }
}
