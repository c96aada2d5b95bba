//! For scripts: kvet-patch/1 (docs/json.md).

use std::io::{self, Write};

use kvet_tables::disasm;
use kvet_tables::expected::{Class, Owner, PatchedText};
use serde_json::{Map, Value, json};

use super::listing::{Line, Listing};
use super::summary::{Count, Names, Summary};
use super::{Answer, Keys, Patched};
use crate::text;

pub fn write(answer: &Answer<'_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &document(answer))?;
    writeln!(out)
}

fn hex(value: u64) -> String {
    format!("{value:#x}")
}

fn document(answer: &Answer<'_>) -> Value {
    let names = Names::new(answer.context);
    let image = answer.image;
    let sum = Summary::of(answer.file, &answer.patched.text);
    let given = answer
        .given
        .iter()
        .map(|(key, on)| json!({ "address": hex(key.0), "symbol": image.symbolize(*key), "enabled": on }));
    json!({
        "schema": "kvet-patch/1",
        "kernel": {
            "path": image.path().to_string_lossy(),
            "arch": image.arch().as_str(),
            "release": image.release(),
            "build_id": image.build_id().map(text::hex_id),
        },
        "cpu": cpu(answer.patched, &names),
        "keys": {
            "state": match answer.keys { Keys::Initial => "initial", Keys::Booted => "booted" },
            "given": given.collect::<Vec<_>>(),
        },
        "text": { "bytes": sum.text, "changed": sum.bytes },
        "tables": sum.tables.iter().map(|(class, count)| table(*class, count)).collect::<Vec<_>>(),
        "features": sum.features.iter().map(|((feature, absent), count)| json!({
            "feature": feature,
            "name": names.of(*feature),
            "absence": absent,
            "applied": answer.patched.cpu.features.contains(feature) != *absent,
            "sites": count.sites,
            "changed": count.changed,
            "bytes": count.bytes,
        })).collect::<Vec<_>>(),
        "output": answer.output.map(|path| path.to_string_lossy()),
        "function": answer.function.as_ref().map(|(name, listing)| function(name, listing, &names)),
        "against": answer.against.as_ref().map(|(other, _)| against(answer, other, &names)),
        "audit": answer.audit.map(|(guest, audit)| crate::inspect::json::audit_value(guest, audit)),
    })
}

fn cpu(patched: &Patched, names: &Names<'_>) -> Value {
    let cpu = &patched.cpu;
    json!({
        "name": cpu.name,
        "source": cpu.source,
        "features": cpu.features.iter().map(|f| json!({ "feature": f, "name": names.of(*f) })).collect::<Vec<_>>(),
        "assumed": cpu.assumed,
        "unknown": cpu.unknown,
    })
}

fn table(class: Class, count: &Count) -> Value {
    json!({ "name": class.as_str(), "sites": count.sites, "changed": count.changed, "bytes": count.bytes })
}

fn owner(owner: &Owner, names: &Names<'_>) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("table".into(), json!(owner.class.as_str()));
    map.insert("index".into(), json!(owner.index));
    map.insert("feature".into(), json!(owner.feature.map(|(feature, _)| feature)));
    map.insert("feature_name".into(), json!(owner.feature.map(|(feature, _)| names.of(feature))));
    map.insert("absence".into(), json!(owner.feature.map(|(_, absent)| absent)));
    map.insert("key".into(), json!(owner.key.map(|key| hex(key.0))));
    map
}

fn function(name: &str, listing: &Listing, names: &Names<'_>) -> Value {
    let line = |line: &Line| json!({ "address": hex(line.at.0), "bytes": text::hex(&line.bytes), "code": line.text });
    let changes = listing.stretches.iter().filter_map(|stretch| {
        let after = stretch.after.as_ref()?;
        Some(json!({
            "before": stretch.before.iter().map(line).collect::<Vec<_>>(),
            "after": after.iter().map(line).collect::<Vec<_>>(),
            "owners": stretch.owners.iter().map(|o| owner(o, names)).collect::<Vec<_>>(),
        }))
    });
    json!({
        "name": name,
        "address": hex(listing.start.0),
        "length": listing.len,
        "changes": changes.collect::<Vec<_>>(),
    })
}

fn against(answer: &Answer<'_>, other: &Patched, names: &Names<'_>) -> Value {
    let Some((_, found)) = &answer.against else { return Value::Null };
    let side = |patched: &PatchedText, at, len| {
        let bytes = patched.bytes(at, len).unwrap_or_default();
        json!({ "bytes": text::hex(bytes), "code": disasm::code(answer.image, at, bytes).lines })
    };
    let difference = found.iter().map(|d| {
        let mut map = d.owner.map(|o| owner(&o, names)).unwrap_or_default();
        map.insert("address".into(), json!(hex(d.start.0)));
        map.insert("symbol".into(), json!(answer.image.symbolize(d.start)));
        map.insert("length".into(), json!(d.len));
        map.insert("first".into(), side(&answer.patched.text, d.start, d.len));
        map.insert("second".into(), side(&other.text, d.start, d.len));
        Value::Object(map)
    });
    json!({ "cpu": cpu(other, names), "differences": difference.collect::<Vec<_>>() })
}
