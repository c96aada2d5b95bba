//! The kernel's half of the page tables: pages that are writable and executable, text that is writable, stacks whose
//! guard is mapped, and on arm64 with KPTI pages that stay in the TLB while user space runs.

use kvet_image::Arch;

use crate::Guest;
use crate::paging::{End, Leaf};

/// A run of pages with the same rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The first address.
    pub start: u64,
    /// The first address after it.
    pub end: u64,
}

/// Something wrong with the page tables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The rule: `pages/writable-executable`, `pages/writable-text`, ...
    pub rule: &'static str,
    /// Where.
    pub run: Run,
    /// In words.
    pub message: String,
    /// The kernel has not come to protect its memory yet, so that it is no fault at this moment.
    pub early: bool,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pages {
    /// Pages that are mapped, of any size.
    pub leaves: u64,
    /// Bytes that are mapped.
    pub bytes: u64,
    /// Pages without nG (arm64), with G (x86-64).
    pub global: u64,
    /// Pages in tables that bear the mark of KPTI's conversion (arm64).
    pub marked: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// More than are kept.
    pub more: u64,
    /// What could not be checked, in sentences.
    pub skipped: Vec<String>,
}

/// The bit of a table's entry, which the processor ignores, in which arm64 notes that the table behind it has been
/// rewritten with nG (arch/arm64/mm/proc.S, `idmap_kpti_install_ng_mappings`: PTE_NG in tables of every level).
const CONVERTED: u64 = 1 << 11;

/// Entries that are looked at: some hundred GiB in pages of 4 KiB.
const MOST_ENTRIES: u64 = 1 << 26;
const MOST_FAULTS: usize = 1024;

/// Checks the kernel's half.
///
/// # Errors
/// There are no page tables: the sentence that says so.
pub fn check(guest: &Guest<'_>) -> Result<Pages, String> {
    if let Some(why) = guest.not_begun() {
        let why = format!("{why}, so its page tables are not judged");
        return Ok(Pages { skipped: vec![why], ..Pages::default() });
    }
    let tables = guest.tables().ok_or_else(|| guest.placement().tables_by.clone())?;
    let mut check = Check { guest, pages: Pages::default(), early: !is_protected(guest), last: None };
    let ng = use_ng(guest);
    let text = text_range(guest);
    let (mut broken, mut more) = (Vec::new(), 0);
    let whole = tables.each_leaf(
        guest.memory(),
        MOST_ENTRIES,
        &mut |leaf| check.leaf(&leaf, text, ng),
        &mut |address, what, entry| match broken.len() {
            // Damaged tables may have millions of such entries.
            MOST_FAULTS.. => more += 1,
            _ => broken.push((address, what, entry)),
        },
    );
    let mut pages = check.pages;
    pages.more += more;
    for (address, what, entry) in broken {
        let message = format!("{what} ({entry:#x})");
        pages.faults.push(Fault {
            rule: "pages/entry",
            run: Run { start: address, end: address },
            message,
            early: false,
        });
    }
    if !whole {
        pages.skipped.push(format!(
            "the page tables have more than {MOST_ENTRIES} entries: the rest was not looked at"
        ));
    }
    stacks(guest, &mut pages);
    Ok(pages)
}

/// Whether the kernel has made its text and read-only data read-only: just before it starts init (init/main.c,
/// `mark_readonly`). x86 keeps a note of that (arch/x86/mm/init_64.c); `system_state` goes past it also when a panic
/// restarts the machine before.
fn is_protected(guest: &Guest<'_>) -> bool {
    match guest.symbol("kernel_set_to_readonly").and_then(|at| guest.u32(at)) {
        Some(done) if guest.arch() == Arch::X86_64 => done != 0,
        _ => guest.init_is_freed(),
    }
}

/// `arm64_use_ng_mappings`: all kernel mappings are to be not global.
fn use_ng(guest: &Guest<'_>) -> bool {
    guest.arch() == Arch::Arm64
        && guest.symbol("arm64_use_ng_mappings").and_then(|at| guest.u8(at)).is_some_and(|b| b != 0)
}

fn text_range(guest: &Guest<'_>) -> (u64, u64) {
    let at = |name: &str| guest.image().symbol_addr(name).map(|link| guest.to_runtime(link));
    match (at("_stext").or_else(|| at("_text")), at("_etext")) {
        (Some(start), Some(end)) => (start, end),
        _ => (0, 0),
    }
}

struct Check<'g, 'a> {
    guest: &'g Guest<'a>,
    pages: Pages,
    early: bool,
    /// The last fault's rule, to grow it.
    last: Option<&'static str>,
}

