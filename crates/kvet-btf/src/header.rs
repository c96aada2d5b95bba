//! The header, and where it says the sections are.

use crate::ParseError;
use crate::raw::{ByteOrder, HEADER_LEN, LONG_HEADER_LEN, MAGIC, VERSION};

/// `struct btf_header`. Offsets count from the end of the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// `0xeb9f`.
    pub magic: u16,
    /// 1.
    pub version: u8,
    /// 0.
    pub flags: u8,
    /// The header's own length in bytes.
    pub hdr_len: u32,
    /// Where the types begin.
    pub type_off: u32,
    /// Their length in bytes.
    pub type_len: u32,
    /// Where the strings begin.
    pub str_off: u32,
    /// Their length in bytes.
    pub str_len: u32,
    /// Where the layout section begins (7.x); 0 in shorter headers.
    pub layout_off: u32,
    /// Its length in bytes.
    pub layout_len: u32,
}

impl Header {
    /// The header's fields as the kernel copies them: what lies past `copied` bytes of the header reads as 0.
    pub(crate) fn read(data: &[u8], copied: usize, order: ByteOrder) -> Header {
        let bytes = data.get(..copied.min(data.len())).unwrap_or(data);
        let word = |at: usize| {
            let mut field = [0; 4];
            for (to, from) in field.iter_mut().zip(bytes.get(at..).unwrap_or(&[])) {
                *to = *from;
            }
            field
        };
        let first = word(0);
        Header {
            magic: order.u16([first[0], first[1]]),
            version: first[2],
            flags: first[3],
            hdr_len: order.u32(word(4)),
            type_off: order.u32(word(8)),
            type_len: order.u32(word(12)),
            str_off: order.u32(word(16)),
            str_len: order.u32(word(20)),
            layout_off: order.u32(word(24)),
            layout_len: order.u32(word(28)),
        }
    }

    /// Recognises BTF by its magic, in either byte order.
    pub fn byte_order(data: &[u8]) -> Option<ByteOrder> {
        let magic = *data.first_chunk::<2>()?;
        [ByteOrder::Little, ByteOrder::Big].into_iter().find(|order| order.u16(magic) == MAGIC)
    }

    /// The byte order in which the header's length makes sense as well: a magic whose bytes were swapped by damage
    /// is none.
    pub fn own_order(data: &[u8]) -> Option<ByteOrder> {
        Header::byte_order(data)
            .filter(|order| (HEADER_LEN as usize..=data.len()).contains(&(order.read(data, 4) as usize)))
    }

    /// Reads a header and proves that its sections lie in the data.
    ///
    /// # Errors
    /// There is no magic, the version or flags are unknown, or a section runs over the end.
    pub fn parse(data: &[u8]) -> Result<(Header, ByteOrder), ParseError> {
        let order = Header::byte_order(data).ok_or_else(|| ParseError::Magic {
            found: match data.get(..data.len().min(4)) {
                Some([]) | None => "nothing".to_owned(),
                Some(bytes) => format!("the bytes {bytes:02x?}"),
            },
        })?;
        let len = data.len() as u64;
        if len < u64::from(HEADER_LEN) {
            return Err(ParseError::Truncated { what: "the header", end: u64::from(HEADER_LEN), len });
        }
        let hdr_len = order.read(data, 4);
        // What a shorter header leaves out would read as 0, and be named in its place.
        if hdr_len < HEADER_LEN {
            return Err(unsupported("header length", hdr_len, HEADER_LEN));
        }
        let header = Header::read(data, hdr_len.min(LONG_HEADER_LEN) as usize, order);
        if header.version != VERSION {
            return Err(unsupported("version", header.version.into(), VERSION.into()));
        }
        if header.flags != 0 {
            return Err(unsupported("flags", header.flags.into(), 0));
        }
        for (what, off, size) in header.sections() {
            let end = u64::from(hdr_len) + u64::from(off) + u64::from(size);
            if end > len {
                return Err(ParseError::Truncated { what, end, len });
            }
        }
        Ok((header, order))
    }

    fn sections(&self) -> [(&'static str, u32, u32); 3] {
        [
            ("the type section", self.type_off, self.type_len),
            ("the string section", self.str_off, self.str_len),
            ("the layout section", self.layout_off, self.layout_len),
        ]
    }

    /// A section's bytes; the header has been proved against the same data.
    pub(crate) fn section<'a>(&self, data: &'a [u8], off: u32, len: u32) -> &'a [u8] {
        let start = (self.hdr_len as usize).saturating_add(off as usize);
        data.get(start..start.saturating_add(len as usize)).unwrap_or(&[])
    }

    /// The string section, of the data that the header was read from.
    pub fn strings<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        self.section(data, self.str_off, self.str_len)
    }

    /// How many bytes from the start of the header the BTF has in all.
    pub fn total_len(&self) -> u64 {
        let end = |off: u32, len: u32| u64::from(off) + u64::from(len);
        u64::from(self.hdr_len)
            + end(self.type_off, self.type_len)
                .max(end(self.str_off, self.str_len))
                .max(end(self.layout_off, self.layout_len))
    }
}

fn unsupported(what: &'static str, found: u32, expected: u32) -> ParseError {
    ParseError::Unsupported { what, found, expected }
}
