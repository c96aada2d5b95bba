//! Where the members of the kernel's structures stand.
//!
//! From the image's BTF, else from its separate debug file's, else from VMCOREINFO, else from layouts that are known
//! here; which one it was, each look-up says.

use std::collections::HashMap;
use std::fmt;

use kvet_btf::{Btf, Kind, TypeId};
use kvet_image::Image;

use crate::vmcoreinfo::VmcoreInfo;

/// Where a layout was read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LayoutSource {
    /// The image's BTF.
    Btf,
    /// The BTF of the separate debug file.
    DebugBtf,
    /// VMCOREINFO.
    VmcoreInfo,
    /// Known here, from the sources.
    Known,
}

impl fmt::Display for LayoutSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LayoutSource::Btf => "the image's BTF",
            LayoutSource::DebugBtf => "the debug file's BTF",
            LayoutSource::VmcoreInfo => "VMCOREINFO",
            LayoutSource::Known => "known layouts",
        })
    }
}

/// A member's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// From the structure's start, in bytes.
    pub offset: u64,
    /// Its length in bytes; 0 where that is not known.
    pub size: u64,
    /// For a bit field: the first bit after `offset`, and how many.
    pub bits: Option<(u32, u32)>,
    /// Its type, where BTF says.
    pub ty: Option<TypeId>,
}

/// Structures in structures, at most.
const DEPTH: usize = 16;

/// Structures that are looked up: found in one pass over all types.
const WANTED: &[&str] = &[
    "atomic_t",
    "cpuinfo_x86",
    "mutex",
    "percpu_data",
    "prb_data_blk_lpos",
    "prb_data_ring",
    "prb_desc",
    "prb_desc_ring",
    "printk_info",
    "printk_log",
    "printk_ringbuffer",
    "pcpu_hot",
    "rq",
    "static_call_key",
    "static_key",
    "task_struct",
    "thread_info",
    "__call_single_data",
    "call_function_data",
    "qspinlock",
    "text_poke_loc",
    "smp_text_poke_array",
    "smp_text_poke_loc",
    "bp_patching_desc",
    "module",
    "module_layout",
    "module_memory",
    "pv_ops",
    "paravirt_patch_template",
    "printk_message",
];

/// Enumerations whose values are looked up.
const WANTED_ENUMS: &[&str] = &["system_states", "mod_mem_type"];

/// The layouts of one kernel.
pub struct Layouts<'a> {
    btf: Option<Btf<'a>>,
    source: LayoutSource,
    ids: HashMap<&'static str, TypeId>,
    info: Option<VmcoreInfo>,
}

impl<'a> Layouts<'a> {
    /// Reads the BTF of an image.
    pub fn of(image: &'a Image) -> Layouts<'a> {
        let parse = |image: &'a Image| Btf::parse(kvet_tables::btf::bytes(image)?).ok();
        let own = parse(image).map(|btf| (btf, LayoutSource::Btf));
        let found = own.or_else(|| Some((parse(image.debug()?)?, LayoutSource::DebugBtf)));
        let (btf, source) = match found {
            Some((btf, source)) => (Some(btf), source),
            None => (None, LayoutSource::Known),
        };
        let mut layouts = Layouts { btf, source, ids: HashMap::new(), info: None };
        layouts.index();
        layouts
    }

    fn index(&mut self) {
        let Some(btf) = &self.btf else { return };
        let wanted: HashMap<&[u8], &'static str> =
            WANTED.iter().chain(WANTED_ENUMS).map(|name| (name.as_bytes(), *name)).collect();
        for t in btf.types() {
            let of_use = t.kind().is_composite() || matches!(t.kind(), Kind::Enum | Kind::Typedef);
            if !of_use || t.name_off() == 0 {
                continue;
            }
            if let Some(name) = wanted.get(btf.name(t.name_off())) {
                // The definition, not a typedef of the same name, where there are both.
                let known = self.ids.get(name).and_then(|id| btf.get(*id));
                if known.is_none_or(|k| k.kind() == Kind::Typedef) {
                    self.ids.insert(name, t.id());
                }
            }
        }
    }

    /// Takes VMCOREINFO in for what BTF does not say.
    pub(crate) fn set_vmcoreinfo(&mut self, info: Option<VmcoreInfo>) {
        self.info = info;
    }

    /// Where layouts come from.
    pub fn source(&self) -> LayoutSource {
        match (&self.btf, &self.info) {
            (Some(_), _) => self.source,
            (None, Some(_)) => LayoutSource::VmcoreInfo,
            (None, None) => LayoutSource::Known,
        }
    }

    /// The BTF.
    pub fn btf(&self) -> Option<&Btf<'a>> {
        self.btf.as_ref()
    }

    /// A member by the way to it: `desc_ring.count_bits`. Anonymous structures need not be named.
    pub fn member(&self, structure: &str, path: &str) -> Option<Place> {
        self.in_btf(structure, path)
            .or_else(|| self.in_info(structure, path))
            .or_else(|| known(structure, path))
    }

    /// The offset of a member.
    pub fn offset(&self, structure: &str, path: &str) -> Option<u64> {
        self.member(structure, path).map(|p| p.offset)
    }

    /// The length of a structure in bytes.
    pub fn size(&self, structure: &str) -> Option<u64> {
        if let (Some(btf), Some(id)) = (&self.btf, self.ids.get(structure)) {
            return btf.size_of(*id);
        }
        self.info.as_ref().and_then(|info| info.size(structure)).or_else(|| known_size(structure))
    }

