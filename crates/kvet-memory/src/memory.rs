//! [`Memory`]: physical memory, whatever file holds it.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kvet_image::Arch;
use memmap2::Mmap;

use crate::elf::{self, Notes};
use crate::{Error, ErrorKind};

/// The form in which a memory came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Form {
    /// A guest's RAM as it is: the file of QEMU's `memory-backend-file`, or a copy of it.
    Ram,
    /// An ELF core: QEMU's `dump-guest-memory`, a vmcore of kdump.
    ElfCore,
    /// `/proc/kcore`: the running kernel's own.
    Kcore,
}

impl Form {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Form::Ram => "guest RAM",
            Form::ElfCore => "ELF core",
            Form::Kcore => "/proc/kcore",
        }
    }
}

/// A run of physical memory and where the file has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The first physical address.
    pub physical: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Where it starts in the file.
    pub offset: u64,
}

/// A run of virtual memory that the file itself maps (a vmcore, `/proc/kcore`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtualSegment {
    /// The first virtual address.
    pub address: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Where it starts in the file.
    pub offset: u64,
}

enum Backing {
    Mapped(Mmap),
    /// For a file that cannot be mapped.
    Read(File),
    #[cfg_attr(not(test), allow(dead_code))]
    Owned(Vec<u8>),
}

/// Physical memory, mapped, not copied.
///
/// A guest that runs on changes it under the reader; everything read is checked, so that such a change may give a
/// wrong answer about the moment, and never a crash.
pub struct Memory {
    path: PathBuf,
    form: Form,
    backing: Backing,
    len: u64,
    /// By physical address, not overlapping.
    segments: Vec<Segment>,
    /// By virtual address, not overlapping.
    virtuals: Vec<VirtualSegment>,
    /// The architecture, where the file says.
    arch: Option<Arch>,
    notes: Notes,
    remarks: Vec<String>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("path", &self.path).field("form", &self.form).finish_non_exhaustive()
    }
}

/// Where QEMU puts a guest's memory when it is larger than what fits below the hole for devices: `q35` splits at
/// 2 GiB from 0xb0000000 bytes on (hw/i386/pc_q35.c, `pc_q35_init`), `pc` at 3 GiB from 0xe0000000 on
/// (hw/i386/pc_piix.c, `pc_init1`). The rest is above 4 GiB.
const Q35_HOLE: (u64, u64) = (0xb000_0000, 0x8000_0000);
const PC_HOLE: (u64, u64) = (0xe000_0000, 0xc000_0000);
const ABOVE_HOLE: u64 = 1 << 32;
/// QEMU's `virt` machine (hw/arm/virt.c, `VIRT_MEM`).
const ARM64_RAM: u64 = 0x4000_0000;

/// A RAM file smaller than this holds no kernel.
const SMALLEST: u64 = 1 << 20;

impl Memory {
    /// Opens a memory file. `arch` is the kernel's, which a RAM file does not state.
    ///
    /// # Errors
    /// The file cannot be read, is no memory, or contradicts itself.
    pub fn open(path: &Path, arch: Arch) -> Result<Memory, Error> {
        Memory::open_kind(path, arch).map_err(|kind| Error { path: path.into(), kind })
    }

    /// Opens a file that is open already, such as a guest's memory without a name; `path` only names it.
    ///
    /// # Errors
    /// As [`Memory::open`].
    pub fn from_file(file: &File, path: &Path, arch: Arch) -> Result<Memory, Error> {
        let open = || Memory::from_backing(path, Backing::Mapped(map(file)?), arch);
        open().map_err(|kind| Error { path: path.into(), kind })
    }

