//! What an address is, when a symbol's name does not say it.
//!
//! `name+offset/size` of a log names the last symbol before an address, however far that is: kallsyms' sizes reach to
//! the next symbol. Between two functions lie alignment, the replacements of arm64's alternatives (`.subsection 1`),
//! exception fixups, hypervisor and vector code without symbols of its own.

use kvet_image::{Image, Section, Symbol, SymbolKind, VirtAddr};
use kvet_tables::sites::{Site, SiteAt, Sites};

use super::name;
use super::regions::{Layout, Region};
use super::symbolizer::Symbolizer;

/// What stands at an address of the kernel's image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum What {
    /// Inside a function, by its size.
    Function,
    /// A replacement of an alternative: it never runs where it stands, its copy does.
    Replacement,
    /// An exception vector of arm64: which of the 16.
    Vector(&'static str),
    /// Where the kernel goes on after a fault.
    Fixup,
    /// Code behind a function's end and before the next symbol, which no table claims: alignment, or a routine whose
    /// symbol is local to the assembler.
    GapInCode,
    /// Code or data that is freed when the kernel starts init.
    Init,
    /// A per-CPU variable's template: the running kernel uses copies.
    PerCpuTemplate,
    /// Data: a variable or a read-only object.
    Data,
    /// No section of the file holds it.
    Outside,
}

/// An address, placed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The part of the address space.
    pub region: Region,
    /// The link-time address, when the kernel's image holds it.
    pub link: Option<VirtAddr>,
    /// What is there.
    pub what: What,
    /// The section.
    pub section: Option<String>,
    /// The last symbol at or before it, with the offset and the symbol's ELF size (0 where there is none).
    pub before: Option<(String, u64, u64)>,
    /// The next symbol, with its distance.
    pub after: Option<(String, u64)>,
    /// The table entries there.
    pub sites: Vec<SiteAt>,
    /// All that in a sentence.
    pub sentence: String,
}

impl Symbolizer<'_> {
    /// The address space's layout. `la57` is x86's CR4 bit 12.
    pub fn layout(&self, slide: Option<u64>, la57: bool) -> Layout {
        let slide = slide.unwrap_or(0);
        let bounds = bounds(self.kernel);
        let (text, end) = (bounds.start.wrapping_add(slide), bounds.end.wrapping_add(slide));
        match self.kernel.arch() {
            kvet_image::Arch::X86_64 => Layout::x86(la57, text, end),
            kvet_image::Arch::Arm64 => Layout::arm64(bounds.start, text, end),
        }
    }

    /// Places a run-time address.
    pub fn place_address(&self, addr: u64, slide: Option<u64>, la57: bool) -> Placed {
        let region = self.layout(slide, la57).region(addr);
        if region == Region::Kernel {
            return self.place_link(VirtAddr(addr.wrapping_sub(slide.unwrap_or(0))));
        }
        Placed {
            region,
            link: None,
            what: What::Outside,
            section: None,
            before: None,
            after: None,
            sites: Vec::new(),
            sentence: format!("{addr:#018x} is in {region}"),
        }
    }

    /// Places `symbol+offset/size` as a log prints it, with the size that decides between symbols of one name; one
    /// answer for each symbol that fits, all of that name when none does.
    pub fn place_symbol(&self, symbol: &str, offset: u64, size: Option<u64>) -> Vec<Placed> {
        let candidates = name::candidates(self.kernel, symbol);
        let fits = |c: &&name::Candidate<'_>| size.is_none() || c.kallsyms_size == size;
        let mut chosen: Vec<_> = candidates.iter().filter(fits).collect();
        if chosen.is_empty() {
            chosen = candidates.iter().collect();
        }
        let addrs = chosen.into_iter().take(8).filter_map(|c| c.symbol.addr.checked_add(offset));
        addrs.map(|addr| self.place_link(addr)).collect()
    }

    /// Places a link-time address of the kernel.
    pub fn place_link(&self, addr: VirtAddr) -> Placed {
        let image = self.kernel;
        let section = image.section_at(addr);
        let sites = Sites::of(image, None).at(image, None, addr);
        let before = section.and_then(|s| last_before(image, s, addr));
        let after = section.and_then(|s| next_after(image, s, addr));
        let what = what(section, before.as_ref(), &sites, addr);
        let mut placed = Placed {
            region: Region::Kernel,
            link: Some(addr),
            what,
            section: section.map(|s| s.name.clone()),
            before: before.map(|s| (s.name.to_owned(), addr.0 - s.addr.0, s.size)),
            after: after.map(|s| (s.name.to_owned(), s.addr.0 - addr.0)),
            sites,
            sentence: String::new(),
        };
        placed.sentence = sentence(image, addr, &placed);
        placed
    }
}

