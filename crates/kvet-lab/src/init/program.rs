//! A program as data: system calls with constant arguments, and counted loops.

/// A system call that the built-in inits use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sys {
    Openat,
    Write,
    Pwrite,
    Mount,
    Reboot,
    Pause,
    Clone,
    Nanosleep,
    Kill,
}

/// A file descriptor that a program keeps in a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fd {
    /// The kernel's log.
    Log,
    First,
    Second,
}

/// An argument of a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// A number.
    Value(i64),
    /// The address of a text, by its offset in [`Program::data`].
    Text(usize),
    /// A descriptor that [`Program::open`] has kept.
    Fd(Fd),
}

/// A step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A system call; its result may be kept as a descriptor.
    Call { sys: Sys, args: Vec<Arg>, keep: Option<Fd> },
    /// Repeats the steps inside; loops do not nest, for there is one counter.
    Repeat { times: u32, body: Vec<Step> },
    /// Repeats the steps inside for ever.
    Forever { body: Vec<Step> },
    /// Does the steps inside in a process of their own; the last of them must not end.
    Fork { body: Vec<Step> },
}

/// `AT_FDCWD` of include/uapi/linux/fcntl.h.
const AT_FDCWD: i64 = -100;
/// `SIGCHLD` of include/uapi/asm-generic/signal.h: what a plain fork asks clone for.
const SIGCHLD: i64 = 17;
/// `O_RDWR`.
const O_RDWR: i64 = 2;

/// Steps and the texts that they point to.
#[derive(Clone, Default, Debug)]
pub struct Program {
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// The texts, each ending in a zero byte.
    pub data: Vec<u8>,
}

impl Program {
    /// Keeps a text; one that is kept already is shared.
    pub fn text(&mut self, text: &str) -> Arg {
        let bytes: Vec<u8> = text.bytes().chain([0]).collect();
        let at = self.data.windows(bytes.len()).position(|w| w == bytes).unwrap_or_else(|| {
            self.data.extend(&bytes);
            self.data.len() - bytes.len()
        });
        Arg::Text(at)
    }

    /// A system call whose result does not matter.
    pub fn call(&mut self, sys: Sys, args: &[Arg]) {
        self.steps.push(Step::Call { sys, args: args.to_vec(), keep: None });
    }

    /// Opens a file for reading and writing.
    pub fn open(&mut self, keep: Fd, path: Arg) {
        let args = vec![Arg::Value(AT_FDCWD), path, Arg::Value(O_RDWR), Arg::Value(0)];
        self.steps.push(Step::Call { sys: Sys::Openat, args, keep: Some(keep) });
    }

    /// Writes a line into the kernel's log.
    pub fn say(&mut self, line: &str) {
        let text = self.text(line);
        self.call(Sys::Write, &[Arg::Fd(Fd::Log), text, Arg::Value(line.len() as i64)]);
    }

    /// Keeps a `struct timespec` of less than a second.
    pub fn nanoseconds(&mut self, nanoseconds: u32) -> Arg {
        let at = self.data.len();
        self.data.extend(0u64.to_le_bytes());
        self.data.extend(u64::from(nanoseconds).to_le_bytes());
        Arg::Text(at)
    }

    /// Steps that are done several times.
    pub fn repeat(&mut self, times: u32, fill: impl FnOnce(&mut Program)) {
        let body = self.apart(fill);
        self.steps.push(Step::Repeat { times, body });
    }

    /// Steps that a process of their own does for ever.
    pub fn meanwhile(&mut self, fill: impl FnOnce(&mut Program)) {
        let body = self.apart(fill);
        self.steps.push(Step::Fork { body: vec![Step::Forever { body }] });
    }

    fn apart(&mut self, fill: impl FnOnce(&mut Program)) -> Vec<Step> {
        let outer = std::mem::take(&mut self.steps);
        fill(self);
        std::mem::replace(&mut self.steps, outer)
    }

    /// The arguments of a clone that is a plain fork.
    pub fn fork() -> [Arg; 5] {
        [Arg::Value(SIGCHLD), Arg::Value(0), Arg::Value(0), Arg::Value(0), Arg::Value(0)]
    }

    /// Sleeps until something ends the machine.
    pub fn wait_for_ever(&mut self) {
        let pause = Step::Call { sys: Sys::Pause, args: vec![Arg::Value(0); 5], keep: None };
        self.steps.push(Step::Forever { body: vec![pause] });
    }
}
