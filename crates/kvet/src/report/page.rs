//! The page.

use kvet_lab::plan::{self, Amplifier, Tally};
use kvet_lab::{Boot, Cluster, Console, Outcome};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::charts;
use super::data::{Data, Shown};
use crate::boot::words;
use crate::text::{self, count, safe};

/// The whole document.
pub fn page(data: &Data) -> Markup {
    let record = &data.stored.record;
    let release = safe(record.kernel.release.as_deref().unwrap_or("unknown release"));
    let title = format!("kvet campaign {}: {release}", data.stored.id);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing is loaded and nothing runs, whatever a guest may have said.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                h1 { (title) }
                p.dim { (safe(&record.kernel.path.to_string_lossy())) ", " (record.kernel.kind) ", " (record.kernel.arch.as_str())
                    ", started " (crate::runs::utc(data.stored.created)) " UTC" }
                @if let Some(amplifier) = record.plan.amplifier { (label(amplifier)) }
                (answer(data.stored.tally))
                (counts(data.stored.tally))
                @if !data.rows.is_empty() { (machines(data)) }
                @if !data.clusters.is_empty() { (clusters(data)) }
                h2 { "Outcome and rate over the boots" }
                (charts::over_time(&data.points))
                @if !data.phases.is_empty() {
                    h2 { "Times of the boots that passed, by phase" }
                    p.dim { "Line: least to greatest; box: 10 % to 90 %; mark and number: half of the boots were faster." }
                    (charts::phases(&data.phases))
                }
                (record_of(data))
            }
        }
    }
}

fn label(amplifier: Amplifier) -> Markup {
    html! { p { span.label { "amplified: " (amplifier.as_str()) "; this is not the rate of plain boots" } } }
}

fn answer(tally: Tally) -> Markup {
    let rate = tally.rate();
    html! {
        p.answer {
            @if rate.boots == 0 {
                "No boot says anything about the kernel."
            } @else {
                b { (text::number(rate.failures)) } " of " (count(rate.boots, "boot")) " failed: "
                b { (words::rate(&rate)) } span.dim { " exact 95 % interval" }
            }
        }
    }
}

fn counts(tally: Tally) -> Markup {
    html! {
        ul.counts {
            @for outcome in Outcome::ALL {
                li class=(outcome.as_str()) { b { (text::number(tally.of(outcome))) } (outcome.as_str()) }
            }
        }
    }
}

fn machines(data: &Data) -> Markup {
    html! {
        h2 { "Machines" }
        div.scroll { table {
            thead { tr {
                th { "machine" } th.n { "passed" } th.n { "failed" } th.n { "hung" } th.n { "starved" } th.n { "emulator" }
                th { "rate of failure" }
            } }
            tbody { @for row in &data.rows {
                tr {
                    td { (safe(&plan::label(&row.factors, ", "))) }
                    @for outcome in Outcome::ALL { td.n { (text::number(row.tally.of(outcome))) } }
                    td { (words::rate(&row.tally.rate())) }
                }
            } }
        } }
        @for effect in data.effects.iter().filter(|e| e.corrected < 0.05) {
            p { b { (safe(&effect.label())) } " fails " (words::rate(&effect.comparison.a)) " against "
                (words::rate(&effect.comparison.b)) " of the others: " (words::p_value(effect.corrected))
                ", exact test, corrected for " (count(data.effects.len() as u64, "test")) }
        }
        @if data.stored.tally.failures() > 0 && !data.effects.iter().any(|e| e.corrected < 0.05) { p { "No factor explains a difference." } }
    }
}

fn clusters(data: &Data) -> Markup {
    html! {
        h2 { "What failed, and how often" }
        @for (i, cluster) in data.clusters.iter().enumerate() {
            section class={ "cluster " (cluster.outcome.as_str()) } {
                (heading(cluster))
                @for shown in data.shown.get(i).map(Vec::as_slice).unwrap_or_default() {
                    (one_log(data.stored.id, shown))
                }
            }
        }
    }
}

