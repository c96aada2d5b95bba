//! A guest's state at a moment of its boot, from which many guests go on.
//!
//! QEMU migrates the stopped guest to a socket of ours; the stream is kept in memory and each fork reads it by
//! `-incoming`. That works in every QEMU that the lab knows and needs no disk image. What was random before the
//! snapshot (KASLR, seeds, what has been patched) is the same in all its forks: their failure rate is a
//! conditional one, and there should be several snapshots.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::qmp::Qmp;
use crate::{Error, memory};

/// A guest's state.
pub struct Snapshot {
    state: OwnedFd,
    console: Vec<u8>,
    bytes: u64,
}

/// QEMU saves some tens of megabytes.
const PATIENCE: Duration = Duration::from_secs(60);

impl Snapshot {
    /// Stops a guest and takes its state. `console` is what it has said so far.
    ///
    /// # Errors
    /// QEMU refuses or fails.
    pub fn take(qmp: &mut Qmp, console: Vec<u8>) -> Result<Snapshot, Error> {
        let refused = |why: String| Error::Refused { why: format!("no snapshot: {why}") };
        qmp.execute("stop", Value::Null, PATIENCE).map_err(|e| refused(e.to_string()))?;
        let directory = tempfile::tempdir().map_err(Error::io("a directory for a socket"))?;
        let path = directory.path().join("state");
        let listener = UnixListener::bind(&path).map_err(Error::io("a socket"))?;
        let state = memory::anonymous("kvet-snapshot").map_err(Error::io("a file in memory"))?;
        let mut file = File::from(state.try_clone().map_err(Error::io("a file in memory"))?);
        let reader = std::thread::spawn(move || -> io::Result<u64> {
            let (mut stream, _) = listener.accept()?;
            let bytes = io::copy(&mut stream, &mut file)?;
            file.flush()?;
            Ok(bytes)
        });
        let uri = json!({ "uri": format!("unix:{}", path.display()) });
        let asked = qmp.execute("migrate", uri, PATIENCE).map_err(|e| refused(e.to_string()));
        let done = asked.and_then(|_| Snapshot::wait(qmp).map_err(refused));
        if let Err(error) = done {
            // The reader waits for a connection that may never come.
            let _ = std::os::unix::net::UnixStream::connect(&path);
            return Err(error);
        }
        let bytes = reader
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the reader of the snapshot died")))
            .map_err(Error::io("reading the snapshot"))?;
        Ok(Snapshot { state, console, bytes })
    }

    fn wait(qmp: &mut Qmp) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let state = qmp.execute("query-migrate", Value::Null, PATIENCE).map_err(|e| e.to_string())?;
            match state["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => {
                    return Err(state["error-desc"].as_str().unwrap_or("QEMU does not say why").to_owned());
                }
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err("QEMU does not come to an end".into())
    }

    /// The state for one more guest, from its beginning.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn open(&self) -> Result<OwnedFd, Error> {
        let path = format!("/proc/self/fd/{}", self.state.as_raw_fd());
        Ok(File::open(path).map_err(Error::io("opening the snapshot"))?.into())
    }

    /// What the guest had said before.
    pub fn console(&self) -> &[u8] {
        &self.console
    }

    /// Size of the state.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
