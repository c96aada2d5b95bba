//! The `Code:` line: disassembled around the marked unit, and compared with the kernel's file.

use kvet_console::Code;
use kvet_image::{Arch, Image, VirtAddr};
use kvet_tables::disasm::{self, instruction_at};
use kvet_tables::sites::{Explained, Patched, SiteAt, Sites};

use super::frame::{Place, Role};
use super::slide;

/// The longest instruction of x86.
const LONGEST: usize = 15;

/// One instruction of a `Code:` line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeLine {
    /// Index of its first byte in [`Code::bytes`].
    pub offset: usize,
    /// Its address in the file, where that is known.
    pub address: Option<VirtAddr>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// AT&T syntax on x86, as `objdump` prints it; `(bad)` for what does not decode.
    pub text: String,
    /// The trapping instruction; of a return address or an `int3` the one before the marked unit.
    pub trapping: bool,
}

/// How memory compares with the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Compared {
    /// Not at all: why, one sentence.
    Not(String),
    /// Byte for byte the same.
    Same,
    /// The same but for what the kernel's own tables explain.
    Patched(Vec<Patched>),
    /// Something that nothing explains is among the differences: bytes without an explanation, and all of them.
    Differs {
        /// How many bytes.
        unexplained: u64,
        /// All differences.
        differences: Vec<Patched>,
    },
}

impl Compared {
    /// All differences.
    pub fn differences(&self) -> &[Patched] {
        match self {
            Compared::Not(_) | Compared::Same => &[],
            Compared::Patched(differences) | Compared::Differs { differences, .. } => differences,
        }
    }
}

/// A `Code:` line, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeView {
    /// The instructions. Bytes at the start that are the end of one are left out, as is one that is cut at the end.
    pub lines: Vec<CodeLine>,
    /// The instruction boundaries are proved by the file; else they are the likeliest ones.
    pub aligned_by_file: bool,
    /// Memory against the file.
    pub compared: Compared,
    /// The table entries that own the trapping instruction, or end where it begins.
    pub sites: Vec<SiteAt>,
    /// What KASLR added, where the bytes themselves tell.
    pub slide: Option<u64>,
}

impl CodeView {
    /// The instruction that trapped.
    pub fn trapping(&self) -> Option<&CodeLine> {
        self.lines.iter().find(|line| line.trapping)
    }

    /// Reads a `Code:` line without a kernel's file.
    pub fn alone(arch: Arch, code: &Code, role: Role) -> CodeView {
        let trapping = trapping_offset(code, role);
        let start = match arch {
            Arch::Arm64 => 0,
            Arch::X86_64 => realign(&code.bytes, trapping),
        };
        let base = VirtAddr(0);
        CodeView {
            lines: lines(arch, None, base, &code.bytes, start, trapping, |_| None),
            aligned_by_file: false,
            compared: Compared::Not("no kernel file at this place".into()),
            sites: Vec::new(),
            slide: None,
        }
    }

    /// Reads a `Code:` line of a place that is known.
    pub(crate) fn at(
        image: &Image,
        kernel: Option<&Image>,
        place: &Place,
        code: &Code,
        role: Role,
        slide: Option<u64>,
    ) -> CodeView {
        let arch = image.arch();
        let trapping = trapping_offset(code, role);
        let marked = code.marked.unwrap_or(0);
        let base = VirtAddr(place.addr.0.wrapping_sub(marked as u64));
        let boundary = first_boundary(image, base);
        let start = match (arch, boundary) {
            (Arch::Arm64, _) => 0,
            (_, Some(addr)) => usize::try_from(addr.0 - base.0).unwrap_or(0),
            _ => realign(&code.bytes, trapping),
        };
        let at = |offset: usize| base.checked_add(offset as u64);
        let slide = slide.or_else(|| slide::from_code(image, base, &code.bytes));
        let sites = Sites::of(image, kernel);
        let compared = compare(&sites, image, kernel, base, &code.bytes, slide);
        CodeView {
            lines: lines(arch, Some(image), base, &code.bytes, start, trapping, at),
            aligned_by_file: boundary.is_some(),
            compared,
            sites: trapping.and_then(at).map(|addr| sites.at(image, kernel, addr)).unwrap_or_default(),
            slide,
        }
    }
}

fn compare(
    sites: &Sites,
    image: &Image,
    kernel: Option<&Image>,
    base: VirtAddr,
    bytes: &[u8],
    slide: Option<u64>,
) -> Compared {
    match image.bytes(base, bytes.len()) {
        None => return Compared::Not("the file has no bytes at this place".into()),
        Some(file) if file == bytes => return Compared::Same,
        Some(_) => {}
    }
    let differences = sites.differences(image, kernel, base, bytes, slide);
    let unexplained = |d: &&Patched| d.why == Explained::Unexplained;
    match differences.iter().filter(unexplained).map(|d| d.len).sum() {
        0 => Compared::Patched(differences),
        unexplained => Compared::Differs { unexplained, differences },
    }
}

/// The first byte of the instruction that trapped, or whose end the marked unit follows. With an `int3` that
/// memory no longer holds, the instruction is the one that begins a byte earlier.
fn trapping_offset(code: &Code, role: Role) -> Option<usize> {
    let offset = match role {
        Role::AfterInt3 => code.marked?.checked_sub(1),
        _ => code.marked,
    };
    offset.filter(|offset| *offset < code.bytes.len())
}

