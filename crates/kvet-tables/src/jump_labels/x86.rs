//! Sites on x86-64, and what the kernel says about a wrong one.
//!
//! arch/x86/kernel/jump_label.c. Since 5.14 a site has 2 or 5 bytes, whichever the assembler chose for the
//! jump (`arch_jump_entry_size`); before, always 5.

use iced_x86::{Decoder, DecoderError, DecoderOptions, Instruction};
use kvet_image::{Image, Kind, VirtAddr};

use super::JumpLabel;
use super::check::{Form, Site};
use super::place::Function;

const NOP2: [u8; 2] = [0x66, 0x90];
const NOP5: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x00];
const JMP8: u8 = 0xeb;
const JMP32: u8 = 0xe9;
/// `x86_nops[2]` with what follows it in `x86nops[]` (arch/x86/kernel/alternative.c): the first 3 bytes of the
/// 3-byte nop. The kernel prints 5 bytes whatever the size.
const NOP2_AND_ON: [u8; 5] = [0x66, 0x90, 0x0f, 0x1f, 0x00];

/// What stands at a site.
pub(super) fn site(bytes: &[u8], code: VirtAddr) -> Site {
    let jump = |size: u64, displacement: i64| Site {
        form: Form::Jump(code.wrapping_offset(size.cast_signed().wrapping_add(displacement))),
        size,
    };
    match *bytes {
        [0x66, 0x90, ..] => Site { form: Form::Nop, size: 2 },
        [0x0f, 0x1f, 0x44, 0x00, 0x00, ..] => Site { form: Form::Nop, size: 5 },
        [JMP8, near, ..] => jump(2, i64::from(near.cast_signed())),
        [JMP32, a, b, c, d, ..] => jump(5, i64::from(i32::from_le_bytes([a, b, c, d]))),
        _ => Site { form: Form::Other, size: instruction_length(bytes, code) },
    }
}

/// The length that the kernel's decoder gives the instruction; 0 when it decodes to none.
fn instruction_length(bytes: &[u8], code: VirtAddr) -> u64 {
    let instruction = Decoder::with_ip(64, bytes, code.0, DecoderOptions::NO_INVALID_CHECK).decode();
    if instruction.is_invalid() { 0 } else { instruction.len() as u64 }
}

/// Whether the target lies within a signed byte of the end of a 2-byte jump at the site.
pub(super) fn reaches_short(code: VirtAddr, target: VirtAddr) -> bool {
    i8::try_from(target.wrapping_distance(code.wrapping_offset(2))).is_ok()
}

/// Whether an assembler would have used the 2-byte form for a 5-byte site: were the site 3 bytes shorter, a
/// target behind it would come 3 bytes nearer.
pub(super) fn is_needlessly_long(code: VirtAddr, target: VirtAddr) -> bool {
    let short = if target > code { target.wrapping_offset(-3) } else { target };
    reaches_short(code, short)
}

/// What the kernel does when a key's switch comes to one of its sites.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It patches the site.
    Patched,
    /// `BUG_ON(insn.length != 2 && insn.length != 5)` in `arch_jump_entry_size`, without a line of its own.
    BadLength,
    /// The BUG_ON of `__text_gen_insn`: a 2-byte jump does not reach the target.
    OutOfReach,
    /// The line that it prints before it stops with BUG().
    Unexpected(String),
}

/// How the kernel's check is worded: the string in its own read-only data tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wording {
    /// Up to 5.13: 5-byte sites, the bytes found and the source line of the check.
    SourceLine,
    /// Since 5.14: the bytes found, the bytes expected, size and type.
    Expected,
}

impl Wording {
    /// The wording in an image; the newer one where it has none (a module, a kernel without printk).
    pub(super) fn of(image: &Image) -> Wording {
        const LINE: &[u8] = b"jump_label: Fatal kernel bug, unexpected op at ";
        let raw = image.raw();
        let tail = memchr::memmem::find(raw, LINE).and_then(|at| raw.get(at + LINE.len()..));
        let format = tail.map(|tail| &tail[..tail.len().min(64)]).unwrap_or_default();
        let end = memchr::memchr(b'\n', format).unwrap_or(format.len());
        if !format.is_empty() && memchr::memmem::find(&format[..end], b"!=").is_none() {
            Wording::SourceLine
        } else {
            Wording::Expected
        }
    }
}

/// Follows `__jump_label_patch` for one site: `found` are the 5 bytes there when the switch comes, `jump` what
/// is to be written.
pub(super) fn patch(
    image: &Image,
    label: &JumpLabel,
    found: [u8; 5],
    jump: bool,
    wording: Wording,
) -> Outcome {
    let size = match wording {
        Wording::SourceLine => 5,
        Wording::Expected => site(&found, label.code).size,
    };
    let code = match size {
        2 if !reaches_short(label.code, label.target) => return Outcome::OutOfReach,
        2 => jump_bytes(label, JMP8, 2),
        5 => jump_bytes(label, JMP32, 5),
        _ => return Outcome::BadLength,
    };
    let nop = if size == 2 { NOP2_AND_ON } else { NOP5 };
    let expect = if jump { nop } else { code };
    let compared = usize::try_from(size).unwrap_or(5);
    if found[..compared] == expect[..compared] {
        return Outcome::Patched;
    }
    let place = place(image, label.code);
    let found = spaced(&found);
    Outcome::Unexpected(match wording {
        Wording::Expected => format!(
            "jump_label: Fatal kernel bug, unexpected op at {place} [(____ptrval____)] ({found} != {})) \
             size:{size} type:{}",
            spaced(&expect),
            u8::from(jump)
        ),
        // The __LINE__ of the comparison that failed, in 5.10.
        Wording::SourceLine => format!(
            "jump_label: Fatal kernel bug, unexpected op at {place} [(____ptrval____)] ({found}) {}",
            if jump { 47 } else { 49 }
        ),
    })
}

