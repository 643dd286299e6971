//! What each rule says about itself.

use crate::model::Code;

/// What the rule's finding means, in one line.
pub fn summary(code: Code) -> &'static str {
    match code {
        Code::ExifOrientation => "the EXIF orientation is neither absent nor 1",
        Code::MajorBrand => "the major brand is not the one that is accepted",
        Code::PixelFormat => "the pixel format is not the one that is accepted",
        Code::NoVideoTrack => "the file has no video track",
        Code::NotMp4 => "the video is not an MP4",
        Code::FrameCountsDiffer => "stored and presented frames differ; the larger count counts",
        Code::CodecNotInBrowsers => "browsers do not play the codec",
        Code::UnsupportedFormat => "the content is of a format that is not synced",
        Code::ExtensionMismatch => "the content is not what the extension says",
        Code::Malformed => "the header is damaged, so the rules cannot be checked",
        Code::Undetermined => "a fact that the rules need could not be established",
        Code::Empty => "the blob has no content",
        Code::Archived => "the archive tier cannot be read",
        Code::TooLarge => "the blob is larger than what is accepted",
        Code::DuplicateBasename => "the basename, by which annotations are matched, is not unique",
        Code::ImageQuota => "no image quota is left at this point",
        Code::FrameQuota => "more frames than what is left of the quota",
        Code::Unreadable => "the blob could not be read",
        Code::Changed => "the blob changed between listing and reading",
    }
}
