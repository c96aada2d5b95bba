//! For scripts: kvet-inspect/1 (docs/json.md).

use std::io::{self, Write};

use kvet_memory::Guest;
use kvet_memory::cpus::{Activity, Cpu};
use kvet_memory::paging::{End, Walk};
use kvet_memory::text::{Audit, Kind};
use serde_json::{Value, json};

use super::{Findings, human};
use crate::text;

pub fn write(f: &Findings<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &document(f))?;
    writeln!(out)
}

fn hex(value: u64) -> Value {
    json!(format!("{value:#x}"))
}

fn part<T>(result: Option<&Result<T, String>>, make: impl FnOnce(&T) -> Value) -> Value {
    match result {
        None => Value::Null,
        Some(Ok(value)) => make(value),
        Some(Err(why)) => json!({ "error": why }),
    }
}

fn document(f: &Findings<'_, '_>) -> Value {
    let (guest, placement) = (f.guest, f.guest.placement());
    json!({
        "schema": "kvet-inspect/1",
        "memory": guest.memory().path().to_string_lossy(),
        "form": guest.memory().form().as_str(),
        "remarks": guest.memory().remarks(),
        "kernel": {
            "release": guest.image().release(),
            "arch": guest.arch().as_str(),
            "start": hex(placement.start.0),
            "slide": hex(placement.slide),
            "physical_base": placement.physical_base().map(hex),
            "located_by": placement.evidence.to_string(),
            "page_tables_by": placement.tables_by,
            "layouts_by": guest.layouts().source().to_string(),
        },
        "log": part(f.log.as_ref(), log),
        "reports": f.explanation.as_ref().map(reports),
        "text": part(f.text.as_ref(), |audit| audit_value(f.guest, audit)),
        "keys": part(f.keys.as_ref(), |keys| keys.iter().map(key).collect()),
        "features": part(f.features.as_ref(), |set| json!(kvet_memory::features::names(guest, f.context, set))),
        "cpus": f.cpus.as_ref().map(|cpus| cpus.iter().map(|c| cpu(f, c)).collect::<Vec<_>>()),
        "walk": part(f.walk.as_ref(), walk),
        "pages": part(f.pages.as_ref(), pages),
    })
}

fn log(log: &kvet_memory::dmesg::Log) -> Value {
    let records = log.records.iter().map(|r| {
        json!({
            "seq": r.seq,
            "time": r.ns as f64 / 1e9,
            "level": r.level,
            "facility": r.facility,
            "caller": r.caller.filter(|_| log.callers),
            "unfinished": r.unfinished,
            "text": String::from_utf8_lossy(&r.text),
        })
    });
    json!({
        "found_by": log.found_by,
        "lost": log.lost,
        "remarks": log.remarks,
        "records": records.collect::<Vec<_>>(),
    })
}

fn reports(explanation: &crate::explain::Explanation) -> Value {
    let report = |e: &kvet_explain::Explained| {
        json!({
            "title": e.title,
            "kind": e.report.kind.as_str(),
            "function": e.function,
            "signature": e.signature,
            "line": e.report.span.first_line,
            "consequence_of": e.consequence_of,
            "diagnosis": e.diagnosis.as_ref().map(|d| json!({
                "cause": d.cause, "summary": d.summary, "confidence": d.confidence.as_str(), "advice": d.advice,
            })),
        })
    };
    explanation.reports.iter().map(report).collect()
}

/// The audit of a guest's text; `kvet patch --as-booted` has it too.
pub fn audit_value(guest: &Guest<'_>, audit: &Audit) -> Value {
    let oddity = |odd: &kvet_memory::text::Oddity| {
        let (step, feature) = match &odd.kind {
            Kind::HalfPatched { step } => (Some(step.as_str()), None),
            Kind::WrongFeature { feature, .. } => (None, Some(*feature)),
            _ => (None, None),
        };
        let code = kvet_tables::disasm::code(guest.image(), odd.start, &odd.memory);
        json!({
            "kind": odd.kind.as_str(),
            "in_progress": odd.in_progress,
            "address": hex(odd.start.0),
            "runtime": hex(guest.to_runtime(odd.start)),
            "symbol": guest.symbolize(guest.to_runtime(odd.start)),
            "length": odd.len,
            "file": text::hex(&odd.file),
            "expected": text::hex(&odd.expected),
            "memory": text::hex(&odd.memory),
            "disassembly": code.lines,
            "table": odd.owner.map(|o| o.class.as_str()),
            "index": odd.owner.map(|o| o.index),
            "key": odd.owner.and_then(|o| o.key).map(|k| hex(k.0)),
            "step": step,
            "feature": feature,
            "message": human::words(guest, odd),
        })
    };
    let expected: serde_json::Map<String, Value> =
        audit.as_expected.iter().map(|(class, n)| (class.as_str().to_owned(), json!(n))).collect();
    json!({
        "bytes": audit.bytes,
        "parts": audit.parts.iter().map(|p| json!({
            "name": p.name, "start": hex(p.start.0), "length": p.len,
        })).collect::<Vec<_>>(),
        "as_expected": expected,
        "relocated": audit.relocated,
        "on_the_way": audit.on_the_way,
        "traced": audit.traced,
        "faults": audit.faults().count() as u64 + audit.more,
        "oddities": audit.oddities.iter().map(oddity).collect::<Vec<_>>(),
        "more": audit.more,
        "poke": audit.poke.as_ref().map(|p| json!({
            "step": p.step.map(|s| s.as_str()),
            "sites": p.sites.iter().map(|s| json!({
                "address": hex(s.at.0), "symbol": guest.symbolize(guest.to_runtime(s.at)),
                "key": s.key.map(|k| hex(k.0)), "new": text::hex(&s.new), "memory": text::hex(&s.memory),
            })).collect::<Vec<_>>(),
        })),
        "skipped": audit.skipped,
    })
}

