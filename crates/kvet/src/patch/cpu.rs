//! Where the processor's features come from, and the text that they make.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kvet_image::{Arch, Image, VirtAddr};
use kvet_lab::init::Init;
use kvet_lab::{Initrd, Machine, Qemu};
use kvet_memory::text::GuestMachine;
use kvet_memory::{Guest, Memory};
use kvet_tables::Context;
use kvet_tables::expected::{self, Described, PatchedText, WithFeatures, WithKeys};
use kvet_tables::features::cpuinfo::{self, CpuInfo};
use kvet_tables::features::x86::{ALWAYS, Features};

use super::{Keys, PatchArgs, Patched};
use crate::text;

/// Where a processor is known from.
pub enum Source<'g, 'a> {
    /// A guest that has booted.
    Guest(&'g Guest<'a>),
    /// A model of QEMU's, which is asked by booting.
    Model(String),
    /// A /proc/cpuinfo.
    CpuInfo {
        /// What to call it.
        name: String,
        /// What stands there.
        info: CpuInfo,
    },
    /// What every processor has.
    Baseline,
}

impl<'g, 'a> Source<'g, 'a> {
    /// `--against`: a model, `host`, or a file.
    pub fn named(name: &str) -> Result<Source<'g, 'a>, String> {
        if name.contains('/') { Source::file(Path::new(name)) } else { Source::model(name) }
    }

    /// `--cpu`: a model, or `host`.
    pub fn model(name: &str) -> Result<Source<'g, 'a>, String> {
        match name {
            "host" => Source::file(Path::new("/proc/cpuinfo")),
            _ => Ok(Source::Model(name.to_owned())),
        }
    }

    /// `--cpuinfo`.
    pub fn file(path: &Path) -> Result<Source<'g, 'a>, String> {
        let name = text::path(path);
        let bytes = std::fs::read(path).map_err(|e| format!("{name}: cannot be read: {e}"))?;
        let info =
            CpuInfo::parse(&String::from_utf8_lossy(&bytes)).map_err(|why| format!("{name}: {why}"))?;
        Ok(Source::CpuInfo { name, info })
    }
}

/// What is known of a processor.
pub struct Facts {
    /// What to call it.
    pub name: String,
    /// Where its features come from, in a clause.
    pub source: String,
    /// The features that decide, by number.
    pub features: BTreeSet<u16>,
    /// What follows from the kernel's defaults only.
    pub assumed: Vec<String>,
    /// What is not known.
    pub unknown: Vec<String>,
}

impl Facts {
    fn new(name: impl Into<String>, source: impl Into<String>) -> Facts {
        Facts {
            name: name.into(),
            source: source.into(),
            features: BTreeSet::new(),
            assumed: Vec::new(),
            unknown: Vec::new(),
        }
    }
}

/// What is asked of every processor.
pub struct Asked<'r, 'a> {
    pub args: &'r PatchArgs,
    pub context: &'r Context<'a>,
    pub keys: Keys,
    pub given: &'r [(VirtAddr, bool)],
    pub changed: &'r [(u16, bool)],
}

impl Asked<'_, '_> {
    /// The text on a processor.
    pub fn patched(&self, source: &Source<'_, '_>) -> Result<Patched, String> {
        match source {
            Source::Guest(guest) => {
                let machine = GuestMachine::new(guest, self.context)?;
                let name = format!("the guest of {}", text::path(guest.memory().path()));
                Ok(self.with(&machine, Facts::new(name, "as that guest's kernel found it")))
            }
            Source::Model(model) => self.asked_of_qemu(model),
            Source::CpuInfo { name, info } => self.described_by(name, info),
            Source::Baseline => {
                let names = cpuinfo::BASELINE.iter().map(|n| (*n).to_owned()).collect();
                let info = CpuInfo { flags: names, ..CpuInfo::default() };
                let mut facts = Facts::new("the least processor", "what every processor has");
                let features = match self.image().arch() {
                    Arch::X86_64 => {
                        cpuinfo::derive(self.image(), &Features::read(self.image()), &info).features
                    }
                    Arch::Arm64 => self.always_on_arm64(),
                };
                facts.unknown = self.nameless(&features);
                Ok(self.with(&Described::new(self.image(), &features, self.args.smp <= 1), facts))
            }
        }
    }

    fn image(&self) -> &Image {
        self.context.image
    }

    fn with(&self, machine: &dyn expected::Machine, mut facts: Facts) -> Patched {
        let initially = (self.keys == Keys::Initial).then_some(self.image());
        let keyed = WithKeys { machine, initially, given: self.given };
        let machine = WithFeatures { machine: &keyed, changed: self.changed };
        facts.features = (0..self.limit()).filter(|n| expected::Machine::has(&machine, *n)).collect();
        let text = PatchedText::of(self.context, &machine);
        facts.unknown.extend(text.skipped.iter().cloned());
        Patched { cpu: facts, text }
    }

