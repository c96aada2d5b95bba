//! What instructions do to registers and memory: enough to follow a pointer from a function's start to the access
//! that faulted. Registers have DWARF's numbers for their architecture.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};
use kvet_image::{Arch, Image, VirtAddr};

use super::{arm64, x86};

/// The memory that an instruction accesses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// The base register; `None` for an absolute or PC-relative address.
    pub base: Option<u16>,
    /// The index register and what it is multiplied with.
    pub index: Option<(u16, u32)>,
    /// What is added.
    pub displacement: i64,
    /// How many bytes; 0 where that is not told.
    pub size: u64,
    /// It writes; else it reads.
    pub writes: bool,
    /// The address is one of `gs:` or `fs:`: per-CPU data, or the stack protector's canary.
    pub segment: bool,
}

/// What an instruction does to the registers, for who follows pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `to = from + add`.
    Copy {
        /// The register written.
        to: u16,
        /// The register read.
        from: u16,
        /// What is added.
        add: i64,
    },
    /// `to = *(base + displacement)`, all 64 bits.
    Load {
        /// The register written.
        to: u16,
        /// The base register.
        base: u16,
        /// What is added.
        displacement: i64,
    },
    /// A call, which changes the registers that belong to the caller; to this place when it is direct.
    Call(Option<VirtAddr>),
    /// The instruction ends a path: what follows is reached from elsewhere.
    End,
    /// These registers hold something else now.
    Write(Vec<u16>),
    /// A direct jump or conditional branch to a place.
    Branch(VirtAddr),
}

/// How far a function is followed.
const FAR: u64 = 1 << 16;

/// The first general-purpose memory operand of an instruction.
pub fn access(arch: Arch, address: VirtAddr, bytes: &[u8]) -> Option<Access> {
    match arch {
        Arch::X86_64 => access_x86(&x86::decode_one(address, bytes)?),
        Arch::Arm64 => access_arm64(u32::from_le_bytes(*bytes.first_chunk()?)),
    }
}

/// The effects of the instructions from a function's start up to an address, in the order of the code. Branches are
/// not followed.
pub fn effects(image: &Image, start: VirtAddr, until: VirtAddr) -> Vec<(VirtAddr, Effect)> {
    let length = until.0.checked_sub(start.0).filter(|l| *l <= FAR).unwrap_or(0) as usize;
    let Some(bytes) = image.bytes(start, length) else { return Vec::new() };
    match image.arch() {
        Arch::X86_64 => effects_x86(start, bytes),
        Arch::Arm64 => {
            let places = (0_i64..).map(|i| start.wrapping_offset(4 * i));
            places
                .zip(arm64::words(bytes))
                .flat_map(|(at, word)| Some((at, effect_arm64(at, word)?)))
                .collect()
        }
    }
}

/// DWARF's numbers of the registers that hold the first parameters.
pub fn parameter_registers(arch: Arch) -> &'static [u16] {
    match arch {
        // rdi, rsi, rdx, rcx, r8, r9
        Arch::X86_64 => &[5, 4, 1, 2, 8, 9],
        Arch::Arm64 => &[0, 1, 2, 3, 4, 5, 6, 7],
    }
}

/// The register of a function's result.
pub fn result_register(_arch: Arch) -> u16 {
    // rax and x0.
    0
}

/// Whether a call may change a register.
pub fn is_clobbered_by_calls(arch: Arch, register: u16) -> bool {
    match arch {
        // All but rbx, rbp, rsp, r12 to r15.
        Arch::X86_64 => !matches!(register, 3 | 6 | 7 | 12..=15),
        Arch::Arm64 => register <= 18,
    }
}

/// A register's name.
pub fn register_name(arch: Arch, register: u16) -> String {
    const X86: [&str; 16] = [
        "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15",
    ];
    match (arch, register) {
        (Arch::X86_64, n) => {
            X86.get(usize::from(n)).map_or_else(|| format!("register {n}"), |s| (*s).to_owned())
        }
        (Arch::Arm64, 31) => "sp".into(),
        (Arch::Arm64, n) => format!("x{n}"),
    }
}

