use bytes::Bytes;

use crate::model::{Facts, VideoTrack};
use crate::probe::{Probe, Step, Want};

/// Returns the facts of a file whose headers are read, and the number of requests.
fn probed(file: &[u8]) -> (Facts, u32) {
    let want = Want { containers: true, ..Want::default() };
    let (mut probe, mut step) = Probe::beginning(4 << 10, want, file.len() as u64);
    for requests in 0.. {
        match step {
            Step::Done(facts) => return (facts, requests),
            Step::Need(range) => {
                let bytes = &file[range.start() as usize..range.end() as usize];
                step = probe.step(Bytes::copy_from_slice(bytes));
            }
        }
    }
    unreachable!("it ends")
}

fn track(file: &[u8]) -> VideoTrack {
    let video = probed(file).0.video.expect("a video");
    video.tracks.first().cloned().unwrap_or_default()
}

fn element(id: u32, content: &[u8]) -> Vec<u8> {
    let id: Vec<_> = id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let size = (1u64 << 56 | content.len() as u64).to_be_bytes();
    [&id, &size[..], content].concat()
}

/// Creates a Matroska file of 10 seconds at 25 frames per second, with statistics by `app` behind its pictures.
fn matroska(app: &str, default_duration: bool, pictures: usize) -> Vec<u8> {
    let rate = if default_duration { element(0x23_E383, &40_000_000u32.to_be_bytes()) } else { Vec::new() };
    let size = [element(0xB0, &[0, 160]), element(0xBA, &[120])].concat();
    let entry =
        [element(0x73C5, &[7]), element(0x83, &[1]), element(0x86, b"V_VP9"), rate, element(0xE0, &size)];
    let info = [element(0x4489, &10_000f64.to_be_bytes()), element(0x5741, b"muxer 1.0")].concat();
    let head = [element(0x1549_A966, &info), element(0x1654_AE6B, &element(0xAE, &entry.concat()))].concat();
    let simple = |name: &str, value: &str| {
        element(0x67C8, &[element(0x45A3, name.as_bytes()), element(0x4487, value.as_bytes())].concat())
    };
    let statistics = |uid: u8, frames: &str| {
        let targets = element(0x63C0, &element(0x63C5, &[uid]));
        let tags = [targets, simple("NUMBER_OF_FRAMES", frames), simple("_STATISTICS_WRITING_APP", app)];
        element(0x7373, &tags.concat())
    };
    // A checksum, as ffmpeg writes it, is no tag.
    let tags =
        element(0x1254_C367, &[element(0xBF, &[0; 4]), statistics(9, "999"), statistics(7, "247")].concat());
    let cluster = element(0x1F43_B675, &vec![0; pictures]);
    let seek = |at: usize| {
        let seek =
            [element(0x53AB, &0x1254_C367u32.to_be_bytes()), element(0x53AC, &(at as u32).to_be_bytes())];
        element(0x114D_9B74, &element(0x4DBB, &seek.concat()))
    };
    let at = seek(0).len() + head.len() + cluster.len();
    let segment = element(0x1853_8067, &[seek(at), head, cluster, tags].concat());
    [element(0x1A45_DFA3, &element(0x4282, b"matroska")), segment].concat()
}

#[test]
fn statistics_of_the_program_that_wrote_the_file_count() {
    let file = matroska("muxer 1.0", true, 100_000);
    let (facts, requests) = probed(&file);
    let found = track(&file);
    assert_eq!((found.frames, found.frames_at_most, requests), (Some(247), None, 2));
    assert_eq!((facts.width, facts.height, found.codec.as_deref()), (Some(160), Some(120), Some("vp9")));
    let copied = track(&matroska("another 2.0", true, 100_000));
    assert_eq!((copied.frames, copied.frames_at_most), (None, Some(251)), "copied with the streams");
    let no_rate = track(&matroska("another 2.0", false, 100));
    assert_eq!((no_rate.frames, no_rate.frames_at_most, no_rate.duration_s), (None, None, Some(10.0)));
}

