//! Many boots: a thread a guest, every boot in the store before the thread's next one starts.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::boot::{self, Request};
use crate::capture::Console;
use crate::machine::{Initrd, Machine};
use crate::outcome::Outcome;
use crate::plan::{Answer, Pace, Plan, Stopper, Tally};
use crate::qemu::Qemu;
use crate::snapshot::Snapshot;
use crate::store::{Store, StoreError, StoredBoot};
use crate::voice::{Milestone, Success};
use crate::{Error, memory};

/// What happens while a campaign runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// A guest was started.
    Started {
        /// Which of the guests that run at once, from 0.
        slot: usize,
        /// Number of the boot.
        boot: u64,
        /// Index of its machine.
        variant: usize,
    },
    /// A guest has come so far.
    Reached {
        /// Which guest.
        slot: usize,
        /// How far.
        milestone: Milestone,
    },
    /// A boot has ended and is in the store.
    Finished {
        /// Which guest.
        slot: usize,
        /// The boot, without its console.
        boot: Box<StoredBoot>,
        /// All outcomes so far, those of earlier sessions of a resumed campaign too.
        tally: Tally,
        /// Boots still to come at most.
        left: u64,
        /// Boots still to come if all pass, where a stop rule says so.
        passes_left: Option<u64>,
    },
    /// Something that a person should know while it goes on.
    Note(String),
}

/// A campaign that is to be run, or to be gone on with.
pub struct Campaign<'a> {
    /// The store that it is in.
    pub store: Store,
    /// Its number there.
    pub id: i64,
    /// What shall be done.
    pub plan: &'a Plan,
    /// The QEMUs, one for each variant's path.
    pub qemus: &'a [Qemu],
    /// Where to tell what happens.
    pub events: Sender<Event>,
    /// Set to end it; boots under way are dropped, and come again when it is resumed.
    pub stop: &'a AtomicBool,
}

/// What a campaign has come to.
#[derive(Clone, PartialEq, Debug)]
pub struct Finished {
    /// Why it ended.
    pub answer: Answer,
    /// Boots of this session.
    pub boots: u64,
    /// Seconds that this session took.
    pub wall_s: f64,
}

/// QEMU that dies so often in a row will go on to.
const EMULATOR_DEATHS: u64 = 5;

struct Shared<'a> {
    store: Store,
    id: i64,
    stopper: Stopper,
    tally: Tally,
    paces: Vec<Pace>,
    /// Boots of earlier sessions.
    done: std::collections::BTreeSet<u64>,
    next: u64,
    finished: u64,
    deaths: u64,
    answer: Option<Answer>,
    error: Option<Error>,
    plan: &'a Plan,
}

impl Shared<'_> {
    fn take(&mut self) -> Option<u64> {
        if self.answer.is_some() || self.error.is_some() {
            return None;
        }
        while self.done.contains(&self.next) {
            self.next += 1;
        }
        let number = self.next;
        (number < self.plan.boots).then(|| {
            self.next += 1;
            number
        })
    }

    fn finish(&mut self, boot: &StoredBoot) {
        let outcome = boot.boot.outcome;
        self.finished += 1;
        self.tally.add(outcome);
        if outcome == Outcome::Passed
            && let Some(pace) = self.paces.get_mut(boot.variant)
        {
            pace.learn(boot.boot.longest_gap_s, boot.boot.own_s);
        }
        self.deaths = if outcome == Outcome::Emulator { self.deaths + 1 } else { 0 };
        if self.deaths >= EMULATOR_DEATHS && self.tally.emulator == self.tally.total() {
            let why = boot.boot.title.clone().unwrap_or_default();
            let said = &boot.boot.emulator_said;
            self.error.get_or_insert(Error::Usage(format!("QEMU dies every time: {why}\n{said}")));
        }
        if self.answer.is_none() {
            self.answer = self.stopper.add(boot.number, outcome);
        }
    }
}

/// What every guest needs and none changes.
struct Common<'a> {
    plan: &'a Plan,
    qemus: &'a [Qemu],
    success: Success,
    /// Our init, packed, when the machines boot it.
    initrd: Option<OwnedFd>,
    /// What guests go on from, of each machine, when they do not boot from the start.
    snapshots: Vec<Vec<Snapshot>>,
    events: Sender<Event>,
    /// Set from outside.
    stop: &'a AtomicBool,
    /// Set from inside: the question is answered, or cannot be.
    over: AtomicBool,
    shared: Mutex<Shared<'a>>,
}

