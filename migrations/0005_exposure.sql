-- Supabase publishes every table of this schema over HTTP to the roles `anon` and `authenticated`. The operator's own
-- tables are nobody's business there: row-level security with no policy for those roles shuts them out. The owner of
-- a table is not subject to it. On a plain PostgreSQL there is nothing to shut, and only grants count.
DO $$
DECLARE
    own text;
    outsider text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')) THEN
        RETURN;
    END IF;
    FOREACH own IN ARRAY ARRAY['tarana_migrations', 'tarana_sync_change_batches', 'tarana_sync_outbox'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', own);
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'service_role') THEN
            EXECUTE format('CREATE POLICY "Service role" ON %I TO service_role USING (true) WITH CHECK (true)', own);
        END IF;
    END LOOP;
    -- The view as well: before PostgreSQL 15 it would show its owner's rows to whoever may select from it.
    FOR outsider IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON tarana_sync_changes FROM %I', outsider);
    END LOOP;
END
$$;
