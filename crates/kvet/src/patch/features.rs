//! `--features` and `--key`: from words to numbers and addresses.

use kvet_image::{Arch, VirtAddr};
use kvet_tables::Context;
use kvet_tables::features::x86::Features;

/// `+erms,-bug:swapgs,+9*32+18`.
pub fn changed(context: &Context<'_>, words: &[String]) -> Result<Vec<(u16, bool)>, String> {
    words.iter().map(|w| w.trim()).filter(|w| !w.is_empty()).map(|word| one(context, word)).collect()
}

fn one(context: &Context<'_>, word: &str) -> Result<(u16, bool), String> {
    let (name, there) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
        (Some(name), _) => (name, true),
        (_, Some(name)) => (name, false),
        _ => return Err(format!("--features {word}: expected +NAME or -NAME")),
    };
    let known = match context.image.arch() {
        Arch::X86_64 => x86(context, name),
        Arch::Arm64 => arm64(context, name)?,
    };
    known.map(|number| (number, there)).ok_or_else(|| {
        let where_else = match context.image.arch() {
            Arch::X86_64 => "a name of /proc/cpuinfo, bug:NAME, or a number such as 9*32+18",
            Arch::Arm64 => "a capability's number or its description in `CPU features: detected: ...`",
        };
        format!("--features {word}: this kernel has no feature {name:?}; expected {where_else}")
    })
}

fn x86(context: &Context<'_>, name: &str) -> Option<u16> {
    let image = context.image;
    let known = Features::read(image);
    let in_range = |n: &u16| known.limit().is_none_or(|limit| u32::from(*n) < limit);
    if let Some((word, bit)) = name.split_once("*32+") {
        let (word, bit): (u16, u16) = (word.parse().ok()?, bit.parse().ok()?);
        return word.checked_mul(32)?.checked_add(bit).filter(|n| bit < 32 && in_range(n));
    }
    if let Ok(number) = name.parse() {
        return Some(number).filter(in_range);
    }
    match name.strip_prefix("bug:") {
        Some(bug) => known.number(image, bug, true),
        None => known.number(image, name, false),
    }
}

fn arm64(context: &Context<'_>, name: &str) -> Result<Option<u16>, String> {
    let capabilities = &context.arm64_alternatives().capabilities;
    if let Ok(number) = name.parse::<u16>() {
        return Ok(Some(number).filter(|n| capabilities.count.is_none_or(|count| *n < count)));
    }
    let name = name.to_lowercase();
    let described = |exact: bool| -> Vec<u16> {
        let matches = |text: &str| {
            let text = text.to_lowercase();
            if exact { text == name } else { text.contains(&name) }
        };
        let listed = capabilities.listed.iter();
        listed.filter(|(_, c)| c.name.as_deref().is_some_and(matches)).map(|(n, _)| *n).collect()
    };
    let exact = described(true);
    let found = if exact.is_empty() { described(false) } else { exact };
    match found[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let names: Vec<String> = found.iter().map(|n| capabilities.describe(*n)).collect();
            Err(format!("--features {name}: fits several capabilities: {}", names.join(", ")))
        }
    }
}

/// `NAME=on`, `NAME+0x10=off`, `0xffffffff82a00000=on`.
pub fn keys(context: &Context<'_>, words: &[String]) -> Result<Vec<(VirtAddr, bool)>, String> {
    words.iter().map(|word| key(context, word)).collect()
}

fn key(context: &Context<'_>, word: &str) -> Result<(VirtAddr, bool), String> {
    let wanted = || format!("--key {word}: expected NAME=on or NAME=off");
    let (name, state) = word.rsplit_once('=').ok_or_else(wanted)?;
    let on = match state {
        "on" | "1" | "true" => true,
        "off" | "0" | "false" => false,
        _ => return Err(wanted()),
    };
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let table =
        context.jump_labels().map_err(|report| format!("--key {word}: {}", report.skipped.join(" ")))?;
    let (base, offset) = name.split_once('+').map_or((name, Some(0)), |(base, offset)| (base, hex(offset)));
    let by_name = context.image.symbol_addr(base).zip(offset).map(|(at, offset)| at.0.wrapping_add(offset));
    let at = hex(name).or(by_name).map(VirtAddr);
    let at = at.ok_or_else(|| {
        format!("--key {word}: this kernel has no symbol {base:?}; an address (0x...) will do")
    })?;
    match table.labels.iter().any(|label| label.key == at) {
        true => Ok((at, on)),
        false => Err(format!("--key {word}: no jump label has a static key at {at}")),
    }
}
