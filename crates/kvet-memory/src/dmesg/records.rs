//! The older record buffer, before 5.10 (kernel/printk/printk.c, `struct printk_log`): records one behind the other
//! in `log_buf`, each with its length; a length of 0 leads back to the start.

use super::{Log, Record};
use crate::Guest;

/// The length of `struct printk_log` without CONFIG_PRINTK_CALLER, and the alignment of records.
const HEADER: u64 = 16;

pub(super) fn read(guest: &Guest<'_>) -> Option<Log> {
    let buffer = guest.u64(guest.symbol("log_buf")?)?;
    let len = u64::from(guest.u32(guest.symbol("log_buf_len")?)?);
    let mut index = u64::from(guest.u32(guest.symbol("log_first_idx")?)?);
    let end = u64::from(guest.u32(guest.symbol("log_next_idx")?)?);
    let first_seq = guest.u64(guest.symbol("log_first_seq")?)?;
    let header = guest.layouts().size("printk_log").unwrap_or(HEADER).max(HEADER);
    let mut log = Log { found_by: "the symbol log_buf".into(), callers: header > HEADER, ..Log::default() };
    // Each record takes a header at least, so this ends.
    for n in 0..len / HEADER + 2 {
        if index == end && n > 0 || index >= len {
            break;
        }
        let at = buffer.checked_add(index)?;
        let Some(record_len) = guest.field(at, "printk_log", "len") else {
            log.remarks.push("the record buffer is not wholly in this memory".into());
            break;
        };
        if record_len == 0 {
            index = 0;
            continue;
        }
        if record_len < header || index + record_len > len {
            log.remarks.push(format!(
                "a record at {at:#x} has the impossible length {record_len}; the rest is not read"
            ));
            break;
        }
        log.records.push(record(guest, at, header, record_len, first_seq + log.records.len() as u64)?);
        index += record_len;
    }
    Some(log)
}

fn record(guest: &Guest<'_>, at: u64, header: u64, len: u64, seq: u64) -> Option<Record> {
    let field = |name| guest.field(at, "printk_log", name);
    let text_len = field("text_len")?.min(len - header);
    let text = guest.read(at.checked_add(header)?, usize::try_from(text_len).ok()?).map(|t| t.into_owned());
    Some(Record {
        seq,
        ns: field("ts_nsec")?,
        level: (field("level").unwrap_or(0) & 7) as u8,
        facility: field("facility").unwrap_or(0) as u8,
        caller: guest.layouts().member("printk_log", "caller_id").and_then(|p| guest.u32(at + p.offset)),
        text: text.unwrap_or_default(),
        unfinished: false,
    })
}
