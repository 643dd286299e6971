//! TLS certificates for servers on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::Tls;
use crate::model::error::{Error, Result, reason};

/// A certificate for this machine, and the CA that a client must trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The CA's certificate, as a PEM file for `SSL_CERT_FILE`.
    pub ca: PathBuf,
    /// The server's certificate and key.
    pub tls: Tls,
}

/// Creates a CA and a certificate in an existing folder: `ca.pem`, `leaf.pem`, `leaf.key`. The certificate is for
/// 127.0.0.1, localhost, and the host `loopback`, which only a proxy resolves. The CA's own key is not saved. `ca.pem`
/// is written last: if it exists, the other files do too. The certificates do not expire.
///
/// # Errors
///
/// Returns an error if a certificate cannot be created or a file cannot be written.
pub fn certify(folder: &Path) -> Result<Certified> {
    let [ca, cert, key] =
        certificates().map_err(|error| Error::new(format!("cannot create the certificate: {error}")))?;
    let path = |name| folder.join(name);
    let certified =
        Certified { ca: path("ca.pem"), tls: Tls { cert: path("leaf.pem"), key: path("leaf.key") } };
    for (path, pem) in [(&certified.tls.key, key), (&certified.tls.cert, cert), (&certified.ca, ca)] {
        fs::write(path, pem)
            .map_err(|error| Error::new(format!("cannot write '{}': {}", path.display(), reason(&error))))?;
    }
    Ok(certified)
}

/// Creates a CA's certificate, a certificate signed by it, and the key of the latter, all as PEM.
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
