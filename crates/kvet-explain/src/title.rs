//! One line that names a failure, in the style that the field has: `KASAN: slab-use-after-free Read in f`,
//! `BUG: soft lockup in f`, `INFO: task hung in f`, `WARNING in f`.

use kvet_console::{Arch, Kind, Report};

/// A title is not longer than this.
const MAX: usize = 160;

/// The title of a report.
pub fn title(report: &Report, function: Option<&str>) -> String {
    let class = class_of(report);
    let title = match function {
        Some(function) => match report.kind {
            Kind::Kcsan if report.headline.contains(" / ") => class,
            Kind::Panic if is_panic_without_place(&class) => class,
            _ => format!("{class} in {function}"),
        },
        None => class,
    };
    bounded(&title)
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Panics that only announce, whoever called `panic`.
fn is_panic_without_place(class: &str) -> bool {
    ["Attempted to kill init", "VFS: ", "No working init", "Requested init", "sysrq", "IO-APIC"]
        .iter()
        .any(|w| class.contains(w))
}

/// The class of the failure as titles have it, without the function.
pub fn class_of(report: &Report) -> String {
    let headline = report.headline.as_str();
    match report.kind {
        Kind::Kasan => format!("KASAN: {}{}", what(headline, "KASAN: "), access(report)),
        Kind::Kmsan => format!("KMSAN: {}", what(headline, "KMSAN: ")),
        Kind::Kcsan => kcsan(headline),
        Kind::Kfence => format!("KFENCE: {}", what(headline, "KFENCE: ")),
        Kind::Ubsan => format!("UBSAN: {}", what(headline, "UBSAN: ").to_lowercase()),
        Kind::PageFault => page_fault(report),
        Kind::GeneralProtection => "general protection fault".into(),
        Kind::Warning => warning(headline),
        Kind::Refcount => "WARNING: refcount bug".into(),
        Kind::Bug => bug(report),
        Kind::SoftLockup => "BUG: soft lockup".into(),
        Kind::HardLockup => "BUG: hard lockup".into(),
        Kind::RcuStall => "INFO: rcu detected stall".into(),
        Kind::HungTask => "INFO: task hung".into(),
        Kind::Lockdep => lockdep(headline),
        Kind::Breakpoint if is_arm(report) => "BRK".into(),
        Kind::Breakpoint => "int3".into(),
        Kind::InvalidOpcode if is_arm(report) => "undefined instruction".into(),
        Kind::InvalidOpcode => "invalid opcode".into(),
        Kind::DoubleFault => "PANIC: double fault".into(),
        Kind::StackOverflow if headline.contains("guard page") => "BUG: stack guard page was hit".into(),
        Kind::StackOverflow if headline.contains("corrupted") => normal(headline),
        Kind::StackOverflow => "kernel stack overflow".into(),
        Kind::Leak => "memory leak".into(),
        Kind::SleepingInAtomic if headline.contains("scheduling while") => {
            "BUG: scheduling while atomic".into()
        }
        Kind::SleepingInAtomic => "BUG: sleeping function called from invalid context".into(),
        Kind::Panic => format!("kernel panic: {}", normal(after(headline, "not syncing: "))),
        Kind::Patching => patching(headline),
        Kind::Btf => {
            headline.split(" BTF: ").next().map(|head| format!("{} BTF", bounded(head))).unwrap_or_default()
        }
        Kind::Rootfs => format!("kernel panic: {}", normal(after(headline, "not syncing: "))),
        Kind::Reset => "unexpected kernel reboot".into(),
        Kind::Silence => "no more output".into(),
        Kind::Slab | Kind::OutOfMemory | Kind::Oops => oops(headline),
        _ => normal(headline),
    }
}

fn is_arm(report: &Report) -> bool {
    matches!(report.arch, Some(Arch::Arm64 | Arch::Arm))
}

fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or(text, |(_, rest)| rest)
}

