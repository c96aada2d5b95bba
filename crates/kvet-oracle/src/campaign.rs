//! Many boots of one kernel, each with other damage.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use kvet_image::Image;
use kvet_tables::Context;
use serde_json::json;

use crate::boot::{self, Boot};
use crate::damage::{self, Damage, How};
use crate::random::Random;
use crate::reference::{self, Reference};
use crate::score::Score;
use crate::shape::{self, Shape};
use crate::verdict::{self, Agreement, Baseline, Prediction};

/// The longest that a boot may take, on however busy a host.
pub const DEADLINE: Duration = Duration::from_secs(900);

/// Damaged text shall stand where the file is linked to.
const APPEND: &str = "nokaslr";

type Failure = Box<dyn std::error::Error>;

/// One damaged kernel, foretold and booted.
pub struct Trial {
    /// The damage.
    pub damage: Damage,
    /// What was foretold, before the boot.
    pub prediction: Prediction,
    /// The boot.
    pub boot: Boot,
    /// How the two agree.
    pub agreement: Agreement,
}

/// Foretells and boots damaged copies of a kernel.
pub struct Oracle<'a> {
    context: &'a Context<'a>,
    baseline: Baseline<'a>,
    directory: tempfile::TempDir,
}

/// Boots the undamaged kernel.
///
/// # Errors
/// QEMU cannot be started, or there is no room for the copy.
pub fn undamaged(image: &Image) -> Result<Boot, Failure> {
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("kernel");
    std::fs::write(&copy, image.raw())?;
    Ok(boot::boot(image.arch(), &copy, APPEND, DEADLINE)?)
}

impl<'a> Oracle<'a> {
    /// With the reference that an undamaged boot gave.
    ///
    /// # Errors
    /// No temporary directory.
    pub fn new(context: &'a Context<'a>, reference: Reference<'a>) -> Result<Oracle<'a>, Failure> {
        let text = reference.text(context);
        let findings = verdict::findings(context);
        Ok(Oracle {
            context,
            baseline: Baseline { reference, text, findings },
            directory: tempfile::tempdir()?,
        })
    }

    /// Foretells, writes it down, boots, compares.
    ///
    /// # Errors
    /// The copy cannot be written or is no image any more, or QEMU cannot be started.
    pub fn try_one(&self, damage: Damage, record: &mut dyn Write) -> Result<Trial, Failure> {
        let image = self.context.image;
        let bytes = damage::apply(image, &damage).ok_or("damage outside the image")?;
        let copy = self.directory.path().join("kernel");
        std::fs::write(&copy, &bytes)?;
        let damaged = Image::from_bytes(&copy, bytes)?;
        let context = Context::new(&damaged, None);
        let prediction = verdict::predict(&context, &damage, &self.baseline);
        writeln!(record, "{}", json!({ "damage": &damage, "prediction": &prediction }))?;
        record.flush()?;
        let boot = boot::boot(image.arch(), &copy, APPEND, DEADLINE)?;
        let agreement = verdict::compare(&prediction, &boot, &context);
        writeln!(
            record,
            "{}",
            json!({ "agreement": agreement, "end": format!("{:?}", boot.end), "failure": boot.first_failure(),
                    "seconds": boot.took.as_secs_f64(),
                    "lines": (agreement != Agreement::Right).then_some(&boot.lines) })
        )?;
        Ok(Trial { damage, prediction, boot, agreement })
    }

    /// The simplest damage to the same field of the same entry that is foretold as wrongly; `None` when only the drawn
    /// one is.
    ///
    /// # Errors
    /// As [`Oracle::try_one`].
    pub fn shrink(&self, trial: &Trial, record: &mut dyn Write) -> Result<Option<Trial>, Failure> {
        const SIMPLER: [How; 3] = [How::PlusOne, How::Zero, How::Bit];
        let shapes = shape::shapes(self.context);
        let drawn = &trial.damage;
        let fits = |s: &&Shape| s.table == drawn.table && s.fields.iter().any(|f| f.name == drawn.field);
        let Some(shape) = shapes.iter().find(fits) else { return Ok(None) };
        let Some(field) = shape.fields.iter().find(|f| f.name == drawn.field) else { return Ok(None) };
        for how in SIMPLER.into_iter().take_while(|how| *how != drawn.how) {
            let mut random = Random::new(drawn.index);
            let simpler = damage::damage(self.context, shape, drawn.index, *field, how, &mut random);
            let Some(simpler) = simpler else { continue };
            let again = self.try_one(simpler, record)?;
            if again.agreement == trial.agreement {
                return Ok(Some(again));
            }
        }
        Ok(None)
    }
}

/// What a campaign is to do.
pub struct Plan<'p> {
    /// The generator's seed.
    pub seed: u64,
    /// How many boots.
    pub boots: usize,
    /// Only this table.
    pub table: Option<&'p str>,
    /// Where predictions, outcomes and disagreements are kept.
    pub directory: &'p Path,
}

/// Draws damage from table after table, so that each has its share; prints one line a boot.
///
/// # Errors
/// The undamaged kernel does not boot, QEMU cannot be started, or the directory cannot be written.
pub fn run(image: &Image, plan: &Plan<'_>, out: &mut dyn Write) -> Result<Score, Failure> {
    let context = Context::new(image, None);
    let first = undamaged(image)?;
    let guest = reference::guest(&first, image)?;
    let oracle = Oracle::new(&context, Reference::new(&first, &guest, &context)?)?;
    let mut shapes = shape::shapes(&context);
    shapes.retain(|s| plan.table.is_none_or(|table| s.table == table));
    if shapes.is_empty() {
        return Err("this kernel has no such table".into());
    }
    std::fs::create_dir_all(plan.directory)?;
    let name = format!("{}-{}.jsonl", image.release().unwrap_or("kernel"), plan.seed);
    let mut record = std::fs::File::create(plan.directory.join(name))?;
    let mut random = Random::new(plan.seed);
    let mut score = Score::default();
    for shape in shapes.iter().cycle().take(plan.boots) {
        let drawn = (0..100).find_map(|_| damage::draw(&context, shape, &mut random));
        let Some(drawn) = drawn else { continue };
        let trial = oracle.try_one(drawn, &mut record)?;
        score.add(trial.damage.table, trial.agreement);
        show(&trial, out)?;
        if !matches!(trial.agreement, Agreement::Right | Agreement::NoClaim)
            && let Some(simpler) = oracle.shrink(&trial, &mut record)?
        {
            writeln!(out, "    shrunk to: {}", simpler.damage)?;
        }
    }
    Ok(score)
}

fn show(trial: &Trial, out: &mut dyn Write) -> std::io::Result<()> {
    let Trial { damage, prediction, boot, agreement } = trial;
    let name = prediction.outcome.name();
    writeln!(out, "{agreement:?}: {damage}: {name}; {:?} after {:.1} s", boot.end, boot.took.as_secs_f64())?;
    if matches!(agreement, Agreement::Right) {
        return Ok(());
    }
    writeln!(out, "    foretold: {}", serde_json::to_string(prediction)?)?;
    match boot.first_failure() {
        Some(line) => writeln!(out, "    boot: {line}"),
        None => Ok(()),
    }
}
