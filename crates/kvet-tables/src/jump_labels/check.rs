//! What is proved of each entry.

use std::cell::OnceCell;
use std::collections::HashMap;

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Image, VirtAddr};

use super::keys::{KEY_SIZE, KeyHome, StaticKey};
use super::place::{self, Function, Object};
use super::traps::Traps;
use super::{JumpLabel, JumpTable, arm64, x86};
use crate::{Context, TableReport, alternatives, disasm, runs};

/// What stands at a site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// The nop that the kernel writes.
    Nop,
    /// A direct jump, to there.
    Jump(VirtAddr),
    /// Nothing that a jump label may hold.
    Other,
}

/// A site: its form and its length in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Site {
    pub(super) form: Form,
    pub(super) size: u64,
}

/// Reads the site of an entry.
pub(super) fn site(image: &Image, code: VirtAddr) -> Site {
    let bytes = image.bytes_up_to(code, 15);
    match image.arch() {
        Arch::X86_64 => x86::site(bytes, code),
        Arch::Arm64 => arm64::site(bytes, code),
    }
}

/// Checks the table of an image.
pub(super) fn check(context: &Context<'_>) -> TableReport {
    let table = match context.jump_labels() {
        Ok(table) => table,
        Err(report) => return report.clone(),
    };
    let mut checker = Checker::new(context, table);
    checker.run();
    checker.into_report()
}

/// The checks of one table, and what they have found.
struct Checker<'a> {
    context: &'a Context<'a>,
    image: &'a Image,
    table: &'a JumpTable,
    sites: Vec<Site>,
    /// objtool has marked the nops of this image in bit 1.
    marked: bool,
    wording: OnceCell<x86::Wording>,
    traps: OnceCell<Traps>,
    findings: Vec<Finding>,
    /// The function of the entry before: those of one function stand together.
    function: Option<Function<'a>>,
    /// Entries whose site is in no function that the symbols name.
    homeless: u64,
    /// Targets that could not be told an instruction's start or not.
    undecoded: u64,
}

impl<'a> Checker<'a> {
    fn new(context: &'a Context<'a>, table: &'a JumpTable) -> Self {
        let image = context.image;
        let sites: Vec<Site> = table.labels.iter().map(|label| site(image, label.code)).collect();
        let marked = image.arch() == Arch::X86_64 && marks_nops(table, &sites);
        Checker {
            context,
            image,
            table,
            sites,
            marked,
            wording: OnceCell::new(),
            traps: OnceCell::new(),
            findings: Vec::new(),
            function: None,
            homeless: 0,
            undecoded: 0,
        }
    }

    fn run(&mut self) {
        self.check_size();
        let key_faults = key_faults(self.image, self.table);
        let mut boundaries = x86::Boundaries::of(self.image);
        for (label, site) in self.table.labels.iter().zip(self.sites.clone()) {
            let fault = key_faults.get(&label.key);
            if let Some(fault) = fault {
                self.report_key(label, fault);
            }
            self.check_entry(label, site, fault.is_none(), &mut boundaries);
        }
        self.check_shared_sites();
        let alternatives = match self.image.arch() {
            Arch::X86_64 => x86_alternatives(self.context),
            Arch::Arm64 => arm64_alternatives(self.context),
        };
        self.check_other_sites("alternatives", alternatives);
        self.findings.sort_by_key(|finding| finding.index);
    }

    fn check_size(&mut self) {
        if self.table.left_over == 0 {
            return;
        }
        let finding = Finding::new(
            "jump-labels/size",
            Severity::Error,
            format!(
                "the table has {} bytes, which is no whole number of 16-byte entries: {} are left over",
                self.table.bounds.len(),
                self.table.left_over
            ),
        );
        self.findings.push(finding.at(self.image, self.table.bounds.start));
    }

