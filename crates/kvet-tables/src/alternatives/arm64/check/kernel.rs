//! What the kernel itself checks while it applies an entry.
//!
//! Up to 6.0 (`__apply_alternatives()`, 5.10): an entry is passed over when its capability's bit is not in the
//! mask of this pass, or when it is below ARM64_CB_PATCH and no CPU has it. The masks are complements and fills
//! of whole words, so the bits behind ARM64_CB_PATCH up to the word's end are set. Then
//! `BUG_ON(alt_len != 0)` for cpucap == ARM64_CB_PATCH, else `BUG_ON(alt_len != orig_len)`.
//!
//! From 6.1 on: passed over when `cpus_have_cap()` is false, which includes every number of ARM64_NCAPS or more;
//! then the same two BUG_ONs by bit 15. Before that, `test_bit()` looks at the mask without a look at the number: the
//! mask of the second pass (`__apply_alternatives_multi_stop()`) is on the stack of a stopper thread, and a number that
//! is large enough leads off that stack, into the gap behind it.

use kvet_finding::{Finding, Severity, Value};

use super::{Applied, Checker};
use crate::alternatives::arm64::entry::{Alternative, CallbackMarker};

/// What of its stack a stopper thread uses at most down to the mask, in bytes: 712 on 6.1, `kthread()` to
/// `__apply_alternatives_multi_stop()`.
const STOPPER_DEPTH: u32 = 2048;

/// What it uses at least: a `pt_regs` stands at the end of every stack.
const STOPPER_DEPTH_LEAST: u32 = 34 * 8;

/// What the kernel says of an address where nothing is mapped (arch/arm64/mm/fault.c, `die_kernel_fault`).
const FAULT: &str = "Unable to handle kernel paging request at virtual address";

/// Entries of one object stand at most this far apart in the table.
const MAX_GAP: usize = 256;

