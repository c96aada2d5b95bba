//! Starting a QEMU that dies with kvet, whatever kills kvet.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::io::FdFlags;
use rustix::process::Signal;

/// Starts the command in a process group of its own (a Ctrl-C on the terminal is for kvet), with these
/// descriptors under their own numbers, and with the kernel's promise to kill it when the calling **thread**
/// ends: that thread must live as long as the child.
///
/// # Errors
/// As [`Command::spawn`].
#[expect(unsafe_code, reason = "the standard library runs code between fork and exec only through pre_exec")]
pub fn spawn(mut command: Command, keep: &[&OwnedFd]) -> io::Result<Child> {
    let parent = rustix::process::getpid();
    let keep: Vec<RawFd> = keep.iter().map(|fd| fd.as_raw_fd()).collect();
    command.process_group(0);
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. These are bare system calls
    // (prctl, getppid, fcntl), without allocation or locks. The descriptors are open in the child, because it
    // was forked while their owners, borrowed for this call, were alive.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the promise.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
            }
            for &fd in &keep {
                rustix::io::fcntl_setfd(BorrowedFd::borrow_raw(fd), FdFlags::empty())?;
            }
            Ok(())
        });
    }
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::Stdio;

    #[test]
    fn a_descriptor_is_inherited_under_its_number() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
        let theirs = OwnedFd::from(theirs);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("echo hello >&{}", theirs.as_raw_fd()));
        let mut child = spawn(command, &[&theirs]).expect("sh starts");
        drop(theirs);
        let mut said = String::new();
        (&ours).read_to_string(&mut said).expect("the child writes");
        assert_eq!(said, "hello\n");
        assert!(child.wait().expect("the child ends").success());
    }

    #[test]
    fn the_child_dies_with_the_thread_that_started_it() {
        let child = std::thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("600").stdout(Stdio::null());
            spawn(command, &[]).expect("sleep starts")
        });
        let mut child = child.join().expect("the thread ends");
        let status = child.wait().expect("the child ends");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let error = spawn(Command::new("/nonexistent/qemu"), &[]).expect_err("nothing to start");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
