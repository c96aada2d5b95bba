//! `--format json`: kvet-explain/1, described in docs/json.md. Additions are free; whoever renames, removes or retypes
//! a key here makes a new version of the schema.
//!
//! Addresses are strings in hex, times are seconds, absent is null.

use std::io::{self, Write};

use kvet_console::{Arch, Code, CpuContext, Frame, Object, Phase, Trace, Trap};
use kvet_explain::symbols::{Resolved, ResolvedFrame, Verdict};
use kvet_explain::{Diagnosis, Explained};
use serde::Serialize;

use super::super::contract::write_json;
use crate::explain::{Explanation, Outcome};
use crate::text;

/// The name of this contract.
pub const SCHEMA: &str = "kvet-explain/1";

/// Writes the document, one log a line. A log that cannot be read has `error` and no reports.
pub fn write(outcomes: &[Outcome], out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"schema\":\"{SCHEMA}\",\"logs\":[")?;
    for (index, outcome) in outcomes.iter().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        write_json(&log(outcome), out)?;
    }
    out.write_all(b"\n]}\n")
}

#[derive(Serialize)]
struct Log<'a> {
    path: String,
    boots: usize,
    lines: u64,
    error: Option<&'a str>,
    same_kernel: Option<SameKernel<'a>>,
    reports: Vec<Report<'a>>,
}

#[derive(Serialize)]
struct SameKernel<'a> {
    answer: &'static str,
    why: &'a str,
}

#[derive(Serialize)]
struct Report<'a> {
    title: &'a str,
    kind: &'static str,
    function: Option<&'a str>,
    module: Option<&'a str>,
    arch: Option<&'static str>,
    release: Option<&'a str>,
    line: u64,
    last_line: u64,
    boot: usize,
    timestamp: Option<f64>,
    cpu: Option<u32>,
    pid: Option<u32>,
    comm: Option<&'a str>,
    phase: Option<&'static str>,
    initcall: Option<&'a str>,
    headline: &'a str,
    inferred: bool,
    cut: bool,
    hardware: Option<&'a str>,
    taint: Option<&'a str>,
    modules: &'a [String],
    work: Option<&'a str>,
    source: Option<String>,
    stalled_cpus: &'a [u32],
    locks: &'a [String],
    object: Option<ObjectJson<'a>>,
    stacks: Vec<StackJson<'a>>,
    panic: Option<&'a str>,
    repeated: &'a [u64],
    registers: serde_json::Map<String, serde_json::Value>,
    trap: Option<TrapJson<'a>>,
    code: Option<CodeJson>,
    frames: Vec<FrameJson<'a>>,
    traces: Vec<TraceJson<'a>>,
    consequence_of: Option<usize>,
    signature: &'a str,
    diagnosis: Option<DiagnosisJson<'a>>,
}

#[derive(Serialize)]
struct TrapJson<'a> {
    name: &'a str,
    vector: Option<u8>,
    error_code: Option<u64>,
    counter: Option<u32>,
    esr: Option<String>,
    address: Option<String>,
    write: Option<bool>,
    fetch: Option<bool>,
    user: Option<bool>,
    present: Option<bool>,
    reserved: Option<bool>,
    protection_key: Option<bool>,
    ec: Option<u8>,
    il: Option<bool>,
    fsc: Option<u8>,
    level: Option<u8>,
    walk: serde_json::Map<String, serde_json::Value>,
}

/// What a sanitiser or the slab allocator says of the object at fault.
#[derive(Serialize)]
struct ObjectJson<'a> {
    address: Option<String>,
    cache: Option<&'a str>,
    size: Option<u64>,
    access_size: Option<u64>,
    write: Option<bool>,
}

#[derive(Serialize)]
struct StackJson<'a> {
    name: &'a str,
    start: String,
    end: String,
}

/// Another trace of the report: how an object came to be, another CPU's, an earlier lock's.
#[derive(Serialize)]
struct TraceJson<'a> {
    title: &'a str,
    cpu: Option<u32>,
    pid: Option<u32>,
    comm: Option<&'a str>,
    frames: Vec<FrameJson<'a>>,
}

#[derive(Serialize)]
struct CodeJson {
    bytes: String,
    marked: Option<usize>,
    unit: u8,
    unreadable: Option<String>,
    lines: Vec<CodeLine>,
}

#[derive(Serialize)]
struct CodeLine {
    offset: usize,
    address: Option<String>,
    bytes: String,
    text: String,
    trapping: bool,
}

#[derive(Serialize)]
struct FrameJson<'a> {
    function: &'a str,
    offset: u64,
    size: Option<u64>,
    module: Option<&'a str>,
    reliable: bool,
    file: Option<String>,
    line: Option<u32>,
    inlined: Vec<Inlined>,
    context: Option<&'static str>,
    symbol: &'a str,
    address: Option<String>,
    refuted: Option<bool>,
}

