//! What is seldom seen: further traps, checks of file systems and of locks, panics.

use kvet_console::Kind::*;

use crate::{Form, form, nameless};

pub const FORMS: &[Form] = &[
    // arch/x86/kernel/traps.c.
    form(
        StackOverflow,
        "widget_ioctl",
        x86!(
            r"BUG: stack guard page was hit at ffffc9000000ffb8 (stack is ffffc90000010000..ffffc90000014000)
kernel stack overflow (page fault): 0000 [#1] PREEMPT SMP KASAN",
            "widget_bind"
        ),
    ),
    form(
        StackOverflow,
        "widget_ioctl",
        x86!(
            r"BUG: IRQ stack guard page was hit at ffffc9000000ffb8 (stack is ffffc90000010000..ffffc90000014000)
stack guard page: 0000 [#1] PREEMPT SMP",
            "widget_bind"
        ),
    ),
    form(Oops, "widget_bind", x86!("Oops: split lock: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("split lock: 0000 [#1] PREEMPT SMP", "widget_bind")),
    form(
        GeneralProtection,
        "widget_bind",
        x86!(
            "Oops: general protection fault, kernel NULL pointer dereference 0x18: 0000 [#1] SMP",
            "widget_bind"
        ),
    ),
    form(Oops, "widget_bind", x86!("Oops: unexpected #VE: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("Oops: device not available: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("invalid TSS: 0000 [#1] SMP", "widget_bind")),
    form(Oops, "widget_bind", x86!("Oops: invalid TSS: 0000 [#1] SMP", "widget_bind")),
    form(
        PageFault,
        "widget_call",
        r"BUG: kernel NULL pointer dereference, address: 0000000000000000
#PF: supervisor instruction fetch in kernel mode
#PF: error_code(0x0010) - not-present page
PGD 0 P4D 0 
Oops: Oops: 0010 [#1] SMP NOPTI
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
RIP: 0010:0x0
Code: Unable to access opcode bytes at 0xffffffffffffffd6.
RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
Call Trace:
 <TASK>
 widget_call+0x1a/0x30
 vfs_write+0x8e/0xd0
 do_syscall_64+0x5b/0x110
 </TASK>",
    ),
    // lib/list_debug.c without CONFIG_BUG_ON_DATA_CORRUPTION, arch/x86/mm/extable.c, net/sched/sch_generic.c, kernel/sched/core.c, fs/proc/generic.c.
    form(
        Bug,
        "widget_ioctl",
        x86!(
            r"------------[ cut here ]------------
list_del corruption. prev->next should be ffff888003c6c690, but was dead000000000100
WARNING: CPU: 1 PID: 123 at lib/list_debug.c:59 __list_del_entry_valid+0x1c/0x90",
            "__list_del_entry_valid"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            r"------------[ cut here ]------------
general protection fault in user access. Non-canonical address?
WARNING: CPU: 1 PID: 123 at arch/x86/mm/extable.c:126 ex_handler_uaccess+0x1c/0x90",
            "ex_handler_uaccess"
        ),
    ),
    form(
        Warning,
        "dev_watchdog",
        r"------------[ cut here ]------------
NETDEV WATCHDOG: eth0 (e1000e): transmit queue 0 timed out
WARNING: CPU: 1 PID: 0 at net/sched/sch_generic.c:477 dev_watchdog+0x1c/0x90
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
RIP: 0010:dev_watchdog+0x1c/0x90
Code: 48 8b 47 08 <48> 8b 00 c3
RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001
Call Trace:
 <IRQ>
 call_timer_fn+0x29/0x130
 run_timer_softirq+0x1/0x30
 __do_softirq+0xd2/0x2a0
 irq_exit_rcu+0xa/0xc0
 sysvec_apic_timer_interrupt+0x6d/0x90
 </IRQ>
 <TASK>
 asm_sysvec_apic_timer_interrupt+0x1a/0x20
 cpuidle_enter_state+0x1/0x30
 </TASK>
---[ end trace 0000000000000000 ]---",
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            r"------------[ cut here ]------------
do not call blocking ops when !TASK_RUNNING; state=1 set at [<ffffffff81234567>] prepare_to_wait+0x1a/0x30
WARNING: CPU: 1 PID: 123 at kernel/sched/core.c:7300 __might_sleep+0x1c/0x90",
            "__might_sleep"
        ),
    ),
    form(
        Warning,
        "widget_bind",
        r"------------[ cut here ]------------
proc_dir_entry 'widget/x' already registered
WARNING: CPU: 1 PID: 123 at fs/proc/generic.c:381 proc_register+0x1c/0x90
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
RIP: 0010:proc_register+0x1c/0x90
Code: 48 8b 47 08 <48> 8b 00 c3
RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001
Call Trace:
 <TASK>
 widget_bind+0x1a/0x30
 vfs_ioctl+0x1a/0x30
 __x64_sys_ioctl+0x8e/0xd0
 do_syscall_64+0x5b/0x110
 entry_SYSCALL_64_after_hwframe+0x76/0x7e
 </TASK>
---[ end trace 0000000000000000 ]---",
    ),
    form(
        Warning,
        "rcu_note_context_switch",
        r"------------[ cut here ]------------
Voluntary context switch within RCU read-side critical section!
WARNING: CPU: 1 PID: 123 at kernel/rcu/tree_plugin.h:332 rcu_note_context_switch+0x5d0/0x640
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
RIP: 0010:rcu_note_context_switch+0x5d0/0x640
Code: 0f 0b <eb> fe
Call Trace:
 <TASK>
 __schedule+0xc5/0x1520
 schedule+0x5a/0xd0
 schedule_timeout+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>
---[ end trace 0000000000000000 ]---",
    ),
    form(
        Warning,
        "widget_bind",
        r#"------------[ cut here ]------------
memcpy: detected field-spanning write (size 40) of single field "&w->a" at drivers/widget/core.c:9 (size 8)
WARNING: drivers/widget/core.c:9 at widget_bind+0x1c/0x90, CPU#1: prog/123
Modules linked in:
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.18.0 #1 PREEMPT(voluntary)
Hardware name: QEMU Standard PC
RIP: 0010:widget_bind+0x1c/0x90
Code: 0f 0b <eb> fe
Call Trace:
 <TASK>
 widget_ioctl+0x1a/0x30
 </TASK>
---[ end trace 0000000000000000 ]---"#,
    ),
    form(
        Warning,
        "widget_bind",
        r"------------[ cut here ]------------
WARNING: drivers/widget/core.c:9 at widget_bind+0x1c/0x90 (drivers/widget/core.c:9), CPU#1: prog/123
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 7.1.0 #1 PREEMPT(lazy)
RIP: 0010:widget_bind+0x1c/0x90 (drivers/widget/core.c:9)
Code: 0f 0b <eb> fe
Call Trace:
 <TASK>
 widget_ioctl+0x1a/0x30 [widget] (drivers/widget/core.c:99)
 do_syscall_64+0x5b/0x110 (arch/x86/entry/syscall_64.c:94)
 </TASK>
---[ end trace 0000000000000000 ]---",
    ),
    // fs/sysfs/dir.c: sysfs_warn_dup; mm/slab_common.c: kmem_cache_destroy.
    form(
        Warning,
        "widget_ioctl",
        dumped!(
            "sysfs: cannot create duplicate filename '/devices/virtual/net/x'",
            r" sysfs_warn_dup+0x1a/0x30
 sysfs_create_dir_ns+0x1a/0x30
 kobject_add_internal+0x1a/0x30
 kobject_add+0x1a/0x30
 device_add+0x1a/0x30
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Slab,
        "widget_ioctl",
        dumped!(
            r"=============================================================================
BUG widget_cache (Not tainted): Objects remaining in widget_cache on __kmem_cache_shutdown()
-----------------------------------------------------------------------------

Slab 0xffffea00000f1b00 objects=21 used=20 fp=0xffff888003c6c6e0 flags=0x200",
            r" slab_err+0x93/0xd0
 __kmem_cache_shutdown.cold+0x1e1/0x290
 kmem_cache_destroy+0x1c/0x90
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Slab,
        "widget_ioctl",
        dumped!(
            "kmem_cache_destroy widget_cache: Slab cache still has objects",
            r" kmem_cache_destroy+0x1c/0x90
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            r"------------[ cut here ]------------
kmem_cache_destroy widget_cache: Slab cache still has objects when called from widget_ioctl+0x1a/0x30
WARNING: CPU: 1 PID: 123 at mm/slab_common.c:498 kmem_cache_destroy+0x1c/0x90",
            "kmem_cache_destroy"
        ),
    ),
    // Assertions of file systems.
    form(
        Bug,
        "widget_ioctl",
        x86!(
            r"XFS: Assertion failed: ip->i_nblocks == 0, file: fs/xfs/widget.c, line: 77
------------[ cut here ]------------
kernel BUG at fs/xfs/xfs_message.c:102!
Oops: invalid opcode: 0000 [#1] SMP",
            "assfail"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        x86!(
            r"assertion failed: refcount == 1, in fs/btrfs/widget.c:77
------------[ cut here ]------------
kernel BUG at fs/btrfs/messages.c:259!
invalid opcode: 0000 [#1] SMP",
            "btrfs_assertfail"
        ),
    ),
    form(
        Bug,
        "widget_bind",
        x86!(
            r#"Assertion failure in widget_bind() at fs/jbd2/commit.c:1053: "commit_transaction->t_nr_buffers == 0"
------------[ cut here ]------------
kernel BUG at fs/jbd2/commit.c:1053!
invalid opcode: 0000 [#1] SMP"#,
            "widget_bind"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            r"------------[ cut here ]------------
BTRFS: Transaction aborted (error -28)
WARNING: CPU: 1 PID: 123 at fs/btrfs/widget.c:99 widget_ioctl+0x1c/0x90",
            "widget_ioctl"
        ),
    ),
    // lib/smp_processor_id.c, kernel/locking.
    form(
        Bug,
        "widget_ioctl",
        dumped!(
            r"BUG: using __this_cpu_read() in preemptible [00000000] code: prog/123
caller is widget_ioctl+0x1a/0x30",
            r" check_preemption_disabled+0xdd/0xe0
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        dumped!(
            "BUG: rwlock cpu recursion on CPU#1, prog/123, ffff888003c6c690",
            r" rwlock_bug.part.0+0x7c/0x90
 do_raw_write_lock+0x90/0xd0
 _raw_write_lock+0x2c/0x40
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        dumped!(
            r"BUG: spinlock recursion on CPU#1, prog/123
 lock: 0xffff888003c6c690, .magic: dead4ead, .owner: prog/123, .owner_cpu: 1",
            r" spin_dump+0x7c/0x90
 do_raw_spin_lock+0x90/0xd0
 _raw_spin_lock+0x2c/0x40
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"BUG: looking up invalid subclass: 8
turning off the locking correctness validator.",
            r" register_lock_class+0x1/0x2
 __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 _raw_spin_lock_nested+0x2c/0x40
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"==================================================
WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected
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
WARNING: HARDIRQ-READ-safe -> HARDIRQ-READ-unsafe lock order detected
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
WARNING: Nested lock was not taken
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
WARNING: possible irq lock inversion dependency detected
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
            r"============================================
WARNING: circular locking deadlock detected!
6.1.0 #1 Not tainted
--------------------------------------------
prog/123 is deadlocking current task prog/124


1) prog/123 is trying to acquire this lock:
lock: ffff888003c6c690 at: widget_ioctl+0x1a/0x30

prog/123's [current] stackdump:
",
            r" debug_rt_mutex_print_deadlock+0x1/0x2
 rt_mutex_slowlock+0x1/0x2
 rt_mutex_lock+0x1/0x2
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Lockdep,
        "widget_ioctl",
        dumped!(
            r"=============================
[ BUG: Invalid wait context ]
6.12.0 #1 Not tainted
-----------------------------
swapper/1/0 is trying to lock:
ffff888003c6c690 (&w->lock){....}-{3:3}, at: widget_ioctl+0x1a/0x30
other info that might help us debug this:
context-{2:2}
no locks held by swapper/1/0.
stack backtrace:",
            r" __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 _raw_spin_lock+0x2c/0x40
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        dumped!(
            r"BUG: using smp_processor_id() in preemptible [00000000] code: prog/123
caller is debug_smp_processor_id+0x17/0x20",
            r" check_preemption_disabled+0xdd/0xe0
 debug_smp_processor_id+0x17/0x20
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        SleepingInAtomic,
        "widget_ioctl",
        r"BUG: sleeping function called from invalid context at include/linux/sched/mm.h:321
in_atomic(): 1, irqs_disabled(): 1, non_block: 0, pid: 123, name: prog
preempt_count: 1, expected: 0
RCU nest depth: 0, expected: 0
2 locks held by prog/123:
 #0: ffff888003c6c790 (&w->other){+.+.}-{3:3}, at: widget_open+0x18/0x40
 #1: ffff888003c6c790 (&w->lock){....}-{2:2}, at: widget_ioctl+0x18/0x40
irq event stamp: 1234
hardirqs last  enabled at (1233): [<ffffffff81c01234>] _raw_spin_unlock_irqrestore+0x27/0x50
Preemption disabled at:
[<ffffffff81234567>] other_function+0x1/0x2
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 __might_resched+0x44e/0x5d0
 might_alloc include/linux/sched/mm.h:321 [inline]
 slab_pre_alloc_hook mm/slub.c:4110 [inline]
 slab_alloc_node mm/slub.c:4188 [inline]
 __kmalloc_cache_noprof+0x3f/0x3d0 mm/slub.c:4364
 kmalloc_noprof include/linux/slab.h:905 [inline]
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30
 </TASK>",
    ),
    form(
        Lockdep,
        "widget_ioctl",
        r"=====================================================
WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected
6.12.0 #1 Not tainted
-----------------------------------------------------
prog/123 [HC0[0]:SC0[0]:HE0:SE1] is trying to acquire:
ffff888003c6c690 (&w->unsafe){+.+.}-{3:3}, at: widget_unsafe+0x1a/0x30

and this task is already holding:
ffff888003c6c790 (&w->safe){-...}-{2:2}, at: widget_ioctl+0x18/0x40
which would create a new lock dependency:
 (&w->safe){-...}-{2:2} -> (&w->unsafe){+.+.}-{3:3}

but this new dependency connects a HARDIRQ-irq-safe lock:
 (&w->safe){-...}-{2:2}

... which became HARDIRQ-irq-safe at:
  lock_acquire+0xd1/0x2e0
  _raw_spin_lock_irqsave+0x2c/0x40
  widget_ioctl+0x1a/0x30
  __handle_irq_event_percpu+0x1/0x2

to a HARDIRQ-irq-unsafe lock:
 (&w->unsafe){+.+.}-{3:3}

... which became HARDIRQ-irq-unsafe at:
...
  lock_acquire+0xd1/0x2e0
  _raw_spin_lock+0x2c/0x40
  other+0x1a/0x30

other info that might help us debug this:

 Possible interrupt unsafe locking scenario:

       CPU0                    CPU1
       ----                    ----
  lock(&w->unsafe);
                               local_irq_disable();
                               lock(&w->safe);
                               lock(&w->unsafe);
  <Interrupt>
    lock(&w->safe);

 *** DEADLOCK ***

stack backtrace:
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 print_bad_irq_dependency+0x1/0x2
 check_irq_usage+0x1/0x2
 __lock_acquire+0x1404/0x2690
 lock_acquire+0xd1/0x2e0
 _raw_spin_lock+0x2c/0x40
 widget_unsafe+0x1a/0x30
 vfs_ioctl+0x1a/0x30
 </TASK>",
    ),
    // kernel/kcsan, mm/kmsan, mm/kasan: kinds, and reports that were decoded.
    form(
        Kcsan,
        "widget_bind",
        r"==================================================================
BUG: KCSAN: data-race in widget_bind+0x1c/0x90

race at unknown origin, with read to 0xffff888103c6c690 of 8 bytes by task 123 on cpu 1:
 widget_bind+0x1c/0x90
 widget_ioctl+0x1a/0x30
 do_syscall_64+0x5b/0x110

value changed: 0x0000000000000001 -> 0x0000000000000002

Reported by Kernel Concurrency Sanitizer on:
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
==================================================================",
    ),
    form(
        Kmsan,
        "widget_ioctl",
        r"=====================================================
BUG: KMSAN: kernel-usb-infoleak in usb_submit_urb+0x5af/0x1920
 kmsan_handle_urb+0x1/0x2
 usb_submit_urb+0x5af/0x1920
 widget_ioctl+0x1a/0x30

Uninit was created at:
 __kmalloc+0x129/0xa70
 widget_alloc+0x1/0x2

Bytes 0-3 of 4 are uninitialized
Memory access of size 4 starts at ffff888003c6c690

CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
=====================================================",
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            r"BUG: KASAN: user-memory-access in widget_bind+0x1c/0x90
Read of size 4 at addr ffff888003c6c690 by task prog/123
",
            r" kasan_report+0xbd/0xf0
 widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            r"BUG: KASAN: wild-memory-access in widget_bind+0x1c/0x90
Read of size 4 at addr ffff888003c6c690 by task prog/123
",
            r" kasan_report+0xbd/0xf0
 widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            r"BUG: KASAN: global-out-of-bounds in widget_bind+0x1c/0x90
Read of size 4 at addr ffff888003c6c690 by task prog/123
",
            r" kasan_report+0xbd/0xf0
 widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            r"BUG: KASAN: stack-out-of-bounds in widget_bind+0x1c/0x90
Read of size 4 at addr ffff888003c6c690 by task prog/123
",
            r" kasan_report+0xbd/0xf0
 widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            r"BUG: KASAN: use-after-scope in widget_bind+0x1c/0x90
Read of size 4 at addr ffff888003c6c690 by task prog/123
",
            r" kasan_report+0xbd/0xf0
 widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            r"BUG: KASAN: unknown-crash in widget_bind+0x1c/0x90
Read of size 4 at addr ffff888003c6c690 by task prog/123
",
            r" kasan_report+0xbd/0xf0
 widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            r"BUG: KASAN: double-free or invalid-free in widget_bind+0x1c/0x90
Read of size 4 at addr ffff888003c6c690 by task prog/123
",
            r" kasan_report+0xbd/0xf0
 widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        dumped!(
            r"BUG: KASAN: alloca-out-of-bounds in widget_bind+0x1c/0x90
Read of size 4 at addr ffff888003c6c690 by task prog/123
",
            r" kasan_report+0xbd/0xf0
 widget_bind+0x1c/0x90"
        ),
    ),
    form(
        Kasan,
        "widget_bind",
        r"==================================================================
BUG: KASAN: slab-use-after-free in __list_del_entry_valid_or_report+0x13e/0x1b0 lib/list_debug.c:49
Read of size 8 at addr ffff88807b3c4490 by task syz.0.17/5843

CPU: 1 UID: 0 PID: 5843 Comm: syz.0.17 Not tainted 6.16.0-rc1-syzkaller #0 PREEMPT(full) 
Hardware name: Google Google Compute Engine/Google Compute Engine, BIOS Google 05/07/2025
Call Trace:
 <TASK>
 dump_stack_lvl+0x189/0x250 lib/dump_stack.c:120
 print_address_description mm/kasan/report.c:408 [inline]
 print_report+0xd2/0x2b0 mm/kasan/report.c:521
 kasan_report+0x118/0x150 mm/kasan/report.c:634
 __list_del_entry_valid_or_report+0x13e/0x1b0 lib/list_debug.c:49
 __list_del_entry_valid include/linux/list.h:124 [inline]
 __list_del_entry include/linux/list.h:215 [inline]
 list_del include/linux/list.h:229 [inline]
 widget_bind+0x1c/0x90 drivers/widget/core.c:9
 widget_ioctl+0x1a/0x30 drivers/widget/core.c:99
 vfs_ioctl fs/ioctl.c:51 [inline]
 __do_sys_ioctl fs/ioctl.c:907 [inline]
 __se_sys_ioctl+0xf9/0x170 fs/ioctl.c:893
 do_syscall_x64 arch/x86/entry/syscall_64.c:63 [inline]
 do_syscall_64+0xfa/0x3b0 arch/x86/entry/syscall_64.c:94
 entry_SYSCALL_64_after_hwframe+0x77/0x7f
RIP: 0033:0x7f1234567890
Code: ff ff c3 66 2e 0f 1f 84 00 00 00 00 00 0f 1f 40 00 48 89 f8 <48> 3d 01 f0
RSP: 002b:00007f1234567890 EFLAGS: 00000246 ORIG_RAX: 0000000000000010
 </TASK>

Allocated by task 5843:
 kasan_save_stack mm/kasan/common.c:47 [inline]
 widget_alloc+0x1/0x2

The buggy address belongs to the object at ffff88807b3c4400
 which belongs to the cache kmalloc-192 of size 192
==================================================================
Kernel panic - not syncing: KASAN: panic_on_warn set ...
CPU: 1 UID: 0 PID: 5843 Comm: syz.0.17 Not tainted 6.16.0-rc1-syzkaller #0 PREEMPT(full) 
Call Trace:
 <TASK>
 dump_stack_lvl+0x99/0x250 lib/dump_stack.c:120
 panic+0x2db/0x790 kernel/panic.c:382
 check_panic_on_warn+0x89/0xb0 kernel/panic.c:273
 end_report+0x78/0x160 mm/kasan/report.c:226
 kasan_report+0x129/0x150 mm/kasan/report.c:636
 </TASK>
Kernel Offset: disabled
Rebooting in 86400 seconds..",
    ),
    form(
        GeneralProtection,
        "widget_bind",
        r"Oops: general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] SMP KASAN PTI
KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]
CPU: 1 UID: 0 PID: 5843 Comm: syz.0.17 Not tainted 6.16.0-rc1-syzkaller #0 PREEMPT(full) 
RIP: 0010:__lock_acquire+0xac/0xd20 kernel/locking/lockdep.c:5091
Code: 48 8b 47 08 <48> 8b 00 c3
RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
Call Trace:
 <TASK>
 lock_acquire+0x120/0x360 kernel/locking/lockdep.c:5871
 __raw_spin_lock_irqsave include/linux/spinlock_api_smp.h:110 [inline]
 _raw_spin_lock_irqsave+0xa7/0xf0 kernel/locking/spinlock.c:162
 widget_bind+0x1c/0x90 drivers/widget/core.c:9
 widget_ioctl+0x1a/0x30 drivers/widget/core.c:99
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
RIP: 0010:__lock_acquire+0xac/0xd20 kernel/locking/lockdep.c:5091
----------------
Code disassembly (best guess):
   0:	48 8b 47 08          	mov    0x8(%rdi),%rax
   4:	48 8b 00             	mov    (%rax),%rax
* 2a:	80 3c 02 00          	cmpb   $0x0,(%rdx,%rax,1) <-- trapping instruction",
    ),
    form(
        Kmsan,
        "widget_bind",
        r"=====================================================
BUG: KMSAN: uninit-value in __arch_swab32 include/uapi/linux/swab.h:12 [inline]
BUG: KMSAN: uninit-value in __fswab32 include/uapi/linux/swab.h:58 [inline]
BUG: KMSAN: uninit-value in widget_bind+0x1c/0x90 drivers/widget/core.c:9
 __arch_swab32 include/uapi/linux/swab.h:12 [inline]
 __fswab32 include/uapi/linux/swab.h:58 [inline]
 widget_bind+0x1c/0x90 drivers/widget/core.c:9
 widget_ioctl+0x1a/0x30 drivers/widget/core.c:99

Uninit was created at:
 slab_post_alloc_hook mm/slub.c:4131 [inline]
 kmem_cache_alloc_node_noprof+0x818/0xf00 mm/slub.c:4217
 __alloc_skb+0x347/0x7d0 net/core/skbuff.c:668

CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
=====================================================",
    ),
    // Stalls and hung tasks.
    form(
        HungTask,
        "synchronize_rcu",
        r#"INFO: task kworker/u8:2:35 blocked for more than 143 seconds.
      Not tainted 6.12.0 #1
      Blocked by coredump.
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:kworker/u8:2    state:D stack:26208 pid:35    tgid:35    ppid:2      flags:0x00004000
Workqueue: events_unbound widget_work
Call Trace:
 <TASK>
 __schedule+0x3c9/0x1520
 schedule+0x5a/0xd0
 schedule_timeout+0x1/0x2
 __wait_for_common+0x1/0x2
 wait_for_completion+0x1/0x2
 __synchronize_srcu+0x1/0x2
 synchronize_srcu+0x1/0x2
 widget_ioctl+0x1a/0x30
 process_one_work+0x1/0x2
 worker_thread+0x1/0x2
 kthread+0x1/0x2
 ret_from_fork+0x1/0x2
 </TASK>
INFO: task kworker/u8:2:35 is blocked on a mutex likely owned by task prog:99."#,
    ),
    form(
        RcuStall,
        "widget_ioctl",
        r"rcu: INFO: rcu_tasks_trace detected stalls on tasks:
P123: .[.] nesting: 0N nvcsw: 1
task:prog            state:R  running task     stack:0     pid:123   tgid:123   ppid:1      flags:0x00004008
Call Trace:
 <TASK>
 __schedule+0x3c9/0x1520
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30
 </TASK>",
    ),
    nameless(
        RcuStall,
        r"rcu: rcu_preempt kthread starved for 21003 jiffies! g12345 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=1
rcu: 	Unless rcu_preempt kthread gets sufficient CPU time, OOM is now expected behavior.
rcu: RCU grace-period kthread stack dump:",
    ),
    form(
        HungTask,
        "widget_ioctl",
        r#"INFO: task prog:123 blocked for more than 143 seconds.
      Not tainted 6.12.0 #1
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:prog            state:D stack:26208 pid:123   tgid:123   ppid:1      task_flags:0x400140 flags:0x00004006
Call Trace:
 <TASK>
 context_switch kernel/sched/core.c:5397 [inline]
 __schedule+0x16a2/0x4cb0 kernel/sched/core.c:6786
 __schedule_loop kernel/sched/core.c:6864 [inline]
 schedule+0x165/0x360 kernel/sched/core.c:6879
 schedule_preempt_disabled+0x13/0x30 kernel/sched/core.c:6936
 __mutex_lock_common kernel/locking/mutex.c:679 [inline]
 __mutex_lock+0x724/0xe80 kernel/locking/mutex.c:747
 widget_ioctl+0x1a/0x30 drivers/widget/core.c:99
 </TASK>

Showing all locks held in the system:
1 lock held by khungtaskd/31:
 #0: ffffffff8e13f0e0 (rcu_read_lock){....}-{1:3}, at: debug_show_all_locks+0x2e/0x180 kernel/locking/lockdep.c:6770
=============================================

NMI backtrace for cpu 0
CPU: 0 UID: 0 PID: 31 Comm: khungtaskd Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x189/0x250 lib/dump_stack.c:120
 nmi_cpu_backtrace+0x39e/0x3d0 lib/nmi_backtrace.c:113
 nmi_trigger_cpumask_backtrace+0x17a/0x300 lib/nmi_backtrace.c:62
 watchdog+0xf93/0xfe0 kernel/hung_task.c:495
 </TASK>
Sending NMI from CPU 0 to CPUs 1:
NMI backtrace for cpu 1
CPU: 1 UID: 0 PID: 5 Comm: other Not tainted 6.12.0 #1
RIP: 0010:other_function+0x1/0x2
Call Trace:
 <TASK>
 other_thing+0x1/0x2
 </TASK>
Kernel panic - not syncing: hung_task: blocked tasks
CPU: 0 UID: 0 PID: 31 Comm: khungtaskd Not tainted 6.12.0 #1"#,
    ),
    form(
        RcuStall,
        "widget_ioctl",
        r"rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: 	Tasks blocked on level-0 rcu_node (CPUs 0-1): P123/1:b..l
rcu: 	(detected by 0, t=10502 jiffies, g=12345, q=678 ncpus=2)
task:prog            state:R  running task     stack:26208 pid:123   tgid:123   ppid:1      flags:0x00004008
Call Trace:
 <IRQ>
 sched_show_task+0x1/0x2
 rcu_print_detail_task_stall_rnp+0x1/0x2
 </IRQ>
 <TASK>
 __schedule+0x3c9/0x1520
 preempt_schedule_irq+0x1/0x2
 irqentry_exit+0x1/0x2
 asm_sysvec_apic_timer_interrupt+0x1a/0x20
RIP: 0010:lock_acquire+0x1/0x2
Code: 48 8b 47 08 <48> 8b 00 c3
RSP: 0018:ffffc90000013d88 EFLAGS: 00000246
 rcu_read_lock include/linux/rcupdate.h:841 [inline]
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30
 __x64_sys_ioctl+0x8e/0xd0
 do_syscall_64+0x5b/0x110
 </TASK>",
    ),
    form(
        RcuStall,
        "widget_timer",
        r"rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: 	1-...!: (20999 ticks this GP) idle=3fe/1/0x4000000000000000 softirq=15738/15738 fqs=5250
rcu: 	(t=21003 jiffies g=12345 q=678 ncpus=4)
CPU: 1 UID: 0 PID: 0 Comm: swapper/1 Not tainted 6.12.0 #1
Hardware name: linux,dummy-virt (DT)
pstate: 20000005 (nzCv daif -PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : widget_loop+0x24/0x80
lr : widget_timer+0x18/0x40
sp : ffff80008000bd20
Call trace:
 widget_loop+0x24/0x80 (P)
 widget_timer+0x18/0x40
 call_timer_fn+0x1/0x2
 __run_timers+0x1/0x2
 run_timer_softirq+0x1/0x2
 handle_softirqs+0x1/0x2
 __do_softirq+0x1/0x2
 ____do_softirq+0x1/0x2
 call_on_irq_stack+0x1/0x2
 do_softirq_own_stack+0x1/0x2
 irq_exit_rcu+0x1/0x2
 el1_interrupt+0x1/0x2
 el1h_64_irq_handler+0x1/0x2
 el1h_64_irq+0x1/0x2
 default_idle_call+0x1/0x2 (P)
 do_idle+0x1/0x2",
    ),
    form(
        SoftLockup,
        "widget_ioctl",
        r"watchdog: BUG: soft lockup - CPU#2 stuck for 26s! [prog:321]
Modules linked in: widget(O)
CPU: 2 UID: 0 PID: 321 Comm: prog Tainted: G             L      6.12.0 #1
Hardware name: linux,dummy-virt (DT)
pstate: 20400005 (nzCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : queued_spin_lock_slowpath+0x24/0x80
lr : _raw_spin_lock+0x18/0x40
sp : ffff80008000bd20
Call trace:
 queued_spin_lock_slowpath+0x24/0x80 (P)
 _raw_spin_lock+0x18/0x40
 widget_inner+0x18/0x40
 widget_ioctl+0x18/0x40
 __arm64_sys_ioctl+0xac/0xf0
 invoke_syscall+0x48/0x110
 el0_svc_common.constprop.0+0x40/0xe0
 do_el0_svc+0x1c/0x28
 el0_svc+0x34/0xdc
 el0t_64_sync_handler+0x13c/0x158
 el0t_64_sync+0x190/0x194",
    ),
    // kernel/panic.c, and who calls it.
    form(
        OutOfMemory,
        "widget_ioctl",
        r"Kernel panic - not syncing: System is deadlocked on memory
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 panic+0x107/0x2c7
 widget_ioctl+0x18/0x40
 vfs_ioctl+0x50/0x22c
 </TASK>",
    ),
    form(
        OutOfMemory,
        "widget_ioctl",
        r"Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 panic+0x107/0x2c7
 widget_ioctl+0x18/0x40
 vfs_ioctl+0x50/0x22c
 </TASK>",
    ),
    form(
        Panic,
        "widget_ioctl",
        r"Kernel panic - not syncing: sysrq triggered crash
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 panic+0x107/0x2c7
 widget_ioctl+0x18/0x40
 vfs_ioctl+0x50/0x22c
 </TASK>",
    ),
    form(
        Panic,
        "widget_ioctl",
        r"Kernel panic - not syncing: corrupted stack end detected inside scheduler
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 panic+0x107/0x2c7
 widget_ioctl+0x18/0x40
 vfs_ioctl+0x50/0x22c
 </TASK>",
    ),
    form(
        Panic,
        "widget_ioctl",
        r"Kernel panic - not syncing: Fatal hardware error!
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 panic+0x107/0x2c7
 widget_ioctl+0x18/0x40
 vfs_ioctl+0x50/0x22c
 </TASK>",
    ),
    form(
        Panic,
        "widget_ioctl",
        r"Kernel panic - not syncing: EXT4-fs (device loop0): panic forced after error
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 panic+0x107/0x2c7
 widget_ioctl+0x18/0x40
 vfs_ioctl+0x50/0x22c
 </TASK>",
    ),
    nameless(
        Rootfs,
        r"Kernel panic - not syncing: Requested init /init failed (error -2).
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 panic+0x107/0x2c7
 widget_ioctl+0x18/0x40
 vfs_ioctl+0x50/0x22c
 </TASK>",
    ),
    form(
        Panic,
        "widget_ioctl",
        r"Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: ffffffff81234567
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 panic+0x107/0x2c7
 widget_ioctl+0x18/0x40
 vfs_ioctl+0x50/0x22c
 </TASK>",
    ),
    nameless(
        Panic,
        r"mce: [Hardware Error]: CPU 0: Machine Check Exception: 5 Bank 4: b200000000070f0f
mce: [Hardware Error]: RIP !INEXACT! 10:<ffffffff81234567> {widget_bind+0x1/0x2}
mce: [Hardware Error]: TSC 123456789abc ADDR fee00000
mce: [Hardware Error]: PROCESSOR 0:306e4 TIME 1234567890 SOCKET 0 APIC 0 microcode 42e
mce: [Hardware Error]: Run the above through 'mcelog --ascii'
mce: [Hardware Error]: Machine check: Processor context corrupt
Kernel panic - not syncing: Fatal machine check
Kernel Offset: disabled",
    ),
    nameless(
        Panic,
        r"Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100

CPU: 0 PID: 1 Comm: init Not tainted 5.10.0 #1
Call Trace:
 dump_stack+0x57/0x6e
 panic+0xf6/0x2b7
 do_exit.cold+0x15/0x15
 do_group_exit+0x33/0xa0
 __x64_sys_exit_group+0x14/0x20
 do_syscall_64+0x33/0x40",
    ),
    form(
        Panic,
        "widget_init",
        r"Kernel panic - not syncing: Failed to create widget: -12
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Hardware name: linux,dummy-virt (DT)
Call trace:
 show_stack+0x18/0x24 (C)
 dump_stack_lvl+0x34/0x8c
 dump_stack+0x18/0x24
 vpanic+0x12c/0x330
 do_panic_on_target_cpu+0x0/0x1c
 widget_init+0x18/0x40
 do_one_initcall+0x60/0x1d4
 kernel_init_freeable+0x250/0x2e0
 kernel_init+0x20/0x1e0
 ret_from_fork+0x10/0x20
SMP: stopping secondary CPUs
Kernel Offset: 0x2f0000000000 from 0xffff800080000000
CPU features: 0x0,00000001,00000000,00000000
Memory Limit: none
---[ end Kernel panic - not syncing: Failed to create widget: -12 ]---",
    ),
    nameless(
        Rootfs,
        r#"/dev/root: Can't open blockdev
VFS: Cannot open root device "PARTUUID=1234" or unknown-block(0,0): error -6
Please append a correct "root=" boot option; here are the available partitions:
List of all bdev filesystems:
 ext3
 ext2
 ext4

Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #1
Call trace:
 show_stack+0x18/0x24 (C)
 panic+0x398/0x3a0
 mount_root_generic+0x1f8/0x2f0"#,
    ),
    // fs/super.c, rust/helpers/bug.c, lib/refcount.c on arm64, kernel/bpf/btf.c.
    nameless(Leak, "VFS: Busy inodes after unmount of sda1. Self-destruct in 5 seconds.  Have a nice day..."),
    form(
        Bug,
        "widget_bind",
        r"rust_kernel: panicked at drivers/widget.rs:10:5:
index out of bounds: the len is 4 but the index is 4
------------[ cut here ]------------
kernel BUG at rust/helpers/bug.c:7!
Oops: invalid opcode: 0000 [#1] SMP
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
RIP: 0010:rust_helper_BUG+0x1c/0x90
Code: 48 8b 47 08 <48> 8b 00 c3
RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001
Call Trace:
 <TASK>
 rust_begin_unwind+0x1/0x2
 _RNvNtCs1_4core9panicking9panic_fmt+0x1/0x2
 _RNvNtCs1_4core9panicking18panic_bounds_check+0x1/0x2
 widget_bind+0x1a/0x30
 vfs_ioctl+0x1a/0x30
 __x64_sys_ioctl+0x8e/0xd0
 do_syscall_64+0x5b/0x110
 entry_SYSCALL_64_after_hwframe+0x76/0x7e
 </TASK>
---[ end trace 0000000000000000 ]---",
    ),
    form(
        Refcount,
        "widget_put",
        r"------------[ cut here ]------------
refcount_t: underflow; use-after-free.
WARNING: CPU: 2 PID: 321 at lib/refcount.c:28 refcount_warn_saturate+0xf4/0x148
Modules linked in: widget(O)
CPU: 2 UID: 0 PID: 321 Comm: prog Not tainted 6.12.0 #1
Hardware name: linux,dummy-virt (DT)
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : refcount_warn_saturate+0xf4/0x148
lr : refcount_warn_saturate+0xf4/0x148
sp : ffff80008000bd20
Call trace:
 refcount_warn_saturate+0xf4/0x148 (P)
 refcount_warn_saturate+0xf4/0x148 (L)
 widget_put+0x18/0x40
 widget_ioctl+0x18/0x40
---[ end trace 0000000000000000 ]---",
    ),
    nameless(
        Btf,
        r"BPF: 	 type_id=35503 offset=178440 size=4
BPF: 
BPF: Invalid offset
BPF: 
failed to validate module [widget] BTF: -22",
    ),
    // linux-next's hung_task, lib/usercopy.c, mm/page_alloc.c, drivers/usb/core/urb.c, net/dccp, lib/bug.c.
    form(
        HungTask,
        "widget_ioctl",
        r"INFO: task prog:123 can't die for more than 143 seconds.
task:prog            state:R  running task     stack:26208 pid:123   ppid:1      flags:0x00004006
Call Trace:
 context_switch kernel/sched/core.c:4683 [inline]
 __schedule+0x93a/0x26f0 kernel/sched/core.c:5940
 preempt_schedule_common+0x45/0xc0 kernel/sched/core.c:6115
 preempt_schedule_thunk+0x16/0x18 arch/x86/entry/thunk_64.S:35
 widget_ioctl+0x1a/0x30 d.c:9
 vfs_ioctl+0x1a/0x30 fs/ioctl.c:51
 __do_sys_ioctl fs/ioctl.c:1 [inline]
 do_syscall_64+0x5b/0x110",
    ),
    form(
        Bug,
        "widget_ioctl",
        x86!(
            r"------------[ cut here ]------------
kernel BUG at [verbose debug info unavailable]
invalid opcode: 0000 [#1] SMP",
            "widget_ioctl"
        ),
    ),
    form(
        Bug,
        "widget_ioctl",
        dumped!(
            "BUG: please report to dccp@vger.kernel.org => prev = 0, last = 0 at net/dccp/ccids/lib/packet_history.c:422/tfrc_rx_hist_sample_rtt()",
            r" widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            r"------------[ cut here ]------------
Buffer overflow detected (8 < 64)!
WARNING: CPU: 1 PID: 123 at include/linux/thread_info.h:150 check_copy_size+0x1/0x2",
            "copy_overflow"
        ),
    ),
    form(
        Warning,
        "widget_ioctl",
        x86!(
            r"------------[ cut here ]------------
usb 1-1: BOGUS urb xfer, pipe 1 != type 3
WARNING: CPU: 1 PID: 123 at drivers/usb/core/urb.c:503 usb_submit_urb+0xed2/0x1880",
            "usb_submit_urb"
        ),
    ),
    form(
        Bug,
        "filemap_unaccount_folio",
        dumped!(
            r"BUG: Bad page cache in process prog  pfn:12345
page:ffffea0000001234 refcount:2 mapcount:1 mapping:ffff888003c6c690 index:0x0 pfn:0x12345",
            r" print_bad_page+0x1/0x2
 filemap_unaccount_folio+0x1/0x2
 __filemap_remove_folio+0x1/0x2
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30"
        ),
    ),
    // Decoded logs: inlined functions in lines of their own.
    form(
        GeneralProtection,
        "widget_bind",
        r"Oops: general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] SMP KASAN
KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]
CPU: 1 UID: 0 PID: 5843 Comm: prog Not tainted 6.16.0 #0 PREEMPT(full)
RIP: 0010:widget_inner include/linux/widget.h:9 [inline]
RIP: 0010:widget_outer drivers/widget/core.c:9 [inline]
RIP: 0010:widget_bind+0x1c/0x90 drivers/widget/core.c:99
Code: 48 8b 47 08 <48> 8b 00 c3
RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
Call Trace:
 <TASK>
 widget_ioctl+0x1a/0x30 drivers/widget/core.c:199
 vfs_ioctl fs/ioctl.c:51 [inline]
 do_syscall_64+0xfa/0x3b0
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---",
    ),
    form(
        PageFault,
        "widget_bind",
        r"Unable to handle kernel paging request at virtual address dfff800000000003
Mem abort info:
  ESR = 0x0000000096000005
Internal error: Oops: 0000000096000005 [#1] PREEMPT SMP
Modules linked in:
CPU: 1 UID: 0 PID: 6422 Comm: prog Not tainted 6.16.0 #0 PREEMPT
pstate: 80400005 (Nzcv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : widget_inner include/linux/widget.h:9 [inline]
pc : widget_bind+0x24/0x80 drivers/widget/core.c:99
lr : widget_lr include/linux/widget.h:19 [inline]
lr : widget_open+0x18/0x40 drivers/widget/core.c:199
sp : ffff80008000bd20
Call trace:
 widget_inner include/linux/widget.h:9 [inline] (P)
 widget_bind+0x24/0x80 drivers/widget/core.c:99 (P)
 widget_open+0x18/0x40 drivers/widget/core.c:199
Code: d503233f a9bf7bfd (f9400000) d65f03c0",
    ),
];

/// A complaint, and the trap with which the kernel makes it.
pub const PAIRS: &[(&str, &str)] = &[
    (
        r"------------[ cut here ]------------
memcpy: detected buffer overflow: 64 byte write of buffer size 32
WARNING: CPU: 1 PID: 123 at lib/string_helpers.c:1036 __fortify_report+0x1c/0x90
CPU: 1 UID: 0 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
RIP: 0010:__fortify_report+0x1c/0x90
Code: 48 8b 47 08 <48> 8b 00 c3
RSP: 0018:ffffc90000013d88 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001
Call Trace:
 <TASK>
 __fortify_panic+0xd/0x10
 widget_ioctl+0x1a/0x30
 vfs_ioctl+0x1a/0x30
 __x64_sys_ioctl+0x8e/0xd0
 do_syscall_64+0x5b/0x110
 entry_SYSCALL_64_after_hwframe+0x76/0x7e
 </TASK>
---[ end trace 0000000000000000 ]---",
        x86!(
            r"------------[ cut here ]------------
kernel BUG at lib/string_helpers.c:1043!
Oops: invalid opcode: 0000 [#1] SMP",
            "__fortify_panic"
        ),
    ),
    (
        "VFS: Busy inodes after unmount of loop0 (ext4)",
        x86!(
            r"------------[ cut here ]------------
kernel BUG at fs/super.c:652!
Oops: invalid opcode: 0000 [#1] SMP",
            "generic_shutdown_super"
        ),
    ),
    (
        "BUG: Dentry 00000000deadbeef{i=8,n=y}  still in use (1) [unmount of tmpfs tmpfs]",
        x86!(
            r"------------[ cut here ]------------
WARNING: CPU: 1 PID: 123 at fs/dcache.c:1565 umount_check+0x1c/0x90",
            "umount_check"
        ),
    ),
];
