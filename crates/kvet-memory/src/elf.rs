//! ELF cores: QEMU's `dump-guest-memory`, vmcores, `/proc/kcore`, and their notes.
//!
//! Followed: QEMU's dump/dump.c and target/i386/arch_dump.c, the kernel's fs/proc/vmcore.c, fs/proc/kcore.c and
//! kernel/vmcore_info.c.

use kvet_image::Arch;

use crate::ErrorKind;
use crate::memory::{Segment, VirtualSegment};
use crate::registers::{Registers, Source};
use crate::vmcoreinfo::VmcoreInfo;

/// What the notes of a core say.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Registers of each CPU, in the order of their notes.
    pub registers: Vec<Registers>,
    /// VMCOREINFO, where a note holds it.
    pub vmcoreinfo: Option<VmcoreInfo>,
}

/// An ELF core's headers.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) arch: Arch,
    pub(crate) segments: Vec<Segment>,
    pub(crate) virtuals: Vec<VirtualSegment>,
    pub(crate) notes: Notes,
    pub(crate) remarks: Vec<String>,
}

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const ET_CORE: u16 = 4;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
/// `e_phnum` when the count is in the first section header's `sh_info`.
const PN_XNUM: u16 = 0xffff;
/// No dump has more: memory is not in so many pieces.
const MOST_SEGMENTS: u64 = 1 << 20;
/// Notes are registers of CPUs and a page of text.
const MOST_NOTES: u64 = 64 << 20;

/// A form that is recognised and not read.
pub(crate) fn other_form(magic: &[u8]) -> Option<&'static str> {
    let known: &[(&[u8], &str)] = &[
        (b"\x1f\x8b", "a gzip file; decompress it first"),
        (b"\x28\xb5\x2f\xfd", "a zstd file; decompress it first"),
        (b"\xfd7zXZ", "an xz file; decompress it first"),
        (
            b"KDUMP   ",
            "a compressed dump of makedumpfile or QEMU (kdump format); write it as ELF, or convert it",
        ),
        (b"makedumpfile", "a flattened dump of makedumpfile; rearrange it with makedumpfile -R"),
        (b"QEVM", "a saved state of QEMU (migration stream); use dump-guest-memory"),
        (b"LiME", "a LiME dump"),
    ];
    known.iter().find(|(start, _)| magic.starts_with(start)).map(|(_, what)| *what)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn damaged(what: &str, expected: impl Into<String>, found: impl Into<String>) -> ErrorKind {
    ErrorKind::Damaged { what: what.into(), expected: expected.into(), found: found.into() }
}

/// Reads the headers of a file of `len` bytes.
pub(crate) fn read(len: u64, read: impl Fn(u64, &mut [u8]) -> bool) -> Result<Core, ErrorKind> {
    let mut header = [0; 64];
    if !read(0, &mut header) {
        return Err(damaged("the ELF header", "64 bytes", "the end of the file"));
    }
    if header[4..6] != [2, 1] {
        return Err(damaged("the ELF header", "a 64-bit little-endian file", "another class or byte order"));
    }
    let field = |at| u16_at(&header, at).unwrap_or(0);
    if field(16) != ET_CORE {
        return Err(ErrorKind::NotMemory { found: format!("an ELF file of type {}, no core", field(16)) });
    }
    let arch = match field(18) {
        EM_X86_64 => Arch::X86_64,
        EM_AARCH64 => Arch::Arm64,
        machine => {
            return Err(damaged(
                "the ELF header",
                "machine 62 (x86-64) or 183 (AArch64)",
                format!("{machine}"),
            ));
        }
    };
    let headers = program_headers(&header, &read)?;
    let mut core = Core {
        arch,
        segments: Vec::new(),
        virtuals: Vec::new(),
        notes: Notes::default(),
        remarks: Vec::new(),
    };
    let mut cut = 0_u64;
    for p in &headers {
        let available = len.saturating_sub(p.offset).min(p.file_size);
        cut += p.file_size - available;
        match p.kind {
            PT_NOTE => core.read_notes(p.offset, available, &read),
            PT_LOAD if available > 0 => core.load(p, available),
            _ => {}
        }
    }
    if cut > 0 {
        core.remarks.push(format!(
            "the file is cut short: {} MiB that its headers name are not in it",
            cut.div_ceil(1 << 20)
        ));
    }
    core.sort();
    if core.segments.is_empty() && core.virtuals.is_empty() {
        return Err(damaged("the ELF core", "segments with memory (PT_LOAD)", "none"));
    }
    Ok(core)
}

struct ProgramHeader {
    kind: u32,
    offset: u64,
    virt: u64,
    phys: u64,
    file_size: u64,
}

