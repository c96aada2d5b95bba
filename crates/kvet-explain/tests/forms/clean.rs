//! What is no failure, in nearly the same words.

/// What healthy machines say.
pub const CLEAN: &str = "\
Linux version 6.12.0 (me@here) (gcc 14) #1 SMP PREEMPT_DYNAMIC
Command line: BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro oops=panic panic=10 panic_on_warn=1 softlockup_panic=1 hung_task_panic=1 nmi_watchdog=panic kasan.fault=panic slub_debug=FZPU
Kernel command line: oops=panic panic=-1 ignore_loglevel BUG: WARNING: panic
BIOS-provided physical RAM map:
[Firmware Bug]: TSC doesn't count with P0 frequency!
[Firmware Warn]: GHES: Poll interval is 0 for generic hardware error source: 1, disabled.
[Hardware Error]: Machine check events logged
ACPI: WARNING: RSDP signature is incorrect
ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.PCI0.XHC.RHUB.HS11], AE_NOT_FOUND (20240827/dswload2-162)
ACPI Error: Aborting method \\_SB.PCI0.LPCB.EC0._REG due to previous error (AE_NOT_FOUND) (20240827/psparse-529)
ACPI Warning: SystemIO range 0x0000000000000428-0x000000000000042F conflicts with OpRegion
ACPI: Deleted _OSI(Windows 2012)
MDS CPU bug present and SMT on, data leak possible. See https://www.kernel.org/doc/html/latest/admin-guide/hw-vuln/mds.html for more details.
Spectre V2 : Mitigation: Retpolines
CPU0: Spectre BHB: enabling workaround
SError handling: none
panic on oom enabled
refcount_t based debugging enabled
usercopy: bypass enabled
BPF: JIT enabled
alternatives: selftest passed
kvm [1]: nVHE hyp panic handler installed
rootfs image is not initramfs (no cpio magic); looks like an initrd
{1}[Hardware Error]: It has been corrected by h/w and requires no further action
Spectre V2 : Kernel not compiled with retpoline; no mitigation available!
x86/fpu: x87 FPU will use FXSAVE
x86/cpu: SGX disabled or unsupported by BIOS.
unchecked MSR access error: RDMSR from 0x852 at rIP: 0xffffffff9bc7a1f7 (native_read_msr+0x7/0x40)
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
NMI watchdog: Perf NMI watchdog permanently disabled
watchdog: Delayed init of the lockup detector failed: -19
watchdog: Hard watchdog permanently disabled
watchdog: NMI not fully supported
rcu: Preemptible hierarchical RCU implementation.
rcu: \tRCU debug extended QS entry/exit.
rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.
rcu: srcu_init: Setting srcu_struct sizes based on contention.
rcu_tasks: Setting shift to 2 and lim to 1 rcu_task_cb_adjust=1 rcu_task_cpu_ids=4.
Running RCU Tasks wait API self tests
Callback from call_rcu_tasks() invoked.
sched: DL replenish lagged too much
sched/rt: RT throttling activated
workqueue: blk_mq_run_work_fn hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND
perf: interrupt took too long (2502 > 2500), lowering kernel.perf_event_max_sample_rate to 79750
INFO: NMI handler (perf_event_nmi_handler) took too long to run: 12.345 msecs
hrtimer: interrupt took 12345678 ns
clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:
clocksource: Long readout interval, skipping watchdog check: cs_nsec: 1234567890 wd_nsec: 1234567880
Lockdep: fixing up alternatives.
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
... MAX_LOCKDEP_SUBCLASSES:  8
... MAX_LOCK_DEPTH:          48
| Locking API testsuite:
                     A-A deadlock:  ok  |  ok  |  ok  |  ok  |  ok  |  ok  |
