//! Boots and their phases, by what the kernel says on its way up (init/main.c, kernel/smp.c, kernel/reboot.c).

use crate::line::{Line, Origin};
use crate::report::{Arch, Boot, Ending, Phase};
use crate::text::{after, before, take_dec};

/// Words of which each mark below has one.
pub(crate) const ANCHORS: &[&str] = &[
    "Linux version ",
    "Booting Linux on",
    "ooting the kernel.",
    "Decompressing Linux",
    "ommand line: ",
    "DMI: ",
    "Machine model: ",
    "ypervisor detected",
    "alternatives: ",
    "Bringing up secondary",
    "Brought up ",
    "devtmpfs: init",
    "calling ",
    "Freeing unused kernel",
    "VFS: Mounted root",
    " as init process",
    "reboot: ",
    "Rebooting in",
    "Restarting system",
    "Starting new kernel",
    "messages dropped",
    "sysrq: ",
    // pstore's records, `Panic#1 Part2`; `Oops` is an anchor anyway.
    "Panic#",
    "Emergency#",
    "Shutdown#",
];

/// A line that begins a boot, and how early it stands in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Begin {
    Decompressor,
    Physical,
    Banner,
}

/// Whether a line begins a boot.
pub(crate) fn begins(line: &Line<'_>) -> Option<Begin> {
    let text = line.text();
    if line.part.origin == Origin::User {
        return None;
    }
    if let Some(rest) = text.strip_prefix("Linux version ") {
        return (rest.as_bytes().first().is_some_and(u8::is_ascii_digit) && rest.contains('('))
            .then_some(Begin::Banner);
    }
    if text.starts_with("Booting Linux on physical CPU") {
        return Some(Begin::Physical);
    }
    let decompressor = line.part.timestamp.is_none()
        && (text == "Booting the kernel."
            || text.starts_with("Decompressing Linux...")
            || (text.starts_with("Uncompressing Linux...") && text.contains("booting the kernel")));
    decompressor.then_some(Begin::Decompressor)
}

/// A boot that is going on.
#[derive(Clone, Default)]
pub(crate) struct Going {
    pub boot: Boot,
    /// The last mark of its beginning, while nothing else has been seen.
    pub beginning: Option<Begin>,
    /// It said that it would restart or stop.
    pub announced_end: bool,
    /// It ended in a panic.
    pub panicked: bool,
    /// `Run /init as init process` was seen; what follows is user space.
    pub init_started: bool,
    /// Its banner had a time stamp.
    pub stamped: bool,
    /// A console prints the log again from its beginning.
    pub replaying: bool,
    /// Marks with their times, by which a repeated log is known.
    pub marks: Vec<(u64, String)>,
}

impl Going {
    /// Reads a line for what it tells of the boot. True when the phase changed.
    pub fn note(&mut self, line: &Line<'_>) -> bool {
        let text = line.text();
        let old = self.boot.phase.clone();
        if let Some(phase) = self.phase(text)
            && rank(&phase) >= rank(&self.boot.phase)
        {
            self.boot.phase = phase;
        }
        self.stamped |= line.part.timestamp.is_some() && text.starts_with("Linux version ");
        self.facts(text);
        old != self.boot.phase
    }

    /// Remembers a mark and its time; true when it repeats one of `older`.
    pub fn mark(&mut self, line: &Line<'_>, older: Option<&Going>) -> Option<bool> {
        const MARKS: usize = 16;
        let time = line.part.timestamp.filter(|t| *t > 0.0)?.to_bits();
        let text = crate::text::clip(line.text(), 256);
        if self.marks.len() < MARKS {
            self.marks.push((time, text.to_owned()));
        }
        Some(older?.marks.iter().any(|m| m.0 == time && m.1 == text))
    }

    fn phase(&mut self, text: &str) -> Option<Phase> {
        if let Some(rest) = text.strip_prefix("calling ") {
            let rest = rest.trim_start();
            let name = before(rest, "+0x");
            return (rest.contains(" @ ") && name.len() < rest.len())
                .then(|| Phase::Initcall(Some(name.to_owned())));
        }
        if text.starts_with("alternatives: patching kernel code")
            || text.starts_with("alternatives: applying")
        {
            return Some(Phase::Alternatives);
        }
        if text.starts_with("smp: Bringing up secondary") {
            return Some(Phase::Smp);
        }
        if text.starts_with("devtmpfs: initialized") {
            return Some(Phase::Initcall(None));
        }
        if text.starts_with("Freeing unused kernel") || text.starts_with("VFS: Mounted root") {
            return Some(Phase::Init);
        }
        if text.starts_with("Run ") && text.ends_with(" as init process") {
            self.init_started = true;
            return Some(Phase::Init);
        }
        if ends(text) {
            self.announced_end = true;
            return Some(Phase::Shutdown);
        }
        if text.starts_with("Rebooting in ") || text.contains("Starting new kernel") {
            self.announced_end = true;
        }
        None
    }

