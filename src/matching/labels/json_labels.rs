//! COCO documents, and the JSON lines of Vi.
//!
//! * COCO ("Data format", cocodataset.org): an object whose `images` have `file_name`, `width` and `height`. It may be
//!   written in any order, and ids may be numbers or text. Annotations refer to images by id; which ids is not compared.
//! * COCO for videos (TAO, CocoVID): `videos` with a name, and `images` with `video_id` and `frame_id` or `frame_index`.
//! * Vi (`vi-sdk`, `ViAnnotation`): an object per line whose `asset` has `filename`, `width` and `height`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::reference::{Reference, Taker};
use crate::matching::csv_table::is_media;
use crate::matching::input::{Fault, Input};
use crate::matching::json;
use crate::matching::loose::Loose;
use crate::model::{BlobName, Format, Kind};

/// The most videos of a document whose frames are separate images: they are held in memory, some 200 bytes each.
const MAX_VIDEOS: usize = 100_000;

/// Reads the references of a file.
pub(super) fn read(file: Input, take: Taker<'_>) -> Result<(), Fault> {
    let mut reader =
        Reader { take, videos: BTreeMap::new(), frames: BTreeMap::new(), is_known: false, values: 0 };
    let read = json::each(file, &mut reader);
    let (is_known, is_empty) = (reader.is_known, reader.values == 0);
    read.map_err(|fault| Fault { is_foreign: fault.is_foreign && !is_known, ..fault })?;
    if is_empty {
        return Err(Fault::foreign("it is empty"));
    }
    reader.take_frames()
}

struct Reader<'t> {
    take: Taker<'t>,
    /// Names of videos, by id.
    videos: BTreeMap<String, String>,
    /// Frames of videos that have no name of their own, by the video's id: the first, the last, and how many.
    frames: BTreeMap<String, (u64, u64, u64)>,
    /// Whether it is one of these formats.
    is_known: bool,
    values: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CocoImage {
    file_name: Loose,
    path: Loose,
    coco_url: Loose,
    width: Loose,
    height: Loose,
    video_id: Loose,
    frame_id: Loose,
    frame_index: Loose,
    frame: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CocoVideo {
    id: Loose,
    name: Loose,
    file_name: Loose,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ViAsset {
    filename: Loose,
    width: Loose,
    height: Loose,
    frame: Loose,
}

impl json::Take for Reader<'_> {
    fn take<'de, D: Deserializer<'de>>(&mut self, value: D) -> Result<(), D::Error> {
        self.values += 1;
        value.deserialize_any(Document(self))
    }
}

impl Reader<'_> {
    fn image(&mut self, image: &CocoImage) -> Result<(), &'static str> {
        let name = [&image.file_name, &image.path, &image.coco_url].into_iter().find_map(Loose::text);
        let frame = [&image.frame_id, &image.frame_index, &image.frame].into_iter().find_map(Loose::number);
        let (width, height) = (image.width.number(), image.height.number());
        if let Some(name) = name {
            // A frame that is a picture of its own has a number, too.
            let frames = frame.filter(|_| is_video(name)).map(|frame| (frame, frame));
            (self.take)(Reference { frames, ..Reference::to(name).sized(width, height) });
            return Ok(());
        }
        let video = image.video_id.id().ok_or("an image has no file_name")?;
        if self.frames.len() >= MAX_VIDEOS && !self.frames.contains_key(&video) {
            return Err("it has frames of more than 100,000 videos");
        }
        let frame = frame.unwrap_or(0);
        let (first, last, count) = self.frames.entry(video).or_insert((frame, frame, 0));
        (*first, *last, *count) = (frame.min(*first), frame.max(*last), *count + 1);
        Ok(())
    }

    fn video(&mut self, video: &CocoVideo) -> Result<(), &'static str> {
        let name = [&video.file_name, &video.name].into_iter().find_map(Loose::text);
        if let (Some(id), Some(name)) = (video.id.id(), name) {
            if self.videos.len() >= MAX_VIDEOS {
                return Err("it has more than 100,000 videos");
            }
            self.videos.insert(id, name.to_owned());
        }
        Ok(())
    }

    fn asset(&mut self, asset: &ViAsset) -> Result<(), &'static str> {
        let name = asset.filename.text().ok_or("an asset has no filename")?;
        let frames = asset.frame.number().map(|frame| (frame, frame));
        let (width, height) = (asset.width.number(), asset.height.number());
        let line = Some(self.values);
        (self.take)(Reference { frames, line, ..Reference::to(name).sized(width, height) });
        Ok(())
    }

    /// Takes the videos whose frames the document lists as images without a name.
    fn take_frames(self) -> Result<(), Fault> {
        for (id, (first, last, count)) in self.frames {
            let name = self.videos.get(&id).ok_or_else(|| {
                Fault::new(format!(
                    "images have the video_id {}, but no video has that id",
                    id.escape_debug()
                ))
            })?;
            (self.take)(Reference { frames: Some((first, last)), count, ..Reference::to(name) });
        }
        Ok(())
    }
}

fn is_video(name: &str) -> bool {
    let format = BlobName::new(name).extension().and_then(Format::of_extension);
    is_media(name) && format.is_some_and(|format| format.kind() == Kind::Video)
}

