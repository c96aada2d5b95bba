//! What the host did while a guest ran: who had the processors.
//!
//! A guest whose virtual CPUs wait for real ones misses its own deadlines (timers that "do not work", watchdogs,
//! RCU stalls), and that is no fault of its kernel. Three measures, from the most to the least exact: the time
//! that QEMU's threads were runnable but did not run (`/proc/PID/task/TID/schedstat`, CONFIG_SCHED_INFO), the
//! time that a hypervisor below took (`steal` in `/proc/stat`), and the load.

use std::fs;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The host of a campaign.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub machine: String,
    /// Online processors.
    pub cpus: usize,
    /// `model name` of /proc/cpuinfo, where it has one.
    pub cpu_model: Option<String>,
    /// Memory in MiB.
    pub memory_mib: u64,
}

impl Host {
    /// This host.
    pub fn this() -> Host {
        let uname = rustix::system::uname();
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |text: &str, name: &str| {
            text.lines().find(|l| l.starts_with(name))?.split_once(':').map(|(_, v)| v.trim().to_owned())
        };
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = field(&meminfo, "MemTotal").and_then(|v| v.split(' ').next()?.parse::<u64>().ok());
        Host {
            kernel: uname.release().to_string_lossy().into_owned(),
            machine: uname.machine().to_string_lossy().into_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_model: field(&cpuinfo, "model name"),
            memory_mib: kib.unwrap_or(0) / 1024,
        }
    }
}

/// What the host was like during one boot.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Pressure {
    /// Load average of one minute, at the end.
    pub load: f64,
    /// Online processors.
    pub cpus: usize,
    /// Share of the processors' time that a hypervisor below took, 0 to 1.
    pub steal: f64,
    /// `some avg10` of /proc/pressure/cpu in per cent, where the kernel has it.
    pub psi_cpu: Option<f64>,
    /// Seconds that QEMU's threads ran.
    pub ran_s: f64,
    /// Seconds that QEMU's threads were runnable and waited for a processor; `None` without CONFIG_SCHED_INFO.
    pub waited_s: Option<f64>,
    /// Share of the wanted processor time that QEMU got in the last seconds before the boot was decided, 0 to 1.
    pub share_at_end: f64,
    /// The same share of the virtual CPU that got least, over a longer time before the decision.
    pub least_cpu_share: f64,
}

impl Pressure {
    /// Share of the wanted processor time that QEMU got, over the whole boot.
    pub fn share(&self) -> f64 {
        match self.waited_s {
            Some(waited) if self.ran_s + waited > 0.0 => self.ran_s / (self.ran_s + waited),
            _ => 1.0,
        }
    }
}

/// Time run and time waited of one thread, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Thread {
    ran: u64,
    waited: u64,
}

/// `schedstat` of a thread: "time on the processor, time waiting on a run queue, time slices", in nanoseconds
/// (Documentation/scheduler/sched-stats.rst).
fn parse_schedstat(text: &str) -> Option<Thread> {
    let mut words = text.split_ascii_whitespace();
    let thread = Thread { ran: words.next()?.parse().ok()?, waited: words.next()?.parse().ok()? };
    Some(thread)
}

/// Stolen and total ticks of the first line of /proc/stat.
fn parse_stat(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|w| w.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user time already.
    Some((*ticks.get(7)?, ticks.iter().take(8).sum()))
}

/// `some avg10=` of a pressure file.
fn parse_psi(text: &str) -> Option<f64> {
    text.strip_prefix("some avg10=")?.split(' ').next()?.parse().ok()
}

/// Whether a thread's name is that of a virtual CPU, as `debug-threads=on` names them: `CPU 0/TCG`,
/// `ALL CPUs/TCG`, `CPU 1/KVM`.
fn is_cpu(comm: &str) -> bool {
    comm.starts_with("CPU ") || comm.starts_with("ALL CPUs")
}

/// Whether the state in a thread's `stat` is R, running or waiting for a processor. The name before it may hold
/// anything but ends with the last parenthesis (Documentation/filesystems/proc.rst, table 1-4).
fn is_runnable(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('R'))
}

