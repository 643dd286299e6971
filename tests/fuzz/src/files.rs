//! The one module of presync's `files` that the rules use, to open a profile.

#[path = "../../../src/files/regular.rs"]
pub mod regular;
