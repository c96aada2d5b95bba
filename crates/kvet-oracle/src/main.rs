//! `kvet-oracle KERNEL SEED PER-KIND`: draws damage of every kind, predicts, boots, and prints each comparison.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use kvet_image::Image;
use kvet_oracle::random::Random;
use kvet_oracle::verdict::{self, Agreement};
use kvet_oracle::{boot, damage};
use kvet_tables::Context;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: kvet-oracle KERNEL SEED PER-KIND";
    let kernel = arguments.next().ok_or(usage)?;
    let seed: u64 = arguments.next().ok_or(usage)?.parse()?;
    let per_kind: usize = arguments.next().ok_or(usage)?.parse()?;
    let image = Image::open(Path::new(&kernel))?;
    let context = Context::new(&image, None);
    let mut random = Random::new(seed);
    let directory = tempfile::tempdir()?;
    let mut out = std::io::stdout().lock();
    let mut wrong = 0;
    for kind in damage::kinds(image.arch()) {
        for _ in 0..per_kind {
            let Some(damage) = (0..100).find_map(|_| damage::draw(&context, kind, &mut random)) else {
                continue;
            };
            let bytes = damage::apply(&image, &damage).ok_or("damage outside the image")?;
            let copy = directory.path().join("kernel");
            std::fs::write(&copy, &bytes)?;
            let damaged = Image::from_bytes(&copy, bytes)?;
            let prediction = verdict::predict(&Context::new(&damaged, None), &damage);
            let boot = boot::boot(image.arch(), &copy, "", Duration::from_secs(60))?;
            let agreement = verdict::compare(&prediction, &boot);
            if matches!(agreement, Agreement::WrongFatal | Agreement::Missed) {
                wrong += 1;
            }
            writeln!(
                out,
                "{agreement:?}: {kind} at {} of {}: {:?} after {:.1} s",
                damage.index,
                damage.table,
                boot.end,
                boot.took.as_secs_f64()
            )?;
            if let Some(finding) = &prediction.finding {
                writeln!(out, "    said: {}[{}] {}", finding.severity, finding.rule, finding.message)?;
                if let Some(at_boot) = &finding.at_boot {
                    writeln!(
                        out,
                        "    line: {} (when: {:?}, fatal: {})",
                        at_boot.line, at_boot.when, at_boot.fatal
                    )?;
                }
            }
            if let Some(line) = boot.first_failure() {
                writeln!(out, "    boot: {line}")?;
            }
        }
    }
    writeln!(out, "seed {seed}: {wrong} wrong")?;
    Ok(())
}
