//! For people: the kernel's place, what is wrong first, then the rest in short.

use std::io::{self, Write};

use kvet_memory::Guest;
use kvet_memory::paging::{End, Walk};
use kvet_memory::text::{Audit, Kind, Oddity};
use kvet_tables::disasm;

use super::Findings;
use crate::cli::Color;
use crate::render::explain::human::Style;
use crate::render::human::paint::Paint;
use crate::text;

/// Oddities that are shown whole.
const SHOWN: usize = 20;
/// Lines of the log's end that are shown.
const LAST_LINES: usize = 12;

pub fn write(f: &Findings<'_, '_>, color: Color, out: &mut dyn Write) -> io::Result<()> {
    let paint = Paint::new(color.on_stdout());
    place(f, paint, out)?;
    log(f, color, paint, out)?;
    cpus(f, paint, out)?;
    if let Some(Ok(audited)) = &f.text {
        audit(f.guest, audited, paint, out)?;
    }
    keys(f, paint, out)?;
    if let Some(Ok(walk)) = &f.walk {
        walk_lines(f, walk, paint, out)?;
    }
    pages(f, paint, out)
}

fn place(f: &Findings<'_, '_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let (guest, placement) = (f.guest, f.guest.placement());
    let release = guest.image().release().unwrap_or("?");
    let path = text::path(guest.memory().path());
    writeln!(
        out,
        "{}: {} of kernel {}",
        paint.strong(&path),
        guest.memory().form().as_str(),
        text::safe(release)
    )?;
    let physical = placement.physical_base().map_or_else(|| "?".into(), |p| format!("{p:#x}"));
    writeln!(
        out,
        "  at physical {physical}, KASLR offset {:#x}: by {}; page tables by {}; layouts by {}",
        placement.slide,
        placement.evidence,
        placement.tables_by,
        guest.layouts().source()
    )?;
    for remark in guest.memory().remarks() {
        writeln!(out, "  note: {}", text::safe(remark))?;
    }
    Ok(())
}

fn log(f: &Findings<'_, '_>, color: Color, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let Some(Ok(log)) = &f.log else { return Ok(()) };
    let records = text::count(log.records.len() as u64, "record");
    let by =
        if log.found_by.is_empty() { "no ring set up yet" } else { &format!("found by {}", log.found_by) };
    writeln!(out, "\n{} {records}, {by}", paint.strong("log:"))?;
    for remark in &log.remarks {
        writeln!(out, "  note: {}", text::safe(remark))?;
    }
    let bytes = log.text(true);
    let whole = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = whole.lines().collect();
    let skip = lines.len().saturating_sub(LAST_LINES);
    if skip > 0 {
        writeln!(out, "  {}", paint.dim(&format!("... {skip} lines before (--dmesg shows all)")))?;
    }
    for line in &lines[skip..] {
        writeln!(out, "  {}", text::safe(line))?;
    }
    if let Some(explanation) = &f.explanation
        && !explanation.reports.is_empty()
    {
        writeln!(out)?;
        let style = Style { color: color.on_stdout(), width: 100, verbose: false };
        let outcome = crate::explain::Explanation {
            path: explanation.path.clone(),
            boots: explanation.boots,
            lines: explanation.lines,
            reports: explanation.reports.clone(),
            excerpts: explanation.excerpts.clone(),
            same_kernel: None,
        };
        crate::render::explain::human::write(&[Ok(outcome)], &style, out)?;
    }
    Ok(())
}

fn cpus(f: &Findings<'_, '_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let Some(cpus) = &f.cpus else { return Ok(()) };
    writeln!(out, "\n{}", paint.strong("CPUs:"))?;
    for cpu in cpus {
        writeln!(out, "  {}", text::safe(&cpu.line(f.guest)))?;
    }
    for cpu in cpus.iter().filter(|c| !c.trace.frames.is_empty()) {
        let count = cpu.preempt_count.map_or_else(String::new, |c| format!(", preempt_count {c:#x}"));
        writeln!(out, "  {}", paint.frame(&format!("CPU {}{count}:", cpu.number)))?;
        for frame in &cpu.trace.frames {
            match &frame.symbol {
                Some(symbol) => writeln!(out, "      {}", text::safe(symbol))?,
                None => writeln!(out, "      {:#x}", frame.pc)?,
            }
        }
        if let Some(why) = &cpu.trace.stopped {
            writeln!(out, "      {}", paint.dim(&text::safe(why)))?;
        }
    }
    Ok(())
}

