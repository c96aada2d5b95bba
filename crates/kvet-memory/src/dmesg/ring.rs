//! The lockless ring buffer, 5.10 and later (kernel/printk/printk_ringbuffer.c and .h).
//!
//! Descriptors stand in an array by their id modulo its size; `state_var` has the id and, in its top two bits, the
//! state: reserved, committed, finalized, reusable. A descriptor's text lies between two logical positions in the
//! text ring, behind 8 bytes of the descriptor's id; a block that would cross the end starts at 0 instead. Odd
//! positions stand for records without text: 3 and 3 for an empty line, others for text that could not be stored.

use kvet_image::Arch;

use super::{Log, Record};
use crate::Guest;

const STATE_SHIFT: u32 = 62;
const ID_MASK: u64 = (1 << STATE_SHIFT) - 1;
const RESERVED: u64 = 0;
const COMMITTED: u64 = 1;
const FINALIZED: u64 = 2;
/// EMPTY_LINE_LPOS, NO_LPOS in 5.10.
const EMPTY_LINE: u64 = 3;

/// CONFIG_LOG_BUF_SHIFT is at most 25, and log_buf_len= at most 2 GiB; a descriptor stands for 32 bytes.
const MOST_DESCRIPTOR_BITS: u64 = 26;
const MOST_TEXT_BITS: u64 = 31;

/// The members of a ring, as the layouts place them.
struct Fields {
    count_bits: u64,
    descs: u64,
    infos: u64,
    head_id: u64,
    tail_id: u64,
    text: u64,
    size_bits: u64,
    data: u64,
    desc_size: u64,
    state_var: u64,
    begin: u64,
    next: u64,
    info_size: u64,
}

impl Fields {
    fn of(guest: &Guest<'_>) -> Option<Fields> {
        let layouts = guest.layouts();
        let ring = |path: &str| layouts.offset("printk_ringbuffer", path);
        let data_ring = |path: &str| layouts.offset("prb_data_ring", path);
        let text = ring("text_data_ring")?;
        Some(Fields {
            count_bits: ring("desc_ring.count_bits")?,
            descs: ring("desc_ring.descs")?,
            infos: ring("desc_ring.infos")?,
            head_id: ring("desc_ring.head_id")?,
            tail_id: ring("desc_ring.tail_id")?,
            text,
            size_bits: data_ring("size_bits")?,
            data: data_ring("data")?,
            desc_size: layouts.size("prb_desc")?,
            state_var: layouts.offset("prb_desc", "state_var")?,
            begin: layouts.offset("prb_desc", "text_blk_lpos.begin")?,
            next: layouts.offset("prb_desc", "text_blk_lpos.next")?,
            info_size: layouts.size("printk_info")?,
        })
    }
}

/// A ring's header, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Header {
    count_bits: u64,
    descs: u64,
    infos: u64,
    head_id: u64,
    tail_id: u64,
    size_bits: u64,
    data: u64,
}

pub(super) fn read(guest: &Guest<'_>) -> Result<Log, String> {
    let fields = Fields::of(guest).ok_or("the layout of struct printk_ringbuffer is not known")?;
    let (at, found_by) = find(guest, &fields)?;
    let header = header(guest, &fields, at)
        .ok_or_else(|| format!("the printk ring buffer at {at:#x} is not in this memory, or damaged"))?;
    Ok(walk(guest, &fields, &header, found_by))
}

fn header(guest: &Guest<'_>, f: &Fields, at: u64) -> Option<Header> {
    let word = |offset: u64| guest.u64(at.checked_add(offset)?);
    let half = |offset: u64| guest.u32(at.checked_add(offset)?).map(u64::from);
    let header = Header {
        count_bits: half(f.count_bits)?,
        descs: word(f.descs)?,
        infos: word(f.infos)?,
        head_id: word(f.head_id)?,
        tail_id: word(f.tail_id)?,
        size_bits: half(f.text.checked_add(f.size_bits)?)?,
        data: word(f.text.checked_add(f.data)?)?,
    };
    let pointers = [header.descs, header.infos, header.data];
    let sane = (1..=MOST_DESCRIPTOR_BITS).contains(&header.count_bits)
        && (4..=MOST_TEXT_BITS).contains(&header.size_bits)
        && pointers.iter().all(|p| *p >= 1 << 63);
    sane.then_some(header)
}

