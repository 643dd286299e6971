//! Blobs that are computed from their number.

use std::collections::HashSet;
use std::sync::{LazyLock, RwLock};

use bytes::{Bytes, BytesMut};
use fastrand::Rng;

use super::config::Shape;

/// Bytes kept in memory from the start of each kind of blob, so that a read of them is a slice.
const HEAD_BYTES: usize = 64 * 1024;

/// Blobs per camera folder and per day folder. Both divide the numbers evenly, so that names sort in number order.
const CAMERA_BLOBS: u64 = 100_000;
const DAY_BLOBS: u64 = 5_000;
const DAYS: u64 = CAMERA_BLOBS / DAY_BLOBS;

/// The length of `cam0000/2026-11-01/IMG_`, and the number of digits after it.
const NUMBER_AT: usize = 23;
const NUMBER_DIGITS: usize = 9;

/// The most blobs that can be replaced, about 16 MiB. Any more are not replaced.
const MAX_REPLACED: usize = 1 << 20;

/// A box that extends to the end of the file (ISO/IEC 14496-12, 4.2), so that zeros can follow an MP4.
const FREE_BOX: &[u8] = b"\0\0\0\0free";

/// A small file that blobs of one kind start with.
struct Template {
    extension: &'static str,
    content_type: &'static str,
    file: &'static [u8],
}

macro_rules! template {
    ($extension:literal, $content_type:literal, $file:literal) => {
        Template {
            extension: $extension,
            content_type: $content_type,
            file: include_bytes!(concat!("../../fixtures/demo/", $file)),
        }
    };
}

/// In the field order of [`Mix`](super::config::Mix).
static TEMPLATES: [Template; 9] = [
    template!("jpg", "image/jpeg", "phones/IMG_1003.jpg"),
    template!("jpg", "image/jpeg", "phones/IMG_1001.jpg"),
    template!("jpg", "image/jpeg", "phones/IMG_1002.jpg"),
    template!("png", "image/png", "drone/mosaic.png"),
    template!("png", "image/png", "drone/mosaic-rotated.png"),
    template!("webp", "image/webp", "phones/IMG_1008.webp"),
    template!("webp", "image/webp", "phones/IMG_1007.webp"),
    template!("mp4", "video/mp4", "drone/flight 1.mp4"),
    template!("mp4", "video/mp4", "videos/from-ffmpeg.mp4"),
];

/// The start of the blobs of each kind, shared by all containers.
static HEADS: LazyLock<[Bytes; 9]> = LazyLock::new(|| std::array::from_fn(|kind| TEMPLATES[kind].head()));

impl Template {
    fn is_video(&self) -> bool {
        self.extension == "mp4"
    }

    /// The first bytes of every blob of this kind.
    fn head(&self) -> Bytes {
        let mut head = BytesMut::zeroed(HEAD_BYTES);
        head[..self.file.len()].copy_from_slice(self.file);
        if self.is_video() {
            head[self.file.len()..][..FREE_BOX.len()].copy_from_slice(FREE_BOX);
        }
        head.freeze()
    }

    /// The size of a blob for a random `size`. If the format includes the length of the file, nothing can follow it.
    fn size(&self, size: u64) -> u64 {
        let len = self.file.len() as u64;
        match self.extension {
            "jpg" => size.max(len),
            "mp4" => size.max(len + FREE_BOX.len() as u64),
            _ => len,
        }
    }
}

/// The blobs of a [`Shape`]. The only state is which blobs were replaced.
pub(super) struct Generated {
    shape: Shape,
    /// Cumulative weights of the kinds.
    cumulated: [u32; 9],
    heads: &'static [Bytes; 9],
    dates: [String; DAYS as usize],
    replaced: RwLock<HashSet<u64>>,
}

/// The properties of one blob.
pub(super) struct Facts<'a> {
    pub size: u64,
    pub version: u64,
    pub last_modified: &'a str,
    pub content_type: &'static str,
    pub head: &'a Bytes,
}

impl Generated {
    /// Creates the blobs of a shape that has been checked: its weights must not overflow.
    pub(super) fn new(shape: Shape) -> Self {
        let mut total = 0;
        let cumulated = shape.mix.weights().map(|weight| {
            total += weight;
            total
        });
        Self {
            shape,
            cumulated,
            heads: &HEADS,
            dates: std::array::from_fn(date),
            replaced: RwLock::default(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.shape.blobs
    }

    /// Computes the properties of a blob. Random values are drawn in a fixed order, so that each one always stays the
    /// same.
    pub(super) fn facts(&self, number: u64) -> Facts<'_> {
        let mut rng = self.rng(number);
        let kind = self.kind(&mut rng);
        let template = &TEMPLATES[kind];
        let (least, most) = if template.is_video() { self.shape.video_size } else { self.shape.image_size };
        let size = template.size(rng.u64(least..=most));
        let first = rng.u64(..);
        let version = if self.is_replaced(number) { rng.u64(..) } else { first };
        Facts {
            size,
            version,
            last_modified: &self.dates[day(number)],
            content_type: template.content_type,
            head: &self.heads[kind],
        }
    }

    /// Appends the name of a blob.
    pub(super) fn write_name(&self, number: u64, out: &mut String) {
        out.push_str("cam");
        write_digits(number / CAMERA_BLOBS, 4, out);
        out.push_str("/2026-11-");
        write_digits(day(number) as u64 + 1, 2, out);
        out.push_str("/IMG_");
        write_digits(number, NUMBER_DIGITS, out);
        out.push('.');
        out.push_str(TEMPLATES[self.kind(&mut self.rng(number))].extension);
    }

    /// The number of the blob with this name, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<u64> {
        let number = name.get(NUMBER_AT..NUMBER_AT + NUMBER_DIGITS)?.parse().ok()?;
        let mut found = String::with_capacity(NUMBER_AT + NUMBER_DIGITS + 5);
        (number < self.shape.blobs).then(|| self.write_name(number, &mut found))?;
        (found == name).then_some(number)
    }

