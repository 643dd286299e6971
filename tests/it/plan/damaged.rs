//! What is no plan, or no longer one.

use std::fs::{self, File};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use parquet::data_type::Int32Type;
use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use presync::model::{Code, Finding};
use presync::plan::Sink;
use presync::plan_file::{PlanReader, PlanWriter};
use sha2::{Digest, Sha256};

use super::{planned, report};
use crate::support::presync::measured;

/// Reads a plan to its end, or to its error.
fn read_all(path: &Path) -> presync::model::error::Result<usize> {
    PlanReader::open(path)?.try_fold(0, |count, asset| asset.map(|_| count + 1))
}

#[test]
fn a_plan_that_is_cut_anywhere_is_refused() {
    let (folder, path) = planned();
    let whole = fs::read(&path).expect("it is there");
    let cut = folder.path().join("cut.parquet");
    // With an end, all but the last eight bytes are the whole plan again.
    let end = whole.len() - 8;
    for len in (0..end).step_by(7).chain(whole.len() - 64..end) {
        fs::write(&cut, &whole[..len]).expect("it is written");
        let error = read_all(&cut).expect_err("it is cut");
        assert!(error.message().contains("is damaged") || len < 4, "{len} bytes: {error}");
        // With an end as a whole file has it.
        fs::write(&cut, [&whole[..len], &whole[end..]].concat()).expect("it is written");
        assert!(read_all(&cut).is_err(), "{len} bytes and an end");
    }
    fs::write(&cut, &whole[..whole.len() / 2]).expect("it is written");
    let ran = report(&cut, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    let said = format!(
        "error: the plan '{}' is damaged: it is cut short\nhelp: write it again: presync dry-run SOURCE --plan FILE\n",
        cut.display()
    );
    assert_eq!(ran.stderr, said);
}

/// None may end in a panic, a hang or much memory either.
#[test]
fn a_flipped_byte_is_an_error() {
    let (folder, path) = planned();
    let whole = fs::read(&path).expect("it is there");
    let flipped = folder.path().join("flipped.parquet");
    let mut errors = 0;
    for at in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xFF;
        fs::write(&flipped, bytes).expect("it is written");
        match catch_unwind(|| read_all(&flipped)).unwrap_or_else(|_| panic!("byte {at}: a panic")) {
            Ok(_) => panic!("byte {at}: it is believed"),
            Err(error) => {
                errors += 1;
                // Of a decoder that gave up, the message is all that is said.
                if error.message().ends_with("it cannot be decoded") {
                    let said = report(&flipped, &[]).stderr;
                    assert!(said.starts_with("error: ") && said.lines().count() == 2, "byte {at}: {said}");
                }
            }
        }
    }
    assert!(errors > 50, "{errors} errors");
}

#[test]
fn what_is_no_plan_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("it is written");
        path
    };
    let brief = |path: &Path| {
        let error = PlanReader::open(path).err().expect("it is no plan");
        error.message().replace(&*path.to_string_lossy(), "FILE")
    };
    assert_eq!(
        brief(&folder.path().join("nothing")),
        "cannot read the plan 'FILE': no such file or directory"
    );
    assert_eq!(brief(folder.path()), "'FILE' is a folder, not a plan");
    assert_eq!(brief(&file("empty", b"")), "the plan 'FILE' is damaged: it is cut short");
    assert_eq!(brief(&file("text", b"name,size\n")), "'FILE' isn't a plan: it isn't a Parquet file");
    let foreign = folder.path().join("foreign");
    write(&foreign, 1, &[]);
    assert_eq!(brief(&foreign), "'FILE' isn't a plan: it is a Parquet file of another kind");
    let newer = folder.path().join("newer");
    write(&newer, 1, &[KeyValue::new("presync.format_version".to_owned(), "2.3".to_owned())]);
    assert_eq!(brief(&newer), "the plan 'FILE' has format version 2.3, but this presync reads 1.0");
    let ran = report(&newer, &[]);
    assert!(
        ran.code == 2 && ran.stderr.contains("use the version of presync that wrote it"),
        "{}",
        ran.stderr
    );
}

