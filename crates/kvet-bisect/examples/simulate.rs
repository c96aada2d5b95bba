//! Settings of the issue, a line each.
use kvet_bisect::simulate::{Searcher, Setting, information_bound, run};

fn main() {
    let histories: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(100);
    for candidates in [1_024, 50_000] {
        for p_bad in [0.5, 0.1, 0.01] {
            for p_good in [0.0, p_bad / 10.0] {
                for broken in [0.0, 0.1] {
                    let s = Setting {
                        candidates,
                        p_bad,
                        p_good,
                        broken,
                        build_cost: 100.0,
                        confidence: 0.95,
                        seed: 1,
                    };
                    let t = std::time::Instant::now();
                    let r = run(&s, Searcher::Engine, histories, || ()).expect("a good setting");
                    println!(
                        "n {candidates:6} p {p_bad:4} p0 {p_good:5} broken {broken}: right {:.3} boots/bound {:.2} (boots {:.0} confirm {:.0}) builds/log2n {:.2} [{:.1}s]",
                        r.accuracy,
                        (r.boots_mean - r.confirm_boots_mean) / information_bound(&s),
                        r.boots_mean,
                        r.confirm_boots_mean,
                        r.builds_mean / (candidates as f64).log2(),
                        t.elapsed().as_secs_f64()
                    );
                }
            }
        }
    }
}
