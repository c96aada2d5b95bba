//! From options to a plan: which machines, what counts, when to stop.

use std::path::{Path, PathBuf};

use kvet_lab::init::Init;
use kvet_lab::plan::{Amplifier, Plan, StopRule, SuccessSpec, Variant};
use kvet_lab::store::CampaignRecord;
use kvet_lab::{Arch, Error, Host, Initrd, Kernel, Machine, Qemu};

use kvet_lab::voice::Milestone;

use super::args::{BootArgs, FailOn, SnapshotAt, Stress, Until};

/// A campaign that can start.
pub struct Prepared {
    /// What is stored of it.
    pub record: CampaignRecord,
    /// Its emulators.
    pub qemus: Vec<Qemu>,
    /// What a person should know before.
    pub notes: Vec<String>,
}

/// The value of PATH, in which QEMU is looked for.
fn path_list() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Opens the emulators that a plan's machines name.
///
/// # Errors
/// One of them is missing, or is another one than the plan had.
pub fn emulators(plan: &Plan) -> Result<Vec<Qemu>, Error> {
    let mut qemus: Vec<Qemu> = Vec::new();
    for variant in &plan.variants {
        if qemus.iter().any(|q| q.path == variant.machine.qemu) {
            continue;
        }
        let qemu = Qemu::open(&variant.machine.qemu, &path_list())?;
        if qemu.sha256 != variant.qemu_sha256 {
            return Err(Error::StrangeEmulator {
                path: qemu.path,
                why: format!(
                    "it is version {} now, the campaign was begun with another binary, of version {}",
                    qemu.version, variant.qemu_version
                ),
            });
        }
        qemus.push(qemu);
    }
    Ok(qemus)
}

/// Makes a plan of options.
///
/// # Errors
/// The kernel or an emulator cannot be used, or the options contradict each other.
pub fn prepare(args: &BootArgs, kernel: &Path, store: &Path) -> Result<Prepared, Error> {
    let kernel = Kernel::open(kernel)?;
    let arch = kernel.arch;
    let mut notes = Vec::new();
    if let Some(why) = &kernel.unread {
        notes.push(format!("{why}; it is booted all the same, as {}", arch.as_str()));
    }
    let qemus = open_emulators(args, arch)?;
    let init = init(args);
    let accels = accelerators(args, &kernel, &qemus, &mut notes)?;
    let variants = variants(args, &kernel, &qemus, &accels, init)?;
    let smp = variants.iter().map(|v| v.machine.smp).max().unwrap_or(1);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = Plan {
        boots: boots(args, variants.len() as u64),
        jobs: args.jobs.unwrap_or_else(|| jobs(args, cpus, smp)).max(1),
        variants,
        timeout_s: checked_seconds(timeout(args), "--timeout")?,
        quiet_s: args.quiet.map(|s| checked_seconds(s, "--quiet")).transpose()?,
        stop: stop_rule(args),
        success: success(args),
        complaints_fail: args.fail_on == Some(FailOn::Warning),
        keep_memory: args.keep_memory.map(|_| memory_directory(store)),
        amplifier: amplifier(args),
        snapshots: if args.from_snapshot.is_some() { args.snapshots.clamp(1, 64) } else { 0 },
        snapshot_at: args.from_snapshot.map(|at| match at {
            SnapshotAt::Banner => Milestone::Banner,
            SnapshotAt::Smp => Milestone::Smp,
            SnapshotAt::Init => Milestone::Init,
        }),
        nonce: nonce(),
        seed: args.seed,
        init,
    };
    // A bad pattern shall be said before the first boot.
    plan.success()?;
    let record = CampaignRecord { plan, kernel, host: Host::this(), kvet: env!("KVET_VERSION").to_owned() };
    Ok(Prepared { record, qemus, notes })
}