    /// A memory that is at hand as bytes; `path` only names it.
    ///
    /// # Errors
    /// As [`Memory::open`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>, arch: Arch) -> Result<Memory, Error> {
        Memory::from_backing(path, Backing::Owned(bytes), arch)
            .map_err(|kind| Error { path: path.into(), kind })
    }

    fn open_kind(path: &Path, arch: Arch) -> Result<Memory, ErrorKind> {
        let file_type = std::fs::metadata(path)?.file_type();
        if !file_type.is_file() {
            let found = if file_type.is_dir() { "a directory" } else { "a device, a pipe or a socket" };
            return Err(ErrorKind::NotMemory { found: found.into() });
        }
        let file = File::open(path)?;
        // What /proc holds states no length and cannot be mapped.
        if path.starts_with("/proc") {
            return Memory::from_backing(path, Backing::Read(file), arch);
        }
        Memory::from_backing(path, Backing::Mapped(map(&file)?), arch)
    }

    fn from_backing(path: &Path, backing: Backing, arch: Arch) -> Result<Memory, ErrorKind> {
        let len = match &backing {
            Backing::Mapped(map) => map.len() as u64,
            Backing::Owned(bytes) => bytes.len() as u64,
            // No length is known; an offset past the end fails to be read.
            Backing::Read(_) => u64::MAX,
        };
        let mut memory = Memory {
            path: path.into(),
            form: Form::Ram,
            backing,
            len,
            segments: Vec::new(),
            virtuals: Vec::new(),
            arch: None,
            notes: Notes::default(),
            remarks: Vec::new(),
        };
        let mut magic = [0; 16];
        let got = memory.read_file(0, &mut magic);
        if got.is_some() && magic.starts_with(b"\x7fELF") {
            memory.read_elf()?;
        } else if let Some(what) = elf::other_form(&magic).filter(|_| got.is_some()) {
            return Err(ErrorKind::NotMemory { found: what.into() });
        } else {
            memory.lay_out_ram(arch)?;
        }
        if let Some(own) = memory.arch.filter(|own| *own != arch) {
            return Err(ErrorKind::Architecture { memory: own.as_str(), kernel: arch.as_str() });
        }
        Ok(memory)
    }

    fn read_elf(&mut self) -> Result<(), ErrorKind> {
        let core = elf::read(self.len, |at, into| self.read_file(at, into).is_some())?;
        self.form = if matches!(self.backing, Backing::Read(_)) { Form::Kcore } else { Form::ElfCore };
        self.arch = Some(core.arch);
        self.segments = core.segments;
        self.virtuals = core.virtuals;
        self.notes = core.notes;
        self.remarks = core.remarks;
        Ok(())
    }

    fn lay_out_ram(&mut self, arch: Arch) -> Result<(), ErrorKind> {
        if self.len < SMALLEST {
            return Err(ErrorKind::Damaged {
                what: "the memory".into(),
                expected: "at least 1 MiB of RAM".into(),
                found: format!("{} bytes", self.len),
            });
        }
        self.segments = match arch {
            Arch::Arm64 => vec![Segment { physical: ARM64_RAM, len: self.len, offset: 0 }],
            Arch::X86_64 => {
                if self.len >= Q35_HOLE.0 {
                    self.remarks.push(format!(
                        "the RAM file has {} MiB: what follows the first {} MiB is taken to stand above 4 GiB, as \
                         QEMU's q35 has it",
                        self.len >> 20,
                        Q35_HOLE.1 >> 20
                    ));
                }
                split_at_hole(self.len, Q35_HOLE)
            }
        };
        Ok(())
    }

    /// Lays a RAM file of x86 out as QEMU's `pc` machine does, or back as `q35` does.
    pub(crate) fn set_pc_hole(&mut self, pc: bool) {
        if self.form == Form::Ram
            && self.arch.is_none()
            && self.segments.first().is_some_and(|s| s.physical == 0)
        {
            self.segments = split_at_hole(self.len, if pc { PC_HOLE } else { Q35_HOLE });
            self.remarks.clear();
        }
    }

    /// Whether the layout of this RAM file is a guess between machines.
    pub(crate) fn hole_is_a_guess(&self) -> bool {
        self.form == Form::Ram && self.segments.len() > 1
    }

    /// The path it was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The form it came in.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The runs of physical memory, by address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The runs of virtual memory that the file maps itself, by address.
    pub fn virtual_segments(&self) -> &[VirtualSegment] {
        &self.virtuals
    }

    /// What the file's notes say.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// What was odd about the file, in sentences.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The bytes of the file, where it is mapped.
    fn mapped(&self) -> Option<&[u8]> {
        match &self.backing {
            Backing::Mapped(map) => Some(map),
            Backing::Owned(bytes) => Some(bytes),
            Backing::Read(_) => None,
        }
    }

    fn read_file(&self, offset: u64, into: &mut [u8]) -> Option<()> {
        match &self.backing {
            Backing::Read(file) => file.read_exact_at(into, offset).ok(),
            _ => {
                let start = usize::try_from(offset).ok()?;
                into.copy_from_slice(self.mapped()?.get(start..start.checked_add(into.len())?)?);
                Some(())
            }
        }
    }

    fn place(&self, physical: u64) -> Option<(u64, u64)> {
        let after = self.segments.partition_point(|s| s.physical <= physical);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let into = physical - segment.physical;
        (into < segment.len).then(|| (segment.offset.saturating_add(into), segment.len - into))
    }

    fn virtual_place(&self, address: u64) -> Option<(u64, u64)> {
        let after = self.virtuals.partition_point(|s| s.address <= address);
        let segment = self.virtuals.get(after.checked_sub(1)?)?;
        let into = address - segment.address;
        (into < segment.len).then(|| (segment.offset.saturating_add(into), segment.len - into))
    }

    fn at_offset(&self, offset: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        if let Some(bytes) = self.mapped() {
            let start = usize::try_from(offset).ok()?;
            return bytes.get(start..start.checked_add(len)?).map(Cow::Borrowed);
        }
        let mut out = vec![0; len.min(MOST_READ)];
        self.read_file(offset, &mut out)?;
        (out.len() == len).then_some(Cow::Owned(out))
    }

    /// `len` bytes at a physical address, all within one run.
    pub fn physical(&self, address: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        let (offset, left) = self.place(address)?;
        if len as u64 > left {
            return None;
        }
        self.at_offset(offset, len)
    }

    /// `len` bytes at a virtual address that the file maps itself.
    pub fn virtually(&self, address: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        let (offset, left) = self.virtual_place(address)?;
        if len as u64 > left {
            return None;
        }
        self.at_offset(offset, len)
    }

    /// A little-endian 64-bit word at a physical address.
    pub fn physical_u64(&self, address: u64) -> Option<u64> {
        let bytes = self.physical(address, 8)?;
        Some(u64::from_le_bytes(bytes.as_ref().try_into().ok()?))
    }

    /// All mapped bytes of a run of physical memory.
    pub fn segment_bytes(&self, segment: &Segment) -> Option<&[u8]> {
        let start = usize::try_from(segment.offset).ok()?;
        self.mapped()?.get(start..start.checked_add(usize::try_from(segment.len).ok()?)?)
    }
}

