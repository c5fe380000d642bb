-- Delivery of the events to the sink of their connection (spec.eventSink).
ALTER TABLE tarana_sync_outbox
    ADD COLUMN attempts        int NOT NULL DEFAULT 0,
    ADD COLUMN next_attempt_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN abandoned_at    timestamptz,       -- no attempt succeeded within 24 hours
    ADD COLUMN last_error      text;

-- What is due.
CREATE INDEX tarana_sync_outbox_due ON tarana_sync_outbox (next_attempt_at)
    WHERE delivered_at IS NULL AND abandoned_at IS NULL;

COMMENT ON TABLE tarana_sync_outbox IS
    'Events (CloudEvents) about runs, in the order of their ids. Without a sink they are never delivered, and expire.';
