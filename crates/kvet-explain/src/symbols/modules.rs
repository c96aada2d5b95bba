//! Modules: given beforehand, or found by the caller when a frame names one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kvet_image::Image;

/// A module that a log names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ModuleWanted<'a> {
    /// Its name, as `/proc/modules` has it: `-` of the file's name is `_`.
    pub name: &'a str,
    /// The kernel's release, which names the directory below `/lib/modules`.
    pub release: Option<&'a str>,
    /// Its build id in hex, where the log has it (CONFIG_STACKTRACE_BUILD_ID).
    pub build_id: Option<&'a str>,
}

/// What finds a module's file.
type Find<'a> = Box<dyn Fn(&ModuleWanted<'_>) -> Option<Image> + Send + Sync + 'a>;

/// The modules known so far; what was searched for once is not searched for again.
#[derive(Default)]
pub(crate) struct Modules<'a> {
    find: Option<Find<'a>>,
    known: Mutex<HashMap<String, Option<Arc<Image>>>>,
}

impl<'a> Modules<'a> {
    pub(crate) fn add(&mut self, image: Image) {
        let Some(name) = image.module_name().map(canonical) else { return };
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        known.insert(name, Some(Arc::new(image)));
    }

    pub(crate) fn find_with(&mut self, find: impl Fn(&ModuleWanted<'_>) -> Option<Image> + Send + Sync + 'a) {
        self.find = Some(Box::new(find));
    }

    pub(crate) fn get(&self, wanted: &ModuleWanted<'_>) -> Option<Arc<Image>> {
        let name = canonical(wanted.name);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = known.get(&name) {
            return module.clone();
        }
        let image = self.find.as_ref().and_then(|find| find(wanted)).map(Arc::new);
        known.insert(name, image.clone());
        image
    }
}

/// `-` and `_` are one in a module's name.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}
