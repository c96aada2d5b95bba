//! Options that all axes share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use super::Failure;
use crate::boot::args::BootArgs;

/// How a candidate is judged, when to stop, where the state is.
#[derive(Args, Debug)]
pub struct Common {
    /// Judge a candidate by this command in place of a boot; its exit status is that of `git bisect run`
    ///
    /// 0 is good, 125 cannot be tested, 1 to 127 is bad, anything else ends the search. The command finds
    /// KVET_CANDIDATE, KVET_NAME and, where there is one, KVET_KERNEL in its environment.
    #[arg(long, value_name = "CMD", conflicts_with_all = ["boot_options", "signature", "any_failure"], help_heading = JUDGE)]
    pub run: Option<String>,
    /// Seconds after which the command counts as bad
    #[arg(long, value_name = "S", requires = "run", help_heading = JUDGE)]
    pub run_timeout: Option<f64>,
    /// Hunt boots whose failure has this in its signature or title [default: the first failure of the bad end]
    ///
    /// Boots that fail otherwise are neither good nor bad.
    #[arg(long, value_name = "TEXT", help_heading = JUDGE)]
    pub signature: Option<String>,
    /// Hunt every failure, whatever its signature
    #[arg(long, conflicts_with = "signature", help_heading = JUDGE)]
    pub any_failure: bool,
    /// The probability at which the search stops
    #[arg(long, value_name = "C", default_value_t = 0.95, help_heading = JUDGE)]
    pub confidence: f64,
    /// Boots of the bad end without the failure after which it counts as not reproduced
    #[arg(long, value_name = "N", default_value_t = 3000, help_heading = JUDGE)]
    pub give_up: u64,

    /// What a build costs, in runs [default: as measured]
    #[arg(long, value_name = "RUNS", help_heading = JUDGE)]
    pub build_cost: Option<f64>,

    /// The directory that the search is kept in [default: one for this question, in the XDG state directory]
    #[arg(long, value_name = "DIR", help_heading = STATE)]
    pub state: Option<PathBuf>,
    /// Go on with a search that was stopped or killed
    #[arg(long, help_heading = STATE)]
    pub resume: bool,

    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: Form,
    /// Write a text that is ready to be mailed into this file
    #[arg(long, value_name = "FILE")]
    pub mail: Option<PathBuf>,

    /// Options of `kvet boot` for every boot: machine, what counts, stress
    #[arg(last = true, value_name = "BOOT-OPTIONS")]
    pub boot_options: Vec<String>,
}

const JUDGE: &str = "Verdict";
const STATE: &str = "State";

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Form {
    /// For people
    Human,
    /// For scripts: kvet-bisect/1, see docs/json.md
    Json,
}

#[derive(Parser)]
#[command(name = "kvet boot", no_binary_name = true)]
struct Words {
    #[command(flatten)]
    args: BootArgs,
}

/// Options of `kvet boot` as words, for a kernel that comes later.
///
/// # Errors
/// They are none, or say how many boots there shall be, which is the search's business.
pub fn boot_args(words: &[String]) -> Result<BootArgs, Failure> {
    let all = words.iter().map(String::as_str).chain(["--", "KERNEL"]);
    let args = Words::try_parse_from(all)
        .map_err(|e| Failure::said(format!("options of kvet boot: {}", e.to_string().trim())))?
        .args;
    let own = args.boots.is_some()
        || args.until.is_some()
        || args.until_rate.is_some()
        || args.until_confident.is_some()
        || args.resume.is_some()
        || args.replay.is_some()
        || args.store.is_some()
        || args.git_bisect
        || args.from_snapshot.is_some();
    match own {
        true => Err(Failure::said(
            "how many boots there are, when they stop and where they are kept is the search's own business: leave \
             -n, --until*, --resume, --replay, --store, --git-bisect and --from-snapshot out",
        )),
        false => Ok(args),
    }
}

impl Common {
    /// What decides the answer, for the journal.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![
            format!("confidence {}", self.confidence),
            format!("give up {}", self.give_up),
            format!("boot {}", self.boot_options.join(" ")),
        ];
        words.extend(self.build_cost.map(|c| format!("build cost {c}")));
        words.extend(self.run.as_ref().map(|r| format!("run {r}")));
        words.extend(self.run_timeout.map(|s| format!("run timeout {s}")));
        words.extend(self.signature.as_ref().map(|s| format!("signature {s}")));
        words.extend(self.any_failure.then(|| "any failure".into()));
        words
    }

    /// How long a command may take.
    ///
    /// # Errors
    /// The number makes no sense.
    pub fn limit(&self) -> Result<Option<Duration>, Failure> {
        let Some(seconds) = self.run_timeout else { return Ok(None) };
        match seconds > 0.0 && seconds < 1e6 {
            true => Ok(Some(Duration::from_secs_f64(seconds))),
            false => Err(Failure::said(format!("--run-timeout {seconds}: give seconds, more than 0"))),
        }
    }
}
