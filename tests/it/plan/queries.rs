//! Other tools read a plan: DuckDB, pandas and pyarrow.

use serde_json::{Value, json};

use super::{planned, report};
use crate::support::presync::Presync;
use crate::support::python::python;

/// A program that writes the plan again with other facts, and with all that the plan says of itself.
#[test]
fn a_plan_whose_facts_were_changed_is_not_believed() {
    let (_folder, path) = planned();
    let changes = [
        ("pass", true),
        (
            "table = table.set_column(table.schema.get_field_index('orientation'), 'orientation', pa.nulls(len(table), pa.int64()))",
            true,
        ),
        ("metadata[b'presync.workspace'] = b'other'", true),
    ];
    for (change, is_refused) in changes {
        let (_folder, copy) = planned();
        let script = format!(
            "
import json, sys
import pyarrow as pa, pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
metadata = dict(table.schema.metadata)
{change}
pq.write_table(table.replace_schema_metadata(metadata), sys.argv[1])
kept = pq.read_metadata(sys.argv[1]).metadata
print(json.dumps(kept[b'presync.digest'] == metadata[b'presync.digest']))"
        );
        assert_eq!(python(&script, &copy), true, "the digest is still there");
        let ran = Presync::dry_run("fixtures/demo").args(["--baseline"]).args([&copy]).run();
        assert_eq!((ran.code == 2, ran.stdout.as_str()), (is_refused, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains("its digest does not match"), "{}", ran.stderr);
        let commit = Presync::new(["commit".as_ref(), copy.as_os_str()]).args(["--workspace", "w"]).run();
        assert!(commit.code == 2 && commit.stderr.contains("its digest does not match"), "{}", commit.stderr);
    }
    assert_eq!(report(&path, &[]).code, 1);
}

#[test]
fn duckdb_and_pandas_find_in_it_what_the_report_says() {
    let (_folder, path) = planned();
    let document = report(&path, &["--format", "json"]).json();
    let assets = document["assets"].as_array().expect("a list");
    let column = |name: &str| assets.iter().map(|asset| asset[name].clone()).collect::<Vec<_>>();

    let found = python(
        r#"
import duckdb, json, sys
plan = duckdb.read_parquet(sys.argv[1])
rows = lambda sql: duckdb.sql(sql).fetchall()
print(json.dumps({
    "codes": dict(rows("select f.code, count(*) from (select unnest(findings) f from plan) group by 1")),
    "frames": rows("select sum(cost_frames)::bigint from plan where verdict = 'accept'")[0][0],
    "tracks": rows("select count(*) from plan where tracks[1].codec = codec")[0][0],
    "names": [row[0] for row in rows("select name from plan")],
    "written": rows("select strftime(max(last_modified) at time zone 'UTC', '%Y') >= '2020' from plan")[0][0],
    "version": rows(f"select decode(value) from parquet_kv_metadata('{sys.argv[1]}') "
                    "where decode(key) = 'presync.format_version'")[0][0],
}))
"#,
        &path,
    );
    assert_eq!(found["codes"], document["findings_by_code"]);
    assert_eq!(found["frames"], document["totals"]["frames"]);
    assert_eq!(found["tracks"], assets.iter().filter(|asset| asset["codec"].is_string()).count());
    assert_eq!(found["names"], Value::from(column("name")));
    assert_eq!((&found["written"], &found["version"]), (&json!(true), &json!("1.0")));

    let found = python(
        r#"
import json, sys
import pandas, pyarrow.parquet
frame = pandas.read_parquet(sys.argv[1])
metadata = pyarrow.parquet.read_metadata(sys.argv[1]).metadata
print(json.dumps({
    "verdicts": frame["verdict"].tolist(),
    "sizes": frame["size"].tolist(),
    "messages": [[finding["message"] for finding in findings] for findings in frame["findings"]],
    "written": str(frame["last_modified"].dtype).endswith("UTC]"),
    "totals": json.loads(metadata[b"presync.totals"]),
}))
"#,
        &path,
    );
    assert_eq!(found["verdicts"], Value::from(column("verdict")));
    assert_eq!(found["sizes"], Value::from(column("size")));
    let messages = |asset: &Value| {
        let findings = asset["findings"].as_array().expect("a list").iter();
        findings.map(|finding| finding["message"].clone()).collect::<Value>()
    };
    assert_eq!(found["messages"], assets.iter().map(messages).collect::<Value>());
    assert_eq!(found["written"], true);
    assert_eq!(found["totals"]["listed"], document["totals"]["listed"]);
}
