//! The kernel's verdict on BTF: what it checks, in its order, with its errno and its log.
//!
//! Four doors lead in: [`load`] (bpf(2) `BPF_BTF_LOAD`: `btf_new_fd`, `btf_parse`), [`vmlinux`]
//! (`btf_parse_vmlinux`), [`module`] (`btf_parse_module`) and, inside the last, a module's `.BTF.base`
//! (`btf_parse_base`). A kernel's own BTF and its modules' are checked less than what user space loads: the
//! resolve phase and the special structures are [`load`]'s only.
//!
//! Source: kernel/bpf/btf.c and log.c, 5.10, 6.1, 6.12 and 7.3; 6.18 by asking a running kernel. The
//! differences are [`Rules`].

mod engine;
mod log;
pub(crate) mod relocate;
mod resolve;
mod rules;
mod sort;
pub(crate) mod special;

use std::sync::Arc;

pub use log::Log;
pub use rules::{ALL, Rules, V5_10, V6_1, V6_12, V6_18, V7_3};

pub(crate) use engine::{Engine, Fail, KEEP_MAX, Mode, Phase, Site};
pub(crate) use resolve::{Resolved, resolve_split};

use crate::raw::ByteOrder;
use crate::{Btf, ByName, Index};

/// The largest BTF that bpf(2) takes, in bytes (`BTF_MAX_SIZE`).
pub const MAX_LOAD_SIZE: usize = 16 * 1024 * 1024;

/// A kernel error number, positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Errno(pub u16);

impl Errno {
    pub(crate) const ENOENT: Errno = Errno(2);
    pub(crate) const E2BIG: Errno = Errno(7);
    pub(crate) const EFAULT: Errno = Errno(14);
    pub(crate) const EEXIST: Errno = Errno(17);
    pub(crate) const EINVAL: Errno = Errno(22);
    pub(crate) const ELOOP: Errno = Errno(40);
    /// Not in any header of user space, but what bpf(2) returns.
    pub(crate) const ENOTSUPP: Errno = Errno(524);

    /// Its name, `EINVAL`.
    pub fn name(self) -> &'static str {
        match self {
            Errno::ENOENT => "ENOENT",
            Errno::E2BIG => "E2BIG",
            Errno::EFAULT => "EFAULT",
            Errno::EEXIST => "EEXIST",
            Errno::EINVAL => "EINVAL",
            Errno::ELOOP => "ELOOP",
            Errno::ENOTSUPP => "ENOTSUPP",
            _ => "errno",
        }
    }
}

impl std::fmt::Display for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "-{} ({})", self.0, self.name())
    }
}

/// What the kernel makes of BTF.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Where its types are when it is accepted, else the errno.
    pub result: Result<Arc<Index>, Errno>,
    /// What the verifier logged: with [`Options::trace`] everything, else what belongs to the refusal.
    pub log: Log,
    /// What the kernel prints outside the BTF log, after it: for a module that is refused, why its distilled
    /// base does not fit, and `failed to validate module [%s] BTF: %ld`.
    pub closing: Vec<String>,
    console_space: bool,
}

impl Verdict {
    /// Whether the kernel takes it.
    pub fn accepted(&self) -> bool {
        self.result.is_ok()
    }

    fn with_index(self, index: Index) -> Verdict {
        Verdict { result: Ok(Arc::new(index)), ..self }
    }

    /// The errno of a refusal.
    pub fn errno(&self) -> Option<Errno> {
        self.result.as_ref().err().copied()
    }

    /// What the kernel prints on its console, line by line, when this is its own BTF or a module's.
    pub fn console(&self) -> Vec<String> {
        let mut lines = self.log.console(self.console_space);
        lines.extend(self.closing.iter().cloned());
        lines
    }
}

/// Who asks, and of which kernel.
#[derive(Clone, Copy, Debug)]
pub struct Options<'k> {
    /// The kernel version's rules.
    pub rules: &'static Rules,
    /// The kernel's byte order: BTF of the other one has the wrong magic for it.
    pub order: ByteOrder,
    /// Log every type on the way, as bpf(2) does with `log_level` 1.
    pub trace: bool,
    /// The kernel has CONFIG_MODULE_ALLOW_BTF_MISMATCH.
    pub mismatch_allowed: bool,
    /// The names of the kernel's own BTF, where it is at hand: [`load`] looks structures up there that BPF programs point
    /// to with a `kptr`. Without it they are taken for the program's own.
    pub kernel: Option<&'k ByName<'k>>,
}

impl<'k> Options<'k> {
    /// A little-endian kernel of these rules, no trace, mismatches refused.
    pub fn new(rules: &'static Rules) -> Options<'k> {
        Options { rules, order: ByteOrder::Little, trace: false, mismatch_allowed: false, kernel: None }
    }
}

/// The way by which BTF comes to the verifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    /// The kernel's own, a module's, or a module's distilled base.
    Own,
    /// bpf(2).
    Load,
}

