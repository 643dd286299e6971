//! `accepted.txt`, in the form that `azcopy copy --list-of-files` reads.
//!
//! AzCopy 10 takes the file line by line as Go's `bufio.ScanLines` does, a path from the container's root on each, and
//! as it is: nothing is percent-decoded, and blanks at the ends stay (`cmd/copy.go`, `traverser/zc_traverser_list.go`).

/// The longest line that is read: Go's `bufio.MaxScanTokenSize`. AzCopy ends its reading there without a word.
const MAX_LINE: usize = 64 * 1024 - 1;

/// Lines of the file's beginning that are compared with the JSON that AzCopy took before version 10.3.
const HEADER_LINES: u64 = 2;

/// Whether AzCopy finds the blob of this name when the name is this line of the list, counted from 0.
pub(super) fn is_listable(name: &str, line: u64) -> bool {
    // A line ends at "\n" or "\r\n".
    let is_one_line = !name.contains('\n') && !name.ends_with('\r') && name.len() < MAX_LINE;
    // A slash at the beginning is dropped, and one at the end makes the path a folder.
    let is_path = !name.starts_with('/') && !name.ends_with('/');
    let is_whole = line > 0 || !name.starts_with('\u{feff}');
    is_one_line && is_path && is_whole && !(line < HEADER_LINES && looks_like_json(name))
}

/// Whether it is what the former JSON began with, on one line or two, in any spacing.
fn looks_like_json(line: &str) -> bool {
    let line: String = line.chars().filter(|letter| !matches!(letter, ' ' | '\t')).collect();
    let line = line.strip_suffix('[').unwrap_or(&line);
    line.strip_prefix('{').unwrap_or(line) == "\"Files\":"
}
