//! `kvet runs`: the campaigns in the store: list, show, export, compare.

pub mod matrix;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use kvet_lab::stats::{self, Comparison};
use kvet_lab::store::{Store, Stored};
use kvet_lab::{Console, Error};

use crate::boot::args::RunId;
use crate::boot::{human, paths, words};
use crate::cli::Color;
use crate::exit::Exit;
use crate::progress::complain;
use crate::render::human::Paint;
use crate::text::{self, count, safe};

/// `kvet runs`.
#[derive(Args, Debug)]
pub struct RunsArgs {
    /// The file that campaigns are kept in [default: kvet/boots.sqlite in the XDG state directory]
    #[arg(long, value_name = "FILE", global = true)]
    store: Option<PathBuf>,
    /// What to do; without it, list
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do with them.
#[derive(Subcommand, Debug)]
enum Command {
    /// The campaigns, with their rates
    List,
    /// A campaign with what failed, or one boot (CAMPAIGN.BOOT) with its console
    Show {
        /// A campaign, or one of its boots
        #[arg(value_name = "ID")]
        id: String,
        /// The console alone, as it came; not for a terminal
        #[arg(long)]
        raw: bool,
    },
    /// Every boot of a campaign with all that is needed to have it again
    Export {
        /// The campaign
        #[arg(value_name = "ID")]
        id: i64,
        /// The form
        #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
        format: ExportFormat,
    },
    /// Are the failure rates of two campaigns different?
    Compare {
        /// A campaign
        #[arg(value_name = "A")]
        a: i64,
        /// Another
        #[arg(value_name = "B")]
        b: i64,
        /// Count only failures whose signature or title contains this
        #[arg(long, value_name = "TEXT")]
        signature: Option<String>,
        /// The form of the output
        #[arg(long, value_name = "FORMAT", default_value = "human")]
        format: CompareFormat,
    },
}

/// The form of an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ExportFormat {
    /// A JSON object a line, a boot each
    Jsonl,
}

/// The form of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum CompareFormat {
    /// For people
    Human,
    /// For scripts
    Json,
}

/// Runs `kvet runs`.
pub fn run(args: &RunsArgs, color: Color) -> Exit {
    let path = args.store.clone().unwrap_or_else(paths::default_store);
    let paint = Paint::new(color.on_stdout());
    let mut out = io::stdout().lock();
    let result = open(&path).and_then(|store| match args.command.as_ref().unwrap_or(&Command::List) {
        Command::List => list(&store, paint, &mut out).map(|()| Exit::Clean),
        Command::Show { id, raw } => show(&store, id, *raw, paint, &mut out).map(|()| Exit::Clean),
        Command::Export { id, format: ExportFormat::Jsonl } => {
            export(&store, *id, &mut out).map(|()| Exit::Clean)
        }
        Command::Compare { a, b, signature, format } => {
            compare(&store, (*a, *b), signature.as_deref(), *format, paint, &mut out)
        }
    });
    match result {
        Ok(exit) => exit,
        Err(Error::Io { why, .. }) if why.kind() == io::ErrorKind::BrokenPipe => Exit::Clean,
        Err(error) => {
            complain(&text::Lines(&error.to_string()).to_string());
            Exit::Unanswered
        }
    }
}

/// Reading makes no store.
pub fn open(path: &std::path::Path) -> Result<Store, Error> {
    if !path.exists() {
        return Err(Error::Usage(format!(
            "{}: there is no store yet; kvet boot makes one",
            text::path(path)
        )));
    }
    Ok(Store::open(path)?)
}

fn io_error(why: io::Error) -> Error {
    Error::Io { what: "stdout".into(), why }
}

fn list(store: &Store, paint: Paint, out: &mut dyn Write) -> Result<(), Error> {
    let campaigns = store.campaigns()?;
    let head =
        format!("{:>4}  {:<16}  {:>9}  {:<34}  kernel", "id", "started (UTC)", "boots", "rate of failure");
    writeln!(out, "{}", paint.dim(&head)).map_err(io_error)?;
    for c in &campaigns {
        let kernel = &c.record.kernel;
        let release = kernel.release.clone().unwrap_or_else(|| kernel.path.to_string_lossy().into_owned());
        let mut notes = vec![safe(&release)];
        notes.extend(c.record.plan.amplifier.map(|a| format!("amplified: {}", a.as_str())));
        if c.record.plan.variants.len() > 1 {
            notes.push(count(c.record.plan.variants.len() as u64, "machine"));
        }
        if c.answer.is_none() {
            notes.push("not finished".into());
        }
        writeln!(
            out,
            "{:>4}  {:<16}  {:>9}  {:<34}  {}",
            c.id,
            utc(c.created),
            text::number(c.tally.total()),
            words::rate(&c.tally.rate()),
            notes.join(", ")
        )
        .map_err(io_error)?;
    }
    Ok(())
}

