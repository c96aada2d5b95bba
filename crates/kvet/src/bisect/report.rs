//! What came out: for people, for scripts, and as a text to mail.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use kvet_bisect::{Answer, information_bound_of};
use serde::Serialize;
use serde_json::{Value, json};

use super::Failure;
use super::args::Form;
use super::drive::{Bench, Ended, Evidence, Round, Spent};
use super::live::shortened;
use super::minimal::{Minimal, SetEvidence};
use crate::exit::Exit;
use crate::text::{count, number, safe};

/// Candidates that are shown to people around the culprit, by evidence.
const SHOWN: usize = 14;

/// What git knows of a commit.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Link {
    /// Its hash.
    pub id: String,
    /// Author and date.
    pub about: String,
    /// It has several parents.
    pub is_merge: bool,
}

/// The end of a search.
pub struct Report {
    axis: &'static str,
    hunted: Option<String>,
    spent: Spent,
    body: Body,
    links: HashMap<String, Link>,
    confidence: f64,
}

enum Body {
    Rounds(Vec<Round>),
    Sets(Box<Minimal>),
}

impl Report {
    /// Of a search along lines, one within the other.
    pub fn of_rounds(
        axis: &'static str,
        bench: &Bench<'_>,
        rounds: Vec<Round>,
        links: HashMap<String, Link>,
    ) -> Report {
        Report::new(axis, bench, Body::Rounds(rounds), links)
    }

    /// Of a search among sets.
    pub fn of_sets(axis: &'static str, bench: &Bench<'_>, minimal: Minimal) -> Report {
        Report::new(axis, bench, Body::Sets(Box::new(minimal)), HashMap::new())
    }

    fn new(axis: &'static str, bench: &Bench<'_>, body: Body, links: HashMap<String, Link>) -> Report {
        Report {
            axis,
            hunted: bench.judge.hunted().map(str::to_owned),
            spent: bench.spent,
            body,
            links,
            confidence: bench.common.confidence,
        }
    }

