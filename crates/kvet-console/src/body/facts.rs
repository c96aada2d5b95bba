//! Facts about machine and task: hardware, modules, work item.

use crate::line::Line;
use crate::open::{Open, Taken};
use crate::text::clip;

/// Reads `Hardware name:`, `Workqueue:`, `Stopper:`, `Modules linked in:`.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    let set = |field: &mut Option<String>, value: &str| {
        let value = clip(value.trim(), crate::open::MAX_TEXT);
        if field.as_deref().is_none_or(|f| value.starts_with(f)) {
            *field = Some(value.to_owned());
        }
    };
    let report = &mut open.report;
    match text.as_bytes()[0] {
        b'H' => {
            if let Some(name) = text.strip_prefix("Hardware name: ") {
                set(&mut report.hardware, name);
                return Taken::Facts;
            }
        }
        b'W' if text.starts_with("Workqueue: ") => {
            set(&mut report.work, text);
            return Taken::Facts;
        }
        b'S' if text.starts_with("Stopper: ") => {
            set(&mut report.work, text);
            return Taken::Facts;
        }
        b'M' => {
            if let Some(list) = text.strip_prefix("Modules linked in:") {
                modules(list, &mut report.modules);
                return Taken::Facts;
            }
        }
        b'T' if text.starts_with("Tainted: [") => return Taken::Facts,
        b'L' if text.starts_with("Last unloaded:") => return Taken::Facts,
        b't' if text.starts_with("task: ") && text.contains("task.stack:") => return Taken::Facts,
        b't' if text.starts_with("task: ") && text.contains(" ti: ") => return Taken::Facts,
        b'i' if text.starts_with("irq event stamp: ") => return Taken::Facts,
        b'h' | b's' if text.starts_with("hardirqs last ") || text.starts_with("softirqs last ") => {
            return Taken::Facts;
        }
        _ => {}
    }
    Taken::No
}

/// `a(OE+) b [last unloaded: c]`: names without their marks.
pub(crate) fn modules(list: &str, out: &mut Vec<String>) {
    let list = list.split("[last unloaded").next().unwrap_or(list);
    for word in list.split_ascii_whitespace().take(1024) {
        let name = word.split('(').next().unwrap_or(word);
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        if plain && out.len() < 1024 && !out.iter().any(|m| m == name) {
            out.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn modules() {
        let mut out = Vec::new();
        super::modules(" ext4 zfs(POE) usb_storage+ [last unloaded: x]", &mut out);
        assert_eq!(out, ["ext4", "zfs"]);
    }
}