/// A few kilobytes that stand for millions of values, under the metadata of a real plan: none is decoded.
#[test]
fn a_file_without_the_columns_of_a_plan_is_refused() {
    let (folder, path) = planned();
    let plan = SerializedFileReader::new(File::open(&path).expect("it is there")).expect("it is Parquet");
    let pairs = plan.metadata().file_metadata().key_value_metadata().expect("it has metadata").clone();
    let bomb = folder.path().join("bomb.parquet");
    for length in [10, 3_000_000] {
        write(&bomb, length, &pairs);
        seal(&bomb);
        assert!(fs::metadata(&bomb).expect("it is there").len() < 100_000);
        let error = read_all(&bomb).expect_err("it is no plan");
        assert!(error.message().contains("it has no column 'name'"), "{error}");
    }
}

/// Seals a file as presync does: SHA-256 over the file with 64 zeros in place of the digest, which are behind the last key.
fn seal(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let key = b"presync.digest\x18\x40";
    let at = bytes.windows(key.len()).rposition(|window| window == key).expect("it has the key") + key.len();
    bytes[at..at + 64].fill(b'0');
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    bytes[at..at + 64].copy_from_slice(digest.as_bytes());
    fs::write(path, bytes).expect("it can be written");
}

#[test]
fn the_seal_is_over_every_byte() {
    let (_folder, path) = planned();
    let before = fs::read(&path).expect("it is there");
    seal(&path);
    assert_eq!(fs::read(&path).expect("it is there"), before);
}

#[test]
fn a_plan_without_a_digest_is_refused() {
    let (folder, path) = planned();
    let plan = SerializedFileReader::new(File::open(&path).expect("it is there")).expect("it is Parquet");
    let mut pairs = plan.metadata().file_metadata().key_value_metadata().expect("it has metadata").clone();
    pairs.retain(|pair| pair.key != "presync.digest");
    let older = folder.path().join("older.parquet");
    write(&older, 1, &pairs);
    let ran = report(&older, &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("has no digest, so it cannot be trusted"), "{}", ran.stderr);
    assert!(ran.stderr.contains("an older presync or another program wrote it"), "{}", ran.stderr);
}

/// Rows that no run writes: a text that each row would repeat in memory, and a list without an end.
#[test]
fn a_row_with_too_much_in_it_is_refused() {
    let text = vec![Finding::new(Code::Malformed, "x".repeat(1 << 20))];
    let list = vec![Finding::new(Code::Malformed, "x"); 500_000];
    for (rows, findings, says) in [(65, text, "bytes of text"), (1, list, "more values than a plan may have")]
    {
        refuse(rows, &findings, says);
    }
}

/// A plan whose first rows have these findings.
fn refuse(rows: usize, findings: &[Finding], says: &str) {
    let (folder, path) = planned();
    let (plan, mut assets) = super::read(&path);
    let long = folder.path().join("long.parquet");
    for asset in assets.iter_mut().take(rows) {
        asset.findings = findings.to_vec();
    }
    let mut writer = PlanWriter::create(&long, plan.header).expect("a file");
    assets.iter().for_each(|asset| writer.settled(asset).expect("it is written"));
    Box::new(writer).finish(&plan.summary, Duration::ZERO).expect("it is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_presync"));
    command.arg("report").arg(&long);
    let (ran, peak) = measured(command);
    assert!(ran.code == 2 && ran.stderr.contains(says), "{}", ran.stderr);
    assert!(peak < 250 << 10, "a peak of {peak} KiB");
}

/// Writes a file with one row: a list of so many zeros.
fn write(path: &Path, length: usize, pairs: &[KeyValue]) {
    let schema = "message lists { required group findings (LIST) { repeated group list { required int32 element; } } }";
    let schema = parse_message_type(schema).expect("a schema");
    let file = File::create(path).expect("it can be written");
    let mut writer = SerializedFileWriter::new(file, schema.into(), Default::default()).expect("a file");
    let mut group = writer.next_row_group().expect("a row group");
    let mut column = group.next_column().expect("a column").expect("there is one");
    let repetition: Vec<_> = (0..length).map(|element| i16::from(element > 0)).collect();
    let (values, definition) = (vec![0; length], vec![1; length]);
    column
        .typed::<Int32Type>()
        .write_batch(&values, Some(&definition), Some(&repetition))
        .expect("it is written");
    column.close().expect("it is written");
    group.close().expect("it is written");
    pairs.iter().for_each(|pair| writer.append_key_value_metadata(pair.clone()));
    writer.close().expect("it is written");
}
