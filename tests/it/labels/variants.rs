//! Label files as tools write them, and what is said about those of other formats.

use super::{expected, files, labels, outcomes, plan};
use crate::support::presync::{Presync, demo};

#[test]
fn names_in_urls_and_columns_of_many_tools_find_their_assets() {
    let folder = files([
        (
            "coco.json",
            "{\"images\": [{\"id\": 1, \"coco_url\": \"http://h/train/0002.jpg?sig=c2VjcmV0\"}, \
             {\"id\": 2, \"file_name\": \"https://h/c/%C3%9Cbergang.jpg#x\"}], \
             \"annotations\": [{\"image_id\": 1, \"segmentation\": {\"counts\": \"aZ\\\\1\", \"size\": [2, 2]}}]}",
        ),
        (
            "panoptic.json",
            "{\"annotations\": [{\"file_name\": \"0002.png\", \"segments_info\": []}], \"images\": []}",
        ),
        ("excel.csv", "\u{feff}Image Name;Label\r\n\"cam1/0003.jpg\";\"a;b\"\r\n"),
        ("via.csv", "#filename,file_size,region_attributes\n0005.jpg,1,\"{\"\"a\"\":1}\"\n"),
        ("labels/seg/0007.txt", "0 0.1 0.1 0.2 0.1 0.2 0.2\n"),
        ("labels/pose/0101.txt", "0 0.5 0.5 0.1 0.1 0.3 0.3 2 nan nan 0\n"),
        ("train.txt", "D:\\data\\images\\IMG_1001.jpg\r\n"),
        ("data.yaml", "train: train.txt\nnames: [dog]\n"),
    ]);
    let ran = labels(&folder, &["--format", "json"]);
    let found = outcomes(&ran);
    let syncs = [
        "http://h/train/0002.jpg",
        "https://h/c/%C3%9Cbergang.jpg",
        "cam1/0003.jpg",
        "0005.jpg",
        "0007",
        "0101",
        "D:\\data\\images\\IMG_1001.jpg",
    ];
    assert_eq!(found, expected(&syncs.map(|name| (name, "syncs"))), "{}", ran.stdout);
    assert!(!ran.stdout.contains("c2VjcmV0"), "a query may hold a secret");
}

#[test]
fn what_is_in_a_file_of_another_format_is_said() {
    for (name, text, says) in [
        ("labelme.json", "{\"imagePath\": \"0002.jpg\", \"shapes\": []}", "'imagePath', 'shapes'"),
        (
            "tasks.json",
            "[{\"data\": {\"image\": \"0002.jpg\"}, \"id\": 1}]",
            "a list, with an object with 'data', 'id'",
        ),
        ("cvat.xml", "<annotations><image name=\"0002.jpg\"/></annotations>", "its root is <annotations>"),
        ("data.yaml", "train: images", "give the folder with the label files"),
        ("labels.zip", "PK\u{3}\u{4}", "unpack it first"),
        ("ids.csv", "ImageID,LabelName\n0002,dog\n", "name the column with --column"),
    ] {
        let folder = files([(name, text)]);
        let given = folder.path().join(name);
        let ran = Presync::new(["labels".as_ref(), plan(), given.as_path()]).run();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(says) && ran.stderr.contains("COCO"), "{name}: {}", ran.stderr);
    }
    // In a folder, too, if there is nothing else.
    let folder = files([("labels/a.json", "{\"image\": \"0002.jpg\"}"), ("labels/notes.txt", "none")]);
    let ran = labels(&folder, &[]);
    assert!(ran.code == 2 && ran.stderr.contains("an object with 'image'"), "{}", ran.stderr);
}

#[test]
fn the_demo_has_labels() {
    let labels = demo().join("labels");
    let ran = Presync::new(["labels", "--quiet", "--format", "json"]).args([demo(), labels]).run();
    assert_eq!(
        outcomes(&ran),
        expected(&[("0001.jpg", "ambiguous"), ("0101.jpg", "syncs")]),
        "{}",
        ran.stderr
    );
}

#[test]
fn names_that_many_assets_share_are_looked_up_once() {
    let picture = std::fs::read(demo().join("cam1/0002.jpg")).expect("it is there");
    let media = files((0..40).map(|number| (format!("scene{number}/rgb.jpg"), picture.clone())));
    let names = (0..3_000).map(|number| format!("scene{number}/rgb.jpg")).collect::<Vec<_>>().join("\n");
    let folder = files([("train.txt", names)]);
    let source = media.path();
    let ran =
        Presync::new(["labels".as_ref(), source, folder.path()]).args(["--quiet", "--format", "json"]).run();
    let totals = &ran.json()["totals"];
    assert_eq!((&totals["ambiguous"], &totals["unlabelled"]), (&3_000.into(), &0.into()), "{totals}");
}
