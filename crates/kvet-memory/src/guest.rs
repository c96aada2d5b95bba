//! [`Guest`]: a memory and the kernel in it: bytes by the kernel's own addresses.

use std::borrow::Cow;
use std::sync::OnceLock;

use kvet_image::{Arch, Image, VirtAddr};

use crate::layout::Layouts;
use crate::locate::{self, Placement};
use crate::paging::Tables;
use crate::registers::Registers;
use crate::symbols::Symbols;
use crate::vmcoreinfo::VmcoreInfo;
use crate::{Error, ErrorKind, Memory};

/// A memory with the kernel that was found in it.
///
/// Addresses are those of the running kernel unless they are called link-time addresses, which are the image's; the
/// difference is the slide of KASLR.
pub struct Guest<'a> {
    memory: Memory,
    image: &'a Image,
    placement: Placement,
    tables: Option<Tables>,
    layouts: Layouts<'a>,
    info: OnceLock<Option<VmcoreInfo>>,
    registers: Vec<Registers>,
    symbols: Symbols,
    freed: OnceLock<std::ops::Range<u64>>,
    text_start: u64,
    text_end: u64,
}

/// Text that is a C string of the kernel's is not longer than that.
const LONGEST_STRING: usize = 4096;

impl<'a> Guest<'a> {
    /// Finds the kernel in a memory. `registers` are those of QEMU's monitor, where the memory has none of its own.
    ///
    /// # Errors
    /// The kernel is not there.
    pub fn new(memory: Memory, image: &'a Image, registers: Vec<Registers>) -> Result<Guest<'a>, Error> {
        let path = memory.path().to_owned();
        Guest::find(memory, image, registers).map_err(|kind| Error { path, kind })
    }

    fn find(mut memory: Memory, image: &'a Image, registers: Vec<Registers>) -> Result<Guest<'a>, ErrorKind> {
        let registers =
            if memory.notes().registers.is_empty() { registers } else { memory.notes().registers.clone() };
        let found = locate::find(&mut memory, image, &registers)?;
        let mut layouts = Layouts::of(image);
        layouts.set_vmcoreinfo(found.info.clone());
        let symbols = Symbols::new(image, &found.placement);
        Ok(Guest {
            memory,
            image,
            tables: found.tables,
            layouts,
            info: found.info.map_or_else(OnceLock::new, |info| OnceLock::from(Some(info))),
            registers,
            symbols,
            freed: OnceLock::new(),
            text_start: found.placement.start.0.wrapping_add(found.placement.slide),
            text_end: found.placement.end.0.wrapping_add(found.placement.slide),
            placement: found.placement,
        })
    }

    /// The memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The kernel's image.
    pub fn image(&self) -> &'a Image {
        self.image
    }

    /// The architecture.
    pub fn arch(&self) -> Arch {
        self.image.arch()
    }

    /// Where the kernel is.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The kernel's page tables, where they were found.
    pub fn tables(&self) -> Option<&Tables> {
        self.tables.as_ref()
    }

    /// The layouts of its structures.
    pub fn layouts(&self) -> &Layouts<'a> {
        &self.layouts
    }

    /// VMCOREINFO, where it was found: in a note, else by its symbol, else by its first line in all of the memory.
    pub fn vmcoreinfo(&self) -> Option<&VmcoreInfo> {
        let find = || {
            let by_symbol = || {
                let page = self.u64(self.to_runtime(self.symbols.get(self.image, "vmcoreinfo_data")?))?;
                Some(VmcoreInfo::parse(&self.read(page, 4096)?))
                    .filter(|info| info.get("OSRELEASE").is_some())
            };
            // Where its symbol is known and leads to nothing, it is not there yet.
            match self.image.symbol_addr("vmcoreinfo_data") {
                Some(_) => by_symbol(),
                None => VmcoreInfo::find(&self.memory, self.image.release()?),
            }
        };
        self.info.get_or_init(find).as_ref()
    }

    /// The registers of the CPUs, where they are known.
    pub fn registers(&self) -> &[Registers] {
        &self.registers
    }

    /// A link-time address at run time.
    pub fn to_runtime(&self, link: VirtAddr) -> u64 {
        link.0.wrapping_add(self.placement.slide)
    }

    /// An address of the running kernel's image at link time; `None` outside the image.
    pub fn to_link(&self, runtime: u64) -> Option<VirtAddr> {
        (self.text_start..self.text_end)
            .contains(&runtime)
            .then(|| VirtAddr(runtime.wrapping_sub(self.placement.slide)))
    }

