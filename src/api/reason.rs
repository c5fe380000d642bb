//! Pure: the one closed vocabulary for why something is as it is.
//!
//! A [`Reason`] is the `reason` of a condition, of an Event and of a `lastFailure`, and the label of a metric: one word, everywhere.

/// Makes the enum and its words from one list.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why. Names what happened, not what to do: the remedy is in the message beside it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word, as it stands in conditions, Events and log rows.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    // The life of a run.
    /// Waits for another run on the same connection.
    Queued,
    /// A run left Pending.
    Started,
    /// Reads the vendor's listing.
    Fetching,
    /// Writes the difference to the table.
    Applying,
    /// An attempt failed; the next has its time.
    RetryScheduled,
    /// Another process went on with an attempt, which is not charged; a schedule is no longer suspended.
    Resumed,
    /// The API lastingly refuses the best listing; the next best was read.
    ListingReplaced,
    /// Some records could not be used.
    RecordsSkipped,
    /// Stale rows were kept by the delete guard.
    DeletesWithheld,
    /// Nothing was withheld.
    NothingWithheld,
    /// The run did all that was asked.
    Completed,
    /// The run ended without doing what was asked; Events only, a condition names the fault itself.
    Failed,
    /// The run was cancelled, or its object deleted.
    Cancelled,
    /// `activeDeadlineSeconds` ran out.
    DeadlineExceeded,
    /// Another process took this run over.
    Superseded,
    /// A row was left open by a process that is gone.
    Abandoned,
    // The turns of a schedule.
    /// The next slot is known.
    Scheduled,
    /// A run was created for a slot.
    RunCreated,
    /// No run was created for a slot, for one was still active.
    SlotSkipped,
    /// No run was created for a slot, for nobody was there in time.
    SlotMissed,
    /// A run was created because somebody asked for one now.
    Triggered,
    /// The name that a slot's run would have belongs to something else.
    NameTaken,
    /// The API server will not have the run that a template makes.
    RunRefused,
    /// Pattern or time zone have no usable form.
    InvalidSchedule,
    /// The pattern has no slot.
    NeverDue,
    /// The clock shows a time before slots that were dealt with.
    ClockBehind,
    // The gate.
    /// The run names a connection that does not exist.
    ConnectionNotFound,
    /// The connection is suspended.
    ConnectionSuspended,
    /// The connection is not ready yet.
    ConnectionNotReady,
    // The connection itself.
    /// All that a connection needs was tried and works.
    Verified,
    /// The connection is being tried.
    Verifying,
    /// `spec.suspend` is set.
    Suspended,
    // Faults of the configuration.
    /// A Secret that the connection names does not exist.
    SecretNotFound,
    /// A Secret lacks the key that the connection names, or it is empty.
    SecretKeyMissing,
    /// Something that the connection says or a Secret holds has no usable form.
    InvalidConfiguration,
    // Faults of the vendor's API.
    /// The credentials were refused.
    AuthenticationFailed,
    /// The login asks for something only a person can give (MFA, a new password).
    AuthenticationChallenge,
    /// The account may not do this (403).
    AccessDenied,
    /// No connection, or no answer in time.
    ApiUnreachable,
    /// The TLS handshake was refused.
    ApiTlsFailed,
    /// 429: slower, please.
    ApiThrottled,
    /// 5xx, or an error that the API calls its own.
    ApiUnavailable,
    /// 4xx: the API refused the request.
    ApiRejected,
    /// An answer that this version cannot read.
    ApiChanged,
    /// An answer larger than the limit.
    ResponseTooLarge,
    /// The operator id is neither given nor to be found out.
    OperatorIdUnknown,
    /// A region that the connection includes is not listed.
    RegionNotFound,
    /// No region is left after inclusion and exclusion.
    NoRegions,
    /// The listing could not be proven complete.
    FetchIncomplete,
    /// The listing holds no base node.
    FetchEmpty,
    // Faults of the database.
    /// No connection, or it broke.
    DatabaseUnreachable,
    /// The TLS handshake was refused.
    DatabaseTlsFailed,
    /// The server refused user, password or database.
    DatabaseRefused,
    /// The role lacks a right.
    DatabaseRightsMissing,
    /// The schema does not exist or is not as expected.
    SchemaInvalid,
    /// The schema is older than this version needs, and it may not migrate.
    SchemaOutdated,
    /// The schema was written by a newer version.
    SchemaTooNew,
    /// A deadlock, a serialisation failure or a lock that did not come.
    DatabaseBusy,
    /// The database refused a statement.
    DatabaseError,
    // Faults of Kubernetes.
    /// The Kubernetes API could not be asked.
    KubernetesUnavailable,
}

impl Reason {
    /// The reason of that word; `None` for a word that is not ours.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