impl Check<'_, '_> {
    fn leaf(&mut self, leaf: &Leaf, text: (u64, u64), ng: bool) {
        let rights = leaf.mapping.rights;
        let end = leaf.address.wrapping_add(leaf.mapping.page);
        self.pages.leaves += 1;
        self.pages.bytes = self.pages.bytes.saturating_add(leaf.mapping.page);
        self.pages.global += u64::from(rights.global);
        let marked = ng && leaf.via & CONVERTED != 0;
        self.pages.marked += u64::from(marked);
        let in_text = leaf.address < text.1 && end > text.0;
        let rule = if rights.write && rights.execute {
            Some(("pages/writable-executable", "may be written and executed"))
        } else if rights.write && in_text {
            Some(("pages/writable-text", "the kernel's text may be written"))
        } else if ng && rights.global && marked {
            // The mark is set before the entries are: the conversion has stopped in this table.
            Some(("pages/half-converted", "has no nG, in a table that KPTI's conversion has marked as done"))
        } else if ng && rights.global && !self.is_trampoline(leaf) {
            Some(("pages/global", "stays in the TLB while user space runs, though KPTI asks for nG"))
        } else {
            None
        };
        match rule {
            Some((rule, what)) => self.fault(rule, what, leaf.address, end),
            None => self.last = None,
        }
    }

    /// The entry code that is mapped while user space runs: the kernel's own pages a second time, in the fixmap, and
    /// global on purpose (arch/arm64/mm/mmu.c, `map_entry_trampoline`).
    fn is_trampoline(&self, leaf: &Leaf) -> bool {
        let placement = self.guest.placement();
        let Some(base) = placement.physical_base() else { return false };
        let len = placement.end.0.saturating_sub(placement.start.0);
        let in_image = leaf.mapping.physical.wrapping_sub(base) < len;
        in_image
            && leaf.mapping.page <= 1 << 16
            && !leaf.mapping.rights.write
            && self.guest.to_link(leaf.address).is_none()
    }

    fn fault(&mut self, rule: &'static str, what: &str, start: u64, end: u64) {
        if self.last == Some(rule)
            && let Some(fault) = self.pages.faults.last_mut()
            && fault.run.end == start
        {
            fault.run.end = end;
            return;
        }
        self.last = Some(rule);
        if self.pages.faults.len() >= MOST_FAULTS {
            self.pages.more += 1;
            return;
        }
        let place = self.guest.symbolize(start).map(|s| format!(" ({s})")).unwrap_or_default();
        let message = format!("{what}{place}");
        self.pages.faults.push(Fault { rule, run: Run { start, end }, message, early: self.early });
    }
}

/// The stack of each CPU's task: its own pages must be mapped, and with CONFIG_VMAP_STACK the page below must not.
fn stacks(guest: &Guest<'_>, pages: &mut Pages) {
    let Some(tables) = guest.tables() else { return };
    for cpu in guest.online_cpus() {
        let sp = guest.registers().iter().find(|r| r.cpu == cpu && !r.user).map(|r| r.sp);
        let Some(task) = guest.current_task(cpu, sp) else { continue };
        let Some(stack) = task.stack else { continue };
        let who = format!("the stack of {} ({}), which CPU {cpu} runs,", task.comm, task.pid);
        let mapped = |at: u64| matches!(tables.walk(guest.memory(), at).end, End::Mapped(_));
        for page in (0..crate::tasks::STACK).step_by(4096) {
            let at = stack.wrapping_add(page);
            if !mapped(at) {
                let message = format!(
                    "{who} is not mapped at {at:#x}: the next access there is a fault on the stack itself"
                );
                let run = Run { start: at, end: at.wrapping_add(4096) };
                pages.faults.push(Fault { rule: "pages/stack", run, message, early: false });
            }
        }
        // Only stacks in vmalloc space have guards; the first task's is in the image.
        let below = stack.wrapping_sub(4096);
        let in_vmalloc = guest.to_link(stack).is_none()
            && tables.translate(guest.memory(), stack).is_some_and(|m| m.page == 4096);
        let neighbour = in_vmalloc && is_vmalloc(guest, stack) && mapped(below);
        if neighbour {
            let message = format!("{who} has no guard: the page below it is mapped");
            let run = Run { start: below, end: stack };
            pages.faults.push(Fault { rule: "pages/stack-guard", run, message, early: false });
        }
    }
}

/// Whether an address is in vmalloc space, where the kernel's own variables say where that is.
fn is_vmalloc(guest: &Guest<'_>, address: u64) -> bool {
    let base = guest.symbol("vmalloc_base").and_then(|at| guest.u64(at));
    match (guest.arch(), base) {
        // 32 TiB with 4 levels.
        (Arch::X86_64, Some(base)) => address >= base && address - base < 1 << 45,
        _ => false,
    }
}
