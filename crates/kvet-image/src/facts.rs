//! What an image says about itself: banner, release, build id, configuration.

use std::io::Read;
use std::ops::Range;
use std::sync::OnceLock;

use memchr::memmem;

use crate::kallsyms::u32_at;
use crate::section::Section;
use crate::{Image, Kind};

/// The banner with its NUL; the kernel's own buffers for it are smaller.
const MAX_BANNER: usize = 1024;

/// The type of a GNU note that holds a build id.
const NT_GNU_BUILD_ID: u32 = 3;

/// A configuration is some 300 KB of text; a hostile gzip member may promise more than memory holds.
const MAX_CONFIG: u64 = 16 << 20;

#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) banner: Option<String>,
    pub(crate) release: Option<String>,
    pub(crate) build_id: Option<Vec<u8>>,
    pub(crate) module_name: Option<String>,
    /// Looked for only when asked for: few kernels have it, and not to find it means to read everything.
    pub(crate) config: OnceLock<Option<String>>,
}

impl Facts {
    pub(crate) fn config(&self, image: &Image) -> Option<&str> {
        self.config.get_or_init(|| config(image)).as_deref()
    }
}

pub(crate) fn read(image: &Image) -> Facts {
    match image.kind() {
        Kind::Module => crate::module::facts(image),
        _ => kernel_facts(image),
    }
}

fn kernel_facts(image: &Image) -> Facts {
    let banner = banner(image);
    let release = banner.as_deref().and_then(|b| b.split(' ').nth(2)).map(str::to_owned);
    Facts { banner, release, build_id: build_id(image), ..Facts::default() }
}

/// Sections with bytes in the file, `.rodata` first: nearly all that is looked for by content is there.
fn readable(image: &Image) -> impl Iterator<Item = &Section> {
    let (first, rest): (Vec<_>, Vec<_>) =
        image.sections().iter().filter(|s| !s.file.is_empty()).partition(|s| s.name == ".rodata");
    first.into_iter().chain(rest)
}

/// `linux_banner` (init/version-timestamp.c): "Linux version", a release that starts with a digit, and a newline
/// right before the NUL. Other strings begin alike (error messages, the decompressor's) but have none of that. Some
/// builds keep a second banner, of init/version.o as it was before the build had its number (`# SMP` where the kernel
/// prints `#1 SMP`): the numbered one is what the log shows.
fn banner(image: &Image) -> Option<String> {
    let mut unnumbered = None;
    for section in readable(image) {
        for banner in banners(image.section_bytes(section)) {
            if is_numbered(banner) {
                return Some(banner.to_owned());
            }
            unnumbered.get_or_insert(banner);
        }
    }
    unnumbered.map(str::to_owned)
}

/// Strings that have the form of a banner.
fn banners(bytes: &[u8]) -> impl Iterator<Item = &str> {
    memmem::find_iter(bytes, b"Linux version ").filter_map(|at| {
        let text = &bytes[at..bytes.len().min(at + MAX_BANNER)];
        let line = text[..memchr::memchr(0, text)?].strip_suffix(b"\n")?;
        let released = line.get(b"Linux version ".len()).is_some_and(u8::is_ascii_digit);
        std::str::from_utf8(line).ok().filter(|line| released && !line.contains('\n'))
    })
}

/// Whether a banner has the number of its build.
fn is_numbered(banner: &str) -> bool {
    banner.rsplit_once(" #").is_some_and(|(_, build)| build.starts_with(|c: char| c.is_ascii_digit()))
}

pub(crate) fn build_id(image: &Image) -> Option<Vec<u8>> {
    let named = image.sections().iter().filter(|s| s.name == ".notes" || s.name.starts_with(".note"));
    let in_section = named.map(|s| image.section_bytes(s)).find_map(build_id_in_notes);
    match image.kind() {
        Kind::Module => in_section,
        _ => in_section.or_else(|| readable(image).find_map(|s| build_id_by_content(image.section_bytes(s)))),
    }
}

/// Reads a note section: name size, descriptor size, type, then both padded to 4 bytes.
fn build_id_in_notes(notes: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0usize;
    loop {
        let (name, desc, kind) = (u32_at(notes, at)?, u32_at(notes, at + 4)?, u32_at(notes, at + 8)?);
        let name_at = at + 12;
        let desc_at = name_at.checked_add(name as usize)?.checked_next_multiple_of(4)?;
        let desc_end = desc_at.checked_add(desc as usize)?;
        let id = notes.get(desc_at..desc_end)?;
        if kind == NT_GNU_BUILD_ID && notes.get(name_at..name_at + 4) == Some(b"GNU\0") && !id.is_empty() {
            return Some(id.to_vec());
        }
        at = desc_end.checked_next_multiple_of(4)?;
    }
}

