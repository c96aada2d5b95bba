//! A small share of what the example `hostile` runs for as long as one likes.

#[path = "../examples/hostile.rs"]
mod hostile;

#[test]
fn damaged_logs_are_read() {
    hostile::run(20_000, 1, &[]);
}

/// Lines that would be costly if each one were compared with all before it.
#[test]
fn time_is_linear() {
    let line = "[    1.000000] WARNING: CPU: 0 PID: 1 at f.c:1 f+0x1/0x2\n";
    let frames = "[    1.000000]  f+0x1/0x2\n";
    let brackets = "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n";
    for repeated in [
        line,
        frames,
        brackets,
        "> > > > > > > > > > > > \n",
        "[    1.000000] a [    1.000000] BUG: b ",
        "\r\r\r\r\r",
        "BUG: \r",
    ] {
        let time = |n: usize| {
            let log = repeated.repeat(n);
            let start = std::time::Instant::now();
            let _ = kvet_console::parse(log.as_bytes());
            start.elapsed().as_secs_f64()
        };
        let (small, large) = (time(4_000), time(64_000));
        assert!(
            large < 0.5 || large < small * 16.0 * 6.0,
            "{repeated:?}: {small} s, 16 times as much {large} s"
        );
    }
}

/// Seconds that this thread has run on a CPU: what else the machine does, does not count.
fn on_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds: f64 = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    nanoseconds / 1e9
}

/// Shapes that tempt a parser into reading what it has read before: twice the input takes at most 2.5 times as long.
#[test]
fn twice_the_input_takes_twice_the_time() {
    let shapes: &[(&str, &str, usize)] = &[
        ("quotes on one line", ">", 1 << 20),
        ("spaced quotes on one line", "> ", 1 << 20),
        ("brackets on one line", "[", 1 << 20),
        ("stamps on one line", "[    1.000000] ", 1 << 20),
        ("a line of letters", "x", 8 << 20),
        ("a line of anchors", "BUG: ", 1 << 20),
        ("a line of symbols", "f+0x", 1 << 20),
        ("carriage returns", "\r", 1 << 20),
        ("escapes", "\x1b[", 1 << 20),
        ("cleared screens", "\x1b[2J", 1 << 20),
        ("entities", "&lt;", 1 << 20),
        ("NULs", "\0", 1 << 20),
        ("lines of quotes", "> > > > > > > > > > > >\n", 1 << 20),
        ("traces without frames", "[    1.000000] Call Trace:\n", 1 << 20),
        ("oopses without end", "[    1.000000] Oops: 0000 [#1] SMP\n", 1 << 20),
        ("cut here", "[    1.000000] ------------[ cut here ]------------\n", 1 << 20),
        ("callers", "[    1.000000][    T1] BUG: x\n[    1.000000][    T2] BUG: y\n", 1 << 20),
        (
            "locks",
            "[    1.000000] WARNING: possible recursive locking detected\n #0: ffff (&a){+.+.}, at: f+0x1/0x2\n",
            1 << 20,
        ),
        ("boots", "[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP\n", 1 << 20),
        ("objects", "{\"msg\":\"BUG: \\u0041\\n[    1.000000] Oops: 0000 [#1]\"}\n", 1 << 20),
        ("objects without a message", "{\"a\":\"BUG: {\"b\":", 1 << 20),
        ("pstore", "Panic#1 Part1\n<4>[    1.000000] x\n", 1 << 20),
        ("stalls", "[    1.000000] rcu: INFO: rcu_sched self-detected stall on CPU\n", 1 << 20),
    ];
    let mut slow = Vec::new();
    for (name, unit, size) in shapes {
        let time = |size: usize| {
            let log = unit.repeat(size / unit.len());
            let once = || {
                let start = on_cpu();
                let _ = kvet_console::parse(log.as_bytes());
                on_cpu() - start
            };
            (0..3).map(|_| once()).fold(f64::INFINITY, f64::min)
        };
        // Below 0.02 s, the clock and the first use of tables are all there is to measure. A neighbour on the same core
        // slows one of the two down now and then; what is not linear is slow each time.
        let measured = || (time(*size), time(2 * size));
        let (one, two) = (0..4)
            .map(|_| measured())
            .find(|(one, two)| *two < 0.02 || *two < 2.5 * one)
            .unwrap_or_else(&measured);
        if two > 0.02 && two > 2.5 * one {
            slow.push(format!("{name}: {one:.4} s, twice as much {two:.4} s"));
        }
        assert!(two < 5.0, "{name}: {two} s for {} bytes", 2 * size);
    }
    assert!(slow.is_empty(), "{slow:#?}");
}
