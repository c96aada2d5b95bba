//! The checks of one entry: the kernel's own, and what must hold for the patched text to be code.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

use iced_x86::{Instruction, OpKind, Register};
use kvet_finding::{AtBoot, Finding, Severity};
use kvet_image::{Image, Kind, VirtAddr};

use super::code::{Code, Sequence};
use super::traps::{Bug, NO_INDIRECT_CALL, NOT_A_CALL, Traps};
use super::vdso::Vdso;
use super::{Alternative, Alternatives, Kernel, REPLACEMENTS, Span};
use crate::disasm::{
    self,
    x86::{Mode, NotWhole},
};
use crate::features::x86::{ALWAYS, Features};
use crate::{Context, TableReport};

/// `MAX_PATCH_LEN`, the size of the kernel's buffer, in every version read (5.10 to 7.3).
const MAX_PATCH_LEN: u8 = 254;

/// Where sites and replacements of a table may stand.
pub(super) struct Scope<'a> {
    image: &'a Image,
    /// The vDSO, when the table is its.
    vdso: Option<Span>,
    /// All replacements, where a section or the vDSO's headers say so.
    pub(super) replacements: Option<Span>,
    /// The mode that the code is for.
    pub(super) mode: Mode,
    /// The vDSO's `.text`.
    pub(super) text: Option<Span>,
    /// Code of kexec, which is copied before it runs and so stands in data (6.14 and later).
    relocate_kernel: Option<Span>,
}

