//! NULL, a small offset from NULL, and an error code taken for a pointer.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, Evidence, sentences};

/// The first page is never mapped for the kernel; an offset into a struct beyond it is rare.
const NULL_PAGE: u64 = 0x1000;
/// MAX_ERRNO of include/linux/err.h.
const MAX_ERRNO: u64 = 4095;

/// Some errno.
const ERRNO: &[(u64, &str)] = &[
    (1, "EPERM"),
    (2, "ENOENT"),
    (5, "EIO"),
    (6, "ENXIO"),
    (11, "EAGAIN"),
    (12, "ENOMEM"),
    (13, "EACCES"),
    (14, "EFAULT"),
    (16, "EBUSY"),
    (17, "EEXIST"),
    (19, "ENODEV"),
    (22, "EINVAL"),
    (28, "ENOSPC"),
    (38, "ENOSYS"),
    (95, "EOPNOTSUPP"),
    (110, "ETIMEDOUT"),
    (512, "ERESTARTSYS"),
    (517, "EPROBE_DEFER"),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if !matches!(case.report.kind, Kind::PageFault | Kind::GeneralProtection | Kind::Oops | Kind::Kasan) {
        return None;
    }
    let address = super::access::address(case)?;
    // With KASAN the check of the shadow faults first; the kernel prints the range that was meant.
    let headline = case.report.headline.as_str();
    let shadow_null = case.says("null-ptr-deref in range").is_some();
    let null = address < NULL_PAGE || shadow_null;
    let offset_of_error = address.wrapping_neg();
    let error = (1..=MAX_ERRNO + NULL_PAGE).contains(&offset_of_error) && !null;
    if !null && !error {
        return None;
    }
    let fetch = case.report.trap.as_ref().is_some_and(|trap| trap.fault.fetch == Some(true))
        || case.register("rip") == Some(address) && address < NULL_PAGE;
    let what = super::access::kind(case);
    let mut evidence =
        vec![case.shows(format!("{what} of address {address:#x}"), &super::short(headline, 60))];
    if shadow_null {
        evidence.push(case.shows("KASAN names the range that was meant", "null-ptr-deref in range"));
    }
    evidence.extend(pointer_register(case, address));
    let meant = if shadow_null { range(case).unwrap_or(address) } else { address };
    if error {
        return error_pointer(case, offset_of_error, evidence);
    }
    if fetch {
        return Some(Diagnosis {
            cause: "null-call",
            summary: format!(
                "A call through a function pointer that is NULL: {} called address {address:#x}.",
                caller(case)
            ),
            confidence: Confidence::Certain,
            evidence,
            advice: sentences([
                "find the operation that was not set (a struct of operations with an optional member), in the innermost frame of the trace",
            ]),
        });
    }
    let member = member(case, &mut evidence);
    if let Some(member) = member {
        return Some(Diagnosis {
            cause: "null-dereference",
            summary: format!("{} used a NULL pointer: {what} of {member}.", case.in_function()),
            confidence: Confidence::Certain,
            evidence,
            advice: sentences([
                "look for a missing check after an allocation or look-up, or for a use before it was set",
            ]),
        });
    }
    let field = if meant == 0 {
        "the pointer itself".to_owned()
    } else {
        format!("offset {meant:#x} from a NULL pointer: a field of a struct at that offset")
    };
    Some(Diagnosis {
        cause: "null-dereference",
        summary: format!("{} used a NULL pointer: {what} of {field}.", case.in_function()),
        confidence: Confidence::Certain,
        evidence,
        advice: vec![
            if meant == 0 {
                "see which pointer the marked instruction uses, and who should have set it".to_owned()
            } else {
                format!(
                    "find the struct with a field at {meant:#x} that the marked instruction uses (--kernel with debug information names it)"
                )
            },
            "look for a missing check after an allocation or look-up, or for a use before it was set"
                .to_owned(),
        ],
    })
}

/// The member that the instruction was after, by DWARF or BTF.
fn member(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Option<String> {
    use crate::symbols::Via;
    let field = case.resolved?.field.as_ref()?;
    let guess = field.guesses.first()?;
    let via = match &guess.via {
        Via::Variable { name, .. } => format!("the variable {name}"),
        Via::Followed { expression } => format!("the expression {expression}"),
    };
    let register = field.register.as_deref().unwrap_or("the base register");
    evidence.push(super::fact(format!(
        "{register} holds {via} there, a pointer to {}; offset {:#x} is its member {}",
        guess.structure, guess.offset, guess.path
    )));
    Some(format!("{}.{} (offset {:#x}) through {via}", guess.structure, guess.path, guess.offset))
}

fn caller(case: &Case<'_>) -> String {
    let named = case.report.frames.iter().find(|frame| frame.reliable && !frame.function.is_empty());
    named.map_or_else(|| case.in_function(), |frame| frame.function.to_string())
}

/// The registers that hold NULL or the error: the base of the access is among them.
fn pointer_register(case: &Case<'_>, address: u64) -> Option<Evidence> {
    let low = case.report.registers.iter().filter(|r| r.value == Some(address) && address != 0);
    let names: Vec<&str> = low.map(|r| &*r.name).take(4).collect();
    (!names.is_empty()).then(|| {
        super::fact(format!(
            "{} hold{} the address",
            names.join(", "),
            if names.len() == 1 { "s" } else { "" }
        ))
    })
}

/// `KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]`.
fn range(case: &Case<'_>) -> Option<u64> {
    super::hex_after(case.says("null-ptr-deref in range")?.1, "range [")
}

fn error_pointer(case: &Case<'_>, below: u64, evidence: Vec<Evidence>) -> Option<Diagnosis> {
    let exact = ERRNO.iter().find(|(number, _)| *number == below);
    let what = match exact {
        Some((number, name)) => format!("-{name} (-{number})"),
        None => format!("an error code near -{below} plus a field's offset"),
    };
    Some(Diagnosis {
        cause: "error-pointer",
        summary: format!("{} used an error code as a pointer: the address is {what}.", case.in_function()),
        confidence: if exact.is_some() { Confidence::Likely } else { Confidence::Possible },
        evidence,
        advice: sentences(["look for a result that was tested against NULL but not with IS_ERR()"]),
    })
}
