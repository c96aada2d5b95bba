//! A campaign for people: outcomes, the rate, what failed and how often, what to do next.

use std::io::{self, Write};

use kvet_lab::plan::{Answer, Plan, StopRule, Tally};
use kvet_lab::stats::{self, Decision};
use kvet_lab::store::Stored;
use kvet_lab::{Cluster, Outcome};

use super::{Result_, words};
use crate::render::human::Paint;
use crate::text::{self, Safe, count, safe};

/// Writes it.
pub fn write(result: &Result_<'_>, color: bool, out: &mut dyn Write) -> io::Result<()> {
    let paint = Paint::new(color);
    heading(result.stored, paint, out)?;
    outcomes(result, paint, out)?;
    super::super::runs::matrix::write(result.stored, result.store, paint, out)?;
    clusters(result, paint, out)?;
    next(result, paint, out)
}

/// Which kernel on which machine.
pub fn heading(stored: &Stored, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let record = &stored.record;
    let kernel = &record.kernel;
    let release = kernel.release.as_deref().unwrap_or("unknown release");
    writeln!(
        out,
        "{} {}, {}, {}",
        paint.strong(&format!("campaign {}: {}", stored.id, text::path(&kernel.path))),
        safe(release),
        kernel.kind,
        kernel.arch.as_str()
    )?;
    let plan = &record.plan;
    if let [variant] = &plan.variants[..] {
        let m = &variant.machine;
        let processors = count(u64::from(m.smp), "CPU");
        writeln!(
            out,
            "  on QEMU {}, {}, {processors}, {} MiB",
            safe(&variant.qemu_version),
            safe(&m.accel),
            m.memory_mib
        )?;
    }
    if let Some(amplifier) = plan.amplifier {
        let what = format!("amplified: {}; this is not the rate of plain boots", amplifier.as_str());
        writeln!(out, "  {}", paint.help(&what))?;
    }
    Ok(())
}

fn outcomes(result: &Result_<'_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let tally = result.stored.tally;
    writeln!(out)?;
    for outcome in Outcome::ALL {
        let n = tally.of(outcome);
        if n == 0 && outcome != Outcome::Passed {
            continue;
        }
        let name = format!("{:<9}", outcome.as_str());
        let name = match outcome {
            Outcome::Passed => paint.good(&name),
            Outcome::Failed | Outcome::Hung => paint.bad(&name),
            Outcome::Starved | Outcome::Emulator => paint.help(&name),
        };
        let what = match outcome {
            Outcome::Starved => "  the host had no time for the guest; not counted in the rate",
            Outcome::Emulator => "  QEMU itself died; not counted in the rate",
            _ => "",
        };
        writeln!(out, "  {name} {:>7}{}", text::number(n), paint.dim(what))?;
    }
    writeln!(out, "\n{}", verdict(tally, &result.stored.record.plan, result.finished, paint))?;
    let f = result.finished;
    let per_hour = f.boots as f64 / f.wall_s.max(0.001) * 3600.0;
    writeln!(
        out,
        "  {} in {}, {} boots per hour",
        count(f.boots, "boot"),
        words::time(f.wall_s),
        text::number(per_hour as u64)
    )
}

/// The answer in one or two lines.
fn verdict(tally: Tally, plan: &Plan, finished: &kvet_lab::campaign::Finished, paint: Paint) -> String {
    let rate = tally.rate();
    let boots = rate.boots;
    let mut lines = vec![match rate.failures {
        _ if boots == 0 => format!("{} no boot says anything about the kernel", paint.help("no answer:")),
        0 => {
            // One-sided: nothing can be below none.
            let bound = 1.0 - 0.05f64.powf(1.0 / boots as f64);
            format!(
                "{} no failure in {}: the rate is below {} (95 % confidence)",
                paint.good("ok:"),
                count(boots, "boot"),
                words::percent(bound)
            )
        }
        n => format!(
            "{} {} of {}: {} (exact 95 % interval)",
            paint.bad("fails:"),
            text::number(n),
            count(boots, "boot"),
            words::rate(&rate)
        ),
    }];
    match (&finished.answer, plan.stop) {
        (Answer::Rate(decision), StopRule::Rate { p0, p1 }) => lines.push(match decision {
            Decision::High => {
                format!("  decided: the rate is {} or more, not {}", words::percent(p1), words::percent(p0))
            }
            Decision::Low => {
                format!("  decided: the rate is {} or less, not {}", words::percent(p0), words::percent(p1))
            }
        }),
        (Answer::Confident, StopRule::Confident { rate, confidence }) => lines.push(format!(
            "  decided: the rate is below {}, with {} confidence",
            words::percent(rate),
            words::percent(confidence)
        )),
        (Answer::Stopped, _) => lines.push("  stopped before its end".into()),
        _ => {}
    }
    lines.join("\n")
}

/// Boots that failed alike.
fn clusters(result: &Result_<'_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    /// More are counted.
    const SHOWN: usize = 12;
    for cluster in result.clusters.iter().take(SHOWN) {
        writeln!(out)?;
        one_cluster(result.stored.id, cluster, paint, out)?;
    }
    match result.clusters.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "\n  and {more} rarer ones; kvet runs show {} lists all", result.stored.id),
    }
}

/// One of them.
pub fn one_cluster(campaign: i64, cluster: &Cluster, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let how_often = count(cluster.count, "time");
    writeln!(
        out,
        "{} {} {}",
        paint.bad(&format!("{}:", cluster.outcome.as_str())),
        paint.strong(&safe(&cluster.title)),
        paint.dim(&format!("[{}]", Safe(&cluster.kind)))
    )?;
    writeln!(out, "  {how_often}, {}", words::rate(&cluster.rate))?;
    if let Some(diagnosis) = &cluster.diagnosis {
        writeln!(
            out,
            "  {} {}",
            paint.help(&format!("{}:", diagnosis.confidence)),
            safe(&diagnosis.summary)
        )?;
    }
    let boots: Vec<String> = cluster.boots.iter().take(6).map(|b| format!("{campaign}.{b}")).collect();
    let more = if cluster.count > 6 { ", ..." } else { "" };
    writeln!(out, "  {}", paint.dim(&format!("boots {}{more}", boots.join(", "))))
}

/// What to do next.
fn next(result: &Result_<'_>, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let store = match &result.store_option {
        Some(path) => format!(" --store {}", text::path(path)),
        None => String::new(),
    };
    let id = result.stored.id;
    let tally = result.stored.tally;
    let mut advice = Vec::new();
    if result.finished.answer == Answer::Stopped {
        advice.push(format!("kvet boot --resume {id}{store} goes on"));
    }
    let failure = result.clusters.iter().find(|c| c.outcome.is_failure()).and_then(|c| c.boots.first());
    if let Some(boot) = failure {
        advice.push(format!(
            "kvet runs show {id}.{boot}{store} shows its log; kvet report {id}{store} makes a page"
        ));
    }
    if tally.starved > 0 && tally.starved * 20 > tally.total() {
        advice.push("use fewer guests at once (-j), so that the host has time for each".into());
    }
    if tally.failures() == 0 && tally.counted() > 0 && tally.counted() < 299 {
        let need = stats::boots_without_failure(0.01, 0.95);
        advice.push(format!(
            "{need} good boots are needed to say that the rate is below 1 %: --until-confident 0.01@95%"
        ));
    }
    if !advice.is_empty() {
        writeln!(out)?;
    }
    for line in advice {
        writeln!(out, "{} {line}", paint.help("next:"))?;
    }
    Ok(())
}
