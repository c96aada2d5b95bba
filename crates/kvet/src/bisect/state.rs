//! The directory that a search lives in: its journal, logs, built artefacts, and the lock on all of it.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kvet_bisect::Journal;

use super::entry::{Entry, Question};
use super::{Failure, STOP, stopped};

/// The form of the journal.
const JOURNAL: u32 = 1;

/// The state of a search.
pub struct State {
    /// Where it is.
    pub directory: PathBuf,
    /// What has been seen.
    pub journal: Journal<Entry>,
    _lock: File,
}

impl State {
    /// Begins a search, or goes on with one.
    ///
    /// # Errors
    /// Another kvet uses the directory, it holds another question's search, or it cannot be written.
    pub fn open(
        directory: Option<&Path>,
        resume: bool,
        axis: &str,
        words: Vec<String>,
    ) -> Result<State, Failure> {
        let question = Question { journal: JOURNAL, axis: axis.into(), words };
        let directory = directory.map_or_else(|| default_directory(&question), Path::to_owned);
        let fail = |what: &Path, error: &dyn std::fmt::Display| {
            Failure::said(format!("{}: {error}", crate::text::path(what)))
        };
        std::fs::create_dir_all(&directory).map_err(|e| fail(&directory, &e))?;
        let directory = std::fs::canonicalize(&directory).map_err(|e| fail(&directory, &e))?;
        let path = directory.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|e| fail(&path, &e))?;
        if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(fail(&directory, &"another kvet bisect is at work here"));
        }
        let path = directory.join("journal.jsonl");
        let mut journal = Journal::open(&path).map_err(|e| Failure::said(e.to_string()))?;
        match journal.replay() {
            None => journal.append(&Entry::Question(question)).map_err(|e| Failure::said(e.to_string()))?,
            Some(Entry::Question(old)) if old == question && resume => {}
            Some(Entry::Question(old)) if old == question => {
                return Err(fail(
                    &directory,
                    &"a search for the same question was begun here: --resume goes on with it; \
                      delete the directory to begin anew, or name another with --state",
                ));
            }
            Some(_) => {
                return Err(fail(
                    &directory,
                    &"holds the search of another question; name another directory with --state",
                ));
            }
        }
        let state = State { directory, journal, _lock: lock };
        state.end_orphan();
        Ok(state)
    }

    /// A directory below this one.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn below(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.directory.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(&path))))?;
        Ok(path)
    }

    /// What an earlier session left running when it was killed, a build say, would write under this one's hands.
    fn end_orphan(&self) {
        let path = self.directory.join("child");
        let Ok(text) = std::fs::read_to_string(&path) else { return };
        if let Some((pid, born)) = text.split_once(' ')
            && let Ok(number) = pid.parse::<i32>()
            && birth(number).is_some_and(|b| b == born.trim())
            && let Some(group) = rustix::process::Pid::from_raw(number)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let since = Instant::now();
            while birth(number).is_some_and(|b| b == born.trim()) && since.elapsed() < Duration::from_secs(10)
            {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = std::fs::remove_file(path);
    }
}

/// When a process was started, in the kernel's ticks: with its number, it names a process for ever. `None` for one
/// that has ended, also when nobody has asked for its status.
fn birth(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    if matches!(words.next()?, "Z" | "X") {
        return None;
    }
    words.nth(18).map(str::to_owned)
}

fn default_directory(question: &Question) -> PathBuf {
    let mut hasher = std::hash::DefaultHasher::new();
    (&question.axis, &question.words).hash(&mut hasher);
    let name = format!("{}-{:016x}", question.axis, hasher.finish());
    crate::boot::paths::state_directory().join("bisect").join(name)
}

/// Runs a shell command to its end, its output in `log`; it and all that it started end with Ctrl-C, or when
/// `limit` is over (then `None` is returned).
///
/// # Errors
/// It cannot be started, or the search is to be stopped.
pub fn run_shell(
    state: &Path,
    command: &str,
    place: &Path,
    environment: &[(&str, String)],
    log: &Path,
    limit: Option<Duration>,
) -> Result<Option<ExitStatus>, Failure> {
    let fail = |error: std::io::Error| Failure::said(format!("{}: {error}", crate::text::path(log)));
    let out = File::options().create(true).append(true).open(log).map_err(fail)?;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).current_dir(place).stdin(Stdio::null());
    shell.stdout(out.try_clone().map_err(fail)?).stderr(out).process_group(0);
    shell.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = shell.spawn().map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(place))))?;
    let pid = child.id();
    if let Ok(number) = i32::try_from(pid)
        && let Some(born) = birth(number)
    {
        // Only for a session that comes after a kill; without it nothing is lost but that care.
        let _ = std::fs::write(state.join("child"), format!("{pid} {born}"));
    }
    let ended = wait(&mut child, limit);
    let _ = std::fs::remove_file(state.join("child"));
    ended
}

fn wait(child: &mut Child, limit: Option<Duration>) -> Result<Option<ExitStatus>, Failure> {
    let since = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().map_err(|e| Failure::said(e.to_string()))? {
            return Ok(Some(status));
        }
        let late = limit.is_some_and(|limit| since.elapsed() >= limit);
        if late || stopped() {
            if let Ok(Some(group)) = i32::try_from(child.id()).map(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.wait();
            return if late && !stopped() { Ok(None) } else { Err(Failure::Stopped) };
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// What a log says for a message: its first line that speaks of an error, a compiler's before make's; else its last.
pub fn last_words(log: &Path) -> Option<String> {
    const TAIL: u64 = 64 << 10;
    let mut file = File::open(log).ok()?;
    let len = file.metadata().ok()?.len();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(len.saturating_sub(TAIL))).ok()?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let is_make = |l: &str| l.starts_with("make") && l.contains("***");
    let telling = |l: &&&str| l.to_ascii_lowercase().contains("error") && !is_make(l);
    let line = lines.iter().find(telling).or(lines.iter().find(|l| is_make(l))).or(lines.last())?;
    Some(line.trim().chars().take(300).collect())
}

/// Ctrl-C ends the search in order.
pub fn listen_for_interrupt() {
    let set = ctrlc::set_handler(|| {
        if STOP.swap(true, std::sync::atomic::Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    if let Err(error) = set {
        crate::progress::complain(&format!("Ctrl-C ends without a summary: {error}"));
    }
}