/// `use-after-free` of `BUG: KASAN: use-after-free in f+0x1/0x2`.
fn what<'a>(headline: &'a str, mark: &str) -> &'a str {
    let rest = after(headline, mark);
    rest.split(" in ").next().unwrap_or(rest).trim()
}

/// ` Read` or ` Write`, as KASAN's second line says.
fn access(report: &Report) -> &'static str {
    let wrote = report.object.as_ref().and_then(|object| object.access).map(|(_, wrote)| wrote);
    let told = || {
        let says = |word: &str| report.details.iter().any(|(_, text)| text.trim_start().starts_with(word));
        if says("Write of size") { Some(true) } else { says("Read of size").then_some(false) }
    };
    match wrote.or_else(told) {
        Some(true) => " Write",
        Some(false) => " Read",
        None => "",
    }
}

fn kcsan(headline: &str) -> String {
    let rest = after(headline, "KCSAN: ");
    let Some((what, racers)) = rest.split_once(" in ") else { return format!("KCSAN: {}", normal(rest)) };
    let names: Vec<&str> = racers
        .split(" / ")
        .map(|racer| racer.trim().split(['+', ' ']).next().unwrap_or(""))
        .filter(|r| !r.is_empty())
        .collect();
    match names.len() {
        2 => format!("KCSAN: {what} in {}", names.join(" / ")),
        _ => format!("KCSAN: {what}"),
    }
}

fn page_fault(report: &Report) -> String {
    let headline = report.headline.as_str();
    let what = if headline.contains("NULL pointer") {
        "NULL pointer dereference"
    } else if headline.contains("user memory") {
        "access to user memory"
    } else if headline.contains("read-only memory") || headline.contains("write to read-only") {
        "write to read-only memory"
    } else if headline.contains("execute from non-executable") {
        "execute from non-executable memory"
    } else if headline.starts_with("Unhandled fault") || headline.starts_with("Internal error") {
        return oops(headline);
    } else {
        "paging request"
    };
    format!("BUG: unable to handle kernel {what}")
}

fn warning(headline: &str) -> String {
    // What follows the place is the warning's own text; the place has no part in the title.
    let known = [
        ("ODEBUG", "WARNING: ODEBUG bug"),
        ("refcount", "WARNING: refcount bug"),
        ("suspicious RCU", "WARNING: suspicious RCU usage"),
    ];
    known.iter().find(|(mark, _)| headline.contains(mark)).map_or("WARNING", |(_, title)| title).to_owned()
}

fn bug(report: &Report) -> String {
    let headline = report.headline.as_str();
    if headline.contains("kernel BUG at") || headline.contains("kernel BUG ") {
        return "kernel BUG".into();
    }
    if headline.contains("list_add") || headline.contains("list_del") || headline.contains("corruption") {
        return "BUG: corrupted list".into();
    }
    if headline.contains("in preemptible") {
        return format!(
            "{} in preemptible code",
            normal(headline.split(" in preemptible").next().unwrap_or(headline))
        );
    }
    oops(headline)
}

fn lockdep(headline: &str) -> String {
    let known = [
        ("circular locking", "possible deadlock"),
        ("recursive locking", "possible deadlock"),
        ("irq lock inversion", "possible deadlock"),
        ("lock order detected", "possible deadlock"),
        ("irq-safe", "possible deadlock"),
        ("irq-unsafe", "possible deadlock"),
        ("inconsistent lock state", "inconsistent lock state"),
        ("suspicious RCU", "WARNING: suspicious RCU usage"),
        ("bad unlock balance", "WARNING: bad unlock balance"),
        ("held lock freed", "BUG: held lock freed"),
        ("still has locks held", "WARNING: still has locks held"),
        ("still held when returning", "WARNING: lock held when returning to user space"),
        ("returning to user space", "WARNING: lock held when returning to user space"),
        ("nested lock was not taken", "WARNING: nested lock was not taken"),
        ("non-static key", "INFO: trying to register non-static key"),
        ("Invalid wait context", "WARNING: invalid wait context"),
    ];
    match known.iter().find(|(mark, _)| headline.contains(mark)) {
        Some((_, title)) => (*title).to_owned(),
        None => normal(headline),
    }
}

