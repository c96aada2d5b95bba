//! The sites, typed, and where their table is.

use kvet_image::{Arch, Image, Kind, VirtAddr};

use crate::jump_labels::initial_bytes;
use crate::runs::{self, Likeness, PAGE_HOLE, Shape};
use crate::{Bounds, Context, LocatedBy, TableReport};

/// The bytes of one entry.
const ENTRY: u64 = 8;

/// STATIC_CALL_SITE_TAIL.
const TAIL: u64 = 1;
/// STATIC_CALL_SITE_INIT.
const INIT: u64 = 2;

/// One entry (`struct static_call_site`): `s32 addr, s32 key`, each relative to its own address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StaticCall {
    /// Its place in the table as the file has it, from 0.
    pub index: u32,
    /// The call or jump.
    pub site: VirtAddr,
    /// The key, `__SCK__name`; bits 0 and 1 of the field taken off. In a module perhaps the trampoline instead.
    pub key: VirtAddr,
    /// Bit 0: a tail call, so a jump.
    pub tail: bool,
    /// Bit 1: in init text. Set by the kernel at run time, by nobody in the file.
    pub init: bool,
}

/// The static call sites of an image.
#[derive(Clone, Debug)]
pub struct StaticCallTable {
    /// Where the table stands, and how that is known.
    pub bounds: Bounds,
    /// The entries in the order of the file.
    pub calls: Vec<StaticCall>,
    /// Bytes after the last whole entry.
    pub left_over: u64,
}

impl StaticCallTable {
    /// The address of an entry.
    pub fn entry_addr(&self, call: &StaticCall) -> VirtAddr {
        self.bounds.start.wrapping_offset((u64::from(call.index) * ENTRY).cast_signed())
    }

    fn read(image: &Image, bounds: Bounds) -> Option<StaticCallTable> {
        let (entries, _) = bounds.bytes(image)?.as_chunks::<{ ENTRY as usize }>();
        let mut calls = Vec::with_capacity(entries.len());
        for (bytes, index) in entries.iter().zip(0_u32..) {
            let at = bounds.start.wrapping_offset((u64::from(index) * ENTRY).cast_signed());
            calls.push(call(index, at, bytes));
        }
        let left_over = bounds.len() % ENTRY;
        Some(StaticCallTable { bounds, calls, left_over })
    }
}

fn call(index: u32, at: VirtAddr, bytes: &[u8; ENTRY as usize]) -> StaticCall {
    let [a, b, c, d, e, f, g, h] = *bytes;
    let field = at.wrapping_offset(4).wrapping_offset(i64::from(i32::from_le_bytes([e, f, g, h]))).0;
    StaticCall {
        index,
        site: at.wrapping_offset(i64::from(i32::from_le_bytes([a, b, c, d]))),
        key: VirtAddr(field & !(TAIL | INIT)),
        tail: field & TAIL != 0,
        init: field & INIT != 0,
    }
}

/// Finds and reads the table. The report that stands for it when there is none to read says why.
pub(crate) fn find(context: &Context<'_>) -> Result<StaticCallTable, Box<TableReport>> {
    const NAME: &str = "static-calls";
    let image = context.image;
    let named =
        Bounds::locate(image, ".static_call_sites", "__start_static_call_sites", "__stop_static_call_sites");
    let bounds = match named {
        Some(bounds) => bounds,
        None if image.kind() == Kind::Module => return Err(TableReport::new(NAME, None).into()),
        None => scan(image).ok_or_else(|| {
            Box::new(TableReport::absent(
                NAME,
                "No symbol names the bounds of the static call sites and nothing in the image looks like them: \
                 the kernel was built without CONFIG_HAVE_STATIC_CALL_INLINE, or has fewer than 8 sites.",
            ))
        })?,
    };
    let located_by = bounds.located_by.clone();
    StaticCallTable::read(image, bounds).ok_or_else(|| {
        let mut report = TableReport::absent(NAME, "The static call sites' bytes are not in the file.");
        report.located_by = Some(located_by);
        Box::new(report)
    })
}

/// A `struct static_call_key`: the function, and a word that is 1 before boot (DEFINE_STATIC_CALL).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub(super) func: VirtAddr,
    pub(super) word: u64,
}

/// What stands at a key's address.
pub(super) fn key(image: &Image, addr: VirtAddr) -> Option<Key> {
    let bytes: [u8; 16] = initial_bytes(image, addr)?;
    let (func, word) = bytes.split_at(8);
    Some(Key {
        func: VirtAddr(u64::from_le_bytes(func.try_into().ok()?)),
        word: u64::from_le_bytes(word.try_into().ok()?),
    })
}

/// Whether it is what a key holds before boot.
pub(super) fn is_key(image: &Image, key: &Key) -> bool {
    key.word == 1 && (key.func == VirtAddr(0) || image.is_executable(key.func))
}

const SHAPE: Shape = Shape { entry: ENTRY, align: 4, fewest: 8, hole: PAGE_HOLE, dense: false };

pub(super) fn scan(image: &Image) -> Option<Bounds> {
    if image.arch() != Arch::X86_64 {
        return None;
    }
    let table = runs::find(&runs::data_in_file(image), SHAPE, |at| likeness(image, at))?;
    Some(Bounds { start: table.start, end: table.end, located_by: LocatedBy::Scan })
}

/// A site is a call or jump in text, and its key one in data.
fn likeness(image: &Image, at: VirtAddr) -> Likeness {
    let Some(bytes) = image.bytes(at, ENTRY as usize).and_then(|bytes| bytes.first_chunk()) else {
        return Likeness::Other;
    };
    let call = call(0, at, bytes);
    if !image.is_executable(call.site) {
        return Likeness::Other;
    }
    let aligned = call.key.0.is_multiple_of(8) && image.is_writable(call.key);
    let held = if aligned { key(image, call.key) } else { None };
    let Some(held) = held.filter(|held| is_key(image, held)) else { return Likeness::Other };
    let bytes = image.bytes_up_to(call.site, 8);
    // The table of trampolines and their keys stands behind this one and looks like it.
    let destination =
        bytes.get(1..5).and_then(|d| d.first_chunk()).map(|d| i64::from(i32::from_le_bytes(*d)));
    let goes_to_function =
        destination.is_some_and(|d| call.site.wrapping_offset(d.wrapping_add(5)) == held.func);
    if bytes.get(5..8) == Some(&[0x0f, 0xb9, 0xcc]) || goes_to_function {
        return Likeness::Other;
    }
    match bytes {
        [0xe8 | 0xe9, ..] | [0x0f, 0x80..=0x8f, ..] => Likeness::Entry,
        _ => Likeness::Damaged,
    }
}
