//! The words of 2.6.32 to 4.14, and of 32-bit x86.

use kvet_console::Kind::*;

use crate::{Form, form};

pub const FORMS: &[Form] = &[
    // arch/x86/mm/fault.c, kernel/{dumpstack,process_32}.c.
    form(
        PageFault,
        "widget_bind",
        r"BUG: unable to handle kernel NULL pointer dereference at 0000000000000018
IP: [<ffffffffa0001234>] widget_bind+0x1c/0x90 [widget]
PGD 0 
Oops: 0000 [#1] SMP 
Modules linked in: widget(O) ext4 mbcache jbd2
CPU: 1 PID: 123 Comm: prog Tainted: G           OE  ------------   3.10.0-957.el7.x86_64 #1
Hardware name: Red Hat KVM, BIOS 0.5.1 01/01/2011
task: ffff88003c6c6900 ti: ffff88003c0c0000 task.ti: ffff88003c0c0000
RIP: 0010:[<ffffffffa0001234>]  [<ffffffffa0001234>] widget_bind+0x1c/0x90 [widget]
RSP: 0018:ffff88003c0c3d88  EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001
Stack:
 ffff88003c0c3dc8 ffffffff81234567 0000000000000000 ffff88003c0c3df8
Call Trace:
 [<ffffffffa0001300>] widget_ioctl+0x1a/0x30 [widget]
 [<ffffffff811c1234>] do_vfs_ioctl+0x2e0/0x4c0
 [<ffffffff811c5678>] SyS_ioctl+0x81/0xa0
 [<ffffffff81659876>] system_call_fastpath+0x16/0x1b
Code: 48 8b 47 08 <48> 8b 00 c3
RIP  [<ffffffffa0001234>] widget_bind+0x1c/0x90 [widget]
 RSP <ffff88003c0c3d88>
CR2: 0000000000000018
---[ end trace 1234567890abcdef ]---
Kernel panic - not syncing: Fatal exception
Kernel Offset: disabled",
    ),
    form(
        PageFault,
        "widget_bind",
        r"BUG: unable to handle kernel NULL pointer dereference at           (null)
IP: widget_bind+0x1c/0x90
PGD 0 P4D 0 
Oops: 0000 [#1] SMP PTI
CPU: 1 PID: 123 Comm: prog Not tainted 4.14.0 #1
RIP: 0010:widget_bind+0x1c/0x90
RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
Call Trace:
 widget_ioctl+0x1a/0x30
 do_vfs_ioctl+0x2e0/0x4c0
Code: 48 8b 47 08 <48> 8b 00 c3
RIP: widget_bind+0x1c/0x90 RSP: ffffc90000013d88
CR2: 0000000000000000
---[ end trace 1234567890abcdef ]---",
    ),
    form(
        PageFault,
        "widget_bind",
        r"BUG: kernel NULL pointer dereference, address: 00000008
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
*pde = 00000000 
Oops: 0000 [#1] PREEMPT SMP
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.6.0 #1
Hardware name: QEMU Standard PC (i440FX + PIIX, 1996)
EIP: widget_bind+0x1c/0x90
Code: 55 89 e5 <8b> 40 08 5d c3
EAX: 00000000 EBX: c1a3c010 ECX: 00000000 EDX: 00000000
ESI: c1a3c010 EDI: 00000000 EBP: c1057f24 ESP: c1057f24
DS: 007b ES: 007b FS: 00d8 GS: 0000 SS: 0068 EFLAGS: 00010246
CR0: 80050033 CR2: 00000008 CR3: 0263a000 CR4: 000006d0
Call Trace:
 widget_init+0x1a/0x30
 do_one_initcall+0x50/0x22c
Modules linked in:
CR2: 0000000000000008
---[ end trace 0000000000000000 ]---",
    ),
    form(
        PageFault,
        "widget_bind",
        r"BUG: unable to handle kernel NULL pointer dereference at 00000008
IP: [<c0534a28>] widget_bind+0x1c/0x90 [widget]
*pde = 00000000 
Oops: 0000 [#1] SMP 
Modules linked in: widget(O)

Pid: 123, comm: prog Tainted: G           O 3.2.0-4-686-pae #1 Debian 3.2.1
EIP: 0060:[<c0534a28>] EFLAGS: 00010246 CPU: 0
EIP is at widget_bind+0x1c/0x90 [widget]
EAX: 00000000 EBX: c1a3c010 ECX: 00000000 EDX: 00000000
 DS: 007b ES: 007b FS: 00d8 GS: 0000 SS: 0068
Process prog (pid: 123, ti=c1056000 task=c1a3c010 task.ti=c1056000)
Stack:
 c1a3c010 00000000 c0534b00 c0534a20
Call Trace:
 [<c0534b00>] ? widget_ioctl+0x1a/0x30 [widget]
 [<c01c1234>] ? do_vfs_ioctl+0x2e0/0x4c0
Code: 55 89 e5 <8b> 40 08 5d c3 
EIP: [<c0534a28>] widget_bind+0x1c/0x90 [widget] SS:ESP 0068:c1057f24
CR2: 0000000000000008
---[ end trace 1234567890abcdef ]---",
    ),
    form(
        PageFault,
        "widget_open",
        r"BUG: unable to handle kernel paging request at ffffffffa0123456
IP: [<ffffffffa0001234>] widget_open+0x1c/0x90 [widget]
PGD 1a87067 PUD 1a8b063 PMD 3c1c1067 PTE 0
Oops: 0010 [#1] SMP 
last sysfs file: /sys/devices/system/cpu/cpu1/cache/index2/shared_cpu_map
CPU 1 
Modules linked in: widget(U) ext4

Pid: 123, comm: prog Not tainted 2.6.32-220.el6.x86_64 #1 Red Hat KVM
RIP: 0010:[<ffffffffa0001234>]  [<ffffffffa0001234>] widget_open+0x1c/0x90 [widget]
RSP: 0018:ffff88003c0c3d88  EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001
FS:  00007f1234567700(0000) GS:ffff880002300000(0000) knlGS:0000000000000000
CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033
CR2: ffffffffa0123456 CR3: 000000003c1c1000 CR4: 00000000000006e0
Process prog (pid: 123, threadinfo ffff88003c0c2000, task ffff88003c6c6900)
Stack:
 ffff88003c0c3dc8 ffffffff81234567 0000000000000000 ffff88003c0c3df8
<d> 0000000000000000 ffffffff81234568 0000000000000000 ffff88003c0c3df8
Call Trace:
 [<ffffffff8118b456>] __dentry_open+0x10a/0x360
 [<ffffffff8100b072>] system_call_fastpath+0x16/0x1b
Code: 48 8b 47 08 <48> 8b 00 c3
RIP  [<ffffffffa0001234>] widget_open+0x1c/0x90 [widget]
 RSP <ffff88003c0c3d88>
CR2: ffffffffa0123456
---[ end trace 1234567890abcdef ]---
Kernel panic - not syncing: Fatal exception
Pid: 123, comm: prog Tainted: G      D    ---------------    2.6.32-220.el6.x86_64 #1
Call Trace:
 [<ffffffff814ec61a>] ? panic+0x78/0x143
 [<ffffffff814f07a4>] ? oops_end+0xe4/0x100
 [<ffffffff8100f26b>] ? die+0x5b/0x90",
    ),
    form(
        PageFault,
        "widget_call",
        r"BUG: unable to handle kernel NULL pointer dereference at (null)
IP: [<(null)>] (null)
PGD 3c1c1067 PUD 0 
Oops: 0010 [#1] SMP 
CPU 1 
Pid: 123, comm: prog Not tainted 2.6.32-220.el6.x86_64 #1 Red Hat KVM
RIP: 0010:[<0000000000000000>]  [<(null)>] (null)
RSP: 0018:ffff88003c0c3d88  EFLAGS: 00010246
Call Trace:
 [<ffffffffa0001300>] widget_call+0x1a/0x30 [widget]
 [<ffffffff8118b456>] vfs_write+0xb8/0x1a0
Code:  Bad RIP value.
RIP  [<(null)>] (null)
 RSP <ffff88003c0c3d88>
CR2: 0000000000000000
---[ end trace 1234567890abcdef ]---",
    ),
    // kernel/panic.c: warn_slowpath_common.
    form(
        Warning,
        "widget_open",
        r"------------[ cut here ]------------
WARNING: at fs/widget.c:123 widget_open+0x1c/0x90() (Not tainted)
Hardware name: VMware Virtual Platform
Modules linked in: ext4 mbcache jbd2 [last unloaded: scsi_wait_scan]
Pid: 123, comm: prog Not tainted 2.6.32-220.el6.x86_64 #1
Call Trace:
 [<ffffffff8106b857>] ? warn_slowpath_common+0x87/0xc0
 [<ffffffff8106b8aa>] ? warn_slowpath_null+0x1a/0x20
 [<ffffffff8118b123>] ? widget_open+0x1c/0x90
 [<ffffffff8118b456>] ? __dentry_open+0x10a/0x360
 [<ffffffff8100b072>] ? system_call_fastpath+0x16/0x1b
---[ end trace 1234567890abcdef ]---",
    ),
    form(
        Warning,
        "dev_watchdog",
        r"------------[ cut here ]------------
WARNING: at net/sched/sch_generic.c:261 dev_watchdog+0x26d/0x280() (Not tainted)
Hardware name: PowerEdge R710
NETDEV WATCHDOG: eth0 (bnx2): transmit queue 0 timed out
Modules linked in: bnx2
Pid: 0, comm: swapper Not tainted 2.6.32-220.el6.x86_64 #1
Call Trace:
 <IRQ>  [<ffffffff8106b857>] ? warn_slowpath_common+0x87/0xc0
 [<ffffffff8106b946>] ? warn_slowpath_fmt+0x46/0x50
 [<ffffffff81461a1d>] ? dev_watchdog+0x26d/0x280
 [<ffffffff8107e897>] ? run_timer_softirq+0x197/0x340
 [<ffffffff81073ca1>] ? __do_softirq+0xc1/0x1e0
 [<ffffffff8100c24c>] ? call_softirq+0x1c/0x30
 <EOI>  [<ffffffff812c4a9e>] ? intel_idle+0xde/0x170
---[ end trace 1234567890abcdef ]---",
    ),
    form(
        Refcount,
        "widget_bind",
        r"------------[ cut here ]------------
WARNING: CPU: 1 PID: 123 at lib/refcount.c:114 refcount_inc+0x2e/0x30
refcount_t: increment on 0; use-after-free.
Modules linked in:
CPU: 1 PID: 123 Comm: prog Not tainted 4.13.0 #1
task: ffff88003c6c6900 task.stack: ffff88003c0c0000
RIP: 0010:refcount_inc+0x2e/0x30
RSP: 0018:ffff88003c0c3d88 EFLAGS: 00010246
Call Trace:
 widget_bind+0x1c/0x90
 widget_ioctl+0x1a/0x30
---[ end trace 1234567890abcdef ]---",
    ),
    // kernel/hung_task.c, kernel/watchdog.c, lib/bug.c.
    form(
        HungTask,
        "widget_finish",
        r#"INFO: task prog:123 blocked for more than 120 seconds.
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
prog          D 0000000000000001     0   123      1 0x00000080
 ffff88003c0c3d88 0000000000000086 0000000000000000 ffff88003c0c3d4c
 ffff88003c0c3fd8 ffff88003c6c6900
Call Trace:
 [<ffffffff814ed7a2>] schedule_timeout+0x1f2/0x2e0
 [<ffffffff814ed3f3>] wait_for_common+0x123/0x180
 [<ffffffff814ed50d>] wait_for_completion+0x1d/0x20
 [<ffffffffa0001300>] widget_finish+0x1a/0x30 [widget]
 [<ffffffff8100b072>] system_call_fastpath+0x16/0x1b"#,
    ),
    form(
        SoftLockup,
        "widget_spin",
        r"BUG: soft lockup - CPU#1 stuck for 67s! [prog:123]
Modules linked in: ext4
CPU 1 
Modules linked in: ext4

Pid: 123, comm: prog Not tainted 2.6.32-220.el6.x86_64 #1 Red Hat KVM
RIP: 0010:[<ffffffffa0001234>]  [<ffffffffa0001234>] widget_spin+0x1c/0x90 [widget]
RSP: 0018:ffff88003c0c3d88  EFLAGS: 00000246
Call Trace:
 [<ffffffff8118b456>] vfs_write+0xb8/0x1a0
 [<ffffffff8118b789>] sys_write+0x51/0x90
 [<ffffffff8100b072>] system_call_fastpath+0x16/0x1b",
    ),
    form(
        Bug,
        "widget_open",
        r"------------[ cut here ]------------
kernel BUG at fs/widget.c:123!
invalid opcode: 0000 [#1] SMP 
last sysfs file: /sys/kernel/mm/ksm/run
CPU 1 
Modules linked in: ext4

Pid: 123, comm: prog Not tainted 2.6.32-220.el6.x86_64 #1 Red Hat KVM
RIP: 0010:[<ffffffffa0001234>]  [<ffffffffa0001234>] widget_open+0x1c/0x90
RSP: 0018:ffff88003c0c3d88  EFLAGS: 00010246
Call Trace:
 [<ffffffff8118b456>] __dentry_open+0x10a/0x360
Code: 0f 0b <eb> fe 
RIP  [<ffffffffa0001234>] widget_open+0x1c/0x90
 RSP <ffff88003c0c3d88>
---[ end trace 1234567890abcdef ]---",
    ),
    form(
        HardLockup,
        "widget_ioctl",
        x86!(
            "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1Modules linked in: widget(O)",
            "widget_bind"
        ),
    ),
    form(
        HardLockup,
        "widget_irq",
        r"Kernel panic - not syncing: Watchdog detected hard LOCKUP on cpu 1
CPU: 1 PID: 0 Comm: swapper/1 Not tainted 3.10.0 #1
Call Trace:
 <NMI>  [<ffffffff81234567>] dump_stack+0x19/0x1b
 [<ffffffff81234568>] panic+0xe8/0x20d
 [<ffffffff81234569>] watchdog_overflow_callback+0x1/0x2
 <<EOE>>  <IRQ>  [<ffffffff8123456a>] widget_irq+0x1/0x2",
    ),
    // kernel/locking/lockdep.c: headlines in brackets.
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"==================================================
[ INFO: possible circular locking dependency detected ]
4.4.0 #1 Not tainted
-------------------------------------------------------
prog/123 is trying to acquire lock:
 (&w->lock){+.+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30

but task is already holding lock:
 (&w->other){+.+.+.}, at: [<ffffffffa0001400>] widget_open+0x18/0x40

stack backtrace:",
            r" print_circular_bug+0x2b3/0x3a0
 __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 mutex_lock_nested+0x98/0x990
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"==================================================
[ INFO: possible recursive locking detected ]
4.4.0 #1 Not tainted
-------------------------------------------------------
prog/123 is trying to acquire lock:
 (&w->lock){+.+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30

but task is already holding lock:
 (&w->other){+.+.+.}, at: [<ffffffffa0001400>] widget_open+0x18/0x40

stack backtrace:",
            r" print_circular_bug+0x2b3/0x3a0
 __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 mutex_lock_nested+0x98/0x990
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"==================================================
[ INFO: inconsistent lock state ]
4.4.0 #1 Not tainted
-------------------------------------------------------
prog/123 is trying to acquire lock:
 (&w->lock){+.+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30

but task is already holding lock:
 (&w->other){+.+.+.}, at: [<ffffffffa0001400>] widget_open+0x18/0x40

stack backtrace:",
            r" print_circular_bug+0x2b3/0x3a0
 __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 mutex_lock_nested+0x98/0x990
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"==================================================
[ INFO: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected ]
4.4.0 #1 Not tainted
-------------------------------------------------------
prog/123 is trying to acquire lock:
 (&w->lock){+.+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30

but task is already holding lock:
 (&w->other){+.+.+.}, at: [<ffffffffa0001400>] widget_open+0x18/0x40

stack backtrace:",
            r" print_circular_bug+0x2b3/0x3a0
 __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 mutex_lock_nested+0x98/0x990
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"==================================================
[ INFO: SOFTIRQ-READ-safe -> SOFTIRQ-READ-unsafe lock order detected ]
4.4.0 #1 Not tainted
-------------------------------------------------------
prog/123 is trying to acquire lock:
 (&w->lock){+.+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30

but task is already holding lock:
 (&w->other){+.+.+.}, at: [<ffffffffa0001400>] widget_open+0x18/0x40

stack backtrace:",
            r" print_circular_bug+0x2b3/0x3a0
 __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 mutex_lock_nested+0x98/0x990
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"==================================================
[ INFO: possible irq lock inversion dependency detected ]
4.4.0 #1 Not tainted
-------------------------------------------------------
prog/123 is trying to acquire lock:
 (&w->lock){+.+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30

but task is already holding lock:
 (&w->other){+.+.+.}, at: [<ffffffffa0001400>] widget_open+0x18/0x40

stack backtrace:",
            r" print_circular_bug+0x2b3/0x3a0
 __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 mutex_lock_nested+0x98/0x990
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"===============================
[ INFO: suspicious RCU usage. ]
4.9.0 #1 Not tainted
-------------------------------
drivers/widget/core.c:99 suspicious rcu_dereference_check() usage!

other info that might help us debug this:

rcu_scheduler_active = 1, debug_locks = 0
1 lock held by prog/123:
 #0:  (&w->other){+.+.+.}, at: [<ffffffffa0001400>] widget_open+0x18/0x40

stack backtrace:",
            r" lockdep_rcu_suspicious+0x154/0x1a0
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"=====================================
[ BUG: bad unlock balance detected! ]
4.9.0 #1 Not tainted
-------------------------------------
prog/123 is trying to release lock (&w->lock) at:
[<ffffffffa0001300>] widget_ioctl+0x1a/0x30
but there are no more locks to release!

other info that might help us debug this:
no locks held by prog/123.

stack backtrace:",
            r" print_unlock_imbalance_bug+0xe4/0x100
 lock_release+0x1d1/0x2f0
 __mutex_unlock_slowpath+0x3c/0x2b0
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"=========================
[ BUG: held lock freed! ]
4.9.0 #1 Not tainted
-------------------------
prog/123 is freeing memory ffff888003c6c600-ffff888003c6c7ff, with a lock still held there!
 (&w->lock){+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30

1 lock held by prog/123:
 #0:  (&w->lock){+.+.}, at: [<ffffffffa0001300>] widget_ioctl+0x1a/0x30

stack backtrace:",
            r" debug_check_no_locks_freed+0x123/0x150
 kfree+0x1c/0x90
 widget_free+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_open",
        r"================================================
[ BUG: lock held when returning to user space! ]
4.9.0 #1 Not tainted
------------------------------------------------
prog/123 is leaving the kernel with locks still held!
1 lock held by prog/123:
 #0:  (&w->other){+.+.}, at: [<ffffffffa0001400>] widget_open+0x18/0x40",
    ),
    // mm/kasan/report.c of 4.4: the slab's own report in the middle.
    form(
        Kasan,
        "widget_bind",
        r"==================================================================
BUG: KASAN: use-after-free in widget_bind+0x1c/0x90 at addr ffff888003c6c690
Read of size 4 by task prog/123
=============================================================================
BUG kmalloc-64 (Not tainted): kasan: bad access detected
-----------------------------------------------------------------------------

Disabling lock debugging due to kernel taint
INFO: Allocated in widget_alloc+0x18/0x40 age=12 cpu=1 pid=123
[<      none      >] ___slab_alloc+0x1/0x2 mm/slub.c:2468
[<      none      >] widget_alloc+0x18/0x40 d.c:9
INFO: Freed in widget_free+0x18/0x40 age=12 cpu=1 pid=123
[<      none      >] __slab_free+0x1/0x2 mm/slub.c:2468
INFO: Slab 0xffffea00000f1b00 objects=21 used=20 fp=0xffff888003c6c6e0 flags=0x200
INFO: Object 0xffff888003c6c690 @offset=1680 fp=0x0000000000000000

CPU: 1 PID: 123 Comm: prog Tainted: G    B           4.4.0 #1
Call Trace:
 [<ffffffff81234567>] dump_stack+0x6c/0xa0 lib/dump_stack.c:15
 [<ffffffff81234568>] print_trailer+0x1/0x2 mm/slub.c:658
 [<ffffffff81234569>] object_err+0x1/0x2
 [<ffffffff8123456a>] kasan_report_error+0x1/0x2
 [<ffffffff8123456b>] __asan_report_load4_noabort+0x1/0x2
 [<ffffffff8123456c>] widget_bind+0x1c/0x90 d.c:9
 [<ffffffff8123456d>] widget_ioctl+0x1/0x2
Memory state around the buggy address:
 ffff888003c6c580: fc fc fc fc
>ffff888003c6c680: fc fc fb fb
==================================================================",
    ),
    // arch/arm64/mm/fault.c.
    form(
        PageFault,
        "widget_bind",
        arm64!(
            r"Unable to handle kernel paging request at virtual address ffff000008a51234
Internal error: Accessing user space memory outside uaccess.h routines: 96000045 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm64!(
            "Internal error: Attempting to execute userspace memory: 8600000f [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm64!(
            "Internal error: Accessing user space memory with fs=KERNEL_DS: 9600000f [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        Oops,
        "widget_bind",
        arm64!(
            r"Bad mode in Synchronous Abort handler detected, code 0x84000006 -- IABT (current EL)
Internal error: Oops - bad mode: 0 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(
        PageFault,
        "widget_bind",
        arm64!(
            r"Unhandled fault: synchronous external abort (0x96000010) at 0xffff000008a51234
Internal error: : 96000010 [#1] SMP",
            "widget_bind"
        ),
    ),
];
