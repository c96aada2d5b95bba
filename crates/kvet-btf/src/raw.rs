//! The format's numbers: kinds, bit fields, byte order.
//!
//! Source: include/uapi/linux/btf.h, 5.10 to 7.3.

/// The first two bytes of BTF, as a number in its own byte order (`BTF_MAGIC`).
pub const MAGIC: u16 = 0xeb9f;
/// The only version there is (`BTF_VERSION`).
pub const VERSION: u8 = 1;
/// The header up to `str_len`: what every BTF before 7.x has.
pub const HEADER_LEN: u32 = 24;
/// The header with `layout_off` and `layout_len` (7.x).
pub const LONG_HEADER_LEN: u32 = 32;
/// `sizeof(struct btf_type)`, without what follows it.
pub const TYPE_LEN: usize = 12;
/// The largest type id (`BTF_MAX_TYPE`).
pub const MAX_TYPE: u32 = 0x000f_ffff;
/// The largest string offset (`BTF_MAX_NAME_OFFSET`).
pub const MAX_NAME_OFFSET: u32 = 0x00ff_ffff;

/// The byte order of BTF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ByteOrder {
    /// x86-64, arm64, most others.
    Little,
    /// s390x, old PowerPC.
    Big,
}

impl ByteOrder {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            ByteOrder::Little => "little-endian",
            ByteOrder::Big => "big-endian",
        }
    }

    #[inline]
    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The 32-bit number at an offset; 0 where the bytes end before it. Callers check bounds first: the 0 is
    /// only what keeps a mistake there from being a panic.
    #[inline]
    pub(crate) fn read(self, bytes: &[u8], at: usize) -> u32 {
        match bytes.get(at..).and_then(|tail| tail.first_chunk::<4>()) {
            Some(word) => self.u32(*word),
            None => 0,
        }
    }
}

/// A type id. 0 is `void`, which no BTF holds; a split BTF's own ids begin where its base's end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct TypeId(pub u32);

impl std::fmt::Display for TypeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// What a type is (`BTF_KIND_*`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // the kernel's own names say all there is
pub enum Kind {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

const KINDS: [Kind; 20] = [
    Kind::Void,
    Kind::Int,
    Kind::Ptr,
    Kind::Array,
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
    Kind::Fwd,
    Kind::Typedef,
    Kind::Volatile,
    Kind::Const,
    Kind::Restrict,
    Kind::Func,
    Kind::FuncProto,
    Kind::Var,
    Kind::Datasec,
    Kind::Float,
    Kind::DeclTag,
    Kind::TypeTag,
    Kind::Enum64,
];

impl Kind {
    /// The kind of a number; `None` for one that no kernel up to 7.3 knows.
    #[inline]
    pub fn from_number(number: u8) -> Option<Kind> {
        KINDS.get(usize::from(number)).copied()
    }

    /// The kernel's and bpftool's name, `DECL_TAG`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Void => "UNKNOWN",
            Kind::Int => "INT",
            Kind::Ptr => "PTR",
            Kind::Array => "ARRAY",
            Kind::Struct => "STRUCT",
            Kind::Union => "UNION",
            Kind::Enum => "ENUM",
            Kind::Fwd => "FWD",
            Kind::Typedef => "TYPEDEF",
            Kind::Volatile => "VOLATILE",
            Kind::Const => "CONST",
            Kind::Restrict => "RESTRICT",
            Kind::Func => "FUNC",
            Kind::FuncProto => "FUNC_PROTO",
            Kind::Var => "VAR",
            Kind::Datasec => "DATASEC",
            Kind::Float => "FLOAT",
            Kind::DeclTag => "DECL_TAG",
            Kind::TypeTag => "TYPE_TAG",
            Kind::Enum64 => "ENUM64",
        }
    }

    /// Refers to one type whose size is its own: typedef, qualifier, type tag (`btf_type_is_modifier`).
    #[inline]
    pub fn is_modifier(self) -> bool {
        matches!(self, Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag)
    }

    /// Structure or union.
    #[inline]
    pub fn is_composite(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union)
    }

    /// Its third word is a size and not a type (`btf_type_has_size`).
    #[inline]
    pub fn has_size(self) -> bool {
        matches!(
            self,
            Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Datasec | Kind::Float | Kind::Enum64
        )
    }

    /// Its third word is a type id.
    #[inline]
    pub fn has_type(self) -> bool {
        self.is_modifier()
            || matches!(self, Kind::Ptr | Kind::Func | Kind::FuncProto | Kind::Var | Kind::DeclTag)
    }

    /// How long what follows the 12 bytes is: a part of fixed length, and a part for each of `vlen` elements.
    #[inline]
    pub fn tail(self) -> (usize, usize) {
        match self {
            Kind::Int | Kind::Var | Kind::DeclTag => (4, 0),
            Kind::Array => (12, 0),
            Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => (0, 12),
            Kind::Enum | Kind::FuncProto => (0, 8),
            _ => (0, 0),
        }
    }
}

/// The kind's number in `info`. 7.x widened the field from five bits to seven; older kernels refuse BTF that
/// has the new bits set, so reading seven is right for all.
#[inline]
pub(crate) fn info_kind(info: u32) -> u8 {
    (info >> 24 & 0x7f) as u8
}

/// The number of elements in `info`. 7.x widened the field from 16 bits to 24; as [`info_kind`].
#[inline]
pub(crate) fn info_vlen(info: u32) -> u32 {
    info & 0x00ff_ffff
}
