//! From assets to columns.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, Field};

use super::{MICROSECOND, signed};
use crate::model::{Access, Asset, Blob, Facts, Finding, Gap, Mirror, Orientation, Skip, Video, VideoTrack};

/// A column: its name, its values, and whether there may be none.
type Column = (&'static str, ArrayRef, bool);

/// Rows of a plan that are being filled, one for each asset.
#[derive(Debug, Default)]
pub struct Columns {
    rows: usize,
    blob: BlobColumns,
    kind: StringBuilder,
    facts: FactColumns,
    video: VideoColumns,
    verdict: StringBuilder,
    skipped: StringBuilder,
    cost_images: Int64Builder,
    cost_frames: Int64Builder,
    findings: Lists,
    finding: FindingColumns,
    reads_requests: Int64Builder,
    reads_retries: Int64Builder,
    reads_bytes: Int64Builder,
}

impl Columns {
    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Takes an asset as the next row.
    pub fn add(&mut self, asset: &Asset) {
        self.rows += 1;
        self.blob.add(&asset.blob);
        self.kind.append_value(asset.kind.as_str());
        self.facts.add(&asset.facts);
        self.video.add(asset.facts.video.as_deref());
        self.verdict.append_value(asset.verdict.as_str());
        self.skipped.append_option(asset.skipped.map(Skip::as_str));
        self.cost_images.append_value(signed(asset.cost.images));
        self.cost_frames.append_value(signed(asset.cost.frames));
        self.findings.add(Some(asset.findings.len()));
        asset.findings.iter().for_each(|finding| self.finding.add(finding));
        self.reads_requests.append_value(asset.reads.requests.into());
        self.reads_retries.append_value(asset.reads.retries.into());
        self.reads_bytes.append_value(signed(asset.reads.bytes));
    }

    /// The rows so far, after which there are none.
    ///
    /// # Errors
    /// When the columns make no batch, which would be a defect.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let mut columns = self.blob.take();
        columns.push(("kind", Arc::new(self.kind.finish()), false));
        columns.extend(self.facts.take());
        columns.extend(self.video.take()?);
        columns.extend([
            ("verdict", Arc::new(self.verdict.finish()) as ArrayRef, false),
            ("skipped", Arc::new(self.skipped.finish()), true),
            ("cost_images", Arc::new(self.cost_images.finish()), false),
            ("cost_frames", Arc::new(self.cost_frames.finish()), false),
            ("findings", self.findings.take(structs(self.finding.take())?, false)?, false),
            ("reads_requests", Arc::new(self.reads_requests.finish()), false),
            ("reads_retries", Arc::new(self.reads_retries.finish()), false),
            ("reads_bytes", Arc::new(self.reads_bytes.finish()), false),
        ]);
        RecordBatch::try_from_iter_with_nullable(columns)
    }
}

#[derive(Debug)]
struct BlobColumns {
    name: StringBuilder,
    size: Int64Builder,
    etag: StringBuilder,
    last_modified: TimestampMicrosecondBuilder,
    /// What the microseconds leave over: Spark reads no nanoseconds, and files have them.
    last_modified_ns: Int32Builder,
    access: StringBuilder,
    access_reason: StringBuilder,
}

impl Default for BlobColumns {
    fn default() -> Self {
        Self {
            name: StringBuilder::default(),
            size: Int64Builder::default(),
            etag: StringBuilder::default(),
            last_modified: TimestampMicrosecondBuilder::default().with_timezone("UTC"),
            last_modified_ns: Int32Builder::default(),
            access: StringBuilder::default(),
            access_reason: StringBuilder::default(),
        }
    }
}

impl BlobColumns {
    fn add(&mut self, blob: &Blob) {
        self.name.append_value(blob.name.as_str());
        self.size.append_value(signed(blob.size));
        self.etag.append_option(blob.etag.as_ref().map(|etag| etag.as_str()));
        let nanoseconds = blob.last_modified.map(|time| time.as_nanosecond());
        self.last_modified.append_option(nanoseconds.map(|time| time.div_euclid(MICROSECOND) as i64));
        self.last_modified_ns.append_option(nanoseconds.map(|time| time.rem_euclid(MICROSECOND) as i32));
        self.access.append_value(blob.access.as_str());
        self.access_reason.append_option(match &blob.access {
            Access::Unreachable(why) => Some(why),
            _ => None,
        });
    }

