//! Per-CPU variables and which CPUs there are.

use kvet_btf::Kind;
use kvet_image::Arch;

use crate::Guest;
use crate::registers::MOST_CPUS;

impl Guest<'_> {
    /// The numbers of the CPUs that are online: `__cpu_online_mask`; before it is set up CPU 0.
    pub fn online_cpus(&self) -> Vec<usize> {
        let online = self.cpus_in("__cpu_online_mask");
        if online.is_empty() { vec![0] } else { online }
    }

    /// The CPUs of a mask variable.
    pub(crate) fn cpus_in(&self, mask: &str) -> Vec<usize> {
        let count = self.symbol("nr_cpu_ids").and_then(|at| self.u32(at)).unwrap_or(MOST_CPUS as u32);
        match self.symbol(mask) {
            Some(at) => self.cpus_of_mask(at, count as usize),
            None => Vec::new(),
        }
    }

    /// The set bits of a bitmap of CPUs.
    pub(crate) fn cpus_of_mask(&self, at: u64, count: usize) -> Vec<usize> {
        let count = count.min(MOST_CPUS);
        let Some(bytes) = self.read(at, count.div_ceil(64).max(1) * 8) else { return Vec::new() };
        (0..count).filter(|cpu| bytes[cpu / 8] >> (cpu % 8) & 1 == 1).collect()
    }

    /// What a CPU adds to the address of a per-CPU variable: `__per_cpu_offset[cpu]`.
    pub fn per_cpu_offset(&self, cpu: usize) -> Option<u64> {
        let table = self.symbol("__per_cpu_offset")?;
        self.u64(table.checked_add(8 * cpu as u64)?)
    }

    /// Where a CPU has its own of a per-CPU variable.
    ///
    /// x86-64 before 6.15 links these at 0 and KASLR leaves them there (arch/x86/kernel/vmlinux.lds.S, `PERCPU_VADDR`);
    /// elsewhere they are addresses as others.
    pub fn per_cpu(&self, cpu: usize, name: &str) -> Option<u64> {
        let link = self.per_cpu_link(name)?;
        let base = if link >= 1 << 63 { link.wrapping_add(self.placement().slide) } else { link };
        Some(base.wrapping_add(self.per_cpu_offset(cpu)?))
    }

    fn per_cpu_link(&self, name: &str) -> Option<u64> {
        if let Some(link) = self.per_cpu_symbol(name) {
            return Some(link.0);
        }
        // BTF knows where in the section each global one stands; an exported one says where the section is.
        let btf = self.layouts().btf()?;
        let section =
            btf.types().find(|t| t.kind() == Kind::Datasec && btf.name(t.name_off()) == b".data..percpu")?;
        let name_of = |var| btf.get(var).map(|v| btf.name(v.name_off())).unwrap_or_default();
        let wanted = section.entries().find(|e| name_of(e.var) == name.as_bytes())?.offset;
        section.entries().find_map(|e| {
            let anchor = self.per_cpu_symbol(std::str::from_utf8(name_of(e.var)).ok()?)?;
            Some(anchor.0.wrapping_sub(e.offset.into()).wrapping_add(wanted.into()))
        })
    }

    /// Whether this kernel's addresses for user space and kernel space differ by their top bit.
    pub(crate) fn is_kernel_pointer(&self, address: u64) -> bool {
        match self.arch() {
            Arch::X86_64 | Arch::Arm64 => address >= 1 << 63,
        }
    }
}
