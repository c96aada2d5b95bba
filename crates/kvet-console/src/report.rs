//! What the parser returns: boots and reports, structured to the last field.
//!
//! Every text is the log's own, without time stamp, prefix and quoting, and must not be sent raw to a terminal.
//! A field that the log does not give is `None` or empty; nothing is guessed here.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What sort of failure a report is: the `kind` of `kvet-explain/1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// An exception in kernel mode that none of the more telling kinds below describes.
    Oops,
    /// `Kernel panic - not syncing` that no other report of the same failure precedes.
    Panic,
    /// `kernel BUG at`, `BUG: ...` of no more telling kind.
    Bug,
    /// `WARNING:` of `WARN_ON` and its kin.
    Warning,
    /// A page fault or data/instruction abort on a bad address.
    PageFault,
    /// `general protection fault`, on x86.
    GeneralProtection,
    /// A stack that is full, or whose mapping is gone.
    StackOverflow,
    /// x86 `double fault`.
    DoubleFault,
    /// `int3` or `BRK` that nobody handles.
    Breakpoint,
    /// x86 `invalid opcode`, arm64 undefined instruction, without a `kernel BUG at`.
    InvalidOpcode,
    /// The kernel's own words about a table it patches itself by: jump labels, alternatives, static calls,
    /// return thunks.
    Patching,
    /// BTF refused.
    Btf,
    /// `watchdog: BUG: soft lockup`.
    SoftLockup,
    /// `Watchdog detected hard LOCKUP`.
    HardLockup,
    /// `INFO: task ... blocked for more than`.
    HungTask,
    /// An RCU grace period that does not end.
    RcuStall,
    /// lockdep's complaints.
    Lockdep,
    /// KASAN.
    Kasan,
    /// KMSAN.
    Kmsan,
    /// KCSAN.
    Kcsan,
    /// KFENCE.
    Kfence,
    /// UBSAN.
    Ubsan,
    /// kmemleak, or a leaked object that the kernel itself reports.
    Leak,
    /// `refcount_t`.
    Refcount,
    /// A sleeping function called from, or scheduling in, an atomic context.
    SleepingInAtomic,
    /// No root file system.
    Rootfs,
    /// The machine started again without a word.
    Reset,
    /// The log just ends, or stands still.
    Silence,
    /// Memory ran out, and that ended the boot or killed what was under test.
    OutOfMemory,
    /// A slab allocator's complaint about its own objects (`BUG kmalloc-64 ...: Object already free`).
    Slab,
    /// Not the kernel's: the program that drives the test died (a Go runtime error, `SYZFAIL`), and says so on
    /// the console.
    UserSpace,
}

impl Kind {
    /// Whether the kernel itself failed, or only a program that it ran.
    pub fn is_kernel(self) -> bool {
        self != Kind::UserSpace
    }

    /// The word in output, for example `page-fault`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Oops => "oops",
            Kind::Panic => "panic",
            Kind::Bug => "bug",
            Kind::Warning => "warning",
            Kind::PageFault => "page-fault",
            Kind::GeneralProtection => "general-protection",
            Kind::StackOverflow => "stack-overflow",
            Kind::DoubleFault => "double-fault",
            Kind::Breakpoint => "breakpoint",
            Kind::InvalidOpcode => "invalid-opcode",
            Kind::Patching => "patching",
            Kind::Btf => "btf",
            Kind::SoftLockup => "soft-lockup",
            Kind::HardLockup => "hard-lockup",
            Kind::HungTask => "hung-task",
            Kind::RcuStall => "rcu-stall",
            Kind::Lockdep => "lockdep",
            Kind::Kasan => "kasan",
            Kind::Kmsan => "kmsan",
            Kind::Kcsan => "kcsan",
            Kind::Kfence => "kfence",
            Kind::Ubsan => "ubsan",
            Kind::Leak => "leak",
            Kind::Refcount => "refcount",
            Kind::SleepingInAtomic => "sleeping-in-atomic",
            Kind::Rootfs => "rootfs",
            Kind::Reset => "reset",
            Kind::Silence => "silence",
            Kind::OutOfMemory => "out-of-memory",
            Kind::Slab => "slab",
            Kind::UserSpace => "user-space",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The architecture that a report's shape shows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Arch {
    X86_64,
    X86,
    Arm64,
    Arm,
    Riscv,
    Powerpc,
    S390,
    Mips,
    Loongarch,
}

