//! The image's executable bytes, for thousands of look-ups.

use kvet_image::{Image, VirtAddr};

/// Executable ranges of an image with their bytes, by address.
pub(super) struct Text<'a> {
    ranges: Vec<(u64, u64, &'a [u8])>,
}

impl<'a> Text<'a> {
    /// All executable sections that have bytes in the file.
    pub(super) fn of(image: &'a Image) -> Text<'a> {
        let sections = image.sections().iter().filter(|s| s.access.execute);
        Text::new(sections.map(|s| (s.addr, image.section_bytes(s))).collect())
    }

    /// Ranges given one by one: those of a vDSO, which is data to the kernel.
    pub(super) fn new(ranges: Vec<(VirtAddr, &'a [u8])>) -> Text<'a> {
        let mut ranges: Vec<_> = ranges
            .into_iter()
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(|(addr, bytes)| (addr.0, addr.0.saturating_add(bytes.len() as u64), bytes))
            .collect();
        ranges.sort_by_key(|r| r.0);
        Text { ranges }
    }

    /// `len` bytes at an address, all in one range.
    pub(super) fn bytes(&self, addr: VirtAddr, len: u64) -> Option<&'a [u8]> {
        let after = self.ranges.partition_point(|r| r.0 <= addr.0);
        let (start, end, bytes) = self.ranges.get(after.checked_sub(1)?)?;
        if addr.0 >= *end {
            return None;
        }
        let from = usize::try_from(addr.0 - start).ok()?;
        bytes.get(from..from.checked_add(usize::try_from(len).ok()?)?)
    }

    /// One instruction.
    pub(super) fn word(&self, addr: VirtAddr) -> Option<u32> {
        self.bytes(addr, 4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// Whether an instruction may stand at an address.
    pub(super) fn contains(&self, addr: VirtAddr) -> bool {
        self.bytes(addr, 4).is_some()
    }
}
