//! `cargo run -p kvet-btf --example dump -- raw|json|c FILE [BASE]`: BTF as text.
use kvet_btf::{Btf, dump};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [form, file, rest @ ..] = args.as_slice() else {
        return Err("usage: dump raw|json|c FILE [BASE]".into());
    };
    let data = std::fs::read(file)?;
    let base = rest.first().map(std::fs::read).transpose()?;
    let base = base.as_deref().map(Btf::parse).transpose()?;
    let btf = match &base {
        Some(base) => Btf::parse_split(&data, base)?,
        None => Btf::parse(&data)?,
    };
    let mut out = std::io::stdout().lock();
    match form.as_str() {
        "json" => dump::json(&btf, &mut out)?,
        "c" => dump::c(&btf, &mut out)?,
        _ => dump::raw(&btf, &mut out)?,
    }
    Ok(())
}
