//! What the reports of a console log mean: which one is the cause, which function is at fault, what explains it.
//!
//! The way of data: a [`kvet_console::Log`] (and an image, where there is one) in, [`Explained`] reports out. Text
//! alone must do; an image makes the answers more exact. It opens no file, prints nothing, reads no environment.
//!
//! Where things are: `fault.rs` finds the function at fault past `helpers.rs`; `title.rs` names the failure as the
//! field does; `infer.rs` builds the reports that a log only implies; `causation.rs` says which report follows from
//! which; `signature.rs` makes two logs of one bug equal; `rules/` has one diagnosis a file; `symbols/` holds the report
//! against the kernel's files.

mod causation;
pub mod explained;
mod fault;
mod helpers;
mod infer;
mod phase;
mod recursion;
pub mod rules;
mod signature;
pub mod symbols;
#[cfg(test)]
mod testing;
mod text;
mod title;

use std::collections::HashMap;
use std::sync::Arc;

use kvet_console::{Log, Report};

pub use explained::{Confidence, Diagnosis, Evidence, Explained};
pub use text::Text;

use fault::Culprit;
use symbols::{Resolved, SameKernel, Symbolizer};

/// What is known beside the parsed log.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// The log's bytes as they were parsed: rules quote from them, and read what stands between reports. Empty
    /// when they are not at hand (a pipe of gigabytes): then only reports are quoted.
    pub text: Text<'a>,
    /// The kernel that wrote the log, with its tables.
    pub kernel: Option<&'a kvet_tables::Context<'a>>,
    /// The same kernel with its modules, for addresses and source lines.
    pub symbols: Option<&'a Symbolizer<'a>>,
    /// What the log ran in, where that is known from who ran it.
    pub emulator: Option<Emulator>,
}

/// A QEMU that somebody started and can tell of: a log seldom does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Emulator {
    /// Its version: major, minor.
    pub version: Option<(u32, u32)>,
    /// Its processors are translated (TCG), not virtual.
    pub translated: bool,
    /// Several of its processors run at once: not one processor, nor TCG with `thread=single`.
    pub parallel: bool,
}

/// Explains every report of a log, causes first: each report without a cause in the log is followed by its
/// consequences, in the order of the log.
pub fn explain(log: &Log, context: &Context<'_>) -> Vec<Explained> {
    let seeds = seeds(log, context);
    let causes = causation::causes(&seeds, log);
    let order = causation::order(&seeds, &causes);
    let mut place = vec![0; order.len()];
    for (at, index) in order.iter().enumerate() {
        place[*index] = at;
    }
    let memo = rules::Memo::default();
    let mut explained: Vec<Explained> = Vec::with_capacity(order.len());
    for &index in &order {
        let cause = causes[index].map(|cause| place[cause]);
        explained.push(one(&seeds[index], cause, &seeds, log, context, &memo));
    }
    explained
}

/// A report with what is needed to order it.
pub(crate) struct Seed {
    pub report: Arc<Report>,
    pub inferred: bool,
    pub culprit: Option<Culprit>,
}

fn seeds(log: &Log, context: &Context<'_>) -> Vec<Seed> {
    let inferred = infer::reports(log, context);
    let told = log.reports.iter().cloned().map(|report| (report, false));
    let seeds = told.chain(inferred.into_iter().map(|report| (Arc::new(report), true)));
    let mut seeds: Vec<Seed> = seeds
        .map(|(report, inferred)| {
            let culprit = fault::culprit(&report);
            Seed { report, inferred, culprit }
        })
        .collect();
    for index in 1..seeds.len() {
        let (before, after) = seeds.split_at_mut(index);
        if let [.., first] = before
            && let Some(culprit) = fault::broken_off(&first.report, &after[0].report)
        {
            first.culprit = Some(culprit);
        }
    }
    seeds
}

fn one(
    seed: &Seed,
    consequence_of: Option<usize>,
    seeds: &[Seed],
    log: &Log,
    context: &Context<'_>,
    memo: &rules::Memo,
) -> Explained {
    let report = &seed.report;
    let culprit = seed.culprit.as_ref();
    let function = culprit.map(|culprit| culprit.function.as_str());
    let resolved = context.symbols.map(|symbols| symbols.report(report));
    let case = rules::Case {
        report,
        function,
        seeds,
        log,
        text: context.text,
        kernel: context.kernel,
        resolved: resolved.as_ref(),
        emulator: context.emulator,
        memo,
    };
    let diagnosis = rules::diagnose(&case);
    Explained {
        title: title::title(report, function),
        function: function.map(str::to_owned),
        module: culprit.and_then(|culprit| culprit.module.clone()),
        phase: phase::phase(report),
        consequence_of,
        signature: signature::signature(report, function, diagnosis.as_ref()),
        diagnosis: Some(diagnosis).flatten(),
        inferred: seed.inferred,
        report: report.clone(),
        resolved,
    }
}

/// Whether a log was written by the kernel whose symbols explained it.
pub fn same_kernel(log: &Log, explained: &[Explained], symbols: &Symbolizer<'_>) -> SameKernel {
    let told = explained.iter().filter(|one| !one.inferred);
    let by_place: HashMap<u64, &Explained> = told.map(|one| (one.report.span.start, one)).collect();
    let of = |report: &Report| -> Resolved {
        let found = by_place.get(&report.span.start).and_then(|one| one.resolved.clone());
        found.unwrap_or_default()
    };
    let resolved: Vec<Resolved> = log.reports.iter().map(|report| of(report)).collect();
    symbols.same_kernel(log, &resolved)
}
