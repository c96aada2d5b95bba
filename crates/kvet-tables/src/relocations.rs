//! A module's relocations, as far as its loader would refuse to apply them.
//!
//! `Image` applies a module's relocations when it opens it and keeps what the loader would stumble over; here that
//! is told in the loader's words: kernel/module/main.c (`simplify_symbols`, `apply_relocations`) and
//! arch/{x86,arm64}/kernel/module.c (`apply_relocate_add`) of 5.10, 6.1, 6.12 and 7.3. Addresses that only a
//! running kernel has stand as `...` in its lines.

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Image, Kind, LoadFault, RelocationFault, RelocationTrouble};

use crate::release::{self, Version};
use crate::{Context, LocatedBy, Table, TableReport};

/// The table `relocations`.
pub struct Relocations;

const NAME: &str = "relocations";

impl Table for Relocations {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        if image.kind() != Kind::Module {
            return None;
        }
        let mut report = TableReport::new(NAME, Some(LocatedBy::Section(".rela*".to_owned())));
        report.entries = image.relocation_count();
        let words = Words::of(image);
        for (i, fault) in image.load_faults().iter().enumerate() {
            let finding = words.finding(fault);
            // The loader stops at the first.
            let finding = if i == 0 { words.at_load(finding, fault) } else { finding };
            report.findings.push(match fault {
                LoadFault::Relocation(fault) => finding.at(image, fault.addr),
                _ => finding,
            });
        }
        if report.findings.is_empty() {
            report.proved.push("known to the loader, inside their sections, of values that fit".to_owned());
        }
        Some(report)
    }
}

/// How the loader of one architecture and version words it.
struct Words<'a> {
    module: &'a str,
    arch: Arch,
    version: Option<Version>,
}

impl<'a> Words<'a> {
    fn of(image: &'a Image) -> Words<'a> {
        Words {
            module: image.module_name().unwrap_or("%s"),
            arch: image.arch(),
            version: release::version(image),
        }
    }

    fn since(&self, version: Version) -> bool {
        self.version.is_none_or(|own| own >= version)
    }

    fn finding(&self, fault: &LoadFault) -> Finding {
        let (rule, message) = match fault {
            LoadFault::Relocation(fault) => return relocation(fault),
            LoadFault::RelWithoutAddend { section } => (
                "relocations/without-addend",
                format!(
                    "{section} has relocations without addends (SHT_REL), which this architecture has not"
                ),
            ),
            LoadFault::CommonSymbol { name } => (
                "relocations/common-symbol",
                format!("{name} is a common symbol: it has no place in the module"),
            ),
            LoadFault::SymbolSection { name, section, largest } => (
                "relocations/symbol-section",
                format!(
                    "the symbol {name} is in section {section}, and the file has sections up to {largest}"
                ),
            ),
            other => ("relocations/load", format!("the loader refuses the module: {other:?}")),
        };
        Finding::new(rule, Severity::Error, message).advice(ADVICE)
    }

    fn at_load(&self, finding: Finding, fault: &LoadFault) -> Finding {
        match self.line(fault) {
            Some(line) => finding
                .at_boot_when(line, true, "when the module is loaded")
                .ending("the module is refused (-ENOEXEC)"),
            None => finding,
        }
    }

    /// What the loader prints; `None` where it looks at nothing and goes on, or wrong.
    fn line(&self, fault: &LoadFault) -> Option<String> {
        let module = self.module;
        Some(match fault {
            LoadFault::Relocation(fault) => self.relocation_line(fault)?,
            LoadFault::RelWithoutAddend { .. } => format!("module {module}: REL relocation unsupported"),
            LoadFault::CommonSymbol { .. } => format!("{module}: please compile with -fno-common"),
            // Since 6.1; before, it reads past its section headers.
            LoadFault::SymbolSection { name, section, largest } if self.since((6, 1)) => {
                format!("{module}: Symbol {name} has an invalid section index {section} (max {largest})")
            }
            _ => return None,
        })
    }

    fn relocation_line(&self, fault: &RelocationFault) -> Option<String> {
        let (module, kind, table, index) = (self.module, fault.kind, fault.table, fault.index);
        Some(match (self.arch, fault.trouble) {
            (Arch::X86_64, RelocationTrouble::UnknownType) => {
                format!("module: {module}: Unknown rela relocation: {kind}")
            }
            (Arch::X86_64, RelocationTrouble::NonZeroTarget) if self.since((7, 0)) => format!(
                "module: x86/modules: Invalid relocation target, existing value is nonzero for sec {table}, idx \
                 {index}, type {kind}, loc ..., val ..."
            ),
            (Arch::X86_64, RelocationTrouble::NonZeroTarget) => {
                let words = if self.since((6, 3)) { "Invalid" } else { "Skipping invalid" };
                format!(
                    "module: x86/modules: {words} relocation target, existing value is nonzero for type {kind}, \
                     loc ..., val ..."
                )
            }
            (Arch::X86_64, RelocationTrouble::Overflow) => {
                let place =
                    if self.since((7, 0)) { format!(" sec {table} idx {index}") } else { String::new() };
                format!(
                    "module: overflow in relocation type {kind} val ...{place}\n\
                     module: `{module}' likely not compiled with -mcmodel=kernel"
                )
            }
            (Arch::Arm64, RelocationTrouble::UnknownType) => {
                format!("{}module {module}: unsupported RELA relocation: {kind}", self.arm64_prefix())
            }
            (Arch::Arm64, RelocationTrouble::Overflow) => {
                format!("{}module {module}: overflow in relocation type {kind} val ...", self.arm64_prefix())
            }
            _ => return None,
        })
    }

    /// `pr_fmt` of arch/arm64/kernel/module.c, in 7.3 and not in 6.12.
    fn arm64_prefix(&self) -> &'static str {
        if self.since((7, 0)) { "Modules: " } else { "" }
    }
}

