//! x86-64: paravirt, retpolines, returns, alternatives, endbr, lock prefixes, then what is switched later.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction};
use kvet_image::{Image, VirtAddr};

use super::nops::{NOPS, Nops};
use super::{Class, Machine, Owner, PatchedText};
use crate::alternatives::x86::{self as alt, Alternative, Layout};
use crate::features::x86::{RETHUNK, RETPOLINE, RETPOLINE_LFENCE};
use crate::{Bounds, Context};

/// How a kernel patches: which of the forms that arch/x86/kernel/alternative.c has had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// 5.13 to 6.7: paravirt sites of their own, nops of up to 8 bytes out of single ones.
    Paravirt,
    /// 6.8 to 6.15: ALT_FLAG_DIRECT_CALL, nops of up to 11 bytes, jumps over longer runs.
    DirectCall,
    /// Later: the last alternative that applies is written, and indirect calls are padded in front.
    LastWins,
}

impl Dialect {
    /// By what the image has: `.parainstructions`, and the names of functions.
    pub fn of(context: &Context<'_>) -> Dialect {
        let image = context.image;
        let old_layout = alt::entries(context).is_some_and(|t| t.layout != Layout::Flags);
        let paravirt =
            Bounds::locate(image, ".parainstructions", "__parainstructions", "__parainstructions_end");
        if old_layout || paravirt.is_some_and(|b| !b.is_empty()) {
            return Dialect::Paravirt;
        }
        // 6.16 renamed text_poke_queue() and split apply_alternatives().
        match image.symbol_addr("smp_text_poke_single") {
            Some(_) => Dialect::LastWins,
            None => Dialect::DirectCall,
        }
    }

    fn longest_nop(self) -> usize {
        if self == Dialect::Paravirt { 8 } else { 11 }
    }
}

const INT3: u8 = 0xcc;
/// A tail call of nothing, on a processor of which no return thunk has been asked for yet.
const EARLY_RETURN: [u8; 5] = [0xc3, INT3, INT3, INT3, INT3];

pub(super) fn apply(text: &mut PatchedText, context: &Context<'_>, machine: &dyn Machine, dialect: Dialect) {
    let patcher = Patcher::new(context, machine, dialect);
    let stage = machine.stage();
    if dialect == Dialect::Paravirt {
        patcher.paravirt(text);
    }
    patcher.retpolines(text);
    patcher.returns(text);
    if !stage.alternatives {
        text.remember();
    }
    patcher.alternatives(text);
    patcher.endbr(text);
    if stage.uniprocessor {
        patcher.locks(text);
    }
    patcher.ftrace(text);
    patcher.runtime_constants(text);
    patcher.static_calls(text);
    patcher.jump_labels(text);
}

struct Patcher<'c, 'a> {
    context: &'c Context<'a>,
    image: &'a Image,
    machine: &'c dyn Machine,
    dialect: Dialect,
    /// The thunks of retpolines by address, with their registers.
    thunks: Vec<(u64, u8)>,
    return_thunk: Option<u64>,
    current_return_thunk: Option<u64>,
    its: bool,
    nops: Nops,
}

const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

impl<'c, 'a> Patcher<'c, 'a> {
    fn new(context: &'c Context<'a>, machine: &'c dyn Machine, dialect: Dialect) -> Patcher<'c, 'a> {
        let image = context.image;
        let thunk = |(name, register): (&str, u8)| {
            image.symbol_addr(&format!("__x86_indirect_thunk_{name}")).map(|at| (at.0, register))
        };
        let mut thunks: Vec<(u64, u8)> = REGISTERS.iter().copied().zip(0_u8..).filter_map(thunk).collect();
        thunks.sort_unstable();
        let return_thunk = image.symbol_addr("__x86_return_thunk").map(|a| a.0);
        let current = image.symbol_addr("x86_return_thunk").and_then(|at| machine.pointer(at));
        let its = image.symbol_addr("its_return_thunk").map(|a| a.0);
        Patcher {
            context,
            image,
            machine,
            dialect,
            thunks,
            return_thunk,
            current_return_thunk: current.or(return_thunk),
            its: its.is_some() && its == current,
            nops: Nops::of(image, machine),
        }
    }

