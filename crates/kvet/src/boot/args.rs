//! The options of `kvet boot`, and values that clap does not know.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

/// `kvet boot`.
#[derive(Args, Debug)]
pub struct BootArgs {
    /// The kernel: vmlinuz, ELF vmlinux or arm64 Image; its architecture chooses the emulator
    #[arg(value_name = "KERNEL", required_unless_present_any = ["resume", "replay"])]
    pub kernel: Option<PathBuf>,

    /// How often to boot it
    #[arg(short = 'n', long, value_name = "N")]
    pub boots: Option<u64>,
    /// Guests at once; by default as many as there are processors for
    #[arg(short, long, value_name = "J")]
    pub jobs: Option<usize>,

    /// The emulator; several are compared
    #[arg(long, value_name = "FILE", help_heading = MACHINE)]
    pub qemu: Vec<PathBuf>,
    /// QEMU's accelerator with its properties, or auto: KVM where it proves to work, else TCG; several are compared
    #[arg(long, value_name = "A", help_heading = MACHINE)]
    pub accel: Vec<String>,
    /// Virtual CPUs; several, as 1,4, are compared
    #[arg(long, value_name = "N", value_delimiter = ',', help_heading = MACHINE)]
    pub smp: Vec<u32>,
    /// QEMU's CPU model; several are compared
    #[arg(long, value_name = "MODEL", help_heading = MACHINE)]
    pub cpu: Vec<String>,
    /// Memory of a guest
    #[arg(long, value_name = "SIZE", default_value = "512M", help_heading = MACHINE)]
    pub memory: Mebibytes,
    /// QEMU's machine type
    #[arg(long, value_name = "TYPE", help_heading = MACHINE)]
    pub machine: Option<String>,
    /// Where QEMU finds its firmware (-L)
    #[arg(long, value_name = "DIR", help_heading = MACHINE)]
    pub firmware: Vec<PathBuf>,
    /// A further argument for QEMU
    #[arg(long, value_name = "ARG", allow_hyphen_values = true, help_heading = MACHINE)]
    pub qemu_arg: Vec<String>,
    /// Give the guest a network card
    #[arg(long, help_heading = MACHINE)]
    pub network: bool,
    /// Added to the kernel's command line; several are compared
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = MACHINE)]
    pub append: Vec<String>,
    /// The initrd; without it a built-in init says that it runs, and powers off
    #[arg(long, value_name = "FILE", help_heading = MACHINE)]
    pub initrd: Option<PathBuf>,

    /// A boot has passed when a line of its console matches; with --initrd, by default, when the guest powers off
    /// in order or asks for a login
    #[arg(long, value_name = "REGEX", help_heading = JUDGE)]
    pub success: Option<String>,
    /// The longest that one boot may take, in seconds [default: 300, and 1200 under --stress, which starves its guests]
    #[arg(long, value_name = "S", help_heading = JUDGE)]
    pub timeout: Option<f64>,
    /// Seconds of silence that make a hang, in the guest's own time; by default learned from the boots that passed
    #[arg(long, value_name = "S", help_heading = JUDGE)]
    pub quiet: Option<f64>,
    /// What else makes a boot fail
    #[arg(long, value_name = "WHAT", help_heading = JUDGE)]
    pub fail_on: Option<FailOn>,
    /// Keep the memory of guests that did not pass
    #[arg(long, value_name = "WHICH", help_heading = JUDGE)]
    pub keep_memory: Option<KeepMemory>,

    /// Stop when this has come
    #[arg(long, value_name = "WHAT", group = "stop", help_heading = STOP)]
    pub until: Option<Until>,
    /// Stop when it is decided which of two rates it is, with 5 % error (Wald's test)
    #[arg(long, value_name = "LOW:HIGH", group = "stop", help_heading = STOP)]
    pub until_rate: Option<Rates>,
    /// Stop when so many boots have passed that the rate is below one, or at the first failure
    #[arg(long, value_name = "RATE@CONFIDENCE", group = "stop", help_heading = STOP)]
    pub until_confident: Option<Confident>,

    /// Make a kind of failure more frequent; the rate is that of stressed boots, and is labelled so
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["initrd", "seeds", "vary"], help_heading = AMPLIFY)]
    pub stress: Option<Stress>,
    /// How often the stress toggles each key in one boot
    #[arg(long, value_name = "N", default_value_t = 300, help_heading = AMPLIFY)]
    pub rounds: u32,
    /// Deterministic boots, each with the next seed: a seed that fails is a reproducer (about 3 times slower)
    #[arg(long, help_heading = AMPLIFY)]
    pub seeds: bool,
    /// Boot once to a moment, then let every boot go on from there; the rate is a conditional one
    #[arg(long, value_name = "MOMENT", num_args = 0..=1, default_missing_value = "smp", conflicts_with_all = ["seeds", "vary", "stress"], help_heading = AMPLIFY)]
    pub from_snapshot: Option<SnapshotAt>,
    /// How many snapshots, taken in different boots, are gone on from in turn
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = AMPLIFY)]
    pub snapshots: u64,
    /// Draw CPU count, CPU model and processors for each boot, and say which of them matters
    #[arg(long, conflicts_with = "seeds", help_heading = AMPLIFY)]
    pub vary: bool,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = AMPLIFY)]
    pub seed: u64,

    /// The file that campaigns are kept in [default: kvet/boots.sqlite in the XDG state directory]
    #[arg(long, value_name = "FILE", help_heading = STORE)]
    pub store: Option<PathBuf>,
    /// Go on with a campaign that was stopped
    #[arg(long, value_name = "ID", conflicts_with = "kernel", help_heading = STORE)]
    pub resume: Option<i64>,
    /// Have a boot of the store again, as CAMPAIGN.BOOT: same machine, same seed
    #[arg(long, value_name = "RUN", conflicts_with_all = ["kernel", "resume"], help_heading = STORE)]
    pub replay: Option<RunId>,

    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub format: BootFormat,
    /// Speak the language of `git bisect run`: exit with 0 for good, 1 for bad, 125 for what cannot be said
    #[arg(long)]
    pub git_bisect: bool,
}

