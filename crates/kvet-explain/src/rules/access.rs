//! What every bad access has: an address, a direction. As a rule: an address of user space or of no mapping.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, sentences};

/// The address that the access met.
pub fn address(case: &Case<'_>) -> Option<u64> {
    let trap = case.report.trap.as_ref();
    trap.and_then(|trap| trap.address).or_else(|| {
        let headline = case.report.headline.as_str();
        ["address: ", "virtual address ", "dereference at ", "paging request at ", "canonical address "]
            .iter()
            .find_map(|mark| super::hex_after(headline, mark))
    })
}

/// `a write`, `a read`, `an instruction fetch`, `an access`.
pub fn kind(case: &Case<'_>) -> &'static str {
    let fault = case.report.trap.as_ref().map(|trap| &trap.fault);
    match fault {
        Some(fault) if fault.fetch == Some(true) => "an instruction fetch",
        Some(fault) if fault.write == Some(true) => "a write",
        Some(fault) if fault.write == Some(false) => "a read",
        _ => "an access",
    }
}

/// A region of the kernel's address space on x86-64 with 4 levels (Documentation/arch/x86/x86_64/mm.rst).
fn region(address: u64) -> Option<&'static str> {
    Some(match address {
        0x1000..0x0000_8000_0000_0000 => "user space",
        0xffff_8880_0000_0000..0xffff_c880_0000_0000 => "the direct map of memory",
        0xffff_c900_0000_0000..0xffff_e900_0000_0000 => {
            "vmalloc space (a module's data, a stack, an I/O mapping)"
        }
        0xffff_ea00_0000_0000..0xffff_eb00_0000_0000 => "the page array (struct page)",
        0xffff_ec00_0000_0000..0xffff_fc00_0000_0000 => "KASAN's shadow memory",
        0xffff_ffff_8000_0000..0xffff_ffff_c000_0000 => "the kernel's image",
        0xffff_ffff_c000_0000..0xffff_ffff_ff00_0000 => "modules",
        _ => return None,
    })
}

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if report.kind != Kind::PageFault || !matches!(report.arch, Some(kvet_console::Arch::X86_64)) {
        return None;
    }
    let address = address(case)?;
    let region = region(address)?;
    let what = kind(case);
    let mut evidence =
        vec![case.shows(format!("{what} of {address:#x}, in {region}"), &super::short(&report.headline, 60))];
    let present = report.trap.as_ref().and_then(|trap| trap.fault.present);
    if let Some(present) = present {
        evidence.push(super::fact(if present {
            "the page was there: its protection was violated"
        } else {
            "no page was there"
        }));
    }
    let summary = match region {
        "user space" => format!(
            "{} used an address of user space ({address:#x}) without the functions for it, or a corrupted pointer.",
            case.in_function()
        ),
        "the direct map of memory" if present == Some(false) => format!(
            "{} used an address in the direct map that has no page: memory that was never there, was taken off, or is poisoned by page debugging (a use after free of a page).",
            case.in_function()
        ),
        "KASAN's shadow memory" => format!(
            "{} used a pointer whose shadow does not exist: a wild pointer (KASAN's check of it faulted).",
            case.in_function()
        ),
        _ => format!(
            "{} made {what} of {address:#x}, in {region}, where no page is: a pointer that is stale or wrong.",
            case.in_function()
        ),
    };
    Some(Diagnosis {
        cause: "wild-pointer",
        summary,
        confidence: Confidence::Possible,
        evidence,
        advice: sentences([
            "find the register that holds the address and where it was loaded from; KASAN, or CONFIG_DEBUG_PAGEALLOC for pages, names the object",
        ]),
    })
}
