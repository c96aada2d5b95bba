//! One boot: start QEMU, listen, decide, look at the guest before it is let go.
//!
//! One thread does it all with `poll`: the console, QEMU's control connection, its stderr, and four times a second
//! the host. The same thread starts QEMU, which dies when the thread does (see `spawn.rs`).

mod conclude;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use crate::capture::{Capture, Console};
use crate::host::{Pressure, Watch};
use crate::init::Init;
use crate::machine::{Machine, Wiring};
use crate::outcome::{EndedBy, Outcome};
use crate::qemu::Qemu;
use crate::qmp::{Event, Qmp};
use crate::snapshot::Snapshot;
use crate::voice::{self, Diagnosis, Heard, Listener, Milestone, Said, Success};
use crate::{Error, memory, noise, spawn};

/// What bounds a boot in time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// Wall-clock time for all of it.
    pub timeout: Duration,
    /// Time without a word on the console, in the guest's own time (see `Watch::effective`), after which the
    /// guest has hung.
    pub quiet: Duration,
    /// The guest's own time in which every good boot ends, where it is known: who had it was not starved.
    pub enough: Option<Duration>,
}

/// What is wanted of one boot.
pub struct Request<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Its QEMU.
    pub qemu: &'a Qemu,
    /// A file with the built-in initrd, when the machine has one.
    pub initrd: Option<&'a OwnedFd>,
    /// A snapshot to go on from, in place of a boot from the start.
    pub snapshot: Option<&'a Snapshot>,
    /// What counts as success.
    pub success: &'a Success,
    /// Bounds in time.
    pub limits: Limits,
    /// Complaints (warnings) count as failures.
    pub complaints_fail: bool,
    /// Where the guest's memory is kept when the boot does not pass.
    pub keep_memory: Option<&'a Path>,
    /// Says whether to end the boot without a verdict.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// What is known of a boot that has ended: all but its console.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Boot {
    /// The verdict.
    pub outcome: Outcome,
    /// Kind of the failure; `None` when it passed.
    pub kind: Option<String>,
    /// The failure in one line.
    pub title: Option<String>,
    /// What groups boots that failed alike.
    pub signature: Option<String>,
    /// What explains it.
    pub diagnosis: Option<Diagnosis>,
    /// Every report of the console, the first cause first; of a hang, also where the guest was.
    pub reports: Vec<Said>,
    /// When it started, in seconds since 1970.
    pub started: f64,
    /// Seconds from the start of QEMU to the verdict.
    pub wall_s: f64,
    /// Seconds from the console's last byte to the verdict.
    pub decided_after_s: f64,
    /// The same in the guest's own time: less what the host took from it.
    #[serde(default)]
    pub own_s: f64,
    /// Seconds of processor time that QEMU took.
    pub cpu_s: f64,
    /// Moments of the boot, in seconds since QEMU was started.
    pub milestones: Vec<(Milestone, f64)>,
    /// The longest time without a word while the guest ran, in seconds of the guest's own time.
    pub longest_gap_s: f64,
    /// The last line of text on the console.
    pub last_line: String,
    /// Bytes that came on the console.
    pub console_bytes: u64,
    /// QEMU's exit status, when it exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that killed QEMU, when it was not ours.
    pub exit_signal: Option<i32>,
    /// What QEMU said about itself.
    pub emulator_said: String,
    /// QEMU's events in order.
    pub events: Vec<String>,
    /// `info registers -a`, of a boot that did not pass.
    pub registers: Option<String>,
    /// The file with the guest's memory, when it was kept.
    pub memory: Option<PathBuf>,
    /// Why the guest's memory could not be kept, though it should have been.
    #[serde(default)]
    pub memory_lost: Option<String>,
    /// The host.
    pub pressure: Pressure,
}

