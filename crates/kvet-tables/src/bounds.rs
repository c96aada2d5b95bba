//! Where a table stands in an image, and how that is known.

use std::fmt;

use kvet_image::{Image, SymbolSource, VirtAddr};

/// How a table's place was found: in the order in which it is tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LocatedBy {
    /// A section of that name.
    Section(String),
    /// A pair of boundary symbols, and where those come from.
    Symbols(String, SymbolSource),
    /// The table's own invariants, on an image that names it nowhere.
    Scan,
    /// The file is nothing else.
    File,
}

impl fmt::Display for LocatedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocatedBy::Section(name) => write!(f, "section {name}"),
            LocatedBy::Symbols(name, source) => write!(f, "{name} from {}", source.as_str()),
            LocatedBy::Scan => f.write_str("structural scan"),
            LocatedBy::File => f.write_str("the file itself"),
        }
    }
}

/// A half-open range of addresses that holds a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The first entry's address.
    pub start: VirtAddr,
    /// The first address after the last entry.
    pub end: VirtAddr,
    /// How it was found.
    pub located_by: LocatedBy,
}

impl Bounds {
    /// The table by its section, else by its boundary symbols; `None` when the image names neither.
    pub fn locate(image: &Image, section: &str, start: &str, stop: &str) -> Option<Bounds> {
        if let Some(s) = image.section(section) {
            return Some(Bounds {
                start: s.addr,
                end: s.end(),
                located_by: LocatedBy::Section(section.to_owned()),
            });
        }
        let (from, to) = (image.symbol_addr(start)?, image.symbol_addr(stop)?);
        (from <= to).then(|| Bounds {
            start: from,
            end: to,
            located_by: LocatedBy::Symbols(start.to_owned(), image.symbols().source()),
        })
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether the table has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table's bytes, when all of them are in the file.
    pub fn bytes<'a>(&self, image: &'a Image) -> Option<&'a [u8]> {
        image.bytes(self.start, usize::try_from(self.len()).ok()?)
    }
}
