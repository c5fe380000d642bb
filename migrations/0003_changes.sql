-- What each run changed, or would have. Kept in batches of a few hundred changes, because a row for each change
-- would cost as much to write as the stations themselves (see src/store/README.md, "Speed").
CREATE TABLE tarana_sync_change_batches (
    run     uuid NOT NULL REFERENCES tarana_sync_logs (id) ON DELETE CASCADE,
    first   int NOT NULL,             -- position in the run of the batch's first change, from 1
    op      text NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    applied boolean NOT NULL,         -- false: a dry run, or a delete that was withheld
    changes json NOT NULL,            -- [{serial, before, after}]; json, since nobody searches in it
    PRIMARY KEY (run, first)
);

-- What people and programs read: a row for each change.
CREATE VIEW tarana_sync_changes AS
    SELECT b.run, (b.first + c.position - 1)::int AS seq, c.change ->> 'serial' AS serial, b.op,
           c.change -> 'before' AS before, c.change -> 'after' AS after, b.applied
    FROM tarana_sync_change_batches b, json_array_elements(b.changes) WITH ORDINALITY AS c (change, position);

DO $$
BEGIN
    -- lz4 packs these ten times smaller in a third of the time, where the server was built with it.
    BEGIN
        ALTER TABLE tarana_sync_change_batches ALTER COLUMN changes SET COMPRESSION lz4;
    EXCEPTION WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
        NULL;
    END;
    -- A view asks with its owner's rights, around the policies of 0005, unless told otherwise (PostgreSQL 15).
    IF current_setting('server_version_num')::int >= 150000 THEN
        EXECUTE 'ALTER VIEW tarana_sync_changes SET (security_invoker = true)';
    END IF;
END
$$;
