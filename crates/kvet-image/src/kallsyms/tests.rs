#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::testing::{Built, Form, Spec, TEXT, build};
use super::{Encoding, KallsymsAbsent, Order};
use crate::{Image, SymbolKind, SymbolSource, VirtAddr};

/// More than two blocks of 256, so that there are markers to speak of.
const COUNT: usize = 2100;

fn open(bytes: &[u8]) -> Image {
    Image::from_bytes(Path::new("test"), bytes.to_vec()).unwrap()
}

/// What must hold of whatever was found, damaged or not: every accessor answers, and the table of symbols is no
/// larger than the tables are.
fn exercise(image: &Image) {
    let _ = image.symbolize(VirtAddr(TEXT + 0x100));
    let symbols = image.symbols();
    let Ok(kallsyms) = image.kallsyms() else { return };
    assert!(symbols.len() <= kallsyms.len());
    for i in (0..kallsyms.len()).step_by(97).chain([kallsyms.len(), usize::MAX / 8]) {
        let _ = (kallsyms.address(i), kallsyms.symbol(i), kallsyms.seq(i), kallsyms.marker(i));
    }
    let _ = (kallsyms.lookup("func_0_0"), kallsyms.strips_llvm_suffixes());
    assert!(kallsyms.decode().len() <= kallsyms.len());
}

#[test]
fn every_layout_is_read_as_it_was_written() {
    for spec in Spec::layouts(COUNT) {
        let Built { elf, places, delta } = build(&spec);
        let image = open(&elf);
        let kallsyms = image.kallsyms().unwrap_or_else(|e| panic!("{:?}: {e}", spec.form));
        let encoding = match spec.form {
            Form::Absolute => Encoding::Absolute,
            Form::BaseRelative => Encoding::BaseRelative,
            Form::AbsolutePercpu => Encoding::AbsolutePercpu,
            Form::PcRelative => Encoding::PcRelative,
        };
        assert_eq!(kallsyms.encoding(), encoding);
        assert_eq!(kallsyms.also_fits(), None, "{encoding:?}");
        assert_eq!(
            kallsyms.order(),
            if spec.names_first { Order::NamesFirst } else { Order::AddressesFirst }
        );
        let place = |name| places.get(name).map(|r| VirtAddr(r.start as u64 + delta));
        assert_eq!(Some(kallsyms.names().start), place("names"));
        assert_eq!(Some(kallsyms.markers().start), place("markers"));
        assert_eq!(Some(kallsyms.token_table().start), place("token_table"));
        assert_eq!(Some(kallsyms.token_index().start), place("token_index"));
        assert_eq!(Some(kallsyms.addresses().start), place("addresses"));
        assert_eq!(kallsyms.relative_base(), place("relative_base"));
        assert_eq!(kallsyms.seqs_of_names().map(|r| r.start), place("seqs_of_names"));
        let names = kallsyms.decode();
        assert_eq!(names.len(), spec.symbols.len());
        for (i, (addr, kind, name)) in spec.symbols.iter().enumerate() {
            assert_eq!(kallsyms.address(i), Some(VirtAddr(*addr)));
            assert_eq!(kallsyms.symbol(i), Some((*kind as u8, name.clone().into_bytes())));
            assert_eq!(names.name(i), Some(name.as_bytes()));
            assert_eq!(names.kind(i), Some(*kind as u8));
        }
        let symbols = image.symbols();
        assert_eq!(symbols.source(), SymbolSource::Kallsyms);
        let function = symbols.by_name("func_919_1").unwrap();
        assert_eq!((function.kind, function.global), (SymbolKind::Function, false));
        assert_eq!(symbols.by_name("_end").unwrap().kind, SymbolKind::Other);
        exercise(&image);
    }
}

#[test]
fn an_address_gets_the_first_alias_and_the_distance_to_the_next_address() {
    let built = build(&Spec::new(Form::PcRelative, true, true, 4, COUNT));
    let image = open(&built.elf);
    // Symbols 0 and 1 stand at 0x40, 2 and 3 at 0x80.
    assert_eq!(image.symbolize(VirtAddr(TEXT + 0x44)).unwrap(), "func_0_0+0x4/0x40");
    assert_eq!(image.symbolize(VirtAddr(TEXT + 0x80)).unwrap(), "func_838_2+0x0/0x40");
    assert_eq!(image.symbolize(VirtAddr(TEXT - 4)), None);
    assert_eq!(image.symbolize(VirtAddr(0x1000)), None);
}

