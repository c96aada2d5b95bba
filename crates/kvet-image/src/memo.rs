//! What others have worked out of an image, kept with it: thousands of modules share one kernel, and read
//! its tables once.

use std::any::{Any, TypeId};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

type Slot = Arc<OnceLock<Arc<dyn Any + Send + Sync>>>;

/// One value of each type, made when it is first asked for.
#[derive(Default)]
pub(crate) struct Memo {
    slots: Mutex<Vec<(TypeId, Slot)>>,
}

impl Memo {
    /// The value of a type. Who asks while it is made waits for it; the lock is not held meanwhile.
    pub(crate) fn get<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let slot = self.slot(TypeId::of::<T>());
        let value = slot.get_or_init(|| Arc::new(make()));
        match Arc::clone(value).downcast() {
            Ok(value) => value,
            // The slot is the type's own, so it holds a value of it.
            Err(_) => unreachable!("a memo slot holds a value of its own type"),
        }
    }

    fn slot(&self, key: TypeId) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = slots.iter().find(|(k, _)| *k == key) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        slots.push((key, Arc::clone(&slot)));
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::Memo;

    #[test]
    fn makes_each_type_once() {
        let memo = Memo::default();
        assert_eq!(*memo.get(|| 7_u32), 7);
        assert_eq!(*memo.get(|| 8_u32), 7);
        assert_eq!(*memo.get(|| "other"), "other");
    }
}
