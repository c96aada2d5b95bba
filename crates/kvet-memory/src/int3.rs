//! A breakpoint that a CPU has taken, against what memory holds there.

use crate::Guest;
use crate::unwind::Trace;

/// An int3 that a CPU was handling (x86-64).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Int3 {
    /// Where it stood when the CPU fetched it.
    pub at: u64,
    /// What memory holds there, five bytes.
    pub memory: Vec<u8>,
    /// Memory holds no int3 there, and nothing is being patched: what the CPU executed is not what stands in memory,
    /// but an old translation of an emulator's, or an instruction cache that was not told.
    ///
    /// While `text_poke` is at work this may be, for it tells all CPUs only after it has written the last byte
    /// (arch/x86/kernel/alternative.c, `text_poke_bp_batch`); when it has ended, no CPU can be left behind.
    pub stale: bool,
}

/// The entries of the exception (arch/x86/entry/entry_64.S, arch/x86/kernel/traps.c).
const HANDLERS: &[&str] =
    &["asm_exc_int3", "exc_int3", "do_int3", "poke_int3_handler", "smp_text_poke_int3_handler"];

/// The int3 on a trace: the frame that was interrupted by its handler. `patching` says that `text_poke` is at work.
pub(crate) fn taken(guest: &Guest<'_>, trace: &Trace, patching: bool) -> Option<Int3> {
    const OPCODE: u8 = 0xcc;
    let handler =
        trace.frames.iter().rposition(|f| f.function().is_some_and(|name| HANDLERS.contains(&name)))?;
    let interrupted = trace.frames[handler + 1..].iter().find(|f| !f.is_return)?;
    // The processor saves the address behind the int3.
    let at = interrupted.pc.checked_sub(1)?;
    let memory = guest.read(at, 5)?.into_owned();
    let stale = memory.first() != Some(&OPCODE) && !patching;
    Some(Int3 { at, memory, stale })
}

impl Int3 {
    /// In words.
    pub fn words(&self, guest: &Guest<'_>) -> String {
        let place = guest.symbolize(self.at).unwrap_or_else(|| format!("{:#x}", self.at));
        let bytes: Vec<String> = self.memory.iter().map(|b| format!("{b:02x}")).collect();
        let bytes = bytes.join(" ");
        match self.stale {
            true => format!(
                "has taken an int3 at {place}, where memory holds {bytes} and nothing is being patched: it executes a \
                 stale translation, or a stale instruction cache"
            ),
            false => format!("has taken an int3 at {place}, where memory holds {bytes}"),
        }
    }
}
