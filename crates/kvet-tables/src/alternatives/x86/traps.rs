//! The traps of `apply_alternatives`, as the image itself has them: which line of which file each of the
//! kernel's own checks stands on, and the limit that it compares with.
//!
//! Sources followed: arch/x86/kernel/alternative.c of 5.10.223, 6.1.192 (`apply_alternatives`), 6.12.107
//! (also `apply_reloc`, `__apply_relocation`, `alt_replace_call`) and 7.3-rc7 (`analyze_patch_site`).
//!
//! The bug table gives lines, not reasons. The reason stands in the code: the comparison before the branch
//! to the trap (`cmp $0xff` for the length, `cmp $0x2ff` for the feature), or the text that is printed before
//! it. Lines alone would not do: 7.3 checks the feature first, the others the length.

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};
use kvet_image::{Image, VirtAddr};

use crate::bugs::{BugTable, bugs_in_ranges};
use crate::disasm::x86::decode_one;

/// What the kernel prints before it stops in `alt_replace_call` (6.8 and later).
pub(super) const NOT_A_CALL: &str =
    "SMP alternatives: ALT_FLAG_DIRECT_CALL set for a non-call replacement instruction";
/// The other one.
pub(super) const NO_INDIRECT_CALL: &str =
    "SMP alternatives: ALT_FLAG_DIRECT_CALL set for unrecognized indirect call";

/// The functions that hold the checks, where the compiler did not inline them into the first.
const FUNCTIONS: &[&str] = &[
    "apply_alternatives",
    "analyze_patch_site",
    "prep_patch_site",
    "alt_replace_call",
    "text_poke_apply_relocation",
    "__apply_relocation",
    "apply_relocation",
];

/// One entry of the bug table that a check of `apply_alternatives` comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bug {
    /// The trapping instruction.
    pub(super) addr: VirtAddr,
    /// What the kernel prints when it is a BUG.
    pub(super) says: String,
    /// `file:line`, when the table has them.
    pub(super) place: Option<String>,
    /// Its line.
    pub(super) line: u16,
    /// A WARN rather than a BUG.
    pub(super) warning: bool,
}

/// Address ranges of functions and of their `.cold` parts.
fn function_ranges(kernel: &Image, names: &[&str]) -> Vec<(VirtAddr, VirtAddr)> {
    let table = kernel.symbols();
    let mut ranges = Vec::new();
    for name in names {
        for full in [(*name).to_owned(), format!("{name}.cold")] {
            for symbol in table.all_by_name(&full) {
                let next = table.get(table.upper_bound(symbol.addr)).map(|s| s.addr);
                let sized = symbol.addr.checked_add(symbol.size).filter(|_| symbol.size != 0);
                ranges.extend(sized.or(next).map(|end| (symbol.addr, end)));
            }
        }
    }
    ranges
}

fn read_bugs(kernel: &Image, table: &BugTable, ranges: &[(VirtAddr, VirtAddr)]) -> Vec<Bug> {
    bugs_in_ranges(kernel, table, ranges)
        .into_iter()
        .map(|bug| Bug {
            addr: bug.addr,
            says: bug.kernel_bug_line(kernel),
            place: bug.file.map(|file| format!("{file}:{}", bug.line)),
            line: bug.line,
            warning: bug.is_warning(),
        })
        .collect()
}

/// The kernel's checks, each with its trap where the image has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Traps {
    /// `BUG_ON(instrlen > sizeof(insn_buff))`.
    pub(super) length: Option<Bug>,
    /// `BUG_ON(feature >= (NCAPINTS + NBUGINTS) * 32)`.
    pub(super) feature: Option<Bug>,
    /// The number that the code compares the feature with.
    pub(super) feature_limit: Option<u32>,
    /// The `BUG()` behind [`NOT_A_CALL`].
    pub(super) not_a_call: Option<Bug>,
    /// The `BUG()` behind [`NO_INDIRECT_CALL`].
    pub(super) no_indirect_call: Option<Bug>,
    /// `apply_reloc_n(8, ...)`: an 8-bit displacement that does not reach.
    pub(super) reach: Option<Bug>,
    /// `WARN_ON_ONCE(insn_decode_kernel(...))` in `__apply_relocation`.
    pub(super) undecodable: Option<Bug>,
    /// The kernel relocates every instruction of a replacement (6.4 and later), not only a lone 5-byte call
    /// or jmp.
    pub(super) relocates_all: bool,
}

impl Traps {
    /// Reads them from a kernel's bug table and code; `None` when it has no symbol for `apply_alternatives` or no
    /// bug table.
    pub(super) fn read(kernel: &Image, table: Option<&BugTable>) -> Option<Traps> {
        let main = function_ranges(kernel, &FUNCTIONS[..1]);
        if main.is_empty() {
            return None;
        }
        let ranges = function_ranges(kernel, FUNCTIONS);
        let mut bugs = read_bugs(kernel, table?, &ranges);
        bugs.sort_by_key(|bug| bug.line);
        let mut traps =
            Traps { relocates_all: !function_ranges(kernel, &FUNCTIONS[4..]).is_empty(), ..Traps::default() };
        for range in &ranges {
            traps.read_function(kernel, range.0, range.1, &bugs);
        }
        traps.read_relocation(&bugs);
        Some(traps)
    }