/// What is read at once of a file that cannot be mapped.
const MOST_READ: usize = 64 << 20;

fn split_at_hole(len: u64, (limit, low): (u64, u64)) -> Vec<Segment> {
    if len < limit {
        return vec![Segment { physical: 0, len, offset: 0 }];
    }
    vec![
        Segment { physical: 0, len: low, offset: 0 },
        Segment { physical: ABOVE_HOLE, len: len - low, offset: low },
    ]
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is only read. Another process may change the bytes under us, which is the point when the
    // file is a running guest's memory: they are only ever parsed with checks, as any hostile input. Who truncates
    // the file while we read ends us with SIGBUS; that is the price of not copying gigabytes.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ram_above_the_hole_is_found_above_4_gib() {
        assert_eq!(split_at_hole(1 << 30, Q35_HOLE).len(), 1);
        let split = split_at_hole(4 << 30, Q35_HOLE);
        assert_eq!(split[0], Segment { physical: 0, len: 2 << 30, offset: 0 });
        assert_eq!(split[1], Segment { physical: 4 << 30, len: 2 << 30, offset: 2 << 30 });
        assert_eq!(split_at_hole(0xdfff_ffff, PC_HOLE).len(), 1);
        assert_eq!(split_at_hole(0xe000_0000, PC_HOLE)[1].len, 0x2000_0000);
    }

    #[test]
    fn arm64_ram_starts_at_1_gib() {
        let memory = Memory::from_bytes(Path::new("x"), vec![7; 1 << 20], Arch::Arm64).unwrap();
        assert_eq!(memory.physical(0, 1), None);
        assert_eq!(memory.physical(ARM64_RAM, 2).as_deref(), Some(&[7, 7][..]));
        assert_eq!(memory.physical(ARM64_RAM + (1 << 20) - 1, 2), None);
        assert_eq!(memory.physical_u64(u64::MAX), None);
    }

    #[test]
    fn what_is_no_memory_is_refused_with_a_sentence() {
        let refused =
            |bytes: Vec<u8>| Memory::from_bytes(Path::new("x"), bytes, Arch::X86_64).unwrap_err().to_string();
        assert_eq!(refused(vec![0; 100]), "x: the memory: expected at least 1 MiB of RAM, found 100 bytes");
        assert!(refused(b"\x1f\x8b\x08xxxxxxxxxxxxxxxxxxx".to_vec()).contains("gzip"));
        assert!(refused(b"KDUMP   xxxxxxxxxxxxxxxxxx".to_vec()).contains("makedumpfile"));
        assert!(refused(b"\x7fELF\x02\x01\x01xxxxxxxxx".to_vec()).starts_with("x: the ELF header"));
        let error = Memory::open(Path::new("/"), Arch::X86_64).unwrap_err().to_string();
        assert!(error.contains("a directory"), "{error}");
    }
}
