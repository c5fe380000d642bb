//! Faults by script: which calls are hit, and by what.

mod page;
mod record;
mod text;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use page::spoil;
pub use record::Blemish;
pub(super) use text::{LOGIN_PAGE, early_answer, overload, rewrite};

use super::call::{Call, Endpoint};

/// Which variant an error under HTTP 200 takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorShape {
    /// `{"data":null,"error":{"code":500,…}}`
    Nqs,
    /// `{"success":false,"error":{"code":"INTERNAL_ERROR",…}}`
    Tmq,
    /// The true answer, with an error beside it.
    Both,
}

/// What a body that was cut says of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CutLength {
    /// `Content-Length` of what is really sent: only the JSON is broken.
    Right,
    /// `Content-Length` of the whole; the connection is closed before.
    Wrong,
    /// No length; the last chunk never comes.
    Chunked,
}

/// Something that goes wrong with one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Fault {
    /// The answer comes later. Several add up.
    Latency {
        /// How much later.
        ms: u64,
    },
    /// Another status. Without a body, the error envelope of the endpoint.
    Status {
        /// The HTTP status.
        status: u16,
        /// The body: `application/json` if it begins with a brace, else `text/plain`.
        #[serde(default)]
        body: Option<String>,
    },
    /// 429 with `Retry-After`.
    Throttle {
        /// How long to wait.
        seconds: u64,
        /// As an HTTP date instead of a number.
        #[serde(default)]
        as_date: bool,
    },
    /// Refuses at once, without latency, who comes while `limit` calls are being served.
    Overload {
        /// How many are served at once.
        limit: usize,
        /// What the others get, such as 429 or 503.
        status: u16,
        /// Their `Retry-After`, if they get one.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The connection is reset (RST).
    Reset {
        /// After so many bytes of the body; none: before the headers.
        #[serde(default)]
        after_bytes: Option<usize>,
    },
    /// The body comes in small pieces.
    SlowBody {
        /// Bytes in a piece.
        chunk: usize,
        /// Pause between two pieces.
        every_ms: u64,
    },
    /// Nothing more comes until [`release`](super::Simulator::release), or until the simulator stops.
    Hang {
        /// After the call took effect and so many bytes of the body were sent; none: before it is even looked at.
        #[serde(default)]
        after_bytes: Option<usize>,
    },
    /// Only the first bytes of the body come, and the connection is closed politely.
    Cut {
        /// How many.
        bytes: usize,
        /// What the headers say of it.
        length: CutLength,
    },
    /// The page has fewer rows than asked; the next one begins where it ends.
    ShortPage {
        /// How many are left.
        items: usize,
    },
    /// No rows, with everything else in order.
    EmptyPage,
    /// The list itself is not there.
    MissingItems,
    /// `totalCount` is not there.
    NoTotal,
    /// `totalCount` is wrong.
    WrongTotal {
        /// By so many.
        by: i64,
        /// And by so many more each time.
        #[serde(default)]
        step: i64,
    },
    /// The first rows of the page come again in place of its last ones; number and total look right.
    RepeatRows {
        /// How many.
        rows: usize,
        /// With another name, status and time of update.
        #[serde(default)]
        different: bool,
    },
    /// The first rows of the page are left out; who goes by the rows received sees the last ones twice instead.
    DropRows {
        /// How many.
        rows: usize,
    },
    /// One row of the page is not as it should be.
    Record {
        /// What is wrong with it.
        blemish: Blemish,
        /// Its place on the page.
        #[serde(default)]
        at: usize,
        /// Of the blemishes that have a size.
        #[serde(default)]
        size: Option<usize>,
    },
    /// HTTP 200 with an error in the body.
    ErrorUnder200 {
        /// In which shape.
        shape: ErrorShape,
    },
    /// HTTP 200 with a login page.
    Html,
    /// 302 to a login page.
    Redirect {
        /// Where to; else `/login` of the simulator, which answers with the page.
        #[serde(default)]
        to: Option<String>,
    },
    /// The session of this call is over: 401 until the next login or refresh.
    Expire,
    /// 200 without tokens.
    Challenge {
        /// What the vendor asks for; else `NEW_PASSWORD_REQUIRED`.
        #[serde(default)]
        result: Option<String>,
    },
    /// So many bytes more than there is to say, in valid JSON.
    HugeBody {
        /// How many.
        bytes: usize,
    },
    /// A list that begins and never ends.
    EndlessBody,
    /// Compressed, whether or not the client said that it takes that.
    Gzip,
    /// A byte-order mark before the JSON.
    ByteOrderMark,
}

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
pub(super) struct Hit {
    pub(super) fault: Fault,
    pub(super) nth: u32,
}

/// The rules in force. All that match a call hit it, in their order.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) rules: Vec<RuleState>,
}

impl Script {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
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

    pub(super) fn hits(&mut self, call: &Call) -> Vec<Hit> {
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

/// All latencies of a call together.
pub(super) fn latency(hits: &[Hit]) -> Duration {
    let each = hits.iter().map(|hit| match hit.fault {
        Fault::Latency { ms } => Duration::from_millis(ms),
        _ => Duration::ZERO,
    });
    each.sum()
}
