//! parameters: what a command line may set.
//!
//! `__param` holds one `struct kernel_param` each, 40 bytes of pointers and numbers.
//!
//! # What the kernel does
//!
//! `parse_args` (kernel/params.c of 5.10.223 to 7.3) compares names one by one and calls the `set` function of the
//! entry's operations; `param_sysfs_init` makes files with the entry's permissions. Nothing is checked at run time:
//! `VERIFY_OCTAL_PERMISSIONS` is the compiler's.

use kvet_finding::Severity;
use kvet_image::{Image, Kind, VirtAddr};

use crate::entries::{Examination, is_in_image, locate};
use crate::{Bounds, Context, Table, TableReport};

const NAME: &str = "parameters";
const SIZE: u64 = 40;

/// One `struct kernel_param` (include/linux/moduleparam.h, the same from 4.15 to 7.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parameter {
    name: VirtAddr,
    module: VirtAddr,
    ops: VirtAddr,
    perm: u16,
    level: i8,
    flags: u8,
    arg: VirtAddr,
}

/// The table `parameters`.
pub struct Parameters;

impl Table for Parameters {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        let bounds = match locate(image, NAME, "__param", ("__start___param", "__stop___param")) {
            Ok(bounds) => bounds,
            Err(report) => return report,
        };
        let mut examination = Examination::new(image, NAME, &bounds, SIZE, "parameters/size");
        for index in 0..examination.report.entries {
            if let Some((at, parameter)) = read(image, &bounds, index) {
                entry(&mut examination, index, at, parameter);
            }
        }
        examination.proved(&["whole entries", "a name, operations and permissions that make sense"]);
        Some(examination.finish())
    }
}

fn read(image: &Image, bounds: &Bounds, index: u64) -> Option<(VirtAddr, Parameter)> {
    let at = bounds.start.checked_add(index.checked_mul(SIZE)?)?;
    let pointer = |field: u64| image.u64(at.checked_add(field)?).map(VirtAddr);
    let parameter = Parameter {
        name: pointer(0)?,
        module: pointer(8)?,
        ops: pointer(16)?,
        perm: image.u16(at.checked_add(24)?)?,
        level: image.u8(at.checked_add(26)?)? as i8,
        flags: image.u8(at.checked_add(27)?)?,
        arg: pointer(32)?,
    };
    Some((at, parameter))
}

fn entry(examination: &mut Examination<'_>, index: u64, at: VirtAddr, p: Parameter) {
    let image = examination.image;
    let name = image.cstr(p.name, 256).filter(|name| is_name(name));
    let shown = name.unwrap_or("?").to_owned();
    if name.is_none() {
        let message = format!("the parameter {shown}: no name at {}", p.name);
        let finding = examination.finding("parameters/name", Severity::Error, index, at, message);
        // `parse_args` compares each word of the command line with every name, before any console speaks.
        let finding = match crate::mapped::page_fault_before_traps(image, p.name) {
            Some(line) => finding.at_boot(line, true),
            None => finding,
        };
        examination.report.findings.push(finding);
    }
    let mut wrong = |rule: &'static str, message: String| {
        examination.error(rule, index, at, format!("the parameter {shown}: {message}"));
    };
    // Operations are data of the kernel, or of the module itself.
    if image.extern_at(p.ops).is_none() && (!is_in_image(image, p.ops) || image.is_executable(p.ops)) {
        wrong("parameters/operations", format!("the operations at {} are none", p.ops));
    } else if image
        .symbol_at(p.ops)
        .is_some_and(|(s, offset)| offset != 0 && s.name.starts_with("param_ops_"))
    {
        wrong("parameters/operations", format!("the operations at {} are inside others", p.ops));
    }
    // World-writable, beyond the file modes, or writable by others than those who may read.
    if p.perm & !0o777 != 0 || p.perm & 0o002 != 0 {
        wrong("parameters/permissions", format!("permissions {:#o}", p.perm));
    }
    // KERNEL_PARAM_FL_UNSAFE and KERNEL_PARAM_FL_HWPARAM; levels are those of initcalls.
    if p.flags & !3 != 0 || !(-1..=7).contains(&p.level) {
        wrong("parameters/level", format!("level {}, flags {:#x}", p.level, p.flags));
    }
    let module = image.kind() == Kind::Module;
    if module == (p.module.0 == 0) || (module && image.section_at(p.module).is_none()) {
        wrong("parameters/module", format!("its module is at {}", p.module));
    }
    // Operations of somebody's own may take a number for a pointer (libfcoe's FIP_MODE_VN2VN); the kernel's do not.
    let number = p.arg.0 < NUMBERS && !image.extern_at(p.ops).is_some_and(is_of_the_kernel);
    let number = number && !image.symbol_at(p.ops).is_some_and(|(s, _)| is_of_the_kernel(s.name));
    if p.arg.0 != 0 && !number && !is_in_image(image, p.arg) {
        wrong("parameters/argument", format!("its value at {} is outside the image", p.arg));
    }
}

