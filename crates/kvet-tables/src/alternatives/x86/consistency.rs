//! Whether entries name the feature that their code is for.
//!
//! Three witnesses, none of which the kernel asks:
//! - what `static_cpu_has` runs before it is patched tests the feature's bit in `boot_cpu_data`
//!   (arch/x86/include/asm/cpufeature.h, `_static_cpu_has`): it names the same feature a second time;
//! - the same replacement names the same feature everywhere in an image ([`super::super::agreement`]);
//! - the same replacement for the same feature stands for the same original.

use std::collections::HashMap;

use iced_x86::{Instruction, Mnemonic, OpKind};
use kvet_finding::{Finding, Severity};
use kvet_image::{Image, VirtAddr};

use super::Alternative;
use super::checker::{Checker, rule};
use crate::alternatives::agreement::{Dissent, Verdict, Vote, dissents};
use crate::disasm;
use crate::disasm::x86::{Mode, decode_each_in, decode_one, relative_target};
use crate::features::x86::ALWAYS;

/// Plain instructions that kernels use for several features, with those features' numbers: other disagreement
/// about them is judged as for any plain instruction.
/// From arch/x86/include/asm/cpufeatures.h of 5.10, 6.1, 6.12 and 7.3; numbers that moved stand twice.
const KNOWN_USES: &[(&[u8], &[u16])] = &[
    // lfence: LFENCE_RDTSC (3*32+18, later 20*32+2), FENCE_SWAPGS_USER and _KERNEL.
    (&[0x0f, 0xae, 0xe8], &[3 * 32 + 18, 20 * 32 + 2, 11 * 32 + 4, 11 * 32 + 5]),
    // wrmsr: USE_IBPB, USE_IBRS_FW, USE_IBPB_FW.
    (&[0x0f, 0x30], &[7 * 32 + 22, 7 * 32 + 21, 11 * 32 + 16]),
    // vmmcall: VMMCALL, VMW_VMMCALL.
    (&[0x0f, 0x01, 0xd9], &[8 * 32 + 15, 8 * 32 + 19]),
    // clac and stac: SMAP, LASS.
    (&[0x0f, 0x01, 0xca], &[9 * 32 + 20, 12 * 32 + 6]),
    (&[0x0f, 0x01, 0xcb], &[9 * 32 + 20, 12 * 32 + 6]),
];

