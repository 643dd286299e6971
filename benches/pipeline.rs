//! What lies between the reads: pages of a listing, the pipeline around reads that cost nothing, listing order and the
//! budget, the report's lines. Throughput is given for one blob.
//!
//! `cargo bench --bench pipeline`; `-- --save-baseline NAME` keeps the figures, and `-- --baseline NAME` compares with
//! them. Where times are too noisy, instructions are not: `valgrind --tool=callgrind` on the bench's binary with
//! `--profile-time 1 NAME`.

#![expect(clippy::expect_used, reason = "a bench that cannot go on says what it expected")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use presync::loopback::{Config, Content, Server, Shape};
use presync::model::{
    Access, Asset, Blob, BlobName, ByteRange, ETag, Facts, Format, Orientation, Origin, Quota, ReadError,
    Reads,
};
use presync::plan::{Budget, Reorder, RunHeader, Sink};
use presync::report;
use presync::rules::{self, Content as Judged, Profile};
use presync::run::{self, Settings, Task};
use presync::source::azure::{AuthMode, AzureSource, Options, parse_page};
use presync::source::floor;
use presync::source::location::{Environment, Location};
use presync::source::{Listing, Reader};

/// Blobs of a page.
const PAGE: usize = 5_000;
/// Blobs that go through the pipeline in one iteration.
const BLOBS: usize = 100_000;

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    pages(&mut group(&mut criterion, "list pages", PAGE));
    pipeline(&mut group(&mut criterion, "pipeline", BLOBS));
    settling(&mut group(&mut criterion, "settle", BLOBS));
    criterion.final_summary();
}

fn group<'c>(criterion: &'c mut Criterion, name: &str, blobs: usize) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(blobs as u64));
    group.measurement_time(Duration::from_secs(3));
    group
}

/// Reading a page beside the bare events of the same page.
fn pages(group: &mut BenchmarkGroup<'_, WallTime>) {
    let page = page();
    group.bench_function("presync", |bench| bench.iter(|| parse_page(&page).expect("a page").blobs.len()));
    let pages = [page];
    group.bench_function("bare events", |bench| bench.iter(|| floor::events(&pages, 1).expect("a page").0));
}

/// A full page as the service sends it.
fn page() -> Bytes {
    let shape = Shape { blobs: PAGE as u64, ..Shape::default() };
    let server = Server::start(Config::of("media", Content::Shape(shape))).expect("a server");
    let env = Environment::of([("", ""); 0]);
    let url = format!("{}/media", server.url());
    let Ok(Location::Container(url)) = Location::parse(url.as_ref(), None, &env) else {
        panic!("the server has a URL")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let source = AzureSource::new(url, AuthMode::Anonymous, &env, Options::default()).expect("a source");
        source.raw_pages().await.expect("pages").swap_remove(0)
    })
}

/// The whole pipeline over blobs in memory: what it adds to reads and probes.
fn pipeline(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let profile = Arc::new(Profile::load("nexus").expect("it is built in"));
    for concurrency in [64, 1024] {
        group.bench_function(format!("in memory, {concurrency} at a time"), |bench| {
            bench.iter_batched(
                || (listing(), Arc::new(Memory { jpeg: jpeg() })),
                |(listing, reader)| {
                    let settings = Settings::with_concurrency(concurrency);
                    let quota = Quota::new(Some(BLOBS as u64 / 2), None);
                    let task = Task::new(listing, reader, Arc::clone(&profile), quota, settings);
                    let ended = runtime.block_on(run::run(task, (), std::future::pending()));
                    assert_eq!(ended.expect("it ends").summary.totals.listed, BLOBS as u64);
                },
                BatchSize::PerIteration,
            );
        });
    }
}

/// What follows a verdict.
fn settling(group: &mut BenchmarkGroup<'_, WallTime>) {
    let profile = Arc::new(Profile::load("nexus").expect("it is built in"));
    let assets: Vec<_> = (0..BLOBS).map(|number| asset(number, &profile)).collect();
    // As they come back from sixteen reads at a time, of which every one overtakes the one before.
    let order: Vec<_> = (0..BLOBS).map(|at| at / 16 * 16 + 15 - at % 16).filter(|at| *at < BLOBS).collect();
    group.bench_function("listing order", |bench| {
        bench.iter(|| {
            let mut reorder = Reorder::default();
            let mut last = 0;
            for at in &order {
                reorder.insert(*at as u64, *at);
                while let Some(next) = reorder.pop() {
                    last = next;
                }
            }
            last
        });
    });
    group.bench_function("quota and basenames", |bench| {
        bench.iter_batched_ref(
            || assets.clone(),
            |assets| {
                let mut budget = Budget::new(Quota::new(Some(BLOBS as u64 / 2), None));
                assets.iter_mut().for_each(|asset| budget.settle(asset));
                budget.summary().totals.accepted
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("lines of JSON", |bench| {
        let origin = Origin {
            provider: "folder".into(),
            location: String::new(),
            account: None,
            container: None,
            prefix: String::new(),
            credential: None,
        };
        let header = RunHeader::new(origin, Arc::clone(&profile), Timestamp::UNIX_EPOCH);
        bench.iter(|| {
            let mut report =
                report::open(report::Format::Jsonl, header.clone(), io::sink(), 100).expect("a report");
            assets.iter().try_for_each(|asset| report.settled(asset)).expect("it is written");
        });
    });
}

/// Pages of blobs, made beforehand.
fn listing() -> Listing {
    let blobs: Vec<_> = (0..BLOBS).map(blob).collect();
    let pages: Vec<_> = blobs.chunks(PAGE).map(|page| Ok(page.to_vec())).collect();
    stream::iter(pages).boxed()
}

/// The content of all blobs, in memory.
struct Memory {
    jpeg: Bytes,
}

impl Reader for Memory {
    async fn read(&self, _: &mut Blob, range: ByteRange, reads: &mut Reads) -> Result<Bytes, ReadError> {
        reads.count_request(true);
        reads.bytes += range.len();
        Ok(self.jpeg.slice(range.start() as usize..range.end() as usize))
    }

    async fn find(&self, _: &BlobName) -> Result<Option<Blob>, ReadError> {
        Ok(None)
    }
}

fn blob(number: usize) -> Blob {
    Blob {
        name: BlobName::new(format!("cam{:04}/2026-11-07/IMG_{number:09}.jpg", number / 1000)),
        size: jpeg().len() as u64,
        etag: Some(ETag::new(&format!("0x8D{number:013X}"))),
        last_modified: Timestamp::from_second(1_760_000_000 + number as i64).ok(),
        access: Access::Online,
        declared: Default::default(),
    }
}

fn asset(number: usize, profile: &Profile) -> Asset {
    let facts = Facts { orientation: Orientation::Absent, ..Facts::of(Format::Jpeg) };
    let reads = Reads { requests: 1, retries: 0, bytes: 16 << 10 };
    rules::judge(blob(number), Judged::Facts(facts), reads, profile)
}

/// The start of a JPEG with a frame header and a scan, without EXIF (ITU-T T.81, B.2).
fn jpeg() -> Bytes {
    const HEAD: &[u8] = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\
        \xFF\xC0\x00\x0B\x08\x01\x00\x01\x00\x01\x01\x11\0\xFF\xDA\x00\x08\x01\x01\0\0\x3F\0";
    Bytes::from_static(HEAD)
}
