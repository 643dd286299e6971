//! Certificates for servers on this machine.

use std::path::Path;
use std::{fs, io};

/// Creates a CA and a certificate for 127.0.0.1 in `dir`: `ca.pem`, `leaf.pem`, `leaf.key`. If `ca.pem` exists, the
/// other files do too.
pub fn certify(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    presync::loopback::certify(dir).map(drop).map_err(|error| io::Error::other(error.to_string()))
}
