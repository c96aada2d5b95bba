//! For people.

use std::io::{self, Write};

use kvet_image::VirtAddr;
use kvet_tables::disasm;
use kvet_tables::expected::PatchedText;

use super::listing::{Line, Listing};
use super::summary::{Names, Summary, by_owner};
use super::{Answer, Keys, Patched};
use crate::cli::Color;
use crate::render::human::paint::Paint;
use crate::text;

/// Unchanged instructions that are shown around a change.
const CONTEXT: usize = 3;
/// Differences that are shown whole.
const SHOWN: usize = 20;

pub fn write(answer: &Answer<'_>, color: Color, out: &mut dyn Write) -> io::Result<()> {
    let paint = Paint::new(color.on_stdout());
    let names = Names::new(answer.context);
    head(answer, paint, out)?;
    match (&answer.function, &answer.against, answer.audit) {
        (Some((name, listing)), ..) => function(name, listing, &names, paint, out)?,
        (None, Some((other, _)), _) => against(answer, other, &names, paint, out)?,
        (None, None, Some((guest, audit))) => {
            crate::inspect::human::audit(guest, audit, paint, out)?;
        }
        (None, None, None) => summary(answer, &names, paint, out)?,
    }
    if let Some(path) = answer.output {
        writeln!(out, "\n{} {}", paint.strong("written:"), text::path(path))?;
    }
    Ok(())
}

fn head(answer: &Answer<'_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let image = answer.image;
    let release = image.release().unwrap_or("?");
    let path = text::path(image.path());
    writeln!(out, "{}: kernel {} ({})", paint.strong(&path), text::safe(release), image.arch().as_str())?;
    processor("processor", answer.patched, paint, out)?;
    if let Some((other, _)) = &answer.against {
        processor("against", other, paint, out)?;
    }
    let keys = match answer.keys {
        Keys::Initial => "as the file has them",
        Keys::Booted => "as that guest has them",
    };
    let given = match answer.given.len() as u64 {
        0 => String::new(),
        n => format!(", {} as given", text::count(n, "key")),
    };
    writeln!(out, "  static keys: {keys}{given}")
}

fn processor(word: &str, patched: &Patched, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let cpu = &patched.cpu;
    writeln!(
        out,
        "  {word}: {}, {} ({})",
        text::safe(&cpu.name),
        text::count(cpu.features.len() as u64, "feature"),
        text::safe(&cpu.source)
    )?;
    for assumed in &cpu.assumed {
        writeln!(out, "    assumed {}", text::safe(assumed))?;
    }
    for unknown in &cpu.unknown {
        writeln!(out, "    {} {}", paint.dim("not known:"), text::safe(unknown))?;
    }
    Ok(())
}

fn summary(answer: &Answer<'_>, names: &Names<'_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let sum = Summary::of(answer.file, &answer.patched.text);
    writeln!(
        out,
        "\n{} {} of {} bytes are not the file's after boot",
        paint.strong("text:"),
        text::number(sum.bytes),
        text::number(sum.text)
    )?;
    writeln!(out, "  {:<26} {:>9} {:>9} {:>10}", "table", "sites", "changed", "bytes")?;
    for (class, count) in &sum.tables {
        let [sites, changed, bytes] = [count.sites, count.changed, count.bytes].map(text::number);
        writeln!(out, "  {:<26} {sites:>9} {changed:>9} {bytes:>10}", class.as_str())?;
    }
    if !sum.features.is_empty() {
        writeln!(out, "\n  {:<46} {:>9} {:>10}", "alternatives, by what decides", "changed", "bytes")?;
        let mut rows: Vec<_> = sum.features.iter().filter(|(_, count)| count.changed > 0).collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(count.bytes));
        for ((feature, absent), count) in rows {
            let there = answer.patched.cpu.features.contains(feature);
            let what = match (there != *absent, absent) {
                (true, false) => names.of(*feature),
                (true, true) => format!("without {}", names.of(*feature)),
                (false, _) => format!("{}, not applied: nops", names.of(*feature)),
            };
            let [changed, bytes] = [count.changed, count.bytes].map(text::number);
            writeln!(out, "  {:<46} {changed:>9} {bytes:>10}", text::safe(&what))?;
        }
    }
    Ok(())
}