/// Below this a value is a number, not an address.
const NUMBERS: u64 = 1 << 16;

/// Whether operations of this name follow the pointer to the value (kernel/params.c).
fn is_of_the_kernel(ops: &str) -> bool {
    ops.starts_with("param_ops_") || ops.starts_with("param_array_ops")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use kvet_image::Arch;

    use super::*;
    use crate::testimage::{A, AX, TestImage, WA};

    const TABLE: u64 = 0xffff_ffff_8200_0000;
    const STRINGS: u64 = TABLE + 0x1000;
    const DATA: u64 = TABLE + 0x2000;

    /// Two parameters; bytes are written over the second.
    fn rules(at: usize, bytes: &[u8]) -> Vec<(&'static str, Option<u64>)> {
        let mut table = Vec::new();
        for _ in 0..2 {
            table.extend(STRINGS.to_le_bytes());
            table.extend(0u64.to_le_bytes());
            table.extend((STRINGS + 0x20).to_le_bytes());
            table.extend([0xa4, 0x01, 0xff, 0, 0, 0, 0, 0]);
            table.extend(DATA.to_le_bytes());
        }
        table[40 + at..40 + at + bytes.len()].copy_from_slice(bytes);
        let mut strings = b"module.name\0".to_vec();
        strings.resize(0x80, 0);
        let mut t = TestImage::new(Arch::X86_64);
        t.section("__param", TABLE, A, &table)
            .section(".rodata", STRINGS, A, &strings)
            .section(".data", DATA, WA, &[0; 64])
            .section(".text", TABLE + 0x3000, AX, &[0x90; 64])
            .object("param_ops_int", STRINGS + 0x20, 0x20);
        let image = t.build();
        let report = Parameters.check(&Context::new(&image, None)).expect("a report");
        report.findings.iter().map(|f| (f.rule, f.index)).collect()
    }

    #[test]
    fn damage_is_found_at_its_entry() {
        assert_eq!(rules(0, &[]), []);
        assert_eq!(rules(0, &(STRINGS + 0x7f).to_le_bytes()), [("parameters/name", Some(1))]);
        assert_eq!(rules(8, &DATA.to_le_bytes()), [("parameters/module", Some(1))]);
        assert_eq!(rules(16, &(TABLE + 0x3000).to_le_bytes()), [("parameters/operations", Some(1))]);
        assert_eq!(rules(16, &(STRINGS + 0x28).to_le_bytes()), [("parameters/operations", Some(1))]);
        assert_eq!(rules(24, &0o666u16.to_le_bytes()), [("parameters/permissions", Some(1))]);
        assert_eq!(rules(24, &0o1644u16.to_le_bytes()), [("parameters/permissions", Some(1))]);
        assert_eq!(rules(26, &[8]), [("parameters/level", Some(1))]);
        assert_eq!(rules(27, &[4]), [("parameters/level", Some(1))]);
        assert_eq!(rules(32, &8u64.to_le_bytes()), [("parameters/argument", Some(1))]);
    }
}
