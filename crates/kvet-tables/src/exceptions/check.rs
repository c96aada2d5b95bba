//! The checks.

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Image, Kind as ImageKind, VirtAddr};

use super::kind::{self, Kind, Numbering};
use super::read::is_function;
use super::{Action, Exception, ExceptionTable, arm64, x86};
use crate::bugs::bugs_in_function;
use crate::release::{self, Version};
use crate::{Context, TableReport, disasm};

const NAME: &str = "exceptions";

/// Findings past this many say nothing new: the table as a whole is not what it was taken for.
const ENOUGH: usize = 200;

pub(super) fn check(context: &Context<'_>) -> Option<TableReport> {
    let image = context.image;
    let table = match ExceptionTable::find(image) {
        Ok(table) => table,
        // A module that touches no user memory has no table.
        Err(_) if image.kind() == ImageKind::Module && image.section("__ex_table").is_none() => return None,
        Err(why) => return Some(TableReport::absent(NAME, why)),
    };
    let mut report = TableReport::new(NAME, Some(table.located_by().clone()));
    report.entries = table.len();
    report.layout = Some(table.layout.words().into());
    let entries: Vec<Exception> = table.entries(image).collect();
    let checker = Checker {
        context,
        image,
        numbering: Numbering::of(image, &entries),
        version: release::version(image),
        typed: kind::is_typed(table.layout),
    };
    report.findings.extend(checker.size(&table, &entries));
    for exception in &entries {
        checker.entry(exception, &mut report.findings);
    }
    checker.boundaries(&entries, &mut report);
    checker.order(&entries, &mut report);
    checker.duplicates(&entries, &mut report.findings);
    checker.proved(&mut report);
    if report.findings.len() > ENOUGH {
        let more = report.findings.len() - ENOUGH;
        report.findings.truncate(ENOUGH);
        report.skipped.push(format!("{more} more findings of this table are left out"));
    }
    Some(report)
}

struct Checker<'a> {
    context: &'a Context<'a>,
    image: &'a Image,
    numbering: Numbering,
    version: Option<Version>,
    /// Entries have types.
    typed: bool,
}

