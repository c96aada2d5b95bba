//! What is proved of each site, and of the trampolines that they go to.

use std::collections::HashMap;

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Image, Kind, VirtAddr};

use super::read::{self, Key};
use super::{StaticCall, StaticCallTable};
use crate::jump_labels::detour;
use crate::{Context, TableReport, disasm};

/// The prefixes of keys and trampolines (include/linux/static_call_types.h).
const KEY_PREFIX: &str = "__SCK__";
const TRAMPOLINE_PREFIX: &str = "__SCT__";

/// `ud1 %esp, %ecx` after a trampoline's jump (`tramp_ud`, arch/x86/kernel/static_call.c, 6.1 and later).
const SIGNATURE: [u8; 3] = [0x0f, 0xb9, 0xcc];

/// What stands at a site or at a trampoline's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// `e8 rel32`, to there.
    Call(VirtAddr),
    /// `e9 rel32`.
    Jump(VirtAddr),
    /// `0f 8x rel32`.
    ConditionalJump(VirtAddr),
    /// `c3`.
    Return,
    /// What the kernel writes over a call: the 5-byte nop, `xor %eax, %eax` with three prefixes, and since 7.x
    /// two more.
    Patched,
    /// Anything else.
    Other,
}

fn form(bytes: &[u8], at: VirtAddr) -> Form {
    let to = |size: i64, rest: &[u8]| {
        let distance = rest.first_chunk().map_or(0, |d| i64::from(i32::from_le_bytes(*d)));
        at.wrapping_offset(size.wrapping_add(distance))
    };
    match bytes {
        [0xe8, rest @ ..] if rest.len() >= 4 => Form::Call(to(5, rest)),
        [0xe9, rest @ ..] if rest.len() >= 4 => Form::Jump(to(5, rest)),
        [0x0f, 0x80..=0x8f, rest @ ..] if rest.len() >= 4 => Form::ConditionalJump(to(6, rest)),
        [0xc3, ..] => Form::Return,
        [0x0f, 0x1f, 0x44, 0x00, 0x00, ..]
        | [0x2e, 0x2e, 0x2e, 0x31, 0xc0, ..]
        | [0x67, 0x48, 0x0f, 0xb9, 0x3a, ..]
        | [0x3e, 0x3e, 0xc6, 0x07, 0x00, ..] => Form::Patched,
        _ => Form::Other,
    }
}

/// Checks the sites of an image.
pub(super) fn check(context: &Context<'_>) -> Option<TableReport> {
    if context.image.arch() == Arch::Arm64 {
        return arm64(context.image);
    }
    let table = match context.static_calls() {
        Ok(table) => table,
        Err(report) => return Some(report.clone()),
    };
    let mut checker = Checker::new(context, table);
    checker.run();
    Some(checker.into_report())
}

/// arm64 has no sites; since 7.x with CONFIG_CFI it has trampolines, which hold a literal and cannot disagree
/// with a table.
fn arm64(image: &Image) -> Option<TableReport> {
    let first = image.symbol_addr("__static_call_text_start")?;
    let after = image.symbols().upper_bound(first.wrapping_offset(-1));
    let has_trampolines = (after..after.saturating_add(8))
        .filter_map(|i| image.symbols().get(i))
        .any(|symbol| symbol.name.starts_with(TRAMPOLINE_PREFIX));
    has_trampolines.then(|| {
        TableReport::absent(
            "static-calls",
            "arm64 has static call trampolines only, no sites; they are not checked.",
        )
    })
}

/// Seen by booting such a kernel in QEMU: not a byte comes out, and the log buffer is empty.
const BEFORE_EXCEPTIONS: &str =
    "in setup_arch, before exceptions are handled and early_printk is set up: the kernel halts in silence";

struct Checker<'a> {
    context: &'a Context<'a>,
    image: &'a Image,
    table: &'a StaticCallTable,
    forms: Vec<Form>,
    /// The key that each trampoline belongs to: the one that most of its sites name, with how many do.
    owners: HashMap<VirtAddr, (VirtAddr, u32)>,
    /// Some key has a `__SCK__` symbol, so each must.
    keys_named: bool,
    /// The kernel's validation ends in BUG (6.1 and later), not in a WARN_ONCE (5.10).
    fatal: bool,
    findings: Vec<Finding>,
    unresolved: u64,
    trampolines: u64,
}

