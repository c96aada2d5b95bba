//! Which accelerator works here: proved by booting, for a device file proves nothing.
//!
//! `/dev/kvm` may be there, open, and make guests that never say a word. The proof is the campaign's own kernel
//! with the minimal init; its answer is remembered for this host, this QEMU and this kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::boot::{Limits, Request, run};
use crate::init::Init;
use crate::machine::{Arch, Machine};
use crate::outcome::Outcome;
use crate::voice::{Milestone, Success};
use crate::{Error, Kernel, Qemu, memory};

/// The accelerator to use.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proof {
    /// `kvm` or `tcg`.
    pub accel: String,
    /// Why it is not KVM.
    pub why_not: Option<String>,
}

/// A guest under KVM says its first word in a tenth of a second; this is for a host under load.
const FIRST_WORD: Duration = Duration::from_secs(6);
/// All of a boot under KVM takes a second or two.
const WHOLE: Duration = Duration::from_secs(30);

/// Finds the accelerator for a kernel. `cache` is a directory for what was found; without it, the proof is made
/// again each time.
///
/// # Errors
/// The proof cannot be tried (no memory for its init).
pub fn prove(kernel: &Kernel, qemu: &Qemu, cpu: Option<&str>, cache: Option<&Path>) -> Result<Proof, Error> {
    let tcg = |why: String| Proof { accel: "tcg".into(), why_not: Some(why) };
    let native = match kernel.arch {
        Arch::X86_64 => "x86_64",
        Arch::Arm64 => "aarch64",
    };
    if rustix::system::uname().machine().to_bytes() != native.as_bytes() {
        return Ok(Proof { accel: "tcg".into(), why_not: None });
    }
    if let Err(why) = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Ok(tcg(format!("KVM is not used: /dev/kvm: {why}")));
    }
    let file = cache.map(|c| c.join(cache_name(kernel, qemu, cpu)));
    if let Some(known) = file.as_deref().and_then(remembered) {
        return Ok(known);
    }
    let proof = match try_kvm(kernel, qemu, cpu)? {
        Ok(()) => Proof { accel: "kvm".into(), why_not: None },
        Err(why) => tcg(format!("KVM is not used: {why}")),
    };
    if let Some(file) = file {
        // It is only remembered to save time.
        let _ = remember(&file, &proof);
    }
    Ok(proof)
}

/// A boot under KVM; the inner error is why it does not work.
fn try_kvm(kernel: &Kernel, qemu: &Qemu, cpu: Option<&str>) -> Result<Result<(), String>, Error> {
    let mut machine = Machine::new(kernel.arch, &kernel.path);
    machine.qemu = qemu.path.clone();
    machine.accel = "kvm".into();
    machine.cpu = cpu.map(str::to_owned);
    let nonce = "accelerator";
    let initrd = memory::anonymous_with("kvet-init", &Init::Minimal.initramfs(kernel.arch, nonce))
        .map_err(Error::io("a file in memory"))?;
    let success = Success::Marker(Init::marker(nonce));
    let request = Request {
        machine: &machine,
        qemu,
        initrd: Some(&initrd),
        snapshot: None,
        success: &success,
        limits: Limits { timeout: WHOLE, quiet: FIRST_WORD, enough: None },
        complaints_fail: false,
        keep_memory: None,
        stop: &|| false,
    };
    let mut last = None;
    Ok(match run(&request, &mut |milestone| last = Some(milestone)) {
        Ok(Some((boot, _))) if boot.outcome == Outcome::Passed => Ok(()),
        Ok(Some((boot, _))) => Err(match last {
            None => format!("a guest under it said nothing for {:.0} s", boot.wall_s),
            Some(last) => format!(
                "a guest under it came no further than \"{}\": {}",
                Milestone::as_str(last),
                boot.title.unwrap_or_else(|| boot.last_line.clone())
            ),
        }),
        Ok(None) => Err("the proof was stopped".into()),
        Err(Error::Refused { why }) => {
            Err(format!("QEMU refuses it: {}", why.lines().last().unwrap_or_default()))
        }
        Err(other) => return Err(other),
    })
}

/// What the answer depends on, as a file name: the kernel, QEMU, the CPU model, and the host's kernel and boot.
fn cache_name(kernel: &Kernel, qemu: &Qemu, cpu: Option<&str>) -> PathBuf {
    let uname = rustix::system::uname();
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let facts = format!(
        "{} {} {} {} {}",
        kernel.sha256,
        qemu.sha256,
        cpu.unwrap_or_default(),
        uname.release().to_string_lossy(),
        boot_id.trim()
    );
    let digest = <sha2::Sha256 as sha2::Digest>::digest(facts.as_bytes());
    format!("kvm-{}.json", &crate::qemu::hex(&digest)[..24]).into()
}

fn remembered(file: &Path) -> Option<Proof> {
    let mut proof: Proof = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    if let Some(why) = &mut proof.why_not {
        why.push_str(" (remembered from an earlier proof)");
    }
    Some(proof)
}

fn remember(file: &Path, proof: &Proof) -> std::io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(file, serde_json::to_vec(proof)?)
}
