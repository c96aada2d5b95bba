//! Threads that take processors from a guest, on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Busy threads; they end when this goes.
pub struct Noise(Arc<AtomicBool>);

impl Noise {
    /// Starts so many.
    pub fn new(threads: usize) -> Noise {
        let end = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let end = Arc::clone(&end);
            std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Noise(end)
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
