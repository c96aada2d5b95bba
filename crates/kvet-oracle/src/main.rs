//! Damages real kernels, predicts, boots, compares:
//!
//! - `kvet-oracle run KERNEL SEED BOOTS DIRECTORY [TABLE]`: so many boots, each with damage drawn from the seed, table
//!   after table; predictions (written before each boot), outcomes and disagreements go into the directory
//! - `kvet-oracle damage KERNEL TABLE FIELD HOW SEED COPY [KEY]`: writes one damaged copy; of jump labels, one of that
//!   static key
//! - `kvet-oracle text KERNEL MODEL...`: whether guests' text is what `kvet patch --cpu MODEL` says, byte for byte
//! - `kvet-oracle boot KERNEL`: boots a kernel and prints the first line that tells of a failure
//! - `kvet-oracle tables KERNEL`: the tables and fields that are damaged

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use kvet_image::Image;
use kvet_oracle::campaign::{self, Plan};
use kvet_oracle::damage::{self, HOWS};
use kvet_oracle::random::Random;
use kvet_oracle::{boot, equality, shape};
use kvet_tables::Context;

const USAGE: &str = "usage: kvet-oracle run KERNEL SEED BOOTS DIRECTORY [TABLE] | damage KERNEL TABLE FIELD HOW SEED COPY [KEY] | \
                     text KERNEL MODEL... | boot KERNEL | tables KERNEL";

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ok = match words[..] {
        ["run", kernel, seed, boots, directory] => run(kernel, seed, boots, directory, None)?,
        ["run", kernel, seed, boots, directory, table] => run(kernel, seed, boots, directory, Some(table))?,
        ["damage", kernel, table, field, how, seed, copy] => {
            write_damaged(kernel, &Wanted { table, field, how, key: None }, seed, copy)?
        }
        ["damage", kernel, table, field, how, seed, copy, key] => {
            write_damaged(kernel, &Wanted { table, field, how, key: Some(key) }, seed, copy)?
        }
        ["text", kernel, ref models @ ..] if !models.is_empty() => show_text(kernel, models)?,
        ["boot", kernel] => show_boot(kernel)?,
        ["tables", kernel] => show_tables(kernel)?,
        _ => return Err(USAGE.into()),
    };
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(path: &str) -> Result<Image, Failure> {
    Ok(Image::open(Path::new(path))?)
}

/// Prints a line a boot and the score; whether no prediction was wrong.
fn run(kernel: &str, seed: &str, boots: &str, directory: &str, table: Option<&str>) -> Result<bool, Failure> {
    let image = open(kernel)?;
    let plan = Plan { seed: seed.parse()?, boots: boots.parse()?, table, directory: Path::new(directory) };
    // Each line at once, to whoever follows.
    let mut out = std::io::stdout().lock();
    let score = campaign::run(&image, &plan, &mut out)?;
    writeln!(out, "\nkernel {}, seed {seed}:\n{score}", image.release().unwrap_or("?"))?;
    Ok(score.total().wrong() == 0)
}

/// Which damage.
struct Wanted<'w> {
    table: &'w str,
    field: &'w str,
    how: &'w str,
    key: Option<&'w str>,
}

fn write_damaged(kernel: &str, wanted: &Wanted<'_>, seed: &str, copy: &str) -> Result<bool, Failure> {
    let image = open(kernel)?;
    let context = Context::new(&image, None);
    let how = HOWS.into_iter().find(|how| how.word() == wanted.how).ok_or("no such kind of damage")?;
    let shapes = shape::shapes(&context);
    let fields = shapes.iter().flat_map(|s| s.fields.iter().map(move |f| (s, *f)));
    let mut fits = fields.filter(|(s, f)| s.table == wanted.table && f.name == wanted.field);
    let (shape, field) = fits.next().ok_or("no such table or field")?;
    let key = match wanted.key {
        Some(name) => Some(image.symbol_addr(name).ok_or("no such key")?),
        None => None,
    };
    let of_key = |index: u64| {
        let label = context.jump_labels().ok().and_then(|t| t.labels.get(usize::try_from(index).ok()?));
        key.is_none_or(|key| label.is_some_and(|label| label.key == key))
    };
    let entries: Vec<u64> = (0..shape.count).filter(|i| of_key(*i)).collect();
    let mut random = Random::new(seed.parse()?);
    let drawn = (0..100).find_map(|_| {
        let index = *entries.get(random.below(entries.len()))?;
        damage::damage(&context, shape, index, field, how, &mut random)
    });
    let drawn = drawn.ok_or("no entry for it")?;
    std::fs::write(copy, damage::apply(&image, &drawn).ok_or("damage outside the image")?)?;
    writeln!(std::io::stdout(), "{drawn}")?;
    Ok(true)
}

fn show_boot(kernel: &str) -> Result<bool, Failure> {
    let boot = campaign::undamaged(&open(kernel)?)?;
    let nothing = match boot.end {
        boot::End::Booted => "(no failure)",
        _ => "(it does not boot, and no console shows why: `kvet boot` reads its log out of its memory)",
    };
    let line = boot.first_failure().unwrap_or(nothing);
    writeln!(std::io::stdout(), "{line}")?;
    Ok(boot.end == boot::End::Booted)
}

/// Prints a line a model; whether every byte is explained.
fn show_text(kernel: &str, models: &[&str]) -> Result<bool, Failure> {
    let image = open(kernel)?;
    let release = image.release().unwrap_or("?");
    let mut out = std::io::stdout().lock();
    let mut good = true;
    for model in models {
        match equality::of(&image, model) {
            Ok(e) => {
                good &= e.unexplained == 0 && e.between == 0;
                writeln!(
                    out,
                    "{release} {model}: {} bytes, {} sites, {} unexplained; {} moved by KASLR, {} traced; {} otherwise \
                     from the other guest's processor",
                    e.bytes, e.sites, e.unexplained, e.relocated, e.traced, e.between
                )?;
                for line in e.first.iter().chain(&e.skipped) {
                    writeln!(out, "    {line}")?;
                }
            }
            Err(why) => {
                good = false;
                writeln!(out, "{release} {model}: not compared: {why}")?;
            }
        }
    }
    Ok(good)
}

fn show_tables(kernel: &str) -> Result<bool, Failure> {
    let image = open(kernel)?;
    for shape in shape::shapes(&Context::new(&image, None)) {
        let fields: Vec<&str> = shape.fields.iter().map(|f| f.name).collect();
        writeln!(std::io::stdout(), "{}: {} entries: {}", shape.table, shape.count, fields.join(", "))?;
    }
    Ok(true)
}
