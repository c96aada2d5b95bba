//! Trace.
use kvet_bisect::*;
fn main() {
    let a: Vec<f64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let (n, p1, p0, broken) = (a[0] as u64, a[1], a[2], a[3]);
    for seed in a[4] as u64..a[5] as u64 {
        let mut r = fastrand::Rng::with_seed(seed);
        let c = r.u64(1..=n);
        let mut s =
            Search::new(Problem { candidates: n, build_cost: 100.0, confidence: 0.95, give_up: 100000 })
                .unwrap();
        println!("culprit {c}");
        let mut k = 0;
        loop {
            match s.next_step() {
                Step::Done(x) => {
                    println!("{x:?} {:?}", s.spent());
                    break;
                }
                Step::NotReproduced { .. } => {
                    println!("not");
                    break;
                }
                Step::Test { candidate, boots, why } => {
                    k += 1;
                    if !s.is_built(candidate) {
                        let b = candidate != n
                            && candidate != 0
                            && fastrand::Rng::with_seed(seed + candidate / 4).f64() < broken;
                        s.record(candidate, if b { Verdict::Skip } else { Verdict::Built });
                        if b {
                            println!("{k} {candidate} broken");
                            continue;
                        }
                    }
                    let mut i = 0;
                    let mut f = false;
                    while i < boots && !f {
                        i += 1;
                        f = r.f64() < if candidate >= c { p1 } else { p0 };
                        s.record(candidate, if f { Verdict::Fail } else { Verdict::Pass });
                    }
                    let post = s.posterior();
                    let m = post.iter().max_by(|a, b| a.mass.total_cmp(&b.mass)).unwrap();
                    println!(
                        "{k} {candidate:6} {} {why:?} batch {boots} took {i} fail {f}: top {}..{} {:.3}",
                        if candidate >= c { "B" } else { "g" },
                        m.first,
                        m.last,
                        m.mass
                    );
                    if k > 400 {
                        println!("STOP");
                        break;
                    }
                }
            }
        }
    }
}
