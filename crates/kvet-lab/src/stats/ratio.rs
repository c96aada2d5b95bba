//! How many times greater is one rate than another?

use statrs::distribution::{ContinuousCDF, Normal};

/// The score interval of the ratio of two rates (Koopman, Biometrics 40, 1984; with the correction of Miettinen
/// and Nurminen, Statistics in Medicine 4, 1985): it stays sensible with no failure on a side, where the interval
/// of the logarithm breaks down. The upper end may be infinite.
pub fn ratio_interval((x1, n1): (u64, u64), (x2, n2): (u64, u64), confidence: f64) -> (f64, f64) {
    if n1 == 0 || n2 == 0 || x1 + x2 == 0 {
        return (0.0, f64::INFINITY);
    }
    let z = Normal::standard().inverse_cdf(0.5 + confidence / 2.0);
    let score = |ln_ratio: f64| score((x1 as f64, n1 as f64), (x2 as f64, n2 as f64), ln_ratio.exp());
    // The score falls as the ratio rises.
    let cross = |value: f64| {
        let (mut low, mut high) = (-LIMIT, LIMIT);
        for _ in 0..120 {
            let middle = 0.5 * (low + high);
            if score(middle) > value { low = middle } else { high = middle }
        }
        (0.5 * (low + high)).exp()
    };
    let low = if x1 == 0 { 0.0 } else { cross(z) };
    let high = if x2 == 0 { f64::INFINITY } else { cross(-z) };
    (low, high)
}

/// ln of the greatest ratio that two counts of boots can tell from infinity.
const LIMIT: f64 = 40.0;

fn score((x1, n1): (f64, f64), (x2, n2): (f64, f64), ratio: f64) -> f64 {
    let n = n1 + n2;
    // The likeliest rates whose ratio is the given one: the lesser root of a quadratic, in the form that does not
    // cancel when the ratio is extreme.
    let a = n * ratio;
    let b = n1 * ratio + x1 + n2 + x2 * ratio;
    let c = x1 + x2;
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    let p2 = (2.0 * c / (b + root)).min(1.0);
    let p1 = (p2 * ratio).min(1.0);
    let variance = (p1 * (1.0 - p1) / n1 + ratio * ratio * p2 * (1.0 - p2) / n2) * n / (n - 1.0);
    let difference = x1 / n1 - ratio * x2 / n2;
    if difference == 0.0 { 0.0 } else { difference / variance.max(f64::MIN_POSITIVE).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::super::sequential::tests::Random;
    use super::*;

    #[test]
    fn the_interval_holds_the_estimate_and_mirrors() {
        let (low, high) = ratio_interval((15, 148), (9, 150), 0.95);
        assert!(low < 1.69 && high > 1.69 && low > 0.7 && high < 4.0, "{low} {high}");
        let (l, h) = ratio_interval((9, 150), (15, 148), 0.95);
        assert!((l - 1.0 / high).abs() < 1e-9 && (h - 1.0 / low).abs() < 1e-9);
    }

    #[test]
    fn no_failure_on_a_side_is_no_end_of_the_world() {
        assert_eq!(ratio_interval((0, 10), (0, 10), 0.95), (0.0, f64::INFINITY));
        let (low, high) = ratio_interval((5, 10), (0, 10), 0.95);
        assert!(low > 1.0 && high.is_infinite(), "{low}");
        let (low, high) = ratio_interval((0, 10), (5, 10), 0.95);
        assert!(low == 0.0 && high < 1.0, "{high}");
        let (low, high) = ratio_interval((10, 10), (10, 10), 0.95);
        assert!(low < 1.0 && high > 1.0 && low > 0.5, "{low} {high}");
    }

    #[test]
    fn it_covers_the_truth_about_as_often_as_it_says() {
        let mut random = Random(9);
        for (p, q) in [(0.02, 0.01), (0.3, 0.1), (0.05, 0.05)] {
            let mut draw = |p: f64| (0..400).filter(|_| random.uniform() < p).count() as u64;
            let covered = (0..1000)
                .filter(|_| {
                    let (low, high) = ratio_interval((draw(p), 400), (draw(q), 400), 0.95);
                    low <= p / q && p / q <= high
                })
                .count();
            assert!(covered >= 925, "{p} {q}: {covered} of 1000");
        }
    }
}
