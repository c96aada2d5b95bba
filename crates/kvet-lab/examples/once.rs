//! Boots a kernel once and prints all that is known of it: `once KERNEL [SMP] [ACCEL] [APPEND]`.
use kvet_lab::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let kernel = std::path::Path::new(&args[1]);
    let image = kvet_image::Image::open(kernel).expect("a kernel");
    let arch = Arch::from(image.arch());
    drop(image);
    let mut machine = Machine::new(arch, kernel);
    if let Some(s) = args.get(2) {
        machine.smp = s.parse().expect("n");
    }
    if let Some(s) = args.get(3) {
        machine.accel = s.clone();
    }
    if let Some(s) = args.get(4) {
        machine.append = s.clone();
    }
    if let Some(s) = args.get(5) {
        machine.initrd = Initrd::Builtin(init::Init::StaticKeys { rounds: s.parse().expect("n") });
    }
    let qemu = Qemu::open(&machine.qemu, &std::env::var_os("PATH").unwrap_or_default()).expect("qemu");
    let Initrd::Builtin(init) = &machine.initrd else { panic!() };
    let initrd = anonymous_with("initrd", &init.initramfs(arch, "abc")).expect("initrd");
    let success = voice::Success::Marker(init::Init::marker("abc"));
    let keep = std::env::var_os("KEEP").map(std::path::PathBuf::from);
    let request = Request {
        machine: &machine,
        qemu: &qemu,
        initrd: Some(&initrd),
        snapshot: None,
        success: &success,
        limits: Limits {
            timeout: std::time::Duration::from_secs(120),
            quiet: std::time::Duration::from_secs(20),
            enough: None,
        },
        complaints_fail: false,
        keep_memory: keep.as_deref(),
        stop: &|| false,
    };
    match run(&request, &mut |m| eprintln!("{}", m.as_str())) {
        Ok(Some((mut boot, console))) => {
            boot.registers = boot.registers.map(|r| r.lines().take(3).collect::<Vec<_>>().join("\n"));
            println!("{}", serde_json::to_string_pretty(&boot).expect("json"));
            std::fs::write("/tmp/lab-console.log", &console.bytes).expect("log");
        }
        Ok(None) => println!("stopped"),
        Err(e) => println!("error: {e}"),
    }
}
