//! Code in memory against the file: which differences are the kernel's own patching.
//!
//! Followed: arch/x86/kernel/alternative.c, jump_label.c, static_call.c, ftrace.c, arch/arm64/kernel/alternative.c of
//! 6.1 to 7.3. A site's memory is accepted when it is what the site's table can make of it; that an address lies in a
//! site explains nothing by itself.

use iced_x86::{FlowControl, Instruction, Mnemonic, Register};
use kvet_image::{Arch, Image, VirtAddr};

use super::{Site, SiteAt, Sites};
use crate::disasm::arm64;
use crate::disasm::instruction_at;
use crate::disasm::x86::{decode_whole, relative_target};

/// What is said of a site that lies across the edge of the known bytes.
const CUT: &str = "a site that is patched, of which only a part is shown";

/// The byte of `int3`.
const INT3: u8 = 0xcc;

/// Why bytes in memory differ from the file's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Explained {
    /// A table's entry makes them so; in words what it did: `the key is on: a jump`.
    Table {
        /// The site.
        site: SiteAt,
        /// What was done there.
        what: String,
    },
    /// An `int3` where an instruction begins: a site that is being patched, or a kprobe.
    Int3 {
        /// The site, if it is one that is patched by way of an int3.
        site: Option<SiteAt>,
    },
    /// Each differs by KASLR's slide in an absolute address.
    Relocated,
    /// Nothing that this file's tables say makes them so.
    Unexplained,
}

/// A run of bytes that differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patched {
    /// The first byte: of the site, where one explains it.
    pub start: VirtAddr,
    /// How many bytes.
    pub len: u64,
    /// Why.
    pub why: Explained,
}

/// Memory as a log shows it, at an address of the image.
struct Memory<'m> {
    start: VirtAddr,
    bytes: &'m [u8],
}

impl Memory<'_> {
    /// The bytes of a range, when all of them are known.
    fn get(&self, start: VirtAddr, len: u64) -> Option<&[u8]> {
        let from = usize::try_from(start.0.checked_sub(self.start.0)?).ok()?;
        self.bytes.get(from..from.checked_add(usize::try_from(len).ok()?)?)
    }
}

impl Sites {
    /// The differences between memory and the image's file, each with its reason. `image` and `kernel` as for
    /// [`Sites::at`]; `slide` is what KASLR adds to link-time addresses, where that is known.
    pub fn differences(
        &self,
        image: &Image,
        kernel: Option<&Image>,
        start: VirtAddr,
        memory: &[u8],
        slide: Option<u64>,
    ) -> Vec<Patched> {
        let Some(file) = image.bytes(start, memory.len()) else { return Vec::new() };
        let memory = Memory { start, bytes: memory };
        let mut found: Vec<Patched> = Vec::new();
        let mut at = 0;
        while at < file.len() {
            let addr = start.wrapping_offset(at as i64);
            if file[at] == memory.bytes[at] {
                at += 1;
                continue;
            }
            let patched = self.explain(image, kernel, &memory, addr, slide);
            let end = patched.start.0.saturating_add(patched.len).saturating_sub(start.0) as usize;
            at = end.max(at + 1);
            match found.last_mut() {
                // Neighbouring bytes with one explanation, or none, are one.
                Some(last) if last.why == patched.why && last.start.0 + last.len == patched.start.0 => {
                    last.len += patched.len;
                }
                _ => found.push(patched),
            }
        }
        found
    }

