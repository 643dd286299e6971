//! Videos as cameras, recorders and editors write them, and interrupted ones: each kind from a recipe, judged by the
//! binary. Results for playable files are compared with ffprobe.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::presync::Presync;
use crate::support::run;

/// Number of frames in [`movie`].
const FRAMES: u64 = 60;

/// Creates an H.264 movie with reordered frames and its header after its samples, with additional encoder options.
fn movie(options: &[&str]) -> Vec<u8> {
    film(&[], options)
}

/// Creates a [`movie`] with additional inputs.
fn film(inputs: &[&str], options: &[&str]) -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("movie.mp4");
    let source = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=160x112:r=30:d=2"];
    let codec = ["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", "-brand", "mp42"];
    run(Command::new("ffmpeg").args(source).args(inputs).args(codec).args(options).arg(&file));
    fs::read(file).expect("it is written")
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

fn number(file: &[u8], at: usize) -> usize {
    u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize
}

fn set(file: &mut [u8], at: usize, number: usize) {
    file[at..at + 4].copy_from_slice(&(number as u32).to_be_bytes());
}

/// Returns where the boxes along this path start, each the first of its type in the one before, and the range of the
/// last one.
fn along(file: &[u8], path: &str) -> (Vec<usize>, Range<usize>) {
    let (mut starts, mut inside) = (Vec::new(), 0..file.len());
    for kind in path.split('/') {
        let mut at = inside.start;
        while &file[at + 4..at + 8] != kind.as_bytes() {
            at += number(file, at);
            assert!(at < inside.end, "no {kind} of {path}");
        }
        starts.push(at);
        // Sample entries come after a count, and their boxes after 78 bytes of fields.
        let fields = match kind {
            "stsd" => 8,
            "avc1" => 78,
            _ => 0,
        };
        inside = at + 8 + fields..at + number(file, at);
    }
    let last = *starts.last().expect("a path");
    (starts, last..inside.end)
}

/// Returns the range of the box at the end of this path.
fn place(file: &[u8], path: &str) -> Range<usize> {
    along(file, path).1
}

/// Replaces the box at the end of a path in `moov`, and adjusts the sizes of the enclosing boxes.
fn with(file: &[u8], path: &str, replacement: &[u8]) -> Vec<u8> {
    let (starts, place) = along(file, path);
    let mut file = file.to_vec();
    for start in &starts[..starts.len() - 1] {
        let size = number(&file, *start) + replacement.len() - place.len();
        set(&mut file, *start, size);
    }
    file.splice(place, replacement.iter().copied());
    file
}

/// Appends a box to the one at the end of this path.
fn with_child(file: &[u8], path: &str, child: &[u8]) -> Vec<u8> {
    let place = place(file, path);
    let mut grown = [&file[place.clone()], child].concat();
    let len = grown.len();
    set(&mut grown, 0, len);
    with(file, path, &grown)
}

/// Puts other boxes before the file's, and adjusts its chunk offsets.
fn behind(leading: &[u8], file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    let table = place(&file, "moov/trak/mdia/minf/stbl/stco").start;
    for index in 0..number(&file, table + 12) {
        let at = table + 16 + 4 * index;
        let offset = number(&file, at);
        set(&mut file, at, offset + leading.len());
    }
    [leading, &file].concat()
}

/// Files in a folder, with the expected findings of each.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join(name), bytes).expect("it can be written");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns presync's record of each file.
    fn judged(&self, args: &[&str]) -> BTreeMap<String, Value> {
        let assets = Presync::dry_run(self.path()).args(["--format", "jsonl"]).args(args).run().jsonl();
        assets.into_iter().map(|asset| (asset["name"].as_str().expect("a name").to_owned(), asset)).collect()
    }

    /// Checks that all are accepted with these codes, and have the frames and the pixel format that ffprobe reports.
    fn is_accepted_as_ffprobe_reads_it(&self, codes: &[&str]) {
        let judged = self.judged(&[]);
        assert!(!judged.is_empty());
        for (name, asset) in judged {
            assert_eq!((&asset["verdict"], codes_of(&asset)), (&"accept".into(), codes.to_vec()), "{asset}");
            let stream = "v:0:stream=pix_fmt,nb_frames";
            let (select, show) = stream.split_once(":stream").expect("two parts");
            let mut ffprobe = Command::new("ffprobe");
            ffprobe.args(["-v", "quiet", "-select_streams", select, "-of", "csv=p=0", "-show_entries"]);
            let theirs = run(ffprobe.arg(format!("stream{show}")).arg(self.path().join(&name)));
            let ours = format!("{},{}", asset["pixel_format"].as_str().unwrap_or_default(), asset["frames"]);
            let theirs = String::from_utf8_lossy(&theirs);
            assert_eq!(
                theirs.lines().next().map(|line| line.trim_end_matches(',')),
                Some(ours.as_str()),
                "{name}"
            );
        }
    }
}

