//! Kinds and formats of content.

/// The kind of an asset, as the platform distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A still or animated picture.
    Image,
    /// A video container, MP4 or not.
    Video,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Image, Self::Video, Self::Other];

    /// Returns `image`, `video` or `other`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Other => "other",
        }
    }
}

macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident, [$($extension:literal),*];)*) => {
        /// A content format, detected from the bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Format {
            $($(#[$doc])* $variant,)*
        }

        impl Format {
            /// Every format, in the order of the declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name used in reports and profiles, such as `jpeg`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns whether content of this format is an image, a video or neither.
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// Returns the extensions of files in this format, in lower case.
            pub fn extensions(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($extension),*],)* }
            }

            /// Every extension as a number, with the formats that use it in the order of the declaration.
            const EXTENSIONS: &[(u64, Self)] = &[$($((as_number($extension.as_bytes()), Self::$variant),)*)*];
        }
    };
}

formats! {
    /// JPEG (ITU-T T.81).
    Jpeg = "jpeg", Image, ["jpg", "jpeg", "jfif", "jpe", "mpo", "insp"];
    /// PNG and APNG (W3C PNG, third edition).
    Png = "png", Image, ["png", "apng"];
    /// WebP (RFC 9649).
    Webp = "webp", Image, ["webp"];
    /// TIFF 6.0 and BigTIFF.
    Tiff = "tiff", Image, ["tif", "tiff", "btf"];
    /// HEIF with any codec except AV1 (ISO/IEC 23008-12).
    Heif = "heif", Image, ["heic", "heif", "hif"];
    /// AVIF (AV1 Image File Format 1.1).
    Avif = "avif", Image, ["avif", "avifs"];
    /// GIF 87a and 89a.
    Gif = "gif", Image, ["gif"];
    /// Windows bitmap.
    Bmp = "bmp", Image, ["bmp", "dib"];
    /// JPEG 2000 (ISO/IEC 15444-1), boxed or as a bare codestream.
    Jp2 = "jp2", Image, ["jp2", "j2k", "j2c", "jpc", "jpx", "jpf", "jpm"];
    /// JPEG XL (ISO/IEC 18181).
    Jxl = "jxl", Image, ["jxl"];
    /// Adobe Photoshop.
    Psd = "psd", Image, ["psd", "psb"];
    /// Canon's raw files in ISO base media containers.
    Cr3 = "cr3", Image, ["cr3"];
    /// Raw files of other cameras, most of them structured like TIFF.
    Raw = "raw", Image, [
        "dng", "nef", "nrw", "cr2", "crw", "arw", "sr2", "srf", "orf", "rw2", "rwl", "raf", "pef", "srw", "3fr", "fff",
        "erf", "iiq", "mrw", "x3f", "dcr", "kdc", "k25", "mef", "mos", "gpr"
    ];
    /// A HEIF or AVIF image sequence without a still picture.
    HeifSequence = "heif-sequence", Image, ["heics", "heifs", "avifs", "heic", "heif", "hif", "avif", "avcs"];
    /// MPEG-4 Part 14 and related formats (ISO/IEC 14496-12).
    Mp4 = "mp4", Video, ["mp4", "m4v", "mov", "qt", "3gp", "3g2", "m4a", "f4v", "mp4v", "insv", "360"];
    /// QuickTime: the major brand is `qt  `, or there is no `ftyp` box.
    Mov = "mov", Video, ["mov", "qt", "mp4", "m4v", "insv", "360"];
    /// 3GPP and 3GPP2: the major brand begins with `3g`.
    ThreeGp = "3gp", Video, ["3gp", "3g2", "3gpp", "mp4"];
    /// Motion JPEG 2000 (ISO/IEC 15444-3).
    Mj2 = "mj2", Video, ["mj2", "mjp2"];
    /// Matroska other than WebM (RFC 9559).
    Matroska = "matroska", Video, ["mkv", "mka", "mk3d"];
    /// WebM.
    Webm = "webm", Video, ["webm", "mkv"];
    /// Audio Video Interleave.
    Avi = "avi", Video, ["avi", "divx"];
    /// Flash Video.
    Flv = "flv", Video, ["flv"];
    /// Advanced Systems Format: WMV, WMA.
    Asf = "asf", Video, ["wmv", "asf", "wma"];
    /// MPEG-2 transport stream.
    MpegTs = "mpegts", Video, ["ts", "mts", "m2ts", "m2t"];
    /// MPEG-1 or MPEG-2 program stream.
    MpegPs = "mpegps", Video, ["mpg", "mpeg", "vob", "m2p"];
    /// Ogg with any content.
    Ogg = "ogg", Video, ["ogv", "ogg", "ogx", "oga"];
    /// Files of Dahua recorders.
    Dhav = "dhav", Video, ["dav"];
    /// RealMedia.
    Rm = "rm", Video, ["rm", "rmvb"];
    /// Material Exchange Format (SMPTE ST 377-1).
    Mxf = "mxf", Video, ["mxf"];
    /// H.264 without a container (ITU-T H.264, annex B).
    H264 = "h264", Video, ["h264", "264"];
    /// HEVC without a container (ITU-T H.265, annex B).
    Hevc = "hevc", Video, ["hevc", "h265", "265"];
    /// Not a known format, or not read.
    Unknown = "unknown", Other, [];
}

impl Format {
    /// Returns whether a video is MP4 or one of its relatives, which share its boxes (ISO/IEC 14496-12).
    pub(crate) fn is_mp4_family(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::ThreeGp | Self::Mj2)
    }

    /// Returns whether this extension (any case) is usual for the format.
    pub(crate) fn matches_extension(self, extension: &str) -> bool {
        self.extensions().iter().any(|known| known.eq_ignore_ascii_case(extension))
    }

    /// Returns the first format that uses this extension (any case), or `None` if no media format does.
    pub fn of_extension(extension: &str) -> Option<Self> {
        if extension.len() > size_of::<u64>() {
            return None;
        }
        let number = as_number(extension.as_bytes());
        Self::EXTENSIONS.iter().find(|(known, _)| *known == number).map(|(_, format)| *format)
    }
}

/// The first eight bytes of an extension as a number, in lower case: it is compared with all others, for each blob.
const fn as_number(extension: &[u8]) -> u64 {
    let (mut number, mut at) = (0, 0);
    while at < extension.len() && at < size_of::<u64>() {
        number = number << 8 | extension[at].to_ascii_lowercase() as u64;
        at += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Format::ALL.len());
    }

    #[test]
    fn an_extension_finds_its_format_in_any_case() {
        assert_eq!(Format::of_extension("JPG"), Some(Format::Jpeg));
        assert_eq!(Format::of_extension("mov"), Some(Format::Mp4));
        assert_eq!(Format::of_extension("json"), None);
        assert!(Format::Mov.matches_extension("MOV"));
        assert_eq!((Format::of_extension("jpg_______"), Format::of_extension("")), (None, None));
        let extensions = Format::ALL.iter().flat_map(|format| format.extensions());
        assert!(extensions.clone().all(|extension| extension.len() <= 8));
    }
}
