//! Settings of the issue, a line each.
use kvet_bisect::simulate::{Searcher, Setting, information_bound, run};

fn main() {
    let e = |k: &str, d: f64| std::env::var(k).ok().and_then(|v| v.parse::<f64>().ok()).unwrap_or(d);
    let histories: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(100);
    let cost = e("COST", 100.0);
    let mask = std::env::var("SET").unwrap_or_default();
    for candidates in [1_024, 50_000] {
        for p_bad in [0.5, 0.1, 0.01] {
            for p_good in [0.0, p_bad / 10.0] {
                for broken in [0.0, 0.1] {
                    let name =
                        format!("n{candidates} p{p_bad} q{} b{broken}", if p_good > 0.0 { 1 } else { 0 });
                    if !mask.split_whitespace().all(|m| name.split(' ').any(|w| w == m)) {
                        continue;
                    }
                    let s = Setting {
                        candidates,
                        p_bad,
                        p_good,
                        broken,
                        build_cost: cost,
                        confidence: 0.95,
                        seed: 1,
                    };
                    let t = std::time::Instant::now();
                    let r = run(&s, Searcher::Engine, histories, || ()).expect("a good setting");
                    println!(
                        "n {candidates:6} p {p_bad:4} p0 {p_good:5} broken {broken}: right {:.3} boots/bound {:.2} (boots {:.0} confirm {:.0}, {:.2}) builds/log2n {:.2} failed {:.2} [{:.1}s]",
                        r.accuracy,
                        (r.boots_mean - r.confirm_boots_mean) / information_bound(&s),
                        r.boots_mean,
                        r.confirm_boots_mean,
                        (r.boots_mean - 3.0 / p_bad) / information_bound(&s),
                        r.builds_mean / (candidates as f64).log2(),
                        r.failed_builds_mean,
                        t.elapsed().as_secs_f64()
                    );
                }
            }
        }
    }
}
