//! The kernel's address space: which part of it an address lies in.
//!
//! x86-64: Documentation/arch/x86/x86_64/mm.rst (5.10 to 7.3). arm64: Documentation/arch/arm64/memory.rst and
//! arch/arm64/include/asm/memory.h; the halves changed places in 5.4 (14c127c957c1, "arm64: mm: Flip kernel VA
//! space"), so the place of the kernel itself tells which layout an image has.

use std::fmt;

use kvet_image::Arch;

/// A part of the address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Region {
    /// The first page: a NULL pointer and a member's offset.
    NullPage,
    /// User space.
    User,
    /// Not canonical (x86), or outside both translation tables (arm64): no mapping can exist.
    NonCanonical,
    /// KASAN's shadow; what it stands for is `(address - offset) << 3`.
    KasanShadow,
    /// x86's hole for hypervisors.
    Hypervisor,
    /// x86's LDT remap.
    Ldt,
    /// All physical memory: slab objects, page tables, per-CPU areas, early stacks.
    Linear,
    /// vmalloc: stacks of tasks, modules' data on some kernels, ioremap.
    Vmalloc,
    /// `struct page`s.
    Vmemmap,
    /// x86's per-CPU entry area: exception stacks, the IDT.
    CpuEntryArea,
    /// x86's ESPFIX stacks.
    EspFix,
    /// EFI runtime services.
    Efi,
    /// The kernel's own image.
    Kernel,
    /// Modules, and BPF programs where they are allocated with them.
    Modules,
    /// BPF's own region (arm64 up to 5.16).
    Bpf,
    /// The fixmap, early ioremap.
    Fixmap,
    /// x86's vsyscall page.
    Vsyscall,
    /// An error value, -1 to -4095, used as a pointer.
    ErrorValue,
    /// Unused by any version.
    Hole,
}

impl Region {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Region::NullPage => "the first page (a NULL pointer and an offset)",
            Region::User => "user space",
            Region::NonCanonical => "a non-canonical address, which nothing can be mapped at",
            Region::KasanShadow => "KASAN's shadow",
            Region::Hypervisor => "the hole reserved for hypervisors",
            Region::Ldt => "the LDT remap",
            Region::Linear => "the linear map of physical memory",
            Region::Vmalloc => "the vmalloc area (task stacks, ioremap)",
            Region::Vmemmap => "vmemmap (struct page)",
            Region::CpuEntryArea => "the CPU entry area (exception stacks)",
            Region::EspFix => "the ESPFIX stacks",
            Region::Efi => "the EFI runtime mappings",
            Region::Kernel => "the kernel image",
            Region::Modules => "the module area (modules, BPF programs)",
            Region::Bpf => "the BPF JIT area",
            Region::Fixmap => "the fixmap",
            Region::Vsyscall => "the vsyscall page",
            Region::ErrorValue => "an error value used as a pointer",
            Region::Hole => "an unused hole of the address space",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a kernel has laid out its address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    arch: Arch,
    /// x86: LA57. arm64: as [`Layout::arm64`] found.
    bits: u32,
    /// arm64: the linear map is the lower half (5.4 and later).
    flipped: bool,
    /// Link-time `_text`: arm64's KIMAGE_VADDR or a little above.
    link: u64,
    /// Run-time `_text`.
    text: u64,
    /// Run-time `_end`.
    end: u64,
}

impl Layout {
    /// x86-64's: `five_level` by CR4 bit 12, the kernel from `_text` to `_end` with the slide added.
    pub fn x86(five_level: bool, text: u64, end: u64) -> Layout {
        Layout {
            arch: Arch::X86_64,
            bits: if five_level { 57 } else { 48 },
            flipped: false,
            link: text,
            text,
            end,
        }
    }

