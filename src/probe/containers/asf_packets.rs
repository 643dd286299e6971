//! The data packets of ASF, as far as they show when frames are presented (Microsoft, "Advanced Systems Format
//! Specification", 5.2).

use super::{PICTURES, usual_rate, wished};
use crate::probe::view::{Parse, View};

/// Length of the data object before its packets (5.1).
const DATA_HEADER: u64 = 50;
/// Times of frames are in milliseconds.
const CLOCK: u32 = 1000;

/// Returns the frame rate of a stream, by its first packets behind the header.
pub(super) fn frame_rate(
    view: View<'_>,
    header_end: u64,
    packet_len: u32,
    stream: u16,
) -> Parse<Option<f64>> {
    let start = header_end.saturating_add(DATA_HEADER);
    let len = view.size().saturating_sub(start).min(PICTURES);
    let bytes = wished(view.bytes(start.min(view.size()), len, "ASF packet"))?;
    let packets = bytes.chunks_exact(packet_len as usize);
    let mut times = Vec::new();
    for packet in packets {
        // What was read of a damaged packet counts.
        let _ = Packet(packet).times(stream, &mut times);
    }
    Ok(usual_rate(times.into_iter(), CLOCK))
}

/// The rest of a packet.
struct Packet<'a>(&'a [u8]);

impl Packet<'_> {
    /// Adds the time of each frame of the stream that starts in this packet.
    fn times(mut self, stream: u16, times: &mut Vec<u64>) -> Option<()> {
        // Error correction data, if the first bit is set, has its length in four bits (5.2.1).
        let first = *self.0.first()?;
        if first & 0x80 != 0 {
            self.skip(1 + usize::from(first & 15))?;
        }
        let (lengths, properties) = (self.number(1)? as u8, self.number(1)? as u8);
        // The packet's length and sequence, the length of its padding, its time and its duration (5.2.2).
        self.skip(len_of(lengths >> 5) + len_of(lengths >> 1))?;
        let padding = self.number(len_of(lengths >> 3))? as usize;
        self.skip(6)?;
        self.0 = self.0.get(..self.0.len().checked_sub(padding)?)?;
        let has_several = lengths & 1 != 0;
        let (payloads, len_of_payload) = match has_several {
            true => self.number(1).map(|flags| (flags & 0x3F, len_of((flags >> 6) as u8)))?,
            false => (1, 0),
        };
        for _ in 0..payloads {
            let number = self.number(1)? & 0x7F;
            self.skip(len_of(properties >> 4))?;
            let offset = self.number(len_of(properties >> 2))?;
            let replicated = self.number(len_of(properties))? as usize;
            let time = match replicated {
                // Several whole frames: the first one's time, and their distance (5.2.3.3).
                1 => Some(offset),
                // The size of the frame and its time; where it starts, the offset in it is 0 (5.2.3.1).
                8.. => self.0.get(4..8).map(|time| number_of(time)).filter(|_| offset == 0),
                _ => None,
            };
            if number == u64::from(stream) {
                times.extend(time);
            }
            self.skip(replicated)?;
            if has_several {
                let len = self.number(len_of_payload)? as usize;
                self.skip(len)?;
            }
        }
        Some(())
    }

    fn number(&mut self, len: usize) -> Option<u64> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(number_of(bytes))
    }

    fn skip(&mut self, len: usize) -> Option<()> {
        self.0 = self.0.get(len..)?;
        Some(())
    }
}

fn number_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Returns the length of a field by its type, in two bits.
fn len_of(bits: u8) -> usize {
    [0, 1, 2, 4][usize::from(bits & 3)]
}
