//! What other architectures than x86-64 say beside the common forms.

use kvet_console::Kind::*;

use crate::{Form, form, nameless};

pub const FORMS: &[Form] = &[
    // arch/microblaze/kernel/{exceptions,process,unwind}.c.
    form(
        Oops,
        "widget_probe",
        r"Oops: kernel access of bad area, sig: 11
 Registers dump: mode=1
 r1=CF82BF7C, r2=00000000, r3=00000000, r4=00000000
 msr=000046A2, ear=00000018, esr=00000872, fsr=00000000
 r15=C0A1B1F0
 rpc=C0A1B2C4
Kernel Trace: (sp=cf82bf7c)
 [<c0a1b1f0>] widget_probe+0x50/0x120
 [<c0220a5c>] do_one_initcall+0x78/0x1e0",
    ),
    // arch/parisc/kernel/traps.c: what is fatal is announced once more; a machine check is no page fault.
    form(
        PageFault,
        "widget_bind",
        r"Kernel Fault: Code=15 (Data TLB miss fault) at addr 0000000000000018
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
 IAOQ[0]: widget_bind+0x2c/0x90
 IAOQ[1]: widget_bind+0x30/0x90
 RP(r2): widget_probe+0x50/0x120
Backtrace:
 [<0000000040a1b1f0>] widget_probe+0x50/0x120
 [<0000000040220a5c>] do_one_initcall+0x78/0x1e0

Kernel panic - not syncing: Kernel Fault",
    ),
    form(
        Oops,
        "widget_bind",
        r"High Priority Machine Check (HPMC): Code=1 (High-priority machine check (HPMC)) at addr 0000000000000000
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0 #1
 IAOQ[0]: widget_bind+0x2c/0x90
Backtrace:
 [<0000000040a1b1f0>] widget_probe+0x50/0x120",
    ),
    // arch/s390/kernel/traps.c, `kernel_stack_overflow`.
    form(
        Panic,
        "widget_bind",
        r"Kernel panic - not syncing: Corrupt kernel stack, can't continue.
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0 #1
Call Trace:
 [<000003ffe0a1b2c4>] show_trace+0x2c/0x90
 [<000003ffe0a1b2c4>] panic+0x2c/0x90
 [<000003ffe0a1b2c4>] kernel_stack_overflow+0x2c/0x90
 [<000003ffe0a1b2c4>] widget_bind+0x2c/0x90",
    ),
    // arch/arm64: mm/fault.c, kernel/{traps,debug-monitors}.c, kvm/handle_exit.c.
    form(
        PageFault,
        "widget_bind",
        arm64!(
            r"Unable to handle kernel read from unreadable memory at virtual address 0000000000000008
Mem abort info:
  ESR = 0x96000004
Internal error: Oops: 96000004 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(
        Oops,
        "widget_bind",
        arm64!(
            r"Synchronous External Abort: synchronous external abort (0x96000210) at 0xffff800010a51234
Internal error: : 96000210 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm64!(
            r"Unhandled fault at 0xffff800010a51234
Mem abort info:
  ESR = 0x0000000096000021
  EC = 0x25: DABT (current EL), IL = 32 bits
  FSC = 0x21: alignment fault
Internal error: Oops: 0000000096000021 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(
        Oops,
        "widget_bind",
        arm64!("Internal error: SP/PC alignment exception: 000000008a000000 [#1] PREEMPT SMP", "widget_bind"),
    ),
    form(
        Oops,
        "widget_bind",
        arm64!("Internal error: SP or PC alignment exception: 8a000000 [#1] PREEMPT SMP", "widget_bind"),
    ),
    form(
        Breakpoint,
        "widget_bind",
        arm64!("Internal error: ptrace BRK handler: 00000000f20003e8 [#1] SMP", "widget_bind"),
    ),
    form(
        Ubsan,
        "widget_bind",
        arm64!(
            "Internal error: UBSAN: array index out of bounds: 00000000f2005512 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        arm64!("Internal error: Oops - KASAN: 00000000f2000927 [#1] PREEMPT SMP", "widget_bind"),
    ),
    form(
        Oops,
        "widget_bind",
        arm64!("Internal error: Oops - GCS: 00000000b7400000 [#1] PREEMPT SMP", "widget_bind"),
    ),
    form(
        Oops,
        "widget_bind",
        arm64!("Internal error: Oops - MOPS: 0000000000000000 [#1] PREEMPT SMP", "widget_bind"),
    ),
    form(Oops, "widget_bind", arm64!("Internal error: Oops - SME exception: 0000 [#1] SMP", "widget_bind")),
    form(
        Oops,
        "widget_bind",
        r"Unhandled 64-bit el1h sync exception on CPU2, ESR 0x00000000bf000000 -- SError
Modules linked in: widget(O)
CPU: 2 UID: 0 PID: 321 Comm: prog Not tainted 6.12.0 #1
Hardware name: linux,dummy-virt (DT)
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : widget_bind+0x24/0x80
lr : widget_open+0x18/0x40
sp : ffff80008000bd20
x29: ffff80008000bd20 x28: ffff000003f98000 x27: 0000000000000000
x2 : 0000000000000000 x1 : 0000000000000000 x0 : 0000000000000000
Call trace:
 widget_bind+0x24/0x80 (P)
 widget_open+0x18/0x40
 do_dentry_open+0x128/0x4c0
 el0_svc+0x34/0xdc
 el0t_64_sync_handler+0x13c/0x158
 el0t_64_sync+0x190/0x194
Code: d503233f a9bf7bfd (f9400000) d65f03c0
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Unhandled exception",
    ),
    form(
        Oops,
        "widget_bind",
        r"SError Interrupt on CPU2, code 0x00000000be000011 -- SError
Modules linked in: widget(O)
CPU: 2 UID: 0 PID: 321 Comm: prog Not tainted 6.12.0 #1
Hardware name: linux,dummy-virt (DT)
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : widget_bind+0x24/0x80
lr : widget_open+0x18/0x40
sp : ffff80008000bd20
x29: ffff80008000bd20 x28: ffff000003f98000 x27: 0000000000000000
x2 : 0000000000000000 x1 : 0000000000000000 x0 : 0000000000000000
Call trace:
 widget_bind+0x24/0x80 (P)
 widget_open+0x18/0x40
 do_dentry_open+0x128/0x4c0
 el0_svc+0x34/0xdc
 el0t_64_sync_handler+0x13c/0x158
 el0t_64_sync+0x190/0x194
Code: d503233f a9bf7bfd (f9400000) d65f03c0
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Asynchronous SError Interrupt",
    ),
    form(
        Panic,
        "__kvm_nvhe_widget",
        r"kvm [123]: nVHE hyp panic at: [<ffff800008a51234>] __kvm_nvhe_widget+0x10/0x20!
kvm [123]: Hyp Offset: 0xfffe8000
Kernel panic - not syncing: HYP panic:
PS:600003c9 PC:0000aaaabbbbcccc ESR:0000000096000006
FAR:0000000000000008 HPFAR:0000000000000000 PAR:0000000000000000
VCPU:0000000000000000
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Call trace:
 dump_backtrace+0x9c/0x11c
 show_stack+0x18/0x24
 dump_stack_lvl+0x38/0x90
 panic+0x1/0x2
 nvhe_hyp_panic_handler+0x1/0x2",
    ),
    form(
        PageFault,
        "widget_call",
        r"Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
Mem abort info:
  ESR = 0x0000000086000004
  EC = 0x21: IABT (current EL), IL = 32 bits
Internal error: Oops: 0000000086000004 [#1] PREEMPT SMP
CPU: 2 UID: 0 PID: 321 Comm: prog Not tainted 6.12.0 #1
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : 0x0
lr : widget_call+0x18/0x40
sp : ffff80008000bd20
Call trace:
 0x0 (P)
 widget_call+0x18/0x40 (L)
 do_dentry_open+0x128/0x4c0
Code: ???????? ???????? ???????? ???????? (????????)
---[ end trace 0000000000000000 ]---",
    ),
    // arch/arm: since 5.18 `f from g+0x1/0x2`.
    form(
        PageFault,
        "widget_bind",
        r"8<--- cut here ---
Unable to handle kernel NULL pointer dereference at virtual address 00000008 when write
[00000008] *pgd=00000000
Internal error: Oops: 805 [#1] SMP ARM
Modules linked in:
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1 NONE 
Hardware name: Generic DT based system
PC is at widget_bind+0x14/0x40
LR is at widget_probe+0x28/0x60
pc : [<c0534a28>]    lr : [<c0534b00>]    psr: 60000013
sp : c6891e20  ip : 00000000  fp : c6891e34
r10: 00000000  r9 : 00000000  r8 : 00000000
Flags: nZCv  IRQs on  FIQs on  Mode SVC_32  ISA ARM  Segment none
Control: 10c5387d  Table: 4000406a  DAC: 00000051
Register r0 information: NULL pointer
Register r1 information: non-slab/vmalloc memory
Process swapper/0 (pid: 1, stack limit = 0x(ptrval))
Stack: (0xc6891e20 to 0xc6892000)
1e20: c1a3c010 00000000 c0534b00 c0534a20
Call trace: 
 widget_bind from widget_probe+0x28/0x60
 widget_probe from do_one_initcall+0x50/0x22c
 do_one_initcall from kernel_init_freeable+0x1/0x2
Code: e92d4010 e1a04000 e5900008 (e5903000) 
---[ end trace 0000000000000000 ]---",
    ),
    form(
        Warning,
        "widget_bind",
        r"------------[ cut here ]------------
WARNING: CPU: 0 PID: 1 at drivers/widget/core.c:55 widget_bind+0x14/0x40
Modules linked in:
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Hardware name: Generic DT based system
Call trace: 
 unwind_backtrace from show_stack+0x10/0x14
 show_stack from dump_stack_lvl+0x54/0x68
 dump_stack_lvl from __warn+0x84/0x120
 __warn from warn_slowpath_fmt+0x11c/0x1a0
 warn_slowpath_fmt from widget_bind+0x14/0x40
 widget_bind from widget_probe+0x28/0x60
 widget_probe from do_one_initcall+0x50/0x22c
---[ end trace 0000000000000000 ]---",
    ),
    form(
        Lockdep,
        "widget_bind",
        r"=============================
WARNING: suspicious RCU usage
6.12.0 #1 Not tainted
-----------------------------
drivers/widget/core.c:99 suspicious rcu_dereference_check() usage!

other info that might help us debug this:

rcu_scheduler_active = 2, debug_locks = 1
no locks held by prog/123.

stack backtrace:
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Hardware name: Generic DT based system
Call trace: 
 unwind_backtrace from show_stack+0x10/0x14
 show_stack from dump_stack_lvl+0x54/0x68
 dump_stack_lvl from lockdep_rcu_suspicious+0x1/0x2
 lockdep_rcu_suspicious from widget_bind+0x14/0x40
 widget_bind from widget_probe+0x28/0x60",
    ),
    form(
        PageFault,
        "widget_bind",
        r"Unhandled fault: alignment exception (0x001) at 0xc0a51235
pgd = (ptrval)
[c0a51235] *pgd=86a12831
Internal error: : 1 [#1] SMP ARM
Modules linked in:
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 4.19.0 #1
PC is at widget_bind+0x14/0x40
LR is at widget_probe+0x28/0x60
pc : [<c0534a28>]    lr : [<c0534b00>]    psr: 60000013
Process swapper/0 (pid: 1, stack limit = 0x(ptrval))
[<c0534a28>] (widget_bind) from [<c0534b00>] (widget_probe+0x28/0x60)
Code: e92d4010 e1a04000 e5900008 (e5903000)
---[ end trace 0000000000000000 ]---",
    ),
    form(
        Oops,
        "widget_bind",
        r"Bad mode in data abort handler detected
Internal error: Oops - bad mode: 0 [#1] SMP ARM
Modules linked in:
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 4.19.0 #1
PC is at widget_bind+0x14/0x40
LR is at widget_probe+0x28/0x60
pc : [<c0534a28>]    lr : [<c0534b00>]    psr: 60000013
Process swapper/0 (pid: 1, stack limit = 0x(ptrval))
[<c0534a28>] (widget_bind) from [<c0534b00>] (widget_probe+0x28/0x60)
---[ end trace 0000000000000000 ]---",
    ),
    // arch/riscv/kernel/traps.c.
    form(
        PageFault,
        "widget_bind",
        riscv!(
            r"Unable to handle kernel execution of user memory at virtual address 0000003fffd885e0
Oops [#1]"
        ),
    ),
    form(Oops, "widget_bind", riscv!("Oops - store (or AMO) access fault [#1]")),
    form(Oops, "widget_bind", riscv!("Oops - instruction access fault [#1]")),
    form(Oops, "widget_bind", riscv!("Oops - environment call from U-mode [#1]")),
    form(Oops, "widget_bind", riscv!("Oops - unknown exception [#1]")),
    form(Breakpoint, "widget_bind", riscv!("Oops - kprobe breakpoint [#1]")),
    form(
        StackOverflow,
        "widget_probe",
        r"Insufficient stack space to handle exception!
Task stack:     [0xff200000006d8000..0xff200000006dc000]
Overflow stack: [0xff60000002a4b400..0xff60000002a4c400]
Modules linked in:
CPU: 0 UID: 0 PID: 55 Comm: prog Not tainted 6.12.0 #1
Hardware name: riscv-virtio,qemu (DT)
epc : widget_bind+0x10/0x24
 ra : widget_probe+0x2c/0x70
epc : ffffffff80a01c14 ra : ffffffff80a01d3c sp : ff200000006dbd10
 gp : ffffffff81a7b9c8 tp : ff60000002a4b400 t0 : 0000000000000000
status: 0000000200000120 badaddr: 0000000000000000 cause: 000000000000000f
[<ffffffff80a01c14>] widget_bind+0x10/0x24
[<ffffffff80a01d3c>] widget_probe+0x2c/0x70
[<ffffffff80002af4>] do_one_initcall+0x5c/0x1a8
Code: 0513 0000 (b023 00a7) 8082
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Kernel stack overflow",
    ),
    nameless(
        Panic,
        r"Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b
CPU: 0 PID: 1 Comm: init Not tainted 6.6.0 #1
Hardware name: riscv-virtio,qemu (DT)
Call Trace:
[<ffffffff80006614>] dump_backtrace+0x1c/0x24
[<ffffffff80a01d3c>] show_stack+0x2c/0x38
[<ffffffff80a0af00>] dump_stack_lvl+0x3c/0x54
[<ffffffff80a0af2c>] dump_stack+0x14/0x1c
[<ffffffff80a01f24>] panic+0x102/0x29a
[<ffffffff80013a1c>] do_exit+0x76e/0x7a0
[<ffffffff80013c1c>] do_group_exit+0x24/0x70",
    ),
    // arch/powerpc: mm/fault.c, kernel/{traps,process,watchdog}.c.
    form(
        PageFault,
        "widget_bind",
        powerpc!(
            r"Kernel attempted to read user page (8) - exploit attempt? (uid: 0)
BUG: Kernel NULL pointer dereference on read at 0x00000008
Faulting instruction address: 0xc000000000a1b2c4
Oops: Kernel access of bad area, sig: 11 [#1]"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        powerpc!(
            r"kernel tried to execute exec-protected page (c000000000a1b2c4) - exploit attempt? (uid: 0)
BUG: Unable to handle kernel instruction fetch
Faulting instruction address: 0xc000000000a1b2c4
Oops: Kernel access of bad area, sig: 11 [#1]"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        powerpc!(
            r"BUG: Unable to handle unknown paging fault at 0xc000000000a1b2c4
Oops: Kernel access of bad area, sig: 11 [#1]"
        ),
    ),
    form(Oops, "widget_bind", powerpc!("Oops: Machine check, sig: 7 [#1]")),
    form(Oops, "widget_bind", powerpc!("Oops: System Reset, sig: 6 [#1]")),
    form(Oops, "widget_bind", powerpc!("Oops: Alignment, sig: 7 [#1]")),
    form(
        StackOverflow,
        "widget_bind",
        r"Kernel stack overflow in process c000000001234560[prog:77], r1=c000000007890000
LE PAGE_SIZE=64K MMU=Radix  SMP NR_CPUS=2048 NUMA pSeries
Modules linked in: widget(O)
CPU: 3 UID: 0 PID: 77 Comm: prog Not tainted 6.12.0 #1
Hardware name: IBM pSeries
NIP:  c000000000a1b2c4 LR: c000000000a1b300 CTR: 0000000000000000
REGS: c00000000789b7c0 TRAP: 0300   Not tainted  (6.12.0)
MSR:  8000000000009033 <SF,EE,ME,IR,DR,RI,LE>  CR: 24004824  XER: 00000000
CFAR: c000000000a1b2f0 DAR: 0000000000000008 DSISR: 40000000 IRQMASK: 0 
GPR00: c000000000a1b300 c00000000789ba60 c0000000014d1500 0000000000000000 
NIP [c000000000a1b2c4] widget_bind+0x24/0x60
LR [c000000000a1b300] widget_probe+0x40/0x90
Call Trace:
[c00000000789ba60] [c000000000a1b300] widget_probe+0x40/0x90 (unreliable)
[c00000000789bab0] [c000000000012345] do_one_initcall+0x60/0x2c0
Code: 7c0802a6 60000000 f821ffd1 <e9230008> 
Kernel panic - not syncing: kernel stack overflow",
    ),
    form(
        Oops,
        "widget_bind",
        powerpc!(
            r"Bad kernel stack pointer c000000007890000 at c000000000a1b2c4
Oops: Bad kernel stack pointer, sig: 6 [#1]"
        ),
    ),
    form(Oops, "widget_bind", powerpc!("Oops: Exception in kernel mode, sig: 4 [#1]")),
    form(
        HardLockup,
        "widget_bind",
        powerpc!(
            r"watchdog: CPU 0 detected hard LOCKUP on other CPUs 3
watchdog: CPU 0 TB:12345678, last SMP heartbeat TB:12345600 (12345ms ago)
watchdog: CPU 3 Hard LOCKUP
watchdog: CPU 3 TB:12345678, last heartbeat TB:12345600 (12345ms ago)"
        ),
    ),
    form(
        SoftLockup,
        "widget_bind",
        r"watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [prog:77]
LE PAGE_SIZE=64K MMU=Radix  SMP NR_CPUS=2048 NUMA pSeries
Modules linked in: widget(O)
CPU: 3 UID: 0 PID: 77 Comm: prog Not tainted 6.12.0 #1
Hardware name: IBM pSeries
NIP:  c000000000a1b2c4 LR: c000000000a1b300 CTR: 0000000000000000
REGS: c00000000789b7c0 TRAP: 0300   Not tainted  (6.12.0)
MSR:  8000000000009033 <SF,EE,ME,IR,DR,RI,LE>  CR: 24004824  XER: 00000000
CFAR: c000000000a1b2f0 DAR: 0000000000000008 DSISR: 40000000 IRQMASK: 0 
GPR00: c000000000a1b300 c00000000789ba60 c0000000014d1500 0000000000000000 
NIP [c000000000a1b2c4] widget_bind+0x24/0x60
LR [c000000000a1b300] widget_probe+0x40/0x90
Call Trace:
[c00000000789ba60] [c000000000a1b300] widget_probe+0x40/0x90 (unreliable)
[c00000000789bab0] [c000000000012345] do_one_initcall+0x60/0x2c0
Code: 7c0802a6 60000000 f821ffd1 <e9230008> ",
    ),
    // arch/s390/kernel/traps.c: program checks by name.
    form(Oops, "widget_bind", s390!("protection exception: 0004 ilc:3 [#1] SMP ")),
    form(Oops, "widget_bind", s390!("data exception: 0007 ilc:2 [#1] SMP ")),
    form(Oops, "widget_bind", s390!("privileged operation: 0002 ilc:2 [#1] SMP ")),
    form(Oops, "widget_bind", s390!("execute exception: 0003 ilc:2 [#1] SMP ")),
    form(Oops, "widget_bind", s390!("Operand exception: 0015 ilc:2 [#1] SMP ")),
    form(Oops, "widget_bind", s390!("space switch event: 001c ilc:2 [#1] SMP ")),
    form(Oops, "widget_bind", s390!("transactional execution constraint exception: 0018 ilc:2 [#1] SMP")),
    form(Oops, "widget_bind", s390!("vector processing exception: 001b ilc:2 [#1] SMP")),
    form(Oops, "widget_bind", s390!("Unknown program exception: 0040 ilc:2 [#1] SMP")),
    form(Oops, "widget_bind", s390!("Low-address protection: 0004 ilc:2 [#1] SMP")),
    form(
        PageFault,
        "widget_bind",
        s390!(
            r"Unable to handle kernel pointer dereference at virtual kernel address 0000000000000000
Fault in home space mode while using kernel ASCE.
AS:000000000276c007 R3:0
Oops: 0004 ilc:2 [#1] SMP"
        ),
    ),
    form(
        StackOverflow,
        "widget_bind",
        r"Kernel stack overflow.
CPU: 0 UID: 0 PID: 11 Comm: prog Not tainted 6.12.0 #1
Hardware name: IBM 3931
Krnl PSW : 0704c00180000000 000003ff80001234 (widget_bind+0x24/0x60 [widget])
Krnl GPRS: 0000000000000000
Call Trace:
 [<000003ff80001234>] widget_bind+0x24/0x60 [widget] 
 [<000003ff80001300>] widget_probe+0x40/0x90 [widget]
Kernel panic - not syncing: Corrupt kernel stack, can't continue.",
    ),
    // arch/mips/kernel/traps.c.
    form(Oops, "widget_bind", mips!("Kernel unaligned instruction access[#1]:")),
    form(
        Oops,
        "widget_bind",
        mips!(
            r"Instruction bus error, epc == 80523a40, ra == 80523b00
Oops[#1]:"
        ),
    ),
    form(Oops, "widget_bind", mips!("Overflow[#1]:")),
    form(Oops, "widget_bind", mips!("FPU exception in kernel code[#1]:")),
    form(Oops, "widget_bind", mips!("Trap instruction in kernel code[#1]:")),
    form(Oops, "widget_bind", mips!("Caught reserved exception 31 - should not happen[#1]:")),
    form(
        Bug,
        "widget_bind",
        mips!(
            r"Kernel BUG at drivers/x.c:1
Kernel bug detected[#1]:"
        ),
    ),
    // arch/loongarch/kernel/traps.c.
    form(Oops, "widget_bind", loongarch!("Kernel ade access[#1]:")),
    form(Oops, "widget_bind", loongarch!("Kernel bce access[#1]:")),
    form(InvalidOpcode, "widget_bind", loongarch!("Reserved instruction in kernel code[#1]:")),
    form(Oops, "widget_bind", loongarch!("do_fpu invoked from kernel context![#1]:")),
    form(Oops, "widget_bind", loongarch!("do_lsx invoked from kernel context![#1]:")),
    form(Bug, "widget_bind", loongarch!("Kernel bug detected[#1]:")),
    form(Oops, "widget_bind", loongarch!("Break instruction in kernel code[#1]:")),
    form(Oops, "widget_bind", loongarch!("Oops[#1]:")),
    // arch/{sparc,parisc,alpha,m68k,sh,xtensa,arc}.
    form(
        PageFault,
        "widget_bind",
        r#"Unable to handle kernel NULL pointer dereference
tsk->{mm,active_mm}->context = 0000000000000123
tsk->{mm,active_mm}->pgd = fff8000012345678
              \|/ ____ \|/
              "@'/ .. \`@"
              /_| \__/ |_\
                 \__U_/
swapper/0(1): Oops [#1]
CPU: 1 PID: 1 Comm: swapper/0 Not tainted 6.6.0 #1
TSTATE: 0000004411001606 TPC: 00000000007a1234 TNPC: 00000000007a1238 Y: 00000000    Not tainted
TPC: <widget_bind+0x24/0x60>
g0: 0000000000000000 g1: 0000000000000000 g2: 0000000000000000 g3: 0000000000000000
RPC: <widget_probe+0x40/0x90>
l0: 0000000000000000 l1: 0000000000000000
I7: <widget_probe+0x40/0x90>
Call Trace:
[<00000000007a1300>] widget_probe+0x40/0x90
[<0000000000427abc>] do_one_initcall+0x60/0x2c0
Disabling lock debugging due to kernel taint
Caller[00000000007a1300]: widget_probe+0x40/0x90
Instruction DUMP: 9de3bf50  c25e2008 <c2586008> 81cfe008
Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009"#,
    ),
    form(
        PageFault,
        "widget_bind",
        r"Bad Address (null pointer deref?): Code=15 (Data TLB miss fault) at addr 0000000000000008
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.6.0 #1
Hardware name: 9000/785/C8000
     YZrvWESTHLNXBCVMcbcbcbcbOGFRQPDI
PSW: 00001000000001000000000000001111 Not tainted
IASQ: 0000000000000000 0000000000000000 IAOQ: 0000000040a1b2c4 0000000040a1b2c8
 IIR: 0f4010dc    ISR: 0000000000000000  IOR: 0000000000000008
 IAOQ[0]: widget_bind+0x24/0x60
 IAOQ[1]: widget_bind+0x28/0x60
 RP(r2): widget_probe+0x40/0x90
Backtrace:
 [<0000000040a1b300>] widget_probe+0x40/0x90
 [<0000000040012345>] do_one_initcall+0x60/0x2c0
Kernel panic - not syncing: Bad Address (null pointer deref?)",
    ),
    form(
        PageFault,
        "widget_bind",
        r"Unable to handle kernel paging request at virtual address 0000000000000008
CPU 0 
swapper(1): Oops 0
pc = [<fffffc0000321234>]  ra = [<fffffc0000321300>]  ps = 0000    Not tainted
pc is at widget_bind+0x24/0x60
ra is at widget_probe+0x40/0x90
v0 = 0000000000000000  t0 = 0000000000000000  t1 = 0000000000000000
Trace:
[<fffffc0000321300>] widget_probe+0x40/0x90
[<fffffc0000310abc>] do_one_initcall+0x60/0x2c0
Code: 47ff041f a43e0008",
    ),
    form(
        PageFault,
        "widget_bind",
        r"Unable to handle kernel NULL pointer dereference at virtual address 00000008
Oops: 00000000
Modules linked in:
PC: [<00002c1c>] widget_bind+0x14/0x40
SR: 2000  SP: (ptrval)  a2: (ptrval)
d0: 00000000    d1: 00000000    d2: 00000000    d3: 00000000
Process swapper (pid: 1, task=(ptrval))
Frame format=7 eff addr=00000008 ssw=0505 faddr=00000008
Stack from 00829f50:
        00000000 00000000
Call Trace: [<00002d00>] widget_probe+0x28/0x60
 [<00002084>] do_one_initcall+0x60/0x2c0
Code: 4e56 0000 2f02 <2028> 0008
Disabling lock debugging due to kernel taint",
    ),
    form(
        PageFault,
        "widget_bind",
        r"BUG: unable to handle kernel NULL pointer dereference at 00000008
PC: [<8c012345>] widget_bind+0x14/0x40
pgd = 8c345000
[00000008] *pgd=00000000
Oops: 0000 [#1]
Modules linked in:

CPU: 0 PID: 1 Comm: swapper Not tainted 6.6.0 #1
PC is at widget_bind+0x14/0x40
PR is at widget_probe+0x28/0x60
PC  : 8c012345 SP  : 8c829f50 SR  : 40008000 TEA : 00000008
Call trace:
 [<8c012400>] widget_probe+0x28/0x60
 [<8c002084>] do_one_initcall+0x60/0x2c0",
    ),
    form(
        PageFault,
        "widget_bind",
        r"BUG: unable to handle kernel paging request at virtual address 00000008
 pc = 80123456, ra = 80123500
Oops: sig: 11 [#1]
CPU: 0 PID: 1 Comm: swapper Not tainted 6.6.0 #1
a00: 80123500 80829f50 00000000 00000000
pc: 80123456, ps: 00060120, depc: 00000000, excvaddr: 00000008
lbeg: 00000000, lend: 00000000 lcount: 00000000, sar: 00000000
Call Trace:
 widget_bind+0x14/0x40
 widget_probe+0x28/0x60
 do_one_initcall+0x60/0x2c0",
    ),
    form(
        PageFault,
        "widget_bind",
        r"Oops
Path: (null)
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.6.0 #1
Invalid Read @ 0x00000008 by insn @ widget_bind+0x14/0x40
ECR: 0x00050100 EFA: 0x00000008 ERET: 0x80123456
Stack Trace:
  widget_bind+0x14/0x40
  widget_probe+0x28/0x60
  do_one_initcall+0x60/0x2c0",
    ),
];
