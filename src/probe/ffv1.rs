//! The configuration record of FFV1, version 3 (RFC 9043, 4.2), and the header of a key frame of versions 0 and 1,
//! which have no record. Both are range-coded.

/// Maximum bits of a symbol's exponent. A longer one means damage.
const MAX_EXPONENT: usize = 31;
/// Number of states in the coder's context.
const CONTEXT: usize = 32;

/// What the planes of the pictures contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planes {
    pub(super) is_rgb: bool,
    pub(super) depth: u32,
    /// log2 of the horizontal and vertical subsampling of the chroma planes; `None` without chroma.
    pub(super) chroma: Option<(u32, u32)>,
    pub(super) has_alpha: bool,
}

/// Reads a configuration record; `None` for one of another version.
pub(super) fn of_record(record: &[u8]) -> Option<Planes> {
    let mut coder = Coder::new(record)?;
    let mut context = [128; CONTEXT];
    let version = coder.symbol(&mut context)?;
    let _micro_version = coder.symbol(&mut context)?;
    matches!(version, 3 | 4).then(|| parameters(&mut coder, &mut context, version)).flatten()
}

/// Reads the header of a frame; `None` for other versions and for frames that aren't key frames.
pub(super) fn of_frame(frame: &[u8]) -> Option<Planes> {
    let mut coder = Coder::new(frame)?;
    if !coder.bit(&mut 128)? {
        return None;
    }
    let mut context = [128; CONTEXT];
    let version = coder.symbol(&mut context)?;
    matches!(version, 0 | 1).then(|| parameters(&mut coder, &mut context, version)).flatten()
}

fn parameters(coder: &mut Coder<'_>, context: &mut [u8; CONTEXT], version: u32) -> Option<Planes> {
    if coder.symbol(context)? > 1 {
        // Differences from the default state transition table.
        for _ in 1..256 {
            coder.signed_symbol(context)?;
        }
    }
    let colour_space = coder.symbol(context)?;
    let depth = if version == 0 { 0 } else { coder.symbol(context)? };
    let has_chroma = coder.bit(&mut context[0])?;
    let shifts = (coder.symbol(context)?, coder.symbol(context)?);
    let has_alpha = coder.bit(&mut context[0])?;
    let depth = if depth == 0 { 8 } else { depth };
    Some(Planes { is_rgb: colour_space == 1, depth, chroma: has_chroma.then_some(shifts), has_alpha })
}

/// A binary range decoder (3.8.1).
struct Coder<'a> {
    low: u32,
    range: u32,
    rest: std::slice::Iter<'a, u8>,
    /// The next state for each state after a bit of 1.
    transitions: [u8; 256],
}

impl<'a> Coder<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk::<2>()?;
        let low = u16::from_be_bytes(*first).into();
        Some(Self { low, range: 0xFF00, rest: rest.iter(), transitions: transitions() })
    }

    fn bit(&mut self, state: &mut u8) -> Option<bool> {
        let split = (self.range * u32::from(*state)) >> 8;
        self.range -= split;
        let is_one = self.low >= self.range;
        if is_one {
            self.low -= self.range;
            self.range = split;
            *state = self.transitions[usize::from(*state)];
        } else {
            *state = 0u8.wrapping_sub(self.transitions[usize::from(0u8.wrapping_sub(*state))]);
        }
        if self.range < 0x100 {
            self.range <<= 8;
            self.low = self.low << 8 | u32::from(*self.rest.next()?);
        }
        Some(is_one)
    }

    /// Reads an unsigned number (3.8.1.2).
    fn symbol(&mut self, context: &mut [u8; CONTEXT]) -> Option<u32> {
        if self.bit(&mut context[0])? {
            return Some(0);
        }
        let mut exponent = 0;
        while self.bit(&mut context[1 + exponent.min(9)])? {
            exponent += 1;
            if exponent > MAX_EXPONENT {
                return None;
            }
        }
        let mut value = 1;
        for bit in (0..exponent).rev() {
            value = value << 1 | u32::from(self.bit(&mut context[22 + bit.min(9)])?);
        }
        Some(value)
    }

    fn signed_symbol(&mut self, context: &mut [u8; CONTEXT]) -> Option<()> {
        let value = self.symbol(context)?;
        // The sign's state depends on the exponent.
        if value != 0 {
            self.bit(&mut context[11 + (value.ilog2() as usize).min(10)])?;
        }
        Some(())
    }
}

/// Computes the default state transition table (3.8.1.3): each state is a probability out of 256, which a bit of 1
/// moves a twentieth of the way toward 248.
fn transitions() -> [u8; 256] {
    const ONE: i64 = 1 << 32;
    const FACTOR: i64 = ONE / 20;
    const MOST: i64 = 248;
    let nearer = |p: i64| p + (((ONE - p) * FACTOR + ONE / 2) >> 32);
    let state = |p: i64| (256 * p + ONE / 2) >> 32;
    let mut table = [0; 256];
    let (mut p, mut last) = (ONE / 2, 0);
    for _ in 0..128 {
        let next = state(p).max(last + 1);
        if (1..256).contains(&last) && next <= MOST {
            table[last as usize] = next as u8;
        }
        (p, last) = (nearer(p), next);
    }
    for at in 256 - MOST..=MOST {
        if table[at as usize] == 0 {
            let next = state(nearer((at * ONE + 128) >> 8)).max(at + 1).min(MOST);
            table[at as usize] = next as u8;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_standards() {
        let table = transitions();
        assert_eq!(&table[..20], [0, 0, 0, 0, 0, 0, 0, 0, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]);
        assert_eq!(table[248..], [248, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_cut_record_tells_nothing() {
        for len in 0..2 {
            assert_eq!(of_record(&[0x55, 0x55][..len]), None);
        }
        assert_eq!((of_record(&[0; 3]), of_frame(&[0; 3])), (None, None));
    }
}