/// The first boundary at or after an address, by decoding from the start of the symbol there.
fn first_boundary(image: &Image, base: VirtAddr) -> Option<VirtAddr> {
    let (symbol, _) = image.symbol_at(base)?;
    let (start, len) = instruction_at(image, symbol.addr, base)?;
    if start == base { Some(base) } else { start.checked_add(len) }
}

/// Where to begin decoding, so that an instruction begins at the trapping offset: of the starts that lead there
/// the one with the fewest undecodable bytes, then the earliest. Wrong starts meet the right sequence soon, so
/// several usually agree.
fn realign(bytes: &[u8], trapping: Option<usize>) -> usize {
    let Some(trapping) = trapping else { return 0 };
    let bad = |start: usize| {
        let (mut at, mut bad) = (start, 0);
        while at < trapping {
            let rest = &bytes[at..];
            match disasm::x86::decode_one(VirtAddr(at as u64), rest) {
                Some(instruction) => at += instruction.len(),
                None => {
                    bad += 1;
                    at += 1;
                }
            }
        }
        (at == trapping).then_some((bad, start))
    };
    (0..=LONGEST.min(trapping)).filter_map(bad).min().map_or(trapping, |(_, start)| start)
}

fn lines(
    arch: Arch,
    image: Option<&Image>,
    base: VirtAddr,
    bytes: &[u8],
    start: usize,
    trapping: Option<usize>,
    address: impl Fn(usize) -> Option<VirtAddr>,
) -> Vec<CodeLine> {
    let mut lines = Vec::new();
    let mut at = start;
    while at < bytes.len() {
        let here = base.0.wrapping_add(at as u64);
        let rest = &bytes[at..];
        let mut len = match arch {
            Arch::Arm64 => 4,
            Arch::X86_64 => disasm::x86::decode_one(VirtAddr(here), rest).map_or(1, |i| i.len()),
        };
        // The trapping instruction begins where it does, whatever memory reads as.
        if let Some(trapping) = trapping.filter(|t| at < *t && at + len > *t) {
            len = trapping - at;
        }
        let Some(unit) = rest.get(..len) else { break };
        let decoded = disasm::code_of(arch, image, VirtAddr(here), unit);
        let cut = arch == Arch::X86_64
            && rest.len() < LONGEST
            && disasm::x86::decode_one(VirtAddr(here), rest).is_none()
            && trapping != Some(at);
        if cut {
            break;
        }
        lines.push(CodeLine {
            offset: at,
            address: address(at),
            bytes: unit.to_vec(),
            text: decoded.lines.into_iter().next().unwrap_or_default(),
            trapping: trapping == Some(at),
        });
        at += len;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        let mut code = Code { unit: 1, ..Code::default() };
        for word in text.split(' ') {
            let digits = word.trim_matches(['<', '>']);
            if digits.len() != word.len() {
                code.marked = Some(code.bytes.len());
            }
            code.bytes.push(u8::from_str_radix(digits, 16).expect("hex"));
        }
        code
    }

    /// The mail's int3: RIP is one past the trapping byte, which is the first of a two-byte nop.
    #[test]
    fn an_int3_points_into_the_instruction_that_stands_there_now() {
        let code = code(
            "00 00 41 bd ff ff ff ff 31 d2 4c 89 f6 4c 89 ff e8 f2 ef ff ff 41 89 c4 85 c0 75 09 83 e3 01 0f \
             85 54 ff ff ff 41 8b 4f 20 66 <90> f7 c1 00 00 10 00 0f 84 23 01 00 00 48 c7 c3 40 cc 01 00 65 48",
        );
        let view = CodeView::alone(Arch::X86_64, &code, Role::AfterInt3);
        let at = view.trapping().expect("marked");
        assert_eq!((at.text.as_str(), at.bytes.as_slice()), ("xchg %ax,%ax", &[0x66, 0x90][..]));
        let before = &view.lines[..view.lines.iter().position(|l| l.trapping).expect("there")];
        let last: Vec<&str> = before.iter().rev().take(3).map(|l| l.text.as_str()).collect();
        assert_eq!(last[0], "mov 0x20(%r15),%ecx");
        assert!(last[1].starts_with("jne "), "{last:?}");
        assert_eq!(last[2], "and $0x1,%ebx");
        // `65 48` at the end is half an instruction.
        assert_eq!(view.lines.last().expect("lines").text, "mov $0x1cc40,%rbx");
    }

    #[test]
    fn arm64_units_are_words() {
        let words = [0x3940_2e61_u32, 0x3940_2a62, 0x6b01_005f, 0x54ff_f500, 0xd421_0000];
        let bytes = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let code = Code { bytes, marked: Some(16), unit: 4, unreadable: None };
        let view = CodeView::alone(Arch::Arm64, &code, Role::Exact);
        assert_eq!(view.lines.len(), 5);
        assert_eq!(view.trapping().expect("marked").text, "brk #0x800");
    }

    #[test]
    fn any_bytes_give_lines_and_no_panic() {
        let mut state = 7_u64;
        for _ in 0..2000 {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize
            };
            let len = next() % 70;
            let bytes: Vec<u8> = (0..len).map(|_| next() as u8).collect();
            let marked = Some(next() % (len + 3));
            let code = Code { bytes, marked, unit: 1, unreadable: None };
            for role in [Role::Exact, Role::AfterInt3, Role::Return] {
                for arch in [Arch::X86_64, Arch::Arm64] {
                    let view = CodeView::alone(arch, &code, role);
                    assert!(view.lines.iter().all(|l| !l.bytes.is_empty()));
                }
            }
        }
    }
}
