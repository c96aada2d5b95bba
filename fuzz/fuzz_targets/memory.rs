//! Any bytes as a memory: an ELF core's headers and notes, page tables, registers. Nothing may panic, hang or eat memory.
#![no_main]

use std::path::Path;

use kvet_image::Arch;
use kvet_memory::paging::{Scheme, Tables, arm64, x86};
use kvet_memory::{Memory, Registers, VmcoreInfo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for arch in [Arch::X86_64, Arch::Arm64] {
        let _ = Registers::of_monitor(arch, &String::from_utf8_lossy(data));
        // RAM of less than 1 MiB is refused: the data stands at its start.
        let mut ram = data.to_vec();
        ram.resize(ram.len().max(1 << 20), 0);
        for bytes in [data.to_vec(), ram] {
            let Ok(memory) = Memory::from_bytes(Path::new("fuzz"), bytes, arch) else { continue };
            let root = memory.segments().first().map_or(0, |s| s.physical);
            let schemes = [
                Scheme::X86(x86::Scheme { five_levels: false }),
                Scheme::X86(x86::Scheme { five_levels: true }),
                Scheme::Arm64(arm64::Scheme { page_shift: 12, va_bits: 48, lpa2: false }),
                Scheme::Arm64(arm64::Scheme { page_shift: 16, va_bits: 52, lpa2: false }),
            ];
            for scheme in schemes {
                let tables = Tables { scheme, root };
                tables.walk(&memory, u64::MAX - 0x7fff_ffff);
                tables.each_leaf(&memory, 1 << 14, &mut |_| {}, &mut |_, _, _| {});
            }
        }
    }
    let info = VmcoreInfo::parse(data);
    let _ = (info.hex("KERNELOFFSET"), info.number("phys_base"), info.symbol("prb"));
});
