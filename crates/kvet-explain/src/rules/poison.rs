//! Values that the kernel writes to memory that nobody may use: include/linux/poison.h.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, Evidence, fact};

/// What a value betrays.
struct Poison {
    what: &'static str,
    means: &'static str,
    advice: &'static str,
}

const FREED: Poison = Poison {
    what: "POISON_FREE (0x6b)",
    means: "a slab object that had been freed",
    advice: "KASAN, or slub_debug=FPUZ, names who freed it",
};
const INUSE: Poison = Poison {
    what: "POISON_INUSE (0x5a)",
    means: "a slab object that was never initialised",
    advice: "look for a kmalloc that should be a kzalloc",
};
const PAGE: Poison = Poison {
    what: "PAGE_POISON (0xaa)",
    means: "a page that had been freed",
    advice: "page_owner=on names who freed it",
};
const LIST: Poison = Poison {
    what: "LIST_POISON",
    means: "a list entry that had been deleted",
    advice: "look for a second list_del, or for a walk of the list without its lock (or without RCU's delete)",
};
const POINTER: Poison = Poison {
    what: "a poison of POISON_POINTER_DELTA (0xdead...)",
    means: "a pointer that the kernel had invalidated on purpose",
    advice: "look for a use after the object was given back",
};
const INIT: Poison = Poison {
    what: "POISON_FREE_INITMEM (0xcc)",
    means: "init memory that had been freed",
    advice: "look for __init or __initdata that is used after boot (CONFIG_DEBUG_SECTION_MISMATCH)",
};

/// The poison whose value lies in a pointer, an offset of a field allowed.
fn poison(value: u64) -> Option<&'static Poison> {
    // CONFIG_ILLEGAL_POINTER_VALUE of x86-64 and arm64.
    const DELTA: u64 = 0xdead_0000_0000_0000;
    let offset = value.wrapping_sub(DELTA);
    if offset < 0x1_0000 {
        return Some(if (0x100 - 0x80..0x122 + 0x800).contains(&offset) { &LIST } else { &POINTER });
    }
    // The upper bytes of a repeated byte survive a small offset.
    let high = value >> 16;
    let repeated = |byte: u64| (byte * 0x0001_0101_0101_0101) & 0xffff_ffff_ffff;
    match high {
        _ if high == repeated(0x6b) => Some(&FREED),
        _ if high == repeated(0x5a) => Some(&INUSE),
        _ if high == repeated(0xaa) => Some(&PAGE),
        _ if high == repeated(0xcc) => Some(&INIT),
        _ => None,
    }
}

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if !matches!(case.report.kind, Kind::PageFault | Kind::GeneralProtection | Kind::Oops | Kind::Bug) {
        return None;
    }
    let address = super::access::address(case);
    let by_address = address.and_then(|address| Some((address, poison(address)?)));
    // x86 hides the address of a non-canonical access in a register: the poison stands there.
    let registers =
        || case.report.registers.iter().filter_map(|r| Some((&*r.name, r.value?, poison(r.value?)?)));
    let held: Vec<_> =
        registers().filter(|(name, ..)| !matches!(*name, "orig_rax" | "pstate")).take(4).collect();
    let list_bug = case.report.headline.contains("LIST_POISON") || case.says("LIST_POISON").is_some();
    let (poison, confidence) = match (&by_address, held.first()) {
        (Some((_, poison)), _) => (*poison, Confidence::Certain),
        (None, _) if list_bug => (&LIST, Confidence::Certain),
        (None, Some((.., poison))) if case.report.kind == Kind::GeneralProtection => {
            (*poison, Confidence::Likely)
        }
        _ => return None,
    };
    let mut evidence: Vec<Evidence> = Vec::new();
    if let Some((address, poison)) = by_address {
        evidence.push(case.shows(
            format!("the address {address:#x} is {} or a field past it", poison.what),
            &super::short(&case.report.headline, 40),
        ));
    }
    for (name, value, poison) in held {
        let says = format!("{} holds {value:#x}: {}", name.to_uppercase(), poison.what);
        evidence.push(Evidence { line: case.quote(&format!("{}:", name.to_uppercase())), says });
    }
    if list_bug {
        evidence.push(case.shows("the list check names the poison", "LIST_POISON"));
    }
    evidence.push(fact(format!("the kernel writes {} to {}", poison.what, poison.means)));
    Some(Diagnosis {
        cause: "poison",
        summary: format!(
            "{} used {}: {} was read as a pointer.",
            case.in_function(),
            poison.means,
            poison.what
        ),
        confidence,
        evidence,
        advice: vec![poison.advice.to_owned()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisons_with_an_offset() {
        assert_eq!(poison(0x6b6b_6b6b_6b6b_6b6b).map(|p| p.what), Some(FREED.what));
        assert_eq!(poison(0x6b6b_6b6b_6b6b_6ba3).map(|p| p.what), Some(FREED.what));
        assert_eq!(poison(0xdead_0000_0000_0100).map(|p| p.what), Some(LIST.what));
        assert_eq!(poison(0xdead_0000_0000_0122).map(|p| p.what), Some(LIST.what));
        assert_eq!(poison(0xdead_0000_0000_eb9f).map(|p| p.what), Some(POINTER.what));
        assert_eq!(poison(0xaaaa_aaaa_aaaa_aaaa).map(|p| p.what), Some(PAGE.what));
        assert_eq!(poison(0xffff_8880_1234_5678).map(|p| p.what), None);
        assert_eq!(poison(0).map(|p| p.what), None);
    }
}
