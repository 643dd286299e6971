//! Plain values with their invariants: blobs, what was read of them, and what was decided about them.

mod admit;
mod asset;
mod blob;
mod check;
mod declared;
pub mod error;
mod filter;
mod finding;
mod format;
mod glob;
mod month;
mod origin;
mod overrides;
mod quota;
mod range;
pub mod secret;
mod shown;
mod synced;
mod totals;

pub use admit::Admit;
pub use asset::{
    Asset, Facts, FourCc, Gap, GapCost, Malformed, Mirror, NoFourCc, Orientation, Skip, Video, VideoTrack,
};
pub use blob::{Access, Blob, BlobName, ETag};
pub use check::{Check, Outcome};
pub use declared::Declared;
pub use filter::Filter;
pub use finding::{Code, Codes, Finding, Severity, UnknownCode};
pub use format::{Format, Kind};
pub use glob::Glob;
pub(crate) use glob::parts;
pub use month::{Month, Period, PeriodKind};
pub use origin::Origin;
pub use overrides::{Effect, Effects, Overrides, PrefixEffects};
pub use quota::{Cost, Gauge, Quota, QuotaKind, Verdict};
pub use range::{ByteRange, ReadError, Reads};
pub use shown::{counted, is_unseen, number, shown};
pub use synced::{Gone, OnPlatform, Scope, Standing, SyncState, SyncTotals};
pub use totals::Totals;
