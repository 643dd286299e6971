//! Certificates for servers on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::Tls;
use crate::model::error::{Error, Result, reason};

/// A certificate for this machine, and what a client must trust to accept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The CA's certificate, as a PEM file: what `SSL_CERT_FILE` names.
    pub ca: PathBuf,
    /// What the server speaks TLS with.
    pub tls: Tls,
}

/// Makes a CA and a certificate in a folder that exists: `ca.pem`, `leaf.pem`, `leaf.key`. The certificate is for
/// 127.0.0.1, localhost, and the host `loopback`, which only a proxy resolves. The CA's own key is not kept. `ca.pem` is
/// written last: when it is there, everything is. Neither expires.
///
/// # Errors
///
/// A file cannot be written, or the system has no randomness.
pub fn certify(folder: &Path) -> Result<Certified> {
    let [ca, cert, key] =
        certificates().map_err(|error| Error::new(format!("no certificate could be made: {error}")))?;
    let path = |name| folder.join(name);
    let certified =
        Certified { ca: path("ca.pem"), tls: Tls { cert: path("leaf.pem"), key: path("leaf.key") } };
    for (path, pem) in [(&certified.tls.key, key), (&certified.tls.cert, cert), (&certified.ca, ca)] {
        fs::write(path, pem)
            .map_err(|error| Error::new(format!("cannot write '{}': {}", path.display(), reason(&error))))?;
    }
    Ok(certified)
}

/// In PEM: a CA's certificate, one that it signed, and the latter's key.
fn certificates() -> std::result::Result<[String; 3], rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "presync loopback CA");
    let ca_key = KeyPair::generate()?;
    let ca_cert = ca.self_signed(&ca_key)?;

    let leaf = CertificateParams::new(["127.0.0.1", "localhost", "loopback"].map(str::to_owned))?;
    let leaf_key = KeyPair::generate()?;
    let leaf_cert = leaf.signed_by(&leaf_key, &Issuer::new(ca, ca_key))?;
    Ok([ca_cert.pem(), leaf_cert.pem(), leaf_key.serialize_pem()])
}
