//! The rule on what a blob's properties say about its content.

use crate::model::{Blob, Code, Facts, Finding, Format};

/// What the commands of a fix have in place of the account and the container, which are known only to a run. A run puts
/// its own there, with [`address`].
const PLACE: &str = "--account-name ACCOUNT --container-name CONTAINER";

/// Checks the Content-Type and the Content-Encoding of a blob that is an image or a video, or that has the extension of
/// one: `promised` is the format of the extension.
///
/// A blob without a Content-Type, as in a folder, is not checked. A type of the extension's format is accepted like one
/// of the content's, because FMT002 already says that they differ.
pub(super) fn judge(blob: &Blob, facts: &Facts, promised: Option<Format>) -> Option<Finding> {
    let declared = &blob.declared;
    let media_type = || {
        let extension = blob.name.extension().unwrap_or_default();
        facts.format.media_type(extension).or_else(|| promised?.media_type(extension))
    };
    if let Some(encoding) = declared.content_encoding.as_deref().filter(|encoding| !is_identity(encoding)) {
        let content = facts.format.as_str();
        let message = match facts.format {
            Format::Unknown => {
                format!("Content-Encoding is {encoding}: platforms read the bytes as they are stored")
            }
            _ => format!(
                "Content-Encoding is {encoding}, but the bytes are plain {content}, so browsers fail to show it"
            ),
        };
        let finding = Finding::new(Code::ContentType, message);
        return Some(match (facts.format, media_type()) {
            (Format::Unknown, _) => finding.with_fix("Upload the file again, without compressing it"),
            // az cannot clear one property alone.
            (_, Some(media_type)) => finding.with_fix(update(
                blob,
                &format!("--clear-content-settings true --content-type {media_type}"),
            )),
            (_, None) => finding.with_fix(update(blob, "--clear-content-settings true")),
        });
    }
    let content_type = declared.content_type.as_deref()?;
    let expected = facts.format.media_types();
    let of_extension = promised.map_or(&[][..], Format::media_types);
    // Apart from its case and parameters (RFC 9110, 8.3.1).
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let mut accepted = expected.iter().chain(of_extension);
    if expected.is_empty() || accepted.any(|one| essence.eq_ignore_ascii_case(one)) {
        return None;
    }
    let media_type = media_type()?;
    let message = format!("Content-Type is {content_type}, but the content is {media_type}");
    let fix = update(blob, &format!("--content-type {media_type}"));
    Some(Finding::new(Code::ContentType, message).with_fix(fix))
}

/// Whether a Content-Encoding stands for none (RFC 9110, 12.5.3).
fn is_identity(encoding: &str) -> bool {
    encoding.trim().is_empty() || encoding.trim().eq_ignore_ascii_case("identity")
}

/// The command that changes properties of the blob.
fn update(blob: &Blob, change: &str) -> String {
    format!("az storage blob update {PLACE} {} {change}", name(blob))
}

/// The option that names the blob, for a shell.
pub(super) fn name(blob: &Blob) -> String {
    let name = blob.name.as_str();
    // No command can be given a NUL character.
    let quoted = shlex::try_quote(name).map_or("NAME".into(), |quoted| quoted);
    match name.starts_with('-') {
        true => format!("--name={quoted}"),
        false => format!("--name {quoted}"),
    }
}

/// The command that moves the blob to an online tier.
pub(super) fn rehydrate(blob: &Blob) -> String {
    format!("az storage blob set-tier --tier Hot {PLACE} {}", name(blob))
}

/// Puts the account and the container into the commands of the findings.
pub fn address(findings: &mut [Finding], account: Option<&str>, container: Option<&str>) {
    let (Some(account), Some(container)) = (account, container) else { return };
    for fix in findings.iter_mut().filter_map(|finding| finding.fix.as_mut()) {
        // Only at its place: the same words may be in a blob's name.
        let Some(at) = fix.find(PLACE).filter(|_| fix.starts_with("az storage blob ")) else { continue };
        let quoted = |word| shlex::try_quote(word).unwrap_or_default().into_owned();
        let place = format!("--account-name {} --container-name {}", quoted(account), quoted(container));
        fix.replace_range(at..at + PLACE.len(), &place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, BlobName, Declared};

    fn found(name: &str, format: Format, content_type: &str, encoding: &str) -> Option<Finding> {
        let blob = Blob {
            name: BlobName::new(name),
            size: 10,
            etag: None,
            last_modified: None,
            access: Access::Online,
            declared: Declared::new(Some(content_type), Some(encoding)),
        };
        let promised = blob.name.extension().and_then(Format::of_extension);
        judge(&blob, &Facts::of(format), promised)
    }

    #[test]
    fn a_type_of_the_content_or_of_the_extension_is_right() {
        for (name, format, content_type) in [
            ("a.jpg", Format::Jpeg, "image/jpeg"),
            ("a.jpg", Format::Jpeg, " IMAGE/JPEG ; charset=binary"),
            ("a.mp4", Format::Mov, "video/mp4"),
            ("a.mp4", Format::Mov, "video/quicktime"),
            ("a.wmv", Format::Asf, "video/x-ms-wmv"),
            ("a", Format::Png, "image/png"),
            ("a.nef", Format::Raw, "application/octet-stream"),
            ("a.jpg", Format::Jpeg, ""),
        ] {
            assert_eq!(found(name, format, content_type, ""), None, "{name} {content_type}");
            assert_eq!(found(name, format, content_type, "identity"), None, "{name} {content_type}");
        }
    }

    #[test]
    fn the_fix_is_a_command_for_a_shell() {
        for (name, format, content_type, encoding, fix) in [
            (
                "a b/é'.jpg",
                Format::Jpeg,
                "application/octet-stream",
                "",
                "--name \"a b/é'.jpg\" --content-type image/jpeg",
            ),
            ("-x.mp4", Format::Mov, "text/plain", "", "--name=-x.mp4 --content-type video/quicktime"),
            ("a.wmv", Format::Asf, "x", "", "--name a.wmv --content-type video/x-ms-wmv"),
            (
                "a.png",
                Format::Png,
                "image/png",
                "gzip",
                "--name a.png --clear-content-settings true --content-type image/png",
            ),
            ("a.nef", Format::Raw, "", "br", "--name a.nef --clear-content-settings true"),
        ] {
            let mut finding = [found(name, format, content_type, encoding).expect(name)];
            address(&mut finding, Some("media"), Some("$web"));
            let expected =
                format!("az storage blob update --account-name media --container-name '$web' {fix}");
            assert_eq!(finding[0].fix.as_deref(), Some(&*expected));
        }
        let packed = found("a.jpg", Format::Unknown, "image/jpeg", "gzip").expect("it is compressed");
        assert!(packed.fix.is_some_and(|fix| fix.contains("without compressing")));
    }

    #[test]
    fn a_name_never_takes_the_place_of_an_account() {
        let odd = format!("{PLACE}.jpg");
        let mut finding = [found(&odd, Format::Jpeg, "text/plain", "").expect("the type is wrong")];
        address(&mut finding, Some("a"), Some("c"));
        let fix = finding[0].fix.clone().unwrap_or_default();
        assert!(fix.contains("--account-name a --container-name c ") && fix.contains(&odd), "{fix}");
    }
}
