//! `list_add corruption`, `list_del corruption`: lib/list_debug.c.

use super::{Case, Confidence, Diagnosis, line, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let (number, text) = case
        .says("list_del corruption")
        .or_else(|| case.says("list_add corruption"))
        .or_else(|| case.says("list_add double add"))?;
    let twice = text.contains("double add") || text.contains("LIST_POISON");
    Some(Diagnosis {
        cause: "list-corruption",
        summary: if twice {
            format!("{} adds or deletes a list entry a second time.", case.in_function())
        } else {
            format!(
                "{} found a list whose neighbours do not point back: an entry was freed while still on the list, or two CPUs changed it at once.",
                case.in_function()
            )
        },
        confidence: Confidence::Likely,
        evidence: vec![line("the list's check failed", (number, text.to_owned()))],
        advice: sentences([
            "look for a missing lock around the list, and for a free without list_del(); KASAN names the free",
        ]),
    })
}
