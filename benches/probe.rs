//! The probe, format by format, and other parsers over the same bytes.
//!
//! One iteration examines every file of a format, all of them in memory; the throughput is given for one file.
//! `cargo bench --bench probe`, with `PRESYNC_CORPUS` for a corpus of one's own.

#![expect(clippy::expect_used, reason = "a bench that cannot go on says what it expected")]

mod support;

use std::hint::black_box;
use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkGroup, Criterion, Throughput};
use exif::{In, Tag};
use image::ImageDecoder;
use image::codecs::jpeg::JpegDecoder;
use nom_exif::{Exif, ExifTag, MediaParser, MediaSource, TrackInfoTag};

use support::{File, Group, corpus, fragmented_movie, movie};

fn main() {
    let mut criterion = Criterion::default()
        .with_measurement(PerFile)
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args();
    for Group { format, files } in &corpus() {
        if !files.is_empty() {
            let mut group = criterion.benchmark_group(format.replace('/', "+"));
            match *format {
                "mp4/mov/3gp" => videos(&mut group, files),
                format => images(&mut group, files, format),
            }
        }
    }
    sizes(&mut criterion.benchmark_group("moov"));
    fragments(&mut criterion.benchmark_group("fragments"));
    criterion.final_summary();
}

fn images(group: &mut BenchmarkGroup<'_, PerFile>, files: &[File], format: &str) {
    each(group, "presync", files, |file| file.probe(|_| {}).orientation);
    if format == "jpeg" {
        each(group, "bare walk", files, |file| app1(&file.bytes).and_then(ifd0_orientation));
    } else {
        bare_pass(group, files);
    }
    each(group, "kamadak-exif", files, |file| {
        let exif = exif::Reader::new().read_from_container(&mut Cursor::new(&file.bytes[..])).ok()?;
        exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0)
    });
    if format == "jpeg" {
        let blocks: Vec<_> = files.iter().filter_map(|file| app1(&file.bytes)).collect();
        each(group, "kamadak-exif read_raw", &blocks, |block| {
            let exif = exif::Reader::new().read_raw(block.to_vec()).ok()?;
            exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0)
        });
        each(group, "image", files, |file| {
            JpegDecoder::new(Cursor::new(&file.bytes[..])).ok()?.orientation().ok()
        });
    }
    let mut parser = MediaParser::new();
    each(group, "nom-exif", files, |file| {
        let source = MediaSource::from_memory(file.bytes.clone()).ok()?;
        let exif: Exif = parser.parse_exif(source).ok()?.into();
        exif.get(ExifTag::Orientation)?.as_u16()
    });
}

fn videos(group: &mut BenchmarkGroup<'_, PerFile>, files: &[File]) {
    each(group, "presync", files, |file| file.probe(|_| {}).video);
    bare_pass(group, files);
    each(group, "mp4parse", files, |file| mp4parse::read_mp4(&mut Cursor::new(&file.bytes[..])).ok());
    // mp4parse takes a stream and so reads what it does not need: here it is left out.
    let headers: Vec<_> = files.iter().map(|file| header_boxes(&file.bytes)).collect();
    each(group, "mp4parse without mdat", &headers, |header| {
        mp4parse::read_mp4(&mut Cursor::new(&header[..])).ok()
    });
    let mut parser = MediaParser::new();
    each(group, "nom-exif", files, |file| {
        let source = MediaSource::from_memory(file.bytes.clone()).ok()?;
        parser.parse_track(source).ok()?.get(TrackInfoTag::Width)?.as_u32()
    });
}

/// A movie header of 30 samples and one of a million: the tables are leapt over, so it must make no difference.
fn sizes(group: &mut BenchmarkGroup<'_, PerFile>) {
    for (samples, edited) in [(30, false), (1_000_000, false), (30, true), (1_000_000, true)] {
        let kind = if edited { "samples, edit list" } else { "samples" };
        let file = [File::new("movie.mp4", movie(samples, edited))];
        let counted = |file: &File| Some(file.probe(|_| {}).video?.tracks.first()?.frames);
        assert_eq!(counted(&file[0]), Some(Some(u64::from(samples))), "the movie is as it should be");
        each(group, &format!("presync, {samples} {kind}"), &file, counted);
        each(group, &format!("mp4parse, {samples} {kind}"), &file, |file| {
            mp4parse::read_mp4(&mut Cursor::new(&file.bytes[..])).ok()
        });
    }
}

