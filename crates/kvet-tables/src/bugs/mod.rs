//! bugs: where BUG() and WARN() trap, and what they print.
//!
//! `__bug_table` has one entry for each: the trapping instruction's address, file, line, and flags that tell a
//! WARN from a BUG. The trap handler looks the address up; nothing else says what the trap means.
//!
//! # What the kernel does
//!
//! Followed in lib/bug.c, include/asm-generic/bug.h, arch/x86/include/asm/bug.h, arch/x86/kernel/traps.c and
//! arch/arm64/include/asm/asm-bug.h of 5.10.223, 6.1.192, 6.12.107 and 7.3.
//!
//! * It checks nothing at boot. `find_bug` compares addresses one by one, from the table's start, at a trap:
//!   a wrong address makes the trap an unknown one, which ends in an oops even where it was a WARN.
//! * `report_bug` prints what the entry points to, unchecked.
//! * x86-64 of 7.3 has a second kind of site: a WARN with a format loads the address of its own entry and calls
//!   `__WARN_trap` (`__WARN_bug_entry`, BUGFLAG_ARGS). Its entry's address is the instruction after that `lea`.

mod check;
mod read;
mod scan;

#[cfg(test)]
pub(crate) mod real;
#[cfg(test)]
mod tests;

use kvet_image::{Image, VirtAddr};
pub use read::{Bug, BugTable, Layout};

use crate::{Context, Table, TableReport};

/// What stands before the file in the name of a file's BUG; see [`Bug::kernel_bug_line`].
const VERBOSE_UNAVAILABLE: &[u8] = b"Kernel BUG at %pB [verbose";

/// The table `bugs`.
pub struct Bugs;

impl Table for Bugs {
    fn name(&self) -> &'static str {
        "bugs"
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        check::check(context)
    }
}

/// The entries whose address lies in a function or in one of the parts that a compiler splits from it (`.cold`,
/// `.isra.N`, `.constprop.N`, `.part.N`), sorted by file and line.
///
/// For a module, its kernel's function when the module has none of that name. Empty when nothing has, or when the
/// image's symbols or bug table are not at hand.
pub fn bugs_in_function<'a>(context: &Context<'a>, function: &str) -> Vec<Bug<'a>> {
    let mut found = in_function(context.image, context.bugs(), function);
    if let (true, Some(kernel)) = (found.is_empty(), context.kernel) {
        found = in_function(kernel, context.kernel_bugs(), function);
    }
    found
}

fn in_function<'a>(image: &'a Image, table: Option<&BugTable>, function: &str) -> Vec<Bug<'a>> {
    table.map_or(Vec::new(), |table| bugs_in_ranges(image, table, &ranges(image, function)))
}

/// The entries of an image's table whose address lies in one of the ranges, sorted by file and line.
pub(crate) fn bugs_in_ranges<'a>(
    image: &'a Image,
    table: &BugTable,
    ranges: &[(VirtAddr, VirtAddr)],
) -> Vec<Bug<'a>> {
    let mut found: Vec<Bug<'a>> = table
        .addresses(image)
        .filter(|(_, addr)| ranges.iter().any(|(start, end)| (*start..*end).contains(addr)))
        .filter_map(|(index, _)| table.entry(image, index))
        .collect();
    found.sort_by_key(|bug| (bug.file, bug.line, bug.addr));
    found
}

/// Where a function and its parts stand.
fn ranges(image: &Image, function: &str) -> Vec<(VirtAddr, VirtAddr)> {
    let symbols = image.symbols();
    let is_part =
        |name: &str| name.strip_prefix(function).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    symbols
        .iter()
        .filter(|symbol| is_part(symbol.name))
        .map(|symbol| {
            let sized = symbol.addr.checked_add(symbol.size).filter(|_| symbol.size != 0);
            let next = || symbols.get(symbols.upper_bound(symbol.addr)).map(|next| next.addr);
            (symbol.addr, sized.or_else(next).unwrap_or(symbol.addr))
        })
        .collect()
}

impl Bug<'_> {
    /// What the kernel prints when it comes to this BUG, without a timestamp: `kernel BUG at FILE:LINE!`
    /// (lib/bug.c, `report_bug`), with the file as the table has it.
    ///
    /// Without a file (CONFIG_DEBUG_BUGVERBOSE=n) the kernel names the place, `image` being the one that the
    /// entry is from; it spelt that with a capital up to 6.12.
    pub fn kernel_bug_line(&self, image: &Image) -> String {
        if let Some(file) = self.file {
            return format!("kernel BUG at {file}:{}!", self.line);
        }
        let capital = memchr::memmem::find(image.raw(), VERBOSE_UNAVAILABLE).is_some();
        let place = image.symbolize(self.addr).unwrap_or_else(|| format!("{:#x}", self.addr));
        let kernel = if capital { "Kernel" } else { "kernel" };
        format!("{kernel} BUG at {place} [verbose debug info unavailable]")
    }
}