impl<'a> Checker<'a> {
    fn new(context: &'a Context<'a>, table: &'a StaticCallTable) -> Self {
        let image = context.image;
        let forms: Vec<Form> =
            table.calls.iter().map(|call| form(image.bytes_up_to(call.site, 6), call.site)).collect();
        let keys_named = table.calls.iter().any(|call| name_at(image, call.key, KEY_PREFIX).is_some());
        let kernel = if image.kind() == Kind::Module { context.kernel } else { Some(image) };
        Checker {
            context,
            image,
            table,
            owners: owners(image, table, &forms),
            forms,
            keys_named,
            fatal: kernel.is_none_or(ends_in_bug),
            findings: Vec::new(),
            unresolved: 0,
            trampolines: 0,
        }
    }

    fn run(&mut self) {
        if self.table.left_over != 0 {
            self.report_size();
        }
        for (call, form) in self.table.calls.iter().zip(self.forms.clone()) {
            self.check_call(call, form);
        }
        self.check_trampolines();
        self.check_shared_sites();
        self.findings.sort_by_key(|finding| finding.index.unwrap_or(u64::MAX));
    }

    fn check_call(&mut self, call: &StaticCall, form: Form) {
        if !self.image.is_executable(call.site) {
            self.report_site(call);
            return;
        }
        let key_is_good = self.check_key(call);
        let to = match (form, call.tail) {
            (Form::Call(to), false) | (Form::Jump(to) | Form::ConditionalJump(to), true) => to,
            (Form::Patched, false) | (Form::Return, true) => {
                self.report_patched(call);
                return;
            }
            _ => {
                self.report_opcode(call, form);
                return;
            }
        };
        if key_is_good {
            self.check_destination(call, to);
        }
        if call.init {
            self.report_init(call);
        }
    }

    /// The key is a static call key; reports what is wrong with it.
    fn check_key(&mut self, call: &StaticCall) -> bool {
        if let Some(name) = self.image.extern_at(call.key) {
            return self.check_undefined_key(call, name);
        }
        if self.image.kind() == Kind::Module && name_at(self.image, call.key, TRAMPOLINE_PREFIX).is_some() {
            // The module's own trampoline: its own key would have been used.
            self.report_key(call, "is a trampoline of this module, where its key should stand".to_owned());
            return false;
        }
        let fault = if !call.key.0.is_multiple_of(8) {
            Some("is not aligned to 8 bytes".to_owned())
        } else if !self.image.is_writable(call.key) {
            Some("is in no writable data".to_owned())
        } else {
            match read::key(self.image, call.key) {
                None => Some("is not in the image's memory".to_owned()),
                Some(key) if !read::is_key(self.image, &key) => Some(format!(
                    "holds no static call key: expected a function (or 0) and 1, found {:#x} and {:#x}",
                    key.func, key.word
                )),
                Some(_) if self.keys_named && name_at(self.image, call.key, KEY_PREFIX).is_none() => {
                    Some(format!("is no {KEY_PREFIX} object"))
                }
                Some(_) => None,
            }
        };
        let good = fault.is_none();
        if let Some(fault) = fault {
            self.report_key(call, fault);
        }
        good
    }

    /// A module's key that lives in the kernel, or the trampoline in place of one that is not exported.
    fn check_undefined_key(&mut self, call: &StaticCall, name: &str) -> bool {
        let is_key = name.starts_with(KEY_PREFIX);
        if !is_key && !name.starts_with(TRAMPOLINE_PREFIX) {
            self.report_key(call, format!("is {name}, which is no static call key"));
            return false;
        }
        let Some(kernel) = self.context.kernel else {
            self.unresolved += 1;
            return true;
        };
        if !is_key && !has_tramp_key(kernel, name) {
            self.report_no_tramp_key(call, name);
            return false;
        }
        true
    }