fn open_emulators(args: &BootArgs, arch: Arch) -> Result<Vec<Qemu>, Error> {
    let default = [PathBuf::from(arch.emulator())];
    let names = if args.qemu.is_empty() { &default[..] } else { &args.qemu };
    names.iter().map(|name| Qemu::open(name, &path_list())).collect()
}

fn init(args: &BootArgs) -> Init {
    match args.stress {
        Some(Stress::StaticKeys) => Init::StaticKeys { rounds: args.rounds.max(1) },
        None => Init::Minimal,
    }
}

fn amplifier(args: &BootArgs) -> Option<Amplifier> {
    if args.from_snapshot.is_some() {
        return Some(Amplifier::Snapshot);
    }
    match (args.stress, args.seeds, args.vary) {
        (Some(Stress::StaticKeys), ..) => Some(Amplifier::StaticKeys),
        (_, true, _) => Some(Amplifier::Seeds),
        (.., true) => Some(Amplifier::Vary),
        _ => None,
    }
}

fn boots(args: &BootArgs, variants: u64) -> u64 {
    let stops = args.until.is_some() || args.until_rate.is_some() || args.until_confident.is_some();
    match args.boots {
        Some(boots) => boots,
        // A stop rule says when; this only keeps it from running for ever.
        None if stops => 1_000_000,
        None if args.git_bisect => 1,
        None => variants,
    }
}

/// One guest for each `smp` processors; a stress has twice as many as that, and two at least, for its race needs
/// virtual CPUs that are taken off their processors.
fn jobs(args: &BootArgs, cpus: usize, smp: u32) -> usize {
    let fair = (cpus / smp.max(1) as usize).max(1);
    if args.stress.is_some() { (2 * cpus).max(2) } else { fair }
}

/// A boot of a distribution's kernel takes some seconds; of one that toggles keys on a starved host, some minutes.
fn timeout(args: &BootArgs) -> f64 {
    args.timeout.unwrap_or(if args.stress.is_some() { 1200.0 } else { 300.0 })
}

fn checked_seconds(seconds: f64, option: &str) -> Result<f64, Error> {
    match seconds > 0.0 && seconds <= 1e6 {
        true => Ok(seconds),
        false => Err(Error::Usage(format!("{option} {seconds}: give seconds, more than 0"))),
    }
}

fn stop_rule(args: &BootArgs) -> StopRule {
    if let Some(rates) = args.until_rate {
        StopRule::Rate { p0: rates.0, p1: rates.1 }
    } else if let Some(c) = args.until_confident {
        StopRule::Confident { rate: c.0, confidence: c.1 }
    } else if args.until == Some(Until::Failure) || args.git_bisect {
        StopRule::Failure
    } else {
        StopRule::Never
    }
}

fn success(args: &BootArgs) -> SuccessSpec {
    match (&args.success, &args.initrd) {
        (Some(pattern), _) => SuccessSpec::Pattern(pattern.clone()),
        (None, Some(_)) => SuccessSpec::Ordinary,
        (None, None) => SuccessSpec::Builtin,
    }
}

/// Beside the store: `boots.sqlite` has its memories in `boots.memory/`.
fn memory_directory(store: &Path) -> PathBuf {
    store.with_extension("memory")
}

/// No other campaign's console has it.
fn nonce() -> String {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", time.as_nanos(), std::process::id())
}

/// The accelerators to boot with: as asked, `auto` proved.
fn accelerators(
    args: &BootArgs,
    kernel: &Kernel,
    qemus: &[Qemu],
    notes: &mut Vec<String>,
) -> Result<Vec<String>, Error> {
    let asked: Vec<&str> = match args.accel.is_empty() {
        true => vec!["auto"],
        false => args.accel.iter().map(String::as_str).collect(),
    };
    let mut accels = Vec::new();
    for accel in asked {
        if accel != "auto" {
            accels.push(accel.to_owned());
            continue;
        }
        accels.push(proven(args, kernel, qemus, notes)?);
    }
    accels.dedup();
    Ok(accels)
}