    fn check_entry(
        &mut self,
        label: &JumpLabel,
        site: Site,
        key_is_good: bool,
        boundaries: &mut x86::Boundaries<'_>,
    ) {
        if !self.image.is_executable(label.code) {
            self.report_code(label);
            return;
        }
        if self.image.is_executable(label.target) {
            self.check_function(label, site, boundaries);
        } else {
            self.report_target(label);
        }
        let key = self.table.key(label.key).filter(|_| key_is_good);
        let enabled = key.and_then(StaticKey::initially_enabled);
        match (site.form, enabled) {
            (Form::Other, _) => self.report_site(label, site, enabled),
            (Form::Nop, Some(enabled)) if label.is_jump_when(enabled) => {
                self.report_state(label, site, enabled)
            }
            (Form::Jump(_), Some(enabled)) if !label.is_jump_when(enabled) => {
                self.report_state(label, site, enabled)
            }
            (Form::Jump(to), _) if to != label.target => self.report_jump(label, to, enabled),
            _ => {
                self.check_reach(label, site, enabled);
                self.check_mark(label, site);
            }
        }
    }

    /// The target lies in the function of the site, and on an instruction.
    fn check_function(&mut self, label: &JumpLabel, site: Site, boundaries: &mut x86::Boundaries<'_>) {
        let same = self.function.filter(|function| function.sized && function.contains(label.code));
        let Some(function) = same.or_else(|| place::function_at(self.image, label.code)) else {
            self.homeless += 1;
            return;
        };
        self.function = Some(function);
        let home = if function.contains(label.target) {
            function
        } else {
            let Some(other) = place::function_at(self.image, label.target) else {
                self.homeless += 1;
                return;
            };
            if other.stem() != function.stem() {
                self.report_function(label, &function, &other);
                return;
            }
            other
        };
        // A jump's own distance is checked against the target; a nop has nothing but the table.
        if self.image.arch() != Arch::X86_64 || site.form != Form::Nop {
            return;
        }
        match boundaries.starts_instruction(&home, label.target) {
            Some(true) => {}
            Some(false) => self.report_mid_instruction(label),
            None => self.undecoded += 1,
        }
        if self.marked
            && site.size == 5
            && function == home
            && x86::is_needlessly_long(label.code, label.target)
        {
            self.report_long(label);
        }
    }

    /// The jump that the site will hold reaches the target.
    fn check_reach(&mut self, label: &JumpLabel, site: Site, enabled: Option<bool>) {
        let reaches = match self.image.arch() {
            Arch::X86_64 => site.size != 2 || x86::reaches_short(label.code, label.target),
            Arch::Arm64 => arm64::reaches(label.code, label.target),
        };
        if reaches {
            return;
        }
        let distance = label.target.wrapping_distance(label.code);
        let what = match self.image.arch() {
            Arch::X86_64 => "a 2-byte jump reaches -126 to +129",
            Arch::Arm64 => "a B reaches multiples of 4 within 128 MiB",
        };
        let finding = self.entry_finding(
            "jump-labels/reach",
            label,
            format!(
                "the jump that this nop becomes cannot reach its target: it is {distance} bytes away, {what}"
            ),
        );
        let finding = self.with_outcome(finding, label, enabled);
        self.findings.push(
            finding.advice("the entry's target is wrong: compare it with the object file it was linked from"),
        );
    }

    /// objtool's mark and the site agree.
    fn check_mark(&mut self, label: &JumpLabel, site: Site) {
        let nop = site.form == Form::Nop;
        let (expected, what) = match (self.marked, self.image.arch()) {
            (true, _) => (nop, "objtool marks exactly the sites that it turned into nops"),
            (false, Arch::X86_64) => (
                false,
                "before 5.14 nothing sets it in the file, and the kernel takes it for \"in init text\"",
            ),
            (false, Arch::Arm64) => (false, "nothing sets it in the file on arm64"),
        };
        if label.init == expected {
            return;
        }
        // A kernel that never clears the bit leaves the site out of every switch after boot.
        let severity = if !self.marked
            && self.image.arch() == Arch::X86_64
            && self.wording() == x86::Wording::SourceLine
        {
            Severity::Error
        } else {
            Severity::Warning
        };
        let mut finding = self.entry_finding(
            "jump-labels/flag",
            label,
            format!(
                "bit 1 of the key field is {} at a site that holds a {}: {what}",
                u8::from(label.init),
                if nop { "nop" } else { "jump" }
            ),
        );
        finding.severity = severity;
        self.findings.push(finding.advice(
            "the running kernel overwrites this bit (5.11 and later), but neither objtool nor the linker makes \
             such an entry: something else has changed it",
        ));
    }