    /// Where a symbol is at run time: by the image's symbols, else VMCOREINFO, else the exports, else the code that
    /// uses it.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        if let Some(link) = self.symbols.get(self.image, name) {
            return Some(self.to_runtime(link));
        }
        // VMCOREINFO knows few names, and to find it may take a search.
        const NAMES: &[&str] =
            &["prb", "clear_seq", "log_buf", "log_buf_len", "log_first_idx", "init_uts_ns"];
        if !NAMES.contains(&name) {
            return None;
        }
        self.vmcoreinfo()?.symbol(name)
    }

    /// The link-time address of a per-CPU variable.
    pub fn per_cpu_symbol(&self, name: &str) -> Option<VirtAddr> {
        self.symbols.get(self.image, name)
    }

    /// The bytes at a link-time address.
    pub fn link_bytes(&self, link: VirtAddr, len: usize) -> Option<Cow<'_, [u8]>> {
        self.read(self.to_runtime(link), len)
    }

    /// `len` bytes at an address of the running kernel.
    pub fn read(&self, address: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        let last = address.checked_add((len as u64).checked_sub(1)?)?;
        if !self.memory.virtual_segments().is_empty()
            && let Some(bytes) = self.memory.virtually(address, len)
        {
            return Some(bytes);
        }
        if let (Some(from), Some(_)) = (self.to_link(address), self.to_link(last))
            && let Some(bytes) = self.memory.physical(self.placement.physical(from), len)
        {
            return Some(bytes);
        }
        let tables = self.tables.as_ref()?;
        let first = tables.translate(&self.memory, address)?;
        if address & !(first.page - 1) == last & !(first.page - 1) {
            return self.memory.physical(first.physical, len);
        }
        if len as u64 > self.memory.segments().iter().map(|s| s.len).sum() {
            return None;
        }
        self.read_pages(tables, address, len).map(Cow::Owned)
    }

    fn read_pages(&self, tables: &Tables, address: u64, len: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        while out.len() < len {
            let at = address.checked_add(out.len() as u64)?;
            let mapping = tables.translate(&self.memory, at)?;
            let left = mapping.page - (at & (mapping.page - 1));
            let take = (len - out.len()).min(usize::try_from(left).ok()?);
            out.extend_from_slice(&self.memory.physical(mapping.physical, take)?);
        }
        Some(out)
    }

    fn array<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        self.read(address, N)?.as_ref().try_into().ok()
    }

    /// One byte.
    pub fn u8(&self, address: u64) -> Option<u8> {
        self.array::<1>(address).map(|b| b[0])
    }

    /// A 16-bit value.
    pub fn u16(&self, address: u64) -> Option<u16> {
        self.array(address).map(u16::from_le_bytes)
    }

    /// A 32-bit value.
    pub fn u32(&self, address: u64) -> Option<u32> {
        self.array(address).map(u32::from_le_bytes)
    }

    /// A 64-bit value.
    pub fn u64(&self, address: u64) -> Option<u64> {
        self.array(address).map(u64::from_le_bytes)
    }

    /// A NUL-terminated string of at most `most` bytes, other bytes than UTF-8 replaced.
    pub fn string(&self, address: u64, most: usize) -> Option<String> {
        let mut bytes = Vec::new();
        while bytes.len() < most.min(LONGEST_STRING) {
            let byte = self.u8(address.checked_add(bytes.len() as u64)?)?;
            if byte == 0 {
                break;
            }
            bytes.push(byte);
        }
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A number of 1 to 8 bytes that is a member of a structure.
    pub fn field(&self, base: u64, structure: &str, path: &str) -> Option<u64> {
        let place = self.layouts.member(structure, path)?;
        let at = base.checked_add(place.offset)?;
        if let Some((bit, width)) = place.bits {
            let byte = self.u64(at).or_else(|| self.u8(at).map(u64::from))?;
            return Some(byte >> bit & ((1 << width.min(63)) - 1));
        }
        match place.size {
            1 => self.u8(at).map(u64::from),
            2 => self.u16(at).map(u64::from),
            4 => self.u32(at).map(u64::from),
            _ => self.u64(at),
        }
    }

    /// Whether what the image has at a link-time address is no longer the kernel's: init memory that has been freed.
    pub fn is_gone(&self, link: VirtAddr) -> bool {
        let freed = self.freed.get_or_init(|| {
            let bounds = |name: &str| self.symbols.get(self.image, name).map(|a| a.0);
            match (self.init_is_freed(), bounds("__init_begin"), bounds("__init_end")) {
                (true, Some(start), Some(end)) => start..end,
                // Without symbols: what the image calls init.
                (true, ..) => {
                    let init = self.image.sections().iter().filter(|s| s.name.starts_with(".init"));
                    let start = init.clone().map(|s| s.addr.0).min().unwrap_or(0);
                    start..init.map(|s| s.end().0).max().unwrap_or(0)
                }
                (false, ..) => 0..0,
            }
        });
        freed.contains(&link.0)
    }

    /// An address as the kernel's `%pS` prints it: `schedule+0x2a/0xb0`; `None` where no symbol has it.
    pub fn symbolize(&self, address: u64) -> Option<String> {
        self.image.symbolize(self.to_link(address)?)
    }

    /// The function that holds an address.
    pub fn function_at(&self, address: u64) -> Option<&'a str> {
        let image: &'a Image = self.image;
        image.symbol_at(self.to_link(address)?).map(|(s, _)| s.name)
    }
}
