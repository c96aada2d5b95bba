//! The streaming parser: bytes in, events out, a log at the end.

mod boots;
mod dump;
mod wrapped;

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memrchr};

use crate::anchors::ANCHORS;
use crate::body;
use crate::boot::Going;
use crate::family::{self, Family, Start, Sure};
use crate::line::{self, Line, MAX_LINE, Origin};
use crate::open::{Open, Role, Taken};
use crate::prefix::json;
use crate::prefix::pstore::{self, Dump};
use crate::relate::{self, Relation};
use crate::report::{Event, Kind, Log, Phase, Report};

/// Reports kept when nothing else is said.
const MAX_REPORTS: usize = 20_000;
/// Reports that may be open at once: one a CPU or task that prints.
const MAX_OPEN: usize = 64;
/// Lines that one report may take.
const MAX_TAKEN: u32 = 50_000;
/// Bytes kept of what was skipped, to know a boot's last line.
const TAIL: usize = 4096;

/// A boot's last line: text, number, seconds since boot.
type LastLine = (String, u64, Option<f64>);

/// Reads a console log piece by piece.
///
/// Memory is bounded by the reports kept (at most [`Scanner::keep`]) and the longest one allowed, not by the log.
///
/// ```
/// let mut scanner = kvet_console::Scanner::new();
/// let mut events = scanner.feed(b"[    1.0");
/// events.extend(scanner.feed(b"00000] Kernel panic - not syncing: No working init found.\n"));
/// assert!(matches!(events.last(), Some(kvet_console::Event::Began { .. })));
/// let (_, log) = scanner.finish();
/// assert_eq!(log.reports[0].kind, kvet_console::Kind::Rootfs);
/// ```
pub struct Scanner {
    carry: Vec<u8>,
    /// Offset of the byte that is read next.
    offset: u64,
    /// Lines read.
    number: u64,
    open: Vec<Open>,
    going: Option<Going>,
    /// The boot before a banner that is letter for letter its own, until it is known whether that is a replay; and the reset to report if
    /// it is none.
    doubt: Option<(Going, Option<Report>)>,
    /// A dump of pstore, whose parts stand in the wrong order.
    dump: Option<Dump>,
    log: Log,
    keep: usize,
    events: Option<Vec<Event>>,
    /// Reports by what makes them the same.
    seen: HashMap<u64, usize>,
    /// The end of what was read, and the number of its last line.
    tail: Vec<u8>,
    tail_line: u64,
    /// Lines that must be read one by one, for what they are not.
    slow_lines: u32,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A parser at the start of a log.
    pub fn new() -> Scanner {
        Scanner {
            carry: Vec::new(),
            offset: 0,
            number: 0,
            open: Vec::new(),
            going: None,
            doubt: None,
            dump: None,
            log: Log::default(),
            keep: MAX_REPORTS,
            events: Some(Vec::new()),
            seen: HashMap::new(),
            tail: Vec::new(),
            tail_line: 0,
            slow_lines: 0,
        }
    }

    /// Keeps at most `reports` reports in the [`Log`]; further ones are only told as events and counted.
    pub fn keep(mut self, reports: usize) -> Scanner {
        self.keep = reports;
        self
    }

    /// Makes no events: for who reads a whole log at once.
    pub(crate) fn silent(mut self) -> Scanner {
        self.events = None;
        self
    }

    /// Reads more of the log.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.take(bytes);
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The log is at its end.
    pub fn finish(mut self) -> (Vec<Event>, Log) {
        let carry = std::mem::take(&mut self.carry);
        if !carry.is_empty() {
            self.block(&carry);
        }
        self.end_dump();
        for open in std::mem::take(&mut self.open) {
            self.close(open);
        }
        self.no_replay();
        // Without time stamps (printk.time=0) any line may be the kernel's.
        let stamped = self.going.as_ref().is_none_or(|g| g.boot.banner.is_none() || g.stamped);
        let last = self.last_line(&[]).or_else(|| self.any_last_line().filter(|_| !stamped));
        if let Some(mut going) = self.going.take().or_else(|| last.as_ref().map(|_| Going::default())) {
            going.boot.span.end = self.offset;
            going.boot.span.last_line = self.number;
            if going.boot.span.first_line == 0 {
                going.boot.span.first_line = 1;
            }
            if going.init_started && going.boot.phase == Phase::Init {
                going.boot.phase = Phase::UserSpace;
            }
            self.log.boots.push(going.end(false, last));
        }
        // Reports end in another order than they begin.
        self.log.reports.sort_by_key(|r| r.span.start);
        self.log.lines = self.number;
        self.log.bytes = self.offset;
        (self.events.unwrap_or_default(), self.log)
    }

