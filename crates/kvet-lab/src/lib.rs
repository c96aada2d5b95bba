//! Boots kernels in QEMU, once or a thousand times, and says what happened, how often, and how sure that is.