fn codes_of(asset: &Value) -> Vec<&str> {
    let findings = asset["findings"].as_array().expect("a list");
    findings.iter().map(|finding| finding["code"].as_str().expect("a code")).collect()
}

#[test]
fn whose_brand_lies_behind_another_box_are_read() {
    let (shelf, movie) = (Shelf::new(), movie(&[]));
    for kind in [b"udta", b"sidx", b"emsg", b"prft", b"pdin", b"free", b"uuid", b"junk", b"abcd"] {
        let name = format!("{}.mp4", kind.escape_ascii());
        shelf.put(&name, &behind(&boxed(kind, &[0; 100]), &movie));
    }
    let two = [boxed(b"styp", b"msdh\0\0\0\0"), boxed(b"abcd", &[1; 9000])].concat();
    shelf.put("two, of which one is long.mp4", &behind(&two, &movie));
    shelf.is_accepted_as_ffprobe_reads_it(&[]);
    assert!(
        shelf.judged(&[]).values().all(|asset| asset["major_brand"] == "mp42" && asset["format"] == "mp4")
    );
}

#[test]
fn with_a_wrong_size_or_an_empty_track_are_read_as_players_read_them() {
    let (shelf, movie) = (Shelf::new(), movie(&[]));
    let too_long = |path: &str| {
        let mut file = with_child(&movie, path, &boxed(b"abcd", &[0; 12]));
        let end = place(&file, path).end;
        set(&mut file, end - 20, 4000);
        file
    };
    shelf.put("the last of moov is too long.mp4", &too_long("moov"));
    shelf.put("the last of trak is too long.mp4", &too_long("moov/trak"));
    let mut shortened = with_child(&movie, "moov/trak", &boxed(b"udta", &[b'x'; 200]));
    let track = place(&shortened, "moov/trak");
    set(&mut shortened, track.start, track.len() - 120);
    shelf.put("the track is too short.mp4", &shortened);
    shelf
        .put("a size below a header.mp4", &with_child(&movie, "moov", &[0, 0, 0, 4, b'a', b'b', b'c', b'd']));
    shelf.put("a track without anything.mp4", &with_child(&movie, "moov", &boxed(b"trak", &[])));
    let header = movie[place(&movie, "moov/trak/tkhd")].to_vec();
    shelf.put("a track without media.mp4", &with_child(&movie, "moov", &boxed(b"trak", &header)));
    shelf.is_accepted_as_ffprobe_reads_it(&[]);
}

#[test]
fn with_many_boxes_before_the_header_take_a_read_for_each() {
    let (shelf, movie) = (Shelf::new(), movie(&[]));
    let header = place(&movie, "moov").start;
    for boxes in [31, 500] {
        let samples = boxed(b"mdat", &[0; 20_000]).repeat(boxes);
        shelf.put(&format!("{boxes}.mp4"), &[&movie[..header], &samples, &movie[header..]].concat());
    }
    shelf.is_accepted_as_ffprobe_reads_it(&[]);
    for (name, asset) in shelf.judged(&[]) {
        let boxes: u64 = name.trim_end_matches(".mp4").parse().expect("a number");
        assert!(asset["reads"]["requests"].as_u64() <= Some(boxes + 3), "{asset}");
    }
}

#[test]
fn are_those_of_video_by_their_sample_entry() {
    let (shelf, movie) = (Shelf::new(), movie(&[]));
    let handled = |file: &[u8], handler: &[u8; 4]| {
        let mut file = file.to_vec();
        let at = place(&file, "moov/trak/mdia/hdlr").start + 16;
        file[at..at + 4].copy_from_slice(handler);
        file
    };
    for handler in [b"pict", b"auxv", b"text", b"meta", b"zzzz"] {
        shelf.put(&format!("{}.mp4", handler.escape_ascii()), &handled(&movie, handler));
    }
    shelf.is_accepted_as_ffprobe_reads_it(&[]);

    // A second track that isn't 4:2:0, whatever it claims. It has no samples; only its header counts.
    let other = self::movie(&["-pix_fmt", "yuv444p"]);
    let shelf = Shelf::new();
    for handler in [b"vide", b"auxv", b"text", b"soun"] {
        let mut track = handled(&other, handler)[place(&other, "moov/trak")].to_vec();
        track[8 + 8 + 12 + 3] = 2;
        shelf.put(&format!("{}.mp4", handler.escape_ascii()), &with_child(&movie, "moov", &track));
    }
    for (name, asset) in shelf.judged(&[]) {
        let codes: &[&str] = if name == "soun.mp4" { &[] } else { &["VID002"] };
        assert_eq!(codes_of(&asset), codes, "{asset}");
    }
}

