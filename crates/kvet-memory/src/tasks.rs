//! Tasks: which one a CPU runs.

use kvet_image::Arch;

use crate::Guest;

/// A task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    /// Its `struct task_struct`.
    pub at: u64,
    /// The number.
    pub pid: i32,
    /// The name.
    pub comm: String,
    /// Where its kernel stack starts.
    pub stack: Option<u64>,
}

/// A list of tasks is not walked further.
const MOST_TASKS: usize = 1 << 16;

/// The length of a kernel stack: 16 KiB (THREAD_SIZE) on both architectures without KASAN.
pub(crate) const STACK: u64 = 16 << 10;

impl Guest<'_> {
    /// The task whose structure stands at an address.
    pub fn task(&self, at: u64) -> Option<Task> {
        let pid = self.field(at, "task_struct", "pid")? as u32;
        let comm = self.string(at.checked_add(self.layouts().offset("task_struct", "comm")?)?, 16)?;
        let printable = comm.chars().all(|c| !c.is_control());
        let stack = self.field(at, "task_struct", "stack").filter(|s| self.is_kernel_pointer(*s));
        (printable && pid <= 1 << 22).then_some(Task { at, pid: pid.cast_signed(), comm, stack })
    }

    /// The task that a CPU runs.
    ///
    /// x86-64: the per-CPU variable `current_task` (in `pcpu_hot` from 6.2 to 6.14). arm64 has it in SP_EL0, which
    /// no dump holds: `rq->curr`, else the task whose stack the stack pointer is in.
    pub fn current_task(&self, cpu: usize, sp: Option<u64>) -> Option<Task> {
        let hot = || {
            let at = self.per_cpu(cpu, "pcpu_hot")?;
            self.field(at, "pcpu_hot", "current_task")
        };
        let own = || self.u64(self.per_cpu(cpu, "current_task")?);
        let queue = || {
            let at = self.per_cpu(cpu, "runqueues")?;
            self.field(at, "rq", "curr")
        };
        let at = match self.arch() {
            Arch::X86_64 => own().or_else(hot).or_else(queue),
            Arch::Arm64 => queue(),
        };
        let found = at.filter(|at| self.is_kernel_pointer(*at)).and_then(|at| self.task(at));
        found.or_else(|| self.task_by_stack(sp?)).or_else(|| self.boot_task(cpu))
    }

    /// Before the scheduler is set up, CPU 0 runs `init_task`.
    fn boot_task(&self, cpu: usize) -> Option<Task> {
        let early = self.system_state() == Some(0);
        (cpu == 0 && early).then(|| self.task(self.symbol("init_task")?)).flatten()
    }

    /// The task whose kernel stack holds an address: `init_task` and all of its list.
    pub fn task_by_stack(&self, sp: u64) -> Option<Task> {
        let init = self.symbol("init_task")?;
        let next = self.layouts().offset("task_struct", "tasks")?;
        let mut at = init;
        for _ in 0..MOST_TASKS {
            let task = self.task(at)?;
            if task.stack.is_some_and(|s| (s..s.saturating_add(STACK)).contains(&sp)) {
                return Some(task);
            }
            let link = self.u64(at.checked_add(next)?)?;
            at = link.wrapping_sub(next);
            if at == init {
                break;
            }
        }
        None
    }
}
