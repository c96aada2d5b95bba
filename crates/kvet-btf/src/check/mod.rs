//! BTF checked, as findings, in one of two strengths.
//!
//! *Kernel* strength is the kernel's verdict and nothing else: the first check that fails, its errno, its log.
//! *Strict* strength runs the same checks and goes on where the kernel stops; then follow the resolve phase,
//! which no kernel runs on its own BTF, variables, per-CPU symbols, names, and a module's fit to its base.

mod describe;
mod ids;
mod percpu;
mod split;

use std::sync::Arc;

use kvet_finding::Finding;

pub use ids::{IdSymbol, IdSymbolKind, SetShape};
pub use percpu::{PerCpu, PerCpuSymbol};

use crate::kernel::{
    Door, Engine, Errno, Fail, MAX_LOAD_SIZE, Mode, Options, Phase, Resolved, relocate, resolve_split,
    special,
};
use crate::{Btf, Index, Kind};

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Strength {
    /// What the kernel checks, up to its first refusal.
    Kernel,
    /// All findings, also of what the kernel never checks on its own BTF.
    #[default]
    Strict,
}

/// Whose BTF it is, which decides what the kernel checks of it.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// A kernel's own (`btf_parse_vmlinux`).
    Kernel,
    /// BTF of unknown owner, as user space loads it (bpf(2), `BPF_BTF_LOAD`).
    Loaded,
    /// A module's (`btf_parse_module`).
    Module {
        /// The module's name.
        name: &'a str,
        /// Its `.BTF.base`.
        distilled: Option<&'a [u8]>,
        /// Its kernel's BTF, where that is at hand.
        kernel: Option<&'a Base<'a>>,
    },
}

/// What else is known of the kernel that the BTF is in.
#[derive(Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The symbols of `.data..percpu`.
    pub per_cpu: Option<&'a PerCpu<'a>>,
    /// The `__BTF_ID__` symbols and the section they are in.
    pub ids: &'a [IdSymbol<'a>],
    /// CONFIG_PAHOLE_VERSION: 124 for pahole 1.24.
    pub pahole: Option<u32>,
}

/// Base BTF, read and resolved once for all that is split from it.
pub struct Base<'a> {
    btf: Btf<'a>,
    solved: Arc<Solved>,
}

/// What reading a base found, without its bytes, so that it can be kept beside them.
#[derive(Clone, Debug)]
pub struct Solved {
    index: Arc<Index>,
    resolved: Option<Resolved>,
    refused: Option<Refused>,
}

/// A base that its own kernel refuses, and with it every module.
#[derive(Clone, Debug)]
struct Refused {
    errno: Errno,
    /// The line that names the fault.
    line: String,
}

impl Solved {
    /// Reads and resolves a base. One that cannot be read at all is a base without types, and refused.
    pub fn new(data: &[u8], options: &Options<'_>) -> Solved {
        let outcome = Outcome::all(data, None, None, Door::Own, options);
        let refused = (outcome.own > 0)
            .then(|| outcome.fails.first())
            .flatten()
            .map(|fail| Refused { errno: fail.errno, line: outcome.last_line.clone() });
        let index =
            outcome.btf.as_ref().map_or_else(|| Arc::new(Index::empty()), |btf| Arc::clone(btf.index()));
        Solved { index, resolved: outcome.resolved, refused }
    }
}

impl<'a> Base<'a> {
    /// A base from its bytes and what was found in them.
    pub fn new(data: &'a [u8], solved: Arc<Solved>) -> Base<'a> {
        Base { btf: Btf::with_index(data, Arc::clone(&solved.index)), solved }
    }

    /// The base itself.
    pub fn btf(&self) -> &Btf<'a> {
        &self.btf
    }
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many types the BTF itself holds, as far as it could be read.
    pub types: u64,
    /// What is wrong, in the order in which the kernel would come to it.
    pub findings: Vec<Finding>,
    /// What was proved, one phrase each.
    pub proved: Vec<String>,
    /// What could not be checked, and why.
    pub skipped: Vec<String>,
}

/// One run of the engine.
struct Outcome<'a> {
    fails: Vec<Fail<'a>>,
    /// How many of the failed checks are the kernel's own on this BTF.
    own: usize,
    /// There were more than are kept.
    more: bool,
    /// A type could not be read, and with it all that follow.
    cut: bool,
    btf: Option<Btf<'a>>,
    resolved: Option<Resolved>,
    /// What the kernel prints when it comes to the first: on its console, or in the log of bpf(2).
    lines: Vec<String>,
    /// The last of them that says something.
    last_line: String,
}

