//! For people: the cause in the first lines, then the evidence, the log's own lines, and what to do.
//!
//! Everything that comes from a log is made safe for the terminal (`text::Safe`), and bounded.

use std::collections::HashMap;
use std::io::{self, Write};

use kvet_explain::symbols::{Compared, ResolvedFrame, Same};
use kvet_explain::{Confidence, Diagnosis, Explained};
use kvet_finding::Severity;
use textwrap::Options;

use super::super::human::paint::Paint;
use super::{Group, groups};
use crate::explain::{Excerpt, Explanation, Outcome};
use crate::text::{self, Safe, count};

/// A quoted line is cut here.
const MAX_LINE: usize = 220;

/// So many logs are named in a group.
const FEW_LOGS: usize = 6;

/// How the output shall look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Consequences in full, and every log of many.
    pub verbose: bool,
}

/// Writes all of it.
pub fn write(outcomes: &[Outcome], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let human = Human { style: *style, paint: Paint::new(style.color) };
    if let [Ok(explanation)] = outcomes {
        return human.log(explanation, out);
    }
    if style.verbose {
        for explanation in outcomes.iter().flatten() {
            human.log(explanation, out)?;
            writeln!(out)?;
        }
    }
    human.groups(outcomes, out)
}

/// What two reports of one log share when one diagnosis is of both, as when a table's entries fail one after the other.
fn diagnosed(report: &Explained) -> Option<(&str, &str, &str)> {
    let diagnosis = report.diagnosis.as_ref().filter(|diagnosis| diagnosis.is_known())?;
    Some((diagnosis.cause, &diagnosis.summary, &report.signature))
}

struct Human {
    style: Style,
    paint: Paint,
}