/// A place in the log: byte offsets `start..end` of the input, and the first and last line, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// Byte offset of the first line's first byte.
    pub start: u64,
    /// Byte offset after the last line.
    pub end: u64,
    /// Number of the first line, from 1.
    pub first_line: u64,
    /// Number of the last line.
    pub last_line: u64,
}

/// Where a stack frame ran, as the section marks of the trace say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum CpuContext {
    Task,
    Irq,
    SoftIrq,
    Nmi,
    DoubleFault,
    Exception,
    Entry,
}

/// A name out of a log, shared by whatever bears it: a log names the same functions again and again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(Arc<str>);

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Name {
        Name(name.into())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One frame of a call trace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// The function, without suffixes `.isra.0`, `.constprop.9`, `.cold`, `.llvm.123`; empty for a bare address.
    pub function: Name,
    /// The name as it stands in the log, suffixes included.
    pub symbol: Name,
    /// Offset into the symbol.
    pub offset: u64,
    /// kallsyms' size of the symbol (the distance to the next one), when printed.
    pub size: Option<u64>,
    /// The bare address, when printed.
    pub address: Option<u64>,
    /// The module, as `[module]` says.
    pub module: Option<Name>,
    /// The module's build id, when `[module buildid]` says.
    pub build_id: Option<String>,
    /// False for frames marked `?`.
    pub reliable: bool,
    /// True for a frame that is inlined into the next one (`f fs/x.c:12 [inline]`): a log decoded before.
    pub inlined: bool,
    /// `file:line`, when the log has it (CONFIG_KALLSYMS_LINEINFO, or a decoded log).
    pub source: Option<(String, u32)>,
    /// `<IRQ>`, `<TASK>`, `<NMI>` and their kin.
    pub context: Option<CpuContext>,
    /// Line number in the log, from 1.
    pub line: u64,
}

/// One register.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Register {
    /// The name in lower case as the architecture's manual has it: `rax`, `cr2`, `x29`, `sp`, `pstate`.
    pub name: Cow<'static, str>,
    /// The value; `None` where the log hides it (`xxxxxxxx`, cut).
    pub value: Option<u64>,
}

/// The `Code:` line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Code {
    /// The bytes in memory order (arm64: each word is stored little endian).
    pub bytes: Vec<u8>,
    /// Index in `bytes` of the marked unit, `<xx>` or `(xxxxxxxx)`.
    pub marked: Option<usize>,
    /// Bytes a unit: 1 on x86, 4 on arm64 (2 for Thumb).
    pub unit: u8,
    /// The line's words when there are no bytes: `Bad RIP value.`
    pub unreadable: Option<String>,
}

/// What the processor said about an exception.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trap {
    /// The exception in the log's words: `int3`, `invalid opcode`, `general protection fault`, `Oops - BUG`,
    /// `DABT (current EL)`.
    pub name: String,
    /// x86 vector number, where the name tells it.
    pub vector: Option<u8>,
    /// x86 error code, the four digits after the name; arm64's ESR is in `esr`.
    pub error_code: Option<u64>,
    /// The oops counter, `[#1]`.
    pub counter: Option<u32>,
    /// The words after the counter: `PREEMPT`, `SMP`, `NOPTI`, `KASAN`.
    pub config: Vec<String>,
    /// arm64 ESR_ELx.
    pub esr: Option<u64>,
    /// The address that the access met: CR2, FAR, or the one in the headline.
    pub address: Option<u64>,
    /// What kind of access it was, from #PF bits, ESR's WnR, or the headline.
    pub fault: Fault,
    /// The page-table walk as printed, outermost first: (`pgd`, value), (`p4d`, value), ..., (`pmd`, 0).
    pub walk: Vec<(String, u64)>,
}

