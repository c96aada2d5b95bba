//! What each CPU was doing, and who waits for whom.

use kvet_image::Arch;
use kvet_tables::Context;

use crate::Guest;
use crate::int3::{self, Int3};
use crate::registers::Registers;
use crate::tasks::Task;
use crate::text;
use crate::unwind::{Trace, unwind};

/// What a CPU was at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Activity {
    /// Nothing to do.
    Idle,
    /// User space.
    User,
    /// Stopped with interrupts off: only an NMI wakes it.
    Halted,
    /// Waits for others.
    Waits(Wait),
    /// The kernel's code.
    Kernel,
    /// Its registers are not known.
    Unknown,
}

/// What a CPU waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    /// In words: `answers to a function call (do_sync_core)`.
    pub what: String,
    /// The CPUs that it waits for, where that is known.
    pub cpus: Vec<usize>,
    /// The lock or the word that it waits at.
    pub at: Option<u64>,
}

/// One CPU.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cpu {
    /// Its number.
    pub number: usize,
    /// Its registers.
    pub registers: Option<Registers>,
    /// Where it was, `name+0x1c/0x60`.
    pub symbol: Option<String>,
    /// The task.
    pub task: Option<Task>,
    /// preempt_count, without the bit that asks for a reschedule.
    pub preempt_count: Option<u32>,
    /// Who called whom.
    pub trace: Trace,
    /// What it was at.
    pub activity: Activity,
    /// The int3 that it had taken.
    pub int3: Option<Int3>,
}

/// All CPUs that are online, and those of which registers are known.
pub fn cpus(guest: &Guest<'_>, context: &Context<'_>) -> Vec<Cpu> {
    let mut numbers = guest.online_cpus();
    numbers.extend(guest.registers().iter().map(|r| r.cpu));
    numbers.sort_unstable();
    numbers.dedup();
    let patching = text::poke(guest, context).is_some();
    numbers.into_iter().map(|number| cpu(guest, context, number, patching)).collect()
}

fn cpu(guest: &Guest<'_>, context: &Context<'_>, number: usize, patching: bool) -> Cpu {
    let registers = guest.registers().iter().find(|r| r.cpu == number).cloned();
    let trace = registers.as_ref().map(|r| unwind(guest, context, r)).unwrap_or_default();
    let sp = registers.as_ref().filter(|r| !r.user).map(|r| r.sp);
    let task = guest.current_task(number, sp);
    let preempt_count = preempt_count(guest, number, task.as_ref());
    let symbol = registers.as_ref().and_then(|r| guest.symbolize(r.pc));
    let activity = activity(guest, number, registers.as_ref(), &trace);
    let int3 = int3::taken(guest, &trace, patching);
    Cpu { number, registers, symbol, task, preempt_count, trace, activity, int3 }
}

/// x86-64 keeps it per CPU (`__preempt_count`, in `pcpu_hot` from 6.2 to 6.14) with PREEMPT_NEED_RESCHED inverted in
/// the top bit; arm64 in the task's `thread_info`.
fn preempt_count(guest: &Guest<'_>, number: usize, task: Option<&Task>) -> Option<u32> {
    let raw = match guest.arch() {
        Arch::X86_64 => {
            let own = || guest.u32(guest.per_cpu(number, "__preempt_count")?);
            let hot =
                || Some(guest.field(guest.per_cpu(number, "pcpu_hot")?, "pcpu_hot", "preempt_count")? as u32);
            own().or_else(hot)?
        }
        Arch::Arm64 => guest.field(task?.at, "task_struct", "thread_info.preempt.count")? as u32,
    };
    Some(raw & 0x7fff_ffff)
}

/// Functions in which a CPU rests.
const IDLE: &[&str] = &[
    "acpi_idle_do_entry",
    "acpi_safe_halt",
    "arch_cpu_idle",
    "cpu_do_idle",
    "cpu_idle_poll",
    "default_idle",
    "default_idle_call",
    "intel_idle",
    "mwait_idle",
    "native_safe_halt",
    "poll_idle",
    "pv_native_safe_halt",
    "tdx_safe_halt",
];

/// Functions in which a CPU waits, and for what.
const WAITS: &[(&str, &str)] = &[
    ("native_queued_spin_lock_slowpath", "a spinlock"),
    ("queued_spin_lock_slowpath", "a spinlock"),
    ("__pv_queued_spin_lock_slowpath", "a spinlock"),
    ("queued_read_lock_slowpath", "a read-write lock, to read"),
    ("queued_write_lock_slowpath", "a read-write lock, to write"),
    ("multi_cpu_stop", "the other CPUs of stop_machine()"),
    ("osq_lock", "the owner of a mutex or rw_semaphore, spinning"),
    ("mutex_spin_on_owner", "the owner of a mutex, spinning"),
    ("rwsem_spin_on_owner", "the owner of a rw_semaphore, spinning"),
    ("__udelay", "time to pass"),
    ("delay_tsc", "time to pass"),
];

fn activity(guest: &Guest<'_>, number: usize, registers: Option<&Registers>, trace: &Trace) -> Activity {
    let Some(r) = registers else { return Activity::Unknown };
    if r.user {
        return Activity::User;
    }
    let innermost = |n: usize| trace.frames.iter().take(n).filter_map(|f| f.function());
    if innermost(3).any(|f| IDLE.contains(&f)) {
        return Activity::Idle;
    }
    if let Some(wait) = call_wait(guest, number, trace) {
        return Activity::Waits(wait);
    }
    for function in innermost(2) {
        if let Some((_, what)) = WAITS.iter().find(|(name, _)| *name == function) {
            let at = what.contains("lock").then(|| lock(guest, r)).flatten();
            return Activity::Waits(Wait { what: (*what).to_owned(), cpus: Vec::new(), at });
        }
    }
    if r.halted == Some(true) && r.interrupts_off() {
        return Activity::Halted;
    }
    Activity::Kernel
}