impl<'a> Common<'a> {
    fn shared(&self) -> MutexGuard<'_, Shared<'a>> {
        // What another thread left when it panicked is still a consistent count.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more: the boots matter, not the progress.
        let _ = self.events.send(event);
    }
}

/// Runs a campaign until it has its answer.
///
/// # Errors
/// QEMU refuses the machine, or the store cannot be written. What was stored before stays.
pub fn run(campaign: Campaign<'_>) -> Result<Finished, Error> {
    let Campaign { store, id, plan, qemus, events, stop } = campaign;
    let started = Instant::now();
    let _claim = store.claim(id)?;
    let mut stopper = Stopper::new(plan.stop)?;
    let done = store.done(id)?;
    let mut answer = None;
    for &(number, outcome) in &done {
        answer = answer.or(stopper.add(number, outcome));
    }
    store.set_answer(id, None)?;
    let shared = Shared {
        tally: store.tally(id, None)?,
        store,
        id,
        stopper,
        paces: vec![Pace::new(); plan.variants.len()],
        done: done.into_iter().map(|(n, _)| n).collect(),
        next: 0,
        finished: 0,
        deaths: 0,
        answer,
        error: None,
        plan,
    };
    let initrd = match plan.variants.first() {
        Some(variant) if plan.builtin() => {
            let archive = plan.init.initramfs(variant.machine.arch, &plan.nonce);
            Some(memory::anonymous_with("kvet-init", &archive).map_err(Error::io("a file in memory"))?)
        }
        _ => None,
    };
    let success = plan.success()?;
    let snapshots = take_snapshots(plan, qemus, &success, initrd.as_ref(), &events, stop)?;
    let common = Common {
        plan,
        qemus,
        success,
        initrd,
        snapshots,
        events,
        stop,
        over: AtomicBool::new(false),
        shared: Mutex::new(shared),
    };
    std::thread::scope(|scope| {
        for slot in 0..plan.jobs.max(1) {
            let common = &common;
            scope.spawn(move || guest_after_guest(common, slot));
        }
    });
    let shared = common.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = shared.error {
        return Err(error);
    }
    let stopped = stop.load(Ordering::Relaxed);
    let answer = shared.answer.unwrap_or(if stopped { Answer::Stopped } else { Answer::Planned });
    let said = serde_json::to_string(&answer).unwrap_or_default();
    shared.store.set_answer(id, Some(&said).filter(|_| !stopped).map(String::as_str))?;
    Ok(Finished { answer, boots: shared.finished, wall_s: started.elapsed().as_secs_f64() })
}

/// Boots every machine to the moment where guests shall go on from, as often as snapshots are wanted.
fn take_snapshots(
    plan: &Plan,
    qemus: &[Qemu],
    success: &Success,
    initrd: Option<&OwnedFd>,
    events: &Sender<Event>,
    stop: &AtomicBool,
) -> Result<Vec<Vec<Snapshot>>, Error> {
    let Some(at) = plan.snapshot_at else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for variant in &plan.variants {
        let mut of_one = Vec::new();
        for _ in 0..plan.snapshots.max(1) {
            let request = Request {
                machine: &variant.machine,
                qemu: emulator(qemus, &variant.machine)?,
                initrd: initrd.filter(|_| matches!(variant.machine.initrd, Initrd::Builtin(_))),
                snapshot: None,
                success,
                limits: Pace::new().limits(plan),
                complaints_fail: false,
                keep_memory: None,
                stop: &|| stop.load(Ordering::Relaxed),
            };
            let started = Instant::now();
            let snapshot = boot::snapshot(&request, at)?.ok_or_else(|| {
                Error::Usage(format!("no snapshot: the boot did not come to \"{}\"", at.as_str()))
            })?;
            let note = format!(
                "snapshot at \"{}\": {} MiB after {:.1} s",
                at.as_str(),
                snapshot.bytes() >> 20,
                started.elapsed().as_secs_f64()
            );
            // Nobody listens any more: the boots matter, not the progress.
            let _ = events.send(Event::Note(note));
            of_one.push(snapshot);
        }
        all.push(of_one);
    }
    Ok(all)
}