    /// Writes all that is wanted.
    ///
    /// # Errors
    /// A file or stdout cannot be written.
    pub fn show(&self, bench: &Bench<'_>) -> Result<Exit, Failure> {
        if let Some(path) = &bench.common.mail {
            std::fs::write(path, self.mail())
                .map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(path))))?;
        }
        let state = bench.state.directory.display().to_string();
        let text = match bench.common.format {
            Form::Human => self.human(&state),
            Form::Json => serde_json::to_string_pretty(&self.json(&state)).unwrap_or_default() + "\n",
        };
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                return Err(Failure::said(format!("stdout: cannot be written: {e}")));
            }
            _ => {}
        }
        Ok(if self.is_found() { Exit::Wrong } else { Exit::Unanswered })
    }

    fn is_found(&self) -> bool {
        match &self.body {
            Body::Rounds(rounds) => matches!(rounds.last().map(|r| &r.ended), Some(Ended::Found(_))),
            Body::Sets(minimal) => minimal.reproduced,
        }
    }

    fn json(&self, state: &str) -> Value {
        let mut document = json!({
            "schema": "kvet-bisect/1",
            "axis": self.axis,
            "found": self.is_found(),
            "hunted": self.hunted,
            "confidence": self.confidence,
            "spent": self.spent,
            "state": state,
        });
        let body = match &self.body {
            Body::Rounds(rounds) => {
                json!({ "rounds": rounds.iter().map(|r| self.round_json(r)).collect::<Vec<_>>(),
                    "answer": rounds.last().and_then(|r| self.answer_json(r)) })
            }
            Body::Sets(minimal) => json!({
                "differences": minimal.names,
                "answer": minimal.reproduced.then(|| json!({
                    "set": minimal.set,
                    "names": names(&minimal.names, &minimal.set),
                    "brought_along": names(&minimal.names, &minimal.with),
                    "minimal": minimal.is_minimal,
                    "rate": minimal.rate,
                })),
                "tests": minimal.tests,
            }),
        };
        if let (Some(document), Value::Object(body)) = (document.as_object_mut(), body) {
            document.extend(body);
        }
        document
    }

    fn answer_json(&self, round: &Round) -> Option<Value> {
        let Ended::Found(answer) = &round.ended else { return None };
        let (first, last) = answer.culprit;
        let among: Vec<&String> = (first..=last).filter_map(|at| round.names.get(at as usize)).collect();
        let links: Vec<Option<&Link>> = among.iter().map(|n| self.links.get(*n)).collect();
        Some(json!({
            "culprits": among, "links": links, "probability": answer.probability, "confirmed": answer.confirmed,
            "bad_rate": answer.bad_rate, "good_rate": answer.good_rate,
            "plain_bisect": Plain::of(round, answer, self.confidence),
        }))
    }

    fn round_json(&self, round: &Round) -> Value {
        let candidates: Vec<Value> = round
            .evidence
            .iter()
            .map(|(at, evidence)| {
                json!({ "index": at, "name": round.names.get(*at as usize), "evidence": evidence })
            })
            .collect();
        let not_reproduced = match round.ended {
            Ended::NotReproduced(boots) => Some(boots),
            Ended::Found(_) => None,
        };
        json!({
            "names": round.names, "candidates": candidates, "posterior": round.posterior,
            "answer": self.answer_json(round), "not_reproduced_in": not_reproduced,
        })
    }

    fn human(&self, state: &str) -> String {
        let mut out = String::new();
        match &self.body {
            Body::Rounds(rounds) => {
                for round in rounds {
                    self.round_words(&mut out, round, usize::MAX);
                }
            }
            Body::Sets(minimal) => set_words(&mut out, minimal),
        }
        let _ = writeln!(out, "spent: {}", self.spent_words());
        let _ = writeln!(out, "state and logs: {}", safe(state));
        let _ = writeln!(out, "next: {}", self.next_words());
        out
    }

    fn next_words(&self) -> String {
        if !self.is_found() {
            return "boot the bad end more often (kvet boot -n), or hunt another failure with --signature"
                .into();
        }
        match self.axis {
            "commits" => {
                "revert it on top of the bad end and boot that (kvet boot --until-confident); --mail \
                          FILE writes a text to send"
                    .into()
            }
            _ => "the same command with --mail FILE and --resume writes a text to send".into(),
        }
    }

    fn spent_words(&self) -> String {
        let s = &self.spent;
        let mut words = format!(
            "{} ({:.0} s), {} ({:.0} s)",
            count(s.runs, "run"),
            s.run_seconds,
            count(s.builds, "build"),
            s.build_seconds
        );
        if s.failed_builds > 0 {
            let _ = write!(words, ", {} that failed", count(s.failed_builds, "build"));
        }
        if s.cached > 0 {
            let _ = write!(words, ", {} found built", number(s.cached));
        }
        if s.rebuilt > 0 {
            let _ = write!(words, ", {} built again that could not be trusted", count(s.rebuilt, "object"));
        }
        words
    }

    fn round_words(&self, out: &mut String, round: &Round, width: usize) {
        let answer = match &round.ended {
            Ended::NotReproduced(boots) => {
                let bad = round.names.last().cloned().unwrap_or_default();
                let _ =
                    writeln!(out, "not reproduced: {} did not fail in {}", safe(&bad), count(*boots, "run"));
                return;
            }
            Ended::Found(answer) => answer,
        };
        let (first, last) = answer.culprit;
        let sure = format!("{:.1} %", answer.probability * 100.0);
        if first == last {
            let name = round.names.get(first as usize).cloned().unwrap_or_default();
            let _ = writeln!(out, "first bad: {} (probability {sure})", safe(&shortened(&name, width)));
            if let Some(link) = self.links.get(&name) {
                let _ = writeln!(out, "  {}, {}", link.id, safe(&link.about));
            }
        } else {
            let _ = writeln!(
                out,
                "first bad: one of {} that cannot be told apart, for those between cannot be tested (probability \
                 {sure})",
                count(last - first + 1, "candidate")
            );
            for at in first..=last {
                let _ = writeln!(out, "  {}", safe(&round.names[at as usize]));
            }
        }
        let _ = writeln!(
            out,
            "  fails in {:.2} % of the runs with it, in {} before it",
            answer.bad_rate * 100.0,
            if answer.good_rate < 1e-5 {
                "none".to_owned()
            } else {
                format!("{:.3} %", answer.good_rate * 100.0)
            }
        );
        let confirming = |at: u64| round.evidence.get(&at).map(|e| e.confirming).unwrap_or_default();
        let (culprit, parent) = (confirming(last), confirming(first - 1));
        let _ = writeln!(
            out,
            "  confirming test (Wald): {}: it failed in {} of {} fresh runs, the one before it in {} of {}",
            if answer.confirmed { "confirmed" } else { "not confirmed" },
            culprit.fails,
            culprit.fails + culprit.passes,
            parent.fails,
            parent.fails + parent.passes
        );
        let _ = writeln!(out, "evidence:");
        for (at, evidence) in around(round, answer) {
            let mark = match at {
                _ if (first..=last).contains(&at) => ">",
                _ => " ",
            };
            let name =
                round.names.get(at as usize).map(|n| safe(&shortened(n, width.min(72)))).unwrap_or_default();
            let _ = writeln!(
                out,
                "{mark} {:>5} of {:>5} failed  {name}{}",
                evidence.failures,
                evidence.failures + evidence.passes,
                remarks(evidence)
            );
        }
        let plain = Plain::of(round, answer, self.confidence);
        let _ = writeln!(
            out,
            "a plain bisect: {} and {:.0} runs for the same certainty; with 20 runs a candidate it is right {:.0} % \
             of the time. No search can do with fewer than {:.0} runs on average.",
            count(plain.builds, "build"),
            plain.runs,
            plain.right_with_20 * 100.0,
            plain.bound
        );
    }

    /// A text as one writes it to a mailing list.
    fn mail(&self) -> String {
        let mut out = String::new();
        let width = 68;
        match &self.body {
            Body::Rounds(rounds) => {
                if let Some(round) = rounds.last() {
                    if let Ended::Found(answer) = &round.ended {
                        let name = round.names.get(answer.culprit.0 as usize).cloned().unwrap_or_default();
                        let title = round.evidence.values().find_map(|e| e.title.clone());
                        let _ = writeln!(
                            out,
                            "Subject: [REGRESSION] {}\n",
                            title.clone().unwrap_or_else(|| "boot failure".into())
                        );
                        let _ = writeln!(
                            out,
                            "Hi,\n\nthe failure below comes in {:.1} % of the boots since\n\n    {}\n",
                            answer.bad_rate * 100.0,
                            safe(&name)
                        );
                        if let Some(link) = self.links.get(&name) {
                            let _ = writeln!(out, "    {}\n    {}\n", link.id, safe(&link.about));
                        }
                        if let Some(title) = title {
                            let _ = writeln!(out, "    {}\n", safe(&title));
                        }
                    }
                    self.round_words(&mut out, round, width);
                }
            }
            Body::Sets(minimal) => {
                let title = minimal.tests.iter().find_map(|t| t.title.clone());
                let _ = writeln!(out, "Subject: {}\n", safe(&title.unwrap_or_else(|| "boot failure".into())));
                set_words(&mut out, minimal);
            }
        }
        if let Some(hunted) = &self.hunted {
            let _ = writeln!(out, "\nsignature: {}", safe(hunted));
        }
        let _ = writeln!(out, "\nSearched by kvet bisect {}: {}.", self.axis, self.spent_words());
        if self.axis == "commits"
            && let Body::Rounds(rounds) = &self.body
            && let Some(Ended::Found(answer)) = rounds.last().map(|r| &r.ended)
            && answer.culprit.0 == answer.culprit.1
            && let Some(link) = rounds
                .last()
                .and_then(|r| r.names.get(answer.culprit.0 as usize))
                .and_then(|n| self.links.get(n))
        {
            let _ = writeln!(out, "\n#regzbot introduced: {}", link.id);
        }
        out
    }
}

