//! Every fix that is a command, run by a shell: its finding is gone, the asset is accepted, and it looks as before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::presync::{Presync, demo};
use crate::support::run;

/// Of 255, for JPEG: turning moves the rounding of the inverse DCT, by 1 in Y, Cb and Cr each.
const ROUNDING: u8 = 4;

/// In dB, for what is encoded anew: that much is not seen. A range or a matrix gone wrong leaves less than 30.
const SAME_LOOK: f64 = 35.0;

/// Fixes that no command can carry out without knowing what the user has and wants.
const PROSE: [&str; 3] = [
    "Upload the file again",
    "Rename it to end in .png",
    "Rename one of them: annotations are matched by basename",
];

#[test]
fn of_the_demo_container() {
    let bench = Bench::new();
    for asset in findings_of(&demo()) {
        // Names with spaces, and without folders.
        let name = asset["name"].as_str().expect("a name");
        bench.put(&name.replace('/', " "), &fs::read(demo().join(name)).expect("it can be read"));
    }
    let mended = bench.mend();
    let count = |code: &str| mended.iter().filter(|mended| mended.code == code).count();
    let counts = ["IMG001", "VID001", "VID002", "VID004", "VID101", "VID102"].map(count);
    assert_eq!(counts, [8, 3, 3, 2, 1, 1]);
    mended.iter().for_each(Mended::looks_as_before);
}

#[test]
fn of_every_orientation_of_a_jpeg() {
    // Of whole blocks, and with less than one at the right and at the bottom.
    let bench = Bench::new();
    let cropped = bench.before().join("cropped.jpg");
    let crop = ["-crop", "313x231+0+0", "-outfile"];
    run(Command::new("jpegtran").args(crop).args([&cropped, &demo().join("cam1/0001.jpg")]));
    of_every_orientation(&["cam1/0001.jpg", cropped.to_str().expect("UTF-8")], with_exiftool);
}

#[test]
fn of_every_orientation_of_a_png_and_a_tiff() {
    of_every_orientation(&["drone/mosaic.png", "drone/field-map.tif"], with_exiftool);
}

#[test]
fn of_every_orientation_of_a_webp() {
    of_every_orientation(&["phones/IMG_1007.webp"], with_the_tag_overwritten);
}

#[test]
fn of_every_orientation_of_heif_and_avif() {
    of_every_orientation(&["phones/IMG_1004.heic", "phones/IMG_1005.avif"], with_exiftool);
}

#[test]
fn of_a_jpeg_with_a_thumbnail_and_xmp() {
    let bench = Bench::new();
    let name = "with everything.jpg";
    bench.put(name, &fs::read(demo().join("cam1/0001.jpg")).expect("it can be read"));
    let tags = ["-IFD0:Orientation=6", "-XMP-tiff:Orientation=6"];
    let thumbnail = format!("-ThumbnailImage<={}", demo().join("phones/IMG_1003.jpg").display());
    run(Command::new("exiftool")
        .args(["-q", "-overwrite_original", "-n"])
        .args(tags)
        .args([&thumbnail, name])
        .current_dir(bench.before()));
    let [mended] = &bench.mend()[..] else { panic!("one finding, one fix") };
    mended.looks_as_before();
    let tags = ["-a", "-n", "-s3", "-Orientation", "-ThumbnailImage"];
    let left = run(Command::new("exiftool").args(tags).arg(&mended.output));
    assert_eq!(String::from_utf8_lossy(&left), "1\n1\n", "EXIF and XMP agree, and no old thumbnail is shown");
}

