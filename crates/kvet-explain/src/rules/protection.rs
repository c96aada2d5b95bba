//! A page that is there, but not for this: W^X, SMEP, SMAP, PAN, read-only memory.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, sentences};

/// The kernel's words, the cause's name, what they mean, what to do.
const WORDS: &[(&str, &str, &str, &str)] = &[
    (
        "kernel tried to execute NX-protected page",
        "execute-protected-page",
        "jumped to a page that holds data (NX): a corrupted function pointer or return address, or code in memory that was never made executable",
        "see whether the address is a module's, a trampoline's or a stack's; a value like text points to an overflow",
    ),
    (
        "unable to execute userspace code (SMEP?)",
        "execute-user-page",
        "jumped to an address of user space, which SMEP forbids: a corrupted function pointer or return address",
        "treat it as exploitable; find the indirect call or the overwritten return address in the innermost frame",
    ),
    (
        "execute from non-executable memory",
        "execute-protected-page",
        "jumped to memory that is not executable: a corrupted function pointer, or code that was never made executable",
        "see whether the address is a module's, a trampoline's or a stack's",
    ),
    (
        "execution of user memory",
        "execute-user-page",
        "jumped to an address of user space: a corrupted function pointer or return address",
        "treat it as exploitable; find the indirect call in the innermost frame",
    ),
    (
        "access to user memory outside uaccess routines",
        "user-access",
        "touched user memory directly, which PAN forbids outside of the functions for it",
        "use copy_from_user() and its kin, or find where a kernel pointer was replaced by a user's",
    ),
    (
        "access to user memory with fs=KERNEL_DS",
        "user-access",
        "touched user memory with the kernel's address limit set",
        "find the unbalanced set_fs()",
    ),
    (
        "write to read-only memory",
        "write-read-only",
        "wrote to memory that is read-only: const data, the kernel's text, or what became read-only after init (__ro_after_init)",
        "name the symbol at the address (--kernel); data that must change after boot is not __ro_after_init",
    ),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let fault = matches!(
        case.report.kind,
        Kind::PageFault | Kind::Oops | Kind::GeneralProtection | Kind::DoubleFault | Kind::Bug | Kind::Panic
    );
    if !fault {
        return None;
    }
    let in_report = |mark: &str| {
        let told = case.says(mark).map(|(n, text)| (n, text.to_owned()));
        told.or_else(|| case.text.find_in(&case.report.span, mark))
    };
    for (mark, cause, means, advice) in WORDS {
        if let Some(found) = in_report(mark) {
            return Some(Diagnosis {
                cause,
                summary: format!("{} {means}.", case.in_function()),
                confidence: Confidence::Certain,
                evidence: vec![super::line("the kernel says so", found)],
                advice: sentences([advice]),
            });
        }
    }
    by_bits(case)
}

/// x86: the error code says that the page was present.
fn by_bits(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    let fault = &report.trap.as_ref().filter(|_| report.kind == Kind::PageFault)?.fault;
    if fault.present != Some(true) {
        return None;
    }
    let address = super::access::address(case)?;
    let user = address < 1 << 47;
    let (cause, means) = match (fault.fetch, fault.write, user) {
        (Some(true), _, true) => ("execute-user-page", "jumped to user space, which SMEP forbids"),
        (Some(true), _, false) => ("execute-protected-page", "jumped to a page without execute permission"),
        (_, _, true) => (
            "user-access",
            "touched user memory directly, which SMAP forbids outside of the functions for it",
        ),
        (_, Some(true), false) => (
            "write-read-only",
            "wrote to a page that is read-only: const data, text, or __ro_after_init after boot",
        ),
        _ => return None,
    };
    Some(Diagnosis {
        cause,
        summary: format!("{} {means} (address {address:#x}).", case.in_function()),
        confidence: Confidence::Likely,
        evidence: vec![
            case.shows("the page is present, its protection was violated (#PF bit 0)", "error_code(0x")
                .clone(),
        ],
        advice: sentences([
            "name the symbol or mapping at the address (--kernel); the page-table walk in the log shows its bits",
        ]),
    })
}