/// The function into which the one before was inlined, and where it calls that.
#[derive(Serialize)]
struct Inlined {
    function: Option<String>,
    file: Option<String>,
    line: u32,
}

#[derive(Serialize)]
struct DiagnosisJson<'a> {
    cause: &'static str,
    summary: &'a str,
    confidence: &'static str,
    evidence: Vec<EvidenceJson<'a>>,
    advice: &'a [String],
}

#[derive(Serialize)]
struct EvidenceJson<'a> {
    says: &'a str,
    line: Option<u64>,
    text: Option<&'a str>,
}

fn log(outcome: &Outcome) -> Log<'_> {
    match outcome {
        Ok(explanation) => Log {
            path: explanation.path.to_string_lossy().into_owned(),
            boots: explanation.boots,
            lines: explanation.lines,
            error: None,
            same_kernel: same_kernel(explanation),
            reports: explanation.reports.iter().map(report).collect(),
        },
        Err(unreadable) => Log {
            path: unreadable.path.to_string_lossy().into_owned(),
            boots: 0,
            lines: 0,
            error: Some(&unreadable.why),
            same_kernel: None,
            reports: Vec::new(),
        },
    }
}

fn same_kernel(explanation: &Explanation) -> Option<SameKernel<'_>> {
    use kvet_explain::symbols::Same;
    let same = explanation.same_kernel.as_ref()?;
    let answer = match same.answer {
        Same::Yes => "yes",
        Same::Perhaps => "perhaps",
        Same::Partly => "partly",
        Same::No => "no",
    };
    Some(SameKernel { answer, why: &same.why })
}

fn report(explained: &Explained) -> Report<'_> {
    let report = &explained.report;
    let (phase, initcall) = phase(&explained.phase);
    let resolved = explained.resolved.as_ref();
    let registers = report.registers.iter().map(|register| {
        (register.name.clone(), register.value.map_or(serde_json::Value::Null, |value| hex(value).into()))
    });
    Report {
        title: &explained.title,
        kind: report.kind.as_str(),
        function: explained.function.as_deref(),
        module: explained.module.as_deref(),
        arch: report.arch.map(arch),
        release: report.release.as_deref(),
        line: report.span.first_line,
        last_line: report.span.last_line,
        boot: report.boot,
        timestamp: report.timestamp,
        cpu: report.cpu,
        pid: report.pid,
        comm: report.comm.as_deref(),
        phase,
        initcall,
        headline: &report.headline,
        inferred: explained.inferred,
        cut: report.cut,
        hardware: report.hardware.as_deref(),
        taint: report.taint.as_deref(),
        modules: &report.modules,
        work: report.work.as_deref(),
        source: report.source.as_ref().map(|(file, line)| format!("{file}:{line}")),
        stalled_cpus: &report.stalled_cpus,
        locks: &report.locks,
        object: report.object.as_ref().map(object),
        stacks: report
            .stacks
            .iter()
            .map(|(name, start, end)| StackJson { name, start: hex(*start), end: hex(*end) })
            .collect(),
        panic: report.panic.as_deref(),
        repeated: &report.repeated,
        registers: registers.collect(),
        trap: report.trap.as_ref().map(trap),
        code: report.code.as_ref().map(|bytes| code(bytes, resolved)),
        frames: frames(report, resolved),
        traces: report.traces.iter().map(trace).collect(),
        consequence_of: explained.consequence_of,
        signature: &explained.signature,
        diagnosis: explained.diagnosis.as_ref().map(diagnosis),
    }
}

fn hex(value: u64) -> String {
    format!("{value:#018x}")
}

/// The word of an architecture in output.
pub fn arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64",
        Arch::X86 => "x86",
        Arch::Arm64 => "arm64",
        Arch::Arm => "arm",
        Arch::Riscv => "riscv",
        Arch::Powerpc => "powerpc",
        Arch::S390 => "s390",
        Arch::Mips => "mips",
        Arch::Loongarch => "loongarch",
        _ => "other",
    }
}

/// The word of a phase in output, and the initcall's name.
pub fn phase(phase: &Phase) -> (Option<&'static str>, Option<&str>) {
    match phase {
        Phase::Firmware => (Some("firmware"), None),
        Phase::Early => (Some("early"), None),
        Phase::Alternatives => (Some("alternatives"), None),
        Phase::Smp => (Some("smp"), None),
        Phase::Initcall(name) => (Some("initcall"), name.as_deref()),
        Phase::Init => (Some("init"), None),
        Phase::UserSpace => (Some("user-space"), None),
        Phase::Shutdown => (Some("shutdown"), None),
        _ => (None, None),
    }
}

