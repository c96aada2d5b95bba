//! `kvet bisect`: what brought a failure in that shows only sometimes.

mod args;
mod build;
mod commits;
mod config;
mod drive;
mod entry;
mod git;
mod kernels;
mod live;
mod minimal;
mod qemu;
mod report;
mod simulate;
mod state;
mod verdict;

use std::sync::atomic::{AtomicBool, Ordering};

use clap::Subcommand;

use crate::exit::Exit;
use crate::progress::complain;
use crate::text;

/// `kvet bisect`.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Which commit? Builds in a work tree of its own, and trusts no incremental build
    Commits(commits::CommitsArgs),
    /// Which of these built kernels, in order?
    Kernels(kernels::KernelsArgs),
    /// Which of the options in which two .config files differ?
    Config(config::ConfigArgs),
    /// Which QEMU, or which of its options: version, accelerator, CPUs, command line?
    Qemu(qemu::QemuArgs),
    /// The search against simulated histories: its accuracy and its cost, beside what people do by hand
    Simulate(simulate::SimulateArgs),
}

/// Why a search did not come to its end.
#[derive(Debug)]
pub enum Failure {
    /// Ctrl-C: it can be resumed.
    Stopped,
    /// It cannot go on; in words.
    Said(String),
}

impl Failure {
    fn said(words: impl Into<String>) -> Failure {
        Failure::Said(words.into())
    }
}

impl From<kvet_lab::Error> for Failure {
    fn from(error: kvet_lab::Error) -> Failure {
        Failure::Said(error.to_string())
    }
}

impl From<kvet_bisect::JournalError> for Failure {
    fn from(error: kvet_bisect::JournalError) -> Failure {
        Failure::Said(error.to_string())
    }
}

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Runs `kvet bisect`.
pub fn run(command: &Command) -> Exit {
    if let Command::Simulate(args) = command {
        return simulate::run(args);
    }
    state::listen_for_interrupt();
    let result = match command {
        Command::Commits(args) => commits::run(args),
        Command::Kernels(args) => kernels::run(args),
        Command::Config(args) => config::run(args),
        Command::Qemu(args) => qemu::run(args),
        Command::Simulate(args) => Ok(simulate::run(args)),
    };
    match result {
        Ok(exit) => exit,
        Err(Failure::Stopped) => {
            complain("stopped; the same command with --resume goes on where it was");
            Exit::Unanswered
        }
        Err(Failure::Said(words)) => {
            complain(&text::Lines(&words).to_string());
            Exit::Unanswered
        }
    }
}
