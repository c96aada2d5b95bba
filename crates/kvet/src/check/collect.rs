//! From arguments to the artefacts they stand for.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::artefact::Unreadable;

/// One artefact to check, or a place where one should have been.
#[derive(Debug)]
pub struct Target {
    /// The path as given, or below a given directory.
    pub path: PathBuf,
    /// Why there is nothing to check.
    pub missing: Option<Unreadable>,
}

impl Target {
    fn file(path: impl Into<PathBuf>) -> Target {
        Target { path: path.into(), missing: None }
    }

    fn missing(path: impl Into<PathBuf>, why: impl Into<String>) -> Target {
        Target { path: path.into(), missing: Some(Unreadable(why.into())) }
    }

    /// Whether the name is a module's; only a guess that saves opening the file.
    pub fn named_as_module(&self) -> bool {
        name_of(&self.path).is_some_and(is_module_name)
    }
}

/// What a directory is searched for, for messages.
const SEARCHED: &str = "vmlinux*, vmlinuz*, bzImage, Image*, *.btf and *.ko (also .gz, .xz, .zst)";

/// The artefacts of a command line: the arguments in their order, a directory's files in path order, each
/// file once. Without arguments, what is installed for the running system.
pub fn targets(arguments: &[PathBuf], modules: Option<&Path>) -> Vec<Target> {
    let mut targets = Vec::new();
    if arguments.is_empty() && modules.is_none() {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        installed(Path::new("/"), &release, &mut targets);
    }
    for argument in arguments {
        // There every file is BTF, under the bare name of its module.
        let wanted = if super::opening::is_in_sysfs(argument) { |_: &str| true } else { is_artefact_name };
        expand(argument, wanted, SEARCHED, &mut targets);
    }
    if let Some(directory) = modules {
        expand(directory, is_module_name, "*.ko (also .gz, .xz, .zst)", &mut targets);
    }
    once_each(targets)
}

/// The kernel and the modules of a release below a root directory. Distributions put the kernel into `/boot`,
/// or beside its modules.
fn installed(root: &Path, release: &str, targets: &mut Vec<Target>) {
    let modules = root.join("lib/modules").join(release);
    let places = [
        root.join(format!("boot/vmlinuz-{release}")),
        modules.join("vmlinuz"),
        root.join(format!("boot/vmlinux-{release}")),
        modules.join("vmlinux"),
        root.join(format!("boot/Image-{release}")),
    ];
    match places.iter().find(|place| place.exists()) {
        Some(place) => targets.push(Target::file(place)),
        None => {
            let looked = places.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
            targets.push(Target::missing(
                &places[0],
                format!(
                    "no kernel is installed for the running system's release {release}: looked for {looked}; \
                     name the kernel to check as an argument"
                ),
            ));
        }
    }
    // A kernel without loadable modules has no such directory, and that is no mistake.
    if modules.is_dir() {
        targets.extend(walk(&modules, is_module_name));
    }
}

/// The artefacts that one argument stands for.
fn expand(argument: &Path, wanted: fn(&str) -> bool, searched: &str, targets: &mut Vec<Target>) {
    if !argument.is_dir() {
        targets.push(Target::file(argument));
        return;
    }
    let found = walk(argument, wanted);
    if found.is_empty() {
        targets.push(Target::missing(
            argument,
            format!("this directory holds no kernel and no module: looked for {searched}"),
        ));
    }
    targets.extend(found);
}

/// The files below a directory whose names are wanted, in path order. Links to files are followed, links to
/// directories are not (`/lib/modules/*/build` leads into a source tree), so there can be no loop. A directory
/// that cannot be read is a missing target, not a silent gap.
fn walk(directory: &Path, wanted: fn(&str) -> bool) -> Vec<Target> {
    WalkDir::new(directory)
        .sort_by_file_name()
        .into_iter()
        .filter_map(|entry| match entry {
            Ok(entry) if entry.file_name().to_str().is_some_and(wanted) => {
                // The name of a link to a directory may match too.
                entry.path().is_file().then(|| Target::file(entry.into_path()))
            }
            Ok(_) => None,
            Err(error) => {
                let path = error.path().unwrap_or(directory).to_owned();
                let why = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                Some(Target::missing(path, format!("cannot be searched: {why}")))
            }
        })
        .collect()
}

