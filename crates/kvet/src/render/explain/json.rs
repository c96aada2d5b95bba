//! `--format json`: kvet-explain/1, described in docs/json.md. Additions are free; whoever renames, removes or retypes
//! a key here makes a new version of the schema.
//!
//! Addresses are strings in hex, times are seconds, absent is null.

use std::io::{self, Write};

use kvet_console::{Arch, Code, CpuContext, Frame, Object, Phase, Register, Trace, Trap};
use kvet_explain::symbols::{Resolved, ResolvedFrame, Verdict};
use kvet_explain::{Diagnosis, Explained};
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use super::super::contract::write_json;
use crate::explain::{Explanation, Outcome};
use crate::text;

/// The name of this contract.
pub const SCHEMA: &str = "kvet-explain/1";

/// Writes the document, one log a line. A log that cannot be read has `error` and no reports.
pub fn write(outcomes: &[Outcome], out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"schema\":\"{SCHEMA}\",\"logs\":[")?;
    let mut between: &[u8] = b"\n";
    let mut begin = |out: &mut dyn Write| out.write_all(std::mem::replace(&mut between, b",\n"));
    for some in outcomes.chunks(AT_ONCE) {
        // One log may be long: it is written as it is made.
        if let [outcome] = some {
            begin(out)?;
            write_json(&log(outcome), out)?;
            continue;
        }
        for text in some.par_iter().map(written).collect::<Vec<_>>() {
            begin(out)?;
            out.write_all(&text?)?;
        }
    }
    out.write_all(b"\n]}\n")
}

/// So many logs are made into text at once, by all processors.
const AT_ONCE: usize = 128;

fn written(outcome: &Outcome) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    write_json(&log(outcome), &mut text)?;
    Ok(text)
}

#[derive(Serialize)]
struct Log<'a> {
    path: String,
    boots: usize,
    lines: u64,
    error: Option<&'a str>,
    same_kernel: Option<SameKernel<'a>>,
    reports: Reports<'a>,
}

/// Reports, made and written one after the other.
struct Reports<'a>(&'a [Explained]);

impl Serialize for Reports<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(report))
    }
}

/// Registers by name.
struct Registers<'a>(&'a [Register]);

impl Serialize for Registers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|register| (&register.name, register.value.map(Hex))))
    }
}

/// A page-table walk by level.
struct Walk<'a>(&'a [(String, u64)]);

impl Serialize for Walk<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(level, value)| (level, Hex(*value))))
    }
}

/// The instruction pointer's frame first: the trace begins with its caller.
struct Frames<'a> {
    ip: Option<&'a Frame>,
    frames: &'a [Frame],
    resolved: Option<&'a Resolved>,
}

impl Serialize for Frames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ip = self.ip.map(|ip| frame(ip, self.resolved.and_then(|resolved| resolved.ip.as_ref())));
        let of = |index: usize| self.resolved.and_then(|resolved| resolved.frames.get(index));
        let frames = self.frames.iter().enumerate().map(|(index, one)| frame(one, of(index)));
        serializer.collect_seq(ip.into_iter().chain(frames))
    }
}

/// A number in hex, of all its digits.
#[derive(Clone, Copy)]
struct Hex(u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = *b"0x0000000000000000";
        for (at, digit) in text.iter_mut().skip(2).rev().enumerate() {
            *digit = b"0123456789abcdef"[(self.0 >> (4 * at) & 15) as usize];
        }
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
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
    registers: Registers<'a>,
    trap: Option<TrapJson<'a>>,
    code: Option<CodeJson>,
    frames: Frames<'a>,
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
    esr: Option<Hex>,
    address: Option<Hex>,
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
    walk: Walk<'a>,
}

/// What a sanitiser or the slab allocator says of the object at fault.
#[derive(Serialize)]
struct ObjectJson<'a> {
    address: Option<Hex>,
    cache: Option<&'a str>,
    size: Option<u64>,
    access_size: Option<u64>,
    write: Option<bool>,
}

#[derive(Serialize)]
struct StackJson<'a> {
    name: &'a str,
    start: Hex,
    end: Hex,
}

/// Another trace of the report: how an object came to be, another CPU's, an earlier lock's.
#[derive(Serialize)]
struct TraceJson<'a> {
    title: &'a str,
    cpu: Option<u32>,
    pid: Option<u32>,
    comm: Option<&'a str>,
    frames: Frames<'a>,
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
    file: Option<&'a str>,
    line: Option<u32>,
    inlined: Vec<Inlined<'a>>,
    context: Option<&'static str>,
    symbol: &'a str,
    address: Option<Hex>,
    refuted: Option<bool>,
}

/// The function into which the one before was inlined, and where it calls that.
#[derive(Serialize)]
struct Inlined<'a> {
    function: Option<&'a str>,
    file: Option<&'a str>,
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
            reports: Reports(&explanation.reports),
        },
        Err(unreadable) => Log {
            path: unreadable.path.to_string_lossy().into_owned(),
            boots: 0,
            lines: 0,
            error: Some(&unreadable.why),
            same_kernel: None,
            reports: Reports(&[]),
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
            .map(|(name, start, end)| StackJson { name, start: Hex(*start), end: Hex(*end) })
            .collect(),
        panic: report.panic.as_deref(),
        repeated: &report.repeated,
        registers: Registers(&report.registers),
        trap: report.trap.as_ref().map(trap),
        code: report.code.as_ref().map(|bytes| code(bytes, resolved)),
        frames: Frames { ip: report.ip.as_ref(), frames: &report.frames, resolved },
        traces: report.traces.iter().map(trace).collect(),
        consequence_of: explained.consequence_of,
        signature: &explained.signature,
        diagnosis: explained.diagnosis.as_ref().map(diagnosis),
    }
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
        esr: trap.esr.map(Hex),
        address: trap.address.map(Hex),
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
        walk: Walk(&trap.walk),
    }
}

fn object(object: &Object) -> ObjectJson<'_> {
    ObjectJson {
        address: object.address.map(Hex),
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
        frames: Frames { ip: trace.ip.as_ref(), frames: &trace.frames, resolved: None },
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

fn frame<'a>(frame: &'a Frame, resolved: Option<&'a ResolvedFrame>) -> FrameJson<'a> {
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
        file: source.map(|source| source.file.as_str()).or(told.map(|(file, _)| file.as_str())),
        line: source.map(|source| source.line).or_else(|| told.map(|(_, line)| *line)),
        inlined: inlined
            .iter()
            .map(|call| Inlined {
                function: call.function.as_deref(),
                file: call.file.as_deref(),
                line: call.line,
            })
            .collect(),
        context: frame.context.map(context),
        symbol: &frame.symbol,
        address: place.map(|place| place.addr.0).or(frame.address).map(Hex),
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
