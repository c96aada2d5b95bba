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
        function: symbol.into(),
        symbol: symbol.into(),
        offset: u64::from_str_radix(offset, 16).ok()?,
        size: Some(u64::from_str_radix(size, 16).ok()?),
        module: rest.strip_prefix('[').and_then(|r| r.split([' ', ']']).next()).map(Into::into),
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

/// The whole log through the parser: somewhere in the stall's report stands the interrupted place, with its key.
#[test]
fn the_parsed_storm_has_the_key_and_is_from_this_kernel() {
    let Some(kernel) = file("KVET_KERNELS", &format!("{RELEASE}.vmlinux")) else { return };
    let Some(path) = file("KVET_CORPUS", "console/qemu72-stale-int3-static-key-storm.log") else { return };
    let log = kvet_console::parse(&std::fs::read(path).unwrap());
    let image = Image::open(&kernel).unwrap();
    let symbolizer = Symbolizer::new(&image);
    let resolved: Vec<Resolved> = log.reports.iter().map(|r| symbolizer.report(r)).collect();
    let mut keys = Vec::new();
    for one in &resolved {
        let frames = one.frames.iter().chain(one.traces.iter().flat_map(|t| &t.frames));
        for site in frames.filter(|f| f.role == Role::AfterInt3).flat_map(|f| &f.sites) {
            if let Site::JumpLabel { key, .. } = &site.site {
                keys.extend(key.name.clone());
            }
        }
    }
    assert!(keys.iter().any(|k| k == "timers_migration_enabled"), "{keys:?}");
    let same = symbolizer.same_kernel(&log, &resolved);
    eprintln!("{}", same.why);
    assert_eq!((same.answer, same.refuted()), (Same::Yes, 0), "{}", same.why);
    assert!(same.checked > 20 && same.code.0 >= 3 && same.code.1 == 0, "{same:?}");
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

/// Logs of boots that were made for this test: Debian kernels in QEMU, without a root file system.
const NO_ROOT: [(&str, &str, &str); 5] = [
    (
        "6.1.0-56-cloud-amd64",
        "vmlinux",
        include_str!("../../testdata/symbols/6.1.0-56-cloud-amd64-no-root.log"),
    ),
    (
        "6.12.117+deb12-cloud-amd64",
        "vmlinux",
        include_str!("../../testdata/symbols/6.12.117+deb12-cloud-amd64-no-root.log"),
    ),
    (
        "7.3.4+deb13-cloud-amd64",
        "vmlinux",
        include_str!("../../testdata/symbols/7.3.4+deb13-cloud-amd64-no-root.log"),
    ),
    (
        "6.1.0-56-cloud-arm64",
        "Image",
        include_str!("../../testdata/symbols/6.1.0-56-cloud-arm64-no-root.log"),
    ),
    (
        "7.3.4+deb13-cloud-arm64",
        "Image",
        include_str!("../../testdata/symbols/7.3.4+deb13-cloud-arm64-no-root.log"),
    ),
];

/// The stripped file alone, and with its debug file: every reliable frame fits, by kallsyms' size, and has a line with
/// the latter; another kernel's file is refused.
#[test]
fn every_frame_of_real_boots_fits_its_own_kernel_and_no_other() {
    let logs: Vec<Vec<Frame>> = NO_ROOT.iter().map(|(_, _, log)| frames_of(log)).collect();
    for (i, (release, suffix, _)) in NO_ROOT.iter().enumerate() {
        let Some(stripped) = file("KVET_KERNELS", &format!("{release}.{suffix}")) else { return };
        let Some(debug) = file("KVET_KERNELS", &format!("{release}.debug")) else { return };
        let alone = Image::open(&stripped).unwrap();
        let with_debug = Image::open_with_debug(&stripped, &debug).unwrap();
        for image in [&alone, &with_debug, &Image::open(&debug).unwrap()] {
            let symbolizer = Symbolizer::new(image);
            for (k, frames) in logs.iter().enumerate() {
                let resolved = symbolizer.trace(frames, None);
                let own = frames.iter().zip(&resolved).filter(|(f, _)| f.reliable);
                if k == i {
                    for (frame, resolved) in own {
                        assert_eq!(resolved.verdict, Verdict::Fits, "{release}: {frame:?} {resolved:?}");
                        let place = resolved.place().unwrap();
                        assert_eq!(place.size, SizeMatch::Kallsyms, "{release}: {frame:?}");
                        assert!(place.returns && place.lookup.0 + 1 == place.addr.0);
                        assert_eq!(
                            place.source.is_some(),
                            !std::ptr::eq(image, &alone),
                            "{release}: {frame:?}"
                        );
                    }
                } else {
                    let refuted = own.filter(|(_, r)| r.verdict.refutes()).count();
                    assert!(refuted > 4, "{} by {release}: {refuted}", NO_ROOT[k].0);
                }
            }
        }
    }
}

/// Oopses made for this test: at a function's first call in a boot, a debugger set the register of one parameter to
/// 0. The function that trapped, and the member that DWARF and BTF must name.
const NULLS: [(&str, &str, &str, &str); 5] = [
    (
        include_str!("../../testdata/symbols/6.1.0-56-cloud-amd64-null-vfs_get_tree.log"),
        "vfs_get_tree",
        "fs_context",
        "root",
    ),
    (
        include_str!("../../testdata/symbols/6.1.0-56-cloud-amd64-null-generic_permission.log"),
        "generic_permission",
        "inode",
        "i_sb",
    ),
    (
        include_str!("../../testdata/symbols/6.1.0-56-cloud-amd64-null-path_mount.log"),
        "lock_mount",
        "path",
        "dentry",
    ),
    (
        include_str!("../../testdata/symbols/6.1.0-56-cloud-amd64-null-register_netdevice.log"),
        "register_netdevice",
        "net_device",
        "nd_net.net",
    ),
    // The lock's own address was passed: its structure is all that `_raw_spin_lock_irqsave` can know.
    (
        include_str!("../../testdata/symbols/6.1.0-56-cloud-amd64-null-wake_up_process.log"),
        "_raw_spin_lock_irqsave",
        "raw_spinlock",
        "raw_lock.val.counter",
    ),
];

#[test]
fn the_member_behind_a_null_pointer_is_named() {
    let Some(stripped) = file("KVET_KERNELS", &format!("{RELEASE}.vmlinux")) else { return };
    let Some(debug) = file("KVET_KERNELS", &format!("{RELEASE}.debug")) else { return };
    let alone = Image::open(&stripped).unwrap();
    let with_debug = Image::open_with_debug(&stripped, &debug).unwrap();
    for (log, function, structure, path) in NULLS {
        let lines: Vec<&str> = log.lines().map(body).collect();
        let after = |start: &str| lines.iter().find_map(|l| l.strip_prefix(start)).unwrap();
        let address = after("BUG: kernel NULL pointer dereference, address: ");
        let report = Report {
            ip: frame(after("RIP: 0010:")),
            code: Some(code(after("Code: "))),
            trap: Some(Trap { address: u64::from_str_radix(address, 16).ok(), ..Trap::default() }),
            frames: lines
                .iter()
                .skip_while(|l| !l.starts_with("Call Trace"))
                .filter_map(|l| frame(l))
                .collect(),
            ..super::tests::report()
        };
        for image in [&alone, &with_debug] {
            let symbolizer = Symbolizer::new(image);
            let resolved = symbolizer.report(&report);
            let ip = resolved.ip.as_ref().unwrap();
            assert_eq!((ip.place().unwrap().symbol.as_str(), &ip.verdict), (function, &Verdict::Fits));
            let code = resolved.code.as_ref().unwrap();
            assert!(
                matches!(code.compared, Compared::Same | Compared::Patched(_)),
                "{function}: {:?}",
                code.compared
            );
            let reliable = report.frames.iter().zip(&resolved.frames).filter(|(f, _)| f.reliable);
            for (frame, resolved) in reliable {
                assert_eq!(resolved.verdict, Verdict::Fits, "{function}: {frame:?} {resolved:?}");
            }
            let field = resolved.field.as_ref().unwrap();
            eprintln!("{function}: {:?} {:?}", field.register, field.guesses);
            // With DWARF the innermost inlined function may know the place by a member of a member first.
            let named = |g: &FieldGuess| g.structure == structure && g.path == path;
            assert!(field.guesses.iter().any(named), "{function}: {:?}", field.guesses);
        }
    }
}

/// Return addresses of calls all over the text, printed as the kernel prints them: each is found again by name and
/// size, and its line is that of the byte before.
#[test]
fn five_thousand_frames_come_back_to_their_call() {
    for (release, suffix) in [("6.1.0-56-cloud-amd64", "debug"), ("6.1.0-56-cloud-arm64", "debug")] {
        let Some(kernel) = file("KVET_KERNELS", &format!("{release}.{suffix}")) else { return };
        let image = Image::open(&kernel).unwrap();
        let (frames, addrs): (Vec<Frame>, Vec<VirtAddr>) = call_sites(&image, 5000).into_iter().unzip();
        let start = std::time::Instant::now();
        let symbolizer = Symbolizer::new(&image);
        let resolved: Vec<ResolvedFrame> = frames.iter().map(|f| symbolizer.frame(f, Role::Return)).collect();
        let took = start.elapsed();
        let mut ambiguous = 0;
        for ((frame, addr), resolved) in frames.iter().zip(&addrs).zip(&resolved) {
            let right = resolved.places.iter().find(|p| p.addr == *addr);
            let right = right.unwrap_or_else(|| panic!("{release}: {addr} {frame:?} {resolved:?}"));
            assert!(matches!(resolved.verdict, Verdict::Fits | Verdict::Ambiguous), "{frame:?} {resolved:?}");
            assert_eq!(right.source, image.source_line(VirtAddr(addr.0 - 1)), "{frame:?}");
            ambiguous += usize::from(resolved.verdict == Verdict::Ambiguous);
        }
        eprintln!("{release}: {} frames in {took:?}, {ambiguous} ambiguous", frames.len());
        assert!(ambiguous * 100 < frames.len(), "{ambiguous}");
    }
}

/// Return addresses, with the frames that the kernel prints for them.
fn call_sites(image: &Image, count: usize) -> Vec<(Frame, VirtAddr)> {
    let text = image.section(".text").unwrap();
    let functions: Vec<_> = (image.symbols().iter())
        .filter(|s| s.kind == SymbolKind::Function && s.size > 32 && text.contains(s.addr))
        .collect();
    let mut found = Vec::new();
    for (i, function) in functions.iter().enumerate() {
        let end = VirtAddr(function.addr.0 + function.size);
        let effects = kvet_tables::disasm::flow::effects(image, function.addr, end);
        let calls: Vec<VirtAddr> = effects
            .iter()
            .filter(|(_, e)| matches!(e, kvet_tables::disasm::flow::Effect::Call(_)))
            .filter_map(|(at, _)| {
                let (_, len) = kvet_tables::disasm::instruction_at(image, function.addr, *at)?;
                at.checked_add(len)
            })
            .collect();
        let Some(addr) = calls.get(i % calls.len().max(1)).copied() else { continue };
        // `%pB`: the symbol is that of the byte before.
        let printed = image.symbolize(VirtAddr(addr.0 - 1)).unwrap();
        let mut frame = frame(&printed).unwrap();
        frame.offset += 1;
        found.push((frame, addr));
    }
    let step = (found.len() / count).max(1);
    found.into_iter().step_by(step).take(count).collect()
}

/// Addresses behind their symbols: replacements of arm64, which stand in the text, and vectors.
#[test]
fn replacements_and_vectors_are_placed() {
    let Some(kernel) = file("KVET_KERNELS", "6.1.0-56-cloud-arm64.debug") else { return };
    let image = Image::open(&kernel).unwrap();
    let symbolizer = Symbolizer::new(&image);
    let context = kvet_tables::Context::new(&image, None);
    let table = context.arm64_alternatives();
    let plain = table.entries.iter().filter(|e| e.alt_len != 0).step_by(97);
    let mut seen = 0;
    for entry in plain {
        let placed = symbolizer.place_link(entry.alt);
        assert_eq!(placed.what, What::Replacement, "{placed:?}");
        // Where kallsyms names nothing, the kernel prints a bare address.
        let Some(printed) = image.symbolize(entry.alt) else { continue };
        let frame = frame(&printed).unwrap();
        let again = symbolizer.place_symbol(&frame.symbol, frame.offset, frame.size);
        assert!(again.contains(&placed), "{printed}: {again:?}");
        if seen == 0 {
            eprintln!("{printed}: {}", placed.sentence);
        }
        seen += 1;
    }
    assert!(seen > 100);
    let vectors = image.symbol_addr("vectors").unwrap();
    let placed = symbolizer.place_link(VirtAddr(vectors.0 + 0x204));
    assert_eq!(placed.what, What::Vector("synchronous, current EL"), "{placed:?}");
    eprintln!("{}", placed.sentence);
    let init = image.section(".init.text").unwrap().addr;
    assert_eq!(symbolizer.place_link(VirtAddr(init.0 + 64)).what, What::Init);
}

/// All that a `sysrq t` showed of a Debian kernel with a module's thread among its tasks: every reliable frame fits,
/// the module's with its own file's sizes.
#[test]
fn every_frame_of_all_tasks_fits_modules_too() {
    let Some(kernel) = file("KVET_KERNELS", "6.1.0-56-amd64.vmlinux") else { return };
    let Some(debug) = file("KVET_KERNELS", "6.1.0-56-amd64.debug") else { return };
    let image = Image::open_with_debug(&kernel, &debug).unwrap();
    let find = |wanted: &ModuleWanted<'_>| {
        let name = format!("{}.ko", wanted.name);
        std::env::var_os("KVET_MODULES").and_then(|dirs| {
            let all = std::env::split_paths(&dirs).filter(|d| d.ends_with(wanted.release.unwrap_or("")));
            let found = all.map(|d| d.join("kernel/net/core").join(&name)).find(|p| p.exists())?;
            Image::open(&found).ok()
        })
    };
    let symbolizer = Symbolizer::new(&image).with_finder(find);
    let frames: Vec<Frame> = include_str!("../../testdata/symbols/6.1.0-56-amd64-all-tasks.txt")
        .lines()
        .filter_map(frame)
        .collect();
    let start = std::time::Instant::now();
    let mut modules = 0;
    for frame in frames.iter().filter(|f| f.reliable) {
        let resolved = symbolizer.frame(frame, Role::Return);
        match (&resolved.verdict, &frame.module) {
            (Verdict::NoModule, Some(name)) => eprintln!("skipped: KVET_MODULES has no {name}"),
            (Verdict::Fits, module) => modules += usize::from(module.is_some()),
            _ => panic!("{frame:?} {resolved:?}"),
        }
    }
    eprintln!("{} frames, {modules} of modules, in {:?}", frames.len(), start.elapsed());
}
