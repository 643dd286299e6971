//! The contract of a source, kept by all of them: a folder, and a container with every kind of credential. What keeps
//! it against Azurite and against the loopback server finds the same service in both.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};
use std::{env, thread};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use jiff::{Timestamp, ToSpan};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use presync::loopback::{self, Config, Content, Handle, Server};
use presync::model::{Access, Blob, BlobName, ByteRange, ReadError, Reads};
use presync::source::any::AnySource;
use presync::source::azure::{AuthMode, AzureSource, Options};
use presync::source::local::LocalSource;
use presync::source::location::{Environment, Location};
use presync::source::{Depth, Near, Reader};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::azurite::{Azurite, KEY, fake_az, unsigned_jwt};

/// Blobs that stay as they are, by every name that may make trouble.
const SHELF: &str = "shelf";
/// More blobs than one page can hold.
const MANY: &str = "many";
/// Blobs that are replaced and deleted. Each property has names of its own.
const SCRATCH: &str = "scratch";

const MANY_BLOBS: usize = 6_000;
/// The most blobs that the service puts on a page.
const LARGEST_PAGE: usize = 5_000;

const EMPTY: &str = "empty.jpg";
const RANGES: &str = "ranges.bin";
const RANGES_SIZE: u64 = 10_000;

/// Names that a container and a Unix folder can both hold.
const NAMES: &[&str] = &[
    EMPTY,
    RANGES,
    // In byte order `-` and `.` come before `/`, `0` after it, and capitals before small letters.
    "cam1.jpg",
    "cam1-b/0001.jpg",
    "cam1/0001.jpg",
    "cam1/0002.jpg",
    "cam1/0100.jpg",
    "cam1/1000.jpg",
    "cam1/deep/er/0001.mp4",
    "cam10/0001.jpg",
    "cam2/0001.jpg",
    "Cam1/0001.jpg",
    "README",
    ".hidden",
    "...",
    // What has a meaning in a URL, in a query, in XML or in a shell.
    "100%.jpg",
    "100%25.jpg",
    "q?.jpg",
    "h#.jpg",
    "a&b.jpg",
    "a&amp;b.jpg",
    "plus+plus.jpg",
    "equals=.jpg",
    "semicolon;.jpg",
    "<tag>.jpg",
    "'single'.jpg",
    "\"double\".jpg",
    // White space and control characters.
    " begins and ends with a space ",
    "new\nline.jpg",
    "carriage\rreturn.jpg",
    "tab\t.jpg",
    // The same letter composed and decomposed, and letters of every length in UTF-8.
    "caf\u{e9}.jpg",
    "cafe\u{301}.jpg",
    "東京 駅.jpg",
    "😀.jpg",
];

/// Names that only a folder is tried with: Azurite makes a slash of a backslash, as the service does, and it orders
/// by UTF-16, where the last one comes after the emoji.
const NAMES_OF_FOLDERS: &[&str] = &["back\\slash.jpg", "\u{ff46}.jpg"];

/// Names that no folder can hold: it has no empty name, no `.` and `..`, and no file beside a folder of one name.
const NAMES_OF_CONTAINERS: &[&str] =
    &["a//b.jpg", "/lead.jpg", "trail/", "trail", "//", "a/./b.jpg", "a/../b.jpg", "../b.jpg"];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

#[test]
fn a_folder_keeps_the_contract() {
    let folder = Folder::new();
    check(&folder, folder.filled());
}

#[test]
fn a_container_with_the_accounts_key_keeps_the_contract() {
    check_over_http("key", AuthMode::Key);
}

#[test]
fn a_container_with_a_sas_keeps_the_contract() {
    check_over_http("sas", AuthMode::Sas);
}

#[test]
fn a_public_container_without_a_credential_keeps_the_contract() {
    check_over_http("anonymous", AuthMode::Anonymous);
}

#[test]
fn a_container_of_the_loopback_server_keeps_the_contract() {
    let loopback = Loopback::filled();
    let mut properties = properties();
    properties.push(("many blobs come in pages", many_blobs_come_in_pages));
    check(&loopback, properties);
}

