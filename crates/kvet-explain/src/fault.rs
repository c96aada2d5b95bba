//! Which function is at fault: the innermost one that answers for itself.
//!
//! Three ways to look at a trace, by what the failure is:
//! * something went wrong *in* the trace's innermost function, or in who called the helper that stands there;
//! * a CPU does not come on: what it happened to do in that moment is chance, so the function below the point
//!   where its work began is named (the system call, the work item, the timer, the protocol's receiver);
//! * a task sleeps for ever: past all that only waits, who asked for it.
//!
//! The names agree with what syzbot's dashboard has, which is the field's convention; the list of helpers is the
//! kernel's own layout (`helpers.rs`).

use kvet_console::{Frame, Kind, Report};

use crate::helpers::{self, Reason};

/// A function at fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Culprit {
    /// Its name, neutral of compiler and architecture.
    pub function: String,
    /// Its module.
    pub module: Option<String>,
}

impl Culprit {
    fn of(frame: &Frame) -> Culprit {
        Culprit {
            function: helpers::neutral(name(frame)).to_owned(),
            module: frame.module.as_ref().map(ToString::to_string),
        }
    }

    fn named(function: &str) -> Culprit {
        Culprit { function: helpers::neutral(function).to_owned(), module: None }
    }
}

/// The name of a frame's function; a Rust name is shown as one reads it.
fn name(frame: &Frame) -> &str {
    &frame.function
}

/// The function at fault, where the report lets it be known.
pub fn culprit(report: &Report) -> Option<Culprit> {
    let found = match report.kind {
        Kind::SoftLockup | Kind::HardLockup | Kind::RcuStall => stalled(report),
        Kind::HungTask => hung(report),
        Kind::Kcsan => racing(report),
        Kind::Lockdep => locked(report).or_else(|| ordered(report)).or_else(|| innermost(report)),
        Kind::Bug if report.headline.contains("Bad page") => owner(report).or_else(|| innermost(report)),
        Kind::Panic | Kind::Oops if report.headline.contains("corrupted stack end") => overflowed(report),
        Kind::Bug if report.headline.contains("workqueue leaked") => {
            leaked(report).or_else(|| innermost(report))
        }
        // Who was called and did not care.
        Kind::Warning if report.headline.contains(": nobody cared") => {
            report.named.as_ref().map(Culprit::of).or_else(|| innermost(report))
        }
        Kind::StackOverflow => overflowed(report),
        Kind::Patching => report.named.as_ref().map(Culprit::of).or_else(|| innermost(report)),
        // The trace is that of `do_exit`; what init died of stands in the exit code or before.
        Kind::Panic if report.headline.contains("Attempted to kill init") => None,
        Kind::Btf | Kind::Rootfs | Kind::Reset | Kind::Silence => None,
        _ => innermost(report),
    };
    found.map(|mut culprit| {
        if let Some(readable) = readable(&culprit.function) {
            culprit.function = readable;
        }
        culprit
    })
}

/// A Rust symbol (`_RNv...`, `_ZN...E`) without its hash.
fn readable(symbol: &str) -> Option<String> {
    let is_mangled = symbol.starts_with("_R") || symbol.starts_with("_ZN");
    let demangled = is_mangled.then(|| rustc_demangle::try_demangle(symbol).ok())??;
    Some(format!("{demangled:#}"))
}

/// Frames that a trace vouches for; all of them when it vouches for none (an unwinder without ORC or frame
/// pointers marks every frame with `?`). Inlined ones stand in decoded logs only: the same bug must be named alike in
/// both.
fn reliable(frames: &[Frame]) -> impl Iterator<Item = &Frame> + Clone {
    let is_frame = |frame: &&Frame| !frame.inlined && !frame.function.is_empty();
    let all = !frames.iter().filter(is_frame).any(|frame| frame.reliable);
    frames.iter().filter(is_frame).filter(move |frame| all || frame.reliable)
}

