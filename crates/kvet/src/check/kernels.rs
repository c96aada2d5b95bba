//! The kernels that modules are checked against.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvet_btf::kernel::Rules;
use kvet_image::{Image, Kind, SymbolSource};
use kvet_tables::btf::RawBase;

use super::collect::Target;
use super::opening::{self, Debug, Opened};
use crate::text;

/// How many kernels among the artefacts are kept open for their modules. One directory of modules has one; a
/// mirror of a distribution may have hundreds, and they are not all held in memory.
const MAX_HELD: usize = 4;

/// Why a module was checked against a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chosen {
    /// `--kernel` names it.
    Given,
    /// It is among the artefacts and its release is the one in the module's vermagic.
    SameRelease,
    /// The BTF is the running system's.
    Running,
}

/// A kernel's BTF that came in a file of its own.
struct BtfFile {
    path: PathBuf,
    base: RawBase,
}

impl BtfFile {
    fn new(path: &Path, data: Vec<u8>, rules: Option<&'static Rules>) -> BtfFile {
        BtfFile { path: path.to_owned(), base: RawBase::new(data, rules.or_else(|| running_rules(path))) }
    }
}

/// The running kernel's rules, for what stands in its sysfs.
pub fn running_rules(path: &Path) -> Option<&'static Rules> {
    let release = rustix::system::uname();
    let release = opening::is_in_sysfs(path).then(|| release.release().to_string_lossy())?;
    Rules::for_release(&release)
}

/// The open kernels of one run; shared by all threads, their symbol index with them.
#[derive(Default)]
pub struct Kernels {
    given: Option<Arc<Image>>,
    /// `--kernel`, when it names BTF alone.
    given_btf: Option<BtfFile>,
    /// The running kernel's BTF, for modules of its sysfs.
    running: Option<BtfFile>,
    found: Vec<Arc<Image>>,
}

impl Kernels {
    /// Opens `--kernel`, or else the kernels among the targets when there are modules too.
    ///
    /// # Errors
    /// `--kernel` cannot be read or is a module. A target that cannot be read is not reported here: its own
    /// turn comes.
    pub fn open(
        given: Option<&Path>,
        targets: &[Target],
        debug: Option<&Debug>,
        rules: Option<&'static Rules>,
    ) -> Result<Kernels, String> {
        let mut kernels = Kernels::default();
        if let Some(path) = given {
            match opening::open(path, debug).map_err(|e| text::safe(&format!("--kernel {e}")))? {
                Opened::Image(image) if image.kind() == Kind::Module => {
                    return Err(format!("--kernel {}: is a module: expected a kernel", text::path(path)));
                }
                Opened::Image(image) => kernels.given = Some(image),
                Opened::Btf(data) => kernels.given_btf = Some(BtfFile::new(path, data.into_vec(), rules)),
            }
            return Ok(kernels);
        }
        if targets.iter().any(|t| opening::is_running_module(&t.path)) {
            let path = Path::new(opening::RUNNING);
            let data = std::fs::read(path).map_err(|e| {
                format!("{}: cannot be read, and its modules' BTF needs it: {e}", path.display())
            })?;
            kernels.running = Some(BtfFile::new(path, data, rules));
        }
        if targets.iter().any(Target::named_as_module) {
            kernels.found = targets
                .iter()
                .filter(|t| t.missing.is_none() && !t.named_as_module() && t.path.is_file())
                .take(MAX_HELD)
                .filter_map(|t| match opening::open(&t.path, debug) {
                    Ok(Opened::Image(image)) if image.kind() != Kind::Module => Some(image),
                    _ => None,
                })
                .collect();
        }
        Ok(kernels)
    }

    /// The kernel that `--kernel` names, as an image.
    pub fn given(&self) -> Option<&Image> {
        self.given.as_deref()
    }

    /// The base of split BTF that no image gives: `--kernel`, or the running kernel's for its own modules.
    pub fn btf(&self, of: &Path) -> Option<(&RawBase, &Path, Chosen)> {
        let running = self.running.as_ref().filter(|_| opening::is_running_module(of));
        let given = self.given_btf.as_ref().map(|file| (file, Chosen::Given));
        given
            .or(running.map(|file| (file, Chosen::Running)))
            .map(|(file, chosen)| (&file.base, file.path.as_path(), chosen))
    }

    /// An image that is open already under this very path.
    pub fn opened(&self, path: &Path) -> Option<Arc<Image>> {
        self.given.iter().chain(&self.found).find(|image| image.path() == path).cloned()
    }

    /// The kernel for a module: the given one, else one of its release, the one with the most to say first.
    pub fn of_module(&self, module: &Image) -> Option<(&Image, Chosen)> {
        if let Some(given) = &self.given {
            return Some((given, Chosen::Given));
        }
        let release = module.release()?;
        self.found
            .iter()
            .filter(|kernel| kernel.release() == Some(release) && kernel.arch() == module.arch())
            .max_by_key(|kernel| match kernel.symbols().source() {
                SymbolSource::Elf | SymbolSource::DebugFile => 2,
                SymbolSource::Kallsyms => 1,
                SymbolSource::None => 0,
            })
            .map(|kernel| (&**kernel, Chosen::SameRelease))
    }
}
