//! Sound videos: presync must find the tracks, dimensions, frames and lengths that `mp4parse` finds, but for the known
//! differences below. The same file cut short must never be accepted with an incomplete header.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use mp4parse::{CodecType, MediaContext, SampleEntry, TrackType};
use presync_fuzz::accept::judged;
use presync_fuzz::model::{Gap, Verdict, VideoTrack};
use presync_fuzz::movie::{File, Movie, Track};

const NAME: &str = "a.mp4";

fuzz_target!(|input: (Movie, u32)| {
    let (movie, cut) = input;
    let file = movie.file();
    let facts = judged(NAME, &file.bytes).facts;
    if facts.gap == Some(Gap::Frames) && movie.tracks().any(Track::leaves_frames_open) {
        return;
    }
    assert!(facts.malformed.is_none() && facts.gap.is_none(), "{facts:?}");
    let ours = &facts.video.as_ref().expect("a video was read").tracks;
    match mp4parse::read_mp4(&mut Cursor::new(&file.bytes)) {
        Ok(theirs) => compare(&movie, &file, &theirs, ours),
        Err(error) => assert!(open_end(&file), "{error:?}"),
    }

    let cut = cut as usize % (file.bytes.len() + 1);
    let asset = judged(NAME, &file.bytes[..cut]);
    assert!(
        asset.verdict != Verdict::Accept || cut >= file.header_end,
        "accepted when cut at {cut} of {}: {asset:?}",
        file.header_end
    );
});

/// A last `mdat` of size 0. presync is right: it reaches to the end of the file (4.2.2). mp4parse refuses the file.
fn open_end(file: &File) -> bool {
    file.is_open
}

fn compare(movie: &Movie, file: &File, theirs: &MediaContext, ours: &[VideoTrack]) {
    let timescale = theirs.timescale.expect("there is a movie header").0;
    // The tracks are in any order; each has its number as its ID, counted from 1.
    let videos = theirs.tracks.iter().filter(|track| track.track_type == TrackType::Video);
    let numbered = videos.map(|track| (track.track_id.expect("there is a track header") as usize - 1, track));
    let videos: Vec<_> = numbered.filter(|(number, _)| !chapter_pictures(movie, *number)).collect();
    assert_eq!(videos.len(), ours.len(), "tracks");
    for ((number, theirs), ours) in videos.into_iter().zip(ours) {
        let track = movie.tracks().nth(number).expect("it was written");
        let times = theirs.stts.as_ref().expect("there is a time-to-sample table");
        let frames: u64 = times.samples.iter().map(|run| u64::from(run.sample_count)).sum();
        assert_eq!(ours.frames, Some(frames), "frames of track {number}");

        let description = theirs.stsd.as_ref().and_then(|stsd| stsd.descriptions.first());
        match description.expect("there is a sample description") {
            SampleEntry::Video(entry) => {
                let size = Some((u32::from(entry.width), u32::from(entry.height)));
                assert_eq!(ours.width.zip(ours.height), size, "track {number}");
                let codec = match entry.codec_type {
                    CodecType::H264 => "h264",
                    CodecType::VP9 => "vp9",
                    other => panic!("track {number} was not written as {other:?}"),
                };
                assert_eq!(ours.codec.as_deref(), Some(codec), "track {number}");
            }
            _ => assert!(
                unknown_codec(track) || handler_behind_information(file, number),
                "mp4parse does not read the sample description of track {number}"
            ),
        }

        let length = length_by_mp4parse(theirs, timescale);
        let known = other_than_one_edit(track) && ours.duration_s == track.presented(movie);
        assert!(
            known || ours.duration_s == length,
            "length of track {number}: presync {:?}, mp4parse {length:?}",
            ours.duration_s
        );
    }
}

/// What the first edit shows of the media, in seconds. presync calls a length of 0 unknown.
fn length_by_mp4parse(track: &mp4parse::Track, movie_timescale: u64) -> Option<f64> {
    let (duration, timescale) = (track.duration.as_ref()?.0, track.timescale.as_ref()?.0);
    let shown = match &track.edited_duration {
        // Times of the movie are rounded to times of the track, and what is shown must be there.
        Some(edit) => {
            let units = (u128::from(edit.0) * u128::from(timescale)).div_ceil(movie_timescale.into());
            units.min(duration.into()) as u64
        }
        None => duration,
    };
    (shown > 0).then(|| shown as f64 / timescale as f64)
}

/// A video track that another one names as its chapters. presync is right: it holds their pictures (QuickTime File
/// Format, "Chapter lists"), which are no video; ffprobe calls it an attached picture. mp4parse does not read `chap`.
fn chapter_pictures(movie: &Movie, number: usize) -> bool {
    movie.has_chapters(number)
}

/// HEVC. presync is right: ISO/IEC 14496-15, 8.4.1.1, which mp4parse does not know.
fn unknown_codec(track: &Track) -> bool {
    track.is_hevc()
}

/// A handler behind the media information. presync is right: the order of the two is free (ISO/IEC 14496-12, 6.2.3).
/// mp4parse reads sample descriptions by a handler that it has not seen yet.
fn handler_behind_information(file: &File, number: usize) -> bool {
    file.handler_behind[number]
}

/// An edit list that is no single edit, with an empty one before it or none. presync is right: all edits are presented,
/// one after the other, and a list of nothing but empty ones presents nothing (8.6.6.1). mp4parse reads the first edit
/// behind one that is empty, and no list of one that is empty.
fn other_than_one_edit(track: &Track) -> bool {
    let (empty, all) = track.empty_edits();
    all > 0 && (all - empty != 1 || empty > 1)
}
