//! Configuration of the server: plain values that can be read from a JSON file.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::model::error::{Error, Result};

/// The most blobs in a [`Shape`]: their numbers have nine digits.
pub const MAX_SHAPE_BLOBS: u64 = 1_000_000_000;

/// The most blobs on a listing page ("List Blobs", `maxresults`).
pub const MAX_PAGE: u64 = 5_000;

/// The most containers in a [`Fleet`]: their numbers have five digits.
pub const MAX_FLEET: u32 = 100_000;

/// The configuration of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The storage account, which is the first segment of every path.
    pub account: String,
    /// The port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// Use TLS instead of plain HTTP.
    pub tls: Option<Tls>,
    /// The containers by name.
    pub containers: BTreeMap<String, Content>,
    /// Many additional containers.
    pub fleet: Option<Fleet>,
    /// The most items on a page, at most [`MAX_PAGE`]. Like the real service, a page may have fewer than requested.
    pub page_size: u64,
    /// The order of names in listings.
    pub order: Order,
    /// The origins allowed in a CORS preflight; `*` for all.
    pub allowed_origins: Vec<String>,
    /// The accepted bearer tokens. If empty, requests are accepted with any credential or none.
    pub bearer_tokens: Vec<String>,
    /// The faults to inject.
    pub faults: Faults,
}

/// The order in which names are listed. Only that of the bytes is fast for millions of names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By UTF-8 bytes.
    #[default]
    Bytes,
    /// Folder by folder, as accounts with a hierarchical namespace list: `cam1`, `cam1/a.jpg`, `cam1-raw`.
    DepthFirst,
    /// By UTF-16 code units.
    Utf16,
    /// In an order that has nothing to do with the names.
    Shuffled,
}

impl Order {
    /// Compares two names.
    pub fn compare(self, left: &str, right: &str) -> Ordering {
        let hash = |name: &str| {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            hasher.finish()
        };
        match self {
            Self::Bytes => left.cmp(right),
            Self::DepthFirst => left.split('/').cmp(right.split('/')),
            Self::Utf16 => left.encode_utf16().cmp(right.encode_utf16()),
            Self::Shuffled => (hash(left), left).cmp(&(hash(right), right)),
        }
    }
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The server's certificate, followed by any intermediate certificates.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The content of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Blobs that are computed from their number and not stored.
    Shape(Shape),
    /// The given blobs.
    Blobs(Vec<Blob>),
}

/// Thousands of containers: `site-00000` and so on. Their blobs have the same shape but different seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// The prefix of every name, such as `site-`.
    pub name: String,
    /// The number of containers, at most [`MAX_FLEET`].
    pub containers: u32,
    /// The content of each container, apart from the seed.
    #[serde(default)]
    pub shape: Shape,
}

/// Millions of blobs: every property is a function of the seed and the blob's number.
///
/// * Names look like `cam0003/2026-11-07/IMG_000330127.jpg` and sort in the order of the numbers.
/// * A blob is a complete small file of its kind, followed by zeros if the format allows it (JPEG and MP4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// The number of blobs, at most [`MAX_SHAPE_BLOBS`].
    pub blobs: u64,
    /// The seed for kinds, sizes and ETags.
    pub seed: u64,
    /// The share of each kind of file.
    pub mix: Mix,
    /// The smallest and largest JPEG, in bytes. A JPEG is never shorter than the file it starts with.
    pub image_size: (u64, u64),
    /// The smallest and largest MP4, in bytes. An MP4 is never shorter than the file it starts with.
    pub video_size: (u64, u64),
}

/// The weight of each kind of file. The `nexus` profile accepts all except the rotated ones and `mp4_by_ffmpeg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// JPEG without an EXIF orientation.
    pub jpeg: u32,
    /// JPEG with orientation 1.
    pub upright_jpeg: u32,
    /// JPEG with orientation 6.
    pub rotated_jpeg: u32,
    /// PNG without an EXIF orientation.
    pub png: u32,
    /// PNG with orientation 6.
    pub rotated_png: u32,
    /// WebP without an EXIF orientation.
    pub webp: u32,
    /// WebP with orientation 6.
    pub rotated_webp: u32,
    /// MP4 of 120 frames with major brand `mp42`, `moov` before `mdat`.
    pub mp4: u32,
    /// MP4 of 30 frames with major brand `isom`, `moov` after `mdat`.
    pub mp4_by_ffmpeg: u32,
}

