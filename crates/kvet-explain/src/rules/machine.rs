//! On what the kernel ran: real hardware, QEMU, which accelerator, how many CPUs; and its jump table.

use kvet_image::VirtAddr;
use kvet_tables::jump_labels::{JumpLabel, StaticKey};

use super::{Case, Evidence, fact, line};

/// What a log says about its machine.
pub struct Machine {
    /// QEMU, by its `Hardware name` or `DMI`.
    pub qemu: bool,
    /// The processor is translated (TCG). `None`: the log does not say.
    pub tcg: Option<bool>,
    /// QEMU's version, where anything tells.
    pub version: Option<Version>,
    /// More than one CPU ran.
    pub smp: Option<bool>,
    /// What shows all that.
    pub evidence: Vec<Evidence>,
}

/// A version of QEMU, as exact as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// Said outright.
    Is(u32, u32),
    /// By the BIOS that it ships: at least.
    From(u32, u32),
    /// By the BIOS that it ships: older than.
    Before(u32, u32),
}

impl Version {
    /// Whether it is older than another one; `None` when that is not decided.
    pub fn is_before(self, major: u32, minor: u32) -> Option<bool> {
        match self {
            Version::Is(a, b) => Some((a, b) < (major, minor)),
            Version::From(a, b) if (a, b) >= (major, minor) => Some(false),
            Version::Before(a, b) if (a, b) <= (major, minor) => Some(true),
            _ => None,
        }
    }
}

/// What is known, and else what the log says.
pub fn machine(case: &Case<'_>) -> Machine {
    let mut evidence = Vec::new();
    if let Some(emulator) = case.emulator {
        return known(emulator);
    }
    let hardware = case.hardware().unwrap_or("");
    let qemu = hardware.contains("QEMU") || hardware.contains("dummy-virt");
    if qemu {
        let seen = case
            .quote("Hardware name:")
            .or_else(|| case.anywhere("DMI: "))
            .or_else(|| case.anywhere("Machine model:"));
        let says = "the machine is QEMU's";
        evidence.push(seen.map_or_else(
            || fact(format!("{says}: {}", super::short(hardware, 100))),
            |seen| line(says, seen),
        ));
    }
    let tcg = accelerator(case, &mut evidence);
    let version = version(case, hardware, &mut evidence);
    let smp = cpus(case, &mut evidence);
    Machine { qemu, tcg, version, smp, evidence }
}

fn known(emulator: crate::Emulator) -> Machine {
    let version = emulator.version.map_or(String::new(), |(major, minor)| format!(" {major}.{minor}"));
    let accelerator = if emulator.translated { "TCG: its processors are translated" } else { "KVM" };
    let parallel = if emulator.parallel { "several at once" } else { "one at a time" };
    Machine {
        qemu: true,
        tcg: Some(emulator.translated),
        version: emulator.version.map(|(major, minor)| Version::Is(major, minor)),
        smp: Some(emulator.parallel),
        evidence: vec![fact(format!("it ran in QEMU{version} with {accelerator}, {parallel}"))],
    }
}

