//! What differs between kernel versions, in one place. Everything else is the same from 6.1 to 7.3.

use std::fmt;

/// How one kernel version reads BTF.
///
/// Evidence is kernel/bpf/btf.c of that version (Debian's sources for 5.10.x, 6.1.x, 6.12.x, 7.3.x); 6.18 was measured:
/// a running 6.18.44 was asked with `BPF_BTF_LOAD` (`tests/oracle.rs`), where 6.12 and 7.3 differ. Those five were
/// read or asked ([`Rules::was_read`]); the versions between them are built from the releases named here in which
/// each change came, and where that is not known they take what the next version takes: a kernel's own BTF must
/// not be called wrong for being newer than the rules. What [`load`](super::load) says of special structures is
/// known of the five alone, and of 6.2 to 6.11 not at all.
#[derive(PartialEq, Eq, Debug)]
pub struct Rules {
    /// The release, major and minor.
    pub release: (u32, u32),
    /// The largest kind (`BTF_KIND_MAX`): 15 DATASEC up to 5.12, 16 FLOAT from 5.13, 17 DECL_TAG from 5.16, 18
    /// TYPE_TAG from 5.17, 19 ENUM64 from 6.0.
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
    /// DATASEC names may hold any printable character (`btf_name_valid_section`, 6.9), else only an
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
    /// The header may name a layout section (`btf_parse_layout_sec`, 7.1).
    pub(crate) layout_section: bool,
    /// Structures with the special types of BPF (`bpf_spin_lock`, `bpf_list_head`, ...) are parsed when BTF
    /// is loaded (`btf_parse_struct_metas`, 6.2).
    pub(crate) struct_metas: Option<Special>,
    /// Modules may carry BTF (5.11).
    pub(crate) modules: bool,
    /// A module may carry `.BTF.base` (6.11).
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

/// Module BTF (`btf_parse_module`).
static V5_11: Rules = Rules { release: (5, 11), modules: true, ..V5_10 };

/// Empty DATASECs.
static V5_12: Rules = Rules { release: (5, 12), datasec_needs_entries: false, ..V5_11 };

/// FLOAT, and with it a fifth bit for the kind.
static V5_13: Rules =
    Rules { release: (5, 13), kind_max: 16, info_mask: Some(0x9f00_ffff), kind_mask: 0x1f, ..V5_12 };

/// The console's blank.
static V5_15: Rules = Rules { release: (5, 15), console_space: true, ..V5_13 };

/// DECL_TAG, and FUNC resolved.
static V5_16: Rules = Rules { release: (5, 16), kind_max: 17, func_resolves: true, ..V5_15 };

/// TYPE_TAG.
static V5_17: Rules =
    Rules { release: (5, 17), kind_max: 18, checks_chains: true, tags_first: true, ..V5_16 };

/// ENUM64, and ENUM's kind flag.
static V6_0: Rules = Rules {
    release: (6, 0),
    kind_max: 19,
    enum_kind_flag_refused: false,
    enum_values_signed: false,
    ..V5_17
};

/// 6.1.x.
pub static V6_1: Rules = Rules { release: (6, 1), name_limit: 512, ..V6_0 };

/// A mismatch is tolerated without a word for each module.
static V6_7: Rules = Rules { release: (6, 7), mismatch_is_silent: true, ..V6_1 };

/// Printable DATASEC names.
static V6_9: Rules = Rules { release: (6, 9), printable_sections: true, ..V6_7 };

/// `.BTF.base`.
static V6_11: Rules = Rules { release: (6, 11), distilled_base: true, ..V6_9 };

/// 6.12.x.
pub static V6_12: Rules = Rules {
    release: (6, 12),
    struct_metas: Some(Special {
        res_spin_lock: false,
        refcount_once: true,
        once_with_nested: true,
        one_lock: false,
        walk_tags: false,
        uptr: false,
        ownership_depth: Some(8),
    }),
    ..V6_11
};

/// Tags with the kind flag.
static V6_15: Rules = Rules {
    release: (6, 15),
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

/// 6.18.x.
pub static V6_18: Rules = Rules { release: (6, 18), ..V6_15 };

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

/// The layout section.
static V7_1: Rules = Rules { release: (7, 1), ..V7_3 };

/// All of them, oldest first.
pub static ALL: [&Rules; 17] = [
    &V5_10, &V5_11, &V5_12, &V5_13, &V5_15, &V5_16, &V5_17, &V6_0, &V6_1, &V6_7, &V6_9, &V6_11, &V6_12,
    &V6_15, &V6_18, &V7_1, &V7_3,
];

/// Names in a kernel's own BTF that tell how new its reader of BTF is, whatever its release says: distributions
/// bring newer ones to old releases (RHEL 9's 5.14 has ENUM64). Newest first.
static EVIDENCE: [(&[u8], &Rules); 7] = [
    (b"\0btf_layout\0", &V7_1),
    (b"\0bpf_res_spin_lock\0", &V6_15),
    (b"\0btf_relocate\0", &V6_11),
    (b"\0BTF_KIND_ENUM64\0", &V6_1),
    (b"\0BTF_KIND_TYPE_TAG\0", &V5_17),
    (b"\0BTF_KIND_DECL_TAG\0", &V5_16),
    (b"\0btf_float_log\0", &V5_13),
];

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

    /// The rules for a kernel by its release and by its own BTF: where the release is none of those whose sources
    /// were read, the kernel is taken for as new as the names in its BTF show it to be.
    pub fn for_kernel(release: &str, btf: &[u8]) -> Option<&'static Rules> {
        let rules = Rules::for_release(release)?;
        if rules.was_read() && rules.is_of(release) {
            return Some(rules);
        }
        let strings = crate::Header::parse(btf).map_or(btf, |(header, _)| header.strings(btf));
        let shown = EVIDENCE.iter().find(|(name, _)| memchr::memmem::find(strings, name).is_some());
        Some(shown.map_or(rules, |&(_, shown)| if shown.release > rules.release { shown } else { rules }))
    }

    /// Whether this version's own source was read, or the version itself asked.
    pub fn was_read(&self) -> bool {
        [&V5_10, &V6_1, &V6_12, &V6_18, &V7_3].iter().any(|read| read.release == self.release)
    }

    /// Whether a release is of this version, and not only of one that has the same rules.
    pub fn is_of(&self, release: &str) -> bool {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        numbers.next() == Some(Ok(self.release.0)) && numbers.next() == Some(Ok(self.release.1))
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.release.0, self.release.1)
    }
}
