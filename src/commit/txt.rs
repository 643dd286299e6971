//! `accepted.txt`, in the format of `azcopy copy --list-of-files`.
//!
//! AzCopy 10 reads the file line by line, like Go's `bufio.ScanLines`. Each line is a path from the container's root,
//! taken literally: it is not percent-decoded, and spaces at the ends are kept (`cmd/copy.go`,
//! `traverser/zc_traverser_list.go`).

/// The longest line that AzCopy reads: Go's `bufio.MaxScanTokenSize`. At a longer line, it silently stops reading.
const MAX_LINE: usize = 64 * 1024 - 1;

/// The number of lines at the start that AzCopy compares with the JSON format from before version 10.3.
const HEADER_LINES: u64 = 2;

/// Whether AzCopy finds the blob with this name if the name is at this line of the list, counted from 0.
pub(super) fn is_listable(name: &str, line: u64) -> bool {
    // A line ends at "\n" or "\r\n".
    let is_one_line = !name.contains('\n') && !name.ends_with('\r') && name.len() < MAX_LINE;
    // A slash at the start is dropped, and one at the end makes the path a folder.
    let is_path = !name.starts_with('/') && !name.ends_with('/');
    let is_whole = line > 0 || !name.starts_with('\u{feff}');
    is_one_line && is_path && is_whole && !(line < HEADER_LINES && looks_like_json(name))
}

/// Whether it is the start of the former JSON format, on one or two lines, with any spacing.
fn looks_like_json(line: &str) -> bool {
    let line: String = line.chars().filter(|letter| !matches!(letter, ' ' | '\t')).collect();
    let line = line.strip_suffix('[').unwrap_or(&line);
    line.strip_prefix('{').unwrap_or(line) == "\"Files\":"
}