    fn limit(&self) -> u16 {
        const MOST: u16 = 1024;
        match self.image().arch() {
            Arch::X86_64 => {
                Features::read(self.image()).limit().and_then(|n| n.try_into().ok()).unwrap_or(MOST)
            }
            Arch::Arm64 => self.context.arm64_alternatives().capabilities.count.unwrap_or(MOST),
        }
    }

    fn always_on_arm64(&self) -> BTreeSet<u16> {
        let capabilities = &self.context.arm64_alternatives().capabilities;
        capabilities.listed.keys().copied().filter(|n| capabilities.is_always(*n)).collect()
    }

    /// Features that decide alternatives and have no name, where a description does not tell of them.
    fn nameless(&self, features: &BTreeSet<u16>) -> Vec<String> {
        if self.image().arch() != Arch::X86_64 {
            return vec!["capabilities that no --features names are taken as absent".into()];
        }
        let known = Features::read(self.image());
        let Some(table) = kvet_tables::alternatives::x86::entries(self.context) else { return Vec::new() };
        let is_open = |f: &u16| *f != ALWAYS && !features.contains(f) && !known.is_named(self.image(), *f);
        let open: BTreeSet<u16> = table.entries.iter().map(|e| e.feature).filter(is_open).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let names: Vec<String> = open.iter().map(|f| known.name(self.image(), *f)).collect();
        let entries = table.entries.iter().filter(|e| open.contains(&e.feature)).count() as u64;
        vec![format!(
            "{} for features that have no name, taken as absent: {} (--features +NUMBER adds one)",
            text::count(entries, "alternative"),
            names.join(", ")
        )]
    }

    fn described_by(&self, name: &str, info: &CpuInfo) -> Result<Patched, String> {
        if self.image().arch() != Arch::X86_64 {
            return Err(format!(
                "{name}: an arm64 kernel's capabilities do not stand in /proc/cpuinfo; give a QEMU model, a guest's \
                 memory, or --features"
            ));
        }
        let derived = cpuinfo::derive(self.image(), &Features::read(self.image()), info);
        let shown = info.model.as_ref().map_or_else(|| name.to_owned(), |model| format!("{model} ({name})"));
        let mut facts = Facts::new(shown, "flags and bugs of /proc/cpuinfo");
        facts.unknown = self.nameless(&derived.features);
        if !derived.foreign.is_empty() {
            facts
                .unknown
                .push(format!("names that this kernel does not have: {}", derived.foreign.join(" ")));
        }
        if info.bugs.contains("its") {
            facts
                .unknown
                .push("bug its: which indirect branches go through thunks is decided at boot".into());
        }
        facts.assumed = derived.assumed;
        Ok(self.with(&Described::new(self.image(), &derived.features, self.args.smp <= 1), facts))
    }

    /// Boots the kernel on a model up to its first user space, and reads what it found.
    fn asked_of_qemu(&self, model: &str) -> Result<Patched, String> {
        let kernel = std::fs::canonicalize(&self.args.kernel)
            .map_err(|e| format!("{}: {e}", self.args.kernel.display()))?;
        let mut machine = Machine::new(self.image().arch().into(), &kernel);
        machine.cpu = Some(model.to_owned());
        machine.smp = self.args.smp.max(1);
        machine.initrd = Initrd::Builtin(Init::Wait);
        // Addresses in the text are then those that the file is linked to; a busy host shall not fail the timer's check.
        let timer = if self.image().arch() == Arch::X86_64 { "no_timer_check " } else { "" };
        machine.append = format!("nokaslr {timer}{}", self.args.append).trim_end().to_owned();
        let binary = self.args.qemu.clone().unwrap_or_else(|| PathBuf::from(machine.arch.emulator()));
        let qemu =
            Qemu::open(&binary, &std::env::var_os("PATH").unwrap_or_default()).map_err(|e| e.to_string())?;
        machine.qemu.clone_from(&qemu.path);
        let memory = halted(&machine, &qemu, Duration::from_secs(self.args.timeout))?;
        let path = PathBuf::from(format!("guest of {model}"));
        let memory = Memory::from_file(&memory, &path, self.image().arch()).map_err(|e| e.to_string())?;
        let guest = Guest::new(memory, self.image(), Vec::new()).map_err(|e| e.to_string())?;
        let found = GuestMachine::new(&guest, self.context)?;
        let source = format!("as this kernel found it, booted by QEMU {}", qemu.number());
        Ok(self.with(&found, Facts::new(model, source)))
    }
}

/// A guest's memory when it has come to its first user space.
fn halted(machine: &Machine, qemu: &Qemu, timeout: Duration) -> Result<std::fs::File, String> {
    let halted = kvet_lab::halt_in_user_space(machine, qemu, timeout).map_err(|e| e.to_string())?;
    halted.memory.ok_or_else(|| {
        let console = String::from_utf8_lossy(&halted.console.bytes).into_owned();
        let lines: Vec<&str> = console.lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
        format!(
            "the kernel did not come to its first user space on {}, so what it makes of that processor is not known; \
             describe it by --cpuinfo or --features. The console ended with:\n  {last}",
            machine.cpu.as_deref().unwrap_or("QEMU's default processor")
        )
    })
}
