//! Families of reports: what each one's headline looks like, and which further lines are its own. One family, one file,
//! and one line in [`FAMILIES`].

mod atomic;
mod btf;
mod bug;
mod cut_here;
mod duplicate;
mod hung_task;
mod irq;
mod kasan;
mod kcsan;
mod kfence;
mod kmsan;
mod leak;
mod lockdep;
mod lockup;
mod machine_check;
mod oops;
mod page_fault;
mod panic;
mod patching;
mod rcu;
mod refcount;
mod rust;
mod slab;
mod stack_overflow;
mod trusty;
mod ubsan;
mod user_space;
mod vfs;
mod warning;

use crate::anchors::Families;
use crate::line::{Line, Origin};
use crate::open::{Open, Taken};
use crate::report::{Kind, Report};
use crate::text::starts_with;

pub(crate) use panic::announces as panic_announces;

/// A family of reports.
pub(crate) struct Family {
    /// Words of which each of its headlines has one, as they stand in the raw log.
    pub anchors: &'static [&'static str],
    /// Whether a line is a headline.
    pub begin: fn(&Line<'_>) -> Option<Start>,
    /// Reads a line that only this family has.
    pub line: fn(&mut Open, &Line<'_>) -> Taken,
}

impl Family {
    /// Whether its reports are panics.
    pub fn is_panic(&self) -> bool {
        std::ptr::eq(self, &raw const panic::FAMILY)
    }
}

/// A headline that was recognised.
pub(crate) struct Start {
    /// What it says.
    pub report: Report,
    /// How much that is worth.
    pub sure: Sure,
}

/// How sure a headline is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sure {
    /// Nobody but the kernel prints such a line.
    Certain,
    /// The kernel prints it; without printk's mark a trace has to follow.
    Kernel,
    /// A trace has to follow.
    Trace,
    /// It announces a report whose headline is to come; nothing when none comes.
    Preamble,
    /// It announces a report, and is one if nothing follows.
    Lone,
}

impl Start {
    fn new(kind: Kind, line: &Line<'_>, sure: Sure) -> Start {
        let mut report = Report::new(kind, crate::text::clip(line.text(), crate::open::MAX_TEXT));
        report.timestamp = line.part.timestamp;
        Start { report, sure }
    }
}

/// A family without lines of its own.
fn no_lines(_: &mut Open, _: &Line<'_>) -> Taken {
    Taken::No
}

/// Takes a line as a detail when it starts with one of `starts`.
fn detail_of(open: &mut Open, line: &Line<'_>, starts: &[&str]) -> Taken {
    if starts.iter().any(|s| starts_with(line.text(), s)) {
        open.detail(line);
        return Taken::Detail;
    }
    Taken::No
}

/// All families; the first that knows a headline has it.
pub(crate) static FAMILIES: &[&Family] = &[
    &panic::FAMILY,
    &patching::FAMILY,
    &kasan::FAMILY,
    &kmsan::FAMILY,
    &kcsan::FAMILY,
    &kfence::FAMILY,
    &ubsan::FAMILY,
    &leak::FAMILY,
    &stack_overflow::FAMILY,
    &page_fault::FAMILY,
    &oops::FAMILY,
    &machine_check::FAMILY,
    &lockup::FAMILY,
    &atomic::FAMILY,
    &hung_task::FAMILY,
    &irq::FAMILY,
    &rcu::FAMILY,
    &lockdep::FAMILY,
    &refcount::FAMILY,
    &slab::FAMILY,
    &warning::FAMILY,
    &bug::FAMILY,
    &duplicate::FAMILY,
    &btf::FAMILY,
    &vfs::FAMILY,
    &rust::FAMILY,
    &trusty::FAMILY,
    &user_space::FAMILY,
    &cut_here::FAMILY,
];

/// The family that knows this headline, and what it says.
pub(crate) fn begin(line: &Line<'_>, families: Families) -> Option<(Start, &'static Family)> {
    if line.part.origin == Origin::User || line.text().len() < 4 {
        return None;
    }
    let begin = |family: &'static Family| (family.begin)(line).map(|start| (start, family));
    let found = families.iter().find_map(begin);
    debug_assert_eq!(
        found.as_ref().map(|(_, family)| &raw const **family),
        FAMILIES.iter().copied().find_map(begin).map(|(_, family)| &raw const *family),
        "a family knows a headline without one of its anchors: {}",
        line.text()
    );
    found
}
