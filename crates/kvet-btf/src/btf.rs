//! [`Btf`]: types by id, names by offset, nothing copied.

use std::sync::Arc;

use crate::header::Header;
use crate::raw::{ByteOrder, Kind, TYPE_LEN, TypeId, info_kind, info_vlen};
use crate::{ParseError, names};

/// Where the types of one BTF stand. It borrows nothing, so it can be kept for a vmlinux and shared by the
/// thousands of modules that are split from it.
#[derive(Clone, Debug)]
pub struct Index {
    pub(crate) order: ByteOrder,
    pub(crate) header: Header,
    /// Offsets of the types in the type section. A base's first entry stands for `void`.
    pub(crate) offsets: Vec<u32>,
}

impl Index {
    /// Of BTF that holds nothing but `void`.
    pub(crate) fn empty() -> Index {
        Index { order: ByteOrder::Little, header: Header::default(), offsets: vec![0] }
    }

    /// Finds every type of a BTF.
    ///
    /// `split` says that the ids continue a base's, so that there is no `void` of its own.
    ///
    /// # Errors
    /// The header is wrong, or a type has no known length or runs over the end.
    pub fn new(data: &[u8], split: bool, start_id: u32) -> Result<Index, ParseError> {
        let (header, order) = Header::parse(data)?;
        let types = header.section(data, header.type_off, header.type_len);
        let layout = header.section(data, header.layout_off, header.layout_len);
        let base = u64::from(header.hdr_len) + u64::from(header.type_off);
        let mut offsets = Vec::with_capacity(types.len() / 40 + 2);
        if !split {
            offsets.push(0);
        }
        let mut at = 0;
        while at < types.len() {
            let id = start_id.saturating_add(offsets.len() as u32);
            let left = types.len() - at;
            let info = order.read(types, at + 4);
            let kind = info_kind(info);
            let (fixed, each) = match Kind::from_number(kind) {
                Some(Kind::Void) | None if left >= TYPE_LEN => layout_of(layout, kind)
                    .ok_or(ParseError::UnknownKind { id, offset: base + at as u64, kind })?,
                Some(kind) => kind.tail(),
                None => (0, 0),
            };
            let needed = (TYPE_LEN + fixed).saturating_add(each.saturating_mul(info_vlen(info) as usize));
            if needed > left {
                return Err(ParseError::TypeTruncated {
                    id,
                    offset: base + at as u64,
                    needed: needed as u64,
                    left: left as u64,
                });
            }
            // The section's length is a u32 of the header, so every offset in it fits.
            offsets.push(at as u32);
            at += needed;
        }
        Ok(Index { order, header, offsets })
    }
}

/// An unknown kind's element sizes, from the layout section that 7.x BTF may carry (`struct btf_layout`).
fn layout_of(layout: &[u8], kind: u8) -> Option<(usize, usize)> {
    let entry = layout.get(usize::from(kind) * 4..)?.first_chunk::<4>()?;
    (kind != 0).then(|| (usize::from(entry[0]), usize::from(entry[1])))
}

/// More than any name has that a kernel takes (`KSYM_NAME_LEN`, 512), and than a line of its log (1024).
pub(crate) const NAME_READ_MAX: usize = 1100;

/// BTF, read: its types by id, with its base's when it is split.
///
/// ```
/// # fn main() -> Result<(), kvet_btf::ParseError> {
/// let int = [
///     0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 0, 5, 0, 0, 0, // header
///     1, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 32, 0, 0, 1, // [1] INT
///     0, b'i', b'n', b't', 0,
/// ];
/// let btf = kvet_btf::Btf::parse(&int)?;
/// let ty = btf.get(kvet_btf::TypeId(1)).expect("one type");
/// assert_eq!((ty.kind(), btf.name(ty.name_off())), (kvet_btf::Kind::Int, &b"int"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Btf<'a> {
    data: &'a [u8],
    types: &'a [u8],
    strings: &'a [u8],
    index: Arc<Index>,
    base: Option<&'a Btf<'a>>,
    start_id: u32,
    start_str: u32,
}

