//! The built binary, and small kernel files made up for it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const TEXT: u64 = 0xffff_ffff_8100_0000;
const RODATA: u64 = 0xffff_ffff_8200_0000;
const DATA: u64 = 0xffff_ffff_8300_0000;

/// `kvet` with arguments, in an environment that decides nothing about colour.
pub fn kvet(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvet"));
    command.args(args).stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

/// What a run said and how it ended.
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    pub status: Option<i32>,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
            status: output.status.code(),
        }
    }
}

/// Runs `kvet` to its end.
pub fn run(args: &[&str]) -> Said {
    kvet(args).output().expect("kvet starts").into()
}

/// Files for one test.
pub struct Files(tempfile::TempDir);

impl Files {
    pub fn new() -> Files {
        Files(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file and gives its path as an argument.
    pub fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, bytes).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Writes a program. A shell does it: a descriptor of ours, inherited by what another test starts at that moment,
    /// would make the file busy.
    #[allow(dead_code)]
    pub fn program(&self, name: &str, text: &str) -> String {
        use std::io::Write;
        let path = self.path(name).to_str().expect("UTF-8").to_owned();
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "cat >\"$0\" && chmod 755 \"$0\"", &path])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        shell.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
        assert!(shell.wait().expect("the shell ends").success());
        path
    }
}

/// A kernel with one jump label in a function of a name. Its key starts false and the branch is unlikely, so
/// a nop belongs there; a broken kernel has the jmp.
pub fn kernel(function: &str, broken: bool) -> Vec<u8> {
    let mut text = vec![0x66, 0x90, 0x31, 0xc0, 0xc3, 0xcc, 0xcc, 0xcc, 0x31, 0xc0, 0xc3];
    if broken {
        text[..2].copy_from_slice(&[0xeb, 0x06]);
    }
    text.resize(64, 0xcc);
    let mut rodata = Vec::new();
    let relative = |field: u64, to: u64| to.wrapping_sub(field);
    rodata.extend((relative(RODATA, TEXT) as u32).to_le_bytes());
    rodata.extend((relative(RODATA + 4, TEXT + 8) as u32).to_le_bytes());
    rodata.extend(relative(RODATA + 8, DATA).to_le_bytes());
    rodata.extend(b"Linux version 6.1.0-test (someone@example.org) #1 SMP\n\0");
    let sections = [
        Section { name: ".text", kind: 1, flags: 6, address: TEXT, bytes: text },
        Section { name: ".rodata", kind: 1, flags: 2, address: RODATA, bytes: rodata },
        Section { name: ".data", kind: 1, flags: 3, address: DATA, bytes: vec![0; 64] },
    ];
    let symbols = [
        Symbol { name: function, info: 0x12, section: 1, value: TEXT, size: 11 },
        Symbol { name: "a_key", info: 0x11, section: 3, value: DATA, size: 16 },
        Symbol { name: "__start___jump_table", info: 0x10, section: 2, value: RODATA, size: 0 },
        Symbol { name: "__stop___jump_table", info: 0x10, section: 2, value: RODATA + 16, size: 0 },
    ];
    elf(2, &sections, &symbols)
}

/// A module of a release, without any table.
pub fn module(release: &str) -> Vec<u8> {
    let info = format!("license=GPL\0name=m\0vermagic={release} SMP preempt mod_unload \0");
    let sections = [
        Section { name: ".text", kind: 1, flags: 6, address: 0, bytes: vec![0x31, 0xc0, 0xc3] },
        Section { name: ".modinfo", kind: 1, flags: 2, address: 0, bytes: info.into_bytes() },
        // struct module: the loader wants the section, and nothing here reads it.
        Section { name: ".gnu.linkonce.this_module", kind: 1, flags: 3, address: 0, bytes: vec![0; 1024] },
    ];
    elf(1, &sections, &[Symbol { name: "f", info: 0x12, section: 1, value: 0, size: 3 }])
}

struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    address: u64,
    bytes: Vec<u8>,
}

struct Symbol<'a> {
    name: &'a str,
    info: u8,
    section: u16,
    value: u64,
    size: u64,
}

/// An x86-64 ELF file: header, the sections' bytes, the section headers.
fn elf(file_type: u16, sections: &[Section], symbols: &[Symbol<'_>]) -> Vec<u8> {
    let (mut symtab, mut strtab) = (vec![0; 24], vec![0]);
    for symbol in symbols {
        symtab.extend((strtab.len() as u32).to_le_bytes());
        symtab.extend([symbol.info, 0]);
        symtab.extend(symbol.section.to_le_bytes());
        symtab.extend(symbol.value.to_le_bytes());
        symtab.extend(symbol.size.to_le_bytes());
        strtab.extend(symbol.name.bytes().chain([0]));
    }
    let mut writer = Writer { file: vec![0; 64], headers: vec![0; 64], names: vec![0] };
    for s in sections {
        writer.add(s.name, s.kind, s.flags, s.address, &s.bytes, [0, 0]);
    }
    let strtab_index = sections.len() as u32 + 2;
    writer.add(".symtab", 2, 0, 0, &symtab, [strtab_index, 1]);
    writer.add(".strtab", 3, 0, 0, &strtab, [0, 0]);
    writer.finish(file_type)
}

struct Writer {
    file: Vec<u8>,
    headers: Vec<u8>,
    names: Vec<u8>,
}

impl Writer {
    fn add(&mut self, name: &str, kind: u32, flags: u64, address: u64, bytes: &[u8], link: [u32; 2]) {
        let at = self.append(bytes);
        self.headers.extend((self.names.len() as u32).to_le_bytes());
        self.names.extend(name.bytes().chain([0]));
        self.headers.extend(kind.to_le_bytes());
        for field in [flags, address, at, bytes.len() as u64] {
            self.headers.extend(field.to_le_bytes());
        }
        self.headers.extend(link.iter().flat_map(|l| l.to_le_bytes()));
        self.headers.extend(16u64.to_le_bytes());
        self.headers.extend(if kind == 2 { 24u64 } else { 0 }.to_le_bytes());
    }

    fn append(&mut self, bytes: &[u8]) -> u64 {
        self.file.resize(self.file.len().next_multiple_of(16), 0);
        let at = self.file.len() as u64;
        self.file.extend(bytes);
        at
    }

    /// The section of the names, then the headers, then the header of the whole.
    fn finish(mut self, file_type: u16) -> Vec<u8> {
        let name = ".shstrtab";
        let bytes = [&self.names[..], name.as_bytes(), &[0]].concat();
        self.add(name, 3, 0, 0, &bytes, [0, 0]);
        let headers = std::mem::take(&mut self.headers);
        let table = self.append(&headers);
        let count = (headers.len() / 64) as u16;
        let mut file = self.file;
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file[16..18].copy_from_slice(&file_type.to_le_bytes());
        file[18..20].copy_from_slice(&62u16.to_le_bytes());
        file[20..24].copy_from_slice(&1u32.to_le_bytes());
        file[40..48].copy_from_slice(&table.to_le_bytes());
        for (at, value) in [(52, 64), (58, 64), (60, count), (62, count - 1)] {
            file[at..at + 2].copy_from_slice(&u16::to_le_bytes(value));
        }
        file
    }
}
