//! A report that is being read: its fields so far, and the traces found in it, of which one becomes the report's own.

use std::borrow::Cow;

use crate::family::Family;
use crate::line::{Caller, Line};
use crate::report::{Code, CpuContext, Frame, Kind, Register, Report, Trace};
use crate::text::clip;

/// Frames kept of one trace: an endless recursion or a hostile log must not fill memory.
const MAX_FRAMES: usize = 2048;
/// Traces kept of one report.
const MAX_SECTIONS: usize = 256;
/// Details kept of one report.
const MAX_DETAILS: usize = 512;
/// Registers kept of one trace.
const MAX_REGISTERS: usize = 160;
/// Bytes kept of one line of text.
pub(crate) const MAX_TEXT: usize = 4096;

/// Whose trace a section is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Of the task or CPU at fault.
    Main,
    /// Another CPU, asked by NMI or IPI.
    Cpu,
    /// Another task: `task:rcu_preempt state:R`.
    Task,
    /// How it came about: allocation, free, an earlier lock.
    History,
    /// Of the panic that followed.
    Panic,
    /// Of something else that spoke in between: a failed allocation, fault injection.
    Foreign,
}

/// One trace and what stands with it.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub role: Role,
    pub title: String,
    pub cpu: Option<u32>,
    pub pid: Option<u32>,
    pub comm: Option<String>,
    pub ip: Option<Frame>,
    pub lr: Option<Frame>,
    pub registers: Vec<Register>,
    pub code: Option<Code>,
    pub frames: Vec<Frame>,
    /// `<IRQ>` and its kin, of the frames to come.
    pub context: Option<CpuContext>,
    /// `Call Trace:` was seen, or a frame.
    pub in_trace: bool,
    /// Registers that follow are of an exception inside the trace, or of user mode: not this section's own.
    pub foreign_registers: bool,
    /// A line `CPU: ...` was seen.
    pub identified: bool,
}

impl Section {
    fn new(role: Role, title: &str) -> Section {
        Section {
            role,
            title: clip(title, MAX_TEXT).to_owned(),
            cpu: None,
            pid: None,
            comm: None,
            ip: None,
            lr: None,
            registers: Vec::new(),
            code: None,
            frames: Vec::new(),
            context: None,
            in_trace: false,
            foreign_registers: false,
            identified: false,
        }
    }

    /// Whether it says where something ran.
    pub fn has_place(&self) -> bool {
        !self.frames.is_empty() || self.ip.is_some()
    }

    /// Sets a register, or sets it anew when a wrapped line is read again.
    pub fn set_register(&mut self, name: impl Into<Cow<'static, str>>, value: Option<u64>) {
        let name = name.into();
        if self.foreign_registers {
            return;
        }
        if let Some(old) = self.registers.iter_mut().find(|r| r.name == name) {
            if old.value.is_none() {
                old.value = value;
            }
            return;
        }
        if self.registers.len() < MAX_REGISTERS {
            self.registers.push(Register { name, value });
        }
    }

    /// Adds a frame.
    pub fn push(&mut self, mut frame: Frame, line: u64) {
        if self.frames.len() < MAX_FRAMES {
            frame.line = line;
            frame.context = frame.context.or(self.context);
            self.frames.push(frame);
        }
    }
}

/// What a line was to the report that read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// Nothing: the line is not the report's.
    No,
    /// Its headline.
    Headline,
    /// One of its details; a wrapped line replaces the last one.
    Detail,
    /// Registers.
    Registers,
    /// Code bytes.
    Code,
    /// `CPU: ...`
    Identity,
    /// `Hardware name:`, `Workqueue:`, `Modules linked in:` and their kin: reading twice is harmless.
    Facts,
    /// A stack frame.
    Frame,
    /// `Call Trace:` and other titles.
    Title,
    /// A mark without content.
    Mark,
    /// The report's last line.
    End,
}

