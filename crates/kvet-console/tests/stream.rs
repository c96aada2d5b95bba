//! The parser as a stream: pieces of any size, hostile bytes, boots, quoting.
#![allow(clippy::unwrap_used)]

use kvet_console::{Ending, Event, Kind, Phase, Scanner, clean_line, lines, parse};

const OOPS: &str = "\
[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP
[    0.100000] smp: Bringing up secondary CPUs ...
[    0.200000] smp: Brought up 1 node, 4 CPUs
[    1.100000] BUG: kernel NULL pointer dereference, address: 0000000000000018
[    1.100001] #PF: supervisor read access in kernel mode
[    1.100002] Oops: 0000 [#1] SMP
[    1.100003] CPU: 3 PID: 1 Comm: swapper/0 Not tainted 6.1.0 #1
[    1.100004] RIP: 0010:widget_bind+0x2c/0x90
[    1.100005] RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001
[    1.100006] Call Trace:
[    1.100007]  <TASK>
[    1.100008]  widget_init+0x1a/0x30
[    1.100009]  </TASK>
[    1.100010] ---[ end trace 0000000000000000 ]---
[    1.200000] Kernel panic - not syncing: Fatal exception
";

#[test]
fn pieces_of_any_size_say_the_same() {
    let whole = parse(OOPS.as_bytes());
    assert_eq!((whole.reports.len(), whole.boots[0].cpus), (1, Some(4)));
    for size in [1, 2, 3, 7, 64, 100, 1000] {
        let mut scanner = Scanner::new();
        for piece in OOPS.as_bytes().chunks(size) {
            scanner.feed(piece);
        }
        assert_eq!(scanner.finish().1, whole, "pieces of {size}");
    }
}

#[test]
fn a_headline_is_told_at_once() {
    let mut scanner = Scanner::new();
    let mut events = Vec::new();
    for line in OOPS.lines().take(4) {
        events.extend(scanner.feed(format!("{line}\n").as_bytes()));
    }
    assert!(matches!(events.last(), Some(Event::Began { kind: Kind::PageFault, .. })), "{events:?}");
    for line in OOPS.lines().skip(4) {
        events.extend(scanner.feed(format!("{line}\n").as_bytes()));
    }
    let (rest, log) = scanner.finish();
    assert!(matches!(rest.last(), Some(Event::Report(r)) if r.panic.is_some()), "{rest:?}");
    assert_eq!(log.reports[0].phase, Phase::Smp);
}

#[test]
fn any_prefix_gives_the_same_report() {
    let bare = parse(OOPS.as_bytes()).reports.remove(0);
    for (prefix, keeps_time) in [
        ("<4>", true),
        ("Nov 21 03:15:42 host kernel: ", true),
        ("2026-11-21T03:15:42.123456+00:00 host kernel: ", true),
        ("2024-02-20T10:11:12.123456 ", true),
        ("[2024-02-20T10:11:12.123Z] ", true),
        ("> > ", true),
        ("\u{1b}[0;32m", true),
        ("kern  :warn  : ", true),
    ] {
        let text: String = OOPS.lines().map(|l| format!("{prefix}{l}\r\n")).collect();
        let mut log = parse(text.as_bytes());
        assert_eq!(log.reports.len(), 1, "{prefix:?}");
        let r = log.reports.remove(0);
        assert_eq!(
            (r.kind, &r.frames.len(), &r.registers, &r.ip),
            (bare.kind, &bare.frames.len(), &bare.registers, &bare.ip),
            "{prefix:?}"
        );
        assert_eq!(r.timestamp.is_some(), keeps_time);
    }
    // Without time stamps at all, with a date in their place, and with callers.
    for replace in [
        "",
        "[Tue Nov 21 03:15:42 2026] ",
        "[  +0.000012] ",
        "[    1.000000][    T1] ",
        "[    1.000000]  (3)[1:swapper/0]",
    ] {
        let text: String = OOPS.lines().map(|l| format!("{replace}{}\n", &l[15..])).collect();
        let log = parse(text.as_bytes());
        assert_eq!(log.reports.len(), 1, "{replace:?} {:?}", log.reports);
        assert_eq!(log.reports[0].frames.len(), bare.frames.len(), "{replace:?}");
    }
}

#[test]
fn a_wrapped_mail() {
    let r = parse(
        b"\
> > [ 0.287833] kernel BUG at arch/arm64/kernel/alternative.c:157!
> > [ 0.287834] Internal error: Oops - BUG: 0 [#1] PREEMPT SMP
> > [ 0.287835] CPU: 0 PID: 14 Comm: migration/0 Not tainted
> > 5.13.0-rc2-mainline #4501
> > [ 0.301182] Stopper: multi_cpu_stop+0x0/0x1a0 <-
> > stop_machine_cpuslocked+0x128/0x160
> > [ 0.315086] pc : patch_all+0x1f0/0x270
> > [ 0.327874] x29: ffffffc01020bca0 x28: 00000000000000a0 x27:
> > ffffffd7f5c11124
> > [ 0.399982] Call trace:
> > [ 0.402461] patch_all+0x1f0/0x270
> > [ 0.437199] ---[ end trace 523e13d9d60a992d ]---
>
> My reply to that.
",
    )
    .reports
    .remove(0);
    assert_eq!((r.release.as_deref(), r.build.as_deref()), (Some("5.13.0-rc2-mainline"), Some("#4501")));
    assert_eq!(
        r.work.as_deref(),
        Some("Stopper: multi_cpu_stop+0x0/0x1a0 <- stop_machine_cpuslocked+0x128/0x160")
    );
    assert_eq!((r.frames.len(), r.register("x27")), (1, Some(0xffff_ffd7_f5c1_1124)));
    assert_eq!(r.kind, Kind::Bug);
}

#[test]
fn quoted_twice_is_one_report() {
    let twice: String =
        OOPS.lines().map(|l| format!("{l}\n")).chain(OOPS.lines().map(|l| format!("> {l}\n"))).collect();
    let log = parse(twice.as_bytes());
    assert_eq!(log.reports.len(), 1);
    assert_eq!(log.reports[0].repeated, [19]);
}

#[test]
fn a_silent_reset() {
    let log = parse(
        b"\
[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP
[    5.123456] eth0: link up
SeaBIOS (version 1.16.3)
Booting the kernel.
[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP
[    3.000000] eth0: link up
",
    );
    assert_eq!((log.boots.len(), log.reports.len()), (2, 1));
    let r = &log.reports[0];
    assert_eq!((r.kind, r.boot, r.timestamp), (Kind::Reset, 0, Some(5.123_456)));
    assert_eq!(r.details, [(2, "eth0: link up".to_owned())]);
    assert_eq!(log.boots[0].ending, Ending::Reset);
    assert_eq!(
        log.boots[1].ending,
        Ending::Silence { text: "eth0: link up".into(), line: 6, timestamp: Some(3.0) }
    );
}

#[test]
fn restarts_on_purpose_are_none() {
    for end in [
        "[    5.000000] reboot: Restarting system",
        "[    5.000000] Kernel panic - not syncing: x\n[    5.100000] Rebooting in 5 seconds..",
        "[    5.0] x\n[    5.000001] kexec_core: Starting new kernel",
    ] {
        let text = format!(
            "[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP\n{end}\n[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP\n"
        );
        let log = parse(text.as_bytes());
        assert_eq!(log.boots.len(), 2, "{end}");
        assert!(log.reports.iter().all(|r| r.kind != Kind::Reset), "{end}");
    }
}

#[test]
fn a_console_that_replays_the_log() {
    let log = parse(
        b"\
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd083]
[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP
[    0.300000] printk: console [ttyAMA0] enabled
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd083]
[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP
[    0.300000] printk: console [ttyAMA0] enabled
[    1.000000] Run /init as init process
[    1.100000] tool: hello
",
    );
    assert_eq!((log.boots.len(), log.reports.len()), (1, 0));
    assert_eq!(log.boots[0].phase, Phase::UserSpace);
}

#[test]
fn dmesg_printed_into_the_log() {
    let boot = "[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP\n[    0.312345] smp: Bringing up secondary CPUs ...\n[    1.500000] kernel BUG at mm/x.c:12!\n[    1.500001] RIP: 0010:f+0x1/0x2\n[    1.500002] ---[ end trace 0 ]---\n";
    let log = parse(format!("{boot}# dmesg\n{boot}").as_bytes());
    assert_eq!((log.boots.len(), log.reports.len()), (1, 1), "{:?}", log.reports);
    assert_eq!(log.reports[0].repeated, [9]);
    // The same kernel started again is another boot: its clock is not the same.
    let again = boot.replace("0.312345", "0.322345");
    let log = parse(format!("{boot}# dmesg\n{again}").as_bytes());
    assert_eq!(log.boots.len(), 2);
    assert!(log.reports.iter().any(|r| r.kind == Kind::Reset));
}

#[test]
fn parts_of_pstore_are_put_in_order() {
    let log = parse(
        b"\
Panic#1 Part1
<4>[    1.100006] Call Trace:
<4>[    1.100007]  widget_init+0x1a/0x30
<0>[    1.200000] Kernel panic - not syncing: Fatal exception
Panic#1 Part2
<1>[    1.100000] BUG: kernel NULL pointer dereference, address: 0000000000000018
<4>[    1.100002] Oops: 0000 [#1] SMP
<4>[    1.100004] RIP: 0010:widget_bind+0x2c/0x90
",
    );
    assert_eq!(log.reports.len(), 1);
    let r = &log.reports[0];
    assert_eq!((r.kind, r.frames.len(), r.panic.is_some()), (Kind::PageFault, 1, true));
    assert_eq!((r.span.first_line, r.span.last_line), (2, 8));
}

#[test]
fn a_banner_behind_firmware_and_without_time_stamps() {
    let log = parse(b"Booting from ROM...\r\nProbing EDD (edd=off to disable)... o\x1bc\x1b[?7l\x1b[2JLinux version 6.1.0 (a@b) (gcc) #1 SMP\r\nCommand line: console=ttyS0 printk.time=0\r\nFreeing unused kernel memory: 12K\r\n");
    assert_eq!((log.boots.len(), log.reports.len()), (1, 0));
    let boot = &log.boots[0];
    assert_eq!(boot.command_line.as_deref(), Some("console=ttyS0 printk.time=0"));
    assert_eq!(boot.phase, Phase::Init);
    assert!(matches!(&boot.ending, Ending::Silence { line: 4, .. }), "{:?}", boot.ending);
}

#[test]
fn dropped_messages_are_counted() {
    let log = parse(b"[    1.000000] a\n** 23 printk messages dropped **\n** 7 printk messages dropped ** [    2.000000] Oops: 0000 [#1] SMP\n[    2.000001] RIP: 0010:f+0x1/0x2\n");
    assert_eq!(log.reports.len(), 1);
}

#[test]
fn two_cpus_with_callers_are_separate() {
    let log = parse(
        b"\
[    1.000000][   T10] BUG: kernel NULL pointer dereference, address: 0000000000000018
[    1.000000][   T20] BUG: kernel NULL pointer dereference, address: 0000000000000020
[    1.000001][   T10] RIP: 0010:first+0x2c/0x90
[    1.000001][   T20] RIP: 0010:second+0x2c/0x90
[    1.000002][   T10] Call Trace:
[    1.000002][   T20] Call Trace:
[    1.000003][   T20]  second_caller+0x1/0x2
[    1.000003][   T10]  first_caller+0x1/0x2
",
    );
    assert_eq!(log.reports.len(), 2);
    for (r, name) in log.reports.iter().zip(["first", "second"]) {
        assert_eq!((r.ip.as_ref().unwrap().function.as_str(), r.frames.len()), (name, 1));
    }
}

#[test]
fn cleaned_lines() {
    assert_eq!(clean_line(b"Nov 21 03:15:42 host kernel: [    1.000000][  T12]  f+0x1/0x2\r\n"), "f+0x1/0x2");
    let span = parse(OOPS.as_bytes()).reports[0].span;
    let got: Vec<_> = lines(OOPS.as_bytes(), span).collect();
    assert_eq!(
        got.first(),
        Some(&(4, "BUG: kernel NULL pointer dereference, address: 0000000000000018".to_owned()))
    );
    assert_eq!(got.last(), Some(&(15, "Kernel panic - not syncing: Fatal exception".to_owned())));
}

#[test]
fn memory_is_bounded_for_a_line_without_end() {
    let mut scanner = Scanner::new();
    for _ in 0..64 {
        scanner.feed(&[b'x'; 1 << 16]);
    }
    let (_, log) = scanner.finish();
    assert_eq!((log.reports.len(), log.bytes), (0, 64 << 16));
}

#[test]
fn more_reports_than_are_kept() {
    let text: String = (0..50).map(|i| format!("[{i:5}.000000] Kernel panic - not syncing: number {i}\n[{i:5}.000001] ---[ end trace 0 ]---\n")).collect();
    let mut scanner = Scanner::new().keep(10);
    scanner.feed(text.as_bytes());
    let (_, log) = scanner.finish();
    assert_eq!((log.reports.len(), log.skipped), (10, 40));
}