    /// `apply_paravirt`, `paravirt_patch` (up to 6.7): a direct call of what `pv_ops` holds, or nothing.
    fn paravirt(&self, text: &mut PatchedText) {
        let image = self.image;
        let located =
            Bounds::locate(image, ".parainstructions", "__parainstructions", "__parainstructions_end");
        let bytes = located.as_ref().and_then(|b| b.bytes(image)).unwrap_or(&[]);
        // 10 bytes and padding before the next: the last has none.
        let entries: Vec<&[u8]> = bytes.chunks(16).filter(|entry| entry.len() >= 10).collect();
        let Some(ops) = image.symbol_addr("pv_ops").filter(|_| !entries.is_empty()) else {
            if !entries.is_empty() {
                text.skipped.push("the paravirt sites are not followed: no symbol names pv_ops".into());
            }
            return;
        };
        let nothing = image.symbol_addr("_paravirt_nop").map(|a| a.0);
        let bug = image.symbol_addr("paravirt_BUG").map_or(0, |a| a.0);
        // Up to 5.11 (arch/x86/kernel/paravirt_patch.c).
        let native = image.symbol_addr("native_patch").is_some();
        let iret = image.symbol_addr("native_iret").map(|a| a.0);
        for (i, entry) in entries.iter().enumerate() {
            let mut word = [0; 8];
            word.copy_from_slice(&entry[..8]);
            let at = VirtAddr(u64::from_le_bytes(word));
            let (kind, len) = (u64::from(entry[8]), usize::from(entry[9]));
            let Some(target) = self.machine.pointer(VirtAddr(ops.0.wrapping_add(8 * kind))) else { continue };
            let target = if target == 0 { bug } else { target };
            let mut new = Vec::with_capacity(len);
            if let Some(code) = native.then(|| self.native_code(target)).flatten() {
                new.extend(code);
            } else if Some(target) != nothing {
                let is_jump = native && iret.is_some_and(|iret| target == iret);
                new.extend(branch(if is_jump { 0xe9 } else { 0xe8 }, at.0, target));
            }
            if new.len() > len {
                continue;
            }
            let missing = len - new.len();
            self.nops.pad(&mut new, missing, self.dialect.longest_nop());
            text.put(at, &new, Owner::of(Class::Paravirt, i));
        }
    }

