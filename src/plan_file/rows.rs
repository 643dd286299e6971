//! From columns back to assets.

use std::borrow::Cow;
use std::ops::Range;

use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, ListArray, PrimitiveArray, RecordBatch, StringArray, StructArray,
};
use jiff::Timestamp;

use super::MICROSECOND;
use crate::model::{
    Access, Asset, Blob, BlobName, Code, Cost, ETag, Facts, Finding, Format, FourCc, Gap, Kind, Malformed,
    Mirror, Orientation, Reads, Severity, Skip, Verdict, Video, VideoTrack,
};

pub(super) use crate::parquet_file::Fault;

/// Rows that were read. Columns that are not known are left alone.
pub(super) struct Rows {
    len: usize,
    blob: BlobRows,
    kind: StringArray,
    facts: FactRows,
    video: VideoRows,
    verdict: StringArray,
    skipped: StringArray,
    cost_images: PrimitiveArray<Int64Type>,
    cost_frames: PrimitiveArray<Int64Type>,
    findings: ListArray,
    finding: FindingRows,
    reads_requests: PrimitiveArray<Int64Type>,
    reads_retries: PrimitiveArray<Int64Type>,
    reads_bytes: PrimitiveArray<Int64Type>,
}

impl Rows {
    pub(super) fn new(batch: RecordBatch) -> Result<Self, Fault> {
        let columns = StructArray::from(batch);
        let findings: ListArray = required(&columns, "findings")?;
        Ok(Self {
            len: columns.len(),
            blob: BlobRows::new(&columns)?,
            kind: required(&columns, "kind")?,
            facts: FactRows::new(&columns)?,
            video: VideoRows::new(&columns)?,
            verdict: required(&columns, "verdict")?,
            skipped: column(&columns, "skipped")?,
            cost_images: required(&columns, "cost_images")?,
            cost_frames: required(&columns, "cost_frames")?,
            finding: FindingRows::new(elements(&findings, "findings")?)?,
            findings,
            reads_requests: required(&columns, "reads_requests")?,
            reads_retries: required(&columns, "reads_retries")?,
            reads_bytes: required(&columns, "reads_bytes")?,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The asset in a row, which must be less than [`len`](Self::len).
    pub(super) fn asset(&self, row: usize) -> Result<Asset, Fault> {
        Ok(Asset {
            blob: self.blob.at(row)?,
            kind: named(Kind::ALL, Kind::as_str, self.kind.value(row), "kind")?,
            facts: Facts { video: self.video.at(row)?.map(Box::new), ..self.facts.at(row)? },
            verdict: named(Verdict::ALL, Verdict::as_str, self.verdict.value(row), "verdict")?,
            cost: Cost { images: count(&self.cost_images, row)?, frames: count(&self.cost_frames, row)? },
            findings: range(&self.findings, row).map(|row| self.finding.at(row)).collect::<Result<_, _>>()?,
            skipped: maybe_named(Skip::ALL, Skip::as_str, text(&self.skipped, row), "skipped")?,
            reads: Reads {
                requests: count(&self.reads_requests, row)?,
                retries: count(&self.reads_retries, row)?,
                bytes: count(&self.reads_bytes, row)?,
            },
        })
    }
}

struct BlobRows {
    name: StringArray,
    size: PrimitiveArray<Int64Type>,
    etag: StringArray,
    last_modified: PrimitiveArray<TimestampMicrosecondType>,
    last_modified_ns: PrimitiveArray<Int32Type>,
    access: StringArray,
    access_reason: StringArray,
}

impl BlobRows {
    fn new(columns: &StructArray) -> Result<Self, Fault> {
        Ok(Self {
            name: required(columns, "name")?,
            size: required(columns, "size")?,
            etag: column(columns, "etag")?,
            last_modified: times(columns, "last_modified")?,
            last_modified_ns: column(columns, "last_modified_ns")?,
            access: required(columns, "access")?,
            access_reason: column(columns, "access_reason")?,
        })
    }

    fn at(&self, row: usize) -> Result<Blob, Fault> {
        let (access, why) = (self.access.value(row), text(&self.access_reason, row));
        Ok(Blob {
            name: BlobName::new(self.name.value(row)),
            size: count(&self.size, row)?,
            etag: text(&self.etag, row).map(ETag::unquoted),
            last_modified: self.last_modified(row)?,
            access: Access::named(access, why.unwrap_or_default())
                .ok_or_else(|| unknown("access", access))?,
        })
    }

    fn last_modified(&self, row: usize) -> Result<Option<Timestamp>, Fault> {
        let Some(microseconds) = number::<_, i64>(&self.last_modified, row)? else { return Ok(None) };
        let rest: i32 = number(&self.last_modified_ns, row)?.unwrap_or(0);
        let nanoseconds = i128::from(microseconds) * MICROSECOND + i128::from(rest);
        let time = Timestamp::from_nanosecond(nanoseconds);
        time.map(Some).map_err(|_| format!("the time {microseconds} µs is none"))
    }
}

struct FactRows {
    format: StringArray,
    width: PrimitiveArray<Int64Type>,
    height: PrimitiveArray<Int64Type>,
    orientation: PrimitiveArray<Int64Type>,
    orientation_read: BooleanArray,
    rotation: PrimitiveArray<Int32Type>,
    mirror: StringArray,
    malformed_part: StringArray,
    malformed_fault: StringArray,
    malformed_offset: PrimitiveArray<Int64Type>,
    gap: StringArray,
}

impl FactRows {
    fn new(columns: &StructArray) -> Result<Self, Fault> {
        Ok(Self {
            format: required(columns, "format")?,
            width: column(columns, "width")?,
            height: column(columns, "height")?,
            orientation: column(columns, "orientation")?,
            orientation_read: required(columns, "orientation_read")?,
            rotation: column(columns, "rotation")?,
            mirror: column(columns, "mirror")?,
            malformed_part: column(columns, "malformed_part")?,
            malformed_fault: column(columns, "malformed_fault")?,
            malformed_offset: column(columns, "malformed_offset")?,
            gap: column(columns, "gap")?,
        })
    }

    /// All but the video.
    fn at(&self, row: usize) -> Result<Facts, Fault> {
        let damage = (text(&self.malformed_part, row), text(&self.malformed_fault, row));
        Ok(Facts {
            width: number(&self.width, row)?,
            height: number(&self.height, row)?,
            orientation: match (number(&self.orientation, row)?, self.orientation_read.value(row)) {
                (Some(value), _) => Orientation::Value(value),
                (None, true) => Orientation::Absent,
                (None, false) => Orientation::NotRead,
            },
            rotation: number(&self.rotation, row)?,
            mirror: maybe_named(Mirror::ALL, Mirror::as_str, text(&self.mirror, row), "mirror")?,
            malformed: match (damage, number(&self.malformed_offset, row)?) {
                ((Some(part), Some(fault)), Some(offset)) => {
                    Some(Malformed { part: owned(part), fault: owned(fault), offset })
                }
                _ => None,
            },
            gap: maybe_named(Gap::ALL, Gap::as_str, text(&self.gap, row), "gap")?,
            ..Facts::of(named(Format::ALL, Format::as_str, self.format.value(row), "format")?)
        })
    }
}

struct VideoRows {
    major_brand: StringArray,
    compatible_brands: ListArray,
    compatible_brand: StringArray,
    tracks: ListArray,
    track: TrackRows,
}

impl VideoRows {
    fn new(columns: &StructArray) -> Result<Self, Fault> {
        let (brands, tracks) = (column(columns, "compatible_brands")?, column(columns, "tracks")?);
        Ok(Self {
            major_brand: column(columns, "major_brand")?,
            compatible_brand: elements::<StringArray>(&brands, "compatible_brands")?.clone(),
            compatible_brands: brands,
            track: TrackRows::new(elements(&tracks, "tracks")?)?,
            tracks,
        })
    }

    fn at(&self, row: usize) -> Result<Option<Video>, Fault> {
        if self.tracks.is_null(row) {
            return Ok(None);
        }
        let brands = range(&self.compatible_brands, row);
        Ok(Some(Video {
            major_brand: text(&self.major_brand, row).map(four_cc).transpose()?,
            compatible_brands: brands
                .map(|row| four_cc(self.compatible_brand.value(row)))
                .collect::<Result<_, _>>()?,
            tracks: range(&self.tracks, row).map(|row| self.track.at(row)).collect::<Result<_, _>>()?,
        }))
    }
}

struct TrackRows {
    codec: StringArray,
    pixel_format: StringArray,
    width: PrimitiveArray<Int64Type>,
    height: PrimitiveArray<Int64Type>,
    frames: PrimitiveArray<Int64Type>,
    frames_presented: PrimitiveArray<Int64Type>,
    duration_s: PrimitiveArray<Float64Type>,
}

impl TrackRows {
    fn new(columns: &StructArray) -> Result<Self, Fault> {
        Ok(Self {
            codec: column(columns, "codec")?,
            pixel_format: column(columns, "pixel_format")?,
            width: column(columns, "width")?,
            height: column(columns, "height")?,
            frames: column(columns, "frames")?,
            frames_presented: column(columns, "frames_presented")?,
            duration_s: column(columns, "duration_s")?,
        })
    }

    fn at(&self, row: usize) -> Result<VideoTrack, Fault> {
        Ok(VideoTrack {
            codec: text(&self.codec, row).map(owned),
            pixel_format: text(&self.pixel_format, row).map(owned),
            width: number(&self.width, row)?,
            height: number(&self.height, row)?,
            frames: number(&self.frames, row)?,
            frames_presented: number(&self.frames_presented, row)?,
            duration_s: number(&self.duration_s, row)?,
        })
    }
}

struct FindingRows {
    code: StringArray,
    severity: StringArray,
    message: StringArray,
    fix: StringArray,
}

impl FindingRows {
    fn new(columns: &StructArray) -> Result<Self, Fault> {
        Ok(Self {
            code: required(columns, "code")?,
            severity: required(columns, "severity")?,
            message: required(columns, "message")?,
            fix: column(columns, "fix")?,
        })
    }

    fn at(&self, row: usize) -> Result<Finding, Fault> {
        Ok(Finding {
            code: named(Code::ALL, Code::as_str, self.code.value(row), "code")?,
            severity: named(Severity::ALL, Severity::as_str, self.severity.value(row), "severity")?,
            message: self.message.value(row).to_owned(),
            fix: text(&self.fix, row).map(str::to_owned),
        })
    }
}

/// The column of this name and type.
fn column<T: Array + Clone + 'static>(columns: &StructArray, name: &str) -> Result<T, Fault> {
    let column = columns.column_by_name(name).ok_or_else(|| format!("it has no column '{name}'"))?;
    typed(column).ok_or_else(|| format!("its column '{name}' has the type {}", column.data_type()))
}

fn typed<T: Array + Clone + 'static>(column: &ArrayRef) -> Option<T> {
    column.as_any().downcast_ref::<T>().cloned()
}

/// A column of times. Spark writes them in nanoseconds, as 96 bits without a time zone, and means UTC.
fn times(columns: &StructArray, name: &str) -> Result<PrimitiveArray<TimestampMicrosecondType>, Fault> {
    let nanoseconds: Option<PrimitiveArray<TimestampNanosecondType>> =
        columns.column_by_name(name).and_then(typed);
    match nanoseconds {
        Some(nanoseconds) => Ok(nanoseconds.unary(|time| time.div_euclid(MICROSECOND as i64))),
        None => column(columns, name),
    }
}

/// The column of this name and type, which has a value in every row.
fn required<T: Array + Clone + 'static>(columns: &StructArray, name: &str) -> Result<T, Fault> {
    let column: T = column(columns, name)?;
    match column.null_count() {
        0 => Ok(column),
        _ => Err(format!("its column '{name}' has gaps")),
    }
}