#[test]
fn that_no_player_opens_are_refused() {
    let (shelf, movie) = (Shelf::new(), film(&["-f", "lavfi", "-i", "sine=d=2"], &["-c:a", "aac"]));
    for (count, number) in [("none", 0), ("too many", 2000)] {
        let mut file = movie.clone();
        let first = place(&file, "moov/trak");
        // In the second track, the audio one.
        let at = first.end + file[first.end..].windows(4).position(|kind| kind == b"stsd").expect("a table");
        set(&mut file, at + 8, number);
        shelf.put(&format!("{count}.mp4"), &file);
    }
    for (name, asset) in shelf.judged(&[]) {
        assert_eq!((&asset["verdict"], codes_of(&asset)), (&"reject".into(), vec!["FMT003"]), "{asset}");
        let read = Command::new("ffprobe").args(["-v", "quiet"]).arg(shelf.path().join(&name)).status();
        assert!(!read.expect("it runs").success(), "{name}");
    }
}

#[test]
fn whose_parameter_sets_lie_behind_start_codes_show_their_pixel_format() {
    let shelf = Shelf::new();
    for format in ["yuv420p", "yuvj420p", "yuv444p"] {
        // A raw stream, whose first sample contains its parameter sets.
        let options = ["-pix_fmt", format, "-bf", "0", "-bsf:v", "h264_mp4toannexb,dump_extra", "-f", "h264"];
        let stream = movie(&options);
        let mut file = movie(&["-pix_fmt", format, "-bf", "0"]);
        let header = file[place(&file, "moov")].to_vec();
        let ftyp = place(&file, "ftyp").end;
        file.truncate(ftyp);
        file.extend([boxed(b"mdat", &stream), header].concat());
        let offsets = place(&file, "moov/trak/mdia/minf/stbl/stco").start;
        set(&mut file, offsets + 16, ftyp + 8);
        let record = "moov/trak/mdia/minf/stbl/stsd/avc1/avcC";
        shelf.put(&format!("empty {format}.mp4"), &with(&file, record, &boxed(b"avcC", &[])));
        shelf.put(&format!("missing {format}.mp4"), &with(&file, record, &boxed(b"free", &[])));
    }
    for (name, asset) in shelf.judged(&[]) {
        let format = name.trim_end_matches(".mp4").split(' ').next_back().expect("a format");
        assert_eq!(asset["pixel_format"], format, "{asset}");
    }
}

#[test]
fn with_two_colour_boxes_go_by_the_last() {
    let (shelf, movie) = (Shelf::new(), movie(&[]));
    let colour = |full: u8| boxed(b"colr", &[&b"nclx\0\x01\0\x01\0\x01"[..], &[full << 7]].concat());
    let entry = "moov/trak/mdia/minf/stbl/stsd/avc1";
    // A sample entry is in a table: only its box and the enclosing ones grow.
    for (first, last) in [(0, 1), (1, 0)] {
        let file = with_child(&with_child(&movie, entry, &colour(first)), entry, &colour(last));
        shelf.put(&format!("{last}.mp4"), &file);
    }
    let judged = shelf.judged(&[]);
    assert_eq!(
        (&judged["0.mp4"]["pixel_format"], &judged["1.mp4"]["pixel_format"]),
        (&"yuv420p".into(), &"yuvj420p".into())
    );
}

/// Returns the movie with an edit list of these durations in milliseconds, each from the first frame.
fn edited(movie: &[u8], lengths: &[u32]) -> Vec<u8> {
    let list = place(movie, "moov/trak/edts/elst").start;
    let start = number(movie, list + 20) as u32;
    let mut body = [[0; 4], (lengths.len() as u32).to_be_bytes()].concat();
    lengths
        .iter()
        .for_each(|length| body.extend([*length, start, 1 << 16].map(u32::to_be_bytes).as_flattened()));
    with(movie, "moov/trak/edts/elst", &boxed(b"elst", &body))
}

