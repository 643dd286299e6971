//! Cells of CSV files that people open in a spreadsheet.

use std::borrow::Cow;

/// A spreadsheet treats a cell that starts with one of these as a formula (OWASP, "CSV Injection"). Some also accept
/// the full-width forms.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n'];
/// Characters that end a cell where a spreadsheet splits lines at something other than commas, as it does in many
/// countries. Quotes do not protect a cell there: they count only where that spreadsheet sees a cell begin.
const SEPARATORS: [char; 5] = [';', '\t', '|', '\r', '\n'];

/// Text for a cell. Wherever a spreadsheet could see a cell begin with a formula, an apostrophe comes first.
pub(crate) fn cell(text: &str) -> Cow<'_, str> {
    if !text.starts_with(FORMULA) && !text.contains(SEPARATORS) {
        return Cow::Borrowed(text);
    }
    let mut cell = String::with_capacity(text.len() + 1);
    if text.starts_with(FORMULA) {
        cell.push('\'');
    }
    let mut rest = text;
    while let Some(end) = rest.find(SEPARATORS) {
        let (part, after) = rest.split_at(end + 1);
        cell.push_str(part);
        // Spaces and quotes before a formula may be dropped there.
        let after_them = after.trim_start_matches([' ', '"']);
        if after_them.starts_with(FORMULA) && !after_them.starts_with(SEPARATORS) {
            cell.push('\'');
        }
        rest = after;
    }
    cell.push_str(rest);
    Cow::Owned(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_separator_makes_a_formula() {
        let cases = [
            ("a.jpg", "a.jpg"),
            ("a;b c.jpg", "a;b c.jpg"),
            ("a=b-c.jpg", "a=b-c.jpg"),
            ("=1+1", "'=1+1"),
            (" =1", " =1"),
            ("'=1", "'=1"),
            ("é", "é"),
            ("a;=1;b;@x", "a;'=1;b;'@x"),
            ("a; \"=1\"", "a;' \"=1\""),
            ("a\t-1", "a\t'-1"),
            ("a|+1", "a|'+1"),
            ("a\r\n=1", "a\r\n'=1"),
            ("\t=1", "'\t'=1"),
            ("＝1;＠", "'＝1;'＠"),
            ("-1", "'-1"),
            ("1-1;1-1", "1-1;1-1"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
