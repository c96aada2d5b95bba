//! Variables that live in registers at an address, with what they point to.

use gimli::{AttributeValue, Operation, UnitOffset};

use super::{Budget, DebugInfo, Entry, Slice, Unit, each_range, holding, unit_ranges};
use crate::{Image, VirtAddr};

/// A variable or parameter whose value is in a register, or is a register and a constant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The function that has it, perhaps one that was inlined.
    pub function: Option<String>,
    /// A parameter.
    pub parameter: bool,
    /// The register, by DWARF's number for the architecture (x86-64 psABI figure 3.36: 0 rax, 1 rdx, 2 rcx, 3 rbx,
    /// 4 rsi, 5 rdi, 6 rbp, 7 rsp, 8 to 15; AADWARF64: x0 to x30, 31 sp).
    pub register: u16,
    /// The variable's value minus the register's.
    pub offset: i64,
    /// The tag of the structure or union that it points to; `None` for what is no pointer to a named one.
    pub points_to: Option<String>,
}

/// See [`Image::variables_at`].
pub(crate) fn variables(image: &Image, addr: VirtAddr) -> Vec<Variable> {
    let own = image.lines.get_or_init(|| DebugInfo::locate(image).map(Box::new));
    if let Some(info) = own {
        return info.variables(image.raw(), addr.0);
    }
    let debug = image.debug.as_deref();
    debug.and_then(|d| Some(variables(d.image(), d.address(addr)?))).unwrap_or_default()
}

impl DebugInfo {
    fn variables(&self, raw: &[u8], addr: u64) -> Vec<Variable> {
        let dwarf = self.dwarf(raw);
        let here = |offset| {
            let index = self.indexes.get(&dwarf, offset)?;
            let unit = index.unit(&dwarf, offset)?;
            let chain = index.chain(&dwarf, &unit, addr);
            (!chain.is_empty()).then(|| in_functions(&dwarf, &unit, &chain, addr))
        };
        let by_aranges = holding(&self.aranges, addr).find_map(here);
        by_aranges
            .or_else(|| holding(self.units.get_or_init(|| unit_ranges(&dwarf)), addr).find_map(here))
            .unwrap_or_default()
    }
}

/// The variables of the functions around an address, from the innermost outwards.
fn in_functions(
    dwarf: &gimli::Dwarf<Slice<'_>>,
    unit: &Unit<'_>,
    chain: &[Entry<'_>],
    addr: u64,
) -> Vec<Variable> {
    let mut found = Vec::new();
    let mut budget = Budget::default();
    for function in chain.iter().rev() {
        let name = super::unit::name_of(dwarf, unit, function, 0);
        let Ok(mut entries) = unit.entries_raw(Some(function.offset())) else { continue };
        let mut entry = Entry::null();
        // Entries deeper than this are in a block or function that does not hold the address.
        let mut outside: Option<isize> = None;
        while !entries.is_empty() && !budget.is_spent() {
            match entries.read_entry(&mut entry) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => break,
            }
            budget.spend(1 + entry.attrs().len());
            if entry.offset() != function.offset() && entry.depth() <= 0 {
                break;
            }
            if outside.is_some_and(|depth| entry.depth() > depth) {
                continue;
            }
            outside = None;
            match entry.tag() {
                gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable => {
                    found.extend(variable(dwarf, unit, &entry, addr, name.as_ref()));
                }
                gimli::DW_TAG_lexical_block => {
                    let holds = |r: gimli::Range| r.begin <= addr && addr < r.end;
                    if !each_range(dwarf, unit, &entry, &mut budget, holds) {
                        outside = Some(entry.depth());
                    }
                }
                _ if entry.offset() != function.offset() => outside = Some(entry.depth()),
                _ => {}
            }
        }
    }
    found
}

fn variable(
    dwarf: &gimli::Dwarf<Slice<'_>>,
    unit: &Unit<'_>,
    entry: &Entry<'_>,
    addr: u64,
    function: Option<&String>,
) -> Option<Variable> {
    let (register, offset) = location(dwarf, unit, entry.attr_value(gimli::DW_AT_location)?, addr)?;
    let name = super::unit::name_of(dwarf, unit, entry, 0)?;
    Some(Variable {
        name,
        function: function.cloned(),
        parameter: entry.tag() == gimli::DW_TAG_formal_parameter,
        register,
        offset,
        points_to: points_to(dwarf, unit, type_of(unit, entry)?),
    })
}

/// The expression that holds at an address, when it is a register or a register and a constant.
fn location(
    dwarf: &gimli::Dwarf<Slice<'_>>,
    unit: &Unit<'_>,
    value: AttributeValue<Slice<'_>>,
    addr: u64,
) -> Option<(u16, i64)> {
    if let AttributeValue::Exprloc(expression) = value {
        return register(unit, expression);
    }
    let mut list = dwarf.attr_locations(unit, value).ok()??;
    let mut budget = Budget::default();
    while let Ok(Some(entry)) = list.next() {
        budget.spend(1);
        if budget.is_spent() {
            return None;
        }
        if entry.range.begin <= addr && addr < entry.range.end {
            return register(unit, entry.data);
        }
    }
    None
}

fn register(unit: &Unit<'_>, expression: gimli::Expression<Slice<'_>>) -> Option<(u16, i64)> {
    let mut operations = expression.operations(unit.encoding());
    let found = match operations.next().ok()?? {
        Operation::Register { register } => (register.0, 0),
        // `DW_OP_bregN offset; DW_OP_stack_value`: the value is the register plus a constant.
        Operation::RegisterOffset { register, offset, .. } => match operations.next().ok()?? {
            Operation::StackValue => (register.0, offset),
            _ => return None,
        },
        _ => return None,
    };
    matches!(operations.next(), Ok(None)).then_some(found)
}

/// The offset of an entry's type: its own, or that of the entry it is an instance of.
fn type_of(unit: &Unit<'_>, entry: &Entry<'_>) -> Option<UnitOffset> {
    let of = |entry: &Entry<'_>| match entry.attr_value(gimli::DW_AT_type) {
        Some(AttributeValue::UnitRef(offset)) => Some(offset),
        _ => None,
    };
    let mut found = of(entry);
    let mut origin = entry.attr_value(gimli::DW_AT_abstract_origin);
    for _ in 0..4 {
        match (found, &origin) {
            (None, Some(AttributeValue::UnitRef(offset))) => {
                let entry = unit.entry(*offset).ok()?;
                found = of(&entry);
                origin = entry.attr_value(gimli::DW_AT_abstract_origin);
            }
            _ => break,
        }
    }
    found
}

/// The tag of the structure that a pointer type points to.
fn points_to(dwarf: &gimli::Dwarf<Slice<'_>>, unit: &Unit<'_>, offset: UnitOffset) -> Option<String> {
    let (mut offset, mut pointers) = (offset, 0);
    // A real chain of typedefs and qualifiers is short.
    for _ in 0..16 {
        let entry = unit.entry(offset).ok()?;
        match entry.tag() {
            gimli::DW_TAG_pointer_type => pointers += 1,
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type if pointers == 1 => {
                let name = entry.attr_value(gimli::DW_AT_name)?;
                return Some(dwarf.attr_string(unit, name).ok()?.to_string_lossy().into_owned());
            }
            gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type
            | gimli::DW_TAG_typedef => {}
            _ => return None,
        }
        offset = match entry.attr_value(gimli::DW_AT_type)? {
            AttributeValue::UnitRef(offset) => offset,
            _ => return None,
        };
    }
    None
}
