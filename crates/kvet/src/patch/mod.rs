//! `kvet patch`: the kernel's text as it will be once the kernel has patched itself on a given processor.

mod cpu;
mod features;
mod human;
mod json;
mod listing;
mod summary;

use std::io::{self, BufWriter, Write};
use std::iter;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kvet_image::{Image, Kind, VirtAddr};
use kvet_memory::text::Audit;
use kvet_memory::{Guest, Memory};
use kvet_tables::Context;
use kvet_tables::expected::{Difference, PatchedText, differences};

use crate::cli::Color;
use crate::exit::Exit;
use crate::progress::complain;
use crate::text;
use cpu::{Facts, Source};

pub const EXAMPLES: &str = "\
Examples:
  kvet patch vmlinuz --cpu Haswell                       sites and bytes by table and feature
  kvet patch vmlinuz --cpu EPYC --function copy_page     one function before and after
  kvet patch vmlinuz --cpu qemu64 --against ./cpuinfo    QEMU's CPU against the hardware's
  kvet patch vmlinux --features +erms,-smap -o patched   the patched kernel, to disassemble
  kvet patch vmlinuz --as-booted guest.memory            a guest's text, byte for byte

A QEMU model is asked by booting this very kernel on it, up to its first user space: what a kernel
makes of a processor (features of its own, bugs, mitigations, capabilities), only that kernel
knows. The bytes are computed from the tables. What a description does not decide stays as in the
file, and the output says so under `not known`.

Exit status:
  0  done; with --against nothing differs, with --as-booted every byte is explained
  1  with --against or --as-booted: something differs
  2  the question could not be answered (usage, unreadable input, no boot on that CPU)";

/// `kvet patch`.
#[derive(Args, Debug)]
pub struct PatchArgs {
    /// The kernel: vmlinux, vmlinuz, Image
    #[arg(value_name = "KERNEL")]
    pub kernel: PathBuf,
    /// The processor: a model that QEMU's -cpu takes, with its properties, or `host`
    ///
    /// `host` is this machine's, by its /proc/cpuinfo.
    #[arg(long, value_name = "MODEL")]
    pub cpu: Option<String>,
    /// The processor, by an x86-64 machine's /proc/cpuinfo
    ///
    /// What has no name there is what the kernel's defaults make of the bugs; the output names each assumption.
    #[arg(long, value_name = "FILE", conflicts_with = "cpu")]
    pub cpuinfo: Option<PathBuf>,
    /// Features to add and to take away: +erms,-smap
    ///
    /// x86-64: a name of /proc/cpuinfo, bug:NAME, or a number (740, 9*32+18). arm64: a capability's number or
    /// description. Without --cpu and --cpuinfo, on top of what every processor has.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, value_delimiter = ',')]
    pub features: Vec<String>,
    /// What another processor's text has otherwise: a model, `host`, or a file as of --cpuinfo (a path with a slash)
    #[arg(long, value_name = "CPU", conflicts_with_all = ["as_booted", "function"])]
    pub against: Option<String>,
    /// A guest's memory, as `kvet inspect` takes it: its processor and keys, and its text against what it should be
    #[arg(long, value_name = "MEMORY", conflicts_with_all = ["cpu", "cpuinfo", "features"])]
    pub as_booted: Option<PathBuf>,
    /// Static keys: as the file has them, or as the guest of --cpu or --as-booted has switched them
    #[arg(long, value_name = "STATE")]
    pub keys: Option<Keys>,
    /// One static key, by symbol (NAME or NAME+0xOFFSET) or address
    #[arg(long, value_name = "NAME=on|off")]
    pub key: Vec<String>,
    /// How many processors the machine has; on one, the kernel takes lock prefixes away
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub smp: u32,
    /// QEMU's binary
    #[arg(long, value_name = "FILE")]
    pub qemu: Option<PathBuf>,
    /// What the kernel's command line has beside the console: mitigations=off changes what is patched
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub append: String,
    /// How long a boot on a QEMU model may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub timeout: u64,
    /// A separate file with symbols, of the very build of the kernel
    #[arg(long, value_name = "FILE")]
    pub debug: Option<PathBuf>,
    /// Show what is patched in one function, disassembled
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Write the kernel with its text patched: an ELF as an ELF, a flat Image as an Image
    ///
    /// It is to be read, not booted: its tables would be applied again.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: PatchFormat,
}

/// Which state keys have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Keys {
    /// As in the file
    Initial,
    /// As the guest has them
    Booted,
}

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum PatchFormat {
    /// For people
    Human,
    /// For scripts: kvet-patch/1, see docs/json.md
    Json,
}

/// One processor's text.
pub struct Patched {
    pub cpu: Facts,
    pub text: PatchedText,
}

