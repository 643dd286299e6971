//! What each profile accepts and counts: `vi` from its own documents, one quota or two, profiles of one's own, and the
//! Content-Type of blobs.

use std::fs;

use presync::loopback::{Blob, Config, Content, Server};
use serde_json::{Value, json};

use crate::support::presync::{Presync, Ran, demo, root};

fn run(args: &[&str]) -> Ran {
    Presync::dry_run(demo()).args(args).run()
}

fn report(args: &[&str]) -> Value {
    run(&[&["--format", "json"], args].concat()).json()
}

/// The asset of a report with this name.
fn asset<'a>(document: &'a Value, name: &str) -> &'a Value {
    let mut assets = document["assets"].as_array().expect("a list").iter();
    assets.find(|asset| asset["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

/// The codes of an asset's findings with their severities.
fn codes(asset: &Value) -> Vec<(&str, &str)> {
    let findings = asset["findings"].as_array().expect("a list").iter();
    findings.filter_map(|finding| Some((finding["code"].as_str()?, finding["severity"].as_str()?))).collect()
}

#[test]
fn vi_takes_what_its_uploads_take_and_warns_of_the_rest() {
    let document = report(&["--profile", "vi"]);
    for (name, code) in
        [("cam1/0004.jpg", "IMG001"), ("videos/from-ffmpeg.mp4", "VID001"), ("videos/10-bit.mp4", "VID002")]
    {
        let asset = asset(&document, name);
        assert_eq!(asset["verdict"], "accept", "{asset}");
        assert!(codes(asset).contains(&(code, "warning")), "{asset}");
        let note = "inherited from Nexus' rules for synced assets";
        assert!(asset["findings"].to_string().contains(note), "{asset}");
    }
    for name in ["videos/old-recorder.avi", "videos/web.webm"] {
        let codes = codes(asset(&document, name));
        assert!(codes.iter().all(|(code, _)| *code != "VID004"), "{name}: {codes:?}");
    }
    let strict = report(&["--profile", "vi", "--severity", "VID001=error"]);
    assert_eq!(asset(&strict, "videos/from-ffmpeg.mp4")["verdict"], "reject");
}

#[test]
fn data_rows_are_one_currency() {
    let document = report(&["--profile", "vi", "--data-row-quota", "1000", "--reserve", "100"]);
    let quota = &document["quota"];
    assert_eq!((&quota["shared"], &quota["period"]), (&json!(true), &json!("stock")));
    for kind in ["images", "frames"] {
        assert_eq!(
            (&quota[kind]["unit"], &quota[kind]["limit"], &quota[kind]["reserve"]),
            (&json!("data rows"), &json!(1000), &json!(100))
        );
    }
    let number = |value: &Value| value.as_u64().expect("a number");
    let (images, frames) = (number(&document["totals"]["images"]), number(&document["totals"]["frames"]));
    let costs = number(&quota["images"]["cost"]) + number(&quota["frames"]["cost"]);
    assert_eq!(costs, 5 * (images + frames), "totals count images and frames, not rows");
    assert_eq!(number(&quota["images"]["left"]), 1000 - 100 - costs);
    assert!(
        document["assumptions"].as_array().is_some_and(|all| all.len() > 3),
        "{}",
        document["assumptions"]
    );

    let text = run(&["--profile", "vi", "--data-row-quota", "1000", "--reserve", "100"]).stdout;
    assert!(text.contains("of 1,000 data rows, 100 kept free"), "{text}");
    assert!(text.contains(&format!("{images} images, {frames} frames")), "{text}");
}

#[test]
fn a_limit_of_another_currency_is_an_error_that_names_the_right_one() {
    for (args, message, hint) in [
        (
            ["--profile", "vi", "--image-quota", "5"],
            "--image-quota does not apply: the profile 'vi' counts data rows, in one quota",
            "use --data-row-quota N",
        ),
        (
            ["--profile", "vi", "--frame-quota", "5"],
            "--frame-quota does not apply: the profile 'vi' counts data rows, in one quota",
            "use --data-row-quota N",
        ),
        (
            ["--profile", "nexus", "--data-row-quota", "5"],
            "--data-row-quota does not apply: the profile 'nexus' counts images and frames",
            "use --image-quota N and --frame-quota N",
        ),
        (
            ["--profile", "nexus", "--reserve", "5"],
            "--reserve does not apply: the profile 'nexus' has two quotas",
            "keep quota free by giving a lower --image-quota or --frame-quota",
        ),
    ] {
        let ran = run(&args);
        assert_eq!((ran.code, ran.stderr), (2, format!("error: {message}\nhelp: {hint}\n")), "{args:?}");
    }
}

#[test]
fn one_quota_for_images_and_frames_is_said_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("it can be written");
    let run = |args: &[&str]| {
        let ran = Presync::dry_run(demo()).args(["--format", "json"]).args(args).inside(folder.path());
        ran.env("PRESYNC_LEDGER", folder.path().join("ledger.sqlite3")).run()
    };
    let is_shared = |document: &Value| {
        let quota = &document["quota"];
        assert_eq!(quota["shared"], true, "{quota}");
        for kind in ["images", "frames"] {
            let gauge = &quota[kind];
            assert_eq!(
                (&gauge["limit"], &gauge["unit"]),
                (&json!(200), &json!("images and frames")),
                "{quota}"
            );
        }
        let used = quota["images"]["cost"].as_u64().zip(quota["frames"]["cost"].as_u64());
        assert!(used.is_some_and(|(images, frames)| images + frames <= 200), "{quota}");
    };
    file("presync.toml", "[quota]\nshared = true\n");
    is_shared(&run(&["--image-quota", "200"]).json());
    assert!(run(&["--frame-quota", "200"]).stderr.contains("--frame-quota does not apply"));

    file("presync.toml", "");
    let nexus = fs::read_to_string(root().join("src/rules/nexus.toml")).expect("it is there");
    let own = nexus.replace("shared = false", "shared = true");
    file("own.toml", &own);
    is_shared(&run(&["--profile", "own.toml", "--image-quota", "200"]).json());

    let set = Presync::new(["quota", "set", "--shared", "200"]).inside(folder.path());
    assert_eq!(set.env("PRESYNC_LEDGER", folder.path().join("ledger.sqlite3")).run().code, 0);
    is_shared(&run(&["--workspace", "default"]).json());
    let quota = &run(&["--workspace", "default"]).json()["quota"];
    let demands = ["images", "frames"].map(|kind| quota[kind]["shortage"]["demand"].as_u64());
    assert!(demands.into_iter().flatten().any(|demand| demand > 200), "{quota}");
}

#[test]
fn limits_of_ones_own_have_codes_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let nexus = fs::read_to_string(root().join("src/rules/nexus.toml")).expect("it is there");
    let own = nexus
        .replace("orientations = [1]", "orientations = [1]\nmax_width = 319\nmax_height = 239")
        .replace("major_brands = [\"mp42\"]", "major_brands = [\"*\"]\nmax_frames = 29\nmax_duration_s = 1")
        .replace(
            "pixel_formats = [\"yuv420p\"]",
            "pixel_formats = [\"*\"]\nmax_frame_rate = 14\nmax_width = 127",
        );
    let path = folder.path().join("own.toml");
    fs::write(&path, own).expect("it can be written");
    let document = report(&["--profile", path.to_str().expect("UTF-8")]);
    assert_eq!(
        codes(asset(&document, "cam1/0001.jpg")),
        [("FMT006", "error"), ("FMT007", "error")],
        "320 × 240"
    );
    let video = asset(&document, "videos/from-ffmpeg.mp4");
    let expected = ["VID005", "VID006", "VID007", "FMT006"].map(|code| (code, "error"));
    assert_eq!(codes(video), expected, "any brand; 30 frames in 2 s, 128 × 96: {video}");
    let pixels = codes(asset(&document, "videos/10-bit.mp4"));
    assert!(pixels.iter().all(|(code, _)| *code != "VID002"), "{pixels:?}");
}

