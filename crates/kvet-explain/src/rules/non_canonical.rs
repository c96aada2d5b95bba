//! x86 `general protection fault`: an address that no page table can hold, or something else that is forbidden.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, sentences};

/// KASAN's shadow offset of x86-64 (CONFIG_KASAN_SHADOW_OFFSET).
const SHADOW: u64 = 0xdfff_fc00_0000_0000;

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if report.kind != Kind::GeneralProtection {
        return None;
    }
    let address = super::access::address(case);
    let shadow = case.report.registers.iter().find(|r| r.value == Some(SHADOW));
    if let Some((number, text)) =
        case.says("wild-memory-access in range").or_else(|| case.says("user-memory-access in range"))
    {
        let range = text.split_once("range ").map_or("", |(_, range)| range);
        return Some(Diagnosis {
            cause: "wild-pointer",
            summary: format!(
                "{} used a wild pointer: KASAN's check of its shadow faulted, and the access meant {range}.",
                case.in_function()
            ),
            confidence: Confidence::Certain,
            evidence: vec![super::line("KASAN names the range that was meant", (number, text.to_owned()))],
            advice: sentences(["look for the pointer in the registers, and for who wrote over it"]),
        });
    }
    if let Some(address) = address {
        return Some(Diagnosis {
            cause: "non-canonical-address",
            summary: format!(
                "{} used {address:#x} as a pointer, which is no possible address: its upper bits are not a sign extension. The pointer was overwritten, or is no pointer.",
                case.in_function()
            ),
            confidence: Confidence::Certain,
            evidence: vec![case.shows(format!("the processor refused {address:#x}"), "canonical")],
            advice: sentences([
                "read the value as text and as poison: characters point to a string that ran over, 0x6b, 0xaa or 0xdead to freed memory",
                "KASAN names the write that overwrote it",
            ]),
        });
    }
    let shadow = shadow?;
    let name = shadow.name.to_uppercase();
    Some(Diagnosis {
        cause: "kasan-shadow-fault",
        summary: format!(
            "{} was about to use a NULL or wild pointer: KASAN's own look at the shadow faulted first.",
            case.in_function()
        ),
        confidence: Confidence::Likely,
        evidence: vec![
            case.shows(format!("{name} holds {SHADOW:#x}, KASAN's shadow offset"), &format!("{name}:")),
        ],
        advice: sentences([
            "the pointer is the other register of the marked instruction, times eight; small values mean NULL plus a field's offset",
        ]),
    })
}
