//! Page tables: from a virtual address to a physical one, and what stands at each level on the way.

pub mod arm64;
#[cfg(test)]
mod tests;
pub mod x86;

use crate::Memory;

/// What a table's entry says of the memory behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rights {
    /// The kernel may write.
    pub write: bool,
    /// The kernel may execute.
    pub execute: bool,
    /// User mode may access it.
    pub user: bool,
    /// The entry stays in the TLB over a change of address space (x86-64 G; arm64 without nG).
    pub global: bool,
}

impl Rights {
    /// `rwx`, with `u` for user and `g` for global.
    pub fn letters(self) -> String {
        let mut out = String::from("r");
        out.push(if self.write { 'w' } else { '-' });
        out.push(if self.execute { 'x' } else { '-' });
        out.push(if self.user { 'u' } else { '-' });
        out.push(if self.global { 'g' } else { '-' });
        out
    }
}

/// One entry on the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The table's name: `PGD`, `P4D`, `PUD`, `PMD`, `PTE`.
    pub level: &'static str,
    /// Where the entry stands.
    pub entry_at: u64,
    /// Which entry of its table it is.
    pub index: u64,
    /// The entry, where the memory has it.
    pub entry: Option<u64>,
    /// What is wrong with it, in words.
    pub wrong: Option<String>,
}

/// Where a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// A page.
    Mapped(Mapping),
    /// Nothing: the entry is not present.
    NotPresent,
    /// The address cannot be one of this address space.
    NonCanonical,
    /// A table is not in the memory, or an entry contradicts the architecture.
    Broken,
}

/// What an address is mapped to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The physical address.
    pub physical: u64,
    /// How long the page is: 4 KiB, 2 MiB, ...
    pub page: u64,
    /// What may be done with it.
    pub rights: Rights,
}

/// A walk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    /// The address.
    pub address: u64,
    /// The entries on the way, the root's first.
    pub steps: Vec<Step>,
    /// Where it ended.
    pub end: End,
}

/// A run of the kernel's half that one entry maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The first virtual address.
    pub address: u64,
    /// The mapping; `physical` is the page's start.
    pub mapping: Mapping,
    /// The entry.
    pub entry: u64,
    /// The entry of the table above that leads to this one; 0 in the root.
    pub via: u64,
}

/// How the tables of this kernel work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// x86-64 with 4 or 5 levels.
    X86(x86::Scheme),
    /// arm64.
    Arm64(arm64::Scheme),
}

/// A set of page tables: a root and how to read them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tables {
    /// How they work.
    pub scheme: Scheme,
    /// The root table's physical address.
    pub root: u64,
}

/// One level of a scheme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Level {
    pub(crate) name: &'static str,
    /// The lowest bit of the address that indexes it.
    pub(crate) shift: u32,
    /// How many bits index it.
    pub(crate) bits: u32,
}

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    Empty,
    Table(u64, Rights),
    Page(u64, Rights),
    Wrong(&'static str),
}

impl Tables {
    pub(crate) fn levels(&self) -> Vec<Level> {
        match self.scheme {
            Scheme::X86(s) => s.levels(),
            Scheme::Arm64(s) => s.levels(),
        }
    }

    fn decode(&self, level: &Level, last: bool, entry: u64) -> Entry {
        match self.scheme {
            Scheme::X86(s) => s.decode(level, last, entry),
            Scheme::Arm64(s) => s.decode(level, last, entry),
        }
    }

    /// Whether an address belongs to the kernel's half.
    fn is_kernel(&self, address: u64) -> bool {
        let bits = match self.scheme {
            Scheme::X86(s) => s.address_bits(),
            Scheme::Arm64(s) => s.va_bits,
        };
        match self.scheme {
            Scheme::X86(_) => address.cast_signed() >> (bits - 1) == -1,
            Scheme::Arm64(_) => bits >= 64 || address.cast_signed() >> bits == -1,
        }
    }