    /// arm64's, by where the kernel is linked, and where it runs.
    pub fn arm64(link: u64, text: u64, end: u64) -> Layout {
        // The kernel lies in the half that begins with as many ones as the half's own start: 65 - VA_BITS of them
        // since the flip, 64 - VA_BITS before. VA_BITS is 36, 39, 42, 47, 48 or 52 (whose VA_BITS_MIN is 48).
        let (bits, flipped) = match link.leading_ones() {
            29 => (36, true),
            26 => (39, true),
            23 => (42, true),
            18 => (47, true),
            17 => (48, true),
            28 => (36, false),
            25 => (39, false),
            22 => (42, false),
            16 => (48, false),
            _ => (48, true),
        };
        Layout { arch: Arch::Arm64, bits, flipped, link, text, end }
    }

    /// The size of a virtual address in bits; x86's 48 or 57.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The region of an address.
    pub fn region(&self, addr: u64) -> Region {
        match addr {
            0..0x1000 => return Region::NullPage,
            0xffff_ffff_ffff_f001.. => return Region::ErrorValue,
            _ if self.text <= addr && addr < self.end => return Region::Kernel,
            _ => {}
        }
        match self.arch {
            Arch::X86_64 => self.x86_region(addr),
            Arch::Arm64 => self.arm64_region(addr),
        }
    }

    fn x86_region(&self, addr: u64) -> Region {
        const GB: u64 = 1 << 30;
        let five = self.bits == 57;
        match addr {
            0xffff_ffff_ff60_0000..0xffff_ffff_ff60_1000 => return Region::Vsyscall,
            0xffff_ffff_ff00_0000.. => return Region::Fixmap,
            // With CONFIG_RANDOMIZE_BASE the image may take 1 GiB, else 512 MiB.
            0xffff_ffff_8000_0000.. if addr < self.text.max(0xffff_ffff_8000_0000) => return Region::Hole,
            0xffff_ffff_c000_0000.. => return Region::Modules,
            0xffff_ffff_8000_0000.. if self.end > 0xffff_ffff_a000_0000 => return Region::Hole,
            0xffff_ffff_a000_0000.. => return Region::Modules,
            0xffff_ffff_8000_0000.. => return Region::Hole,
            0xffff_ffef_0000_0000.. if addr < 0xffff_ffff_0000_0000 => return Region::Efi,
            0xffff_ff00_0000_0000..0xffff_ff80_0000_0000 => return Region::EspFix,
            0xffff_fe00_0000_0000..0xffff_fe80_0000_0000 => return Region::CpuEntryArea,
            _ => {}
        }
        if five {
            match addr {
                0..0x0100_0000_0000_0000 => Region::User,
                0x0100_0000_0000_0000..0xff00_0000_0000_0000 if is_x86_shadow(addr) => Region::KasanShadow,
                0x0100_0000_0000_0000..0xff00_0000_0000_0000 => Region::NonCanonical,
                0xff00_0000_0000_0000..0xff10_0000_0000_0000 => Region::Hypervisor,
                0xff10_0000_0000_0000..0xff11_0000_0000_0000 => Region::Ldt,
                0xff11_0000_0000_0000..0xff91_0000_0000_0000 => Region::Linear,
                0xffa0_0000_0000_0000..0xffd2_0000_0000_0000 => Region::Vmalloc,
                0xffd4_0000_0000_0000..0xffd6_0000_0000_0000 => Region::Vmemmap,
                0xffdf_0000_0000_0000..0xffff_fc00_0000_0000 => Region::KasanShadow,
                _ => Region::Hole,
            }
        } else {
            match addr {
                0..0x8000_0000_0000 => Region::User,
                0x8000_0000_0000..0xffff_8000_0000_0000 if is_x86_shadow(addr) => Region::KasanShadow,
                0x8000_0000_0000..0xffff_8000_0000_0000 => Region::NonCanonical,
                0xffff_8000_0000_0000..0xffff_8800_0000_0000 => Region::Hypervisor,
                0xffff_8800_0000_0000..0xffff_8880_0000_0000 => Region::Ldt,
                0xffff_8880_0000_0000..0xffff_c900_0000_0000 => Region::Linear,
                0xffff_c900_0000_0000..0xffff_ea00_0000_0000 => Region::Vmalloc,
                0xffff_ea00_0000_0000..0xffff_eb00_0000_0000 => Region::Vmemmap,
                0xffff_ec00_0000_0000..0xffff_fc00_0000_0000 => Region::KasanShadow,
                _ if addr > 0xffff_ffff_0000_0000 - 68 * GB && addr < 0xffff_ffff_0000_0000 => Region::Efi,
                _ => Region::Hole,
            }
        }
    }

