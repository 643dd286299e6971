//! The rules: facts and a profile in, findings and a verdict out.

mod choice;
mod content_type;
pub mod fix;
mod judge;
mod limits;
mod profile;
mod text;
mod video;

pub(crate) use choice::nearest;
pub use choice::{Choice, Level, Selector};
pub use content_type::address;
pub use judge::{Content, from_earlier, is_skipped_by_name, judge, orientation_text, without_reading};
pub use limits::{GivenBy, Limits, keeping};
pub use profile::{ImageRules, MatchBy, Profile, VideoRules};
pub use text::{Text, summary, text};
