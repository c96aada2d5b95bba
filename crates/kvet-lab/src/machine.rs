//! The machine that a kernel boots on, and the QEMU command line that makes it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::init::Init;

/// The guest's architecture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    #[serde(rename = "arm64")]
    Arm64,
}

impl Arch {
    /// The name, as `kvet_image` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Arm64 => "arm64",
        }
    }

    /// QEMU's binary for it.
    pub fn emulator(self) -> &'static str {
        match self {
            Arch::X86_64 => "qemu-system-x86_64",
            Arch::Arm64 => "qemu-system-aarch64",
        }
    }

    /// The console on the first serial port.
    fn console(self) -> &'static str {
        match self {
            Arch::X86_64 => "console=ttyS0",
            Arch::Arm64 => "console=ttyAMA0",
        }
    }
}

impl From<kvet_image::Arch> for Arch {
    fn from(arch: kvet_image::Arch) -> Arch {
        match arch {
            kvet_image::Arch::X86_64 => Arch::X86_64,
            kvet_image::Arch::Arm64 => Arch::Arm64,
        }
    }
}

/// What the kernel finds as its first user space.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initrd {
    /// One of ours, made for the architecture.
    Builtin(Init),
    /// The user's.
    File(PathBuf),
    /// None: the kernel looks for a root file system.
    None,
}

/// All that decides how a guest is made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The guest's architecture.
    pub arch: Arch,
    /// QEMU's binary.
    pub qemu: PathBuf,
    /// Directories of QEMU's firmware (`-L`), for a QEMU that is not installed.
    pub firmware: Vec<PathBuf>,
    /// QEMU's `-machine`; `None` is `pc` on x86-64 and `virt` on arm64.
    pub machine: Option<String>,
    /// QEMU's `-accel`: `tcg`, `tcg,thread=single`, `kvm`.
    pub accel: String,
    /// QEMU's `-cpu`; `None` is `host` under KVM, else QEMU's default on x86-64 and `cortex-a72` on arm64.
    pub cpu: Option<String>,
    /// Virtual CPUs.
    pub smp: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel: bzImage, ELF with a PVH entry, or arm64 `Image`.
    pub kernel: PathBuf,
    /// The first user space.
    pub initrd: Initrd,
    /// What the user adds to the kernel's command line.
    pub append: String,
    /// Further arguments for QEMU, as they are.
    pub qemu_args: Vec<String>,
    /// Give the guest a network card behind QEMU's user-mode network.
    pub network: bool,
    /// Host CPUs that QEMU may run on; empty is all.
    pub pin: Vec<usize>,
    /// Threads that do nothing but take processors from the guest, on purpose.
    #[serde(default)]
    pub noise: usize,
    /// Seed of a deterministic run (`-icount`, one thread, a clock that starts at a fixed date); `None` is a
    /// normal run.
    pub seed: Option<u64>,
}

/// The clock of a deterministic run starts here; any fixed date does.
const EPOCH: &str = "2020-01-01";

impl Machine {
    /// A machine with defaults that boot any distribution kernel.
    pub fn new(arch: Arch, kernel: &Path) -> Machine {
        Machine {
            arch,
            qemu: PathBuf::from(arch.emulator()),
            firmware: Vec::new(),
            machine: None,
            accel: "tcg".into(),
            cpu: None,
            smp: 1,
            memory_mib: 512,
            kernel: kernel.to_owned(),
            initrd: Initrd::Builtin(Init::Minimal),
            append: String::new(),
            qemu_args: Vec::new(),
            network: false,
            pin: Vec::new(),
            noise: 0,
            seed: None,
        }
    }

    /// The accelerator without its properties.
    pub fn accelerator(&self) -> &str {
        self.accel.split(',').next().unwrap_or_default()
    }

    fn machine_type(&self) -> &str {
        match (&self.machine, self.arch) {
            (Some(machine), _) => machine,
            (None, Arch::X86_64) => "pc",
            // KVM knows only the host's interrupt controller.
            (None, Arch::Arm64) if self.accelerator() == "kvm" => "virt,gic-version=host",
            (None, Arch::Arm64) => "virt",
        }
    }

