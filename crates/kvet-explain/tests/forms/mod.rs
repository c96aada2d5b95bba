//! The forms, as data: the common ones here, the others by age, by architecture and by how seldom they are.

use std::sync::LazyLock;

use super::{Form, form, nameless};
use kvet_console::Kind::*;

/// x86's way from `BUG:` to the end.
macro_rules! x86 {
    ($head:literal, $rip:literal) => {
        concat!(
            $head,
            "\nCPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1\nHardware name: QEMU Standard PC\nRIP: 0010:",
            $rip,
            "+0x1c/0x90\nCode: 48 8b 47 08 <48> 8b 00 c3\nRSP: 0018:ffffc90000013d88 EFLAGS: 00010246\nRAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001\nCR2: 0000000000000018 CR3: 000000000263a000 CR4: 0000000000750ef0\nCall Trace:\n <TASK>\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n entry_SYSCALL_64_after_hwframe+0x76/0x7e\n </TASK>\n---[ end trace 0000000000000000 ]---"
        )
    };
}

/// What a report without registers goes on with.
macro_rules! dumped {
    ($head:literal, $trace:literal) => {
        concat!(
            $head,
            "\nCPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1\nHardware name: QEMU Standard PC\nCall Trace:\n <TASK>\n dump_stack_lvl+0x6c/0xa0\n",
            $trace,
            "\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n entry_SYSCALL_64_after_hwframe+0x76/0x7e\n </TASK>"
        )
    };
}

/// arm64's registers and trace.
macro_rules! arm64 {
    ($head:literal, $pc:literal) => {
        concat!(
            $head,
            "\nModules linked in: widget(O)\nCPU: 2 UID: 0 PID: 321 Comm: prog Not tainted 6.12.0 #1\nHardware name: linux,dummy-virt (DT)\npstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)\npc : ",
            $pc,
            "+0x24/0x80\nlr : widget_open+0x18/0x40\nsp : ffff80008000bd20\nx29: ffff80008000bd20 x28: ffff000003f98000 x27: 0000000000000000\nx2 : 0000000000000000 x1 : 0000000000000000 x0 : 0000000000000000\nCall trace:\n ",
            $pc,
            "+0x24/0x80 (P)\n widget_open+0x18/0x40\n do_dentry_open+0x128/0x4c0\n el0_svc+0x34/0xdc\n el0t_64_sync_handler+0x13c/0x158\n el0t_64_sync+0x190/0x194\nCode: d503233f a9bf7bfd (f9400000) d65f03c0\n---[ end trace 0000000000000000 ]---"
        )
    };
}

/// riscv's.
macro_rules! riscv {
    ($head:literal) => {
        concat!(
            $head,
            "\nModules linked in:\nCPU: 0 PID: 55 Comm: prog Not tainted 6.6.0 #1\nHardware name: riscv-virtio,qemu (DT)\nepc : widget_bind+0x10/0x24\n ra : widget_probe+0x2c/0x70\nepc : ffffffff80a01c14 ra : ffffffff80a01d3c sp : ff200000006dbd10\n gp : ffffffff81a7b9c8 tp : ff60000002a4b400 t0 : 0000000000000000\n s4 : 0000000000000000 a0 : 0000000000000000 a1 : 0000000000000001\nstatus: 0000000200000120 badaddr: 0000000000000000 cause: 000000000000000f\n[<ffffffff80a01c14>] widget_bind+0x10/0x24\n[<ffffffff80a01d3c>] widget_probe+0x2c/0x70\n[<ffffffff80002af4>] do_one_initcall+0x5c/0x1a8\nCode: 0513 0000 (b023 00a7) 8082\n---[ end trace 0000000000000000 ]---"
        )
    };
}

/// powerpc's.
macro_rules! powerpc {
    ($head:literal) => {
        concat!(
            $head,
            "\nLE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA pSeries\nModules linked in: widget(O)\nCPU: 3 PID: 77 Comm: prog Not tainted 6.6.0 #1\nHardware name: IBM pSeries (emulated by qemu) POWER9 (raw) 0x4e1202 0xf000005 of:SLOF,HEAD pSeries\nNIP:  c000000000a1b2c4 LR: c000000000a1b300 CTR: 0000000000000000\nREGS: c00000000789b7c0 TRAP: 0300   Not tainted  (6.6.0)\nMSR:  8000000000009033 <SF,EE,ME,IR,DR,RI,LE>  CR: 24004824  XER: 00000000\nCFAR: c000000000a1b2f0 DAR: 0000000000000008 DSISR: 40000000 IRQMASK: 0\nGPR00: c000000000a1b300 c00000000789ba60 c0000000014d1500 0000000000000000\nNIP [c000000000a1b2c4] widget_bind+0x24/0x60\nLR [c000000000a1b300] widget_probe+0x40/0x90\nCall Trace:\n[c00000000789ba60] [c000000000a1b300] widget_probe+0x40/0x90 (unreliable)\n[c00000000789bab0] [c000000000012345] do_one_initcall+0x60/0x2c0\nCode: 7c0802a6 60000000 f821ffd1 <e9230008>\n---[ end trace 0000000000000000 ]---"
        )
    };
}

/// s390's.
macro_rules! s390 {
    ($head:literal) => {
        concat!(
            $head,
            "\nModules linked in: widget(O)\nCPU: 0 UID: 0 PID: 11 Comm: prog Not tainted 6.12.0 #1\nHardware name: IBM 3931 A01 703 (KVM/Linux)\nKrnl PSW : 0704c00180000000 000003ff80001234 (widget_bind+0x24/0x60 [widget])\n           R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3\nKrnl GPRS: 0000000000000000 0000000000000001 0000000000000002 0000000000000003\n           0000000000000004 0000000000000005 0000000000000006 0000000000000007\n           0000000000000008 0000000000000009 000000000000000a 000000000000000b\n           000000000000000c 000000000000000d 000000000000000e 000000000000000f\nKrnl Code: 000003ff80001224: c0e5fff00000\tbrasl\t%r14,000003ff7fe01224\n          #000003ff8000122a: a7f40001\t\tbrc\t15,000003ff8000122c\nCall Trace:\n [<000003ff80001234>] widget_bind+0x24/0x60 [widget] \n [<000003ff80001300>] widget_probe+0x40/0x90 [widget] \n [<0000000000100b5c>] do_one_initcall+0x4c/0x210 \nLast Breaking-Event-Address:\n [<000003ff80001220>] widget_bind+0x10/0x60 [widget]\n---[ end trace 0000000000000000 ]---"
        )
    };
}

/// mips'.
macro_rules! mips {
    ($head:literal) => {
        concat!(
            $head,
            "\nCPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.6.0 #1\nHardware name: mti,malta\n$ 0   : 00000000 00000001 00000000 00000000\n$ 4   : 8102c000 00000000 00000001 00000000\nHi    : 00000000\nLo    : 00000000\nepc   : 80523a40 widget_bind+0x18/0x40\nra    : 80523b00 widget_probe+0x30/0x80\nStatus: 1000a403\tKERNEL EXL IE \nCause : 00800008 (ExcCode 02)\nBadVA : 00000008\nPrId  : 00019300 (MIPS 24Kc)\nModules linked in:\nProcess swapper/0 (pid: 1, threadinfo=(ptrval), task=(ptrval), tls=00000000)\nStack : 80a10000 80523b00 00000000 00000000\nCall Trace:\n[<80523a40>] widget_bind+0x18/0x40\n[<80523b00>] widget_probe+0x30/0x80\n[<80100648>] do_one_initcall+0x50/0x1d4\n\nCode: 27bdffe8  afbf0014 <8c820008> 03e00008\n---[ end trace 0000000000000000 ]---"
        )
    };
}

/// loongarch's.
macro_rules! loongarch {
    ($head:literal) => {
        concat!(
            $head,
            "\nCPU: 1 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1\nHardware name: QEMU QEMU Virtual Machine, BIOS unknown 2/2/2022\npc 9000000000221f3c ra 9000000000222040 tp 9000000100190000 sp 9000000100193d30\na0 0000000000000000 a1 0000000000000001 a2 0000000000000000 a3 0000000000000000\n   ra: 9000000000222040 widget_probe+0x40/0x90\n  ERA: 9000000000221f3c widget_bind+0x1c/0x40\n CRMD: 000000b0 (PLV0 -IE -DA +PG DACF=CC DACM=CC -WE)\n PRMD: 00000004 (PPLV0 +PIE -PWE)\n EUEN: 00000000 (-FPE -SXE -ASXE -BTE)\n ECFG: 00071c1d (LIE=0,2-4,10-12 VS=7)\nESTAT: 00010000 [PIL] (IS= ECode=1 EsubCode=0)\n BADV: 0000000000000008\n PRID: 0014c010 (Loongson-64bit, Loongson-3A5000)\nModules linked in:\nProcess swapper/0 (pid: 1, threadinfo=00000000deadbeef, task=00000000cafebabe)\nStack : 0000000000000000 9000000001234567\nCall Trace:\n[<9000000000221f3c>] widget_bind+0x1c/0x40\n[<9000000000222040>] widget_probe+0x40/0x90\n[<9000000000200a1c>] do_one_initcall+0x7c/0x1b0\nCode: 02ffc063  29c06061  <28c02084> 4c000020\n---[ end trace 0000000000000000 ]---"
        )
    };
}

