//! What a saved command says: its words, the compiler, where it looks for headers, what it puts together.

/// The words of the simple commands in a shell line, quotes undone; no expansion, which Kbuild's have none of.
pub fn simple_commands(line: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.iter().copied();
    let end_word = |word: &mut Option<Vec<u8>>, commands: &mut Vec<Vec<Vec<u8>>>| {
        if let (Some(done), Some(last)) = (word.take(), commands.last_mut()) {
            last.push(done);
        }
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b'\'' => word.get_or_insert_default().extend(bytes.by_ref().take_while(|&b| b != b'\'')),
            b'"' => {
                let word = word.get_or_insert_default();
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'"' => break,
                        b'\\' => word.extend(bytes.next()),
                        other => word.push(other),
                    }
                }
            }
            b'\\' => word.get_or_insert_default().extend(bytes.next()),
            b' ' | b'\t' | b'\n' | b'(' | b')' | b'{' | b'}' => end_word(&mut word, &mut commands),
            b';' | b'&' | b'|' => {
                end_word(&mut word, &mut commands);
                if commands.last().is_some_and(|c| !c.is_empty()) {
                    commands.push(Vec::new());
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    end_word(&mut word, &mut commands);
    commands.retain(|c| !c.is_empty());
    commands
}

/// Programs that stand before a compiler without changing what it does.
const WRAPPERS: [&[u8]; 4] = [b"ccache", b"sccache", b"distcc", b"icecc"];

/// A compilation: one run of a C compiler's driver on one source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compilation {
    /// The compiler with what stands before it (`ccache gcc`).
    pub compiler: Vec<Vec<u8>>,
    /// Its other words.
    pub arguments: Vec<Vec<u8>>,
    /// Where headers are looked for.
    pub search: Search,
}

/// The directories of an include path, in the order in which GCC and clang look.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Search {
    /// For `"name"` only, after the including file's own directory (`-iquote`).
    pub quote: Vec<Vec<u8>>,
    /// For both forms: `-I`, then `-isystem`, then `-idirafter`.
    pub both: Vec<Vec<u8>>,
}

impl Compilation {
    /// The compilation of a target; `None` when it was linked, or made in a directory of its own, where the words of
    /// its command mean other files.
    pub(crate) fn of_target(target: &crate::tree::Target) -> Option<Compilation> {
        target.source.filter(|_| !target.elsewhere)?;
        Compilation::of(&target.command)
    }

    /// The compilation in a saved command, when its first command is one.
    pub fn of(command: &[u8]) -> Option<Compilation> {
        let mut words = simple_commands(command).into_iter().next()?;
        let start = words.iter().position(|w| !is_assignment(w))?;
        let program = words[start..].iter().position(|w| !is_wrapper(w))? + start;
        let arguments = words.split_off(program + 1);
        let compiler = words.split_off(start);
        if !arguments.iter().any(|a| matches!(a.as_slice(), b"-c" | b"-S" | b"-E")) {
            return None;
        }
        let search = search(&arguments);
        Some(Compilation { compiler, arguments, search })
    }

    /// The same run asked for its dependencies only (`-M`), as the compiler sees them now.
    pub fn dependencies_only(&self) -> Vec<Vec<u8>> {
        let mut out = self.compiler.clone();
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            match word.as_slice() {
                b"-c" | b"-S" | b"-E" | b"-MD" | b"-MMD" | b"-MP" => {}
                b"-o" | b"-MF" | b"-MT" | b"-MQ" => drop(words.next()),
                w if w.starts_with(b"-Wp,-M") || w.starts_with(b"-MF") || w.starts_with(b"-save-temps") => {}
                _ => out.push(word.clone()),
            }
        }
        // A record made with -MMD names no header that was found in a system directory.
        let all = self.arguments.iter().any(|w| w == b"-MD" || w.starts_with(b"-Wp,-MD"));
        out.push(if all { b"-M".to_vec() } else { b"-MM".to_vec() });
        out
    }
}

/// Whether a program stands before a compiler (`ccache`).
pub(crate) fn is_wrapper(word: &[u8]) -> bool {
    WRAPPERS.contains(&base_name(word))
}

fn is_assignment(word: &[u8]) -> bool {
    let name = word.split(|&b| b == b'=').next().unwrap_or_default();
    name.len() < word.len()
        && !name.is_empty()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// What follows the last slash.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').next().unwrap_or(path)
}