#[test]
fn cost_what_is_stored_or_presented_whichever_is_more() {
    let (shelf, movie) = (Shelf::new(), movie(&[]));
    let cases: [(&str, &[u32], u64); 5] = [
        ("all.mp4", &[2000], FRAMES),
        ("nothing.mp4", &[0], 0),
        ("a second.mp4", &[1000], 30),
        ("twice.mp4", &[2000, 2000], 2 * FRAMES),
        ("many times.mp4", &[2000; 100], 100 * FRAMES),
    ];
    cases.iter().for_each(|(name, lengths, _)| shelf.put(name, &edited(&movie, lengths)));
    let judged = shelf.judged(&[]);
    for (name, _, presented) in cases {
        let asset = &judged[name];
        assert_eq!(asset["frames_presented"], presented, "{asset}");
        assert_eq!(asset["cost"]["frames"], FRAMES.max(presented), "{asset}");
        let codes: &[&str] = if presented == FRAMES { &[] } else { &["VID101"] };
        assert_eq!(codes_of(asset), codes, "{asset}");
    }
}

#[test]
fn that_begin_with_an_open_group_of_pictures_present_all_frames() {
    // The first stored frame is the third one presented.
    let (shelf, movie) = (Shelf::new(), movie(&["-bf", "0"]));
    let mut offsets = [[1u32, 1536], [2, 0]].repeat(FRAMES as usize / 3);
    offsets.splice(FRAMES as usize / 3 * 2 - 2.., [[1, 512], [2, 512]]);
    let timescale = number(&movie, place(&movie, "moov/trak/mdia/mdhd").start + 20);
    assert_eq!(timescale / 30, 512, "a frame's duration");
    let body = [&[0, 0, 0, 0][..], &(offsets.len() as u32).to_be_bytes()].concat();
    let entries: Vec<u8> = offsets.as_flattened().iter().flat_map(|number| number.to_be_bytes()).collect();
    let mut file = with_child(&movie, "moov/trak/mdia/minf/stbl", &boxed(b"ctts", &[body, entries].concat()));
    let list = place(&file, "moov/trak/edts/elst").start;
    set(&mut file, list + 20, 512);
    shelf.put("open.mp4", &file);
    let asset = &shelf.judged(&[])["open.mp4"];
    assert_eq!((codes_of(asset), &asset["frames_presented"]), (vec![], &FRAMES.into()), "{asset}");
}

#[test]
fn that_break_off_are_told() {
    let (shelf, movie) = (Shelf::new(), movie(&["-movflags", "faststart"]));
    shelf.put("half.mp4", &movie[..movie.len() / 2]);
    shelf.put("a byte less.mp4", &movie[..movie.len() - 1]);
    shelf.put("whole.mp4", &movie);
    for (args, verdict) in [(&[][..], "accept"), (&["--severity", "FMT005=error"][..], "reject")] {
        let judged = shelf.judged(args);
        for name in ["half.mp4", "a byte less.mp4"] {
            let asset = &judged[name];
            assert_eq!((&asset["verdict"], codes_of(asset)), (&verdict.into(), vec!["FMT005"]), "{asset}");
            assert_eq!(asset["truncated"], movie.len(), "{asset}");
        }
        assert_eq!(codes_of(&judged["whole.mp4"]), [""; 0]);
    }
}

#[test]
fn that_warn_are_accepted() {
    let shelf = Shelf::new();
    let uneven = ["-vf", "select='mod(n,3)',setpts=PTS", "-fps_mode", "vfr"];
    shelf.put("VID103.mp4", &movie(&uneven));
    let plain = movie(&[]);
    let mut turned = plain.clone();
    let matrix = place(&turned, "moov/trak/tkhd").start + 48;
    for (at, value) in [(0, 0), (4, 1 << 16), (12, usize::from(u16::MAX) << 16), (16, 0)] {
        set(&mut turned, matrix + at, value);
    }
    shelf.put("VID104.mp4", &turned);
    shelf.is_accepted_as_ffprobe_reads_it_each_with_its_code();
    assert_eq!(shelf.judged(&[])["VID104.mp4"]["rotation"], 270);

    let key = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"];
    let id = ["-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"];
    shelf.put("VID102.mp4", &movie(&[&key[..], &id].concat()));
    let asset = &shelf.judged(&[])["VID102.mp4"];
    assert_eq!((&asset["verdict"], codes_of(asset)), (&"accept".into(), vec!["VID102"]), "{asset}");
    assert!(
        asset["findings"][0]["message"].as_str().is_some_and(|text| text.contains("encrypted")),
        "{asset}"
    );
}

#[test]
fn at_a_constant_rate_that_the_timescale_rounds_do_not_warn() {
    let shelf = Shelf::new();
    // 30 frames per second in milliseconds.
    shelf.put("rounded.mp4", &movie(&["-video_track_timescale", "1000"]));
    let asset = &shelf.judged(&[])["rounded.mp4"];
    assert_eq!((codes_of(asset), &asset["variable_frame_rate"]), (vec![], &false.into()), "{asset}");
}