    /// An enumeration's value by the name of the enumerator.
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u64> {
        let btf = self.btf.as_ref()?;
        let t = btf.get(*self.ids.get(enumeration)?)?;
        t.values().find(|v| btf.name(v.name_off) == name.as_bytes()).map(|v| v.bits)
    }

    fn in_info(&self, structure: &str, path: &str) -> Option<Place> {
        let info = self.info.as_ref().filter(|_| self.btf.is_none())?;
        if let Some(offset) = info.offset(&format!("{structure}.{path}")) {
            return Some(Place { offset, size: 0, bits: None, ty: None });
        }
        // A member in a member: the parts have layouts of their own.
        let (first, rest) = path.split_once('.')?;
        let inner = match first {
            "desc_ring" => "prb_desc_ring",
            "text_data_ring" => "prb_data_ring",
            "text_blk_lpos" => "prb_data_blk_lpos",
            _ => return None,
        };
        let outer = info.offset(&format!("{structure}.{first}"))?;
        let place = self.in_info(inner, rest)?;
        Some(Place { offset: outer.checked_add(place.offset)?, ..place })
    }

    fn in_btf(&self, structure: &str, path: &str) -> Option<Place> {
        let btf = self.btf.as_ref()?;
        let mut id = *self.ids.get(structure)?;
        let mut place = Place { offset: 0, size: btf.size_of(id)?, bits: None, ty: Some(id) };
        for name in path.split('.') {
            let (bit, target, width) = find_member(btf, id, name.as_bytes(), DEPTH)?;
            place.offset += bit / 8;
            place.bits = (width != 0).then_some(((bit % 8) as u32, width));
            place.size = btf.size_of(target).unwrap_or(0);
            place.ty = Some(target);
            id = target;
        }
        Some(place)
    }
}

/// A member of a structure: bit offset, type, width of a bit field. Looks into anonymous members.
fn find_member(btf: &Btf<'_>, id: TypeId, name: &[u8], depth: usize) -> Option<(u64, TypeId, u32)> {
    let t = btf.get(btf.unmodified(id)?)?;
    if !t.kind().is_composite() || depth == 0 {
        return None;
    }
    for member in t.members() {
        let member_name = btf.name(member.name_off);
        let bit = u64::from(member.bit_offset());
        if member_name == name {
            return Some((bit, member.target, member.bitfield_size()));
        }
        if member_name.is_empty()
            && let Some((inner, target, width)) = find_member(btf, member.target, name, depth - 1)
        {
            return Some((bit + inner, target, width));
        }
    }
    None
}

/// Layouts that were the same from 5.10 to 7.3 on 64-bit machines, for images without BTF
/// (kernel/printk/printk_ringbuffer.h, include/linux/jump_label.h, include/linux/static_call_types.h).
const KNOWN: &[(&str, &str, u64, u64)] = &[
    ("printk_ringbuffer", "desc_ring.count_bits", 0, 4),
    ("printk_ringbuffer", "desc_ring.descs", 8, 8),
    ("printk_ringbuffer", "desc_ring.infos", 16, 8),
    ("printk_ringbuffer", "desc_ring.head_id", 24, 8),
    ("printk_ringbuffer", "desc_ring.tail_id", 32, 8),
    // 48 from 6.8 on (last_finalized_seq); such kernels without BTF have VMCOREINFO.
    ("printk_ringbuffer", "text_data_ring", 40, 32),
    ("prb_desc", "state_var", 0, 8),
    ("prb_desc", "text_blk_lpos.begin", 8, 8),
    ("prb_desc", "text_blk_lpos.next", 16, 8),
    ("prb_data_ring", "size_bits", 0, 4),
    ("prb_data_ring", "data", 8, 8),
    ("prb_data_ring", "head_lpos", 16, 8),
    ("prb_data_ring", "tail_lpos", 24, 8),
    ("printk_info", "seq", 0, 8),
    ("printk_info", "ts_nsec", 8, 8),
    ("printk_info", "text_len", 16, 2),
    ("printk_info", "facility", 18, 1),
    ("printk_info", "caller_id", 20, 4),
    ("printk_log", "ts_nsec", 0, 8),
    ("printk_log", "len", 8, 2),
    ("printk_log", "text_len", 10, 2),
    ("printk_log", "facility", 14, 1),
    ("static_key", "enabled", 0, 4),
    ("static_call_key", "func", 0, 8),
];

fn known(structure: &str, path: &str) -> Option<Place> {
    if (structure, path) == ("printk_info", "level") || (structure, path) == ("printk_log", "level") {
        let offset = if structure == "printk_info" { 19 } else { 15 };
        return Some(Place { offset, size: 1, bits: Some((5, 3)), ty: None });
    }
    let entry = KNOWN.iter().find(|k| (k.0, k.1) == (structure, path))?;
    Some(Place { offset: entry.2, size: entry.3, bits: None, ty: None })
}

fn known_size(structure: &str) -> Option<u64> {
    match structure {
        "prb_desc" => Some(24),
        // dev_info is 16 + 48 bytes long; CONFIG_PRINTK_EXECUTION_CTX (6.19 and later) is known by BTF only.
        "printk_info" => Some(88),
        "static_key" | "static_call_key" => Some(16),
        _ => None,
    }
}
