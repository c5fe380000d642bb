//! Pure: the waterfall of a run: each wait, attempt and step with its place between the request and the end.

use jiff::Timestamp;

use crate::admin::response::attempt::{AttemptList, AttemptResponse, AttemptState};
use crate::admin::response::span::{StepResponse, WaitCauseResponse, WaitResponse};
use crate::admin::ui::words;

/// Width of the axis in units of the drawing.
pub const WIDTH: i64 = 1000;
/// Width of a bar of something short.
const MIN_WIDTH: i64 = 6;

/// The waterfall of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Waterfall {
    /// The rows, in the order in which they began.
    pub rows: Vec<Row>,
    /// Length of the axis.
    pub total: String,
    /// Number of steps and waits that are not kept.
    pub omitted: Option<u32>,
}

/// A wait, an attempt or a step.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// `wait`, `work` or `failed`.
    pub kind: &'static str,
    /// Whether it is a part of an attempt.
    pub is_part: bool,
    /// More about it.
    pub detail: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// Time from the request.
    pub offset: String,
    /// How long it took.
    pub duration: String,
    /// Left edge of its bar.
    pub x: i64,
    /// Width of its bar.
    pub width: i64,
}

/// A period before it is placed.
struct Period {
    name: String,
    kind: &'static str,
    is_part: bool,
    detail: Option<String>,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
}

impl Waterfall {
    /// `end` is when the run ended, or now; `None` if nothing is recorded. The clocks of the cluster, the database and this process
    /// may differ: what began before the request or ended after the end lengthens the axis.
    pub fn new(requested_at: Timestamp, end: Timestamp, attempts: &AttemptList) -> Option<Self> {
        let mut periods: Vec<Period> = attempts
            .waits
            .iter()
            .map(|wait| Period::wait(wait, false))
            .collect();
        for attempt in &attempts.items {
            periods.extend(Period::attempt(attempt));
            periods.extend(attempt.steps.iter().map(Period::step));
            periods.extend(attempt.waits.iter().map(|wait| Period::wait(wait, true)));
        }
        // Stable: an attempt precedes its first step.
        periods.sort_by_key(|period| period.started_at);
        let first = periods.first()?.started_at.min(requested_at);
        let ends = periods.iter().map(|p| p.ended_at.unwrap_or(p.started_at));
        let last = ends.fold(end, Timestamp::max).max(first);
        let axis = Axis { first, last };
        Some(Self {
            rows: periods.into_iter().map(|period| axis.place(period)).collect(),
            total: words::exact_duration(last.duration_since(first)),
            omitted: attempts.omitted,
        })
    }
}

/// The time that the drawing shows.
struct Axis {
    first: Timestamp,
    last: Timestamp,
}

impl Axis {
    fn place(&self, period: Period) -> Row {
        let ended_at = period.ended_at.unwrap_or(self.last).max(period.started_at);
        let (x, end) = (self.position(period.started_at), self.position(ended_at));
        let width = (end - x).max(MIN_WIDTH);
        let duration = words::exact_duration(ended_at.duration_since(period.started_at));
        Row {
            // A short bar at the end is moved to the left, so that it is visible.
            x: x.min(WIDTH - width),
            width,
            offset: words::exact_duration(period.started_at.duration_since(self.first)),
            duration: match period.ended_at {
                Some(_) => duration,
                None => format!("{duration} so far"),
            },
            name: period.name,
            kind: period.kind,
            is_part: period.is_part,
            detail: period.detail,
            started_at: period.started_at,
        }
    }

    fn position(&self, time: Timestamp) -> i64 {
        let micros = |t: Timestamp| i128::from(t.as_microsecond());
        let length = (micros(self.last) - micros(self.first)).max(1);
        let position = (micros(time) - micros(self.first)) * i128::from(WIDTH) / length;
        i64::try_from(position).unwrap_or_default().clamp(0, WIDTH)
    }
}

impl Period {
    /// An attempt whose start is recorded. The database may have recorded it a moment after the first step began.
    fn attempt(attempt: &AttemptResponse) -> Option<Self> {
        let (kind, state) = match attempt.state {
            AttemptState::Failed => ("failed", " failed"),
            AttemptState::Cancelled => ("work", " cancelled"),
            AttemptState::Running | AttemptState::Completed => ("work", ""),
        };
        let steps = attempt.steps.iter().map(|step| step.started_at);
        // The end of a failed attempt may not be recorded.
        let is_running = attempt.state == AttemptState::Running;
        let ended_at = attempt.ended_at.or(attempt.started_at.filter(|_| !is_running));
        Some(Self {
            name: format!("Attempt {}{state}", attempt.number),
            kind,
            is_part: false,
            detail: None,
            started_at: steps.fold(attempt.started_at?, Timestamp::min),
            ended_at,
        })
    }

    fn step(step: &StepResponse) -> Self {
        let name = match step.step.as_str() {
            "Open" => "Claim the log row",
            "Fetch" => "Read the listing",
            "Apply" => "Write the changes",
            other => other,
        };
        let pages = step.pages.map(|pages| match pages {
            1 => "1 page".to_owned(),
            _ => format!("{} pages", words::number(pages)),
        });
        Self {
            name: if step.failed {
                format!("{name}: failed")
            } else {
                name.to_owned()
            },
            kind: if step.failed { "failed" } else { "work" },
            is_part: true,
            detail: pages,
            started_at: step.started_at,
            ended_at: step.ended_at,
        }
    }

    fn wait(wait: &WaitResponse, is_part: bool) -> Self {
        let what = match wait.cause {
            WaitCauseResponse::Sync => "Wait for another sync",
            WaitCauseResponse::Connection => "Wait for the connection",
            WaitCauseResponse::Suspension => "Wait: the connection is suspended",
            WaitCauseResponse::Throttling => "Wait: the vendor asked for a pause",
            WaitCauseResponse::Backoff => "Wait before the next attempt",
            WaitCauseResponse::Lock => "Wait for a lock in the database",
            WaitCauseResponse::Interruption => "Interrupted: no operator worked on it",
            WaitCauseResponse::Other => "Wait",
        };
        let until = wait
            .until
            .map(|until| format!("Until {}.", until.strftime("%H:%M:%S UTC")));
        let detail = wait.detail.as_deref().map(words::sentence);
        let parts: Vec<String> = detail.into_iter().chain(until).collect();
        Self {
            name: what.to_owned(),
            kind: "wait",
            is_part,
            detail: (!parts.is_empty()).then(|| parts.join(" ")),
            started_at: wait.started_at,
            ended_at: wait.ended_at,
        }
    }
}

#[cfg(test)]
mod tests;