impl<'a> Scope<'a> {
    /// A kernel's or module's sections.
    pub(super) fn kernel(image: &'a Image) -> Scope<'a> {
        let replacements = image.section(REPLACEMENTS).map(|s| Span { start: s.addr, end: s.end() });
        let span = |start, end| Some(Span { start: image.symbol_addr(start)?, end: image.symbol_addr(end)? });
        let relocate_kernel = span("__relocate_kernel_start", "__relocate_kernel_end");
        Scope { image, vdso: None, replacements, mode: Mode::Long, text: None, relocate_kernel }
    }

    /// The vDSO's image inside the kernel.
    pub(super) fn vdso(image: &'a Image, vdso: &Vdso) -> Scope<'a> {
        let (replacements, text, mode) = (vdso.replacements, vdso.text, vdso.mode);
        Scope { image, vdso: Some(vdso.span), replacements, mode, text, relocate_kernel: None }
    }

    /// Why no code can be patched at a range; `None` when it can.
    fn refuses_site(&self, start: VirtAddr, end: VirtAddr) -> Option<String> {
        if let Some(vdso) = self.vdso {
            return (!vdso.holds(start, end)).then(|| "it is not inside the vDSO".to_owned());
        }
        let Some(section) = self.image.section_at(start) else {
            return Some("no section holds it".to_owned());
        };
        if end > section.end() {
            return Some(format!("it goes past the end of {}", section.name));
        }
        let kexec = self.relocate_kernel.is_some_and(|span| span.holds(start, end));
        // Without symbols data may be kexec's code for all that is known.
        let unknown = self.image.symbols().is_empty() && section.access.write;
        if section.access.execute && section.name != REPLACEMENTS || kexec || unknown {
            return None;
        }
        Some(format!("it stands in {}, which is no code of the kernel", section.name))
    }

    /// Whether code may be called or jumped to at an address.
    fn is_code(&self, at: VirtAddr) -> bool {
        match self.vdso {
            Some(vdso) => vdso.holds(at, at),
            None => self.image.is_executable(at) || self.image.extern_at(at).is_some(),
        }
    }
}

/// One table's check: what it needs, and what it found.
pub(super) struct Checker<'a> {
    pub(super) image: &'a Image,
    kernel: Option<Kernel<'a>>,
    pub(super) table: &'a Alternatives,
    pub(super) scope: Scope<'a>,
    features: Features,
    pub(super) code: Rc<Code<'a>>,
    /// Whether an address that a replacement calls is inside a function, not its start: asked thousands of
    /// times of a few.
    inside: HashMap<VirtAddr, bool>,
    limit: Option<u32>,
    stop: Option<u64>,
    pub(super) name: &'static str,
    pub(super) report: TableReport,
}

/// The rules of the two tables: the vDSO's have its name in front.
macro_rules! rule {
    ($self:expr, $what:literal) => {
        if $self.name == "alternatives" {
            concat!("alternatives/", $what)
        } else {
            concat!("vdso-alternatives/", $what)
        }
    };
}
pub(super) use rule;

impl<'a> Checker<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        table: &'a Alternatives,
        scope: Scope<'a>,
        name: &'static str,
    ) -> Checker<'a> {
        let image = context.image;
        let kernel = Kernel::of(context);
        let features = kernel.map(|k| k.features().clone()).unwrap_or_default();
        let report = TableReport::new(name, Some(table.bounds.located_by.clone()));
        let code = Rc::new(Code::read(image, scope.mode, &table.entries));
        let mut checker = Checker {
            image,
            kernel,
            table,
            scope,
            features,
            code,
            inside: HashMap::new(),
            limit: None,
            stop: None,
            name,
            report,
        };
        checker.limit = checker.code_limit().or_else(|| checker.features.limit());
        checker
    }

    /// The kernel's traps, read when they are first needed: most modules never ask.
    fn traps(&self) -> Option<&'a Traps> {
        self.kernel?.traps()
    }

    /// The limit that vmlinux's code compares with. For a module the arrays' sizes do: its kernel was checked.
    fn code_limit(&self) -> Option<u32> {
        if self.image.kind() == Kind::Module { None } else { self.traps()?.feature_limit }
    }

    /// Checks everything.
    pub(super) fn report(mut self) -> TableReport {
        self.report.entries = self.table.entries.len() as u64;
        self.describe_layout();
        self.stop = self.first_stop();
        let table = self.table;
        self.prove("lengths fit the kernel's buffer, replacements fit their sites, flags are known", |c| {
            table.entries.iter().for_each(|entry| c.check_numbers(entry));
        });
        self.prove("both sides are whole instructions in code, and what they name is in reach", |c| {
            table.entries.iter().for_each(|entry| c.check_code(entry));
        });
        self.check_sites();
        self.check_tiling();
        self.check_boundaries();
        self.check_consistency();
        self.describe_limit();
        self.report.findings.sort_by_key(|f| f.index);
        self.report
    }

    /// Runs a check, and says that it proved something when it found nothing.
    pub(super) fn prove(&mut self, what: impl Into<String>, check: impl FnOnce(&mut Self)) {
        let before = self.report.findings.len();
        check(self);
        if self.report.findings.len() == before {
            self.report.proved.push(what.into());
        }
    }

    fn describe_layout(&mut self) {
        let table = self.table;
        let mut layout = format!("{}-byte entries: {}", table.layout.size(), table.layout);
        if let Some(other) = table.also_fits {
            let _ = write!(layout, "; {} would fit as well", other);
        }
        self.report.layout = Some(layout);
        if table.remainder != 0 {
            let finding = Finding::new(
                rule!(self, "size"),
                Severity::Error,
                format!(
                    "the table has {} bytes: {} entries of {} bytes and {} bytes more, which the kernel would read as an entry that goes past the end",
                    table.bounds.len(),
                    table.entries.len(),
                    table.layout.size(),
                    table.remainder
                ),
            )
            .index(table.entries.len() as u64)
            .advice("the table's bounds or its contents were changed after the link: compare with the linker's map");
            self.report.findings.push(finding);
        } else {
            self.report.proved.push("the table is a whole number of entries".into());
        }
    }

    fn describe_limit(&mut self) {
        let by_code = self.code_limit();
        let words = self.features.words();
        let broken = self.table.entries.iter().any(|e| self.is_unknown(e));
        match (self.limit, by_code, words) {
            (Some(_), ..) if broken => {}
            (Some(limit), Some(_), _) => self.report.proved.push(format!(
                "every feature is below {limit}, the limit that apply_alternatives compares with"
            )),
            (Some(limit), None, Some((caps, bugs))) => self.report.proved.push(format!(
                "every feature is below {limit}: x86_cap_flags has {caps} words and x86_bug_flags {bugs}"
            )),
            _ if self.kernel.is_none() => self.report.skipped.push(
                "the limit of features is the kernel's: give the module's vmlinux to check it".into(),
            ),
            _ => self.report.skipped.push(
                "neither apply_alternatives nor x86_cap_flags and x86_bug_flags were found: features were not compared with a limit".into(),
            ),
        }
        if self.kernel.is_some() && self.image.kind() != Kind::Module && self.traps().is_none() {
            self.report
                .skipped
                .push("apply_alternatives was not found, so the lines of its checks are not known".into());
        }
    }

    /// A finding about one entry, with both sides' code as evidence.
    pub(super) fn finding(
        &self,
        rule: &'static str,
        severity: Severity,
        entry: &Alternative,
        message: impl Into<String>,
    ) -> Finding {
        let mut finding = Finding::new(rule, severity, message).index(entry.index).at(self.image, entry.site);
        finding = finding.with("feature", self.condition_text(entry));
        if let Some(bytes) = entry.site_bytes(self.image) {
            finding = finding.with("original", disasm::code(self.image, entry.site, bytes));
        }
        if let Some(bytes) = entry.replacement_bytes(self.image) {
            finding = finding.with("replacement", disasm::code(self.image, entry.replacement, bytes));
        }
        finding
    }

    /// A feature by name.
    pub(super) fn feature_name(&self, feature: u16) -> String {
        match self.kernel {
            Some(kernel) => self.features.name(kernel.image, feature),
            None => self.features.name(self.image, feature),
        }
    }

    fn condition_text(&self, entry: &Alternative) -> String {
        let name = self.feature_name(entry.feature);
        if entry.not { format!("not {name}") } else { name }
    }

    /// On which CPUs the entry is patched; `None` when on all.
    fn condition(&self, entry: &Alternative) -> Option<String> {
        match (entry.feature, entry.not) {
            (ALWAYS, false) => None,
            (_, false) => Some(format!("on a CPU with {}", self.feature_name(entry.feature))),
            (_, true) => Some(format!("on a CPU without {}", self.feature_name(entry.feature))),
        }
    }

    /// 7.x applies only the last entry of a site that is eligible: which ones stand behind this one.
    fn preferred(&self, entry: &Alternative) -> Option<String> {
        if !self.traps().is_some_and(Traps::checks_whole_sites) {
            return None;
        }
        let after = usize::try_from(entry.index).ok()?.checked_add(1)?;
        let later = self.table.entries.get(after..)?.iter().take_while(|e| e.site == entry.site);
        let names: Vec<String> = later.map(|e| self.condition_text(e)).collect();
        (!names.is_empty())
            .then(|| format!("where no later entry of the site applies ({})", names.join(", ")))
    }

    /// What a boot shows of a trap at an entry, if the kernel comes there.
    fn boot(&self, entry: &Alternative, line: String, fatal: bool, patched_only: bool) -> AtBoot {
        let mut when = Vec::new();
        if self.image.kind() == Kind::Module {
            when.push("when the module is loaded".to_owned());
        }
        if patched_only {
            when.extend(self.condition(entry));
            when.extend(self.preferred(entry));
        }
        if let Some(stop) = self.stop.filter(|&stop| stop < entry.index) {
            when.push(format!("once entry {stop} is repaired, where this kernel stops first"));
        }
        let when = (!when.is_empty()).then(|| when.join(", "));
        // A BUG while a module loads ends the process that loads it, not the boot.
        AtBoot { line, when, fatal: fatal && self.image.kind() != Kind::Module, ends: None }
    }

    fn with_bug(
        &self,
        mut finding: Finding,
        entry: &Alternative,
        bug: Option<&Bug>,
        patched: bool,
    ) -> Finding {
        if let Some(bug) = bug {
            finding.at_boot = Some(self.boot(entry, bug.says.clone(), true, patched));
        }
        finding
    }

    /// The first entry at which every boot ends.
    fn first_stop(&self) -> Option<u64> {
        let entries = &self.table.entries;
        let first = entries.iter().find(|e| self.stops(e))?;
        let whole_sites = self.traps().is_some_and(Traps::checks_whole_sites);
        if !whole_sites {
            return Some(first.index);
        }
        // 7.x looks at all features of a site, then at its length: the site is the same, the entry may differ.
        let site: Vec<_> = entries
            .iter()
            .skip_while(|e| e.index < first.index)
            .take_while(|e| e.site == first.site)
            .collect();
        let by_feature = site.iter().find(|e| self.is_unknown(e));
        Some(by_feature.map_or(first.index, |e| e.index))
    }

    fn stops(&self, entry: &Alternative) -> bool {
        self.is_unknown(entry) || entry.site_len > MAX_PATCH_LEN || self.page_fault(entry).is_some()
    }

    fn is_unknown(&self, entry: &Alternative) -> bool {
        self.limit.is_some_and(|limit| u32::from(entry.feature) >= limit)
    }

    /// What the kernel says of a site outside everything that it maps: it reads every site, so it faults there.
    fn page_fault(&self, entry: &Alternative) -> Option<String> {
        (entry.site_len > 0).then(|| crate::mapped::page_fault(self.image, entry.site)).flatten()
    }

    fn check_numbers(&mut self, entry: &Alternative) {
        if let Some(limit) = self.limit.filter(|_| self.is_unknown(entry)) {
            let finding = self.finding(
                rule!(self, "unknown-capability"),
                Severity::Error,
                entry,
                format!(
                    "entry {} names feature {} ({}), but this kernel has {limit} ({} words)",
                    entry.index,
                    entry.feature,
                    self.feature_name(entry.feature),
                    limit / 32
                ),
            );
            let finding = self
                .with_bug(finding, entry, self.traps().and_then(|t| t.feature.as_ref()), false)
                .with("limit", u64::from(limit))
                .advice("rebuild the object that holds this site: it was compiled against another asm/cpufeatures.h");
            self.report.findings.push(finding);
        }
        if entry.site_len > MAX_PATCH_LEN {
            let finding = self.finding(
                rule!(self, "site-length"),
                Severity::Error,
                entry,
                format!(
                    "entry {} patches {} bytes, and the kernel's buffer holds {MAX_PATCH_LEN}",
                    entry.index, entry.site_len
                ),
            );
            let finding = self.with_bug(finding, entry, self.traps().and_then(|t| t.length.as_ref()), false);
            self.report.findings.push(finding);
        }
        if entry.unknown_flags != 0 {
            let message = format!(
                "entry {} has the flags {:#x}, which no kernel defines: only 1 (NOT) and 2 (DIRECT_CALL) are",
                entry.index, entry.unknown_flags
            );
            let finding = self.finding(rule!(self, "unknown-flags"), Severity::Error, entry, message);
            self.report.findings.push(finding);
        }
        if entry.replacement_len > entry.site_len {
            let message = format!(
                "entry {} has a replacement of {} bytes for a site of {}: what follows the site would be overwritten or the replacement cut",
                entry.index, entry.replacement_len, entry.site_len
            );
            let finding = self.finding(rule!(self, "replacement-length"), Severity::Error, entry, message);
            self.report.findings.push(finding);
        }
        if entry.padlen.is_some_and(|pad| pad > entry.site_len) {
            let message = format!(
                "entry {} says that {} of its {} bytes are padding",
                entry.index,
                entry.padlen.unwrap_or(0),
                entry.site_len
            );
            let finding = self.finding(rule!(self, "padding"), Severity::Error, entry, message);
            self.report.findings.push(finding);
        }
    }

    fn check_code(&mut self, entry: &Alternative) {
        let site_ok = self.check_site(entry);
        let replacement_ok = self.check_replacement(entry);
        if site_ok && replacement_ok {
            self.check_branches(entry);
        }
        if entry.direct_call {
            self.check_direct_call(entry);
        } else {
            self.check_placeholder(entry);
        }
    }

    fn check_site(&mut self, entry: &Alternative) -> bool {
        if entry.site_len == 0 {
            let message = format!("entry {} patches a site of no bytes", entry.index);
            let finding = self.finding(rule!(self, "empty-site"), Severity::Error, entry, message);
            self.report.findings.push(finding);
        }
        if let Some(why) = self.scope.refuses_site(entry.site, entry.site_end()) {
            let mut finding = self.finding(
                rule!(self, "site"),
                Severity::Error,
                entry,
                format!("entry {} patches {} bytes at {}: {why}", entry.index, entry.site_len, entry.site),
            );
            if let Some(line) = self.page_fault(entry) {
                finding.at_boot = Some(self.boot(entry, line, true, false));
            }
            self.report.findings.push(finding);
            return false;
        }
        let code = Rc::clone(&self.code);
        let Some(sequence) = code.site(entry) else { return false };
        if let Some(&padding @ (0xcc | 0x00)) = sequence.bytes.first() {
            // No alternative's original begins with int3 or with zeros: this is what fills gaps between functions.
            let message = format!(
                "entry {} patches {} bytes at {}: it begins with {padding:#04x}, which fills gaps between functions",
                entry.index, entry.site_len, entry.site
            );
            let finding = self.finding(rule!(self, "site"), Severity::Error, entry, message);
            self.report.findings.push(finding);
            return false;
        }
        let Some(error) = sequence.fault else { return true };
        let finding = self.finding(
            rule!(self, "original-instructions"),
            Severity::Error,
            entry,
            format!(
                "entry {} patches {} bytes that are no whole instructions: {}",
                entry.index,
                entry.site_len,
                not_whole(error)
            ),
        );
        let whole = disasm::code(
            self.image,
            entry.site,
            self.image.bytes_up_to(entry.site, sequence.bytes.len() + 8),
        );
        self.report.findings.push(finding.with("code at the site", whole));
        false
    }

    fn check_replacement(&mut self, entry: &Alternative) -> bool {
        let (start, end) = (entry.replacement, entry.replacement_end());
        let inside = match self.scope.replacements {
            Some(span) => span.holds(start, end),
            None => entry.replacement_len == 0 || self.scope.is_code(start),
        };
        if !inside {
            let place = self.image.section_at(start).map_or("no section", |s| s.name.as_str());
            let message = format!(
                "the replacement of entry {}, {} bytes at {start}, stands in {place}, not in {REPLACEMENTS}",
                entry.index, entry.replacement_len
            );
            let finding = self.finding(rule!(self, "replacement"), Severity::Error, entry, message);
            self.report.findings.push(finding);
            return false;
        }
        let code = Rc::clone(&self.code);
        let Some(sequence) = code.replacement(entry) else { return false };
        let Some(error) = sequence.fault else { return true };
        let mut finding = self.finding(
            rule!(self, "replacement-instructions"),
            Severity::Error,
            entry,
            format!(
                "the replacement of entry {} is no whole number of instructions: {}",
                entry.index,
                not_whole(error)
            ),
        );
        // Past the end the kernel reads the padding that it put there, so a cut instruction decodes as another.
        if let (NotWhole::Bad { .. }, Some(bug)) = (error, self.traps().and_then(|t| t.undecodable.as_ref()))
        {
            finding.at_boot = self.warning_line(bug).map(|line| self.boot(entry, line, false, true));
        }
        self.report.findings.push(finding);
        false
    }

    /// The line of a WARN, in the form of this kernel's own format string (kernel/panic.c, `__warn`). Vmlinux
    /// is patched by the first task on the first CPU.
    fn warning_line(&self, bug: &Bug) -> Option<String> {
        let kernel = self.kernel?.image;
        let at = bug.place.as_ref()?;
        let place = kernel.symbolize(bug.addr)?;
        let has = |format: &[u8]| memchr::memmem::find(kernel.raw(), format).is_some();
        if has(b"WARNING: CPU: %d PID: %d at %s:%d %pS") {
            return Some(format!("WARNING: CPU: 0 PID: 0 at {at} {place}"));
        }
        has(b"WARNING: %s:%d at %pS, CPU#%d: %s/%d")
            .then(|| format!("WARNING: {at} at {place}, CPU#0: swapper/0/0"))
    }

    fn check_branches(&mut self, entry: &Alternative) {
        let code = Rc::clone(&self.code);
        let Some(sequence) = code.replacement(entry) else { return };
        for i in &sequence.instructions {
            let Some(target) = Sequence::target(i, entry.replacement) else { continue };
            if !sequence.is_inside(target, entry.replacement) {
                self.check_branch(entry, i, target);
            }
        }
    }

    /// `i` is decoded at address 0.
    fn check_branch(&mut self, entry: &Alternative, i: &Instruction, target: VirtAddr) {
        let is_branch = i.op_kinds().any(|kind| kind == OpKind::NearBranch64);
        // A per-CPU operand is an offset, and a module's data operand may lie inside another image's object.
        let elsewhere = i.segment_prefix() != Register::None || self.image.kind() == Kind::Module;
        let reaches_something = match is_branch {
            true => self.scope.is_code(target),
            false => elsewhere || self.image.section_at(target).is_some(),
        };
        if !reaches_something {
            let place = self.place(target);
            let what = if is_branch { "branches to" } else { "addresses" };
            let message =
                format!("the replacement of entry {} {what} {place}, where nothing is", entry.index);
            let finding = self.finding(rule!(self, "branch-target"), Severity::Error, entry, message);
            self.report.findings.push(finding);
            return;
        }
        if i.is_call_near() && self.is_inside_a_function(target) {
            let place = self.place(target);
            let message = format!(
                "the replacement of entry {} calls {place}, which is no function's start",
                entry.index
            );
            let finding = self.finding(rule!(self, "branch-target"), Severity::Error, entry, message);
            self.report.findings.push(finding);
        }
        if relocated_by_old_kernels(entry, i) {
            return;
        }
        let relocates_all = self.traps().is_none_or(|t| t.relocates_all);
        if relocates_all {
            self.check_short_branch(entry, i, target);
        } else {
            let place = self.place(target);
            let message = format!(
                "the replacement of entry {} names {place} by its distance in an instruction that this kernel copies as it is: it would name another place at the site",
                entry.index
            );
            let finding = self.finding(rule!(self, "branch-reach"), Severity::Error, entry, message).advice(
                "kernels before 6.4 relocate a lone 5-byte call or jmp only; write the replacement so",
            );
            self.report.findings.push(finding);
        }
    }

    /// A branch of one byte's reach, moved from the replacement to the site (`apply_reloc_n(8, ...)`).
    fn check_short_branch(&mut self, entry: &Alternative, i: &Instruction, target: VirtAddr) {
        let place = || self.place(target);
        if i.is_loop() || i.is_loopcc() || i.is_jcx_short() {
            let message = format!(
                "the replacement of entry {} goes to {} by an instruction that the kernel never relocates",
                entry.index,
                place()
            );
            let finding = self.finding(rule!(self, "branch-reach"), Severity::Error, entry, message);
            self.report.findings.push(finding);
            return;
        }
        if !i.is_jcc_short() && !i.is_jmp_short() {
            return;
        }
        let next = entry.site.0.wrapping_add(i.next_ip());
        let distance = target.0.wrapping_sub(next) as i64;
        if i8::try_from(distance).is_ok() {
            return;
        }
        let message = format!(
            "a short branch in the replacement of entry {} goes to {}, {distance} bytes from where it would stand at the site: one byte does not hold that",
            entry.index,
            place()
        );
        let finding = self.finding(rule!(self, "branch-reach"), Severity::Error, entry, message);
        let reach = self.traps().and_then(|t| t.reach.as_ref());
        let finding = self.with_bug(finding, entry, reach, true);
        self.report.findings.push(finding);
    }

    /// Whether symbols say that an address is neither a function's start nor outside all functions.
    fn is_inside_a_function(&mut self, target: VirtAddr) -> bool {
        let image = self.image;
        *self.inside.entry(target).or_insert_with(|| {
            image.extern_at(target).is_none()
                && image.symbol_at(target).is_some_and(|(_, offset)| offset != 0)
        })
    }

    fn place(&self, target: VirtAddr) -> String {
        match self.image.extern_at(target) {
            Some(name) => name.to_owned(),
            None => self.image.symbolize(target).unwrap_or_else(|| target.to_string()),
        }
    }

    /// `alt_replace_call`: a call of `BUG_func` in place of an indirect call through a pointer in memory.
    fn check_direct_call(&mut self, entry: &Alternative) {
        let (Some(replacement), Some(site)) =
            (entry.replacement_bytes(self.image), entry.site_bytes(self.image))
        else {
            return;
        };
        let (line, expected, bug) = if replacement.len() != 5 || replacement.first() != Some(&0xe8) {
            (NOT_A_CALL, "a replacement of one 5-byte call", self.traps().and_then(|t| t.not_a_call.as_ref()))
        } else if site.len() != 6 || !site.starts_with(&[0xff, 0x15]) {
            (
                NO_INDIRECT_CALL,
                "a site of one 6-byte call through memory (ff 15)",
                self.traps().and_then(|t| t.no_indirect_call.as_ref()),
            )
        } else {
            return;
        };
        let mut finding = self.finding(
            rule!(self, "direct-call"),
            Severity::Error,
            entry,
            format!("entry {} has ALT_FLAG_DIRECT_CALL, which needs {expected}", entry.index),
        );
        finding.at_boot = Some(self.boot(entry, line.to_owned(), true, true));
        if let Some(bug) = bug {
            finding = finding.with("then", bug.says.clone());
        }
        self.report.findings.push(finding);
    }

    /// Kernels of 6.11 to 6.15 give two entries of one site the longer length, and then find that a direct call's
    /// site has not 6 bytes. That they do shows in the line of the length's check, which stands before the
    /// feature's, and in the call's check being there.
    pub(super) fn boot_of_unequal_lengths(&self, a: &Alternative, b: &Alternative) -> Option<AtBoot> {
        let traps = self.traps()?;
        let longest = a.site_len.max(b.site_len);
        if traps.checks_whole_sites() || longest == 6 || longest > MAX_PATCH_LEN {
            return None;
        }
        traps.no_indirect_call.as_ref()?;
        let direct = [a, b].into_iter().find(|e| e.direct_call)?;
        Some(self.boot(direct, NO_INDIRECT_CALL.to_owned(), true, true))
    }

    /// A call of `BUG_func` is a placeholder: without the flag it would be called.
    fn check_placeholder(&mut self, entry: &Alternative) {
        if entry.replacement_len != 5 {
            return;
        }
        let Some(&[0xe8, a, b, c, d]) = entry.replacement_bytes(self.image) else { return };
        let target = entry.replacement_end().wrapping_offset(i32::from_le_bytes([a, b, c, d]).into());
        let is_bug_func = self.image.extern_at(target) == Some("BUG_func")
            || self.image.symbol_addr("BUG_func") == Some(target);
        if is_bug_func {
            let message = format!(
                "entry {} replaces its site by a call of BUG_func without ALT_FLAG_DIRECT_CALL: the kernel would call it",
                entry.index
            );
            let finding = self.finding(rule!(self, "direct-call"), Severity::Error, entry, message);
            self.report.findings.push(finding);
        }
    }
}

/// What kernels before 6.4 relocate (`apply_alternatives`, `recompute_jump`): a replacement that is one 5-byte
/// call, or one that is 5 bytes long and begins with a jmp.
fn relocated_by_old_kernels(entry: &Alternative, i: &Instruction) -> bool {
    let first = i.ip() == 0;
    first && entry.replacement_len == 5 && (i.is_call_near() || i.is_jmp_near())
}

fn not_whole(error: NotWhole) -> String {
    match error {
        NotWhole::Bad { offset } => format!("the bytes at offset {offset} are no instruction"),
        NotWhole::Cut { offset } => format!("the instruction at offset {offset} goes past the end"),
    }
}
