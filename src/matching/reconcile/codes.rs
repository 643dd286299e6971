//! The platform's own error codes (`vi-sdk`, `AssetIngestionError`), beside the rules that look for the same.

use crate::model::Code;

/// What a code seems to say, and the rules that look for that. The platform documents the names only.
pub(super) struct Meaning {
    pub text: &'static str,
    pub rules: &'static [Code],
}

/// The code of an asset that is there already.
const ALREADY: &str = "EALREADY";

/// Whether the asset is there although there is a code.
pub(super) fn is_there(code: &str) -> bool {
    code == ALREADY
}

/// The meaning of a code; `None` for one that is not known.
pub(super) fn meaning(code: &str) -> Option<Meaning> {
    let (text, rules): (_, &'static [Code]) = match code {
        ALREADY => ("an asset of that name is there already", &[Code::DuplicateBasename]),
        "EBADMIME" => (
            "the media type is not accepted",
            &[Code::UnsupportedFormat, Code::NotMp4, Code::ExtensionMismatch, Code::ContentType],
        ),
        "EBADSIZE" => {
            ("the size is not accepted", &[Code::TooLarge, Code::Empty, Code::TooWide, Code::TooHigh])
        }
        "ECORRUPT" => ("the content cannot be read", &[Code::Malformed, Code::Truncated, Code::Empty]),
        "ENOQUOTA" => ("no quota was left", &[Code::ImageQuota, Code::FrameQuota]),
        "EOLDMETA" => ("the asset changed during the sync", &[Code::Changed]),
        "ETIMEOUT" => ("reading took too long", &[Code::Unreadable]),
        "ENOASSET" => ("the asset was not found", &[Code::Unreadable]),
        "ERESNENT" | "EPROJECT" | "ESEQMETA" | "EUNKNOWN" => ("the platform does not document it", &[]),
        _ => return None,
    };
    Some(Meaning { text, rules })
}