impl<'a> Outcome<'a> {
    /// The kernel's verdict: stops at the first check that fails.
    fn first(data: &'a [u8], base: Option<&'a Btf<'a>>, door: Door, options: &Options<'_>) -> Outcome<'a> {
        let mut engine = Engine::new(data, base, door.mode(), options);
        let fail = door.run(&mut engine, data, options).err();
        let readable = engine.has_sections();
        let own = usize::from(fail.is_some());
        let btf = readable.then(|| engine.btf()).map(|seen| whole(data, base, fail.as_ref()).unwrap_or(seen));
        Outcome::end(engine, fail.into_iter().collect(), own, btf, None, options)
    }

    /// All checks that fail, and the resolve phase.
    fn all(
        data: &'a [u8],
        base: Option<&'a Btf<'a>>,
        base_resolved: Option<&Resolved>,
        door: Door,
        options: &Options<'_>,
    ) -> Outcome<'a> {
        let mut engine = Engine::new(data, base, door.mode(), options);
        engine.kept = Some(Vec::new());
        let mut fatal = engine.header().and_then(|()| engine.strings()).err();
        let btf = fatal.is_none().then(|| {
            fatal = door.types(&mut engine).err();
            engine.btf()
        });
        let mut resolved = None;
        let mut own = None;
        if engine.cut {
            // What refers to a type behind the last that could be read is not wrong for that.
            own = (door == Door::Own).then(|| engine.kept_count());
        } else if let (Some(btf), None) = (&btf, &fatal) {
            // The kernel walks chains last; what they find is reported before what rests on them.
            fatal = engine.chains(btf).err();
            own = (door == Door::Own).then(|| engine.kept_count() + usize::from(fatal.is_some()));
            if fatal.is_none() {
                match resolve_split(&mut engine, btf, base_resolved) {
                    Ok(done) => resolved = Some(done),
                    Err(fail) => fatal = Some(fail),
                }
            }
            if door == Door::Load && fatal.is_none() && engine.kept_count() == 0 {
                fatal = special::check(&engine, btf, options.kernel).err();
            }
        }
        let mut fails = engine.kept.take().unwrap_or_default();
        fails.extend(fatal);
        if door == Door::Load && data.len() > MAX_LOAD_SIZE {
            fails.insert(0, Fail::silent(Errno::E2BIG));
        } else if door == Door::Load && !fails.is_empty() {
            Outcome::lead_with_the_kernels(&mut fails, data, base, options);
        }
        let own = own.unwrap_or(fails.len());
        Outcome::end(engine, fails, own, btf, resolved, options)
    }

    /// Puts the failure first that bpf(2) ends with: the order above is not the one in which it comes to the phases.
    fn lead_with_the_kernels(
        fails: &mut Vec<Fail<'a>>,
        data: &'a [u8],
        base: Option<&'a Btf<'a>>,
        options: &Options<'_>,
    ) {
        let verdict = Outcome::first(data, base, Door::Load, options);
        let Some(first) = verdict.fails.into_iter().next() else { return };
        let same = |f: &Fail<'_>| f.id == first.id && f.phase == first.phase && f.reason == first.reason;
        if let Some(at) = fails.iter().position(same) {
            fails.remove(at);
        }
        fails.insert(0, first);
    }

    /// Lets the kernel speak of the first failure that is its own.
    fn end(
        mut engine: Engine<'a>,
        fails: Vec<Fail<'a>>,
        own: usize,
        btf: Option<Btf<'a>>,
        resolved: Option<Resolved>,
        options: &Options<'_>,
    ) -> Outcome<'a> {
        if let Some(first) = fails.first().filter(|_| own > 0) {
            engine.emit(first);
        }
        let more = fails.len() > crate::kernel::KEEP_MAX;
        let cut = engine.cut;
        let mode = engine.mode();
        let log = engine.take_log();
        let lines = match mode {
            Mode::Kernel => log.console(options.rules.console_space),
            Mode::Load => log.lines(),
        };
        Outcome { fails, own, more, cut, btf, resolved, last_line: log.last_line(), lines }
    }
}

/// All types of BTF whose check ended at one of them: what it refers to may stand behind it.
fn whole<'a>(data: &'a [u8], base: Option<&'a Btf<'a>>, fail: Option<&Fail<'_>>) -> Option<Btf<'a>> {
    fail.filter(|fail| fail.phase == Phase::Meta)?;
    match base {
        Some(base) => Btf::parse_split(data, base),
        None => Btf::parse(data),
    }
    .ok()
}

