//! Writes small kernels with kallsyms, for tests: what scripts/kallsyms.c would emit, in an ELF file of two
//! sections. Self-contained, so that other crates' tests include it as a file.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::ops::Range;

/// Where `.text` is linked; `.rodata` follows at [`RODATA`].
pub const TEXT: u64 = 0xffff_ffff_8100_0000;
/// Where `.rodata` is linked.
pub const RODATA: u64 = 0xffff_ffff_8200_0000;

/// The forms in which addresses are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Absolute,
    BaseRelative,
    AbsolutePercpu,
    PcRelative,
}

/// What to write.
#[derive(Clone, Debug)]
pub struct Spec {
    pub form: Form,
    pub names_first: bool,
    pub seqs: bool,
    pub align: usize,
    pub symbols: Vec<(u64, char, String)>,
}

impl Spec {
    /// One of the layouts that kernels have had, with `count` functions and a few marks.
    pub fn new(form: Form, names_first: bool, seqs: bool, align: usize, count: usize) -> Spec {
        let mut symbols = Vec::new();
        if form == Form::AbsolutePercpu {
            symbols.push((0, 'A', "__per_cpu_start".into()));
            symbols.push((0x1000, 'A', "irq_stack".into()));
        }
        symbols.push((TEXT, 'T', "_stext".into()));
        for i in 0..count {
            // Names out of the order of addresses, some of them aliases, one big symbol.
            let name = if i == 5 { "x".repeat(200) } else { format!("func_{}_{i}", i * 7919 % 1000) };
            let kind = if i % 3 == 0 { 'T' } else { 't' };
            symbols.push((TEXT + 0x40 * (i as u64 / 2 + 1), kind, name));
        }
        symbols.push((TEXT + 0x80_0000, 'T', "_etext".into()));
        symbols.push((RODATA, 'R', "table".into()));
        symbols.push((RODATA + 0x10_0000, 'B', "_end".into()));
        Spec { form, names_first, seqs, align, symbols }
    }

    /// All layouts: 5.10, 6.1 on both architectures, 6.12 on both, 7.3, and addresses without a base.
    pub fn layouts(count: usize) -> Vec<Spec> {
        vec![
            Spec::new(Form::Absolute, false, false, 8, count),
            Spec::new(Form::AbsolutePercpu, false, false, 8, count),
            Spec::new(Form::AbsolutePercpu, false, true, 8, count),
            Spec::new(Form::BaseRelative, false, true, 8, count),
            Spec::new(Form::AbsolutePercpu, true, true, 8, count),
            Spec::new(Form::BaseRelative, true, true, 8, count),
            Spec::new(Form::PcRelative, true, true, 4, count),
        ]
    }
}

/// A kernel file and where its tables stand in it.
#[derive(Clone)]
pub struct Built {
    pub elf: Vec<u8>,
    pub places: HashMap<&'static str, Range<usize>>,
    /// Address minus file position in `.rodata`.
    pub delta: u64,
}

impl Built {
    pub fn address(&self, table: &str) -> u64 {
        self.places[table].start as u64 + self.delta
    }
}

const RODATA_AT: usize = 0x1000;

fn tokens() -> Vec<String> {
    (0..256u32)
        .map(|code| match code {
            0x21..=0x7e => char::from(code as u8).to_string(),
            0x80 => "func_".into(),
            0x81 => "Tfunc_".into(),
            0x82 => "tfunc_".into(),
            other => format!("unused_token_{other:03}_longer_than_16"),
        })
        .collect()
}

fn codes(kind: char, name: &str) -> Vec<u8> {
    let full = format!("{kind}{name}");
    for (token, code) in [("Tfunc_", 0x81), ("tfunc_", 0x82)] {
        if let Some(rest) = full.strip_prefix(token) {
            return [&[code], rest.as_bytes()].concat();
        }
    }
    full.into_bytes()
}

/// Writes the file.
pub fn build(spec: &Spec) -> Built {
    let mut out = vec![0u8; RODATA_AT];
    out.extend([0x5a; 64]);
    let mut places = HashMap::new();
    let delta = RODATA - RODATA_AT as u64;
    if spec.names_first {
        count_and_names(spec, &mut out, &mut places);
        token_tables(spec, &mut out, &mut places);
        addresses(spec, &mut out, &mut places, delta);
        seqs(spec, &mut out, &mut places);
    } else {
        addresses(spec, &mut out, &mut places, delta);
        count_and_names(spec, &mut out, &mut places);
        seqs(spec, &mut out, &mut places);
        token_tables(spec, &mut out, &mut places);
    }
    out.extend([0x5a; 64]);
    out.resize(out.len().next_multiple_of(8), 0);
    Built { elf: elf(out), places, delta }
}

fn begin(out: &mut Vec<u8>, align: usize) -> usize {
    out.resize(out.len().next_multiple_of(align), 0);
    out.len()
}

