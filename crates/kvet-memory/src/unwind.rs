//! Who called whom: by ORC on x86-64, by frame pointers on arm64.
//!
//! Followed: arch/x86/kernel/unwind_orc.c (`unwind_next_frame`) and arch/arm64/kernel/stacktrace.c.

use kvet_image::{Arch, VirtAddr};
use kvet_tables::Context;
use kvet_tables::orc::Frame as OrcFrame;

use crate::Guest;
use crate::registers::Registers;

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The instruction, or the return address.
    pub pc: u64,
    /// It is a return address, so the call stands before it.
    pub is_return: bool,
    /// `name+0x1c/0x60`.
    pub symbol: Option<String>,
}

/// A trace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// The frames, the innermost first.
    pub frames: Vec<Frame>,
    /// Why it ends where it does, when that is not the stack's end.
    pub stopped: Option<String>,
}

/// Longer traces are loops.
const MOST_FRAMES: usize = 128;

/// Unwinds from a CPU's registers.
pub fn unwind(guest: &Guest<'_>, context: &Context<'_>, registers: &Registers) -> Trace {
    let mut trace = Trace::default();
    if registers.user {
        return trace;
    }
    match guest.arch() {
        Arch::X86_64 => orc(guest, context, registers, &mut trace),
        Arch::Arm64 => frame_pointers(guest, registers, &mut trace),
    }
    trace
}

impl Trace {
    fn push(&mut self, guest: &Guest<'_>, pc: u64, is_return: bool) {
        // A call may be a function's last instruction: its return address then belongs to the next.
        let symbol = match is_return {
            true => before(guest, pc),
            false => guest.symbolize(pc),
        };
        self.frames.push(Frame { pc, is_return, symbol });
    }

    fn stop(&mut self, why: impl Into<String>) {
        self.stopped = Some(why.into());
    }

    /// Whether a function is on it.
    pub fn has(&self, name: &str) -> bool {
        self.frames.iter().any(|f| f.function() == Some(name))
    }
}

/// A return address as `%pB` prints it: the function of the call, the offset of the return.
fn before(guest: &Guest<'_>, pc: u64) -> Option<String> {
    let called = guest.symbolize(pc.wrapping_sub(1))?;
    let (name, rest) = called.split_once("+0x")?;
    let (offset, size) = rest.split_once('/')?;
    let offset = u64::from_str_radix(offset, 16).ok()?.wrapping_add(1);
    Some(format!("{name}+{offset:#x}/{size}"))
}

impl Frame {
    /// The function's name.
    pub fn function(&self) -> Option<&str> {
        let name = self.symbol.as_deref()?.split('+').next()?;
        // What a compiler cut off a function is still that function.
        Some(name.split('.').next().unwrap_or(name))
    }
}

/// Registers that ORC may start from.
#[derive(Clone, Copy)]
struct State {
    ip: u64,
    sp: u64,
    bp: u64,
    /// All of them, in the innermost frame and where a `pt_regs` was found: r10, r13, di, dx.
    full: Option<[u64; 5]>,
    signal: bool,
}

/// Offsets in x86-64's `struct pt_regs`, whose layout is the system call interface's.
mod pt_regs {
    pub(super) const R13: u64 = 16;
    pub(super) const BP: u64 = 32;
    pub(super) const R10: u64 = 56;
    pub(super) const AX: u64 = 80;
    pub(super) const DX: u64 = 96;
    pub(super) const DI: u64 = 112;
    pub(super) const IP: u64 = 128;
    pub(super) const CS: u64 = 136;
    pub(super) const SP: u64 = 152;
}

fn orc(guest: &Guest<'_>, context: &Context<'_>, r: &Registers, trace: &mut Trace) {
    let Some(table) = context.orc_table() else {
        trace.push(guest, r.pc, false);
        return trace.stop("the image has no ORC tables");
    };
    let Some(layout) = table.layout else {
        trace.push(guest, r.pc, false);
        return trace.stop("the layout of the ORC entries is not known");
    };
    let g = &r.general;
    let mut state =
        State { ip: r.pc, sp: r.sp, bp: g[5], full: Some([g[10], g[13], g[7], g[2], g[0]]), signal: true };
    while trace.frames.len() < MOST_FRAMES {
        trace.push(guest, state.ip, !state.signal);
        let look_up = if state.signal { state.ip } else { state.ip.wrapping_sub(1) };
        let Some(link) = guest.to_link(look_up) else {
            return trace.stop(format!(
                "{:#x} is not in the kernel's image, whose ORC table is all there is",
                state.ip
            ));
        };
        let entry = table.index_at(link).and_then(|i| table.entry(guest.image(), i));
        let Some(entry) = entry else { return trace.stop("no ORC entry") };
        let frame = layout.frame(entry);
        match frame {
            OrcFrame::EndOfStack => return,
            OrcFrame::Undefined | OrcFrame::Unknown(_) => {
                return trace.stop("no ORC entry knows the stack here");
            }
            _ => {}
        }
        let name = layout.register(entry.sp_reg()).unwrap_or("");
        let Some(sp) = previous_sp(guest, &state, name, entry.sp_offset) else {
            return trace.stop(format!("the stack cannot be read by {name}"));
        };
        let up = match frame {
            OrcFrame::Call => {
                guest.u64(sp.wrapping_sub(8)).map(|ip| State { ip, sp, full: None, signal: false, ..state })
            }
            OrcFrame::Regs => regs(guest, sp, &state),
            _ => partial(guest, sp, &state),
        };
        let Some(mut up) = up else { return trace.stop("the stack is not in this memory") };
        if !matches!(frame, OrcFrame::Regs) {
            let from = match layout.register(entry.bp_reg()) {
                Some("prev_sp") => Some(sp),
                Some("bp") => Some(state.bp),
                _ => None,
            };
            if let Some(from) = from {
                match guest.u64(from.wrapping_add_signed(entry.bp_offset.into())) {
                    Some(bp) => up.bp = bp,
                    None => return trace.stop("the saved frame pointer is not in this memory"),
                }
            }
        }
        if up.ip == 0 || !guest.is_kernel_pointer(up.ip) {
            return;
        }
        if up.sp <= state.sp && up.ip == state.ip {
            return trace.stop("the unwinder does not get on");
        }
        state = up;
    }
    trace.stop(format!("more than {MOST_FRAMES} frames"));
}

