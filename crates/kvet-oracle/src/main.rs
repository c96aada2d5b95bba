//! Damages real kernels, predicts, boots, compares:
//!
//! - `kvet-oracle run KERNEL SEED PER-KIND`: so many damages of each kind, each booted and compared
//! - `kvet-oracle rate KERNEL SEED PER-KIND`: the same without booting: how many of each kind kvet finds
//! - `kvet-oracle damage KERNEL KIND SEED COPY`: writes one damaged copy
//! - `kvet-oracle boot KERNEL`: boots a kernel and prints the first line that tells of a failure
//! - `kvet-oracle kinds KERNEL`: the kinds of damage for that kernel

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kvet_image::Image;
use kvet_oracle::random::Random;
use kvet_oracle::verdict::{self, Agreement, Prediction};
use kvet_oracle::{boot, damage};
use kvet_tables::Context;

const USAGE: &str = "usage: kvet-oracle run KERNEL SEED PER-KIND | rate KERNEL SEED PER-KIND | damage KERNEL KIND SEED COPY | boot KERNEL | \
                     kinds KERNEL";

/// The longest that a boot may take.
const DEADLINE: Duration = Duration::from_secs(90);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ok = match words[..] {
        ["run", kernel, seed, per_kind] => run(&open(kernel)?, seed.parse()?, per_kind.parse()?)?,
        ["rate", kernel, seed, per_kind] => rate(&open(kernel)?, seed.parse()?, per_kind.parse()?)?,
        ["damage", kernel, kind, seed, copy] => {
            write_damaged(&open(kernel)?, kind, seed.parse()?, Path::new(copy))?
        }
        ["boot", kernel] => show_boot(kernel)?,
        ["kinds", kernel] => {
            for kind in damage::kinds(open(kernel)?.arch()) {
                writeln!(std::io::stdout(), "{kind}")?;
            }
            true
        }
        _ => return Err(USAGE.into()),
    };
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(path: &str) -> Result<Image, Failure> {
    Ok(Image::open(Path::new(path))?)
}

fn write_damaged(image: &Image, kind: &str, seed: u64, copy: &Path) -> Result<bool, Failure> {
    let context = Context::new(image, None);
    let damage =
        draw(&context, kind, &mut Random::new(seed)).ok_or("no such kind of damage, or no entry for it")?;
    std::fs::write(copy, damage::apply(image, &damage).ok_or("damage outside the image")?)?;
    writeln!(std::io::stdout(), "{kind}: entry {} of {}", damage.index, damage.table)?;
    Ok(true)
}

/// Not every entry suits every kind, so a few are tried.
fn draw(context: &Context<'_>, kind: &str, random: &mut Random) -> Option<damage::Damage> {
    (0..100).find_map(|_| damage::draw(context, kind, random))
}

fn show_boot(kernel: &str) -> Result<bool, Failure> {
    let image = open(kernel)?;
    let boot = boot::boot(image.arch(), Path::new(kernel), "", DEADLINE)?;
    let line = boot.first_failure().unwrap_or("(no failure)");
    writeln!(std::io::stdout(), "{line}")?;
    Ok(boot.end == boot::End::Booted)
}

/// Prints one comparison a boot and the sums; whether none was wrong.
fn run(image: &Image, seed: u64, per_kind: usize) -> Result<bool, Failure> {
    let context = Context::new(image, None);
    let mut random = Random::new(seed);
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("kernel");
    let mut out = std::io::stdout().lock();
    let (mut boots, mut wrong, mut found) = (0, 0, 0);
    for kind in damage::kinds(image.arch()) {
        for _ in 0..per_kind {
            let Some(damage) = draw(&context, kind, &mut random) else { continue };
            let bytes = damage::apply(image, &damage).ok_or("damage outside the image")?;
            std::fs::write(&copy, &bytes)?;
            let damaged = Image::from_bytes(&copy, bytes)?;
            let prediction = verdict::predict(&Context::new(&damaged, None), &damage);
            let boot = boot::boot(image.arch(), &copy, "", DEADLINE)?;
            let agreement = verdict::compare(&prediction, &boot);
            boots += 1;
            found += u32::from(verdict::found(&prediction));
            wrong += u32::from(matches!(agreement, Agreement::WrongFatal | Agreement::Missed));
            let seconds = boot.took.as_secs_f64();
            let (index, table) = (damage.index, damage.table);
            writeln!(
                out,
                "{agreement:?}: {kind}, entry {index} of {table}: {:?} after {seconds:.1} s",
                boot.end
            )?;
            show(&mut out, &prediction, &boot)?;
        }
    }
    writeln!(out, "seed {seed}: {boots} boots, {found} damages found, {wrong} predictions wrong")?;
    Ok(wrong == 0)
}

/// How many damages of each kind kvet reports at the right entry. Many are beyond proof: another key of the same
/// state, another capability of an ambiguous replacement.
fn rate(image: &Image, seed: u64, per_kind: usize) -> Result<bool, Failure> {
    let context = Context::new(image, None);
    let mut random = Random::new(seed);
    for kind in damage::kinds(image.arch()) {
        let (mut drawn, mut found, mut missed) = (0, 0, Vec::new());
        for _ in 0..per_kind {
            let Some(damage) = draw(&context, kind, &mut random) else { continue };
            let bytes = damage::apply(image, &damage).ok_or("damage outside the image")?;
            let damaged = Image::from_bytes(image.path(), bytes)?;
            drawn += 1;
            match verdict::found(&verdict::predict(&Context::new(&damaged, None), &damage)) {
                true => found += 1,
                false => missed.push(damage.index.to_string()),
            }
        }
        writeln!(std::io::stdout(), "{kind}: {found} of {drawn} found; not: {}", missed.join(" "))?;
    }
    Ok(true)
}

fn show(out: &mut impl Write, prediction: &Prediction, boot: &boot::Boot) -> std::io::Result<()> {
    if let Some(finding) = &prediction.finding {
        writeln!(out, "    said: {}[{}] {}", finding.severity, finding.rule, finding.message)?;
        if let Some(a) = &finding.at_boot {
            writeln!(out, "    line: {} (when: {:?}, fatal: {})", a.line, a.when, a.fatal)?;
        }
    }
    match boot.first_failure() {
        Some(line) => writeln!(out, "    boot: {line}"),
        None => Ok(()),
    }
}
