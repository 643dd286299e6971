//! A page of a large container.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use presync::model::{
    Access, Asset, Blob, BlobName, Code, Facts, Finding, Format, FourCc, Orientation, Origin, Quota, Reads,
    Video, VideoTrack,
};
use presync::plan::{Budget, RunHeader, Sink};
use presync::report;
use presync::rules::{self, Content, Profile};

use crate::support::chromium::Page;

/// Assets when `PRESYNC_HTML_ASSETS` asks for no other number: enough to reach every cap of the page.
const ASSETS: u64 = 50_000;
/// Codes that the budget gives.
const BY_BUDGET: [Code; 3] = [Code::DuplicateBasename, Code::ImageQuota, Code::FrameQuota];
const MAX_BYTES: u64 = 5_000_000;
const MAX_LOAD_MS: f64 = 2000.0;

/// A container in which every rule has findings, in folders of which there are more than the page tells apart.
fn asset(index: u64, count: u64, profile: &Profile) -> Asset {
    let drawn = index.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let (extension, facts) = match drawn % 20 {
        0..3 => ("mp4", video(drawn)),
        3..8 => ("jpg", image(Orientation::Value((drawn >> 20) as i64 % 9))),
        _ => ("jpg", image(Orientation::Absent)),
    };
    let camera = index * 30_000 / count;
    let (site, session) = (camera / 1500, camera / 3);
    let name = format!("site-{site:02}/{session:05} <&>/camera {camera:05}/{index:09}.{extension}");
    let blob = Blob {
        name: BlobName::new(name),
        size: drawn >> (24 + drawn % 30),
        etag: None,
        last_modified: None,
        access: Access::Online,
        declared: Default::default(),
    };
    let mut asset = rules::judge(blob, Content::Facts(facts), Reads::default(), profile);
    let by_rules: Vec<_> = Code::ALL.iter().filter(|code| !BY_BUDGET.contains(code)).collect();
    let code = *by_rules[(drawn >> 8) as usize % by_rules.len()];
    asset
        .findings
        .push(Finding::new(code, format!("what is wrong with {index}")).with_fix(format!("mend {index}")));
    asset
}

fn image(orientation: Orientation) -> Facts {
    Facts { orientation, ..Facts::of(Format::Jpeg) }
}

fn video(drawn: u64) -> Facts {
    let track = VideoTrack {
        codec: Some(format!("codec {}", drawn % 100).into()),
        pixel_format: Some("yuv420p".into()),
        frames: Some(drawn % 10_000),
        ..VideoTrack::default()
    };
    let video = Video {
        major_brand: Some(FourCc(*b"mp42")),
        tracks: [track].into_iter().collect(),
        ..Video::default()
    };
    Facts { video: Some(Box::new(video)), ..Facts::of(Format::Mp4) }
}

fn write(path: &Path, count: u64) {
    let profile = Arc::new(Profile::load("nexus").expect("it is built in"));
    let origin = Origin {
        provider: "azure".into(),
        location: "https://media.blob.core.windows.net/cameras".to_owned(),
        account: Some("media".to_owned()),
        container: Some("cameras".to_owned()),
        prefix: String::new(),
        credential: Some("shared key (AZURE_STORAGE_KEY)".to_owned()),
    };
    let header = RunHeader::new(origin, Arc::clone(&profile), jiff::Timestamp::UNIX_EPOCH);
    let file = File::create(path).expect("a file");
    let mut report = report::open(report::Format::Html, header, file, 100).expect("a report");
    let mut budget = Budget::new(Quota::new(Some(count / 3), Some(count * 10)));
    for index in 0..count {
        let mut asset = asset(index, count, &profile);
        budget.settle(&mut asset);
        report.settled(&asset).expect("it is written");
    }
    report.finish(&budget.summary(), Duration::ZERO).expect("it is written");
}

#[test]
fn it_stays_small_and_opens_at_once() {
    let count = std::env::var("PRESYNC_HTML_ASSETS")
        .ok()
        .filter(|count| !count.is_empty())
        .map_or(ASSETS, |count| count.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.html");
    write(&path, count);
    let bytes = fs::metadata(&path).expect("it is there").len();
    assert!(bytes < MAX_BYTES, "{bytes} bytes");

    let mut page = Page::blank();
    // The best of three, because other tests run beside this one.
    let load = |page: &mut Page| {
        page.load(&path);
        page.eval("performance.getEntriesByType('navigation')[0].loadEventEnd").as_f64().expect("a number")
    };
    let best = (0..3).map(|_| load(&mut page)).fold(f64::INFINITY, f64::min);
    assert!(best < MAX_LOAD_MS, "{best} ms");
    eprintln!("{count} assets: {bytes} bytes, opened in {best:.0} ms");

    let listed = page.text("#verdict-legend dd").replace(',', "");
    assert_eq!(listed, count.to_string());
    let lead = page.text("#findings-lead");
    assert!(lead.starts_with("Only the first findings in listing order: "), "{lead}");
    assert!(page.text("#folder-note").contains("smaller folders are counted in their parent folders"));
    assert_eq!(page.texts("#finding-table tbody tr").len(), 100);
    page.click("#more");
    assert_eq!(page.texts("#finding-table tbody tr").len(), 200);
    assert_eq!(page.complaints(), Vec::<String>::new());
}
