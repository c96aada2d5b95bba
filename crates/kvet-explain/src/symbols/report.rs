//! A whole report, resolved.

use kvet_console::{Frame, Report};
use kvet_image::{Arch, VirtAddr};
use kvet_tables::disasm::{self, Before};

use super::frame::{Place, ResolvedFrame, Role, Verdict};
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
}

/// A further trace, resolved.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ResolvedTrace {
    /// Its `ip`.
    pub ip: Option<ResolvedFrame>,
    /// Its frames, one for one.
    pub frames: Vec<ResolvedFrame>,
}

impl Symbolizer<'_> {
    /// Resolves all frames of a report.
    pub fn report(&self, report: &Report) -> Resolved {
        let exact = |frame: &Option<Frame>| frame.as_ref().map(|f| self.frame(f, Role::Exact));
        Resolved {
            ip: exact(&report.ip),
            lr: report.lr.as_ref().map(|f| self.frame(f, Role::Unknown)),
            named: exact(&report.named),
            frames: self.trace(&report.frames, report.ip.as_ref()),
            traces: (report.traces.iter())
                .map(|t| ResolvedTrace { ip: exact(&t.ip), frames: self.trace(&t.frames, t.ip.as_ref()) })
                .collect(),
        }
    }
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
        let mut entered = false;
        let mut resolved = Vec::with_capacity(frames.len());
        for frame in frames {
            let at_ip = ip.is_some_and(|ip| ip.symbol == frame.symbol && ip.offset == frame.offset);
            let role = match (frame.reliable, entered) {
                _ if at_ip => Role::Exact,
                (true, true) if self.kernel.arch() == Arch::Arm64 => Role::Exact,
                (true, true) | (false, _) => Role::Unknown,
                (true, false) => Role::Return,
            };
            resolved.push(self.frame(frame, role));
            if frame.reliable && !frame.inlined {
                entered = is_entry(&frame.symbol);
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
