//! The first process: it cannot be started, or it ended.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, line, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let none = ["No working init found", "No init found", "Requested init "]
        .iter()
        .find(|mark| case.headline_has(mark));
    if let Some(mark) = none {
        let mut evidence = vec![case.shows("no program could be started as init", mark)];
        evidence.extend(case.anywhere("Failed to execute").map(|found| line("this one was tried", found)));
        evidence.extend(
            case.anywhere("exists but couldn't execute it")
                .map(|found| line("this one is there but does not run", found)),
        );
        return Some(Diagnosis {
            cause: "no-init",
            summary: "The root file system is mounted, but no init in it can be executed: it is missing, for another architecture, or its interpreter or libraries are missing.".into(),
            confidence: Confidence::Likely,
            evidence,
            advice: sentences(["check init= and rdinit=, the file's architecture and its loader (error -8: no executable, -2: not there, or its interpreter is not)"]),
        });
    }
    if case.report.kind != Kind::Panic || !case.headline_has("Attempted to kill init") {
        return None;
    }
    let (number, text) = case.says("Attempted to kill init")?;
    let code = super::hex_after(text, "exitcode=");
    let how = code.map(in_words);
    Some(Diagnosis {
        cause: "init-ended",
        summary: match how {
            Some(how) => format!(
                "The first process ended: {how}. What it wrote last, and an oops of its own before, say why."
            ),
            None => "The first process ended. What it wrote last, and an oops of its own before, say why."
                .to_owned(),
        },
        confidence: if code.is_some() { Confidence::Certain } else { Confidence::Likely },
        evidence: vec![line("init must never end", (number, text.to_owned()))],
        advice: sentences([
            "read the lines of user space just before; run the same init with a shell (rdinit=/bin/sh) to see it fail",
        ]),
    })
}

/// A wait status: signal in the low seven bits, else the exit status in the next eight.
fn in_words(code: u64) -> String {
    match (code & 0x7f, code >> 8 & 0xff) {
        (0, status) => format!("it exited with status {status}"),
        (4, _) => "killed by SIGILL, an instruction that this CPU does not have".to_owned(),
        (6, _) => "it aborted (SIGABRT)".to_owned(),
        (7, _) => "killed by SIGBUS".to_owned(),
        (9, _) => "killed by SIGKILL: by the kernel, after an oops or for lack of memory".to_owned(),
        (11, _) => "killed by SIGSEGV".to_owned(),
        (signal, _) => format!("killed by signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn statuses() {
        assert_eq!(in_words(0x100), "it exited with status 1");
        assert!(in_words(0x0b).contains("SIGSEGV"));
        assert!(in_words(9).contains("SIGKILL"));
    }
}