fn program_headers(
    header: &[u8; 64],
    read: &impl Fn(u64, &mut [u8]) -> bool,
) -> Result<Vec<ProgramHeader>, ErrorKind> {
    let word = |at| u64_at(header, at).unwrap_or(0);
    let (start, size) = (word(32), u64::from(u16_at(header, 54).unwrap_or(0)));
    let mut count = u64::from(u16_at(header, 56).unwrap_or(0));
    if count == u64::from(PN_XNUM) {
        // The first section header holds the true number (`dump_init` in QEMU's dump/dump.c).
        let mut section = [0; 64];
        if !read(word(40), &mut section) {
            return Err(damaged("the ELF core", "a section header with the number of segments", "none"));
        }
        count = u64::from(u32_at(&section, 44).unwrap_or(0));
    }
    if size < 56 || count > MOST_SEGMENTS {
        return Err(damaged("the ELF header", "program headers", format!("{count} of {size} bytes")));
    }
    let mut headers = Vec::new();
    let mut raw = [0; 56];
    for i in 0..count {
        let at = start.checked_add(i * size);
        if !at.is_some_and(|at| read(at, &mut raw)) {
            return Err(damaged(
                "the ELF core",
                format!("{count} program headers"),
                format!("the end of the file after {i}"),
            ));
        }
        let word = |at| u64_at(&raw, at).unwrap_or(0);
        headers.push(ProgramHeader {
            kind: u32_at(&raw, 0).unwrap_or(0),
            offset: word(8),
            virt: word(16),
            phys: word(24),
            file_size: word(32),
        });
    }
    Ok(headers)
}

impl Core {
    fn load(&mut self, p: &ProgramHeader, available: u64) {
        let kernel_half = p.virt >= 1 << 63;
        if kernel_half {
            self.virtuals.push(VirtualSegment { address: p.virt, len: available, offset: p.offset });
        }
        // /proc/kcore has no physical address for vmalloc and modules, and says so with -1 or 0.
        let unknown = p.phys == u64::MAX || (p.phys == 0 && kernel_half && p.virt & 0xffff_ffff != 0);
        if !unknown && p.phys.checked_add(available).is_some() {
            self.segments.push(Segment { physical: p.phys, len: available, offset: p.offset });
        }
    }

    /// Orders the segments and cuts overlaps, so that one address has one place.
    fn sort(&mut self) {
        self.segments.sort_by_key(|s| (s.physical, std::cmp::Reverse(s.len)));
        let mut end = 0;
        self.segments.retain_mut(|s| {
            let last = s.physical.saturating_add(s.len);
            let skip = end.max(s.physical) - s.physical;
            if s.physical.saturating_add(skip) >= last {
                return false;
            }
            *s = Segment {
                physical: s.physical + skip,
                len: s.len - skip,
                offset: s.offset.saturating_add(skip),
            };
            end = last;
            true
        });
        self.virtuals.sort_by_key(|s| (s.address, std::cmp::Reverse(s.len)));
        let mut end = 0_u64;
        self.virtuals.retain(|s| {
            let fits = s.address >= end;
            if fits {
                end = s.address.saturating_add(s.len);
            }
            fits
        });
    }

    fn read_notes(&mut self, offset: u64, len: u64, read: &impl Fn(u64, &mut [u8]) -> bool) {
        let mut bytes = vec![0; len.min(MOST_NOTES) as usize];
        if !read(offset, &mut bytes) {
            self.remarks.push("the notes of the core cannot be read".into());
            return;
        }
        let mut rest = bytes.as_slice();
        while let Some((note, after)) = next_note(rest) {
            self.note(&note);
            rest = after;
        }
    }

    fn note(&mut self, note: &Note<'_>) {
        match (note.name, note.kind) {
            (b"CORE", 1) => {
                let number = self.notes.registers.iter().filter(|r| r.source == Source::Prstatus).count();
                if let Some(registers) = Registers::of_prstatus(self.arch, number, note.desc) {
                    self.notes.registers.push(registers);
                }
            }
            (b"QEMU", 0) if self.arch == Arch::X86_64 => {
                let number = self.notes.registers.iter().filter(|r| r.qemu).count();
                if let Some(registers) = self.notes.registers.get_mut(number) {
                    registers.add_qemu(note.desc);
                }
            }
            (b"VMCOREINFO", 0) => self.notes.vmcoreinfo = Some(VmcoreInfo::parse(note.desc)),
            _ => {}
        }
    }
}

struct Note<'n> {
    name: &'n [u8],
    kind: u32,
    desc: &'n [u8],
}

