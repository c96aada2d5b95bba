//! Boots whose QEMU is a script: it does at will what a real one does once in a thousand.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use kvet_lab::voice::Success;
use kvet_lab::{Arch, Boot, Console, Error, Initrd, Limits, Machine, Outcome, Qemu, Request, run};

/// A QEMU: `behaviour` is shell that writes to the console by `say` and to QMP by `event`.
struct Fake {
    directory: tempfile::TempDir,
}

impl Fake {
    fn new(behaviour: &str) -> Fake {
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            r#"#!/usr/bin/env bash
for arg; do
    case $arg in
        --version) echo 'QEMU emulator version 9.9.9 (fake)'; exit 0;;
        file,id=kvet-serial,path=/proc/self/fd/*) serial=${{arg##*/}};;
        socket,id=kvet-qmp,fd=*) qmp=${{arg##*=}};;
    esac
done
say() {{ printf '%s\r\n' "$@" >&"$serial"; }}
event() {{ printf '{{"event": "%s", "data": {{"reason": "%s"}}}}\r\n' "$1" "$2" >&"$qmp"; }}
hello() {{ printf '{{"QMP": {{}}}}\r\n' >&"$qmp"; }}
{behaviour}
"#
        );
        let path = directory.path().join("qemu");
        // A shell writes it: a descriptor of ours, inherited by what another test starts at that moment, would make
        // the file busy.
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        Fake { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("qemu")
    }

    fn boot(&self, quiet: f64) -> Result<(Boot, Console), Error> {
        let qemu = Qemu::open(&self.path(), "".as_ref())?;
        let mut machine = Machine::new(Arch::X86_64, Path::new("/boot/kernel"));
        machine.qemu = self.path();
        machine.initrd = Initrd::None;
        let request = Request {
            machine: &machine,
            qemu: &qemu,
            initrd: None,
            snapshot: None,
            success: &Success::Marker("all is well".into()),
            limits: Limits {
                timeout: Duration::from_secs(60),
                quiet: Duration::from_secs_f64(quiet),
                enough: None,
            },
            complaints_fail: false,
            keep_memory: None,
            stop: &|| false,
        };
        run(&request, &mut |_| {}).map(|ended| ended.expect("nobody stops it"))
    }
}

#[test]
fn a_panic_with_exit_status_0_has_failed() {
    let fake = Fake::new("hello; say '[    1.000000] Kernel panic - not syncing: oh no'; exit 0");
    let (boot, console) = fake.boot(30.0).unwrap();
    assert_eq!(boot.outcome, Outcome::Failed, "{boot:?}");
    assert_eq!((boot.kind.as_deref(), boot.exit_code), (Some("panic"), Some(0)));
    assert_eq!(console.bytes, b"[    1.000000] Kernel panic - not syncing: oh no\r\n");
}

#[test]
fn a_panic_is_not_waited_for_and_said_to_be_told_soon() {
    let fake = Fake::new("hello; say '[    1.000000] Kernel panic - not syncing: oh no'; exec sleep 600");
    let (boot, _) = fake.boot(30.0).unwrap();
    assert_eq!(boot.outcome, Outcome::Failed);
    // 0.15 s of silence in the guest's own time; more only where the host is starved.
    let bound = 0.2 / boot.pressure.share_at_end.max(0.05) + 0.1;
    assert!(boot.decided_after_s < bound, "{} s, share {}", boot.decided_after_s, boot.pressure.share_at_end);
}

#[test]
fn a_killed_qemu_is_the_emulators() {
    let fake = Fake::new("hello; say '[    1.000000] Linux version 6.1'; kill -9 $$");
    let (boot, _) = fake.boot(30.0).unwrap();
    assert_eq!((boot.outcome, boot.exit_signal), (Outcome::Emulator, Some(9)), "{boot:?}");
    assert!(boot.title.unwrap().contains("signal 9"));
}

#[test]
fn a_qemu_that_aborts_says_why() {
    let fake = Fake::new("hello; say x; echo 'qemu: assertion failed' >&2; exit 134");
    let (boot, _) = fake.boot(30.0).unwrap();
    assert_eq!((boot.outcome, boot.exit_code), (Outcome::Emulator, Some(134)));
    assert_eq!(boot.emulator_said, "qemu: assertion failed");
}

#[test]
fn a_refused_machine_is_an_error_and_no_boot() {
    let fake = Fake::new("echo 'qemu: unable to find CPU model' >&2; exit 1");
    let error = fake.boot(30.0).expect_err("refused");
    assert_eq!(error.to_string(), "QEMU refuses this machine: qemu: unable to find CPU model");
}

