//! Reads logs with syzkaller's headers (`TITLE:`, and an expected report after `REPORT:`) and says what was found in each, and what was
//! missed or claimed for nothing. Without headers: what is in each log.
//!
//! `corpus [-v] FILE|DIR...`

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let mut verbose = false;
    let mut files = Vec::new();
    for arg in std::env::args().skip(1) {
        if arg == "-v" {
            verbose = true;
        } else {
            collect(Path::new(&arg), &mut files);
        }
    }
    let (mut crashes, mut found, mut clean, mut claimed) = (0, 0, 0, 0);
    let mut time = 0.0;
    for file in &files {
        let Ok(bytes) = fs::read(file) else { continue };
        let (title, log) = split(&bytes);
        let start = on_cpu();
        let parsed = kvet_console::parse(log);
        time += on_cpu() - start;
        let reports = parsed.reports.len();
        match &title {
            Some(Some(_)) => {
                crashes += 1;
                found += usize::from(reports > 0);
            }
            Some(None) => {
                clean += 1;
                claimed += usize::from(reports > 0);
            }
            None => {}
        }
        let wrong = match &title {
            Some(Some(_)) => reports == 0,
            Some(None) => reports > 0,
            None => false,
        };
        if verbose || wrong || title.is_none() {
            println!("{} {:?}", file.display(), title.clone().flatten());
            for r in &parsed.reports {
                let ip = r.ip.as_ref().map_or("-", |f| f.function.as_str());
                let top: Vec<&str> =
                    r.frames.iter().filter(|f| f.reliable).take(4).map(|f| f.function.as_str()).collect();
                println!(
                    "    {}-{} {} | {} | ip {ip} named {} | {} frames {top:?} | {} traces | {:?} {:?} pid {:?} cpu {:?} regs {} panic {} cut {} x{} locks {} {:?}",
                    r.span.first_line,
                    r.span.last_line,
                    r.kind,
                    r.headline,
                    r.named.as_ref().map_or("-", |f| f.function.as_str()),
                    r.frames.len(),
                    r.traces.len(),
                    r.phase,
                    r.arch,
                    r.pid,
                    r.cpu,
                    r.registers.len(),
                    r.panic.is_some(),
                    r.cut,
                    r.repeated.len(),
                    r.locks.len(),
                    r.source,
                );
            }
            if title.is_none() {
                for b in &parsed.boots {
                    println!("    boot {:?} {:?} {:?}", b.release, b.phase, b.ending);
                }
            }
        }
    }
    println!(
        "{found} of {crashes} crashes found, {claimed} of {clean} clean logs claimed, {:.1} ms of CPU",
        time * 1e3
    );
}

/// Seconds that this process has run on a CPU: other work on the machine does not count.
fn on_cpu() -> f64 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds: f64 = text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    nanoseconds / 1e9
}

/// The title of the headers (`None` without headers at all) and the log.
fn split(bytes: &[u8]) -> (Option<Option<String>>, &[u8]) {
    let headers = [
        "TITLE:",
        "ALT:",
        "TYPE:",
        "FRAME:",
        "CORRUPTED:",
        "PANICKED:",
        "START:",
        "END:",
        "SUPPRESSED:",
        "EXECUTOR:",
        "#",
    ];
    let mut at = 0;
    let mut title = None;
    loop {
        let end = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| at + i + 1);
        let line = String::from_utf8_lossy(&bytes[at..end]);
        let line = line.trim_end();
        if line.is_empty() {
            at = end;
            break;
        }
        if !headers.iter().any(|h| line.starts_with(h)) {
            return (None, bytes);
        }
        if let Some(t) = line.strip_prefix("TITLE: ") {
            title = Some(t.to_owned());
        }
        at = end;
        if at >= bytes.len() {
            break;
        }
    }
    let mark = b"\nREPORT:\n";
    let log = &bytes[at..];
    let end = log.windows(mark.len()).position(|w| w == mark).unwrap_or(log.len());
    (Some(title), &log[..end])
}

fn collect(path: &Path, out: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut inner: Vec<PathBuf> =
            fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).collect();
        inner.sort();
        for p in inner {
            collect(&p, out);
        }
    } else {
        out.push(path.to_owned());
    }
}
