//! One boot of a kernel file in QEMU, its console captured and cut at the first line that decides.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kvet_image::Arch;
use tempfile::NamedTempFile;

/// How a boot ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The kernel came to where it looks for user space: it booted.
    Booted,
    /// It died: an oops, a BUG or a panic.
    Died,
    /// It said nothing decisive before the deadline.
    Silent,
    /// QEMU ended first: a reset (`-no-reboot` turns one into an exit), or QEMU itself failed.
    Exited,
}

/// What a boot said, and how it ended.
#[derive(Debug)]
pub struct Boot {
    /// The console's lines, time stamps removed.
    pub lines: Vec<String>,
    /// How it ended.
    pub end: End,
    /// How long it ran.
    pub took: Duration,
    /// The guest's memory as it was when the boot was cut.
    pub memory: File,
}

impl Boot {
    /// Whether a line of the console is, or contains, this one. The hashed pointer of `[%p]` is compared as
    /// unknown: both its forms, `(____ptrval____)` and sixteen hex digits, are folded. Of a silent boot, the
    /// guest's memory is searched, where the log buffer has it.
    pub fn said(&self, line: &str) -> bool {
        if line.contains('\n') {
            return line.lines().all(|line| self.said(line));
        }
        // early_fixup_exception() (arch/x86/mm/extable.c) gives it to early_printk alone, which nothing sets up before the
        // command line is read: a guest that halts without a word is what it looks like.
        let spoke = self.lines.iter().any(|line| line.contains("Linux version"));
        if line.starts_with("PANIC: early exception") && self.end == End::Silent && !spoke {
            return true;
        }
        let wanted = fold_pointer(line);
        self.lines.iter().any(|l| fold_pointer(l).contains(&wanted))
            || matches!(self.end, End::Silent | End::Exited) && self.log_has(line)
    }

    /// Whether a line stands in the memory: in the log buffer, which no console showed.
    fn log_has(&self, line: &str) -> bool {
        let mut memory = Vec::new();
        let read =
            (&self.memory).seek(SeekFrom::Start(0)).and_then(|_| (&self.memory).read_to_end(&mut memory));
        read.is_ok() && memchr::memmem::find(&memory, line.as_bytes()).is_some()
    }

    /// The first line that tells of a failure.
    pub fn first_failure(&self) -> Option<&str> {
        let lines = self.lines.iter().map(String::as_str);
        // Without an initrd a good boot ends in the panic for want of a root file system.
        lines
            .take_while(|l| !BOOTED.iter().any(|b| l.contains(b)))
            .find(|l| FAILURES.iter().any(|f| l.contains(f)))
    }
}

/// Beginnings of the lines by which a kernel tells that something is wrong.
const FAILURES: &[&str] = &[
    "kernel BUG at",
    "BUG: ",
    "Oops",
    "Internal error",
    "Unable to handle kernel",
    "general protection fault",
    "int3: ",
    "invalid opcode",
    "jump_label: ",
    "unexpected static_call",
    "WARNING: ",
    "Kernel panic",
    "SMP alternatives: ",
    "Insufficient stack space",
    "stack segment",
    "divide error",
    "PANIC: ",
];

/// What the kernel says once it has booted: without an initrd it looks for a root file system.
const BOOTED: &[&str] = &["VFS: Cannot open root device", "VFS: Unable to mount root fs", "Run /init"];

/// Lines after which nothing more is to be learned.
const DEAD: &[&str] = &["Kernel panic - not syncing", "---[ end trace", "---[ end Kernel panic"];

/// Enough for every kernel that is tried, little enough to search.
const MEMORY_MIB: u32 = 512;

/// A kernel that says nothing for so long will say nothing any more; the slowest gap between two lines of a boot under
/// TCG is about two seconds. Counted in processor time that QEMU took: a busy host makes no difference.
const SILENCE: Duration = Duration::from_secs(8);

/// A guest that has halted takes no processor time. Then its threads sleep whenever they are looked at, while those of a
/// guest that a busy host starves could run; no kernel sleeps so long in its boot.
const HALTED: Duration = Duration::from_secs(12);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);

fn fold_pointer(line: &str) -> String {
    let Some(open) = line.find("[(____ptrval____)]").or_else(|| {
        let at = line.find(" [")? + 1;
        let inside = line.get(at + 1..at + 17)?;
        (inside.bytes().all(|b| b.is_ascii_hexdigit()) && line[at + 17..].starts_with(']')).then_some(at)
    }) else {
        return line.to_owned();
    };
    let close = line[open..].find(']').map_or(line.len(), |i| open + i + 1);
    format!("{}[PTR]{}", &line[..open], &line[close..])
}

/// The QEMU binary for an architecture.
pub fn emulator(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "qemu-system-x86_64",
        Arch::Arm64 => "qemu-system-aarch64",
    }
}

/// Whether that QEMU can be started here.
pub fn available(arch: Arch) -> bool {
    Command::new(emulator(arch)).arg("--version").output().is_ok_and(|o| o.status.success())
}

