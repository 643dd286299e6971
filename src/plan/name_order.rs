//! Checks that a listing is in an order in which no name can be listed twice.

use crate::model::BlobName;

/// Follows the names of a listing through the orders that services are known to list in: by UTF-8 bytes, by UTF-16 code
/// units, and folder by folder, as accounts with a hierarchical namespace do. If each name is above the one before in
/// one of these orders, no name is repeated.
#[derive(Debug)]
pub(super) struct NameOrder {
    /// The last name.
    last: String,
    is_first: bool,
    /// Which of the orders all names so far were in: bytes, UTF-16, folders.
    holds: [bool; 3],
    /// The first name that left no order, after the name before it.
    broken: Option<[BlobName; 2]>,
}

impl Default for NameOrder {
    fn default() -> Self {
        Self { last: String::new(), is_first: true, holds: [true; 3], broken: None }
    }
}

impl NameOrder {
    pub(super) fn add(&mut self, name: &BlobName) {
        if self.broken.is_some() {
            return;
        }
        if !self.is_first {
            let above = above(self.last.as_bytes(), name.as_str().as_bytes());
            self.holds = std::array::from_fn(|order| self.holds[order] && above[order]);
            if self.holds == [false; 3] {
                self.broken = Some([BlobName::new(&*self.last), name.clone()]);
            }
        }
        self.is_first = false;
        self.last.clear();
        self.last.push_str(name.as_str());
    }

    /// Two neighbours of the listing, the second of which is out of order.
    pub(super) fn broken(&self) -> Option<&[BlobName; 2]> {
        self.broken.as_ref()
    }
}

/// Whether `right` is above `left` by bytes, by UTF-16 code units and by folders.
fn above(left: &[u8], right: &[u8]) -> [bool; 3] {
    let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    match (left.get(same), right.get(same)) {
        (None, right) => [right.is_some(); 3],
        (Some(_), None) => [false; 3],
        (Some(left), Some(right)) => {
            [left < right, utf16_rank(*left) < utf16_rank(*right), folder_rank(*left) < folder_rank(*right)]
        }
    }
}

/// Above U+FFFF, UTF-16 has surrogates (D800 to DFFF), which are below U+E000 to U+FFFF (first byte EE or EF).
fn utf16_rank(byte: u8) -> u8 {
    match byte {
        0xEE => 0xFE,
        0xEF => 0xFF,
        byte => byte,
    }
}

/// The end of a folder's name is below everything that can continue it.
fn folder_rank(byte: u8) -> u16 {
    match byte {
        b'/' => 0,
        byte => u16::from(byte) + 1,
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn broken(names: &[&str]) -> Option<[String; 2]> {
        let mut order = NameOrder::default();
        names.iter().for_each(|name| order.add(&BlobName::new(*name)));
        order.broken().map(|names| names.clone().map(|name| name.to_string()))
    }

    #[test]
    fn a_name_that_is_repeated_or_out_of_every_order_is_found() {
        let is = |left: &str, right: &str| Some([left.to_owned(), right.to_owned()]);
        assert_eq!(broken(&["a", "b", "b", "a"]), is("b", "b"));
        assert_eq!(broken(&["a", "c", "b", "d"]), is("c", "b"));
        assert_eq!(broken(&["a", "a-", "a/1", "\u{FFFD}", "\u{1F600}"]), None);
        assert_eq!(broken(&["a", "a-", "a/1", "\u{1F600}", "\u{FFFD}"]), None);
        assert_eq!(broken(&["a", "a/1", "a-", "\u{FFFD}", "\u{1F600}"]), None);
        // The first pair is in order by folders only, and the second by UTF-16 only.
        assert_eq!(broken(&["a/1", "a-", "\u{1F600}", "\u{FFFD}"]), is("\u{1F600}", "\u{FFFD}"));
        assert_eq!(broken(&["\u{1F600}", "\u{FFFD}", "a"]), is("\u{FFFD}", "a"));
        assert_eq!(broken(&["a/1", "a-", "b", "a/1"]), is("b", "a/1"));
    }

    proptest! {
        /// The orders are those of a server that sorts whole names.
        #[test]
        fn sorted_names_are_in_order_and_repeated_ones_are_not(
            names in proptest::collection::btree_set("[a/.\u{E000}\u{FFFD}\u{10000}-]{1,4}", 1..20),
            repeated in any::<proptest::sample::Index>(),
        ) {
            let orders: [fn(&&str, &&str) -> Ordering; 3] = [
                |left, right| left.cmp(right),
                |left, right| left.encode_utf16().cmp(right.encode_utf16()),
                |left, right| left.split('/').cmp(right.split('/')),
            ];
            for order in orders {
                let mut names: Vec<_> = names.iter().map(String::as_str).collect();
                names.sort_by(order);
                prop_assert_eq!(broken(&names), None);
                names.push(names[repeated.index(names.len())]);
                prop_assert!(broken(&names).is_some());
            }
        }
    }
}
