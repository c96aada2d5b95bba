//! Where the tables of a kernel stand, and which fields an entry has: what there is to damage.

use kvet_image::{Arch, Image, VirtAddr};
use kvet_tables::exceptions::ExceptionTable;
use kvet_tables::{Bounds, Context, LocatedBy};

/// A field of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Where it stands in the entry.
    pub offset: u64,
    /// How many bytes it has.
    pub size: usize,
    /// It is the distance to the code that the entry is about.
    pub site: bool,
}

/// A table of equal entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// The table, by kvet's name.
    pub table: &'static str,
    /// Its first entry.
    pub start: VirtAddr,
    /// How many bytes an entry has.
    pub entry: u64,
    /// How many entries there are.
    pub count: u64,
    /// The fields.
    pub fields: Vec<Field>,
}

impl Shape {
    /// The address of an entry.
    pub fn at(&self, index: u64) -> Option<VirtAddr> {
        self.start.checked_add(index.checked_mul(self.entry)?)
    }
}

type Fields = &'static [(&'static str, u64, usize)];

const SITE: Fields = &[("site", 0, 4)];
const LABEL: Fields = &[("site", 0, 4), ("target", 4, 4), ("key", 8, 8)];
const BUG: Fields = &[("site", 0, 4), ("file", 4, 4), ("line", 8, 2), ("flags", 10, 2)];

/// Tables that sections or boundary symbols name: table, section, symbols, bytes of an entry, fields.
const NAMED: &[(&str, &str, &str, &str, u64, Fields)] = &[
    (
        "static-calls",
        ".static_call_sites",
        "__start_static_call_sites",
        "__stop_static_call_sites",
        8,
        &[("site", 0, 4), ("key", 4, 4)],
    ),
    ("retpolines", ".retpoline_sites", "__retpoline_sites", "__retpoline_sites_end", 4, SITE),
    ("returns", ".return_sites", "__return_sites", "__return_sites_end", 4, SITE),
    ("calls", ".call_sites", "__call_sites", "__call_sites_end", 4, SITE),
    ("endbr", ".ibt_endbr_seal", "__ibt_endbr_seal", "__ibt_endbr_seal_end", 4, SITE),
    ("cfi", ".cfi_sites", "__cfi_sites", "__cfi_sites_end", 4, SITE),
    ("smp-locks", ".smp_locks", "__smp_locks", "__smp_locks_end", 4, SITE),
    (
        "paravirt",
        ".parainstructions",
        "__parainstructions",
        "__parainstructions_end",
        16,
        &[("site", 0, 8), ("type", 8, 1), ("length", 9, 1)],
    ),
    ("mcount", "__mcount_loc", "__start_mcount_loc", "__stop_mcount_loc", 8, &[("site", 0, 8)]),
    ("orc", ".orc_unwind_ip", "__start_orc_unwind_ip", "__stop_orc_unwind_ip", 4, SITE),
    (
        "orc",
        ".orc_unwind",
        "__start_orc_unwind",
        "__stop_orc_unwind",
        6,
        &[("sp offset", 0, 2), ("bp offset", 2, 2), ("registers", 4, 2)],
    ),
    ("initcalls", ".initcall.init", "__initcall_start", "__initcall_end", 4, &[("function", 0, 4)]),
    (
        "parameters",
        "__param",
        "__start___param",
        "__stop___param",
        40,
        &[
            ("name", 0, 8),
            ("module", 8, 8),
            ("ops", 16, 8),
            ("perm", 24, 2),
            ("level", 26, 1),
            ("argument", 32, 8),
        ],
    ),
    (
        "exports",
        "__ksymtab",
        "__start___ksymtab",
        "__stop___ksymtab",
        12,
        &[("value", 0, 4), ("name", 4, 4), ("namespace", 8, 4)],
    ),
    (
        "tracepoints",
        "__tracepoints_ptrs",
        "__start___tracepoints_ptrs",
        "__stop___tracepoints_ptrs",
        4,
        &[("tracepoint", 0, 4)],
    ),
    // Of BTF the header's first words: its types are the concern of kvet-btf's own oracle.
    (
        "btf",
        ".BTF",
        "__start_BTF",
        "__stop_BTF",
        24,
        &[
            ("magic", 0, 2),
            ("header length", 4, 4),
            ("type offset", 8, 4),
            ("type length", 12, 4),
            ("string offset", 16, 4),
            ("string length", 20, 4),
        ],
    ),
    ("orc", ".orc_header", "__start_orc_header", "__stop_orc_header", 20, &[("hash", 0, 8)]),
];

