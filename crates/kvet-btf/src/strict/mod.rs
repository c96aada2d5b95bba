//! Strict strength: every finding and not only the first, and what the kernel never checks of its own BTF.
//!
//! The kernel's own checks run first, and go on where the kernel stops; the first of them that fails is the
//! line that the kernel prints. Then follow the resolve phase, variables, per-CPU symbols, names, and a
//! module's fit to its base.

mod describe;
mod ids;
mod percpu;
mod split;

use std::sync::Arc;

use kvet_finding::Finding;

pub use ids::{IdSymbol, IdSymbolKind, SetShape};
pub use percpu::{PerCpu, PerCpuSymbol};

use crate::kernel::{Engine, Fail, Mode, Options, Resolved, relocate, resolve_split};
use crate::{Btf, Index, Kind};

/// Whose BTF it is.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// A kernel's own, or a base of any kind.
    Kernel,
    /// A module's.
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
    resolved: Resolved,
}

impl Solved {
    /// Reads and resolves a base. `None` when its types cannot be read.
    pub fn new(data: &[u8], options: &Options<'_>) -> Option<Solved> {
        Outcome::of(data, None, None, options).solved
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

/// What strict strength found.
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

/// One pass of the engine that does not stop.
struct Outcome<'a> {
    fails: Vec<Fail<'a>>,
    /// How many of the failed checks are the kernel's own on this BTF.
    own: usize,
    /// There were more than are kept.
    more: bool,
    btf: Option<Btf<'a>>,
    solved: Option<Solved>,
    console: Vec<String>,
}

impl<'a> Outcome<'a> {
    fn of(
        data: &'a [u8],
        base: Option<&'a Btf<'a>>,
        resolved: Option<&Resolved>,
        options: &Options<'_>,
    ) -> Outcome<'a> {
        let mut engine = Engine::new(data, base, Mode::Kernel, options);
        engine.kept = Some(Vec::new());
        let mut fatal = engine.header().err();
        if fatal.is_none() {
            fatal = engine.strings().err();
        }
        let unreadable = fatal.is_some();
        if fatal.is_none() {
            fatal = engine.layout().and_then(|()| engine.metas()).err();
        }
        let btf = (!unreadable).then(|| engine.btf());
        if let (Some(btf), None) = (&btf, &fatal) {
            fatal = engine.chains(btf).err();
        }
        let own = engine.kept.as_ref().map_or(0, Vec::len) + usize::from(fatal.is_some());
        let mut found = None;
        if let (Some(btf), None) = (&btf, &fatal) {
            // A chain of modifiers without end was reported by the walk over chains.
            match resolve_split(&mut engine, btf, resolved) {
                Ok(done) => found = Some(Solved { index: Arc::clone(btf.index()), resolved: done }),
                Err(fail) => fatal = Some(fail),
            }
        }
        let mut fails = engine.kept.take().unwrap_or_default();
        let more = fails.len() >= crate::kernel::KEEP_MAX;
        fails.extend(fatal);
        if own > 0
            && let Some(first) = fails.first()
        {
            let first = first.clone();
            engine.emit(&first);
        }
        let console = engine.take_log().console(options.rules.console_space);
        Outcome { fails, own, more, btf, solved: found, console }
    }
}

/// Checks BTF.
pub fn check(data: &[u8], subject: Subject<'_>, facts: &Facts<'_>, options: &Options<'_>) -> Report {
    let mut report = Report::default();
    match subject {
        Subject::Kernel => {
            let outcome = Outcome::of(data, None, None, options);
            kernel(&outcome, facts, &mut report);
        }
        Subject::Module { name, distilled: Some(distilled), kernel, .. } if options.rules.distilled_base => {
            distilled_module(data, name, distilled, kernel, options, &mut report);
        }
        Subject::Module { name, kernel: Some(kernel), .. } => {
            let outcome = Outcome::of(data, Some(&kernel.btf), Some(&kernel.solved.resolved), options);
            module(&outcome, name, &mut report);
        }
        Subject::Module { .. } => without_base(data, &mut report),
    }
    report
}

fn kernel(outcome: &Outcome<'_>, facts: &Facts<'_>, report: &mut Report) {
    let reader = describe::Reader { outcome, module: None, pahole: facts.pahole };
    reader.describe(report);
    let Some(btf) = &outcome.btf else { return };
    report.types = u64::from(btf.own_count());
    if outcome.own == 0 {
        report.proved.push("accepted by the kernel's own checks (btf_parse_vmlinux)".to_owned());
    }
    if outcome.fails.len() == outcome.own && outcome.solved.is_some() {
        report.proved.push("every reference resolved, every member within its structure".to_owned());
    }
    names(btf, report);
    if let Some(solved) = &outcome.solved {
        percpu::variables(btf, &solved.resolved, facts, report);
        percpu::symbols(btf, facts, report);
        ids::check(btf, facts, report);
    }
}

fn module(outcome: &Outcome<'_>, name: &str, report: &mut Report) {
    if let (Some(btf), true) = (&outcome.btf, outcome.own > 0 || !outcome.fails.is_empty()) {
        split::base_mismatch(btf, name, report);
    }
    let reader = describe::Reader { outcome, module: Some(name), pahole: None };
    reader.describe(report);
    let Some(btf) = &outcome.btf else { return };
    report.types = u64::from(btf.own_count());
    if outcome.own == 0 {
        report.proved.push("accepted by the kernel's own checks (btf_parse_module)".to_owned());
    }
    if outcome.fails.is_empty() {
        split::base_mismatch(btf, name, report);
    }
}

fn distilled_module(
    data: &[u8],
    name: &str,
    distilled: &[u8],
    kernel: Option<&Base<'_>>,
    options: &Options<'_>,
    report: &mut Report,
) {
    let base = Outcome::of(distilled, None, None, options);
    let (Some(btf), Some(solved)) = (&base.btf, &base.solved) else {
        describe::Reader { outcome: &base, module: Some(name), pahole: None }.describe(report);
        return;
    };
    if base.own > 0 {
        describe::Reader { outcome: &base, module: Some(name), pahole: None }.describe(report);
    }
    let outcome = Outcome::of(data, Some(btf), Some(&solved.resolved), options);
    module(&outcome, name, report);
    let Some(split) = &outcome.btf else { return };
    match kernel {
        None => report.skipped.push(
            "the distilled base was not matched against a kernel: give the module's vmlinux with --kernel"
                .to_owned(),
        ),
        Some(kernel) => match relocate::check(split, btf, &kernel.btf) {
            Ok(()) => report.proved.push("the distilled base is found in the kernel's BTF".to_owned()),
            Err(refusal) => report.findings.push(split::not_relocatable(name, &refusal)),
        },
    }
}

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
    // Equal names have equal offsets in BTF whose strings were deduplicated, as libbpf and pahole do.
    let mut last = vec![0_u32; btf.strings().len()];
    let mut found = 0;
    for t in btf.types().filter(|t| t.kind().is_composite()) {
        for (i, member) in t.members().enumerate() {
            let Some(slot) = last.get_mut(member.name_off as usize).filter(|_| member.name_off != 0) else {
                continue;
            };
            if std::mem::replace(slot, t.id) == t.id && found < 20 {
                found += 1;
                report.findings.push(
                    Finding::new(
                        "btf/duplicate-member",
                        kvet_finding::Severity::Warning,
                        format!(
                            "[{}] {} has two members named {}, the second is member {i}",
                            t.id,
                            btf.c_type(t.id()),
                            btf.display_name(member.name_off)
                        ),
                    )
                    .index(u64::from(t.id)),
                );
            }
        }
    }
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
