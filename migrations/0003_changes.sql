-- What each run changed, or would have changed. Stored in batches of a few hundred changes, because a row per change
-- would cost as much as the stations themselves (see src/store/README.md, "Speed").
CREATE TABLE tarana_sync_change_batches (
    run     uuid NOT NULL REFERENCES tarana_sync_logs (id) ON DELETE CASCADE,
    first   int NOT NULL,             -- position of the batch's first change in the run, from 1
    op      text NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    applied boolean NOT NULL,         -- false: a dry run, or a withheld delete
    changes json NOT NULL,            -- [{serial, before, after}]; json, because it is not searched
    PRIMARY KEY (run, first)
);

-- For readers: one row per change.
CREATE VIEW tarana_sync_changes AS
    SELECT b.run, (b.first + c.position - 1)::int AS seq, c.change ->> 'serial' AS serial, b.op,
           c.change -> 'before' AS before, c.change -> 'after' AS after, b.applied
    FROM tarana_sync_change_batches b, json_array_elements(b.changes) WITH ORDINALITY AS c (change, position);

DO $$
BEGIN
    -- lz4, if the server was built with it, compresses these by ten in a third of the time.
    BEGIN
        ALTER TABLE tarana_sync_change_batches ALTER COLUMN changes SET COMPRESSION lz4;
    EXCEPTION WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
        NULL;
    END;
    -- A view uses the privileges of its owner, and so bypasses the policies of 0005, unless security_invoker is set
    -- (PostgreSQL 15).
    IF current_setting('server_version_num')::int >= 150000 THEN
        EXECUTE 'ALTER VIEW tarana_sync_changes SET (security_invoker = true)';
    END IF;
END
$$;
