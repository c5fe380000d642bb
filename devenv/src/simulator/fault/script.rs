//! Pure: rules, and the script that they make: which calls are hit, and how often.

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::simulator::call::{Call, Endpoint};

/// A fault, and the calls that it hits. What is not given matches every call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Calls of this endpoint.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// Calls for the page that begins here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// Calls for pages that begin here or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_from: Option<usize>,
    /// Calls that ask for this region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<i64>,
    /// Lets so many matching calls pass first.
    #[serde(default)]
    pub after: u32,
    /// Hits so many calls; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens.
    pub fault: Fault,
}

impl Rule {
    /// Hits every call of an endpoint.
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

    /// Only the page that begins here.
    #[must_use]
    pub fn offset(self, offset: usize) -> Self {
        Self {
            offset: Some(offset),
            ..self
        }
    }

    /// Only pages that begin here or later.
    #[must_use]
    pub fn offset_from(self, offset: usize) -> Self {
        Self {
            offset_from: Some(offset),
            ..self
        }
    }

    /// Only calls that ask for this region.
    #[must_use]
    pub fn region(self, region: i64) -> Self {
        Self {
            region: Some(region),
            ..self
        }
    }

    /// Lets so many matching calls pass first.
    #[must_use]
    pub fn after(self, calls: u32) -> Self {
        Self { after: calls, ..self }
    }

    /// Hits so many calls.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// Hits one call.
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

/// A rule at work.
#[derive(Debug, Clone, Serialize)]
pub struct RuleState {
    /// The rule.
    pub rule: Rule,
    /// How many calls matched it.
    pub matched: u32,
    /// How many it hit.
    pub fired: u32,
}

/// A fault that hits the call at hand, for the `nth` time (from 0).
#[derive(Debug, Clone)]
pub(in crate::simulator) struct Hit {
    pub(in crate::simulator) fault: Fault,
    pub(in crate::simulator) nth: u32,
}

/// The rules in force. All that match a call hit it, in their order.
#[derive(Debug, Default)]
pub(in crate::simulator) struct Script {
    pub(in crate::simulator) rules: Vec<RuleState>,
}

impl Script {
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
            let spent = state.rule.times.is_some_and(|times| state.fired >= times);
            if state.matched > state.rule.after && !spent {
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
