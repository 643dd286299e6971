//! A plan in a file: what a row takes, how fast rows are written and read, and how much memory that needs.
//!
//! `cargo bench --bench plan`, with `PRESYNC_ROWS` for another number of rows than a million, and `PRESYNC_ORDER` for
//! another order of the listing that a plan is compared with: `folders` has the folders backwards, `shuffled` has the
//! names in no order.

#![expect(clippy::expect_used, reason = "a bench that cannot go on says what it expected")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use presync::commit::{CommitFolder, Comparison, Manifests};
use presync::model::{
    Access, Admit, Asset, Blob, BlobName, ETag, Facts, Format, FourCc, Month, Orientation, Origin, Period,
    Quota, Reads, Video, VideoTrack,
};
use presync::plan::{Budget, RunHeader, Sink, Summary};
use presync::plan_file::{PlanReader, PlanWriter};
use presync::probe;
use presync::report;
use presync::rules::{self, Content, Profile};

/// Rows when nothing else is asked for.
const ROWS: u64 = 1_000_000;
/// When the container's first blob was written, in seconds since 1970.
const FIRST_WRITTEN: i64 = 1_760_000_000;
/// Rows of a folder.
const FOLDER: u64 = 1_000;
/// A prime number, which divides no usual number of rows: its multiples visit every row once.
const STRIDE: u64 = 618_033_989;

