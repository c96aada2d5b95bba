//! A whole report, resolved.

use kvet_console::{Code, CpuContext, Frame, Kind, Report, Trace, Trap};
use kvet_image::{Arch, VirtAddr};
use kvet_tables::disasm::{self, Before};
use kvet_tables::sites::SiteAt;

use super::code::CodeView;
use super::field::FieldAccess;
use super::frame::{Place, ResolvedFrame, Role, Verdict};
use super::slide::{self, Slide, SlideFrom};
use super::symbolizer::Symbolizer;

/// What a kernel's files say about a report.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Resolved {
    /// [`Report::ip`].
    pub ip: Option<ResolvedFrame>,
    /// [`Report::lr`].
    pub lr: Option<ResolvedFrame>,
    /// [`Report::named`].
    pub named: Option<ResolvedFrame>,
    /// [`Report::frames`], one for one.
    pub frames: Vec<ResolvedFrame>,
    /// [`Report::traces`], one for one.
    pub traces: Vec<ResolvedTrace>,
    /// [`Report::code`]; alone when the instruction pointer has no place in these files.
    pub code: Option<CodeView>,
    /// KASLR's slide, where the report shows it.
    pub slide: Option<Slide>,
    /// The table entries that own the trapping instruction.
    pub sites: Vec<SiteAt>,
    /// For a report with a faulting address: what the instruction was after.
    pub field: Option<FieldAccess>,
}

/// A further trace, resolved.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ResolvedTrace {
    /// Its `ip`.
    pub ip: Option<ResolvedFrame>,
    /// Its frames, one for one.
    pub frames: Vec<ResolvedFrame>,
    /// Its code bytes.
    pub code: Option<CodeView>,
}

impl Symbolizer<'_> {
    /// Resolves all that a report holds.
    pub fn report(&self, report: &Report) -> Resolved {
        let exact = |frame: &Option<Frame>, role| frame.as_ref().map(|f| self.frame(f, role));
        let role = if is_int3(report) { Role::AfterInt3 } else { Role::Exact };
        let ip = exact(&report.ip, role);
        let lr = exact(&report.lr, Role::Unknown);
        let frames = self.trace(&report.frames, report.ip.as_ref());
        let printed = (report.ip.as_ref().into_iter().zip(&ip))
            .chain(report.lr.as_ref().into_iter().zip(&lr))
            .chain(report.frames.iter().zip(&frames));
        let mut slide = slide::of_report(report).or_else(|| slide::of_frames(self.kernel.arch(), printed));
        let by = |slide: Option<Slide>| slide.map(|s| s.by);
        let code = report.code.as_ref().and_then(|c| self.code(c, ip.as_ref(), by(slide)));
        if let (None, Some(found)) = (slide, code.as_ref().and_then(|c| c.slide)) {
            slide = Some(Slide { by: found, from: SlideFrom::Code });
        }
        let sites = ip.as_ref().map(|ip| ip.sites.clone()).unwrap_or_default();
        let field = self.wanted(report, ip.as_ref(), code.as_ref());
        let traces = report.traces.iter().map(|t| self.further(t, by(slide))).collect();
        Resolved {
            named: exact(&report.named, Role::Exact),
            ip,
            lr,
            frames,
            traces,
            code,
            slide,
            sites,
            field,
        }
    }

    /// The member that a faulting access was after.
    fn wanted(
        &self,
        report: &Report,
        ip: Option<&ResolvedFrame>,
        code: Option<&CodeView>,
    ) -> Option<FieldAccess> {
        let ip = ip?;
        let faulted = report.trap.as_ref()?.address.is_some() || report.kind == Kind::GeneralProtection;
        // A jump to nowhere has no instruction.
        let place = ip.place().filter(|_| faulted && !ip.verdict.refutes())?;
        let live = code.and_then(CodeView::trapping).map(|line| &line.bytes[..]);
        self.field_at(place, ip.role, live)
    }

    fn further(&self, trace: &Trace, slide: Option<u64>) -> ResolvedTrace {
        let ip = trace.ip.as_ref().map(|f| self.frame(f, Role::Unknown));
        let code = trace.code.as_ref().and_then(|c| self.code(c, ip.as_ref(), slide));
        ResolvedTrace { frames: self.trace(&trace.frames, trace.ip.as_ref()), ip, code }
    }

    /// A `Code:` line at the instruction pointer; `None` when the line has no bytes.
    pub fn code(&self, code: &Code, ip: Option<&ResolvedFrame>, slide: Option<u64>) -> Option<CodeView> {
        if code.bytes.is_empty() {
            return None;
        }
        let role = ip.map_or(Role::Exact, |ip| ip.role);
        let place = ip.and_then(ResolvedFrame::place);
        let held = place.and_then(|place| Some((place, self.image_of(place)?)));
        Some(match held {
            Some((place, held)) => {
                let kernel = place.module.is_some().then_some(self.kernel);
                CodeView::at(held.get(), kernel, place, code, role, slide)
            }
            None => CodeView::alone(self.kernel.arch(), code, role),
        })
    }
}