impl<'a> Btf<'a> {
    /// Reads a base BTF: vmlinux's, a BPF object's, or a module's `.BTF.base`.
    ///
    /// # Errors
    /// As [`Index::new`].
    pub fn parse(data: &'a [u8]) -> Result<Btf<'a>, ParseError> {
        Ok(Btf::with_index(data, Arc::new(Index::new(data, false, 0)?)))
    }

    /// A base BTF whose types were found before, in the same bytes.
    pub fn with_index(data: &'a [u8], index: Arc<Index>) -> Btf<'a> {
        let header = index.header;
        Btf {
            data,
            types: header.section(data, header.type_off, header.type_len),
            strings: header.section(data, header.str_off, header.str_len),
            index,
            base: None,
            start_id: 0,
            start_str: 0,
        }
    }

    /// Reads split BTF: a module's, against its vmlinux's or its own distilled base.
    ///
    /// # Errors
    /// As [`Index::new`].
    pub fn parse_split(data: &'a [u8], base: &'a Btf<'a>) -> Result<Btf<'a>, ParseError> {
        let index = Index::new(data, true, base.type_count())?;
        Ok(Btf::split_with_index(data, Arc::new(index), base))
    }

    pub(crate) fn split_with_index(data: &'a [u8], index: Arc<Index>, base: &'a Btf<'a>) -> Btf<'a> {
        let mut btf = Btf::with_index(data, index);
        btf.start_id = base.type_count();
        btf.start_str = base.start_str.saturating_add(base.index.header.str_len);
        btf.base = Some(base);
        btf
    }

    /// The bytes.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.index.header
    }

    /// The byte order.
    pub fn byte_order(&self) -> ByteOrder {
        self.index.order
    }

    /// Where its types are, to be kept.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// The base that this one was split from.
    pub fn base(&self) -> Option<&'a Btf<'a>> {
        self.base
    }

    /// The first id of its own: 1, or for split BTF the number of its base's types.
    pub fn first_id(&self) -> u32 {
        if self.base.is_some() { self.start_id } else { 1 }
    }

    /// One more than the last id: the number of types with the base's and `void`.
    pub fn type_count(&self) -> u32 {
        self.start_id.saturating_add(self.index.offsets.len() as u32)
    }

    /// How many types this BTF itself holds.
    pub fn own_count(&self) -> u32 {
        self.type_count() - self.first_id().min(self.type_count())
    }

    /// The first string offset of its own.
    pub fn start_str(&self) -> u32 {
        self.start_str
    }

    /// The string section.
    pub fn strings(&self) -> &'a [u8] {
        self.strings
    }

    /// Whether it looks like the split part of some other BTF, which is not given: its string section does not begin
    /// with the empty string, and no fewer of its names lie past that section than in it. Without any string of its
    /// own, its references tell.
    ///
    /// Damage seldom makes such BTF: a base whose first string is overwritten still names its own strings.
    pub fn lacks_base(&self) -> bool {
        self.base.is_none() && self.strings.first() != Some(&0) && self.leads_past_itself()
    }

    /// Whether no fewer names lie past the string section than in it; without any string, whether a reference leads past
    /// the types.
    pub fn leads_past_itself(&self) -> bool {
        if self.strings.is_empty() {
            return self.types().any(|t| t.kind().has_type() && t.target().0 >= self.type_count());
        }
        let (mut here, mut past) = (0_u64, 0_u64);
        let mut see = |offset: u32| match offset as usize {
            0 => {}
            offset if offset < self.strings.len() => here += 1,
            _ => past += 1,
        };
        for t in self.types() {
            see(t.name_off());
            if t.kind().is_composite() {
                t.members().for_each(|m| see(m.name_off));
            }
        }
        past > 0 && past >= here
    }

    /// A type by id, here or in the base; `void` for 0, `None` past the end.
    #[inline]
    pub fn get(&self, id: TypeId) -> Option<Type<'a>> {
        if id.0 < self.start_id {
            return self.base?.get(id);
        }
        if id.0 == 0 {
            return Some(Type::void());
        }
        let offset = *self.index.offsets.get((id.0 - self.start_id) as usize)?;
        let bytes = self.types.get(offset as usize..)?;
        Some(Type { bytes, id: id.0, order: self.index.order })
    }

    /// Its own types in order of id.
    pub fn types(&self) -> impl ExactSizeIterator<Item = Type<'a>> + '_ {
        let first = usize::from(self.base.is_none());
        let start = self.start_id;
        self.index.offsets[first.min(self.index.offsets.len())..].iter().enumerate().map(
            move |(i, &offset)| Type {
                bytes: self.types.get(offset as usize..).unwrap_or(&[]),
                id: start + (i + first) as u32,
                order: self.index.order,
            },
        )
    }

    /// Where a type of its own stands, in bytes from the start of the BTF.
    pub fn offset_of(&self, id: TypeId) -> Option<u64> {
        let offset = *self.index.offsets.get(id.0.checked_sub(self.start_id)? as usize)?;
        let header = &self.index.header;
        Some(u64::from(header.hdr_len) + u64::from(header.type_off) + u64::from(offset))
    }

    /// The string at an offset, without its NUL; `None` when no string section holds the offset.
    #[inline]
    pub fn string(&self, offset: u32) -> Option<&'a [u8]> {
        if offset < self.start_str {
            return self.base?.string(offset);
        }
        let tail = self.strings.get((offset - self.start_str) as usize..)?;
        if tail.is_empty() {
            return None;
        }
        Some(names::until_nul(tail))
    }

