//! The checks.

use kvet_finding::{Finding, Severity};
use kvet_image::{Image, Kind, VirtAddr};

use super::read::{Entry, Frame, Layout, OrcTable, SIZE, decode};
use crate::lists::{limit, place};
use crate::{Bounds, Context, TableReport, disasm};

const NAME: &str = "orc";

pub(super) fn check(context: &Context<'_>) -> Option<TableReport> {
    let table = match context.orc() {
        Ok(table) => table,
        Err(why) => return why.as_ref().map(|why| TableReport::absent(NAME, why.clone())),
    };
    let mut report = TableReport::new(NAME, Some(table.bounds.located_by.clone()));
    report.entries = table.ips.len() as u64;
    let mut checker = Checker { context, image: context.image, table, report };
    if checker.sizes() {
        checker.all();
    }
    limit(&mut checker.report);
    Some(checker.report)
}

struct Checker<'a> {
    context: &'a Context<'a>,
    image: &'a Image,
    table: &'a OrcTable,
    report: TableReport,
}

impl Checker<'_> {
    fn proved(&mut self, phrase: &str) {
        self.report.proved.push(phrase.to_owned());
    }

    fn error(&self, rule: &'static str, index: usize, message: String) -> Finding {
        let ip = self.table.ips.get(index).copied().unwrap_or_default();
        let at = VirtAddr(self.table.entries.start.0.wrapping_add((index * SIZE) as u64));
        let bytes = self.image.bytes(at, SIZE).unwrap_or(&[]);
        Finding::new(rule, Severity::Error, message)
            .index(index as u64)
            .at(self.image, ip)
            .with("entry", at)
            .with("bytes", bytes)
            .with("code", disasm::code(self.image, ip, self.image.bytes_up_to(ip, 8)))
    }

    /// Whole entries, as many of one table as of the other (`unwind_init`). Whether it is worth going on.
    fn sizes(&mut self) -> bool {
        const LINE: &str = "WARNING: WARNING: Bad or missing .orc_unwind table.  Disabling unwinder.";
        let (places, entries) = (self.table.bounds.len(), self.table.entries.len());
        if places % 4 != 0 || entries % SIZE as u64 != 0 || places / 4 != entries / SIZE as u64 || places == 0
        {
            let message = format!(
                ".orc_unwind_ip has {places} bytes, 4 a place, and .orc_unwind {entries}, {SIZE} an entry: expected \
                 as many of the one as of the other"
            );
            let finding = Finding::new("orc/size", Severity::Error, message)
                .at(self.image, self.table.bounds.start)
                .advice("the sections come from different links, or objtool was interrupted");
            // For a module it is a WARN_ON_ONCE without words.
            let module = self.image.kind() == Kind::Module;
            self.report.findings.push(if module { finding } else { finding.at_boot(LINE, false) });
            return false;
        }
        true
    }

    fn all(&mut self) {
        self.order();
        self.header();
        let Some(layout) = self.table.layout else {
            let why =
                "no hash and no majority of the entries says which layout they have: fields are not checked";
            return self.report.skipped.push(why.into());
        };
        self.report.layout = Some(layout.words().into());
        self.fields(layout);
        self.returns(layout);
        self.functions(layout);
    }

    /// Sorted, as the build leaves vmlinux's, and every place in text or just behind it.
    fn order(&mut self) {
        let mut found = Vec::new();
        let module = self.image.kind() == Kind::Module;
        let mut section = 0..0;
        for (index, ip) in self.table.ips.iter().enumerate() {
            // Neighbours lie in one section: the last one is tried first.
            if !section.contains(&ip.0) {
                match self.section_of(*ip) {
                    Some(range) => section = range,
                    None => {
                        let message = format!("the place {ip} is not executable");
                        found.push(self.error("orc/place", index, message));
                    }
                }
            }
            let before = index.checked_sub(1).and_then(|i| self.table.ips.get(i));
            if let Some(before) = before.filter(|before| !module && *before > ip) {
                let message = format!(
                    "the place {ip} stands behind {before}, which is greater: the unwinder's bisection goes astray here"
                );
                found.push(self.error("orc/order", index, message).advice(
                    "sort vmlinux with the build's scripts/sorttable, as scripts/link-vmlinux.sh does",
                ));
            }
        }
        let first = self.table.ips.first().copied();
        let start = self.image.symbol_addr("_stext").filter(|_| !module);
        if let (Some(first), Some(start)) = (first, start)
            && first > start
        {
            let message = format!("the first place {first} stands behind the start of the text, {start}");
            found.push(self.error("orc/coverage", 0, message));
        }
        self.report.findings.append(&mut found);
        if !module {
            self.proved("sorted");
        }
        self.proved("every place in text");
    }

    /// The executable section of a place; objtool ends each section with an entry just behind it.
    fn section_of(&self, ip: VirtAddr) -> Option<std::ops::Range<u64>> {
        let holds = |at: VirtAddr| self.image.section_at(at).filter(|s| s.access.execute);
        let section = holds(ip).or_else(|| holds(VirtAddr(ip.0.checked_sub(1)?)))?;
        Some(section.addr.0..section.end().0.saturating_add(1))
    }

    /// The hash, known and that of the module's kernel.
    fn header(&mut self) {
        let Some(hash) = self.table.hash else { return };
        let hex = hash.iter().map(|b| format!("{b:02x}")).collect::<String>();
        if !self.table.knows_hash() {
            let sentence =
                format!("the hash {hex} names a layout that is not known here: the entries decided");
            self.report.skipped.push(sentence);
        }
        let kernel = self.context.kernel.and_then(|kernel| {
            let bounds = Bounds::locate(kernel, ".orc_header", "__start_orc_header", "__stop_orc_header")?;
            bounds.bytes(kernel)?.first_chunk::<20>().copied()
        });
        if kernel.is_some_and(|kernel| kernel != hash) {
            let message = format!(
                "the hash {hex} is not that of the kernel: it will read this module's entries in another layout, in silence"
            );
            let finding = Finding::new("orc/header", Severity::Error, message);
            self.report.findings.push(finding.advice("rebuild the module against its kernel's tree"));
        }
    }

    /// What each entry says has a meaning.
    fn fields(&mut self, layout: Layout) {
        let bytes = self.table.entries.bytes(self.image).unwrap_or(&[]);
        let mut found = Vec::new();
        let module = self.image.kind() == Kind::Module;
        let mut before = None;
        for (index, entry) in bytes.as_chunks::<SIZE>().0.iter().enumerate() {
            let entry = decode(entry);
            let ip = self.table.ips.get(index);
            // Of several entries of a place the unwinder takes the last; the end of an object without data
            // (`orc_sort_cmp`) may only stand before the data of what follows.
            if let Some((at, first)) = before.replace((ip, entry))
                && at == ip
                && !module
                && layout.frame(first) != Frame::Undefined
            {
                let message =
                    "a second entry for one place: the first, which knows the frame, is never found";
                found.push(self.error("orc/order", index, message.to_owned()));
            }
            if let Some((rule, message, line)) = wrong(layout, entry) {
                let finding = self.error(rule, index, message);
                found.push(match line {
                    Some(line) => finding.at_boot_when(line, false, "a stack is unwound through this place"),
                    None => finding,
                });
            }
        }
        self.report.findings.append(&mut found);
        self.proved("registers, types and offsets that the unwinder knows");
    }

    /// At a return nothing is left of the function's frame.
    fn returns(&mut self, layout: Layout) {
        let Some(sites) = returns(self.context) else {
            return self.report.skipped.push("no return sites to compare the frames with".into());
        };
        let mut found = Vec::new();
        for site in sites {
            let Some(index) = self.table.index_at(site) else { continue };
            let Some(entry) = self.table.entry(self.image, index) else { continue };
            let at_return = match layout.frame(entry) {
                Frame::Call => entry.sp_offset == 8 && layout.register(entry.sp_reg()) == Some("sp"),
                _ => true,
            };
            if !at_return {
                let message = format!(
                    "at the return at {} the entry finds the previous stack pointer at {}{:+}, expected sp+8",
                    place(self.image, site),
                    layout.register(entry.sp_reg()).unwrap_or("?"),
                    entry.sp_offset
                );
                found.push(self.error("orc/return", index, message).with("return", site));
            }
        }
        // Several returns may share an entry.
        found.dedup_by_key(|finding| finding.index);
        self.report.findings.append(&mut found);
        self.proved("the frame is gone at every return");
    }

    /// How many functions have no entry that knows anything.
    fn functions(&mut self, layout: Layout) {
        let symbols = self.image.symbols();
        let functions = symbols.iter().filter(|s| s.kind == kvet_image::SymbolKind::Function && s.size != 0);
        let (mut all, mut without) = (0u64, 0u64);
        for function in functions {
            let Some(index) = self.table.index_at(function.addr) else { return };
            let Some(entry) = self.table.entry(self.image, index) else { continue };
            all += 1;
            without += u64::from(layout.frame(entry) == Frame::Undefined);
        }
        if without != 0 {
            let sentence = format!(
                "{without} of {all} functions have no unwind data (assembly, or objects that objtool leaves out)"
            );
            self.report.skipped.push(sentence);
        }
    }
}

