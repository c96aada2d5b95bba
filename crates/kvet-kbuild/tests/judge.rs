//! Small build trees with one thing wrong each: the target is named, with its reason, and no other.
#![allow(missing_docs, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use kvet_kbuild::{Tree, judge};

/// Two objects from two sources that share a header, and the archive of both; everything is an hour old.
struct Built(tempfile::TempDir);

impl Built {
    fn new() -> Built {
        let built = Built(tempfile::tempdir().unwrap());
        built.write("include/config/auto.conf", "CONFIG_FOO=y\n");
        built.write(".config", "CONFIG_FOO=y\n");
        built.write("include/config/FOO", "");
        built.write("include/asm/caps.h", "#define CAP 1\n");
        built.write("include/linux/a.h", "#include <asm/caps.h>\n");
        for (name, input) in [("a", "include/linux/a.h \\\n  include/asm/caps.h"), ("b", "include/config.h")]
        {
            built.write(&format!("lib/{name}.c"), "");
            built.write(&format!("lib/{name}.o"), "");
            let option = if name == "a" { "    $(wildcard include/config/FOO) \\\n" } else { "" };
            let record = format!(
                "savedcmd_lib/{name}.o := no-such-cc -Iinclude/generated -Iinclude -c -o lib/{name}.o lib/{name}.c\n\n\
                 source_lib/{name}.o := lib/{name}.c\n\ndeps_lib/{name}.o := \\\n{option}  {input} \\\n"
            );
            built.write(&format!("lib/.{name}.o.cmd"), &record);
        }
        built.write("include/config.h", "");
        built.write("lib/built-in.a", "");
        built.write(
            "lib/.built-in.a.cmd",
            "savedcmd_lib/built-in.a := rm -f lib/built-in.a;  printf \"lib/%s \" a.o b.o | xargs ar cDPrST lib/built-in.a\n",
        );
        built
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.set_age(name, 3600);
    }

    fn set_age(&self, name: &str, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::options().append(true).open(self.path().join(name)).unwrap().set_modified(time).unwrap();
    }

