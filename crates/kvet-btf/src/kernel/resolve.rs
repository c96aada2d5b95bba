//! The resolve phase: every reference leads to something, nothing contains itself, members fit.
//!
//! `btf_check_all_types` runs for BTF that is loaded with bpf(2), never for a kernel's own; strict strength
//! runs it on all. It is a depth-first walk with a stack of 32 and three modes, which decide at what a walk
//! may stop; which types a fault is blamed on follows from that, so the walk is done as the kernel does it.

use super::engine::{Engine, Fail, Phase, Site, int_bits, int_offset};
use super::{Errno, Rules};
use crate::Btf;
use crate::btf::{Member, SecInfo, Type};
use crate::raw::{Kind, TypeId};

/// `MAX_RESOLVE_DEPTH`.
const MAX_DEPTH: usize = 32;
/// `sizeof(void *)` of every kernel that kvet knows.
const POINTER: u32 = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    New,
    Visited,
    Resolved,
    /// Strict strength only: it failed and was reported; what refers to it is not blamed again.
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    Undecided,
    Pointer,
    Aggregate,
}

struct Vertex<'a> {
    t: Type<'a>,
    next_member: u32,
}

/// What each type resolved to: the concrete type's id, and an array's size in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    start: u32,
    ids: Vec<u32>,
    sizes: Vec<u32>,
    states: Vec<State>,
}

impl Resolved {
    fn slot(&self, id: u32) -> Option<usize> {
        id.checked_sub(self.start).map(|i| i as usize)
    }
}

struct Walker<'a, 'e> {
    engine: &'e mut Engine<'a>,
    btf: &'e Btf<'a>,
    base: Option<&'e Resolved>,
    own: Resolved,
    stack: Vec<Vertex<'a>>,
    walk: Walk,
    /// Which types of its own are known to do as parts of prototypes: most prototypes are made of few types.
    parts: Vec<bool>,
}

/// `btf_check_all_types`; for split BTF, whose base is resolved already, what no kernel does.
pub(crate) fn resolve_split<'a>(
    engine: &mut Engine<'a>,
    btf: &Btf<'a>,
    base: Option<&Resolved>,
) -> Result<Resolved, Fail<'a>> {
    let start = if btf.base().is_some() { btf.first_id() } else { 0 };
    let count = (btf.type_count() - start) as usize;
    let own = Resolved { start, ids: vec![0; count], sizes: vec![0; count], states: vec![State::New; count] };
    let mut walker = Walker {
        engine,
        btf,
        base,
        own,
        stack: Vec::with_capacity(MAX_DEPTH),
        walk: Walk::Undecided,
        parts: vec![false; count],
    };
    walker.engine.phase = Phase::Resolve;
    for t in btf.types() {
        walker.engine.id = t.id;
        if walker.needs_resolve(t) && !walker.is_resolved(t.id) && !walker.resolve_at_once(t) {
            walker.resolve(t)?;
        }
        walker.engine.id = t.id;
        match t.kind() {
            Kind::FuncProto => walker.func_proto(t)?,
            Kind::Func if !walker.rules().func_resolves => {
                if let Err(fail) = walker.func_check(t) {
                    walker.engine.report(fail)?;
                }
            }
            _ => {}
        }
    }
    Ok(walker.own)
}

fn is_struct(t: Type<'_>) -> bool {
    t.kind().is_composite()
}

fn is_void(t: Type<'_>) -> bool {
    t.id == 0
}

/// `btf_type_nosize`.
fn has_no_size(t: Type<'_>) -> bool {
    matches!(t.kind(), Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto | Kind::DeclTag)
}

/// `btf_type_is_resolve_source_only`.
fn source_only(t: Type<'_>) -> bool {
    matches!(t.kind(), Kind::Var | Kind::DeclTag | Kind::Datasec)
}

/// `btf_type_int_is_regular`: a whole number of bytes, a power of two, up to 16.
fn int_is_regular(t: Type<'_>) -> bool {
    let data = t.int_data();
    matches!(int_bits(data), 8 | 16 | 32 | 64 | 128) && int_offset(data) == 0
}

