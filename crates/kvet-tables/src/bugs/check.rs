//! The checks.

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Image, Kind, VirtAddr};

use super::read::{
    BRK, BUGFLAG_ARGS, BUGFLAG_DONE, BUGFLAG_NO_CUT_HERE, BUGFLAG_ONCE, BUGFLAG_WARNING, Bug, BugTable,
    MAX_STRING, TAINT_SHIFT, is_path, is_trap, lea_before,
};
use crate::{Context, TableReport, disasm};

const NAME: &str = "bugs";

/// Flags that some version knows.
const KNOWN: u16 = BUGFLAG_WARNING | BUGFLAG_ONCE | BUGFLAG_DONE | BUGFLAG_NO_CUT_HERE | BUGFLAG_ARGS;
/// TAINT_FLAGS_COUNT of include/linux/panic.h: 18 in 5.10, 20 in 7.3; room for a few to come.
const TAINTS: u16 = 24;

/// No function is longer; further from the last symbol stands data.
const LONGEST_FUNCTION: u64 = 64 << 10;

/// Findings of one kind past this many say nothing new: the table as a whole is not what it was taken for.
const ENOUGH: usize = 200;

pub(super) fn check(context: &Context<'_>) -> Option<TableReport> {
    let image = context.image;
    let table = match context.bugs_or_why() {
        Ok(table) => table,
        // A module without a BUG has no table.
        Err(_) if image.kind() == Kind::Module && image.section("__bug_table").is_none() => return None,
        Err(why) => return Some(TableReport::absent(NAME, why)),
    };
    let mut report = TableReport::new(NAME, Some(table.located_by().clone()));
    report.entries = table.len();
    report.layout = Some(table.layout.words());
    let checker = Checker { image, table };
    report.findings.extend(checker.size());
    for bug in table.entries(image) {
        checker.entry(&bug, &mut report.findings);
    }
    checker.duplicates(&mut report.findings);
    checker.orphans(&mut report);
    checker.proved(&mut report);
    limit(&mut report);
    Some(report)
}

struct Checker<'a> {
    image: &'a Image,
    table: &'a BugTable,
}