    fn arm64_region(&self, addr: u64) -> Region {
        let start = (u64::MAX << self.bits.min(63)).max(u64::MAX << 52);
        let middle = u64::MAX << (self.bits - 1);
        if addr >> 63 == 0 {
            // TTBR0 has as many bits, 52 with LVA.
            return if addr >> 52 == 0 { Region::User } else { Region::NonCanonical };
        }
        // With 52-bit addresses the linear map begins lower than what the kernel's own place shows.
        if addr < start {
            return if self.bits == 48 && addr >= u64::MAX << 52 && self.flipped {
                Region::Linear
            } else {
                Region::NonCanonical
            };
        }
        if self.flipped {
            return self.arm64_flipped(addr, middle);
        }
        if addr >= middle {
            return Region::Linear;
        }
        match addr {
            _ if addr < self.link && self.link - addr <= 128 << 20 => Region::Modules,
            _ if addr < self.link => Region::KasanShadow,
            _ if middle - addr <= 1 << (self.bits - 7) => Region::Vmemmap,
            _ => Region::Vmalloc,
        }
    }

    /// From `PAGE_END` up: KASAN's shadow (5.10), modules (and BPF), vmalloc with the kernel in it, vmemmap, fixmap.
    fn arm64_flipped(&self, addr: u64, middle: u64) -> Region {
        let vmemmap = u64::MAX << (self.bits - 6);
        // MODULES_VSIZE is 128 MiB, since 6.5 (3e35d303ab7d) 2 GiB, whose kernels have vmemmap end 1 GiB below the
        // top; 5.10 has BPF's 128 MiB before the modules.
        let modules =
            if self.link.wrapping_sub(middle) & 0xffff_ffff >= 2 << 30 { 2 << 30 } else { 256 << 20 };
        let vmemmap_end =
            if modules == 2 << 30 { 0xffff_ffff_c000_0000 } else { u64::MAX << (self.bits - 7) };
        match addr {
            _ if addr < middle => Region::Linear,
            _ if addr < self.link && self.link - addr <= modules => Region::Modules,
            _ if addr < self.link => Region::KasanShadow,
            _ if addr < vmemmap => Region::Vmalloc,
            _ if addr < vmemmap_end => Region::Vmemmap,
            _ => Region::Fixmap,
        }
    }
}

/// KASAN_SHADOW_OFFSET of x86-64 (arch/x86/Kconfig).
const X86_SHADOW_OFFSET: u64 = 0xdfff_fc00_0000_0000;

/// Whether an address is the shadow of one in the lower half: what KASAN's inline check of a small or user pointer
/// faults on, as a general protection fault.
fn is_x86_shadow(addr: u64) -> bool {
    addr.wrapping_sub(X86_SHADOW_OFFSET) < 1 << 45
}