/// The ring that `prb` points to, else by VMCOREINFO, else by its form.
fn find(guest: &Guest<'_>, fields: &Fields) -> Result<(u64, String), String> {
    let points_to = |prb: u64| guest.u64(prb).filter(|at| header(guest, fields, *at).is_some());
    if let Some(at) = guest.image().symbol_addr("prb").and_then(|link| points_to(guest.to_runtime(link))) {
        return Ok((at, "the symbol prb".into()));
    }
    let by_form = || scan(guest, fields).map(|at| (at, "the form of its header in the kernel's data".into()));
    let by_info = || Some((points_to(guest.symbol("prb")?)?, "VMCOREINFO's prb".into()));
    by_form().or_else(by_info).ok_or_else(|| {
        "no printk ring buffer was found: no symbol prb, and nothing of its form in the kernel's data".into()
    })
}

/// Looks through the kernel's data for what has a ring's form: of the static ring and the one that `setup_log_buf`
/// may set up, the one with the latest record.
fn scan(guest: &Guest<'_>, fields: &Fields) -> Option<u64> {
    let image = guest.image();
    let mut best: Option<(u64, u64)> = None;
    for section in image.sections().iter().filter(|s| !s.access.execute || guest.arch() == Arch::Arm64) {
        if section.addr.0 < 1 << 63 {
            continue;
        }
        let start = guest.to_runtime(section.addr);
        let Some(bytes) = guest.read(start, usize::try_from(section.size).unwrap_or(0)) else { continue };
        let (words, _) = bytes.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            // count_bits, padding, then two pointers: cheap to refuse.
            let first = u64::from_le_bytes(*word);
            let next = |n: usize| words.get(i + n).map_or(0, |w| u64::from_le_bytes(*w));
            if !(1..=MOST_DESCRIPTOR_BITS).contains(&(first & 0xffff_ffff))
                || next(1) < 1 << 63
                || next(2) < 1 << 63
            {
                continue;
            }
            let at = start.wrapping_add(8 * i as u64);
            if let Some(seq) = header(guest, fields, at).and_then(|h| plausible(guest, fields, &h))
                && best.is_none_or(|(most, _)| seq >= most)
            {
                best = Some((seq, at));
            }
        }
    }
    best.map(|(_, at)| at)
}

/// Whether the descriptors fit the header: the newest one's id is its own, and the text ring is 32 bytes a descriptor
/// (PRB_AVGBITS). Gives the newest record's number.
fn plausible(guest: &Guest<'_>, f: &Fields, h: &Header) -> Option<u64> {
    const PRB_AVGBITS: u64 = 5;
    if h.size_bits != h.count_bits + PRB_AVGBITS
        || h.head_id.wrapping_sub(h.tail_id) & ID_MASK >= 1 << h.count_bits
    {
        return None;
    }
    let index = h.head_id & ((1 << h.count_bits) - 1);
    let state = guest.u64(h.descs.checked_add(index * f.desc_size)?.checked_add(f.state_var)?)?;
    let info = h.infos.checked_add(index * f.info_size)?;
    (state & ID_MASK == h.head_id & ID_MASK).then(|| guest.field(info, "printk_info", "seq"))?
}

/// From the tail to the head, as `prb_for_each_record` does: at most as many as there are descriptors.
fn walk(guest: &Guest<'_>, f: &Fields, h: &Header, found_by: String) -> Log {
    let mut log = Log { found_by, ..Log::default() };
    let count = 1_u64 << h.count_bits;
    let size = 1_u64 << h.size_bits;
    let read_all = |at: u64, len: u64| usize::try_from(len).ok().and_then(|len| guest.read(at, len));
    let (Some(descs), Some(infos), Some(data)) = (
        read_all(h.descs, count.saturating_mul(f.desc_size)),
        read_all(h.infos, count.saturating_mul(f.info_size)),
        read_all(h.data, size),
    ) else {
        log.remarks.push("the ring buffer's arrays are not, or not wholly, in this memory".into());
        return log;
    };
    let info = Info::of(guest);
    log.callers = calls_are_kept(guest);
    let span = h.head_id.wrapping_sub(h.tail_id) & ID_MASK;
    if span >= count {
        log.remarks
            .push(format!("the ring's head is {span} descriptors from its tail, of {count}: it is damaged"));
    }
    for n in 0..=span.min(count - 1) {
        let id = h.tail_id.wrapping_add(n) & ID_MASK;
        let index = (id & (count - 1)) as usize;
        let word = |bytes: &[u8], at: u64| {
            let at = usize::try_from(at).ok()?;
            Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
        };
        let desc = index as u64 * f.desc_size;
        let (Some(state), Some(begin), Some(next)) =
            (word(&descs, desc + f.state_var), word(&descs, desc + f.begin), word(&descs, desc + f.next))
        else {
            continue;
        };
        if state & ID_MASK != id {
            continue;
        }
        let unfinished = match state >> STATE_SHIFT {
            FINALIZED | COMMITTED => false,
            RESERVED => true,
            _ => continue,
        };
        let meta_at = index * f.info_size as usize;
        let Some(mut record) = infos.get(meta_at..).and_then(|bytes| info.read(bytes)) else { continue };
        record.unfinished = unfinished;
        match text(&data, h.size_bits, id, begin, next) {
            Text::Bytes(bytes) => {
                let len = (info.text_len(&infos[meta_at..]) as usize).min(bytes.len());
                // What a writer has not written yet is what stood there before.
                let written = if unfinished { memchr::memchr(0, &bytes[..len]).unwrap_or(len) } else { len };
                record.text = bytes[..written].to_vec();
            }
            Text::Empty => {}
            Text::Lost => {
                log.lost += 1;
                continue;
            }
        }
        // A descriptor that is reserved and whose record has no text tells nothing.
        if unfinished && (record.text.is_empty() || record.text.iter().any(|b| *b < 9)) {
            continue;
        }
        log.records.push(record);
    }
    log.records.sort_by_key(|r| r.seq);
    log
}

