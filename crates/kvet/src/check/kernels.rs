//! The kernels that modules are checked against.

use std::path::Path;
use std::sync::Arc;

use kvet_image::{Image, Kind, SymbolSource};

use super::collect::Target;
use super::opening::{self, Debug};
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
}

/// The open kernels of one run; shared by all threads, their symbol index with them.
#[derive(Default)]
pub struct Kernels {
    given: Option<Arc<Image>>,
    found: Vec<Arc<Image>>,
}

impl Kernels {
    /// Opens `--kernel`, or else the kernels among the targets when there are modules too.
    ///
    /// # Errors
    /// `--kernel` cannot be read or is a module. A target that cannot be read is not reported here: its own
    /// turn comes.
    pub fn open(given: Option<&Path>, targets: &[Target], debug: Option<&Debug>) -> Result<Kernels, String> {
        if let Some(path) = given {
            let image = opening::open(path, debug).map_err(|e| text::safe(&format!("--kernel {e}")))?;
            if image.kind() == Kind::Module {
                return Err(format!("--kernel {}: is a module: expected a kernel", text::path(path)));
            }
            return Ok(Kernels { given: Some(Arc::new(image)), found: Vec::new() });
        }
        if !targets.iter().any(Target::named_as_module) {
            return Ok(Kernels::default());
        }
        let found = targets
            .iter()
            .filter(|t| t.missing.is_none() && !t.named_as_module() && t.path.is_file())
            .take(MAX_HELD)
            .filter_map(|t| opening::open(&t.path, debug).ok())
            .filter(|image| image.kind() != Kind::Module)
            .map(Arc::new)
            .collect();
        Ok(Kernels { given: None, found })
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
