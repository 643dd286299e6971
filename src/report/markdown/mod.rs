//! Markdown, as GitHub reads it: for a comment on a pull request, or the summary of a step.
//!
//! Names and messages come from a container. They are written as code, in which GitHub sees no mention, link, image or
//! HTML, unless they consist of words only. No line begins with `##`, which [logs of runners](super::runner) would break.

mod audit;
mod report;

pub(super) use audit::audit;
pub(super) use report::Markdown;

use super::layout::{cut, number, shown};

/// The most bytes of a document. GitHub takes 65,536 characters for a comment and 1 MiB for a summary; the rest is left
/// for what users put around it.
pub(super) const MAX_BYTES: usize = 60_000;
/// What of this is kept for the end of a list that is cut off, and for the note that something is missing.
const END: usize = 500;
/// The most columns of a name or a message.
const MAX_COLUMNS: usize = 300;

/// A document that stays below the limit: blocks that have no room are left out, and a note says so.
#[derive(Default)]
pub(super) struct Document {
    text: String,
    is_cut: bool,
}

impl Document {
    /// Adds lines, and an empty one after them.
    pub(super) fn add(&mut self, block: &str) {
        match self.room() >= block.len() + 2 {
            true => self.text += &format!("{block}\n\n"),
            false => self.is_cut = true,
        }
    }

    /// Adds the items, a line each, between a head and a tail, and counts those that have no room and `more` others.
    pub(super) fn list(
        &mut self,
        head: &str,
        items: impl IntoIterator<Item = String>,
        more: u64,
        tail: &str,
    ) {
        let mut items = items.into_iter().peekable();
        let first = items.peek().map_or(0, String::len);
        if self.room() < head.len() + first + tail.len() + 4 {
            self.is_cut = true;
            return;
        }
        self.text += head;
        let mut left_out = 0;
        for item in items {
            if left_out > 0 || self.room() < item.len() + tail.len() + 2 {
                left_out += 1;
                continue;
            }
            self.text += &format!("{item}\n");
        }
        self.is_cut |= left_out > 0;
        if more + left_out > 0 {
            self.text += &format!("\nand {} more\n", number(more + left_out));
        }
        self.text += tail;
        self.text.push('\n');
    }

    fn room(&self) -> usize {
        (MAX_BYTES - END).saturating_sub(self.text.len())
    }

    /// The document, with a note if it is cut off.
    pub(super) fn finish(mut self) -> String {
        if self.is_cut {
            self.text +=
                "_More is left out here to stay below GitHub's limit; other formats have everything._\n";
        }
        self.text
    }
}

/// Untrusted text as code.
pub(super) fn code(text: &str) -> String {
    fenced(&cut(&shown(text), MAX_COLUMNS))
}

/// A command as code. It is never cut, because users copy it.
pub(super) fn whole(command: &str) -> String {
    fenced(&shown(command))
}

fn fenced(text: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // Readers strip one space from each side.
    let is_padded = text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    let pad = if is_padded { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Untrusted text: as it is if it has nothing that GitHub could take for more than words, and as code otherwise.
pub(super) fn words(text: &str) -> String {
    if is_words(text) { cut(text, MAX_COLUMNS) } else { code(text) }
}

/// [`code`] or [`words`] in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    // Readers disagree about the end of a cell where a backslash is before `\|`.
    text.replace("\\|", "\\\\u{7c}").replace('|', "\\|")
}

fn is_words(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_alphanumeric() || " ,.;:()'\"/%=+×°–…-?".contains(letter);
    let pairs = || text.chars().zip(text.chars().skip(1));
    // `:bug:`, `mailto:a`, `ABC-1`.
    let is_mark = |(a, b): (char, char)| {
        (a == ':' && (b.is_alphanumeric() || "/+-".contains(b))) || (a == '-' && b.is_ascii_digit())
    };
    // A commit.
    let is_hash = |word: &str| {
        word.len() >= 7
            && word.bytes().all(|byte| byte.is_ascii_hexdigit())
            && word.bytes().any(|byte| byte.is_ascii_digit())
    };
    !text.is_empty()
        && text.chars().all(is_plain)
        && !pairs().any(is_mark)
        && !text.split(|letter: char| !letter.is_alphanumeric()).any(is_hash)
        && !text.to_lowercase().contains("www.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        assert_eq!(code("a.jpg"), "`a.jpg`");
        assert_eq!(code("``a`b"), "``` ``a`b ```");
        assert_eq!([code(""), code(" a"), code("a\n#")], ["`  `", "`  a `", "`a\\n#`"]);
        assert_eq!(cell(&code("a|b\\|c")), "`a\\|b\\\\u{7c}c`");
    }

    #[test]
    fn only_words_are_written_as_they_are() {
        for text in ["EXIF orientation is 6 (rotated 90° CW), must be absent or 1", "major brand is 'isom'"]
        {
            assert_eq!(words(text), text);
        }
        for text in [
            "@team",
            "#12",
            "GH-12",
            "<b>",
            "[a](b)",
            "a_b",
            "http://a",
            "www.a.b",
            "x:y",
            "1e3 5deadbeef",
            "",
            "a|b",
            "a`b",
            "a\\",
            "$x$",
            "~~a~~",
            "a*b",
            "&lt;",
            "!a",
            "\u{202e}",
        ] {
            assert!(words(text).starts_with('`'), "{text}");
        }
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut document = Document::default();
        document.add("head");
        let items = (0..10_000).map(|item| format!("- {item:05}"));
        document.list("", items, 7, "end\n");
        document.add("tail");
        let text = document.finish();
        assert!(text.len() < MAX_BYTES && text.len() > MAX_BYTES - 2 * END, "{}", text.len());
        let last = text.lines().rfind(|line| line.starts_with("- ")).expect("an item");
        let kept: u64 = last[2..].parse().expect("a number");
        assert!(text.contains(&format!("\nand {} more\nend\n", number(10_000 - kept - 1 + 7))), "{last}");
        assert!(text.ends_with("other formats have everything._\n") && !text.contains("tail"));
    }
}