    fn explain(
        &self,
        image: &Image,
        kernel: Option<&Image>,
        memory: &Memory<'_>,
        addr: VirtAddr,
        slide: Option<u64>,
    ) -> Patched {
        let mut sites = self.at(image, kernel, addr);
        // Several alternatives may have one site; the last that applies wins.
        sites.reverse();
        for site in &sites {
            if self.is_cut(site, memory) {
                let why = Explained::Table { site: site.clone(), what: CUT.to_owned() };
                return Patched { start: addr, len: 1, why };
            }
            if let Some(what) = self.made_by(image, &sites, site, memory) {
                let why = Explained::Table { site: site.clone(), what };
                return Patched { start: site.start, len: site.len, why };
            }
        }
        if let Some(patched) = relocated(image, memory, addr, slide) {
            return patched;
        }
        if memory.get(addr, 1) == Some(&[INT3]) && starts_instruction(image, addr) {
            let live = |s: &&SiteAt| {
                s.start == addr
                    && matches!(s.site, Site::JumpLabel { .. } | Site::StaticCall { .. } | Site::Ftrace)
            };
            let site = sites.iter().find(live).cloned();
            return Patched { start: addr, len: 1, why: Explained::Int3 { site } };
        }
        Patched { start: addr, len: 1, why: Explained::Unexplained }
    }

    /// Whether only a part of a site that is patched is known.
    fn is_cut(&self, site: &SiteAt, memory: &Memory<'_>) -> bool {
        let edge = memory.start.0.saturating_add(memory.bytes.len() as u64);
        let cut = site.start < memory.start || site.end().0 > edge;
        let kept = matches!(
            site.site,
            Site::Exception(_) | Site::Fixup(_) | Site::Bug { .. } | Site::Replacement { .. }
        );
        cut && !kept
    }

    /// What a site's table did, when the memory there is something that it can make.
    fn made_by(&self, image: &Image, all: &[SiteAt], at: &SiteAt, memory: &Memory<'_>) -> Option<String> {
        if image.arch() == Arch::Arm64 {
            return self.made_on_arm64(image, at, memory);
        }
        let live = memory.get(at.start, at.len)?;
        if live.first() == Some(&INT3)
            && is_poked(&at.site)
            && live.get(1..) == image.bytes(at.start, live.len())?.get(1..)
        {
            return None;
        }
        let code = decode_whole(at.start, live).ok();
        let code = code.as_deref();
        match &at.site {
            Site::JumpLabel { label, .. } => match code? {
                [one] if is_nop(one) => {
                    Some(format!("the key is {}: a nop", on_or_off(!label.is_jump_when(true))))
                }
                [one] if one.mnemonic() == Mnemonic::Jmp && relative_target(one) == Some(label.target.0) => {
                    Some(format!("the key is {}: a jump", on_or_off(label.is_jump_when(true))))
                }
                _ => None,
            },
            Site::Alternative { .. } => alternative(image, all, at, code?),
            Site::StaticCall { .. } => static_call(image, code?),
            Site::Retpoline => match code? {
                [rest @ .., last] | [last, rest @ ..]
                    if is_indirect(last) && rest.iter().all(|i| is_nop(i) || is_lfence(i)) =>
                {
                    Some("the thunk's branch stands here itself: no retpolines on this CPU".into())
                }
                code if code.iter().any(|i| i.near_branch_target() != 0)
                    && code.iter().all(|i| is_nop(i) || i.near_branch_target() != 0) =>
                {
                    Some(format!("calls {}", target_name(image, code)))
                }
                _ => None,
            },
            Site::Return => match live {
                [0xc3, rest @ ..] if rest.iter().all(|b| *b == INT3 || *b == 0x90) => {
                    Some("a plain return: no return thunk on this CPU".into())
                }
                _ => match code? {
                    [one] if one.mnemonic() == Mnemonic::Jmp => {
                        Some(format!("returns through {}", target_name(image, std::slice::from_ref(one))))
                    }
                    _ => None,
                },
            },
            Site::Call => match code? {
                [one] if one.mnemonic() == Mnemonic::Call => {
                    Some(format!("calls {}", target_name(image, std::slice::from_ref(one))))
                }
                _ => None,
            },
            Site::Endbr => (code?.iter().all(is_nop)).then(|| "sealed".to_owned()),
            Site::LockPrefix => match live {
                [0xf0] => Some("SMP: a lock prefix".into()),
                [0x3e] => Some("one CPU: no lock prefix".into()),
                _ => None,
            },
            Site::Paravirt => Some("the paravirt operation itself".into()).filter(|_| code.is_some()),
            Site::RuntimeConstant(name) => Some(format!("{name} is set")),
            Site::Ftrace => match code? {
                [one] if is_nop(one) => Some("ftrace is off: a nop".into()),
                [one] if one.mnemonic() == Mnemonic::Call => Some("ftrace is on: a call".into()),
                _ => None,
            },
            _ => None,
        }
    }