/// The audit of a guest's text; `kvet patch --as-booted` shows it too.
pub fn audit(guest: &Guest<'_>, audit: &Audit, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let faults = audit.faults().count() as u64 + audit.more;
    let verdict = match faults {
        0 if audit.bytes == 0 => "not judged".to_owned(),
        0 => paint.good("as the tables ask"),
        n => paint.bad(&format!("{} not as the tables ask", text::count(n, "place"))),
    };
    writeln!(out, "\n{} {} bytes, {verdict}", paint.strong("text:"), text::number(audit.bytes))?;
    let counts: Vec<String> = audit
        .as_expected
        .iter()
        .map(|(class, n)| format!("{} {}", text::number(*n), class.as_str()))
        .collect();
    writeln!(out, "  as expected: {}", counts.join(", "))?;
    if audit.relocated + audit.on_the_way + audit.traced > 0 {
        writeln!(
            out,
            "  moved by KASLR {}, on the way of a patching that has not ended {}, traced {}",
            text::number(audit.relocated),
            text::number(audit.on_the_way),
            text::number(audit.traced)
        )?;
    }
    if let Some(poke) = &audit.poke {
        writeln!(out, "  {}", text::safe(&poke.words(guest)))?;
    }
    for odd in audit.oddities.iter().take(SHOWN) {
        oddity(guest, odd, paint, out)?;
    }
    let hidden = (audit.oddities.len().saturating_sub(SHOWN)) as u64 + audit.more;
    if hidden > 0 {
        writeln!(
            out,
            "  {}",
            paint.dim(&format!("... and {hidden} more (--format json shows up to 4,096)"))
        )?;
    }
    for skipped in &audit.skipped {
        writeln!(out, "  note: {}", text::safe(skipped))?;
    }
    Ok(())
}

fn oddity(guest: &Guest<'_>, odd: &Oddity, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let place = guest.symbolize(guest.to_runtime(odd.start)).unwrap_or_default();
    let what = words(guest, odd);
    let head = format!("{} {place}: {what}", odd.start);
    let head = text::safe(&head);
    writeln!(out, "  {}", if odd.in_progress { head } else { paint.bad(&head) })?;
    for (name, bytes) in [("file", &odd.file), ("expected", &odd.expected), ("memory", &odd.memory)] {
        let code = disasm::code(guest.image(), odd.start, bytes);
        let lines = code.lines.join("; ");
        writeln!(out, "      {name:8} {}  {}", text::hex(bytes), paint.dim(&text::safe(&lines)))?;
    }
    Ok(())
}

/// What an oddity is, in a sentence.
pub fn words(guest: &Guest<'_>, odd: &Oddity) -> String {
    let table = odd.owner.map_or(String::new(), |o| format!(" ({} entry {})", o.class.as_str(), o.index));
    let key = odd.owner.and_then(|o| o.key).and_then(|key| {
        let (symbol, offset) = guest.image().symbol_at(key)?;
        Some(if offset == 0 { symbol.name.to_owned() } else { format!("{}+{offset:#x}", symbol.name) })
    });
    let key = key.map_or(String::new(), |k| format!(" of {k}"));
    let moment = if odd.in_progress { ", being switched at this moment" } else { "" };
    match &odd.kind {
        Kind::Unpatched => format!("unpatched{table}: the file's bytes, which should have been replaced"),
        Kind::HalfPatched { step } => format!("half-patched{key}{table}: {}{moment}", step.as_str()),
        Kind::WrongState => format!("the site{key}{table} is not as its key asks{moment}"),
        Kind::WrongFeature { feature, not } => {
            let absent = if *not { "without" } else { "with" };
            format!("patched for a CPU {absent} feature {feature}{table}, which this one is not")
        }
        Kind::Nobody if odd.owner.is_some() => format!("bytes that this entry{table} never writes"),
        _ => format!("{} changed by nobody's table", text::count(odd.len, "byte")),
    }
}