    fn take(&mut self) -> Vec<Column> {
        vec![
            ("name", Arc::new(self.name.finish()), false),
            ("size", Arc::new(self.size.finish()), false),
            ("etag", Arc::new(self.etag.finish()), true),
            ("last_modified", Arc::new(self.last_modified.finish()), true),
            ("last_modified_ns", Arc::new(self.last_modified_ns.finish()), true),
            ("access", Arc::new(self.access.finish()), false),
            ("access_reason", Arc::new(self.access_reason.finish()), true),
        ]
    }
}

#[derive(Debug, Default)]
struct FactColumns {
    format: StringBuilder,
    width: Int64Builder,
    height: Int64Builder,
    orientation: Int64Builder,
    /// Tells an image without the tag from one whose bytes do not tell.
    orientation_read: BooleanBuilder,
    rotation: Int32Builder,
    mirror: StringBuilder,
    malformed_part: StringBuilder,
    malformed_fault: StringBuilder,
    malformed_offset: Int64Builder,
    gap: StringBuilder,
}

impl FactColumns {
    fn add(&mut self, facts: &Facts) {
        self.format.append_value(facts.format.as_str());
        self.width.append_option(facts.width.map(i64::from));
        self.height.append_option(facts.height.map(i64::from));
        self.orientation.append_option(facts.orientation.value());
        self.orientation_read.append_value(facts.orientation != Orientation::NotRead);
        self.rotation.append_option(facts.rotation.map(i32::from));
        self.mirror.append_option(facts.mirror.map(Mirror::as_str));
        let malformed = facts.malformed.as_ref();
        self.malformed_part.append_option(malformed.map(|malformed| &malformed.part));
        self.malformed_fault.append_option(malformed.map(|malformed| &malformed.fault));
        self.malformed_offset.append_option(malformed.map(|malformed| signed(malformed.offset)));
        self.gap.append_option(facts.gap.map(Gap::as_str));
    }

    fn take(&mut self) -> Vec<Column> {
        vec![
            ("format", Arc::new(self.format.finish()), false),
            ("width", Arc::new(self.width.finish()), true),
            ("height", Arc::new(self.height.finish()), true),
            ("orientation", Arc::new(self.orientation.finish()), true),
            ("orientation_read", Arc::new(self.orientation_read.finish()), false),
            ("rotation", Arc::new(self.rotation.finish()), true),
            ("mirror", Arc::new(self.mirror.finish()), true),
            ("malformed_part", Arc::new(self.malformed_part.finish()), true),
            ("malformed_fault", Arc::new(self.malformed_fault.finish()), true),
            ("malformed_offset", Arc::new(self.malformed_offset.finish()), true),
            ("gap", Arc::new(self.gap.finish()), true),
        ]
    }
}

/// The first track stands in columns of its own, as in the JSON records, so that most queries need no list.
#[derive(Debug, Default)]
struct VideoColumns {
    major_brand: StringBuilder,
    compatible_brands: Lists,
    compatible_brand: StringBuilder,
    first: TrackColumns,
    tracks: Lists,
    track: TrackColumns,
}

impl VideoColumns {
    fn add(&mut self, video: Option<&Video>) {
        let major_brand = video.and_then(|video| video.major_brand);
        self.major_brand.append_option(major_brand.map(|brand| brand.to_string()));
        self.compatible_brands.add(video.map(|video| video.compatible_brands.len()));
        self.tracks.add(video.map(|video| video.tracks.len()));
        self.first.add(video.and_then(|video| video.tracks.first()));
        if let Some(video) = video {
            video
                .compatible_brands
                .iter()
                .for_each(|brand| self.compatible_brand.append_value(brand.to_string()));
            video.tracks.iter().for_each(|track| self.track.add(Some(track)));
        }
    }