    /// No two entries share a site, and no site reaches into the next.
    fn check_shared_sites(&mut self) {
        let mut order: Vec<usize> = (0..self.table.labels.len()).collect();
        order.sort_unstable_by_key(|&i| (self.table.labels[i].code, i));
        for pair in order.windows(2) {
            let (first, second) = (&self.table.labels[pair[0]], &self.table.labels[pair[1]]);
            let gap = second.code.0 - first.code.0;
            if gap == 0 {
                self.report_duplicate(first, second);
            } else if gap < self.sites[pair[0]].size && self.sites[pair[1]].form != Form::Other {
                self.report_overlap(second, first, self.sites[pair[0]].size);
            }
        }
    }

    /// No other table patches the bytes of a site: `others` are its sites, from and to, in any order, with the
    /// index of their entry.
    fn check_other_sites(&mut self, table: &'static str, mut others: Vec<OtherSite>) {
        others.sort_unstable();
        let mut order: Vec<usize> = (0..self.table.labels.len()).collect();
        order.sort_unstable_by_key(|&i| self.table.labels[i].code);
        // Sites of one table hardly overlap, so that the widest says how far back to look.
        let widest = others.iter().map(|(from, to, _)| to.0.saturating_sub(from.0)).max().unwrap_or(0);
        let mut first = 0;
        for i in order {
            let label = &self.table.labels[i];
            let end = label.code.wrapping_offset(self.sites[i].size.cast_signed());
            while others.get(first).is_some_and(|(from, ..)| from.0.saturating_add(widest) <= label.code.0) {
                first += 1;
            }
            let near = others[first..].iter().take_while(|(from, ..)| *from < end);
            let hit = near.copied().find(|(_, to, _)| *to > label.code);
            if let Some((from, _, index)) = hit {
                self.report_other_site(&label.clone(), table, from, index);
            }
        }
    }

    fn wording(&self) -> x86::Wording {
        // A module is patched by its kernel.
        *self.wording.get_or_init(|| x86::Wording::of(self.context.kernel.unwrap_or(self.image)))
    }

    fn key_label(&self, label: &JumpLabel) -> String {
        self.table.key(label.key).map_or_else(|| format!("{:#x}", label.key), StaticKey::label)
    }

    /// A finding about an entry, with the evidence that all of them show.
    fn entry_finding(&self, rule: &'static str, label: &JumpLabel, message: String) -> Finding {
        let site = self.sites[label.index as usize];
        let length = if site.form == Form::Other { 5 } else { usize::try_from(site.size).unwrap_or(5) };
        let mut finding = Finding::new(rule, Severity::Error, message)
            .index(u64::from(label.index))
            .at(self.image, label.code)
            .with("entry", self.table.entry_addr(label));
        let bytes = self.image.bytes_up_to(label.code, length);
        if !bytes.is_empty() {
            finding = finding.with("code", disasm::code(self.image, label.code, bytes));
        }
        finding = finding.with("target", self.described(label.target)).with("key", self.key_evidence(label));
        finding.with("branch", u64::from(label.branch))
    }

    fn key_evidence(&self, label: &JumpLabel) -> String {
        let values = self.table.key(label.key).and_then(|key| Some((key.enabled?, key.type_word?)));
        let name = self.key_label(label);
        match values {
            Some((enabled, word)) => format!("{name} ({:#x}), enabled {enabled}, type {word:#x}", label.key),
            None => format!("{name} ({:#x})", label.key),
        }
    }

    fn described(&self, addr: VirtAddr) -> String {
        match self.image.symbolize(addr) {
            Some(symbol) => format!("{symbol} ({addr:#x})"),
            None => format!("{addr:#x}"),
        }
    }

    /// Adds what the kernel does when the key is first switched away from its initial state.
    fn with_outcome(&self, finding: Finding, label: &JumpLabel, enabled: Option<bool>) -> Finding {
        let Some(enabled) = enabled else { return finding };
        if self.image.arch() != Arch::X86_64 {
            return finding;
        }
        let Some(found) = self.image.bytes_up_to(label.code, 5).first_chunk::<5>() else { return finding };
        let jump = label.is_jump_when(!enabled);
        let outcome = x86::patch(self.image, label, *found, jump, self.wording());
        let when = format!(
            "when the key {} is first {}",
            self.key_label(label),
            if enabled { "disabled" } else { "enabled" }
        );
        self.attach(finding, outcome, when)
    }