/// Fragments that a read each leads to: after every one, the probe runs again from the start.
fn fragments(group: &mut BenchmarkGroup<'_, PerFile>) {
    for fragments in [1, 100] {
        let file = [File::new("movie.mp4", fragmented_movie(fragments))];
        let counted = |file: &File| Some(file.probe(|_| {}).video?.tracks.first()?.frames);
        assert_eq!(counted(&file[0]), Some(Some(u64::from(fragments) * 60)), "the movie is as it should be");
        each(group, &format!("presync, {fragments}"), &file, counted);
    }
}

/// Measures `work` over all of `items`.
fn each<T, R>(
    group: &mut BenchmarkGroup<'_, PerFile>,
    name: &str,
    items: &[T],
    mut work: impl FnMut(&T) -> R,
) {
    if items.is_empty() {
        return;
    }
    group.throughput(Throughput::Elements(items.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for item in items {
                black_box(work(black_box(item)));
            }
        });
    });
}

/// The least that touches every byte that the probe is given: their sum.
fn bare_pass(group: &mut BenchmarkGroup<'_, PerFile>, files: &[File]) {
    let given: Vec<_> = files
        .iter()
        .map(|file| {
            let mut given: Vec<Bytes> = Vec::new();
            file.probe(|bytes| given.push(bytes.clone()));
            given
        })
        .collect();
    each(group, "bare pass", &given, |given| {
        let bytes = given.iter().flat_map(|bytes| bytes.iter());
        bytes.fold(0u64, |sum, byte| sum + u64::from(*byte))
    });
}

/// The EXIF block of a JPEG, by the least work that finds it in what cameras write.
fn app1(jpeg: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        let [0xFF, marker, high, low] = *jpeg.get(at..at + 4)? else { return None };
        let end = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        match marker {
            0xDA => return None,
            0xE1 if jpeg.get(at + 4..at + 10) == Some(b"Exif\0\0") => return jpeg.get(at + 10..end),
            _ => at = end,
        }
    }
}

/// The orientation in an EXIF block, likewise.
fn ifd0_orientation(block: &[u8]) -> Option<u16> {
    let big_endian = block.first()? == &b'M';
    let short = |at: usize| {
        let bytes = *block.get(at..)?.first_chunk()?;
        Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let (high, low) = if big_endian { (short(4)?, short(6)?) } else { (short(6)?, short(4)?) };
    let ifd0 = usize::from(high) << 16 | usize::from(low);
    let entries = (0..usize::from(short(ifd0)?)).map(|index| ifd0 + 2 + 12 * index);
    for at in entries {
        if short(at)? == 0x0112 {
            return short(at + 8);
        }
    }
    None
}

/// A file with nothing but its `ftyp` and `moov`.
fn header_boxes(file: &[u8]) -> Vec<u8> {
    let mut boxes = Vec::new();
    let mut rest = file;
    while let Some((head, _)) = rest.split_first_chunk::<16>() {
        let [s0, s1, s2, s3, kind @ .., l0, l1, l2, l3, l4, l5, l6, l7] = *head;
        let size = match u32::from_be_bytes([s0, s1, s2, s3]) {
            0 => rest.len() as u64,
            1 => u64::from_be_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
            size => u64::from(size),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX).clamp(8, rest.len());
        if matches!(&kind, b"ftyp" | b"moov") {
            boxes.extend(&rest[..size]);
        }
        rest = &rest[size..];
    }
    boxes
}

/// Wall time, with the throughput as time for one file.
struct PerFile;

impl Measurement for PerFile {
    type Intermediate = <WallTime as Measurement>::Intermediate;
    type Value = Duration;

    fn start(&self) -> Self::Intermediate {
        WallTime.start()
    }

    fn end(&self, start: Self::Intermediate) -> Duration {
        WallTime.end(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for PerFile {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(&self, typical: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        let Throughput::Elements(files) = throughput else {
            return WallTime.formatter().scale_throughputs(typical, throughput, values);
        };
        for value in values {
            *value /= *files as f64;
        }
        "ns/file"
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
