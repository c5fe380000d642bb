use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;

use super::{Applicant, FairQueue, RESERVATION};

/// A run whose uid begins with its namespace and ends with its age.
fn applicant(uid: &str) -> Applicant<'_> {
    let (namespace, age) = uid.split_once('/').unwrap();
    Applicant {
        uid,
        namespace,
        created: Some(Timestamp::from_second(age.parse().unwrap()).unwrap()),
    }
}

fn take(queue: &mut FairQueue<()>, uid: &str) -> bool {
    queue.take(applicant(uid), ())
}

/// Ends the run and lets the next one begin.
fn next(queue: &mut FairQueue<()>, uid: &str) -> String {
    let (next, ()) = queue.leave(uid, Instant::now()).unwrap();
    assert!(take(queue, &next), "the slot is reserved for {next}");
    next
}

#[test]
fn namespaces_take_turns_and_the_oldest_run_of_each_is_first() {
    let mut queue = FairQueue::new(1);
    assert!(take(&mut queue, "a/0"));
    for uid in ["a/3", "a/1", "a/2", "c/9", "b/8", "b/7"] {
        assert!(!take(&mut queue, uid));
        assert!(!take(&mut queue, uid), "asking again changes nothing");
    }
    let mut order = vec!["a/0".to_owned()];
    for _ in 0..6 {
        let next = next(&mut queue, order.last().unwrap());
        order.push(next);
    }
    assert_eq!(order, ["a/0", "b/7", "c/9", "a/1", "b/8", "a/2", "a/3"]);
    assert_eq!(queue.leave("a/3", Instant::now()), None);
    assert_eq!(queue.counts(), (0, 0));
}

#[test]
fn a_run_that_left_gets_nothing() {
    let mut queue = FairQueue::new(1);
    assert!(take(&mut queue, "a/0") && !take(&mut queue, "a/1") && !take(&mut queue, "a/2"));
    assert_eq!(queue.leave("a/1", Instant::now()), None, "it only waited");
    assert_eq!(next(&mut queue, "a/0"), "a/2");
}

#[test]
fn a_slot_is_not_reserved_for_ever() {
    let mut queue = FairQueue::new(1);
    assert!(take(&mut queue, "a/0") && !take(&mut queue, "a/1") && !take(&mut queue, "a/2"));
    let start = Instant::now();
    assert_eq!(queue.leave("a/0", start).unwrap().0, "a/1");
    let late = start + RESERVATION;
    assert!(queue.absent(start + RESERVATION / 2).is_empty());
    assert_eq!(queue.absent(late), ["a/1"]);
    assert_eq!(queue.leave("a/1", late).unwrap().0, "a/2");
    assert!(take(&mut queue, "a/2"));
    assert!(queue.absent(late + RESERVATION).is_empty(), "it was taken");
}

#[derive(Clone, Debug)]
enum Event {
    /// A run of this namespace asks.
    Ask(u8, u16),
    /// One of the running ends.
    End(prop::sample::Index),
    /// One of the waiting gives up.
    GiveUp(prop::sample::Index),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (0..4_u8, 0..200_u16).prop_map(|(namespace, age)| Event::Ask(namespace, age)),
        3 => any::<prop::sample::Index>().prop_map(Event::End),
        1 => any::<prop::sample::Index>().prop_map(Event::GiveUp),
    ];
    prop::collection::vec(event, 0..200)
}

/// What a queue should hold, kept in the simplest way.
#[derive(Default)]
struct Expected {
    running: BTreeSet<String>,
    waiting: BTreeSet<String>,
    /// How many slots of others each namespace has waited for since its own last one.
    passed_over: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Expected {
    /// The namespaces with runs that wait.
    fn namespaces(&self) -> BTreeSet<String> {
        let waiting = self.waiting.iter();
        waiting.map(|uid| applicant(uid).namespace.to_owned()).collect()
    }

    /// A namespace without a run that waits begins anew with its next one.
    fn forget_served(&mut self) {
        let waiting = self.namespaces();
        self.passed_over
            .retain(|namespace, _| waiting.contains(namespace));
    }

    /// A slot went to this run.
    fn granted(&mut self, uid: &str) -> Result<(), TestCaseError> {
        let own = applicant(uid);
        let older = self.waiting.iter().map(|other| applicant(other));
        let mut older =
            older.filter(|o| o.namespace == own.namespace && (o.created, o.uid) < (own.created, own.uid));
        prop_assert!(older.next().is_none(), "{} is not the oldest", uid);
        self.waiting.remove(uid);
        self.running.insert(uid.to_owned());
        self.passed_over.remove(own.namespace);
        for namespace in self.namespaces().iter().filter(|n| *n != own.namespace) {
            let others = self.passed_over.entry(namespace.clone()).or_default();
            let times = others.entry(own.namespace.to_owned()).or_default();
            *times += 1;
            prop_assert!(
                *times <= 1,
                "{} got two slots while {} waited",
                own.namespace,
                namespace
            );
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn property_of_every_sequence(limit in 1..4_usize, events in events()) {
        let (mut queue, mut expected) = (FairQueue::new(limit), Expected::default());
        let pick = |set: &BTreeSet<String>, index: &prop::sample::Index| (!set.is_empty()).then(|| set.iter().nth(index.index(set.len())).unwrap().clone());
        for event in events {
            let left = match event {
                Event::Ask(namespace, age) => {
                    let uid = format!("n{namespace}/{age}");
                    if take(&mut queue, &uid) {
                        expected.running.insert(uid);
                    } else {
                        expected.waiting.insert(uid);
                    }
                    None
                }
                Event::End(index) => pick(&expected.running, &index),
                Event::GiveUp(index) => pick(&expected.waiting, &index),
            };
            if let Some(uid) = left {
                let had_slot = expected.running.remove(&uid);
                expected.waiting.remove(&uid);
                expected.forget_served();
                let next = queue.leave(&uid, Instant::now());
                prop_assert_eq!(next.is_some(), had_slot && !expected.waiting.is_empty());
                if let Some((next, ())) = next {
                    expected.granted(&next)?;
                    prop_assert!(take(&mut queue, &next));
                    expected.forget_served();
                }
            }
            prop_assert_eq!(queue.counts(), (expected.running.len(), expected.waiting.len()));
            prop_assert!(expected.running.len() <= limit);
            prop_assert!(expected.waiting.is_empty() || expected.running.len() == limit, "a slot is free while a run waits");
        }
    }
}
