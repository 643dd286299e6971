//! A bit reader for codec headers, most significant bit first.

/// Maximum leading zeros of an Exp-Golomb code, at which a number takes 32 bits (ITU-T H.264, 9.1).
const MAX_LEADING_ZEROS: u32 = 31;

/// A bit reader. Every read past the end returns `None`, and none allocates.
pub(super) struct Bits<'a> {
    rest: std::slice::Iter<'a, u8>,
    /// Bits taken from the bytes but not read yet, starting at the most significant bit; the others are 0.
    next: u64,
    held: u32,
    /// Number of consecutive zero bytes before `rest`; `None` if there are no emulation prevention bytes.
    zeros: Option<u8>,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes.iter(), next: 0, held: 0, zeros: None }
    }

    /// Creates a reader for a NAL unit, which skips the emulation prevention byte 3 after two zero bytes (ITU-T
    /// H.264, 7.4.1.1; H.265, 7.4.2).
    pub(super) fn of_unit(unit: &'a [u8]) -> Self {
        Self { zeros: Some(0), ..Self::new(unit) }
    }

    /// Takes bytes until at least 57 bits are buffered, or none are left.
    fn fill(&mut self) {
        while self.held <= 56 {
            let Some(byte) = self.rest.next() else { return };
            if let Some(zeros) = &mut self.zeros {
                if *zeros >= 2 && *byte == 3 {
                    *zeros = 0;
                    continue;
                }
                *zeros = if *byte == 0 { zeros.saturating_add(1) } else { 0 };
            }
            self.next |= u64::from(*byte) << (56 - self.held);
            self.held += 8;
        }
    }

    /// `u(n)`: reads an unsigned number of up to 32 bits.
    #[inline]
    pub(super) fn u(&mut self, bits: u32) -> Option<u32> {
        debug_assert!(bits <= 32, "{bits} bits do not fit into the answer");
        if self.held < bits {
            self.fill();
        }
        self.held = self.held.checked_sub(bits)?;
        let value = self.next.checked_shr(u64::BITS - bits).unwrap_or(0);
        self.next <<= bits;
        Some(value as u32)
    }

    /// `u(1)`: reads a flag.
    #[inline]
    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.u(1)? == 1)
    }

    /// Skips this many bits.
    #[inline]
    pub(super) fn skip(&mut self, mut bits: u32) -> Option<()> {
        while bits > 32 {
            self.u(32)?;
            bits -= 32;
        }
        self.u(bits).map(drop)
    }

    /// Skips the zeros before the next 1, which is still to be read, and counts them.
    #[inline]
    pub(super) fn leading_zeros(&mut self) -> Option<u32> {
        if self.held <= MAX_LEADING_ZEROS {
            self.fill();
        }
        let zeros = self.next.leading_zeros();
        self.held = self.held.checked_sub(zeros)?;
        self.next = self.next.checked_shl(zeros)?;
        Some(zeros)
    }

    /// `ue(v)`: reads an unsigned Exp-Golomb number (ITU-T H.264, 9.1).
    #[inline]
    pub(super) fn ue(&mut self) -> Option<u32> {
        match self.leading_zeros()? {
            zeros @ ..=MAX_LEADING_ZEROS => Some(self.u(zeros + 1)? - 1),
            _ => None,
        }
    }

    /// Skips this many Exp-Golomb numbers, signed or unsigned.
    #[inline]
    pub(super) fn skip_golomb(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.ue().map(drop))
    }

    /// Skips a `uvlc()` (AV1, 4.10.3): an Exp-Golomb number, but after 32 zeros or more nothing follows.
    pub(super) fn skip_uvlc(&mut self) -> Option<()> {
        let zeros = self.leading_zeros()?;
        self.skip(if zeros < 32 { zeros + 1 } else { 1 })
    }

    /// `se(v)`: reads a signed Exp-Golomb number (9.1.1): 0, 1, -1, 2, -2 and so on.
    #[inline]
    pub(super) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        Some(if code & 1 == 1 { code / 2 + 1 } else { -(code / 2) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length() {
        let mut bits = Bits::new(&[0b1011_0001, 0xFF, 0xFF, 0xFF, 0xFF, 0x80]);
        assert_eq!((bits.u(0), bits.u(1), bits.u(3), bits.flag()), (Some(0), Some(1), Some(3), Some(false)));
        assert_eq!((bits.u(3), bits.u(32)), (Some(1), Some(u32::MAX)));
        assert_eq!((bits.skip(8), bits.u(1), bits.u(0)), (Some(()), None, Some(0)));
        assert_eq!(Bits::new(&[0xFF; 12]).skip(97), None);
        assert_eq!(Bits::new(&[]).flag(), None);
    }

    #[test]
    fn exp_golomb_numbers() {
        // 1, 010, 011, 00100, 00101 and 0001000, the codes of 0, 1, 2, 3, 4 and 7.
        let codes = [0b1010_0110, 0b0100_0010, 0b1000_1000];
        let mut bits = Bits::new(&codes);
        assert_eq!([(); 6].map(|()| bits.ue()), [0, 1, 2, 3, 4, 7].map(Some));
        let mut bits = Bits::new(&codes);
        assert_eq!([(); 6].map(|()| bits.se()), [0, 1, -1, 2, -2, 4].map(Some));
        let mut bits = Bits::new(&codes);
        assert_eq!((bits.skip_golomb(5), bits.ue()), (Some(()), Some(7)));
    }

    #[test]
    fn the_longest_code_is_read_and_a_longer_one_is_none() {
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]).ue(), Some(u32::MAX - 1));
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF]).ue(), None, "it is cut off");
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0x80, 0, 0, 0, 0]).ue(), None, "32 zeros");
        assert_eq!(Bits::new(&[0; 40]).ue(), None);
    }

    #[test]
    fn only_the_three_behind_two_zeros_is_dropped() {
        let read = |bytes: &[u8]| {
            let mut bits = Bits::of_unit(bytes);
            std::iter::from_fn(|| bits.u(8)).collect::<Vec<_>>()
        };
        assert_eq!(read(&[0, 0, 3, 1, 0, 3, 3]), [0, 0, 1, 0, 3, 3]);
        assert_eq!(read(&[0, 0, 3, 0, 0, 3, 0, 0, 3]), [0; 6]);
        assert_eq!(
            read(&[0, 0, 0, 3, 9]),
            [0, 0, 0, 9],
            "three zeros break the rules, and readers take them"
        );
        let mut plain = Bits::new(&[0, 0, 3]);
        assert_eq!(plain.u(24), Some(3));
    }
}
