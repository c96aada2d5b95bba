//! Real boot images with their debug files, in the directory that KVET_KERNELS names.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use kvet_image::{ErrorKind, Image, SymbolSource};

/// Boot images that have a debug file beside them.
fn pairs() -> Vec<(PathBuf, PathBuf)> {
    let images = kvet_testkernels::kernels(&["vmlinuz", "vmlinux", "Image"]).into_iter();
    images.filter_map(|image| Some((image.clone(), kvet_testkernels::beside(&image, "debug")?))).collect()
}

#[test]
fn stripped_images_take_symbols_and_lines_from_their_debug_file() {
    for (path, debug) in pairs() {
        let image = Image::open_with_debug(&path, &debug).unwrap();
        assert_eq!(image.symbols().source(), SymbolSource::DebugFile, "{}", path.display());
        let symbol = image.symbols().by_name("vfs_read").unwrap();
        // Past arm64's nops for ftrace, which come before the function's first line.
        let line = image.source_line(symbol.addr.checked_add(16).unwrap()).unwrap();
        assert_eq!(Path::new(&line.file), Path::new("fs/read_write.c"), "{}", path.display());
        assert_eq!(line.function.as_deref(), Some("vfs_read"), "{}", path.display());
        assert!(line.line > 100);
    }
}

#[test]
fn another_kernels_debug_file_is_refused() {
    let pairs = pairs();
    for ((image, debug), (_, other)) in pairs.iter().zip(pairs.iter().skip(1)) {
        if debug == other {
            continue;
        }
        let error = Image::open_with_debug(image, other).err().unwrap();
        assert!(matches!(error.kind, ErrorKind::BuildIdMismatch { .. }), "{error}");
        assert_eq!(&error.path, other);
    }
}
