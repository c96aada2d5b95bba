//! Why a target cannot be trusted.

/// One reason, with the edge that it concerns.
#[derive(Clone, PartialEq, Debug)]
pub enum Reason {
    /// An input was written after the target.
    NewerInput {
        /// The input.
        input: String,
        /// By how many seconds.
        seconds: f64,
    },
    /// An input is not there any more.
    MissingInput {
        /// The input.
        input: String,
    },
    /// An input was changed after the target was made, but its time stamp says older.
    KeptTimeStamp {
        /// The input.
        input: String,
        /// How many seconds after the target it was changed.
        seconds: f64,
    },
    /// A file that did not exist when the target was made now comes first in its include path.
    Shadowed {
        /// What was read.
        input: String,
        /// What would be read now.
        by: String,
        /// The name in the `#include`.
        name: String,
    },
    /// The compiler reads a file that the record does not name.
    UnrecordedInput {
        /// The file.
        input: String,
    },
    /// The record names a file that the compiler does not read any more.
    DroppedInput {
        /// The file.
        input: String,
    },
    /// Another compiler made it than the one that the saved command would run now.
    OtherCompiler {
        /// What made it.
        made_by: String,
        /// What is found now.
        found: String,
    },
    /// The compiler's program is newer than the target.
    NewerCompiler {
        /// Its path.
        compiler: String,
        /// By how many seconds.
        seconds: f64,
    },
    /// An option that it depends on has another value in `.config` than in what it was made with.
    Option {
        /// The option.
        option: String,
        /// What it was made with.
        was: String,
        /// What `.config` says.
        is: String,
    },
    /// An option that it depends on was changed after it was made.
    NewerOption {
        /// The option.
        option: String,
        /// By how many seconds.
        seconds: f64,
    },
    /// A member was made after the archive, link or image that holds it.
    NewerMember {
        /// The member.
        member: String,
        /// By how many seconds.
        seconds: f64,
    },
    /// A member is not there any more.
    MissingMember {
        /// The member.
        member: String,
    },
    /// It was written after its record, so that something else than Kbuild made it.
    NotByKbuild {
        /// By how many seconds.
        seconds: f64,
    },
    /// Its record was written long after it: the command in it need not be the one that made it.
    RecordChanged {
        /// By how many seconds.
        seconds: f64,
    },
    /// `kvet check` finds what it holds broken, or in disagreement with the rest of the image.
    Check {
        /// The finding's rule.
        rule: String,
        /// The finding's message.
        message: String,
        /// How many findings it has.
        findings: usize,
    },
}

impl Reason {
    /// Its name in output that scripts read.
    pub fn rule(&self) -> &'static str {
        match self {
            Reason::NewerInput { .. } => "newer-input",
            Reason::MissingInput { .. } => "missing-input",
            Reason::KeptTimeStamp { .. } => "kept-time-stamp",
            Reason::Shadowed { .. } => "shadowed-include",
            Reason::UnrecordedInput { .. } => "unrecorded-input",
            Reason::DroppedInput { .. } => "dropped-input",
            Reason::OtherCompiler { .. } => "other-compiler",
            Reason::NewerCompiler { .. } => "newer-compiler",
            Reason::Option { .. } => "option",
            Reason::NewerOption { .. } => "newer-option",
            Reason::NewerMember { .. } => "newer-member",
            Reason::MissingMember { .. } => "missing-member",
            Reason::NotByKbuild { .. } => "not-by-kbuild",
            Reason::RecordChanged { .. } => "record-changed",
            Reason::Check { .. } => "check",
        }
    }

    /// The other end of the edge: the file, option or compiler that makes the target stale.
    pub fn edge(&self) -> Option<&str> {
        match self {
            Reason::NewerInput { input, .. }
            | Reason::MissingInput { input }
            | Reason::KeptTimeStamp { input, .. }
            | Reason::UnrecordedInput { input }
            | Reason::DroppedInput { input } => Some(input),
            Reason::Shadowed { by, .. } => Some(by),
            Reason::OtherCompiler { found, .. } => Some(found),
            Reason::NewerCompiler { compiler, .. } => Some(compiler),
            Reason::Option { option, .. } | Reason::NewerOption { option, .. } => Some(option),
            Reason::NewerMember { member, .. } | Reason::MissingMember { member } => Some(member),
            Reason::NotByKbuild { .. } | Reason::RecordChanged { .. } | Reason::Check { .. } => None,
        }
    }

    /// Whether `make` finds this by itself when it runs next. Where it does not, the target stays as it is.
    pub fn is_seen_by_make(&self) -> bool {
        matches!(
            self,
            Reason::NewerInput { .. }
                | Reason::MissingInput { .. }
                | Reason::Option { .. }
                | Reason::NewerOption { .. }
                | Reason::NewerMember { .. }
                | Reason::MissingMember { .. }
        )
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::NewerInput { input, seconds } => write!(f, "{input} is newer, by {}", Span(*seconds)),
            Reason::MissingInput { input } => {
                write!(f, "{input}, which it was made from, does not exist any more")
            }
            Reason::KeptTimeStamp { input, seconds } => write!(
                f,
                "{input} was changed {} after it was made, though its time stamp says older (what changed is not \
                 recorded: content, name or permissions)",
                Span(*seconds)
            ),
            Reason::Shadowed { input, by, name } => write!(
                f,
                "it was made from {input}, but {by}, which is new, now comes first in the include path for {name}"
            ),
            Reason::UnrecordedInput { input } => {
                write!(f, "the compiler reads {input}, which its record does not name")
            }
            Reason::DroppedInput { input } => {
                write!(f, "its record names {input}, which the compiler does not read now")
            }
            Reason::OtherCompiler { made_by, found } => {
                write!(f, "it was made by \"{made_by}\", the compiler found now is \"{found}\"")
            }
            Reason::NewerCompiler { compiler, seconds } => {
                write!(f, "the compiler {compiler} is newer, by {}", Span(*seconds))
            }
            Reason::Option { option, was, is } => {
                write!(f, "it was made with {option}={was}, .config says {is}")
            }
            Reason::NewerOption { option, seconds } => {
                write!(f, "{option} was changed {} after it was made", Span(*seconds))
            }
            Reason::NewerMember { member, seconds } => {
                write!(f, "its member {member} is newer, by {}", Span(*seconds))
            }
            Reason::MissingMember { member } => write!(f, "its member {member} does not exist any more"),
            Reason::NotByKbuild { seconds } => {
                write!(
                    f,
                    "it was written {} after its record: something else than Kbuild made it",
                    Span(*seconds)
                )
            }
            Reason::RecordChanged { seconds } => {
                write!(
                    f,
                    "its record was written {} after it: the command in it need not be the one that made it",
                    Span(*seconds)
                )
            }
            Reason::Check { rule, message, findings } => {
                let more = if *findings > 1 { format!(" (the first of {findings})") } else { String::new() };
                write!(f, "kvet check, {rule}: {message}{more}")
            }
        }
    }
}

/// A time span as one reads it.
struct Span(f64);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            s if s < 1.0 => write!(f, "{:.0} ms", s * 1e3),
            s if s < 120.0 => write!(f, "{s:.1} s"),
            s if s < 7_200.0 => write!(f, "{:.0} minutes", s / 60.0),
            s if s < 172_800.0 => write!(f, "{:.0} hours", s / 3_600.0),
            s => write!(f, "{:.0} days", s / 86_400.0),
        }
    }
}
