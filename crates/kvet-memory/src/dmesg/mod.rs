//! The kernel's log as it stands in memory, whether or not a console ever showed it.

mod records;
mod ring;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use crate::Guest;

/// One record of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its number since boot.
    pub seq: u64,
    /// Nanoseconds since boot.
    pub ns: u64,
    /// The level, 0 to 7.
    pub level: u8,
    /// The facility; 0 is the kernel.
    pub facility: u8,
    /// The task or processor that wrote it, where the kernel keeps that (CONFIG_PRINTK_CALLER): with the top bit a
    /// CPU, without it a task's number.
    pub caller: Option<u32>,
    /// The text, perhaps of several lines.
    pub text: Vec<u8>,
    /// The record was still being written: it is not in the kernel's own dmesg.
    pub unfinished: bool,
}

/// The log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The records, by number.
    pub records: Vec<Record>,
    /// Which ring, and how it was found; empty where the kernel has not set one up yet.
    pub found_by: String,
    /// Records whose text had been overwritten, or could not be stored.
    pub lost: u64,
    /// Whether `caller` is printed, as CONFIG_PRINTK_CALLER has it.
    pub callers: bool,
    /// What is odd about the ring, in sentences.
    pub remarks: Vec<String>,
}

/// Reads the log of a guest. A kernel that does not run yet has an empty one, with a remark that says so.
///
/// # Errors
/// No log was found; the sentence that says why.
pub fn read(guest: &Guest<'_>) -> Result<Log, String> {
    let found = read_ring(guest);
    if found.as_ref().is_ok_and(|log| !log.records.is_empty()) {
        return found;
    }
    match guest.not_begun() {
        Some(why) => Ok(Log { remarks: vec![why], ..found.unwrap_or_default() }),
        None => found,
    }
}

/// What stands in memory, whether or not the kernel has come to use it.
pub(crate) fn read_ring(guest: &Guest<'_>) -> Result<Log, String> {
    match ring::read(guest) {
        Ok(log) => Ok(log),
        Err(why) => match records::read(guest) {
            Some(log) => Ok(log),
            None => Err(why),
        },
    }
}

impl Log {
    /// The log as `dmesg` prints it: `[    1.234567] text`, each line of a record with the record's prefix
    /// (`record_print_text` and `print_time` in kernel/printk/printk.c). Records that were being written are left
    /// out, unless `unfinished`.
    pub fn text(&self, unfinished: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for record in self.records.iter().filter(|r| unfinished || !r.unfinished) {
            let prefix = self.prefix(record);
            for line in record.text.split(|b| *b == b'\n') {
                out.extend_from_slice(prefix.as_bytes());
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        }
        out
    }

    fn prefix(&self, record: &Record) -> String {
        let (seconds, rest) = (record.ns / 1_000_000_000, record.ns % 1_000_000_000 / 1000);
        let mut prefix = format!("[{seconds:5}.{rest:06}]");
        if let Some(id) = record.caller.filter(|_| self.callers) {
            let (kind, number) = if id & 0x8000_0000 != 0 { ('C', id & 0x7fff_ffff) } else { ('T', id) };
            // A String takes all that is written to it.
            let _ = write!(prefix, "[{:>6}]", format!("{kind}{number}"));
        }
        prefix.push(' ');
        prefix
    }
}
