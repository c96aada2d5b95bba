//! A build tree on disk: its records, and what is known of every file that they name.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::record;

/// A point in time as the file system tells it: nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Time(pub i64);

impl Time {
    /// Seconds from `earlier` to this.
    pub fn seconds_since(self, earlier: Time) -> f64 {
        (self.0 - earlier.0) as f64 / 1e9
    }
}

/// When a file was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// When its content was written, or what somebody set it to (`touch -r`, `cp -p`, tar).
    pub modified: Time,
    /// When content, name, links or permissions changed last. Nobody can set it.
    pub changed: Time,
    /// It is a directory.
    pub is_directory: bool,
}

impl Stamp {
    /// Of a file; `None` when there is none.
    pub fn of(path: &Path) -> Option<Stamp> {
        let meta = std::fs::metadata(path).ok()?;
        let time = |s: i64, ns: i64| Time(s.saturating_mul(1_000_000_000).saturating_add(ns));
        Some(Stamp {
            modified: time(meta.mtime(), meta.mtime_nsec()),
            changed: time(meta.ctime(), meta.ctime_nsec()),
            is_directory: meta.is_dir(),
        })
    }
}

/// An index into [`Tree::files`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub(crate) u32);

/// A file that some record names.
#[derive(Clone, Debug)]
pub struct File {
    /// As the records write it, in normal form.
    pub path: Vec<u8>,
    /// `None` when it does not exist.
    pub stamp: Option<Stamp>,
}

/// One target and what made it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The target itself.
    pub file: FileId,
    /// The `.cmd` file, relative to the build directory.
    pub record: PathBuf,
    /// When the record was written.
    pub recorded: Option<Stamp>,
    /// The saved command.
    pub command: Vec<u8>,
    /// The source, when it was compiled.
    pub source: Option<FileId>,
    /// What the compiler read, the source included.
    pub inputs: Vec<FileId>,
    /// Stamps of options.
    pub options: Vec<FileId>,
    /// It was made in a directory of its own (`make -C tools/objtool`), to which its command's paths are relative.
    pub elsewhere: bool,
}

/// A build tree.
#[derive(Debug)]
pub struct Tree {
    /// The build directory.
    pub root: PathBuf,
    /// Everything that a record names, each once.
    pub files: Vec<File>,
    /// Every target that exists and has a record, by path.
    pub targets: Vec<Target>,
    /// Records of targets that are not there any more.
    pub without_target: usize,
    /// Records that hold no command.
    pub unreadable: Vec<PathBuf>,
}

/// A tree that cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// No directory, or one that cannot be read.
    #[error("{path}: cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a build directory.
    #[error("{path}: holds no record of Kbuild (.*.cmd): give the directory that `make` built in (its O=)", path = .path.display())]
    NoRecords {
        /// Which.
        path: PathBuf,
    },
}

impl Tree {
    /// Reads all records below `root`, and the stamps of all files that they name.
    ///
    /// # Errors
    /// `root` cannot be read, or holds no record.
    pub fn read(root: &Path) -> Result<Tree, TreeError> {
        let records = find_records(root)?;
        if records.is_empty() {
            return Err(TreeError::NoRecords { path: root.to_owned() });
        }
        let size = records.len().div_ceil(rayon::current_num_threads() * 4).max(1);
        let parts: Vec<Part> = records.par_chunks(size).map(|chunk| Part::read(root, chunk)).collect();
        let mut tree = Tree {
            root: root.to_owned(),
            files: vec![],
            targets: vec![],
            without_target: 0,
            unreadable: vec![],
        };
        let mut ids: Ids = Ids::default();
        for part in parts {
            let map: Vec<FileId> =
                part.files.iter().map(|path| intern(&mut ids, &mut tree.files, path)).collect();
            let all = |list: Vec<FileId>| list.into_iter().map(|id| map[id.0 as usize]).collect();
            tree.targets.extend(part.targets.into_iter().map(|t| Target {
                file: map[t.file.0 as usize],
                source: t.source.map(|s| map[s.0 as usize]),
                inputs: all(t.inputs),
                options: all(t.options),
                ..t
            }));
            tree.unreadable.extend(part.unreadable);
        }
        tree.files.par_iter_mut().for_each(|file| file.stamp = Stamp::of(&place(root, &file.path)));
        let before = tree.targets.len();
        let Tree { targets, files, .. } = &mut tree;
        targets.retain(|t| files[t.file.0 as usize].stamp.is_some());
        targets.sort_by(|a, b| files[a.file.0 as usize].path.cmp(&files[b.file.0 as usize].path));
        tree.without_target = before - tree.targets.len();
        Ok(tree)
    }

    /// A file by its id.
    pub fn file(&self, id: FileId) -> &File {
        &self.files[id.0 as usize]
    }

    /// A file's path for people.
    pub fn name(&self, id: FileId) -> String {
        String::from_utf8_lossy(&self.file(id).path).into_owned()
    }

    /// Where a file of a record is.
    pub fn place(&self, path: &[u8]) -> PathBuf {
        place(&self.root, path)
    }
}

fn place(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path))
}

type Ids = HashMap<Vec<u8>, FileId, foldhash::fast::RandomState>;

fn intern(ids: &mut Ids, files: &mut Vec<File>, path: &[u8]) -> FileId {
    if let Some(&id) = ids.get(path) {
        return id;
    }
    let id = FileId(u32::try_from(files.len()).unwrap_or(u32::MAX));
    files.push(File { path: path.to_vec(), stamp: None });
    ids.insert(path.to_vec(), id);
    id
}

