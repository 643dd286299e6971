//! Compares examinations with direct calls of the probe and the rules, for any answers.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::model::error::Error;
use crate::model::{Access, BlobName, Code, ETag, Facts, Verdict};
use crate::probe::MAX_HELD;

static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile::load("nexus").expect("it is built in"));

const FILES: [&[u8]; 6] = [
    include_bytes!("../../fixtures/demo/cam1/0001.jpg"),
    include_bytes!("../../fixtures/demo/phones/IMG_1004.heic"),
    include_bytes!("../../fixtures/demo/drone/mosaic-exif.png"),
    include_bytes!("../../fixtures/demo/videos/crossing-a.mp4"),
    b"no media at all",
    b"",
];

/// A version of the blob, and how reads of it end.
#[derive(Clone, Debug)]
struct Version {
    blob: Blob,
    bytes: Bytes,
    /// The most bytes in an answer.
    cut: usize,
    /// The index of the read that fails, and its error.
    failure: Option<(usize, ReadError)>,
}

fn errors() -> impl Strategy<Value = ReadError> {
    prop_oneof![
        4 => Just(ReadError::Changed),
        1 => Just(ReadError::Gone),
        1 => Just(ReadError::Archived),
        1 => Just(ReadError::Unreadable("503 ServerBusy".to_owned())),
        1 => Just(ReadError::Refused("409 LeaseLost".to_owned())),
        1 => Just(ReadError::Fatal(Error::new("no permission"))),
    ]
}

fn versions() -> impl Strategy<Value = Version> {
    let name = select(vec!["a.jpg", "a.heic", "a.png", "a.mp4", "notes", "a.json"]);
    let access = prop_oneof![9 => Just(Access::Online), 1 => Just(Access::Archived)];
    let damage = vec((any::<Index>(), any::<u8>()), 0..3);
    let failure = prop::option::of((0..6usize, errors()));
    (name, access, select(FILES.to_vec()), damage, 1..20_000usize, failure).prop_map(
        |(name, access, file, damage, cut, failure)| {
            let mut bytes = file.to_vec();
            for (at, byte) in damage.iter().filter(|_| !file.is_empty()) {
                bytes[at.index(file.len().min(2000))] = *byte;
            }
            let blob = Blob {
                name: BlobName::new(name),
                size: bytes.len() as u64,
                etag: Some(ETag::new(&format!("{}-{}", bytes.len(), damage.len()))),
                last_modified: None,
                access,
            };
            Version { blob, bytes: bytes.into(), cut, failure }
        },
    )
}

/// Examines a blob whose first version is listed and whose second version is found. Returns the verdict, the cost of
/// reading, and for each version the error of its last read, if any.
fn examined(
    first: &Version,
    found: &std::result::Result<Option<Version>, ReadError>,
) -> (Result<Asset>, Reads, Vec<Option<ReadError>>) {
    let (mut examination, mut next) = Examination::begin(first.blob.clone(), Want::default(), None);
    let (mut version, mut read, mut total, mut failures) = (first, 0, Reads::default(), vec![None]);
    loop {
        let stepped = match next {
            Next::Read(range) => {
                let answer = match &version.failure {
                    Some((at, error)) if *at == read => Err(error.clone()),
                    _ => {
                        let (start, end) = (range.start() as usize, range.end() as usize);
                        Ok(version.bytes.slice(start..end.min(start + version.cut)))
                    }
                };
                read += 1;
                total.count_request(true);
                total.bytes += answer.as_ref().map_or(0, |bytes| bytes.len() as u64);
                *examination.blob_and_reads().1 = total;
                *failures.last_mut().expect("one of this version") = answer.as_ref().err().cloned();
                examination.bytes(answer)
            }
            Next::Find => {
                assert_eq!(failures.len(), 1, "it is looked up once");
                let answer = found.as_ref().map_err(Clone::clone);
                if let Ok(Some(now)) = answer {
                    (version, read) = (now, 0);
                    failures.push(None);
                }
                examination.found(answer.map(|now| now.as_ref().map(|now| now.blob.clone())))
            }
            Next::Judge(content) => return (Ok(examination.judge(content, &PROFILE)), total, failures),
        };
        assert!(examination.held() <= MAX_HELD);
        next = match stepped {
            Ok(next) => next,
            Err(error) => return (Err(error), total, failures),
        };
    }
}

