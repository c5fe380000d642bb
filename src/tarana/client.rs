//! The client of one connection: what the rest of the operator sees of the vendor.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use reqwest::header::COOKIE;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::choice::Choice;
use super::config::Config;
use super::envelope::object;
use super::pages::Shape;
use super::regions::{self, Region};
use super::session::{Need, Session};
use super::wire::{Answer, Request, Wire};
use super::{fetch, scalar};
use crate::fault::{Fault, Reason};
use crate::station::{Fetched, Listing};

const USER: &str = "/api/tcs/v1/users";

/// One session and one set of limits, shared by everything that a connection does. Make a new one when the
/// connection or its Secrets change: that also lifts the wait after refused credentials.
pub struct Client {
    pub(super) config: Config,
    wire: Wire,
    session: Session,
    operator: OnceCell<i64>,
    remembered: Mutex<Remembered>,
}

/// What earlier readings were like: the next one need not wait for its first answers to ask for the rest.
/// Never believed: what it leads to is checked against the answers.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) regions: Vec<Region>,
    /// By listing and region; 0 is all regions together.
    pub(super) shapes: HashMap<(Listing, i32), Shape>,
    /// For Auto: what took the place of the best listing.
    pub(super) choice: Option<Choice>,
    /// Fetches in a row in which a listing was in trouble though the rest of the API worked.
    pub(super) troubles: HashMap<Listing, u32>,
}

/// What a check found: the API answers, and this is what will be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The operator whose devices are read.
    pub operator_id: i64,
    /// The regions that are read, after inclusion and exclusion, by id.
    pub regions: Vec<Region>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.config)
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has not yet sent anything.
    ///
    /// # Errors
    /// `InvalidConfiguration`, naming the field: a URL, CA or credentials of no usable form.
    pub fn new(config: Config) -> Result<Self, Fault> {
        let (wire, session) = (Wire::new(&config)?, Session::new(&config)?);
        Ok(Self {
            config,
            wire,
            session,
            operator: OnceCell::new(),
            remembered: Mutex::default(),
        })
    }

    /// Logs in, finds the operator and its regions. Reads no device.
    pub async fn verify(&self) -> Result<Verified, Fault> {
        let operator_id = self.operator_id().await?;
        let regions = regions::read(self).await?;
        Ok(Verified { operator_id, regions })
    }

    /// Reads the whole listing and proves it complete. `progress` is told rows so far and rows in all, as far as known.
    ///
    /// # Errors
    /// Every fault of the API's side; `FetchIncomplete` and `FetchEmpty` where the answers do not add up.
    pub async fn fetch(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Fetched, Fault> {
        fetch::read(self, progress).await
    }

    /// For `listing: Auto`, goes on with what another process chose. A choice that is too old counts for nothing.
    pub fn recall(&self, choice: Choice) {
        if self.config.listing.is_none() {
            self.remember(|memory| memory.choice = Some(choice));
        }
    }

    /// The listing in use, and for Auto since when, if it took the place of a better one.
    pub fn listing(&self) -> (Listing, Option<Timestamp>) {
        match (self.config.listing, self.remember(|memory| memory.choice)) {
            (Some(only), _) => (only, None),
            (None, Some(choice)) => (choice.listing, Some(choice.since)),
            (None, None) => (Listing::default(), None),
        }
    }

    /// Until when nothing is sent, because the API asked for that.
    pub fn throttled_until(&self) -> Option<Instant> {
        self.wire.limits.held_until().map(tokio::time::Instant::into_std)
    }

    /// Requests that one reading keeps ready; how many of them are out is up to the limits.
    pub(super) fn in_flight(&self) -> usize {
        usize::try_from(self.config.max_in_flight.max(1)).unwrap_or(1)
    }

    /// Looks at, or changes, what earlier readings were like.
    pub(super) fn remember<T>(&self, with: impl FnOnce(&mut Remembered) -> T) -> T {
        // Nothing in it is believed, so a poisoned lock does no harm.
        with(&mut self.remembered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks with the session; a refused one is renewed, at most once by login.
    pub(super) async fn call<T>(
        &self,
        request: &Request,
        read: impl Fn(&RawValue) -> Result<T, String> + Send + Sync,
    ) -> Result<T, Fault> {
        let mut need = Need::Valid;
        loop {
            let pass = self.session.pass(&self.wire, need).await?;
            let who = (COOKIE, pass.cookie.clone());
            match self
                .wire
                .send(request, who, |answer: Answer<'_>| read(answer.data))
                .await
            {
                Err(fault) if fault.reason == Reason::AuthenticationFailed => match need.after(&pass) {
                    Some(next) => need = next,
                    None => return Err(self.session.give_up().await),
                },
                outcome => return outcome,
            }
        }
    }

    /// Given, else claimed by the session, else told by the API; found out once.
    pub(super) async fn operator_id(&self) -> Result<i64, Fault> {
        if let Some(id) = self.config.operator_id {
            // Whoever only verifies wants to know whether the login works, too.
            return self.session.pass(&self.wire, Need::Valid).await.map(|_| id);
        }
        let find = || async {
            match self.session.pass(&self.wire, Need::Valid).await?.operator_id {
                Some(id) => Ok(id),
                None => self.ask_operator_id().await,
            }
        };
        self.operator.get_or_try_init(find).await.copied()
    }

    async fn ask_operator_id(&self) -> Result<i64, Fault> {
        let unknown = |why: &str| {
            let message = format!(
                "the operator id is neither in the session nor to be asked for ({why}): set spec.api.operatorId"
            );
            Fault::new(Reason::OperatorIdUnknown, message)
        };
        match self
            .call(&Request::get(USER.into()), |data| Ok(operator_of(data)))
            .await
        {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(unknown(&format!("GET {USER} does not tell it"))),
            // Other accounts may not ask, or other versions not answer; that is no reason to give up on the rest.
            Err(fault)
                if matches!(
                    fault.reason,
                    Reason::AccessDenied | Reason::ApiRejected | Reason::ApiChanged
                ) =>
            {
                Err(unknown(&fault.message))
            }
            Err(fault) => Err(fault),
        }
    }
}

fn operator_of(user: &RawValue) -> Option<i64> {
    #[derive(Deserialize)]
    struct User<'a> {
        #[serde(borrow, rename = "operatorId")]
        operator: Option<&'a RawValue>,
    }
    let user: User<'_> = object(user.get()).ok()?;
    scalar::integer(user.operator?.get())
}
