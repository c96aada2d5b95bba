//! BTF, the kernel's type information: read without copying, judged as the kernel judges it, and stricter.
//!
//! [`Btf`] reads any BTF (a base, a module's split one, a distilled base) in either byte order. [`kernel`]
//! gives a named kernel version's verdict with its errno and log; [`check`] makes findings of it, and in strict
//! strength of all that is wrong.
//!
//! Non-goals: it opens no file, prints nothing, and decides nothing from the environment.
//!
//! Any bytes may be hostile: offsets are checked, memory is bounded by the data's length, time is linear in
//! it, and nothing recurses as deep as the data says.

mod btf;
mod by_name;
mod c_name;
pub mod check;
pub mod diff;
pub mod dump;
pub mod elf;
mod error;
mod field;
mod header;
pub mod kernel;
mod names;
mod raw;
mod scan;

pub use btf::{Array, Btf, EnumValue, Index, Member, Param, SecInfo, Type};
pub use by_name::ByName;
pub use error::ParseError;
pub use field::Field;
pub use header::Header;
pub use raw::{
    ByteOrder, HEADER_LEN, Kind, LONG_HEADER_LEN, MAGIC, MAX_NAME_OFFSET, MAX_TYPE, TypeId, VERSION,
};
pub use scan::find_kernel_btf;