fn accelerator(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Option<bool> {
    let kvm = [
        "Hypervisor detected: KVM",
        "paravirtualized kernel on KVM",
        "kvm-clock: Using",
        "-enable-kvm",
        "accel=kvm",
        "-accel kvm",
    ];
    if let Some(found) = kvm.iter().find_map(|mark| case.anywhere(mark)) {
        evidence.push(line("KVM runs it: no translated code", found));
        return Some(false);
    }
    let tcg = [
        "QEMU TCG CPU",
        "accel=tcg",
        "-accel tcg",
        "under qemu TCG",
        "qemu TCG",
        "QEMU TCG",
        "TCG (software emulation)",
        "MTTCG",
    ];
    let found = tcg.iter().find_map(|mark| case.anywhere(mark))?;
    evidence.push(line("the processor is emulated by translation (TCG)", found));
    Some(true)
}

fn cpus(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Option<bool> {
    if let Some(cpus) = case.boot().and_then(|boot| boot.cpus) {
        evidence.push(fact(format!("{cpus} CPUs were brought up")));
        return Some(cpus > 1);
    }
    let cpu = case.report.cpu.filter(|cpu| *cpu > 0)?;
    evidence.push(case.shows(format!("CPU {cpu} reports, so there are several"), &format!("CPU: {cpu} ")));
    Some(true)
}

/// QEMU's version, from what is said about it, else from the BIOS that its own builds carry.
fn version(case: &Case<'_>, hardware: &str, evidence: &mut Vec<Evidence>) -> Option<Version> {
    for mark in ["qemu", "QEMU"] {
        let lines = if case.text.0.len() <= super::MAIL { case.everywhere(mark) } else { Vec::new() };
        for (number, text) in lines {
            // The CPU model and the BIOS have versions of their own.
            if text.contains("CPU version") || text.contains("BIOS") {
                continue;
            }
            let after = text.split_once(mark).map_or("", |(_, rest)| rest);
            if let Some((major, minor)) = first_version(after) {
                evidence.push(line(format!("QEMU {major}.{minor} is named"), (number, text.clone())));
                return Some(Version::Is(major, minor));
            }
        }
    }
    // SeaBIOS as QEMU's own builds ship it; a distribution's package has its own, which tells nothing.
    let bios = hardware
        .split_once("BIOS rel-")
        .map(|(_, rest)| rest)
        .filter(|rest| rest.contains("prebuilt.qemu.org"))?;
    let (major, minor) = first_version(bios)?;
    let patch: u32 = bios.split(['.', '-']).nth(2)?.parse().ok()?;
    let version = match (major, minor, patch) {
        (1, ..=15, _) | (1, 16, 0 | 1) => Version::Before(8, 0),
        (1, 16, 2) => Version::From(8, 0),
        (1, 16, 3..) | (1, 17.., _) => Version::From(8, 2),
        _ => return None,
    };
    evidence.push(fact(format!(
        "its BIOS is SeaBIOS {major}.{minor}.{patch}, which QEMU carries {}",
        match version {
            Version::Before(a, b) => format!("before {a}.{b}"),
            Version::From(a, b) | Version::Is(a, b) => format!("from {a}.{b} on"),
        }
    )));
    Some(version)
}

/// The first `8.0.0` or `7.2` of a text; a lone number is none.
fn first_version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut parts = word.trim_matches('.').split('.');
        let major: u32 = parts.next()?.parse().ok()?;
        let minor: u32 = parts.next()?.parse().ok()?;
        (major < 100 && minor < 100).then_some((major, minor))
    })
}

/// The jump label whose site is at a place in a function of the image; by size too, where the log has it.
pub fn jump_label_at<'k>(
    kernel: &'k kvet_tables::Context<'_>,
    function: &str,
    size: Option<u64>,
    offset: u64,
) -> Option<(&'k JumpLabel, &'k StaticKey)> {
    let table = kernel.jump_labels().ok()?;
    starts(kernel, function, size).find_map(|start| {
        let site = start.checked_add(offset)?;
        let label = table.labels.iter().find(|label| label.code == site)?;
        Some((label, table.key(label.key)?))
    })
}

/// Where functions of a name (and size) begin.
pub fn starts<'k>(
    kernel: &'k kvet_tables::Context<'_>,
    function: &str,
    size: Option<u64>,
) -> impl Iterator<Item = VirtAddr> + use<'k> {
    let symbols = kernel.image.symbols();
    let all: Vec<_> = symbols.all_by_name(function).map(|symbol| (symbol.addr, symbol.size)).collect();
    let fits: Vec<VirtAddr> =
        all.iter().filter(|(_, s)| size.is_none_or(|size| *s == size)).map(|(addr, _)| *addr).collect();
    // kallsyms' size is the distance to the next symbol, ELF's may be shorter: none that fits is no proof.
    let chosen = if fits.is_empty() { all.iter().map(|(addr, _)| *addr).collect() } else { fits };
    chosen.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(first_version("-x86_64 booting with 8.0.0 stil"), Some((8, 0)));
        assert_eq!(first_version("emulator version 7.2.22 (Debian"), Some((7, 2)));
        assert_eq!(first_version("-smp 4, x"), None);
        assert_eq!(Version::Is(8, 0).is_before(8, 1), Some(true));
        assert_eq!(Version::From(8, 2).is_before(8, 1), Some(false));
        assert_eq!(Version::From(8, 0).is_before(8, 1), None);
        assert_eq!(Version::Before(8, 0).is_before(8, 1), Some(true));
    }
}