    /// Walks to one address.
    pub fn walk(&self, memory: &Memory, address: u64) -> Walk {
        let mut steps = Vec::new();
        if !self.is_kernel(address) {
            return Walk { address, steps, end: End::NonCanonical };
        }
        let levels = self.levels();
        let (mut table, mut above) =
            (self.root, Rights { write: true, execute: true, user: true, global: true });
        for (i, level) in levels.iter().enumerate() {
            let index = address >> level.shift & ((1 << level.bits) - 1);
            let entry_at = table.wrapping_add(index * 8);
            let entry = memory.physical_u64(entry_at);
            let mut step = Step { level: level.name, entry_at, index, entry, wrong: None };
            let decoded = match entry {
                Some(entry) => self.decode(level, i + 1 == levels.len(), entry),
                None => Entry::Wrong("the table is not in this memory"),
            };
            let end = match decoded {
                Entry::Table(next, rights) => {
                    steps.push(step);
                    (table, above) = (next, combine(above, rights));
                    continue;
                }
                Entry::Empty => End::NotPresent,
                Entry::Page(start, rights) => {
                    let page = 1_u64 << level.shift;
                    let physical = start.wrapping_add(address & (page - 1));
                    let rights = Rights { global: rights.global, ..combine(above, rights) };
                    End::Mapped(Mapping { physical, page, rights })
                }
                Entry::Wrong(what) => {
                    step.wrong = Some(what.to_owned());
                    End::Broken
                }
            };
            steps.push(step);
            return Walk { address, steps, end };
        }
        Walk { address, steps, end: End::Broken }
    }

    /// The mapping of an address. Does what [`Tables::walk`] does, without the record of the way.
    pub fn translate(&self, memory: &Memory, address: u64) -> Option<Mapping> {
        match self.walk(memory, address).end {
            End::Mapped(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Visits every page that the kernel's half maps, by address. A table that stands in the tree twice (as KASAN's
    /// early shadow does on purpose) is gone through each time, but no more than `most` entries are looked at in all:
    /// `false` when that was not enough. The tree's depth is the scheme's, whatever the entries say, so a table that
    /// leads to itself ends there.
    pub fn each_leaf(
        &self,
        memory: &Memory,
        most: u64,
        visit: &mut dyn FnMut(Leaf),
        wrong: &mut dyn FnMut(u64, &'static str, u64),
    ) -> bool {
        let levels = self.levels();
        let Some(first) = levels.first() else { return true };
        let count = 1_u64 << first.bits;
        let start = match self.scheme {
            Scheme::X86(_) => count / 2,
            Scheme::Arm64(_) => 0,
        };
        let mut left = most;
        // One frame a level: table, next index, address so far, rights above, the entry that led here.
        let all = Rights { write: true, execute: true, user: true, global: true };
        let base = match self.scheme {
            Scheme::X86(s) => !0 << s.address_bits(),
            Scheme::Arm64(s) if s.va_bits < 64 => !0 << s.va_bits,
            Scheme::Arm64(_) => 0,
        };
        let mut stack = vec![(self.root, start, base, all, 0)];
        while let Some(&mut (table, at, address, above, via)) = stack.last_mut() {
            let depth = stack.len() - 1;
            let level = &levels[depth];
            if at >= 1 << level.bits {
                stack.pop();
                continue;
            }
            if let Some(top) = stack.last_mut() {
                top.1 += 1;
            }
            if left == 0 {
                return false;
            }
            left -= 1;
            let here = address | at << level.shift;
            let Some(entry) = memory.physical_u64(table.wrapping_add(at * 8)) else {
                if at == 0 || depth == 0 {
                    wrong(here, "a table that is not in this memory", table);
                }
                stack.pop();
                continue;
            };
            match self.decode(level, depth + 1 == levels.len(), entry) {
                Entry::Empty => {}
                Entry::Wrong(what) => wrong(here, what, entry),
                Entry::Table(next, rights) => stack.push((next, 0, here, combine(above, rights), entry)),
                Entry::Page(physical, rights) => {
                    let rights = Rights { global: rights.global, ..combine(above, rights) };
                    let mapping = Mapping { physical, page: 1 << level.shift, rights };
                    visit(Leaf { address: here, mapping, entry, via });
                }
            }
        }
        true
    }
}

/// Rights of a page under those of the tables above it.
fn combine(above: Rights, here: Rights) -> Rights {
    Rights {
        write: above.write && here.write,
        execute: above.execute && here.execute,
        user: above.user && here.user,
        global: above.global && here.global,
    }
}
