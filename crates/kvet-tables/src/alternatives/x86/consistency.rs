//! Whether entries name the feature that their code is for.
use super::checker::Checker;
impl Checker<'_> {
    pub(super) fn check_consistency(&mut self) {}
}
