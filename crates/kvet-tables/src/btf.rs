//! BTF: a thin bridge from an [`Image`] to `kvet-btf`, which knows nothing of images.

use std::ops::Range;
use std::sync::Arc;

use kvet_btf::check::{
    Base, Facts, IdSymbol, PerCpu, PerCpuSymbol, Report, SetShape, Solved, Subject, check,
};
use kvet_btf::kernel::{Options, Rules};
use kvet_btf::{ByName, ByteOrder};
use kvet_image::{Image, Kind, SymbolSource, VirtAddr};

pub use kvet_btf::check::Strength;

use crate::{Bounds, Context, LocatedBy, Table, TableReport};

/// The table `btf`.
pub struct Btf;

const NAME: &str = "btf";

/// How BTF is to be judged.
#[derive(Clone, Copy, Default)]
pub struct Policy<'a> {
    /// How much is checked.
    pub strength: Strength,
    /// The kernel version that reads it; by default the image's own, else the newest.
    pub rules: Option<&'static Rules>,
    /// The base of split BTF, where it is at hand as BTF alone and no image of the kernel is.
    pub base: Option<&'a RawBase>,
    /// The configuration of a kernel that does not embed it.
    pub config: Option<&'a str>,
}

/// A kernel's BTF out of a file of its own, read once for all that is split from it.
pub struct RawBase {
    data: Vec<u8>,
    solved: Arc<Solved>,
}

impl RawBase {
    /// Reads a base as a kernel version does.
    pub fn new(data: Vec<u8>, rules: Option<&'static Rules>) -> RawBase {
        let solved = Solved::new(&data, &raw_options(&data, rules.unwrap_or_else(Rules::newest)));
        RawBase { data, solved: Arc::new(solved) }
    }

    fn base(&self) -> Base<'_> {
        Base::new(&self.data, Arc::clone(&self.solved))
    }
}

impl Table for Btf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        Some(match context.image.kind() {
            Kind::Module => module(context),
            _ => kernel(context.image, context.btf),
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

/// A module's `.BTF.base`.
pub fn distilled(image: &Image) -> Option<&[u8]> {
    let module = (image.kind() == Kind::Module).then(|| image.raw())?;
    kvet_btf::elf::section(module, ".BTF.base").filter(|data| !data.is_empty())
}

/// BTF that stands in no image, and what else is known of it.
pub struct Raw<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// The module's name, for split BTF.
    pub name: &'a str,
    /// The kernel that it was split from, as an image.
    pub kernel: Option<&'a Image>,
}

impl Raw<'_> {
    /// Whether it is to be judged as split BTF: because it can be nothing else, or because a base is at hand and it
    /// does not stand on its own. In kernel strength nothing is guessed: without a base, what the file holds is what
    /// bpf(2) would be given.
    pub fn is_split(&self, policy: Policy<'_>) -> bool {
        let Ok((header, _)) = kvet_btf::Header::parse(self.data) else { return false };
        let has_base = self.kernel.is_some() || policy.base.is_some();
        // A string section that begins like a base's may be damaged, or a split one's by chance.
        if header.strings(self.data).first() == Some(&0) {
            return has_base && kvet_btf::Btf::parse(self.data).is_ok_and(|btf| btf.leads_past_itself());
        }
        has_base || policy.strength == Strength::Strict && self.lacks_base()
    }

    fn lacks_base(&self) -> bool {
        kvet_btf::Btf::parse(self.data).is_ok_and(|btf| btf.lacks_base())
    }

    /// What BTF seems to be that kernel strength took for a little-endian kernel's own base BTF.
    fn otherwise(&self) -> Option<String> {
        if kvet_btf::Header::own_order(self.data) == Some(ByteOrder::Big) {
            return Some(
                "the BTF is big-endian, and was judged as a little-endian kernel judges it (x86-64, arm64): \
                 --btf-strength strict reads it in its own byte order"
                    .to_owned(),
            );
        }
        self.lacks_base().then(|| {
            "the BTF looks like a module's, and was judged as if it stood on its own: --kernel gives the vmlinux that \
             it was split from"
                .to_owned()
        })
    }
}

