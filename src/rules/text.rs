//! What each rule says about itself.

use crate::model::Code;

/// A rule in words.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// What its finding means, in one line.
    pub summary: &'static str,
    /// Why the rule exists, and how exactly it decides.
    pub why: &'static str,
    /// What to do about a finding.
    pub fix: &'static str,
    /// Where the rule and its facts come from.
    pub source: &'static str,
}

/// What the rule's finding means, in one line.
pub fn summary(code: Code) -> &'static str {
    text(code).summary
}

/// The rule in words.
pub fn text(code: Code) -> Text {
    match code {
        Code::ExifOrientation => Text {
            summary: "the EXIF orientation is neither absent nor 1",
            why: "Cameras store a picture as the sensor lies and note in EXIF how to turn it. Annotations refer to the \
                  pixels as they are stored, so the platform leaves out images that would have to be turned. What \
                  counts is the first tag 0x0112 in IFD0 of the image's own EXIF, with any integer type, also when its \
                  value is none of 1 to 8. JPEG's EXIF counts as exiftool finds it: with any sixth byte behind Exif and a \
                  NUL, in any case of the letters, and behind up to four other bytes. XMP, the thumbnail's IFD1, HEIF's \
                  rotation and a PNG's text chunks do not count.",
            fix: "Turn the pixels and set the tag to 1; presync names the command for each file. Cameras can often be \
                  told to do so themselves.",
            source: "Datature's guide to external storage; Exif 3.0, 4.6.5.1.6; compare exiftool -n -IFD0:Orientation",
        },
        Code::MajorBrand => Text {
            summary: "the major brand is not the one that is accepted",
            why: "The first box of an MP4 names the specification that it is written to. The platform takes mp42 and \
                  no other, whatever the compatible brands are. ffmpeg writes isom unless it is told otherwise, and \
                  QuickTime qt. What counts is the first ftyp box.",
            fix: "ffmpeg -i IN -c copy -brand mp42 OUT.mp4 writes the file anew without encoding it again; for MOV and 3GP \
                  -c:v copy, because their sound may be of a kind that MP4 does not take.",
            source: "Datature's guide to external storage; ISO/IEC 14496-12, 4.3; compare ffprobe's major_brand",
        },
        Code::PixelFormat => Text {
            summary: "the pixel format is not the one that is accepted",
            why: "The platform asks for 8-bit 4:2:0 of limited range, yuv420p, which every browser plays. Full range is \
                  yuvj420p for H.264, HEVC and Motion JPEG and so not accepted; for VP9 and AV1 it stays yuv420p. Every \
                  video track that is no attached picture must have the format. It is read from the codec's \
                  configuration.",
            fix: "Encode again: ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode vfr -c:v libx264 -crf 18 \
                  -brand mp42 OUT.mp4. Do not merely change the range flag: that changes the colors.",
            source: "Datature's guide to external storage; ITU-T H.264 and H.265, E.2.1; compare ffprobe's pix_fmt",
        },
        Code::NoVideoTrack => Text {
            summary: "the file has no video track",
            why: "An MP4 may hold sound alone, as a voice memo does. A picture of the cover is no video track.",
            fix: "Leave it out of the container, or upload the file that has the pictures.",
            source: "ISO/IEC 14496-12, 8.4.3",
        },
        Code::NotMp4 => Text {
            summary: "the video is not an MP4",
            why: "WebM, Matroska, AVI, FLV, WMV, MPEG-TS, MPEG-PS, Ogg, RealMedia, MXF, recorders' own formats and H.264 or \
                  HEVC without a container are recognised by their first bytes, whatever the name says. MOV, M4V, 3GP \
                  and Motion JPEG 2000 are relatives of MP4 and judged by their brand.",
            fix: "ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode vfr -c:v libx264 -crf 18 -brand mp42 \
                  OUT.mp4",
            source: "Datature's guide to external storage",
        },
        Code::FrameCountsDiffer => Text {
            summary: "stored and presented frames differ; the larger count counts",
            why: "An edit list can present fewer frames than the file stores, as after a cut without encoding. Which \
                  count the platform charges is not documented, so the larger one is budgeted. OpenCV, which it counts \
                  with elsewhere, ignores edit lists. A frame is presented when its presentation begins within an \
                  edit; an edit of no length presents nothing. Where that would take reading a long table of \
                  composition times, nothing is said.",
            fix: "Encode the video again, and the two are equal; presync names the command.",
            source: "ISO/IEC 14496-12, 8.6.6; compare ffprobe's nb_frames with -count_frames",
        },
        Code::CodecNotInBrowsers => Text {
            summary: "browsers do not play the codec",
            why: "The platform accepts the file, but annotators see it in a browser. H.264, VP8, VP9 and AV1 play \
                  everywhere; HEVC depends on the machine; MPEG-4 Part 2, Motion JPEG and ProRes play nowhere. An \
                  encrypted track plays nowhere without its key, whatever the codec is.",
            fix: "ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode vfr -c:v libx264 -crf 18 -brand mp42 \
                  OUT.mp4",
            source: "what Chrome, Firefox and Safari document about their decoders",
        },
        Code::VariableFrameRate => Text {
            summary: "frames are shown for unequal times",
            why: "A label that is made for a frame's number belongs to a time, and tools that take the rate for constant \
                  compute another one: the labels drift. What counts is the time-to-sample table of the first video \
                  track without the last sample: a duration that is off the mean by more than a tenth, or a frame that \
                  begins more than a frame from where the mean rate would have it. What rounding to the timescale makes \
                  of a constant rate does not count. Fragmented files are not checked.",
            fix: "Encode at a constant rate: ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode cfr -c:v \
                  libx264 -crf 18 -brand mp42 OUT.mp4. That repeats or drops frames, and so changes their number.",
            source: "ISO/IEC 14496-12, 8.6.1.2; compare ffprobe's r_frame_rate with avg_frame_rate",
        },
        Code::Rotated => Text {
            summary: "the track's matrix turns or mirrors the picture",
            why: "Phones store a video as the sensor lies, and in the track's matrix how to turn it. Players turn it, and \
                  not every tool does, so that labels made on one do not fit what the other shows.",
            fix: "Turn the pixels: ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode vfr -c:v libx264 -crf \
                  18 -brand mp42 OUT.mp4",
            source: "ISO/IEC 14496-12, 6.2.2 and 8.3.2; compare ffprobe's side data 'Display Matrix'",
        },
        Code::UnsupportedFormat => Text {
            summary: "the content is of a format that is not synced",
            why: "The name ends like an image's or a video's, but the content is something else, such as an error page \
                  that was saved as .jpg, or a format that the profile does not list. A camera's raw file is not a \
                  TIFF image, although most are built like one: it is known by its maker's marks, by a directory that \
                  holds a sensor's samples, or by its extension. A HEIF file that holds only an image sequence has no \
                  still picture.",
            fix: "Upload the file again, or convert it to JPEG or PNG.",
            source: "the profile's list of formats",
        },
        Code::ExtensionMismatch => Text {
            summary: "the content is not what the extension says",
            why: "The format is found by the content. Other tools go by the name and may fail on the file.",
            fix: "Rename the file.",
            source: "the formats' own signatures",
        },
        Code::Malformed => Text {
            summary: "the header is damaged, so the rules cannot be checked",
            why: "A part of the header is cut off, or points to where it cannot. Such a file is never accepted on what \
                  is left of it. Uploads that broke off are the usual reason.",
            fix: "Upload the file again. For a video whose end is missing, the recorder's repair function may help.",
            source: "the formats' specifications; the message names the part and its offset",
        },
        Code::Undetermined => Text {
            summary: "a fact that the rules need could not be established",
            why: "The format is recognised, but its header does not show the fact, or showing it would take more reads \
                  than one file may cost. The verdict is unknown: presync does not guess.",
            fix: "Look at the file with exiftool or ffprobe.",
            source: "the limits are named in presync's probe",
        },
        Code::Truncated => Text {
            summary: "the file ends before its data",
            why: "A box of a video names more bytes than there are, so an upload or a recording broke off. The rules can be \
                  checked all the same, because the header is whole, but players stop early. It is found only where the \
                  bytes that the verdict needs show it, and in JPEG files with --check-end, which reads the last 4 KiB \
                  of each: there the marker that ends a picture (EOI) is missing. It is a warning by default, which \
                  --severity FMT005=error makes an error.",
            fix: "Upload the file again.",
            source: "ISO/IEC 14496-12, 4.2; ITU-T T.81, B.2.1",
        },
        Code::Empty => Text {
            summary: "the blob has no content",
            why: "A file of zero bytes with an image's or a video's name is an upload that failed.",
            fix: "Upload the file again, or delete it.",
            source: "the listing",
        },
        Code::Archived => Text {
            summary: "the archive tier cannot be read",
            why: "A blob in the archive tier must be brought back to an online tier before anyone can read it, which \
                  takes up to 15 hours.",
            fix: "az storage blob set-tier --tier Hot --account-name ACCOUNT --container-name CONTAINER --name NAME",
            source: "Azure Blob Storage, \"Blob rehydration from the archive tier\"",
        },
        Code::TooLarge => Text {
            summary: "the blob is larger than what is accepted",
            why: "The platform's own tools take images up to 256 MiB and videos up to 512 GiB.",
            fix: "Make the image smaller, or split the video.",
            source: "the limits in Datature's command-line tools",
        },
        Code::DuplicateBasename => Text {
            summary: "the basename, by which annotations are matched, is not unique",
            why: "Annotations are imported by the file's name without its folders. Two assets of one name cannot be \
                  told apart. The later one in the listing carries the warning.",
            fix: "Rename one of them.",
            source: "Datature's annotation formats, which name files without folders",
        },
        Code::ImageQuota => Text {
            summary: "no image quota is left at this point",
            why: "The quota is spent in listing order, as the platform does: first come, first served. With --admit \
                  most-assets or newest it is spent in another order.",
            fix: "Raise the quota, or leave out images that come before it; the report says how much or how many.",
            source: "the limit given with --image-quota",
        },
        Code::FrameQuota => Text {
            summary: "more frames than what is left of the quota",
            why: "A video costs as many frames as it has and is taken whole or not at all. A smaller one after it may \
                  still fit.",
            fix: "Raise the quota, shorten the video, or leave out videos that come before it; the report says how much \
                  or which.",
            source: "the limit given with --frame-quota",
        },
        Code::Unreadable => Text {
            summary: "the blob could not be read",
            why: "Reading was tried several times. The message carries the service's own code. The verdict is unknown.",
            fix: "Run again.",
            source: "Azure Blob Storage, \"Status and error codes\"",
        },
        Code::Changed => Text {
            summary: "the blob changed between listing and reading",
            why: "Every read is tied to the version that was listed. The verdict is unknown, because the old version is \
                  gone and the new one was not listed.",
            fix: "Run again when nothing is being uploaded.",
            source: "the ETag of the listing and If-Match",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_says_enough_and_fits_its_line() {
        for code in Code::ALL {
            let text = text(*code);
            assert!(text.summary.len() <= 62, "{code}: {} letters", text.summary.len());
            assert!(!text.summary.ends_with('.') && text.why.ends_with('.'), "{code}");
            assert!(!text.fix.is_empty() && !text.source.is_empty(), "{code}");
            assert!(!text.why.contains("  "), "{code} has a gap");
        }
    }
}
