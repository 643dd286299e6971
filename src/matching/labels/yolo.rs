//! YOLO's text files: one of numbers per image, with the image's name but for the extension, and lists of images.
//!
//! * Darknet and Ultralytics ("Object Detection Datasets", labels): a line per object, `class x y width height`, with more
//!   numbers for polygons, poses and turned boxes. A file without lines is for a picture without objects.
//! * Darknet's `train.txt`: a path per line. Keras' variant has boxes behind each path.

use std::path::Path;

use super::reference::{Reference, Taker};
use crate::files::bounded::next_line;
use crate::matching::csv_table::is_media;
use crate::matching::input::{Fault, Input, MAX_LINE};

/// The fewest numbers of a line: the class and a box.
const LEAST: usize = 5;
/// The most bytes of a path in a list that has more behind it, as on Linux (`PATH_MAX`).
const MAX_PATH: usize = 4_096;
/// Text files with names of classes that tools put beside labels.
const CLASSES: [&str; 5] = ["classes.txt", "labels.txt", "obj.txt", "names.txt", "predefined_classes.txt"];

/// Reads the references of a file.
pub(super) fn read(path: &Path, mut file: Input, take: Taker<'_>) -> Result<(), Fault> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if CLASSES.contains(&&*name.to_ascii_lowercase()) {
        return Err(Fault::foreign("it has names of classes"));
    }
    let (mut bytes, mut line, mut objects) = (Vec::new(), 0, 0);
    let mut is_list = None;
    while next_line(&mut file, &mut bytes, MAX_LINE).map_err(|error| Fault::io(&error))? {
        line += 1;
        let text = std::str::from_utf8(&bytes).map_err(|_| Fault::at(line, "it is not UTF-8"))?.trim();
        if text.is_empty() {
            continue;
        }
        if *is_list.get_or_insert_with(|| image_of(text).is_some()) {
            let image = image_of(text).ok_or_else(|| Fault::at(line, "it is not the path of an image"))?;
            take(Reference { line: Some(line), ..Reference::to(image) });
            continue;
        }
        objects += 1;
        if !is_label(text) {
            let why = "it is not a class and a box: 5 numbers or more";
            return Err(Fault {
                is_foreign: objects == 1 && !(is_among_labels(path) && is_nearly(text)),
                ..Fault::at(line, why)
            });
        }
    }
    if is_list != Some(true) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        take(Reference { is_stem: true, count: objects, ..Reference::to(&stem) });
    }
    Ok(())
}

fn is_label(line: &str) -> bool {
    let mut numbers = 0;
    line.split_ascii_whitespace().all(|number| {
        numbers += 1;
        number.parse::<f64>().is_ok()
    }) && numbers >= LEAST
}

/// Whether a line has more numbers than words, as a damaged label has.
fn is_nearly(line: &str) -> bool {
    let is_number = |word: &&str| word.parse::<f64>().is_ok();
    2 * line.split_ascii_whitespace().filter(is_number).count() > line.split_ascii_whitespace().count()
}

/// The path at the beginning of a line of a list. Boxes may follow.
fn image_of(line: &str) -> Option<&str> {
    if is_media(line) {
        return Some(line);
    }
    // The longest part is the path, because names may have spaces.
    let ends = line.match_indices([' ', '\t', ',']).map(|(at, _)| at).take_while(|end| *end <= MAX_PATH);
    ends.map(|end| &line[..end]).filter(|begin| is_media(begin)).last()
}

/// Whether all text files of the folder are labels, by its name.
fn is_among_labels(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.iter().any(|part| part.eq_ignore_ascii_case("labels")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::input;

    /// The name, whether it is a stem, the count and the line.
    type Found = (String, bool, u64, Option<u64>);

    fn read_text(path: &str, text: &str) -> Result<Vec<Found>, Fault> {
        let mut taken = Vec::new();
        let text = std::io::Cursor::new(text.to_owned().into_bytes());
        read(Path::new(path), input::start(Box::new(text))?, &mut |found| {
            taken.push((found.name.to_owned(), found.is_stem, found.count, found.line));
        })?;
        Ok(taken)
    }

    #[test]
    fn a_file_of_numbers_is_named_like_its_image() {
        let text = "0 0.5 0.5 0.1 0.1\n\n12 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\r\n";
        assert_eq!(
            read_text("labels/train/a.b.txt", text).expect("YOLO"),
            [("a.b".to_owned(), true, 2, None)]
        );
        assert_eq!(read_text("x/a.txt", "").expect("no objects"), [("a".to_owned(), true, 0, None)]);
    }

    #[test]
    fn a_list_has_a_path_per_line() {
        let text = "data/obj/a.jpg\n./data/b c.png\n/x/d.jpg 1,2,3,4,0 5,6,7,8,1\n";
        let names: Vec<_> =
            read_text("train.txt", text).expect("a list").into_iter().map(|row| row.0).collect();
        assert_eq!(names, ["data/obj/a.jpg", "./data/b c.png", "/x/d.jpg"]);
    }

    #[test]
    fn other_text_is_foreign_unless_it_is_among_labels() {
        assert!(read_text("README.txt", "Hello\n").is_err_and(|fault| fault.is_foreign));
        assert!(read_text("classes.txt", "0 1 2 3 4\n").is_err_and(|fault| fault.is_foreign));
        let fault = read_text("a/labels/x.txt", "0 1 1 1 1\n0 1 1 1\n").expect_err("too few numbers");
        assert_eq!((fault.line, fault.is_foreign), (Some(2), false));
        assert!(read_text("a/labels/x.txt", "dog 0.5 0.5 0.1\n").is_err_and(|fault| !fault.is_foreign));
        assert!(
            read_text("a/labels/notes.txt", "checked on 28 November\n").is_err_and(|fault| fault.is_foreign)
        );
        assert!(read_text("train.txt", "a.jpg\nb\n").is_err_and(|fault| fault.line == Some(2)));
    }
}
