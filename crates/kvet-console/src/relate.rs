//! How a new headline stands to the report that is open: the kernel says one failure in several headlines.

use crate::family::{self, Family, Start, Sure};
use crate::line::Line;
use crate::open::Open;
use crate::report::{Kind, Phase, Report, Trap};

/// What to do with a headline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relation {
    /// It says more about the open report.
    Detail,
    /// The panic that follows from the open report.
    Panic,
    /// The open preamble announced it.
    Becomes,
    /// No headline after all.
    Ignore,
    /// Another report.
    Another,
}

/// Whether a report of this kind asks other CPUs for their backtraces.
pub(crate) fn asks_others(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::RcuStall | Kind::SoftLockup | Kind::HardLockup | Kind::HungTask | Kind::Panic | Kind::Oops
    )
}

/// Whether the kernel does not go on after it.
pub(crate) fn is_fatal(report: &Report) -> bool {
    report.panic.is_some()
        || matches!(report.kind, Kind::Panic | Kind::Rootfs | Kind::OutOfMemory | Kind::DoubleFault)
}

/// How `start`, on `line`, stands to `open`.
pub(crate) fn relate(open: &Open, start: &Start, line: &Line<'_>) -> Relation {
    let kind = open.report.kind;
    let new = start.report.kind;
    let text = line.text();
    let is_panic = text.contains("Kernel panic");
    let is_cut = text.starts_with("------------[ cut here ]") || text.starts_with("8<--- cut here");
    // Another log of the same mail.
    let elsewhere = line.part.quote != open.last_quote || went_back(open, line);
    if open.preamble {
        if elsewhere || open.strange > 12 && open.caller.is_none() {
            return Relation::Another;
        }
        return preamble(open, start, is_cut);
    }
    if elsewhere && !open.unproven && start.sure != Sure::Trace {
        return Relation::Another;
    }
    if open.unproven
        && kind == Kind::PageFault
        && start.report.trap.as_ref().is_some_and(|t| t.counter.is_some())
    {
        return Relation::Detail;
    }
    if open.unproven {
        // Advice that begins like a warning must not hide what comes below it.
        let waits = start.sure == Sure::Trace && (kind != Kind::Warning || new == Kind::Warning);
        return if waits { Relation::Ignore } else { Relation::Another };
    }
    if is_panic {
        if open.report.panic.is_some() || open.family.is_panic() {
            let same = open.report.headline == text || open.report.panic.as_deref() == Some(text);
            return if same || family_announces(text) { Relation::Ignore } else { Relation::Another };
        }
        let follows = family_announces(text)
            || !open.has_place()
            || (text.contains("Attempted to kill init") && is_exception(kind));
        return if follows { Relation::Panic } else { Relation::Another };
    }
    if matches!(start.sure, Sure::Trace) {
        return Relation::Ignore;
    }
    if is_cut {
        let awaits = matches!(kind, Kind::Patching | Kind::Refcount) && !open.has_place();
        return if awaits { Relation::Ignore } else { Relation::Another };
    }
    // `die()` after the words that announced it.
    let has_counter = open.report.trap.as_ref().is_some_and(|t| t.counter.is_some());
    let new_counter = start.report.trap.as_ref().is_some_and(|t| t.counter.is_some());
    let awaits_trap = matches!(
        kind,
        Kind::PageFault
            | Kind::Bug
            | Kind::Patching
            | Kind::StackOverflow
            | Kind::Kasan
            | Kind::Breakpoint
            | Kind::Oops
    );
    if new_counter && !has_counter && awaits_trap && open.frame_count() == 0 && !open.ended {
        return Relation::Detail;
    }
    // powerpc's `kernel tried to ...`, x86's second headline of one fault.
    if matches!(new, Kind::Bug | Kind::Warning) && kind == Kind::Patching && !open.has_place() {
        return Relation::Detail;
    }
    if new == Kind::PageFault && kind == Kind::PageFault && start.sure == Sure::Preamble {
        return Relation::Detail;
    }
    // arm prints the message below the headline.
    if kind == Kind::Warning && new == Kind::Refcount && !open.has_place() {
        return Relation::Detail;
    }
    let young = open.taken < 12 && open.frame_count() == 0;
    match (kind, new) {
        (Kind::RcuStall, Kind::RcuStall) if text.contains("kthread starved") || young => Relation::Detail,
        // powerpc: the CPU that noticed, then the one that is stuck.
        (Kind::HardLockup, Kind::HardLockup) if young => Relation::Detail,
        // A decoded log names the inlined functions in headlines of their own, the innermost first.
        (Kind::Kasan, Kind::Kasan) | (Kind::Kmsan, Kind::Kmsan) | (Kind::Kfence, Kind::Kfence)
            if young && open.report.headline.ends_with("[inline]") =>
        {
            Relation::Detail
        }
        (Kind::Slab | Kind::Kasan, Kind::Slab) if !text.starts_with("BUG ") => Relation::Detail,
        (Kind::Leak, Kind::Leak) if young && text.starts_with("unreferenced object") => Relation::Detail,
        (Kind::Leak, Kind::Leak)
            if text.starts_with("unregister_netdevice: ")
                && open.report.headline.starts_with("unregister_netdevice: ") =>
        {
            Relation::Detail
        }
        (Kind::Btf, Kind::Btf) if start.sure == Sure::Preamble => Relation::Another,
        (Kind::StackOverflow, Kind::DoubleFault | Kind::StackOverflow) if young => Relation::Detail,
        (Kind::DoubleFault, Kind::DoubleFault) if young => Relation::Detail,
        (Kind::UserSpace, Kind::UserSpace) => Relation::Detail,
        (Kind::Panic, _) if text.starts_with("trusty: ") && open.report.headline.starts_with("trusty: ") => {
            Relation::Detail
        }
        (Kind::Lockdep, Kind::Lockdep) if text.starts_with("INFO: lockdep") => Relation::Detail,
        _ => Relation::Another,
    }
}