fn key(key: &kvet_memory::keys::KeyState) -> Value {
    json!({
        "address": hex(key.addr.0),
        "name": key.name,
        "enabled": key.enabled,
        "initially": key.initially,
        "sites": { "as_asked": key.as_asked, "otherwise": key.otherwise, "in_patching": key.in_patching,
                   "other": key.other, "gone": key.gone },
        "odd_sites": key.odd_sites.iter().map(|a| hex(a.0)).collect::<Vec<_>>(),
    })
}

fn cpu(f: &Findings<'_, '_>, cpu: &Cpu) -> Value {
    let registers = cpu.registers.as_ref().map(|r| {
        let mut all: serde_json::Map<String, Value> =
            r.general.iter().enumerate().map(|(i, value)| (r.name(i), hex(*value))).collect();
        for (name, value) in [("pc", r.pc), ("sp", r.sp), ("flags", r.flags)] {
            all.insert(name.to_owned(), hex(value));
        }
        Value::Object(all)
    });
    let (activity, waits) = match &cpu.activity {
        Activity::Idle => ("idle", None),
        Activity::User => ("user", None),
        Activity::Halted => ("halted", None),
        Activity::Kernel => ("kernel", None),
        Activity::Unknown => ("unknown", None),
        Activity::Waits(w) => ("waits", Some(json!({ "for": w.what, "cpus": w.cpus, "at": w.at.map(hex) }))),
    };
    json!({
        "cpu": cpu.number,
        "activity": activity,
        "waits": waits,
        "symbol": cpu.symbol,
        "line": cpu.line(f.guest),
        "task": cpu.task.as_ref().map(|t| json!({ "pid": t.pid, "comm": t.comm, "address": hex(t.at) })),
        "preempt_count": cpu.preempt_count,
        "registers": registers,
        "frames": cpu.trace.frames.iter().map(|fr| json!({ "pc": hex(fr.pc), "symbol": fr.symbol })).collect::<Vec<_>>(),
        "unwound_to": cpu.trace.stopped,
        "int3": cpu.int3.as_ref().map(|int3| json!({
            "at": hex(int3.at), "symbol": f.guest.symbolize(int3.at), "memory": text::hex(&int3.memory),
            "stale": int3.stale,
        })),
    })
}

fn walk(walk: &Walk) -> Value {
    let steps = walk.steps.iter().map(|s| {
        json!({ "level": s.level, "index": s.index, "at": hex(s.entry_at), "entry": s.entry.map(hex), "wrong": s.wrong })
    });
    let (end, mapping) = match walk.end {
        End::Mapped(m) => (
            "mapped",
            Some(json!({
                "physical": hex(m.physical), "page": m.page, "write": m.rights.write, "execute": m.rights.execute,
                "user": m.rights.user, "global": m.rights.global,
            })),
        ),
        End::NotPresent => ("not-present", None),
        End::NonCanonical => ("non-canonical", None),
        End::Broken => ("broken", None),
    };
    json!({ "address": hex(walk.address), "steps": steps.collect::<Vec<_>>(), "end": end, "mapping": mapping })
}

fn pages(pages: &kvet_memory::pages::Pages) -> Value {
    let faults = pages.faults.iter().map(|p| {
        json!({ "rule": p.rule, "start": hex(p.run.start), "end": hex(p.run.end), "message": p.message, "early": p.early })
    });
    json!({
        "leaves": pages.leaves, "bytes": pages.bytes, "global": pages.global, "marked": pages.marked,
        "faults": faults.collect::<Vec<_>>(), "more": pages.more, "skipped": pages.skipped,
    })
}
