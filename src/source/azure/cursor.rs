//! The position in a listing.

use std::borrow::Cow;

use super::list_page::Page;
use crate::model::error::{Error, Result};
use crate::source::Depth;

/// The most pages in a row without a blob. The service sends some where many blobs were deleted, for each 5,000 of them.
pub(super) const MAX_EMPTY_PAGES: u32 = 5_000;

/// The position in a listing of the names with a prefix.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) prefix: Cow<'a, str>,
    pub(super) page_size: u16,
    pub(super) depth: Depth,
    pub(super) marker: Option<String>,
    /// An earlier marker, to notice that the markers go in a circle (Brent's algorithm).
    earlier: Option<String>,
    pages: u64,
    /// Pages without a blob since the last one with a blob.
    empty: u32,
    pub(super) listed: u64,
    last: Option<String>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(prefix: impl Into<Cow<'a, str>>, page_size: u16) -> Self {
        Self {
            prefix: prefix.into(),
            page_size,
            depth: Depth::All,
            marker: None,
            earlier: None,
            pages: 0,
            empty: 0,
            listed: 0,
            last: None,
        }
    }

    pub(super) fn with_depth(self, depth: Depth) -> Self {
        Self { depth, ..self }
    }

    /// Moves past a page, and returns whether another one follows.
    ///
    /// # Errors
    /// Returns an error if the listing would go on forever.
    pub(super) fn move_on(&mut self, page: &Page) -> Result<bool> {
        self.listed = self.listed.saturating_add(page.blobs.len() as u64);
        if let Some(blob) = page.blobs.last() {
            self.last = Some(blob.name.as_str().to_owned());
        }
        self.empty = if page.blobs.is_empty() { self.empty + 1 } else { 0 };
        self.pages += 1;
        let is_repeated = page.next == self.marker || page.next == self.earlier;
        if page.next.is_some() && (is_repeated || self.empty >= MAX_EMPTY_PAGES) {
            let endless = match is_repeated {
                true => "the service sent the same page twice".to_owned(),
                false => format!("the service sent {MAX_EMPTY_PAGES} pages without a blob in a row"),
            };
            return Err(self.broken(Error::new(endless).with_hint("check what responds at this URL")));
        }
        // The distance doubles, so a circle of any length is noticed before it is passed a third time.
        if self.pages.is_power_of_two() {
            self.earlier.clone_from(&page.next);
        }
        self.marker.clone_from(&page.next);
        Ok(self.marker.is_some())
    }

    /// Adds the position in the listing to the error that ended it.
    pub(super) fn broken(&self, error: Error) -> Error {
        let Some(last) = &self.last else { return error };
        let message =
            format!("the listing failed after {} blobs ('{}'): {error}", self.listed, last.escape_debug());
        error.reworded(message)
    }
}