    fn take(&mut self, mut bytes: &[u8]) {
        if !self.carry.is_empty() {
            let end = memchr(b'\n', bytes).map(|i| i + 1);
            let room = MAX_LINE.saturating_sub(self.carry.len());
            let n = end.unwrap_or(bytes.len()).min(room);
            self.carry.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if end == Some(n) || self.carry.len() >= MAX_LINE {
                let carry = std::mem::take(&mut self.carry);
                self.block(&carry);
                self.carry = carry;
                self.carry.clear();
            }
            if bytes.is_empty() {
                return;
            }
            if !self.carry.is_empty() {
                return;
            }
        }
        let whole = memrchr(b'\n', bytes).map_or(0, |i| i + 1);
        // A line without end is read in pieces.
        let rest = bytes.len() - whole;
        let whole = if rest >= MAX_LINE { whole + rest / MAX_LINE * MAX_LINE } else { whole };
        self.block(&bytes[..whole]);
        self.carry.extend_from_slice(&bytes[whole..]);
    }

    /// Reads whole lines.
    fn block(&mut self, block: &[u8]) {
        if block.is_empty() {
            return;
        }
        let mut at = 0;
        while at < block.len() {
            if self.open.is_empty() && self.slow_lines == 0 && self.dump.is_none() {
                let Some(hit) = ANCHORS.find(&block[at..]) else {
                    self.skip(&block[at..]);
                    break;
                };
                let start = memrchr(b'\n', &block[at..at + hit]).map_or(at, |i| at + i + 1);
                self.skip(&block[at..start]);
                at = start;
            }
            self.slow_lines = self.slow_lines.saturating_sub(1);
            let limit = block.len().min(at + MAX_LINE);
            let end = memchr(b'\n', &block[at..limit]).map_or(limit, |i| at + i + 1);
            self.physical(block, at, end);
            at = end;
        }
        let from = block.len().saturating_sub(TAIL);
        if from == 0 {
            let excess = (self.tail.len() + block.len()).saturating_sub(TAIL);
            self.tail.drain(..excess.min(self.tail.len()));
        } else {
            self.tail.clear();
        }
        self.tail.extend_from_slice(&block[from..]);
        self.tail_line = self.number;
    }

    fn skip(&mut self, bytes: &[u8]) {
        self.number += memchr_iter(b'\n', bytes).count() as u64;
        self.offset += bytes.len() as u64;
    }

    /// Reads one physical line, `block[at..end]`, unless it is part of a dump.
    fn physical(&mut self, block: &[u8], at: usize, end: usize) {
        let raw = &block[at..end];
        if let Some((id, number)) = pstore::header(raw) {
            if self.dump.as_ref().is_none_or(|d| d.id != id) {
                self.end_dump();
                self.dump = Some(Dump { id: id.to_owned(), parts: Vec::new(), size: 0 });
            }
            self.offset += raw.len() as u64;
            self.number += 1;
            let part = pstore::Part { number, offset: self.offset, line: self.number, bytes: Vec::new() };
            if let Some(dump) = &mut self.dump {
                dump.parts.push(part);
            }
            self.dump_grows(64);
            return;
        }
        if let Some(part) = self.dump.as_mut().and_then(|d| d.parts.last_mut()) {
            part.bytes.extend_from_slice(raw);
            self.offset += raw.len() as u64;
            self.number += u64::from(raw.ends_with(b"\n") || raw.len() < MAX_LINE);
            self.dump_grows(raw.len());
            return;
        }
        self.one_line(block, at, end);
    }

    /// Reads one physical line, `block[at..end]`.
    fn one_line(&mut self, block: &[u8], at: usize, end: usize) {
        let raw = &block[at..end];
        let start = self.offset;
        self.offset += raw.len() as u64;
        self.number += 1;
        let text = raw.strip_suffix(b"\n").unwrap_or(raw);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut read = |clean: &str| {
            line::parts(clean, |part| {
                let line = Line { number: self.number, start, end: self.offset, part };
                self.message(&line, &block[..at]);
            });
        };
        let text = &*json::message(text);
        match line::clean(text) {
            Some(clean) => read(clean),
            None => line::pieces(text).for_each(|piece| read(&line::sanitize(piece))),
        }
        // A piece of a line that never ends is no line.
        if !raw.ends_with(b"\n") && raw.len() == MAX_LINE {
            self.number -= 1;
        }
    }

