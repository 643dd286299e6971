//! What a blob's properties say about its content, and the media types of the formats.

use std::borrow::Cow;

use super::Format;

/// The most bytes of a Content-Type or Content-Encoding that are kept. A media type has at most 255 (RFC 6838, 4.2).
const MAX_BYTES: usize = 255;

/// The Content-Type and Content-Encoding of a blob, as listed. Both are absent for a file in a folder, and if the
/// listing does not have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The Content-Type, at most 255 bytes. The usual ones are borrowed, so that millions of blobs share them.
    pub content_type: Option<Cow<'static, str>>,
    /// The Content-Encoding, at most 255 bytes.
    pub content_encoding: Option<Box<str>>,
}

impl Declared {
    /// Takes the texts of a listing; an empty one counts as absent.
    pub fn new(content_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        Self {
            content_type: content_type.filter(|text| !text.is_empty()).map(Self::media_type),
            content_encoding: content_encoding.and_then(Self::encoding),
        }
    }

    /// The text of a Content-Encoding; `None` if it is empty.
    pub fn encoding(text: &str) -> Option<Box<str>> {
        (!text.is_empty()).then(|| cut(text).into())
    }

    /// The text of a Content-Type, which is borrowed if it is a usual one.
    pub fn media_type(text: &str) -> Cow<'static, str> {
        let usual =
            Format::ALL.iter().flat_map(|format| format.media_types()).chain(&["application/octet-stream"]);
        let found = usual.copied().find(|usual| *usual == text);
        found.map_or_else(|| Cow::Owned(cut(text).to_owned()), Cow::Borrowed)
    }
}

/// The start of a text, cut between characters.
fn cut(text: &str) -> &str {
    let is_end = |end: &usize| text.is_char_boundary(*end);
    &text[..(0..=MAX_BYTES.min(text.len())).rev().find(is_end).unwrap_or(0)]
}

impl Format {
    /// The media types under which blobs in this format are usual, the registered one first (IANA, "Media Types").
    /// Empty for formats without one.
    pub fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Jpeg => &["image/jpeg", "image/jpg", "image/pjpeg"],
            Self::Png => &["image/png", "image/apng", "image/x-png"],
            Self::Webp => &["image/webp"],
            Self::Tiff => &["image/tiff", "image/x-tiff"],
            Self::Heif => &["image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"],
            Self::HeifSequence => &["image/heic-sequence", "image/heif-sequence", "image/heic", "image/heif"],
            Self::Avif => &["image/avif", "image/avif-sequence"],
            Self::Gif => &["image/gif"],
            Self::Bmp => &["image/bmp", "image/x-ms-bmp", "image/x-bmp"],
            Self::Jp2 => {
                &["image/jp2", "image/jpx", "image/jpm", "image/j2c", "image/x-jp2", "image/jpeg2000"]
            }
            Self::Jxl => &["image/jxl"],
            Self::Psd => &["image/vnd.adobe.photoshop"],
            Self::Mp4 => &["video/mp4", "video/x-m4v", "video/x-f4v", "application/mp4"],
            Self::Mov => &["video/quicktime"],
            Self::ThreeGp => &["video/3gpp", "video/3gpp2"],
            Self::Mj2 => &["video/mj2"],
            Self::Matroska => &["video/matroska", "video/x-matroska"],
            Self::Webm => &["video/webm"],
            Self::Avi => &["video/x-msvideo", "video/vnd.avi", "video/avi", "video/msvideo"],
            Self::Flv => &["video/x-flv", "video/flv"],
            Self::Asf => &["video/x-ms-asf", "video/x-ms-wmv", "application/vnd.ms-asf"],
            Self::MpegTs => &["video/mp2t", "video/mpeg"],
            Self::MpegPs => &["video/mpeg", "video/mp2p"],
            Self::Ogg => &["video/ogg", "application/ogg"],
            Self::Rm => &[
                "application/vnd.rn-realmedia",
                "application/vnd.rn-realmedia-vbr",
                "video/vnd.rn-realvideo",
            ],
            Self::Mxf => &["application/mxf"],
            Self::H264 => &["video/h264"],
            Self::Hevc => &["video/h265"],
            Self::Cr3 | Self::Raw | Self::Dhav | Self::Unknown => &[],
        }
    }

    /// The media type to declare for a file in this format with this extension (any case): that of the extension where
    /// the format has several.
    pub fn media_type(self, extension: &str) -> Option<&'static str> {
        let types = self.media_types();
        let of_extension = match &*extension.to_ascii_lowercase() {
            "heif" => "image/heif",
            "wmv" => "video/x-ms-wmv",
            "m4v" => "video/x-m4v",
            "f4v" => "video/x-f4v",
            "3g2" => "video/3gpp2",
            _ => "",
        };
        types.iter().find(|media_type| **media_type == of_extension).or(types.first()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_types_are_borrowed_and_others_cut() {
        assert!(matches!(Declared::media_type("image/jpeg"), Cow::Borrowed(_)));
        assert!(matches!(Declared::media_type("application/octet-stream"), Cow::Borrowed(_)));
        assert_eq!(Declared::media_type(&"é".repeat(1000)).len(), 254);
        assert_eq!(Declared::new(Some(""), Some("")), Declared::default());
        assert_eq!(Declared::new(None, Some("gzip")).content_encoding.as_deref(), Some("gzip"));
    }

    #[test]
    fn an_extension_picks_among_the_types_of_its_format() {
        assert_eq!(Format::Jpeg.media_type("JPG"), Some("image/jpeg"));
        assert_eq!(Format::Asf.media_type("WMV"), Some("video/x-ms-wmv"));
        assert_eq!(Format::Mov.media_type("m4v"), Some("video/quicktime"));
        assert_eq!(Format::Raw.media_type("nef"), None);
    }
}
