//! Variables of DATASECs: sizes, doubles, and agreement with the symbols of `.data..percpu`.

use std::collections::HashMap;

use kvet_finding::{Finding, Severity};

use super::{Facts, Report, variable};
use crate::{Btf, Kind, SecInfo, Type};

/// One symbol of `.data..percpu`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PerCpuSymbol<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it begins, in bytes from the section's start.
    pub offset: u64,
    /// Its size in bytes; 0 when the table has none (kallsyms).
    pub size: u64,
    /// Bound globally or weakly.
    pub global: bool,
}

/// The symbols of `.data..percpu`, and what may be concluded from them.
#[derive(Clone, Debug)]
pub struct PerCpu<'a> {
    /// In order of offset.
    pub symbols: Vec<PerCpuSymbol<'a>>,
    /// They are the linker's own, with sizes and binding; not kallsyms'.
    pub from_elf: bool,
}

/// A problem is shown this often.
const SHOWN: usize = 20;

fn sections<'b, 'a>(btf: &'b Btf<'a>) -> impl Iterator<Item = Type<'a>> + 'b {
    btf.types().filter(|t| t.kind() == Kind::Datasec)
}

/// Variables of zero size, of another size than their type, and global ones that are there twice.
pub(crate) fn variables(btf: &Btf<'_>, facts: &Facts<'_>, report: &mut Report) {
    let (mut count, mut shown) = (0_u64, 0);
    for section in sections(btf) {
        let mut globals = HashMap::new();
        for entry in section.entries() {
            let Some(var) = btf.get(entry.var).filter(|v| v.kind() == Kind::Var) else { continue };
            count += 1;
            let found = size(btf, section, entry, var, facts).or_else(|| {
                let double = var.linkage() == 1 && globals.insert(var.name_off(), var.id).is_some();
                double.then(|| double_finding(btf, section, var))
            });
            if let Some(finding) = found
                && shown < SHOWN
            {
                shown += 1;
                report.findings.push(finding);
            }
        }
    }
    if count > 0 && shown == 0 {
        report.proved.push(format!("{count} per-CPU variables apart, in order, of their types' size"));
    }
}

fn double_finding(btf: &Btf<'_>, section: Type<'_>, var: Type<'_>) -> Finding {
    Finding::new(
        "btf/duplicate-variable",
        Severity::Warning,
        format!(
            "DATASEC {}: two global variables are named {}; the second is [{}] `{}`",
            btf.display_name(section.name_off()),
            btf.display_name(var.name_off()),
            var.id,
            variable(btf, var)
        ),
    )
    .index(u64::from(var.id))
}

fn size(
    btf: &Btf<'_>,
    section: Type<'_>,
    entry: SecInfo,
    var: Type<'_>,
    facts: &Facts<'_>,
) -> Option<Finding> {
    let size = btf.size_of(var.target())?;
    let name = btf.display_name(section.name_off());
    if size == 0 {
        let by = match facts.pahole {
            Some(version) if version < 122 => format!(
                "pahole {} (CONFIG_PAHOLE_VERSION={version}), which is older than 1.22, writes such entries",
                super::describe::pahole_name(version)
            ),
            Some(_) => "pahole 1.22 and newer leave such variables out".to_owned(),
            None => "a trace of pahole before 1.22: newer ones leave such variables out".to_owned(),
        };
        return Some(
            Finding::new(
                "btf/zero-sized-variable",
                Severity::Warning,
                format!(
                    "DATASEC {name}: [{}] `{}` has a type of zero size, and an entry of {} bytes at {}; {by}",
                    var.id,
                    variable(btf, var),
                    entry.size,
                    entry.offset
                ),
            )
            .index(u64::from(var.id))
            .advice("build with pahole 1.22 or newer, before another variable at the same offset makes the BTF invalid"),
        );
    }
    // A flexible array at the end has elements in the variable that its type does not count.
    if u64::from(entry.size) < size {
        return Some(
            Finding::new(
                "btf/datasec-size",
                Severity::Error,
                format!(
                    "DATASEC {name}: [{}] `{}` has a type of {size} bytes, and an entry of {} at {}",
                    var.id,
                    variable(btf, var),
                    entry.size,
                    entry.offset
                ),
            )
            .index(u64::from(var.id)),
        );
    }
    None
}

