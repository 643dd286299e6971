//! Previews of rejected images.

use std::fs;
use std::path::Path;

use super::report;
use crate::support::chromium::Page;
use crate::support::presync::demo;

/// A JPEG whose header says that it is turned, and has this preview.
fn image(preview: &[u8]) -> Vec<u8> {
    let word = |value: u16| value.to_be_bytes();
    let long = |value: usize| (value as u32).to_be_bytes();
    let entry =
        |tag: u16, kind: u16, value: [u8; 4]| [&word(tag)[..], &word(kind), &long(1), &value].concat();
    let orientation = entry(0x0112, 3, [0, 6, 0, 0]);
    let second = [entry(0x0201, 4, long(56)), entry(0x0202, 4, long(preview.len()))].concat();
    let exif = [
        &b"Exif\0\0MM\0*"[..],
        &long(8),
        &word(1),
        &orientation,
        &long(26),
        &word(2),
        &second,
        &long(0),
        preview,
    ]
    .concat();
    let file = fs::read(demo().join("cam1/0001.jpg")).expect("a file");
    [&b"\xFF\xD8\xFF\xE1"[..], &word(exif.len() as u16 + 2), &exif, &file[2..]].concat()
}

fn page_of(images: &[(String, Vec<u8>)]) -> Page {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, image) in images {
        fs::write(folder.path().join(name), image).expect("it is written");
    }
    let (_folder, path) = report(folder.path(), &[]);
    Page::open(Path::new(&path))
}

#[test]
fn the_preview_of_a_rejected_image_is_shown() {
    // The smallest picture of the demo, as a camera would make it from the whole one.
    let preview = fs::read(demo().join("cam1/0004.jpg")).expect("a file");
    let wrong = "<svg xmlns='http://www.w3.org/2000/svg' onload='document.title=1'/>";
    let mut page = page_of(&[
        ("turned.jpg".to_owned(), image(&preview)),
        ("script.jpg".to_owned(), image(wrong.as_bytes())),
        ("long.jpg".to_owned(), image(&[&preview[..], &[0; 8000]].concat())),
        ("none.jpg".to_owned(), preview.clone()),
    ]);
    let shown = page.eval(
        "Promise.all([...document.images].map(async (image) => { await image.decode();
            return [image.closest('tr').querySelector('bdi').innerText, image.naturalWidth > 0, image.alt]; }))",
    );
    let alt = "Preview in the header of turned.jpg, as it is stored";
    assert_eq!(shown, serde_json::json!([["turned.jpg", true, alt]]));
    page.settle();
    let faults = page.complaints();
    assert!(faults.iter().all(|fault| fault.contains("data:image/jpeg")), "{faults:?}");
}

#[test]
fn there_are_only_so_many() {
    let preview = [&b"\xFF\xD8\xFF"[..], &[0; 3000]].concat();
    let images: Vec<_> = (0..80).map(|number| (format!("{number:02}.jpg"), image(&preview))).collect();
    let mut page = page_of(&images);
    assert_eq!(page.eval("document.querySelectorAll('img').length"), 64);
    assert_eq!(page.texts("#finding-table tbody tr").len(), 80);
}