/// Whether the clock stands before that of the report: a message of another boot, not of another CPU that was late.
fn went_back(open: &Open, line: &Line<'_>) -> bool {
    matches!((open.report.timestamp, line.part.timestamp), (Some(then), Some(now)) if now + 5.0 < then && open.report.kind != Kind::RcuStall)
}

fn family_announces(text: &str) -> bool {
    family::panic_announces(text)
}

/// Whether a report of this kind has registers or a trace, always.
pub(crate) fn is_exception(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Oops
            | Kind::PageFault
            | Kind::GeneralProtection
            | Kind::Bug
            | Kind::InvalidOpcode
            | Kind::Breakpoint
            | Kind::DoubleFault
            | Kind::StackOverflow
    )
}

/// What a headline is to the words that announced one.
fn preamble(open: &Open, start: &Start, is_cut: bool) -> Relation {
    if is_cut {
        // `list_del corruption` stands before the line, and after it.
        return if open.report.cut { Relation::Another } else { Relation::Detail };
    }
    if open.report.kind == Kind::Btf {
        return if start.report.kind == Kind::Btf {
            if start.sure == Sure::Preamble { Relation::Detail } else { Relation::Becomes }
        } else {
            Relation::Another
        };
    }
    if start.sure == Sure::Trace && open.report.kind == Kind::Rootfs {
        return Relation::Ignore;
    }
    Relation::Becomes
}

/// The announced report is here.
pub(crate) fn become_of(open: &mut Open, start: Start, family: &'static Family, line: &Line<'_>) {
    let old = std::mem::replace(&mut open.report, start.report);
    let lone = !old.cut;
    let report = &mut open.report;
    report.span = old.span;
    report.release = report.release.take().or(old.release);
    report.details = old.details;
    report.source = report.source.take().or(old.source);
    report.named = report.named.take().or(old.named);
    let telling = !old.headline.starts_with("------------[") && !old.headline.starts_with("8<---");
    if lone
        && matches!(old.kind, Kind::Bug | Kind::Refcount | Kind::Ubsan)
        && (is_exception(report.kind) || report.kind == Kind::Warning)
    {
        // The message says more than the `WARNING:` or `kernel BUG` that it comes with.
        let headline = std::mem::replace(&mut report.headline, old.headline);
        report.details.push((line.number, headline));
        report.kind = old.kind;
        report.timestamp = old.timestamp;
    } else {
        if telling {
            report.details.insert(0, (old.span.first_line, old.headline));
        }
        open.family = family;
    }
    let still = matches!(start.sure, Sure::Preamble | Sure::Lone);
    open.preamble = still;
    open.report.cut = start.sure == Sure::Preamble;
    open.unproven = false;
    if open.report.kind == Kind::Refcount || (lone && old.kind == Kind::Bug) {
        open.family = family;
    }
}

