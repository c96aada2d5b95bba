//! One frame: its address, its line, and whether this kernel can have it.

use kvet_console::Frame;
use kvet_image::{Arch, Image, Kind, SourceLine, VirtAddr};
use kvet_tables::disasm::{self, Before};
use kvet_tables::sites::{SiteAt, Sites};

use super::name::{self, Candidate};
use super::symbolizer::Symbolizer;

/// What sort of address a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// An instruction that was about to run, or that trapped: `RIP:`, `pc :`, a frame below an exception's entry.
    Exact,
    /// After an `int3` that trapped: x86 reports the address after its one byte.
    AfterInt3,
    /// What a call pushed: the address after it.
    Return,
    /// Either: a word of the stack that looks like code (`? f`), arm64's `lr`. A return address when a call
    /// stands before it.
    Unknown,
}

/// Which of a symbol's sizes the printed one is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SizeMatch {
    /// kallsyms': the distance to the next symbol, as the kernel prints it.
    Kallsyms,
    /// ELF's `st_size`: a log that another tool decoded, or a symbol table that lost the next symbol.
    Elf,
    /// The log prints none.
    NotPrinted,
    /// Neither.
    Neither,
}

/// What is wrong with a frame, if this kernel is to have printed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The kernel has it, at one place.
    Fits,
    /// It has it at several places, and nothing tells which: [`ResolvedFrame::places`].
    Ambiguous,
    /// No symbol of that name. The names of the same source function under other suffixes are given.
    NoSymbol {
        /// For example `stop_cpus.constprop.0` where the log has `stop_cpus.constprop.9`.
        similar: Vec<String>,
    },
    /// No symbol of that name has the printed size; the sizes of those that there are, kallsyms' first.
    WrongSize {
        /// In bytes.
        sizes: Vec<u64>,
    },
    /// The offset lies behind the symbol's end; its size.
    PastEnd {
        /// In bytes.
        size: u64,
    },
    /// A return address without a call before it; the instruction that stands there.
    NoCall {
        /// Disassembled; empty where the address lies inside an instruction.
        before: String,
    },
    /// An exact address inside an instruction.
    InsideInstruction,
    /// The module's file is not at hand.
    NoModule,
    /// Nothing to go by: a bare address without a known slide, or a frame that a decoded log already expanded.
    NotChecked,
}

impl Verdict {
    /// Whether it speaks against the kernel file: a kernel built from it cannot print this frame.
    pub fn refutes(&self) -> bool {
        matches!(
            self,
            Verdict::NoSymbol { .. }
                | Verdict::WrongSize { .. }
                | Verdict::PastEnd { .. }
                | Verdict::NoCall { .. }
                | Verdict::InsideInstruction
        )
    }
}

/// One address that a frame may mean.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The module, `None` for the kernel itself.
    pub module: Option<String>,
    /// The frame's address: link-time in the kernel, in a module by the layout of [`Image`].
    pub addr: VirtAddr,
    /// The address whose line it is: one less for a return address.
    pub lookup: VirtAddr,
    /// The symbol's name as the file has it.
    pub symbol: String,
    /// Where that starts.
    pub start: VirtAddr,
    /// How the printed size fits.
    pub size: SizeMatch,
    /// Whether [`Place::addr`] follows what it is about: a call that returns there, an `int3` that trapped.
    pub returns: bool,
    /// File, line and inlined calls, with DWARF at hand.
    pub source: Option<SourceLine>,
}

/// A frame, resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolvedFrame {
    /// How its address was taken.
    pub role: Role,
    /// Where it may be, the best first; empty where the kernel has no such place.
    pub places: Vec<Place>,
    /// Whether this kernel can have it.
    pub verdict: Verdict,
    /// The table entries that own the instruction, where the frame is one that trapped or was interrupted.
    pub sites: Vec<SiteAt>,
}

impl ResolvedFrame {
    /// The place, when there is one at least; with [`Verdict::Ambiguous`] the first of several.
    pub fn place(&self) -> Option<&Place> {
        self.places.first()
    }

    fn none(role: Role, verdict: Verdict) -> Self {
        ResolvedFrame { role, places: Vec::new(), verdict, sites: Vec::new() }
    }
}

/// What stands before a frame's address.
enum Checked {
    /// It can be what it claims to be; whether as an address after a call or an int3.
    Yes { returns: bool },
    /// An address one byte into code that is patched by way of an int3: that one trapped.
    Int3,
    /// It cannot.
    No(Verdict),
}

impl Symbolizer<'_> {
    /// Resolves one frame by itself; [`Symbolizer::trace`] also uses its neighbours.
    pub fn frame(&self, frame: &Frame, role: Role) -> ResolvedFrame {
        if frame.inlined || frame.symbol.is_empty() {
            return ResolvedFrame::none(role, Verdict::NotChecked);
        }
        let Some(module) = &frame.module else { return resolve(self.kernel, None, frame, role) };
        match self.module(module, frame.build_id.as_deref()) {
            Some(image) => resolve(&image, Some(self.kernel), frame, role),
            None => ResolvedFrame::none(role, Verdict::NoModule),
        }
    }
}

