//! A C header with every type, in an order that compiles: what `bpftool btf dump ... format c` writes.
//!
//! C wants a type defined before it is embedded, and declared before it is pointed to. So definitions are
//! put in order first, depth first, and written then, with forward declarations where a pointer comes before
//! what it points to. Order and wording follow libbpf's, so that headers can be compared.
//!
//! Recursion is bounded by [`DEPTH_MAX`] and output by [`OUTPUT_PER_INPUT`]; BTF that a compiler wrote comes
//! near neither.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;

use super::DumpError;
use super::out::Out;
use crate::btf::{Btf, Type};
use crate::raw::{Kind, TypeId};

/// How deep definitions may nest and references lead on. A kernel's reach 40.
const DEPTH_MAX: u32 = 400;
/// An unnamed structure is written wherever it is used: damaged BTF could use it without end.
const OUTPUT_PER_INPUT: u64 = 64;
const POINTER: u32 = 8;

const BEGIN: &str = "#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

";
const END: &str = "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
";

/// Writes a BTF's types as C.
///
/// # Errors
/// Writing fails, or the types refer to nothing or to themselves.
pub fn c(btf: &Btf<'_>, to: &mut dyn Write) -> Result<(), DumpError> {
    let mut dumper = Dumper::new(btf, to)?;
    dumper.out.text(BEGIN);
    for id in 1..btf.type_count() {
        dumper.order(id, false, 0)?;
        let queue = std::mem::take(&mut dumper.queue);
        for &next in &queue {
            dumper.emit(next, 0, 0)?;
        }
        dumper.queue = queue;
        dumper.queue.clear();
        dumper.out.turn()?;
    }
    dumper.out.text(END);
    dumper.out.flush()?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Progress {
    #[default]
    Not,
    Doing,
    Done,
}

#[derive(Clone, Copy, Default)]
struct State {
    order: Progress,
    emit: Progress,
    declared: bool,
    named: bool,
    referenced: bool,
    /// Alignment in bytes, once known; 0 is unknown.
    align: u8,
    /// Which use of its name this is, from the second on.
    copy: u32,
}

struct Dumper<'b, 'a, 'w> {
    btf: &'b Btf<'a>,
    out: Out<'w>,
    limit: u64,
    states: Vec<State>,
    queue: Vec<u32>,
    /// Declarators from the outermost to the innermost type, of all declarations under way.
    chain: Vec<u32>,
    types: Names<'a>,
    idents: Names<'a>,
}

type Names<'a> = HashMap<&'a [u8], u32, Seed>;

/// Names are short and many, and may be chosen by an enemy: a keyed folded multiplication, which costs half of
/// the standard hasher and lets nobody choose names that collide without knowing the key.
#[derive(Clone)]
struct Seed {
    start: u64,
    key: u64,
}

impl Default for Seed {
    fn default() -> Seed {
        let random = RandomState::new();
        Seed { start: random.hash_one(0), key: random.hash_one(1) | 1 }
    }
}

impl BuildHasher for Seed {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold { state: self.start, key: self.key }
    }
}

struct Fold {
    state: u64,
    key: u64,
}

impl Fold {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        self.state = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        // The rest is read together with bytes before it: the length, which is hashed as well, tells them apart.
        let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
        match (rest, bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            ([], ..) => {}
            (_, Some(last), ..) => self.mix(u64::from_le_bytes(*last)),
            (_, None, Some(first), Some(last)) => self.mix(half(first) << 32 | half(last)),
            (few, ..) => self.mix(few.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))),
        }
    }
    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64);
    }
    fn finish(&self) -> u64 {
        self.state
    }
}

type Done = Result<(), DumpError>;

impl<'b, 'a, 'w> Dumper<'b, 'a, 'w> {
    fn new(btf: &'b Btf<'a>, to: &'w mut dyn Write) -> Result<Self, DumpError> {
        let mut dumper = Dumper {
            btf,
            out: Out::new(to),
            limit: (btf.data().len() as u64 + btf.base().map_or(0, |b| b.data().len() as u64) + 4096)
                * OUTPUT_PER_INPUT,
            states: vec![State::default(); btf.type_count() as usize],
            queue: Vec::new(),
            chain: Vec::new(),
            types: Names::with_capacity_and_hasher(btf.own_count() as usize / 8, Seed::default()),
            idents: Names::with_capacity_and_hasher(btf.own_count() as usize / 2, Seed::default()),
        };
        dumper.mark_referenced()?;
        Ok(dumper)
    }

