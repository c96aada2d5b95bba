//! `kvet btf`: BTF as text, and what changed between two.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use kvet_btf::diff::{Change, Difference, diff};
use kvet_btf::{Btf, Header, dump};

use crate::check::{RUNNING, is_running_module};
use crate::exit::Exit;
use crate::progress::complain;

const SOURCES: &str = "\
A FILE is raw BTF (such as /sys/kernel/btf/vmlinux), an ELF file with a section .BTF (vmlinux, a module, a BPF object), \
or any kernel image that `kvet check` reads; - is stdin, with one of the first two.

A module's BTF is split from its vmlinux's, which a base option names. Without it the module's own .BTF.base is taken, \
or for a file of /sys/kernel/btf the running kernel's BTF.";

const DUMP_EXAMPLES: &str = "\
Examples:
  kvet btf dump --format c > vmlinux.h      the running kernel's types, for BPF programs
  kvet btf dump -B vmlinux kernel/fs/efivarfs/efivarfs.ko
  kvet btf dump --format btf vmlinuz-6.12.0 > vmlinux.btf
  kvet btf dump vmlinuz-6.12.0 | grep \"STRUCT 'page'\" -A20";

const DIFF_EXAMPLES: &str = "\
Examples:
  kvet btf diff --breaking vmlinuz-6.1 vmlinuz-6.12
  kvet btf diff --old-base vmlinux-6.1 --new-base vmlinux-6.12 6.1/efivarfs.ko 6.12/efivarfs.ko

Exit status:
  0  the types are the same
  1  they differ
  2  they could not be compared";

/// `kvet btf`.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Writes BTF out, as `bpftool btf dump` does
    #[command(after_help = format!("{SOURCES}\n\n{DUMP_EXAMPLES}"))]
    Dump(DumpArgs),
    /// Types added, removed and changed from one BTF to another: what breaks a module or a BPF program
    #[command(after_help = format!("{SOURCES}\n\n{DIFF_EXAMPLES}"))]
    Diff(DiffArgs),
}

/// `kvet btf dump`.
#[derive(Args, Debug)]
pub struct DumpArgs {
    /// What holds the BTF; by default the running kernel's
    #[arg(value_name = "FILE", default_value = "/sys/kernel/btf/vmlinux")]
    file: PathBuf,
    /// What holds the BTF that a module's was split from: its vmlinux
    #[arg(short = 'B', long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "raw")]
    format: DumpFormat,
}

/// The form of a dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum DumpFormat {
    /// A line a type, as bpftool's `format raw`
    Raw,
    /// A header that compiles, as bpftool's `format c`
    C,
    /// An object a type, as `bpftool -j`
    Json,
    /// The BTF itself, as it stands in the file
    Btf,
}

/// `kvet btf diff`.
#[derive(Args, Debug)]
pub struct DiffArgs {
    /// What modules and programs were built with
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// What they will meet
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// What holds the base of OLD, when that is a module
    #[arg(long, value_name = "FILE")]
    old_base: Option<PathBuf>,
    /// What holds the base of NEW, when that is a module
    #[arg(long, value_name = "FILE")]
    new_base: Option<PathBuf>,
    /// Leave out what was added, which breaks nothing
    #[arg(long)]
    breaking: bool,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: DiffFormat,
}

/// The form of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum DiffFormat {
    /// For people
    Human,
    /// For scripts: kvet-btf-diff/1
    Json,
}

/// Runs `kvet btf`.
pub fn run(command: &Command) -> Exit {
    let result = match command {
        Command::Dump(args) => dumped(args).map(|()| Exit::Clean),
        Command::Diff(args) => compared(args),
    };
    result.unwrap_or_else(|why| {
        if let Some(why) = why {
            complain(&why);
            return Exit::Unanswered;
        }
        Exit::Clean
    })
}

/// Why a command ended early; `None` when whoever read its output has gone, which is no failure.
type Failure = Option<String>;

fn written(error: &io::Error) -> Failure {
    (error.kind() != io::ErrorKind::BrokenPipe).then(|| format!("stdout: cannot be written: {error}"))
}

/// BTF out of a file, with what it was split from.
struct Source {
    shown: String,
    data: Vec<u8>,
    /// A base that came with it or was given.
    base: Option<(String, Vec<u8>)>,
}

impl Source {
    fn open(path: &Path, base: Option<&Path>) -> Result<Source, Failure> {
        let (data, distilled) = read(path)?;
        let shown = crate::text::path(path);
        let of = |base: &Path| Ok::<_, Failure>((crate::text::path(base), read(base)?.0));
        let base = match (base, distilled) {
            (Some(base), _) => Some(of(base)?),
            (None, Some(distilled)) => Some((format!("{shown} (.BTF.base)"), distilled)),
            (None, None) if is_running_module(path) => Some(of(Path::new(RUNNING))?),
            (None, None) => None,
        };
        Ok(Source { shown, data, base })
    }

