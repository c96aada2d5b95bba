//! The kernel's words for what it finds in these tables.

use kvet_image::{Image, Kind, VirtAddr};

use crate::Context;
use crate::bugs::{Bug, bugs_in_function};

/// An address as `%pS` prints it; a bare number where nothing has a name.
pub(crate) fn place(image: &Image, addr: VirtAddr) -> String {
    image.symbolize(addr).unwrap_or_else(|| format!("{:#x}", addr.0))
}

/// Bytes as `%*ph` prints them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    words.join(" ")
}

/// The WARNs of a function of alternative.c itself, by line; those of functions inlined into it stand in headers.
pub(super) fn warnings<'a>(context: &Context<'a>, function: &str) -> Vec<Bug<'a>> {
    of(context, function, true)
}

/// The BUGs of such a function.
pub(crate) fn bugs<'a>(context: &Context<'a>, function: &str) -> Vec<Bug<'a>> {
    of(context, function, false)
}

fn of<'a>(context: &Context<'a>, function: &str, warnings: bool) -> Vec<Bug<'a>> {
    let mut found = bugs_in_function(context, function);
    found.retain(|bug| {
        bug.is_warning() == warnings && bug.file.is_some_and(|f| f.ends_with("kernel/alternative.c"))
    });
    found
}

/// What the kernel prints of a WARN while it boots, on its first CPU (kernel/panic.c, `__warn`; 7.3 has another
/// order than 5.10 to 6.12). `None` for a module: nobody knows the CPU and the process that will load it.
pub(crate) fn warning_line(context: &Context<'_>, bug: &Bug<'_>) -> Option<String> {
    const NEW: &[u8] = b"WARNING: %s:%d at %pS, CPU#%d: %s/%d";
    let image = context.image;
    if image.kind() == Kind::Module {
        return None;
    }
    let (file, line, place) = (bug.file?, bug.line, place(image, bug.addr));
    Some(if memchr::memmem::find(image.raw(), NEW).is_some() {
        format!("WARNING: {file}:{line} at {place}, CPU#0: swapper/0/0")
    } else {
        format!("WARNING: CPU: 0 PID: 0 at {file}:{line} {place}")
    })
}
