//! The columns of a plan: the name and type of each, and how to get and set an asset's value.
//!
//! This one list is used for writing and reading, in its order. The columns have the names of the JSON records.

use std::borrow::Cow;

use parquet::errors::Result;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use super::fields::{
    Done, access_reason, add_nanoseconds, blank_finding, charge_mut, etag, fit, four_cc, gap_cost_mut,
    ignore, ignore_text, malformed, malformed_mut, modified, owned, pick, pick_some, set, set_access,
    set_access_reason, set_earlier, set_format, set_modified, set_orientation_read, set_sync_state, some,
    text, track, track_mut, video, video_mut,
};
use super::signed;
use crate::model::{
    Asset, BlobName, Code, Declared, ETag, FourCc, Gap, Kind, Mirror, Orientation, Severity, Skip, Verdict,
    VideoTrack,
};

/// A column.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Whether every row has a value, or a list. Plans of earlier versions may lack a column that is not required.
    pub(crate) required: bool,
    /// Of a list, what its own columns are for.
    pub(super) used: Use,
    pub(crate) cells: Cells,
}

/// What a column is read back for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// Nothing: it repeats another column, for queries.
    #[default]
    Queries,
    /// Only for whole assets.
    Assets,
    /// Also for resuming a run, which needs the facts, and what they took to read.
    Resuming,
    /// Also for what a comparison with a new listing needs: the version of the blob, its facts, and the codes of its
    /// findings.
    Facts,
}

/// What a column holds in each row.
pub(crate) enum Cells {
    One(Leaf),
    List(List),
}

/// Columns of lists.
pub(crate) struct List {
    /// How long an asset's list is; `None` if it has none.
    pub(crate) len: fn(&Asset) -> Option<usize>,
    /// Gives an asset a list with this number of blank elements.
    pub(super) make: fn(&mut Asset, usize),
    /// The columns of an element; a single one without a name is the element itself.
    pub(crate) fields: &'static [Field],
}

/// A column of an element.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(super) used: Use,
    pub(crate) leaf: Leaf,
}

type Set<T> = fn(&mut Asset, usize, T) -> Done;

/// A column's type, with a getter and a setter for an asset's value. The number is the index of the list's element, 0
/// outside lists. Values are set in the order of the columns. Only types that Spark has are used.
pub(crate) enum Leaf {
    Text(for<'a> fn(&'a Asset, usize) -> Option<Cow<'a, str>>, fn(&mut Asset, usize, &str) -> Done),
    Int(fn(&Asset, usize) -> Option<i64>, Set<i64>),
    /// In 32 bits.
    Short(fn(&Asset, usize) -> Option<i64>, Set<i64>),
    /// In microseconds since 1970, UTC.
    Time(fn(&Asset, usize) -> Option<i64>, Set<i64>),
    Real(fn(&Asset, usize) -> Option<f64>, Set<f64>),
    Flag(fn(&Asset, usize) -> Option<bool>, Set<bool>),
}

use Leaf::{Flag, Int, Real, Short, Text, Time};

const fn required(name: &'static str, leaf: Leaf) -> Column {
    Column { name, required: true, used: Use::Facts, cells: Cells::One(leaf) }
}

const fn optional(name: &'static str, leaf: Leaf) -> Column {
    Column { name, required: false, used: Use::Facts, cells: Cells::One(leaf) }
}

const fn list(name: &'static str, required: bool, list: List) -> Column {
    Column { name, required, used: Use::Facts, cells: Cells::List(list) }
}

impl Column {
    const fn used(self, used: Use) -> Self {
        Self { used, ..self }
    }
}

const fn field(name: &'static str, required: bool, leaf: Leaf) -> Field {
    Field { name, required, used: Use::Facts, leaf }
}

impl Field {
    const fn used(self, used: Use) -> Self {
        Self { used, ..self }
    }
}

