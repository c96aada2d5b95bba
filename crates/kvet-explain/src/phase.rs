//! Where in the boot a report stands: what the log said before it, made more exact by its trace.

use kvet_console::{Frame, Phase, Report};

/// A function of a trace, and the phase that it belongs to.
type Mark = (&'static str, fn() -> Phase);

/// Functions that say where the boot is; the outermost one in a trace that is listed here decides.
const MARKS: &[Mark] = &[
    ("apply_alternatives", || Phase::Alternatives),
    ("__apply_alternatives", || Phase::Alternatives),
    ("__apply_alternatives_multi_stop", || Phase::Alternatives),
    ("apply_alternatives_all", || Phase::Alternatives),
    ("alternative_instructions", || Phase::Alternatives),
    ("setup_arch", || Phase::Early),
    ("start_kernel", || Phase::Early),
    ("setup_IO_APIC", || Phase::Early),
    ("smp_init", || Phase::Smp),
    ("bringup_nonboot_cpus", || Phase::Smp),
    ("kpti_install_ng_mappings", || Phase::Smp),
    ("setup_system_capabilities", || Phase::Smp),
    ("prepare_namespace", || Phase::Init),
    ("mount_root", || Phase::Init),
    ("mount_block_root", || Phase::Init),
    ("do_mount_root", || Phase::Init),
];

/// The phase of a report.
pub fn phase(report: &Report) -> Phase {
    let late = matches!(report.phase, Phase::UserSpace | Phase::Shutdown);
    let frames = || report.ip.iter().chain(report.lr.iter()).chain(&report.frames);
    if late {
        return report.phase.clone();
    }
    // In an initcall: the frame inside do_one_initcall is its function.
    if let Some(initcall) = initcall(&report.frames) {
        return Phase::Initcall(Some(initcall));
    }
    let marked = frames()
        .rev()
        .find_map(|frame| MARKS.iter().find(|(name, _)| frame.function == *name).map(|(_, phase)| phase()));
    // start_kernel is in every trace of the first task until user space: it says the least.
    match (marked, &report.phase) {
        (Some(Phase::Early), known) if *known != Phase::Unknown => {
            inner_mark(report).unwrap_or(known.clone())
        }
        (Some(marked), _) => marked,
        (None, known) => known.clone(),
    }
}

/// The innermost mark that is more telling than `start_kernel`.
fn inner_mark(report: &Report) -> Option<Phase> {
    let frames = report.ip.iter().chain(report.lr.iter()).chain(&report.frames);
    frames
        .filter(|frame| frame.function != "start_kernel")
        .find_map(|frame| MARKS.iter().find(|(name, _)| frame.function == *name).map(|(_, phase)| phase()))
}

fn initcall(frames: &[Frame]) -> Option<String> {
    let at = frames.iter().position(|frame| frame.function == "do_one_initcall")?;
    let inner = frames[..at].iter().rev();
    // `? __pfx_inet_init` and other marks of the stack's past are not the call.
    let reliable = frames[..at].iter().any(|frame| frame.reliable);
    inner
        .filter(|frame| !frame.function.is_empty() && (frame.reliable || !reliable))
        .map(|frame| frame.function.trim_start_matches("__pfx_").to_owned())
        .next()
}

#[cfg(test)]
mod tests {
    use kvet_console::{Kind, Phase};

    use super::*;
    use crate::testing::{frame, report};

    #[test]
    fn the_trace_names_the_initcall() {
        let mut report = report(Kind::Breakpoint);
        report.phase = Phase::Initcall(None);
        report.frames = ["queue_delayed_work_on", "arp_init", "inet_init", "do_one_initcall", "kernel_init"]
            .map(frame)
            .into();
        report.frames.insert(3, Frame { reliable: false, ..frame("__pfx_inet_init") });
        assert_eq!(phase(&report), Phase::Initcall(Some("inet_init".into())));
        report.phase = Phase::UserSpace;
        assert_eq!(phase(&report), Phase::UserSpace);
    }

    #[test]
    fn marks_in_the_trace() {
        let mut report = report(Kind::StackOverflow);
        report.ip = Some(frame("el1_sync"));
        report.lr = Some(frame("kpti_install_ng_mappings"));
        assert_eq!(phase(&report), Phase::Smp);
        let mut report = crate::testing::report(Kind::Panic);
        report.frames = ["panic", "setup_IO_APIC", "apic_intr_mode_init", "start_kernel"].map(frame).into();
        assert_eq!(phase(&report), Phase::Early);
        report.frames.clear();
        report.phase = Phase::Init;
        assert_eq!(phase(&report), Phase::Init);
    }
}
