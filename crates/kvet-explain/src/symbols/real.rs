//! Real kernels (`KVET_KERNELS`) and real logs (`KVET_CORPUS`): each test says what it skipped.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use kvet_console::{Code, Frame, Report, Trap};
use kvet_image::{Image, SymbolKind, VirtAddr};
use kvet_tables::sites::Site;

use super::*;

/// A file of the directory that a variable names.
pub(super) fn file(variable: &str, name: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(|dir| PathBuf::from(dir).join(name)).filter(|p| p.exists());
    if found.is_none() {
        eprintln!("skipped: {variable} names no directory with {name}");
    }
    found
}

/// `[? ]name+0x1/0x2[ [module]]`, as a trace has it.
pub(super) fn frame(text: &str) -> Option<Frame> {
    let text = text.trim();
    let (reliable, text) = match text.strip_prefix("? ") {
        Some(rest) => (false, rest),
        None => (true, text),
    };
    let (place, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (symbol, numbers) = place.rsplit_once("+0x")?;
    let (offset, size) = numbers.split_once("/0x")?;
    Some(Frame {
        function: symbol.to_owned(),
        symbol: symbol.to_owned(),
        offset: u64::from_str_radix(offset, 16).ok()?,
        size: Some(u64::from_str_radix(size, 16).ok()?),
        module: rest.strip_prefix('[').and_then(|r| r.split([' ', ']']).next()).map(str::to_owned),
        reliable,
        ..Frame::default()
    })
}

/// The text after the time stamps.
fn body(line: &str) -> &str {
    line.split_once("] ").map_or(line, |(_, rest)| rest)
}

pub(super) fn code(line: &str) -> Code {
    let mut code = Code { unit: 1, ..Code::default() };
    for word in line.trim().split(' ') {
        let digits = word.trim_matches(['<', '>', '(', ')']);
        if digits.len() != word.len() {
            code.marked = Some(code.bytes.len());
        }
        if digits.len() == 8 {
            code.unit = 4;
            code.bytes.extend(u32::from_str_radix(digits, 16).unwrap().to_le_bytes());
        } else {
            code.bytes.push(u8::from_str_radix(digits, 16).unwrap());
        }
    }
    code
}

/// Every frame, instruction pointer and `Code:` line of a log.
fn frames_of(log: &str) -> Vec<Frame> {
    log.lines().filter_map(|line| frame(body(line).trim_start_matches("RIP: 0010:"))).collect()
}

const RELEASE: &str = "6.1.0-56-cloud-amd64";

#[test]
fn the_static_key_storm_names_the_key() {
    let Some(kernel) = file("KVET_KERNELS", &format!("{RELEASE}.vmlinux")) else { return };
    let Some(log) = file("KVET_CORPUS", "console/qemu72-stale-int3-static-key-storm.log") else { return };
    let log = std::fs::read_to_string(log).unwrap();
    let image = Image::open(&kernel).unwrap();
    let symbolizer = Symbolizer::new(&image);
    let lines: Vec<&str> = log.lines().map(body).collect();
    let at = lines.iter().position(|l| l.starts_with("RIP: 0010:hrtimer_start_range_ns")).unwrap();
    let ip = frame(lines[at].trim_start_matches("RIP: 0010:")).unwrap();
    let report = Report {
        ip: Some(ip),
        code: Some(code(lines[at + 1].trim_start_matches("Code: "))),
        trap: Some(Trap { name: "int3".into(), vector: Some(3), ..Trap::default() }),
        ..super::tests::report()
    };
    let resolved = symbolizer.report(&report);
    let [site] = &resolved.sites[..] else { panic!("{:?}", resolved.sites) };
    let Site::JumpLabel { label, key } = &site.site else { panic!("{site:?}") };
    eprintln!("{}: {}", site.start, site.site.describe(&image));
    assert_eq!(key.name.as_deref(), Some("timers_migration_enabled"));
    assert_eq!((key.initially_enabled(), label.is_jump_when(false)), (Some(false), true));
    let code = resolved.code.unwrap();
    assert!(code.aligned_by_file);
    assert_eq!(code.trapping().unwrap().bytes, [0x0f, 0x1f, 0x44, 0, 0], "{code:?}");
    let Compared::Patched(differences) = &code.compared else { panic!("{:?}", code.compared) };
    let words = differences.iter().map(|d| match &d.why {
        kvet_tables::sites::Explained::Table { site, what } => (site.site.table(), what.as_str()),
        other => panic!("{other:?}"),
    });
    assert_eq!(words.collect::<Vec<_>>(), [("jump-labels", "the key is on: a nop")]);
}

#[test]
fn every_frame_of_the_real_logs_is_there() {
    let Some(kernel) = file("KVET_KERNELS", &format!("{RELEASE}.vmlinux")) else { return };
    let image = Image::open(&kernel).unwrap();
    let symbolizer = Symbolizer::new(&image);
    for name in ["storm", "lockup"] {
        let name = match name {
            "storm" => "console/qemu72-stale-int3-static-key-storm.log",
            _ => "console/qemu72-soft-lockup-text-poke.log",
        };
        let Some(log) = file("KVET_CORPUS", name) else { return };
        let log = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
        let frames = frames_of(&log);
        assert!(frames.len() >= 30, "{name}: {}", frames.len());
        let resolved = symbolizer.trace(&frames, None);
        for (frame, resolved) in frames.iter().zip(&resolved) {
            // The RIP lines stand among them here, which are no return addresses.
            let exact = symbolizer.frame(frame, Role::Exact).verdict == Verdict::Fits;
            assert!(resolved.verdict == Verdict::Fits || exact, "{frame:?} {resolved:?}");
            assert_eq!(resolved.places[0].size, SizeMatch::Kallsyms, "{frame:?}");
        }
    }
}

/// A kernel with its own vmlinux's code bytes: what memory shows equals the file.
#[test]
fn code_of_every_tenth_function_realigns_to_what_the_file_has() {
    let Some(kernel) = file("KVET_KERNELS", &format!("{RELEASE}.debug")) else { return };
    let image = Image::open(&kernel).unwrap();
    let text = image.section(".text").unwrap();
    let functions = image.symbols().iter().filter(|s| s.kind == SymbolKind::Function && s.size > 100);
    let mut checked = 0;
    for symbol in functions.filter(|s| text.contains(s.addr)).step_by(10) {
        let mut ip = symbol.addr;
        // Some boundary past the 43 bytes that an oops prints before the instruction.
        while let Some((at, len)) = kvet_tables::disasm::instruction_at(&image, symbol.addr, ip)
            && at.0 < symbol.addr.0 + 50
        {
            ip = VirtAddr(at.0 + len);
        }
        let Some(bytes) = image.bytes(VirtAddr(ip.0 - 42), 64) else { continue };
        let code = Code { bytes: bytes.to_vec(), marked: Some(42), unit: 1, unreadable: None };
        let alone = CodeView::alone(kvet_image::Arch::X86_64, &code, Role::Exact);
        assert_eq!(alone.trapping().map(|l| l.offset), Some(42), "{}", symbol.name);
        checked += 1;
    }
    assert!(checked > 1000);
}
