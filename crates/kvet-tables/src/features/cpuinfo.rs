//! From a /proc/cpuinfo to x86-64 feature numbers.
//!
//! `flags` and `bugs` name what the kernel that wrote the file found, by the names of `x86_cap_flags` and
//! `x86_bug_flags` (arch/x86/kernel/cpu/proc.c, `show_cpuinfo`). What has no name there is a decision of
//! arch/x86/kernel/cpu/bugs.c (5.10 to 7.3): its default is taken, and said as an assumption.

use std::collections::BTreeSet;

use kvet_image::Image;

use super::x86::{
    ALWAYS, FENCE_SWAPGS_KERNEL, FENCE_SWAPGS_USER, Features, RETHUNK, RETPOLINE, RSB_CTXSW, RSB_VMEXIT,
    RSB_VMEXIT_LITE, SRSO, SRSO_ALIAS, UNRET, USE_IBRS_FW,
};

/// A processor as /proc/cpuinfo describes it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CpuInfo {
    /// `model name`.
    pub model: Option<String>,
    /// `vendor_id`.
    pub vendor: String,
    /// `cpu family`.
    pub family: u32,
    /// `flags`.
    pub flags: BTreeSet<String>,
    /// `bugs`.
    pub bugs: BTreeSet<String>,
}

impl CpuInfo {
    /// Reads the first processor of the file.
    ///
    /// # Errors
    /// It has no `flags`: the sentence that says so.
    pub fn parse(text: &str) -> Result<CpuInfo, String> {
        let mut info = CpuInfo::default();
        let mut seen = false;
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else {
                if seen {
                    break;
                }
                continue;
            };
            let words = || value.split_ascii_whitespace().map(str::to_owned).collect();
            match name.trim() {
                "vendor_id" => value.trim().clone_into(&mut info.vendor),
                "cpu family" => info.family = value.trim().parse().unwrap_or(0),
                "model name" => info.model = Some(value.trim().to_owned()),
                "flags" => (info.flags, seen) = (words(), true),
                "bugs" => info.bugs = words(),
                _ => {}
            }
        }
        match seen {
            true => Ok(info),
            false => Err("holds no line `flags`, as an x86-64 /proc/cpuinfo does".into()),
        }
    }
}

/// What a description makes known of a kernel's features.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Derived {
    /// The features that are there.
    pub features: BTreeSet<u16>,
    /// Features without a name that the kernel's defaults decide, each with its reason.
    pub assumed: Vec<String>,
    /// Names of the file that this kernel does not know.
    pub foreign: Vec<String>,
}

/// The numbers that a kernel gives to what the file names, and what its defaults add.
pub fn derive(kernel: &Image, known: &Features, info: &CpuInfo) -> Derived {
    let mut derived = Derived { features: BTreeSet::from([ALWAYS]), ..Derived::default() };
    for (names, is_bug) in [(&info.flags, false), (&info.bugs, true)] {
        for name in names {
            match known.number(kernel, name, is_bug) {
                Some(number) => _ = derived.features.insert(number),
                None => derived.foreign.push(name.clone()),
            }
        }
    }
    for (feature, name, why) in mitigations(info) {
        if derived.features.insert(feature) {
            derived.assumed.push(format!("{name}: {why}"));
        }
    }
    derived
}

