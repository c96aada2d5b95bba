//! Rules on logs made up for them, from text to diagnosis; and that each stays silent without its evidence.
#![allow(clippy::unwrap_used)]

use kvet_explain::{Confidence, Context, Explained, Text, explain};

fn explained(text: &str) -> Vec<Explained> {
    let log = kvet_console::parse(text.as_bytes());
    explain(&log, &Context { text: Text(text.as_bytes()), ..Context::default() })
}

/// The first report: the cause of all.
fn first(text: &str) -> Explained {
    explained(text).into_iter().next().expect("a report is found")
}

fn cause(text: &str) -> (&'static str, Confidence, String) {
    let first = first(text);
    let diagnosis = first.diagnosis.expect("facts at least");
    (diagnosis.cause, diagnosis.confidence, diagnosis.summary)
}

/// Every piece of evidence that quotes a line quotes one that is there.
fn quotes_are_true(text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    for one in explained(text) {
        for evidence in one.diagnosis.iter().flat_map(|d| &d.evidence) {
            let Some((number, quoted)) = &evidence.line else { continue };
            let around =
                lines[(*number as usize - 1)..].iter().take(3).copied().collect::<Vec<_>>().join(" ");
            let start: String = quoted.split_whitespace().next().unwrap_or("").chars().take(12).collect();
            assert!(around.contains(&start), "line {number} does not hold {quoted:?}: {around}");
        }
    }
}