/// The address that a KASAN shadow address of x86-64 stands for; `None` when it is none.
pub fn x86_shadowed(addr: u64) -> Option<u64> {
    let offset = addr.checked_sub(X86_SHADOW_OFFSET)?;
    Some(offset << 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x86_regions_are_those_of_the_documentation() {
        let layout = Layout::x86(false, 0xffff_ffff_8100_0000, 0xffff_ffff_8383_0000);
        for (addr, region) in [
            (0x8, Region::NullPage),
            (0x5580_1234_5678, Region::User),
            (0xdead_0000_0000_0100, Region::NonCanonical),
            (0xdfff_fc00_0000_0018, Region::KasanShadow),
            (0xffff_8880_0345_0000, Region::Linear),
            (0xffff_c900_0009_bd68, Region::Vmalloc),
            (0xffff_ea00_0001_0000, Region::Vmemmap),
            (0xffff_fe00_0000_2000, Region::CpuEntryArea),
            (0xffff_ffff_8114_6756, Region::Kernel),
            (0xffff_ffff_a000_1000, Region::Modules),
            (0xffff_ffff_c020_0000, Region::Modules),
            (0xffff_ffff_ff5f_f000, Region::Fixmap),
            (0xffff_ffff_ffff_ffea, Region::ErrorValue),
        ] {
            assert_eq!(layout.region(addr), region, "{addr:#x}");
        }
        let five = Layout::x86(true, 0xffff_ffff_8100_0000, 0xffff_ffff_8383_0000);
        assert_eq!(five.region(0xff11_0000_0010_0000), Region::Linear);
        assert_eq!(five.region(0xffa0_0000_0010_0000), Region::Vmalloc);
        assert_eq!(x86_shadowed(0xdfff_fc00_0000_0018), Some(0xc0));
    }

    #[test]
    fn arm64_regions_follow_the_kernels_place() {
        // 4.17: the linear map is the upper half, stacks are in vmalloc.
        let old = Layout::arm64(0xffff_0000_0808_0000, 0xffff_0000_0808_0000, 0xffff_0000_0950_0000);
        assert_eq!(old.region(0xffff_0000_093a_80e0), Region::Kernel);
        assert_eq!(old.region(0xffff_0000_0a3a_80e0), Region::Vmalloc);
        assert_eq!(old.region(0xffff_8000_3eb0_4000), Region::Linear);
        assert_eq!(old.region(0xffff_0000_0100_0000), Region::Modules);
        // 6.1.
        let new = Layout::arm64(0xffff_8000_0800_0000, 0xffff_8000_0800_0000, 0xffff_8000_09a9_0000);
        assert_eq!((new.bits(), new.region(0xffff_8000_0000_2000)), (48, Region::Modules));
        assert_eq!(new.region(0xffff_0000_0eb0_4000), Region::Linear);
        assert_eq!(new.region(0xffff_8000_0aba_3cb0), Region::Vmalloc);
        assert_eq!(new.region(0xffff_fc00_0000_0040), Region::Vmemmap);
        assert_eq!(new.region(0xffff_ffff_fe00_0000), Region::Fixmap);
        assert_eq!(new.region(0x0000_aaaa_0000_0000), Region::User);
        assert_eq!(new.region(0x00f0_aaaa_0000_0000), Region::NonCanonical);
        // 6.12: 2 GiB of modules, vmemmap up to 1 GiB below the top.
        let late = Layout::arm64(0xffff_8000_8000_0000, 0xffff_8000_8000_0000, 0xffff_8000_8200_0000);
        assert_eq!(late.region(0xffff_8000_7a00_0000), Region::Modules);
        assert_eq!(late.region(0xffff_ffff_0000_0000), Region::Vmemmap);
        // 39 bits and KASLR, the DragonBoard of the mail: its stack is in vmalloc below the kernel.
        let dragon = Layout::arm64(0xffff_ffc0_1000_0000, 0xffff_ffd7_f5c1_0000, 0xffff_ffd7_f7c0_0000);
        assert_eq!(dragon.bits(), 39);
        assert_eq!(dragon.region(0xffff_ffc0_1020_bca0), Region::Vmalloc);
        assert_eq!(dragon.region(0xffff_ffd7_f5c1_1124), Region::Kernel);
        assert_eq!(dragon.region(0xffff_ff80_0000_1000), Region::Linear);
    }
}
