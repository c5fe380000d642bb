//! Everything that a simulation knows, and how a call is answered from it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::call::{Answer, Call, Endpoint};
use super::config::Config;
use super::fault::{self, Blemish, Fault, Hit, Script};
use super::fleet::{Fleet, network_hierarchy};
use super::gate::Gate;
use super::listing;
use super::session::Sessions;

/// How many calls are remembered one by one.
const REMEMBERED: usize = 20_000;

/// What the simulator saw so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Calls of each endpoint, refused ones too.
    pub requests: BTreeMap<Endpoint, u64>,
    /// Logins that gave tokens.
    pub logins: u64,
    /// Logins that were refused for their credentials.
    pub failed_logins: u64,
    /// Refreshes that gave tokens.
    pub refreshes: u64,
    /// Calls under way now.
    pub in_flight: usize,
    /// The most calls that ever were under way at once.
    pub in_flight_max: usize,
    /// Calls that were refused because too many were under way (the fault `overload`).
    pub overloaded: u64,
}

impl Counters {
    /// Calls of one endpoint, or of all.
    pub fn of(&self, endpoint: Endpoint) -> u64 {
        match endpoint {
            Endpoint::Any => self.requests.values().sum(),
            one => self.requests.get(&one).copied().unwrap_or(0),
        }
    }
}

/// One call, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// What it was about.
    pub endpoint: Endpoint,
    /// Where its page begins.
    pub offset: Option<usize>,
    /// How many rows it asked for.
    pub count: Option<usize>,
    /// The regions that it asked for.
    pub regions: Option<Vec<i64>>,
    /// Its `User-Agent`.
    pub user_agent: Option<String>,
    /// Its `X-Caller-Name`.
    pub caller: Option<String>,
    /// The status that it got, before faults of the wire.
    pub status: u16,
}

/// The part of a simulation that changes.
pub(super) struct World {
    pub(super) fleet: Fleet,
    pub(super) sessions: Sessions,
    pub(super) script: Script,
    pub(super) counters: Counters,
    pub(super) seen: VecDeque<Seen>,
    /// Of which devices a blemished record was told since the script was set.
    pub(super) spoilt: BTreeSet<(String, Blemish)>,
    /// Calls under way that are not being refused.
    served: usize,
}

/// A simulation, as its connections and its handle share it.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) url: String,
    pub(super) gate: std::sync::Arc<Gate>,
    /// Told of every change of the counters.
    pub(super) activity: watch::Sender<()>,
    world: Mutex<World>,
}

impl World {
    pub(super) fn new(config: &Config, secure: bool) -> Self {
        Self {
            fleet: Fleet::new(config.seed, config.operator_id, &config.fleet),
            sessions: Sessions::new(config, secure),
            script: Script::default(),
            counters: Counters::default(),
            seen: VecDeque::new(),
            spoilt: BTreeSet::new(),
            served: 0,
        }
    }

    /// The true answer, but for faults of its content.
    fn answer(&mut self, call: &Call, hits: &[Hit], config: &Config) -> Answer {
        if hits.iter().any(|hit| hit.fault == Fault::Expire) {
            self.sessions.revoke(call);
        }
        if let Some(answer) = fault::early_answer(call, hits) {
            return answer;
        }
        match call.endpoint {
            Endpoint::Login => self.login(call),
            Endpoint::Refresh => {
                let answer = self.sessions.refresh(call);
                self.counters.refreshes += u64::from(answer.status == 200);
                answer
            }
            _ => self.guarded(call, hits, config),
        }
    }

    fn login(&mut self, call: &Call) -> Answer {
        let answer = self.sessions.login(call);
        match answer.status {
            200 => self.counters.logins += 1,
            401 => self.counters.failed_logins += 1,
            _ => {}
        }
        answer
    }

    fn guarded(&mut self, call: &Call, hits: &[Hit], config: &Config) -> Answer {
        let lacks = |name: &String| call.header(name).is_none();
        let elsewhere = call.endpoint.names_operator() && call.operator != Some(config.operator_id);
        if let Some(refusal) = self.sessions.refuse(call) {
            return refusal;
        }
        if elsewhere || config.required_headers.iter().any(lacks) {
            return Answer::denied();
        }
        match call.endpoint {
            Endpoint::Users => self.sessions.user(),
            Endpoint::Hierarchy => Answer::data(&network_hierarchy(config.operator_id, self.fleet.rows())),
            Endpoint::Unknown | Endpoint::Any => Answer::error(call.endpoint, 404, "no such route"),
            _ => match listing::page(call, &mut self.fleet, config, fault::instead(hits)) {
                Ok(mut page) => {
                    self.spoilt.extend(fault::spoil(&mut page, hits));
                    Answer::json(200, page.write())
                }
                Err(refusal) => refusal,
            },
        }
    }
}

impl Shared {
    pub(super) fn new(config: Config, url: String) -> Self {
        let secure = url.starts_with("https");
        let world = Mutex::new(World::new(&config, secure));
        let gate = std::sync::Arc::new(Gate::new());
        Self {
            config,
            url,
            gate,
            activity: watch::Sender::new(()),
            world,
        }
    }

    /// A test that failed while it held the world must not fail all others that look at it.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call: it counts as under way until the result is dropped.
    pub(super) fn enter(&self, call: &Call) -> (Vec<Hit>, UnderWay<'_>) {
        let mut world = self.world();
        *world.counters.requests.entry(call.endpoint).or_default() += 1;
        world.counters.in_flight += 1;
        world.counters.in_flight_max = world.counters.in_flight_max.max(world.counters.in_flight);
        let hits = world.script.hits(call);
        let refusal = fault::overload(call, &hits, world.served);
        world.counters.overloaded += u64::from(refusal.is_some());
        world.served += usize::from(refusal.is_none());
        drop(world);
        self.activity.send_replace(());
        (
            hits,
            UnderWay {
                shared: self,
                refusal,
            },
        )
    }

    /// Answers a call, as far as that is not a matter of the wire.
    pub(super) fn answer(&self, call: &Call, hits: &[Hit], refusal: Option<Answer>) -> Answer {
        let mut world = self.world();
        let answer = refusal.unwrap_or_else(|| world.answer(call, hits, &self.config));
        let number = world.counters.of(Endpoint::Any);
        if world.seen.len() == REMEMBERED {
            world.seen.pop_front();
        }
        world.seen.push_back(Seen {
            endpoint: call.endpoint,
            offset: call.offset(),
            count: call.count(),
            regions: call.regions(),
            user_agent: call.header("user-agent").map(str::to_owned),
            caller: call.header("x-caller-name").map(str::to_owned),
            status: answer.status,
        });
        drop(world);
        self.activity.send_replace(());
        fault::rewrite(answer, hits)
            .with_header("x-request-id", format!("5a1e0000-0000-4000-8000-{number:012x}"))
            .with_header("x-envoy-upstream-service-time", "7")
    }
}

/// Marks a call as under way.
pub(super) struct UnderWay<'a> {
    shared: &'a Shared,
    refusal: Option<Answer>,
}

impl UnderWay<'_> {
    /// What it is refused with, if it came on top of too many.
    pub(super) fn refusal(&self) -> Option<Answer> {
        self.refusal.clone()
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut world = self.shared.world();
        // A reset may have set the counts back while this call was under way.
        world.counters.in_flight = world.counters.in_flight.saturating_sub(1);
        world.served = world.served.saturating_sub(usize::from(self.refusal.is_none()));
        drop(world);
        self.shared.activity.send_replace(());
    }
}