Good, all 261 testcases passed! |
kmemleak: Kernel memory leak detector initialized (mem pool available: 15747)
kmemleak: Automatic memory scanning thread started
kasan: KernelAddressSanitizer initialized (generic)
kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)-0x(____ptrval____)
kcsan: enabled early
kcsan: strict mode configured
UBSAN: bounds checking enabled
debug_vm_pgtable: [debug_vm_pgtable         ]: Validating architecture page table helpers
page_owner is disabled
SLUB: HWalign=64, Order=0-3, MinObjects=0, CPUs=4, Nodes=1
mem auto-init: stack:all(zero), heap alloc:off, heap free:off
Freeing SMP alternatives memory: 40K
alternatives: applying system-wide alternatives
static_call: initialized
jump_label: patching
Unpatched branch history mitigation
Bringing up secondary CPUs ...
CPU features: detected: Kernel page table isolation (KPTI)
CPU: All CPU(s) started at EL2
EFI: WARNING: failed to parse the CC blob
efi: [Firmware Bug]: IRQ flags corrupted (0x00000140=>0x00000100) by EFI get_time
pci 0000:00:1f.0: [Firmware Bug]: TigerPoint LPC.BM_STS cleared
pcieport 0000:00:1c.0: AER: Corrected error message received from 0000:01:00.0
pcieport 0000:00:1c.0: DPC: error containment capabilities: Int Msg #0, RPExt- PoisonedTLP- SwTrigger- RP PIO Log 0, DL_ActiveErr-
usb 5-1: WARNING: ath10k USB support is incomplete, don't expect anything to work!
usb 1-1: device descriptor read/64, error -71
[drm] ERROR Failed to initialise the GPU
[drm:intel_dp_detect [i915]] *ERROR* BUG in the panel's descriptor
amdgpu 0000:03:00.0: amdgpu: WARNING: the fan is broken
nouveau 0000:01:00.0: bus: MMIO read of 00000000 FAULT at 3e6684 [ PRIVRING ]
iwlwifi 0000:02:00.0: Microcode SW error detected. Restarting 0x0.
iwlwifi 0000:02:00.0: 0x00000034 | NMI_INTERRUPT_WDG
ata1.00: exception Emask 0x0 SAct 0x0 SErr 0x0 action 0x6 frozen
blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0
EXT4-fs (vda1): mounted filesystem with ordered data mode. Opts: errors=panic
EXT4-fs error (device vda1): ext4_lookup:1234: inode #2: comm ls: deleted inode referenced: 12
EXT4-fs (vda1): warning: mounting unchecked fs, running e2fsck is recommended
EXT4-fs (vda1): error count since last fsck: 5
XFS (vda1): Corruption warning: Metadata has LSN (1:2) ahead of current LSN (1:1).
BTRFS warning (device vda1): checksum error at logical 123 on dev /dev/vda1
VFS: Mounted root (ext4 filesystem) readonly on device 254:1.
VFS: Finished mounting rootfs on nullfs
FAT-fs (vda2): Volume was not properly unmounted. Some data may be corrupt. Please run fsck.
random: crng init done
prog[123]: segfault at 0 ip 0000000000401136 sp 00007ffd12345678 error 4 in prog[401000+1000] likely on CPU 1 (core 1, socket 0)
Code: 48 89 e5 48 c7 45 f8 00 00 00 00 48 8b 45 f8 <8b> 00 89 45 f4
traps: prog[123] general protection fault ip:401136 sp:7ffd12345678 error:0 in prog[401000+1000]
traps: prog[123] trap invalid opcode ip:401136 sp:7ffd12345678 error:0 in prog[401000+1000]
traps: prog[123] trap int3 ip:401136 sp:7ffd12345678 error:0 in prog[401000+1000]
traps: prog[123] trap divide error ip:401136 sp:7ffd12345678 error:0 in prog[401000+1000]
prog[123]: unhandled level 2 translation fault (11) at 0x00000008, esr 0x92000006, in prog[401000+1000]
prog: unhandled exception: unknown or uncategorized exception
prog (123): undefined instruction: pc=00000000aabbccdd
Alignment trap: prog (123) PC=0x00010424 Instr=0xe5943000 Address=0xbe9d1c2a FSR 0x001
prog[123]: bad frame in setup_rt_frame: 00000000deadbeef nip 00000000 lr 00000000
User process fault: interruption code 0010 ilc:2 in prog[401000+1000]
potentially unexpected fatal signal 11.
show_signal_msg: 12 callbacks suppressed
prog invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
Memory cgroup out of memory: Killed process 123 (prog) total-vm:123456kB, anon-rss:12345kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:123kB oom_score_adj:0
oom_reaper: reaped process 123 (prog), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB
note: prog[123] exited with preempt_count 1
prog (123) used greatest stack depth: 12345 bytes left
process 'prog' launched '/dev/fd/3' with NULL argv: empty string added
capability: warning: `prog' uses deprecated v2 capabilities in a way that may be insecure
netlink: 12 bytes leftover after parsing attributes in process `prog'.
TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:80. Sending cookies.
IPv4: martian source 10.0.0.1 from 10.0.0.2, on dev eth0
bond0: Warning: No 802.3ad response from the link partner for any adapters in the bond
device-mapper: core: CONFIG_IMA_DISABLE_HTABLE is disabled. Duplicate IMA measurements will not be recorded in the IMA log.
systemd[1]: BUG: this is systemd's
audit: type=1400 audit(1700000000.123:45): apparmor=\"DENIED\" operation=\"open\" comm=\"BUG:\"
test_bpf: #0 TAX jited:1 11 11 11 PASS
# Subtest: BUG: this is a test's name
    # KUnit: oops handled
