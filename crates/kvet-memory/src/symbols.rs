//! Addresses of variables: also on images whose kallsyms knows functions only (arm64 without KALLSYMS_ALL).

use std::collections::HashMap;
use std::sync::OnceLock;

use kvet_image::{Arch, Image, VirtAddr};
use kvet_tables::Bounds;

use crate::locate::Placement;

/// Names that symbols do not give.
pub(crate) struct Symbols {
    exports: OnceLock<HashMap<String, VirtAddr>>,
}

/// `struct kernel_symbol` with CONFIG_HAVE_ARCH_PREL32_RELOCATIONS (include/linux/export-internal.h): value, name,
/// namespace, each a distance of 32 bits.
const EXPORT: usize = 12;
/// More exports than any kernel has.
const MOST_EXPORTS: usize = 1 << 17;

/// A variable that a small function leads to: the function, the variable, and which of the addresses that the
/// function forms it is.
const BY_CODE: &[(&str, &str, usize)] = &[
    // kernel/jump_label.c: mutex_lock(&jump_label_mutex)
    ("jump_label_mutex", "jump_label_lock", 0),
    // kernel/static_call_inline.c: mutex_lock(&static_call_mutex)
    ("static_call_mutex", "static_call_lock", 0),
];

impl Symbols {
    pub(crate) fn new(_image: &Image, _placement: &Placement) -> Symbols {
        Symbols { exports: OnceLock::new() }
    }

    pub(crate) fn get(&self, image: &Image, name: &str) -> Option<VirtAddr> {
        image
            .symbol_addr(name)
            .or_else(|| self.exports.get_or_init(|| exports(image)).get(name).copied())
            .or_else(|| by_code(image, name))
    }
}

/// The exports by name: of the tables that symbols name, else of the two runs of entries that a flat image has.
fn exports(image: &Image) -> HashMap<String, VirtAddr> {
    let mut out = HashMap::new();
    let named = [
        ("__ksymtab", "__start___ksymtab", "__stop___ksymtab"),
        ("__ksymtab_gpl", "__start___ksymtab_gpl", "__stop___ksymtab_gpl"),
    ];
    let mut found = false;
    for (section, start, stop) in named {
        let Some(bounds) = Bounds::locate(image, section, start, stop) else { continue };
        found = true;
        let count = usize::try_from(bounds.len()).unwrap_or(0) / EXPORT;
        for i in 0..count.min(MOST_EXPORTS) {
            if let Some((name, value)) = export(image, bounds.start.wrapping_offset((i * EXPORT) as i64)) {
                out.insert(name.to_owned(), value);
            }
        }
    }
    if !found && image.arch() == Arch::Arm64 {
        scan_exports(image, &mut out);
    }
    out
}

fn export(image: &Image, at: VirtAddr) -> Option<(&str, VirtAddr)> {
    let value = image.rel32(at)?;
    let name = image.cstr(image.rel32(at.checked_add(4)?)?, 256)?;
    let identifier =
        name.len() > 1 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    (identifier && image.section_at(value).is_some()).then_some((name, value))
}

/// In an image without sections: an entry's name must lead to a string that stands in the order of names, so a run of
/// entries proves itself.
fn scan_exports(image: &Image, out: &mut HashMap<String, VirtAddr>) {
    const RUN: usize = 16;
    for section in image.sections() {
        let len = image.section_bytes(section).len();
        let mut at = 0;
        while at + EXPORT * RUN <= len {
            let here = section.addr.wrapping_offset(at as i64);
            let mut count = 0;
            let mut last = "";
            while let Some((name, value)) = export(image, here.wrapping_offset((count * EXPORT) as i64)) {
                if name <= last || count > MOST_EXPORTS {
                    break;
                }
                if count >= RUN {
                    out.insert(name.to_owned(), value);
                }
                last = name;
                count += 1;
            }
            if count >= RUN {
                for i in 0..RUN {
                    if let Some((name, value)) = export(image, here.wrapping_offset((i * EXPORT) as i64)) {
                        out.insert(name.to_owned(), value);
                    }
                }
                at += count * EXPORT;
            } else {
                at += 4;
            }
        }
    }
}

/// The addresses that a function's first instructions form with `adrp` and `add`.
fn by_code(image: &Image, name: &str) -> Option<VirtAddr> {
    let (_, function, nth) = BY_CODE.iter().find(|entry| entry.0 == name)?;
    if image.arch() != Arch::Arm64 {
        return None;
    }
    formed_addresses(image, image.symbol_addr(function)?, 24).get(*nth).copied()
}

/// What `adrp` with a following `add` or load of the same register addresses, in order.
pub(crate) fn formed_addresses(image: &Image, start: VirtAddr, instructions: u64) -> Vec<VirtAddr> {
    let mut pages: [Option<u64>; 32] = [None; 32];
    let mut out = Vec::new();
    for i in 0..instructions {
        let at = VirtAddr(start.0.wrapping_add(4 * i));
        let Some(word) = image.u32(at) else { break };
        let (rd, rn) = ((word & 31) as usize, (word >> 5 & 31) as usize);
        if word & 0x9f00_0000 == 0x9000_0000 {
            let field = (word >> 3 & 0x1f_fffc) | (word >> 29 & 3);
            let distance = ((i64::from(field) << 43) >> 43) << 12;
            pages[rd] = Some((at.0 & !0xfff).wrapping_add_signed(distance));
        } else if word & 0xffc0_0000 == 0x9100_0000 {
            // add xd, xn, #imm12
            if let Some(page) = pages[rn].take() {
                out.push(VirtAddr(page.wrapping_add(u64::from(word >> 10 & 0xfff))));
            }
        } else if word & 0xffc0_0000 == 0xf940_0000 || word & 0xffc0_0000 == 0xb940_0000 {
            // ldr xt/wt, [xn, #imm12]
            let scale = if word >> 30 == 3 { 3 } else { 2 };
            if let Some(page) = pages[rn].take() {
                out.push(VirtAddr(page.wrapping_add(u64::from(word >> 10 & 0xfff) << scale)));
            }
        }
        // ret ends the function.
        if word == 0xd65f_03c0 {
            break;
        }
    }
    out
}
