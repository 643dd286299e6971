//! Untrusted text, as it is shown to people.

use super::secret;

/// Escapes everything in untrusted text that could move the cursor, or hide or reorder what is shown, and hides the
/// secrets that are known.
pub fn shown(text: &str) -> String {
    let text = secret::redact_known(text);
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if is_unseen(character) => safe.extend(character.escape_unicode()),
            _ => safe.push(character),
        }
    }
    safe
}

/// Whether a character controls a terminal, changes the text direction, breaks a line, or has no width. This excludes
/// the joiners of letters and emoji.
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// `1,234,567`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 asset`, `2 assets`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_move_the_cursor_or_turn_text_around() {
        assert_eq!(shown("a\n\u{1b}[31mb\u{202e}gpj"), "a\\n\\u{1b}[31mb\\u{202e}gpj");
        assert_eq!(shown("a\u{200b}b\u{2029}\u{61c}"), "a\\u{200b}b\\u{2029}\\u{61c}");
        assert_eq!(shown("👩‍🔬 می‌خواهم"), "👩‍🔬 می‌خواهم", "joiners belong to the text");
    }
}
