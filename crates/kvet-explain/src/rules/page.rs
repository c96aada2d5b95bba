//! Pages whose state contradicts itself (mm/page_alloc.c, `bad_page`; mm/memory.c, `print_bad_pte`; kernel/fork.c, `check_mm`).

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, line, sentences};

/// `page dumped because: ` words, and what they mean.
const WHY: &[(&str, &str)] = &[
    ("nonzero mapcount", "is given back while it is still mapped into an address space"),
    ("nonzero _refcount", "is given back while somebody still holds a reference"),
    ("nonzero _count", "is given back while somebody still holds a reference"),
    ("nonzero entire_mapcount", "is given back while it is still mapped as a whole"),
    ("nonzero pincount", "is given back while it is still pinned for DMA"),
    ("non-NULL mapping", "is given back while a file or an anonymous mapping still owns it"),
    (
        "PAGE_FLAGS_CHECK_AT_FREE",
        "is given back with flags set that a free page must not have: locked, in use by a file system, or on a list",
    ),
    ("PAGE_FLAGS_CHECK_AT_PREP", "was written to while it was free, or was given out twice"),
    ("still charged to cgroup", "is given back while a memory cgroup is still charged for it"),
    ("page_pool leak", "is given back to the page allocator though it belongs to a page pool of the network"),
    ("unexpected _refcount", "was given out with a reference that nobody should have"),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if case.report.kind != Kind::Bug {
        return None;
    }
    let (cause, summary, mark, advice) = if case.headline_has("Bad page state") {
        let (number, text) = case.says("page dumped because: ")?;
        let (_, means) = WHY.iter().find(|(words, _)| text.contains(words))?;
        let owner = case.report.traces.iter().find(|trace| trace.title.contains("page last allocated"));
        let mut evidence = vec![line("why the kernel refuses it", (number, text.to_owned()))];
        evidence.extend(
            case.quote("page last allocated via")
                .map(|found| line("who had it (page_owner); the trace follows", found)),
        );
        let advice = if owner.is_some() {
            "page_owner names who had the page last: begin there, not where it was noticed"
        } else {
            "who gives it back only noticed: boot with page_owner=on to see who had it"
        };
        return Some(Diagnosis {
            cause: "page-state",
            summary: format!("A page {means} (noticed in {}).", case.in_function()),
            confidence: Confidence::Certain,
            evidence,
            advice: sentences([advice]),
        });
    } else if case.headline_has("Bad page map") {
        (
            "page-table-entry",
            "A page table holds an entry that belongs to no page of this mapping: the table was written over, or a driver mapped what it does not own.",
            "Bad page map",
            "the line below names the file and its mmap function: look there; memory tests exclude bad memory",
        )
    } else if case.headline_has("Bad rss-counter") {
        (
            "page-accounting",
            "An address space ended with pages still counted for it: pages were unmapped or mapped without being counted; leaked pages or a damaged page table.",
            "Bad rss-counter",
            "look for another report before it; page_table_check=on finds the first wrong entry",
        )
    } else if case.headline_has("on freeing mm") {
        (
            "page-accounting",
            "An address space ended with page tables still counted for it: they are leaked.",
            "on freeing mm",
            "look at who allocated page tables in this address space last; page_table_check=on finds the first wrong entry",
        )
    } else {
        return None;
    };
    Some(Diagnosis {
        cause,
        summary: summary.to_owned(),
        confidence: Confidence::Likely,
        evidence: vec![case.shows(case.report.headline.clone(), mark)],
        advice: sentences([advice]),
    })
}
