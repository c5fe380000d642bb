-- The database role of an operator that does not migrate (`--migrate=false`), with exactly the privileges that it needs. Run
-- this as the owner of the tables or a superuser, after the migrations and again after each upgrade:
--
--   psql "$URL" -v role=tarana_operator -v schema=public -f migrations/roles/operator.sql
--
-- The role has no password: set it with `\password tarana_operator` in psql. If you may not create roles, have it created
-- first: CREATE ROLE tarana_operator LOGIN.
\set ON_ERROR_STOP on
\if :{?role}
\else
\set role tarana_operator
\endif
\if :{?schema}
\else
\set schema public
\endif
BEGIN;
SET LOCAL client_min_messages TO warning;
SELECT set_config('tarana.role', :'role', true), set_config('search_path', quote_ident(:'schema'), true) \gset
DO $$
DECLARE
    role text := current_setting('tarana.role');
    mine regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
        EXECUTE format('CREATE ROLE %I LOGIN', role);
    END IF;
    -- By default everybody may connect, but many databases revoke that.
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
    -- Revokes what an earlier version needed. An owner keeps its own privileges.
    FOR mine IN
        SELECT oid FROM pg_class
        WHERE relnamespace = quote_ident(current_schema())::regnamespace AND NOT pg_has_role(role, relowner, 'USAGE')
          AND relname IN ('tarana_migrations', 'tarana_base_stations', 'tarana_sync_logs', 'tarana_sync_changes',
                          'tarana_sync_change_batches', 'tarana_sync_outbox')
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', mine, role);
    END LOOP;
END
$$;
GRANT USAGE ON SCHEMA :"schema" TO :"role";

GRANT SELECT ON tarana_migrations TO :"role";
-- No privilege to write what a sync never writes: id, created_at, location, network_profile_id, bandwidth_mhz, and the
-- serial of an existing row. DELETE includes the privilege for the table lock of Apply.
GRANT SELECT, DELETE,
    INSERT (serial_number, hostname, site_name, active_connections, market, lat, lng, region, height_m, azimuth_deg,
            band, device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name,
            last_updated),
    UPDATE (hostname, site_name, active_connections, market, lat, lng, region, height_m, azimuth_deg,
            band, device_status, region_id, market_id, site_id, cell_id, sector_id, cell_name, sector_name,
            last_updated)
    ON tarana_base_stations TO :"role";
-- The identity of a run and who requested it are written once.
GRANT SELECT,
    INSERT (id, status, trigger_type, triggered_by, namespace, name, connection, connection_uid, actor, dry_run,
            delete_stale, cluster_uid),
    UPDATE (status, attempt, fence, started_at, heartbeat_at, completed_at, duration_ms, outcome, reason, message,
            errors, stations_fetched, inserted, updated, unchanged, deleted, skipped, withheld, listing, proof)
    ON tarana_sync_logs TO :"role";
-- The changes of a run are written once, and shown by the admin API.
GRANT SELECT, INSERT ON tarana_sync_change_batches TO :"role";
GRANT SELECT ON tarana_sync_changes TO :"role";
GRANT SELECT, INSERT (run, type, payload), UPDATE (delivered_at) ON tarana_sync_outbox TO :"role";

-- Under row-level security a grant shows no row without a policy. Without it these policies have no effect.
DROP POLICY IF EXISTS :"role" ON tarana_migrations;
CREATE POLICY :"role" ON tarana_migrations FOR SELECT TO :"role" USING (true);
DROP POLICY IF EXISTS :"role" ON tarana_base_stations;
CREATE POLICY :"role" ON tarana_base_stations TO :"role" USING (true) WITH CHECK (true);
DROP POLICY IF EXISTS :"role" ON tarana_sync_logs;
CREATE POLICY :"role" ON tarana_sync_logs TO :"role" USING (true) WITH CHECK (true);
DROP POLICY IF EXISTS :"role" ON tarana_sync_change_batches;
CREATE POLICY :"role" ON tarana_sync_change_batches TO :"role" USING (true) WITH CHECK (true);
DROP POLICY IF EXISTS :"role" ON tarana_sync_outbox;
CREATE POLICY :"role" ON tarana_sync_outbox TO :"role" USING (true) WITH CHECK (true);
COMMIT;