#[test]
fn a_reset_without_a_word_has_failed() {
    let fake = Fake::new(
        "hello; say '[    1.000000] Linux version 6.1'; event SHUTDOWN guest-reset; exec sleep 600",
    );
    let (boot, _) = fake.boot(30.0).unwrap();
    assert_eq!((boot.outcome, boot.kind.as_deref()), (Outcome::Failed, Some("reset")));
    assert!(boot.title.unwrap().contains("Linux version 6.1"));
}

#[test]
fn success_and_a_power_off_have_passed() {
    let fake = Fake::new("hello; say 'all is well'; event SHUTDOWN guest-shutdown; exec sleep 600");
    let (boot, _) = fake.boot(30.0).unwrap();
    assert_eq!(boot.outcome, Outcome::Passed, "{boot:?}");
    assert!(boot.wall_s < 20.0);
    let silent = Fake::new("hello; event SHUTDOWN guest-shutdown; exec sleep 600");
    let (boot, _) = silent.boot(30.0).unwrap();
    assert_eq!((boot.outcome, boot.kind.as_deref()), (Outcome::Failed, Some("no-success")));
}

#[test]
fn silence_is_a_hang() {
    let fake = Fake::new("hello; say '[    1.000000] smp: Bringing up secondary CPUs ...'; exec sleep 600");
    let (boot, _) = fake.boot(1.0).unwrap();
    assert_eq!((boot.outcome, boot.kind.as_deref()), (Outcome::Hung, Some("silence")));
    assert!(boot.title.unwrap().contains("Bringing up secondary CPUs"));
    let from_the_start = Fake::new("hello; exec sleep 600").boot(1.0).unwrap().0;
    assert_eq!(from_the_start.outcome, Outcome::Hung);
    assert_eq!(from_the_start.console_bytes, 0);
}

#[test]
fn a_flood_is_judged_and_takes_bounded_memory() {
    // 200 MB in lines, then the verdict.
    let fake = Fake::new(
        "hello; yes '[    1.000000] the same line again and again and again' | head -c 200000000 >&$serial
         printf '\\r\\n' >&$serial; say 'all is well'; event SHUTDOWN guest-shutdown; exec sleep 600",
    );
    let (boot, console) = fake.boot(30.0).unwrap();
    assert_eq!(boot.outcome, Outcome::Passed, "{:?}", boot.title);
    assert!(boot.console_bytes > 200_000_000);
    assert!(console.bytes.len() < 5 << 20);
    assert!(console.bytes.ends_with(b"all is well\r\n"));
}

#[test]
fn a_qemu_that_never_says_hello_is_not_waited_for_in_vain() {
    let fake = Fake::new("exec sleep 600");
    let (boot, _) = fake.boot(1.0).unwrap();
    assert_eq!(boot.outcome, Outcome::Hung);
}

const LOCKUP: &str = "say '[   30.000000] watchdog: BUG: soft lockup - CPU#2 stuck for 22s! [init:1]' \
    '[   30.000001] CPU: 2 PID: 1 Comm: init Not tainted 6.1.0 #1' '[   30.000002] RIP: 0010:f+0x1/0x2'";

#[test]
fn a_guest_that_stands_still_after_its_watchdog_has_failed() {
    let fake = Fake::new(&format!("hello; {LOCKUP}; exec sleep 600"));
    let (boot, _) = fake.boot(120.0).unwrap();
    assert_eq!((boot.outcome, boot.kind.as_deref()), (Outcome::Failed, Some("soft-lockup")), "{boot:?}");
}

#[test]
fn a_guest_that_goes_on_after_its_watchdog_is_heard_to_its_end() {
    let fake = Fake::new(&format!(
        "hello; {LOCKUP}; sleep 1; say '[   40.000000] kvet-init: round 1'; say 'all is well'
         event SHUTDOWN guest-shutdown; exec sleep 600"
    ));
    let (boot, _) = fake.boot(120.0).unwrap();
    // Its kernel said something that it should not say; only a busy host excuses that.
    let expected = if boot.pressure.share() < 0.5 { Outcome::Starved } else { Outcome::Failed };
    assert_eq!((boot.outcome, boot.kind.as_deref()), (expected, Some("soft-lockup")), "{boot:?}");
    assert!(boot.milestones.iter().any(|(m, _)| *m == kvet_lab::voice::Milestone::Success));
}
