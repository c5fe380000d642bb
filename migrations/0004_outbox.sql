-- Events about the end of runs (CloudEvents). Written in the transaction that ends the run, so that an event exists if and
-- only if the run has ended; delivered afterwards.
CREATE TABLE tarana_sync_outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run          uuid NOT NULL REFERENCES tarana_sync_logs (id) ON DELETE CASCADE,
    type         text NOT NULL,       -- tarana/sync.completed, tarana/sync.failed, tarana/sync.cancelled
    payload      jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    UNIQUE (run, type)                -- a run ends once, with one event
);