const MACHINE: &str = "Machine";
const JUDGE: &str = "What counts";
const STOP: &str = "When to stop";
const AMPLIFY: &str = "Finding rare failures sooner";
const STORE: &str = "Store";

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum BootFormat {
    /// For people
    Human,
    /// For scripts: kvet-boot/1, see docs/json.md
    Json,
    /// For continuous integration: JUnit XML, a test case a boot
    Junit,
}

/// What else fails a boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum FailOn {
    /// A warning of the kernel that it survives
    Warning,
}

/// Whose memory is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum KeepMemory {
    /// That of every boot that did not pass
    Failures,
}

/// When to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Until {
    /// The first failure
    Failure,
}

/// What stresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Stress {
    /// An init that toggles static keys thousands of times, more guests than processors
    StaticKeys,
}

/// Where a snapshot is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum SnapshotAt {
    /// At the kernel's banner
    Banner,
    /// When all processors are up
    Smp,
    /// When the first user space starts
    Init,
}

/// A size of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mebibytes(pub u64);

impl FromStr for Mebibytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Mebibytes, String> {
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let number: u64 = digits.parse().map_err(|_| "write a size as 512M or 2G".to_owned())?;
        let mib = match unit.to_ascii_uppercase().as_str() {
            "" | "M" | "MB" | "MIB" => Some(number),
            "G" | "GB" | "GIB" => number.checked_mul(1024),
            _ => None,
        };
        mib.filter(|m| (16..=1 << 24).contains(m)).map(Mebibytes).ok_or("write a size as 512M or 2G".into())
    }
}

/// Two rates.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates(pub f64, pub f64);

impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Rates, String> {
        let (low, high) = text.split_once(':').ok_or("write two rates as 0.001:0.01")?;
        let rates = Rates(fraction(low)?, fraction(high)?);
        if rates.0 > 0.0 && rates.0 < rates.1 && rates.1 < 1.0 {
            Ok(rates)
        } else {
            Err("the first rate is the lower one, and both are between 0 and 1".into())
        }
    }
}

/// A rate and a confidence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Confident(pub f64, pub f64);

impl FromStr for Confident {
    type Err = String;

    fn from_str(text: &str) -> Result<Confident, String> {
        let (rate, confidence) = text.split_once('@').ok_or("write a rate and a confidence as 0.01@95%")?;
        Ok(Confident(fraction(rate)?, fraction(confidence)?))
    }
}

/// `0.01` or `1%`, above 0 and below 1.
fn fraction(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let value: f64 = number.trim().parse().map_err(|_| format!("{text}: is no number"))?;
    let value = value / scale;
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err(format!("{text}: is not between 0 and 1")) }
}

/// A boot in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunId {
    /// The campaign.
    pub campaign: i64,
    /// The boot's number in it.
    pub boot: u64,
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<RunId, String> {
        let parsed = text.split_once('.').and_then(|(c, b)| Some((c.parse().ok()?, b.parse().ok()?)));
        let (campaign, boot) = parsed.ok_or("write a boot as CAMPAIGN.BOOT, for example 3.17")?;
        Ok(RunId { campaign, boot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!("512M".parse(), Ok(Mebibytes(512)));
        assert_eq!("2g".parse(), Ok(Mebibytes(2048)));
        assert!("2T".parse::<Mebibytes>().is_err() && "M".parse::<Mebibytes>().is_err());
        assert!("99999999999999999999G".parse::<Mebibytes>().is_err());
        assert_eq!("0.001:1%".parse(), Ok(Rates(0.001, 0.01)));
        assert!("0.01:0.001".parse::<Rates>().is_err());
        assert_eq!("0.01@95%".parse(), Ok(Confident(0.01, 0.95)));
        assert!("0.01@100%".parse::<Confident>().is_err());
        assert_eq!("3.17".parse(), Ok(RunId { campaign: 3, boot: 17 }));
        assert!("3".parse::<RunId>().is_err());
    }
}