/// A report that is being read.
pub(crate) struct Open {
    pub report: Report,
    pub family: &'static Family,
    pub caller: Option<Caller>,
    /// A further caller whose lines belong to it: another CPU that prints its own backtrace.
    pub guest: Option<Caller>,
    pub sections: Vec<Section>,
    /// Its last line was seen; only what follows from it may still come.
    pub ended: bool,
    /// Nothing but the first words yet: what it is, is told by a headline to come.
    pub preamble: bool,
    /// It is a report only when a trace follows.
    pub unproven: bool,
    /// Whether the outside was told of it.
    pub announced: bool,
    /// Lines since the last one that was its own.
    pub strange: u32,
    /// Lines taken.
    pub taken: u32,
    /// What the last line was, for wrapped lines.
    pub last: Taken,
    /// Text of the last line taken, and the width of its physical line.
    pub last_text: String,
    pub last_width: usize,
    pub last_quote: u8,
    pub last_stamped: bool,
    /// The line before was of this report.
    pub adjacent: bool,
}

impl Open {
    pub fn new(report: Report, family: &'static Family, line: &Line<'_>) -> Open {
        let mut open = Open {
            report,
            family,
            caller: line.part.caller,
            guest: None,
            sections: vec![Section::new(Role::Main, "")],
            ended: false,
            preamble: false,
            unproven: false,
            announced: false,
            strange: 0,
            taken: 0,
            last: Taken::Headline,
            last_text: String::new(),
            last_width: 0,
            last_quote: 0,
            last_stamped: false,
            adjacent: true,
        };
        if open.report.span.first_line == 0 {
            open.report.span.start = line.start;
            open.report.span.first_line = line.number;
        }
        open.extend_to(line);
        open
    }

    /// The line is part of the report.
    pub fn extend_to(&mut self, line: &Line<'_>) {
        // Only the parts of a pstore dump run backwards.
        let span = &mut self.report.span;
        span.start = span.start.min(line.start);
        span.first_line = span.first_line.min(line.number);
        span.end = span.end.max(line.end);
        span.last_line = span.last_line.max(line.number);
        self.strange = 0;
        self.taken = self.taken.saturating_add(1);
    }

    /// Remembers the line, should the next one be its wrapped rest.
    pub fn remember(&mut self, line: &Line<'_>, taken: Taken) {
        self.last = taken;
        self.last_text.clear();
        self.last_text.push_str(clip(line.text(), MAX_TEXT));
        self.last_width = line.part.width;
        self.last_quote = line.part.quote;
        self.last_stamped = line.part.timestamp.is_some();
    }

