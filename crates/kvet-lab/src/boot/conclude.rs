//! The end of a boot: what can be learned of the guest before it is let go, and the verdict.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Boot, Guest, PATIENCE, Request, STUCK};
use crate::capture::Console;
use crate::machine::Arch;
use crate::outcome::{EndedBy, Evidence, judge};
use crate::{autopsy, memory, voice};

/// After an NMI the guest tells where it is for so long at most, in its own time and by the wall.
const NMI_TIME: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(30));

/// Where a processor is that has nothing to do, or that answers the NMI out of user space.
const NOWHERE: &[&str] = &[
    "dump_stack",
    "dump_stack_lvl",
    "show_stack",
    "panic",
    "nmi_panic",
    "default_idle",
    "pv_native_safe_halt",
    "native_safe_halt",
    "cpu_do_idle",
    "arch_cpu_idle",
    "mwait_idle",
];

impl Guest<'_> {
    /// Looks at the guest, lets it go, and judges.
    pub(super) fn conclude(mut self, request: &Request<'_>, ended_by: &EndedBy) -> (Boot, Console) {
        self.watch.sample();
        let decided = Instant::now();
        let wall_s = decided.duration_since(self.started).as_secs_f64();
        let decided_after_s = decided.duration_since(self.last_byte).as_secs_f64();
        let own_s = self.watch.effective().as_secs_f64();
        let pressure = self.watch.pressure();
        let alive = self.exit.is_none();
        let suspicious =
            self.success_at.is_none() || self.failure_since.is_some() || self.lockup_since.is_some();
        let mut registers = None;
        if alive && suspicious {
            registers = self.qmp.human("info registers -a", PATIENCE).ok();
        }
        let before_nmi = self.capture.total();
        let silent = self.failure_since.is_none() && matches!(ended_by, EndedBy::Quiet | EndedBy::Timeout);
        let mut found = None;
        if alive && silent {
            // Before the NMI, which writes a panic of its own into the log.
            found = self.autopsy(request, registers.as_deref());
            self.ask_where();
        }
        let kept = request.keep_memory.filter(|_| suspicious).map(|target| self.keep_memory(target, alive));
        let (memory, memory_lost) = match kept {
            Some(Ok(path)) => (Some(path), None),
            Some(Err(why)) => (None, Some(why.to_string())),
            None => (None, None),
        };
        if alive {
            // It may have died meanwhile; either way it is gone afterwards.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let mut console = std::mem::take(&mut self.capture).finish();
        let last_byte = console.bytes.len()
            - usize::try_from(console.total - before_nmi).unwrap_or(0).min(console.bytes.len());
        let (own, asked) = console.bytes.split_at(last_byte);
        let emulator = Some(request.qemu.emulator(request.machine));
        // The log in memory is the console's, and more; it tells of a failure that no console showed.
        let unseen = found.as_ref().map(|f| f.log.as_slice()).unwrap_or_default();
        let story = match unseen {
            [] => voice::story(own, emulator),
            _ => voice::story(&[own, b"\n", unseen].concat(), emulator),
        };
        let mut reports = story.reports;
        let last_line = last_line(own);
        let emulator_said = String::from_utf8_lossy(&self.said).trim().to_owned();
        let verdict = judge(&Evidence {
            ended_by,
            reports: &reports,
            complaints_fail: request.complaints_fail,
            success: self.success_at.is_some(),
            restart_said: self.restart_said,
            last_line: &last_line,
            stuck: match self.lockup_since {
                Some((_, since)) if self.watch.effective().saturating_sub(since) >= STUCK.0 => Some(true),
                Some(_) => None,
                None => self.stuck,
            },
            emulator_said: &emulator_said,
            pressure: &pressure,
            own_s,
            enough_s: request.limits.enough.map(|d| d.as_secs_f64()),
            console_bytes: before_nmi,
        });
        let place = voice::story(asked, emulator).reports.into_iter().next().map(|mut place| {
            place.line += own.iter().filter(|b| **b == b'\n').count() as u64;
            place.title = format!("the answer to kvet's NMI: {}", place.title);
            place
        });
        let decisive = verdict.report.map(|i| reports[i].clone());
        let kind = decisive.as_ref().map(|r| r.kind.clone()).or(verdict.kind.map(str::to_owned));
        let signature = match (&decisive, &kind) {
            (Some(report), _) => Some(report.signature.clone()),
            (None, Some(kind)) => Some(match place.as_ref().and_then(|p| p.function.as_ref()) {
                // A guest that idles waits for something: its last words tell more than the idle loop.
                Some(function) if !NOWHERE.contains(&function.as_str()) => format!("{kind} in {function}"),
                _ => format!("{kind} after {}", voice::without_numbers(&last_line)),
            }),
            (None, None) => None,
        };
        reports.extend(place);
        let boot = Boot {
            outcome: verdict.outcome,
            kind,
            title: decisive.as_ref().map(|r| r.title.clone()).or(verdict.title),
            signature,
            diagnosis: match decisive {
                Some(report) => report.diagnosis,
                None if verdict.kind == Some("silence") => story.silence.and_then(|s| s.diagnosis),
                None => None,
            },
            reports,
            started: self.started_unix,
            wall_s,
            decided_after_s,
            own_s,
            cpu_s: pressure.ran_s,
            milestones: self.milestones.clone(),
            longest_gap_s: self.longest_gap.as_secs_f64(),
            last_line,
            console_bytes: console.total,
            exit_code: self.exit.and_then(|e| e.code()),
            exit_signal: self.exit.and_then(|e| e.signal()),
            emulator_said,
            events: std::mem::take(&mut self.events),
            registers,
            memory,
            memory_lost,
            pressure,
        };
        console.bytes.extend(found.iter().flat_map(|f| f.text()));
        (boot, console)
    }

    /// Sends the guest an NMI; a kernel with `unknown_nmi_panic` says where each processor is.
    fn ask_where(&mut self) {
        if self.qmp.execute("inject-nmi", serde_json::Value::Null, PATIENCE).is_err() {
            return;
        }
        let since = (Instant::now(), self.watch.effective());
        self.last_word = false;
        while !self.longer(since, NMI_TIME) && !self.last_word && self.ended.is_none() {
            self.watch.sample();
            if self.wait(Instant::now() + Duration::from_millis(100)).is_err()
                || self.listen(&mut |_| {}).is_err()
            {
                return;
            }
        }
    }

    /// Asks the memory of a guest that stands still for what its console did not say.
    fn autopsy(&mut self, request: &Request<'_>, registers: Option<&str>) -> Option<autopsy::Autopsy> {
        let _ = self.qmp.execute("stop", serde_json::Value::Null, PATIENCE);
        let memory = self.ram(request);
        let console = self.capture.clone().finish().bytes;
        let found =
            memory.and_then(|ram| autopsy::autopsy(&ram, &request.machine.kernel, registers, &console));
        let _ = self.qmp.execute("cont", serde_json::Value::Null, PATIENCE);
        found.filter(|found| !found.is_empty())
    }

    /// The guest's RAM, at one moment.
    pub(super) fn halted_ram(&mut self, request: &Request<'_>) -> Option<File> {
        self.qmp.execute("stop", serde_json::Value::Null, PATIENCE).ok()?;
        self.ram(request)
    }

    /// The guest's RAM: shared with it, or a copy that QEMU writes. Shared memory costs a guest that boots a
    /// twentieth of its time, so that it is shared only where it is to be kept.
    fn ram(&mut self, request: &Request<'_>) -> Option<File> {
        /// QEMU writes some hundred megabytes a second, on a host that has time.
        const COPYING: Duration = Duration::from_secs(30);
        /// What every machine has in one piece from the beginning of its RAM (QEMU's pc_q35_init, the strictest),
        /// and what a host can spare for a moment.
        const PIECE_MIB: u64 = 2048;
        if request.keep_memory.is_none() {
            let start: u64 = match request.machine.arch {
                Arch::X86_64 => 0,
                // `RAMBASE` of hw/arm/virt.c.
                Arch::Arm64 => 1 << 30,
            };
            let arguments = serde_json::json!({
                "val": start,
                "size": request.machine.memory_mib.min(PIECE_MIB) << 20,
                "filename": format!("/proc/self/fd/{}", self.memory.as_raw_fd()),
            });
            self.qmp.execute("pmemsave", arguments, COPYING).ok()?;
        }
        self.memory.try_clone().ok().map(File::from)
    }

    /// Copies the guest's memory, which outlives a QEMU that has died.
    fn keep_memory(&mut self, target: &Path, alive: bool) -> io::Result<PathBuf> {
        if alive {
            // A guest that runs on would change what is being read.
            let _ = self.qmp.execute("stop", serde_json::Value::Null, PATIENCE);
        }
        memory::keep(self.memory.try_clone()?.into(), target)?;
        Ok(target.to_owned())
    }
}

/// The last line with text, without its time stamp.
fn last_line(console: &[u8]) -> String {
    let line = console.rsplit(|&b| b == b'\n').find(|l| l.iter().any(u8::is_ascii_graphic));
    voice::clean_line(line.unwrap_or_default())
}
