//! `--inventory`: a container that reports of Azure Blob Inventory list.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use presync::loopback::{Blob, Config, Content, Handle, Kind, Server};
use presync::model::Asset;
use presync::plan_file::PlanReader;
use serde_json::json;

use crate::support::presync::{Presync, Ran, demo, measured};
use crate::support::python::python;

const HEADER: &str = "Name,Last-Modified,Content-Length,BlobType,AccessTier,hdi_isfolder,Snapshot,VersionId,IsCurrentVersion,Deleted";
/// Names that CSV must quote, and that the service orders by their bytes.
const ODD: [&str; 4] = ["a \"quoted\", name.jpg", "lines\nbreak.jpg", "éclair.jpg", "z/ünder//x.jpg"];

/// The files of the demo, and some under odd names.
pub(crate) fn blobs() -> Vec<Blob> {
    fn visit(folder: &Path, blobs: &mut Vec<Blob>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                visit(&path, blobs);
                continue;
            }
            let name = path.strip_prefix(demo()).expect("below it").to_str().expect("UTF-8").to_owned();
            let bytes = fs::read(&path).expect("it is read");
            blobs.push(Blob { name, bytes, ..Blob::default() });
        }
    }
    let mut blobs = Vec::new();
    visit(&demo(), &mut blobs);
    let image = blobs.iter().find(|blob| blob.name.ends_with(".jpg")).expect("there is one").bytes.clone();
    blobs.extend(ODD.map(|name| Blob { name: name.to_owned(), bytes: image.clone(), ..Blob::default() }));
    blobs
}

