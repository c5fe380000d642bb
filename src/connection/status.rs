//! Pure: the status of a connection after a trial.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::State;
use crate::api::condition::{self, READY, RECONCILING, STALLED, whole_seconds};
use crate::api::connection::{TaranaConnection, TaranaConnectionStatus};
use crate::api::reason::Reason;
use crate::fault::Fault;
use crate::station::Listing;

/// What a trial and the runs have to tell.
#[derive(Clone, Debug)]
pub struct News {
    /// What the trial said.
    pub state: State,
    /// What it found, for the Ready condition's message.
    pub found: String,
    /// Name of the run that is active.
    pub active: Option<String>,
    /// When the last successful run committed, and how many base stations it had read.
    pub last_success: Option<(Timestamp, i64)>,
    /// The API asked for quiet until then.
    pub throttled_until: Option<Timestamp>,
    /// The listing in use, and since when if it takes the place of a better one; `None` where nothing is known.
    pub listing: Option<(Listing, Option<Timestamp>)>,
}

/// The status that follows.
pub fn next(connection: &TaranaConnection, news: &News, now: Timestamp) -> TaranaConnectionStatus {
    let mut status = TaranaConnectionStatus {
        observed_generation: connection.metadata.generation,
        active_sync: news.active.clone(),
        throttled_until: news.throttled_until.map(|t| Time(whole_seconds(t))),
        ..connection.status.clone().unwrap_or_default()
    };
    let told = connection.status.as_ref().and_then(|s| s.observed_generation);
    if let Some((listing, since)) = news.listing {
        status.listing = Some(listing.to_string());
        status.listing_since = since.map(|t| Time(whole_seconds(t)));
    } else if told != connection.metadata.generation {
        // Another spec: what was chosen under the old one counts for nothing, in no process.
        (status.listing, status.listing_since) = (None, None);
    }
    if let Some((at, count)) = news.last_success {
        status.last_successful_sync_time = Some(Time(whole_seconds(at)));
        status.station_count = Some(count);
    }
    let mut set = |type_: &str, value: bool, reason: Reason, message: &str| {
        condition::set(
            &mut status.conditions,
            type_,
            value,
            reason,
            message,
            connection.metadata.generation,
            whole_seconds(now),
        );
    };
    match &news.state {
        State::Ready if connection.spec.suspend => {
            set(
                READY,
                false,
                Reason::Suspended,
                "works, but spec.suspend is set: no new sync starts",
            );
            settle(&mut status);
        }
        State::Ready => {
            set(READY, true, Reason::Verified, &news.found);
            settle(&mut status);
        }
        State::Refused(why) | State::Unverified(why) => {
            let (is, is_not) = if why.is_permanent() {
                (STALLED, RECONCILING)
            } else {
                (RECONCILING, STALLED)
            };
            set(READY, false, why.reason, &why.message);
            set(is, true, why.reason, &why.message);
            condition::clear(&mut status.conditions, is_not);
        }
        State::Missing => {}
    }
    status
}

fn settle(status: &mut TaranaConnectionStatus) {
    condition::clear(&mut status.conditions, RECONCILING);
    condition::clear(&mut status.conditions, STALLED);
}

/// The state that a fault of a trial leads to. A Secret that is not there may be on its way: runs wait for it.
pub fn state_after(fault: Fault) -> State {
    match fault.reason {
        Reason::SecretNotFound | Reason::SecretKeyMissing => State::Unverified(fault),
        _ if fault.is_permanent() => State::Refused(fault),
        _ => State::Unverified(fault),
    }
}