#[test]
fn a_wrong_content_type_is_corrected_by_a_command() {
    let bytes = |name: &str| fs::read(demo().join(name)).expect("it is there");
    let blob = |name: &str, content_type: Option<&str>, content_encoding: &str| Blob {
        name: name.into(),
        bytes: bytes("cam1/0001.jpg"),
        content_type: content_type.map(str::to_owned),
        content_encoding: content_encoding.to_owned(),
        ..Blob::default()
    };
    let blobs = vec![
        blob("it's here.jpg", Some("application/octet-stream"), ""),
        blob("packed.jpg", Some("image/jpeg"), "gzip"),
        blob("right.jpg", None, ""),
        blob("volume.nii.gz", None, ""),
    ];
    let server = Server::start(Config::of("media", Content::Blobs(blobs))).expect("it starts");
    let plan = tempfile::tempdir().expect("a folder");
    let path = plan.path().join("plan.parquet");
    let path = path.to_str().expect("UTF-8");
    let url = format!("{}/media", server.url());
    let ran = Presync::dry_run(url).args(["--auth", "anonymous", "--format", "json", "--plan", path]).run();
    let document = ran.json();
    let wrong = asset(&document, "it's here.jpg");
    assert_eq!((&wrong["verdict"], codes(wrong)), (&json!("accept"), vec![("BLB004", "warning")]));
    assert_eq!(wrong["content_type"], "application/octet-stream");
    let fix = wrong["findings"][0]["fix"].as_str().expect("a fix");
    let words = shlex::split(fix).expect("a command for a shell");
    let value = |option: &str| {
        let place =
            words.iter().position(|word| word == option).unwrap_or_else(|| panic!("no {option}: {fix}"));
        words[place + 1].as_str()
    };
    assert_eq!((value("--name"), value("--container-name")), ("it's here.jpg", "media"));
    assert_eq!(
        (value("--content-type"), words[..4].join(" ")),
        ("image/jpeg", "az storage blob update".into())
    );
    let packed = asset(&document, "packed.jpg");
    assert_eq!((codes(packed), &packed["content_encoding"]), (vec![("BLB004", "warning")], &json!("gzip")));
    assert!(codes(asset(&document, "right.jpg")).is_empty());
    assert_eq!(asset(&document, "volume.nii.gz")["skipped"], "file of a 3D or RGBD project by its extension");

    // The plan has it, too.
    let again = Presync::new(["report", path, "--format", "json"]).run().json();
    assert_eq!(again["assets"], document["assets"]);
}