/// Checks BTF.
pub fn check(
    data: &[u8],
    subject: Subject<'_>,
    facts: &Facts<'_>,
    options: &Options<'_>,
    strength: Strength,
) -> Report {
    let mut report = Report::default();
    let run = Run { options, strength };
    match subject {
        Subject::Kernel => run.base(data, Door::Own, facts, &mut report),
        Subject::Loaded => run.base(data, Door::Load, facts, &mut report),
        Subject::Module { .. } if !options.rules.modules => {
            report.types = Index::new(data, true, 0).map_or(0, |index| index.offsets.len() as u64);
            report.skipped.push(format!(
                "the module's BTF was not checked: Linux {} does not read it (modules have BTF since 5.11)",
                options.rules
            ));
        }
        Subject::Module { name, kernel: Some(kernel), .. } if kernel.solved.refused.is_some() => {
            split::refused_base(name, kernel, options, &mut report);
            report.types = Index::new(data, true, 0).map_or(0, |index| index.offsets.len() as u64);
        }
        Subject::Module { name, distilled: Some(distilled), kernel, .. } if options.rules.distilled_base => {
            run.distilled(data, name, distilled, kernel, &mut report);
        }
        Subject::Module { name, kernel: Some(kernel), .. } => {
            let outcome = run.outcome(data, Some(&kernel.btf), kernel.solved.resolved.as_ref(), Door::Own);
            run.module(outcome, name, &mut report);
        }
        Subject::Module { .. } => without_base(data, &mut report),
    }
    report
}

/// What holds for one check.
#[derive(Clone, Copy)]
struct Run<'o> {
    options: &'o Options<'o>,
    strength: Strength,
}

impl Run<'_> {
    fn outcome<'a>(
        self,
        data: &'a [u8],
        base: Option<&'a Btf<'a>>,
        base_resolved: Option<&Resolved>,
        door: Door,
    ) -> Outcome<'a> {
        match self.strength {
            Strength::Kernel => Outcome::first(data, base, door, self.options),
            Strength::Strict => Outcome::all(data, base, base_resolved, door, self.options),
        }
    }

    /// BTF that stands on its own.
    fn base(self, data: &[u8], door: Door, facts: &Facts<'_>, report: &mut Report) {
        let outcome = self.outcome(data, None, None, door);
        let who = match door {
            Door::Own => describe::Who::Kernel,
            Door::Load => describe::Who::Loader {
                own: (outcome.own > 0).then(|| crate::kernel::vmlinux(data, self.options)),
            },
        };
        describe::Reader::new(&outcome, who, self.options).with_pahole(facts.pahole).describe(report);
        let Some(btf) = &outcome.btf else { return };
        report.types = u64::from(btf.own_count());
        if outcome.cut {
            report.skipped.push(format!(
                "what follows type {} was not read, for want of that type's length, and no reference was followed",
                btf.type_count()
            ));
        }
        if outcome.own == 0 {
            report.proved.push(match door {
                Door::Own => "accepted by the kernel's own checks (btf_parse_vmlinux)".to_owned(),
                Door::Load => {
                    "accepted by bpf(BPF_BTF_LOAD), and as a kernel's own (btf_parse_vmlinux)".to_owned()
                }
            });
        }
        if self.strength == Strength::Kernel {
            return report.skipped.push(KERNEL_ONLY.to_owned());
        }
        if outcome.fails.is_empty() && outcome.resolved.is_some() {
            report.proved.push("every reference resolved, every member within its structure".to_owned());
        }
        names(btf, report);
        if outcome.resolved.is_some() {
            percpu::variables(btf, facts, report);
            percpu::symbols(btf, facts, report);
            ids::check(btf, facts, report);
        }
    }

    /// Split BTF that was read against its base.
    fn module(self, mut outcome: Outcome<'_>, name: &str, report: &mut Report) {
        let strict = self.strength == Strength::Strict;
        if let Some(btf) = outcome.btf.as_ref().filter(|_| strict)
            && split::base_mismatch(btf, name, report)
        {
            // It explains whatever else is wrong: of that, the kernel's refusal is enough.
            let kept = outcome.own.min(1);
            let more = outcome.fails.len() - kept;
            outcome.fails.truncate(kept);
            if more > 0 {
                report
                    .skipped
                    .push(format!("{more} checks that fail for want of the right base are not shown"));
            }
        }
        let outcome = &outcome;
        let who = describe::Who::Module { name };
        describe::Reader::new(outcome, who, self.options).describe(report);
        let Some(btf) = &outcome.btf else { return };
        report.types = u64::from(btf.own_count());
        if outcome.own == 0 {
            report.proved.insert(0, "accepted by the kernel's own checks (btf_parse_module)".to_owned());
        }
    }

    /// A module with a base of its own, which the kernel maps to its BTF (`btf_relocate`, 6.11).
    fn distilled(
        self,
        data: &[u8],
        name: &str,
        distilled: &[u8],
        kernel: Option<&Base<'_>>,
        report: &mut Report,
    ) {
        let base = self.outcome(distilled, None, None, Door::Own);
        if base.own > 0 {
            let who = describe::Who::DistilledBase { name };
            describe::Reader::new(&base, who, self.options).describe(report);
        }
        let Some(btf) = base.btf.as_ref().filter(|_| base.own == 0) else { return };
        let outcome = self.outcome(data, Some(btf), base.resolved.as_ref(), Door::Own);
        let split = outcome.btf.clone().filter(|_| outcome.own == 0);
        self.module(outcome, name, report);
        let Some(split) = &split else { return };
        let Some(kernel) = kernel else {
            return report.skipped.push(
                "the distilled base was not matched against a kernel: give the module's vmlinux with --kernel"
                    .to_owned(),
            );
        };
        match relocate::check(split, btf, &kernel.btf) {
            Ok(()) => report.proved.push("the distilled base is found in the kernel's BTF".to_owned()),
            Err(relocate::Failure::Refused(refusal)) => {
                report.findings.push(split::not_relocatable(name, &refusal, self.options));
            }
            Err(relocate::Failure::TooManyOfOneName(what)) => report.skipped.push(format!(
                "the distilled base was not matched against the kernel: it has too many types named {what}"
            )),
        }
    }
}

