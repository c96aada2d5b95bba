//! What a guest's memory says that its console did not: the log that never came out, and where each processor stood.

use std::fs::File;
use std::path::Path;

use kvet_image::Image;
use kvet_memory::{Guest, Memory, Registers, cpus, dmesg, text};
use kvet_tables::Context;

/// What was found, ready to stand behind a console.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Autopsy {
    /// Lines of the kernel's log that the console does not have, as `dmesg` prints them.
    pub log: Vec<u8>,
    /// A line a processor, and what `text_poke` was at.
    pub state: Vec<String>,
}

/// Looks at a guest that stands still. `registers` is what QEMU says to `info registers -a`; `console` is what is known
/// already. `None` where the kernel is not in the memory: it has not been unpacked yet.
pub fn autopsy(memory: &File, kernel: &Path, registers: Option<&str>, console: &[u8]) -> Option<Autopsy> {
    let image = Image::open(kernel).ok()?;
    let memory = Memory::from_file(memory, Path::new("guest memory"), image.arch()).ok()?;
    let registers = registers.map(|text| Registers::of_monitor(image.arch(), text)).unwrap_or_default();
    let guest = Guest::new(memory, &image, registers).ok()?;
    let log = dmesg::read(&guest).map(|log| unseen(&log, console)).unwrap_or_default();
    let context = Context::new(&image, None);
    let mut state = Vec::new();
    if !guest.registers().is_empty() {
        state.extend(cpus::cpus(&guest, &context).iter().map(|cpu| cpu.line(&guest)));
    }
    state.extend(text::poke(&guest, &context).map(|poke| poke.words(&guest)));
    Some(Autopsy { log, state })
}

/// The records whose text the console does not have.
fn unseen(log: &dmesg::Log, console: &[u8]) -> Vec<u8> {
    let shown = |record: &dmesg::Record| {
        let line = record.text.split(|b| *b == b'\n').next().unwrap_or_default();
        line.is_empty() || memchr::memmem::find(console, line).is_some()
    };
    let mut rest = log.clone();
    rest.records.retain(|record| !shown(record));
    rest.text(true)
}

impl Autopsy {
    /// Whether there is anything to say.
    pub fn is_empty(&self) -> bool {
        self.log.is_empty() && self.state.is_empty()
    }

    /// The text that follows the console. What is kvet's own stands in brackets, as elsewhere in a kept console.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.log.is_empty() {
            out.extend(b"\n[kvet: what follows stood in the guest's memory; the console never showed it]\n");
            out.extend(&self.log);
        }
        for line in &self.state {
            // Names come from the guest.
            let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            out.extend(format!("[kvet: {line}]\n").bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64, text: &str) -> dmesg::Record {
        dmesg::Record {
            seq,
            ns: seq * 1_000_000,
            level: 6,
            facility: 0,
            caller: None,
            text: text.into(),
            unfinished: false,
        }
    }

    #[test]
    fn only_what_the_console_lacks_is_told() {
        let records =
            vec![record(1, "Linux version 6.1.0"), record(2, "Kernel panic - not syncing: x"), record(3, "")];
        let log = dmesg::Log { records, ..dmesg::Log::default() };
        let rest = unseen(&log, b"[    0.000000] Linux version 6.1.0\r\n");
        assert_eq!(String::from_utf8_lossy(&rest), "[    0.002000] Kernel panic - not syncing: x\n");
        assert_eq!(unseen(&log, &log.text(true)), b"");
    }

    #[test]
    fn what_is_kvets_own_stands_in_brackets() {
        let found = Autopsy { log: b"[    0.1] x\n".to_vec(), state: vec!["CPU 0: idle\x1b[31m".into()] };
        let text = String::from_utf8(found.text()).expect("UTF-8");
        assert!(text.starts_with("\n[kvet: what follows stood in the guest's memory"), "{text}");
        assert!(text.ends_with("[kvet: CPU 0: idle?[31m]\n"), "{text}");
        assert!(Autopsy::default().is_empty() && Autopsy::default().text().is_empty());
    }

    #[test]
    fn a_memory_without_the_kernel_is_no_autopsy() {
        let file = tempfile::tempfile().expect("a file");
        assert_eq!(autopsy(&file, Path::new("/nonexistent"), None, b""), None);
    }
}
