//! Many artefacts in parallel, their reports in order, and only so many reports in memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// How many reports may wait for one that takes longer. Enough that a kernel among modules does not stop
/// the other threads, little enough that memory does not grow with the number of artefacts.
pub const WINDOW: usize = 512;

/// What the consumer is told.
pub enum Event<R> {
    /// So many artefacts are done, in any order.
    Done(usize),
    /// The next report in order.
    Next(R),
}

/// Runs `work` on every item in parallel and hands the results to `consume` on the calling thread, in the
/// order of the items, until it breaks.
///
/// Threads of its own and not rayon's: a worker waits here while the window is full, and a rayon thread that
/// waits inside a stolen task could hold up the very report it waits for.
pub fn run<T, R, W, C>(items: &[T], work: W, mut consume: C)
where
    T: Sync,
    R: Send,
    W: Fn(&T) -> R + Sync,
    C: FnMut(Event<R>) -> ControlFlow<()>,
{
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let gate = Gate::default();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, gate, work) = (sender.clone(), &gate, &work);
            scope.spawn(move || {
                while let Some((index, item)) = gate.take(items) {
                    if sender.send((index, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // However the consumer ends, by break or by panic, the workers must not wait for it.
        let _open = OpenOnDrop(&gate);
        let mut waiting = BTreeMap::new();
        let (mut next, mut done) = (0, 0);
        while next < items.len() {
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Ok((index, report)) => {
                    waiting.insert(index, report);
                    done += 1;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                // A worker panicked; the scope passes that on.
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            if consume(Event::Done(done)).is_break() {
                return;
            }
            while let Some(report) = waiting.remove(&next) {
                next += 1;
                gate.advance(next);
                if consume(Event::Next(report)).is_break() {
                    return;
                }
            }
        }
    });
}

/// Hands out items in order, and holds a worker back that is too far ahead of the consumer.
#[derive(Default)]
struct Gate {
    next: AtomicUsize,
    /// How many reports were consumed; `usize::MAX` when no more are wanted.
    consumed: Mutex<usize>,
    moved: Condvar,
}

impl Gate {
    fn take<'a, T>(&self, items: &'a [T]) -> Option<(usize, &'a T)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let item = items.get(index)?;
        let consumed = self.consumed.lock().unwrap_or_else(PoisonError::into_inner);
        let consumed = self
            .moved
            .wait_while(consumed, |consumed| index >= consumed.saturating_add(WINDOW))
            .unwrap_or_else(PoisonError::into_inner);
        (*consumed != usize::MAX).then_some((index, item))
    }

    fn advance(&self, consumed: usize) {
        *self.consumed.lock().unwrap_or_else(PoisonError::into_inner) = consumed;
        self.moved.notify_all();
    }
}

struct OpenOnDrop<'a>(&'a Gate);

impl Drop for OpenOnDrop<'_> {
    fn drop(&mut self) {
        self.0.advance(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(n: usize, work: impl Fn(&usize) -> usize + Sync, stop_at: usize) -> Vec<usize> {
        let items: Vec<usize> = (0..n).collect();
        let mut seen = Vec::new();
        run(&items, work, |event| {
            if let Event::Next(report) = event {
                seen.push(report);
                if seen.len() == stop_at {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        seen
    }

    #[test]
    fn reports_come_in_order() {
        let out = collect(3 * WINDOW, |i| i * 2, usize::MAX);
        assert_eq!(out, (0..3 * WINDOW).map(|i| i * 2).collect::<Vec<_>>());
        assert!(collect(0, |i| *i, usize::MAX).is_empty());
    }

    #[test]
    fn a_slow_one_holds_the_others_back_within_the_window() {
        let furthest = AtomicUsize::new(0);
        let work = |i: &usize| {
            if *i == 0 {
                std::thread::sleep(Duration::from_millis(60));
                return furthest.load(Ordering::SeqCst);
            }
            furthest.fetch_max(*i, Ordering::SeqCst);
            *i
        };
        let out = collect(4 * WINDOW, work, usize::MAX);
        assert!(out[0] < WINDOW, "{} was worked on while 0 was not done", out[0]);
        assert_eq!(out.len(), 4 * WINDOW);
    }

    #[test]
    fn a_consumer_that_has_enough_stops_the_workers() {
        let done = AtomicUsize::new(0);
        let work = |i: &usize| {
            done.fetch_add(1, Ordering::SeqCst);
            *i
        };
        assert_eq!(collect(100 * WINDOW, work, 3), [0, 1, 2]);
        assert!(done.load(Ordering::SeqCst) < 100 * WINDOW);
    }
}