/// Leaves out a path that stands there already, and a link to a file that is there under its own name.
fn once_each(targets: Vec<Target>) -> Vec<Target> {
    let own: HashSet<PathBuf> =
        targets.iter().filter(|t| !t.path.is_symlink()).filter_map(|t| t.path.canonicalize().ok()).collect();
    let mut seen = HashSet::new();
    targets
        .into_iter()
        .filter(|target| match target.path.canonicalize() {
            Ok(real) if target.path.is_symlink() && own.contains(&real) => false,
            Ok(real) => seen.insert(real),
            Err(_) => seen.insert(target.path.clone()),
        })
        .collect()
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn is_artefact_name(name: &str) -> bool {
    is_module_name(name) || is_kernel_name(name) || name.ends_with(".btf")
}

fn is_module_name(name: &str) -> bool {
    let name = ["gz", "xz", "zst"]
        .iter()
        .find_map(|compression| name.strip_suffix(compression)?.strip_suffix('.'))
        .unwrap_or(name);
    name.strip_suffix(".ko").is_some_and(|stem| !stem.is_empty())
}

/// `vmlinux`, `vmlinuz-6.1.0`, `Image.gz`, `6.1.vmlinuz` and the like, but not what a build leaves beside them
/// (`vmlinux.o`, `vmlinux.lds`, `Image.sig`).
fn is_kernel_name(name: &str) -> bool {
    const STEMS: [&str; 4] = ["vmlinux", "vmlinuz", "bzImage", "Image"];
    const SUFFIXES: [&str; 13] =
        ["", "gz", "bz2", "lzma", "xz", "lzo", "lz4", "zst", "zstd", "efi", "unstripped", "debug", "old"];
    STEMS.iter().any(|stem| match name.strip_prefix(stem) {
        Some(rest) if rest.starts_with('.') => SUFFIXES.contains(&&rest[1..]),
        // A release follows, whose own dots are not extensions.
        Some(rest) if rest.starts_with('-') => {
            ![".py", ".sig", ".hmac", ".map", ".lds", ".o", ".a"].iter().any(|other| rest.ends_with(other))
        }
        Some(rest) => rest.is_empty(),
        None => name.strip_suffix(stem).is_some_and(|before| before.ends_with('.')),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(root: &Path, targets: &[Target]) -> Vec<String> {
        targets
            .iter()
            .map(|t| t.path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned())
            .collect()
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary directory");
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, b"x").expect("a file");
        }
        root
    }

    #[test]
    fn names_of_artefacts() {
        for name in
            ["a.ko", "a.ko.xz", "vmlinux", "vmlinuz-6.1.0-56-cloud-amd64", "Image", "Image.gz", "bzImage"]
        {
            assert!(is_artefact_name(name), "{name}");
        }
        for name in ["6.1.0-56-amd64.vmlinuz", "vmlinuz.efi", "vmlinux.debug", "vmlinux.unstripped"] {
            assert!(is_kernel_name(name), "{name}");
        }
        for name in [
            "vmlinux.o",
            "vmlinux.lds",
            "vmlinux-gdb.py",
            "a.ko.sig",
            ".ko",
            "Images",
            "vmlinuxfoo",
            "a.mod.o",
        ] {
            assert!(!is_artefact_name(name), "{name}");
        }
    }

    #[test]
    fn a_directory_is_searched_in_path_order_and_without_following_links_to_directories() {
        let root = tree(&["b/z.ko", "b/a.ko.xz", "a/vmlinux", "readme", "outside/hidden.ko"]);
        let inside = root.path().join("b");
        std::os::unix::fs::symlink(root.path().join("outside"), inside.join("source")).expect("a link");
        std::os::unix::fs::symlink(&inside, inside.join("loop.ko")).expect("a link");
        let found = targets(&[inside.clone(), root.path().join("a")], None);
        assert_eq!(names(root.path(), &found), ["b/a.ko.xz", "b/z.ko", "a/vmlinux"]);
        assert!(found.iter().all(|t| t.missing.is_none()));
    }

    #[test]
    fn a_link_and_a_second_naming_count_once() {
        let root = tree(&["vmlinuz-1"]);
        std::os::unix::fs::symlink("vmlinuz-1", root.path().join("vmlinuz")).expect("a link");
        let found = targets(&[root.path().into(), root.path().join("vmlinuz-1")], None);
        assert_eq!(names(root.path(), &found), ["vmlinuz-1"]);
    }

    #[test]
    fn an_empty_directory_says_what_was_looked_for() {
        let root = tree(&["readme"]);
        let found = targets(&[root.path().into()], None);
        assert_eq!(found.len(), 1);
        let why = &found[0].missing.as_ref().expect("nothing there").0;
        assert!(why.contains("vmlinuz*") && why.contains("*.ko"), "{why}");
    }

    #[test]
    fn the_modules_option_takes_modules_only() {
        let root = tree(&["a.ko", "vmlinux"]);
        assert_eq!(names(root.path(), &targets(&[], Some(root.path()))), ["a.ko"]);
    }

    #[test]
    fn the_running_system_is_looked_up_by_its_release() {
        let root = tree(&["boot/vmlinuz-6.1", "lib/modules/6.1/a.ko", "lib/modules/6.2/b.ko"]);
        let mut found = Vec::new();
        installed(root.path(), "6.1", &mut found);
        assert_eq!(names(root.path(), &found), ["boot/vmlinuz-6.1", "lib/modules/6.1/a.ko"]);

        let mut found = Vec::new();
        installed(root.path(), "6.2", &mut found);
        let why = &found[0].missing.as_ref().expect("no kernel").0;
        assert!(why.contains("lib/modules/6.2/vmlinuz") && why.contains("release 6.2"), "{why}");
        assert_eq!(found.len(), 2, "the modules are checked all the same");
    }
}
