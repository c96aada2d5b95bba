//! What a kernel's files add to a report: which address each frame is, its source line and inlined calls, which
//! table entry owns the trapping instruction, whether the code in memory is the file's, which field was missed.
//!
//! ```no_run
//! # fn show(report: &kvet_console::Report) -> Result<(), kvet_image::Error> {
//! let kernel = kvet_image::Image::open(std::path::Path::new("vmlinux"))?;
//! let symbolizer = kvet_explain::symbols::Symbolizer::new(&kernel);
//! for frame in symbolizer.report(report).frames {
//!     if let Some(place) = frame.place() {
//!         println!("{} {:?}", place.symbol, place.source);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here opens a file: the kernel is given, modules come from it or from the caller's closure.
//!
//! # How a frame becomes an address
//!
//! A log has `name+offset/size`. Static functions share names, so the size decides: it is kallsyms' (the distance
//! to the next symbol, `kallsyms_lookup_size_offset`), which the file's own kallsyms gives exactly; from ELF
//! symbols it is counted again, and `st_size` is tried last. A frame of a call trace is a return address: the
//! instruction after a call, perhaps of the next line, block or function, so its line is that of the byte before.
//! The trapping instruction's own address is exact, and so is an interrupted one's below an exception's entry.

mod code;
mod debug;
mod field;
mod frame;
mod modules;
mod name;
mod place;
#[cfg(test)]
mod real;
mod regions;
mod report;
mod same;
mod slide;
mod symbolizer;
#[cfg(test)]
pub(crate) mod tests;

pub use code::{CodeLine, CodeView, Compared};
pub use debug::{DebugFrom, FetchDebug, attach_debug, build_id, debug_paths};
pub use field::{FieldAccess, FieldGuess, Via};
pub use frame::{Place, ResolvedFrame, Role, SizeMatch, Verdict};
pub use modules::ModuleWanted;
pub use place::{Placed, What};
pub use regions::{Layout, Region, x86_shadowed};
pub use report::{Resolved, ResolvedTrace};
pub use same::{Same, SameKernel};
pub use slide::{Slide, SlideFrom};
pub use symbolizer::Symbolizer;