/// Checks BTF that is in no image: a file like `/sys/kernel/btf/vmlinux`. In strict strength the byte order is the
/// BTF's own; in kernel strength it is that of all kernels whose images kvet reads.
///
/// What stands on its own is judged as bpf(2) judges it, which checks all that a kernel checks of its own BTF
/// and more; split BTF as a module's.
pub fn check_raw(raw: &Raw<'_>, policy: Policy<'_>) -> TableReport {
    let mut report = TableReport::new(NAME, Some(LocatedBy::File));
    let release = raw.kernel.and_then(own_rules);
    let rules = policy.rules.or(release).unwrap_or_else(Rules::newest);
    report.layout = Some(format!("judged by the rules of Linux {rules}"));
    if policy.rules.or(release).is_none() {
        report.skipped.push(format!(
            "the file names no kernel version: it was judged by the rules of the newest that kvet knows, {rules} \
             (--as VERSION names another)"
        ));
    }
    let options = match policy.strength {
        Strength::Kernel => Options::new(rules),
        Strength::Strict => raw_options(raw.data, rules),
    };
    if !raw.is_split(policy) {
        // Structures of this name are the kernel's when a BPF program points to them.
        let shared = raw.kernel.map(|kernel| shared(kernel, &options));
        let base = base_of(raw.kernel, shared.as_deref(), policy);
        let names = base.as_ref().map(|base| ByName::new(base.btf()));
        let options = Options { kernel: names.as_ref(), ..options };
        fill(&mut report, check(raw.data, Subject::Loaded, &Facts::default(), &options, policy.strength));
        if policy.strength == Strength::Kernel {
            report.skipped.extend(raw.otherwise());
        }
        return report;
    }
    let shared = raw.kernel.map(|kernel| shared(kernel, &options));
    let base = base_of(raw.kernel, shared.as_deref(), policy);
    let subject = Subject::Module { name: raw.name, distilled: None, kernel: base.as_ref() };
    fill(&mut report, check(raw.data, subject, &Facts::default(), &options, policy.strength));
    report
}

