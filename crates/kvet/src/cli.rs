//! The one definition of every command and option: parser, help, man pages and completions come from here.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use kvet_btf::kernel::Rules;

use crate::exit::Exit;

/// The crate's version with the source revision, as `build.rs` found it.
const VERSION: &str = env!("KVET_VERSION");

const EXIT_STATUS: &str = "\
Exit status:
  0  everything was looked at, nothing is wrong
  1  everything was looked at, something is wrong
  2  the question could not be answered (usage, unreadable input); wins over 1";

const EXPLAIN_EXIT_STATUS: &str = "\
Exit status:
  0  every log was read, none holds a failure
  1  every log was read, and a failure was found
  2  the question could not be answered (usage, an unreadable log or kernel); wins over 1";

/// kernel vet: proves that a Linux kernel will patch itself correctly, and explains why one did not boot
#[derive(Parser, Debug)]
#[command(name = "kvet", version = VERSION, after_help = EXIT_STATUS, max_term_width = 100)]
pub struct Cli {
    /// When to colour output; `auto` is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// When to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Color {
    /// On a terminal; NO_COLOR, CLICOLOR and CLICOLOR_FORCE are honoured
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Whether stdout gets colours.
    pub fn on_stdout(self) -> bool {
        match self {
            Color::Auto => anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
            Color::Always => true,
            Color::Never => false,
        }
    }
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Will this kernel patch itself correctly? Checks vmlinux, vmlinuz, Image, modules and BTF
    #[command(after_help = EXIT_STATUS)]
    Check(CheckArgs),
    /// What happened in this console log? First cause first, with its evidence
    #[command(after_help = EXPLAIN_EXIT_STATUS)]
    Explain(ExplainArgs),
    /// How often does this kernel fail to boot, in which ways? Boots it in QEMU, many times
    #[command(after_help = EXIT_STATUS)]
    Boot(Box<crate::boot::args::BootArgs>),
    /// What does a failed guest's memory say: its log, its text against its tables, its keys, its CPUs?
    #[command(after_help = crate::inspect::EXAMPLES)]
    Inspect(crate::inspect::InspectArgs),
    /// What will this kernel's text be after boot on this CPU? Applies its tables as the kernel does
    #[command(after_help = crate::patch::EXAMPLES)]
    Patch(Box<crate::patch::PatchArgs>),
    /// The boots in the store: list, show, export, compare
    Runs(crate::runs::RunsArgs),
    /// One HTML page of a campaign: rate, clusters, times, annotated logs
    Report(crate::report::ReportArgs),
    /// BTF as text, and what changed between two kernels' types
    #[command(subcommand)]
    Btf(crate::btf::Command),
    /// What brought a failure in that shows only sometimes?
    #[command(subcommand)]
    Bisect(crate::bisect::Command),
    /// Which objects of a build tree no longer match what they were built from?
    #[command(after_help = EXIT_STATUS)]
    Stale(crate::stale::StaleArgs),
    /// Prints the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes one for every command
    Man {
        /// Write kvet.1, kvet-check.1 and so on into this directory
        #[arg(value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
}

/// `kvet check`.
#[derive(clap::Args, Debug)]
pub struct CheckArgs {
    /// Kernels, modules, BTF, or directories that hold them; `-` is stdin
    ///
    /// A kernel is an ELF vmlinux (with or without symbols), an x86 vmlinuz, an arm64 Image or an EFI zboot
    /// image; a module is a .ko. Each may be compressed. BTF may come by itself: a .btf file, or what
    /// /sys/kernel/btf holds. In a directory, files are taken by their names, and symbolic links to directories are not followed. Without an argument, the kernel and the modules that
    /// are installed for the running system are checked.
    #[arg(value_name = "ARTEFACT")]
    pub artefacts: Vec<PathBuf>,

    /// The kernel that the modules are for
    ///
    /// Also its BTF alone (/sys/kernel/btf/vmlinux), against which modules' BTF is checked and nothing else.
    /// Without it, a kernel of the same release among the artefacts is taken.
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,

    /// A directory of modules to check as well
    #[arg(long, value_name = "DIR")]
    pub modules: Option<PathBuf>,

    /// A separate file with symbols and DWARF, of the very build of the kernel (or module)
    ///
    /// It names functions where the artefact cannot, and source lines. A file of another build is refused.
    #[arg(long, value_name = "FILE")]
    pub debug: Option<PathBuf>,

    /// How much of BTF is checked
    ///
    /// What the kernel checks is judged in its own words in both strengths: its first refusal, with its errno and
    /// log. In kernel strength a file of BTF is what a little-endian kernel is given, whatever it may be: a big-endian
    /// machine's is refused, and a module's without --kernel as well.
    #[arg(long, value_name = "STRENGTH", default_value = "strict")]
    pub btf_strength: BtfStrength,

    /// The kernel version that reads the BTF: 6.1, 6.12, or `newest`
    ///
    /// By default the artefact's own, or a newer one when a kernel's BTF shows that its reader of BTF is newer than
    /// its release; for a file of BTF, which names none, the newest. The output says by which it was judged.
    #[arg(long = "as", value_name = "VERSION")]
    pub as_version: Option<Version>,

    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: Format,