#[test]
fn the_times_of_the_first_blocks_show_a_rate() {
    let entry =
        [element(0xD7, &[1]), element(0x73C5, &[7]), element(0x83, &[1]), element(0x86, b"V_VP8")].concat();
    let info = element(0x1549_A966, &element(0x4489, &10_000f64.to_be_bytes()));
    let head = [info, element(0x1654_AE6B, &element(0xAE, &entry))].concat();
    let block = |track: u8, time: u16| {
        let content = [&[0x80 | track][..], &time.to_be_bytes(), &[0; 40]].concat();
        if time % 80 == 0 { element(0xA3, &content) } else { element(0xA0, &element(0xA1, &content)) }
    };
    let blocks = (0..40u16).flat_map(|index| [block(1, index * 40), block(2, index * 40 + 3)].concat());
    let cluster = element(0x1F43_B675, &[element(0xE7, &[0]), blocks.collect()].concat());
    let file = [element(0x1A45_DFA3, b""), element(0x1853_8067, &[head, cluster].concat())].concat();
    let found = track(&file);
    assert_eq!((found.frame_rate, found.frames_at_most), (Some(25.0), Some(251)));
}

#[test]
fn statistics_that_cannot_be_reached_leave_a_bound() {
    let file = matroska("muxer 1.0", true, 100_000);
    let (facts, _) = probed(&file[..file.len() - 200]);
    let found = &facts.video.as_ref().expect("a video").tracks[0];
    assert_eq!((found.frames, found.frames_at_most), (None, Some(251)), "{facts:?}");
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [kind, &(body.len() as u32).to_le_bytes()[..], body].concat()
}

