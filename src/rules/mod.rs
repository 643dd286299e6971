//! The rules: facts and a profile in, findings and a verdict out.

mod choice;
pub mod fix;
mod judge;
mod profile;
mod text;

pub use choice::{Choice, Level, Selector};
pub use judge::{Content, from_earlier, judge, orientation_text, without_reading};
pub use profile::{ImageRules, Profile, VideoRules};
pub use text::{Text, summary, text};
