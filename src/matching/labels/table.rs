//! CSV: a row per box or per image, with the image's name in a column.

use super::reference::{Reference, Taker};
use crate::matching::csv_table::{Table, is_media};
use crate::matching::input::{Fault, Input};
use crate::matching::loose::whole;

/// Columns that tools use for the name, the most specific ones first; without `_`, as [`Table`] compares them.
const NAMES: [&str; 12] = [
    "filename",
    "imagename",
    "imagefile",
    "imagepath",
    "filepath",
    "image",
    "img",
    "path",
    "file",
    "imageid",
    "asset",
    "name",
];
/// Columns that other tables have, too: they count only if the first row has the name of an image.
const VAGUE: [&str; 5] = ["path", "file", "imageid", "asset", "name"];
/// Columns that end a box: next to them, `width` and `height` are those of the picture, otherwise those of the box.
const ENDS: [&str; 4] = ["xmax", "x2", "ymax", "y2"];
const WIDTHS: [&str; 3] = ["imagewidth", "imgwidth", "width"];
const HEIGHTS: [&str; 3] = ["imageheight", "imgheight", "height"];
const FRAMES: [&str; 4] = ["frame", "framenumber", "frameid", "frameindex"];

/// Reads the references of a file.
pub(super) fn read(file: Input, column: Option<&str>, tabs: bool, take: Taker<'_>) -> Result<(), Fault> {
    let mut table = Table::open(file, column, &NAMES, tabs)?;
    let is_of_picture = table.has(&ENDS);
    let of = |columns: &'static [&'static str; 3]| if is_of_picture { &columns[..] } else { &columns[..2] };
    let is_vague = column.is_none() && VAGUE.iter().any(|vague| table.is_named_by(vague));
    let mut is_first = true;
    while let Some(line) = table.next()? {
        if is_vague && std::mem::take(&mut is_first) && !is_media(table.name()) {
            return Err(Fault::foreign("its names are not those of images; name the column with --column"));
        }
        if table.name().is_empty() {
            return Err(Fault::at(line, "a row has no name"));
        }
        let number = |columns: &[&str]| table.get(columns).and_then(whole);
        let frames = number(&FRAMES).map(|frame| (frame, frame));
        let found = Reference::to(table.name()).sized(number(of(&WIDTHS)), number(of(&HEIGHTS)));
        take(Reference { frames, line: Some(line), ..found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::input;

    type Taken = (String, Option<u64>, Option<u64>, Option<(u64, u64)>, Option<u64>);

    fn read_text(text: &str, column: Option<&str>) -> Result<Vec<Taken>, Fault> {
        let mut taken = Vec::new();
        let text = std::io::Cursor::new(text.to_owned().into_bytes());
        read(input::start(Box::new(text))?, column, false, &mut |found| {
            let Reference { name, width, height, frames, line, .. } = found;
            taken.push((name.to_owned(), width, height, frames, line));
        })?;
        Ok(taken)
    }

    #[test]
    fn a_width_is_the_pictures_only_next_to_the_end_of_a_box() {
        let row = |text: &str| read_text(text, None).expect("CSV").remove(0);
        let corners =
            row("\u{feff}filename,width,height,class,xmin,ymin,xmax,ymax\n\"a,b.jpg\",640,480,x,1,2,3,4\n");
        assert_eq!(corners, ("a,b.jpg".to_owned(), Some(640), Some(480), None, Some(2)));
        let sizes = row("Filename,xmin,ymin,width,height,label\na.jpg,0.1,0.2,64,48,x\n");
        assert_eq!(sizes, ("a.jpg".to_owned(), None, None, None, Some(2)));
        let frame = row("video,name,frame\nx,v.mp4,17\n");
        assert_eq!(frame, ("v.mp4".to_owned(), None, None, Some((17, 17)), Some(2)));
    }

    #[test]
    fn columns_are_found_however_tools_write_and_separate_them() {
        for text in [
            "Image Name;Image-Width;X max\n\"a;b.jpg\";640;3\n",
            "#imageName|image_width\n\"a;b.jpg\"|640\n",
            "imagename\timgwidth\na;b.jpg\t640\n",
            "\"image_name\",\"width\",\"xmax\"\n\"a;b.jpg\",\"640\",1\n",
        ] {
            let rows = read_text(text, None).expect(text);
            assert_eq!((&*rows[0].0, rows[0].1), ("a;b.jpg", Some(640)), "{text}");
        }
        assert_eq!(read_text("a b;k\nx.jpg;1\n", Some("A_B")).expect("CSV")[0].0, "x.jpg");
    }

    #[test]
    fn a_file_may_have_no_header_or_a_column_of_its_own() {
        let rows = read_text("dir/a.jpg,1,2,3,4,x\ndir/b.jpg,,,,,\n", None).expect("CSV");
        assert_eq!(
            rows.iter().map(|row| (&*row.0, row.4)).collect::<Vec<_>>(),
            [("dir/a.jpg", Some(1)), ("dir/b.jpg", Some(2))]
        );
        assert_eq!(read_text("k,Photo\n1,a.jpg\n", Some("photo")).expect("CSV")[0].0, "a.jpg");
        assert!(read_text("id,name\n1,dog\n", None).is_err_and(|fault| fault.is_foreign));
        assert!(read_text("k,v\n1,2\n", None).is_err_and(|fault| fault.is_foreign));
        assert!(
            read_text("k,v\n1,2\n", Some("x"))
                .is_err_and(|fault| !fault.is_foreign && fault.why.contains("'x'"))
        );
        assert!(read_text("image\n\"a\nb\",\n\"\",x\n", None).is_err_and(|fault| fault.line == Some(4)));
    }
}