/// What a plain bisect would have cost, at the rate that was found.
#[derive(Clone, Copy, Debug, Serialize)]
struct Plain {
    /// Builds, one a step.
    builds: u64,
    /// Runs, when each step has as many as the same certainty needs.
    runs: f64,
    /// How often it is right with 20 runs a step.
    right_with_20: f64,
    /// Runs that no search can do without, both rates known.
    bound: f64,
}

impl Plain {
    fn of(round: &Round, answer: &Answer, confidence: f64) -> Plain {
        let candidates = round.names.len().saturating_sub(1).max(1) as u64;
        let steps = (candidates as f64).log2().ceil().max(1.0);
        let (bad, good) = (answer.bad_rate.clamp(1e-6, 1.0 - 1e-6), answer.good_rate);
        // Half of the steps are at a bad candidate; each may be missed with an equal share of the error.
        let miss = 2.0 * (1.0 - confidence) / steps;
        let each = (miss.min(0.5).ln() / (1.0 - bad).ln()).ceil().max(1.0);
        let at_bad = (1.0 - (1.0 - bad).powf(each)) / bad;
        let right = |boots: f64| {
            let caught = 1.0 - (1.0 - bad).powf(boots);
            let spared = (1.0 - good).powf(boots);
            (caught * spared).powf(steps / 2.0)
        };
        Plain {
            builds: steps as u64,
            runs: steps / 2.0 * (each + at_bad),
            right_with_20: right(20.0),
            bound: information_bound_of(candidates, (bad, good.min(bad * 0.9)), confidence),
        }
    }
}

