//! The probe against independent parsers, over the demo container and over a corpus.
//!
//! Wherever an answer differs, [`KNOWN`] says who is right and why. A difference that is not listed there fails the
//! test, and so does one that is listed and gone. The corpus is the folder that `PRESYNC_CORPUS` names; it is no part
//! of the project.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use exif::{In, Tag};
use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ImageDecoder, ImageResult};
use mp4parse::{CodecType, SampleEntry, TrackType};
use presync::model::{BlobName, Facts, Format, Orientation};
use presync::probe::{Probe, Step};
use serde_json::Value;

use crate::support::presync::root;

fn probe(name: &str, bytes: &Bytes) -> Facts {
    let (mut probe, mut step) = Probe::new(bytes.len() as u64, BlobName::new(name).extension());
    loop {
        match step {
            Step::Done(facts) => return facts,
            Step::Need(range) => {
                step = probe.step(bytes.slice(range.start() as usize..range.end() as usize));
            }
        }
    }
}

/// One question about a file, answered by another parser and by the probe.
struct Answers {
    /// The other parser.
    by: &'static str,
    question: &'static str,
    theirs: String,
    ours: String,
}

/// Everything that other parsers say about a file.
fn answers(bytes: &Bytes, facts: &Facts) -> Vec<Answers> {
    match facts.format {
        Format::Jpeg => vec![kamadak(bytes, facts), image(bytes, facts)],
        Format::Png | Format::Webp => vec![kamadak(bytes, facts), image(bytes, facts)],
        Format::Tiff | Format::Heif | Format::Avif => vec![kamadak(bytes, facts)],
        Format::Mp4 | Format::Mov | Format::ThreeGp => mp4parse(bytes, facts),
        _ => Vec::new(),
    }
}

fn kamadak(bytes: &[u8], facts: &Facts) -> Answers {
    let read = exif::Reader::new().continue_on_error(true).read_from_container(&mut Cursor::new(bytes));
    let theirs = match read.or_else(|error| error.distill_partial_result(|_| {})) {
        Ok(exif) => match exif.get_field(Tag::Orientation, In::PRIMARY) {
            Some(field) => field.value.get_uint(0).map_or("damaged".into(), |value| value.to_string()),
            None => "absent".into(),
        },
        Err(exif::Error::NotFound(_)) => "absent".into(),
        Err(_) => "damaged".into(),
    };
    let ours = match facts.orientation {
        Orientation::NotRead => "damaged".into(),
        Orientation::Absent => "absent".into(),
        Orientation::Value(value) => value.to_string(),
    };
    Answers { by: "kamadak-exif", question: "orientation", theirs, ours }
}

/// `image` tells no absent tag, and none out of range, from a 1.
fn image(bytes: &[u8], facts: &Facts) -> Answers {
    fn orientation<D: ImageDecoder>(decoder: ImageResult<D>) -> ImageResult<u8> {
        Ok(decoder?.orientation()?.to_exif())
    }
    let file = Cursor::new(bytes);
    let theirs = match facts.format {
        Format::Jpeg => orientation(JpegDecoder::new(file)),
        Format::Png => orientation(PngDecoder::new(file)),
        _ => orientation(WebPDecoder::new(file)),
    };
    let ours = match facts.orientation {
        Orientation::NotRead => "damaged".into(),
        Orientation::Value(value @ 2..=8) => value.to_string(),
        Orientation::Value(_) | Orientation::Absent => "1".into(),
    };
    let theirs = theirs.map_or("damaged".into(), |value| value.to_string());
    Answers { by: "image", question: "orientation", theirs, ours }
}