/// The counters of a thread once more, with the waiting that the kernel has not counted yet: it adds a wait to
/// `schedstat` when the wait is over (`sched_info_arrive` in kernel/sched/stats.h), which may be seconds later, and a
/// guest whose threads do not run at all would seem undisturbed until then.
fn with_pending(before: &Followed, counted: Thread, runnable: bool, wall: Duration) -> (Thread, u64) {
    let wall = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
    let ran = counted.ran.saturating_sub(before.counted.ran);
    let waited = counted.waited.saturating_sub(before.counted.waited);
    // Of a wait that is counted now, what was pending lies before this time; the rest of this time is a new wait.
    let since = waited.saturating_sub(before.pending);
    let more = wall.saturating_sub(ran.saturating_add(since));
    let goes_on = if ran == 0 && waited == 0 { before.pending } else { 0 };
    let pending = if runnable { goes_on.saturating_add(more) } else { 0 };
    (Thread { ran: counted.ran, waited: counted.waited.saturating_add(pending) }, pending)
}

/// A thread that is followed.
#[derive(Clone, Debug)]
struct Followed {
    id: u64,
    cpu: bool,
    /// As the kernel counts it.
    counted: Thread,
    /// Nanoseconds of waiting that the kernel has not counted yet.
    pending: u64,
    /// Both together.
    now: Thread,
    /// Its counters when the current long window began.
    window: Thread,
}

impl Followed {
    fn new(id: u64, cpu: bool) -> Followed {
        let none = Thread::default();
        Followed { id, cpu, counted: none, pending: 0, now: none, window: none }
    }
}

/// Follows the threads of one process and the host around it.
#[derive(Debug)]
pub struct Watch {
    process: u32,
    threads: Vec<Followed>,
    /// Counters of threads that have ended.
    gone: Thread,
    has_schedstat: bool,
    total: Thread,
    stat: (u64, u64),
    stat_at_start: (u64, u64),
    sampled: Instant,
    effective: Duration,
    /// The share of its wanted time that QEMU got between the last two looks.
    rate: f64,
    /// The last seconds: (until when, effective, wall).
    recent: Vec<(Instant, Duration, Duration)>,
    window_since: Instant,
    window_least: f64,
}

/// What a watchdog's patience is measured against: the longest of them is the soft lockup's 20 s.
const WINDOW: Duration = Duration::from_secs(20);
/// What a timer's patience is measured against.
const RECENT: Duration = Duration::from_secs(3);

impl Watch {
    /// Starts to follow a process.
    pub fn new(process: u32) -> Watch {
        let stat = fs::read_to_string("/proc/stat").ok().and_then(|t| parse_stat(&t)).unwrap_or_default();
        let now = Instant::now();
        Watch {
            process,
            threads: Vec::new(),
            gone: Thread::default(),
            has_schedstat: fs::read_to_string("/proc/self/schedstat").is_ok(),
            total: Thread::default(),
            stat,
            stat_at_start: stat,
            sampled: now,
            effective: Duration::ZERO,
            rate: 1.0,
            recent: Vec::new(),
            window_since: now,
            window_least: 1.0,
        }
    }

    /// The guest's own time since the start: wall-clock time, less what other processes and the hypervisor took
    /// from QEMU. A patience in this time never runs out because the host was busy.
    pub fn effective(&self) -> Duration {
        self.effective + self.sampled.elapsed().min(Duration::from_secs(1)).mul_f64(self.rate)
    }

    /// Looks at the host now. Call it a few times a second.
    pub fn sample(&mut self) {
        let now = Instant::now();
        let wall = now.duration_since(self.sampled);
        let before = self.total;
        self.read_threads(wall);
        let ran = self.total.ran.saturating_sub(before.ran) as f64;
        let waited = self.total.waited.saturating_sub(before.waited) as f64;
        self.rate =
            undisturbed(wall.as_secs_f64(), ran / 1e9, waited / 1e9) * (1.0 - self.steal_since_last());
        let effective = wall.mul_f64(self.rate);
        self.effective += effective;
        self.recent.push((now, effective, wall));
        self.recent.retain(|(at, ..)| now.duration_since(*at) < RECENT);
        self.sampled = now;
        if now.duration_since(self.window_since) >= WINDOW {
            self.window_least = self.least_in_window();
            self.window_since = now;
            for t in &mut self.threads {
                t.window = t.now;
            }
        }
    }