/// All columns, in the order in which they are written and set.
pub(crate) static COLUMNS: &[Column] = &[
    required(
        "name",
        Text(|a, _| text(a.blob.name.as_str()), |a, _, name| set(&mut a.blob.name, BlobName::new(name))),
    ),
    required("size", Int(|a, _| Some(signed(a.blob.size)), |a, _, size| fit(&mut a.blob.size, size))),
    optional("etag", Text(etag, |a, _, etag| set(&mut a.blob.etag, Some(ETag::unquoted(etag))))),
    optional("last_modified", Time(|a, _| Some(modified(a)?.0), set_modified)).used(Use::Assets),
    // The nanoseconds beyond the whole microseconds: files have them, but Spark cannot read them in a timestamp.
    optional("last_modified_ns", Short(|a, _| Some(modified(a)?.1), add_nanoseconds)).used(Use::Assets),
    required("access", Text(|a, _| text(a.blob.access.as_str()), set_access)),
    optional("access_reason", Text(access_reason, set_access_reason)),
    optional(
        "content_type",
        Text(
            |a, _| text(a.blob.declared.content_type.as_deref()?),
            |a, _, name| set(&mut a.blob.declared.content_type, Some(Declared::media_type(name))),
        ),
    )
    .used(Use::Assets),
    optional(
        "content_encoding",
        Text(
            |a, _| text(a.blob.declared.content_encoding.as_deref()?),
            |a, _, name| set(&mut a.blob.declared.content_encoding, Declared::encoding(name)),
        ),
    )
    .used(Use::Assets),
    required(
        "kind",
        Text(
            |a, _| text(a.kind.as_str()),
            |a, _, name| pick(&mut a.kind, Kind::ALL, Kind::as_str, name, "kind"),
        ),
    ),
    required("format", Text(|a, _| text(a.facts.format.as_str()), set_format)),
    optional(
        "width",
        Int(|a, _| a.facts.width.map(i64::from), |a, _, width| some(&mut a.facts.width, width)),
    ),
    optional(
        "height",
        Int(|a, _| a.facts.height.map(i64::from), |a, _, height| some(&mut a.facts.height, height)),
    ),
    optional(
        "orientation",
        Int(
            |a, _| a.facts.orientation.value(),
            |a, _, value| set(&mut a.facts.orientation, Orientation::Value(value)),
        ),
    ),
    // Distinguishes an image without the tag from one whose tag was not read.
    required(
        "orientation_read",
        Flag(|a, _| Some(a.facts.orientation != Orientation::NotRead), set_orientation_read),
    ),
    optional(
        "rotation",
        Short(|a, _| a.facts.rotation.map(i64::from), |a, _, degrees| some(&mut a.facts.rotation, degrees)),
    ),
    optional(
        "mirror",
        Text(
            |a, _| text(a.facts.mirror?.as_str()),
            |a, _, name| pick_some(&mut a.facts.mirror, Mirror::ALL, Mirror::as_str, name, "mirror"),
        ),
    ),
    optional(
        "malformed_part",
        Text(|a, _| text(&malformed(a)?.part), |a, _, part| set(&mut malformed_mut(a).part, owned(part))),
    ),
    optional(
        "malformed_fault",
        Text(|a, _| text(&malformed(a)?.fault), |a, _, fault| set(&mut malformed_mut(a).fault, owned(fault))),
    ),
    optional(
        "malformed_offset",
        Int(|a, _| Some(signed(malformed(a)?.offset)), |a, _, at| fit(&mut malformed_mut(a).offset, at)),
    ),
    optional(
        "gap",
        Text(
            |a, _| text(a.facts.gap?.as_str()),
            |a, _, name| pick_some(&mut a.facts.gap, Gap::ALL, Gap::as_str, name, "gap"),
        ),
    ),
    optional(
        "gap_reads",
        Int(|a, _| Some(signed(a.facts.gap_cost?.reads)), |a, _, n| fit(&mut gap_cost_mut(a).reads, n)),
    ),
    optional(
        "gap_bytes",
        Int(|a, _| Some(signed(a.facts.gap_cost?.bytes)), |a, _, n| fit(&mut gap_cost_mut(a).bytes, n)),
    ),
    optional(
        "truncated",
        Int(|a, _| Some(signed(a.facts.truncated?)), |a, _, end| some(&mut a.facts.truncated, end)),
    ),
    optional(
        "major_brand",
        Text(
            |a, _| Some(video(a)?.major_brand?.to_string().into()),
            |a, _, brand| set(&mut video_mut(a).major_brand, Some(four_cc(brand)?)),
        ),
    ),
    list("compatible_brands", false, BRANDS),
    // The first track has columns of its own, as in the JSON records, so that most queries need no list. Its dimensions
    // are those of the asset. When reading, the list alone counts.
    optional("codec", Text(|a, _| text(track(a, 0)?.codec.as_deref()?), ignore_text)).used(Use::Queries),
    optional("pixel_format", Text(|a, _| text(track(a, 0)?.pixel_format.as_deref()?), ignore_text))
        .used(Use::Queries),
    optional("frames", Int(|a, _| track(a, 0)?.frames.map(signed), ignore)).used(Use::Queries),
    optional("frames_presented", Int(|a, _| track(a, 0)?.frames_presented.map(signed), ignore))
        .used(Use::Queries),
    optional("frames_at_most", Int(|a, _| track(a, 0)?.frames_at_most.map(signed), ignore))
        .used(Use::Queries),
    optional("frame_rate", Real(|a, _| track(a, 0)?.frame_rate, ignore)).used(Use::Queries),
    optional("duration_s", Real(|a, _| track(a, 0)?.duration_s, ignore)).used(Use::Queries),
    optional("variable_frame_rate", Flag(|a, _| track(a, 0)?.variable_frame_rate, ignore)).used(Use::Queries),
    list("tracks", false, TRACKS),
    required(
        "verdict",
        Text(
            |a, _| text(a.verdict.as_str()),
            |a, _, name| pick(&mut a.verdict, Verdict::ALL, Verdict::as_str, name, "verdict"),
        ),
    )
    .used(Use::Assets),
    optional(
        "skipped",
        Text(
            |a, _| text(a.skipped?.as_str()),
            |a, _, name| pick_some(&mut a.skipped, Skip::ALL, Skip::as_str, name, "skipped"),
        ),
    ),
    required(
        "cost_images",
        Int(|a, _| Some(signed(a.cost.images)), |a, _, images| fit(&mut a.cost.images, images)),
    )
    .used(Use::Assets),
    required(
        "cost_frames",
        Int(|a, _| Some(signed(a.cost.frames)), |a, _, frames| fit(&mut a.cost.frames, frames)),
    )
    .used(Use::Assets),
    // Of accepted assets that were compared with what is on the platform. In a row without them, the charge is the cost.
    optional("synced", Text(|a, _| text(a.synced?.state.as_str()), set_sync_state)).used(Use::Assets),
    optional(
        "charge_images",
        Int(
            |a, _| Some(signed(a.synced?.charge.images)),
            |a, _, images| fit(&mut charge_mut(a).images, images),
        ),
    )
    .used(Use::Assets),
    optional(
        "charge_frames",
        Int(
            |a, _| Some(signed(a.synced?.charge.frames)),
            |a, _, frames| fit(&mut charge_mut(a).frames, frames),
        ),
    )
    .used(Use::Assets),
    list("findings", true, FINDINGS),
    // The codes of the baseline's findings; a row of a run without a baseline has none.
    optional("baseline_codes", Text(|a, _| Some(a.earlier?.to_string().into()), set_earlier))
        .used(Use::Assets),
    required(
        "reads_requests",
        Int(|a, _| Some(a.reads.requests.into()), |a, _, requests| fit(&mut a.reads.requests, requests)),
    )
    .used(Use::Resuming),
    required(
        "reads_retries",
        Int(|a, _| Some(a.reads.retries.into()), |a, _, retries| fit(&mut a.reads.retries, retries)),
    )
    .used(Use::Resuming),
    required(
        "reads_bytes",
        Int(|a, _| Some(signed(a.reads.bytes)), |a, _, bytes| fit(&mut a.reads.bytes, bytes)),
    )
    .used(Use::Resuming),
];