fn patching(headline: &str) -> String {
    let known = [
        ("unexpected op", "jump_label: unexpected op"),
        ("missing return thunk", "missing return thunk"),
        ("static_call insn opcode", "static_call: unexpected opcode"),
        ("static_call", "static_call bug"),
        ("Bad alt region", "alternatives: bad region"),
    ];
    match known.iter().find(|(mark, _)| headline.contains(mark)) {
        Some((_, title)) => (*title).to_owned(),
        None => normal(headline),
    }
}

/// The headline up to its addresses and numbers.
fn oops(headline: &str) -> String {
    let head = headline.split(": 0x").next().unwrap_or(headline);
    let head = head.split(" [#").next().unwrap_or(head);
    let head = head.split(" at ").next().unwrap_or(head);
    normal(head).trim_end_matches([':', ' ']).to_owned()
}

/// A text with its numbers and addresses made equal.
pub fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX * 2));
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        normal_word(word, &mut out);
        if out.len() > MAX * 2 {
            break;
        }
    }
    bounded(&out)
}

/// A digit inside of a name stays (`ext4`, `x86`); a number by itself and an address go.
fn normal_word(word: &str, out: &mut String) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let run =
            if is_part(first) { rest.find(|c| !is_part(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (part, after) = rest.split_at(run);
        let hex = part.strip_prefix("0x").unwrap_or(part);
        let is_hex = hex.bytes().all(|b| b.is_ascii_hexdigit()) && !hex.is_empty();
        let has_digit = hex.bytes().any(|b| b.is_ascii_digit());
        if part.bytes().all(|b| b.is_ascii_digit()) && hex.len() < 8 {
            out.push_str("NUM");
        } else if is_hex && (hex.len() < part.len() || hex.len() >= 8 && has_digit) {
            out.push_str("ADDR");
        } else {
            out.push_str(part);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::report;

    fn of(kind: Kind, headline: &str, function: Option<&str>) -> String {
        let mut report = report(kind);
        report.headline = headline.to_owned();
        title(&report, function)
    }

    #[test]
    fn titles_are_the_fields() {
        let mut kasan = report(Kind::Kasan);
        kasan.headline = "BUG: KASAN: slab-use-after-free in ip6_fragment+0x1/0x2".into();
        kasan.details.push((2, "Read of size 8 at addr ffff888 by task x/1".into()));
        assert_eq!(title(&kasan, Some("ip6_fragment")), "KASAN: slab-use-after-free Read in ip6_fragment");
        assert_eq!(
            of(Kind::SoftLockup, "watchdog: BUG: soft lockup - CPU#0 stuck", Some("f")),
            "BUG: soft lockup in f"
        );
        assert_eq!(of(Kind::Warning, "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2", Some("f")), "WARNING in f");
        assert_eq!(
            of(
                Kind::Kcsan,
                "BUG: KCSAN: data-race in find_next_bit / rcu_report_exp_cpu_mult",
                Some("find_next_bit")
            ),
            "KCSAN: data-race in find_next_bit / rcu_report_exp_cpu_mult"
        );
        assert_eq!(
            of(
                Kind::PageFault,
                "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008",
                Some("f")
            ),
            "BUG: unable to handle kernel NULL pointer dereference in f"
        );
        assert_eq!(
            of(
                Kind::Rootfs,
                "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
                None
            ),
            "kernel panic: VFS: Unable to mount root fs on unknown-block(NUM,NUM)"
        );
    }

    #[test]
    fn numbers_are_made_equal_and_names_stay() {
        assert_eq!(
            normal("ext4 x86_64 v2 took 15 ms at 0xffff8880 (ffffffff81000000)"),
            "ext4 x86_64 v2 took NUM ms at ADDR (ADDR)"
        );
        assert_eq!(normal("unknown-block(8,17)"), "unknown-block(NUM,NUM)");
        assert!(normal(&"x ".repeat(5000)).len() <= MAX + 3);
    }
}