    /// The name at an offset, empty when there is none there.
    ///
    /// Of what is longer than any name can be only the first `NAME_READ_MAX` bytes: otherwise many types that
    /// share one endless string would cost its length each. [`Btf::string`] gives all.
    #[inline]
    pub fn name(&self, offset: u32) -> &'a [u8] {
        let tail = self.string_tail(offset);
        names::until_nul(tail.get(..NAME_READ_MAX).unwrap_or(tail))
    }

    /// The string section from an offset on; empty past its end.
    pub(crate) fn string_tail(&self, offset: u32) -> &'a [u8] {
        if offset < self.start_str {
            return self.base.map_or(&[], |base| base.string_tail(offset));
        }
        self.strings.get((offset - self.start_str) as usize..).unwrap_or(&[])
    }

    /// A type's size in bytes, followed through modifiers and arrays; `None` for what has none, and for chains
    /// longer than the kernel follows (`btf_resolve_size`).
    pub fn size_of(&self, id: TypeId) -> Option<u64> {
        let (mut id, mut count) = (id, 1_u64);
        for _ in 0..32 {
            let t = self.get(id)?;
            match t.kind() {
                Kind::Ptr => return count.checked_mul(8),
                Kind::Array => {
                    let array = t.array();
                    count = count.checked_mul(u64::from(array.count))?;
                    id = array.element;
                }
                kind if kind.is_modifier() => id = t.target(),
                kind if kind.has_size() => return count.checked_mul(u64::from(t.size())),
                _ => return None,
            }
        }
        None
    }

    /// The name for a message: `(anon)` for none, other bytes than UTF-8 replaced, cut off where no name goes on.
    pub fn display_name(&self, offset: u32) -> String {
        if self.string_tail(offset).is_empty() {
            return "(invalid-name-offset)".to_owned();
        }
        match self.name(offset) {
            [] => "(anon)".to_owned(),
            name => String::from_utf8_lossy(name).into_owned(),
        }
    }
}

/// One type, where it stands in its section. The bytes run to the section's end; an [`Index`] has proved that
/// the type's own are there.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) id: u32,
    pub(crate) order: ByteOrder,
}

static VOID: [u8; TYPE_LEN] = [0; TYPE_LEN];

