use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use std::sync::Arc;

use super::*;
use crate::model::{
    Access, Admit, Asset, Blob, BlobName, Code, Cost, Declared, ETag, Effect, Effects, Facts, Finding,
    Format, FourCc, Gap, GapCost, Kind, Malformed, Mirror, Orientation, Origin, Overrides, PrefixEffects,
    Quota, Reads, Severity, Skip, Verdict, Video, VideoTrack,
};
use crate::plan::{Budget, RunHeader, Sink};
use crate::rules::Profile;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

/// Any time that there is, to the nanosecond.
fn time() -> impl Strategy<Value = Timestamp> {
    let (first, last) = (Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
    (first..=last).prop_map(|time| Timestamp::from_nanosecond(time).expect("it is in range"))
}

/// As large as a column with a sign can hold.
fn number() -> impl Strategy<Value = u64> {
    0..=i64::MAX as u64
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![
        Just(Access::Online),
        Just(Access::Archived),
        Just(Access::Directory),
        Just(Access::NotEntered),
        text().prop_map(|why| Access::Unreachable(why.into())),
    ]
}

prop_compose! {
    fn blob()(
        name in text(), size in number(), etag in of(text()), last_modified in of(time()), access in access(),
        content_type in of(text()), content_encoding in of(text()),
    ) -> Blob {
        Blob {
            name: BlobName::new(name),
            size,
            etag: etag.map(|etag| ETag::unquoted(&etag)),
            last_modified,
            access,
            declared: Declared::new(content_type.as_deref(), content_encoding.as_deref()),
        }
    }
}

prop_compose! {
    fn track()(
        codec in of(text()), pixel_format in of(text()), width: Option<u32>, height: Option<u32>,
        frames in of(number()), frames_presented in of(number()), frames_at_most in of(number()),
        frame_rate in of(0.0..1e4), duration_s in of(0.0..1e9),
        variable_frame_rate: Option<bool>, encrypted: bool,
    ) -> VideoTrack {
        let (codec, pixel_format) = (codec.map(Into::into), pixel_format.map(Into::into));
        VideoTrack {
            codec,
            pixel_format,
            width,
            height,
            frames,
            frames_presented,
            frames_at_most,
            frame_rate,
            duration_s,
            variable_frame_rate,
            encrypted,
        }
    }
}

prop_compose! {
    fn video()(
        major_brand in of(any::<[u8; 4]>()), compatible_brands in vec(any::<[u8; 4]>(), 0..4),
        tracks in vec(track(), 0..4),
    ) -> Video {
        Video {
            major_brand: major_brand.map(FourCc),
            compatible_brands: compatible_brands.into_iter().map(FourCc).collect(),
            tracks: tracks.into(),
        }
    }
}

fn orientation() -> impl Strategy<Value = Orientation> {
    prop_oneof![
        Just(Orientation::NotRead),
        Just(Orientation::Absent),
        any::<i64>().prop_map(Orientation::Value),
    ]
}

prop_compose! {
    fn facts()(
        format in select(Format::ALL), width: Option<u32>, height: Option<u32>, orientation in orientation(),
        rotation: Option<u16>, mirror in of(select(Mirror::ALL)), video in of(video()),
        malformed in of((text(), text(), number())), gap in of(select(Gap::ALL)),
        truncated in of(number()), gap_cost in of((number(), number())),
    ) -> Facts {
        let malformed = malformed
            .map(|(part, fault, offset)| Malformed { part: part.into(), fault: fault.into(), offset });
        let video = video.map(Box::new);
        let gap_cost = gap_cost.map(|(reads, bytes)| GapCost { reads, bytes });
        Facts {
            format,
            width,
            height,
            orientation,
            rotation,
            mirror,
            video,
            malformed,
            truncated,
            gap,
            gap_cost,
            thumbnail: None,
        }
    }
}

prop_compose! {
    fn finding()(
        code in select(Code::ALL), severity in select(Severity::ALL), message in text(), fix in of(text()),
    ) -> Finding {
        Finding { code, severity, message, fix }
    }
}

prop_compose! {
    fn asset()(
        blob in blob(), kind in select(Kind::ALL), facts in facts(), verdict in select(Verdict::ALL),
        images in 0..u64::MAX / 1000, frames in 0..u64::MAX / 1000, findings in vec(finding(), 0..4),
        skipped in of(select(Skip::ALL)), requests: u32, retries: u32, bytes in number(),
    ) -> Asset {
        let (cost, reads) = (Cost { images, frames }, Reads { requests, retries, bytes });
        Asset { blob, kind, facts, verdict, cost, synced: None, earlier: None, findings, skipped, reads }
    }
}

fn header() -> RunHeader {
    let mut effects = Effects::default();
    effects.set(Code::ExifOrientation, Effect::Ignore);
    let below = PrefixEffects { prefix: "raw/".to_owned(), effects: effects.clone() };
    let overrides = Overrides { everywhere: effects, prefixes: vec![below] };
    RunHeader {
        origin: Origin {
            provider: "azure".into(),
            location: "https://media.blob.core.windows.net/cameras".to_owned(),
            account: Some("media".to_owned()),
            container: Some("cameras".to_owned()),
            prefix: "2026/\"'\u{1F600}".to_owned(),
            credential: None,
        },
        root: Some("/media/c\u{1F600}meras".to_owned()),
        profile: Arc::new(Profile { overrides, ..Profile::load("vi").expect("it is built in") }),
        profile_from: "/rules/vi.toml".to_owned(),
        workspace: Some("team a".to_owned()),
        probe_version: 1,
        connection: Some("my cams".into()),
        recursive: false,
        filter: crate::model::Filter::new(
            vec![crate::model::Glob::parse("*.jpg").expect("a pattern")],
            Vec::new(),
        )
        .expect("it is one"),
        dimensions: true,
        admit: Admit::Newest,
        begun: "2026-11-01T10:00:00.123456789Z".parse().expect("a time"),
    }
}

/// Settles the assets and writes them; gives back what they add up to.
fn write(path: &std::path::Path, assets: &mut [Asset], incomplete: Option<&str>) -> Summary {
    let mut budget = Budget::new(Quota::new(Some(5), None));
    let mut plan = PlanWriter::create(path, header()).expect("a file");
    for asset in assets {
        budget.settle(asset);
        plan.settled(asset).expect("it is written");
    }
    let summary = Summary { incomplete: incomplete.map(str::to_owned), ..budget.summary() };
    Box::new(plan).finish(&summary, std::time::Duration::from_millis(1500)).expect("it is written");
    summary
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(mut assets in vec(asset(), 0..40), incomplete in of(text())) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.parquet");
        let summary = write(&path, &mut assets, incomplete.as_deref());
        let reader = PlanReader::open(&path).expect("it is a plan");
        let plan = reader.plan().clone();
        prop_assert_eq!((plan.header, plan.summary), (header(), summary));
        prop_assert_eq!(plan.ended.to_string(), "2026-11-01T10:00:01.623456789Z");
        let names: Vec<_> = reader.names().map(|name| name.expect("it is read")).collect();
        prop_assert!(names.iter().eq(assets.iter().map(|asset| &asset.blob.name)));
        let read: Vec<_> = reader.map(|asset| asset.expect("it is read")).collect();
        prop_assert_eq!(read, assets);
    }

    #[test]
    fn a_comparison_reads_the_version_the_facts_and_the_codes(mut assets in vec(asset(), 0..40)) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.parquet");
        write(&path, &mut assets, None);
        let read = PlanReader::open(&path).expect("it is a plan").only_facts();
        let of = |asset: &Asset| {
            let Blob { name, size, etag, access, .. } = asset.blob.clone();
            ((name, size, etag, access), asset.kind, asset.facts.clone(), asset.skipped, asset.codes())
        };
        let read: Vec<_> = read.map(|asset| of(&asset.expect("it is read"))).collect();
        prop_assert_eq!(read, assets.iter().map(of).collect::<Vec<_>>());
    }

    #[test]
    fn an_asset_is_the_same_after_a_temporary_file(asset in asset(), cut: prop::sample::Index) {
        let mut bytes = Vec::new();
        asset.encode(&mut bytes);
        prop_assert_eq!(Asset::decode(&bytes[..cut.index(bytes.len())]), None);
        prop_assert_eq!(Asset::decode(&bytes), Some(asset));
    }

    #[test]
    fn assets_are_found_by_name(mut assets in vec(asset(), 0..40), rotate in 0..40_usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plan.parquet");
        write(&path, &mut assets, None);
        let mut lookup = PlanReader::open(&path).expect("it is a plan").lookup();
        let middle = rotate.min(assets.len());
        let (left, asked) = assets.split_at(middle);
        for asset in asked.iter().rev() {
            let found = lookup.find(&asset.blob.name).expect("it is read").expect("it is there");
            prop_assert_eq!(found.blob.name, asset.blob.name.clone());
        }
        let mut lost = 0;
        lookup.finish(|_| lost += 1).expect("it is read");
        prop_assert_eq!(lost, left.len());
    }
}

