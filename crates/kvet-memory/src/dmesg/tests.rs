#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::testing::{DATA, Kernel, guest};

/// The ring's header and its arrays in the test kernel's data: 8 descriptors, 256 bytes of text.
const RING: u64 = 0x1000;
const DESCS: u64 = 0x2000;
const INFOS: u64 = 0x3000;
const TEXT_RING: u64 = 0x4000;
const COUNT_BITS: u32 = 3;
const SIZE_BITS: u32 = 8;
const FINAL: u64 = 2;

struct Ring {
    kernel: Kernel,
    slide: u64,
}

impl Ring {
    fn new(slide: u64) -> Ring {
        let mut kernel = Kernel::new();
        kernel.symbol("prb", DATA + 0xff0);
        let mut ring = Ring { kernel, slide };
        ring.pointer(0xff0, RING);
        ring.word(RING, u64::from(COUNT_BITS));
        ring.pointer(RING + 8, DESCS);
        ring.pointer(RING + 16, INFOS);
        ring.word(RING + 40, u64::from(SIZE_BITS));
        ring.pointer(RING + 48, TEXT_RING);
        ring
    }

    fn word(&mut self, at: u64, value: u64) {
        self.kernel.data[at as usize..][..8].copy_from_slice(&value.to_le_bytes());
    }

    /// An address as the file has it; the test RAM moves it.
    fn pointer(&mut self, at: u64, to: u64) {
        self.word(at, DATA + to);
    }

    fn ids(&mut self, tail: u64, head: u64) {
        self.word(RING + 24, head);
        self.word(RING + 32, tail);
    }

    /// A record whose text block starts at a logical position; gives the position after it.
    fn record(&mut self, id: u64, state: u64, seq: u64, begin: u64, text: &[u8]) -> u64 {
        let size = 1_u64 << SIZE_BITS;
        let len = (8 + text.len() as u64).next_multiple_of(8);
        let wraps = begin / size != (begin + len - 1) / size;
        let (place, next) =
            if wraps { (0, (begin / size + 1) * size + len) } else { (begin % size, begin + len) };
        let index = id & ((1 << COUNT_BITS) - 1);
        self.word(DESCS + 24 * index, state << 62 | id);
        self.word(DESCS + 24 * index + 8, begin);
        self.word(DESCS + 24 * index + 16, next);
        let info = INFOS + 88 * index;
        self.word(info, seq);
        self.word(info + 8, seq * 1_000_000);
        self.kernel.data[info as usize + 16..][..2].copy_from_slice(&(text.len() as u16).to_le_bytes());
        self.kernel.data[info as usize + 19] = 6 << 5;
        self.word(TEXT_RING + place, id);
        self.kernel.data[(TEXT_RING + place + 8) as usize..][..text.len()].copy_from_slice(text);
        next
    }

    fn read(&self) -> Result<Log, String> {
        let image = self.kernel.image();
        let guest = guest(&image, self.kernel.ram(self.slide)).map_err(|e| e.to_string())?;
        super::read_ring(&guest)
    }

    fn text(&self) -> String {
        String::from_utf8(self.read().unwrap().text(false)).unwrap()
    }
}

#[test]
fn records_come_in_their_order_with_the_kernels_prefix() {
    let mut ring = Ring::new(0x20_0000);
    ring.ids(8, 10);
    let next = ring.record(8, FINAL, 0, 0, b"Linux version");
    let next = ring.record(9, 1, 1, next, b"two\nlines");
    ring.record(10, FINAL, 2, next, b"last");
    assert_eq!(
        ring.text(),
        "[    0.000000] Linux version\n[    0.001000] two\n[    0.001000] lines\n[    0.002000] last\n"
    );
    let log = ring.read().unwrap();
    assert_eq!((log.records[0].level, log.lost, log.found_by.as_str()), (6, 0, "the symbol prb"));
}

#[test]
fn a_block_that_would_cross_the_end_starts_at_0() {
    let mut ring = Ring::new(0);
    ring.ids(8, 9);
    // 240 of 256 are taken: the next block does not fit before the end.
    let next = ring.record(8, FINAL, 5, 256, &[b'a'; 232]);
    assert_eq!(next, 256 + 240);
    ring.record(9, FINAL, 6, next, b"wrapped around");
    assert!(ring.text().ends_with("] wrapped around\n"), "{}", ring.text());
}

#[test]
fn a_block_may_end_exactly_at_the_end() {
    let mut ring = Ring::new(0);
    ring.ids(8, 8);
    let next = ring.record(8, FINAL, 0, 512 + 240, b"fits::::");
    assert_eq!(next, 768);
    assert!(ring.text().ends_with("fits::::\n"));
}

#[test]
fn states_decide_what_is_told() {
    let mut ring = Ring::new(0);
    ring.ids(8, 11);
    let next = ring.record(8, 3, 0, 0, b"reusable");
    let next = ring.record(9, 0, 1, next, b"being written");
    let next = ring.record(10, FINAL, 2, next, b"overwritten");
    ring.record(11, FINAL, 3, next, b"good");
    // Another record's block stands there now.
    ring.word(TEXT_RING + 16 + 24, 99);
    let log = ring.read().unwrap();
    assert_eq!(log.lost, 1);
    assert_eq!(String::from_utf8(log.text(false)).unwrap(), "[    0.003000] good\n");
    assert!(String::from_utf8(log.text(true)).unwrap().contains("being written"));
}

#[test]
fn a_record_without_text_is_a_line() {
    let mut ring = Ring::new(0);
    ring.ids(8, 9);
    ring.record(8, FINAL, 0, 0, b"x");
    ring.record(9, FINAL, 1, 16, b"");
    ring.word(DESCS + 24 + 8, 3);
    ring.word(DESCS + 24 + 16, 3);
    assert_eq!(ring.text(), "[    0.000000] x\n[    0.001000] \n");
}

#[test]
fn a_damaged_header_is_refused_with_a_sentence() {
    let mut ring = Ring::new(0);
    ring.word(RING, 60);
    let why = ring.read().unwrap_err();
    assert!(why.contains("no printk ring buffer was found"), "{why}");
    let mut ring = Ring::new(0);
    ring.ids(8, 1 << 40);
    let log = ring.read().unwrap();
    assert!(log.remarks[0].contains("damaged"), "{:?}", log.remarks);
}

#[test]
fn without_a_symbol_the_ring_is_known_by_its_form() {
    let mut ring = Ring::new(0x1_0000_0000 & 0xffff_f000);
    ring.ids(8, 8);
    ring.record(8, FINAL, 4, 0, b"found");
    let mut nameless = Kernel::new();
    nameless.data.clone_from(&ring.kernel.data);
    ring.kernel = nameless;
    let log = ring.read().unwrap();
    assert_eq!(log.found_by, "the form of its header in the kernel's data");
    assert_eq!(log.records.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_ring_makes_it_panic(damage in proptest::collection::vec((0x1000_u64..0x4200, any::<u8>()), 0..200)) {
        let mut ring = Ring::new(0);
        ring.ids(8, 15);
        let mut next = 0;
        for id in 8..16 {
            next = ring.record(id, FINAL, id, next, b"some text of it");
        }
        for (at, byte) in damage {
            ring.kernel.data[at as usize] = byte;
        }
        if let Ok(log) = ring.read() {
            prop_assert!(log.records.len() <= 8);
        }
    }
}