/// DWARF's number of a general-purpose register, whatever part of it.
fn number(register: Register) -> Option<u16> {
    const ORDER: [Register; 16] = [
        Register::RAX,
        Register::RDX,
        Register::RCX,
        Register::RBX,
        Register::RSI,
        Register::RDI,
        Register::RBP,
        Register::RSP,
        Register::R8,
        Register::R9,
        Register::R10,
        Register::R11,
        Register::R12,
        Register::R13,
        Register::R14,
        Register::R15,
    ];
    let full = register.full_register();
    ORDER.iter().position(|r| *r == full).and_then(|i| u16::try_from(i).ok())
}

fn access_x86(instruction: &Instruction) -> Option<Access> {
    let mut info = InstructionInfoFactory::new();
    let used = info.info(instruction);
    // `lea` and multi-byte nops name memory and do not touch it.
    let memory = used
        .used_memory()
        .iter()
        .find(|m| m.access() != OpAccess::NoMemAccess && m.access() != OpAccess::None)?;
    let writes = matches!(
        memory.access(),
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    );
    Some(Access {
        base: number(memory.base()),
        index: number(memory.index()).map(|n| (n, memory.scale())),
        displacement: memory.displacement() as i64,
        size: memory.memory_size().size() as u64,
        writes,
        segment: matches!(memory.segment(), Register::GS | Register::FS),
    })
}

fn effects_x86(start: VirtAddr, bytes: &[u8]) -> Vec<(VirtAddr, Effect)> {
    let mut found = Vec::new();
    let mut info = InstructionInfoFactory::new();
    let mut decoder = Decoder::with_ip(64, bytes, start.0, DecoderOptions::NO_INVALID_CHECK);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            break;
        }
        if let Some(effect) = effect_x86(&instruction, &mut info) {
            found.push((VirtAddr(instruction.ip()), effect));
        }
    }
    found
}

fn effect_x86(i: &Instruction, info: &mut InstructionInfoFactory) -> Option<Effect> {
    match i.flow_control() {
        FlowControl::Call => return Some(Effect::Call(Some(VirtAddr(i.near_branch_target())))),
        FlowControl::IndirectCall => return Some(Effect::Call(None)),
        FlowControl::UnconditionalBranch | FlowControl::Return | FlowControl::IndirectBranch => {
            return Some(Effect::End);
        }
        FlowControl::ConditionalBranch => return Some(Effect::Branch(VirtAddr(i.near_branch_target()))),
        _ => {}
    }
    let to = || number(i.op0_register()).filter(|_| i.op0_register().size() == 8);
    let memory = |k: OpKind| k == OpKind::Memory;
    let plain = i.memory_index() == Register::None && i.segment_prefix() == Register::None;
    match i.mnemonic() {
        Mnemonic::Mov if i.op0_kind() == OpKind::Register && i.op1_kind() == OpKind::Register => {
            if let (Some(to), Some(from)) = (to(), number(i.op1_register())) {
                return Some(Effect::Copy { to, from, add: 0 });
            }
        }
        Mnemonic::Mov if memory(i.op1_kind()) && plain => {
            if let (Some(to), Some(base)) = (to(), number(i.memory_base())) {
                return Some(Effect::Load { to, base, displacement: i.memory_displacement64() as i64 });
            }
        }
        Mnemonic::Lea if plain => {
            if let (Some(to), Some(from)) = (to(), number(i.memory_base())) {
                return Some(Effect::Copy { to, from, add: i.memory_displacement64() as i64 });
            }
        }
        Mnemonic::Add | Mnemonic::Sub
            if i.op0_kind() == OpKind::Register
                && matches!(i.op1_kind(), OpKind::Immediate8to64 | OpKind::Immediate32to64) =>
        {
            if let Some(to) = to() {
                let by = i.immediate(1) as i64;
                let add = if i.mnemonic() == Mnemonic::Sub { by.wrapping_neg() } else { by };
                return Some(Effect::Copy { to, from: to, add });
            }
        }
        _ => {}
    }
    let used = info.info(i);
    let written = used.used_registers().iter().filter(|r| {
        matches!(
            r.access(),
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        )
    });
    let mut registers: Vec<u16> = written.filter_map(|r| number(r.register())).collect();
    registers.sort_unstable();
    registers.dedup();
    (!registers.is_empty()).then_some(Effect::Write(registers))
}