fn next_note(bytes: &[u8]) -> Option<(Note<'_>, &[u8])> {
    let name_len = u32_at(bytes, 0)? as usize;
    let desc_len = u32_at(bytes, 4)? as usize;
    let kind = u32_at(bytes, 8)?;
    let name = bytes.get(12..12_usize.checked_add(name_len)?)?;
    let desc_at = 12 + name_len.checked_next_multiple_of(4)?;
    let desc = bytes.get(desc_at..desc_at.checked_add(desc_len)?)?;
    let end = (desc_at + desc_len).checked_next_multiple_of(4)?.min(bytes.len());
    let name = name.strip_suffix(&[0]).unwrap_or(name);
    Some((Note { name, kind, desc }, &bytes[end..]))
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A core with these loads (virtual, physical, bytes) and notes (name, type, descriptor).
    pub(crate) fn core(loads: &[(u64, u64, &[u8])], notes: &[(&str, u32, Vec<u8>)]) -> Vec<u8> {
        let mut note_bytes = Vec::new();
        for (name, kind, desc) in notes {
            for word in [name.len() as u32 + 1, desc.len() as u32, *kind] {
                note_bytes.extend(word.to_le_bytes());
            }
            note_bytes.extend(name.as_bytes());
            note_bytes.push(0);
            note_bytes.resize(note_bytes.len().next_multiple_of(4), 0);
            note_bytes.extend(desc);
            note_bytes.resize(note_bytes.len().next_multiple_of(4), 0);
        }
        let mut out = vec![0; 64];
        out[..6].copy_from_slice(b"\x7fELF\x02\x01");
        out[16..18].copy_from_slice(&ET_CORE.to_le_bytes());
        out[18..20].copy_from_slice(&EM_X86_64.to_le_bytes());
        out[32..40].copy_from_slice(&64_u64.to_le_bytes());
        out[54..56].copy_from_slice(&56_u16.to_le_bytes());
        out[56..58].copy_from_slice(&(loads.len() as u16 + 1).to_le_bytes());
        let mut data_at = 64 + 56 * (loads.len() as u64 + 1);
        let mut header = |kind: u32, virt: u64, phys: u64, len: u64| {
            let mut p = Vec::new();
            p.extend(kind.to_le_bytes());
            p.extend(0_u32.to_le_bytes());
            for word in [data_at, virt, phys, len, len, 0] {
                p.extend(word.to_le_bytes());
            }
            data_at += len;
            p
        };
        let mut headers = header(PT_NOTE, 0, 0, note_bytes.len() as u64);
        for (virt, phys, bytes) in loads {
            headers.extend(header(PT_LOAD, *virt, *phys, bytes.len() as u64));
        }
        out.extend(headers);
        out.extend(note_bytes);
        for (_, _, bytes) in loads {
            out.extend(*bytes);
        }
        out
    }

    fn read_bytes(bytes: &[u8]) -> Result<Core, ErrorKind> {
        read(bytes.len() as u64, |at, into| {
            let start = at as usize;
            let Some(from) = bytes.get(start..start.saturating_add(into.len())) else { return false };
            into.copy_from_slice(from);
            true
        })
    }

    #[test]
    fn loads_and_notes_are_read() {
        let info = b"OSRELEASE=6.1.0\nKERNELOFFSET=1000000\n".to_vec();
        let bytes = core(
            &[(0, 0x1000, &[1; 32]), (0xffff_ffff_8000_0000, 0x2000, &[2; 16])],
            &[("VMCOREINFO", 0, info)],
        );
        let core = read_bytes(&bytes).unwrap();
        assert_eq!(core.segments.len(), 2);
        assert_eq!(core.virtuals.len(), 1);
        assert_eq!(core.notes.vmcoreinfo.unwrap().hex("KERNELOFFSET"), Some(0x100_0000));
    }

    #[test]
    fn a_cut_file_says_so_and_keeps_what_is_there() {
        let bytes = core(&[(0, 0x1000, &[1; 4096])], &[]);
        let core = read_bytes(&bytes[..bytes.len() - 96]).unwrap();
        assert_eq!(core.segments[0].len, 4000);
        assert!(core.remarks[0].contains("cut short"));
    }

    #[test]
    fn overlapping_loads_are_cut() {
        let bytes = core(&[(0, 0x1000, &[1; 32]), (0, 0x1010, &[2; 32]), (0, 0x1008, &[3; 4])], &[]);
        let core = read_bytes(&bytes).unwrap();
        let seen: Vec<_> = core.segments.iter().map(|s| (s.physical, s.len)).collect();
        assert_eq!(seen, [(0x1000, 32), (0x1020, 16)]);
    }

    #[test]
    fn giant_counts_are_refused() {
        let mut bytes = core(&[(0, 0x1000, &[1; 32])], &[]);
        bytes[56..58].copy_from_slice(&500_u16.to_le_bytes());
        let error = read_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains("500 program headers"), "{error}");
    }
}