    /// Up to 5.11 some operations, where they are the bare machine's, are written out instead of being called
    /// (arch/x86/kernel/paravirt_patch.c, `native_patch`).
    fn native_code(&self, target: u64) -> Option<&'static [u8]> {
        const CODE: &[(&str, &[u8])] = &[
            ("native_save_fl", &[0x9c, 0x58]),
            ("native_restore_fl", &[0x57, 0x9d]),
            ("native_irq_disable", &[0xfa]),
            ("native_irq_enable", &[0xfb]),
            ("native_read_cr2", &[0x0f, 0x20, 0xd0]),
            ("__native_read_cr3", &[0x0f, 0x20, 0xd8]),
            ("native_write_cr3", &[0x0f, 0x22, 0xdf]),
            ("native_wbinvd", &[0x0f, 0x09]),
            ("native_usergs_sysret64", &[0x0f, 0x01, 0xf8, 0x48, 0x0f, 0x07]),
            ("native_swapgs", &[0x0f, 0x01, 0xf8]),
            ("__raw_callee_save___native_queued_spin_unlock", &[0xc6, 0x07, 0x00]),
            ("__raw_callee_save___native_vcpu_is_preempted", &[0x31, 0xc0]),
            ("_paravirt_ident_64", &[0x48, 0x89, 0xf8]),
        ];
        // An inline function may have several copies, one of which is meant; another name may share its place.
        let at = self.image.symbol_at(VirtAddr(target)).filter(|(_, offset)| *offset == 0);
        let is_target = |name: &str| {
            at.is_some_and(|(symbol, _)| symbol.name == name)
                || self.image.symbol_addr(name).is_some_and(|at| at.0 == target)
        };
        CODE.iter().find(|(name, _)| is_target(name)).map(|(_, code)| *code)
    }

    fn sites(&self, section: &str, start: &str, stop: &str) -> Vec<VirtAddr> {
        let Some(bounds) = Bounds::locate(self.image, section, start, stop) else { return Vec::new() };
        let (words, _) = bounds.bytes(self.image).unwrap_or(&[]).as_chunks::<4>();
        let site = |(i, bytes): (usize, &[u8; 4])| {
            let field = bounds.start.wrapping_offset(4 * i as i64);
            field.wrapping_offset(i32::from_le_bytes(*bytes).into())
        };
        words.iter().enumerate().map(site).collect()
    }

    fn register_of(&self, target: u64) -> Option<u8> {
        let at = self.thunks.partition_point(|(start, _)| *start <= target);
        let (start, register) = *self.thunks.get(at.checked_sub(1)?)?;
        (target - start < 32).then_some(register)
    }

    /// `apply_retpolines`: where the CPU needs no thunk, the branch itself.
    fn retpolines(&self, text: &mut PatchedText) {
        let sites = self.sites(".retpoline_sites", "__retpoline_sites", "__retpoline_sites_end");
        if sites.is_empty() || self.thunks.is_empty() {
            return;
        }
        let lfence = self.machine.has(RETPOLINE_LFENCE);
        let kept = self.machine.has(RETPOLINE) && !lfence;
        for (i, at) in sites.into_iter().enumerate() {
            let owner = Owner::of(Class::Retpoline, i);
            let Some(old) = text.bytes(at, 6).map(<[u8]>::to_vec) else { continue };
            let Some((instruction, _)) = decode(at.0, &old) else { continue };
            let len = instruction.len();
            let target = instruction.near_branch_target();
            let register = self.register_of(target);
            let new = match register {
                Some(register) if !kept => self.indirect(&old[..len], &instruction, register, lfence),
                _ => None,
            };
            text.put(at, new.as_deref().unwrap_or(&old[..len]), owner);
        }
    }

    /// `patch_retpoline`, `emit_indirect`.
    fn indirect(&self, old: &[u8], i: &Instruction, register: u8, lfence: bool) -> Option<Vec<u8>> {
        let len = old.len();
        let mut out = Vec::with_capacity(len);
        let is_call = i.flow_control() == FlowControl::Call;
        if i.flow_control() == FlowControl::ConditionalBranch {
            out.push(0x70 + ((old.get(1)? & 0xf) ^ 1));
            out.push(u8::try_from(len - 2).ok()?);
        }
        if lfence {
            out.extend([0x0f, 0xae, 0xe8]);
        }
        let size = if register >= 8 { 3 } else { 2 };
        let excess = len.checked_sub(out.len() + size)?;
        if self.dialect == Dialect::LastWins && is_call && excess <= 3 {
            out.resize(out.len() + excess, 0x2e);
        }
        if register >= 8 {
            out.push(0x41);
        }
        out.push(0xff);
        out.push(0xc0 + if is_call { 0x10 } else { 0x20 } + (register & 7));
        if !is_call {
            match self.dialect {
                Dialect::LastWins => out.resize(len, INT3),
                _ if out.len() < len => out.push(INT3),
                _ => {}
            }
        }
        out.resize(len, 0x90);
        self.optimize(&mut out, 0);
        Some(out)
    }

    fn wants_thunk_at(&self, at: VirtAddr) -> bool {
        self.machine.has(RETHUNK) && (!self.its || at.0.wrapping_add(self.machine.slide()) & 0x20 == 0)
    }

    /// `apply_returns`, `patch_return`: a plain return, or the thunk that was chosen.
    fn returns(&self, text: &mut PatchedText) {
        for (i, at) in
            self.sites(".return_sites", "__return_sites", "__return_sites_end").into_iter().enumerate()
        {
            let Some(old) = text.bytes(at, 5).map(<[u8]>::to_vec) else { continue };
            let Some((instruction, _)) = decode(at.0, &old) else { continue };
            // A static call's trampoline is fixed up with the call's own arithmetic.
            let trampoline = text.bytes(VirtAddr(at.0.wrapping_add(5)), 3) == Some(&[0x0f, 0xb9, 0xcc]);
            let goes_there = old[0] == 0xe9 && Some(instruction.near_branch_target()) == self.return_thunk;
            if !goes_there {
                continue;
            }
            let mut new = self.return_bytes(at);
            new.resize(if trampoline { 5 } else { instruction.len() }, INT3);
            text.put(at, &new, Owner::of(Class::Return, i));
        }
    }

    fn return_bytes(&self, at: VirtAddr) -> Vec<u8> {
        match (self.wants_thunk_at(at), self.current_return_thunk) {
            (true, Some(thunk)) => branch(0xe9, at.0, thunk).to_vec(),
            _ => vec![0xc3],
        }
    }

    fn alternatives(&self, text: &mut PatchedText) {
        let Some(table) = alt::entries(self.context) else { return };
        let entries = &table.entries;
        let mut i = 0;
        while i < entries.len() {
            let same = entries[i..].iter().take_while(|e| e.site == entries[i].site).count();
            let group = &entries[i..i + same];
            match self.dialect {
                Dialect::Paravirt => group.iter().for_each(|e| self.one_old(text, e)),
                _ => self.group(text, group),
            }
            i += same;
        }
    }

    fn owner(entry: &Alternative) -> Owner {
        let index = usize::try_from(entry.index).unwrap_or(usize::MAX);
        Owner { feature: Some((entry.feature, entry.not)), ..Owner::of(Class::Alternative, index) }
    }

    /// Up to 6.7: each entry by itself, nops merged after each.
    fn one_old(&self, text: &mut PatchedText, e: &Alternative) {
        let len = usize::from(e.site_len);
        let Some(old) = text.bytes(e.site, len).map(<[u8]>::to_vec) else { return };
        let mut new = old;
        if self.machine.has(e.feature) != e.not
            && let Some(replacement) = self.replacement(text, e)
        {
            new = replacement;
            let distance = e.replacement.0.wrapping_sub(e.site.0) as u32;
            if new.len() == 5 && new[0] == 0xe8 {
                add32(&mut new, 1, distance);
            }
            // is_jmp() and replacementlen 5, so a 32-bit jump.
            if new.len() == 5 && matches!(new[0], 0xe9 | 0xeb) {
                new = short_jump(&new, e, &self.nops);
            }
            new.resize(len.max(new.len()), 0x90);
        }
        self.optimize(&mut new, e.site.0);
        text.put(e.site, &new, Self::owner(e));
    }

    /// From 6.8 on: all entries of a site have the longest's length; the last that applies stands in the end.
    fn group(&self, text: &mut PatchedText, group: &[Alternative]) {
        let Some(first) = group.first() else { return };
        let len = group.iter().map(|e| usize::from(e.site_len)).max().unwrap_or(0);
        let Some(original) = text.bytes(first.site, len).map(<[u8]>::to_vec) else { return };
        let mut now = original.clone();
        for e in group {
            if self.machine.has(e.feature) == e.not {
                if self.dialect == Dialect::DirectCall {
                    self.optimize(&mut now, e.site.0);
                }
                continue;
            }
            let instr = if self.dialect == Dialect::DirectCall { now.clone() } else { original.clone() };
            if let Some(new) = self.replaced(text, e, &instr, len) {
                now = new;
                if self.dialect == Dialect::DirectCall {
                    self.optimize(&mut now, e.site.0);
                }
            }
        }
        if self.dialect == Dialect::LastWins {
            self.optimize(&mut now, first.site.0);
        }
        let applied = group.iter().rev().find(|e| self.machine.has(e.feature) != e.not);
        text.put(first.site, &now, Self::owner(applied.unwrap_or(first)));
    }

    /// A replacement as it stands once the returns and retpolines in it have been patched.
    fn replacement(&self, text: &PatchedText, e: &Alternative) -> Option<Vec<u8>> {
        let patched = text.bytes(e.replacement, e.replacement_len.into());
        patched.or_else(|| e.replacement_bytes(self.image)).map(<[u8]>::to_vec)
    }

    fn replaced(&self, text: &PatchedText, e: &Alternative, instr: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut new = self.replacement(text, e)?;
        if e.direct_call {
            let call = self.direct_call(e, instr)?;
            new = call;
            new.resize(len, 0x90);
            return Some(new);
        }
        let repl_len = new.len();
        new.resize(len.max(repl_len), 0x90);
        relocate(&mut new, e, repl_len);
        Some(new)
    }

    /// `alt_replace_call`: `call *disp(%rip)` becomes a direct call of what the pointer holds; of `nop_func` nothing.
    fn direct_call(&self, e: &Alternative, instr: &[u8]) -> Option<Vec<u8>> {
        let [0xff, 0x15, a, b, c, d] = *instr else { return None };
        let pointer = e.site.wrapping_offset(6).wrapping_offset(i32::from_le_bytes([a, b, c, d]).into());
        let target = self.machine.pointer(pointer)?;
        let symbol = |name| self.image.symbol_addr(name).map(|s| s.0);
        if Some(target) == symbol("nop_func") {
            return Some(Vec::new());
        }
        let target = if target == 0 { symbol("BUG_func")? } else { target };
        Some(branch(0xe8, e.site.0, target).to_vec())
    }

    /// `optimize_nops` in its two forms.
    fn optimize(&self, bytes: &mut [u8], ip: u64) {
        let mut i = 0;
        while i < bytes.len() {
            let Some((instruction, _)) = decode(ip.wrapping_add(i as u64), &bytes[i..]) else { return };
            let mut next = i + instruction.len();
            match self.dialect {
                Dialect::Paravirt if bytes[i] == 0x90 => {
                    let run = bytes[i..].iter().take_while(|b| **b == 0x90).count();
                    next = i + run;
                    if run > 1 {
                        let mut nops = Vec::new();
                        self.nops.pad(&mut nops, run, self.dialect.longest_nop());
                        bytes[i..next].copy_from_slice(&nops);
                    }
                }
                Dialect::Paravirt => {}
                _ if is_nop(&bytes[i..next]) => {
                    if next == bytes.len() {
                        return;
                    }
                    while let Some((more, _)) = decode(0, bytes.get(next..).unwrap_or(&[])) {
                        if !is_nop(&bytes[next..next + more.len()]) {
                            break;
                        }
                        next += more.len();
                    }
                    let nop = one_nop(next - i);
                    bytes[i..next].copy_from_slice(&nop);
                }
                _ => {}
            }
            i = next;
        }
    }

    fn endbr(&self, text: &mut PatchedText) {
        let poison: [u8; 4] = match self.dialect {
            Dialect::LastWins => [0x0f, 0x1f, 0x40, 0xd6],
            _ => [0x66, 0x0f, 0x1f, 0x00],
        };
        let sites = self.sites(".ibt_endbr_seal", "__ibt_endbr_seal", "__ibt_endbr_seal_end");
        for (i, at) in sites.into_iter().enumerate() {
            if text.bytes(at, 4).is_some_and(|b| *b == [0xf3, 0x0f, 0x1e, 0xfa]) {
                text.put(at, &poison, Owner::of(Class::Endbr, i));
            }
        }
    }

    fn locks(&self, text: &mut PatchedText) {
        let located = Bounds::locate(self.image, ".smp_locks", "__smp_locks", "__smp_locks_end");
        let Some(bounds) = located else { return };
        for (i, at) in self.sites(".smp_locks", "__smp_locks", "__smp_locks_end").into_iter().enumerate() {
            let padding = at == bounds.start.wrapping_offset(4 * i as i64);
            if !padding && text.bytes(at, 1) == Some(&[0xf0]) {
                text.put(at, &[0x3e], Owner::of(Class::LockPrefix, i));
            }
        }
    }

    /// `ftrace_init`: every call of `__fentry__` becomes a nop (arch/x86/kernel/ftrace.c, `ftrace_make_nop`); a place
    /// that holds something else stays, and ftrace gives up there.
    fn ftrace(&self, text: &mut PatchedText) {
        let bounds = Bounds::locate(self.image, "__mcount_loc", "__start_mcount_loc", "__stop_mcount_loc");
        let (words, _) = bounds.as_ref().and_then(|b| b.bytes(self.image)).unwrap_or(&[]).as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            let at = VirtAddr(u64::from_le_bytes(*word));
            let patched = text.bytes(at, 5).is_some_and(|old| old[0] == 0xe8 || old == NOPS[5]);
            if patched {
                text.put(at, self.nops.live(), Owner::of(Class::Ftrace, i));
            }
        }
    }

    /// `runtime_const_init`: the value of the variable that the section is named after.
    fn runtime_constants(&self, text: &mut PatchedText) {
        let sections = self.image.sections().iter().filter(|s| s.name.starts_with("runtime_"));
        for section in sections {
            let mut parts = section.name.splitn(3, '_').skip(1);
            let (Some(kind), Some(name)) = (parts.next(), parts.next()) else { continue };
            let len = match kind {
                "ptr" => 8,
                "shift" => 1,
                _ => 4,
            };
            let mut value = [0; 8];
            let known =
                self.image.symbol_addr(name).is_some_and(|at| self.machine.raw(at, &mut value[..len.max(4)]));
            if !known {
                // The compiler may have found that nobody reads the variable: then its sites tell, and must agree.
                match self.agreed(section, len) {
                    Some(agreed) => value = agreed,
                    None => {
                        text.skipped.push(format!(
                            "the constants of {} stay as in the file: the boot decides what {name} holds",
                            section.name
                        ));
                        continue;
                    }
                }
            }
            let (words, _) = self.image.section_bytes(section).as_chunks::<4>();
            for (i, bytes) in words.iter().enumerate() {
                let field = section.addr.wrapping_offset(4 * i as i64);
                let at = field.wrapping_offset(i32::from_le_bytes(*bytes).into());
                text.put(at, &value[..len], Owner::of(Class::RuntimeConstant, i));
            }
        }
    }

    /// What most sites of a constant hold.
    fn agreed(&self, section: &kvet_image::Section, len: usize) -> Option<[u8; 8]> {
        let (words, _) = self.image.section_bytes(section).as_chunks::<4>();
        let mut seen = Vec::new();
        for (i, bytes) in words.iter().enumerate().take(1024) {
            let field = section.addr.wrapping_offset(4 * i as i64);
            let at = field.wrapping_offset(i32::from_le_bytes(*bytes).into());
            let mut value = [0; 8];
            if self.machine.raw(at, &mut value[..len]) {
                seen.push(value);
            }
        }
        super::most_common(seen)
    }

    fn static_calls(&self, text: &mut PatchedText) {
        if !self.machine.stage().static_calls {
            return;
        }
        let Ok(table) = self.context.static_calls() else { return };
        let calls = table.calls.clone();
        for call in &calls {
            let Some(func) = self.machine.pointer(call.key) else { continue };
            let Some(old) = text.bytes(call.site, 6).map(<[u8]>::to_vec) else { continue };
            let Some(new) = self.static_call(call.site, &old, func, call.tail) else { continue };
            let owner = Owner { key: Some(call.key), ..Owner::of(Class::StaticCall, call.index as usize) };
            text.put(call.site, &new, owner);
        }
        self.trampolines(text);
    }

    /// `__static_call_transform`. What has no function was written by `static_call_init`, before the processor's
    /// mitigations were chosen, unless its key has changed since: memory says which return it was given.
    fn static_call(&self, at: VirtAddr, old: &[u8], func: u64, tail: bool) -> Option<Vec<u8>> {
        let symbol = |name| self.image.symbol_addr(name).map(|s| s.0);
        let jcc = tail && old.first() == Some(&0x0f) && old.get(1).is_some_and(|b| b & 0xf0 == 0x80);
        if jcc {
            let thunk =
                if self.dialect == Dialect::LastWins { self.current_return_thunk } else { self.return_thunk };
            let to = match func {
                0 if self.machine.has(RETHUNK) => thunk?,
                0 => symbol("__static_call_return")?,
                func => func,
            };
            let condition = *old.get(1)?;
            let leads = |to| [&[0x0f][..], &branch(condition, at.0.wrapping_add(1), to)].concat();
            let early = symbol("__static_call_return").filter(|_| func == 0).map(leads);
            let mut now = [0; 6];
            let is_early = self.machine.raw(at, &mut now) && early.as_deref() == Some(&now);
            return if is_early { early } else { Some(leads(to)) };
        }
        if func == 0 {
            if !tail {
                return Some(self.nops.live().to_vec());
            }
            let mut new = self.return_bytes(at);
            new.resize(5, INT3);
            let mut now = [0; 5];
            if self.machine.raw(at, &mut now) && now == EARLY_RETURN {
                new = now.to_vec();
            }
            return Some(new);
        }
        if !tail {
            let special: [(&str, [u8; 5]); 3] = [
                ("__static_call_return0", [0x2e, 0x2e, 0x2e, 0x31, 0xc0]),
                ("__WARN_trap", [0x67, 0x48, 0x0f, 0xb9, 0x3a]),
                ("__raw_callee_save___native_queued_spin_unlock", [0x3e, 0x3e, 0xc6, 0x07, 0x00]),
            ];
            let known = if self.dialect == Dialect::LastWins { 3 } else { 1 };
            if let Some((_, bytes)) = special.iter().take(known).find(|(name, _)| symbol(name) == Some(func))
            {
                return Some(bytes.to_vec());
            }
        }
        Some(branch(if tail { 0xe9 } else { 0xe8 }, at.0, func).to_vec())
    }

    /// `__SCT__name` jumps where `__SCK__name` points.
    fn trampolines(&self, text: &mut PatchedText) {
        let symbols = self.image.symbols();
        let mut found = Vec::new();
        for symbol in symbols.iter() {
            let Some(name) = symbol.name.strip_prefix("__SCT__") else { continue };
            let Some(key) = self.image.symbol_addr(&format!("__SCK__{name}")) else { continue };
            found.push((symbol.addr, key));
        }
        for (i, (at, key)) in found.into_iter().enumerate() {
            let Some(func) = self.machine.pointer(key) else { continue };
            let Some(old) = text.bytes(at, 8).map(<[u8]>::to_vec) else { continue };
            if old[5..] != [0x0f, 0xb9, 0xcc] || !matches!(old[0], 0xe9 | 0xc3) {
                continue;
            }
            let Some(new) = self.static_call(at, &old, func, true) else { continue };
            let owner = Owner { key: Some(key), ..Owner::of(Class::StaticCallTrampoline, i) };
            text.put(at, &new, owner);
        }
    }

    fn jump_labels(&self, text: &mut PatchedText) {
        let Ok(table) = self.context.jump_labels() else { return };
        for label in &table.labels {
            let Some(old) = text.bytes(label.code, 5).map(<[u8]>::to_vec) else { continue };
            let Some((instruction, _)) = decode(label.code.0, &old) else { continue };
            let len = instruction.len();
            if len != 2 && len != 5 {
                continue;
            }
            let owner = Owner { key: Some(label.key), ..Owner::of(Class::JumpLabel, label.index as usize) };
            let jump = self.machine.key_enabled(label.key).map(|enabled| label.is_jump_when(enabled));
            let new = match (jump.unwrap_or(!is_nop(&old[..len])), len) {
                (false, 5) => self.nops.live().to_vec(),
                // What has not been switched has not been written either.
                _ if jump.is_none() => old[..len].to_vec(),
                (jump, len) => jump_label(label.code, label.target, len, jump),
            };
            text.put(label.code, &new, owner);
        }
    }
}