    /// Reads one message.
    fn message(&mut self, line: &Line<'_>, before: &[u8]) {
        let here = self.stream_of(line);
        // Most lines of a report are frames, and nothing else.
        let is_frame = here.is_some_and(|i| {
            let open = &mut self.open[i];
            !open.preamble && body::may_be_frame(open, line.text())
        });
        if !is_frame {
            let families = ANCHORS.families(line.text());
            if families.is_some() {
                self.note_boot(line, before);
            }
            self.user_space_begins(line);
            // The beginning of a boot has closed what was open.
            let here = here.filter(|i| *i < self.open.len());
            let headline = families.and_then(|families| family::begin(line, families));
            let sure = headline.as_ref().is_some_and(|h| h.0.sure != Sure::Trace);
            // A line without a time stamp, in a report that has them, is the rest of another one before it is anything else.
            if !sure && here.is_some_and(|i| self.open[i].last_stamped && self.rejoin(i, line)) {
                return;
            }
            if let Some((start, family)) = headline {
                self.headline(start, family, line, here);
                return;
            }
        }
        let here = here.filter(|i| *i < self.open.len());
        self.body(line, here);
        self.give_up();
    }

    /// The open report whose CPU or task printed the line.
    fn stream_of(&self, line: &Line<'_>) -> Option<usize> {
        let caller = line.part.caller;
        self.open.iter().position(|o| o.caller == caller || (o.guest.is_some() && o.guest == caller))
    }

    /// A line without a headline: the open report that it belongs to reads it.
    fn body(&mut self, line: &Line<'_>, here: Option<usize>) {
        let index = here.or_else(|| self.invite(line));
        for (i, open) in self.open.iter_mut().enumerate() {
            if Some(i) == index {
                continue;
            }
            open.strange = open.strange.saturating_add(1);
        }
        let Some(index) = index else { return };
        let open = &mut self.open[index];
        let taken = if open.taken < MAX_TAKEN { body::read(open, line) } else { Taken::No };
        if taken == Taken::No {
            if !open.last_stamped && self.rejoin(index, line) {
                return;
            }
            let open = &mut self.open[index];
            open.strange = open.strange.saturating_add(1);
            open.adjacent = false;
            return;
        }
        open.extend_to(line);
        open.adjacent = true;
        open.remember(line, taken);
        let own = matches!(taken, Taken::Frame | Taken::Registers);
        if open.unproven && own && open.section().role == Role::Main {
            open.unproven = false;
        }
        self.announce(index);
    }

    /// A line of a caller that no report has: another CPU that answers a stall's NMI.
    fn invite(&mut self, line: &Line<'_>) -> Option<usize> {
        line.part.caller?;
        if !line.text().starts_with("NMI backtrace for cpu ") {
            return None;
        }
        let index = self.open.iter().rposition(|o| !o.preamble && relate::asks_others(o.report.kind))?;
        self.open[index].guest = line.part.caller;
        Some(index)
    }

    /// A headline: it belongs to an open report, or begins another one.
    fn headline(&mut self, start: Start, family: &'static Family, line: &Line<'_>, here: Option<usize>) {
        for open in &mut self.open {
            open.strange = open.strange.saturating_add(1);
        }
        // A program that dies while the kernel speaks does not end what the kernel says.
        if start.report.kind == Kind::UserSpace && !self.open.is_empty() {
            if start.sure == Sure::Certain {
                let mut report = start.report;
                report.boot = self.log.boots.len();
                self.close(Open::new(report, family, line));
            }
            return;
        }
        if let Some(index) = here {
            let relation = relate::relate(&self.open[index], &start, line);
            match relation {
                Relation::Detail => {
                    relate::absorb(&mut self.open[index], start, line);
                    self.belongs(index, line, Taken::Detail);
                    return;
                }
                Relation::Panic => {
                    let open = &mut self.open[index];
                    open.report.panic = Some(start.report.headline);
                    open.ended = false;
                    open.begin_section(Role::Panic, line.text());
                    self.belongs(index, line, Taken::Mark);
                    if let Some(going) = &mut self.going {
                        going.panicked = true;
                    }
                    return;
                }
                Relation::Becomes => {
                    let boot = self.open[index].report.boot;
                    let phase = self.open[index].report.phase.clone();
                    relate::become_of(&mut self.open[index], start, family, line);
                    self.open[index].report.boot = boot;
                    self.open[index].report.phase = phase;
                    self.belongs(index, line, Taken::Headline);
                    return;
                }
                Relation::Ignore => {
                    let open = &mut self.open[index];
                    let taken = body::read(open, line);
                    if taken != Taken::No {
                        self.belongs(index, line, taken);
                    }
                    return;
                }
                Relation::Another => {
                    let mut open = self.open.remove(index);
                    open.report.cut |=
                        !open.ended && !open.has_place() && relate::is_exception(open.report.kind);
                    self.close(open);
                }
            }
        }
        // Without printk's mark, where the log has it elsewhere, user space speaks as well as the kernel.
        let marked = line.part.origin == Origin::Kernel;
        let sure = match start.sure {
            Sure::Kernel if !marked => Sure::Trace,
            sure => sure,
        };
        if self.open.len() >= MAX_OPEN {
            let oldest = self.open.remove(0);
            self.close(oldest);
        }
        let mut report = start.report;
        if let Some(going) = &mut self.going {
            report.phase = going.boot.phase.clone();
            report.boot = self.log.boots.len();
            report.release = going.boot.release.clone();
            if report.kind == Kind::Panic {
                going.panicked = true;
            }
        } else if marked {
            self.begin_boot(line, None);
        }
        let mut open = Open::new(report, family, line);
        open.preamble = matches!(sure, Sure::Preamble | Sure::Lone);
        open.report.cut |= sure == Sure::Preamble;
        open.unproven = sure == Sure::Trace;
        open.remember(line, Taken::Headline);
        self.open.push(open);
        if sure == Sure::Lone
            && let Some(open) = self.open.last_mut()
        {
            open.report.cut = false;
        }
        self.announce(self.open.len() - 1);
    }