    /// The site goes to the trampoline of its key.
    fn check_destination(&mut self, call: &StaticCall, to: VirtAddr) {
        let trampoline = self.image.extern_at(to).and_then(|name| name.strip_prefix(TRAMPOLINE_PREFIX));
        let trampoline = trampoline.or_else(|| name_at(self.image, to, TRAMPOLINE_PREFIX));
        let key = self.key_name(call.key);
        match (trampoline, key) {
            (Some(trampoline), Some(key)) if trampoline == key => {}
            // Keys or trampolines may have several names.
            (Some(_), Some(_)) if self.share_a_name(call.key, to) => {}
            (Some(trampoline), Some(key)) => self.report_mismatch(call, to, trampoline, key),
            (None, _) if !self.looks_like_trampoline(to) => self.report_destination(call, to),
            _ => self.check_owner(call, to),
        }
    }

    /// Without names: the sites of one trampoline agree on its key, and its jump goes to the key's function.
    fn check_owner(&mut self, call: &StaticCall, to: VirtAddr) {
        let agrees = self.owners.get(&to).is_none_or(|(owner, _)| *owner == call.key);
        let function = read::key(self.image, call.key).map(|key| key.func);
        let goes_there = match (self.trampoline_target(to), function) {
            (Some(target), Some(function)) if function != VirtAddr(0) => target == function,
            _ => true,
        };
        if !agrees || !goes_there {
            let (from, to_name) = (format!("{to:#x}"), format!("{:#x}", call.key));
            self.report_mismatch(call, to, &from, &to_name);
        }
    }

