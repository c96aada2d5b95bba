//! A writer of small ELF files.

/// One section to write; the reserved first one, the symbol table and the two string tables are made by
/// [`TestElf::build`].
#[derive(Clone, Default)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) addr: u64,
    pub(crate) data: Vec<u8>,
    /// The size of SHT_NOBITS.
    pub(crate) size: u64,
    pub(crate) info: u32,
    pub(crate) align: u64,
}

impl Part {
    /// SHT_PROGBITS with these flags: 2 read, 3 write, 6 execute.
    pub(crate) fn new(name: &'static str, flags: u64, data: &[u8]) -> Part {
        Part { name, kind: 1, flags, data: data.to_vec(), align: 4, ..Part::default() }
    }

    pub(crate) fn at(self, addr: u64) -> Part {
        Part { addr, ..self }
    }

    pub(crate) fn nobits(name: &'static str, size: u64) -> Part {
        Part { name, kind: 8, flags: 3, size, align: 4, ..Part::default() }
    }

    /// SHT_RELA for the section of a number; sections count from 1 in the order of [`TestElf::parts`].
    pub(crate) fn rela(name: &'static str, target: u32, entries: &[Rela]) -> Part {
        let mut data = Vec::new();
        for Rela(offset, symbol, kind, addend) in entries {
            data.extend_from_slice(&offset.to_le_bytes());
            data.extend_from_slice(&kind.to_le_bytes());
            data.extend_from_slice(&symbol.to_le_bytes());
            data.extend_from_slice(&addend.to_le_bytes());
        }
        Part { name, kind: 4, data, info: target, align: 8, ..Part::default() }
    }
}

/// Offset, symbol, type, addend.
#[derive(Clone, Copy)]
pub(crate) struct Rela(pub(crate) u64, pub(crate) u32, pub(crate) u32, pub(crate) i64);

/// Name, st_info, st_shndx, st_value, st_size.
pub(crate) type TestSymbol = (&'static str, u8, u16, u64, u64);

pub(crate) struct TestElf {
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) parts: Vec<Part>,
    /// Numbered from 1: the reserved one is added.
    pub(crate) symbols: Vec<TestSymbol>,
}

impl TestElf {
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut symtab = vec![0; 24];
        for (name, info, section, value, size) in &self.symbols {
            symtab.extend_from_slice(&(strings.len() as u32).to_le_bytes());
            symtab.extend_from_slice(&[*info, 0]);
            symtab.extend_from_slice(&section.to_le_bytes());
            symtab.extend_from_slice(&value.to_le_bytes());
            symtab.extend_from_slice(&size.to_le_bytes());
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
        }
        let mut parts = self.parts.clone();
        let first_table = parts.len() as u32 + 1;
        if !self.symbols.is_empty() {
            parts.push(Part { name: ".symtab", kind: 2, data: symtab, align: 8, ..Part::default() });
        }
        parts.push(Part { name: ".strtab", kind: 3, data: strings, align: 1, ..Part::default() });
        let mut names = vec![0];
        let offsets: Vec<u32> = parts.iter().map(|p| append(&mut names, p.name)).collect();
        let own = append(&mut names, ".shstrtab");
        parts.push(Part { name: ".shstrtab", kind: 3, data: names, align: 1, ..Part::default() });

        let mut file = vec![0; 64];
        let mut headers = vec![0; 64];
        for (part, name) in parts.iter().zip(offsets.into_iter().chain([own])) {
            file.resize(file.len().next_multiple_of(16), 0);
            let link = match part.kind {
                2 => first_table + 1,
                4 => first_table,
                _ => 0,
            };
            let size = if part.kind == 8 { part.size } else { part.data.len() as u64 };
            headers.extend_from_slice(&name.to_le_bytes());
            headers.extend_from_slice(&part.kind.to_le_bytes());
            for value in [part.flags, part.addr, file.len() as u64, size] {
                headers.extend_from_slice(&value.to_le_bytes());
            }
            headers.extend_from_slice(&link.to_le_bytes());
            headers.extend_from_slice(&part.info.to_le_bytes());
            headers.extend_from_slice(&part.align.to_le_bytes());
            headers.extend_from_slice(&[0; 8]);
            file.extend_from_slice(&part.data);
        }
        file.resize(file.len().next_multiple_of(16), 0);
        let table = file.len() as u64;
        file.extend_from_slice(&headers);
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16..18].copy_from_slice(&self.kind.to_le_bytes());
        file[18..20].copy_from_slice(&self.machine.to_le_bytes());
        file[20] = 1;
        file[0x28..0x30].copy_from_slice(&table.to_le_bytes());
        file[0x34..0x36].copy_from_slice(&64u16.to_le_bytes());
        file[0x3a..0x3c].copy_from_slice(&64u16.to_le_bytes());
        file[0x3c..0x3e].copy_from_slice(&(parts.len() as u16 + 1).to_le_bytes());
        file[0x3e..0x40].copy_from_slice(&(parts.len() as u16).to_le_bytes());
        file
    }
}

fn append(names: &mut Vec<u8>, name: &str) -> u32 {
    let at = names.len() as u32;
    names.extend_from_slice(name.as_bytes());
    names.push(0);
    at
}

/// A note section with a build id.
pub(crate) fn build_id_note(id: &[u8]) -> Part {
    let mut data = Vec::new();
    for word in [4, id.len() as u32, 3] {
        data.extend_from_slice(&word.to_le_bytes());
    }
    data.extend_from_slice(b"GNU\0");
    data.extend_from_slice(id);
    Part { kind: 7, ..Part::new(".note.gnu.build-id", 2, &data) }
}
