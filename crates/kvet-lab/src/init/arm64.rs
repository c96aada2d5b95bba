//! AArch64 instructions for a [`Program`].
//!
//! Encodings: Arm ARM, section C6.2. System call numbers: include/uapi/asm-generic/unistd.h. A system call
//! changes x0 only, so x19 to x21 keep the descriptors and x22 the counter.

use super::program::{Arg, Fd, Program, Step, Sys};

/// The instructions; `data` is the address of the program's texts.
pub fn assemble(program: &Program, data: u64) -> Vec<u8> {
    let mut code = Vec::new();
    steps(&mut code, &program.steps, data);
    code.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
}

fn number(sys: Sys) -> u64 {
    match sys {
        Sys::Mount => 40,
        Sys::Openat => 56,
        Sys::Write => 64,
        Sys::Pwrite => 68,
        // There is no pause; ppoll with no descriptor, no time-out and no mask waits for ever.
        Sys::Pause => 73,
        Sys::Nanosleep => 101,
        Sys::Kill => 129,
        Sys::Reboot => 142,
        Sys::Clone => 220,
    }
}

const COUNTER: u32 = 22;

fn steps(code: &mut Vec<u32>, list: &[Step], data: u64) {
    for step in list {
        match step {
            Step::Call { sys, args, keep } => call(code, *sys, args, *keep, data),
            Step::Repeat { times, body } => {
                constant(code, COUNTER, u64::from(*times));
                let top = code.len();
                steps(code, body, data);
                code.push(0xd100_0400 | COUNTER << 5 | COUNTER); // sub x22, x22, #1
                let back = offset(code, top) & 0x7_ffff;
                code.push(0xb500_0000 | back << 5 | COUNTER); // cbnz x22, top
            }
            Step::Forever { body } => {
                let top = code.len();
                steps(code, body, data);
                let back = offset(code, top) & 0x3ff_ffff;
                code.push(0x1400_0000 | back); // b top
            }
            Step::Fork { body } => {
                call(code, Sys::Clone, &Program::fork(), None, data);
                let branch = code.len();
                code.push(0);
                steps(code, body, data);
                let over = (code.len() - branch) as u32 & 0x7_ffff;
                code[branch] = 0xb500_0000 | over << 5; // cbnz x0, over the body
            }
        }
    }
}

/// Distance from the next instruction to an earlier one, in words, in two's complement.
fn offset(code: &[u32], target: usize) -> u32 {
    (target as i64 - code.len() as i64) as u32
}

fn call(code: &mut Vec<u32>, sys: Sys, args: &[Arg], keep: Option<Fd>, data: u64) {
    for (register, arg) in (0..).zip(args) {
        match *arg {
            Arg::Value(value) => constant(code, register, value as u64),
            Arg::Text(at) => constant(code, register, data + at as u64),
            Arg::Fd(fd) => code.push(0xaa00_03e0 | kept(fd) << 16 | register), // mov xN, xM
        }
    }
    constant(code, 8, number(sys));
    code.push(0xd400_0001); // svc #0
    if let Some(fd) = keep {
        code.push(0xaa00_03e0 | kept(fd)); // mov xM, x0
    }
}

/// `movz` and as many `movk` as the value has further 16-bit parts; small negative numbers are one `movn`.
fn constant(code: &mut Vec<u32>, register: u32, value: u64) {
    if !value <= 0xffff {
        code.push(0x9280_0000 | (!value as u32) << 5 | register);
        return;
    }
    code.push(0xd280_0000 | (value as u32 & 0xffff) << 5 | register);
    for part in 1..4 {
        let bits = (value >> (16 * part)) as u32 & 0xffff;
        if bits != 0 {
            code.push(0xf280_0000 | part << 21 | bits << 5 | register);
        }
    }
}

fn kept(fd: Fd) -> u32 {
    match fd {
        Fd::Log => 19,
        Fd::First => 20,
        Fd::Second => 21,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_goes_on_behind_what_its_child_does() {
        let mut p = Program::default();
        p.meanwhile(|p| p.call(Sys::Pause, &[]));
        let words: Vec<u32> = assemble(&p, 0)
            .chunks(4)
            .map(|w| u32::from_le_bytes(w.try_into().expect("four bytes")))
            .collect();
        let tail = [
            0xd280_1b88, // mov x8, #220
            0xd400_0001, // svc #0
            0xb500_0080, // cbnz x0, 4 words on
            0xd280_0928, // mov x8, #73
            0xd400_0001, // svc #0
            0x17ff_fffe, // b, 2 words back
        ];
        assert!(words.ends_with(&tail), "{words:08x?}");
    }

    #[test]
    fn instructions_are_those_of_the_manual() {
        let mut p = Program::default();
        let path = p.text("/x");
        p.open(Fd::Log, path);
        p.repeat(3, |p| p.call(Sys::Write, &[Arg::Fd(Fd::Log), path, Arg::Value(2)]));
        p.wait_for_ever();
        let words: Vec<u32> = assemble(&p, 0x40_1000)
            .chunks(4)
            .map(|w| u32::from_le_bytes(w.try_into().expect("four bytes")))
            .collect();
        assert_eq!(
            words,
            [
                0x9280_0c60, // mov x0, #-100
                0xd282_0001, // mov x1, #0x1000
                0xf2a0_0801, // movk x1, #0x40, lsl #16
                0xd280_0042, // mov x2, #2
                0xd280_0003, // mov x3, #0
                0xd280_0708, // mov x8, #56
                0xd400_0001, // svc #0
                0xaa00_03f3, // mov x19, x0
                0xd280_0076, // mov x22, #3
                0xaa13_03e0, // mov x0, x19
                0xd282_0001, // mov x1, #0x1000
                0xf2a0_0801, // movk x1, #0x40, lsl #16
                0xd280_0042, // mov x2, #2
                0xd280_0808, // mov x8, #64
                0xd400_0001, // svc #0
                0xd100_06d6, // sub x22, x22, #1
                0xb5ff_ff36, // cbnz x22, 7 words back
                0xd280_0000, // mov x0, #0
                0xd280_0001, // mov x1, #0
                0xd280_0002, // mov x2, #0
                0xd280_0003, // mov x3, #0
                0xd280_0004, // mov x4, #0
                0xd280_0928, // mov x8, #73
                0xd400_0001, // svc #0
                0x17ff_fff9, // b, 7 words back
            ]
        );
    }
}