impl Shelf {
    /// Checks that all are accepted, each with the code that it is named after, as ffprobe reports it.
    fn is_accepted_as_ffprobe_reads_it_each_with_its_code(&self) {
        for (name, bytes) in
            self.judged(&[]).into_keys().map(|name| (name.clone(), fs::read(self.path().join(name))))
        {
            let one = Self::new();
            one.put(&name, &bytes.expect("it is there"));
            one.is_accepted_as_ffprobe_reads_it(&[name.trim_end_matches(".mp4")]);
        }
    }
}

#[test]
fn that_are_not_mp4_are_named_and_never_to_be_renamed() {
    let shelf = Shelf::new();
    let program_stream = movie(&["-c:v", "mpeg2video", "-f", "vob"]);
    let formats = [
        ("matroska", movie(&["-f", "matroska"])),
        ("webm", movie(&["-c:v", "libvpx", "-f", "webm"])),
        ("h264", movie(&["-f", "h264"])),
        ("hevc", movie(&["-c:v", "libx265", "-x265-params", "log-level=none", "-f", "hevc"])),
        ("mxf", movie(&["-c:v", "mpeg2video", "-r", "25", "-f", "mxf"])),
        ("rm", movie(&["-c:v", "rv10", "-bf", "0", "-f", "rm"])),
        ("mpegps", [&b"IMKH\x01\x01"[..], &[0; 34], &program_stream].concat()),
        ("mpegps", [&[0x48, 0x4B, 0x4D, 0x49][..], &[7; 500], &program_stream].concat()),
        ("dhav", [&b"DHAV\xFD\0\x01\0"[..], &[9; 3000]].concat()),
        ("dhav", [&b"DAHUA"[..], &[9; 3000]].concat()),
    ];
    for (number, (format, bytes)) in formats.iter().enumerate() {
        shelf.put(&format!("{number} {format}.mp4"), bytes);
    }
    let judged = shelf.judged(&[]);
    assert_eq!(judged.len(), formats.len());
    for (name, asset) in judged {
        let format = name.trim_end_matches(".mp4").split(' ').next_back().expect("a format");
        assert_eq!(
            (&asset["format"], codes_of(&asset)),
            (&format.into(), vec!["VID004", "FMT002"]),
            "{asset}"
        );
        let fixes: Vec<_> =
            asset["findings"].as_array().expect("a list").iter().map(|finding| &finding["fix"]).collect();
        assert!(
            fixes[0].as_str().is_some_and(|fix| fix.starts_with("ffmpeg")) && fixes[1].is_null(),
            "{asset}"
        );
    }
}

#[test]
fn of_motion_jpeg_2000_are_videos() {
    let shelf = Shelf::new();
    let movie = movie(&["-c:v", "jpeg2000", "-f", "mp4"]);
    let signature = [0, 0, 0, 12, b'j', b'P', b' ', b' ', 0x0D, 0x0A, 0x87, 0x0A];
    let mut file = behind(&signature, &movie);
    file[20..24].copy_from_slice(b"mjp2");
    shelf.put("film.mj2", &file);
    let asset = &shelf.judged(&[])["film.mj2"];
    let said = (&asset["kind"], &asset["format"], &asset["frames"], &asset["major_brand"]);
    assert_eq!(said, (&"video".into(), &"mj2".into(), &FRAMES.into(), &"mjp2".into()), "{asset}");
    assert_eq!(codes_of(asset), ["VID001", "VID102"], "{asset}");
}

#[test]
fn in_too_many_fragments_say_how_many_reads_their_count_takes() {
    let shelf = Shelf::new();
    shelf.put(
        "film.mp4",
        &movie(&["-g", "2", "-bf", "0", "-b:v", "4M", "-movflags", "empty_moov+frag_keyframe"]),
    );
    let asset = &shelf.judged(&["--max-reads", "1"])["film.mp4"];
    assert_eq!((&asset["verdict"], codes_of(asset)), (&"unknown".into(), vec!["FMT004"]), "{asset}");
    let finding = &asset["findings"][0];
    assert!(finding["message"].as_str().is_some_and(|text| text.contains("reads and 1 MiB")), "{asset}");
    let fix = finding["fix"].as_str().and_then(|fix| fix.strip_prefix("Run again with "));
    let enough: Vec<_> = fix.expect("an option").split(' ').collect();
    let asset = &shelf.judged(&enough)["film.mp4"];
    assert_eq!((&asset["verdict"], &asset["frames"]), (&"accept".into(), &FRAMES.into()), "{asset}");
}
