//! What is no report: firmware, user space, harmless words of healthy kernels.
#![allow(clippy::unwrap_used)]

use kvet_console::parse;

fn none(log: &str) {
    let parsed = parse(log.as_bytes());
    let found: Vec<_> = parsed.reports.iter().map(|r| (r.kind, r.headline.as_str())).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn firmware() {
    none("\
NOTICE:  BL1: v2.9(release):v2.9
NOTICE:  BL1: Built : 10:00:00, Jan  1 2024
INFO:    BL1: RAM 0x4000000 - 0x4008000
WARNING: BL1: cortex_a57: CPU workaround for 1319537 was missing!
INFO:    BL31: Initializing runtime services
WARNING: RO_VPD is uninitialized or empty.
WARNING: No such image
ERROR:   Error initializing runtime service opteed_fast

U-Boot 2024.01 (Jan 01 2024 - 00:00:00 +0000)
DRAM:  2 GiB
WARNING: Caches not enabled
*** Warning - bad CRC, using default environment
BUG: driver does not release its buffer
Hit any key to stop autoboot:  0
Starting kernel ...

coreboot-4.20 Mon Jan 1 00:00:00 UTC 2024 x86_32 bootblock starting (log level: 7)...
[INFO ]  Timestamp - end of bootblock: 12345
[WARN ]  BIOS: No VBT
BUG: PCI: 00:1f.5 requests hidden 00:1f.2
WARNING: CBFS: 'fallback/dsdt.aml' not found.
SeaBIOS (version 1.16.3)
GRUB loading.
error: no such device: /.disk/info.
EDK2: PANIC if unset
!!!! X64 Exception Type - 0D(#GP - General Protection)  CPU Apic ID - 00000000 !!!!
OpenSBI v1.3
[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP
[    0.100000] arch_timer: WARNING: Invalid trigger for IRQ3, assuming level low
[    0.100000] arch_timer: WARNING: Please fix your firmware
[    0.200000] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!
[    1.000000] Run /init as init process
");
}

#[test]
fn user_space() {
    none("\
[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP
[    1.000000] Run /sbin/init as init process
[    2.000000] systemd[1]: Hostname set to <x>.
[    2.100000] systemd[1]: BUG: this is systemd's own line
[    2.200000] systemd[1]: WARNING: something about a unit
[    2.250000] traps: prog[123] general protection fault ip:7f0012345678 sp:7ffc12345678 error:0 in libc.so[7f0012300000+100000]
[    2.260000] prog[124]: segfault at 0 ip 00005566 sp 00007ffc error 4 in prog[5566+1000]
[    2.270000] prog[125]: unhandled exception: alignment fault, pc 0x1234
[    2.280000] show_signal_msg: 3 callbacks suppressed
BUG: your test did not clean up
WARNING: Could not open /dev/null: no such thing
INFO: task list follows
WARNING: this test is slow: call trace follows
INFO: rcu torture was skipped
+ echo INFO: possible problem
Nov 21 03:15:42 host sshd[812]: WARNING: possible break-in attempt
Nov 21 03:15:43 host test[813]: kernel BUG at mm/x.c:12!
2026-11-21T03:15:42.123456+00:00 host dracut: WARNING: CPU: 0 PID: 1 at /usr/lib
dracut-initqueue[300]: Warning: dracut-initqueue timeout - starting timeout scripts
panic: this is a shell function, not the kernel
Kernel panics are described in the handbook.
ok 12 Oops: handled
# selftests: oom: panic on oops
not ok 3 WARNING: at least one test failed
[ERROR] Unable to handle request: 500
Traceback (most recent call last):
  File \"x.py\", line 1, in <module>
fatal error: foo.h: No such file or directory
[    9.000000][ T3167] [U] BUG: unable to handle page fault for address: 0000000000000000
[   10.000000] tool: WARNING: argument ignored
");
}

#[test]
fn healthy_words() {
    none("\
[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP
[    0.100000] rcu: RCU CPU stall warnings timeout set to 21 seconds.
[    0.200000] watchdog: Delayed init of the lockup detector failed: -19
[    0.210000] NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
[    0.220000] BUG: arch topology borken
[    0.230000]      the CLS domain not a subset of the MC domain
[    0.300000] clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:
[    0.310000] clocksource: Watchdog remote CPU 0 read timed out
[    0.400000] INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.356 msecs
[    0.500000] INFO: lockdep is turned off.
[    0.600000] =======================================================
[    0.600001] WARNING: The mand mount option has been deprecated and
[    0.600002]          and is ignored by this kernel. Remove the mand
[    0.600003]          option from the mount to silence this warning.
[    0.600004] =======================================================
[    0.700000] XFS (sda1): WARNING: Reset corrupted AGFL on AG 0. 1 blocks leaked. Please unmount and run xfs_repair.
[    0.800000] kasan: KernelAddressSanitizer initialized
[    0.900000] KCSAN: enabled early
[    1.000000] UBSAN: run-time checks on
[    1.100000] alternatives: applying system-wide alternatives
[    1.200000] static_call: 12 sites
[    1.300000] **********************************************************
[    1.300001] **   NOTICE NOTICE NOTICE NOTICE NOTICE NOTICE NOTICE   **
[    1.400000] mce: CPU0: Thermal monitoring enabled (TM1)
[    1.500000] evlog: enable:0, panic:1, dump:2
[    1.600000] softdog: initialized. soft_noboot=0 soft_margin=60 sec soft_panic=0 (nowayout=0)
[    1.700000] workqueue: slow_fn hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND
[    1.800000] random: 7 urandom warning(s) missed due to ratelimiting
[    1.900000] Memory cgroup out of memory: Killed process 812 (eater) total-vm:123kB
[    2.000000] pstore: Using crash dump compression: deflate
[    2.100000] fuseblk: Unknown parameter '    Booting the kernel.    '
[    2.200000] EXT4-fs (sda1): mounted filesystem with ordered data mode. Opts: errors=panic
");
}

#[test]
fn one_boot_with_all_that_stands_before_it() {
    let parsed = parse(b"SeaBIOS (version 1.16.3)\nBooting from Hard Disk...\nearly console in extract_kernel\nDecompressing Linux... Parsing ELF... done.\nBooting the kernel.\n[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP\n[    0.000000] Command line: ro\n[    1.000000] reboot: Power down\n");
    assert_eq!((parsed.boots.len(), parsed.reports.len()), (1, 0));
    assert_eq!(parsed.boots[0].release.as_deref(), Some("6.1.0"));
}
