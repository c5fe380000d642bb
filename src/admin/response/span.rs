//! Pure: the steps and waits of a run, from the spans in its log row and, while it is pending, from its object.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::time;
use crate::api::condition::{self, RECONCILING};
use crate::api::reason::Reason;
use crate::api::sync::{Phase, TaranaSync};
use crate::store::{Span, WaitCause};

/// A step of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Step)]
#[serde(rename_all = "camelCase")]
pub struct StepResponse {
    /// Name of the step: Open, Fetch or Apply. Fetch and Apply are repeated if a second reading must confirm what the first one
    /// does not contain.
    pub step: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended. Absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Whether it failed.
    pub failed: bool,
    /// Number of pages of the listing that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<i64>,
}

/// What a run waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WaitCause)]
pub enum WaitCauseResponse {
    /// Another sync of the connection.
    Sync,
    /// The connection: it was missing, being verified, or not ready.
    Connection,
    /// The connection was suspended.
    Suspension,
    /// The vendor's API asked for a pause.
    Throttling,
    /// The pause after a failed attempt.
    Backoff,
    /// A lock in the database.
    Lock,
    /// No process worked on the run: the operator was restarted, or another replica took over.
    Interruption,
    /// Something else, which the detail names.
    Other,
}

impl From<WaitCause> for WaitCauseResponse {
    fn from(cause: WaitCause) -> Self {
        match cause {
            WaitCause::Run => Self::Sync,
            WaitCause::Connection => Self::Connection,
            WaitCause::Suspension => Self::Suspension,
            WaitCause::Throttling => Self::Throttling,
            WaitCause::Backoff => Self::Backoff,
            WaitCause::Lock => Self::Lock,
            WaitCause::Interruption => Self::Interruption,
            WaitCause::Other => Self::Other,
        }
    }
}

/// A period in which a run waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Wait)]
#[serde(rename_all = "camelCase")]
pub struct WaitResponse {
    pub cause: WaitCauseResponse,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended. Absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it was to end, if that was known: the end of the pause that the API asked for, or the time of the next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What the run waited for, or why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How what lasts in a log row has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowEnd {
    /// When the run ended; `None` while it is active.
    pub at: Option<Timestamp>,
    /// Whether it failed.
    pub failed: bool,
}

impl StepResponse {
    pub(super) fn new(span: Span, end: RowEnd) -> Self {
        let has_ended = span.ended_at.is_some();
        Self {
            ended_at: ended(&span, end),
            failed: span.failed || (!has_ended && end.failed),
            step: span.step.unwrap_or_default(),
            started_at: span.started_at,
            pages: span.pages,
        }
    }
}

impl WaitResponse {
    pub(super) fn new(span: Span, end: RowEnd) -> Self {
        Self {
            cause: span.cause.unwrap_or(WaitCause::Other).into(),
            ended_at: ended(&span, end),
            started_at: span.started_at,
            until: span.until,
            detail: span.detail,
        }
    }

    /// What a pending run waits for, according to its object: since its creation, as far as that shows.
    pub(super) fn pending(sync: &TaranaSync) -> Option<Self> {
        let status = sync.status.as_ref()?;
        let condition = condition::find(&status.conditions, RECONCILING);
        let condition = condition.filter(|_| status.phase == Phase::Pending)?;
        Some(Self {
            cause: Reason::parse(&condition.reason)
                .map_or(WaitCause::Other, WaitCause::of)
                .into(),
            started_at: time(sync.metadata.creation_timestamp.as_ref())?,
            ended_at: None,
            until: None,
            detail: Some(condition.message.clone()),
        })
    }
}

fn ended(span: &Span, end: RowEnd) -> Option<Timestamp> {
    span.ended_at.or(end.at.map(|at| at.max(span.started_at)))
}
