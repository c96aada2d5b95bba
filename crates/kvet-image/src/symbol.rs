//! Symbols by name and by address, wherever they come from.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::VirtAddr;

/// Where an image's symbols were read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SymbolSource {
    /// The file's own `.symtab`.
    Elf,
    /// The `.symtab` of a separate debug file with the same build id.
    DebugFile,
    /// The embedded kallsyms tables.
    Kallsyms,
    /// There are none.
    None,
}

impl SymbolSource {
    /// The words for output.
    pub fn as_str(self) -> &'static str {
        match self {
            SymbolSource::Elf => "ELF symbols",
            SymbolSource::DebugFile => "the debug file's ELF symbols",
            SymbolSource::Kallsyms => "embedded kallsyms",
            SymbolSource::None => "no symbols",
        }
    }
}

/// What a symbol stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SymbolKind {
    /// A function (STT_FUNC, or kallsyms type t/T/w/W).
    Function,
    /// An object (STT_OBJECT, or kallsyms type d/D/b/B/r/R/v/V).
    Object,
    /// A label without a type (STT_NOTYPE), an absolute or a linker symbol.
    Other,
}

/// One symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol<'a> {
    /// The name as the table has it.
    pub name: &'a str,
    /// Its address.
    pub addr: VirtAddr,
    /// Its length in bytes: ELF `st_size`; 0 where the table has none (kallsyms).
    pub size: u64,
    /// Function, object or other.
    pub kind: SymbolKind,
    /// Bound globally or weakly, rather than local to an object file.
    pub global: bool,
}

#[derive(Clone, Copy)]
struct Row {
    addr: u64,
    size: u64,
    name: u32,
    name_len: u16,
    kind: SymbolKind,
    global: bool,
}

/// All symbols of an image, sorted by address; symbols of one address keep the order of their table.
pub struct SymbolTable {
    source: SymbolSource,
    rows: Vec<Row>,
    names: String,
    by_name: OnceLock<NameIndex>,
}

/// Rows by the hash of their name: `first` has the lowest row of each hash, `next` the one after it (or
/// [`LAST`]). Two flat arrays instead of a vector a name: building it for 200,000 symbols is what the first
/// look-up costs.
struct NameIndex {
    first: HashMap<u64, u32, std::hash::BuildHasherDefault<Identity>>,
    next: Vec<u32>,
}

const LAST: u32 = u32::MAX;

/// A hasher for keys that are hashes already.
#[derive(Default, Clone)]
struct Identity(u64);

impl std::hash::Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Collects symbols in any order; [`SymbolTableBuilder::finish`] sorts them.
pub struct SymbolTableBuilder {
    rows: Vec<Row>,
    names: String,
}

impl SymbolTableBuilder {
    /// An empty builder with room for `symbols` names of `name_bytes` bytes in all.
    pub fn with_capacity(symbols: usize, name_bytes: usize) -> Self {
        Self { rows: Vec::with_capacity(symbols), names: String::with_capacity(name_bytes) }
    }

    /// Adds one symbol. Names longer than 65,535 bytes and names past 4 GiB in all are left out: no kernel
    /// has them (`KSYM_NAME_LEN` is 512), a hostile file may.
    pub fn push(&mut self, name: &str, addr: VirtAddr, size: u64, kind: SymbolKind, global: bool) {
        let (Ok(at), Ok(len)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) else { return };
        self.names.push_str(name);
        self.rows.push(Row { addr: addr.0, size, name: at, name_len: len, kind, global });
    }

    /// A builder over names that are in one buffer already, for [`SymbolTableBuilder::push_range`].
    pub(crate) fn from_names(names: String, symbols: usize) -> Self {
        Self { rows: Vec::with_capacity(symbols), names }
    }

    /// The buffer of names.
    pub(crate) fn names(&self) -> &str {
        &self.names
    }

    /// Adds a symbol whose name stands in the buffer.
    pub(crate) fn push_range(
        &mut self,
        name: std::ops::Range<usize>,
        addr: VirtAddr,
        size: u64,
        kind: SymbolKind,
        global: bool,
    ) {
        let (Ok(at), Ok(len)) = (u32::try_from(name.start), u16::try_from(name.len())) else { return };
        self.rows.push(Row { addr: addr.0, size, name: at, name_len: len, kind, global });
    }

    /// Sorts by address.
    pub fn finish(mut self, source: SymbolSource) -> SymbolTable {
        if !self.rows.is_sorted_by_key(|r| r.addr) {
            self.rows.sort_by_key(|r| r.addr);
        }
        SymbolTable { source, rows: self.rows, names: self.names, by_name: OnceLock::new() }
    }
}

impl SymbolTable {
    /// A table without symbols.
    pub fn empty() -> Self {
        SymbolTableBuilder::with_capacity(0, 0).finish(SymbolSource::None)
    }

    /// Where they come from.
    pub fn source(&self) -> SymbolSource {
        self.source
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The symbol at a position in address order.
    pub fn get(&self, index: usize) -> Option<Symbol<'_>> {
        self.rows.get(index).map(|r| self.symbol(r))
    }

    /// All of them in address order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Symbol<'_>> + DoubleEndedIterator {
        self.rows.iter().map(|r| self.symbol(r))
    }

    /// The first symbol of a name, a global one before local ones.
    pub fn by_name<'a>(&'a self, name: &str) -> Option<Symbol<'a>> {
        self.all_by_name(name).max_by_key(|s| (s.global, std::cmp::Reverse(s.addr)))
    }

    /// All symbols of a name, in address order: static functions share names across files.
    pub fn all_by_name<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = Symbol<'a>> + use<'a, 'n> {
        let index = self.by_name.get_or_init(|| self.index_names());
        let mut row = index.first.get(&hash_name(name)).copied().unwrap_or(LAST);
        std::iter::from_fn(move || {
            let symbol = self.rows.get(row as usize).map(|r| self.symbol(r))?;
            row = index.next.get(row as usize).copied().unwrap_or(LAST);
            Some(symbol)
        })
        .filter(move |s| s.name == name)
    }

    fn index_names(&self) -> NameIndex {
        let mut first: HashMap<u64, u32, _> =
            HashMap::with_capacity_and_hasher(self.rows.len(), Default::default());
        let mut next = vec![LAST; self.rows.len()];
        for (i, row) in self.rows.iter().enumerate().rev() {
            if let Some(later) = first.insert(hash_name(self.name(row)), i as u32) {
                next[i] = later;
            }
        }
        NameIndex { first, next }
    }

    /// The position of the first symbol whose address is greater than `addr`.
    pub fn upper_bound(&self, addr: VirtAddr) -> usize {
        self.rows.partition_point(|r| r.addr <= addr.0)
    }

    fn name(&self, row: &Row) -> &str {
        let at = row.name as usize;
        self.names.get(at..at + row.name_len as usize).unwrap_or("")
    }

    fn symbol<'a>(&'a self, row: &Row) -> Symbol<'a> {
        Symbol {
            name: self.name(row),
            addr: VirtAddr(row.addr),
            size: row.size,
            kind: row.kind,
            global: row.global,
        }
    }
}

/// FNV-1a: names are short and the table is no one's denial of service (it is rebuilt for each file, and a
/// chain of colliding names costs time only to the look-ups of those names).
fn hash_name(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
