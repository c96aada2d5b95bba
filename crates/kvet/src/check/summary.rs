//! Counts over all artefacts, and the exit status that follows from them.

use kvet_finding::Severity;

use super::ArtefactReport;
use crate::exit::Exit;

/// What a run found, in numbers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Artefacts reported, readable or not.
    pub artefacts: u64,
    /// Modules among them.
    pub modules: u64,
    /// Kernels among them.
    pub kernels: u64,
    /// Files of BTF by itself among them.
    pub btf: u64,
    /// Those that could not be checked.
    pub unreadable: u64,
    /// Those that nobody looked at, because the output broke off.
    pub unchecked: u64,
    /// Findings of severity error.
    pub errors: u64,
    /// Findings that end the boot, or something else.
    pub fatal: u64,
    /// Those of them that end the boot.
    pub ends_boot: u64,
    /// Findings of severity warning.
    pub warnings: u64,
    /// Findings of severity note.
    pub notes: u64,
}

impl Summary {
    /// Counts one report.
    pub fn add(&mut self, report: &ArtefactReport) {
        self.artefacts += 1;
        let Ok(checked) = &report.outcome else {
            self.unreadable += 1;
            return;
        };
        match checked.kind {
            kind if kind.is_btf() => self.btf += 1,
            kind if kind.is_module() => self.modules += 1,
            _ => self.kernels += 1,
        }
        for (finding, _) in checked.findings() {
            match finding.severity {
                Severity::Error => self.errors += 1,
                Severity::Warning => self.warnings += 1,
                Severity::Note => self.notes += 1,
            }
            let at_boot = finding.at_boot.as_ref();
            self.fatal += u64::from(at_boot.is_some_and(|at_boot| at_boot.fatal));
            self.ends_boot +=
                u64::from(at_boot.is_some_and(|at_boot| at_boot.fatal && at_boot.ends.is_none()));
        }
    }

    /// The exit status. Notes never fail; warnings do when they are denied.
    pub fn exit(&self, deny_warnings: bool) -> Exit {
        if self.unreadable + self.unchecked > 0 || self.artefacts == 0 {
            Exit::Unanswered
        } else if self.errors > 0 || (deny_warnings && self.warnings > 0) {
            Exit::Wrong
        } else {
            Exit::Clean
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_answers_for_all_artefacts() {
        let clean = Summary { artefacts: 2, ..Summary::default() };
        assert_eq!(clean.exit(true), Exit::Clean);
        let warned = Summary { warnings: 1, notes: 5, ..clean };
        assert_eq!(warned.exit(false), Exit::Clean);
        assert_eq!(warned.exit(true), Exit::Wrong);
        let wrong = Summary { errors: 1, ..clean };
        assert_eq!(wrong.exit(false), Exit::Wrong);
        assert_eq!(Summary { unreadable: 1, ..wrong }.exit(false), Exit::Unanswered);
        assert_eq!(Summary { unchecked: 1, ..clean }.exit(false), Exit::Unanswered);
        assert_eq!(Summary::default().exit(false), Exit::Unanswered, "nothing was looked at");
    }
}