/// A jump label's bytes.
pub fn jump_label(code: VirtAddr, target: VirtAddr, len: usize, jump: bool) -> Vec<u8> {
    match (jump, len) {
        (false, _) => NOPS[len.min(11)].to_vec(),
        (true, 2) => vec![0xeb, target.0.wrapping_sub(code.0).wrapping_sub(2) as u8],
        (true, _) => branch(0xe9, code.0, target.0).to_vec(),
    }
}

/// A branch with a 32-bit distance.
fn branch(opcode: u8, at: u64, target: u64) -> [u8; 5] {
    let [a, b, c, d] = (target.wrapping_sub(at.wrapping_add(5)) as u32).to_le_bytes();
    [opcode, a, b, c, d]
}

fn decode(ip: u64, bytes: &[u8]) -> Option<(Instruction, iced_x86::ConstantOffsets)> {
    let mut decoder = Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE);
    if !decoder.can_decode() {
        return None;
    }
    let instruction = decoder.decode();
    let offsets = decoder.get_constant_offsets(&instruction);
    (instruction.code() != Code::INVALID).then_some((instruction, offsets))
}

/// `insn_is_nop`: 0x90 without `rep`, and 0f 1f, under any prefixes.
fn is_nop(bytes: &[u8]) -> bool {
    let prefix = |b: &u8| {
        matches!(b, 0x66 | 0x67 | 0x2e | 0x3e | 0x26 | 0x36 | 0x64 | 0x65 | 0xf2 | 0xf3 | 0x40..=0x4f)
    };
    let prefixes = bytes.iter().take_while(|b| prefix(b)).count();
    match &bytes[prefixes..] {
        [0x90, ..] => bytes.first() != Some(&0xf3),
        [0x0f, 0x1f, ..] => true,
        _ => false,
    }
}

