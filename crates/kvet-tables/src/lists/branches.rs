//! The thunks that retpolines and returns go through, and every direct branch to one of them in the text.

use kvet_image::{Image, Kind, VirtAddr};

use super::read::Text;

/// Bytes between two thunks of `__x86_indirect_thunk_array` (RETPOLINE_THUNK_SIZE, and in the 5.10 series that
/// has the array).
const STRIDE: u64 = 32;
/// One for each register, in the order of their numbers; nothing ever goes through the stack pointer's.
pub(super) const RSP: u8 = 4;
const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

/// What a thunk is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Thunk {
    /// `__x86_return_thunk`.
    Return,
    /// The indirect branch through a register.
    Indirect(u8),
}

impl Thunk {
    /// The symbol of the thunk.
    pub(super) fn name(self) -> String {
        match self {
            Thunk::Return => "__x86_return_thunk".into(),
            Thunk::Indirect(register) => {
                format!("__x86_indirect_thunk_{}", REGISTERS[usize::from(register & 15)])
            }
        }
    }
}

/// Which branch it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Call,
    Jump,
    Conditional,
}

/// A direct branch with a 32-bit distance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Branch {
    pub(crate) op: Op,
    /// Length with its prefix.
    pub(crate) len: usize,
    pub(crate) target: VirtAddr,
}

/// The direct branch that bytes at an address begin with; a CS prefix pads one to an even length.
pub(crate) fn branch(bytes: &[u8], addr: VirtAddr) -> Option<Branch> {
    let prefix = usize::from(bytes.first() == Some(&0x2e));
    let (op, opcode) = match bytes.get(prefix..)? {
        [0xe8, ..] => (Op::Call, 1),
        [0xe9, ..] => (Op::Jump, 1),
        [0x0f, 0x80..=0x8f, ..] => (Op::Conditional, 2),
        _ => return None,
    };
    let distance = bytes.get(prefix + opcode..)?.first_chunk::<4>()?;
    let len = prefix + opcode + 4;
    let next = VirtAddr(addr.0.wrapping_add(len as u64));
    Some(Branch { op, len, target: next.wrapping_offset(i64::from(i32::from_le_bytes(*distance))) })
}

/// Bytes that are looked through at once: they stay in the nearest cache for the four passes over them.
const BLOCK: usize = 4096;
/// Distances that are compared at once.
const GROUP: usize = 16;

/// Calls `found` with each offset of four bytes that, taken as a distance from behind themselves, lead to at most `span`
/// behind a place: `next` is the distance from there to the end of the first four. In no order.
fn distances_into(bytes: &[u8], next: u32, span: u32, mut found: impl FnMut(usize)) {
    let leads = |from: u32, word: [u8; 4]| from.wrapping_add(u32::from_le_bytes(word)) <= span;
    let from = |at: usize| next.wrapping_add(at as u32);
    for block_at in (0..bytes.len()).step_by(BLOCK) {
        // Three bytes of the next block belong to distances that begin in this one.
        let end = bytes.len().min(block_at + BLOCK + 3);
        for start in block_at..end.min(block_at + 4) {
            let (words, _) = bytes[start..end].as_chunks::<4>();
            let (groups, rest) = words.as_chunks::<GROUP>();
            for (i, group) in groups.iter().enumerate() {
                let at = start + i * 4 * GROUP;
                // Without a branch for each, so that the compiler compares several at once.
                let mut any = false;
                for (i, word) in group.iter().enumerate() {
                    any |= leads(from(at).wrapping_add(4 * i as u32), *word);
                }
                if any {
                    (0..GROUP)
                        .map(|i| at + 4 * i)
                        .zip(group)
                        .filter(|(at, word)| leads(from(*at), **word))
                        .for_each(|(at, _)| found(at));
                }
            }
            let rest_at = start + groups.len() * 4 * GROUP;
            let rest = (0..rest.len()).map(|i| rest_at + 4 * i).zip(rest);
            rest.filter(|(at, word)| leads(from(*at), **word)).for_each(|(at, _)| found(at));
        }
    }
}

/// The thunks of an image, and the branches to them that its text has.
#[derive(Default)]
pub(crate) struct Branches {
    /// By address.
    thunks: Vec<(VirtAddr, Thunk)>,
    /// Where each stands (its opcode, behind any prefix) and which thunk it goes to, by address.
    pub(super) found: Vec<(VirtAddr, Thunk)>,
}

impl Branches {
    /// Looks for the thunks by name, then through the text.
    pub(crate) fn read(image: &Image) -> Branches {
        let mut thunks = match image.kind() {
            Kind::Module => of_module(image),
            _ => of_kernel(image),
        };
        thunks.sort_unstable();
        thunks.dedup_by_key(|(addr, _)| *addr);
        let mut branches = Branches { thunks, found: Vec::new() };
        branches.scan(&Text::of(image));
        branches
    }

