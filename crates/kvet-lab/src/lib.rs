//! Boots kernels in QEMU, once or a thousand times, and says what happened, how often, and how sure that is.

mod boot;
mod capture;
mod error;
mod host;
pub mod init;
pub mod machine;
mod memory;
mod outcome;
mod qemu;
mod qmp;
mod spawn;
pub mod store;
pub mod voice;

pub use boot::{Boot, Limits, Request, run};
pub use capture::{Console, Stamp};
pub use error::Error;
pub use host::{Host, Pressure};
pub use machine::{Arch, Initrd, Machine};
pub use memory::anonymous_with;
pub use outcome::{EndedBy, Evidence, Outcome, Verdict, judge};
pub use qemu::{Qemu, hex, sha256_file};
