//! BTF: a thin bridge from an [`Image`] to `kvet-btf`, which knows nothing of images.

use std::ops::Range;
use std::sync::Arc;

use kvet_btf::kernel::{Options, Rules};
use kvet_btf::strict::{
    Base, Facts, IdSymbol, PerCpu, PerCpuSymbol, Report, SetShape, Solved, Subject, check,
};
use kvet_image::{Image, Kind, SymbolSource, VirtAddr};

use crate::{Bounds, Context, LocatedBy, Table, TableReport};

/// The table `btf`.
pub struct Btf;

const NAME: &str = "btf";

impl Table for Btf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        Some(match context.image.kind() {
            Kind::Module => module(context.image, context.kernel),
            _ => kernel(context.image),
        })
    }
}

/// Where a kernel's BTF stands in [`Image::raw`], and how that is known.
fn locate(image: &Image) -> Option<(Range<usize>, LocatedBy)> {
    if let Some(bounds) = Bounds::locate(image, ".BTF", "__start_BTF", "__stop_BTF") {
        let range = image.file_range(bounds.start)?;
        let len = usize::try_from(bounds.len()).ok()?;
        return (len <= range.len()).then_some((range.start..range.start + len, bounds.located_by));
    }
    kvet_btf::find_kernel_btf(image.raw()).map(|range| (range, LocatedBy::Scan))
}

/// A kernel's or module's BTF, as it stands in the file.
pub fn bytes(image: &Image) -> Option<&[u8]> {
    match image.kind() {
        Kind::Module => kvet_btf::elf::section(image.raw(), ".BTF"),
        _ => locate(image).and_then(|(range, _)| image.raw().get(range)),
    }
}

/// Checks BTF that is in no image: a file like `/sys/kernel/btf/vmlinux`.
///
/// `rules` are those of the kernel that it is for; without them those of the newest. The byte order is the
/// BTF's own.
pub fn check_raw(data: &[u8], rules: Option<&'static Rules>) -> TableReport {
    let mut report = TableReport::new(NAME, Some(LocatedBy::Scan));
    let rules = rules.unwrap_or_else(Rules::newest);
    report.layout = Some(format!("as Linux {rules} reads it"));
    let mut options = Options::new(rules);
    if let Some(order) = kvet_btf::Header::byte_order(data) {
        options.order = order;
    }
    fill(&mut report, check(data, Subject::Kernel, &Facts::default(), &options));
    report
}

fn kernel(image: &Image) -> TableReport {
    let Some((range, located_by)) = locate(image) else {
        return TableReport::absent(
            NAME,
            "the image holds no BTF: no section .BTF, no symbol __start_BTF, nothing with its magic \
             (CONFIG_DEBUG_INFO_BTF is off?)",
        );
    };
    let data = image.raw().get(range).unwrap_or(&[]);
    let mut report = TableReport::new(NAME, Some(located_by));
    let options = options(image, &mut report);
    let per_cpu = per_cpu(image);
    let ids = ids(image);
    let facts = Facts { per_cpu: per_cpu.as_ref(), ids: &ids, pahole: pahole(image) };
    fill(&mut report, check(data, Subject::Kernel, &facts, &options));
    if ids.is_empty() {
        report.skipped.push(
            "the ids of .BTF_ids were not checked: no symbols (__BTF_ID__...) say what they stand for"
                .to_owned(),
        );
    }
    report
}

/// A kernel's BTF, read once for all of its modules; `None` when it has none that can be read.
struct Shared(Option<(Range<usize>, Arc<Solved>)>);

fn module(image: &Image, kernel: Option<&Image>) -> TableReport {
    let Some(data) = kvet_btf::elf::section(image.raw(), ".BTF").filter(|data| !data.is_empty()) else {
        return TableReport::absent(NAME, "the module carries no BTF");
    };
    let distilled = kvet_btf::elf::section(image.raw(), ".BTF.base").filter(|data| !data.is_empty());
    let mut report = TableReport::new(NAME, Some(LocatedBy::Section(".BTF".to_owned())));
    let options = options(kernel.unwrap_or(image), &mut report);
    let shared = kernel.map(|kernel| kernel.shared(|kernel| shared(kernel, &options)));
    let base = match (kernel, shared.as_deref()) {
        (Some(kernel), Some(Shared(Some((range, solved))))) => {
            Some(Base::new(kernel.raw().get(range.clone()).unwrap_or(&[]), Arc::clone(solved)))
        }
        _ => None,
    };
    let name = match image.module_name() {
        Some(name) => name.to_owned(),
        None => image.path().file_stem().map_or_else(String::new, |s| s.to_string_lossy().replace('-', "_")),
    };
    let subject = Subject::Module { name: &name, distilled, kernel: base.as_ref() };
    fill(&mut report, check(data, subject, &Facts::default(), &options));
    if kernel.is_some() && base.is_none() {
        report.skipped.push("the kernel that was given has no BTF that can be read".to_owned());
    }
    report
}

