//! One bug, one signature.
//!
//! Made of a class of failure, the function at fault, and a short hash of what tells two bugs in one function
//! apart. What changes with the build, the compiler, the machine or the moment is left out: addresses, offsets,
//! sizes, line numbers, CPUs, tasks, registers, code, the rest of the trace (inlining changes it), and which of the
//! kernel's checks noticed (the same bad access is KASAN's report in one kernel and a page fault in another).
//!
//! A bug that shows in another function each time is named by its cause, not by the function.

use kvet_console::{Kind, Report};

use crate::explained::{Confidence, Diagnosis};
use crate::title;

/// Causes whose victim is chance: the signature is the cause's.
const CAUSE_ONLY: &[&str] = &[
    "stale-int3",
    "stale-alternatives-object",
    "starved-timer",
    "btf-vmlinux-refused",
    "btf-module-refused",
    "unmountable-root",
    "stack-unmapped",
];

/// The class of a kind: what stays the same when another check notices first.
fn class(report: &Report) -> &'static str {
    match report.kind {
        Kind::PageFault | Kind::GeneralProtection | Kind::Oops => "bad-access",
        Kind::Kasan | Kind::Kfence if report.headline.contains("free") && is_bad_free(&report.headline) => {
            "bad-free"
        }
        Kind::Kasan | Kind::Kfence => "bad-access",
        Kind::SoftLockup | Kind::HardLockup | Kind::RcuStall => "stall",
        Kind::HungTask => "hang",
        kind => kind.as_str(),
    }
}

fn is_bad_free(headline: &str) -> bool {
    ["invalid-free", "double-free", "invalid free"].iter().any(|word| headline.contains(word))
}

/// The signature of a report.
pub fn signature(report: &Report, function: Option<&str>, diagnosis: Option<&Diagnosis>) -> String {
    let by_cause =
        diagnosis.filter(|d| d.confidence >= Confidence::Possible && CAUSE_ONLY.contains(&d.cause));
    if let Some(diagnosis) = by_cause {
        let what = distinguishing(report, None);
        return format!("{}:{}", diagnosis.cause, digest(&[diagnosis.cause, what.as_str()]));
    }
    let class = class(report);
    let what = distinguishing(report, function);
    match function {
        Some(function) => format!("{class}:{function}:{}", digest(&[class, function, &what])),
        None => format!("{class}:{}", digest(&[class, &what])),
    }
}

/// What tells two bugs of one class in one function apart.
fn distinguishing(report: &Report, function: Option<&str>) -> String {
    match report.kind {
        // The file, not its line: the line moves with every release.
        Kind::Warning | Kind::Bug => {
            let file = report.source.as_ref().map(|(file, _)| file_name(file).to_owned());
            match (file, function) {
                (Some(file), _) => file,
                (None, Some(_)) => title::class_of(report),
                (None, None) => title::normal(&report.headline),
            }
        }
        Kind::Lockdep | Kind::SleepingInAtomic | Kind::Slab | Kind::Refcount => title::class_of(report),
        Kind::Panic => title::normal(&report.headline),
        Kind::Btf => report
            .details
            .iter()
            .map(|(_, text)| title::normal(text))
            .find(|text| is_complaint(text))
            .unwrap_or_default(),
        _ if function.is_none()
            && !matches!(report.kind, Kind::Breakpoint | Kind::Rootfs | Kind::StackOverflow) =>
        {
            title::class_of(report)
        }
        _ => String::new(),
    }
}

/// The line in which the BTF verifier says what is wrong.
fn is_complaint(text: &str) -> bool {
    let words = text.trim_start_matches("BPF:").trim();
    !words.is_empty() && !words.starts_with("type_id=") && !words.starts_with('[') && !words.contains('=')
}

/// The last component of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Six hex digits of FNV-1a over parts.
fn digest(parts: &[&str]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{:06x}", (hash ^ (hash >> 24) ^ (hash >> 48)) & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::report;

    #[test]
    fn which_check_noticed_does_not_matter() {
        let fault = report(Kind::PageFault);
        let mut kasan = report(Kind::Kasan);
        kasan.headline = "BUG: KASAN: use-after-free in skb_unref+0x1/0x2".into();
        assert_eq!(signature(&fault, Some("skb_unref"), None), signature(&kasan, Some("skb_unref"), None));
        kasan.headline = "BUG: KASAN: double-free in skb_unref+0x1/0x2".into();
        assert_ne!(signature(&fault, Some("skb_unref"), None), signature(&kasan, Some("skb_unref"), None));
        let soft = signature(&report(Kind::SoftLockup), Some("ipv6_rcv"), None);
        assert_eq!(soft, signature(&report(Kind::RcuStall), Some("ipv6_rcv"), None));
        assert!(soft.starts_with("stall:ipv6_rcv:"), "{soft}");
    }

    #[test]
    fn lines_and_numbers_do_not_matter_files_do() {
        let warning = |file: &str, line| {
            let mut report = report(Kind::Warning);
            report.source = Some((file.to_owned(), line));
            signature(&report, Some("f"), None)
        };
        assert_eq!(warning("fs/a.c", 1), warning("../fs/a.c", 99));
        assert_ne!(warning("fs/a.c", 1), warning("fs/b.c", 1));
        let panic = |text: &str| {
            let mut report = report(Kind::Panic);
            report.headline = text.to_owned();
            signature(&report, None, None)
        };
        assert_eq!(
            panic("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009"),
            panic("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100")
        );
        assert_ne!(panic("Kernel panic - not syncing: a"), panic("Kernel panic - not syncing: b"));
    }
}
