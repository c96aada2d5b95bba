//! How fast logs are read: one without a crash, one of nothing but crashes, and the logs of the directory that KVET_CORPUS names (each read from
//! its beginning, in one process). `cargo bench -p kvet-console`
#![allow(missing_docs)]

use std::path::Path;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Lines of healthy boots and of user space.
const HEALTHY: &[&str] = &[
    "clocksource: jiffies: mask: 0xffffffff max_cycles: 0xffffffff, max_idle_ns: 7645041785100000 ns",
    "pci 0000:00:03.0: [1af4:1000] type 00 class 0x020000 conventional PCI endpoint",
    "pci 0000:00:03.0: BAR 0 [io  0xc000-0xc01f]",
    "pci_bus 0000:00: resource 4 [io  0x0000-0x0cf7 window]",
    "ACPI: PCI: Interrupt link LNKA configured for IRQ 10",
    "NET: Registered PF_INET protocol family",
    "TCP established hash table entries: 4096 (order: 3, 32768 bytes, linear)",
    "EXT4-fs (vda1): mounted filesystem 5b1a7c2e-0000-4000-8000-000000000000 ro with ordered data mode. Quota mode: none.",
    "systemd[1]: Listening on systemd-journald.socket - Journal Socket.",
    "systemd[1]: Starting modprobe@drm.service - Load Kernel Module drm...",
    "audit: type=1400 audit(1700000000.123:45): apparmor=\"STATUS\" operation=\"profile_load\" name=\"/usr/bin/man\" pid=512 comm=\"apparmor_parser\"",
    "e1000 0000:00:04.0 ens4: renamed from eth0",
    "usb 1-1: New USB device found, idVendor=0627, idProduct=0001, bcdDevice= 0.00",
    "input: QEMU QEMU USB Tablet as /devices/pci0000:00/0000:00:01.2/usb1/1-1/1-1:1.0/0003:0627:0001.0001/input/input5",
    "random: crng init done",
    "IPv6: ADDRCONF(NETDEV_CHANGE): ens4: link becomes ready",
    "workingset: timestamp_bits=36 max_order=17 bucket_order=0",
    "Key type asymmetric registered",
    "virtio_blk virtio1: [vda] 20971520 512-byte logical blocks (10.7 GB/10.0 GiB)",
    "sd 0:0:0:0: [sda] Write Protect is off",
];

const CRASH: &[&str] = &[
    "BUG: kernel NULL pointer dereference, address: 0000000000000018",
    "#PF: supervisor write access in kernel mode",
    "#PF: error_code(0x0002) - not-present page",
    "PGD 102a3067 P4D 102a3067 PUD 0 ",
    "Oops: Oops: 0002 [#1] SMP NOPTI",
    "CPU: 3 UID: 0 PID: 1 Comm: swapper/0 Tainted: G        W           6.19.0-rc1 #7 PREEMPT(voluntary) ",
    "Hardware name: QEMU Ubuntu 24.04 PC (i440FX + PIIX, 1996), BIOS 1.16.3-debian-1.16.3-2 04/01/2014",
    "RIP: 0010:widget_bind+0x2c/0x90",
    "Code: 24 08 01 00 00 00 e9 fc fe ff ff 89 d8 4c 89 c1 4c 63 65 08 83 e0 02 65 48 03 0d 1d 2a ed 7e f6 41 10 10 0f 84 2c 02 00 00 0f <1f> 44 00 00 49 89",
    "RSP: 0018:ffffc90000013d88 EFLAGS: 00010246",
    "RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001",
    "RDX: 0000000000000000 RSI: ffff888003c6c690 RDI: 0000000000000001",
    "RBP: 0000000000000000 R08: ffff888003c6c690 R09: 0000000000000001",
    "R10: 0000000000000000 R11: ffff888003c6c690 R12: 0000000000000001",
    "FS:  0000000000000000(0000) GS:ffff88801f480000(0000) knlGS:0000000000000000",
    "CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033",
    "CR2: 0000000000000018 CR3: 000000000263a000 CR4: 0000000000750ef0",
    "Call Trace:",
    " <TASK>",
    " ? __pfx_widget_init+0x10/0x10",
    " widget_init.constprop.0+0x1a/0x30",
    " bus_for_each_dev+0x6a/0xc0",
    " bus_add_driver+0x10e/0x220",
    " driver_register+0x5c/0xf0",
    " do_one_initcall+0x58/0x230",
    " kernel_init_freeable+0x199/0x2d0",
    " ? __pfx_kernel_init+0x10/0x10",
    " kernel_init+0x15/0x1b0",
    " ret_from_fork+0x2c/0x50",
    " ret_from_fork_asm+0x1a/0x30",
    " </TASK>",
    "Modules linked in: ext4 crc16 mbcache jbd2 virtio_blk",
    "---[ end trace 0000000000000000 ]---",
];

/// `lines` again and again, with a running clock.
fn log(lines: &[&str], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 4096);
    for (i, line) in lines.iter().cycle().enumerate() {
        if out.len() >= size {
            break;
        }
        out.extend(format!("[{:5}.{:06}] {line}\n", i / 1000, i % 1000 * 997).bytes());
    }
    out
}

#[divan::bench(sample_count = 20)]
fn clean(bencher: Bencher) {
    let log = log(HEALTHY, 64 << 20);
    bencher.counter(BytesCount::new(log.len())).bench(|| kvet_console::parse(black_box(&log)));
}

#[divan::bench(sample_count = 10)]
fn crashes(bencher: Bencher) {
    let log = log(CRASH, 16 << 20);
    bencher.counter(BytesCount::new(log.len())).bench(|| kvet_console::parse(black_box(&log)));
}

#[divan::bench(sample_count = 10)]
fn corpus(bencher: Bencher) {
    let Some(dir) = std::env::var_os("KVET_CORPUS") else {
        eprintln!("skipped: KVET_CORPUS names no directory of logs");
        return;
    };
    let mut logs = Vec::new();
    read(Path::new(&dir), &mut logs);
    let size = logs.iter().map(Vec::len).sum::<usize>();
    bencher
        .counter(BytesCount::new(size))
        .bench(|| logs.iter().map(|log| kvet_console::parse(black_box(log)).reports.len()).sum::<usize>());
}

fn read(path: &Path, out: &mut Vec<Vec<u8>>) {
    if path.is_dir() {
        std::fs::read_dir(path).into_iter().flatten().flatten().for_each(|e| read(&e.path(), out));
    } else {
        out.extend(std::fs::read(path));
    }
}
