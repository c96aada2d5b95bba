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
