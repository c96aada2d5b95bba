//! Which field of which structure an access was after.
//!
//! A NULL pointer faults at the offset of the member that was wanted; any bad pointer does so at its value plus that
//! offset. The instruction says register and offset; what the register points to is said by DWARF, where a variable
//! is known to live in it there, or is followed from the function's parameters, whose types BTF has, through the
//! copies and loads before the instruction.

use std::collections::HashMap;
use std::sync::Arc;

use kvet_btf::{Btf, ByName, Index, Kind, TypeId};
use kvet_image::{Image, VirtAddr};
use kvet_tables::disasm::flow::{self, Access, Effect};
use kvet_tables::sites::{Site, Sites};

use super::frame::{Place, Role};
use super::symbolizer::Symbolizer;
use crate::Confidence;

/// Farther from the start of an object no member lies that is worth naming: the largest structures have some 10 KiB
/// (`struct task_struct`), embedded arrays a few more.
const FARTHEST: i64 = 1 << 20;

/// How a register's type is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Via {
    /// DWARF says that a variable is in the register there.
    Variable {
        /// The variable.
        name: String,
        /// The function that has it, perhaps an inlined one.
        function: Option<String>,
    },
    /// The value was followed from a parameter or a call's result: `req->mq_hctx`, `get_mm()`.
    Followed {
        /// The expression.
        expression: String,
    },
}

/// A member that an access may have been after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldGuess {
    /// The structure's tag.
    pub structure: String,
    /// The member, `f_path.dentry`.
    pub path: String,
    /// Its offset in the structure, in bytes.
    pub offset: u64,
    /// Members of a union that lie at the same place.
    pub others: Vec<String>,
    /// How that is known.
    pub via: Via,
    /// How sure.
    pub confidence: Confidence,
}

/// What the instruction wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldAccess {
    /// The operand.
    pub access: Access,
    /// The base register's name.
    pub register: Option<String>,
    /// The members that it may be, the surest first; empty where nothing tells.
    pub guesses: Vec<FieldGuess>,
}

/// BTF of an image, found and indexed once.
struct Types(Option<Arc<Index>>);

impl Symbolizer<'_> {
    /// What the instruction at a place accesses. `memory` are its bytes as the log shows them, where it does; the
    /// file's otherwise.
    pub fn field_at(&self, place: &Place, role: Role, memory: Option<&[u8]>) -> Option<FieldAccess> {
        if matches!(role, Role::Return | Role::AfterInt3) {
            return None;
        }
        let held = self.image_of(place)?;
        let image = held.get();
        let bytes = memory.unwrap_or_else(|| image.bytes_up_to(place.addr, 15));
        let access = flow::access(image.arch(), place.addr, bytes)?;
        let register = access.base.map(|n| flow::register_name(image.arch(), n));
        let mut guesses = Vec::new();
        if let Some(base) = access.base.filter(|_| !access.segment) {
            let kernel = self.kernel;
            with_btf(image, kernel, |btf| {
                guesses = guess(image, btf, place, base, access.displacement);
            });
        }
        Some(FieldAccess { access, register, guesses })
    }
}

