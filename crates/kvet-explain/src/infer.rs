//! Reports that a log only implies: no headline says them.

use kvet_console::{Code, Ending, Frame, Kind, Log, Phase, Report, Span, Trap};

use crate::Context;
use crate::rules::x86;

/// The implied reports of a log.
pub fn reports(log: &Log, context: &Context<'_>) -> Vec<Report> {
    let mut inferred = int3_loops(log, context);
    inferred.extend(standing(log, &inferred));
    inferred.extend(silence(log));
    inferred
}

/// A CPU that takes one int3 for ever never prints an oops: the handler finds nobody whose int3 it is and returns
/// to the same instruction while text is being patched (arch/x86/kernel/alternative.c `poke_int3_handler`). It
/// shows in the backtrace that a stalled neighbour asks for.
fn int3_loops(log: &Log, context: &Context<'_>) -> Vec<Report> {
    let mut loops: Vec<Report> = Vec::new();
    let stalls =
        log.reports.iter().filter(|r| matches!(r.kind, Kind::RcuStall | Kind::SoftLockup | Kind::HardLockup));
    for stall in stalls {
        let Some(found) = int3_loop(stall, context) else { continue };
        let is_known = |known: &Report| {
            known.boot == found.boot
                && known.ip.as_ref().map(|ip| &ip.function) == found.ip.as_ref().map(|ip| &ip.function)
        };
        if !loops.iter().any(is_known) {
            loops.push(found);
        }
    }
    loops
}

fn int3_loop(stall: &Report, context: &Context<'_>) -> Option<Report> {
    let interrupted = interrupted(stall, context)?;
    let marked = interrupted.code.marked?;
    let byte = *interrupted.code.bytes.get(marked.checked_sub(1)?)?;
    // An int3 that is there in memory is somebody's: a kprobe's, or a patch under way.
    if byte == 0xcc {
        return None;
    }
    let is_int3 =
        |frame: &Frame| matches!(frame.function.as_str(), "asm_exc_int3" | "int3" | "exc_int3" | "do_int3");
    let trace = stall.traces.iter().find(|trace| trace.ip.iter().chain(&trace.frames).any(is_int3));
    let frames = trace.map_or(&stall.frames, |trace| &trace.frames);
    let below = frames.iter().rposition(is_int3).map_or(0, |at| at + 1);
    let cpu = interrupted.cpu.or_else(|| trace.and_then(|trace| trace.cpu));
    let at = format!("{}+{:#x}", interrupted.ip.function, interrupted.ip.offset.saturating_sub(1));
    let who = cpu.map_or_else(|| "a CPU".to_owned(), |cpu| format!("CPU {cpu}"));
    Some(Report {
        span: interrupted.span,
        boot: stall.boot,
        timestamp: interrupted.timestamp,
        arch: stall.arch,
        release: stall.release.clone(),
        build: stall.build.clone(),
        cpu,
        pid: trace.and_then(|trace| trace.pid),
        comm: trace.and_then(|trace| trace.comm.clone()),
        taint: stall.taint.clone(),
        hardware: stall.hardware.clone(),
        phase: stall.phase.clone(),
        trap: Some(Trap { name: "int3".into(), vector: Some(3), ..Trap::default() }),
        ip: Some(interrupted.ip),
        code: Some(interrupted.code),
        frames: frames.get(below..).unwrap_or_default().to_vec(),
        ..Report::new(Kind::Breakpoint, format!("{who} {TAKES} {at} again and again"))
    })
}

/// What an implied int3 loop is called by, where the int3 itself stands in the log.
const TAKES: &str = "takes the int3 at";
/// The same where only the instruction does.
const STANDS: &str = "stands at the nop at";

/// Whether a report is one of an int3 loop that no headline said.
pub fn is_int3_loop(report: &Report) -> bool {
    report.headline.contains(TAKES) || stands(report)
}

/// Whether a report was made of CPUs that stand at one nop.
pub fn stands(report: &Report) -> bool {
    report.headline.contains(STANDS)
}

/// CPUs that are found at one and the same nop, twice or more, by the soft-lockup watchdog: nothing can hold a CPU up
/// there but an int3 that memory does not hold any more. Its handlers find nobody's breakpoint and return to the
/// instruction (arch/x86/kernel/kprobes/core.c `kprobe_int3_handler`), with interrupts on, and there the watchdog's
/// timer comes.
fn standing(log: &Log, known: &[Report]) -> Vec<Report> {
    let mut found: Vec<(&Report, u32)> = Vec::new();
    for report in log.reports.iter().filter(|report| at_a_nop(report)) {
        let same =
            |(first, _): &&mut (&Report, u32)| first.boot == report.boot && place(first) == place(report);
        if let Some((_, times)) = found.iter_mut().find(same) {
            *times += 1;
        } else if found.len() < PLACES {
            found.push((report, 1));
        }
    }
    let implied = found.iter().filter(|(first, times)| {
        *times >= 2 && !known.iter().any(|known| known.boot == first.boot && is_int3_loop(known))
    });
    implied.map(|(first, times)| loop_at_nop(first, *times)).collect()
}