/// What `mp4parse` says about the first video track. It names no codec but its own, and no count in fragmented files.
fn mp4parse(bytes: &[u8], facts: &Facts) -> Vec<Answers> {
    let answers = |question, theirs, ours| Answers { by: "mp4parse", question, theirs, ours };
    let ours = facts.video.as_ref().and_then(|video| video.tracks.first());
    let there = |is| if is { "yes" } else { "no" }.to_owned();
    let read = mp4parse::read_mp4(&mut Cursor::new(bytes));
    let Ok(movie) = read else {
        return vec![answers("readable", there(false), there(facts.malformed.is_none()))];
    };
    let track = movie.tracks.iter().find(|track| track.track_type == TrackType::Video);
    let mut all = vec![
        answers("readable", there(true), there(facts.malformed.is_none())),
        answers("video track", there(track.is_some()), there(ours.is_some())),
    ];
    let (Some(theirs), Some(ours)) = (track, ours) else { return all };
    let entry = theirs.stsd.as_ref().and_then(|stsd| match stsd.descriptions.first()? {
        SampleEntry::Video(entry) => Some(entry),
        _ => None,
    });
    if let Some(entry) = entry {
        if entry.codec_type != CodecType::EncryptedVideo {
            let is = ours.codec.as_deref() == Some("h264");
            all.push(answers("H.264", there(entry.codec_type == CodecType::H264), there(is)));
        }
        let size = |width, height| format!("{width}x{height}");
        let dimensions = size(ours.width.unwrap_or(0), ours.height.unwrap_or(0));
        all.push(answers("dimensions", size(entry.width.into(), entry.height.into()), dimensions));
    }
    if let (Some(times), None) = (&theirs.stts, &movie.mvex) {
        let frames: u64 = times.samples.iter().map(|run| u64::from(run.sample_count)).sum();
        all.push(answers(
            "frames",
            frames.to_string(),
            ours.frames.map_or("unknown".into(), |n| n.to_string()),
        ));
    }
    all
}

#[test]
fn only_known_answers_about_the_demo_container_differ() {
    let truth = std::fs::read_to_string(root().join("fixtures/demo.truth.json")).expect("the truth is there");
    let truth: Vec<Value> = serde_json::from_str(&truth).expect("the truth is JSON");
    let names = truth.iter().map(|file| file["name"].as_str().expect("a name").to_owned());
    only_known_answers_differ(&root().join("fixtures"), names.map(|name| format!("demo/{name}")));
}

#[test]
fn only_known_answers_about_the_corpus_differ() {
    let Some(corpus) = std::env::var_os("PRESYNC_CORPUS") else {
        eprintln!("PRESYNC_CORPUS is not set: no corpus to compare with");
        return;
    };
    let corpus = Path::new(&corpus);
    let truth = std::fs::read_to_string(corpus.join("truth.jsonl")).expect("the corpus has a truth.jsonl");
    let names = truth.lines().map(|line| {
        let truth: Value = serde_json::from_str(line).expect("the truth is JSON");
        truth["file"].as_str().expect("a name").to_owned()
    });
    only_known_answers_differ(corpus, names);
}

/// Compares all answers about the files of a folder with the rows of [`KNOWN`] about them.
fn only_known_answers_differ(folder: &Path, names: impl Iterator<Item = String>) {
    let names: BTreeSet<_> = names.collect();
    let top = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let tops: BTreeSet<_> = names.iter().map(|name| top(name)).collect();
    let mut gone: BTreeMap<_, _> = KNOWN
        .iter()
        .flat_map(|known| known.files.iter().map(move |(file, theirs, ours)| (known, *file, *theirs, *ours)))
        .filter(|(_, file, ..)| tops.contains(&top(file)))
        .map(|(known, file, theirs, ours)| {
            ((file.to_owned(), known.by, known.question), (theirs, ours, known))
        })
        .collect();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    let mut right: BTreeMap<Right, u32> = BTreeMap::new();
    for name in names {
        let bytes = Bytes::from(std::fs::read(folder.join(&name)).expect("the file is there"));
        for Answers { by, question, theirs, ours } in answers(&bytes, &probe(&name, &bytes)) {
            compared += 1;
            if theirs == ours {
                continue;
            }
            match gone.remove(&(name.clone(), by, question)) {
                Some((listed, own, known)) if listed == theirs && own == ours => {
                    *right.entry(known.right).or_default() += 1;
                }
                known => {
                    let listed = known
                        .map(|(theirs, ours, known)| format!(", listed as {theirs} / {ours}: {}", known.why));
                    wrong.push(format!(
                        "{name}, {question}: {by} {theirs}, presync {ours}{}",
                        listed.unwrap_or_default()
                    ));
                }
            }
        }
    }
    let gone = gone.into_iter().map(|((file, by, question), (.., known))| {
        format!("{file}, {question}: listed for {by}, but they agree: {}", known.why)
    });
    wrong.extend(gone);
    eprintln!("{compared} answers compared; known differences by who is right: {right:?}");
    assert!(compared > 0, "nothing to compare");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who is right when two answers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    /// presync: exiftool or ffprobe agree with it, or with what it says of the damage.
    Presync,
    /// Nobody can be: the file is damaged such that its readers differ.
    Open,
}