const KERNEL_ONLY: &str =
    "what the kernel does not check of its own BTF was left out, as --btf-strength kernel asks";

/// A module whose kernel is not at hand: its frame alone can be read.
fn without_base(data: &[u8], report: &mut Report) {
    match Index::new(data, true, 0) {
        Ok(index) => report.types = index.offsets.len() as u64,
        Err(error) => {
            report.findings.push(
                Finding::new(
                    "btf/unreadable",
                    kvet_finding::Severity::Error,
                    format!("the module's BTF {error}"),
                )
                .advice("rebuild the module; the BTF is written by pahole after the link"),
            );
        }
    }
    report.skipped.push(
        "split BTF was not checked: its ids and names continue those of the vmlinux it was built with, which \
         --kernel gives"
            .to_owned(),
    );
}

/// Member names that a structure has twice.
fn names(btf: &Btf<'_>, report: &mut Report) {
    let (mut members, mut found) = (Vec::new(), 0);
    for t in btf.types().filter(|t| t.kind().is_composite()) {
        // Equal names have equal offsets in BTF whose strings were deduplicated, as libbpf and pahole do.
        if all_apart(t.members().map(|member| member.name_off)) {
            continue;
        }
        members.clear();
        members.extend((0_u32..).zip(t.members()).map(|(i, member)| (member.name_off, i)));
        members.sort_unstable();
        for pair in members.windows(2).filter(|pair| pair[0].0 != 0 && pair[0].0 == pair[1].0) {
            found += 1;
            if found > MOST_DUPLICATES {
                continue;
            }
            let (name, second) = pair[1];
            report.findings.push(
                Finding::new(
                    "btf/duplicate-member",
                    kvet_finding::Severity::Warning,
                    format!(
                        "[{}] {} has two members named {}, the second is member {second}",
                        t.id,
                        btf.c_type(t.id()),
                        btf.display_name(name)
                    ),
                )
                .index(u64::from(t.id)),
            );
        }
    }
    if let Some(more @ 1..) = found.checked_sub(MOST_DUPLICATES) {
        report
            .skipped
            .push(format!("{more} more members whose name their structure has twice are not shown"));
    }
}

/// As many are shown one by one.
const MOST_DUPLICATES: u32 = 20;

/// Whether no two numbers are equal, as far as a glance tells: most structures are small, and their names have
/// different remainders.
fn all_apart(numbers: impl Iterator<Item = u32>) -> bool {
    const WORDS: usize = 4;
    let mut seen = [0_u64; WORDS];
    numbers.filter(|&number| number != 0).all(|number| {
        let hash = number.wrapping_mul(0x9e37_79b9) >> 24;
        let (word, bit) = (hash as usize % WORDS, 1 << (hash / WORDS as u32));
        let apart = seen[word] & bit == 0;
        seen[word] |= bit;
        apart
    })
}

/// A declaration of a variable, `static int numa_node`.
fn variable(btf: &Btf<'_>, var: crate::Type<'_>) -> String {
    let linkage = match var.linkage() {
        0 => "static ",
        2 => "extern ",
        _ => "",
    };
    match var.kind() {
        Kind::Var => {
            format!("{linkage}{}", btf.c_declaration(var.target(), &btf.display_name(var.name_off())))
        }
        kind => format!("{} {}", kind.as_str(), btf.display_name(var.name_off())),
    }
}
