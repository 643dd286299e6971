//! How far a walk over the segments or chunks of an image has come, so that it goes on there after each read.

/// The state of a walk. What lies before `at` is not looked at again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// Offset of the next part; 0 in the formats that are not walked.
    pub(super) at: u64,
    /// Where the file says that it ends.
    pub(super) end: u64,
    /// Parts that were passed.
    pub(super) parts: u32,
    /// Parts of image data among them.
    pub(super) pictures: u32,
    /// Whether the rest of the image data was leapt over, or cannot be.
    pub(super) leapt: bool,
    /// What the header says about parts to come.
    pub(super) promise: Promise,
}

/// What the header of an image says about parts to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Promise {
    #[default]
    Nothing,
    /// A second run of image data begins at this offset.
    SecondRun(u64),
    /// An animation has frames besides its first picture.
    Frames,
    /// There is an EXIF block.
    Exif,
}

impl Walk {
    /// A walk whose first part begins at `at`, or as far as it has come.
    pub(super) fn begin(&mut self, at: u64) {
        self.at = self.at.max(at);
    }

    /// Goes on at `next`.
    pub(super) fn pass(&mut self, next: u64) {
        (self.at, self.parts) = (next, self.parts.saturating_add(1));
    }
}