/// The access that faulted. `None` is: the log does not say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fault {
    /// A write (x86 #PF bit 1, arm64 WnR).
    pub write: Option<bool>,
    /// An instruction fetch (x86 #PF bit 4, arm64 EC 0x20/0x21).
    pub fetch: Option<bool>,
    /// From user mode.
    pub user: Option<bool>,
    /// The page was present (x86 #PF bit 0): a violation of protection, not a missing page.
    pub present: Option<bool>,
    /// Reserved bits were set in a page table (x86 #PF bit 3).
    pub reserved: Option<bool>,
    /// Protection keys (x86 #PF bit 5).
    pub protection_key: Option<bool>,
    /// arm64 exception class, ESR bits 31..26.
    pub ec: Option<u8>,
    /// arm64 instruction length bit.
    pub il: Option<bool>,
    /// arm64 fault status code, DFSC or IFSC, ESR bits 5..0.
    pub fsc: Option<u8>,
    /// Level of the table at which the walk ended (arm64 FSC bits 1..0 of a translation, access-flag or
    /// permission fault).
    pub level: Option<u8>,
}

/// Where in its boot the kernel was, by what it had said before.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Phase {
    /// Nothing tells.
    #[default]
    Unknown,
    /// Firmware, boot loader, decompressor.
    Firmware,
    /// From the banner to the first of the marks below.
    Early,
    /// The kernel patches its alternatives.
    Alternatives,
    /// Secondary processors are brought up.
    Smp,
    /// In an initcall; its name where `initcall_debug` or the trace tells.
    Initcall(Option<String>),
    /// Mounting root, starting init.
    Init,
    /// User space runs.
    UserSpace,
    /// Shutting down or rebooting on purpose.
    Shutdown,
}

/// One report of a log.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// What sort of failure.
    pub kind: Kind,
    /// The line that says so, cleaned of prefixes; wrapped parts joined.
    pub headline: String,
    /// Lines that belong to the headline and say more (`BPF:` lines before a refused module, `kernel BUG at`
    /// before `invalid opcode`, KASAN's `Read of size 8 at addr`): (line number, text).
    pub details: Vec<(u64, String)>,
    /// Where it stands.
    pub span: Span,
    /// Which boot of the log, from 0.
    pub boot: usize,
    /// Seconds since boot, of the headline.
    pub timestamp: Option<f64>,
    /// Shape of the report.
    pub arch: Option<Arch>,
    /// `6.1.0-56-cloud-amd64` of the `CPU:` line, else of the boot's banner.
    pub release: Option<String>,
    /// `#1 SMP ...`: the build's version on the `CPU:` line.
    pub build: Option<String>,
    /// The CPU that reports.
    pub cpu: Option<u32>,
    /// CPUs that the report says are stuck (soft lockup, RCU stall), beside `cpu`.
    pub stalled_cpus: Vec<u32>,
    /// Process id.
    pub pid: Option<u32>,
    /// Command name.
    pub comm: Option<String>,
    /// `Not tainted`, or the letters.
    pub taint: Option<String>,
    /// `Hardware name:`.
    pub hardware: Option<String>,
    /// `Workqueue:` or `Stopper:`.
    pub work: Option<String>,
    /// `Modules linked in:`, names without their marks.
    pub modules: Vec<String>,
    /// Where in the boot.
    pub phase: Phase,
    /// The processor's own words.
    pub trap: Option<Trap>,
    /// Where the instruction pointer was: `RIP:`, `pc :`, `IP:`.
    pub ip: Option<Frame>,
    /// arm64's `lr :` and others' link register.
    pub lr: Option<Frame>,
    /// Registers in the log's order.
    pub registers: Vec<Register>,
    /// Code bytes.
    pub code: Option<Code>,
    /// The first call trace of the report (that of the task or CPU at fault), innermost first.
    pub frames: Vec<Frame>,
    /// The other traces, each with its title line: `Allocated by task 1:`, `Freed by task 2:`, `NMI backtrace
    /// for cpu 3`, `the existing dependency chain`, `CPU: 1 PID: ...`.
    pub traces: Vec<Trace>,
    /// Held locks, one line each.
    pub locks: Vec<String>,
    /// The object at fault where KASAN, KFENCE, SLUB or KMSAN describe it.
    pub object: Option<Object>,
    /// `file:line` of `kernel BUG at`, `WARNING: ... at`, UBSAN.
    pub source: Option<(String, u32)>,
    /// The function that the headline names: `WARNING: ... at f+0x..`, `KASAN: ... in f`, `unexpected op at f`.
    pub named: Option<Frame>,
    /// The stacks' bounds as arm64's overflow report prints them: (`task`, start, end), (`irq`, ..), (`overflow`, ..).
    pub stacks: Vec<(String, u64, u64)>,
    /// The kernel's last words that follow from it, `Kernel panic - not syncing: ...`.
    pub panic: Option<String>,
    /// The log was cut or mixed inside the report, so that fields may be missing.
    pub cut: bool,
    /// Lines at which the same report stands again (quoted twice, replayed by a second console, `dmesg` printed
    /// into the log); they make no report of their own.
    pub repeated: Vec<u64>,
}

