//! MPEG transport streams (ISO/IEC 13818-1, 2.4), with packets of 188 bytes or, in M2TS, of 192.

use super::mpeg::{self, Pes};
use super::{Found, at, pictures, tail};
use crate::model::VideoTrack;
use crate::probe::view::{Parse, View};

const SYNC: u8 = 0x47;
const PACKET: usize = 188;
/// Bytes at the start of a file in which the tables and the first picture are.
const HEADS: [u64; 3] = [4 << 10, 32 << 10, 256 << 10];
/// Bytes at the end in which a picture starts. One of 50 Mbit/s takes 250 KiB.
const TAILS: [u64; 2] = [64 << 10, 512 << 10];
/// Bytes of the video stream that are put together, up to its parameter set.
const MAX_STREAM: usize = 2 << 10;

/// Reads the parameter set of the first video stream of the first program, and its first and last time stamps. No
/// header counts the frames. The duration is right for one recording, as in program streams.
pub(super) fn read(view: View<'_>, found: &mut Found) -> Parse<()> {
    let before = if view.head(1)?.first() == Some(&SYNC) { 0 } else { 4 };
    let layout = Layout { before, step: PACKET + before };
    let mut first = None;
    for len in HEADS {
        let head = view.head(len)?;
        let Some((pid, codec)) = video(head, layout) else { continue };
        let mut track = VideoTrack { codec: Some(codec.into()), ..VideoTrack::default() };
        pictures::read(codec, &stream(head, layout, pid), &mut track);
        first = times(head, layout, pid).map(|times| times.decoded).min().map(|first| (pid, first)).or(first);
        let is_complete = track.width.is_some() && first.is_some();
        found.track = Some(track);
        if is_complete {
            break;
        }
    }
    let (Some(track), Some((pid, first))) = (&mut found.track, first) else { return Ok(()) };
    for len in TAILS {
        let (start, end) = tail(view, len, 0)?;
        // Packets start at multiples of their length.
        let step = layout.step as u64;
        let end = end.get((start.next_multiple_of(step) - start) as usize..).unwrap_or_default();
        if mpeg::set_timing(track, first, times(end, layout, pid)) {
            break;
        }
    }
    Ok(())
}

/// How packets lie in the file.
#[derive(Clone, Copy)]
struct Layout {
    /// Bytes before each packet.
    before: usize,
    /// Bytes from one packet to the next.
    step: usize,
}

impl Layout {
    /// Returns the packets in bytes that start with one.
    fn packets(self, bytes: &[u8]) -> impl Iterator<Item = Packet<'_>> {
        bytes.chunks_exact(self.step).filter_map(move |chunk| Packet::read(chunk.get(self.before..)?))
    }
}

struct Packet<'a> {
    pid: u16,
    /// Whether a PES packet or a table starts in it.
    starts: bool,
    content: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None` for one without content, or without its sync byte (2.4.3.2).
    fn read(packet: &'a [u8]) -> Option<Self> {
        let [sync, p1, p0, control, rest @ ..] = packet else { return None };
        let content = match control >> 4 & 3 {
            1 => rest,
            3 => rest.get(1 + usize::from(*rest.first()?)..)?,
            _ => return None,
        };
        let pid = u16::from_be_bytes([p1 & 0x1F, *p0]);
        (*sync == SYNC).then_some(Self { pid, starts: p1 & 0x40 != 0, content })
    }

    /// Returns the section that starts in it, after its pointer (2.4.4.1).
    fn section(&self) -> Option<&'a [u8]> {
        let (pointer, rest) = self.content.split_first().filter(|_| self.starts)?;
        rest.get(usize::from(*pointer)..)
    }

    /// Returns the PES packet that starts in it.
    fn pes(&self) -> Option<(Option<Pes>, &'a [u8])> {
        let [0, 0, 1, id, _, _, body @ ..] = self.content else { return None };
        (self.starts && mpeg::is_video(*id)).then(|| mpeg::packet(body)).flatten()
    }
}

/// Returns the video stream that the tables show: its number, and its codec as ffprobe names it.
fn video(bytes: &[u8], layout: Layout) -> Option<(u16, &'static str)> {
    let program = layout.packets(bytes).filter(|packet| packet.pid == 0).find_map(|packet| {
        // After eight bytes: program and map, four bytes each (2.4.4.3). Program 0 is the network.
        let section = packet.section().filter(|section| section.first() == Some(&0))?;
        let len = usize::from(u16::from_be_bytes(at(section, 1)?) & 0xFFF);
        let programs = section.get(8..(3 + len).saturating_sub(4).min(section.len()))?.as_chunks::<4>().0;
        programs.iter().find(|[n1, n0, ..]| [*n1, *n0] != [0, 0]).map(|[_, _, p1, p0]| pid(*p1, *p0))
    })?;
    layout.packets(bytes).filter(|packet| packet.pid == program).find_map(|packet| {
        let section = packet.section().filter(|section| section.first() == Some(&2))?;
        let len = usize::from(u16::from_be_bytes(at(section, 1)?) & 0xFFF);
        let streams = section.get(..(3 + len).saturating_sub(4).min(section.len()))?;
        // After twelve bytes and descriptors: type, number and descriptors of each stream (2.4.4.8).
        let mut next = 12 + usize::from(u16::from_be_bytes(at(section, 10)?) & 0xFFF);
        while let Some([kind, p1, p0, d1, d0]) = at::<5>(streams, next) {
            if let Some(codec) = codec(kind) {
                return Some((pid(p1, p0), codec));
            }
            next += 5 + usize::from(u16::from_be_bytes([d1, d0]) & 0xFFF);
        }
        None
    })
}

fn pid(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high & 0x1F, low])
}

/// Returns the codec of a video stream by its type (2.4.4.9, table 2-34; VC-1: SMPTE RP 227).
fn codec(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0x01 => "mpeg1video",
        0x02 => "mpeg2video",
        0x10 => "mpeg4",
        0x1B => "h264",
        0x21 => "jpeg2000",
        0x24 => "hevc",
        0x33 => "vvc",
        0xEA => "vc1",
        _ => return None,
    })
}

/// Puts the start of a stream together.
fn stream(bytes: &[u8], layout: Layout, pid: u16) -> Vec<u8> {
    let mut stream = Vec::new();
    for packet in layout.packets(bytes).filter(|packet| packet.pid == pid) {
        match packet.pes() {
            Some((_, content)) => stream.extend_from_slice(content),
            None if !stream.is_empty() => stream.extend_from_slice(packet.content),
            None => {}
        }
        if stream.len() >= MAX_STREAM {
            break;
        }
    }
    stream
}

fn times(bytes: &[u8], layout: Layout, pid: u16) -> impl Iterator<Item = Pes> {
    let packets = layout.packets(bytes).filter(move |packet| packet.pid == pid);
    packets.filter_map(|packet| packet.pes()?.0)
}
