//! The blobs of a container: found by name, and visited in name order.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Bound;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use jiff::Timestamp;

use super::config::{Blob, Content, Tier};
use super::shape::Generated;
use crate::model::error::{Error, Result};

/// The blobs of a container.
pub(super) enum Store {
    /// Generated blobs.
    Generated(Box<Generated>),
    /// Given blobs, by name.
    Shelf(RwLock<Shelf>),
}

#[derive(Default)]
pub(super) struct Shelf {
    blobs: BTreeMap<String, Stored>,
    /// ETags created so far.
    versions: u64,
}

#[derive(Clone)]
struct Stored {
    bytes: Bytes,
    etag: String,
    last_modified: String,
    tier: Tier,
    metadata: BTreeMap<String, String>,
}

/// A blob, for listing.
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub size: u64,
    pub etag: &'a str,
    pub last_modified: &'a str,
    pub content_type: &'static str,
    pub tier: Tier,
    pub metadata: Option<&'a BTreeMap<String, String>>,
}

/// A blob, for reading.
pub(super) struct Found {
    /// The bytes it starts with; the rest are zeros.
    pub head: Bytes,
    pub size: u64,
    pub etag: String,
    pub last_modified: String,
    pub content_type: &'static str,
    pub tier: Tier,
}

/// Where to continue a visit.
pub(super) enum Next {
    /// At the next blob.
    On,
    /// At the first blob whose name is this or later.
    From(String),
    /// Nowhere: the visit ends.
    Stop,
}

impl Store {
    pub(super) fn new(content: Content) -> Self {
        match content {
            Content::Shape(shape) => Self::Generated(Box::new(Generated::new(shape))),
            Content::Blobs(blobs) => {
                let mut shelf = Shelf::default();
                blobs.into_iter().for_each(|blob| shelf.put(blob));
                Self::Shelf(RwLock::new(shelf))
            }
        }
    }

    /// The blob with this name.
    pub(super) fn find(&self, name: &str) -> Option<Found> {
        match self {
            Self::Generated(generated) => {
                let facts = generated.facts(generated.find(name)?);
                Some(Found {
                    head: facts.head.slice(..facts.head.len().min(clamp(facts.size))),
                    size: facts.size,
                    etag: etag(facts.version),
                    last_modified: facts.last_modified.to_owned(),
                    content_type: facts.content_type,
                    tier: Tier::Hot,
                })
            }
            Self::Shelf(shelf) => {
                let shelf = read(shelf);
                let stored = shelf.blobs.get(name)?;
                Some(Found {
                    head: stored.bytes.clone(),
                    size: stored.bytes.len() as u64,
                    etag: stored.etag.clone(),
                    last_modified: stored.last_modified.clone(),
                    content_type: "application/octet-stream",
                    tier: stored.tier,
                })
            }
        }
    }

    /// Visits the blobs, starting at the name `from`.
    pub(super) fn visit(&self, from: &str, mut visit: impl FnMut(&Entry<'_>) -> Next) {
        match self {
            Self::Generated(generated) => visit_generated(generated, from, &mut visit),
            Self::Shelf(shelf) => read(shelf).visit(from, &mut visit),
        }
    }

    /// Gives a blob a new ETag, with the same content.
    pub(super) fn replace(&self, name: &str) {
        match self {
            Self::Generated(generated) => generated.find(name).into_iter().for_each(|n| generated.replace(n)),
            Self::Shelf(shelf) => write(shelf).replace(name),
        }
    }

    /// Writes a blob, replacing any existing one.
    pub(super) fn put(&self, blob: Blob) -> Result<()> {
        self.shelf()?.put(blob);
        Ok(())
    }

    /// Deletes the blob with this name, if there is one.
    pub(super) fn delete(&self, name: &str) -> Result<()> {
        self.shelf()?.blobs.remove(name);
        Ok(())
    }

    fn shelf(&self) -> Result<RwLockWriteGuard<'_, Shelf>> {
        match self {
            Self::Generated(_) => Err(Error::new("cannot write to a container of generated blobs")),
            Self::Shelf(shelf) => Ok(write(shelf)),
        }
    }
}

impl Shelf {
    fn put(&mut self, blob: Blob) {
        let last_modified = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let Blob { name, bytes, etag, tier, metadata, copies } = blob;
        let stored = Stored { bytes: bytes.into(), etag: String::new(), last_modified, tier, metadata };
        let copied = (0..copies).map(|copy| format!("{copy:06}-{name}"));
        let names = if copies == 0 { vec![name.clone()] } else { copied.collect() };
        for name in names {
            let etag = etag.clone().unwrap_or_else(|| self.next_etag());
            self.blobs.insert(name, Stored { etag, ..stored.clone() });
        }
    }

    fn replace(&mut self, name: &str) {
        let etag = self.next_etag();
        if let Some(stored) = self.blobs.get_mut(name) {
            stored.etag = etag;
        }
    }

    fn next_etag(&mut self) -> String {
        self.versions += 1;
        etag(self.versions)
    }

    fn visit(&self, from: &str, visit: &mut impl FnMut(&Entry<'_>) -> Next) {
        let rest = |from: &str| self.blobs.range::<str, _>((Bound::Included(from), Bound::Unbounded));
        let mut blobs = rest(from);
        while let Some((name, stored)) = blobs.next() {
            let next = visit(&Entry {
                name,
                size: stored.bytes.len() as u64,
                etag: &stored.etag,
                last_modified: &stored.last_modified,
                content_type: "application/octet-stream",
                tier: stored.tier,
                metadata: Some(&stored.metadata),
            });
            match next {
                Next::On => {}
                Next::From(from) => blobs = rest(&from),
                Next::Stop => return,
            }
        }
    }
}

fn visit_generated(generated: &Generated, from: &str, visit: &mut impl FnMut(&Entry<'_>) -> Next) {
    let (mut name, mut tag) = (String::new(), String::new());
    let mut number = generated.seek(from);
    while number < generated.len() {
        name.clear();
        generated.write_name(number, &mut name);
        let facts = generated.facts(number);
        tag.clear();
        write_etag(facts.version, &mut tag);
        let next = visit(&Entry {
            name: &name,
            size: facts.size,
            etag: &tag,
            last_modified: facts.last_modified,
            content_type: facts.content_type,
            tier: Tier::Hot,
            metadata: None,
        });
        match next {
            Next::On => number += 1,
            Next::From(from) => number = generated.seek(&from),
            Next::Stop => return,
        }
    }
}

fn etag(version: u64) -> String {
    let mut etag = String::with_capacity(17);
    write_etag(version, &mut etag);
    etag
}

/// Writes an ETag in the format of the service: `0x8D` and 13 hexadecimal digits.
fn write_etag(version: u64, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "0x8D{:013X}", version & 0xF_FFFF_FFFF_FFFF);
}

fn clamp(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn read(shelf: &RwLock<Shelf>) -> RwLockReadGuard<'_, Shelf> {
    shelf.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write(shelf: &RwLock<Shelf>) -> RwLockWriteGuard<'_, Shelf> {
    shelf.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}