    fn steal_since_last(&mut self) -> f64 {
        let Some(stat) = fs::read_to_string("/proc/stat").ok().and_then(|t| parse_stat(&t)) else {
            return 0.0;
        };
        let share = ratio(stat.0.saturating_sub(self.stat.0), stat.1.saturating_sub(self.stat.1));
        self.stat = stat;
        share
    }

    fn read_threads(&mut self, wall: Duration) {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.process)) else { return };
        let mut seen = Vec::with_capacity(self.threads.len());
        for id in tasks.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u64>().ok()) {
            let base = format!("/proc/{}/task/{id}", self.process);
            let read = |name: &str| fs::read_to_string(format!("{base}/{name}")).ok();
            let Some(counted) = read("schedstat").and_then(|t| parse_schedstat(&t)) else { continue };
            let known = self.threads.iter().position(|t| t.id == id);
            let mut thread = match known {
                Some(at) => self.threads.swap_remove(at),
                None => Followed::new(id, is_cpu(&read("comm").unwrap_or_default())),
            };
            let runnable = read("stat").is_some_and(|stat| is_runnable(&stat));
            (thread.now, thread.pending) = with_pending(&thread, counted, runnable, wall);
            thread.counted = counted;
            seen.push(thread);
        }
        for gone in self.threads.drain(..) {
            self.gone.ran += gone.now.ran;
            self.gone.waited += gone.now.waited;
        }
        self.threads = seen;
        self.total = self.gone;
        for t in &self.threads {
            self.total.ran += t.now.ran;
            self.total.waited += t.now.waited;
        }
    }

    /// The least share of a virtual CPU since the window began.
    fn least_in_window(&self) -> f64 {
        self.threads
            .iter()
            .filter(|t| t.cpu)
            .map(|t| {
                let ran = t.now.ran.saturating_sub(t.window.ran);
                let waited = t.now.waited.saturating_sub(t.window.waited);
                if ran + waited == 0 { 1.0 } else { ratio(ran, ran + waited) }
            })
            .fold(1.0, f64::min)
    }

    /// What the host was like from the start until now.
    pub fn pressure(&self) -> Pressure {
        let load = fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|t| t.split(' ').next()?.parse().ok()).unwrap_or(0.0);
        let psi = fs::read_to_string("/proc/pressure/cpu").ok();
        let (effective, wall) =
            self.recent.iter().fold((Duration::ZERO, Duration::ZERO), |(e, w), (_, effective, wall)| {
                (e + *effective, w + *wall)
            });
        // A window that has just begun says little; the one before it counts too.
        let least = self.least_in_window();
        Pressure {
            load,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            steal: ratio(
                self.stat.0.saturating_sub(self.stat_at_start.0),
                self.stat.1.saturating_sub(self.stat_at_start.1),
            ),
            psi_cpu: psi.and_then(|t| parse_psi(&t)),
            ran_s: self.total.ran as f64 / 1e9,
            waited_s: self.has_schedstat.then_some(self.total.waited as f64 / 1e9),
            share_at_end: if wall.is_zero() { 1.0 } else { effective.as_secs_f64() / wall.as_secs_f64() },
            least_cpu_share: least.min(self.window_least),
        }
    }
}

