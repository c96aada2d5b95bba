//! Opens every module below the directories given, in parallel, and says how long that took: headers, layout,
//! relocations, symbols and facts. `cargo run --release -p kvet-image --example open_modules -- /lib/modules`

use std::path::{Path, PathBuf};
use std::time::Instant;

use kvet_image::Image;
use rayon::prelude::*;

fn main() {
    let mut paths = Vec::new();
    for root in std::env::args_os().skip(1) {
        collect(Path::new(&root), &mut paths);
    }
    let start = Instant::now();
    let results: Vec<_> = paths.par_iter().map(|path| open(path)).collect();
    let took = start.elapsed();
    let (mut bytes, mut symbols, mut faults, mut nameless) = (0, 0, 0, 0);
    for (path, result) in paths.iter().zip(results) {
        match result {
            Ok(image) => {
                bytes += image.bytes;
                symbols += image.symbols;
                nameless += usize::from(!image.named);
                faults += image.faults.len();
                if let Some(fault) = image.faults.first() {
                    println!("{}: {fault}", path.display());
                }
            }
            Err(error) => println!("{error}"),
        }
    }
    println!(
        "{} modules, {} MB, {symbols} symbols, {faults} load faults, {nameless} without name, release or build id: {:.3} s",
        paths.len(),
        bytes / 1_000_000,
        took.as_secs_f64()
    );
}

struct Opened {
    bytes: usize,
    symbols: usize,
    faults: Vec<String>,
    named: bool,
}

fn open(path: &Path) -> Result<Opened, kvet_image::Error> {
    let image = Image::open(path)?;
    Ok(Opened {
        bytes: image.raw().len(),
        symbols: image.symbols().len(),
        faults: image.load_faults().iter().map(|f| format!("{f:?}")).collect(),
        named: image.module_name().is_some() && image.release().is_some() && image.build_id().is_some(),
    })
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(path) else {
        found.push(path.to_owned());
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.to_string_lossy().contains(".ko") {
            found.push(path);
        }
    }
}
