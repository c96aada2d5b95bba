//! What differs between kernel versions, in one place. Everything else is the same from 6.1 to 7.3.

use std::fmt;

/// How one kernel version reads BTF.
///
/// Evidence is kernel/bpf/btf.c of that version (Debian's sources for 5.10.x, 6.1.x, 6.12.x, 7.3.x); 6.18 was measured:
/// a running 6.18.44 was asked with `BPF_BTF_LOAD` (`tests/oracle.rs`), where 6.12 and 7.3 differ.
#[derive(PartialEq, Eq, Debug)]
pub struct Rules {
    /// The release, major and minor.
    pub release: (u32, u32),
    /// The largest kind (`BTF_KIND_MAX`): 15 DATASEC up to 5.12, 19 ENUM64 from 6.0.
    pub(crate) kind_max: u8,
    /// Bits of `info` that may be set; `None` from 7.x, where all have a meaning (`BTF_INFO_MASK`,
    /// `Invalid btf_info:%x`).
    pub(crate) info_mask: Option<u32>,
    /// The kind's bits of `info` after shifting (`BTF_INFO_KIND`).
    pub(crate) kind_mask: u32,
    /// The element count's bits of `info` (`BTF_INFO_VLEN`): 16, from 7.x 24.
    pub(crate) vlen_mask: u32,
    /// The longest name (`KSYM_NAME_LEN`): 128, from 6.1 512.
    pub(crate) name_limit: usize,
    /// DATASEC names may hold any printable character (`btf_name_valid_section`, 6.12), else only an
    /// identifier's.
    pub(crate) printable_sections: bool,
    /// A DATASEC must have entries (`vlen == 0`, before 5.12).
    pub(crate) datasec_needs_entries: bool,
    /// ENUM must not have the kind flag (before 6.0, where it came to mean signed values).
    pub(crate) enum_kind_flag_refused: bool,
    /// ENUM values are printed signed whatever the flag says (before 6.0).
    pub(crate) enum_values_signed: bool,
    /// TYPE_TAG and DECL_TAG must not have the kind flag (before 6.15).
    pub(crate) tag_kind_flag_refused: bool,
    /// Modifier chains are walked after the types (`btf_check_type_tags`, 5.17; since 7.x
    /// `btf_check_modifier_chain_length`).
    pub(crate) checks_chains: bool,
    /// In those chains a type tag must stand before every other modifier (`Type tags don't precede
    /// modifiers`, until `btf_check_modifier_chain_length`).
    pub(crate) tags_first: bool,
    /// FUNC is resolved like other types (`btf_func_resolve`, 5.16), else checked apart.
    pub(crate) func_resolves: bool,
    /// The header may name a layout section (`btf_parse_layout_sec`, 7.x).
    pub(crate) layout_section: bool,
    /// Structures with the special types of BPF (`bpf_spin_lock`, `bpf_list_head`, ...) are parsed when BTF
    /// is loaded (`btf_parse_struct_metas`, 6.2).
    pub(crate) struct_metas: Option<Special>,
    /// Modules may carry BTF (5.11).
    pub(crate) modules: bool,
    /// A module may carry `.BTF.base` (6.12).
    pub(crate) distilled_base: bool,
    /// With CONFIG_MODULE_ALLOW_BTF_MISMATCH a module's types are not logged, nor is the refusal (6.4, 6.7).
    pub(crate) mismatch_is_silent: bool,
    /// The console prefix: `BPF:` up to 5.14, then `BPF: `, and no second newline after a line that has one.
    pub(crate) console_space: bool,
}

