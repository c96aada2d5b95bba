//! Where boots begin and end, which of them is only a repetition, and what a reset is.

use memchr::memrchr;

use super::{LastLine, Scanner, TAIL};
use crate::boot::{self, Begin, Going};
use crate::line::{self, Line, MAX_LINE, Origin};
use crate::prefix::json;
use crate::relate;
use crate::report::{Event, Kind, Phase, Report, Span};

impl Scanner {
    pub(super) fn note_boot(&mut self, line: &Line<'_>, before: &[u8]) {
        if let Some(begin) = boot::begins(line) {
            self.boot_begins(begin, line, before);
        }
        if let Some(going) = &mut self.going {
            let repeats = going.mark(line, self.doubt.as_ref().map(|d| &d.0));
            match repeats {
                Some(true) => self.replay(line),
                Some(false) => self.no_replay(),
                None => {}
            }
        }
        if let Some(going) = &mut self.going
            && going.note(line)
        {
            if going.init_started {
                self.slow_lines = self.slow_lines.max(64);
            }
            let phase = going.boot.phase.clone();
            if let Some(events) = &mut self.events {
                events.push(Event::Phase(phase));
            }
        }
    }

    fn boot_begins(&mut self, begin: Begin, line: &Line<'_>, before: &[u8]) {
        if let Some(going) = &self.going {
            // `Booting the kernel.`, `Booting Linux on physical CPU`, the banner: one beginning.
            if going.beginning.is_some_and(|b| b < begin) {
                if let Some(going) = &mut self.going {
                    going.beginning = Some(begin);
                }
                return;
            }
            if begin == Begin::Decompressor && going.beginning == Some(Begin::Decompressor) {
                return;
            }
            if going.replaying || self.is_replay(line, before) {
                let again = begin < Begin::Banner;
                if let Some(going) = &mut self.going {
                    going.replaying = again;
                }
                return;
            }
        }
        let last = self.last_line(before);
        let user_space = last.is_none() && self.user_space_before(before);
        if self.going.is_none() && (last.is_some() || user_space) {
            let mut going = Going::default();
            going.boot.span =
                Span { start: 0, end: line.start, first_line: 1, last_line: line.number.saturating_sub(1) };
            if user_space {
                going.boot.phase = Phase::UserSpace;
            }
            self.going = Some(going);
        }
        for open in std::mem::take(&mut self.open) {
            self.close(open);
        }
        self.begin_boot(line, Some((begin, last)));
    }

    /// Begins a boot; the one before it ends.
    pub(super) fn begin_boot(&mut self, line: &Line<'_>, mark: Option<(Begin, Option<LastLine>)>) {
        let mut new = Going::default();
        new.boot.span =
            Span { start: line.start, end: line.end, first_line: line.number, last_line: line.number };
        let (begin, last) = mark.map_or((None, None), |(b, l)| (Some(b), l));
        new.beginning = begin;
        match begin {
            Some(Begin::Decompressor) => new.boot.phase = Phase::Firmware,
            Some(_) => new.boot.phase = Phase::Early,
            None => {
                new.boot.span.start = 0;
                new.boot.span.first_line = 1;
            }
        }
        self.no_replay();
        if let Some(mut old) = self.going.take() {
            let same = old.boot.banner.as_deref() == Some(line.text()) && !old.marks.is_empty();
            let before = same.then(|| old.clone());
            old.boot.span.end = line.start.max(old.boot.span.start);
            old.boot.span.last_line = line.number.saturating_sub(1).max(old.boot.span.first_line);
            if old.init_started && old.boot.phase == Phase::Init {
                old.boot.phase = Phase::UserSpace;
            }
            let silent = !old.announced_end && !old.panicked && line.part.quote == 0;
            let index = self.log.boots.len();
            let phase = old.boot.phase.clone();
            let died =
                self.log.reports.iter().rev().take_while(|r| r.boot == index).any(|r| relate::is_fatal(r));
            self.log.boots.push(old.end(true, last.clone()));
            let report = (silent && !died).then(|| {
                let mut report = Report::new(Kind::Reset, line.text());
                report.span = Span {
                    start: line.start,
                    end: line.end,
                    first_line: line.number,
                    last_line: line.number,
                };
                report.boot = index;
                report.phase = phase;
                if let Some((text, number, timestamp)) = last {
                    report.details.push((number, text));
                    report.timestamp = timestamp;
                }
                report
            });
            match before {
                Some(before) => self.doubt = Some((before, report)),
                None => {
                    if let Some(report) = report {
                        self.keep_report(report, false);
                    }
                }
            }
        }
        self.going = Some(new);
        if let Some(events) = &mut self.events {
            events.push(Event::Boot(self.log.boots.len()));
        }
    }

