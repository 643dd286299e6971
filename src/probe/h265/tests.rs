use std::collections::BTreeSet;
use std::io::Cursor;

use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};
use scuffle_h265::SpsNALUnit;

use super::*;

/// A parameter set written bit by bit.
#[derive(Default)]
struct Set(Vec<bool>);

impl Set {
    fn u(&mut self, bits: u32, value: u32) {
        self.0.extend((0..bits).rev().map(|place| value >> place & 1 == 1));
    }

    fn ue(&mut self, value: u32) {
        let bits = (value + 1).ilog2();
        self.u(bits, 0);
        self.u(bits + 1, value + 1);
    }

    fn ues(&mut self, values: impl IntoIterator<Item = u32>) {
        values.into_iter().for_each(|value| self.ue(value));
    }

    /// Writes a random flag.
    fn any(&mut self, rng: &mut TestRng) -> bool {
        let flag = rng.random();
        self.0.push(flag);
        flag
    }

    /// Returns the NAL unit, with its header, stop bit and emulation prevention bytes.
    fn unit(mut self) -> Vec<u8> {
        self.u(1, 1);
        let mut unit = vec![SPS << 1, 1];
        for bits in self.0.chunks(8) {
            let byte = (0..8).fold(0, |byte, place| byte << 1 | u8::from(bits.get(place) == Some(&true)));
            if byte <= 3 && unit.ends_with(&[0, 0]) {
                unit.push(3);
            }
            unit.push(byte);
        }
        unit
    }
}

/// Generates any valid parameter set for pictures of 64 by 64.
fn any_set(rng: &mut TestRng) -> Vec<u8> {
    let mut set = Set::default();
    let lower_layers = rng.random_range(0..=MAX_LOWER_LAYERS);
    write_layers(&mut set, rng, lower_layers);
    set.ue(0);
    let chroma = rng.random_range(0..4);
    set.ue(chroma);
    if chroma == 3 {
        set.any(rng);
    }
    set.ues([64, 64]);
    if set.any(rng) {
        set.ues([1, 2, 3, 4]);
    }
    let depth = rng.random_range(0..=8);
    set.ues([depth, depth]);
    let order_bits = rng.random_range(0..=MAX_ORDER_BITS);
    set.ue(order_bits);
    let layers = if set.any(rng) { lower_layers + 1 } else { 1 };
    (0..layers).for_each(|_| set.ues([15, 0, 0]));
    set.ues([0, 3, 0, 3, 1, 1]);
    if set.any(rng) && set.any(rng) {
        write_scaling_lists(&mut set, rng);
    }
    set.any(rng);
    set.any(rng);
    if set.any(rng) {
        set.u(8, 0x77);
        set.ues([0, 0]);
        set.any(rng);
    }
    write_reference_sets(&mut set, rng);
    if set.any(rng) {
        let pictures = rng.random_range(0..=MAX_LONG_TERM);
        set.ue(pictures);
        (0..pictures).for_each(|_| set.u(order_bits + 5, 0x1_5555 & ((1 << order_bits) - 1)));
    }
    set.any(rng);
    set.any(rng);
    if set.any(rng) {
        write_usability(&mut set, rng, chroma);
    }
    // No extension.
    set.u(1, 0);
    set.unit()
}

fn write_layers(set: &mut Set, rng: &mut TestRng, lower_layers: u32) {
    set.u(4, 0);
    set.u(3, lower_layers);
    set.u(1, 1);
    let profile = |set: &mut Set| {
        set.u(8, 1);
        set.u(32, 0x6000_0000);
        set.u(32, 0x9000_0000);
        set.u(16, 0);
    };
    profile(set);
    set.u(8, 30);
    // Profile and level are not both present: scuffle-h265 0.2.2 reads that level twice.
    let has: Vec<_> = (0..lower_layers).map(|_| rng.random_range(0..3)).collect();
    has.iter().for_each(|has| set.u(2, *has));
    if lower_layers > 0 {
        set.u(2 * (8 - lower_layers), 0);
    }
    for has in has {
        match has {
            0 => {}
            1 => set.u(8, 30),
            _ => profile(set),
        }
    }
}

fn write_scaling_lists(set: &mut Set, rng: &mut TestRng) {
    for size in 0..4 {
        for list in 0..if size == 3 { 2 } else { 6 } {
            if set.any(rng) {
                let numbers = if size == 0 { 16 } else { 64 } + u32::from(size > 1);
                set.ues((0..numbers).map(|_| rng.random_range(0..4)));
            } else {
                set.ue(rng.random_range(0..=list));
            }
        }
    }
}

