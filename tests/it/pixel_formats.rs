//! The pixel formats of what encoders write, against ffprobe.
//!
//! ffmpeg writes every combination of an encoder's options that changes a sequence parameter set or a configuration
//! record; ffprobe, which decodes them, is the truth.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::presync::Presync;
use crate::support::run;

const H264: [&str; 18] = [
    "-pix_fmt yuv420p -profile:v baseline",
    "-pix_fmt yuv420p -x264-params cqm=jvt:colormatrix=bt709:colorprim=bt709:transfer=bt709",
    "-pix_fmt yuv420p -x264-params interlaced=1:sar=4/3:overscan=show:fullrange=off",
    "-pix_fmt yuv420p -x264-params fake-interlaced=1:nal-hrd=cbr:bitrate=100:vbv-maxrate=100:vbv-bufsize=100",
    "-pix_fmt yuv420p -x264-params cqm4=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16:fullrange=on",
    "-pix_fmt yuv420p -s 130x98 -x264-params sar=1000/999:b-pyramid=strict:ref=8",
    "-pix_fmt yuvj420p",
    "-pix_fmt yuvj420p -x264-params cqm=jvt:interlaced=1",
    "-pix_fmt yuv422p -x264-params cqm=jvt",
    "-pix_fmt yuvj422p",
    "-pix_fmt yuv444p -x264-params cqm=jvt:colormatrix=smpte170m",
    "-pix_fmt yuvj444p",
    "-pix_fmt gray",
    "-pix_fmt gray10le",
    "-pix_fmt yuv420p10le -x264-params colormatrix=bt2020nc:colorprim=bt2020:transfer=smpte2084",
    "-pix_fmt yuv420p10le -x264-params fullrange=on",
    "-pix_fmt yuv422p10le -x264-params interlaced=1:cqm=jvt",
    "-pix_fmt yuv444p10le -x264-params qp=0",
];
const H264_RGB: [&str; 2] = ["-pix_fmt rgb24 -qp 0", "-pix_fmt bgr24 -x264-params cqm=jvt"];
const HEVC: [&str; 24] = [
    "-pix_fmt yuv420p -x265-params scaling-list=default:temporal-layers=3:bframes=3",
    "-pix_fmt yuv420p -x265-params interlace=tff:field=1:sar=2:overscan=show:log-level=none",
    "-pix_fmt yuv420p -x265-params colormatrix=bt709:colorprim=bt709:transfer=bt709:range=limited:chromaloc=2",
    "-pix_fmt yuv420p -x265-params bframes=8:ref=6:b-pyramid=1:open-gop=0:multi-pass-opt-rps=0",
    "-pix_fmt yuv420p -s 130x98 -x265-params range=full:hrd=1:vbv-maxrate=100:vbv-bufsize=100:bitrate=100",
    "-pix_fmt yuv420p -x265-params rd=1:intra-refresh=1:no-sao=1:amp=1:rect=1:ctu=16",
    "-pix_fmt yuvj420p",
    "-pix_fmt yuv422p",
    "-pix_fmt yuv422p -x265-params range=full",
    "-pix_fmt yuv444p -x265-params scaling-list=default",
    "-pix_fmt yuv444p -x265-params range=full",
    "-pix_fmt gbrp",
    "-pix_fmt gray",
    "-pix_fmt gray -x265-params range=full",
    "-pix_fmt yuv420p10le -x265-params colormatrix=bt2020nc:colorprim=bt2020:transfer=smpte2084:hdr10=1",
    "-pix_fmt yuv420p10le -x265-params range=full",
    "-pix_fmt yuv422p10le -x265-params scaling-list=default",
    "-pix_fmt yuv444p10le",
    "-pix_fmt gbrp10le",
    "-pix_fmt gray10le",
    "-pix_fmt yuv420p12le",
    "-pix_fmt yuv444p12le",
    "-pix_fmt gbrp12le",
    "-pix_fmt gray12le",
];
const AV1: [&str; 14] = [
    "-pix_fmt yuv420p",
    "-pix_fmt yuv420p -color_range pc",
    "-pix_fmt yuv420p10le",
    "-pix_fmt yuv420p12le",
    "-pix_fmt yuv422p",
    "-pix_fmt yuv422p10le",
    "-pix_fmt yuv444p",
    "-pix_fmt yuv444p -still-picture 1",
    "-pix_fmt yuv444p -color_range pc -colorspace bt709 -tiles 2x2",
    "-pix_fmt yuv444p10le",
    "-pix_fmt yuv444p12le",
    "-pix_fmt gbrp",
    "-pix_fmt gbrp10le",
    "-pix_fmt gray",
];
const VP9: [&str; 6] = [
    "-pix_fmt yuv420p",
    "-pix_fmt yuv420p10le",
    "-pix_fmt yuv422p",
    "-pix_fmt yuv444p",
    "-pix_fmt gbrp",
    "-pix_fmt gbrp12le",
];

