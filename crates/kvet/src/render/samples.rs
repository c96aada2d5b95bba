//! Reports made up for tests: one broken kernel, one clean module, one unreadable file.

use std::time::Duration;

use kvet_finding::{Code, Finding, Severity, Value};
use kvet_image::{InlinedCall, Kind, SourceLine, SymbolSource, VirtAddr};
use kvet_tables::{LocatedBy, TableReport};

use super::Renderer;
use crate::check::{self, ArtefactReport, Checked, Chosen, KernelUsed, Place, Summary, Unreadable};

/// A jump label as in the report that the tool was built for.
pub fn jump_label(index: u64) -> Finding {
    let address = VirtAddr(0xffff_ffff_8128_ed9c + index * 16);
    let mut finding = Finding::new(
        "jump-labels/initial-state",
        Severity::Error,
        "the site holds a jmp, but its key starts false and the branch is unlikely: expected a 2-byte nop",
    )
    .index(index)
    .at_boot(
        "jump_label: Fatal kernel bug, unexpected op at swap_writepage+0x1c/0x60 [____ptrval____] \
         (eb 1c 48 89 df != 66 90 0f 1f 00)) size:2 type:1",
        true,
    )
    .with(
        "found",
        Code {
            address,
            bytes: vec![0xeb, 0x1c],
            lines: vec!["jmp 0xffffffff8128f04a <swap_writepage+0x3a>".into()],
        },
    )
    .with("expected", Code { address, bytes: vec![0x66, 0x90], lines: vec!["xchg ax, ax".into()] })
    .with("key", VirtAddr(0xffff_ffff_82f0_0010))
    .with("key name", "frontswap_enabled_key")
    .advice("build the object that holds swap_writepage again, and link it again");
    finding.address = Some(address);
    finding.symbol = Some("swap_writepage+0x1c/0x60".into());
    finding
}

/// A warning whose text tries to take the terminal over.
pub fn hostile() -> Finding {
    let mut finding = Finding::new(
        "bugs/file-name",
        Severity::Warning,
        "the file name is \x1b]0;owned\x07\x1b[2J\u{202e}c.li\u{9b}31m",
    )
    .at_boot_when("kernel BUG at \x1b[31mmm/slub.c:1!\nRIP: 0010:x", false, "the BUG at \x1b[0m is reached")
    .with("name", "\x1b[1A")
    .with("bytes", Value::Bytes(vec![0x1b, 0x5b]))
    .with("both", Value::List(vec![Value::Number(12_345), Value::Text("\r".into())]))
    .advice("look at\x08 it");
    finding.symbol = Some("evil\x1b[0m+0x0/0x10 [m\u{9b}]".into());
    finding
}

fn table(name: &'static str, entries: u64, located_by: Option<LocatedBy>) -> TableReport {
    let mut report = TableReport::new(name, located_by);
    report.entries = entries;
    report
}

fn checked(kind: Kind, tables: Vec<TableReport>) -> Checked {
    let findings = tables.iter().map(|t| t.findings.len()).sum();
    Checked {
        kind: check::Kind::Image(kind),
        arch: Some("x86_64"),
        release: Some("6.1.0-56-amd64".into()),
        banner: Some("Linux version 6.1.0-56-amd64 (someone@example.org)".into()),
        build_id: Some(vec![0xde, 0xad, 0xbe, 0xef]),
        symbols_from: SymbolSource::Kallsyms,
        symbols: 187_342,
        kernel: None,
        tables,
        places: vec![Place::default(); findings],
        took: Duration::from_millis(38),
    }
}

fn alternatives() -> TableReport {
    let mut report = table("alternatives", 4667, Some(LocatedBy::Section(".altinstructions".into())));
    report.layout = Some("12 bytes: instr, replacement, cpuid, two lengths".into());
    report.proved = vec![
        "every capability is below 768".into(),
        "both sides decode into whole instructions".into(),
        "the same replacement names the same feature".into(),
    ];
    report
}