/// arm's.
macro_rules! arm {
    ($head:literal) => {
        concat!(
            $head,
            "\nModules linked in:\nCPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.6.0 #1\nHardware name: Generic DT based system\nPC is at widget_bind+0x14/0x40\nLR is at widget_probe+0x28/0x60\npc : [<c0534a28>]    lr : [<c0534b00>]    psr: 60000013\nsp : c6891e20  ip : 00000000  fp : c6891e34\nr10: 00000000  r9 : 00000000  r8 : 00000000\nr7 : c0d04c48  r6 : 00000000  r5 : c1a3c010  r4 : 00000000\nr3 : 00000000  r2 : 00000000  r1 : 00000000  r0 : 00000000\nFlags: nZCv  IRQs on  FIQs on  Mode SVC_32  ISA ARM  Segment none\nControl: 10c5387d  Table: 4000406a  DAC: 00000051\nProcess swapper/0 (pid: 1, stack limit = 0x(ptrval))\nStack: (0xc6891e20 to 0xc6892000)\n1e20: c1a3c010 00000000 c0534b00 c0534a20\n[<c0534a28>] (widget_bind) from [<c0534b00>] (widget_probe+0x28/0x60)\n[<c0534b00>] (widget_probe) from [<c0101f4c>] (do_one_initcall+0x50/0x22c)\nCode: e92d4010 e1a04000 e5900008 (e5903000) \n---[ end trace 0000000000000000 ]---"
        )
    };
}

mod arches;
mod clean;
mod older;
mod rare;

pub use clean::{ASKED_FOR, CLEAN, USER_SPACE};
pub use rare::PAIRS;

/// All of them.
pub static FORMS: LazyLock<Vec<Form>> =
    LazyLock::new(|| [COMMON, older::FORMS, arches::FORMS, rare::FORMS].concat());

