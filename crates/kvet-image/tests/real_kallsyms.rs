//! The embedded kallsyms of real kernels against the ELF symbols of the debug vmlinux of the same build, from the
//! directory that KVET_KERNELS names.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use kvet_image::{Image, SymbolSource, VirtAddr};

fn kernels() -> Vec<PathBuf> {
    kvet_testkernels::kernels(&["Image", "vmlinux"])
}

fn debug_of(kernel: &Path) -> Option<PathBuf> {
    let name = kernel.file_name()?.to_str()?;
    let stem = name.strip_suffix(".Image").or_else(|| name.strip_suffix(".vmlinux"))?;
    Some(kernel.with_file_name(format!("{stem}.debug"))).filter(|p| p.exists())
}

fn open(path: &Path) -> Image {
    Image::open(path).unwrap_or_else(|e| panic!("{e}"))
}

/// All that nm prints, by name.
fn nm(path: &Path) -> HashMap<String, Vec<(u64, char)>> {
    let output = Command::new("nm").arg(path).output().unwrap();
    assert!(output.status.success());
    let mut out: HashMap<String, Vec<(u64, char)>> = HashMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (Some(addr), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let addr = u64::from_str_radix(addr, 16).unwrap();
        out.entry(name.to_owned()).or_default().push((addr, kind.chars().next().unwrap()));
    }
    out
}

#[test]
fn every_symbol_is_one_that_nm_prints() {
    for kernel in kernels() {
        let image = open(&kernel);
        let kallsyms = image.kallsyms().unwrap_or_else(|e| panic!("{}: {e}", kernel.display()));
        eprintln!(
            "{}: {} symbols, {:?}, {}, also {:?}",
            kernel.display(),
            kallsyms.len(),
            kallsyms.order(),
            kallsyms.encoding(),
            kallsyms.also_fits()
        );
        assert_eq!(kallsyms.num_syms(), kallsyms.len());
        assert_eq!(kallsyms.also_fits(), None);
        assert_eq!(image.symbols().source(), SymbolSource::Kallsyms);
        assert_eq!(image.symbols().len(), kallsyms.len());
        let Some(debug) = debug_of(&kernel) else { continue };
        let truth = nm(&debug);
        let names = kallsyms.decode();
        assert_eq!(names.len(), kallsyms.len());
        let mut wrong = Vec::new();
        for i in 0..kallsyms.len() {
            let name = std::str::from_utf8(names.name(i).unwrap()).unwrap();
            let kind = char::from(names.kind(i).unwrap());
            let addr = kallsyms.address(i).unwrap().0;
            // scripts/kallsyms.c makes per-CPU symbols absolute (`make_percpus_absolute`).
            let same = |(a, k): &(u64, char)| *a == addr && (*k == kind || kind == 'A' && addr < 1 << 26);
            if !truth.get(name).is_some_and(|all| all.iter().any(same)) {
                wrong.push(format!("{name} {kind} {addr:#x}: {:x?}", truth.get(name)));
            }
        }
        assert!(
            wrong.is_empty(),
            "{}: {} of {}: {:#?}",
            kernel.display(),
            wrong.len(),
            kallsyms.len(),
            &wrong[..wrong.len().min(10)]
        );
        // Where the tables stand.
        let place = |name: &str| VirtAddr(truth[name][0].0);
        assert_eq!(kallsyms.names().start, place("kallsyms_names"));
        assert_eq!(kallsyms.markers().start, place("kallsyms_markers"));
        assert_eq!(kallsyms.token_table().start, place("kallsyms_token_table"));
        assert_eq!(kallsyms.token_index().start, place("kallsyms_token_index"));
        assert_eq!(kallsyms.addresses().start, place("kallsyms_offsets"));
        let optional = |name: &str| truth.get(name).map(|s| VirtAddr(s[0].0));
        assert_eq!(kallsyms.relative_base(), optional("kallsyms_relative_base"));
        assert_eq!(kallsyms.seqs_of_names().map(|r| r.start), optional("kallsyms_seqs_of_names"));
    }
}