const BRANDS: List = List {
    len: |a| Some(video(a)?.compatible_brands.len()),
    make: |a, len| video_mut(a).compatible_brands = (0..len).map(|_| FourCc([0; 4])).collect(),
    fields: &[field(
        "",
        true,
        Text(
            |a, at| Some(video(a)?.compatible_brands.get(at)?.to_string().into()),
            |a, at, brand| set(&mut video_mut(a).compatible_brands[at], four_cc(brand)?),
        ),
    )],
};

const TRACKS: List = List {
    len: |a| Some(video(a)?.tracks.len()),
    make: |a, len| video_mut(a).tracks = (0..len).map(|_| VideoTrack::default()).collect(),
    fields: &[
        field(
            "codec",
            false,
            Text(
                |a, at| text(track(a, at)?.codec.as_deref()?),
                |a, at, codec| set(&mut track_mut(a, at).codec, Some(owned(codec))),
            ),
        ),
        field(
            "pixel_format",
            false,
            Text(
                |a, at| text(track(a, at)?.pixel_format.as_deref()?),
                |a, at, format| set(&mut track_mut(a, at).pixel_format, Some(owned(format))),
            ),
        ),
        field(
            "width",
            false,
            Int(
                |a, at| track(a, at)?.width.map(i64::from),
                |a, at, width| some(&mut track_mut(a, at).width, width),
            ),
        ),
        field(
            "height",
            false,
            Int(
                |a, at| track(a, at)?.height.map(i64::from),
                |a, at, height| some(&mut track_mut(a, at).height, height),
            ),
        ),
        field(
            "frames",
            false,
            Int(
                |a, at| track(a, at)?.frames.map(signed),
                |a, at, frames| some(&mut track_mut(a, at).frames, frames),
            ),
        ),
        field(
            "frames_presented",
            false,
            Int(
                |a, at| track(a, at)?.frames_presented.map(signed),
                |a, at, frames| some(&mut track_mut(a, at).frames_presented, frames),
            ),
        ),
        field(
            "frames_at_most",
            false,
            Int(
                |a, at| track(a, at)?.frames_at_most.map(signed),
                |a, at, frames| some(&mut track_mut(a, at).frames_at_most, frames),
            ),
        ),
        field(
            "frame_rate",
            false,
            Real(
                |a, at| track(a, at)?.frame_rate,
                |a, at, rate| set(&mut track_mut(a, at).frame_rate, Some(rate)),
            ),
        ),
        field(
            "duration_s",
            false,
            Real(
                |a, at| track(a, at)?.duration_s,
                |a, at, seconds| set(&mut track_mut(a, at).duration_s, Some(seconds)),
            ),
        ),
        field(
            "variable_frame_rate",
            false,
            Flag(
                |a, at| track(a, at)?.variable_frame_rate,
                |a, at, varies| set(&mut track_mut(a, at).variable_frame_rate, Some(varies)),
            ),
        ),
        field(
            "encrypted",
            true,
            Flag(
                |a, at| Some(track(a, at)?.encrypted),
                |a, at, encrypted| set(&mut track_mut(a, at).encrypted, encrypted),
            ),
        ),
    ],
};

