//! The state of a simulator, and how it responds to a call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::call::{ApiResponse, Call, Endpoint};
use super::config::Config;
use super::fault::{self, Fault, Hit, RecordDefect, RuleSet};
use super::fleet::{Fleet, network_hierarchy};
use super::hang_latch::HangLatch;
use super::listing;
use super::session::Sessions;

/// How many calls are recorded.
const MAX_RECORDED: usize = 20_000;

/// Counters of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Calls per endpoint, including rejected ones.
    pub requests: BTreeMap<Endpoint, u64>,
    /// Successful logins.
    pub logins: u64,
    /// Logins with wrong credentials.
    pub failed_logins: u64,
    /// Successful refreshes.
    pub refreshes: u64,
    /// Current calls.
    pub in_flight: usize,
    /// The maximum number of concurrent calls.
    pub in_flight_max: usize,
    /// Calls that the fault `overload` rejected.
    pub overloaded: u64,
}

impl Counters {
    /// The number of calls to an endpoint, or to all.
    pub fn requests_to(&self, endpoint: Endpoint) -> u64 {
        match endpoint {
            Endpoint::Any => self.requests.values().sum(),
            one => self.requests.get(&one).copied().unwrap_or(0),
        }
    }
}

/// A recorded call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRequest {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The requested offset.
    pub offset: Option<usize>,
    /// The requested number of rows.
    pub count: Option<usize>,
    /// The requested regions.
    pub regions: Option<Vec<i64>>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The `X-Caller-Name` header.
    pub caller: Option<String>,
    /// The access token of the session, which tells the programs apart that call.
    pub access_token: Option<String>,
    /// The response status, before connection faults.
    pub status: u16,
}

/// The mutable state of a simulator.
pub(super) struct SimulatorState {
    pub(super) fleet: Fleet,
    pub(super) sessions: Sessions,
    pub(super) rule_set: RuleSet,
    pub(super) counters: Counters,
    pub(super) recorded_requests: VecDeque<RecordedRequest>,
    /// The devices whose record was delivered defective since the rules were set.
    pub(super) defective_records: BTreeSet<(String, RecordDefect)>,
    /// Current calls that were not rejected by `overload`.
    served: usize,
}

/// The state that all connections and the handle share.
pub(super) struct SharedState {
    pub(super) config: Config,
    pub(super) url: String,
    pub(super) hang_latch: std::sync::Arc<HangLatch>,
    /// Notified of every change of the counters.
    pub(super) activity: watch::Sender<()>,
    state: Mutex<SimulatorState>,
}

impl SimulatorState {
    pub(super) fn new(config: &Config, secure: bool) -> Self {
        Self {
            fleet: Fleet::new(config.seed, config.operator_id, &config.fleet),
            sessions: Sessions::new(config, secure),
            rule_set: RuleSet::default(),
            counters: Counters::default(),
            recorded_requests: VecDeque::new(),
            defective_records: BTreeSet::new(),
            served: 0,
        }
    }

    /// The response, with faults of its content.
    fn respond(&mut self, call: &Call, hits: &[Hit], config: &Config) -> ApiResponse {
        if hits.iter().any(|hit| hit.fault == Fault::Expire) {
            self.sessions.revoke(call);
        }
        if let Some(response) = fault::override_response(call, hits) {
            return response;
        }
        match call.endpoint {
            Endpoint::Login => self.login(call),
            Endpoint::Refresh => {
                let response = self.sessions.refresh(call);
                self.counters.refreshes += u64::from(response.status == 200);
                response
            }
            _ => self.respond_authenticated(call, hits, config),
        }
    }

    fn login(&mut self, call: &Call) -> ApiResponse {
        let response = self.sessions.login(call);
        match response.status {
            200 => self.counters.logins += 1,
            401 => self.counters.failed_logins += 1,
            _ => {}
        }
        response
    }