/// Whether a helper of this reason is passed by in a report.
fn passes(report: &Report, reason: Reason) -> bool {
    let kind = report.kind;
    match reason {
        Reason::Sanitizer | Reason::Reporting => true,
        // Who reports does so from within a handler here: the handler is the code at fault, not what it interrupted.
        Reason::Trap => !(kind == Kind::Lockdep || is_preemptible(report)),
        Reason::Memory | Reason::Locking | Reason::Container | Reason::Counting | Reason::Allocation => true,
        Reason::Waking | Reason::Work | Reason::Service | Reason::Primitive => true,
        // An object that is tracked is its owner's; one that faults shows who holds it.
        // A timer's int3 is the patching of its code, which has no owner.
        Reason::DebugObjects => {
            !matches!(kind, Kind::PageFault | Kind::GeneralProtection | Kind::Oops | Kind::Breakpoint)
        }
        // Who gives a damaged page back only found it so.
        Reason::Freeing => report.headline.contains("Bad page state"),
        Reason::Dropping => matches!(kind, Kind::Lockdep | Kind::Warning),
        Reason::Waiting => kind == Kind::SleepingInAtomic,
        Reason::CrossCpu | Reason::Interrupt => false,
    }
}

/// `BUG: using smp_processor_id() in preemptible code`.
fn is_preemptible(report: &Report) -> bool {
    report.kind == Kind::Bug && report.headline.contains("in preemptible")
}

/// Why a frame is a helper.
fn reason(frame: &Frame) -> Option<Reason> {
    match readable(&frame.function) {
        Some(readable) => helpers::reason(&readable),
        None => helpers::reason(&frame.function),
    }
}

/// Past helpers from the innermost frame on.
fn innermost(report: &Report) -> Option<Culprit> {
    let frames = || {
        let ip = report.ip.iter().filter(|frame| !frame.function.is_empty());
        ip.chain(reliable(&report.frames))
    };
    let own = |frame: &&Frame| {
        !is_next_function(frame) && reason(frame).is_none_or(|reason| !passes(report, reason))
    };
    if let Some(frame) = frames().find(own) {
        return Some(Culprit::of(frame));
    }
    // A trace of helpers only (a trap whose stack cannot be walked): the link register knows the caller.
    if let Some(frame) = report.lr.iter().find(own) {
        return Some(Culprit::of(frame));
    }
    let tells =
        |frame: &&Frame| !matches!(reason(frame), Some(Reason::Sanitizer | Reason::Reporting | Reason::Trap));
    report.named.iter().chain(frames()).find(tells).or_else(|| frames().next()).map(Culprit::of)
}

/// Whether a return address is that of the function below: the call was the last instruction of the one above, which
/// never returns (`panic()` at the end of a function).
fn is_next_function(frame: &Frame) -> bool {
    frame.offset == 0 && frame.size.is_some()
}

/// What lockdep began to say and an exception broke off, on its way through damaged locks: that trace shows the same
/// call.
pub fn broken_off(report: &Report, by: &Report) -> Option<Culprit> {
    let is_bare = report.ip.is_none() && report.frames.is_empty() && report.traces.is_empty();
    let same_task = report.pid.is_some() && report.pid == by.pid && report.boot == by.boot;
    if report.kind != Kind::Lockdep
        || !is_bare
        || !same_task
        || by.span.first_line > report.span.last_line + 8
    {
        return None;
    }
    culprit(&Report { ip: by.ip.clone(), frames: by.frames.clone(), ..report.clone() })
}

/// The traces of a report, the first one first, each with its instruction pointer.
fn traces(report: &Report) -> impl Iterator<Item = (Option<&Frame>, &[Frame], Option<u32>)> {
    let first = (report.ip.as_ref(), report.frames.as_slice(), report.cpu);
    let others = report.traces.iter().map(|trace| (trace.ip.as_ref(), trace.frames.as_slice(), trace.cpu));
    std::iter::once(first).chain(others)
}

