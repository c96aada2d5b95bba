//! VMCOREINFO: what a kernel says of itself to who reads its memory (kernel/vmcore_info.c, crash_core.c before 6.9).
//!
//! Lines of `KEY=value`. Addresses and KERNELOFFSET are hexadecimal, NUMBER, SIZE, OFFSET and LENGTH decimal.

use memchr::memmem;

use crate::Memory;

/// The lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VmcoreInfo {
    text: String,
}

/// It is one page (VMCOREINFO_BYTES).
const LONGEST: usize = 4096;

impl VmcoreInfo {
    /// Reads the text up to its first NUL.
    pub fn parse(bytes: &[u8]) -> VmcoreInfo {
        let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
        let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
        VmcoreInfo { text: String::from_utf8_lossy(&bytes[..end]).into_owned() }
    }

    /// Looks for the page in which the kernel keeps it, from `crash_save_vmcoreinfo_init` (a subsys initcall) on:
    /// it starts with `OSRELEASE=` and the release.
    pub fn find(memory: &Memory, release: &str) -> Option<VmcoreInfo> {
        let wanted = format!("OSRELEASE={release}\n");
        for segment in memory.segments() {
            let Some(bytes) = memory.segment_bytes(segment) else { continue };
            for at in memmem::find_iter(bytes, wanted.as_bytes()) {
                let aligned = segment.physical.wrapping_add(at as u64).is_multiple_of(4096);
                let page = &bytes[at..bytes.len().min(at + LONGEST)];
                if aligned && memmem::find(page, b"\nPAGESIZE=").is_some() {
                    return Some(VmcoreInfo::parse(page));
                }
            }
        }
        None
    }

    /// A value as it stands.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }

    /// A hexadecimal value: KERNELOFFSET, and by `SYMBOL(name)` an address at run time.
    pub fn hex(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        u64::from_str_radix(value.strip_prefix("0x").unwrap_or(value), 16).ok()
    }

    /// The address of a symbol at run time.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.hex(&format!("SYMBOL({name})"))
    }

    /// A decimal number, `NUMBER(phys_base)`; a few are written in hexadecimal.
    pub fn number(&self, name: &str) -> Option<i64> {
        let value = self.get(&format!("NUMBER({name})"))?;
        match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(u64::cast_signed),
            None => value.parse().ok(),
        }
    }

    /// A member's offset in bytes, `OFFSET(printk_info.seq)`.
    pub fn offset(&self, member: &str) -> Option<u64> {
        self.get(&format!("OFFSET({member})"))?.parse().ok()
    }

    /// A structure's size in bytes.
    pub fn size(&self, structure: &str) -> Option<u64> {
        self.get(&format!("SIZE({structure})"))?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_their_base() {
        let info = VmcoreInfo::parse(
            b"OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(prb)=ffffffff82a00010\nOFFSET(printk_info.seq)=0\n\
            SIZE(printk_info)=88\nNUMBER(phys_base)=-16777216\nNUMBER(kimage_voffset)=0xffff7fffc8000000\nKERNELOFFSET=1c00000\n\0junk",
        );
        assert_eq!(info.symbol("prb"), Some(0xffff_ffff_82a0_0010));
        assert_eq!(info.size("printk_info"), Some(88));
        assert_eq!(info.offset("printk_info.seq"), Some(0));
        assert_eq!(info.number("phys_base"), Some(-16_777_216));
        assert_eq!(info.number("kimage_voffset"), Some(0xffff_7fff_c800_0000_u64.cast_signed()));
        assert_eq!(info.hex("KERNELOFFSET"), Some(0x1c0_0000));
        assert_eq!(info.get("OSRELEAS"), None);
        assert_eq!(info.get("junk"), None);
    }
}
