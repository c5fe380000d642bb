//! Pure: the rules that decide which calls a fault hits, and how often.

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::simulator::call::{Call, Endpoint};

/// A fault and the calls that it hits. An omitted condition matches every call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Calls to this endpoint.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// Calls for the page at this offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// Calls for pages at this offset or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_from: Option<usize>,
    /// Calls for this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<i64>,
    /// Skips this many matching calls first.
    #[serde(default)]
    pub after: u32,
    /// The maximum number of hits; `None`: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The fault.
    pub fault: Fault,
}

impl Rule {
    /// A rule for every call to an endpoint.
    pub fn on(endpoint: Endpoint, fault: Fault) -> Self {
        Self {
            endpoint,
            offset: None,
            offset_from: None,
            region: None,
            after: 0,
            times: None,
            fault,
        }
    }

    /// Restricts the rule to the page at this offset.
    #[must_use]
    pub fn offset(self, offset: usize) -> Self {
        Self {
            offset: Some(offset),
            ..self
        }
    }

    /// Restricts the rule to pages at this offset or later.
    #[must_use]
    pub fn offset_from(self, offset: usize) -> Self {
        Self {
            offset_from: Some(offset),
            ..self
        }
    }

    /// Restricts the rule to calls for this region.
    #[must_use]
    pub fn region(self, region: i64) -> Self {
        Self {
            region: Some(region),
            ..self
        }
    }

    /// Skips this many matching calls first.
    #[must_use]
    pub fn after(self, calls: u32) -> Self {
        Self { after: calls, ..self }
    }

    /// Limits the number of hits.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// Limits the rule to one hit.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    fn matches(&self, call: &Call) -> bool {
        let offset = call.offset();
        (self.endpoint == Endpoint::Any || self.endpoint == call.endpoint)
            && self.offset.is_none_or(|at| offset == Some(at))
            && self
                .offset_from
                .is_none_or(|from| offset.is_some_and(|at| at >= from))
            && self
                .region
                .is_none_or(|id| call.regions().is_some_and(|ids| ids.contains(&id)))
    }
}

/// An active rule with its counters.
#[derive(Debug, Clone, Serialize)]
pub struct RuleState {
    /// The rule.
    pub rule: Rule,
    /// The number of matching calls.
    pub matched: u32,
    /// The number of hits.
    pub fired: u32,
}

/// A fault that hits the current call, for the `nth` time (from 0).
#[derive(Debug, Clone)]
pub(in crate::simulator) struct Hit {
    pub(in crate::simulator) fault: Fault,
    pub(in crate::simulator) nth: u32,
}

/// The active rules. All that match a call hit it, in order.
#[derive(Debug, Default)]
pub(in crate::simulator) struct RuleSet {
    pub(in crate::simulator) rules: Vec<RuleState>,
}

impl RuleSet {
    pub(in crate::simulator) fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules: rules
                .into_iter()
                .map(|rule| RuleState {
                    rule,
                    matched: 0,
                    fired: 0,
                })
                .collect(),
        }
    }

    pub(in crate::simulator) fn hits(&mut self, call: &Call) -> Vec<Hit> {
        let mut hits = Vec::new();
        for state in &mut self.rules {
            if !state.rule.matches(call) {
                continue;
            }
            state.matched += 1;
            let exhausted = state.rule.times.is_some_and(|times| state.fired >= times);
            if state.matched > state.rule.after && !exhausted {
                hits.push(Hit {
                    fault: state.rule.fault.clone(),
                    nth: state.fired,
                });
                state.fired += 1;
            }
        }
        hits
    }
}