/// The function whose work a CPU does not finish.
fn stalled(report: &Report) -> Option<Culprit> {
    let is_rcu_thread = |frames: &[Frame]| frames.iter().any(|frame| frame.function.starts_with("rcu_gp_"));
    let mut by_chance = None;
    for (ip, frames, _) in traces(report) {
        if frames.is_empty() && ip.is_none() || is_rcu_thread(frames) {
            continue;
        }
        let sequence = || ip.into_iter().filter(|f| !f.function.is_empty()).chain(reliable(frames));
        if let Some(culprit) = work_of(sequence()) {
            return Some(culprit);
        }
        by_chance = by_chance.or_else(|| sequence().find(|frame| is_own_work(name(frame))).map(Culprit::of));
    }
    by_chance
}

fn is_own_work(function: &str) -> bool {
    !helpers::is_stall_helper(function)
        && !matches!(helpers::reason(function), Some(Reason::Reporting | Reason::Trap | Reason::Sanitizer))
}

/// The function below the first anchor.
fn work_of<'a>(frames: impl Iterator<Item = &'a Frame>) -> Option<Culprit> {
    let mut own: Option<&Frame> = None;
    let mut waits_for_cpu = None;
    // A timer's callback in a hard interrupt: what it interrupted is named, unless that was idle.
    let mut callback: Option<&Frame> = None;
    for frame in frames {
        let function = name(frame);
        if helpers::is_hard_timer(function) {
            callback = callback.or(own.take());
            continue;
        }
        if is_idle(function)
            && let Some(callback) = callback
        {
            return Some(Culprit::of(callback));
        }
        if own.is_none() && function.starts_with("smp_call_function") {
            // Whatever variant: it waits for another CPU. Who patches text is named, though: nothing else is told.
            waits_for_cpu = waits_for_cpu.or(Some(frame));
            continue;
        }
        if let Some(waiting) = waits_for_cpu
            && own.is_none()
        {
            if is_broadcast(function) {
                continue;
            }
            if is_patching(function) {
                waits_for_cpu = None;
                continue;
            }
            return Some(Culprit {
                module: waiting.module.as_ref().map(ToString::to_string),
                ..Culprit::named("smp_call_function")
            });
        }
        if helpers::is_anchor(function) {
            match own {
                Some(own) => return Some(Culprit::of(own)),
                None => continue,
            }
        }
        if is_own_work(function) {
            own = Some(frame);
        }
    }
    waits_for_cpu.map(|_| Culprit::named("smp_call_function")).or_else(|| callback.map(Culprit::of))
}

/// The idle loop (kernel/sched/idle.c).
fn is_idle(function: &str) -> bool {
    ["cpu_startup_entry", "do_idle", "cpu_idle_loop", "default_idle", "arch_cpu_idle", "start_secondary"]
        .contains(&function)
        || function.starts_with("cpuidle_")
}

fn is_broadcast(function: &str) -> bool {
    function.starts_with("on_each_cpu") || function.starts_with("csd_")
}

fn is_patching(function: &str) -> bool {
    function.starts_with("text_poke") || function.starts_with("smp_text_poke")
}

/// Who asked for what never comes.
fn hung(report: &Report) -> Option<Culprit> {
    let frames = || reliable(&report.frames);
    // Two queues at which the whole kernel may stand: who waits there last is chance.
    for frame in frames() {
        let function = name(frame).trim_start_matches('_');
        let grace = ["synchronize_rcu", "synchronize_srcu", "synchronize_net", "synchronize_sched"];
        if grace.iter().any(|wait| function.starts_with(wait)) {
            return Some(Culprit::named("synchronize_rcu"));
        }
        if function == "rtnl_lock" {
            return Some(Culprit::named(function));
        }
    }
    // A system call that does nothing but wait is named itself, not the code that all of them enter by.
    let mut waits = None;
    for frame in frames() {
        if helpers::is_entry(name(frame)) {
            return waits.map(Culprit::of);
        }
        if !helpers::is_hang_helper(name(frame)) {
            return Some(Culprit::of(frame));
        }
        waits = Some(frame);
    }
    None
}

