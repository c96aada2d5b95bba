//! Who ran: `CPU: 0 UID: 0 PID: 14 Comm: migration/0 Not tainted 5.13.0 #1`, `Pid: 1, comm: init Not tainted 3.2.0 #1`,
//! `Process init (pid: 1, ...)`, `task:init state:D ... pid:1`.

use crate::line::Line;
use crate::open::{MAX_TEXT, Open, Role, Taken};
use crate::text::{after, clip, dec32, take_dec};

/// What a `CPU:` line says.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Who<'a> {
    pub cpu: Option<u32>,
    pub pid: Option<u32>,
    pub comm: Option<&'a str>,
    pub taint: Option<&'a str>,
    pub release: Option<&'a str>,
    pub build: Option<&'a str>,
}

/// Reads it into the current section, and begins another one if that has already a task.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("Process ") {
        return process(open, rest);
    }
    let Some(who) = parse(text) else { return Taken::No };
    let in_panic = open.report.panic.is_some() && open.report.kind != crate::Kind::Panic;
    if open.section().role == Role::Foreign && !open.section().has_place() {
        open.section().identified = true;
        return Taken::Identity;
    }
    let section = open.section();
    if section.identified && section.has_place() {
        let role = match section.role {
            Role::Panic => Role::Panic,
            _ if in_panic => Role::Panic,
            Role::Cpu => Role::Cpu,
            _ => Role::Main,
        };
        open.begin_section(role, text);
    } else if matches!(section.role, Role::History | Role::Task) && section.has_place() {
        open.begin_section(if in_panic { Role::Panic } else { Role::Main }, text);
    }
    let section = open.section();
    section.identified = true;
    section.cpu = who.cpu.or(section.cpu);
    section.pid = who.pid.or(section.pid);
    if let Some(comm) = who.comm {
        section.comm = Some(comm.to_owned());
    }
    if section.title.is_empty() && section.role != Role::Main {
        section.title = clip(text, MAX_TEXT).to_owned();
    }
    let role = section.role;
    let report = &mut open.report;
    if matches!(role, Role::Main | Role::Panic) || report.release.is_none() {
        if role != Role::Cpu || report.kind != crate::Kind::RcuStall {
            report.cpu = report.cpu.or(who.cpu);
            report.pid = report.pid.or(who.pid);
            if report.comm.is_none() {
                report.comm = who.comm.map(str::to_owned);
            }
        }
        let set = |field: &mut Option<String>, value: Option<&str>| {
            if let Some(value) = value.filter(|v| field.as_deref().is_none_or(|f| v.starts_with(f))) {
                *field = Some(value.to_owned());
            }
        };
        set(&mut report.taint, who.taint);
        set(&mut report.release, who.release);
        set(&mut report.build, who.build);
    }
    Taken::Identity
}

/// `init (pid: 1, stack limit = 0x...)` after `Process `.
fn process(open: &mut Open, rest: &str) -> Taken {
    let Some(at) = rest.find(" (pid: ") else { return Taken::No };
    let Some(pid) = dec32(rest[at + 7..].trim_start()) else { return Taken::No };
    let section = open.section();
    section.pid = section.pid.or(Some(pid));
    section.comm.get_or_insert_with(|| rest[..at].to_owned());
    open.report.pid = open.report.pid.or(Some(pid));
    open.report.comm.get_or_insert_with(|| rest[..at].to_owned());
    Taken::Facts
}

/// Reads a line that says who ran.
pub(crate) fn parse(text: &str) -> Option<Who<'_>> {
    let mut who = Who::default();
    let mut rest = text;
    if let Some(r) = rest.strip_prefix("CPU: ").or_else(|| rest.strip_prefix("CPU ")) {
        let (cpu, r) = take_dec(r.trim_start())?;
        who.cpu = u32::try_from(cpu).ok();
        rest = r.trim_start();
        if let Some(r) = rest.strip_prefix("UID: ") {
            rest = take_dec(r.trim_start())?.1.trim_start();
        }
    }
    if let Some(r) = rest.strip_prefix("PID: ").or_else(|| rest.strip_prefix("Pid: ")) {
        let (pid, r) = take_dec(r.trim_start())?;
        who.pid = u32::try_from(pid).ok();
        rest = r.trim_start_matches([',', ' ']);
        let named = rest.strip_prefix("Comm: ").or_else(|| rest.strip_prefix("comm: "));
        if let Some(r) = named {
            let end =
                [" Not tainted", " Tainted: "].iter().filter_map(|m| r.find(m)).min().unwrap_or(r.len());
            who.comm = Some(r[..end].trim_end());
            rest = &r[end..];
        }
    } else if who.cpu.is_none() || !(rest.starts_with("Not tainted") || rest.starts_with("Tainted: ")) {
        return None;
    }
    taint(rest.trim_start(), &mut who);
    Some(who)
}

