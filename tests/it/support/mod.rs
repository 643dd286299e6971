//! What the tests share.

pub mod azurite;
pub mod presync;
pub mod stand_in;
pub mod tls;