fn write_reference_sets(set: &mut Set, rng: &mut TestRng) {
    let count = rng.random_range(0..8);
    set.ue(count);
    let mut last: BTreeSet<i64> = BTreeSet::new();
    for index in 0..count {
        last = if index > 0 && set.any(rng) {
            let is_back = set.any(rng);
            let step = rng.random_range(0..5);
            set.ue(step);
            let moved = if is_back { -1 - i64::from(step) } else { 1 + i64::from(step) };
            let (before, behind): (Vec<_>, Vec<_>) = last.iter().copied().partition(|distance| *distance < 0);
            let told = before.into_iter().rev().chain(behind).chain([0]);
            let kept = told.filter(|distance| {
                // A picture that would become the current one is dropped.
                if distance + moved == 0 {
                    set.u(2, 0);
                    return false;
                }
                set.any(rng) || set.any(rng)
            });
            kept.map(|distance| distance + moved).collect()
        } else {
            let counts = [rng.random_range(0..5), rng.random_range(0..5)];
            set.ues(counts);
            let mut distances = BTreeSet::new();
            for (count, sign) in counts.into_iter().zip([-1, 1]) {
                let mut distance = 0;
                for _ in 0..count {
                    let step = rng.random_range(0..4);
                    set.ue(step);
                    set.any(rng);
                    distance += sign * i64::from(step + 1);
                    distances.insert(distance);
                }
            }
            distances
        };
    }
}

fn write_usability(set: &mut Set, rng: &mut TestRng, chroma: u32) {
    if set.any(rng) {
        if rng.random() {
            set.u(8, 255);
            set.u(32, 0x0010_000B);
        } else {
            set.u(8, 1);
        }
    }
    if set.any(rng) {
        set.any(rng);
    }
    if set.any(rng) {
        set.u(3, 5);
        set.any(rng);
        if set.any(rng) {
            // The identity matrix is for 4:4:4.
            set.u(24, 0x01_01_00 | rng.random_range(u32::from(chroma != 3)..3));
        }
    }
    // No chroma sample locations, neutral chroma, fields, field information, display window, timing or limits.
    set.u(7, 0);
}

/// Returns what an independent parser reads from the same unit.
fn by_scuffle(unit: &[u8]) -> Option<Planes> {
    let sps = SpsNALUnit::parse(Cursor::new(unit)).ok()?.rbsp;
    let signal = sps.vui_parameters.as_ref().map(|vui| &vui.video_signal_type);
    let colour = Colour {
        // It does not distinguish an explicit range from the default one.
        full_range: signal.map(|signal| signal.video_full_range_flag).filter(|full| *full),
        rgb: signal.is_some_and(|signal| signal.matrix_coeffs == 0),
    };
    let chroma = if sps.separate_colour_plane_flag { 0 } else { sps.chroma_format_idc };
    Some(Planes { chroma: chroma.into(), depth: sps.bit_depth_y().into(), colour })
}

#[test]
fn an_independent_parser_reads_the_same() {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for _ in 0..2000 {
        let unit = any_set(&mut rng);
        let mut ours = planes(&unit).expect("it keeps the rules");
        ours.colour.full_range = ours.colour.full_range.filter(|full| *full);
        assert_eq!(Some(ours), by_scuffle(&unit), "{unit:02X?}");
    }
}

#[test]
fn a_scaling_list_refers_to_none_before_the_first() {
    let lists = |refer_to: u32| {
        let mut bits = Set::default();
        // The first list of the smallest size refers to itself, which means the default list; the second refers to
        // another one.
        bits.u(1, 0);
        bits.ue(0);
        bits.u(1, 0);
        bits.ue(refer_to);
        (2..20).for_each(|_| bits.u(2, 0b01));
        let unit = bits.unit();
        skip_scaling_lists(&mut Bits::of_unit(&unit[2..]))
    };
    assert_eq!([0, 1, 2, 3].map(lists), [Some(()), Some(()), None, None]);
}

#[test]
fn a_cut_set_and_another_unit_tell_nothing() {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let unit = any_set(&mut rng);
    let ends = (0..=unit.len()).find(|len| planes(&unit[..*len]).is_some()).expect("it keeps the rules");
    // What follows the usability information is not read: its seven flags, and the stop bit.
    assert!(ends + 2 >= unit.len(), "{ends} of {}", unit.len());
    assert_eq!(planes(&[&[32 << 1], &unit[1..]].concat()), None);
}
