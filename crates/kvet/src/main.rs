//! kvet: the command line. Arguments, progress and rendering; what is true of a kernel, the libraries say.

mod bisect;
mod boot;
mod btf;
mod bytes;
mod check;
mod cli;
mod exit;
mod explain;
mod inspect;
mod patch;
mod progress;
mod render;
mod report;
mod runs;
mod stale;
mod text;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    let color = cli.color;
    match cli.command {
        cli::Command::Check(args) => check::run(&args, color),
        cli::Command::Boot(args) => boot::run(&args, color),
        cli::Command::Inspect(args) => inspect::run(&args, color),
        cli::Command::Patch(args) => patch::run(&args, color),
        cli::Command::Runs(args) => runs::run(&args, color),
        cli::Command::Report(args) => report::run(&args),
        cli::Command::Explain(args) => explain::run(&args, color),
        cli::Command::Btf(command) => btf::run(&command),
        cli::Command::Bisect(command) => bisect::run(&command),
        cli::Command::Stale(args) => stale::run(&args),
        cli::Command::Completions { shell } => cli::completions(shell),
        cli::Command::Man { directory } => cli::man(directory.as_deref()),
    }
    .into()
}