impl Door {
    pub(crate) fn mode(self) -> Mode {
        match self {
            Door::Own => Mode::Kernel,
            Door::Load => Mode::Load,
        }
    }

    /// Checks every type by itself.
    pub(crate) fn types<'a>(self, engine: &mut Engine<'a>) -> Result<(), Fail<'a>> {
        match self {
            Door::Own => engine.metas(),
            Door::Load => engine.layout().and_then(|()| engine.type_section()),
        }
    }

    /// Runs the checks in the kernel's order, to the first that fails.
    pub(crate) fn run<'a>(
        self,
        engine: &mut Engine<'a>,
        data: &[u8],
        options: &Options<'_>,
    ) -> Result<(), Fail<'a>> {
        if self == Door::Own {
            return engine.own();
        }
        if data.len() > MAX_LOAD_SIZE {
            return Err(Fail::silent(Errno::E2BIG));
        }
        engine.header()?;
        engine.strings()?;
        self.types(engine)?;
        let btf = engine.btf();
        resolve_split(engine, &btf, None)?;
        engine.chains(&btf)?;
        special::check(engine, &btf, options.kernel)
    }
}

/// What `BPF_BTF_LOAD` says of BTF that a program with CAP_BPF loads.
///
/// The command takes base BTF only: up to 7.3 its attributes name no base (`btf_flags` and `btf_token_fd`, which 6.9
/// brought, are for BPF tokens), so that no kernel can be asked about split BTF in this way.
pub fn load(data: &[u8], options: &Options<'_>) -> Verdict {
    let mut engine = Engine::new(data, None, Mode::Load, options);
    let result = Door::Load.run(&mut engine, data, options);
    finish(engine, result)
}

/// What a kernel says of its own BTF when it first needs it.
pub fn vmlinux(data: &[u8], options: &Options<'_>) -> Verdict {
    let mut engine = Engine::new(data, None, Mode::Kernel, options);
    let result = Door::Own.run(&mut engine, data, options);
    finish(engine, result)
}

/// What a kernel says of a module's BTF when the module is loaded: nothing before 5.11, which takes any.
///
/// `base` is the kernel's own BTF; `distilled` is the module's `.BTF.base`.
pub fn module(
    name: &str,
    data: &[u8],
    distilled: Option<&[u8]>,
    base: &Btf<'_>,
    options: &Options<'_>,
) -> Verdict {
    if !options.rules.modules {
        // Nobody reads it, so nobody refuses it.
        let index = Index::new(data, true, base.type_count()).unwrap_or_else(|_| Index::empty());
        return finish(Engine::new(&[], None, Mode::Kernel, options), Ok(())).with_index(index);
    }
    let mut verdict = module_inner(data, distilled, base, options);
    if let Err(errno) = verdict.result {
        verdict.closing.push(closing_line(name, errno, options));
    }
    verdict
}

/// What the kernel prints last of a module whose BTF it refuses (`btf_module_notify`).
pub(crate) fn closing_line(module: &str, errno: Errno, options: &Options<'_>) -> String {
    if options.mismatch_allowed && options.rules.mismatch_is_silent {
        "Kernel module BTF mismatch detected, BTF debug info may be unavailable for some modules".to_owned()
    } else {
        format!("failed to validate module [{module}] BTF: -{}", errno.0)
    }
}

fn module_inner(data: &[u8], distilled: Option<&[u8]>, kernel: &Btf<'_>, options: &Options<'_>) -> Verdict {
    let Some(distilled) = distilled.filter(|_| options.rules.distilled_base) else {
        let mut engine = Engine::new(data, Some(kernel), Mode::Kernel, options);
        let result = engine.own();
        return finish(engine, result);
    };
    let mut engine = Engine::new(distilled, None, Mode::Kernel, options);
    if let Err(fail) = engine.own() {
        return finish(engine, Err(fail));
    }
    let base = engine.btf();
    let mut engine = Engine::new(data, Some(&base), Mode::Kernel, options);
    let mut closing = Vec::new();
    let result = engine.own().and_then(|()| {
        let split = engine.btf();
        relocate::check(&split, &base, kernel).or_else(|failure| match failure {
            relocate::Failure::Refused(refusal) => {
                closing.push(refusal.line);
                Err(Fail::silent(refusal.errno))
            }
            // Nobody knows before the kernel has compared them all; it takes time, and no harm is known.
            relocate::Failure::TooManyOfOneName(_) => Ok(()),
        })
    });
    let mut verdict = finish(engine, result);
    verdict.closing = closing;
    verdict
}

fn finish<'a>(mut engine: Engine<'a>, result: Result<(), Fail<'a>>) -> Verdict {
    let console_space = engine.rules().console_space;
    let result = match result {
        Ok(()) => Ok(engine.take_index()),
        Err(fail) => {
            engine.emit(&fail);
            Err(fail.errno)
        }
    };
    Verdict { result, log: engine.take_log(), closing: Vec::new(), console_space }
}
