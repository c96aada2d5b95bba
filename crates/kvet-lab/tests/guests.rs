//! Boots with a real QEMU: guests of a few bytes that misbehave in known ways, and real kernels.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use kvet_lab::init::Init;
use kvet_lab::voice::Success;
use kvet_lab::{Arch, Boot, Console, Initrd, Limits, Machine, Outcome, Qemu, Request, anonymous_with, run};

/// The emulator, or the reason to skip.
fn qemu(arch: Arch) -> Option<Qemu> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match Qemu::open(Path::new(arch.emulator()), &path) {
        Ok(qemu) => Some(qemu),
        Err(why) => {
            eprintln!("skipped: {why}");
            None
        }
    }
}

fn kernel(name: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("KVET_KERNELS") else {
        eprintln!("skipped: KVET_KERNELS is not set, no real kernel is booted");
        return None;
    };
    let path = Path::new(&directory).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn boot(
    machine: &Machine,
    qemu: &Qemu,
    success: &Success,
    seconds: f64,
    keep: Option<&Path>,
) -> (Boot, Console) {
    let archive = match machine.initrd {
        Initrd::Builtin(init) => init.initramfs(machine.arch, NONCE),
        _ => Vec::new(),
    };
    let initrd = anonymous_with("init", &archive).unwrap();
    let request = Request {
        machine,
        qemu,
        initrd: matches!(machine.initrd, Initrd::Builtin(_)).then_some(&initrd),
        snapshot: None,
        success,
        limits: Limits {
            timeout: Duration::from_secs(240),
            quiet: Duration::from_secs_f64(seconds),
            enough: None,
        },
        complaints_fail: false,
        keep_memory: keep,
        stop: &|| false,
    };
    run(&request, &mut |_| {}).unwrap().unwrap()
}

const NONCE: &str = "5eed";

/// An ELF file that QEMU starts in 32-bit protected mode through its PVH note (XEN_ELFNOTE_PHYS32_ENTRY, 18).
fn pvh(code: &[u8]) -> Vec<u8> {
    const LOAD: u64 = 0x10_0000;
    let mut note = Vec::new();
    for field in [4u32, 8, 18] {
        note.extend(field.to_le_bytes());
    }
    note.extend(b"Xen\0");
    note.extend(LOAD.to_le_bytes());
    let note_at = 64 + 2 * 56;
    let code_at = 4096u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(2u16.to_le_bytes());
    file.extend(62u16.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for field in [LOAD, 64, 0] {
        file.extend(u64::to_le_bytes(field));
    }
    file.extend(0u32.to_le_bytes());
    for field in [64, 56, 2, 64, 0, 0] {
        file.extend(u16::to_le_bytes(field));
    }
    let headers =
        [(1u32, 7u32, code_at, LOAD, code.len() as u64, 4096), (4, 4, note_at, 0, note.len() as u64, 4)];
    for (kind, flags, offset, address, size, align) in headers {
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for field in [offset, address, address, size, size, align] {
            file.extend(field.to_le_bytes());
        }
    }
    file.extend(note);
    file.resize(code_at as usize, 0);
    file.extend(code);
    file
}

/// `mov dx, 0x3f8` and a byte to the serial port for each character.
fn print(text: &str) -> Vec<u8> {
    let mut code = vec![0x66, 0xba, 0xf8, 0x03];
    for byte in text.bytes() {
        code.extend([0xb0, byte, 0xee]);
    }
    code
}

fn tiny(code: &[u8], seconds: f64) -> Option<(Boot, Console)> {
    let qemu = qemu(Arch::X86_64)?;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("guest");
    std::fs::write(&file, pvh(code)).unwrap();
    let mut machine = Machine::new(Arch::X86_64, &file);
    machine.initrd = Initrd::None;
    machine.memory_mib = 64;
    Some(boot(&machine, &qemu, &Success::Marker("all is well".into()), seconds, None))
}

/// `lidt` of an empty table, then `int3`: no handler for the fault, none for the fault's fault.
const TRIPLE_FAULT: [u8; 8] = [0x0f, 0x01, 0x1d, 0xf0, 0xff, 0x1f, 0x00, 0xcc];
/// `cli`, `hlt`, and again if something wakes it.
const STAND_STILL: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfd];
/// Ports of pc: 0x604 is the ACPI control register where SeaBIOS puts it, 0x2000 is S5.
const POWER_OFF: [u8; 10] = [0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef];

#[test]
fn a_guest_that_says_its_success_and_powers_off_has_passed() {
    let code = [print("all is well\n"), POWER_OFF.to_vec(), STAND_STILL.to_vec()].concat();
    let Some((boot, console)) = tiny(&code, 10.0) else { return };
    assert_eq!(boot.outcome, Outcome::Passed, "{boot:?}");
    assert_eq!(console.bytes, b"all is well\n");
    assert_eq!(boot.events.first().map(String::as_str), Some("SHUTDOWN guest-shutdown"));
}

#[test]
fn a_triple_fault_is_a_reset_with_registers() {
    let code = [print("[    0.000000] Linux version 0.0\n"), TRIPLE_FAULT.to_vec()].concat();
    let Some((boot, _)) = tiny(&code, 10.0) else { return };
    assert_eq!((boot.outcome, boot.kind.as_deref()), (Outcome::Failed, Some("reset")), "{boot:?}");
    assert!(boot.title.unwrap().contains("Linux version 0.0"));
    assert!(boot.registers.unwrap().contains("EIP="), "the guest is looked at before it is let go");
}

#[test]
fn a_silent_stop_is_a_hang_with_registers() {
    let Some((boot, console)) = tiny(&STAND_STILL, 2.0) else { return };
    assert_eq!((boot.outcome, boot.kind.as_deref()), (Outcome::Hung, Some("silence")), "{boot:?}");
    assert!(console.bytes.is_empty());
    assert!(boot.registers.unwrap().contains("HLT=1"));
}

#[test]
fn an_endless_flood_ends_at_the_timeout() {
    // `mov dx, 0x3f8; mov al, 'x'; out dx, al; jmp` back to the `out`.
    let flood = [0x66, 0xba, 0xf8, 0x03, 0xb0, b'x', 0xee, 0xeb, 0xfd];
    let Some(qemu) = qemu(Arch::X86_64) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("guest");
    std::fs::write(&file, pvh(&flood)).unwrap();
    let mut machine = Machine::new(Arch::X86_64, &file);
    machine.initrd = Initrd::None;
    machine.memory_mib = 64;
    let success = Success::Marker("all is well".into());
    let request = Request {
        machine: &machine,
        qemu: &qemu,
        initrd: None,
        snapshot: None,
        success: &success,
        limits: Limits { timeout: Duration::from_secs(3), quiet: Duration::from_secs(3), enough: None },
        complaints_fail: false,
        keep_memory: None,
        stop: &|| false,
    };
    let (boot, console) = run(&request, &mut |_| {}).unwrap().unwrap();
    assert!(matches!(boot.outcome, Outcome::Hung | Outcome::Starved), "{boot:?}");
    // On a busy host three seconds may not even start it.
    assert!(boot.console_bytes > 10_000 || boot.outcome == Outcome::Starved, "{boot:?}");
    assert!(console.bytes.len() < 5 << 20);
}

#[test]
fn an_unknown_cpu_is_refused_in_qemus_words() {
    let Some(qemu) = qemu(Arch::X86_64) else { return };
    let mut machine = Machine::new(Arch::X86_64, Path::new("/dev/null"));
    machine.initrd = Initrd::None;
    machine.cpu = Some("no-such-cpu".into());
    let success = Success::Ordinary;
    let limits = Limits { timeout: Duration::from_secs(60), quiet: Duration::from_secs(60), enough: None };
    let request = Request {
        machine: &machine,
        qemu: &qemu,
        initrd: None,
        snapshot: None,
        success: &success,
        limits,
        complaints_fail: false,
        keep_memory: None,
        stop: &|| false,
    };
    let error = run(&request, &mut |_| {}).expect_err("refused");
    assert!(error.to_string().contains("no-such-cpu"), "{error}");
}

#[test]
fn real_kernels_reach_the_built_in_init() {
    let kernels = [
        (Arch::X86_64, "6.1.0-56-cloud-amd64.vmlinuz"),
        (Arch::X86_64, "6.12.117+deb12-cloud-amd64.vmlinuz"),
        (Arch::X86_64, "7.3.4+deb13-cloud-amd64.vmlinuz"),
        (Arch::Arm64, "6.1.0-56-cloud-arm64.Image"),
        (Arch::Arm64, "6.12.117+deb12-cloud-arm64.Image"),
        (Arch::Arm64, "7.3.4+deb13-cloud-arm64.Image"),
    ];
    for (arch, name) in kernels {
        let (Some(path), Some(qemu)) = (kernel(name), qemu(arch)) else { continue };
        let machine = Machine::new(arch, &path);
        let (boot, _) = boot(&machine, &qemu, &Success::Marker(Init::marker(NONCE)), 60.0, None);
        assert_eq!(boot.outcome, Outcome::Passed, "{name}: {boot:?}");
        assert_eq!(boot.last_line, "reboot: Power down");
    }
}

#[test]
fn the_stress_patches_the_text_of_real_kernels() {
    for (arch, name) in
        [(Arch::X86_64, "6.1.0-56-cloud-amd64.vmlinuz"), (Arch::Arm64, "6.1.0-56-cloud-arm64.Image")]
    {
        let (Some(path), Some(qemu)) = (kernel(name), qemu(arch)) else { continue };
        let mut machine = Machine::new(arch, &path);
        machine.initrd = Initrd::Builtin(Init::StaticKeys { rounds: 60 });
        let (boot, console) = boot(&machine, &qemu, &Success::Marker(Init::marker(NONCE)), 60.0, None);
        assert_eq!(boot.outcome, Outcome::Passed, "{name}: {boot:?}");
        let text = String::from_utf8_lossy(&console.bytes);
        assert!(text.contains("static keys toggled, round 60 of 60"), "{text}");
    }
}

#[test]
fn a_seed_is_a_boot_and_another_seed_another() {
    let (Some(qemu), Some(kernel)) = (qemu(Arch::X86_64), kernel("6.1.0-56-cloud-amd64.vmlinuz")) else {
        return;
    };
    let console = |seed| {
        let mut machine = Machine::new(Arch::X86_64, &kernel);
        machine.seed = Some(seed);
        let (boot, console) = boot(&machine, &qemu, &Success::Marker(Init::marker(NONCE)), 60.0, None);
        assert_eq!(boot.outcome, Outcome::Passed, "{:?}", boot.title);
        console.bytes
    };
    let first = console(7);
    assert_eq!(first, console(7));
    assert_ne!(first, console(8));
}

#[test]
fn a_real_panic_is_told_in_the_kernels_words() {
    let Some(path) = kernel("6.1.0-56-cloud-amd64.vmlinuz") else { return };
    let Some(qemu) = qemu(Arch::X86_64) else { return };
    let mut machine = Machine::new(Arch::X86_64, &path);
    // A busy host makes the timer check panic.
    machine.append = "no_timer_check".into();
    machine.initrd = Initrd::None;
    let keep = tempfile::tempdir().unwrap();
    let memory = keep.path().join("panic.memory");
    let (boot, _) = boot(&machine, &qemu, &Success::Ordinary, 60.0, Some(&memory));
    assert_eq!((boot.outcome, boot.kind.as_deref()), (Outcome::Failed, Some("rootfs")), "{boot:?}");
    assert!(boot.registers.unwrap().contains("RIP="));
    // The log is in the guest's memory as well as on its console.
    let bytes = std::fs::read(boot.memory.unwrap()).unwrap();
    assert_eq!(bytes.len(), 512 << 20);
    assert!(memchr::memmem::find(&bytes, b"Unable to mount root fs").is_some());
}

#[test]
fn a_real_hang_tells_where_it_is() {
    let Some(path) = kernel("6.1.0-56-cloud-amd64.vmlinuz") else { return };
    let Some(qemu) = qemu(Arch::X86_64) else { return };
    let mut machine = Machine::new(Arch::X86_64, &path);
    // A busy host makes the timer check panic.
    machine.append = "no_timer_check".into();
    machine.initrd = Initrd::Builtin(Init::Wait);
    let (boot, console) = boot(&machine, &qemu, &Success::Marker("never said".into()), 10.0, None);
    assert_eq!(boot.outcome, Outcome::Hung, "{boot:?}");
    let text = String::from_utf8_lossy(&console.bytes);
    assert!(text.contains("NMI"), "the NMI makes the guest speak: {text}");
    let answer = boot.reports.last().expect("an answer");
    let line = text.lines().nth(answer.line as usize - 1).unwrap_or_default();
    assert!(line.contains(&answer.headline), "{line:?} is where {answer:?} begins");
    assert!(boot.title.unwrap().starts_with("no progress, after: "));
}