    fn key_name(&self, key: VirtAddr) -> Option<&'a str> {
        let undefined = self.image.extern_at(key);
        undefined
            .and_then(|name| name.strip_prefix(KEY_PREFIX).or_else(|| name.strip_prefix(TRAMPOLINE_PREFIX)))
            .or_else(|| name_at(self.image, key, KEY_PREFIX))
    }

    fn share_a_name(&self, key: VirtAddr, trampoline: VirtAddr) -> bool {
        names_at(self.image, key, KEY_PREFIX)
            .any(|name| names_at(self.image, trampoline, TRAMPOLINE_PREFIX).any(|other| other == name))
    }

    fn looks_like_trampoline(&self, at: VirtAddr) -> bool {
        let bytes = self.image.bytes_up_to(at, 8);
        bytes.get(5..8) == Some(&SIGNATURE)
            || (self.image.kind() != Kind::Module && matches!(form(bytes, at), Form::Jump(_)))
    }

    fn trampoline_target(&self, at: VirtAddr) -> Option<VirtAddr> {
        match form(self.image.bytes_up_to(at, 6), at) {
            Form::Jump(to) => Some(to),
            _ => None,
        }
    }

    /// Each trampoline that a site goes to jumps to its key's function and carries the signature.
    fn check_trampolines(&mut self) {
        let mut owned: Vec<(VirtAddr, VirtAddr)> =
            self.owners.iter().map(|(at, (key, _))| (*at, *key)).collect();
        owned.sort_unstable();
        let has_signature =
            |at: VirtAddr| self.image.bytes(at, 8).is_some_and(|bytes| bytes[5..8] == SIGNATURE);
        owned.retain(|(at, _)| self.image.bytes(*at, 8).is_some() && name_or_signature(self.image, *at));
        let signed = owned.iter().filter(|(at, _)| has_signature(*at)).count();
        // 5.10 writes none and checks none; a module alone does not say which kernel it is for.
        let expected = signed > 0 || self.fatal && self.image.kind() != Kind::Module;
        self.trampolines = owned.len() as u64;
        for (at, key) in owned {
            if expected && !has_signature(at) {
                self.report_signature(at, key);
            }
            let Some(held) = read::key(self.image, key).filter(|held| read::is_key(self.image, held)) else {
                continue;
            };
            self.check_trampoline_target(at, key, held);
        }
    }

    fn check_trampoline_target(&mut self, at: VirtAddr, key: VirtAddr, held: Key) {
        match (form(self.image.bytes_up_to(at, 6), at), held.func) {
            // A key without a function: a return, or a jump to the return thunk.
            (Form::Return | Form::Jump(_), VirtAddr(0)) => {}
            (Form::Jump(to), function) if to == function => {}
            (found, function) => self.report_trampoline(at, key, found, function),
        }
    }

    fn check_shared_sites(&mut self) {
        let mut order: Vec<&StaticCall> = self.table.calls.iter().collect();
        order.sort_unstable_by_key(|call| (call.site, call.index));
        for pair in order.windows(2) {
            let [first, second] = pair else { continue };
            let gap = second.site.0 - first.site.0;
            if gap < 5 {
                self.report_shared(first, second, gap);
            }
        }
    }

    /// A finding about an entry, with the evidence that all of them show.
    fn finding(&self, rule: &'static str, call: &StaticCall, message: String) -> Finding {
        let mut finding = Finding::new(rule, Severity::Error, message)
            .index(u64::from(call.index))
            .at(self.image, call.site)
            .with("entry", self.table.entry_addr(call));
        let length = if matches!(self.forms[call.index as usize], Form::ConditionalJump(_)) { 6 } else { 5 };
        let bytes = self.image.bytes_up_to(call.site, length);
        if !bytes.is_empty() {
            finding = finding.with("code", disasm::code(self.image, call.site, bytes));
        }
        finding.with("key", self.described_key(call.key)).with("tail", u64::from(call.tail))
    }

    fn described_key(&self, key: VirtAddr) -> String {
        match self.image.extern_at(key).map(str::to_owned).or_else(|| self.image.symbolize(key)) {
            Some(name) => format!("{name} ({key:#x})"),
            None => format!("{key:#x}"),
        }
    }

    fn described(&self, addr: VirtAddr) -> String {
        self.described_key(addr)
    }

    /// Adds the line of `__static_call_validate`, when it does not accept what stands at the site. vmlinux comes
    /// to it on every boot, a module whenever it is loaded.
    fn with_validation(&self, finding: Finding, call: &StaticCall) -> Finding {
        if let Some(line) = self.early_fault(call.key) {
            return finding.with("when", BEFORE_EXCEPTIONS).at_boot(line, true);
        }
        let bytes = self.image.bytes_up_to(call.site, 6);
        let Some(opcode) = bytes.first() else { return finding };
        let accepted = match form(bytes, call.site) {
            Form::Jump(_) | Form::Return | Form::ConditionalJump(_) => call.tail,
            Form::Call(_) | Form::Patched => !call.tail,
            Form::Other => false,
        };
        if accepted {
            return finding;
        }
        let place = self.image.symbolize(call.site).unwrap_or_else(|| format!("{:#x}", call.site));
        let line = if self.is_in_the_table(call.site) {
            // static_call_sort_entries() has moved what stands there: which byte it will be is not followed.
            "unexpected static_call insn opcode 0x".to_owned()
        } else {
            format!("unexpected static_call insn opcode {opcode:#x} at {place}")
        };
        match self.image.module_name() {
            Some(module) => {
                finding.at_boot_when(line, self.fatal, format!("when the module {module} is loaded"))
            }
            // Checked by booting such a kernel in QEMU: nothing at all comes out.
            None => finding
                .with(
                    "when",
                    "in setup_arch, before any console is registered: the line is only in the log buffer",
                )
                .at_boot(line, self.fatal),
        }
    }

    fn is_in_the_table(&self, addr: VirtAddr) -> bool {
        let bounds = &self.table.bounds;
        addr.0.checked_sub(bounds.start.0).is_some_and(|offset| offset < bounds.len())
    }

    /// How a kernel dies whose key is nowhere: before it transforms a key's first site, `__static_call_init` writes to
    /// `key->sites`. setup_arch has no page fault handler yet but the one for early exceptions.
    fn early_fault(&self, key: VirtAddr) -> Option<String> {
        let fault = crate::mapped::page_fault(self.image, key.checked_add(8)?)?;
        let vector = if fault.starts_with("general protection") { 0x0d } else { 0x0e };
        Some(format!("PANIC: early exception {vector:#04x}"))
    }

    fn report_size(&mut self) {
        let message = format!(
            "the table has {} bytes, which is no whole number of 8-byte entries: {} are left over",
            self.table.bounds.len(),
            self.table.left_over
        );
        let finding = Finding::new("static-calls/size", Severity::Error, message);
        self.findings.push(finding.at(self.image, self.table.bounds.start));
    }

    fn report_site(&mut self, call: &StaticCall) {
        let message = format!(
            "the site {} is in no executable section; static_call_init writes 5 bytes there on every boot if it \
             takes what stands there for a call",
            self.described(call.site)
        );
        let finding = self.finding("static-calls/site", call, message);
        let finding = self.with_validation(finding, call);
        self.findings.push(
            finding.advice(
                "the entry's addr field is wrong: compare it with the object file it was linked from",
            ),
        );
    }

    fn report_opcode(&mut self, call: &StaticCall, form: Form) {
        let expected = if call.tail { "a jump (e9 or 0f 8x)" } else { "a call (e8)" };
        let found = match form {
            Form::Call(_) => "a call",
            Form::Jump(_) => "a jump",
            Form::ConditionalJump(_) => "a conditional jump",
            Form::Return => "a return",
            Form::Patched => "an instruction that the kernel writes over calls",
            Form::Other => "something else",
        };
        let flag = if call.tail { "marked as a tail call" } else { "not marked as a tail call" };
        let finding = self.finding(
            "static-calls/opcode",
            call,
            format!("the site is {flag}, so it must hold {expected}, but holds {found}"),
        );
        let finding = self.with_validation(finding, call);
        self.findings.push(finding.advice(
            "either the entry's addr or its tail bit is wrong, or something has rewritten the site after objtool \
             listed it",
        ));
    }

    fn report_patched(&mut self, call: &StaticCall) {
        let mut finding = self.finding(
            "static-calls/patched",
            call,
            "the site holds what the running kernel writes there, not the call to a trampoline that objtool lists; \
             until static_call_init the call is not made"
                .to_owned(),
        );
        finding.severity = Severity::Warning;
        self.findings.push(finding.advice("find what has rewritten the site after it was compiled"));
    }

    fn report_key(&mut self, call: &StaticCall, what: String) {
        let finding = self.finding(
            "static-calls/key",
            call,
            format!(
                "the key {} {what}; the kernel points the site at whatever its first 8 bytes hold and overwrites \
                 the next 8",
                self.described_key(call.key)
            ),
        );
        let finding = match self.early_fault(call.key) {
            Some(line) => finding.with("when", BEFORE_EXCEPTIONS).at_boot(line, true),
            None => finding,
        };
        self.findings
            .push(finding.advice(
                "the entry's key field is wrong: compare it with the object file it was linked from",
            ));
    }

    fn report_no_tramp_key(&mut self, call: &StaticCall, name: &str) {
        let function = self.image.symbol_at(call.site).map_or("?", |(symbol, _)| symbol.name);
        let module = self.image.module_name().map(|name| format!(" [{name}]")).unwrap_or_default();
        let finding = self
            .finding(
                "static-calls/tramp-key",
                call,
                format!("the kernel has no entry for {name} in its static_call_tramp_key table: it refuses the module"),
            )
            .at_boot_when(
                format!("Failed to fixup __raw_static_call() usage at: {function}{module}"),
                true,
                "when the module is loaded",
            );
        self.findings.push(finding.advice("the kernel must export it with EXPORT_STATIC_CALL_TRAMP"));
    }

    fn report_mismatch(&mut self, call: &StaticCall, to: VirtAddr, trampoline: &str, key: &str) {
        let finding = self
            .finding(
                "static-calls/mismatch",
                call,
                format!(
                    "the site goes to the trampoline of {trampoline}, but its entry names the key of {key}: \
                     static_call_init makes it call that key's function, without a word"
                ),
            )
            .with("destination", self.described(to));
        self.findings.push(
            finding
                .advice("one of the two is wrong: compare them with the object file they were linked from"),
        );
    }

    fn report_destination(&mut self, call: &StaticCall, to: VirtAddr) {
        let finding = self.finding(
            "static-calls/destination",
            call,
            format!(
                "the site goes to {}, which is no static call trampoline; the kernel replaces the call without \
                 looking where it went",
                self.described(to)
            ),
        );
        self.findings.push(
            finding.advice(
                "the entry's addr field is wrong, or the call was redirected after objtool listed it",
            ),
        );
    }

    fn report_init(&mut self, call: &StaticCall) {
        let mut finding = self.finding(
            "static-calls/flag",
            call,
            "bit 1 of the key field is set: objtool sets it nowhere, and the kernel, which only ever sets it, \
             leaves such a site out of every update after boot"
                .to_owned(),
        );
        if self.image.section_at(call.site).is_some_and(|section| section.name.starts_with(".init")) {
            finding.severity = Severity::Warning;
        }
        self.findings.push(finding.advice("the entry's key field was changed after it was linked"));
    }

    fn report_signature(&mut self, at: VirtAddr, key: VirtAddr) {
        let name = self.key_name(key).map_or_else(|| format!("{key:#x}"), str::to_owned);
        let finding = Finding::new(
            "static-calls/signature",
            Severity::Error,
            format!("the trampoline of {name} lacks its signature: expected 0f b9 cc at +5"),
        )
        .at(self.image, at)
        .with("code", disasm::code(self.image, at, self.image.bytes_up_to(at, 8)))
        .at_boot_when(
            "trampoline signature fail",
            true,
            format!("when the static call {name} is updated"),
        );
        self.findings.push(finding.advice("something has overwritten the trampoline"));
    }

    fn report_trampoline(&mut self, at: VirtAddr, key: VirtAddr, found: Form, function: VirtAddr) {
        let goes = match found {
            Form::Jump(to) => format!("jumps to {}", self.described(to)),
            _ => "does not jump".to_owned(),
        };
        let holds = if function == VirtAddr(0) { "none".to_owned() } else { self.described(function) };
        let opcode = self.image.u8(at).unwrap_or_default();
        let name = self.key_name(key).map_or_else(|| format!("{key:#x}"), str::to_owned);
        let mut finding = Finding::new(
            "static-calls/trampoline",
            Severity::Error,
            format!("the trampoline of {name} {goes}, but its key's function is {holds}: calls before static_call_init go astray"),
        )
        .at(self.image, at)
        .with("code", disasm::code(self.image, at, self.image.bytes_up_to(at, 8)))
        .with("key", self.described_key(key));
        if matches!(found, Form::Call(_) | Form::Patched | Form::Other) {
            let place = self.image.symbolize(at).unwrap_or_else(|| format!("{at:#x}"));
            finding = finding.at_boot_when(
                format!("unexpected static_call insn opcode {opcode:#x} at {place}"),
                self.fatal,
                format!("when the static call {name} is updated"),
            );
        }
        self.findings.push(finding.advice("the key or the trampoline was changed after they were compiled"));
    }

    fn report_shared(&mut self, first: &StaticCall, second: &StaticCall, gap: u64) {
        let (rule, what) = if gap == 0 {
            ("static-calls/duplicate-site", "name the same site")
        } else {
            ("static-calls/overlap", "overlap")
        };
        // Entries of one function stand together in the table: the stranger among its neighbours is the copy.
        let (kept, copy) =
            if self.misfit(first) > self.misfit(second) { (second, first) } else { (first, second) };
        let finding = self
            .finding(
                rule,
                copy,
                format!(
                    "entries {} ({}) and {} ({}) {what}",
                    kept.index,
                    self.described_key(kept.key),
                    copy.index,
                    self.described_key(copy.key)
                ),
            )
            .with("other entry", u64::from(kept.index));
        self.findings
            .push(finding.advice("an entry was overwritten by another, or the table was merged twice"));
    }

    /// How far out of its way the table goes for an entry, from the entry before to the one after.
    fn misfit(&self, call: &StaticCall) -> u64 {
        let i = call.index as usize;
        let near = |j: Option<usize>| j.and_then(|j| self.table.calls.get(j)).map(|other| other.site.0);
        detour(near(i.checked_sub(1)), call.site.0, near(i.checked_add(1)))
    }

    fn into_report(self) -> TableReport {
        let mut report = TableReport::new("static-calls", Some(self.table.bounds.located_by.clone()));
        report.entries = self.table.calls.len() as u64;
        report.layout = Some(format!("8-byte relative entries, {} trampolines", self.trampolines));
        report.proved = vec![
            "each site is a call, or a jump where marked as a tail call".to_owned(),
            "each site goes to the trampoline of its key, and each key holds a function".to_owned(),
            "each trampoline jumps to its key's function".to_owned(),
            "no two entries share a site".to_owned(),
        ];
        if self.unresolved > 0 {
            report.skipped.push(format!(
                "{} entries have their key in another file: that it is one is not checked (give the kernel that \
                 the module is for).",
                self.unresolved
            ));
        }
        if !self.keys_named && self.image.kind() != Kind::Module && !self.table.calls.is_empty() {
            report.skipped.push(
                "No symbol names a key: sites are matched with keys by what most sites of a trampoline say."
                    .to_owned(),
            );
        }
        report.findings = self.findings;
        report
    }
}