const INT3: &str = "\
[    0.100000] Linux version 6.4.0 (me@here) (gcc 12) #1 SMP
[    0.200000] smpboot: CPU0: AMD QEMU TCG CPU version 2.5+ (family: 0xf)
[    0.300000] smp: Brought up 1 node, 4 CPUs
[    3.093098] int3: 0000 [#1] PREEMPT SMP NOPTI
[    3.093098] CPU: 3 PID: 1 Comm: swapper/0 Not tainted 6.4.0 #8
[    3.093098] Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS rel-1.16.1-0-gdeadbeef-prebuilt.qemu.org 04/01/2014
[    3.093098] RIP: 0010:__mod_timer+0x1c3/0x370
[    3.093098] Code: 83 e3 01 0f 85 54 ff ff ff 41 8b 4f 20 66 <90> f7 c1 00 00 10 00 0f 84 23 01 00 00
[    3.093098] RSP: 0018:ffffaf1600013e00 EFLAGS: 00000046
[    3.093098] Call Trace:
[    3.093098]  <TASK>
[    3.093098]  queue_delayed_work_on+0x23/0x30
[    3.093098]  arp_init+0x12/0x50
[    3.093098]  inet_init+0x15b/0x2f0
[    3.093098]  do_one_initcall+0x58/0x230
[    3.093098]  kernel_init+0x15/0x1b0
[    3.093098]  </TASK>
[    3.093098] ---[ end trace 0000000000000000 ]---
[    3.093098] Kernel panic - not syncing: Fatal exception in interrupt
";

#[test]
fn an_int3_that_memory_no_longer_holds() {
    let (name, confidence, summary) = cause(INT3);
    assert_eq!((name, confidence), ("stale-int3", Confidence::Likely), "{summary}");
    assert!(summary.contains("__mod_timer+0x1c2") && summary.contains("older than 8.1"), "{summary}");
    assert_eq!(first(INT3).phase, kvet_console::Phase::Initcall(Some("inet_init".into())));
    quotes_are_true(INT3);

    // The symptom alone names nobody.
    let hardware = INT3.replace(
        "QEMU Standard PC (Q35 + ICH9, 2009), BIOS rel-1.16.1-0-gdeadbeef-prebuilt.qemu.org",
        "Dell Inc. X, BIOS 1.2",
    );
    let hardware = hardware.replace("AMD QEMU TCG CPU version 2.5+", "AMD EPYC 7302");
    let (name, confidence, summary) = cause(&hardware);
    assert_eq!((name, confidence), ("stale-int3", Confidence::Possible));
    assert!(!summary.contains("QEMU"), "{summary}");
    // QEMU, but nothing says TCG.
    let (_, confidence, summary) = cause(&INT3.replace("AMD QEMU TCG CPU version 2.5+", "AMD EPYC 7302"));
    assert_eq!(confidence, Confidence::Possible);
    assert!(summary.contains("does not say whether"), "{summary}");
    // A newer QEMU is not blamed.
    let newer = INT3.replace("rel-1.16.1-0", "rel-1.16.3-0");
    let (_, confidence, summary) = cause(&newer);
    assert_eq!(confidence, Confidence::Possible);
    assert!(summary.contains("8.1 or newer"), "{summary}");
    // KVM does not translate.
    let kvm = INT3.replace("smp: Brought up", "Hypervisor detected: KVM\n[    0.310000] smp: Brought up");
    assert_eq!(cause(&kvm).1, Confidence::Possible);
    // An int3 that is there is no stale one.
    assert_ne!(cause(&INT3.replace("66 <90>", "cc <90>")).0, "stale-int3");
}

const JUMP_LABEL: &str = "\
[    0.853948][    T1] jump_label: Fatal kernel bug, unexpected op at swap_writepage+0x1c/0x60 [(____ptrval____)] (eb 1c 48 89 df != 66 90 0f 1f 00)) size:2 type:1
[    0.854952][    T1] ------------[ cut here ]------------
[    0.855258][    T1] kernel BUG at arch/x86/kernel/jump_label.c:73!
[    0.855617][    T1] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
[    0.855951][    T1] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 5.19.0 #25
[    0.856871][    T1] RIP: 0010:__jump_label_patch+0x190/0x1a0
[    0.857196][    T1] Code: 48 83 c4 08 <0f> 0b 0f 0b
[    0.862130][    T1] Call Trace:
[    0.862311][    T1]  <TASK>
[    0.863592][    T1]  ? arch_jump_label_transform_queue+0x26/0x60
[    0.865027][    T1]  ? do_one_initcall+0x120/0x2b0
[    0.866876][    T1]  </TASK>
";

#[test]
fn a_jump_where_a_nop_belongs() {
    let (name, confidence, summary) = cause(JUMP_LABEL);
    assert_eq!((name, confidence), ("jump-label-mismatch", Confidence::Likely));
    for words in ["swap_writepage+0x1c", "jmp short +0x1c", "2-byte nop", "objtool"] {
        assert!(summary.contains(words), "{words}: {summary}");
    }
    assert_eq!(first(JUMP_LABEL).function.as_deref(), Some("swap_writepage"));
    quotes_are_true(JUMP_LABEL);
    // The reverse: a nop where the jump belongs.
    let reverse = JUMP_LABEL
        .replace("eb 1c 48 89 df != 66 90 0f 1f 00", "66 90 48 89 df != eb 1c 0f 1f 00")
        .replace("type:1", "type:0");
    assert!(cause(&reverse).2.contains("disagree"));
    // Without the two byte strings nothing can be said of them.
    let cut = JUMP_LABEL.replace(" (eb 1c 48 89 df != 66 90 0f 1f 00)) size:2 type:1", "");
    assert_ne!(cause(&cut).0, "jump-label-mismatch");
}

const STACK: &str = "\
[    0.000000] Linux version 4.17.0 (me@here) (gcc version 4.9.1) #14 SMP PREEMPT
[    0.042439] Insufficient stack space to handle exception!
[    0.042441] ESR: 0x96000046 -- DABT (current EL)
[    0.043752] FAR: 0xffff0000093a80e0
[    0.044207] Task stack: [0xffff0000093a8000..0xffff0000093ac000]
[    0.046511] IRQ stack: [0xffff000008000000..0xffff000008004000]
[    0.052899] Overflow stack: [0xffff80003efce2f0..0xffff80003efcf2f0]
[    0.059396] CPU: 0 PID: 12 Comm: migration/0 Not tainted 4.17.0 #14
[    0.071710] pstate: 604003c5 (nZCv DAIF +PAN -UAO)
[    0.076532] pc : el1_sync+0x0/0xb0
[    0.080028] lr : kpti_install_ng_mappings+0x120/0x214
[    0.085197] sp : ffff0000093a80e0
[    0.088566] x29: ffff0000093abce0 x28: ffff000008ea9000
[    0.169251] Kernel panic - not syncing: kernel stack overflow
[    0.187424] Call trace:
[    0.189948]  dump_backtrace+0x0/0x180
[    0.193678]  show_stack+0x14/0x1c
[    0.197051]  panic+0x138/0x2a0
[    0.207398]  handle_bad_stack+0x118/0x124
[    0.211489]  __bad_stack+0x88/0x8c
[    0.214870]  el1_sync+0x0/0xb0
[    0.217998] Unable to handle kernel paging request at virtual address ffff0000093abce0
[    0.226061] Mem abort info:
[    0.228839]   ESR = 0x96000006
[    0.261191] [ffff0000093abce0] pgd=00000000411f8003, pud=00000000411f9003, pmd=0000000000000000
[    0.269982] Internal error: Oops: 96000006 [#1] PREEMPT SMP
[    0.278664] CPU: 0 PID: 12 Comm: migration/0 Not tainted 4.17.0 #14
[    0.295874] pc : unwind_frame+0x28/0xc8
[    0.299836] lr : dump_backtrace+0x12c/0x180
[    0.304055] sp : ffff80003efcf000
[    0.395204] Call trace:
[    0.397726]  unwind_frame+0x28/0xc8
[    0.401224]  show_stack+0x14/0x1c
[    0.408070]  panic+0x138/0x2a0
";

#[test]
fn a_stack_that_is_gone() {
    let all = explained(STACK);
    let (name, confidence, summary) = cause(STACK);
    assert_eq!((name, confidence), ("stack-unmapped", Confidence::Certain), "{summary}");
    for words in ["48 exception frames of 320 bytes", "kpti_install_ng_mappings", "not too small but gone"] {
        assert!(summary.contains(words), "{words}: {summary}");
    }
    assert_eq!(all[0].function.as_deref(), Some("kpti_install_ng_mappings"));
    assert_eq!(all.iter().map(|one| one.consequence_of).collect::<Vec<_>>(), [None, Some(0)]);
    quotes_are_true(STACK);
    // Another distance is no row of exception frames, and with a mapped page below it is no lost mapping.
    let other = STACK.replace("x29: ffff0000093abce0", "x29: ffff0000093abcd8");
    assert_eq!(cause(&other).1, Confidence::Likely);
    let permission = STACK.replace("0x96000046", "0x9600004f");
    assert_eq!(cause(&permission).0, "stack-recursion");
}

const ALTERNATIVES: &str = "\
[    0.264127] alternatives: patching kernel code
[    0.268635] ------------[ cut here ]------------
[    0.273303] kernel BUG at arch/arm64/kernel/alternative.c:157!
[    0.279192] Internal error: Oops - BUG: 0 [#1] PREEMPT SMP
[    0.287833] CPU: 0 PID: 14 Comm: migration/0 Not tainted 5.13.0-rc2 #4501
[    0.309020] pstate: 204000c5 (nzCv daIF +PAN -UAO -TCO BTYPE=--)
[    0.315086] pc : __apply_alternatives+0x1f0/0x270
[    0.319847] lr : __apply_alternatives+0xf4/0x270
[    0.324515] sp : ffffffc01020bca0
[    0.371140] x20: ffffffc01020bd30 x19: ffffffd7f72194fc x18: ffffffffffffffff
[    0.392771] x2 : 0000000000000004 x1 : 0000000000000000 x0 : 000000000000003f
[    0.399982] Call trace:
[    0.402461]  __apply_alternatives+0x1f0/0x270
[    0.406873]  __apply_alternatives_multi_stop+0xc0/0xe0
[    0.431045] Code: 39402e61 39402a62 6b01005f 54fff500 (d4210000)
[    0.437199] ---[ end trace 523e13d9d60a992d ]---
";

#[test]
fn a_stale_object_on_arm64() {
    let (name, confidence, summary) = cause(ALTERNATIVES);
    assert_eq!((name, confidence), ("stale-alternatives-object", Confidence::Likely), "{summary}");
    assert!(summary.contains("capability 63") && summary.contains("cpucaps.h"), "{summary}");
    let debug = format!(
        "{ALTERNATIVES}alternatives: alt->cpufeature = 63\nalternatives: alt->orig_len = 4\nalternatives: alt->alt_len = 0\nsince ARM64_NCAPS is 61 there\n"
    );
    assert_eq!(cause(&debug).1, Confidence::Certain);
    // Within the range it is no stale number, whatever else it is.
    let within = debug.replace("NCAPS is 61", "NCAPS is 70");
    assert_eq!(cause(&within).1, Confidence::Likely);
    let elsewhere = ALTERNATIVES.replace("alternative.c", "other.c").replace("__apply_alternatives", "other");
    assert_ne!(cause(&elsewhere).0, "stale-alternatives-object");
    quotes_are_true(&debug);
}

#[test]
fn btf_refused() {
    let log = "\
[    0.000000] Linux version 5.13.0 (me@here) (gcc 10.3.0) #1 SMP
[   26.254154] BPF:\t type_id=35503 offset=178440 size=4
[   26.259125] BPF:
[   26.261054] BPF:Invalid offset
[   26.264119] BPF:
[   26.267437] failed to validate module [efivarfs] BTF: -22
";
    let (name, confidence, summary) = cause(log);
    assert_eq!((name, confidence), ("btf-vmlinux-refused", Confidence::Likely), "{summary}");
    assert!(summary.contains("all of BPF is dead") && summary.contains("1.22"), "{summary}");
    let bare = "[   26.267437] failed to validate module [efivarfs] BTF: -22\n";
    assert_eq!(cause(bare).0, "btf-module-refused");
    assert_eq!(cause(bare).1, Confidence::Possible);
    // Another complaint is another bug.
    let other = log.replace("Invalid offset", "Invalid name");
    assert!(!cause(&other).2.contains("1.22"));
    assert_ne!(first(log).signature, first(&other).signature);
}

#[test]
fn what_a_bad_address_tells() {
    let fault = |address: &str, bits: &str| {
        format!(
            "[   12.000000] BUG: unable to handle page fault for address: {address}\n\
             [   12.000000] #PF: supervisor write access in kernel mode\n\
             [   12.000000] #PF: error_code({bits}) - not-present page\n\
             [   12.000000] PGD 0 P4D 0\n\
             [   12.000000] Oops: 0002 [#1] SMP\n\
             [   12.000000] CPU: 1 PID: 99 Comm: cat Not tainted 6.1.0 #1\n\
             [   12.000000] RIP: 0010:my_write+0x12/0x40\n\
             [   12.000000] Code: 90 90 <48> 89 10\n\
             [   12.000000] RAX: {address} RBX: 0000000000000001 RCX: 0000000000000000\n\
             [   12.000000] Call Trace:\n[   12.000000]  vfs_write+0x1/0x2\n[   12.000000]  ksys_write+0x1/0x2\n"
        )
    };
    let of = |address: &str| cause(&fault(address, "0x0002")).0;
    assert_eq!(of("0000000000000018"), "null-dereference");
    assert_eq!(of("fffffffffffffff4"), "error-pointer");
    assert_eq!(of("dead000000000122"), "poison");
    assert_eq!(of("6b6b6b6b6b6b6b6b"), "poison");
    assert_eq!(of("ffffc90000a00000"), "wild-pointer");
    assert_eq!(cause(&fault("ffffffff81000000", "0x0003")).0, "write-read-only");
    let text = fault("0000000000000018", "0x0002");
    assert_eq!(first(&text).title, "BUG: unable to handle kernel paging request in my_write");
    quotes_are_true(&text);
}

#[test]
fn who_waits_and_for_whom() {
    let lockup = "\
[   29.038578] watchdog: BUG: soft lockup - CPU#0 stuck for 27s! [kworker/0:1:17]
[   29.039088] CPU: 0 PID: 17 Comm: kworker/0:1 Not tainted 6.1.0 #1
[   29.039637] Workqueue: events timer_update_keys
[   29.039980] RIP: 0010:smp_call_function_many_cond+0xf1/0x330
[   29.040151] Code: 73 25 48 63 d0 48 8b 33 48 03 34 d5 60 eb 19 b6 8b 56 08 83 e2 01 74 0a f3 90 <8b> 4e 08 83 e1 01 75 f6
[   29.040434] RSP: 0018:ff5d279740093d88 EFLAGS: 00000202
[   29.040568] RAX: 0000000000000003 RBX: ff1b1a53df232b40 RCX: 0000000000000001
[   29.041432] Call Trace:
[   29.042012]  <TASK>
[   29.042268]  on_each_cpu_cond_mask+0x20/0x40
[   29.042425]  text_poke_bp_batch+0x2c0/0x300
[   29.042425]  static_key_enable_cpuslocked+0x5f/0x90
[   29.042425]  static_key_enable+0x16/0x20
[   29.042425]  timer_update_keys+0x3d/0x50
[   29.042425]  process_one_work+0x1c7/0x380
[   29.042425]  worker_thread+0x4d/0x380
[   29.042425]  </TASK>
";
    let (name, confidence, summary) = cause(lockup);
    assert_eq!((name, confidence), ("patching-waits-for-cpu", Confidence::Likely), "{summary}");
    assert!(summary.contains("CPU 3") && summary.contains("timer_update_keys"), "{summary}");
    quotes_are_true(lockup);
    // Without the code nobody knows which CPU.
    let without: String = lockup.lines().filter(|l| !l.contains("Code:")).map(|l| format!("{l}\n")).collect();
    assert_eq!(cause(&without).1, Confidence::Possible);
}

#[test]
fn a_starved_timer_is_the_hosts() {
    let log = "\
[    0.000000] Linux version 6.1.0 (me@here) (gcc-12) #1 SMP
[    0.000000] DMI: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.3 04/01/2014
[    0.000000] ..MP-BIOS bug: 8254 timer not connected to IO-APIC
[    0.000000] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug and send a report.
[    0.000000] CPU: 0 PID: 0 Comm: swapper/0 Not tainted 6.1.0 #1
[    0.000000] Call Trace:
[    0.000000]  panic+0x118/0x2f4
[    0.000000]  setup_IO_APIC+0x803/0x83b
";
    assert_eq!(cause(log).0, "starved-timer");
    assert_eq!(
        cause(&log.replace("QEMU Standard PC (i440FX + PIIX, 1996)", "Dell Inc. X")).0,
        "timer-not-routed"
    );
}

#[test]
fn no_root_no_init() {
    let root = "\
[    0.000000] Linux version 6.1.0 (me@here) (gcc-12) #1 SMP
[    0.000000] Command line: console=ttyS0 root=/dev/vda1
[    1.000000] VFS: Cannot open root device \"/dev/vda1\" or unknown-block(0,0): error -6
[    1.000001] Please append a correct \"root=\" boot option; here are the available partitions:
[    1.000002] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
";
    let (name, _, summary) = cause(root);
    assert_eq!(name, "unmountable-root");
    assert!(summary.contains("root=/dev/vda1"), "{summary}");
    let kill = "[    2.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00\n";
    let (name, _, summary) = cause(kill);
    assert_eq!(name, "init-ended");
    assert!(summary.contains("status 127"), "{summary}");
    let none = "[    2.000000] Kernel panic - not syncing: No working init found.  Try passing init= option to kernel.\n";
    assert_eq!(cause(none).0, "no-init");
}

#[test]
fn the_unknown_is_said_to_be_unknown() {
    let log = "\
[   12.000000] simd exception: 0000 [#1] SMP
[   12.000000] CPU: 1 PID: 99 Comm: cat Not tainted 6.1.0 #1
[   12.000000] RIP: 0010:my_divide+0x12/0x40
[   12.000000] Code: 90 90 <f7> f1 90
[   12.000000] Call Trace:
[   12.000000]  vfs_write+0x1/0x2
";
    let (name, confidence, summary) = cause(log);
    assert_eq!((name, confidence), ("unknown", Confidence::Possible));
    assert!(summary.contains("my_divide"), "{summary}");
}

#[test]
fn a_log_that_just_ends() {
    let log = "\
[    0.000000] Linux version 6.1.0 (me@here) (gcc-12) #1 SMP
[    0.000000] Command line: console=ttyS0
[    0.500000] smp: Bringing up secondary CPUs ...
[    0.600000] x86: Booting SMP configuration:
qemu-system-x86_64: terminating on signal 15 from pid 9011 (timeout)
";
    let (name, confidence, summary) = cause(log);
    assert_eq!((name, confidence), ("silence", Confidence::Likely), "{summary}");
    assert!(summary.contains("0.600000"), "{summary}");
    let up = format!("{log}[    1.864084] Run /init as init process\n[    1.978514] reboot: Power down\n");
    assert_eq!(explained(&up), []);
}

#[test]
fn hostile_text_ends_without_a_panic() {
    let mut state = 1_u64;
    let whole = [INT3, JUMP_LABEL, STACK, ALTERNATIVES].concat();
    for _ in 0..300 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % bytes.len().max(1);
            match state % 3 {
                0 if at < bytes.len() => bytes[at] = (state >> 20) as u8,
                1 => drop(bytes.drain(at..(at + 40).min(bytes.len()))),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let log = kvet_console::parse(&bytes);
        for one in explain(&log, &Context { text: Text(&bytes), ..Context::default() }) {
            assert!(!one.signature.is_empty() && !one.title.is_empty());
        }
    }
}

const WARNED: &str = "\
[    2.000000] ------------[ cut here ]------------
[    2.000001] MESSAGE
[    2.000002] WARNING: CPU: 0 PID: 7 at drivers/widget/core.c:55 widget_bind+0x1c/0x90
[    2.000003] CPU: 0 PID: 7 Comm: prog Not tainted 6.6.0 #1
[    2.000004] RIP: 0010:widget_bind+0x1c/0x90
[    2.000005] Call Trace:
[    2.000006]  <TASK>
[    2.000007]  widget_ioctl+0x1a/0x30
[    2.000008]  do_syscall_64+0x5b/0x110
[    2.000009]  </TASK>
[    2.000010] ---[ end trace 0000000000000000 ]---
";

#[test]
fn checks_with_words_are_explained_and_those_without_are_not() {
    let of = |message: &str| cause(&WARNED.replace("MESSAGE", message));
    let odebug = of(
        "ODEBUG: free active (active state 0) object: ffff88807b3c4490 object type: timer_list hint: f+0x0/0x350",
    );
    assert_eq!((odebug.0, odebug.1), ("freed-while-active", Confidence::Certain));
    let urb = of("usb 1-1: BOGUS urb xfer, pipe 3 != type 1");
    assert_eq!(urb.0, "endpoint-of-another-type");
    let own = of("widget 0: the state is 5 where 4 was expected");
    assert_eq!((own.0, own.1), ("failed-check", Confidence::Likely));
    assert!(own.2.contains("the state is 5") && own.2.contains("widget_bind"), "{}", own.2);
    let silent = cause(&WARNED.replace("[    2.000001] MESSAGE\n", ""));
    assert_eq!(silent.0, "unknown");
    quotes_are_true(&WARNED.replace("MESSAGE", "usb 1-1: BOGUS urb xfer, pipe 3 != type 1"));
}

#[test]
fn impossible_sizes_are_told_by_the_place_of_the_check() {
    let log = WARNED
        .replace("[    2.000001] MESSAGE\n", "")
        .replace("widget_bind+0x1c/0x90", "__alloc_pages+0x1c/0x90");
    assert_eq!(cause(&log).0, "allocation-too-large");
    assert!(cause(&log).2.starts_with("widget_ioctl "), "{}", cause(&log).2);
}

const BAD_PAGE: &str = "\
[    2.000000] BUG: Bad page state in process prog  pfn:12345
[    2.000001] page: refcount:0 mapcount:1 mapping:0000000000000000 index:0x0 pfn:0x12345
[    2.000002] flags: 0x200000000000000(node=0|zone=2)
[    2.000003] page dumped because: nonzero mapcount
[    2.000004] CPU: 0 PID: 7 Comm: prog Not tainted 6.6.0 #1
[    2.000005] Call Trace:
[    2.000006]  bad_page+0x71/0x100
[    2.000007]  free_unref_page+0x4f0/0x560
[    2.000008]  widget_free+0x1a/0x30
";

#[test]
fn pages_locks_and_leaks() {
    let page = cause(BAD_PAGE);
    assert_eq!((page.0, page.1), ("page-state", Confidence::Certain));
    assert!(page.2.contains("still mapped"), "{}", page.2);
    assert_eq!(cause(&BAD_PAGE.replace("nonzero mapcount", "a reason of a later kernel")).0, "unknown");
    let preemptible = "\
[    2.000000] BUG: using smp_processor_id() in preemptible [00000000] code: prog/7
[    2.000001] caller is widget_bind+0x1c/0x90
[    2.000002] CPU: 0 PID: 7 Comm: prog Not tainted 6.6.0 #1
[    2.000003] Call Trace:
[    2.000004]  check_preemption_disabled+0x1/0x10
[    2.000005]  widget_bind+0x1c/0x90
";
    assert_eq!(cause(preemptible).0, "per-cpu-in-preemptible");
    quotes_are_true(preemptible);
    let device = "[    9.000000] unregister_netdevice: waiting for veth0 to become free. Usage count = 3\n";
    let leak = cause(device);
    assert_eq!(leak.0, "netdev-reference-leak");
    assert!(leak.2.contains("veth0") && leak.2.contains("(3 left)"), "{}", leak.2);
    let object = "\
unreferenced object 0xffff888003c6c690 (size 64):
  comm \"prog\", pid 7, jiffies 4294937368 (age 128.520s)
  backtrace:
    [<000000005cb5aa0e>] kmalloc_trace+0x2a/0x60
    [<00000000c8234a88>] widget_alloc+0x18/0x40
";
    let leak = cause(object);
    assert_eq!((leak.0, leak.1), ("memory-leak", Confidence::Likely));
    assert!(leak.2.starts_with("64 bytes that widget_alloc "), "{}", leak.2);
    let bare = object.lines().next().unwrap();
    assert_eq!(cause(bare).0, "unknown");
}

const MACHINE_CHECK: &str = "\
[   12.000001] mce: [Hardware Error]: CPU 0: Machine Check Exception: 5 Bank 4: b200000000070f0f
[   12.000002] mce: [Hardware Error]: TSC 123456789abc ADDR fee00000
[   12.000003] Kernel panic - not syncing: Fatal machine check
[   12.000004] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.0 #1
[   12.000005] Call Trace:
[   12.000006]  <TASK>
[   12.000007]  panic+0x107/0x2c7
[   12.000008]  mce_panic+0x1c/0x90
[   12.000009]  widget_read+0x1c/0x90
[   12.000010]  </TASK>
";

#[test]
fn hardware_that_fails_is_not_the_kernel() {
    let (name, confidence, _) = cause(MACHINE_CHECK);
    assert_eq!((name, confidence), ("hardware-error", Confidence::Certain));
    quotes_are_true(MACHINE_CHECK);
    // Without the hardware's own record it is only likely.
    let bare: String = MACHINE_CHECK.lines().skip(2).map(|line| format!("{line}\n")).collect();
    assert_eq!(cause(&bare).1, Confidence::Likely);
    let other = bare.replace("Fatal machine check", "widget: cannot go on");
    assert_ne!(cause(&other).0, "hardware-error");
}

#[test]
fn a_log_that_two_hosts_cut_differently_is_of_one_kernel() {
    let stall = |time: u32, taint: &str, release: &str| {
        format!(
            "[   {time}.000000] watchdog: BUG: soft lockup - CPU#1 stuck for {time}s! [prog:123]\n\
             [   {time}.000001] CPU: 1 PID: 123 Comm: prog {taint} {release}\n\
             [   {time}.000002] RIP: 0010:widget_spin+0x1/0x20\n[   {time}.000003] Call Trace:\n\
             [   {time}.000004]  widget_ioctl+0x1/0x20\n"
        )
    };
    let log =
        stall(26, "Not tainted", "6.1.0-56-cloud-amd64 #1") + &stall(52, "Tainted: G L", "6.1.0-56-clo");
    let related: Vec<_> = explained(&log).iter().map(|one| one.consequence_of).collect();
    assert_eq!(related, [None, Some(0)]);
}