    /// The objects as if made only now, so that what follows happens after them.
    fn made_now(self) -> Built {
        std::thread::sleep(Duration::from_millis(20));
        for name in ["lib/a.o", "lib/b.o", "lib/.a.o.cmd", "lib/.b.o.cmd", "lib/built-in.a"] {
            let path = self.path().join(name);
            let text = fs::read(&path).unwrap();
            fs::write(path, text).unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
        self
    }

    /// `target rule edge` for every reason.
    fn stale(&self) -> Vec<String> {
        let tree = Tree::read(self.path()).unwrap();
        let verdict = judge(&tree, OsStr::new("/nonexistent"));
        let mut out = Vec::new();
        for stale in &verdict.stale {
            let name = tree.name(tree.targets[stale.target].file);
            for reason in &stale.reasons {
                out.push(format!("{name} {} {}", reason.rule(), reason.edge().unwrap_or("")));
            }
        }
        out
    }
}

#[test]
fn a_clean_tree_is_silent() {
    let built = Built::new().made_now();
    assert_eq!(built.stale(), Vec::<String>::new());
    let tree = Tree::read(built.path()).unwrap();
    assert_eq!((tree.targets.len(), tree.unreadable.len()), (3, 0));
    // That no compiler could be asked is said.
    assert_eq!(judge(&tree, OsStr::new("/nonexistent")).skipped.len(), 1);
}

#[test]
fn a_newer_header() {
    let built = Built::new().made_now();
    fs::write(built.path().join("include/asm/caps.h"), "#define CAP 2\n").unwrap();
    assert_eq!(built.stale(), ["lib/a.o newer-input include/asm/caps.h"]);
}

#[test]
fn a_header_that_changed_under_its_time_stamp() {
    let built = Built::new().made_now();
    built.write("include/asm/caps.h", "#define CAP 2\n");
    assert_eq!(built.stale(), ["lib/a.o kept-time-stamp include/asm/caps.h"]);
}

#[test]
fn a_header_that_moved_to_the_generated_ones() {
    let built = Built::new().made_now();
    fs::create_dir_all(built.path().join("include/generated/asm")).unwrap();
    fs::rename(built.path().join("include/asm/caps.h"), built.path().join("include/generated/asm/caps.h"))
        .unwrap();
    let stale = built.stale();
    assert!(stale.contains(&"lib/a.o missing-input include/asm/caps.h".to_owned()), "{stale:?}");
    assert!(stale.iter().all(|s| s.starts_with("lib/a.o ")), "{stale:?}");
}

#[test]
fn a_header_that_another_one_hides() {
    let built = Built::new().made_now();
    built.write("include/generated/asm/caps.h", "#define CAP 3\n");
    assert_eq!(built.stale(), ["lib/a.o shadowed-include include/generated/asm/caps.h"]);
}

#[test]
fn a_new_header_of_another_name_hides_nothing() {
    let built = Built::new().made_now();
    built.write("include/generated/asm/other.h", "");
    // Below the same directory, but asked for by no #include: `linux/caps.h`.
    built.write("include/generated/linux/caps.h", "");
    assert_eq!(built.stale(), Vec::<String>::new());
}

#[test]
fn an_option_that_was_toggled() {
    let built = Built::new().made_now();
    fs::write(built.path().join(".config"), "# CONFIG_FOO is not set\n").unwrap();
    assert_eq!(built.stale(), ["lib/a.o option CONFIG_FOO"]);
    // After make has read it.
    let built = Built::new().made_now();
    fs::write(built.path().join("include/config/FOO"), "").unwrap();
    assert_eq!(built.stale(), ["lib/a.o newer-option CONFIG_FOO"]);
}

#[test]
fn an_archive_older_than_its_member() {
    let built = Built::new().made_now();
    built.set_age("lib/built-in.a", 60);
    let stale = built.stale();
    assert_eq!(stale, ["lib/built-in.a newer-member lib/a.o", "lib/built-in.a newer-member lib/b.o"]);
}

#[test]
fn an_object_that_kbuild_did_not_make() {
    let built = Built::new().made_now();
    built.set_age("lib/.b.o.cmd", 60);
    assert_eq!(built.stale(), ["lib/b.o not-by-kbuild "]);
}

#[test]
fn a_record_that_was_written_long_after_its_object() {
    let built = Built::new().made_now();
    let record = fs::File::options().append(true).open(built.path().join("lib/.b.o.cmd")).unwrap();
    record.set_modified(SystemTime::now() + Duration::from_secs(300)).unwrap();
    assert_eq!(built.stale(), ["lib/b.o record-changed "]);
}

#[test]
fn a_record_cut_short_is_said_and_no_build_directory_is_an_error() {
    let built = Built::new().made_now();
    fs::write(built.path().join("lib/.b.o.cmd"), "").unwrap();
    let tree = Tree::read(built.path()).unwrap();
    assert_eq!(tree.unreadable.len(), 1);
    let empty = tempfile::tempdir().unwrap();
    assert!(Tree::read(empty.path()).is_err());
    assert!(Tree::read(&empty.path().join("none")).is_err());
}

#[test]
fn a_tool_that_was_made_in_its_own_directory() {
    let built = Built::new();
    built.write("tools/objtool/arch/x86/decode.c", "");
    built.write("tools/arch/x86/lib/insn.c", "");
    let object = built.path().join("tools/objtool/arch/x86/decode.o");
    built.write("tools/objtool/arch/x86/decode.o", "");
    let record = format!(
        "cmd_{0} := gcc -c -o {0} arch/x86/decode.c\n\nsource_{0} := arch/x86/decode.c\n\ndeps_{0} := \\\n  \
         ../arch/x86/lib/insn.c \\\n",
        object.display()
    );
    built.write("tools/objtool/arch/x86/.decode.o.cmd", &record);
    // A library of the tools, made into the tool.
    built.write("tools/lib/subcmd/sigchain.c", "");
    built.write("tools/objtool/sigchain.o", "");
    let record =
        "cmd_/x/sigchain.o := gcc -c -o /x/sigchain.o sigchain.c\n\nsource_/x/sigchain.o := sigchain.c\n";
    built.write("tools/objtool/.sigchain.o.cmd", record);
    let built = built.made_now();
    for name in ["arch/x86/decode.o", "arch/x86/.decode.o.cmd", "sigchain.o", ".sigchain.o.cmd"] {
        let name = format!("tools/objtool/{name}");
        let name = name.as_str();
        let text = fs::read(built.path().join(name)).unwrap();
        fs::write(built.path().join(name), text).unwrap();
    }
    assert_eq!(built.stale(), Vec::<String>::new());
    std::thread::sleep(Duration::from_millis(20));
    fs::write(built.path().join("tools/arch/x86/lib/insn.c"), "changed").unwrap();
    assert_eq!(built.stale(), ["tools/objtool/arch/x86/decode.o newer-input tools/arch/x86/lib/insn.c"]);
}

#[test]
fn a_tool_of_a_build_outside_of_the_source_tree() {
    let source = tempfile::tempdir().unwrap();
    let base = source.path().join("tools/objtool");
    fs::create_dir_all(&base).unwrap();
    fs::write(base.join("weak.c"), "").unwrap();
    let built = Built::new();
    std::os::unix::fs::symlink(source.path(), built.path().join("source")).unwrap();
    built.write("tools/objtool/weak.o", "");
    let object = built.path().join("tools/objtool/weak.o").display().to_string();
    built.write(
        "tools/objtool/.weak.o.cmd",
        &format!("cmd_{object} := gcc -c -o {object} weak.c\n\nsource_{object} := weak.c\n"),
    );
    let built = built.made_now();
    for name in ["weak.o", ".weak.o.cmd"] {
        let file = built.path().join("tools/objtool").join(name);
        fs::write(&file, fs::read(&file).unwrap()).unwrap();
    }
    assert_eq!(built.stale(), Vec::<String>::new());
    std::thread::sleep(Duration::from_millis(20));
    fs::write(base.join("weak.c"), "changed").unwrap();
    let stale = built.stale();
    assert_eq!(stale.len(), 1, "{stale:?}");
    assert!(stale[0].starts_with("tools/objtool/weak.o newer-input"), "{stale:?}");
}