/// The share of a time that was the guest's own, when its threads ran and waited for so many seconds in it. Threads
/// that wanted at least one processor all the time got the share `ran / (ran + waited)`; of a guest that idled in
/// between, only the waiting is lost.
fn undisturbed(wall: f64, ran: f64, waited: f64) -> f64 {
    let wanted = (ran + waited).max(wall);
    if wanted > 0.0 { (1.0 - waited / wanted).clamp(0.0, 1.0) } else { 1.0 }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read_as_documented() {
        assert_eq!(
            parse_schedstat("388626056 207781818 90\n"),
            Some(Thread { ran: 388_626_056, waited: 207_781_818 })
        );
        assert_eq!(parse_schedstat("x y z"), None);
        assert_eq!(parse_stat("cpu  10 1 5 100 2 0 1 7 3 0\ncpu0 1"), Some((7, 126)));
        assert_eq!(parse_psi("some avg10=50.95 avg60=48.33 avg300=20.14 total=1\nfull"), Some(50.95));
        assert!(is_cpu("CPU 3/TCG\n") && is_cpu("ALL CPUs/TCG") && !is_cpu("qemu-system-x86"));
    }

    #[test]
    fn a_wait_counts_while_it_lasts() {
        const MS: u64 = 1_000_000;
        let wall = Duration::from_millis(250);
        let mut thread = Followed::new(1, true);
        thread.counted = Thread { ran: 40 * MS, waited: 10 * MS };
        let mut look = |ran: u64, waited: u64, runnable: bool| {
            let counted = Thread { ran: ran * MS, waited: waited * MS };
            (thread.now, thread.pending) = with_pending(&thread, counted, runnable, wall);
            thread.counted = counted;
            thread.now.waited / MS
        };
        // It waits for a processor, and the kernel has not counted that.
        assert_eq!(look(40, 10, true), 260);
        assert_eq!(look(40, 10, true), 510);
        // After 60 ms more it got one for 10 ms; that wait is counted now, and it has been in a new one for 180 ms.
        assert_eq!(look(50, 570, true), 750);
        assert_eq!(look(50, 570, true), 1000);
        // The new wait ended as soon, and then it slept.
        assert_eq!(look(60, 1010, false), 1010);
        // A thread that runs all the time waits for nothing, and one that sleeps does not either.
        assert_eq!(look(310, 1010, true), 1010);
        assert_eq!(look(310, 1010, false), 1010);
        assert!(is_runnable("71 (CPU 0/TCG) R 1 71") && !is_runnable("71 (R) S) S 1 71"));
    }

    #[test]
    fn what_is_lost_is_what_was_waited_for() {
        // Four threads on half a processor each, all the time.
        assert!((undisturbed(1.0, 2.0, 2.0) - 0.5).abs() < 1e-9);
        // A guest that idles, but had to wait a tenth of the time.
        assert!((undisturbed(1.0, 0.1, 0.1) - 0.9).abs() < 1e-9);
        assert_eq!(undisturbed(1.0, 0.0, 0.0), 1.0);
        assert_eq!(undisturbed(0.0, 0.0, 0.0), 1.0);
        assert_eq!(undisturbed(0.1, 0.0, 5.0), 0.0);
    }

    #[test]
    fn a_process_that_wants_nothing_is_not_starved() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let mut watch = Watch::new(child.id());
        // Where the host is busy it may wait for its own start; soon it sleeps, and then nothing is taken from it.
        let undisturbed = (0..40).any(|_| {
            watch.sample();
            let (start, before) = (Instant::now(), watch.effective());
            std::thread::sleep(Duration::from_millis(100));
            watch.sample();
            watch.effective().saturating_sub(before) > start.elapsed() / 2
        });
        child.kill().expect("sleep is killed");
        child.wait().expect("sleep ends");
        assert!(undisturbed);
    }

    #[test]
    fn a_process_that_shares_a_processor_has_less_time_than_the_wall() {
        // Four busy loops on one processor: each gets a quarter.
        let cpu = "taskset";
        let Ok(probe) = std::process::Command::new(cpu).args(["-c", "0", "true"]).status() else {
            eprintln!("skipped: taskset is not installed");
            return;
        };
        assert!(probe.success());
        let mut busy: Vec<_> = (0..4)
            .map(|_| {
                std::process::Command::new(cpu)
                    .args(["-c", "0", "sh", "-c", "while :; do :; done"])
                    .spawn()
                    .expect("a busy loop starts")
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        let mut watch = Watch::new(busy[0].id());
        watch.sample();
        let (start, effective) = (Instant::now(), watch.effective());
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(200));
            watch.sample();
        }
        let share = (watch.effective() - effective).as_secs_f64() / start.elapsed().as_secs_f64();
        for b in &mut busy {
            b.kill().expect("killed");
            b.wait().expect("ended");
        }
        if watch.has_schedstat {
            assert!(share < 0.6, "{share}");
        }
    }
}
