//! The assets of a plan with their places, beside rows that are sorted by place.

use crate::model::Asset;
use crate::model::error::Result;

/// The place after the last asset.
pub(super) const END: i64 = i64::MAX;

/// The assets of a plan, by their places in the listing.
pub(super) struct Placed<A> {
    assets: A,
    current: Option<(i64, Asset)>,
    next: i64,
}

impl<A: Iterator<Item = Result<Asset>>> Placed<A> {
    pub(super) fn new(assets: A) -> Self {
        Self { assets, current: None, next: 0 }
    }

    /// Goes on to the asset at this place, or to the end, and passes those before it to `pass`, each once.
    pub(super) fn go_to(
        &mut self,
        place: i64,
        mut pass: impl FnMut(i64, &Asset) -> Result<()>,
    ) -> Result<Option<&Asset>> {
        while self.current.as_ref().is_none_or(|(current, _)| *current < place) {
            if let Some((place, asset)) = self.current.take() {
                pass(place, &asset)?;
            }
            let Some(asset) = self.assets.next().transpose()? else { return Ok(None) };
            self.current = Some((self.next, asset));
            self.next += 1;
        }
        Ok(self.current.as_ref().map(|(_, asset)| asset))
    }

    /// The asset at the place, after it has been dealt with: it is not passed any more.
    pub(super) fn skip(&mut self) {
        self.current = None;
    }
}
