//! Other tools read a plan: DuckDB, pandas and pyarrow, in a virtual environment that the first run makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{planned, report};

/// What is installed, in versions that were tried.
const PACKAGES: [&str; 3] = ["duckdb>=1.1", "pandas>=2.2", "pyarrow>=17"];

/// The environment's Python.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("queries");
    let (python, done) = (folder.join("bin/python"), folder.join("presync-installed"));
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
        fs::write(done, "").expect("it can be written");
    }
    python
}

/// What the command prints, which must succeed.
fn run(command: &mut Command) -> String {
    let ran = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("it is UTF-8")
}

pub fn query(script: &str, plan: &Path) -> Value {
    let text = run(Command::new(python()).args(["-c", script]).arg(plan));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn duckdb_and_pandas_find_in_it_what_the_report_says() {
    let (_folder, path) = planned();
    let document = report(&path, &["--format", "json"]).json();
    let assets = document["assets"].as_array().expect("a list");
    let column = |name: &str| assets.iter().map(|asset| asset[name].clone()).collect::<Vec<_>>();

    let found = query(
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

    let found = query(
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