    /// Adds an outcome to a finding. What has no line of its own shows the trap's.
    fn attach(&self, finding: Finding, outcome: x86::Outcome, when: String) -> Finding {
        let traps = || self.traps.get_or_init(|| Traps::read(self.context));
        match outcome {
            x86::Outcome::Patched => finding,
            x86::Outcome::BadLength => {
                let line = traps().length.as_deref();
                finding.at_boot_when(
                    line.unwrap_or("kernel BUG at arch/x86/kernel/jump_label.c:25!"),
                    true,
                    when,
                )
            }
            x86::Outcome::OutOfReach => {
                // The line differs between versions: 123, 125, 116, 117.
                let line = traps().reach.as_deref();
                finding.at_boot_when(
                    line.unwrap_or("kernel BUG at arch/x86/include/asm/text-patching.h"),
                    true,
                    when,
                )
            }
            x86::Outcome::Unexpected(line) => {
                let finding = finding.at_boot_when(line, true, when);
                match &traps().unexpected {
                    Some(then) => finding.with("then", then.as_str()),
                    None => finding,
                }
            }
        }
    }

    fn report_code(&mut self, label: &JumpLabel) {
        let line = format!("can't patch jump_label at {}", x86::place(self.image, label.code));
        let finding = self
            .entry_finding(
                "jump-labels/code",
                label,
                format!(
                    "the site {} is in no executable section: nothing there will be patched",
                    self.described(label.code)
                ),
            )
            .at_boot_when(line, false, format!("when the key {} is first switched", self.key_label(label)))
            .advice("the entry's code field is wrong: compare it with the object file it was linked from");
        self.findings.push(finding);
    }

    fn report_target(&mut self, label: &JumpLabel) {
        let finding = self
            .entry_finding(
                "jump-labels/target",
                label,
                format!(
                    "the target {} is in no executable section: the site would jump there once it is a jump",
                    self.described(label.target)
                ),
            )
            .advice("the entry's target field is wrong: compare it with the object file it was linked from");
        self.findings.push(finding);
    }

    fn report_site(&mut self, label: &JumpLabel, site: Site, enabled: Option<bool>) {
        let expected = match self.image.arch() {
            Arch::X86_64 => "66 90, 0f 1f 44 00 00, eb rel8 or e9 rel32",
            Arch::Arm64 => "nop (d503201f) or B",
        };
        let silent = match self.image.arch() {
            Arch::X86_64 => "",
            Arch::Arm64 => {
                "; the kernel does not look and overwrites the instruction when the key is switched"
            }
        };
        let length = if site.size == 0 {
            "no instruction".to_owned()
        } else {
            format!("{} bytes of something else", site.size)
        };
        let finding = self.entry_finding(
            "jump-labels/site",
            label,
            format!("the site holds neither a nop nor a jump: expected {expected}, found {length}{silent}"),
        );
        // Without the key's state either direction may come first; enabling is what keys are for.
        let finding = self.with_outcome(finding, label, enabled.or(Some(false)));
        self.findings.push(finding.advice(
            "either the entry's code field does not point at its site, or something has rewritten the site after \
             the compiler wrote it (an alternative, a link-time optimisation, a post-link tool)",
        ));
    }

    fn report_state(&mut self, label: &JumpLabel, site: Site, enabled: bool) {
        let (holds, should) = if site.form == Form::Nop { ("nop", "jump") } else { ("jump", "nop") };
        let mut message = format!(
            "the site holds a {holds}, but its key {} is initially {} and the branch bit is {}, so it must hold a {should}",
            self.key_label(label),
            if enabled { "enabled" } else { "disabled" },
            u8::from(label.branch)
        );
        if self.marked {
            // objtool's mark is a third witness.
            message.push_str(if label.init == (site.form == Form::Nop) {
                "; objtool's mark agrees with the bytes, so the branch bit or the key is wrong"
            } else {
                "; objtool's mark agrees with the key, so the bytes are wrong"
            });
        }
        message.push_str(match self.image.arch() {
            Arch::X86_64 => "",
            Arch::Arm64 => {
                "; the branch goes the wrong way until the key is switched, and the kernel never notices"
            }
        });
        let finding = self.entry_finding("jump-labels/initial-state", label, message);
        let finding = self.with_outcome(finding, label, Some(enabled));
        self.findings.push(finding.advice(
            "the kernel runs the wrong branch until then: find what changed the site after it was compiled \
             (an object built without objtool, link-time optimisation, a post-link tool), or the key that it was \
             compiled against",
        ));
    }

