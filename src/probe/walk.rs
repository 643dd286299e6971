//! The state of a walk over the segments or chunks of an image, so that it can continue after each read.

/// The state of a walk. Parts before `at` are not read again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// Offset of the next part; 0 in formats without a walk.
    pub(super) at: u64,
    /// Where the file should end according to its header.
    pub(super) end: u64,
    /// Number of parts passed.
    pub(super) parts: u32,
    /// Number of image data parts among them.
    pub(super) pictures: u32,
    /// Whether the rest of the image data was skipped, or cannot be.
    pub(super) leapt: bool,
    /// What the header says about later parts.
    pub(super) promise: Promise,
}

/// What the header of an image says about later parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Promise {
    #[default]
    Nothing,
    /// A second run of image data starts at this offset.
    SecondRun(u64),
    /// It is an animation, with frames after its first picture.
    Frames,
    /// There is an EXIF block.
    Exif,
}

impl Walk {
    /// Starts at `at`, or continues where the walk stopped.
    pub(super) fn begin(&mut self, at: u64) {
        self.at = self.at.max(at);
    }

    /// Moves on to `next`.
    pub(super) fn pass(&mut self, next: u64) {
        (self.at, self.parts) = (next, self.parts.saturating_add(1));
    }
}
