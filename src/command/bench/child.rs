//! The processes that a benchmark starts: the server, and one for each measurement. They end when this process does,
//! because their stdin ends then.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use super::job::{Found, Job};
use crate::loopback::{Config, certify};
use crate::model::error::{Error, Result, reason};

/// A loopback server.
pub(super) struct Server {
    url: String,
    /// The certificate to trust, if the server uses TLS.
    ca: Option<PathBuf>,
    child: Child,
    /// Dropped to stop the server.
    stdin: Option<ChildStdin>,
    /// Its configuration and its certificate.
    _folder: TempDir,
}

#[derive(Deserialize)]
struct Started {
    url: String,
}

impl Server {
    /// Starts the server. With `tls`, it gets a certificate that only this benchmark trusts.
    pub(super) fn start(mut config: Config, tls: bool) -> Result<Self> {
        let failed = |error: &std::io::Error| {
            Error::new(format!("cannot start the loopback server: {}", reason(error)))
        };
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let mut ca = None;
        if tls {
            let certified = certify(folder.path())?;
            (config.tls, ca) = (Some(certified.tls), Some(certified.ca));
        }
        let file = folder.path().join("loopback.json");
        let text = serde_json::to_vec(&config).map_err(|error| Error::new(error.to_string()))?;
        std::fs::write(&file, text).map_err(|error| failed(&error))?;
        let mut child = this_program()?
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
        // The child has reported the cause on stderr.
        let started = serde_json::from_str::<Started>(&line);
        let started = started.map_err(|_| Error::new("the loopback server did not start"))?;
        let stdin = child.stdin.take();
        Ok(Self { url: started.url, ca, child, stdin, _folder: folder })
    }

    /// The URL of a container.
    pub(super) fn container(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Makes a measurement in a process of its own.
pub(super) fn measure(job: &Job, server: Option<&Server>) -> Result<Found> {
    let failed =
        |error: &std::io::Error| Error::new(format!("a measurement cannot start: {}", reason(error)));
    let mut command = this_program()?;
    command.arg("bench-job").stdin(Stdio::piped()).stdout(Stdio::piped());
    if server.is_some() {
        // A proxy cannot reach the server on this machine.
        command.env("NO_PROXY", "127.0.0.1");
    }
    if let Some(ca) = server.and_then(|server| server.ca.as_ref()) {
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
    // The child has reported the cause on stderr.
    serde_json::from_str(&found).map_err(|_| Error::new("a measurement failed").with_hint("see above"))
}

/// The interpreter that runs the wheel's command. The executable of the process isn't it in a virtual environment, where
/// it is a link.
const INTERPRETER: &str = "PRESYNC_PYTHON";

/// A command that runs this program.
fn this_program() -> Result<Command> {
    if let Some(interpreter) = std::env::var_os(INTERPRETER).filter(|_| cfg!(feature = "python")) {
        let mut command = Command::new(interpreter);
        command.args(["-m", "presync"]);
        return Ok(command);
    }
    let program = std::env::current_exe()
        .map_err(|error| Error::new(format!("cannot find presync's own executable: {}", reason(&error))))?;
    Ok(Command::new(program))
}