impl Checker<'_> {
    fn finding(&self, rule: &'static str, severity: Severity, e: &Exception, message: String) -> Finding {
        let code = disasm::code(self.image, e.insn, self.image.bytes_up_to(e.insn, self.code_len()));
        let mut finding = Finding::new(rule, severity, message)
            .index(e.index)
            .at(self.image, e.insn)
            .with("entry", e.entry)
            .with("fixup", e.fixup)
            .with("code", code);
        if let Action::Typed { kind, data } = e.action {
            finding = finding.with("type", u64::from(kind)).with("data", u64::from(data));
        }
        finding
    }

    fn error(&self, rule: &'static str, e: &Exception, message: String) -> Finding {
        self.finding(rule, Severity::Error, e, message)
    }

    fn code_len(&self) -> usize {
        match self.image.arch() {
            Arch::X86_64 => 15,
            Arch::Arm64 => 4,
        }
    }

    /// A whole number of entries, all of them in the file.
    fn size(&self, table: &ExceptionTable, entries: &[Exception]) -> Option<Finding> {
        let (len, size) = (table.bounds.len(), table.layout.size());
        let message = if !len.is_multiple_of(size) {
            format!("the table has {len} bytes, which is not a whole number of entries of {size}")
        } else if (entries.len() as u64) < table.len() {
            format!("the table has {} entries, of which the file holds {}", table.len(), entries.len())
        } else {
            return None;
        };
        Some(Finding::new("exceptions/size", Severity::Error, message).at(self.image, table.bounds.start))
    }

    fn entry(&self, e: &Exception, findings: &mut Vec<Finding>) {
        if self.image.is_executable(e.insn) {
            findings.extend(self.action(e));
            findings.extend(self.instruction(e));
        } else {
            let message = format!(
                "the instruction is at {}, which is not executable: the fault that this entry is for will not find it",
                e.insn
            );
            findings.push(self.error("exceptions/instruction", e, message));
        }
        let aligned = self.image.arch() == Arch::X86_64 || e.fixup.0.is_multiple_of(4);
        if !self.image.is_executable(e.fixup) || !aligned {
            let message =
                format!("the fixup is at {}, where no instruction can be: a fault jumps there", e.fixup);
            findings.push(self.error("exceptions/fixup", e, message));
        }
    }

    fn action(&self, e: &Exception) -> Option<Finding> {
        match e.action {
            Action::GoOn => None,
            Action::Handler(at) => self.handler(e, at),
            Action::Typed { kind, data } => self.kind(e, kind, data),
        }
    }

    /// A handler is a function, called by its address.
    fn handler(&self, e: &Exception, at: VirtAddr) -> Option<Finding> {
        let message = if !is_function(self.image, at) {
            format!("the handler is at {at}, which is not executable")
        } else if self.image.symbol_at(at).is_some_and(|(_, offset)| offset != 0) {
            format!("the handler is at {at}, which is not the start of a function")
        } else {
            return None;
        };
        Some(self.error("exceptions/handler", e, message).with("handler", at))
    }

    fn kind(&self, e: &Exception, number: u16, data: u32) -> Option<Finding> {
        match self.numbering.kind(number, self.version) {
            Kind::Known(name) => self.numbering.bad_data(name, data).map(|what| {
                let message = format!("the data of an entry of type {name} has {what}");
                self.finding("exceptions/data", Severity::Warning, e, message)
            }),
            Kind::Jit => Some(self.error(
                "exceptions/type",
                e,
                format!("type {number} (BPF), which only the JIT's own tables may have"),
            )),
            Kind::TooNew => Some(self.finding(
                "exceptions/type",
                Severity::Warning,
                e,
                format!("type {number}, which kernels up to 7.3 do not have; this one is newer"),
            )),
            Kind::Unknown => {
                let finding = self.error(
                    "exceptions/type",
                    e,
                    format!("type {number}, which this kernel does not know"),
                );
                Some(match self.bug_line() {
                    Some(line) => finding.at_boot_when(line, true, "this instruction faults"),
                    None => finding,
                })
            }
        }
    }

    /// The BUG() at the end of `fixup_exception`.
    fn bug_line(&self) -> Option<String> {
        let bugs = bugs_in_function(self.context, "fixup_exception");
        let bug = bugs
            .iter()
            .find(|bug| !bug.is_warning() && bug.file.is_some_and(|file| file.ends_with("mm/extable.c")))?;
        Some(bug.kernel_bug_line(self.context.kernel.unwrap_or(self.image)))
    }

    /// The instruction is one that can fault, and that the entry's type is for.
    fn instruction(&self, e: &Exception) -> Option<Finding> {
        let name = match e.action {
            Action::Typed { kind, .. } => match self.numbering.kind(kind, self.version) {
                Kind::Known(name) => name,
                _ => return None,
            },
            _ => "",
        };
        let what = match self.image.arch() {
            Arch::X86_64 => x86::contradiction(self.image, e, name)?,
            Arch::Arm64 => self.arm64_contradiction(e, name)?,
        };
        let of_type = if name.is_empty() { String::new() } else { format!(" of type {name}") };
        let message = format!("an entry{of_type} at {}: {what}", e.insn);
        Some(self.error("exceptions/instruction", e, message))
    }

    fn arm64_contradiction(&self, e: &Exception, name: &str) -> Option<String> {
        if !arm64::is_site(self.image, e.insn) {
            // Up to 5.10 the second half of a pair was a nop until `uao_user_alternative` made it an access
            // (arch/arm64/include/asm/asm-uaccess.h): the entry is the replacement's.
            if self.is_patched(e.insn) {
                return None;
            }
            return Some("expected a load, a store or a system instruction, found none".into());
        }
        let word = self.image.u32(e.insn)?;
        match e.action {
            Action::Typed { data, .. } if name == "LOAD_UNALIGNED_ZEROPAD" => arm64::bad_zeropad(word, data),
            _ => None,
        }
    }

    /// Whether an arm64 alternative replaces the instruction.
    fn is_patched(&self, addr: VirtAddr) -> bool {
        let table = self.context.arm64_alternatives();
        table.entries.iter().any(|a| addr >= a.orig && addr < a.orig_end())
    }

    /// On x86-64, instruction and fixup are where instructions begin.
    fn boundaries(&self, entries: &[Exception], report: &mut TableReport) {
        if self.image.arch() != Arch::X86_64 {
            return;
        }
        let mut addrs: Vec<VirtAddr> = entries.iter().flat_map(|e| [e.insn, e.fixup]).collect();
        addrs.retain(|addr| self.image.is_executable(*addr));
        addrs.sort_unstable();
        addrs.dedup();
        let begins = x86::boundaries(self.image, &addrs);
        let unknown = begins.iter().filter(|b| b.is_none()).count();
        let wrong = |addr| addrs.binary_search(&addr).is_ok_and(|i| begins[i] == Some(false));
        for e in entries {
            for (addr, rule, what) in [
                (e.insn, "exceptions/instruction", "the instruction"),
                (e.fixup, "exceptions/fixup", "the fixup"),
            ] {
                if wrong(addr) {
                    let message = format!("{what} at {addr} is in the middle of another instruction");
                    report.findings.push(self.error(rule, e, message));
                }
            }
        }
        if unknown > 0 {
            report.skipped.push(format!(
                "whether an instruction begins there could not be told of {unknown} addresses: no symbol, or bytes before them that do not decode"
            ));
        }
    }

    /// Sorted by instruction, unless the kernel sorts it itself.
    fn order(&self, entries: &[Exception], report: &mut TableReport) {
        if self.image.kind() == ImageKind::Module {
            return;
        }
        if entries.is_sorted_by_key(|e| e.insn) {
            return;
        }
        let sorts = self.image.symbol_addr("main_extable_sort_needed").and_then(|at| self.image.u32(at));
        if sorts.is_some_and(|flag| flag != 0) {
            let finding = Finding::new(
                "exceptions/order",
                Severity::Note,
                "the table is not sorted, and main_extable_sort_needed is set: the kernel sorts it on every boot",
            );
            report.findings.push(finding.at_boot("Sorting __ex_table...", false));
            return;
        }
        for e in misplaced(entries) {
            let message = format!(
                "entry {} for {} is out of order: the kernel searches by bisection and will miss it or its neighbours",
                e.index, e.insn
            );
            report.findings.push(self.error("exceptions/order", e, message));
        }
    }

    /// No two entries for one instruction: bisection finds either.
    fn duplicates(&self, entries: &[Exception], findings: &mut Vec<Finding>) {
        let mut sorted: Vec<&Exception> = entries.iter().collect();
        sorted.sort_by_key(|e| (e.insn, e.index));
        for pair in sorted.windows(2) {
            if pair[0].insn == pair[1].insn {
                let (a, b) = (pair[0].index, pair[1].index);
                let message = format!(
                    "entries {a} and {b} are for one instruction: which one counts is left to chance"
                );
                findings.push(self.error("exceptions/duplicate", pair[1], message).with("other-entry", a));
            }
        }
    }

    fn proved(&self, report: &mut TableReport) {
        let mut say = |text: &str| report.proved.push(text.to_owned());
        say("whole entries");
        if self.image.kind() != ImageKind::Module {
            say("sorted by instruction");
        }
        say("one entry an instruction");
        say("instructions and fixups executable");
        match self.image.arch() {
            Arch::X86_64 => say("both where an instruction begins"),
            Arch::Arm64 => say("a load, store or system instruction at each"),
        }
        if self.typed {
            say("types that this kernel knows, with data that they take");
        }
    }
}

/// The entries whose removal leaves a sorted table, where few are out of order: of two neighbours in the wrong
/// order, the one that does not fit between the others.
fn misplaced(entries: &[Exception]) -> Vec<&Exception> {
    let mut found = Vec::new();
    let mut highest: Option<&Exception> = None;
    for (i, e) in entries.iter().enumerate() {
        let Some(last) = highest.filter(|last| last.insn > e.insn) else {
            highest = Some(e);
            continue;
        };
        // Either the last one is too high or this one too low: ask the entries around them.
        let before = entries[..i].iter().rev().find(|b| b.index < last.index && !found.contains(b));
        let last_too_high = before.is_none_or(|b| b.insn <= e.insn)
            && entries.get(i + 1).is_none_or(|next| next.insn < last.insn);
        if last_too_high {
            found.push(last);
            highest = Some(e);
        } else {
            found.push(e);
        }
    }
    found
}
