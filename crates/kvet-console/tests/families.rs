//! Each family of reports, in the words of the kernels that print it: kind, place, and the fields that only it has.
#![allow(clippy::unwrap_used)]

use kvet_console::{Arch, CpuContext, Kind, Log, Phase, Report, parse};

/// The one report of a log.
fn one(log: &str) -> Report {
    let parsed = parse(log.as_bytes());
    assert_eq!(parsed.reports.len(), 1, "{:#?}", kinds(&parsed));
    Report::clone(&parsed.reports[0])
}

fn kinds(log: &Log) -> Vec<(Kind, &str)> {
    log.reports.iter().map(|r| (r.kind, r.headline.as_str())).collect()
}

fn functions(report: &Report) -> Vec<&str> {
    report.frames.iter().map(|f| f.function.as_str()).collect()
}

#[test]
fn x86_page_fault_of_today() {
    let r = one("\
[    2.100000][    T1] BUG: kernel NULL pointer dereference, address: 0000000000000018
[    2.100001][    T1] #PF: supervisor write access in kernel mode
[    2.100002][    T1] #PF: error_code(0x0002) - not-present page
[    2.100003][    T1] PGD 102a3067 P4D 102a3067 PUD 0
[    2.100004][    T1] Oops: Oops: 0002 [#1] SMP NOPTI
[    2.100005][    T1] CPU: 3 UID: 0 PID: 1 Comm: swapper/0 Tainted: G        W           6.19.0-rc1 #7 PREEMPT(voluntary)
[    2.100006][    T1] Tainted: [W]=WARN
[    2.100007][    T1] Hardware name: QEMU Ubuntu 24.04 PC (i440FX + PIIX, 1996)
[    2.100008][    T1] RIP: 0010:widget_bind+0x2c/0x90 [widget]
[    2.100009][    T1] Code: 48 8b 7f 08 <48> 89 47 18 c3
[    2.100010][    T1] RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
[    2.100011][    T1] RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001
[    2.100012][    T1] CR2: 0000000000000018 CR3: 000000000263a000 CR4: 0000000000750ef0
[    2.100013][    T1] Call Trace:
[    2.100014][    T1]  <TASK>
[    2.100015][    T1]  ? __pfx_widget_init+0x10/0x10
[    2.100016][    T1]  widget_init.constprop.0+0x1a/0x30 [widget 0123456789abcdef] (drivers/widget.c:88)
[    2.100017][    T1]  do_one_initcall+0x58/0x230
[    2.100018][    T1]  kernel_init+0x15/0x1b0
[    2.100019][    T1]  </TASK>
[    2.100020][    T1] Modules linked in: widget(OE+) ext4 [last unloaded: gadget(E)]
[    2.100021][    T1] CR2: 0000000000000018
[    2.100022][    T1] ---[ end trace 0000000000000000 ]---
[    2.100023][    T1] RIP: 0010:widget_bind+0x2c/0x90 [widget]
[    2.100024][    T1] Kernel panic - not syncing: Fatal exception
");
    assert_eq!((r.kind, r.arch, r.cpu, r.pid), (Kind::PageFault, Some(Arch::X86_64), Some(3), Some(1)));
    assert_eq!(r.comm.as_deref(), Some("swapper/0"));
    assert_eq!(
        (r.release.as_deref(), r.build.as_deref()),
        (Some("6.19.0-rc1"), Some("#7 PREEMPT(voluntary)"))
    );
    assert_eq!(r.taint.as_deref(), Some("G        W"));
    let trap = r.trap.as_ref().unwrap();
    assert_eq!(
        (trap.address, trap.error_code, trap.counter, trap.vector),
        (Some(0x18), Some(2), Some(1), Some(14))
    );
    assert_eq!(
        (trap.fault.write, trap.fault.present, trap.fault.user),
        (Some(true), Some(false), Some(false))
    );
    assert_eq!(trap.walk, [("pgd".into(), 0x102a_3067), ("p4d".into(), 0x102a_3067), ("pud".into(), 0)]);
    assert_eq!(trap.config, ["SMP", "NOPTI"]);
    let ip = r.ip.as_ref().unwrap();
    assert_eq!(
        (ip.function.as_str(), ip.offset, ip.size, ip.module.as_deref()),
        ("widget_bind", 0x2c, Some(0x90), Some("widget"))
    );
    assert_eq!(r.register("rsp"), Some(0xffff_c900_0001_3d88));
    assert_eq!(r.register("cr2"), Some(0x18));
    let code = r.code.as_ref().unwrap();
    assert_eq!((code.marked, code.bytes[4], code.unit), (Some(4), 0x48, 1));
    assert_eq!(functions(&r), ["__pfx_widget_init", "widget_init", "do_one_initcall", "kernel_init"]);
    assert_eq!(r.frames[1].source, Some(("drivers/widget.c".into(), 88)));
    assert_eq!((r.frames[0].reliable, r.frames[1].reliable), (false, true));
    assert_eq!(r.frames[1].context, Some(CpuContext::Task));
    assert_eq!(r.modules, ["widget", "ext4"]);
    assert_eq!(r.panic.as_deref(), Some("Kernel panic - not syncing: Fatal exception"));
}

#[test]
fn x86_page_fault_of_old() {
    let r = one("\
[   12.000000] BUG: unable to handle kernel paging request at ffffc90000e21000
[   12.000001] IP: [<ffffffff8134bd13>] copy_words+0x13/0x40
[   12.000002] PGD 21a067 PUD 21b067 PMD 21c067 PTE 0
[   12.000003] Oops: 0000 [#1] SMP
[   12.000004] Modules linked in: e1000
[   12.000005] Pid: 212, comm: cat Not tainted 3.2.0-4-amd64 #1 Vendor Board
[   12.000006] RIP: 0010:[<ffffffff8134bd13>]  [<ffffffff8134bd13>] copy_words+0x13/0x40
[   12.000007] RSP: 0018:ffff88001d0f3e28  EFLAGS: 00010206
[   12.000008] Process cat (pid: 212, threadinfo ffff88001d0f2000, task ffff88001e2d8080)
[   12.000009] Stack:
[   12.000010]  ffffffff81101234 0000000000000000
[   12.000011] Call Trace:
[   12.000012]  [<ffffffff81101234>] ? seq_read+0x34/0x90
[   12.000013]  [<ffffffff810f1111>] vfs_read+0xa1/0xfb
[   12.000014] Code: 90 90 <f3> 48 a5
[   12.000015] RIP  [<ffffffff8134bd13>] copy_words+0x13/0x40
[   12.000016]  RSP <ffff88001d0f3e28>
[   12.000017] ---[ end trace 4eaa2a86a8e2da22 ]---
");
    assert_eq!((r.kind, r.pid, r.comm.as_deref()), (Kind::PageFault, Some(212), Some("cat")));
    assert_eq!(r.trap.as_ref().unwrap().address, Some(0xffff_c900_00e2_1000));
    assert_eq!(r.trap.as_ref().unwrap().fault.write, Some(false));
    assert_eq!(r.ip.as_ref().unwrap().function, "copy_words");
    assert_eq!(functions(&r), ["seq_read", "vfs_read"]);
    assert_eq!(r.release.as_deref(), Some("3.2.0-4-amd64"));
}

#[test]
fn x86_traps_by_name() {
    for (line, kind, vector) in [
        (
            "general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP",
            Kind::GeneralProtection,
            13,
        ),
        (
            "Oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#2] SMP",
            Kind::GeneralProtection,
            13,
        ),
        ("divide error: 0000 [#1] PREEMPT SMP", Kind::Oops, 0),
        ("Oops: divide error: 0000 [#1] SMP", Kind::Oops, 0),
        ("int3: 0000 [#1] SMP", Kind::Breakpoint, 3),
        ("Oops: int3: 0000 [#1] SMP", Kind::Breakpoint, 3),
        ("invalid opcode: 0000 [#1] SMP", Kind::InvalidOpcode, 6),
        ("stack segment: 0000 [#1] SMP", Kind::Oops, 12),
        ("Oops: stack segment: 0000 [#1] SMP", Kind::Oops, 12),
        ("traps: PANIC: double fault, error_code: 0x0", Kind::DoubleFault, 8),
        ("PANIC: double fault, error_code: 0x0", Kind::DoubleFault, 8),
        (
            "PANIC: early exception 0x0d IP 10:ffffffff81a01234 error 0 cr2 0xffff888000000000",
            Kind::GeneralProtection,
            13,
        ),
        ("Oops: control protection fault: 0003 [#1] SMP", Kind::Oops, 21),
    ] {
        let r = one(&format!("[    1.000000] {line}\n"));
        assert_eq!((r.kind, r.trap.as_ref().unwrap().vector), (kind, Some(vector)), "{line}");
        assert_eq!(r.arch, Some(Arch::X86_64), "{line}");
    }
    let r = one(
        "[    1.000000] general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP\n",
    );
    assert_eq!(r.trap.unwrap().address, Some(0xdead_0000_0000_0122));
}

#[test]
fn a_gpf_with_kasans_words() {
    let r = one("\
[    5.000000] general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] PREEMPT SMP KASAN
[    5.000001] KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]
[    5.000002] CPU: 0 PID: 99 Comm: t Not tainted 6.1.0 #1
[    5.000003] RIP: 0010:f+0x1/0x20
");
    assert_eq!(r.kind, Kind::GeneralProtection);
    assert!(r.details.iter().any(|d| d.1.contains("null-ptr-deref")));
}

#[test]
fn stack_guard_and_double_fault() {
    let r = one("\
[    5.000000] BUG: TASK stack guard page was hit at ffffc90000e2fff8 (stack is ffffc90000e30000..ffffc90000e33fff)
[    5.000001] Oops: stack guard page: 0000 [#1] SMP
[    5.000002] CPU: 0 PID: 99 Comm: t Not tainted 6.1.0 #1
[    5.000003] RIP: 0010:deep+0x1/0x20
");
    assert_eq!(
        (r.kind, r.trap.as_ref().unwrap().address),
        (Kind::StackOverflow, Some(0xffff_c900_00e2_fff8))
    );
    assert_eq!(r.stacks, [("task".to_owned(), 0xffff_c900_00e3_0000, 0xffff_c900_00e3_3fff)]);
    assert_eq!(r.ip.unwrap().function, "deep");
}

#[test]
fn arm64_abort() {
    let r = one("\
[    1.500000] Unable to handle kernel write to read-only memory at virtual address ffff800008123456
[    1.500001] Mem abort info:
[    1.500002]   ESR = 0x000000009600004f
[    1.500003]   EC = 0x25: DABT (current EL), IL = 32 bits
[    1.500004]   SET = 0, FnV = 0
[    1.500005]   EA = 0, S1PTW = 0
[    1.500006]   FSC = 0x0f: level 3 permission fault
[    1.500007] Data abort info:
[    1.500008]   ISV = 0, ISS = 0x0000004f, ISS2 = 0x00000000
[    1.500009]   CM = 0, WnR = 1, TnD = 0, TagAccess = 0
[    1.500010] swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000041f4b000
[    1.500011] [ffff800008123456] pgd=100000005ffff003, p4d=100000005ffff003, pud=100000005fffe003, pmd=100000005fffd003, pte=0060000040123783
[    1.500012] Internal error: Oops: 000000009600004f [#1] SMP
[    1.500013] Modules linked in:
[    1.500014] CPU: 1 PID: 1 Comm: swapper/0 Not tainted 6.1.0-rc1 #12
[    1.500015] Hardware name: linux,dummy-virt (DT)
[    1.500016] pstate: 60000005 (nZCv daif -PAN -UAO -TCO -DIT -SSBS BTYPE=--)
[    1.500017] pc : set_flag+0x18/0x30
[    1.500018] lr : flag_init+0x10/0x40
[    1.500019] sp : ffff80000800bd40
[    1.500020] x29: ffff80000800bd40 x28: 0000000000000000 x27: ffff800009f2a068
[    1.500021] x2 : 0000000000000001 x1 : ffff800008123456 x0 : 0000000000000000
[    1.500022] Call trace:
[    1.500023]  set_flag+0x18/0x30 (P)
[    1.500024]  flag_init+0x10/0x40 (L)
[    1.500025]  do_one_initcall+0x50/0x1b0
[    1.500026]  kernel_init_freeable+0x200/0x280
[    1.500027] Code: d503245f f9400000 (f9000020) d65f03c0
[    1.500028] ---[ end trace 0000000000000000 ]---
");
    assert_eq!((r.kind, r.arch), (Kind::PageFault, Some(Arch::Arm64)));
    let trap = r.trap.as_ref().unwrap();
    assert_eq!((trap.esr, trap.address), (Some(0x9600_004f), Some(0xffff_8000_0812_3456)));
    assert_eq!(
        (trap.fault.ec, trap.fault.il, trap.fault.fsc, trap.fault.level),
        (Some(0x25), Some(true), Some(0xf), Some(3))
    );
    assert_eq!(
        (trap.fault.write, trap.fault.present, trap.fault.fetch),
        (Some(true), Some(true), Some(false))
    );
    assert_eq!(trap.walk.len(), 5);
    assert_eq!(trap.name, "DABT (current EL)");
    assert_eq!(r.lr.as_ref().unwrap().function, "flag_init");
    assert_eq!(
        (r.register("x1"), r.register("sp")),
        (Some(0xffff_8000_0812_3456), Some(0xffff_8000_0800_bd40))
    );
    let code = r.code.as_ref().unwrap();
    assert_eq!((code.unit, code.marked, &code.bytes[8..12]), (4, Some(8), &[0x20, 0, 0, 0xf9][..]));
    assert_eq!(r.phase, Phase::Initcall(Some("flag_init".into())));
}

#[test]
fn arm64_overflow_and_what_follows() {
    let log = parse(
        b"\
[    0.100000] Insufficient stack space to handle exception!
[    0.100001] ESR: 0x0000000096000047 -- DABT (current EL)
[    0.100002] FAR: 0xffff80000a0bfff0
[    0.100003] Task stack:     [0xffff80000a0c0000..0xffff80000a0c4000]
[    0.100004] IRQ stack:      [0xffff800008008000..0xffff80000800c000]
[    0.100005] Overflow stack: [0xffff00007fb9a2b0..0xffff00007fb9b2b0]
[    0.100006] CPU: 0 PID: 12 Comm: t Not tainted 6.1.0 #1
[    0.100007] pc : deep+0x4/0x40
[    0.100008] lr : deep+0x20/0x40
[    0.100009] sp : ffff80000a0c0010
[    0.100010] x29: ffff80000a0c0010 x28: 0000000000000000
[    0.100011] Kernel panic - not syncing: kernel stack overflow
[    0.100012] CPU: 0 PID: 12 Comm: t Not tainted 6.1.0 #1
[    0.100013] Call trace:
[    0.100014]  panic+0x100/0x300
[    0.100015]  deep+0x4/0x40
[    0.100016] Unable to handle kernel paging request at virtual address ffff80000a0bff00
[    0.100017] Mem abort info:
[    0.100018]   ESR = 0x0000000096000007
",
    );
    assert_eq!(
        log.reports.iter().map(|r| r.kind).collect::<Vec<_>>(),
        [Kind::StackOverflow, Kind::PageFault]
    );
    let r = &log.reports[0];
    assert_eq!(r.stacks.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["task", "irq", "overflow"]);
    assert_eq!(r.trap.as_ref().unwrap().address, Some(0xffff_8000_0a0b_fff0));
    assert_eq!(r.trap.as_ref().unwrap().fault.level, Some(3));
    assert_eq!(functions(r), ["panic", "deep"]);
    assert!(r.panic.is_some());
}

#[test]
fn arm64_others() {
    let r = one(
        "[    1.000000] Internal error: Oops - BUG: 00000000f2000800 [#1] SMP\n[    1.000001] pc : f+0x4/0x8\n[    1.000002] x29: 0000000000000000 x28: 0000000000000000\n",
    );
    assert_eq!(r.kind, Kind::Bug);
    assert_eq!(r.trap.unwrap().fault.ec, Some(0x3c));
    let r = one(
        "[    1.000000] Internal error: synchronous external abort: 0000000096000210 [#1] SMP\n[    1.000001] pc : f+0x4/0x8\n",
    );
    assert_eq!(r.kind, Kind::Oops);
    let r = one(
        "[    1.000000] SError Interrupt on CPU1, code 0x00000000bf000002 -- SError\n[    1.000001] CPU: 1 PID: 1 Comm: a Not tainted 6.1.0 #1\n[    1.000002] Kernel panic - not syncing: Asynchronous SError Interrupt\n",
    );
    assert_eq!((r.kind, r.trap.unwrap().esr, r.panic.is_some()), (Kind::Oops, Some(0xbf00_0002), true));
    let r = one(
        "[    1.000000] Unexpected kernel BRK exception at EL1\n[    1.000001] Internal error: BRK handler: 00000000f2000001 [#1] SMP\n[    1.000002] pc : f+0x4/0x8\n",
    );
    assert_eq!((r.kind, r.ip.unwrap().function.as_str()), (Kind::Breakpoint, "f"));
}

#[test]
fn arm_of_32_bits() {
    let r = one("\
[    3.000000] 8<--- cut here ---
[    3.000001] Unable to handle kernel NULL pointer dereference at virtual address 00000014 when write
[    3.000002] [00000014] *pgd=60004831, *pte=00000000, *ppte=00000000
[    3.000003] Internal error: Oops: 817 [#1] SMP ARM
[    3.000004] Modules linked in:
[    3.000005] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0 #3
[    3.000006] Hardware name: Generic DT based system
[    3.000007] PC is at put_it+0x10/0x24
[    3.000008] LR is at probe_it+0x44/0x80
[    3.000009] pc : [<c0101010>]    lr : [<c0202044>]    psr: 60000013
[    3.000010] sp : d0815e30  ip : 00000000  fp : 00000000
[    3.000011] r10: c1a03b2c  r9 : c1a00000  r8 : 00000000
[    3.000012] Flags: nZCv  IRQs on  FIQs on  Mode SVC_32  ISA ARM  Segment none
[    3.000013] Control: 10c5387d  Table: 6020406a  DAC: 00000051
[    3.000014] Process swapper/0 (pid: 1, stack limit = 0x(ptrval))
[    3.000015] Stack: (0xd0815e30 to 0xd0816000)
[    3.000016] 5e20:                                     00000000 c0202044 00000000 d0815e54
[    3.000017]  put_it from probe_it+0x44/0x80
[    3.000018]  probe_it from do_one_initcall+0x58/0x200
[    3.000019] Code: e92d4010 e1a04000 (e5840014) e8bd8010
[    3.000020] ---[ end trace 0000000000000000 ]---
");
    assert_eq!((r.kind, r.arch), (Kind::PageFault, Some(Arch::Arm)));
    assert_eq!(functions(&r), ["put_it", "probe_it", "do_one_initcall"]);
    assert_eq!(r.ip.as_ref().unwrap().function, "put_it");
    assert_eq!((r.register("pc"), r.register("r10")), (Some(0xc010_1010), Some(0xc1a0_3b2c)));
    assert_eq!(r.trap.as_ref().unwrap().walk[0], ("pgd".to_owned(), 0x6000_4831));
    assert_eq!(r.code.unwrap().marked, Some(8));
}

#[test]
fn riscv() {
    let r = one("\
[    3.000000] Unable to handle kernel paging request at virtual address ff60000100000000
[    3.000001] Oops [#1]
[    3.000002] Modules linked in:
[    3.000003] CPU: 2 PID: 44 Comm: kworker/2:1 Not tainted 6.1.0 #9
[    3.000004] Hardware name: riscv-virtio,qemu (DT)
[    3.000005] epc : load_it+0x1a/0x60
[    3.000006]  ra : work_it+0x22/0x40
[    3.000007] epc : ffffffff80004a2a ra : ffffffff80004b32 sp : ff20000000c13d50
[    3.000008]  gp : ffffffff81523a10 tp : ff60000002f38000 t0 : 0000000000000000
[    3.000009] status: 0000000200000120 badaddr: ff60000100000000 cause: 000000000000000d
[    3.000010] [<ffffffff80004a2a>] load_it+0x1a/0x60
[    3.000011] [<ffffffff80004b32>] work_it+0x22/0x40
[    3.000012] Code: 8522 60e2 (611c) 8082
[    3.000013] ---[ end trace 0000000000000000 ]---
");
    assert_eq!(
        (r.kind, r.arch, r.ip.as_ref().unwrap().function.as_str()),
        (Kind::PageFault, Some(Arch::Riscv), "load_it")
    );
    assert_eq!(r.trap.as_ref().unwrap().fault.write, Some(false));
    assert_eq!(r.register("badaddr"), Some(0xff60_0001_0000_0000));
    assert_eq!(functions(&r), ["load_it", "work_it"]);
    let code = r.code.unwrap();
    assert_eq!((code.unit, code.marked), (2, Some(4)));
}

#[test]
fn powerpc() {
    let r = one("\
[    3.000000] BUG: Kernel NULL pointer dereference on write at 0x00000008
[    3.000001] Faulting instruction address: 0xc000000000a1b2c4
[    3.000002] Oops: Kernel access of bad area, sig: 11 [#1]
[    3.000003] LE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA pSeries
[    3.000004] Modules linked in: xfs
[    3.000005] CPU: 5 PID: 77 Comm: init Not tainted 6.1.0 #2
[    3.000006] NIP:  c000000000a1b2c4 LR: c000000000a1b290 CTR: 0000000000000000
[    3.000007] REGS: c000000004a3b8c0 TRAP: 0300   Not tainted  (6.1.0)
[    3.000008] MSR:  8000000000009033 <SF,EE,ME,IR,DR,RI,LE>  CR: 24000224  XER: 00000000
[    3.000009] CFAR: c000000000a1b2a0 DAR: 0000000000000008 DSISR: 42000000 IRQMASK: 0
[    3.000010] GPR00: c000000000a1b290 c000000004a3bb60 c000000001f3e100 0000000000000000
[    3.000011] NIP [c000000000a1b2c4] link_it+0x54/0xd0
[    3.000012] LR [c000000000a1b290] link_it+0x20/0xd0
[    3.000013] Call Trace:
[    3.000014] [c000000004a3bb60] [c000000004a3bba0] 0xc000000004a3bba0 (unreliable)
[    3.000015] [c000000004a3bba0] [c000000000a1c000] open_it+0x80/0x1a0
[    3.000016] Instruction dump:
[    3.000017] 7c0802a6 f8010010 <f9230008> 4e800020
[    3.000018] ---[ end trace 0000000000000000 ]---
");
    assert_eq!((r.kind, r.arch), (Kind::PageFault, Some(Arch::Powerpc)));
    assert_eq!(r.ip.as_ref().unwrap().function, "link_it");
    assert_eq!(r.lr.as_ref().unwrap().offset, 0x20);
    assert_eq!(
        (r.trap.as_ref().unwrap().address, r.trap.as_ref().unwrap().fault.write),
        (Some(8), Some(true))
    );
    assert_eq!((r.register("r1"), r.register("dar")), (Some(0xc000_0000_04a3_bb60), Some(8)));
    assert_eq!(functions(&r).last(), Some(&"open_it"));
}

#[test]
fn s390_mips_loongarch() {
    let r = one("\
[    3.000000] Unable to handle kernel pointer dereference in virtual kernel address space
[    3.000001] Failing address: 0000000000000000 TEID: 0000000000000483
[    3.000002] Fault in home space mode while using kernel ASCE.
[    3.000003] AS:0000000001a3c007 R3:000000007ffd0007 S:000000007ffd6000 P:000000000000003d
[    3.000004] Oops: 0004 ilc:2 [#1] SMP
[    3.000005] CPU: 1 PID: 5 Comm: k Not tainted 6.1.0 #2
[    3.000006] Krnl PSW : 0704c00180000000 00000000009b4ac0 (note_it+0x40/0x90)
[    3.000007]            R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3
[    3.000008] Krnl GPRS: 0000000000000000 0000000000000001 0000000000000002 0000000000000003
[    3.000009] Call Trace:
[    3.000010]  [<00000000009b4ac0>] note_it+0x40/0x90
[    3.000011] ([<00000000009b4ab0>] note_it+0x30/0x90)
[    3.000012] Last Breaking-Event-Address:
[    3.000013]  [<00000000009b4a00>] other_it+0x0/0x10
[    3.000014] Kernel panic - not syncing: Fatal exception: panic_on_oops
");
    assert_eq!(
        (r.kind, r.arch, r.ip.as_ref().unwrap().function.as_str()),
        (Kind::PageFault, Some(Arch::S390), "note_it")
    );
    assert!(!r.frames[1].reliable);
    assert_eq!(r.register("r3"), Some(3));

    let r = one("\
[    3.000000] CPU 1 Unable to handle kernel paging request at virtual address 00000008, epc == 80412345, ra == 80412300
[    3.000001] Oops[#1]:
[    3.000002] CPU: 1 PID: 5 Comm: k Not tainted 6.1.0 #2
[    3.000003] $ 0   : 00000000 00000001 00000002 00000003
[    3.000004] epc   : 80412345 poke_it+0x10/0x20
[    3.000005] ra    : 80412300 call_it+0x30/0x40
[    3.000006] Status: 11009903\tKERNEL EXL IE
[    3.000007] Cause : 0080000c (ExcCode 03)
[    3.000008] BadVA : 00000008
[    3.000009] Process k (pid: 5, threadinfo=(ptrval), task=(ptrval), tls=00000000)
[    3.000010] Call Trace:
[    3.000011] [<80412345>] poke_it+0x10/0x20
[    3.000012] [<80412300>] call_it+0x30/0x40
[    3.000013] Code: 00000000  ac430008 <ac440008> 03e00008
[    3.000014] ---[ end trace 0000000000000000 ]---
");
    assert_eq!(
        (r.kind, r.arch, r.ip.as_ref().unwrap().function.as_str()),
        (Kind::PageFault, Some(Arch::Mips), "poke_it")
    );
    assert_eq!((r.cpu, r.register("$3"), r.register("badva")), (Some(1), Some(3), Some(8)));

    let r = one("\
[    3.000000] CPU 0 Unable to handle kernel paging request at virtual address 0000000000000010, era == 9000000000221f3c, ra == 9000000000221f00
[    3.000001] Oops[#1]:
[    3.000002] CPU: 0 PID: 5 Comm: k Not tainted 6.1.0 #2
[    3.000003] pc 9000000000221f3c ra 9000000000221f00 tp 9000000100150000 sp 9000000100153d10
[    3.000004] a0 0000000000000000 a1 0000000000000001 a2 0000000000000002 a3 0000000000000003
[    3.000005]    ra: 9000000000221f00 call_it+0x30/0x40
[    3.000006]   ERA: 9000000000221f3c poke_it+0x1c/0x20
[    3.000007]  CRMD: 000000b0 (PLV0 -IE -DA +PG DACF=CC DACM=CC -WE)
[    3.000008]  BADV: 0000000000000010
[    3.000009] Call Trace:
[    3.000010] [<9000000000221f3c>] poke_it+0x1c/0x20
[    3.000011] ---[ end trace 0000000000000000 ]---
");
    assert_eq!(
        (r.kind, r.arch, r.ip.as_ref().unwrap().function.as_str()),
        (Kind::PageFault, Some(Arch::Loongarch), "poke_it")
    );
    assert_eq!((r.lr.as_ref().unwrap().function.as_str(), r.register("a2")), ("call_it", Some(2)));
}

#[test]
fn bug_and_warning() {
    let r = one("\
[    9.000000] ------------[ cut here ]------------
[    9.000001] kernel BUG at mm/widget.c:123!
[    9.000002] invalid opcode: 0000 [#1] SMP
[    9.000003] CPU: 0 PID: 9 Comm: t Not tainted 6.1.0 #1
[    9.000004] RIP: 0010:widget_free+0x20/0x40
[    9.000005] ---[ end trace 0000000000000000 ]---
");
    assert_eq!((r.kind, r.source.clone()), (Kind::Bug, Some(("mm/widget.c".into(), 123))));
    assert_eq!((r.span.first_line, r.span.last_line), (1, 6));
    assert_eq!(r.trap.unwrap().name, "invalid opcode");

    for (text, cpu) in [
        ("WARNING: at fs/widget.c:77 widget_put+0x20/0x40()", None),
        ("WARNING: CPU: 2 PID: 9 at fs/widget.c:77 widget_put+0x20/0x40", Some(2)),
        ("WARNING: fs/widget.c:77 at widget_put+0x20/0x40, CPU#2: kworker/2:1/9", Some(2)),
    ] {
        let r = one(&format!("[    9.000000] ------------[ cut here ]------------\n[    9.000001] {text}\n"));
        assert_eq!((r.kind, r.cpu), (Kind::Warning, cpu), "{text}");
        assert_eq!(r.source, Some(("fs/widget.c".into(), 77)), "{text}");
        assert_eq!(r.named.unwrap().function, "widget_put", "{text}");
    }
    let r = one(
        "[    9.0] x\n[    9.000001] WARNING: [a[i] > b] fs/widget.c:77 at widget_put+0x20/0x40, CPU#2: kworker/2:1/9\n",
    );
    assert_eq!((r.cpu, r.source), (Some(2), Some(("fs/widget.c".into(), 77))));
    let r = one("[    9.000001] BUG: failure at mm/widget.c:12/widget_map()!\n");
    assert_eq!((r.kind, r.named.unwrap().function.as_str()), (Kind::Bug, "widget_map"));
    let r = one("\
[    9.000000] ------------[ cut here ]------------
[    9.000001] widget already registered
[    9.000002] WARNING: CPU: 2 PID: 9 at fs/widget.c:77 widget_put+0x20/0x40
");
    assert!(r.details.iter().any(|d| d.1 == "widget already registered"), "{:?}", r.details);
    let r = one("\
[    9.000000] ------------[ cut here ]------------
[    9.000001] refcount_t: underflow; use-after-free.
[    9.000002] WARNING: CPU: 2 PID: 9 at lib/refcount.c:28 refcount_warn_saturate+0x20/0x40
[    9.000003] RIP: 0010:refcount_warn_saturate+0x20/0x40
");
    assert_eq!((r.kind, r.headline.as_str()), (Kind::Refcount, "refcount_t: underflow; use-after-free."));
    assert_eq!(r.named.unwrap().function, "refcount_warn_saturate");
    let r = one("\
[    9.000000] list_del corruption. prev->next should be ffff888001234560, but was dead000000000100.
[    9.000001] ------------[ cut here ]------------
[    9.000002] kernel BUG at lib/list_debug.c:62!
[    9.000003] Oops: invalid opcode: 0000 [#1] SMP
[    9.000004] RIP: 0010:__list_del_entry_valid_or_report+0x20/0x40
");
    assert_eq!((r.kind, r.source), (Kind::Bug, Some(("lib/list_debug.c".into(), 62))));
    assert!(r.headline.starts_with("list_del corruption"));
}

#[test]
fn kasan() {
    let r = one("\
[    9.000000] ==================================================================
[    9.000001] BUG: KASAN: slab-use-after-free in widget_get+0x40/0x90
[    9.000002] Write of size 8 at addr ffff888012345678 by task kworker/1:2/77
[    9.000003]
[    9.000004] CPU: 1 UID: 0 PID: 77 Comm: kworker/1:2 Not tainted 6.12.0 #1
[    9.000005] Call Trace:
[    9.000006]  <TASK>
[    9.000007]  kasan_report+0xd8/0x110
[    9.000008]  widget_get+0x40/0x90
[    9.000009]  </TASK>
[    9.000010]
[    9.000011] Allocated by task 12:
[    9.000012]  kasan_save_stack+0x30/0x50
[    9.000013]  widget_new+0x20/0x40
[    9.000014]
[    9.000015] Freed by task 13:
[    9.000016]  kfree+0x90/0x300
[    9.000017]  widget_put+0x20/0x40
[    9.000018]
[    9.000019] The buggy address belongs to the object at ffff888012345640
[    9.000020]  which belongs to the cache kmalloc-128 of size 128
[    9.000021] The buggy address is located 56 bytes inside of
[    9.000022]  freed 128-byte region [ffff888012345640, ffff8880123456c0)
[    9.000023] Memory state around the buggy address:
[    9.000024]  ffff888012345500: fc fc fc fc fc fc fc fc fc fc fc fc fc fc fc fc
[    9.000025] >ffff888012345600: fc fc fc fc fc fc fc fc fa fb fb fb fb fb fb fb
[    9.000026]                                                                 ^
[    9.000027] ==================================================================
");
    assert_eq!((r.kind, r.named.as_ref().unwrap().function.as_str()), (Kind::Kasan, "widget_get"));
    assert_eq!((r.pid, r.comm.as_deref()), (Some(77), Some("kworker/1:2")));
    let o = r.object.as_ref().unwrap();
    assert_eq!(
        (o.address, o.cache.as_deref(), o.size, o.access),
        (Some(0xffff_8880_1234_5640), Some("kmalloc-128"), Some(128), Some((8, true)))
    );
    assert_eq!(functions(&r), ["kasan_report", "widget_get"]);
    assert_eq!(
        r.traces.iter().map(|t| (t.title.as_str(), t.pid)).collect::<Vec<_>>(),
        [("Allocated by task 12:", Some(12)), ("Freed by task 13:", Some(13))]
    );
    assert_eq!(r.traces[1].frames[1].function, "widget_put");
    assert_eq!(r.span.last_line, 28);
}

#[test]
fn other_sanitizers() {
    let r = one("\
[    9.000000] BUG: KMSAN: uninit-value in widget_hash+0x40/0x90
[    9.000001]  widget_hash+0x40/0x90
[    9.000002]  widget_find+0x20/0x80
[    9.000003]
[    9.000004] Uninit was created at:
[    9.000005]  slab_alloc+0x20/0x80
[    9.000006]
[    9.000007] CPU: 1 PID: 77 Comm: t Not tainted 6.12.0 #1
");
    assert_eq!((r.kind, functions(&r), r.pid), (Kind::Kmsan, vec!["widget_hash", "widget_find"], Some(77)));
    assert_eq!(r.traces[0].title, "Uninit was created at:");

    let r = one("\
[    9.000000] BUG: KCSAN: data-race in widget_set / widget_get
[    9.000001]
[    9.000002] write to 0xffff888012345678 of 4 bytes by task 12 on cpu 0:
[    9.000003]  widget_set+0x20/0x80
[    9.000004]
[    9.000005] read to 0xffff888012345678 of 4 bytes by task 13 on cpu 1:
[    9.000006]  widget_get+0x20/0x80
[    9.000007]
[    9.000008] value changed: 0x00000001 -> 0x00000002
[    9.000009]
[    9.000010] Reported by Kernel Concurrency Sanitizer on:
[    9.000011] CPU: 1 PID: 13 Comm: t Not tainted 6.12.0 #1
");
    assert_eq!((r.kind, r.named.as_ref().unwrap().function.as_str()), (Kind::Kcsan, "widget_set"));
    assert_eq!((functions(&r), r.traces.len()), (vec!["widget_set"], 1));
    assert_eq!((r.traces[0].pid, r.traces[0].cpu), (Some(13), Some(1)));
    assert_eq!(r.object.as_ref().unwrap().access, Some((4, true)));

    let r = one("\
[    9.000000] BUG: KFENCE: out-of-bounds read in widget_peek+0x20/0x80
[    9.000001]
[    9.000002] Out-of-bounds read at 0xffff888012345fff (1B left of kfence-#12):
[    9.000003]  widget_peek+0x20/0x80
[    9.000004]
[    9.000005] kfence-#12: 0xffff888012346000-0xffff88801234601f, size=32, cache=kmalloc-32
[    9.000006]
[    9.000007] allocated by task 50 on cpu 0 at 8.000000s:
[    9.000008]  widget_new+0x20/0x80
[    9.000009] CPU: 1 PID: 13 Comm: t Not tainted 6.12.0 #1
");
    let o = r.object.as_ref().unwrap();
    assert_eq!((r.kind, o.size, o.cache.as_deref()), (Kind::Kfence, Some(32), Some("kmalloc-32")));
    assert_eq!((functions(&r), r.traces.len()), (vec!["widget_peek"], 1));

    let r = one("\
[    9.000000] UBSAN: shift-out-of-bounds in fs/widget.c:50:12
[    9.000001] shift exponent 40 is too large for 32-bit type 'int'
[    9.000002] CPU: 1 PID: 13 Comm: t Not tainted 6.12.0 #1
[    9.000003] Call Trace:
[    9.000004]  ubsan_epilogue+0x5/0x40
");
    assert_eq!((r.kind, r.source.clone()), (Kind::Ubsan, Some(("fs/widget.c".into(), 50))));
    assert_eq!(r.details[0].1, "shift exponent 40 is too large for 32-bit type 'int'");
}

#[test]
fn lockdep() {
    let r = one("\
[    9.000000] ======================================================
[    9.000001] WARNING: possible circular locking dependency detected
[    9.000002] 6.12.0-rc1 #5 Not tainted
[    9.000003] ------------------------------------------------------
[    9.000004] tool/123 is trying to acquire lock:
[    9.000005] ffff888012345678 (&a->lock){+.+.}-{3:3}, at: take_a+0x20/0x40
[    9.000006]
[    9.000007] but task is already holding lock:
[    9.000008] ffff888012345688 (&b->lock){+.+.}-{3:3}, at: take_b+0x20/0x40
[    9.000009]
[    9.000010] the existing dependency chain (in reverse order) is:
[    9.000011]
[    9.000012] -> #1 (&b->lock){+.+.}-{3:3}:
[    9.000013]        __mutex_lock+0x90/0xd00
[    9.000014]        ba+0x20/0x40
[    9.000015]
[    9.000016] -> #0 (&a->lock){+.+.}-{3:3}:
[    9.000017]        __lock_acquire+0x1400/0x2200
[    9.000018]        ab+0x20/0x40
[    9.000019]
[    9.000020] other info that might help us debug this:
[    9.000021]
[    9.000022]  Possible unsafe locking scenario:
[    9.000023]        CPU0                    CPU1
[    9.000024]        ----                    ----
[    9.000025]   lock(&b->lock);
[    9.000026]  *** DEADLOCK ***
[    9.000027] 1 lock held by tool/123:
[    9.000028]  #0: ffff888012345688 (&b->lock){+.+.}-{3:3}, at: take_b+0x20/0x40
[    9.000029]
[    9.000030] stack backtrace:
[    9.000031] CPU: 1 UID: 0 PID: 123 Comm: tool Not tainted 6.12.0-rc1 #5
[    9.000032] Call Trace:
[    9.000033]  print_circular_bug+0x200/0x280
[    9.000034]  take_a+0x20/0x40
");
    assert_eq!((r.kind, r.pid, r.release.as_deref()), (Kind::Lockdep, Some(123), Some("6.12.0-rc1")));
    assert_eq!(r.named.as_ref().unwrap().function, "take_a");
    assert_eq!(functions(&r), ["print_circular_bug", "take_a"]);
    assert_eq!(r.locks.len(), 1);
    assert_eq!(r.traces.len(), 2);

    for words in [
        "WARNING: possible recursive locking detected",
        "WARNING: inconsistent lock state",
        "WARNING: suspicious RCU usage",
        "WARNING: bad unlock balance detected!",
        "WARNING: held lock freed!",
        "WARNING: Nested lock was not taken",
        "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
        "WARNING: possible irq lock inversion dependency detected",
        "WARNING: lock held when returning to user space!",
        "WARNING: tool/123 still has locks held!",
        "[ INFO: possible circular locking dependency detected ]",
        "[ INFO: suspicious RCU usage. ]",
        "[ BUG: bad unlock balance detected! ]",
        "[ BUG: Invalid wait context ]",
        "[ BUG: held lock freed! ]",
        "INFO: trying to register non-static key.",
        "BUG: MAX_LOCKDEP_CHAINS too low!",
    ] {
        assert_eq!(one(&format!("[    9.000000] {words}\n")).kind, Kind::Lockdep, "{words}");
    }
}

#[test]
fn watchdogs() {
    let r = one("\
[   29.000000] watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [kworker/3:1:45]
[   29.000001] Modules linked in:
[   29.000002] CPU: 3 PID: 45 Comm: kworker/3:1 Not tainted 6.1.0 #1
[   29.000003] Workqueue: events spin_fn
[   29.000004] RIP: 0010:spin_here+0x20/0x40
[   29.000005] Call Trace:
[   29.000006]  spin_fn+0x20/0x40
");
    assert_eq!(
        (r.kind, r.cpu, r.pid, r.stalled_cpus.as_slice()),
        (Kind::SoftLockup, Some(3), Some(45), &[3][..])
    );
    assert_eq!(
        (r.work.as_deref(), r.ip.unwrap().function.as_str()),
        (Some("Workqueue: events spin_fn"), "spin_here")
    );
    for words in [
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 2",
        "watchdog: Watchdog detected hard LOCKUP on cpu 2",
        "watchdog: CPU2: Watchdog detected hard LOCKUP on cpu 2",
        "Watchdog detected hard LOCKUP on cpu 2",
        "watchdog: CPU 2 self-detected hard LOCKUP @ f+0x1/0x2",
    ] {
        let r = one(&format!(
            "[   29.000000] {words}\n[   29.000001] CPU: 2 PID: 45 Comm: a Not tainted 6.1.0 #1\n"
        ));
        assert_eq!((r.kind, r.stalled_cpus.as_slice()), (Kind::HardLockup, &[2][..]), "{words}");
    }
    let r = one("\
[  243.000000] INFO: task tool:123 blocked for more than 120 seconds.
[  243.000001]       Not tainted 6.1.0 #1
[  243.000002] \"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.
[  243.000003] task:tool            state:D stack:0     pid:123   ppid:1      flags:0x00000000
[  243.000004] Call Trace:
[  243.000005]  <TASK>
[  243.000006]  __schedule+0x300/0xa00
[  243.000007]  wait_here+0x20/0x40
[  243.000008]  </TASK>
[  243.000009] Kernel panic - not syncing: hung_task: blocked tasks
");
    assert_eq!(
        (r.kind, r.pid, r.comm.as_deref(), r.release.as_deref()),
        (Kind::HungTask, Some(123), Some("tool"), Some("6.1.0"))
    );
    assert_eq!(functions(&r), ["__schedule", "wait_here"]);
    assert!(r.panic.is_some());
}

#[test]
fn other_words_of_oopses() {
    for (line, kind) in [
        ("swapper(1): Oops [#1]", Kind::Oops),
        ("Oops: sig: 11 [#1]", Kind::Oops),
        ("Kernel bug detected[#1]:", Kind::Bug),
        ("specification exception: 0006 ilc:3 [#1] SMP", Kind::Oops),
        ("Kernel ale access[#1]:", Kind::Oops),
        ("some new trap: 0003 [#1] SMP", Kind::Oops),
        ("Internal error: UBSAN: integer subtraction overflow: 00000000f2005515 [#1] SMP", Kind::Ubsan),
        ("Internal error: Oops - CFI: 00000000f2008228 [#1] SMP", Kind::Oops),
        ("Kernel BUG [#1]", Kind::Bug),
        ("Oops - illegal instruction [#1]", Kind::InvalidOpcode),
        ("Bad mode in Error handler detected on CPU0, code 0xbf000000 -- SError", Kind::Oops),
        (
            "csd: Detected non-responsive CSD lock (#1) on CPU#0, waiting 5000000000 ns for CPU#01 f+0x0/0x10(0x0).",
            Kind::HardLockup,
        ),
    ] {
        assert_eq!(one(&format!("[    1.000000] {line}\n")).kind, kind, "{line}");
    }
    let r = one(
        "[    1.000000] UBSAN: array index out of bounds at f+0x1/0x2\n[    1.000001] Oops: invalid opcode: 0000 [#1] SMP\n[    1.000002] RIP: 0010:f+0x1/0x2\n",
    );
    assert_eq!((r.kind, r.named.unwrap().function.as_str(), r.trap.is_some()), (Kind::Ubsan, "f", true));
    let r = one(
        "[    1.000000] Unhandled fault: page domain fault (0x81b) at 0x00001044\n[    1.000001] pgd = 74561366\n[    1.000002] [00001044] *pgd=8f35a835\n[    1.000003] Internal error: : 81b [#1] SMP ARM\n",
    );
    assert_eq!((r.kind, r.arch, r.trap.unwrap().counter), (Kind::PageFault, Some(Arch::Arm), Some(1)));
}

#[test]
fn a_second_line_of_a_hung_task() {
    let r = one(
        "[  243.000000] INFO: task tool:123 blocked in I/O wait for more than 120 seconds.\n[  243.000001] INFO: task tool:123 is blocked on a mutex likely owned by task other:124.\n[  243.000002] task:other           state:D stack:0     pid:124   ppid:1      flags:0x00000000\n",
    );
    assert_eq!((r.kind, r.pid, r.details.len()), (Kind::HungTask, Some(123), 1));
}

#[test]
fn rcu_stalls() {
    let r = one("\
[   60.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   60.000001] rcu: \t1-...0: (1 GPs behind) idle=2f44/1/0x4000000000000000 softirq=559/559 fqs=4
[   60.000002] rcu: \t(detected by 0, t=5252 jiffies, g=45, q=5 ncpus=2)
[   60.000003] Sending NMI from CPU 0 to CPUs 1:
[   60.000004] NMI backtrace for cpu 1
[   60.000005] CPU: 1 PID: 77 Comm: busy Not tainted 6.1.0 #1
[   60.000006] RIP: 0010:loop_here+0x20/0x40
[   60.000007] Call Trace:
[   60.000008]  <TASK>
[   60.000009]  loop_outer+0x20/0x40
[   60.000010]  </TASK>
[   60.000011] rcu: rcu_preempt kthread starved for 5237 jiffies! g45 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=1
[   60.000012] rcu: RCU grace-period kthread stack dump:
[   60.000013] task:rcu_preempt     state:R  running task     stack:0     pid:15    ppid:2      flags:0x00004000
[   60.000014] Call Trace:
[   60.000015]  __schedule+0x34d/0xa00
");
    assert_eq!((r.kind, r.stalled_cpus.as_slice(), r.cpu), (Kind::RcuStall, &[1][..], Some(0)));
    assert_eq!((r.ip.as_ref().unwrap().function.as_str(), functions(&r)), ("loop_here", vec!["loop_outer"]));
    assert!(r.traces.iter().any(|t| t.pid == Some(15)));
    for words in [
        "INFO: rcu_sched self-detected stall on CPU",
        "INFO: rcu_sched self-detected stall on CPU { 1} (t=6000 jiffies g=1 c=0 q=9)",
        "rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-.... } 21 jiffies s: 57 root: 0x2/.",
        "INFO: rcu_tasks detected stalls on tasks:",
        "rcu: rcu_sched kthread starved for 5237 jiffies! g45 f0x0",
    ] {
        assert_eq!(one(&format!("[   60.000000] {words}\n")).kind, Kind::RcuStall, "{words}");
    }
}

#[test]
fn a_stall_answered_by_another_caller() {
    let r = one("\
[   60.000000][    C0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   60.000001][    C0] rcu: \t1-...!: (1 GPs behind) idle=2f44/1/0x4000000000000000 softirq=559/559 fqs=4
[   60.000002][    C0] Sending NMI from CPU 0 to CPUs 1:
[   60.000003][    C1] NMI backtrace for cpu 1
[   60.000004][    C1] RIP: 0010:loop_here+0x20/0x40
[   60.000005][  T900] audit: unrelated
[   60.000006][    C1] Call Trace:
[   60.000007][    C1]  loop_outer+0x20/0x40
");
    assert_eq!((r.kind, r.ip.unwrap().function.as_str()), (Kind::RcuStall, "loop_here"));
}

#[test]
fn sleeping_in_atomic() {
    let r = one("\
[    9.000000] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580
[    9.000001] in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 123, name: tool
[    9.000002] preempt_count: 1, expected: 0
[    9.000003] CPU: 1 PID: 123 Comm: tool Not tainted 6.1.0 #1
[    9.000004] Call Trace:
[    9.000005]  __might_resched+0x170/0x1b0
");
    assert_eq!(
        (r.kind, r.pid, r.source.clone()),
        (Kind::SleepingInAtomic, Some(123), Some(("kernel/locking/mutex.c".into(), 580)))
    );
    let r = one("[    9.000000] BUG: scheduling while atomic: kworker/0:1/123/0x00000002\n");
    assert_eq!((r.kind, r.pid, r.comm.as_deref()), (Kind::SleepingInAtomic, Some(123), Some("kworker/0:1")));
}

#[test]
fn panics() {
    for (words, kind) in [
        ("VFS: Unable to mount root fs on unknown-block(0,0)", Kind::Rootfs),
        ("No working init found.  Try passing init= option to kernel.", Kind::Rootfs),
        ("Attempted to kill init! exitcode=0x00000009", Kind::Panic),
        ("System is deadlocked on memory", Kind::OutOfMemory),
        ("Out of memory: compulsory panic_on_oom is enabled", Kind::OutOfMemory),
        ("IO-APIC + timer doesn't work!", Kind::Panic),
        ("stack-protector: Kernel stack is corrupted in: f+0x1/0x2", Kind::Panic),
    ] {
        let r = one(&format!(
            "[    1.000000] Kernel panic - not syncing: {words}\n[    1.000001] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0 #1\n[    1.000002] Call Trace:\n[    1.000003]  panic+0x118/0x2f4\n[    1.000004] ---[ end Kernel panic - not syncing: {words} ]---\n"
        ));
        assert_eq!((r.kind, functions(&r)), (kind, vec!["panic"]), "{words}");
    }
    let r = one("\
[    1.000000] VFS: Cannot open root device \"sda1\" or unknown-block(0,0): error -6
[    1.000001] Please append a correct \"root=\" boot option; here are the available partitions:
[    1.000002] 0100            4096 ram0
[    1.000003]  (driver?)
[    1.000004] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
");
    assert_eq!((r.kind, r.details.len()), (Kind::Rootfs, 4));
}

#[test]
fn slab_and_leaks() {
    let r = one("\
[    9.000000] =============================================================================
[    9.000001] BUG kmalloc-64 (Tainted: G    B            ): Right Redzone overwritten
[    9.000002] -----------------------------------------------------------------------------
[    9.000003]
[    9.000004] 0xffff888012345678-0xffff88801234567f @offset=1656. First byte 0x0 instead of 0xcc
[    9.000005] Allocated in widget_new+0x20/0x40 age=12 cpu=1 pid=99
[    9.000006]  kmalloc_trace+0x20/0x40
[    9.000007]  widget_new+0x20/0x40
[    9.000008] Slab 0xffffea0000123400 objects=32 used=30 fp=0xffff888012345000 flags=0x200
[    9.000009] Object 0xffff888012345640 @offset=1600 fp=0x0000000000000000
[    9.000010] CPU: 1 PID: 99 Comm: tool Tainted: G    B   6.1.0 #1
[    9.000011] Call Trace:
[    9.000012]  check_bytes_and_report+0x20/0x40
");
    let o = r.object.as_ref().unwrap();
    assert_eq!(
        (r.kind, o.cache.as_deref(), o.address),
        (Kind::Slab, Some("kmalloc-64"), Some(0xffff_8880_1234_5640))
    );
    assert_eq!((functions(&r), r.traces.len()), (vec!["check_bytes_and_report"], 1));

    let r = one("\
BUG: memory leak
unreferenced object 0xffff888012345640 (size 96):
  comm \"tool\", pid 99, jiffies 4294943008 (age 13.990s)
  hex dump (first 32 bytes):
    01 00 00 00 03 00 00 00 08 00 00 00 00 00 00 00  ................
  backtrace:
    [<ffffffff81234567>] kmalloc+0x20/0x40
    [<ffffffff81234599>] widget_new+0x20/0x40
");
    assert_eq!((r.kind, r.pid, r.object.as_ref().unwrap().size), (Kind::Leak, Some(99), Some(96)));
    assert_eq!(functions(&r), ["kmalloc", "widget_new"]);
    assert_eq!(
        one("[  100.000000] unregister_netdevice: waiting for lo to become free. Usage count = 2\n").kind,
        Kind::Leak
    );
    assert_eq!(one("[  100.000000] VFS: Busy inodes after unmount of loop0 (ext4)\n").kind, Kind::Leak);
}

#[test]
fn patching_and_btf() {
    let r = one("\
[    0.800000] jump_label: Fatal kernel bug, unexpected op at use_key+0x1c/0x60 [00000000aabbccdd] (eb 1c 48 89 df != 66 90 0f 1f 00)) size:2 type:1
[    0.800001] ------------[ cut here ]------------
[    0.800002] kernel BUG at arch/x86/kernel/jump_label.c:73!
[    0.800003] invalid opcode: 0000 [#1] SMP
[    0.800004] RIP: 0010:__jump_label_patch+0x190/0x1a0
");
    assert_eq!((r.kind, r.named.unwrap().function.as_str()), (Kind::Patching, "use_key"));
    assert_eq!((r.ip.unwrap().function.as_str(), r.trap.unwrap().counter), ("__jump_label_patch", Some(1)));
    let r = one("[    0.800000] missing return thunk: f+0x1c/0x60-f+0x0/0x60: e9 00 00 00 00\n");
    assert_eq!((r.kind, r.named.unwrap().offset), (Kind::Patching, 0x1c));
    let r = one(
        "[    0.800000] ------------[ cut here ]------------\n[    0.800001] Unpatched return thunk in use. This should not happen!\n[    0.800002] WARNING: CPU: 0 PID: 0 at arch/x86/kernel/cpu/bugs.c:3000 __warn_thunk+0x20/0x40\n",
    );
    assert_eq!(r.kind, Kind::Patching);
    let r = one(
        "[    0.800000] unexpected static_call insn opcode 0xf at f+0x1c/0x60\n[    0.800001] kernel BUG at arch/x86/kernel/static_call.c:140!\n",
    );
    assert_eq!((r.kind, r.source.unwrap().1), (Kind::Patching, 140));

    let r = one("\
[   26.000000] BPF:\t type_id=35503 offset=178440 size=4
[   26.000001] BPF:
[   26.000002] BPF:Invalid offset
[   26.000003] BPF:
[   26.000004]
[   26.000005] failed to validate module [widget] BTF: -22
");
    assert_eq!((r.kind, r.modules.as_slice()), (Kind::Btf, &["widget".to_owned()][..]));
    assert!(r.details.iter().any(|d| d.1 == "BPF:Invalid offset"), "{:?}", r.details);
    assert_eq!(r.span.first_line, 1);
    assert_eq!(
        one("[    1.000000] BPF: [1] INT int\n[    1.000001] in-kernel BTF is malformed\n").kind,
        Kind::Btf
    );
}