    fn report_jump(&mut self, label: &JumpLabel, to: VirtAddr, enabled: Option<bool>) {
        let finding = self.entry_finding(
            "jump-labels/jump",
            label,
            format!(
                "the site jumps to {}, but the entry's target is {}",
                self.described(to),
                self.described(label.target)
            ),
        );
        let finding = self.with_outcome(finding, label, enabled);
        self.findings.push(
            finding
                .advice("one of the two is wrong: compare them with the object file they were linked from"),
        );
    }

    fn report_function(&mut self, label: &JumpLabel, from: &Function<'_>, to: &Function<'_>) {
        let finding = self
            .entry_finding(
                "jump-labels/function",
                label,
                format!(
                    "the site is in {}, its target in {}: a static branch stays within its function",
                    from.name, to.name
                ),
            )
            .with("function", format!("{:#x}-{:#x}", from.start, from.end));
        self.findings.push(finding.advice("the entry's target or code field is wrong"));
    }

    fn report_mid_instruction(&mut self, label: &JumpLabel) {
        let finding = self.entry_finding(
            "jump-labels/target-boundary",
            label,
            format!(
                "the target {} is in the middle of an instruction: the CPU would run garbage from there once the \
                 site is a jump, and the kernel checks no target",
                self.described(label.target)
            ),
        );
        self.findings.push(finding.advice("the entry's target field is wrong"));
    }

    fn report_long(&mut self, label: &JumpLabel) {
        let mut finding = self.entry_finding(
            "jump-labels/long-form",
            label,
            format!(
                "the site has 5 bytes, but its target {} is within reach of 2: an assembler would have used the \
                 short form, so the target is probably wrong",
                self.described(label.target)
            ),
        );
        finding.severity = Severity::Warning;
        self.findings
            .push(finding.advice("compare the entry's target with the object file it was linked from"));
    }

    fn report_duplicate(&mut self, first: &JumpLabel, second: &JumpLabel) {
        let (kept, copy) = if self.is_stranger(first, second) { (second, first) } else { (first, second) };
        let keys = if kept.key == copy.key {
            format!("key {}", self.key_label(copy))
        } else {
            format!("keys {} and {}", self.key_label(kept), self.key_label(copy))
        };
        let finding = self
            .entry_finding(
                "jump-labels/duplicate-site",
                copy,
                format!(
                    "entries {} and {} name the same site ({keys}): each switch would patch it twice",
                    kept.index, copy.index
                ),
            )
            .with("other entry", u64::from(kept.index));
        let finding = self.with_second_patch(finding, kept, copy);
        self.findings
            .push(finding.advice("the table was merged twice, or an entry was overwritten by another"));
    }

    /// What happens when the site has been patched for one entry and the other's turn comes.
    fn with_second_patch(&self, finding: Finding, kept: &JumpLabel, copy: &JumpLabel) -> Finding {
        let found = self.image.bytes_up_to(copy.code, 5).first_chunk::<5>();
        let enabled = |label: &JumpLabel| self.table.key(label.key).and_then(StaticKey::initially_enabled);
        let (Arch::X86_64, Some(found), Some(first), Some(second)) =
            (self.image.arch(), found, enabled(kept), enabled(copy))
        else {
            return finding;
        };
        let after = x86::patched(kept, *found, kept.is_jump_when(!first));
        let outcome = x86::patch(self.image, copy, after, copy.is_jump_when(!second), self.wording());
        let when = if kept.key == copy.key {
            // Later both are patched in one batch, before either is read back (text_poke_queue).
            format!("when the key {} is switched before the other CPUs are started", self.key_label(copy))
        } else {
            format!(
                "when the keys {} and {} have both been switched",
                self.key_label(kept),
                self.key_label(copy)
            )
        };
        self.attach(finding, outcome, when)
    }

