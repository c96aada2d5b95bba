//! Writes the ELF vmlinux that a boot image holds, for tests and tools that want it: `unpack VMLINUZ VMLINUX`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else { return Err("usage: unpack VMLINUZ VMLINUX".into()) };
    let image = kvet_image::Image::open(Path::new(from))?;
    std::fs::write(to, image.raw())?;
    Ok(())
}
