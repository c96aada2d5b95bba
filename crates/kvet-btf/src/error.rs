//! Why bytes could not be read as BTF.

/// Bytes that cannot be read as BTF at all. What the kernel would say is [`crate::kernel`]'s.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Neither byte order's magic.
    #[error("is not BTF: expected the magic 0xeb9f in either byte order, found {found}")]
    Magic {
        /// The bytes that stand there, in words.
        found: String,
    },
    /// A version or flag that no kernel up to 7.3 knows.
    #[error("has {what} {found}, expected {expected}")]
    Unsupported {
        /// The field.
        what: &'static str,
        /// Its value.
        found: u32,
        /// The value that is known.
        expected: u32,
    },
    /// The bytes end before what the header promises.
    #[error("is truncated: {what} ends at {end:#x}, the data at {len:#x}")]
    Truncated {
        /// The part.
        what: &'static str,
        /// Where it should end, in bytes from the start of the BTF.
        end: u64,
        /// How many bytes there are.
        len: u64,
    },
    /// A type that runs over the end of its section.
    #[error("type [{id}] at {offset:#x} needs {needed} bytes, the type section has {left} left")]
    TypeTruncated {
        /// Its id.
        id: u32,
        /// Its offset from the start of the BTF.
        offset: u64,
        /// Its length.
        needed: u64,
        /// What is left of the section.
        left: u64,
    },
    /// A kind without a known length: nothing after it can be read.
    #[error(
        "type [{id}] at {offset:#x} has the unknown kind {kind}, and no layout section says how long it is"
    )]
    UnknownKind {
        /// Its id.
        id: u32,
        /// Its offset from the start of the BTF.
        offset: u64,
        /// The kind's number.
        kind: u8,
    },
}