/// What bugs.c turns on with `mitigations=auto`, the default.
fn mitigations(info: &CpuInfo) -> Vec<(u16, &'static str, &'static str)> {
    let bug = |name: &str| info.bugs.contains(name);
    let flag = |name: &str| info.flags.contains(name);
    let amd = matches!(info.vendor.as_str(), "AuthenticAMD" | "HygonGenuine");
    let mut on = Vec::new();
    // spectre_v1_select_mitigation, smap_works_speculatively.
    if bug("spectre_v1") && (!flag("smap") || bug("cpu_meltdown")) {
        if bug("swapgs") && !flag("pti") {
            on.push((FENCE_SWAPGS_USER, "FENCE_SWAPGS_USER", "bug swapgs, and no page table isolation"));
        }
        on.push((FENCE_SWAPGS_KERNEL, "FENCE_SWAPGS_KERNEL", "bug spectre_v1, and SMAP does not stop it"));
    }
    // spectre_v2_select_mitigation.
    if bug("spectre_v2") {
        let enhanced = flag("ibrs_enhanced");
        let ibrs = !enhanced && !amd && bug("retbleed") && flag("ibrs");
        if !enhanced && !ibrs {
            on.push((RETPOLINE, "RETPOLINE", "bug spectre_v2 without enhanced IBRS: retpolines"));
            if flag("ibrs") {
                on.push((USE_IBRS_FW, "USE_IBRS_FW", "bug spectre_v2: IBRS around calls of firmware"));
            }
        }
        on.push((RSB_CTXSW, "RSB_CTXSW", "bug spectre_v2: the return stack is filled at a switch"));
        match (enhanced, bug("eibrs_pbrsb")) {
            (true, true) => on.push((RSB_VMEXIT_LITE, "RSB_VMEXIT_LITE", "bug eibrs_pbrsb")),
            (true, false) => {}
            (false, _) => on.push((RSB_VMEXIT, "RSB_VMEXIT", "bug spectre_v2 without enhanced IBRS")),
        }
    }
    // retbleed_select_mitigation, srso_select_mitigation.
    if amd && bug("retbleed") {
        on.push((UNRET, "UNRET", "bug retbleed on AMD: untrained return thunk"));
        on.push((RETHUNK, "RETHUNK", "bug retbleed on AMD: untrained return thunk"));
    }
    if amd && bug("srso") {
        let alias = info.family == 0x19;
        on.push(match alias {
            true => (SRSO_ALIAS, "SRSO_ALIAS", "bug srso on family 19h: safe RET"),
            false => (SRSO, "SRSO", "bug srso: safe RET"),
        });
        on.push((RETHUNK, "RETHUNK", "bug srso: safe RET"));
    }
    if bug("its") {
        on.push((RETHUNK, "RETHUNK", "bug its: aligned branch and return thunks"));
    }
    on
}

/// What every x86-64 processor has (the names of `x86_cap_flags` for the baseline of the psABI).
pub const BASELINE: &[&str] =
    &["fpu", "tsc", "msr", "pae", "cx8", "pge", "cmov", "mmx", "fxsr", "sse", "sse2", "syscall", "nx", "lm"];

#[cfg(test)]
mod tests {
    use super::*;

    const ZEN2: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 23\nmodel name\t: Zen 2\n\
        flags\t\t: fpu smap ibrs\nbugs\t\t: spectre_v1 spectre_v2 retbleed\n\nprocessor\t: 1\nflags\t: other\n";

    #[test]
    fn the_first_processor_counts() {
        let info = CpuInfo::parse(ZEN2).expect("flags");
        assert_eq!((info.family, info.model.as_deref()), (23, Some("Zen 2")));
        assert!(info.flags.contains("smap") && !info.flags.contains("other"));
        assert!(CpuInfo::parse("Features : fp asimd\n").is_err_and(|e| e.contains("flags")));
    }

    #[test]
    fn defaults_follow_from_bugs() {
        let numbers = |text: &str| -> BTreeSet<u16> {
            mitigations(&CpuInfo::parse(text).expect("flags")).into_iter().map(|(f, ..)| f).collect()
        };
        let zen2 = numbers(ZEN2);
        assert!([RETPOLINE, RETHUNK, UNRET, RSB_CTXSW, USE_IBRS_FW].iter().all(|f| zen2.contains(f)));
        assert!(!zen2.contains(&FENCE_SWAPGS_KERNEL), "SMAP works");
        let enhanced = numbers("vendor_id: GenuineIntel\nflags: ibrs ibrs_enhanced smap\nbugs: spectre_v2\n");
        assert_eq!(enhanced, BTreeSet::from([RSB_CTXSW]));
        assert!(numbers("flags: fpu\n").is_empty());
    }
}