/// So many places are told apart: a log has few, and a hostile one must not make this quadratic.
const PLACES: usize = 64;

fn place(report: &Report) -> Option<(&str, u64)> {
    report.ip.as_ref().map(|ip| (ip.symbol.as_str(), ip.offset))
}

/// Whether a stuck CPU was interrupted before a whole nop of those that patching leaves. Not behind `sti` or `popf`:
/// an interrupt that had to wait comes there, whatever the loop.
fn at_a_nop(report: &Report) -> bool {
    let bytes = || {
        let code = report.code.as_ref().filter(|code| code.unit == 1)?;
        let marked = code.marked?;
        Some((*code.bytes.get(marked.checked_sub(1)?)?, code.bytes.get(marked..)?))
    };
    report.kind == Kind::SoftLockup
        && report.ip.is_some()
        && bytes().is_some_and(|(before, bytes)| {
            !matches!(before, 0xfb | 0x9d) && matches!(x86::site(bytes), Some(x86::Site::Nop(2 | 5)))
        })
}

/// The report that the first of the CPUs would have made, had its int3 been nobody's: RIP is one past it.
fn loop_at_nop(first: &Report, times: u32) -> Report {
    let mut report = first.clone();
    report.trap = Some(Trap { name: "int3".into(), vector: Some(3), ..Trap::default() });
    let at = report.ip.as_ref().map_or_else(String::new, |ip| format!("{}+{:#x}", ip.function, ip.offset));
    let who = first.cpu.map_or_else(|| "a CPU".to_owned(), |cpu| format!("CPU {cpu}"));
    report.kind = Kind::Breakpoint;
    report.headline = format!("{who} {STANDS} {at}; CPUs were found there {times} times");
    if let Some(ip) = &mut report.ip {
        ip.offset += 1;
    }
    if let Some(marked) = report.code.as_mut().and_then(|code| code.marked.as_mut()) {
        *marked += 1;
    }
    report
}

/// What an int3 interrupted.
struct Interrupted {
    ip: Frame,
    code: Code,
    span: Span,
    cpu: Option<u32>,
    timestamp: Option<f64>,
}

/// The `RIP:` and `Code:` that follow `asm_exc_int3` in a backtrace.
fn interrupted(stall: &Report, context: &Context<'_>) -> Option<Interrupted> {
    // Nearly no stall has one: its lines need not be cleaned to know that.
    if !context.text.holds(&stall.span, "int3+") {
        return None;
    }
    let lines: Vec<(u64, String)> = context.text.lines(&stall.span).collect();
    let at = lines.iter().position(|(_, text)| {
        let text = text.trim_start_matches("? ");
        (text.starts_with("asm_exc_int3+") || text.starts_with("int3+")) && !text.contains(']')
    })?;
    let near = |lines: &[(u64, String)], mark: &str| {
        lines.iter().take(4).position(|(_, text)| text.starts_with(mark))
    };
    let after = &lines[at + 1..];
    let rip = near(after, "RIP: 0010:")?;
    let code_at = rip + 1 + near(&after[rip + 1..], "Code: ")?;
    let ip = frame(after[rip].1.strip_prefix("RIP: 0010:")?, after[rip].0)?;
    let code = code(&unwrapped(&after[code_at..])?)?;
    let announced = lines[..at].iter().rev().find_map(|(number, text)| {
        let cpu = text.strip_prefix("NMI backtrace for cpu ")?;
        Some((*number, cpu.split_whitespace().next()?.parse().ok()))
    });
    let first = announced.map_or(lines[at].0, |(number, _)| number);
    let last = after[code_at].0;
    let timestamp = context.text.stamp(&stall.span, lines[at].0).or(stall.timestamp);
    let span = context.text.sub_span(&stall.span, first, last);
    Some(Interrupted { ip, code, span, cpu: announced.and_then(|(_, cpu)| cpu), timestamp })
}