#[test]
fn are_those_that_ffprobe_names() {
    let folder = TempDir::new().expect("a temporary folder");
    encode(folder.path(), "libx264", &H264);
    encode(folder.path(), "libx264rgb", &H264_RGB);
    encode(folder.path(), "libx265", &HEVC);
    encode(folder.path(), "libaom-av1 -cpu-used 8 -frames:v 1 -strict -2", &AV1);
    encode(folder.path(), "libvpx-vp9 -cpu-used 8 -frames:v 1", &VP9);
    let files = H264.len() + H264_RGB.len() + HEVC.len() + AV1.len() + VP9.len();
    assert_eq!(judged_as_ffprobe_does(folder.path()), files);
}

#[test]
fn are_found_in_the_first_sample_when_the_record_has_no_parameter_sets() {
    let folder = TempDir::new().expect("a temporary folder");
    for (codec, suffix, tag, record) in
        [("libx264", "h264", "avc3", b"avcC"), ("libx265", "hevc", "hev1", b"hvcC")]
    {
        for (index, options) in ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p", "gray"].iter().enumerate() {
            let stream = folder.path().join(format!("stream.{suffix}"));
            // A delimiter before the parameter sets. Without reordered frames, a bare stream has a time for each.
            let filter = format!("{suffix}_metadata=aud=insert");
            let mut encode = ffmpeg();
            encode
                .args(["-c:v", codec, "-pix_fmt", options, "-bf", "0", "-bsf:v", &filter, "-y"])
                .arg(&stream);
            run(&mut encode);
            let name = format!("{tag} {index}.mp4");
            let file = folder.path().join(&name);
            let mut copy = Command::new("ffmpeg");
            copy.args(["-loglevel", "error", "-r", "10", "-i"]).arg(&stream);
            run(copy.args(["-c", "copy", "-tag:v", tag]).arg(&file));
            let mut bytes = fs::read(&file).expect("it is written");
            without_parameter_sets(&mut bytes, record);
            fs::write(&file, bytes).expect("it can be written");
            fs::remove_file(&stream).expect("it is written");
        }
    }
    assert_eq!(judged_as_ffprobe_does(folder.path()), 10);
}

/// Makes a configuration record say that it has none; what is left of them is behind its end.
fn without_parameter_sets(file: &mut [u8], record: &[u8; 4]) {
    let at = 4 + file.windows(4).position(|window| window == record).expect("it has a record");
    match record {
        // No sets of either kind; above their number are reserved ones.
        b"avcC" => file[at + 5..at + 7].copy_from_slice(&[0xE0, 0]),
        _ => file[at + 22] = 0,
    }
}

/// Writes a file for every set of options, all in one run: to start ffmpeg takes longer than to encode.
fn encode(folder: &Path, codec: &str, options: &[&str]) {
    let mut command = ffmpeg();
    for (index, options) in options.iter().enumerate() {
        let name = format!("{} {index:02}.mp4", codec.split(' ').next().expect("a name"));
        command.args(["-threads", "1", "-c:v"]).args(codec.split(' ')).args(options.split(' '));
        command.arg(folder.join(name));
    }
    run(&mut command);
}

/// ffmpeg with five small frames to encode.
fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args("-hide_banner -loglevel error -f lavfi -i testsrc2=s=128x96:r=10:d=0.5".split(' '));
    command
}

/// Compares what the binary says of every file of a folder with what ffprobe says, and counts them.
fn judged_as_ffprobe_does(folder: &Path) -> usize {
    let ran = Presync::dry_run(folder).args(["--format", "jsonl"]).run();
    let ours: BTreeMap<String, Value> =
        ran.jsonl().into_iter().map(|asset| (text(&asset["name"]), asset)).collect();
    let format = |name: &String| {
        let mut ffprobe = Command::new("ffprobe");
        ffprobe.args("-v error -select_streams v:0 -show_entries stream=pix_fmt -of csv=p=0".split(' '));
        let format = run(ffprobe.arg(folder.join(name)));
        String::from_utf8(format).expect("UTF-8").trim().to_owned()
    };
    let wrong: Vec<_> = ours
        .iter()
        .map(|(name, asset)| (name, text(&asset["pixel_format"]), format(name)))
        .filter(|(_, ours, theirs)| ours != theirs)
        .map(|(name, ours, theirs)| format!("{name}: {ours}, ffprobe {theirs}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    ours.len()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