#[test]
fn of_videos_that_need_more_than_their_codec_changed() {
    let bench = Bench::new();
    let full = ["-vf", "scale=out_range=pc,format=yuv420p", "-color_range", "pc"];
    let odd = ["-vf", "format=yuv444p,scale=97:73", "-c:v", "libx264", "-brand", "mp42"];
    let sound = ["-f", "lavfi", "-i", "sine=duration=1", "-c:a", "pcm_s16le", "-c:v", "libx264"];
    let lying = ["-metadata:s:v", "rotate=90", "-pix_fmt"];
    // Two frames in three, at uneven times.
    let uneven = "select='mod(n,3)',settb=1/1000,setpts=PTS+floor(random(1)*12),format=yuv420p";
    bench.paint("full range.webm", &[&full[..], &["-c:v", "libvpx-vp9"]].concat());
    bench.paint("full range.mkv", &[&full[..], &["-c:v", "libx264"]].concat());
    bench.paint("odd size.mp4", &odd);
    bench.paint("pcm sound.mov", &[&sound[..], &lying, &["yuv420p"]].concat());
    bench.paint("pcm sound, 10 bit.mov", &[&sound[..], &lying, &["yuv422p10le"]].concat());
    bench.paint("uneven times.webm", &["-vf", uneven, "-fps_mode", "passthrough", "-c:v", "libvpx"]);
    let mended = bench.mend();
    assert_eq!(mended.len(), 7, "two findings for the 10-bit MOV, one for every other");
    mended.iter().for_each(Mended::looks_as_before);
}

#[test]
fn of_videos_with_a_warning() {
    let bench = Bench::new();
    let mp4 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-brand", "mp42"];
    let uneven = ["-vf", "select='mod(n,3)',format=yuv420p", "-fps_mode", "vfr"];
    bench.paint("uneven.mp4", &[&uneven[..], &mp4].concat());
    // A quarter clockwise, and an edit of no length.
    let turn = [0, 1 << 16, 0, u32::MAX << 16, 0].map(u32::to_be_bytes);
    for (name, kind, at, bytes) in
        [("turned.mp4", b"tkhd", 44, turn.as_flattened()), ("presents nothing.mp4", b"elst", 12, &[0; 4])]
    {
        bench.paint(name, &mp4);
        let mut file = fs::read(bench.before().join(name)).expect("it is written");
        let at = at + file.windows(4).position(|window| window == kind).expect("it has such a box");
        file[at..at + bytes.len()].copy_from_slice(bytes);
        bench.put(name, &file);
    }
    let mended = bench.mend();
    let codes: Vec<_> = mended.iter().map(|mended| mended.code.as_str()).collect();
    assert_eq!(codes, ["VID101", "VID104", "VID103"]);
    // The others get other frames than what was shown: more, or all.
    mended[1].looks_as_before();
    for (mended, frames) in [(&mended[0], 15), (&mended[2], 14)] {
        assert_eq!(frames_of(&mended.output), frames, "{}", mended.fix);
    }
}