fn emulator<'a>(qemus: &'a [Qemu], machine: &Machine) -> Result<&'a Qemu, Error> {
    qemus.iter().find(|q| q.path == machine.qemu).ok_or_else(|| Error::NoEmulator(machine.qemu.clone()))
}

/// One thread: it starts a QEMU, which dies when the thread does, and stores what came of it.
fn guest_after_guest(common: &Common<'_>, slot: usize) {
    while !common.stop.load(Ordering::Relaxed) {
        let Some(number) = common.shared().take() else { return };
        let (variant, machine) = common.plan.machine(number);
        common.tell(Event::Started { slot, boot: number, variant });
        match one(common, slot, number, variant, &machine) {
            Ok(Some((boot, console))) => keep(common, slot, boot, &console),
            Ok(None) => return,
            Err(error) => {
                common.shared().error.get_or_insert(error);
                common.over.store(true, Ordering::Relaxed);
                return;
            }
        }
    }
}

fn one(
    common: &Common<'_>,
    slot: usize,
    number: u64,
    variant: usize,
    machine: &Machine,
) -> Result<Option<(StoredBoot, Console)>, Error> {
    let qemu = emulator(common.qemus, machine)?;
    let snapshots = common.snapshots.get(variant).map(Vec::as_slice).unwrap_or_default();
    let turn = common.plan.snapshot_turn(number, snapshots.len() as u64) as usize;
    let (limits, id) = {
        let shared = common.shared();
        (shared.paces.get(variant).copied().unwrap_or_default().limits(common.plan), shared.id)
    };
    let memory: Option<PathBuf> =
        common.plan.keep_memory.as_ref().map(|d| d.join(format!("campaign-{id}-boot-{number}.memory")));
    let over = Either { a: common.stop, b: &common.over };
    let request = Request {
        machine,
        qemu,
        initrd: common.initrd.as_ref().filter(|_| matches!(machine.initrd, Initrd::Builtin(_))),
        snapshot: snapshots.get(turn),
        success: &common.success,
        limits,
        complaints_fail: common.plan.complaints_fail,
        keep_memory: memory.as_deref(),
        stop: &|| over.is_set(),
    };
    let ended = boot::run(&request, &mut |milestone| common.tell(Event::Reached { slot, milestone }))?;
    Ok(ended.map(|(boot, console)| (StoredBoot { number, variant, seed: machine.seed, boot }, console)))
}

/// Two flags as one.
struct Either<'a> {
    a: &'a AtomicBool,
    b: &'a AtomicBool,
}

impl Either<'_> {
    fn is_set(&self) -> bool {
        self.a.load(Ordering::Relaxed) || self.b.load(Ordering::Relaxed)
    }
}

/// Puts a boot into the store and draws the conclusions.
fn keep(common: &Common<'_>, slot: usize, boot: StoredBoot, console: &Console) {
    let stored = store_with_patience(common, &boot, console);
    let mut shared = common.shared();
    if let Err(error) = stored {
        shared.error.get_or_insert(error.into());
        common.over.store(true, Ordering::Relaxed);
        return;
    }
    shared.finish(&boot);
    if shared.answer.is_some() || shared.error.is_some() {
        common.over.store(true, Ordering::Relaxed);
    }
    let left = shared.plan.boots.saturating_sub(shared.tally.total());
    let event = Event::Finished {
        slot,
        boot: Box::new(boot),
        tally: shared.tally,
        left,
        passes_left: shared.stopper.passes_left().map(|n| n.min(left)),
    };
    drop(shared);
    common.tell(event);
}

/// A full disk may become free: somebody who watches can make room, and the boot that has ended is not lost.
fn store_with_patience(common: &Common<'_>, boot: &StoredBoot, console: &Console) -> Result<(), StoreError> {
    /// So long a full disk is waited for.
    const WAIT: Duration = Duration::from_secs(60);
    let since = Instant::now();
    let mut told = false;
    loop {
        let result = {
            let shared = common.shared();
            shared.store.add_boot(shared.id, boot, console)
        };
        match result {
            Err(StoreError::Full { path })
                if since.elapsed() < WAIT && !common.stop.load(Ordering::Relaxed) =>
            {
                if !std::mem::replace(&mut told, true) {
                    common.tell(Event::Note(format!(
                        "{}: the disk is full; boot {} waits for room, for a minute",
                        path.display(),
                        boot.number
                    )));
                }
                std::thread::sleep(Duration::from_secs(2));
            }
            result => return result,
        }
    }
}