impl Checker<'_> {
    pub(super) fn check_consistency(&mut self) {
        let tests = self.feature_tests();
        self.prove("features agree with the bit that the unpatched code tests, where it tests one", |c| {
            c.compare_with_tests(&tests);
        });
        self.prove("one replacement names one feature", |c| c.compare_features(&tests));
        self.prove("one replacement stands for one original", Self::compare_originals);
    }

    /// For each entry by its index, the feature that the code at its site tests until it is patched.
    fn feature_tests(&self) -> Vec<Option<Test>> {
        let mut tests = Vec::with_capacity(self.table.entries.len());
        let mut last: Option<(VirtAddr, Option<Test>)> = None;
        for entry in &self.table.entries {
            let test = match last {
                Some((site, test)) if site == entry.site => test,
                _ => self.test_at(entry),
            };
            last = Some((entry.site, test));
            tests.push(test);
        }
        tests
    }

    /// `jmp 6f` at the site, and at 6 a `testb $bit, byte`.
    fn test_at(&self, entry: &Alternative) -> Option<Test> {
        let jump = decode_one(entry.site, entry.site_bytes(self.image)?)?;
        if !jump.is_jmp_short_or_near() {
            return None;
        }
        let at = VirtAddr(jump.near_branch_target());
        let aux = self.image.section(".altinstr_aux");
        if aux.is_some_and(|aux| !aux.contains(at)) {
            return None;
        }
        let test = decode_one(at, self.image.bytes_up_to(at, 15))?;
        if test.mnemonic() != Mnemonic::Test || test.op0_kind() != OpKind::Memory {
            return None;
        }
        let mask = u8::try_from(test.immediate(1) & 0xff).ok()?;
        let absolute =
            test.memory_index() == iced_x86::Register::None && test.memory_base() == iced_x86::Register::None;
        let byte = match test.is_ip_rel_memory_operand() {
            true => test.ip_rel_memory_address(),
            false if absolute => test.memory_displacement64(),
            false => return None,
        };
        mask.is_power_of_two().then_some(Test { at, byte, bit: mask.trailing_zeros() as u8 })
    }

    fn compare_with_tests(&mut self, tests: &[Option<Test>]) {
        let table = self.table;
        let pairs = || table.entries.iter().zip(tests).filter_map(|(e, t)| Some((e, (*t)?)));
        // The capability array's address: what most entries agree on.
        let mut bases: HashMap<u64, u64> = HashMap::new();
        for (entry, test) in pairs().filter(|(e, _)| e.feature != ALWAYS) {
            *bases.entry(test.base_for(entry.feature)).or_default() += 1;
        }
        let Some((&base, &votes)) = bases.iter().max_by_key(|(base, votes)| (**votes, **base)) else {
            return;
        };
        if votes < 2 {
            self.report.skipped.push(
                "only one place tests a feature before it is patched: nothing to compare it with".into(),
            );
            return;
        }
        let wrong: Vec<_> =
            pairs().filter_map(|(e, t)| Some((e, t, self.contradiction(e, t, base)?))).collect();
        for (entry, test, message) in wrong {
            let code = self.image.bytes_up_to(test.at, 8);
            let finding = self
                .finding(rule!(self, "inconsistent-capability"), Severity::Error, entry, message)
                .with("the test before patching", disasm::code(self.image, test.at, code))
                .advice(SILENT);
            self.report.findings.push(finding);
        }
    }

    /// `_static_cpu_has` has two entries: ALWAYS with a jump to "no", then the feature with nothing or a jump to
    /// "yes".
    fn contradiction(&self, entry: &Alternative, test: Test, base: u64) -> Option<String> {
        let tested = test.feature(base)?;
        let first_of_site = entry
            .index
            .checked_sub(1)
            .and_then(|i| self.table.entries.get(usize::try_from(i).ok()?))
            .is_none_or(|before| before.site != entry.site);
        let last_of_site = usize::try_from(entry.index + 1)
            .ok()
            .and_then(|i| self.table.entries.get(i))
            .is_none_or(|after| after.site != entry.site);
        let expected = if first_of_site && !last_of_site { ALWAYS } else { tested };
        if entry.feature == expected && !entry.not {
            return None;
        }
        let not = if entry.not { "not " } else { "" };
        Some(format!(
            "entry {} patches on {not}{}, but is the {} of a static_cpu_has that tests {} until it is patched, which goes with {}",
            entry.index,
            self.feature_name(entry.feature),
            if first_of_site && !last_of_site { "default" } else { "choice" },
            self.feature_name(tested),
            self.feature_name(expected)
        ))
    }

    fn compare_features(&mut self, tests: &[Option<Test>]) {
        let table = self.table;
        let mut signatures = Signatures::new(self.scope.mode);
        let mut votes = Vec::with_capacity(table.entries.len());
        for (entry, test) in table.entries.iter().zip(tests) {
            if test.is_some() {
                continue;
            }
            let Some(signature) = signatures.of_replacement(self.image, entry) else { continue };
            votes.push(Vote { index: entry.index, signature, feature: voted_feature(self.image, entry) });
        }
        for dissent in dissents(&votes, |&id| signatures.is_generic(id)) {
            if dissent.verdict == Verdict::Wrong {
                self.report_dissent(&dissent);
            }
        }
    }

    fn report_dissent(&mut self, dissent: &Dissent) {
        let entry_at = |i: u64| usize::try_from(i).ok().and_then(|i| self.table.entries.get(i));
        let (Some(entry), Some(example)) = (entry_at(dissent.index), entry_at(dissent.example)) else {
            return;
        };
        let says = |e: &Alternative| {
            let not = if e.not { "not " } else { "" };
            let direct = if e.direct_call { " with DIRECT_CALL" } else { "" };
            format!("{not}{}{direct}", self.feature_name(e.feature))
        };
        let mut message = format!(
            "entry {} patches on {}, but {} other entries with this replacement patch on {}",
            entry.index,
            says(entry),
            dissent.support,
            says(example)
        );
        let (first, last) = dissent.run;
        if dissent.run_signatures > 1 {
            message.push_str(&format!(
                "; entries {first} to {last}, with {} different replacements, are all off by {}: the object that they come from was compiled against another asm/cpufeatures.h",
                dissent.run_signatures,
                i64::from(dissent.feature) - i64::from(dissent.majority)
            ));
        }
        let finding = self
            .finding(rule!(self, "inconsistent-capability"), Severity::Error, entry, message)
            .with("an entry that agrees with the others", example.index)
            .with("its site", example.site)
            .advice(SILENT);
        self.report.findings.push(finding);
    }

    /// A site that was moved or resized to other whole instructions shows where its replacement stands for one
    /// original everywhere else.
    fn compare_originals(&mut self) {
        let table = self.table;
        let mut replacements = Signatures::new(self.scope.mode);
        let mut originals = Signatures::new(self.scope.mode);
        let mut votes = Vec::with_capacity(table.entries.len());
        for entry in &table.entries {
            let (Some(signature), Some(original)) =
                (replacements.of_replacement(self.image, entry), originals.of_original(self.image, entry))
            else {
                continue;
            };
            votes.push(Vote { index: entry.index, signature, feature: original });
        }
        let wrong: Vec<Dissent> = dissents(&votes, |_| false)
            .into_iter()
            .filter(|d| d.dissenters == 1 && d.support >= 16)
            .collect();
        for dissent in wrong {
            let entry_at = |i: u64| usize::try_from(i).ok().and_then(|i| table.entries.get(i));
            let (Some(entry), Some(example)) = (entry_at(dissent.index), entry_at(dissent.example)) else {
                continue;
            };
            let message = format!(
                "entry {} replaces other code than the {} other entries with this replacement do",
                entry.index, dissent.support
            );
            let mut finding: Finding =
                self.finding(rule!(self, "inconsistent-original"), Severity::Error, entry, message);
            if let Some(bytes) = example.site_bytes(self.image) {
                finding =
                    finding.with("original of the others", disasm::code(self.image, example.site, bytes));
            }
            self.report.findings.push(finding);
        }
    }
}

