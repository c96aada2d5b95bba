//! Source lines and inlined calls of real kernels against the `addr2line` crate, address by address.
//!
//! KVET_KERNELS names a directory with `RELEASE.debug` files; without it the test says that it was skipped.

use std::path::{Path, PathBuf};
use std::time::Instant;

use addr2line::Context;
use gimli::{EndianSlice, LittleEndian};
use kvet_image::{Image, SymbolKind, VirtAddr};
use object::{Object, ObjectSection};

/// How many addresses of each kernel.
const ADDRESSES: usize = 5000;

#[test]
fn lines_and_inlined_calls_agree_with_addr2line() {
    for path in debug_kernels() {
        let bytes = std::fs::read(&path).expect("reads");
        let file = object::File::parse(&*bytes).expect("parses");
        // Debian compresses no section of a vmlinux; where one is, this oracle has nothing to say.
        let load = |id: gimli::SectionId| {
            let data = file.section_by_name(id.name()).and_then(|s| s.data().ok()).unwrap_or(&[]);
            Ok::<_, gimli::Error>(EndianSlice::new(data, LittleEndian))
        };
        let oracle = Context::from_dwarf(gimli::Dwarf::load(load).expect("loads")).expect("reads");
        let image = Image::open(&path).expect("opens");
        let addresses = addresses(&image);
        let start = Instant::now();
        let lines: Vec<_> = addresses.iter().map(|addr| image.source_line(*addr)).collect();
        let (took, mut without) = (start.elapsed(), 0);
        for (addr, ours) in addresses.iter().zip(lines) {
            let theirs = frames(&oracle, addr.0);
            let Some(ours) = ours else {
                assert!(theirs.is_empty(), "{addr}: {theirs:?}");
                without += 1;
                continue;
            };
            let mut found = vec![(ours.function, Some(ours.file), ours.line)];
            for call in ours.inlined {
                // A call's place belongs to the function around it.
                found.push((call.function, call.file, call.line));
            }
            assert_eq!(found.len(), theirs.len(), "{addr}: {found:?} {theirs:?}");
            for (our, their) in found.iter().zip(&theirs) {
                let same_file = match (&our.1, &their.1) {
                    (Some(ours), Some(theirs)) => theirs.ends_with(ours.as_str()),
                    (ours, theirs) => ours.is_none() == theirs.is_none(),
                };
                // arm64's patchable nops stand before DWARF's start of the function: we name the symbol.
                let same_name = their.0.is_none() || our.0 == their.0 || is_mangled(&our.0, &their.0);
                assert!(same_file && same_name && our.2 == their.2, "{addr}: {found:?} {theirs:?}");
            }
        }
        eprintln!("{}: {} addresses, {without} without a line, in {took:?}", path.display(), addresses.len());
    }
}

/// Rust's functions have a short name, which we give, and a mangled one.
fn is_mangled(ours: &Option<String>, theirs: &Option<String>) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return false };
    let plain = ours.split(['<', '{']).next().unwrap_or("");
    (theirs.starts_with("_R") || theirs.starts_with("__rust")) && theirs.contains(plain)
}

type OneFrame = (Option<String>, Option<String>, u32);

fn frames(oracle: &Context<EndianSlice<'_, LittleEndian>>, addr: u64) -> Vec<OneFrame> {
    let mut frames = oracle.find_frames(addr).skip_all_loads().expect("frames");
    let mut found = Vec::new();
    while let Some(frame) = frames.next().expect("a frame") {
        let name = frame.function.and_then(|f| f.raw_name().ok().map(|n| n.into_owned()));
        let file = frame.location.as_ref().and_then(|l| l.file).map(str::to_owned);
        let line = frame.location.and_then(|l| l.line).unwrap_or(0);
        if name.is_some() || file.is_some() {
            found.push((name, file, line));
        }
    }
    found
}

/// Addresses inside functions, spread over the text.
fn addresses(image: &Image) -> Vec<VirtAddr> {
    let text = |addr| image.section_at(addr).is_some_and(|s| s.access.execute);
    let functions: Vec<_> = image
        .symbols()
        .iter()
        .filter(|s| s.kind == SymbolKind::Function && s.size > 4 && text(s.addr))
        .collect();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    (0..ADDRESSES)
        .map(|i| {
            let function = functions[i * functions.len() / ADDRESSES];
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            VirtAddr(function.addr.0 + (seed >> 33) % function.size)
        })
        .collect()
}

fn debug_kernels() -> Vec<PathBuf> {
    let Some(dir) = std::env::var_os("KVET_KERNELS") else {
        eprintln!("skipped: KVET_KERNELS names no directory of real kernels");
        return Vec::new();
    };
    let entries = std::fs::read_dir(Path::new(&dir)).expect("KVET_KERNELS is a readable directory");
    let paths = entries.map(|e| e.expect("an entry").path());
    let mut found: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "debug")).collect();
    found.sort();
    found
}