/// The GNU build-id note of an image without section headers: the one that is not part of an ELF file inside the
/// image (the vDSOs have such notes too).
fn build_id_by_content(bytes: &[u8]) -> Option<Vec<u8>> {
    const NAME_AND_TYPE: &[u8] = b"\x03\0\0\0GNU\0";
    let embedded: Vec<Range<usize>> =
        memmem::find_iter(bytes, b"\x7fELF").take(1024).filter_map(|at| elf_extent(bytes, at)).collect();
    memmem::find_iter(bytes, NAME_AND_TYPE).find_map(|at| {
        let start = at.checked_sub(8)?;
        let inside = embedded.iter().any(|e| e.contains(&start));
        let desc = u32_at(bytes, start + 4)?;
        let plausible = u32_at(bytes, start)? == 4 && (8..=64).contains(&desc);
        (plausible && !inside).then(|| build_id_in_notes(&bytes[start..])).flatten()
    })
}

/// How far an ELF file that starts at `at` reaches: to its section headers' end, which linkers write last.
fn elf_extent(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let header = bytes.get(at..at.checked_add(64)?)?;
    let u16_at = |o: usize| usize::from(u16::from_le_bytes([header[o], header[o + 1]]));
    let (table, size, count) = match header[4] {
        1 => (u32_at(header, 32)? as u64, u16_at(46), u16_at(48)),
        2 => (crate::relocate::word(header, 40)?, u16_at(58), u16_at(60)),
        _ => return None,
    };
    let end = at.checked_add(usize::try_from(table).ok()?)?.checked_add(size * count)?;
    (end <= bytes.len()).then_some(at..end)
}

/// The embedded configuration (kernel/configs.c): a gzip file between `IKCFG_ST` and `IKCFG_ED`.
fn config(image: &Image) -> Option<String> {
    // It stands in .rodata; a file without such a section is searched whole.
    let rodata = image.section(".rodata");
    let places = rodata.map_or_else(|| readable(image).collect(), |section| vec![section]);
    places.into_iter().find_map(|section| {
        let bytes = image.section_bytes(section);
        memmem::find_iter(bytes, b"IKCFG_ST\x1f\x8b\x08").find_map(|at| {
            let packed = &bytes[at + 8..];
            let packed = &packed[..memmem::find(packed, b"IKCFG_ED")?];
            let mut text = String::new();
            flate2::read::GzDecoder::new(packed).take(MAX_CONFIG).read_to_string(&mut text).ok()?;
            Some(text)
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn note(name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for value in [name.len() as u32, desc.len() as u32, kind] {
            out.extend(value.to_le_bytes());
        }
        for part in [name, desc] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    #[test]
    fn a_banner_ends_in_a_newline_and_has_the_number_of_its_build() {
        let bytes = b"\0Linux version %s (%s)\n\0Linux version 6.1.0 (me) # SMP\n\0Linux version 6.1.0 (me) #1 SMP\n\0Linux version 6.1.0\0";
        let found: Vec<&str> = banners(bytes).collect();
        assert_eq!(found, ["Linux version 6.1.0 (me) # SMP", "Linux version 6.1.0 (me) #1 SMP"]);
        assert_eq!(found.iter().map(|banner| is_numbered(banner)).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn build_id_is_found_behind_other_notes() {
        let mut notes = note(b"Linux\0", 0x100, b"salt");
        notes.extend(note(b"GNU\0", 3, &[7; 20]));
        assert_eq!(build_id_in_notes(&notes), Some(vec![7; 20]));
        assert_eq!(build_id_in_notes(&notes[..20]), None);
        assert_eq!(build_id_in_notes(&[0xff; 64]), None, "sizes past the end");
    }

    #[test]
    fn build_id_of_an_embedded_vdso_is_not_the_kernels() {
        let mut vdso = vec![0u8; 64];
        vdso[..5].copy_from_slice(b"\x7fELF\x02");
        vdso.extend(note(b"GNU\0", 3, &[1; 20]));
        let table = vdso.len() as u64;
        vdso[40..48].copy_from_slice(&table.to_le_bytes());
        vdso[58] = 64;
        vdso[60] = 1;
        vdso.extend([0; 64]);
        assert_eq!(build_id_by_content(&vdso), None);
        let mut image = vdso;
        image.extend(note(b"GNU\0", 3, &[2; 20]));
        assert_eq!(build_id_by_content(&image), Some(vec![2; 20]));
    }
}
