//! Whether entries name the feature that their code is for.
//!
//! Three witnesses, none of which the kernel asks:
//! - what `static_cpu_has` runs before it is patched tests the feature's bit in `boot_cpu_data`
//!   (arch/x86/include/asm/cpufeature.h, `_static_cpu_has`): it names the same feature a second time;
//! - the same replacement names the same feature everywhere in an image ([`super::super::agreement`]);
//! - the same replacement for the same feature stands for the same original.

use std::collections::HashMap;

use iced_x86::{Mnemonic, OpKind};
use kvet_finding::{Finding, Severity};
use kvet_image::{Kind, VirtAddr};

use super::Alternative;
use super::checker::{Checker, rule};
use super::code::Sequence;
use crate::alternatives::agreement::{Dissent, Verdict, Vote, dissents};
use crate::disasm;
use crate::disasm::x86::decode_one;
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

/// The functions that issue an IBPB, and the features they are called for: ENTRY_IBPB, IBPB_ON_VMEXIT, IBPB,
/// USE_IBPB.
const IBPB_FUNCTIONS: &[&str] = &["entry_ibpb", "write_ibpb"];
const IBPB_USES: &[u16] = &[11 * 32 + 10, 11 * 32 + 26, 7 * 32 + 26, 7 * 32 + 21];

/// A module has few entries, and what they agree on is chance sooner: so many must agree against one.
const ENOUGH_IN_A_MODULE: usize = 8;