/// All tables of a kernel whose entries are in its file.
pub fn shapes(context: &Context<'_>) -> Vec<Shape> {
    let image = context.image;
    let mut found = Vec::new();
    let mut add = |table: &'static str, bounds: &Bounds, entry: u64, fields: Fields| {
        let most = if matches!(table, "btf") { 1 } else { u64::MAX };
        found.extend(
            shape(image, table, bounds, entry, fields).map(|s| Shape { count: s.count.min(most), ..s }),
        );
    };
    match image.arch() {
        Arch::X86_64 => {
            if let Some(table) = kvet_tables::alternatives::x86::entries(context) {
                add(
                    "alternatives",
                    &table.bounds,
                    table.layout.size() as u64,
                    match table.layout.size() {
                        14 => &[
                            ("site", 0, 4),
                            ("replacement", 4, 4),
                            ("feature", 8, 2),
                            ("flags", 10, 2),
                            ("site length", 12, 1),
                            ("replacement length", 13, 1),
                        ],
                        _ => &[
                            ("site", 0, 4),
                            ("replacement", 4, 4),
                            ("feature", 8, 2),
                            ("site length", 10, 1),
                            ("replacement length", 11, 1),
                        ],
                    },
                );
            }
        }
        Arch::Arm64 => {
            if let Some(bounds) = &context.arm64_alternatives().bounds {
                add(
                    "alternatives",
                    bounds,
                    12,
                    &[
                        ("site", 0, 4),
                        ("replacement", 4, 4),
                        ("capability", 8, 2),
                        ("site length", 10, 1),
                        ("replacement length", 11, 1),
                    ],
                );
            }
        }
    }
    if let Ok(table) = context.jump_labels() {
        add("jump-labels", &table.bounds, 16, LABEL);
    }
    if let Ok(table) = ExceptionTable::find(image) {
        let size = table.layout.size();
        add(
            "exceptions",
            &table.bounds,
            size,
            match size {
                8 => &[("site", 0, 4), ("fixup", 4, 4)],
                _ => &[("site", 0, 4), ("fixup", 4, 4), ("type", 8, 2), ("data", 10, 2)],
            },
        );
    }
    if let Some(table) = context.bugs() {
        add("bugs", &table.bounds, 12, BUG);
    }
    for (table, section, start, stop, entry, fields) in NAMED {
        if let Some(bounds) = Bounds::locate(image, section, start, stop) {
            add(table, &bounds, *entry, fields);
        }
    }
    for section in image.sections().iter().filter(|s| s.name.starts_with("runtime_")) {
        let located_by = LocatedBy::Section(section.name.clone());
        let bounds = Bounds { start: section.addr, end: section.end(), located_by };
        add("runtime-constants", &bounds, 4, SITE);
    }
    found
}

fn shape(image: &Image, table: &'static str, bounds: &Bounds, entry: u64, fields: Fields) -> Option<Shape> {
    bounds.bytes(image)?;
    image.file_range(bounds.start)?;
    let count = bounds.len() / entry;
    // The headers of BTF and ORC are one entry; of the others one entry is a misread table.
    let is_header = matches!(table, "btf" | "orc");
    let fields = fields
        .iter()
        .map(|(name, offset, size)| Field { name, offset: *offset, size: *size, site: *name == "site" })
        .collect();
    (count > 1 || is_header && count == 1).then_some(Shape {
        table,
        start: bounds.start,
        entry,
        count,
        fields,
    })
}