#[test]
fn a_name_is_looked_up_as_the_kernel_does() {
    let built = build(&Spec::new(Form::BaseRelative, true, true, 8, COUNT));
    let image = open(&built.elf);
    let kallsyms = image.kallsyms().unwrap();
    assert_eq!(kallsyms.lookup("_stext"), Some(0));
    assert_eq!(kallsyms.lookup("func_919_1"), Some(2));
    assert_eq!(kallsyms.lookup("no_such_symbol"), None);
}

#[test]
fn a_wrong_count_does_not_hide_the_names() {
    for spec in Spec::layouts(COUNT).into_iter().filter(|s| s.form != Form::Absolute) {
        let mut built = build(&spec);
        let at = built.places["num_syms"].start;
        built.elf[at] ^= 1;
        let image = open(&built.elf);
        let kallsyms = image.kallsyms().unwrap_or_else(|e| panic!("{:?}: {e}", spec.form));
        assert_eq!(kallsyms.len(), spec.symbols.len());
        assert_eq!(kallsyms.num_syms(), spec.symbols.len() ^ 1);
    }
}

#[test]
fn a_wrong_length_costs_one_block_of_names() {
    let spec = Spec::new(Form::PcRelative, true, true, 4, COUNT);
    let mut built = build(&spec);
    let at = built.places["names"].start;
    built.elf[at] += 1;
    let image = open(&built.elf);
    let names = image.kallsyms().unwrap().decode();
    assert_eq!(names.len(), spec.symbols.len());
    for i in 256..names.len() {
        assert_eq!(names.name(i), Some(spec.symbols[i].2.as_bytes()));
    }
}

#[test]
fn a_wrong_marker_costs_no_name() {
    for block in [0, 3, 8] {
        let spec = Spec::new(Form::PcRelative, true, true, 4, COUNT);
        let mut built = build(&spec);
        let at = built.places["markers"].start + 4 * block;
        built.elf[at] = built.elf[at].wrapping_add(3);
        let image = open(&built.elf);
        let names = image.kallsyms().unwrap().decode();
        for i in 0..names.len() {
            assert_eq!(names.name(i), Some(spec.symbols[i].2.as_bytes()), "marker {block}, symbol {i}");
        }
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut built = build(&Spec::new(Form::PcRelative, true, true, 4, COUNT));
    let names = built.places["num_syms"].start..built.places["markers"].end;
    built.elf[names].fill(0);
    let token_table = VirtAddr(built.address("token_table"));
    let image = open(&built.elf);
    let missing = KallsymsAbsent::Incomplete { token_table, missing: "kallsyms_names" };
    assert_eq!(image.kallsyms().err(), Some(&missing));
    assert!(image.symbols().is_empty());

    let tokens = built.places["token_table"].clone();
    built.elf[tokens].fill(0);
    assert_eq!(open(&built.elf).kallsyms().err(), Some(&KallsymsAbsent::NoTokenTable));
}

/// A generator for a deterministic stream of damage (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below
    }
}

#[test]
fn no_single_wrong_byte_panics_or_loses_more_than_it_must() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for spec in Spec::layouts(COUNT) {
        let built = build(&spec);
        let mut tables: Vec<_> = built.places.values().cloned().collect();
        tables.sort_by_key(|r| r.start);
        for round in 0..60 {
            let table = &tables[round % tables.len()];
            let at = table.start + noise.next(table.len());
            let mut bytes = built.elf.clone();
            bytes[at] ^= 1 << noise.next(8);
            let image = open(&bytes);
            exercise(&image);
            let Ok(kallsyms) = image.kallsyms() else { continue };
            // Whatever one byte did: nearly all names are still those that were written.
            let names = kallsyms.decode();
            let same = |i: &usize| names.name(*i) == Some(spec.symbols[*i].2.as_bytes());
            let lost = spec.symbols.len() - (0..spec.symbols.len()).filter(same).count();
            let shared_token =
                built.places["token_table"].contains(&at) || built.places["token_index"].contains(&at);
            assert!(
                lost <= 256 || shared_token,
                "{:?}: byte {at:#x} in {table:#x?}: {lost} names lost of {:?}",
                spec.form,
                built.places
            );
        }
    }
}

#[test]
fn heavy_damage_and_truncation_never_panic() {
    let mut noise = Noise(42);
    for spec in Spec::layouts(COUNT) {
        let built = build(&spec);
        let (low, high) = (0x1000, built.elf.len());
        for _ in 0..12 {
            let mut bytes = built.elf.clone();
            for _ in 0..1 + noise.next(200) {
                let at = low + noise.next(high - low - 400);
                bytes[at] = noise.next(256) as u8;
            }
            exercise(&open(&bytes));
            let cut = noise.next(bytes.len());
            bytes.truncate(cut);
            if let Ok(image) = Image::from_bytes(Path::new("cut"), bytes) {
                exercise(&image);
            }
        }
    }
}
