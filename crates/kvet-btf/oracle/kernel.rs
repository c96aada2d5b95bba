//! bpf(2).

use kvet_btf::kernel::Rules;

/// The command's number and the log's size.
const BPF_BTF_LOAD: libc::c_long = 18;
const LOG_SIZE: usize = 1 << 20;

#[repr(C)]
#[derive(Default)]
struct Attr {
    btf: u64,
    log_buf: u64,
    btf_size: u32,
    log_size: u32,
    log_level: u32,
    log_true_size: u32,
}

/// A kernel that lets us load BTF.
pub struct Oracle {
    log: Vec<u8>,
}

impl Oracle {
    /// Checks that it does.
    pub fn new() -> Result<Oracle, String> {
        let mut oracle = Oracle { log: vec![0; LOG_SIZE] };
        let int = super::seeds::smallest();
        match oracle.load(&int.bytes()) {
            (0, _) => Ok(oracle),
            (errno, _) => Err(format!(
                "bpf(BPF_BTF_LOAD) is not allowed here ({}): run as root on a kernel with CONFIG_BPF_SYSCALL",
                std::io::Error::from_raw_os_error(errno)
            )),
        }
    }

    /// The rules for the running kernel, when they are known and not only near.
    pub fn rules(&self) -> Result<&'static Rules, String> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|e| e.to_string())?;
        let release = release.trim();
        let known = Rules::for_release(release).filter(|rules| rules.was_read() && rules.is_of(release));
        known.ok_or_else(|| format!("kvet has no rules for the running kernel {release}"))
    }

    /// Loads BTF: the errno (0 for success), and the log.
    pub fn load(&mut self, data: &[u8]) -> (i32, &[u8]) {
        let errno = self.ask(data, true);
        (errno, self.text())
    }

    /// Loads BTF whose log is longer than the buffer: the errno that it gets without one, and the log's end, which
    /// kernels since 6.4 keep (`bpf_verifier_vlog` without BPF_LOG_FIXED).
    pub fn load_large(&mut self, data: &[u8]) -> (i32, &[u8]) {
        let errno = self.ask(data, false);
        self.ask(data, true);
        (errno, self.text())
    }

    fn text(&self) -> &[u8] {
        let end = self.log.iter().position(|&b| b == 0).unwrap_or(self.log.len());
        &self.log[..end]
    }

    #[allow(unsafe_code)]
    fn ask(&mut self, data: &[u8], logs: bool) -> i32 {
        let mut attr = Attr { btf: data.as_ptr() as u64, btf_size: data.len() as u32, ..Attr::default() };
        if logs {
            attr.log_buf = self.log.as_mut_ptr() as u64;
            attr.log_size = LOG_SIZE as u32;
            attr.log_level = 1;
        }
        self.log[0] = 0;
        // SAFETY: the pointers and lengths in attr are those of live buffers, the log's is ours to write.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_BTF_LOAD, &attr, size_of::<Attr>()) };
        if fd >= 0 {
            // SAFETY: a descriptor that the call above returned and nobody else knows.
            unsafe { libc::close(fd as i32) };
            0
        } else {
            std::io::Error::last_os_error().raw_os_error().unwrap_or(-1)
        }
    }
}
