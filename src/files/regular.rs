//! Opens files for reading, but nothing that only looks like one.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

#[cfg(unix)]
use rustix::fs::{FileType, Mode, OFlags, Stat};

/// How often opening a file is tried while the process has no descriptor left, and the time between two attempts:
/// others are closed meanwhile.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Opens a regular file for reading.
///
/// Opening a named pipe would wait for a writer, and reading from a device may never end. The check comes after opening,
/// because a file may be replaced between the two.
///
/// # Errors
/// Returns an error if the file cannot be opened, or isn't a regular file.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, NOT_WAITING.bits() as i32);
    let file = patiently(|| options.open(path))?;
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata)),
        false if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        false => Err(not_regular()),
    }
}

/// Opens a regular file for reading, by its path from an open folder: the fewer folders are in the path, the less there
/// is to look up.
///
/// # Errors
/// Same as [`open`].
#[cfg(unix)]
pub(crate) fn open_in(
    folder: impl std::os::fd::AsFd,
    path: impl rustix::path::Arg + Copy,
) -> io::Result<(File, Stat)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | NOT_WAITING;
    let file = patiently(|| {
        Ok(rustix::io::retry_on_intr(|| rustix::fs::openat(&folder, path, flags, Mode::empty()))?)
    })?;
    let stat = rustix::fs::fstat(&file)?;
    check(&stat)?;
    Ok((file.into(), stat))
}

/// Looks up a regular file, by its path from an open folder.
///
/// # Errors
/// Returns an error if there is no regular file.
#[cfg(unix)]
pub(crate) fn look_up_in(folder: impl std::os::fd::AsFd, path: impl rustix::path::Arg) -> io::Result<Stat> {
    let stat = rustix::fs::statat(folder, path, rustix::fs::AtFlags::empty())?;
    check(&stat)?;
    Ok(stat)
}

/// Flags with which opening waits for nobody, and the process gets no controlling terminal.
#[cfg(unix)]
const NOT_WAITING: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

#[cfg(unix)]
fn check(stat: &Stat) -> io::Result<()> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(not_regular()),
    }
}

fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file")
}

/// Opens a file, again and again while there is no descriptor left.
fn patiently<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut attempts = 1;
    loop {
        match open() {
            Err(error) if is_out_of_descriptors(&error) && attempts < ATTEMPTS => {
                attempts += 1;
                std::thread::sleep(PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Reads a regular file as text.
///
/// # Errors
/// Returns an error if the file cannot be opened or isn't a regular file, or if its content isn't UTF-8.
pub(crate) fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.0.read_to_string(&mut text)?;
    Ok(text)
}

/// Whether the process (`EMFILE`) or the machine (`ENFILE`) has too many open files.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    const CODES: [i32; 2] =
        [rustix::io::Errno::MFILE.raw_os_error(), rustix::io::Errno::NFILE.raw_os_error()];
    // ERROR_TOO_MANY_OPEN_FILES and WSAEMFILE.
    #[cfg(not(unix))]
    const CODES: [i32; 2] = [4, 10024];
    error.raw_os_error().is_some_and(|code| CODES.contains(&code))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_and_a_device_are_refused_without_waiting() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
        assert!(made.success());
        for path in [&pipe, Path::new("/dev/zero")] {
            let error = open(path).expect_err("it isn't a file");
            assert_eq!(error.to_string(), "it is not a regular file", "{}", path.display());
            let error = open_in(rustix::fs::CWD, path).expect_err("it isn't a file");
            assert_eq!(error.to_string(), "it is not a regular file", "{}", path.display());
        }
        let error = read_to_string(folder.path()).expect_err("it is a folder");
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        std::fs::write(folder.path().join("file"), "text").expect("it is written");
        assert_eq!(read_to_string(&folder.path().join("file")).expect("it is there"), "text");
    }
}
