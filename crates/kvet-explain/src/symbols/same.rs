//! Whether a log is from this kernel at all.

use std::sync::Arc;

use kvet_console::{Boot, Log, Report};
use kvet_image::Image;

use super::code::Compared;
use super::frame::{ResolvedFrame, Verdict};
use super::report::Resolved;
use super::symbolizer::Symbolizer;

/// The answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Same {
    /// The banner, the build id, or all of many frames say so.
    Yes,
    /// Nothing speaks against it, and little for it.
    Perhaps,
    /// Parts of the log fit and parts do not: mixed, damaged, or a module's other build.
    Partly,
    /// Another kernel wrote it.
    No,
}

/// What a log and a kernel's file have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SameKernel {
    /// The answer.
    pub answer: Same,
    /// One sentence, with the counts.
    pub why: String,
    /// The `Linux version` lines agree; `None` where the log or the file has none.
    pub banner: Option<bool>,
    /// The releases agree.
    pub release: Option<bool>,
    /// The build id that a `CPU:` line may end with (CONFIG_STACKTRACE_BUILD_ID) is the file's.
    pub build_id: Option<bool>,
    /// Reliable frames of the kernel itself that could be checked.
    pub checked: usize,
    /// Frames whose symbol it does not have.
    pub no_symbol: usize,
    /// Frames whose symbol has another size.
    pub wrong_size: usize,
    /// Frames whose offset lies behind their symbol.
    pub past_end: usize,
    /// Return addresses without a call before them, and addresses inside instructions.
    pub no_call: usize,
    /// `Code:` lines that were compared, and those that nothing explains.
    pub code: (usize, usize),
}

/// Fewer refuted frames than this may be damage in the log.
const FEW: usize = 2;

impl Symbolizer<'_> {
    /// Compares a log as a whole; `resolved` are its reports' resolutions, one for one.
    pub fn same_kernel(&self, log: &Log, resolved: &[Resolved]) -> SameKernel {
        let mut same = SameKernel {
            answer: Same::Perhaps,
            why: String::new(),
            banner: banner(self.kernel, &log.boots),
            release: release(self.kernel, log),
            build_id: build_id(self.kernel, &log.reports),
            checked: 0,
            no_symbol: 0,
            wrong_size: 0,
            past_end: 0,
            no_call: 0,
            code: (0, 0),
        };
        for (report, resolved) in log.reports.iter().zip(resolved) {
            same.count(report, resolved);
        }
        same.answer = same.judge();
        same.why = same.sentence(self.kernel);
        same
    }
}

impl SameKernel {
    /// Frames that this kernel cannot have printed.
    pub fn refuted(&self) -> usize {
        self.no_symbol + self.wrong_size + self.past_end + self.no_call
    }

    fn count(&mut self, report: &Report, resolved: &Resolved) {
        let own = |f: &kvet_console::Frame| f.module.is_none() && f.reliable;
        let ip = report.ip.iter().zip(&resolved.ip);
        let frames = report.frames.iter().zip(&resolved.frames);
        let further = report.traces.iter().zip(&resolved.traces);
        let further = further.flat_map(|(t, r)| t.frames.iter().zip(&r.frames));
        for (_, resolved) in ip.chain(frames).chain(further).filter(|(f, _)| own(f)) {
            self.count_frame(resolved);
        }
        let code = resolved.code.iter().chain(resolved.traces.iter().filter_map(|t| t.code.as_ref()));
        for view in code {
            match &view.compared {
                Compared::Not(_) => {}
                Compared::Differs { .. } => self.code = (self.code.0 + 1, self.code.1 + 1),
                _ => self.code.0 += 1,
            }
        }
    }

    fn count_frame(&mut self, frame: &ResolvedFrame) {
        match frame.verdict {
            Verdict::NoModule | Verdict::NotChecked => return,
            Verdict::Fits | Verdict::Ambiguous => {}
            Verdict::NoSymbol { .. } => self.no_symbol += 1,
            Verdict::WrongSize { .. } => self.wrong_size += 1,
            Verdict::PastEnd { .. } => self.past_end += 1,
            Verdict::NoCall { .. } | Verdict::InsideInstruction => self.no_call += 1,
        }
        self.checked += 1;
    }