lkdtm: No crash points registered, enable through debugfs
Unstable clock detected, switching default tracing clock to \"global\"
** trace_printk() being used. Allocating extra memory.  **
WARNING: Flushing of the cache is slow here
This architecture does not have kernel memory protection.
Disabling lock debugging due to kernel taint
widget: loading out-of-tree module taints kernel.
widget: module verification failed: signature and/or required key missing - tainting kernel
Loading of unsigned module is rejected
ima: No TPM chip found, activating TPM-bypass!
Warning: unable to open an initial console.
Warning: Processor Platform Limit event detected, but not handled.
Please append a correct \"root=\" boot option when you see a panic
Console: switching to colour dummy device 80x25
Run /sbin/init as init process";

/// What programs write on the same console.
pub const USER_SPACE: &str = "\
BUG: this is a shell script's
\"Synchronous Abort\" handler, esr 0x96000004
WARNING: BL31: cortex_a53: CPU workaround for 835769 was missing!
ERROR:   BL2: Failed to load image id 3
[FAILED] Failed to start foo.service - Foo.
# BUG: KASAN is not in this kernel
# selftests: mm: test of BUG: Bad page state
ok 1 BUG: test
not ok 2 kernel panic expected
WARNING: CPU usage is high
WARNING: at least one device is missing
[WARNING] something
[ BUG ] tracker
INFO: task list:
INFO: possible values are 1 and 2
INFO: rcu is configured
panic: prog: cannot allocate
panic(cpu 0 caller 0x1): this is another system's
Oops, something went wrong
Oops: please try again
Oops! Page not found
Internal error: please report
general protection is enabled
Unable to handle kernel version 6: unsupported
Unable to handle request
Unhandled exception: System.Exception
Unhandled fault in module
kernel: panic
Kernel panic will follow if you say yes
Call Trace: enabled
Call Trace:
  at main (main.js:1)
Segmentation fault (core dumped)
double free or corruption (!prev)
*** stack smashing detected ***: terminated
free(): invalid pointer
==123==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010
SUMMARY: UndefinedBehaviorSanitizer: undefined-behavior x.c:3:5
x.c:3:5: runtime error: signed integer overflow
memory leak detected by the test
LeakSanitizer: detected memory leaks
watchdog: hardware watchdog started
soft lockup test skipped
test: refcount_t: underflow; test passes
list_add corruption test: skipped
unregister_netdevice test
grep -q 'BUG:' /var/log/kern.log
+ dmesg | grep -c 'Kernel panic - not syncing'
Checking for 'WARNING: CPU: ' in dmesg: none
echo c > /proc/sysrq-trigger would panic
debian login: ";

