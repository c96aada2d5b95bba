//! The compilers that the saved commands name, as they are now, against what made the objects.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::command::Compilation;
use crate::config::Config;
use crate::objects::made_by;
use crate::reason::Reason;
use crate::tree::{Stamp, Target, Tree};

/// One compiler, as it is now.
#[derive(Clone, Debug, Default)]
struct Compiler {
    /// The first line of `--version`, as Kconfig's CC_VERSION_TEXT has it.
    version: Option<String>,
    /// What it writes into `.comment`.
    idents: Vec<String>,
    /// Its program and, for GCC, the compiler proper behind it.
    programs: Vec<(PathBuf, Stamp)>,
}

/// All compilers of a tree, by the words that call them.
#[derive(Debug, Default)]
pub(crate) struct Compilers(HashMap<Key, Compiler>);

/// The words that call a compiler, with the `--target` of clang.
type Key = Vec<Vec<u8>>;

fn key(compilation: &Compilation) -> Key {
    let mut key = compilation.compiler.clone();
    key.extend(compilation.arguments.iter().filter(|a| a.starts_with(b"--target=")).cloned());
    key
}

/// Asks every compiler what it is; and says of which that was not possible.
pub(crate) fn find(
    tree: &Tree,
    compilations: &[Option<Compilation>],
    path: &OsStr,
) -> (Compilers, Vec<String>) {
    let mut found: HashMap<Key, Compiler> = HashMap::new();
    let mut skipped = Vec::new();
    for compilation in compilations.iter().flatten() {
        let key = key(compilation);
        if found.contains_key(&key) {
            continue;
        }
        let compiler = ask(tree, &key, path);
        if compiler.version.is_none() {
            let name = key.join(&b' ');
            skipped.push(format!(
                "compiler: {} cannot be run, so a change of it would not show",
                String::from_utf8_lossy(&name)
            ));
        }
        found.insert(key, compiler);
    }
    skipped.sort();
    (Compilers(found), skipped)
}

fn ask(tree: &Tree, key: &Key, path: &OsStr) -> Compiler {
    let run = |arguments: &[&OsStr]| -> Option<Vec<u8>> {
        let mut words = key.iter().map(|w| OsStr::from_bytes(w));
        let mut command = Command::new(words.next()?);
        command.args(words).args(arguments).current_dir(&tree.root).env("LC_ALL", "C").env("PATH", path);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then_some(output.stdout)
    };
    let line = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned();
    let Some(version) = run(&["--version".as_ref()]).map(line) else { return Compiler::default() };
    let idents = idents(&run).unwrap_or_default();
    let program = key.iter().find(|w| !w.starts_with(b"--target=") && !is_wrapper(w));
    let driver = program.and_then(|p| which(tree, OsStr::from_bytes(p), path));
    let proper =
        run(&["-print-prog-name=cc1".as_ref()]).map(line).map(PathBuf::from).filter(|p| p.is_absolute());
    let programs = [driver, proper].into_iter().flatten();
    let programs = programs.filter_map(|p| Stamp::of(&p).map(|s| (p, s))).collect();
    Compiler { version: Some(version), idents, programs }
}

fn is_wrapper(word: &[u8]) -> bool {
    crate::command::is_wrapper(word)
}

/// What the compiler leaves in an object: it makes an empty one.
fn idents(run: &dyn Fn(&[&OsStr]) -> Option<Vec<u8>>) -> Option<Vec<String>> {
    let directory = tempfile::tempdir().ok()?;
    let object = directory.path().join("empty.o");
    run(&[
        "-c".as_ref(),
        "-x".as_ref(),
        "c".as_ref(),
        "/dev/null".as_ref(),
        "-o".as_ref(),
        object.as_os_str(),
    ])?;
    Some(made_by(&object))
}

fn which(tree: &Tree, program: &OsStr, path: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(tree.root.join(program));
    }
    let directories = path.as_bytes().split(|&b| b == b':').map(OsStr::from_bytes);
    directories.map(|d| PathBuf::from(OsString::from(d)).join(program)).find(|p| p.is_file())
}

impl Compilers {
    /// Whether the compiler that the command names now is the one that made the target.
    pub(crate) fn judge(
        &self,
        tree: &Tree,
        target: &Target,
        compilation: &Compilation,
        config: &Config,
    ) -> Option<Reason> {
        let compiler = self.0.get(&key(compilation))?;
        let version = compiler.version.as_ref()?;
        let made = tree.file(target.file).stamp?;
        let is_kernel = compilation.arguments.iter().any(|a| a == b"-D__KERNEL__");
        if let Some(configured) = config.compiler.as_ref().filter(|c| is_kernel && *c != version) {
            return Some(Reason::OtherCompiler { made_by: configured.clone(), found: version.clone() });
        }
        let idents = made_by(&tree.place(&tree.file(target.file).path));
        if let (Some(made_by), Some(found)) = (idents.first(), compiler.idents.first())
            && !idents.iter().any(|i| compiler.idents.contains(i))
        {
            return Some(Reason::OtherCompiler { made_by: made_by.clone(), found: found.clone() });
        }
        let newer = compiler.programs.iter().find(|(_, stamp)| stamp.modified > made.modified);
        newer.map(|(path, stamp)| Reason::NewerCompiler {
            compiler: path.display().to_string(),
            seconds: stamp.modified.seconds_since(made.modified),
        })
    }
}