    /// Whether this kernel checks all entries of one site before it patches it (7.x), the feature before the
    /// length; else it checks and patches entry by entry, the length first.
    pub(super) fn checks_whole_sites(&self) -> bool {
        matches!((&self.feature, &self.length), (Some(f), Some(l)) if f.line < l.line)
    }

    fn read_function(&mut self, kernel: &Image, start: VirtAddr, end: VirtAddr, bugs: &[Bug]) {
        let Ok(len) = usize::try_from(end.0.saturating_sub(start.0)) else { return };
        let code = kernel.bytes_up_to(start, len.min(64 * 1024));
        let mut compare = None;
        let mut printed = None;
        let mut at = 0;
        while let Some(rest) = code.get(at..).filter(|r| !r.is_empty()) {
            let ip = VirtAddr(start.0.wrapping_add(at as u64));
            let Some(i) = decode_one(ip, rest) else {
                at += 1;
                continue;
            };
            at += i.len();
            match i.flow_control() {
                FlowControl::ConditionalBranch => {
                    let taken = bug_at(bugs, VirtAddr(i.near_branch_target()));
                    let not_taken = bug_at(bugs, VirtAddr(i.next_ip()));
                    if let (Some(check), Some(bug)) = (compare, taken.or(not_taken)) {
                        self.assign(check, bug);
                    }
                }
                FlowControl::Exception => {
                    if let (Some(text), Some(bug)) = (printed.take(), bug_at(bugs, ip)) {
                        self.assign_printed(text, bug);
                    }
                }
                FlowControl::Next => {
                    if let Some(text) = printed_text(kernel, &i) {
                        printed = Some(text);
                    }
                }
                _ => {}
            }
            if i.rflags_modified() != 0 {
                compare = compared_with(&i);
            }
        }
    }

    fn assign(&mut self, check: Compare, bug: &Bug) {
        if bug.warning {
            return;
        }
        match check {
            Compare::Length => {
                self.length.get_or_insert_with(|| bug.clone());
            }
            Compare::Feature(limit) => {
                self.feature.get_or_insert_with(|| bug.clone());
                self.feature_limit.get_or_insert(limit);
            }
        }
    }

    fn assign_printed(&mut self, text: &str, bug: &Bug) {
        if text.contains(NOT_A_CALL) {
            self.not_a_call = Some(bug.clone());
        } else if text.contains(NO_INDIRECT_CALL) {
            self.no_indirect_call = Some(bug.clone());
        }
    }

    /// The relocation's traps are the ones left over. Its 8-bit case stands first in `apply_reloc`; the warning
    /// is the one of those functions that stands after it (7.3's `apply_alternatives` has another, of a
    /// fortified memcpy, further down).
    fn read_relocation(&mut self, bugs: &[Bug]) {
        if !self.relocates_all {
            return;
        }
        let known = [&self.length, &self.feature, &self.not_a_call, &self.no_indirect_call];
        let known: Vec<VirtAddr> = known.into_iter().flatten().map(|b| b.addr).collect();
        self.reach = bugs.iter().find(|b| !b.warning && !known.contains(&b.addr)).cloned();
        let Some(reach) = &self.reach else { return };
        self.undecodable = bugs.iter().find(|b| b.warning && b.line > reach.line).cloned();
    }
}

#[derive(Clone, Copy)]
enum Compare {
    Length,
    Feature(u32),
}

/// `cmp $0xff, instrlen` or `cmp $limit-1, feature`: the first is of bytes, the second of more.
fn compared_with(i: &Instruction) -> Option<Compare> {
    if i.mnemonic() != Mnemonic::Cmp {
        return None;
    }
    let constant = match i.op1_kind() {
        OpKind::Immediate8
        | OpKind::Immediate16
        | OpKind::Immediate32
        | OpKind::Immediate8to16
        | OpKind::Immediate8to32
        | OpKind::Immediate32to64
        | OpKind::Immediate8to64 => i.immediate(1),
        _ => return None,
    };
    match constant & 0xffff_ffff {
        0xfe | 0xff => Some(Compare::Length),
        // `> limit - 1`, or `>= limit`: the limit is whole words of 32.
        n @ 0x1ff..=0x7fff if n % 32 == 31 => u32::try_from(n + 1).ok().map(Compare::Feature),
        n @ 0x200..=0x7fff if n % 32 == 0 => u32::try_from(n).ok().map(Compare::Feature),
        _ => None,
    }
}

/// The text whose address the instruction loads into the first argument's register.
fn printed_text<'a>(kernel: &'a Image, i: &Instruction) -> Option<&'a str> {
    let rdi = matches!(i.op0_register(), Register::RDI | Register::EDI);
    let address = match i.mnemonic() {
        Mnemonic::Mov if rdi && i.op_count() == 2 && i.op1_kind() != OpKind::Register => {
            if i.op1_kind() == OpKind::Memory {
                return None;
            }
            i.immediate(1)
        }
        Mnemonic::Lea if rdi && i.is_ip_rel_memory_operand() => i.ip_rel_memory_address(),
        _ => return None,
    };
    kernel.cstr(VirtAddr(address), 256)
}

fn bug_at(bugs: &[Bug], addr: VirtAddr) -> Option<&Bug> {
    bugs.iter().find(|b| b.addr == addr)
}