impl<'a> Type<'a> {
    pub(crate) fn void() -> Type<'static> {
        Type { bytes: &VOID, id: 0, order: ByteOrder::Little }
    }

    /// Its id.
    #[inline]
    pub fn id(&self) -> TypeId {
        TypeId(self.id)
    }

    #[inline]
    pub(crate) fn word(&self, at: usize) -> u32 {
        self.order.read(self.bytes, at)
    }

    /// The name's offset.
    #[inline]
    pub fn name_off(&self) -> u32 {
        self.word(0)
    }

    /// Kind, number of elements and kind flag in one word.
    #[inline]
    pub fn info(&self) -> u32 {
        self.word(4)
    }

    /// What it is; `Void` also for a kind that is not known.
    #[inline]
    pub fn kind(&self) -> Kind {
        Kind::from_number(info_kind(self.info())).unwrap_or(Kind::Void)
    }

    /// How many members, values, parameters or entries it has; for a function its linkage.
    #[inline]
    pub fn vlen(&self) -> u32 {
        info_vlen(self.info())
    }

    /// The kind flag: bit-field sizes in members, signed values in an enumeration, `union` in a forward
    /// declaration, an attribute in a tag.
    #[inline]
    pub fn kind_flag(&self) -> bool {
        self.info() >> 31 != 0
    }

    /// The third word as a size in bytes.
    #[inline]
    pub fn size(&self) -> u32 {
        self.word(8)
    }

    /// The third word as the id of the type it refers to.
    #[inline]
    pub fn target(&self) -> TypeId {
        TypeId(self.word(8))
    }

    /// An integer's encoding, bit offset and number of bits, as one word.
    #[inline]
    pub fn int_data(&self) -> u32 {
        self.word(TYPE_LEN)
    }

    /// A variable's linkage: 0 static, 1 global, 2 extern.
    #[inline]
    pub fn linkage(&self) -> u32 {
        self.word(TYPE_LEN)
    }

    /// A declaration tag's member or parameter; -1 for the whole type.
    #[inline]
    pub fn component(&self) -> i32 {
        self.word(TYPE_LEN) as i32
    }

    /// An array's element type, index type and number of elements.
    #[inline]
    pub fn array(&self) -> Array {
        Array {
            element: TypeId(self.word(TYPE_LEN)),
            index: TypeId(self.word(TYPE_LEN + 4)),
            count: self.word(TYPE_LEN + 8),
        }
    }

    /// The i-th group of three words after the type: a member, a DATASEC entry, an ENUM64 value.
    #[inline]
    pub(crate) fn triple(&self, i: u32) -> [u32; 3] {
        let at = TYPE_LEN + i as usize * 12;
        match self.bytes.get(at..).and_then(|tail| tail.first_chunk::<12>()) {
            Some(b) => [
                self.order.u32([b[0], b[1], b[2], b[3]]),
                self.order.u32([b[4], b[5], b[6], b[7]]),
                self.order.u32([b[8], b[9], b[10], b[11]]),
            ],
            None => [0; 3],
        }
    }

    /// The i-th pair of words after the type: a parameter, an ENUM value.
    #[inline]
    pub(crate) fn pair(&self, i: u32) -> [u32; 2] {
        let at = TYPE_LEN + i as usize * 8;
        match self.bytes.get(at..).and_then(|tail| tail.first_chunk::<8>()) {
            Some(b) => [self.order.u32([b[0], b[1], b[2], b[3]]), self.order.u32([b[4], b[5], b[6], b[7]])],
            None => [0; 2],
        }
    }

    /// A structure's or union's i-th member.
    #[inline]
    pub fn member(&self, i: u32) -> Member {
        let [name_off, target, offset] = self.triple(i);
        Member { name_off, target: TypeId(target), offset, split: self.kind_flag() }
    }

    /// A structure's or union's members.
    pub fn members(self) -> impl Iterator<Item = Member> + use<'a> {
        (0..self.vlen()).map(move |i| self.member(i))
    }

    /// A DATASEC's i-th entry.
    #[inline]
    pub fn entry(&self, i: u32) -> SecInfo {
        let [var, offset, size] = self.triple(i);
        SecInfo { var: TypeId(var), offset, size }
    }

    /// A DATASEC's entries.
    pub fn entries(self) -> impl Iterator<Item = SecInfo> + use<'a> {
        (0..self.vlen()).map(move |i| self.entry(i))
    }

    /// A prototype's i-th parameter.
    #[inline]
    pub fn param(&self, i: u32) -> Param {
        let [name_off, target] = self.pair(i);
        Param { name_off, target: TypeId(target) }
    }

    /// A prototype's parameters.
    pub fn params(self) -> impl Iterator<Item = Param> + use<'a> {
        (0..self.vlen()).map(move |i| self.param(i))
    }

    /// An ENUM's or ENUM64's i-th name and value, an ENUM's value sign-extended.
    #[inline]
    pub fn value(&self, i: u32) -> EnumValue {
        if self.kind() == Kind::Enum64 {
            let [name_off, low, high] = self.triple(i);
            EnumValue { name_off, bits: u64::from(high) << 32 | u64::from(low) }
        } else {
            let [name_off, value] = self.pair(i);
            EnumValue { name_off, bits: value as i32 as i64 as u64 }
        }
    }

    /// An ENUM's or ENUM64's names and values.
    pub fn values(self) -> impl Iterator<Item = EnumValue> + use<'a> {
        (0..self.vlen()).map(move |i| self.value(i))
    }
}

/// `struct btf_array`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Array {
    /// The type of its elements.
    pub element: TypeId,
    /// The type of its index.
    pub index: TypeId,
    /// How many elements.
    pub count: u32,
}

/// `struct btf_member`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// The name's offset.
    pub name_off: u32,
    /// Its type.
    pub target: TypeId,
    /// The raw offset word.
    pub offset: u32,
    pub(crate) split: bool,
}

impl Member {
    /// Where it begins, in bits from the structure's start.
    #[inline]
    pub fn bit_offset(&self) -> u32 {
        if self.split { self.offset & 0x00ff_ffff } else { self.offset }
    }

    /// Its size in bits when it is a bit field of a structure with the kind flag, else 0.
    #[inline]
    pub fn bitfield_size(&self) -> u32 {
        if self.split { self.offset >> 24 } else { 0 }
    }
}

/// `struct btf_var_secinfo`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SecInfo {
    /// The variable.
    pub var: TypeId,
    /// Where it begins, in bytes from the section's start.
    pub offset: u32,
    /// How many bytes it has.
    pub size: u32,
}

/// `struct btf_param`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param {
    /// The name's offset.
    pub name_off: u32,
    /// Its type; 0 in the last one stands for `...`.
    pub target: TypeId,
}

/// One name and value of an enumeration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EnumValue {
    /// The name's offset.
    pub name_off: u32,
    /// The value's 64 bits.
    pub bits: u64,
}
