//! Boxes of the ISO base media file format in any style that it allows (ISO/IEC 14496-12, 4.2).

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::Fill;

/// Bytes of a free box.
const MAX_FREE: usize = 8 << 10;

/// How boxes are written. What is missing is as most writers have it.
#[derive(Arbitrary, Debug)]
pub struct Style {
    /// For each box, whether its size takes 64 bits.
    wide: Vec<bool>,
    /// Choices that bring the boxes of a level out of order.
    order: Vec<u8>,
    /// For each level, a free box in it.
    free: Vec<Option<Fill>>,
}

/// Writes boxes in a style.
pub struct Writer<'a> {
    style: &'a Style,
    boxes: usize,
    choices: usize,
    levels: usize,
}

impl<'a> Writer<'a> {
    pub fn new(style: &'a Style) -> Self {
        Self { style, boxes: 0, choices: 0, levels: 0 }
    }

    pub fn boxed(&mut self, kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let wide = self.style.wide.get(self.boxes).copied().unwrap_or(false);
        self.boxes += 1;
        let len = body.len() as u32;
        match wide {
            true => [&[0, 0, 0, 1][..], kind, &u64::from(len + 16).to_be_bytes(), body].concat(),
            false => [&(len + 8).to_be_bytes()[..], kind, body].concat(),
        }
    }

    /// A box with a version, and with flags that are all 0.
    pub fn full(&mut self, kind: &[u8; 4], version: u8, body: &[u8]) -> Vec<u8> {
        self.boxed(kind, &[&[version, 0, 0, 0], body].concat())
    }

    /// A box of boxes, which may have a free one among them.
    pub fn container(&mut self, kind: &[u8; 4], mut boxes: Vec<Vec<u8>>) -> Vec<u8> {
        boxes.push(self.free());
        let body = self.arranged(&boxes);
        self.boxed(kind, &body)
    }

    /// A free box, or nothing.
    pub fn free(&mut self) -> Vec<u8> {
        let fill = self.style.free.get(self.levels).and_then(Option::as_ref);
        self.levels += 1;
        fill.map_or(Vec::new(), |fill| self.boxed(b"free", &fill.bytes(MAX_FREE)))
    }

    /// The boxes in an order.
    pub fn arranged(&mut self, boxes: &[Vec<u8>]) -> Vec<u8> {
        let boxes: Vec<&[u8]> = self.order(boxes.len()).into_iter().map(|index| &boxes[index][..]).collect();
        boxes.concat()
    }

    /// The numbers below `len`, in their order as long as no choice changes it.
    pub fn order(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..len).collect();
        for last in (1..len).rev() {
            let choice = self.style.order.get(self.choices).copied().unwrap_or(0);
            self.choices += 1;
            order.swap(last, last - usize::from(choice) % (last + 1));
        }
        order
    }
}

/// The number of rows, and the rows.
pub fn table<const COLUMNS: usize>(rows: &[[u32; COLUMNS]]) -> Vec<u8> {
    longs(&[&[rows.len() as u32][..], rows.as_flattened()].concat())
}

/// Numbers, one behind the other.
pub fn longs(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}