/// Loads and stores of general-purpose registers (Arm ARM C4.1.94).
fn access_arm64(word: u32) -> Option<Access> {
    let base = Some(((word >> 5) & 0x1f) as u16);
    let size = 1_u64 << (word >> 30);
    let simple =
        |displacement, writes| Access { base, index: None, displacement, size, writes, segment: false };
    // Of `opc`, 00 stores; a prefetch (size 11, opc 10) does not fault.
    let store = (word >> 22) & 3 == 0;
    let vector = word & (1 << 26) != 0;
    // LDR, STR (immediate, unsigned offset).
    if word & 0x3b00_0000 == 0x3900_0000 && !vector {
        return Some(simple(i64::from((word >> 10) & 0xfff) << (word >> 30), store));
    }
    // LDUR, STUR, pre- and post-indexed.
    if word & 0x3b20_0000 == 0x3800_0000 && !vector {
        let offset = (i64::from((word >> 12) & 0x1ff) << 55) >> 55;
        let post = (word >> 10) & 3 == 1;
        return Some(simple(if post { 0 } else { offset }, store));
    }
    // LDR, STR (register).
    if word & 0x3b20_0c00 == 0x3820_0800 && !vector {
        let scale = if word & (1 << 12) != 0 { 1 << (word >> 30) } else { 1 };
        let index = Some((((word >> 16) & 0x1f) as u16, scale));
        return Some(Access { index, ..simple(0, store) });
    }
    // LDP, STP.
    if word & 0x3a00_0000 == 0x2800_0000 && !vector {
        let wide = word >> 31 == 1;
        let unit = if wide { 8 } else { 4 };
        let offset = ((i64::from((word >> 15) & 0x7f) << 57) >> 57) * unit;
        let post = (word >> 23) & 3 == 1;
        let displacement = if post { 0 } else { offset };
        return Some(Access { size: 2 * unit as u64, ..simple(displacement, word & (1 << 22) == 0) });
    }
    // Exclusives, acquire and release, CAS; atomic memory operations: no displacement.
    if word & 0x3f00_0000 == 0x0800_0000 {
        return Some(simple(0, word & (1 << 22) == 0));
    }
    if word & 0x3b20_0c00 == 0x3820_0000 && !vector {
        return Some(simple(0, true));
    }
    None
}