    fn made_on_arm64(&self, image: &Image, at: &SiteAt, memory: &Memory<'_>) -> Option<String> {
        let words: Vec<u32> = arm64::words(memory.get(at.start, at.len).or_else(|| {
            // A callback's site may be longer than what the log shows.
            memory.get(at.start, 4)
        })?)
        .collect();
        match &at.site {
            Site::JumpLabel { label, .. } => match words[..] {
                [word] if arm64::is_nop(word) => {
                    Some(format!("the key is {}: a nop", on_or_off(!label.is_jump_when(true))))
                }
                [word] if arm64::is_b(word) && arm64::branch_target(at.start, word) == Some(label.target) => {
                    Some(format!("the key is {}: a jump", on_or_off(label.is_jump_when(true))))
                }
                _ => None,
            },
            Site::Alternative { callback: true, feature, .. } => {
                Some(format!("written by its callback, for capability {feature}"))
            }
            Site::Alternative { replacement, feature, replacement_len, .. } => {
                let new = image.bytes(*replacement, usize::try_from(*replacement_len).ok()?)?;
                let mut place = 0_i64;
                let made = arm64::words(new).zip(&words).all(|(word, live)| {
                    let (from, to) = (replacement.wrapping_offset(place), at.start.wrapping_offset(place));
                    place += 4;
                    let moved = match (arm64::branch_target(from, word), arm64::adrp_page(from, word)) {
                        // A branch inside the replacement keeps its distance (`get_alt_insn`).
                        (Some(target), _)
                            if (*replacement
                                ..replacement.wrapping_offset((*replacement_len).cast_signed()))
                                .contains(&target) =>
                        {
                            Some(word)
                        }
                        (Some(target), _) => arm64::retarget(word, to, target),
                        (_, Some(page)) => arm64::repage(word, to, page),
                        _ => Some(word),
                    };
                    moved == Some(*live)
                });
                made.then(|| format!("replaced: the CPU has capability {feature}"))
            }
            Site::Ftrace => {
                let known = |w: &u32| arm64::is_nop(*w) || arm64::is_bl(*w) || *w == 0xaa1e_03e9;
                words.iter().any(known).then(|| "ftrace's own instructions".into())
            }
            _ => None,
        }
    }
}

/// What one of the alternatives of a site, or the kernel's merging of nops (`optimize_nops`), makes of it.
fn alternative(image: &Image, all: &[SiteAt], at: &SiteAt, live: &[Instruction]) -> Option<String> {
    let same_site = all.iter().filter(|other| other.start == at.start);
    for other in same_site {
        let Site::Alternative { replacement, replacement_len, feature, .. } = &other.site else { continue };
        let new = image.bytes(*replacement, usize::try_from(*replacement_len).ok()?).unwrap_or(&[]);
        let Ok(new) = decode_whole(*replacement, new) else { continue };
        if same_code(&new, live) {
            return Some(format!("replaced: the CPU has feature {feature}"));
        }
        // ALT_FLAG_DIRECT_CALL: `call *pv_ops+N` became a direct call.
        if let [call, rest @ ..] = live
            && call.flow_control() == FlowControl::Call
            && new.iter().any(|i| {
                i.flow_control() == FlowControl::IndirectCall || i.flow_control() == FlowControl::Call
            })
            && rest.iter().all(is_nop)
        {
            return Some(format!("a direct call of {}, for feature {feature}", target_name(image, live)));
        }
    }
    let original = decode_whole(at.start, image.bytes(at.start, usize::try_from(at.len).ok()?)?).ok()?;
    same_code(&original, live).then(|| "the file's instructions, their nops merged".to_owned())
}

