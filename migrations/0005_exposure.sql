-- Supabase exposes every table of this schema over HTTP to the roles `anon` and `authenticated`. The operator's own tables
-- are hidden from them by row-level security without a policy for these roles. The owner of a table is not subject to it.
-- On a plain PostgreSQL these roles do not exist, and only grants count.
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
    -- The view as well: before PostgreSQL 15 it shows the owner's rows to everybody who may select from it.
    FOR outsider IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON tarana_sync_changes FROM %I', outsider);
    END LOOP;
END
$$;