fn effect_arm64(at: VirtAddr, word: u32) -> Option<Effect> {
    let (rd, rn, rm) = ((word & 0x1f) as u16, ((word >> 5) & 0x1f) as u16, ((word >> 16) & 0x1f) as u16);
    if arm64::is_bl(word) {
        return Some(Effect::Call(arm64::branch_target(at, word)));
    }
    if arm64::is_blr(word) {
        return Some(Effect::Call(None));
    }
    // b, br, ret.
    if arm64::is_b(word) || word & 0xfe00_0000 == 0xd600_0000 {
        return Some(Effect::End);
    }
    if let Some(target) = arm64::branch_target(at, word) {
        return Some(Effect::Branch(target));
    }
    // mov xd, xm
    if word & 0xffe0_ffe0 == 0xaa00_03e0 {
        return Some(Effect::Copy { to: rd, from: rm, add: 0 });
    }
    // add, sub xd, xn, #imm (64 bits)
    if word & 0xbf80_0000 == 0x9100_0000 {
        let imm = i64::from((word >> 10) & 0xfff) << if word & (1 << 22) != 0 { 12 } else { 0 };
        let add = if word & (1 << 30) != 0 { -imm } else { imm };
        return Some(Effect::Copy { to: rd, from: rn, add });
    }
    if let Some(access) = access_arm64(word) {
        let load = (word & 0xffc0_0000 == 0xf940_0000) || (word & 0xffe0_0c00 == 0xf840_0000);
        if load {
            return Some(Effect::Load { to: rd, base: rn, displacement: access.displacement });
        }
        let mut written = Vec::new();
        let pair = word & 0x3a00_0000 == 0x2800_0000;
        if !access.writes || word & 0x3b20_0c00 == 0x3820_0000 {
            written.push(rd);
        }
        if pair && !access.writes {
            written.push(((word >> 10) & 0x1f) as u16);
        }
        // Pre- and post-index write the base back; exclusive stores write a status register.
        if pair && (word >> 23) & 1 == 1 || word & 0x3b20_0000 == 0x3800_0000 && (word >> 10) & 1 == 1 {
            written.push(rn);
        }
        if word & 0x3f00_0000 == 0x0800_0000 {
            written.extend([rm, rd]);
        }
        return (!written.is_empty()).then_some(Effect::Write(written));
    }
    // Everything else writes its lowest field, if it writes a register at all. The system instructions that do not
    // have 31 there.
    (rd != 31).then(|| Effect::Write(vec![rd]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testimage::{AX, TestImage};

    #[test]
    fn x86_accesses() {
        let at = VirtAddr(0x1000);
        let of = |bytes: &[u8]| access(Arch::X86_64, at, bytes);
        // mov 0x18(%rdi),%rax
        let a = of(&[0x48, 0x8b, 0x47, 0x18]).expect("memory");
        assert_eq!((a.base, a.displacement, a.size, a.writes), (Some(5), 0x18, 8, false));
        // movl $0x0,-0x8(%rbx,%rcx,4)
        let a = of(&[0xc7, 0x44, 0x8b, 0xf8, 0, 0, 0, 0]).expect("memory");
        assert_eq!((a.base, a.index, a.displacement, a.writes), (Some(3), Some((2, 4)), -8, true));
        // mov %gs:0x28,%rax
        assert!(of(&[0x65, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0]).expect("memory").segment);
        // lea, a long nop, ret with its stack slot left aside
        assert_eq!(of(&[0x48, 0x8d, 0x47, 0x18]), None);
        assert_eq!(of(&[0x0f, 0x1f, 0x44, 0x00, 0x00]), None);
    }

    #[test]
    fn arm64_accesses() {
        let of = |word: u32| access(Arch::Arm64, VirtAddr(0), &word.to_le_bytes());
        let short = |word| of(word).map(|a| (a.base, a.displacement, a.size, a.writes));
        assert_eq!(short(0xf940_0c20), Some((Some(1), 0x18, 8, false))); // ldr x0, [x1, #24]
        assert_eq!(short(0xb900_1be1), Some((Some(31), 0x18, 4, true))); // str w1, [sp, #24]
        assert_eq!(short(0xf85f_8043), Some((Some(2), -8, 8, false))); // ldur x3, [x2, #-8]
        assert_eq!(short(0xa9be_7bfd), Some((Some(31), -32, 16, true))); // stp x29, x30, [sp, #-32]!
        assert_eq!(short(0x3940_2e61), Some((Some(19), 11, 1, false))); // ldrb w1, [x19, #11]
        assert_eq!(short(0xc85f_7c20), Some((Some(1), 0, 8, false))); // ldxr x0, [x1]
        assert_eq!(of(0xf862_7820).and_then(|a| a.index), Some((2, 8))); // ldr x0, [x1, x2, lsl #3]
        assert_eq!(of(0xd503_201f), None);
    }

    #[test]
    fn effects_follow_a_pointer() {
        const TEXT: u64 = 0xffff_ffff_8100_0000;
        // push rbx; mov rbx,rdi; mov rax,[rdi+0x20]; lea rdx,[rax+8]; xor ecx,ecx; call +0; jmp
        let bytes = [
            0x53, 0x48, 0x89, 0xfb, 0x48, 0x8b, 0x47, 0x20, 0x48, 0x8d, 0x50, 0x08, 0x31, 0xc9, 0xe8, 0, 0,
            0, 0, 0xeb, 0x00,
        ];
        let mut t = TestImage::new(Arch::X86_64);
        let image = t.section(".text", TEXT, AX, &bytes).function("f", TEXT, 21).build();
        let found: Vec<Effect> =
            effects(&image, VirtAddr(TEXT), VirtAddr(TEXT + 21)).into_iter().map(|(_, e)| e).collect();
        assert_eq!(
            found,
            [
                Effect::Write(vec![7]),
                Effect::Copy { to: 3, from: 5, add: 0 },
                Effect::Load { to: 0, base: 5, displacement: 0x20 },
                Effect::Copy { to: 1, from: 0, add: 8 },
                Effect::Write(vec![2]),
                Effect::Call(Some(VirtAddr(TEXT + 19))),
                Effect::End,
            ]
        );
    }

    #[test]
    fn any_arm64_word_has_an_effect_or_none() {
        let mut state = 1_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let word = (state >> 32) as u32;
            let _ = (effect_arm64(VirtAddr(0x1000), word), access_arm64(word));
        }
    }
}
