//! Certificates for servers on this machine.

use std::path::Path;
use std::{fs, io};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Makes a CA and a certificate for 127.0.0.1 in `dir`. The CA's own key is not kept. `ca.pem` is written last:
/// when it is there, everything is.
pub fn certify(dir: &Path) -> io::Result<()> {
    let [ca, cert, key] = certificates().map_err(io::Error::other)?;
    let write = |name, pem| fs::write(dir.join(name), pem);
    fs::create_dir_all(dir)
        .and_then(|()| write("leaf.key", key))
        .and_then(|()| write("leaf.pem", cert))
        .and_then(|()| write("ca.pem", ca))
}

/// In PEM: a CA's certificate, one for 127.0.0.1 that it signed, and the latter's key. Neither expires.
fn certificates() -> Result<[String; 3], rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "presync test CA");
    let ca_key = KeyPair::generate()?;
    let ca_cert = ca.self_signed(&ca_key)?;

    let leaf = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let leaf_key = KeyPair::generate()?;
    let leaf_cert = leaf.signed_by(&leaf_key, &Issuer::new(ca, ca_key))?;
    Ok([ca_cert.pem(), leaf_cert.pem(), leaf_key.serialize_pem()])
}
