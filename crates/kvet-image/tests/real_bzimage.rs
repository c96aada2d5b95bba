//! Boot images against what they decompress to, from the directory that KVET_KERNELS names.
#![allow(missing_docs, clippy::unwrap_used)]

use kvet_image::{Arch, Image, Kind};

#[test]
fn every_bzimage_gives_its_vmlinux() {
    let mut seen = 0;
    for path in kvet_testkernels::kernels(&["vmlinuz"]) {
        let vmlinux = path.with_extension("vmlinux");
        let image = Image::open(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((image.kind(), image.arch()), (Kind::BzImage, Arch::X86_64), "{}", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(image.release(), Some(name), "{}", path.display());
        if vmlinux.exists() {
            assert!(image.raw() == std::fs::read(&vmlinux).unwrap(), "{} differs", vmlinux.display());
            seen += 1;
        }
    }
    eprintln!("{seen} boot images equal their vmlinux");
}
