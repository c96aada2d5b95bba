//! `kvet bisect simulate`: anybody can see what the search is worth.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::{Args, ValueEnum};
use kvet_bisect::simulate::{Score, Searcher, Setting, information_bound, run as simulate};
use serde::Serialize;

use crate::exit::Exit;
use crate::progress::{Progress, complain};
use crate::text;

/// The greedy search needs a decision a boot: so many boots are simulated at most.
const GREEDY_BOOTS: f64 = 60_000.0;
/// And so many histories at least.
const GREEDY_HISTORIES: u64 = 10;

/// `kvet bisect simulate`.
///
/// Without a rate, the settings are those by which the search was judged: rates of 0.5, 0.1 and 0.01, with and
/// without a background of a tenth, with and without commits that do not build.
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// Candidates of a history; 1,024 and 50,000 when no rate is given either
    #[arg(long, value_name = "N")]
    candidates: Option<u64>,
    /// Failure rate of bad candidates
    #[arg(long, value_name = "P")]
    p_bad: Option<f64>,
    /// Failure rate of good candidates
    #[arg(long, value_name = "P", requires = "p_bad")]
    p_good: Option<f64>,
    /// Share of candidates that cannot be built, in runs of four
    #[arg(long, value_name = "SHARE")]
    broken: Option<f64>,
    /// Histories of a setting
    #[arg(long, value_name = "H", default_value_t = 500)]
    histories: u64,
    /// What a build costs, in boots
    #[arg(long, value_name = "BOOTS", default_value_t = 100.0)]
    build_cost: f64,
    /// The probability at which the search stops
    #[arg(long, value_name = "C", default_value_t = 0.95)]
    confidence: f64,
    /// Seed of every random number: the same seed gives the same output
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Form,
}

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Form {
    /// For people
    Human,
    /// For scripts: kvet-bisect-simulate/1, see docs/json.md
    Json,
}

/// One setting's scores.
#[derive(Serialize)]
struct Row {
    setting: Setting,
    /// log2 of the candidates.
    builds_bound: f64,
    /// Boots that no search can do without, both rates known.
    boots_bound: f64,
    #[serde(flatten)]
    engine: Score,
    baselines: Baselines,
}

#[derive(Serialize)]
struct Baselines {
    git_bisect_20_boots: Score,
    greedy_bayes: Score,
}

/// Runs `kvet bisect simulate`.
pub fn run(args: &SimulateArgs) -> Exit {
    if args.histories == 0 {
        complain("--histories 0 simulates nothing");
        return Exit::Unanswered;
    }
    if let Some(why) = nonsense(args) {
        complain(&why);
        return Exit::Unanswered;
    }
    let settings = settings(args);
    let total = settings.iter().map(|s| 2 * args.histories + greedy_histories(s, args.histories)).sum();
    let progress = Mutex::new(Progress::new("simulated", total));
    let done = AtomicU64::new(0);
    let tick = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(mut progress) = progress.lock() {
            progress.set(done);
        }
    };
    let mut table = Table { form: args.format, rows: Vec::new() };
    for setting in settings {
        let scores = (|| {
            let engine = simulate(&setting, Searcher::Engine, args.histories, tick)?;
            let git_bisect_20_boots = simulate(&setting, Searcher::GitBisect, args.histories, tick)?;
            let fewer = greedy_histories(&setting, args.histories);
            let greedy_bayes = simulate(&setting, Searcher::Greedy, fewer, tick)?;
            Ok::<_, kvet_bisect::ProblemError>((engine, Baselines { git_bisect_20_boots, greedy_bayes }))
        })();
        let (engine, baselines) = match scores {
            Ok(scores) => scores,
            Err(error) => {
                complain(&error.to_string());
                return Exit::Unanswered;
            }
        };
        let boots_bound = information_bound(&setting);
        let row =
            Row { setting, builds_bound: (setting.candidates as f64).log2(), boots_bound, engine, baselines };
        let written = match progress.lock() {
            Ok(progress) => progress.suspend(|| table.add(row)),
            Err(_) => table.add(row),
        };
        if let Some(exit) = ended(written) {
            return exit;
        }
    }
    if let Ok(progress) = progress.lock() {
        progress.finish();
    }
    ended(table.end()).unwrap_or(Exit::Clean)
}

/// The exit status when output ended early.
fn ended(written: io::Result<()>) -> Option<Exit> {
    match written {
        Ok(()) => None,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Some(Exit::Clean),
        Err(error) => {
            complain(&format!("stdout: cannot be written: {error}"));
            Some(Exit::Unanswered)
        }
    }
}