    fn belongs(&mut self, index: usize, line: &Line<'_>, taken: Taken) {
        let open = &mut self.open[index];
        open.extend_to(line);
        open.adjacent = true;
        open.remember(line, taken);
        self.announce(index);
    }

    /// Tells the outside of a report that is one.
    fn announce(&mut self, index: usize) {
        let Some(events) = &mut self.events else { return };
        let open = &mut self.open[index];
        if !open.announced && !open.unproven && !open.preamble {
            open.announced = true;
            events.push(Event::Began { kind: open.report.kind, headline: open.report.headline.clone() });
        }
    }

    /// Closes reports to which nothing has come for long.
    fn give_up(&mut self) {
        let mut index = 0;
        while index < self.open.len() {
            let open = &self.open[index];
            let separate = open.caller.is_some();
            let limit = match () {
                () if open.preamble || open.unproven => {
                    if separate {
                        60
                    } else {
                        16
                    }
                }
                () if open.ended => {
                    if separate {
                        120
                    } else {
                        24
                    }
                }
                () => {
                    if separate {
                        400
                    } else {
                        80
                    }
                }
            };
            if open.strange > limit {
                let open = self.open.remove(index);
                self.close(open);
            } else {
                index += 1;
            }
        }
    }

    /// A report is complete: it is kept, told, or found to have been nothing.
    fn close(&mut self, open: Open) {
        let announced_only = open.preamble && open.report.cut;
        if announced_only || (open.unproven && open.own_frames() < 2) {
            return;
        }
        let began = open.announced;
        let mut report = open.finish();
        relate::settle_phase(&mut report);
        if report.release.is_none() {
            report.release = self.going.as_ref().and_then(|g| g.boot.release.clone());
        }
        if report.arch.is_none() {
            report.arch = self.going.as_ref().and_then(|g| g.boot.arch);
        }
        self.keep_report(report, began);
    }

    fn keep_report(&mut self, report: Report, began: bool) {
        let key = identity(&report);
        if let Some(&first) = self.seen.get(&key) {
            let repeated = &mut Arc::make_mut(&mut self.log.reports[first]).repeated;
            if repeated.len() < 1024 {
                repeated.push(report.span.first_line);
            }
            return;
        }
        let report = Arc::new(report);
        if let Some(events) = &mut self.events {
            if !began {
                events.push(Event::Began { kind: report.kind, headline: report.headline.clone() });
            }
            events.push(Event::Report(report.clone()));
        }
        if self.log.reports.len() >= self.keep {
            self.log.skipped += 1;
            return;
        }
        let at = self.log.reports.len();
        self.seen.insert(key, at);
        self.log.reports.push(report);
    }
}

/// What makes two reports the same one, printed twice.
fn identity(report: &Report) -> u64 {
    let mut h = DefaultHasher::new();
    report.kind.as_str().hash(&mut h);
    report.headline.hash(&mut h);
    let time = report.timestamp.map(f64::to_bits);
    time.hash(&mut h);
    // Early boot has no clock, and some logs have none at all.
    if report.timestamp.is_none_or(|t| t == 0.0) {
        report.boot.hash(&mut h);
        if report.timestamp.is_none() && report.registers.is_empty() {
            report.span.first_line.hash(&mut h);
        }
    }
    report.pid.hash(&mut h);
    for frame in report.frames.iter().take(4) {
        frame.symbol.hash(&mut h);
        frame.offset.hash(&mut h);
    }
    for register in &report.registers {
        register.value.hash(&mut h);
    }
    h.finish()
}