/// Boots a kernel (an ELF vmlinux with a PVH entry or a bzImage on x86-64, a flat Image on arm64) under TCG, without
/// an initrd, and reads its console until a decisive line or the deadline.
///
/// # Errors
/// QEMU cannot be started.
pub fn boot(arch: Arch, kernel: &Path, append: &str, deadline: Duration) -> std::io::Result<Boot> {
    let mut command = Command::new(emulator(arch));
    let console = match arch {
        // The timer check fails on a loaded host and has nothing to do with the tables.
        Arch::X86_64 => "console=ttyS0 no_timer_check",
        Arch::Arm64 => {
            command.args(["-M", "virt", "-cpu", "max"]);
            "console=ttyAMA0"
        }
    };
    // In memory where there is such a directory: a disk would write back what nobody wants.
    let shm = Path::new("/dev/shm");
    let memory = if shm.is_dir() { NamedTempFile::new_in(shm) } else { NamedTempFile::new() }?;
    let backend = format!(
        "memory-backend-file,id=ram,size={MEMORY_MIB}M,share=on,mem-path={}",
        memory.path().display()
    );
    command
        .args(["-object", &backend, "-machine", "memory-backend=ram"])
        .args([
            "-accel",
            "tcg",
            "-m",
            &MEMORY_MIB.to_string(),
            "-smp",
            "1",
            "-nographic",
            "-nodefaults",
            "-nic",
            "none",
        ])
        .args(["-serial", "stdio", "-no-reboot", "-kernel"])
        .arg(kernel)
        .args(["-append", &format!("{console} panic=-1 {append}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn()?;
    let (send, receive) = mpsc::channel();
    let mut stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("QEMU has no stdout"))?;
    let mut stderr = child.stderr.take().ok_or_else(|| std::io::Error::other("QEMU has no stderr"))?;
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stdout.read(&mut buffer) {
            if send.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        // QEMU's own complaint, if any; it is only shown.
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let (mut lines, end) = follow(&receive, child.id(), started + deadline);
    // It may have ended by itself; either way it is gone afterwards.
    let _ = child.kill();
    let _ = child.wait();
    drop(receive);
    let _ = reader.join();
    if let Ok(text) = errors.join()
        && end == End::Exited
    {
        lines.extend(text.lines().map(str::to_owned));
    }
    Ok(Boot { lines, end, took: started.elapsed(), memory: memory.into_file() })
}

/// Collects lines until the boot is decided.
fn follow(console: &mpsc::Receiver<Vec<u8>>, qemu: u32, deadline: Instant) -> (Vec<String>, End) {
    let mut lines = Vec::new();
    let mut rest = Vec::new();
    let mut end = None;
    // Once it is decided, the kernel gets a moment to say all of it.
    let mut until = deadline;
    let mut heard = Threads::of(qemu).ran;
    let mut asleep_since = Instant::now();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match console.recv_timeout(left.min(LOOK)) {
            Ok(bytes) => {
                rest.extend(bytes);
                heard = Threads::of(qemu).ran;
                asleep_since = Instant::now();
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let threads = Threads::of(qemu);
                if !threads.asleep {
                    asleep_since = Instant::now();
                }
                let silent = threads.ran.saturating_sub(heard) >= SILENCE || asleep_since.elapsed() >= HALTED;
                if silent || Instant::now() >= until {
                    return (lines, end.unwrap_or(End::Silent));
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return (lines, end.unwrap_or(End::Exited)),
        }
        while let Some(at) = rest.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = rest.drain(..=at).collect();
            let line = strip_stamp(String::from_utf8_lossy(&line).trim_end()).to_owned();
            let has = |patterns: &[&str]| patterns.iter().any(|p| line.contains(p));
            let now = if has(BOOTED) {
                Some(End::Booted)
            } else if has(DEAD) {
                Some(End::Died)
            } else {
                None
            };
            lines.push(line);
            if end.is_none() && now.is_some() {
                end = now;
                until = deadline.min(Instant::now() + Duration::from_millis(200));
            }
        }
    }
}

/// The threads of a process.
#[derive(Clone, Copy, Debug)]
struct Threads {
    /// Time that they ran (Documentation/scheduler/sched-stats.rst, `schedstat`).
    ran: Duration,
    /// None of them runs, could run or waits for a disk: all are in state S (proc(5), `stat`).
    asleep: bool,
}

impl Threads {
    fn of(process: u32) -> Threads {
        let mut all = Threads { ran: Duration::ZERO, asleep: true };
        let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return all };
        for thread in threads.flatten() {
            let read = |name| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            let ran = read("schedstat").split_ascii_whitespace().next().and_then(|n| n.parse().ok());
            all.ran += ran.map_or(Duration::ZERO, Duration::from_nanos);
            // The name before it stands in parentheses and may hold anything.
            let stat = read("stat");
            all.asleep &= stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'));
        }
        all
    }
}

/// Removes `[    1.234567] ` and a caller id.
fn strip_stamp(line: &str) -> &str {
    let Some(rest) = line.strip_prefix('[') else { return line };
    let Some((stamp, rest)) = rest.split_once("] ") else { return line };
    if stamp.trim_start().bytes().all(|b| b.is_ascii_digit() || b == b'.') { rest } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_removed_and_other_brackets_kept() {
        assert_eq!(strip_stamp("[    0.254384] CPU features"), "CPU features");
        assert_eq!(strip_stamp("[mod] x"), "[mod] x");
        assert_eq!(strip_stamp("plain"), "plain");
    }

    #[test]
    fn hashed_pointers_compare_equal() {
        let boot = Boot {
            lines: vec!["jump_label: at f+0x1/0x2 [00000000deadbeef] (90)".into()],
            end: End::Died,
            took: Duration::ZERO,
            memory: tempfile::tempfile().expect("a file"),
        };
        assert!(boot.said("jump_label: at f+0x1/0x2 [(____ptrval____)] (90)"));
        assert!(!boot.said("jump_label: at f+0x1/0x3 [(____ptrval____)] (90)"));
    }
}
