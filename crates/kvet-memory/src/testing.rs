//! A kernel and a guest for tests: an ELF vmlinux of two sections, and RAM that holds it at a slide.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use kvet_image::{Arch, Image};

use crate::{Guest, Memory};

/// The link-time address of `.text`; `.data` follows at [`DATA`].
pub(crate) const TEXT: u64 = 0xffff_ffff_8100_0000;
pub(crate) const DATA: u64 = TEXT + 0x10_0000;
/// Where the kernel stands in physical memory.
pub(crate) const PHYSICAL: u64 = 0x40_0000;
/// Lengths of the two sections.
pub(crate) const TEXT_LEN: usize = 0x1000;
pub(crate) const DATA_LEN: usize = 0x8000;
pub(crate) const BANNER: &str = "Linux version 6.1.0-test (a@b) #1 SMP\n\0";

/// A kernel under construction: data words and symbols.
pub(crate) struct Kernel {
    pub(crate) text: Vec<u8>,
    pub(crate) data: Vec<u8>,
    symbols: Vec<(String, u64)>,
}

impl Kernel {
    /// With a banner and enough pointers to tell a slide by.
    pub(crate) fn new() -> Kernel {
        let mut data = vec![0; DATA_LEN];
        data[..BANNER.len()].copy_from_slice(BANNER.as_bytes());
        for i in 0..64_usize {
            data[0x5000 + 0xc0 * i..][..8].copy_from_slice(&(TEXT + 8 * i as u64).to_le_bytes());
        }
        Kernel { text: vec![0x90; TEXT_LEN], data, symbols: Vec::new() }
    }

    pub(crate) fn symbol(&mut self, name: &str, addr: u64) -> &mut Kernel {
        self.symbols.push((name.to_owned(), addr));
        self
    }

    pub(crate) fn image(&self) -> Image {
        Image::from_bytes(Path::new("vmlinux"), self.elf()).unwrap()
    }

    fn elf(&self) -> Vec<u8> {
        let mut strings = vec![0_u8];
        let mut symtab = vec![0_u8; 24];
        for (name, addr) in &self.symbols {
            let at = strings.len() as u32;
            strings.extend(name.bytes());
            strings.push(0);
            symtab.extend(at.to_le_bytes());
            symtab.extend([0x11, 0, 2, 0]);
            symtab.extend(addr.to_le_bytes());
            symtab.extend(8_u64.to_le_bytes());
        }
        let names = b"\0.text\0.data\0.symtab\0.strtab\0.shstrtab\0";
        let parts: [&[u8]; 5] = [&self.text, &self.data, &symtab, &strings, names];
        let mut out = vec![0_u8; 64];
        let mut offsets = Vec::new();
        for part in parts {
            out.resize(out.len().next_multiple_of(16), 0);
            offsets.push(out.len() as u64);
            out.extend(part);
        }
        out.resize(out.len().next_multiple_of(16), 0);
        let table = out.len() as u64;
        let header =
            |name: u32, kind: u32, flags: u64, addr: u64, i: usize, link: u32, info: u32, entry: u64| {
                let mut h = Vec::new();
                h.extend(name.to_le_bytes());
                h.extend(kind.to_le_bytes());
                for word in [flags, addr, offsets[i], parts[i].len() as u64] {
                    h.extend(word.to_le_bytes());
                }
                h.extend(link.to_le_bytes());
                h.extend(info.to_le_bytes());
                for word in [16, entry] {
                    h.extend(word.to_le_bytes());
                }
                h
            };
        out.extend([0; 64]);
        out.extend(header(1, 1, 6, TEXT, 0, 0, 0, 0));
        out.extend(header(7, 1, 3, DATA, 1, 0, 0, 0));
        out.extend(header(13, 2, 0, 0, 2, 4, 1, 24));
        out.extend(header(21, 3, 0, 0, 3, 0, 0, 0));
        out.extend(header(29, 3, 0, 0, 4, 0, 0, 0));
        out[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        for (at, value) in [(16, 2_u16), (18, 62), (52, 64), (54, 56), (58, 64), (60, 6), (62, 5)] {
            out[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        out[20] = 1;
        out[40..48].copy_from_slice(&table.to_le_bytes());
        out
    }

    /// RAM with the kernel in it, its pointers moved by a slide.
    pub(crate) fn ram(&self, slide: u64) -> Vec<u8> {
        let mut ram = vec![0; 8 << 20];
        let at = PHYSICAL as usize;
        ram[at..at + TEXT_LEN].copy_from_slice(&self.text);
        let data_at = at + (DATA - TEXT) as usize;
        ram[data_at..data_at + DATA_LEN].copy_from_slice(&self.data);
        for word in ram[data_at..data_at + DATA_LEN].as_chunks_mut::<8>().0 {
            let value = u64::from_le_bytes(*word);
            if (TEXT..DATA + DATA_LEN as u64).contains(&value) {
                *word = value.wrapping_add(slide).to_le_bytes();
            }
        }
        ram
    }
}

/// The guest of a kernel in this RAM.
pub(crate) fn guest(image: &Image, ram: Vec<u8>) -> Result<Guest<'_>, crate::Error> {
    Guest::new(Memory::from_bytes(Path::new("ram"), ram, Arch::X86_64)?, image, Vec::new())
}

#[test]
fn the_kernel_is_found_with_its_slide() {
    let mut kernel = Kernel::new();
    kernel.symbol("the_word", DATA + 0x4000);
    kernel.data[0x4000..0x4008].copy_from_slice(&0x1122_3344_5566_7788_u64.to_le_bytes());
    let image = kernel.image();
    for slide in [0, 0x1c0_0000, 0x2000_0000] {
        let guest = guest(&image, kernel.ram(slide)).unwrap();
        assert_eq!(guest.placement().slide, slide);
        assert_eq!(guest.placement().physical_base(), Some(PHYSICAL));
        let at = guest.symbol("the_word").unwrap();
        assert_eq!(at, DATA + 0x4000 + slide);
        assert_eq!(guest.u64(at), Some(0x1122_3344_5566_7788));
        assert_eq!(guest.symbol("nothing_such"), None);
        assert_eq!(guest.u64(0xffff_8880_0000_0000), None);
    }
}

#[test]
fn a_memory_without_the_kernel_says_what_was_looked_for() {
    let kernel = Kernel::new();
    let image = kernel.image();
    let mut ram = kernel.ram(0);
    let banner = (PHYSICAL + DATA - TEXT) as usize;
    ram[banner + 3] = b'?';
    let error = guest(&image, ram).err().map(|e| e.to_string()).unwrap();
    assert!(error.contains("the kernel 6.1.0-test is not in this memory: its banner"), "{error}");
}