const SILENT: &str = "the kernel does not notice: it patches on the wrong feature. Rebuild the object that holds this site from clean, against one asm/cpufeatures.h";

/// A test of one bit of a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Test {
    at: VirtAddr,
    byte: u64,
    bit: u8,
}

impl Test {
    /// Where the capability array must begin for this test to be of `feature`; no array begins at an odd
    /// distance, so a wrong feature hardly ever agrees with the others.
    fn base_for(self, feature: u16) -> u64 {
        self.byte.wrapping_sub(u64::from(feature / 8))
    }

    fn feature(self, base: u64) -> Option<u16> {
        let byte = u16::try_from(self.byte.checked_sub(base)?).ok()?;
        byte.checked_mul(8)?.checked_add(self.bit.into())
    }
}

/// The feature and flags in one number; features that a plain instruction is known to serve count as one.
fn voted_feature(image: &Image, entry: &Alternative) -> u32 {
    let bytes = entry.replacement_bytes(image).unwrap_or(&[]);
    let known = KNOWN_USES.iter().find(|(code, uses)| *code == bytes && uses.contains(&entry.feature));
    let feature = known.and_then(|(_, uses)| uses.first()).copied().unwrap_or(entry.feature);
    u32::from(feature) | u32::from(entry.not) << 16 | u32::from(entry.direct_call) << 17
}

/// Instruction sequences as numbers, equal where they do the same wherever they stand.
struct Signatures {
    mode: Mode,
    ids: HashMap<Vec<u8>, u32>,
    generic: Vec<bool>,
    scratch: Vec<u8>,
}

impl Signatures {
    fn new(mode: Mode) -> Signatures {
        Signatures { mode, ids: HashMap::new(), generic: Vec::new(), scratch: Vec::new() }
    }

    fn is_generic(&self, id: u32) -> bool {
        self.generic.get(id as usize).copied().unwrap_or(true)
    }

    /// A replacement's; `None` for an empty one and for a lone jump, whose purpose is the site's.
    fn of_replacement(&mut self, image: &Image, entry: &Alternative) -> Option<u32> {
        let bytes = entry.replacement_bytes(image).filter(|b| !b.is_empty())?;
        self.scratch.clear();
        let mut count = 0;
        let mut plain = false;
        let mut jump = false;
        let scratch = &mut self.scratch;
        decode_each_in(self.mode, entry.replacement, bytes, |i| {
            let at = (i.ip() - entry.replacement.0) as usize;
            let inside = |t: u64| t >= entry.replacement.0 && t <= entry.replacement_end().0;
            push_instruction(scratch, i, &bytes[at..at + i.len()], |t| !inside(t));
            count += 1;
            plain = i.op_count() == 0;
            jump = i.is_jmp_short_or_near();
        })
        .ok()?;
        if count == 1 && jump {
            return None;
        }
        Some(self.intern(count == 1 && plain))
    }

    /// An original's: its instructions with the targets of jumps left out, which are the site's own.
    fn of_original(&mut self, image: &Image, entry: &Alternative) -> Option<u32> {
        let bytes = entry.site_bytes(image)?;
        self.scratch.clear();
        self.scratch.push(entry.site_len);
        let scratch = &mut self.scratch;
        decode_each_in(self.mode, entry.site, bytes, |i| {
            let at = (i.ip() - entry.site.0) as usize;
            push_instruction(scratch, i, &bytes[at..at + i.len()], |_| false);
        })
        .ok()?;
        Some(self.intern(false))
    }

    fn intern(&mut self, generic: bool) -> u32 {
        if let Some(&id) = self.ids.get(&self.scratch) {
            return id;
        }
        let id = self.generic.len() as u32;
        self.ids.insert(self.scratch.clone(), id);
        self.generic.push(generic);
        id
    }
}

/// Appends an instruction: its bytes, or, where it names an address by distance, its kind and (where `absolute`
/// says) the address itself.
fn push_instruction(out: &mut Vec<u8>, i: &Instruction, bytes: &[u8], absolute: impl Fn(u64) -> bool) {
    match relative_target(i) {
        Some(target) if absolute(target) => {
            out.extend_from_slice(&(i.code() as u16).to_le_bytes());
            out.extend_from_slice(&target.to_le_bytes());
        }
        Some(_) if i.is_ip_rel_memory_operand() || i.is_call_near() || !is_local(i) => {
            out.extend_from_slice(&(i.code() as u16).to_le_bytes());
        }
        _ => out.extend_from_slice(bytes),
    }
}

/// Whether a branch stays inside the sequence, so that its own bytes identify it.
fn is_local(i: &Instruction) -> bool {
    i.is_jcc_short() || i.is_jmp_short()
}