    fn judge(&self) -> Same {
        let refuted = self.refuted();
        let many = refuted > FEW && refuted * 5 > self.checked || refuted != 0 && refuted == self.checked;
        match (self.build_id, self.banner) {
            (Some(false), _) | (None, Some(false)) => Same::No,
            _ if many && (self.build_id.or(self.banner) != Some(true)) => Same::No,
            _ if self.release == Some(false) && self.banner != Some(true) => Same::No,
            _ if refuted > 0 => Same::Partly,
            (Some(true), _) | (_, Some(true)) => Same::Yes,
            _ if self.checked >= 8 => Same::Yes,
            _ => Same::Perhaps,
        }
    }

    fn sentence(&self, kernel: &Image) -> String {
        let mut facts = Vec::new();
        let agree = |yes: bool| if yes { "agrees" } else { "differs" };
        if let Some(yes) = self.build_id {
            facts.push(format!("the build id {}", agree(yes)));
        }
        match (self.banner, self.release) {
            (Some(yes), _) => facts.push(format!("the banner {}", agree(yes))),
            (None, Some(yes)) => facts.push(format!("the release {}", agree(yes))),
            _ => {}
        }
        if self.checked != 0 {
            let mut what = Vec::new();
            for (count, words) in [
                (self.no_symbol, "have no such symbol"),
                (self.wrong_size, "have a symbol of another size"),
                (self.past_end, "lie behind their symbol's end"),
                (self.no_call, "do not follow a call"),
            ] {
                if count != 0 {
                    what.push(format!("{count} {words}"));
                }
            }
            let fitting = self.checked - self.refuted();
            let rest = if what.is_empty() { String::new() } else { format!(" ({})", what.join(", ")) };
            facts.push(format!("{fitting} of {} frames fit{rest}", self.checked));
        }
        if self.code.1 != 0 {
            facts.push(format!("{} of {} Code: lines differ from the file", self.code.1, self.code.0));
        }
        let name = kernel.release().unwrap_or("this kernel");
        let facts = if facts.is_empty() { "nothing to compare".to_owned() } else { facts.join(", ") };
        match self.answer {
            Same::Yes => format!("this log is from {name}: {facts}"),
            Same::Perhaps => format!("nothing shows that this log is not from {name}: {facts}"),
            Same::Partly => format!("parts of this log do not fit {name}: {facts}"),
            Same::No => format!("this log is not from this kernel ({name}): {facts}"),
        }
    }
}

/// One boot with the file's banner is enough: a log may hold several kernels' boots.
fn banner(kernel: &Image, boots: &[Boot]) -> Option<bool> {
    let own = kernel.banner()?;
    let mut seen = None;
    for banner in boots.iter().filter_map(|b| b.banner.as_deref()) {
        let at = banner.find("Linux version ").unwrap_or(0);
        let whole = banner[at..].trim_end();
        // A serial console may cut a line; what there is must agree.
        let agrees = whole == own || whole.len() >= 60 && own.starts_with(whole);
        seen = Some(seen.unwrap_or(false) || agrees);
    }
    seen
}

fn release(kernel: &Image, log: &Log) -> Option<bool> {
    let own = kernel.release()?;
    let of_boots = log.boots.iter().filter_map(|b| b.release.as_deref());
    let mut releases = of_boots.chain(log.reports.iter().filter_map(|r| r.release.as_deref())).peekable();
    releases.peek()?;
    Some(releases.any(|release| release == own))
}

/// `... 6.5.0 #1 abcdef0123456789abcdef0123456789abcdef01` (lib/dump_stack.c, BUILD_ID_FMT).
fn build_id(kernel: &Image, reports: &[Arc<Report>]) -> Option<bool> {
    let own: String = kernel.build_id()?.iter().map(|b| format!("{b:02x}")).collect();
    let mut seen = None;
    for word in reports.iter().filter_map(|r| r.build.as_deref()).flat_map(|b| b.split_whitespace()) {
        if word.len() == own.len() && word.bytes().all(|b| b.is_ascii_hexdigit()) {
            seen = Some(seen.unwrap_or(false) || word.eq_ignore_ascii_case(&own));
        }
    }
    seen
}