    fn take(&mut self) -> Result<Vec<Column>, ArrowError> {
        let brands = Arc::new(self.compatible_brand.finish());
        let mut columns: Vec<Column> = vec![
            ("major_brand", Arc::new(self.major_brand.finish()), true),
            ("compatible_brands", self.compatible_brands.take(brands, true)?, true),
        ];
        // Its dimensions are the asset's.
        columns
            .extend(self.first.take().into_iter().filter(|column| !["width", "height"].contains(&column.0)));
        columns.push(("tracks", self.tracks.take(structs(self.track.take())?, true)?, true));
        Ok(columns)
    }
}

#[derive(Debug, Default)]
struct TrackColumns {
    codec: StringBuilder,
    pixel_format: StringBuilder,
    width: Int64Builder,
    height: Int64Builder,
    frames: Int64Builder,
    frames_presented: Int64Builder,
    duration_s: Float64Builder,
}

impl TrackColumns {
    fn add(&mut self, track: Option<&VideoTrack>) {
        self.codec.append_option(track.and_then(|track| track.codec.as_deref()));
        self.pixel_format.append_option(track.and_then(|track| track.pixel_format.as_deref()));
        self.width.append_option(track.and_then(|track| track.width).map(i64::from));
        self.height.append_option(track.and_then(|track| track.height).map(i64::from));
        self.frames.append_option(track.and_then(|track| track.frames).map(signed));
        self.frames_presented.append_option(track.and_then(|track| track.frames_presented).map(signed));
        self.duration_s.append_option(track.and_then(|track| track.duration_s));
    }

    fn take(&mut self) -> Vec<Column> {
        vec![
            ("codec", Arc::new(self.codec.finish()), true),
            ("pixel_format", Arc::new(self.pixel_format.finish()), true),
            ("width", Arc::new(self.width.finish()), true),
            ("height", Arc::new(self.height.finish()), true),
            ("frames", Arc::new(self.frames.finish()), true),
            ("frames_presented", Arc::new(self.frames_presented.finish()), true),
            ("duration_s", Arc::new(self.duration_s.finish()), true),
        ]
    }
}

#[derive(Debug, Default)]
struct FindingColumns {
    code: StringBuilder,
    severity: StringBuilder,
    message: StringBuilder,
    fix: StringBuilder,
}

impl FindingColumns {
    fn add(&mut self, finding: &Finding) {
        self.code.append_value(finding.code.as_str());
        self.severity.append_value(finding.severity.as_str());
        self.message.append_value(&finding.message);
        self.fix.append_option(finding.fix.as_deref());
    }

    fn take(&mut self) -> Vec<Column> {
        vec![
            ("code", Arc::new(self.code.finish()), false),
            ("severity", Arc::new(self.severity.finish()), false),
            ("message", Arc::new(self.message.finish()), false),
            ("fix", Arc::new(self.fix.finish()), true),
        ]
    }
}

/// How long the lists of a column are, and which of them there are.
#[derive(Debug, Default)]
struct Lists {
    lengths: Vec<usize>,
    present: Vec<bool>,
}

impl Lists {
    fn add(&mut self, length: Option<usize>) {
        self.lengths.push(length.unwrap_or(0));
        self.present.push(length.is_some());
    }

    /// The lists, with what is in them one after the other. The element has the name that the format asks for
    /// (Parquet, LogicalTypes.md, "Lists").
    fn take(&mut self, elements: ArrayRef, nullable: bool) -> Result<ArrayRef, ArrowError> {
        let Self { lengths, present } = std::mem::take(self);
        let field = Field::new("element", elements.data_type().clone(), false);
        let nulls = nullable.then(|| NullBuffer::from(present));
        let lists =
            ListArray::try_new(Arc::new(field), OffsetBuffer::from_lengths(lengths), elements, nulls)?;
        Ok(Arc::new(lists))
    }
}

fn structs(columns: Vec<Column>) -> Result<ArrayRef, ArrowError> {
    let field = |(name, array, nullable): &Column| Field::new(*name, array.data_type().clone(), *nullable);
    let fields = columns.iter().map(field).collect();
    let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
    Ok(Arc::new(StructArray::try_new(fields, arrays, None)?))
}
