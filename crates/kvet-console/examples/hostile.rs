//! Damages small logs at random and reads them: `hostile ROUNDS [SEED] [FILE...]`. Nothing may panic or hang, and what comes out must hold
//! together. A small share of it runs as a test.

use kvet_console::{Log, Scanner, parse};

#[allow(dead_code)]
fn main() {
    let mut args = std::env::args().skip(1);
    let rounds = args.next().and_then(|a| a.parse().ok()).unwrap_or(100_000);
    let seed = args.next().and_then(|a| a.parse().ok()).unwrap_or(1);
    let files: Vec<Vec<u8>> = args.filter_map(|f| std::fs::read(f).ok()).collect();
    let start = std::time::Instant::now();
    run(rounds, seed, &files);
    println!("{rounds} mutants of seed {seed} in {:.1} s", start.elapsed().as_secs_f64());
}

/// Small logs that have one of everything.
const SEEDS: &[&str] = &[
    "[    1.100000] BUG: kernel NULL pointer dereference, address: 0000000000000018\n[    1.100001] #PF: error_code(0x0002) - not-present page\n[    1.100002] PGD 0 P4D 0\n[    1.100003] Oops: 0002 [#1] SMP\n[    1.100004] CPU: 3 PID: 1 Comm: swapper/0 Not tainted 6.1.0 #1\n[    1.100005] RIP: 0010:widget_bind+0x2c/0x90 [widget]\n[    1.100006] Code: 48 <48> 89\n[    1.100007] RAX: 0000000000000000 RBX: ffff888003c6c690 RCX: 0000000000000001\n[    1.100008] Call Trace:\n[    1.100009]  <TASK>\n[    1.100010]  ? f.isra.0+0x1/0x2 [m 0123456789abcdef] (a/b.c:12)\n[    1.100011]  </TASK>\n[    1.100012] Modules linked in: a(E) b [last unloaded: c]\n[    1.100013] ---[ end trace 0 ]---\n[    1.100014] Kernel panic - not syncing: Fatal exception\n",
    "[    0.1][    T1] x\n[    0.100000][    T1] BUG: KASAN: slab-use-after-free in f+0x1/0x2\n[    0.100000][    T1] Write of size 8 at addr ffff888012345678 by task a/77\n[    0.100000][    C1] NMI backtrace for cpu 1\n[    0.100000][    T1] Call Trace:\n[    0.100000][    T1]  g+0x1/0x2\n[    0.100000][    T1] Allocated by task 12:\n[    0.100000][    T1]  h+0x1/0x2\n[    0.100000][    T1] which belongs to the cache kmalloc-128 of size 128\n",
    "[    0.1] Insufficient stack\n[    0.100000] Insufficient stack space to handle exception!\n[    0.100000] ESR: 0x96000046 -- DABT (current EL)\n[    0.100000] Task stack: [0xffff0000093a8000..0xffff0000093ac000]\n[    0.100000] x29: ffff0000093abce0 x28: xxxxxxxxxxxxxxxx\n[    0.100000] [ffff0000093abce0] pgd=00000000411f8003, pmd=0\n[    0.100000] pc : f+0x0/0xb0\n[    0.100000] Code: 39402e61 (d4210000)\n",
    "[    9.000001] WARNING: possible circular locking dependency detected\n[    9.000004] tool/123 is trying to acquire lock:\n[    9.000005] ffff888012345678 (&a->lock){+.+.}-{3:3}, at: f+0x20/0x40\n[    9.000012] -> #1 (&b->lock){+.+.}-{3:3}:\n[    9.000014]        b+0x20/0x40\n[    9.000027] 1 lock held by tool/123:\n[    9.000028]  #0: ffff888012345688 (&b->lock){+.+.}-{3:3}, at: t+0x20/0x40\n[    9.000030] stack backtrace:\n[    9.000033]  p+0x200/0x280\n",
    "> > [ 60.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks: { 1 2}\n> > [ 60.000001] rcu: \t1-...0: (1 GPs behind) idle=2f44\n> > wrapped tail of it\n> > [ 60.000003] Sending NMI from CPU 0 to CPUs 1:\n> > [ 60.000013] task:rcu_preempt     state:R  running task     stack:0     pid:15    ppid:2      flags:0x00004000\n",
    "Decompressing Linux... done.\nBooting the kernel.\n[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP\n[    0.300000] calling  f+0x0/0x62 @ 1\n[    1.000000] Run /init as init process\n[    1.0] x\nlogin: \x1b[0m\x00\r\n** 23 printk messages dropped ** [    2.000000] reboot: Restarting system\nBooting the kernel.\n[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP\n",
    "[    3.000000] 8<--- cut here ---\n[    3.000001] Unhandled fault: page domain fault (0x81b) at 0x00001044\n[    3.000003] Internal error: : 81b [#1] SMP ARM\n[    3.000007] PC is at put_it+0x10/0x24\n[    3.000009] pc : [<c0101010>]    lr : [<c0202044>]    psr: 60000013\n[    3.000017] [<c0101010>] (f) from [<c0202044>] (g+0x44/0x80)\n[    3.000017]  f from g+0x44/0x80\n",
    "3,12,5000001,-,caller=C2;Oops: Kernel access of bad area, sig: 11 [#1]\n3,12,5000001,-;NIP [c000000000a1b2c4] link_it+0x54/0xd0\n<4>GPR00: c000000000a1b290 c000000004a3bb60\n- {\"dt\": \"2024-02-20T10:11:12\", \"lvl\": \"target\", \"msg\": \"[    1.000000] Krnl PSW : 0704 0000 (f+0x1/0x2)\"}\n&lt;TASK&gt;\n$ 0   : 00000000 00000001\n ERA: 9000000000221f3c f+0x1c/0x20\nepc : f+0x1a/0x60\n",
];

