//! `refcount_t: ...`: lib/refcount.c.

use super::{Case, Confidence, Diagnosis, line, sentences};

const WORDS: &[(&str, &str)] = &[
    (
        "addition on 0; use-after-free",
        "takes a reference to an object whose last one was gone: a use after free",
    ),
    (
        "underflow; use-after-free",
        "gives back a reference that it does not hold: one put too many, and a use after free",
    ),
    (
        "increment on 0; use-after-free",
        "takes a reference to an object whose last one was gone: a use after free",
    ),
    ("saturated; leaking memory", "took more references than fit: a leak of references"),
    (
        "decrement hit 0; leaking memory",
        "gives back the last reference with a function that does not free: a leak",
    ),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let (number, text) = case.says("refcount_t:")?;
    let (_, means) = WORDS.iter().find(|(word, _)| text.contains(word))?;
    Some(Diagnosis {
        cause: "reference-count",
        summary: format!("{} {means}.", case.in_function()),
        confidence: Confidence::Certain,
        evidence: vec![line("the counter's check failed", (number, text.to_owned()))],
        advice: sentences([
            "follow every get and put of this object on the error paths; CONFIG_REF_TRACKER or KASAN names who gave it back",
        ]),
    })
}