#[test]
fn of_videos_in_other_containers() {
    let bench = Bench::new();
    let mpeg2 = ["-c:v", "mpeg2video", "-q:v", "2", "-pix_fmt", "yuv420p", "-r", "25"];
    bench.paint("recorder.mpg", &[&mpeg2[..], &["-f", "vob"]].concat());
    let stream = fs::read(bench.before().join("recorder.mpg")).expect("it is written");
    bench.put("recorder.mp4", &[&b"IMKH\x01\x01"[..], &[0; 34], &stream].concat());
    fs::remove_file(bench.before().join("recorder.mpg")).expect("it is there");
    bench.paint("camera.mxf", &mpeg2);
    bench.paint("bare.h264", &["-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p"]);
    bench.paint(
        "bare.h265",
        &["-c:v", "libx265", "-bf", "0", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"],
    );
    bench.paint("old.rm", &["-c:v", "rv10", "-q:v", "2", "-s", "96x64"]);
    bench.paint("film.mkv", &["-c:v", "libx264", "-pix_fmt", "yuv420p"]);
    let mended = bench.mend();
    assert_eq!(mended.len(), 6);
    mended.iter().for_each(Mended::plays_as_before);
}

#[test]
fn that_say_to_rename() {
    let bench = Bench::new();
    bench.put("scan.jpg", &fs::read(demo().join("drone/mosaic.png")).expect("it can be read"));
    let [asset] = &findings_of(&bench.before())[..] else { panic!("one asset") };
    let fix = asset["findings"][0]["fix"].as_str().expect("a fix");
    let extension = fix.strip_prefix("Rename it to end in ").expect("a new ending");
    let renamed = bench.before().join(format!("scan{extension}"));
    fs::rename(bench.before().join("scan.jpg"), renamed).expect("it can be renamed");
    assert_eq!(findings_of(&bench.before()), Vec::<Value>::new());
}

#[test]
fn the_turns_that_are_expected_are_those_of_ffmpeg() {
    let bench = Bench::new();
    let (original, orientations) = (demo().join("cam1/0001.jpg"), [1, 2, 3, 4, 5, 6, 7, 8]);
    with_exiftool(&original, &orientations, &bench.before());
    for orientation in orientations {
        let file = copy_in(&bench.before(), &original, orientation);
        let expected = Picture::of_jpeg(&file).turned(orientation);
        let autorotated = Picture::by_ffmpeg(&file, &[]);
        assert_eq!(expected.width, autorotated.width, "orientation {orientation}");
        // They interpolate chroma differently.
        let psnr = psnr(expected.pixels.as_flattened(), autorotated.pixels.as_flattened());
        assert!(psnr > 30.0, "orientation {orientation}: {psnr} dB");
    }
}

/// Mends copies of demo files that carry every orientation but 1, and two that are not defined.
fn of_every_orientation(names: &[&str], make: fn(&Path, &[i64], &Path)) {
    let bench = Bench::new();
    let orientations = [0, 2, 3, 4, 5, 6, 7, 8, 9];
    names.iter().for_each(|name| make(&demo().join(name), &orientations, &bench.before()));
    let mended = bench.mend();
    assert_eq!(mended.len(), orientations.len() * names.len());
    mended.iter().for_each(Mended::looks_as_before);
}

/// The original with each of these orientations, as a copy in this folder.
fn with_exiftool(original: &Path, orientations: &[i64], folder: &Path) {
    let mut exiftool = Command::new("exiftool");
    for orientation in orientations {
        let tag = format!("-IFD0:Orientation={orientation}");
        let copy = copy_in(folder, original, *orientation);
        exiftool.args(["-q", "-n", &tag, "-o"]).args([&copy, original]).arg("-execute");
    }
    run(&mut exiftool);
}

/// The same for an original that has a tag, big-endian, where exiftool cannot write.
fn with_the_tag_overwritten(original: &Path, orientations: &[i64], folder: &Path) {
    let mut bytes = fs::read(original).expect("it can be read");
    // The tag's number, its type and how many there are (TIFF 6.0, section 2).
    let tag = [0x01, 0x12, 0, 3, 0, 0, 0, 1];
    let at = bytes.windows(tag.len()).position(|window| window == tag).expect("the tag") + tag.len();
    for orientation in orientations {
        bytes[at + 1] = u8::try_from(*orientation).expect("small");
        fs::write(copy_in(folder, original, *orientation), &bytes).expect("it can be written");
    }
}

fn copy_in(folder: &Path, original: &Path, orientation: i64) -> PathBuf {
    folder.join(format!("{orientation} {}", original.file_name().expect("a name").display()))
}

/// The assets of a folder that have findings.
fn findings_of(folder: &Path) -> Vec<Value> {
    let assets = Presync::dry_run(folder).args(["--format", "jsonl"]).run().jsonl();
    assets.into_iter().filter(|asset| asset["findings"] != serde_json::json!([])).collect()
}

/// A folder of files to mend, and one beside it for what comes out.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir(bench.before()).and_then(|()| fs::create_dir(bench.after())).expect("two folders");
        bench
    }

    fn before(&self) -> PathBuf {
        self.0.path().join("before")
    }

    fn after(&self) -> PathBuf {
        self.0.path().join("after")
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.before().join(name), bytes).expect("it can be written");
    }

    /// A second of video that ffmpeg paints and encodes with these options.
    fn paint(&self, name: &str, options: &[&str]) {
        let scene = [
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "gradients=size=96x72:rate=15:seed=1:speed=0.1,trim=duration=1,format=yuv444p",
        ];
        run(Command::new("ffmpeg").args(scene).args(options).arg(name).current_dir(self.before()));
    }

    /// Runs the fix of every finding that has a command, each from the untouched file, and judges the results.
    fn mend(&self) -> Vec<Mended> {
        let mut mended = Vec::new();
        for asset in findings_of(&self.before()) {
            for finding in asset["findings"].as_array().expect("a list") {
                let fix = finding["fix"].as_str().filter(|fix| !PROSE.contains(fix));
                mended.extend(fix.map(|fix| self.run_fix(&asset, finding, fix, mended.len())));
            }
        }
        let results = Presync::dry_run(self.after()).args(["--format", "jsonl"]).run().jsonl();
        assert_eq!(results.len(), mended.len(), "one file for every fix, and nothing beside it");
        for mended in &mended {
            let name = mended.output.file_name().and_then(|name| name.to_str());
            let result = results.iter().find(|result| result["name"].as_str() == name).expect("it is judged");
            let codes: Vec<_> = result["findings"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|finding| &finding["code"])
                .collect();
            assert!(!codes.contains(&&Value::from(mended.code.as_str())), "{}: {result}", mended.fix);
            assert_eq!(result["verdict"], "accept", "{}: {result}", mended.fix);
        }
        mended
    }

    fn run_fix(&self, asset: &Value, finding: &Value, fix: &str, number: usize) -> Mended {
        let input = self.before().join(asset["name"].as_str().expect("a name"));
        let bytes = fs::read(&input).expect("it can be read");
        let extension = fix.split(' ').find_map(|word| word.strip_prefix("OUT.")).expect("an extension");
        let output = self.after().join(format!("number {number}.{extension}"));
        let words = fix.split(' ').map(|word| match word.split('.').next() {
            Some("IN") => format!("'{}'", input.display()),
            Some("OUT") => format!("'{}'{}", output.display(), if word.ends_with(')') { ")" } else { "" }),
            _ => word.to_owned(),
        });
        let command = words.collect::<Vec<_>>().join(" ");
        run(Command::new("sh").args(["-c", &command]));
        assert_eq!(fs::read(&input).expect("it is still there"), bytes, "{command} changed its input");
        let field = |name: &str| asset[name].as_str().expect("a text").to_owned();
        Mended {
            code: finding["code"].as_str().expect("a code").to_owned(),
            format: field("format"),
            kind: field("kind"),
            orientation: asset["orientation"].as_i64().unwrap_or(1),
            fix: fix.to_owned(),
            input,
            output,
        }
    }
}