/// `Not tainted 6.1.0 #1`, `Tainted: G    B   W  6.1.0 #1`, and arm's `Not tainted  (3.0.0 #1)`.
pub(crate) fn taint<'a>(text: &'a str, who: &mut Who<'a>) {
    let rest = if let Some(rest) = text.strip_prefix("Not tainted") {
        who.taint = Some("Not tainted");
        rest
    } else if let Some(rest) = text.strip_prefix("Tainted: ") {
        let letters = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_uppercase());
        let mut end = 0;
        let mut at = 0;
        for word in rest.split(' ') {
            if letters(word) {
                end = at + word.len();
            } else if !word.is_empty() {
                break;
            }
            at += word.len() + 1;
        }
        who.taint = Some(rest[..end].trim());
        &rest[end..]
    } else {
        return;
    };
    let rest = rest.trim().trim_start_matches(',').trim_start();
    let rest = rest.strip_prefix('(').map_or(rest, |r| r.trim_end_matches(')'));
    let (release, build) = rest.split_once(' ').unwrap_or((rest, ""));
    let numbered = release.as_bytes().first().is_some_and(u8::is_ascii_digit);
    if numbered || (!release.is_empty() && build.starts_with('#')) {
        who.release = Some(release);
        let build = build.trim();
        who.build = (!build.is_empty()).then_some(build);
    }
}

/// `task:kworker/0:1 state:D stack:0 pid:15 ...`, and before 5.12 `kworker/0:1     D24128     7      2 0x80004000`.
pub(crate) fn task_line(text: &str) -> Option<(&str, Option<u32>)> {
    if let Some(rest) = text.strip_prefix("task:") {
        let at = rest.find(" state:")?;
        let pid = after(&rest[at..], "pid:").and_then(|p| dec32(p.trim_start()));
        return Some((rest[..at].trim_end(), pid));
    }
    // comm, one letter of state (glued to the free stack), numbers, flags in hex.
    let mut words = text.split_ascii_whitespace();
    let comm = words.next()?;
    let state = words.next()?;
    let letter = state.as_bytes()[0];
    if !b"RSDTtXZPIKWx".contains(&letter) || comm.len() > 40 {
        return None;
    }
    let digits = |w: &str| w.bytes().all(|b| b.is_ascii_digit());
    if !digits(&state[1..]) {
        return None;
    }
    let rest: Vec<&str> = words.take(10).collect();
    let flags = rest.iter().position(|w| w.starts_with("0x"))?;
    let pid = rest.get(flags.checked_sub(2)?)?;
    digits(pid).then(|| (comm, dec32(pid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_today() {
        let who = parse("CPU: 0 UID: 0 PID: 14 Comm: kworker/0:1 H Tainted: G    B   W  OE      6.12.0-rc1 #45 PREEMPT(full)")
            .expect("reads");
        assert_eq!((who.cpu, who.pid, who.comm), (Some(0), Some(14), Some("kworker/0:1 H")));
        assert_eq!(who.taint, Some("G    B   W  OE"));
        assert_eq!((who.release, who.build), (Some("6.12.0-rc1"), Some("#45 PREEMPT(full)")));
    }

    #[test]
    fn older() {
        let who = parse("Pid: 1, comm: swapper/0 Not tainted 3.2.0-4-amd64 #1 Dell").expect("reads");
        assert_eq!((who.pid, who.comm, who.release), (Some(1), Some("swapper/0"), Some("3.2.0-4-amd64")));
        let who = parse("CPU: 0    Not tainted  (3.0.8 #1)").expect("reads");
        assert_eq!((who.cpu, who.release, who.build), (Some(0), Some("3.0.8"), Some("#1")));
        assert!(parse("CPU: All CPU(s) started at EL1").is_none());
        assert!(parse("CPU: Physical Processor ID: 0").is_none());
    }

    #[test]
    fn tasks() {
        assert_eq!(
            task_line("task:init            state:D stack:0     pid:1     ppid:0"),
            Some(("init", Some(1)))
        );
        assert_eq!(
            task_line("kworker/u4:0    D24128     7      2 0x80004000"),
            Some(("kworker/u4:0", Some(7)))
        );
        assert_eq!(
            task_line("syz-executor7   R  running task    24784   282      2 0x80004000").map(|t| t.1),
            Some(Some(282))
        );
    }
}