/// Traces that are asked for, or that go with what is no failure of the kernel.
pub const ASKED_FOR: &[&str] = &[
    r"prog invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 dump_header+0x4a/0x240
 oom_kill_process+0x101/0x190
 out_of_memory+0x246/0x590
 __alloc_pages_slowpath.constprop.0+0x1/0x2
 </TASK>
Mem-Info:
active_anon:123 inactive_anon:456 isolated_anon:0
Node 0 active_anon:492kB inactive_anon:1824kB
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name
[    123]     0   123    12345     1234      123      456        0    12345        0             0 prog
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=prog,pid=123,uid=0
Out of memory: Killed process 123 (prog) total-vm:123456kB, anon-rss:12345kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:123kB oom_score_adj:0",
    r"prog: page allocation failure: order:4, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null),cpuset=/,mems_allowed=0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 warn_alloc+0x132/0x1b0
 __alloc_pages_slowpath.constprop.0+0x1/0x2
 </TASK>
Mem-Info:
active_anon:123",
    r"prog: vmalloc error: size 1234567, page order 0, failed to allocate pages, mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset=/,mems_allowed=0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 warn_alloc+0x132/0x1b0
 </TASK>",
    r"FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"sysrq: Show State
task:init            state:S stack:0     pid:1     tgid:1     ppid:0      flags:0x00000002
Call Trace:
 <TASK>
 __schedule+0x3c9/0x1520
 schedule+0x5a/0xd0
 do_wait+0x1/0x2
 </TASK>
task:kworker/0:0     state:D stack:0     pid:6     tgid:6     ppid:2      flags:0x00004000
Workqueue: events widget_work
Call Trace:
 <TASK>
 __schedule+0x3c9/0x1520
 schedule+0x5a/0xd0
 </TASK>
Showing all locks held in the system:
1 lock held by init/1:
 #0: ffff888003c6c790 (&w->other){+.+.}-{3:3}, at: widget_open+0x18/0x40
=============================================",
    r"sysrq: Show backtrace of all active CPUs
sysrq: CPU1:
CPU: 1 PID: 0 Comm: swapper/1 Not tainted 6.12.0 #1
NMI backtrace for cpu 1
CPU: 1 PID: 0 Comm: swapper/1 Not tainted 6.12.0 #1
RIP: 0010:default_idle+0x1c/0x90
Code: 48 8b 47 08 <48> 8b 00 c3
RSP: 0018:ffffc90000013d88 EFLAGS: 00000246
Call Trace:
 <TASK>
 cpuidle_idle_call+0x1/0x2
 do_idle+0x1/0x2
 </TASK>",
    r"XFS (loop0): Internal error i != 1 at line 123 of file fs/xfs/libxfs/xfs_alloc.c.  Caller xfs_free_ag_extent+0x1/0x2 [xfs]
CPU: 1 PID: 123 Comm: mount Not tainted 6.12.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 xfs_corruption_error+0x1/0x2
 xfs_free_ag_extent+0x1/0x2
 </TASK>
XFS (loop0): Corruption detected. Unmount and run xfs_repair",
    r"EXT4-fs error (device loop0): ext4_mb_generate_buddy:1220: group 0, block bitmap and bg descriptor inconsistent: 25 vs 150994969 free clusters
EXT4-fs (loop0): Delayed block allocation failed for inode 18 at logical offset 0 with max blocks 1 with error 28
EXT4-fs (loop0): This should not happen!! Data will be lost",
    r"Uhhuh. NMI received for unknown reason 3d on CPU 0.
Dazed and confused, but trying to continue",
    r"systemd-coredump[123]: Process 99 (prog) of user 0 dumped core.

Stack trace of thread 99:
#0  0x00007f1234567890 raise (libc.so.6 + 0x38d22)
#1  0x00007f1234567891 abort (libc.so.6 + 0x22862)",
    r"random: crng init done
clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:
clocksource:                       'hpet' wd_nsec: 503294000 wd_now: 12345678 wd_last: 1234567 mask: ffffffff
rcu: INFO: rcu_preempt self-detected stall warnings are enabled? no
traps: prog[123] general protection fault ip:401136 sp:7ffd12345678 error:0 in prog[401000+1000]",
    r"pcieport 0000:00:1c.0: AER: Uncorrected (Non-Fatal) error received: 0000:01:00.0
nvme nvme0: I/O 123 QID 1 timeout, aborting
nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0xffff
INFO: NMI handler (ghes_notify_nmi) took too long to run: 1.234 msecs
perf: interrupt took too long (2503 > 2500), lowering kernel.perf_event_max_sample_rate to 79800
mce: [Hardware Error]: Machine check events logged
mce: CPU0: Core temperature above threshold, cpu clock throttled (total events = 1)
EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#0_DIMM#0",
    r"BTRFS: error (device loop0 state A) in btrfs_run_delayed_refs:2168: errno=-28 No space left
BTRFS info (device loop0 state EA): forced readonly
F2FS-fs (loop0): Magic Mismatch, valid(0xf2f52010) - read(0x0)
F2FS-fs (loop0): Can't find valid F2FS filesystem in 1th superblock
REISERFS error (device loop0): vs-13070 reiserfs_read_locked_inode: i/o failure occurred trying to find stat data of [1 2 0x0 SD]
ntfs3: loop0: Different NTFS sector size (4096) and media sector size (512).
ntfs: (device loop0): ntfs_attr_find(): Inode is corrupt.  Run chkdsk.
JFS: ERROR (device loop0): diRead: i_ino != di_number
UDF-fs: error (device loop0): udf_read_tagged: read failed, block=256, location=256
hfsplus: b-tree write err: -5, ino 4
erofs: (device loop0): cannot find valid erofs superblock
Buffer I/O error on dev loop0, logical block 0, async page read
I/O error, dev loop0, sector 0 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 0
EXT4-fs (loop0): warning: mounting fs with errors, running e2fsck is recommended
kernel write not supported for file /proc/self/x",
    r"NFSD: Using UMH upcall client tracking operations.
usb 1-1: Warning! Unlikely big volume range (=3072), cval->res is probably wrong.
ACPI BIOS Warning (bug): Optional FADT field Pm2ControlBlock has valid Length but zero Address: 0x0000000000000000/0x1 (20240827/tbfadt-615)
platform regulatory.0: Direct firmware load for regulatory.db failed with error -2
cfg80211: failed to load regulatory.db
[Firmware Bug]: the BIOS has corrupted hw-PMU resources (MSR 38d is 330)
x86/mm: Checked W+X mappings: passed, no W+X pages found.
x86/mm: Checked W+X mappings: FAILED, 4 W+X pages found.
Kernel memory protection disabled.
mtrr: your CPUs had inconsistent variable MTRR settings
watchdog: watchdog0: watchdog did not stop!
kvm: vcpu 0: requested lapic timer restore with starting count register 0x390=4241646265 (4241646265 ns) > initial count (296265111 ns). Using initial count to start timer.
kvm [123]: vcpu0, guest rIP: 0xfff0 Unhandled WRMSR(0x10) = 0x0",
    // Advice that begins like a warning, and somebody else's trace below it.
    r"=======================================================
WARNING: The mand mount option has been deprecated and
         and is ignored by this kernel. Remove the mand
         option from the mount to silence this warning.
=======================================================
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"WARNING: The mand mount option is being deprecated and
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"usb 1-1: WARNING: something
usb 1-1: BUG in the descriptor
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"L1TF CPU bug present and SMT on, data leak possible. See CVE-2018-3646
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"INFO: recovery required on readonly filesystem
EXT4-fs (sda1): INFO: recovery required on readonly filesystem
EXT4-fs (sda1): write access will be enabled during recovery
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"WARNING! power/level is deprecated; use power/control instead
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"Warning: unable to open an initial console.
warning: `prog' uses 32-bit capabilities (legacy support in use)
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"cgroup: Unknown subsys name 'net'
netlink: 'prog': attribute type 1 has an invalid length.
BUG_ON? no
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"mmap: prog (123): VmData 123456 exceed data ulimit 12345. Update limits or use boot option ignore_rlimit_data.
prog: attempt to access beyond end of device
loop0: rw=0, want=130, limit=128
XFS (loop0): Invalid superblock magic number
sysv_free_block: flc_count > flc_size
FAULT_INJECTION: forcing a failure.
name failslab, interval 1, probability 0, space 0, times 0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 should_fail_ex+0x1/0x2
 should_failslab+0x1/0x2
 kmem_cache_alloc+0x1/0x2
 widget_ioctl+0x1a/0x30
 </TASK>",
    r"WARNING: something odd here
prog invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
CPU: 1 PID: 123 Comm: prog Not tainted 6.12.0 #1
Hardware name: QEMU Standard PC
Call Trace:
 <TASK>
 dump_stack_lvl+0x6c/0xa0
 dump_header+0x4a/0x240
 oom_kill_process+0x101/0x190
 </TASK>
Mem-Info:",
    r"WARNING: something odd here
sysrq: Show Blocked State
task:prog            state:D stack:26208 pid:123   tgid:123   ppid:1      flags:0x00004006
Call Trace:
 <TASK>
 __schedule+0x16a2/0x4cb0
 schedule+0x165/0x360
 io_schedule+0x80/0xd0
 </TASK>",
];