    /// The number of the first blob whose name is `from` or later.
    pub(super) fn seek(&self, from: &str) -> u64 {
        let mut name = String::new();
        let (mut low, mut high) = (0, self.shape.blobs);
        while low < high {
            let middle = low + (high - low) / 2;
            name.clear();
            self.write_name(middle, &mut name);
            if name.as_str() < from {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Gives a blob a new version.
    pub(super) fn replace(&self, number: u64) {
        let mut replaced = self.replaced.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if replaced.len() < MAX_REPLACED {
            replaced.insert(number);
        }
    }

    fn is_replaced(&self, number: u64) -> bool {
        self.replaced.read().unwrap_or_else(|poisoned| poisoned.into_inner()).contains(&number)
    }

    fn rng(&self, number: u64) -> Rng {
        // Spread over the whole word, because seeds that differ in one bit give similar numbers.
        Rng::with_seed(self.shape.seed.wrapping_add(number).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn kind(&self, rng: &mut Rng) -> usize {
        let point = rng.u32(..self.cumulated[8]);
        self.cumulated.partition_point(|end| *end <= point)
    }
}

fn day(number: u64) -> usize {
    (number % CAMERA_BLOBS / DAY_BLOBS) as usize
}

/// 10:00 on a day of November 2026, in HTTP format (RFC 9110, 5.6.7).
fn date(day: usize) -> String {
    const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    format!("{}, {:02} Nov 2026 10:00:00 GMT", WEEKDAYS[day % 7], day + 1)
}

fn write_digits(number: u64, digits: usize, out: &mut String) {
    let mut place = 10_u64.pow(digits as u32 - 1);
    while place > 0 {
        out.push(char::from(b'0' + (number / place % 10) as u8));
        place /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::config::Mix;

    fn name(generated: &Generated, number: u64) -> String {
        let mut name = String::new();
        generated.write_name(number, &mut name);
        name
    }

    #[test]
    fn names_sort_as_their_numbers_and_are_found_again() {
        let generated = Generated::new(Shape { blobs: 1_000_000_000, ..Shape::default() });
        assert!(name(&generated, 330_127).starts_with("cam0003/2026-11-07/IMG_000330127."));
        let numbers = [0, 1, 9, 10, 4_999, 5_000, 99_999, 100_000, 123_456_789, 999_999_999];
        let names: Vec<_> = numbers.iter().map(|number| name(&generated, *number)).collect();
        assert!(names.is_sorted());
        for (number, name) in numbers.into_iter().zip(&names) {
            assert_eq!((generated.find(name), generated.seek(name)), (Some(number), number));
            assert_eq!(generated.seek(&format!("{name}x")), number + 1);
            assert_eq!(generated.find(&name.replace("2026-11", "2026-12")), None);
        }
        assert_eq!((generated.seek(""), generated.seek("d")), (0, 1_000_000_000));
    }

    #[test]
    fn kinds_and_sizes_follow_the_mix() {
        let mix = Mix { jpeg: 3, mp4: 1, ..Mix { jpeg: 0, ..no_files() } };
        let shape = Shape { mix, image_size: (1, 1_000_000), video_size: (7, 7), ..Shape::default() };
        let generated = Generated::new(shape);
        let facts: Vec<_> = (0..8_000).map(|number| generated.facts(number)).collect();
        let (images, videos): (Vec<_>, Vec<_>) = facts.iter().partition(|f| f.content_type == "image/jpeg");
        assert!((5_800..6_200).contains(&images.len()), "{}", images.len());
        assert!(videos.iter().all(|facts| facts.size == TEMPLATES[7].size(0)));
        let mean = images.iter().map(|facts| facts.size).sum::<u64>() / images.len() as u64;
        assert!((480_000..520_000).contains(&mean), "{mean}");
    }

    fn no_files() -> Mix {
        Mix {
            jpeg: 0,
            upright_jpeg: 0,
            rotated_jpeg: 0,
            png: 0,
            rotated_png: 0,
            webp: 0,
            rotated_webp: 0,
            mp4: 0,
            mp4_by_ffmpeg: 0,
        }
    }

    #[test]
    fn only_a_replaced_blob_changes() {
        let generated = Generated::new(Shape::default());
        let version = |number| generated.facts(number).version;
        let before = [version(5), version(6)];
        generated.replace(5);
        assert_ne!(version(5), before[0]);
        assert_eq!(version(6), before[1]);
    }
}
