//! User spaces of a few hundred bytes, made here: they say that the boot came so far, and power off.
//!
//! A program is written once, as system calls with constant arguments and counted loops (`Program`); `x86.rs`
//! and `arm64.rs` turn it into instructions, `elf.rs` into a static executable and `cpio.rs` into an initramfs.

mod arm64;
mod cpio;
mod elf;
mod program;
mod x86;

use serde::{Deserialize, Serialize};

use crate::machine::Arch;
use program::{Arg, Fd, Program, Sys};

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Says its nonce and powers off.
    Minimal,
    /// Toggles static keys first, so that one boot patches the kernel's text thousands of times: each round
    /// writes 0 and 1 to `timer_migration` (the key `timers_migration_enabled`) and `sched_schedstats` (the key
    /// `sched_schedstats`) in `/proc/sys/kernel`. Meanwhile other processes sleep and wake up, so that the patched
    /// code runs on the other processors.
    StaticKeys {
        /// How often each of the two is switched off and on.
        rounds: u32,
    },
    /// Stays alive and says nothing more after its nonce: where a snapshot is taken.
    Wait,
}

impl Init {
    /// What it prints when all is done; the nonce makes the line one that no other boot can have left.
    pub fn marker(nonce: &str) -> String {
        format!("kvet-init: {nonce} reached user space")
    }

    /// The initramfs with it: a `newc` archive with `/init` and the device nodes that it opens.
    pub fn initramfs(self, arch: Arch, nonce: &str) -> Vec<u8> {
        let program = self.program(nonce);
        let executable = match arch {
            Arch::X86_64 => elf::executable(elf::Machine::X86_64, |at| {
                (x86::assemble(&program, at), program.data.clone())
            }),
            Arch::Arm64 => elf::executable(elf::Machine::Arm64, |at| {
                (arm64::assemble(&program, at), program.data.clone())
            }),
        };
        cpio::archive(&[
            cpio::Entry::directory("dev"),
            cpio::Entry::device("dev/console", 5, 1),
            cpio::Entry::device("dev/kmsg", 1, 11),
            cpio::Entry::directory("proc"),
            cpio::Entry::executable("init", &executable),
        ])
    }

    /// What the kernel says before it runs `/init` (init/main.c, `run_init_process`, since 5.3): all patching that
    /// belongs to a boot is done.
    pub const STARTS: &str = "Run /init as init process";

    fn program(self, nonce: &str) -> Program {
        let mut p = Program::default();
        // A record in the log is one line on the console, whole between the kernel's own; a write to the
        // terminal could be cut by the power-off. Level 0 gets past `quiet`.
        let kmsg = p.text("/dev/kmsg");
        p.open(Fd::Log, kmsg);
        if let Init::StaticKeys { rounds } = self {
            toggle(&mut p, rounds);
        }
        p.say(&format!("<0>{}", Init::marker(nonce)));
        if self != Init::Wait {
            // LINUX_REBOOT_MAGIC1, MAGIC2 and CMD_POWER_OFF of include/uapi/linux/reboot.h.
            p.call(Sys::Reboot, &[Arg::Value(0xfee1_dead), Arg::Value(0x2812_1969), Arg::Value(0x4321_fedc)]);
        }
        p.wait_for_ever();
        p
    }
}

/// So many processes sleep and wake up, on as many processors as there are.
const SLEEPERS: u32 = 3;
/// So many rounds between two lines that show progress.
const ROUNDS_A_LINE: u32 = 50;

fn toggle(p: &mut Program, rounds: u32) {
    let proc = p.text("proc");
    let target = p.text("/proc");
    p.call(Sys::Mount, &[proc, target, proc, Arg::Value(0), Arg::Value(0)]);
    let timers = p.text("/proc/sys/kernel/timer_migration");
    let schedstats = p.text("/proc/sys/kernel/sched_schedstats");
    p.open(Fd::First, timers);
    p.open(Fd::Second, schedstats);
    let moment = p.nanoseconds(1);
    for _ in 0..SLEEPERS {
        // hrtimer_start_range_ns has a branch on the one key, waking up several on the other.
        p.meanwhile(|p| p.call(Sys::Nanosleep, &[moment, Arg::Value(0)]));
    }
    let (off, on) = (p.text("0"), p.text("1"));
    let mut done = 0;
    while done < rounds {
        let chunk = ROUNDS_A_LINE.min(rounds - done);
        p.repeat(chunk, |p| {
            // Only a write at offset 0 is a new value.
            for (fd, value) in [(Fd::First, off), (Fd::First, on), (Fd::Second, on), (Fd::Second, off)] {
                p.call(Sys::Pwrite, &[Arg::Fd(fd), value, Arg::Value(1), Arg::Value(0)]);
            }
        });
        done += chunk;
        p.say(&format!("<0>kvet-init: static keys toggled, round {done} of {rounds}"));
    }
    // All others, with SIGKILL: who still wakes up while the machine goes down makes the scheduler complain.
    p.call(Sys::Kill, &[Arg::Value(-1), Arg::Value(9)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimal_init_is_small_and_carries_its_nonce() {
        for arch in [Arch::X86_64, Arch::Arm64] {
            let archive = Init::Minimal.initramfs(arch, "0123abcd");
            assert!(archive.len() < 1536, "{} bytes", archive.len());
            let marker = Init::marker("0123abcd");
            assert!(archive.windows(marker.len()).any(|w| w == marker.as_bytes()));
            assert_eq!(archive.len() % 4, 0);
        }
    }

    #[test]
    fn progress_is_said_to_the_last_round() {
        let archive = Init::StaticKeys { rounds: 120 }.initramfs(Arch::X86_64, "n");
        let text = String::from_utf8_lossy(&archive);
        for said in ["round 50 of 120", "round 100 of 120", "round 120 of 120"] {
            assert!(text.contains(said), "{said}");
        }
    }
}