    fn respond_authenticated(&mut self, call: &Call, hits: &[Hit], config: &Config) -> ApiResponse {
        let lacks = |name: &String| call.header(name).is_none();
        let other_operator = call.endpoint.has_operator() && call.operator != Some(config.operator_id);
        if let Some(rejection) = self.sessions.reject(call) {
            return rejection;
        }
        if other_operator || config.required_headers.iter().any(lacks) {
            return ApiResponse::forbidden();
        }
        match call.endpoint {
            Endpoint::Users => self.sessions.user(),
            Endpoint::Hierarchy => {
                ApiResponse::data(&network_hierarchy(config.operator_id, self.fleet.devices()))
            }
            Endpoint::Unknown | Endpoint::Any => ApiResponse::error(call.endpoint, 404, "no such route"),
            _ => match listing::page(call, &mut self.fleet, config, fault::listing_override(hits)) {
                Ok(mut page) => {
                    self.defective_records
                        .extend(fault::apply_page_faults(&mut page, hits));
                    ApiResponse::json(200, page.write())
                }
                Err(rejection) => rejection,
            },
        }
    }
}

impl SharedState {
    pub(super) fn new(config: Config, url: String) -> Self {
        let secure = url.starts_with("https");
        let state = Mutex::new(SimulatorState::new(&config, secure));
        let hang_latch = std::sync::Arc::new(HangLatch::new());
        Self {
            config,
            url,
            hang_latch,
            activity: watch::Sender::new(()),
            state,
        }
    }

    /// Locks the state. Ignores poisoning: a failed test must not fail all others.
    pub(super) fn lock_state(&self) -> MutexGuard<'_, SimulatorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a call. It is in flight until the returned guard is dropped.
    pub(super) fn begin_call(&self, call: &Call) -> (Vec<Hit>, InFlightCall<'_>) {
        let mut state = self.lock_state();
        *state.counters.requests.entry(call.endpoint).or_default() += 1;
        state.counters.in_flight += 1;
        state.counters.in_flight_max = state.counters.in_flight_max.max(state.counters.in_flight);
        let hits = state.rule_set.hits(call);
        let rejection = fault::reject_overload(call, &hits, state.served);
        state.counters.overloaded += u64::from(rejection.is_some());
        state.served += usize::from(rejection.is_none());
        drop(state);
        self.activity.send_replace(());
        (
            hits,
            InFlightCall {
                shared: self,
                rejection,
            },
        )
    }

    /// Responds to a call, apart from connection faults, and records it.
    pub(super) fn respond(&self, call: &Call, hits: &[Hit], rejection: Option<ApiResponse>) -> ApiResponse {
        let mut state = self.lock_state();
        let response = rejection.unwrap_or_else(|| state.respond(call, hits, &self.config));
        let number = state.counters.requests_to(Endpoint::Any);
        if state.recorded_requests.len() == MAX_RECORDED {
            state.recorded_requests.pop_front();
        }
        state.recorded_requests.push_back(RecordedRequest {
            endpoint: call.endpoint,
            offset: call.offset(),
            count: call.count(),
            regions: call.regions(),
            user_agent: call.header("user-agent").map(str::to_owned),
            caller: call.header("x-caller-name").map(str::to_owned),
            access_token: call.cookie("accessToken").map(str::to_owned),
            status: response.status,
        });
        drop(state);
        self.activity.send_replace(());
        fault::rewrite_body(response, hits)
            .with_header("x-request-id", format!("5a1e0000-0000-4000-8000-{number:012x}"))
            .with_header("x-envoy-upstream-service-time", "7")
    }
}

/// Counts a call as in flight until it is dropped.
pub(super) struct InFlightCall<'a> {
    shared: &'a SharedState,
    rejection: Option<ApiResponse>,
}

impl InFlightCall<'_> {
    /// The rejection by `overload`, if any.
    pub(super) fn rejection(&self) -> Option<ApiResponse> {
        self.rejection.clone()
    }
}

impl Drop for InFlightCall<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock_state();
        // `Simulator::reset` may have zeroed the counters during this call.
        state.counters.in_flight = state.counters.in_flight.saturating_sub(1);
        state.served = state.served.saturating_sub(usize::from(self.rejection.is_none()));
        drop(state);
        self.shared.activity.send_replace(());
    }
}