/// The facts of a version, from a probe that gets all the bytes it needs.
fn facts(version: &Version) -> Facts {
    let blob = &version.blob;
    let (mut probe, mut step) = Probe::wanting(Want::default(), blob.size, blob.name.extension());
    loop {
        step = match step {
            Step::Done(facts) => return facts,
            Step::Need(range) => {
                probe.step(version.bytes.slice(range.start() as usize..range.end() as usize))
            }
        };
    }
}

/// The verdict of the rules on a version, after its reads ended with `failure` or succeeded.
fn direct(version: &Version, failure: Option<&ReadError>, reads: Reads) -> Result<Asset> {
    let content = match failure {
        None => rules::without_reading(&version.blob).unwrap_or_else(|| Content::Facts(facts(version))),
        Some(ReadError::Changed) => Content::Changed,
        Some(ReadError::Gone) => Content::Skipped(Skip::Gone),
        Some(ReadError::Archived) => Content::Archived,
        Some(ReadError::Unreadable(why)) => Content::Unreadable(why.clone()),
        Some(ReadError::Refused(why)) => Content::Unreachable(why.as_str().into()),
        Some(ReadError::Fatal(error)) => return Err(error.clone()),
    };
    Ok(rules::judge(version.blob.clone(), content, reads, &PROFILE))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_verdict_is_that_of_a_direct_call(
        first in versions(),
        found in prop_oneof![
            6 => versions().prop_map(|now| Ok(Some(now))),
            1 => Just(Ok(None)),
            1 => errors().prop_map(Err),
        ],
    ) {
        let (asset, reads, failures) = examined(&first, &found);
        let expected = match (&failures[..], &found) {
            ([_, of_second], Ok(Some(second))) => direct(second, of_second.as_ref(), reads),
            ([Some(ReadError::Changed)], Ok(None)) => direct(&first, Some(&ReadError::Gone), reads),
            ([Some(ReadError::Changed)], Err(error)) => direct(&first, Some(error), reads),
            ([of_first], _) => direct(&first, of_first.as_ref(), reads),
            _ => panic!("{failures:?}"),
        };
        prop_assert_eq!(asset, expected);
    }
}

#[test]
fn what_was_released_is_read_again_and_judged_the_same() {
    for (name, file) in ["a.jpg", "a.heic", "a.png", "a.mp4"].into_iter().zip(FILES) {
        let size = file.len() as u64;
        let blob =
            Blob { name: BlobName::new(name), size, etag: None, last_modified: None, access: Access::Online };
        let judged = |released_at: usize| {
            let (mut examination, mut next) = Examination::begin(blob.clone(), Want::default(), Some(64));
            for read in 0.. {
                next = match next {
                    Next::Read(_) if read == released_at => {
                        let next = examination.release();
                        assert_eq!((examination.held(), &next), (0, &Next::Read(ByteRange::new(0, 64))));
                        next
                    }
                    Next::Read(range) => {
                        let bytes = &file[range.start() as usize..range.end() as usize];
                        examination.bytes(Ok(Bytes::copy_from_slice(bytes))).expect("a step")
                    }
                    Next::Find => unreachable!("nothing has changed"),
                    Next::Judge(content) => return examination.judge(content, &PROFILE),
                };
            }
            unreachable!("it ends")
        };
        let once = judged(usize::MAX);
        for released_at in 0..4 {
            assert_eq!(judged(released_at), once, "{name}, released before read {released_at}");
        }
    }
}

#[test]
fn a_parser_that_panics_costs_one_verdict() {
    let Next::Judge(content) = guarded(|| panic!("on purpose")) else { panic!("it can be judged") };
    let blob = Blob {
        name: BlobName::new("a.jpg"),
        size: 10,
        etag: None,
        last_modified: None,
        access: Access::Online,
    };
    let (examination, _) = Examination::begin(blob, Want::default(), None);
    let asset = examination.judge(content, &PROFILE);
    assert_eq!((asset.verdict, asset.findings[0].code), (Verdict::Unknown, Code::Unreadable));
}
