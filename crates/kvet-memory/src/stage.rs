//! How far the kernel has come.

use crate::{Guest, dmesg};

impl Guest<'_> {
    /// `system_state` (include/linux/kernel.h): 0 booting, 1 scheduling, then freeing init memory, running, ...
    pub fn system_state(&self) -> Option<u32> {
        self.u32(self.symbol("system_state")?)
    }

    /// Whether init memory has been given back, or is about to be: what was there is no longer the kernel's.
    ///
    /// SYSTEM_FREEING_INITMEM is there from 5.14 on; before that, the next state is SYSTEM_RUNNING, which follows
    /// `free_initmem` at once (init/main.c, `kernel_init`). A kernel without BTF is taken to have it.
    pub fn init_is_freed(&self) -> bool {
        let freeing = self.layouts().enumerator("system_states", "SYSTEM_FREEING_INITMEM");
        let freeing =
            freeing.or_else(|| self.layouts().enumerator("system_states", "SYSTEM_RUNNING")).unwrap_or(2);
        self.system_state().is_some_and(|state| u64::from(state) >= freeing)
    }

    /// Why nothing can be asked of a kernel that does not run yet, in a sentence; `None` when it runs.
    ///
    /// Before it does, firmware or its own decompressor write it to where it is found, and move it; its first record
    /// (init/main.c, `start_kernel`) is older than all patching and its own page tables.
    pub fn not_begun(&self) -> Option<String> {
        if self.system_state().is_some_and(|state| state > 0) {
            return None;
        }
        let running = self.registers().iter().find(|r| r.pc != 0);
        if let Some(r) = running
            && self.registers().iter().all(|r| r.pc < 1 << 63)
        {
            return Some(format!(
                "the kernel does not run yet, and may not be wholly unpacked: CPU {} is at {:#x}, in firmware, a boot \
                 loader or the kernel's decompressor",
                r.cpu, r.pc
            ));
        }
        let spoken = dmesg::read_ring(self).is_ok_and(|log| log.records.iter().any(|r| !r.text.is_empty()));
        (!spoken).then(|| {
            "the kernel has not written its first record yet: it may not be wholly unpacked".to_owned()
        })
    }
}