/// `add_nop` of 6.8 and later: one nop, or a jump over int3.
fn one_nop(len: usize) -> Vec<u8> {
    if let Some(nop) = NOPS.get(len) {
        return nop.to_vec();
    }
    let mut out = match len {
        ..128 => vec![0xeb, (len - 2) as u8],
        _ => {
            let [a, b, c, d] = (len as u32 - 5).to_le_bytes();
            vec![0xe9, a, b, c, d]
        }
    };
    out.resize(len, INT3);
    out
}

fn add32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(field) = bytes.get_mut(at..at + 4).and_then(|b| b.first_chunk_mut::<4>()) {
        *field = u32::from_le_bytes(*field).wrapping_add(value).to_le_bytes();
    }
}

/// `recompute_jump` (up to 6.7).
fn short_jump(new: &[u8], e: &Alternative, nops: &Nops) -> Vec<u8> {
    let old = i32::from_le_bytes([new[1], new[2], new[3], new[4]]);
    let target = e.replacement.0.wrapping_add(5).wrapping_add_signed(old.into());
    let distance = target.wrapping_sub(e.site.0).cast_signed();
    let short = i32::try_from(distance).is_ok_and(|d| match d >= 0 {
        true => d - 2 <= 127,
        // Its test for negative distances is one for a byte without sign, which no negative number is.
        false => (d - 2) & 0xff == d - 2,
    });
    if short {
        let mut out = vec![0xeb, (distance - 2) as u8];
        nops.pad(&mut out, 3, 3);
        return out;
    }
    let [a, b, c, d] = ((distance - 5) as i32).to_le_bytes();
    vec![0xe9, a, b, c, d]
}

