//! How fast a log is read: `speed FILE [MB]` repeats the file with running time stamps until it has that many megabytes.

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(path) = args.next() else { return };
    let megabytes: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(256);
    let Ok(bytes) = std::fs::read(path) else { return };
    let log = repeat(&bytes, megabytes << 20);
    for _ in 0..3 {
        let start = on_cpu();
        let parsed = kvet_console::parse(&log);
        let time = on_cpu() - start;
        #[allow(clippy::cast_precision_loss)]
        let speed = log.len() as f64 / 1e6 / time;
        println!(
            "{} lines, {} reports, {} boots, {speed:.0} MB/s",
            parsed.lines,
            parsed.reports.len(),
            parsed.boots.len()
        );
    }
}

/// Seconds that this process has run on a CPU: other work on the machine does not count.
fn on_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds: f64 = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    nanoseconds / 1e9
}

/// The log again and again, each time stamp later than in the round before.
fn repeat(bytes: &[u8], size: usize) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut out = Vec::with_capacity(size + bytes.len());
    let mut round = 0u64;
    while out.len() < size {
        for line in text.lines() {
            let stamp = line.strip_prefix('[').and_then(|l| l.trim_start().split_once('.'));
            match stamp.and_then(|(s, rest)| Some((s.parse::<u64>().ok()?, rest))) {
                Some((seconds, rest)) => out.extend(format!("[{:5}.{rest}\n", seconds + round * 100).bytes()),
                None => out.extend(format!("{line}\n").bytes()),
            }
        }
        round += 1;
    }
    out
}
