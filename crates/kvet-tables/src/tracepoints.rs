//! tracepoints: the pointers to every `struct tracepoint`.
//!
//! # What the kernel does
//!
//! `for_each_kernel_tracepoint` and, for a module, `tracepoint_module_coming` (kernel/tracepoint.c of 5.10.223 to
//! 7.3) follow the pointers and use what they find: a name, a static key, probes. Nothing is checked. Entries are
//! signed 32-bit distances (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS).
//!
//! By section in a module, by symbols in vmlinux, where the table is inside `.rodata` or `.data`.

use kvet_image::{Kind, VirtAddr};

use crate::entries::{Examination, locate};
use crate::lists::{distances, place};
use crate::{Context, Table, TableReport};

const NAME: &str = "tracepoints";
const PREFIX: &str = "__tracepoint_";

/// The table `tracepoints`.
pub struct Tracepoints;

impl Table for Tracepoints {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        let symbols = ("__start___tracepoints_ptrs", "__stop___tracepoints_ptrs");
        let bounds = match locate(image, NAME, "__tracepoints_ptrs", symbols) {
            Ok(bounds) => bounds,
            Err(report) => return report,
        };
        let mut examination = Examination::new(image, NAME, &bounds, 4, "tracepoints/size");
        let (targets, _) = distances(bounds.bytes(image).unwrap_or(&[]), bounds.start);
        for (index, target) in (0..).zip(&targets) {
            entry(&mut examination, index, *target);
        }
        let places: Vec<(VirtAddr, u64)> = targets.iter().copied().zip(0..).collect();
        examination.duplicates("tracepoints/duplicate", "the tracepoint", &places);
        examination.proved(&[
            "whole entries",
            "a writable struct with a name at every entry",
            "one entry each",
        ]);
        Some(examination.finish())
    }
}

fn entry(examination: &mut Examination<'_>, index: u64, target: VirtAddr) {
    let image = examination.image;
    if !image.is_writable(target) || !target.0.is_multiple_of(8) {
        // A module may refer to a tracepoint of the kernel's only by its symbol, never from this table.
        let message = format!("the entry leads to {target}, where no tracepoint can be");
        return examination.error("tracepoints/target", index, target, message);
    }
    // `name` is the first field, in every version.
    let name = image.u64(target).and_then(|name| image.cstr(VirtAddr(name), 128));
    let Some(name) = name.filter(|name| is_name(name)) else {
        let message = format!("what the entry leads to, {}, has no name", place(image, target));
        return examination.error("tracepoints/name", index, target, message);
    };
    let symbols = image.symbols();
    let full = format!("{PREFIX}{name}");
    let mut known = symbols.all_by_name(&full).peekable();
    if known.peek().is_some() && !known.any(|symbol| symbol.addr == target) {
        let message = format!("the entry leads to {}, whose name is {name}", place(image, target));
        examination.error("tracepoints/name", index, target, message);
    }
    if image.kind() != Kind::Module && image.symbol_at(target).is_some_and(|(_, offset)| offset != 0) {
        let message = format!("the entry leads into {}", place(image, target));
        examination.error("tracepoints/target", index, target, message);
    }
}

/// Whether a text may be a tracepoint's name: it follows a prefix, so it may begin with a digit (`9p_client_req`).
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use kvet_image::Arch;

    use super::*;
    use crate::testimage::{A, TestImage, WA, rel32};

    const DATA: u64 = 0xffff_ffff_8300_0000;
    const TABLE: u64 = 0xffff_ffff_8200_0000;
    const STRINGS: u64 = TABLE + 0x1000;

    fn rules(targets: [u64; 2], name: u64) -> Vec<(&'static str, Option<u64>)> {
        let bytes = [rel32(TABLE, targets[0]), rel32(TABLE + 4, targets[1])].concat();
        let mut data = [0; 0x100];
        data[..8].copy_from_slice(&STRINGS.to_le_bytes());
        data[0x40..0x48].copy_from_slice(&name.to_le_bytes());
        let mut t = TestImage::new(Arch::X86_64);
        t.section("__tracepoints_ptrs", TABLE, A, &bytes)
            .section(".rodata", STRINGS, A, b"one\0two\0\x01\09p\0")
            .section(".data", DATA, WA, &data)
            .object("__tracepoint_one", DATA, 0x40)
            .object("__tracepoint_two", DATA + 0x40, 0x40);
        let image = t.build();
        let report = Tracepoints.check(&Context::new(&image, None)).expect("a report");
        report.findings.iter().map(|f| (f.rule, f.index)).collect()
    }

    #[test]
    fn damage_is_found_at_its_entry() {
        let (one, two) = (DATA, DATA + 0x40);
        assert_eq!(rules([one, two], STRINGS + 4), []);
        assert_eq!(rules([one, two], STRINGS + 10), [], "9p");
        assert_eq!(rules([one, two], STRINGS), [("tracepoints/name", Some(1))]);
        assert_eq!(rules([one, two], STRINGS + 8), [("tracepoints/name", Some(1))]);
        assert_eq!(rules([one, STRINGS], STRINGS + 4), [("tracepoints/target", Some(1))]);
        assert_eq!(rules([one, one + 4], STRINGS + 4), [("tracepoints/target", Some(1))]);
        assert_eq!(rules([one, one], STRINGS + 4), [("tracepoints/duplicate", Some(1))]);
    }
}