fn resolve(image: &Image, kernel: Option<&Image>, frame: &Frame, role: Role) -> ResolvedFrame {
    let candidates = name::candidates(image, &frame.symbol);
    if candidates.is_empty() {
        let similar = name::relatives(image, &frame.symbol);
        return ResolvedFrame::none(role, Verdict::NoSymbol { similar });
    }
    let fit = |c: &Candidate<'_>| (size_match(c, frame.size), c.symbol.addr);
    let best = candidates.iter().map(|c| fit(c).0).min().unwrap_or(SizeMatch::Neither);
    if best == SizeMatch::Neither {
        // The places are given all the same: a reader may know better, the verdict says what is wrong.
        let sizes = candidates.iter().filter_map(|c| c.kallsyms_size.or(elf_size(c))).take(8).collect();
        let places = candidates.iter().take(8).map(|c| place(image, frame, c, best, role == Role::Return));
        let verdict = Verdict::WrongSize { sizes };
        return ResolvedFrame { role, places: places.collect(), verdict, sites: Vec::new() };
    }
    let fitting = candidates.iter().filter(|c| fit(c).0 == best);
    let (mut places, mut refused) = (Vec::new(), None);
    let mut role = role;
    for candidate in fitting {
        match check(image, kernel, frame, role, candidate) {
            Checked::Yes { returns } => {
                places.push(place(image, frame, candidate, best, returns));
            }
            Checked::Int3 => {
                role = Role::AfterInt3;
                places.push(place(image, frame, candidate, best, true));
            }
            Checked::No(verdict) => {
                let wrong = || place(image, frame, candidate, best, role == Role::Return);
                refused.get_or_insert_with(|| (verdict, wrong()));
            }
        }
    }
    let verdict = match (places.len(), refused) {
        (0, Some((verdict, wrong))) => {
            places.push(wrong);
            verdict
        }
        (1, _) => Verdict::Fits,
        _ => Verdict::Ambiguous,
    };
    let own = |place: &Place| Sites::of(image, kernel).at(image, kernel, place.lookup);
    let trapped = matches!(role, Role::Exact | Role::AfterInt3);
    let sites = places.first().filter(|_| trapped).map(own).unwrap_or_default();
    ResolvedFrame { role, places, verdict, sites }
}

fn elf_size(candidate: &Candidate<'_>) -> Option<u64> {
    Some(candidate.symbol.size).filter(|size| *size != 0)
}

fn size_match(candidate: &Candidate<'_>, printed: Option<u64>) -> SizeMatch {
    match printed {
        None => SizeMatch::NotPrinted,
        Some(_) if candidate.kallsyms_size == printed => SizeMatch::Kallsyms,
        Some(_) if elf_size(candidate) == printed => SizeMatch::Elf,
        Some(_) => SizeMatch::Neither,
    }
}

/// Whether the kernel can have come to this address.
fn check(
    image: &Image,
    kernel: Option<&Image>,
    frame: &Frame,
    role: Role,
    candidate: &Candidate<'_>,
) -> Checked {
    let start = candidate.symbol.addr;
    let size = candidate.kallsyms_size.or(elf_size(candidate));
    // `%pB` looks the address before up and adds one: behind a last call the offset is the size itself.
    let past = |size: u64| frame.offset > size || frame.offset == size && role == Role::Exact;
    if let Some(size) = size.filter(|size| past(*size)) {
        return Checked::No(Verdict::PastEnd { size });
    }
    let Some(addr) = start.checked_add(frame.offset) else {
        return Checked::No(Verdict::PastEnd { size: size.unwrap_or(0) });
    };
    // In patched code, boundaries are not the file's: a 6-byte call becomes a 5-byte one and a nop.
    let patched = || {
        let before = VirtAddr(addr.0.saturating_sub(1));
        Sites::of(image, kernel).may_change(before, addr.checked_add(1).unwrap_or(addr))
    };
    match (role, disasm::before(image, start, addr)) {
        // Nothing to decode: no bytes, or bytes that are no code.
        (_, None) => Checked::Yes { returns: matches!(role, Role::Return | Role::AfterInt3) },
        (Role::Return | Role::Unknown, Some(Before::Call(_) | Before::FarReturn)) => {
            Checked::Yes { returns: true }
        }
        // The int3 stood in the place of the instruction's first byte.
        (Role::AfterInt3, Some(Before::Inside { instruction })) if instruction.0 + 1 == addr.0 => {
            Checked::Yes { returns: true }
        }
        (Role::Exact | Role::AfterInt3, Some(Before::Inside { .. })) if !patched() => {
            Checked::No(Verdict::InsideInstruction)
        }
        (Role::AfterInt3, Some(_)) => Checked::Yes { returns: true },
        (Role::Exact, Some(_)) => Checked::Yes { returns: false },
        (Role::Return, Some(_)) if patched() => Checked::Yes { returns: true },
        (Role::Return, Some(Before::Start)) => Checked::No(Verdict::NoCall { before: String::new() }),
        (Role::Return, Some(Before::Other(before))) => Checked::No(Verdict::NoCall { before }),
        (Role::Return, Some(Before::Inside { .. })) => Checked::No(Verdict::NoCall { before: String::new() }),
        (Role::Unknown, Some(Before::Inside { instruction }))
            if instruction.0 + 1 == addr.0 && patched() && image.arch() == Arch::X86_64 =>
        {
            Checked::Int3
        }
        (Role::Unknown, Some(_)) => Checked::Yes { returns: false },
    }
}

fn place(image: &Image, frame: &Frame, candidate: &Candidate<'_>, size: SizeMatch, returns: bool) -> Place {
    let start = candidate.symbol.addr;
    let addr = VirtAddr(start.0.saturating_add(frame.offset));
    let lookup = if returns && frame.offset != 0 { VirtAddr(addr.0 - 1) } else { addr };
    let module = match image.kind() {
        Kind::Module => image.module_name().map(str::to_owned),
        _ => None,
    };
    Place {
        module,
        addr,
        lookup,
        symbol: candidate.symbol.name.to_owned(),
        start,
        size,
        returns,
        source: image.source_line(lookup),
    }
}