/// What follows `Code: `, with the lines into which a mailer wrapped it.
fn unwrapped(lines: &[(u64, String)]) -> Option<String> {
    let is_byte = |word: &str| {
        let digits = word.trim_start_matches('<').trim_end_matches('>');
        digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let (first, rest) = lines.split_first()?;
    let mut bytes = first.1.strip_prefix("Code: ")?.to_owned();
    for (_, line) in rest.iter().take_while(|(_, line)| line.split_whitespace().all(is_byte)).take(4) {
        bytes.push(' ');
        bytes.push_str(line);
    }
    Some(bytes)
}

/// `f+0x1d6/0x440`.
fn frame(text: &str, line: u64) -> Option<Frame> {
    let (function, rest) = text.split_whitespace().next()?.split_once("+0x")?;
    let (offset, size) = rest.split_once("/0x").unwrap_or((rest, ""));
    Some(Frame {
        function: function.into(),
        symbol: function.into(),
        offset: u64::from_str_radix(offset, 16).ok()?,
        size: u64::from_str_radix(size, 16).ok(),
        reliable: true,
        line,
        ..Frame::default()
    })
}

/// `24 08 <1f> 44`.
fn code(text: &str) -> Option<Code> {
    let mut code = Code { unit: 1, ..Code::default() };
    for word in text.split_whitespace().take(128) {
        let byte = word.trim_start_matches('<').trim_end_matches('>');
        if byte.len() != word.len() {
            code.marked = Some(code.bytes.len());
        }
        code.bytes.push(u8::from_str_radix(byte, 16).ok()?);
    }
    code.marked.map(|_| code)
}

/// The last boot stopped in the middle: the kernel had begun and user space had not.
fn silence(log: &Log) -> Option<Report> {
    let (index, boot) = log.boots.iter().enumerate().next_back()?;
    let Ending::Silence { text, line, timestamp } = &boot.ending else { return None };
    let began = boot.banner.is_some();
    let unfinished =
        matches!(boot.phase, Phase::Early | Phase::Alternatives | Phase::Smp | Phase::Initcall(_));
    // Whatever was reported in this boot explains why nothing followed.
    let told = log.reports.iter().any(|report| report.boot == index);
    if !began || !unfinished || told {
        return None;
    }
    let span = Span { first_line: *line, last_line: *line, start: boot.span.end, end: boot.span.end };
    Some(Report {
        span,
        boot: index,
        timestamp: *timestamp,
        arch: boot.arch,
        release: boot.release.clone(),
        hardware: boot.hardware.clone(),
        phase: boot.phase.clone(),
        ..Report::new(Kind::Silence, text.clone())
    })
}

#[cfg(test)]
mod tests {
    use kvet_console::Boot;

    use super::*;
    use crate::Text;
    use crate::testing::report;

    const STALL: &str = "\
[   35.900000] rcu: INFO: rcu_preempt self-detected stall on CPU
[   15.050000] NMI backtrace for cpu 1
[   15.050000] RIP: 0010:exc_int3+0xa/0x120
[   15.050000] Call Trace:
[   15.050000]  asm_exc_int3+0x35/0x40
[   15.050000] RIP: 0010:hrtimer_start_range_ns+0x1d6/0x440
[   15.050000] Code: 24 08 02 00 00 0f <1f> 44 00 00 49
[   15.050000]  tick_nohz_restart_sched_tick+0x87/0xa0
";

    fn stall(text: &str) -> Log {
        let mut stall = report(Kind::RcuStall);
        stall.span = Span { start: 0, end: text.len() as u64, first_line: 1, last_line: 8 };
        Log { reports: vec![stall.into()], ..Log::default() }
    }

    #[test]
    fn an_int3_that_memory_does_not_hold_is_a_report() {
        let log = stall(STALL);
        let context = Context { text: Text(STALL.as_bytes()), ..Context::default() };
        let found = reports(&log, &context);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].kind, found[0].cpu, found[0].timestamp),
            (Kind::Breakpoint, Some(1), Some(15.05))
        );
        assert_eq!(
            found[0].ip.as_ref().map(|ip| (ip.function.as_str(), ip.offset)),
            Some(("hrtimer_start_range_ns", 0x1d6))
        );
        assert_eq!((found[0].span.first_line, found[0].span.last_line), (2, 7));
        assert!(STALL[found[0].span.start as usize..].starts_with("[   15.050000] NMI backtrace"));
    }

    #[test]
    fn code_that_a_mailer_wrapped_is_read() {
        let text = STALL.replace("02 00 00 0f <1f>", "02 00 00\n0f <1f>");
        let found = reports(&stall(&text), &Context { text: Text(text.as_bytes()), ..Context::default() });
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn an_int3_in_memory_is_none() {
        let text = STALL.replace("0f <1f>", "cc <1f>");
        let log = stall(&text);
        assert_eq!(reports(&log, &Context { text: Text(text.as_bytes()), ..Context::default() }), []);
        // Nor is anything made of a log without its text.
        assert_eq!(reports(&stall(STALL), &Context::default()), []);
    }

    #[test]
    fn silence_is_claimed_in_the_middle_of_a_boot_only() {
        let boot = |phase, banner: bool| Log {
            boots: vec![Boot {
                banner: banner.then(|| "Linux version 6.1".to_owned()),
                phase,
                ending: Ending::Silence { text: "PCI: Probing".into(), line: 40, timestamp: Some(0.5) },
                ..Boot::default()
            }],
            ..Log::default()
        };
        let kinds = |log: &Log| reports(log, &Context::default()).iter().map(|r| r.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&boot(Phase::Initcall(None), true)), [Kind::Silence]);
        assert_eq!(kinds(&boot(Phase::UserSpace, true)), []);
        assert_eq!(kinds(&boot(Phase::Init, true)), []);
        assert_eq!(kinds(&boot(Phase::Early, false)), []);
        let mut ended = boot(Phase::Early, true);
        ended.boots[0].ending = Ending::Shutdown;
        assert_eq!(kinds(&ended), []);
        let mut told = boot(Phase::Early, true);
        told.reports.push(report(Kind::Panic).into());
        assert_eq!(kinds(&told), []);
    }
}
