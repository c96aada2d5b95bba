//! BTF in an image that names no section: by its magic, and a header that holds together.

use crate::Index;
use crate::header::Header;
use crate::raw::HEADER_LEN;

/// A kernel's BTF has tens of thousands of types; what is shorter is a coincidence or a test object.
const LEAST: u64 = 64 * 1024;

/// Finds a kernel's BTF in the bytes of a flat or stripped image: the longest place where the magic, a known
/// version, a sound header and readable types follow each other.
///
/// Time is linear: a place is read in full only when its header is sound, it is passed over then, and of those
/// that turn out to be none only so many are read as the image is long.
pub fn find_kernel_btf(image: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut best: Option<std::ops::Range<usize>> = None;
    let mut passed = 0;
    let mut left = image.len();
    for at in memchr::memmem::find_iter(image, &[0x9f, 0xeb, 1, 0]) {
        if at < passed {
            continue;
        }
        let Some(range) = plausible(image, at, &mut left) else { continue };
        passed = range.end;
        if best.as_ref().is_none_or(|b| range.len() > b.len()) {
            best = Some(range);
        }
    }
    best
}

fn plausible(image: &[u8], at: usize, left: &mut usize) -> Option<std::ops::Range<usize>> {
    let tail = image.get(at..)?;
    let (header, _) = Header::parse(tail).ok()?;
    let len = header.total_len();
    if !matches!(header.hdr_len, HEADER_LEN..=256) || len < LEAST || header.type_off % 4 != 0 {
        return None;
    }
    let data = tail.get(..usize::try_from(len).ok()?)?;
    let strings = header.section(data, header.str_off, header.str_len);
    if strings.first() != Some(&0) || strings.last() != Some(&0) {
        return None;
    }
    // Damaged types are for the checks to report: the frame alone is convincing enough.
    let whole = header.type_off == 0 && header.str_off == header.type_len;
    if !whole {
        *left = left.checked_sub(header.type_len as usize)?;
    }
    (whole || Index::new(data, false, 0).is_ok()).then_some(at..at + data.len())
}