    /// Which of two entries of one site does not belong to it: whether the first. Entries of one function stand
    /// together in the table, in the order of the text.
    fn is_stranger(&self, first: &JumpLabel, second: &JumpLabel) -> bool {
        if first.index.abs_diff(second.index) != 1 {
            return self.misfit(first) > self.misfit(second);
        }
        // Neighbours: a site without an entry beside this one is the stranger's own.
        let site = self.sites[first.index as usize];
        let (low, high) = if first.index < second.index { (first, second) } else { (second, first) };
        let after = low.code.wrapping_offset(site.size.cast_signed());
        if self.is_orphan(after) {
            return first.index == high.index;
        }
        let before = [-2, -4, -5].map(|distance| low.code.wrapping_offset(distance));
        let mut before = before.into_iter().filter(|at| self.is_orphan(*at));
        if before.any(|at| at.wrapping_offset(site_size(self.image, at)) == low.code) {
            return first.index == low.index;
        }
        self.misfit(first) > self.misfit(second)
    }

    /// Whether a nop stands there that no entry names.
    fn is_orphan(&self, at: VirtAddr) -> bool {
        site(self.image, at).form == Form::Nop && self.table.labels.iter().all(|label| label.code != at)
    }

    /// How far out of its way the table goes for an entry, from the entry before to the one after.
    fn misfit(&self, label: &JumpLabel) -> u64 {
        let i = label.index as usize;
        let near = |j: Option<usize>| j.and_then(|j| self.table.labels.get(j)).map(|other| other.code.0);
        detour(near(i.checked_sub(1)), label.code.0, near(i.checked_add(1)))
    }

    fn report_other_site(&mut self, label: &JumpLabel, table: &'static str, from: VirtAddr, index: u64) {
        let finding = self
            .entry_finding(
                "jump-labels/shared-with-alternative",
                label,
                format!(
                    "the site lies in code that entry {index} of {table} replaces, at {}: which of the two has the \
                     last word depends on when each is patched",
                    self.described(from)
                ),
            )
            .with("other entry", index);
        self.findings.push(finding);
    }

    fn report_overlap(&mut self, label: &JumpLabel, first: &JumpLabel, size: u64) {
        let finding = self
            .entry_finding(
                "jump-labels/overlap",
                label,
                format!(
                    "the site begins inside the {size}-byte site of entry {} at {}",
                    first.index,
                    self.described(first.code)
                ),
            )
            .with("other entry", u64::from(first.index));
        self.findings.push(finding);
    }

    fn report_key(&mut self, label: &JumpLabel, fault: &KeyFault) {
        let what = match fault {
            KeyFault::Nowhere => "is in no section of the image".to_owned(),
            KeyFault::Unaligned => "is not aligned to 8 bytes".to_owned(),
            KeyFault::NotData(section) => format!("is in {section}, which is no writable data"),
            KeyFault::NotAKey { enabled, word } => format!(
                "holds no static key: before boot one is 0 and 0 or 1 and 1, there stand {enabled} and {word:#x}"
            ),
            KeyFault::TooSmall { object, room } => {
                format!("has {room} bytes of {object} left, a static key takes {KEY_SIZE}")
            }
            KeyFault::OddPlace { family, offset, usual } => format!(
                "is {offset} bytes into its object, where every other {family} has its key at {usual}"
            ),
            KeyFault::Overlap { other } => format!("overlaps the key {other}, which other entries name"),
        };
        let mut finding = self.entry_finding(
            "jump-labels/key",
            label,
            format!(
                "the key {} {what}; jump_label_init stores a pointer at key + 8 on every boot, whatever stands there",
                self.key_label(label)
            ),
        );
        if *fault == KeyFault::Nowhere {
            let line = format!("BUG: unable to handle page fault for address: {:016x}", label.key.0);
            if self.image.arch() == Arch::X86_64 {
                finding = finding.at_boot_when(
                    line,
                    true,
                    "when nothing is mapped there (KASLR moves the address)",
                );
            }
        }
        self.findings.push(finding.advice(
            "the entry's key field is wrong, or the key's object is another than it was compiled with",
        ));
    }