/// The time without a word after which a failure is taken to have been told whole.
const TOLD: Duration = Duration::from_millis(150);
/// So long a failure may go on telling, in the guest's own time and by the wall: some repeat themselves for ever.
const TELLING: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(60));
/// A guest whose watchdog has spoken stands still when so long, in its own time, brings no progress. The watchdogs of
/// the other processors speak meanwhile, and show who waits for whom. Who has not had that much by the wall's bound
/// is given up, undecided.
const STUCK: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(600));
/// A guest that has said its success is given so long, in its own time, to power off.
const FAREWELL: Duration = Duration::from_secs(5);
/// While the console speaks, it is read no more often than this. The socket's buffer takes in much more.
const GATHER: Duration = Duration::from_millis(4);
/// Between two looks at the host.
const SAMPLE: Duration = Duration::from_millis(250);
/// QEMU answers a command at once, unless the host is starved.
const PATIENCE: Duration = Duration::from_secs(5);
/// Boots once to a moment and keeps the guest's state there; `None` when it never came so far.
///
/// # Errors
/// As [`run`]; also when QEMU cannot save its state.
pub fn snapshot(request: &Request<'_>, at: Milestone) -> Result<Option<Snapshot>, Error> {
    Guest::start(request)?.freeze(request, at)
}

/// What a guest left that was ended in its first user space.
pub struct Halted {
    /// Its memory; `None` when it never came so far.
    pub memory: Option<File>,
    /// What its console said.
    pub console: Console,
}

/// Boots once and ends the guest where its first user space starts: for those who want to read what the kernel has made
/// of itself by then. The machine's initrd is to be [`Init::Wait`], which changes nothing any more.
///
/// # Errors
/// As [`run`].
pub fn halt_in_user_space(machine: &Machine, qemu: &Qemu, timeout: Duration) -> Result<Halted, Error> {
    let initrd = memory::anonymous_with("kvet-initrd", &Init::Wait.initramfs(machine.arch, "halt"))
        .map_err(Error::io("a file in memory"))?;
    let request = Request {
        machine,
        qemu,
        initrd: Some(&initrd),
        snapshot: None,
        success: &Success::Marker(Init::STARTS.into()),
        limits: Limits { timeout, quiet: timeout, enough: None },
        complaints_fail: false,
        keep_memory: None,
        stop: &|| false,
    };
    let mut guest = Guest::start(&request)?;
    let reached = guest.reach(&request, Milestone::Success)?;
    if let Some(ended_by) = guest.ended.clone().filter(|_| !reached)
        && guest.was_refused(&ended_by)
    {
        return Err(Error::Refused { why: guest.refusal(&ended_by) });
    }
    let memory = reached.then(|| guest.halted_ram(&request)).flatten();
    Ok(Halted { memory, console: std::mem::take(&mut guest.capture).finish() })
}

/// A snapshot of some tens of megabytes loads in a fraction of a second, on a host that has time.
const SNAPSHOT_TIME: Duration = Duration::from_secs(30);

/// Boots once. `None`: it was stopped on request.
///
/// # Errors
/// QEMU cannot be started, or refuses the machine.
pub fn run(
    request: &Request<'_>,
    moment: &mut dyn FnMut(Milestone),
) -> Result<Option<(Boot, Console)>, Error> {
    let _noise = noise::Noise::new(request.machine.noise);
    let mut guest = Guest::start(request)?;
    if let Some(snapshot) = request.snapshot {
        guest.go_on(snapshot, moment)?;
    }
    let ended_by = match guest.follow(request, moment) {
        Ok(Some(ended_by)) => ended_by,
        Ok(None) => return Ok(None),
        Err(why) => return Err(Error::Io { what: "following a guest".into(), why }),
    };
    if guest.was_refused(&ended_by) {
        return Err(Error::Refused { why: guest.refusal(&ended_by) });
    }
    Ok(Some(guest.conclude(request, &ended_by)))
}