/// `BUG: KCSAN: data-race in a / b`: the first.
fn racing(report: &Report) -> Option<Culprit> {
    let (_, racers) = report.headline.split_once(" in ")?;
    let first = racers.split(" / ").next()?.trim();
    let function = first.split(['+', ' ']).next().filter(|f| !f.is_empty())?;
    Some(Culprit::named(function))
}

/// A lock that is kept, or whose memory is freed: who took it (`#0: (&fi->mutex){+.+.}, at: fuse_lock_inode+0xaf/0xe0`).
fn locked(report: &Report) -> Option<Culprit> {
    let headline = report.headline.to_lowercase();
    let kept = ["returning to user space", "still has locks held", "held lock freed"];
    if !kept.iter().any(|words| headline.contains(words)) {
        return None;
    }
    let at = report.locks.iter().find_map(|lock| lock.split_once(" at: "))?.1;
    let at = at.split_whitespace().find(|word| word.contains("+0x"))?;
    let function = at.split('+').next().filter(|f| !f.is_empty())?;
    Some(Culprit::named(function.split('.').next().unwrap_or(function)))
}

/// An order of locks that interrupts forbid: who takes the lock in an interrupt. Locks of work items and threads: who
/// waits for the work, since the frame that runs it is everybody's.
fn ordered(report: &Report) -> Option<Culprit> {
    let first_own = |frames: &[Frame]| {
        let own = |frame: &&Frame| reason(frame).is_none_or(|reason| !passes(report, reason));
        reliable(frames).find(|frame| own(frame) && !is_dispatcher(name(frame))).map(Culprit::of)
    };
    let irq_safe = report.traces.iter().find(|trace| trace.title.contains("-irq-safe at"));
    if let Some(trace) = irq_safe.filter(|_| report.headline.contains("lock order")) {
        return first_own(&trace.frames);
    }
    let runs_work = innermost(report).is_some_and(|culprit| is_dispatcher(&culprit.function));
    runs_work.then(|| report.traces.iter().find_map(|trace| first_own(&trace.frames))).flatten()
}

/// What runs everybody's work.
fn is_dispatcher(function: &str) -> bool {
    matches!(
        function,
        "process_one_work" | "worker_thread" | "kthread" | "ret_from_fork" | "ret_from_fork_asm"
    )
}

/// A page in a bad state: who had it last, when the kernel keeps account (page_owner); who found it, only noticed.
fn owner(report: &Report) -> Option<Culprit> {
    let allocated = report.traces.iter().find(|trace| trace.title.contains("page last allocated"))?;
    let own = |frame: &&Frame| reason(frame).is_none_or(|reason| !passes(report, reason));
    reliable(&allocated.frames).find(own).map(Culprit::of)
}

/// `last function: addrconf_dad_work`, since 6.9 `workfn=addrconf_dad_work` (kernel/workqueue.c, `process_one_work`).
fn leaked(report: &Report) -> Option<Culprit> {
    let told = report.details.iter().map(|(_, text)| text.as_str()).chain([report.headline.as_str()]);
    let marks = ["last function: ", "workfn="];
    let function = told.filter_map(|text| marks.iter().find_map(|mark| text.split_once(mark))).next()?.1;
    Some(Culprit::named(function.split_whitespace().next()?))
}