    fn cpu_model(&self) -> Option<String> {
        let model = match (&self.cpu, self.arch) {
            (Some(cpu), _) => Some(cpu.as_str()),
            // pc's default, by its name.
            (None, Arch::X86_64) if self.seed.is_some() => Some("qemu64"),
            (None, _) if self.accelerator() == "kvm" => Some("host"),
            // virt's default is a 32-bit core.
            (None, Arch::Arm64) => Some("cortex-a72"),
            (None, Arch::X86_64) => None,
        };
        match (self.arch, self.seed) {
            // The seed reaches an x86 kernel by RDRAND only: without it all seeds are the same boot. An arm64 kernel
            // has it from the device tree (`/chosen/rng-seed`).
            (Arch::X86_64, Some(_)) => model.map(|m| format!("{m},+rdrand")),
            _ => model.map(str::to_owned),
        }
    }

    /// The kernel's command line. A panic restarts the machine at once, which QEMU turns into an event: a guest
    /// that waits for ever would cost a timeout. `unknown_nmi_panic` makes a hung x86 guest tell where it is when
    /// it is sent an NMI.
    pub fn kernel_command_line(&self) -> String {
        let mut words = vec![self.arch.console().to_owned(), "panic=-1".into()];
        if self.arch == Arch::X86_64 {
            words.push("unknown_nmi_panic".into());
        }
        if self.seed.is_some() {
            words.extend(["nokaslr".into(), "random.trust_cpu=off".into()]);
        }
        if !self.append.is_empty() {
            words.push(self.append.clone());
        }
        words.join(" ")
    }

    /// QEMU's arguments, without those that tie it to kvet (see [`Wiring`]).
    pub fn arguments(&self) -> Vec<OsString> {
        let mut args = Args::default();
        for directory in &self.firmware {
            args.pair("-L", directory.as_os_str());
        }
        args.pair("-machine", self.machine_type());
        match self.seed {
            // A round-robin of all CPUs in one thread, time by instructions: the same seed, the same boot.
            Some(seed) => {
                args.pair("-accel", "tcg,thread=single");
                args.pair("-icount", "shift=2,sleep=off");
                args.pair("-rtc", format!("base={EPOCH},clock=vm"));
                args.pair("-seed", seed.to_string());
            }
            None => args.pair("-accel", &self.accel),
        }
        if let Some(cpu) = self.cpu_model() {
            args.pair("-cpu", cpu);
        }
        args.pair("-smp", self.smp.to_string());
        args.pair("-m", format!("{}M", self.memory_mib));
        args.flag("-nodefaults");
        args.pair("-display", "none");
        match self.network {
            true => args.pair("-nic", "user"),
            false => args.pair("-nic", "none"),
        }
        args.pair("-kernel", self.kernel.as_os_str());
        args.pair("-append", self.kernel_command_line());
        if let Initrd::File(path) = &self.initrd {
            args.pair("-initrd", path.as_os_str());
        }
        args.0.extend(self.qemu_args.iter().map(OsString::from));
        args.0
    }

