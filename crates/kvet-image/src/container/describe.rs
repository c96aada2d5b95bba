//! Files that are no kernel, in words: what people pass by mistake.

use super::{le16, pe};

/// One magic number: offset, bytes, and what they mean.
struct Magic(usize, &'static [u8], &'static str);

/// More exact ones before those that they begin with.
const MAGICS: &[Magic] = &[
    Magic(0, b"070701", "a cpio archive (an initrd)"),
    Magic(0, b"070702", "a cpio archive (an initrd)"),
    Magic(0, b"070707", "a cpio archive"),
    Magic(257, b"ustar", "a tar archive"),
    Magic(0, b"!<arch>\ndebian-binary", "a Debian package: unpack it with dpkg-deb -x"),
    Magic(0, b"!<arch>\n", "an ar archive (a static library)"),
    Magic(0, b"!<thin>\n", "a thin ar archive (such as built-in.a or vmlinux.a)"),
    Magic(0, b"\xed\xab\xee\xdb", "an RPM package: unpack it with rpm2cpio"),
    Magic(0, b"PK\x03\x04", "a zip archive"),
    Magic(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    Magic(
        0,
        b"\x9f\xeb\x01",
        "raw BTF, little-endian (as /sys/kernel/btf/vmlinux), which describes a kernel",
    ),
    Magic(0, b"\xeb\x9f\x01", "raw BTF, big-endian, which describes a kernel"),
    Magic(0x30, b"RISCV\0\0\0", "a RISC-V Image"),
    Magic(0x38, b"RSC\x05", "a RISC-V Image"),
    Magic(0x24, b"\x18\x28\x6f\x01", "a 32-bit ARM zImage"),
    Magic(0x24, b"\x01\x6f\x28\x18", "a big-endian 32-bit ARM zImage"),
    Magic(0, b"\x27\x05\x19\x56", "a U-Boot uImage: unwrap it with dumpimage"),
    Magic(0, b"\xd0\x0d\xfe\xed", "a flattened device tree, or a U-Boot FIT image: unwrap it with dumpimage"),
    Magic(0, b"ANDROID!", "an Android boot image: unwrap it with unpack_bootimg"),
    Magic(0, b"VNDRBOOT", "an Android vendor boot image: unwrap it with unpack_bootimg"),
    Magic(0, b"KDUMP   ", "a kdump memory image"),
    Magic(0, b"hsqs", "a squashfs file system"),
    Magic(0, b"QFI\xfb", "a qcow2 disk image"),
    Magic(0x8001, b"CD001", "an ISO 9660 file system"),
    Magic(0x438, b"\x53\xef", "an ext2/3/4 file system"),
    Magic(0, b"BC\xc0\xde", "LLVM bitcode (an LTO object that is not linked yet)"),
    Magic(0, b"\xca\xfe\xba\xbe", "a Mach-O or Java class file"),
    Magic(0, b"\x89PNG", "a PNG picture"),
    Magic(0, b"%PDF", "a PDF document"),
    Magic(0, b"SQLite format 3\0", "an SQLite database"),
    Magic(0, b"version https://git-lfs", "a Git LFS pointer: the file itself was not fetched"),
    Magic(0, b"#!", "a script"),
    Magic(0, b"#\n# Automatically generated file; DO NOT EDIT.", "a kernel configuration"),
];

/// Says in a few words what some bytes are.
pub(crate) fn describe(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "an empty file".into();
    }
    for Magic(offset, magic, meaning) in MAGICS {
        if bytes.get(*offset..).is_some_and(|tail| tail.starts_with(magic)) {
            return (*meaning).into();
        }
    }
    let head = &bytes[..bytes.len().min(4096)];
    if let Some(machine) = pe::machine(bytes) {
        efi(bytes, machine)
    } else if head.starts_with(b"MZ") {
        "a DOS executable without an EFI kernel's headers".into()
    } else if head.iter().all(|b| *b == 0) {
        format!("zeros ({} bytes)", bytes.len())
    } else if is_text(head) {
        text(head)
    } else if le16(bytes, 0x1fe) == Some(0xaa55) {
        "a boot sector or disk image".into()
    } else {
        let shown = &bytes[..bytes.len().min(8)];
        let hex: Vec<String> = shown.iter().map(|b| format!("{b:02x}")).collect();
        format!("a file of {} bytes that begins with {}", bytes.len(), hex.join(" "))
    }
}

fn efi(bytes: &[u8], machine: u16) -> String {
    if pe::has_section(bytes, ".linux") {
        return "a unified kernel image: take the kernel out with objcopy -O binary --only-section=.linux"
            .into();
    }
    format!("an EFI or PE executable for {} that is no kernel", pe::name(machine))
}

fn is_text(head: &[u8]) -> bool {
    // A cut at 4 KiB may split a character, so only the valid part counts.
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.chars().any(|c| c.is_control() && !c.is_whitespace() && c != '\u{1b}')
}

fn text(head: &[u8]) -> String {
    let line = head.split(|b| *b == b'\n').next().unwrap_or(head);
    let words: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let is_map = words.len() >= 3 && words[0].len() == 16 && words[0].iter().all(u8::is_ascii_hexdigit);
    if is_map {
        return "a System.map, which lists a kernel's symbols".into();
    }
    let shown: String = String::from_utf8_lossy(line).trim().chars().take(40).collect();
    format!("a text file that begins with {shown:?}")
}
