//! The hardware, or the hypervisor that plays it, reported an error that cannot be corrected: what the CPU was doing is
//! no cause.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, line, sentences};

/// Words of the report, what they are, and whether the access that met the error is known to be the trace's.
const WORDS: &[(&str, &str, bool)] = &[
    // arch/x86/kernel/cpu/mce/core.c: `mce_panic`, `mce_timed_out`.
    ("Fatal machine check", "a machine check that cannot be corrected", false),
    ("Machine check: ", "a machine check that cannot be corrected", false),
    ("Machine check from unknown source", "a machine check without a bank that says why", false),
    (
        "Not all CPUs entered broadcast exception handler",
        "a machine check that not every CPU answered",
        false,
    ),
    // drivers/acpi/apei/ghes.c: `__ghes_panic`.
    ("Fatal hardware error", "a fatal error that the firmware found (APEI)", false),
    // arch/x86/kernel/nmi.c: `pci_serr_error`, `io_check_error`.
    ("NMI: IOCK error", "an I/O check on the bus (NMI)", false),
    ("NMI: Not continuing", "an NMI for a reason that the hardware does not name", false),
    // arch/arm64/kernel/traps.c: `arm64_serror_panic`; mm/fault.c: `do_sea`.
    ("SError", "an SError: an access that failed some time before", false),
    ("external abort", "an external abort: the bus or the device refused this access", true),
    // arch/powerpc/kernel/traps.c: `machine_check_exception`.
    ("Machine check in kernel mode", "a machine check", false),
    ("Oops: Machine check", "a machine check", false),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if !matches!(case.report.kind, Kind::Panic | Kind::Oops | Kind::PageFault) {
        return None;
    }
    let (words, what, here) = WORDS.iter().find(|(words, ..)| case.headline_has(words))?;
    let mut evidence = vec![case.shows(format!("the report is of {what}"), words)];
    let told =
        ["Machine Check Exception: ", "Hardware error from APEI"].iter().find_map(|mark| case.anywhere(mark));
    // The record itself leaves no doubt.
    let confidence = if told.is_some() { Confidence::Certain } else { Confidence::Likely };
    evidence.extend(told.map(|found| line("the hardware's own record", found)));
    let place = if *here {
        format!(
            "{} made the access: its address is no working device's, or the device is off.",
            case.in_function()
        )
    } else {
        format!("That {} ran is chance.", case.in_function())
    };
    Some(Diagnosis {
        cause: "hardware-error",
        summary: format!("The hardware, or the hypervisor that plays it, reported {what}. {place}"),
        confidence,
        evidence,
        advice: sentences([
            "decode the record (mcelog, rasdaemon, the firmware's event log) and look for a failing part: memory, a bus, a device",
            "in a guest, ask the host's log for the same moment: the hypervisor passes on what it met",
            "if only one driver's accesses meet it, look at its mapping and at the clock and power of its device",
        ]),
    })
}
