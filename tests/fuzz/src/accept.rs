//! presync's verdict on a file, and what must hold whenever it is "accept".

use std::sync::LazyLock;

use crate::examine::{Examination, Next};
use crate::model::{Access, Asset, Blob, BlobName, Kind, Orientation, Verdict};
use crate::probe::Want;
use crate::rules::Profile;
use crate::{Asks, Blob as Bytes};

static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile::load("nexus").expect("it is built in"));

/// Examines a file of this name. Panics when it is accepted and not known in full; a parser that panics ends the target
/// too, because libFuzzer's hook aborts before the examination could catch it.
pub fn judged(name: &str, bytes: &[u8]) -> Asset {
    let blob = Blob {
        name: BlobName::new(name),
        size: bytes.len() as u64,
        etag: None,
        last_modified: None,
        access: Access::Online,
        declared: Default::default(),
    };
    let (mut examination, mut next) = Examination::begin(blob, Want::default(), None);
    let mut asks = Asks::default();
    let asset = loop {
        next = match next {
            Next::Read(range) => {
                let answer = asks.answer(&Bytes::of(bytes), range, range.len());
                examination.bytes(Ok(answer)).expect("bytes end no run")
            }
            Next::Find => unreachable!("nothing has changed"),
            Next::Judge(content) => break examination.judge(content, &PROFILE),
        };
    };
    if asset.verdict == Verdict::Accept {
        check_accepted(&asset);
    }
    asset
}

fn check_accepted(asset: &Asset) {
    let facts = &asset.facts;
    assert!(facts.malformed.is_none() && facts.gap.is_none(), "{asset:?}");
    match asset.kind {
        Kind::Image => {
            assert!(matches!(facts.orientation, Orientation::Absent | Orientation::Value(1)), "{asset:?}");
            assert!(asset.cost.images == 1 && asset.cost.frames == 0, "{asset:?}");
        }
        Kind::Video => {
            let video = facts.video.as_ref().expect("a video that is accepted was read");
            assert!(video.major_brand.is_some_and(|brand| &brand.0 == b"mp42"), "{asset:?}");
            assert!(!video.tracks.is_empty(), "{asset:?}");
            for track in &video.tracks {
                assert!(track.pixel_format.as_deref() == Some("yuv420p"), "{asset:?}");
                assert!(track.frames.is_some(), "{asset:?}");
            }
            let frames = video.tracks[0].frames.unwrap_or(0);
            assert!(frames > 0 && asset.cost.frames >= frames && asset.cost.images == 0, "{asset:?}");
        }
        Kind::Other => panic!("{asset:?}"),
    }
}
