//! `kvet bisect qemu`: which emulator, or which of its options, brings the failure.

use std::path::PathBuf;

use clap::Args;
use kvet_bisect::minimise::Set;

use super::Failure;
use super::args::{Common, boot_args};
use super::drive::{Axis, Bench};
use super::entry::Built;
use super::live::View;
use super::minimal::{Differences, search};
use super::report::Report;
use super::state::State;
use super::verdict::{Judge, Subject};
use crate::exit::Exit;

/// `kvet bisect qemu`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct QemuArgs {
    /// The kernel
    #[arg(value_name = "KERNEL")]
    kernel: PathBuf,
    /// QEMU binaries in order, the good one first and the bad one last
    #[arg(long, value_name = "FILE", conflicts_with_all = ["good", "bad"])]
    qemu: Vec<PathBuf>,
    /// Options of `kvet boot` with which it does not fail, as one word
    #[arg(
        long,
        value_name = "OPTIONS",
        allow_hyphen_values = true,
        requires = "bad",
        required_unless_present = "qemu"
    )]
    good: Option<String>,
    /// Options of `kvet boot` with which it fails: each difference is weighed, of --append each parameter
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, requires = "good")]
    bad: Option<String>,
    #[command(flatten)]
    common: Common,
}

const EXAMPLE: &str = "\
Examples:
  kvet bisect qemu bzImage --qemu qemu-8.2/qemu-system-x86_64 --qemu qemu-8.0/... --qemu qemu-7.2/...
  kvet bisect qemu bzImage --good '--accel tcg,thread=single' --bad '--smp 4 --append \"quiet nokaslr\"' \\
      -- --stress static-keys";

/// Runs it.
pub fn run(args: &QemuArgs) -> Result<Exit, Failure> {
    if args.common.run.is_some() {
        return Err(Failure::said("--run does not start QEMU: judge emulators by boots"));
    }
    let kernel = std::fs::canonicalize(&args.kernel)
        .map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(&args.kernel))))?;
    let mut words = vec![format!("kernel {}", kernel.display())];
    words.extend(args.qemu.iter().map(|q| format!("qemu {}", q.display())));
    words.extend(args.good.iter().map(|g| format!("good {g}")));
    words.extend(args.bad.iter().map(|b| format!("bad {b}")));
    words.extend(args.common.words());
    let sides = match (&args.good, &args.bad) {
        (Some(good), Some(bad)) => Some(Machines::of(&kernel, good, bad)?),
        _ if args.qemu.len() < 2 => {
            return Err(Failure::said(
                "name two emulators at least with --qemu: a good one first, a bad one last",
            ));
        }
        _ => None,
    };
    let state = State::open(args.common.state.as_deref(), args.common.resume, "qemu", words)?;
    let judge = Judge::new(&args.common, &state.directory)?;
    let mut bench = Bench::new(state, judge, &args.common);
    let mut view = View::new(args.common.confidence);
    match sides {
        Some(mut machines) => {
            let minimal = search(&mut bench, &mut machines, &mut view)?;
            Report::of_sets("qemu", &bench, minimal).show(&bench)
        }
        None => {
            let mut axis = Emulators { kernel: &kernel, qemus: &args.qemu };
            let round = bench.round(&mut axis, &mut view)?;
            Report::of_rounds("qemu", &bench, vec![round], Default::default()).show(&bench)
        }
    }
}

struct Emulators<'a> {
    kernel: &'a PathBuf,
    qemus: &'a [PathBuf],
}

impl Axis for Emulators<'_> {
    fn names(&self) -> Vec<String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let name = |q: &PathBuf| match kvet_lab::Qemu::open(q, &path) {
            Ok(qemu) => format!("{} ({})", q.display(), qemu.number()),
            Err(_) => q.display().to_string(),
        };
        self.qemus.iter().map(name).collect()
    }

    fn is_built(&self) -> bool {
        false
    }

    fn build(&mut self, _: &State, _: u64) -> Result<Built, Failure> {
        Ok(Built { ok: true, ..Built::default() })
    }

    fn subject(&mut self, state: &State, at: u64) -> Result<Subject, Failure> {
        let qemu = self.qemus[at as usize].display().to_string();
        Ok(Subject {
            number: at.to_string(),
            name: qemu.clone(),
            kernel: Some(self.kernel.clone()),
            options: vec!["--qemu".into(), qemu],
            place: state.directory.clone(),
        })
    }
}

/// One difference: words that stand on the good side, and those on the bad one.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Difference {
    option: String,
    good: Option<String>,
    bad: Option<String>,
}

struct Machines {
    kernel: PathBuf,
    /// What both sides have.
    common: Vec<(String, Option<String>)>,
    differences: Vec<Difference>,
}

const APPEND: &str = "--append";

