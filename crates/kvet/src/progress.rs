//! What goes to stderr: complaints, and progress for whoever has to wait.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Quick commands stay silent; so long a wait wants a word.
const DELAY: Duration = Duration::from_millis(250);

/// Says what went wrong. The text must be safe for a terminal already.
pub fn complain(text: &str) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "kvet: {text}");
}

/// A bar on stderr: only on a terminal, only for several steps, and only after [`DELAY`].
pub struct Progress {
    verb: &'static str,
    total: u64,
    since: Instant,
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress towards `total` steps; `verb` says what has happened to those done.
    pub fn new(verb: &'static str, total: u64) -> Progress {
        let wanted = total > 1 && std::io::stderr().is_terminal();
        Progress { verb, total, since: Instant::now(), wanted, bar: None }
    }

    /// So many steps are done.
    pub fn set(&mut self, done: u64) {
        if !self.wanted || self.since.elapsed() < DELAY {
            return;
        }
        self.bar.get_or_insert_with(|| bar(self.verb, self.total)).set_position(done);
    }

    /// Writes something while the bar is out of the way.
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(verb: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(15));
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_message(verb);
    bar
}
