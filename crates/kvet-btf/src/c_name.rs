//! A type as C writes it, for messages: short, and never longer than a line.

use crate::btf::Btf;
use crate::raw::{Kind, TypeId};

/// Chains longer than this are cut off with `...`: only damaged BTF has them.
const STEPS: usize = 24;

impl Btf<'_> {
    /// A type as C writes it: `struct pagesets`, `const char *`, `int (*)(struct file *, int)`.
    pub fn c_type(&self, id: TypeId) -> String {
        self.declaration(id, "", 1)
    }

    /// A declaration of a name with a type: `unsigned long pages[4]`.
    pub fn c_declaration(&self, id: TypeId, name: &str) -> String {
        self.declaration(id, name, 1)
    }

    /// Walks from the name outwards. `depth` is how far parameter lists may hold parameter lists.
    fn declaration(&self, mut id: TypeId, name: &str, depth: u32) -> String {
        let mut inner = name.to_owned();
        let mut qualifiers = String::new();
        let mut pointer = false;
        for _ in 0..STEPS {
            let Some(t) = self.get(id) else {
                return join(&qualifiers, &format!("<no type [{}]>", id.0), &inner);
            };
            let name = || self.display_name(t.name_off());
            match t.kind() {
                Kind::Void if id.0 == 0 => return join(&qualifiers, "void", &inner),
                Kind::Const => qualifiers.push_str("const "),
                Kind::Volatile => qualifiers.push_str("volatile "),
                Kind::Restrict => qualifiers.push_str("restrict "),
                Kind::TypeTag => {}
                Kind::Ptr => {
                    inner = format!("*{qualifiers}{inner}");
                    qualifiers.clear();
                    pointer = true;
                    id = t.target();
                    continue;
                }
                Kind::Array => {
                    let array = t.array();
                    inner = if pointer { format!("({inner})") } else { inner };
                    inner.push_str(&format!("[{}]", array.count));
                    pointer = false;
                    id = array.element;
                    continue;
                }
                Kind::FuncProto => {
                    let params = self.params(t, depth);
                    inner =
                        if pointer { format!("({inner})({params})") } else { format!("{inner}({params})") };
                    pointer = false;
                    id = t.target();
                    continue;
                }
                kind => {
                    let words = match kind {
                        Kind::Struct => "struct ",
                        Kind::Union => "union ",
                        Kind::Enum | Kind::Enum64 => "enum ",
                        Kind::Fwd if t.kind_flag() => "union ",
                        Kind::Fwd => "struct ",
                        _ => "",
                    };
                    return join(&qualifiers, &format!("{words}{}", name()), &inner);
                }
            }
            id = t.target();
        }
        join(&qualifiers, "...", &inner)
    }

    fn params(&self, proto: crate::Type<'_>, depth: u32) -> String {
        if depth == 0 || proto.vlen() > 12 {
            return "...".to_owned();
        }
        let params: Vec<String> =
            proto
                .params()
                .map(|p| {
                    if p.target.0 == 0 { "...".to_owned() } else { self.declaration(p.target, "", depth - 1) }
                })
                .collect();
        if params.is_empty() { "void".to_owned() } else { params.join(", ") }
    }
}

fn join(qualifiers: &str, base: &str, inner: &str) -> String {
    let blank = if inner.is_empty() || inner.starts_with('[') { "" } else { " " };
    format!("{qualifiers}{base}{blank}{inner}")
}
