//! What a site is that is not as it should be.

use kvet_image::{Arch, VirtAddr};
use kvet_tables::alternatives::x86;
use kvet_tables::expected::{Class, PatchedText, Touched, WithFeatures};

use super::compare::{Compare, of_class};
use super::{Audit, GuestMachine, Kind, Oddity, Step};

/// A site, or several that share bytes.
pub(super) struct Case<'c> {
    pub(super) start: VirtAddr,
    pub(super) expected: &'c [u8],
    pub(super) before: Option<&'c [u8]>,
    pub(super) ahead: Option<&'c [u8]>,
    pub(super) memory: &'c [u8],
    pub(super) sites: &'c [Touched],
}

const INT3: u8 = 0xcc;
/// Oddities of which it is asked which feature would explain them.
const MOST_TRIES: usize = 16;

impl Compare<'_> {
    pub(super) fn site(&self, case: &Case<'_>, audit: &mut Audit) {
        let file = self.file(case.start, case.expected.len());
        if self.same(case, case.expected) {
            audit.relocated += 1;
            return;
        }
        if self.is_on_the_way(case, &file) {
            audit.on_the_way += 1;
            return;
        }
        if self.is_traced(case) {
            audit.traced += 1;
            return;
        }
        if self.is_its_thunk(case) {
            return;
        }
        let (kind, in_progress) = self.kind(case, &file, audit);
        let owner = of_class(case.sites, Class::JumpLabel)
            .or_else(|| of_class(case.sites, Class::StaticCall))
            .or(case.sites.last())
            .map(|t| t.owner);
        let odd = Oddity {
            kind,
            in_progress,
            start: case.start,
            file,
            expected: case.expected.to_vec(),
            memory: case.memory.to_vec(),
            owner,
            len: case.memory.len() as u64,
        };
        self.odd(audit, odd);
    }

    /// Whether memory is these bytes, but for addresses that KASLR moved.
    fn same(&self, case: &Case<'_>, bytes: &[u8]) -> bool {
        if bytes.len() != case.memory.len() {
            return false;
        }
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == case.memory[at] {
                at += 1;
                continue;
            }
            match self.relocated(case.start, bytes, case.memory, at) {
                Some(next) => at = next,
                None => return false,
            }
        }
        true
    }

    /// While patching has not ended, each byte may be the file's or any that the site has on its way.
    fn is_on_the_way(&self, case: &Case<'_>, file: &[u8]) -> bool {
        let once = |t: &Touched| match t.owner.class {
            Class::Alternative
            | Class::Return
            | Class::Retpoline
            | Class::Paravirt
            | Class::Endbr
            | Class::Call => !self.stage.alternatives,
            // ftrace_init() and the constants' set-up come at moments of their own, early in the boot.
            Class::Ftrace | Class::RuntimeConstant | Class::LockPrefix => !self.stage.running,
            Class::StaticCall | Class::StaticCallTrampoline => !self.stage.static_calls,
            Class::JumpLabel => !self.stage.static_keys,
            _ => false,
        };
        if !case.sites.iter().any(once) {
            return false;
        }
        let states = [Some(file), case.before, Some(case.expected), case.ahead];
        let states: Vec<&[u8]> =
            states.into_iter().flatten().filter(|s| s.len() == case.memory.len()).collect();
        states.iter().any(|s| self.same(case, s))
            || (0..case.memory.len()).all(|i| states.iter().any(|s| s[i] == case.memory[i]))
    }

    /// Tracing is on: a call that leads out of the text, or to ftrace's own callers.
    fn is_traced(&self, case: &Case<'_>) -> bool {
        let Some(site) = of_class(case.sites, Class::Ftrace) else { return false };
        if self.guest.arch() == Arch::Arm64 {
            return false;
        }
        let Some(at) = usize::try_from(site.start.0 - case.start.0).ok() else { return false };
        let Some([0xe8, a, b, c, d]) = case.memory.get(at..).and_then(|m| m.first_chunk::<5>()) else {
            return false;
        };
        let next = self.guest.to_runtime(site.start).wrapping_add(5);
        let target = next.wrapping_add_signed(i32::from_le_bytes([*a, *b, *c, *d]).into());
        match self.guest.function_at(target) {
            Some(name) => {
                matches!(name, "ftrace_caller" | "ftrace_regs_caller" | "__fentry__" if !self.stage.running || name != "__fentry__")
            }
            // ftrace's and BPF's trampolines are allocated where modules are.
            None => self.guest.to_link(target).is_none() && self.guest.read(target, 1).is_some(),
        }
    }

    /// Against Indirect Target Selection, an indirect branch in the lower half of a cache line goes through a thunk that
    /// the kernel has allocated, or its own (`emit_its_trampoline`): where, no table says.
    fn is_its_thunk(&self, case: &Case<'_>) -> bool {
        let Some(site) = of_class(case.sites, Class::Retpoline) else { return false };
        let Some(memory) =
            usize::try_from(site.start.0 - case.start.0).ok().and_then(|at| case.memory.get(at..))
        else {
            return false;
        };
        let (skip, branch) = match memory {
            [0x2e, rest @ ..] => (1, rest),
            rest => (0, rest),
        };
        let Some([0xe8 | 0xe9, a, b, c, d]) = branch.first_chunk::<5>() else { return false };
        if self.guest.image().symbol_addr("its_return_thunk").is_none() {
            return false;
        }
        let next = self.guest.to_runtime(site.start).wrapping_add(skip + 5);
        let target = next.wrapping_add_signed(i32::from_le_bytes([*a, *b, *c, *d]).into());
        match self.guest.function_at(target) {
            Some(name) => name.starts_with("__x86_indirect_its_thunk"),
            // jmp *%reg; int3
            None => {
                self.guest.to_link(target).is_none()
                    && matches!(
                        self.guest.read(target, 4).as_deref(),
                        Some([0xff, 0xe0..=0xe7, INT3, _] | [0x41, 0xff, 0xe0..=0xe7, INT3])
                    )
            }
        }
    }

    fn kind(&self, case: &Case<'_>, file: &[u8], audit: &Audit) -> (Kind, bool) {
        let poked = audit.poke.as_ref().is_some_and(|p| {
            let end = case.start.0.saturating_add(case.memory.len() as u64);
            p.sites.iter().any(|s| s.at >= case.start && s.at.0 < end)
        });
        let live = case.sites.iter().any(|t| t.owner.class.is_live());
        if live && let Some(step) = self.half(case) {
            return (Kind::HalfPatched { step }, poked);
        }
        if let Some(label) = of_class(case.sites, Class::JumpLabel)
            && self.is_other_way(case, label)
        {
            return (Kind::WrongState, poked || self.locks.jump_labels || self.is_changing(label));
        }
        let call = of_class(case.sites, Class::StaticCall)
            .or_else(|| of_class(case.sites, Class::StaticCallTrampoline));
        if call.is_some() && self.is_static_call(case) {
            return (Kind::WrongState, poked || self.locks.static_calls);
        }
        if self.same(case, file) {
            return (Kind::Unpatched, false);
        }
        // To try another feature means to patch the whole text again.
        let tries = audit.oddities.len() < MOST_TRIES;
        match tries.then(|| self.other_feature(case)).flatten() {
            Some((feature, not)) => (Kind::WrongFeature { feature, not }, false),
            None => (Kind::Nobody, false),
        }
    }

    /// An int3 at the start, and behind it what is expected or what else may stand there.
    fn half(&self, case: &Case<'_>) -> Option<Step> {
        if self.guest.arch() != Arch::X86_64 || case.memory.first() != Some(&INT3) {
            return None;
        }
        Some(if case.memory.get(1..) == case.expected.get(1..) { Step::Tail } else { Step::Int3 })
    }

    /// The key is being switched on: its count is -1 until all sites are done.
    fn is_changing(&self, label: &Touched) -> bool {
        let key = label.owner.key.map(|k| self.guest.to_runtime(k));
        key.and_then(|at| self.guest.u32(at)).is_some_and(|enabled| enabled.cast_signed() == -1)
    }

    fn label(&self, touched: &Touched) -> Option<kvet_tables::jump_labels::JumpLabel> {
        self.context.jump_labels().ok()?.labels.get(touched.owner.index as usize).copied()
    }

    /// Whether a jump label's site is the jump in place of the nop, or the nop in place of the jump.
    fn is_other_way(&self, case: &Case<'_>, touched: &Touched) -> bool {
        let Some(label) = self.label(touched) else { return false };
        use crate::keys::AtSite;
        let wanted = self.guest.u32(self.guest.to_runtime(label.key)).map(|e| label.is_jump_when(e != 0));
        let at = crate::keys::at_site(self.guest, &label);
        case.start == touched.start
            && matches!((at, wanted), (AtSite::Jump, Some(false)) | (AtSite::Nop, Some(true)))
    }

    /// Whether a static call's site holds something that a static call may be: a call or jump to a function's start, a
    /// nop, a return.
    fn is_static_call(&self, case: &Case<'_>) -> bool {
        match case.memory {
            [0xe8 | 0xe9, a, b, c, d, ..] => {
                let next = self.guest.to_runtime(case.start).wrapping_add(5);
                let target = next.wrapping_add_signed(i32::from_le_bytes([*a, *b, *c, *d]).into());
                let link = self.guest.to_link(target);
                link.and_then(|l| self.guest.image().symbol_at(l)).is_some_and(|(_, offset)| offset == 0)
                    || link.is_none() && self.guest.read(target, 1).is_some()
            }
            [0x0f, 0x1f, 0x44, 0, 0]
            | [0x2e, 0x2e, 0x2e, 0x31, 0xc0]
            | [0xc3, INT3, INT3, INT3, INT3, ..] => true,
            _ => false,
        }
    }

    /// Which other alternative of the site the memory is.
    fn other_feature(&self, case: &Case<'_>) -> Option<(u16, bool)> {
        let site = of_class(case.sites, Class::Alternative)?;
        let candidates: Vec<(u16, bool)> = match self.guest.arch() {
            Arch::X86_64 => {
                let table = x86::entries(self.context)?;
                table.entries.iter().filter(|e| e.site == site.start).map(|e| (e.feature, e.not)).collect()
            }
            Arch::Arm64 => {
                let table = self.context.arm64_alternatives();
                let at = table.entries.iter().filter(|e| e.orig == site.start);
                at.filter_map(|e| Some((table.marker.capability(e)?, false))).collect()
            }
        };
        let machine = GuestMachine::new(self.guest, self.context).ok()?;
        candidates.into_iter().find(|(feature, not)| {
            let changed = [(*feature, !*not)];
            let other = WithFeatures { machine: &machine, changed: &changed };
            let text = PatchedText::of(self.context, &other);
            let bytes = text.bytes(case.start, case.memory.len());
            bytes.is_some_and(|bytes| bytes != case.expected && self.same(case, bytes))
        })
    }
}
