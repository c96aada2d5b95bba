//! Banner, release and build id of the kernels in the directory that KVET_KERNELS names, against their file names
//! and against the debug vmlinux of the same build.
#![allow(missing_docs, clippy::unwrap_used)]

use kvet_image::Image;

#[test]
fn facts_are_those_of_the_build() {
    for path in kvet_testkernels::kernels(&["Image", "vmlinux"]) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(release) = name.strip_suffix(".Image").or_else(|| name.strip_suffix(".vmlinux")) else {
            continue;
        };
        let image = Image::open(&path).unwrap();
        assert_eq!(image.release(), Some(release), "{name}");
        let banner = image.banner().unwrap();
        assert!(banner.starts_with(&format!("Linux version {release} (")), "{banner}");
        let id = image.build_id().unwrap_or_else(|| panic!("{name} has no build id"));
        assert_eq!(id.len(), 20, "{name}");
        let debug = path.with_file_name(format!("{release}.debug"));
        if debug.exists() {
            let debug = Image::open(&debug).unwrap();
            assert_eq!(debug.build_id(), Some(id), "{name}");
            assert_eq!(debug.banner(), Some(banner), "{name}");
        }
    }
}