/// `2026-11-21 03:24`: the civil date of days since 1970 (Howard Hinnant's algorithm, chrono-Compatible Low-Level
/// Date Algorithms).
pub fn utc(seconds: f64) -> String {
    let minutes = (seconds / 60.0).floor().max(0.0) as u64;
    let (days, minute) = (minutes / 1440, minutes % 1440);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

fn show(store: &Store, id: &str, raw: bool, paint: Paint, out: &mut dyn Write) -> Result<(), Error> {
    if let Ok(run) = id.parse::<RunId>() {
        let console = store.console(run.campaign, run.boot)?;
        if raw {
            return out.write_all(&console.bytes).map_err(io_error);
        }
        return show_boot(store, run, &console, paint, out);
    }
    let campaign = id
        .parse()
        .map_err(|_| Error::Usage(format!("{}: name a campaign as 3, or a boot as 3.17", safe(id))))?;
    let stored = store.campaign(campaign)?;
    show_campaign(store, &stored, paint, out).map_err(io_error)
}

fn show_campaign(store: &Store, stored: &Stored, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    human::heading(stored, paint, out)?;
    for variant in &stored.record.plan.variants {
        writeln!(out, "  {}", paint.dim(&safe(&variant.command_line)))?;
    }
    let rate = stored.tally.rate();
    writeln!(out, "\n{} fail, of {} that count: {}", rate.failures, rate.boots, words::rate(&rate))?;
    matrix::write(stored, store, paint, out)?;
    for cluster in store.clusters(stored).map_err(io::Error::other)? {
        writeln!(out)?;
        human::one_cluster(stored.id, &cluster, paint, out)?;
    }
    Ok(())
}

fn show_boot(
    store: &Store,
    run: RunId,
    console: &Console,
    paint: Paint,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let stored = store.boot(run.campaign, run.boot)?;
    let campaign = store.campaign(run.campaign)?;
    let boot = &stored.boot;
    let mut facts = || -> io::Result<()> {
        let title = boot.title.as_deref().unwrap_or("no failure");
        let head = format!("boot {}.{} {}:", run.campaign, run.boot, boot.outcome.as_str());
        writeln!(out, "{} {}", paint.strong(&head), safe(title))?;
        if let Some(diagnosis) = &boot.diagnosis {
            writeln!(
                out,
                "  {} {}",
                paint.help(&format!("{}:", diagnosis.confidence)),
                safe(&diagnosis.summary)
            )?;
            for advice in &diagnosis.advice {
                writeln!(out, "  {} {}", paint.help("help:"), safe(advice))?;
            }
        }
        let p = &boot.pressure;
        writeln!(
            out,
            "  {} of {} CPU time; QEMU got {} of what it wanted, {} in the last seconds; load {:.1} on {}, steal {}",
            words::time(boot.wall_s),
            words::time(boot.cpu_s),
            words::percent(p.share()),
            words::percent(p.share_at_end),
            p.load,
            count(p.cpus as u64, "CPU"),
            words::percent(p.steal)
        )?;
        let (_, machine) = campaign.record.plan.machine(stored.number);
        writeln!(out, "  {}", paint.dim(&safe(&machine.shell_command())))?;
        if let Some(seed) = stored.seed {
            writeln!(out, "  seed {seed}")?;
        }
        if let Some(memory) = &boot.memory {
            writeln!(out, "  memory kept in {}", text::path(memory))?;
        }
        if let Some(why) = &boot.memory_lost {
            writeln!(out, "  {} {}", paint.bad("memory not kept:"), safe(why))?;
        }
        writeln!(out)?;
        log(boot, console, paint, out)?;
        if let Some(registers) = &boot.registers {
            writeln!(out, "\n{}", paint.strong("registers of the guest when it was let go:"))?;
            for line in registers.lines() {
                writeln!(out, "  {}", safe(line.trim_end()))?;
            }
        }
        Ok(())
    };
    facts().map_err(io_error)
}

/// The console, each line with its arrival, and a mark where a report begins.
fn log(boot: &kvet_lab::Boot, console: &Console, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let mut offset = 0u64;
    for (number, line) in (1..).zip(console.bytes.split(|&b| b == b'\n')) {
        if let Some(report) = boot.reports.iter().find(|r| r.line == number) {
            writeln!(out, "{}", paint.bad(&format!("--- {}: {}", safe(&report.kind), safe(&report.title))))?;
        }
        let at =
            console.arrived(offset).map_or(String::new(), |ms| format!("{:>8.3}", f64::from(ms) / 1000.0));
        let shown = String::from_utf8_lossy(line);
        writeln!(out, "{} {}", paint.dim(&at), safe(shown.trim_end_matches(['\r', ' '])))?;
        offset += line.len() as u64 + 1;
    }
    Ok(())
}

fn export(store: &Store, id: i64, out: &mut dyn Write) -> Result<(), Error> {
    let campaign = store.campaign(id)?;
    let record = &campaign.record;
    let mut written = Ok(());
    store.each_boot(id, |stored| {
        if written.is_err() {
            return;
        }
        let (variant, machine) = record.plan.machine(stored.number);
        let line = serde_json::json!({
            "schema": "kvet-run/1",
            "run": format!("{id}.{}", stored.number),
            "campaign": id,
            "boot": stored.number,
            "seed": stored.seed,
            "kernel": record.kernel,
            "machine": machine,
            "qemu_version": record.plan.variants[variant].qemu_version,
            "qemu_sha256": record.plan.variants[variant].qemu_sha256,
            "command_line": machine.shell_command(),
            "host": record.host,
            "amplifier": record.plan.amplifier.map(kvet_lab::plan::Amplifier::as_str),
            "kvet": record.kvet,
            "result": stored.boot,
        });
        written = serde_json::to_writer(&mut *out, &line)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"));
    })?;
    written.map_err(io_error)
}

fn compare(
    store: &Store,
    ids: (i64, i64),
    signature: Option<&str>,
    format: CompareFormat,
    paint: Paint,
    out: &mut dyn Write,
) -> Result<Exit, Error> {
    let (a, b) = (store.campaign(ids.0)?, store.campaign(ids.1)?);
    let counts = |stored: &Stored| -> Result<(u64, u64), Error> {
        let failures = match signature {
            None => stored.tally.failures(),
            Some(wanted) => store
                .clusters(stored)?
                .iter()
                .filter(|c| {
                    c.outcome.is_failure() && (c.signature.contains(wanted) || c.title.contains(wanted))
                })
                .map(|c| c.count)
                .sum(),
        };
        Ok((failures, stored.tally.counted()))
    };
    let comparison = stats::compare(counts(&a)?, counts(&b)?, 0.95);
    let mixed = a.record.plan.amplifier != b.record.plan.amplifier;
    match format {
        CompareFormat::Json => {
            let document = serde_json::json!({
                "schema": "kvet-compare/1", "a": ids.0, "b": ids.1, "signature": signature,
                "comparison": comparison, "p_value": comparison.p_value(), "differs": comparison.differs(),
                "same_amplifier": !mixed,
            });
            writeln!(out, "{document}").map_err(io_error)?;
        }
        CompareFormat::Human => {
            if mixed {
                complain(
                    "one of the campaigns is amplified and the other is not, or in another way: their rates are of different things",
                );
            }
            compare_in_words(ids, &comparison, paint, out).map_err(io_error)?;
        }
    }
    Ok(if comparison.differs() { Exit::Wrong } else { Exit::Clean })
}

fn compare_in_words(ids: (i64, i64), c: &Comparison, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    for (id, rate) in [(ids.0, &c.a), (ids.1, &c.b)] {
        writeln!(
            out,
            "campaign {id:>4}: {} of {} fail: {}",
            text::number(rate.failures),
            count(rate.boots, "boot"),
            words::rate(rate)
        )?;
    }
    let high = c.ratio_high.map_or("no bound".to_owned(), |h| format!("{h:.3}"));
    let ratio = c.ratio.map_or("unknown".to_owned(), |r| format!("{r:.3}"));
    writeln!(out, "ratio: {ratio} (95 %: {:.3} to {high})", c.ratio_low)?;
    let test = if c.barnard.is_some() { "Barnard's exact test" } else { "Fisher's exact test" };
    let p = words::p_value(c.p_value());
    match c.differs() {
        true => writeln!(out, "{} the rates differ ({p}, {test})", paint.bad("different:")),
        false => writeln!(
            out,
            "{} chance explains the difference ({p}, {test}); that is no proof that the rates are equal",
            paint.good("not shown:")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil() {
        assert_eq!(utc(0.0), "1970-01-01 00:00");
        assert_eq!(utc(951_782_399.0), "2000-02-28 23:59");
        assert_eq!(utc(951_782_400.0), "2000-02-29 00:00");
        assert_eq!(utc(1_795_233_317.5), "2026-11-21 03:55");
    }
}
