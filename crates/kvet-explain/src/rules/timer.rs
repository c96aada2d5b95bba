//! `IO-APIC + timer doesn't work!`: arch/x86/kernel/apic/io_apic.c `check_timer`.
//!
//! `timer_irq_works` counts timer interrupts over a short delay that it measures by instructions. An emulator whose host
//! has no time for it delivers too few of them. On real hardware the wiring or the firmware's table is wrong.

use super::{Case, Confidence, Diagnosis, fact, line, machine, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if !case.headline_has("IO-APIC + timer doesn't work") {
        return None;
    }
    let machine = machine::machine(case);
    let mut evidence =
        vec![case.shows(
            "no timer interrupt arrived in time, by any of the ways the kernel tries",
            "IO-APIC + timer",
        )];
    for (needle, says) in [
        ("8254 timer not connected to IO-APIC", "the first way: through the IO-APIC"),
        ("tsc: Fast TSC calibration failed", "the clock's calibration failed too: the machine lost time"),
        ("Unable to calibrate against PIT", "the clock's calibration failed too: the machine lost time"),
    ] {
        evidence.extend(case.anywhere(needle).map(|found| line(says, found)));
    }
    if !machine.qemu {
        return Some(Diagnosis {
            cause: "timer-not-routed",
            summary: "The timer's interrupt does not reach the CPU: on real hardware the routing that the firmware describes is wrong.".into(),
            confidence: Confidence::Possible,
            evidence,
            advice: sentences(["boot with apic=debug and compare the routing with the firmware's tables; noapic avoids it", "look for a firmware update"]),
        });
    }
    let kvm = machine.tcg == Some(false);
    evidence.extend(machine.evidence);
    evidence.push(fact("under emulation the check counts interrupts that the host delivers in real time against instructions that the guest executes"));
    Some(Diagnosis {
        cause: "starved-timer",
        summary: "A starved host, not the kernel: the emulated timer delivered too few interrupts while the kernel counted them, because the host had no time for the guest. It comes and goes with the load.".into(),
        confidence: if kvm { Confidence::Possible } else { Confidence::Likely },
        evidence,
        advice: sentences([
            "boot with no_timer_check on the command line: the check is skipped, as it is under KVM",
            "run fewer guests at once, or on an idle host, and count how often it comes (`kvet boot -n 300`)",
            "do not count such a boot as a failure of the kernel under test",
        ]),
    })
}