/// Words that matter to the parser.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\0",
    b"\x1b[",
    b"[",
    b"]",
    b"> ",
    b"[    1.000000] ",
    b"[#1]",
    b"+0x",
    b"/0x",
    b": ",
    b"BUG: ",
    b"WARNING: ",
    b"INFO: ",
    b"Call Trace:",
    b"<",
    b">",
    b"(",
    b")",
    b"\xff",
    b"\xc3\xa9",
    b"0x",
    b"ffffffffffffffff",
    b"99999999999999999999",
    b"------------[ cut here ]------------",
    b"Kernel panic - not syncing: ",
    b"CPU: ",
    b"Code: ",
    b"{",
    b"}",
    b"..",
    b"#",
    b",",
    b"at ",
    b" from ",
    b"[<",
    b">]",
    b"Linux version 6.1.0 (",
];

/// Reads `rounds` damaged logs.
pub fn run(rounds: u64, seed: u64, more: &[Vec<u8>]) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let seeds: Vec<&[u8]> =
        SEEDS.iter().map(|s| s.as_bytes()).chain(more.iter().map(Vec::as_slice)).collect();
    for _ in 0..rounds {
        let mut log = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..=random.below(12) {
            damage(&mut log, &mut random, &seeds);
        }
        let whole = parse(&log);
        check(&whole, &log);
        if random.below(4) == 0 {
            let mut scanner = Scanner::new();
            let piece = 1 + random.below(40);
            for bytes in log.chunks(piece) {
                scanner.feed(bytes);
            }
            let (_, pieces) = scanner.finish();
            assert_eq!(pieces, whole, "pieces of {piece} of {:?}", String::from_utf8_lossy(&log));
        }
    }
}

fn check(parsed: &Log, log: &[u8]) {
    assert_eq!(parsed.bytes, log.len() as u64);
    let mut last = 0;
    for r in &parsed.reports {
        assert!(r.span.start <= r.span.end && r.span.end <= parsed.bytes, "{:?}", r.span);
        assert!(
            r.span.first_line >= 1
                && r.span.first_line <= r.span.last_line
                && r.span.last_line <= parsed.lines,
            "{:?}",
            r.span
        );
        assert!(r.span.start >= last, "reports stand in the log's order");
        last = r.span.start;
        assert!(r.frames.len() <= 2048 && r.details.len() <= 1024);
        assert!(r.boot <= parsed.boots.len());
        let _ = kvet_console::lines(log, r.span).count();
    }
    for b in &parsed.boots {
        assert!(b.span.start <= b.span.end && b.span.end <= parsed.bytes, "{:?}", b.span);
    }
}

fn damage(log: &mut Vec<u8>, random: &mut Random, seeds: &[&[u8]]) {
    if log.is_empty() {
        log.push(b'[');
    }
    let at = random.below(log.len());
    let end = (at + random.below(80)).min(log.len());
    match random.below(8) {
        0 => log[at] ^= 1 << random.below(8),
        1 => log[at] = u8::try_from(random.below(256)).unwrap_or(0),
        2 => drop(log.drain(at..end)),
        3 => {
            let piece = log[at..end].to_vec();
            log.splice(at..at, piece);
        }
        4 | 5 => {
            let word = WORDS[random.below(WORDS.len())];
            log.splice(at..at, word.iter().copied());
        }
        6 => {
            let other = seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            let to = (from + random.below(400)).min(other.len());
            log.splice(at..at, other[from..to].iter().copied());
        }
        _ => log.truncate(at.max(1)),
    }
}

/// xorshift64*: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % n.max(1)
    }
}
