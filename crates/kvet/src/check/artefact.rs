//! One artefact: from a path to everything a renderer needs.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kvet_btf::kernel::Rules;
use kvet_finding::Finding;
use kvet_image::{Image, SourceLine, SymbolSource, VirtAddr};
use kvet_tables::btf::{Policy, Raw, Strength};
use kvet_tables::{Context, LocatedBy, TABLES, TableReport};

use super::collect::Target;
use super::config;
use super::kernels::{Chosen, Kernels, running_rules};
use super::opening::{self, Debug, Opened};
use crate::text;

/// What holds for all artefacts of a run.
#[derive(Default)]
pub struct Options {
    /// The kernels that modules are checked against.
    pub kernels: Kernels,
    /// The separate debug file.
    pub debug: Option<Debug>,
    /// How much of BTF is checked.
    pub btf_strength: Strength,
    /// The kernel version whose rules BTF is judged by; by default the image's own.
    pub btf_rules: Option<&'static Rules>,
}

/// What an artefact is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A kernel or module.
    Image(kvet_image::Kind),
    /// BTF by itself that needs no other.
    Btf,
    /// A module's BTF by itself.
    SplitBtf,
}

impl Kind {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Image(kind) => kind.as_str(),
            Kind::Btf => "BTF",
            Kind::SplitBtf => "split BTF",
        }
    }

    /// Whether it is a module's: loaded into a kernel, and by the thousand.
    pub fn is_module(self) -> bool {
        matches!(self, Kind::Image(kvet_image::Kind::Module) | Kind::SplitBtf)
    }

    /// Whether it is BTF by itself.
    pub fn is_btf(self) -> bool {
        matches!(self, Kind::Btf | Kind::SplitBtf)
    }
}

/// Why an artefact could not be checked, without its path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::Safe(&self.0).fmt(f)
    }
}

/// What came of one artefact.
#[derive(Debug)]
pub struct ArtefactReport {
    /// The path as given.
    pub path: PathBuf,
    /// What was found, or why nothing could be.
    pub outcome: Result<Checked, Unreadable>,
}

/// An artefact that was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The form it came in.
    pub kind: Kind,
    /// `x86_64` or `arm64`; BTF by itself names none.
    pub arch: Option<&'static str>,
    /// The kernel release; a module's vermagic.
    pub release: Option<String>,
    /// The banner.
    pub banner: Option<String>,
    /// The GNU build id.
    pub build_id: Option<Vec<u8>>,
    /// Where its symbols come from.
    pub symbols_from: SymbolSource,
    /// How many symbols there are.
    pub symbols: u64,
    /// A module's kernel.
    pub kernel: Option<KernelUsed>,
    /// What came of every table that this kind of image can have.
    pub tables: Vec<TableReport>,
    /// One for every finding, table after table.
    pub places: Vec<Place>,
    /// How long it took.
    pub took: Duration,
}

/// The kernel that a module was checked against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KernelUsed {
    /// Its path.
    pub path: PathBuf,
    /// Its release.
    pub release: Option<String>,
    /// Why this one.
    pub chosen: Chosen,
}

/// Where a finding's address lies, beyond what the finding itself says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Place {
    /// The section.
    pub section: Option<String>,
    /// The source line, when the image can tell.
    pub source: Option<SourceLine>,
}

impl KernelUsed {
    fn new(kernel: &Image, chosen: Chosen) -> KernelUsed {
        KernelUsed { path: kernel.path().to_owned(), release: kernel.release().map(str::to_owned), chosen }
    }
}

impl Checked {
    /// Every finding with its place.
    pub fn findings(&self) -> impl Iterator<Item = (&Finding, &Place)> {
        self.tables.iter().flat_map(|t| &t.findings).zip(&self.places)
    }

    /// How the tables' places are known, in one phrase: by symbols where there are any, since those name
    /// sections and boundaries alike; else by whatever the tables themselves say.
    pub fn located_by(&self) -> &'static str {
        let scanned = || self.tables.iter().any(|t| t.located_by == Some(LocatedBy::Scan));
        match self.symbols_from {
            SymbolSource::None if self.kind.is_btf() => "the file itself",
            SymbolSource::None if scanned() => "structural scan",
            SymbolSource::None => "sections",
            source => source.as_str(),
        }
    }
}

/// Checks a target: opens it, runs every table, and says where the findings lie.
pub fn check_target(target: &Target, options: &Options) -> ArtefactReport {
    let outcome = match &target.missing {
        Some(why) => Err(why.clone()),
        // A panic is a bug of kvet's. It must not take the other artefacts' reports with it.
        None => {
            catch_unwind(AssertUnwindSafe(|| check_artefact(&target.path, options))).unwrap_or_else(|_| {
                Err(Unreadable(
                    "could not be checked: kvet itself failed (see above); please report it".into(),
                ))
            })
        }
    };
    ArtefactReport { path: target.path.clone(), outcome }
}

/// Checks one file.
fn check_artefact(path: &Path, options: &Options) -> Result<Checked, Unreadable> {
    let start = Instant::now();
    match open(path, options)? {
        Opened::Image(image) => check_image(&image, options, start),
        Opened::Btf(data) => check_btf(path, &data, options, start),
    }
}