/// What is to be shown.
pub struct Answer<'a> {
    pub image: &'a Image,
    pub context: &'a Context<'a>,
    pub file: &'a PatchedText,
    pub patched: &'a Patched,
    pub keys: Keys,
    pub given: &'a [(VirtAddr, bool)],
    pub output: Option<&'a Path>,
    pub function: Option<(&'a str, listing::Listing)>,
    pub against: Option<(&'a Patched, Vec<Difference>)>,
    pub audit: Option<(&'a Guest<'a>, &'a Audit)>,
}

/// Runs the command.
pub fn run(args: &PatchArgs, color: Color) -> Exit {
    match patch(args, color) {
        Ok(exit) => exit,
        Err(why) => {
            complain(&text::Lines(&why).to_string());
            Exit::Unanswered
        }
    }
}

fn patch(args: &PatchArgs, color: Color) -> Result<Exit, String> {
    let mut image = Image::open(&args.kernel).map_err(|e| e.to_string())?;
    if image.kind() == Kind::Module {
        return Err(format!(
            "{}: is a module, which its kernel patches when it is loaded; give the kernel",
            args.kernel.display()
        ));
    }
    if let Some(debug) = &args.debug {
        let debug = Image::open(debug).map_err(|e| format!("--debug {e}"))?;
        image.attach_debug(debug).map_err(|e| format!("--debug {e}"))?;
    }
    let image = &image;
    let context = Context::new(image, None);
    let given = features::keys(&context, &args.key)?;
    let guest = args.as_booted.as_ref().map(|path| booted(path, image)).transpose()?;
    let source = source(args, guest.as_ref())?;
    let against = args.against.as_deref().map(Source::named).transpose()?;
    if image.symbol_addr("ideal_nops").is_some()
        && iter::once(&source).chain(&against).any(Source::is_described)
    {
        return Err(format!(
            "{}: this kernel (before 5.13) chooses its nops by the processor, which a description does not tell: name a \
             model of QEMU's with --cpu, and the kernel is asked",
            args.kernel.display()
        ));
    }
    let changed = features::changed(&context, &args.features)?;
    let keys = match (args.keys, &source) {
        (Some(Keys::Booted), Source::Baseline | Source::CpuInfo { .. }) => {
            return Err("--keys booted: only a guest (--cpu MODEL, --as-booted) has switched keys".into());
        }
        (Some(keys), _) => keys,
        (None, Source::Guest(_)) => Keys::Booted,
        (None, _) => Keys::Initial,
    };
    let asked = cpu::Asked { args, context: &context, keys, given: &given, changed: &changed };
    let patched = asked.patched(&source)?;
    let against = match &against {
        Some(other) => {
            let other = asked.patched(other)?;
            let found = differences(&patched.text, &other.text);
            Some((other, found))
        }
        None => None,
    };
    let audit = guest.as_ref().map(|guest| kvet_memory::text::audit(guest, &context)).transpose()?;
    if let Some(path) = &args.output {
        write_file(image, &patched.text, path)?;
    }
    let file = PatchedText::of_file(image);
    let function = match &args.function {
        Some(name) => Some((name.as_str(), listing::of(image, &file, &patched.text, name)?)),
        None => None,
    };
    let answer = Answer {
        image,
        context: &context,
        file: &file,
        patched: &patched,
        keys,
        given: &given,
        output: args.output.as_deref(),
        function,
        against: against.as_ref().map(|(other, found)| (other, found.clone())),
        audit: guest.as_ref().zip(audit.as_ref()),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let written = match args.format {
        PatchFormat::Json => json::write(&answer, &mut out),
        PatchFormat::Human => human::write(&answer, color, &mut out),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("stdout: cannot be written: {error}"))
        }
        _ => Ok(exit(&answer)),
    }
}

fn exit(answer: &Answer<'_>) -> Exit {
    let differs = answer.against.as_ref().is_some_and(|(_, found)| !found.is_empty());
    let wrong = answer.audit.is_some_and(|(_, audit)| audit.faults().next().is_some());
    if differs || wrong { Exit::Wrong } else { Exit::Clean }
}

fn booted<'a>(path: &Path, image: &'a Image) -> Result<Guest<'a>, String> {
    let memory = Memory::open(path, image.arch()).map_err(|e| e.to_string())?;
    Guest::new(memory, image, Vec::new()).map_err(|e| e.to_string())
}

fn source<'g, 'a>(args: &PatchArgs, guest: Option<&'g Guest<'a>>) -> Result<Source<'g, 'a>, String> {
    match (guest, &args.cpu, &args.cpuinfo) {
        (Some(guest), ..) => Ok(Source::Guest(guest)),
        (None, Some(name), _) => Source::model(name),
        (None, None, Some(path)) => Source::file(path),
        (None, None, None) => Ok(Source::Baseline),
    }
}

/// Writes the file that the image was read from, decompressed, with this text in it.
fn write_file(image: &Image, patched: &PatchedText, path: &Path) -> Result<(), String> {
    let mut bytes = image.raw().to_vec();
    for part in &patched.parts {
        let range = image.file_range(part.start).and_then(|range| {
            let end = range.start.checked_add(part.bytes.len())?;
            bytes.get_mut(range.start..end)
        });
        let range =
            range.ok_or_else(|| format!("{}: {} is not wholly in the file", path.display(), part.name))?;
        range.copy_from_slice(&part.bytes);
    }
    std::fs::write(path, bytes).map_err(|e| format!("{}: cannot be written: {e}", path.display()))
}
