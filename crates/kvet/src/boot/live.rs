//! What a person sees while a campaign runs: on a terminal a line a guest and a line for all; in a log failures, and
//! a line a minute.

use std::io::IsTerminal;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kvet_lab::campaign::Event;
use kvet_lab::plan::{Plan, Tally};
use kvet_lab::store::StoredBoot;
use kvet_lab::{Outcome, voice::Milestone};

use super::words;
use crate::progress::complain;
use crate::text::{self, safe};

/// Shows events until the campaign has ended.
pub fn show(campaign: i64, plan: &Plan, events: &Receiver<Event>) {
    let mut view = View::new(campaign, plan);
    while let Ok(event) = events.recv() {
        view.take(event);
    }
    view.finish();
}

struct View<'a> {
    campaign: i64,
    plan: &'a Plan,
    since: Instant,
    finished: u64,
    /// When a log last had a line of progress.
    logged: Instant,
    bars: Option<Bars>,
    /// Signatures that were said already.
    said: Vec<String>,
    /// Whether it was said already that a memory could not be kept.
    memory_lost: bool,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    guests: Vec<ProgressBar>,
}

impl<'a> View<'a> {
    fn new(campaign: i64, plan: &'a Plan) -> View<'a> {
        let wanted = std::io::stderr().is_terminal();
        let bars = wanted.then(|| Bars::new(plan));
        View {
            campaign,
            plan,
            since: Instant::now(),
            finished: 0,
            logged: Instant::now(),
            bars,
            said: Vec::new(),
            memory_lost: false,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Started { slot, boot, variant } => {
                let label = self.plan.variants.get(variant).map(|v| safe(&v.label())).unwrap_or_default();
                let label = if label.is_empty() { String::new() } else { format!(" ({label})") };
                self.guest(slot, &format!("boot {boot}{label}: started"));
            }
            Event::Reached { slot, milestone } => self.reached(slot, milestone),
            Event::Finished { boot, tally, left, passes_left, .. } => {
                self.finished += 1;
                self.ended(&boot);
                self.total(tally, left, passes_left);
            }
            Event::Note(note) => self.say(&safe(&note)),
        }
    }

    fn guest(&self, slot: usize, text: &str) {
        if let Some(bar) = self.bars.as_ref().and_then(|b| b.guests.get(slot)) {
            bar.set_prefix(text.to_owned());
            bar.set_message("");
            bar.reset_elapsed();
        }
    }

    fn reached(&self, slot: usize, milestone: Milestone) {
        if let Some(bar) = self.bars.as_ref().and_then(|b| b.guests.get(slot)) {
            bar.set_message(milestone.as_str());
        }
    }

    /// A failure is worth a line the first time; the table at the end counts them.
    fn ended(&mut self, stored: &StoredBoot) {
        let boot = &stored.boot;
        if boot.outcome == Outcome::Passed {
            return;
        }
        if let Some(why) =
            boot.memory_lost.as_ref().filter(|_| !std::mem::replace(&mut self.memory_lost, true))
        {
            self.say(&format!(
                "the memory of boot {}.{} is not kept: {}",
                self.campaign,
                stored.number,
                safe(why)
            ));
        }
        let key = format!("{} {}", boot.outcome.as_str(), boot.signature.as_deref().unwrap_or_default());
        /// So many different failures are told as they come.
        const DIFFERENT: usize = 20;
        if self.said.contains(&key) || self.said.len() >= DIFFERENT {
            return;
        }
        self.said.push(key);
        let title = boot.title.as_deref().unwrap_or("no word about it");
        let id = format!("{}.{}", self.campaign, stored.number);
        self.say(&format!("boot {id} {}: {}", boot.outcome.as_str(), safe(title)));
    }

    fn say(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| complain(line)),
            None => complain(line),
        }
    }

    fn total(&mut self, tally: Tally, left: u64, passes_left: Option<u64>) {
        /// Between two lines of progress in a log.
        const EVERY: Duration = Duration::from_secs(60);
        if self.bars.is_none() && self.logged.elapsed() < EVERY {
            return;
        }
        self.logged = Instant::now();
        let elapsed = self.since.elapsed().as_secs_f64();
        let per_second = self.finished as f64 / elapsed.max(0.001);
        let to_come = passes_left.unwrap_or(left);
        let remaining = words::time(to_come as f64 / per_second.max(1e-9));
        let eta = match passes_left {
            Some(_) => format!("{remaining} left if all pass"),
            None => format!("{remaining} left"),
        };
        let counts: Vec<String> = Outcome::ALL
            .into_iter()
            .filter(|o| tally.of(*o) > 0)
            .map(|o| format!("{} {}", text::number(tally.of(o)), o.as_str()))
            .collect();
        let (done, all) = (tally.total(), tally.total() + to_come);
        let message = format!(
            "{}; fails {}; {} boots/h, {eta}",
            counts.join(", "),
            words::rate(&tally.rate()),
            text::number((per_second * 3600.0) as u64)
        );
        match &self.bars {
            Some(bars) => {
                bars.total.set_length(all);
                bars.total.set_position(done);
                bars.total.set_message(message);
            }
            None => complain(&format!("boot {} of {}: {message}", text::number(done), text::number(all))),
        }
    }

    fn finish(self) {
        if let Some(bars) = self.bars {
            for bar in &bars.guests {
                bar.finish_and_clear();
            }
            bars.total.finish_and_clear();
        }
    }
}

impl Bars {
    fn new(plan: &Plan) -> Bars {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        /// More guests than lines on a terminal are only counted.
        const LINES: usize = 16;
        let guests = (0..plan.jobs.min(LINES))
            .map(|_| {
                let bar =
                    all.add(ProgressBar::new_spinner().with_style(style("  {elapsed:>4} {prefix} {msg}")));
                bar.enable_steady_tick(Duration::from_secs(1));
                bar
            })
            .collect();
        let total = all.add(ProgressBar::new(plan.boots).with_style(style("{bar:24} {pos} of {len}: {msg}")));
        Bars { all, total, guests }
    }
}
