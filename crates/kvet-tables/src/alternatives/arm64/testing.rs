//! Small arm64 kernels for tests.

use kvet_image::{Arch, Image};

use crate::testimage::{A, AX, TestImage, WA, rel32};
use crate::{Context, TableReport};

/// Where `.text` starts.
pub(crate) const TEXT: u64 = 0xffff_8000_0801_0000;
const REPLACEMENTS: u64 = TEXT + 0x10_0000;
const TABLE: u64 = TEXT + 0x20_0000;
const RODATA: u64 = TEXT + 0x30_0000;
const STRINGS: u64 = TEXT + 0x31_0000;
const BUGS: u64 = TEXT + 0x32_0000;
const DATA: u64 = TEXT + 0x33_0000;

/// One entry as it will stand in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    pub(crate) orig: u64,
    pub(crate) alt: u64,
    pub(crate) cpucap: u16,
    pub(crate) orig_len: u8,
    pub(crate) alt_len: u8,
}

/// Builds a kernel with alternatives, callbacks, capabilities and a bug table.
pub(crate) struct Build {
    text: Vec<u32>,
    replacements: Vec<u32>,
    functions: Vec<(String, u64)>,
    /// The table, to damage before it is built.
    pub(crate) entries: Vec<Raw>,
    /// `ARM64_NCAPS`.
    pub(crate) ncaps: u64,
    /// Names of the capabilities from 0 on.
    names: Vec<&'static str>,
    /// Bytes after the last entry.
    pub(crate) trailing: usize,
    /// Symbols and section names are left out.
    pub(crate) stripped: bool,
}

const RET: u32 = 0xd65f_03c0;

impl Build {
    /// A kernel of 85 capabilities without entries.
    pub(crate) fn new() -> Build {
        Build {
            text: vec![RET; 4],
            replacements: Vec::new(),
            functions: vec![("_stext".into(), TEXT)],
            entries: Vec::new(),
            ncaps: 85,
            names: vec![
                "Always",
                "Privileged Access Never",
                "Virtualization Host Extensions",
                "LSE atomics",
                "SSBS",
            ],
            trailing: 0,
            stripped: false,
        }
    }

    /// Starts a function; the sites that follow are in it.
    pub(crate) fn function(&mut self, name: &str) -> u64 {
        let addr = self.here();
        self.functions.push((name.into(), addr));
        self.text.extend([RET; 2]);
        addr
    }

    fn here(&self) -> u64 {
        TEXT + 4 * self.text.len() as u64
    }

    fn site(&mut self, words: &[u32]) -> u64 {
        let addr = self.here();
        self.text.extend_from_slice(words);
        self.text.push(RET);
        addr
    }

    /// Adds code in the place of what ends the last site.
    pub(crate) fn code(&mut self, words: &[u32]) {
        self.text.pop();
        self.text.extend_from_slice(words);
        self.text.push(RET);
    }

    /// Adds an entry with a replacement.
    pub(crate) fn alternative(&mut self, cpucap: u16, original: &[u32], replacement: &[u32]) -> &mut Raw {
        let orig = self.site(original);
        let alt = REPLACEMENTS + 4 * self.replacements.len() as u64;
        self.replacements.extend_from_slice(replacement);
        let (orig_len, alt_len) = ((original.len() * 4) as u8, (replacement.len() * 4) as u8);
        self.entries.push(Raw { orig, alt, cpucap, orig_len, alt_len });
        self.entries.last_mut().expect("just pushed")
    }

    /// Adds an entry that calls a function.
    pub(crate) fn callback(&mut self, cpucap: u16, function: u64, original: &[u32]) -> &mut Raw {
        let orig = self.site(original);
        self.entries.push(Raw {
            orig,
            alt: function,
            cpucap,
            orig_len: (original.len() * 4) as u8,
            alt_len: 0,
        });
        self.entries.last_mut().expect("just pushed")
    }

    fn table(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for e in &self.entries {
            let at = TABLE + out.len() as u64;
            out.extend(rel32(at, e.orig));
            out.extend(rel32(at + 4, e.alt));
            out.extend(e.cpucap.to_le_bytes());
            out.extend([e.orig_len, e.alt_len]);
        }
        out.resize(out.len() + self.trailing, 0);
        out
    }

    /// `arm64_features` and, with its last two, `arm64_errata`; their strings.
    fn capabilities(&self, has_always: u64) -> (Vec<u8>, Vec<u8>) {
        let (mut array, mut strings) = (Vec::new(), vec![0_u8]);
        for (number, name) in (0_u16..).zip(&self.names) {
            let desc = if number == 0 { 0 } else { STRINGS + strings.len() as u64 };
            if number != 0 {
                strings.extend_from_slice(name.as_bytes());
                strings.push(0);
            }
            array.extend(desc.to_le_bytes());
            array.extend(number.to_le_bytes());
            array.extend(2_u16.to_le_bytes());
            array.extend([0; 4]);
            let matches = if number == 0 { has_always } else { TEXT };
            array.extend(matches.to_le_bytes());
            array.resize(array.len() + 48, 0);
        }
        (array, strings)
    }

    /// The kernel.
    pub(crate) fn image(&mut self) -> Image {
        let has_always = self.function("has_always");
        let (array, mut strings) = self.capabilities(has_always);
        let file = strings.len() as u64 + STRINGS;
        strings.extend_from_slice(b"arch/arm64/kernel/alternative.c\0");
        // The last word of the replacements' section is the trap of every BUG.
        let brk = REPLACEMENTS + 4 * (self.replacements.len() as u64 + 8);
        let mut bugs = Vec::new();
        for (line, flags) in [(42_u16, 1_u16), (90, 0), (155, 0), (157, 0), (241, 0)] {
            let at = BUGS + bugs.len() as u64;
            bugs.extend(rel32(at, brk));
            bugs.extend(rel32(at + 4, file));
            bugs.extend(line.to_le_bytes());
            bugs.extend(flags.to_le_bytes());
        }
        let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
        let mut replacements = self.replacements.clone();
        replacements.extend([RET; 8]);
        replacements.push(0xd421_0000);
        let name = |name: &'static str| if self.stripped { "" } else { name };
        let mut t = TestImage::new(Arch::Arm64);
        t.section(name(".text"), TEXT, AX, &bytes(&self.text))
            .section(name(".text.replacements"), REPLACEMENTS, AX, &bytes(&replacements))
            .section(name(".altinstructions"), TABLE, A, &self.table())
            .section(name(".rodata"), RODATA, A, &array)
            .section(name(".rodata.str"), STRINGS, A, &strings)
            .section(name("__bug_table"), BUGS, WA, &bugs)
            .section(name(".data"), DATA, WA, &vec![0; 8 * self.ncaps as usize]);
        if !self.stripped {
            for (i, (name, addr)) in self.functions.iter().enumerate() {
                let next = self.functions.get(i + 1).map_or(self.here(), |f| f.1);
                t.function(name, *addr, next - addr);
            }
            let errata = RODATA + (array.len() as u64 / 72 - 2) * 72;
            t.object("arm64_features", RODATA, errata - RODATA)
                .object("arm64_errata", errata, RODATA + array.len() as u64 - errata)
                .object("cpucap_ptrs", DATA, 8 * self.ncaps)
                .function("__hyp_text_start", REPLACEMENTS + 0x1000, 0)
                .function("__hyp_text_end", REPLACEMENTS + 0x1000, 0);
        }
        t.build()
    }

    /// The report on the kernel.
    pub(crate) fn report(&mut self) -> TableReport {
        let image = self.image();
        super::check::table(&Context::new(&image, None))
    }
}