/// The stack is full or gone: who called what has filled it.
fn overflowed(report: &Report) -> Option<Culprit> {
    let frames = || report.ip.iter().chain(reliable(&report.frames)).filter(|f| !f.function.is_empty());
    work_of(frames()).or_else(|| innermost(report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{frame, report};

    fn function(kind: Kind, ip: Option<&str>, frames: &[&str]) -> Option<String> {
        let mut report = report(kind);
        report.ip = ip.map(frame);
        report.frames = frames.iter().map(|f| frame(f)).collect();
        culprit(&report).map(|culprit| culprit.function)
    }

    #[test]
    fn faults_past_helpers() {
        let f = function(
            Kind::Kasan,
            None,
            &["dump_stack", "kasan_report", "memcpy", "ip6_fragment", "ip6_finish"],
        );
        assert_eq!(f.as_deref(), Some("ip6_fragment"));
        let f =
            function(Kind::Breakpoint, Some("__mod_timer"), &["queue_delayed_work_on", "neigh_table_init"]);
        assert_eq!(f.as_deref(), Some("__mod_timer"));
        let f = function(Kind::Warning, Some("refcount_warn_saturate"), &["refcount_add", "cdev_get"]);
        assert_eq!(f.as_deref(), Some("cdev_get"));
        assert_eq!(function(Kind::Panic, None, &[]), None);
    }

    #[test]
    fn an_unwound_trap_names_the_link_register() {
        let mut report = report(Kind::StackOverflow);
        report.ip = Some(frame("el1_sync"));
        report.lr = Some(frame("kpti_install_ng_mappings"));
        report.frames =
            ["dump_backtrace", "show_stack", "panic", "__stack_chk_fail", "handle_bad_stack", "__bad_stack"]
                .map(frame)
                .into();
        assert_eq!(culprit(&report).map(|c| c.function).as_deref(), Some("kpti_install_ng_mappings"));
    }

    #[test]
    fn stalls_name_the_work() {
        let f = function(
            Kind::RcuStall,
            None,
            &[
                "dump_stack",
                "rcu_sched_clock_irq",
                "tick_sched_timer",
                "__hrtimer_run_queues",
                "hrtimer_interrupt",
                "__lock_acquire",
                "snd_seq_write",
                "vfs_write",
                "ksys_write",
                "do_syscall_64",
            ],
        );
        assert_eq!(f.as_deref(), Some("snd_seq_write"));
        let f = function(
            Kind::SoftLockup,
            Some("smp_call_function_single"),
            &["do_cpuid", "vfs_read", "do_syscall_64"],
        );
        assert_eq!(f.as_deref(), Some("smp_call_function"));
        let f =
            function(Kind::SoftLockup, Some("ipv6_rcv"), &["__netif_receive_skb_core", "process_backlog"]);
        assert_eq!(f.as_deref(), Some("ipv6_rcv"));
    }

    #[test]
    fn a_patching_cpu_that_waits_names_who_patches() {
        let f = function(
            Kind::SoftLockup,
            Some("smp_call_function_many_cond"),
            &[
                "on_each_cpu_cond_mask",
                "text_poke_bp_batch",
                "text_poke_finish",
                "arch_jump_label_transform_apply",
                "static_key_enable_cpuslocked",
                "static_key_enable",
                "timer_update_keys",
                "process_one_work",
                "worker_thread",
            ],
        );
        assert_eq!(f.as_deref(), Some("timer_update_keys"));
    }

    #[test]
    fn hung_tasks_past_waiting() {
        let f = function(
            Kind::HungTask,
            None,
            &[
                "__schedule",
                "schedule",
                "schedule_timeout",
                "__wait_for_common",
                "__flush_work",
                "p9_fd_close",
            ],
        );
        assert_eq!(f.as_deref(), Some("p9_fd_close"));
        let f = function(
            Kind::HungTask,
            None,
            &["__schedule", "schedule", "do_wait", "kernel_wait4", "do_syscall_64"],
        );
        assert_eq!(f.as_deref(), Some("kernel_wait4"));
        let f = function(Kind::HungTask, None, &["__schedule", "__synchronize_srcu", "x"]);
        assert_eq!(f.as_deref(), Some("synchronize_rcu"));
    }

    #[test]
    fn the_function_behind_a_call_that_never_returns_is_passed() {
        let mut report = report(Kind::Panic);
        let behind = Frame { offset: 0, size: Some(0x1c), ..frame("next_in_the_file") };
        report.frames = vec![frame("panic"), behind, frame("widget_init")];
        assert_eq!(culprit(&report).map(|c| c.function).as_deref(), Some("widget_init"));
    }

    #[test]
    fn frames_without_a_name_or_reliability() {
        let mut report = report(Kind::Bug);
        report.frames = vec![Frame { reliable: false, ..frame("swap_writepage") }, Frame::default()];
        assert_eq!(culprit(&report).map(|c| c.function).as_deref(), Some("swap_writepage"));
    }
}
