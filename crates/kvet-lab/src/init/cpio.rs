//! The `newc` archive that the kernel unpacks: Documentation/driver-api/early-userspace/buffer-format.rst.

/// One file of an archive.
pub struct Entry<'a> {
    name: &'a str,
    mode: u32,
    device: (u32, u32),
    bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// A directory.
    pub fn directory(name: &'a str) -> Entry<'a> {
        Entry { name, mode: 0o040_755, device: (0, 0), bytes: &[] }
    }

    /// A character device.
    pub fn device(name: &'a str, major: u32, minor: u32) -> Entry<'a> {
        Entry { name, mode: 0o020_600, device: (major, minor), bytes: &[] }
    }

    /// A program.
    pub fn executable(name: &'a str, bytes: &'a [u8]) -> Entry<'a> {
        Entry { name, mode: 0o100_755, device: (0, 0), bytes }
    }
}

/// The archive, its trailer included.
pub fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let trailer = Entry { name: "TRAILER!!!", mode: 0, device: (0, 0), bytes: &[] };
    for (inode, entry) in (1u32..).zip(entries.iter().chain([&trailer])) {
        // ino, mode, uid, gid, nlink, mtime, filesize, major, minor, rmajor, rminor, namesize, check
        let fields = [
            inode,
            entry.mode,
            0,
            0,
            1,
            0,
            entry.bytes.len() as u32,
            0,
            0,
            entry.device.0,
            entry.device.1,
            entry.name.len() as u32 + 1,
            0,
        ];
        out.extend(b"070701");
        for field in fields {
            out.extend(format!("{field:08x}").bytes());
        }
        out.extend(entry.name.bytes().chain([0]));
        pad(&mut out);
        out.extend(entry.bytes);
        pad(&mut out);
    }
    out
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_start_on_four_bytes() {
        let out = archive(&[Entry::executable("init", b"abcde"), Entry::device("c", 5, 1)]);
        assert_eq!(&out[..6], b"070701");
        // 110 bytes of header and "init\0" end at 115, padded to 116.
        assert_eq!(&out[110..116], b"init\0\0");
        assert_eq!(&out[116..124], b"abcde\0\0\0");
        assert_eq!(&out[124..130], b"070701");
        assert_eq!(&out[124 + 6 + 9 * 8..124 + 6 + 11 * 8], b"0000000500000001");
        assert!(out.ends_with(b"TRAILER!!!\0\0\0\0") || out.ends_with(b"TRAILER!!!\0"));
        assert_eq!(out.len() % 4, 0);
    }
}
