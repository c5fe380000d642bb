//! Limits how many runs of this process read or write at once.
#![doc = include_str!("README.md")]

mod queue;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::mpsc::UnboundedSender;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::time::sleep;

pub(super) use self::queue::{Answer, Servers};
use self::queue::{Applicant, FairQueue};
use crate::api::sync::TaranaSync;
use crate::metrics::Metrics;

/// How often runs are looked for that hang.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The slots of this process, of all scopes. Clones share them.
#[derive(Clone, Debug)]
pub struct SyncSlots {
    limit: usize,
    queue: Arc<Mutex<FairQueue<Waiter>>>,
    /// The one run that may run of those that were interrupted by a crash.
    alone: Arc<Mutex<Option<Alone>>>,
    metrics: Metrics,
}

type Requeue = UnboundedSender<ObjectRef<TaranaSync>>;

/// A run, by its uid, and the controller that reconciles it.
#[derive(Debug)]
struct Alone {
    uid: String,
    requeue: Requeue,
}

/// A run that waits, and the controller that reconciles it.
#[derive(Debug)]
struct Waiter {
    run: ObjectRef<TaranaSync>,
    requeue: Requeue,
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
            alone: Arc::default(),
            metrics,
        }
    }

    /// How many there are.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// A slot for this run, which needs these servers. If it must wait, it is requeued as soon as one is reserved for it.
    pub(super) fn take(
        &self,
        sync: &TaranaSync,
        servers: Servers,
        requeue: &Requeue,
    ) -> Result<Slot, Answer> {
        let (uid, namespace) = (
            sync.uid().unwrap_or_default(),
            sync.namespace().unwrap_or_default(),
        );
        let applicant = Applicant {
            uid: &uid,
            namespace: &namespace,
            created: sync.creation_order().0,
            servers,
        };
        let waiter = Waiter {
            run: ObjectRef::from_obj(sync),
            requeue: requeue.clone(),
        };
        let now = Instant::now();
        let answer = self.change(|queue| {
            queue.expire(now);
            queue.take(applicant, waiter, now)
        });
        if answer != Answer::Taken {
            return Err(answer);
        }
        Ok(Slot {
            slots: self.clone(),
            uid,
        })
    }

    /// Gives back the slot of a run, or its place among those that wait.
    pub(super) fn leave(&self, uid: &str) {
        self.change(|queue| queue.leave(uid));
        self.alone().take_if(|alone| alone.uid == uid);
    }

    /// The run begins to use this server.
    pub(super) fn uses(&self, uid: &str, server: &str) {
        self.change(|queue| queue.uses(uid, server, Instant::now()));
    }

    /// The run has made progress.
    pub(super) fn progressed(&self, uid: &str) {
        self.change(|queue| queue.progressed(uid, Instant::now()));
    }

    /// Lets others have the slots of runs that hang. Does not end.
    pub async fn pass_on(&self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            self.change(|queue| queue.expire(Instant::now()));
        }
    }

    /// Changes the queue, and wakes the runs that get slots.
    fn change<T>(&self, change: impl FnOnce(&mut FairQueue<Waiter>) -> T) -> T {
        // No code panics in the middle of a change, so the queue behind a poisoned lock is valid.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut queue);
        while let Some((uid, Waiter { run, requeue })) = queue.reserve(Instant::now()) {
            // The controller of a scope may have ended, with the leadership of this process.
            if requeue.unbounded_send(run).is_err() {
                queue.leave(&uid);
            }
        }
        let (taken, waiting) = queue.counts();
        self.metrics.runs.slots(taken, waiting);
        result
    }

    /// Lets this run be the one that may run of those that were interrupted by a crash, until it leaves. False if there is another one.
    pub(super) fn take_alone(&self, uid: &str, requeue: &Requeue) -> bool {
        let mut alone = self.alone();
        // With the leadership of this process the controllers end, and another process may have ended the run.
        alone.take_if(|alone| alone.requeue.is_closed());
        let alone = alone.get_or_insert_with(|| Alone {
            uid: uid.to_owned(),
            requeue: requeue.clone(),
        });
        alone.uid == uid
    }

    fn alone(&self) -> MutexGuard<'_, Option<Alone>> {
        // Replaced as a whole, so the value behind a poisoned lock is valid.
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn servers() -> super::Servers {
        super::Servers::default()
    }

    #[test]
    fn runs_that_were_interrupted_by_a_crash_run_one_at_a_time() {
        let slots = SyncSlots::new(2, Metrics::default());
        let (requeue, requeued) = unbounded();
        let alone = |uid| slots.take_alone(uid, &requeue);
        assert!(alone("a") && alone("a") && !alone("b"));
        slots.leave("b");
        assert!(alone("a") && !alone("b"));
        slots.leave("a");
        assert!(alone("b"));
        drop(requeued);
        let (next, _requeued) = unbounded();
        assert!(slots.take_alone("c", &next), "the controller of b has ended");
    }

    #[test]
    fn a_slot_that_is_dropped_wakes_the_next_run_of_a_controller_that_runs() {
        let slots = SyncSlots::new(1, Metrics::default());
        let ((former, ended), (requeue, mut requeued)) = (unbounded(), unbounded());
        let first = slots.take(&run("first"), servers(), &former).unwrap();
        assert!(slots.take(&run("a"), servers(), &former).is_err());
        assert!(slots.take(&run("b"), servers(), &requeue).is_err());
        drop(ended);
        assert!(requeued.try_recv().is_err());
        drop(first);
        // The controller of `a` has ended.
        assert_eq!(requeued.try_recv().unwrap(), ObjectRef::from_obj(&run("b")));
        let second = slots.take(&run("b"), servers(), &requeue);
        assert!(second.is_ok() && slots.take(&run("c"), servers(), &requeue).is_err());
        slots.leave("c");
        drop(second);
        assert!(requeued.try_recv().is_err(), "it waits no more");
        assert!(slots.take(&run("d"), servers(), &requeue).is_ok());
    }
}