/// The return sites, by address.
fn returns(context: &Context<'_>) -> Option<Vec<VirtAddr>> {
    let bounds = Bounds::locate(context.image, ".return_sites", "__return_sites", "__return_sites_end")?;
    let (mut sites, _) = crate::lists::distances(bounds.bytes(context.image)?, bounds.start);
    sites.sort();
    Some(sites)
}

/// What has no meaning in an entry: the rule, the sentence, and what the unwinder says.
fn wrong(layout: Layout, entry: Entry) -> Option<(&'static str, String, Option<String>)> {
    let (sp, bp) = (entry.sp_reg(), entry.bp_reg());
    if entry.fields & layout.unused() != 0 {
        let message = format!("bits that no field has are set: {:#06x}", entry.fields);
        return Some(("orc/fields", message, None));
    }
    let frame = layout.frame(entry);
    if matches!(frame, Frame::Undefined | Frame::EndOfStack) {
        // The unwinder looks no further; objtool leaves the rest zero.
        let rest = entry.sp_offset != 0 || entry.bp_offset != 0 || entry.fields & 0xff != 0;
        return rest.then(|| {
            let message = "an entry without a frame has registers or offsets".to_owned();
            ("orc/fields", message, None)
        });
    }
    if let Frame::Unknown(kind) = frame {
        let line = format!("WARNING: unknown .orc_unwind entry type {kind} at ");
        return Some(("orc/type", format!("type {kind}, which no kernel has"), Some(line)));
    }
    if !layout.is_sp_base(sp) {
        let line = format!("WARNING: unknown SP base reg {sp} at ");
        let message =
            format!("the stack pointer's base is register {sp}, from which the unwinder finds none");
        return Some(("orc/register", message, Some(line)));
    }
    if !layout.is_bp_base(bp) {
        let line = format!("WARNING: unknown BP base reg {bp} for ip ");
        let message =
            format!("the frame pointer's base is register {bp}, from which the unwinder finds none");
        return Some(("orc/register", message, Some(line)));
    }
    if entry.sp_offset % 8 != 0 || entry.bp_offset % 8 != 0 {
        let message = format!(
            "offsets {} and {}, expected multiples of 8: the stack holds whole words",
            entry.sp_offset, entry.bp_offset
        );
        return Some(("orc/offset", message, None));
    }
    (bp == 0 && entry.bp_offset != 0).then(|| {
        let message = format!("a frame pointer's offset {} without its base register", entry.bp_offset);
        ("orc/offset", message, None)
    })
}