/// A running QEMU and what it has said.
struct Guest<'a> {
    child: Child,
    serial: File,
    qmp: Qmp,
    stderr: Option<std::process::ChildStderr>,
    said: Vec<u8>,
    /// A file that QEMU has too: the guest's memory, or empty until QEMU copies some of that into it.
    memory: OwnedFd,
    listener: Listener<'a>,
    capture: Capture,
    watch: Watch,
    started: Instant,
    started_unix: f64,
    last_byte: Instant,
    /// The guest's own time at the last byte.
    last_byte_effective: Duration,
    longest_gap: Duration,
    milestones: Vec<(Milestone, f64)>,
    /// When a failure was first heard, by the wall and in the guest's own time.
    failure_since: Option<(Instant, Duration)>,
    /// The same of a watchdog's word after which no progress has come.
    lockup_since: Option<(Instant, Duration)>,
    /// Whether the guest stood still after a watchdog's word.
    stuck: Option<bool>,
    success_at: Option<Duration>,
    last_word: bool,
    restart_said: bool,
    events: Vec<String>,
    greeted: bool,
    serial_open: bool,
    exit: Option<ExitStatus>,
    ended: Option<EndedBy>,
}

impl<'a> Guest<'a> {
    fn start(request: &Request<'a>) -> Result<Guest<'a>, Error> {
        let machine = request.machine;
        let pair = || UnixStream::pair().map_err(Error::io("a pair of sockets"));
        let (serial, serial_there) = console_pipe().map_err(Error::io("a pipe"))?;
        let (qmp, qmp_there) = pair()?;
        let qmp_there = OwnedFd::from(qmp_there);
        let memory = memory::anonymous("kvet-guest").map_err(Error::io("memory for the guest"))?;
        let incoming = request.snapshot.map(Snapshot::open).transpose()?;
        let wiring = Wiring {
            serial: serial_there.as_raw_fd(),
            qmp: qmp_there.as_raw_fd(),
            memory: request.keep_memory.map(|_| memory.as_raw_fd()),
            initrd: request.initrd.map(AsRawFd::as_raw_fd),
            incoming: incoming.as_ref().map(AsRawFd::as_raw_fd),
            sandbox: request.qemu.sandbox,
        };
        let mut command = Command::new(&request.qemu.path);
        command.args(machine.arguments()).args(wiring.arguments(machine));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let keep: Vec<&OwnedFd> =
            [Some(&serial_there), Some(&qmp_there), Some(&memory), request.initrd, incoming.as_ref()]
                .into_iter()
                .flatten()
                .collect();
        let started = Instant::now();
        let mut child =
            spawn::spawn(command, &keep).map_err(Error::io(request.qemu.path.display().to_string()))?;
        if !machine.pin.is_empty() {
            let mut set = rustix::thread::CpuSet::new();
            machine.pin.iter().for_each(|&cpu| set.set(cpu));
            let pid = rustix::process::Pid::from_child(&child);
            rustix::thread::sched_setaffinity(Some(pid), &set)
                .map_err(|e| Error::io("binding QEMU to processors")(e.into()))?;
        }
        let stderr = child.stderr.take();
        if let Some(stderr) = &stderr {
            rustix::io::ioctl_fionbio(stderr, true)
                .map_err(|e| Error::io("a non-blocking pipe")(e.into()))?;
        }
        let watch = Watch::new(child.id());
        Ok(Guest {
            watch,
            child,
            serial,
            qmp: Qmp::new(qmp).map_err(Error::io("a non-blocking socket"))?,
            stderr,
            said: Vec::new(),
            memory,
            listener: Listener::new(request.success),
            capture: Capture::new(),
            started,
            started_unix: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()),
            last_byte: started,
            last_byte_effective: Duration::ZERO,
            longest_gap: Duration::ZERO,
            milestones: Vec::new(),
            failure_since: None,
            lockup_since: None,
            stuck: None,
            success_at: None,
            last_word: false,
            restart_said: false,
            events: Vec::new(),
            greeted: false,
            serial_open: true,
            exit: None,
            ended: None,
        })
    }