const ADVICE: &str =
    "build the module again with the kernel's own build system (make M=...), and strip it with nothing else";

fn relocation(fault: &RelocationFault) -> Finding {
    let (rule, wrong) = match fault.trouble {
        RelocationTrouble::UnknownType => ("relocations/type", "is of a type that the loader does not know"),
        RelocationTrouble::NonZeroTarget => (
            "relocations/nonzero-target",
            "is for a field that is not zero, which the loader takes for a module relocated before",
        ),
        RelocationTrouble::Overflow => ("relocations/overflow", "has a value that its field cannot hold"),
        RelocationTrouble::OutsideSection => (
            "relocations/outside-section",
            "is for a field outside its section: the loader writes there unasked",
        ),
        RelocationTrouble::NoSuchSymbol => {
            ("relocations/symbol", "names a symbol that the symbol table does not have")
        }
        _ => ("relocations/load", "cannot be applied"),
    };
    Finding::new(
        rule,
        Severity::Error,
        format!(
            "relocation {} of section {}, which changes {}, {wrong}",
            fault.index, fault.table, fault.section
        ),
    )
    .index(fault.index)
    .with("type", u64::from(fault.kind))
    .advice(ADVICE)
}

#[cfg(test)]
mod tests {
    use kvet_image::VirtAddr;

    use super::*;

    fn fault(trouble: RelocationTrouble) -> LoadFault {
        LoadFault::Relocation(RelocationFault {
            trouble,
            section: ".text".into(),
            table: 4,
            index: 17,
            kind: 11,
            addr: VirtAddr(0x1000),
            value: 7,
        })
    }

    fn words(arch: Arch, version: Version) -> Words<'static> {
        Words { module: "efivarfs", arch, version: Some(version) }
    }

    #[test]
    fn each_fault_has_the_loaders_words() {
        use RelocationTrouble::{NonZeroTarget, OutsideSection, Overflow, UnknownType};
        let line = |arch, version, trouble| words(arch, version).line(&fault(trouble)).unwrap_or_default();
        let x86 = |version, trouble| line(Arch::X86_64, version, trouble);
        assert_eq!(x86((6, 1), UnknownType), "module: efivarfs: Unknown rela relocation: 11");
        assert_eq!(
            x86((6, 1), NonZeroTarget),
            "module: x86/modules: Skipping invalid relocation target, existing value is nonzero for type 11, loc \
             ..., val ..."
        );
        assert_eq!(
            x86((6, 12), NonZeroTarget),
            "module: x86/modules: Invalid relocation target, existing value is nonzero for type 11, loc ..., val \
             ..."
        );
        assert_eq!(
            x86((7, 3), NonZeroTarget),
            "module: x86/modules: Invalid relocation target, existing value is nonzero for sec 4, idx 17, type 11, \
             loc ..., val ..."
        );
        assert_eq!(
            x86((7, 3), Overflow),
            "module: overflow in relocation type 11 val ... sec 4 idx 17\nmodule: `efivarfs' likely not compiled \
             with -mcmodel=kernel"
        );
        assert_eq!(x86((7, 3), OutsideSection), "", "the loader does not look");
        assert_eq!(
            line(Arch::Arm64, (6, 12), Overflow),
            "module efivarfs: overflow in relocation type 11 val ..."
        );
        assert_eq!(
            line(Arch::Arm64, (7, 3), UnknownType),
            "Modules: module efivarfs: unsupported RELA relocation: 11"
        );
    }

    #[test]
    fn symbols_and_tables_have_words_too() {
        let words = words(Arch::X86_64, (6, 1));
        let lost = LoadFault::SymbolSection { name: "lost".into(), section: 200, largest: 15 };
        let finding = words.at_load(words.finding(&lost), &lost);
        assert_eq!((finding.rule, finding.severity), ("relocations/symbol-section", Severity::Error));
        let boot = finding.at_boot.expect("the loader speaks of it");
        assert_eq!(boot.line, "efivarfs: Symbol lost has an invalid section index 200 (max 15)");
        assert!(boot.fatal);
        let common = LoadFault::CommonSymbol { name: "x".into() };
        assert_eq!(words.line(&common).as_deref(), Some("efivarfs: please compile with -fno-common"));
        let rel = LoadFault::RelWithoutAddend { section: ".data".into() };
        assert_eq!(words.line(&rel).as_deref(), Some("module efivarfs: REL relocation unsupported"));
    }
}