/// How one step of a walk ended, when it did not fail.
enum Step<'a> {
    /// The vertex on top is done: its concrete type and size.
    Done(u32, u32),
    /// It has to wait for another type.
    Wait(Type<'a>),
    /// Strict strength: it rests on a type that failed.
    Blocked,
}

type StepResult<'a> = Result<Step<'a>, Fail<'a>>;

impl<'a> Walker<'a, '_> {
    fn rules(&self) -> &'static Rules {
        self.engine.rules()
    }

    fn get(&self, id: u32) -> Option<Type<'a>> {
        self.btf.get(TypeId(id))
    }

    fn fail<T>(&self, site: Site<'a>, reason: &'static str) -> Result<T, Fail<'a>> {
        Err(self.engine.fail(site, reason))
    }

    /// `btf_type_needs_resolve`.
    fn needs_resolve(&self, t: Type<'_>) -> bool {
        match t.kind() {
            Kind::Func => self.rules().func_resolves,
            Kind::Ptr
            | Kind::Struct
            | Kind::Union
            | Kind::Array
            | Kind::Var
            | Kind::DeclTag
            | Kind::Datasec => true,
            kind => kind.is_modifier(),
        }
    }

    fn state(&self, id: u32) -> State {
        match self.own.slot(id) {
            Some(i) => self.own.states.get(i).copied().unwrap_or(State::New),
            None => State::Resolved,
        }
    }

    /// `env_type_is_resolved`, and in strict strength what will never be.
    fn is_resolved(&self, id: u32) -> bool {
        matches!(self.state(id), State::Resolved | State::Failed)
    }

    fn failed(&self, id: u32) -> bool {
        self.state(id) == State::Failed
    }

    /// `env_type_is_resolve_sink`.
    fn is_sink(&self, t: Type<'_>) -> bool {
        let kind = t.kind();
        match self.walk {
            Walk::Undecided => !self.needs_resolve(t),
            Walk::Pointer => !kind.is_modifier() && kind != Kind::Ptr,
            Walk::Aggregate => !kind.is_modifier() && kind != Kind::Array && !kind.is_composite(),
        }
    }

    fn must_wait(&self, t: Type<'_>) -> bool {
        !self.is_sink(t) && !self.is_resolved(t.id)
    }

    fn resolved_id(&self, id: u32) -> u32 {
        match (self.own.slot(id), self.base) {
            (Some(i), _) => self.own.ids.get(i).copied().unwrap_or(0),
            (None, Some(base)) => base.ids.get(id as usize).copied().unwrap_or(0),
            (None, None) => 0,
        }
    }

    fn resolved_size(&self, id: u32) -> u32 {
        match (self.own.slot(id), self.base) {
            (Some(i), _) => self.own.sizes.get(i).copied().unwrap_or(0),
            (None, Some(base)) => base.sizes.get(id as usize).copied().unwrap_or(0),
            (None, None) => 0,
        }
    }

    /// `btf_type_id_size`: the sized type that an id stands for, and its size.
    fn sized(&self, id: u32) -> Option<(Type<'a>, u32)> {
        self.get(id).and_then(|t| self.sized_end(t))
    }

    /// [`Walker::sized`] of a type that is at hand.
    #[inline]
    fn sized_end(&self, t: Type<'a>) -> Option<(Type<'a>, u32)> {
        if has_no_size(t) {
            return None;
        }
        self.size_of(t).or_else(|| {
            let t = self.get(self.resolved_id(t.id)).filter(|&t| !has_no_size(t))?;
            self.size_of(t)
        })
    }

    fn size_of(&self, t: Type<'a>) -> Option<(Type<'a>, u32)> {
        match t.kind() {
            kind if kind.has_size() => Some((t, t.size())),
            Kind::Array => Some((t, self.resolved_size(t.id))),
            Kind::Ptr => Some((t, POINTER)),
            _ => None,
        }
    }

    /// `env_stack_push`.
    fn push(&mut self, t: Type<'a>) -> Result<(), Errno> {
        if self.stack.len() == MAX_DEPTH {
            return Err(Errno::E2BIG);
        }
        if self.state(t.id) != State::New {
            return Err(Errno::EEXIST);
        }
        self.set(t.id, State::Visited);
        self.stack.push(Vertex { t, next_member: 0 });
        if self.walk == Walk::Undecided {
            match t.kind() {
                Kind::Ptr => self.walk = Walk::Pointer,
                Kind::Struct | Kind::Union | Kind::Array => self.walk = Walk::Aggregate,
                _ => {}
            }
        }
        Ok(())
    }

    fn set(&mut self, id: u32, state: State) {
        if let Some(slot) = self.own.slot(id).and_then(|i| self.own.states.get_mut(i)) {
            *slot = state;
        }
    }

    fn pop(&mut self, state: State, id: u32, size: u32) {
        if let Some(vertex) = self.stack.pop() {
            self.finish(vertex.t.id, state, id, size);
        }
    }

    fn finish(&mut self, of: u32, state: State, id: u32, size: u32) {
        self.set(of, state);
        if let Some(i) = self.own.slot(of) {
            if let Some(slot) = self.own.ids.get_mut(i) {
                *slot = id;
            }
            if let Some(slot) = self.own.sizes.get_mut(i) {
                *slot = size;
            }
        }
    }

    /// `btf_resolve`; in strict strength a failure is reported and the walk given up.
    fn resolve(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        let saved = self.engine.id;
        let result = self.walk_from(t);
        self.engine.id = saved;
        if let Err(fail) = result {
            self.engine.report(fail)?;
            while let Some(vertex) = self.stack.pop() {
                self.set(vertex.t.id, State::Failed);
            }
            self.set(t.id, State::Failed);
        }
        Ok(())
    }

    /// Pointers and modifiers whose target needs no more work, which most are, without the stack. What does not end
    /// well here is left as it was, for the walk.
    fn resolve_at_once(&mut self, t: Type<'a>) -> bool {
        let step = match t.kind() {
            Kind::Ptr => {
                self.walk = Walk::Pointer;
                self.ptr(t)
            }
            kind if kind.is_modifier() => {
                self.walk = Walk::Undecided;
                self.modifier(t)
            }
            _ => return false,
        };
        let Ok(Step::Done(id, size)) = step else { return false };
        self.finish(t.id, State::Resolved, id, size);
        let good = self.is_valid(t);
        if !good {
            self.finish(t.id, State::New, 0, 0);
        }
        good
    }

    fn walk_from(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        self.walk = Walk::Undecided;
        let mut pushed = self.push(t);
        while let (Ok(()), Some(top)) = (pushed, self.stack.last()) {
            let (top, next) = (top.t, top.next_member);
            self.engine.id = top.id;
            match self.step(top, next)? {
                Step::Done(id, size) => self.pop(State::Resolved, id, size),
                Step::Blocked => self.pop(State::Failed, 0, 0),
                Step::Wait(next) => pushed = self.push(next),
            }
        }
        self.engine.id = t.id;
        match pushed {
            Err(Errno::E2BIG) => Err(Fail {
                errno: Errno::E2BIG,
                ..self.engine.fail(Site::Details(t), "Exceeded max resolving depth:32")
            }),
            Err(errno) => Err(Fail { errno, ..self.engine.fail(Site::Details(t), "Loop detected") }),
            Ok(()) if self.failed(t.id) || self.is_valid(t) => Ok(()),
            Ok(()) => self.fail(Site::Details(t), "Invalid resolve state"),
        }
    }

    /// The `resolve` operation of each kind.
    fn step(&mut self, t: Type<'a>, next_member: u32) -> StepResult<'a> {
        match t.kind() {
            Kind::Ptr => self.ptr(t),
            Kind::Array => self.array(t),
            Kind::Struct | Kind::Union => self.composite(t, next_member),
            Kind::Var => self.var(t),
            Kind::Datasec => self.datasec(t, next_member),
            Kind::DeclTag => self.decl_tag(t),
            Kind::Func => self.func_check(t).map(|()| Step::Done(t.target().0, 0)),
            kind if kind.is_modifier() => self.modifier(t),
            _ => self.fail(Site::Basic(t), "Unsupported resolve"),
        }
    }

    fn referenced(&self, t: Type<'a>) -> Result<Type<'a>, Fail<'a>> {
        match self.btf.get(t.target()) {
            Some(next) if !source_only(next) => Ok(next),
            _ => self.fail(Site::Details(t), "Invalid type_id"),
        }
    }

    fn modifier(&self, t: Type<'a>) -> StepResult<'a> {
        let next = self.referenced(t)?;
        if self.must_wait(next) {
            return Ok(Step::Wait(next));
        }
        if self.failed(next.id) {
            return Ok(Step::Blocked);
        }
        self.concrete_or_opaque(t, next)
    }

    /// What a modifier or pointer ends at: a sized type, or void, a forward declaration, a prototype.
    fn concrete_or_opaque(&self, t: Type<'a>, next: Type<'a>) -> StepResult<'a> {
        if let Some((sized, _)) = self.sized_end(next) {
            return Ok(Step::Done(sized.id, 0));
        }
        let mut id = next.id;
        let mut end = Some(next);
        if self.is_resolved(id) {
            id = self.resolved_id(id);
            end = self.get(id);
        }
        match end {
            Some(end) if is_void(end) || matches!(end.kind(), Kind::Fwd | Kind::FuncProto) => {
                Ok(Step::Done(id, 0))
            }
            _ => self.fail(Site::Details(t), "Invalid type_id"),
        }
    }

    /// A modifier may have been resolved no further than to a pointer that still waits.
    fn pending_pointer(&self, next: Type<'a>) -> Option<Type<'a>> {
        if !next.kind().is_modifier() {
            return None;
        }
        let end = self.get(self.resolved_id(next.id))?;
        (end.kind() == Kind::Ptr && self.must_wait(end)).then_some(end)
    }

    fn ptr(&self, t: Type<'a>) -> StepResult<'a> {
        let next = self.referenced(t)?;
        if self.must_wait(next) {
            return Ok(Step::Wait(next));
        }
        if self.failed(next.id) {
            return Ok(Step::Done(next.id, 0));
        }
        if let Some(end) = self.pending_pointer(next) {
            return Ok(Step::Wait(end));
        }
        self.concrete_or_opaque(t, next)
    }

    fn var(&self, t: Type<'a>) -> StepResult<'a> {
        let next = self.referenced(t)?;
        if self.must_wait(next) {
            return Ok(Step::Wait(next));
        }
        if self.failed(next.id) {
            return Ok(Step::Blocked);
        }
        if let Some(end) = self.pending_pointer(next) {
            return Ok(Step::Wait(end));
        }
        match self.sized_end(next) {
            Some((sized, _)) => Ok(Step::Done(sized.id, 0)),
            None => self.fail(Site::Details(t), "Invalid type_id"),
        }
    }

    fn array(&self, t: Type<'a>) -> StepResult<'a> {
        let array = t.array();
        let part = |id: TypeId, reason| match self.btf.get(id) {
            Some(part) if !has_no_size(part) && !source_only(part) => Ok(part),
            _ => self.fail(Site::Details(t), reason),
        };
        let index = part(array.index, "Invalid index")?;
        if self.must_wait(index) {
            return Ok(Step::Wait(index));
        }
        if self.failed(index.id) {
            return Ok(Step::Blocked);
        }
        match self.sized(index.id) {
            Some((int, _)) if int.kind() == Kind::Int && int_is_regular(int) => {}
            _ => return self.fail(Site::Details(t), "Invalid index"),
        }
        let element = part(array.element, "Invalid elem")?;
        if self.must_wait(element) {
            return Ok(Step::Wait(element));
        }
        if self.failed(element.id) {
            return Ok(Step::Blocked);
        }
        let Some((element, size)) = self.sized(element.id) else {
            return self.fail(Site::Details(t), "Invalid elem");
        };
        if element.kind() == Kind::Int && !int_is_regular(element) {
            return self.fail(Site::Details(t), "Invalid array of int");
        }
        match size.checked_mul(array.count) {
            Some(size) => Ok(Step::Done(element.id, size)),
            None => self.fail(Site::Details(t), "Array size overflows U32_MAX"),
        }
    }

    fn composite(&mut self, t: Type<'a>, next_member: u32) -> StepResult<'a> {
        if let Some(last) = next_member.checked_sub(1) {
            let member = t.member(last);
            let Some(kind) = self.btf.get(member.target).filter(|m| self.is_resolved(m.id)) else {
                return Err(Fail::silent(Errno::EINVAL));
            };
            self.member(t, member, kind)?;
        }
        for i in next_member..t.vlen() {
            let member = t.member(i);
            let target = match self.btf.get(member.target) {
                Some(target) if !has_no_size(target) && !source_only(target) => target,
                _ => {
                    let fail = self.engine.fail(Site::Member(t, member), "Invalid member");
                    self.engine.report(fail)?;
                    continue;
                }
            };
            if self.must_wait(target) {
                if let Some(top) = self.stack.last_mut() {
                    top.next_member = i + 1;
                }
                return Ok(Step::Wait(target));
            }
            self.member(t, member, target)?;
        }
        Ok(Step::Done(0, 0))
    }

    /// The `check_member` and `check_kflag_member` operations.
    fn member(&mut self, s: Type<'a>, member: Member, target: Type<'a>) -> Result<(), Fail<'a>> {
        if self.failed(target.id) {
            return Ok(());
        }
        // A modifier's concrete type is checked in its place, and named in the message.
        let (shown, target) = if target.kind().is_modifier() {
            match self.sized_end(target) {
                Some((sized, _)) if self.failed(sized.id) => return Ok(()),
                Some((sized, _)) => (Member { target: sized.id(), ..member }, sized),
                None => {
                    let fail = self.engine.fail(Site::Member(s, member), "Invalid member");
                    return self.engine.report(fail);
                }
            }
        } else {
            (member, target)
        };
        let result = if s.kind_flag() {
            self.flagged_member(s, shown, target)
        } else {
            self.plain_member(s, shown, target)
        };
        match result {
            Ok(()) => Ok(()),
            Err("") => {
                let reason =
                    if s.kind_flag() { "Unsupported check_kflag_member" } else { "Unsupported check_member" };
                let fail = self.engine.fail(Site::Basic(s), reason);
                self.engine.report(fail)
            }
            Err(reason) => {
                let fail = self.engine.fail(Site::Member(s, shown), reason);
                self.engine.report(fail)
            }
        }
    }

    /// A member of a structure without the kind flag: its whole offset word counts bits.
    fn plain_member(&self, s: Type<'a>, m: Member, target: Type<'a>) -> Result<(), &'static str> {
        let byte_aligned =
            || if m.offset.is_multiple_of(8) { Ok(()) } else { Err("Member is not byte aligned") };
        // Unsigned and unchecked in the kernel; the offset lies in the structure since the first pass.
        let room = s.size().wrapping_sub(m.offset / 8);
        let fits = |size: u32| if room < size { Err("Member exceeds struct_size") } else { Ok(()) };
        match target.kind() {
            Kind::Int => int_member(s, m, target),
            Kind::Ptr => byte_aligned().and_then(|()| fits(POINTER)),
            Kind::Array => byte_aligned().and_then(|()| fits(self.resolved_size(target.id))),
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => {
                byte_aligned().and_then(|()| fits(target.size()))
            }
            Kind::Float => float_member(s, m, target),
            _ => Err(""),
        }
    }

    /// A member of a structure with the kind flag: the offset word's top byte is a bit field's size.
    fn flagged_member(&self, s: Type<'a>, m: Member, target: Type<'a>) -> Result<(), &'static str> {
        match target.kind() {
            Kind::Int => flagged_int_member(s, m, target),
            Kind::Enum | Kind::Enum64 => flagged_enum_member(s, m),
            Kind::Ptr | Kind::Array | Kind::Struct | Kind::Union | Kind::Float => {
                if m.bitfield_size() != 0 {
                    return Err("Invalid member bitfield_size");
                }
                self.plain_member(s, m, target)
            }
            _ => Err(""),
        }
    }

    fn datasec(&mut self, t: Type<'a>, next_entry: u32) -> StepResult<'a> {
        self.walk = Walk::Undecided;
        for i in next_entry..t.vlen() {
            let entry = t.entry(i);
            let Some(var) = self.btf.get(entry.var).filter(|var| var.kind() == Kind::Var) else {
                let fail = self.engine.fail(Site::Entry(t, entry), "Not a VAR kind member");
                self.engine.report(fail)?;
                continue;
            };
            if self.must_wait(var) {
                if let Some(top) = self.stack.last_mut() {
                    top.next_member = i + 1;
                }
                return Ok(Step::Wait(var));
            }
            self.entry(t, entry, var)?;
        }
        Ok(Step::Done(0, 0))
    }

    /// Checked for an entry only when its variable did not have to be waited for: so the kernel does it.
    fn entry(&mut self, t: Type<'a>, entry: SecInfo, var: Type<'a>) -> Result<(), Fail<'a>> {
        if self.failed(var.id) {
            return Ok(());
        }
        let reason = match self.sized(var.target().0) {
            None => "Invalid type",
            Some((_, size)) if entry.size < size => "Invalid size",
            Some(_) => return Ok(()),
        };
        let fail = self.engine.fail(Site::Entry(t, entry), reason);
        self.engine.report(fail)
    }

    fn decl_tag(&self, t: Type<'a>) -> StepResult<'a> {
        let is_target =
            |n: &Type<'_>| is_struct(*n) || matches!(n.kind(), Kind::Func | Kind::Var | Kind::Typedef);
        let Some(next) = self.btf.get(t.target()).filter(is_target) else {
            return self.fail(Site::Details(t), "Invalid type_id");
        };
        if self.must_wait(next) {
            return Ok(Step::Wait(next));
        }
        if self.failed(next.id) {
            return Ok(Step::Blocked);
        }
        let component = t.component();
        if component != -1 {
            let count = match next.kind() {
                Kind::Var | Kind::Typedef => 0,
                Kind::Struct | Kind::Union => next.vlen(),
                _ => self.btf.get(next.target()).map_or(0, |proto| proto.vlen()),
            };
            if component as u32 >= count {
                return self.fail(Site::Details(t), "Invalid component_idx");
            }
        }
        Ok(Step::Done(next.id, 0))
    }

    /// `btf_func_check`.
    fn func_check(&self, t: Type<'a>) -> Result<(), Fail<'a>> {
        let Some(proto) = self.btf.get(t.target()).filter(|p| p.kind() == Kind::FuncProto) else {
            return self.fail(Site::Details(t), "Invalid type_id");
        };
        match proto.params().position(|p| p.name_off == 0 && p.target.0 != 0) {
            Some(i) => Err(self.engine.fail(Site::Details(t), format!("Invalid arg#{}", i + 1))),
            None => Ok(()),
        }
    }

    /// `btf_func_proto_check`.
    fn func_proto(&mut self, t: Type<'a>) -> Result<(), Fail<'a>> {
        if t.target().0 != 0 && !self.part_of_prototype(t.target())? {
            let fail = self.engine.fail(Site::Details(t), "Invalid return type");
            self.engine.report(fail)?;
        }
        let mut count = t.vlen();
        let Some(last) = count.checked_sub(1).map(|i| t.param(i)) else { return Ok(()) };
        if last.target.0 == 0 {
            if last.name_off != 0 {
                let fail = self.engine.fail(Site::Details(t), format!("Invalid arg#{count}"));
                self.engine.report(fail)?;
            }
            count -= 1;
        }
        for i in 0..count {
            let param = t.param(i);
            let named = param.name_off == 0
                || (self.engine.name_offset_valid(param.name_off)
                    && self.engine.is_identifier(param.name_off));
            if !named || !self.part_of_prototype(param.target)? {
                let fail = self.engine.fail(Site::Details(t), format!("Invalid arg#{}", i + 1));
                self.engine.report(fail)?;
            }
        }
        Ok(())
    }

    /// Whether a type can be returned or passed; resolves it first when that has not been done.
    fn part_of_prototype(&mut self, id: TypeId) -> Result<bool, Fail<'a>> {
        let slot = self.own.slot(id.0);
        if slot.is_some_and(|i| self.parts.get(i) == Some(&true)) {
            return Ok(true);
        }
        let good = self.resolved_part(id)?;
        if let Some(known) = slot.and_then(|i| self.parts.get_mut(i)) {
            *known = good;
        }
        Ok(good)
    }

    fn resolved_part(&mut self, id: TypeId) -> Result<bool, Fail<'a>> {
        let Some(part) = self.btf.get(id).filter(|&part| !source_only(part)) else { return Ok(false) };
        if self.needs_resolve(part) && !self.is_resolved(part.id) {
            self.resolve(part)?;
        }
        Ok(self.failed(part.id) || self.sized(part.id).is_some())
    }

    /// `btf_resolve_valid`.
    fn is_valid(&self, t: Type<'a>) -> bool {
        if !self.is_resolved(t.id) {
            return false;
        }
        let (id, size) = (self.resolved_id(t.id), self.resolved_size(t.id));
        match t.kind() {
            Kind::Struct | Kind::Union | Kind::Datasec => id == 0 && size == 0,
            Kind::DeclTag | Kind::Func => id != 0 && size == 0,
            Kind::Array => {
                let array = t.array();
                self.sized(array.element.0).is_some_and(|(element, each)| {
                    !element.kind().is_modifier() && array.count.wrapping_mul(each) == size
                })
            }
            _ => self.get(id).is_some_and(|end| {
                !end.kind().is_modifier() && !matches!(end.kind(), Kind::Var | Kind::Datasec)
            }),
        }
    }
}

/// `btf_int_check_member`.
fn int_member(s: Type<'_>, m: Member, int: Type<'_>) -> Result<(), &'static str> {
    let data = int.int_data();
    let Some(bits) = m.offset.checked_add(int_offset(data)) else {
        return Err("bits_offset exceeds U32_MAX");
    };
    bits_fit(s, bits, int_bits(data))
}

fn bits_fit(s: Type<'_>, bit: u32, count: u32) -> Result<(), &'static str> {
    let copied = count + bit % 8;
    if copied > 128 {
        return Err("nr_copy_bits exceeds 128");
    }
    match s.size().checked_sub(bit / 8) {
        Some(room) if room >= copied.div_ceil(8) => Ok(()),
        _ => Err("Member exceeds struct_size"),
    }
}

/// `btf_int_check_kflag_member`.
fn flagged_int_member(s: Type<'_>, m: Member, int: Type<'_>) -> Result<(), &'static str> {
    if !int_is_regular(int) {
        return Err("Invalid member base type");
    }
    // The bits are taken from the raw word, also when a modifier led here.
    let (mut count, bit) = (m.offset >> 24, m.offset & 0x00ff_ffff);
    let whole = int_bits(int.int_data());
    if count == 0 {
        if bit % 8 != 0 {
            return Err("Invalid member offset");
        }
        count = whole;
    } else if count > whole {
        return Err("Invalid member bitfield_size");
    }
    bits_fit(s, bit, count)
}

/// `btf_enum_check_kflag_member`.
fn flagged_enum_member(s: Type<'_>, m: Member) -> Result<(), &'static str> {
    let (mut count, bit) = (m.offset >> 24, m.offset & 0x00ff_ffff);
    if count == 0 {
        if bit % 8 != 0 {
            return Err("Member is not byte aligned");
        }
        count = 32;
    } else if count > 32 {
        return Err("Invalid member bitfield_size");
    }
    if s.size() < (bit + count).div_ceil(8) { Err("Member exceeds struct_size") } else { Ok(()) }
}

/// `btf_float_check_member`.
fn float_member(s: Type<'_>, m: Member, float: Type<'_>) -> Result<(), &'static str> {
    let align = 8 * float.size().clamp(1, POINTER);
    if !m.offset.is_multiple_of(align) {
        return Err("Member is not properly aligned");
    }
    let end = u64::from(m.offset / 8) + u64::from(float.size());
    if end > u64::from(s.size()) { Err("Member exceeds struct_size") } else { Ok(()) }
}