fn source() -> SourceLine {
    let call =
        InlinedCall { function: Some("swap_writepage".into()), file: Some("mm/page_io.c".into()), line: 193 };
    SourceLine {
        file: "include/linux/frontswap.h".into(),
        line: 52,
        function: Some("frontswap_enabled".into()),
        inlined: vec![call],
    }
}

/// A kernel with one error and one hostile warning.
pub fn broken_kernel() -> ArtefactReport {
    let mut labels = table(
        "jump-labels",
        6299,
        Some(LocatedBy::Symbols("__start___jump_table".into(), SymbolSource::Kallsyms)),
    );
    labels.findings.push(jump_label(41));
    let mut bugs = table("bugs", 7743, Some(LocatedBy::Scan));
    bugs.findings.push(hostile());
    let absent = TableReport::absent("static-calls", "the image has no `__start_static_call_sites`");
    let mut checked = checked(Kind::BzImage, vec![alternatives(), labels, absent, bugs]);
    checked.places[0] = Place { section: Some(".text".into()), source: Some(source()) };
    ArtefactReport { path: "vmlinuz-6.1.0-56-amd64".into(), outcome: Ok(checked) }
}

/// A kernel without a finding.
pub fn clean_kernel() -> ArtefactReport {
    let mut labels = table(
        "jump-labels",
        6299,
        Some(LocatedBy::Symbols("__start___jump_table".into(), SymbolSource::Kallsyms)),
    );
    labels.proved = vec!["a nop or a jmp, as the key starts".into()];
    let absent = TableReport::absent("static-calls", "the image has no `__start_static_call_sites`");
    let checked = checked(Kind::BzImage, vec![alternatives(), labels, absent]);
    ArtefactReport { path: "boot/vmlinuz".into(), outcome: Ok(checked) }
}

/// A module without a finding, checked against a kernel of its release.
pub fn clean_module(name: &str) -> ArtefactReport {
    let mut labels = table("jump-labels", 12, Some(LocatedBy::Section("__jump_table".into())));
    labels.skipped = vec!["keys of other modules: their initial values are not in this file".into()];
    let mut checked = checked(Kind::Module, vec![labels]);
    checked.symbols_from = SymbolSource::Elf;
    checked.kernel = Some(KernelUsed {
        path: "vmlinuz-6.1.0-56-amd64".into(),
        release: Some("6.1.0-56-amd64".into()),
        chosen: Chosen::SameRelease,
    });
    ArtefactReport { path: name.into(), outcome: Ok(checked) }
}

/// A file that could not be read.
pub fn unreadable() -> ArtefactReport {
    ArtefactReport {
        path: "modules/b.ko".into(),
        outcome: Err(Unreadable("is truncated: .text needs 4096 bytes, 17 are there".into())),
    }
}

/// The run that every renderer is tested on.
pub fn run() -> Vec<ArtefactReport> {
    vec![broken_kernel(), clean_module("modules/a.ko"), unreadable()]
}

/// The run that docs/json.md shows.
pub fn documented() -> Vec<ArtefactReport> {
    let mut kernel = broken_kernel();
    if let Ok(checked) = &mut kernel.outcome {
        checked.tables.truncate(3);
        checked.places.truncate(1);
    }
    vec![kernel, unreadable()]
}

/// What a renderer makes of [`run`].
pub fn render(renderer: impl Renderer) -> String {
    render_reports(renderer, &run())
}

/// What a renderer makes of some reports.
pub fn render_reports(mut renderer: impl Renderer, reports: &[ArtefactReport]) -> String {
    let mut out = Vec::new();
    let mut summary = Summary::default();
    renderer.start(&mut out).expect("memory");
    for report in reports {
        summary.add(report);
        renderer.artefact(report, &mut out).expect("memory");
    }
    renderer.finish(&summary, &mut out).expect("memory");
    String::from_utf8(out).expect("UTF-8")
}

/// A kernel with so many findings of one rule.
pub fn many_findings(n: u64) -> ArtefactReport {
    let mut labels = table("jump-labels", 6299, Some(LocatedBy::Scan));
    labels.findings.extend((0..n).map(jump_label));
    ArtefactReport { path: "vmlinux".into(), outcome: Ok(checked(Kind::Vmlinux, vec![labels])) }
}
