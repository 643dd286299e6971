//! MPEG program streams (ISO/IEC 13818-1, 2.5; MPEG-1: 11172-1, 2.4), and bare MPEG video.

use super::mpeg::{self, Pes};
use super::{Found, at, pictures, tail};
use crate::model::VideoTrack;
use crate::probe::view::{Parse, View};

/// Bytes at the start of a file in which the first picture starts: more than its first pack, and more than the
/// navigation and sound before it.
const HEADS: [u64; 2] = [4 << 10, 64 << 10];
/// Bytes at the end in which a packet with a time stamp starts. A picture takes some 40 KiB.
const TAIL: u64 = 128 << 10;

/// Reads the sequence header of the first video stream, and its first and last time stamps. No header counts the
/// frames. The duration is right for one recording; in several that were joined, time stamps start over.
pub(super) fn read(view: View<'_>, found: &mut Found) -> Parse<()> {
    for len in HEADS {
        let head = view.head(len)?;
        let mut track = VideoTrack::default();
        let (mut first, mut stream) = (None::<u64>, None);
        if head.starts_with(&[0, 0, 1, 0xB3]) {
            describe(head, &mut track);
        }
        for Packet { id, times, content } in Packets(head) {
            if !mpeg::is_video(id) || *stream.get_or_insert(id) != id {
                continue;
            }
            if track.codec.is_none() {
                describe(content, &mut track);
            }
            first = times.map(|times| times.decoded).into_iter().chain(first).min();
        }
        if track.codec.is_none() {
            continue;
        }
        found.track = Some(track);
        if let (Some(track), Some(first), Some(stream)) = (&mut found.track, first, stream) {
            let (_, end) = tail(view, TAIL, 0)?;
            let times = Packets(end).filter(|packet| packet.id == stream).filter_map(|packet| packet.times);
            mpeg::set_timing(track, first, times);
        }
        break;
    }
    Ok(())
}

/// Names the codec of a stream, and reads its header, if its start shows them.
fn describe(stream: &[u8], track: &mut VideoTrack) {
    let codec = match pictures::sequence(stream) {
        Some((_, true)) => "mpeg2video",
        Some((_, false)) => "mpeg1video",
        None => match ["h264", "hevc"].into_iter().find(|codec| pictures::shape(codec, stream).is_some()) {
            Some(codec) => codec,
            None => return,
        },
    };
    pictures::read(codec, stream, track);
    track.codec = Some(codec.into());
}

struct Packet<'a> {
    id: u8,
    times: Option<Pes>,
    content: &'a [u8],
}

/// The packets in some bytes, which need not start with one.
struct Packets<'a>(&'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.0.windows(4).position(|code| code[..3] == [0, 0, 1] && code[3] >= 0xB9)?;
            let (id, rest) = (self.0[start + 3], &self.0[start + 4..]);
            self.0 = rest;
            // A pack header has no length; what follows it has a start code (2.5.3.3).
            if id <= 0xBA {
                continue;
            }
            let len = usize::from(u16::from_be_bytes(at(rest, 0)?));
            let body = rest.get(2..(2 + len).min(rest.len()))?;
            self.0 = rest.get(2 + len..).unwrap_or_default();
            if let Some((times, content)) = Some(body).filter(|_| mpeg::is_video(id)).and_then(mpeg::packet) {
                return Some(Packet { id, times, content });
            }
        }
    }
}
