//! [`Symbolizer`]: a kernel and its modules, ready to answer.

use std::sync::Arc;

use kvet_image::Image;

use super::frame::Place;
use super::modules::{ModuleWanted, Modules};

/// A kernel with its debug file and its modules. Shared between threads; what it finds out is kept.
pub struct Symbolizer<'a> {
    pub(crate) kernel: &'a Image,
    pub(crate) modules: Modules<'a>,
}

impl<'a> Symbolizer<'a> {
    /// Over a kernel; its debug file, if there is one, has been given to it (`Image::attach_debug`).
    pub fn new(kernel: &'a Image) -> Self {
        Symbolizer { kernel, modules: Modules::default() }
    }

    /// Adds a module. One whose file has no name (no `.gnu.linkonce.this_module`) is ignored.
    #[must_use]
    pub fn with_module(mut self, module: Image) -> Self {
        self.modules.add(module);
        self
    }

    /// How to find a module that a frame names; called once a name.
    #[must_use]
    pub fn with_finder(
        mut self,
        find: impl Fn(&ModuleWanted<'_>) -> Option<Image> + Send + Sync + 'a,
    ) -> Self {
        self.modules.find_with(find);
        self
    }

    /// The kernel.
    pub fn kernel(&self) -> &'a Image {
        self.kernel
    }

    /// The image that a place is in.
    pub(crate) fn image_of(&self, place: &Place) -> Option<Held<'a>> {
        match &place.module {
            None => Some(Held::Kernel(self.kernel)),
            Some(name) => self.module(name, None).map(Held::Module),
        }
    }

    /// A module by name.
    pub(crate) fn module(&self, name: &str, build_id: Option<&str>) -> Option<Arc<Image>> {
        self.modules.get(&ModuleWanted { name, release: self.kernel.release(), build_id })
    }
}

/// The kernel, or a module that is shared.
pub(crate) enum Held<'a> {
    Kernel(&'a Image),
    Module(Arc<Image>),
}

impl Held<'_> {
    pub(crate) fn get(&self) -> &Image {
        match self {
            Held::Kernel(image) => image,
            Held::Module(image) => image,
        }
    }
}
