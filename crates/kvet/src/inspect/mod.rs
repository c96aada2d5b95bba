//! `kvet inspect`: from a guest's memory and its kernel to what it says, to a renderer.

mod explained;
pub mod human;
pub mod json;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kvet_image::Image;
use kvet_memory::cpus::Cpu;
use kvet_memory::features::FeatureSet;
use kvet_memory::keys::KeyState;
use kvet_memory::pages::Pages;
use kvet_memory::paging::Walk;
use kvet_memory::text::Audit;
use kvet_memory::{Guest, Memory, Registers, cpus, dmesg, features, keys, pages, text as text_audit};
use kvet_tables::Context;

use crate::cli::Color;
use crate::exit::Exit;
use crate::progress::complain;
use crate::text;

pub const EXAMPLES: &str = "\
Examples:
  kvet inspect guest.memory --kernel vmlinuz            everything: log, text, keys, CPUs, page tables
  kvet inspect guest.memory --kernel vmlinuz --dmesg    the log alone, as dmesg prints it
  kvet inspect dump.elf --kernel vmlinux --walk ffffffff81000000

MEMORY is a guest's RAM (the file of QEMU's memory-backend-file, or what `kvet boot --keep-memory` keeps), an ELF dump
of QEMU's dump-guest-memory, a vmcore, or /proc/kcore. RAM alone holds no registers: `info registers -a` of QEMU's
monitor, saved to a file, gives them.

Exit status:
  0  everything that was asked for was looked at, nothing is wrong
  1  something is wrong
  2  the question could not be answered (usage, unreadable input, the kernel is not in the memory)";

/// `kvet inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The memory
    #[arg(value_name = "MEMORY")]
    pub memory: PathBuf,
    /// The kernel that ran there: vmlinux, vmlinuz, Image
    #[arg(long, value_name = "FILE")]
    pub kernel: PathBuf,
    /// A separate file with symbols, of the very build of the kernel
    #[arg(long, value_name = "FILE")]
    pub debug: Option<PathBuf>,
    /// The CPUs' registers: what QEMU's monitor says to `info registers -a`
    #[arg(long, value_name = "FILE")]
    pub registers: Option<PathBuf>,
    /// The kernel's log, complete, also what no console ever showed
    #[arg(long)]
    pub dmesg: bool,
    /// The text against the tables: what is unpatched, half-patched, patched for the wrong feature, or nobody's
    #[arg(long)]
    pub text: bool,
    /// Static keys with their counts and sites, and the CPU's features by name
    #[arg(long)]
    pub keys: bool,
    /// What each CPU was doing, and who waits for whom
    #[arg(long)]
    pub cpus: bool,
    /// Walk the page tables to an address (hexadecimal)
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub walk: Option<u64>,
    /// Check the kernel's half of the page tables
    #[arg(long)]
    pub tables: bool,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: InspectFormat,
}

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum InspectFormat {
    /// For people
    Human,
    /// For scripts: kvet-inspect/1, see docs/json.md
    Json,
}

fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text).replace('_', "");
    u64::from_str_radix(&digits, 16)
        .map_err(|_| "expected a hexadecimal address such as ffffffff81000000".into())
}

/// What was asked for and found: each `None` was not asked for, each error is the sentence that says why not.
pub struct Findings<'a, 'g> {
    pub guest: &'a Guest<'g>,
    pub context: &'a Context<'g>,
    pub log: Option<Result<dmesg::Log, String>>,
    pub explanation: Option<crate::explain::Explanation>,
    pub text: Option<Result<Audit, String>>,
    pub keys: Option<Result<Vec<KeyState>, String>>,
    pub features: Option<Result<FeatureSet, String>>,
    pub cpus: Option<Vec<Cpu>>,
    pub walk: Option<Result<Walk, String>>,
    pub pages: Option<Result<Pages, String>>,
}

/// Runs the command.
pub fn run(args: &InspectArgs, color: Color) -> Exit {
    match inspect(args, color) {
        Ok(exit) => exit,
        Err(why) => {
            complain(&text::safe(&why));
            Exit::Unanswered
        }
    }
}