    /// What one would type to have about the same guest on a terminal: the record's `command_line`.
    pub fn shell_command(&self) -> String {
        let arguments = self.arguments();
        let words = std::iter::once(self.qemu.as_os_str()).chain(arguments.iter().map(OsString::as_os_str));
        let mut line = words.map(|w| quoted(&w.to_string_lossy())).collect::<Vec<_>>().join(" ");
        line.push_str(" -serial stdio -no-reboot");
        line
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Arguments in the making.
#[derive(Default)]
struct Args(Vec<OsString>);

impl Args {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn pair(&mut self, flag: &str, value: impl Into<OsString>) {
        self.0.push(flag.into());
        self.0.push(value.into());
    }
}

/// File descriptors, by their numbers in the child, that tie a QEMU to kvet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wiring {
    /// The writing end of a pipe for the first serial port. A pipe, because a serial port writes single bytes: a
    /// socket keeps each in a buffer of its own and is soon full, which costs the guest 7 % of a boot.
    pub serial: i32,
    /// A connected socket for QMP.
    pub qmp: i32,
    /// A file that is to be the guest's memory, shared with kvet; `None` leaves memory to QEMU, which is faster.
    pub memory: Option<i32>,
    /// A file that holds a built-in initrd.
    pub initrd: Option<i32>,
    /// A file that holds a snapshot to go on from.
    pub incoming: Option<i32>,
    /// Whether this QEMU was built with the seccomp sandbox.
    pub sandbox: bool,
}

impl Wiring {
    /// QEMU's arguments for them, and what keeps a guest that has ended until kvet has looked at it.
    pub fn arguments(&self, machine: &Machine) -> Vec<OsString> {
        let mut args = Args::default();
        // Names of threads tell the CPUs' from the others'.
        args.pair("-name", "kvet,debug-threads=on");
        if self.sandbox {
            args.pair("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        }
        args.pair("-chardev", format!("file,id=kvet-serial,path=/proc/self/fd/{}", self.serial));
        args.pair("-serial", "chardev:kvet-serial");
        args.pair("-chardev", format!("socket,id=kvet-qmp,fd={}", self.qmp));
        args.pair("-mon", "chardev=kvet-qmp,mode=control");
        // The guest stands still with all its state, whatever ended it.
        args.pair("-action", "panic=pause,reboot=shutdown,shutdown=pause");
        if let Some(fd) = self.memory {
            let size = machine.memory_mib;
            args.pair(
                "-object",
                format!("memory-backend-file,id=kvet-ram,size={size}M,share=on,mem-path=/proc/self/fd/{fd}"),
            );
            args.pair("-machine", "memory-backend=kvet-ram");
        }
        if let Some(fd) = self.initrd {
            args.pair("-initrd", format!("/proc/self/fd/{fd}"));
        }
        if let Some(fd) = self.incoming {
            args.pair("-incoming", format!("fd:{fd}"));
        }
        args.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(machine: &Machine) -> String {
        machine.shell_command()
    }

    #[test]
    fn a_plain_machine_has_no_network_and_restarts_on_panic() {
        let machine = Machine::new(Arch::X86_64, Path::new("/boot/vmlinuz"));
        assert_eq!(
            line(&machine),
            "qemu-system-x86_64 -machine pc -accel tcg -smp 1 -m 512M -nodefaults -display none -nic none \
             -kernel /boot/vmlinuz -append 'console=ttyS0 panic=-1 unknown_nmi_panic' -serial stdio -no-reboot"
        );
        let arm = line(&Machine::new(Arch::Arm64, Path::new("Image")));
        assert!(arm.contains("-machine virt -accel tcg -cpu cortex-a72"), "{arm}");
        assert!(arm.contains("'console=ttyAMA0 panic=-1'"), "{arm}");
    }

    #[test]
    fn kvm_wants_the_host_cpu_and_interrupt_controller() {
        let mut machine = Machine::new(Arch::Arm64, Path::new("Image"));
        machine.accel = "kvm".into();
        assert!(line(&machine).contains("-machine virt,gic-version=host -accel kvm -cpu host"));
        machine.cpu = Some("max".into());
        machine.machine = Some("virt,gic-version=3".into());
        assert!(line(&machine).contains("-machine virt,gic-version=3 -accel kvm -cpu max"));
    }

    #[test]
    fn a_seed_makes_a_deterministic_run() {
        let mut machine = Machine::new(Arch::X86_64, Path::new("k"));
        machine.seed = Some(7);
        machine.append = "quiet".into();
        let line = line(&machine);
        assert!(line.contains(
            "-accel tcg,thread=single -icount shift=2,sleep=off -rtc base=2020-01-01,clock=vm -seed 7"
        ));
        assert!(line.contains("nokaslr random.trust_cpu=off quiet'"), "{line}");
        assert!(line.contains(" -cpu qemu64,+rdrand "), "{line}");
        machine.cpu = Some("max".into());
        assert!(self::line(&machine).contains(" -cpu max,+rdrand "));
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("a-b/c.d,e=f"), "a-b/c.d,e=f");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn wiring_names_every_descriptor() {
        let machine = Machine::new(Arch::X86_64, Path::new("k"));
        let wiring =
            Wiring { serial: 5, qmp: 6, memory: Some(7), initrd: Some(8), incoming: Some(9), sandbox: true };
        let all: Vec<String> =
            wiring.arguments(&machine).iter().map(|a| a.to_string_lossy().into_owned()).collect();
        for wanted in [
            "file,id=kvet-serial,path=/proc/self/fd/5",
            "socket,id=kvet-qmp,fd=6",
            "memory-backend-file,id=kvet-ram,size=512M,share=on,mem-path=/proc/self/fd/7",
            "/proc/self/fd/8",
            "fd:9",
        ] {
            assert!(all.iter().any(|a| a == wanted), "{wanted} in {all:?}");
        }
        let bare = Wiring::default().arguments(&machine);
        assert!(!bare.iter().any(|a| a == "-sandbox" || a == "-object" || a == "-initrd"));
    }
}
