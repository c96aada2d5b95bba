//! Drawings as inline SVG. Colours come from the page's style, so that they fit light and dark.

use kvet_lab::Outcome;
use kvet_lab::stats::Rate;
use maud::{Markup, html};

use super::data::{Phase, Point, quantile};
use crate::boot::words;

const WIDTH: f64 = 860.0;

/// Outcomes in the order of the boots, with the rate so far and its interval.
pub fn over_time(points: &[Point]) -> Markup {
    const HEIGHT: f64 = 200.0;
    const LEFT: f64 = 56.0;
    const TOP: f64 = 10.0;
    const BOTTOM: f64 = 46.0;
    let curve = rate_curve(points);
    // The first boots' intervals reach to 100 %; they would make the rest of the curve flat.
    let highest = curve.iter().skip(curve.len() / 10).map(|(_, r)| r.high).fold(0.0, f64::max);
    let top_rate = if highest > 0.0 { highest.clamp(1e-6, 1.0) } else { 1.0 };
    let last = points.iter().map(|p| p.number).max().unwrap_or(0);
    let x = |n: u64| LEFT + (WIDTH - LEFT - 10.0) * n as f64 / (last + 1) as f64;
    let y = |rate: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (rate / top_rate).min(1.0));
    // A rate is known after its boot.
    let line = |of: fn(&Rate) -> f64| -> String {
        curve.iter().map(|(n, r)| format!("{:.1},{:.1}", x(*n + 1), y(of(r)))).collect::<Vec<_>>().join(" ")
    };
    let mut back: Vec<String> =
        curve.iter().map(|(n, r)| format!("{:.1},{:.1}", x(*n + 1), y(r.low))).collect();
    back.reverse();
    let band = format!("{} {}", line(|r| r.high), back.join(" "));
    let strip = HEIGHT - BOTTOM + 12.0;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label="rate of failure and outcomes over the boots" {
            @for part in [0.0, 0.5, 1.0] {
                line class="grid" x1=(LEFT) x2=(WIDTH - 10.0) y1=(y(top_rate * part)) y2=(y(top_rate * part)) {}
                text x=(LEFT - 6.0) y=(y(top_rate * part) + 4.0) text-anchor="end" { (words::percent(top_rate * part)) }
            }
            polygon class="band" points=(band) {}
            polyline class="rate" points=(line(|r| r.estimate.unwrap_or(0.0))) {}
            @for (from, to, outcome) in runs(points) {
                rect class=(outcome.as_str()) x=(format!("{:.2}", x(from)))
                    width=(format!("{:.2}", (x(to) - x(from)).max(if outcome == Outcome::Passed { 0.6 } else { 2.0 })))
                    y=(strip) height="14" {
                    title { "boots " (from) " to " (to) ": " (outcome.as_str()) }
                }
            }
            text x=(LEFT) y=(HEIGHT - 4.0) { "boot 0" }
            text x=(WIDTH - 10.0) y=(HEIGHT - 4.0) text-anchor="end" { "boot " (last) }
        }
    }
}

/// The rate so far at no more places than can be drawn.
fn rate_curve(points: &[Point]) -> Vec<(u64, Rate)> {
    const PLACES: usize = 240;
    let step = points.len().div_ceil(PLACES).max(1);
    let (mut failures, mut boots) = (0, 0);
    let mut curve = Vec::new();
    for (i, point) in points.iter().enumerate() {
        boots += u64::from(point.outcome.counts());
        failures += u64::from(point.outcome.is_failure());
        if boots > 0 && (i % step == 0 || i + 1 == points.len()) {
            curve.push((point.number, Rate::new(failures, boots, 0.95)));
        }
    }
    curve
}

/// Boots in a row with one outcome: a thousand passes are one rectangle.
fn runs(points: &[Point]) -> Vec<(u64, u64, Outcome)> {
    let mut out: Vec<(u64, u64, Outcome)> = Vec::new();
    for point in points {
        match out.last_mut() {
            Some((_, to, outcome)) if *outcome == point.outcome => *to = point.number + 1,
            _ => out.push((point.number, point.number + 1, point.outcome)),
        }
    }
    out
}

/// How long each phase of a good boot took: least, 10 %, half, 90 %, greatest.
pub fn phases(phases: &[Phase]) -> Markup {
    const ROW: f64 = 30.0;
    const LEFT: f64 = 130.0;
    const RIGHT: f64 = 96.0;
    let longest = phases.iter().filter_map(|p| p.seconds.last()).copied().fold(0.0, f64::max).max(1e-6);
    let x = |s: f64| LEFT + (WIDTH - LEFT - RIGHT) * s / longest;
    let height = ROW * phases.len() as f64 + 6.0;
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label="times of the phases of the boots that passed" {
            @for (i, phase) in phases.iter().enumerate() {
                @let middle = ROW * i as f64 + ROW / 2.0;
                @let q = |share| quantile(&phase.seconds, share);
                text x=(LEFT - 8.0) y=(middle + 4.0) text-anchor="end" { (phase.name) }
                line class="whisker" x1=(x(q(0.0))) x2=(x(q(1.0))) y1=(middle) y2=(middle) {}
                rect class="box" x=(x(q(0.1))) width=((x(q(0.9)) - x(q(0.1))).max(1.0)) y=(middle - 8.0) height="16" {
                    title { (phase.name) ": " (format!("{:.3} to {:.3} s, half below {:.3} s", q(0.0), q(1.0), q(0.5))) }
                }
                line class="median" x1=(x(q(0.5))) x2=(x(q(0.5))) y1=(middle - 8.0) y2=(middle + 8.0) {}
                text x=(WIDTH - RIGHT + 8.0) y=(middle + 4.0) { (format!("{:.3} s", q(0.5))) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_passes_are_one_rectangle() {
        let mut points: Vec<Point> =
            (0..1000).map(|number| Point { number, outcome: Outcome::Passed }).collect();
        points[500].outcome = Outcome::Hung;
        assert_eq!(
            runs(&points),
            [(0, 500, Outcome::Passed), (500, 501, Outcome::Hung), (501, 1000, Outcome::Passed)]
        );
        assert!(rate_curve(&points).len() <= 251);
        let last = rate_curve(&points).last().map(|(_, r)| (r.failures, r.boots));
        assert_eq!(last, Some((1, 1000)));
    }

    #[test]
    fn no_boots_are_no_disaster() {
        let svg = over_time(&[]).into_string() + &phases(&[]).into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