    /// How many findings of one rule to show in full; 0 shows all (human output only)
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub max_findings: u64,

    /// Let warnings fail, as errors do
    #[arg(long)]
    pub deny_warnings: bool,

    /// Show what was proved of each table, the tables of every module, and notes
    #[arg(short, long)]
    pub verbose: bool,
}

/// How much of BTF is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum BtfStrength {
    /// What the kernel checks, up to its first refusal, and nothing else
    Kernel,
    /// All findings, also of what the kernel never checks of its own BTF
    Strict,
}

impl From<BtfStrength> for kvet_tables::btf::Strength {
    fn from(strength: BtfStrength) -> Self {
        match strength {
            BtfStrength::Kernel => Self::Kernel,
            BtfStrength::Strict => Self::Strict,
        }
    }
}

/// A kernel version whose rules for BTF are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version(pub &'static Rules);

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        if text == "newest" {
            return Ok(Version(Rules::newest()));
        }
        Rules::for_release(text).map(Version).ok_or_else(|| {
            let known: Vec<String> = kvet_btf::kernel::ALL.iter().map(|rules| rules.to_string()).collect();
            format!("expected a kernel version ({}) or `newest`", known.join(", "))
        })
    }
}

/// `kvet explain`.
#[derive(clap::Args, Debug)]
pub struct ExplainArgs {
    /// Console logs, or mails and pages that quote them; `-` is stdin
    ///
    /// Each may be compressed (gzip, xz, zstd) and may hold several boots. Several logs are grouped by what failed.
    /// Without an argument the log comes from a pipe; on a terminal, the running kernel's own log is read.
    #[arg(value_name = "LOG")]
    pub logs: Vec<PathBuf>,

    /// The kernel that wrote the logs: names table entries, source lines, the fields of structs
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,

    /// A directory of that kernel's modules
    #[arg(long, value_name = "DIR", requires = "kernel")]
    pub modules: Option<PathBuf>,

    /// A separate file with symbols and DWARF, of the very build of the kernel
    #[arg(long, value_name = "FILE", requires = "kernel")]
    pub debug: Option<PathBuf>,

    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: ExplainFormat,

    /// Explain consequences too, and each log of many (human output only)
    #[arg(short, long)]
    pub verbose: bool,

    /// With --format kcidb: the CI system that submits
    #[arg(long, value_name = "NAME", default_value = "kvet", value_parser = crate::render::explain::kcidb::origin)]
    pub kcidb_origin: String,

    /// With --format kcidb: the id of the build that the logs are of
    #[arg(long, value_name = "ID", value_parser = crate::render::explain::kcidb::id)]
    pub kcidb_build: Option<String>,

    /// With --format kcidb: the id of the test that the logs are of
    #[arg(long, value_name = "ID", value_parser = crate::render::explain::kcidb::id)]
    pub kcidb_test: Option<String>,
}

/// The form of `kvet explain`'s output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ExplainFormat {
    /// For people
    Human,
    /// For scripts: kvet-explain/1, see docs/json.md
    Json,
    /// For KernelCI's database: issues and incidents, schema 5.3
    Kcidb,
}

/// The form of `kvet check`'s output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// For scripts: kvet-check/1, see docs/json.md
    Json,
    /// For code scanning: SARIF 2.1.0
    Sarif,
    /// For continuous integration: JUnit XML, a test case a table
    Junit,
}

/// `kvet completions`.
pub fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kvet", &mut script);
    said(io::stdout().write_all(&script), "stdout")
}

/// `kvet man`.
pub fn man(directory: Option<&Path>) -> Exit {
    match directory {
        Some(directory) => {
            said(clap_mangen::generate_to(Cli::command(), directory), &crate::text::path(directory))
        }
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            said(rendered.and_then(|()| io::stdout().write_all(&page)), "stdout")
        }
    }
}

/// The exit status of having written something; a reader who has gone is no failure.
fn said(result: io::Result<()>, place: &str) -> Exit {
    match result {
        Ok(()) => Exit::Clean,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Clean,
        Err(error) => {
            crate::progress::complain(&format!("{place}: cannot be written: {error}"));
            Exit::Unanswered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_is_reviewed() {
        let mut command = Cli::command().term_width(100).version("VERSION");
        let check = command.find_subcommand_mut("check").expect("check is a command");
        insta::assert_snapshot!("help_check", check.render_long_help());
        let explain = command.find_subcommand_mut("explain").expect("explain is a command");
        insta::assert_snapshot!("help_explain", explain.render_long_help());
        let boot = command.find_subcommand_mut("boot").expect("boot is a command");
        insta::assert_snapshot!("help_boot", boot.render_long_help());
        let patch = command.find_subcommand_mut("patch").expect("patch is a command");
        insta::assert_snapshot!("help_patch", patch.render_long_help());
        insta::assert_snapshot!("help", command.render_long_help());
    }
}
