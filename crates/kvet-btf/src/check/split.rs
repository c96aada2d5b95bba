//! Whether split BTF was built from this base.

use kvet_finding::{Finding, Severity};

use super::describe::{THIS_MODULE, refused_module};
use super::{Base, Report};
use crate::kernel::Options;
use crate::kernel::relocate::Refusal;
use crate::{Btf, Kind};

/// Split BTF refers to its base's strings from their first byte, since whole strings are shared. Against
/// another base its offsets fall into the middle of words; then this reports so and returns true.
pub(crate) fn base_mismatch(btf: &Btf<'_>, module: &str, report: &mut Report) -> bool {
    let Some(base) = btf.base() else { return false };
    let strings = base.strings();
    let (mut all, mut torn) = (0_u64, 0_u64);
    let mut example = None;
    let mut see = |offset: u32| {
        if offset == 0 || offset >= btf.start_str() {
            return;
        }
        all += 1;
        if strings.get(offset as usize - 1) != Some(&0) {
            torn += 1;
            example.get_or_insert(offset);
        }
    };
    for t in btf.types() {
        see(t.name_off());
        match t.kind() {
            Kind::Struct | Kind::Union => t.members().for_each(|m| see(m.name_off)),
            Kind::Enum | Kind::Enum64 => t.values().for_each(|v| see(v.name_off)),
            Kind::FuncProto => t.params().for_each(|p| see(p.name_off)),
            _ => {}
        }
    }
    let Some(example) = example else {
        if all > 0 {
            report.proved.push(format!("{all} names shared with the base begin where its names begin"));
        }
        return false;
    };
    report.findings.push(
        Finding::new(
            "btf/base-mismatch",
            Severity::Error,
            format!(
                "module {module} was not built with this vmlinux: {torn} of {all} names that it shares with its \
                 base begin in the middle of one (offset {example} reads \"{}\")",
                btf.display_name(example)
            ),
        )
        .with("breaks", "this module's BTF: it is refused, or BPF reads its types wrongly")
        .advice("give the vmlinux that the module was built with, or rebuild the module against this one"),
    );
    true
}

/// A distilled base that this kernel cannot stand in for.
pub(crate) fn not_relocatable(module: &str, refusal: &Refusal, options: &Options<'_>) -> Finding {
    let finding = Finding::new(
        "btf/distilled-base",
        Severity::Error,
        format!("module {module} does not fit this kernel: {}", refusal.line),
    )
    .with("breaks", THIS_MODULE)
    .with("errno", refusal.errno.to_string())
    .advice("rebuild the module against this kernel: a type it embeds is gone, renamed, or of another size");
    refused_module(finding, vec![refusal.line.clone()], module, refusal.errno, options)
}

/// The kernel refuses its own BTF, and therefore every module's (`btf_parse_module` asks for it first).
pub(crate) fn refused_base(module: &str, kernel: &Base<'_>, options: &Options<'_>, report: &mut Report) {
    let Some(refused) = &kernel.solved.refused else { return };
    let finding = Finding::new(
        "btf/refused-kernel",
        Severity::Error,
        format!(
            "module {module} is refused whatever it holds, because its kernel's own BTF is ({}); `kvet check` of the \
             kernel says why",
            refused.line.trim()
        ),
    )
    .with("breaks", "this module, and every other one that carries BTF")
    .with("errno", refused.errno.to_string())
    .advice("rebuild the kernel's BTF; the module itself was not looked at");
    report.findings.push(refused_module(finding, Vec::new(), module, refused.errno, options));
}
