//! From the index back to what the tables say.

use kvet_image::{Image, VirtAddr};

use super::{Entry, Site, SiteAt, Sites, Which};
use crate::alternatives::arm64;
use crate::jump_labels::{KeyHome, StaticKey};

impl Sites {
    pub(super) fn describe(&self, image: &Image, kernel: Option<&Image>, entry: &Entry) -> SiteAt {
        let site = self.site(image, kernel, entry.which).unwrap_or(Site::Ftrace);
        SiteAt { start: VirtAddr(entry.start), len: entry.len.into(), site }
    }

    /// The index only holds numbers of entries that there are.
    fn site(&self, image: &Image, kernel: Option<&Image>, which: Which) -> Option<Site> {
        let at = |i: u32| i as usize;
        Some(match which {
            Which::JumpLabel(i) => {
                let label = *self.labels.get(at(i))?;
                Site::JumpLabel { label, key: self.key(label.key) }
            }
            Which::X86Alternative(i) => {
                let entry = self.x86.get(at(i))?;
                Site::Alternative {
                    index: entry.index,
                    feature: self.x86_feature(kernel.unwrap_or(image), entry.feature, entry.not),
                    replacement: entry.replacement,
                    replacement_len: entry.replacement_len.into(),
                    callback: false,
                }
            }
            Which::X86Replacement(i) => {
                let entry = self.x86.get(at(i))?;
                let feature = self.x86_feature(kernel.unwrap_or(image), entry.feature, entry.not);
                Site::Replacement { index: entry.index, feature, site: entry.site }
            }
            Which::Arm64Alternative(i) => {
                let entry = self.arm64.get(at(i))?;
                Site::Alternative {
                    index: i.into(),
                    feature: self.capability(entry),
                    replacement: entry.alt,
                    replacement_len: entry.alt_len.into(),
                    callback: self.is_callback(entry),
                }
            }
            Which::Arm64Replacement(i) => {
                let entry = self.arm64.get(at(i))?;
                Site::Replacement { index: i.into(), feature: self.capability(entry), site: entry.orig }
            }
            Which::StaticCall(i) => {
                let call = *self.calls.get(at(i))?;
                let name = || image.symbol_at(call.key).filter(|(_, offset)| *offset == 0);
                let key = image.extern_at(call.key).or_else(|| name().map(|(s, _)| s.name));
                Site::StaticCall { call, key: key.map(str::to_owned) }
            }
            Which::Exception(i) => Site::Exception(*self.exceptions.get(at(i))?),
            Which::Fixup(i) => Site::Fixup(*self.exceptions.get(at(i))?),
            Which::Bug(i) => {
                let bug = self.bugs.get(at(i))?;
                Site::Bug { index: bug.index, file: bug.file.clone(), line: bug.line, warning: bug.warning }
            }
            Which::Retpoline => Site::Retpoline,
            Which::Return => Site::Return,
            Which::Call => Site::Call,
            Which::Endbr => Site::Endbr,
            Which::LockPrefix => Site::LockPrefix,
            Which::Paravirt => Site::Paravirt,
            Which::RuntimeConstant(i) => Site::RuntimeConstant(self.constants.get(at(i))?.clone()),
            Which::Ftrace => Site::Ftrace,
        })
    }

    fn key(&self, addr: VirtAddr) -> StaticKey {
        match self.keys.binary_search_by_key(&addr, |key| key.addr) {
            Ok(i) => self.keys[i].clone(),
            // Every label's key is listed.
            Err(_) => StaticKey {
                addr,
                home: KeyHome::Nowhere,
                name: None,
                enabled: None,
                type_word: None,
                entries: 0,
            },
        }
    }

    fn x86_feature(&self, kernel: &Image, feature: u16, not: bool) -> String {
        let name = self.features.name(kernel, feature);
        if not { format!("not {name}") } else { name }
    }

    pub(super) fn is_callback(&self, entry: &arm64::Alternative) -> bool {
        self.marker.is_some_and(|marker| marker.marks(entry)) || entry.looks_like_callback()
    }

    fn capability(&self, entry: &arm64::Alternative) -> String {
        match self.marker.and_then(|marker| marker.capability(entry)) {
            Some(number) => self.capabilities.describe(number),
            None => format!("{} (a callback's marker)", entry.cpucap),
        }
    }
}

impl Site {
    /// The table's name in output.
    pub fn table(&self) -> &'static str {
        match self {
            Site::JumpLabel { .. } => "jump-labels",
            Site::Alternative { .. } | Site::Replacement { .. } => "alternatives",
            Site::StaticCall { .. } => "static-calls",
            Site::Exception(_) | Site::Fixup(_) => "exceptions",
            Site::Bug { .. } => "bugs",
            Site::Retpoline => "retpolines",
            Site::Return => "returns",
            Site::Call => "calls",
            Site::Endbr => "endbr",
            Site::LockPrefix => "smp-locks",
            Site::Paravirt => "paravirt",
            Site::RuntimeConstant(_) => "runtime-constants",
            Site::Ftrace => "mcount",
        }
    }

    /// One phrase: `jump label 1234 of the static key sched_schedstats (initially off)`.
    pub fn describe(&self, image: &Image) -> String {
        let place = |addr: VirtAddr| image.symbolize(addr).unwrap_or_else(|| addr.to_string());
        match self {
            Site::JumpLabel { label, key } => {
                let state = match key.initially_enabled() {
                    Some(true) => " (initially on)",
                    Some(false) => " (initially off)",
                    None => "",
                };
                format!("jump label {} of the static key {}{state}", label.index, key.label())
            }
            Site::Alternative { index, feature, callback: true, replacement, .. } => {
                format!("alternative {index}, written by {} for {feature}", place(*replacement))
            }
            Site::Alternative { index, feature, .. } => format!("alternative {index} for {feature}"),
            Site::Replacement { index, feature, site } => {
                format!(
                    "the replacement of alternative {index} for {feature}, whose site is {}",
                    place(*site)
                )
            }
            Site::StaticCall { call, key } => {
                let key = key.clone().unwrap_or_else(|| call.key.to_string());
                format!("static call {} of {key}{}", call.index, if call.tail { ", a tail call" } else { "" })
            }
            Site::Exception(e) => format!("exception entry {}, which goes on at {}", e.index, place(e.fixup)),
            Site::Fixup(e) => format!("the fixup of exception entry {}, for {}", e.index, place(e.insn)),
            Site::Bug { index, file, line, warning } => {
                let what = if *warning { "WARN" } else { "BUG" };
                match file {
                    Some(file) => format!("bug entry {index}, {what} at {file}:{line}"),
                    None => format!("bug entry {index}, a {what}"),
                }
            }
            Site::Retpoline => "an indirect branch by retpoline".into(),
            Site::Return => "a return".into(),
            Site::Call => "a call that call depth tracking may patch".into(),
            Site::Endbr => "an endbr64 that may be sealed".into(),
            Site::LockPrefix => "a lock prefix".into(),
            Site::Paravirt => "a paravirt call".into(),
            Site::RuntimeConstant(name) => format!("a constant set at boot ({name})"),
            Site::Ftrace => "an ftrace site".into(),
        }
    }
}
