//! From a path to a log's bytes: files, pipes, compressed files, the running kernel's own log.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::bytes::Bytes;

/// A file longer than this is mapped, not read.
const READ_MAX: u64 = 4 << 20;

/// What comes through a pipe or out of a compressed file is kept up to this length, so that rules can quote it.
/// Longer logs are parsed as they come, and only the lines of reports are kept.
const KEEP_MAX: usize = 64 << 20;

/// What was opened: all bytes at once, or a stream that is too long to keep.
pub enum Input {
    /// All of it.
    Whole(Bytes),
    /// The first part, and the rest as it comes.
    Stream(Vec<u8>, Box<dyn Read>),
}

/// Opens a file, a pipe, or stdin (`-`).
///
/// # Errors
/// Why it cannot be read, as a phrase.
pub fn open(path: &Path) -> Result<Input, String> {
    let fail = |error: io::Error| error.to_string();
    if path == Path::new("-") {
        return stream(Box::new(io::stdin().lock())).map_err(fail);
    }
    let mut file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if metadata.is_dir() {
        return Err("is a directory".to_owned());
    }
    if !metadata.is_file() {
        return stream(Box::new(file)).map_err(fail);
    }
    let mut start = [0; 6];
    let len = read_up_to(&mut file, &mut start).map_err(fail)?;
    file.rewind().map_err(fail)?;
    match decompressor(&start[..len]) {
        Some(_) => stream(Box::new(file)).map_err(fail),
        None if metadata.len() > READ_MAX => Bytes::map(&file).map(Input::Whole).map_err(fail),
        None => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(fail)?;
            Ok(Input::Whole(Bytes::Owned(of_windows(bytes))))
        }
    }
}

/// Wraps a stream in what decompresses it.
type Wrap = fn(Box<dyn Read>) -> Box<dyn Read>;

/// By the first bytes: gzip, xz, zstd.
fn decompressor(start: &[u8]) -> Option<Wrap> {
    match start {
        [0x1f, 0x8b, ..] => Some(|stream| Box::new(flate2::read::MultiGzDecoder::new(stream))),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Some(|stream| Box::new(liblzma::read::XzDecoder::new_multi_decoder(stream)))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(|stream| Box::new(super::zstd::Zstd::new(stream))),
        _ => None,
    }
}

/// UTF-16 with its byte order mark, as terminals and shells of Windows save a serial console, as UTF-8; all else as it is.
fn of_windows(bytes: Vec<u8>) -> Vec<u8> {
    let unit: fn([u8; 2]) -> u16 = match bytes.as_slice() {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return bytes,
    };
    let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect::<String>()
        .into_bytes()
}

fn read_up_to(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match stream.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// Reads a stream as far as it is kept.
fn stream(mut raw: Box<dyn Read>) -> io::Result<Input> {
    let mut start = vec![0; 6];
    let len = read_up_to(&mut raw, &mut start)?;
    start.truncate(len);
    let wrap = decompressor(&start);
    let again: Box<dyn Read> = Box::new(io::Cursor::new(start).chain(raw));
    let mut stream = match wrap {
        Some(wrap) => wrap(again),
        None => again,
    };
    let mut kept = Vec::new();
    stream.by_ref().take(KEEP_MAX as u64).read_to_end(&mut kept)?;
    Ok(if kept.len() < KEEP_MAX {
        Input::Whole(Bytes::Owned(of_windows(kept)))
    } else {
        Input::Stream(kept, stream)
    })
}

/// The running kernel's log, as lines with time stamps, out of /dev/kmsg (Documentation/ABI/testing/dev-kmsg).
///
/// # Errors
/// Why it cannot be read, and what to do.
pub fn running_kernel() -> Result<Vec<u8>, String> {
    const O_NONBLOCK: i32 = 0o4000;
    let mut file = File::options().read(true).custom_flags(O_NONBLOCK).open("/dev/kmsg").map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "/dev/kmsg: reading the running kernel's log is not allowed (kernel.dmesg_restrict is set): run as root, or give a log".to_owned()
        }
        _ => format!("/dev/kmsg: {error}; give a log, or pipe one in"),
    })?;
    let mut log = Vec::new();
    let mut record = [0; 8192];
    loop {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(len) => kmsg_record(&record[..len], &mut log),
            // EPIPE: records were overwritten while we read; the next read goes on with the oldest that is left.
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::Interrupted) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(format!("/dev/kmsg: {error}")),
        }
    }
    Ok(log)
}

/// `6,339,5140900,-;text`, lines of its dictionary after it.
fn kmsg_record(record: &[u8], log: &mut Vec<u8>) {
    let text = record.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(at) = text.iter().position(|byte| *byte == b';') else { return };
    let header = String::from_utf8_lossy(&text[..at]);
    let micros: u64 = header.split(',').nth(2).and_then(|field| field.parse().ok()).unwrap_or(0);
    log.extend(format!("[{:5}.{:06}] ", micros / 1_000_000, micros % 1_000_000).bytes());
    unescape(&text[at + 1..], log);
    log.push(b'\n');
}

/// The kernel writes what is not printable as `\x0a`.
fn unescape(text: &[u8], log: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = rest.strip_prefix(b"\\x").and_then(|hex| hex.get(..2));
        let byte = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match byte {
            // A newline inside of a record begins a line of the same record.
            Some(byte) => {
                log.push(byte);
                rest = &rest[4..];
            }
            None => {
                log.push(*first);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_saved_on_windows_is_text() {
        assert_eq!(of_windows(b"\xff\xfeB\0U\0G\0\n\0".to_vec()), b"BUG\n");
        assert_eq!(of_windows(b"\xfe\xff\0B\0U\xd8\0".to_vec()), "BU\u{fffd}".as_bytes());
        assert_eq!(of_windows(b"\xff plain".to_vec()), b"\xff plain");
    }

    #[test]
    fn a_record_is_a_line() {
        let mut log = Vec::new();
        kmsg_record(b"6,339,5140900,-;NET: a\\x0ab\\\n SUBSYSTEM=pci\n DEVICE=+pci:0000:00:01.0\n", &mut log);
        assert_eq!(String::from_utf8_lossy(&log), "[    5.140900] NET: a\nb\\\n");
        kmsg_record(b"no header", &mut log);
        kmsg_record(b"", &mut log);
        assert_eq!(log.iter().filter(|byte| **byte == b'\n').count(), 2);
    }
}
