//! kvet's prediction for a damaged kernel, and whether the kernel did so.

use kvet_finding::{AtBoot, Finding, Severity};
use kvet_image::{Arch, VirtAddr};
use kvet_tables::expected::{PatchedText, differences};
use kvet_tables::{Context, TableReport};
use serde::Serialize;

use crate::boot::{Boot, End};
use crate::damage::Damage;
use crate::reference::{self, Reference};

/// What kvet says a damaged kernel will do.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Every boot ends with one of these lines.
    Dies {
        /// The lines, the first the kernel comes to first.
        lines: Vec<String>,
    },
    /// It says this line and goes on; its text may be wrong as well.
    Warns {
        /// The lines.
        lines: Vec<String>,
        /// Places of the text that are wrong then.
        places: Vec<Place>,
    },
    /// It says nothing while it patches, and these places of its text are wrong afterwards. What happens when they are
    /// executed, no table says.
    WronglyPatched {
        /// The places.
        places: Vec<Place>,
    },
    /// It boots.
    Boots,
    /// It boots unless something happens that the tables do not tell: then it says one of these lines.
    BootsUnless {
        /// The lines.
        lines: Vec<String>,
        /// What must happen.
        when: String,
    },
    /// The kernel uses a value that is wrong without looking at it: no claim.
    Open {
        /// The finding.
        why: String,
    },
}

impl Outcome {
    /// The name in the score.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Dies { .. } => "dies",
            Outcome::Warns { .. } => "warns",
            Outcome::WronglyPatched { .. } => "wrongly patched",
            Outcome::Boots => "boots",
            Outcome::BootsUnless { .. } => "boots unless",
            Outcome::Open { .. } => "open",
        }
    }
}

/// A place of the text and what will stand there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Place {
    /// The first byte.
    #[serde(serialize_with = "hex")]
    pub at: VirtAddr,
    /// The bytes.
    pub bytes: Vec<u8>,
}

fn hex<S: serde::Serializer>(at: &VirtAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{:#x}", at.0))
}

/// A prediction.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Prediction {
    /// What will happen.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The findings that the damage brought, as `rule: message`, the gravest first.
    pub findings: Vec<String>,
}

/// What the undamaged kernel is like.
pub struct Baseline<'a> {
    /// Its guest.
    pub reference: Reference<'a>,
    /// Its text.
    pub text: PatchedText,
    /// Its own findings, which damage does not bring.
    pub findings: Vec<Finding>,
}

/// All findings of an image.
pub fn findings(context: &Context<'_>) -> Vec<Finding> {
    kvet_tables::check(context).into_iter().flat_map(|r: TableReport| r.findings).collect()
}

/// Places that are recorded; a damaged length or feature may move more.
const MOST_PLACES: usize = 64;

/// Says what a damaged kernel will do.
pub fn predict(context: &Context<'_>, damage: &Damage, baseline: &Baseline<'_>) -> Prediction {
    let mut new: Vec<Finding> =
        findings(context).into_iter().filter(|f| !baseline.findings.contains(f)).collect();
    new.sort_by_key(|f| std::cmp::Reverse(f.severity));
    let reached: Vec<(&Finding, &AtBoot, Reached)> = new
        .iter()
        .filter_map(|f| Some((f, f.at_boot.as_ref()?)))
        .map(|(f, a)| (f, a, reached(context, f, a, &baseline.reference)))
        .collect();
    let lines = |fatal: bool, wanted: Reached| -> Vec<String> {
        let chosen = reached.iter().filter(|(_, a, r)| a.fatal == fatal && *r == wanted);
        chosen.map(|(_, a, _)| a.line.clone()).collect()
    };
    let (dies, warns) = (lines(true, Reached::Yes), lines(false, Reached::Yes));
    let perhaps = || [lines(true, Reached::Unknown), lines(false, Reached::Unknown)].concat();
    let outcome = if !dies.is_empty() {
        Outcome::Dies { lines: dies }
    } else {
        // Where ftrace gives up, the sites behind that stay as they are: which those are is not followed.
        let gave_up = reached.iter().any(|(f, _, r)| f.table == "mcount" && *r == Reached::Yes);
        let places = if gave_up { Vec::new() } else { places(context, baseline) };
        let open = new.iter().find(|f| is_unchecked(f, damage));
        match (warns.is_empty(), places.is_empty(), open) {
            (false, ..) => Outcome::Warns { lines: warns, places },
            (true, false, _) => Outcome::WronglyPatched { places },
            (true, true, Some(finding)) => {
                Outcome::Open { why: format!("{}: {}", finding.rule, finding.message) }
            }
            (true, true, None) => match perhaps() {
                lines if lines.is_empty() => Outcome::Boots,
                lines => {
                    let unknown = reached.iter().find(|(_, _, r)| *r == Reached::Unknown);
                    let when = unknown.and_then(|(_, a, _)| a.when.clone()).unwrap_or_default();
                    Outcome::BootsUnless { lines, when }
                }
            },
        }
    };
    let findings = new.iter().take(8).map(|f| format!("{}: {}", f.rule, f.message)).collect();
    Prediction { outcome, findings }
}

/// Whether a boot comes to what a finding says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reached {
    Yes,
    No,
    Unknown,
}

