//! Memory and references that nobody gives back: kmemleak's objects, network devices that cannot go.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, fact, line, number_after, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if report.kind != Kind::Leak {
        return None;
    }
    if let Some((number, text)) = case.says("unregister_netdevice: waiting for ") {
        let name = text.split_once("waiting for ")?.1.split_whitespace().next()?;
        let count = number_after(text, "count = ");
        let holds = count.map_or_else(String::new, |count| format!(" ({count} left)"));
        return Some(Diagnosis {
            cause: "netdev-reference-leak",
            summary: format!(
                "The network device {name} cannot go: somebody never gives back a reference to it{holds}. All removal of devices waits."
            ),
            confidence: Confidence::Certain,
            evidence: vec![line("the kernel waits for it", (number, text.to_owned()))],
            advice: sentences([
                "CONFIG_NET_DEV_REFCNT_TRACKER names who took the reference; look for a dev_hold() or dst_hold() on an error path",
            ]),
        });
    }
    let (number, text) = case.says("unreferenced object ")?;
    // Without a trace nobody is named, and nothing is told.
    let function = case.function?;
    let size =
        number_after(text, "(size ").map_or_else(|| "memory".to_owned(), |size| format!("{size} bytes"));
    let mut evidence = vec![line("no pointer to it was found", (number, text.to_owned()))];
    evidence.extend(
        case.quote("  comm \"")
            .or_else(|| case.quote("comm \""))
            .map(|found| line("who asked, and when", found)),
    );
    evidence.push(fact(format!("it was allocated in {function}")));
    Some(Diagnosis {
        cause: "memory-leak",
        summary: format!(
            "{size} that {function} allocated can be reached by nobody any more: a path gives up the pointer without a free."
        ),
        // kmemleak scans conservatively, and misses pointers that are kept in other forms.
        confidence: Confidence::Likely,
        evidence,
        advice: sentences([
            "look at the error paths behind the allocation; scan again (echo scan > /sys/kernel/debug/kmemleak) to exclude an object that was only just in flight",
        ]),
    })
}
