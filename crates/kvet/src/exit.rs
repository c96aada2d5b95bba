//! Exit status: the same three numbers for every command.

/// What a command found out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// 0: everything was looked at, nothing is wrong.
    Clean,
    /// 1: everything was looked at, something is wrong.
    Wrong,
    /// 2: the question could not be answered, for at least one artefact. It wins over 1, so that a script
    /// which sees 1 knows that the list of findings is whole.
    Unanswered,
    /// 125: `git bisect run` shall skip this commit.
    Skip,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Clean => 0.into(),
            Exit::Wrong => 1.into(),
            Exit::Unanswered => 2.into(),
            Exit::Skip => 125.into(),
        }
    }
}