    /// Hands on the BTF, which borrows from its base.
    fn with<T>(&self, then: impl FnOnce(&Btf<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let unreadable = |shown: &str, error| Some(format!("{shown}: the BTF {error}"));
        if let Some((shown, data)) = &self.base {
            let base = Btf::parse(data).map_err(|e| unreadable(shown, e))?;
            return then(&Btf::parse_split(&self.data, &base).map_err(|e| unreadable(&self.shown, e))?);
        }
        let btf = Btf::parse(&self.data).map_err(|e| unreadable(&self.shown, e))?;
        if btf.lacks_base() {
            return Err(Some(format!(
                "{}: is split BTF: name the vmlinux that the module was built with as its base (see --help)",
                self.shown
            )));
        }
        then(&btf)
    }
}

/// The BTF in a file, and a module's `.BTF.base`. A kernel is mapped, not read: with its debug information it has
/// hundreds of megabytes.
fn read(path: &Path) -> Result<(Vec<u8>, Option<Vec<u8>>), Failure> {
    let shown = crate::text::path(path);
    let unreadable = |e: io::Error| Some(format!("{shown}: cannot be read: {e}"));
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes).map_err(unreadable)?;
        if Header::byte_order(&bytes).is_some() {
            return Ok((bytes, None));
        }
        let section = |name| kvet_btf::elf::section(&bytes, name).map(<[u8]>::to_vec);
        let why = "stdin: holds neither raw BTF nor an ELF file with a section .BTF".to_owned();
        return Ok((section(".BTF").ok_or(Some(why))?, section(".BTF.base")));
    }
    let mut start = [0; 4];
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let len = io::Read::read(&mut file, &mut start).map_err(unreadable)?;
    if Header::byte_order(&start[..len]).is_some() {
        return Ok((std::fs::read(path).map_err(unreadable)?, None));
    }
    let why = match kvet_image::Image::open(path) {
        Ok(image) => match kvet_tables::btf::bytes(&image) {
            Some(bytes) => {
                return Ok((bytes.to_vec(), kvet_tables::btf::distilled(&image).map(<[u8]>::to_vec)));
            }
            None => format!("{shown}: holds no BTF (CONFIG_DEBUG_INFO_BTF is off?)"),
        },
        Err(error) => error.to_string(),
    };
    // A BPF object, or another machine's kernel.
    let bytes = if start == *b"\x7fELF" { std::fs::read(path).map_err(unreadable)? } else { Vec::new() };
    let section = |name| kvet_btf::elf::section(&bytes, name).map(<[u8]>::to_vec);
    Ok((section(".BTF").ok_or(Some(why))?, section(".BTF.base")))
}

/// Writes BTF in one form.
type Dump = fn(&Btf<'_>, &mut dyn Write) -> Result<(), dump::DumpError>;

fn dumped(args: &DumpArgs) -> Result<(), Failure> {
    let dump: Dump = match args.format {
        DumpFormat::Raw => dump::raw,
        DumpFormat::C => dump::c,
        DumpFormat::Json => dump::json,
        DumpFormat::Btf => {
            // As it is: it need not be sound, nor its base be at hand.
            let (data, _) = read(&args.file)?;
            return io::stdout().write_all(&data).map_err(|e| written(&e));
        }
    };
    let source = Source::open(&args.file, args.base.as_deref())?;
    source.with(|btf| dump_to_stdout(btf, dump, &source.shown))
}

fn dump_to_stdout(btf: &Btf<'_>, dump: Dump, shown: &str) -> Result<(), Failure> {
    let result = dump(btf, &mut io::stdout().lock());
    result.map_err(|error| match error {
        dump::DumpError::Io(error) => written(&error),
        error => Some(format!("{shown}: {error}")),
    })
}

fn compared(args: &DiffArgs) -> Result<Exit, Failure> {
    let old = Source::open(&args.old, args.old_base.as_deref())?;
    let new = Source::open(&args.new, args.new_base.as_deref())?;
    let mut differences = old.with(|old| new.with(|new| Ok(diff(old, new))))?;
    if args.breaking {
        differences.retain(Difference::breaks);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.format {
        DiffFormat::Human => human(&differences, &mut out),
        DiffFormat::Json => json(&differences, &mut out),
    }
    .and_then(|()| out.flush())
    .map_err(|e| written(&e))?;
    Ok(if differences.is_empty() { Exit::Clean } else { Exit::Wrong })
}

fn human(differences: &[Difference], out: &mut dyn Write) -> io::Result<()> {
    for d in differences {
        let title = crate::text::safe(&d.title());
        match &d.change {
            Change::Added => writeln!(out, "+ {title}")?,
            Change::Removed => writeln!(out, "- {title}")?,
            Change::Changed(what) => {
                writeln!(out, "~ {title}")?;
                for line in what {
                    writeln!(out, "    {}", crate::text::safe(line))?;
                }
            }
        }
    }
    let count = |wanted: fn(&Change) -> bool| differences.iter().filter(|d| wanted(&d.change)).count();
    writeln!(
        out,
        "{} added, {} removed, {} changed",
        count(|c| *c == Change::Added),
        count(|c| *c == Change::Removed),
        count(|c| matches!(c, Change::Changed(_)))
    )
}

fn json(differences: &[Difference], out: &mut dyn Write) -> io::Result<()> {
    let changes: Vec<serde_json::Value> = differences
        .iter()
        .map(|d| {
            let (change, details) = match &d.change {
                Change::Added => ("added", &[][..]),
                Change::Removed => ("removed", &[][..]),
                Change::Changed(details) => ("changed", details.as_slice()),
            };
            serde_json::json!({
                "kind": d.kind.as_str(),
                "name": d.name,
                "change": change,
                "breaks": d.breaks(),
                "old": d.old.map(|id| id.0),
                "new": d.new.map(|id| id.0),
                "details": details,
            })
        })
        .collect();
    serde_json::to_writer_pretty(
        &mut *out,
        &serde_json::json!({"schema": "kvet-btf-diff/1", "changes": changes}),
    )?;
    writeln!(out)
}
