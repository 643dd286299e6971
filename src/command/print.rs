//! What the command line itself has made, such as completions and manual pages.

use std::io::{self, Write};

use crate::error::Result;
use crate::exit::Exit;
use crate::report;

/// Writes the text to stdout.
///
/// # Errors
/// When it cannot be written.
pub fn run(text: &[u8]) -> Result<Exit> {
    let mut out = io::stdout();
    out.write_all(text).and_then(|()| out.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}
