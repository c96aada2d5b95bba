//! Any bytes: opening them and walking whatever came out may fail, and must not panic, hang or eat memory.
#![no_main]

use std::path::Path;

use kvet_image::{Image, VirtAddr};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(image) = Image::from_bytes(Path::new("fuzz"), data.to_vec()) else { return };
    for section in image.sections() {
        assert!(image.section_bytes(section).len() as u64 <= section.size, "a section longer than itself");
        let _ = image.symbolize(section.addr);
        let _ = image.symbolize(VirtAddr(section.end().0.wrapping_sub(1)));
    }
    let mut last = VirtAddr(0);
    for symbol in image.symbols().iter() {
        assert!(symbol.addr >= last, "symbols are sorted by address");
        last = symbol.addr;
        let _ = image.bytes_up_to(symbol.addr, 16);
        assert!(image.symbols().by_name(symbol.name).is_some(), "a symbol is found by its name");
    }
    let _ = (image.banner(), image.release(), image.build_id(), image.config(), image.module_name());
});
