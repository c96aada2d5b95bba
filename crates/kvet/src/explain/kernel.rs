//! `--kernel` and `--modules`: the files of the kernel that wrote the log.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use kvet_explain::symbols::{DebugFrom, ModuleWanted, Symbolizer};
use kvet_image::Image;
use kvet_tables::Context;

use crate::cli::ExplainArgs;

/// A kernel, open for as long as the program runs: what borrows from it need not say how long.
pub struct Kernel {
    image: &'static Image,
    symbols: Symbolizer<'static>,
}

impl Kernel {
    /// Opens the kernel, its debug file, and lists the modules.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn open(path: &Path, args: &ExplainArgs) -> Result<Kernel, String> {
        let mut image = Image::open(path).map_err(|error| format!("--kernel {error}"))?;
        if let Some(debug) = &args.debug {
            let debug = Image::open(debug).map_err(|error| format!("--debug {error}"))?;
            image.attach_debug(debug).map_err(|error| format!("--debug {error}"))?;
        } else if let DebugFrom::Nowhere(tried) = super::debug_file::attach(&mut image) {
            // Lines are a bonus: names and tables come from the kernel itself.
            tried.iter().for_each(|why| eprintln!("kvet explain: no source lines from {why}"));
        }
        let image: &'static Image = Box::leak(Box::new(image));
        let mut symbols = Symbolizer::new(image);
        if let Some(directory) = &args.modules {
            let files = modules(directory);
            if files.is_empty() {
                return Err(format!("--modules {}: holds no module", directory.display()));
            }
            symbols = symbols
                .with_finder(move |wanted: &ModuleWanted<'_>| Image::open(files.get(wanted.name)?).ok());
        }
        Ok(Kernel { image, symbols })
    }

    /// A fresh view of its tables.
    pub fn tables(&self) -> Context<'static> {
        Context::new(self.image, None)
    }

    /// Addresses and source lines.
    pub fn symbols(&self) -> &Symbolizer<'static> {
        &self.symbols
    }
}

/// Modules below a directory by the name that the kernel gives them; of several the first by path.
fn modules(directory: &Path) -> HashMap<String, PathBuf> {
    let files = walkdir::WalkDir::new(directory).sort_by_file_name().into_iter().flatten();
    let mut modules = HashMap::new();
    for file in files.filter(|entry| entry.file_type().is_file()) {
        let name = file.file_name().to_string_lossy();
        let Some((stem, rest)) = name.split_once(".ko") else { continue };
        if rest.is_empty() || rest.starts_with('.') {
            modules.entry(stem.replace('-', "_")).or_insert_with(|| file.path().to_owned());
        }
    }
    modules
}
