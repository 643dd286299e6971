//! The memory of a run is bounded, whatever its blobs contain and however many are read at a time.

use std::process::{Command, Stdio};
use std::time::Duration;

use presync::loopback::{Blob, Config, Content, Handle, Server};

use crate::support::presync::demo;

/// What GUIDE.md promises, in KiB.
const MAX_KIB: u64 = 250 << 10;

fn serve(name: &str, bytes: Vec<u8>, copies: u32) -> Handle {
    let blob = Blob { name: name.into(), bytes, copies, ..Blob::default() };
    Server::start(Config::of("media", Content::Blobs(vec![blob]))).expect("it starts")
}

/// Runs over the container with as many reads at a time as possible, and returns the peak of its memory in KiB.
fn peak(server: &Handle) -> u64 {
    let mut run = Command::new(env!("CARGO_BIN_EXE_presync"))
        .env_clear()
        .args(["dry-run", &format!("{}/media", server.url()), "--auth", "anonymous"])
        .args(["--format", "json", "--concurrency", "4096", "--exit-zero"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut peak = 0;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = kib.unwrap_or(peak).max(peak);
        match run.try_wait().expect("it runs") {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    assert!(peak > 10 << 10, "the memory was measured: {peak} KiB");
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn headers_that_go_on_for_megabytes_do_not_add_up() {
    let segment = [&b"\xFF\xE0\x0F\xFF"[..], &[0; 0xFFD]].concat();
    let jpeg = [&b"\xFF\xD8"[..], &segment.repeat((1 << 20) / segment.len())].concat();
    let peak = peak(&serve("a.jpg", jpeg, 1_000));
    assert!(peak < MAX_KIB, "{} MiB", peak >> 10);
}

#[cfg(target_os = "linux")]
#[test]
fn fragments_do_not_add_up() {
    let mut movie = std::fs::read(demo().join("drone/flight 1.mp4")).expect("the demo container has it");
    let moov = movie.windows(4).position(|kind| kind == b"moov").expect("it has a header") - 4;
    let field = |at: usize| movie[at..at + 4].first_chunk().map_or(0, |field| u32::from_be_bytes(*field));
    // Room for samples in fragments, and then the fragments: of track 1, with one sample each.
    let extends = make_box(
        b"mvex",
        &make_box(b"trex", &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    );
    let (len, end) = (field(moov) + extends.len() as u32, moov + field(moov) as usize);
    movie[moov..moov + 4].copy_from_slice(&len.to_be_bytes());
    movie.splice(end..end, extends);
    let header = make_box(b"tfhd", &[0, 2, 0, 0, 0, 0, 0, 1]);
    let run = make_box(b"trun", &[0, 0, 0, 0, 0, 0, 0, 1]);
    let fragment = make_box(b"moof", &make_box(b"traf", &[header, run].concat()));
    let fragment = [fragment, make_box(b"mdat", &[0; 2000])].concat();
    movie.extend(fragment.repeat((3 << 20) / fragment.len()));
    let peak = peak(&serve("a.mp4", movie, 400));
    assert!(peak < MAX_KIB, "{} MiB", peak >> 10);
}

/// A box of a movie (ISO/IEC 14496-12, 4.2).
fn make_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}