fn keys(f: &Findings<'_, '_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    if let Some(Ok(keys)) = &f.keys {
        let on: Vec<_> = keys.iter().filter(|k| k.is_on()).collect();
        let odd: Vec<_> = keys.iter().filter(|k| k.otherwise + k.in_patching + k.other > 0).collect();
        let head = paint.strong("static keys:");
        writeln!(
            out,
            "\n{head} {}, {} on, {} with sites that disagree",
            text::number(keys.len() as u64),
            on.len(),
            odd.len()
        )?;
        let changed = keys
            .iter()
            .filter(|k| k.initially.is_some_and(|i| (i != 0) != k.is_on()) || k.enabled > 1 || k.enabled < 0);
        for key in changed {
            let initially = if key.initially.is_some_and(|i| i != 0) { "on" } else { "off" };
            let sites = key.as_asked + key.otherwise + key.in_patching + key.other;
            writeln!(
                out,
                "  {}: {} (in the file {initially}), {}",
                text::safe(&key.label()),
                key.enabled,
                text::count(sites.into(), "site")
            )?;
        }
        for key in odd {
            let line = format!(
                "{}: {}, {} sites as it asks, {} the other way round, {} half-patched, {} with other code",
                key.label(),
                key.enabled,
                key.as_asked,
                key.otherwise,
                key.in_patching,
                key.other
            );
            writeln!(out, "  {}", paint.bad(&text::safe(&line)))?;
        }
    }
    if let Some(Ok(set)) = &f.features {
        let names = kvet_memory::features::names(f.guest, f.context, set);
        writeln!(out, "\n{} {}", paint.strong("features:"), text::safe(&names.join(", ")))?;
    }
    Ok(())
}

fn walk_lines(f: &Findings<'_, '_>, walk: &Walk, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let name = f.guest.symbolize(walk.address).map(|s| format!(" ({s})")).unwrap_or_default();
    writeln!(out, "\n{} {:#x}{}", paint.strong("walk:"), walk.address, text::safe(&name))?;
    for step in &walk.steps {
        let entry = step.entry.map_or_else(|| "?".to_owned(), |e| format!("{e:#018x}"));
        let wrong = step.wrong.as_ref().map_or_else(String::new, |w| format!("  <- {w}"));
        writeln!(
            out,
            "  {}[{}] at {:#x}: {entry}{}",
            step.level,
            step.index,
            step.entry_at,
            paint.bad(&wrong)
        )?;
    }
    match walk.end {
        End::Mapped(m) => {
            writeln!(
                out,
                "  physical {:#x}, a page of {} KiB, {}",
                m.physical,
                m.page >> 10,
                m.rights.letters()
            )
        }
        End::NotPresent => writeln!(out, "  not mapped"),
        End::NonCanonical => writeln!(out, "  not an address of the kernel's half"),
        End::Broken => writeln!(out, "  the walk ends there"),
    }
}

fn pages(f: &Findings<'_, '_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let Some(Ok(pages)) = &f.pages else { return Ok(()) };
    let faults = pages.faults.iter().filter(|p| !p.early).count();
    let verdict = match faults {
        0 if pages.leaves == 0 => "not judged".to_owned(),
        0 => paint.good("nothing wrong"),
        n => paint.bad(&format!("{n} wrong")),
    };
    writeln!(
        out,
        "\n{} {} pages map {} MiB of the kernel's half: {verdict}",
        paint.strong("page tables:"),
        text::number(pages.leaves),
        text::number(pages.bytes >> 20)
    )?;
    for fault in pages.faults.iter().take(SHOWN) {
        let early = if fault.early { " (before the kernel protects its memory)" } else { "" };
        let line = format!("{:#x}-{:#x} {}{early}", fault.run.start, fault.run.end, fault.message);
        writeln!(out, "  {}", if fault.early { text::safe(&line) } else { paint.bad(&text::safe(&line)) })?;
    }
    let hidden = pages.faults.len().saturating_sub(SHOWN) as u64 + pages.more;
    if hidden > 0 {
        writeln!(out, "  {}", paint.dim(&format!("... and {hidden} more")))?;
    }
    for skipped in &pages.skipped {
        writeln!(out, "  note: {}", text::safe(skipped))?;
    }
    Ok(())
}