/// More than one row group, and a last one that is not full.
#[test]
fn row_groups_follow_one_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.parquet");
    let name = |number: usize| format!("cam/{number:08}.jpg");
    let mut assets: Vec<_> = (0..2 * GROUP_ROWS + 100)
        .map(|number| Asset {
            blob: Blob {
                name: BlobName::new(name(number)),
                size: number as u64,
                etag: None,
                last_modified: None,
                access: Access::Online,
                declared: Default::default(),
            },
            kind: Kind::Image,
            facts: Facts::of(Format::Jpeg),
            verdict: Verdict::Accept,
            cost: Cost { images: 1, frames: 0 },
            synced: None,
            earlier: None,
            findings: Vec::new(),
            skipped: None,
            reads: Reads::default(),
        })
        .collect();
    write(&path, &mut assets, None);
    let read = PlanReader::open(&path).expect("it is a plan").map(|asset| asset.expect("it is read"));
    assert!(read.eq(assets));
}

#[test]
fn the_id_is_that_of_the_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = |name: &str, etag: &str| {
        let path = folder.path().join("plan.parquet");
        let blob = Blob { etag: Some(ETag::new(etag)), ..Blob::not_entered(name) };
        let facts = Facts::of(Format::Unknown);
        let (cost, reads) = (Cost::default(), Reads::default());
        let (kind, verdict, skipped) = (Kind::Other, Verdict::Skip, None);
        let asset = Asset {
            blob,
            kind,
            facts,
            verdict,
            cost,
            synced: None,
            earlier: None,
            findings: Vec::new(),
            skipped,
            reads,
        };
        write(&path, &mut [asset], None);
        PlanReader::open(&path).expect("it is a plan").plan().id.clone()
    };
    let first = id("a", "1");
    assert!(first.len() == 64 && first.bytes().all(|digit| digit.is_ascii_hexdigit()), "{first}");
    assert_eq!(id("a", "1"), first);
    assert_ne!(id("a", "2"), first, "another version");
    assert_ne!(id("a1", ""), first, "the same bytes, cut elsewhere");
}

