//! x86-64 instructions for a [`Program`].
//!
//! Encodings: Intel SDM volume 2. System call numbers: arch/x86/entry/syscalls/syscall_64.tbl. A system call
//! destroys rcx and r11 only, so rbx, rbp and r12 keep the descriptors and r13 the counter.

use super::program::{Arg, Fd, Program, Step, Sys};

/// The instructions; `data` is the address of the program's texts.
pub fn assemble(program: &Program, data: u64) -> Vec<u8> {
    let mut code = Vec::new();
    steps(&mut code, &program.steps, data);
    code
}

fn number(sys: Sys) -> u32 {
    match sys {
        Sys::Write => 1,
        Sys::Pwrite => 18,
        Sys::Pause => 34,
        Sys::Nanosleep => 35,
        Sys::Clone => 56,
        Sys::Kill => 62,
        Sys::Mount => 165,
        Sys::Reboot => 169,
        Sys::Openat => 257,
    }
}

fn steps(code: &mut Vec<u8>, list: &[Step], data: u64) {
    for step in list {
        match step {
            Step::Call { sys, args, keep } => call(code, *sys, args, *keep, data),
            Step::Repeat { times, body } => {
                code.extend([0x41, 0xbd]); // mov r13d, imm32
                code.extend(times.to_le_bytes());
                let top = code.len();
                steps(code, body, data);
                code.extend([0x41, 0xff, 0xcd]); // dec r13d
                jump(code, &[0x0f, 0x85], top); // jnz top
            }
            Step::Forever { body } => {
                let top = code.len();
                steps(code, body, data);
                jump(code, &[0xe9], top); // jmp top
            }
            Step::Fork { body } => {
                call(code, Sys::Clone, &Program::fork(), None, data);
                code.extend([0x85, 0xc0]); // test eax, eax
                code.extend([0x0f, 0x85, 0, 0, 0, 0]); // jnz over the body
                let body_at = code.len();
                steps(code, body, data);
                let length = (code.len() - body_at) as u32;
                code[body_at - 4..body_at].copy_from_slice(&length.to_le_bytes());
            }
        }
    }
}

fn jump(code: &mut Vec<u8>, opcode: &[u8], target: usize) {
    code.extend(opcode);
    let end = code.len() as i64 + 4;
    code.extend(((target as i64 - end) as i32).to_le_bytes());
}

/// The ModRM register numbers of the arguments, rdi, rsi, rdx, r10, r8, r9, and whether REX.B must extend them.
const ARGUMENTS: [(u8, bool); 6] = [(7, false), (6, false), (2, false), (2, true), (0, true), (1, true)];

fn call(code: &mut Vec<u8>, sys: Sys, args: &[Arg], keep: Option<Fd>, data: u64) {
    for (arg, (register, extended)) in args.iter().zip(ARGUMENTS) {
        let rex_b = u8::from(extended);
        match *arg {
            Arg::Value(value) => {
                // mov r/m64, imm32, sign-extended: all our numbers fit, or are 32 bits wide for the kernel.
                code.extend([0x48 | rex_b, 0xc7, 0xc0 | register]);
                code.extend((value as i32).to_le_bytes());
            }
            Arg::Text(at) => {
                code.extend([0x48 | rex_b, 0xb8 | register]); // movabs r64, imm64
                code.extend((data + at as u64).to_le_bytes());
            }
            Arg::Fd(fd) => {
                // mov r/m64, r64: rbx, rbp or r12 into the argument's register.
                let (source, rex_r) = kept(fd);
                code.extend([0x48 | rex_b | (rex_r << 2), 0x89, 0xc0 | (source << 3) | register]);
            }
        }
    }
    code.push(0xb8); // mov eax, imm32
    code.extend(number(sys).to_le_bytes());
    code.extend([0x0f, 0x05]); // syscall
    if let Some(fd) = keep {
        let (target, rex_b) = kept(fd);
        code.extend([0x48 | rex_b, 0x89, 0xc0 | target]); // mov kept, rax
    }
}

/// Number and REX extension of the register that keeps a descriptor.
fn kept(fd: Fd) -> (u8, u8) {
    match fd {
        Fd::Log => (3, 0),
        Fd::First => (5, 0),
        Fd::Second => (4, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_goes_on_behind_what_its_child_does() {
        let mut p = Program::default();
        p.meanwhile(|p| p.call(Sys::Pause, &[]));
        let code = assemble(&p, 0);
        let child: &[&[u8]] = &[&[0xb8, 34, 0, 0, 0], &[0x0f, 0x05], &[0xe9, 0xf4, 0xff, 0xff, 0xff]];
        let child = child.concat();
        let expected = [&[0x85, 0xc0, 0x0f, 0x85, child.len() as u8, 0, 0, 0][..], &child].concat();
        assert!(code.ends_with(&expected), "{code:02x?}");
        assert_eq!(code[..7], [0x48, 0xc7, 0xc7, 17, 0, 0, 0], "SIGCHLD");
    }

    #[test]
    fn instructions_are_those_of_the_manual() {
        let mut p = Program::default();
        let path = p.text("/x");
        p.open(Fd::Second, path);
        p.repeat(3, |p| p.call(Sys::Write, &[Arg::Fd(Fd::Second), path, Arg::Value(2)]));
        let expected: &[&[u8]] = &[
            &[0x48, 0xc7, 0xc7, 0x9c, 0xff, 0xff, 0xff], // mov rdi, -100
            &[0x48, 0xbe, 0, 0x10, 0x40, 0, 0, 0, 0, 0], // movabs rsi, 0x401000
            &[0x48, 0xc7, 0xc2, 2, 0, 0, 0],             // mov rdx, 2
            &[0x49, 0xc7, 0xc2, 0, 0, 0, 0],             // mov r10, 0
            &[0xb8, 1, 1, 0, 0],                         // mov eax, 257
            &[0x0f, 0x05],                               // syscall
            &[0x49, 0x89, 0xc4],                         // mov r12, rax
            &[0x41, 0xbd, 3, 0, 0, 0],                   // mov r13d, 3
            &[0x4c, 0x89, 0xe7],                         // mov rdi, r12
            &[0x48, 0xbe, 0, 0x10, 0x40, 0, 0, 0, 0, 0], // movabs rsi, 0x401000
            &[0x48, 0xc7, 0xc2, 2, 0, 0, 0],             // mov rdx, 2
            &[0xb8, 1, 0, 0, 0],                         // mov eax, 1
            &[0x0f, 0x05],                               // syscall
            &[0x41, 0xff, 0xcd],                         // dec r13d
            &[0x0f, 0x85, 0xdc, 0xff, 0xff, 0xff],       // jnz, 36 bytes back
        ];
        assert_eq!(assemble(&p, 0x40_1000), expected.concat());
    }
}