/// What came of a fix.
struct Mended {
    code: String,
    format: String,
    kind: String,
    orientation: i64,
    fix: String,
    input: PathBuf,
    output: PathBuf,
}

impl Mended {
    fn looks_as_before(&self) {
        match self.format.as_str() {
            _ if self.kind == "video" => self.plays_as_before(),
            "jpeg" => self.is_turned_without_loss(),
            "heif" | "avif" => self.differs_by_the_tag(),
            _ => self.is_turned(),
        }
    }

    /// The same pixels if no block at an edge is cut, else what looks like them; and always the same size.
    fn is_turned_without_loss(&self) {
        let before = Picture::of_jpeg(&self.input).turned(self.orientation);
        let after = Picture::of_jpeg(&self.output);
        assert_eq!((before.width, before.height()), (after.width, after.height()), "{}", self.fix);
        let pairs = || before.pixels.as_flattened().iter().zip(after.pixels.as_flattened());
        if before.width.is_multiple_of(16) && before.height().is_multiple_of(16) {
            let off = pairs().map(|(before, after)| before.abs_diff(*after)).max();
            assert!(off <= Some(ROUNDING), "{}: {:?} is off by {off:?}", self.fix, self.input);
        } else {
            let psnr = psnr(before.pixels.as_flattened(), after.pixels.as_flattened());
            assert!(psnr >= SAME_LOOK, "{}: {:?}: {psnr} dB", self.fix, self.input);
        }
    }

    /// The same pixels, or for WebP, where they are encoded anew, what looks like them.
    fn is_turned(&self) {
        let stored = ["-noautorotate"];
        let before = Picture::by_ffmpeg(&self.input, &stored).turned(self.orientation);
        let after = Picture::by_ffmpeg(&self.output, &stored);
        assert_eq!((before.width, before.height()), (after.width, after.height()), "{}", self.fix);
        let psnr = psnr(before.pixels.as_flattened(), after.pixels.as_flattened());
        let wanted = if self.fix.contains("-quality") { SAME_LOOK } else { f64::INFINITY };
        assert!(psnr >= wanted, "{}: {:?}: {psnr} dB", self.fix, self.input);
    }

    /// No byte differs but the tag's value: HEIF and AVIF are not turned by EXIF.
    fn differs_by_the_tag(&self) {
        let [before, after] = [&self.input, &self.output].map(|file| fs::read(file).expect("it can be read"));
        assert_eq!(before.len(), after.len(), "{}", self.fix);
        let changed: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        assert!(matches!(changed[..], [(&value, 1)] if i64::from(value) == self.orientation), "{changed:?}");
    }