/// What one thread has read, with ids of its own.
#[derive(Default)]
struct Part {
    files: Vec<Vec<u8>>,
    targets: Vec<Target>,
    unreadable: Vec<PathBuf>,
}

impl Part {
    fn read(root: &Path, records: &[PathBuf]) -> Part {
        let mut part = Part::default();
        // Paths as written: most need no change, so the form is made normal once for each spelling.
        let mut ids: HashMap<Vec<u8>, FileId, foldhash::fast::RandomState> = HashMap::default();
        for path in records {
            let read = std::fs::read(root.join(path)).unwrap_or_default();
            let Some(record) = record::parse(&read) else {
                part.unreadable.push(path.clone());
                continue;
            };
            let base = base_of_tool(root, path, &record);
            let mut id = |spelling: &[u8]| match ids.get(spelling) {
                Some(&id) => id,
                None => {
                    let id = FileId(u32::try_from(part.files.len()).unwrap_or(u32::MAX));
                    part.files.push(crate::command::normal(spelling));
                    ids.insert(spelling.to_vec(), id);
                    id
                }
            };
            let (target, source, inputs) = match &base {
                None => {
                    let source = record.source.map(&mut id);
                    let mut inputs: Vec<FileId> = source.into_iter().collect();
                    inputs.extend(record.inputs.iter().map(|i| id(i)));
                    (id(record.target), source, inputs)
                }
                Some(base) => {
                    let mut below = |spelling: &[u8]| match spelling.first() {
                        Some(b'/') => id(spelling),
                        _ => id(&[base.as_os_str().as_bytes(), b"/", spelling].concat()),
                    };
                    let source = record.source.map(&mut below);
                    let mut inputs: Vec<FileId> = source.into_iter().collect();
                    inputs.extend(record.inputs.iter().map(|i| below(i)));
                    (id(target_of_record(path).as_os_str().as_bytes()), source, inputs)
                }
            };
            part.targets.push(Target {
                file: target,
                record: path.clone(),
                recorded: Stamp::of(&root.join(path)),
                source,
                inputs,
                options: record.options.iter().map(|o| id(o)).collect(),
                command: record.command.into_owned(),
                elsewhere: base.is_some(),
            });
        }
        part
    }
}

/// The directory that a tool was made in, relative to `root` or absolute: tools below `tools/` have a make of their own
/// (`tools/build/Makefile.build`), which is started in the tool's directory of the source tree. `None` for what Kbuild
/// made.
fn base_of_tool(root: &Path, path: &Path, record: &record::Record<'_>) -> Option<PathBuf> {
    let source = record.source.filter(|_| path.starts_with("tools"))?;
    if source.starts_with(b"/") || place(root, source).exists() {
        return None;
    }
    // Of a build with O=, `source` in the build directory is a link to the source tree.
    let trees = [Some(PathBuf::new()), std::fs::read_link(root.join("source")).ok()];
    trees.into_iter().flatten().find_map(|tree| base_in(root, &tree, path, source))
}

/// The directory below `tree` in which `source` is the one of the record at `path`.
fn base_in(root: &Path, tree: &Path, path: &Path, source: &[u8]) -> Option<PathBuf> {
    let is_base = |base: &Path| root.join(base).join(OsStr::from_bytes(source)).exists();
    let own = path.ancestors().skip(1).filter(|base| base.starts_with("tools")).map(|base| tree.join(base));
    if let Some(base) = own.into_iter().find(|base| is_base(base)) {
        return Some(base);
    }
    // A library's objects are put into the tool that wants it: tools/lib/subcmd is made into tools/objtool.
    let libraries = tree.join("tools/lib");
    let entries = std::fs::read_dir(root.join(&libraries)).ok()?;
    let mut bases: Vec<PathBuf> = entries.flatten().map(|entry| libraries.join(entry.file_name())).collect();
    bases.sort();
    bases.into_iter().find(|base| is_base(base))
}

/// `a/b.o` of `a/.b.o.cmd`.
fn target_of_record(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let name = name.strip_prefix(b".").unwrap_or(name);
    path.with_file_name(OsStr::from_bytes(name.strip_suffix(b".cmd").unwrap_or(name)))
}

/// Paths of all `.*.cmd` files, relative to `root`.
fn find_records(root: &Path) -> Result<Vec<PathBuf>, TreeError> {
    let first =
        std::fs::read_dir(root).map_err(|source| TreeError::Unreadable { path: root.to_owned(), source })?;
    let mut found = Vec::new();
    let mut level = sort_out(Path::new(""), first, &mut found);
    // Level by level: no recursion, and all directories of a level at once.
    while !level.is_empty() {
        let parts: Vec<(Vec<PathBuf>, Vec<PathBuf>)> = level
            .par_iter()
            .map(|directory| {
                let mut found = Vec::new();
                // A directory that vanished or is closed to us holds no record that make could use either.
                let below = std::fs::read_dir(root.join(directory))
                    .map(|entries| sort_out(directory, entries, &mut found))
                    .unwrap_or_default();
                (found, below)
            })
            .collect();
        level = Vec::new();
        for (records, below) in parts {
            found.extend(records);
            level.extend(below);
        }
    }
    found.sort();
    Ok(found)
}

/// Takes the records of one directory; the directories in it are returned.
fn sort_out(directory: &Path, entries: std::fs::ReadDir, found: &mut Vec<PathBuf>) -> Vec<PathBuf> {
    let mut below = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let bytes = name.as_bytes();
        if bytes.starts_with(b".") && bytes.ends_with(b".cmd") {
            found.push(directory.join(name));
        } else if bytes != b".git" && entry.file_type().is_ok_and(|t| t.is_dir()) {
            below.push(directory.join(name));
        }
    }
    below
}