impl Checker<'_> {
    fn finding(&self, rule: &'static str, severity: Severity, bug: &Bug<'_>, message: String) -> Finding {
        let mut finding = Finding::new(rule, severity, message)
            .index(bug.index)
            .at(self.image, bug.addr)
            .with("entry", bug.entry);
        if let Some(file) = bug.file.filter(|file| is_path(file)) {
            finding = finding.with("source", format!("{file}:{}", bug.line));
        }
        finding.with("flags", u64::from(bug.flags))
    }

    fn error(&self, rule: &'static str, bug: &Bug<'_>, message: String) -> Finding {
        self.finding(rule, Severity::Error, bug, message)
    }

    /// A whole number of entries.
    fn size(&self) -> Option<Finding> {
        let (len, size) = (self.table.bounds.len(), self.table.layout.size);
        (!len.is_multiple_of(size)).then(|| {
            Finding::new(
                "bugs/size",
                Severity::Error,
                format!("the table has {len} bytes, which is not a whole number of entries of {size}"),
            )
            .at(self.image, self.table.bounds.start)
        })
    }

    fn entry(&self, bug: &Bug<'_>, findings: &mut Vec<Finding>) {
        findings.extend(self.site(bug));
        findings.extend(self.file(bug));
        findings.extend(self.format(bug));
        findings.extend(self.flags(bug));
    }

    /// At the address stands what traps, or for a WARN with arguments what loads this entry.
    fn site(&self, bug: &Bug<'_>) -> Option<Finding> {
        let image = self.image;
        if !image.is_executable(bug.addr) {
            return Some(self.error(
                "bugs/site",
                bug,
                format!(
                    "a {} at {}, which is not executable: its trap will not be found",
                    bug.what(),
                    bug.addr
                ),
            ));
        }
        if self.has_args(bug) {
            return self.argument_site(bug);
        }
        if is_trap(image, bug.addr, self.table.layout.from_entry) {
            return None;
        }
        let (trap, len) = match image.arch() {
            Arch::X86_64 => ("ud2 (0f 0b)", 2),
            Arch::Arm64 => ("brk #0x800 (d4210000)", 4),
        };
        let there = image.bytes_up_to(bug.addr, len);
        let hex: Vec<String> = there.iter().map(|b| format!("{b:02x}")).collect();
        let message = format!("a {} at {}: expected {trap}, found {}", bug.what(), bug.addr, hex.join(" "));
        Some(
            self.error("bugs/site", bug, message)
                .with("code", disasm::code(image, bug.addr, image.bytes_up_to(bug.addr, 16)))
                .advice("the entry and the text come from different builds, or one of them was changed after the link"),
        )
    }

    fn has_args(&self, bug: &Bug<'_>) -> bool {
        bug.flags & BUGFLAG_ARGS != 0
            && self.table.layout.format.is_some()
            && self.image.arch() == Arch::X86_64
    }

    fn argument_site(&self, bug: &Bug<'_>) -> Option<Finding> {
        let loaded = lea_before(self.image, bug.addr);
        if loaded == Some(bug.entry) {
            return None;
        }
        let found = match loaded {
            Some(other) => format!("one that loads {other}"),
            None => "no such instruction".into(),
        };
        let message = format!(
            "a WARN with arguments at {}: expected before it a lea that loads its entry {}, found {found}",
            bug.addr, bug.entry
        );
        let start = VirtAddr(bug.addr.0.saturating_sub(7));
        let code = disasm::code(self.image, start, self.image.bytes_up_to(start, 12));
        Some(self.error("bugs/site", bug, message).with("code", code))
    }

    fn file(&self, bug: &Bug<'_>) -> Option<Finding> {
        let at = self.table.layout.file?;
        let place = self.table.layout.pointer(self.image, bug.entry, at)?;
        match bug.file {
            None => {
                let message = format!(
                    "the file name of a {} is at {place}, where no terminated text of at most {MAX_STRING} bytes stands",
                    bug.what()
                );
                Some(self.error("bugs/file", bug, message))
            }
            Some(text) if !is_path(text) => {
                let shown: String = text.escape_debug().take(60).collect();
                let message = format!(
                    "the file name of a {} at {place}: expected printable text, found \"{shown}\"",
                    bug.what()
                );
                Some(self.error("bugs/file", bug, message))
            }
            Some(file) if bug.line == 0 => {
                let message = format!("a {} in {file} has line 0: lines count from 1", bug.what());
                let finding = self.error("bugs/line", bug, message);
                Some(self.prints(finding, bug))
            }
            Some(_) => None,
        }
    }

    /// What the kernel prints of a BUG that it comes to.
    fn prints(&self, finding: Finding, bug: &Bug<'_>) -> Finding {
        if bug.is_warning() {
            return finding;
        }
        finding.at_boot_when(bug.kernel_bug_line(self.image), true, "this BUG is reached")
    }

    fn format(&self, bug: &Bug<'_>) -> Option<Finding> {
        let at = self.table.layout.format?;
        // bug_get_format of 7.3: 0 stands for none.
        if self.image.u32(bug.entry.checked_add(at)?)? == 0 {
            return None;
        }
        let place = self.table.layout.pointer(self.image, bug.entry, at)?;
        let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r' | '\u{1}');
        match bug.format {
            Some(text) if !text.contains(odd) => None,
            _ => {
                let message = format!("the format of a {} is at {place}, where no text stands", bug.what());
                Some(self.error("bugs/format", bug, message))
            }
        }
    }

    fn flags(&self, bug: &Bug<'_>) -> Option<Finding> {
        let low = bug.flags & ((1 << TAINT_SHIFT) - 1);
        let taint = bug.flags >> TAINT_SHIFT;
        let what = if low & !KNOWN != 0 {
            format!("bits {:#x}, which no kernel up to 7.3 defines", low & !KNOWN)
        } else if taint >= TAINTS {
            format!("taint flag {taint}, which no kernel defines")
        } else if low & BUGFLAG_ARGS != 0 && !self.has_args(bug) {
            "BUGFLAG_ARGS (0x10), which this kernel does not have".into()
        } else if low & BUGFLAG_DONE != 0 {
            "BUGFLAG_DONE (0x4), which only a running kernel sets: a WARN_ONCE with it never prints".into()
        } else if !bug.is_warning() && bug.flags != 0 {
            "flags of a WARN without BUGFLAG_WARNING (0x1): the kernel takes it for a BUG".into()
        } else {
            return None;
        };
        let message = format!("the flags of a {} are {:#x}: {what}", bug.what(), bug.flags);
        let finding = self.finding("bugs/flags", Severity::Warning, bug, message);
        Some(if bug.is_warning() { finding } else { self.prints(finding, bug) })
    }

    /// No two entries for one address: `find_bug` takes the first.
    fn duplicates(&self, findings: &mut Vec<Finding>) {
        let mut by_addr: Vec<(VirtAddr, u64)> =
            self.table.addresses(self.image).map(|(index, addr)| (addr, index)).collect();
        by_addr.sort_unstable();
        let mut first = 0;
        for at in 1..by_addr.len() {
            if by_addr[at].0 != by_addr[first].0 {
                first = at;
                continue;
            }
            let (index, winner) = (by_addr[at].1, by_addr[first].1);
            let Some(bug) = self.table.entry(self.image, index) else { continue };
            let message = format!(
                "entries {winner} and {index} are for one address, {}: the kernel takes entry {winner} for both",
                bug.addr
            );
            findings.push(self.error("bugs/duplicate", &bug, message).with("other-entry", winner));
        }
    }

    /// On arm64 every `brk #0x800` in the text is a BUG's or a WARN's and so has an entry. (On x86-64 compilers
    /// place ud2 for other ends, so nothing follows from one without an entry.)
    fn orphans(&self, report: &mut TableReport) {
        if self.image.arch() != Arch::Arm64 {
            return;
        }
        if self.image.symbols().is_empty() {
            report.skipped.push(
                "whether every brk #0x800 has an entry could not be checked: without symbols nothing tells code from data".into(),
            );
            return;
        }
        let mut listed: Vec<VirtAddr> = self.table.addresses(self.image).map(|(_, addr)| addr).collect();
        listed.sort_unstable();
        let needle = BRK.to_le_bytes();
        for section in self.image.sections().iter().filter(|s| s.access.execute) {
            let bytes = self.image.section_bytes(section);
            for offset in memchr::memmem::find_iter(bytes, &needle) {
                let Some(addr) = section.addr.checked_add(offset as u64).filter(|a| a.0.is_multiple_of(4))
                else {
                    continue;
                };
                if listed.binary_search(&addr).is_err() && self.is_code(addr) {
                    report.findings.push(self.orphan(addr));
                }
            }
        }
    }

    /// In a flat image the first region is executable and holds read-only data too, and there four bytes may be
    /// a constant: only what symbols place in a function counts.
    fn is_code(&self, addr: VirtAddr) -> bool {
        self.image.symbol_at(addr).is_some_and(|(_, offset)| offset < LONGEST_FUNCTION)
    }

    fn orphan(&self, addr: VirtAddr) -> Finding {
        const OLD: &[u8] = b"Unexpected kernel BRK exception at EL1";
        // 6.15 and the stable series after it die at once (arch/arm64/kernel/debug-monitors.c, do_el1_brk64).
        let line = if memchr::memmem::find(self.image.raw(), OLD).is_some() {
            "Unexpected kernel BRK exception at EL1"
        } else {
            "Internal error: Oops - BRK: 00000000f2000800 [#1]"
        };
        Finding::new(
            "bugs/missing",
            Severity::Error,
            format!("the brk #0x800 at {addr} has no entry: a BUG or WARN that the kernel cannot name"),
        )
        .at(self.image, addr)
        .at_boot_when(line, true, "this BUG or WARN is reached")
    }

    fn proved(&self, report: &mut TableReport) {
        let mut say = |text: &str| report.proved.push(text.to_owned());
        say("whole entries");
        match self.image.arch() {
            Arch::X86_64 => say("a ud2 at every address, or a lea of the entry before it"),
            Arch::Arm64 => say("a brk #0x800 at every address, and an entry for every brk #0x800"),
        }
        if self.table.layout.file.is_some() {
            say("file names printable, lines above 0");
        }
        say("known flags");
        say("one entry an address");
    }
}

/// Keeps a table that is not what it was taken for from flooding the output.
fn limit(report: &mut TableReport) {
    let all = report.findings.len();
    if all > ENOUGH {
        report.findings.truncate(ENOUGH);
        report.skipped.push(format!("{} more findings of this table are left out", all - ENOUGH));
    }
}