const COMMON: &[Form] = &[
    // arch/x86/mm/fault.c, show_fault_oops: of 5.1 and later.
    form(
        PageFault,
        "widget_bind",
        x86!(
            "BUG: kernel NULL pointer dereference, address: 0000000000000018\n#PF: supervisor read access in kernel mode\n#PF: error_code(0x0000) - not-present page\nPGD 0 P4D 0 \nOops: Oops: 0000 [#1] SMP NOPTI",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        x86!(
            "BUG: unable to handle page fault for address: ffffc90000abc000\n#PF: supervisor write access in kernel mode\n#PF: error_code(0x0002) - not-present page\nPGD 100000067 P4D 100000067 PUD 0 \nOops: 0002 [#1] PREEMPT SMP PTI",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        x86!(
            "kernel tried to execute NX-protected page - exploit attempt? (uid: 0)\nBUG: unable to handle page fault for address: ffff888003c6c690\n#PF: supervisor instruction fetch in kernel mode\n#PF: error_code(0x0011) - permissions violation\nPGD 2c01067 P4D 2c01067 PUD 2c02067 PMD 8000000003c001e3 \nOops: Oops: 0011 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        x86!(
            "unable to execute userspace code (SMEP?) (uid: 0)\nBUG: unable to handle page fault for address: 0000000000401000\n#PF: supervisor instruction fetch in kernel mode\n#PF: error_code(0x0011) - permissions violation\nOops: 0011 [#1] SMP",
            "widget_bind"
        ),
    ),
    // Of 4.20 and before.
    form(
        PageFault,
        "widget_bind",
        x86!(
            "BUG: unable to handle kernel NULL pointer dereference at 0000000000000018\nPGD 0 P4D 0 \nOops: 0000 [#1] SMP KASAN",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        x86!(
            "BUG: unable to handle kernel paging request at ffffc90000abc000\nIP: widget_bind+0x1c/0x90\nPGD 100000067 \nOops: 0002 [#1] SMP",
            "widget_bind"
        ),
    ),
    // arch/x86/kernel/traps.c and dumpstack.c, __die_header.
    form(
        GeneralProtection,
        "widget_bind",
        x86!(
            "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] SMP KASAN\nKASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]",
            "widget_bind"
        ),
    ),
    form(
        GeneralProtection,
        "widget_bind",
        x86!("general protection fault: 0000 [#1] PREEMPT SMP KASAN", "widget_bind"),
    ),
    form(
        GeneralProtection,
        "widget_bind",
        x86!(
            "general protection fault, maybe for address 0xffff88810abc0000: 0000 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        GeneralProtection,
        "widget_bind",
        x86!(
            "kasan: CONFIG_KASAN_INLINE enabled\nkasan: GPF could be caused by NULL-ptr deref or user memory access\ngeneral protection fault: 0000 [#1] SMP KASAN",
            "widget_bind"
        ),
    ),
    form(Oops, "widget_bind", x86!("Oops: divide error: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("divide error: 0000 [#1] PREEMPT SMP NOPTI", "widget_bind")),
    form(Oops, "widget_bind", x86!("stack segment: 0000 [#1] PREEMPT SMP KASAN", "widget_bind")),
    form(Oops, "widget_bind", x86!("alignment check: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("segment not present: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("Oops: overflow: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("bounds: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("simd exception: 0000 [#1] SMP", "widget_bind")),
    form(
        Oops,
        "widget_bind",
        x86!(
            "Missing ENDBR: widget_bind+0x0/0x90\n------------[ cut here ]------------\nOops: control protection: 0000 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(InvalidOpcode, "widget_bind", x86!("invalid opcode: 0000 [#1] SMP PTI", "widget_bind")),
    form(InvalidOpcode, "widget_bind", x86!("Oops: invalid opcode: 0000 [#1] SMP", "widget_bind")),
    form(Breakpoint, "widget_bind", x86!("Oops: int3: 0000 [#1] SMP", "widget_bind")),
    form(
        DoubleFault,
        "widget_bind",
        x86!("traps: PANIC: double fault, error_code: 0x0\nOops: double fault: 0000 [#1] SMP", "widget_bind"),
    ),
    form(
        DoubleFault,
        "widget_bind",
        x86!("PANIC: double fault, error_code: 0x0\ndouble fault: 0000 [#1] PREEMPT SMP", "widget_bind"),
    ),
    // lib/bug.c: report_bug.
    form(
        Bug,
        "widget_bind",
        x86!(
            "------------[ cut here ]------------\nkernel BUG at drivers/widget/core.c:123!\nOops: invalid opcode: 0000 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(
        Bug,
        "widget_bind",
        x86!(
            "------------[ cut here ]------------\nkernel BUG at drivers/widget/core.c:123!\ninvalid opcode: 0000 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        Bug,
        "widget_bind",
        x86!(
            "page: refcount:0 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x1234\nflags: 0x200000000000000(node=0|zone=2)\nraw: 0200000000000000 dead000000000100 dead000000000122 0000000000000000\npage dumped because: VM_BUG_ON_PAGE(page_ref_count(page) == 0)\n------------[ cut here ]------------\nkernel BUG at ./include/linux/mm.h:1234!\ninvalid opcode: 0000 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    // lib/list_debug.c.
    form(
        Bug,
        "widget_ioctl",
        x86!(
            "list_add corruption. prev->next should be next (ffff888003c6c690), but was ffff888003c6c698. (prev=ffff888003c6c690).\n------------[ cut here ]------------\nkernel BUG at lib/list_debug.c:32!\ninvalid opcode: 0000 [#1] SMP",
            "__list_add_valid_or_report"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        x86!(
            "list_del corruption, ffff888003c6c690->next is LIST_POISON1 (dead000000000100)\n------------[ cut here ]------------\nkernel BUG at lib/list_debug.c:56!\nOops: invalid opcode: 0000 [#1] SMP",
            "__list_del_entry_valid_or_report"
        ),
    ),
    // mm/usercopy.c, usercopy_abort; lib/string_helpers.c, fortify_panic; net/core/skbuff.c, skb_panic.
    form(
        Bug,
        "widget_ioctl",
        x86!(
            "usercopy: Kernel memory exposure attempt detected from SLUB object 'kmalloc-64' (offset 0, size 128)!\n------------[ cut here ]------------\nkernel BUG at mm/usercopy.c:102!\ninvalid opcode: 0000 [#1] SMP",
            "usercopy_abort"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        x86!(
            "detected buffer overflow in memcpy\n------------[ cut here ]------------\nkernel BUG at lib/string_helpers.c:1027!\ninvalid opcode: 0000 [#1] SMP",
            "fortify_panic"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        x86!(
            "skbuff: skb_over_panic: text:ffffffff81234567 len:2000 put:2000 head:ffff888003c6c690 data:ffff888003c6c6d0 tail:0x810 end:0x6c0 dev:<NULL>\n------------[ cut here ]------------\nkernel BUG at net/core/skbuff.c:110!\ninvalid opcode: 0000 [#1] SMP",
            "skb_panic"
        ),
    ),
    // kernel/cfi.c: report_cfi_failure.
    form(
        Bug,
        "widget_bind",
        x86!(
            "CFI failure at widget_bind+0x1c/0x90 (target: other+0x0/0x10; expected type: 0x12345678)\nOops: invalid opcode: 0000 [#1] SMP",
            "widget_bind"
        ),
    ),
    // arch/x86/kernel/traps.c: handle_stack_overflow, then the oops that it dies with.
    form(
        StackOverflow,
        "widget_ioctl",
        x86!(
            "BUG: TASK stack guard page was hit at ffffc9000000ffb8 (stack is ffffc90000010000..ffffc90000014000)\nOops: stack guard page: 0000 [#1] SMP",
            "widget_bind"
        ),
    ),
    // kernel/panic.c, __warn: until 6.16, since, and without a function.
    form(
        Warning,
        "widget_bind",
        x86!(
            "------------[ cut here ]------------\nWARNING: CPU: 1 PID: 123 at drivers/widget/core.c:55 widget_bind+0x1c/0x90",
            "widget_bind"
        ),
    ),
    form(
        Warning,
        "widget_bind",
        x86!(
            "------------[ cut here ]------------\nwidget: the state is 5 where 4 was expected\nWARNING: CPU: 1 PID: 123 at drivers/widget/core.c:55 widget_bind+0x1c/0x90 [widget]",
            "widget_bind"
        ),
    ),
    form(
        Warning,
        "widget_bind",
        x86!(
            "------------[ cut here ]------------\nWARNING: drivers/widget/core.c:55 at widget_bind+0x1c/0x90, CPU#1: prog/123",
            "widget_bind"
        ),
    ),
    form(
        Warning,
        "widget_bind",
        x86!(
            "------------[ cut here ]------------\nWARNING: [state != 4] drivers/widget/core.c:55 at widget_bind+0x1c/0x90, CPU#1: prog/123",
            "widget_bind"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nODEBUG: free active (active state 0) object: ffff88807b3c4490 object type: timer_list hint: widget_expire+0x0/0x350\nWARNING: CPU: 1 PID: 123 at lib/debugobjects.c:615 debug_print_object+0x1c/0x90",
            "debug_print_object"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nDEBUG_LOCKS_WARN_ON(lock->magic != lock)\nWARNING: CPU: 1 PID: 123 at kernel/locking/mutex.c:587 __mutex_lock+0x1c/0x90",
            "__mutex_lock"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nkobject: '(null)' (ffff888003c6c690): is not initialized, yet kobject_put() is being called.\nWARNING: CPU: 1 PID: 123 at lib/kobject.c:734 kobject_put+0x1c/0x90",
            "kobject_put"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nDMA-API: widget 0000:00:05.0: device driver tries to free DMA memory it has not allocated [device address=0x0000000012345678] [size=64 bytes]\nWARNING: CPU: 1 PID: 123 at kernel/dma/debug.c:1100 check_unmap+0x1c/0x90",
            "check_unmap"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nmemcpy: detected field-spanning write (size 40) of single field \"&w->a\" at drivers/widget/core.c:9 (size 8)\nWARNING: CPU: 1 PID: 123 at drivers/widget/core.c:9 widget_ioctl+0x1c/0x90",
            "widget_ioctl"
        ),
    ),
    // lib/refcount.c.
    form(
        Refcount,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nrefcount_t: underflow; use-after-free.\nWARNING: CPU: 1 PID: 123 at lib/refcount.c:28 refcount_warn_saturate+0x1c/0x90",
            "refcount_warn_saturate"
        ),
    ),
    form(
        Refcount,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nrefcount_t: addition on 0; use-after-free.\nWARNING: lib/refcount.c:25 at refcount_warn_saturate+0x1c/0x90, CPU#1: prog/123",
            "refcount_warn_saturate"
        ),
    ),
    form(
        Refcount,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nrefcount_t: saturated; leaking memory.\nWARNING: CPU: 1 PID: 123 at lib/refcount.c:22 refcount_warn_saturate+0x1c/0x90",
            "refcount_warn_saturate"
        ),
    ),
    form(
        Refcount,
        "widget_ioctl",
        x86!(
            "------------[ cut here ]------------\nrefcount_t: decrement hit 0; leaking memory.\nWARNING: CPU: 1 PID: 123 at lib/refcount.c:31 refcount_warn_saturate+0x1c/0x90",
            "refcount_warn_saturate"
        ),
    ),
    // mm/kasan/report.c.
    form(
        Kasan,
        "widget_bind",
        dumped!(
            "==================================================================\nBUG: KASAN: slab-use-after-free in widget_bind+0x1c/0x90 [widget]\nRead of size 8 at addr ffff888003c6c690 by task prog/123\n",
            " print_address_description.constprop.0+0x2c/0x3d0\n print_report+0xb4/0x270\n kasan_report+0xbd/0xf0\n widget_bind+0x1c/0x90 [widget]"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            "==================================================================\nBUG: KASAN: slab-out-of-bounds in memcpy+0x39/0x60\nWrite of size 64 at addr ffff888003c6c690 by task prog/123\n",
            " kasan_report+0xbd/0xf0\n kasan_check_range+0x10a/0x1e0\n __asan_memcpy+0x3c/0x60\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            "==================================================================\nBUG: KASAN: double-free in widget_bind+0x1c/0x90\nFree of addr ffff888003c6c690 by task prog/123\n",
            " kasan_report_invalid_free+0xaa/0xd0\n __kasan_slab_free+0x47/0x60\n kfree+0x12b/0x3c0\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            "==================================================================\nBUG: KASAN: vmalloc-out-of-bounds in widget_bind+0x1c/0x90\nWrite of size 1 at addr ffffc90000abc000 by task prog/123\n",
            " kasan_report+0xbd/0xf0\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            "BUG: KASAN: null-ptr-deref in widget_bind+0x1c/0x90\nRead of size 4 at addr 0000000000000018 by task prog/123\n",
            " kasan_report.cold+0x8/0x10\n __kasan_report+0x1a/0x20\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            "BUG: KASAN: use-after-free in instrument_atomic_read include/linux/instrumented.h:71 [inline]\nBUG: KASAN: use-after-free in widget_bind+0x1c/0x90 drivers/widget/core.c:9\nRead of size 4 at addr ffff888003c6c690 by task prog/123\n",
            " kasan_report+0xbd/0xf0\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        "BUG: KASAN: invalid-access in widget_bind+0x1c/0x90\nRead at addr f0ff000003c6c690 by task prog/123\nPointer tag: [f0], memory tag: [fe]\n\nCPU: 1 PID: 123 Comm: prog Not tainted 6.1.0 #1\nCall trace:\n dump_backtrace.part.0+0xdc/0xf0\n show_stack+0x18/0x30\n dump_stack_lvl+0x68/0x84\n print_report+0x184/0x608\n kasan_report+0xa4/0x110\n __do_kernel_fault+0x19c/0x1dc\n do_tag_check_fault+0x78/0x8c\n do_mem_abort+0x44/0x94\n el1_abort+0x40/0x60\n el1h_64_sync_handler+0xb0/0xb8\n el1h_64_sync+0x64/0x68\n widget_bind+0x1c/0x90\n widget_open+0x18/0x40\n el0_svc+0x34/0xdc",
    ),
    // mm/kmsan/report.c, kernel/kcsan/report.c, mm/kfence/report.c.
    form(
        Kmsan,
        "widget_bind",
        "=====================================================\nBUG: KMSAN: uninit-value in widget_bind+0x1c/0x90\n widget_bind+0x1c/0x90\n widget_ioctl+0x1a/0x30\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n entry_SYSCALL_64_after_hwframe+0x76/0x7e\n\nUninit was created at:\n slab_post_alloc_hook+0x129/0xa70\n kmem_cache_alloc_node+0x5e9/0xb10\n __alloc_skb+0x18f/0x510\n\nCPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1\nHardware name: QEMU Standard PC\n=====================================================",
    ),
    form(
        Kmsan,
        "widget_ioctl",
        "=====================================================\nBUG: KMSAN: kernel-infoleak in instrument_copy_to_user include/linux/instrumented.h:114 [inline]\nBUG: KMSAN: kernel-infoleak in _copy_to_user+0xbc/0x110\n instrument_copy_to_user include/linux/instrumented.h:114 [inline]\n _copy_to_user+0xbc/0x110\n widget_ioctl+0x1a/0x30\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n\nUninit was stored to memory at:\n other+0x1/0x20\n\nCPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1\n=====================================================",
    ),
    form(
        Kcsan,
        "widget_bind",
        "==================================================================\nBUG: KCSAN: data-race in widget_bind / widget_poll\n\nwrite to 0xffff888103c6c690 of 8 bytes by task 123 on cpu 1:\n widget_bind+0x1c/0x90\n widget_ioctl+0x1a/0x30\n do_syscall_64+0x5b/0x110\n\nread to 0xffff888103c6c690 of 8 bytes by task 124 on cpu 0:\n widget_poll+0x1c/0x90\n do_syscall_64+0x5b/0x110\n\nvalue changed: 0x0000000000000001 -> 0x0000000000000002\n\nReported by Kernel Concurrency Sanitizer on:\nCPU: 0 PID: 124 Comm: prog Not tainted 6.12.0 #1\n==================================================================",
    ),
    form(
        Kcsan,
        "widget_bind",
        "==================================================================\nBUG: KCSAN: assert: race in widget_bind / widget_poll\n\nassert no writes to 0xffff888103c6c690 of 8 bytes by task 123 on cpu 1:\n widget_bind+0x1c/0x90\n widget_ioctl+0x1a/0x30\n\nwrite to 0xffff888103c6c690 of 8 bytes by task 124 on cpu 0:\n widget_poll+0x1c/0x90\n\nReported by Kernel Concurrency Sanitizer on:\nCPU: 0 PID: 124 Comm: prog Not tainted 6.12.0 #1",
    ),
    form(
        Kfence,
        "widget_bind",
        "==================================================================\nBUG: KFENCE: use-after-free read in widget_bind+0x1c/0x90\n\nUse-after-free read at 0xffff888003c6c690 (in kfence-#88):\n widget_bind+0x1c/0x90\n widget_ioctl+0x1a/0x30\n do_syscall_64+0x5b/0x110\n\nkfence-#88: 0xffff888003c6c690-0xffff888003c6c6cf, size=64, cache=kmalloc-64\n\nallocated by task 123 on cpu 1 at 12.123456s:\n widget_alloc+0x1c/0x90\n\nfreed by task 123 on cpu 1 at 12.223456s:\n widget_free+0x1c/0x90\n\nCPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1\n==================================================================",
    ),
    form(
        Kfence,
        "widget_bind",
        "==================================================================\nBUG: KFENCE: out-of-bounds write in widget_bind+0x1c/0x90\n\nOut-of-bounds write at 0xffff888003c6c690 (1B right of kfence-#88):\n widget_bind+0x1c/0x90\n widget_ioctl+0x1a/0x30\n\nkfence-#88: 0xffff888003c6c690-0xffff888003c6c6cf, size=64, cache=kmalloc-64\n\nallocated by task 123 on cpu 1 at 12.123456s:\n widget_alloc+0x1c/0x90\n\nCPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1",
    ),
    form(
        Kfence,
        "widget_free",
        "==================================================================\nBUG: KFENCE: invalid free in kfree+0x1c/0x90\n\nInvalid free of 0xffff888003c6c690 (in kfence-#88):\n kfree+0x1c/0x90\n widget_free+0x1a/0x30\n do_syscall_64+0x5b/0x110\n\nCPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1",
    ),
    form(
        Kfence,
        "widget_free",
        "==================================================================\nBUG: KFENCE: memory corruption in kfree+0x1c/0x90\n\nCorrupted memory at 0xffff888003c6c690 [ 0xac . . . . . . ] (in kfence-#88):\n kfree+0x1c/0x90\n widget_free+0x1a/0x30\n do_syscall_64+0x5b/0x110\n\nCPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1",
    ),
    // lib/ubsan.c: before 5.8, since.
    form(
        Ubsan,
        "widget_bind",
        dumped!(
            "================================================================================\nUBSAN: Undefined behaviour in drivers/widget/core.c:77:9\nshift exponent 64 is too large for 64-bit type 'long unsigned int'",
            " ubsan_epilogue+0x9/0x40\n __ubsan_handle_shift_out_of_bounds+0x15d/0x16e\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Ubsan,
        "widget_bind",
        dumped!(
            "------------[ cut here ]------------\nUBSAN: array-index-out-of-bounds in drivers/widget/core.c:77:9\nindex 8 is out of range for type 'u32 [8]'",
            " __ubsan_handle_out_of_bounds+0xd6/0x110\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Ubsan,
        "widget_bind",
        dumped!(
            "------------[ cut here ]------------\nUBSAN: signed-integer-overflow in ../drivers/widget/core.c:77:9\n2147483647 + 1 cannot be represented in type 'int'",
            " handle_overflow+0x1a2/0x220\n __ubsan_handle_add_overflow+0x10/0x20\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Ubsan,
        "widget_bind",
        dumped!(
            "------------[ cut here ]------------\nUBSAN: invalid-load in drivers/widget/core.c:77:9\nload of value 255 is not a valid value for type '_Bool'",
            " __ubsan_handle_load_invalid_value+0x8a/0x90\n widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Ubsan,
        "widget_bind",
        dumped!(
            "UBSAN: misaligned-access in drivers/widget/core.c:77:9\nmember access within misaligned address 0000000012345679 for type 'struct widget'\nwhich requires 8 byte alignment",
            " ubsan_type_mismatch_common+0x1a/0x20\n __ubsan_handle_type_mismatch_v1+0x15d/0x16e\n widget_bind+0x1c/0x90"
        ),
    ),
    // kernel/watchdog.c: before 4.17, since, on a CPU that answers an NMI.
    form(
        SoftLockup,
        "widget_ioctl",
        x86!(
            "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [prog:123]\nModules linked in: widget(O)",
            "widget_bind"
        ),
    ),
    form(
        SoftLockup,
        "widget_ioctl",
        x86!(
            "NMI watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [prog:123]\nModules linked in: widget(O)",
            "widget_bind"
        ),
    ),
    form(
        SoftLockup,
        "widget_ioctl",
        x86!(
            "BUG: soft lockup - CPU#1 stuck for 22s! [prog:123]\nModules linked in: widget(O)",
            "widget_bind"
        ),
    ),
    form(
        HardLockup,
        "widget_ioctl",
        x86!(
            "watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 1\nModules linked in: widget(O)",
            "widget_bind"
        ),
    ),
    form(
        HardLockup,
        "widget_ioctl",
        x86!(
            "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1\nModules linked in: widget(O)",
            "widget_bind"
        ),
    ),
    form(
        HardLockup,
        "widget_ioctl",
        x86!("Watchdog detected hard LOCKUP on cpu 1\nModules linked in: widget(O)", "widget_bind"),
    ),
    // arch/powerpc/kernel/watchdog.c.
    form(
        HardLockup,
        "widget_bind",
        powerpc!(
            "watchdog: CPU 3 self-detected hard LOCKUP @ widget_bind+0x24/0x60\nwatchdog: CPU 3 TB:12345678, last heartbeat TB:12345600 (12345ms ago)"
        ),
    ),
    // kernel/workqueue.c: wq_watchdog_timer_fn.
    nameless(
        SoftLockup,
        "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 31s!\nShowing busy workqueues and worker pools:\nworkqueue events: flags=0x0\n  pwq 6: cpus=1 node=0 flags=0x0 nice=0 active=1 refcnt=2\n    in-flight: 123:widget_work",
    ),
    // kernel/rcu/tree_stall.h, tree_exp.h, tasks.h.
    form(
        RcuStall,
        "widget_ioctl",
        "rcu: INFO: rcu_preempt self-detected stall on CPU\nrcu: \t1-....: (20999 ticks this GP) idle=3fe/1/0x4000000000000000 softirq=15738/15738 fqs=5250\nrcu: \t(t=21003 jiffies g=12345 q=678 ncpus=4)\nCPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1\nHardware name: QEMU Standard PC\nRIP: 0010:widget_bind+0x1c/0x90\nCode: 48 8b 47 08 <48> 8b 00 c3\nRSP: 0018:ffffc90000013d88 EFLAGS: 00000246\nCall Trace:\n <IRQ>\n ? rcu_dump_cpu_stacks+0xc4/0x100\n ? rcu_sched_clock_irq+0x66f/0x13b0\n ? update_process_times+0x76/0xb0\n ? tick_nohz_handler+0x91/0x130\n ? __hrtimer_run_queues+0x112/0x2b0\n ? hrtimer_interrupt+0xff/0x240\n ? __sysvec_apic_timer_interrupt+0x51/0x100\n ? sysvec_apic_timer_interrupt+0x6d/0x90\n </IRQ>\n <TASK>\n ? asm_sysvec_apic_timer_interrupt+0x1a/0x20\n widget_bind+0x1c/0x90\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n entry_SYSCALL_64_after_hwframe+0x76/0x7e\n </TASK>",
    ),
    form(
        RcuStall,
        "widget_ioctl",
        "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\nrcu: \t1-...0: (1 GPs behind) idle=3fe/1/0x4000000000000000 softirq=15738/15738 fqs=5250\nrcu: \t(detected by 0, t=21002 jiffies, g=12345, q=678 ncpus=4)\nSending NMI from CPU 0 to CPUs 1:\nNMI backtrace for cpu 1\nCPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1\nRIP: 0010:widget_bind+0x1c/0x90\nCode: 48 8b 47 08 <48> 8b 00 c3\nRSP: 0018:ffffc90000013d88 EFLAGS: 00000246\nCall Trace:\n <NMI>\n ? nmi_cpu_backtrace+0x99/0x110\n ? nmi_handle+0x5e/0x150\n </NMI>\n <TASK>\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n </TASK>",
    ),
    form(
        RcuStall,
        "widget_ioctl",
        "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-...D } 21006 jiffies s: 545 root: 0x2/.\nrcu: blocking rcu_node structures (internal RCU debug):\nSending NMI from CPU 0 to CPUs 1:\nNMI backtrace for cpu 1\nCPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1\nRIP: 0010:widget_bind+0x1c/0x90\nCode: 48 8b 47 08 <48> 8b 00 c3\nRSP: 0018:ffffc90000013d88 EFLAGS: 00000246\nCall Trace:\n <TASK>\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n </TASK>",
    ),
    form(
        RcuStall,
        "widget_ioctl",
        "INFO: rcu_sched self-detected stall on CPU { 1}  (t=21000 jiffies g=12345 c=12344 q=678)\nTask dump for CPU 1:\nprog            R  running task        0   123      1 0x00000008\nCall Trace:\n <IRQ>  [<ffffffff810a1234>] sched_show_task+0xd4/0x140\n [<ffffffff810e1234>] rcu_dump_cpu_stacks+0x90/0xd0\n [<ffffffff810e5678>] rcu_check_callbacks+0x3a1/0x7a0\n [<ffffffff810f1234>] update_process_times+0x46/0x60\n [<ffffffff81101234>] tick_sched_timer+0x50/0x60\n [<ffffffff810b1234>] hrtimer_interrupt+0xb2/0x1e0\n [<ffffffff81041234>] smp_apic_timer_interrupt+0x44/0x50\n [<ffffffff81651234>] apic_timer_interrupt+0x6d/0x80\n <EOI>  [<ffffffffa0001234>] ? widget_bind+0x1c/0x90\n [<ffffffffa0001300>] widget_ioctl+0x1a/0x30\n [<ffffffff811c1234>] do_vfs_ioctl+0x2e0/0x4c0\n [<ffffffff811c5678>] SyS_ioctl+0x81/0xa0\n [<ffffffff81659876>] system_call_fastpath+0x16/0x1b",
    ),
    form(
        RcuStall,
        "widget_ioctl",
        "rcu: INFO: rcu_tasks detected stalls on tasks:\n00000000deadbeef: .. nvcsw: 2/2 holdout: 1 idle_cpu: -1/1\ntask:prog            state:R  running task     stack:0     pid:123   tgid:123   ppid:1      flags:0x00004008\nCall Trace:\n <TASK>\n __schedule+0x3c9/0x1520\n widget_bind+0x1c/0x90\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n </TASK>",
    ),
    // kernel/hung_task.c.
    form(
        HungTask,
        "widget_ioctl",
        "INFO: task prog:123 blocked for more than 143 seconds.\n      Not tainted 6.12.0 #1\n\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\ntask:prog            state:D stack:26208 pid:123   tgid:123   ppid:1      flags:0x00004006\nCall Trace:\n <TASK>\n context_switch kernel/sched/core.c:5369 [inline]\n __schedule+0x3c9/0x1520\n schedule+0x5a/0xd0\n schedule_preempt_disabled+0x11/0x20\n __mutex_lock.constprop.0+0x34d/0x6c0\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30\n __x64_sys_ioctl+0x8e/0xd0\n do_syscall_64+0x5b/0x110\n </TASK>",
    ),
    form(
        HungTask,
        "widget_ioctl",
        "INFO: task prog:123 blocked for more than 120 seconds.\n      Tainted: G        W       4.9.0 #1\n\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\nprog            D26208   123      1 0x00000004\nCall Trace:\n [<ffffffff8165abcd>] __schedule+0x23d/0x6d0\n [<ffffffff8165b123>] schedule+0x33/0x80\n [<ffffffff8165e456>] rwsem_down_write_failed+0x1f6/0x360\n [<ffffffff8131c789>] call_rwsem_down_write_failed+0x13/0x20\n [<ffffffff8165d012>] down_write+0x2d/0x40\n [<ffffffffa0001300>] widget_ioctl+0x1a/0x30\n [<ffffffff811c1234>] do_vfs_ioctl+0x2e0/0x4c0",
    ),
    form(
        HungTask,
        "widget_ioctl",
        "INFO: task prog:123 blocked in I/O wait for more than 143 seconds.\n      Not tainted 7.0.0 #1\n\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\ntask:prog            state:D stack:0     pid:123   tgid:123   ppid:1      task_flags:0x400040 flags:0x00004006\nCall Trace:\n <TASK>\n __schedule+0x3c9/0x1520\n schedule+0x5a/0xd0\n io_schedule+0x46/0x80\n folio_wait_bit_common+0x13d/0x350\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30\n do_syscall_64+0x5b/0x110\n </TASK>",
    ),
    // kernel/locking/lockdep.c.
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "======================================================\nWARNING: possible circular locking dependency detected\n6.12.0 #1 Not tainted\n------------------------------------------------------\nprog/123 is trying to acquire lock:\nffff888003c6c690 (&w->lock){+.+.}-{3:3}, at: widget_ioctl+0x1a/0x30\n\nbut task is already holding lock:\nffff888003c6c790 (&w->other){+.+.}-{3:3}, at: widget_open+0x18/0x40\n\nwhich lock already depends on the new lock.\n\n\nthe existing dependency chain (in reverse order) is:\n\n-> #1 (&w->other){+.+.}-{3:3}:\n       __mutex_lock+0x98/0x990\n       other_open+0x18/0x40\n\n-> #0 (&w->lock){+.+.}-{3:3}:\n       __lock_acquire+0x1404/0x2690\n       lock_acquire+0xd1/0x2e0\n       __mutex_lock+0x98/0x990\n       widget_ioctl+0x1a/0x30\n\nother info that might help us debug this:\n\n Possible unsafe locking scenario:\n\n       CPU0                    CPU1\n       ----                    ----\n  lock(&w->other);\n                               lock(&w->lock);\n                               lock(&w->other);\n  lock(&w->lock);\n\n *** DEADLOCK ***\n\n1 lock held by prog/123:\n #0: ffff888003c6c790 (&w->other){+.+.}-{3:3}, at: widget_open+0x18/0x40\n\nstack backtrace:",
            " print_circular_bug+0x2b3/0x3a0\n check_noncircular+0x131/0x150\n __lock_acquire+0x1404/0x2690\n lock_acquire+0xd1/0x2e0\n __mutex_lock+0x98/0x990\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "============================================\nWARNING: possible recursive locking detected\n6.12.0 #1 Not tainted\n--------------------------------------------\nprog/123 is trying to acquire lock:\nffff888003c6c690 (&w->lock){+.+.}-{3:3}, at: widget_ioctl+0x1a/0x30\n\nbut task is already holding lock:\nffff888003c6c790 (&w->lock){+.+.}-{3:3}, at: widget_open+0x18/0x40\n\nother info that might help us debug this:\n Possible unsafe locking scenario:\n\n       CPU0\n       ----\n  lock(&w->lock);\n  lock(&w->lock);\n\n *** DEADLOCK ***\n\n May be due to missing lock nesting notation\n\n1 lock held by prog/123:\n #0: ffff888003c6c790 (&w->lock){+.+.}-{3:3}, at: widget_open+0x18/0x40\n\nstack backtrace:",
            " print_deadlock_bug+0x2b3/0x3a0\n __lock_acquire+0x1404/0x2690\n lock_acquire+0xd1/0x2e0\n __mutex_lock+0x98/0x990\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "================================\nWARNING: inconsistent lock state\n6.12.0 #1 Not tainted\n--------------------------------\ninconsistent {IN-SOFTIRQ-W} -> {SOFTIRQ-ON-W} usage.\nprog/123 [HC0[0]:SC0[0]:HE1:SE1] takes:\nffff888003c6c690 (&w->lock){+.?.}-{2:2}, at: widget_ioctl+0x1a/0x30\n{IN-SOFTIRQ-W} state was registered at:\n  lock_acquire+0xd1/0x2e0\n  _raw_spin_lock+0x2c/0x40\n  other_timer+0x18/0x40\nirq event stamp: 1234\nhardirqs last  enabled at (1233): [<ffffffff81c01234>] _raw_spin_unlock_irqrestore+0x27/0x50\n\nother info that might help us debug this:\n Possible unsafe locking scenario:\n\n       CPU0\n       ----\n  lock(&w->lock);\n  <Interrupt>\n    lock(&w->lock);\n\n *** DEADLOCK ***\n\nno locks held by prog/123.\n\nstack backtrace:",
            " print_usage_bug.part.0+0x2b3/0x3a0\n mark_lock_irq+0x3a1/0x6b0\n mark_lock.part.0+0x105/0x5a0\n __lock_acquire+0x1404/0x2690\n lock_acquire+0xd1/0x2e0\n _raw_spin_lock+0x2c/0x40\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "=============================\nWARNING: suspicious RCU usage\n6.12.0 #1 Not tainted\n-----------------------------\ndrivers/widget/core.c:99 suspicious rcu_dereference_check() usage!\n\nother info that might help us debug this:\n\n\nrcu_scheduler_active = 2, debug_locks = 1\nno locks held by prog/123.\n\nstack backtrace:",
            " lockdep_rcu_suspicious+0x154/0x1a0\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "=====================================\nWARNING: bad unlock balance detected!\n6.12.0 #1 Not tainted\n-------------------------------------\nprog/123 is trying to release lock (&w->lock) at:\n[<ffffffffa0001300>] widget_ioctl+0x1a/0x30\nbut there are no more locks to release!\n\nother info that might help us debug this:\nno locks held by prog/123.\n\nstack backtrace:",
            " print_unlock_imbalance_bug+0xe4/0x100\n lock_release+0x1d1/0x2f0\n __mutex_unlock_slowpath+0x3c/0x2b0\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "=============================\n[ BUG: Invalid wait context ]\n6.12.0 #1 Not tainted\n-----------------------------\nprog/123 is trying to lock:\nffff888003c6c690 (&w->lock){....}-{3:3}, at: widget_ioctl+0x1a/0x30\nother info that might help us debug this:\ncontext-{5:5}\n1 lock held by prog/123:\n #0: ffff888003c6c790 (&w->other){+.+.}-{2:2}, at: widget_open+0x18/0x40\nstack backtrace:",
            " __lock_acquire+0x1404/0x2690\n lock_acquire+0xd1/0x2e0\n _raw_spin_lock+0x2c/0x40\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_open",
        "====================================\nWARNING: prog/123 still has locks held!\n6.12.0 #1 Not tainted\n------------------------------------\n1 lock held by prog/123:\n #0: ffff888003c6c790 (&w->other){+.+.}-{3:3}, at: widget_open+0x18/0x40\n\nstack backtrace:\nCPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1\nCall Trace:\n <TASK>\n dump_stack_lvl+0x6c/0xa0\n do_exit+0x123/0xb00\n do_group_exit+0x2d/0xc0\n __x64_sys_exit_group+0x14/0x20\n </TASK>",
    ),
    form(
        Lockdep,
        "widget_open",
        "================================================\nWARNING: lock held when returning to user space!\n6.12.0 #1 Not tainted\n------------------------------------------------\nprog/123 is leaving the kernel with locks still held!\n1 lock held by prog/123:\n #0: ffff888003c6c790 (&w->other){+.+.}-{3:3}, at: widget_open+0x18/0x40",
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "=========================\nWARNING: held lock freed!\n6.12.0 #1 Not tainted\n-------------------------\nprog/123 is freeing memory ffff888003c6c600-ffff888003c6c7ff, with a lock still held there!\nffff888003c6c690 (&w->lock){+.+.}-{3:3}, at: widget_ioctl+0x1a/0x30\n1 lock held by prog/123:\n #0: ffff888003c6c690 (&w->lock){+.+.}-{3:3}, at: widget_ioctl+0x1a/0x30\n\nstack backtrace:",
            " debug_check_no_locks_freed+0x123/0x150\n kfree+0x1c/0x90\n widget_free+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "INFO: trying to register non-static key.\nThe code is fine but needs lockdep annotation, or maybe\nyou didn't initialize this object before use?\nturning off the locking correctness validator.",
            " register_lock_class+0x1123/0x1150\n __lock_acquire+0x1404/0x2690\n lock_acquire+0xd1/0x2e0\n _raw_spin_lock+0x2c/0x40\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "========================================================\nWARNING: possible irq lock inversion dependency detected\n6.12.0 #1 Not tainted\n--------------------------------------------------------\nprog/123 just changed the state of lock:\nffff888003c6c690 (&w->lock){-.-.}-{2:2}, at: widget_ioctl+0x1a/0x30\nbut this lock took another, HARDIRQ-unsafe lock in the past:\n (&w->other){+.+.}-{2:2}\n\n\nand interrupts could create inverse lock ordering between them.\n\nstack backtrace:",
            " print_irq_inversion_bug+0x1b3/0x1c0\n mark_lock+0x105/0x5a0\n __lock_acquire+0x1404/0x2690\n lock_acquire+0xd1/0x2e0\n _raw_spin_lock+0x2c/0x40\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "INFO: possible circular locking dependency detected ]\n4.4.0 #1 Not tainted\n-------------------------------------------------------\nprog/123 is trying to acquire lock:\n (&w->lock){+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30\n\nstack backtrace:",
            " print_circular_bug+0x2b3/0x3a0\n lock_acquire+0xd1/0x2e0\n mutex_lock_nested+0x98/0x990\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            "BUG: MAX_LOCKDEP_KEYS too low!\nturning off the locking correctness validator.",
            " register_lock_class+0x1123/0x1150\n __lock_acquire+0x1404/0x2690\n lock_acquire+0xd1/0x2e0\n _raw_spin_lock+0x2c/0x40\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    // kernel/sched/core.c.
    form(
        SleepingInAtomic,
        "widget_ioctl",
        dumped!(
            "BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585\nin_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 123, name: prog\npreempt_count: 1, expected: 0\nRCU nest depth: 0, expected: 0",
            " __might_resched+0x1a2/0x280\n __mutex_lock+0x98/0x990\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        SleepingInAtomic,
        "widget_ioctl",
        dumped!(
            "BUG: scheduling while atomic: prog/123/0x00000002\nModules linked in:",
            " __schedule_bug+0x51/0x60\n __schedule+0x3c9/0x1520\n schedule+0x5a/0xd0\n schedule_timeout+0x151/0x160\n msleep+0x2d/0x40\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        SleepingInAtomic,
        "widget_ioctl",
        dumped!(
            "BUG: assuming atomic context at drivers/widget/core.c:44\nin_atomic(): 0, irqs_disabled(): 0, pid: 123, name: prog",
            " __cant_sleep+0x81/0xa0\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    // lib/smp_processor_id.c, kernel/locking/spinlock_debug.c, kernel/workqueue.c.
    form(
        Bug,
        "widget_ioctl",
        dumped!(
            "BUG: using smp_processor_id() in preemptible [00000000] code: prog/123\ncaller is widget_ioctl+0x1a/0x30",
            " check_preemption_disabled+0xdd/0xe0\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        dumped!(
            "BUG: spinlock bad magic on CPU#1, prog/123\n lock: 0xffff888003c6c690, .magic: 00000000, .owner: <none>/-1, .owner_cpu: 0",
            " spin_bug+0x7c/0x90\n do_raw_spin_lock+0x90/0xd0\n _raw_spin_lock+0x2c/0x40\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        SoftLockup,
        "widget_ioctl",
        dumped!(
            "BUG: spinlock lockup suspected on CPU#1, prog/123\n lock: 0xffff888003c6c690, .magic: dead4ead, .owner: other/9, .owner_cpu: 0",
            " spin_dump+0x7c/0x90\n do_raw_spin_lock+0x90/0xd0\n _raw_spin_lock+0x2c/0x40\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Bug,
        "widget_work",
        "BUG: workqueue leaked atomic, lock or RCU: kworker/1:2[123]\n     preempt=0x00000001 lock=0->0 RCU=0->0 workfn=widget_work\nCPU: 1 PID: 123 Comm: kworker/1:2 Not tainted 6.12.0 #1\nWorkqueue: events widget_work\nCall Trace:\n <TASK>\n dump_stack_lvl+0x6c/0xa0\n process_one_work+0x4c4/0x5a0\n worker_thread+0x1c0/0x380\n kthread+0xd2/0x100\n ret_from_fork+0x34/0x50\n </TASK>",
    ),
    form(
        Bug,
        "widget_work",
        "BUG: workqueue leaked lock or atomic: kworker/1:2/0x00000001/123\n     last function: widget_work\nCPU: 1 PID: 123 Comm: kworker/1:2 Not tainted 5.10.0 #1\nWorkqueue: events widget_work\nCall Trace:\n dump_stack+0x6c/0xa0\n process_one_work+0x4c4/0x5a0\n worker_thread+0x1c0/0x380\n kthread+0xd2/0x100\n ret_from_fork+0x34/0x50",
    ),
    // mm/page_alloc.c, mm/memory.c, kernel/fork.c.
    form(
        Bug,
        "widget_ioctl",
        dumped!(
            "BUG: Bad page state in process prog  pfn:12345\npage: refcount:0 mapcount:1 mapping:0000000000000000 index:0x0 pfn:0x12345\nflags: 0x200000000000000(node=0|zone=2)\nraw: 0200000000000000 dead000000000100 dead000000000122 0000000000000000\npage dumped because: nonzero mapcount\nModules linked in:",
            " bad_page+0x71/0x100\n free_unref_page+0x4f0/0x560\n __free_pages+0x91/0xd0\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Bug,
        "unmap_page_range",
        dumped!(
            "BUG: Bad page map in process prog  pte:800000012345 pmd:12345067\naddr:00007f1234567000 vm_flags:00000075 anon_vma:0000000000000000 mapping:ffff888003c6c690 index:5\nfile:libc.so fault:filemap_fault mmap:ext4_file_mmap read_folio:ext4_read_folio",
            " print_bad_pte+0x1c4/0x250\n unmap_page_range+0x8a1/0x1010\n unmap_vmas+0xb1/0x190\n exit_mmap+0xd1/0x2f0\n mmput+0x5f/0x130"
        ),
    ),
    nameless(Bug, "BUG: Bad rss-counter state mm:ffff888003c6c690 type:MM_ANONPAGES val:1 Comm:prog Pid:123"),
    nameless(Bug, "BUG: non-zero pgtables_bytes on freeing mm: 4096"),
    // mm/slub.c, slab_bug and slab_fix.
    form(
        Slab,
        "widget_ioctl",
        dumped!(
            "=============================================================================\nBUG kmalloc-64 (Not tainted): Right Redzone overwritten\n-----------------------------------------------------------------------------\n\n0xffff888003c6c6d0-0xffff888003c6c6d7 @offset=1744. First byte 0x41 instead of 0xcc\nAllocated in widget_alloc+0x18/0x40 age=12 cpu=1 pid=123\n __kmalloc+0x1f1/0x2e0\n widget_alloc+0x18/0x40\nSlab 0xffffea00000f1b00 objects=21 used=20 fp=0xffff888003c6c6e0 flags=0x200(workingset|node=0)\nObject 0xffff888003c6c690 @offset=1680 fp=0x0000000000000000\n\nRedzone  ffff888003c6c6d0: 41 41 41 41 41 41 41 41                          AAAAAAAA",
            " check_bytes_and_report.cold+0x2d/0x4a\n check_object+0x1e1/0x290\n free_to_partial_list+0x1a3/0x560\n kfree+0x1c/0x90\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Slab,
        "widget_ioctl",
        dumped!(
            "=============================================================================\nBUG kmalloc-64 (Tainted: G    B             ): Object already free\n-----------------------------------------------------------------------------\n\nSlab 0xffffea00000f1b00 objects=21 used=20 fp=0xffff888003c6c6e0 flags=0x200(workingset|node=0)\nObject 0xffff888003c6c690 @offset=1680 fp=0x0000000000000000",
            " slab_err+0x93/0xd0\n free_consistency_checks+0x1e1/0x290\n free_to_partial_list+0x1a3/0x560\n kfree+0x1c/0x90\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Slab,
        "widget_ioctl",
        dumped!(
            "=============================================================================\nBUG kmalloc-64 (Not tainted): Poison overwritten\n-----------------------------------------------------------------------------\n\n0xffff888003c6c690-0xffff888003c6c690 @offset=1680. First byte 0x6a instead of 0x6b\nObject 0xffff888003c6c690 @offset=1680 fp=0x0000000000000000",
            " check_bytes_and_report.cold+0x2d/0x4a\n check_object+0x1e1/0x290\n alloc_debug_processing+0x1a3/0x560\n __kmalloc+0x1c/0x90\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30"
        ),
    ),
    // mm/kmemleak.c, net/core/dev.c, fs/super.c.
    form(
        Leak,
        "widget_alloc",
        "unreferenced object 0xffff888003c6c690 (size 64):\n  comm \"prog\", pid 123, jiffies 4294937368 (age 128.520s)\n  hex dump (first 32 bytes):\n    00 77 fb 5f 00 88 ff ff a0 56 a7 81 ff ff ff ff  .w._.....V......\n  backtrace:\n    [<000000005cb5aa0e>] kmemleak_alloc+0x2a/0x60\n    [<0000000074d33dbd>] __kmalloc+0x1f1/0x2e0\n    [<00000000c8234a88>] widget_alloc+0x18/0x40\n    [<00000000abadf90a>] do_one_initcall+0x50/0x22c",
    ),
    form(
        Leak,
        "widget_alloc",
        "BUG: memory leak\nunreferenced object 0xffff888003c6c690 (size 64):\n  comm \"prog\", pid 123, jiffies 4294937368\n  hex dump (first 32 bytes):\n    00 77 fb 5f 00 88 ff ff a0 56 a7 81 ff ff ff ff  .w._.....V......\n  backtrace (crc 1234abcd):\n    kmemleak_alloc_recursive include/linux/kmemleak.h:42 [inline]\n    slab_post_alloc_hook mm/slub.c:3874 [inline]\n    kmalloc_trace+0x2a/0x60 mm/slub.c:4150\n    widget_alloc+0x18/0x40 drivers/widget/core.c:9\n    do_one_initcall+0x50/0x22c",
    ),
    nameless(Leak, "unregister_netdevice: waiting for lo to become free. Usage count = 2"),
    // kernel/panic.c.
    form(
        Panic,
        "widget_init",
        "Kernel panic - not syncing: widget: cannot go on\nCPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1\nCall Trace:\n <TASK>\n dump_stack_lvl+0x6c/0xa0\n panic+0x107/0x2c7\n widget_init+0x18/0x40\n do_one_initcall+0x50/0x22c\n kernel_init_freeable+0x1b4/0x2c0\n kernel_init+0x15/0x120\n ret_from_fork+0x34/0x50\n </TASK>\n---[ end Kernel panic - not syncing: widget: cannot go on ]---",
    ),
    form(
        Panic,
        "widget_ioctl",
        "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: widget_ioctl+0x1a/0x30\nCPU: 0 PID: 1 Comm: prog Not tainted 6.12.0 #1\nCall Trace:\n <TASK>\n dump_stack_lvl+0x6c/0xa0\n panic+0x107/0x2c7\n __stack_chk_fail+0x10/0x10\n widget_ioctl+0x1a/0x30\n vfs_ioctl+0x1a/0x30\n </TASK>",
    ),
    nameless(
        Rootfs,
        "VFS: Cannot open root device \"vda1\" or unknown-block(0,0): error -6\nPlease append a correct \"root=\" boot option; here are the available partitions:\n0b00         1048575 sr0 \n driver: sr\nKernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\nCPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1\nCall Trace:\n <TASK>\n dump_stack_lvl+0x6c/0xa0\n panic+0x107/0x2c7\n mount_root_generic+0x1b2/0x2a0\n prepare_namespace+0x6e/0x280\n kernel_init+0x15/0x120\n ret_from_fork+0x34/0x50\n </TASK>",
    ),
    nameless(
        Rootfs,
        "Kernel panic - not syncing: No working init found.  Try passing init= option to kernel. See Linux Documentation/admin-guide/init.rst for guidance.\nCPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1\nCall Trace:\n <TASK>\n panic+0x107/0x2c7\n kernel_init+0x120/0x120\n ret_from_fork+0x34/0x50\n </TASK>",
    ),
    // arch/arm64: mm/fault.c, kernel/traps.c.
    form(
        PageFault,
        "widget_bind",
        arm64!(
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008\nMem abort info:\n  ESR = 0x0000000096000004\n  EC = 0x25: DABT (current EL), IL = 32 bits\n  SET = 0, FnV = 0\n  EA = 0, S1PTW = 0\n  FSC = 0x04: level 0 translation fault\nData abort info:\n  ISV = 0, ISS = 0x00000004, ISS2 = 0x00000000\n  CM = 0, WnR = 0, TnD = 0, TagAccess = 0\nuser pgtable: 4k pages, 48-bit VAs, pgdp=0000000043d3e000\n[0000000000000008] pgd=0000000000000000, p4d=0000000000000000\nInternal error: Oops: 0000000096000004 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm64!(
            "Unable to handle kernel paging request at virtual address dead000000000108\nMem abort info:\n  ESR = 0x0000000096000044\n[dead000000000108] address between user and kernel address ranges\nInternal error: Oops: 0000000096000044 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm64!(
            "Unable to handle kernel write to read-only memory at virtual address ffff800008a51234\nMem abort info:\n  ESR = 0x000000009600004e\nInternal error: Oops: 000000009600004e [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm64!(
            "Unable to handle kernel execute from non-executable memory at virtual address ffff000003c6c690\nMem abort info:\n  ESR = 0x000000008600000e\nInternal error: Oops: 000000008600000e [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm64!(
            "Unable to handle kernel access to user memory outside uaccess routines at virtual address 0000ffff12345678\nMem abort info:\n  ESR = 0x000000009600004f\nInternal error: Oops: 000000009600004f [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        Oops,
        "widget_bind",
        arm64!("Internal error: synchronous external abort: 0000000096000210 [#1] SMP", "widget_bind"),
    ),
    form(
        Oops,
        "widget_bind",
        arm64!("SError Interrupt on CPU2, code 0x00000000be000011 -- SError", "widget_bind"),
    ),
    form(
        InvalidOpcode,
        "widget_bind",
        arm64!("Internal error: Oops - Undefined instruction: 0000000002000000 [#1] SMP", "widget_bind"),
    ),
    form(
        Bug,
        "widget_bind",
        arm64!(
            "------------[ cut here ]------------\nkernel BUG at drivers/widget/core.c:123!\nInternal error: Oops - BUG: 00000000f2000800 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(Oops, "widget_bind", arm64!("Internal error: Oops - BTI: 0000000034000002 [#1] SMP", "widget_bind")),
    form(
        Oops,
        "widget_bind",
        arm64!("Internal error: Oops - FPAC: 0000000072000000 [#1] SMP", "widget_bind"),
    ),
    form(
        Bug,
        "widget_bind",
        arm64!(
            "CFI failure at widget_bind+0x24/0x80 (target: other+0x0/0x10; expected type: 0x12345678)\nInternal error: Oops - CFI: 00000000f2008228 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(
        Breakpoint,
        "widget_bind",
        arm64!(
            "Unexpected kernel BRK exception at EL1\nInternal error: BRK handler: 00000000f2000042 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(
        Warning,
        "widget_bind",
        arm64!(
            "------------[ cut here ]------------\nWARNING: CPU: 2 PID: 321 at drivers/widget/core.c:55 widget_bind+0x24/0x80",
            "widget_bind"
        ),
    ),
    // arch/arm: mm/fault.c, kernel/traps.c.
    form(
        PageFault,
        "widget_bind",
        arm!(
            "8<--- cut here ---\nUnable to handle kernel NULL pointer dereference at virtual address 00000008 when read\n[00000008] *pgd=00000000\nInternal error: Oops: 5 [#1] SMP ARM"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm!(
            "Unable to handle kernel paging request at virtual address bf001234\npgd = (ptrval)\n[bf001234] *pgd=4683a811, *pte=00000000, *ppte=00000000\nInternal error: Oops: 80000007 [#1] PREEMPT SMP ARM"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm!(
            "8<--- cut here ---\nUnhandled fault: imprecise external abort (0x1c06) at 0xb6f4e000\npgd = (ptrval)\n[b6f4e000] *pgd=86a12831\nInternal error: : 1c06 [#1] SMP ARM"
        ),
    ),
    form(InvalidOpcode, "widget_bind", arm!("Internal error: Oops - undefined instruction: 0 [#1] SMP ARM")),
    form(
        Bug,
        "widget_bind",
        arm!(
            "------------[ cut here ]------------\nkernel BUG at drivers/widget/core.c:123!\nInternal error: Oops - BUG: 0 [#1] SMP ARM"
        ),
    ),
    form(
        StackOverflow,
        "widget_probe",
        arm!(
            "Insufficient stack space to handle exception!\nTask stack:     [0xf0890000..0xf0892000]\nIRQ stack:      [0xf0800000..0xf0802000]\nOverflow stack: [0xc3a00000..0xc3a01000]\nInternal error: kernel stack overflow: 0 [#1] SMP ARM"
        ),
    ),
    // arch/riscv: mm/fault.c, kernel/traps.c.
    form(
        PageFault,
        "widget_bind",
        riscv!(
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008\nOops [#1]"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        riscv!("Unable to handle kernel paging request at virtual address ff1c000000000008\nOops [#1]"),
    ),
    form(
        PageFault,
        "widget_bind",
        riscv!(
            "Unable to handle kernel access to user memory without uaccess routines at virtual address 0000003fffd885e0\nOops [#1]"
        ),
    ),
    form(
        Bug,
        "widget_bind",
        riscv!(
            "------------[ cut here ]------------\nkernel BUG at drivers/widget/core.c:123!\nKernel BUG [#1]"
        ),
    ),
    form(InvalidOpcode, "widget_bind", riscv!("Oops - illegal instruction [#1]")),
    form(Oops, "widget_bind", riscv!("Oops - load address misaligned [#1]")),
    form(
        Warning,
        "widget_bind",
        riscv!(
            "------------[ cut here ]------------\nWARNING: CPU: 0 PID: 55 at drivers/widget/core.c:55 widget_bind+0x10/0x24"
        ),
    ),
    // arch/powerpc: mm/fault.c, kernel/traps.c.
    form(
        PageFault,
        "widget_bind",
        powerpc!(
            "BUG: Kernel NULL pointer dereference on read at 0x00000008\nFaulting instruction address: 0xc000000000a1b2c4\nOops: Kernel access of bad area, sig: 11 [#1]"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        powerpc!(
            "BUG: Unable to handle kernel data access on write at 0xc00800000abc0000\nFaulting instruction address: 0xc000000000a1b2c4\nOops: Kernel access of bad area, sig: 7 [#1]"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        powerpc!(
            "BUG: Unable to handle kernel instruction fetch (NULL function pointer?)\nFaulting instruction address: 0x00000000\nOops: Kernel access of bad area, sig: 11 [#1]"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        powerpc!(
            "Unable to handle kernel paging request for data at address 0x00000008\nFaulting instruction address: 0xc000000000a1b2c4\nOops: Kernel access of bad area, sig: 11 [#1]"
        ),
    ),
    form(
        Bug,
        "widget_bind",
        powerpc!(
            "------------[ cut here ]------------\nkernel BUG at drivers/widget/core.c:123!\nOops: Exception in kernel mode, sig: 5 [#1]"
        ),
    ),
    form(Oops, "widget_bind", powerpc!("Oops: Unrecoverable exception, sig: 6 [#1]")),
    form(
        Warning,
        "widget_bind",
        powerpc!(
            "------------[ cut here ]------------\nWARNING: CPU: 3 PID: 77 at drivers/widget/core.c:55 widget_bind+0x24/0x60"
        ),
    ),
    // arch/s390: mm/fault.c, kernel/dumpstack.c.
    form(
        PageFault,
        "widget_bind",
        s390!(
            "Unable to handle kernel pointer dereference in virtual kernel address space\nFailing address: 0000000000000000 TEID: 0000000000000483\nFault in home space mode while using kernel ASCE.\nAS:000000000276c007 R3:00000001ffff8007 S:00000001ffff5000 P:000000000000013d \nOops: 0004 ilc:2 [#1] SMP "
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        s390!(
            "Unable to handle kernel paging request in virtual user address space\nFailing address: 000003ff80abc000 TEID: 000003ff80abc803\nFault in primary space mode while using kernel ASCE.\nOops: 0011 ilc:3 [#1] PREEMPT SMP "
        ),
    ),
    form(
        Bug,
        "widget_bind",
        s390!(
            "------------[ cut here ]------------\nkernel BUG at drivers/widget/core.c:123!\nmonitor event: 0040 ilc:2 [#1] SMP "
        ),
    ),
    form(InvalidOpcode, "widget_bind", s390!("illegal operation: 0001 ilc:1 [#1] SMP ")),
    form(Oops, "widget_bind", s390!("specification exception: 0006 ilc:2 [#1] PREEMPT SMP ")),
    form(Oops, "widget_bind", s390!("addressing exception: 0005 ilc:2 [#1] SMP ")),
    form(Oops, "widget_bind", s390!("fixpoint divide exception: 0009 ilc:2 [#1] SMP ")),
    // arch/mips: mm/fault.c, kernel/traps.c.
    form(
        PageFault,
        "widget_bind",
        mips!(
            "CPU 0 Unable to handle kernel paging request at virtual address 00000008, epc == 80523a40, ra == 80523b00\nOops[#1]:"
        ),
    ),
    form(Bug, "widget_bind", mips!("Kernel bug detected[#1]:")),
    form(InvalidOpcode, "widget_bind", mips!("Reserved instruction in kernel code[#1]:")),
    form(Oops, "widget_bind", mips!("Unhandled kernel unaligned access[#1]:")),
    form(Oops, "widget_bind", mips!("Break instruction in kernel code[#1]:")),
    form(Oops, "widget_bind", mips!("do_cpu invoked from kernel context![#1]:")),
    form(Oops, "widget_bind", mips!("Data bus error, epc == 80523a40, ra == 80523b00\nOops[#1]:")),
    // arch/loongarch: mm/fault.c, kernel/traps.c.
    form(
        PageFault,
        "widget_bind",
        loongarch!(
            "CPU 1 Unable to handle kernel paging request at virtual address 0000000000000008, era == 9000000000221f3c, ra == 9000000000222040\nOops[#1]:"
        ),
    ),
    form(Bug, "widget_bind", loongarch!("kernel BUG at drivers/widget/core.c:123!\nOops - BUG[#1]:")),
    form(Oops, "widget_bind", loongarch!("Kernel ale access[#1]:")),
    form(Oops, "widget_bind", loongarch!("Break instruction in kernel code[#1]:")),
    // kernel/irq/spurious.c: __report_bad_irq.
    form(
        Warning,
        "usb_hcd_irq",
        "irq 16: nobody cared (try booting with the \"irqpoll\" option)\nCPU: 0 PID: 0 Comm: swapper/0 Not tainted 6.12.0 #1\nHardware name: QEMU Standard PC\nCall Trace:\n <IRQ>\n dump_stack_lvl+0x6c/0xa0\n __report_bad_irq+0x35/0xaa\n note_interrupt.cold+0xa/0x62\n handle_irq_event+0x71/0x80\n handle_fasteoi_irq+0x8d/0x1e0\n __common_interrupt+0x43/0xa0\n common_interrupt+0x80/0xa0\n </IRQ>\n <TASK>\n asm_common_interrupt+0x26/0x40\nhandlers:\n[<00000000deadbeef>] usb_hcd_irq\nDisabling IRQ #16",
    ),
];