/// A condition, decided by what the reference boot is known to have done.
fn reached(context: &Context<'_>, finding: &Finding, at_boot: &AtBoot, reference: &Reference<'_>) -> Reached {
    use Reached::{No, Unknown, Yes};
    const RETPOLINE: u16 = 11 * 32 + 12;
    const RETPOLINE_LFENCE: u16 = 11 * 32 + 13;
    const RETHUNK: u16 = 11 * 32 + 14;
    let Some(when) = at_boot.when.as_deref() else { return Yes };
    let decided = |yes: bool| if yes { Yes } else { No };
    match when {
        "this BUG is reached" | "this BUG or WARN is reached" | "this instruction faults" => Unknown,
        "the CPU needs no return thunk" => decided(!reference.has(RETHUNK)),
        "the CPU needs no retpolines" => {
            decided(!reference.has(RETPOLINE) || reference.has(RETPOLINE_LFENCE))
        }
        _ if when.starts_with("when the module") || when.contains("module that needs it is loaded") => No,
        // What else it depends on (another entry of the site, an entry before it) is not followed.
        _ if finding.table == "alternatives" && !when.contains("entry") => {
            applied(context, finding, reference).map_or(Unknown, decided)
        }
        _ if finding.table == "jump-labels" => {
            let label = finding.index.and_then(|i| {
                let table = context.jump_labels().ok()?;
                table.labels.get(usize::try_from(i).ok()?).copied()
            });
            label.map_or(Unknown, |label| decided(reference.is_switched(label.key)))
        }
        _ => Unknown,
    }
}

/// Whether the processor makes the kernel apply the alternative that a finding is about.
fn applied(context: &Context<'_>, finding: &Finding, reference: &Reference<'_>) -> Option<bool> {
    let index = usize::try_from(finding.index?).ok()?;
    match context.image.arch() {
        Arch::X86_64 => {
            let entry = kvet_tables::alternatives::x86::entries(context)?.entries.get(index)?;
            Some(reference.has(entry.feature) != entry.not)
        }
        Arch::Arm64 => {
            let table = context.arm64_alternatives();
            Some(reference.has(table.marker.capability(table.entries.get(index)?)?))
        }
    }
}

/// Whether the kernel follows what is wrong there without a look: anything may happen.
fn is_unchecked(finding: &Finding, damage: &Damage) -> bool {
    let followed =
        matches!((damage.table, damage.field), ("initcalls", _) | ("jump-labels" | "static-calls", "key"));
    // What is called there patches the site, with whatever it does.
    let called = finding.rule == "alternatives/callback";
    (followed || called) && finding.table == damage.table && finding.severity == Severity::Error
}

/// Where the text will be otherwise than the undamaged kernel's.
fn places(context: &Context<'_>, baseline: &Baseline<'_>) -> Vec<Place> {
    let text = baseline.reference.text(context);
    let found = differences(&baseline.text, &text).into_iter().take(MOST_PLACES);
    let place = |d: kvet_tables::expected::Difference| {
        Some(Place { at: d.start, bytes: text.bytes(d.start, d.len)?.to_vec() })
    };
    found.filter_map(place).collect()
}

/// How prediction and boot agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// The outcome, the line and the text are as foretold.
    Right,
    /// No claim was made.
    NoClaim,
    /// kvet said that every boot dies, and this one did not.
    WrongFatal,
    /// It died, or warned, with another line than foretold.
    WrongLine,
    /// The text is not what was foretold.
    WrongText,
    /// It died or complained, and kvet had said that it boots.
    Missed,
}

/// Compares a prediction with a boot of the damaged image.
pub fn compare(prediction: &Prediction, boot: &Boot, damaged: &Context<'_>) -> Agreement {
    let died = boot.end != End::Booted;
    let said = |lines: &[String]| lines.iter().any(|line| boot.said(line));
    let quiet = !died && boot.first_failure().is_none();
    match &prediction.outcome {
        Outcome::Open { .. } => Agreement::NoClaim,
        Outcome::Dies { lines } => match (died, said(lines)) {
            (true, true) => Agreement::Right,
            (true, false) => Agreement::WrongLine,
            (false, _) => Agreement::WrongFatal,
        },
        Outcome::Warns { lines, places } => match said(lines) {
            true if stands(places, boot, damaged) => Agreement::Right,
            true => Agreement::WrongText,
            false => Agreement::WrongLine,
        },
        Outcome::WronglyPatched { places } => match stands(places, boot, damaged) {
            true => Agreement::Right,
            false => Agreement::WrongText,
        },
        Outcome::Boots if quiet => Agreement::Right,
        Outcome::BootsUnless { lines, .. } if quiet || said(lines) => Agreement::Right,
        Outcome::Boots | Outcome::BootsUnless { .. } => Agreement::Missed,
    }
}

/// Whether the guest's text holds these bytes; init text that has been freed is not there to be looked at.
fn stands(places: &[Place], boot: &Boot, damaged: &Context<'_>) -> bool {
    if places.is_empty() {
        return true;
    }
    let Ok(guest) = reference::guest(boot, damaged.image) else { return false };
    places.iter().all(|place| {
        guest.is_gone(place.at)
            || guest.link_bytes(place.at, place.bytes.len()).is_some_and(|bytes| *bytes == *place.bytes)
    })
}