fn inspect(args: &InspectArgs, color: Color) -> Result<Exit, String> {
    let mut image = Image::open(&args.kernel).map_err(|e| format!("--kernel {e}"))?;
    if let Some(debug) = &args.debug {
        let debug = Image::open(debug).map_err(|e| format!("--debug {e}"))?;
        image.attach_debug(debug).map_err(|e| format!("--debug {e}"))?;
    }
    let memory = Memory::open(&args.memory, image.arch()).map_err(|e| e.to_string())?;
    let registers = registers(args.registers.as_deref(), &image)?;
    let guest = Guest::new(memory, &image, registers).map_err(|e| e.to_string())?;
    let context = Context::new(&image, None);
    let findings = look(args, &guest, &context);
    let mut out = BufWriter::new(io::stdout().lock());
    let only_log = args.dmesg && !(args.text || args.keys || args.cpus || args.tables || args.walk.is_some());
    let written = match (args.format, only_log) {
        (InspectFormat::Json, _) => json::write(&findings, &mut out),
        (InspectFormat::Human, true) => log_alone(&findings, &mut out),
        (InspectFormat::Human, false) => human::write(&findings, color, &mut out),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("stdout: cannot be written: {error}"))
        }
        _ => Ok(exit(&findings, only_log)),
    }
}

fn registers(path: Option<&Path>, image: &Image) -> Result<Vec<Registers>, String> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(path).map_err(|e| format!("--registers {}: {e}", path.display()))?;
    let registers = Registers::of_monitor(image.arch(), &text);
    if registers.is_empty() {
        return Err(format!(
            "--registers {}: holds no CPU's registers (lines `CPU#0`, then NAME=VALUE)",
            path.display()
        ));
    }
    Ok(registers)
}

fn look<'a, 'g>(args: &InspectArgs, guest: &'a Guest<'g>, context: &'a Context<'g>) -> Findings<'a, 'g> {
    let all = !(args.dmesg || args.text || args.keys || args.cpus || args.tables || args.walk.is_some());
    let only_log = args.dmesg && !(args.text || args.keys || args.cpus || args.tables || args.walk.is_some());
    let log = (all || args.dmesg).then(|| dmesg::read(guest));
    let explain = !only_log || args.format == InspectFormat::Json;
    let explanation = match &log {
        Some(Ok(log)) if explain => Some(explained::explain(&args.memory, &log.text(true), context)),
        _ => None,
    };
    Findings {
        guest,
        context,
        log,
        explanation,
        text: (all || args.text).then(|| text_audit::audit(guest, context)),
        keys: (all || args.keys).then(|| keys::keys(guest, context)),
        features: (all || args.keys).then(|| features::features(guest, context)),
        cpus: (all || args.cpus).then(|| cpus::cpus(guest, context)),
        walk: args.walk.map(|at| match guest.tables() {
            Some(tables) => Ok(tables.walk(guest.memory(), at)),
            None => Err(guest.placement().tables_by.clone()),
        }),
        pages: (all || args.tables).then(|| pages::check(guest)),
    }
}

/// The log as `dmesg` prints it: nothing is changed, not even for a terminal's sake, unless it is one.
fn log_alone(findings: &Findings<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    match &findings.log {
        Some(Ok(log)) => {
            let bytes = log.text(false);
            if io::IsTerminal::is_terminal(&io::stdout()) {
                for line in String::from_utf8_lossy(&bytes).lines() {
                    writeln!(out, "{}", text::safe(line))?;
                }
                return Ok(());
            }
            out.write_all(&bytes)
        }
        _ => Ok(()),
    }
}

fn exit(findings: &Findings<'_, '_>, only_log: bool) -> Exit {
    let failed = |answered: Option<bool>| answered == Some(false);
    let asked = [
        findings.log.as_ref().map(Result::is_ok),
        findings.text.as_ref().map(Result::is_ok),
        findings.keys.as_ref().map(Result::is_ok),
        findings.walk.as_ref().map(Result::is_ok),
        findings.pages.as_ref().map(Result::is_ok),
    ];
    if asked.into_iter().any(failed) {
        for why in [
            findings.log.as_ref().and_then(|r| r.as_ref().err()),
            findings.text.as_ref().and_then(|r| r.as_ref().err()),
            findings.keys.as_ref().and_then(|r| r.as_ref().err()),
            findings.walk.as_ref().and_then(|r| r.as_ref().err()),
            findings.pages.as_ref().and_then(|r| r.as_ref().err()),
        ]
        .into_iter()
        .flatten()
        {
            complain(&text::safe(why));
        }
        return Exit::Unanswered;
    }
    let wrong_text = matches!(&findings.text, Some(Ok(audit)) if audit.faults().next().is_some());
    let wrong_pages = matches!(&findings.pages, Some(Ok(p)) if p.faults.iter().any(|f| !f.early));
    let wrong_log = !only_log && findings.explanation.as_ref().is_some_and(|e| !e.reports.is_empty());
    let stale = |cpu: &Cpu| cpu.int3.as_ref().is_some_and(|int3| int3.stale);
    let wrong_cpus = findings.cpus.as_ref().is_some_and(|cpus| cpus.iter().any(stale));
    if wrong_text || wrong_pages || wrong_log || wrong_cpus { Exit::Wrong } else { Exit::Clean }
}
