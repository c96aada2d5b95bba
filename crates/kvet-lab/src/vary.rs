//! Machines that are drawn for each boot, to find out what a failure depends on.

use crate::machine::{Arch, Machine};

/// A small generator of known quality (splitmix64, Steele and others, OOPSLA 2014): the same seed and boot, the
/// same machine, on every host.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[(self.next() % list.len() as u64) as usize]
    }
}

const PROCESSORS: [u32; 4] = [1, 2, 4, 8];

fn models(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::X86_64 => &["qemu64", "Nehalem", "max"],
        Arch::Arm64 => &["cortex-a57", "cortex-a72", "max"],
    }
}

/// Draws a boot's machine from the seed and its number, and names what was drawn: `smp`, `cpu`, `pin`, `noise`.
/// Every boot draws each factor on its own, so that none hides behind another.
pub fn draw(machine: &mut Machine, seed: u64, boot: u64) -> Vec<(String, String)> {
    let mut draw = Draw(seed ^ boot.wrapping_mul(0xd134_2543_de82_ef95));
    machine.smp = draw.one_of(&PROCESSORS);
    let model = draw.one_of(models(machine.arch));
    // KVM gives the host's own processor only.
    if machine.accelerator() != "kvm" {
        machine.cpu = Some(model.to_owned());
    }
    let pinned = draw.next() & 1 == 0;
    machine.pin = if pinned { vec![0] } else { Vec::new() };
    machine.noise = draw.one_of(&[0, 2]);
    let factor = |name: &str, value: String| (name.to_owned(), value);
    vec![
        factor("smp", machine.smp.to_string()),
        factor("cpu", machine.cpu.clone().unwrap_or_default()),
        factor("pin", if pinned { "one processor" } else { "none" }.to_owned()),
        factor("noise", if machine.noise > 0 { "busy host" } else { "none" }.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::Path;

    #[test]
    fn the_same_boot_has_the_same_machine_and_every_level_comes() {
        let mut seen: BTreeMap<(String, String), u32> = BTreeMap::new();
        for boot in 0..600 {
            let mut a = Machine::new(Arch::X86_64, Path::new("k"));
            let mut b = a.clone();
            assert_eq!(draw(&mut a, 7, boot), draw(&mut b, 7, boot));
            assert_eq!(a, b);
            for factor in draw(&mut a, 7, boot) {
                *seen.entry(factor).or_default() += 1;
            }
        }
        assert_eq!(seen.len(), 4 + 3 + 2 + 2, "{seen:?}");
        assert!(seen.values().all(|n| *n > 100), "{seen:?}");
    }
}