impl Report {
    /// A report that says only its kind and headline.
    pub fn new(kind: Kind, headline: impl Into<String>) -> Report {
        Report {
            kind,
            headline: headline.into(),
            details: Vec::new(),
            span: Span::default(),
            boot: 0,
            timestamp: None,
            arch: None,
            release: None,
            build: None,
            cpu: None,
            stalled_cpus: Vec::new(),
            pid: None,
            comm: None,
            taint: None,
            hardware: None,
            work: None,
            modules: Vec::new(),
            phase: Phase::Unknown,
            trap: None,
            ip: None,
            lr: None,
            registers: Vec::new(),
            code: None,
            frames: Vec::new(),
            traces: Vec::new(),
            locks: Vec::new(),
            object: None,
            source: None,
            named: None,
            stacks: Vec::new(),
            panic: None,
            cut: false,
            repeated: Vec::new(),
        }
    }

    /// Value of a register, by its name in lower case.
    pub fn register(&self, name: &str) -> Option<u64> {
        self.registers.iter().find(|r| r.name == name)?.value
    }
}

/// A further trace inside a report.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// The line that announces it.
    pub title: String,
    /// CPU, where the title says.
    pub cpu: Option<u32>,
    /// Task, where the title says.
    pub pid: Option<u32>,
    /// Command name, where the title says.
    pub comm: Option<String>,
    /// `RIP:` or `pc :` of that CPU.
    pub ip: Option<Frame>,
    /// Registers of that CPU.
    pub registers: Vec<Register>,
    /// Code bytes of that CPU.
    pub code: Option<Code>,
    /// Innermost first.
    pub frames: Vec<Frame>,
}

/// An object in memory that a sanitiser or allocator describes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Object {
    /// Its address.
    pub address: Option<u64>,
    /// `kmalloc-64`, or the global variable's name.
    pub cache: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// The access: bytes and whether it wrote.
    pub access: Option<(u64, bool)>,
}

/// One boot of a log.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Boot {
    /// Where it stands.
    pub span: Span,
    /// The `Linux version` line, without prefix.
    pub banner: Option<String>,
    /// Release in the banner.
    pub release: Option<String>,
    /// What the banner and the lines show.
    pub arch: Option<Arch>,
    /// `Command line:` or `Kernel command line:`.
    pub command_line: Option<String>,
    /// `DMI:`, `Machine model:` or `Hardware name:`.
    pub hardware: Option<String>,
    /// `Hypervisor detected:`.
    pub hypervisor: Option<String>,
    /// Number of CPUs brought up.
    pub cpus: Option<u32>,
    /// The furthest phase it reached.
    pub phase: Phase,
    /// `printk: N messages dropped`, summed.
    pub dropped: u64,
    /// How it ended.
    pub ending: Ending,
}

/// How a boot's log ends.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Ending {
    /// With the log; the last line of the kernel, its number and time.
    Silence {
        /// The line.
        text: String,
        /// Its number, from 1.
        line: u64,
        /// Seconds since boot.
        timestamp: Option<f64>,
    },
    /// `reboot: Power down` or `reboot: Restarting system`.
    Shutdown,
    /// Another boot begins, and this one had not said that it would restart.
    Reset,
    /// It had no kernel line at all.
    #[default]
    Nothing,
}

/// A whole log.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Log {
    /// Boots in the order of the log. A log that starts inside a boot has a first one without a banner.
    pub boots: Vec<Boot>,
    /// Reports in the order of the log.
    pub reports: Vec<Arc<Report>>,
    /// Lines.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
    /// Reports that were seen but not kept, because the log has more than a [`crate::Scanner`] keeps.
    pub skipped: u64,
}

/// What the streaming parser says as soon as it knows.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A boot begins (its index).
    Boot(usize),
    /// A boot came into another phase.
    Phase(Phase),
    /// The first line of a report was seen: who waits for a failure need not wait for its end.
    Began {
        /// What it looks like so far.
        kind: Kind,
        /// The line.
        headline: String,
    },
    /// A report is complete.
    Report(Arc<Report>),
}