/// The CA and the `PATH` with the Azure CLI are the process's own, so this test runs in a process of its own.
#[test]
fn a_container_over_tls_with_a_token_keeps_the_contract() {
    const CHILD: &str = "PRESYNC_TEST_CHILD";
    if env::var_os(CHILD).is_some() {
        let container = Container { azurite: Azurite::https(), credential: "token", mode: AuthMode::Cli };
        return check(&container, container.filled());
    }
    let bin = tempfile::tempdir().expect("a folder");
    fake_az(bin.path(), &unsigned_jwt("https://storage.azure.com"));
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([bin.path().to_owned()].into_iter().chain(env::split_paths(&path)));
    let child = Command::new(env::current_exe().expect("this program has a path"))
        .args(["--exact", "contract::a_container_over_tls_with_a_token_keeps_the_contract"])
        .env(CHILD, "1")
        .env("PATH", path.expect("a PATH"))
        .env("SSL_CERT_FILE", Azurite::https().ca())
        .output()
        .expect("this program starts again");
    let [stdout, stderr] = [&child.stdout, &child.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(child.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}

type Properties<P> = Vec<(&'static str, fn(&P))>;

/// What every source keeps to.
fn properties<P: Place>() -> Properties<P> {
    vec![
        ("every blob is listed with its properties", every_blob_is_listed_with_its_properties),
        ("names come in the order of their bytes", names_come_in_the_order_of_their_bytes),
        ("a listing is the same when it is repeated", a_listing_is_the_same_when_it_is_repeated),
        ("a prefix is a string", a_prefix_is_a_string),
        ("a direct listing does not go into folders", a_direct_listing_does_not_go_into_folders),
        ("every blob gives its own bytes", every_blob_gives_its_own_bytes),
        ("a range gives the bytes that are there", a_range_gives_the_bytes_that_are_there),
        ("an empty blob gives nothing", an_empty_blob_gives_nothing),
        ("reads add up", reads_add_up),
        ("a blob is found as it is listed", a_blob_is_found_as_it_is_listed),
        ("a replaced blob has changed", a_replaced_blob_has_changed),
        ("a deleted blob is gone", a_deleted_blob_is_gone),
    ]
}

/// Runs every property on a thread that has its name, and says which are broken.
fn check<P: Place>(place: &P, properties: Properties<P>) {
    let broken: Vec<_> = thread::scope(|scope| {
        let start = |(name, property): (&'static str, fn(&P))| {
            let thread =
                thread::Builder::new().name(name.into()).spawn_scoped(scope, move || property(place));
            (name, thread.expect("a thread starts"))
        };
        let running: Vec<_> = properties.into_iter().map(start).collect();
        running.into_iter().filter_map(|(name, thread)| thread.join().err().map(|_| name)).collect()
    });
    assert!(broken.is_empty(), "broken: {broken:?}");
}

fn check_over_http(credential: &'static str, mode: AuthMode) {
    let container = Container { azurite: Azurite::http(), credential, mode };
    let mut properties = container.filled();
    // Only here: so many uploads take a while, and how pages follow each other has nothing to do with the credential.
    container.fill_many();
    properties.push(("many blobs come in pages", many_blobs_come_in_pages));
    check(&container, properties);
}

// The properties.

fn every_blob_is_listed_with_its_properties<P: Place>(place: &P) {
    let blobs = list(&place.source(SHELF, ""));
    let mut listed = names(&blobs);
    listed.sort();
    assert_names(&listed, &place.names(), "all of them, in any order");
    let now = Timestamp::now();
    for Blob { name, size, etag, last_modified, access, .. } in &blobs {
        assert_eq!(*size, content(name.as_str()).len() as u64, "{name:?}");
        assert!(etag.as_ref().is_some_and(|etag| !etag.as_str().is_empty() && !etag.as_str().contains('"')));
        let written = last_modified.unwrap_or_else(|| panic!("{name:?} has no time"));
        assert!(now - 10.minutes() < written && written < now + 10.minutes(), "{name:?}: {written}");
        assert_eq!(*access, Access::Online, "{name:?}");
    }
}

fn names_come_in_the_order_of_their_bytes<P: Place>(place: &P) {
    assert_names(&names(&list(&place.source(SHELF, ""))), &place.names(), "all of them");
}

fn a_listing_is_the_same_when_it_is_repeated<P: Place>(place: &P) {
    let source = place.source(SHELF, "");
    assert_eq!(list(&source), list(&source));
}

fn a_prefix_is_a_string<P: Place>(place: &P) {
    let prefixes = [
        "cam1",
        "cam1/",
        "cam1/0",
        "cam1/0001.jpg",
        "cam1/0001.jpgs",
        "Cam",
        "nothing",
        "/",
        "a/",
        "a//",
        "trail",
    ];
    let odd = ["100%", "100%2", "q?", "h#", "a&", "plus+", "'", "\"", "<", "new\n", " ", "caf\u{e9}", "😀"];
    let all = place.names();
    for prefix in prefixes.into_iter().chain(odd) {
        let expected: Vec<_> = all.iter().filter(|name| name.starts_with(prefix)).cloned().collect();
        assert_names(&names(&list(&place.source(SHELF, prefix))), &expected, prefix);
    }
    assert_eq!(list(&place.source(SHELF, "cam1")).len(), 8, "no slash is added");
}

fn a_direct_listing_does_not_go_into_folders<P: Place>(place: &P) {
    let all = place.names();
    for prefix in
        ["", "cam1", "cam1/", "cam1/d", "cam1/deep/er/", "Cam", "a", "a/", "/", "trail", "trail/", "nothing"]
    {
        let blobs = list(&place.source_of_depth(SHELF, prefix, Depth::Direct));
        assert_names(&names(&blobs), &direct(&all, prefix), prefix);
        for blob in blobs {
            let is_folder = blob.name.as_str()[prefix.len()..].ends_with('/');
            assert_eq!(blob.access == Access::NotEntered, is_folder, "{prefix:?}: {:?}", blob.name);
        }
    }
}

/// The names without a `/` after the prefix, and in place of the others the folders that they lie in.
fn direct(all: &[String], prefix: &str) -> Vec<String> {
    let below = all.iter().filter_map(|name| Some((name, name.strip_prefix(prefix)?)));
    let mut direct: Vec<_> = below
        .map(|(name, rest)| rest.find('/').map_or(name.clone(), |at| name[..=prefix.len() + at].to_owned()))
        .collect();
    direct.sort();
    direct.dedup();
    direct
}

fn many_blobs_come_in_pages<P: Place>(place: &P) {
    let pages = pages(&place.source(MANY, ""));
    assert!(pages.len() > 1 && pages.iter().all(|page| page.len() <= LARGEST_PAGE), "{} pages", pages.len());
    let expected: Vec<_> = many().map(|(name, _)| name).collect();
    assert_names(&names(&pages.concat()), &expected, "many");
}

fn every_blob_gives_its_own_bytes<P: Place>(place: &P) {
    let source = place.source(SHELF, "");
    let blobs = list(&source);
    let mut costs = vec![Reads::default(); blobs.len()];
    let mut read = blobs.clone();
    let reads = read.iter_mut().zip(&mut costs).map(|(blob, cost)| {
        let range = whole(blob);
        source.read(blob, range, cost)
    });
    let answers = RUNTIME.block_on(join_all(reads));
    for (blob, answer) in blobs.iter().zip(answers) {
        let bytes = answer.unwrap_or_else(|error| panic!("{:?}: {error:?}", blob.name.as_str()));
        let name = blob.name.as_str();
        assert!(bytes == content(name), "{name:?}: {bytes:?}");
    }
}

fn a_range_gives_the_bytes_that_are_there<P: Place>(place: &P) {
    let source = place.source(SHELF, RANGES);
    let blob = only(&source);
    let content = content(RANGES);
    let end = RANGES_SIZE;
    for (start, len) in [
        (0, 1),
        (0, 4096),
        (1234, 4321),
        (end - 1, 1),
        (end - 500, 500),
        (0, end),
        // Past the end.
        (end - 500, 501),
        (end - 1, u64::MAX),
        (0, end + 1),
        (0, u64::MAX),
        // From the end on.
        (end, 1),
        (end + 1, 4096),
        (1 << 40, 4096),
        (u64::MAX, 1),
        // No length.
        (0, 0),
        (1234, 0),
        (end, 0),
    ] {
        let range = ByteRange::new(start, len);
        let (bytes, reads) = read(&source, &blob, range);
        let expected = range.within(end);
        let expected = &content[expected.start() as usize..expected.end() as usize];
        assert_eq!(bytes.as_deref(), Ok(expected), "{range}");
        assert_eq!(reads.bytes, expected.len() as u64, "{range}");
        // What names no byte may be answered without a request.
        assert!(reads.requests == 1 || expected.is_empty() && reads.requests == 0, "{range}: {reads:?}");
    }
}

fn an_empty_blob_gives_nothing<P: Place>(place: &P) {
    let source = place.source(SHELF, EMPTY);
    let blob = only(&source);
    assert_eq!(blob.size, 0);
    for range in [ByteRange::new(0, 0), ByteRange::new(0, 4096), ByteRange::new(4096, 4096)] {
        let (bytes, reads) = read(&source, &blob, range);
        assert_eq!((bytes, reads.bytes), (Ok(Bytes::new()), 0), "{range}");
    }
}

fn reads_add_up<P: Place>(place: &P) {
    let source = place.source(SHELF, RANGES);
    let blob = only(&source);
    let mut reads = Reads { requests: 5, retries: 0, bytes: 50 };
    for (range, expected) in [
        (ByteRange::new(0, 100), Reads { requests: 6, retries: 0, bytes: 150 }),
        (ByteRange::new(0, 100), Reads { requests: 7, retries: 0, bytes: 250 }),
        (ByteRange::new(RANGES_SIZE - 10, 100), Reads { requests: 8, retries: 0, bytes: 260 }),
    ] {
        RUNTIME.block_on(source.read(&mut blob.clone(), range, &mut reads)).expect("it can be read");
        assert_eq!(reads, expected, "{range}");
    }
}

fn a_blob_is_found_as_it_is_listed<P: Place>(place: &P) {
    let source = place.source(SHELF, "");
    for blob in list(&source) {
        assert_eq!(find(&source, &blob.name), Some(blob));
    }
    for name in ["nothing.jpg", "cam1/000", "cam1/0001.jpgs"] {
        assert_eq!(find(&source, &BlobName::new(name)), None);
    }
}

fn a_replaced_blob_has_changed<P: Place>(place: &P) {
    const BEFORE: &[u8] = b"0123456789abcdef";
    for (after, name) in [
        (&b"0123456789abcdef and more"[..], "becomes longer.jpg"),
        (b"0123", "becomes shorter.jpg"),
        (b"", "becomes empty.jpg"),
        (b"fedcba9876543210", "keeps its length.jpg"),
    ] {
        place.put(SCRATCH, name, BEFORE);
        let source = place.source(SCRATCH, name);
        let blob = only(&source);
        assert_eq!(read(&source, &blob, whole(&blob)).0.as_deref(), Ok(BEFORE), "{name}");
        place.put(SCRATCH, name, after);
        for range in [ByteRange::new(0, 2), ByteRange::new(8, 8), whole(&blob)] {
            let (bytes, reads) = read(&source, &blob, range);
            assert_eq!(bytes, Err(ReadError::Changed), "{name}: {range}");
            assert_eq!(reads, Reads { requests: 1, retries: 0, bytes: 0 }, "{name}: {range}");
        }
        let listed_anew = only(&source);
        assert_ne!(listed_anew.etag, blob.etag, "{name}");
        assert_eq!(read(&source, &listed_anew, whole(&listed_anew)).0.as_deref(), Ok(after), "{name}");
    }
}

fn a_deleted_blob_is_gone<P: Place>(place: &P) {
    let name = "is deleted.jpg";
    place.put(SCRATCH, name, b"content");
    let source = place.source(SCRATCH, name);
    let blob = only(&source);
    place.delete(SCRATCH, name);
    let once = Reads { requests: 1, retries: 0, bytes: 0 };
    assert_eq!(read(&source, &blob, whole(&blob)), (Err(P::DELETED), once));
    let of_any_version = Blob { etag: None, ..blob };
    assert_eq!(read(&source, &of_any_version, ByteRange::new(0, 7)), (Err(ReadError::Gone), once));
    assert_eq!(list(&source), []);
}

fn small_pages_hold_everything_too(container: &Container) {
    const SIZE: u16 = 7;
    let source = container.paged(SHELF, "", Options { page_size: SIZE, ..Options::default() });
    let pages = pages(&source);
    let count = container.names().len();
    assert_eq!(pages.len(), count.div_ceil(SIZE.into()), "{count} blobs");
    assert_eq!(pages.concat(), list(&container.source(SHELF, "")));
    let options = Options { page_size: SIZE, depth: Depth::Direct, ..Options::default() };
    let direct = list(&container.paged(SHELF, "", options));
    assert_eq!(direct, list(&container.source_of_depth(SHELF, "", Depth::Direct)));
}

fn an_archived_blob_is_not_read(container: &Container) {
    let [before, after] = ["is archived.jpg", "is archived after it was listed.jpg"];
    for name in [before, after] {
        container.put(SCRATCH, name, b"content");
    }
    let online = only(&container.source(SCRATCH, after));
    for name in [before, after] {
        container.azurite.set_tier_archive(&container.name(SCRATCH), name);
    }
    let source = container.source(SCRATCH, before);
    let archived = only(&source);
    assert_eq!(archived.access, Access::Archived);
    assert_eq!(read(&source, &archived, whole(&archived)), (Err(ReadError::Archived), Reads::default()));
    let once = Reads { requests: 1, retries: 0, bytes: 0 };
    assert_eq!(read(&source, &online, whole(&online)), (Err(ReadError::Archived), once));
}

// What the properties are made of.

/// Every blob, a page at a time.
fn pages(source: &AnySource) -> Vec<Vec<Blob>> {
    RUNTIME.block_on(async { source.list().try_collect().await }).expect("it can be listed")
}

fn list(source: &AnySource) -> Vec<Blob> {
    pages(source).concat()
}

/// The one blob that the source lists.
fn only(source: &AnySource) -> Blob {
    let mut blobs = list(source);
    assert_eq!(blobs.len(), 1, "{blobs:?}");
    blobs.remove(0)
}

fn names(blobs: &[Blob]) -> Vec<String> {
    blobs.iter().map(|blob| blob.name.as_str().to_owned()).collect()
}

/// Reads a range in each way that the source offers, which must all say the same.
fn read(source: &AnySource, blob: &Blob, range: ByteRange) -> (Result<Bytes, ReadError>, Reads) {
    let mut reads = Reads::default();
    let answer = RUNTIME.block_on(source.read(&mut blob.clone(), range, &mut reads));
    if let Some(blocking) = source.blocking() {
        let mut blocking_reads = Reads::default();
        let blocking_answer =
            blocking.read(&mut Near::default(), &mut None, blob, range, &mut blocking_reads);
        assert_eq!((&blocking_answer, blocking_reads), (&answer, reads), "{range} of {:?}", blob.name);
    }
    (answer, reads)
}

fn find(source: &AnySource, name: &BlobName) -> Option<Blob> {
    RUNTIME.block_on(source.find(name)).expect("it can be listed")
}

fn azure_source(
    url: &str,
    mode: AuthMode,
    variables: Vec<(&'static str, OsString)>,
    options: Options,
) -> AnySource {
    let environment = Environment::of(variables);
    let Ok(Location::Container(url)) = Location::parse(OsStr::new(url), None, &environment) else {
        panic!("{url} is no container")
    };
    let _runtime = RUNTIME.enter();
    let source = AzureSource::new(url, mode, &environment, options).expect("the credential is there");
    AnySource::Container(Arc::new(source))
}

/// Names the first difference, and not all of two long lists.
fn assert_names(found: &[String], expected: &[String], what: &str) {
    let first = (0..found.len().max(expected.len())).find(|&at| found.get(at) != expected.get(at));
    if let Some(at) = first {
        let (count, found, expected) = (found.len(), found.get(at), expected.get(at));
        panic!("{what:?}: {count} names; number {at} is {found:?}, not {expected:?}");
    }
}

fn whole(blob: &Blob) -> ByteRange {
    ByteRange::new(0, blob.size)
}

/// What a blob of the shelf holds: something else for every name.
fn content(name: &str) -> Vec<u8> {
    match name {
        EMPTY => Vec::new(),
        RANGES => (0..RANGES_SIZE).map(|at| (at % 251) as u8).collect(),
        name => format!("the content of {name:?}").into_bytes(),
    }
}

/// What lies in a place with many blobs, in its order.
fn many() -> impl Iterator<Item = (String, Vec<u8>)> + Send {
    (0..MANY_BLOBS)
        .map(|number| (format!("cam{}/{number:05}.jpg", number / 1000), number.to_string().into_bytes()))
}

/// What every container holds, in the order of the bytes.
fn container_names() -> Vec<String> {
    sorted(NAMES.iter().chain(NAMES_OF_CONTAINERS), [long_path(), longest_name()])
}

/// More than 1,000 characters in parts that a folder can hold.
fn long_path() -> String {
    let mut parts: Vec<_> = ('a'..='f').map(|letter| letter.to_string().repeat(200)).collect();
    parts.push("long.jpg".to_owned());
    parts.join("/")
}

/// The longest name that a blob can have.
fn longest_name() -> String {
    "é".repeat(1_020) + ".jpg"
}

fn sorted<'a>(
    names: impl Iterator<Item = &'a &'a str>,
    more: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let mut names: Vec<_> = names.map(|name| (*name).to_owned()).chain(more).collect();
    names.sort();
    names
}

// The places.

/// Where a source lists and reads, and the means to change what is there behind its back.
trait Place: Sync {
    /// What the read of a listed version of a blob says when the blob is deleted.
    const DELETED: ReadError;

    /// The source of the blobs of `set` whose names begin with `prefix`.
    fn source(&self, set: &str, prefix: &str) -> AnySource {
        self.source_of_depth(set, prefix, Depth::All)
    }

    /// The same as far down as `depth` says.
    fn source_of_depth(&self, set: &str, prefix: &str, depth: Depth) -> AnySource;

    /// The names of the shelf in the order of their bytes: all that this place can hold.
    fn names(&self) -> Vec<String>;

    /// Writes a blob, over an older one too.
    fn put(&self, set: &str, name: &str, bytes: &[u8]);

    fn delete(&self, set: &str, name: &str);
}

struct Folder {
    root: TempDir,
    /// Seconds by which the next file is newer: two writes may fall into one tick of the file system's clock.
    clock: AtomicU64,
}

impl Folder {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a folder"), clock: AtomicU64::new(0) }
    }

    /// Puts everything in its place, and says what must hold there.
    fn filled(&self) -> Properties<Self> {
        for name in self.names() {
            self.put(SHELF, &name, &content(&name));
        }
        for (name, bytes) in many() {
            self.put(MANY, &name, &bytes);
        }
        let mut properties = properties();
        properties.push(("many blobs come in pages", many_blobs_come_in_pages));
        properties
    }

    fn path(&self, set: &str, name: &str) -> PathBuf {
        self.root.path().join(set).join(name)
    }
}

impl Place for Folder {
    const DELETED: ReadError = ReadError::Gone;

    fn source_of_depth(&self, set: &str, prefix: &str, depth: Depth) -> AnySource {
        let folder = LocalSource::open(self.path(set, "")).expect("a folder");
        AnySource::Folder(folder.with_prefix(prefix).with_depth(depth))
    }

    fn names(&self) -> Vec<String> {
        sorted(NAMES.iter().chain(NAMES_OF_FOLDERS), [long_path()])
    }

    fn put(&self, set: &str, name: &str, bytes: &[u8]) {
        let path = self.path(set, name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        if set == SCRATCH {
            let newer = Duration::from_secs(self.clock.fetch_add(1, Ordering::Relaxed));
            let file = File::options().write(true).open(&path).expect("it is there");
            file.set_modified(SystemTime::now() + newer).expect("its time can be set");
        }
    }

    fn delete(&self, set: &str, name: &str) {
        fs::remove_file(self.path(set, name)).expect("it can be deleted");
    }
}

struct Container {
    azurite: &'static Azurite,
    /// Part of the containers' names, so that each test has its own.
    credential: &'static str,
    mode: AuthMode,
}

impl Container {
    /// The container of a set. The one with many blobs is shared, and therefore public.
    fn name(&self, set: &str) -> String {
        match set {
            MANY => "contract-many".to_owned(),
            set => format!("contract-{}-{set}", self.credential),
        }
    }

    /// Puts everything but the many blobs in its place, and says what must hold there.
    fn filled(&self) -> Properties<Self> {
        for set in [SHELF, SCRATCH] {
            self.azurite.create_container(&self.name(set), self.mode == AuthMode::Anonymous);
        }
        let shelf = self.names().into_iter().map(|name| (name.clone(), content(&name)));
        self.azurite.put_many(&self.name(SHELF), shelf);
        let mut properties = properties();
        properties.push(("small pages hold everything too", small_pages_hold_everything_too));
        properties.push(("an archived blob is not read", an_archived_blob_is_not_read));
        properties
    }

    /// Fills the container with many blobs, unless that is done.
    fn fill_many(&self) {
        static FILLED: Mutex<bool> = Mutex::new(false);
        let mut filled = FILLED.lock().expect("the container could be filled");
        if !*filled {
            self.azurite.create_container(&self.name(MANY), true);
            self.azurite.put_many(&self.name(MANY), many());
            *filled = true;
        }
    }

    /// A source with other options than the defaults.
    fn paged(&self, set: &str, prefix: &str, options: Options) -> AnySource {
        let container = self.name(set);
        let mut url = self.azurite.blob_url(&container, prefix);
        let mut variables = Vec::new();
        match self.mode {
            AuthMode::Key => variables.push(("AZURE_STORAGE_KEY", KEY.into())),
            AuthMode::Sas => {
                url += &format!("?{}", self.azurite.sas(&container, "rl", Timestamp::now() + 1.hour()))
            }
            AuthMode::Cli => variables.push(("PATH", env::var_os("PATH").expect("PATH is set"))),
            _ => {}
        }
        azure_source(&url, self.mode, variables, options)
    }
}

impl Place for Container {
    /// Azurite answers 412 where the service answers 404: github.com/Azure/Azurite/issues/2751.
    const DELETED: ReadError = ReadError::Changed;

    fn source_of_depth(&self, set: &str, prefix: &str, depth: Depth) -> AnySource {
        self.paged(set, prefix, Options { depth, ..Options::default() })
    }

    fn names(&self) -> Vec<String> {
        container_names()
    }

    fn put(&self, set: &str, name: &str, bytes: &[u8]) {
        self.azurite.put(&self.name(set), name, bytes);
    }

    fn delete(&self, set: &str, name: &str) {
        self.azurite.delete(&self.name(set), name);
    }
}

/// Containers of the server that tests and benchmarks use, which must be a service like Azurite.
struct Loopback(Handle);

impl Loopback {
    fn filled() -> Self {
        let blob = |name: String, bytes| loopback::Blob { name, bytes, ..Default::default() };
        let shelf = container_names().into_iter().map(|name| {
            let bytes = content(&name);
            blob(name, bytes)
        });
        let many = many().map(|(name, bytes)| blob(name, bytes));
        let containers = [(SHELF, shelf.collect()), (MANY, many.collect()), (SCRATCH, Vec::new())];
        let containers = containers.map(|(name, blobs)| (name.to_owned(), Content::Blobs(blobs)));
        let config = Config { containers: containers.into(), ..Config::default() };
        Self(Server::start(config).expect("it starts"))
    }
}

impl Place for Loopback {
    const DELETED: ReadError = ReadError::Gone;

    fn source_of_depth(&self, set: &str, prefix: &str, depth: Depth) -> AnySource {
        let url = format!("{}/{set}/{}", self.0.url(), utf8_percent_encode(prefix, NON_ALPHANUMERIC));
        azure_source(&url, AuthMode::Anonymous, vec![], Options { depth, ..Options::default() })
    }

    fn names(&self) -> Vec<String> {
        container_names()
    }

    fn put(&self, set: &str, name: &str, bytes: &[u8]) {
        let blob = loopback::Blob { name: name.to_owned(), bytes: bytes.to_vec(), ..Default::default() };
        self.0.put(set, blob).expect("it can be written");
    }

    fn delete(&self, set: &str, name: &str) {
        self.0.delete(set, name).expect("it can be deleted");
    }
}
