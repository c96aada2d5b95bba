//! From tables to the index.

use kvet_image::{Arch, Image, VirtAddr};

use super::{BugAt, Entry, Sites, Which};
use crate::alternatives::x86;
use crate::disasm::x86::decode_one;
use crate::exceptions::ExceptionTable;
use crate::features::x86::Features;
use crate::{Bounds, Context};

/// The longest instruction of x86.
const LONGEST_INSTRUCTION: usize = 15;

pub(super) fn collect(context: &Context<'_>) -> Sites {
    let image = context.image;
    let mut sites = Sites::default();
    jump_labels(&mut sites, context);
    match image.arch() {
        Arch::X86_64 => x86_alternatives(&mut sites, context),
        Arch::Arm64 => arm64_alternatives(&mut sites, context),
    }
    static_calls(&mut sites, context);
    exceptions(&mut sites, image);
    bugs(&mut sites, context);
    if image.arch() == Arch::X86_64 {
        x86_lists(&mut sites, image);
    }
    ftrace(&mut sites, image);
    sites.entries.sort_unstable();
    sites.longest = sites.entries.iter().map(|e| e.len.into()).max().unwrap_or(0);
    sites
}

impl Sites {
    fn add(&mut self, start: VirtAddr, len: u64, which: Which) {
        let len = u32::try_from(len).unwrap_or(0);
        if len != 0 {
            self.entries.push(Entry { start: start.0, len, which });
        }
    }
}

/// The length of the instruction at an address.
fn instruction_len(image: &Image, addr: VirtAddr) -> u64 {
    match image.arch() {
        Arch::Arm64 => 4,
        Arch::X86_64 => decode_one(addr, image.bytes_up_to(addr, LONGEST_INSTRUCTION))
            .map_or(1, |instruction| instruction.len() as u64),
    }
}

fn jump_labels(sites: &mut Sites, context: &Context<'_>) {
    let Ok(table) = context.jump_labels() else { return };
    for (label, i) in table.labels.iter().zip(0_u32..) {
        // 2 or 5 bytes on x86, whatever stands there (`arch_jump_entry_size`).
        sites.add(label.code, instruction_len(context.image, label.code), Which::JumpLabel(i));
    }
    sites.labels.clone_from(&table.labels);
    sites.keys.clone_from(&table.keys);
}

fn x86_alternatives(sites: &mut Sites, context: &Context<'_>) {
    let Some(table) = x86::entries(context) else { return };
    for (entry, i) in table.entries.iter().zip(0_u32..) {
        sites.add(entry.site, entry.site_len.into(), Which::X86Alternative(i));
        sites.add(entry.replacement, entry.replacement_len.into(), Which::X86Replacement(i));
    }
    sites.x86.clone_from(&table.entries);
    sites.features = Features::read(context.kernel.unwrap_or(context.image));
}

fn arm64_alternatives(sites: &mut Sites, context: &Context<'_>) {
    let table = context.arm64_alternatives();
    for (entry, i) in table.entries.iter().zip(0_u32..) {
        sites.add(entry.orig, entry.orig_len.into(), Which::Arm64Alternative(i));
        sites.add(entry.alt, entry.alt_len.into(), Which::Arm64Replacement(i));
    }
    sites.arm64.clone_from(&table.entries);
    sites.marker = Some(table.marker);
    sites.capabilities = table.capabilities.clone();
    if let Some(kernel) = context.kernel {
        sites.capabilities = Sites::of(kernel, None).capabilities.clone();
    }
}

fn static_calls(sites: &mut Sites, context: &Context<'_>) {
    let Ok(table) = context.static_calls() else { return };
    for (call, i) in table.calls.iter().zip(0_u32..) {
        sites.add(call.site, instruction_len(context.image, call.site), Which::StaticCall(i));
    }
    sites.calls.clone_from(&table.calls);
}

fn exceptions(sites: &mut Sites, image: &Image) {
    let Ok(table) = ExceptionTable::find(image) else { return };
    sites.exceptions = table.entries(image).collect();
    for (i, entry) in (0_u32..).zip(sites.exceptions.clone()) {
        sites.add(entry.insn, instruction_len(image, entry.insn), Which::Exception(i));
        sites.add(entry.fixup, 1, Which::Fixup(i));
    }
}

fn bugs(sites: &mut Sites, context: &Context<'_>) {
    let Some(table) = context.bugs() else { return };
    for bug in table.entries(context.image) {
        let Ok(i) = u32::try_from(sites.bugs.len()) else { return };
        sites.add(bug.addr, instruction_len(context.image, bug.addr), Which::Bug(i));
        sites.bugs.push(BugAt {
            index: bug.index,
            file: bug.file.map(str::to_owned),
            line: bug.line,
            warning: bug.is_warning(),
        });
    }
}

