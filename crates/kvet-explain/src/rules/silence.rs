//! Logs that just end, and machines that start again without a word.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    match case.report.kind {
        Kind::Silence => Some(silence(case)),
        Kind::Reset => Some(reset(case)),
        _ => None,
    }
}

fn silence(case: &Case<'_>) -> Diagnosis {
    let report = case.report;
    let when = report.timestamp.map_or_else(String::new, |t| format!(" at {t:.6} s"));
    let last = Evidence {
        says: format!("the kernel's last line{when}"),
        line: Some((report.span.first_line, report.headline.clone())),
    };
    let mut evidence = vec![last];
    let ended =
        ["terminating on signal", "timed out", "timeout", "Timeout", "killed"].iter().find_map(|mark| {
            case.everywhere(mark).into_iter().find(|(number, _)| *number > report.span.last_line)
        });
    let waited = ended.is_some();
    evidence.extend(ended.map(|found| line("somebody waited and then ended it", found)));
    let console = !case.boot().is_some_and(|boot| {
        boot.command_line
            .as_deref()
            .is_some_and(|line| line.contains("earlycon") || line.contains("earlyprintk"))
    });
    Diagnosis {
        cause: "silence",
        summary: format!(
            "The log ends in the middle of the boot{when}, after: {}",
            super::short(&report.headline, 160)
        ),
        confidence: if waited { Confidence::Likely } else { Confidence::Possible },
        evidence,
        advice: {
            let mut advice = sentences([
                "boot with initcall_debug ignore_loglevel: the last `calling` without its `initcall ... returned` is where it stands",
                "ask the guest itself: inject-nmi of QEMU, or `kvet inspect` of its memory, shows what each CPU does and what its log buffer holds beyond the console",
            ]);
            if console {
                advice.push("boot with earlycon (arm64) or earlyprintk=serial (x86): what dies before the console comes up is only in the log buffer".to_owned());
            }
            advice
        },
    }
}

fn reset(case: &Case<'_>) -> Diagnosis {
    let last = case.log.boots.get(case.report.boot).and_then(|boot| match &boot.ending {
        kvet_console::Ending::Silence { text, line, .. } => Some((*line, text.clone())),
        _ => None,
    });
    let mut evidence = vec![Evidence {
        says: "another boot begins without a word of the one before".into(),
        line: Some((case.report.span.first_line, case.report.headline.clone())),
    }];
    match last {
        Some(found) => evidence.push(line("the last line before", found)),
        None => evidence.push(fact("the boot before had not said that it would restart")),
    }
    Diagnosis {
        cause: "reset",
        summary: "The machine started again by itself: a triple fault, a watchdog, or the firmware.".into(),
        confidence: Confidence::Possible,
        evidence,
        advice: sentences([
            "run QEMU with -no-reboot -d int,cpu_reset: the last exception before a triple fault is the cause",
            "look for a watchdog, and for panic=-1 with a console that is not flushed",
        ]),
    }
}