fn shared(kernel: &Image, options: &Options<'_>) -> Shared {
    Shared(locate(kernel).and_then(|(range, _)| {
        let solved = Solved::new(kernel.raw().get(range.clone())?, options)?;
        Some((range, Arc::new(solved)))
    }))
}

/// The rules of the image's own kernel version.
fn options(image: &Image, report: &mut TableReport) -> Options<'static> {
    let rules = image.release().and_then(Rules::for_release).unwrap_or_else(|| {
        report.skipped.push(format!(
            "the image names no kernel release: its BTF was judged as {} does",
            Rules::newest()
        ));
        Rules::newest()
    });
    report.layout = Some(format!("as Linux {rules} reads it"));
    let mut options = Options::new(rules);
    options.mismatch_allowed =
        image.config().is_some_and(|config| config.contains("\nCONFIG_MODULE_ALLOW_BTF_MISMATCH=y\n"));
    options
}

fn fill(to: &mut TableReport, from: Report) {
    to.entries = from.types;
    to.proved.extend(from.proved);
    to.skipped.extend(from.skipped);
    to.findings.extend(from.findings);
}

/// CONFIG_PAHOLE_VERSION, where the configuration is embedded.
fn pahole(image: &Image) -> Option<u32> {
    let config = image.config()?;
    let tail = &config[config.find("\nCONFIG_PAHOLE_VERSION=")? + "\nCONFIG_PAHOLE_VERSION=".len()..];
    tail.lines().next()?.trim().parse().ok()
}

/// The symbols of `.data..percpu`. Old x86 kernels link it at address 0.
fn per_cpu(image: &Image) -> Option<PerCpu<'_>> {
    let (start, end) = match image.section(".data..percpu") {
        Some(section) => (section.addr, section.end()),
        None => (image.symbol_addr("__per_cpu_start")?, image.symbol_addr("__per_cpu_end")?),
    };
    let table = image.symbols();
    let first = start.0.checked_sub(1).map_or(0, |before| table.upper_bound(VirtAddr(before)));
    let symbols = (first..table.len())
        .map_while(|i| table.get(i).filter(|s| s.addr < end))
        .map(|s| PerCpuSymbol { name: s.name, offset: s.addr.0 - start.0, size: s.size, global: s.global })
        .collect();
    let from_elf = matches!(table.source(), SymbolSource::Elf | SymbolSource::DebugFile);
    Some(PerCpu { symbols, from_elf })
}

/// The `__BTF_ID__` symbols with the ids that stand at them.
fn ids(image: &Image) -> Vec<IdSymbol<'_>> {
    let table = image.symbols();
    let range = match image.section(".BTF_ids") {
        Some(section) => {
            let first = section.addr.0.checked_sub(1).map_or(0, |before| table.upper_bound(VirtAddr(before)));
            let last = section.end().0.checked_sub(1).map_or(0, |end| table.upper_bound(VirtAddr(end)));
            first..last.max(first)
        }
        None => 0..table.len(),
    };
    let mut start = None;
    let mut set: Option<(u64, u64)> = None;
    let mut ids = Vec::new();
    for symbol in range.filter_map(|i| table.get(i)).filter(|s| s.name.starts_with("__BTF_ID__")) {
        let start = *start.get_or_insert(image.section(".BTF_ids").map_or(symbol.addr, |s| s.addr));
        let Some(offset) = symbol.addr.0.checked_sub(start.0) else { continue };
        if let Some(shape) = SetShape::parse(symbol.name) {
            let count = u64::from(image.u32(symbol.addr).unwrap_or(0));
            set = Some((offset, offset + shape.head + shape.step * count));
        } else if let Some(mut id) =
            image.u32(symbol.addr).and_then(|id| IdSymbol::parse(symbol.name, id, offset))
        {
            id.set = set.filter(|&(_, end)| offset < end).map(|(set, _)| set);
            ids.push(id);
        }
    }
    ids
}