impl Checker<'_> {
    pub(super) fn check_consistency(&mut self) {
        let tests = self.feature_tests();
        self.prove("features agree with the bit that the unpatched code tests, where it tests one", |c| {
            c.compare_with_tests(&tests);
        });
        self.prove("every static_cpu_has has its two entries", |c| c.check_pairs(&tests));
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
        // Alone, it is the pair that is wrong, and `check_pairs` says so.
        let alone = first_of_site && last_of_site && entry.feature == ALWAYS;
        if (entry.feature == expected || alone) && !entry.not {
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

    /// A `static_cpu_has` with one entry has lost the other, which stands beside it in the table and patches
    /// something else.
    fn check_pairs(&mut self, tests: &[Option<Test>]) {
        let table = self.table;
        let mut pairs = 0usize;
        let mut lone = Vec::new();
        let mut index = 0;
        for group in table.entries.chunk_by(|a, b| a.site == b.site) {
            match group {
                [_, _] if tests.get(index).is_some_and(Option::is_some) => pairs += 1,
                [one] if tests.get(index).is_some_and(Option::is_some) => lone.push(one),
                _ => {}
            }
            index += group.len();
        }
        // Where single entries are no exception, they are how that kernel writes it.
        if lone.len() * 8 > pairs {
            return;
        }
        for one in lone {
            let lost =
                if one.feature == ALWAYS { one.index.checked_add(1) } else { one.index.checked_sub(1) };
            let entry = lost.and_then(|i| table.entries.get(usize::try_from(i).ok()?)).unwrap_or(one);
            let message = format!(
                "entry {} patches another site than entry {}, {}, where a static_cpu_has needs both",
                entry.index, one.index, one.site
            );
            let finding = self.finding(rule!(self, "order"), Severity::Error, entry, message);
            self.report.findings.push(finding.with("other entry", one.index));
        }
    }

    fn compare_features(&mut self, tests: &[Option<Test>]) {
        let table = self.table;
        let mut signatures = Signatures::default();
        let mut votes = Vec::with_capacity(table.entries.len());
        for (entry, test) in table.entries.iter().zip(tests) {
            if test.is_some() {
                continue;
            }
            let Some(sequence) = self.code.replacement(entry) else { continue };
            let Some(signature) = signatures.of_replacement(sequence, entry.replacement) else { continue };
            votes.push(Vote { index: entry.index, signature, feature: self.voted_feature(sequence, entry) });
        }
        let is_module = self.image.kind() == Kind::Module;
        for dissent in dissents(&votes, |&id| signatures.is_generic(id)) {
            let enough = !is_module || dissent.support >= ENOUGH_IN_A_MODULE;
            if dissent.verdict == Verdict::Wrong && enough {
                self.report_dissent(&dissent);
            }
        }
    }

    /// The feature and flags in one number; features that a replacement is known to serve count as one.
    fn voted_feature(&self, code: &Sequence<'_>, entry: &Alternative) -> u32 {
        let known = KNOWN_USES.iter().find(|(bytes, _)| *bytes == code.bytes).map(|(_, uses)| *uses);
        let uses = known.unwrap_or_else(|| if self.calls_ibpb(code, entry) { IBPB_USES } else { &[] });
        let feature = match uses.first() {
            Some(&first) if uses.contains(&entry.feature) => first,
            _ => entry.feature,
        };
        u32::from(feature) | u32::from(entry.not) << 16 | u32::from(entry.direct_call) << 17
    }

    fn calls_ibpb(&self, code: &Sequence<'_>, entry: &Alternative) -> bool {
        let [call] = code.instructions.as_slice() else { return false };
        // Asked only of the features in question, so that no symbol is looked up for the many other calls.
        if !call.is_call_near() || !IBPB_USES.contains(&entry.feature) {
            return false;
        }
        Sequence::target(call, entry.replacement).is_some_and(|target| {
            let name = self.image.extern_at(target);
            let name = name.or_else(|| Some(self.image.symbol_at(target)?.0.name));
            name.is_some_and(|name| IBPB_FUNCTIONS.contains(&name))
        })
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
        let mut replacements = Signatures::default();
        let mut originals = Signatures::default();
        let mut votes = Vec::with_capacity(table.entries.len());
        for entry in &table.entries {
            let (Some(replacement), Some(site)) = (self.code.replacement(entry), self.code.site(entry))
            else {
                continue;
            };
            let Some(signature) = replacements.of_replacement(replacement, entry.replacement) else {
                continue;
            };
            let Some(original) = originals.of_original(site, entry.site) else { continue };
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

/// Instruction sequences as numbers, equal where they do the same wherever they stand.
#[derive(Default)]
struct Signatures {
    ids: HashMap<Vec<u8>, u32>,
    generic: Vec<bool>,
    scratch: Vec<u8>,
}

impl Signatures {
    fn is_generic(&self, id: u32) -> bool {
        self.generic.get(id as usize).copied().unwrap_or(true)
    }

    /// A replacement's; `None` for one that is empty or does not decode, and for a lone jump, whose purpose is
    /// the site's.
    fn of_replacement(&mut self, code: &Sequence<'_>, at: VirtAddr) -> Option<u32> {
        let generic = match code.instructions.as_slice() {
            [] => return None,
            [one] if one.is_jmp_short_or_near() => return None,
            [one] => one.op_count() == 0,
            _ => false,
        };
        if code.fault.is_some() {
            return None;
        }
        self.scratch.clear();
        for i in &code.instructions {
            let outside = Sequence::target(i, at).filter(|&target| !code.is_inside(target, at));
            match outside {
                Some(target) => {
                    self.scratch.extend_from_slice(&(i.code() as u16).to_le_bytes());
                    self.scratch.extend_from_slice(&target.0.to_le_bytes());
                }
                None => self.scratch.extend_from_slice(code.bytes_of(i)),
            }
        }
        Some(self.intern(generic))
    }

    /// An original's: what it calls counts, other addresses that it names by distance are the site's own.
    fn of_original(&mut self, code: &Sequence<'_>, at: VirtAddr) -> Option<u32> {
        if code.fault.is_some() {
            return None;
        }
        self.scratch.clear();
        for i in &code.instructions {
            let Some(target) = Sequence::target(i, at) else {
                self.scratch.extend_from_slice(code.bytes_of(i));
                continue;
            };
            self.scratch.extend_from_slice(&(i.code() as u16).to_le_bytes());
            if i.is_call_near() {
                self.scratch.extend_from_slice(&target.0.to_le_bytes());
            }
        }
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