fn longs(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Creates an AVI whose headers state these numbers of frames: of the first part, of the stream, of all parts.
fn avi(first_part: u32, stream: u32, all_parts: Option<u32>) -> Vec<u8> {
    let header = chunk(b"avih", &longs(&[40_000, 0, 0, 0, first_part, 0, 1, 0, 160, 120, 0, 0, 0, 0]));
    let strh = [&b"vidsMJPG"[..], &longs(&[0, 0, 0, 1, 25, 0, stream, 0, 0, 0, 0, 0])].concat();
    let strf =
        [longs(&[40, 160, (-120i32).cast_unsigned(), 0x0018_0001]), b"MJPG".to_vec(), vec![0; 20]].concat();
    let strl = chunk(b"LIST", &[b"strl".to_vec(), chunk(b"strh", &strh), chunk(b"strf", &strf)].concat());
    let odml =
        all_parts.map(|all| chunk(b"LIST", &[b"odml".to_vec(), chunk(b"dmlh", &longs(&[all]))].concat()));
    let hdrl = chunk(b"LIST", &[b"hdrl".to_vec(), header, strl, odml.unwrap_or_default()].concat());
    let movi = chunk(b"LIST", &[b"movi".to_vec(), vec![0; 9_000]].concat());
    chunk(b"RIFF", &[b"AVI ".to_vec(), hdrl, movi].concat())
}

#[test]
fn long_avi_files_are_counted_in_all_their_parts() {
    assert_eq!(track(&avi(90, 90, None)).frames, Some(90));
    let two_parts =
        [avi(90, 90, Some(250)), chunk(b"RIFF", &[b"AVIX".to_vec(), vec![0; 100]].concat())].concat();
    assert_eq!(track(&two_parts).frames, Some(250));
    assert_eq!(track(&avi(90, 250, None)).frames, Some(250));
    let found = track(&avi(90, 0, None));
    assert_eq!((found.frames, found.duration_s, found.frame_rate), (Some(90), Some(3.6), Some(25.0)));
    assert_eq!((found.width, found.height), (Some(160), Some(120)), "stored from the top");
    let unfinished = track(&avi(0, 0, None));
    assert_eq!((unfinished.frames, unfinished.frames_at_most), (None, None));
}

#[test]
fn a_cut_avi_is_told() {
    let file = avi(90, 90, None);
    assert_eq!(probed(&file).0.truncated, None);
    let cut = probed(&file[..8_000]).0;
    assert_eq!(
        (cut.truncated, cut.video.map(|video| video.tracks[0].frames)),
        (Some(file.len() as u64), Some(Some(90)))
    );
}

#[test]
fn the_average_time_of_a_frame_gives_a_bound() {
    let id = |id: u128| {
        let mut id = id.to_be_bytes();
        id[..4].reverse();
        id[4..6].reverse();
        id[6..8].reverse();
        id
    };
    let object =
        |name: u128, body: &[u8]| [&id(name)[..], &(body.len() as u64 + 24).to_le_bytes(), body].concat();
    let properties = |flags: u32| {
        let times = [123_000_000u64, 123_000_000, 2_300].map(u64::to_le_bytes).concat();
        object(
            0x8CABDCA1_A947_11CF_8EE4_00C00C205365,
            &[&[0; 40][..], &times, &longs(&[flags, 0, 0, 0])].concat(),
        )
    };
    let stream = |number: u16, kind: u128| {
        let data =
            [&longs(&[160, 120])[..], &[2, 40, 0], &longs(&[40, 160, 120, 0]), b"WMV3", &[0; 20]].concat();
        let head = [&id(kind)[..], &[0; 32], &number.to_le_bytes(), &[0; 4], &data].concat();
        object(0xB7DC0791_A9B7_11CF_8EE6_00C00C205365, &head)
    };
    let extended = |number: u16, time: u64| {
        let body = [&[0; 48][..], &number.to_le_bytes(), &[0; 2], &time.to_le_bytes(), &[0; 4]].concat();
        object(0x14E6A5CB_C672_4332_8399_A96952065B5A, &body)
    };
    let file = |flags: u32, time: u64| {
        let inside = [extended(1, 1), extended(2, time)].concat();
        let extension = [&[0; 18][..], &(inside.len() as u32).to_le_bytes(), &inside].concat();
        let objects = [
            properties(flags),
            object(0x5FBF03B5_A92E_11CF_8EE3_00C00C205365, &extension),
            stream(1, 0xF8699E40_5B4D_11CF_A8FD_00805F5C442B),
            stream(2, 0xBC19EFC0_5B4D_11CF_A8FD_00805F5C442B),
        ];
        object(0x75B22630_668E_11CF_A6D9_00AA0062CE6C, &[&[4, 0, 0, 0, 1, 2][..], &objects.concat()].concat())
    };
    let found = track(&file(2, 400_000));
    assert_eq!((found.frames, found.frames_at_most, found.frame_rate), (None, Some(251), Some(25.0)));
    assert_eq!(
        (found.codec.as_deref(), found.width, found.duration_s),
        (Some("wmv3"), Some(160), Some(10.0))
    );
    assert_eq!(track(&file(1, 400_000)).frames_at_most, None, "a broadcast has no duration");
    assert_eq!(track(&file(2, 0)).frames_at_most, None);
}

#[test]
fn the_last_tag_of_an_unfinished_recording_tells_its_length() {
    let tag = |kind: u8, time: u32, body: &[u8]| {
        let [_, l2, l1, l0] = (body.len() as u32).to_be_bytes();
        let [t3, t2, t1, t0] = time.to_be_bytes();
        let tag = [&[kind, l2, l1, l0, t2, t1, t0, t3, 0, 0, 0][..], body].concat();
        [&tag[..], &(tag.len() as u32).to_be_bytes()].concat()
    };
    let rate =
        [&b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x09framerate\0"[..], &25f64.to_be_bytes(), b"\0\0\x09"]
            .concat();
    let pictures = (0..100).map(|index| tag(9, index * 40, &[0x17; 300]));
    let file =
        [b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec(), tag(18, 0, &rate), pictures.collect::<Vec<_>>().concat()];
    let file = file.concat();
    let found = track(&file);
    assert_eq!(
        (found.duration_s, found.frames_at_most, found.codec.as_deref()),
        (Some(3.96), Some(100), Some("h264"))
    );
    assert_eq!(track(&file[..file.len() - 7]).frames_at_most, None, "the last tag is cut");
    let bare = [&file[..13], &file[13 + 15 + rate.len()..]].concat();
    let found = track(&bare);
    assert_eq!((found.frame_rate, found.frames_at_most), (Some(25.0), Some(100)), "no metadata");
}
