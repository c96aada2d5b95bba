//! A failed check as a finding: what is wrong in words and in C, what it breaks, what the kernel prints.

use std::cell::Cell;

use kvet_finding::{Finding, Severity, Value};

use super::{Outcome, Report, variable};
use crate::btf::{Btf, Member, SecInfo, Type};
use crate::kernel::{Errno, Fail, MAX_LOAD_SIZE, Options, Phase, Site, Verdict, closing_line};
use crate::raw::Kind;

/// Whose BTF it is, and with that who reads it, when, and what a refusal breaks.
pub(crate) enum Who<'r> {
    /// A kernel's own.
    Kernel,
    /// User space's; `own` is what the kernel would say if it were its own, where there is a difference to tell.
    Loader { own: Option<Verdict> },
    /// A module's.
    Module { name: &'r str },
    /// A module's `.BTF.base`.
    DistilledBase { name: &'r str },
}

pub(crate) struct Reader<'r, 'a> {
    outcome: &'r Outcome<'a>,
    who: Who<'r>,
    options: &'r Options<'r>,
    /// CONFIG_PAHOLE_VERSION.
    pahole: Option<u32>,
    /// For how many overlapping entries the one before is still looked for: each look reads the section.
    looks: Cell<u32>,
}

/// As many as anyone reads.
const LOOKS_MAX: u32 = 50;

impl<'r, 'a> Reader<'r, 'a> {
    pub(crate) fn new(outcome: &'r Outcome<'a>, who: Who<'r>, options: &'r Options<'r>) -> Reader<'r, 'a> {
        Reader { outcome, who, options, pahole: None, looks: Cell::new(LOOKS_MAX) }
    }

    pub(crate) fn with_pahole(self, pahole: Option<u32>) -> Reader<'r, 'a> {
        Reader { pahole, ..self }
    }

    /// One finding for each failed check.
    pub(crate) fn describe(&self, report: &mut Report) {
        for (i, fail) in self.outcome.fails.iter().enumerate() {
            let mut finding = self.finding(fail);
            if i < self.outcome.own {
                finding = finding.with("breaks", self.breaks());
            }
            if i == 0 && self.outcome.own > 0 {
                finding = self.at_boot(finding.with("errno", fail.errno.to_string()), fail.errno);
            }
            report.findings.push(finding);
        }
        if self.outcome.more {
            report
                .skipped
                .push(format!("after {} failed checks the rest was not reported", self.outcome.fails.len()));
        }
    }

    fn breaks(&self) -> String {
        match &self.who {
            Who::Module { .. } | Who::DistilledBase { .. } => THIS_MODULE.to_owned(),
            Who::Kernel => all_of_bpf(self.options).to_owned(),
            Who::Loader { own } => match own.as_ref().and_then(Verdict::errno) {
                Some(_) => {
                    format!(
                        "bpf(BPF_BTF_LOAD); and, where it is a kernel's own, {}",
                        all_of_bpf(self.options)
                    )
                }
                None => "bpf(BPF_BTF_LOAD); a kernel takes it as its own, which it checks less".to_owned(),
            },
        }
    }

    fn at_boot(&self, finding: Finding, errno: Errno) -> Finding {
        match &self.who {
            Who::Module { name } | Who::DistilledBase { name } => {
                refused_module(finding, self.outcome.lines.clone(), name, errno, self.options)
            }
            Who::Kernel if !self.options.rules.modules => finding
                .at_boot_when(
                    self.outcome.lines.join("\n"),
                    true,
                    "when a BPF program that needs BTF is loaded",
                )
                .ending("BPF has no BTF"),
            Who::Kernel => {
                let mut lines = self.outcome.lines.clone();
                lines.push(closing_line("%s", errno, self.options));
                finding
                    .at_boot_when(
                        lines.join("\n"),
                        true,
                        "when BPF first needs BTF (with registered kfuncs in every boot), and the last line when \
                         a module with BTF is loaded, %s being its name",
                    )
                    .ending(if self.options.mismatch_allowed {
                        "BPF has no BTF, neither the kernel's nor any module's"
                    } else {
                        "BPF has no BTF, and modules with BTF are refused, unless CONFIG_MODULE_ALLOW_BTF_MISMATCH is set"
                    })
            }
            Who::Loader { own } => with_console(finding, own.as_ref(), self.options)
                .at_boot_when(
                    self.outcome.lines.join("\n"),
                    true,
                    "when bpf(BPF_BTF_LOAD) is given it, in its log",
                )
                .ending(format!("the call fails with {errno}")),
        }
    }

    fn finding(&self, fail: &Fail<'_>) -> Finding {
        if let (Who::Loader { .. }, Errno::E2BIG, "", Phase::Meta) =
            (&self.who, fail.errno, &*fail.reason, fail.phase)
        {
            return Finding::new(
                "btf/size",
                Severity::Error,
                format!(
                    "the BTF has more than the {MAX_LOAD_SIZE} bytes that bpf(BPF_BTF_LOAD) takes, which says no word"
                ),
            );
        }
        let Some(btf) = &self.outcome.btf else {
            return Finding::new(
                "btf/header",
                Severity::Error,
                match &*fail.reason {
                    "" => format!("the BTF cannot be read: {}", fail.errno),
                    reason => format!("the BTF cannot be read: {reason}"),
                },
            )
            .with("kernel's reason", fail.reason.clone().into_owned())
            .advice(REBUILD);
        };
        let finding = match fail.site {
            Site::Entry(sec, entry) => self.entry(btf, sec, entry, fail),
            Site::Member(t, member) => member_finding(btf, t, member, fail),
            Site::Basic(t) | Site::Details(t) => type_finding(btf, t, fail),
            Site::Plain | Site::Silent => plain_finding(btf, fail),
        };
        let finding = if fail.id != 0 { finding.index(u64::from(fail.id)) } else { finding };
        let finding = match btf.offset_of(crate::TypeId(fail.id)) {
            Some(offset) if fail.id != 0 => finding.with("offset in the BTF", offset),
            _ => finding,
        };
        let finding = match fail.reason.trim_start() {
            "" => finding,
            reason => finding.with("kernel's reason", reason.to_owned()),
        };
        if finding.advice.is_some() { finding } else { finding.advice(REBUILD) }
    }

    /// A DATASEC's entry: the place where old pahole shows.
    fn entry(&self, btf: &Btf<'_>, sec: Type<'_>, entry: SecInfo, fail: &Fail<'_>) -> Finding {
        let section = btf.display_name(sec.name_off());
        let what = describe_entry(btf, entry);
        let rule = match (&*fail.reason, fail.phase) {
            ("Invalid offset", _) => "btf/datasec-offset",
            ("Invalid size" | "Invalid offset+size", _) => "btf/datasec-size",
            ("Not a VAR kind member", _) => "btf/datasec-variable",
            _ => "btf/reference",
        };
        let left = self.looks.get();
        if rule == "btf/datasec-offset" && left > 0 {
            self.looks.set(left - 1);
        }
        if rule == "btf/datasec-offset"
            && left > 0
            && let Some(before) = entry_before(sec, entry)
        {
            return self.overlap(btf, &section, before, entry, sec.size());
        }
        let wrong = match &*fail.reason {
            "Invalid offset" if entry.offset < sec.size() => {
                "begins before an earlier one has ended".to_owned()
            }
            "Invalid offset" => format!("begins past the section's {} bytes", sec.size()),
            "Invalid size" if fail.phase == Phase::Resolve => "has fewer bytes than its type".to_owned(),
            "Invalid size" => format!("has a size of 0 or more than the section's {}", sec.size()),
            "Invalid offset+size" => format!("ends past the section's {} bytes", sec.size()),
            "Not a VAR kind member" => "is no variable".to_owned(),
            other => format!("is refused: {other}"),
        };
        Finding::new(rule, Severity::Error, format!("DATASEC {section}: {what} {wrong}"))
    }

    fn overlap(&self, btf: &Btf<'_>, section: &str, before: SecInfo, entry: SecInfo, size: u32) -> Finding {
        let end = u64::from(before.offset) + u64::from(before.size);
        let mut finding = Finding::new(
            "btf/datasec-offset",
            Severity::Error,
            format!(
                "DATASEC {section}: {} begins before {} has ended, which is at {end}{}",
                describe_entry(btf, entry),
                describe_entry(btf, before),
                if u64::from(entry.offset) >= u64::from(size) { ", and past the section's end" } else { "" },
            ),
        )
        .with("first variable", describe_entry(btf, before))
        .with("second variable", describe_entry(btf, entry));
        if before.offset != entry.offset {
            return finding;
        }
        let zero = [before, entry].iter().filter_map(|e| size_of(btf, e)).any(|size| size == 0);
        finding = finding.with("cause", if zero { self.old_pahole() } else { self.other_pahole() });
        if !zero {
            return finding;
        }
        finding.advice(
            "build with pahole 1.22 or newer, which leaves variables of zero size out, or keep the per-CPU variable \
             from being empty",
        )
    }

    /// Why two variables are at one place, one of which has zero size.
    fn old_pahole(&self) -> String {
        match self.pahole {
            Some(version) if version < 122 => format!(
                "pahole {} wrote this BTF (CONFIG_PAHOLE_VERSION={version}): before 1.22 it describes a per-CPU variable \
                 of zero size with the size of the next one at its address",
                pahole_name(version)
            ),
            _ => "a per-CPU variable of zero size, described with the size of the next one at its address: the work \
                  of pahole before 1.22"
                .to_owned(),
        }
    }

    /// Why two variables are at one place that both have a size.
    fn other_pahole(&self) -> String {
        let writer = match self.pahole {
            Some(version) => {
                format!("pahole {} (CONFIG_PAHOLE_VERSION={version})", pahole_name(version))
            }
            None => "pahole".to_owned(),
        };
        format!(
            "neither has zero size, so this is not what pahole before 1.22 makes of an empty per-CPU variable: {writer} \
             took one of them for the other's neighbour, or the BTF was changed after it was written"
        )
    }
}

const REBUILD: &str =
    "rebuild the BTF: pahole writes it after the link; a damaged copy of the file is the other cause";

pub(crate) const THIS_MODULE: &str = "this module's BTF: it is refused";

/// What a kernel would print if the BTF were its own.
fn with_console(finding: Finding, own: Option<&Verdict>, options: &Options<'_>) -> Finding {
    let Some((own, errno)) = own.and_then(|own| Some((own, own.errno()?))) else { return finding };
    let mut lines = own.console();
    if options.rules.modules {
        lines.push(closing_line("%s", errno, options));
    }
    let lines = lines.iter().map(|line| line.trim_end().to_owned()).collect();
    finding.with("on the console of a kernel whose own it is", Value::Lines(lines))
}

/// What a kernel loses that refuses its own BTF. Before 5.11 modules carry none.
fn all_of_bpf(options: &Options<'_>) -> &'static str {
    if options.rules.modules { ALL_OF_BPF } else { "BPF (programs with BTF, tracing, struct_ops, iterators)" }
}

const ALL_OF_BPF: &str = "BPF (programs with BTF, tracing, struct_ops, iterators), and every module that carries BTF: each is refused";

/// Says what the kernel prints when it refuses a module's BTF, and what becomes of the module.
pub(crate) fn refused_module(
    finding: Finding,
    mut lines: Vec<String>,
    name: &str,
    errno: Errno,
    options: &Options<'_>,
) -> Finding {
    lines.push(closing_line(name, errno, options));
    let (fatal, end) = if options.mismatch_allowed {
        (false, "the module is loaded without its BTF: CONFIG_MODULE_ALLOW_BTF_MISMATCH is set")
    } else {
        (true, "the module is refused, unless CONFIG_MODULE_ALLOW_BTF_MISMATCH is set")
    };
    finding.at_boot_when(lines.join("\n"), fatal, "when the module is loaded").ending(end)
}

/// 124 as 1.24.
pub(crate) fn pahole_name(version: u32) -> String {
    format!("{}.{:02}", version / 100, version % 100)
}

/// The entry that the kernel compared an entry with: the last one before it that was in order.
fn entry_before(sec: Type<'_>, entry: SecInfo) -> Option<SecInfo> {
    let mut last: Option<SecInfo> = None;
    for e in sec.entries() {
        let end = last.map_or(0, |l| u64::from(l.offset) + u64::from(l.size));
        if e == entry && u64::from(e.offset) < end {
            return last;
        }
        if u64::from(e.offset) >= end && e.offset < sec.size() && e.size != 0 {
            last = Some(e);
        }
    }
    None
}

/// `[27753] VAR numa_node, static struct pagesets numa_node, 0 bytes, at 163976 with size 4`.
fn describe_entry(btf: &Btf<'_>, entry: SecInfo) -> String {
    let place = format!("at {} with size {}", entry.offset, entry.size);
    let Some(var) = btf.get(entry.var) else {
        return format!("the entry of type [{}], which does not exist, {place}", entry.var.0);
    };
    let size = match size_of(btf, &entry) {
        Some(1) => " of 1 byte".to_owned(),
        Some(size) => format!(" of {size} bytes"),
        None => String::new(),
    };
    format!(
        "[{}] {} {} (`{}`, a type{size}) {place}",
        var.id,
        var.kind().as_str(),
        btf.display_name(var.name_off()),
        variable(btf, var)
    )
}

fn size_of(btf: &Btf<'_>, entry: &SecInfo) -> Option<u64> {
    let var = btf.get(entry.var).filter(|v| v.kind() == Kind::Var)?;
    btf.size_of(var.target())
}

fn member_finding(btf: &Btf<'_>, t: Type<'_>, m: Member, fail: &Fail<'_>) -> Finding {
    let name = btf.display_name(m.name_off);
    let owner = btf.c_type(t.id());
    let (rule, wrong) = match &*fail.reason {
        r if r.starts_with("Invalid member name_offset") || r == "Invalid name" => {
            ("btf/name", format!("its name, at string offset {}, is no C identifier", m.name_off))
        }
        "Invalid type_id" => ("btf/reference", format!("its type id is {}", m.target.0)),
        "Invalid member" => {
            ("btf/reference", format!("its type [{}] does not exist or has no size", m.target.0))
        }
        "Invalid member bits_offset" => (
            "btf/member-offset",
            format!("it begins at bit {}, before the member that precedes it", m.bit_offset()),
        ),
        "Member bits_offset exceeds its struct size" => (
            "btf/member-offset",
            format!("it begins at bit {}, past the {} bytes of the structure", m.bit_offset(), t.size()),
        ),
        "Member exceeds struct_size" => (
            "btf/member-size",
            format!(
                "a {} at bit {} does not end within the {} bytes of the structure",
                btf.c_type(m.target),
                m.bit_offset(),
                t.size()
            ),
        ),
        other => ("btf/member", format!("the kernel says: {other}")),
    };
    Finding::new(rule, Severity::Error, format!("[{}] {owner}, member {name}: {wrong}", t.id))
}

fn type_finding(btf: &Btf<'_>, t: Type<'_>, fail: &Fail<'_>) -> Finding {
    let kind = t.kind();
    let what = match kind {
        Kind::Var => format!("VAR `{}`", variable(btf, t)),
        Kind::Func | Kind::Datasec | Kind::DeclTag | Kind::TypeTag => {
            format!("{} {}", kind.as_str(), btf.display_name(t.name_off()))
        }
        _ => format!("{} `{}`", kind.as_str(), btf.c_type(t.id())),
    };
    let reason = &*fail.reason;
    let (rule, wrong) = match reason {
        "Invalid name" | "Invalid value" => {
            ("btf/name", format!("the string at offset {} is not what this kind must be named", t.name_off()))
        }
        "Invalid type_id" => ("btf/reference", format!("it refers to [{}], which it cannot", t.target().0)),
        "Invalid elem" | "Invalid index" | "Invalid array of int" => (
            "btf/reference",
            format!("elements [{}], index [{}]: {reason}", t.array().element.0, t.array().index.0),
        ),
        "Loop detected" => ("btf/loop", "it contains or refers to itself without end".to_owned()),
        r if r.starts_with("Exceeded max resolving depth") => {
            ("btf/loop", "more than 32 types have to be followed to resolve it".to_owned())
        }
        "Invalid return type" => {
            ("btf/prototype", format!("the returned type [{}] does not exist or has no size", t.target().0))
        }
        r if r.starts_with("Invalid arg#") => (
            "btf/prototype",
            format!("parameter {} has no name, no type or no size", &r["Invalid arg#".len()..]),
        ),
        "Linkage not supported" | "Invalid func linkage" => {
            let linkage = if kind == Kind::Var { t.linkage() } else { t.vlen() };
            ("btf/linkage", format!("linkage {linkage} is neither static (0) nor global (1)"))
        }
        r if r.starts_with("meta_left") => {
            ("btf/truncated", "it runs over the end of the type section".to_owned())
        }
        r if r.contains("size") => ("btf/size", format!("size {}: {r}", t.size())),
        "Invalid btf_info kind_flag" if matches!(kind, Kind::TypeTag | Kind::DeclTag) => (
            "btf/info",
            format!("info {:#010x}: the kind flag, which makes a tag an attribute, came with 6.15", t.info()),
        ),
        "vlen != 0" | "Invalid btf_info kind_flag" => {
            ("btf/info", format!("info {:#010x}: {reason}", t.info()))
        }
        other => ("btf/type", format!("the kernel says: {other}")),
    };
    Finding::new(rule, Severity::Error, format!("[{}] {what}: {wrong}", t.id))
}

fn plain_finding(btf: &Btf<'_>, fail: &Fail<'_>) -> Finding {
    if fail.phase == Phase::Fields {
        return fields_finding(btf, fail);
    }
    let reason = fail.reason.trim_start();
    let (rule, message) = if reason.contains("Invalid kind") || reason.contains("Invalid btf_info") {
        ("btf/kind", format!("{reason}: no such type in this kernel; nothing after it can be read"))
    } else if reason.contains("name_offset") {
        ("btf/name", format!("[{}] a name lies outside the string section: {reason}", fail.id))
    } else if reason.contains("meta_left") {
        ("btf/truncated", format!("{reason}: the last type is cut off"))
    } else if reason.starts_with("Type tags") {
        ("btf/type-tag-order", format!("[{}] a type tag stands behind another modifier", fail.id))
    } else if reason.starts_with("Max chain") {
        ("btf/modifier-chain", format!("[{}] more than 32 modifiers in a row, or a circle of them", fail.id))
    } else if reason.is_empty() {
        (
            "btf/reference",
            format!("[{}] refers to a type that does not exist; the kernel prints no reason", fail.id),
        )
    } else {
        ("btf/header", format!("the BTF's frame is wrong: {reason}"))
    };
    Finding::new(rule, Severity::Error, message)
}

/// `btf_parse_struct_metas` and what follows it: an errno and no word.
fn fields_finding(btf: &Btf<'_>, fail: &Fail<'_>) -> Finding {
    let owner = match fail.id {
        0 => "the structures that own each other".to_owned(),
        id => format!("[{id}] {}", btf.c_type(crate::TypeId(id))),
    };
    let why = match fail.errno {
        Errno::E2BIG => "more of them than fit, one twice that may be there once, or nested too deep",
        Errno::EEXIST => "two of them overlap",
        Errno::EFAULT => "one of them runs over the structure's end",
        Errno::ENOENT => "the type or node that one of them names is not there",
        Errno::ELOOP => "they own each other in a circle, or too deep",
        _ => "a tag, an offset or a node's type is wrong, or a lock is missing",
    };
    Finding::new(
        "btf/special-field",
        Severity::Error,
        format!(
            "{owner}: the special fields of BPF in it (bpf_spin_lock, bpf_list_head, kptr, ...) are refused with \
             {}, and no word in the log: {why}",
            fail.errno
        ),
    )
}
