//! Header, strings, layout and every type's own fields: what all of a kernel's doors check.

use std::borrow::Cow;
use std::sync::Arc;

use super::log::Log;
use super::{Errno, Options, Rules, sort};
use crate::Btf;
use crate::btf::{Index, Member, NAME_READ_MAX, SecInfo, Type};
use crate::header::Header;
use crate::names;
use crate::raw::{
    ByteOrder, HEADER_LEN, Kind, LONG_HEADER_LEN, MAGIC, MAX_NAME_OFFSET, MAX_TYPE, TYPE_LEN, VERSION,
};

/// Who asks: user space through bpf(2), or the kernel for itself, which logs less and on the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Load,
    Kernel,
}

/// Which of the verifier's passes is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Meta,
    Resolve,
    /// The special fields of BPF (`btf_parse_struct_metas`).
    Fields,
}

/// Where a check failed, which decides what the log says before the reason.
#[derive(Clone, Copy)]
pub(crate) enum Site<'a> {
    /// Nothing is logged.
    Silent,
    /// The reason alone.
    Plain,
    /// `[id] KIND name reason`.
    Basic(Type<'a>),
    /// `[id] KIND name details reason`.
    Details(Type<'a>),
    /// `\tname type_id=.. bits_offset=.. reason`, after its structure when that is not on the log already.
    Member(Type<'a>, Member),
    /// `\t type_id=.. offset=.. size=.. reason`, after its section when that is not on the log already.
    Entry(Type<'a>, SecInfo),
}

/// One failed check.
#[derive(Clone)]
pub(crate) struct Fail<'a> {
    pub(crate) errno: Errno,
    /// The id that the log names, which need not be the type's at [`Fail::site`].
    pub(crate) id: u32,
    pub(crate) site: Site<'a>,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) phase: Phase,
}

impl<'a> Fail<'a> {
    pub(crate) fn silent(errno: Errno) -> Fail<'a> {
        Fail { errno, id: 0, site: Site::Silent, reason: Cow::Borrowed(""), phase: Phase::Meta }
    }
}

/// The state of one run (`struct btf_verifier_env` and what it fills of `struct btf`).
pub(crate) struct Engine<'a> {
    data: &'a [u8],
    order: ByteOrder,
    rules: &'static Rules,
    traces: bool,
    mismatch_allowed: bool,
    mode: Mode,
    base: Option<&'a Btf<'a>>,
    header: Header,
    types: &'a [u8],
    strings: &'a [u8],
    pub(crate) start_id: u32,
    start_str: u32,
    offsets: Vec<u32>,
    room: u32,
    pub(crate) id: u32,
    pub(crate) phase: Phase,
    log: Log,
    index: Option<Arc<Index>>,
    /// Strict strength: failed checks are kept and the run goes on.
    pub(crate) kept: Option<Vec<Fail<'a>>>,
    names_seen: Vec<u64>,
    strings_accepted: bool,
    /// Strict strength: a type's length is not known, and nothing behind it was read.
    pub(crate) cut: bool,
}

/// How many failed checks strict strength keeps.
pub(crate) const KEEP_MAX: usize = 1000;