/// The key that most sites of each trampoline name.
fn owners(image: &Image, table: &StaticCallTable, forms: &[Form]) -> HashMap<VirtAddr, (VirtAddr, u32)> {
    let mut pairs: Vec<(VirtAddr, VirtAddr)> = Vec::with_capacity(table.calls.len());
    for (call, form) in table.calls.iter().zip(forms) {
        if let Form::Call(to) | Form::Jump(to) | Form::ConditionalJump(to) = form {
            pairs.push((*to, call.key));
        }
    }
    pairs.sort_unstable();
    // How well a key's function fits where the trampoline jumps, to decide between as many sites.
    let fit = |trampoline: VirtAddr, key: VirtAddr| {
        let target = form(image.bytes_up_to(trampoline, 6), trampoline);
        match read::key(image, key).map(|key| key.func) {
            Some(function) if target == Form::Jump(function) => 2,
            Some(VirtAddr(0)) => 1,
            _ => 0,
        }
    };
    let mut owners: HashMap<VirtAddr, (VirtAddr, u32)> = HashMap::new();
    for same in pairs.chunk_by(|a, b| a == b) {
        let (trampoline, key) = same[0];
        let votes = u32::try_from(same.len()).unwrap_or(u32::MAX);
        let owner = owners.entry(trampoline).or_insert((key, votes));
        if owner.0 != key && (votes, fit(trampoline, key)) > (owner.1, fit(trampoline, owner.0)) {
            *owner = (key, votes);
        }
    }
    owners
}