    /// As many frames, and each the same where it is copied, else looking the same.
    fn plays_as_before(&self) {
        let (view, wanted) =
            if self.fix.contains("libx264") { (COARSE, SAME_LOOK) } else { ("null", f64::INFINITY) };
        let [before, after] = [&self.input, &self.output].map(|file| frames(file, view));
        assert_eq!(before.len(), after.len(), "{}: {:?}", self.fix, self.input);
        let psnr = psnr(&before, &after);
        assert!(psnr >= wanted, "{}: {:?}: {psnr} dB", self.fix, self.input);
    }
}

/// Without the last column and row of an odd size, and at half the size, where 4:4:4 and 4:2:0 have as much chroma.
const COARSE: &str = "crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0,format=rgb24,scale=iw/2:ih/2:flags=area";

/// The frames of the first video stream as they are shown: turned, and in RGB whatever their range.
fn frames(file: &Path, view: &str) -> Vec<u8> {
    let out =
        ["-map", "0:V:0", "-vf", view, "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo"];
    run(Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(file).args(out).arg("-"))
}

/// How many frames the header of a file names.
fn frames_of(file: &Path) -> u64 {
    let show =
        ["-v", "error", "-select_streams", "v:0", "-show_entries", "stream=nb_frames", "-of", "csv=p=0"];
    let frames = run(Command::new("ffprobe").args(show).arg(file));
    String::from_utf8_lossy(&frames).trim().parse().expect("a number")
}

/// A picture in RGB, row by row.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// As it is stored. Chroma is repeated and not interpolated, so that turning it changes nothing.
    fn of_jpeg(file: &Path) -> Self {
        Self::of_ppm(&run(Command::new("djpeg").args(["-nosmooth", "-dct", "int", "-ppm"]).arg(file)))
    }

    pub(crate) fn by_ffmpeg(file: &Path, options: &[&str]) -> Self {
        let out = ["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"];
        let decoder = ["-nostdin", "-v", "error"];
        Self::of_ppm(&run(Command::new("ffmpeg").args(decoder).args(options).arg("-i").arg(file).args(out)))
    }

    /// `P6`, the width, the height and 255, with a white space behind each, then the pixels.
    fn of_ppm(bytes: &[u8]) -> Self {
        let mut parts = bytes.splitn(5, u8::is_ascii_whitespace);
        let width =
            parts.nth(1).and_then(|width| str::from_utf8(width).ok()).and_then(|width| width.parse().ok());
        let (pixels, []) = parts.nth(2).expect("pixels").as_chunks() else { panic!("not RGB") };
        Self { width: width.expect("a width"), pixels: pixels.to_vec() }
    }

    pub(crate) fn height(&self) -> usize {
        self.pixels.len() / self.width
    }

    /// As the orientation says that it is to be shown (Exif 3.0, 4.6.5.1.6).
    fn turned(&self, orientation: i64) -> Self {
        let (right, bottom) = (self.width - 1, self.height() - 1);
        let (width, height) =
            if (5..=8).contains(&orientation) { (bottom + 1, right + 1) } else { (right + 1, bottom + 1) };
        Self::paint(width, height, |x, y| {
            let (x, y) = match orientation {
                2 => (right - x, y),
                3 => (right - x, bottom - y),
                4 => (x, bottom - y),
                5 => (y, x),
                6 => (y, bottom - x),
                7 => (right - y, bottom - x),
                8 => (right - y, x),
                _ => (x, y),
            };
            self.pixels[y * self.width + x]
        })
    }

    fn paint(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let pixel = &pixel;
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| pixel(x, y))).collect();
        Self { width, pixels }
    }
}

/// The peak signal-to-noise ratio of samples of 8 bits in dB; without end for the same ones.
pub(crate) fn psnr(before: &[u8], after: &[u8]) -> f64 {
    assert_eq!(before.len(), after.len());
    assert!(!before.is_empty(), "there is something to see");
    let square = |(before, after): (&u8, &u8)| u64::from(before.abs_diff(*after)).pow(2);
    let sum: u64 = before.iter().zip(after).map(square).sum();
    10.0 * (255.0 * 255.0 * before.len() as f64 / sum as f64).log10()
}
