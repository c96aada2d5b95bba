//! Rates, times and names in words.

use kvet_lab::stats::Rate;

/// A share as people read it: `0.50 %`, `12 %`, `0.0031 %`.
pub fn percent(share: f64) -> String {
    let p = share * 100.0;
    match p {
        0.0 => "0 %".into(),
        p if p >= 99.95 => "100 %".into(),
        p if p >= 9.95 => format!("{p:.0} %"),
        p if p >= 0.995 => format!("{p:.1} %"),
        p if p >= 0.0995 => format!("{p:.2} %"),
        p => format!("{p:.4} %"),
    }
}

/// `0.50 % (0.16 % to 1.2 %)`.
pub fn rate(rate: &Rate) -> String {
    let interval = format!("{} to {}", percent(rate.low), percent(rate.high));
    match rate.estimate {
        Some(estimate) => format!("{} ({interval})", percent(estimate)),
        None => "unknown".into(),
    }
}

/// A length of time for people: `4.2 s`, `3 min 20 s`, `2 h 05 min`.
pub fn time(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 59.5 => format!("{s:.0} s"),
        s if s < 3570.0 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A probability of chance.
pub fn p_value(p: f64) -> String {
    if p < 0.0001 { "p < 0.0001".into() } else { format!("p = {p:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_two_digits_that_matter() {
        let shown = [0.0, 0.000_031, 0.005, 0.012, 0.12, 0.5, 1.0].map(percent);
        assert_eq!(shown, ["0 %", "0.0031 %", "0.50 %", "1.2 %", "12 %", "50 %", "100 %"]);
    }

    #[test]
    fn times_read_well() {
        assert_eq!(
            [4.24, 42.0, 59.7, 200.0, 7500.0].map(time),
            ["4.2 s", "42 s", "1 min 00 s", "3 min 20 s", "2 h 05 min"]
        );
    }
}