/// A document or a line.
struct Document<'r, 't>(&'r mut Reader<'t>);

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a COCO document with images, or lines with an asset each")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_known = false;
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            fields.add(&key);
            is_known |= ["images", "asset"].contains(&&*key);
            self.0.is_known |= is_known;
            match &*key {
                "images" => map.next_value_seed(Each::new(|image: CocoImage| self.0.image(&image)))?,
                "videos" => map.next_value_seed(Each::new(|video: CocoVideo| self.0.video(&video)))?,
                "asset" => {
                    let asset = map.next_value::<ViAsset>()?;
                    self.0.asset(&asset).map_err(A::Error::custom)?;
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        match is_known {
            true => Ok(()),
            false => Err(A::Error::custom(format!("it is {fields}: neither COCO (images) nor Vi (asset)"))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        Err(A::Error::custom(match list.next_element::<Fields>()? {
            Some(first) => {
                format!("it is a list, with {first}: neither COCO (images) nor Vi (an object per line)")
            }
            None => "it is an empty list".to_owned(),
        }))
    }
}

/// The fields of an object, to say what it is.
#[derive(Default)]
struct Fields(Vec<String>);

impl Fields {
    /// The most fields that are named, and the most letters of each.
    const MOST: usize = 5;
    const LETTERS: usize = 30;

    fn add(&mut self, key: &str) {
        if self.0.len() <= Self::MOST {
            self.0.push(key.chars().take(Self::LETTERS).collect());
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> =
            self.0.iter().take(Self::MOST).map(|key| format!("'{}'", key.escape_debug())).collect();
        let more = if self.0.len() > Self::MOST { " and others" } else { "" };
        match named.as_slice() {
            [] => f.write_str("an object without fields"),
            _ => write!(f, "an object with {}{more}", named.join(", ")),
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object for each image")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
                    fields.add(&key);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// Takes the elements of a list, one at a time.
struct Each<T, F>(F, PhantomData<fn(T)>);

impl<T, F> Each<T, F> {
    fn new(take: F) -> Self {
        Self(take, PhantomData)
    }
}

impl<'de, T: Deserialize<'de>, F> DeserializeSeed<'de> for Each<T, F>
where
    F: FnMut(T) -> Result<(), &'static str>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F> Visitor<'de> for Each<T, F>
where
    F: FnMut(T) -> Result<(), &'static str>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            (self.0)(element).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::input;

    type Taken = (String, Option<u64>, Option<u64>, Option<(u64, u64)>, u64, Option<u64>);

    fn read_text(text: &'static str) -> Result<Vec<Taken>, Fault> {
        let mut taken = Vec::new();
        read(input::start(Box::new(text.as_bytes()))?, &mut |found| {
            let Reference { name, width, height, frames, count, line, .. } = found;
            taken.push((name.to_owned(), width, height, frames, count, line));
        })?;
        Ok(taken)
    }

    #[test]
    fn images_are_found_in_any_order_and_with_ids_of_any_kind() {
        let text = r#"{"annotations": [{"image_id": "x", "bbox": [1, 2, 3, NaN]}], "info": {"images": []},
            "images": [{"id": "x", "file_name": "a/b.jpg", "width": 640, "height": "480", "license": null},
                       {"id": 7, "file_name": "é.png", "width": 0, "height": 0, "file": ["x"]}]}"#;
        let taken = read_text(text).expect("COCO");
        assert_eq!(taken[0], ("a/b.jpg".to_owned(), Some(640), Some(480), None, 1, None));
        assert_eq!(taken[1], ("é.png".to_owned(), None, None, None, 1, None));
    }

    #[test]
    fn frames_belong_to_their_videos() {
        let text = r#"{"images": [{"id": 1, "video_id": 9, "frame_id": 4}, {"id": 2, "video_id": 9, "frame_id": 2},
            {"file_name": "v.mp4", "frame_index": 7}, {"file_name": "f/0001.jpg", "video_id": 9, "frame_id": 1}],
            "videos": [{"id": 9, "name": "clip.mp4"}]}"#;
        let taken = read_text(text).expect("COCO");
        assert_eq!(taken[0].3, Some((7, 7)));
        assert_eq!(taken[1].3, None);
        assert_eq!(taken[2], ("clip.mp4".to_owned(), None, None, Some((2, 4)), 2, None));
        let text = r#"{"images": [{"id": 1, "video_id": 9}]}"#;
        assert!(read_text(text).is_err_and(|fault| fault.why.contains("video_id 9") && !fault.is_foreign));
    }

    #[test]
    fn lines_have_an_asset_each() {
        let text = "{\"id\":\"1\",\"asset\":{\"type\":\"Image\",\"filename\":\"a.jpg\",\"height\":4,\"width\":3}}\n\n\
                    {\"asset\":{\"filename\":\"b.jpg\"},\"contents\":{}}\n";
        let taken = read_text(text).expect("lines");
        assert_eq!(taken[0], ("a.jpg".to_owned(), Some(3), Some(4), None, 1, Some(1)));
        assert_eq!(taken[1].0, "b.jpg");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, says, is_foreign) in [
            ("{\"images\": [\n{\"id\": 1}]}", 2, "an image has no file_name", false),
            ("{\"images\": [\n{\"file_name\": \"a\"},\n}", 3, "", false),
            ("{\"images\": 3}", 1, "a list of objects", false),
            ("{\"name\": \"presync\"}", 1, "it is an object with 'name': neither COCO", true),
            (
                "[{\"image_id\": 1, \"b\": []}]",
                1,
                "it is a list, with an object with 'image_id', 'b': neither",
                true,
            ),
            ("[{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1}]", 1, "'5' and others", true),
            ("[]", 1, "an empty list", true),
            ("[3]", 1, "an object for each image", true),
            ("<annotation/>", 1, "", true),
        ] {
            let fault = read_text(text).expect_err(text);
            assert_eq!((fault.line, fault.is_foreign), (Some(line), is_foreign), "{text}: {fault:?}");
            assert!(fault.why.contains(says), "{fault:?}");
        }
        assert!(read_text("").is_err_and(|fault| fault.is_foreign));
    }
}