const FINDINGS: List = List {
    len: |a| Some(a.findings.len()),
    make: |a, len| a.findings = (0..len).map(|_| blank_finding()).collect(),
    fields: &[
        field(
            "code",
            true,
            Text(
                |a, at| text(a.findings.get(at)?.code.as_str()),
                |a, at, code| pick(&mut a.findings[at].code, Code::ALL, Code::as_str, code, "code"),
            ),
        ),
        field(
            "severity",
            true,
            Text(
                |a, at| text(a.findings.get(at)?.severity.as_str()),
                |a, at, name| {
                    pick(&mut a.findings[at].severity, Severity::ALL, Severity::as_str, name, "severity")
                },
            ),
        )
        .used(Use::Assets),
        field(
            "message",
            true,
            Text(
                |a, at| text(&a.findings.get(at)?.message),
                |a, at, message| set(&mut a.findings[at].message, message.to_owned()),
            ),
        )
        .used(Use::Assets),
        field(
            "fix",
            false,
            Text(
                |a, at| text(a.findings.get(at)?.fix.as_deref()?),
                |a, at, fix| set(&mut a.findings[at].fix, Some(fix.to_owned())),
            ),
        )
        .used(Use::Assets),
    ],
};

/// The last column of a shard's part: the position of each asset in the whole listing, counted from 0. It is not part of
/// an asset, so plans do not have it.
pub(super) const POSITION: &str = "listing_position";
/// The last column of a table of several containers: the container of each asset.
const CONTAINER: &str = "container";

/// The column that a file has besides those of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    None,
    Position,
    Container,
}

/// The columns that have this use as a Parquet schema. An element of a list has the names that the format requires
/// (Parquet, LogicalTypes.md, "Lists").
pub(super) fn schema(extra: Extra, used: Use) -> Result<Type> {
    let mut columns = String::new();
    for column in COLUMNS.iter().filter(|column| column.used >= used) {
        columns += &match &column.cells {
            Cells::One(leaf) => leaf.declared(column.required, column.name),
            Cells::List(list) => {
                let element = match list.fields {
                    [Field { name: "", required, leaf, .. }] => leaf.declared(*required, "element"),
                    fields => {
                        let fields: String = fields
                            .iter()
                            .filter(|field| field.used >= used)
                            .map(|field| field.leaf.declared(field.required, field.name))
                            .collect();
                        format!("required group element {{ {fields} }}")
                    }
                };
                let repetition = repetition(column.required);
                format!("{repetition} group {} (LIST) {{ repeated group list {{ {element} }} }}", column.name)
            }
        };
    }
    columns += &match extra {
        Extra::None => String::new(),
        Extra::Position => format!("required int64 {POSITION}; "),
        Extra::Container => format!("required binary {CONTAINER} (STRING); "),
    };
    parse_message_type(&format!("message plan {{ {columns} }}"))
}

impl Leaf {
    fn declared(&self, required: bool, name: &str) -> String {
        let (physical, logical) = match self {
            Text(..) => ("binary", " (STRING)"),
            Int(..) => ("int64", ""),
            Short(..) => ("int32", ""),
            Time(..) => ("int64", " (TIMESTAMP(MICROS,true))"),
            Real(..) => ("double", ""),
            Flag(..) => ("boolean", ""),
        };
        format!("{} {physical} {name}{logical}; ", repetition(required))
    }
}

fn repetition(required: bool) -> &'static str {
    if required { "required" } else { "optional" }
}