/// Every entry of `.data..percpu` is a symbol of that name, place, size and binding.
pub(crate) fn symbols(btf: &Btf<'_>, facts: &Facts<'_>, report: &mut Report) {
    let Some(section) = sections(btf).find(|t| btf.name(t.name_off()) == b".data..percpu") else { return };
    let Some(per_cpu) = facts.per_cpu.filter(|p| !p.symbols.is_empty()) else {
        report.skipped.push(
            "per-CPU variables were not compared with symbols: the image has none in .data..percpu"
                .to_owned(),
        );
        return;
    };
    let mut by_place: HashMap<(u64, &[u8]), &PerCpuSymbol<'_>> = HashMap::new();
    for symbol in &per_cpu.symbols {
        by_place.entry((symbol.offset, symbol.name.as_bytes())).or_insert(symbol);
    }
    let (mut right, mut wrong) = (0_u64, 0);
    for entry in section.entries() {
        let Some(var) = btf.get(entry.var).filter(|v| v.kind() == Kind::Var) else { continue };
        let symbol = by_place.get(&(u64::from(entry.offset), btf.name(var.name_off()))).copied();
        if symbol.is_some_and(|symbol| !per_cpu.from_elf || differences(entry, var, symbol).is_none()) {
            right += 1;
            continue;
        }
        wrong += 1;
        if wrong > SHOWN {
            continue;
        }
        let message = match symbol {
            Some(symbol) => differences(entry, var, symbol).unwrap_or_default(),
            None => elsewhere(btf, entry, var, per_cpu),
        };
        report.findings.push(
            Finding::new(
                "btf/percpu-symbol",
                if per_cpu.from_elf { Severity::Error } else { Severity::Warning },
                format!("DATASEC .data..percpu: [{}] `{}`: {message}", var.id, variable(btf, var)),
            )
            .index(u64::from(var.id))
            .with(
                "breaks",
                "BPF programs that read this variable (bpf_per_cpu_ptr): they get another one's bytes",
            )
            .advice("the BTF belongs to another link of this kernel: rebuild vmlinux from clean objects"),
        );
    }
    if wrong == 0 {
        let of = if per_cpu.from_elf { "name, offset, size and binding" } else { "name and offset" };
        report.proved.push(format!("{right} per-CPU variables agree with their symbols in {of}"));
    } else if wrong > SHOWN {
        report.skipped.push(format!("{} more per-CPU variables disagree with their symbols", wrong - SHOWN));
    }
}

/// What a variable's symbol, of its name and at its place, says otherwise.
fn differences(entry: SecInfo, var: Type<'_>, symbol: &PerCpuSymbol<'_>) -> Option<String> {
    if symbol.size != u64::from(entry.size) {
        return Some(format!("the entry has {} bytes, the symbol {}", entry.size, symbol.size));
    }
    let global = var.linkage() == 1;
    let words = |global| if global { "global" } else { "static" };
    (symbol.global != global)
        .then(|| format!("the entry is {}, the symbol {}", words(global), words(symbol.global)))
}

/// What there is instead of a symbol of a variable's name at its place.
fn elsewhere(btf: &Btf<'_>, entry: SecInfo, var: Type<'_>, per_cpu: &PerCpu<'_>) -> String {
    let (name, offset) = (btf.name(var.name_off()), u64::from(entry.offset));
    if let Some(symbol) = per_cpu.symbols.iter().find(|s| s.name.as_bytes() == name) {
        return format!("the entry says offset {offset}, the symbol says {}", symbol.offset);
    }
    let first = per_cpu.symbols.partition_point(|s| s.offset < offset);
    let here = per_cpu.symbols[first..].iter().take_while(|s| s.offset == offset);
    let others: Vec<&str> = here.map(|s| s.name).take(8).collect();
    match others.as_slice() {
        [] => format!("there is no symbol at offset {offset}, and none of that name"),
        others => format!("the symbol at offset {offset} is {}", others.join(", ")),
    }
}
