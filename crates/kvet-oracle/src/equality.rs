//! Is the text of a booted guest, byte for byte, what its tables make on that processor?
//!
//! Two guests of one kernel on one model of a processor: the first, on x86-64 without KASLR, says what the kernel finds there;
//! from that and the second one's keys alone the text is computed. The second's own memory is then compared with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kvet_image::{Arch, Image, VirtAddr};
use kvet_lab::init::Init;
use kvet_lab::{Initrd, Machine, Qemu};
use kvet_memory::text::{GuestMachine, audit};
use kvet_memory::{Guest, Memory};
use kvet_tables::Context;
use kvet_tables::expected::{self, Class, PatchedText, Stage, differences};

/// What came of one model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Equality {
    /// Bytes of text that were compared with the second guest's memory.
    pub bytes: u64,
    /// Sites that are as the tables ask.
    pub sites: u64,
    /// Bytes or sites that nothing explains.
    pub unexplained: u64,
    /// The first few of them, in words.
    pub first: Vec<String>,
    /// Addresses that KASLR moved.
    pub relocated: u64,
    /// Sites that ftrace or BPF had switched.
    pub traced: u64,
    /// Places where the text computed from the first guest is not that computed from the second. Where the kernel's
    /// tables of constants are allocated may differ from boot to boot; those are not counted.
    pub between: u64,
    /// What is not followed.
    pub skipped: Vec<String>,
}

/// Processors of a guest: one would lose its lock prefixes.
const PROCESSORS: u32 = 2;

/// Boots two guests of a kernel on a model, and compares.
///
/// # Errors
/// QEMU refuses the model, the kernel does not come to its first user space, or the memory cannot be read.
pub fn of(image: &Image, model: &str) -> Result<Equality, String> {
    // arm64 kernels take another place for a reason to separate the page tables (arch/arm64/kernel/cpufeature.c,
    // `unmap_kernel_at_el0`): there both guests have one.
    let first = halted(image, model, if image.arch() == Arch::X86_64 { "nokaslr" } else { "" })?;
    let second = halted(image, model, "")?;
    let context = Context::new(image, None);
    let open = |file: &File| {
        let memory = Memory::from_file(file, Path::new(model), image.arch()).map_err(|e| e.to_string())?;
        Guest::new(memory, image, Vec::new()).map_err(|e| e.to_string())
    };
    let (first, second) = (open(&first)?, open(&second)?);
    let (theirs, ours) = (GuestMachine::new(&first, &context)?, GuestMachine::new(&second, &context)?);
    let found = audit(&second, &context)?;
    let told = PatchedText::of(&context, &Told { features: &theirs, keys: &ours });
    let own = PatchedText::of(&context, &ours);
    let between = differences(&told, &own)
        .iter()
        .filter(|d| !second.is_gone(d.start) && d.owner.is_none_or(|o| o.class != Class::RuntimeConstant))
        .count();
    let words = |o: &kvet_memory::text::Oddity| {
        let place = image.symbolize(o.start).unwrap_or_default();
        format!("{} {place}: {}, {:02x?} for {:02x?}", o.start, o.kind.as_str(), o.memory, o.expected)
    };
    Ok(Equality {
        bytes: found.bytes,
        sites: found.as_expected.values().sum(),
        unexplained: found.faults().count() as u64 + found.more,
        first: found.faults().take(5).map(words).collect(),
        relocated: found.relocated,
        traced: found.traced,
        between: between as u64,
        skipped: found.skipped,
    })
}

/// The first guest's processor with the second guest's keys and variables.
struct Told<'t> {
    features: &'t dyn expected::Machine,
    keys: &'t dyn expected::Machine,
}

impl expected::Machine for Told<'_> {
    fn has(&self, feature: u16) -> bool {
        self.features.has(feature)
    }
    fn key_enabled(&self, key: VirtAddr) -> Option<bool> {
        self.keys.key_enabled(key)
    }
    fn pointer(&self, at: VirtAddr) -> Option<u64> {
        self.features.pointer(at)
    }
    fn raw(&self, at: VirtAddr, into: &mut [u8]) -> bool {
        self.keys.raw(at, into)
    }
    fn stage(&self) -> Stage {
        self.keys.stage()
    }
    fn slide(&self) -> u64 {
        self.keys.slide()
    }
}

/// The memory of a guest in its first user space.
fn halted(image: &Image, model: &str, append: &str) -> Result<File, String> {
    let kernel =
        std::fs::canonicalize(image.path()).map_err(|e| format!("{}: {e}", image.path().display()))?;
    let mut machine = Machine::new(image.arch().into(), &kernel);
    machine.cpu = Some(model.to_owned());
    machine.smp = PROCESSORS;
    machine.initrd = Initrd::Builtin(Init::Wait);
    // A busy host shall not fail the timer's check.
    machine.append = format!("{append} no_timer_check").trim_start().to_owned();
    let path_list = std::env::var_os("PATH").unwrap_or_default();
    let qemu = Qemu::open(&PathBuf::from(machine.arch.emulator()), &path_list).map_err(|e| e.to_string())?;
    machine.qemu.clone_from(&qemu.path);
    let halted =
        kvet_lab::halt_in_user_space(&machine, &qemu, Duration::from_secs(900)).map_err(|e| e.to_string())?;
    halted.memory.ok_or_else(|| format!("{model}: the kernel did not come to its first user space"))
}