/// The bytes at a site after a switch has written a jump or a nop there.
pub(super) fn patched(label: &JumpLabel, before: [u8; 5], jump: bool) -> [u8; 5] {
    let size = if before[0] == JMP8 || before[..2] == NOP2 { 2 } else { 5 };
    let written = match (jump, size) {
        (true, 2) => jump_bytes(label, JMP8, 2),
        (true, _) => jump_bytes(label, JMP32, 5),
        (false, 2) => NOP2_AND_ON,
        (false, _) => NOP5,
    };
    let mut bytes = before;
    bytes[..size].copy_from_slice(&written[..size]);
    bytes
}

/// `text_gen_insn`: the opcode and a 32-bit distance, of which a 2-byte jump uses the first byte.
fn jump_bytes(label: &JumpLabel, opcode: u8, size: i64) -> [u8; 5] {
    let [a, b, c, d, ..] = label.target.wrapping_distance(label.code.wrapping_offset(size)).to_le_bytes();
    [opcode, a, b, c, d]
}

/// An address as `%pS` prints it, also where there is no symbol.
pub(super) fn place(image: &Image, addr: VirtAddr) -> String {
    image.symbolize(addr).unwrap_or_else(|| format!("{addr:#x}"))
}

/// Bytes as `%ph` prints them.
fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Where instructions start: the ORC table has an address at which one does every few bytes, functions start
/// with one.
pub(super) struct Boundaries<'a> {
    image: &'a Image,
    orc: &'a [[u8; 4]],
    orc_addr: VirtAddr,
    /// The ORC row found last: entries that follow each other in the table are near each other in the text.
    row: usize,
    /// A function's start, and the last instruction in it that was proved to start.
    proved: (VirtAddr, VirtAddr),
}

/// How far to decode from a function's start before giving up.
const FAR: u64 = 1 << 16;

impl<'a> Boundaries<'a> {
    /// With the `.orc_unwind_ip` of vmlinux, which its build has sorted (scripts/sorttable.c). A module's is
    /// sorted when it is loaded, and not used.
    pub(super) fn of(image: &'a Image) -> Boundaries<'a> {
        let section = image.section(".orc_unwind_ip").filter(|_| image.kind() != Kind::Module);
        Boundaries {
            image,
            orc: section.map(|s| image.section_bytes(s).as_chunks().0).unwrap_or_default(),
            orc_addr: section.map(|s| s.addr).unwrap_or_default(),
            row: 0,
            proved: Default::default(),
        }
    }

    /// Whether an instruction of a function starts at an address; `None` when that cannot be told.
    pub(super) fn starts_instruction(&mut self, function: &Function<'_>, addr: VirtAddr) -> Option<bool> {
        if addr == function.start {
            return Some(true);
        }
        // An ORC address inside an alternative may be a boundary of the replacement only: it can confirm, but
        // only the function's start can refute.
        let orc = self.orc_before(addr).filter(|from| *from >= function.start);
        let proved = (self.proved.0 == function.start && self.proved.1 <= addr).then_some(self.proved.1);
        let confirmed = orc.max(proved).is_some_and(|from| self.decodes_to(from, addr) == Some(true));
        let answer = if confirmed { Some(true) } else { self.decodes_to(function.start, addr) };
        if answer == Some(true) {
            self.proved = (function.start, addr);
        }
        answer
    }

    /// The address of an ORC row.
    fn ip(&self, row: usize) -> Option<VirtAddr> {
        let distance = i64::from(i32::from_le_bytes(*self.orc.get(row)?));
        Some(self.orc_addr.wrapping_offset(4 * row as i64).wrapping_offset(distance))
    }

    /// The last ORC address at or before another: doubling steps from the row found last, then halving.
    fn orc_before(&mut self, addr: VirtAddr) -> Option<VirtAddr> {
        let at_or_before = |row: usize| self.ip(row).is_some_and(|ip| ip <= addr);
        let (mut low, mut high) = (self.row, self.row);
        let mut step = 1;
        while low > 0 && !at_or_before(low) {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
        step = 1;
        while high < self.orc.len() && at_or_before(high) {
            low = high;
            high = high.saturating_add(step).min(self.orc.len());
            step *= 2;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if at_or_before(middle) { low = middle } else { high = middle }
        }
        self.row = low;
        self.ip(low).filter(|ip| *ip <= addr)
    }

    fn decodes_to(&self, from: VirtAddr, to: VirtAddr) -> Option<bool> {
        let length = to.0.checked_sub(from.0).filter(|length| *length <= FAR)?;
        let bytes = self.image.bytes(from, usize::try_from(length).ok()?)?;
        let mut decoder = Decoder::with_ip(64, bytes, from.0, DecoderOptions::NO_INVALID_CHECK);
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            if instruction.is_invalid() {
                // Either the last instruction runs past `to`, or this is no code that we understand.
                return (decoder.last_error() == DecoderError::NoMoreBytes).then_some(false);
            }
        }
        Some(true)
    }
}