    /// The section that is being filled.
    pub fn section(&mut self) -> &mut Section {
        if self.sections.is_empty() {
            self.sections.push(Section::new(Role::Main, ""));
        }
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// Begins another section, in place of the current one if that is still blank.
    pub fn begin_section(&mut self, role: Role, title: &str) -> &mut Section {
        let blank = {
            let s = self.section();
            !s.has_place() && !s.identified && s.registers.is_empty() && s.title.is_empty() && s.role == role
        };
        if blank {
            self.sections.pop();
        }
        if self.sections.len() < MAX_SECTIONS {
            self.sections.push(Section::new(role, title));
        } else {
            // The last one is written over: the first ones are worth more.
            let last = self.sections.len() - 1;
            self.sections[last] = Section::new(role, title);
        }
        self.section()
    }

    /// Adds a detail.
    pub fn detail(&mut self, line: &Line<'_>) {
        if self.report.details.len() < MAX_DETAILS {
            self.report.details.push((line.number, clip(line.text(), MAX_TEXT).to_owned()));
        }
    }

    /// Whether any trace or place was read.
    pub fn has_place(&self) -> bool {
        self.sections.iter().any(Section::has_place)
    }

    /// Frames so far.
    pub fn frame_count(&self) -> usize {
        self.sections.iter().map(|s| s.frames.len()).sum()
    }

    /// Frames so far of the task or CPU at fault itself.
    pub fn own_frames(&self) -> usize {
        self.sections.iter().filter(|s| s.role == Role::Main).map(|s| s.frames.len()).sum()
    }

    /// The finished report: one section becomes its own, the others its further traces.
    pub fn finish(mut self) -> Report {
        let primary = self.primary();
        let mut report = self.report;
        // Where only the panic printed a trace, it is that of the fault (arm64's overflow, `WARNING:` before 4.11).
        let bare = primary.is_some_and(|p| self.sections[p].frames.is_empty());
        let lender =
            self.sections.iter().position(|s| s.role == Role::Panic && !s.frames.is_empty()).filter(|_| bare);
        if let (Some(lender), Some(primary)) = (lender, primary) {
            self.sections[primary].frames = std::mem::take(&mut self.sections[lender].frames);
        }
        for (index, section) in self.sections.drain(..).enumerate() {
            if Some(index) == primary {
                adopt(&mut report, section);
            } else if section.has_place() || !section.registers.is_empty() {
                report.traces.push(Trace {
                    title: section.title,
                    cpu: section.cpu,
                    pid: section.pid,
                    comm: section.comm,
                    ip: section.ip,
                    registers: section.registers,
                    code: section.code,
                    frames: section.frames,
                });
            }
        }
        crate::arch::conclude(&mut report);
        report
    }

    /// Which section is that of the task or CPU at fault.
    fn primary(&self) -> Option<usize> {
        let find = |wanted: &dyn Fn(&Section) -> bool| {
            let with = |frames: bool| {
                self.sections
                    .iter()
                    .position(|s| wanted(s) && s.has_place() && (!frames || !s.frames.is_empty()))
            };
            with(true).or_else(|| with(false))
        };
        let stalled = |s: &Section| s.cpu.is_some_and(|c| self.report.stalled_cpus.contains(&c));
        let stall = matches!(self.report.kind, Kind::RcuStall | Kind::HardLockup);
        let first = if stall {
            find(&|s| matches!(s.role, Role::Main | Role::Cpu) && stalled(s))
                .or_else(|| find(&|s| s.role == Role::Main))
                .or_else(|| find(&|s| s.role == Role::Cpu))
        } else {
            None
        };
        // lockdep's own trace has a title; those before it tell how the locks were taken.
        let titled = self
            .sections
            .iter()
            .position(|s| s.role == Role::Main && s.title == "stack backtrace:" && s.has_place());
        // Where lines of several CPUs are mixed, the trace is the one that holds what the headline names.
        let named = self.report.named.as_ref().map(|f| f.symbol.as_str()).filter(|s| !s.is_empty());
        let holds = |s: &Section| {
            let mut places = s.ip.iter().chain(&s.frames);
            places.any(|f| Some(f.symbol.as_str()) == named || Some(f.function.as_str()) == named)
        };
        let mixed =
            named.is_some() && find(&|s| s.role == Role::Main).is_some_and(|i| !holds(&self.sections[i]));
        let holding = if mixed {
            find(&|s| s.role == Role::Main && holds(s))
                .or_else(|| find(&|s| matches!(s.role, Role::Panic | Role::Foreign) && holds(s)))
        } else {
            None
        };
        first
            .or(titled)
            .or(holding)
            .or_else(|| find(&|s| s.role == Role::Main))
            .or_else(|| find(&|s| s.role == Role::Panic))
            .or_else(|| find(&|s| s.role == Role::Cpu))
            .or_else(|| find(&|s| s.role == Role::Task))
            .or_else(|| self.sections.iter().position(|s| s.role == Role::Main && !s.registers.is_empty()))
            .or_else(|| (self.report.kind == Kind::Kcsan).then(|| find(&|_| true)).flatten())
    }
}

fn adopt(report: &mut Report, section: Section) {
    report.ip = section.ip;
    report.lr = section.lr;
    report.registers = section.registers;
    report.code = section.code;
    report.frames = section.frames;
    report.cpu = report.cpu.or(section.cpu);
    report.pid = report.pid.or(section.pid);
    report.comm = report.comm.take().or(section.comm);
}
