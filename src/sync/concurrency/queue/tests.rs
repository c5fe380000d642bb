use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use k8s_openapi::jiff::Timestamp;
use proptest::prelude::*;

use super::{Answer, Applicant, FairQueue, HANGING, RESERVATION, Servers};

/// A run whose uid begins with its namespace and ends with its age. Its servers are those of its namespace.
fn applicant(uid: &str) -> Applicant<'_> {
    let (namespace, age) = uid.split_once('/').unwrap();
    Applicant {
        uid,
        namespace,
        created: Some(Timestamp::from_second(age.parse().unwrap()).unwrap()),
        servers: Servers {
            vendor: format!("vendor of {namespace}"),
            database: "database".to_owned(),
        },
    }
}

fn ask(queue: &mut FairQueue<()>, uid: &str, now: Instant) -> Answer {
    queue.take(applicant(uid), (), now)
}

fn take(queue: &mut FairQueue<()>, uid: &str) -> bool {
    ask(queue, uid, Instant::now()) == Answer::Taken
}

/// The runs that get slots now.
fn reserve(queue: &mut FairQueue<()>, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| queue.reserve(now))
        .map(|(uid, ())| uid)
        .collect()
}

/// Ends a run, and returns those that get slots.
fn leave(queue: &mut FairQueue<()>, uid: &str) -> Vec<String> {
    queue.leave(uid);
    reserve(queue, Instant::now())
}

/// Ends the run and lets the next one begin.
fn next(queue: &mut FairQueue<()>, uid: &str) -> String {
    let next = leave(queue, uid).pop().unwrap();
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
    assert!(leave(&mut queue, "a/3").is_empty());
    assert_eq!(queue.counts(), (0, 0));
}

#[test]
fn a_run_that_left_gets_nothing() {
    let mut queue = FairQueue::new(1);
    assert!(take(&mut queue, "a/0") && !take(&mut queue, "a/1") && !take(&mut queue, "a/2"));
    assert!(leave(&mut queue, "a/1").is_empty(), "it only waited");
    assert_eq!(next(&mut queue, "a/0"), "a/2");
}

#[test]
fn a_slot_is_not_reserved_for_ever() {
    let mut queue = FairQueue::new(1);
    assert!(take(&mut queue, "a/0") && !take(&mut queue, "a/1") && !take(&mut queue, "a/2"));
    let start = Instant::now();
    queue.leave("a/0");
    assert_eq!(reserve(&mut queue, start), ["a/1"]);
    queue.expire(start + RESERVATION / 2);
    let late = start + RESERVATION;
    assert!(reserve(&mut queue, late).is_empty());
    queue.expire(late);
    assert_eq!(reserve(&mut queue, late), ["a/2"]);
    assert_eq!(ask(&mut queue, "a/2", late), Answer::Taken);
    queue.expire(late + RESERVATION);
    assert_eq!(ask(&mut queue, "a/2", late), Answer::Taken, "it was taken");
}

/// Eight slots, of which two may hang on one server.
#[test]
fn the_slots_of_runs_that_hang_go_to_users_of_other_servers() {
    let mut queue = FairQueue::new(8);
    let start = Instant::now();
    let run = |vendor: &str, uid: &'static str| Applicant {
        servers: Servers {
            vendor: vendor.to_owned(),
            database: "database".to_owned(),
        },
        ..applicant(uid)
    };
    let silent = ["a/0", "a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7"];
    for uid in silent {
        assert_eq!(queue.take(run("silent", uid), (), start), Answer::Taken);
        queue.uses(uid, "silent", start);
    }
    assert_eq!(queue.take(run("silent", "a/8"), (), start), Answer::Full);
    assert_eq!(queue.take(run("good", "b/0"), (), start), Answer::Full);
    // One goes on, the others hang.
    let late = start + HANGING;
    queue.progressed("a/0", late);
    queue.expire(late);
    assert_eq!(reserve(&mut queue, late), ["b/0"], "a/8 would hang as well");
    assert_eq!(queue.take(run("silent", "a/8"), (), late), Answer::ServerHangs);
    for uid in ["d/0", "d/1", "d/2", "d/3", "d/4", "d/5"] {
        assert_eq!(queue.take(run("good", uid), (), late), Answer::Taken, "{uid}");
    }
    assert_eq!(queue.take(run("good", "d/6"), (), late), Answer::Full);
    // The vendor responds: there are more than the limit, until some have ended.
    for uid in silent {
        queue.progressed(uid, late);
    }
    assert!(reserve(&mut queue, late).is_empty());
    assert_eq!(queue.counts(), (15, 2));
    for uid in &silent[..7] {
        assert!(leave(&mut queue, uid).is_empty(), "{uid}");
    }
    assert_eq!(leave(&mut queue, silent[7]), ["a/8"], "it is the turn of a");
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
                let next = leave(&mut queue, &uid);
                prop_assert_eq!(next.len(), usize::from(had_slot && !expected.waiting.is_empty()));
                for next in next {
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
