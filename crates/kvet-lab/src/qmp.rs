//! QEMU's machine protocol: JSON lines over a socket. Commands are answered in order; events come between.
//!
//! The protocol: docs/interop/qmp-spec.rst of QEMU. Nothing here waits without a bound: a QEMU that does not
//! answer must not stop a campaign.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// No line of QMP that we ask for is longer: `info registers -a` of 64 CPUs has about 300 KB.
const LINE_LIMIT: usize = 16 << 20;

/// An event, as `docs/interop/qemu-qmp-ref` names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// `SHUTDOWN`, with its reason: `guest-shutdown`, `guest-reset`, `guest-panic`, `host-signal`.
    Shutdown(String),
    /// `RESET`, with its reason.
    Reset(String),
    /// `GUEST_PANICKED`: pvpanic or the architecture's own way.
    Panicked,
    /// Any other.
    Other(String),
}

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// QEMU has closed the connection.
    #[error("QEMU has closed its control connection")]
    Closed,
    /// No answer in time.
    #[error("QEMU did not answer {0} in time")]
    Late(&'static str),
    /// QEMU refuses.
    #[error("QEMU refuses {command}: {why}")]
    Refused {
        /// The command.
        command: &'static str,
        /// QEMU's words.
        why: String,
    },
    /// The socket failed.
    #[error("QEMU's control connection: {0}")]
    Io(#[from] io::Error),
}

/// A connection.
pub struct Qmp {
    socket: UnixStream,
    buffer: Vec<u8>,
    events: VecDeque<Event>,
    replies: VecDeque<Value>,
    greeted: bool,
}

impl Qmp {
    /// Takes our end of a socket pair.
    ///
    /// # Errors
    /// The socket cannot be switched to non-blocking.
    pub fn new(socket: UnixStream) -> io::Result<Qmp> {
        socket.set_nonblocking(true)?;
        Ok(Qmp {
            socket,
            buffer: Vec::new(),
            events: VecDeque::new(),
            replies: VecDeque::new(),
            greeted: false,
        })
    }

    /// Whether QEMU has said hello: its command line was accepted and the machine exists.
    pub fn greeted(&self) -> bool {
        self.greeted
    }

    /// Takes in what has arrived, without waiting. False once QEMU has closed the connection.
    ///
    /// # Errors
    /// The socket failed.
    pub fn receive(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 8192];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.buffer.extend_from_slice(&chunk[..n]);
                    self.split()?;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    fn split(&mut self) -> io::Result<()> {
        let mut start = 0;
        while let Some(len) = self.buffer[start..].iter().position(|&b| b == b'\n') {
            let line = &self.buffer[start..start + len];
            if let Ok(value) = serde_json::from_slice::<Value>(line) {
                if value.get("QMP").is_some() {
                    self.greeted = true;
                } else if let Some(event) = event(&value) {
                    self.events.push_back(event);
                } else {
                    self.replies.push_back(value);
                }
            }
            start += len + 1;
        }
        self.buffer.drain(..start);
        match self.buffer.len() > LINE_LIMIT {
            true => Err(io::Error::other("a line without an end")),
            false => Ok(()),
        }
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends a command whose answer does not matter; false when that failed.
    pub fn send(&mut self, command: &str) -> bool {
        let line = format!("{}\n", json!({ "execute": command }));
        self.socket.write_all(line.as_bytes()).is_ok()
    }

    /// Executes a command and waits for its answer. Answers to what [`Qmp::send`] has sent are skipped.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub fn execute(
        &mut self,
        command: &'static str,
        arguments: Value,
        patience: Duration,
    ) -> Result<Value, QmpError> {
        let deadline = Instant::now() + patience;
        let mut message = json!({ "execute": command, "id": command });
        if !arguments.is_null() {
            message["arguments"] = arguments;
        }
        self.socket.write_all(format!("{message}\n").as_bytes())?;
        loop {
            let open = self.receive()?;
            while let Some(mut reply) = self.replies.pop_front() {
                if reply.get("id").and_then(Value::as_str) != Some(command) {
                    continue;
                }
                if let Some(error) = reply.get("error") {
                    let why = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
                    return Err(QmpError::Refused { command, why: why.to_owned() });
                }
                return Ok(reply["return"].take());
            }
            if !open {
                return Err(QmpError::Closed);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(QmpError::Late(command));
            }
            wait_readable(self.as_fd(), left)?;
        }
    }

    /// Executes a command of the human monitor and gives what it prints.
    ///
    /// # Errors
    /// See [`QmpError`].
    pub fn human(&mut self, line: &str, patience: Duration) -> Result<String, QmpError> {
        let arguments = json!({ "command-line": line });
        let answer = self.execute("human-monitor-command", arguments, patience)?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }
}

impl AsFd for Qmp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn wait_readable(fd: BorrowedFd<'_>, time: Duration) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    match poll(&mut fds, Some(&time)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn event(value: &Value) -> Option<Event> {
    let name = value.get("event")?.as_str()?;
    let reason = || value["data"]["reason"].as_str().unwrap_or_default().to_owned();
    Some(match name {
        "SHUTDOWN" => Event::Shutdown(reason()),
        "RESET" => Event::Reset(reason()),
        "GUEST_PANICKED" => Event::Panicked,
        other => Event::Other(other.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Qmp, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        (Qmp::new(ours).expect("non-blocking"), theirs)
    }

    #[test]
    fn events_come_between_answers_and_in_pieces() {
        let (mut qmp, mut qemu) = pair();
        qemu.write_all(b"{\"QMP\": {\"version\": {}}}\r\n{\"event\": \"SHUT").expect("write");
        assert!(qmp.receive().expect("open"));
        assert!(qmp.greeted());
        assert_eq!(qmp.event(), None);
        qemu.write_all(
            b"DOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n\
              {\"return\": {}}\r\n{\"return\": \"RAX=0\", \"id\": \"human-monitor-command\"}\r\n",
        )
        .expect("write");
        let said = qmp.human("info registers -a", Duration::from_secs(5)).expect("an answer");
        assert_eq!(said, "RAX=0");
        assert_eq!(qmp.event(), Some(Event::Shutdown("guest-reset".into())));
    }

    #[test]
    fn a_refusal_and_a_closed_connection_are_told_apart() {
        let (mut qmp, mut qemu) = pair();
        qemu.write_all(
            b"{\"id\": \"inject-nmi\", \"error\": {\"class\": \"GenericError\", \"desc\": \"no NMI\"}}\n",
        )
        .expect("write");
        let refused = qmp.execute("inject-nmi", Value::Null, Duration::from_secs(5));
        assert_eq!(refused.expect_err("refused").to_string(), "QEMU refuses inject-nmi: no NMI");
        drop(qemu);
        let closed = qmp.execute("quit", Value::Null, Duration::from_secs(5));
        assert!(matches!(closed, Err(QmpError::Closed | QmpError::Io(_))), "{closed:?}");
    }

    #[test]
    fn a_silent_qemu_is_not_waited_for() {
        let (mut qmp, _qemu) = pair();
        let late = qmp.execute("stop", Value::Null, Duration::from_millis(20));
        assert!(matches!(late, Err(QmpError::Late("stop"))), "{late:?}");
    }
}