fn trap(trap: &Trap) -> TrapJson<'_> {
    let fault = &trap.fault;
    TrapJson {
        name: &trap.name,
        vector: trap.vector,
        error_code: trap.error_code,
        counter: trap.counter,
        esr: trap.esr.map(hex),
        address: trap.address.map(hex),
        write: fault.write,
        fetch: fault.fetch,
        user: fault.user,
        present: fault.present,
        reserved: fault.reserved,
        protection_key: fault.protection_key,
        ec: fault.ec,
        il: fault.il,
        fsc: fault.fsc,
        level: fault.level,
        walk: trap.walk.iter().map(|(name, value)| (name.clone(), hex(*value).into())).collect(),
    }
}

fn object(object: &Object) -> ObjectJson<'_> {
    ObjectJson {
        address: object.address.map(hex),
        cache: object.cache.as_deref(),
        size: object.size,
        access_size: object.access.map(|(size, _)| size),
        write: object.access.map(|(_, write)| write),
    }
}

fn trace(trace: &Trace) -> TraceJson<'_> {
    TraceJson {
        title: &trace.title,
        cpu: trace.cpu,
        pid: trace.pid,
        comm: trace.comm.as_deref(),
        frames: trace.ip.iter().chain(&trace.frames).map(|one| frame(one, None)).collect(),
    }
}

fn code(code: &Code, resolved: Option<&Resolved>) -> CodeJson {
    let lines = resolved
        .and_then(|resolved| resolved.code.as_ref())
        .map(|view| view.lines.as_slice())
        .unwrap_or_default();
    let lines = lines.iter().map(|line| CodeLine {
        offset: line.offset,
        address: line.address.map(|address| address.to_string()),
        bytes: text::hex(&line.bytes),
        text: line.text.clone(),
        trapping: line.trapping,
    });
    CodeJson {
        bytes: text::hex(&code.bytes),
        marked: code.marked,
        unit: code.unit,
        unreadable: code.unreadable.clone(),
        lines: lines.collect(),
    }
}

/// The instruction pointer's frame first: the trace begins with its caller.
fn frames<'a>(report: &'a kvet_console::Report, resolved: Option<&Resolved>) -> Vec<FrameJson<'a>> {
    let ip = report.ip.as_ref().map(|ip| frame(ip, resolved.and_then(|resolved| resolved.ip.as_ref())));
    let frames = report.frames.iter().enumerate();
    let of = |index: usize| resolved.and_then(|resolved| resolved.frames.get(index));
    ip.into_iter().chain(frames.map(|(index, one)| frame(one, of(index)))).collect()
}

fn frame<'a>(frame: &'a Frame, resolved: Option<&ResolvedFrame>) -> FrameJson<'a> {
    let place = resolved.and_then(ResolvedFrame::place);
    let source = place.and_then(|place| place.source.as_ref());
    let told = frame.source.as_ref();
    let inlined = source.map(|source| source.inlined.as_slice()).unwrap_or_default();
    let checked =
        resolved.filter(|resolved| !matches!(resolved.verdict, Verdict::NotChecked | Verdict::NoModule));
    FrameJson {
        function: &frame.function,
        offset: frame.offset,
        size: frame.size,
        module: frame.module.as_deref(),
        reliable: frame.reliable,
        file: source.map(|source| source.file.clone()).or_else(|| told.map(|(file, _)| file.clone())),
        line: source.map(|source| source.line).or_else(|| told.map(|(_, line)| *line)),
        inlined: inlined
            .iter()
            .map(|call| Inlined { function: call.function.clone(), file: call.file.clone(), line: call.line })
            .collect(),
        context: frame.context.map(context),
        symbol: &frame.symbol,
        address: place.map(|place| place.addr.to_string()).or_else(|| frame.address.map(hex)),
        refuted: checked.map(|resolved| resolved.verdict.refutes()),
    }
}

fn context(context: CpuContext) -> &'static str {
    match context {
        CpuContext::Task => "task",
        CpuContext::Irq => "irq",
        CpuContext::SoftIrq => "softirq",
        CpuContext::Nmi => "nmi",
        CpuContext::DoubleFault => "double-fault",
        CpuContext::Exception => "exception",
        CpuContext::Entry => "entry",
    }
}

fn diagnosis(diagnosis: &Diagnosis) -> DiagnosisJson<'_> {
    let evidence = diagnosis.evidence.iter().map(|evidence| EvidenceJson {
        says: &evidence.says,
        line: evidence.line.as_ref().map(|(line, _)| *line),
        text: evidence.line.as_ref().map(|(_, text)| text.as_str()),
    });
    DiagnosisJson {
        cause: diagnosis.cause,
        summary: &diagnosis.summary,
        confidence: diagnosis.confidence.as_str(),
        evidence: evidence.collect(),
        advice: &diagnosis.advice,
    }
}