/// The tables of x86 that are lists of places.
fn x86_lists(sites: &mut Sites, image: &Image) {
    let lists = [
        (".retpoline_sites", "__retpoline_sites", "__retpoline_sites_end", Which::Retpoline),
        (".return_sites", "__return_sites", "__return_sites_end", Which::Return),
        (".call_sites", "__call_sites", "__call_sites_end", Which::Call),
        (".ibt_endbr_seal", "__ibt_endbr_seal", "__ibt_endbr_seal_end", Which::Endbr),
        (".smp_locks", "__smp_locks", "__smp_locks_end", Which::LockPrefix),
    ];
    for (section, start, stop, which) in lists {
        let Some(bounds) = Bounds::locate(image, section, start, stop) else { continue };
        each_relative(image, &bounds, |field, at| {
            // 0 is padding in .smp_locks.
            if at != field {
                let len = if which == Which::LockPrefix { 1 } else { patched_len(image, at, which) };
                sites.add(at, len, which);
            }
        });
    }
    paravirt(sites, image);
    runtime_constants(sites, image);
}

/// How many bytes patching may write at a retpoline, return or call: the instruction, and an `int3` or a nop after a
/// return (`patch_return`, `patch_retpoline` in arch/x86/kernel/alternative.c write no more than it).
fn patched_len(image: &Image, at: VirtAddr, which: Which) -> u64 {
    match which {
        Which::Endbr => 4,
        _ => instruction_len(image, at),
    }
}

/// A table of `s32` distances, each from its own place.
fn each_relative(image: &Image, bounds: &Bounds, mut found: impl FnMut(VirtAddr, VirtAddr)) {
    let (words, _) = bounds.bytes(image).unwrap_or(&[]).as_chunks::<4>();
    for (bytes, i) in words.iter().zip(0_i64..) {
        let field = bounds.start.wrapping_offset(4 * i);
        found(field, field.wrapping_offset(i32::from_le_bytes(*bytes).into()));
    }
}

/// `struct paravirt_patch_site`: `u64 instr, u8 type, u8 len`, 16 bytes (arch/x86/include/asm/paravirt_types.h, up
/// to 6.7).
fn paravirt(sites: &mut Sites, image: &Image) {
    let located = Bounds::locate(image, ".parainstructions", "__parainstructions", "__parainstructions_end");
    let (entries, _) = located.as_ref().and_then(|b| b.bytes(image)).unwrap_or(&[]).as_chunks::<16>();
    for entry in entries {
        let at = u64::from_le_bytes([
            entry[0], entry[1], entry[2], entry[3], entry[4], entry[5], entry[6], entry[7],
        ]);
        sites.add(VirtAddr(at), entry[9].into(), Which::Paravirt);
    }
}

/// `runtime_ptr_NAME`, `runtime_shift_NAME`, `runtime_mask_NAME` (arch/x86/include/asm/runtime-const.h, 6.11 and
/// later): each entry leads to the immediate.
fn runtime_constants(sites: &mut Sites, image: &Image) {
    let sections = image.sections().iter().filter(|s| s.name.starts_with("runtime_"));
    for section in sections {
        let len = match section.name.split('_').nth(1) {
            Some("ptr") => 8,
            Some("shift") => 1,
            _ => 4,
        };
        let Ok(i) = u32::try_from(sites.constants.len()) else { return };
        sites.constants.push(section.name.clone());
        let (words, _) = image.section_bytes(section).as_chunks::<4>();
        for (bytes, n) in words.iter().zip(0_i64..) {
            let field = section.addr.wrapping_offset(4 * n);
            let at = field.wrapping_offset(i32::from_le_bytes(*bytes).into());
            sites.add(at, len, Which::RuntimeConstant(i));
        }
    }
}

/// `__mcount_loc`: absolute addresses of ftrace's sites: on x86 a call, on arm64 two instructions, before which with
/// CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS (6.3 and later) there are two more before the function, and perhaps a BTI.
fn ftrace(sites: &mut Sites, image: &Image) {
    let Some(bounds) = Bounds::locate(image, "__mcount_loc", "__start_mcount_loc", "__stop_mcount_loc")
    else {
        return;
    };
    let (words, _) = bounds.bytes(image).unwrap_or(&[]).as_chunks::<8>();
    let before_function = || {
        let starts = |at: u64| image.symbol_at(VirtAddr(at)).is_some_and(|(_, offset)| offset == 0);
        let sample = words.iter().take(64).map(|w| u64::from_le_bytes(*w));
        let total = words.len().min(64);
        sample.filter(|at| starts(at.wrapping_add(8)) && !starts(*at)).count() * 2 > total
    };
    let len = match image.arch() {
        Arch::X86_64 => 5,
        Arch::Arm64 if before_function() => 20,
        Arch::Arm64 => 8,
    };
    for bytes in words {
        let at = VirtAddr(u64::from_le_bytes(*bytes));
        if image.is_executable(at) {
            sites.add(at, len, Which::Ftrace);
        }
    }
}
