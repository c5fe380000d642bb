//! Calls to TCS with a session: the low-level client that every listing uses.

use std::fmt;
use std::sync::Arc;

use reqwest::header::COOKIE;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::envelope::parse_object;
use super::request::{Request, RequestClass};
use super::session::{Requirement, Session, SessionState};
use super::transport::{Answer, HttpTransport, ServerTime};
use crate::fault::{Fault, Reason};
use crate::metrics::VendorMetrics;
use crate::tarana::config::Config;
use crate::tarana::scalar;

const USERS: &str = "/api/tcs/v1/users";
/// Most logins for one request whose sessions the API rejects. Another login with the same account may end one at any time.
const MAX_LOGINS: u32 = 3;

/// One session and one set of limits, shared by everything that a connection does.
pub(crate) struct Api {
    transport: HttpTransport,
    session: Arc<Session>,
    configured_operator_id: Option<i64>,
    discovered_operator_id: OnceCell<i64>,
    max_in_flight: usize,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// Sends nothing yet.
    pub(crate) fn new(config: &Config) -> Result<Self, Fault> {
        Ok(Self {
            transport: HttpTransport::new(config)?,
            session: Arc::new(Session::new(config)?),
            configured_operator_id: config.operator_id,
            discovered_operator_id: OnceCell::new(),
            max_in_flight: usize::try_from(config.max_in_flight.max(1)).unwrap_or(1),
        })
    }

    /// Counts requests in these metrics.
    pub(crate) fn measure(&mut self, metrics: VendorMetrics) {
        self.transport.metrics = metrics;
    }

    /// Requests that one reading keeps ready. The limits decide how many of them are sent.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Until when nothing is sent, because the API asked for a pause.
    pub(crate) fn throttled_until(&self) -> Option<Instant> {
        self.transport.paused_until()
    }

    /// Shares the session of a former client, if both have the same address and login.
    pub(crate) fn continue_session_of(&mut self, former: &Self) {
        if self.transport.has_address_of(&former.transport) && self.session.has_login_of(&former.session) {
            self.session = Arc::clone(&former.session);
        }
    }

    /// What is known of the session.
    pub(crate) fn session_state(&self) -> SessionState {
        self.session.state()
    }

    /// The clock of the server in its newest answer.
    pub(crate) fn server_time(&self) -> Option<ServerTime> {
        self.transport.server_time()
    }

    /// The newest pauses, oldest first.
    pub(crate) fn pauses(&self) -> Vec<(Instant, Instant)> {
        self.transport.pauses()
    }

    /// Sends `request` with the session and reads its data by `read`. A rejected session is renewed, a few times by login.
    pub(crate) async fn call<T>(
        &self,
        request: &Request,
        read: impl Fn(&RawValue) -> Result<T, String> + Send + Sync,
    ) -> Result<T, Fault> {
        let (mut requirement, mut logins) = (Requirement::Valid, 0);
        loop {
            let session = self.session.acquire(&self.transport, requirement).await?;
            let credentials = (COOKIE, session.cookie.clone());
            match self
                .transport
                .send(request, credentials, |answer: Answer<'_>| read(answer.data))
                .await
            {
                Err(fault) if fault.reason == Reason::AuthenticationFailed => {
                    logins += u32::from(session.by_login());
                    if logins >= MAX_LOGINS {
                        return Err(self.session.reject().await);
                    }
                    requirement = requirement.after_rejection(&session);
                }
                outcome => return outcome,
            }
        }
    }

    /// The configured operator id, else the claim in the session, else the answer of the API; discovered once.
    pub(crate) async fn operator_id(&self) -> Result<i64, Fault> {
        if let Some(id) = self.configured_operator_id {
            // A caller that only verifies the connection also has to see a failing login.
            return self
                .session
                .acquire(&self.transport, Requirement::Valid)
                .await
                .map(|_| id);
        }
        let discover = || async {
            let session = self.session.acquire(&self.transport, Requirement::Valid).await?;
            match session.operator_id {
                Some(id) => Ok(id),
                None => self.request_operator_id().await,
            }
        };
        self.discovered_operator_id
            .get_or_try_init(discover)
            .await
            .copied()
    }

    async fn request_operator_id(&self) -> Result<i64, Fault> {
        let unknown = |why: &str| {
            let message = format!(
                "the operator id is not in the session and GET {USERS} does not return it ({why}): set spec.api.operatorId"
            );
            Fault::new(Reason::OperatorIdUnknown, message)
        };
        match self
            .call(&Request::get(RequestClass::User, USERS.into()), |data| {
                Ok(operator_of(data))
            })
            .await
        {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(unknown("the user has no operatorId")),
            // The account may lack the right to call this endpoint, or the API version may lack the endpoint. The listings can
            // still work.
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
    let user: User<'_> = parse_object(user.get()).ok()?;
    scalar::integer(user.operator?.get())
}