/// An `int3` that nobody handled: RIP is after it.
fn is_int3(report: &Report) -> bool {
    let named = |trap: &Trap| trap.vector == Some(3) || trap.name.starts_with("int3");
    report.trap.as_ref().is_some_and(named)
}

/// The kernel's own names for the places where a trap enters: below them stands what was interrupted.
fn is_entry(symbol: &str) -> bool {
    let name = symbol.split('.').next().unwrap_or(symbol);
    // x86: idtentry's assembler stubs; before 5.8 without `asm_`.
    let x86 = name.starts_with("asm_exc_")
        || name.starts_with("asm_sysvec_")
        || name.starts_with("asm_call_")
        || matches!(
            name,
            "asm_common_interrupt"
                | "common_interrupt"
                | "asm_load_gs_index_fault"
                | "apic_timer_interrupt"
                | "reschedule_interrupt"
                | "call_function_interrupt"
                | "call_function_single_interrupt"
                | "page_fault"
                | "async_page_fault"
                | "general_protection"
                | "invalid_op"
                | "double_fault"
                | "int3"
                | "end_repeat_nmi"
                | "nmi"
        );
    // arm64: entry.S, up to 5.11 el1_sync, el1_irq; since 5.12 el1h_64_sync and so on.
    x86 || is_arm64_entry(name)
}

fn is_arm64_entry(name: &str) -> bool {
    let kinds = ["_sync", "_irq", "_fiq", "_error"];
    (name.starts_with("el1") || name.starts_with("el0")) && kinds.iter().any(|k| name.ends_with(k))
}

impl Symbolizer<'_> {
    /// Resolves a call trace, innermost frame first. `ip` is where the trace's registers say that it was.
    ///
    /// A frame directly below an exception's entry was interrupted, not calling: its address is exact where no
    /// call stands before it, and on arm64 always, whose unwinder takes it from the saved registers.
    pub fn trace(&self, frames: &[Frame], ip: Option<&Frame>) -> Vec<ResolvedFrame> {
        let (mut entered, mut by_int3) = (false, false);
        let mut resolved = Vec::with_capacity(frames.len());
        for frame in frames {
            let at_ip = ip.is_some_and(|ip| ip.symbol == frame.symbol && ip.offset == frame.offset);
            // Registers in the middle of a trace, saved by the exception whose entry stands above. Sections like
            // `<#DB>` have frames of the same context, and those are ordinary.
            let saved = frame.context == Some(CpuContext::Exception);
            let role = match (frame.reliable, entered) {
                _ if saved && by_int3 => Role::AfterInt3,
                _ if at_ip || saved && entered => Role::Exact,
                _ if saved => Role::Unknown,
                (true, true) if self.kernel.arch() == Arch::Arm64 => Role::Exact,
                (true, true) | (false, _) => Role::Unknown,
                (true, false) => Role::Return,
            };
            resolved.push(self.frame(frame, role));
            if frame.reliable && !frame.inlined {
                entered = is_entry(&frame.symbol);
                by_int3 = matches!(frame.symbol.as_str(), "asm_exc_int3" | "int3");
            }
        }
        self.settle(frames, &mut resolved);
        resolved
    }

    /// Of several places for a frame, the one whose call leads to the function of the frame inside it.
    fn settle(&self, frames: &[Frame], resolved: &mut [ResolvedFrame]) {
        let mut inner: Option<VirtAddr> = None;
        for (frame, resolved) in frames.iter().zip(resolved) {
            if !frame.reliable || frame.inlined {
                continue;
            }
            if let (Verdict::Ambiguous, Some(inner)) = (&resolved.verdict, inner) {
                let calls = |place: &Place| {
                    let image = self.image_of(place)?;
                    match disasm::before(image.get(), place.start, place.addr)? {
                        Before::Call(target) => target,
                        _ => None,
                    }
                };
                let leads: Vec<Place> =
                    resolved.places.iter().filter(|p| calls(p) == Some(inner)).cloned().collect();
                if let [_] = leads[..] {
                    resolved.places = leads;
                    resolved.verdict = Verdict::Fits;
                }
            }
            inner = match (&resolved.verdict, resolved.place()) {
                (Verdict::Fits, Some(place)) => Some(place.start),
                _ => None,
            };
        }
    }
}
