//! One artefact: from a path to everything a renderer needs.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvet_finding::Finding;
use kvet_image::{Image, Kind, SourceLine, SymbolSource, VirtAddr};
use kvet_tables::{Context, LocatedBy, TABLES, TableReport};

use super::collect::Target;
use super::kernels::{Chosen, Kernels};
use super::opening::{self, Debug};
use crate::text;

/// What holds for all artefacts of a run.
#[derive(Default)]
pub struct Options {
    /// The kernels that modules are checked against.
    pub kernels: Kernels,
    /// The separate debug file.
    pub debug: Option<Debug>,
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
    /// `x86_64` or `arm64`.
    pub arch: &'static str,
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
    let image = open(path, options)?;
    let kernel = match image.kind() {
        Kind::Module => options.kernels.of_module(&image),
        _ => None,
    };
    if let Some((kernel, _)) = kernel.filter(|(kernel, _)| kernel.arch() != image.arch()) {
        return Err(Unreadable(format!(
            "is a module for {}, but the kernel {} is for {}: give the kernel that the module was built for",
            image.arch().as_str(),
            kernel.path().display(),
            kernel.arch().as_str()
        )));
    }
    let context = Context::new(&image, kernel.map(|(kernel, _)| kernel));
    let tables = tables(&context);
    if image.kind() != Kind::Module && tables.iter().all(|t| t.located_by.is_none()) {
        return Err(nothing_found(&image, &tables));
    }
    let places = tables.iter().flat_map(|t| &t.findings).map(|f| place(&image, f.address)).collect();
    Ok(Checked {
        kind: image.kind(),
        arch: image.arch().as_str(),
        release: image.release().map(str::to_owned),
        banner: image.banner().map(str::to_owned),
        build_id: image.build_id().map(<[u8]>::to_vec),
        symbols_from: image.symbols().source(),
        symbols: image.symbols().len() as u64,
        kernel: kernel.map(|(kernel, chosen)| KernelUsed {
            path: kernel.path().to_owned(),
            release: kernel.release().map(str::to_owned),
            chosen,
        }),
        tables,
        places,
        took: start.elapsed(),
    })
}

fn open(path: &Path, options: &Options) -> Result<Arc<Image>, Unreadable> {
    if let Some(image) = options.kernels.opened(path) {
        return Ok(image);
    }
    match opening::open(path, options.debug.as_ref()) {
        Ok(image) => Ok(Arc::new(image)),
        Err(error) if error.path == path => Err(Unreadable(error.kind.to_string())),
        // Another file's, such as the debug file's.
        Err(error) => Err(Unreadable(error.to_string())),
    }
}

/// A kernel's tables are large enough to be checked side by side; a module's are not, and modules come by
/// the thousand, each on a thread of its own.
fn tables(context: &Context<'_>) -> Vec<TableReport> {
    match context.image.kind() {
        Kind::Module => TABLES.iter().filter_map(|table| table.check(context)).collect(),
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