/// Differences of one kind.
struct Known {
    by: &'static str,
    question: &'static str,
    right: Right,
    why: &'static str,
    /// File, the other parser's answer, presync's answer.
    files: &'static [(&'static str, &'static str, &'static str)],
}

const KNOWN: &[Known] = &[
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "85 where a TIFF header has 42, as in some raw formats: exiftool warns and reads on.",
        files: &[
            ("synth/img/jpg_II_magic85_o6.jpg", "damaged", "6"),
            ("synth/img/jpg_MM_magic85_o6.jpg", "damaged", "6"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "A block that begins with JPEG's `Exif\\0\\0`: exiftool and Pillow read past it.",
        files: &[
            ("real/hMatoba+Piexif/tests/images/pil3.webp", "damaged", "absent"),
            ("real/python-pillow+Pillow/Tests/images/flower.webp", "damaged", "1"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_2.webp", "damaged", "2"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_3.webp", "damaged", "3"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_4.webp", "damaged", "4"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_5.webp", "damaged", "5"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_6.webp", "damaged", "6"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_7.webp", "damaged", "7"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_8.webp", "damaged", "8"),
            ("synth/img/png_eXIf_prefix_o6.png", "damaged", "6"),
            ("synth/img/webp_vp8x_exif_prefix_o6.webp", "damaged", "6"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "A directory or box outside of the file: exiftool warns, or takes the file for another format.",
        files: &[
            ("real/bigcat88+pillow_heif/tests/images/heif_corrupted/corrupted.heic", "absent", "damaged"),
            ("real/mindeng+nom-exif/testdata/compatible-brands.heic", "absent", "damaged"),
            ("real/pydicom+pydicom/src/pydicom/data/test_files/MR_small_RLE.dcm", "absent", "damaged"),
            ("real/pydicom+pydicom/src/pydicom/data/test_files/MR_small_padded.dcm", "absent", "damaged"),
            (
                "real/python-pillow+Pillow/Tests/images/oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif",
                "absent",
                "damaged",
            ),
            ("synth/img/tif_II_hdr_only.tif", "absent", "damaged"),
            ("synth/img/tif_II_trunc_before_ifd.tif", "absent", "damaged"),
            ("synth/img/tif_MM_hdr_only.tif", "absent", "damaged"),
            ("synth/img/tif_MM_trunc_before_ifd.tif", "absent", "damaged"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "An EXIF identifier of other letters or with another sixth byte: exiftool reads on, browsers with the latter.",
        files: &[
            ("synth/img/jpg_preamble_ff.jpg", "absent", "6"),
            ("synth/img/jpg_preamble_lower.jpg", "absent", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "An EXIF identifier of other letters or with another sixth byte: exiftool reads on, browsers with the latter.",
        files: &[("synth/img/jpg_preamble_ff.jpg", "1", "6"), ("synth/img/jpg_preamble_lower.jpg", "1", "6")],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "A second start marker: exiftool reads on.",
        files: &[("synth/img/jpg_double_soi_o6.jpg", "damaged", "6")],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "A value that is no SHORT, as some cameras and editors write it: exiftool reads it.",
        files: &[
            ("real/ianare+exif-py/tests/resources/jpg/Sony_alpha_a58.JPG", "damaged", "1"),
            ("real/python-pillow+Pillow/Tests/images/exif-72dpi-int.jpg", "damaged", "1"),
            ("synth/img/jpg_II_type_ASCII1.jpg", "damaged", "1"),
            ("synth/img/jpg_II_type_ASCII6.jpg", "damaged", "6"),
            ("synth/img/jpg_II_type_RATIONAL1.jpg", "damaged", "1"),
            ("synth/img/jpg_II_type_RATIONAL6.jpg", "damaged", "6"),
            ("synth/img/jpg_II_type_SLONG6.jpg", "damaged", "6"),
            ("synth/img/jpg_II_type_SSHORT6.jpg", "damaged", "6"),
            ("synth/img/jpg_II_type_UNDEF6.jpg", "damaged", "6"),
            ("synth/img/jpg_MM_type_ASCII1.jpg", "damaged", "1"),
            ("synth/img/jpg_MM_type_ASCII6.jpg", "damaged", "6"),
            ("synth/img/jpg_MM_type_RATIONAL1.jpg", "damaged", "1"),
            ("synth/img/jpg_MM_type_RATIONAL6.jpg", "damaged", "6"),
            ("synth/img/jpg_MM_type_SLONG6.jpg", "damaged", "6"),
            ("synth/img/jpg_MM_type_SSHORT6.jpg", "damaged", "6"),
            ("synth/img/jpg_MM_type_UNDEF6.jpg", "damaged", "6"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "An EXIF block that is no TIFF structure: exiftool warns and finds no orientation.",
        files: &[
            ("synth/img/jpg_endian_XX.jpg", "damaged", "absent"),
            ("synth/img/jpg_preamble_junk_4.jpg", "damaged", "absent"),
            ("synth/img/png_eXIf_empty.png", "damaged", "absent"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "An `EXIF` chunk that neither flag nor RIFF size announces: exiftool reads it.",
        files: &[
            ("synth/img/webp_exif_outside_riff_o6.webp", "absent", "6"),
            ("synth/img/webp_riff_size_short.webp", "damaged", "6"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "BigTIFF, which exiftool reads and kamadak-exif does not.",
        files: &[
            ("real/image-size+image-size/specs/images/valid/tiff/bigtiff-big-endian.tiff", "damaged", "1"),
            ("real/image-size+image-size/specs/images/valid/tiff/bigtiff-jpeg.tiff", "damaged", "1"),
            ("real/image-size+image-size/specs/images/valid/tiff/bigtiff-little-endian.tiff", "damaged", "1"),
            ("real/python-pillow+Pillow/Tests/images/hopper_bigtiff.tif", "damaged", "1"),
            ("synth/img/tif_II_bigtiff_ifdend_o1.tif", "damaged", "1"),
            ("synth/img/tif_II_bigtiff_ifdend_o6.tif", "damaged", "6"),
            ("synth/img/tif_II_bigtiff_o1.tif", "damaged", "1"),
            ("synth/img/tif_II_bigtiff_o6.tif", "damaged", "6"),
            ("synth/img/tif_MM_bigtiff_ifdend_o1.tif", "damaged", "1"),
            ("synth/img/tif_MM_bigtiff_ifdend_o6.tif", "damaged", "6"),
            ("synth/img/tif_MM_bigtiff_o1.tif", "damaged", "1"),
            ("synth/img/tif_MM_bigtiff_o6.tif", "damaged", "6"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "Cut short in the header, which exiftool calls a format error: the rest could have held the EXIF.",
        files: &[
            ("real/mindeng+nom-exif/testdata/exif-no-tz.jpg", "absent", "damaged"),
            ("real/mindeng+nom-exif/testdata/motion_photo_pixel_synth.jpg", "absent", "damaged"),
            (
                "real/rwcarlsen+goexif/exif/samples/2011-08-07-19-22-57-sep-2011-08-07-19-22-57a.jpg",
                "absent",
                "damaged",
            ),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "Cut short in the image data, with no EXIF before: exiftool finds no orientation.",
        files: &[("synth/img/jpg_trunc_noexif_after_sos.jpg", "damaged", "absent")],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "EXIF between two scans: exiftool stops at the first one.",
        files: &[("synth/img/jpg_prog_exif_between_scans.jpg", "6", "absent")],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "Two EXIF segments: exiftool finds the orientation in the second, kamadak-exif stops at the first.",
        files: &[("synth/img/jpg_2exif_none_then_6.jpg", "absent", "6")],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Presync,
        why: "Two orientations in one directory: exiftool and Pillow take the first, kamadak-exif the last.",
        files: &[
            ("synth/img/jpg_II_duptag_1_6.jpg", "6", "1"),
            ("synth/img/jpg_II_duptag_6_1.jpg", "1", "6"),
            ("synth/img/jpg_II_duptag_6_8.jpg", "8", "6"),
            ("synth/img/jpg_MM_duptag_1_6.jpg", "6", "1"),
            ("synth/img/jpg_MM_duptag_6_1.jpg", "1", "6"),
            ("synth/img/jpg_MM_duptag_6_8.jpg", "8", "6"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Open,
        why: "Cut short behind the orientation: presync takes it, exiftool calls the file a format error.",
        files: &[
            ("real/lovell+sharp/test/fixtures/corrupt-header.jpg", "damaged", "1"),
            ("synth/img/jpg_trunc_after_tag.jpg", "damaged", "6"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Open,
        why: "More or fewer than one value: exiftool prints all of them. kamadak-exif takes the first, presync none.",
        files: &[
            ("synth/img/jpg_II_count2_16.jpg", "1", "damaged"),
            ("synth/img/jpg_II_count2_61.jpg", "6", "damaged"),
            ("synth/img/jpg_II_count3_168.jpg", "1", "damaged"),
            ("synth/img/jpg_II_count3_666.jpg", "6", "damaged"),
            ("synth/img/jpg_MM_count2_16.jpg", "1", "damaged"),
            ("synth/img/jpg_MM_count2_61.jpg", "6", "damaged"),
            ("synth/img/jpg_MM_count3_168.jpg", "1", "damaged"),
            ("synth/img/jpg_MM_count3_666.jpg", "6", "damaged"),
        ],
    },
    Known {
        by: "kamadak-exif",
        question: "orientation",
        right: Right::Open,
        why: "`eXIf` behind `IEND`: exiftool warns and reads it. The image ends before it.",
        files: &[("synth/img/png_eXIf_after_IEND_o6.png", "6", "absent")],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "85 where a TIFF header has 42, as in some raw formats: exiftool warns and reads on.",
        files: &[
            ("synth/img/jpg_II_magic85_o6.jpg", "1", "6"),
            ("synth/img/jpg_MM_magic85_o6.jpg", "1", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "A block that begins with JPEG's `Exif\\0\\0`: exiftool and Pillow read past it.",
        files: &[
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_2.webp", "1", "2"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_3.webp", "1", "3"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_4.webp", "1", "4"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_5.webp", "1", "5"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_6.webp", "1", "6"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_7.webp", "1", "7"),
            ("real/python-pillow+Pillow/Tests/images/hopper_orientation_8.webp", "1", "8"),
            ("synth/img/png_eXIf_prefix_o6.png", "1", "6"),
            ("synth/img/webp_vp8x_exif_prefix_o6.webp", "1", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "A second start marker: exiftool reads on.",
        files: &[("synth/img/jpg_double_soi_o6.jpg", "damaged", "6")],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "A segment with a wrong length: exiftool reads on.",
        files: &[
            ("real/python-pillow+Pillow/Tests/images/truncated_app14.jpg", "damaged", "1"),
            ("synth/img/jpg_app1_len_too_long.jpg", "damaged", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "A value that is no SHORT, as some cameras and editors write it: exiftool reads it.",
        files: &[
            ("synth/img/jpg_II_type_ASCII6.jpg", "1", "6"),
            ("synth/img/jpg_II_type_BYTE6.jpg", "1", "6"),
            ("synth/img/jpg_II_type_LONG6.jpg", "1", "6"),
            ("synth/img/jpg_II_type_RATIONAL6.jpg", "1", "6"),
            ("synth/img/jpg_II_type_SLONG6.jpg", "1", "6"),
            ("synth/img/jpg_II_type_SSHORT6.jpg", "1", "6"),
            ("synth/img/jpg_II_type_UNDEF6.jpg", "1", "6"),
            ("synth/img/jpg_MM_type_ASCII6.jpg", "1", "6"),
            ("synth/img/jpg_MM_type_BYTE6.jpg", "1", "6"),
            ("synth/img/jpg_MM_type_LONG6.jpg", "1", "6"),
            ("synth/img/jpg_MM_type_RATIONAL6.jpg", "1", "6"),
            ("synth/img/jpg_MM_type_SLONG6.jpg", "1", "6"),
            ("synth/img/jpg_MM_type_SSHORT6.jpg", "1", "6"),
            ("synth/img/jpg_MM_type_UNDEF6.jpg", "1", "6"),
            ("synth/img/png_eXIf_type_LONG6.png", "1", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "An `EXIF` chunk that neither flag nor RIFF size announces: exiftool reads it.",
        files: &[
            ("synth/img/webp_riff_size_short.webp", "damaged", "6"),
            ("synth/img/webp_simple_vp8_then_exif_o6.webp", "1", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "Cut short, as exiftool warns: the rest could have held an `eXIf`.",
        files: &[
            ("real/mathiasbynens+small/png-truncated.png", "1", "damaged"),
            ("synth/img/png_trunc_after_idat.png", "1", "damaged"),
            ("synth/img/png_trunc_in_idat.png", "1", "damaged"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "The flags announce an `EXIF` chunk, and there is none: exiftool finds nothing.",
        files: &[("synth/img/webp_flag_no_chunk.webp", "damaged", "1")],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "Two EXIF segments: exiftool takes the first orientation, image the last.",
        files: &[
            ("synth/img/jpg_2exif_1_then_6.jpg", "6", "1"),
            ("synth/img/jpg_2exif_6_then_1.jpg", "1", "6"),
            ("synth/img/jpg_2exif_split_cont.jpg", "1", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "Wrong checksums in all chunks, and no `eXIf`: exiftool reads the file and finds no orientation.",
        files: &[
            ("real/mindeng+nom-exif/testdata/exif-legacy-app1.png", "damaged", "1"),
            ("real/mindeng+nom-exif/testdata/exif-legacy.png", "damaged", "1"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "`eXIf` behind the image data, where it may be: exiftool reads it, image reads no further than to the data.",
        files: &[
            ("synth/img/png_apng_eXIf6.png", "1", "6"),
            ("synth/img/png_big_eXIf_after_1MB_o6.png", "1", "6"),
            ("synth/img/png_eXIf_after_II_o6.png", "1", "6"),
            ("synth/img/png_eXIf_after_MM_o6.png", "1", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Presync,
        why: "`eXIf` with a wrong checksum: exiftool and exiv2 read it.",
        files: &[("synth/img/png_eXIf_badcrc_o6.png", "1", "6")],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Open,
        why: "Cut short behind the orientation: presync takes it, exiftool calls the file a format error.",
        files: &[
            ("real/lovell+sharp/test/fixtures/corrupt-header.jpg", "damaged", "1"),
            ("real/rwcarlsen+goexif/exif/corrupt/huge_tag_exif.jpg", "damaged", "1"),
            ("real/rwcarlsen+goexif/exif/corrupt/max_uint32_exif.jpg", "damaged", "1"),
            (
                "real/rwcarlsen+goexif/exif/samples/2006-08-03-16-29-38-sep-2006-08-03-16-29-38a.jpg",
                "damaged",
                "6",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2007-01-01-12-00-00-sep-2007-01-01-12-00-00a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2007-05-02-17-02-21-sep-2007-05-02-17-02-21a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2007-08-15-14-42-46-sep-2007-08-15-14-42-46a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2008-06-06-13-29-29-sep-2008-06-06-13-29-29a.jpg",
                "damaged",
                "6",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2008-06-17-01-21-30-sep-2008-06-17-01-21-30a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2009-03-26-09-23-20-sep-2009-03-26-09-23-20a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2009-06-20-07-59-05-sep-2009-06-20-07-59-05a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2010-06-08-04-44-24-sep-2010-06-08-04-44-24a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2010-09-02-08-43-02-sep-2010-09-02-08-43-02a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2011-03-07-09-28-03-sep-2011-03-07-09-28-03a.jpg",
                "damaged",
                "1",
            ),
            (
                "real/rwcarlsen+goexif/exif/samples/2011-10-28-18-25-43-sep-2011-10-28-18-25-43.jpg",
                "damaged",
                "1",
            ),
            ("real/rwcarlsen+goexif/exif/samples/2011-11-18-15-38-34-sep-Photo11181538.jpg", "damaged", "1"),
            ("real/rwcarlsen+goexif/exif/samples/2013-02-05-23-12-09-sep-DSCI0001.jpg", "damaged", "1"),
            ("synth/img/jpg_trunc_after_app1.jpg", "damaged", "6"),
            ("synth/img/jpg_trunc_after_tag.jpg", "damaged", "6"),
        ],
    },
    Known {
        by: "image",
        question: "orientation",
        right: Right::Open,
        why: "More or fewer than one value: exiftool prints all of them. image sees no tag, presync one to refuse.",
        files: &[
            ("synth/img/jpg_II_count0.jpg", "1", "damaged"),
            ("synth/img/jpg_II_count2_16.jpg", "1", "damaged"),
            ("synth/img/jpg_II_count2_61.jpg", "1", "damaged"),
            ("synth/img/jpg_II_count3_168.jpg", "1", "damaged"),
            ("synth/img/jpg_II_count3_666.jpg", "1", "damaged"),
            ("synth/img/jpg_MM_count0.jpg", "1", "damaged"),
            ("synth/img/jpg_MM_count2_16.jpg", "1", "damaged"),
            ("synth/img/jpg_MM_count2_61.jpg", "1", "damaged"),
            ("synth/img/jpg_MM_count3_168.jpg", "1", "damaged"),
            ("synth/img/jpg_MM_count3_666.jpg", "1", "damaged"),
        ],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Presync,
        why: "A `moov` that ends too early, but behind its track: ffprobe reads the file.",
        files: &[("synth/vid/x_moov_size_short.mp4", "no", "yes")],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Presync,
        why: "A last box of size 0, which reaches to the end of the file (ISO/IEC 14496-12, 4.2): ffprobe reads it.",
        files: &[
            ("synth/vid/s_mdat_size0_last.mp4", "no", "yes"),
            ("synth/vid/s_moov_size0_last.mp4", "no", "yes"),
        ],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Presync,
        why: "A part is missing without which no rule can be checked: ffprobe calls the header broken.",
        files: &[("synth/vid/s_stsd_count0.mp4", "yes", "no"), ("synth/vid/x_fuzz_moov_08.mp4", "yes", "no")],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Presync,
        why: "A sample entry with an unknown type: ffprobe reads its size and its frames.",
        files: &[("synth/vid/s_unknown_codec_zzzz.mp4", "no", "yes")],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Presync,
        why: "A track of size 0, which reaches to the end of its parent: ffprobe reads it.",
        files: &[("synth/vid/x_trak_size_0.mp4", "no", "yes")],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Presync,
        why: "An encrypted audio track that no rule needs: ffprobe reads it.",
        files: &[(
            "real/shaka-project+shaka-player/test/test/assets/clear-encrypted-hls/audio-enc-s3.mp4",
            "no",
            "yes",
        )],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Presync,
        why: "Cut short in the samples, behind the whole header: ffprobe reads the header.",
        files: &[
            ("synth/vid/t_frag_cut.mp4", "no", "yes"),
            ("synth/vid/t_mdat_cut_faststart.mp4", "no", "yes"),
        ],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Presync,
        why: "Damage in a table that no rule needs: ffprobe reads the file.",
        files: &[("synth/vid/x_fuzz_moov_02.mp4", "no", "yes")],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Open,
        why: "An empty codec configuration: ffprobe refuses the file, presync leaves its pixel format open.",
        files: &[("synth/vid/c_vp9_p1_yuv440p_mp42.mp4", "no", "yes")],
    },
    Known {
        by: "mp4parse",
        question: "readable",
        right: Right::Open,
        why: "Damage in a part that no rule needs: presync reads around it, ffprobe refuses the file.",
        files: &[("synth/vid/x_fuzz_moov_00.mp4", "no", "yes")],
    },
    Known {
        by: "mp4parse",
        question: "video track",
        right: Right::Presync,
        why: "A damaged handler, but a video media header: ffprobe too takes the track for video.",
        files: &[("synth/vid/x_fuzz_moov_05.mp4", "no", "yes")],
    },
    Known {
        by: "mp4parse",
        question: "video track",
        right: Right::Presync,
        why: "A part is missing without which no rule can be checked: ffprobe calls the header broken.",
        files: &[("synth/vid/s_stsd_count0.mp4", "yes", "no"), ("synth/vid/x_fuzz_moov_08.mp4", "yes", "no")],
    },
];