/// Whether an address is a trampoline's by name or by content: a misdirected call must not make one of any function.
fn name_or_signature(image: &Image, at: VirtAddr) -> bool {
    name_at(image, at, TRAMPOLINE_PREFIX).is_some()
        || image.bytes(at, 8).is_some_and(|bytes| bytes[5..8] == SIGNATURE)
}

/// The names at an address that have a prefix, without it.
fn names_at<'i>(image: &'i Image, addr: VirtAddr, prefix: &'static str) -> impl Iterator<Item = &'i str> {
    let table = image.symbols();
    let after = table.upper_bound(addr);
    (after.saturating_sub(64)..after)
        .rev()
        .map_while(move |i| table.get(i).filter(|symbol| symbol.addr == addr))
        .filter_map(move |symbol| symbol.name.strip_prefix(prefix))
}

fn name_at<'i>(image: &'i Image, addr: VirtAddr, prefix: &'static str) -> Option<&'i str> {
    names_at(image, addr, prefix).next()
}

/// Whether a kernel's validation ends in BUG: the check of the trampoline's signature came with it.
fn ends_in_bug(kernel: &Image) -> bool {
    memchr::memmem::find(kernel.raw(), b"trampoline signature fail").is_some()
}

/// Whether the kernel's table of unexported keys has a trampoline.
fn has_tramp_key(kernel: &Image, trampoline: &str) -> bool {
    let bounds = crate::Bounds::locate(
        kernel,
        ".static_call_tramp_key",
        "__start_static_call_tramp_key",
        "__stop_static_call_tramp_key",
    );
    let (Some(bounds), Some(wanted)) = (bounds, kernel.symbol_addr(trampoline)) else { return false };
    let rows = bounds.len() / 8;
    (0..rows).any(|row| kernel.rel32(bounds.start.wrapping_offset((row * 8).cast_signed())) == Some(wanted))
}
