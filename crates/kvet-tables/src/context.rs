//! What the checks of one image share.

use std::sync::OnceLock;

use kvet_image::Image;

use crate::TableReport;
use crate::alternatives::arm64::Arm64Alternatives;
use crate::alternatives::x86;
use crate::btf;
use crate::bugs::BugTable;
use crate::jump_labels::{self, JumpTable};
use crate::lists::Branches;
use crate::orc::OrcTable;
use crate::static_calls::{self, StaticCallTable};

/// One image under examination: the image, its kernel when it is a module, and what several tables need of
/// each other (each read once, at first use).
pub struct Context<'a> {
    /// The image.
    pub image: &'a Image,
    /// For a module: the kernel it is for, when one was given.
    pub kernel: Option<&'a Image>,
    /// How its BTF is to be judged.
    pub btf: btf::Policy<'a>,
    kernel_context: Option<&'a Context<'a>>,
    /// See [`x86::entries`].
    pub(crate) x86_alternatives: OnceLock<Option<x86::Alternatives>>,
    /// See [`x86::KernelFacts`].
    pub(crate) x86_kernel: x86::KernelFacts,
    arm64_alternatives: OnceLock<Arm64Alternatives>,
    jump_labels: OnceLock<Result<JumpTable, Box<TableReport>>>,
    static_calls: OnceLock<Result<StaticCallTable, Box<TableReport>>>,
    bugs: OnceLock<Result<BugTable, String>>,
    kernel_bugs: OnceLock<Option<BugTable>>,
    branches: OnceLock<Branches>,
    orc: OnceLock<Result<OrcTable, Option<String>>>,
}

impl<'a> Context<'a> {
    /// A context for an image, and for a module's kernel.
    pub fn new(image: &'a Image, kernel: Option<&'a Image>) -> Self {
        Context {
            image,
            kernel,
            btf: btf::Policy::default(),
            kernel_context: None,
            x86_alternatives: OnceLock::new(),
            x86_kernel: x86::KernelFacts::default(),
            arm64_alternatives: OnceLock::new(),
            jump_labels: OnceLock::new(),
            static_calls: OnceLock::new(),
            bugs: OnceLock::new(),
            kernel_bugs: OnceLock::new(),
            branches: OnceLock::new(),
            orc: OnceLock::new(),
        }
    }

    /// The same with another policy for BTF than the default.
    #[must_use]
    pub fn with_btf(self, btf: btf::Policy<'a>) -> Self {
        Context { btf, ..self }
    }

    /// A context for one of many modules of a kernel: what the kernel's own context has read is not read again.
    pub fn for_module(image: &'a Image, kernel: &'a Context<'a>) -> Self {
        Context { kernel_context: Some(kernel), ..Context::new(image, Some(kernel.image)) }
    }

    /// For a module made with [`Context::for_module`]: its kernel's context.
    pub fn kernel_context(&self) -> Option<&'a Context<'a>> {
        self.kernel_context
    }

    /// The jump table, read at the first call.
    ///
    /// # Errors
    /// There is none, or its bytes are not at hand: the report that says so.
    pub fn jump_labels(&self) -> Result<&JumpTable, &TableReport> {
        self.jump_labels.get_or_init(|| jump_labels::find(self)).as_ref().map_err(Box::as_ref)
    }

    /// The static call sites, read at the first call.
    ///
    /// # Errors
    /// There are none, or their bytes are not at hand: the report that says so.
    pub fn static_calls(&self) -> Result<&StaticCallTable, &TableReport> {
        self.static_calls.get_or_init(|| static_calls::find(self)).as_ref().map_err(Box::as_ref)
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
        if let Some(kernel) = self.kernel_context {
            return kernel.bugs();
        }
        self.kernel_bugs.get_or_init(|| BugTable::find(self.kernel?).ok()).as_ref()
    }

    /// The direct branches of x86-64 text to the thunks of retpolines and returns.
    pub(crate) fn branches(&self) -> &Branches {
        self.branches.get_or_init(|| Branches::read(self.image))
    }

    /// The unwind tables of x86-64, or the sentence that says why there are none (`None` where there can be none).
    pub(crate) fn orc(&self) -> Result<&OrcTable, &Option<String>> {
        self.orc.get_or_init(|| OrcTable::find(self.image)).as_ref()
    }

    /// The unwind tables of x86-64, where the image has them.
    pub fn orc_table(&self) -> Option<&OrcTable> {
        self.orc().ok()
    }

    /// The arm64 alternatives of the image and what it says about capabilities.
    pub fn arm64_alternatives(&self) -> &Arm64Alternatives {
        self.arm64_alternatives.get_or_init(|| Arm64Alternatives::read(self.image))
    }
}
