//! Pure: the closed set of reasons.
//!
//! A [`Reason`] is the `reason` of a condition, of an Event and of a `lastFailure`, and the label of a metric, with the same
//! spelling everywhere.

/// Generates the enum and its names from one list.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why something is in its state. It names what happened; the message next to it has the remedy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in conditions, Events and log rows.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    // Progress of a run.
    /// The run waits for another run on the same connection.
    Queued,
    /// The run waits until fewer runs of this operator read or write.
    ConcurrencyLimited,
    /// The run left Pending.
    Started,
    /// The run reads the vendor's listing.
    Fetching,
    /// The run writes the difference to the table.
    Applying,
    /// An attempt failed; the next one is scheduled.
    RetryScheduled,
    /// Another process resumed an attempt, which is not counted again; a schedule is no longer suspended.
    Resumed,
    /// The API persistently rejects the best listing; the next best was read.
    ListingReplaced,
    /// Some records were skipped as unusable.
    RecordsSkipped,
    /// The delete guard kept stale rows.
    DeletesWithheld,
    /// No deletes were withheld.
    NothingWithheld,
    /// The run did all that was requested.
    Completed,
    /// The run failed. Used only in Events; a condition names the fault itself.
    Failed,
    /// The run was cancelled, or its object deleted.
    Cancelled,
    /// The run exceeded `activeDeadlineSeconds`.
    DeadlineExceeded,
    /// Another process took the run over.
    Superseded,
    /// The operator ended twice during an attempt without handing over.
    OperatorCrashed,
    /// A process stopped without closing its log row.
    Abandoned,
    // Slots and requests of a schedule.
    /// The next slot is known.
    Scheduled,
    /// A run was created for a slot.
    RunCreated,
    /// No run was created for a slot, because another run was still active.
    SlotSkipped,
    /// No run was created for a slot, because no operator handled it in time.
    SlotMissed,
    /// No run was created for a slot, because another run was still active. Used only in `recentSlots`; the Event is `SlotSkipped`.
    RunActive,
    /// A slot of the previous pattern was not handled before the change. Used only in `recentSlots`.
    ScheduleChanged,
    /// No run of the schedule has completed or failed yet.
    NeverRun,
    /// A run was created because of the trigger annotation.
    Triggered,
    /// Another object has the name of the slot's run.
    NameTaken,
    /// The trigger annotation of a schedule has an invalid value.
    InvalidTrigger,
    /// The API server rejected the run of the template.
    RunRefused,
    /// The pattern or time zone is invalid.
    InvalidSchedule,
    /// The pattern has no slot.
    NeverDue,
    /// The clock is behind slots that were already handled.
    ClockBehind,
    // Actions of callers of the admin API. Used only in Events, which name the caller.
    /// A caller created the run.
    SyncRequested,
    /// A caller created the run in order to delete what another run withheld.
    DeletesApproved,
    /// A caller requested the cancellation of the run.
    CancelRequested,
    /// A caller requested a run of the schedule.
    RunRequested,
    /// A caller suspended the schedule.
    SuspendRequested,
    /// A caller resumed the schedule.
    ResumeRequested,
    /// A caller sent a test event to the event sink.
    TestEventSent,
    /// A caller lacks the permission for an action.
    ActionDenied,
    // The gate of a run.
    /// The run names a connection that does not exist.
    ConnectionNotFound,
    /// The connection is suspended.
    ConnectionSuspended,
    /// The connection is not ready yet.
    ConnectionNotReady,
    // Probes of a connection.
    /// The probe of the connection succeeded.
    Verified,
    /// The connection is being probed.
    Verifying,
    /// `spec.suspend` is set.
    Suspended,
    /// A connection that could not be used works again. Used only in Events.
    Recovered,
    /// A connection cannot be used until a user acts. Used only in Events; a condition names the fault itself.
    Stalled,
    /// Credentials are sent in plain text to another host. Only a warning.
    PlainText,
    /// Another connection writes the same regions of the same table from other data. Only a warning.
    RegionsOverlap,
    // The event sink of a connection.
    /// The sink has accepted the newest event.
    EventsDelivered,
    /// The sink has not received an event yet.
    NoEventYet,
    /// The sink does not accept an event. It is sent again.
    EventNotDelivered,
    /// An event was not accepted within 24 hours. Used only in Events.
    EventAbandoned,
    // Faults of the configuration.
    /// A Secret that the connection names does not exist.
    SecretNotFound,
    /// A Secret lacks the key that the connection names, or its value is empty.
    SecretKeyMissing,
    /// A value of the connection or of a Secret is invalid.
    InvalidConfiguration,
    // Faults of the vendor's API.
    /// The API rejected the credentials.
    AuthenticationFailed,
    /// The API accepts the login and rejects its sessions, as if somebody else logged in with the same account.
    SessionRejected,
    /// The login requires a person (MFA, a new password).
    AuthenticationChallenge,
    /// The account lacks a permission (403).
    AccessDenied,
    /// No connection, or no response in time.
    ApiUnreachable,
    /// The TLS handshake failed.
    ApiTlsFailed,
    /// The API throttles requests (429).
    ApiThrottled,
    /// 5xx, or an error that the API reports as its own.
    ApiUnavailable,
    /// The API rejected the request (4xx).
    ApiRejected,
    /// This version cannot decode a response.
    ApiChanged,
    /// A response is larger than the limit.
    ResponseTooLarge,
    /// The operator id is not set and the login does not return it.
    OperatorIdUnknown,
    /// A region that the connection includes is not listed.
    RegionNotFound,
    /// No region is left after inclusion and exclusion.
    NoRegions,
    /// The listing could not be proven complete.
    FetchIncomplete,
    /// The listing contains no base node.
    FetchEmpty,
    // Faults of the database.
    /// No connection, or the connection was lost.
    DatabaseUnreachable,
    /// The TLS handshake failed.
    DatabaseTlsFailed,
    /// The server rejected the user, password or database.
    DatabaseRefused,
    /// The role lacks a privilege.
    DatabaseRightsMissing,
    /// The schema does not exist, or its tables have unexpected columns.
    SchemaInvalid,
    /// The schema is older than this version requires, and the operator may not migrate it.
    SchemaOutdated,
    /// The schema was written by a newer version.
    SchemaTooNew,
    /// A deadlock, a serialization failure or a lock timeout.
    DatabaseBusy,
    /// The database rejected a statement.
    DatabaseError,
    // Faults of Kubernetes.
    /// The object cannot be decoded, or the API server rejects every write of it.
    InvalidObject,
    /// The Kubernetes API is unavailable.
    KubernetesUnavailable,
}

impl Reason {
    /// The reason of that name; `None` for an unknown name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