/// Calls `use_it` with an image's BTF: a module's split from its kernel's, or from the base that it carries.
fn with_btf(image: &Image, kernel: &Image, use_it: impl FnOnce(&Btf<'_>)) {
    let own = |image: &Image| {
        let index = kvet_tables::btf::bytes(image).and_then(|data| Index::new(data, false, 0).ok());
        Types(index.map(Arc::new))
    };
    let of_kernel = || {
        let types = kernel.shared(own);
        let index = Arc::clone(types.0.as_ref()?);
        Some(Btf::with_index(kvet_tables::btf::bytes(kernel)?, index))
    };
    if image.kind() != kvet_image::Kind::Module {
        if let Some(btf) = of_kernel() {
            use_it(&btf);
        }
        return;
    }
    let Some(data) = kvet_tables::btf::bytes(image) else { return };
    let distilled = kvet_btf::elf::section(image.raw(), ".BTF.base").filter(|b| !b.is_empty());
    let base = match distilled {
        Some(base) => Btf::parse(base).ok(),
        None => of_kernel(),
    };
    let Some(base) = base else { return };
    if let Ok(btf) = Btf::parse_split(data, &base) {
        use_it(&btf);
    }
}

/// A pointer that was followed: the structure it points to, and in words what it is. `add` bytes past its start.
#[derive(Clone)]
struct Pointer {
    target: TypeId,
    expression: String,
    add: i64,
    /// Nothing but straight code since.
    certain: bool,
}

fn guess(image: &Image, btf: &Btf<'_>, place: &Place, base: u16, displacement: i64) -> Vec<FieldGuess> {
    let mut guesses = Vec::new();
    let mut by_name = None;
    for variable in image.variables_at(place.addr).into_iter().filter(|v| v.register == base) {
        let Some(tag) = &variable.points_to else { continue };
        let names = by_name.get_or_insert_with(|| Names::new(btf));
        let Some(id) = names.composite(tag.as_bytes()) else { continue };
        let via = Via::Variable { name: variable.name, function: variable.function };
        let offset = displacement.saturating_sub(variable.offset);
        guesses.extend(member(btf, id, offset, via, Confidence::Likely));
    }
    if let Some(pointer) = followed(image, btf, place).remove(&base) {
        let confidence = if pointer.certain { Confidence::Likely } else { Confidence::Possible };
        let via = Via::Followed { expression: pointer.expression };
        let offset = displacement.saturating_add(pointer.add);
        guesses.extend(member(btf, pointer.target, offset, via, confidence));
    }
    // Two ways to one member make it sure.
    let agree = |a: &FieldGuess, b: &FieldGuess| a.structure == b.structure && a.offset == b.offset;
    if let [first, rest @ ..] = &mut guesses[..] {
        if rest.iter().any(|other| agree(first, other)) {
            first.confidence = Confidence::Certain;
        } else if !rest.is_empty() {
            first.confidence = Confidence::Possible;
        }
    }
    let mut kept: Vec<FieldGuess> = Vec::new();
    for guess in guesses {
        if !kept.iter().any(|k| agree(k, &guess)) {
            kept.push(guess);
        }
    }
    kept
}

fn member(btf: &Btf<'_>, id: TypeId, offset: i64, via: Via, confidence: Confidence) -> Option<FieldGuess> {
    if !(0..FARTHEST).contains(&offset) {
        return None;
    }
    let offset = offset.unsigned_abs();
    let field = btf.field_at(id, offset)?;
    let structure = btf.display_name(btf.get(id)?.name_off());
    Some(FieldGuess { structure, path: field.path, offset, others: field.others, via, confidence })
}

/// The BTF's names and its base's.
struct Names<'b> {
    own: ByName<'b>,
    base: Option<ByName<'b>>,
}

