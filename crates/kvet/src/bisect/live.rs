//! What a person sees while a search runs: on a terminal the posterior, redrawn; else a line a step.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use kvet_bisect::{Search, Segment, Why, information_bound_of};

use super::drive::Spent;
use super::entry::{Built, Ran, Shown};
use crate::text::{count, number, safe};

/// Ranges that are shown.
const BARS: usize = 8;
/// Width of the bar of a certainty.
const WIDTH: usize = 30;

/// The view on stderr.
pub struct View {
    terminal: bool,
    drawn: usize,
    names: Vec<String>,
    spent: Spent,
    doing: String,
    confidence: f64,
}

impl View {
    /// A view; on a terminal it is redrawn.
    pub fn new(confidence: f64) -> View {
        View {
            terminal: std::io::stderr().is_terminal(),
            drawn: 0,
            names: Vec::new(),
            spent: Spent::default(),
            doing: String::new(),
            confidence,
        }
    }

    /// A step begins.
    pub fn step(&mut self, names: &[String], search: &Search, spent: Spent, step: (u64, u32, Why)) {
        if self.names.len() != names.len() {
            self.names = names.to_vec();
        }
        self.spent = spent;
        let (candidate, boots, why) = step;
        let why = match why {
            Why::Calibrate => "how often does the bad end fail?",
            Why::Search => "it tells most",
            Why::ConfirmCulprit => "confirming that the culprit fails",
            Why::ConfirmParent => "confirming that the one before it does not",
        };
        let name = names.get(candidate as usize).map(|n| shortened(n, 48)).unwrap_or_default();
        self.doing = format!("{name}: up to {} ({why})", count(u64::from(boots), "run"));
        match self.terminal {
            true => self.draw(search),
            false => self.line(search),
        }
    }

    /// A run ended.
    pub fn ran(&mut self, ran: &Ran, search: &Search) {
        self.spent.runs += 1;
        if self.terminal {
            return self.draw(search);
        }
        if matches!(ran.shown, Shown::Fail | Shown::Other | Shown::Skip) {
            let what = match ran.shown {
                Shown::Fail => "failed",
                Shown::Skip => "cannot be tested",
                _ => "failed otherwise",
            };
            self.says(&format!("  {what}: {}", ran.title.as_deref().unwrap_or("")));
        }
    }

    /// A build ended.
    pub fn built(&mut self, built: &Built) {
        if built.cached {
            return;
        }
        self.spent.builds += u64::from(built.ok);
        if !built.ok {
            self.says(&format!("  does not build: {}", built.why.as_deref().unwrap_or("")));
        }
        for why in built.rebuilt.iter().take(3) {
            self.says(&format!("  built again: {why}"));
        }
        for finding in built.findings.iter().take(3) {
            self.says(&format!("  kvet check: {finding}"));
        }
    }

    /// Something to be told: above the bars, or as a line.
    pub fn says(&mut self, words: &str) {
        let mut out = String::new();
        self.wipe(&mut out);
        let _ = writeln!(out, "{}", safe(words));
        show(&out);
    }

    /// Takes the bars away.
    pub fn clear(&mut self) {
        let mut out = String::new();
        self.wipe(&mut out);
        show(&out);
    }

    fn wipe(&mut self, out: &mut String) {
        if self.drawn > 0 {
            let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    fn totals(&self, search: &Search) -> String {
        let spent = format!("{}, {}", count(self.spent.runs, "run"), count(self.spent.builds, "build"));
        // Before the first failure nothing is known of the rate, on which all depends.
        if search.seen().values().all(|t| t.fails == 0) {
            return format!("{spent}; how many are to come shows with the first failure");
        }
        let (runs, builds) = rest(search, self.names.len() as u64 - 1, self.confidence);
        format!("{spent}; about {} and {} to come", number(runs), number(builds))
    }

    fn line(&mut self, search: &Search) {
        let posterior = search.posterior();
        let most = posterior.iter().max_by(|a, b| a.mass.total_cmp(&b.mass));
        let most = most.map_or(String::new(), |s| format!("{:.0} % {}", s.mass * 100.0, self.range(s)));
        let line = format!("{}; {most}; next {}", self.totals(search), self.doing);
        show(&format!("{}\n", safe(&line)));
    }

    fn range(&self, segment: &Segment) -> String {
        let name = |at: u64| self.names.get(at as usize).map(|n| shortened(n, 40)).unwrap_or_default();
        match segment.len() {
            1 => name(segment.first),
            len => format!("{} to {} ({} candidates)", name(segment.first), name(segment.last), number(len)),
        }
    }

    fn draw(&mut self, search: &Search) {
        let mut out = String::new();
        self.wipe(&mut out);
        let mut posterior = search.posterior();
        posterior.sort_by(|a, b| b.mass.total_cmp(&a.mass));
        posterior.truncate(BARS);
        posterior.sort_by_key(|s| s.first);
        let width = terminal_size::terminal_size_of(std::io::stderr()).map_or(100, |(w, _)| usize::from(w.0));
        let mut lines: Vec<String> = posterior
            .iter()
            .map(|s| format!("{} {:>5.1} %  {}", bar(s.mass), s.mass * 100.0, self.range(s)))
            .collect();
        lines.push(self.doing.clone());
        lines.push(self.totals(search));
        for line in &lines {
            let _ = writeln!(out, "{}", shortened(&safe(line), width.saturating_sub(1)));
        }
        self.drawn = lines.len();
        show(&out);
    }
}

/// What is probably still to come: runs by the information that is missing, builds by the ranges to be halved, and
/// the confirming test.
fn rest(search: &Search, candidates: u64, confidence: f64) -> (u64, u64) {
    let posterior = search.posterior();
    let bits: f64 =
        posterior.iter().filter(|s| s.mass > 0.0).map(|s| s.mass * (s.len() as f64 / s.mass).log2()).sum();
    let halves: f64 = posterior.iter().map(|s| s.mass * (s.len() as f64).log2()).sum();
    let (bad, good) =
        posterior.iter().fold((0.0, 0.0), |(b, g), s| (b + s.mass * s.bad_rate, g + s.mass * s.good_rate));
    let all = (candidates.max(2) as f64).log2();
    let share = (bits / all).clamp(0.0, 1.0);
    let bound = information_bound_of(candidates.max(2), (bad, good.min(bad * 0.9)), confidence);
    let confirm = (1.0 / (1.0 - confidence)).ln() / bad.max(1e-6);
    (((1.5 * bound * share) + confirm).ceil() as u64, (1.2 * halves).ceil() as u64)
}

fn bar(share: f64) -> String {
    let filled = (share * WIDTH as f64).round() as usize;
    format!("{}{}", "#".repeat(filled.min(WIDTH)), ".".repeat(WIDTH - filled.min(WIDTH)))
}

/// At most so many characters.
pub fn shortened(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect(),
        false => text.to_owned(),
    }
}

fn show(text: &str) {
    // Nobody can be told that stderr is closed.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_names_have_their_width() {
        assert_eq!(bar(0.0).len(), WIDTH);
        assert_eq!(bar(1.0), "#".repeat(WIDTH));
        assert_eq!(shortened("abcdef", 5), "ab...");
        assert_eq!(shortened("ab", 5), "ab");
    }
}
