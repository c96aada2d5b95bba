//! The registers of a CPU: from an ELF core's notes, or from QEMU's `info registers -a`.

use kvet_image::Arch;

/// Where registers were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A note NT_PRSTATUS.
    Prstatus,
    /// The text of QEMU's monitor command `info registers -a`.
    Monitor,
}

/// The registers of one CPU.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registers {
    /// The CPU's number.
    pub cpu: usize,
    /// The architecture.
    pub arch: Arch,
    /// Where they were read.
    pub source: Source,
    /// x86-64: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15, the order of instruction encodings; arm64: x0 to x30.
    pub general: Vec<u64>,
    /// The instruction pointer.
    pub pc: u64,
    /// The stack pointer.
    pub sp: u64,
    /// rflags; PSTATE.
    pub flags: u64,
    /// In user mode (CPL 3, EL0).
    pub user: bool,
    /// Stopped in `hlt` or `wfi`, where that is known.
    pub halted: Option<bool>,
    /// x86-64: cr2, cr3, cr4, where known.
    pub cr: Option<[u64; 3]>,
    /// x86-64: the base of the IDT, where known.
    pub idt: Option<u64>,
    /// x86-64: the bases behind gs and behind `swapgs`, where known.
    pub gs: Option<[u64; 2]>,
    /// The note of QEMU's that goes with NT_PRSTATUS has been read.
    pub(crate) qemu: bool,
}

/// Where rax, rcx, ... stand among NT_PRSTATUS's 27 words (`struct user_regs_struct`).
const X86_ORDER: [usize; 16] = [10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0];
/// `pr_reg` in `struct elf_prstatus`, both architectures.
const PR_REG: usize = 112;
/// More CPUs than any machine has.
pub(crate) const MOST_CPUS: usize = 8192;

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl Registers {
    fn empty(arch: Arch, cpu: usize, source: Source) -> Registers {
        let count = if arch == Arch::Arm64 { 31 } else { 16 };
        Registers {
            cpu,
            arch,
            source,
            general: vec![0; count],
            pc: 0,
            sp: 0,
            flags: 0,
            user: false,
            halted: None,
            cr: None,
            idt: None,
            gs: None,
            qemu: false,
        }
    }

    /// From the descriptor of NT_PRSTATUS.
    pub(crate) fn of_prstatus(arch: Arch, cpu: usize, desc: &[u8]) -> Option<Registers> {
        if cpu >= MOST_CPUS {
            return None;
        }
        let mut r = Registers::empty(arch, cpu, Source::Prstatus);
        let reg = |i: usize| word(desc, PR_REG + 8 * i);
        match arch {
            Arch::X86_64 => {
                for (into, from) in r.general.iter_mut().zip(X86_ORDER) {
                    *into = reg(from)?;
                }
                (r.pc, r.flags, r.sp) = (reg(16)?, reg(18)?, reg(19)?);
                r.user = reg(17)? & 3 == 3;
            }
            Arch::Arm64 => {
                for (i, into) in r.general.iter_mut().enumerate() {
                    *into = reg(i)?;
                }
                (r.sp, r.pc, r.flags) = (reg(31)?, reg(32)?, reg(33)?);
                r.user = r.flags & 0xf == 0;
            }
        }
        Some(r)
    }

    /// Adds what `struct QEMUCPUState` has beyond the general registers (QEMU's target/i386/arch_dump.c; version 1):
    /// two words, 18 registers, 10 segments of 24 bytes, cr0 to cr4, kernel_gs_base.
    pub(crate) fn add_qemu(&mut self, desc: &[u8]) {
        const SEGMENTS: usize = 8 + 18 * 8;
        const CR: usize = SEGMENTS + 10 * 24;
        let base = |segment: usize| word(desc, SEGMENTS + 24 * segment + 16);
        self.qemu = true;
        self.idt = base(9);
        self.cr = (|| Some([word(desc, CR + 16)?, word(desc, CR + 24)?, word(desc, CR + 32)?]))();
        self.gs = (|| Some([base(4)?, word(desc, CR + 40).unwrap_or(0)]))();
    }

    /// From the text of `info registers -a`; what it does not have stays zero or unknown.
    pub fn of_monitor(arch: Arch, text: &str) -> Vec<Registers> {
        let mut out: Vec<Registers> = Vec::new();
        for line in text.lines() {
            if let Some(number) = line.trim().strip_prefix("CPU#") {
                let cpu = number.trim().parse().ok().filter(|n| *n < MOST_CPUS);
                let Some(cpu) = cpu else { return out };
                out.push(Registers::empty(arch, cpu, Source::Monitor));
            } else if let Some(r) = out.last_mut() {
                r.line(line);
            }
        }
        out
    }

    fn line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("IDT=") {
            self.idt = rest.split_whitespace().next().and_then(|w| u64::from_str_radix(w, 16).ok());
            return;
        }
        if self.arch == Arch::X86_64
            && let Some(rest) = line.strip_prefix("GS =")
        {
            let base = rest.split_whitespace().nth(1).and_then(|w| u64::from_str_radix(w, 16).ok());
            self.gs = base.map(|b| [b, 0]);
            return;
        }
        for (name, value) in pairs(line) {
            self.set(name, value);
        }
    }

    fn set(&mut self, name: &str, text: &str) {
        let Ok(value) = u64::from_str_radix(text, 16) else { return };
        const X86: [&str; 16] = [
            "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13",
            "R14", "R15",
        ];
        if self.arch == Arch::X86_64 {
            if let Some(i) = X86.iter().position(|n| *n == name) {
                self.general[i] = value;
            }
            let mut cr = |i: usize| self.cr.get_or_insert_default()[i] = value;
            match name {
                "RSP" => self.sp = value,
                "RIP" => self.pc = value,
                "RFL" => self.flags = value,
                "CR2" => cr(0),
                "CR3" => cr(1),
                "CR4" => cr(2),
                "CPL" => self.user = value == 3,
                "HLT" => self.halted = Some(value != 0),
                _ => {}
            }
            return;
        }
        let number = name.strip_prefix('X').and_then(|n| n.parse::<usize>().ok());
        if let Some(into) = number.and_then(|n| self.general.get_mut(n)) {
            *into = value;
        }
        match name {
            "SP" => self.sp = value,
            "PC" => self.pc = value,
            "PSTATE" => {
                self.flags = value;
                self.user = value & 0xf == 0;
            }
            _ => {}
        }
    }

    /// A register's name.
    pub fn name(&self, index: usize) -> String {
        const X86: [&str; 16] = [
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
            "r14", "r15",
        ];
        match self.arch {
            Arch::X86_64 => X86.get(index).map_or_else(String::new, |n| (*n).to_owned()),
            Arch::Arm64 => format!("x{index}"),
        }
    }

    /// Whether interrupts are off: rflags.IF clear, PSTATE.I set.
    pub fn interrupts_off(&self) -> bool {
        match self.arch {
            Arch::X86_64 => self.flags & 1 << 9 == 0,
            Arch::Arm64 => self.flags & 1 << 7 != 0,
        }
    }
}