fn count_and_names(spec: &Spec, out: &mut Vec<u8>, places: &mut HashMap<&'static str, Range<usize>>) {
    let start = begin(out, spec.align);
    out.extend((spec.symbols.len() as u32).to_le_bytes());
    places.insert("num_syms", start..out.len());
    let start = begin(out, spec.align);
    let mut markers = Vec::new();
    for (i, (_, kind, name)) in spec.symbols.iter().enumerate() {
        if i % 256 == 0 {
            markers.push((out.len() - start) as u32);
        }
        let codes = codes(*kind, name);
        if codes.len() > 0x7f {
            out.push((codes.len() & 0x7f) as u8 | 0x80);
            out.push((codes.len() >> 7) as u8);
        } else {
            out.push(codes.len() as u8);
        }
        out.extend(codes);
    }
    places.insert("names", start..out.len());
    let start = begin(out, spec.align);
    out.extend(markers.iter().flat_map(|m| m.to_le_bytes()));
    places.insert("markers", start..out.len());
}

fn token_tables(spec: &Spec, out: &mut Vec<u8>, places: &mut HashMap<&'static str, Range<usize>>) {
    let start = begin(out, spec.align);
    let mut index = Vec::new();
    for token in tokens() {
        index.push((out.len() - start) as u16);
        out.extend(token.as_bytes());
        out.push(0);
    }
    places.insert("token_table", start..out.len());
    let start = begin(out, spec.align);
    out.extend(index.iter().flat_map(|i| i.to_le_bytes()));
    places.insert("token_index", start..out.len());
}

fn addresses(spec: &Spec, out: &mut Vec<u8>, places: &mut HashMap<&'static str, Range<usize>>, delta: u64) {
    let start = begin(out, spec.align);
    for (addr, ..) in &spec.symbols {
        match spec.form {
            Form::Absolute => out.extend(addr.to_le_bytes()),
            Form::BaseRelative => out.extend((addr.wrapping_sub(TEXT) as u32).to_le_bytes()),
            Form::AbsolutePercpu if *addr < TEXT => out.extend((*addr as u32).to_le_bytes()),
            Form::AbsolutePercpu => {
                out.extend((TEXT.wrapping_sub(*addr).wrapping_sub(1) as u32).to_le_bytes())
            }
            Form::PcRelative => {
                let field = out.len() as u64 + delta;
                out.extend((addr.wrapping_sub(field) as u32).to_le_bytes());
            }
        }
    }
    places.insert("addresses", start..out.len());
    if matches!(spec.form, Form::BaseRelative | Form::AbsolutePercpu) {
        let start = begin(out, spec.align);
        out.extend(TEXT.to_le_bytes());
        places.insert("relative_base", start..out.len());
    }
}

fn seqs(spec: &Spec, out: &mut Vec<u8>, places: &mut HashMap<&'static str, Range<usize>>) {
    if !spec.seqs {
        return;
    }
    let start = begin(out, spec.align);
    let mut order: Vec<usize> = (0..spec.symbols.len()).collect();
    order.sort_by_key(|i| &spec.symbols[*i].2);
    for seq in order {
        out.extend(&(seq as u32).to_be_bytes()[1..]);
    }
    places.insert("seqs_of_names", start..out.len());
}

/// Makes an x86-64 vmlinux of `.text` (without bytes), `.rodata` (from [`RODATA_AT`]), `.bss` and their headers.
fn elf(mut out: Vec<u8>) -> Vec<u8> {
    let rodata = out.len() - RODATA_AT;
    let names = out.len();
    out.extend(b"\0.text\0.rodata\0.shstrtab\0.bss\0");
    let names_len = out.len() - names;
    out.resize(out.len().next_multiple_of(8), 0);
    let table = out.len();
    let mut section = |name: u32, kind: u32, flags: u64, addr: u64, at: usize, size: usize| {
        out.extend(name.to_le_bytes());
        out.extend(kind.to_le_bytes());
        for value in [flags, addr, at as u64, size as u64] {
            out.extend(value.to_le_bytes());
        }
        out.extend([0; 8]);
        out.extend(1u64.to_le_bytes());
        out.extend([0; 8]);
    };
    section(0, 0, 0, 0, 0, 0);
    section(1, 8, 6, TEXT, RODATA_AT, 0x100_0000);
    section(7, 1, 2, RODATA, RODATA_AT, rodata.max(1));
    section(15, 3, 0, 0, names, names_len);
    section(25, 8, 3, RODATA + 0x8_0000, RODATA_AT, 0x8_0000);
    out[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    out[16..18].copy_from_slice(&2u16.to_le_bytes());
    out[18..20].copy_from_slice(&62u16.to_le_bytes());
    out[20] = 1;
    out[40..48].copy_from_slice(&(table as u64).to_le_bytes());
    out[52] = 64;
    out[58] = 64;
    out[60] = 5;
    out[62] = 3;
    out
}