impl<'a> Engine<'a> {
    pub(crate) fn new(
        data: &'a [u8],
        base: Option<&'a Btf<'a>>,
        mode: Mode,
        options: &Options<'_>,
    ) -> Engine<'a> {
        Engine {
            data,
            order: options.order,
            rules: options.rules,
            traces: options.trace && mode == Mode::Load,
            mismatch_allowed: options.mismatch_allowed,
            mode,
            base,
            header: Header::default(),
            types: &[],
            strings: &[],
            start_id: base.map_or(0, Btf::type_count),
            start_str: base.map_or(0, |b| b.start_str().saturating_add(b.header().str_len)),
            offsets: Vec::new(),
            room: 0,
            id: 0,
            phase: Phase::Meta,
            log: Log::default(),
            index: None,
            kept: None,
            names_seen: Vec::new(),
            strings_accepted: false,
            cut: false,
        }
    }

    pub(crate) fn rules(&self) -> &'static Rules {
        self.rules
    }

    pub(crate) fn is_split(&self) -> bool {
        self.base.is_some()
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the header and the string section were accepted, so that types can be looked up.
    pub(crate) fn has_sections(&self) -> bool {
        self.strings_accepted
    }

    /// How many failed checks were kept so far.
    pub(crate) fn kept_count(&self) -> usize {
        self.kept.as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn take_log(self) -> Log {
        self.log
    }

    /// The types found so far, to be looked up by id.
    pub(crate) fn btf(&mut self) -> Btf<'a> {
        let index = self.take_index();
        match self.base {
            Some(base) => Btf::split_with_index(self.data, index, base),
            None => Btf::with_index(self.data, index),
        }
    }

    pub(crate) fn take_index(&mut self) -> Arc<Index> {
        if let Some(index) = &self.index {
            return Arc::clone(index);
        }
        let mut header = self.header;
        if !self.rules().layout_section || header.hdr_len < LONG_HEADER_LEN {
            (header.layout_off, header.layout_len) = (0, 0);
        }
        if self.offsets.is_empty() && self.base.is_none() {
            self.offsets.push(0);
        }
        let index = Arc::new(Index { order: self.order, header, offsets: std::mem::take(&mut self.offsets) });
        self.index = Some(Arc::clone(&index));
        index
    }

    /// Keeps a failed check and goes on, or ends the run with it.
    pub(crate) fn report(&mut self, fail: Fail<'a>) -> Result<(), Fail<'a>> {
        match &mut self.kept {
            Some(kept) if kept.len() < KEEP_MAX => {
                kept.push(fail);
                Ok(())
            }
            _ => Err(fail),
        }
    }

    pub(crate) fn fail(&self, site: Site<'a>, reason: impl Into<Cow<'static, str>>) -> Fail<'a> {
        Fail { errno: Errno::EINVAL, id: self.id, site, reason: reason.into(), phase: self.phase }
    }

    fn plain(&self, errno: Errno, reason: &'static str) -> Fail<'a> {
        Fail { errno, ..self.fail(Site::Plain, reason) }
    }

    // ---- header and sections ----

    /// What the kernel checks of its own BTF: `btf_parse_base`, and `btf_parse_module` up to relocation.
    pub(crate) fn own(&mut self) -> Result<(), Fail<'a>> {
        self.header()?;
        self.strings()?;
        self.metas()?;
        let btf = self.btf();
        self.chains(&btf)
    }

    /// `sizeof(struct btf_header)` of this version.
    fn header_size(&self) -> u32 {
        if self.rules().layout_section { LONG_HEADER_LEN } else { HEADER_LEN }
    }

    /// `btf_parse_hdr`.
    pub(crate) fn header(&mut self) -> Result<(), Fail<'a>> {
        // The kernel keeps the size in a u32; a file this long is refused before it is ever mapped.
        let Ok(size) = u32::try_from(self.data.len()) else { return Err(Fail::silent(Errno::E2BIG)) };
        if size < 8 {
            return Err(self.plain(Errno::EINVAL, "hdr_len not found"));
        }
        let hdr_len = self.order.read(self.data, 4);
        if size < hdr_len {
            return Err(self.plain(Errno::EINVAL, "btf_header not found"));
        }
        let known = self.header_size();
        if self.data.get(known as usize..hdr_len as usize).is_some_and(|more| more.iter().any(|&b| b != 0)) {
            return Err(self.plain(Errno::E2BIG, "Unsupported btf_header"));
        }
        self.header = Header::read(self.data, hdr_len.min(known) as usize, self.order);
        self.trace_header(size);
        let header = self.header;
        if header.magic != MAGIC {
            return Err(self.plain(Errno::EINVAL, "Invalid magic"));
        }
        if header.version != VERSION {
            return Err(self.plain(Errno::ENOTSUPP, "Unsupported version"));
        }
        if header.flags != 0 {
            return Err(self.plain(Errno::ENOTSUPP, "Unsupported flags"));
        }
        if !self.is_split() && size == header.hdr_len {
            return Err(self.plain(Errno::EINVAL, "No data"));
        }
        self.sections(size)?;
        self.types = header.section(self.data, header.type_off, header.type_len);
        self.strings = header.section(self.data, header.str_off, header.str_len);
        Ok(())
    }

    fn has_layout(&self) -> bool {
        self.rules().layout_section && self.header.hdr_len >= LONG_HEADER_LEN && self.header.layout_len != 0
    }

    /// `btf_check_sec_info`: sections follow each other without gap or overlap and fill the data.
    fn sections(&self, size: u32) -> Result<(), Fail<'a>> {
        let h = &self.header;
        let mut places = [(h.type_off, h.type_len), (h.str_off, h.str_len), (h.layout_off, h.layout_len)];
        let places = if self.has_layout() { &mut places[..] } else { &mut places[..2] };
        sort::sort(places, |a, b| match a.0.wrapping_sub(b.0) as i32 {
            0 => a.1.wrapping_sub(b.1) as i32,
            order => order,
        });
        let all = size - h.hdr_len;
        let mut total: u32 = 0;
        for &mut (off, len) in places {
            if all < off {
                return Err(self.plain(Errno::EINVAL, "Invalid section offset"));
            }
            if total < off {
                return Err(self.plain(Errno::EINVAL, "Unsupported section found"));
            }
            if total > off {
                return Err(self.plain(Errno::EINVAL, "Section overlap found"));
            }
            if all - total < len {
                return Err(self.plain(Errno::EINVAL, "Total section length too long"));
            }
            total += len;
        }
        if all != total {
            return Err(self.plain(Errno::EINVAL, "Unsupported section found"));
        }
        Ok(())
    }

    /// `btf_parse_str_sec`.
    pub(crate) fn strings(&mut self) -> Result<(), Fail<'a>> {
        let h = self.header;
        let end = u64::from(h.hdr_len) + u64::from(h.str_off) + u64::from(h.str_len);
        let must_end = !self.rules().layout_section || h.hdr_len < LONG_HEADER_LEN;
        if must_end && end != self.data.len() as u64 {
            return Err(self.plain(Errno::EINVAL, "String section is not at the end"));
        }
        if self.is_split() && h.str_len == 0 {
            self.strings_accepted = true;
            return Ok(());
        }
        let ends = self.strings.last() == Some(&0);
        if h.str_len == 0 || h.str_len - 1 > MAX_NAME_OFFSET || !ends {
            return Err(self.plain(Errno::EINVAL, "Invalid string section"));
        }
        if !self.is_split() && self.strings.first() != Some(&0) {
            return Err(self.plain(Errno::EINVAL, "Invalid string section"));
        }
        self.names_seen = vec![0; self.strings.len() / 64 + 1];
        self.strings_accepted = true;
        Ok(())
    }

    /// `btf_parse_layout_sec`.
    pub(crate) fn layout(&mut self) -> Result<(), Fail<'a>> {
        if !self.has_layout() {
            return Ok(());
        }
        let h = self.header;
        if !h.layout_off.is_multiple_of(4) {
            return Err(self.plain(Errno::EINVAL, "Unaligned layout_off"));
        }
        if h.layout_len < 4 {
            return Err(self.plain(Errno::EINVAL, "Layout section is too small"));
        }
        if !h.layout_len.is_multiple_of(4) {
            return Err(self.plain(Errno::EINVAL, "layout_len is not multiple of 4"));
        }
        if u64::from(h.hdr_len) + u64::from(h.layout_off) + u64::from(h.layout_len) > self.data.len() as u64 {
            return Err(self.plain(Errno::EINVAL, "Layout section is too big"));
        }
        Ok(())
    }

    /// `btf_parse_type_sec`, its first half.
    pub(crate) fn type_section(&mut self) -> Result<(), Fail<'a>> {
        if !self.header.type_off.is_multiple_of(4) {
            return Err(self.plain(Errno::EINVAL, "Unaligned type_off"));
        }
        if !self.is_split() && self.header.type_len == 0 {
            return Err(self.plain(Errno::EINVAL, "No type found"));
        }
        self.metas()
    }

    // ---- types ----

    /// `btf_check_all_metas`.
    pub(crate) fn metas(&mut self) -> Result<(), Fail<'a>> {
        self.phase = Phase::Meta;
        self.id = if self.is_split() { self.start_id } else { 1 };
        self.offsets.reserve(self.types.len() / 40 + 16);
        let mut at = 0;
        while at < self.types.len() {
            let t = Type { bytes: &self.types[at..], id: self.id, order: self.order };
            let len = match self.meta(t) {
                Ok(len) => len,
                Err(fail) => {
                    self.report(fail)?;
                    match self.step_over(t) {
                        Some(len) => len,
                        None => {
                            self.cut = true;
                            return Ok(());
                        }
                    }
                }
            };
            self.add(at as u32);
            at += len;
            self.id = self.id.wrapping_add(1);
        }
        Ok(())
    }

    /// For strict strength: how long a type is that failed a check, when that is still known.
    fn step_over(&self, t: Type<'a>) -> Option<usize> {
        let kind = Kind::from_number(self.kind_number(t)).filter(|&k| k != Kind::Void)?;
        // Bits that only newer kernels read make it another type for whoever looks at it later, and a longer one.
        if kind != t.kind() || self.vlen(t) != t.vlen() {
            return None;
        }
        let (fixed, each) = kind.tail();
        let len = TYPE_LEN + fixed + each * self.vlen(t) as usize;
        (t.bytes.len() >= TYPE_LEN && len <= t.bytes.len()).then_some(len)
    }

    /// `btf_add_type`, whose error its caller ignores: types past the last id are checked and forgotten.
    fn add(&mut self, at: u32) {
        let have = self.offsets.len() as u32;
        if self.room == have {
            if self.start_id.wrapping_add(self.room) == MAX_TYPE {
                if self.tracing() || self.mode == Mode::Kernel {
                    self.log.push(&[b"Exceeded max num of types"]);
                }
                return;
            }
            let more = (self.room >> 2).max(16);
            self.room = MAX_TYPE.min(self.room.saturating_add(more)).max(have + 1);
            if have == 0 && self.base.is_none() {
                self.offsets.push(0);
            }
        }
        self.offsets.push(at);
    }

    fn kind_number(&self, t: Type<'a>) -> u8 {
        (t.info() >> 24 & self.rules().kind_mask) as u8
    }

    fn vlen(&self, t: Type<'a>) -> u32 {
        t.info() & self.rules().vlen_mask
    }

    /// `btf_check_meta`; returns the type's length.
    fn meta(&mut self, t: Type<'a>) -> Result<usize, Fail<'a>> {
        let left = t.bytes.len();
        if left < TYPE_LEN {
            let reason = format!("[{}] meta_left:{left} meta_needed:{TYPE_LEN}", self.id);
            return Err(self.fail(Site::Plain, reason));
        }
        let info = t.info();
        if self.rules().info_mask.is_some_and(|mask| info & !mask != 0) {
            return Err(self.fail(Site::Plain, format!("[{}] Invalid btf_info:{info:x}", self.id)));
        }
        let number = self.kind_number(t);
        let kind = Kind::from_number(number)
            .filter(|&kind| kind != Kind::Void && number <= self.rules().kind_max)
            .ok_or_else(|| self.fail(Site::Plain, format!("[{}] Invalid kind:{number}", self.id)))?;
        if !self.name_offset_valid(t.name_off()) {
            let reason = format!("[{}] Invalid name_offset:{}", self.id, t.name_off());
            return Err(self.fail(Site::Plain, reason));
        }
        let left = left - TYPE_LEN;
        let (fixed, each) = kind.tail();
        let needed = fixed + each * self.vlen(t) as usize;
        if left < needed {
            let reason = format!("meta_left:{left} meta_needed:{needed}");
            return Err(self.fail(Site::Basic(t), reason));
        }
        self.kind_meta(t, kind)?;
        Ok(TYPE_LEN + needed)
    }

    /// The `check_meta` operation of each kind.
    fn kind_meta(&mut self, t: Type<'a>, kind: Kind) -> Result<(), Fail<'a>> {
        match kind {
            Kind::Int => self.int_meta(t),
            Kind::Ptr | Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                self.reference_meta(t, kind)
            }
            Kind::Fwd => self.fwd_meta(t),
            Kind::Array => self.array_meta(t),
            Kind::Struct | Kind::Union => self.struct_meta(t, kind),
            Kind::Enum | Kind::Enum64 => self.enum_meta(t, kind),
            Kind::FuncProto => self.func_proto_meta(t),
            Kind::Func => self.func_meta(t),
            Kind::Var => self.var_meta(t),
            Kind::Datasec => self.datasec_meta(t),
            Kind::Float => self.float_meta(t),
            Kind::DeclTag => self.decl_tag_meta(t),
            Kind::Void => Ok(()),
        }
    }

    fn wrong<T>(&self, t: Type<'a>, reason: &'static str) -> Result<T, Fail<'a>> {
        Err(self.fail(Site::Details(t), reason))
    }

    fn no_vlen(&self, t: Type<'a>) -> Result<(), Fail<'a>> {
        if self.vlen(t) != 0 { self.wrong(t, "vlen != 0") } else { Ok(()) }
    }

    fn no_kind_flag(&self, t: Type<'a>) -> Result<(), Fail<'a>> {
        if t.kind_flag() { self.wrong(t, "Invalid btf_info kind_flag") } else { Ok(()) }
    }

    fn int_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        self.no_vlen(t)?;
        self.no_kind_flag(t)?;
        let data = t.int_data();
        if data & !0x0fff_ffff != 0 {
            return Err(self.fail(Site::Basic(t), format!("Invalid int_data:{data:x}")));
        }
        let bits = int_bits(data) + int_offset(data);
        if bits > 128 {
            return self.wrong(t, "nr_bits exceeds 128");
        }
        if bits.div_ceil(8) > t.size() {
            return self.wrong(t, "nr_bits exceeds type_size");
        }
        if !matches!(int_encoding(data), 0 | 1 | 2 | 4) {
            return Err(Fail {
                errno: Errno::ENOTSUPP,
                ..self.fail(Site::Details(t), "Unsupported encoding")
            });
        }
        self.trace(t);
        Ok(())
    }

    fn reference_meta(&mut self, t: Type<'a>, kind: Kind) -> Result<(), Fail<'a>> {
        self.no_vlen(t)?;
        if kind != Kind::TypeTag || self.rules().tag_kind_flag_refused {
            self.no_kind_flag(t)?;
        }
        if t.target().0 > MAX_TYPE {
            return self.wrong(t, "Invalid type_id");
        }
        let named = match kind {
            Kind::Typedef => t.name_off() != 0 && self.is_identifier(t.name_off()),
            Kind::TypeTag => self.has_text(t.name_off()),
            _ => t.name_off() == 0,
        };
        if !named {
            return self.wrong(t, "Invalid name");
        }
        self.trace(t);
        Ok(())
    }

    fn fwd_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        self.no_vlen(t)?;
        if t.target().0 != 0 {
            return self.wrong(t, "type != 0");
        }
        if t.name_off() == 0 || !self.is_identifier(t.name_off()) {
            return self.wrong(t, "Invalid name");
        }
        self.trace(t);
        Ok(())
    }

    fn array_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        if t.name_off() != 0 {
            return self.wrong(t, "Invalid name");
        }
        self.no_vlen(t)?;
        self.no_kind_flag(t)?;
        if t.size() != 0 {
            return self.wrong(t, "size != 0");
        }
        let array = t.array();
        if array.element.0 == 0 || array.element.0 > MAX_TYPE {
            return self.wrong(t, "Invalid elem");
        }
        if array.index.0 == 0 || array.index.0 > MAX_TYPE {
            return self.wrong(t, "Invalid index");
        }
        self.trace(t);
        Ok(())
    }

    fn struct_meta(&mut self, t: Type<'a>, kind: Kind) -> Result<(), Fail<'a>> {
        if t.name_off() != 0 && !self.is_identifier(t.name_off()) {
            return self.wrong(t, "Invalid name");
        }
        self.trace(t);
        let size = t.size();
        let mut last = 0;
        for i in 0..self.vlen(t) {
            let member = t.member(i);
            if let Err(reason) = self.member_meta(kind, size, last, member) {
                let fail = self.fail(Site::Member(t, member), reason);
                self.report(fail)?;
                continue;
            }
            self.trace_member(t, member);
            last = member.bit_offset();
        }
        Ok(())
    }

    fn member_meta(&mut self, kind: Kind, size: u32, last: u32, m: Member) -> Result<(), Cow<'static, str>> {
        if !self.name_offset_valid(m.name_off) {
            return Err(format!("Invalid member name_offset:{}", m.name_off).into());
        }
        if m.name_off != 0 && !self.is_identifier(m.name_off) {
            return Err("Invalid name".into());
        }
        if m.target.0 == 0 || m.target.0 > MAX_TYPE {
            return Err("Invalid type_id".into());
        }
        let offset = m.bit_offset();
        if (kind == Kind::Union && offset != 0) || last > offset {
            return Err("Invalid member bits_offset".into());
        }
        if offset.div_ceil(8) > size {
            return Err("Member bits_offset exceeds its struct size".into());
        }
        Ok(())
    }

    fn enum_meta(&mut self, t: Type<'a>, kind: Kind) -> Result<(), Fail<'a>> {
        if kind == Kind::Enum && self.rules().enum_kind_flag_refused {
            self.no_kind_flag(t)?;
        }
        if t.size() > 8 || !t.size().is_power_of_two() {
            return self.wrong(t, "Unexpected size");
        }
        if t.name_off() != 0 && !self.is_identifier(t.name_off()) {
            return self.wrong(t, "Invalid name");
        }
        self.trace(t);
        for i in 0..self.vlen(t) {
            let value = t.value(i);
            if !self.name_offset_valid(value.name_off) {
                let fail = self.fail(Site::Plain, format!("\tInvalid name_offset:{}", value.name_off));
                self.report(fail)?;
                continue;
            }
            if value.name_off == 0 || !self.is_identifier(value.name_off) {
                let fail = self.fail(Site::Details(t), "Invalid name");
                self.report(fail)?;
                continue;
            }
            self.trace_value(t, kind, value.name_off, value.bits);
        }
        Ok(())
    }

    fn func_proto_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        if t.name_off() != 0 {
            return self.wrong(t, "Invalid name");
        }
        self.no_kind_flag(t)?;
        self.trace(t);
        Ok(())
    }

    fn func_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        if t.name_off() == 0 || !self.is_identifier(t.name_off()) {
            return self.wrong(t, "Invalid name");
        }
        if self.vlen(t) > 1 {
            return self.wrong(t, "Invalid func linkage");
        }
        self.no_kind_flag(t)?;
        self.trace(t);
        Ok(())
    }

    fn var_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        self.no_vlen(t)?;
        self.no_kind_flag(t)?;
        if t.name_off() == 0 || !self.is_identifier(t.name_off()) {
            return self.wrong(t, "Invalid name");
        }
        if t.target().0 == 0 || t.target().0 > MAX_TYPE {
            return self.wrong(t, "Invalid type_id");
        }
        if t.linkage() > 1 {
            return self.wrong(t, "Linkage not supported");
        }
        self.trace(t);
        Ok(())
    }

    fn datasec_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        if t.size() == 0 {
            return self.wrong(t, "size == 0");
        }
        if self.rules().datasec_needs_entries && self.vlen(t) == 0 {
            return self.wrong(t, "vlen == 0");
        }
        self.no_kind_flag(t)?;
        if t.name_off() == 0 || !self.is_section_name(t.name_off()) {
            return self.wrong(t, "Invalid name");
        }
        self.trace(t);
        let size = u64::from(t.size());
        let (mut end, mut sum) = (0, 0);
        for i in 0..self.vlen(t) {
            let entry = t.entry(i);
            let (offset, len) = (u64::from(entry.offset), u64::from(entry.size));
            let reason = if entry.var.0 == 0 || entry.var.0 > MAX_TYPE {
                Some("Invalid type_id")
            } else if offset < end || offset >= size {
                Some("Invalid offset")
            } else if len == 0 || len > size {
                Some("Invalid size")
            } else if u64::from(entry.offset.wrapping_add(entry.size)) > size {
                Some("Invalid offset+size")
            } else {
                None
            };
            if let Some(reason) = reason {
                let fail = self.fail(Site::Entry(t, entry), reason);
                self.report(fail)?;
                continue;
            }
            // The kernel adds two u32 here and only then widens.
            end = u64::from(entry.offset.wrapping_add(entry.size));
            sum += len;
            self.trace_entry(entry);
        }
        if size < sum {
            return self.wrong(t, "Invalid btf_info size");
        }
        Ok(())
    }

    fn float_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        self.no_vlen(t)?;
        self.no_kind_flag(t)?;
        if !matches!(t.size(), 2 | 4 | 8 | 12 | 16) {
            return self.wrong(t, "Invalid type_size");
        }
        self.trace(t);
        Ok(())
    }

    fn decl_tag_meta(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        if !self.has_text(t.name_off()) {
            return self.wrong(t, "Invalid value");
        }
        self.no_vlen(t)?;
        if self.rules().tag_kind_flag_refused {
            self.no_kind_flag(t)?;
        }
        if t.component() < -1 {
            return self.wrong(t, "Invalid component_idx");
        }
        self.trace(t);
        Ok(())
    }

    /// `btf_check_type_tags`, `btf_check_modifier_chain_length`: chains of modifiers end, and soon.
    pub(crate) fn chains(&mut self, btf: &Btf<'a>) -> Result<(), Fail<'a>> {
        if !self.rules().checks_chains {
            return Ok(());
        }
        let first = btf.first_id();
        let mut good = i64::from(first) - 1;
        for start in btf.types() {
            if !start.kind().is_modifier() {
                continue;
            }
            if let Err(fail) = self.chain(btf, start, good) {
                self.report(fail)?;
            }
            good = i64::from(start.id);
        }
        Ok(())
    }

    fn chain(&self, btf: &Btf<'a>, start: Type<'a>, good: i64) -> Result<(), Fail<'a>> {
        let mut t = start;
        let mut in_tags = t.kind() == Kind::TypeTag;
        let mut limit = 32;
        let broken = |errno, reason| Fail { id: start.id, ..self.plain(errno, reason) };
        while t.kind().is_modifier() {
            if limit == 0 {
                return Err(broken(Errno::ELOOP, "Max chain length or cycle detected"));
            }
            limit -= 1;
            if self.rules().tags_first {
                let tag = t.kind() == Kind::TypeTag;
                if tag && !in_tags {
                    return Err(broken(Errno::EINVAL, "Type tags don't precede modifiers"));
                }
                in_tags &= tag;
            }
            if i64::from(t.id) <= good {
                break;
            }
            t = btf.get(t.target()).ok_or(Fail { id: start.id, ..Fail::silent(Errno::EINVAL) })?;
        }
        Ok(())
    }

    // ---- names ----

    /// `btf_name_offset_valid`.
    #[inline]
    pub(crate) fn name_offset_valid(&self, offset: u32) -> bool {
        if offset > MAX_NAME_OFFSET {
            return false;
        }
        match self.base {
            Some(base) if offset < self.start_str => !base.string_tail(offset).is_empty(),
            _ => ((offset - self.start_str.min(offset)) as usize) < self.strings.len(),
        }
    }

    #[inline]
    fn tail(&self, offset: u32) -> &'a [u8] {
        match self.base {
            Some(base) if offset < self.start_str => base.string_tail(offset),
            _ => self.strings.get((offset - self.start_str.min(offset)) as usize..).unwrap_or(&[]),
        }
    }

    /// Whether the string at an offset has a character.
    fn has_text(&self, offset: u32) -> bool {
        self.tail(offset).first().is_some_and(|&c| c != 0)
    }

    /// `btf_name_valid_identifier`. Most names stand for many things (`flags`), so good ones are remembered.
    #[inline]
    pub(crate) fn is_identifier(&mut self, offset: u32) -> bool {
        let limit = self.rules().name_limit;
        let (word, bit) = match offset.checked_sub(self.start_str) {
            Some(own) => (own as usize / 64, 1_u64 << (own % 64)),
            None => return names::is_identifier(self.tail(offset), limit),
        };
        if self.names_seen.get(word).is_some_and(|seen| seen & bit != 0) {
            return true;
        }
        let good = names::is_identifier(self.tail(offset), limit);
        if good && let Some(seen) = self.names_seen.get_mut(word) {
            *seen |= bit;
        }
        good
    }

    /// `btf_name_valid_section`.
    fn is_section_name(&mut self, offset: u32) -> bool {
        if self.rules().printable_sections {
            names::is_printable(self.tail(offset), self.rules().name_limit)
        } else {
            self.is_identifier(offset)
        }
    }

    /// `__btf_name_by_offset`.
    fn log_name(&self, offset: u32) -> &'a [u8] {
        match offset {
            0 => b"(anon)",
            _ if self.tail(offset).is_empty() => b"(invalid-name-offset)",
            _ => names::until_nul(self.tail(offset).get(..NAME_READ_MAX).unwrap_or(self.tail(offset))),
        }
    }

    // ---- the log ----

    fn tracing(&self) -> bool {
        self.traces
    }

    /// Whether the log leaves out what belongs to a type or member (`__btf_verifier_log_type`).
    fn muted(&self) -> bool {
        self.mode == Mode::Kernel
            && self.is_split()
            && self.mismatch_allowed
            && self.rules().mismatch_is_silent
    }

    /// Logs a failed check.
    pub(crate) fn emit(&mut self, fail: &Fail<'a>) {
        match fail.site {
            Site::Silent => {}
            Site::Plain => self.log.push(&[fail.reason.as_bytes()]),
            Site::Basic(t) => self.emit_type(fail.id, t, false, &fail.reason),
            Site::Details(t) => self.emit_type(fail.id, t, true, &fail.reason),
            Site::Member(t, member) => {
                if self.muted() {
                    return;
                }
                if fail.phase == Phase::Resolve && self.mode == Mode::Load {
                    self.emit_type(fail.id, t, true, "");
                }
                self.emit_member(member, t.kind_flag(), &fail.reason);
            }
            Site::Entry(t, entry) => {
                if fail.phase == Phase::Resolve && self.mode == Mode::Load {
                    self.emit_type(fail.id, t, true, "");
                }
                self.emit_entry(entry, &fail.reason);
            }
        }
    }

    fn emit_reason(&mut self, reason: &str) {
        if !reason.is_empty() {
            self.log.push(&[b" "]);
            self.log.push(&[reason.as_bytes()]);
        }
        self.log.push(&[b"\n"]);
    }

    fn emit_type(&mut self, id: u32, t: Type<'a>, details: bool, reason: &str) {
        if self.muted() {
            return;
        }
        let kind = Kind::from_number(self.kind_number(t)).unwrap_or(Kind::Void);
        let name = self.log_name(t.name_off());
        let blank: &[u8] = if details { b" " } else { b"" };
        self.log.push(&[format!("[{id}] {} ", kind.as_str()).as_bytes(), name, blank]);
        if details {
            self.emit_details(t, kind);
        }
        self.emit_reason(reason);
    }

    /// The `log_details` operation of each kind.
    fn emit_details(&mut self, t: Type<'a>, kind: Kind) {
        let log = &mut self.log;
        match kind {
            Kind::Int => {
                let data = t.int_data();
                log.push_fmt(format_args!(
                    "size={} bits_offset={} nr_bits={} encoding={}",
                    t.size(),
                    int_offset(data),
                    int_bits(data),
                    encoding_name(int_encoding(data)),
                ));
            }
            Kind::Fwd => log.push(&[if t.kind_flag() { b"union" } else { b"struct" }]),
            Kind::Array => {
                let a = t.array();
                log.push_fmt(format_args!(
                    "type_id={} index_type_id={} nr_elems={}",
                    a.element.0, a.index.0, a.count
                ));
            }
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Datasec => {
                let vlen = t.info() & self.rules.vlen_mask;
                log.push_fmt(format_args!("size={} vlen={vlen}", t.size()));
            }
            Kind::Float => log.push_fmt(format_args!("size={}", t.size())),
            Kind::Var => log.push_fmt(format_args!("type_id={} linkage={}", t.target().0, t.linkage())),
            Kind::DeclTag => {
                log.push_fmt(format_args!("type={} component_idx={}", t.target().0, t.component()));
            }
            Kind::FuncProto => self.emit_prototype(t),
            _ => log.push_fmt(format_args!("type_id={}", t.target().0)),
        }
    }

    /// `btf_func_proto_log`.
    fn emit_prototype(&mut self, t: Type<'a>) {
        let count = self.vlen(t);
        self.log.push_fmt(format_args!("return={} args=(", t.target().0));
        let variadic = |i: u32| i + 1 == count && t.param(i).target.0 == 0;
        if count == 0 {
            self.log.push(&[b"void"]);
        }
        for i in 0..count {
            let param = t.param(i);
            let comma: &[u8] = if i == 0 { b"" } else { b", " };
            if variadic(i) {
                self.log.push(&[comma, b"vararg"]);
            } else {
                let name = self.log_name(param.name_off);
                self.log.push(&[comma, format!("{} ", param.target.0).as_bytes(), name]);
            }
        }
        self.log.push(&[b")"]);
    }

    fn emit_member(&mut self, member: Member, kind_flag: bool, reason: &str) {
        let name = self.log_name(member.name_off);
        let details = if kind_flag {
            format!(
                " type_id={} bitfield_size={} bits_offset={}",
                member.target.0,
                member.bitfield_size(),
                member.bit_offset()
            )
        } else {
            format!(" type_id={} bits_offset={}", member.target.0, member.offset)
        };
        self.log.push(&[b"\t", name, details.as_bytes()]);
        self.emit_reason(reason);
    }

    fn emit_entry(&mut self, entry: SecInfo, reason: &str) {
        self.log
            .push_fmt(format_args!("\t type_id={} offset={} size={}", entry.var.0, entry.offset, entry.size));
        self.emit_reason(reason);
    }

    fn trace_header(&mut self, size: u32) {
        if !self.traces {
            return;
        }
        let h = self.header;
        let long = self.rules().layout_section && h.hdr_len >= LONG_HEADER_LEN && size >= h.hdr_len;
        let log = &mut self.log;
        log.push_fmt(format_args!("magic: 0x{:x}\n", h.magic));
        log.push_fmt(format_args!("version: {}\n", h.version));
        log.push_fmt(format_args!("flags: 0x{:x}\n", h.flags));
        log.push_fmt(format_args!("hdr_len: {}\n", h.hdr_len));
        log.push_fmt(format_args!("type_off: {}\n", h.type_off));
        log.push_fmt(format_args!("type_len: {}\n", h.type_len));
        log.push_fmt(format_args!("str_off: {}\n", h.str_off));
        log.push_fmt(format_args!("str_len: {}\n", h.str_len));
        if long {
            log.push_fmt(format_args!("layout_off: {}\n", h.layout_off));
            log.push_fmt(format_args!("layout_len: {}\n", h.layout_len));
        }
        log.push_fmt(format_args!("btf_total_size: {size}\n"));
    }

    #[inline]
    fn trace(&mut self, t: Type<'a>) {
        if self.tracing() {
            self.emit_type(t.id, t, true, "");
        }
    }

    #[inline]
    fn trace_member(&mut self, t: Type<'a>, member: Member) {
        if self.tracing() {
            self.emit_member(member, t.kind_flag(), "");
        }
    }

    #[inline]
    fn trace_entry(&mut self, entry: SecInfo) {
        if self.tracing() {
            self.emit_entry(entry, "");
        }
    }

    #[inline]
    fn trace_value(&mut self, t: Type<'a>, kind: Kind, name_off: u32, bits: u64) {
        if !self.tracing() {
            return;
        }
        let signed = t.kind_flag() || self.rules().enum_values_signed;
        let number = match (kind, signed) {
            (Kind::Enum64, false) => bits.to_string(),
            (_, true) => (bits as i64).to_string(),
            (_, false) => (bits as u32).to_string(),
        };
        let name = self.log_name(name_off);
        self.log.push(&[b"\t", name, b" val=", number.as_bytes(), b"\n"]);
    }
}

/// `BTF_INT_BITS`.
pub(crate) fn int_bits(data: u32) -> u32 {
    data & 0xff
}

/// `BTF_INT_OFFSET`.
pub(crate) fn int_offset(data: u32) -> u32 {
    data >> 16 & 0xff
}

/// `BTF_INT_ENCODING`.
pub(crate) fn int_encoding(data: u32) -> u32 {
    data >> 24 & 0x0f
}

/// `btf_int_encoding_str`.
fn encoding_name(encoding: u32) -> &'static str {
    match encoding {
        0 => "(none)",
        1 => "SIGNED",
        2 => "CHAR",
        4 => "BOOL",
        _ => "UNKN",
    }
}
