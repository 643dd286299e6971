//! The processes that a benchmark starts: the server, and one for each measurement. They end with this process, because
//! they end with their stdin.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use super::job::{Found, Job};
use crate::error::{Error, Result, reason};
use crate::loopback::{Config, Tls};

/// The file with the certificate that signed the server's.
const CA: &str = "ca.pem";

/// A loopback server.
pub(super) struct Server {
    url: String,
    folder: TempDir,
    is_tls: bool,
    child: Child,
    _stdin: Option<ChildStdin>,
}

#[derive(Deserialize)]
struct Started {
    url: String,
}

impl Server {
    /// Starts it. With `tls` it gets a certificate that only this benchmark knows.
    pub(super) fn start(mut config: Config, tls: bool) -> Result<Self> {
        let failed = |error: &std::io::Error| {
            Error::new(format!("the loopback server cannot start: {}", reason(error)))
        };
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        if tls {
            config.tls = Some(certify(folder.path())?);
        }
        let file = folder.path().join("loopback.json");
        let text = serde_json::to_vec(&config).map_err(|error| Error::new(error.to_string()))?;
        std::fs::write(&file, text).map_err(|error| failed(&error))?;
        let mut child = myself()?
            .args(["loopback", "--config"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| failed(&error))?;
        }
        // It has said why on stderr.
        let started = serde_json::from_str::<Started>(&line);
        let started = started.map_err(|_| Error::new("the loopback server did not start"))?;
        let stdin = child.stdin.take();
        Ok(Self { url: started.url, folder, is_tls: tls, child, _stdin: stdin })
    }

    /// The URL of a container.
    pub(super) fn container(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// The certificate to trust.
    fn ca(&self) -> Option<std::path::PathBuf> {
        self.is_tls.then(|| self.folder.path().join(CA))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self._stdin.take());
        let _ = self.child.wait();
    }
}

/// Makes a CA and a certificate for 127.0.0.1 in a folder. The CA's own key is not kept.
fn certify(folder: &Path) -> Result<Tls> {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let certificates = || -> std::result::Result<[String; 3], rcgen::Error> {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(DnType::CommonName, "presync bench");
        let ca_key = KeyPair::generate()?;
        let ca_cert = ca.self_signed(&ca_key)?;
        let leaf_key = KeyPair::generate()?;
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()])?;
        let leaf = leaf.signed_by(&leaf_key, &Issuer::new(ca, ca_key))?;
        Ok([ca_cert.pem(), leaf.pem(), leaf_key.serialize_pem()])
    };
    let [ca, cert, key] =
        certificates().map_err(|error| Error::new(format!("no certificate could be made: {error}")))?;
    let tls = Tls { cert: folder.join("leaf.pem"), key: folder.join("leaf.key") };
    for (path, pem) in [(&folder.join(CA), ca), (&tls.cert, cert), (&tls.key, key)] {
        std::fs::write(path, pem)
            .map_err(|error| Error::new(format!("cannot write '{}': {}", path.display(), reason(&error))))?;
    }
    Ok(tls)
}

/// Measures in a process of its own.
pub(super) fn measure(job: &Job, server: Option<&Server>) -> Result<Found> {
    let failed =
        |error: &std::io::Error| Error::new(format!("a measurement cannot start: {}", reason(error)));
    let mut command = myself()?;
    command.arg("bench-job").stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(ca) = server.and_then(Server::ca) {
        command.env("SSL_CERT_FILE", ca);
    }
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let text = serde_json::to_vec(job).map_err(|error| Error::new(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&text).map_err(|error| failed(&error))?;
    }
    let mut found = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut found).map_err(|error| failed(&error))?;
    }
    let _ = child.wait();
    // It has said why on stderr.
    serde_json::from_str(&found).map_err(|_| Error::new("a measurement failed").hint("see above"))
}

/// This program again.
fn myself() -> Result<Command> {
    let program = std::env::current_exe()
        .map_err(|error| Error::new(format!("presync does not find itself: {}", reason(&error))))?;
    Ok(Command::new(program))
}