/// What a version knows of the special types of BPF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Special {
    /// `bpf_res_spin_lock` (6.15).
    pub(crate) res_spin_lock: bool,
    /// `bpf_refcount` may be in a structure once. So say 6.12 and 7.3; 6.18.44 takes two.
    pub(crate) refcount_once: bool,
    /// What may be in a structure once is counted with all that it nests. So say Debian's 6.12.117 and 7.3.4;
    /// 6.18.44 counts each structure by itself.
    pub(crate) once_with_nested: bool,
    /// Only one of the two locks may be in a structure (6.15).
    pub(crate) one_lock: bool,
    /// All tags of a pointed-to type are walked, at most one may name a kptr, and foreign tags are passed
    /// over (`btf_type_tag_walk`, 7.x); else the first must name one and no second may follow.
    pub(crate) walk_tags: bool,
    /// `uptr` is a tag (6.13), which no structure outside maps may use.
    pub(crate) uptr: bool,
    /// Structures that own each other may do so to this depth (`BTF_MAX_OWNERSHIP_DEPTH`, in Debian's 6.12.117
    /// and 7.3.4), else one that owns may not be owned by one that is owned (6.18.44).
    pub(crate) ownership_depth: Option<u8>,
}

/// Debian's 5.10.x.
pub static V5_10: Rules = Rules {
    release: (5, 10),
    kind_max: 15,
    info_mask: Some(0x8f00_ffff),
    kind_mask: 0x0f,
    vlen_mask: 0xffff,
    name_limit: 128,
    printable_sections: false,
    datasec_needs_entries: true,
    enum_kind_flag_refused: true,
    enum_values_signed: true,
    tag_kind_flag_refused: true,
    checks_chains: false,
    tags_first: false,
    func_resolves: false,
    layout_section: false,
    struct_metas: None,
    modules: false,
    distilled_base: false,
    mismatch_is_silent: false,
    console_space: false,
};

/// 6.1.x.
pub static V6_1: Rules = Rules {
    release: (6, 1),
    kind_max: 19,
    info_mask: Some(0x9f00_ffff),
    kind_mask: 0x1f,
    name_limit: 512,
    datasec_needs_entries: false,
    enum_kind_flag_refused: false,
    enum_values_signed: false,
    checks_chains: true,
    tags_first: true,
    func_resolves: true,
    modules: true,
    console_space: true,
    ..V5_10
};

/// 6.12.x.
pub static V6_12: Rules = Rules {
    release: (6, 12),
    printable_sections: true,
    struct_metas: Some(Special {
        res_spin_lock: false,
        refcount_once: true,
        once_with_nested: true,
        one_lock: false,
        walk_tags: false,
        uptr: false,
        ownership_depth: Some(8),
    }),
    distilled_base: true,
    mismatch_is_silent: true,
    ..V6_1
};

/// 6.18.x.
pub static V6_18: Rules = Rules {
    release: (6, 18),
    tag_kind_flag_refused: false,
    struct_metas: Some(Special {
        res_spin_lock: true,
        refcount_once: false,
        once_with_nested: false,
        one_lock: true,
        walk_tags: false,
        uptr: true,
        ownership_depth: None,
    }),
    ..V6_12
};

/// 7.3.x.
pub static V7_3: Rules = Rules {
    release: (7, 3),
    info_mask: None,
    kind_mask: 0x7f,
    vlen_mask: 0x00ff_ffff,
    tags_first: false,
    layout_section: true,
    struct_metas: Some(Special {
        res_spin_lock: true,
        refcount_once: true,
        once_with_nested: true,
        one_lock: true,
        walk_tags: true,
        uptr: true,
        ownership_depth: Some(8),
    }),
    ..V6_18
};

/// All of them, oldest first.
pub static ALL: [&Rules; 5] = [&V5_10, &V6_1, &V6_12, &V6_18, &V7_3];

impl Rules {
    /// The newest version that kvet knows.
    pub fn newest() -> &'static Rules {
        &V7_3
    }

    /// The rules for a kernel release (`6.1.0-56-amd64`, `6.6`): those of the newest known version that is
    /// not newer, or of the oldest for one older than all. `None` for text that begins with no release.
    pub fn for_release(release: &str) -> Option<&'static Rules> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().and_then(|n| n.parse().ok())?;
        Some(ALL.iter().rev().find(|rules| rules.release <= (major, minor)).unwrap_or(&ALL[0]))
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.release.0, self.release.1)
    }
}
