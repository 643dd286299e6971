//! The hash that identifies a plan.

use sha2::{Digest as _, Sha256};

use super::signed;
use crate::model::{Asset, Origin, Standing};

/// SHA-256 over the content of a plan, fed in listing order.
#[derive(Clone)]
pub(super) struct Digest(Sha256);

impl Digest {
    pub(super) fn new(origin: &Origin) -> Self {
        let mut digest = Self(Sha256::new());
        for text in [&origin.provider, origin.location.as_str(), origin.prefix.as_str()] {
            digest.text(text);
        }
        digest
    }

    pub(super) fn add(&mut self, asset: &Asset) {
        self.text(asset.blob.name.as_str());
        self.text(asset.blob.etag.as_ref().map_or("", |etag| etag.as_str()));
        self.text(asset.verdict.as_str());
        self.number(signed(asset.cost.images) as u64);
        self.number(signed(asset.cost.frames) as u64);
        if let Some(Standing { state, charge }) = asset.synced {
            self.text(state.as_str());
            self.number(signed(charge.images) as u64);
            self.number(signed(charge.frames) as u64);
        }
    }

    /// The hash of what was added, in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Adds a text with its length, so that different sequences of texts never give the same bytes.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }
}
