//! The programs that fix files. They are started without a shell, and never see a name from the source.

use std::collections::BTreeSet;
use std::env;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::time::Duration;

use crate::model::error::{Error, Result, reason};
use crate::report::shown;
use crate::rules::fix::{Command, Recipe, Step, Word};

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(10);

/// The most bytes of a program's error output that are read.
const MAX_STDERR: u64 = 4096;

/// Where programs look for a folder for temporary files; the last two are ImageMagick's.
const TEMPORARY: [&str; 5] = ["TMPDIR", "TMP", "TEMP", "MAGICK_TMPDIR", "MAGICK_TEMPORARY_PATH"];

/// How much memory a program may use for pixels: a header of a few bytes can promise 65,535 by 65,535 of them. ImageMagick
/// uses files beyond that; jpegtran fails, whose limit is in thousands of thousands of bytes ("libjpeg.txt").
const MEMORY: [(&str, &str); 3] =
    [("MAGICK_MEMORY_LIMIT", "1GiB"), ("MAGICK_MAP_LIMIT", "1GiB"), ("JPEGMEM", "1000m")];

/// Each program with the Debian package and the Homebrew formula that install it.
const PACKAGES: [(&str, &str, &str); 5] = [
    ("ffmpeg", "ffmpeg", "ffmpeg"),
    ("exiftool", "libimage-exiftool-perl", "exiftool"),
    ("jpegtran", "libjpeg-turbo-progs", "jpeg-turbo"),
    ("mogrify", "imagemagick", "imagemagick"),
    ("webpmux", "webp", "webp"),
];

/// The programs that a recipe may start; copying needs none.
pub(super) fn programs(recipe: &Recipe) -> impl Iterator<Item = &str> {
    let commands = recipe.steps.iter().flat_map(|step| std::iter::once(&step.command).chain(&step.or_else));
    commands.filter_map(program).filter(|program| *program != "cp")
}

fn program(Command(words): &Command) -> Option<&str> {
    match words.first() {
        Some(Word::Text(program)) => Some(program),
        _ => None,
    }
}

/// Checks that all programs are installed.
///
/// # Errors
/// Returns an error that names those that are missing, and how to install them.
pub(super) fn check_installed(programs: &BTreeSet<String>) -> Result<()> {
    let missing: Vec<_> = programs.iter().filter(|program| !is_installed(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let package = |pick: fn(&(&str, &'static str, &'static str)) -> &'static str| {
        let names = missing.iter().filter_map(|program| PACKAGES.iter().find(|(name, ..)| name == program));
        names.map(pick).collect::<Vec<_>>().join(" ")
    };
    let (apt, brew) = (package(|(_, apt, _)| apt), package(|(.., brew)| brew));
    let names = missing.iter().map(|program| program.as_str()).collect::<Vec<_>>().join(", ");
    Err(Error::new(format!("these programs are needed and not installed: {names}"))
        .with_hint(format!("install them with 'apt install {apt}' or 'brew install {brew}'")))
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .any(|folder| folder.join(program).with_extension(env::consts::EXE_EXTENSION).is_file())
}

/// Runs a recipe on `input`; the fixed file will be at `output`, which must not exist yet.
///
/// # Errors
/// Returns what the program that failed said.
pub(super) async fn run(recipe: &Recipe, input: &Path, output: &Path) -> std::result::Result<(), String> {
    for Step { command, or_else } in &recipe.steps {
        let Err(failed) = start(command, input, output).await else { continue };
        if or_else.is_empty() {
            return Err(failed);
        }
        // The first command may have left half a file.
        let _ = std::fs::remove_file(output);
        for command in or_else {
            start(command, input, output).await?;
        }
    }
    Ok(())
}

async fn start(command: &Command, input: &Path, output: &Path) -> std::result::Result<(), String> {
    let Some(program) = program(command) else { return Err("the recipe names no program".to_owned()) };
    if program == "cp" {
        return std::fs::copy(input, output)
            .map(drop)
            .map_err(|error| format!("it cannot be copied: {}", reason(&error)));
    }
    let mut process = Process::new(program);
    if program == "ffmpeg" {
        // A playlist must not make it open other files or hosts.
        process.args(["-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file"]);
    }
    for word in command.0.iter().skip(1) {
        match word {
            Word::In => process.arg(input),
            Word::Out => process.arg(output),
            Word::Text(text) => process.arg(text),
        };
    }
    let failed = |error: std::io::Error| format!("{program} cannot be run: {}", reason(&error));
    // Whatever it puts on the disk is removed with the folder.
    let folder = output.parent().unwrap_or(Path::new("."));
    for name in TEMPORARY {
        process.env(name, folder);
    }
    process.envs(MEMORY);
    let mut stderr = tempfile::tempfile_in(folder).map_err(failed)?;
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.try_clone().map_err(failed)?);
    let mut running = Running(process.spawn().map_err(failed)?);
    let status = running.wait().await.map_err(failed)?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{program} failed: {}", said(&mut stderr, status))),
    }
}

/// The last line of what a program wrote to stderr, which is where the cause usually is.
fn said(stderr: &mut File, status: ExitStatus) -> String {
    let mut text = Vec::new();
    let len = stderr.metadata().map_or(0, |metadata| metadata.len());
    let tail = std::io::SeekFrom::Start(len.saturating_sub(MAX_STDERR));
    let read = stderr.seek(tail).and_then(|_| stderr.take(MAX_STDERR).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    match read.ok().and_then(|_| text.lines().rev().find(|line| !line.trim().is_empty())) {
        Some(line) => shown(line.trim()),
        None => status.to_string(),
    }
}

/// A program that is killed if nobody waits for it any more.
struct Running(Child);

impl Running {
    async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails if the program has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