/// From the first section of the kernel's half to the last; x86's per-CPU template at 0 is none of it.
fn bounds(image: &Image) -> std::ops::Range<u64> {
    let mut kernel = image.sections().iter().filter(|s| s.addr.0 >> 63 != 0);
    let start = image.symbol_addr("_text").or(kernel.clone().map(|s| s.addr).min());
    let end = image.symbol_addr("_end").or(kernel.by_ref().map(Section::end).max());
    start.unwrap_or_default().0..end.unwrap_or_default().0
}

/// How many symbols around an address are looked at for a function.
const NEAR: usize = 64;

/// The function or object that starts last at or before an address: labels, which arm64's assembler has many of
/// (`$x`, `$d`), do not count while there is a sized one.
fn last_before<'i>(image: &'i Image, section: &Section, addr: VirtAddr) -> Option<Symbol<'i>> {
    let table = image.symbols();
    let after = table.upper_bound(addr);
    let near = (after.saturating_sub(NEAR)..after).rev().filter_map(|i| table.get(i));
    let mut first = None;
    for symbol in near.take_while(|s| s.addr >= section.addr).filter(|s| !is_marker(s.name)) {
        // Assembler code that is no C function has a size and no type (SYM_CODE_START).
        if symbol.kind != SymbolKind::Other || symbol.size != 0 {
            return Some(symbol);
        }
        first = first.or(Some(symbol));
    }
    first
}

fn next_after<'i>(image: &'i Image, section: &Section, addr: VirtAddr) -> Option<Symbol<'i>> {
    let table = image.symbols();
    let from = table.upper_bound(addr);
    let near = (from..from.saturating_add(NEAR)).map_while(|i| table.get(i));
    near.take_while(|s| s.addr < section.end()).find(|s| !is_marker(s.name))
}

/// Mapping symbols of arm64, and the assembler's own labels.
fn is_marker(name: &str) -> bool {
    name.starts_with('$') || name.starts_with(".L")
}

fn what(section: Option<&Section>, before: Option<&Symbol<'_>>, sites: &[SiteAt], addr: VirtAddr) -> What {
    let Some(section) = section else { return What::Outside };
    if sites.iter().any(|s| matches!(s.site, Site::Replacement { .. })) {
        return What::Replacement;
    }
    if let Some(vector) = before.and_then(|symbol| vector(symbol, addr)) {
        return What::Vector(vector);
    }
    if sites.iter().any(|s| matches!(s.site, Site::Fixup(_))) {
        return What::Fixup;
    }
    if section.name.starts_with(".data..percpu") {
        return What::PerCpuTemplate;
    }
    if is_init(&section.name) {
        return What::Init;
    }
    if !section.access.execute {
        return What::Data;
    }
    match before {
        Some(s) if s.size == 0 || addr.0 - s.addr.0 < s.size => What::Function,
        _ => What::GapInCode,
    }
}

