//! Restores listing order.

use std::collections::VecDeque;

/// A window that takes items in any order and returns them by ordinal, starting at 0 and without gaps.
///
/// It holds everything between the oldest missing item and the newest one; the caller bounds that distance.
#[derive(Debug)]
pub struct Reorder<T> {
    next: u64,
    waiting: VecDeque<Option<T>>,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { next: 0, waiting: VecDeque::new() }
    }
}

impl<T> Reorder<T> {
    /// Adds the item with this ordinal. If it was already returned, it is dropped.
    pub fn insert(&mut self, ordinal: u64, item: T) {
        let Some(place) = ordinal.checked_sub(self.next) else { return };
        let place = place as usize;
        if place >= self.waiting.len() {
            self.waiting.resize_with(place + 1, || None);
        }
        self.waiting[place] = Some(item);
    }

    /// The next item in order, if it has arrived.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.waiting.front_mut()?.take()?;
        self.waiting.pop_front();
        self.next += 1;
        Some(item)
    }

    /// Whether no items are waiting.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_in_order() {
        let mut reorder = Reorder::default();
        reorder.insert(2, 'c');
        assert_eq!(reorder.pop(), None);
        reorder.insert(0, 'a');
        assert_eq!((reorder.pop(), reorder.pop()), (Some('a'), None));
        reorder.insert(1, 'b');
        assert_eq!((reorder.pop(), reorder.pop(), reorder.pop()), (Some('b'), Some('c'), None));
        assert!(reorder.is_empty());
    }
}