/// `apply_relocation` (6.8 and later): what leads out of the replacement leads there from the site as well.
fn relocate(bytes: &mut [u8], e: &Alternative, repl_len: usize) {
    let distance = e.replacement.0.wrapping_sub(e.site.0);
    let outside = |next: usize, value: i64| {
        let offset = (next as i64).wrapping_add(value);
        offset < 0 || offset > repl_len as i64
    };
    let mut i = 0;
    while i < bytes.len() {
        let Some((instruction, offsets)) = decode(0, &bytes[i..]) else { return };
        let next = i + instruction.len();
        let branch = is_branch(&bytes[i..next]);
        if branch && offsets.has_immediate() {
            let at = i + offsets.immediate_offset();
            let size = offsets.immediate_size();
            let value = match size {
                1 => i64::from(bytes[at].cast_signed()),
                _ => bytes
                    .get(at..)
                    .and_then(|b| b.first_chunk())
                    .map_or(0, |b| i64::from(i32::from_le_bytes(*b))),
            };
            if outside(next, value) {
                match size {
                    1 => bytes[at] = bytes[at].wrapping_add(distance as u8),
                    _ => add32(bytes, at, distance as u32),
                }
            }
            // JMP.d32 becomes JMP.d8 where that reaches; the kernel adds the distance whether or not it leads out.
            if bytes[i] == 0xe9 {
                let imm = (value as i32).wrapping_add(distance as i32).wrapping_add(3);
                if imm >> 31 == imm >> 7 {
                    bytes[i] = 0xeb;
                    bytes[i + 1] = imm as u8;
                    bytes[i + 2..next].fill(INT3);
                }
            }
        }
        if instruction.is_ip_rel_memory_operand() && offsets.displacement_size() == 4 {
            let at = i + offsets.displacement_offset();
            let value = bytes
                .get(at..)
                .and_then(|b| b.first_chunk())
                .map_or(0, |b| i64::from(i32::from_le_bytes(*b)));
            if outside(next, value) {
                add32(bytes, at, distance as u32);
            }
        }
        i = next;
    }
}

