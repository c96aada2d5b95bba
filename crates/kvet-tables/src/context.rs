//! What the checks of one image share.

use std::sync::OnceLock;

use kvet_image::Image;

use crate::TableReport;
use crate::alternatives::x86;
use crate::bugs::BugTable;
use crate::jump_labels::{self, JumpTable};

/// One image under examination: the image, its kernel when it is a module, and what several tables need of
/// each other (each read once, at first use).
pub struct Context<'a> {
    /// The image.
    pub image: &'a Image,
    /// For a module: the kernel it is for, when one was given.
    pub kernel: Option<&'a Image>,
    /// See [`x86::entries`].
    pub(crate) x86_alternatives: OnceLock<Option<x86::Alternatives>>,
    jump_labels: OnceLock<Result<JumpTable, TableReport>>,
    bugs: OnceLock<Result<BugTable, String>>,
    kernel_bugs: OnceLock<Option<BugTable>>,
}

impl<'a> Context<'a> {
    /// A context for an image, and for a module's kernel.
    pub fn new(image: &'a Image, kernel: Option<&'a Image>) -> Self {
        Context {
            image,
            kernel,
            x86_alternatives: OnceLock::new(),
            jump_labels: OnceLock::new(),
            bugs: OnceLock::new(),
            kernel_bugs: OnceLock::new(),
        }
    }

    /// The jump table, read at the first call.
    ///
    /// # Errors
    /// There is none, or its bytes are not at hand: the report that says so.
    pub fn jump_labels(&self) -> Result<&JumpTable, &TableReport> {
        self.jump_labels.get_or_init(|| jump_labels::find(self)).as_ref()
    }

    /// The bug table, located at the first call.
    pub fn bugs(&self) -> Option<&BugTable> {
        self.bugs_or_why().ok()
    }

    /// The bug table, or the sentence that says why there is none.
    pub(crate) fn bugs_or_why(&self) -> Result<&BugTable, &str> {
        self.bugs.get_or_init(|| BugTable::find(self.image)).as_ref().map_err(String::as_str)
    }

    /// The bug table of a module's kernel.
    pub(crate) fn kernel_bugs(&self) -> Option<&BugTable> {
        self.kernel_bugs.get_or_init(|| BugTable::find(self.kernel?).ok()).as_ref()
    }
}