impl Machines {
    fn of(kernel: &std::path::Path, good: &str, bad: &str) -> Result<Machines, Failure> {
        let (good, bad) = (options(good)?, options(bad)?);
        for side in [&good, &bad] {
            boot_args(&words(side))?;
        }
        let common: Vec<_> = good.iter().filter(|o| bad.contains(o)).cloned().collect();
        let mut differences: Vec<Difference> = Vec::new();
        for (side, is_bad) in [(&good, false), (&bad, true)] {
            for (option, value) in side.iter().filter(|o| !common.contains(o)) {
                let value = Some(value.clone().unwrap_or_default());
                // Parameters of the kernel come and go one by one; an option has one value or the other.
                let other = differences
                    .iter_mut()
                    .find(|d| is_bad && option != APPEND && d.option == *option && d.bad.is_none());
                match other {
                    Some(difference) => difference.bad = value,
                    None => differences.push(Difference {
                        option: option.clone(),
                        good: value.clone().filter(|_| !is_bad),
                        bad: value.filter(|_| is_bad),
                    }),
                }
            }
        }
        if differences.is_empty() {
            return Err(Failure::said("--good and --bad say the same"));
        }
        Ok(Machines { kernel: kernel.to_owned(), common, differences })
    }

    fn options(&self, set: &Set) -> Vec<String> {
        let mut all = self.common.clone();
        for (at, d) in self.differences.iter().enumerate() {
            let value = if set.contains(&at) { &d.bad } else { &d.good };
            if let Some(value) = value {
                all.push((d.option.clone(), Some(value.clone()).filter(|v| !v.is_empty())));
            }
        }
        words(&all)
    }
}

/// Options with their values; each parameter of `--append` by itself.
fn options(text: &str) -> Result<Vec<(String, Option<String>)>, Failure> {
    let words = kvet_kbuild::simple_commands(text.as_bytes()).into_iter().flatten();
    let words: Vec<String> = words.map(|w| String::from_utf8_lossy(&w).into_owned()).collect();
    let mut out: Vec<(String, Option<String>)> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if !word.starts_with("--") {
            return Err(Failure::said(format!("{word}: write options in full, as --smp 4")));
        }
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
            None => (word.clone(), words.next_if(|next| !next.starts_with("--"))),
        };
        match (option.as_str(), value) {
            (APPEND, Some(value)) => {
                out.extend(value.split_whitespace().map(|p| (option.clone(), Some(p.to_owned()))));
            }
            (_, value) => out.push((option, value)),
        }
    }
    Ok(out)
}

/// As words of a command line; `--append` once.
fn words(options: &[(String, Option<String>)]) -> Vec<String> {
    let mut out = Vec::new();
    let mut append = Vec::new();
    for (option, value) in options {
        match value {
            Some(value) if option == APPEND => append.push(value.clone()),
            Some(value) => out.push(format!("{option}={value}")),
            None => out.push(option.clone()),
        }
    }
    if !append.is_empty() {
        out.push(format!("{APPEND}={}", append.join(" ")));
    }
    out
}

impl Differences for Machines {
    fn names(&self) -> Vec<String> {
        let side = |v: &Option<String>| v.clone().unwrap_or_else(|| "not given".into());
        let name = |d: &Difference| match (&d.good, &d.bad) {
            (None, Some(v)) if v.is_empty() => d.option.clone(),
            (Some(v), None) if v.is_empty() => format!("no {}", d.option),
            (None, Some(v)) if d.option == APPEND => format!("{APPEND} {v}"),
            (Some(v), None) if d.option == APPEND => format!("no {APPEND} {v}"),
            _ => format!("{}: {} -> {}", d.option, side(&d.good), side(&d.bad)),
        };
        self.differences.iter().map(name).collect()
    }

    fn is_built(&self) -> bool {
        false
    }

    fn closure(&mut self, _: &State, set: &Set) -> Result<Option<Set>, Failure> {
        Ok(Some(set.clone()))
    }

    fn build(&mut self, _: &State, _: &Set, _: &str) -> Result<Built, Failure> {
        Ok(Built { ok: true, ..Built::default() })
    }

    fn subject(&mut self, state: &State, set: &Set, name: &str) -> Result<Subject, Failure> {
        Ok(Subject {
            number: set.len().to_string(),
            name: name.to_owned(),
            kernel: Some(self.kernel.clone()),
            options: self.options(set),
            place: state.directory.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_one() {
        let good = "--qemu a --smp 4 --append 'quiet nokaslr'";
        let bad = "--qemu=b --smp 4 --append \"quiet mitigations=off\" --network";
        let machines = Machines::of(std::path::Path::new("k"), good, bad).expect("good options");
        assert_eq!(
            machines.names(),
            ["--qemu: a -> b", "no --append nokaslr", "--append mitigations=off", "--network"]
        );
        assert_eq!(machines.options(&Set::new()), ["--smp=4", "--qemu=a", "--append=quiet nokaslr"]);
        let all = machines.options(&(0..4).collect());
        assert_eq!(all, ["--smp=4", "--qemu=b", "--network", "--append=quiet mitigations=off"]);
        assert!(Machines::of(std::path::Path::new("k"), good, good).is_err());
        assert!(Machines::of(std::path::Path::new("k"), "--no-such", bad).is_err());
    }
}