    fn get(&self, id: u32) -> Result<Type<'a>, DumpError> {
        self.btf.get(TypeId(id)).ok_or(DumpError::NoC { id, why: "there is no such type" })
    }

    fn state(&mut self, id: u32) -> &mut State {
        // Every id was looked up with get() or comes from the range of ids.
        &mut self.states[id as usize]
    }

    fn refer(&mut self, id: TypeId) {
        if let Some(state) = self.states.get_mut(id.0 as usize) {
            state.referenced = true;
        }
    }

    /// An unnamed enumeration that nothing refers to is one of constants, and written by itself.
    fn mark_referenced(&mut self) -> Done {
        for id in 1..self.btf.type_count() {
            let t = self.get(id)?;
            match t.kind() {
                Kind::Array => {
                    self.refer(t.array().element);
                    self.refer(t.array().index);
                }
                Kind::Struct | Kind::Union => t.members().for_each(|m| self.refer(m.target)),
                Kind::FuncProto => t.params().for_each(|p| self.refer(p.target)),
                Kind::Datasec => t.entries().for_each(|e| self.refer(e.var)),
                kind if kind.has_type() => self.refer(t.target()),
                _ => {}
            }
        }
        Ok(())
    }

    // ---- order ----

    /// Most are done already: that is asked before the type is read.
    #[inline]
    fn is_ordered(&self, id: u32) -> bool {
        self.states.get(id as usize).is_some_and(|s| s.order == Progress::Done)
    }

    #[inline]
    fn is_emitted(&self, id: u32) -> bool {
        self.states.get(id as usize).is_some_and(|s| s.emit == Progress::Done)
    }

    /// Queues what has to be written for a type. Returns whether it has to be complete where it is used
    /// (a strong link), rather than only declared.
    fn order(&mut self, id: u32, through_pointer: bool, depth: u32) -> Result<bool, DumpError> {
        if self.is_ordered(id) {
            return Ok(true);
        }
        let t = self.get(id)?;
        match self.state(id).order {
            Progress::Done => return Ok(true),
            Progress::Doing if t.kind().is_composite() && through_pointer && t.name_off() != 0 => {
                return Ok(false);
            }
            Progress::Doing => return Err(DumpError::NoC { id, why: "it contains itself" }),
            Progress::Not => {}
        }
        if depth > DEPTH_MAX {
            return Err(DumpError::NoC { id, why: "types lead on from it without end" });
        }
        let depth = depth + 1;
        match t.kind() {
            Kind::Ptr => {
                let strong = self.order(t.target().0, true, depth)?;
                self.state(id).order = Progress::Done;
                Ok(strong)
            }
            Kind::Array => self.order(t.array().element.0, false, depth),
            Kind::Struct | Kind::Union => self.order_composite(t, through_pointer, depth),
            Kind::Enum | Kind::Enum64 | Kind::Fwd => {
                if t.name_off() != 0 || !self.state(id).referenced {
                    self.queue.push(id);
                }
                self.state(id).order = Progress::Done;
                Ok(true)
            }
            Kind::Typedef => {
                let strong = self.order(t.target().0, through_pointer, depth)?;
                if through_pointer && !strong {
                    return Ok(false);
                }
                self.queue.push(id);
                self.state(id).order = Progress::Done;
                Ok(true)
            }
            Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                self.order(t.target().0, through_pointer, depth)
            }
            Kind::FuncProto => {
                let mut strong = self.order(t.target().0, through_pointer, depth)?;
                for param in t.params() {
                    strong |= self.order(param.target.0, through_pointer, depth)?;
                }
                Ok(strong)
            }
            // void needs no definition, so it is always there already.
            _ if id == 0 => Ok(true),
            _ => {
                self.state(id).order = Progress::Done;
                Ok(false)
            }
        }
    }

    fn order_composite(&mut self, t: Type<'a>, through_pointer: bool, depth: u32) -> Result<bool, DumpError> {
        let named = t.name_off() != 0;
        if through_pointer && named {
            return Ok(false);
        }
        let id = t.id().0;
        self.state(id).order = Progress::Doing;
        for member in t.members() {
            let target = member.target.0;
            if !self.is_ordered(target) {
                self.order(target, false, depth)?;
            }
        }
        if named {
            self.queue.push(id);
        }
        self.state(id).order = Progress::Done;
        Ok(true)
    }

    // ---- definitions ----

    /// Writes a type's definition, or inside a definition (`within` is its id) what has to be declared
    /// before it.
    fn emit(&mut self, id: u32, within: u32, depth: u32) -> Done {
        if self.is_emitted(id) {
            return Ok(());
        }
        let t = self.get(id)?;
        match self.state(id).emit {
            Progress::Done => return Ok(()),
            Progress::Doing => return self.emit_again(t, within),
            Progress::Not => {}
        }
        if depth > DEPTH_MAX {
            return Err(DumpError::NoC { id, why: "types lead on from it without end" });
        }
        let depth = depth + 1;
        let top = within == 0;
        match t.kind() {
            Kind::Int => {
                self.missing_alias(t);
                self.state(id).emit = Progress::Done;
            }
            Kind::Enum | Kind::Enum64 => {
                if top {
                    self.enumeration(t, 0);
                    self.out.text(";\n\n");
                }
                self.state(id).emit = Progress::Done;
            }
            Kind::Fwd => {
                self.forward(t);
                self.out.text(";\n\n");
                self.state(id).emit = Progress::Done;
            }
            Kind::Typedef => {
                self.state(id).emit = Progress::Doing;
                self.emit(t.target().0, id, depth)?;
                if !self.state(id).declared && !self.is_builtin(t) {
                    self.typedef(t)?;
                }
                self.state(id).emit = Progress::Done;
            }
            Kind::Struct | Kind::Union => self.emit_composite(t, within, depth)?,
            Kind::Array => self.emit(t.array().element.0, within, depth)?,
            Kind::FuncProto => {
                self.emit(t.target().0, within, depth)?;
                for param in t.params() {
                    self.emit(param.target.0, within, depth)?;
                }
            }
            Kind::Ptr | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => {
                self.emit(t.target().0, within, depth)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A type whose definition is under way is referred to again: it needs a declaration now.
    fn emit_again(&mut self, t: Type<'a>, within: u32) -> Done {
        let id = t.id().0;
        if self.state(id).declared {
            return Ok(());
        }
        match t.kind() {
            Kind::Struct | Kind::Union => {
                if id == within || t.name_off() == 0 {
                    return Ok(());
                }
                self.declare(t);
            }
            Kind::Typedef => {
                if !self.is_builtin(t) {
                    self.typedef(t)?;
                }
                self.state(id).declared = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn emit_composite(&mut self, t: Type<'a>, within: u32, depth: u32) -> Done {
        let id = t.id().0;
        let (top, named) = (within == 0, t.name_off() != 0);
        self.state(id).emit = Progress::Doing;
        if top || !named {
            let within = if named { id } else { within };
            for member in t.members() {
                let target = member.target.0;
                if !self.is_emitted(target) {
                    self.emit(target, within, depth)?;
                }
            }
        } else if !self.state(id).declared && id != within {
            self.declare(t);
        }
        if top {
            self.composite(t, 0, 0)?;
            self.out.text(";\n\n");
        }
        self.state(id).emit = if top { Progress::Done } else { Progress::Not };
        Ok(())
    }

    fn declare(&mut self, t: Type<'a>) {
        self.composite_name(t);
        self.out.text(";\n\n");
        self.state(t.id().0).declared = true;
    }

    /// `__builtin_va_list` is the compiler's own.
    fn is_builtin(&self, t: Type<'_>) -> bool {
        self.btf.name(t.name_off()) == b"__builtin_va_list"
    }

    /// GCC's names for vectors of polynomials stand in BTF without a definition.
    fn missing_alias(&mut self, t: Type<'a>) {
        let meaning = match self.btf.name(t.name_off()) {
            b"__Poly8_t" => "unsigned char",
            b"__Poly16_t" => "unsigned short",
            b"__Poly64_t" => "unsigned long long",
            b"__Poly128_t" => "unsigned __int128",
            _ => return,
        };
        self.out.text("typedef ");
        self.out.text(meaning);
        self.out.text(" ");
        self.type_name(t);
        self.out.text(";\n\n");
    }

    fn typedef(&mut self, t: Type<'a>) -> Done {
        let name = self.ident_name(t);
        if t.target().0 == 0 && *name == *b"__gnuc_va_list" {
            self.out.text("typedef __builtin_va_list __gnuc_va_list");
        } else {
            self.out.text("typedef ");
            self.declaration(t.target().0, &name, 0, 0)?;
        }
        self.out.text(";\n\n");
        Ok(())
    }

    fn forward(&mut self, t: Type<'a>) {
        self.out.text(if t.kind_flag() { "union " } else { "struct " });
        self.type_name(t);
    }

    fn composite_name(&mut self, t: Type<'a>) {
        self.out.text(if t.kind() == Kind::Struct { "struct" } else { "union" });
        if t.name_off() != 0 {
            self.out.text(" ");
            self.type_name(t);
        }
    }

    fn composite(&mut self, t: Type<'a>, level: usize, depth: u32) -> Done {
        if depth > DEPTH_MAX || self.out.len() > self.limit {
            return Err(DumpError::NoC { id: t.id().0, why: "unnamed types nest without end" });
        }
        let is_struct = t.kind() == Kind::Struct;
        let align = self.align(t.id().0, 0);
        // An alignment above 1 says that all members are aligned and that the size is a multiple of it.
        let packed = is_struct && align <= 1 && self.is_packed(t);
        self.composite_name(t);
        self.out.text(" {");
        let mut at: i64 = 0;
        let mut after_bits = false;
        for member in t.members() {
            let (offset, bits) = (i64::from(member.bit_offset()), i64::from(member.bitfield_size()));
            if at < offset {
                let member_align = if packed { 1 } else { self.align(member.target.0, 0) };
                self.padding(at, offset, member_align, after_bits && bits != 0, level + 1);
            }
            self.new_line(level + 1);
            self.declaration(member.target.0, self.btf.name(member.name_off), level + 1, depth + 1)?;
            if bits != 0 {
                self.out.text(": ");
                self.out.signed(bits);
                at = offset + bits;
            } else {
                let size = self.btf.size_of(member.target).unwrap_or(0);
                at = offset.saturating_add(i64::try_from(size).unwrap_or(0).saturating_mul(8));
            }
            after_bits = bits != 0;
            self.out.text(";");
        }
        if is_struct {
            self.padding(at, i64::from(t.size()) * 8, align, false, level + 1);
        }
        if t.vlen() != 0 || t.size() != 0 {
            self.new_line(level);
        }
        self.out.text("}");
        if packed {
            self.out.text(" __attribute__((packed))");
        }
        Ok(())
    }

    fn new_line(&mut self, level: usize) {
        self.out.text("\n");
        for _ in 0..level {
            self.out.text("\t");
        }
    }

    /// Unnamed bit fields that fill the gap before a member, in the largest type that fits.
    fn padding(&mut self, from: i64, to: i64, align: u32, in_bits: bool, level: usize) {
        const PADS: [(&str, i64); 4] = [("long", 64), ("int", 32), ("short", 16), ("char", 8)];
        if from >= to {
            return;
        }
        let up = |n: i64, to: i64| (n + to - 1) / to * to;
        let (mut name, mut size, mut start) = ("char", 8, from);
        for (pad, bits) in PADS {
            (name, size, start) = (pad, bits, up(from, bits));
            if start <= to {
                break;
            }
        }
        let mut at = from;
        if start > from && start <= to {
            let aligned = up(from, i64::from(align.max(1)) * 8) == start;
            if in_bits || (start == to && !aligned) || (start != to && to - start <= start - from) {
                self.pad(name, if in_bits { start - from } else { 0 }, level);
            }
            at = start;
        }
        // A hole of more than a page of such lines is written as one array of bytes would be: no compiler
        // makes it, and a damaged size must not fill the disk.
        while at != to {
            if self.out.len() > self.limit {
                return;
            }
            let rest = (to - at).min(size);
            if rest == size {
                self.pad(name, size, level);
                at += rest;
                continue;
            }
            if let Some(&(small, bits)) = PADS.iter().rev().find(|(_, bits)| *bits >= rest) {
                (name, size) = (small, bits);
                self.pad(small, rest, level);
            }
            at += rest;
        }
    }

    fn pad(&mut self, name: &str, bits: i64, level: usize) {
        self.new_line(level);
        self.out.text(name);
        self.out.text(": ");
        self.out.signed(bits);
        self.out.text(";");
    }

    /// A member does not stand where its alignment wants it, or the size is no multiple of the alignment.
    fn is_packed(&mut self, t: Type<'a>) -> bool {
        let mut most = 1;
        for member in t.members() {
            let align = self.align(member.target.0, 0);
            if align != 0 && member.bitfield_size() == 0 && member.offset % (8 * align) != 0 {
                return true;
            }
            most = most.max(align);
        }
        !t.size().is_multiple_of(most)
    }

    /// Alignment in bytes; 0 for what has none.
    fn align(&mut self, id: u32, depth: u32) -> u32 {
        match self.states.get(id as usize) {
            Some(state) if state.align != 0 => return u32::from(state.align),
            _ => {}
        }
        let Ok(t) = self.get(id) else { return 0 };
        if depth > DEPTH_MAX {
            return 0;
        }
        let depth = depth + 1;
        let align = match t.kind() {
            Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Float => t.size().min(POINTER),
            Kind::Ptr => POINTER,
            Kind::Array => self.align(t.array().element.0, depth),
            Kind::Struct | Kind::Union => self.composite_align(t, depth),
            kind if kind.is_modifier() => self.align(t.target().0, depth),
            _ => 0,
        };
        self.state(id).align = align as u8;
        align
    }

    fn composite_align(&mut self, t: Type<'a>, depth: u32) -> u32 {
        let mut most = 1;
        for member in t.members() {
            let align = self.align(member.target.0, depth);
            if align == 0 {
                return 0;
            }
            most = most.max(align);
            if member.bitfield_size() == 0 && member.offset % (8 * align) != 0 {
                return 1;
            }
        }
        if !t.size().is_multiple_of(most) { 1 } else { most }
    }

    fn enumeration(&mut self, t: Type<'a>, level: usize) {
        self.out.text("enum");
        if t.name_off() != 0 {
            self.out.text(" ");
            self.type_name(t);
        }
        if t.vlen() == 0 {
            return;
        }
        self.out.text(" {");
        let wide = t.kind() == Kind::Enum64;
        for value in t.values() {
            let name = self.btf.name(value.name_off);
            self.new_line(level + 1);
            self.out.bytes(name);
            let copy = count(&mut self.idents, name);
            self.suffix(copy);
            self.out.text(" = ");
            match (t.kind_flag(), wide) {
                (true, _) => self.out.signed(value.bits as i64),
                (false, true) => self.out.number(value.bits),
                (false, false) => self.out.number(u64::from(value.bits as u32)),
            }
            if wide {
                self.out.text(if t.kind_flag() { "LL" } else { "ULL" });
            }
            self.out.text(",");
        }
        self.new_line(level);
        self.out.text("}");
    }

    // ---- declarators ----

    /// A declaration of a name. Most are of a named type or of a pointer to one, and need no chain.
    fn declaration(&mut self, id: u32, name: &[u8], level: usize, depth: u32) -> Done {
        let t = self.get(id)?;
        if t.kind() == Kind::Ptr {
            let target = self.get(t.target().0)?;
            if self.plain_name(target) {
                self.out.text(" *");
                self.out.bytes(name);
                return Ok(());
            }
        } else if self.plain_name(t) {
            self.name(name, false);
            return Ok(());
        }
        self.long_declaration(id, name, level, depth)
    }

    /// Writes a type that C names by a word or two; says whether it is such a type.
    fn plain_name(&mut self, t: Type<'a>) -> bool {
        match t.kind() {
            Kind::Int | Kind::Float => self.out.bytes(self.btf.name(t.name_off())),
            Kind::Typedef => {
                let name = self.ident_name(t);
                self.out.bytes(&name);
            }
            Kind::Struct | Kind::Union if t.name_off() != 0 => self.composite_name(t),
            Kind::Enum | Kind::Enum64 if t.name_off() != 0 => {
                self.out.text("enum ");
                self.type_name(t);
            }
            Kind::Void if t.id().0 == 0 => self.out.text("void"),
            _ => return false,
        }
        true
    }

    /// Any declaration: the chain of types is followed to the one that C begins with, and written from there.
    fn long_declaration(&mut self, id: u32, name: &[u8], level: usize, depth: u32) -> Done {
        let start = self.chain.len();
        let mut next = id;
        loop {
            let t = self.get(next)?;
            self.chain.push(next);
            next = match t.kind() {
                Kind::Ptr
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::FuncProto
                | Kind::TypeTag => t.target().0,
                Kind::Array => t.array().element.0,
                _ => break,
            };
            if self.chain.len() - start > DEPTH_MAX as usize {
                return Err(DumpError::NoC { id, why: "types lead on from it without end" });
            }
        }
        let result = self.declarators(start, name, level, depth);
        self.chain.truncate(start);
        result
    }

    fn peek(&self, start: usize) -> Option<Type<'a>> {
        let top = self.chain.get(start..)?.last()?;
        self.btf.get(TypeId(*top))
    }

    /// Qualifiers that C writes before the type.
    fn qualifiers(&mut self, start: usize) {
        while let Some(t) = self.peek(start) {
            let word = match t.kind() {
                Kind::Volatile => "volatile ",
                Kind::Const => "const ",
                Kind::Restrict => "restrict ",
                _ => return,
            };
            self.out.text(word);
            self.chain.pop();
        }
    }

    /// Qualifiers of arrays and functions, which compilers put there and C has no place for.
    fn drop_qualifiers(&mut self, start: usize) {
        while let Some(t) = self.peek(start) {
            if !matches!(t.kind(), Kind::Volatile | Kind::Const | Kind::Restrict) {
                return;
            }
            self.chain.pop();
        }
    }

    fn declarators(&mut self, start: usize, name: &[u8], level: usize, depth: u32) -> Done {
        if depth > DEPTH_MAX {
            return Err(DumpError::NoC { id: 0, why: "declarations nest without end" });
        }
        let mut after_pointer = true;
        while self.chain.len() > start {
            let Some(id) = self.chain.pop() else { break };
            let t = self.get(id)?;
            match t.kind() {
                Kind::Int | Kind::Float => {
                    self.qualifiers(start);
                    self.out.bytes(self.btf.name(t.name_off()));
                }
                Kind::Struct | Kind::Union => {
                    self.qualifiers(start);
                    if t.name_off() == 0 {
                        self.composite(t, level, depth + 1)?;
                    } else {
                        self.composite_name(t);
                    }
                }
                Kind::Enum | Kind::Enum64 => {
                    self.qualifiers(start);
                    if t.name_off() == 0 {
                        self.enumeration(t, level);
                    } else {
                        self.out.text("enum ");
                        self.type_name(t);
                    }
                }
                Kind::Fwd => {
                    self.qualifiers(start);
                    self.forward(t);
                }
                Kind::Typedef => {
                    self.qualifiers(start);
                    let name = self.ident_name(t);
                    self.out.bytes(&name);
                }
                Kind::Ptr => self.out.text(if after_pointer { "*" } else { " *" }),
                Kind::Volatile => self.out.text(" volatile"),
                Kind::Const => self.out.text(" const"),
                Kind::Restrict => self.out.text(" restrict"),
                Kind::TypeTag => {
                    self.qualifiers(start);
                    let name = self.btf.name(t.name_off());
                    // With the kind flag (6.15) the tag is any attribute of GCC or clang.
                    let (begin, end) = match t.kind_flag() {
                        true => (" __attribute__((", "))"),
                        false => (" __attribute__((btf_type_tag(\"", "\")))"),
                    };
                    self.out.text(begin);
                    self.out.bytes(name);
                    self.out.text(end);
                }
                Kind::Array => return self.array(t, start, name, level, depth, after_pointer),
                Kind::FuncProto => return self.function(t, start, name, level, depth, after_pointer),
                Kind::Void if id == 0 => {
                    self.qualifiers(start);
                    self.out.text("void");
                }
                _ => return Err(DumpError::NoC { id, why: "it stands where C wants a type" }),
            }
            after_pointer = t.kind() == Kind::Ptr;
        }
        self.name(name, after_pointer);
        Ok(())
    }

    fn name(&mut self, name: &[u8], after_pointer: bool) {
        if !name.is_empty() && !after_pointer {
            self.out.text(" ");
        }
        self.out.bytes(name);
    }

    fn array(
        &mut self,
        t: Type<'a>,
        start: usize,
        name: &[u8],
        level: usize,
        depth: u32,
        after_pointer: bool,
    ) -> Done {
        self.drop_qualifiers(start);
        match self.peek(start) {
            None => self.name(name, after_pointer),
            Some(inner) => {
                let parentheses = inner.kind() != Kind::Array;
                if !name.is_empty() && !after_pointer {
                    self.out.text(" ");
                }
                if parentheses {
                    self.out.text("(");
                }
                self.declarators(start, name, level, depth + 1)?;
                if parentheses {
                    self.out.text(")");
                }
            }
        }
        self.out.text("[");
        self.out.number(u64::from(t.array().count));
        self.out.text("]");
        Ok(())
    }

    fn function(
        &mut self,
        t: Type<'a>,
        start: usize,
        name: &[u8],
        level: usize,
        depth: u32,
        after_pointer: bool,
    ) -> Done {
        self.drop_qualifiers(start);
        if self.chain.len() > start {
            self.out.text(" (");
            self.declarators(start, name, level, depth + 1)?;
            self.out.text(")");
        } else {
            self.name(name, after_pointer);
        }
        self.out.text("(");
        let count = t.vlen();
        if count == 0 || (count == 1 && t.param(0).target.0 == 0) {
            self.out.text("void)");
            return Ok(());
        }
        for (i, param) in t.params().enumerate() {
            if i > 0 {
                self.out.text(", ");
            }
            if i as u32 + 1 == count && param.target.0 == 0 {
                self.out.text("...");
                break;
            }
            self.declaration(param.target.0, self.btf.name(param.name_off), level, depth + 1)?;
        }
        self.out.text(")");
        Ok(())
    }

    // ---- names ----

    /// A structure's, union's or enumeration's name; the second of a name gets `___2`.
    fn type_name(&mut self, t: Type<'a>) {
        let name = self.btf.name(t.name_off());
        self.out.bytes(name);
        let state = &mut self.states[t.id().0 as usize];
        if !state.named {
            let counts = t.kind() != Kind::Fwd && (t.kind() != Kind::Enum || t.vlen() != 0);
            state.copy = if counts { count(&mut self.types, name) } else { 0 };
            state.named = true;
        }
        let copy = state.copy;
        self.suffix(copy);
    }

    fn suffix(&mut self, copy: u32) {
        if copy > 1 {
            self.out.text("___");
            self.out.number(u64::from(copy));
        }
    }

    /// A typedef's name, which shares its space with enumerators.
    fn ident_name(&mut self, t: Type<'a>) -> std::borrow::Cow<'a, [u8]> {
        let name = self.btf.name(t.name_off());
        let state = &mut self.states[t.id().0 as usize];
        if !state.named {
            state.copy = count(&mut self.idents, name);
            state.named = true;
        }
        match state.copy {
            0 | 1 => name.into(),
            copy => [name, b"___", copy.to_string().as_bytes()].concat().into(),
        }
    }
}

/// Which use of a name this is.
fn count<'a>(names: &mut Names<'a>, name: &'a [u8]) -> u32 {
    let uses = names.entry(name).or_insert(0);
    *uses += 1;
    *uses
}