fn nonsense(args: &SimulateArgs) -> Option<String> {
    let rate = |name: &str, value: Option<f64>, low: f64| {
        let value = value?;
        let good = value >= low && value <= 1.0;
        (!good).then(|| format!("{name} {value} is no rate: give a number from {low} to 1"))
    };
    if let (Some(bad), Some(good)) = (args.p_bad, args.p_good)
        && good >= bad
    {
        return Some(format!("--p-good {good} is not below --p-bad {bad}: there would be nothing to find"));
    }
    rate("--p-bad", args.p_bad, 1e-5)
        .or_else(|| rate("--p-good", args.p_good, 0.0))
        .or_else(|| rate("--broken", args.broken, 0.0))
}

fn settings(args: &SimulateArgs) -> Vec<Setting> {
    let all = |given: Option<f64>, else_: &[f64]| given.map_or_else(|| else_.to_vec(), |value| vec![value]);
    let plain = args.p_bad.is_some();
    let candidates = match args.candidates {
        Some(n) => vec![n],
        None if plain => vec![1_024],
        None => vec![1_024, 50_000],
    };
    let mut out = Vec::new();
    for &candidates in &candidates {
        for p_bad in all(args.p_bad, &[0.5, 0.1, 0.01]) {
            let background: &[f64] = if plain { &[0.0] } else { &[0.0, p_bad / 10.0] };
            for p_good in all(args.p_good, background) {
                for broken in all(args.broken, if plain { &[0.0] } else { &[0.0, 0.1] }) {
                    let SimulateArgs { build_cost, confidence, seed, .. } = *args;
                    out.push(Setting { candidates, p_bad, p_good, broken, build_cost, confidence, seed });
                }
            }
        }
    }
    out
}

fn greedy_histories(setting: &Setting, histories: u64) -> u64 {
    let affordable = (GREEDY_BOOTS / information_bound(setting).max(1.0)) as u64;
    affordable.max(GREEDY_HISTORIES).min(histories)
}

struct Table {
    form: Form,
    rows: Vec<Row>,
}

const HEAD: &str = "\
                                        |           kvet bisect             | git bisect, 20 boots  |   greedy Bayes
candidates  p bad  p good  broken  bound| right   boots confirm  builds     | right   boots  builds | right   boots  builds";

impl Table {
    fn add(&mut self, row: Row) -> io::Result<()> {
        if self.form == Form::Human {
            let mut out = io::stdout().lock();
            if self.rows.is_empty() {
                writeln!(out, "{HEAD}")?;
            }
            let s = &row.setting;
            let score = |x: &Score| {
                format!("{:>5.1}% {:>7.0} {:>7.1}", x.accuracy * 100.0, x.boots_mean, x.builds_mean)
            };
            let (e, git, greedy) =
                (&row.engine, &row.baselines.git_bisect_20_boots, &row.baselines.greedy_bayes);
            writeln!(
                out,
                "{:>10} {:>6} {:>7} {:>7} {:>6.0}|{:>5.1}% {:>7.0} {:>7.0} {:>7.1} {:>4.2}x|{} |{}",
                s.candidates,
                s.p_bad,
                s.p_good,
                s.broken,
                row.boots_bound,
                e.accuracy * 100.0,
                e.boots_mean,
                e.confirm_boots_mean,
                e.builds_mean,
                (e.boots_mean - e.confirm_boots_mean) / row.boots_bound,
                score(git),
                score(greedy),
            )?;
            out.flush()?;
        }
        self.rows.push(row);
        Ok(())
    }

    fn end(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match (self.form, self.rows.as_slice()) {
            (Form::Json, [one]) => {
                let document = Document { schema: SCHEMA, row: one };
                serde_json::to_writer_pretty(&mut out, &document)?;
                out.write_all(b"\n")
            }
            (Form::Json, rows) => {
                serde_json::to_writer_pretty(&mut out, &Documents { schema: SCHEMA, settings: rows })?;
                out.write_all(b"\n")
            }
            (Form::Human, rows) => {
                let Some(first) = rows.first() else { return Ok(()) };
                writeln!(
                    out,
                    "\n{} a setting, both rates unknown to the search, builds worth {} boots, seed {}.\n\
                     bound: boots that no search can do without even if it knows both rates. boots: all, with those of\n\
                     the confirming test (confirm); x: boots without it, over the bound. builds: those that succeeded,\n\
                     the two ends not counted. The greedy search has no confirming test and fewer histories ({} to {}).",
                    text::count(first.engine.histories, "history"),
                    first.setting.build_cost,
                    first.setting.seed,
                    rows.iter().map(|r| r.baselines.greedy_bayes.histories).min().unwrap_or(0),
                    rows.iter().map(|r| r.baselines.greedy_bayes.histories).max().unwrap_or(0),
                )
            }
        }
    }
}

const SCHEMA: &str = "kvet-bisect-simulate/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    row: &'a Row,
}

#[derive(Serialize)]
struct Documents<'a> {
    schema: &'static str,
    settings: &'a [Row],
}