impl Human {
    /// One log: every cause with its consequences.
    fn log(&self, log: &Explanation, out: &mut dyn Write) -> io::Result<()> {
        let path = text::path(&log.path);
        if log.reports.is_empty() {
            let boots =
                if log.boots > 1 { format!(", {}", count(log.boots as u64, "boot")) } else { String::new() };
            return writeln!(
                out,
                "{} {path}: no failure in {}{boots}",
                self.paint.good("ok:"),
                count(log.lines, "line")
            );
        }
        let causes = log.reports.iter().enumerate().filter(|(_, report)| report.is_cause());
        let total = causes.clone().count();
        let mut told = HashMap::new();
        for (number, (index, report)) in causes.enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            let of = if total > 1 { format!(" ({} of {total})", number + 1) } else { String::new() };
            let first = diagnosed(report).map_or(number, |told_by| *told.entry(told_by).or_insert(number));
            let earlier = (first < number && !self.style.verbose).then_some(first + 1);
            self.report(log, index, report, &of, earlier, out)?;
        }
        self.kernel(log, out)?;
        let consequences = log.reports.len() - total;
        let mut line = format!("{path}: {}", count(total as u64, "cause"));
        if consequences > 0 {
            line.push_str(&format!(", {}", count(consequences as u64, "consequence")));
        }
        if log.boots > 1 {
            line.push_str(&format!(", {}", count(log.boots as u64, "boot")));
        }
        writeln!(out, "\n{}", self.paint.severity(Severity::Error, &line))
    }

    /// One cause, the `of`-th; its diagnosis only when that was not told with an `earlier` one.
    fn report(
        &self,
        log: &Explanation,
        index: usize,
        report: &Explained,
        of: &str,
        earlier: Option<usize>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let head = format!("{}{of}:", report.report.kind);
        writeln!(
            out,
            "{} {}",
            self.paint.severity(Severity::Error, &head),
            self.paint.strong(&text::safe(&report.title))
        )?;
        let diagnosis = report.diagnosis.as_ref().filter(|_| earlier.is_none());
        match (diagnosis, earlier) {
            (Some(diagnosis), _) => self.cause(diagnosis, out)?,
            (None, Some(number)) => writeln!(out, "  cause, evidence and advice are those of {number}")?,
            (None, None) => {}
        }
        self.place(log, report, out)?;
        let excerpt = log.excerpts.get(index);
        if let Some(diagnosis) = diagnosis {
            self.evidence(diagnosis, out)?;
        }
        self.excerpt(report, excerpt, out)?;
        self.code(report, out)?;
        self.consequences(log, index, out)?;
        if let Some(diagnosis) = diagnosis {
            for advice in &diagnosis.advice {
                self.wrapped(
                    &format!("  {} ", self.paint.help("next:")),
                    "        ",
                    &text::safe(advice),
                    out,
                )?;
            }
        }
        Ok(())
    }

    /// The cause, wrapped: it starts in the second line.
    fn cause(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let sure = match diagnosis.confidence {
            Confidence::Certain => self.paint.good("certain:"),
            Confidence::Likely => self.paint.strong("likely:"),
            Confidence::Possible => self.paint.dim("possible:"),
        };
        self.wrapped(&format!("  {sure} "), "  ", &text::safe(&diagnosis.summary), out)
    }

    /// Where and when.
    fn place(&self, log: &Explanation, explained: &Explained, out: &mut dyn Write) -> io::Result<()> {
        let report = &explained.report;
        let mut facts = vec![format!("{}:{}", text::path(&log.path), report.span.first_line)];
        facts.extend(report.timestamp.map(|time| format!("{time:.6} s")));
        if let (Some(phase), initcall) = super::json::phase(&explained.phase) {
            facts.push(match initcall {
                Some(name) => format!("{phase} {}", Safe(name)),
                None => phase.to_owned(),
            });
        }
        facts.extend(report.cpu.map(|cpu| format!("CPU {cpu}")));
        if let Some(comm) = &report.comm {
            let pid = report.pid.map_or_else(String::new, |pid| format!("[{pid}]"));
            facts.push(format!("{}{pid}", Safe(comm)));
        }
        facts.extend(report.release.as_deref().map(text::safe));
        writeln!(out, "  {} {}", self.paint.frame("-->"), facts.join(", "))?;
        writeln!(
            out,
            "  {} {}",
            self.paint.dim("signature"),
            self.paint.dim(&text::safe(&explained.signature))
        )
    }

    fn evidence(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let bar = self.paint.frame("   |");
        let cause = if diagnosis.is_known() {
            format!("why ({})", diagnosis.cause)
        } else {
            "what is known".to_owned()
        };
        writeln!(out, "{bar}\n{bar} {}", self.paint.strong(&cause))?;
        for evidence in &diagnosis.evidence {
            self.wrapped(&format!("{bar} - "), &format!("{bar}   "), &text::safe(&evidence.says), out)?;
            if let Some((number, line)) = &evidence.line {
                writeln!(out, "{bar}   {}", self.paint.dim(&format!("{number}: {}", cut(line))))?;
            }
        }
        Ok(())
    }

    /// The log's own lines, with what the kernel's files add.
    fn excerpt(&self, report: &Explained, excerpt: Option<&Excerpt>, out: &mut dyn Write) -> io::Result<()> {
        let Some(excerpt) = excerpt.filter(|excerpt| !excerpt.lines.is_empty()) else { return Ok(()) };
        let bar = self.paint.frame("   |");
        let width = excerpt.lines.last().map_or(1, |(number, _)| number.to_string().len());
        writeln!(out, "{bar}\n{bar} {}", self.paint.strong("the log"))?;
        for (number, line) in &excerpt.lines {
            let note = self.note(report, *number, line);
            let is_head = *number == report.report.span.first_line;
            let shown = if is_head { self.paint.strong(&cut(line)) } else { cut(line) };
            writeln!(
                out,
                "{} {} {shown}{}",
                self.paint.frame(&format!("{number:>width$}")),
                self.paint.frame("|"),
                self.paint.help(&note)
            )?;
        }
        if excerpt.left_out > 0 {
            writeln!(
                out,
                "{bar} {}",
                self.paint.dim(&format!("... {} not shown", count(excerpt.left_out, "line")))
            )?;
        }
        Ok(())
    }

    /// What is to be said beside a line of the log.
    fn note(&self, explained: &Explained, number: u64, line: &str) -> String {
        let report = &explained.report;
        let frames = report.ip.iter().chain(&report.frames);
        let Some((index, frame)) = frames
            .enumerate()
            .find(|(_, frame)| frame.line == number && line.contains(frame.symbol.as_str()))
        else {
            return String::new();
        };
        let resolved = explained.resolved.as_ref().and_then(|resolved| {
            let ip = usize::from(report.ip.is_some());
            if index < ip { resolved.ip.as_ref() } else { resolved.frames.get(index - ip) }
        });
        let source = resolved.map(source).unwrap_or_default();
        let fault = explained.function.as_deref() == Some(frame.function.as_str());
        match (fault, source.is_empty()) {
            (true, true) => "   <- at fault".to_owned(),
            (true, false) => format!("   <- at fault: {source}"),
            (false, true) => String::new(),
            (false, false) => format!("   <- {source}"),
        }
    }

    /// The code around the trap, where a kernel was given.
    fn code(&self, explained: &Explained, out: &mut dyn Write) -> io::Result<()> {
        let Some(view) = explained.resolved.as_ref().and_then(|resolved| resolved.code.as_ref()) else {
            return Ok(());
        };
        let bar = self.paint.frame("   |");
        let compared = match &view.compared {
            Compared::Not(why) => format!("not compared: {why}"),
            Compared::Same => "as in the kernel's file".to_owned(),
            Compared::Patched(all) => {
                format!("as in the kernel's file, {} patched at boot", count(all.len() as u64, "place"))
            }
            Compared::Differs { unexplained, .. } => format!(
                "{} differ from the kernel's file and no table explains them",
                count(*unexplained, "byte")
            ),
        };
        writeln!(out, "{bar}\n{bar} {} ({})", self.paint.strong("code"), text::safe(&compared))?;
        let at = view.lines.iter().position(|line| line.trapping).unwrap_or(0);
        for line in view.lines.iter().skip(at.saturating_sub(4)).take(9) {
            let shown = format!("{:<24} {}", text::hex(&line.bytes), text::safe(&line.text));
            let mark = if line.trapping { self.paint.help(" <- here") } else { String::new() };
            writeln!(out, "{bar}   {}{mark}", shown.trim_end())?;
        }
        Ok(())
    }

    fn consequences(&self, log: &Explanation, cause: usize, out: &mut dyn Write) -> io::Result<()> {
        let follow: Vec<_> = log
            .reports
            .iter()
            .enumerate()
            .filter(|(_, report)| report.consequence_of == Some(cause))
            .collect();
        if follow.is_empty() {
            return Ok(());
        }
        let bar = self.paint.frame("   |");
        writeln!(out, "{bar}\n{bar} {}", self.paint.strong("what followed from it"))?;
        let few = if self.style.verbose { usize::MAX } else { 8 };
        for (index, report) in follow.iter().take(few) {
            let time = report.report.timestamp.map_or_else(String::new, |time| format!(" at {time:.6} s"));
            writeln!(
                out,
                "{bar} - {} (line {}{time})",
                text::safe(&report.title),
                report.report.span.first_line
            )?;
            if self.style.verbose
                && let Some(diagnosis) = &report.diagnosis
            {
                self.wrapped(
                    &format!("{bar}   "),
                    &format!("{bar}   "),
                    &text::safe(&diagnosis.summary),
                    out,
                )?;
                self.excerpt(report, log.excerpts.get(*index), out)?;
            }
        }
        if follow.len() > few {
            writeln!(
                out,
                "{bar} {}",
                self.paint.dim(&format!("... and {} more; -v shows them", follow.len() - few))
            )?;
        }
        Ok(())
    }

    /// Whether the kernel that was given wrote the log.
    fn kernel(&self, log: &Explanation, out: &mut dyn Write) -> io::Result<()> {
        let Some(same) = &log.same_kernel else { return Ok(()) };
        let head = match same.answer {
            Same::Yes => self.paint.good("kernel:"),
            Same::Perhaps => self.paint.dim("kernel:"),
            Same::Partly | Same::No => self.paint.severity(Severity::Warning, "kernel:"),
        };
        writeln!(out)?;
        self.wrapped(&format!("{head} "), "        ", &text::safe(&same.why), out)
    }

    /// Many logs: by what failed.
    fn groups(&self, outcomes: &[Outcome], out: &mut dyn Write) -> io::Result<()> {
        let groups = groups(outcomes);
        for group in &groups {
            self.group(group, outcomes, out)?;
        }
        let (mut failed, mut clean, mut unreadable) = (0, 0, 0);
        for outcome in outcomes {
            match outcome {
                Ok(log) if log.reports.is_empty() => clean += 1,
                Ok(_) => failed += 1,
                Err(_) => unreadable += 1,
            }
        }
        let mut line = format!("{}: ", count(outcomes.len() as u64, "log"));
        line.push_str(&match failed {
            0 => "no failure".to_owned(),
            n => format!("{n} with a failure, in {}", count(groups.len() as u64, "group")),
        });
        if clean > 0 && failed > 0 {
            line.push_str(&format!("; {clean} without one"));
        }
        if unreadable > 0 {
            line.push_str(&format!("; {unreadable} could not be read"));
        }
        let severity = if unreadable > 0 || failed > 0 { Severity::Error } else { Severity::Note };
        writeln!(
            out,
            "{}",
            if failed + unreadable == 0 {
                self.paint.good(&line)
            } else {
                self.paint.severity(severity, &line)
            }
        )?;
        if failed > 0 && !self.style.verbose {
            writeln!(
                out,
                "{} kvet explain LOG shows one of them with its evidence",
                self.paint.help("next:")
            )?;
        }
        Ok(())
    }

    fn group(&self, group: &Group<'_>, outcomes: &[Outcome], out: &mut dyn Write) -> io::Result<()> {
        let logs = group.logs();
        let times = format!("{logs:>5} x");
        writeln!(
            out,
            "{} {}",
            self.paint.severity(Severity::Error, &times),
            self.paint.strong(&text::safe(&group.example.title))
        )?;
        if let Some(diagnosis) = group.example.diagnosis.as_ref().filter(|diagnosis| diagnosis.is_known()) {
            let sure = diagnosis.confidence.as_str();
            self.wrapped(&format!("        {sure}: "), "        ", &text::safe(&diagnosis.summary), out)?;
        }
        let mut names: Vec<String> = Vec::new();
        for (log, _) in &group.found {
            let Some(Ok(log)) = outcomes.get(*log) else { continue };
            let name = text::path(&log.path);
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        let more = names.len().saturating_sub(FEW_LOGS);
        names.truncate(FEW_LOGS);
        let mut list = names.join(", ");
        if more > 0 {
            list.push_str(&format!(" and {more} more"));
        }
        self.wrapped("        ", "        ", &self.paint.dim(&list), out)?;
        writeln!(out, "        {}\n", self.paint.dim(&text::safe(group.signature)))
    }

    fn wrapped(&self, first: &str, rest: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let options =
            Options::new(self.style.width).initial_indent(first).subsequent_indent(rest).break_words(false);
        for line in textwrap::wrap(text, options) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

/// A line of the log, safe and not too long.
fn cut(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{}...", text::safe(&line[..end])),
        None => text::safe(line),
    }
}

/// Source line of a frame, innermost call first, or why this kernel cannot have it.
fn source(resolved: &ResolvedFrame) -> String {
    if resolved.verdict.refutes() {
        return "not in this kernel".to_owned();
    }
    let Some(source) = resolved.place().and_then(|place| place.source.as_ref()) else { return String::new() };
    let mut text = format!("{}:{}", Safe(&source.file), source.line);
    for call in source.inlined.iter().take(2) {
        if let Some(file) = &call.file {
            text.push_str(&format!(", inlined at {}:{}", Safe(file), call.line));
        }
    }
    text
}