fn search(arguments: &[Vec<u8>]) -> Search {
    let (mut quote, mut plain, mut system, mut after) = (vec![], vec![], vec![], vec![]);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        // `-include` and `-imacros` begin like `-I` in no case; `-isystem` and `-iquote` may stand apart or joined.
        let (list, joined): (&mut Vec<Vec<u8>>, &[u8]) = if let Some(dir) = word.strip_prefix(b"-I") {
            (&mut plain, dir)
        } else if let Some(dir) = word.strip_prefix(b"-isystem") {
            (&mut system, dir)
        } else if let Some(dir) = word.strip_prefix(b"-iquote") {
            (&mut quote, dir)
        } else if let Some(dir) = word.strip_prefix(b"-idirafter") {
            (&mut after, dir)
        } else {
            continue;
        };
        let dir =
            if joined.is_empty() { words.next().map(Vec::as_slice).unwrap_or_default() } else { joined };
        list.push(normal(dir));
    }
    plain.extend(system);
    plain.extend(after);
    Search { quote, both: plain }
}

/// A path without `.` and, where they can be taken away, `..` components.
pub fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|p| *p != b"..") => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    let mut out = if path.starts_with(b"/") { b"/".to_vec() } else { Vec::new() };
    out.extend(parts.join(&b'/'));
    out
}

/// Files that a linking or archiving command puts together: its words that name objects or archives, or that
/// `is_target` knows, but not the target.
pub fn members(command: &[u8], target: &[u8], is_target: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for words in simple_commands(command) {
        let Some((program, words)) = words.split_first() else { continue };
        // `printf "dir/%s " a.o b.o | xargs ar ...` since 5.19 (the words would be too long otherwise).
        let (prefix, words) = match (base_name(program), words.split_first()) {
            (b"rm" | b"echo" | b"true" | b":", _) => continue,
            (b"printf", Some((form, words))) => {
                let at = memchr::memmem::find(form, b"%s").unwrap_or(0);
                (&form[..at], words)
            }
            _ => (&b""[..], words),
        };
        for word in words {
            let path = normal(&[prefix, word].concat());
            let named = word.ends_with(b".o") || word.ends_with(b".a") || is_target(&path);
            if named && !word.starts_with(b"-") && path != normal(target) && !out.contains(&path) {
                out.push(path);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn words_as_a_shell_splits_them() {
        let commands =
            simple_commands(br#"A=1 gcc '-DX="a b"' -DY=\"q\" "c d" ; ./objtool --x y.o || rm y.o"#);
        let shown: Vec<Vec<String>> =
            commands.iter().map(|c| c.iter().map(|w| String::from_utf8_lossy(w).into()).collect()).collect();
        assert_eq!(shown[0], ["A=1", "gcc", "-DX=\"a b\"", "-DY=\"q\"", "c d"]);
        assert_eq!(shown[1], ["./objtool", "--x", "y.o"]);
        assert_eq!(shown[2], ["rm", "y.o"]);
        assert!(simple_commands(b"'").len() <= 1);
    }

    #[test]
    fn a_compilation_and_its_search_order() {
        let c = Compilation::of(
            b"ccache aarch64-linux-gnu-gcc -Wp,-MMD,a/.b.o.d -nostdinc -isystem /gcc/include -I./arch/include -I \
              include -iquote q -include ./include/linux/kconfig.h -c -o a/b.o a/b.c ; ./tools/objtool/objtool a/b.o",
        )
        .unwrap();
        assert_eq!(c.compiler, [&b"ccache"[..], b"aarch64-linux-gnu-gcc"]);
        assert_eq!(c.search.both, [&b"arch/include"[..], b"include", b"/gcc/include"]);
        assert_eq!(c.search.quote, [b"q"]);
        let deps = c.dependencies_only();
        assert!(!deps.iter().any(|w| w == b"-c" || w == b"a/b.o" || w.starts_with(b"-Wp,")));
        assert!(deps.contains(&b"a/b.c".to_vec()) && deps.contains(&b"-MM".to_vec()));
        assert_eq!(Compilation::of(b"ld -r -o a.o b.o"), None);
        assert_eq!(Compilation::of(b""), None);
    }

    #[test]
    fn members_of_every_form() {
        let of = |command: &[u8], target: &[u8]| members(command, target, |p| p == b"vmlinux");
        let plain = of(b"rm -f l/built-in.a; ar cDPrST l/built-in.a l/a.o l/b.o", b"l/built-in.a");
        assert_eq!(plain, [b"l/a.o", b"l/b.o"]);
        let printed = of(
            b"rm -f l/built-in.a;  printf \"l/%s \" a.o s/built-in.a | xargs ar cDPrST l/built-in.a",
            b"l/built-in.a",
        );
        assert_eq!(printed, [&b"l/a.o"[..], b"l/s/built-in.a"]);
        assert_eq!(of(b"objcopy -O binary vmlinux arch/boot/Image", b"arch/boot/Image"), [b"vmlinux"]);
        assert_eq!(of(b"gcc -o scripts/conf scripts/./conf.o", b"scripts/conf"), [b"scripts/conf.o"]);
    }

    #[test]
    fn paths_are_brought_to_one_form() {
        for (path, want) in [("./a//b", "a/b"), ("a/../b", "b"), ("../b", "../b"), ("/x/./y", "/x/y")] {
            assert_eq!(normal(path.as_bytes()), want.as_bytes());
        }
    }
}
