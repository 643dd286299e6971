//! What a label file says about an image or a video.

/// A place in a label file that refers to an image or a video.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// The name or path, as the file has it.
    pub name: &'a str,
    /// Whether `name` has no extension, because the format leaves it out.
    pub is_stem: bool,
    /// Width of the picture in pixels, as the file states it.
    pub width: Option<u64>,
    /// Height, likewise.
    pub height: Option<u64>,
    /// The first and the last frame of a video that labels are for.
    pub frames: Option<(u64, u64)>,
    /// How often the video or the image is referred to.
    pub count: u64,
    /// The line, counted from 1, in formats of lines.
    pub line: Option<u64>,
}

impl<'a> Reference<'a> {
    /// A reference to this name.
    pub(super) fn to(name: &'a str) -> Self {
        Self { name, count: 1, ..Self::default() }
    }

    /// The reference with a size; some tools write 0 for one that they do not know.
    pub(super) fn sized(self, width: Option<u64>, height: Option<u64>) -> Self {
        let known = |size: Option<u64>| size.filter(|size| *size > 0);
        Self { width: known(width), height: known(height), ..self }
    }
}

/// Takes the references of a file.
pub(super) type Taker<'t> = &'t mut dyn FnMut(Reference<'_>);
