//! No rule applies: the facts, and that.

use super::{Case, Confidence, Diagnosis, Evidence, fact};

pub fn facts(case: &Case<'_>) -> Diagnosis {
    let report = case.report;
    let mut evidence: Vec<Evidence> = vec![Evidence {
        says: "the report".into(),
        line: Some((report.span.first_line, super::short(&report.headline, 300))),
    }];
    if let Some((file, number)) = &report.source {
        evidence.push(fact(format!("the kernel names {file}:{number}")));
    }
    if let Some(ip) = &report.ip {
        evidence.push(fact(format!("it was at {}+{:#x}", ip.function, ip.offset)));
    }
    if let Some(address) = super::access::address(case) {
        evidence.push(fact(format!("{} of address {address:#x}", super::access::kind(case))));
    }
    if let Some(panic) = &report.panic {
        evidence.push(fact(format!("it ended in: {}", super::short(panic, 200))));
    }
    if report.cut {
        evidence.push(fact("the log is cut or mixed inside the report: fields may be missing"));
    }
    let place = case
        .function
        .map_or_else(|| "no function can be named".to_owned(), |f| format!("the function at fault is {f}"));
    Diagnosis {
        cause: Diagnosis::UNKNOWN,
        summary: format!("No rule explains this {}; {place}.", report.kind),
        confidence: Confidence::Possible,
        evidence,
        advice: vec![
            "read the report's own lines, below; with --kernel the source lines stand beside them".to_owned(),
        ],
    }
}
