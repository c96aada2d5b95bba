//! `--format json`: `kvet-boot/1`, described in docs/json.md.

use std::io::{self, Write};

use kvet_lab::{Cluster, Outcome};
use serde_json::{Map, Value, json};

use super::Result_;

/// Writes the document.
pub fn write(result: &Result_<'_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &document(result)?)?;
    out.write_all(b"\n")
}

fn document(result: &Result_<'_>) -> io::Result<Value> {
    let stored = result.stored;
    let plan = &stored.record.plan;
    let tally = stored.tally;
    let outcomes: Map<String, Value> =
        Outcome::ALL.into_iter().map(|o| (o.as_str().to_owned(), tally.of(o).into())).collect();
    let machines: Vec<Value> = plan.variants.iter().map(machine).collect::<io::Result<_>>()?;
    let mut variants = Vec::new();
    for (index, variant) in plan.variants.iter().enumerate() {
        let tally = result.store.tally(stored.id, Some(index)).map_err(io::Error::other)?;
        variants.push(json!({
            "factors": variant.factors.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "machine": machines[index],
            "outcomes": Outcome::ALL.into_iter().map(|o| (o.as_str().to_owned(), tally.of(o).into())).collect::<Map<String, Value>>(),
            "rate": tally.rate(),
        }));
    }
    let wall = result.finished.wall_s;
    Ok(json!({
        "schema": "kvet-boot/1",
        "tool": { "name": "kvet", "version": env!("KVET_VERSION") },
        "campaign": stored.id,
        "store": result.store.path().to_string_lossy(),
        "answer": result.finished.answer,
        "amplifier": plan.amplifier.map(kvet_lab::plan::Amplifier::as_str),
        "machine": machines.first(),
        "variants": variants,
        "kernel": stored.record.kernel,
        "host": stored.record.host,
        "boots": tally.total(),
        "outcomes": outcomes,
        "rate": tally.rate(),
        "clusters": result.clusters.iter().map(|c| cluster(stored.id, c)).collect::<Vec<_>>(),
        "wall_s": wall,
        "boots_this_session": result.finished.boots,
        "boots_per_hour": if wall > 0.0 { Some(result.finished.boots as f64 / wall * 3600.0) } else { None },
    }))
}

/// A machine with its emulator and command line.
fn machine(variant: &kvet_lab::plan::Variant) -> io::Result<Value> {
    let mut value = serde_json::to_value(&variant.machine)?;
    value["qemu_version"] = variant.qemu_version.clone().into();
    value["qemu_sha256"] = variant.qemu_sha256.clone().into();
    value["command_line"] = variant.command_line.clone().into();
    Ok(value)
}

fn cluster(campaign: i64, c: &Cluster) -> Value {
    json!({
        "signature": c.signature,
        "title": c.title,
        "kind": c.kind,
        "outcome": c.outcome,
        "count": c.count,
        "rate": c.rate,
        "diagnosis": c.diagnosis,
        "by_variant": c.by_variant,
        "logs": c.boots.iter().map(|b| format!("{campaign}.{b}")).collect::<Vec<_>>(),
    })
}
