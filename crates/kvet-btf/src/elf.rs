//! Sections of an ELF file by name: BTF stands in sections that are not loaded (`.BTF` of a module or a BPF
//! object), which an image of what is loaded leaves out.

use crate::raw::ByteOrder;

/// A section's bytes, by name, of a 64-bit ELF file of either byte order. `None` when the file is no such
/// ELF, has no such section, or is cut off before the section's end.
pub fn section<'a>(file: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let ident = file.get(..16)?;
    if !ident.starts_with(b"\x7fELF") || ident[4] != 2 {
        return None;
    }
    let order = if ident[5] == 2 { ByteOrder::Big } else { ByteOrder::Little };
    let elf = Elf { file, order };
    let table = elf.u64(40)?;
    let entry = u64::from(elf.u16(58)?);
    let first = elf.header(table, entry, 0)?;
    // Files with 65,280 sections and more keep the numbers in the first header.
    let count = match elf.u16(60)? {
        0 => first.size,
        count => u64::from(count),
    };
    let names = match elf.u16(62)? {
        0xffff => u64::from(first.link),
        index => u64::from(index),
    };
    let names = elf.header(table, entry, names)?.bytes(file)?;
    (1..count.min(file.len() as u64 / 64)).find_map(|i| {
        let header = elf.header(table, entry, i)?;
        let tail = names.get(header.name as usize..)?;
        let found = tail.strip_prefix(name.as_bytes())?.first() == Some(&0);
        found.then(|| header.bytes(file)).flatten()
    })
}

struct Elf<'a> {
    file: &'a [u8],
    order: ByteOrder,
}

struct Header {
    name: u32,
    kind: u32,
    offset: u64,
    size: u64,
    link: u32,
}

impl Elf<'_> {
    fn u16(&self, at: u64) -> Option<u16> {
        let at = usize::try_from(at).ok()?;
        Some(self.order.u16(*self.file.get(at..)?.first_chunk()?))
    }

    fn u32(&self, at: u64) -> Option<u32> {
        let at = usize::try_from(at).ok()?;
        Some(self.order.u32(*self.file.get(at..)?.first_chunk()?))
    }

    fn u64(&self, at: u64) -> Option<u64> {
        let (low, high) = (u64::from(self.u32(at)?), u64::from(self.u32(at.checked_add(4)?)?));
        Some(match self.order {
            ByteOrder::Little => high << 32 | low,
            ByteOrder::Big => low << 32 | high,
        })
    }

    fn header(&self, table: u64, entry: u64, index: u64) -> Option<Header> {
        let at = table.checked_add(entry.checked_mul(index)?)?;
        Some(Header {
            name: self.u32(at)?,
            kind: self.u32(at.checked_add(4)?)?,
            offset: self.u64(at.checked_add(24)?)?,
            size: self.u64(at.checked_add(32)?)?,
            link: self.u32(at.checked_add(40)?)?,
        })
    }
}

impl Header {
    fn bytes<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        const NOBITS: u32 = 8;
        if self.kind == NOBITS {
            return None;
        }
        let start = usize::try_from(self.offset).ok()?;
        file.get(start..start.checked_add(usize::try_from(self.size).ok()?)?)
    }
}
