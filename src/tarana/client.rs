//! The facade: everything that the rest of the operator uses of the vendor's API.

use std::time::Instant;

use jiff::Timestamp;

use super::config::Config;
use super::http::{ServerTime, SessionState};
use super::listing::{ListingContext, ListingFallback, Region, Sample, fetch, read_regions, read_sample};
use crate::fault::Fault;
use crate::metrics::VendorMetrics;
use crate::station::{Fetched, Listing};

/// One session and one set of limits, shared by everything that a connection does. Create a new client when the
/// connection or its Secrets change, which then shares the session if the login is the same ([`Client::continue_session_of`]).
#[derive(Debug)]
pub struct Client {
    context: ListingContext,
}

/// The result of a check: the API answers, and these are the operator and regions that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The operator whose devices are read.
    pub operator_id: i64,
    /// The regions that are read, after inclusion and exclusion, by id.
    pub regions: Vec<Region>,
}

impl Client {
    /// Creates a client. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidConfiguration`, naming the field, if a URL, CA or credential is unusable.
    pub fn new(config: Config) -> Result<Self, Fault> {
        Ok(Self {
            context: ListingContext::new(config)?,
        })
    }

    /// The same client, whose requests are counted in these metrics.
    #[must_use]
    pub fn measured_by(mut self, metrics: &VendorMetrics) -> Self {
        self.context.api.measure(metrics.clone());
        self
    }

    /// Shares the session of a former client, and the pause after its refused login, if both log in as the same user at the same
    /// address with the same password.
    pub fn continue_session_of(&mut self, former: &Self) {
        self.context.api.continue_session_of(&former.context.api);
    }

    /// Logs in and reads the operator and its regions, but no device.
    pub async fn verify(&self) -> Result<Verified, Fault> {
        let operator_id = self.context.api.operator_id().await?;
        let regions = read_regions(&self.context).await?;
        Ok(Verified { operator_id, regions })
    }

    /// Reads the first page of the listing in use, of the first region where there is a list for each. Proves nothing.
    pub async fn sample(&self, verified: &Verified) -> Result<Sample, Fault> {
        let Verified { operator_id, regions } = verified;
        read_sample(&self.context, self.listing().0, (*operator_id, regions)).await
    }

    /// What is known of the session with the API.
    pub fn session_state(&self) -> SessionState {
        self.context.api.session_state()
    }

    /// The clock of the server in its newest answer; `None` before the first one, or if it sends no `Date`.
    pub fn server_time(&self) -> Option<ServerTime> {
        self.context.api.server_time()
    }

    /// Reads the whole listing and proves it complete. Calls `progress` once for each page of stations, with the rows read and the
    /// total, as far as known.
    ///
    /// # Errors
    /// Every fault of the API; `FetchIncomplete` and `FetchEmpty` if the answers are inconsistent.
    pub async fn fetch(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Fetched, Fault> {
        fetch(&self.context, progress).await
    }

    /// For `listing: Auto`, continues with the fallback that another process chose. An expired fallback has no effect.
    pub fn resume_fallback(&self, fallback: ListingFallback) {
        if self.context.config.listing.is_none() {
            self.context.with_cache(|cache| cache.fallback = Some(fallback));
        }
    }

    /// The listing in use and, for a fallback chosen by Auto, since when.
    pub fn listing(&self) -> (Listing, Option<Timestamp>) {
        let fallback = self.context.with_cache(|cache| cache.fallback);
        match (self.context.config.listing, fallback) {
            (Some(configured), _) => (configured, None),
            (None, Some(fallback)) => (fallback.listing, Some(fallback.since)),
            (None, None) => (Listing::default(), None),
        }
    }

    /// Until when nothing is sent, because the API asked for a pause.
    pub fn throttled_until(&self) -> Option<Instant> {
        self.context
            .api
            .throttled_until()
            .map(tokio::time::Instant::into_std)
    }

    /// The newest pauses that the API asked for, oldest first: from the request that was rejected until when nothing is sent.
    pub fn pauses(&self) -> Vec<(Instant, Instant)> {
        let pauses = self.context.api.pauses().into_iter();
        pauses
            .map(|(from, until)| (from.into_std(), until.into_std()))
            .collect()
    }
}