    /// The boot that seemed to begin is the one before, printed again.
    fn replay(&mut self, line: &Line<'_>) {
        let Some((old, _)) = self.doubt.take() else { return };
        self.log.boots.pop();
        self.going = Some(old);
        if let Some(going) = &mut self.going {
            going.boot.span.end = line.end;
        }
    }

    /// The boot that began is another one.
    pub(super) fn no_replay(&mut self) {
        if let Some((_, Some(report))) = self.doubt.take() {
            self.keep_report(report, false);
        }
    }

    /// A console that is registered late prints the log from its beginning again; so does `dmesg`.
    fn is_replay(&self, line: &Line<'_>, before: &[u8]) -> bool {
        let Some(going) = &self.going else { return false };
        if line.text().starts_with("Linux version ") && going.boot.banner.as_deref() != Some(line.text()) {
            return false;
        }
        self.last_line(before).is_some_and(|(text, ..)| {
            (text.contains("console [") && text.contains(" enabled"))
                || (text.contains("bootconsole [") && text.contains("disabled"))
        })
    }

    /// The first line after `Run /init as init process` and its arguments is user space's time.
    pub(super) fn user_space_begins(&mut self, line: &Line<'_>) {
        let Some(going) = &mut self.going else { return };
        if !going.init_started || going.boot.phase != Phase::Init {
            return;
        }
        let text = line.text();
        let still = text.is_empty()
            || text.ends_with(" as init process")
            || text.starts_with("with arguments:")
            || text.starts_with("with environment:")
            || text.starts_with('/')
            || (text.contains('=') && !text.contains(' '));
        if !still {
            going.boot.phase = Phase::UserSpace;
            self.slow_lines = 0;
            if let Some(events) = &mut self.events {
                events.push(Event::Phase(Phase::UserSpace));
            }
        }
    }

    /// The last line of the kernel before here: text, number, time.
    pub(super) fn last_line(&self, before: &[u8]) -> Option<LastLine> {
        let here = if before.is_empty() { self.number } else { self.number.saturating_sub(1) };
        search_back(before, here, true).or_else(|| search_back(&self.tail, self.tail_line, true))
    }

    /// The last line of whomever.
    pub(super) fn any_last_line(&self) -> Option<LastLine> {
        search_back(&self.tail, self.tail_line, false)
    }

    fn user_space_before(&self, before: &[u8]) -> bool {
        let shows = |bytes: &[u8]| {
            let from = bytes.len().saturating_sub(TAIL);
            bytes[from..].split(|b| *b == b'\n').any(|raw| boot::shows_user_space(&line::clean_line(raw)))
        };
        shows(before) || shows(&self.tail)
    }
}

/// The last line in `bytes`, of those that bear printk's mark or of all.
fn search_back(bytes: &[u8], mut number: u64, marked: bool) -> Option<LastLine> {
    let from = bytes.len().saturating_sub(4 * TAIL);
    let mut rest = bytes[from..].strip_suffix(b"\n").unwrap_or(&bytes[from..]);
    for _ in 0..96 {
        let at = memrchr(b'\n', rest).map_or(0, |i| i + 1);
        let mut found = None;
        let raw = json::message(&rest[at..rest.len().min(at + MAX_LINE)]);
        line::parts(&line::sanitize(&raw), |part| {
            if (part.origin == Origin::Kernel || !marked) && !part.text.is_empty() {
                found = Some((part.text.to_owned(), number, part.timestamp));
            }
        });
        if found.is_some() || at == 0 {
            return found;
        }
        number = number.saturating_sub(1);
        rest = &rest[..at - 1];
    }
    None
}