    /// Which thunk begins at an address.
    pub(super) fn thunk_at(&self, addr: VirtAddr) -> Option<Thunk> {
        let at = self.thunks.binary_search_by_key(&addr, |(thunk, _)| *thunk).ok()?;
        self.thunks.get(at).map(|(_, thunk)| *thunk)
    }

    /// The thunk of a kernel's array that an address is inside of, not at its start.
    pub(super) fn inside_array(&self, addr: VirtAddr) -> Option<Thunk> {
        let after = self.thunks.partition_point(|(thunk, _)| *thunk <= addr);
        let (start, thunk) = self.thunks.get(after.checked_sub(1)?)?;
        let inside = matches!(thunk, Thunk::Indirect(_)) && addr.0 - start.0 < STRIDE && addr != *start;
        inside.then_some(*thunk)
    }

    /// Whether the image names the return thunk.
    pub(super) fn knows_return(&self) -> bool {
        self.thunks.iter().any(|(_, thunk)| *thunk == Thunk::Return)
    }

    /// Whether the image names the thunks of registers.
    pub(super) fn knows_indirect(&self) -> bool {
        self.thunks.iter().any(|(_, thunk)| matches!(thunk, Thunk::Indirect(_)))
    }

    /// Every branch of the text whose target is exactly a thunk. That the four bytes before an address should be
    /// a distance to one of these few by chance, behind a byte that is a branch's opcode, happens once in some
    /// hundred kernels.
    fn scan(&mut self, text: &Text<'_>) {
        let (Some((first, _)), Some((last, _))) = (self.thunks.first(), self.thunks.last()) else { return };
        let (first, span) = (first.0 as u32, (last.0 - first.0).min(u64::from(u32::MAX)) as u32);
        let mut found = Vec::new();
        for (start, bytes) in text.parts() {
            let next = (start.0 as u32).wrapping_add(4).wrapping_sub(first);
            // 32 bits are enough to pass by all that go elsewhere.
            distances_into(bytes, next, span, |at| found.extend(self.ending_at(bytes, *start, at)));
        }
        found.sort_unstable_by_key(|(addr, _)| *addr);
        self.found = found;
    }

    /// The branch whose distance stands at an offset.
    fn ending_at(&self, bytes: &[u8], start: VirtAddr, distance: usize) -> Option<(VirtAddr, Thunk)> {
        let at = match bytes.get(distance.checked_sub(2)?..distance)? {
            [_, 0xe8 | 0xe9] => distance - 1,
            [0x0f, 0x80..=0x8f] => distance - 2,
            _ => return None,
        };
        let addr = start.checked_add(at as u64)?;
        let thunk = self.thunk_at(branch(&bytes[at..], addr)?.target)?;
        Some((addr, thunk))
    }
}

/// A module's thunks are undefined symbols.
fn of_module(image: &Image) -> Vec<(VirtAddr, Thunk)> {
    let thunk = |name: &str| {
        if name == "__x86_return_thunk" {
            return Some(Thunk::Return);
        }
        let register = name.strip_prefix("__x86_indirect_thunk_")?;
        let number = REGISTERS.iter().position(|r| *r == register)?;
        Some(Thunk::Indirect(u8::try_from(number).ok()?))
    };
    image.externs().iter().filter_map(|(addr, name)| Some((*addr, thunk(name)?))).collect()
}

fn of_kernel(image: &Image) -> Vec<(VirtAddr, Thunk)> {
    let mut thunks = Vec::new();
    if let Some(addr) = image.symbol_addr("__x86_return_thunk") {
        thunks.push((addr, Thunk::Return));
    }
    if let Some(array) = image.symbol_addr("__x86_indirect_thunk_array") {
        let slot = |register: u8| {
            Some((array.checked_add(u64::from(register) * STRIDE)?, Thunk::Indirect(register)))
        };
        thunks.extend((0..16).filter_map(slot));
    }
    thunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_found_at_every_offset() {
        let lens = [0, 1, 3, 4, 5, 67, BLOCK - 1, BLOCK, BLOCK + 2, 2 * BLOCK + 3];
        for len in lens {
            // All lead to 7 behind the place, none of the background does.
            let mut bytes = vec![0x90; len];
            let mut expected = Vec::new();
            for at in [0, 4, 9, 61, 66, BLOCK - 6, BLOCK - 2, BLOCK + 5, 2 * BLOCK - 1] {
                let distance = 7_u32.wrapping_sub(1000).wrapping_sub(at as u32);
                if let Some(place) = bytes.get_mut(at..at + 4) {
                    place.copy_from_slice(&distance.to_le_bytes());
                    expected.push(at);
                }
            }
            let mut found = Vec::new();
            distances_into(&bytes, 1000, 8, |at| found.push(at));
            found.sort_unstable();
            assert_eq!(found, expected, "of {len} bytes");
        }
    }
}