fn function(
    name: &str,
    listing: &Listing,
    names: &Names<'_>,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let changes = listing.stretches.iter().filter(|s| s.after.is_some()).count() as u64;
    writeln!(
        out,
        "\n{} {} at {}, {} bytes, {} patched",
        paint.strong("function:"),
        text::safe(name),
        listing.start,
        text::number(listing.len as u64),
        text::count(changes, "place")
    )?;
    let near = |at: usize| {
        let range = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(listing.stretches.len());
        listing.stretches[range].iter().any(|s| s.after.is_some())
    };
    let mut gap = false;
    for (at, stretch) in listing.stretches.iter().enumerate() {
        if !near(at) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            writeln!(out, "  {}", paint.dim("..."))?;
        }
        let Some(after) = &stretch.after else {
            for line in &stretch.before {
                writeln!(out, "    {}", code(line))?;
            }
            continue;
        };
        for owner in &stretch.owners {
            writeln!(out, "  {}", paint.frame(&format!("@ {}", text::safe(&names.owner(owner)))))?;
        }
        for line in &stretch.before {
            writeln!(out, "  {}", paint.bad(&format!("- {}", code(line))))?;
        }
        for line in after {
            writeln!(out, "  {}", paint.good(&format!("+ {}", code(line))))?;
        }
    }
    Ok(())
}

fn code(line: &Line) -> String {
    format!("{:x}  {:<30}  {}", line.at, text::hex(&line.bytes), text::safe(&line.text))
}

fn against(
    answer: &Answer<'_>,
    other: &Patched,
    names: &Names<'_>,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some((_, found)) = &answer.against else { return Ok(()) };
    let (ours, theirs) = (&answer.patched.cpu, &other.cpu);
    for (word, a, b) in [("only the first", ours, theirs), ("only the second", theirs, ours)] {
        let only: Vec<String> = a.features.difference(&b.features).map(|f| names.of(*f)).collect();
        if !only.is_empty() {
            writeln!(out, "  {word} has: {}", text::safe(&only.join(", ")))?;
        }
    }
    let bytes: usize = found.iter().map(|d| d.len).sum();
    let verdict = match found.len() as u64 {
        0 => paint.good("the same text"),
        n => {
            paint.bad(&format!("{} of {} bytes differ", text::count(n, "place"), text::number(bytes as u64)))
        }
    };
    writeln!(out, "\n{} {verdict}", paint.strong("text:"))?;
    let mut rows: Vec<_> = by_owner(found).into_iter().collect();
    rows.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    for ((class, feature), n) in rows {
        let class = class.map_or("no table's", |c| c.as_str());
        let feature = feature.map_or(String::new(), |f| format!(" for {}", names.of(f)));
        writeln!(out, "  {:>9} {class}{}", text::number(n), text::safe(&feature))?;
    }
    for difference in found.iter().take(SHOWN) {
        let place = answer.image.symbolize(difference.start).unwrap_or_default();
        let owner = difference.owner.map_or_else(|| "no table's".into(), |o| names.owner(&o));
        writeln!(out, "\n  {} {} ({})", difference.start, text::safe(&place), text::safe(&owner))?;
        for (word, patched) in [("first", &answer.patched.text), ("second", &other.text)] {
            version(answer, word, patched, difference.start, difference.len, paint, out)?;
        }
    }
    if found.len() > SHOWN {
        let hidden = (found.len() - SHOWN) as u64;
        writeln!(
            out,
            "\n  {}",
            paint.dim(&format!("... and {} more (--format json shows all)", text::number(hidden)))
        )?;
    }
    Ok(())
}

fn version(
    answer: &Answer<'_>,
    word: &str,
    patched: &PatchedText,
    at: VirtAddr,
    len: usize,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let bytes = patched.bytes(at, len).unwrap_or_default();
    let lines = disasm::code(answer.image, at, bytes).lines.join("; ");
    writeln!(out, "      {word:7} {}  {}", text::hex(bytes), paint.dim(&text::safe(&lines)))
}