fn raw_options(data: &[u8], rules: &'static Rules) -> Options<'static> {
    let mut options = Options::new(rules);
    if let Some(order) = kvet_btf::Header::own_order(data) {
        options.order = order;
    }
    options
}

fn kernel(image: &Image, policy: Policy<'_>) -> TableReport {
    let Some((range, located_by)) = locate(image) else {
        return TableReport::absent(
            NAME,
            "the image holds no BTF: no section .BTF, no symbol __start_BTF, nothing with its magic \
             (CONFIG_DEBUG_INFO_BTF is off?)",
        );
    };
    let data = image.raw().get(range).unwrap_or(&[]);
    let mut report = TableReport::new(NAME, Some(located_by));
    let options = options(image, policy, &mut report);
    if policy.strength == Strength::Kernel {
        let run =
            |options: &Options<'_>| check(data, Subject::Kernel, &Facts::default(), options, policy.strength);
        fill(&mut report, as_configured(run, options, Some(image)));
        return report;
    }
    let per_cpu = per_cpu(image);
    let ids = ids(image);
    let facts = Facts { per_cpu: per_cpu.as_ref(), ids: &ids, pahole: pahole(image, policy) };
    let run = |options: &Options<'_>| check(data, Subject::Kernel, &facts, options, policy.strength);
    fill(&mut report, as_configured(run, options, Some(image)));
    if ids.is_empty() {
        report.skipped.push(
            "the ids of .BTF_ids were not checked: no symbols (__BTF_ID__...) say what they stand for"
                .to_owned(),
        );
    }
    report
}

/// A kernel's BTF, read once for all of its modules, by the rules of one version.
struct Shared {
    rules: &'static Rules,
    /// Where it stands in the kernel's file; `None` when it has none.
    found: Option<(Range<usize>, Arc<Solved>)>,
}

impl Shared {
    fn new(kernel: &Image, options: &Options<'_>) -> Shared {
        let found = locate(kernel).map(|(range, _)| {
            let data = kernel.raw().get(range.clone()).unwrap_or(&[]);
            let solved = Solved::new(data, options);
            (range, Arc::new(solved))
        });
        Shared { rules: options.rules, found }
    }
}

/// What the kernel keeps, unless that was made by another version's rules.
fn shared(kernel: &Image, options: &Options<'_>) -> Arc<Shared> {
    let kept = kernel.shared(|kernel| Shared::new(kernel, options));
    if kept.rules == options.rules { kept } else { Arc::new(Shared::new(kernel, options)) }
}

fn base_of<'a>(kernel: Option<&'a Image>, shared: Option<&Shared>, policy: Policy<'a>) -> Option<Base<'a>> {
    if let Some((kernel, (range, solved))) = kernel.zip(shared.and_then(|shared| shared.found.as_ref())) {
        return Some(Base::new(kernel.raw().get(range.clone()).unwrap_or(&[]), Arc::clone(solved)));
    }
    policy.base.map(RawBase::base)
}

fn module(context: &Context<'_>) -> TableReport {
    let (image, kernel, policy) = (context.image, context.kernel, context.btf);
    let Some(data) = kvet_btf::elf::section(image.raw(), ".BTF").filter(|data| !data.is_empty()) else {
        return TableReport::absent(NAME, "the module carries no BTF");
    };
    let mut report = TableReport::new(NAME, Some(LocatedBy::Section(".BTF".to_owned())));
    let options = options(kernel.unwrap_or(image), policy, &mut report);
    let shared = kernel.map(|kernel| shared(kernel, &options));
    let base = base_of(kernel, shared.as_deref(), policy);
    let name = match image.module_name() {
        Some(name) => name.to_owned(),
        None => image.path().file_stem().map_or_else(String::new, |s| s.to_string_lossy().replace('-', "_")),
    };
    let subject = Subject::Module { name: &name, distilled: distilled(image), kernel: base.as_ref() };
    let run = |options: &Options<'_>| check(data, subject, &Facts::default(), options, policy.strength);
    fill(&mut report, as_configured(run, options, kernel));
    if kernel.is_some() && base.is_none() {
        report.skipped.push("the kernel that was given holds no BTF".to_owned());
    }
    report
}

/// Checks, and when something is refused looks how this kernel was configured to take that: it says less, and
/// loads the module all the same. (Looking means to read the whole kernel, which the sound ones are spared.)
fn as_configured(
    run: impl Fn(&Options<'_>) -> Report,
    options: Options<'_>,
    kernel: Option<&Image>,
) -> Report {
    let report = run(&options);
    let refused = report.findings.iter().any(|f| f.at_boot.is_some());
    if !refused || options.mismatch_allowed || !kernel.is_some_and(tolerates_mismatch) {
        return report;
    }
    run(&Options { mismatch_allowed: true, ..options })
}

/// Whether a kernel has CONFIG_MODULE_ALLOW_BTF_MISMATCH by the evidence of its strings: since 6.7 it holds either
/// `failed to validate module ...` or this one (`btf_module_notify`). Older ones hold the former in both cases.
fn tolerates_mismatch(kernel: &Image) -> bool {
    struct Tolerates(bool);
    let found = kernel.shared(|kernel| {
        let line = b"Kernel module BTF mismatch detected, ";
        Tolerates(memchr::memmem::find(kernel.raw(), line).is_some())
    });
    found.0
}

/// The rules of an image's own version, by its release and by the evidence of its BTF.
fn own_rules(image: &Image) -> Option<&'static Rules> {
    struct Own(Option<&'static Rules>);
    let own = image.shared(|image| {
        let release = image.release();
        Own(release.and_then(|release| match image.kind() {
            Kind::Module => Rules::for_release(release),
            _ => Rules::for_kernel(release, bytes(image).unwrap_or(&[])),
        }))
    });
    own.0
}

/// The rules that the policy names, else those of the image's own kernel version.
fn options(image: &Image, policy: Policy<'_>, report: &mut TableReport) -> Options<'static> {
    let rules = policy.rules.or_else(|| own_rules(image)).unwrap_or_else(|| {
        report.skipped.push(format!(
            "the image names no kernel release: its BTF was judged by the rules of the newest that kvet knows, {}",
            Rules::newest()
        ));
        Rules::newest()
    });
    report.layout = Some(format!("judged by the rules of Linux {rules}"));
    let mut options = Options::new(rules);
    options.mismatch_allowed =
        config(image, policy).is_some_and(|config| config.contains("\nCONFIG_MODULE_ALLOW_BTF_MISMATCH=y\n"));
    options
}

fn fill(to: &mut TableReport, from: Report) {
    to.entries = from.types;
    to.proved.extend(from.proved);
    to.skipped.extend(from.skipped);
    to.findings.extend(from.findings);
}

/// The configuration that a kernel embeds, or else lies beside it.
fn config<'a>(image: &'a Image, policy: Policy<'a>) -> Option<&'a str> {
    image.config().or(policy.config)
}

/// CONFIG_PAHOLE_VERSION, where the configuration is at hand.
fn pahole(image: &Image, policy: Policy<'_>) -> Option<u32> {
    let config = config(image, policy)?;
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
