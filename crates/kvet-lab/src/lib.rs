//! Boots kernels in QEMU, once or a thousand times, and says what happened, how often, and how sure that is.

pub mod accel;
mod autopsy;
mod boot;
pub mod campaign;
mod capture;
mod cluster;
mod error;
mod host;
pub mod init;
pub mod kernel;
pub mod machine;
pub mod matrix;
mod memory;
mod noise;
mod outcome;
pub mod plan;
mod qemu;
mod qmp;
mod snapshot;
mod spawn;
pub mod stats;
pub mod store;
mod vary;
pub mod voice;

pub use boot::{Boot, Halted, Limits, Request, halt_in_user_space, run, snapshot};
pub use capture::{Console, Stamp};
pub use cluster::Cluster;
pub use error::Error;
pub use host::{Host, Pressure};
pub use kernel::Kernel;
pub use machine::{Arch, Initrd, Machine};
pub use memory::anonymous_with;
pub use outcome::{EndedBy, Evidence, Outcome, Verdict, judge};
pub use qemu::{Qemu, hex, sha256_file};
pub use snapshot::Snapshot;