/// Whether two pieces of code do the same, nops apart: the same instructions with the same targets.
fn same_code(a: &[Instruction], b: &[Instruction]) -> bool {
    let mut b = b.iter().filter(|i| !is_nop(i));
    let same = a.iter().filter(|i| !is_nop(i)).all(|x| {
        b.next().is_some_and(|y| match (relative_target(x), relative_target(y)) {
            (Some(p), Some(q)) => p == q && x.mnemonic() == y.mnemonic(),
            (None, None) => x == y,
            _ => false,
        })
    });
    same && b.next().is_none()
}

fn static_call(image: &Image, live: &[Instruction]) -> Option<String> {
    match live {
        [one] if is_nop(one) => Some("calls nothing: a nop".into()),
        [one]
            if matches!(
                one.flow_control(),
                FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
            ) =>
        {
            Some(format!("calls {}", target_name(image, live)))
        }
        [first, ..] if first.mnemonic() == Mnemonic::Ret => Some("calls nothing: a return".into()),
        // RET0: `xor %eax,%eax` with prefixes.
        [one] if one.mnemonic() == Mnemonic::Xor && one.op0_register() == Register::EAX => {
            Some("calls a function that returns 0: an xor".into())
        }
        _ => None,
    }
}

/// `static_call`, ftrace and jump labels are switched by way of an int3 (`text_poke_bp`); alternatives are not.
fn is_poked(site: &Site) -> bool {
    matches!(site, Site::JumpLabel { .. } | Site::StaticCall { .. } | Site::Ftrace)
}

fn is_nop(i: &Instruction) -> bool {
    matches!(i.mnemonic(), Mnemonic::Nop)
        || i.mnemonic() == Mnemonic::Xchg && i.op0_register() == i.op1_register() && i.len() <= 2
}

fn is_lfence(i: &Instruction) -> bool {
    i.mnemonic() == Mnemonic::Lfence || i.mnemonic() == Mnemonic::Int3
}

fn is_indirect(i: &Instruction) -> bool {
    matches!(i.flow_control(), FlowControl::IndirectCall | FlowControl::IndirectBranch)
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The name of the first direct branch's target.
fn target_name(image: &Image, code: &[Instruction]) -> String {
    let target = code.iter().map(Instruction::near_branch_target).find(|t| *t != 0).unwrap_or(0);
    match image.symbol_at(VirtAddr(target)) {
        Some((symbol, 0)) => symbol.name.to_owned(),
        Some((symbol, offset)) => format!("{}+{offset:#x}", symbol.name),
        None => format!("{target:#x}"),
    }
}

fn starts_instruction(image: &Image, addr: VirtAddr) -> bool {
    let Some((symbol, _)) = image.symbol_at(addr) else { return false };
    instruction_at(image, symbol.addr, addr).is_none_or(|(start, _)| start == addr)
}

/// A 32-bit or 64-bit absolute address of the kernel inside the instruction, moved by the slide; before 6.15 a
/// per-CPU variable's distance from RIP moves the other way (arch/x86/boot/compressed/misc.c, `handle_relocations`).
fn relocated(image: &Image, memory: &Memory<'_>, addr: VirtAddr, slide: Option<u64>) -> Option<Patched> {
    let slide = slide.filter(|s| *s != 0)?;
    if image.arch() != Arch::X86_64 {
        return None;
    }
    let (symbol, _) = image.symbol_at(addr)?;
    let (start, len) = instruction_at(image, symbol.addr, addr)?;
    let low = slide as u32;
    for offset in 0..len.saturating_sub(3) {
        let at = start.checked_add(offset)?;
        if at > addr || at.0 + 4 <= addr.0 {
            continue;
        }
        // The log may begin or end inside the field: what it shows of it must fit.
        let old = image.u32(at)?;
        let fits = |new: u32| {
            new.to_le_bytes()
                .iter()
                .zip(0_u64..)
                .all(|(byte, i)| memory.get(VirtAddr(at.0 + i), 1).is_none_or(|known| known == [*byte]))
        };
        let absolute = old >= 0x8000_0000 && fits(old.wrapping_add(low));
        let per_cpu = fits(old.wrapping_sub(low));
        if absolute || per_cpu {
            return Some(Patched { start: at, len: 4, why: Explained::Relocated });
        }
    }
    None
}