#[test]
fn a_number_that_no_column_holds_is_the_greatest_that_one_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.parquet");
    let facts = Facts::of(Format::Mp4);
    let blob = Blob {
        name: BlobName::new("a.mp4"),
        size: u64::MAX,
        etag: None,
        last_modified: None,
        access: Access::Online,
        declared: Default::default(),
    };
    let cost = Cost { images: 0, frames: u64::MAX };
    let (kind, verdict, reads) = (Kind::Video, Verdict::Reject, Reads::default());
    let asset = Asset {
        blob,
        kind,
        facts,
        verdict,
        cost,
        synced: None,
        earlier: None,
        findings: Vec::new(),
        skipped: None,
        reads,
    };
    write(&path, &mut [asset], None);
    let read: Vec<_> =
        PlanReader::open(&path).expect("a plan").map(|asset| asset.expect("it is whole")).collect();
    assert_eq!(read[0].blob.size, i64::MAX as u64);
    assert_eq!(read[0].cost.frames, i64::MAX as u64);
}

/// A part as another program writes it: without positions, and with its rows in this order.
fn write_part(path: &std::path::Path, names: &[String]) {
    let file = crate::files::whole::WholeFile::create(path).expect("a file");
    let mut rows = write::RowWriter::new(file, path, columns::Extra::None).expect("a file");
    for name in names {
        let blob = Blob { size: name.len() as u64, ..Blob::not_entered(name.as_str()) };
        let (cost, reads, facts) = (Cost::default(), Reads::default(), Facts::of(Format::Unknown));
        let (kind, verdict, findings) = (Kind::Other, Verdict::Skip, Vec::new());
        let asset = Asset {
            blob,
            kind,
            facts,
            verdict,
            cost,
            synced: None,
            earlier: None,
            findings,
            skipped: None,
            reads,
        };
        rows.asset(&asset, 0).expect("it is written");
    }
    let header = serde_json::to_string(&PartHeader::new(header(), Quota::new(None, None))).expect("JSON");
    let pair = parquet::file::metadata::KeyValue::new(PART_KEY.to_owned(), header);
    rows.finish(vec![pair]).expect("it is written");
}

#[test]
fn parts_without_positions_are_merged_by_name_in_whatever_order_their_rows_are() {
    let folder = tempfile::tempdir().expect("a folder");
    // Enough for several runs, with names that are longer than what is read of a run at a time.
    let mut names: Vec<_> = (0..40_000).map(|number| format!("cam{}/{number:05}.jpg", number % 11)).collect();
    names.extend((0..3).map(|number| format!("{number}{}", "long".repeat(10_000))));
    let mut random = fastrand::Rng::with_seed(3);
    random.shuffle(&mut names);
    let (shuffled, sorted) = names.split_at_mut(35_000);
    sorted.sort();
    write_part(&folder.path().join("a.parquet"), shuffled);
    write_part(&folder.path().join("b.parquet"), sorted);
    let merged = PartFolder::open(folder.path()).expect("parts").assets();
    let merged: Vec<_> = merged.map(|asset| asset.expect("it is read").blob.name.to_string()).collect();
    names.sort();
    assert!(merged == names);

    write_part(&folder.path().join("c.parquet"), &names[..1]);
    let error = PartFolder::open(folder.path()).expect("parts").assets().find_map(Result::err);
    assert!(error.expect("a name is in two parts").message().contains("appears twice"));
}
