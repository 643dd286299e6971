//! What the server serves, and how: plain values that a JSON file can hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::model::error::{Error, Result};

/// The most blobs of a [`Shape`]: their numbers have nine digits.
pub const MAX_SHAPE_BLOBS: u64 = 1_000_000_000;

/// The most blobs on a page of a listing ("List Blobs", `maxresults`).
pub const MAX_PAGE: u64 = 5_000;

/// The most containers of a [`Fleet`]: their numbers have five digits.
pub const MAX_FLEET: u32 = 100_000;

/// What a server is started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The storage account, which is the first part of every path.
    pub account: String,
    /// The port on 127.0.0.1; 0 takes any that is free.
    pub port: u16,
    /// Speak TLS instead of plain http.
    pub tls: Option<Tls>,
    /// The containers by name.
    pub containers: BTreeMap<String, Content>,
    /// Many containers besides.
    pub fleet: Option<Fleet>,
    /// The most items on a page, at most [`MAX_PAGE`]: the service may send fewer than it is asked for.
    pub page_size: u64,
    /// The origins that a CORS preflight is granted to; `*` stands for all.
    pub allowed_origins: Vec<String>,
    /// The bearer tokens that are accepted. When there are none, any credential is, and so is none at all.
    pub bearer_tokens: Vec<String>,
    /// What goes wrong.
    pub faults: Faults,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate of the server, then those between it and the CA.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What a container holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Blobs that are computed from their number and held nowhere.
    Shape(Shape),
    /// These blobs.
    Blobs(Vec<Blob>),
}

/// Containers by the thousand: `site-00000` and so on, whose blobs have the same shape and differ by their seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// What every name begins with, such as `site-`.
    pub name: String,
    /// How many containers there are, at most [`MAX_FLEET`].
    pub containers: u32,
    /// What each holds. Each container has a seed of its own.
    #[serde(default)]
    pub shape: Shape,
}

/// Blobs by the million: every property is a function of the seed and of the blob's number.
///
/// * Names such as `cam0003/2026-11-07/IMG_000330127.jpg`; the order of the names is that of the numbers.
/// * A blob is a whole small file of its kind; zeros follow it where the format allows that, in JPEG and MP4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// How many blobs there are, at most [`MAX_SHAPE_BLOBS`].
    pub blobs: u64,
    /// What kinds, sizes and ETags are drawn from.
    pub seed: u64,
    /// How often each kind of file occurs.
    pub mix: Mix,
    /// The smallest and the largest JPEG, in bytes. None is shorter than the file that it begins with.
    pub image_size: (u64, u64),
    /// The smallest and the largest MP4, in bytes, likewise.
    pub video_size: (u64, u64),
}

/// The weight of each kind of file. The profile `nexus` accepts all but the rotated ones and `mp4_by_ffmpeg`.
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

/// A blob that is given as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blob {
    /// Its name, not encoded.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its version, without quotes; a new one every time when `None`.
    pub etag: Option<String>,
    /// Its access tier; a blob in `Archive` is listed and not read.
    pub tier: Tier,
    /// Its metadata, listed when the request has `include=metadata`.
    pub metadata: BTreeMap<String, String>,
}

/// An access tier, as the service spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// For what is read often.
    #[default]
    Hot,
    /// For what is read now and then.
    Cool,
    /// For what is hardly read.
    Cold,
    /// Offline.
    Archive,
}

impl Tier {
    /// The name in a listing.
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
    /// A server with one container.
    pub fn of(container: impl Into<String>, content: Content) -> Self {
        Self { containers: BTreeMap::from([(container.into(), content)]), ..Self::default() }
    }

    /// Every container with its content, those of the fleet too.
    pub fn all_containers(&self) -> impl Iterator<Item = (String, Content)> {
        let fleet = self.fleet.iter().flat_map(|Fleet { name, containers, shape }| {
            (0..*containers).map(move |number| {
                // Far apart, so that no container looks like the next one, shifted.
                let seed = shape.seed ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                (format!("{name}{number:05}"), Content::Shape(Shape { seed, ..shape.clone() }))
            })
        });
        self.containers.clone().into_iter().chain(fleet)
    }

    /// # Errors
    ///
    /// A number is out of its range.
    pub(super) fn check(&self) -> Result<()> {
        for content in self.containers.values() {
            if let Content::Shape(shape) = content {
                shape.check()?;
            }
        }
        if let Some(fleet) = &self.fleet {
            fleet.shape.check()?;
            if fleet.containers > MAX_FLEET {
                return Err(Error::new(format!("a fleet has at most {MAX_FLEET} containers")));
            }
        }
        if !(1..=MAX_PAGE).contains(&self.page_size) {
            return Err(Error::new(format!("a page has 1 to {MAX_PAGE} items")));
        }
        self.faults.check()
    }
}

impl Shape {
    fn check(&self) -> Result<()> {
        if self.blobs > MAX_SHAPE_BLOBS {
            return Err(Error::new(format!("a shape has at most {MAX_SHAPE_BLOBS} blobs")));
        }
        if [self.image_size, self.video_size].iter().any(|(least, most)| least > most) {
            return Err(Error::new("the smallest size of a shape is above the largest"));
        }
        match self.mix.weights().iter().map(|weight| u64::from(*weight)).sum() {
            0 | 4_294_967_296.. => {
                Err(Error::new("the weights of a mix add up to 0, or to more than 32 bits"))
            }
            _ => Ok(()),
        }
    }
}

impl Mix {
    /// The weights in the order of their fields.
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