/// A blob with given content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blob {
    /// Its name, not percent-encoded.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its ETag, without quotes; `None` creates a new one on every write.
    pub etag: Option<String>,
    /// Its access tier. A blob in `Archive` is listed but cannot be read.
    pub tier: Tier,
    /// Its metadata, listed if the request has `include=metadata`.
    pub metadata: BTreeMap<String, String>,
    /// If above 0, there are this many blobs with this content instead, named `000000-NAME` and so on.
    pub copies: u32,
}

/// An access tier, as the service spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// For frequent reads.
    #[default]
    Hot,
    /// For occasional reads.
    Cool,
    /// For rare reads.
    Cold,
    /// Offline: must be rehydrated before it can be read.
    Archive,
}

impl Tier {
    /// The name used in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hot => "Hot",
            Self::Cool => "Cool",
            Self::Cold => "Cold",
            Self::Archive => "Archive",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account: "loopback".to_owned(),
            port: 0,
            tls: None,
            containers: BTreeMap::from([("media".to_owned(), Content::Shape(Shape::default()))]),
            fleet: None,
            page_size: MAX_PAGE,
            order: Order::default(),
            allowed_origins: Vec::new(),
            bearer_tokens: Vec::new(),
            faults: Faults::default(),
        }
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            blobs: 10_000,
            seed: 0,
            mix: Mix::default(),
            image_size: (20_000, 8_000_000),
            video_size: (1_000_000, 400_000_000),
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            jpeg: 40,
            upright_jpeg: 30,
            rotated_jpeg: 10,
            png: 8,
            rotated_png: 1,
            webp: 4,
            rotated_webp: 1,
            mp4: 4,
            mp4_by_ffmpeg: 2,
        }
    }
}

impl Config {
    /// Configures a server with one container.
    pub fn of(container: impl Into<String>, content: Content) -> Self {
        Self { containers: BTreeMap::from([(container.into(), content)]), ..Self::default() }
    }

    /// Every container with its content, including those of the fleet.
    pub(crate) fn all_containers(&self) -> impl Iterator<Item = (String, Content)> {
        let fleet = self.fleet.iter().flat_map(|Fleet { name, containers, shape }| {
            (0..*containers).map(move |number| {
                // Seeds are far apart, so that a container is not a shifted copy of the next one.
                let seed = shape.seed ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                (format!("{name}{number:05}"), Content::Shape(Shape { seed, ..shape.clone() }))
            })
        });
        self.containers.clone().into_iter().chain(fleet)
    }

    /// # Errors
    ///
    /// Returns an error if a value is out of range.
    pub(super) fn check(&self) -> Result<()> {
        for content in self.containers.values() {
            if let Content::Shape(shape) = content {
                shape.check()?;
            }
        }
        if let Some(fleet) = &self.fleet {
            fleet.shape.check()?;
            if fleet.containers > MAX_FLEET {
                return Err(Error::new(format!("a fleet can have at most {MAX_FLEET} containers")));
            }
        }
        if !(1..=MAX_PAGE).contains(&self.page_size) {
            return Err(Error::new(format!("the page size must be 1 to {MAX_PAGE} items")));
        }
        self.faults.check()
    }
}

impl Shape {
    fn check(&self) -> Result<()> {
        if self.blobs > MAX_SHAPE_BLOBS {
            return Err(Error::new(format!("a shape can have at most {MAX_SHAPE_BLOBS} blobs")));
        }
        if [self.image_size, self.video_size].iter().any(|(least, most)| least > most) {
            return Err(Error::new("the smallest size of a shape exceeds the largest"));
        }
        match self.mix.weights().iter().map(|weight| u64::from(*weight)).sum() {
            0 | 4_294_967_296.. => {
                Err(Error::new("the weights of a mix must add up to a number from 1 to 4294967295"))
            }
            _ => Ok(()),
        }
    }
}

impl Mix {
    /// The weights, in field order.
    pub(super) fn weights(&self) -> [u32; 9] {
        [
            self.jpeg,
            self.upright_jpeg,
            self.rotated_jpeg,
            self.png,
            self.rotated_png,
            self.webp,
            self.rotated_webp,
            self.mp4,
            self.mp4_by_ffmpeg,
        ]
    }
}