fn previous_sp(guest: &Guest<'_>, s: &State, register: &str, offset: i16) -> Option<u64> {
    let add = |v: u64| v.wrapping_add_signed(offset.into());
    let full = |i: usize| s.full.map(|f| add(f[i]));
    match register {
        "sp" => Some(add(s.sp)),
        "bp" => Some(add(s.bp)),
        // The offset is added to what the stack pointer points to (since 5.11), and before bp points to it.
        "sp_indirect" => guest.u64(s.sp).map(add),
        "bp_indirect" => guest.u64(add(s.bp)),
        "r10" => full(0),
        "r13" => full(1),
        "di" => full(2),
        "dx" => full(3),
        "ax" => full(4),
        _ => None,
    }
}

fn regs(guest: &Guest<'_>, at: u64, state: &State) -> Option<State> {
    let word = |offset: u64| guest.u64(at.wrapping_add(offset));
    if word(pt_regs::CS)? & 3 == 3 {
        return Some(State { ip: 0, ..*state });
    }
    let full = [
        word(pt_regs::R10)?,
        word(pt_regs::R13)?,
        word(pt_regs::DI)?,
        word(pt_regs::DX)?,
        word(pt_regs::AX)?,
    ];
    Some(State {
        ip: word(pt_regs::IP)?,
        sp: word(pt_regs::SP)?,
        bp: word(pt_regs::BP)?,
        full: Some(full),
        signal: true,
    })
}

/// What the processor pushes: ip, cs, flags, sp, ss.
fn partial(guest: &Guest<'_>, at: u64, state: &State) -> Option<State> {
    let word = |i: u64| guest.u64(at.wrapping_add(8 * i));
    if word(1)? & 3 == 3 {
        return Some(State { ip: 0, ..*state });
    }
    Some(State { ip: word(0)?, sp: word(3)?, full: None, signal: true, ..*state })
}

/// arm64: x29 leads from record to record of (x29, x30). An exception's entry makes such a record too, so the chain
/// goes on through it.
fn frame_pointers(guest: &Guest<'_>, r: &Registers, trace: &mut Trace) {
    trace.push(guest, r.pc, false);
    let fp = r.general[29];
    // Before a function has made its record, and in one that makes none, the caller is in x30 only.
    if let Some(lr) = leaf_caller(guest, r) {
        trace.push(guest, lr, true);
    }
    let mut at = fp;
    while trace.frames.len() < MOST_FRAMES {
        if at == 0 {
            return;
        }
        let (Some(next), Some(lr)) = (guest.u64(at), guest.u64(at.wrapping_add(8))) else {
            return trace.stop(format!("the frame record at {at:#x} is not in this memory"));
        };
        if lr == 0 {
            return;
        }
        let lr = without_pac(lr);
        if trace.frames.last().is_none_or(|f| f.pc != lr || !f.is_return) {
            trace.push(guest, lr, true);
        }
        // A stack grows down, but records of an interrupt's stack lead to another: only standing still is wrong.
        if next == at {
            return trace.stop("the frame record leads to itself");
        }
        at = next;
    }
    trace.stop(format!("more than {MOST_FRAMES} frames"));
}

/// A return address with its signature's bits as a kernel address has them.
fn without_pac(lr: u64) -> u64 {
    if lr & 1 << 55 != 0 { lr | 0xff80_0000_0000_0000 } else { lr }
}

/// The caller in x30, when the function at pc has not made its frame record yet: none of its instructions so far
/// stores x29 and x30.
fn leaf_caller(guest: &Guest<'_>, r: &Registers) -> Option<u64> {
    let link = guest.to_link(r.pc)?;
    let (symbol, offset) = guest.image().symbol_at(link)?;
    let words = offset.min(4096) / 4;
    // stp x29, x30, [sp, ...]: pre-indexed or with an offset.
    let makes_record = |at: u64| {
        guest
            .image()
            .u32(VirtAddr(at))
            .is_some_and(|w| w & 0xfe40_7fff == 0xa800_7bfd || w & 0xffc0_7fff == 0xa980_7bfd)
    };
    let made = (0..words).any(|i| makes_record(symbol.addr.0.wrapping_add(4 * i)));
    let lr = without_pac(r.general[30]);
    let differs = guest.u64(r.general[29].wrapping_add(8)).map(without_pac) != Some(lr);
    (!made && differs && guest.to_link(lr).is_some()).then_some(lr)
}
