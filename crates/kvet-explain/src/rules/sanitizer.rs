//! What KASAN, KFENCE, KMSAN, KCSAN and UBSAN found, in a sentence: the tool proves it.

use kvet_console::{Frame, Kind, Trace};

use super::{Case, Confidence, Diagnosis, Evidence, line, sentences};
use crate::helpers;

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    match case.report.kind {
        Kind::Kasan | Kind::Kfence => memory(case),
        Kind::Kmsan => Some(uninitialised(case)),
        Kind::Kcsan => Some(race(case)),
        Kind::Ubsan => Some(undefined(case)),
        _ => None,
    }
}

/// Who stands in a trace, past the allocator.
fn who(trace: &Trace) -> Option<&Frame> {
    trace.frames.iter().find(|frame| !frame.function.is_empty() && helpers::reason(&frame.function).is_none())
}

fn trace<'a>(case: &Case<'a>, words: &[&str]) -> Option<(&'a Trace, &'a Frame)> {
    let traces = &case.report.traces;
    let found =
        traces.iter().find(|trace| words.iter().any(|word| trace.title.to_lowercase().contains(word)))?;
    Some((found, who(found)?))
}

fn memory(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    let headline = report.headline.to_lowercase();
    let object = report.object.as_ref();
    let cache = object.and_then(|object| object.cache.as_deref());
    let access = object.and_then(|object| object.access);
    let how = match access {
        Some((bytes, true)) => format!("wrote {bytes} byte{}", if bytes == 1 { "" } else { "s" }),
        Some((bytes, false)) => format!("read {bytes} byte{}", if bytes == 1 { "" } else { "s" }),
        None => "touched memory".to_owned(),
    };
    let of = cache.map_or_else(String::new, |cache| format!(" of {cache}"));
    let mut evidence = vec![case.shows(report.headline.clone(), &super::short(&report.headline, 60))];
    let mut place = |words: &[&str], says: &str| -> Option<String> {
        let (trace, frame) = trace(case, words)?;
        let quoted = case.text.find_in(&report.span, &trace.title);
        evidence.push(Evidence { says: format!("{says} in {}", frame.function), line: quoted });
        Some(frame.function.to_string())
    };
    let allocated = place(&["allocated"], "it was allocated");
    let freed = place(&["freed"], "it was freed");
    let both = |mut text: String| {
        if let Some(freed) = &freed {
            text.push_str(&format!(" that {freed} had freed"));
        }
        if let Some(allocated) = &allocated {
            text.push_str(&format!(" (allocated in {allocated})"));
        }
        text
    };
    let function = case.in_function();
    let (cause, summary) = if headline.contains("double-free")
        || headline.contains("invalid-free")
        || headline.contains("invalid free")
    {
        ("bad-free", both(format!("{function} freed what was not its to free: an object{of}")))
    } else if headline.contains("use-after-free") {
        ("use-after-free", both(format!("{function} {how} of an object{of}")))
    } else if headline.contains("out-of-bounds") {
        ("out-of-bounds", both(format!("{function} {how} beyond an object{of}")))
    } else if headline.contains("null-ptr") {
        ("null-dereference", format!("{function} {how} through a NULL pointer"))
    } else if headline.contains("wild-memory")
        || headline.contains("user-memory")
        || headline.contains("invalid-access")
        || headline.contains("unknown")
    {
        ("wild-pointer", format!("{function} {how} through a pointer to no object"))
    } else if headline.contains("memory corruption") {
        (
            "memory-corruption",
            both(format!("Something wrote beyond an object{of}; it showed when {function} gave it back")),
        )
    } else {
        return None;
    };
    Some(Diagnosis {
        cause,
        summary: format!("{summary}."),
        confidence: Confidence::Certain,
        evidence,
        advice: match cause {
            "use-after-free" | "bad-free" => sentences([
                "look at who still holds the object when it is freed: a missing reference, a timer or work item not cancelled, a second free on an error path",
            ]),
            "out-of-bounds" | "memory-corruption" => {
                sentences(["compare the index or length with the object's size; both may come from outside"])
            }
            _ => sentences(["look for a missing check, or for a use before it was set"]),
        },
    })
}

fn uninitialised(case: &Case<'_>) -> Diagnosis {
    let report = case.report;
    let mut evidence = vec![case.shows(report.headline.clone(), &super::short(&report.headline, 60))];
    let origin = trace(case, &["uninit was created", "local variable", "uninit was stored"]);
    let from = origin.map_or_else(String::new, |(trace, frame)| {
        evidence.push(Evidence {
            says: format!("the memory comes from {}", frame.function),
            line: case.text.find_in(&report.span, &trace.title),
        });
        format!(", which comes from {}", frame.function)
    });
    let leak = report.headline.contains("infoleak");
    Diagnosis {
        cause: if leak { "information-leak" } else { "uninitialised" },
        summary: if leak {
            format!(
                "{} gives memory that was never written{from} to user space or to a device.",
                case.in_function()
            )
        } else {
            format!("{} decides by memory that was never written{from}.", case.in_function())
        },
        confidence: Confidence::Certain,
        evidence,
        advice: sentences([
            "initialise it where it is created, or check that the source filled all of it (a short read, padding of a struct)",
        ]),
    }
}

fn race(case: &Case<'_>) -> Diagnosis {
    let racers = case.report.headline.split_once(" in ").map_or("", |(_, racers)| racers);
    Diagnosis {
        cause: "data-race",
        summary: format!(
            "Two CPUs access the same memory without a lock or an atomic operation: {}.",
            super::short(racers, 160)
        ),
        confidence: Confidence::Certain,
        evidence: vec![case.shows("both accesses were seen at once", "KCSAN")],
        advice: sentences([
            "if it is meant, mark both sides (READ_ONCE, WRITE_ONCE, data_race); if not, a lock is missing",
        ]),
    }
}

fn undefined(case: &Case<'_>) -> Diagnosis {
    let report = case.report;
    let what: Option<(u64, String)> = report
        .details
        .iter()
        .find(|(_, text)| {
            [
                "index",
                "shift",
                "overflow",
                "cannot be represented",
                "division",
                "load of value",
                "misaligned",
                "null pointer",
            ]
            .iter()
            .any(|w| text.contains(w))
        })
        .map(|(n, text)| (*n, text.clone()));
    let says =
        what.as_ref().map_or_else(|| "undefined behaviour".to_owned(), |(_, text)| super::short(text, 160));
    let mut evidence = vec![case.shows(report.headline.clone(), &super::short(&report.headline, 40))];
    evidence.extend(what.map(|what| line("the values", what)));
    Diagnosis {
        cause: "undefined-behaviour",
        summary: format!("{}: {says}.", case.in_function()),
        confidence: Confidence::Certain,
        evidence,
        advice: sentences(["check the value's range before it is used; it may come from outside"]),
    }
}