#[test]
fn reports_say_what_fixing_everything_would_need_and_what_to_do_next() {
    let document = report(&["--image-quota", "30", "--frame-quota", "5000"]);
    let number = |value: &Value| value.as_u64().expect("a number");
    let if_fixed = &document["quota"]["if_fixed"];
    let fixable = |asset: &&Value| {
        let errors = asset["findings"].as_array().expect("a list").iter();
        let mut errors = errors.filter(|finding| finding["severity"] == "error");
        asset["kind"] == "image"
            && matches!(asset["verdict"].as_str(), Some("accept" | "reject"))
            && errors.all(|finding| !finding["fix"].is_null())
    };
    let images = document["assets"].as_array().expect("a list").iter().filter(fixable).count() as u64;
    assert_eq!(number(&if_fixed["images"]["count"]), images);
    assert_eq!(if_fixed["images"]["fits"], images <= 30);
    assert_eq!(if_fixed["frames"]["fits"], true);

    let text = run(&["--image-quota", "30", "--frame-quota", "5000"]).stdout;
    assert!(
        text.contains(&format!("that can be fixed: {images} images, {} too many", images - 30)),
        "{text}"
    );
    assert!(text.contains(" break a rule"), "{text}");
    let next = text.split("\nNext\n").nth(1).expect("the end says what to do next");
    for label in ["  fix ", "  sync "] {
        assert!(next.contains(label), "{next}");
    }
    let page = run(&["--image-quota", "30", "--format", "html"]).stdout;
    assert!(
        page.contains("that can be fixed: ") && page.contains("presync commit plan.parquet"),
        "the page has both"
    );
}