    /// Waits until the snapshot is in, and lets the guest go on from it.
    fn go_on(&mut self, snapshot: &Snapshot, moment: &mut dyn FnMut(Milestone)) -> Result<(), Error> {
        self.hear(snapshot.console(), moment);
        let refused = |why: String| Error::Refused { why: format!("the snapshot does not load: {why}") };
        let deadline = Instant::now() + SNAPSHOT_TIME;
        let ask = |qmp: &mut Qmp, command| qmp.execute(command, serde_json::Value::Null, SNAPSHOT_TIME);
        let mut begun = ask(&mut self.qmp, "qmp_capabilities").map(drop);
        self.greeted = true;
        while begun.is_ok() && Instant::now() < deadline {
            match ask(&mut self.qmp, "query-status") {
                Ok(status) if status["status"] == "inmigrate" => std::thread::sleep(Duration::from_millis(3)),
                Ok(_) => {
                    begun = ask(&mut self.qmp, "cont").map(drop);
                    break;
                }
                Err(why) => begun = Err(why),
            }
        }
        begun.map_err(|why| {
            self.hear_stderr();
            refused(format!("{why}; {}", String::from_utf8_lossy(&self.said).trim()))
        })?;
        // What the prefix said is no failure of this boot, and the clock starts now.
        self.failure_since = None;
        self.last_byte = Instant::now();
        self.last_byte_effective = self.watch.effective();
        Ok(())
    }

    /// Runs until a moment is reached, and gives the guest's state and what it has said; `None` when it never came
    /// so far.
    fn freeze(&mut self, request: &Request<'_>, at: Milestone) -> Result<Option<Snapshot>, Error> {
        if !self.reach(request, at)? {
            return Ok(None);
        }
        let console = std::mem::take(&mut self.capture).finish();
        Snapshot::take(&mut self.qmp, console.bytes).map(Some)
    }

    /// Runs until a moment is reached; false when it never came so far.
    fn reach(&mut self, request: &Request<'_>, at: Milestone) -> Result<bool, Error> {
        loop {
            let failed = |why| Error::Io { what: "following a guest".into(), why };
            self.wait(Instant::now() + SAMPLE).map_err(failed)?;
            self.listen(&mut |_| {}).map_err(failed)?;
            self.watch.sample();
            if self.greeted && self.milestones.iter().any(|(m, _)| *m == at) {
                return Ok(true);
            }
            let late = self.patience(request.limits, request.success).is_some();
            if late || self.ended.is_some() || (request.stop)() {
                return Ok(false);
            }
        }
    }

    /// Listens until something ends the boot; `None` when it was stopped on request.
    fn follow(
        &mut self,
        request: &Request<'_>,
        moment: &mut dyn FnMut(Milestone),
    ) -> io::Result<Option<EndedBy>> {
        let mut next_sample = self.started + SAMPLE;
        loop {
            if (request.stop)() {
                return Ok(None);
            }
            self.wait(next_sample)?;
            self.listen(moment)?;
            let now = Instant::now();
            if now >= next_sample || self.failure_since.is_some() {
                self.watch.sample();
                next_sample = now + SAMPLE;
            }
            if let Some(ended) = self.ended.take() {
                return Ok(Some(ended));
            }
            match self.patience(request.limits, request.success) {
                // What looked like a failure's first line was none once the rest had come.
                Some(EndedBy::Report) if !self.failure_stands() => self.failure_since = None,
                Some(ended) => return Ok(Some(ended)),
                None => {}
            }
        }
    }

