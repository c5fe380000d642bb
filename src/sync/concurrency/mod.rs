//! Limits how many runs of this process read or write at once.
#![doc = include_str!("README.md")]

mod queue;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::channel::mpsc::UnboundedSender;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use self::queue::{Applicant, FairQueue};
use crate::api::sync::TaranaSync;
use crate::metrics::Metrics;

/// The slots of this process, of all scopes. Clones share them.
#[derive(Clone, Debug)]
pub struct SyncSlots {
    limit: usize,
    queue: Arc<Mutex<FairQueue<Waiter>>>,
    metrics: Metrics,
}

/// A run that waits, and the controller that reconciles it.
#[derive(Debug)]
struct Waiter {
    run: ObjectRef<TaranaSync>,
    requeue: UnboundedSender<ObjectRef<TaranaSync>>,
}

/// The right to read or write, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: SyncSlots,
    uid: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.leave(&self.uid);
    }
}

impl SyncSlots {
    /// With so many slots, at least one.
    pub fn new(limit: usize, metrics: Metrics) -> Self {
        Self {
            limit: limit.max(1),
            queue: Arc::new(Mutex::new(FairQueue::new(limit))),
            metrics,
        }
    }

    /// How many there are.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// A slot for this run. `None` if all are taken: the run is requeued as soon as one is reserved for it.
    pub(super) fn take(
        &self,
        sync: &TaranaSync,
        requeue: &UnboundedSender<ObjectRef<TaranaSync>>,
    ) -> Option<Slot> {
        let (uid, namespace) = (
            sync.uid().unwrap_or_default(),
            sync.namespace().unwrap_or_default(),
        );
        let now = Instant::now();
        let mut queue = self.lock();
        for absent in queue.absent(now) {
            pass_on(&mut queue, &absent, now);
        }
        let applicant = Applicant {
            uid: &uid,
            namespace: &namespace,
            created: sync.creation_order().0,
        };
        let waiter = Waiter {
            run: ObjectRef::from_obj(sync),
            requeue: requeue.clone(),
        };
        let is_taken = queue.take(applicant, waiter);
        self.count(&queue);
        drop(queue);
        is_taken.then(|| Slot {
            slots: self.clone(),
            uid,
        })
    }

    /// Gives back the slot of a run, or its place among those that wait.
    pub(super) fn leave(&self, uid: &str) {
        let mut queue = self.lock();
        pass_on(&mut queue, uid, Instant::now());
        self.count(&queue);
    }

    fn count(&self, queue: &FairQueue<Waiter>) {
        let (taken, waiting) = queue.counts();
        self.metrics.runs.slots(taken, waiting);
    }

    fn lock(&self) -> MutexGuard<'_, FairQueue<Waiter>> {
        // No code panics in the middle of a change, so the queue behind a poisoned lock is valid.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the slot of a run to the next one.
fn pass_on(queue: &mut FairQueue<Waiter>, uid: &str, now: Instant) {
    let mut next = queue.leave(uid, now);
    while let Some((uid, Waiter { run, requeue })) = next {
        // The controller of a scope may have ended, with the leadership of this process.
        if requeue.unbounded_send(run).is_ok() {
            return;
        }
        next = queue.leave(&uid, now);
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc::unbounded;
    use kube::runtime::reflector::ObjectRef;
    use serde_json::json;

    use super::SyncSlots;
    use crate::api::sync::TaranaSync;
    use crate::metrics::Metrics;

    fn run(name: &str) -> TaranaSync {
        let object = json!({
            "apiVersion": "tarana.dev/v1alpha1", "kind": "TaranaSync",
            "metadata": {"name": name, "namespace": "n", "uid": name}, "spec": {}
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_slot_that_is_dropped_wakes_the_next_run_of_a_controller_that_runs() {
        let slots = SyncSlots::new(1, Metrics::default());
        let ((former, ended), (requeue, mut requeued)) = (unbounded(), unbounded());
        let first = slots.take(&run("first"), &former).unwrap();
        assert!(slots.take(&run("a"), &former).is_none());
        assert!(slots.take(&run("b"), &requeue).is_none());
        drop(ended);
        assert!(requeued.try_recv().is_err());
        drop(first);
        // The controller of `a` has ended.
        assert_eq!(requeued.try_recv().unwrap(), ObjectRef::from_obj(&run("b")));
        let second = slots.take(&run("b"), &requeue);
        assert!(second.is_some() && slots.take(&run("c"), &requeue).is_none());
        slots.leave("c");
        drop(second);
        assert!(requeued.try_recv().is_err(), "it waits no more");
        assert!(slots.take(&run("d"), &requeue).is_some());
    }
}