/// How BTF is judged.
fn policy<'a>(path: &Path, options: &'a Options, config: Option<&'a str>) -> Policy<'a> {
    Policy {
        config,
        strength: options.btf_strength,
        rules: options.btf_rules.or_else(|| running_rules(path)),
        base: options.kernels.btf(path).map(|(base, ..)| base),
    }
}

/// Checks BTF that stands in a file of its own.
fn check_btf(path: &Path, data: &[u8], options: &Options, start: Instant) -> Result<Checked, Unreadable> {
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let policy = policy(path, options, None);
    let raw = Raw { data, name: &name, kernel: options.kernels.given() };
    let split = raw.is_split(policy);
    if split && raw.kernel.is_none() && policy.base.is_none() {
        return Err(Unreadable(
            "is split BTF, whose ids and names continue those of the vmlinux that it was built with: give that \
             with --kernel (an image, or its BTF)"
                .to_owned(),
        ));
    }
    let kernel = match (options.kernels.btf(path), raw.kernel) {
        (Some((_, path, chosen)), _) => Some(KernelUsed { path: path.to_owned(), release: None, chosen }),
        (None, Some(kernel)) => Some(KernelUsed::new(kernel, Chosen::Given)),
        (None, None) => None,
    };
    let table = kvet_tables::btf::check_raw(&raw, policy);
    Ok(Checked {
        kind: if split { Kind::SplitBtf } else { Kind::Btf },
        arch: None,
        release: None,
        banner: None,
        build_id: None,
        symbols_from: SymbolSource::None,
        symbols: 0,
        kernel: kernel.filter(|_| split),
        places: vec![Place::default(); table.findings.len()],
        tables: vec![table],
        took: start.elapsed(),
    })
}

/// Checks a kernel or module.
fn check_image(image: &Image, options: &Options, start: Instant) -> Result<Checked, Unreadable> {
    let is_module = image.kind() == kvet_image::Kind::Module;
    let kernel = if is_module { options.kernels.of_module(image) } else { None };
    if let Some((kernel, _)) = kernel.filter(|(kernel, _)| kernel.arch() != image.arch()) {
        return Err(Unreadable(format!(
            "is a module for {}, but the kernel {} is for {}: give the kernel that the module was built for",
            image.arch().as_str(),
            kernel.path().display(),
            kernel.arch().as_str()
        )));
    }
    let config = if is_module { None } else { config::beside(image) };
    let context = Context::new(image, kernel.map(|(kernel, _)| kernel)).with_btf(policy(
        image.path(),
        options,
        config.as_deref(),
    ));
    let tables = tables(&context);
    if !is_module && tables.iter().all(|t| t.located_by.is_none()) {
        return Err(nothing_found(image, &tables));
    }
    let places = tables.iter().flat_map(|t| &t.findings).map(|f| place(image, f.address)).collect();
    Ok(Checked {
        kind: Kind::Image(image.kind()),
        arch: Some(image.arch().as_str()),
        release: image.release().map(str::to_owned),
        banner: image.banner().map(str::to_owned),
        build_id: image.build_id().map(<[u8]>::to_vec),
        symbols_from: image.symbols().source(),
        symbols: image.symbols().len() as u64,
        kernel: kernel.map(|(kernel, chosen)| KernelUsed::new(kernel, chosen)).or_else(|| {
            let (_, path, chosen) = options.kernels.btf(image.path()).filter(|_| is_module)?;
            Some(KernelUsed { path: path.to_owned(), release: None, chosen })
        }),
        tables,
        places,
        took: start.elapsed(),
    })
}

fn open(path: &Path, options: &Options) -> Result<Opened, Unreadable> {
    if let Some(image) = options.kernels.opened(path) {
        return Ok(Opened::Image(image));
    }
    match opening::open(path, options.debug.as_ref()) {
        Ok(opened) => Ok(opened),
        Err(error) if error.path == path => Err(Unreadable(error.kind.to_string())),
        // Another file's, such as the debug file's.
        Err(error) => Err(Unreadable(error.to_string())),
    }
}

/// A kernel's tables are large enough to be checked side by side; a module's are not, and modules come by
/// the thousand, each on a thread of its own.
fn tables(context: &Context<'_>) -> Vec<TableReport> {
    match context.image.kind() {
        kvet_image::Kind::Module => TABLES.iter().filter_map(|table| table.check(context)).collect(),
        _ => kvet_tables::check(context),
    }
}

/// A kernel has tables. One in which none was found was not checked, and must not pass.
fn nothing_found(image: &Image, tables: &[TableReport]) -> Unreadable {
    let why: Vec<&str> = tables.iter().flat_map(|t| &t.skipped).map(String::as_str).collect();
    let why = if why.is_empty() { "it has no table that kvet knows".to_owned() } else { why.join("; ") };
    Unreadable(format!(
        "is {} for {}, but none of a kernel's tables was found in it, so nothing is proved: {why}",
        image.kind().as_str(),
        image.arch().as_str()
    ))
}

fn place(image: &Image, address: Option<VirtAddr>) -> Place {
    let Some(address) = address else { return Place::default() };
    Place {
        section: image.section_at(address).map(|s| s.name.clone()),
        source: image.source_line(address).filter(|source| source.line > 0),
    }
}