/// Sections that `free_initmem` gives back (vmlinux.lds.S of both architectures, between `__init_begin` and
/// `__init_end`).
fn is_init(section: &str) -> bool {
    section.starts_with(".init")
        || section.starts_with(".exit.")
        || matches!(
            section,
            ".altinstructions"
                | ".altinstr_replacement"
                | ".altinstr_aux"
                | ".apicdrivers"
                | ".parainstructions"
        )
}

/// One of the 16 entries of an arm64 vector table: 128 bytes each, at a symbol that is aligned to 2 KiB
/// (Arm ARM D1.3.1.5, Table D1-5; arch/arm64/kernel/entry.S, arch/arm64/kvm/hyp/hyp-entry.S).
fn vector(symbol: &Symbol<'_>, addr: VirtAddr) -> Option<&'static str> {
    const NAMES: [&str; 16] = [
        "synchronous, current EL with SP_EL0",
        "IRQ, current EL with SP_EL0",
        "FIQ, current EL with SP_EL0",
        "SError, current EL with SP_EL0",
        "synchronous, current EL",
        "IRQ, current EL",
        "FIQ, current EL",
        "SError, current EL",
        "synchronous, lower EL, 64 bits",
        "IRQ, lower EL, 64 bits",
        "FIQ, lower EL, 64 bits",
        "SError, lower EL, 64 bits",
        "synchronous, lower EL, 32 bits",
        "IRQ, lower EL, 32 bits",
        "FIQ, lower EL, 32 bits",
        "SError, lower EL, 32 bits",
    ];
    let table =
        ["vectors", "tramp_vectors", "__kvm_hyp_vector", "__kvm_hyp_host_vector", "__bp_harden_hyp_vecs"];
    let name = symbol.name.strip_prefix("__kvm_nvhe_").unwrap_or(symbol.name);
    let aligned = symbol.addr.0.is_multiple_of(0x800);
    let offset = addr.0 - symbol.addr.0;
    // The hardened and trampoline tables hold one table of 2 KiB after the other.
    let tables = if name == "vectors" || name.starts_with("__kvm") { 1 } else { 16 };
    let inside = table.contains(&name) && aligned && offset < 0x800 * tables;
    inside.then(|| NAMES[(offset % 0x800 / 0x80) as usize])
}

fn sentence(image: &Image, addr: VirtAddr, placed: &Placed) -> String {
    let Some(section) = &placed.section else {
        return format!("{addr} is in no section of the kernel's file: padding, or memory reserved after it");
    };
    let neighbours = match (&placed.before, &placed.after) {
        (Some((name, offset, size)), _) if *offset < *size => {
            format!(" in {name} ({offset:#x} of {size:#x} bytes)")
        }
        (Some((name, offset, size)), after) => {
            let past = match size {
                0 => format!(" {offset:#x} bytes after {name}"),
                _ => format!(" {:#x} bytes past the end of {name} ({size:#x} bytes long)", offset - size),
            };
            match after {
                Some((next, distance)) => format!("{past}, {distance:#x} before {next}"),
                None => past,
            }
        }
        (None, Some((next, distance))) => format!(" {distance:#x} bytes before {next}"),
        (None, None) => String::new(),
    };
    let here = || {
        let sites = placed.sites.iter().take(3).map(|s| s.site.describe(image));
        sites.collect::<Vec<_>>().join("; ")
    };
    let tables = if placed.sites.is_empty() { String::new() } else { format!(": {}", here()) };
    let what = match placed.what {
        What::Function => "code",
        What::Replacement => "a replacement sequence",
        What::Vector(which) => {
            return format!("{addr} is an exception vector ({which}), {section}{neighbours}{tables}");
        }
        What::Fixup => "an exception's fixup",
        What::GapInCode => "code without a symbol of its own",
        What::Init => "init memory, freed once the kernel has started",
        What::PerCpuTemplate => "the per-CPU template",
        What::Data => "data",
        What::Outside => "nothing",
    };
    format!("{addr} is {what} in {section}{neighbours}{tables}")
}