fn main() {
    let rows = std::env::var("PRESYNC_ROWS")
        .ok()
        .filter(|rows| !rows.is_empty())
        .map_or(ROWS, |rows| rows.parse().expect("a number of rows"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("plan.parquet");
    let profile = Arc::new(Profile::load("nexus").expect("it is built in"));

    let begun = Instant::now();
    let before = peak_memory();
    // The same without a file, so that the cost of making the assets can be taken off.
    let summary = settle(rows, &profile, |_| {});
    let (made, without) = (begun.elapsed(), peak_memory());

    let begun = Instant::now();
    write(&path, rows, &profile, summary);
    let (written, writing) = (begun.elapsed().saturating_sub(made), peak_memory());

    let begun = Instant::now();
    let read = PlanReader::open(&path).expect("it is a plan").filter(|asset| asset.is_ok()).count();
    assert_eq!(read as u64, rows);
    let (reading, peak) = (begun.elapsed(), peak_memory());

    let begun = Instant::now();
    let manifests = commit(&path, &folder.path().join("commit"), rows, &profile);
    let (committed, committing) = (begun.elapsed().saturating_sub(made), peak_memory());

    let bytes = std::fs::metadata(&path).expect("it is there").len();
    let pace = |time: Duration| rows as f64 / time.as_secs_f64();
    let size = bytes as f64 / rows as f64;
    println!(
        "| {rows} rows | bytes/row | rows/s written | rows/s read | rows/s compared and put into manifests |"
    );
    println!("|---|--:|--:|--:|--:|");
    println!("| | {size:.1} | {:.0} | {:.0} | {:.0} |", pace(written), pace(reading), pace(committed));
    println!();
    println!("peak memory: {before} at the start, {without} without a file, {writing} written, {peak} read,");
    println!("{committing} committed with {manifests} entries in manifests");
}

fn write(path: &Path, rows: u64, profile: &Arc<Profile>, summary: Summary) {
    let header = RunHeader {
        origin: Origin {
            provider: "azure".into(),
            location: "https://media.blob.core.windows.net/cameras".to_owned(),
            account: Some("media".to_owned()),
            container: Some("cameras".to_owned()),
            prefix: String::new(),
            credential: None,
        },
        root: None,
        profile: Arc::clone(profile),
        profile_from: profile.name.clone(),
        workspace: None,
        probe_version: probe::VERSION,
        connection: None,
        filter: Default::default(),
        recursive: true,
        dimensions: false,
        admit: Admit::Listing,
        begun: Timestamp::now(),
    };
    let mut plan = PlanWriter::create(path, header).expect("a file");
    settle(rows, profile, |asset| plan.settled(asset).expect("it is written"));
    Box::new(plan).finish(&summary, Duration::ZERO).expect("it is written");
}

/// What a commit does with a plan whose source has not changed, but for listing and the ledger. Gives the entries that
/// are in manifests.
fn commit(plan: &Path, to: &Path, rows: u64, profile: &Profile) -> u64 {
    let reader = PlanReader::open(plan).expect("it is a plan");
    let period = Period::Month(Month::of(reader.plan().header.begun));
    let mut comparison = Comparison::new(reader.plan(), profile.clone(), probe::TRUSTED_SINCE, period, false);
    let folder = CommitFolder::create(to).expect("a folder");
    let mut manifests = Manifests::create(Some(&folder), report::asset_record).expect("files");
    let mut planned = reader.lookup();
    let order = std::env::var("PRESYNC_ORDER").unwrap_or_default();
    for row in 0..rows {
        let row = match order.as_str() {
            "folders" if rows.is_multiple_of(FOLDER) => {
                (rows - FOLDER) - row / FOLDER * FOLDER + row % FOLDER
            }
            "shuffled" => row * STRIDE % rows,
            _ => row,
        };
        let blob = asset(row, profile).blob;
        let asset = planned.find(&blob.name).expect("it is read").expect("it is in the plan");
        manifests.take(&asset).expect("it is written");
        comparison.listed(&blob, Some(asset));
    }
    assert!(comparison.obstacles().is_empty(), "{:?}", comparison.obstacles());
    let written = manifests.finish().expect("they are written");
    written.manifests.iter().map(|manifest| manifest.entries).sum()
}

/// Judges and weighs every asset as a run does, but for reading and probing.
fn settle(rows: u64, profile: &Profile, mut take: impl FnMut(&Asset)) -> Summary {
    let mut budget = Budget::new(Quota::new(None, None));
    for row in 0..rows {
        let mut asset = asset(row, profile);
        budget.settle(&mut asset);
        take(&asset);
    }
    budget.summary()
}

/// Of a hundred: 77 images that are accepted and 8 that are turned, 10 videos of which 5 have the brand that ffmpeg
/// gives, and 5 sidecar files.
fn asset(row: u64, profile: &Profile) -> Asset {
    let drawn = row.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let (extension, facts) = match drawn % 100 {
        0..77 => ("jpg", image(Orientation::Absent)),
        77..85 => ("jpg", image(Orientation::Value(6))),
        85..90 => ("mp4", video(*b"mp42", drawn)),
        90..95 => ("mp4", video(*b"isom", drawn)),
        _ => ("json", Facts::of(Format::Unknown)),
    };
    let blob = Blob {
        name: BlobName::new(format!(
            "site-{:02}/cam-{:03}/{row:09}.{extension}",
            row / 50_000,
            row / FOLDER % 50
        )),
        size: 40_000 + drawn % 4_000_000,
        etag: Some(ETag::new(&format!("0x8D{:013X}", drawn >> 12))),
        last_modified: Timestamp::from_second(FIRST_WRITTEN + (row / 7) as i64).ok(),
        access: Access::Online,
        declared: Default::default(),
    };
    let reads = Reads { requests: 1, retries: 0, bytes: 16_384 };
    let content = rules::without_reading(&blob);
    let reads = if content.is_some() { Reads::default() } else { reads };
    rules::judge(blob, content.unwrap_or(Content::Facts(facts)), reads, profile)
}

fn image(orientation: Orientation) -> Facts {
    Facts { width: Some(4032), height: Some(3024), orientation, ..Facts::of(Format::Jpeg) }
}

fn video(brand: [u8; 4], drawn: u64) -> Facts {
    let frames = 60 + drawn % 3_000;
    let track = VideoTrack {
        codec: Some("h264".into()),
        pixel_format: Some("yuv420p".into()),
        width: Some(1920),
        height: Some(1080),
        frames: Some(frames),
        frames_presented: Some(frames),
        duration_s: Some(frames as f64 / 30.0),
        ..VideoTrack::default()
    };
    let video = Video {
        major_brand: Some(FourCc(brand)),
        compatible_brands: [*b"isom", *b"iso2", *b"avc1", *b"mp41"].map(FourCc).into_iter().collect(),
        tracks: [track].into_iter().collect(),
    };
    Facts { width: Some(1920), height: Some(1080), video: Some(Box::new(video)), ..Facts::of(Format::Mp4) }
}

/// The most memory that the process has held so far, as Linux counts it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown");
    peak.trim().to_owned()
}