/// What is in the lists of a column.
fn elements<'a, T: Array + 'static>(lists: &'a ListArray, name: &str) -> Result<&'a T, Fault> {
    let elements = lists.values();
    let typed = elements.as_any().downcast_ref::<T>();
    typed.ok_or_else(|| format!("its column '{name}' holds lists of {}", elements.data_type()))
}

/// Where the elements of a row's list are.
fn range(lists: &ListArray, row: usize) -> Range<usize> {
    let offsets = lists.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

fn number<T: ArrowPrimitiveType, N: TryFrom<T::Native>>(
    column: &PrimitiveArray<T>,
    row: usize,
) -> Result<Option<N>, Fault> {
    if column.is_null(row) {
        return Ok(None);
    }
    let value = column.value(row);
    N::try_from(value).map(Some).map_err(|_| format!("it has the number {value:?} where none such can be"))
}

/// A number of a column without gaps.
fn count<N: TryFrom<i64>>(column: &PrimitiveArray<Int64Type>, row: usize) -> Result<N, Fault> {
    number(column, row)?.ok_or_else(|| "a number is missing".to_owned())
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

fn four_cc(text: &str) -> Result<FourCc, Fault> {
    text.parse().map_err(|_| unknown("brand", text))
}

/// The one of these that has this name.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str, what: &str) -> Result<T, Fault> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| unknown(what, text))
}

fn maybe_named<T: Copy>(
    all: &[T],
    name: fn(T) -> &'static str,
    text: Option<&str>,
    what: &str,
) -> Result<Option<T>, Fault> {
    text.map(|text| named(all, name, text, what)).transpose()
}

fn unknown(what: &str, text: &str) -> Fault {
    format!("this presync knows no {what} '{}'", text.escape_debug())
}