    /// Waits until there is something to read, or the next look at the host is due.
    fn wait(&self, next_sample: Instant) -> io::Result<()> {
        // An emulated serial port sends its bytes one by one. Who wakes up for each takes more processor time from
        // the guest than all the rest of kvet; a few milliseconds make a line of them.
        if self.last_byte.elapsed() < GATHER && self.serial_open {
            std::thread::sleep(GATHER);
        }
        let mut until = next_sample;
        if self.failure_since.is_some() {
            until = until.min(Instant::now() + Duration::from_millis(25));
        }
        let time = until.saturating_duration_since(Instant::now());
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        let mut fds = Vec::with_capacity(3);
        fds.push(PollFd::from_borrowed_fd(self.qmp.as_fd(), PollFlags::IN));
        if self.serial_open {
            fds.push(PollFd::from_borrowed_fd(self.serial.as_fd(), PollFlags::IN));
        }
        if let Some(stderr) = &self.stderr {
            fds.push(PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::IN));
        }
        match poll(&mut fds, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes in all that has arrived.
    fn listen(&mut self, moment: &mut dyn FnMut(Milestone)) -> io::Result<()> {
        // Events first: what the guest said before one has been sent before it and is read below.
        let open = self.qmp.receive()?;
        self.hear_console(moment)?;
        self.hear_stderr();
        if self.qmp.greeted() && !self.greeted {
            self.greeted = true;
            self.qmp.send("qmp_capabilities");
        }
        while let Some(event) = self.qmp.event() {
            self.note(event);
        }
        if !open && self.ended.is_none() {
            // QEMU closes its end when it dies.
            self.exit = Some(self.reap()?);
            self.hear_console(moment)?;
            self.hear_stderr();
            let exit = self.exit.unwrap_or_default();
            self.ended = Some(EndedBy::EmulatorExit { code: exit.code(), signal: exit.signal() });
        }
        Ok(())
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.child.kill()?;
        self.child.wait()
    }

    /// Reads the console, at most a few megabytes at a time so that a flood cannot keep the loop from its clock.
    fn hear_console(&mut self, moment: &mut dyn FnMut(Milestone)) -> io::Result<()> {
        let mut chunk = [0; 16 << 10];
        for _ in 0..256 {
            if !self.serial_open {
                return Ok(());
            }
            match self.serial.read(&mut chunk) {
                Ok(0) => self.serial_open = false,
                Ok(n) => self.hear(&chunk[..n], moment),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => self.serial_open = false,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn hear(&mut self, piece: &[u8], moment: &mut dyn FnMut(Milestone)) {
        let now = Instant::now();
        let since_start = now.duration_since(self.started);
        let effective = self.watch.effective();
        self.longest_gap = self.longest_gap.max(effective.saturating_sub(self.last_byte_effective));
        self.last_byte = now;
        self.last_byte_effective = effective;
        self.capture.push(piece, u32::try_from(since_start.as_millis()).unwrap_or(u32::MAX));
        for heard in self.listener.hear(piece) {
            match heard {
                Heard::Milestone(milestone) => {
                    self.milestones.push((milestone, since_start.as_secs_f64()));
                    self.goes_on();
                    if milestone == Milestone::Success {
                        self.success_at = Some(effective);
                    }
                    moment(milestone);
                }
                Heard::Failure(_) => {
                    self.failure_since.get_or_insert((now, effective));
                }
                Heard::Lockup(_) => {
                    self.lockup_since.get_or_insert((now, effective));
                }
                Heard::Progress => self.goes_on(),
                Heard::LastWord => self.last_word = true,
                Heard::Restart => self.restart_said = true,
                Heard::Complaint(_) => {}
            }
        }
    }

    /// The guest has made progress: a watchdog that spoke before was wrong about for ever.
    fn goes_on(&mut self) {
        if self.lockup_since.take().is_some() {
            self.stuck = Some(false);
        }
    }

    fn hear_stderr(&mut self) {
        /// QEMU complains in a line or two.
        const ENOUGH: usize = 16 << 10;
        let Some(stderr) = &mut self.stderr else { return };
        let mut chunk = [0; 4096];
        loop {
            match stderr.read(&mut chunk) {
                Ok(0) => {
                    self.stderr = None;
                    return;
                }
                Ok(n) => {
                    let room = ENOUGH.saturating_sub(self.said.len());
                    self.said.extend_from_slice(&chunk[..n.min(room)]);
                }
                Err(_) => return,
            }
        }
    }

    fn note(&mut self, event: Event) {
        let (word, ended) = match event {
            Event::Shutdown(reason) => {
                let ended = match reason.as_str() {
                    "guest-shutdown" => Some(EndedBy::PowerOff),
                    "guest-reset" => Some(EndedBy::Reset),
                    "guest-panic" => Some(EndedBy::Panicked),
                    // A signal or a command from outside: QEMU exits, and that is noticed.
                    _ => None,
                };
                (format!("SHUTDOWN {reason}"), ended)
            }
            Event::Reset(reason) => (format!("RESET {reason}"), None),
            Event::Panicked => ("GUEST_PANICKED".to_owned(), Some(EndedBy::Panicked)),
            Event::Other(name) => (name, None),
        };
        /// A guest that resets for ever must not fill memory.
        const EVENTS: usize = 64;
        if self.events.len() < EVENTS {
            self.events.push(word);
        }
        if self.ended.is_none() {
            self.ended = ended;
        }
    }

    /// Whether the console as a whole has a failure.
    fn failure_stands(&self) -> bool {
        let console = self.capture.clone().finish();
        voice::story(&console.bytes, None).reports.iter().any(|r| r.failure)
    }

    /// Whether more than one of two bounds has gone by since then: in the guest's own time, or by the wall.
    fn longer(
        &self,
        (wall, own): (Instant, Duration),
        (own_bound, wall_bound): (Duration, Duration),
    ) -> bool {
        self.watch.effective().saturating_sub(own) >= own_bound || wall.elapsed() >= wall_bound
    }

    /// Whether waiting longer is of use.
    fn patience(&self, limits: Limits, success: &Success) -> Option<EndedBy> {
        let now = Instant::now();
        let effective = self.watch.effective();
        let quiet = effective.saturating_sub(self.last_byte_effective);
        if let Some(since) = self.failure_since {
            let told = self.last_word || quiet >= TOLD && now.duration_since(self.last_byte) >= TOLD;
            return (told || self.longer(since, TELLING)).then_some(EndedBy::Report);
        }
        if self.lockup_since.is_some_and(|since| self.longer(since, STUCK)) {
            return Some(EndedBy::Report);
        }
        if let Some(at) = self.success_at {
            // Our init and an orderly shutdown go on to power off; who asks for a login waits for somebody, and a
            // pattern may be matched in mid-life.
            let powers_off = self.milestones.iter().any(|(m, _)| *m == Milestone::PowerDown);
            let waits = match success {
                Success::Marker(_) => true,
                Success::Ordinary => powers_off,
                Success::Pattern(_) => false,
            };
            let ends = !waits || effective.saturating_sub(at) >= FAREWELL;
            if ends {
                return Some(EndedBy::Success);
            }
        }
        if now.duration_since(self.started) >= limits.timeout {
            return Some(EndedBy::Timeout);
        }
        (quiet >= limits.quiet).then_some(EndedBy::Quiet)
    }

    /// Whether QEMU ended because of its own arguments. Its control connection may be up before it looks at all of
    /// them; but a QEMU that fails later dies of a signal, or the guest has said something.
    fn was_refused(&self, ended_by: &EndedBy) -> bool {
        match ended_by {
            EndedBy::EmulatorExit { code: Some(code), .. } if *code != 0 => {
                self.capture.total() == 0 && (!self.greeted || !self.said.is_empty())
            }
            EndedBy::EmulatorExit { .. } => !self.greeted,
            _ => false,
        }
    }

    /// Why QEMU did not even say hello.
    fn refusal(&self, ended_by: &EndedBy) -> String {
        let said = String::from_utf8_lossy(&self.said).trim().to_owned();
        match (said.is_empty(), ended_by) {
            (false, _) => said,
            (true, EndedBy::EmulatorExit { code: _, signal: Some(signal) }) => {
                format!("it was killed by signal {signal} before the guest started")
            }
            (true, EndedBy::EmulatorExit { code: Some(code), .. }) => {
                format!("it exited with status {code} before the guest started, without a word")
            }
            _ => "it ended before the guest started, without a word".into(),
        }
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A pipe that takes in what a console says in a few milliseconds, be it a flood; reading does not block.
fn console_pipe() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    // Users have a limit of their own for all pipes; the normal size does as well, only slower.
    let _ = rustix::pipe::fcntl_setpipe_size(&reader, 1 << 20);
    Ok((File::from(reader), writer))
}