impl<'b> Names<'b> {
    fn new(btf: &Btf<'b>) -> Names<'b> {
        Names { own: ByName::new(btf), base: btf.base().map(ByName::new) }
    }

    fn composite(&self, tag: &[u8]) -> Option<TypeId> {
        self.own.composite(tag).or_else(|| self.base.as_ref()?.composite(tag))
    }
}

/// What the registers point to when the instruction at a place is about to run, by following the function from its
/// start: parameters first, then copies, loads of members, results of calls.
fn followed(image: &Image, btf: &Btf<'_>, place: &Place) -> HashMap<u16, Pointer> {
    let arch = image.arch();
    let mut known = HashMap::new();
    let functions = Functions::new(btf);
    let Some(proto) = functions.proto(btf, &place.symbol) else { return known };
    for (param, register) in proto.params().zip(flow::parameter_registers(arch)) {
        if let Some(target) = structure(btf, param.target) {
            let expression = btf.display_name(param.name_off);
            known.insert(*register, Pointer { target, expression, add: 0, certain: true });
        }
    }
    let effects = flow::effects(image, place.start, place.addr);
    // Where branches lead, several paths meet: what was followed on one of them is only possible on all.
    let mut joins: Vec<VirtAddr> = effects
        .iter()
        .filter_map(|(_, e)| match e {
            Effect::Branch(target) => Some(*target),
            _ => None,
        })
        .collect();
    joins.sort_unstable();
    let mut ended = false;
    let mut last = place.start;
    for (at, effect) in effects {
        let joined = joins.partition_point(|j| *j <= last) != joins.partition_point(|j| *j <= at);
        if joined || ended {
            known.values_mut().for_each(|pointer| pointer.certain = false);
        }
        last = at;
        ended = effect == Effect::End;
        // ftrace's own call, which keeps every register, begins a function, perhaps after an endbr64.
        if matches!(effect, Effect::Call(_)) && at.0.saturating_sub(place.start.0) <= 4 {
            continue;
        }
        // A paravirt operation keeps what a call does not, mostly (`PVOP_VCALLEE`): less is sure after it.
        let operation = matches!(effect, Effect::Call(None)) && is_paravirt(image, at);
        if operation {
            known.remove(&flow::result_register(arch));
            known.values_mut().for_each(|pointer| pointer.certain = false);
            continue;
        }
        apply(image, btf, &functions, effect, &mut known);
    }
    if ended || joins.contains(&place.addr) {
        known.values_mut().for_each(|pointer| pointer.certain = false);
    }
    known
}

/// An indirect call that the kernel replaces: through `pv_ops`, by its own table up to 6.7, by alternatives since.
fn is_paravirt(image: &Image, at: VirtAddr) -> bool {
    let sites = Sites::of(image, None).at(image, None, at);
    sites.iter().any(|s| matches!(s.site, Site::Paravirt | Site::Alternative { .. }))
}

fn apply(
    image: &Image,
    btf: &Btf<'_>,
    functions: &Functions<'_>,
    effect: Effect,
    known: &mut HashMap<u16, Pointer>,
) {
    match effect {
        Effect::Copy { to, from, add } => match known.get(&from).cloned() {
            Some(pointer) => {
                known.insert(to, Pointer { add: pointer.add.saturating_add(add), ..pointer });
            }
            None => {
                known.remove(&to);
            }
        },
        Effect::Load { to, base, displacement } => {
            let loaded = known.get(&base).and_then(|pointer| load(btf, pointer, displacement));
            match loaded {
                Some(pointer) => known.insert(to, pointer),
                None => known.remove(&to),
            };
        }
        Effect::Call(target) => {
            known.retain(|register, _| !flow::is_clobbered_by_calls(image.arch(), *register));
            if let Some((symbol, 0)) = target.and_then(|t| image.symbol_at(t))
                && let Some(proto) = functions.proto(btf, symbol.name)
                && let Some(target) = structure(btf, proto.target())
            {
                let expression = format!("{}()", symbol.name);
                let pointer = Pointer { target, expression, add: 0, certain: true };
                known.insert(flow::result_register(image.arch()), pointer);
            }
        }
        Effect::Write(registers) => registers.iter().for_each(|r| {
            known.remove(r);
        }),
        Effect::End | Effect::Branch(_) => {}
    }
}

/// The structure that a pointer type points to.
fn structure(btf: &Btf<'_>, pointer: TypeId) -> Option<TypeId> {
    let target = btf.pointee(pointer)?;
    btf.get(target).filter(|t| t.kind().is_composite()).map(|_| target)
}

/// What a load of a pointer's member gives.
fn load(btf: &Btf<'_>, pointer: &Pointer, displacement: i64) -> Option<Pointer> {
    let offset = u64::try_from(pointer.add.checked_add(displacement)?).ok()?;
    let field = btf.field_at(pointer.target, offset)?;
    // A chain of members is cut where nobody would read it.
    let known = field.rest == 0 && pointer.expression.len() < 200;
    let target = structure(btf, field.target).filter(|_| known)?;
    let expression = format!("{}->{}", pointer.expression, field.path);
    Some(Pointer { target, expression, add: 0, certain: pointer.certain })
}

/// Functions by name, for their prototypes.
struct Functions<'b> {
    own: ByName<'b>,
    base: Option<ByName<'b>>,
}

impl<'b> Functions<'b> {
    fn new(btf: &Btf<'b>) -> Functions<'b> {
        Functions { own: ByName::new(btf), base: btf.base().map(ByName::new) }
    }

    /// The prototype of a function; what compilers append to a clone's name may have taken parameters away, so only
    /// the plain name counts.
    fn proto(&self, btf: &Btf<'b>, name: &str) -> Option<kvet_btf::Type<'b>> {
        let id = self.own.get(Kind::Func, name.as_bytes());
        let id = id.or_else(|| self.base.as_ref()?.get(Kind::Func, name.as_bytes()))?;
        let proto = btf.get(btf.get(id)?.target())?;
        (proto.kind() == Kind::FuncProto).then_some(proto)
    }
}