    fn into_report(self) -> TableReport {
        let mut report = TableReport::new("jump-labels", Some(self.table.bounds.located_by.clone()));
        report.entries = self.table.labels.len() as u64;
        report.layout = Some(self.layout());
        report.skipped = self.skipped();
        report.proved = self.proved();
        report.findings = self.findings;
        report
    }

    fn layout(&self) -> String {
        let keys = self.table.keys.len();
        let marks = if self.marked { ", nops marked by objtool" } else { "" };
        format!("16-byte relative entries on {keys} keys{marks}")
    }

    fn proved(&self) -> Vec<String> {
        let mut proved = vec![
            "code and target are executable, each site holds a nop or a jump to its target".to_owned(),
            "each key is a static key in data, and each site is in its key's initial state".to_owned(),
            "no two entries share a site".to_owned(),
        ];
        if !self.image.symbols().is_empty() {
            proved.push("each target is in the function of its site".to_owned());
        }
        if self.image.arch() == Arch::X86_64 && !self.image.symbols().is_empty() {
            proved.push("each nop's target is the start of an instruction, within reach".to_owned());
        }
        proved
    }

    fn skipped(&self) -> Vec<String> {
        let unknown = self.table.keys.iter().filter(|key| matches!(key.home, KeyHome::Undefined(_)));
        let unknown: u64 = unknown.map(|key| u64::from(key.entries)).sum();
        let mut skipped = Vec::new();
        if unknown > 0 {
            let advice = match self.context.kernel {
                Some(_) => "in another module, or in the kernel, whose symbols leave out data",
                None => "in another file (give the kernel that the module is for)",
            };
            skipped.push(format!(
                "{unknown} entries have their key {advice}: their initial state is not checked."
            ));
        }
        if self.image.symbols().is_empty() {
            skipped.push(
                "There are no symbols: that a target is in the function of its site is not checked."
                    .to_owned(),
            );
        } else if self.homeless > 0 {
            skipped.push(format!(
                "{} sites or targets are in no function that the symbols name: not checked to be the same.",
                self.homeless
            ));
        }
        if self.undecoded > 0 {
            skipped.push(format!(
                "{} targets stand behind code that does not decode: not checked to start an instruction.",
                self.undecoded
            ));
        }
        skipped
    }
}

fn site_size(image: &Image, at: VirtAddr) -> i64 {
    site(image, at).size.cast_signed()
}

/// The way from `before` over `at` to `after`, less the straight way.
pub(crate) fn detour(before: Option<u64>, at: u64, after: Option<u64>) -> u64 {
    match (before, after) {
        (Some(before), Some(after)) => {
            let way = before.abs_diff(at).saturating_add(at.abs_diff(after));
            way - before.abs_diff(after).min(way)
        }
        (Some(one), None) | (None, Some(one)) => one.abs_diff(at),
        (None, None) => 0,
    }
}

/// A site of another table: from, to, index of its entry.
type OtherSite = (VirtAddr, VirtAddr, u64);

fn x86_alternatives(context: &Context<'_>) -> Vec<OtherSite> {
    let entries =
        alternatives::x86::entries(context).map(|table| table.entries.as_slice()).unwrap_or_default();
    entries.iter().map(|entry| (entry.site, entry.site_end(), entry.index)).collect()
}

fn arm64_alternatives(context: &Context<'_>) -> Vec<OtherSite> {
    let entries = &context.arm64_alternatives().entries;
    entries.iter().zip(0..).map(|(entry, index)| (entry.orig, entry.orig_end(), index)).collect()
}

/// Whether most nops carry objtool's mark.
fn marks_nops(table: &JumpTable, sites: &[Site]) -> bool {
    let (mut nops, mut marked) = (0_usize, 0_usize);
    for (label, _) in table.labels.iter().zip(sites).filter(|(_, site)| site.form == Form::Nop) {
        nops += 1;
        marked += usize::from(label.init);
    }
    marked * 2 > nops
}