/// The candidates that tell most, in order: those next to the culprit, and the ends.
fn around<'a>(round: &'a Round, answer: &Answer) -> Vec<(u64, &'a Evidence)> {
    let mut all: Vec<(u64, &Evidence)> = round.evidence.iter().map(|(at, e)| (*at, e)).collect();
    all.sort_by_key(|(at, _)| at.abs_diff(answer.culprit.0));
    all.truncate(SHOWN);
    all.sort_by_key(|(at, _)| *at);
    all
}

fn remarks(evidence: &Evidence) -> String {
    let mut out = String::new();
    if evidence.others > 0 {
        let _ = write!(out, "; {} failed otherwise", number(evidence.others));
    }
    if let Some(build) = &evidence.build {
        if !build.ok {
            let _ = write!(out, "; does not build: {}", safe(build.why.as_deref().unwrap_or("")));
        }
        if !build.rebuilt.is_empty() {
            let _ = write!(out, "; {} built again", count(build.rebuilt.len() as u64, "stale object"));
        }
        if let Some(first) = build.findings.first() {
            let _ = write!(out, "; kvet check: {}", safe(first));
        }
    }
    out
}

fn names(all: &[String], set: &kvet_bisect::minimise::Set) -> Vec<String> {
    set.iter().filter_map(|&e| all.get(e)).cloned().collect()
}

fn set_words(out: &mut String, minimal: &Minimal) {
    let all = minimal.names.len() as u64;
    if !minimal.reproduced {
        let _ = writeln!(out, "not reproduced: the bad end did not fail");
        return;
    }
    let _ = writeln!(
        out,
        "{} of {} matter{}:",
        number(minimal.set.len() as u64),
        count(all, "difference"),
        if minimal.is_minimal { ", each of them necessary" } else { "; not each was shown to be necessary" }
    );
    for name in names(&minimal.names, &minimal.set) {
        let _ = writeln!(out, "  {}", safe(&name));
    }
    for name in names(&minimal.names, &minimal.with) {
        let _ = writeln!(out, "  brought along: {}", safe(&name));
    }
    let _ = writeln!(out, "all of them together fail in about {:.1} % of the runs", minimal.rate * 100.0);
    let _ = writeln!(out, "evidence (sets of differences):");
    for SetEvidence { set, tally, verdict, build, .. } in &minimal.tests {
        let size = match set.len() as u64 {
            0 => "none".to_owned(),
            n if n == all => "all".to_owned(),
            1 => set.first().and_then(|&e| minimal.names.get(e)).map(|n| safe(n)).unwrap_or_default(),
            n => number(n),
        };
        let why =
            build.as_ref().and_then(|b| b.why.as_ref()).map_or(String::new(), |w| format!(" ({})", safe(w)));
        let _ = writeln!(
            out,
            "  {:>4} of {:>4} failed  {size}: {verdict}{why}",
            tally.fails,
            tally.fails + tally.passes
        );
    }
}
