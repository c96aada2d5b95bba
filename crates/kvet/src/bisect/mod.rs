//! `kvet bisect`: what brought a failure in that shows only sometimes.

mod simulate;

use clap::Subcommand;

use crate::exit::Exit;

/// `kvet bisect`.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// The search against simulated histories: its accuracy and its cost, beside what people do by hand
    Simulate(simulate::SimulateArgs),
}

/// Runs `kvet bisect`.
pub fn run(command: &Command) -> Exit {
    match command {
        Command::Simulate(args) => simulate::run(args),
    }
}