enum Text<'d> {
    Bytes(&'d [u8]),
    Empty,
    Lost,
}

/// `get_data`: a block's text, when the block is the descriptor's own.
fn text(data: &[u8], size_bits: u64, id: u64, begin: u64, next: u64) -> Text<'_> {
    if begin & 1 == 1 && next & 1 == 1 {
        return if (begin, next) == (EMPTY_LINE, EMPTY_LINE) { Text::Empty } else { Text::Lost };
    }
    let size = 1_u64 << size_bits;
    let wraps = |lpos: u64| lpos >> size_bits;
    let last = next.wrapping_sub(1);
    let (start, len) = if wraps(begin) == wraps(last) && begin < next {
        (begin & (size - 1), next - begin)
    } else if wraps(begin.wrapping_add(size)) == wraps(last) {
        // next may be the ring's end itself.
        (
            0,
            match next & (size - 1) {
                0 => size,
                n => n,
            },
        )
    } else {
        return Text::Lost;
    };
    let block = usize::try_from(start)
        .ok()
        .zip(usize::try_from(len).ok())
        .and_then(|(start, len)| data.get(start..start.checked_add(len)?));
    match block.and_then(|b| b.split_first_chunk::<8>()) {
        Some((own, text))
            if begin.is_multiple_of(8) && next.is_multiple_of(8) && u64::from_le_bytes(*own) == id =>
        {
            Text::Bytes(text)
        }
        _ => Text::Lost,
    }
}

/// The members of `struct printk_info`.
struct Info {
    seq: u64,
    ns: u64,
    text_len: u64,
    facility: u64,
    level: (u64, u32, u32),
    caller: u64,
}

impl Info {
    fn of(guest: &Guest<'_>) -> Info {
        let at = |member, known| guest.layouts().offset("printk_info", member).unwrap_or(known);
        let level = guest.layouts().member("printk_info", "level");
        let level =
            level.and_then(|l| l.bits.map(|(bit, width)| (l.offset, bit, width))).unwrap_or((19, 5, 3));
        Info {
            seq: at("seq", 0),
            ns: at("ts_nsec", 8),
            text_len: at("text_len", 16),
            facility: at("facility", 18),
            level,
            caller: at("caller_id", 20),
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<Record> {
        let word =
            |at: u64| Some(u64::from_le_bytes(*bytes.get(usize::try_from(at).ok()?..)?.first_chunk()?));
        let byte = |at: u64| bytes.get(usize::try_from(at).ok()?).copied();
        let (level_at, bit, width) = self.level;
        let caller =
            bytes.get(usize::try_from(self.caller).ok()?..)?.first_chunk().map(|b| u32::from_le_bytes(*b))?;
        Some(Record {
            seq: word(self.seq)?,
            ns: word(self.ns)?,
            level: byte(level_at)? >> bit.min(7) & ((1_u16 << width.min(8)) - 1) as u8,
            facility: byte(self.facility)?,
            caller: Some(caller),
            text: Vec::new(),
            unfinished: false,
        })
    }

    fn text_len(&self, bytes: &[u8]) -> u16 {
        let at = usize::try_from(self.text_len).unwrap_or(usize::MAX);
        bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
    }
}

/// CONFIG_PRINTK_CALLER adds `print_caller`'s format to the kernel's strings; the member is there always.
fn calls_are_kept(guest: &Guest<'_>) -> bool {
    guest.image().config().is_some_and(|c| c.contains("\nCONFIG_PRINTK_CALLER=y"))
}