/// KVM, when it works with every emulator: a comparison of emulators shall not be one of accelerators.
fn proven(
    args: &BootArgs,
    kernel: &Kernel,
    qemus: &[Qemu],
    notes: &mut Vec<String>,
) -> Result<String, Error> {
    let cache = super::paths::cache_directory();
    let cpu = args.cpu.first().map(String::as_str);
    let mut accel = String::new();
    for qemu in qemus {
        let proof = kvet_lab::accel::prove(kernel, qemu, cpu, cache.as_deref())?;
        accel = proof.accel;
        if accel != "kvm" {
            notes.extend(proof.why_not);
            break;
        }
    }
    Ok(accel)
}

/// What tells emulators apart: their numbers, or where they are when some have the same number.
fn names(qemus: &[Qemu]) -> Vec<String> {
    let numbers: std::collections::BTreeSet<&str> = qemus.iter().map(Qemu::number).collect();
    let name = |qemu: &Qemu| match numbers.len() == qemus.len() {
        true => qemu.number().to_owned(),
        false => qemu.path.to_string_lossy().into_owned(),
    };
    qemus.iter().map(name).collect()
}

/// Every combination of what was given more than once, in an order that interleaves them.
fn variants(
    args: &BootArgs,
    kernel: &Kernel,
    qemus: &[Qemu],
    accels: &[String],
    init: Init,
) -> Result<Vec<Variant>, Error> {
    let smps = if args.smp.is_empty() { vec![default_smp(args)] } else { args.smp.clone() };
    if let Some(bad) = smps.iter().find(|n| !(1..=1024).contains(*n)) {
        return Err(Error::Usage(format!("--smp {bad}: give 1 to 1024 processors")));
    }
    let some = |list: &[String]| -> Vec<Option<String>> {
        if list.is_empty() { vec![None] } else { list.iter().cloned().map(Some).collect() }
    };
    let (cpus, appends) = (some(&args.cpu), some(&args.append));
    let initrd = match &args.initrd {
        Some(file) => Initrd::File(
            std::fs::canonicalize(file).map_err(|why| Error::Io { what: file.display().to_string(), why })?,
        ),
        None => Initrd::Builtin(init),
    };
    let mut out = Vec::new();
    for (qemu, name) in qemus.iter().zip(names(qemus)) {
        for accel in accels {
            for smp in &smps {
                for cpu in &cpus {
                    for append in &appends {
                        let mut machine = Machine::new(kernel.arch, &kernel.path);
                        machine.qemu = qemu.path.clone();
                        machine.firmware = args.firmware.clone();
                        machine.machine = args.machine.clone();
                        machine.accel = accel.clone();
                        machine.cpu = cpu.clone();
                        machine.smp = *smp;
                        machine.memory_mib = args.memory.0;
                        machine.initrd = initrd.clone();
                        machine.append = append.clone().unwrap_or_default();
                        machine.qemu_args = args.qemu_arg.clone();
                        machine.network = args.network;
                        let mut factors = Vec::new();
                        let mut factor = |many: bool, name: &str, value: String| {
                            if many {
                                factors.push((name.to_owned(), value));
                            }
                        };
                        factor(qemus.len() > 1, "qemu", name.clone());
                        factor(accels.len() > 1, "accel", accel.clone());
                        factor(smps.len() > 1, "smp", smp.to_string());
                        factor(cpus.len() > 1, "cpu", cpu.clone().unwrap_or_default());
                        factor(appends.len() > 1, "append", append.clone().unwrap_or_default());
                        out.push(Variant {
                            factors,
                            command_line: machine.shell_command(),
                            machine,
                            qemu_sha256: qemu.sha256.clone(),
                            qemu_version: qemu.version.clone(),
                        });
                    }
                }
            }
        }
    }
    Ok(out)
}

/// A race between processors needs several.
fn default_smp(args: &BootArgs) -> u32 {
    if args.stress.is_some() { 4 } else { 1 }
}