impl Checker<'_> {
    /// Lengths, markers and numbers of all entries.
    pub(super) fn kernel_checks(&mut self) {
        match self.marker {
            CallbackMarker::Bit => {
                for index in 0..self.entries.len() {
                    self.check_with_bit(index);
                }
            }
            CallbackMarker::Number(number) => {
                self.stale_markers(number);
                for index in 0..self.entries.len() {
                    self.check_with_number(index, number);
                }
            }
        }
    }

    fn check_with_bit(&mut self, index: usize) {
        let entry = self.entries[index];
        let Some(capability) = self.marker.capability(&entry) else { return };
        // The bit is looked up before anything else is compared.
        if self.is_unknown(capability) && self.reads_behind_the_stack(capability) != Applied::Never {
            let finding = self.unknown(index, capability);
            self.error(finding);
            return;
        }
        let finding = if self.marker.marks(&entry) {
            (entry.alt_len != 0).then(|| self.callback_with_length(index, self.applied(capability)))
        } else {
            (entry.alt_len != entry.orig_len).then(|| self.unequal(index, self.applied(capability)))
        };
        let unknown = || self.is_unknown(capability).then(|| self.unknown(index, capability));
        if let Some(finding) = finding.or_else(unknown) {
            self.error(finding);
        }
    }

    fn check_with_number(&mut self, index: usize, number: u16) {
        let entry = self.entries[index];
        if self.wrong[index] || entry.looks_like_callback() {
            return;
        }
        if entry.cpucap == number {
            if entry.alt_len != 0 {
                let finding = self.callback_with_length(index, Applied::Always);
                self.error(finding);
            }
            return;
        }
        let unequal = entry.alt_len != entry.orig_len;
        let finding = unequal.then(|| self.unequal(index, self.applied_with_number(entry.cpucap, number)));
        let beyond = || (entry.cpucap > number).then(|| self.called(index, number));
        if let Some(finding) = finding.or_else(beyond) {
            self.error(finding);
        }
    }

    /// Whether a kernel up to 6.0 comes to an entry.
    fn applied_with_number(&self, cpucap: u16, number: u16) -> Applied {
        if cpucap <= number {
            return self.applied(cpucap);
        }
        // ARM64_NPATCHABLE is ARM64_CB_PATCH + 1 bits, in whole words.
        let bits = (u32::from(number) + 1).next_multiple_of(64);
        if u32::from(cpucap) < bits {
            Applied::Always
        } else {
            Applied::When(format!("bit {cpucap}, behind the end of a bitmap on the stack, happens to be set"))
        }
    }

    fn callback_with_length(&self, index: usize, applied: Applied) -> Finding {
        let entry = &self.entries[index];
        let message = format!(
            "the entry is marked as a callback, yet has a replacement of {} bytes; expected 0",
            entry.alt_len
        );
        let finding = self
            .finding("alternatives/length", Severity::Error, index, message)
            .with("lengths", lengths(entry))
            .advice(REBUILD);
        self.at_boot(finding, &self.lines().callback, applied)
    }

    fn unequal(&self, index: usize, applied: Applied) -> Finding {
        let entry = &self.entries[index];
        let (rule, message) = if entry.looks_like_callback() && self.is_function(entry.alt) == Some(true) {
            let name = self.name(entry.alt);
            (
                "alternatives/callback-marker",
                format!("the entry calls {name} but lacks the callback marker, bit 15"),
            )
        } else {
            let message = format!(
                "the entry replaces {} bytes by {}; both must have one length",
                entry.orig_len, entry.alt_len
            );
            ("alternatives/length", message)
        };
        let finding = self
            .finding(rule, Severity::Error, index, message)
            .with("lengths", lengths(entry))
            .advice(REBUILD);
        self.at_boot(finding, &self.lines().length, applied)
    }

    fn unknown(&self, index: usize, capability: u16) -> Finding {
        let count = self.capabilities.count.unwrap_or(0);
        let reads = self.reads_behind_the_stack(capability);
        let mut message = format!(
            "capability {capability} does not exist: this kernel's ARM64_NCAPS is {count}. cpus_have_cap() is \
             false for it, so the site is never patched, whatever the CPU"
        );
        if reads != Applied::Never {
            message.push_str(
                ", if the kernel survives looking its bit up, behind the end of a bitmap on a stack",
            );
        }
        let finding = self.finding("alternatives/unknown-capability", Severity::Error, index, message);
        self.at_boot(finding, FAULT, reads).advice(STALE)
    }

    /// Whether the kernel faults when it looks up a number's bit. A module's entries are looked up on the stack of
    /// whoever loads it, which is deep: nothing is said of those.
    fn reads_behind_the_stack(&self, capability: u16) -> Applied {
        let behind = u32::from(capability) / 64 * 8;
        if self.is_module || behind < STOPPER_DEPTH_LEAST {
            Applied::Never
        } else if behind < STOPPER_DEPTH {
            Applied::When(format!(
                "the entry's word of the mask, {behind} bytes behind the mask's start, is past the stack's end"
            ))
        } else {
            Applied::Always
        }
    }

    /// Up to 6.0, a number behind ARM64_CB_PATCH falls through both tests and is taken for a callback.
    fn called(&self, index: usize, number: u16) -> Finding {
        let entry = &self.entries[index];
        let message = format!(
            "capability {} does not exist: this kernel's ARM64_CB_PATCH is {number}. The kernel calls the \
             replacement instructions as if they were a callback function",
            entry.cpucap
        );
        self.finding("alternatives/unknown-capability", Severity::Error, index, message).advice(STALE)
    }

    /// Up to 6.0: callbacks whose marker is another header's ARM64_NCAPS, a finding for each object.
    fn stale_markers(&mut self, number: u16) {
        let mut runs: Vec<Vec<usize>> = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if !entry.looks_like_callback() || entry.cpucap == number {
                continue;
            }
            match runs.last_mut().and_then(|run| Some((run.last().copied()?, run))) {
                Some((last, run)) if index - last <= MAX_GAP && self.entries[last].cpucap == entry.cpucap => {
                    run.push(index);
                }
                _ => runs.push(vec![index]),
            }
        }
        for run in runs {
            self.stale_marker(&run, number);
        }
    }

    fn stale_marker(&mut self, run: &[usize], number: u16) {
        let (Some(&first), Some(&last)) = (run.first(), run.last()) else { return };
        let found = self.entries[first].cpucap;
        let message = format!(
            "callback marker {found}, but this kernel's ARM64_CB_PATCH is {number}: a stale object, built against \
             a header in which ARM64_NCAPS was {found}, not {number}. {} of {} callbacks from entry {first} to \
             {last} carry it",
            run.len(),
            self.entries[first..=last].iter().filter(|e| e.looks_like_callback()).count(),
        );
        let indices: Vec<Value> = run.iter().take(MAX_LISTED).map(|&i| Value::Number(i as u64)).collect();
        let finding = self
            .finding("alternatives/callback-marker", Severity::Error, first, message)
            .with("expected", u64::from(number))
            .with("entries", indices)
            .with("first site", self.name(self.entries[first].orig))
            .with("last site", self.name(self.entries[last].orig))
            .advice(STALE);
        let applied = self.applied_with_number(found, number);
        let finding = self.at_boot(finding, &self.lines().length, applied);
        self.findings.push(finding);
        for &index in run {
            self.wrong[index] = true;
        }
    }
}

/// How many entries a finding on many lists one by one.
pub(super) const MAX_LISTED: usize = 4096;

const REBUILD: &str = "The table's entry is damaged or was built by a broken macro: rebuild the object.";

/// Commit 0c6c2d3615efb7c2 ("arm64: Generate cpucaps.h", 5.13) moved the numbers to a generated header.
pub(super) const STALE: &str = "Rebuild the object, or everything: its capability numbers are those of another \
     arch/arm64/include/generated/asm/cpucaps.h (asm/cpucaps.h up to 5.12). If a rebuild brings it back, the build \
     misses a dependency on that header.";

fn lengths(entry: &Alternative) -> String {
    format!("orig_len {}, alt_len {}", entry.orig_len, entry.alt_len)
}
