//! `kvet boot`: how often does a kernel fail to boot, in which ways, and whose fault is it?

pub mod args;
pub mod human;
mod json;
mod junit;
mod live;
pub mod paths;
pub mod prepare;
pub mod words;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use kvet_lab::campaign::{self, Campaign, Finished};
use kvet_lab::plan::Plan;
use kvet_lab::store::{CampaignRecord, Store, Stored};
use kvet_lab::{Cluster, Error, Qemu};

use crate::cli::Color;
use crate::exit::Exit;
use crate::progress::complain;
use args::{BootArgs, BootFormat, RunId};

/// What a campaign has come to, with all that output needs.
pub struct Result_<'a> {
    /// The campaign as it is in the store.
    pub stored: &'a Stored,
    /// Boots that failed alike.
    pub clusters: &'a [Cluster],
    /// How it ended.
    pub finished: &'a Finished,
    /// The store.
    pub store: &'a Store,
    /// The store, when it is not the default one: what `kvet runs` must be told.
    pub store_option: Option<PathBuf>,
}

/// Set by Ctrl-C: the campaign ends in order, and can be resumed.
static STOP: AtomicBool = AtomicBool::new(false);

/// Runs `kvet boot`.
pub fn run(args: &BootArgs, color: Color) -> Exit {
    let exit = match boot(args, color) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&crate::text::Lines(&error.to_string()).to_string());
            Exit::Unanswered
        }
    };
    match (args.git_bisect, exit) {
        // `git bisect run` takes 125 as "skip this commit".
        (true, Exit::Unanswered) => Exit::Skip,
        (_, exit) => exit,
    }
}

fn boot(args: &BootArgs, color: Color) -> Result<Exit, Error> {
    let path = args.store.clone().unwrap_or_else(paths::default_store);
    let store = Store::open(&path)?;
    let start = begin(args, &store)?;
    for note in &start.notes {
        complain(&crate::text::safe(note));
    }
    listen_for_interrupt();
    let finished = follow(store, &start)?;
    // The campaign has taken the store with it; another connection reads what it wrote.
    let store = Store::open(&path)?;
    let stored = store.campaign(start.id)?;
    let clusters = store.clusters(&stored)?;
    let result = Result_ {
        stored: &stored,
        clusters: &clusters,
        finished: &finished,
        store: &store,
        store_option: args.store.clone(),
    };
    let mut out = Vec::new();
    let rendered = match args.format {
        BootFormat::Human => human::write(&result, color.on_stdout(), &mut out),
        BootFormat::Json => json::write(&result, &mut out),
        BootFormat::Junit => junit::write(&result, &mut out),
    };
    rendered.and_then(|()| io::stdout().write_all(&out)).or_else(|e| match e.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Error::Io { what: "stdout".into(), why: e }),
    })?;
    Ok(exit(&stored, &finished))
}

fn exit(stored: &Stored, finished: &Finished) -> Exit {
    let tally = stored.tally;
    if tally.failures() > 0 {
        Exit::Wrong
    } else if tally.counted() == 0 || finished.answer == kvet_lab::plan::Answer::Stopped {
        Exit::Unanswered
    } else {
        Exit::Clean
    }
}

/// A campaign that is ready to run.
struct Start {
    id: i64,
    plan: Plan,
    qemus: Vec<Qemu>,
    notes: Vec<String>,
}

fn begin(args: &BootArgs, store: &Store) -> Result<Start, Error> {
    if let Some(id) = args.resume {
        return resume(args, store, id);
    }
    if let Some(run) = args.replay {
        return replay(args, store, run);
    }
    let kernel = args.kernel.as_deref().ok_or_else(|| Error::Usage("name a kernel".into()))?;
    let prepared = prepare::prepare(args, kernel, store.path())?;
    let id = store.add_campaign(&prepared.record)?;
    Ok(Start { id, plan: prepared.record.plan, qemus: prepared.qemus, notes: prepared.notes })
}

/// Goes on with a campaign; more boots or other guests at once may be asked for.
fn resume(args: &BootArgs, store: &Store, id: i64) -> Result<Start, Error> {
    let Stored { mut record, .. } = store.campaign(id)?;
    record.kernel.verify()?;
    record.plan.boots = args.boots.unwrap_or(record.plan.boots);
    record.plan.jobs = args.jobs.unwrap_or(record.plan.jobs);
    store.set_record(id, &record)?;
    let qemus = prepare::emulators(&record.plan)?;
    Ok(Start { id, plan: record.plan, qemus, notes: Vec::new() })
}

/// A new campaign of one machine: that of a boot in the store, seed and all.
fn replay(args: &BootArgs, store: &Store, run: RunId) -> Result<Start, Error> {
    let Stored { record, .. } = store.campaign(run.campaign)?;
    record.kernel.verify()?;
    let boot = store.boot(run.campaign, run.boot)?;
    let (index, machine) = record.plan.machine(boot.number);
    let variant = &record.plan.variants[index];
    let plan = Plan {
        variants: vec![kvet_lab::plan::Variant {
            factors: Vec::new(),
            command_line: machine.shell_command(),
            machine,
            ..variant.clone()
        }],
        boots: args.boots.unwrap_or(1),
        jobs: args.jobs.unwrap_or(1),
        // A drawn machine is fixed now; a seed is in the machine.
        amplifier: record.plan.amplifier.filter(|a| *a == kvet_lab::plan::Amplifier::StaticKeys),
        ..record.plan
    };
    let record = CampaignRecord { plan, ..record };
    let id = store.add_campaign(&record)?;
    let qemus = prepare::emulators(&record.plan)?;
    Ok(Start { id, plan: record.plan, qemus, notes: Vec::new() })
}

/// Runs the campaign while its events are shown.
fn follow(store: Store, start: &Start) -> Result<Finished, Error> {
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let campaign = Campaign {
            store,
            id: start.id,
            plan: &start.plan,
            qemus: &start.qemus,
            events: send,
            stop: &STOP,
        };
        let runner = scope.spawn(move || campaign::run(campaign));
        live::show(start.id, &start.plan, &receive);
        runner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The first Ctrl-C ends the campaign in order, the second at once (its guests die with it either way).
fn listen_for_interrupt() {
    let set = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    if let Err(error) = set {
        complain(&format!("Ctrl-C ends without a summary: {error}"));
    }
}