    fn facts(&mut self, text: &str) {
        let boot = &mut self.boot;
        let set = |field: &mut Option<String>, value: &str| {
            if field.is_none() {
                *field = Some(crate::text::clip(value.trim(), 4096).to_owned());
            }
        };
        if let Some(rest) = text.strip_prefix("Linux version ") {
            if boot.banner.is_none() {
                boot.banner = Some(crate::text::clip(text, 4096).to_owned());
                boot.release = rest.split(' ').next().map(str::to_owned);
                boot.arch = boot.arch.or_else(|| arch_of(text));
            }
        } else if let Some(rest) =
            text.strip_prefix("Command line: ").or_else(|| text.strip_prefix("Kernel command line: "))
        {
            set(&mut boot.command_line, rest);
            if text.starts_with('C') {
                boot.arch.get_or_insert(Arch::X86_64);
            }
        } else if let Some(rest) = text.strip_prefix("DMI: ") {
            if !rest.starts_with("not present") && !rest.contains("Memory slots") {
                set(&mut boot.hardware, rest);
            }
        } else if let Some(rest) = text.strip_prefix("Machine model: ") {
            set(&mut boot.hardware, rest);
        } else if let Some(rest) = text.strip_prefix("Hypervisor detected: ") {
            set(&mut boot.hypervisor, rest);
        } else if let Some(rest) = after(text, "Brought up ") {
            // `smp: Brought up 1 node, 4 CPUs`, `Brought up 4 CPUs`.
            let count = after(rest, ", ").unwrap_or(rest);
            if let Some((n, tail)) = take_dec(count)
                && tail.starts_with(" CPU")
            {
                boot.cpus = u32::try_from(n).ok();
            }
        } else if let Some(rest) = text.strip_prefix("Booting Linux on physical CPU ") {
            // arm64 prints ten digits and the MIDR, arm `0x0`, riscv says `hartid`.
            boot.arch = boot.arch.or(Some(if rest.len() > 12 { Arch::Arm64 } else { Arch::Arm }));
        } else if let Some(rest) = text.strip_prefix("** ")
            && let Some((n, tail)) = take_dec(rest)
            && tail.starts_with(" printk messages dropped")
        {
            boot.dropped = boot.dropped.saturating_add(n);
        }
    }

    /// Closes the boot.
    pub fn end(mut self, reset: bool, last: Option<(String, u64, Option<f64>)>) -> Boot {
        self.boot.ending = if self.announced_end {
            Ending::Shutdown
        } else if reset {
            Ending::Reset
        } else {
            last.map_or(Ending::Nothing, |(text, line, timestamp)| Ending::Silence { text, line, timestamp })
        };
        self.boot
    }
}

/// Whether the kernel says that it stops or restarts.
fn ends(text: &str) -> bool {
    const WORDS: [&str; 7] = [
        "reboot: Power down",
        "reboot: Restarting system",
        "reboot: System halted",
        "reboot: machine restart",
        "Restarting system.",
        "sysrq: Resetting",
        "sysrq: SysRq : Resetting",
    ];
    WORDS.iter().any(|w| text.starts_with(w))
}

fn rank(phase: &Phase) -> u8 {
    match phase {
        Phase::Unknown => 0,
        Phase::Firmware => 1,
        Phase::Early => 2,
        Phase::Alternatives => 3,
        Phase::Smp => 4,
        Phase::Initcall(_) => 5,
        Phase::Init => 6,
        Phase::UserSpace => 7,
        Phase::Shutdown => 8,
    }
}

fn arch_of(banner: &str) -> Option<Arch> {
    let has = |w: &str| banner.contains(w);
    match () {
        () if has("aarch64") || has("-arm64") => Some(Arch::Arm64),
        () if has("x86_64") || has("-amd64") => Some(Arch::X86_64),
        () if has("riscv") => Some(Arch::Riscv),
        () if has("powerpc") || has("ppc64") => Some(Arch::Powerpc),
        () if has("s390x") => Some(Arch::S390),
        () if has("mips") => Some(Arch::Mips),
        () if has("loongarch") => Some(Arch::Loongarch),
        () if has("arm-linux") => Some(Arch::Arm),
        () => None,
    }
}

/// Whether a line shows that user space ran before the machine started again: calls that syzkaller's programs print.
pub(crate) fn shows_user_space(text: &str) -> bool {
    text.starts_with("executing program")
        || (text.ends_with(')')
            && text.contains('(')
            && text.contains("0x")
            && (text.contains("&(0x7f") || text.contains("=nil, ")))
}