pub(crate) fn serve() -> Handle {
    Server::start(Config::of("cam", Content::Blobs(blobs()))).expect("it starts")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn line(name: &str, size: usize) -> String {
    format!("{},2026-11-01T10:00:00Z,{size},BlockBlob,Hot,false,,,,\n", quoted(name))
}

/// Reports of the container, in several files, with rows that are none of its listing.
pub(crate) struct Reports {
    folder: tempfile::TempDir,
}

impl Reports {
    pub(crate) fn of(blobs: &[Blob]) -> Self {
        let mut files = [const { String::new() }; 3];
        for (number, blob) in blobs.iter().rev().enumerate() {
            files[number % 3] += &line(&format!("cam/{}", blob.name), blob.bytes.len());
        }
        let more = "cam/cam1/snap.jpg,2026-11-01T10:00:00Z,5,BlockBlob,Hot,false,2026-10-01T00:00:00Z,,,\n\
            cam/cam1/old.jpg,2026-11-01T10:00:00Z,5,BlockBlob,Hot,false,,2026-10-01T00:00:00Z,false,\n\
            cam/cam1/gone.jpg,2026-11-01T10:00:00Z,5,BlockBlob,Hot,false,,,,true\n\
            other/x.jpg,2026-11-01T10:00:00Z,5,BlockBlob,Hot,false,,,,\n\
            camera/x.jpg,2026-11-01T10:00:00Z,5,BlockBlob,Hot,false,,,,\n";
        files[1] += more;
        let folder = tempfile::tempdir().expect("a folder");
        for (number, rows) in files.iter().enumerate() {
            let text = format!("{HEADER}\n{rows}");
            fs::write(folder.path().join(format!("rule_{number}.csv")), text).expect("it is written");
        }
        let reports = Self { folder };
        reports.manifest("csv", |_| {});
        reports
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn manifest(&self, format: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let files = (0..3).map(|number| {
            let name = format!("rule_{number}.{format}");
            let size = fs::metadata(self.path(&name)).map_or(0, |metadata| metadata.len());
            json!({ "blob": format!("2026/11/25/13-25-36/rule/{name}"), "size": size })
        });
        let mut manifest = json!({
            "destinationContainer": "reports", "endpoint": "https://loopback.blob.core.windows.net",
            "files": files.collect::<Vec<_>>(), "status": "Succeeded", "version": "1.0", "ruleName": "rule",
            "inventoryCompletionTime": "2026-11-25T13:35:56Z",
            "ruleDefinition": { "format": format, "objectType": "blob", "schemaFields": ["Name"] },
        });
        change(&mut manifest);
        fs::write(self.path("rule-manifest.json"), manifest.to_string()).expect("it is written");
    }

    fn run(&self, server: &Handle, file: &str, plan: &str, args: &[&str]) -> Ran {
        let (file, plan) = (self.path(file), self.path(plan));
        dry_run(server)
            .args(["--inventory".as_ref(), file.as_os_str()])
            .args(args)
            .args(["--plan".as_ref(), plan.as_os_str()])
            .run()
    }
}

fn dry_run(server: &Handle) -> Presync {
    let args = ["--auth", "anonymous", "--image-quota", "9", "--frame-quota", "300"];
    Presync::dry_run(format!("{}/cam", server.url())).args(args)
}

/// How many blobs a plan has, and its assets.
fn plan(path: &Path) -> (u64, Vec<Asset>) {
    let reader = PlanReader::open(path).expect("a plan");
    let listed = reader.plan().summary.totals.listed;
    (listed, without_versions(reader.map(|asset| asset.expect("it is read")).collect()))
}

/// Assets without what an inventory does not tell of blobs that are not read.
pub(crate) fn without_versions(mut assets: Vec<Asset>) -> Vec<Asset> {
    for asset in &mut assets {
        asset.blob.last_modified = None;
        // These reports have no column for it.
        asset.blob.declared = Default::default();
        if asset.reads.requests == 0 {
            asset.blob.etag = None;
        }
    }
    assets
}

#[test]
fn reports_give_the_plan_of_the_listing() {
    let server = serve();
    let reports = Reports::of(&blobs());
    let listed = reports.path("listed.parquet");
    let ran = dry_run(&server).args(["--plan".as_ref(), listed.as_os_str()]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    server.reset();

    let of_manifest = reports.run(&server, "rule-manifest.json", "csv.parquet", &["--verbose"]);
    assert_eq!(of_manifest.code, 1, "{}", of_manifest.stderr);
    assert_eq!(of_manifest.stdout, ran.stdout);
    assert!(
        of_manifest.stderr.contains(
            "left out 2 in other containers or prefixes, 0 without a container's name, 3 that are snapshots"
        ),
        "{}",
        of_manifest.stderr
    );
    assert_eq!(server.stats().of(Kind::List), 0, "the service lists nothing");
    assert_eq!(plan(&reports.path("csv.parquet")), plan(&listed));

    // The same reports as Parquet, written by another library, with types of their own.
    let script = "
import pathlib, sys, json
import pyarrow as pa, pyarrow.csv as csv, pyarrow.parquet as pq
for path in sorted(pathlib.Path(sys.argv[1]).glob('rule_*.csv')):
    options = csv.ConvertOptions(column_types={'Content-Length': pa.int64(), 'hdi_isfolder': pa.bool_(), 'Name': pa.string(),
        'IsCurrentVersion': pa.bool_(), 'Deleted': pa.bool_(), 'Snapshot': pa.string(), 'VersionId': pa.string(),
        'Last-Modified': pa.timestamp('ms', 'UTC')})
    table = csv.read_csv(path, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=options)
    pq.write_table(table.select(list(reversed(table.column_names))), path.with_suffix('.parquet'), row_group_size=3)
print(json.dumps(True))";
    python(script, reports.folder.path());
    reports.manifest("parquet", |_| {});
    let of_parquet = reports.run(&server, "rule-manifest.json", "parquet.parquet", &[]);
    assert_eq!((of_parquet.code, &of_parquet.stdout), (1, &ran.stdout), "{}", of_parquet.stderr);
    assert_eq!(plan(&reports.path("parquet.parquet")), plan(&listed));
}

#[test]
fn rows_that_are_stale_are_judged_as_the_blobs_are_now() {
    let server = serve();
    let mut old = blobs();
    let now = old.iter().position(|blob| blob.name == ODD[2]).expect("it is there");
    // The report is of a longer version, and has a blob that is not there any more.
    old[now].bytes = [&old[now].bytes[..], b"more"].concat();
    old.push(Blob { name: "deleted.jpg".into(), bytes: vec![1; 100], ..Blob::default() });
    let reports = Reports::of(&old);
    let ran = reports.run(&server, "rule-manifest.json", "plan.parquet", &["--format", "jsonl"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let stale = "the inventory is out of date: 1 of its blobs no longer exist, 1 have changed and were judged as \
         they are now\n";
    assert!(ran.stderr.ends_with(stale), "{}", ran.stderr);
    let records = ran.jsonl();
    let record =
        |name: &str| records.iter().find(|record| record["name"] == name).expect("it is there").clone();
    assert_eq!(record("deleted.jpg")["skipped"], "deleted since it was listed");
    let changed = record(ODD[2]);
    assert_eq!(changed["size"], blobs()[now].bytes.len());
    assert!(changed["etag"].is_string());
}

#[test]
fn a_plan_of_an_inventory_is_committed_like_any() {
    let server = serve();
    let reports = Reports::of(&blobs());
    let ledger = reports.path("ledger.sqlite3");
    let presync = |args: &[&str]| Presync::new(args).env("PRESYNC_LEDGER", &ledger).run();
    let set = ["quota", "set", "--workspace", "w", "--images", "100", "--frames", "10000"];
    assert_eq!(presync(&set).code, 0);
    let plan = reports.path("plan.parquet");
    let ran = reports.run(&server, "rule-manifest.json", "plan.parquet", &[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let source = format!("{}/cam", server.url());
    let plan = plan.to_str().expect("UTF-8");
    let commit =
        ["commit", plan, "--workspace", "w", "--auth", "anonymous", "--allow-unknown", "--source", &source];
    let ran = presync(&commit);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn what_is_no_report_of_the_container_is_refused() {
    let server = serve();
    let reports = Reports::of(&blobs());
    let mut shown = String::new();
    let mut refuse = |what: &str, file: &str| {
        let ran = reports.run(&server, file, "plan.parquet", &[]);
        assert_eq!(ran.code, 2, "{what}: {}{}", ran.stdout, ran.stderr);
        let text = ran.stderr.replace(reports.folder.path().to_str().expect("UTF-8"), "DIR");
        let text = text.replace(server.url(), "URL");
        writeln!(shown, "-- {what}\n{text}").expect("a string");
    };
    refuse("no file", "nothing.csv");
    fs::write(reports.path("empty.csv"), "").expect("it is written");
    refuse("an empty file", "empty.csv");
    fs::write(reports.path("few.csv"), "Name,Etag\ncam/a.jpg,0x1\n").expect("it is written");
    refuse("no lengths", "few.csv");
    fs::write(reports.path("odd.csv"), format!("{HEADER}\ncam/a.jpg,,x,,,,,,,\n")).expect("it is written");
    refuse("a length that is none", "odd.csv");
    fs::write(reports.path("ragged.csv"), format!("{HEADER}\ncam/a.jpg,1\n")).expect("it is written");
    refuse("a row that is cut", "ragged.csv");
    let open = format!("{HEADER}\n\"{}", "x".repeat(3 << 20));
    fs::write(reports.path("open.csv"), open).expect("it is written");
    refuse("a quote that is open", "open.csv");
    fs::write(reports.path("others.csv"), format!("{HEADER}\n{}{}", line("b/a.jpg", 1), line("a/a.jpg", 1)))
        .expect("it is written");
    refuse("other containers", "others.csv");
    fs::write(reports.path("bare.csv"), format!("{HEADER}\n{}{}", line("a.jpg", 1), line("b.jpg", 1)))
        .expect("it is written");
    refuse("names without their container", "bare.csv");
    fs::write(reports.path("cut.parquet"), "PAR1abcd").expect("it is written");
    refuse("a Parquet file that is cut", "cut.parquet");
    reports.manifest("csv", |manifest| manifest["status"] = json!("Failed"));
    refuse("a run that failed", "rule-manifest.json");
    reports.manifest("csv", |manifest| manifest["ruleDefinition"]["objectType"] = json!("container"));
    refuse("containers", "rule-manifest.json");
    reports.manifest("csv", |manifest| manifest["endpoint"] = json!("https://media.blob.core.windows.net"));
    refuse("another account", "rule-manifest.json");
    reports.manifest("csv", |manifest| manifest["files"][1]["size"] = json!(3));
    refuse("a file of another length", "rule-manifest.json");
    reports.manifest("csv", |manifest| manifest["files"][1]["blob"] = json!("a/../.."));
    refuse("a file outside", "rule-manifest.json");
    reports.manifest("csv", |manifest| manifest["files"][1]["blob"] = json!("a/b.csv"));
    refuse("a file that is missing", "rule-manifest.json");
    reports.manifest("csv", |manifest| manifest["summary"] = json!({ "objectCount": 3 }));
    refuse("a report with other rows", "rule-manifest.json");
    reports.manifest("csv", |_| {});
    fs::write(reports.path("rule-manifest.checksum"), "d41d8cd98f00b204e9800998ecf8427e")
        .expect("it is written");
    refuse("another manifest", "rule-manifest.json");
    fs::remove_file(reports.path("rule-manifest.checksum")).expect("it is there");
    fs::write(reports.path("rule-manifest.json"), "{\"files\": [").expect("it is written");
    refuse("a manifest that is cut", "rule-manifest.json");
    let folder =
        Presync::dry_run("fixtures/demo").args(["--inventory".as_ref(), reports.path("few.csv").as_os_str()]);
    writeln!(shown, "-- a folder\n{}", folder.run().stderr).expect("a string");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_manifest_is_checked_against_what_lies_beside_it() {
    let server = serve();
    let reports = Reports::of(&blobs());
    let script = "
import base64, hashlib, json, sys
md5 = hashlib.md5(open(sys.argv[1], 'rb').read())
print(json.dumps([md5.hexdigest(), md5.hexdigest().upper() + chr(10), base64.b64encode(md5.digest()).decode()]))";
    let rows = blobs().len() + 5;
    reports.manifest("csv", |manifest| {
        manifest["summary"] = json!({ "objectCount": rows, "totalObjectSize": 9 })
    });
    let sums = python(script, reports.path("rule-manifest.json"));
    for sum in sums.as_array().expect("a list") {
        fs::write(reports.path("rule-manifest.checksum"), sum.as_str().expect("a text"))
            .expect("it is written");
        let ran = reports.run(&server, "rule-manifest.json", "plan.parquet", &[]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
    }
}

#[test]
fn rows_that_are_left_out_are_counted() {
    let server = serve();
    let reports = Reports::of(&blobs());
    let rows = format!("{HEADER}\n{}{}", line("cam/cam1/0001.jpg", 5), line("cam1/0001.jpg", 5))
        + &line("0001.jpg", 5);
    fs::write(reports.path("mixed.csv"), rows).expect("it is written");
    let ran = reports.run(&server, "mixed.csv", "plan.parquet", &[]);
    assert!(
        ran.stderr.contains(
            "inventory: 3 rows; left out 1 in other containers or prefixes, 1 without a container's"
        ),
        "{}",
        ran.stderr
    );
}

/// Writes a Parquet report with these rows in each of its columns, as often as a batch is repeated.
fn parquet(path: &Path, encoding: Encoding, codec: Compression, batches: usize, names: &[ByteArray]) {
    let schema = "message report { required binary Name (UTF8); required int64 Content-Length; }";
    let schema = parse_message_type(schema).expect("a schema");
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_dictionary_enabled(encoding == Encoding::RLE_DICTIONARY)
        .set_data_page_size_limit(usize::MAX)
        .set_dictionary_page_size_limit(usize::MAX)
        .set_statistics_enabled(EnabledStatistics::None);
    let properties = match encoding {
        Encoding::RLE_DICTIONARY => properties,
        encoding => properties.set_encoding(encoding),
    };
    let file = fs::File::create(path).expect("it can be written");
    let mut writer = SerializedFileWriter::new(
        file,
        schema.into(),
        properties.set_column_encoding("Content-Length".into(), Encoding::PLAIN).build().into(),
    )
    .expect("a file");
    let mut group = writer.next_row_group().expect("a row group");
    let mut column = group.next_column().expect("a column").expect("there is one");
    for _ in 0..batches {
        column.typed::<ByteArrayType>().write_batch(names, None, None).expect("it is written");
    }
    column.close().expect("it is written");
    let mut column = group.next_column().expect("a column").expect("there is one");
    for _ in 0..batches {
        column.typed::<Int64Type>().write_batch(&vec![5; names.len()], None, None).expect("it is written");
    }
    column.close().expect("it is written");
    group.close().expect("it is written");
    writer.close().expect("it is written");
}

/// Small files that stand for gigabytes: each is refused, in little memory.
#[test]
fn a_report_that_unfolds_to_too_much_is_refused() {
    let server = serve();
    let reports = Reports::of(&blobs());
    let path = reports.path("bomb.parquet");
    let zstd = Compression::ZSTD(Default::default());
    let long = |len: usize| ByteArray::from(format!("cam/{}", "x".repeat(len)).into_bytes());
    let short = ByteArray::from("cam/a.jpg");
    // What it holds, how it is written, and what is said.
    type Bomb = (&'static str, Encoding, Compression, usize, Vec<ByteArray>, &'static str);
    let bombs: [Bomb; 5] = [
        (
            "a dictionary",
            Encoding::RLE_DICTIONARY,
            zstd,
            1,
            vec![long(1 << 20); 5_000],
            "has longer texts than a report has",
        ),
        (
            "repeated beginnings",
            Encoding::DELTA_BYTE_ARRAY,
            zstd,
            1,
            vec![long(1 << 20); 5_000],
            "has longer texts than a report has",
        ),
        ("a long page", Encoding::PLAIN, zstd, 1, vec![long(100 << 20)], "unfold"),
        ("a long dictionary", Encoding::RLE_DICTIONARY, zstd, 1, vec![long(8 << 20)], "unfold"),
        ("many rows", Encoding::RLE_DICTIONARY, zstd, 1_000, vec![short; 1_000], "rows in only"),
    ];
    for (what, encoding, codec, batches, names, says) in bombs {
        parquet(&path, encoding, codec, batches, &names);
        let len = fs::metadata(&path).expect("it is there").len();
        assert!(len < 100_000, "{what}: {len} bytes");
        let source = format!("{}/cam", server.url());
        let mut command = Command::new(env!("CARGO_BIN_EXE_presync"));
        command.args(["dry-run", &source, "--auth", "anonymous", "--inventory"]).arg(&path);
        let (ran, peak) = measured(command);
        assert_eq!(ran.code, 2, "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{what}: {}", ran.stderr);
        assert!(peak < 250 << 10, "{what}: a peak of {peak} KiB");
    }
}