/// A further headline of the same report.
pub(crate) fn absorb(open: &mut Open, start: Start, line: &Line<'_>) {
    if start.report.kind == Kind::Refcount && open.report.kind == Kind::Warning {
        let headline = std::mem::replace(&mut open.report.headline, start.report.headline);
        open.report.details.push((open.report.span.first_line, headline));
        open.report.kind = Kind::Refcount;
        return;
    }
    if start.report.kind == open.report.kind && open.report.headline.ends_with("[inline]") {
        let inlined = std::mem::replace(&mut open.report.headline, start.report.headline);
        open.report.details.push((open.report.span.first_line, inlined));
        open.report.named = start.report.named.or(open.report.named.take());
        return;
    }
    open.detail(line);
    let report = &mut open.report;
    let new = start.report;
    report.source = report.source.take().or(new.source);
    report.named = report.named.take().or(new.named);
    report.arch = report.arch.or(new.arch);
    report.object = report.object.take().or(new.object);
    for cpu in new.stalled_cpus {
        if report.stalled_cpus.len() < 4096 && !report.stalled_cpus.contains(&cpu) {
            report.stalled_cpus.push(cpu);
        }
    }
    let Some(trap) = new.trap else { return };
    open.unproven &= trap.counter.is_none();
    let old = report.trap.get_or_insert_with(Trap::default);
    let first = old.counter.is_none();
    if first && trap.counter.is_some() {
        old.counter = trap.counter;
        old.config = trap.config;
        old.error_code = trap.error_code.or(old.error_code);
        old.vector = old.vector.or(trap.vector);
        // `Oops` says less than arm64's class of the exception.
        if old.name.is_empty() {
            old.name = trap.name;
        }
    }
    old.address = old.address.or(trap.address);
    let fault = trap.fault;
    let merge = |a: &mut Option<bool>, b: Option<bool>| *a = a.or(b);
    merge(&mut old.fault.write, fault.write);
    merge(&mut old.fault.fetch, fault.fetch);
    merge(&mut old.fault.user, fault.user);
    merge(&mut old.fault.present, fault.present);
    merge(&mut old.fault.reserved, fault.reserved);
    merge(&mut old.fault.protection_key, fault.protection_key);
}

/// The same headline, read again with its wrapped rest.
pub(crate) fn same_headline(report: &mut Report, new: Report) {
    report.kind = new.kind;
    report.headline = new.headline;
    report.source = new.source.or(report.source.take());
    report.named = new.named.or(report.named.take());
    report.cpu = new.cpu.or(report.cpu);
    report.pid = new.pid.or(report.pid);
    report.comm = new.comm.or(report.comm.take());
    report.trap = new.trap.or(report.trap.take());
    report.object = new.object.or(report.object.take());
}

/// The phase, where the trace knows it better than the lines before.
pub(crate) fn settle_phase(report: &mut Report) {
    let has = |name: &str| report.frames.iter().any(|f| f.function == name);
    if matches!(report.phase, Phase::UserSpace | Phase::Shutdown | Phase::Init) {
        return;
    }
    if report.kind == Kind::Rootfs {
        report.phase = Phase::Init;
        return;
    }
    if let Some(at) = report.frames.iter().position(|f| f.function == "do_one_initcall") {
        let before = &report.frames[..at];
        let real = |f: &&crate::report::Frame| {
            !f.function.is_empty() && f.size.is_none_or(|s| f.offset < s) && f.offset != 0
        };
        let inner =
            before.iter().rev().filter(|f| f.reliable).find(real).or_else(|| before.iter().rev().find(real));
        // A module's initcall runs when user space loads it.
        if inner.is_some_and(|f| f.module.is_none()) && (has("kernel_init") || has("kernel_init_freeable")) {
            report.phase = Phase::Initcall(inner.map(|f| f.function.to_string()));
        }
    } else if report.phase == Phase::Unknown {
        if has("__apply_alternatives_multi_stop")
            || has("apply_alternatives_all")
            || has("alternative_instructions")
        {
            report.phase = Phase::Alternatives;
        } else if has("start_kernel") {
            report.phase = Phase::Early;
        }
    }
}