fn heading(cluster: &Cluster) -> Markup {
    html! {
        h3 { (cluster.outcome.as_str()) ": " (safe(&cluster.title)) }
        p { (count(cluster.count, "time")) ", " (words::rate(&cluster.rate)) " "
            span.dim { (safe(&cluster.kind)) ", signature " code { (safe(&cluster.signature)) } } }
        @if let Some(d) = &cluster.diagnosis {
            p { b { (safe(&d.confidence)) ": " } (safe(&d.summary)) }
            @for advice in &d.advice { p.dim { (safe(advice)) } }
        }
    }
}

fn one_log(campaign: i64, shown: &Shown) -> Markup {
    let boot = &shown.boot.boot;
    let p = &boot.pressure;
    html! {
        details {
            summary { "boot " (campaign) "." (shown.boot.number) ", " (words::time(boot.wall_s)) ", "
                span.dim { "QEMU got " (words::percent(p.share())) " of the processor time that it wanted, "
                    (words::percent(p.share_at_end)) " at the end; load " (format!("{:.1}", p.load)) } }
            (log(boot, &shown.console))
            @if let Some(registers) = &boot.registers {
                details { summary { "registers" } pre { @for line in registers.lines() { (safe(line)) "\n" } } }
            }
        }
    }
}

/// So many lines before the first report, and after it: a log of thousands of lines is in the store.
const BEFORE: usize = 60;
const AFTER: usize = 400;
/// So many bytes of one line: a guest that floods its console may never end one.
const LONG: usize = 2000;

/// The log around its reports, each line with its arrival.
fn log(boot: &Boot, console: &Console) -> Markup {
    let mut offset = 0;
    let lines: Vec<(u64, &[u8])> = console
        .bytes
        .split(|&b| b == b'\n')
        .map(|line| {
            let at = offset;
            offset += line.len() as u64 + 1;
            (at, line)
        })
        .collect();
    let first = boot.reports.iter().map(|r| r.line as usize).min();
    let start = first.unwrap_or(lines.len()).saturating_sub(BEFORE);
    let end = (first.unwrap_or(lines.len()) + AFTER).min(lines.len());
    html! {
        pre {
            @if start > 0 { span.t { "... " (count(start as u64, "line")) " before\n" } }
            @for (i, (at, line)) in lines.iter().enumerate().take(end).skip(start) {
                @for report in boot.reports.iter().filter(|r| r.line == i as u64 + 1) {
                    mark { (safe(&report.kind)) ": " (safe(&report.title)) } "\n"
                }
                span.t { (console.arrived(*at).map_or(String::new(), |ms| format!("{:>8.3} ", f64::from(ms) / 1000.0))) }
                (safe(String::from_utf8_lossy(&line[..line.len().min(LONG)]).trim_end_matches(['\r', ' '])))
                @if line.len() > LONG { span.t { " ... " (count((line.len() - LONG) as u64, "byte")) " more" } } "\n"
            }
            @if end < lines.len() { span.t { "... " (count((lines.len() - end) as u64, "line")) " more\n" } }
        }
    }
}

/// All that is needed to have it again.
fn record_of(data: &Data) -> Markup {
    let record = &data.stored.record;
    let host = &record.host;
    html! {
        h2 { "To have it again" }
        div.scroll { table { tbody {
            tr { th { "kernel" } td { code { (safe(&record.kernel.sha256)) } " SHA-256"
                @if let Some(id) = &record.kernel.build_id { ", build id " code { (safe(id)) } } } }
            tr { th { "host" } td { (safe(&host.kernel)) ", " (safe(&host.machine)) ", " (count(host.cpus as u64, "CPU"))
                @if let Some(model) = &host.cpu_model { " (" (safe(model)) ")" } ", " (text::number(host.memory_mib)) " MiB" } }
            tr { th { "kvet" } td { (safe(&record.kvet)) } }
            @for variant in &record.plan.variants {
                tr { th { (safe(&variant.label())) } td { p { "QEMU " (safe(&variant.qemu_version)) ", SHA-256 "
                    code { (safe(&variant.qemu_sha256)) } } code { (safe(&variant.command_line)) } } }
            }
        } } }
    }
}