/// `NAME=value` pairs; a blank may stand before the `=` (`R8 =0`).
fn pairs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices('=').filter_map(|(at, _)| {
        let name = line[..at].trim_end().rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
        let value = line[at + 1..].split(|c: char| !c.is_ascii_hexdigit()).next()?;
        Some((name, value))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_monitors_x86_text_is_read() {
        let text = "\nCPU#0\nRAX=000000000001ad40 RBX=1 RCX=2 RDX=4000000000000000\nR8 =00000000000000aa R9 =3 R10=4 R11=5\n\
            RIP=ffffffffa4817a0b RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\nGS =0000 ffff8bba4f800000 00000000 00000000\n\
            IDT=     fffffe0000000000 00000fff\nCR0=80050033 CR2=0000000000401000 CR3=000000000291a000 CR4=000006b0\n\nCPU#1\nRIP=10 RFL=0 CPL=3\n";
        let all = Registers::of_monitor(Arch::X86_64, text);
        assert_eq!(all.len(), 2);
        let r = &all[0];
        assert_eq!((r.general[0], r.general[3], r.general[8], r.general[11]), (0x1ad40, 1, 0xaa, 5));
        assert_eq!((r.pc, r.halted, r.user), (0xffff_ffff_a481_7a0b, Some(true), false));
        assert_eq!(r.cr, Some([0x40_1000, 0x291_a000, 0x6b0]));
        assert_eq!(r.idt, Some(0xffff_fe00_0000_0000));
        assert_eq!(r.gs.unwrap()[0], 0xffff_8bba_4f80_0000);
        assert!(!r.interrupts_off() && all[1].user && all[1].interrupts_off());
    }

    #[test]
    fn the_monitors_arm64_text_is_read() {
        let text = "\nCPU#0\n PC=ffffbb67507af4fc X00=0000000000000005 X01=ffff17d40ff2b558\nX29=a X30=b  SP=ffffbb6751413d50\n\
            PSTATE=400000c5 -Z-- EL1h     FPCR=00000000 FPSR=00000000\nQ00=0:0\n";
        let r = &Registers::of_monitor(Arch::Arm64, text)[0];
        assert_eq!(
            (r.pc, r.sp, r.general[0], r.general[30]),
            (0xffff_bb67_507a_f4fc, 0xffff_bb67_5141_3d50, 5, 0xb)
        );
        assert!(r.interrupts_off() && !r.user);
    }

    #[test]
    fn hostile_text_is_bounded() {
        assert!(Registers::of_monitor(Arch::X86_64, "CPU#99999999999\nRAX=1").is_empty());
        assert_eq!(Registers::of_monitor(Arch::Arm64, "CPU#0\nX99=1 X=2 ==== PC=zz").len(), 1);
    }

    #[test]
    fn prstatus_words_are_in_user_regs_order() {
        let mut desc = vec![0; 336];
        for i in 0..27_u64 {
            desc[112 + 8 * i as usize..][..8].copy_from_slice(&(i + 100).to_le_bytes());
        }
        let r = Registers::of_prstatus(Arch::X86_64, 0, &desc).unwrap();
        assert_eq!((r.general[0], r.general[4], r.pc, r.sp), (110, 119, 116, 119));
        assert_eq!(Registers::of_prstatus(Arch::X86_64, 0, &desc[..200]), None);
    }
}
