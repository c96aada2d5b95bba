//! initcalls: the functions that the kernel calls once, level after level, while it boots.
//!
//! # What the kernel does
//!
//! `do_initcall_level` (init/main.c of 5.10.223 to 7.3) calls what each entry leads to, and `console_init` the same
//! for the consoles, whose table follows directly. It checks nothing: an entry that leads elsewhere is executed.
//! Entries are signed 32-bit distances (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS, both architectures). A module has none.
//!
//! # Where it stands
//!
//! Between `__initcall_start` and `__con_initcall_end`, by symbols: no section is its own. In an arm64 Image
//! without CONFIG_KALLSYMS_ALL nothing names it.

use kvet_image::{Kind, VirtAddr};

use crate::entries::{Examination, locate};
use crate::lists::{distances, place};
use crate::{Context, Table, TableReport};

const NAME: &str = "initcalls";

/// The boundaries of the levels, in order.
const LEVELS: [&str; 12] = [
    "__initcall_start",
    "__initcall0_start",
    "__initcall1_start",
    "__initcall2_start",
    "__initcall3_start",
    "__initcall4_start",
    "__initcall5_start",
    "__initcallrootfs_start",
    "__initcall6_start",
    "__initcall7_start",
    "__initcall_end",
    "__con_initcall_end",
];

/// The table `initcalls`.
pub struct Initcalls;

impl Table for Initcalls {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        if image.kind() == Kind::Module {
            return None;
        }
        let bounds = match locate(image, NAME, ".initcall.init", (LEVELS[0], LEVELS[11])) {
            Ok(bounds) => bounds,
            Err(report) => return report,
        };
        let mut examination = Examination::new(image, NAME, &bounds, 4, "initcalls/size");
        levels(&mut examination);
        let (targets, _) = distances(bounds.bytes(image).unwrap_or(&[]), bounds.start);
        for (index, target) in (0..).zip(&targets) {
            entry(&mut examination, index, *target);
        }
        let places: Vec<(VirtAddr, u64)> = targets.iter().copied().zip(0..).collect();
        examination.duplicates("initcalls/duplicate", "the function", &places);
        examination.proved(&["whole entries", "the start of a function at every entry", "levels in order"]);
        Some(examination.finish())
    }
}

fn entry(examination: &mut Examination<'_>, index: u64, target: VirtAddr) {
    let image = examination.image;
    if !image.is_executable(target) {
        let message = format!("the entry leads to {target}, which is not executable: the boot calls it");
        examination.error("initcalls/target", index, target, message);
    } else if image.symbol_at(target).is_some_and(|(_, offset)| offset != 0) {
        let name = place(image, target);
        let message = format!("the entry leads to {name}, which is not the start of a function");
        examination.error("initcalls/target", index, target, message);
    }
}

/// Each level ends where the next begins.
fn levels(examination: &mut Examination<'_>) {
    let image = examination.image;
    let starts: Vec<(&str, VirtAddr)> =
        LEVELS.iter().filter_map(|name| Some((*name, image.symbol_addr(name)?))).collect();
    for pair in starts.windows(2) {
        if let [(first, start), (second, end)] = pair
            && start > end
        {
            let message = format!("{first} at {start} stands behind {second} at {end}");
            examination.error("initcalls/level", 0, *start, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use kvet_finding::Finding;
    use kvet_image::Arch;

    use super::*;
    use crate::testimage::{A, AX, TestImage, WA, rel32};

    const TEXT: u64 = 0xffff_ffff_8100_0000;
    const TABLE: u64 = 0xffff_ffff_8200_0000;

    fn check(targets: &[u64], end: u64) -> Vec<Finding> {
        let bytes = (TABLE..).step_by(4).zip(targets).flat_map(|(field, to)| rel32(field, *to));
        let mut t = TestImage::new(Arch::X86_64);
        t.section(".init.text", TEXT, AX, &[0x90; 0x100])
            .section(".init.data", TABLE, WA, &bytes.chain([0; 8]).collect::<Vec<u8>>())
            .section(".rodata", TABLE + 0x1000, A, &[0; 16])
            .function("one", TEXT, 0x20)
            .function("two", TEXT + 0x20, 0x20)
            .function("three", TEXT + 0x40, 0x20)
            .label("__initcall_start", TABLE)
            .label("__initcall7_start", TABLE + 4)
            .label("__initcall_end", end)
            .label("__con_initcall_end", TABLE + targets.len() as u64 * 4);
        let image = t.build();
        Initcalls.check(&Context::new(&image, None)).expect("a report").findings
    }

    fn rules(targets: &[u64]) -> Vec<(&'static str, Option<u64>)> {
        check(targets, TABLE + 8).iter().map(|f| (f.rule, f.index)).collect()
    }

    #[test]
    fn damage_is_found_at_its_entry() {
        assert_eq!(rules(&[TEXT, TEXT + 0x20, TEXT + 0x40]), []);
        assert_eq!(rules(&[TEXT, TEXT + 0x24, TEXT + 0x40]), [("initcalls/target", Some(1))]);
        assert_eq!(rules(&[TEXT, TEXT + 0x20, TABLE]), [("initcalls/target", Some(2))]);
        assert_eq!(rules(&[TEXT, TEXT + 0x20, TEXT]), [("initcalls/duplicate", Some(2))]);
        let levels = check(&[TEXT, TEXT + 0x20, TEXT + 0x40], TABLE);
        assert_eq!(levels.iter().map(|f| f.rule).collect::<Vec<_>>(), ["initcalls/level"]);
    }
}