/// Why a key is none.
#[derive(Clone, PartialEq, Eq, Debug)]
enum KeyFault {
    Nowhere,
    Unaligned,
    NotData(String),
    NotAKey { enabled: i32, word: u64 },
    TooSmall { object: String, room: u64 },
    OddPlace { family: &'static str, offset: u64, usual: u64 },
    Overlap { other: String },
}

/// What is wrong with the keys of a table.
fn key_faults(image: &Image, table: &JumpTable) -> HashMap<VirtAddr, KeyFault> {
    let objects: Vec<Option<Object<'_>>> =
        table.keys.iter().map(|key| place::object_at(image, key.addr)).collect();
    let usual = usual_offsets(&table.keys, &objects);
    let mut faults = HashMap::new();
    for (key, object) in table.keys.iter().zip(&objects) {
        if let Some(fault) = key_fault(image, key, *object, &usual) {
            faults.insert(key.addr, fault);
        }
    }
    for (i, pair) in table.keys.windows(2).enumerate() {
        let [low, high] = pair else { continue };
        if high.addr.0 - low.addr.0 >= KEY_SIZE
            || faults.contains_key(&low.addr)
            || faults.contains_key(&high.addr)
        {
            continue;
        }
        let at_start = |j: usize| objects[j].is_some_and(|object| object.start == table.keys[j].addr);
        let low_is_real = (at_start(i), low.entries) >= (at_start(i + 1), high.entries);
        let (wrong, right) = if low_is_real { (high, low) } else { (low, high) };
        faults.insert(wrong.addr, KeyFault::Overlap { other: right.label() });
    }
    faults
}

fn key_fault(
    image: &Image,
    key: &StaticKey,
    object: Option<Object<'_>>,
    usual: &HashMap<&'static str, u64>,
) -> Option<KeyFault> {
    if !matches!(key.home, KeyHome::Image | KeyHome::Nowhere) {
        return None;
    }
    if !key.addr.0.is_multiple_of(8) {
        return Some(KeyFault::Unaligned);
    }
    let Some(section) = image.section_at(key.addr) else { return Some(KeyFault::Nowhere) };
    let (Some(enabled), Some(word)) = (key.enabled, key.type_word) else { return Some(KeyFault::Nowhere) };
    // The one executable section of a flat image holds its read-only data too, and in that what becomes read-only
    // after init.
    let coarse = runs::is_coarse(image) && section.access.execute;
    if !section.access.write && !coarse {
        return Some(KeyFault::NotData(section.name.clone()));
    }
    if !key.is_plausible() {
        return Some(KeyFault::NotAKey { enabled, word });
    }
    let object = object?;
    let (offset, room) = (key.addr.0 - object.start.0, object.end.0 - key.addr.0);
    // A key at a symbol of its own is an alias without a size, or the object itself.
    if room < KEY_SIZE && (offset > 0 || room > 0) {
        return Some(KeyFault::TooSmall { object: object.name.to_owned(), room });
    }
    let family = family(object.name)?;
    let usual = *usual.get(family)?;
    (offset != usual).then_some(KeyFault::OddPlace { family, offset, usual })
}

/// Kinds of object that hold a key at an offset of their own, the same in all of them: `struct tracepoint`
/// (include/linux/tracepoint-defs.h) and `struct _ddebug` (include/linux/dynamic_debug.h). The offset is learnt
/// from the image.
fn family(object: &str) -> Option<&'static str> {
    if object.starts_with("__tracepoint_") {
        Some("tracepoint")
    } else if object.starts_with("__UNIQUE_ID_ddebug") {
        Some("dynamic debug descriptor")
    } else {
        None
    }
}

/// The offset at which most keys of each family stand, where there are enough of them to tell.
fn usual_offsets(keys: &[StaticKey], objects: &[Option<Object<'_>>]) -> HashMap<&'static str, u64> {
    let mut counts: HashMap<&'static str, HashMap<u64, u32>> = HashMap::new();
    for (key, object) in keys.iter().zip(objects) {
        if let Some((object, family)) = object.and_then(|object| Some((object, family(object.name)?))) {
            *counts.entry(family).or_default().entry(key.addr.0 - object.start.0).or_default() += 1;
        }
    }
    let most = |offsets: HashMap<u64, u32>| {
        let total: u32 = offsets.values().sum();
        let (offset, count) = offsets.into_iter().max_by_key(|(_, count)| *count)?;
        (count >= 4 && count * 2 > total).then_some(offset)
    };
    counts.into_iter().filter_map(|(family, offsets)| Some((family, most(offsets)?))).collect()
}