/// The opcodes that `apply_relocation` looks at: jcc, jmp, call.
fn is_branch(bytes: &[u8]) -> bool {
    match bytes {
        [0x2e | 0x3e, rest @ ..] => is_branch(rest),
        [0x70..=0x7f | 0xeb | 0xe9 | 0xe8, ..] | [0x0f, 0x80..=0x8f, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(site: u64, replacement: u64, site_len: u8, replacement_len: u8) -> Alternative {
        Alternative {
            index: 0,
            site: VirtAddr(site),
            replacement: VirtAddr(replacement),
            feature: 1,
            not: false,
            direct_call: false,
            unknown_flags: 0,
            site_len,
            replacement_len,
            padlen: None,
        }
    }

    #[test]
    fn nops_are_the_kernels_by_length() {
        for (len, nop) in NOPS.iter().enumerate() {
            assert_eq!(nop.len(), len);
            assert!(len == 0 || is_nop(nop), "{nop:02x?}");
            assert!(len == 0 || decode(0, nop).is_some_and(|(i, _)| i.len() == len), "{nop:02x?}");
        }
        assert_eq!(one_nop(14)[..3], [0xeb, 12, 0xcc]);
        assert_eq!(one_nop(200)[..6], [0xe9, 195, 0, 0, 0, 0xcc]);
        assert_eq!(one_nop(200).len(), 200);
        assert!(!is_nop(&[0xf3, 0x90]), "pause");
    }

    #[test]
    fn a_relocated_call_goes_where_the_replacements_did() {
        let e = entry(0x1000, 0x9000, 5, 5);
        let mut bytes = branch(0xe8, 0x9000, 0x5000).to_vec();
        relocate(&mut bytes, &e, 5);
        assert_eq!(bytes, branch(0xe8, 0x1000, 0x5000));
    }

    #[test]
    fn a_relocated_jump_becomes_short_where_it_reaches() {
        let e = entry(0x1000, 0x9000, 5, 5);
        let mut bytes = branch(0xe9, 0x9000, 0x1020).to_vec();
        relocate(&mut bytes, &e, 5);
        assert_eq!(bytes, [0xeb, 0x1e, INT3, INT3, INT3]);
        let mut far = branch(0xe9, 0x9000, 0x4000).to_vec();
        relocate(&mut far, &e, 5);
        assert_eq!(far, branch(0xe9, 0x1000, 0x4000));
    }

    #[test]
    fn a_branch_inside_the_replacement_stays() {
        let e = entry(0x1000, 0x9000, 4, 4);
        let mut bytes = vec![0x75, 0x01, 0x90, 0x90];
        relocate(&mut bytes, &e, 4);
        assert_eq!(bytes, [0x75, 0x01, 0x90, 0x90]);
    }

    #[test]
    fn what_is_relative_to_rip_keeps_its_place() {
        // mov 0x10(%rip),%rax
        let e = entry(0x1000, 0x9000, 7, 7);
        let mut bytes = vec![0x48, 0x8b, 0x05, 0x10, 0, 0, 0];
        relocate(&mut bytes, &e, 7);
        let displacement = i32::from_le_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]);
        assert_eq!(0x1007_i64 + i64::from(displacement), 0x9017);
    }

    #[test]
    fn the_old_kernels_jumps_are_recomputed() {
        let near = entry(0x1000, 0x9000, 5, 5);
        assert_eq!(
            short_jump(&branch(0xe9, 0x9000, 0x1040), &near, &Nops::default()),
            [0xeb, 0x3e, 0x0f, 0x1f, 0x00]
        );
        assert_eq!(
            short_jump(&branch(0xe9, 0x9000, 0x3000), &near, &Nops::default()),
            branch(0xe9, 0x1000, 0x3000)
        );
        // Backwards it never takes the short form: its test is one for a byte without sign.
        assert_eq!(
            short_jump(&branch(0xe9, 0x9000, 0xff0), &near, &Nops::default()),
            branch(0xe9, 0x1000, 0xff0)
        );
    }

    #[test]
    fn a_jump_label_is_its_nop_or_its_jump() {
        let (code, target) = (VirtAddr(0x1000), VirtAddr(0x1040));
        assert_eq!(jump_label(code, target, 2, false), [0x66, 0x90]);
        assert_eq!(jump_label(code, target, 2, true), [0xeb, 0x3e]);
        assert_eq!(jump_label(code, target, 5, false), NOPS[5]);
        assert_eq!(jump_label(code, target, 5, true), branch(0xe9, 0x1000, 0x1040));
    }
}
