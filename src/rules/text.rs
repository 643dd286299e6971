//! The explanation of each rule.

use crate::model::Code;

/// The explanation of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// What a finding means, in one line.
    pub summary: &'static str,
    /// Why the rule exists, and exactly what it checks.
    pub why: &'static str,
    /// What to do about a finding.
    pub fix: &'static str,
    /// The source of the rule and its facts.
    pub source: &'static str,
}

/// Returns what a finding of the rule means, in one line.
pub fn summary(code: Code) -> &'static str {
    text(code).summary
}

/// Returns the explanation of a rule.
pub fn text(code: Code) -> Text {
    match code {
        Code::ExifOrientation => Text {
            summary: "the EXIF orientation is neither absent nor 1",
            why: "Cameras store a picture as the sensor sees it and record in EXIF how to rotate it. Annotations refer \
                  to the stored pixels, so the platform rejects images that would have to be rotated. The rule checks \
                  the first tag 0x0112 in IFD0 of the image's own EXIF, of any integer type, even if its value is not \
                  one of 1 to 8. In JPEG, EXIF is found the way exiftool finds it: any byte may follow Exif and its \
                  NUL, the letters may be in any case, and up to four bytes may precede them. XMP, the thumbnail's \
                  IFD1, HEIF's rotation and PNG text chunks are ignored.",
            fix: "presync fix rotates the pixels and sets the tag to 1; reports show the command for each file. A JPEG \
                  is rotated without loss unless blocks at its edges are cut: then it is encoded again, because \
                  cutting them off would shift existing labels. Many cameras have a setting for this.",
            source: "Datature's guide to external storage; Exif 3.0, 4.6.5.1.6; compare exiftool -n -IFD0:Orientation",
        },
        Code::MajorBrand => Text {
            summary: "the major brand is not accepted",
            why: "The first box of an MP4 names the specification that the file follows. The platform accepts only \
                  mp42, whatever the compatible brands are. By default, ffmpeg writes isom and QuickTime writes qt. \
                  The rule checks the first ftyp box.",
            fix: "presync fix changes the four bytes, in a container without moving the video. Or rewrite the file: \
                  ffmpeg -i IN -c copy -brand mp42 OUT.mp4 does not encode it again. For MOV and 3GP \
                  use -c:v copy instead, because MP4 may not support their audio codec.",
            source: "Datature's guide to external storage; ISO/IEC 14496-12, 4.3; compare ffprobe's major_brand",
        },
        Code::PixelFormat => Text {
            summary: "the pixel format is not accepted",
            why: "The platform requires 8-bit 4:2:0 in limited range, yuv420p, which every browser plays. Full-range \
                  H.264, HEVC and Motion JPEG are yuvj420p and so not accepted; VP9 and AV1 are yuv420p in either \
                  range. Every video track except attached pictures must have the format. It is read from the codec's \
                  configuration.",
            fix: "Re-encode: ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode vfr -c:v libx264 \
                  -crf 18 -brand mp42 OUT.mp4. Changing only the range flag would change the colors.",
            source: "Datature's guide to external storage; ITU-T H.264 and H.265, E.2.1; compare ffprobe's pix_fmt",
        },
        Code::NoVideoTrack => Text {
            summary: "the file has no video track",
            why: "An MP4 may contain only audio, such as a voice memo. Cover art does not count as a video track.",
            fix: "Remove it from the container, or upload the file that has the video.",
            source: "ISO/IEC 14496-12, 8.4.3",
        },
        Code::NotMp4 => Text {
            summary: "the video's format is not accepted",
            why: "A profile lists the video formats that it accepts: nexus those of the MP4 family, vi also those that \
                  its SDK uploads. WebM, Matroska, AVI, FLV, WMV, MPEG-TS, MPEG-PS, Ogg, RealMedia, MXF, proprietary recorder formats \
                  and raw H.264 or HEVC streams are recognized by their first bytes, whatever the file is called. MOV, \
                  M4V, 3GP and Motion JPEG 2000 are related to MP4 and are judged by their major brand instead.",
            fix: "ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode vfr -c:v libx264 -crf 18 \
                  -brand mp42 OUT.mp4",
            source: "Datature's guide to external storage",
        },
        Code::TooManyFrames => Text {
            summary: "the video has more frames than the profile allows",
            why: "A profile can limit the frames of a video, with max_frames. The built-in ones do not. If stored and \
                  presented frames differ, the larger count is compared.",
            fix: "Split the video before it is annotated.",
            source: "videos.max_frames of the profile",
        },
        Code::TooLong => Text {
            summary: "the video is longer than the profile allows",
            why: "A profile can limit the duration of a video, with max_duration_s, in seconds. The built-in ones do \
                  not. The duration is what the edit list presents.",
            fix: "Split the video before it is annotated.",
            source: "videos.max_duration_s of the profile",
        },
        Code::FrameRateTooHigh => Text {
            summary: "the frame rate is higher than the profile allows",
            why: "A profile can limit the frames per second, with max_frame_rate. The built-in ones do not. The rate is \
                  the frames divided by the duration; because durations are rounded, up to 1 % more is tolerated.",
            fix: "Encode the video at a lower frame rate before it is annotated, or record it at one.",
            source: "videos.max_frame_rate of the profile",
        },
        Code::FramesEstimated => Text {
            summary: "the header does not show the frames; an upper bound is used",
            why: "Some containers do not count their frames in a header, and presync does not read whole files. The \
                  largest count that the duration and the frame rate of the header allow is budgeted instead, so the \
                  quota is never underestimated. The platform may charge less.",
            fix: "Convert the video to MP4, whose header counts the frames.",
            source: "the container's specification; compare ffprobe -count_packets",
        },
        Code::FrameCountsDiffer => Text {
            summary: "stored and presented frames differ; the larger count is used",
            why: "An edit list can present fewer frames than the file stores, for example after a cut without \
                  re-encoding. The platform does not document which count it charges, so the larger one is budgeted. \
                  OpenCV, which the platform uses to count frames elsewhere, ignores edit lists. A frame is presented \
                  if its presentation starts within an edit; an edit of zero length presents nothing. The rule is not \
                  checked where that would require reading a long table of composition times.",
            fix: "Re-encode the video so that the counts are equal; presync shows the command.",
            source: "ISO/IEC 14496-12, 8.6.6; compare ffprobe's nb_frames with -count_frames",
        },
        Code::CodecNotInBrowsers => Text {
            summary: "browsers do not play the codec",
            why: "The platform accepts the file, but annotators view it in a browser. H.264, VP8, VP9 and AV1 play \
                  everywhere; HEVC depends on the machine; MPEG-4 Part 2, Motion JPEG and ProRes play nowhere. An \
                  encrypted track does not play without its key, whatever the codec.",
            fix: "ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode vfr -c:v libx264 -crf 18 \
                  -brand mp42 OUT.mp4",
            source: "the decoder documentation of Chrome, Firefox and Safari",
        },
        Code::VariableFrameRate => Text {
            summary: "frames are shown for different lengths of time",
            why: "A label on a frame number belongs to a point in time, and tools that assume a constant frame rate \
                  compute a different one, so the labels drift. The rule checks the time-to-sample table of the first \
                  video track, except for the last sample. It warns if a duration differs from the mean by more than \
                  a tenth, or if a frame starts more than one frame away from where a constant rate would put it. \
                  Rounding to the timescale is tolerated. Fragmented files are not checked.",
            fix: "Encode at a constant rate: ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode cfr \
                  -c:v libx264 -crf 18 -brand mp42 OUT.mp4. This repeats or drops frames, so the frame count changes.",
            source: "ISO/IEC 14496-12, 8.6.1.2; compare ffprobe's r_frame_rate with avg_frame_rate",
        },
        Code::Rotated => Text {
            summary: "the track's matrix turns or mirrors the picture",
            why: "Phones store a video as the sensor sees it and record in the track's matrix how to rotate it. \
                  Players apply the rotation, but not every tool does, so labels made with one tool may not fit in \
                  another.",
            fix: "Rotate the pixels: ffmpeg -i IN -vf scale=out_range=tv,format=yuv420p,crop -fps_mode vfr \
                  -c:v libx264 -crf 18 -brand mp42 OUT.mp4",
            source: "ISO/IEC 14496-12, 6.2.2 and 8.3.2; compare ffprobe's side data 'Display Matrix'",
        },
        Code::UnsupportedFormat => Text {
            summary: "the content is in a format that is not synced",
            why: "The file has an image or video extension, but its content is something else, such as an error page \
                  saved as .jpg, or a format that the profile does not list. A camera raw file is not a TIFF image, \
                  although most are structured like one: it is recognized by its vendor's signature, by a directory \
                  that contains raw sensor data, or by its extension. A HEIF file that contains only an image sequence \
                  has no still picture.",
            fix: "Upload the file again, or convert it to JPEG or PNG.",
            source: "the profile's list of formats",
        },
        Code::ExtensionMismatch => Text {
            summary: "the content does not match the extension",
            why: "presync detects the format from the content. Other tools rely on the extension and may fail on the \
                  file.",
            fix: "Rename the file; presync fix does it with --only FMT002.",
            source: "the formats' own signatures",
        },
        Code::Malformed => Text {
            summary: "the header is damaged, so the rules cannot be checked",
            why: "A part of the header is cut off, or points outside the file. Such a file is never accepted based on \
                  what is left of it. The usual cause is an interrupted upload.",
            fix: "Upload the file again. If the end of a video is missing, the camera's repair function may help.",
            source: "the formats' specifications; the message names the part and its offset",
        },
        Code::Undetermined => Text {
            summary: "a fact that the rules need could not be established",
            why: "The format is recognized, but its header does not contain the fact, or finding it would take more \
                  reads than presync allows per file. The verdict is unknown: presync does not guess.",
            fix: "Inspect the file with exiftool or ffprobe.",
            source: "the limits are named in presync's probe",
        },
        Code::Truncated => Text {
            summary: "the file ends before its data",
            why: "A box of a video is longer than the rest of the file, so an upload or a recording was interrupted. \
                  The header is complete and the rules can be checked, but players stop early. This is detected only \
                  where the bytes read for the verdict show it and, with --check-end, in JPEG files: presync then \
                  reads the last 4 KiB of each and warns if the end-of-image marker (EOI) is missing. It is a warning \
                  by default; --severity FMT005=error makes it an error.",
            fix: "Upload the file again.",
            source: "ISO/IEC 14496-12, 4.2; ITU-T T.81, B.2.1",
        },
        Code::TooWide => Text {
            summary: "the picture is wider than the profile allows",
            why: "A profile can limit the width of images and of videos, with max_width, in pixels. The built-in ones \
                  do not. With a limit, presync reads on for a width that the first bytes do not show.",
            fix: "Scale it down before it is annotated.",
            source: "max_width of the profile",
        },
        Code::TooHigh => Text {
            summary: "the picture is higher than the profile allows",
            why: "A profile can limit the height of images and of videos, with max_height, in pixels. The built-in ones \
                  do not. With a limit, presync reads on for a height that the first bytes do not show.",
            fix: "Scale it down before it is annotated.",
            source: "max_height of the profile",
        },
        Code::Empty => Text {
            summary: "the blob has no content",
            why: "A zero-byte file with an image or video extension is usually a failed upload.",
            fix: "Upload the file again, or delete it.",
            source: "the listing",
        },
        Code::Archived => Text {
            summary: "the blob is in the archive tier and cannot be read",
            why: "A blob in the archive tier must be rehydrated to an online tier before it can be read, which takes \
                  up to 15 hours.",
            fix: "az storage blob set-tier --tier Hot --account-name ACCOUNT --container-name CONTAINER --name NAME",
            source: "Azure Blob Storage, \"Blob rehydration from the archive tier\"",
        },
        Code::TooLarge => Text {
            summary: "the blob is larger than the limit",
            why: "The platform's own tools accept images up to 256 MiB and videos up to 512 GiB.",
            fix: "Make the image smaller, or split the video.",
            source: "the limits in Datature's command-line tools",
        },
        Code::ContentType => Text {
            summary: "the declared Content-Type is not that of the content",
            why: "A blob is served with the Content-Type that it was uploaded with, application/octet-stream by default. \
                  Browsers may refuse to play a video under a wrong type, and a platform may reject a file for it: Vi's \
                  ingestion has a code for a bad media type. The rule compares the type in the listing with the usual \
                  types of the content's format and of the extension's, apart from case and parameters. It also \
                  reports a Content-Encoding on media, because browsers would try to decompress the file. It costs no \
                  request, and is not checked in folders and in inventories without the column.",
            fix: "az storage blob update --account-name ACCOUNT --container-name CONTAINER --name NAME --content-type TYPE; \
                  presync shows the command for each blob. It changes the ETag, but not the content.",
            source: "Azure Blob Storage, \"List Blobs\" and \"Set Blob Properties\"; IANA, \"Media Types\"",
        },
        Code::DuplicateBasename => Text {
            summary: "the basename, by which annotations are matched, is not unique",
            why: "Annotations are imported by file name without the folders, so two assets with the same basename \
                  cannot be told apart. The later one in the listing gets the warning.",
            fix: "Rename one of them.",
            source: "Datature's annotation formats, which name files without folders",
        },
        Code::ImageQuota => Text {
            summary: "no image quota is left at this point of the listing",
            why: "The quota is spent in listing order, as the platform does: first come, first served. --admit \
                  most-assets and --admit newest use a different order.",
            fix: "Raise the quota, or remove images that come earlier; the report shows by how much or how many.",
            source: "the limit given with --image-quota",
        },
        Code::FrameQuota => Text {
            summary: "the video has more frames than the quota has left",
            why: "A video uses as much quota as it has frames, and is accepted in full or not at all. A shorter one \
                  later in the listing may still fit.",
            fix: "Raise the quota, shorten the video, or remove videos that come earlier; the report shows by how much \
                  or which.",
            source: "the limit given with --frame-quota",
        },
        Code::Unreadable => Text {
            summary: "the blob could not be read after retries",
            why: "Reading failed, including all retries. The message includes the service's error code. The verdict is \
                  unknown.",
            fix: "Run again.",
            source: "Azure Blob Storage, \"Status and error codes\"",
        },
        Code::Changed => Text {
            summary: "the blob changed between listing and reading",
            why: "Every read is tied to the version that was listed. The verdict is unknown because the old version is \
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
