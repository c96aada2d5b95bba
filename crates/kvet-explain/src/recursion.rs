//! A trace that calls itself again and again.

use kvet_console::Frame;

/// Frames looked at: the kernel prints no longer traces, and a hostile log may.
const MAX_FRAMES: usize = 512;

/// A cycle of functions in a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// The functions of one turn, innermost first.
    pub functions: Vec<String>,
    /// How many whole turns the trace shows.
    pub turns: usize,
}

/// The shortest cycle that a trace repeats at least three times in a row, wherever it begins.
pub fn cycle(frames: &[Frame]) -> Option<Cycle> {
    let names: Vec<&str> = frames
        .iter()
        .filter(|f| f.reliable && !f.function.is_empty())
        .take(MAX_FRAMES)
        .map(|f| f.function.as_str())
        .collect();
    let mut best: Option<(usize, usize, usize)> = None;
    for period in 1..=names.len().min(24) / 2 * 2 {
        let mut run = 0;
        for at in period..names.len() {
            run = if names[at] == names[at - period] { run + 1 } else { 0 };
            let turns = run / period + 1;
            if turns >= 3 && best.is_none_or(|(p, t, _)| turns * period > p * t) {
                best = Some((period, turns, at + 1 - turns * period));
            }
        }
    }
    let (period, turns, start) = best?;
    let functions = names.get(start..start + period)?.iter().map(|name| (*name).to_owned()).collect();
    Some(Cycle { functions, turns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::frame;

    fn of(names: &[&str]) -> Option<Cycle> {
        cycle(&names.iter().map(|name| frame(name)).collect::<Vec<_>>())
    }

    #[test]
    fn a_cycle_is_found_wherever_it_begins() {
        let found = of(&["x", "a", "b", "a", "b", "a", "b", "y"]).expect("a cycle");
        assert_eq!((found.functions.as_slice(), found.turns), (&["a".to_owned(), "b".to_owned()][..], 3));
        assert_eq!(of(&["f", "f", "f"]).map(|c| c.turns), Some(3));
        assert_eq!(of(&["a", "b", "a", "b"]), None);
        assert_eq!(of(&[]), None);
    }
}
