//! Architectures: what each prints of registers, fault and page tables. One architecture, one file.

pub(crate) mod arm;
pub(crate) mod arm64;
pub(crate) mod loongarch;
pub(crate) mod mips;
pub(crate) mod others;
pub(crate) mod pairs;
pub(crate) mod powerpc;
pub(crate) mod riscv;
pub(crate) mod s390;
pub(crate) mod x86;

use crate::report::{Arch, Report};

/// What only the whole report tells.
pub(crate) fn conclude(report: &mut Report) {
    if report.arch.is_none() {
        report.arch = by_registers(report);
    }
    match report.arch {
        Some(Arch::X86_64 | Arch::X86) => x86::conclude(report),
        Some(Arch::Arm64) => arm64::conclude(report),
        _ => {}
    }
    if report.cpu.is_none() {
        report.cpu = report.traces.iter().find_map(|t| t.cpu);
    }
}

fn by_registers(report: &Report) -> Option<Arch> {
    let has = |name: &str| report.registers.iter().any(|r| r.name == name);
    match () {
        () if has("rax") || has("rsp") => Some(Arch::X86_64),
        () if has("eax") || has("esp") => Some(Arch::X86),
        () if has("x0") || has("x29") => Some(Arch::Arm64),
        () => None,
    }
}