/// The lock in the register of the first argument, where it still is: slow paths keep it there while they spin.
fn lock(guest: &Guest<'_>, r: &Registers) -> Option<u64> {
    let first = if r.arch == Arch::Arm64 { 0 } else { 7 };
    let at = *r.general.get(first)?;
    let taken = guest.is_kernel_pointer(at) && guest.u32(at).is_some_and(|word| word != 0);
    taken.then_some(at)
}

/// A CPU that has sent function calls to others and waits until they are done (kernel/smp.c): the csd of each CPU of
/// the mask whose CSD_FLAG_LOCK is set has not been answered.
fn call_wait(guest: &Guest<'_>, number: usize, trace: &Trace) -> Option<Wait> {
    let many = trace.frames.iter().take(4).any(|f| f.function() == Some("smp_call_function_many_cond"));
    let single = trace.frames.iter().take(4).any(|f| f.function() == Some("smp_call_function_single"));
    if !many && !single {
        return None;
    }
    let asked = if many { many_pending(guest, number) } else { single_pending(guest, number) };
    let mut pending = asked.unwrap_or_default();
    pending.sort_by_key(|p| p.0);
    let function = pending.iter().find_map(|(_, func)| guest.function_at(*func));
    let what = match function {
        Some(name) => format!("answers to a function call ({name})"),
        None => "answers to a function call".to_owned(),
    };
    Some(Wait { what, cpus: pending.into_iter().map(|(cpu, _)| cpu).collect(), at: None })
}

const CSD_FLAG_LOCK: u64 = 1;

/// The CPUs of `cfd_data.cpumask` whose csd is locked, with the function they are to call.
fn many_pending(guest: &Guest<'_>, number: usize) -> Option<Vec<(usize, u64)>> {
    let layouts = guest.layouts();
    let cfd = guest.per_cpu(number, "cfd_data")?;
    // `csd` from 6.8 on; before, `pcpu`, whose first member is the csd.
    let base = guest
        .field(cfd, "call_function_data", "csd")
        .or_else(|| guest.field(cfd, "call_function_data", "pcpu"))?;
    let mask = layouts.member("call_function_data", "cpumask")?;
    let mask_at = cfd.checked_add(mask.offset)?;
    // CONFIG_CPUMASK_OFFSTACK makes it a pointer.
    let is_pointer = mask.ty.and_then(|ty| layouts.btf()?.pointee(ty)).is_some();
    let mask_at = if is_pointer { guest.u64(mask_at)? } else { mask_at };
    let count = guest.symbol("nr_cpu_ids").and_then(|at| guest.u32(at)).unwrap_or(64) as usize;
    let cpus = guest.cpus_of_mask(mask_at, count);
    Some(
        cpus.into_iter()
            .filter_map(|cpu| {
                let csd = base.wrapping_add(guest.per_cpu_offset(cpu)?);
                Some((cpu, locked(guest, csd)?))
            })
            .collect(),
    )
}

/// `csd_data` of the CPU that asks; the target stands in it (`node.dst`).
fn single_pending(guest: &Guest<'_>, number: usize) -> Option<Vec<(usize, u64)>> {
    let csd = guest.per_cpu(number, "csd_data")?;
    let func = locked(guest, csd)?;
    let target = guest.field(csd, "__call_single_data", "node.dst")?;
    Some(vec![(usize::try_from(target).ok()?, func)])
}

/// The function of a csd that has not been answered.
fn locked(guest: &Guest<'_>, csd: u64) -> Option<u64> {
    let flags = guest.field(csd, "__call_single_data", "node.u_flags")?;
    (flags & CSD_FLAG_LOCK != 0).then(|| guest.field(csd, "__call_single_data", "func"))?
}

impl Cpu {
    /// One line: number, place, task, what it does.
    pub fn line(&self, guest: &Guest<'_>) -> String {
        let place = match (&self.registers, &self.symbol) {
            (_, Some(symbol)) => symbol.clone(),
            (Some(r), None) if r.user => format!("user space {:#x}", r.pc),
            (Some(r), None) => format!("{:#x}", r.pc),
            (None, None) => "registers not known".to_owned(),
        };
        let task = match &self.task {
            Some(t) => format!("{} ({})", t.comm, t.pid),
            None => "task not known".to_owned(),
        };
        let doing = match &self.activity {
            Activity::Idle => "idle".to_owned(),
            Activity::User => "runs user space".to_owned(),
            Activity::Halted => "halted with interrupts off".to_owned(),
            Activity::Kernel => "runs".to_owned(),
            Activity::Unknown => "state not known".to_owned(),
            Activity::Waits(wait) => wait.words(guest),
        };
        let int3 = self.int3.as_ref().map_or_else(String::new, |int3| format!("; {}", int3.words(guest)));
        format!("CPU {}: {doing}, at {place}, task {task}{int3}", self.number)
    }
}

impl Wait {
    fn words(&self, guest: &Guest<'_>) -> String {
        let mut out = format!("waits for {}", self.what);
        if let Some(at) = self.at {
            let name = guest.to_link(at).and_then(|link| guest.image().symbol_at(link));
            match name {
                Some((symbol, 0)) => out += &format!(" {}", symbol.name),
                Some((symbol, offset)) => out += &format!(" {}+{offset:#x}", symbol.name),
                None => out += &format!(" at {at:#x}"),
            }
        }
        if !self.cpus.is_empty() {
            let list: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
            out += &format!(" from CPU {}", list.join(", "));
        }
        out
    }
}
