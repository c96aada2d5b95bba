//! Types by name.

use std::collections::HashMap;

use crate::btf::Btf;
use crate::raw::{Kind, TypeId};

/// The first type of each name and kind of one BTF, its base's not among them.
#[derive(Clone, Debug, Default)]
pub struct ByName<'a> {
    ids: HashMap<(Kind, &'a [u8]), TypeId>,
}

impl<'a> ByName<'a> {
    /// Reads all names.
    pub fn new(btf: &Btf<'a>) -> ByName<'a> {
        let mut ids = HashMap::with_capacity(btf.own_count() as usize / 2);
        for t in btf.types() {
            let name = btf.name(t.name_off());
            if !name.is_empty() {
                ids.entry((t.kind(), name)).or_insert(t.id());
            }
        }
        ByName { ids }
    }

    /// The first type of a name and kind.
    pub fn get(&self, kind: Kind, name: &[u8]) -> Option<TypeId> {
        self.ids.get(&(kind, name)).copied()
    }
}
